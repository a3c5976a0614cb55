//! The model to pods.

use std::collections::BTreeMap;

use super::from_model::{
    artifact, constraint, env_value, executor_resources, kill_selection, limits, linux, network,
    num, seconds, unreachable,
};
use crate::{
    compat::marathon::{
        json::Num,
        spec::{
            Pod,
            app::Stamp,
            container::PullConfig,
            health::{Command, ExecCheck, Scheme},
            pod::{
                Backoff, Placement, PodConstraint, PodVolume, Scaling, ScalingKind, Scheduling,
                Upgrade,
            },
            pod_container::{
                Endpoint, Exec, HttpProbe, Image, ImageKind, Lifecycle, PodCheck, PodContainer,
                PodHealthCheck, PodProbe, Resources, TcpProbe, VolumeMount,
            },
            policy::SecretSource,
        },
    },
    model::{
        container::{self as m, ContainerSpec, SharedSource, SharedVolume},
        resource::Scalars,
        workload::WorkloadSpec,
    },
};

/// The definition of `spec` as answers show it.
pub fn pod(spec: &WorkloadSpec) -> Pod {
    let (run, shared) = (&*spec.run, &spec.run.shared);
    let source = |(name, source): (&String, &String)| {
        (name.clone(), SecretSource { source: source.clone() })
    };
    Pod {
        id: spec.id.to_string(),
        labels: run.labels.clone(),
        version: Some(Stamp(spec.version)),
        user: shared.user.clone(),
        environment: shared.env.iter().map(|(name, v)| (name.clone(), env_value(v))).collect(),
        containers: run.containers.iter().map(container).collect(),
        secrets: run.secrets.iter().map(source).collect(),
        volumes: shared.volumes.iter().map(volume).collect(),
        networks: run.networks.iter().map(network).collect(),
        scaling: Some(Scaling { kind: ScalingKind::Fixed, instances: spec.instances }),
        scheduling: Some(scheduling(spec)),
        executor_resources: run.executor_resources.as_ref().map(executor_resources),
        role: Some(run.role.to_string()),
        linux_info: linux(&shared.linux),
        legacy_shared_cgroups: shared.cgroups,
    }
}

fn scheduling(spec: &WorkloadSpec) -> Scheduling {
    let named = |it: &crate::model::workload::Constraint| PodConstraint {
        field_name: it.field.clone(),
        operator: it.operator.as_str(),
        value: constraint(it).into_iter().nth(2),
    };
    let roles = spec.accepted_roles.iter().flatten();
    Scheduling {
        backoff: Some(Backoff {
            backoff: fine_seconds(spec.backoff.initial_ms),
            backoff_factor: Num(spec.backoff.factor),
            max_launch_delay: fine_seconds(spec.backoff.ms_max),
        }),
        upgrade: Some(Upgrade {
            minimum_health_capacity: Num(spec.upgrade.minimum_health_capacity),
            maximum_over_capacity: Num(spec.upgrade.maximum_over_capacity),
        }),
        placement: Some(Placement {
            constraints: spec.constraints.iter().map(named).collect(),
            accepted_resource_roles: roles.map(ToString::to_string).collect(),
        }),
        kill_selection: Some(kill_selection(spec.kill_selection)),
        unreachable_strategy: Some(unreachable(spec.unreachable)),
    }
}

/// Milliseconds as seconds with a fraction.
#[allow(clippy::cast_precision_loss)] // far below 53 bits
fn fine_seconds(ms: u64) -> Num {
    Num(ms as f64 / 1000.0)
}

fn volume(volume: &SharedVolume) -> PodVolume {
    let mut edge = PodVolume { name: volume.name.clone(), ..PodVolume::default() };
    match &volume.source {
        SharedSource::Ephemeral => {}
        SharedSource::Host(path) => edge.host = Some(path.clone()),
        SharedSource::Secret(secret) => edge.secret = Some(secret.clone()),
    }
    edge
}

/// Resources as JSON has them.
pub fn resources(it: &Scalars) -> Resources {
    Resources {
        cpus: num(it.cpus),
        mem: num(it.mem),
        disk: num(it.disk),
        gpus: u32::try_from(it.gpus.floor()).unwrap_or(0),
    }
}

fn container(c: &ContainerSpec) -> PodContainer {
    let mount = |volume: &m::Volume| match &volume.source {
        m::VolumeSource::Shared(name) => Some(VolumeMount {
            name: name.clone(),
            mount_path: volume.container_path.clone(),
            read_only: volume.read_only,
        }),
        m::VolumeSource::Host(_)
        | m::VolumeSource::Persistent(_)
        | m::VolumeSource::External { .. }
        | m::VolumeSource::Secret(_) => None,
    };
    PodContainer {
        name: c.name.clone(),
        exec: exec(c),
        resources: resources(&c.resources),
        resource_limits: limits(&c.limits),
        endpoints: c.ports.iter().map(endpoint).collect(),
        image: c.image.as_ref().map(image),
        environment: c.env.iter().map(|(name, v)| (name.clone(), env_value(v))).collect(),
        user: c.user.clone(),
        health_check: c.health_checks.first().map(|check| health_check(c, check)),
        check: c.check.as_ref().map(|check| PodCheck {
            probe: probe(c, &check.probe),
            interval_seconds: seconds(check.interval_ms),
            timeout_seconds: seconds(check.timeout_ms),
            delay_seconds: seconds(check.delay_ms),
        }),
        volume_mounts: c.volumes.iter().filter_map(mount).collect(),
        artifacts: c.fetch.iter().map(artifact).collect(),
        labels: c.labels.clone(),
        lifecycle: c
            .kill_grace_ms
            .map(|ms| Lifecycle { kill_grace_period_seconds: Some(fine_seconds(ms)) }),
        tty: c.tty,
        linux_info: linux(&c.linux),
    }
}

fn exec(c: &ContainerSpec) -> Option<Exec> {
    let (command, override_entrypoint) = match &c.command {
        m::Command::Image => return None,
        m::Command::Shell(text) => (Command::Shell(text.clone()), None),
        m::Command::Exec(argv) => (Command::Argv(argv.clone()), None),
        m::Command::Args(argv) => (Command::Argv(argv.clone()), c.image.is_some().then_some(false)),
    };
    Some(Exec { command, override_entrypoint })
}

fn image(image: &m::Image) -> Image {
    Image {
        kind: ImageKind::Docker,
        id: image.name.clone(),
        force_pull: image.force_pull,
        pull_config: image.pull_secret.clone().map(|secret| PullConfig { secret }),
        labels: image.labels.clone(),
    }
}

fn endpoint(port: &m::Port) -> Endpoint {
    Endpoint {
        name: port.name.clone().unwrap_or_default(),
        container_port: port.container_port,
        host_port: port.host_port,
        protocol: port.protocols.clone(),
        labels: BTreeMap::clone(&port.labels),
        network_names: port.network_names.clone(),
    }
}

/// The endpoint that a probe goes to.
pub fn probed<'a>(c: &'a ContainerSpec, probe: &m::Probe) -> Option<&'a str> {
    let (m::Probe::Http { port, .. } | m::Probe::Tcp { port, .. }) = probe else { return None };
    match port {
        m::ProbePort::Index(at) => c.ports.get(usize::try_from(*at).ok()?)?.name.as_deref(),
        m::ProbePort::Number(_) => None,
    }
}

fn probe(c: &ContainerSpec, probe: &m::Probe) -> PodProbe {
    let endpoint = probed(c, probe).unwrap_or_default().to_owned();
    let mut edge = PodProbe::default();
    match probe {
        m::Probe::Http { tls, path, .. } => {
            let scheme = if *tls { Scheme::Https } else { Scheme::Http };
            edge.http = Some(HttpProbe { endpoint, path: path.clone(), scheme });
        }
        m::Probe::Tcp { .. } => edge.tcp = Some(TcpProbe { endpoint }),
        m::Probe::Command(command) => {
            let command = match command {
                m::Command::Shell(text) => Command::Shell(text.clone()),
                m::Command::Args(argv) | m::Command::Exec(argv) => Command::Argv(argv.clone()),
                m::Command::Image => Command::Shell(String::new()),
            };
            edge.exec = Some(ExecCheck { command });
        }
    }
    edge
}

fn health_check(c: &ContainerSpec, check: &m::HealthCheck) -> PodHealthCheck {
    PodHealthCheck {
        probe: probe(c, &check.probe),
        grace_period_seconds: seconds(check.grace_ms),
        interval_seconds: seconds(check.interval_ms),
        max_consecutive_failures: check.failures_max,
        timeout_seconds: seconds(check.timeout_ms),
        delay_seconds: seconds(check.delay_ms),
    }
}
