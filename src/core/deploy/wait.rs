//! What a deployment waits for, in words: why its present step does not advance although nothing is
//! to be made or ended now.
//!
//! As with `progress::scale`, only a workload that has its number is looked through for health.

use super::{drain, progress::is_good};
use crate::{
    base::units::count,
    core::{apply::is_present, state::State},
    model::{deployment::Deployment, instance::Goal, path::AppId, workload::WorkloadSpec},
};

/// Workloads of a step that are told one by one.
const TOLD_MAX: usize = 3;

/// What the present step of a deployment waits for, whose actions on the `open` workloads are not done.
pub fn step(state: &State, deployment: &Deployment, open: &[AppId]) -> String {
    let told = open.iter().take(TOLD_MAX);
    let mut parts: Vec<String> = told.map(|app| action(state, deployment, app)).collect();
    if open.len() > TOLD_MAX {
        parts.push(format!("and {}", count(open.len() - TOLD_MAX, "more app")));
    }
    let (now, all) = (deployment.current_step, deployment.steps.len());
    format!("step {now} of {all}: {}", parts.join("; "))
}

/// What a workload outside of deployments waits for that has more or fewer instances than wanted.
pub fn outside(state: &State, app: &AppId) -> String {
    match state.spec(app) {
        Some(spec) => numbers(state, spec),
        None => leaving(state, app),
    }
}

fn action(state: &State, deployment: &Deployment, app: &AppId) -> String {
    match deployment.changes.get(app).and_then(|t| t.after.as_ref()) {
        Some(spec) => numbers(state, spec),
        None => leaving(state, app),
    }
}

fn leaving(state: &State, app: &AppId) -> String {
    let n = state.instances_of(app).count();
    format!("{app} is to go, {} left", count(n, "instance"))
}

/// What is missing and what is too much.
fn numbers(state: &State, spec: &WorkloadSpec) -> String {
    let (app, wanted) = (&spec.id, spec.instances as usize);
    let n_present = state.index.present.get(app).copied().unwrap_or(0);
    let mut parts = Vec::new();
    if n_present < wanted {
        parts.push(format!("{n_present} of {wanted} instances are made"));
    } else {
        looked_through(state, spec, &mut parts);
    }
    let n_waiting = state.index.waiting.get(app).map_or(0, |waiting| waiting.len());
    if n_waiting > 0 {
        parts.push(format!("{n_waiting} without a place"));
    }
    if parts.is_empty() {
        parts.push("its instances move".to_owned());
    }
    format!("{app}: {}", parts.join(", "))
}

fn looked_through(state: &State, spec: &WorkloadSpec, parts: &mut Vec<String>) {
    let (mut n_good, mut n_old, mut n_ending, mut n_drained) = (0, 0, 0, 0);
    for instance in state.instances_of(&spec.id) {
        if instance.is_kept() {
            continue;
        }
        if instance.goal != Goal::Running || instance.kill().is_some() {
            n_ending += 1;
        } else if !state.is_current(instance) {
            n_old += 1;
        } else if is_present(instance) && is_good(state, spec, instance) {
            n_good += 1;
        }
        n_drained += usize::from(drain::leaves(state, instance));
    }
    let wanted = spec.instances as usize;
    if n_good < wanted {
        let well = match (spec.run.has_health_checks(), spec.run.has_readiness_checks()) {
            (true, true) => "healthy and ready",
            (true, false) => "healthy",
            (false, true) => "ready",
            (false, false) => "up",
        };
        parts.push(format!("{n_good} of {} {well}", count(wanted, "instance")));
    }
    if n_old > 0 {
        parts.push(format!("{n_old} of an older version left"));
    }
    if n_ending > 0 {
        parts.push(format!("{n_ending} on the way out"));
    }
    if n_drained > 0 {
        parts.push(format!("{n_drained} to leave a draining node"));
    }
}
