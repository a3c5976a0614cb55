//! The cluster in one object.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Iso, Resources, View, lookup, node,
    tally::Tally,
    verdict::{self, Standing, Verdict, cluster::Troubles, headline},
};
use crate::{
    base::{clock::Timestamp, units::Milli},
    core::State,
    model::{AppId, Node, NodeId, Scalars, node::Reach},
};

/// Nodes named by warnings of one kind; the list of nodes has them all.
const WARNINGS_OF_A_KIND_MAX: usize = 20;

/// `Status` of the contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    pub revision: u64,
    pub at: Iso,
    cluster_id: String,
    name: String,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<LeaderRow>,
    started_at: Iso,
    pub uptime_s: u64,
    verdict: Verdict,
    counts: Counts,
    total: Resources,
    allocated: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<Resources>,
    warnings: Vec<Warning>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct LeaderRow {
    id: String,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Iso>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Counts {
    nodes: usize,
    nodes_active: usize,
    nodes_attention: usize,
    apps: usize,
    apps_attention: usize,
    instances: i64,
    instances_running: i64,
    instances_healthy: i64,
    instances_unhealthy: i64,
    instances_staging: i64,
    instances_starting: i64,
    instances_stopping: i64,
    deployments: usize,
}

/// Something an operator should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Warning {
    /// Stable word for programs.
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The node it is about, whose own verdict says the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    node_id: Option<NodeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Iso>,
}

/// Troubles named in the status; lists have them all.
const TROUBLES_MAX: usize = 20;

/// The status with what is wrong, worst first.
#[derive(Serialize)]
pub struct Whole {
    #[serde(flatten)]
    status: Status,
    troubles: Vec<Trouble>,
}

/// A node or an app that needs attention.
#[derive(Serialize)]
struct Trouble {
    kind: &'static str,
    id: String,
    name: String,
    verdict: Verdict,
}

/// As `status`, and what is wrong one by one.
pub fn whole(view: &View<'_>, started_at: Timestamp) -> Whole {
    let tally = Tally::of(view.state, view.state.instances.values().map(|i| &**i));
    let attention = attention(view);
    let troubles = troubles(view, &Troubles::of(view, &attention));
    Whole { status: counted(view, started_at, &tally, &attention), troubles }
}

fn troubles(view: &View<'_>, known: &Troubles<'_>) -> Vec<Trouble> {
    let node = |(node, _): &(&Node, Standing)| Trouble {
        kind: "node",
        id: node.id().to_string(),
        name: node.info.hostname.clone(),
        verdict: verdict::node::verdict(view, node),
    };
    let app = |id: &&AppId| {
        let verdict = verdict::verdict(view, id, lookup::spec(view.state, id)?);
        Some(Trouble { kind: "app", id: id.to_string(), name: id.to_string(), verdict })
    };
    let mut all: Vec<Trouble> = known.nodes.iter().map(node).take(TROUBLES_MAX).collect();
    // What stands still for want of an engine is told by its node.
    let own = known.apps.iter().filter(|(state, _)| **state != Standing::EngineDown);
    let apps = own.flat_map(|(_, ids)| ids).take(TROUBLES_MAX);
    all.extend(apps.filter_map(app));
    all.sort_by_key(|trouble| trouble.verdict.state);
    all.truncate(TROUBLES_MAX);
    all
}

/// Counts everything.
pub fn status(view: &View<'_>, started_at: Timestamp) -> Status {
    let tally = Tally::of(view.state, view.state.instances.values().map(|i| &**i));
    counted(view, started_at, &tally, &attention(view))
}

/// The apps that need attention.
pub fn attention(view: &View<'_>) -> BTreeMap<AppId, Standing> {
    let ids = lookup::ids(view.state);
    let told =
        ids.filter_map(|id| Some((id, verdict::verdict(view, id, lookup::spec(view.state, id)?))));
    told.filter(|(_, verdict)| verdict.state.needs_attention())
        .map(|(id, verdict)| (id.clone(), verdict.state))
        .collect()
}

/// As `status`, with the costly counts already made.
pub fn counted(
    view: &View<'_>,
    started_at: Timestamp,
    tally: &Tally,
    attention: &BTreeMap<AppId, Standing>,
) -> Status {
    let troubles = Troubles::of(view, attention);
    let state = view.state;
    let total = state.nodes.values().map(|n| n.info.total.scalars()).fold(Scalars::default(), add);
    let allocated = state.index.used.values().map(|p| p.scalars()).fold(Scalars::default(), add);
    let cluster = state.cluster.as_deref();
    Status {
        revision: state.revision,
        at: Iso(view.now),
        cluster_id: cluster.map(|c| c.id.clone()).unwrap_or_default(),
        name: cluster.map(|c| c.name.clone()).unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION"),
        leader: view.cluster.leader().map(|l| LeaderRow {
            id: l.id.to_string(),
            address: l.addresses.router,
            since: l.since.map(Iso),
        }),
        started_at: Iso(started_at),
        uptime_s: view.now.since(started_at).as_secs(),
        verdict: headline(view, &troubles, tally),
        counts: Counts {
            nodes: state.nodes.len(),
            nodes_active: state.nodes.values().filter(|n| n.takes_work()).count(),
            apps: state.apps.len(),
            nodes_attention: troubles.nodes.len(),
            apps_attention: attention.len(),
            instances: tally.present,
            instances_running: tally.running,
            instances_healthy: tally.healthy,
            instances_unhealthy: tally.unhealthy,
            instances_staging: tally.staging,
            instances_starting: tally.starting,
            instances_stopping: tally.stopping,
            deployments: state.deployments.len(),
        },
        total: total.into(),
        allocated: allocated.into(),
        used: used(view),
        warnings: warnings(view),
    }
}

fn add(a: Scalars, b: Scalars) -> Scalars {
    a + b
}

/// The sum over the nodes that have reported; absent until the first has.
fn used(view: &View<'_>) -> Option<Resources> {
    let samples: Vec<Resources> =
        view.state.nodes.keys().filter_map(|id| node::used(view, id)).collect();
    if samples.is_empty() {
        return None;
    }
    let sum = |of: fn(&Resources) -> Milli| super::Decimal(samples.iter().map(of).sum());
    Some(Resources {
        cpus: sum(|r| r.cpus.0),
        mem_mb: sum(|r| r.mem_mb.0),
        disk_mb: sum(|r| r.disk_mb.0),
        gpus: sum(|r| r.gpus.0),
    })
}

fn warnings(view: &View<'_>) -> Vec<Warning> {
    let troubles = view.cluster.troubles().into_iter();
    let mut warnings: Vec<Warning> = troubles
        .map(|trouble| Warning {
            code: trouble.code,
            message: trouble.message,
            hint: Some(trouble.hint.to_owned()),
            node_id: None,
            since: None,
        })
        .collect();
    let state = view.state;
    if !state.nodes.values().any(|n| n.takes_work()) {
        warnings.push(Warning {
            code: "no_active_node",
            message: "no node takes work, so nothing can be started".into(),
            hint: Some("start an agent, or end a drain with: tepui node undrain NODE".into()),
            node_id: None,
            since: None,
        });
    }
    let down = state.nodes.values().filter_map(|n| Some((n, lookup::engine_away(view, n.id())?)));
    warnings.extend(down.take(WARNINGS_OF_A_KIND_MAX).map(|(node, away)| Warning {
        code: "engine_down",
        message: format!(
            "node {} cannot run containers: its container engine does not answer ({})",
            node.info.hostname, away.cause
        ),
        hint: Some("look there with: systemctl status docker".into()),
        node_id: Some(node.id().clone()),
        since: Some(Iso(away.since)),
    }));
    warnings.extend(lost(state).take(WARNINGS_OF_A_KIND_MAX).map(|(node, since)| Warning {
        code: "node_unreachable",
        message: format!("node {} is not heard of", node.info.hostname),
        hint: Some("check its network and its tepui process".into()),
        node_id: Some(node.id().clone()),
        since: Some(Iso(since)),
    }));
    warnings
}

fn lost(state: &State) -> impl Iterator<Item = (&Node, Timestamp)> {
    state.nodes.values().filter_map(|node| match node.reach {
        Reach::Reachable => None,
        Reach::Unreachable { since } => Some((&**node, since)),
    })
}
