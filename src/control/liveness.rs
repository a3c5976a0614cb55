//! Lost nodes are noticed, their tasks expire in time, draining nodes empty, stuck tasks end.

use std::{collections::BTreeMap, time::Duration};

use super::{
    drain,
    heard::Heard,
    reconciler::{Ground, Reconciler, Report, Seen, Step, Wait},
};
use crate::{
    base::{
        clock::{Moment, Timestamp},
        limit,
        units::count,
    },
    core::{NodeCommand, State, TaskCommand, apply::task::expiry, deploy},
    model::{
        instance::{Condition, InstanceId, KillReason},
        node::Node,
        path::AppId,
    },
};

/// A launched task that its agent has said nothing of for this long is killed and tried again
/// (DC/OS's `--task_launch_confirm_timeout`).
const CONFIRM: Duration = Duration::from_secs(1_800);
/// A task that is still being staged after this long is killed; image pulls count
/// (DC/OS's `--task_launch_timeout`).
const STAGE: Duration = Duration::from_secs(86_400);

/// Silence of a node from which on it is told: two heartbeats are late.
const QUIET: Duration = Duration::from_millis(1_500);

/// The reconciler.
pub struct Liveness(Early);

impl Reconciler for Liveness {
    fn begin(_: &Ground) -> Self {
        Self(Early::default())
    }

    fn step(&mut self, seen: &Seen<'_>) -> Step {
        step(seen.state, &mut self.0, &seen.aside.heard(), seen.now)
    }
}

/// What the reconciler remembers of instances that are not running yet: since when it has seen them
/// so. Lost with its leader, which gives them their time once more.
#[derive(Debug, Default)]
pub struct Early(BTreeMap<(InstanceId, u32), Moment>);

/// What time has made due. `now` is written down and decides nothing: time passes as `heard` has it.
pub fn step(state: &State, early: &mut Early, heard: &Heard, now: Timestamp) -> Step {
    let mut step = Step::default();
    for node in state.nodes.values() {
        // Level-triggered in both directions: whatever the state says and however it came to say
        // so, a node that talks is reachable.
        let reachable =
            if node.is_reachable() { !heard.is_lost(node.id()) } else { heard.is_here(node.id()) };
        if reachable != node.is_reachable() {
            let node = node.id().clone();
            step.commands.push(NodeCommand::NodeReach { node, reachable }.into());
        } else if reachable {
            quiet(node, heard, &mut step.report);
        }
        drain::step(state, node, now, &mut step);
    }
    expire(state, heard, &mut step);
    let overdue = early.overdue(state, heard.now(), &mut step.report);
    if !overdue.is_empty() {
        let reason = KillReason::Overdue;
        let kill = TaskCommand::Kill { instances: overdue, wipe: false, reason };
        step.commands.push(kill.into());
    }
    step.report.looks_at = looks_at(state, early);
    step
}

fn looks_at(state: &State, early: &Early) -> String {
    let lost = state.nodes.values().filter(|n| !n.is_reachable()).count();
    let (nodes, draining) = (count(state.nodes.len(), "node"), state.index.draining.len());
    let early = count(early.0.len(), "task");
    format!("{nodes}, {lost} of them lost, {draining} draining; {early} on the way to running")
}

/// Tells of a node that is not lost yet.
fn quiet(node: &Node, heard: &Heard, report: &mut Report) {
    let silence = heard.silence(node.id()).min(heard.attention());
    if silence >= QUIET {
        let left = seconds(heard.patience(node.id()));
        let because = || format!("silent for {}, lost in {left}", seconds(silence));
        report.wait(|| Wait::of("node", &node.info.hostname, because()));
    }
}

/// In whole seconds.
fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

impl Early {
    /// Looks at all instances; tells those that take too long to get running.
    fn overdue(&mut self, state: &State, now: Moment, report: &mut Report) -> Vec<InstanceId> {
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
            let waited = now.since(since);
            if waited >= patience {
                overdue.push(i.id.clone());
            } else if waited >= patience / 2 {
                let left = seconds(patience - waited);
                let because = || format!("not running after {}, ended in {left}", seconds(waited));
                report.wait(|| Wait::of("instance", &i.id, because()));
            }
            self.0.insert(key, since);
        }
        overdue
    }
}

/// Instances on lost nodes are replaced when their workload's time is up, and forgotten when that is
/// done and their later time is up too. Until then one that comes back is taken back.
fn expire(state: &State, heard: &Heard, step: &mut Step) {
    let Step { commands, report } = step;
    let (mut inactive, mut expunge) = (Vec::new(), Vec::new());
    let mut complete: BTreeMap<&AppId, bool> = BTreeMap::new();
    for node in state.nodes.values().filter(|n| !n.is_reachable()) {
        // Whoever was to come back while this leader stood still has his time from now on.
        let attention = heard.attention();
        if attention < limit::REPLACE_AFTER {
            let left = seconds(limit::REPLACE_AFTER - attention);
            let because = || format!("lost; this leader gives it {left} more to come back");
            report.wait(|| Wait::of("node", &node.info.hostname, because()));
            continue;
        }
        let silence = heard.silence(node.id());
        let mut lost = Lost::default();
        for i in state.instances_on(node.id()) {
            let strategy = state.spec_of(i).map(|s| s.unreachable);
            let Some((replace, forget)) = strategy.and_then(expiry) else { continue };
            match i.condition() {
                Condition::Unreachable if silence >= replace => inactive.push(i.id.clone()),
                Condition::Unreachable => lost.later(replace - silence),
                Condition::UnreachableInactive if silence >= forget => {
                    let Some(app) = i.app() else { continue };
                    let is_complete =
                        *complete.entry(app).or_insert_with(|| is_complete(state, app));
                    if is_complete {
                        expunge.push(i.id.clone());
                    } else {
                        lost.n_alone += 1;
                    }
                }
                Condition::UnreachableInactive => lost.n_replaced += 1,
                _ => {}
            }
        }
        report.wait(|| Wait::of("node", &node.info.hostname, lost.words(silence)));
    }
    if !inactive.is_empty() || !expunge.is_empty() {
        commands.push(TaskCommand::Expire { inactive, expunge }.into());
    }
}

/// What is left on a lost node, for people.
#[derive(Default)]
struct Lost {
    /// To be replaced, the first in so long.
    n_later: usize,
    next: Option<Duration>,
    /// Given up, and remembered in case they come back.
    n_replaced: usize,
    /// Given up, and kept as others do not do their work yet.
    n_alone: usize,
}

impl Lost {
    fn later(&mut self, after: Duration) {
        self.n_later += 1;
        self.next = Some(self.next.map_or(after, |next| next.min(after)));
    }

    fn words(&self, silence: Duration) -> String {
        let mut text = format!("lost, silent for {}", seconds(silence));
        if let Some(next) = self.next {
            let (tasks, next) = (count(self.n_later, "task"), seconds(next));
            text.push_str(&format!("; {tasks} to be replaced, the first in {next}"));
        }
        if self.n_replaced > 0 {
            text.push_str(&format!(
                "; {} taken back if it returns",
                count(self.n_replaced, "task")
            ));
        }
        if self.n_alone > 0 {
            let tasks = count(self.n_alone, "task");
            text.push_str(&format!("; {tasks} kept until replacements are healthy"));
        }
        text
    }
}

/// Whether a workload has what it wants without its lost instances.
fn is_complete(state: &State, app: &AppId) -> bool {
    let wanted = state.spec(app).map_or(0, |s| s.instances as usize);
    state.instances_of(app).filter(|i| deploy::is_healthy(state, i)).count() >= wanted
}

#[cfg(test)]
mod tests;
