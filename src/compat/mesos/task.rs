//! Tasks: what each container of a launched instance looks like to Mesos clients.
//!
//! The parts that all tasks of one definition share (labels, container, resources) are written once
//! and copied, because an app has many instances and a cluster has many tasks.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use super::{json::Json, json::text, resource};
use crate::{
    base::clock::Timestamp,
    core::State,
    model::{
        Instance, Ranges, Resources, Role, WorkloadSpec,
        container::{ContainerSpec, Engine, Port},
        workload::{Kind, NetworkMode},
    },
};

/// The states a summary counts, in its order.
const COUNTED: [&str; 10] = [
    "TASK_STAGING",
    "TASK_STARTING",
    "TASK_RUNNING",
    "TASK_KILLING",
    "TASK_FINISHED",
    "TASK_KILLED",
    "TASK_FAILED",
    "TASK_LOST",
    "TASK_ERROR",
    "TASK_UNREACHABLE",
];

/// Tasks by state.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts([u64; 10]);

impl Counts {
    /// Counts the tasks of one instance.
    pub fn add(&mut self, state: &State, instance: &Instance) {
        let word = match instance.condition().task_state() {
            "TASK_DROPPED" | "TASK_GONE" | "TASK_UNKNOWN" => "TASK_LOST",
            word => word,
        };
        if let Some(at) = COUNTED.iter().position(|c| *c == word) {
            self.0[at] += names(state, instance).count() as u64;
        }
    }

    /// The count of one state.
    pub fn of(&self, word: &str) -> u64 {
        COUNTED.iter().position(|c| *c == word).map_or(0, |at| self.0[at])
    }

    /// As fields of the present object.
    pub fn write(&self, j: &mut Json<'_>) {
        for (word, n) in COUNTED.iter().zip(self.0) {
            j.int_at(word, n);
        }
    }
}

/// Names of the containers that are tasks: one empty name for an app, the containers of a pod.
/// Nothing for an instance that has no place (it is no task yet).
pub fn names<'a>(state: &'a State, instance: &'a Instance) -> impl Iterator<Item = &'a str> {
    let spec = instance.placement().and_then(|_| state.spec_of(instance));
    let containers = spec.into_iter().flat_map(|spec| &spec.run.containers);
    containers.map(|c| c.name.as_str())
}

/// Writes tasks of one framework; keeps what the last definition's tasks share.
pub struct Tasks<'a> {
    state: &'a State,
    framework: &'a str,
    only: Option<&'a str>,
    shared: Option<(Timestamp, &'a WorkloadSpec, Vec<Shared>)>,
}

/// What all tasks of one container of one definition share, as fields.
struct Shared {
    /// Of an app `name`, `framework_id`; then `role`, `labels`, `container`.
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl<'a> Tasks<'a> {
    pub fn new(state: &'a State, framework: &'a str) -> Self {
        Self { state, framework, only: None, shared: None }
    }

    /// Writes nothing but the task with this id, when there is one.
    pub fn only(self, id: Option<&'a str>) -> Self {
        Self { only: id, ..self }
    }

    /// The tasks of one instance as list elements.
    pub fn write(&mut self, j: &mut Json<'_>, instance: &'a Instance) {
        self.write_made_from(j, instance, None);
    }

    /// As `write`, for an instance whose definition the state may have forgotten.
    pub fn write_made_from(
        &mut self,
        j: &mut Json<'_>,
        instance: &'a Instance,
        spec: Option<&'a WorkloadSpec>,
    ) {
        let known = || self.state.spec_of(instance).map(|s| &**s);
        let Some(spec) = spec.or_else(known) else { return };
        if instance.placement().is_none() {
            return;
        }
        let known = self.shared.as_ref().is_some_and(|(_, known, _)| std::ptr::eq(*known, spec));
        if !known {
            let parts =
                spec.run.containers.iter().map(|c| shared(spec, c, self.framework)).collect();
            self.shared = Some((spec.version, spec, parts));
        }
        let Some((_, _, parts)) = &self.shared else { return };
        let mut first_port = 0;
        for (container, shared) in spec.run.containers.iter().zip(parts) {
            let ports = Ports::of(instance, container, first_port);
            first_port += container.ports.len();
            if self.only.is_some_and(|only| only != instance.task_id(&container.name)) {
                continue;
            }
            task(j, self.state, instance, spec, container, shared, &ports);
        }
    }
}

/// Ports of one container with the numbers they have on the node.
struct Ports<'a>(Vec<(&'a Port, Option<u16>)>);

impl<'a> Ports<'a> {
    fn of(instance: &Instance, container: &'a ContainerSpec, first: usize) -> Self {
        let held = instance.placement().map_or(&[][..], |p| &p.host_ports);
        let held = held.get(first..).unwrap_or_default().iter().copied();
        let held = held.chain(std::iter::repeat(None));
        Self(container.ports.iter().zip(held).collect())
    }
}

fn task(
    j: &mut Json<'_>,
    state: &State,
    instance: &Instance,
    spec: &WorkloadSpec,
    container: &ContainerSpec,
    shared: &Shared,
    ports: &Ports<'_>,
) {
    j.object(|j| {
        j.text_at("id", &instance.task_id(&container.name));
        j.fields(&shared.head);
        let executor = if spec.run.kind == Kind::Pod { instance.id.as_str() } else { "" };
        j.text_at("executor_id", executor);
        if let Some(place) = instance.placement() {
            j.text_at("slave_id", place.node.as_str());
        }
        j.text_at("state", instance.condition().task_state());
        let held = ports.0.iter().filter_map(|(_, held)| held.map(u64::from));
        let scalars = container.resources;
        let resources =
            Resources { scalars, ports: Ranges::of_numbers(held), ..Resources::default() };
        resource::totals(j, "resources", &resources);
        statuses(j, state, instance, spec, container, ports);
        j.fields(&shared.tail);
        discovery(j, spec, ports);
    });
}

/// The latest status of each state the task went through, oldest first.
fn statuses(
    j: &mut Json<'_>,
    state: &State,
    instance: &Instance,
    spec: &WorkloadSpec,
    container: &ContainerSpec,
    ports: &Ports<'_>,
) {
    let Some(place) = instance.placement() else { return };
    let now = instance.condition().task_state();
    let mut past = vec![];
    if instance.started_at().is_none() && now != "TASK_STAGING" {
        past.push(("TASK_STAGING", place.launched_at));
    }
    if let Some(at) = instance.started_at().filter(|_| now != "TASK_STARTING") {
        past.push(("TASK_STARTING", place.launched_at));
        if now != "TASK_RUNNING" {
            past.push(("TASK_RUNNING", at));
        }
    }
    let since = match now {
        "TASK_RUNNING" => instance.started_at().unwrap_or(instance.since),
        _ => instance.since,
    };
    past.push((now, since));
    let status = text(|j| container_status(j, instance, spec, container, ports));
    j.list_at("statuses", |j| {
        for (word, at) in past {
            j.object(|j| {
                j.text_at("state", word);
                j.time_at("timestamp", at);
                j.fields(&status);
                let healthy = state.healthy(instance).filter(|_| word == "TASK_RUNNING");
                if let Some(healthy) = healthy {
                    j.bool_at("healthy", healthy);
                }
            });
        }
    });
}

fn container_status(
    j: &mut Json<'_>,
    instance: &Instance,
    spec: &WorkloadSpec,
    container: &ContainerSpec,
    ports: &Ports<'_>,
) {
    j.object_at("container_status", |j| {
        j.object_at("container_id", |j| {
            j.text_at("value", &container_id(instance, &container.name));
            if spec.run.kind == Kind::Pod {
                j.object_at("parent", |j| j.text_at("value", &container_id(instance, "")));
            }
        });
        j.list_at("network_infos", |j| {
            j.object(|j| network_info(j, instance, spec, ports));
        });
    });
}

fn network_info(j: &mut Json<'_>, instance: &Instance, spec: &WorkloadSpec, ports: &Ports<'_>) {
    j.list_at("ip_addresses", |j| {
        let node = instance.placement().map(|p| p.address);
        let own = instance.addresses();
        for ip in own.iter().copied().chain(node.filter(|_| own.is_empty())) {
            j.object(|j| {
                j.text_at("protocol", if matches!(ip, IpAddr::V4(_)) { "IPv4" } else { "IPv6" });
                j.text_at("ip_address", &ip.to_string());
            });
        }
    });
    if let Some(name) = spec.run.networks.first().and_then(|n| n.name.as_deref()) {
        j.text_at("name", name);
    }
    let mapped = ports.0.iter().filter_map(|(p, held)| Some((p, p.container_port?, (*held)?)));
    let mapped: Vec<_> = mapped.collect();
    if spec.run.network_mode() != NetworkMode::Host && !mapped.is_empty() {
        j.list_at("port_mappings", |j| {
            for (port, inside, held) in mapped {
                for protocol in port.protocol.each() {
                    j.object(|j| {
                        j.int_at("host_port", u64::from(held));
                        j.int_at(
                            "container_port",
                            u64::from(if inside == 0 { held } else { inside }),
                        );
                        j.text_at("protocol", protocol);
                    });
                }
            }
        });
    }
}

/// A UUID per incarnation and container: the instance's own for the first, then one made from the
/// task's id, the same in every answer.
pub fn container_id(instance: &Instance, container: &str) -> String {
    let (id, task_id) = (instance.id.as_str(), instance.task_id(container));
    container_id_of(id, instance.incarnation, container, &task_id)
}

/// As `container_id`, of an instance of which only the names are at hand.
pub fn container_id_of(instance: &str, incarnation: u32, container: &str, task_id: &str) -> String {
    let own = instance.rsplit_once("instance-").map(|(_, uuid)| uuid);
    let own = own.filter(|u| u.len() == 36);
    match own {
        Some(own) if incarnation <= 1 && container.is_empty() => own.to_owned(),
        Some(_) | None => {
            let hash: [u8; 32] = Sha256::digest(task_id).into();
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&hash[..16]);
            uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
        }
    }
}

fn shared(spec: &WorkloadSpec, container: &ContainerSpec, framework: &str) -> Shared {
    let name = match spec.run.kind {
        Kind::App => spec.id.task_name(),
        Kind::Pod => container.name.clone(),
    };
    let head = text(|j| {
        j.text_at("name", &name);
        j.text_at("framework_id", framework);
    });
    let tail = text(|j| {
        j.text_at("role", spec.run.role.as_str());
        j.list_at("labels", |j| spec.run.labels.iter().for_each(|(k, v)| label(j, k, v)));
        if let Some(user) = &container.user {
            j.text_at("user", user);
        }
        container_info(j, spec, container);
    });
    Shared { head, tail }
}

fn label(j: &mut Json<'_>, key: &str, value: &str) {
    j.object(|j| {
        j.text_at("key", key);
        j.text_at("value", value);
    });
}

fn container_info(j: &mut Json<'_>, spec: &WorkloadSpec, container: &ContainerSpec) {
    let Some(engine) = container.engine else { return };
    let image = container.image.as_ref().map(|i| i.name.as_str());
    j.object_at("container", |j| match engine {
        Engine::Docker => {
            j.text_at("type", "DOCKER");
            j.object_at("docker", |j| {
                j.text_at("image", image.unwrap_or_default());
                j.text_at(
                    "network",
                    match spec.run.network_mode() {
                        NetworkMode::Host => "HOST",
                        NetworkMode::Bridge => "BRIDGE",
                        NetworkMode::Container => "USER",
                    },
                );
                j.bool_at("privileged", container.image.as_ref().is_some_and(|i| i.privileged));
                let forced = container.image.as_ref().is_some_and(|i| i.force_pull);
                j.bool_at("force_pull_image", forced);
            });
        }
        Engine::Mesos => {
            j.text_at("type", "MESOS");
            if let Some(image) = image {
                j.object_at("mesos", |j| {
                    j.object_at("image", |j| {
                        j.text_at("type", "DOCKER");
                        j.object_at("docker", |j| j.text_at("name", image));
                    });
                });
            }
        }
    });
}

/// Name and ports as service discovery reads them (docs/compat/mesos.md, "Tasks").
fn discovery(j: &mut Json<'_>, spec: &WorkloadSpec, ports: &Ports<'_>) {
    let host = spec.run.network_mode() == NetworkMode::Host;
    j.object_at("discovery", |j| {
        j.text_at("visibility", "FRAMEWORK");
        j.text_at("name", &spec.id.task_name());
        j.object_at("ports", |j| {
            j.list_at("ports", |j| {
                for (port, held) in &ports.0 {
                    let scope = if host || held.is_some() { "host" } else { "container" };
                    let number = held.or(port.container_port).unwrap_or(0);
                    for protocol in port.protocol.each() {
                        j.object(|j| discovery_port(j, port, number, protocol, scope));
                    }
                }
            });
        });
    });
}

fn discovery_port(j: &mut Json<'_>, port: &Port, number: u16, protocol: &str, scope: &str) {
    j.int_at("number", u64::from(number));
    if let Some(name) = &port.name {
        j.text_at("name", name);
    }
    j.text_at("protocol", protocol);
    j.object_at("labels", |j| {
        j.list_at("labels", |j| {
            port.labels.iter().for_each(|(k, v)| label(j, k, v));
            label(j, "network-scope", scope);
        });
    });
}

/// A task that ended, from what is remembered of an app's last failure.
pub fn ended(j: &mut Json<'_>, app: &crate::core::state::App, framework: &str, role: &Role) {
    let Some(failure) = &app.last_failure else { return };
    j.object(|j| {
        j.text_at("id", &failure.task_id);
        j.text_at("name", &app.id.task_name());
        j.text_at("framework_id", framework);
        j.text_at("executor_id", "");
        j.text_at("slave_id", failure.node.as_ref().map_or("", |n| n.as_str()));
        j.text_at("state", &failure.state);
        let resources = Resources { scalars: app.spec.run.demand(), ..Resources::default() };
        resource::totals(j, "resources", &resources);
        j.text_at("role", role.as_str());
        j.list_at("statuses", |j| {
            j.object(|j| {
                j.text_at("state", &failure.state);
                j.time_at("timestamp", failure.at);
            });
        });
    });
}

/// Instance and incarnation of an app's task id.
pub fn of_app(task_id: &str) -> Option<(&str, u32)> {
    let (rest, incarnation) = task_id.rsplit_once('.')?;
    Some((rest.strip_suffix("._app")?, incarnation.parse().ok()?))
}

/// Whether a task of the instance has this id.
pub fn has_id(instance: &Instance, spec: &WorkloadSpec, id: &str) -> bool {
    id.starts_with(instance.id.as_str())
        && spec.run.containers.iter().any(|c| instance.task_id(&c.name) == id)
}

/// Whether Mesos lists the instance's tasks as out of reach.
pub fn is_unreachable(instance: &Instance) -> bool {
    instance.condition().is_lost()
}

#[cfg(test)]
mod tests;
