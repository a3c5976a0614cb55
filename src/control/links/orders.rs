//! From state to orders: what each agent should be told, in messages of bounded size.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    base::{level, limit},
    core::{Change, State},
    model::{
        instance::{Instance, InstanceId, KillReason},
        link::{Desired, Mounted, Order, ToAgent, Volumes, packed},
        node::NodeId,
        volume::Volume,
        workload::TaskSpec,
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
        for placement in [old, new].into_iter().flatten().filter_map(|i| i.placement()) {
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
            .filter(|i| i.placement().is_some_and(|p| p.node == node))
            .and_then(|i| order(state, i));
        match here {
            Some(order) => entry.orders.push(order),
            None => entry.forget.push(id),
        }
    }
    by_node
}

/// The messages that tell `desired`, each within the bounds of the link. Of a full set all but the
/// last are parts that change nothing by themselves.
pub fn messages(desired: Desired) -> Vec<ToAgent> {
    let Desired { full, orders, forget } = desired;
    let mut parts = split(orders);
    let last = parts.pop().unwrap_or_default();
    let orders_only = |orders| Desired { full: false, orders, forget: Vec::new() };
    let mut messages: Vec<ToAgent> = parts
        .into_iter()
        .enumerate()
        .map(|(n, orders)| match full {
            true => ToAgent::DesiredPart { first: n == 0, orders: orders_only(orders) },
            false => ToAgent::Desired(orders_only(orders)),
        })
        .collect();
    messages.push(ToAgent::Desired(Desired { full, orders: last, forget }));
    messages
}

/// Cuts orders into parts. Those of one definition stay together where they can: it travels once a
/// part. One that fits into no message is left out; the dialects refuse definitions long before.
fn split(mut orders: Vec<Order>) -> Vec<Vec<Order>> {
    orders.sort_by(|a, b| packed::same(&a.spec).cmp(&packed::same(&b.spec)));
    let (mut parts, mut part, mut n_bytes) = (Vec::new(), Vec::new(), 0);
    let mut last: Option<(TaskSpec, usize)> = None;
    for order in orders {
        let known = last.take().filter(|(spec, _)| packed::same(spec) == packed::same(&order.spec));
        let is_new = known.is_none();
        let (spec, spec_bytes) =
            known.unwrap_or_else(|| (order.spec.clone(), packed::spec_bytes(&order.spec)));
        last = Some((spec, spec_bytes));
        let own = packed::order_bytes(&order);
        if spec_bytes.saturating_add(own) > limit::LINK_MESSAGE_BYTES_MAX / 2 {
            let (instance, bytes) = (&order.instance, spec_bytes);
            tracing::error!(%instance, bytes, "a definition too large to be sent is left out");
            continue;
        }
        let more = if is_new || part.is_empty() { own + spec_bytes } else { own };
        let is_full =
            n_bytes + more > limit::LINK_PART_BYTES_MAX || part.len() >= limit::LINK_PART_ITEMS_MAX;
        if is_full && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            n_bytes = 0;
        }
        n_bytes += if part.is_empty() { own + spec_bytes } else { more };
        part.push(order);
    }
    parts.push(part);
    parts
}

/// The node that this change made reachable again.
pub fn returned(change: &Change) -> Option<&NodeId> {
    let Change::Node { id, old: Some(old), new: Some(new) } = change else { return None };
    (new.is_reachable() && !old.is_reachable()).then_some(id)
}

/// The order for an instance that has a place; none for one without.
fn order(state: &State, instance: &Instance) -> Option<Order> {
    Some(Order {
        instance: instance.id.clone(),
        incarnation: instance.incarnation,
        spec: state.task_of(instance)?,
        placement: instance.placement()?.clone(),
        kill: instance.kill().map(|k| k.reason.clone()),
        enforce_role: instance.app().is_some_and(|app| state.enforces_role(app)),
        volumes: state.volumes_of(&instance.id).map(|volume| mounted(volume)).collect(),
    })
}

fn mounted(volume: &Volume) -> Mounted {
    Mounted { id: volume.id.clone(), path: volume.path.clone(), epoch: volume.epoch }
}

/// Whose volumes are on `node`, where the cluster's level lets agents be told.
pub fn volumes(state: &State, node: &NodeId) -> Option<ToAgent> {
    if state.level() < level::VOLUMES {
        return None;
    }
    let of = |is_wanted: bool| {
        let volumes = state.volumes_on(node).filter(move |v| v.is_wanted() == is_wanted);
        let instances: BTreeSet<&InstanceId> = volumes.map(|volume| &volume.instance).collect();
        instances.into_iter().cloned().collect()
    };
    Some(ToAgent::Volumes(Volumes { kept: of(true), wipe: of(false) }))
}

/// The nodes whose volumes these changes are about.
pub fn with_volumes(changes: &[Change]) -> BTreeSet<&NodeId> {
    let both = changes.iter().filter_map(|change| match change {
        Change::Volume { old, new, .. } => Some([old, new]),
        _ => None,
    });
    both.flatten().flatten().map(|volume| &volume.node).collect()
}

/// The part of an instance that an agent acts on.
fn key(instance: &Instance) -> (u32, Option<&NodeId>, Option<&KillReason>) {
    (
        instance.incarnation,
        instance.placement().map(|p| &p.node),
        instance.kill().map(|k| &k.reason),
    )
}
