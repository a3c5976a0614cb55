//! One container of a workload: image, command, environment, files, ports, checks.

use std::collections::{BTreeMap, BTreeSet};

use super::resource::Scalars;
use crate::base::units::Milli;

/// A container with this label, set to `true`, starts before the others of its pod and is ended after them.
pub const SIDECAR: &str = "tepui.sidecar";

/// What runs in one container.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ContainerSpec {
    /// Name within a pod; empty for the one container of an app.
    pub name: String,
    pub command: Command,
    /// `None`: a plain command on the host's own file system.
    pub image: Option<Image>,
    /// The container type the app was written for; `None` when it named no container.
    pub engine: Option<Engine>,
    pub resources: Scalars,
    pub limits: Limits,
    pub env: BTreeMap<String, EnvValue>,
    /// User to run as; `None` is the image's, or the cluster's default user for plain commands.
    pub user: Option<String>,
    pub tty: Option<bool>,
    pub fetch: Vec<Artifact>,
    pub volumes: Vec<Volume>,
    /// In host networking the port definitions, otherwise the port mappings.
    pub ports: Vec<Port>,
    pub health_checks: Vec<HealthCheck>,
    pub check: Option<InfoCheck>,
    pub readiness: Vec<ReadinessCheck>,
    /// Time between SIGTERM and SIGKILL, milliseconds; `None` is the agent's default (3 s).
    pub kill_grace_ms: Option<u64>,
    pub linux: LinuxInfo,
    /// Of a pod's container; an app's are those of the workload.
    pub labels: BTreeMap<String, String>,
}

impl ContainerSpec {
    /// Whether it accompanies the others of its pod.
    pub fn is_sidecar(&self) -> bool {
        self.labels.get(SIDECAR).is_some_and(|value| value == "true")
    }
}

/// How the process is started.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Command {
    /// The image's own entry point and command.
    #[default]
    Image,
    /// `/bin/sh -c <text>`; an image's entry point is bypassed.
    Shell(String),
    /// With an image: arguments of its entry point. Without: the program and its arguments.
    Args(Vec<String>),
    /// With an image: the program and its arguments; the image's entry point is bypassed.
    Exec(Vec<String>),
}

/// Which container runtime semantics an app asked for. Both run on Docker here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    Docker,
    Mesos,
}

/// A container image and the engine options that go with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    pub name: String,
    pub force_pull: bool,
    pub privileged: bool,
    /// `docker.parameters`: options of `docker run`, in order, without their dashes.
    pub parameters: Vec<(String, String)>,
    /// Secret that holds registry credentials.
    pub pull_secret: Option<String>,
    pub labels: BTreeMap<String, String>,
}

/// Upper bounds that differ from the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    pub cpus: Option<Limit>,
    pub mem: Option<Limit>,
}

/// A bound or the lack of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    Unlimited,
    At(Milli),
}

/// The value of an environment variable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EnvValue {
    Text(String),
    /// The name of an entry in the workload's secrets.
    Secret(String),
}

/// Something to download into the sandbox before the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Artifact {
    pub uri: String,
    pub extract: bool,
    pub executable: bool,
    pub cache: bool,
    /// Name within the sandbox instead of the URI's last segment.
    pub dest_path: Option<String>,
}

/// Something mounted into the container.
#[derive(Clone, PartialEq, Debug)]
pub struct Volume {
    pub container_path: String,
    pub read_only: bool,
    pub source: VolumeSource,
}

/// Where a volume's content lives.
#[derive(Clone, PartialEq, Debug)]
pub enum VolumeSource {
    /// A path of the node; relative paths are inside the sandbox.
    Host(String),
    /// Space on one node that outlives the task.
    Persistent(PersistentVolume),
    /// A volume of some storage driver.
    External {
        name: String,
        provider: String,
        options: BTreeMap<String, String>,
        size_gib: Option<u64>,
        shared: bool,
    },
    /// A secret as a file.
    Secret(String),
    /// The volume of its pod that has this name.
    Shared(String),
}

/// A reserved piece of a node's disk.
#[derive(Clone, PartialEq, Debug)]
pub struct PersistentVolume {
    pub kind: DiskKind,
    /// Megabytes.
    pub size_mb: u64,
    pub size_mb_max: Option<u64>,
    pub profile: Option<String>,
    pub constraints: Vec<super::workload::Constraint>,
}

impl PersistentVolume {
    /// The disk it takes.
    pub fn space(&self) -> Milli {
        Milli::whole(i64::try_from(self.size_mb).unwrap_or(i64::MAX / 1000))
    }
}

/// What a persistent volume is carved from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskKind {
    Root,
    Path,
    Mount,
}

/// A port a container listens on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Port {
    /// Port inside the container; `None` with host networking. 0 means "equal to the host port".
    pub container_port: Option<u16>,
    /// Port on the node: `Some(0)` any, `Some(n)` exactly n, `None` no port on the node.
    pub host_port: Option<u16>,
    /// The cluster-wide number of this port; assigned when 0.
    pub service_port: u16,
    pub protocol: Protocol,
    pub name: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// With several container networks: the one this mapping belongs to.
    pub network_names: Vec<String>,
    /// Of an endpoint of a pod: names of protocols, as they were given.
    pub protocols: Vec<String>,
}

/// Transport protocols of a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
    Both,
}

impl Protocol {
    /// As written in app definitions: `tcp`, `udp`, `udp,tcp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Both => "udp,tcp",
        }
    }

    /// The single protocols, one name each.
    pub fn each(self) -> &'static [&'static str] {
        match self {
            Self::Tcp => &["tcp"],
            Self::Udp => &["udp"],
            Self::Both => &["udp", "tcp"],
        }
    }
}

/// A probe that decides whether a task lives.
#[derive(Clone, PartialEq, Debug)]
pub struct HealthCheck {
    pub probe: Probe,
    /// Whether the app asked for an agent-run (`MESOS_*`, `COMMAND`) check; those kill when the
    /// count of failures reaches the maximum, scheduler-run ones when it passes it.
    pub agent_semantics: bool,
    pub grace_ms: u64,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    /// Consecutive failures that kill; 0 = never for scheduler-run checks.
    pub failures_max: u32,
    /// Delay before the first probe of agent-run checks.
    pub delay_ms: u64,
}

/// How a probe is made.
#[derive(Clone, PartialEq, Debug)]
pub enum Probe {
    Http { tls: bool, path: Option<String>, port: ProbePort, ignore_1xx: bool, ipv6: bool },
    Tcp { port: ProbePort, ipv6: bool },
    Command(Command),
}

/// Which port a probe goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbePort {
    /// Index into the container's ports.
    Index(u32),
    /// This number, literally.
    Number(u16),
}

/// A check that only informs (`checkResult` of a task).
#[derive(Clone, PartialEq, Debug)]
pub struct InfoCheck {
    pub probe: Probe,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub delay_ms: u64,
}

/// A check that holds a deployment back until a new instance is ready.
#[derive(Clone, PartialEq, Debug)]
pub struct ReadinessCheck {
    pub name: String,
    pub tls: bool,
    pub path: String,
    pub port_name: String,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub ready_codes: BTreeSet<u16>,
    pub keep_last_response: bool,
}

/// Kernel-level settings of a container.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LinuxInfo {
    pub seccomp_profile: Option<String>,
    pub seccomp_unconfined: bool,
    pub ipc: Option<IpcMode>,
    pub shm_mb: Option<u32>,
}

/// Whose IPC namespace a container uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IpcMode {
    Private,
    ShareParent,
}

/// What the containers of a pod share beside its network. Of an app everything is empty.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Shared {
    /// Of every container that sets no other value.
    pub env: BTreeMap<String, EnvValue>,
    /// Of every container that names none.
    pub user: Option<String>,
    pub volumes: Vec<SharedVolume>,
    pub linux: LinuxInfo,
    /// Each container may take what the pod asked for as a whole.
    pub cgroups: Option<bool>,
}

/// A volume that containers mount by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedVolume {
    pub name: String,
    pub source: SharedSource,
}

/// Where the content of a shared volume lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SharedSource {
    /// A directory of the pod's sandbox.
    Ephemeral,
    /// A path of the node; relative paths are inside the pod's sandbox.
    Host(String),
    /// A secret as a file.
    Secret(String),
}
