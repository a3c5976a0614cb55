//! Findings: what must hold of a state after every command.
//!
//! Checked after each command in tests and simulation, and on load. A large state
//! is checked where a command touched it, in time that does not grow with the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    apply::{is_present, reindex},
    change::Change,
    state::State,
};
use crate::model::{
    NodeId,
    deployment::{Deployment, DeploymentId},
    instance::{Instance, InstanceId, Life},
    path::AppId,
    resource::Pools,
    volume::Volume,
};

/// Something that must not be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is about.
    pub subject: String,
    pub problem: String,
}

/// Everything wrong with `state`; empty when it is sound.
pub fn check(state: &State) -> Vec<Finding> {
    let mut findings = Vec::new();
    let nodes = state.index.used.keys().chain(state.index.by_node.keys());
    for node in nodes.collect::<BTreeSet<_>>() {
        check_node(state, node, &mut findings);
    }
    for instance in state.instances.values() {
        check_instance(state, instance, &mut findings);
    }
    for volume in state.volumes.values() {
        check_volume(state, volume, &mut findings);
    }
    check_locks(state, &mut findings);
    check_index(state, &mut findings);
    findings
}

/// What is wrong with the entities that `changes` touched, and with the nodes they stand on.
pub fn check_touched(state: &State, changes: &[Change]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut nodes: BTreeSet<&NodeId> = BTreeSet::new();
    let mut instances: BTreeSet<&InstanceId> = BTreeSet::new();
    for change in changes {
        match change {
            Change::Instance { id, old, new } => {
                let places = [old, new].into_iter().flatten().filter_map(|i| i.placement());
                nodes.extend(places.map(|p| &p.node));
                instances.insert(id);
            }
            Change::Node { id, .. } => drop(nodes.insert(id)),
            Change::Volume { old, new, .. } => {
                let both = [old, new].into_iter().flatten();
                both.for_each(|volume| {
                    nodes.insert(&volume.node);
                    instances.insert(&volume.instance);
                });
            }
            Change::Deployment { new: Some(deployment), .. }
                if state.deployments.get(&deployment.id) == Some(deployment) =>
            {
                check_deployment(deployment, &mut findings);
                check_locks_of(state, deployment, &mut findings);
            }
            _ => {}
        }
    }
    for id in instances {
        match state.instances.get(id) {
            Some(instance) => {
                check_instance(state, instance, &mut findings);
                for volume in state.volumes_of(id) {
                    check_volume(state, volume, &mut findings);
                }
            }
            None => check_absent(state, id, changes, &mut findings),
        }
    }
    for node in nodes {
        check_node(state, node, &mut findings);
    }
    findings
}

/// A volume has one instance that may write there, which runs nowhere else; what nobody wants any more has
/// none.
fn check_volume(state: &State, volume: &Volume, findings: &mut Vec<Finding>) {
    let instance = state.instances.get(&volume.instance);
    if volume.is_wanted() != instance.is_some() {
        find(findings, &volume.id, "is wanted without an instance, or the other way round");
    }
    let place = instance.and_then(|instance| instance.placement());
    if let Some(place) = place.filter(|place| place.node != volume.node) {
        find(
            findings,
            &volume.id,
            format!("is on {}, its instance on {}", volume.node, place.node),
        );
    }
    if instance.is_some_and(|instance| volume.epoch > instance.incarnation) {
        find(findings, &volume.id, "is ahead of the launches of its instance");
    }
    if !state.nodes.contains_key(&volume.node) {
        find(findings, &volume.id, format!("is on {}, which is gone", volume.node));
    }
}

/// What a node holds is the sum of its instances and volumes, not more than it has, and no port twice.
fn check_node(state: &State, node: &NodeId, findings: &mut Vec<Finding>) {
    let mut used = Pools::default();
    let mut ports = BTreeSet::new();
    for instance in state.instances_on(node) {
        let Some(placement) = instance.placement().filter(|p| p.node == *node) else {
            find(findings, &instance.id, format!("stands on {node} in the index alone"));
            continue;
        };
        used.add(&placement.allocation);
        for port in placement.host_ports.iter().flatten() {
            if !ports.insert(*port) {
                find(findings, &instance.id, format!("shares port {port} of {node}"));
            }
        }
    }
    for volume in state.volumes_on(node) {
        used.add(&volume.held);
    }
    let known = state.index.used.get(node).cloned().unwrap_or_default();
    if known != used {
        find(findings, node, format!("holds {used:?}, the index says {known:?}"));
    }
    match state.nodes.get(node) {
        None if !used.is_empty() => find(findings, node, "holds resources but is not known"),
        Some(n) if !n.info.total.contains(&used) => {
            find(findings, node, format!("uses {used:?} of {:?}", n.info.total));
        }
        _ => {}
    }
}

/// An instance that is gone is in no index.
fn check_absent(state: &State, id: &InstanceId, changes: &[Change], findings: &mut Vec<Finding>) {
    for change in changes {
        let Change::Instance { id: other, old: Some(old), .. } = change else { continue };
        let waiting = old.app().and_then(|app| state.index.waiting.get(app));
        let sets = [state.index.by_owner.get(&old.owner), waiting];
        let listed = sets.into_iter().flatten().any(|set| set.contains(id));
        if other == id && listed {
            find(findings, id, "is gone and still in the index");
        }
    }
}

/// One instance has its spec, no end behind it, and the indexes know it.
fn check_instance(state: &State, i: &Instance, findings: &mut Vec<Finding>) {
    if state.task_of(i).is_none() {
        find(findings, &i.id, "was made from a version that is not stored");
    }
    if let Life::Ended(how, _) = i.life {
        find(findings, &i.id, format!("{how:?} was left behind"));
    }
    let index = &state.index;
    let listed = index.by_owner.get(&i.owner).is_some_and(|set| set.contains(&i.id));
    let is_bound = index.bound.contains(&i.id);
    if is_bound != (i.waits_for_place() && index.volumes.contains_key(&i.id)) {
        find(findings, &i.id, "waits for its node in the index alone, or not there");
    }
    let is_told = i.app().is_none_or(|app| {
        let waits = index.waiting.get(app).is_some_and(|set| set.contains(&i.id));
        let counted = index.present.get(app).is_some_and(|&n| n > 0);
        waits == i.waits_for_place() && (counted || !is_present(i))
    });
    if !listed || !is_told {
        find(findings, &i.id, "is not in the index as it is");
    }
}

/// A workload is held by one deployment at most.
fn check_locks(state: &State, findings: &mut Vec<Finding>) {
    let mut holders: BTreeMap<&AppId, &DeploymentId> = BTreeMap::new();
    for deployment in state.deployments.values() {
        for app in deployment.changes.keys() {
            if let Some(other) = holders.insert(app, &deployment.id) {
                find(findings, app, format!("is held by {other} and {}", deployment.id));
            }
        }
        check_deployment(deployment, findings);
    }
}

fn check_locks_of(state: &State, deployment: &Deployment, findings: &mut Vec<Finding>) {
    for app in deployment.changes.keys() {
        if state.index.locks.get(app) != Some(&deployment.id) {
            find(findings, app, format!("is not held by {}", deployment.id));
        }
    }
}

fn check_deployment(deployment: &Deployment, findings: &mut Vec<Finding>) {
    if deployment.step().is_none() {
        find(findings, &deployment.id, "has no step left but is still there");
    }
}

/// The indexes equal a rebuild.
fn check_index(state: &State, findings: &mut Vec<Finding>) {
    let mut rebuilt = state.clone();
    reindex(&mut rebuilt);
    rebuilt.index.dropped_request = state.index.dropped_request;
    let (have, want) = (&state.index, &rebuilt.index);
    for (name, equal) in [
        ("by_owner", have.by_owner == want.by_owner),
        ("present", have.present == want.present),
        ("by_node", have.by_node == want.by_node),
        ("used", have.used == want.used),
        ("waiting", have.waiting == want.waiting),
        ("bound", have.bound == want.bound),
        ("volumes", have.volumes == want.volumes),
        ("volumes_on", have.volumes_on == want.volumes_on),
        ("locks", have.locks == want.locks),
        ("uneven", have.uneven == want.uneven),
        ("service_ports", have.service_ports == want.service_ports),
        ("requests", have.requests == want.requests),
    ] {
        if !equal {
            find(findings, "index", format!("{name} differs from a rebuild"));
        }
    }
}

fn find(findings: &mut Vec<Finding>, subject: impl ToString, problem: impl Into<String>) {
    findings.push(Finding { subject: subject.to_string(), problem: problem.into() });
}
