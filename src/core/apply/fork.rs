//! A state as it would be: on a copy, for questions about what is not done yet.

use super::tx::Tx;
use crate::{
    core::state::State,
    model::{
        instance::{Instance, InstanceId},
        node::{Duty, Node},
    },
};

/// A copy in which `node` drains and each of `leaving` has a replacement that waits for a place; ids
/// of the replacements in the order of `leaving`, `None` for what nobody wants any more.
pub fn drained(
    state: &State,
    node: &Node,
    leaving: &[&Instance],
) -> (State, Vec<Option<InstanceId>>) {
    let mut copy = state.clone();
    let at = state.at;
    let mut tx = Tx::new(&mut copy);
    tx.put_node(Node { duty: Duty::Draining { since: at, until: at }, ..node.clone() });
    let replace = |instance: &&Instance| {
        let spec = state.spec(instance.app()?)?;
        let id = InstanceId::new(format!("{}.replaced", instance.id));
        let new = Instance::scheduled(id.clone(), spec.id.clone(), spec.version, at);
        tx.put_instance(new);
        Some(id)
    };
    let ids = leaving.iter().map(replace).collect();
    (copy, ids)
}
