//! How an app is doing. The worst that holds is told, in the order of `Standing`.
//!
//! A deployment stands still when nothing of the app has moved for five minutes, or for twice the
//! grace its own checks ask for, whichever is longer: nobody is told of a start that takes as long
//! as its author said it would.

use std::time::Duration;

use super::{
    state::{Standing, Verdict},
    unmet::Unmet,
    words::{condition_word, engine_next, failure_words, kill_words, node_next},
};
use crate::{
    api::view::{
        View, health,
        lookup::{engine_away, is_told, is_up, no_place, resume_to},
    },
    base::{clock::Timestamp, units::count},
    core::{backoff::Delay, place::Report, state::TaskFailure},
    model::{AppId, Deployment, Instance, WorkloadSpec, instance::Condition},
};

/// A deployment that has not moved for this long is told as stuck: longer than most pulls and
/// start-ups, and short enough that somebody still remembers starting it.
pub const STUCK: Duration = Duration::from_secs(300);
/// Failures in a row from which an app is said to fail again and again.
pub const LOOP_FAILURES: u32 = 3;
/// Apps of the step before that are looked at for when the present step began.
const LOOKED_BACK_MAX: usize = 8;
/// How long all instances must have run until earlier failures are forgotten.
const STEADY: Duration = Duration::from_secs(60);

/// The verdict about one app that `app::spec` knows.
pub fn verdict(view: &View<'_>, id: &AppId, spec: &WorkloadSpec) -> Verdict {
    let facts = Facts::of(view, id, spec);
    None.or_else(|| facts.deleting())
        .or_else(|| facts.stopped())
        .or_else(|| facts.engine_down())
        .or_else(|| facts.unhealthy())
        .or_else(|| facts.crash_looping())
        .or_else(|| facts.stuck())
        .or_else(|| facts.delayed())
        .or_else(|| facts.waiting())
        .or_else(|| facts.deploying())
        .or_else(|| facts.degraded())
        .or_else(|| facts.starting())
        .unwrap_or_else(|| facts.running())
}

struct Facts<'a> {
    view: &'a View<'a>,
    id: &'a AppId,
    spec: &'a WorkloadSpec,
    wanted: usize,
    present: Vec<&'a Instance>,
    n_running: usize,
    n_up: usize,
    deployment: Option<&'a Deployment>,
    /// The launch delay its present configuration has earned, as long as that counts.
    delay: Option<&'a Delay>,
    failure: Option<&'a TaskFailure>,
}

impl<'a> Facts<'a> {
    fn of(view: &'a View<'a>, id: &'a AppId, spec: &'a WorkloadSpec) -> Self {
        let state = view.state;
        let present: Vec<&Instance> =
            state.instances_of(id).filter(|i| is_told(i)).map(|i| &**i).collect();
        let config = spec.last_config_change_at;
        let delay = state.delays.get(id).map(|delay| &**delay);
        let is_of_this = |failure: &&TaskFailure| {
            let made_from = state.specs.get(&(id.clone(), failure.version));
            made_from.is_some_and(|s| s.last_config_change_at == config)
        };
        let failure = state.apps.get(id).and_then(|a| a.last_failure.as_ref());
        Self {
            wanted: state.spec(id).map_or(0, |s| s.instances as usize),
            n_running: present.iter().filter(|i| i.condition() == Condition::Running).count(),
            n_up: present.iter().filter(|i| is_up(state, i)).count(),
            deployment: state
                .index
                .locks
                .get(id)
                .and_then(|d| state.deployments.get(d))
                .map(|d| &**d),
            delay: delay.filter(|d| d.config == config && !d.is_stale(&spec.backoff, view.now)),
            failure: failure.filter(is_of_this),
            view,
            id,
            spec,
            present,
        }
    }

    /// `2 of 3 instances`.
    fn n_of(&self, n: usize) -> String {
        let all = self.wanted.max(self.present.len());
        if all == 1 { "its one instance".to_owned() } else { format!("{n} of {all} instances") }
    }

    fn earliest(instances: &[&Instance]) -> Option<Timestamp> {
        instances.iter().map(|i| i.since).min()
    }

    fn deleting(&self) -> Option<Verdict> {
        let change = self.deployment.and_then(|d| d.changes.get(self.id));
        let leaves = change.is_some_and(|t| t.after.is_none());
        if !leaves && self.view.state.apps.contains_key(self.id) {
            return None;
        }
        let left = count(self.present.len(), "instance");
        let stands =
            self.deployment.map(|d| self.moved(d)).filter(|moved| self.is_long_ago(*moved));
        let verdict = match stands {
            Some(moved) => {
                let text = format!("its removal is stuck, {left} left");
                let verdict = Verdict::of(Standing::Stuck, text, moved);
                verdict.because(self.coming().unwrap_or_default())
            }
            None => {
                let since = self.deployment.map(|d| d.started_at);
                Verdict::of(Standing::Deleting, format!("being removed, {left} left"), since)
            }
        };
        Some(match self.held_up() {
            Some((cause, next)) => verdict.because(cause).next(next),
            None => verdict,
        })
    }

    fn is_long_ago(&self, moved: Timestamp) -> bool {
        self.view.now.since(moved) >= patience(self.spec)
    }

    fn stopped(&self) -> Option<Verdict> {
        let is_stopped = self.wanted == 0 && self.present.is_empty() && self.deployment.is_none();
        is_stopped.then(|| {
            let text = "no instance is wanted";
            let since = Some(self.spec.last_scaling_at);
            let next = match resume_to(self.view.state, self.id) {
                Some(n) => format!("tepui app scale {} {n} starts as many as there were", self.id),
                None => format!("tepui app scale {} N starts it", self.id),
            };
            Verdict::of(Standing::Stopped, text, since).next(next)
        })
    }

    /// A node that keeps an instance from going on, and what to do about it.
    fn held_up(&self) -> Option<(String, String)> {
        self.present.iter().filter(|i| !is_up(self.view.state, i)).find_map(|instance| {
            let place = instance.placement()?;
            if let Some(away) = engine_away(self.view, &place.node) {
                return Some((away.cause, engine_next(&place.hostname)));
            }
            let node = self.view.state.nodes.get(&place.node)?;
            (!node.is_reachable()).then(|| {
                let cause = format!("nobody hears from {}", place.hostname);
                (cause, node_next(&place.hostname))
            })
        })
    }

    fn engine_down(&self) -> Option<Verdict> {
        let mut held = self.present.iter().filter(|i| !is_up(self.view.state, i)).filter_map(|i| {
            let place = i.placement()?;
            Some((&place.hostname, engine_away(self.view, &place.node)?))
        });
        let (host, away) = held.next()?;
        let n = 1 + held.count();
        let who = self.n_of(n);
        let text = format!("{who} cannot go on: the container engine of {host} does not answer");
        Some(
            Verdict::of(Standing::EngineDown, text, Some(away.since))
                .because(away.cause)
                .next(engine_next(host)),
        )
    }

    fn unhealthy(&self) -> Option<Verdict> {
        let state = self.view.state;
        let sick: Vec<&Instance> =
            self.present.iter().copied().filter(|i| state.healthy(i) == Some(false)).collect();
        let next =
            format!("read its output (tepui log {}), then mend the program or the check", self.id);
        if !sick.is_empty() {
            let well = |i: &&Instance| {
                let failing = i.health().iter().filter(|c| !c.alive);
                failing.filter_map(|c| c.last_success).min().or(i.started_at())
            };
            let since = sick.iter().filter_map(well).min();
            let who = self.n_of(sick.len());
            let fails = if sick.len() == 1 { "fails its" } else { "fail their" };
            let cause = sick.iter().find_map(|i| health::failing(i, state.spec_of(i)?));
            let text = format!("{who} {fails} health check");
            let verdict = Verdict::of(Standing::Unhealthy, text, since);
            return Some(verdict.because(cause.unwrap_or_default()).next(next));
        }
        // Between two instances that a check has ended: nothing fails at this very moment.
        let failure = self.failure.filter(|f| f.state == Condition::Killed.task_state())?;
        let is_successor = |i: &&Instance| i.id == failure.instance && !is_up(state, i);
        self.present.iter().any(is_successor).then(|| {
            let text = "an instance was ended because its health check failed, and started anew";
            Verdict::of(Standing::Unhealthy, text, Some(failure.at))
                .because(failure.message.clone())
                .next(next)
        })
    }

    fn crash_looping(&self) -> Option<Verdict> {
        let delay = self.delay.filter(|d| d.n_failures >= LOOP_FAILURES)?;
        let last_start = self.present.iter().filter_map(|i| i.started_at()).max();
        let steady = last_start.is_some_and(|at| is_steady(delay, at, self.view.now));
        if self.n_up >= self.wanted && steady {
            return None;
        }
        let n = delay.n_failures;
        let (standing, mut text) = match self.unmet() {
            Some(_) => (Standing::CannotStart, self.failures(n)),
            None => {
                let text = format!("{} soon after its start", self.failures(n));
                (Standing::CrashLooping, text)
            }
        };
        if delay.until > self.view.now && self.n_waiting() > 0 {
            text.push_str(&format!("; the next start is held back until {}", delay.until));
        }
        Some(self.failed(Verdict::of(standing, text, Some(delay.began_at()))))
    }

    fn delayed(&self) -> Option<Verdict> {
        let delay = self.delay.filter(|d| d.until > self.view.now && self.n_waiting() > 0)?;
        let failures = self.failures(delay.n_failures);
        let text = format!("{failures}; the next start is held back until {}", delay.until);
        Some(self.failed(Verdict::of(Standing::Delayed, text, Some(delay.failed_at))))
    }

    /// What the last attempt did not get so far as to start for.
    fn unmet(&self) -> Option<Unmet> {
        self.failure.and_then(|failure| Unmet::of(&failure.message))
    }

    /// `n` attempts in a row that failed, the last one as it did.
    fn failures(&self, n: u32) -> String {
        match (self.unmet(), n) {
            (Some(unmet), 1) => unmet.sentence().to_owned(),
            (Some(unmet), n) => format!("{}, {n} starts in a row failed", unmet.sentence()),
            (None, 1) => "it ended once".to_owned(),
            (None, n) => format!("it ended {n} times in a row"),
        }
    }

    /// Adds what the last failure was.
    fn failed(&self, verdict: Verdict) -> Verdict {
        let cause = self.failure.map(failure_words);
        // A task that ends by itself with exit code 0 is none of the failures that are remembered.
        let cause =
            cause.unwrap_or_else(|| "the program ended by itself without an error".to_owned());
        // What failed before the program started has left no output.
        let unmet = self.failure.and_then(|f| Some(Unmet::of(&f.message)?.next(&f.hostname)));
        let next = unmet.unwrap_or_else(|| self.read_output());
        verdict.because(cause).next(next)
    }

    fn read_output(&self) -> String {
        format!("read its output: tepui log {}", self.id)
    }

    fn n_waiting(&self) -> usize {
        self.view.state.index.waiting.get(self.id).map_or(0, |waiting| waiting.len())
    }

    fn waiting(&self) -> Option<Verdict> {
        let (text, next) = self.no_place()?;
        let waiting: Vec<&Instance> =
            self.present.iter().copied().filter(|i| i.waits_for_place()).collect();
        Some(Verdict::of(Standing::Waiting, text, Self::earliest(&waiting)).next(next))
    }

    /// Why nothing has room for what waits, and what would help.
    fn no_place(&self) -> Option<(String, String)> {
        let report = no_place(self.view, self.id).filter(|_| self.n_waiting() > 0)?;
        Some((report.found().to_owned(), place_next(self.id, &report)))
    }

    /// How many are up, for what a deployment has still to do.
    fn n_up_words(&self) -> String {
        let n_up = self.n_up;
        // Those of the definition before may serve all the while: only new ones are counted.
        let is_mixed = self.present.iter().any(|i| !self.view.state.is_current(i));
        let (one, new) = if is_mixed { ("new", "new ") } else { ("one", "") };
        match self.wanted {
            0 => format!("being stopped, {} left", count(self.present.len(), "instance")),
            1 if n_up == 0 => format!("its {one} instance is not up yet"),
            1 => format!("its {one} instance is up"),
            wanted => format!("{n_up} of {wanted} {new}instances are up"),
        }
    }

    fn stuck(&self) -> Option<Verdict> {
        let deployment = self.deployment?;
        let moved = self.moved(deployment);
        // Whose turn has not come stands still with reason; what it waits for is told as stuck.
        if !self.is_long_ago(moved) || !self.has_its_turn(deployment) {
            return None;
        }
        let (cause, next) = self.held_up().or_else(|| self.no_place()).unwrap_or_else(|| {
            (self.coming().unwrap_or_default(), cancel_next(deployment, self.id))
        });
        let text = format!("the deployment is stuck: {}", self.n_up_words());
        Some(Verdict::of(Standing::Stuck, text, moved).because(cause).next(next))
    }

    /// When something last moved: here, or in the step before, whose end began the present one.
    fn moved(&self, deployment: &Deployment) -> Timestamp {
        let state = self.view.state;
        let before = (deployment.current_step as usize).checked_sub(2);
        let before = before.and_then(|at| deployment.steps.get(at));
        let before = before.iter().flat_map(|step| step.actions.iter().take(LOOKED_BACK_MAX));
        let before = before.flat_map(|action| state.instances_of(&action.app)).map(|i| &**i);
        let times = self.present.iter().copied().chain(before).flat_map(|i| {
            let healthy = i.health().iter().filter_map(|c| c.first_success);
            healthy.chain(i.started_at()).chain([i.since])
        });
        times.fold(deployment.started_at, Timestamp::max)
    }

    fn has_its_turn(&self, deployment: &Deployment) -> bool {
        deployment.step().is_none_or(|step| step.actions.iter().any(|a| a.app == *self.id))
    }

    fn deploying(&self) -> Option<Verdict> {
        let deployment = self.deployment?;
        let text = self.n_up_words();
        let verdict = Verdict::of(Standing::Deploying, text, deployment.started_at);
        if !self.has_its_turn(deployment) {
            return Some(verdict.because(others(deployment, self.id).unwrap_or_default()));
        }
        let runs =
            |i: &&Instance| i.condition() == Condition::Running && !is_up(self.view.state, i);
        let verdict = verdict.because(self.coming().unwrap_or_default());
        Some(if self.present.iter().any(runs) { verdict.next(self.read_output()) } else { verdict })
    }

    /// What an instance that is not up is doing.
    fn coming(&self) -> Option<String> {
        let state = self.view.state;
        let late = self.present.iter().filter(|i| !is_up(state, i));
        late.filter_map(|i| {
            let host = i.placement().map_or("", |p| p.hostname.as_str());
            if i.condition() != Condition::Running {
                if i.waits_for_place() {
                    return Some("an instance gets a place now".to_owned());
                }
                let why = match (i.kill(), i.message.as_str()) {
                    (_, message) if !message.is_empty() => format!(": {message}"),
                    (Some(kill), _) => format!(": {}", kill_words(&kill.reason)),
                    (None, _) => String::new(),
                };
                return Some(format!(
                    "an instance is {} on {host}{why}",
                    condition_word(i.condition())
                ));
            }
            let spec = state.spec_of(i)?;
            health::pending(i, spec).or_else(|| {
                (!state.is_current(i))
                    .then(|| "an instance of the old version still runs".to_owned())
            })
        })
        .next()
    }

    fn degraded(&self) -> Option<Verdict> {
        if self.n_running >= self.wanted {
            return None;
        }
        let late: Vec<&Instance> =
            self.present.iter().copied().filter(|i| i.condition() != Condition::Running).collect();
        let who = match self.wanted {
            1 => "its one instance does not run".to_owned(),
            wanted => format!("{} of {wanted} instances run", self.n_running),
        };
        let verdict = Verdict::of(Standing::Degraded, who, Self::earliest(&late));
        Some(match self.held_up() {
            Some((cause, next)) => verdict.because(cause).next(next),
            None => verdict.because(self.coming().unwrap_or_default()),
        })
    }

    fn starting(&self) -> Option<Verdict> {
        let state = self.view.state;
        let late: Vec<&Instance> =
            self.present.iter().copied().filter(|i| !is_up(state, i)).collect();
        if late.is_empty() {
            return None;
        }
        let text = match self.wanted {
            1 => "its one instance runs".to_owned(),
            wanted => format!("all {wanted} instances run, {} not yet accepted", late.len()),
        };
        let verdict = Verdict::of(Standing::Starting, text, Self::earliest(&late));
        Some(verdict.because(self.coming().unwrap_or_default()))
    }

    fn running(&self) -> Verdict {
        let well = if self.spec.run.has_health_checks() { " and is healthy" } else { "" };
        let text = match self.wanted {
            1 => format!("its one instance runs{well}"),
            wanted => format!("all {wanted} instances run{}", well.replace("is", "are")),
        };
        let since = self.present.iter().map(|i| i.since).max();
        Verdict::of(Standing::Running, text, since)
    }
}

/// That a deployment works on other apps in its present step.
fn others(deployment: &Deployment, id: &AppId) -> Option<String> {
    let actions = &deployment.step()?.actions;
    let others: Vec<&str> =
        actions.iter().map(|a| a.app.as_str()).filter(|app| *app != id.as_str()).collect();
    let first = others.first()?;
    let more = match others.len() - 1 {
        0 => String::new(),
        n => format!(" and {}", count(n, "other app")),
    };
    Some(format!("it waits for {first}{more}"))
}

/// Whether a failure that earned `delay` is forgotten: what started at `at` has run long enough.
pub fn is_steady(delay: &Delay, at: Timestamp, now: Timestamp) -> bool {
    now.since(at) > STEADY.max(2 * Duration::from_millis(delay.delay_ms))
}

/// How long an app may take from one step of its start to the next.
fn patience(spec: &WorkloadSpec) -> Duration {
    let checks = spec.run.containers.iter().flat_map(|c| &c.health_checks);
    let grace = checks.map(|check| Duration::from_millis(check.grace_ms)).max();
    STUCK.max(2 * grace.unwrap_or_default())
}

/// What would place one more, and where each node is told of.
fn place_next(id: &AppId, report: &Report) -> String {
    match report.advice.first() {
        Some(advice) => format!(
            "to place one more, {}; tepui why {id} --nodes tells of every node",
            advice.sentence
        ),
        None => format!("tepui why {id} --nodes lists what every node lacks"),
    }
}

/// How a deployment is taken back, and that this removes what it makes.
fn cancel_next(deployment: &Deployment, id: &AppId) -> String {
    let is_new = deployment.changes.get(id).is_some_and(|change| change.before.is_none());
    let removes = if is_new { format!(", which removes {id}") } else { String::new() };
    format!("take it back with: tepui deployment cancel {}{removes}", deployment.id)
}
