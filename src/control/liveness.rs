//! Lost nodes are noticed, their tasks expire in time, draining nodes empty, stuck tasks end.

use std::{collections::BTreeMap, time::Duration};

use super::{drain, heard::Heard};
use crate::{
    base::{
        clock::{Moment, Timestamp},
        limit,
    },
    core::{Command, State, apply::cluster::expiry, deploy},
    model::{
        instance::{Condition, InstanceId, KillReason},
        path::AppId,
    },
};

/// A launched task that its agent has said nothing of for this long is killed and tried again
/// (DC/OS's `--task_launch_confirm_timeout`).
const CONFIRM: Duration = Duration::from_secs(1_800);
/// A task that is still being staged after this long is killed; image pulls count
/// (DC/OS's `--task_launch_timeout`).
const STAGE: Duration = Duration::from_secs(86_400);

/// What the reconciler remembers of instances that are not running yet: since when it has seen them
/// so. Lost with its leader, which gives them their time once more.
#[derive(Debug, Default)]
pub struct Early(BTreeMap<(InstanceId, u32), Moment>);

/// What time has made due. `now` is written down and decides nothing: time passes as `heard` has it.
pub fn step(state: &State, early: &mut Early, heard: &Heard, now: Timestamp) -> Vec<Command> {
    let mut commands = Vec::new();
    for node in state.nodes.values() {
        // Level-triggered in both directions: whatever the state says and however it came to say
        // so, a node that talks is reachable.
        let reachable =
            if node.is_reachable() { !heard.is_lost(node.id()) } else { heard.is_here(node.id()) };
        if reachable != node.is_reachable() {
            commands.push(Command::NodeReach { node: node.id().clone(), reachable });
        }
        drain::step(state, node, now, &mut commands);
    }
    expire(state, heard, &mut commands);
    let overdue = early.overdue(state, heard.now());
    if !overdue.is_empty() {
        let reason = KillReason::Overdue;
        commands.push(Command::Kill { instances: overdue, wipe: false, reason });
    }
    commands
}

impl Early {
    /// Looks at all instances; tells those that take too long to get running.
    fn overdue(&mut self, state: &State, now: Moment) -> Vec<InstanceId> {
        let before = std::mem::take(&mut self.0);
        let mut overdue = Vec::new();
        for i in state.instances.values().filter(|i| i.kill().is_none()) {
            let patience = match i.condition() {
                Condition::Provisioned => CONFIRM,
                Condition::Staging | Condition::Starting => STAGE,
                _ => continue,
            };
            let key = (i.id.clone(), i.incarnation);
            let since = before.get(&key).copied().unwrap_or(now);
            if now.since(since) >= patience {
                overdue.push(i.id.clone());
            }
            self.0.insert(key, since);
        }
        overdue
    }
}

/// Instances on lost nodes are replaced when their workload's time is up, and forgotten when that is
/// done and their later time is up too. Until then one that comes back is taken back.
fn expire(state: &State, heard: &Heard, commands: &mut Vec<Command>) {
    let (mut inactive, mut expunge) = (Vec::new(), Vec::new());
    let mut complete: BTreeMap<&AppId, bool> = BTreeMap::new();
    for node in state.nodes.values().filter(|n| !n.is_reachable()) {
        // Whoever was to come back while this leader stood still has his time from now on.
        if heard.attention() < limit::REPLACE_AFTER {
            continue;
        }
        let silence = heard.silence(node.id());
        for i in state.instances_on(node.id()) {
            let strategy = state.spec_of(i).map(|s| s.unreachable);
            let Some((replace, forget)) = strategy.and_then(expiry) else { continue };
            match i.condition() {
                Condition::Unreachable if silence >= replace => inactive.push(i.id.clone()),
                Condition::UnreachableInactive if silence >= forget => {
                    let Some(app) = i.app() else { continue };
                    let is_complete =
                        *complete.entry(app).or_insert_with(|| is_complete(state, app));
                    if is_complete {
                        expunge.push(i.id.clone());
                    }
                }
                _ => {}
            }
        }
    }
    if !inactive.is_empty() || !expunge.is_empty() {
        commands.push(Command::Expire { inactive, expunge });
    }
}

/// Whether a workload has what it wants without its lost instances.
fn is_complete(state: &State, app: &AppId) -> bool {
    let wanted = state.spec(app).map_or(0, |s| s.instances as usize);
    state.instances_of(app).filter(|i| deploy::is_healthy(state, i)).count() >= wanted
}

#[cfg(test)]
mod tests;
