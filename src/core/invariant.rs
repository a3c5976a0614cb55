//! Findings: what must hold of a state after every command.
//!
//! Checked after each command in tests and simulation, on load, and by `tepui doctor`.

use std::collections::BTreeMap;

use super::{apply::reindex, state::State};
use crate::model::{
    deployment::DeploymentId,
    instance::{Condition, Goal},
    path::AppId,
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
    check_nodes(state, &mut findings);
    check_instances(state, &mut findings);
    check_locks(state, &mut findings);
    check_index(state, &mut findings);
    findings
}

/// No node holds more than it has.
fn check_nodes(state: &State, findings: &mut Vec<Finding>) {
    for (node, used) in &state.index.used {
        match state.nodes.get(node) {
            None => find(findings, node, "holds resources but is not known"),
            Some(n) if !n.info.total.contains(used) => {
                find(findings, node, format!("uses {used:?} of {:?}", n.info.total));
            }
            Some(_) => {}
        }
    }
}

/// Conditions, placements and specs fit together; no host port is held twice on a node.
fn check_instances(state: &State, findings: &mut Vec<Finding>) {
    let mut ports = BTreeMap::new();
    for i in state.instances.values() {
        if state.spec_of(i).is_none() {
            find(findings, &i.id, "was made from a version that is not stored");
        }
        let holds = i.condition.is_active() || i.condition == Condition::UnreachableInactive;
        if holds != i.placement.is_some() {
            find(findings, &i.id, format!("{:?} with placement {:?}", i.condition, i.placement));
        }
        if i.condition.is_terminal() && i.goal != Goal::Stopped {
            find(findings, &i.id, format!("{:?} was left behind", i.condition));
        }
        if let Some(placement) = &i.placement {
            for port in placement.host_ports.iter().flatten() {
                if let Some(other) = ports.insert((placement.node.clone(), *port), i.id.clone()) {
                    find(findings, &i.id, format!("shares port {port} with {other}"));
                }
            }
        }
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
        if deployment.step().is_none() {
            find(findings, &deployment.id, "has no step left but is still there");
        }
    }
}

/// The indexes equal a rebuild.
fn check_index(state: &State, findings: &mut Vec<Finding>) {
    let mut rebuilt = state.clone();
    reindex(&mut rebuilt);
    rebuilt.index.dropped_request = state.index.dropped_request;
    let (have, want) = (&state.index, &rebuilt.index);
    for (name, equal) in [
        ("by_app", have.by_app == want.by_app),
        ("by_node", have.by_node == want.by_node),
        ("used", have.used == want.used),
        ("waiting", have.waiting == want.waiting),
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
