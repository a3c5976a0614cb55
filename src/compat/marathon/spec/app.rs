//! `App`: the definition itself (docs/compat/marathon.md, "App model").

use std::{
    collections::{BTreeMap, HashSet},
    hash::Hash,
};

use serde::Serialize;
use serde_json::Value;

use super::{
    INT_MAX,
    container::Container,
    health::{Check, HealthCheck, ReadinessCheck},
    network::{IpAddress, Network, PortDefinition},
    policy::{
        Artifact, ExecutorResources, KillSelection, Residency, ResourceLimits, SecretSource,
        Unreachable, UpgradeStrategy,
    },
};
use crate::{
    base::{clock::Timestamp, limit::COSTLY_ITEMS_MAX},
    compat::marathon::json::{At, Num, Object, Read},
};

/// A key that only pods have: it is looked for and never read.
const OF_PODS: &str = "containers";

/// An app as JSON. Field order is the order of answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct App {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_resource_roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_factor: Option<Num>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints: Option<Vec<Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Num>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Num>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, EnvValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor_resources: Option<ExecutorResources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch: Option<Vec<Artifact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_checks: Option<Vec<HealthCheck>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_launch_delay_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem: Option<Num>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<Network>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_definitions: Option<Vec<PortDefinition>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness_checks: Option<Vec<ReadinessCheck>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residency: Option<Residency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_ports: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<BTreeMap<String, SecretSource>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_limits: Option<ResourceLimits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_kill_grace_period_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_strategy: Option<UpgradeStrategy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_info: Option<VersionInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_selection: Option<KillSelection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable_strategy: Option<Unreachable>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    // Deprecated input; `normalize::migrate` clears these.
    #[serde(skip)]
    pub uris: Option<Vec<String>>,
    #[serde(skip)]
    pub ports: Option<Vec<u16>>,
    #[serde(skip)]
    pub ip_address: Option<IpAddress>,
    /// `port_definitions` came from `ports`.
    #[serde(skip)]
    pub ports_are_old: bool,
    /// It names `containers`, a key of pods.
    #[serde(skip)]
    pub names_containers: bool,
}

/// When an app was last scaled and last reconfigured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionInfo {
    pub last_scaling_at: Stamp,
    pub last_config_change_at: Stamp,
}

/// A point in time, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub Timestamp);

impl Serialize for Stamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Read for Stamp {
    fn read(at: At<'_>) -> Option<Self> {
        let text = at.text(0, usize::MAX)?;
        match Timestamp::parse(&text) {
            Some(time) => Some(Self(time)),
            None => at.fail("error.expected.date.isoformat"),
        }
    }
}

/// The value of an environment variable: text, or the name of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EnvValue {
    Text(String),
    Secret { secret: String },
}

impl Read for EnvValue {
    fn read(at: At<'_>) -> Option<Self> {
        at.either(
            Value::is_object,
            |at| Some(Self::Secret { secret: at.object()?.need("secret")? }),
            |at| at.text(0, usize::MAX).map(Self::Text),
        )
    }
}

impl App {
    /// Reads a definition; `id` must be there.
    pub fn read_whole(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let id = o.defined("id", read_id);
        let app = Self::read_fields(&o);
        Some(Self { id: Some(id?), ..app })
    }

    /// The fields in the order in which violations are told. Failed ones are `None`: the caller
    /// must look at the violations, which `json::read` does.
    fn read_fields(o: &Object<'_>) -> Self {
        let seconds = |key: &str| o.opt_with(key, |at| at.whole::<u32>(0, INT_MAX));
        let number = |key: &str, min: f64| o.opt_with(key, |at| at.number(min, f64::MAX)).map(Num);
        Self {
            id: o.opt_with("id", read_id),
            accepted_resource_roles: o.opt("acceptedResourceRoles").map(unique),
            args: o.opt("args"),
            backoff_factor: number("backoffFactor", 1.0),
            backoff_seconds: seconds("backoffSeconds"),
            cmd: o.opt_with("cmd", |at| at.text(1, usize::MAX)),
            constraints: o
                .opt_with("constraints", |at| at.list_of(COSTLY_ITEMS_MAX, Vec::read))
                .map(unique),
            container: o.opt("container"),
            cpus: number("cpus", 0.001),
            dependencies: o.opt_with("dependencies", |at| at.list(read_id)).map(unique),
            disk: number("disk", 0.0),
            env: o.opt("env"),
            executor: o.opt_with("executor", read_executor),
            executor_resources: o.opt("executorResources"),
            fetch: o.opt("fetch"),
            health_checks: o
                .opt_with("healthChecks", |at| at.list_of(COSTLY_ITEMS_MAX, HealthCheck::read))
                .map(unique),
            check: o.opt("check"),
            instances: seconds("instances"),
            labels: o.opt("labels"),
            max_launch_delay_seconds: seconds("maxLaunchDelaySeconds"),
            mem: number("mem", 0.0),
            gpus: seconds("gpus"),
            networks: o.opt("networks"),
            port_definitions: o.opt("portDefinitions"),
            readiness_checks: o.opt_with("readinessChecks", |at| {
                at.list_of(COSTLY_ITEMS_MAX, ReadinessCheck::read)
            }),
            residency: o.opt("residency"),
            require_ports: o.opt("requirePorts"),
            secrets: o.opt("secrets"),
            resource_limits: o.opt("resourceLimits"),
            task_kill_grace_period_seconds: seconds("taskKillGracePeriodSeconds"),
            upgrade_strategy: o.opt("upgradeStrategy"),
            user: o.opt("user"),
            tty: o.opt("tty"),
            version: o.opt("version"),
            version_info: None, // the server's own
            kill_selection: o.opt("killSelection"),
            unreachable_strategy: o.opt("unreachableStrategy"),
            role: o.opt("role"),
            uris: o.opt_with("uris", |at| at.list(|at| at.text(1, 1024))),
            ports: o.opt_with("ports", |at| at.list(|at| at.whole(0, 65535))),
            ip_address: o.opt("ipAddress"),
            ports_are_old: false,
            names_containers: o.map.get(OF_PODS).is_some_and(Value::is_array),
        }
    }

    /// Whether the container is of Docker's type (also when it leaves the type out).
    pub fn is_docker(&self) -> bool {
        use super::container::Engine;
        self.container.as_ref().is_some_and(|c| c.engine != Some(Engine::Mesos))
    }

    /// The label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.as_ref()?.get(key).map(String::as_str)
    }
}

impl Read for App {
    /// A definition that may be partial.
    fn read(at: At<'_>) -> Option<Self> {
        Some(Self::read_fields(&at.object()?))
    }
}

fn read_id(at: At<'_>) -> Option<String> {
    at.text(1, usize::MAX)
}

/// `""`, `//cmd`, or a path without empty segments.
fn read_executor(at: At<'_>) -> Option<String> {
    let text = at.text(0, usize::MAX)?;
    let path = text.strip_prefix('/').unwrap_or(&text);
    let is_path = !path.is_empty() && path.split('/').all(|segment| !segment.is_empty());
    if text.is_empty() || text == "//cmd" || is_path {
        Some(text)
    } else {
        at.fail("error.pattern")
    }
}

/// Drops repeated elements, keeping the first of each.
pub fn unique<T: Eq + Hash>(list: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::with_capacity(list.len());
    let is_first: Vec<bool> = list.iter().map(|item| seen.insert(item)).collect();
    let mut is_first = is_first.into_iter();
    list.into_iter().filter(|_| is_first.next().unwrap_or(true)).collect()
}
