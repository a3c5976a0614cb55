//! Waiting instances get a node.

use std::sync::Arc;

use super::reconciler::{Ground, Reconciler, Report, Seen, Step, Wait};
use crate::{
    base::{clock::Timestamp, units::count},
    core::{
        State, TaskCommand,
        place::{Limits, Planner},
    },
};

/// The reconciler, with what it remembers of earlier plans.
pub struct Placement {
    planner: Planner,
    limits: Limits,
}

impl Reconciler for Placement {
    fn begin(ground: &Ground) -> Self {
        Self { planner: Planner::default(), limits: ground.limits.clone() }
    }

    fn step(&mut self, seen: &Seen<'_>) -> Step {
        if !seen.state.index.waiting.is_empty() {
            self.limits.ports_held = seen.aside.ports_held();
        }
        step(&mut self.planner, seen.state, &self.limits, seen.now)
    }
}

/// One launch command for all that fit now; what was found for each workload that waits.
pub fn step(planner: &mut Planner, state: &State, limits: &Limits, now: Timestamp) -> Step {
    if state.index.waiting.is_empty() {
        let report =
            Report { looks_at: "nothing waits for a place".to_owned(), ..Report::default() };
        return Step { commands: Vec::new(), report };
    }
    let n_waiting = state.index.waiting.values().map(|waiting| waiting.len()).sum();
    let (instances, apps) = (count(n_waiting, "instance"), count(state.index.waiting.len(), "app"));
    let plan = planner.plan(state, &[], now, limits);
    let mut report =
        Report { looks_at: format!("{instances} of {apps} without a place"), ..Report::default() };
    for (app, attempt) in &plan.reports {
        if attempt.n_waiting > 0 {
            report.wait(|| Wait::of("app", app, &attempt.sentence));
        }
    }
    report.attempts = plan.reports.into_iter().map(|(app, a)| (app, Arc::new(a))).collect();
    let launch = (!plan.launches.is_empty()).then(|| TaskCommand::Launch(plan.launches).into());
    Step { commands: launch.into_iter().collect(), report }
}
