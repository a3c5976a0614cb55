//! Deployments advance one due move at a time; workloads outside them keep their number.

use std::collections::{BTreeMap, BTreeSet};

use super::reconciler::{Ground, Reconciler, Report, Seen, Step, Wait};
use crate::{
    base::{clock::Timestamp, limit, rng::Rng, units::count},
    core::{
        State, WorkloadCommand,
        command::{DeployStep, Scale},
        deploy::{self, Due, wait},
    },
    model::{
        deployment::{Deployment, DeploymentId},
        instance::{Goal, InstanceId},
        path::AppId,
    },
};

/// Instances the deployment with the smallest share makes or ends in one activation, so that no
/// number of large ones brings a small one to a stop.
const SHARE_MIN: usize = 10;

/// The reconciler.
pub struct Deployments {
    idle: Idle,
    rng: Rng,
}

impl Reconciler for Deployments {
    fn begin(ground: &Ground) -> Self {
        Self { idle: Idle::default(), rng: ground.rng.clone() }
    }

    fn step(&mut self, seen: &Seen<'_>) -> Step {
        step(seen.state, &mut self.idle, &mut self.rng, seen.now)
    }
}

/// Deployments that had nothing to do, with what they wait for and the revision up to which that is
/// known. What is due depends on their workloads alone, so it stays true until one of those is
/// touched: a cluster with many large deployments looks through the few that moved.
#[derive(Debug, Default)]
pub struct Idle(BTreeMap<DeploymentId, (u64, Wait)>);

impl Idle {
    fn waits(&self, state: &State, deployment: &Deployment) -> Option<&Wait> {
        let (seen, wait) = self.0.get(&deployment.id)?;
        let touched = |app| state.index.touched.get(app).is_none_or(|revision| revision > seen);
        (!deployment.changes.keys().any(touched)).then_some(wait)
    }
}

/// What is due now. New instances get their ids here.
pub fn step(state: &State, idle: &mut Idle, rng: &mut Rng, now: Timestamp) -> Step {
    let mut commands = Vec::new();
    let mut report = Report { looks_at: looks_at(state), ..Report::default() };
    idle.0.retain(|id, _| state.deployments.contains_key(id));
    // All commands of one activation may stand in one entry of the log: together they are no
    // larger than one command may be.
    let n_users = state.deployments.len() + state.index.uneven.len();
    let share = (limit::MOVES_PER_COMMAND_MAX / n_users.max(1)).max(SHARE_MIN);
    let mut n_waiting: usize = state.index.waiting.values().map(|waiting| waiting.len()).sum();
    for deployment in state.deployments.values() {
        if let Some(wait) = idle.waits(state, deployment) {
            report.wait(|| wait.clone());
            continue;
        }
        let due = deploy::due(state, deployment);
        let advance = due.iter().all(|d| d.done);
        // Held back by what all workloads together have waiting, it moves on when others do.
        let wants_more = due.iter().any(|d| d.n_add > 0);
        let open: Vec<AppId> = due.iter().filter(|d| !d.done).map(|d| d.app.clone()).collect();
        let mut room = share;
        let scales: Vec<Scale> = due
            .into_iter()
            .filter_map(|d| scale(state, d, &mut room, &mut n_waiting, rng, now))
            .collect();
        if advance || !scales.is_empty() {
            let step = DeployStep {
                deployment: deployment.id.clone(),
                step: deployment.current_step,
                scales,
                advance,
            };
            commands.push(WorkloadCommand::DeployStep(step).into());
        } else if wants_more {
            report.wait(|| Wait::of("deployment", &deployment.id, CROWDED));
        } else {
            let wait = Wait::of("deployment", &deployment.id, wait::step(state, deployment, &open));
            report.wait(|| wait.clone());
            idle.0.insert(deployment.id.clone(), (state.revision, wait));
        }
    }
    for app in &state.index.uneven {
        let due = match state.spec(app) {
            Some(spec) => deploy::progress::scale(state, spec, &BTreeSet::new()),
            None => orphans(state, app),
        };
        let (mut room, wants_more) = (share, due.n_add > 0);
        match scale(state, due, &mut room, &mut n_waiting, rng, now) {
            Some(scale) => commands.push(WorkloadCommand::Scale(scale).into()),
            None if wants_more => report.wait(|| Wait::of("app", app, CROWDED)),
            None => report.wait(|| Wait::of("app", app, wait::outside(state, app))),
        }
    }
    Step { commands, report }
}

/// What keeps a workload from having more instances made.
const CROWDED: &str = "as many instances wait for a place as the cluster lets wait";

fn looks_at(state: &State) -> String {
    let deployments = count(state.deployments.len(), "deployment");
    let uneven = count(state.index.uneven.len(), "app");
    format!("{deployments}; outside of them {uneven} with more or fewer instances than wanted")
}

/// A new id for an instance of `app`: `<safe path>.instance-<time-based uuid>`.
pub fn instance_id(app: &AppId, rng: &mut Rng, now: Timestamp) -> InstanceId {
    InstanceId::from(format!("{}.instance-{}", app.safe(), rng.uuid_at(now)))
}

/// What is done now of what is due: no more moves than there is `room` for, and no more waiting
/// instances than the cluster may have; what is left follows with the next activation.
fn scale(
    state: &State,
    due: Due,
    room: &mut usize,
    n_waiting: &mut usize,
    rng: &mut Rng,
    now: Timestamp,
) -> Option<Scale> {
    let retire: Vec<InstanceId> = due
        .retire
        .into_iter()
        .filter(|id| state.instances.get(id).is_some_and(|i| i.goal != Goal::Decommissioned))
        .take(*room)
        .collect();
    *room -= retire.len();
    let may_wait = if *n_waiting < limit::WAITING_MAX {
        limit::WAITING_MAX - *n_waiting
    } else {
        usize::from(!state.index.waiting.contains_key(&due.app))
    };
    let n_add = due.n_add.min(*room).min(may_wait);
    *room -= n_add;
    *n_waiting += n_add;
    if n_add == 0 && retire.is_empty() {
        return None;
    }
    let add = (0..n_add).map(|_| instance_id(&due.app, rng, now)).collect();
    Some(Scale { app: due.app, add, retire })
}

/// Instances of a workload that nobody wants any more.
fn orphans(state: &State, app: &AppId) -> Due {
    let retire = state
        .instances_of(app)
        .filter(|i| i.goal != Goal::Decommissioned)
        .take(limit::MOVES_PER_COMMAND_MAX)
        .map(|i| i.id.clone())
        .collect();
    Due { app: app.clone(), n_add: 0, retire, done: false }
}
