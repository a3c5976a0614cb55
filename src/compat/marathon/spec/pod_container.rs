//! Containers of pods: what runs, what it offers, how it is checked.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    INT_MAX,
    app::EnvValue,
    container::{LinuxInfo, PullConfig},
    health::{Command, ExecCheck, Scheme, seconds},
    names,
    network::name,
    policy::{Artifact, ResourceLimits},
};
use crate::compat::marathon::json::{At, Num, Read};

/// An element of `containers`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodContainer {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Exec>,
    pub resources: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_limits: Option<ResourceLimits>,
    pub endpoints: Vec<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    pub environment: BTreeMap<String, EnvValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check: Option<PodHealthCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<PodCheck>,
    pub volume_mounts: Vec<VolumeMount>,
    pub artifacts: Vec<Artifact>,
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux_info: Option<LinuxInfo>,
}

/// What is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exec {
    pub command: Command,
    /// `false`: with an image, arguments of its entry point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_entrypoint: Option<bool>,
}

/// What a container asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Resources {
    pub cpus: Num,
    pub mem: Num,
    pub disk: Num,
    pub gpus: u32,
}

impl Default for Resources {
    fn default() -> Self {
        Self { cpus: Num(1.0), mem: Num(128.0), disk: Num(0.0), gpus: 0 }
    }
}

names! {
    /// Where images come from: there is one way.
    ImageKind { Docker = "DOCKER" }
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    pub kind: ImageKind,
    pub id: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force_pull: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_config: Option<PullConfig>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Where a container listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    pub protocol: Vec<String>,
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network_names: Vec<String>,
}

/// How something is probed: exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PodProbe {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpProbe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpProbe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecCheck>,
}

/// Asks an endpoint by HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HttpProbe {
    pub endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    pub scheme: Scheme,
}

/// Connects to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TcpProbe {
    pub endpoint: String,
}

/// `healthCheck`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodHealthCheck {
    #[serde(flatten)]
    pub probe: PodProbe,
    pub grace_period_seconds: u32,
    pub interval_seconds: u32,
    pub max_consecutive_failures: u32,
    pub timeout_seconds: u32,
    pub delay_seconds: u32,
}

/// `check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodCheck {
    #[serde(flatten)]
    pub probe: PodProbe,
    pub interval_seconds: u32,
    pub timeout_seconds: u32,
    pub delay_seconds: u32,
}

/// A volume of the pod in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMount {
    pub name: String,
    pub mount_path: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// `lifecycle`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    /// Time between SIGTERM and SIGKILL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_grace_period_seconds: Option<Num>,
}

impl Read for PodContainer {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let name = o.defined("name", |at| name(at, 63, ""));
        let container = Self {
            name: String::new(),
            exec: o.opt("exec"),
            resources: o.opt("resources").unwrap_or_default(),
            resource_limits: o.opt("resourceLimits"),
            endpoints: o.opt("endpoints").unwrap_or_default(),
            image: o.opt("image"),
            environment: o.opt("environment").unwrap_or_default(),
            user: o.opt("user"),
            health_check: o.opt("healthCheck"),
            check: o.opt("check"),
            volume_mounts: o.opt("volumeMounts").unwrap_or_default(),
            artifacts: o.opt("artifacts").unwrap_or_default(),
            labels: o.opt("labels").unwrap_or_default(),
            lifecycle: o.opt("lifecycle"),
            tty: o.opt("tty"),
            linux_info: o.opt("linuxInfo"),
        };
        Some(Self { name: name?, ..container })
    }
}

impl Read for Exec {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let command = o.need("command");
        let override_entrypoint = o.opt("overrideEntrypoint");
        Some(Self { command: command?, override_entrypoint })
    }
}

impl Read for Resources {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let number = |key: &str, min: f64, default: Num| {
            Num(o.opt_with(key, |at| at.number(min, f64::MAX)).unwrap_or(default.0))
        };
        let default = Self::default();
        Some(Self {
            cpus: number("cpus", 0.001, default.cpus),
            mem: number("mem", 0.001, default.mem),
            disk: number("disk", 0.0, default.disk),
            gpus: o.opt_with("gpus", |at| at.whole(0, INT_MAX)).unwrap_or(0),
        })
    }
}

impl Read for Image {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let (kind, id) = (o.defined("kind", ImageKind::read), o.defined("id", String::read));
        let image = Self {
            kind: ImageKind::Docker,
            id: String::new(),
            force_pull: o.opt("forcePull").unwrap_or(false),
            pull_config: o.opt("pullConfig"),
            labels: o.opt("labels").unwrap_or_default(),
        };
        Some(Self { kind: kind?, id: id?, ..image })
    }
}

impl Read for Endpoint {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let name = o.defined("name", |at| name(at, 63, ""));
        let endpoint = Self {
            name: String::new(),
            container_port: o.opt_with("containerPort", |at| at.whole(1, 65535)),
            host_port: o.opt_with("hostPort", |at| at.whole(0, 65535)),
            protocol: o.opt("protocol").unwrap_or_default(),
            labels: o.opt("labels").unwrap_or_default(),
            network_names: o.opt("networkNames").unwrap_or_default(),
        };
        Some(Self { name: name?, ..endpoint })
    }
}

impl Read for PodProbe {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        Some(Self { http: o.opt("http"), tcp: o.opt("tcp"), exec: o.opt("exec") })
    }
}

impl Read for HttpProbe {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let endpoint = o.need("endpoint");
        let (path, scheme) = (o.opt("path"), o.opt("scheme").unwrap_or(Scheme::Http));
        Some(Self { endpoint: endpoint?, path, scheme })
    }
}

impl Read for TcpProbe {
    fn read(at: At<'_>) -> Option<Self> {
        Some(Self { endpoint: at.object()?.need("endpoint")? })
    }
}

impl Read for PodHealthCheck {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        Some(Self {
            probe: PodProbe::read(at)?,
            grace_period_seconds: seconds(&o, "gracePeriodSeconds", 300),
            interval_seconds: seconds(&o, "intervalSeconds", 60),
            max_consecutive_failures: seconds(&o, "maxConsecutiveFailures", 3),
            timeout_seconds: seconds(&o, "timeoutSeconds", 20),
            delay_seconds: seconds(&o, "delaySeconds", 15),
        })
    }
}

impl Read for PodCheck {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        Some(Self {
            probe: PodProbe::read(at)?,
            interval_seconds: seconds(&o, "intervalSeconds", 60),
            timeout_seconds: seconds(&o, "timeoutSeconds", 20),
            delay_seconds: seconds(&o, "delaySeconds", 15),
        })
    }
}

impl Read for VolumeMount {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let name = o.defined("name", |at| at.text(1, 63));
        let mount_path = o.defined("mountPath", |at| at.text(1, 1024));
        let read_only = o.opt("readOnly").unwrap_or(false);
        Some(Self { name: name?, mount_path: mount_path?, read_only })
    }
}

impl Read for Lifecycle {
    fn read(at: At<'_>) -> Option<Self> {
        let seconds = |at: At<'_>| at.number(0.0, 1e9).map(Num);
        let grace = at.object()?.opt_with("killGracePeriodSeconds", seconds);
        Some(Self { kill_grace_period_seconds: grace })
    }
}
