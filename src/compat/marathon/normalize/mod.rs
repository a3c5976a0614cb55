//! From what a client sent to the final form: deprecated fields first, then defaults.
//!
//! `migrate` works on whole and on partial definitions and leaves no deprecated field behind;
//! `overlay` lays a partial one over the present one; `complete` fills in every default. All three
//! are pure; the rules stand in docs/compat/marathon.md, "Old input".

pub mod pod;

use super::{
    json::Num,
    settings::Settings,
    spec::{
        App,
        container::{Container, Engine},
        health::Protocol as CheckProtocol,
        network::{DockerNetwork, IpAddress, Mode, Network, PortDefinition, PortMapping, Protocol},
        policy::{
            Artifact, ExecutorResources, KillSelection, Residency, TaskLost, Unreachable,
            UpgradeStrategy,
        },
        volume::{Access, DiskType},
    },
};

/// Two fields that say different things about one matter. The original answers 500 to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Conflict(pub &'static str);

/// Endings of files the fetcher unpacks.
const ARCHIVES: [&str; 9] =
    [".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz", ".tgz", ".tbz2", ".txz", ".zip"];

/// Turns deprecated fields into the present ones.
pub fn migrate(app: &mut App, settings: &Settings) -> Result<(), Conflict> {
    migrate_uris(app)?;
    migrate_ports(app)?;
    migrate_docker_mappings(app)?;
    migrate_networks(app, settings)
}

fn migrate_uris(app: &mut App) -> Result<(), Conflict> {
    let Some(uris) = app.uris.take() else { return Ok(()) };
    if !uris.is_empty() && app.fetch.as_ref().is_some_and(|fetch| !fetch.is_empty()) {
        return Err(Conflict("cannot specify both uris and fetch fields"));
    }
    if app.fetch.is_none() || !uris.is_empty() {
        app.fetch = Some(uris.into_iter().map(artifact).collect());
    }
    Ok(())
}

fn artifact(uri: String) -> Artifact {
    let is_web = ["http://", "https://"].iter().any(|scheme| uri.starts_with(scheme));
    // A query is for the server and no part of the file's name.
    let name = if is_web { uri.split(['?', '#']).next().unwrap_or(&uri) } else { &uri };
    let extract = ARCHIVES.iter().any(|ending| name.ends_with(ending));
    Artifact { uri, extract, executable: false, cache: false, dest_path: None }
}

fn migrate_ports(app: &mut App) -> Result<(), Conflict> {
    let Some(ports) = app.ports.take() else { return Ok(()) };
    if app.ip_address.is_some() && !ports.is_empty() {
        return Err(Conflict("cannot specify both an IP address and port"));
    }
    match &app.port_definitions {
        Some(definitions) if definitions.iter().map(|d| d.port).eq(ports.iter().copied()) => {}
        Some(definitions) if !definitions.is_empty() && !ports.is_empty() => {
            return Err(Conflict("cannot specify both ports and port definitions"));
        }
        Some(_) | None => {
            app.port_definitions = Some(ports.into_iter().map(port_definition).collect());
        }
    }
    app.ports_are_old = true;
    Ok(())
}

fn port_definition(port: u16) -> PortDefinition {
    PortDefinition { labels: Default::default(), name: None, port, protocol: Protocol::Tcp }
}

fn migrate_docker_mappings(app: &mut App) -> Result<(), Conflict> {
    let Some(container) = &mut app.container else { return Ok(()) };
    let Some(old) = container.docker.as_mut().and_then(|d| d.port_mappings.take()) else {
        return Ok(());
    };
    if container.port_mappings.is_some() {
        return Err(Conflict(
            "cannot specify both container.portMappings and container.docker.portMappings",
        ));
    }
    container.port_mappings = Some(old);
    container.mappings_are_old = true;
    Ok(())
}

fn migrate_networks(app: &mut App, settings: &Settings) -> Result<(), Conflict> {
    let docker = app.container.as_mut().and_then(|c| c.docker.as_mut());
    let old = docker.and_then(|d| d.network.take());
    let address = app.ip_address.take();
    if old.is_none() && address.is_none() {
        return Ok(());
    }
    if app.networks.as_ref().is_some_and(|networks| !networks.is_empty()) {
        return Err(Conflict(if old.is_some() {
            "must not specify both container.docker.network and networks"
        } else {
            "must not specify both networks and ipAddress"
        }));
    }
    if let Some(address) = &address {
        if app.port_definitions.as_ref().is_some_and(|d| !d.is_empty()) {
            return Err(Conflict("cannot specify both an IP address and port"));
        }
        migrate_discovery(app, address)?;
    }
    let network = match (old, address) {
        (Some(DockerNetwork::None), _) => {
            return Err(Conflict("unsupported docker network type NONE"));
        }
        (Some(DockerNetwork::Host), _) => Network::of(Mode::Host),
        (Some(DockerNetwork::Bridge), address) => Network {
            labels: address.map(|a| a.labels).unwrap_or_default(),
            ..Network::of(Mode::Bridge)
        },
        (Some(DockerNetwork::User), address) => container_network(address.unwrap_or_default()),
        (None, address) => {
            let address = address.unwrap_or_default();
            if address.network_name.as_deref() == Some(&settings.bridge_name) {
                Network { labels: address.labels, ..Network::of(Mode::Bridge) }
            } else {
                container_network(address)
            }
        }
    };
    app.networks = Some(vec![network]);
    Ok(())
}

fn container_network(address: IpAddress) -> Network {
    Network { name: address.network_name, mode: Mode::Container, labels: address.labels }
}

/// `ipAddress.discovery.ports` become mappings; an app without container gets one to hold them.
fn migrate_discovery(app: &mut App, address: &IpAddress) -> Result<(), Conflict> {
    let Some(ports) = address.discovery.as_ref().filter(|ports| !ports.is_empty()) else {
        return Ok(());
    };
    if app.is_docker() {
        return Err(Conflict("ipAddress/discovery is not allowed for Docker containers"));
    }
    let container = app.container.get_or_insert_with(mesos_container);
    if container.port_mappings.is_none() {
        let mapping = |port: &super::spec::network::DiscoveryPort| PortMapping {
            container_port: port.number,
            host_port: None,
            labels: port.labels.clone(),
            name: Some(port.name.clone()),
            protocol: port.protocol,
            service_port: 0,
            network_names: Vec::new(),
        };
        container.port_mappings = Some(ports.iter().map(mapping).collect());
    }
    Ok(())
}

fn mesos_container() -> Container {
    Container { engine: Some(Engine::Mesos), ..Container::default() }
}

/// `update` over `current`: what the update leaves out stays; lists and maps are replaced whole.
///
/// `executorResources` and `resourceLimits` stay too; the original clears them, which helps nobody
/// (docs/compat/marathon.md, "Decisions").
pub fn overlay(current: App, update: App) -> App {
    let says_ports = update.port_definitions.is_some();
    let says_container = update.container.is_some();
    let mut app = App {
        id: current.id,
        accepted_resource_roles: update.accepted_resource_roles.or(current.accepted_resource_roles),
        args: update.args.or(current.args),
        backoff_factor: update.backoff_factor.or(current.backoff_factor),
        backoff_seconds: update.backoff_seconds.or(current.backoff_seconds),
        cmd: update.cmd.or(current.cmd),
        constraints: update.constraints.or(current.constraints),
        container: update.container.or(current.container),
        cpus: update.cpus.or(current.cpus),
        dependencies: update.dependencies.or(current.dependencies),
        disk: update.disk.or(current.disk),
        env: update.env.or(current.env),
        executor: update.executor.or(current.executor),
        executor_resources: update.executor_resources.or(current.executor_resources),
        fetch: update.fetch.or(current.fetch),
        health_checks: update.health_checks.or(current.health_checks),
        check: update.check.or(current.check),
        instances: update.instances.or(current.instances),
        labels: update.labels.or(current.labels),
        max_launch_delay_seconds: update
            .max_launch_delay_seconds
            .or(current.max_launch_delay_seconds),
        mem: update.mem.or(current.mem),
        gpus: update.gpus.or(current.gpus),
        networks: update.networks.or(current.networks),
        port_definitions: update.port_definitions.or(current.port_definitions),
        readiness_checks: update.readiness_checks.or(current.readiness_checks),
        residency: update.residency.or(current.residency),
        require_ports: update.require_ports.or(current.require_ports),
        secrets: update.secrets.or(current.secrets),
        resource_limits: update.resource_limits.or(current.resource_limits),
        task_kill_grace_period_seconds: update
            .task_kill_grace_period_seconds
            .or(current.task_kill_grace_period_seconds),
        upgrade_strategy: update.upgrade_strategy.or(current.upgrade_strategy),
        user: update.user.or(current.user),
        tty: update.tty.or(current.tty),
        version: None,
        version_info: None,
        kill_selection: update.kill_selection.or(current.kill_selection),
        unreachable_strategy: update.unreachable_strategy.or(current.unreachable_strategy),
        role: update.role.or(current.role),
        uris: None,
        ports: None,
        ip_address: None,
        ports_are_old: update.ports_are_old,
        names_containers: update.names_containers,
    };
    // Ports of the present definition do not outlive a change of network mode.
    if is_host(&app) {
        if let Some(container) = app.container.as_mut().filter(|_| !says_container) {
            container.port_mappings = None;
        }
    } else if !says_ports {
        app.port_definitions = None;
    }
    app
}

/// Whether the app uses the node's own network; so it does when it names none.
pub fn is_host(app: &App) -> bool {
    app.networks.as_ref().and_then(|n| n.first()).is_none_or(|n| n.mode == Mode::Host)
}

/// Fills in every default that does not depend on the cluster. The role is the caller's.
pub fn complete(app: &mut App, settings: &Settings) {
    complete_networks(app, settings);
    if is_host(app) {
        complete_definitions(app)
    } else {
        complete_mappings(app)
    }
    complete_checks(app);
    complete_policies(app);
    app.cpus.get_or_insert(Num(1.0));
    app.mem.get_or_insert(Num(128.0));
    app.disk.get_or_insert(Num(0.0));
    app.gpus.get_or_insert(0);
    app.instances.get_or_insert(1);
    app.executor.get_or_insert_default();
    app.labels.get_or_insert_default();
    app.require_ports.get_or_insert(false);
}

fn complete_networks(app: &mut App, settings: &Settings) {
    let networks = app.networks.get_or_insert_default();
    if networks.is_empty() {
        networks.push(Network::of(Mode::Host));
    }
    for network in networks.iter_mut().filter(|n| n.mode == Mode::Container) {
        network.name.get_or_insert_with(|| settings.default_network.clone());
    }
    if !is_host(app) {
        app.container.get_or_insert_with(mesos_container);
    }
    if let Some(container) = &mut app.container {
        container.engine.get_or_insert(Engine::Docker);
    }
}

fn complete_definitions(app: &mut App) {
    if let Some(container) = &mut app.container {
        let is_empty = container.port_mappings.as_ref().is_some_and(Vec::is_empty);
        if container.mappings_are_old || is_empty {
            container.port_mappings = None;
        }
    }
    let default = || PortDefinition { name: Some("default".to_owned()), ..port_definition(0) };
    app.port_definitions.get_or_insert_with(|| vec![default()]);
}

/// Outside host networking: definitions that reach beyond the mappings become mappings; others
/// stay for `validate` to refuse, unless they come from the deprecated `ports`.
fn complete_mappings(app: &mut App) {
    app.require_ports = Some(false);
    let is_bridge = app.networks.as_ref().is_some_and(|n| n.iter().any(|n| n.mode == Mode::Bridge));
    let Some(container) = &mut app.container else { return };
    let definitions = app.port_definitions.take().unwrap_or_default();
    let n_mappings = container.port_mappings.as_ref().map_or(0, Vec::len);
    let host_port = is_bridge.then_some(0);
    if definitions.len() > n_mappings {
        let mapping = |d: PortDefinition| PortMapping {
            container_port: 0,
            host_port,
            labels: d.labels,
            name: d.name,
            protocol: d.protocol,
            service_port: d.port,
            network_names: Vec::new(),
        };
        let mappings = container.port_mappings.get_or_insert_default();
        mappings.extend(definitions.into_iter().skip(n_mappings).map(mapping));
    } else if !definitions.is_empty() && !app.ports_are_old {
        app.port_definitions = Some(definitions);
    }
    let mappings = container.port_mappings.get_or_insert_with(|| {
        vec![PortMapping {
            container_port: 0,
            host_port,
            labels: Default::default(),
            name: Some("default".to_owned()),
            protocol: Protocol::Tcp,
            service_port: 0,
            network_names: Vec::new(),
        }]
    });
    if is_bridge {
        for mapping in mappings {
            mapping.host_port.get_or_insert(0);
        }
    }
}

/// How many ports the app has, whatever its network.
pub fn n_ports(app: &App) -> usize {
    if is_host(app) {
        app.port_definitions.as_ref().map_or(0, Vec::len)
    } else {
        app.container.as_ref().and_then(|c| c.port_mappings.as_ref()).map_or(0, Vec::len)
    }
}

fn complete_checks(app: &mut App) {
    let has_ports = n_ports(app) > 0;
    for check in app.health_checks.iter_mut().flatten() {
        if check.protocol != CheckProtocol::Command && check.port.is_none() && has_ports {
            check.port_index.get_or_insert(0);
        }
        if let Some(path) = check.path.as_mut().filter(|path| !path.starts_with('/')) {
            path.insert(0, '/');
        }
    }
    let Some(check) = &mut app.check else { return };
    let http = check.http.as_mut().map(|c| (&c.port, &mut c.port_index));
    let tcp = check.tcp.as_mut().map(|c| (&c.port, &mut c.port_index));
    for (port, index) in http.into_iter().chain(tcp) {
        if port.is_none() && has_ports {
            index.get_or_insert(0);
        }
    }
}

/// Whether the app keeps volumes on a node.
pub fn is_resident(app: &App) -> bool {
    app.container.iter().flat_map(|c| &c.volumes).any(|v| v.persistent.is_some())
}

fn complete_policies(app: &mut App) {
    let is_resident = is_resident(app);
    let is_external = app.container.iter().flat_map(|c| &c.volumes).any(|v| v.external.is_some());
    app.backoff_seconds.get_or_insert(1);
    app.backoff_factor.get_or_insert(Num(1.15));
    app.max_launch_delay_seconds.get_or_insert(300);
    let is_single = app.label("MARATHON_SINGLE_INSTANCE_APP") == Some("true");
    let (health, over) = match (is_single, is_resident || is_external) {
        (true, _) => (0.0, 0.0),
        (false, true) => (0.5, 0.0),
        (false, false) => (1.0, 1.0),
    };
    app.upgrade_strategy.get_or_insert(UpgradeStrategy {
        maximum_over_capacity: Num(over),
        minimum_health_capacity: Num(health),
    });
    app.unreachable_strategy.get_or_insert(if is_resident {
        Unreachable::Disabled
    } else {
        Unreachable::After { inactive_s: 0, expunge_s: 0 }
    });
    app.kill_selection.get_or_insert(KillSelection::YoungestFirst);
    for volume in app.container.iter_mut().flat_map(|c| &mut c.volumes) {
        if let Some(persistent) = &mut volume.persistent {
            volume.mode.get_or_insert(Access::ReadWrite);
            persistent.disk.get_or_insert(DiskType::Root);
        }
    }
    if is_resident {
        app.residency.get_or_insert(Residency {
            relaunch_escalation_timeout_seconds: 3600,
            task_lost_behavior: TaskLost::WaitForever,
        });
    } else {
        app.residency = None; // of no effect, and shown for resident apps only
    }
    if app.executor.as_deref().is_some_and(|e| !e.is_empty() && e != "//cmd") {
        app.executor_resources.get_or_insert(ExecutorResources {
            cpus: Num(0.1),
            mem: Num(32.0),
            disk: Num(10.0),
        });
    }
}

#[cfg(test)]
mod tests;
