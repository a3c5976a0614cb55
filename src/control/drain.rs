//! Draining nodes empty: what is replaced elsewhere ends, until nothing is left or time is up.
//!
//! Replacements are made by the deployment reconciler, which does not count what is to leave.

use std::{collections::BTreeMap, sync::Arc};

use super::reconciler::{Step, Wait};
use crate::{
    base::{clock::Timestamp, limit, units::count},
    core::{Command, NodeCommand, State, TaskCommand, deploy},
    model::{
        instance::{Instance, KillReason},
        node::{Duty, Node},
        path::AppId,
    },
};

/// Workloads of a draining node that are told one by one.
const TOLD_MAX: usize = 3;

/// What is due for one node, and what it waits for. At its deadline a drain ends: nothing more is
/// moved, and the node goes on taking no new work.
pub fn step(state: &State, node: &Node, now: Timestamp, step: &mut Step) {
    let Duty::Draining { until, .. } = node.duty else { return };
    let Step { commands, report } = step;
    let duty = |duty| Command::Node(NodeCommand::NodeDuty { node: node.id().clone(), duty });
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
    let wait =
        |what: &str| Wait::of("node", &node.info.hostname, format!("drains until {until}: {what}"));
    if !node.is_reachable() {
        report.wait(|| wait("it is away"));
        return;
    }
    let waiting = || waiting(state, &by_app);
    // A deployment under way moves its instances itself, and one decision at a time keeps enough.
    let free = by_app.iter().filter(|(app, _)| !state.index.locks.contains_key(**app));
    let instances: Vec<_> = free
        .filter_map(|(app, here)| Some(deploy::drain::due(state, state.spec(app)?, here)))
        .flatten()
        .take(limit::MOVES_PER_COMMAND_MAX)
        .collect();
    if instances.is_empty() {
        report.wait(|| wait(&waiting()));
    } else {
        let reason = KillReason::Drain;
        commands.push(TaskCommand::Kill { instances, wipe: true, reason }.into());
    }
}

/// Why what is left on a node is not moved now.
fn waiting(state: &State, by_app: &BTreeMap<&AppId, Vec<Arc<Instance>>>) -> String {
    let why = |(app, here): (&&AppId, &Vec<Arc<Instance>>)| {
        let what = if state.index.locks.contains_key(*app) {
            "is left to its deployment"
        } else if here.iter().all(|i| i.kill().is_some()) {
            "is on its way out"
        } else {
            "has no good replacement elsewhere yet"
        };
        format!("{} of {app} {what}", here.len())
    };
    let mut parts: Vec<String> = by_app.iter().take(TOLD_MAX).map(why).collect();
    if by_app.len() > TOLD_MAX {
        parts.push(format!("and {}", count(by_app.len() - TOLD_MAX, "more app")));
    }
    if parts.is_empty() {
        parts.push("tasks of no app are to end by themselves".to_owned());
    }
    parts.join("; ")
}
