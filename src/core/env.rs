//! The environment of a task: a pure function of its spec, its placement and its ids.
//!
//! Names and forms are those old apps read (docs/compat/containers.md, "Environment"). For apps the
//! user's own variables win over generated ones; for pods the generated ones win. What the engine
//! adds (PATH, HOSTNAME) is not made here.

use std::collections::BTreeMap;

use crate::{
    base::units::Milli,
    model::{
        InstanceId,
        container::{ContainerSpec, Engine, EnvValue, Port},
        instance::Placement,
        link::Order,
        workload::{Kind, NetworkMode, RunSpec},
    },
};

/// Where a task sees its sandbox when it has an image of its own.
pub const SANDBOX_IN_IMAGE: &str = "/mnt/mesos/sandbox";
/// A variable of Marathon's labels is at most 512 characters, its prefix counted for the name.
const LABEL_VALUE_CHARS_MAX: usize = 512;
const LABEL_KEY_CHARS_MAX: usize = LABEL_VALUE_CHARS_MAX - "MARATHON_APP_LABEL_".len();

/// What the environment depends on beside the order.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// The cluster's id for the framework the workload belongs to.
    pub framework: &'a str,
    /// The sandbox's path on the node.
    pub sandbox: &'a str,
    /// `host:port` of the agent's HTTP address, where it has one.
    pub endpoint: Option<&'a str>,
    /// Name of the container on the engine.
    pub container_name: &'a str,
    /// Values of the secrets the spec names, by the name in the spec.
    pub secrets: &'a BTreeMap<String, String>,
}

/// A variable refers to a secret whose value is not known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of secret '{secret}' for variable '{variable}' is not available")]
pub struct SecretMissing {
    pub variable: String,
    pub secret: String,
}

/// Id of a task: `<instance>.<container or _app>.<incarnation>`.
pub fn task_id(instance: &InstanceId, container: &str, incarnation: u32) -> String {
    let name = if container.is_empty() { "_app" } else { container };
    format!("{instance}.{name}.{}", incarnation.max(1))
}

/// The environment of `container` as it is started.
pub fn of_task(
    order: &Order,
    container: &ContainerSpec,
    at: &Surroundings<'_>,
) -> Result<BTreeMap<String, String>, SecretMissing> {
    let mut own = BTreeMap::new();
    // Of a pod's variables the container's own win.
    for (name, value) in order.spec.run.shared.env.iter().chain(&container.env) {
        let value =
            match value {
                EnvValue::Text(text) => text.clone(),
                EnvValue::Secret(secret) => at.secrets.get(secret).cloned().ok_or_else(|| {
                    SecretMissing { variable: name.clone(), secret: secret.clone() }
                })?,
            };
        own.insert(name.clone(), value);
    }
    let mut env = mesos(order, container, at);
    env.extend(identity(order, container));
    env.extend(labels(&order.spec.run));
    match order.spec.run.kind {
        Kind::App => {
            env.extend(ports(order, container));
            env.extend(own);
            Ok(env)
        }
        Kind::Pod => {
            env.extend(endpoints(order, container));
            own.extend(env);
            Ok(own)
        }
    }
}

/// What a Mesos agent hands to every task.
fn mesos(
    order: &Order,
    container: &ContainerSpec,
    at: &Surroundings<'_>,
) -> BTreeMap<String, String> {
    let id = task_id(&order.instance, &container.name, order.incarnation);
    let inside = if container.image.is_some() { SANDBOX_IN_IMAGE } else { at.sandbox };
    let mut env = map([
        ("MESOS_TASK_ID", id.clone()),
        ("MESOS_SANDBOX", inside.to_owned()),
        ("MESOS_CONTAINER_NAME", at.container_name.to_owned()),
        ("HOST", order.placement.hostname.clone()),
    ]);
    if container.engine == Some(Engine::Docker) {
        return env;
    }
    let executor = match order.spec.run.kind {
        Kind::App => id,
        Kind::Pod => format!("instance-{}", order.instance.as_str().replace(".instance-", ".")),
    };
    env.extend(map([
        ("MESOS_DIRECTORY", at.sandbox.to_owned()),
        ("MESOS_FRAMEWORK_ID", at.framework.to_owned()),
        ("MESOS_EXECUTOR_ID", executor),
        ("MESOS_SLAVE_ID", order.placement.node.to_string()),
        ("MESOS_ALLOCATION_ROLE", order.spec.run.role.to_string()),
        ("MESOS_CHECKPOINT", "1".to_owned()),
        ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "5secs".to_owned()),
        ("MESOS_HTTP_COMMAND_EXECUTOR", "0".to_owned()),
    ]));
    if let Some(endpoint) = at.endpoint {
        env.insert("MESOS_AGENT_ENDPOINT".to_owned(), endpoint.to_owned());
        env.insert("MESOS_SLAVE_PID".to_owned(), format!("slave(1)@{endpoint}"));
    }
    if order.spec.run.network_mode() == NetworkMode::Host {
        let address = order.placement.address.to_string();
        env.insert("MESOS_CONTAINER_IP".to_owned(), address.clone());
        env.insert("LIBPROCESS_IP".to_owned(), address);
    }
    env
}

/// Who the task is and what it was given.
fn identity(order: &Order, container: &ContainerSpec) -> BTreeMap<String, String> {
    let r = &container.resources;
    let prefix = match order.spec.run.kind {
        Kind::App => "MARATHON_APP_RESOURCE",
        Kind::Pod => "MARATHON_CONTAINER_RESOURCE",
    };
    let role = if order.enforce_role { "TRUE" } else { "FALSE" };
    let mut env = map([
        ("MARATHON_APP_ID", order.spec.id.to_string()),
        ("MARATHON_APP_VERSION", order.spec.version.to_string()),
        ("MARATHON_APP_ENFORCE_GROUP_ROLE", role.to_owned()),
    ]);
    env.insert(format!("{prefix}_CPUS"), double(r.cpus));
    env.insert(format!("{prefix}_MEM"), double(r.mem));
    env.insert(format!("{prefix}_DISK"), double(r.disk));
    env.insert(format!("{prefix}_GPUS"), r.gpus.floor().to_string());
    match order.spec.run.kind {
        Kind::Pod => drop(env.insert("MARATHON_CONTAINER_ID".to_owned(), container.name.clone())),
        Kind::App => {
            if let (Some(image), Some(Engine::Docker)) = (&container.image, container.engine) {
                env.insert("MARATHON_APP_DOCKER_IMAGE".to_owned(), image.name.clone());
            }
        }
    }
    env
}

fn labels(run: &RunSpec) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let mut names = Vec::new();
    for (key, value) in &run.labels {
        if key.chars().count() >= LABEL_KEY_CHARS_MAX
            || value.chars().count() >= LABEL_VALUE_CHARS_MAX
        {
            continue;
        }
        let name = squeezed(key);
        env.insert(format!("MARATHON_APP_LABEL_{name}"), value.clone());
        names.push(name);
    }
    env.insert("MARATHON_APP_LABELS".to_owned(), names.join(" "));
    env
}

/// `PORT`, `PORT0`…, `PORTS`, `PORT_<requested>` and `PORT_<NAME>`.
fn ports(order: &Order, container: &ContainerSpec) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let effective = effective_ports(order, container);
    let Some(first) = effective.first() else { return env };
    env.insert("PORT".to_owned(), first.to_string());
    let all: Vec<String> = effective.iter().map(u16::to_string).collect();
    env.insert("PORTS".to_owned(), all.join(","));
    for (i, (port, spec)) in effective.iter().zip(&container.ports).enumerate() {
        env.insert(format!("PORT{i}"), port.to_string());
        let requested = spec.container_port.unwrap_or(spec.service_port);
        if requested != 0 {
            env.insert(format!("PORT_{requested}"), port.to_string());
        }
        if let Some(name) = &spec.name {
            env.insert(format!("PORT_{}", replaced(name)), port.to_string());
        }
    }
    env
}

/// Ports of a pod's container, by the name of the endpoint.
fn endpoints(order: &Order, container: &ContainerSpec) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let is_host = order.spec.run.network_mode() == NetworkMode::Host;
    let hosts = host_ports(&order.spec.run, &order.placement, container);
    for ((host, inside), spec) in
        hosts.iter().zip(effective_ports(order, container)).zip(&container.ports)
    {
        let Some(name) = spec.name.as_deref().map(replaced) else { continue };
        if let Some(host) = host {
            env.insert(format!("EP_HOST_{name}"), host.to_string());
        }
        let inside = match spec.container_port {
            Some(n) if n != 0 && !is_host => n,
            _ => inside,
        };
        if !is_host {
            env.insert(format!("EP_CONTAINER_{name}"), inside.to_string());
        }
        env.insert(format!("ENDPOINT_{name}"), inside.to_string());
    }
    env
}

/// The host ports of one container's share of the placement, in the order of its ports.
pub fn host_ports(
    run: &RunSpec,
    placement: &Placement,
    container: &ContainerSpec,
) -> Vec<Option<u16>> {
    let before: usize =
        run.containers.iter().take_while(|c| c.name != container.name).map(|c| c.ports.len()).sum();
    (0..container.ports.len())
        .map(|i| placement.host_ports.get(before + i).copied().flatten())
        .collect()
}

/// The port inside the container for each of its ports, 0 resolved to a number.
pub fn container_ports(order: &Order, container: &ContainerSpec) -> Vec<u16> {
    let hosts = host_ports(&order.spec.run, &order.placement, container);
    let id = task_id(&order.instance, &container.name, order.incarnation);
    container
        .ports
        .iter()
        .zip(hosts)
        .enumerate()
        .map(|(i, (port, host))| match (port.container_port, host) {
            (Some(n), _) if n != 0 => n,
            (_, Some(host)) => host,
            (_, None) => unassigned(&id, i),
        })
        .collect()
}

/// What the task is told per port: its host port, or the container port when there is none.
fn effective_ports(order: &Order, container: &ContainerSpec) -> Vec<u16> {
    let hosts = host_ports(&order.spec.run, &order.placement, container);
    let inside = container_ports(order, container);
    hosts.into_iter().zip(inside).map(|(host, inside)| host.unwrap_or(inside)).collect()
}

/// A number ≥ 1025 for a port that has none on either side; the same one for the task's whole life.
fn unassigned(task_id: &str, index: usize) -> u16 {
    let hash = crc32fast::hash(format!("{task_id}/{index}").as_bytes());
    1025 + u16::try_from(hash % (65_536 - 1025)).unwrap_or(0)
}

/// The port a check's index means: number on the node and number inside the container.
pub fn port_of(order: &Order, container: &ContainerSpec, index: u32) -> Option<(Option<u16>, u16)> {
    let at = usize::try_from(index).ok()?;
    let inside = container_ports(order, container).get(at).copied()?;
    let host = host_ports(&order.spec.run, &order.placement, container).get(at).copied().flatten();
    Some((host, inside))
}

/// A port's position by name, among the ports of `ports`.
pub fn port_named(ports: &[Port], name: &str) -> Option<u32> {
    let at = ports.iter().position(|p| p.name.as_deref() == Some(name))?;
    u32::try_from(at).ok()
}

/// A number as Java prints doubles of this size: at least one decimal.
fn double(value: Milli) -> String {
    let text = value.to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

/// Upper case, runs of anything else than letters, digits and `_` as one `_`.
fn squeezed(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    let mut in_run = false;
    for c in key.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            name.push(c.to_ascii_uppercase());
            in_run = false;
        } else if !in_run {
            name.push('_');
            in_run = true;
        }
    }
    name
}

/// Upper case, each other character as one `_`.
fn replaced(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect()
}

fn map<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

#[cfg(test)]
mod tests;
