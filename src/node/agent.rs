//! The agent role: what this machine offers, its agent, and the way to the leader.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::watch;

use super::{
    config::{Config, NodeRole},
    member::{self, Member, MemberParts},
    peers,
    seat::Seat,
    transport,
};
use crate::{
    agent::{
        self, AgentConfig, Standing,
        engine::EngineRuntime,
        link::{ConnectError, Connector, LinkEnds},
        machine,
        resolver::Resolver,
    },
    base::{clock::Clock, rng::Rng, task::Tasks},
    control::links::{Links, Peer},
    core::{State, naming::known::Known},
    log::Log,
    model::{
        credential::Invited,
        node::{Attribute, NodeId, NodeInfo, NodeKind, PUBLIC_ADDRESS},
        resource::Pools,
    },
};

/// How long dead containers and their sandboxes are kept while there is room.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);

/// How an agent stands, now and later.
pub type Follow = watch::Receiver<Standing>;

/// What an agent needs to start.
pub struct Parts<'a> {
    pub config: &'a Config,
    pub cluster: String,
    pub resolver: Resolver,
    /// Where the cluster's names go that the leader tells.
    pub names: watch::Sender<Option<Known>>,
    pub clock: Arc<dyn Clock>,
    pub rng: Rng,
    pub tasks: &'a Tasks,
}

/// Starts the agent of node `id` and keeps it connected through `connector`; how it stands can be followed.
///
/// # Errors
/// When the data directory cannot be written or the machine not measured.
pub fn start(
    parts: Parts<'_>,
    id: &NodeId,
    connector: Arc<dyn Connector>,
) -> anyhow::Result<Follow> {
    let Parts { config, cluster, resolver, names, clock, rng, tasks } = parts;
    let data_dir = config.data_dir.join("agent");
    fs::create_dir_all(&data_dir).with_context(|| format!("making {}", data_dir.display()))?;
    let info = NodeInfo {
        id: id.clone(),
        hostname: config.hostname.clone(),
        address: config.address,
        kind: kind(config),
        attributes: attributes(config),
        fault_domain: config.fault_domain.clone(),
        total: total(config, &data_dir)?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        level: crate::base::level::LEVEL,
    };
    let agent_config = AgentConfig {
        data_dir,
        // The built-in scheduler's id, the same that the Marathon and Mesos dialects show.
        framework: format!("{cluster}-0001"),
        cluster,
        info,
        endpoint: None,
        resolver,
        dns_search: config.dns_search.clone(),
        names,
        default_user: Some(config.task_user.clone()),
        keep: KEEP,
    };
    let socket = config.docker.to_str().context("the path of Docker's socket is no UTF-8")?;
    let runtime = Arc::new(EngineRuntime::new(socket, id.as_str()));
    let handle = agent::start(agent_config, runtime, clock, &rng, &tasks.child("agent"))
        .context("starting the agent")?;
    let standing = handle.standing();
    agent::link::keep_connected(handle, connector, rng.child("link"), tasks);
    Ok(standing)
}

/// Starts the agent of a master's process. It is linked to whichever master leads, as any other.
///
/// # Errors
/// As `start`.
pub fn start_local(
    parts: Parts<'_>,
    (log, links, seat): (Log<State>, Links, Arc<Seat>),
) -> anyhow::Result<(NodeId, Follow)> {
    let node = seat.node.clone();
    let tasks = parts.tasks.child("agent-link");
    let standing = start(parts, &node, Arc::new(OfMaster { log, links, seat, tasks }))?;
    Ok((node, standing))
}

/// Starts the agent of a node without a master: it joins the cluster if it has not yet, and keeps
/// a link to whichever master leads. Its id is the one in its certificate.
///
/// # Errors
/// When no master lets it in, or as `start`.
pub async fn start_remote(parts: Parts<'_>) -> anyhow::Result<(NodeId, Follow)> {
    let dir = peers::pki_dir(&parts.config.data_dir);
    let (masters, token) = (&parts.config.masters, parts.config.join_token.as_deref());
    let host = parts.config.hostname.clone();
    let role = match kind(parts.config) {
        NodeKind::Agent => Invited::Agent,
        NodeKind::PublicAgent | NodeKind::Both => Invited::PublicAgent,
    };
    let identity = member::identity(&dir, masters, token, &host, role).await?;
    let facts = identity.facts()?;
    let member = Member::new(MemberParts {
        masters: masters.clone(),
        identity,
        dir,
        host,
        clock: parts.clock.clone(),
        tasks: parts.tasks.child("agent-link"),
    });
    let renewal = member.clone().keep_renewed(parts.rng.child("renewal"));
    parts.tasks.connection("renewal", renewal);
    let standing = start(Parts { cluster: facts.cluster, ..parts }, &facts.node, member)?;
    Ok((facts.node, standing))
}

/// Links the agent of a master's process: within it while this master leads, else as the others.
struct OfMaster {
    log: Log<State>,
    links: Links,
    seat: Arc<Seat>,
    tasks: Tasks,
}

impl Connector for OfMaster {
    fn connect(&self) -> BoxFuture<'_, Result<LinkEnds, ConnectError>> {
        async move {
            match self.log.leader() {
                Some((id, member)) if id != self.seat.id => {
                    let address = member.address;
                    let opened = member::open_link(&address, &self.seat.identity()).await;
                    let failed = |error| ConnectError(format!("{address}: {error:#}"));
                    let stream = opened.map_err(failed)?;
                    Ok(transport::agent_end(stream, |_| {}, &self.tasks))
                }
                _ => {
                    let (wire, ends) = transport::in_process();
                    let links = self.links.clone();
                    let peer = Peer { node: self.seat.node.clone(), certificate: None };
                    let serve = async move { links.serve(wire, peer).await };
                    self.tasks.connection("agent-link", serve);
                    Ok(ends)
                }
            }
        }
        .boxed()
    }
}

fn kind(config: &Config) -> NodeKind {
    match (config.has(NodeRole::Agent), config.has(NodeRole::PublicAgent)) {
        (true, true) => NodeKind::Both,
        (false, true) => NodeKind::PublicAgent,
        (_, false) => NodeKind::Agent,
    }
}

/// What the operator said of this node; the address the world knows it by among it, unless that name is
/// taken.
fn attributes(config: &Config) -> BTreeMap<String, Attribute> {
    let public = config.public_address.map(|ip| (PUBLIC_ADDRESS.to_owned(), ip.to_string()));
    let given = config.attributes.iter().map(|(k, v)| (k.clone(), v.clone()));
    public.into_iter().chain(given).map(|(k, v)| (k, Attribute::Text(v))).collect()
}

/// What this node offers.
fn total(config: &Config, data_dir: &Path) -> anyhow::Result<Pools> {
    let overrides = machine::Overrides {
        cpus: config.cpus,
        mem_mb: config.mem_mb.map(|n| n as f64),
        disk_mb: config.disk_mb.map(|n| n as f64),
        gpus: None,
        ports: config.ports.clone(),
    };
    machine::resources(kind(config), data_dir, &overrides).context("measuring this machine")
}
