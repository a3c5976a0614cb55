//! Three masters on loopback with everything real: RocksDB on disk, TCP, mutual TLS.
//!
//! What the simulated network cannot show: certificates at work, stores reopened, a snapshot
//! through a real store, and how long a hand-over takes on a real clock.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tepui::{
    base::{
        clock::{Clock as _, SystemClock},
        rng::Rng,
        task::Tasks,
    },
    core::{Command, WorkloadCommand},
    host::pki::{Authority, Identity, Role, Subject},
    log::{
        Disk, Links, Log, LogConfig, Machine as _, ProposeError, Timing,
        peer::{
            transport::{Connect, Io, TlsAccept, TlsConnect},
            wire::IMAGE_CHUNK_BYTES,
        },
        sample::Op,
        tend::Retention,
        types::{Member, MemberId},
    },
    sim::build,
};
use tokio::{net::TcpListener, time::sleep};

use crate::recorded::{self, Counting as _, Drawn, Recorded};

/// Deployments of many apps each: a state that goes to another master in several parts.
const DEPLOYMENTS: u32 = 10;
const APPS: u32 = 200;

struct Cluster {
    dir: TempDir,
    authority: Authority,
    addresses: BTreeMap<MemberId, SocketAddr>,
    running: BTreeMap<MemberId, (Log<Recorded>, Tasks)>,
    timing: Timing,
    drawn: Drawn<Recorded>,
    /// The master that reaches no other and is reached by none.
    apart: Arc<AtomicU64>,
}

/// The way from one master to the others, which may be closed.
struct Gate {
    inner: TlsConnect,
    from: MemberId,
    addresses: BTreeMap<MemberId, SocketAddr>,
    apart: Arc<AtomicU64>,
    tasks: Tasks,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the way out of master {}", self.from)
    }
}

impl Gate {
    fn is_closed(from: MemberId, to: Option<MemberId>, apart: &AtomicU64) -> bool {
        let apart = apart.load(Ordering::Relaxed);
        from == apart || to == Some(apart)
    }
}

impl Connect for Gate {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Io>> {
        Box::pin(async move {
            let to = self.addresses.iter().find(|(_, at)| at.to_string() == address);
            let to = to.map(|(id, _)| *id);
            if Self::is_closed(self.from, to, &self.apart) {
                return Err(io::ErrorKind::HostUnreachable.into());
            }
            let (from, apart) = (self.from, self.apart.clone());
            let io = self.inner.connect(address).await?;
            // What is open breaks when the way is closed.
            let (ours, mut theirs) = tokio::io::duplex(64 << 10);
            self.tasks.connection("gate", async move {
                let mut io = io;
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut theirs, &mut io) => {}
                    () = async {
                        while !Self::is_closed(from, to, &apart) {
                            sleep(Duration::from_millis(5)).await;
                        }
                    } => {}
                }
            });
            Ok(Box::new(ours) as Io)
        })
    }
}

/// An address of loopback for one cluster alone: no other test takes the port of a member that is away.
fn own_address() -> Ipv4Addr {
    static N: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 32 + high % 32, low, N.fetch_add(1, Ordering::Relaxed))
}

impl Cluster {
    async fn start(timing: Timing) -> Self {
        let mut listeners = BTreeMap::new();
        let ip = own_address();
        for id in 1..=3 {
            listeners.insert(id, TcpListener::bind((ip, 0)).await.unwrap());
        }
        let mut cluster = Self {
            dir: tempfile::tempdir().unwrap(),
            authority: Authority::create("test", SystemClock.now()).unwrap(),
            addresses: listeners.iter().map(|(id, l)| (*id, l.local_addr().unwrap())).collect(),
            running: BTreeMap::new(),
            timing,
            drawn: Drawn::new(Rng::from_seed(1)),
            apart: Arc::default(),
        };
        for (id, listener) in listeners {
            cluster.open(id, listener).await;
        }
        for (log, _) in cluster.running.values() {
            log.ready(Duration::from_secs(20)).await.unwrap();
        }
        cluster
    }

    fn identity(&self, id: MemberId, role: Role) -> Identity {
        let subject = Subject { node: &format!("m{id}"), roles: &[role], names: &[] };
        self.authority.issue(&subject, SystemClock.now()).unwrap()
    }

    async fn open(&mut self, id: MemberId, listener: TcpListener) {
        let tasks = Tasks::new("master");
        let identity = self.identity(id, Role::Master);
        let server = identity.server_config(&[Role::Master]).unwrap();
        let client = identity.client_config().unwrap();
        let links = Links {
            connect: Arc::new(Gate {
                inner: TlsConnect::new(client, Role::Master.server_name()),
                from: id,
                addresses: self.addresses.clone(),
                apart: self.apart.clone(),
                tasks: tasks.clone(),
            }),
            accept: Box::new(TlsAccept::new(listener, server)),
        };
        let member = |address: &SocketAddr| Member { address: address.to_string() };
        let config = LogConfig {
            cluster: "test".to_owned(),
            id,
            members: self.addresses.iter().map(|(id, a)| (*id, member(a))).collect(),
            disk: Disk::at(self.dir.path().join(id.to_string())),
            timing: self.timing,
            retention: Retention { n_entries: 64, n_bytes: 1 << 20, ..Retention::default() },
            rng: Rng::from_os(),
            level: tepui::base::level::LEVEL,
        };
        let clock = SystemClock::shared();
        let log = Log::open(config, Some(links), clock, tasks.clone()).await.unwrap();
        self.running.insert(id, (log, tasks));
    }

    async fn stop(&mut self, id: MemberId) {
        let (log, tasks) = self.running.remove(&id).unwrap();
        log.stop().await;
        tasks.stop(Duration::from_secs(5)).await;
    }

    async fn restart(&mut self, id: MemberId) {
        let listener = TcpListener::bind(self.addresses[&id]).await.unwrap();
        self.open(id, listener).await;
    }

    fn log(&self, id: MemberId) -> &Log<Recorded> {
        &self.running[&id].0
    }

    /// Proposes what somebody in the cluster would, one command after the other.
    async fn move_on(&self, through: MemberId, client: u32, n: u32) -> Vec<Op> {
        let log = self.log(through);
        let ops: Vec<Op> = (0..n).map(|n| Op { client, n }).collect();
        for op in &ops {
            let _rejected = log.propose(self.drawn.command(log, *op, &SystemClock)).await.unwrap();
        }
        ops
    }

    fn leader(&self) -> MemberId {
        let leading = |id: &&MemberId| self.log(**id).is_leader();
        *self.running.keys().find(leading).expect("a master leads")
    }

    async fn end(mut self) {
        for id in self.running.keys().copied().collect::<Vec<_>>() {
            self.stop(id).await;
        }
    }
}

/// A deployment of many apps, none of which wants an instance.
fn many_apps(client: u32, n_apps: u32) -> (Op, Command) {
    let app = |n| build::app(&format!("/many{client}/app{n}"), 0, 0.1, 32.0, 1);
    let put = build::new_apps(format!("many{client}").as_str().into(), (0..n_apps).map(app));
    (Op { client, n: 0 }, WorkloadCommand::PutApps(Box::new(put)).into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_master_takes_commands_and_a_clean_stop_hands_leadership_over() {
    // Elections so slow that no busy machine can take one for a hand-over.
    let [election_min, election_max] = [4000, 4500].map(Duration::from_millis);
    let timing = Timing { election_min, election_max, ..Timing::default() };
    let mut cluster = Cluster::start(timing).await;
    for id in 1..=3u32 {
        let ops = cluster.move_on(u64::from(id), id, 40).await;
        let state = cluster.log(u64::from(id)).state();
        recorded::check(state.as_ref(), ops).expect("whoever proposed here sees it here");
    }
    // A leader that was only just elected holds to its own vote for that long.
    sleep(election_max).await;
    let leader = cluster.leader();
    cluster.stop(leader).await;
    let stopped = Instant::now();
    let other = *cluster.running.keys().next().unwrap();
    let op = cluster.move_on(other, 9, 1).await[0];
    let gap = stopped.elapsed();
    // An election would take at least twice the shortest time-out.
    assert!(gap < 2 * election_min, "took {gap:?}: not handed over");
    assert_eq!(cluster.log(other).state().tally().times(op), 1);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_was_away_for_long_gets_the_whole_state() {
    let mut cluster = Cluster::start(Timing::default()).await;
    let away = *cluster.running.keys().find(|id| **id != cluster.leader()).unwrap();
    cluster.move_on(away, 1, 1).await;
    cluster.stop(away).await;
    let at = cluster.leader();
    let leader = cluster.log(at).clone();
    // One entry each: far more than the log keeps.
    let mut ops = cluster.move_on(at, 2, 300).await;
    let many = (3..3 + DEPLOYMENTS).map(|client| many_apps(client, APPS)).collect::<Vec<_>>();
    ops.extend(many.iter().map(|(op, _)| *op));
    for outcome in leader.propose_all(many).await {
        outcome.unwrap().unwrap();
    }
    let n_bytes: usize = leader.state().rows().map(|(_, row)| row.len()).sum();
    assert!(n_bytes > 3 * IMAGE_CHUNK_BYTES, "{n_bytes} bytes go in several parts");
    let purged = async || leader.metrics().purged.is_some_and(|id| id.index > 100);
    wait("old entries are dropped", purged).await;
    cluster.restart(away).await;
    let log = cluster.log(away).clone();
    wait("the state arrives", async || log.state().fingerprint() == leader.state().fingerprint())
        .await;
    assert!(log.metrics().snapshot.is_some(), "it came as a snapshot");

    // What arrived is kept, and the log goes on from there.
    cluster.stop(away).await;
    ops.extend(cluster.move_on(at, 1_000, 1).await);
    cluster.restart(away).await;
    let log = cluster.log(away);
    log.ready(Duration::from_secs(20)).await.unwrap();
    let (ours, theirs) = (log.state(), leader.state());
    assert_eq!(ours.fingerprint(), theirs.fingerprint());
    recorded::check(ours.as_ref(), ops).unwrap();
    // It leads as well as any: everything the reconcilers look up is there again.
    cluster.move_on(away, 2_000, 100).await;
    let (ours, theirs) = (cluster.log(away).state(), leader.clone());
    wait("both go on alike", async || theirs.state().fingerprint() == ours.fingerprint()).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_no_master_cannot_reach_the_log() {
    use tepui::log::peer::transport::Connect as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let cluster = Cluster::start(Timing::default()).await;
    let agent = cluster.identity(7, Role::Agent).client_config().unwrap();
    let connect = TlsConnect::new(agent, Role::Master.server_name());
    let address = cluster.addresses[&1].to_string();
    // With TLS 1.3 the refusal reaches the client with its first read.
    let served = async {
        let mut io = connect.connect(&address).await?;
        io.write_all(&[0; 8]).await?;
        io.read_u8().await
    };
    let refused = served.await.unwrap_err().to_string();
    assert!(refused.contains("ertificate"), "{refused}");
    cluster.end().await;
}

async fn wait(what: &str, mut until: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !until().await {
        assert!(Instant::now() < deadline, "{what}: not in time");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A follower that was cut off for long enough to stand for election many times comes back to the same
/// leader in the same term; a leader that is cut off knows that it leads nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_cut_off_costs_no_election_and_leads_nobody() {
    let cluster = Cluster::start(Timing::default()).await;
    // The last of the founders' own elections is over once all know one leader.
    let settled = async |cluster: &Cluster| loop {
        let leaders: Vec<_> =
            cluster.running.values().map(|(log, _)| log.contact().leader).collect();
        if leaders[0].is_some() && leaders.iter().all(|leader| *leader == leaders[0]) {
            return leaders[0].unwrap();
        }
        sleep(Duration::from_millis(20)).await;
    };
    let leader = settled(&cluster).await;
    let term = cluster.log(leader).contact().term;
    let follower = cluster.running.keys().copied().find(|id| *id != leader).unwrap();
    cluster.apart.store(follower, Ordering::Relaxed);
    sleep(Duration::from_secs(4)).await;
    let contact = cluster.log(follower).contact();
    assert!(contact.is_stale && contact.leader.is_none(), "{contact:?}");
    cluster.move_on(leader, 1, 20).await;
    cluster.apart.store(0, Ordering::Relaxed);
    assert_eq!(settled(&cluster).await, leader);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cluster.log(leader).contact().term, term, "an election nobody needed");

    cluster.apart.store(leader, Ordering::Relaxed);
    let others = cluster.running.keys().copied().find(|id| *id != leader).unwrap();
    while cluster.log(others).contact().leader.is_none_or(|id| id == leader) {
        sleep(Duration::from_millis(20)).await;
    }
    while cluster.log(leader).leader().is_some() {
        sleep(Duration::from_millis(20)).await;
    }
    let asked_at = Instant::now();
    let command = cluster.drawn.command(cluster.log(leader), Op { client: 2, n: 0 }, &SystemClock);
    let refused = cluster.log(leader).propose(command).await;
    assert_eq!(refused.map(drop), Err(ProposeError::NoLeader));
    assert!(asked_at.elapsed() < Duration::from_secs(5), "{:?}", asked_at.elapsed());
    cluster.apart.store(0, Ordering::Relaxed);
    let second = settled(&cluster).await;
    assert_ne!(second, leader);
    cluster.end().await;
}
