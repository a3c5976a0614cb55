//! Raw settings and their four sources: built in, file, environment, flags; later ones win.
//!
//! Every key is optional here and checked nowhere; `config` turns the merged result into checked
//! values. Each key's source is kept, so that `tepui config show` can tell it.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    BuiltIn,
    File(PathBuf),
    /// The variable's name.
    Environment(String),
    /// The flag's name.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// The settings of a node as they may stand in its file. Every key is optional.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    /// What this node does: `master`, `agent`, `public-agent`; a small site runs master and agent
    /// in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// Directory of everything that must outlive the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Name of the cluster, shown to people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// Name of this node; constraints see it as `hostname`. Default: the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Address other nodes and clients reach this node at. Default: that of the default route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Address the listeners for people bind to; `0.0.0.0` is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Port of the admin router; 0 takes any free one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router_port: Option<u16>,
    /// Port of the DNS server; 0 takes any free one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_port: Option<u16>,
    /// DNS servers for all names that are not the cluster's. Default: those of /etc/resolv.conf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_upstreams: Option<Vec<String>>,
    /// Networks that may ask for names that are not the cluster's, beside this machine and its
    /// containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_allow: Option<Vec<String>>,
    /// Port masters and agents speak to masters on, always with mutual TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_port: Option<u16>,
    /// Whether the original's direct ports (5050 and 8080) are served too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compat_ports: Option<bool>,
    pub max_instances_per_app: Option<u32>,
    /// `host:port` of the masters' peer ports; what an agent needs to find its cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masters: Option<Vec<String>>,
    /// Token that lets this node join; made on a master by `tepui node invite`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_token: Option<String>,
    /// Docker's socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker: Option<PathBuf>,
    /// User that commands without image and without `user` run as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_user: Option<String>,
    /// Properties constraints can look at, name to text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// CPUs offered to tasks. Default: what the machine has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// Megabytes of memory offered. Default: what the machine has, less a reserve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_mb: Option<u64>,
    /// Megabytes of disk offered. Default: what the data directory's disk has, less a reserve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_mb: Option<u64>,
    /// Host ports offered, such as `1025-2180,31000-32000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,
    /// How nodes are chosen: `spread` or `pack`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<String>,
    /// Least severe log line that is written: `error`, `warn`, `info`, `debug`, `trace`, or a
    /// filter by module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,
    /// `text` or `json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<String>,
    /// Whether containers are removed when the node stops. For development.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destroy_on_exit: Option<bool>,
}

/// Why settings cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{source_name}: {text}")]
    Parse { source_name: String, text: String },
}

/// Merged settings and where each came from.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    values: BTreeMap<String, (Value, Source)>,
}

impl Layers {
    /// Puts one source over what is there.
    ///
    /// # Panics
    /// Never: `Raw` always serialises to a mapping with text keys.
    pub fn over(&mut self, raw: &Raw, source: impl Fn(&str) -> Source) {
        let Ok(Value::Mapping(map)) = serde_yaml::to_value(raw) else { return };
        for (key, value) in map {
            if let Some(key) = key.as_str() {
                self.values.insert(key.to_owned(), (value, source(key)));
            }
        }
    }

    /// Puts the settings of a YAML file over what is there.
    ///
    /// # Errors
    /// When it cannot be read, is no YAML, or has an unknown key; the text names line and key.
    pub fn over_file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        let raw = parse(&text, &path.display().to_string())?;
        self.over(&raw, |_| Source::File(path.to_owned()));
        Ok(())
    }

    /// Puts variables `TEPUI_<KEY>` over what is there. Lists are separated by commas; attributes
    /// are `name:value` pairs separated by semicolons.
    ///
    /// # Errors
    /// When a value does not fit its key.
    pub fn over_environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), SettingsError> {
        for (name, text) in variables {
            let Some(key) = name.strip_prefix("TEPUI_").map(str::to_lowercase) else { continue };
            if !KEYS.contains(&key.as_str()) {
                continue;
            }
            let mut map = serde_yaml::Mapping::new();
            map.insert(Value::from(key.clone()), environment_value(&key, &text));
            let raw: Raw = serde_yaml::from_value(Value::Mapping(map)).map_err(|e| {
                SettingsError::Parse { source_name: name.clone(), text: e.to_string() }
            })?;
            self.over(&raw, |_| Source::Environment(name.clone()));
        }
        Ok(())
    }

    /// The merged settings.
    ///
    /// # Panics
    /// Never: every value came out of a `Raw`.
    pub fn merged(&self) -> Raw {
        let map: serde_yaml::Mapping =
            self.values.iter().map(|(k, (v, _))| (Value::from(k.as_str()), v.clone())).collect();
        serde_yaml::from_value(Value::Mapping(map)).expect("every value came out of a Raw")
    }

    /// Key, value and source of everything set, by key.
    pub fn list(&self) -> impl Iterator<Item = (&str, &Value, &Source)> {
        self.values.iter().map(|(k, (v, s))| (k.as_str(), v, s))
    }

    /// Where the value of `key` came from.
    pub fn source(&self, key: &str) -> Source {
        self.values.get(key).map_or(Source::BuiltIn, |(_, s)| s.clone())
    }
}

/// Reads settings from YAML text.
///
/// # Errors
/// When it is no YAML or has an unknown key.
pub fn parse(text: &str, source_name: &str) -> Result<Raw, SettingsError> {
    let error = |text: String| SettingsError::Parse { source_name: source_name.to_owned(), text };
    let value: Value = serde_yaml::from_str(text).map_err(|e| error(e.to_string()))?;
    if value.is_null() {
        return Ok(Raw::default());
    }
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = e.path().to_string();
        let place = if path == "." { String::new() } else { format!("{path}: ") };
        error(format!("{place}{}", e.into_inner()))
    })
}

/// Keys whose values nobody should see over a shoulder or in a report.
pub const SECRETS: [&str; 1] = ["join_token"];

/// Every key, for the environment.
pub const KEYS: [&str; 28] = [
    "roles",
    "data_dir",
    "cluster_name",
    "hostname",
    "address",
    "listen",
    "router_port",
    "dns_port",
    "dns_upstreams",
    "dns_allow",
    "peer_port",
    "compat_ports",
    "max_instances_per_app",
    "masters",
    "join_token",
    "docker",
    "task_user",
    "attributes",
    "region",
    "zone",
    "cpus",
    "mem_mb",
    "disk_mb",
    "ports",
    "placement",
    "log_level",
    "log_format",
    "destroy_on_exit",
];

fn environment_value(key: &str, text: &str) -> Value {
    match key {
        "roles" | "masters" | "dns_upstreams" | "dns_allow" => {
            Value::Sequence(text.split(',').map(|s| Value::from(s.trim())).collect())
        }
        "attributes" => {
            let pairs = text.split(';').filter_map(|pair| pair.split_once(':'));
            Value::Mapping(
                pairs.map(|(k, v)| (Value::from(k.trim()), Value::from(v.trim()))).collect(),
            )
        }
        "router_port"
        | "dns_port"
        | "peer_port"
        | "compat_ports"
        | "max_instances_per_app"
        | "cpus"
        | "mem_mb"
        | "disk_mb"
        | "destroy_on_exit" => serde_yaml::from_str(text).unwrap_or_else(|_| Value::from(text)),
        _ => Value::from(text),
    }
}
