//! A plan in the engine's words. Pure.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, DeviceRequest, HostConfig, HostConfigLogConfig, Mount, MountBindOptions,
    MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig, PortBinding,
};

use super::{
    options::{self, BadOption, Creation},
    plan::{ContainerPlan, MountPlan, NetworkPlan, Rights},
};

/// Length of the period CPU quotas count in, microseconds (the kernel's default).
const CPU_PERIOD_US: i64 = 100_000;
/// Files the engine keeps of a container's output: the one written and one older.
const LOG_FILES: &str = "2";

/// The request that creates `plan`; fails on a `docker run` option that is unknown or malformed.
pub fn creation(plan: &ContainerPlan) -> Result<Creation, BadOption> {
    let mut host = HostConfig {
        network_mode: Some(plan.network.mode()),
        cpu_shares: plan.limits.cpu_shares,
        cpu_quota: plan.limits.cpu_quota_us,
        cpu_period: plan.limits.cpu_quota_us.map(|_| CPU_PERIOD_US),
        memory: plan.limits.memory_bytes,
        // Without this the engine allows as much swap again on top of the limit.
        memory_swap: plan.limits.memory_bytes,
        mounts: Some(plan.mounts.iter().map(mount).collect()),
        group_add: non_empty(&plan.extra_groups),
        dns: non_empty(&plan.dns),
        dns_search: non_empty(&plan.dns_search),
        init: plan.init.then_some(true),
        ipc_mode: plan.ipc.clone(),
        shm_size: plan.shm_bytes.and_then(|n| i64::try_from(n).ok()),
        log_config: Some(log_config(plan.log_bytes_max, plan.tty)),
        ..HostConfig::default()
    };
    rights(plan, &mut host);
    if plan.limits.gpus > 0 {
        host.device_requests = Some(vec![DeviceRequest {
            count: Some(i64::from(plan.limits.gpus)),
            capabilities: Some(vec![vec!["gpu".to_owned()]]),
            ..DeviceRequest::default()
        }]);
    }
    let mut body = ContainerCreateBody {
        image: Some(plan.image.clone()),
        labels: Some(plan.labels.clone().into_iter().collect()),
        env: Some(plan.env.iter().map(|(k, v)| format!("{k}={v}")).collect()),
        entrypoint: plan.entrypoint.clone(),
        cmd: plan.command.clone(),
        user: plan.user.clone(),
        working_dir: plan.working_dir.clone(),
        tty: plan.tty.then_some(true),
        open_stdin: plan.tty.then_some(true),
        ..ContainerCreateBody::default()
    };
    publish(plan, &mut body, &mut host);
    body.host_config = Some(host);
    let mut creation = Creation { name: plan.name.clone(), body };
    for (name, value) in &plan.parameters {
        options::apply(&mut creation, name, value)?;
    }
    Ok(creation)
}

fn rights(plan: &ContainerPlan, host: &mut HostConfig) {
    let mut security = Vec::new();
    if let Some(profile) = &plan.seccomp {
        security.push(format!("seccomp={profile}"));
    }
    match &plan.rights {
        Rights::Engine => {}
        Rights::Privileged => host.privileged = Some(true),
        Rights::Node { capabilities } => {
            host.cap_add = Some(capabilities.clone());
            host.pid_mode = Some("host".to_owned());
            host.ipc_mode = Some(plan.ipc.clone().unwrap_or_else(|| "host".to_owned()));
            host.masked_paths = Some(Vec::new());
            host.readonly_paths = Some(Vec::new());
            if plan.seccomp.is_none() {
                security.push("seccomp=unconfined".to_owned());
            }
            security.push("apparmor=unconfined".to_owned());
        }
    }
    host.security_opt = non_empty(&security);
}

fn publish(plan: &ContainerPlan, body: &mut ContainerCreateBody, host: &mut HostConfig) {
    if matches!(plan.network, NetworkPlan::Host | NetworkPlan::Of(_)) || plan.published.is_empty() {
        return;
    }
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in &plan.published {
        let inside = format!("{}/{}", port.container_port, port.protocol);
        let binding = PortBinding { host_ip: None, host_port: Some(port.host_port.to_string()) };
        bindings.entry(inside).or_default().get_or_insert_default().push(binding);
    }
    let mut exposed: Vec<String> = bindings.keys().cloned().collect();
    exposed.sort_unstable();
    body.exposed_ports = Some(exposed);
    host.port_bindings = Some(bindings);
}

fn mount(plan: &MountPlan) -> Mount {
    match plan {
        MountPlan::Bind { source, target, read_only, recursive } => Mount {
            typ: Some(MountType::BIND),
            source: Some(source.to_string_lossy().into_owned()),
            target: Some(target.clone()),
            read_only: read_only.then_some(true),
            bind_options: (!recursive).then(|| MountBindOptions {
                non_recursive: Some(true),
                ..MountBindOptions::default()
            }),
            ..Mount::default()
        },
        MountPlan::Volume { name, target, read_only, driver, options } => Mount {
            typ: Some(MountType::VOLUME),
            source: Some(name.clone()),
            target: Some(target.clone()),
            read_only: read_only.then_some(true),
            volume_options: Some(MountVolumeOptions {
                driver_config: Some(MountVolumeOptionsDriverConfig {
                    name: Some(driver.clone()),
                    options: Some(options.clone().into_iter().collect()),
                }),
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        },
    }
}

/// The engine keeps the output in files of its own; the task's copy is followed from there
/// (docs/adr/0005-plain-commands-as-containers.md, "Output"). Only `local` keeps bytes as they are.
/// A terminal's stream has no frames, so that its time stamps are found by the line breaks that
/// `json-file` writes.
fn log_config(bytes_max: u64, tty: bool) -> HostConfigLogConfig {
    let sizes = [("max-size", bytes_max.to_string()), ("max-file", LOG_FILES.to_owned())];
    let mut config: HashMap<String, String> =
        sizes.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    if !tty {
        config.insert("compress".to_owned(), "false".to_owned());
    }
    let typ = Some(if tty { "json-file" } else { "local" }.to_owned());
    HostConfigLogConfig { typ, config: Some(config) }
}

fn non_empty(items: &[String]) -> Option<Vec<String>> {
    (!items.is_empty()).then(|| items.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::docker::plan::PublishedPort;

    fn plan() -> ContainerPlan {
        ContainerPlan { name: "n".into(), image: "i".into(), ..ContainerPlan::default() }
    }

    #[test]
    fn one_container_port_may_have_several_bindings() {
        let port = |host_port, protocol| PublishedPort { container_port: 53, host_port, protocol };
        let made = creation(&ContainerPlan {
            network: NetworkPlan::Bridge,
            published: vec![port(1, "udp"), port(1, "tcp"), port(2, "tcp")],
            ..plan()
        })
        .unwrap();
        assert_eq!(made.body.exposed_ports.unwrap(), ["53/tcp", "53/udp"]);
        let bindings = made.body.host_config.unwrap().port_bindings.unwrap();
        assert_eq!(bindings["53/tcp"].as_ref().unwrap().len(), 2);
    }

    #[test]
    fn a_container_is_told_where_names_are_looked_up() {
        let dns_search = vec!["corp.example".to_owned()];
        let made = creation(&ContainerPlan { dns_search: dns_search.clone(), ..plan() }).unwrap();
        assert_eq!(made.body.host_config.unwrap().dns_search, Some(dns_search));
        let none = creation(&plan()).unwrap();
        assert_eq!(none.body.host_config.unwrap().dns_search, None);
    }

    #[test]
    fn a_plain_command_gets_the_rights_of_its_user_and_parameters_win() {
        let made = creation(&ContainerPlan {
            rights: Rights::Node { capabilities: vec!["NET_RAW".into()] },
            parameters: vec![("pid".into(), "".into()), ("ulimit".into(), "nofile=10:20".into())],
            ..plan()
        })
        .unwrap();
        let host = made.body.host_config.unwrap();
        assert_eq!(host.ipc_mode.as_deref(), Some("host"));
        assert_eq!(host.pid_mode.as_deref(), Some(""));
        assert_eq!(host.masked_paths, Some(vec![]));
        assert_eq!(host.ulimits.unwrap()[0].hard, Some(20));
    }
}
