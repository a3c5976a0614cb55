//! Draining nodes empty: what is replaced elsewhere ends, until nothing is left or time is up.
//!
//! Replacements are made by the deployment reconciler, which does not count what is to leave.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    base::{clock::Timestamp, limit},
    core::{Command, State, deploy},
    model::{
        instance::{Instance, KillReason},
        node::{Duty, Node},
        path::AppId,
    },
};

/// What is due for one node. At its deadline a drain ends: nothing more is moved, and the node goes
/// on taking no new work.
pub fn step(state: &State, node: &Node, now: Timestamp, commands: &mut Vec<Command>) {
    let Duty::Draining { until, .. } = node.duty else { return };
    let duty = |duty| Command::NodeDuty { node: node.id().clone(), duty };
    // Only workloads are replaced elsewhere; the node waits until the tasks of others have ended.
    let mut by_app: BTreeMap<&AppId, Vec<Arc<Instance>>> = BTreeMap::new();
    for instance in state.instances_on(node.id()) {
        if let Some(app) = instance.app() {
            by_app.entry(app).or_default().push(instance.clone());
        }
    }
    let is_empty = state.instances_on(node.id()).next().is_none();
    if is_empty && node.is_reachable() {
        commands.push(duty(Duty::Drained { since: now }));
        return;
    }
    if now >= until {
        commands.push(duty(Duty::Deactivated { since: now }));
        return;
    }
    if !node.is_reachable() {
        return;
    }
    // A deployment under way moves its instances itself, and one decision at a time keeps enough.
    let free = by_app.into_iter().filter(|(app, _)| !state.index.locks.contains_key(*app));
    let instances: Vec<_> = free
        .filter_map(|(app, here)| Some(deploy::drain::due(state, state.spec(app)?, &here)))
        .flatten()
        .take(limit::MOVES_PER_COMMAND_MAX)
        .collect();
    if !instances.is_empty() {
        commands.push(Command::Kill { instances, wipe: true, reason: KillReason::Drain });
    }
}
