//! Lost nodes are noticed, their tasks expire in time, draining nodes empty, stuck tasks end.

use std::{collections::BTreeMap, time::Duration};

use super::heard::Heard;
use crate::{
    base::clock::Timestamp,
    core::{
        Command, State,
        apply::cluster::expiry,
        deploy::{self, kill},
    },
    model::{
        instance::{Condition, Goal, Instance, InstanceId, KillReason},
        node::{Duty, Node},
        path::AppId,
    },
};

/// A launched task that its agent has said nothing of for this long is killed and tried again
/// (DC/OS's `--task_launch_confirm_timeout`).
const CONFIRM: Duration = Duration::from_secs(1_800);
/// A task that is still being staged after this long is killed; image pulls count
/// (DC/OS's `--task_launch_timeout`).
const STAGE: Duration = Duration::from_secs(86_400);

/// What time has made due.
pub fn step(state: &State, heard: &Heard, now: Timestamp) -> Vec<Command> {
    let mut commands = Vec::new();
    for node in state.nodes.values() {
        // Level-triggered in both directions: whatever the state says and however it came to say
        // so, a node that talks is reachable.
        let reachable =
            if node.is_reachable() { !heard.is_lost(node.id()) } else { heard.is_here(node.id()) };
        if reachable != node.is_reachable() {
            commands.push(Command::NodeReach { node: node.id().clone(), reachable });
        }
        drain(state, node, now, &mut commands);
    }
    expire(state, now, &mut commands);
    let overdue: Vec<InstanceId> = state
        .instances
        .values()
        .filter(|i| i.kill.is_none() && is_overdue(i, now))
        .map(|i| i.id.clone())
        .collect();
    if !overdue.is_empty() {
        let reason = KillReason::Overdue;
        commands.push(Command::Kill { instances: overdue, wipe: false, reason });
    }
    commands
}

fn is_overdue(instance: &Instance, now: Timestamp) -> bool {
    let Some(placement) = &instance.placement else { return false };
    let waited = now.since(placement.launched_at);
    match instance.condition {
        Condition::Provisioned => waited >= CONFIRM,
        Condition::Staging | Condition::Starting => waited >= STAGE,
        _ => false,
    }
}

/// Instances on lost nodes turn inactive and are forgotten when their workload's time is up.
fn expire(state: &State, now: Timestamp, commands: &mut Vec<Command>) {
    let (mut inactive, mut expunge) = (Vec::new(), Vec::new());
    for node in state.nodes.values().filter(|n| !n.is_reachable()) {
        for i in state.instances_on(node.id()) {
            let strategy = state.spec_of(i).map(|s| s.unreachable);
            let Some((to_inactive, to_expunge)) = strategy.and_then(expiry) else { continue };
            let waited = now.since(i.since);
            match i.condition {
                Condition::Unreachable | Condition::UnreachableInactive if waited >= to_expunge => {
                    expunge.push(i.id.clone());
                }
                Condition::Unreachable if waited >= to_inactive => inactive.push(i.id.clone()),
                _ => {}
            }
        }
    }
    if !inactive.is_empty() || !expunge.is_empty() {
        commands.push(Command::Expire { inactive, expunge });
    }
}

/// A draining node loses its tasks as far as each workload's minimum health allows; when nothing
/// is left it is drained.
fn drain(state: &State, node: &Node, now: Timestamp, commands: &mut Vec<Command>) {
    if !matches!(node.duty, Duty::Draining { .. }) || !node.is_reachable() {
        return;
    }
    let mut by_app: BTreeMap<&AppId, Vec<_>> = BTreeMap::new();
    let mut n_held = 0;
    for i in state.instances_on(node.id()) {
        n_held += 1;
        if i.kill.is_none() && i.goal == Goal::Running {
            by_app.entry(&i.app).or_default().push(i.clone());
        }
    }
    if n_held == 0 {
        let duty = Duty::Drained { since: now };
        commands.push(Command::NodeDuty { node: node.id().clone(), duty });
        return;
    }
    let mut instances = Vec::new();
    for (app, here) in by_app {
        let Some(spec) = state.spec(app) else { continue };
        let n_move = deploy::movable(state, app).min(here.len());
        instances.extend(kill::choose(state, spec, &here, n_move, &Default::default()));
    }
    if !instances.is_empty() {
        commands.push(Command::Kill { instances, wipe: false, reason: KillReason::Drain });
    }
}

#[cfg(test)]
mod tests;
