//! Nodes: one row each, and one node with what runs on it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Decimal, Iso, Resources, View, cpus,
    instance::{self, InstanceRow},
    lookup::engine_away,
    mib,
    verdict::{Standing, Verdict, node::verdict},
};
use crate::{
    core::State,
    model::{
        AppId, Node, NodeId, Ranges,
        node::{Duty, NodeKind},
    },
};

/// `NodeSummary` of the contract.
#[derive(Serialize)]
pub struct NodeRow<'a> {
    id: &'a str,
    pub host: &'a str,
    address: std::net::IpAddr,
    roles: &'static [&'static str],
    pub condition: Standing,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    total: Resources,
    allocated: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<Resources>,
    ports: String,
    attributes: BTreeMap<&'a str, String>,
    instances: usize,
    version: &'a str,
    level: u32,
    registered_at: Iso,
    /// What is set aside for apps that accept the role.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    reserved: BTreeMap<&'a str, Resources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_away: Option<EngineRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<Iso>,
}

#[derive(Serialize)]
struct EngineRow {
    since: Iso,
    cause: String,
}

/// `Node` of the contract.
#[derive(Serialize)]
pub struct NodeDetail<'a> {
    #[serde(flatten)]
    row: NodeRow<'a>,
    revision: u64,
    tasks: Vec<InstanceRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drain: Option<Drain<'a>>,
}

/// How far the draining of a node is.
#[derive(Serialize)]
pub struct Drain<'a> {
    since: Iso,
    /// When it ends, done or not.
    until: Iso,
    waits: Vec<Waits<'a>>,
}

/// Instances of one app that are still there, and what they wait for.
#[derive(Serialize)]
struct Waits<'a> {
    app: &'a str,
    instances: usize,
    reason: &'static str,
}

/// The row of one node. `last_seen_at` is only in details: in rows it would change all the time.
pub fn row<'a>(view: &View<'a>, node: &'a Node) -> NodeRow<'a> {
    let (state, info) = (view.state, &node.info);
    let allocated = state.index.used.get(&info.id).map(|p| p.scalars()).unwrap_or_default();
    let domain = info.fault_domain.as_ref();
    let engine = engine_away(view, &info.id);
    let verdict = verdict(view, node);
    NodeRow {
        id: info.id.as_str(),
        host: &info.hostname,
        address: info.address,
        roles: match info.kind {
            NodeKind::Agent => &["agent"],
            NodeKind::PublicAgent => &["public_agent"],
            NodeKind::Both => &["agent", "public_agent"],
        },
        condition: verdict.state,
        verdict,
        region: domain.map(|d| d.region.as_str()),
        zone: domain.map(|d| d.zone.as_str()),
        total: info.total.scalars().into(),
        allocated: allocated.into(),
        used: used(view, &info.id),
        ports: ports(&info.total.ports()),
        attributes: info.attributes.iter().map(|(k, v)| (k.as_str(), v.text())).collect(),
        instances: state.index.by_node.get(&info.id).map_or(0, |i| i.len()),
        version: &info.version,
        level: info.level,
        registered_at: Iso(node.registered_at),
        reserved: info
            .total
            .0
            .iter()
            .filter(|(role, _)| !role.is_star())
            .map(|(role, pool)| (role.as_str(), pool.scalars.into()))
            .collect(),
        engine_away: engine.map(|e| EngineRow { since: Iso(e.since), cause: e.cause }),
        last_seen_at: None,
    }
}

/// One node whole.
pub fn detail<'a>(view: &View<'a>, node: &'a Node) -> NodeDetail<'a> {
    let mut instances: Vec<_> = view.state.instances_on(node.id()).collect();
    instances.sort_by(|a, b| instance::by_age(a, b));
    let last_seen_at = view.cluster.last_heard(node.id()).map(Iso);
    NodeDetail {
        row: NodeRow { last_seen_at, ..row(view, node) },
        revision: view.state.revision,
        tasks: instance::rows(view, instances.into_iter()),
        drain: drain(view.state, node),
    }
}

/// How far the draining of a node is, and what it waits for; `None` while it does not drain.
pub fn drain<'a>(state: &'a State, node: &'a Node) -> Option<Drain<'a>> {
    let Duty::Draining { since, until } = node.duty else { return None };
    let mut by_app: BTreeMap<&AppId, usize> = BTreeMap::new();
    for app in state.instances_on(node.id()).filter_map(|instance| instance.app()) {
        *by_app.entry(app).or_default() += 1;
    }
    let waits = by_app.into_iter().map(|(app, instances)| {
        let reason = if state.index.locks.contains_key(app) {
            "a deployment of the app is under way"
        } else if state.index.waiting.contains_key(app) {
            "a replacement has no place elsewhere; `why` of the app says what is missing"
        } else {
            "the replacement is not healthy yet, or it is ending"
        };
        Waits { app: app.as_str(), instances, reason }
    });
    Some(Drain { since: Iso(since), until: Iso(until), waits: waits.collect() })
}

/// What a node is measured to use, rounded so that rows change only when it matters.
pub fn used(view: &View<'_>, node: &NodeId) -> Option<Resources> {
    let usage = view.cluster.usage(node)?;
    Some(Resources {
        cpus: cpus(usage.cpus),
        mem_mb: mib(usage.mem_bytes),
        disk_mb: mib(usage.disk_bytes),
        gpus: Decimal::default(),
    })
}

/// Finds a node by id, or by its host name or address when only one has it.
pub fn find<'a>(state: &'a State, name: &str) -> Option<&'a Node> {
    if let Some(node) = state.nodes.get(name) {
        return Some(node);
    }
    let mut named = state
        .nodes
        .values()
        .filter(|n| n.info.hostname == name || n.info.address.to_string() == name);
    let only = named.next()?;
    named.next().is_none().then_some(&**only)
}

fn ports(ranges: &Ranges) -> String {
    ranges.iter().map(|(a, b)| format!("{a}-{b}")).collect::<Vec<_>>().join(",")
}
