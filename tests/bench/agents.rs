//! Many agents on one master: what their links cost at rest, and how long a master that starts anew takes
//! until it has heard all of them.
//!
//! The master is the real program in a process of its own. The agents are made up and live in this one: each
//! has joined with a token, has a certificate, a link over TLS from an address of its own, and does as it is
//! told at once, but runs nothing.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tepui::{
    agent::link::LinkEnds,
    base::{
        clock::{Clock as _, SystemClock},
        level, limit,
        rng::Rng,
        task::Tasks,
    },
    host::pki::{Identity, Role},
    model::{
        InstanceId, Pools, Ranges, Resources, Scalars,
        access::Role as PoolRole,
        credential::Invited,
        instance::Condition,
        link::{Desired, FromAgent, Hello, Report, ToAgent, Usage},
        node::{NodeId, NodeInfo, NodeKind},
    },
    node::{
        member,
        peers::{self, Purpose},
        transport,
    },
};
use tokio::{net::TcpSocket, time::timeout};
use tokio_rustls::TlsConnector;

use crate::{
    Plan,
    child::{self, Scratch, Server},
    report::Section,
    system::{Client, PROGRAM},
};

const SIZES: [u64; 3] = [100, 1_000, 10_000];
const TASKS_EACH: u64 = 10;
const APPS: u64 = 100;
/// At rest for this long while processor time is counted.
const WATCH: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(300);
/// Nodes that join at a time: fewer than a master lets wait of one address.
const JOINING: usize = 12;
/// As an agent waits before it tries again.
const RETRY: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);

pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    let columns = [
        "agents",
        "tasks",
        "one processor, at rest",
        "memory",
        "first links of all",
        "master anew: ready",
        "half heard",
        "all heard",
        "processor time",
    ];
    let mut section = Section::new("Agents on one master", &columns);
    // A descriptor a link, in this process and in the master.
    let n_files = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)?.1;
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, n_files, n_files)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for size in SIZES {
        let n = plan.load(size);
        anyhow::ensure!(n_files > n + 1_000, "{n_files} files may be open: too few for {n} links");
        let found = runtime.block_on(measure(n)).with_context(|| format!("{n} agents"))?;
        section.row(found);
    }
    section.note(format!(
        "Agents are made up, in one process that shares the machine with the master; each has its own \
         certificate and address, {TASKS_EACH} tasks, and sends a heartbeat every {} ms. First links: all \
         begin at once after they joined. Master anew: SIGTERM and a start at once; from then until it is \
         ready, and until half and all of the agents have shown what runs and were told what should; its \
         processor time until then. No node was called lost and no task ended in any row, or it says so.",
        limit::HEARTBEAT.as_millis()
    ));
    Ok(section)
}

/// One cluster of `n` agents, from nothing.
async fn measure(n: u64) -> anyhow::Result<Vec<String>> {
    let scratch = Scratch::new(&format!("agents-{n}"))?;
    let master = Settings::write(&scratch)?;
    let mut server = master.start(&scratch).await?;
    let mut client = master.client().await?;
    let tasks = Tasks::new("agents");
    let crowd = Arc::new(Crowd::default());

    let joining = stream::iter(0..n).map(|i| join(&master, &scratch, i)).buffer_unordered(JOINING);
    let identities: Vec<Identity> = joining.try_collect().await?;
    let began = Instant::now();
    for (i, identity) in (0u32..).zip(identities) {
        let agent = Agent::new(i, identity, master.peers, crowd.clone())?;
        tasks.connection("agent", agent.live(tasks.clone()));
    }
    crowd.until_heard(n, PATIENCE).await?;
    let first = began.elapsed();

    for app in 0..APPS.min(n) {
        let instances = n * TASKS_EACH / APPS.min(n);
        let app = json!({
            "id": format!("/a{app}"), "cmd": "sleep 9", "instances": instances, "cpus": 0.01, "mem": 1,
        });
        client.call("POST", "/v2/apps", Some(&app)).await?;
    }
    let wanted = n * TASKS_EACH;
    let deadline = Instant::now() + PATIENCE;
    while running(&mut client).await? < wanted {
        anyhow::ensure!(Instant::now() < deadline, "{} run", running(&mut client).await?);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // What the launches left to do is done.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = server.cpu();
    tokio::time::sleep(WATCH).await;
    let share = (server.cpu() - before).as_secs_f64() / WATCH.as_secs_f64() * 100.0;
    let memory = child::rss_bytes(server.pid());

    drop(client);
    let orders = crowd.ended.load(Ordering::Relaxed);
    tokio::task::block_in_place(|| server.stop());
    crowd.forget();
    let began = Instant::now();
    let server = master.start(&scratch).await?;
    let ready = began.elapsed();
    let half = crowd.until_heard(n / 2, PATIENCE).await.map(|()| began.elapsed())?;
    let all = crowd.until_heard(n, PATIENCE).await.map(|()| began.elapsed())?;
    let cpu = server.cpu();
    // Long enough for a node that was not heard to be called lost.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut client = master.client().await?;
    let still = running(&mut client).await?;
    let ended = crowd.ended.load(Ordering::Relaxed) - orders;
    let lost = lost(&mut client).await?;
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let mut all = seconds(all);
    if still != wanted || ended > 0 || lost > 0 {
        all = format!("{all}, {still} of {wanted} tasks, {ended} ended, {lost} nodes lost");
    }
    tasks.stop(Duration::from_secs(5)).await;
    #[allow(clippy::cast_precision_loss)] // a number for people
    let mb = memory as f64 / 1e6;
    Ok(vec![
        n.to_string(),
        wanted.to_string(),
        format!("{share:.1} %"),
        format!("{mb:.0} MB"),
        seconds(first),
        seconds(ready),
        seconds(half),
        all,
        seconds(cpu),
    ])
}

/// Tasks that run, by the API's own count.
async fn running(client: &mut Client) -> anyhow::Result<u64> {
    let apps = client.call("GET", "/v2/apps", None).await?;
    let count = |app: &Value| app["tasksRunning"].as_u64().unwrap_or(0);
    Ok(apps["apps"].as_array().context("no apps")?.iter().map(count).sum())
}

/// Nodes that are called lost.
async fn lost(client: &mut Client) -> anyhow::Result<usize> {
    let answer = client.ask("GET", "/tepui/v1/nodes", None).await?;
    let nodes = answer["nodes"].as_array().context("no nodes")?;
    Ok(nodes.iter().filter(|node| node["condition"] == "unreachable").count())
}

/// Where the master is.
struct Settings {
    path: String,
    data_dir: std::path::PathBuf,
    router: u16,
    peers: SocketAddr,
}

impl Settings {
    fn write(scratch: &Scratch) -> anyhow::Result<Self> {
        let port = || anyhow::Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
        let (router, peers) = (port()?, port()?);
        let data_dir = scratch.path().join("master");
        let settings = json!({
            "roles": ["master"], "address": "127.0.0.1", "listen": "127.0.0.1", "compat_ports": false,
            "tls": "off", "router_port": router, "dns_port": 0, "peer_port": peers,
            "max_instances_per_app": 100_000, "data_dir": data_dir, "log_level": "warn",
        });
        let path = scratch.file("master.yaml");
        fs::write(&path, settings.to_string())?;
        Ok(Self { path, data_dir, router, peers: SocketAddr::from(([127, 0, 0, 1], peers)) })
    }

    /// Starts it; it answers then.
    async fn start(&self, scratch: &Scratch) -> anyhow::Result<Server> {
        let mut server = Server::start(&[PROGRAM, "node", "--config", &self.path], None, scratch)?;
        tokio::task::block_in_place(|| server.wait_for_port(self.router))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(mut client) = self.client().await
                && client.call("GET", "/v2/leader", None).await.is_ok()
            {
                return Ok(server);
            }
            anyhow::ensure!(Instant::now() < deadline, "the master does not answer");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn client(&self) -> anyhow::Result<Client> {
        let env = fs::read_to_string(self.data_dir.join("client.env"))?;
        let mut lines = env.lines().filter_map(|line| line.strip_prefix("TEPUI_TOKEN="));
        let token = lines.next().context("no token")?.trim_matches('"');
        Client::connect(&format!("127.0.0.1:{}", self.router), token).await
    }
}

/// Joins one node.
async fn join(master: &Settings, scratch: &Scratch, i: u64) -> anyhow::Result<Identity> {
    let mut client = master.client().await?;
    let invited = client.ask("POST", "/tepui/v1/nodes/invite", Some(&json!({}))).await?;
    let token = invited["token"].as_str().context("no token")?;
    let masters = [master.peers.to_string()];
    let dir = scratch.path().join(format!("agents/{i}"));
    member::identity(&dir, &masters, Some(token), &format!("h{i}"), Invited::Agent).await
}

/// What all agents have done together.
#[derive(Default)]
struct Crowd {
    /// Counts starts of the master: what was heard of an earlier one counts no more.
    term: AtomicU64,
    /// Agents that were told the full set by the present master.
    heard: AtomicUsize,
    /// Tasks that an agent was told to end.
    ended: AtomicUsize,
}

impl Crowd {
    fn forget(&self) {
        self.term.fetch_add(1, Ordering::SeqCst);
        self.heard.store(0, Ordering::SeqCst);
    }

    async fn until_heard(&self, n: u64, patience: Duration) -> anyhow::Result<()> {
        let (n, deadline) = (usize::try_from(n)?, Instant::now() + patience);
        while self.heard.load(Ordering::SeqCst) < n {
            let heard = self.heard.load(Ordering::SeqCst);
            anyhow::ensure!(Instant::now() < deadline, "{heard} of {n} are linked");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

/// An agent that does as it is told.
struct Agent {
    address: Ipv4Addr,
    identity: Identity,
    master: SocketAddr,
    info: NodeInfo,
    runs: BTreeMap<InstanceId, Report>,
    crowd: Arc<Crowd>,
    rng: Rng,
}

impl Agent {
    fn new(
        i: u32,
        identity: Identity,
        master: SocketAddr,
        crowd: Arc<Crowd>,
    ) -> anyhow::Result<Self> {
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 16, 0, 1)) + i);
        let info = info(i, identity.facts()?.node, address);
        let (runs, rng) = (BTreeMap::new(), Rng::from_os());
        Ok(Self { address, identity, master, info, runs, crowd, rng })
    }

    /// Keeps linked, for ever.
    async fn live(mut self, tasks: Tasks) {
        let mut wait = RETRY;
        loop {
            if let Ok(ends) = self.open(&tasks).await {
                let began = Instant::now();
                self.serve(ends).await;
                if began.elapsed() >= RETRY_MAX * 2 {
                    wait = RETRY;
                }
            }
            tokio::time::sleep(self.rng.jitter(wait)).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    async fn open(&self, tasks: &Tasks) -> anyhow::Result<LinkEnds> {
        let opening = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((self.address, 0).into())?;
            let stream = socket.connect(self.master).await?;
            stream.set_nodelay(true)?;
            let mut config = (*self.identity.client_config()?).clone();
            config.alpn_protocols = vec![Purpose::Agent.alpn().to_vec()];
            let connector = TlsConnector::from(Arc::new(config));
            anyhow::Ok(connector.connect(Role::Master.server_name(), stream).await?)
        };
        let stream = timeout(peers::HANDSHAKE, opening).await??;
        Ok(transport::agent_end(stream, |_| {}, tasks))
    }

    /// Until the link ends.
    async fn serve(&mut self, ends: LinkEnds) {
        let LinkEnds { to_master, mut from_master } = ends;
        let term = self.crowd.term.load(Ordering::SeqCst);
        let reports = self.runs.values().cloned().collect();
        let hello = Hello { info: self.info.clone(), reports };
        if to_master.send(FromAgent::Hello(Box::new(hello))).await.is_err() {
            return;
        }
        let mut beat = tokio::time::interval(limit::HEARTBEAT);
        let mut is_heard = false;
        loop {
            let news = tokio::select! {
                _ = beat.tick() => FromAgent::Heartbeat(Usage::default()),
                message = from_master.recv() => match message {
                    None => return,
                    Some(ToAgent::Desired(desired)) => {
                        let is_full = desired.full;
                        let reports = self.obey(desired);
                        if is_full && !is_heard && term == self.crowd.term.load(Ordering::SeqCst) {
                            is_heard = true;
                            self.crowd.heard.fetch_add(1, Ordering::SeqCst);
                        }
                        FromAgent::Reports(reports)
                    }
                    Some(ToAgent::TellAll) => FromAgent::Reports(self.runs.values().cloned().collect()),
                    Some(_) => continue,
                },
            };
            if matches!(&news, FromAgent::Reports(reports) if reports.is_empty()) {
                continue;
            }
            if to_master.send(news).await.is_err() {
                return;
            }
        }
    }

    /// What is new because of that.
    fn obey(&mut self, desired: Desired) -> Vec<Report> {
        let mut reports = Vec::new();
        for order in desired.orders {
            let condition = match order.kill {
                Some(_) => {
                    self.crowd.ended.fetch_add(1, Ordering::Relaxed);
                    Condition::Killed
                }
                None => Condition::Running,
            };
            let known = self.runs.get(&order.instance);
            if known.is_some_and(|r| (r.incarnation, r.condition) == (order.incarnation, condition))
            {
                continue;
            }
            let now = SystemClock.now();
            let mut report = Report::new(order.instance, order.incarnation, condition, now);
            report.started_at = Some(now);
            self.runs.insert(report.instance.clone(), report.clone());
            reports.push(report);
        }
        for instance in desired.forget {
            self.runs.remove(&instance);
        }
        reports
    }
}

fn info(i: u32, id: NodeId, address: Ipv4Addr) -> NodeInfo {
    let resources = Resources {
        scalars: Scalars::of(16.0, 65_536.0, 100_000.0, 0.0),
        ports: Ranges::of([(31_000, 31_999)]),
        named: BTreeMap::new(),
    };
    NodeInfo {
        id,
        hostname: format!("h{i}"),
        address: address.into(),
        kind: NodeKind::Agent,
        attributes: BTreeMap::new(),
        fault_domain: None,
        total: Pools::of(PoolRole::star(), resources),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        level: level::LEVEL,
    }
}
