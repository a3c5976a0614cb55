//! Health checks, informing checks, readiness checks.

use serde::Serialize;
use serde_json::Value;

use super::{INT_MAX, names};
use crate::compat::marathon::json::{At, Object, Read};

names! {
    /// How a health check probes, and who does it.
    Protocol {
        Http = "HTTP",
        Https = "HTTPS",
        Tcp = "TCP",
        Command = "COMMAND",
        MesosTcp = "MESOS_TCP",
        MesosHttp = "MESOS_HTTP",
        MesosHttps = "MESOS_HTTPS",
    }
}

impl Protocol {
    /// Run by the agent with the original's executor semantics.
    pub fn is_mesos(self) -> bool {
        matches!(self, Self::Command | Self::MesosTcp | Self::MesosHttp | Self::MesosHttps)
    }
}

names! {
    /// Address family of a probe.
    IpProtocol { V4 = "IPv4", V6 = "IPv6" }
}

names! {
    /// Of HTTP probes.
    Scheme { Http = "HTTP", Https = "HTTPS" }
}

/// An element of `healthChecks`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<ShellCommand>,
    pub grace_period_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_http1xx: Option<bool>,
    pub interval_seconds: u32,
    pub max_consecutive_failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_index: Option<u32>,
    pub protocol: Protocol,
    pub ip_protocol: IpProtocol,
    pub timeout_seconds: u32,
    pub delay_seconds: u32,
}

/// A command run by the shell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ShellCommand {
    pub value: String,
}

/// `check` of an app: exactly one of the first three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpCheck>,
    pub interval_seconds: u32,
    pub timeout_seconds: u32,
    pub delay_seconds: u32,
}

/// Runs a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExecCheck {
    pub command: Command,
}

/// A command for the shell or an argument vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    Shell(String),
    Argv(Vec<String>),
}

/// Asks by HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpCheck {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    pub scheme: Scheme,
}

/// Connects by TCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpCheck {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// An element of `readinessChecks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessCheck {
    pub http_status_codes_for_ready: Vec<u16>,
    pub interval_seconds: u32,
    pub name: String,
    pub path: String,
    pub port_name: String,
    pub preserve_last_response: bool,
    pub protocol: Scheme,
    pub timeout_seconds: u32,
}

/// A field of whole seconds.
pub fn seconds(o: &Object<'_>, key: &str, default: u32) -> u32 {
    o.opt_with(key, |at| at.whole(0, INT_MAX)).unwrap_or(default)
}

fn port(o: &Object<'_>) -> (Option<u16>, Option<u32>) {
    let whole = |at: At<'_>| at.whole(0, 65535);
    (o.opt_with("port", whole), o.opt_with("portIndex", |at| at.whole(0, 65535)))
}

impl Read for HealthCheck {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let (port, port_index) = port(&o);
        let command: Option<ShellCommand> = o.opt("command");
        let protocol = o.opt("protocol");
        // A check with a command is a command check, whatever else it says: its rules are.
        let protocol = command.as_ref().map(|_| Protocol::Command).or(protocol);
        Some(Self {
            grace_period_seconds: seconds(&o, "gracePeriodSeconds", 300),
            ignore_http1xx: o.opt("ignoreHttp1xx"),
            interval_seconds: seconds(&o, "intervalSeconds", 60),
            max_consecutive_failures: seconds(&o, "maxConsecutiveFailures", 3),
            path: o.opt("path"),
            port,
            port_index,
            protocol: protocol.unwrap_or(Protocol::Http),
            ip_protocol: o.opt("ipProtocol").unwrap_or(IpProtocol::V4),
            timeout_seconds: seconds(&o, "timeoutSeconds", 20),
            delay_seconds: seconds(&o, "delaySeconds", 15),
            command,
        })
    }
}

impl Read for ShellCommand {
    fn read(at: At<'_>) -> Option<Self> {
        Some(Self { value: at.object()?.need("value")? })
    }
}

impl Read for Check {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        Some(Self {
            exec: o.opt("exec"),
            http: o.opt("http"),
            tcp: o.opt("tcp"),
            interval_seconds: seconds(&o, "intervalSeconds", 60),
            timeout_seconds: seconds(&o, "timeoutSeconds", 20),
            delay_seconds: seconds(&o, "delaySeconds", 15),
        })
    }
}

impl Read for ExecCheck {
    fn read(at: At<'_>) -> Option<Self> {
        Some(Self { command: at.object()?.need("command")? })
    }
}

impl Read for Command {
    fn read(at: At<'_>) -> Option<Self> {
        let has_argv = |value: &Value| value.get("argv").is_some_and(|argv| !argv.is_null());
        at.either(
            has_argv,
            |at| at.object()?.need("argv").map(Self::Argv),
            |at| at.object()?.need("shell").map(Self::Shell),
        )
    }
}

impl Read for HttpCheck {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let (port, port_index) = port(&o);
        let scheme = o.opt("scheme").unwrap_or(Scheme::Http);
        Some(Self { port_index, port, path: o.opt("path"), scheme })
    }
}

impl Read for TcpCheck {
    fn read(at: At<'_>) -> Option<Self> {
        let (port, port_index) = port(&at.object()?);
        Some(Self { port_index, port })
    }
}

impl Read for ReadinessCheck {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let text = |key: &str, default: &str| {
            o.opt_with(key, |at| at.text(1, 1024)).unwrap_or_else(|| default.to_owned())
        };
        let codes = |at: At<'_>| at.list(|at| at.whole(100, 999));
        Some(Self {
            http_status_codes_for_ready: o
                .opt_with("httpStatusCodesForReady", codes)
                .filter(|codes| !codes.is_empty())
                .unwrap_or_else(|| vec![200]),
            interval_seconds: seconds(&o, "intervalSeconds", 30),
            name: text("name", "readinessCheck"),
            path: text("path", "/"),
            port_name: text("portName", "http-api"),
            preserve_last_response: o.opt("preserveLastResponse").unwrap_or(false),
            protocol: o.opt("protocol").unwrap_or(Scheme::Http),
            timeout_seconds: seconds(&o, "timeoutSeconds", 10),
        })
    }
}
