//! Raw settings and their four sources: built in, file, environment, flags; later ones win.
//!
//! Every key is optional here and checked nowhere; `config` turns the merged result into checked
//! values. Each key's source is kept, so that `tepui config show` can tell it.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_yaml::Value;

use crate::base::alike;

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    BuiltIn,
    File(PathBuf),
    /// The variable's name.
    Environment(String),
    /// The flag's name.
    Flag(String),
    /// A program that told it (`detect`).
    Program(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Program(path) => write!(f, "printed by {}", path.display()),
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
    /// Program that prints the address, run at each start unless `address` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_detect: Option<PathBuf>,
    /// Address the world knows this node by. Default: `address`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_address: Option<String>,
    /// Program that prints it, run at each start unless `public_address` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_ip_detect: Option<PathBuf>,
    /// Address the listeners for people bind to; `0.0.0.0` is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Port of the admin router; 0 takes any free one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router_port: Option<u16>,
    /// How the admin router speaks: `own` is HTTPS with a certificate of the cluster's own authority,
    /// `off` is plain HTTP.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text_or_off", default)]
    pub tls: Option<String>,
    /// Certificate of the operator's for the admin router (PEM, those between it and its authority
    /// behind it). Read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Its key (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Further names and addresses the admin router's own certificate is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_names: Option<Vec<String>>,
    /// Port that only sends to HTTPS. Default: 80 beside 443, else none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_port: Option<u16>,
    /// Port of the DNS server; 0 takes any free one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_port: Option<u16>,
    /// DNS servers for all names that are not the cluster's. Default: those of /etc/resolv.conf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_upstreams: Option<Vec<String>>,
    /// Domains that containers look a short name up in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_search: Option<Vec<String>>,
    /// Networks that may ask for names that are not the cluster's, beside this machine and its
    /// containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_allow: Option<Vec<String>>,
    /// Port masters and agents speak to masters on, always with mutual TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_port: Option<u16>,
    /// Whether the original's direct ports (5050 and 8080) are served too.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "switch", default)]
    pub compat_ports: Option<bool>,
    /// Instances one app may ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_instances_per_app: Option<u32>,
    /// Life of the cluster's own DNS records, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_ttl_s: Option<u32>,
    /// What the history of the cluster may take on a master's disk, in MiB; the oldest goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_mb: Option<u64>,
    /// How often the leading master makes a backup by itself, such as `24h`. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_every: Option<String>,
    /// Where backups are kept: a directory, or `s3://bucket/prefix`. The same on all masters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_to: Option<String>,
    /// How many are kept there; the oldest go first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_keep: Option<u32>,
    /// Public keys (`age1…`) of those who can open them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_keys: Option<Vec<String>>,
    /// Address of the S3-compatible store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_s3_endpoint: Option<String>,
    /// Its region, where it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_s3_region: Option<String>,
    /// Access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_s3_key_id: Option<String>,
    /// Its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_s3_secret: Option<String>,
    /// Certificates (PEM) that the store is trusted by. Default: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_s3_ca: Option<PathBuf>,
    /// Networks that may read at the direct ports without signing in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_reads: Option<Vec<String>>,
    /// `host:port` of the masters' peer ports; what an agent, or a master that joins others, needs to
    /// find its cluster. A master without makes a cluster of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masters: Option<Vec<String>>,
    /// Token that lets this node join; made on a master by `tepui node invite`
    /// (`--role master` for another master).
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
    /// Program that prints region and zone as JSON, run at each start unless either is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault_domain_detect: Option<PathBuf>,
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
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "switch", default)]
    pub destroy_on_exit: Option<bool>,
}

/// A text, where YAML takes some words for a switch.
fn text_or_off<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Null => None,
        Value::Bool(on) => Some(if on { "on" } else { "off" }.to_owned()),
        other => Some(serde_yaml::from_value(other).map_err(serde::de::Error::custom)?),
    })
}

/// Why settings cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{source_name}: {text}")]
    Parse { source_name: String, text: String },
    /// Every key that cannot be used, each with its place, one to a line.
    #[error("{}", .0.join("\n"))]
    Keys(Vec<String>),
}

/// What a switch may be written as.
pub fn parse_switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn switch<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        Value::Bool(on) => Ok(Some(on)),
        Value::Number(n) if n.as_u64() == Some(0) => Ok(Some(false)),
        Value::Number(n) if n.as_u64() == Some(1) => Ok(Some(true)),
        Value::String(text) if parse_switch(&text).is_some() => Ok(parse_switch(&text)),
        _ => Err(D::Error::custom("expected on or off")),
    }
}

/// Merged settings and where each came from.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    values: BTreeMap<String, (Value, Source)>,
    strangers: Vec<String>,
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
    /// When it cannot be read, is no YAML, or has keys that are unknown or unusable; the text names
    /// line and key of all of them.
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
                self.strangers.extend(stranger(&name, &key));
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

    /// Variables that look like misspelt settings, in words. They are without effect.
    pub fn strangers(&self) -> &[String] {
        &self.strangers
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
    // Editors of other systems put a mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let error = |text: String| SettingsError::Parse { source_name: source_name.to_owned(), text };
    let value: Value = serde_yaml::from_str(text).map_err(|e| error(e.to_string()))?;
    let map = match value {
        Value::Null => return Ok(Raw::default()),
        Value::Mapping(map) => map,
        _ => return Err(error("settings are lines of key: value".to_owned())),
    };
    let problems: Vec<String> = map
        .iter()
        .filter_map(|(key, value)| {
            let key =
                key.as_str().map_or_else(|| "a key that is no text".to_owned(), str::to_owned);
            let place = match line_of(text, &key) {
                Some(line) => format!("{source_name}:{line}"),
                None => source_name.to_owned(),
            };
            problem(&key, value).map(|problem| format!("{place}: {problem}"))
        })
        .collect();
    if !problems.is_empty() {
        return Err(SettingsError::Keys(problems));
    }
    serde_yaml::from_value(Value::Mapping(map)).map_err(|e| error(e.to_string()))
}

/// What is wrong with one key of a file, by itself.
fn problem(key: &str, value: &Value) -> Option<String> {
    if !KEYS.contains(&key) {
        let meant = alike::nearest(key, KEYS).map(|near| format!("; did you mean {near}?"));
        return Some(format!("{key} is no setting{}", meant.unwrap_or_default()));
    }
    let alone = Value::Mapping([(Value::from(key), value.clone())].into_iter().collect());
    let read: Result<Raw, _> = serde_path_to_error::deserialize(alone);
    read.err().map(|e| {
        let path = e.path().to_string();
        let path = if path == "." { key.to_owned() } else { path };
        format!("{path}: {}", e.into_inner())
    })
}

/// The line a key of the top level stands on, from 1.
pub fn line_of(text: &str, key: &str) -> Option<usize> {
    let is_key = |line: &str| {
        let rest = line.trim_start_matches(['"', '\'']).strip_prefix(key)?;
        rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':').then_some(())
    };
    let at = text.lines().position(|line| is_key(line).is_some())?;
    Some(at + 1)
}

/// Variables of the same beginning that are no settings of a node.
const OTHER_VARIABLES: [&str; 8] =
    ["url", "token", "dns", "password", "no_input", "user", "flags", "cache"];

/// What to say of a variable that is no setting: nothing, unless it looks like a misspelt one.
fn stranger(name: &str, key: &str) -> Option<String> {
    if OTHER_VARIABLES.contains(&key) {
        return None;
    }
    let near = alike::nearest(key, KEYS)?;
    Some(format!("{name} is no setting; did you mean TEPUI_{}?", near.to_uppercase()))
}

/// Keys whose values nobody should see over a shoulder or in a report.
pub const SECRETS: [&str; 2] = ["join_token", "backup_s3_secret"];

/// Every key, for the environment.
pub const KEYS: [&str; 50] = [
    "roles",
    "data_dir",
    "cluster_name",
    "hostname",
    "address",
    "ip_detect",
    "public_address",
    "public_ip_detect",
    "listen",
    "router_port",
    "tls",
    "tls_cert",
    "tls_key",
    "tls_names",
    "redirect_port",
    "dns_port",
    "dns_upstreams",
    "dns_search",
    "dns_allow",
    "peer_port",
    "compat_ports",
    "max_instances_per_app",
    "dns_ttl_s",
    "history_mb",
    "backup_every",
    "backup_to",
    "backup_keep",
    "backup_keys",
    "backup_s3_endpoint",
    "backup_s3_region",
    "backup_s3_key_id",
    "backup_s3_secret",
    "backup_s3_ca",
    "open_reads",
    "masters",
    "join_token",
    "docker",
    "task_user",
    "attributes",
    "region",
    "zone",
    "fault_domain_detect",
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
        "roles" | "masters" | "dns_upstreams" | "dns_search" | "dns_allow" | "open_reads"
        | "tls_names" | "backup_keys" => {
            Value::Sequence(text.split(',').map(|s| Value::from(s.trim())).collect())
        }
        "attributes" => {
            let pairs = text.split(';').filter(|pair| !pair.trim().is_empty());
            let pairs = pairs.map(|pair| {
                let (name, value) = pair.split_once(':')?;
                Some((Value::from(name.trim()), Value::from(value.trim())))
            });
            // A pair that is none makes the whole a text, which is then refused by its name.
            pairs.collect::<Option<_>>().map_or_else(|| Value::from(text), Value::Mapping)
        }
        "router_port"
        | "redirect_port"
        | "dns_port"
        | "peer_port"
        | "max_instances_per_app"
        | "dns_ttl_s"
        | "history_mb"
        | "backup_keep"
        | "cpus"
        | "mem_mb"
        | "disk_mb" => serde_yaml::from_str(text).unwrap_or_else(|_| Value::from(text)),
        _ => Value::from(text),
    }
}

#[cfg(test)]
mod tests;
