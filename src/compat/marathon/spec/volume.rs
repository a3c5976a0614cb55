//! Volumes: of the host, persistent, external, secret.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::names;
use crate::compat::marathon::json::{At, Read};

names! {
    /// Whether the task may write.
    Access { ReadOnly = "RO", ReadWrite = "RW" }
}

names! {
    /// What a persistent volume is carved from.
    DiskType { Root = "root", Path = "path", Mount = "mount" }
}

/// An element of `container.volumes`; which kind it is shows in the one `Some` of the last four.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    pub container_path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Access>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent: Option<Persistent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A reserved piece of a node's disk.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Persistent {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskType>,
    /// Megabytes.
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    pub constraints: Vec<Vec<String>>,
}

/// A volume of a storage driver. Options stay JSON: those of `csi` are objects.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct External {
    /// Gibibytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
    pub shared: bool,
}

impl External {
    /// The options as the model keeps them: text as it is, anything else as JSON text.
    pub fn options_as_text(&self) -> BTreeMap<String, String> {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.options.iter().map(|(key, value)| (key.clone(), text(value))).collect()
    }

    /// The way back from `options_as_text`.
    pub fn options_from_text(
        provider: &str,
        options: &BTreeMap<String, String>,
    ) -> Map<String, Value> {
        let value = |text: &String| match serde_json::from_str(text) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) if provider == "csi" => value,
            _ => Value::String(text.clone()),
        };
        options.iter().map(|(key, text)| (key.clone(), value(text))).collect()
    }
}

impl Read for Volume {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let container_path = o.defined("containerPath", |at| at.text(1, usize::MAX));
        let volume = Self {
            container_path: String::new(),
            mode: o.opt("mode"),
            host_path: o.opt_with("hostPath", |at| at.text(1, usize::MAX)),
            persistent: o.opt("persistent"),
            external: o.opt("external"),
            secret: o.opt("secret"),
        };
        // By what was sent: what of it cannot be read is told already.
        let says = |key: &str| o.map.get(key).is_some_and(|value| !value.is_null());
        if container_path.is_some() && !says("secret") && !says("persistent") {
            o.defined("mode", Access::read)?;
        }
        Some(Self { container_path: container_path?, ..volume })
    }
}

impl Read for Persistent {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let size = o.defined("size", |at| at.whole(0, i64::MAX));
        let persistent = Self {
            disk: o.opt("type"),
            size: 0,
            max_size: o.opt_with("maxSize", |at| at.whole(0, i64::MAX)),
            profile_name: o.opt("profileName"),
            constraints: o.opt("constraints").unwrap_or_default(),
        };
        Some(Self { size: size?, ..persistent })
    }
}

impl Read for External {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let provider: Option<String> = o.opt("provider");
        let is_csi = provider.as_deref() == Some("csi");
        Some(Self {
            size: o.opt_with("size", |at| at.whole(0, i64::MAX)),
            name: o.opt("name"),
            options: o.opt_with("options", |at| options(at, is_csi)).unwrap_or_default(),
            shared: o.opt("shared").unwrap_or(false),
            provider,
        })
    }
}

fn options(at: At<'_>, is_csi: bool) -> Option<Map<String, Value>> {
    let texts = |at: At<'_>| {
        let texts = at.map(String::read)?;
        Some(texts.into_iter().map(|(k, v)| (k, Value::String(v))).collect())
    };
    at.either(|_| !is_csi, texts, |at| at.object().map(|o| o.map.clone()))
}
