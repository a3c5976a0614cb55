//! Containers: type, image, port mappings, kernel settings.

use serde::Serialize;

use super::{
    names,
    network::{DockerNetwork, PortMapping},
    volume::Volume,
};
use crate::compat::marathon::json::{At, Read};

names! {
    /// Which runtime's semantics are meant.
    Engine { Mesos = "MESOS", Docker = "DOCKER" }
}

/// `container` of an app.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Absent is `DOCKER`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker: Option<Docker>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux_info: Option<LinuxInfo>,
    pub volumes: Vec<Volume>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_mappings: Option<Vec<PortMapping>>,
    /// The mappings came from `docker.portMappings`: on a host network those are dropped, the new
    /// form is refused.
    #[serde(skip)]
    pub mappings_are_old: bool,
}

/// `container.docker`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Docker {
    pub force_pull_image: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    pub parameters: Vec<Parameter>,
    pub privileged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_config: Option<PullConfig>,
    /// Refused wherever it is given.
    #[serde(skip)]
    pub has_credential: bool,
    #[serde(skip)]
    pub network: Option<DockerNetwork>,
    #[serde(skip)]
    pub port_mappings: Option<Vec<PortMapping>>,
}

/// One option of `docker run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    pub key: String,
    pub value: String,
}

/// Where registry credentials come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PullConfig {
    pub secret: String,
}

/// `container.linuxInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinuxInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Seccomp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipc_info: Option<IpcInfo>,
}

/// Which system calls are let through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seccomp {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    pub unconfined: bool,
}

/// Shared memory settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IpcInfo {
    pub mode: IpcMode,
    /// Megabytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<u32>,
}

names! {
    /// Whose IPC namespace is used.
    IpcMode { Private = "PRIVATE", ShareParent = "SHARE_PARENT" }
}

impl Read for Container {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        Some(Self {
            engine: o.opt("type"),
            docker: o.opt("docker"),
            linux_info: o.opt("linuxInfo"),
            volumes: o.opt("volumes").unwrap_or_default(),
            port_mappings: o.opt("portMappings"),
            mappings_are_old: false,
        })
    }
}

impl Read for Docker {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        Some(Self {
            force_pull_image: o.opt("forcePullImage").unwrap_or(false),
            image: o.opt("image"),
            parameters: o.opt("parameters").unwrap_or_default(),
            privileged: o.opt("privileged").unwrap_or(false),
            pull_config: o.opt("pullConfig"),
            has_credential: o.map.get("credential").is_some_and(|c| !c.is_null()),
            network: o.opt("network"),
            port_mappings: o.opt("portMappings"),
        })
    }
}

impl Read for Parameter {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let key = o.defined("key", |at| at.text(1, usize::MAX));
        let value = o.defined("value", String::read);
        Some(Self { key: key?, value: value? })
    }
}

impl Read for PullConfig {
    fn read(at: At<'_>) -> Option<Self> {
        Some(Self { secret: at.object()?.need("secret")? })
    }
}

impl Read for LinuxInfo {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        Some(Self { seccomp: o.opt("seccomp"), ipc_info: o.opt("ipcInfo") })
    }
}

impl Read for Seccomp {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let unconfined = o.opt("unconfined").unwrap_or(false);
        Some(Self { profile_name: o.opt("profileName"), unconfined })
    }
}

impl Read for IpcInfo {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let mode = o.opt("mode").unwrap_or(IpcMode::Private);
        let shm_size = o.opt_with("shmSize", |at| at.whole(0, super::INT_MAX));
        Some(Self { mode, shm_size })
    }
}
