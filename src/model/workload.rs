//! `WorkloadSpec`: what somebody wants to run, behind apps and pods alike, and `RunSpec`: what one task
//! of it runs, which is all that its agent is told.
//!
//! The dialects differ only in their edge types; once here, every default is filled in and every
//! rule across fields holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    access::Role,
    container::{ContainerSpec, PersistentVolume, Port, Shared, VolumeSource},
    path::{AppId, PathId},
    resource::Scalars,
};
use crate::base::{clock::Timestamp, wire};

/// A workload at one version: what runs, how many of it, and by which rules.
#[derive(Clone, PartialEq)]
pub struct WorkloadSpec {
    pub id: AppId,
    /// What each instance runs. Versions that differ in nothing of it share it.
    pub run: Arc<RunSpec>,
    pub instances: u32,
    /// Host networking: ask for exactly the numbers of the port definitions.
    pub require_ports: bool,
    /// `None`: the default, unreserved resources only.
    pub accepted_roles: Option<BTreeSet<Role>>,
    pub constraints: Vec<Constraint>,
    pub dependencies: BTreeSet<PathId>,
    pub backoff: Backoff,
    pub upgrade: UpgradeStrategy,
    pub unreachable: UnreachableStrategy,
    pub kill_selection: KillSelection,
    /// Set for workloads with persistent volumes: echoed, without effect.
    pub residency: Option<Residency>,
    /// When this definition was accepted. The three are stamped by `core` from the command's time.
    pub version: Timestamp,
    pub last_scaling_at: Timestamp,
    pub last_config_change_at: Timestamp,
}

/// What a task runs, whoever wants it: containers, how they are attached, and what they are told.
#[derive(Clone, PartialEq, Debug)]
pub struct RunSpec {
    pub kind: Kind,
    /// Exactly one for an app, at least one for a pod.
    pub containers: Vec<ContainerSpec>,
    pub networks: Vec<Network>,
    /// Whose share of the cluster it is taken from.
    pub role: Role,
    pub labels: BTreeMap<String, String>,
    /// Name to source.
    pub secrets: BTreeMap<String, String>,
    /// `""`, `//cmd` or the path of a custom executor.
    pub executor: String,
    pub executor_resources: Option<Scalars>,
    /// What its containers have in common, of a pod.
    pub shared: Shared,
}

/// What a task runs and of what it is a task: what its agent is told of a definition.
#[derive(Clone, PartialEq)]
pub struct TaskSpec {
    /// Path of the workload; names and the task's environment are made of it.
    pub id: PathId,
    pub version: Timestamp,
    pub run: Arc<RunSpec>,
}

/// Which edge type a spec is shown as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    App,
    Pod,
}

/// A network a workload joins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    pub mode: NetworkMode,
    pub name: Option<String>,
    pub labels: BTreeMap<String, String>,
}

/// How a container is attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetworkMode {
    Host,
    Bridge,
    Container,
}

/// One placement rule: field, operator, value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Constraint {
    pub field: String,
    pub operator: Operator,
    pub value: Option<String>,
}

/// Marathon's constraint operators (docs/compat/marathon.md, "Constraints").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Operator {
    Unique,
    Cluster,
    GroupBy,
    MaxPer,
    Like,
    Unlike,
    Is,
}

impl Operator {
    pub const ALL: [Self; 7] = [
        Self::Unique,
        Self::Cluster,
        Self::GroupBy,
        Self::MaxPer,
        Self::Like,
        Self::Unlike,
        Self::Is,
    ];

    /// The canonical upper-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unique => "UNIQUE",
            Self::Cluster => "CLUSTER",
            Self::GroupBy => "GROUP_BY",
            Self::MaxPer => "MAX_PER",
            Self::Like => "LIKE",
            Self::Unlike => "UNLIKE",
            Self::Is => "IS",
        }
    }

    /// Reads the name in any letter case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.as_str().eq_ignore_ascii_case(text))
    }
}

/// Delay between launches of a workload that fails.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Backoff {
    pub initial_ms: u64,
    pub factor: f64,
    pub ms_max: u64,
}

/// How much of a workload may be missing or doubled while it is replaced; fractions in 0..=1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct UpgradeStrategy {
    pub minimum_health_capacity: f64,
    pub maximum_over_capacity: f64,
}

/// When instances on a lost node are replaced and forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnreachableStrategy {
    /// Never: wait for the node.
    Disabled,
    After {
        inactive_ms: u64,
        expunge_ms: u64,
    },
}

/// Which instances go first when there are too many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KillSelection {
    #[default]
    YoungestFirst,
    OldestFirst,
}

/// Deprecated settings of resident apps, kept to be echoed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Residency {
    pub relaunch_escalation_timeout_s: u64,
    pub task_lost_behavior: String,
}

impl WorkloadSpec {
    /// An app of one instance that asks for nothing, with what definitions leave out; made at `at`.
    /// Whoever builds a definition in memory says what differs.
    pub fn new(id: AppId, at: Timestamp) -> Self {
        Self {
            id,
            run: Arc::default(),
            instances: 1,
            require_ports: false,
            accepted_roles: None,
            constraints: Vec::new(),
            dependencies: BTreeSet::new(),
            backoff: Backoff { initial_ms: 1000, factor: 1.15, ms_max: 300_000 },
            upgrade: UpgradeStrategy { minimum_health_capacity: 1.0, maximum_over_capacity: 1.0 },
            unreachable: UnreachableStrategy::Disabled,
            kill_selection: KillSelection::YoungestFirst,
            residency: None,
            version: at,
            last_scaling_at: at,
            last_config_change_at: at,
        }
    }

    /// What its instances run, to change it; other versions keep what they have.
    pub fn run_mut(&mut self) -> &mut RunSpec {
        Arc::make_mut(&mut self.run)
    }

    /// What an agent is told of it.
    pub fn task(&self) -> TaskSpec {
        TaskSpec { id: self.id.clone(), version: self.version, run: self.run.clone() }
    }

    /// How many bytes the definition takes where it is stored.
    pub fn stored_bytes(&self) -> usize {
        wire::stored(|| wire::encode(self)).len()
    }

    /// The name the front door serves this workload under, when it offers a service there.
    pub fn service_name(&self) -> Option<&str> {
        let label = |name: &str| self.run.labels.get(name).map(|value| value.trim());
        let name = label("DCOS_SERVICE_NAME")?.trim_matches('/');
        let is_offered =
            label("DCOS_SERVICE_SCHEME").is_some() && label("DCOS_SERVICE_PORT_INDEX").is_some();
        (is_offered && !name.is_empty()).then_some(name)
    }

    /// Whether going from `self` to `new` needs new instances (everything but the number of
    /// instances, executor resources and version stamps counts).
    pub fn config_differs(&self, new: &Self) -> bool {
        let mut old = self.clone();
        if old.run.executor_resources != new.run.executor_resources {
            old.run_mut().executor_resources = new.run.executor_resources;
        }
        old.instances = new.instances;
        old.version = new.version;
        old.last_scaling_at = new.last_scaling_at;
        old.last_config_change_at = new.last_config_change_at;
        old != *new
    }
}

impl Default for RunSpec {
    /// An app that asks for nothing.
    fn default() -> Self {
        Self {
            kind: Kind::App,
            containers: Vec::new(),
            networks: Vec::new(),
            role: Role::star(),
            labels: BTreeMap::new(),
            secrets: BTreeMap::new(),
            executor: String::new(),
            executor_resources: None,
            shared: Shared::default(),
        }
    }
}

impl RunSpec {
    /// The sum of what one instance asks for.
    pub fn demand(&self) -> Scalars {
        let executor = self.executor_resources.filter(|_| {
            self.kind == Kind::Pod || !(self.executor.is_empty() || self.executor == "//cmd")
        });
        self.containers.iter().fold(executor.unwrap_or_default(), |sum, c| sum + c.resources)
    }

    /// All ports of all containers, in order.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.containers.iter().flat_map(|c| &c.ports)
    }

    /// How it is attached to the network (all its networks are of one mode).
    pub fn network_mode(&self) -> NetworkMode {
        self.networks.first().map_or(NetworkMode::Host, |n| n.mode)
    }

    /// Whether it keeps volumes on one node.
    pub fn is_resident(&self) -> bool {
        self.persistent().next().is_some()
    }

    /// Its persistent volumes, with where the task sees them.
    pub fn persistent(&self) -> impl Iterator<Item = (&str, &PersistentVolume)> {
        self.containers.iter().flat_map(|c| &c.volumes).filter_map(|v| match &v.source {
            VolumeSource::Persistent(of) => Some((v.container_path.as_str(), of)),
            VolumeSource::Host(_)
            | VolumeSource::External { .. }
            | VolumeSource::Secret(_)
            | VolumeSource::Shared(_) => None,
        })
    }

    /// Containers in the order of their start: sidecars first.
    pub fn starts(&self) -> impl Iterator<Item = &ContainerSpec> {
        let sidecars = self.containers.iter().filter(|c| c.is_sidecar());
        sidecars.chain(self.containers.iter().filter(|c| !c.is_sidecar()))
    }

    /// The name of what is meant when a task is named by its instance: a pod's first container that is no
    /// sidecar, nothing for an app.
    pub fn main(&self) -> &str {
        let first = self.containers.iter().find(|c| !c.is_sidecar());
        first.or(self.containers.first()).map_or("", |c| &c.name)
    }

    /// The container of a health check, by the check's position among those of all containers.
    pub fn checked_by(&self, index: u32) -> Option<&ContainerSpec> {
        let owners = self.containers.iter().flat_map(|c| c.health_checks.iter().map(move |_| c));
        owners.into_iter().nth(usize::try_from(index).ok()?)
    }

    /// The user a container runs as, as far as the definition says.
    pub fn user_of<'a>(&'a self, container: &'a ContainerSpec) -> Option<&'a str> {
        container.user.as_deref().or(self.shared.user.as_deref())
    }

    pub fn has_health_checks(&self) -> bool {
        self.containers.iter().any(|c| !c.health_checks.is_empty())
    }

    pub fn has_readiness_checks(&self) -> bool {
        self.containers.iter().any(|c| !c.readiness.is_empty())
    }
}
