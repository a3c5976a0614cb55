//! The model to edge types.
//!
//! Decides which fields an answer holds: optional ones only when set, lists and maps as the
//! original does when empty (docs/compat/marathon.md, "App model").

use crate::{
    base::units::Milli,
    compat::marathon::{
        json::Num,
        spec::{
            App,
            app::{EnvValue, Stamp, VersionInfo},
            container::{
                Container, Docker, Engine, IpcInfo, IpcMode, LinuxInfo, Parameter, PullConfig,
                Seccomp,
            },
            health::{self, Check, HealthCheck, IpProtocol, Scheme},
            network::{Mode, Network, PortDefinition, PortMapping, Protocol},
            policy::{self, Artifact, ExecutorResources, Limit, ResourceLimits, SecretSource},
            volume::{Access, DiskType, External, Persistent, Volume},
        },
    },
    model::{
        container::{self as m, ContainerSpec},
        resource::Scalars,
        workload::{self, NetworkMode, UnreachableStrategy, WorkloadSpec},
    },
};

/// The definition of `spec` as answers show it.
pub fn app(spec: &WorkloadSpec) -> App {
    let default = ContainerSpec::default();
    let c = spec.run.containers.first().unwrap_or(&default);
    let is_host = spec.run.network_mode() == NetworkMode::Host;
    let (cmd, args) = match &c.command {
        m::Command::Shell(text) => (Some(text.clone()), None),
        m::Command::Args(args) | m::Command::Exec(args) => (None, Some(args.clone())),
        m::Command::Image => (None, None),
    };
    App {
        id: Some(spec.id.to_string()),
        accepted_resource_roles: spec
            .accepted_roles
            .as_ref()
            .map(|roles| roles.iter().map(ToString::to_string).collect()),
        args,
        backoff_factor: Some(Num(spec.backoff.factor)),
        backoff_seconds: Some(seconds(spec.backoff.initial_ms)),
        cmd,
        constraints: some(spec.constraints.iter().map(constraint).collect()),
        container: container(c, is_host),
        cpus: Some(num(c.resources.cpus)),
        dependencies: some(spec.dependencies.iter().map(ToString::to_string).collect()),
        disk: Some(num(c.resources.disk)),
        env: Some(c.env.iter().map(|(name, v)| (name.clone(), env_value(v))).collect())
            .filter(|env: &std::collections::BTreeMap<_, _>| !env.is_empty()),
        executor: Some(spec.run.executor.clone()),
        executor_resources: spec.run.executor_resources.as_ref().map(executor_resources),
        fetch: some(c.fetch.iter().map(artifact).collect()),
        health_checks: some(c.health_checks.iter().map(health_check).collect()),
        check: c.check.as_ref().map(info_check),
        instances: Some(spec.instances),
        labels: Some(spec.run.labels.clone()),
        max_launch_delay_seconds: Some(seconds(spec.backoff.ms_max)),
        mem: Some(num(c.resources.mem)),
        gpus: Some(u32::try_from(c.resources.gpus.floor()).unwrap_or(0)),
        networks: Some(spec.run.networks.iter().map(network).collect()),
        port_definitions: is_host.then(|| c.ports.iter().map(definition).collect()),
        readiness_checks: some(c.readiness.iter().map(readiness).collect()),
        residency: spec.residency.as_ref().map(residency),
        require_ports: Some(spec.require_ports),
        secrets: Some(&spec.run.secrets).filter(|secrets| !secrets.is_empty()).map(|secrets| {
            let source = |(name, source): (&String, &String)| {
                (name.clone(), SecretSource { source: source.clone() })
            };
            secrets.iter().map(source).collect()
        }),
        resource_limits: limits(&c.limits),
        task_kill_grace_period_seconds: c.kill_grace_ms.map(seconds),
        upgrade_strategy: Some(policy::UpgradeStrategy {
            maximum_over_capacity: Num(spec.upgrade.maximum_over_capacity),
            minimum_health_capacity: Num(spec.upgrade.minimum_health_capacity),
        }),
        user: c.user.clone(),
        tty: c.tty,
        version: Some(Stamp(spec.version)),
        version_info: Some(VersionInfo {
            last_scaling_at: Stamp(spec.last_scaling_at),
            last_config_change_at: Stamp(spec.last_config_change_at),
        }),
        kill_selection: Some(kill_selection(spec.kill_selection)),
        unreachable_strategy: Some(unreachable(spec.unreachable)),
        role: Some(spec.run.role.to_string()),
        uris: None,
        ports: None,
        ip_address: None,
        ports_are_old: false,
        names_containers: false,
    }
}

pub(super) fn executor_resources(r: &Scalars) -> ExecutorResources {
    ExecutorResources { cpus: num(r.cpus), mem: num(r.mem), disk: num(r.disk) }
}

pub(super) fn kill_selection(selection: workload::KillSelection) -> policy::KillSelection {
    match selection {
        workload::KillSelection::YoungestFirst => policy::KillSelection::YoungestFirst,
        workload::KillSelection::OldestFirst => policy::KillSelection::OldestFirst,
    }
}

/// When lost instances are replaced, as JSON has it.
pub fn unreachable(strategy: UnreachableStrategy) -> policy::Unreachable {
    match strategy {
        UnreachableStrategy::Disabled => policy::Unreachable::Disabled,
        UnreachableStrategy::After { inactive_ms, expunge_ms } => policy::Unreachable::After {
            inactive_s: seconds(inactive_ms),
            expunge_s: seconds(expunge_ms),
        },
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

pub(super) fn num(value: Milli) -> Num {
    Num(value.as_f64())
}

pub(super) fn seconds(ms: u64) -> u32 {
    u32::try_from(ms / 1000).unwrap_or(u32::MAX)
}

/// A constraint as JSON has it.
pub(super) fn constraint(constraint: &workload::Constraint) -> Vec<String> {
    let mut list = vec![constraint.field.clone(), constraint.operator.as_str().to_owned()];
    list.extend(constraint.value.clone());
    list
}

pub(super) fn network(network: &workload::Network) -> Network {
    Network {
        name: network.name.clone(),
        mode: match network.mode {
            NetworkMode::Host => Mode::Host,
            NetworkMode::Bridge => Mode::Bridge,
            NetworkMode::Container => Mode::Container,
        },
        labels: network.labels.clone(),
    }
}

fn residency(residency: &workload::Residency) -> policy::Residency {
    let relaunch = policy::TaskLost::Relaunch;
    let is_relaunch = residency.task_lost_behavior == relaunch.name();
    policy::Residency {
        relaunch_escalation_timeout_seconds: u32::try_from(residency.relaunch_escalation_timeout_s)
            .unwrap_or(u32::MAX),
        task_lost_behavior: if is_relaunch { relaunch } else { policy::TaskLost::WaitForever },
    }
}

fn container(c: &ContainerSpec, is_host: bool) -> Option<Container> {
    let engine = match c.engine? {
        m::Engine::Docker => Engine::Docker,
        m::Engine::Mesos => Engine::Mesos,
    };
    Some(Container {
        engine: Some(engine),
        docker: c.image.as_ref().map(docker),
        linux_info: linux(&c.linux),
        volumes: c.volumes.iter().map(volume).collect(),
        port_mappings: (!is_host).then(|| c.ports.iter().map(mapping).collect()),
        mappings_are_old: false,
    })
}

fn docker(image: &m::Image) -> Docker {
    let parameter =
        |(key, value): &(String, String)| Parameter { key: key.clone(), value: value.clone() };
    Docker {
        force_pull_image: image.force_pull,
        image: Some(image.name.clone()),
        parameters: image.parameters.iter().map(parameter).collect(),
        privileged: image.privileged,
        pull_config: image.pull_secret.clone().map(|secret| PullConfig { secret }),
        has_credential: false,
        network: None,
        port_mappings: None,
    }
}

pub(super) fn linux(linux: &m::LinuxInfo) -> Option<LinuxInfo> {
    let has_seccomp = linux.seccomp_profile.is_some() || linux.seccomp_unconfined;
    let seccomp = has_seccomp.then(|| Seccomp {
        profile_name: linux.seccomp_profile.clone(),
        unconfined: linux.seccomp_unconfined,
    });
    let ipc_info = linux.ipc.map(|mode| IpcInfo {
        mode: match mode {
            m::IpcMode::Private => IpcMode::Private,
            m::IpcMode::ShareParent => IpcMode::ShareParent,
        },
        shm_size: linux.shm_mb,
    });
    (seccomp.is_some() || ipc_info.is_some()).then_some(LinuxInfo { seccomp, ipc_info })
}

pub(super) fn env_value(value: &m::EnvValue) -> EnvValue {
    match value {
        m::EnvValue::Text(text) => EnvValue::Text(text.clone()),
        m::EnvValue::Secret(secret) => EnvValue::Secret { secret: secret.clone() },
    }
}

pub(super) fn artifact(artifact: &m::Artifact) -> Artifact {
    Artifact {
        uri: artifact.uri.clone(),
        extract: artifact.extract,
        executable: artifact.executable,
        cache: artifact.cache,
        dest_path: artifact.dest_path.clone(),
    }
}

pub(super) fn limits(limits: &m::Limits) -> Option<ResourceLimits> {
    let limit = |limit: Option<m::Limit>| {
        limit.map(|limit| match limit {
            m::Limit::Unlimited => Limit::Unlimited,
            m::Limit::At(value) => Limit::At(num(value)),
        })
    };
    let limits = ResourceLimits { cpus: limit(limits.cpus), mem: limit(limits.mem) };
    (limits.cpus.is_some() || limits.mem.is_some()).then_some(limits)
}

fn volume(volume: &m::Volume) -> Volume {
    let access = if volume.read_only { Access::ReadOnly } else { Access::ReadWrite };
    let mut edge = Volume {
        container_path: volume.container_path.clone(),
        mode: Some(access),
        host_path: None,
        persistent: None,
        external: None,
        secret: None,
    };
    match &volume.source {
        m::VolumeSource::Host(path) => edge.host_path = Some(path.clone()),
        // Apps have none: theirs are all their own.
        m::VolumeSource::Shared(_) => {}
        m::VolumeSource::Secret(secret) => {
            edge.mode = None;
            edge.secret = Some(secret.clone());
        }
        m::VolumeSource::External { name, provider, options, size_gib, shared } => {
            edge.external = Some(External {
                size: *size_gib,
                name: Some(name.clone()),
                options: External::options_from_text(provider, options),
                provider: Some(provider.clone()),
                shared: *shared,
            });
        }
        m::VolumeSource::Persistent(p) => {
            edge.persistent = Some(Persistent {
                disk: Some(match p.kind {
                    m::DiskKind::Root => DiskType::Root,
                    m::DiskKind::Path => DiskType::Path,
                    m::DiskKind::Mount => DiskType::Mount,
                }),
                size: p.size_mb,
                max_size: p.size_mb_max,
                profile_name: p.profile.clone(),
                constraints: p.constraints.iter().map(constraint).collect(),
            });
        }
    }
    edge
}

fn protocol(protocol: m::Protocol) -> Protocol {
    match protocol {
        m::Protocol::Tcp => Protocol::Tcp,
        m::Protocol::Udp => Protocol::Udp,
        m::Protocol::Both => Protocol::Both,
    }
}

fn definition(port: &m::Port) -> PortDefinition {
    PortDefinition {
        labels: port.labels.clone(),
        name: port.name.clone(),
        port: port.service_port,
        protocol: protocol(port.protocol),
    }
}

fn mapping(port: &m::Port) -> PortMapping {
    PortMapping {
        container_port: port.container_port.unwrap_or(0),
        host_port: port.host_port,
        labels: port.labels.clone(),
        name: port.name.clone(),
        protocol: protocol(port.protocol),
        service_port: port.service_port,
        network_names: port.network_names.clone(),
    }
}

fn port_of(port: m::ProbePort) -> (Option<u16>, Option<u32>) {
    match port {
        m::ProbePort::Number(port) => (Some(port), None),
        m::ProbePort::Index(index) => (None, Some(index)),
    }
}

/// A health check as JSON has it; events carry it too.
pub fn health_check(check: &m::HealthCheck) -> HealthCheck {
    use health::Protocol as P;
    let family = |ipv6: bool| if ipv6 { IpProtocol::V6 } else { IpProtocol::V4 };
    let mut edge = HealthCheck {
        command: None,
        grace_period_seconds: seconds(check.grace_ms),
        ignore_http1xx: None,
        interval_seconds: seconds(check.interval_ms),
        max_consecutive_failures: check.failures_max,
        path: None,
        port: None,
        port_index: None,
        protocol: P::Command,
        ip_protocol: IpProtocol::V4,
        timeout_seconds: seconds(check.timeout_ms),
        delay_seconds: seconds(check.delay_ms),
    };
    match &check.probe {
        m::Probe::Command(command) => {
            let value = match command {
                m::Command::Shell(text) => text.clone(),
                m::Command::Args(args) | m::Command::Exec(args) => args.join(" "),
                m::Command::Image => String::new(),
            };
            edge.command = Some(health::ShellCommand { value });
        }
        m::Probe::Tcp { port, ipv6 } => {
            edge.protocol = if check.agent_semantics { P::MesosTcp } else { P::Tcp };
            (edge.port, edge.port_index) = port_of(*port);
            edge.ip_protocol = family(*ipv6);
        }
        m::Probe::Http { tls, path, port, ignore_1xx, ipv6 } => {
            edge.protocol = match (check.agent_semantics, tls) {
                (false, false) => P::Http,
                (false, true) => P::Https,
                (true, false) => P::MesosHttp,
                (true, true) => P::MesosHttps,
            };
            edge.path = path.clone();
            (edge.port, edge.port_index) = port_of(*port);
            edge.ignore_http1xx = ignore_1xx.then_some(true);
            edge.ip_protocol = family(*ipv6);
        }
    }
    edge
}

fn info_check(check: &m::InfoCheck) -> Check {
    let mut edge = Check {
        exec: None,
        http: None,
        tcp: None,
        interval_seconds: seconds(check.interval_ms),
        timeout_seconds: seconds(check.timeout_ms),
        delay_seconds: seconds(check.delay_ms),
    };
    match &check.probe {
        m::Probe::Command(command) => {
            let command = match command {
                m::Command::Shell(text) => health::Command::Shell(text.clone()),
                m::Command::Args(args) | m::Command::Exec(args) => {
                    health::Command::Argv(args.clone())
                }
                m::Command::Image => health::Command::Shell(String::new()),
            };
            edge.exec = Some(health::ExecCheck { command });
        }
        m::Probe::Tcp { port, .. } => {
            let (port, port_index) = port_of(*port);
            edge.tcp = Some(health::TcpCheck { port_index, port });
        }
        m::Probe::Http { tls, path, port, .. } => {
            let (port, port_index) = port_of(*port);
            let scheme = if *tls { Scheme::Https } else { Scheme::Http };
            edge.http = Some(health::HttpCheck { port_index, port, path: path.clone(), scheme });
        }
    }
    edge
}

fn readiness(check: &m::ReadinessCheck) -> health::ReadinessCheck {
    health::ReadinessCheck {
        http_status_codes_for_ready: check.ready_codes.iter().copied().collect(),
        interval_seconds: seconds(check.interval_ms),
        name: check.name.clone(),
        path: check.path.clone(),
        port_name: check.port_name.clone(),
        preserve_last_response: check.keep_last_response,
        protocol: if check.tls { Scheme::Https } else { Scheme::Http },
        timeout_seconds: seconds(check.timeout_ms),
    }
}
