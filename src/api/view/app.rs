//! Apps: one row each, and one app whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;
use serde_json::Value;

use super::{
    Iso, Resources, View,
    container::{self, PartRow, command_text},
    deployment::{self, DeploymentRow},
    instance::{self, InstanceRow},
    lookup::{delayed_until, dependants, ended_as, no_place, resume_to, volumes},
    tally::Tally,
    verdict::{Standing, Verdict, verdict, words::condition_word},
};
use crate::{
    core::{
        State,
        naming::label::{LABEL_MAX, push_label},
        state::TaskFailure,
    },
    model::{AppId, DeploymentId, Instance, WorkloadSpec, container::Port, workload::Kind},
};

pub use super::lookup::{ids, spec};

/// `AppSummary` of the contract.
#[derive(Serialize)]
pub struct AppRow<'a> {
    id: &'a str,
    /// Only of what is no app.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    pub condition: Standing,
    verdict: Verdict,
    instances: Instances,
    has_health_checks: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<Waiting>,
    deployments: Vec<&'a str>,
    #[serde(flatten)]
    demand: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd: Option<String>,
    labels: &'a BTreeMap<String, String>,
    ports: Vec<PortRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_url: Option<String>,
    version: Iso,
    updated_at: Iso,
}

#[derive(Serialize)]
struct Instances {
    wanted: u32,
    /// Of a stopped app: how many it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume_to: Option<u32>,
    running: i64,
    healthy: i64,
    unhealthy: i64,
    staging: i64,
    /// Running, with a check that is still open.
    starting: i64,
    /// Told to end, and not gone yet.
    stopping: i64,
}

#[derive(Serialize)]
struct Waiting {
    reason: String,
    since: Iso,
    #[serde(skip_serializing_if = "Option::is_none")]
    delayed_until: Option<Iso>,
}

#[derive(Serialize)]
pub struct PortRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vip: Option<String>,
}

/// `App` of the contract: the row with definition, instances, names and progress.
#[derive(Serialize)]
pub struct AppDetail<'a> {
    #[serde(flatten)]
    row: AppRow<'a>,
    revision: u64,
    spec: Value,
    tasks: Vec<InstanceRow<'a>>,
    dns_names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<FailureRow<'a>>,
    deployment_progress: Vec<DeploymentRow<'a>>,
    /// What each instance keeps on the disk of its node.
    volumes: Vec<VolumeRow<'a>>,
    /// What a pod is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    containers: Vec<PartRow<'a>>,
    /// Apps and groups that depend on it.
    dependants: Vec<String>,
}

#[derive(Serialize)]
struct VolumeRow<'a> {
    path: &'a str,
    size_mb: u64,
    /// Nodes on which an instance has one.
    hosts: Vec<&'a str>,
}

#[derive(Serialize)]
struct FailureRow<'a> {
    task_id: &'a str,
    instance_id: &'a str,
    condition: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_id: Option<&'a str>,
    host: &'a str,
    at: Iso,
    version: Iso,
}

/// The row of one app; `None` when nothing of it is left.
pub fn row<'a>(view: &View<'a>, id: &'a AppId) -> Option<AppRow<'a>> {
    let state = view.state;
    let spec = spec(state, id)?;
    let tally = Tally::of(state, state.instances_of(id).map(|i| &**i));
    let wanted = state.spec(id).map_or(0, |s| s.instances);
    let verdict = verdict(view, id, spec);
    let waiting = waiting(view, id, &verdict);
    let changed = state.instances_of(id).map(|i| i.since).max();
    let main = spec.run.main();
    let container = spec.run.containers.iter().find(|c| c.name == main);
    Some(AppRow {
        id: id.as_str(),
        kind: (spec.run.kind == Kind::Pod).then_some("pod"),
        condition: verdict.state,
        verdict,
        instances: Instances {
            wanted,
            resume_to: resume_to(state, id),
            running: tally.running,
            healthy: tally.healthy,
            unhealthy: tally.unhealthy,
            staging: tally.staging,
            starting: tally.starting,
            stopping: tally.stopping,
        },
        has_health_checks: spec.run.has_health_checks(),
        waiting,
        deployments: state.index.locks.get(id).map(DeploymentId::as_str).into_iter().collect(),
        demand: spec.run.demand().into(),
        image: container.and_then(|c| c.image.as_ref()).map(|i| i.name.as_str()),
        cmd: container.and_then(|c| command_text(&c.command)),
        labels: &spec.run.labels,
        ports: spec.run.ports().map(port_row).collect(),
        service_url: spec.service_name().map(|name| format!("/service/{name}/")),
        version: Iso(spec.version),
        updated_at: Iso(changed.map_or(spec.version, |at| at.max(spec.version))),
    })
}

/// One app whole; `show` writes its definition the way the Marathon dialect does.
pub fn detail<'a>(
    view: &View<'a>,
    id: &'a AppId,
    show: fn(&WorkloadSpec) -> Value,
) -> Option<AppDetail<'a>> {
    let state = view.state;
    let mut instances: Vec<_> = state.instances_of(id).filter(|i| !i.is_kept()).collect();
    instances.sort_by(|a, b| instance::by_age(a, b));
    let lock = state.index.locks.get(id).and_then(|d| state.deployments.get(d));
    let app = state.apps.get(id);
    Some(AppDetail {
        row: row(view, id)?,
        revision: state.revision,
        spec: show(spec(state, id)?),
        tasks: instance::rows(view, instances.into_iter()),
        dns_names: dns_names(id),
        last_failure: app.and_then(|a| a.last_failure.as_ref()).map(failure_row),
        deployment_progress: lock.map(|d| deployment::row(view, d)).into_iter().collect(),
        volumes: volume_rows(state, id),
        containers: container::parts(spec(state, id)?),
        dependants: dependants(state, id),
    })
}

fn volume_rows<'a>(state: &'a State, id: &AppId) -> Vec<VolumeRow<'a>> {
    let host = |instance: &'a Arc<Instance>| match state.bound_to(&instance.id) {
        Some(node) => state.nodes.get(node).map(|node| node.info.hostname.as_str()),
        None => instance.placement().map(|place| place.hostname.as_str()),
    };
    let hosts: BTreeSet<&str> = state.instances_of(id).filter_map(host).collect();
    let hosts: Vec<&str> = hosts.into_iter().collect();
    let spec = spec(state, id).into_iter();
    spec.flat_map(volumes)
        .map(|(path, size_mb)| VolumeRow { path, size_mb, hosts: hosts.clone() })
        .collect()
}

/// Why instances have no place: held back after failures, or (by the report of the last attempt)
/// nothing fits. Instances that no attempt has looked at yet are merely on their way.
fn waiting(view: &View<'_>, id: &AppId, verdict: &Verdict) -> Option<Waiting> {
    let waiting = view.state.index.waiting.get(id).filter(|w| !w.is_empty())?;
    let since =
        waiting.iter().filter_map(|i| view.state.instances.get(i)).map(|i| i.since).min()?;
    let since = Iso(since);
    if let Some(until) = delayed_until(view, id) {
        let reason = verdict.full();
        return Some(Waiting { reason, since, delayed_until: Some(Iso(until)) });
    }
    let reason = no_place(view, id)?.found().to_owned();
    Some(Waiting { reason, since, delayed_until: None })
}

pub fn port_row(port: &Port) -> PortRow<'_> {
    PortRow {
        name: port.name.as_deref(),
        protocol: port.protocol.as_str(),
        container_port: port.container_port,
        host_port: port.host_port,
        service_port: (port.service_port != 0).then_some(port.service_port),
        vip: port.labels.iter().find(|(key, _)| key.starts_with("VIP_")).map(|(_, v)| vip(v)),
    }
}

/// A VIP label as clients address it: numbers stay, names get the zone of virtual addresses and
/// lose their slashes (docs/compat/dns.md, "Virtual addresses").
fn vip(label: &str) -> String {
    let (name, port) = label.rsplit_once(':').unwrap_or((label, ""));
    let port = if port.is_empty() { String::new() } else { format!(":{port}") };
    if name.parse::<std::net::IpAddr>().is_ok() {
        return label.to_owned();
    }
    format!("{}.marathon.l4lb.thisdcos.directory{port}", name.replace('/', ""))
}

/// Names that answer with where the app runs (docs/compat/dns.md, "Labels").
pub fn dns_names(id: &AppId) -> Vec<String> {
    let mut label = String::new();
    push_label(&id.task_name(), LABEL_MAX, &mut label);
    let zone = "dcos.thisdcos.directory";
    std::iter::once(format!("{label}.marathon.mesos"))
        .chain(["autoip", "agentip", "containerip"].map(|k| format!("{label}.marathon.{k}.{zone}")))
        .collect()
}

fn failure_row(failure: &TaskFailure) -> FailureRow<'_> {
    FailureRow {
        task_id: &failure.task_id,
        instance_id: failure.instance.as_str(),
        condition: condition_word(ended_as(failure)),
        message: &failure.message,
        node_id: failure.node.as_ref().map(|n| n.as_str()),
        host: &failure.hostname,
        at: Iso(failure.at),
        version: Iso(failure.version),
    }
}

/// Whether an app belongs into a list narrowed down by `q` (id, image or command, any case) and
/// `labels` (`key` or `key=value`).
pub fn matches(state: &State, id: &AppId, q: &str, labels: &[String]) -> bool {
    let Some(spec) = spec(state, id) else { return false };
    let has_label = |wanted: &String| match wanted.split_once('=') {
        Some((key, value)) => spec.run.labels.get(key).is_some_and(|v| v == value),
        None => spec.run.labels.contains_key(wanted),
    };
    let holds = |text: &str| text.to_lowercase().contains(q);
    labels.iter().all(has_label)
        && (q.is_empty()
            || holds(id.as_str())
            || spec.run.containers.iter().any(|c| {
                c.image.as_ref().is_some_and(|i| holds(&i.name))
                    || command_text(&c.command).is_some_and(|t| holds(&t))
            }))
}

#[cfg(test)]
mod tests;
