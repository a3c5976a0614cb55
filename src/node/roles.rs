//! From a checked configuration to a running node and back to nothing.
//!
//! Stop order is roof to ground: the front door drains, then everything else is cancelled and
//! waited for. Containers go on running. A second signal ends the process at once.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{
    agent, backup, bootstrap,
    config::{Config, NodeRole},
    front::Front,
    health, hold, kept_names,
    local::Local,
    master::{self, Master},
    names, peers,
};
use crate::{
    base::{clock::SystemClock, heap, limit, rng::Rng, task::Tasks},
    dns,
    host::bridge,
    model::node::NodeId,
};

/// How long the node's own agent may take to register before the node counts as ready without it.
const AGENT_READY: Duration = Duration::from_secs(10);

/// What a started node tells its caller.
#[derive(Debug)]
pub struct Ready {
    /// Set when the node is a master.
    pub master: Option<Addresses>,
    pub login: Option<Login>,
    /// Trouble that did not keep the node from starting.
    pub warnings: Vec<String>,
}

/// How the first user signs in, while its first password is good.
#[derive(Debug)]
pub enum Login {
    /// Name and password, told once: by the start that made the cluster.
    First(String, String),
    /// The file that holds the password.
    InFile(PathBuf),
}

/// Where a master answers.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Of the admin router.
    pub url: String,
    pub dns: SocketAddr,
    /// File and fingerprint of the authority that vouches for it, when it is the cluster's own.
    pub ca: Option<(PathBuf, String)>,
}

/// Runs a node until it is told to stop. `ready` is called when an app can be deployed.
///
/// # Errors
/// When the node cannot start, or a part it cannot live without has failed.
pub async fn run(config: Config, ready: impl FnOnce(&Ready)) -> anyhow::Result<()> {
    fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("making the data directory {}", config.data_dir.display()))?;
    let _held = hold::hold(&config.data_dir)?;
    if let Some(why) = backup::unfinished(&config.data_dir) {
        bail!("{why}");
    }
    let mut stop = Stop::new()?;
    let tasks = Tasks::new("node");
    heap::start(&tasks);
    let started = tokio::select! {
        started = start(&config, &tasks) => Some(started),
        failed = tasks.failed() => bail!("{failed}"),
        () = stop.asked() => None,
    };
    let Some(started) = started else {
        tasks.stop(limit::STOP).await;
        return Ok(());
    };
    let Started { master, told } = started?;
    ready(&told);
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let failed = tokio::select! {
        failed = tasks.failed() => Some(failed),
        () = stop.asked() => None,
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    let stopping = shut_down(&config, master, &tasks);
    tokio::select! {
        () = stopping => {}
        () = stop.asked() => bail!("stopped at once by a second signal"),
    }
    match failed {
        Some(failed) => bail!("{failed}"),
        None => Ok(()),
    }
}

/// A started node: its master part, if it has one, and what to tell.
struct Started {
    master: Option<Master>,
    told: Ready,
}

async fn start(config: &Config, tasks: &Tasks) -> anyhow::Result<Started> {
    let clock = SystemClock::shared();
    let rng = Rng::from_os();
    let mut warnings = Vec::new();
    let has_agent = config.runs_containers();
    if has_agent && let Err(error) = bridge::ask(&config.docker).await {
        let (socket, cause) = (config.docker.display(), error.root_cause().to_string());
        warnings.push(format!(
            "Docker does not answer on {socket} ({cause}); tasks wait until it does"
        ));
    }
    if !config.has(NodeRole::Master) {
        let masters = names::of_masters(config).await;
        let options = names::options(config, &[], masters);
        let server = dns::serve::Server::bind(&[], &options, rng.child("dns"))?;
        let (resolver, trouble) = names::start(config, server.handle(), tasks).await;
        warnings
            .extend(trouble.map(|why| format!("containers find no names of the cluster: {why}")));
        let told = watch::Sender::default();
        let kept = kept_names::path(&config.data_dir);
        let last = kept_names::load(&kept);
        kept_names::keep(told.subscribe(), kept, tasks);
        dns::follow::start_told(told.subscribe(), last, config.address, server.handle(), tasks);
        let parts = agent::Parts {
            config,
            cluster: String::new(),
            resolver,
            names: told,
            clock,
            rng: rng.child("agent"),
            tasks,
        };
        let (node, standing) = agent::start_remote(parts).await?;
        health::start(config, node, (None, Some(standing)), tasks);
        let told = Ready { master: None, login: None, warnings };
        return Ok(Started { master: None, told });
    }
    let bound = master::bind(config, &rng).await?;
    let parts = master::Parts { config, clock: clock.clone(), rng: rng.child("master"), tasks };
    let master = master::start(parts, bound).await?;
    let (resolver, trouble) = names::start(config, master.names.clone(), tasks).await;
    warnings.extend(trouble.map(|why| format!("containers find no names of the cluster: {why}")));
    let mut standing = None;
    if has_agent {
        let cluster = master.handles.log.state().cluster.as_ref().map(|c| c.id.clone());
        let parts = agent::Parts {
            config,
            cluster: cluster.context("the cluster has no id")?,
            resolver,
            // This node answers from the state itself.
            names: watch::Sender::default(),
            clock: clock.clone(),
            rng: rng.child("agent"),
            tasks,
        };
        let (log, links) = (master.handles.log.clone(), master.handles.links.clone());
        let (node, follow) = agent::start_local(parts, (log, links, master.seat.clone()))?;
        standing = Some(follow);
        wait_for(&master, &node).await;
    }
    let log = master.handles.log.clone();
    health::start(config, master.seat.node.clone(), (Some(log), standing), tasks);
    let (router, dns) = (reachable(config, master.router), reachable(config, master.dns));
    let url = url(master.front.as_deref(), router);
    let ca = match master.front.as_deref() {
        Some(front) if front.is_own => {
            let path = peers::pki_dir(&config.data_dir).join("ca.crt");
            let path = std::path::absolute(&path).unwrap_or(path);
            Some((path, front.fingerprint().unwrap_or_default()))
        }
        Some(_) | None => None,
    };
    let local = Local {
        data_dir: config.data_dir.clone(),
        url: url.clone(),
        dns,
        ca: ca.as_ref().map(|(path, _)| path.clone()),
        log: master.handles.log.clone(),
        tokens: master.tokens.clone(),
        passwords: master.passwords.clone(),
        clock,
    };
    local.start(tasks)?;
    let file = config.data_dir.join(bootstrap::PASSWORD_FILE);
    let login = match &master.first_password {
        Some(password) => Some(Login::First(bootstrap::ADMIN.to_owned(), password.clone())),
        None => file.exists().then_some(Login::InFile(file)),
    };
    let told = Ready { master: Some(Addresses { url, dns, ca }), login, warnings };
    Ok(Started { master: Some(master), told })
}

/// Where clients find the admin router; over TLS under a name its certificate is for.
fn url(front: Option<&Front>, router: SocketAddr) -> String {
    let Some(front) = front else { return format!("http://{router}") };
    let name = match front.name.parse() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        Ok(IpAddr::V4(_)) | Err(_) => front.name.clone(),
    };
    let port = if router.port() == 443 { String::new() } else { format!(":{}", router.port()) };
    format!("https://{name}{port}")
}

/// The address clients use for a listener that may be bound to all.
fn reachable(config: &Config, bound: SocketAddr) -> SocketAddr {
    if bound.ip().is_unspecified() { SocketAddr::new(config.address, bound.port()) } else { bound }
}

/// Waits until the node's own agent takes work, but not for ever: a dead Docker is no reason not
/// to serve the API.
async fn wait_for(master: &Master, node: &NodeId) {
    let log = &master.handles.log;
    let mut changed = log.feed().changed();
    let registered = async {
        while !log.state().nodes.get(node).is_some_and(|n| n.takes_work()) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    };
    if tokio::time::timeout(AGENT_READY, registered).await.is_err() {
        tracing::warn!("the agent has not registered yet");
    }
}

async fn shut_down(config: &Config, master: Option<Master>, tasks: &Tasks) {
    if let Some(master) = &master {
        master.drain(limit::DRAIN).await;
        master.handles.log.stop().await;
    }
    tasks.stop(limit::STOP.saturating_sub(limit::DRAIN)).await;
    if config.destroy_on_exit
        && let Some(master) = master
        && let Some(cluster) = master.handles.log.state().cluster.as_ref()
        && let Err(error) = destroy(config, &cluster.id).await
    {
        tracing::warn!(%error, "not all containers were removed");
    }
}

/// Removes every container of this cluster on this machine.
async fn destroy(config: &Config, cluster: &str) -> anyhow::Result<()> {
    use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
    let socket = config.docker.to_str().context("the path of Docker's socket is no UTF-8")?;
    let docker = bollard::Docker::connect_with_socket(socket, 10, bollard::API_DEFAULT_VERSION)?;
    let label = format!("{}={cluster}", crate::agent::engine::LABEL_CLUSTER);
    let filters = std::collections::HashMap::from([("label".to_owned(), vec![label])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    for container in docker.list_containers(Some(options)).await? {
        if let Some(id) = container.id {
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            docker.remove_container(&id, Some(options)).await?;
        }
    }
    Ok(())
}

/// The signals that ask a node to stop.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
