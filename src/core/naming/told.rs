//! Names as agents are told of them: the whole set in parts of bounded size, and what a command
//! changed of it.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use super::{NamedTask, tasks};
use crate::{
    base::{clock::Timestamp, limit},
    core::{Change, State},
    model::{
        InstanceId, NodeId,
        instance::{Instance, Placement},
        names::{Named, NamedPort, Names, Part, Realm, TaskName},
    },
};

#[cfg(test)]
mod tests;

/// What one entry costs on the link besides its texts, at most about.
const ENTRY_BYTES: usize = 96;
const PORT_BYTES: usize = 16;

/// The whole set of names.
pub fn whole(state: &State, realm: &Realm) -> Vec<Arc<Names>> {
    let all = state.apps_with_instances().flat_map(|app| state.instances_of(app));
    let mut parts = split(state, all.filter_map(|i| named(state, i)), Vec::new());
    let n_before_last = parts.len() - 1;
    for (n, part) in parts.iter_mut().enumerate() {
        part.part = match (n, n_before_last) {
            (0, 0) => Part::Whole,
            (0, _) => Part::First,
            (n, last) if n == last => Part::Last,
            _ => Part::Middle,
        };
    }
    if let Some(last) = parts.last_mut() {
        last.realm = Some(sent(state, realm));
    }
    parts.into_iter().map(Arc::new).collect()
}

/// What `changes` mean for names, seen from the state after them; nothing where they mean nothing.
pub fn changed(state: &State, changes: &[Change], realm: &Realm) -> Vec<Arc<Names>> {
    let mut touched: BTreeSet<&InstanceId> = BTreeSet::new();
    let mut agents_changed = false;
    for change in changes {
        match change {
            Change::Instance { id, old, new } => {
                let of = |i: &Option<Arc<Instance>>| {
                    i.as_ref().filter(|i| tasks::named(state, i).is_some()).cloned()
                };
                let changed = match (of(old), of(new)) {
                    (None, None) => false,
                    (Some(old), Some(new)) => key(&old) != key(&new),
                    (None, Some(_)) | (Some(_), None) => true,
                };
                if changed {
                    touched.insert(id);
                }
            }
            Change::Node { id, old, new } => {
                let seen = |n: &crate::model::Node| (n.is_reachable(), n.info.address);
                if old.as_deref().map(seen) != new.as_deref().map(seen) {
                    agents_changed = true;
                    touched.extend(on(state, id));
                }
            }
            _ => {}
        }
    }
    if touched.is_empty() && !agents_changed {
        return Vec::new();
    }
    let (mut put, mut gone) = (Vec::new(), Vec::new());
    for id in touched {
        match state.instances.get(id).and_then(|i| named(state, i)) {
            Some(named) => put.push(named),
            None => gone.push(id.clone()),
        }
    }
    let mut parts = split(state, put.into_iter(), gone);
    if let Some(last) = parts.last_mut().filter(|_| agents_changed) {
        last.realm = Some(sent(state, realm));
    }
    parts.into_iter().map(Arc::new).collect()
}

/// The realm as it is sent: which node answers is that node's own business.
fn sent(state: &State, realm: &Realm) -> Box<Realm> {
    let realm = tasks::with_agents(state, realm);
    Box::new(Realm { this_node: None, this_node_public: None, ..realm })
}

/// What the names of an instance that has some are made of, besides its definition, which a version
/// never changes.
fn key(instance: &Instance) -> (Timestamp, u32, Option<&Placement>, &[IpAddr]) {
    (instance.version, instance.incarnation, instance.placement(), instance.addresses())
}

fn on<'a>(state: &'a State, node: &NodeId) -> impl Iterator<Item = &'a InstanceId> {
    state.instances_on(node).map(|instance| &instance.id)
}

/// Cuts entries into messages, at least one.
fn split(
    state: &State,
    entries: impl Iterator<Item = Named>,
    mut gone: Vec<InstanceId>,
) -> Vec<Names> {
    let new = |put, gone| Names { part: Part::Change, realm: None, put, gone, at: state.at };
    let (mut parts, mut put, mut n_bytes) = (Vec::new(), Vec::new(), 0);
    while gone.len() > limit::LINK_PART_ITEMS_MAX {
        let rest = gone.split_off(limit::LINK_PART_ITEMS_MAX);
        parts.push(new(Vec::new(), std::mem::replace(&mut gone, rest)));
    }
    for entry in entries {
        let more = entry.tasks.iter().map(weight).sum::<usize>() + entry.instance.as_str().len();
        let is_full =
            n_bytes + more > limit::LINK_PART_BYTES_MAX || put.len() >= limit::LINK_PART_ITEMS_MAX;
        if is_full && !put.is_empty() {
            parts.push(new(std::mem::take(&mut put), Vec::new()));
            n_bytes = 0;
        }
        n_bytes += more;
        put.push(Arc::new(entry));
    }
    parts.push(new(put, gone));
    parts
}

/// Bytes of a task on the link, about.
fn weight(task: &TaskName) -> usize {
    let texts = task.framework.len() + task.name.len() + task.id.len();
    let ports = task.ports.iter().map(|p| PORT_BYTES + p.name.as_ref().map_or(0, String::len));
    let own = task.own.len() * PORT_BYTES + task.host_ports.len() * PORT_BYTES;
    ENTRY_BYTES + texts + task.agent_id.as_str().len() + own + ports.sum::<usize>()
}

/// An instance's names; `None` when it has none now.
fn named(state: &State, instance: &Instance) -> Option<Named> {
    tasks::named(state, instance)?;
    let mut tasks = Vec::new();
    tasks::each(state, &instance.app()?.task_name(), instance, |task| tasks.push(owned(task)));
    (!tasks.is_empty()).then(|| Named { instance: instance.id.clone(), tasks })
}

fn owned(task: &NamedTask<'_>) -> TaskName {
    let port = |p: &super::Port<'_>| NamedPort {
        number: p.number,
        name: p.name.map(str::to_owned),
        transport: p.transport,
    };
    TaskName {
        framework: task.framework.to_owned(),
        name: task.name.to_owned(),
        is_discovered: task.is_discovered,
        id: task.id.to_owned(),
        agent_id: NodeId::from(task.agent_id),
        agent: task.agent,
        own: task.own.to_vec(),
        is_mapped: task.is_mapped,
        host_ports: task.host_ports.to_vec(),
        ports: task.ports.iter().map(port).collect(),
    }
}
