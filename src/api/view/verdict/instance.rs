//! How one instance is doing. What is told of all of an app's instances alike (why nothing has room,
//! what a deployment waits for) is told of the app.

use super::{
    service::{LOOP_FAILURES, STUCK, is_steady},
    state::{Standing, Verdict},
    unmet::Unmet,
    words::{end_words, engine_next, kill_words, node_next},
};
use crate::{
    api::view::{
        View, health,
        lookup::{delayed_until, engine_away, is_well, main},
    },
    core::backoff::Delay,
    model::{Instance, instance::Condition},
};

/// The verdict about one instance.
pub fn verdict(view: &View<'_>, instance: &Instance) -> Verdict {
    let facts = Facts { view, instance };
    None.or_else(|| facts.ended())
        .or_else(|| facts.engine_down())
        .or_else(|| facts.unreachable())
        .or_else(|| facts.unhealthy())
        .or_else(|| facts.stopping())
        .or_else(|| facts.crash_looping())
        .or_else(|| facts.without_place())
        .or_else(|| facts.starting())
        .unwrap_or_else(|| facts.running())
}

struct Facts<'a> {
    view: &'a View<'a>,
    instance: &'a Instance,
}

impl Facts<'_> {
    fn tell(&self, state: Standing, sentence: impl Into<String>) -> Verdict {
        Verdict::of(state, sentence, self.instance.since)
    }

    fn host(&self) -> &str {
        self.instance.placement().map_or("", |place| &place.hostname)
    }

    fn log_next(&self) -> String {
        let task = self.instance.task_id(main(self.view.state, self.instance));
        format!("read its output: tepui log {task}")
    }

    fn ended(&self) -> Option<Verdict> {
        let condition = self.instance.condition();
        let text = end_words(condition)?;
        let state = match condition {
            Condition::Finished => Standing::Finished,
            Condition::Killed => Standing::Stopped,
            Condition::Dropped | Condition::Unknown => Standing::Lost,
            Condition::Gone => Standing::Gone,
            _ => Standing::Failed,
        };
        let message = &self.instance.message;
        let verdict = self.tell(state, text).because(message.clone());
        if state != Standing::Failed {
            return Some(verdict);
        }
        let unmet = Unmet::of(message).map(|unmet| unmet.next(self.host()));
        Some(verdict.next(unmet.unwrap_or_else(|| self.log_next())))
    }

    /// What runs and is well goes on without the engine.
    fn engine_down(&self) -> Option<Verdict> {
        let place = self.instance.placement()?;
        let away = engine_away(self.view, &place.node)
            .filter(|_| !is_well(self.view.state, self.instance))?;
        let text = format!("cannot go on: the container engine of {} does not answer", self.host());
        let verdict = Verdict::of(Standing::EngineDown, text, away.since);
        Some(verdict.because(away.cause).next(engine_next(self.host())))
    }

    fn unreachable(&self) -> Option<Verdict> {
        let place = self.instance.placement()?;
        let node = self.view.state.nodes.get(&place.node);
        let is_away = matches!(
            self.instance.condition(),
            Condition::Unreachable | Condition::UnreachableInactive
        ) || node.is_some_and(|node| !node.is_reachable());
        is_away.then(|| {
            self.tell(Standing::Unreachable, format!("nobody hears from {}", self.host()))
                .next(node_next(self.host()))
        })
    }

    fn unhealthy(&self) -> Option<Verdict> {
        let state = self.view.state;
        let spec = state.spec_of(self.instance)?;
        (state.healthy(self.instance) == Some(false)).then_some(())?;
        let failing = self.instance.health().iter().filter(|check| !check.alive);
        let since = failing.filter_map(|check| check.last_success).min();
        let since = since.or(self.instance.started_at()).unwrap_or(self.instance.since);
        let verdict = Verdict::of(Standing::Unhealthy, "fails its health check", since);
        let cause = health::failing(self.instance, spec).unwrap_or_default();
        Some(verdict.because(cause).next(self.log_next()))
    }

    fn stopping(&self) -> Option<Verdict> {
        let kill = self.instance.kill();
        if self.instance.condition() != Condition::Killing && kill.is_none() {
            return None;
        }
        let why = match self.instance.message.as_str() {
            "" => kill.map_or("", |kill| kill_words(&kill.reason)),
            message => message,
        };
        let since = kill.map_or(self.instance.since, |kill| kill.at);
        Some(Verdict::of(Standing::Stopping, "is stopping", since).because(why))
    }

    /// Its app's earned delay, while failures of this configuration count.
    fn delay(&self) -> Option<&Delay> {
        let state = self.view.state;
        let delay = state.delays.get(self.instance.app()?)?;
        let spec = state.spec_of(self.instance)?;
        let counts = delay.config == spec.last_config_change_at;
        (counts && !delay.is_stale(&spec.backoff, self.view.now)).then_some(&**delay)
    }

    fn crash_looping(&self) -> Option<Verdict> {
        let started_at = self.instance.started_at()?;
        let delay = self.delay().filter(|delay| delay.n_failures >= LOOP_FAILURES)?;
        let is_again = self.instance.incarnation > 1;
        (is_again && !is_steady(delay, started_at, self.view.now)).then(|| {
            let text = format!("runs again, after {} ends in a row", delay.n_failures);
            Verdict::of(Standing::CrashLooping, text, delay.began_at()).next(self.log_next())
        })
    }

    fn without_place(&self) -> Option<Verdict> {
        (self.instance.condition() == Condition::Scheduled).then_some(())?;
        let app = self.instance.app();
        if let Some(until) = app.and_then(|app| delayed_until(self.view, app)) {
            return Some(self.tell(Standing::Delayed, format!("is held back until {until}")));
        }
        let report = app.and_then(|app| self.view.cluster.attempt(app));
        Some(match report.filter(|report| report.is_blocked()) {
            Some(_) => self.tell(Standing::Waiting, "no node has room for it"),
            None => self.tell(Standing::Starting, "gets a place now"),
        })
    }

    fn starting(&self) -> Option<Verdict> {
        let text = match self.instance.condition() {
            Condition::Provisioned => "is sent to its node",
            Condition::Staging => "is made ready",
            Condition::Starting => "starts",
            Condition::Running => return self.pending(),
            _ => return None,
        };
        let is_late = self.view.now.since(self.instance.since) >= STUCK;
        let verdict = self.tell(if is_late { Standing::Stuck } else { Standing::Starting }, text);
        Some(verdict.because(self.instance.message.clone()))
    }

    /// It runs, and is not known to be well.
    fn pending(&self) -> Option<Verdict> {
        let spec = self.view.state.spec_of(self.instance)?;
        let cause = health::pending(self.instance, spec)?;
        Some(self.tell(Standing::Starting, "is up, a check is open").because(cause))
    }

    fn running(&self) -> Verdict {
        let state = self.view.state;
        let text = match (state.is_current(self.instance), state.healthy(self.instance)) {
            (true, Some(_)) => "is up and healthy",
            (false, Some(_)) => "is up and healthy, of an older version",
            (true, None) => "is up",
            (false, None) => "is up, of an older version",
        };
        self.tell(Standing::Running, text)
    }
}
