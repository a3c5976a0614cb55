//! From an order to the containers to create. Pure: users, secrets and paths are looked up before.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    machine::accounts::Account,
    runtime::{
        Launch,
        engine::{LABEL_AGENT, LABEL_CLUSTER},
    },
    sandbox::volume_name,
};
use crate::{
    base::{limit, units::Milli},
    core::env::{self, SANDBOX_IN_IMAGE, SecretMissing, Surroundings},
    host::docker::plan::{
        ContainerPlan, LimitsPlan, MountPlan, NetworkPlan, PublishedPort, Rights,
    },
    model::{
        container::{
            Command, ContainerSpec, Engine, IpcMode, Limit, Port, SharedSource, Volume,
            VolumeSource,
        },
        link::Order,
        workload::{Kind, NetworkMode, RunSpec},
    },
};

pub const LABEL_INSTANCE: &str = "tepui.instance";
pub const LABEL_INCARNATION: &str = "tepui.incarnation";
pub const LABEL_APP: &str = "tepui.app";
/// Name of the container within its pod; `@infra` for the one that holds the pod's network.
pub const LABEL_CONTAINER: &str = "tepui.container";
/// Present on plain commands: all that handle SIGTERM get it, not the topmost alone.
pub const LABEL_PLAIN: &str = "tepui.plain";
/// The name of a pod's infra container; no spec can have it.
pub const INFRA: &str = "@infra";
/// Directory of a pod's sandbox that holds its own volumes; no container can have the name.
pub const SHARED_VOLUMES: &str = "@volumes";
/// Containers get at least this much memory whatever they ask for, as Mesos gives them.
const MEMORY_MB_MIN: i64 = 32;
/// What the command executor of Mesos added to every task's own limits.
const SHARES_PER_CPU: i64 = 1024;
const SHARES_MIN: i64 = 2;

/// What an order's containers depend on beside the order.
#[derive(Debug)]
pub struct Site<'a> {
    pub cluster: &'a str,
    pub agent: &'a str,
    pub framework: &'a str,
    pub endpoint: Option<&'a str>,
    pub resolver: Option<std::net::IpAddr>,
    pub dns_search: &'a [String],
    /// The sandbox of this container.
    pub sandbox: &'a Path,
    /// The sandbox of the whole instance: of a pod the directory around it.
    pub pod: &'a Path,
    /// Where the instance's persistent volumes are, whatever the incarnation.
    pub volumes: &'a Path,
    /// User of a plain command by number, with its other groups; `None`: root.
    pub user: Option<&'a Account>,
    pub secrets: &'a BTreeMap<String, String>,
    /// The container whose network a pod shares.
    pub infra: Option<&'a str>,
    /// Profiles of seccomp by name, as text.
    pub seccomp: &'a BTreeMap<String, String>,
}

/// A definition that cannot be launched on this node, however often it is tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSpec {
    #[error(transparent)]
    Secret(#[from] SecretMissing),
    #[error("the value of secret '{0}' is not available")]
    SecretFile(String),
    #[error("this node has no seccomp profile '{0}'")]
    Seccomp(String),
    #[error("volume '{0}' would lie outside of the sandbox")]
    Outside(String),
    #[error("the pod has no volume '{0}'")]
    NoVolume(String),
    #[error("neither image nor command is given")]
    Nothing,
}

/// The container to create for `container` of `order`.
pub fn launch(
    order: &Order,
    container: &ContainerSpec,
    site: &Site<'_>,
) -> Result<Launch, BadSpec> {
    let name = container_name(order, &container.name);
    let sandbox = site.sandbox.to_string_lossy();
    let surroundings = Surroundings {
        framework: site.framework,
        sandbox: &sandbox,
        endpoint: site.endpoint,
        container_name: &name,
        secrets: site.secrets,
    };
    let env = env::of_task(order, container, &surroundings)?;
    let is_plain = container.image.is_none();
    let (entrypoint, command) = command(order, container)?;
    let mut plan = ContainerPlan {
        labels: labels(order, &container.name, site),
        env,
        entrypoint,
        command,
        tty: container.tty.unwrap_or(false),
        network: network(order, site.infra),
        limits: limits(container, pod_mem(order)),
        ipc: ipc(container, site),
        shm_bytes: container.linux.shm_mb.map(|mb| u64::from(mb) << 20),
        log_bytes_max: limit::LOG_FILE_BYTES_MAX,
        seccomp: seccomp(container, site)?,
        name,
        ..ContainerPlan::default()
    };
    if matches!(plan.network, NetworkPlan::Bridge | NetworkPlan::Named(_)) {
        plan.published = published(order, container);
    }
    // Names are looked up as its network is set up: by the infra container, where there is one.
    if site.infra.is_none() {
        plan.dns = site.resolver.iter().map(ToString::to_string).collect();
        plan.dns_search = site.dns_search.to_vec();
    }
    plan.mounts = mounts(order, container, site)?;
    match &container.image {
        None => plain(&mut plan, site),
        Some(image) => {
            plan.image = image.name.clone();
            plan.user = container.user.clone();
            plan.parameters = image.parameters.clone();
            if image.privileged {
                plan.rights = Rights::Privileged;
            }
            // Mesos' own containerizer has an init of its own, so that a shell dies of SIGTERM.
            plan.init = container.engine == Some(Engine::Mesos);
            if container.engine == Some(Engine::Docker) {
                let id = env::task_id(&order.instance, &container.name, order.incarnation);
                plan.labels.insert("MESOS_TASK_ID".to_owned(), id);
            }
        }
    }
    let force_pull = container.image.as_ref().is_some_and(|i| i.force_pull);
    Ok(Launch { plan, is_plain, force_pull, logins: Default::default() })
}

/// The container that holds a pod's network: a plain command that sleeps.
pub fn infra(order: &Order, site: &Site<'_>) -> Launch {
    let linux = &order.spec.run.shared.linux;
    let published = order.spec.run.containers.iter().flat_map(|c| published(order, c)).collect();
    let mut plan = ContainerPlan {
        name: container_name(order, "infra"),
        labels: labels(order, INFRA, site),
        command: Some(["/bin/sleep", "infinity"].map(str::to_owned).to_vec()),
        network: network(order, None),
        dns: site.resolver.iter().map(ToString::to_string).collect(),
        dns_search: site.dns_search.to_vec(),
        published,
        log_bytes_max: limit::LOG_FILE_BYTES_MAX,
        ipc: Some(match linux.ipc {
            Some(IpcMode::ShareParent) => "host".to_owned(),
            Some(IpcMode::Private) | None => "shareable".to_owned(),
        }),
        shm_bytes: linux.shm_mb.map(|mb| u64::from(mb) << 20),
        ..ContainerPlan::default()
    };
    plan.working_dir = Some("/".to_owned());
    Launch { plan, is_plain: true, ..Launch::default() }
}

/// Whether a pod needs a container that holds what the others share.
pub fn needs_infra(run: &RunSpec) -> bool {
    let shares = |c: &ContainerSpec| c.linux.ipc == Some(IpcMode::ShareParent);
    let is_host = run.network_mode() == NetworkMode::Host;
    run.kind == Kind::Pod && (!is_host || run.containers.iter().any(shares))
}

/// Whose shared memory a container uses.
fn ipc(container: &ContainerSpec, site: &Site<'_>) -> Option<String> {
    Some(match (container.linux.ipc?, site.infra) {
        (IpcMode::Private, _) => "private".to_owned(),
        (IpcMode::ShareParent, None) => "host".to_owned(),
        (IpcMode::ShareParent, Some(infra)) => format!("container:{infra}"),
    })
}

/// What each container of a pod may take that has its limits in common.
fn pod_mem(order: &Order) -> Option<Milli> {
    let run = &order.spec.run;
    (run.shared.cgroups == Some(true)).then(|| run.demand().mem)
}

fn container_name(order: &Order, container: &str) -> String {
    let id = env::task_id(&order.instance, container, order.incarnation);
    format!("tepui-{id}")
}

fn labels(order: &Order, container: &str, site: &Site<'_>) -> BTreeMap<String, String> {
    [
        (LABEL_CLUSTER, site.cluster.to_owned()),
        (LABEL_AGENT, site.agent.to_owned()),
        (LABEL_INSTANCE, order.instance.to_string()),
        (LABEL_INCARNATION, order.incarnation.to_string()),
        (LABEL_APP, order.spec.id.to_string()),
        (LABEL_CONTAINER, container.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

type Argv = Option<Vec<String>>;

/// Entry point and command.
fn command(order: &Order, container: &ContainerSpec) -> Result<(Argv, Argv), BadSpec> {
    let shell = |text: &str| Some(["/bin/sh", "-c", text].map(str::to_owned).to_vec());
    // Naming the shell as entry point is what bypasses the image's own.
    let bypass = |text: &str| {
        (Some(vec!["/bin/sh".to_owned()]), Some(vec!["-c".to_owned(), text.to_owned()]))
    };
    let executor = order.spec.run.executor.as_str();
    if !(executor.is_empty() || executor == "//cmd") && order.spec.run.kind == Kind::App {
        let arguments = match &container.command {
            Command::Image => String::new(),
            Command::Shell(text) => text.clone(),
            Command::Args(args) | Command::Exec(args) => args.join(" "),
        };
        let text = custom_executor(executor, &arguments);
        return Ok(if container.image.is_some() { bypass(&text) } else { (None, shell(&text)) });
    }
    match (&container.command, container.image.is_some()) {
        (Command::Shell(text), true) => Ok(bypass(text)),
        (Command::Shell(text), false) => Ok((None, shell(text))),
        (Command::Exec(argv), true) if !argv.is_empty() => {
            Ok((Some(vec![argv[0].clone()]), Some(argv[1..].to_vec())))
        }
        (Command::Args(args) | Command::Exec(args), _) if !args.is_empty() => {
            Ok((None, Some(args.clone())))
        }
        (Command::Args(_) | Command::Exec(_) | Command::Image, true) => Ok((None, None)),
        (Command::Args(_) | Command::Exec(_) | Command::Image, false) => Err(BadSpec::Nothing),
    }
}

/// A custom executor: a file of the sandbox, made executable and given the command's words.
fn custom_executor(path: &str, arguments: &str) -> String {
    let quoted = format!("'{}'", path.replace('\'', r"'\''"));
    format!("chmod ug+rx {quoted} && exec {quoted} {arguments}")
}

fn network(order: &Order, infra: Option<&str>) -> NetworkPlan {
    if let Some(infra) = infra {
        return NetworkPlan::Of(infra.to_owned());
    }
    match order.spec.run.network_mode() {
        NetworkMode::Host => NetworkPlan::Host,
        NetworkMode::Bridge => NetworkPlan::Bridge,
        NetworkMode::Container => {
            match order.spec.run.networks.first().and_then(|n| n.name.clone()) {
                Some(name) => NetworkPlan::Named(name),
                None => NetworkPlan::Bridge,
            }
        }
    }
}

fn published(order: &Order, container: &ContainerSpec) -> Vec<PublishedPort> {
    let hosts = env::host_ports(&order.spec.run, &order.placement, container);
    let inside = env::container_ports(order, container);
    let each = |((port, host), container_port): ((&Port, Option<u16>), u16)| {
        let protocols = if host.is_some() { port.protocol.each() } else { &[] };
        protocols.iter().map(move |protocol| PublishedPort {
            container_port,
            host_port: host.unwrap_or(0),
            protocol,
        })
    };
    container.ports.iter().zip(hosts).zip(inside).flat_map(each).collect()
}

/// CPU shares always, a quota only where a limit is given; memory at least 32 MB. `shared` is what the
/// whole pod may take.
fn limits(container: &ContainerSpec, shared: Option<Milli>) -> LimitsPlan {
    let cpus = container.resources.cpus;
    // Saturating: whoever asks for more than there is in the world gets the most there is.
    let shares = (cpus.get().saturating_mul(SHARES_PER_CPU) / 1000).max(SHARES_MIN);
    let quota = match container.limits.cpus {
        Some(Limit::At(cpus)) => Some(cpus.get().saturating_mul(100).max(1000)),
        Some(Limit::Unlimited) | None => None,
    };
    let memory = match container.limits.mem {
        Some(Limit::Unlimited) => None,
        Some(Limit::At(mem)) => Some(mem.max(container.resources.mem)),
        None => shared.or(Some(container.resources.mem)).filter(|m| !m.is_zero()),
    };
    LimitsPlan {
        cpu_shares: Some(shares),
        cpu_quota_us: quota,
        memory_bytes: memory
            .map(|m| m.max(Milli::whole(MEMORY_MB_MIN)).get().saturating_mul(1 << 20) / 1000),
        gpus: u32::try_from(container.resources.gpus.floor()).unwrap_or(0),
    }
}

fn plain(plan: &mut ContainerPlan, site: &Site<'_>) {
    let sandbox = site.sandbox.to_string_lossy().into_owned();
    plan.working_dir = Some(sandbox.clone());
    plan.labels.insert(LABEL_PLAIN.to_owned(), String::new());
    plan.mounts.insert(
        0,
        MountPlan::Bind {
            source: site.sandbox.to_owned(),
            target: sandbox,
            read_only: false,
            recursive: true,
        },
    );
    // The engine looks users up in the image, which has none: numbers only.
    if let Some(account) = site.user {
        plan.user = Some(format!("{}:{}", account.uid, account.gid));
        plan.extra_groups = account.groups.iter().map(u32::to_string).collect();
        plan.env.entry("USER".to_owned()).or_insert_with(|| account.name.clone());
    }
}

fn seccomp(container: &ContainerSpec, site: &Site<'_>) -> Result<Option<String>, BadSpec> {
    if container.linux.seccomp_unconfined {
        return Ok(Some("unconfined".to_owned()));
    }
    let Some(name) = &container.linux.seccomp_profile else { return Ok(None) };
    if name == "default" {
        return Ok(None);
    }
    match site.seccomp.get(name) {
        Some(text) => Ok(Some(text.clone())),
        None => Err(BadSpec::Seccomp(name.clone())),
    }
}

fn mounts(
    order: &Order,
    container: &ContainerSpec,
    site: &Site<'_>,
) -> Result<Vec<MountPlan>, BadSpec> {
    let mut mounts = Vec::new();
    if container.image.is_some() {
        mounts.push(MountPlan::Bind {
            source: site.sandbox.to_owned(),
            target: SANDBOX_IN_IMAGE.to_owned(),
            read_only: false,
            recursive: true,
        });
    }
    for volume in &container.volumes {
        mounts.extend(mount(order, volume, container.image.is_some(), site)?);
    }
    Ok(mounts)
}

/// The mount of one volume; `None` where the directory in the sandbox is all there is to it.
fn mount(
    order: &Order,
    volume: &Volume,
    has_image: bool,
    site: &Site<'_>,
) -> Result<Option<MountPlan>, BadSpec> {
    let inside = in_container(&volume.container_path, has_image, site)?;
    let bind = |source: PathBuf| MountPlan::Bind {
        source,
        target: inside.clone(),
        read_only: volume.read_only,
        recursive: true,
    };
    Ok(match &volume.source {
        VolumeSource::Host(path) if path.starts_with('/') => Some(bind(path.into())),
        VolumeSource::Host(path) => Some(bind(in_sandbox(path, site)?)),
        VolumeSource::Persistent(_) => {
            in_sandbox(&volume.container_path, site)?;
            Some(bind(site.volumes.join(volume_name(&volume.container_path))))
        }
        VolumeSource::External { name, options, .. } => Some(MountPlan::Volume {
            name: name.clone(),
            target: inside.clone(),
            read_only: volume.read_only,
            driver: driver(options),
            options: options
                .iter()
                .filter(|(k, _)| !k.starts_with("dvdi/driver"))
                .map(|(k, v)| (k.trim_start_matches("dvdi/").to_owned(), v.clone()))
                .collect(),
        }),
        VolumeSource::Shared(name) => Some(bind(shared(order, name, site)?)),
        VolumeSource::Secret(name) if site.secrets.contains_key(name) => None,
        VolumeSource::Secret(name) => return Err(BadSpec::SecretFile(name.clone())),
    })
}

/// Where on the node a volume of the pod is.
fn shared(order: &Order, name: &str, site: &Site<'_>) -> Result<PathBuf, BadSpec> {
    let mut volumes = order.spec.run.shared.volumes.iter();
    let volume = volumes.find(|volume| volume.name == name);
    match volume.map(|volume| &volume.source) {
        Some(SharedSource::Ephemeral) => Ok(site.pod.join(SHARED_VOLUMES).join(name)),
        Some(SharedSource::Host(path)) if path.starts_with('/') => Ok(path.into()),
        Some(SharedSource::Host(path)) => below(path, site.pod),
        Some(SharedSource::Secret(secret)) => Err(BadSpec::SecretFile(secret.clone())),
        None => Err(BadSpec::NoVolume(name.to_owned())),
    }
}

fn driver(options: &BTreeMap<String, String>) -> String {
    options.get("dvdi/driver").cloned().unwrap_or_else(|| "local".to_owned())
}

/// Where a volume's `container_path` is for the task.
fn in_container(path: &str, has_image: bool, site: &Site<'_>) -> Result<String, BadSpec> {
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let on_node = in_sandbox(path, site)?;
    if !has_image {
        return Ok(on_node.to_string_lossy().into_owned());
    }
    Ok(format!("{SANDBOX_IN_IMAGE}/{path}"))
}

/// `path` below the sandbox, refused when it leaves it.
pub fn in_sandbox(path: &str, site: &Site<'_>) -> Result<PathBuf, BadSpec> {
    below(path, site.sandbox)
}

fn below(path: &str, dir: &Path) -> Result<PathBuf, BadSpec> {
    let relative = Path::new(path);
    let stays = relative
        .components()
        .all(|c| matches!(c, std::path::Component::Normal(_) | std::path::Component::CurDir));
    if stays { Ok(dir.join(relative)) } else { Err(BadSpec::Outside(path.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_beyond_all_measure_are_the_most_there_is() {
        let mut container = ContainerSpec::default();
        container.resources.cpus = Milli::from_f64(1e17);
        container.limits.cpus = Some(Limit::At(Milli::from_f64(1e17)));
        container.limits.mem = Some(Limit::At(Milli::from_f64(1e17)));
        let plan = limits(&container, None);
        assert_eq!(plan.cpu_quota_us, Some(i64::MAX));
        assert!(plan.cpu_shares.is_some_and(|shares| shares > 0));
        assert!(plan.memory_bytes.is_some_and(|bytes| bytes > 1 << 50));
    }
}
