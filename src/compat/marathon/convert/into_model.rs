//! Edge types to the model.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    base::{clock::Timestamp, units::Milli},
    compat::marathon::{
        json::Num,
        normalize,
        spec::{
            App, app,
            container::{Container, Engine, IpcMode, LinuxInfo},
            health::{self, Check, HealthCheck, IpProtocol, Scheme},
            network::{Mode, Protocol},
            policy,
            volume::{Access, DiskType, Volume},
        },
        validate::placement,
    },
    model::{
        access::Role,
        container as m,
        path::PathId,
        resource::Scalars,
        workload::{self, Backoff, Kind, RunSpec, UnreachableStrategy, WorkloadSpec},
    },
};

/// The workload of a completed, validated definition. Version stamps are left to `core`.
pub fn workload(app: App) -> WorkloadSpec {
    let run = Arc::new(RunSpec {
        kind: Kind::App,
        containers: vec![container(&app)],
        networks: app.networks.iter().flatten().map(network).collect(),
        role: Role::from(app.role.as_deref().unwrap_or_default()),
        labels: app.labels.unwrap_or_default(),
        secrets: app.secrets.into_iter().flatten().map(|(name, s)| (name, s.source)).collect(),
        executor: app.executor.unwrap_or_default(),
        executor_resources: app.executor_resources.map(executor_resources),
        shared: m::Shared::default(),
    });
    let upgrade = app
        .upgrade_strategy
        .map_or((1.0, 1.0), |u| (u.minimum_health_capacity.0, u.maximum_over_capacity.0));
    WorkloadSpec {
        id: PathId::parse(app.id.as_deref().unwrap_or_default()),
        run,
        instances: app.instances.unwrap_or(1),
        require_ports: app.require_ports.unwrap_or(false),
        accepted_roles: app
            .accepted_resource_roles
            .map(|roles| roles.iter().map(|role| Role::from(role.as_str())).collect()),
        constraints: constraints(app.constraints.as_deref().unwrap_or_default()),
        dependencies: app.dependencies.iter().flatten().map(|id| PathId::parse(id)).collect(),
        backoff: Backoff {
            initial_ms: ms(app.backoff_seconds.unwrap_or(1)),
            factor: app.backoff_factor.map_or(1.15, |f| f.0),
            ms_max: ms(app.max_launch_delay_seconds.unwrap_or(300)),
        },
        upgrade: workload::UpgradeStrategy {
            minimum_health_capacity: upgrade.0,
            maximum_over_capacity: upgrade.1,
        },
        unreachable: unreachable(app.unreachable_strategy),
        kill_selection: kill_selection(app.kill_selection),
        residency: app.residency.map(|r| workload::Residency {
            relaunch_escalation_timeout_s: r.relaunch_escalation_timeout_seconds.into(),
            task_lost_behavior: r.task_lost_behavior.name().to_owned(),
        }),
        version: Timestamp::EPOCH,
        last_scaling_at: Timestamp::EPOCH,
        last_config_change_at: Timestamp::EPOCH,
    }
}

pub(super) fn executor_resources(r: policy::ExecutorResources) -> Scalars {
    Scalars::of(r.cpus.0, r.mem.0, r.disk.0, 0.0)
}

pub(super) fn unreachable(strategy: Option<policy::Unreachable>) -> UnreachableStrategy {
    match strategy {
        Some(policy::Unreachable::Disabled) => UnreachableStrategy::Disabled,
        Some(policy::Unreachable::After { inactive_s, expunge_s }) => {
            UnreachableStrategy::After { inactive_ms: ms(inactive_s), expunge_ms: ms(expunge_s) }
        }
        None => UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 },
    }
}

pub(super) fn kill_selection(selection: Option<policy::KillSelection>) -> workload::KillSelection {
    match selection {
        Some(policy::KillSelection::OldestFirst) => workload::KillSelection::OldestFirst,
        Some(policy::KillSelection::YoungestFirst) | None => workload::KillSelection::YoungestFirst,
    }
}

/// Seconds as milliseconds.
pub(super) fn ms(seconds: u32) -> u64 {
    u64::from(seconds) * 1000
}

/// The constraints of lists that were checked.
pub(super) fn constraints(list: &[Vec<String>]) -> Vec<workload::Constraint> {
    list.iter().filter_map(|constraint| placement::parse(constraint).ok()).collect()
}

pub(super) fn network(
    network: &crate::compat::marathon::spec::network::Network,
) -> workload::Network {
    workload::Network {
        mode: match network.mode {
            Mode::Host => workload::NetworkMode::Host,
            Mode::Bridge => workload::NetworkMode::Bridge,
            Mode::Container => workload::NetworkMode::Container,
        },
        name: network.name.clone(),
        labels: network.labels.clone(),
    }
}

fn container(app: &App) -> m::ContainerSpec {
    let number = |n: Option<Num>| n.map_or(0.0, |n| n.0);
    let c = app.container.as_ref();
    m::ContainerSpec {
        name: String::new(),
        command: command(app),
        image: c.and_then(image),
        engine: c.map(|c| match c.engine {
            Some(Engine::Mesos) => m::Engine::Mesos,
            Some(Engine::Docker) | None => m::Engine::Docker,
        }),
        resources: Scalars::of(
            number(app.cpus),
            number(app.mem),
            number(app.disk),
            f64::from(app.gpus.unwrap_or(0)),
        ),
        limits: limits(app.resource_limits),
        env: env(app),
        user: app.user.clone(),
        tty: app.tty,
        fetch: app.fetch.iter().flatten().map(artifact).collect(),
        volumes: c.iter().flat_map(|c| &c.volumes).map(volume).collect(),
        ports: ports(app),
        health_checks: app.health_checks.iter().flatten().map(health_check).collect(),
        check: app.check.as_ref().map(info_check),
        readiness: app.readiness_checks.iter().flatten().map(readiness).collect(),
        kill_grace_ms: app.task_kill_grace_period_seconds.map(ms),
        linux: c.and_then(|c| c.linux_info.as_ref()).map(linux).unwrap_or_default(),
        labels: BTreeMap::new(),
    }
}

pub(super) fn limits(limits: Option<policy::ResourceLimits>) -> m::Limits {
    let limit = |limit: Option<policy::Limit>| {
        limit.map(|limit| match limit {
            policy::Limit::Unlimited => m::Limit::Unlimited,
            policy::Limit::At(n) => m::Limit::At(Milli::from_f64(n.0)),
        })
    };
    limits.map_or_else(m::Limits::default, |limits| m::Limits {
        cpus: limit(limits.cpus),
        mem: limit(limits.mem),
    })
}

fn command(app: &App) -> m::Command {
    match (&app.cmd, &app.args) {
        (Some(cmd), _) => m::Command::Shell(cmd.clone()),
        (None, Some(args)) if !args.is_empty() => m::Command::Args(args.clone()),
        (None, _) => m::Command::Image,
    }
}

fn image(container: &Container) -> Option<m::Image> {
    let docker = container.docker.as_ref()?;
    Some(m::Image {
        name: docker.image.clone().unwrap_or_default(),
        force_pull: docker.force_pull_image,
        privileged: docker.privileged,
        parameters: docker.parameters.iter().map(|p| (p.key.clone(), p.value.clone())).collect(),
        pull_secret: docker.pull_config.as_ref().map(|p| p.secret.clone()),
        labels: BTreeMap::new(),
    })
}

fn env(app: &App) -> BTreeMap<String, m::EnvValue> {
    app.env.iter().flatten().map(|(name, v)| (name.clone(), env_value(v))).collect()
}

pub(super) fn env_value(value: &app::EnvValue) -> m::EnvValue {
    match value {
        app::EnvValue::Text(text) => m::EnvValue::Text(text.clone()),
        app::EnvValue::Secret { secret } => m::EnvValue::Secret(secret.clone()),
    }
}

pub(super) fn artifact(artifact: &policy::Artifact) -> m::Artifact {
    m::Artifact {
        uri: artifact.uri.clone(),
        extract: artifact.extract,
        executable: artifact.executable,
        cache: artifact.cache,
        dest_path: artifact.dest_path.clone(),
    }
}

fn volume(volume: &Volume) -> m::Volume {
    let source = if let Some(p) = &volume.persistent {
        m::VolumeSource::Persistent(m::PersistentVolume {
            kind: match p.disk {
                Some(DiskType::Path) => m::DiskKind::Path,
                Some(DiskType::Mount) => m::DiskKind::Mount,
                Some(DiskType::Root) | None => m::DiskKind::Root,
            },
            size_mb: p.size,
            size_mb_max: p.max_size,
            profile: p.profile_name.clone(),
            constraints: constraints(&p.constraints),
        })
    } else if let Some(e) = &volume.external {
        m::VolumeSource::External {
            name: e.name.clone().unwrap_or_default(),
            provider: e.provider.clone().unwrap_or_default(),
            options: e.options_as_text(),
            size_gib: e.size,
            shared: e.shared,
        }
    } else if let Some(secret) = &volume.secret {
        m::VolumeSource::Secret(secret.clone())
    } else {
        m::VolumeSource::Host(volume.host_path.clone().unwrap_or_default())
    };
    let read_only = volume.mode == Some(Access::ReadOnly);
    m::Volume { container_path: volume.container_path.clone(), read_only, source }
}

fn protocol(protocol: Protocol) -> m::Protocol {
    match protocol {
        Protocol::Tcp => m::Protocol::Tcp,
        Protocol::Udp => m::Protocol::Udp,
        Protocol::Both => m::Protocol::Both,
    }
}

fn ports(app: &App) -> Vec<m::Port> {
    if normalize::is_host(app) {
        let is_exact = app.require_ports == Some(true);
        let port = |d: &crate::compat::marathon::spec::network::PortDefinition| m::Port {
            container_port: None,
            host_port: Some(if is_exact { d.port } else { 0 }),
            service_port: d.port,
            protocol: protocol(d.protocol),
            name: d.name.clone(),
            labels: d.labels.clone(),
            network_names: Vec::new(),
            protocols: Vec::new(),
        };
        return app.port_definitions.iter().flatten().map(port).collect();
    }
    let port = |p: &crate::compat::marathon::spec::network::PortMapping| m::Port {
        container_port: Some(p.container_port),
        host_port: p.host_port,
        service_port: p.service_port,
        protocol: protocol(p.protocol),
        name: p.name.clone(),
        labels: p.labels.clone(),
        network_names: p.network_names.clone(),
        protocols: Vec::new(),
    };
    app.container.iter().flat_map(|c| c.port_mappings.iter().flatten()).map(port).collect()
}

fn probe_port(port: Option<u16>, index: Option<u32>) -> m::ProbePort {
    match (port, index) {
        (Some(port), None) => m::ProbePort::Number(port),
        (_, index) => m::ProbePort::Index(index.unwrap_or(0)),
    }
}

fn health_check(check: &HealthCheck) -> m::HealthCheck {
    use health::Protocol as P;
    let port = probe_port(check.port, check.port_index);
    let ipv6 = check.ip_protocol == IpProtocol::V6;
    let probe = match (check.protocol, &check.command) {
        (P::Command, command) => m::Probe::Command(m::Command::Shell(
            command.as_ref().map(|c| c.value.clone()).unwrap_or_default(),
        )),
        (P::Tcp | P::MesosTcp, _) => m::Probe::Tcp { port, ipv6 },
        (P::Http | P::Https | P::MesosHttp | P::MesosHttps, _) => m::Probe::Http {
            tls: matches!(check.protocol, P::Https | P::MesosHttps),
            path: check.path.clone(),
            port,
            ignore_1xx: check.ignore_http1xx.unwrap_or(false),
            ipv6,
        },
    };
    m::HealthCheck {
        probe,
        agent_semantics: check.protocol.is_mesos(),
        grace_ms: ms(check.grace_period_seconds),
        interval_ms: ms(check.interval_seconds),
        timeout_ms: ms(check.timeout_seconds),
        failures_max: check.max_consecutive_failures,
        delay_ms: ms(check.delay_seconds),
    }
}

fn info_check(check: &Check) -> m::InfoCheck {
    let probe = if let Some(http) = &check.http {
        m::Probe::Http {
            tls: http.scheme == Scheme::Https,
            path: http.path.clone(),
            port: probe_port(http.port, http.port_index),
            ignore_1xx: false,
            ipv6: false,
        }
    } else if let Some(tcp) = &check.tcp {
        m::Probe::Tcp { port: probe_port(tcp.port, tcp.port_index), ipv6: false }
    } else {
        m::Probe::Command(match check.exec.as_ref().map(|exec| &exec.command) {
            Some(health::Command::Argv(argv)) => m::Command::Args(argv.clone()),
            Some(health::Command::Shell(text)) => m::Command::Shell(text.clone()),
            None => m::Command::Shell(String::new()),
        })
    };
    m::InfoCheck {
        probe,
        interval_ms: ms(check.interval_seconds),
        timeout_ms: ms(check.timeout_seconds),
        delay_ms: ms(check.delay_seconds),
    }
}

fn readiness(check: &health::ReadinessCheck) -> m::ReadinessCheck {
    m::ReadinessCheck {
        name: check.name.clone(),
        tls: check.protocol == Scheme::Https,
        path: check.path.clone(),
        port_name: check.port_name.clone(),
        interval_ms: ms(check.interval_seconds),
        timeout_ms: ms(check.timeout_seconds),
        ready_codes: check.http_status_codes_for_ready.iter().copied().collect(),
        keep_last_response: check.preserve_last_response,
    }
}

pub(super) fn linux(linux: &LinuxInfo) -> m::LinuxInfo {
    let ipc = linux.ipc_info.as_ref();
    m::LinuxInfo {
        seccomp_profile: linux.seccomp.as_ref().and_then(|s| s.profile_name.clone()),
        seccomp_unconfined: linux.seccomp.as_ref().is_some_and(|s| s.unconfined),
        ipc: ipc.map(|ipc| match ipc.mode {
            IpcMode::Private => m::IpcMode::Private,
            IpcMode::ShareParent => m::IpcMode::ShareParent,
        }),
        shm_mb: ipc.and_then(|ipc| ipc.shm_size),
    }
}
