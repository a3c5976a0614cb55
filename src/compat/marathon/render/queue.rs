//! The launch queue as JSON: what waits, since when, and why.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use crate::{
    base::clock::Timestamp,
    compat::marathon::{
        convert,
        json::Num,
        spec::{self, app::Stamp},
    },
    core::{
        State,
        place::{Reason, Report},
    },
    model::{
        instance::{Condition, Instance},
        path::AppId,
        workload::{Kind, WorkloadSpec},
    },
};

/// The queue.
#[derive(Clone, Debug, Serialize)]
pub struct Queue {
    queue: Vec<Item>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<spec::App>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<spec::Pod>,
    count: u32,
    role: String,
    since: Stamp,
    delay: Delay,
    processed_offers_summary: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_unused_offers: Option<Vec<Unused>>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Delay {
    time_left_seconds: u64,
    overdue: bool,
}

/// What became of the offers looked at: here, of the nodes of the last placement attempt.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    processed_offers_count: u32,
    unused_offers_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_unused_offer_at: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_offer_at: Option<Stamp>,
    reject_summary_last_offers: Vec<Row>,
    reject_summary_launch_attempt: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Row {
    reason: &'static str,
    declined: u32,
    processed: u32,
}

/// A node as an offer that was not used.
#[derive(Clone, Debug, Serialize)]
struct Unused {
    offer: Offer,
    reason: Vec<&'static str>,
    timestamp: Stamp,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Offer {
    id: String,
    hostname: String,
    agent_id: String,
    resources: Vec<Resource>,
    attributes: [(); 0],
}

#[derive(Clone, Debug, Serialize)]
struct Resource {
    name: &'static str,
    role: &'static str,
    scalar: Num,
}

/// The original's rows, in its order, with the reasons of ours that count into each.
const ROWS: [(&str, &[Reason]); 10] = [
    ("UnfulfilledRole", &[Reason::Unreachable, Reason::Role]),
    ("UnfulfilledConstraint", &[Reason::Region, Reason::Constraint]),
    ("NoCorrespondingReservationFound", &[Reason::Reservation]),
    ("AgentMaintenance", &[Reason::Maintenance]),
    ("InsufficientCpus", &[Reason::Cpus]),
    ("InsufficientMemory", &[Reason::Mem]),
    ("InsufficientDisk", &[Reason::Disk]),
    ("InsufficientGpus", &[Reason::Gpus]),
    ("InsufficientPorts", &[Reason::Ports]),
    ("DeclinedScarceResources", &[Reason::Scarce]),
];

/// What one app has waiting.
#[derive(Default)]
struct Waiting {
    count: u32,
    since: Option<Timestamp>,
}

/// Everything that waits at `now`; `reports` gives the last placement report of an app.
pub fn queue(
    state: &State,
    reports: impl Fn(&AppId) -> Option<Arc<Report>>,
    with_offers: bool,
    now: Timestamp,
) -> Queue {
    let mut waiting: BTreeMap<&AppId, Waiting> = BTreeMap::new();
    let is_waiting =
        |i: &&Arc<Instance>| i.waits_for_place() || i.condition() == Condition::Provisioned;
    for instance in state.instances.values().filter(is_waiting) {
        let Some(app) = instance.app() else { continue };
        let entry = waiting.entry(app).or_default();
        entry.count += 1;
        entry.since = Some(entry.since.map_or(instance.since, |since| since.min(instance.since)));
    }
    let item = |(id, waiting): (&AppId, Waiting)| {
        let spec = state.spec(id)?;
        let report = reports(id).filter(|report| report.version == spec.version);
        Some(item(state, spec, &waiting, report.as_deref(), with_offers, now))
    };
    Queue { queue: waiting.into_iter().filter_map(item).collect() }
}

fn item(
    state: &State,
    spec: &WorkloadSpec,
    waiting: &Waiting,
    report: Option<&Report>,
    with_offers: bool,
    now: Timestamp,
) -> Item {
    let delay = state.delays.get(&spec.id).filter(|d| d.config == spec.last_config_change_at);
    let n_unmade = u32::try_from(state.n_unmade(&spec.id)).unwrap_or(u32::MAX);
    let left = delay.map_or(0, |delay| delay.until.since(now).as_millis().div_ceil(1000));
    let is_app = spec.run.kind == Kind::App;
    Item {
        app: is_app.then(|| convert::app(spec)),
        pod: (!is_app).then(|| convert::pod(spec)),
        count: waiting.count.saturating_add(n_unmade),
        role: spec.run.role.to_string(),
        since: Stamp(waiting.since.unwrap_or(now)),
        delay: Delay {
            time_left_seconds: u64::try_from(left).unwrap_or(u64::MAX),
            overdue: left == 0,
        },
        processed_offers_summary: report.map(summary).unwrap_or_default(),
        last_unused_offers: with_offers.then(|| report.map(unused).unwrap_or_default()),
    }
}

fn summary(report: &Report) -> Summary {
    let rows = rows(report);
    let n_unused = report.n_nodes.saturating_sub(report.n_fitting);
    Summary {
        processed_offers_count: report.n_nodes,
        unused_offers_count: n_unused,
        last_unused_offer_at: (n_unused > 0).then_some(Stamp(report.at)),
        last_used_offer_at: (report.n_placed > 0).then_some(Stamp(report.at)),
        reject_summary_last_offers: rows.clone(),
        reject_summary_launch_attempt: rows,
    }
}

/// All ten rows, also those that declined nothing; each starts with what the one before let pass.
fn rows(report: &Report) -> Vec<Row> {
    let mut left = report.n_nodes;
    ROWS.iter()
        .map(|(reason, ours)| {
            let declined: u32 = ours.iter().map(|r| report.row(*r).declined).sum();
            let row = Row { reason, declined, processed: left };
            left = left.saturating_sub(declined);
            row
        })
        .collect()
}

fn unused(report: &Report) -> Vec<Unused> {
    let name = |reason: &Reason| {
        ROWS.iter().find(|(_, ours)| ours.contains(reason)).map(|(name, _)| *name)
    };
    let scalar = |name, value: crate::base::units::Milli| Resource {
        name,
        role: "*",
        scalar: Num(value.as_f64()),
    };
    let unused = |node: &crate::core::place::report::NodeRow| Unused {
        offer: Offer {
            id: format!("{}-O{}", node.node, report.at.as_ms()),
            hostname: node.hostname.clone(),
            agent_id: node.node.to_string(),
            resources: vec![
                scalar("cpus", node.free.cpus),
                scalar("mem", node.free.mem),
                scalar("disk", node.free.disk),
                scalar("gpus", node.free.gpus),
            ],
            attributes: [],
        },
        reason: node.failed.iter().filter_map(|shortage| name(&shortage.reason)).collect(),
        timestamp: Stamp(report.at),
    };
    report.nodes.iter().filter(|node| !node.failed.is_empty()).map(unused).collect()
}
