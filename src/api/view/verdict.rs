//! How an app is doing: one word, one sentence, since when, what causes it and what to do next.
//!
//! The list, `why`, deployments and the count of apps that need attention all ask here, so that no
//! two of them disagree. The worst that holds is told, in this order: the node cannot run
//! containers, checks fail, starts fail again and again, a deployment stands still, nothing has
//! room, on its way, running.

use std::time::Duration;

use serde::Serialize;

use super::{Iso, View, app::is_up, health, instance::condition_word, node, why};
use crate::{
    base::{clock::Timestamp, units::count},
    core::{backoff::Delay, state::TaskFailure},
    model::{
        AppId, Deployment, Instance, WorkloadSpec,
        instance::{Condition, KillReason},
    },
};

/// A deployment that has not moved for this long is told as stuck: longer than most pulls and
/// start-ups, and short enough that somebody still remembers starting it.
const STUCK: Duration = Duration::from_secs(300);
/// Failures in a row from which an app is said to fail again and again.
const LOOP_FAILURES: u32 = 3;
/// How long all instances must have run until earlier failures are forgotten.
const STEADY: Duration = Duration::from_secs(60);

/// One word for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AppCondition {
    Deleting,
    /// The container engine of a node it needs does not answer.
    EngineDown,
    /// A health check fails.
    Unhealthy,
    /// It fails again and again, soon after each start.
    CrashLooping,
    /// Its deployment has not moved for a while.
    Stuck,
    /// Held back after a failure.
    Delayed,
    /// Nothing has room for it.
    Waiting,
    Deploying,
    /// Outside a deployment: up, or nearly, and not yet known to be well.
    Starting,
    /// Fewer run than wanted.
    Degraded,
    Stopped,
    Running,
}

impl AppCondition {
    /// Whether somebody should look at it.
    pub fn needs_attention(self) -> bool {
        match self {
            Self::EngineDown
            | Self::Unhealthy
            | Self::CrashLooping
            | Self::Stuck
            | Self::Delayed
            | Self::Waiting
            | Self::Degraded => true,
            Self::Deleting | Self::Deploying | Self::Starting | Self::Stopped | Self::Running => {
                false
            }
        }
    }
}

/// `Verdict` of the contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    pub state: AppCondition,
    pub sentence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Iso>,
    /// What was seen, in the words of whoever saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Verdict {
    fn of(state: AppCondition, sentence: impl Into<String>, since: Option<Timestamp>) -> Self {
        let (sentence, since) = (sentence.into(), since.map(Iso));
        Self { state, sentence, since, cause: None, next: None }
    }

    fn because(self, cause: impl Into<String>) -> Self {
        let cause = cause.into();
        Self { cause: Some(cause).filter(|cause| !cause.is_empty()), ..self }
    }

    fn next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }

    /// Sentence and cause in one.
    pub fn full(&self) -> String {
        match &self.cause {
            Some(cause) if !self.sentence.contains(cause.as_str()) => {
                format!("{}: {cause}", self.sentence)
            }
            Some(_) | None => self.sentence.clone(),
        }
    }
}

/// The verdict about one app that `app::spec` knows.
pub fn verdict(view: &View<'_>, id: &AppId, spec: &WorkloadSpec) -> Verdict {
    let facts = Facts::of(view, id, spec);
    None.or_else(|| facts.deleting())
        .or_else(|| facts.stopped())
        .or_else(|| facts.engine_down())
        .or_else(|| facts.unhealthy())
        .or_else(|| facts.crash_looping())
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
            state.instances_of(id).filter(|i| !i.condition().is_terminal()).map(|i| &**i).collect();
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
        let since = self.deployment.map(|d| d.started_at);
        let verdict =
            Verdict::of(AppCondition::Deleting, format!("being removed, {left} left"), since);
        Some(match self.held_up() {
            Some((cause, next)) => verdict.because(cause).next(next),
            None => verdict,
        })
    }

    fn stopped(&self) -> Option<Verdict> {
        let is_stopped = self.wanted == 0 && self.present.is_empty() && self.deployment.is_none();
        is_stopped.then(|| {
            let text = "no instance is wanted";
            let since = Some(self.spec.last_scaling_at);
            Verdict::of(AppCondition::Stopped, text, since)
                .next(format!("tepui app scale {} N starts it", self.id))
        })
    }

    /// A node that keeps an instance from going on, and what to do about it.
    fn held_up(&self) -> Option<(String, String)> {
        self.present.iter().filter(|i| !is_up(self.view.state, i)).find_map(|instance| {
            let place = instance.placement()?;
            if let Some(away) = node::engine_away(self.view, &place.node) {
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
            Some((&place.hostname, node::engine_away(self.view, &place.node)?))
        });
        let (host, away) = held.next()?;
        let n = 1 + held.count();
        let who = self.n_of(n);
        let text = format!("{who} cannot go on: the container engine of {host} does not answer");
        Some(
            Verdict::of(AppCondition::EngineDown, text, Some(away.since))
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
            let verdict = Verdict::of(AppCondition::Unhealthy, text, since);
            return Some(verdict.because(cause.unwrap_or_default()).next(next));
        }
        // Between two instances that a check has ended: nothing fails at this very moment.
        let failure = self.failure.filter(|f| f.state == Condition::Killed.task_state())?;
        let is_successor = |i: &&Instance| i.id == failure.instance && !is_up(state, i);
        self.present.iter().any(is_successor).then(|| {
            let text = "an instance was ended because its health check failed, and started anew";
            Verdict::of(AppCondition::Unhealthy, text, Some(failure.at))
                .because(failure.message.clone())
                .next(next)
        })
    }

    fn crash_looping(&self) -> Option<Verdict> {
        let delay = self.delay.filter(|d| d.n_failures >= LOOP_FAILURES)?;
        let last_start = self.present.iter().filter_map(|i| i.started_at()).max();
        let pause = STEADY.max(2 * Duration::from_millis(delay.delay_ms));
        let steady = last_start.is_some_and(|at| self.view.now.since(at) > pause);
        if self.n_up >= self.wanted && steady {
            return None;
        }
        let n = delay.n_failures;
        let mut text = format!("it ended {n} times in a row soon after its start");
        if delay.until > self.view.now && self.n_waiting() > 0 {
            text.push_str(&format!("; the next start is held back until {}", delay.until));
        }
        Some(self.failed(Verdict::of(AppCondition::CrashLooping, text, Some(delay.failed_at))))
    }

    fn delayed(&self) -> Option<Verdict> {
        let delay = self.delay.filter(|d| d.until > self.view.now && self.n_waiting() > 0)?;
        let times = match delay.n_failures {
            1 => "it ended once".to_owned(),
            n => format!("it ended {n} times in a row"),
        };
        let text = format!("{times}; the next start is held back until {}", delay.until);
        Some(self.failed(Verdict::of(AppCondition::Delayed, text, Some(delay.failed_at))))
    }

    /// Adds what the last failure was.
    fn failed(&self, verdict: Verdict) -> Verdict {
        let cause = self.failure.map(|f| match f.message.as_str() {
            "" => f.state.clone(),
            message => format!("{message} ({})", f.state),
        });
        // A task that ends by itself with exit code 0 is none of the failures that are remembered.
        let cause =
            cause.unwrap_or_else(|| "the program ended by itself without an error".to_owned());
        // What failed before the program started has left no output.
        let next = match self.failure.and_then(|f| prepare_next(&f.message, &f.hostname)) {
            Some(next) => next,
            None => self.read_output(),
        };
        verdict.because(cause).next(next)
    }

    fn read_output(&self) -> String {
        format!("read its output: tepui log {}", self.id)
    }

    fn n_waiting(&self) -> usize {
        self.view.state.index.waiting.get(self.id).map_or(0, |waiting| waiting.len())
    }

    fn waiting(&self) -> Option<Verdict> {
        let text = why::stuck(self.view, self.id).filter(|_| self.n_waiting() > 0)?;
        let waiting: Vec<&Instance> =
            self.present.iter().copied().filter(|i| i.waits_for_place()).collect();
        Some(
            Verdict::of(AppCondition::Waiting, text, Self::earliest(&waiting))
                .next(format!("tepui why {} --nodes lists what every node lacks", self.id)),
        )
    }

    fn deploying(&self) -> Option<Verdict> {
        let deployment = self.deployment?;
        let moved = self
            .present
            .iter()
            .flat_map(|i| {
                let healthy = i.health().iter().filter_map(|c| c.first_success);
                healthy.chain(i.started_at()).chain([i.since])
            })
            .fold(deployment.started_at, Timestamp::max);
        let coming = self.coming();
        let n_up = self.n_up;
        let text = match self.wanted {
            0 => format!("being stopped, {} left", count(self.present.len(), "instance")),
            1 if n_up == 0 => "its one instance is not up yet".to_owned(),
            1 => "its one instance is up".to_owned(),
            wanted => format!("{n_up} of {wanted} instances are up"),
        };
        if self.view.now.since(moved) < STUCK {
            let verdict = Verdict::of(AppCondition::Deploying, text, Some(deployment.started_at));
            let verdict = verdict.because(coming.unwrap_or_default());
            let runs = self
                .present
                .iter()
                .any(|i| i.condition() == Condition::Running && !is_up(self.view.state, i));
            return Some(if runs { verdict.next(self.read_output()) } else { verdict });
        }
        let (cause, next) = match self.held_up() {
            Some(held) => held,
            None => {
                let others = others(deployment, self.id);
                let cause = coming.or(others).unwrap_or_default();
                (cause, format!("take it back with: tepui deployment cancel {}", deployment.id))
            }
        };
        Some(
            Verdict::of(
                AppCondition::Stuck,
                format!("the deployment is stuck: {text}"),
                Some(moved),
            )
            .because(cause)
            .next(next),
        )
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
        let verdict = Verdict::of(AppCondition::Degraded, who, Self::earliest(&late));
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
        let verdict = Verdict::of(AppCondition::Starting, text, Self::earliest(&late));
        Some(verdict.because(self.coming().unwrap_or_default()))
    }

    fn running(&self) -> Verdict {
        let well = if self.spec.run.has_health_checks() { " and is healthy" } else { "" };
        let text = match self.wanted {
            1 => format!("its one instance runs{well}"),
            wanted => format!("all {wanted} instances run{}", well.replace("is", "are")),
        };
        let since = self.present.iter().map(|i| i.since).max();
        Verdict::of(AppCondition::Running, text, since)
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

fn kill_words(reason: &KillReason) -> &'static str {
    match reason {
        KillReason::Request => "somebody asked for it",
        KillReason::Deployment => "a deployment has no more use for it",
        KillReason::Drain => "its node is drained",
        KillReason::Overdue => "it did not get running in time",
    }
}

fn engine_next(host: &str) -> String {
    format!("on {host}, see why the container engine does not run: systemctl status docker")
}

fn node_next(host: &str) -> String {
    format!("look at the network and the tepui process of {host}")
}

/// What to look at when a task failed before its program started; by the beginning of its message
/// (`agent::prepare`).
fn prepare_next(message: &str, host: &str) -> Option<String> {
    if message.starts_with("cannot get the container ready") {
        Some(format!("see that the image's name is right and that {host} can pull it"))
    } else if message.starts_with("Failed to fetch") {
        Some(format!("see that the addresses to fetch are right and that {host} reaches them"))
    } else {
        None
    }
}
