//! `Pod`: several containers that run on one node and share its network (docs/compat/marathon.md, "Pods").

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    INT_MAX,
    app::{EnvValue, Stamp},
    container::LinuxInfo,
    names,
    network::{Network, name},
    pod_container::PodContainer,
    policy::{ExecutorResources, KillSelection, SecretSource, Unreachable},
};
use crate::{
    base::limit::COSTLY_ITEMS_MAX,
    compat::marathon::json::{At, Num, Object, Read},
    model::workload::Operator,
};

/// A pod as JSON. Field order is the order of answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    pub id: String,
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    pub environment: BTreeMap<String, EnvValue>,
    pub containers: Vec<PodContainer>,
    pub secrets: BTreeMap<String, SecretSource>,
    pub volumes: Vec<PodVolume>,
    pub networks: Vec<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor_resources: Option<ExecutorResources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux_info: Option<LinuxInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legacy_shared_cgroups: Option<bool>,
}

/// An element of `volumes`. With neither `host` nor `secret` it is a directory of the pod's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PodVolume {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Refused wherever it is given.
    #[serde(skip)]
    pub is_persistent: bool,
}

names! {
    /// How a pod is scaled: there is one way.
    ScalingKind { Fixed = "fixed" }
}

/// `scaling`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Scaling {
    pub kind: ScalingKind,
    pub instances: u32,
}

/// `scheduling`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_selection: Option<KillSelection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable_strategy: Option<Unreachable>,
}

/// Delay between launches of a pod that fails, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backoff {
    pub backoff: Num,
    pub backoff_factor: Num,
    pub max_launch_delay: Num,
}

/// How much may be missing or doubled during an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    pub minimum_health_capacity: Num,
    pub maximum_over_capacity: Num,
}

/// `scheduling.placement`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    pub constraints: Vec<PodConstraint>,
    pub accepted_resource_roles: Vec<String>,
}

/// A constraint; its parts have names here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodConstraint {
    pub field_name: String,
    pub operator: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl PodConstraint {
    /// As apps write it.
    pub fn as_list(&self) -> Vec<String> {
        let mut list = vec![self.field_name.clone(), self.operator.to_owned()];
        list.extend(self.value.clone());
        list
    }
}

impl Read for Pod {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let id = o.defined("id", |at| at.text(1, usize::MAX));
        let containers = o.defined("containers", read_containers);
        let pod = Self {
            id: String::new(),
            labels: o.opt("labels").unwrap_or_default(),
            version: None, // the server's own
            user: o.opt("user"),
            environment: o.opt("environment").unwrap_or_default(),
            containers: Vec::new(),
            secrets: o.opt("secrets").unwrap_or_default(),
            volumes: o.opt("volumes").unwrap_or_default(),
            networks: o.opt("networks").unwrap_or_default(),
            scaling: o.opt("scaling"),
            scheduling: o.opt("scheduling"),
            executor_resources: o.opt("executorResources"),
            role: o.opt("role"),
            linux_info: o.opt("linuxInfo"),
            legacy_shared_cgroups: o.opt("legacySharedCgroups"),
        };
        Some(Self { id: id?, containers: containers?, ..pod })
    }
}

fn read_containers(at: At<'_>) -> Option<Vec<PodContainer>> {
    let containers = at.list_of(COSTLY_ITEMS_MAX, PodContainer::read)?;
    if containers.is_empty() { at.fail("error.minLength") } else { Some(containers) }
}

impl Read for PodVolume {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let name = o.defined("name", |at| name(at, 63, ""));
        let volume = Self {
            name: String::new(),
            host: o.opt_with("host", |at| at.text(1, usize::MAX)),
            secret: o.opt_with("secret", |at| at.text(1, usize::MAX)),
            is_persistent: o.map.get("persistent").is_some_and(|value| !value.is_null()),
        };
        Some(Self { name: name?, ..volume })
    }
}

impl Read for Scaling {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let kind = o.need("kind");
        let instances = o.opt_with("instances", |at| at.whole(0, INT_MAX)).unwrap_or(1);
        Some(Self { kind: kind?, instances })
    }
}

impl Read for Scheduling {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        Some(Self {
            backoff: o.opt("backoff"),
            upgrade: o.opt("upgrade"),
            placement: o.opt("placement"),
            kill_selection: o.opt("killSelection"),
            unreachable_strategy: o.opt("unreachableStrategy"),
        })
    }
}

fn number(o: &Object<'_>, key: &str, (min, max): (f64, f64), default: f64) -> Num {
    Num(o.opt_with(key, |at| at.number(min, max)).unwrap_or(default))
}

/// No delay is longer than this, in seconds: what apps may say.
#[allow(clippy::cast_precision_loss)] // 31 bits
const SECONDS_MAX: f64 = INT_MAX as f64;

impl Backoff {
    /// What a pod gets that says nothing.
    pub const DEFAULT: Self =
        Self { backoff: Num(1.0), backoff_factor: Num(1.15), max_launch_delay: Num(300.0) };
}

impl Read for Backoff {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let default = Self::DEFAULT;
        Some(Self {
            backoff: number(&o, "backoff", (0.0, SECONDS_MAX), default.backoff.0),
            backoff_factor: number(&o, "backoffFactor", (1.0, f64::MAX), default.backoff_factor.0),
            max_launch_delay: number(
                &o,
                "maxLaunchDelay",
                (0.0, SECONDS_MAX),
                default.max_launch_delay.0,
            ),
        })
    }
}

impl Read for Upgrade {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let fraction = |key| number(&o, key, (0.0, 1.0), 1.0);
        Some(Self {
            minimum_health_capacity: fraction("minimumHealthCapacity"),
            maximum_over_capacity: fraction("maximumOverCapacity"),
        })
    }
}

impl Read for Placement {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let constraints = |at: At<'_>| at.list_of(COSTLY_ITEMS_MAX, PodConstraint::read);
        Some(Self {
            constraints: o.opt_with("constraints", constraints).unwrap_or_default(),
            accepted_resource_roles: o.opt("acceptedResourceRoles").unwrap_or_default(),
        })
    }
}

impl Read for PodConstraint {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        let names = Operator::ALL.map(|operator| (operator.as_str(), operator.as_str()));
        let field_name = o.need_with("fieldName", |at| at.text(1, usize::MAX));
        let operator = o.need_with("operator", |at| at.one_of(&names));
        let value = o.opt("value");
        Some(Self { field_name: field_name?, operator: operator?, value })
    }
}
