//! What the original takes from flags: the values DC/OS sets (docs/compat/marathon.md, "Settings").

use std::collections::BTreeSet;

use crate::base::limit;

/// Settings of one Marathon.
#[derive(Clone, Debug)]
pub struct Settings {
    pub framework_name: String,
    /// Role of apps outside groups that enforce theirs.
    pub mesos_role: String,
    /// Whether new top-level groups enforce their role.
    pub new_group_enforce_role: bool,
    /// Name of a container network that has none.
    pub default_network: String,
    /// The network name that means a bridge in the deprecated `ipAddress`.
    pub bridge_name: String,
    pub features: BTreeSet<&'static str>,
    /// Service ports are given out from this range, both ends included.
    pub service_ports: (u16, u16),
    /// Instances one app may ask for.
    pub instances_max: u32,
    /// Where the API is told to listen.
    pub http_port: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            framework_name: "marathon".to_owned(),
            mesos_role: "slave_public".to_owned(),
            new_group_enforce_role: true,
            default_network: "dcos".to_owned(),
            bridge_name: "mesos-bridge".to_owned(),
            features: BTreeSet::from(["external_volumes", "gpu_resources", "task_killing", "vips"]),
            service_ports: (10_000, 20_000),
            instances_max: limit::INSTANCES_PER_APP_DEFAULT,
            http_port: 8080,
        }
    }
}

impl Settings {
    pub fn has(&self, feature: &str) -> bool {
        self.features.contains(feature)
    }
}
