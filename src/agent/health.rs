//! Counting of check results: when a task is healthy, ready, or has failed often enough to die.
//! Pure; probes are made in `check`.
//!
//! Two rules of killing (docs/compat/containers.md, "Health checks"): a scheduler-run check kills
//! with the failure after the maximum, an agent-run one with the failure that reaches it.

use std::time::Duration;

use super::desired::Checked;
use crate::{
    base::clock::{Moment, Timestamp},
    model::{
        container::{HealthCheck, Probe},
        instance::{CheckOutcome, CheckStatus, ReadinessStatus},
        workload::RunSpec,
    },
};

/// The result of one health probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Healthy,
    Unhealthy(String),
    /// Says nothing about the task (a 1xx answer where those are ignored).
    Ignored,
}

/// Something a check found.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    Health { index: u32, outcome: Outcome },
    Readiness { index: usize, status: ReadinessStatus },
    Info(CheckOutcome),
}

/// What a finding leads to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Verdict {
    /// The results are news.
    pub changed: bool,
    /// Kill the task; the text says why.
    pub kill: Option<String>,
}

/// The checks of one incarnation.
#[derive(Clone, Debug)]
pub struct Health {
    checks: Vec<HealthCheck>,
    status: Vec<Option<CheckStatus>>,
    readiness: Vec<Option<ReadinessStatus>>,
    info: Option<CheckOutcome>,
    /// Grace periods count from here.
    started: Moment,
}

impl Health {
    /// No results yet, or those of `known`, kept over a restart of the agent: then grace periods
    /// begin once more for checks that never passed.
    pub fn new(run: &RunSpec, started: Moment, known: &Checked) -> Self {
        let checks: Vec<HealthCheck> =
            run.containers.iter().flat_map(|c| c.health_checks.clone()).collect();
        let mut status = vec![None; checks.len()];
        for old in &known.health {
            if let Some(slot) = usize::try_from(old.index).ok().and_then(|i| status.get_mut(i)) {
                *slot = Some(old.clone());
            }
        }
        let n_readiness = run.containers.iter().map(|c| c.readiness.len()).sum();
        let mut readiness = vec![None; n_readiness];
        for (slot, old) in readiness.iter_mut().zip(&known.readiness) {
            *slot = Some(old.clone());
        }
        Self { checks, status, readiness, info: known.check, started }
    }

    /// All results as they are reported.
    pub fn checked(&self) -> Checked {
        Checked {
            health: self.status.iter().flatten().cloned().collect(),
            ready: self.readiness.iter().all(|r| r.as_ref().is_some_and(|r| r.ready)),
            readiness: self.readiness.iter().flatten().cloned().collect(),
            check: self.info,
        }
    }

    /// Takes in a finding of now, on both clocks.
    pub fn take(&mut self, finding: Finding, now: Timestamp, moment: Moment) -> Verdict {
        let changed = match finding {
            Finding::Health { index, outcome } => {
                return self.health(index, outcome, now, moment);
            }
            Finding::Info(outcome) => self.info.replace(outcome) != Some(outcome),
            Finding::Readiness { index, status } => match self.readiness.get_mut(index) {
                Some(slot) => {
                    let changed = slot.as_ref() != Some(&status);
                    *slot = Some(status);
                    changed
                }
                None => false,
            },
        };
        Verdict { changed, kill: None }
    }

    fn health(&mut self, index: u32, outcome: Outcome, now: Timestamp, moment: Moment) -> Verdict {
        let nothing = Verdict::default();
        let Ok(at) = usize::try_from(index) else { return nothing };
        let (Some(check), Some(slot)) = (self.checks.get(at), self.status.get_mut(at)) else {
            return nothing;
        };
        let blank = || CheckStatus { index, ..CheckStatus::default() };
        match outcome {
            Outcome::Ignored => nothing,
            Outcome::Healthy => {
                let is_first = slot.is_none();
                let status = slot.get_or_insert_with(blank);
                let changed = is_first || !status.alive || status.consecutive_failures > 0;
                status.alive = true;
                status.consecutive_failures = 0;
                status.first_success.get_or_insert(now);
                status.last_success = Some(now);
                Verdict { changed, kill: None }
            }
            Outcome::Unhealthy(cause) => {
                let was_healthy = slot.as_ref().is_some_and(|s| s.first_success.is_some());
                let grace = Duration::from_millis(check.grace_ms);
                if !was_healthy && moment.since(self.started) < grace {
                    return nothing;
                }
                let status = slot.get_or_insert_with(blank);
                let before = status.consecutive_failures;
                status.alive = false;
                status.consecutive_failures = before.saturating_add(1);
                status.last_failure = Some(now);
                status.last_failure_cause = Some(cause.clone());
                let kills = if check.agent_semantics {
                    before + 1 >= check.failures_max
                } else {
                    check.failures_max > 0 && before >= check.failures_max
                };
                let kill = kills.then(|| killed_text(check, before + 1, &cause));
                Verdict { changed: true, kill }
            }
        }
    }
}

fn killed_text(check: &HealthCheck, n: u32, cause: &str) -> String {
    let kind = match &check.probe {
        Probe::Http { tls: true, .. } => "HTTPS",
        Probe::Http { tls: false, .. } => "HTTP",
        Probe::Tcp { .. } => "TCP",
        Probe::Command(_) => "COMMAND",
    };
    format!("Task was killed since {kind} health check failed {n} times in a row. Reason: {cause}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::container::ProbePort;

    fn health(agent_semantics: bool, failures_max: u32, grace_ms: u64) -> Health {
        let check = HealthCheck {
            probe: Probe::Tcp { port: ProbePort::Index(0), ipv6: false },
            agent_semantics,
            grace_ms,
            interval_ms: 10,
            timeout_ms: 10,
            failures_max,
            delay_ms: 0,
        };
        Health {
            checks: vec![check],
            status: vec![None],
            readiness: vec![],
            info: None,
            started: Moment::START,
        }
    }

    /// How many failures it takes, from 100 ms on.
    fn failures_to_kill(mut health: Health) -> Option<u32> {
        (1..10).find(|i| {
            let outcome = Outcome::Unhealthy("refused".into());
            let moment = Moment::from_ms(100 + u64::from(*i));
            let finding = Finding::Health { index: 0, outcome };
            health.take(finding, Timestamp::EPOCH, moment).kill.is_some()
        })
    }

    #[test]
    fn the_two_rules_of_killing() {
        for (agent, max, expected) in [
            (false, 3, Some(4)),
            (false, 0, None),
            (false, 1, Some(2)),
            (true, 3, Some(3)),
            (true, 1, Some(1)),
            (true, 0, Some(1)),
        ] {
            assert_eq!(failures_to_kill(health(agent, max, 0)), expected, "{agent} {max}");
        }
    }

    #[test]
    fn grace_ends_with_the_first_success() {
        let mut h = health(true, 1, 1_000);
        let hour_ahead = Timestamp::from_ms(3_600_000);
        let fail = || Finding::Health { index: 0, outcome: Outcome::Unhealthy("x".into()) };
        let mut take = |finding, ms| h.take(finding, hour_ahead, Moment::from_ms(ms));
        assert_eq!(take(fail(), 10), Verdict::default(), "no wall clock ends it");
        let ok = Finding::Health { index: 0, outcome: Outcome::Healthy };
        assert!(take(ok.clone(), 20).changed);
        assert!(!take(ok, 30).changed, "only changes are news");
        let text = take(fail(), 40).kill.unwrap();
        assert!(text.contains("TCP health check failed 1 times") && text.ends_with("x"), "{text}");
    }
}
