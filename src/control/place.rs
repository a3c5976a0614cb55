//! Waiting instances get a node.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    base::clock::Timestamp,
    core::{
        Command, State,
        place::{Limits, Planner, Report},
    },
    model::path::AppId,
};

/// One launch command for all that fit now, and a report for each workload that waits.
pub fn step(
    planner: &mut Planner,
    state: &State,
    limits: &Limits,
    now: Timestamp,
) -> (Option<Command>, BTreeMap<AppId, Arc<Report>>) {
    if state.index.waiting.is_empty() {
        return (None, BTreeMap::new());
    }
    let plan = planner.plan(state, &[], now, limits);
    let command = (!plan.launches.is_empty()).then_some(Command::Launch(plan.launches));
    let reports = plan.reports.into_iter().map(|(app, report)| (app, Arc::new(report))).collect();
    (command, reports)
}
