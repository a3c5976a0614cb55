//! What a container should be, in our words. Data only.

use std::{collections::BTreeMap, path::PathBuf};

/// One container to create.
#[derive(Clone, Debug, Default)]
pub struct ContainerPlan {
    pub name: String,
    pub image: String,
    pub labels: BTreeMap<String, String>,
    pub env: BTreeMap<String, String>,
    /// `Some` replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// `None`: the image's own.
    pub command: Option<Vec<String>>,
    /// `user` or `uid:gid`.
    pub user: Option<String>,
    pub extra_groups: Vec<String>,
    pub working_dir: Option<String>,
    pub tty: bool,
    /// A small init process reaps orphans and passes signals on.
    pub init: bool,
    pub network: NetworkPlan,
    /// Labels of its network, should that have to be made.
    pub network_labels: BTreeMap<String, String>,
    pub published: Vec<PublishedPort>,
    pub limits: LimitsPlan,
    pub mounts: Vec<MountPlan>,
    pub rights: Rights,
    /// Profile text or `unconfined`.
    pub seccomp: Option<String>,
    pub ipc: Option<String>,
    pub shm_bytes: Option<u64>,
    pub dns: Vec<String>,
    pub dns_search: Vec<String>,
    /// Options of `docker run`, in order, without their dashes; they win over the rest.
    pub parameters: Vec<(String, String)>,
    /// Size at which the engine rotates its own copy of the output.
    pub log_bytes_max: u64,
}

/// How a container is attached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NetworkPlan {
    #[default]
    Host,
    /// The engine's default bridge.
    Bridge,
    /// A network of the engine, made when missing.
    Named(String),
    /// The network namespace of another container.
    Of(String),
}

impl NetworkPlan {
    /// As the engine writes it.
    pub fn mode(&self) -> String {
        match self {
            Self::Host => "host".to_owned(),
            Self::Bridge => "bridge".to_owned(),
            Self::Named(name) => name.clone(),
            Self::Of(container) => format!("container:{container}"),
        }
    }

    /// Whether the container has addresses of its own.
    pub fn has_address(&self) -> bool {
        matches!(self, Self::Bridge | Self::Named(_))
    }
}

/// A port of the container reached through the node's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    pub container_port: u16,
    pub host_port: u16,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
}

/// Bounds on what a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsPlan {
    pub cpu_shares: Option<i64>,
    /// Microseconds of CPU per 100 ms.
    pub cpu_quota_us: Option<i64>,
    pub memory_bytes: Option<i64>,
    pub gpus: u32,
}

/// Something mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountPlan {
    /// A path of the node. `recursive`: with the mounts below it.
    Bind { source: PathBuf, target: String, read_only: bool, recursive: bool },
    /// A volume of an engine driver.
    Volume {
        name: String,
        target: String,
        read_only: bool,
        driver: String,
        options: BTreeMap<String, String>,
    },
}

/// What the process may do.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Rights {
    /// What the engine gives to containers by default.
    #[default]
    Engine,
    /// Everything, with the node's devices.
    Privileged,
    /// What its user may do on the node: these capabilities, the node's processes and IPC, no
    /// system-call filter.
    Node { capabilities: Vec<String> },
}
