//! From state to orders: what each agent should be told.

use std::collections::BTreeMap;

use crate::{
    core::{Change, State},
    model::{
        instance::{Instance, InstanceId, KillReason},
        link::{Desired, Order},
        node::NodeId,
    },
};

/// Everything that should be on `node`.
pub fn full(state: &State, node: &NodeId) -> Desired {
    let orders = state.instances_on(node).filter_map(|i| order(state, i)).collect();
    Desired { full: true, orders, forget: Vec::new() }
}

/// What `changes` mean for each node, seen from the state after them.
pub fn changed(state: &State, changes: &[Change]) -> BTreeMap<NodeId, Desired> {
    let mut touched: BTreeMap<(NodeId, InstanceId), ()> = BTreeMap::new();
    for change in changes {
        let Change::Instance { id, old, new } = change else { continue };
        if let (Some(old), Some(new)) = (old, new)
            && key(old) == key(new)
        {
            continue;
        }
        for placement in [old, new].into_iter().flatten().filter_map(|i| i.placement.as_ref()) {
            touched.insert((placement.node.clone(), id.clone()), ());
        }
    }
    let mut by_node: BTreeMap<NodeId, Desired> = BTreeMap::new();
    for ((node, id), ()) in touched {
        let entry = by_node.entry(node.clone()).or_insert_with(|| Desired {
            full: false,
            orders: Vec::new(),
            forget: Vec::new(),
        });
        let here = state
            .instances
            .get(&id)
            .filter(|i| i.placement.as_ref().is_some_and(|p| p.node == node))
            .and_then(|i| order(state, i));
        match here {
            Some(order) => entry.orders.push(order),
            None => entry.forget.push(id),
        }
    }
    by_node
}

/// The order for an instance that has a place; none for one without.
fn order(state: &State, instance: &Instance) -> Option<Order> {
    let placement = instance.placement.clone()?;
    Some(Order {
        instance: instance.id.clone(),
        incarnation: instance.incarnation,
        spec: state.spec_of(instance)?.clone(),
        placement,
        kill: instance.kill.as_ref().map(|k| k.reason.clone()),
        enforce_role: state.enforces_role(&instance.app),
    })
}

/// The part of an instance that an agent acts on.
fn key(instance: &Instance) -> (u32, Option<&NodeId>, Option<&KillReason>) {
    (
        instance.incarnation,
        instance.placement.as_ref().map(|p| &p.node),
        instance.kill.as_ref().map(|k| &k.reason),
    )
}
