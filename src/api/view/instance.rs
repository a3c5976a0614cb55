//! One instance as a row, and finding an instance by the ids people have at hand.

use std::{net::IpAddr, sync::Arc};

use serde::Serialize;

use super::{
    Decimal, Iso, Resources, View,
    container::{self, ContainerRow},
    cpus, health,
    lookup::main,
    mib,
    verdict::{Verdict, instance::verdict, words::condition_word},
};
use crate::{
    base::clock::Timestamp,
    core::State,
    model::{
        Instance, InstanceId, NodeId, WorkloadSpec,
        instance::{CheckStatus, Condition},
        link::TaskUsage,
        workload::Kind,
    },
};

/// `Instance` of the contract.
#[derive(Serialize)]
pub struct InstanceRow<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    app_id: &'a str,
    condition: &'static str,
    verdict: Verdict,
    since: Iso,
    #[serde(skip_serializing_if = "Option::is_none")]
    launched_at: Option<Iso>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Iso>,
    version: Iso,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    outdated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    ports: Vec<u16>,
    ip_addresses: Vec<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy_since: Option<Iso>,
    /// It runs, and a health check has no result yet or a readiness check has not passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<String>,
    health: Vec<HealthRow<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    restarts: u32,
    #[serde(flatten)]
    demand: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<Used>,
    /// Of a pod.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    containers: Vec<ContainerRow<'a>>,
}

#[derive(Serialize)]
struct HealthRow<'a> {
    alive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    consecutive_failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success_at: Option<Iso>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure_at: Option<Iso>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure_cause: Option<&'a str>,
}

/// What an instance is measured to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Used {
    cpus: Decimal,
    mem_mb: Decimal,
}

impl Used {
    pub fn of(usage: &TaskUsage) -> Self {
        Self { cpus: cpus(usage.cpus), mem_mb: mib(usage.mem_bytes) }
    }
}

/// The row of one instance; `usage` are the samples of its node.
pub fn row<'a>(view: &View<'a>, instance: &'a Instance, usage: &[TaskUsage]) -> InstanceRow<'a> {
    let spec = view.state.spec_of(instance).map(|s| &**s);
    let place = instance.placement();
    let is_pod = spec.is_some_and(|spec| spec.run.kind == Kind::Pod);
    InstanceRow {
        id: instance.id.as_str(),
        task_id: (instance.incarnation > 0).then(|| instance.task_id(main(view.state, instance))),
        app_id: instance.app().map_or("", |app| app.as_str()),
        condition: condition_word(instance.condition()),
        verdict: verdict(view, instance),
        since: Iso(instance.since),
        launched_at: place.map(|p| Iso(p.launched_at)),
        started_at: instance.started_at().map(Iso),
        version: Iso(instance.version),
        outdated: instance.app().is_some_and(|app| view.state.spec(app).is_some())
            && !view.state.is_current(instance),
        node_id: place.map(|p| p.node.as_str()),
        host: place.map(|p| p.hostname.as_str()),
        ports: place.map(|p| p.host_ports.iter().flatten().copied().collect()).unwrap_or_default(),
        ip_addresses: addresses(instance),
        healthy: view.state.healthy(instance),
        healthy_since: healthy_since(view.state, instance).map(Iso),
        pending: spec
            .filter(|_| instance.condition() == Condition::Running)
            .and_then(|spec| health::pending(instance, spec)),
        health: instance.health().iter().map(|c| health_row(c, spec)).collect(),
        message: &instance.message,
        // Of a pod each container tells its own.
        exit_code: instance.containers().iter().find_map(|c| c.exit_code).filter(|_| !is_pod),
        restarts: instance.incarnation.saturating_sub(1),
        demand: spec.map(|spec| spec.run.demand()).unwrap_or_default().into(),
        used: usage.iter().find(|u| u.instance == instance.id).map(Used::of),
        containers: spec
            .filter(|_| is_pod)
            .map(|s| container::rows(s, instance))
            .unwrap_or_default(),
    }
}

impl InstanceRow<'_> {
    /// As the row of one container's task.
    pub fn of_container(self, task_id: String) -> Self {
        Self { task_id: Some(task_id), ..self }
    }
}

/// Rows of many instances, with the samples of each node asked for once.
pub fn rows<'a>(
    view: &View<'a>,
    instances: impl Iterator<Item = &'a Arc<Instance>>,
) -> Vec<InstanceRow<'a>> {
    let mut samples = std::collections::BTreeMap::new();
    instances
        .map(|instance| {
            let usage = instance.placement().and_then(|p| {
                samples.entry(&p.node).or_insert_with(|| view.cluster.usage(&p.node)).clone()
            });
            row(view, instance, usage.as_ref().map_or(&[], |u| &u.tasks))
        })
        .collect()
}

/// Its own addresses, or its node's with host networking.
fn addresses(instance: &Instance) -> Vec<IpAddr> {
    if instance.addresses().is_empty() {
        instance.placement().iter().map(|p| p.address).collect()
    } else {
        instance.addresses().to_vec()
    }
}

/// When the last of its checks passed for the first time, while all of them do.
fn healthy_since(state: &State, instance: &Instance) -> Option<Timestamp> {
    state.healthy(instance).filter(|is_healthy| *is_healthy)?;
    instance.health().iter().map(|check| check.first_success).max().flatten()
}

fn health_row<'a>(status: &'a CheckStatus, spec: Option<&WorkloadSpec>) -> HealthRow<'a> {
    let check = spec.and_then(|s| health::check_at(s, status.index));
    HealthRow {
        alive: status.alive,
        protocol: check.map(health::protocol),
        consecutive_failures: status.consecutive_failures,
        last_success_at: status.last_success.map(Iso),
        last_failure_at: status.last_failure.map(Iso),
        last_failure_cause: status.last_failure_cause.as_deref(),
    }
}

/// Where a task's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    pub instance: InstanceId,
    /// Set when the caller named a task, not an instance.
    pub incarnation: Option<u32>,
    /// Name of the container, empty for the only one.
    pub container: String,
    /// `None` while it has no place.
    pub node: Option<NodeId>,
    pub running: bool,
    /// This incarnation has ended: its files grow no more.
    pub ended: bool,
}

/// Finds a task by task id or instance id. The last failed task of an app is found too, although
/// its instance may run elsewhere by now: its output is what people want to see.
pub fn locate(state: &State, id: &str) -> Option<Located> {
    if let Some(instance) = state.instances.get(id) {
        return Some(located(instance, None, main(state, instance).to_owned()));
    }
    let (instance_id, container, incarnation) = split_task_id(id)?;
    let instance = state.instances.get(instance_id)?;
    let container = if container == "_app" { String::new() } else { container.to_owned() };
    let mut found = located(instance, Some(incarnation), container);
    // An ended incarnation has given up its place; a failed one is remembered with its node.
    if incarnation != instance.incarnation || instance.condition() == Condition::Scheduled {
        let app = instance.app().and_then(|app| state.apps.get(app));
        let failure = app.and_then(|app| app.last_failure.as_ref());
        let failure = failure.filter(|f| f.task_id == id);
        found.node = failure.and_then(|f| f.node.clone()).or(found.node);
        found.running = false;
        found.ended = true;
    }
    Some(found)
}

fn located(instance: &Instance, incarnation: Option<u32>, container: String) -> Located {
    Located {
        instance: instance.id.clone(),
        incarnation,
        container,
        node: instance.placement().map(|p| p.node.clone()),
        running: instance.condition() == Condition::Running,
        ended: instance.condition().is_terminal(),
    }
}

/// `<instance>.<container>.<incarnation>`; the instance id itself may hold dots.
pub fn split_task_id(id: &str) -> Option<(&str, &str, u32)> {
    let (rest, incarnation) = id.rsplit_once('.')?;
    let (instance, container) = rest.rsplit_once('.')?;
    Some((instance, container, incarnation.parse().ok()?))
}

/// Newest first, ended ones last.
pub fn by_age(a: &Instance, b: &Instance) -> std::cmp::Ordering {
    let key = |i: &Instance| (i.condition().is_terminal(), std::cmp::Reverse(i.created_at));
    key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id))
}
