//! The master role: log, reconcilers, dialects, front door, names.
//!
//! Start order: listeners are bound first, so that a taken port shows before any work starts; then
//! the log is opened and ready; then the cluster exists; then the reconcilers run; last of all the
//! listeners answer.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use ::http::{Method, StatusCode};
use anyhow::Context as _;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    backup::{Keeper, KeeperParts},
    bootstrap,
    config::Config,
    direct::{self, DirectDoor, Strangers},
    door::{self, Door},
    freshness::Fresh,
    front::{Front, ToHttps},
    handles::{Handles, Me},
    names, peers, realm,
    seat::{FromDoor, Seat, ToMasters},
    seats,
};
use crate::{
    api,
    base::{
        clock::{Clock, SteadyClock},
        rng::Rng,
        task::Tasks,
    },
    compat::{dcos, marathon, mesos},
    control::{
        board::Board,
        driver::Driver,
        links::Links,
        series::{self, Recorder},
    },
    core::{State, apply::gate, place::Limits},
    dns,
    http::{
        Body, Request, Response,
        auth::{Basic, Passwords, TokenGuard, Tokens},
        crowd::Crowd,
        meter::Meters,
        metrics::Door as DoorName,
        proxy::Proxy,
        reply,
        serve::{Handler, Listener, Server},
    },
    log::{self, Disk, Feed, Log, LogConfig, ProposeError},
    model::{WorkloadSpec, master::Addresses, names::Realm},
};

/// How long the log may take until it leads or knows a leader, and has what that one has.
const LOG_READY: Duration = Duration::from_secs(60);
/// The same, of a master that has served before.
const LEADER_READY: Duration = Duration::from_secs(15);
/// What masters call their log. Which cluster's it is says the authority behind their certificates.
const LOG_NAME: &str = "tepui";
/// Connections of other masters that the log has not looked at yet.
const LOGS_WAITING_MAX: usize = 16;
/// Ports of the original's own servers.
const MESOS_PORT: u16 = 5050;
const AGENT_PORT: u16 = 5051;
const MARATHON_PORT: u16 = 8080;

/// Listeners that hold their ports and do not answer yet.
pub struct Bound {
    pub router: Listener,
    redirect: Option<Listener>,
    marathon: Option<Listener>,
    mesos: Option<Listener>,
    dns: dns::serve::Server,
    peers: TcpListener,
}

/// A running master.
pub struct Master {
    pub handles: Handles,
    pub router: SocketAddr,
    pub dns: SocketAddr,
    pub names: dns::serve::Handle,
    /// The first user's password, when this start made the cluster.
    pub first_password: Option<String>,
    pub seat: Arc<Seat>,
    pub tokens: Arc<Tokens>,
    pub passwords: Arc<Passwords>,
    /// What the front door shows, where it speaks TLS.
    pub front: Option<Arc<Front>>,
    servers: Vec<Server>,
    /// Answers that go on for ever.
    streams: Tasks,
}

/// What the parts of a master share.
pub struct Parts<'a> {
    pub config: &'a Config,
    pub clock: Arc<dyn Clock>,
    pub rng: Rng,
    pub tasks: &'a Tasks,
}

/// Takes every port the configuration names.
///
/// # Errors
/// When a port is taken or needs rights; the text names it.
pub async fn bind(config: &Config, rng: &Rng) -> anyhow::Result<Bound> {
    let at = |port| SocketAddr::new(config.listen, port);
    let crowd = Crowd::of_process();
    let router =
        Listener::bind(at(config.router_port))?.in_crowd(crowd.clone()).named(DoorName::Front);
    let taken = |port: Option<u16>, name| {
        let listener = port.map(|port| Listener::bind(at(port))).transpose()?;
        anyhow::Ok(listener.map(|listener| listener.in_crowd(crowd.clone()).named(name)))
    };
    let redirect = taken(config.redirect_port, DoorName::Redirect)?;
    let compat = |port, name| taken(config.compat_ports.then_some(port), name);
    let marathon = compat(MARATHON_PORT, DoorName::Marathon)?;
    let mesos = compat(MESOS_PORT, DoorName::Mesos)?;
    let own = [at(config.dns_port)];
    let options = names::options(config, &own, Vec::new());
    let dns = dns::serve::Server::bind(&own, &options, rng.child("dns"))?;
    let peers = peers::bind(at(config.peer_port)).await?;
    Ok(Bound { router, redirect, marathon, mesos, dns, peers })
}

/// Starts a master on bound listeners.
///
/// # Errors
/// When the log cannot be opened, or the cluster neither made nor joined.
pub async fn start(parts: Parts<'_>, bound: Bound) -> anyhow::Result<Master> {
    let Parts { config, clock, mut rng, tasks } = parts;
    let steady = SteadyClock::over(clock.clone());
    let written: Arc<dyn Clock> = steady.clone();
    let router = bound.router.local_addr();
    let peers_port = bound.peers.local_addr()?.port();
    let reach = |port: u16| SocketAddr::new(config.address, port).to_string();
    let marathon_port = if config.compat_ports { MARATHON_PORT } else { router.port() };
    let mesos_port = if config.compat_ports { MESOS_PORT } else { router.port() };
    let addresses = Addresses {
        peers: reach(peers_port),
        router: reach(router.port()),
        marathon: reach(marathon_port),
        mesos: reach(mesos_port),
    };
    let seat = Arc::new(Seat::open(config, &addresses, &clock, &mut rng).await?);
    let (logs, from_door) = mpsc::channel(LOGS_WAITING_MAX);
    let others = log::Links {
        connect: Arc::new(ToMasters(seat.clone())),
        accept: Box::new(FromDoor(from_door)),
    };
    let log = open_log(config, seat.id, others, &written, &rng, tasks).await?;
    steady.see(log.state().at);
    if gate::is_removed(&log.state(), seat.id) {
        return Err(gate::removed(seat.id).into());
    }
    let links = Links::new(log.clone(), clock.clone(), tasks.child("links"));
    links.answer_masters();
    // Before anything waits for the log: what it holds may have to come from others.
    let door = door::Parts {
        seat: seat.clone(),
        log: log.clone(),
        clock: clock.clone(),
        rng: rng.child("door"),
        logs,
    };
    let door = Arc::new(Door::new(door)?);
    let peer_tasks = tasks.child("peers");
    tasks.vital("peers", door.clone().run(bound.peers, links.clone(), peer_tasks));
    wait_for_log(&log).await?;
    steady.see(log.state().at);
    let passwords = Arc::new(Passwords::default());
    let first_password =
        bootstrap::init(&log, &config.cluster_name, &config.data_dir, &passwords, &mut rng).await?;
    let authority = seat.receive(&log.state())?;
    let board = Board::default();
    let limits = Limits { policy: config.placement, ..Limits::default() };
    let driver = Driver {
        log: log.clone(),
        links: links.clone(),
        clock: steady,
        rng: rng.child("control"),
        limits: limits.clone(),
        board: board.clone(),
    };
    driver.start(&tasks.child("control"));

    let (meters, recorded) = (Arc::<Meters>::default(), Arc::default());
    let recorder = Recorder {
        log: log.clone(),
        links: links.clone(),
        clock: written.clone(),
        meters: meters.clone(),
        recorded: Arc::clone(&recorded),
        file: series::path(&config.data_dir),
    };
    // Of this group itself, whose end is waited for: it keeps what it has at the end.
    tasks.vital("series", recorder.run(tasks.cancelled()));

    let (of, at, with) = (log.clone(), addresses.clone(), seat.clone());
    tasks.restart("register master", move || seats::register(of.clone(), with.clone(), at.clone()));
    let (of, at, cancelled) = (log.clone(), seat.clone(), tasks.cancelled());
    tasks.vital("seats", async move {
        let ended = cancelled.run_until_cancelled(seats::keep(of, at)).await;
        ended.unwrap_or(Ok(()))
    });
    let keeper = Keeper::new(KeeperParts {
        log: log.clone(),
        seat: seat.clone(),
        settings: config.backups.clone(),
        clock: clock.clone(),
        tasks: tasks.child("backups"),
    });
    tasks.connection("backups", keeper.clone().run(rng.child("backups")));
    let me = Me { address: config.address, addresses };
    let handles = Handles {
        log: log.clone(),
        links,
        board,
        recorded,
        door,
        keeper,
        tasks: tasks.clone(),
        me: Arc::new(me),
        limits,
    };
    let accounts = Arc::new(dcos::Known(Arc::new(handles.clone())));
    let tokens = Arc::new(Tokens::new(accounts));
    let base = Realm {
        master_port: MESOS_PORT,
        agent_port: AGENT_PORT,
        ttl_secs: config.dns_ttl_s,
        ..Realm::default()
    };
    let me = handles.me.clone();
    let own = realm::Own { base, address: me.address, addresses: me.addresses.clone() };
    let realm = realm::follow(log.clone(), own, handles.links.clone(), tasks);
    dns::follow::start(log.feed().clone(), realm, bound.dns.handle(), tasks);
    let (dns, names) = (bound.dns.local_addr(), bound.dns.handle());
    bound.dns.run(&tasks.child("dns"));

    let proofs = (tokens.clone(), passwords.clone());
    let clocks = (&clock, &written);
    let front = Front::open(config, &authority, &clock, tasks)?;
    let ca = match &front {
        Some((front, _)) if !front.is_own => None,
        _ => Some(authority.certificate_pem()),
    };
    let (front, tls) = front.unzip();
    let how = How { marathon_port, over_tls: tls.is_some(), ca: ca.clone(), meters };
    let doors = Doors::open(&handles, config, clocks, &rng, proofs, how, tasks)?;
    let listener = match tls {
        Some(tls) => bound.router.with_tls(tls),
        None => bound.router,
    };
    let mut servers = vec![listener.serve(doors.gateway, tasks)];
    let to_https = ToHttps { ca, port: router.port(), address: config.address };
    servers.extend(bound.redirect.map(|l| l.serve(Arc::new(to_https), tasks)));
    servers.extend(bound.marathon.map(|l| l.serve(doors.marathon, tasks)));
    servers.extend(bound.mesos.map(|l| l.serve(doors.mesos, tasks)));
    let streams = doors.streams;
    Ok(Master {
        handles,
        router,
        dns,
        names,
        first_password,
        seat,
        tokens,
        passwords,
        front,
        servers,
        streams,
    })
}

impl Master {
    /// Stops taking requests and lets the open ones go on for a while; streams end at once.
    pub async fn drain(&self, deadline: Duration) {
        let all = self.servers.iter().map(|s| s.drain(deadline));
        tokio::join!(futures_util::future::join_all(all), self.streams.stop(deadline));
    }
}

/// Feeds the event streams of the Marathon dialect, and ends them when `cancelled`.
async fn follow_events(
    hub: Arc<marathon::Hub>,
    feed: Feed<State>,
    cancelled: CancellationToken,
) -> anyhow::Result<()> {
    let ended = cancelled.run_until_cancelled(marathon::events::follow(hub.clone(), feed)).await;
    hub.cut_all();
    ended.unwrap_or(Ok(()))
}

/// How the doors are reached.
struct How {
    marathon_port: u16,
    /// Whether the front door speaks TLS.
    over_tls: bool,
    /// What clients may trust it by.
    ca: Option<String>,
    /// What counts requests to services.
    meters: Arc<Meters>,
}

/// The handlers behind the listeners.
struct Doors {
    gateway: Arc<dyn Handler>,
    marathon: Arc<dyn Handler>,
    mesos: Arc<dyn Handler>,
    streams: Tasks,
}

impl Doors {
    fn open(
        handles: &Handles,
        config: &Config,
        (clock, written): (&Arc<dyn Clock>, &Arc<dyn Clock>),
        rng: &Rng,
        (tokens, passwords): (Arc<Tokens>, Arc<Passwords>),
        How { marathon_port, over_tls, ca, meters }: How,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(handles.clone());
        let fresh =
            |inner| -> Arc<dyn Handler> { Arc::new(Fresh { inner, cluster: shared.clone() }) };
        let events = Arc::new(marathon::Hub::default());
        let hub = events.clone();
        let feed = handles.log.feed().clone();
        let settings = marathon::Settings {
            http_port: marathon_port,
            instances_max: config.max_instances_per_app,
            ..Default::default()
        };
        let definitions = Arc::new(marathon::Apps::new(settings.clone()));
        let mut dialect = marathon::Marathon::new(
            shared.clone(),
            written.clone(),
            rng.child("marathon"),
            settings,
            events,
        );
        // Without a port of its own the dialect is reached through the front door.
        dialect.tls = over_tls && !config.compat_ports;
        let dialect = Arc::new(dialect);
        let marathon: Arc<dyn Handler> = Arc::new(marathon::Dialect::new(dialect.clone(), None));
        let basic =
            Basic::new(tokens.accounts().clone(), passwords.clone(), &mut rng.child("basic"));
        let direct = Direct {
            guard: direct::guard(tokens.clone(), clock.clone()),
            basic: Arc::new(basic),
            strangers: Arc::new(Strangers { open_reads: config.open_reads.clone() }),
        };
        let strangers = direct.strangers.clone();
        let direct_marathon = marathon::Dialect::new(dialect, Some(strangers));
        let direct_marathon = direct.door(fresh(Arc::new(direct_marathon)));
        let own = api::Api::new(shared.clone(), written.clone(), tasks, definition, definitions);
        let streams = own.streams.clone();
        streams.vital("marathon-events", follow_events(hub, feed, streams.cancelled()));
        let guard =
            Arc::new(TokenGuard::new(tokens.clone(), clock.clone(), dcos::challenge::refuse));
        let api: Arc<dyn Handler> = Arc::new(api::routes::table(own).guard(guard));
        let facts = mesos::Facts {
            address: config.address,
            hostname: config.hostname.clone(),
            port: MESOS_PORT,
            marathon_port,
            started_at: clock.now(),
        };
        let history = Arc::new(mesos::History::default());
        let follower = handles.log.subscribe(None);
        let following = mesos::history::follow(history.clone(), follower, tasks.cancelled());
        tasks.vital("mesos-history", following);
        let reads = || {
            let (shared, facts, history) = (shared.clone(), facts.clone(), history.clone());
            mesos::table(shared, facts, history, written.clone(), tasks)
        };
        let mesos: Arc<dyn Handler> = Arc::new(reads());
        let host = config.hostname.clone();
        let written = written.clone();
        let agent = mesos::slave::table(shared.clone(), history.clone(), host, written, tasks);
        let direct_mesos = direct.door(fresh(Arc::new(reads().guard(direct.strangers.clone()))));
        let mounts = dcos::gateway::Mounts {
            ui: Some(Arc::new(page)),
            api: Some(fresh(api)),
            marathon: Some(fresh(marathon)),
            mesos: Some(fresh(mesos)),
            agent: Some(fresh(Arc::new(agent))),
            ..Default::default()
        };
        let gateway = dcos::gateway::Gateway::new(dcos::gateway::GatewayParts {
            cluster: shared,
            facts: dcos::cluster::Facts {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                public_address: Some(config.public_address.unwrap_or(config.address)),
                address: config.address,
                hostname: config.hostname.clone(),
                ca,
            },
            tokens,
            passwords,
            clock: clock.clone(),
            rng: rng.child("gateway"),
            proxy: Proxy::new(tasks),
            meters,
            checks_tokens: true,
            mounts,
        });
        Ok(Self {
            gateway: Arc::new(gateway),
            marathon: direct_marathon,
            mesos: direct_mesos,
            streams,
        })
    }
}

/// What the direct ports have in common.
struct Direct {
    guard: Arc<TokenGuard>,
    basic: Arc<Basic>,
    strangers: Arc<Strangers>,
}

impl Direct {
    fn door(&self, dialect: Arc<dyn Handler>) -> Arc<dyn Handler> {
        let (guard, basic) = (self.guard.clone(), self.basic.clone());
        Arc::new(DirectDoor { dialect, guard, basic })
    }
}

/// A definition the way the Marathon dialect shows it.
fn definition(spec: &WorkloadSpec) -> serde_json::Value {
    marathon::convert::shown(spec)
}

/// The embedded page and its files.
async fn page(request: Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return reply::empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    match api::ui::respond(request.uri().path(), request.headers()) {
        Some(answer) => answer.map(Body::full),
        None => reply::text(StatusCode::NOT_FOUND, "There is no page here.\n"),
    }
}

async fn open_log(
    config: &Config,
    id: u64,
    others: log::Links,
    clock: &Arc<dyn Clock>,
    rng: &Rng,
    tasks: &Tasks,
) -> anyhow::Result<Log<State>> {
    let disk = Disk::at(config.data_dir.join("log"));
    let mut log_config = LogConfig::single(LOG_NAME, disk, rng.child("log"));
    if id != log_config.id {
        // A leader adds it.
        log_config = LogConfig { id, members: BTreeMap::new(), ..log_config };
    }
    log_config.retention.history_bytes = config.history_bytes;
    Log::open(log_config, Some(others), clock.clone(), tasks.child("log"))
        .await
        .with_context(|| format!("opening the log in {}", config.data_dir.display()))
}

/// Waits until this master has what was decided before. One that belongs to a cluster already serves what
/// it has when nobody leads: most masters may be away for long.
async fn wait_for_log(log: &Log<State>) -> anyhow::Result<()> {
    let known = log.state().cluster.is_some();
    match log.ready(if known { LEADER_READY } else { LOG_READY }).await {
        Err(ProposeError::NoLeader) if known => {
            tracing::warn!("no master leads: what is known here is served, nothing can be changed");
            Ok(())
        }
        outcome => outcome.context("waiting for the log"),
    }
}
