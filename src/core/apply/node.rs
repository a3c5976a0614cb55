//! Nodes come, go silent, return, drain and are forgotten.

use std::collections::BTreeSet;

use super::{admission, gate, instance::end, tx::Tx};
use crate::{
    base::units::count,
    choice,
    core::{
        Accepted, Rejected, Thing,
        told::{Kind, Told},
    },
    model::{
        instance::{End, Goal, Instance, InstanceId, Phase},
        node::{Duty, Node, NodeId, NodeInfo, Reach},
        volume::VolumeId,
    },
};

/// Commands about nodes that belong to the cluster.
#[derive(Clone, Debug)]
pub enum NodeCommand {
    RegisterNode(Box<NodeInfo>),
    /// An agent was lost or is heard again.
    NodeReach {
        node: NodeId,
        reachable: bool,
    },
    NodeDuty {
        node: NodeId,
        duty: Duty,
    },
    /// Forgets a node that will not come back; its tasks and volumes are gone, its certificates worth
    /// nothing.
    RemoveNode(NodeId),
}

choice!(NodeCommand {
    9: RegisterNode(it),
    10: NodeReach { 1: node, 2: reachable },
    11: NodeDuty { 1: node, 2: duty },
    12: RemoveNode(it),
});

pub(super) fn run(tx: &mut Tx<'_>, command: &NodeCommand) -> Result<Accepted, Rejected> {
    match command {
        NodeCommand::RegisterNode(info) => register(tx, info),
        NodeCommand::NodeReach { node, reachable } => reach(tx, node, *reachable),
        NodeCommand::NodeDuty { node, duty } => set_duty(tx, node, *duty),
        NodeCommand::RemoveNode(node) => remove(tx, node),
    }
}

pub(super) fn told(command: &NodeCommand) -> Told {
    let (node, text) = match command {
        NodeCommand::RegisterNode(info) => (&info.id, "register"),
        NodeCommand::NodeReach { node, .. } => (node, "reach"),
        NodeCommand::NodeDuty { node, duty } => {
            let text = match duty {
                Duty::Active => "take work again",
                Duty::Draining { .. } => "drain",
                Duty::Drained { .. } | Duty::Deactivated { .. } => "take no new work",
            };
            (node, text)
        }
        NodeCommand::RemoveNode(node) => (node, "remove"),
    };
    Told::new(Kind::Node, node, text)
}

/// An agent introduces itself, for the first time or again.
///
/// A smaller total than what its tasks hold is not taken over: promises given stay covered. A node
/// that was removed in the meantime is refused.
fn register(tx: &mut Tx<'_>, info: &NodeInfo) -> Result<Accepted, Rejected> {
    let at = tx.at();
    admission::check_member(tx.state, &info.id)?;
    gate::check_level(tx.state, || format!("node {}", info.id), info.level)?;
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
fn reach(tx: &mut Tx<'_>, id: &NodeId, reachable: bool) -> Result<Accepted, Rejected> {
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
fn set_duty(tx: &mut Tx<'_>, id: &NodeId, duty: Duty) -> Result<Accepted, Rejected> {
    let node = tx.state.nodes.get(id).ok_or_else(|| Rejected::NotFound(Thing::Node.named(id)))?;
    if node.duty != duty {
        let node = Node { duty, ..(**node).clone() };
        tx.put_node(node);
    }
    Ok(Accepted::default())
}

/// Forgets a node and takes its certificates back. Refused while it is heard and holds tasks; of a
/// lost node the tasks are gone. The agent inside a master has no certificate: it goes with it.
fn remove(tx: &mut Tx<'_>, id: &NodeId) -> Result<Accepted, Rejected> {
    let node = tx.state.nodes.get(id).ok_or_else(|| Rejected::NotFound(Thing::Node.named(id)))?;
    let held: Vec<Instance> = tx.state.instances_on(id).map(|i| (**i).clone()).collect();
    if node.is_reachable() && !held.is_empty() {
        return Err(Rejected::Busy(Thing::Node.named(id)));
    }
    let kept: BTreeSet<InstanceId> =
        tx.state.volumes_on(id).filter(|v| v.is_wanted()).map(|v| v.instance.clone()).collect();
    if node.is_reachable() && !kept.is_empty() {
        let n = count(kept.len(), "instance");
        let problem = format!(
            "{id} keeps the data of {n} (`tepui volume list`); remove those volumes, or stop the \
             node and give them up with it"
        );
        return Err(Rejected::invalid("node", problem));
    }
    let is_of_master = tx.state.masters.values().any(|m| m.node.as_ref() == Some(id));
    if node.is_reachable() && (is_of_master || !admission::has_certificate(tx.state, id)) {
        return Err(Rejected::invalid(
            "node",
            format!("{id} is part of a running master; stop its agent first"),
        ));
    }
    for mut instance in held {
        // What was kept there is lost with the node: the next one begins with nothing.
        if kept.contains(&instance.id) {
            instance.goal = Goal::Decommissioned;
        }
        end(tx, instance, End::Gone, "the node was removed", false);
    }
    for instance in &kept {
        tx.remove_instance(instance);
    }
    let lost: Vec<VolumeId> = tx.state.volumes_on(id).map(|v| v.id.clone()).collect();
    for volume in &lost {
        tx.remove_volume(volume);
    }
    tx.remove_node(id);
    if !is_of_master {
        admission::revoke_all(tx, id);
    }
    Ok(Accepted::default())
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
