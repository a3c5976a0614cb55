//! `/v2/info`: exactly the original's keys, because strict clients refuse any other.
//!
//! Settings that have no meaning here say what the original would say under DC/OS.

use serde_json::{Value, json};

use crate::compat::marathon::settings::Settings;

/// Version of the Marathon API this dialect speaks, the last one DC/OS shipped.
pub const API_VERSION: &str = "1.11.24";

/// The answer. `framework` is the id under which tasks are known to the cluster.
pub fn info(settings: &Settings, leader: Option<&str>, leads: bool, framework: &str) -> Value {
    json!({
        "name": "marathon",
        "version": API_VERSION,
        "buildref": concat!("tepui ", env!("CARGO_PKG_VERSION")),
        "elected": leads,
        "leader": leader,
        "frameworkId": framework,
        "marathon_config": marathon_config(settings, leader),
        "zookeeper_config": zookeeper_config(),
        "http_config": { "http_port": settings.http_port, "https_port": 8443 },
    })
}

fn marathon_config(settings: &Settings, leader: Option<&str>) -> Value {
    let hostname = leader.and_then(|l| l.rsplit_once(':')).map(|(host, _)| host);
    json!({
        "access_control_allow_origin": null,
        "checkpoint": true,
        "decline_offer_duration": 300_000,
        "default_network_name": settings.default_network,
        "env_vars_prefix": null,
        "executor": "//cmd",
        "failover_timeout": 604_800,
        "features": settings.features,
        "framework_name": settings.framework_name,
        "ha": true,
        "hostname": hostname,
        "launch_token": 100,
        "launch_token_refresh_interval": 30_000,
        "leader_proxy_connection_timeout_ms": 5000,
        "leader_proxy_read_timeout_ms": 10_000,
        "local_port_max": settings.service_ports.1,
        "local_port_min": settings.service_ports.0,
        "maintenance_mode": true,
        "master": "zk://leader.mesos:2181/mesos",
        "max_instances_per_offer": 100,
        "mesos_bridge_name": settings.bridge_name,
        "mesos_heartbeat_failure_threshold": 5,
        "mesos_heartbeat_interval": 15_000,
        "mesos_leader_ui_url": "/mesos",
        "mesos_role": settings.mesos_role,
        "mesos_user": "root",
        "min_revive_offers_interval": 5000,
        "new_group_enforce_role": if settings.new_group_enforce_role { "top" } else { "off" },
        "offer_matching_timeout": 3000,
        "on_elected_prepare_timeout": 180_000,
        "reconciliation_initial_delay": 15_000,
        "reconciliation_interval": 600_000,
        "scale_apps_initial_delay": 15_000,
        "scale_apps_interval": 300_000,
        "store_cache": true,
        "task_launch_confirm_timeout": 1_800_000,
        "task_launch_timeout": 86_400_000,
        "task_lost_expunge_initial_delay": 300_000,
        "task_lost_expunge_interval": 30_000,
        "task_reservation_timeout": 1_800_000,
        "webui_url": null,
    })
}

fn zookeeper_config() -> Value {
    json!({
        "zk": "zk://leader.mesos:2181/marathon",
        "zk_compression": true,
        "zk_compression_threshold": 65_536,
        "zk_connection_timeout": 10_000,
        "zk_max_node_size": 1_024_000,
        "zk_max_versions": crate::base::limit::VERSIONS_PER_APP_MAX,
        "zk_session_timeout": 10_000,
        "zk_timeout": 10_000,
    })
}
