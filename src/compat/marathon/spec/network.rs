//! Networks and ports, in their present and their deprecated forms.

use std::collections::BTreeMap;

use serde::Serialize;

use super::names;
use crate::compat::marathon::json::{At, Read};

names! {
    /// How containers are attached.
    Mode { Container = "container", Bridge = "container/bridge", Host = "host" }
}

names! {
    /// Transport protocols of a port.
    Protocol { Tcp = "tcp", Udp = "udp", Both = "udp,tcp" }
}

names! {
    /// Deprecated `container.docker.network`.
    DockerNetwork { Bridge = "BRIDGE", Host = "HOST", None = "NONE", User = "USER" }
}

/// An element of `networks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub mode: Mode,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Network {
    /// A network of a mode that needs no name.
    pub fn of(mode: Mode) -> Self {
        Self { name: None, mode, labels: BTreeMap::new() }
    }
}

/// An element of `portDefinitions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortDefinition {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub port: u16,
    pub protocol: Protocol,
}

/// An element of `container.portMappings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    pub container_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// Written even when empty, unlike those of port definitions.
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub protocol: Protocol,
    pub service_port: u16,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network_names: Vec<String>,
}

/// Deprecated `ipAddress`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpAddress {
    pub network_name: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub discovery: Option<Vec<DiscoveryPort>>,
}

/// An element of `ipAddress.discovery.ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryPort {
    pub number: u16,
    pub name: String,
    pub protocol: Protocol,
    pub labels: BTreeMap<String, String>,
}

fn port(at: At<'_>) -> Option<u16> {
    at.whole(0, 65535)
}

/// A name of letters, digits and inner dashes; `extra` may stand inside too.
pub fn name(at: At<'_>, n_max: usize, extra: &str) -> Option<String> {
    let text = at.text(1, n_max)?;
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_inner = |c: char| is_end(c) || c == '-' || extra.contains(c);
    if text.starts_with(is_end) && text.ends_with(is_end) && text.chars().all(is_inner) {
        Some(text)
    } else {
        at.fail("error.pattern")
    }
}

fn port_name(at: At<'_>) -> Option<String> {
    name(at, usize::MAX, "")
}

impl Read for Network {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        Some(Self {
            name: o.opt_with("name", |at| name(at, 63, "_")),
            mode: o.opt("mode").unwrap_or(Mode::Container),
            labels: o.opt("labels").unwrap_or_default(),
        })
    }
}

impl Read for PortDefinition {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        Some(Self {
            labels: o.opt("labels").unwrap_or_default(),
            name: o.opt_with("name", port_name),
            port: o.opt_with("port", port).unwrap_or(0),
            protocol: o.opt_with("protocol", protocol).unwrap_or(Protocol::Tcp),
        })
    }
}

impl Read for PortMapping {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        Some(Self {
            container_port: o.opt_with("containerPort", port).unwrap_or(0),
            host_port: o.opt_with("hostPort", port),
            labels: o.opt("labels").unwrap_or_default(),
            name: o.opt_with("name", port_name),
            protocol: o.opt_with("protocol", protocol).unwrap_or(Protocol::Tcp),
            service_port: o.opt_with("servicePort", port).unwrap_or(0),
            network_names: o.opt("networkNames").unwrap_or_default(),
        })
    }
}

impl Read for IpAddress {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let ports = |at: At<'_>| Some(at.object()?.opt("ports").unwrap_or_default());
        Some(Self {
            network_name: o.opt_with("networkName", |at| at.text(1, usize::MAX)),
            labels: o.opt("labels").unwrap_or_default(),
            discovery: o.opt_with("discovery", ports),
        })
    }
}

impl Read for DiscoveryPort {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let name = o.defined("name", port_name);
        Some(Self {
            number: o.opt_with("number", port).unwrap_or(0),
            protocol: o.opt_with("protocol", protocol).unwrap_or(Protocol::Tcp),
            labels: o.opt("labels").unwrap_or_default(),
            name: name?,
        })
    }
}

/// `tcp,udp` is taken too: some old definitions have the order reversed.
fn protocol(at: At<'_>) -> Option<Protocol> {
    at.one_of(&[
        ("tcp", Protocol::Tcp),
        ("udp", Protocol::Udp),
        ("udp,tcp", Protocol::Both),
        ("tcp,udp", Protocol::Both),
    ])
}
