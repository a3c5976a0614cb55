//! Pods as they are now: status, instances, containers (docs/compat/marathon.md, "Pods").

use std::net::IpAddr;

use serde::Serialize;

use super::task::{fault_domain, ip_addresses};
use crate::{
    base::clock::Timestamp,
    compat::marathon::{
        convert,
        spec::{self, app::Stamp, pod_container::Resources, policy::Unreachable},
    },
    core::{State, env::host_ports, state},
    model::{
        container::ContainerSpec,
        instance::{CheckStatus, Condition, ContainerStatus, Goal, Instance, InstanceId},
        path::AppId,
        workload::WorkloadSpec,
    },
};

/// What is told of a pod.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodStatus<'a> {
    id: &'a AppId,
    spec: spec::Pod,
    status: &'static str,
    status_since: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    instances: Vec<InstanceStatus<'a>>,
    termination_history: Vec<Termination<'a>>,
    last_updated: Stamp,
    last_changed: Stamp,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InstanceStatus<'a> {
    id: &'a InstanceId,
    status: &'static str,
    status_since: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    agent_hostname: &'a str,
    agent_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_zone: Option<&'a str>,
    resources: Resources,
    networks: Vec<NetworkStatus<'a>>,
    containers: Vec<ContainerInfo<'a>>,
    spec_reference: String,
    local_volumes: [(); 0],
    last_updated: Stamp,
    last_changed: Stamp,
    role: &'a str,
}

#[derive(Debug, Serialize)]
struct NetworkStatus<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    addresses: Vec<IpAddr>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerInfo<'a> {
    name: &'a str,
    status: &'static str,
    status_since: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    container_id: String,
    endpoints: Vec<EndpointStatus<'a>>,
    conditions: Vec<ConditionStatus>,
    resources: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    termination: Option<TerminationState<'a>>,
    last_updated: Stamp,
    last_changed: Stamp,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointStatus<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allocated_host_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
}

/// Whether a container is healthy, by its check.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConditionStatus {
    name: &'static str,
    value: &'static str,
    reason: &'static str,
    last_changed: Stamp,
    last_updated: Stamp,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TerminationState<'a> {
    exit_code: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
}

/// The last failure.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Termination<'a> {
    #[serde(rename = "instanceID")]
    instance_id: &'a InstanceId,
    started_at: Stamp,
    terminated_at: Stamp,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    containers: Vec<TerminatedContainer<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TerminatedContainer<'a> {
    container_id: &'a str,
    last_known_state: &'a str,
}

impl<'a> PodStatus<'a> {
    /// A pod at `now`.
    pub fn of(state: &'a State, pod: &'a state::App, now: Timestamp) -> Self {
        let spec = &pod.spec;
        let of_pod = state.instances_of(&pod.id);
        let instances: Vec<_> = of_pod.filter_map(|i| InstanceStatus::of(state, i)).collect();
        let n_stable = instances.iter().filter(|i| i.status == "STABLE").count();
        let is_enough = u32::try_from(n_stable).is_ok_and(|n| n >= spec.instances);
        let changed = instances.iter().map(|i| i.last_changed.0).max();
        let changed = Stamp(changed.unwrap_or(spec.version).max(spec.version));
        Self {
            id: &pod.id,
            spec: convert::pod(spec),
            status: if is_enough { "STABLE" } else { "DEGRADED" },
            status_since: changed,
            message: None,
            termination_history: pod.last_failure.iter().map(termination).collect(),
            instances,
            last_updated: Stamp(now.max(changed.0)),
            last_changed: changed,
        }
    }
}

fn termination(failure: &state::TaskFailure) -> Termination<'_> {
    Termination {
        instance_id: &failure.instance,
        started_at: Stamp(failure.started_at.unwrap_or(failure.at)),
        terminated_at: Stamp(failure.at),
        message: &failure.message,
        containers: vec![TerminatedContainer {
            container_id: &failure.task_id,
            last_known_state: &failure.state,
        }],
    }
}

impl<'a> InstanceStatus<'a> {
    /// An instance that has a place; one without is left out, as the original does.
    fn of(state: &'a State, instance: &'a Instance) -> Option<Self> {
        let place = instance.placement()?;
        let spec = state.spec_of(instance)?;
        let containers: Vec<_> =
            spec.run.containers.iter().map(|c| container(spec, instance, c)).collect();
        let is_unwell = containers.iter().flat_map(|c| &c.conditions).any(|c| c.value == "false");
        let domain = fault_domain(state, place);
        let checked = containers.iter().flat_map(|c| &c.conditions).map(|c| c.last_changed.0).max();
        let changed = Stamp(checked.unwrap_or(instance.since).max(instance.since));
        let told = Some(instance.message.as_str()).filter(|message| !message.is_empty());
        let is_lost = instance.condition().is_lost();
        let addresses = ip_addresses(instance, place).into_iter().map(|a| a.ip_address).collect();
        let network = spec.run.networks.first();
        Some(Self {
            id: &instance.id,
            status: status(instance.condition(), is_unwell),
            status_since: changed,
            message: told.or(is_lost.then_some("the instance is unreachable")),
            agent_hostname: &place.hostname,
            agent_id: place.node.as_str(),
            agent_region: domain.map(|d| d.region.as_str()),
            agent_zone: domain.map(|d| d.zone.as_str()),
            resources: convert::resources(&spec.run.demand()),
            networks: vec![NetworkStatus {
                name: network.and_then(|network| network.name.as_deref()),
                addresses,
            }],
            containers,
            spec_reference: format!("/v2/pods{}::versions/{}", spec.id, instance.version),
            local_volumes: [],
            last_updated: changed,
            last_changed: changed,
            role: spec.run.role.as_str(),
        })
    }
}

/// The word for an instance.
fn status(condition: Condition, is_unwell: bool) -> &'static str {
    match condition {
        Condition::Scheduled | Condition::Provisioned => "PENDING",
        Condition::Staging | Condition::Starting => "STAGING",
        Condition::Running if is_unwell => "DEGRADED",
        Condition::Running => "STABLE",
        Condition::Unreachable | Condition::UnreachableInactive => "DEGRADED",
        Condition::Killing
        | Condition::Finished
        | Condition::Killed
        | Condition::Failed
        | Condition::Error
        | Condition::Dropped
        | Condition::Gone
        | Condition::Unknown => "TERMINAL",
    }
}

fn container<'a>(
    spec: &'a WorkloadSpec,
    instance: &'a Instance,
    c: &'a ContainerSpec,
) -> ContainerInfo<'a> {
    let (condition, since, told) = instance.container(&c.name);
    let ended = told.filter(|status| status.condition.is_terminal());
    let result = instance.health_of(&spec.run, &c.name);
    let conditions: Vec<ConditionStatus> = healthy(instance, c, result).into_iter().collect();
    let changed = conditions.iter().map(|c| c.last_changed.0).max();
    let changed = Stamp(changed.unwrap_or(since).max(since));
    ContainerInfo {
        name: &c.name,
        status: condition.task_state(),
        status_since: Stamp(since),
        message: ended.map(|status| status.message.as_str()).filter(|text| !text.is_empty()),
        container_id: instance.task_id(&c.name),
        endpoints: endpoints(spec, instance, c, result),
        conditions,
        resources: convert::resources(&c.resources),
        termination: ended.and_then(termination_state),
        last_updated: changed,
        last_changed: changed,
    }
}

fn termination_state(status: &ContainerStatus) -> Option<TerminationState<'_>> {
    Some(TerminationState { exit_code: status.exit_code?, message: &status.message })
}

/// A check that has not been heard of yet counts as failed.
fn healthy(
    instance: &Instance,
    c: &ContainerSpec,
    result: Option<&CheckStatus>,
) -> Option<ConditionStatus> {
    if c.health_checks.is_empty() {
        return None;
    }
    let changed = match result {
        Some(status) if status.alive => status.last_success.or(status.first_success),
        Some(status) => status.last_failure,
        None => None,
    };
    let changed = Stamp(changed.unwrap_or(instance.since));
    Some(ConditionStatus {
        name: "healthy",
        value: if result.is_some_and(|status| status.alive) { "true" } else { "false" },
        reason: match result {
            Some(_) => "health-reported-by-mesos",
            None => "health-unreported-by-mesos",
        },
        last_changed: changed,
        last_updated: changed,
    })
}

fn endpoints<'a>(
    spec: &'a WorkloadSpec,
    instance: &Instance,
    c: &'a ContainerSpec,
    result: Option<&CheckStatus>,
) -> Vec<EndpointStatus<'a>> {
    let hosts = match instance.placement() {
        Some(place) => host_ports(&spec.run, place, c),
        None => Vec::new(),
    };
    let probed = c.health_checks.first().and_then(|check| convert::probed(c, &check.probe));
    let alive = result.map(|status| status.alive);
    let each = c.ports.iter().zip(hosts.into_iter().chain(std::iter::repeat(None)));
    each.filter_map(|(port, allocated_host_port)| {
        let name = port.name.as_deref()?;
        let healthy = alive.filter(|_| probed == Some(name));
        Some(EndpointStatus { name, allocated_host_port, healthy })
    })
    .collect()
}

/// An instance as the answers to killing it show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceInfo<'a> {
    instance_id: &'a InstanceId,
    state: InstanceState,
    agent_info: AgentInfo<'a>,
    run_spec_version: Stamp,
    unreachable_strategy: Unreachable,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InstanceState {
    condition: &'static str,
    since: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_since: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
    goal: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentInfo<'a> {
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    attributes: [(); 0],
}

impl<'a> InstanceInfo<'a> {
    /// An instance as it was when it was told to end.
    pub fn of(state: &'a State, instance: &'a Instance) -> Self {
        let place = instance.placement();
        let domain = place.and_then(|place| fault_domain(state, place));
        let spec = state.spec_of(instance);
        Self {
            instance_id: &instance.id,
            state: InstanceState {
                condition: instance.condition().name(),
                since: Stamp(instance.since),
                active_since: instance.started_at().map(Stamp),
                healthy: state.healthy(instance),
                goal: match instance.goal {
                    Goal::Running => "Running",
                    Goal::Stopped => "Stopped",
                    Goal::Decommissioned => "Decommissioned",
                },
            },
            agent_info: AgentInfo {
                host: place.map_or("", |place| &place.hostname),
                agent_id: place.map(|place| place.node.as_str()),
                region: domain.map(|d| d.region.as_str()),
                zone: domain.map(|d| d.zone.as_str()),
                attributes: [],
            },
            run_spec_version: Stamp(instance.version),
            unreachable_strategy: spec
                .map_or(Unreachable::After { inactive_s: 0, expunge_s: 0 }, |spec| {
                    convert::unreachable(spec.unreachable)
                }),
        }
    }
}
