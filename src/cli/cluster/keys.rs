//! Every key of a config.yaml, and what becomes of it: used, known and without effect, or refused.
//!
//! The page docs/compat/installer.md has the same list; a test compares them.

/// What a value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Switch,
    Text,
    Integer,
    List,
    Map,
}

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does something: what.
    Used(&'static str),
    /// It is accepted and does nothing: why.
    Without(&'static str),
    /// It would be a promise that is not kept: what to do instead.
    Refused(&'static str),
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub effect: Effect,
}

use Effect::{Refused, Used, Without};
use Kind::{Integer, List, Map, Switch, Text};

const fn key(name: &'static str, kind: Kind, effect: Effect) -> Key {
    Key { name, kind, effect }
}

const NO_EXHIBITOR: Effect = Without("masters keep the state themselves, there is no ZooKeeper");
const NO_OVERLAY: Effect = Without("there is no overlay network; Docker's own networks are used");
const NO_VIPS: Effect = Without("there is no load balancer in the kernel; names lead to tasks");
const NO_CALICO: Effect = Without("there is no Calico");
const ONE_PROGRAM: Effect = Without("the part it is for does not exist: a node is one program");
const FIXED: Effect = Without("fixed");
const KEPT: Effect = Without(
    "what ended is kept for a week, less when the disk gets full (docs/compat/containers.md)",
);
const LOGS: Effect = Without("logs of tasks are rotated by size, always in the same way");
const OWN_LOGIN: Effect = Without("users sign in at the cluster itself");
const OWN_TLS: Effect =
    Without("the front door speaks TLS 1.2 and 1.3 with the library's own list");
const OWN_CA: Effect = Refused(
    "the cluster makes an authority of its own; a certificate for the front door alone is \
     external_certificate_path",
);
const NO_BANNER: Effect = Without("the page has no banner");
const CREDENTIALS: Effect =
    Without("private images are pulled with the credentials of the app or of Docker on the host");

/// All of them, in the order of the page.
#[rustfmt::skip] // a table
pub const KEYS: &[Key] = &[
    key("cluster_name", Text, Used("name of the cluster")),
    key("master_list", List, Used("addresses of the masters: reached by ssh, and joined at")),
    key("num_masters", Integer, Used("has to be the length of master_list")),
    key("master_discovery", Text, Used("only `static`")),
    key("agent_list", List, Used("addresses of the agents")),
    key("public_agent_list", List, Used("addresses of the public agents")),
    key("ssh_user", Text, Used("who signs in on the hosts; root, or somebody with sudo without a password")),
    key("ssh_port", Integer, Used("where sshd listens")),
    key("ssh_key_path", Text, Used("private key; `ssh_key` beside the file where there is one, else ssh's own")),
    key("process_timeout", Integer, Used("seconds that each step on a host may take; 120")),
    key("log_directory", Text, Used("where a file for each host keeps what was said there")),
    key("ip_detect_filename", Text, Used("program that prints a node's address at each start; `ip-detect` beside the file where there is one, else the listed address is set")),
    key("ip_detect_contents", Text, Used("the same, as text")),
    key("ip_detect_public_filename", Text, Used("program that prints the address the world knows")),
    key("ip_detect_public_contents", Text, Used("the same, as text")),
    key("ip6_detect_filename", Text, Without("nodes have one address")),
    key("ip6_detect_contents", Text, Without("nodes have one address")),
    key("fault_domain_enabled", Switch, Used("`true` needs the program, `false` leaves it away")),
    key("fault_domain_detect_filename", Text, Used("program that prints region and zone; `fault-domain-detect` beside the file where it is enabled")),
    key("fault_domain_detect_contents", Text, Used("the same, as text")),
    key("check_time", Switch, Used("`false` goes on where a clock is not in step")),
    key("custom_checks", Map, Used("prestart checks run before a node is installed, poststart and cluster checks after")),
    key("resolvers", List, Used("`dns_upstreams`: who is asked for names that are not the cluster's")),
    key("dns_search", Text, Used("`dns_search`: domains that containers look a short name up in")),
    key("master_external_loadbalancer", Text, Used("`tls_names`: a name that the front door's certificate is for too")),
    key("external_certificate_path", Text, Used("certificate of the front door, copied to the masters")),
    key("external_certificate_key_path", Text, Used("its key")),
    key("node_settings", Map, Used("own: settings of every node, as in config/tepui.yaml")),
    key("host_settings", Map, Used("own: the same for single hosts, by their address")),

    key("bootstrap_url", Text, Without("hosts get everything over ssh")),
    key("platform", Text, Without("a label")),
    key("exhibitor_address", Text, NO_EXHIBITOR),
    key("exhibitor_storage_backend", Text, NO_EXHIBITOR),
    key("exhibitor_zk_hosts", Text, NO_EXHIBITOR),
    key("exhibitor_zk_path", Text, NO_EXHIBITOR),
    key("s3_bucket", Text, NO_EXHIBITOR),
    key("s3_prefix", Text, NO_EXHIBITOR),
    key("aws_region", Text, NO_EXHIBITOR),
    key("aws_access_key_id", Text, NO_EXHIBITOR),
    key("aws_secret_access_key", Text, NO_EXHIBITOR),
    key("exhibitor_explicit_keys", Switch, NO_EXHIBITOR),
    key("exhibitor_azure_account_name", Text, NO_EXHIBITOR),
    key("exhibitor_azure_account_key", Text, NO_EXHIBITOR),
    key("exhibitor_azure_prefix", Text, NO_EXHIBITOR),
    key("exhibitor_fs_config_dir", Text, NO_EXHIBITOR),
    key("exhibitor_admin_password", Text, NO_EXHIBITOR),
    key("exhibitor_tls_enabled", Switch, Without("masters speak mutual TLS to each other, always")),
    key("exhibitor_tls_required", Switch, Without("masters speak mutual TLS to each other, always")),
    key("exhibitor_bootstrap_ca_url", Text, Without("nodes join by single-use tokens that pin the authority")),
    key("zk_client_port", Integer, NO_EXHIBITOR),
    key("zk_super_credentials", Text, NO_EXHIBITOR),
    key("zk_master_credentials", Text, NO_EXHIBITOR),
    key("zk_agent_credentials", Text, NO_EXHIBITOR),
    key("telemetry_enabled", Switch, Without("nothing is sent anywhere")),
    key("enable_docker_gc", Switch, KEPT),
    key("docker_remove_delay", Text, KEPT),
    key("gc_delay", Text, KEPT),
    key("docker_stop_timeout", Text, Without("apps say how long they may take (taskKillGracePeriodSeconds)")),
    key("cosmos_config", Map, Without("there is no catalog yet")),
    key("weights", Text, Without("roles have no weights yet")),

    key("dns_bind_ip_blacklist", List, Without("the name server binds to `listen` (node_settings)")),
    key("dns_forward_zones", Map, Without("names of those zones are asked of resolvers like all others")),
    key("master_dns_bindall", Switch, Without("the name server binds to `listen` (node_settings)")),
    key("mesos_dns_ip_sources", List, FIXED),
    key("mesos_dns_set_truncate_bit", Switch, FIXED),
    key("use_proxy", Switch, Without("images are pulled by Docker with Docker's own proxy settings; artifacts are fetched directly")),
    key("http_proxy", Text, Without("see use_proxy")),
    key("https_proxy", Text, Without("see use_proxy")),
    key("no_proxy", List, Without("see use_proxy")),
    key("enable_ipv6", Switch, NO_OVERLAY),
    key("dcos_overlay_enable", Switch, NO_OVERLAY),
    key("dcos_overlay_network", Map, NO_OVERLAY),
    key("dcos_overlay_network_default_name", Text, NO_OVERLAY),
    key("dcos_overlay_mtu", Integer, NO_OVERLAY),
    key("dcos_overlay_config_attempts", Integer, NO_OVERLAY),
    key("dcos_ucr_default_bridge_network_name", Text, NO_OVERLAY),
    key("dcos_ucr_default_bridge_subnet", Text, NO_OVERLAY),
    key("dcos_l4lb_min_named_ip", Text, NO_VIPS),
    key("dcos_l4lb_max_named_ip", Text, NO_VIPS),
    key("dcos_l4lb_min_named_ip6", Text, NO_VIPS),
    key("dcos_l4lb_max_named_ip6", Text, NO_VIPS),
    key("dcos_l4lb_enable_ipv6", Switch, NO_VIPS),
    key("dcos_l4lb_enable_ipset", Switch, NO_VIPS),
    key("enable_lb", Switch, NO_VIPS),
    key("dcos_net_cluster_identity", Switch, ONE_PROGRAM),
    key("dcos_net_rest_enable", Switch, ONE_PROGRAM),
    key("dcos_net_watchdog", Switch, ONE_PROGRAM),
    key("dcos_net_push_ops_timeout", Integer, ONE_PROGRAM),
    key("calico_enabled", Switch, NO_CALICO),
    key("calico_vxlan_enabled", Switch, NO_CALICO),
    key("calico_network_cidr", Text, NO_CALICO),
    key("calico_vxlan_port", Integer, NO_CALICO),
    key("calico_vxlan_vni", Integer, NO_CALICO),
    key("calico_vxlan_mtu", Integer, NO_CALICO),
    key("calico_ipinip_mtu", Integer, NO_CALICO),
    key("calico_veth_mtu", Integer, NO_CALICO),
    key("enable_mesos_ipv6_discovery", Switch, FIXED),

    key("mesos_master_work_dir", Text, Without("a node keeps everything in `data_dir` (node_settings)")),
    key("mesos_agent_work_dir", Text, Without("a node keeps everything in `data_dir` (node_settings)")),
    key("mesos_container_log_sink", Text, LOGS),
    key("mesos_log_retention_mb", Integer, LOGS),
    key("mesos_logrotate_file_size_mb", Integer, LOGS),
    key("mesos_max_completed_frameworks", Integer, FIXED),
    key("mesos_max_completed_tasks_per_framework", Integer, FIXED),
    key("mesos_recovery_timeout", Text, Without("an agent adopts its containers whenever it comes back")),
    key("mesos_cgroups_enable_cfs", Switch, Without("limits of processors hold, always")),
    key("mesos_seccomp_enabled", Switch, Without("Docker's profile holds unless a task says otherwise")),
    key("mesos_seccomp_profile_name", Text, Without("Docker's profile holds unless a task says otherwise")),
    key("mesos_http_executor_domain_sockets", Switch, ONE_PROGRAM),
    key("mesos_docker_volume_chown", Switch, FIXED),
    key("mesos_disallow_sharing_agent_ipc_namespace", Switch, FIXED),
    key("mesos_cni_root_dir_persist", Switch, ONE_PROGRAM),
    key("mesos_default_container_shm_size", Text, Without("apps say it themselves, else Docker's own")),
    key("gpus_are_scarce", Switch, FIXED),
    key("enable_gpu_isolation", Switch, FIXED),
    key("marathon_gpu_scheduling_behavior", Text, FIXED),
    key("metronome_gpu_scheduling_behavior", Text, FIXED),
    key("marathon_new_group_enforce_role", Text, FIXED),
    key("marathon_java_args", Text, ONE_PROGRAM),
    key("log_offers", Switch, Without("why an app has no place is told by `tepui why`")),
    key("cluster_docker_credentials", Map, CREDENTIALS),
    key("cluster_docker_credentials_dcos_owned", Switch, CREDENTIALS),
    key("cluster_docker_credentials_write_to_etc", Switch, CREDENTIALS),
    key("cluster_docker_credentials_enabled", Switch, CREDENTIALS),
    key("cluster_docker_registry_url", Text, Without("images are pulled from where their name says")),
    key("rexray_config", Map, Without("there are no external volumes yet")),
    key("rexray_config_preset", Text, Without("there are no external volumes yet")),
    key("feature_dcos_storage_enabled", Switch, Without("there are no external volumes yet")),
    key("diagnostics_bundles_dir", Text, Without("there are no bundles yet")),
    key("enable_mesos_input_plugin", Switch, ONE_PROGRAM),

    key("oauth_enabled", Switch, OWN_LOGIN),
    key("oauth_issuer_url", Text, OWN_LOGIN),
    key("oauth_client_id", Text, OWN_LOGIN),
    key("oauth_auth_redirector", Text, OWN_LOGIN),
    key("oauth_auth_host", Text, OWN_LOGIN),
    key("superuser_service_account_uid", Text, Without("the first login is admin; service accounts are made with it")),
    key("superuser_service_account_public_key", Text, Without("the first login is admin; service accounts are made with it")),
    key("superuser_username", Text, Without("the first login is admin, with a password that the first start makes")),
    key("superuser_password_hash", Text, Without("the first login is admin, with a password that the first start makes")),
    key("auth_cookie_secure_flag", Switch, Without("cookies are Secure wherever the front door speaks HTTPS")),
    key("bouncer_expiration_auth_token_days", Text, Without("logins last five days")),
    key("adminrouter_tls_1_0_enabled", Switch, OWN_TLS),
    key("adminrouter_tls_1_1_enabled", Switch, OWN_TLS),
    key("adminrouter_tls_1_2_enabled", Switch, OWN_TLS),
    key("adminrouter_tls_cipher_suite", Text, OWN_TLS),
    key("adminrouter_x_frame_options", Text, Without("no other page may frame ours")),
    key("adminrouter_grpc_proxy_port", Integer, Without("there is no such port")),
    key("adminrouter_auth_cache_enabled", Switch, FIXED),
    key("permissions_cache_ttl_seconds", Integer, FIXED),
    key("ui_banner_enabled", Switch, NO_BANNER),
    key("ui_banner_background_color", Text, NO_BANNER),
    key("ui_banner_foreground_color", Text, NO_BANNER),
    key("ui_banner_header_title", Text, NO_BANNER),
    key("ui_banner_header_content", Text, NO_BANNER),
    key("ui_banner_footer_content", Text, NO_BANNER),
    key("ui_banner_image_path", Text, NO_BANNER),
    key("ui_banner_dismissible", Switch, NO_BANNER),
    key("ui_tracking", Switch, Without("nothing is sent anywhere")),
    key("intercom_enabled", Switch, Without("nothing is sent anywhere")),
    key("ui_update_enabled", Switch, Without("the page is part of the program")),
    key("security", Text, Without("tokens and TLS are wanted everywhere, always")),
    key("license_key_contents", Text, Without("there is one edition")),
    key("dcos_audit_logging", Switch, Without("what was done and by whom is kept, always (`tepui history`)")),
    key("iam_ldap_sync_interval", Integer, OWN_LOGIN),
    key("external_certificate_servernames", Text, Without("the certificate itself says its names")),
    key("external_certificate_validation_disable", Switch, Without("clients check it, not the cluster")),
    key("ca_certificate_path", Text, OWN_CA),
    key("ca_certificate_key_path", Text, OWN_CA),
    key("ca_certificate_chain_path", Text, OWN_CA),
    key("ca_truststore_path", Text, OWN_CA),
];

/// The key of a name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}
