//! Tasks as JSON.

use std::net::IpAddr;

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::{
    compat::marathon::spec::app::Stamp,
    core::State,
    model::{
        instance::{CheckOutcome, CheckStatus, Condition, Instance, InstanceId, Placement},
        node::FaultDomain,
        path::AppId,
        volume::Volume,
        workload::WorkloadSpec,
    },
};

/// One address of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    pub ip_address: IpAddr,
    pub protocol: &'static str,
}

/// The addresses a task is reached at: its own, or its node's with host networking.
pub fn ip_addresses(instance: &Instance, placement: &Placement) -> Vec<Address> {
    let own = instance.addresses().iter().copied();
    let host = instance.addresses().is_empty().then_some(placement.address);
    let address = |ip_address: IpAddr| Address {
        ip_address,
        protocol: if ip_address.is_ipv4() { "IPv4" } else { "IPv6" },
    };
    own.chain(host).map(address).collect()
}

/// One task of an app.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Task<'a> {
    pub app_id: &'a AppId,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    health_check_results: Vec<CheckResult<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check_result: Option<CheckOutcomeJson>,
    pub host: &'a str,
    pub id: String,
    ip_addresses: Vec<Address>,
    ports: Vec<u16>,
    service_ports: Vec<u16>,
    slave_id: &'a str,
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    staged_at: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Stamp>,
    local_volumes: Vec<LocalVolume<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    role: &'a str,
}

/// A persistent volume of a task.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LocalVolume<'a> {
    run_spec_id: &'a AppId,
    container_path: &'a str,
    uuid: &'a str,
    persistence_id: &'a str,
}

impl<'a> LocalVolume<'a> {
    fn of(volume: &'a Volume) -> Self {
        Self {
            run_spec_id: &volume.app,
            container_path: &volume.path,
            uuid: volume.id.uuid(),
            persistence_id: volume.id.as_str(),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckResult<'a> {
    alive: bool,
    consecutive_failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_success: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure_cause: Option<&'a str>,
    instance_id: &'a InstanceId,
}

/// `{"http":{"statusCode":200}}` and its like.
#[derive(Clone, Copy, Debug)]
struct CheckOutcomeJson(CheckOutcome);

impl Serialize for CheckOutcomeJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self.0 {
            CheckOutcome::Http(code) => {
                map.serialize_entry("http", &Single("statusCode", code))?;
            }
            CheckOutcome::Tcp(ok) => map.serialize_entry("tcp", &Single("succeeded", ok))?,
            CheckOutcome::Command(code) => {
                map.serialize_entry("command", &Single("exitCode", code))?;
            }
        }
        map.end()
    }
}

/// An object of one field.
struct Single<T>(&'static str, T);

impl<T: Serialize> Serialize for Single<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.0, &self.1)?;
        map.end()
    }
}

/// Where the node of a place stands, as far as it says so.
pub fn fault_domain<'a>(state: &'a State, place: &Placement) -> Option<&'a FaultDomain> {
    state.nodes.get(&place.node)?.info.fault_domain.as_ref()
}

impl<'a> Task<'a> {
    /// The task of an instance; `None` while it has not been launched.
    pub fn of(state: &'a State, spec: &'a WorkloadSpec, instance: &'a Instance) -> Option<Self> {
        let placement = instance.placement()?;
        let is_active = instance.condition().is_active();
        let container = spec.run.containers.first().map_or("", |c| c.name.as_str());
        let domain = fault_domain(state, placement);
        let stamp = |time| Some(Stamp(time)).filter(|_| is_active);
        Some(Self {
            app_id: &spec.id,
            health_check_results: instance
                .health()
                .iter()
                .map(|status| check_result(status, &instance.id))
                .collect(),
            check_result: instance.check().map(CheckOutcomeJson),
            host: &placement.hostname,
            id: instance.task_id(container),
            ip_addresses: ip_addresses(instance, placement),
            ports: if is_active {
                placement.host_ports.iter().copied().flatten().collect()
            } else {
                Vec::new()
            },
            service_ports: spec.run.ports().map(|p| p.service_port).collect(),
            slave_id: placement.node.as_str(),
            state: instance.condition().task_state(),
            staged_at: stamp(placement.launched_at),
            started_at: instance.started_at().and_then(stamp),
            version: stamp(instance.version),
            local_volumes: state.volumes_of(&instance.id).map(|v| LocalVolume::of(v)).collect(),
            region: domain.map(|d| d.region.as_str()),
            zone: domain.map(|d| d.zone.as_str()),
            role: spec.run.role.as_str(),
        })
    }
}

fn check_result<'a>(status: &'a CheckStatus, instance_id: &'a InstanceId) -> CheckResult<'a> {
    CheckResult {
        alive: status.alive,
        consecutive_failures: status.consecutive_failures,
        first_success: status.first_success.map(Stamp),
        last_success: status.last_success.map(Stamp),
        last_failure: status.last_failure.map(Stamp),
        last_failure_cause: status.last_failure_cause.as_deref(),
        instance_id,
    }
}

/// The tasks of an app, by instance id.
pub fn of_app<'a>(state: &'a State, spec: &'a WorkloadSpec) -> Vec<Task<'a>> {
    state.instances_of(&spec.id).filter_map(|i| Task::of(state, spec, i)).collect()
}

/// How many tasks of an app are where (docs/compat/marathon.md, "Counts").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub staged: u32,
    pub running: u32,
    pub healthy: u32,
    pub unhealthy: u32,
}

impl Counts {
    /// Adds one instance. Whether it is healthy is a matter of the definition it was made from: the
    /// wanted one may have checks that the old instances of an upgrade know nothing of.
    pub fn add(&mut self, state: &State, instance: &Instance) {
        match instance.condition() {
            Condition::Provisioned | Condition::Staging => self.staged += 1,
            Condition::Running => {
                self.running += 1;
                match state.healthy(instance) {
                    Some(true) => self.healthy += 1,
                    Some(false) => self.unhealthy += 1,
                    None => {}
                }
            }
            _ => {}
        }
    }

    /// Of all instances of an app.
    pub fn of(state: &State, spec: &WorkloadSpec) -> Self {
        let mut counts = Self::default();
        for instance in state.instances_of(&spec.id) {
            counts.add(state, instance);
        }
        counts
    }
}
