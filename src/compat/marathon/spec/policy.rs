//! The small objects of an app: artifacts, limits, secrets, strategies.

use serde::Serialize;
use serde_json::Value;

use super::{INT_MAX, names};
use crate::compat::marathon::json::{At, Num, Read};

/// An element of `fetch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    pub uri: String,
    pub extract: bool,
    pub executable: bool,
    pub cache: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_path: Option<String>,
}

/// Resources of a custom executor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ExecutorResources {
    pub cpus: Num,
    pub mem: Num,
    pub disk: Num,
}

/// Upper bounds that differ from the request.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ResourceLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem: Option<Limit>,
}

/// No machine has so many CPUs, nor a petabyte of memory (in MB); ten times as much would overflow.
const LIMIT_MAX: f64 = 1e9;

/// A bound or the word `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    Unlimited,
    At(Num),
}

impl Serialize for Limit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unlimited => serializer.serialize_str("unlimited"),
            Self::At(number) => number.serialize(serializer),
        }
    }
}

/// An element of `secrets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretSource {
    pub source: String,
}

/// Deprecated settings of apps with persistent volumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Residency {
    pub relaunch_escalation_timeout_seconds: u32,
    pub task_lost_behavior: TaskLost,
}

names! {
    /// Deprecated, without effect.
    TaskLost { WaitForever = "WAIT_FOREVER", Relaunch = "RELAUNCH_AFTER_TIMEOUT" }
}

/// How much may be missing or doubled during an upgrade. Bounds are a rule of their own, told as
/// `got …, expected between …`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeStrategy {
    pub maximum_over_capacity: Num,
    pub minimum_health_capacity: Num,
}

names! {
    /// Which instances go first.
    KillSelection { YoungestFirst = "YOUNGEST_FIRST", OldestFirst = "OLDEST_FIRST" }
}

/// When lost instances are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    Disabled,
    After { inactive_s: u32, expunge_s: u32 },
}

impl Serialize for Unreachable {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct After {
            inactive_after_seconds: u32,
            expunge_after_seconds: u32,
        }
        match *self {
            Self::Disabled => serializer.serialize_str("disabled"),
            Self::After { inactive_s, expunge_s } => {
                After { inactive_after_seconds: inactive_s, expunge_after_seconds: expunge_s }
                    .serialize(serializer)
            }
        }
    }
}

impl Read for Artifact {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let uri = o.defined("uri", |at| at.text(1, 1024));
        let artifact = Self {
            uri: String::new(),
            extract: o.opt("extract").unwrap_or(true),
            executable: o.opt("executable").unwrap_or(false),
            cache: o.opt("cache").unwrap_or(false),
            dest_path: o.opt_with("destPath", |at| at.text(1, 1024)),
        };
        Some(Self { uri: uri?, ..artifact })
    }
}

impl Read for ExecutorResources {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let least = |key: &str, least: f64| {
            Num(o.opt_with(key, |at| at.number(least, f64::MAX)).unwrap_or(least))
        };
        Some(Self { cpus: least("cpus", 0.1), mem: least("mem", 32.0), disk: least("disk", 10.0) })
    }
}

impl Read for ResourceLimits {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        Some(Self { cpus: o.opt("cpus"), mem: o.opt("mem") })
    }
}

impl Read for Limit {
    fn read(at: At<'_>) -> Option<Self> {
        at.either(
            Value::is_string,
            |at| at.one_of(&[("unlimited", Self::Unlimited)]),
            |at| at.number(0.0, LIMIT_MAX).map(|n| Self::At(Num(n))),
        )
    }
}

impl Read for SecretSource {
    fn read(at: At<'_>) -> Option<Self> {
        Some(Self { source: at.object()?.defined("source", |at| at.text(1, usize::MAX))? })
    }
}

impl Read for Residency {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let timeout = o.opt_with("relaunchEscalationTimeoutSeconds", |at| at.whole(0, INT_MAX));
        Some(Self {
            relaunch_escalation_timeout_seconds: timeout.unwrap_or(3600),
            task_lost_behavior: o.opt("taskLostBehavior").unwrap_or(TaskLost::WaitForever),
        })
    }
}

impl Read for UpgradeStrategy {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let fraction = |key: &str| Num(o.opt_with(key, number).unwrap_or(1.0));
        Some(Self {
            maximum_over_capacity: fraction("maximumOverCapacity"),
            minimum_health_capacity: fraction("minimumHealthCapacity"),
        })
    }
}

fn number(at: At<'_>) -> Option<f64> {
    at.number(f64::MIN, f64::MAX)
}

fn read_after(at: At<'_>) -> Option<Unreachable> {
    let o = at.object()?;
    let seconds = |key: &str| o.opt_with(key, |at| at.whole(0, INT_MAX)).unwrap_or(0);
    Some(Unreachable::After {
        inactive_s: seconds("inactiveAfterSeconds"),
        expunge_s: seconds("expungeAfterSeconds"),
    })
}

impl Read for Unreachable {
    fn read(at: At<'_>) -> Option<Self> {
        at.either(Value::is_string, |at| at.one_of(&[("disabled", Self::Disabled)]), read_after)
    }
}
