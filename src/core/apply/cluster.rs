//! Nodes come, go silent, return, drain; time passes for what stood on lost ones.

use std::time::Duration;

use super::{admission, instance::end, level, tx::Tx};
use crate::{
    base::limit,
    core::{Accepted, Rejected, Thing},
    model::{
        instance::{End, Goal, Instance, InstanceId, KillOrder, KillReason, Life, Phase},
        node::{Duty, Node, NodeId, NodeInfo, Reach},
        workload::UnreachableStrategy,
    },
};

/// An agent introduces itself, for the first time or again.
///
/// A smaller total than what its tasks hold is not taken over: promises given stay covered. A node
/// that was removed in the meantime is refused.
pub fn register(tx: &mut Tx<'_>, info: &NodeInfo) -> Result<Accepted, Rejected> {
    let at = tx.at();
    admission::check_member(tx.state, &info.id)?;
    level::check(tx.state, || format!("node {}", info.id), info.level)?;
    let node = match tx.state.nodes.get(&info.id) {
        None => Node {
            info: info.clone(),
            reach: Reach::Reachable,
            duty: Duty::Active,
            registered_at: at,
            reregistered_at: None,
        },
        Some(known) => {
            let mut info = info.clone();
            let used = tx.state.index.used.get(&info.id).cloned().unwrap_or_default();
            if !info.total.contains(&used) {
                info.total = known.info.total.clone();
            }
            let reregistered_at = Some(at);
            Node { info, reach: Reach::Reachable, reregistered_at, ..(**known).clone() }
        }
    };
    tx.put_node(node);
    Ok(Accepted::default())
}

/// A node is lost or heard again. Its tasks become unreachable with it; what they become when it
/// returns is told by the agent's own report.
pub fn reach(tx: &mut Tx<'_>, id: &NodeId, reachable: bool) -> Result<Accepted, Rejected> {
    let at = tx.at();
    let node = tx.state.nodes.get(id).ok_or_else(|| Rejected::NotFound(Thing::Node.named(id)))?;
    if node.is_reachable() == reachable {
        return Ok(Accepted::default());
    }
    let reach = if reachable { Reach::Reachable } else { Reach::Unreachable { since: at } };
    let node = Node { reach, ..(**node).clone() };
    tx.put_node(node);
    if reachable {
        return Ok(Accepted { n_done: 1, ..Accepted::default() });
    }
    let lost: Vec<Instance> = tx
        .state
        .instances_on(id)
        .filter(|i| !i.condition().is_lost())
        .map(|i| (**i).clone())
        .collect();
    for instance in lost {
        lose(tx, instance);
    }
    Ok(Accepted { n_done: 1, ..Accepted::default() })
}

/// Sets whether a node takes work; draining ends its tasks one app's share at a time elsewhere.
pub fn duty(tx: &mut Tx<'_>, id: &NodeId, duty: Duty) -> Result<Accepted, Rejected> {
    let node = tx.state.nodes.get(id).ok_or_else(|| Rejected::NotFound(Thing::Node.named(id)))?;
    if node.duty != duty {
        let node = Node { duty, ..(**node).clone() };
        tx.put_node(node);
    }
    Ok(Accepted::default())
}

/// Forgets a node and takes its certificates back. Refused while it is heard and holds tasks; of a
/// lost node the tasks are gone. The agent inside a master has no certificate: it goes with it.
pub fn remove(tx: &mut Tx<'_>, id: &NodeId) -> Result<Accepted, Rejected> {
    let node = tx.state.nodes.get(id).ok_or_else(|| Rejected::NotFound(Thing::Node.named(id)))?;
    let held: Vec<Instance> = tx.state.instances_on(id).map(|i| (**i).clone()).collect();
    if node.is_reachable() && !held.is_empty() {
        return Err(Rejected::Busy(Thing::Node.named(id)));
    }
    if node.is_reachable() && !admission::has_certificate(tx.state, id) {
        return Err(Rejected::invalid(
            "node",
            format!("{id} is part of a running master; stop its agent first"),
        ));
    }
    for instance in held {
        end(tx, instance, End::Gone, "the node was removed", false);
    }
    tx.remove_node(id);
    admission::revoke_all(tx, id);
    Ok(Accepted::default())
}

/// Unreachable instances whose time has come turn inactive, or are forgotten. A node that came back
/// meanwhile tells itself what became of its tasks.
pub fn expire(tx: &mut Tx<'_>, inactive: &[InstanceId], expunge: &[InstanceId]) -> Accepted {
    let mut n_done = 0;
    for id in inactive {
        let Some(known) = tx.state.instances.get(id).filter(|i| is_away(tx, i)) else { continue };
        if let Life::Placed(Phase::Unreachable, task) = &known.life {
            let life = Life::Placed(Phase::UnreachableInactive, task.clone());
            tx.put_instance(Instance { life, ..(**known).clone() });
            n_done += 1;
        }
    }
    for id in expunge {
        if tx.state.instances.get(id).is_some_and(|i| i.condition().is_lost() && is_away(tx, i)) {
            tx.remove_instance(id);
            n_done += 1;
        }
    }
    Accepted { n_done, ..Accepted::default() }
}

fn is_away(tx: &Tx<'_>, instance: &Instance) -> bool {
    let node = instance.placement().and_then(|p| tx.state.nodes.get(&p.node));
    node.is_some_and(|n| !n.is_reachable())
}

/// One instance on a lost node: out of names and front doors from now on, replaced and forgotten
/// when its time has come (`expiry`). One that was to end anyway is forgotten at once.
fn lose(tx: &mut Tx<'_>, mut instance: Instance) {
    instance.set_phase(Phase::Unreachable);
    instance.since = tx.at();
    "the node is unreachable".clone_into(&mut instance.message);
    let (id, goal) = (instance.id.clone(), instance.goal);
    tx.put_instance(instance);
    if goal == Goal::Decommissioned {
        tx.remove_instance(&id);
    }
}

/// After which silence of its node an instance turns inactive, which means it is replaced, and from
/// when on it may be forgotten; `None` = never.
pub fn expiry(strategy: UnreachableStrategy) -> Option<(Duration, Duration)> {
    match strategy {
        UnreachableStrategy::Disabled => None,
        UnreachableStrategy::After { inactive_ms, expunge_ms } => Some((
            Duration::from_millis(inactive_ms).max(limit::REPLACE_AFTER),
            Duration::from_millis(expunge_ms).max(limit::FORGET_AFTER),
        )),
    }
}

/// Marks an instance for the end, or ends it at once when it has no task.
pub fn order_kill(tx: &mut Tx<'_>, mut instance: Instance, goal: Goal, reason: &KillReason) {
    instance.goal = goal;
    let Life::Placed(phase, task) = &mut instance.life else {
        if goal != Goal::Running {
            tx.remove_instance(&instance.id);
        }
        return;
    };
    if phase.is_lost() && goal == Goal::Decommissioned {
        tx.remove_instance(&instance.id);
        return;
    }
    if task.kill.is_none() {
        task.kill = Some(KillOrder { at: tx.at(), reason: reason.clone() });
    }
    tx.put_instance(instance);
}
