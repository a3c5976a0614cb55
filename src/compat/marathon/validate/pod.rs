//! The rules of a completed pod that types and bounds cannot say.

use std::collections::BTreeSet;

use super::{
    Context, artifacts,
    container::linux_info,
    ends_before_the_next, feature, id, limits_cover,
    network::{are_unique, combinations},
    placement, replaced_before_forgotten,
};
use crate::{
    compat::marathon::{
        json::Violations,
        normalize,
        settings::Settings,
        spec::{
            Pod,
            app::EnvValue,
            health::Command,
            network::Mode,
            pod_container::{PodContainer, PodProbe},
        },
    },
    model::path::PathId,
};

/// How names of variables are described in answers.
const ENV_PATTERN: &str = "must fully match regular expression '^[a-zA-Z_][a-zA-Z0-9_]{0,253}$'";
const ENV_CHARS_MAX: usize = 254;

/// All broken rules of `pod`.
pub fn validate(pod: &Pod, context: &Context<'_>) -> Violations {
    let mut v = Violations::default();
    id(&PathId::parse(&pod.id), "/id", &mut v);
    let settings = context.settings;
    secrets(pod, settings, &mut v);
    environment(&pod.environment, "", pod, settings, &mut v);
    networks(pod, &mut v);
    volumes(pod, settings, &mut v);
    names(pod, &mut v);
    for (i, container) in pod.containers.iter().enumerate() {
        if v.is_full() {
            break;
        }
        check_container(pod, container, settings, &format!("/containers({i})"), &mut v);
    }
    if let Some(linux) = &pod.linux_info {
        linux_info(linux, "/linuxInfo", &mut v);
    }
    scheduling(pod, context, &mut v);
    v
}

fn secrets(pod: &Pod, settings: &Settings, v: &mut Violations) {
    if !pod.secrets.is_empty() {
        feature(settings, "secrets", "/secrets", v);
    }
}

fn environment(
    env: &std::collections::BTreeMap<String, EnvValue>,
    path: &str,
    pod: &Pod,
    settings: &Settings,
    v: &mut Violations,
) {
    for (i, (name, value)) in env.iter().enumerate() {
        v.check(is_variable(name), format!("{path}/environment/keys({i})"), ENV_PATTERN);
        if let EnvValue::Secret { secret } = value {
            feature(settings, "secrets", &format!("{path}/environment"), v);
            v.check(
                pod.secrets.contains_key(secret),
                format!("{path}/environment/{name}/secret"),
                "references an undefined secret",
            );
        }
    }
}

/// Whether a shell could read a variable of this name.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= ENV_CHARS_MAX
}

fn networks(pod: &Pod, v: &mut Violations) {
    combinations(&pod.networks, v);
    let n_container = pod.networks.iter().filter(|n| n.mode == Mode::Container).count();
    v.check(n_container <= 1, "/networks", "a pod joins a single container network");
}

fn volumes(pod: &Pod, settings: &Settings, v: &mut Violations) {
    let names = pod.volumes.iter().map(|volume| volume.name.as_str());
    v.check(are_unique(names), "/volumes", "Volume names must be unique");
    let mounted: BTreeSet<&str> =
        pod.containers.iter().flat_map(|c| &c.volume_mounts).map(|m| m.name.as_str()).collect();
    for (i, volume) in pod.volumes.iter().enumerate() {
        let path = format!("/volumes({i})");
        v.check(
            !volume.is_persistent,
            format!("{path}/persistent"),
            "persistent volumes of pods are not part of this version",
        );
        v.check(
            volume.host.is_none() || volume.secret.is_none(),
            &path,
            "must contain at most one of host and secret",
        );
        if let Some(secret) = &volume.secret {
            feature(settings, "secrets", &path, v);
            v.check(
                pod.secrets.contains_key(secret),
                &path,
                "volume.secret must refer to an existing secret",
            );
        }
        v.check(
            mounted.contains(volume.name.as_str()),
            format!("{path}/name"),
            "must be mounted by a container",
        );
    }
}

/// What no two containers may have alike: they share a network.
fn names(pod: &Pod, v: &mut Violations) {
    let endpoints = || pod.containers.iter().flat_map(|c| &c.endpoints);
    let names = pod.containers.iter().map(|c| c.name.as_str());
    v.check(are_unique(names), "/containers", "Container names must be unique");
    let names = endpoints().map(|e| e.name.as_str());
    v.check(are_unique(names), "/containers", "Endpoint names must be unique");
    let ports = endpoints().filter_map(|e| e.container_port);
    v.check(are_unique(ports), "/containers", "Container ports must be unique");
    let ports = endpoints().filter_map(|e| e.host_port).filter(|port| *port != 0);
    v.check(are_unique(ports), "/containers", "Host ports must be unique");
}

fn check_container(
    pod: &Pod,
    container: &PodContainer,
    settings: &Settings,
    path: &str,
    v: &mut Violations,
) {
    what_runs(container, path, v);
    if let Some(pull) = container.image.as_ref().and_then(|image| image.pull_config.as_ref()) {
        let path = format!("{path}/image/pullConfig");
        feature(settings, "secrets", &path, v);
        let text = "pullConfig.secret must refer to an existing secret";
        v.check(pod.secrets.contains_key(&pull.secret), path, text);
    }
    if container.resources.gpus > 0 {
        feature(settings, "gpu_resources", &format!("{path}/resources/gpus"), v);
    }
    limits(pod, container, path, v);
    environment(&container.environment, path, pod, settings, v);
    endpoints(pod, container, path, v);
    let check = container.health_check.as_ref();
    if let Some(check) = check {
        let times = (check.timeout_seconds, check.interval_seconds);
        check_probe(container, &check.probe, times, &format!("{path}/healthCheck"), v);
    }
    if let Some(check) = &container.check {
        let times = (check.timeout_seconds, check.interval_seconds);
        check_probe(container, &check.probe, times, &format!("{path}/check"), v);
    }
    for (i, mount) in container.volume_mounts.iter().enumerate() {
        let known: Vec<&str> = pod.volumes.iter().map(|volume| volume.name.as_str()).collect();
        v.check(
            known.contains(&mount.name.as_str()),
            format!("{path}/volumeMounts({i})/name"),
            one_of(&known),
        );
    }
    artifacts(&container.artifacts, &format!("{path}/artifacts"), v);
    if let Some(linux) = &container.linux_info {
        linux_info(linux, &format!("{path}/linuxInfo"), v);
    }
}

fn what_runs(container: &PodContainer, path: &str, v: &mut Violations) {
    match (&container.exec, &container.image) {
        (None, None) => v.add(format!("{path}/exec"), "not defined"),
        (Some(exec), _) => {
            let is_empty = match &exec.command {
                Command::Shell(text) => text.is_empty(),
                Command::Argv(argv) => argv.is_empty() || argv[0].is_empty(),
            };
            v.check(!is_empty, format!("{path}/exec/command"), "must not be empty");
        }
        (None, Some(_)) => {}
    }
    let has_id = container.image.as_ref().is_none_or(|image| !image.id.is_empty());
    v.check(has_id, format!("{path}/image/id"), "must not be empty");
}

fn limits(pod: &Pod, container: &PodContainer, path: &str, v: &mut Violations) {
    let Some(limits) = &container.resource_limits else { return };
    let path = format!("{path}/resourceLimits");
    v.check(
        pod.legacy_shared_cgroups != Some(true),
        &path,
        "must be empty with legacySharedCgroups",
    );
    let requests = (Some(container.resources.cpus), Some(container.resources.mem));
    limits_cover(limits, requests, &path, v);
}

fn endpoints(pod: &Pod, container: &PodContainer, path: &str, v: &mut Violations) {
    let is_host = normalize::pod::is_host(pod);
    let known: Vec<&str> = pod.networks.iter().filter_map(|n| n.name.as_deref()).collect();
    for (i, endpoint) in container.endpoints.iter().enumerate() {
        let path = format!("{path}/endpoints({i})");
        let at = format!("{path}/containerPort");
        if is_host {
            v.check(endpoint.container_port.is_none(), at, "must be empty");
        } else {
            v.check(endpoint.container_port.is_some(), at, "not defined");
        }
        for (k, name) in endpoint.network_names.iter().enumerate() {
            let at = format!("{path}/networkNames({k})");
            v.check(known.contains(&name.as_str()), at, one_of(&known));
        }
    }
}

fn check_probe(
    container: &PodContainer,
    probe: &PodProbe,
    times: (u32, u32),
    path: &str,
    v: &mut Violations,
) {
    let PodProbe { http, tcp, exec } = probe;
    let n = usize::from(http.is_some()) + usize::from(tcp.is_some()) + usize::from(exec.is_some());
    v.check(n == 1, path, "must contain exactly one of exec, http or tcp");
    let known: Vec<&str> = container.endpoints.iter().map(|e| e.name.as_str()).collect();
    let http = http.as_ref().map(|probe| ("http", &probe.endpoint));
    let tcp = tcp.as_ref().map(|probe| ("tcp", &probe.endpoint));
    for (kind, endpoint) in http.into_iter().chain(tcp) {
        let at = format!("{path}/{kind}/endpoint");
        v.check(known.contains(&endpoint.as_str()), at, one_of(&known));
    }
    ends_before_the_next(times, path, v);
}

fn one_of(known: &[&str]) -> String {
    const TOLD_MAX: usize = 20;
    format!("is not one of ({})", known[..known.len().min(TOLD_MAX)].join(","))
}

fn scheduling(pod: &Pod, context: &Context<'_>, v: &mut Violations) {
    let scheduling = pod.scheduling.clone().unwrap_or_default();
    let placement = scheduling.placement.unwrap_or_default();
    let path = "/scheduling/placement";
    for (i, constraint) in placement.constraints.iter().enumerate() {
        if let Err(problem) = placement::parse(&constraint.as_list()) {
            v.add(format!("{path}/constraints({i})"), problem);
        }
    }
    let accepted = placement.accepted_resource_roles;
    placement::check_roles(
        &placement::Roles {
            role: pod.role.as_deref().unwrap_or_default(),
            accepted: Some(accepted.as_slice()).filter(|accepted| !accepted.is_empty()),
            accepted_path: &format!("{path}/acceptedResourceRoles"),
            is_resident: false,
            of: "pod",
        },
        context,
        v,
    );
    let path = "/scheduling/unreachableStrategy";
    replaced_before_forgotten(scheduling.unreachable_strategy, path, v);
}
