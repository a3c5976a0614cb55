//! Pods to the model.

use std::sync::Arc;

use super::into_model::{
    artifact, constraints, env_value, executor_resources, kill_selection, limits, linux, ms,
    network, unreachable,
};
use crate::{
    base::clock::Timestamp,
    compat::marathon::{
        json::Num,
        spec::{
            Pod, health,
            health::Scheme,
            pod::{Backoff, PodVolume, Scheduling},
            pod_container::{Endpoint, Image, PodCheck, PodContainer, PodHealthCheck, PodProbe},
        },
    },
    model::{
        access::Role,
        container::{self as m, Shared, SharedSource, SharedVolume},
        path::PathId,
        resource::Scalars,
        workload::{self, Kind, RunSpec, WorkloadSpec},
    },
};

/// The workload of a completed, validated pod. Version stamps are left to `core`.
pub fn workload(pod: Pod) -> WorkloadSpec {
    let id = PathId::parse(&pod.id);
    let scheduling = pod.scheduling.clone().unwrap_or_default();
    let instances = pod.scaling.map_or(1, |scaling| scaling.instances);
    let Scheduling { backoff, upgrade, placement, kill_selection: kill, unreachable_strategy } =
        scheduling;
    let placement = placement.unwrap_or_default();
    let backoff = backoff.unwrap_or(Backoff::DEFAULT);
    let accepted: Vec<_> = placement.accepted_resource_roles;
    let lists: Vec<_> = placement.constraints.iter().map(|c| c.as_list()).collect();
    WorkloadSpec {
        instances,
        accepted_roles: (!accepted.is_empty())
            .then(|| accepted.iter().map(|role| Role::from(role.as_str())).collect()),
        constraints: constraints(&lists),
        backoff: workload::Backoff {
            initial_ms: fine_ms(backoff.backoff),
            factor: backoff.backoff_factor.0,
            ms_max: fine_ms(backoff.max_launch_delay),
        },
        upgrade: upgrade.map_or(
            workload::UpgradeStrategy { minimum_health_capacity: 1.0, maximum_over_capacity: 1.0 },
            |upgrade| workload::UpgradeStrategy {
                minimum_health_capacity: upgrade.minimum_health_capacity.0,
                maximum_over_capacity: upgrade.maximum_over_capacity.0,
            },
        ),
        unreachable: unreachable(unreachable_strategy),
        kill_selection: kill_selection(kill),
        run: Arc::new(run(pod)),
        ..WorkloadSpec::new(id, Timestamp::EPOCH)
    }
}

fn run(pod: Pod) -> RunSpec {
    RunSpec {
        kind: Kind::Pod,
        containers: pod.containers.iter().map(container).collect(),
        networks: pod.networks.iter().map(network).collect(),
        role: Role::from(pod.role.as_deref().unwrap_or_default()),
        labels: pod.labels,
        secrets: pod.secrets.into_iter().map(|(name, s)| (name, s.source)).collect(),
        executor: String::new(),
        executor_resources: pod.executor_resources.map(executor_resources),
        shared: Shared {
            env: pod.environment.iter().map(|(name, v)| (name.clone(), env_value(v))).collect(),
            user: pod.user,
            volumes: pod.volumes.into_iter().map(volume).collect(),
            linux: pod.linux_info.as_ref().map(linux).unwrap_or_default(),
            cgroups: pod.legacy_shared_cgroups,
        },
    }
}

/// Seconds with a fraction as milliseconds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded by the reader
fn fine_ms(seconds: Num) -> u64 {
    (seconds.0 * 1000.0).round() as u64
}

fn volume(volume: PodVolume) -> SharedVolume {
    let source = match (volume.host, volume.secret) {
        (Some(path), _) => SharedSource::Host(path),
        (None, Some(secret)) => SharedSource::Secret(secret),
        (None, None) => SharedSource::Ephemeral,
    };
    SharedVolume { name: volume.name, source }
}

fn container(c: &PodContainer) -> m::ContainerSpec {
    m::ContainerSpec {
        name: c.name.clone(),
        command: command(c),
        image: c.image.as_ref().map(image),
        engine: c.image.as_ref().map(|_| m::Engine::Mesos),
        resources: Scalars::of(
            c.resources.cpus.0,
            c.resources.mem.0,
            c.resources.disk.0,
            f64::from(c.resources.gpus),
        ),
        limits: limits(c.resource_limits),
        env: c.environment.iter().map(|(name, v)| (name.clone(), env_value(v))).collect(),
        user: c.user.clone(),
        tty: c.tty,
        fetch: c.artifacts.iter().map(artifact).collect(),
        volumes: c
            .volume_mounts
            .iter()
            .map(|mount| m::Volume {
                container_path: mount.mount_path.clone(),
                read_only: mount.read_only,
                source: m::VolumeSource::Shared(mount.name.clone()),
            })
            .collect(),
        ports: c.endpoints.iter().map(port).collect(),
        health_checks: c.health_check.iter().map(|check| health_check(c, check)).collect(),
        check: c.check.as_ref().map(|check| info_check(c, check)),
        readiness: Vec::new(),
        kill_grace_ms: c.lifecycle.and_then(|l| l.kill_grace_period_seconds).map(fine_ms),
        linux: c.linux_info.as_ref().map(linux).unwrap_or_default(),
        labels: c.labels.clone(),
    }
}

fn command(c: &PodContainer) -> m::Command {
    let Some(exec) = &c.exec else { return m::Command::Image };
    match &exec.command {
        health::Command::Shell(text) => m::Command::Shell(text.clone()),
        health::Command::Argv(argv) => {
            if c.image.is_some() && exec.override_entrypoint != Some(false) {
                m::Command::Exec(argv.clone())
            } else {
                m::Command::Args(argv.clone())
            }
        }
    }
}

fn image(image: &Image) -> m::Image {
    m::Image {
        name: image.id.clone(),
        force_pull: image.force_pull,
        privileged: false,
        parameters: Vec::new(),
        pull_secret: image.pull_config.as_ref().map(|p| p.secret.clone()),
        labels: image.labels.clone(),
    }
}

fn port(endpoint: &Endpoint) -> m::Port {
    let has = |name: &str| {
        let parts = endpoint.protocol.iter().flat_map(|p| p.split(','));
        parts.into_iter().any(|p| p.trim().eq_ignore_ascii_case(name))
    };
    let protocol = match (has("tcp"), has("udp")) {
        (true, true) => m::Protocol::Both,
        (false, true) => m::Protocol::Udp,
        // Anything else (`http`) is spoken over TCP.
        (_, false) => m::Protocol::Tcp,
    };
    m::Port {
        container_port: endpoint.container_port,
        host_port: endpoint.host_port,
        service_port: 0,
        protocol,
        name: Some(endpoint.name.clone()),
        labels: endpoint.labels.clone(),
        network_names: endpoint.network_names.clone(),
        protocols: endpoint.protocol.clone(),
    }
}

fn probe(c: &PodContainer, probe: &PodProbe) -> m::Probe {
    let port = |name: &str| {
        let at = c.endpoints.iter().position(|endpoint| endpoint.name == name);
        m::ProbePort::Index(at.and_then(|at| u32::try_from(at).ok()).unwrap_or(0))
    };
    if let Some(http) = &probe.http {
        m::Probe::Http {
            tls: http.scheme == Scheme::Https,
            path: http.path.clone(),
            port: port(&http.endpoint),
            ignore_1xx: false,
            ipv6: false,
        }
    } else if let Some(tcp) = &probe.tcp {
        m::Probe::Tcp { port: port(&tcp.endpoint), ipv6: false }
    } else {
        m::Probe::Command(match probe.exec.as_ref().map(|exec| &exec.command) {
            Some(health::Command::Argv(argv)) => m::Command::Args(argv.clone()),
            Some(health::Command::Shell(text)) => m::Command::Shell(text.clone()),
            None => m::Command::Image,
        })
    }
}

fn health_check(c: &PodContainer, check: &PodHealthCheck) -> m::HealthCheck {
    m::HealthCheck {
        probe: probe(c, &check.probe),
        agent_semantics: true,
        grace_ms: ms(check.grace_period_seconds),
        interval_ms: ms(check.interval_seconds),
        timeout_ms: ms(check.timeout_seconds),
        failures_max: check.max_consecutive_failures,
        delay_ms: ms(check.delay_seconds),
    }
}

fn info_check(c: &PodContainer, check: &PodCheck) -> m::InfoCheck {
    m::InfoCheck {
        probe: probe(c, &check.probe),
        interval_ms: ms(check.interval_seconds),
        timeout_ms: ms(check.timeout_seconds),
        delay_ms: ms(check.delay_seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_names_of_which_two_are_known() {
        for (names, protocol) in [
            (vec![], m::Protocol::Tcp),
            (vec!["http"], m::Protocol::Tcp),
            (vec!["UDP"], m::Protocol::Udp),
            (vec!["udp", "tcp"], m::Protocol::Both),
            (vec!["udp,tcp"], m::Protocol::Both),
        ] {
            let names = names.into_iter().map(str::to_owned).collect();
            let endpoint = Endpoint { protocol: names, ..Endpoint::default() };
            assert_eq!(port(&endpoint).protocol, protocol, "{endpoint:?}");
        }
    }
}
