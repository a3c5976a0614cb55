//! Three masters on a simulated network: partitions, crashes with power loss, restarts, lost
//! messages. The real log runs in each of them; only sockets, time and disks are simulated. Many
//! seeds count, some move the real state (`recorded.rs`).
//!
//! Everything about a run follows from its seed: latencies, loss, what fails when, how many
//! proposers there are, how soon logs are purged. Each run has two halves. In the first one faults
//! happen and an oracle watches:
//!
//! - a command that was acknowledged is never lost, and no command is applied twice;
//! - two masters that stand at the same revision have equal states;
//! - a state read after a barrier holds everything acknowledged before.
//!
//! In the second half the faults end and everything has to heal: every master accepts a command,
//! and all end with the same state, in which nothing is wrong.
//!
//! `TEPUI_SEEDS` sets how many seeds are run, `TEPUI_SEED` runs a single one. What is not replayed
//! from the seed: the random branch order of `select!` inside the libraries.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use tepui::{
    base::{
        clock::{Clock, Moment, Timestamp},
        rng::Rng,
        task::Tasks,
    },
    log::{
        Disk, Links, Log, LogConfig, Step, Timing,
        memory::MemoryDisk,
        peer::transport::{Accept, Connect, Io},
        sample::{Op, Tally},
        tend::Retention,
        types::Member,
    },
};
use tokio::time::sleep;

use crate::recorded::{self, Counting, Drawn, Recorded};

const MEMBERS: [&str; 3] = ["m1", "m2", "m3"];
const PORT: u16 = 7_000;
const TICK: Duration = Duration::from_millis(2);
/// Simulated time with faults, and the most that healing may take after them.
const FAULTS: Duration = Duration::from_secs(6);
const HEAL_MAX: Duration = Duration::from_secs(25);
const SEEDS: u64 = 160;
/// With the real state a run takes several times as long.
const SEEDS_OF_STATES: u64 = 12;

#[test]
fn nothing_acknowledged_is_lost_and_masters_never_differ() {
    run_all::<Tally>(SEEDS, "counts");
}

#[test]
fn real_states_stay_whole_and_equal_and_hold_all_that_was_acknowledged() {
    run_all::<Recorded>(SEEDS_OF_STATES, "states");
}

fn run_all<M: Counting>(n_seeds: u64, what: &str) {
    #[allow(clippy::disallowed_methods)] // set by whoever runs the tests
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let seeds: Vec<u64> = match number("TEPUI_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("TEPUI_SEEDS").unwrap_or(n_seeds)).collect(),
    };
    let (next, n_acked) = (AtomicU64::new(0), AtomicU64::new(0));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = usize::try_from(next.fetch_add(1, Ordering::SeqCst)).unwrap();
                    let Some(seed) = seeds.get(at).copied() else { return };
                    let run = std::panic::catch_unwind(|| run::<M>(seed));
                    match run.unwrap_or_else(|_| Err("panicked".to_owned())) {
                        Ok(n) => drop(n_acked.fetch_add(n, Ordering::SeqCst)),
                        Err(why) => failed.lock().push((seed, why)),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    for (seed, why) in &failed {
        eprintln!("seed {seed}: {why}\n  again: TEPUI_SEED={seed} cargo test --test it quorum");
    }
    assert!(failed.is_empty(), "{} of {} seeds failed", failed.len(), seeds.len());
    println!("{what}: {} seeds, {} acknowledged commands", seeds.len(), n_acked.into_inner());
}

/// One simulated life; the number of acknowledged commands, or what went wrong.
fn run<M: Counting>(seed: u64) -> Result<u64, String> {
    let mut rng = Rng::from_seed(seed);
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(TICK)
        .simulation_duration(Duration::from_secs(3_600))
        .tcp_capacity(4_096)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(3 + rng.below(40)))
        .fail_rate([0.0, 0.0, 0.0005, 0.003][rng.below(4) as usize])
        .repair_rate(0.05 + rng.unit() * 0.3)
        .build();
    let world = Arc::new(World::<M>::new(&mut rng));
    for (at, name) in MEMBERS.into_iter().enumerate() {
        let world = world.clone();
        let starts = AtomicU32::new(0);
        let seeds = rng.child(name);
        sim.host(name, move || {
            let start = starts.fetch_add(1, Ordering::SeqCst);
            master(world.clone(), at, start, seeds.child(&start.to_string()))
        });
    }
    let mut faults = Faults { rng: rng.child("faults"), down: BTreeSet::new() };
    let mut due = Duration::ZERO;
    while sim.elapsed() < FAULTS {
        if sim.elapsed() >= due {
            faults.strike(&mut sim, &world);
            due = sim.elapsed() + Duration::from_millis(100 + faults.rng.below(900));
        }
        sim.step().map_err(|e| e.to_string())?;
        world.oracle.verdict()?;
    }
    faults.end(&mut sim);
    world.healing.store(true, Ordering::SeqCst);
    let until = sim.elapsed() + HEAL_MAX;
    while !world.healed() {
        if sim.elapsed() > until {
            return Err(format!("not healed after {HEAL_MAX:?}: {}", world.describe()));
        }
        sim.step().map_err(|e| e.to_string())?;
        world.oracle.verdict()?;
    }
    world.final_verdict()
}

/// What the masters of one run share.
struct World<M: Counting> {
    oracle: Oracle,
    disks: [MemoryDisk; 3],
    logs: [Mutex<Option<Log<M>>>; 3],
    drawn: Drawn<M>,
    /// Masters that had a command acknowledged after the faults.
    answered: Mutex<BTreeSet<usize>>,
    healing: AtomicBool,
    n_entries_kept: u64,
    n_proposers: u32,
    skew_ms: [i64; 3],
}

impl<M: Counting> World<M> {
    fn new(rng: &mut Rng) -> Self {
        Self {
            oracle: Oracle::default(),
            disks: Default::default(),
            logs: Default::default(),
            drawn: Drawn::new(rng.child("commands")),
            answered: Mutex::default(),
            healing: AtomicBool::new(false),
            n_entries_kept: [8, 40, 4_000][rng.below(3) as usize],
            n_proposers: 1 + u32::try_from(rng.below(4)).unwrap(),
            skew_ms: [(); 3].map(|()| i64::try_from(rng.below(2_000)).unwrap() - 1_000),
        }
    }

    fn states(&self) -> Vec<Arc<M>> {
        self.logs.iter().filter_map(|log| log.lock().as_ref().map(Log::state)).collect()
    }

    /// A command that this master's clients, reconcilers or agents would propose now.
    fn command(&self, at: usize, log: &Log<M>, op: Op) -> M::Command {
        self.drawn.command(log, op, &Skewed(self.skew_ms[at]))
    }

    fn healed(&self) -> bool {
        let states = self.states();
        let Some(first) = states.first() else { return false };
        self.answered.lock().len() == MEMBERS.len()
            && states.len() == MEMBERS.len()
            && states.iter().all(|s| s.revision() == first.revision())
            && states.iter().all(|s| s.fingerprint() == first.fingerprint())
    }

    fn final_verdict(&self) -> Result<u64, String> {
        let oracle = self.oracle.inner.lock();
        for (at, state) in self.states().iter().enumerate() {
            let name = MEMBERS[at];
            recorded::check(state.as_ref(), oracle.acked.iter().copied())
                .map_err(|why| format!("{name}: {why}"))?;
            if let Some((op, _)) = state.tally().ops().find(|(op, _)| !oracle.tried.contains(op)) {
                return Err(format!("{name} applied {op:?}, which nobody proposed"));
            }
        }
        Ok(oracle.acked.len() as u64)
    }

    fn describe(&self) -> String {
        let member = |(at, log): (usize, &Mutex<Option<Log<M>>>)| match &*log.lock() {
            None => format!("\n  {}: not open", MEMBERS[at]),
            Some(log) => format!(
                "\n  {}: revision {}, failure {:?}, {}",
                MEMBERS[at],
                log.state().revision(),
                log.failure(),
                log.metrics()
            ),
        };
        let members: String = self.logs.iter().enumerate().map(member).collect();
        format!("answered {:?}{members}", self.answered.lock())
    }
}

/// What was promised to proposers and seen of states.
#[derive(Default)]
struct Oracle {
    inner: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    tried: BTreeSet<Op>,
    acked: BTreeSet<Op>,
    /// The latest acknowledged ones, for reads after a barrier.
    fresh: Vec<Op>,
    /// Fingerprint by revision, with the master that was there first.
    states: BTreeMap<u64, (u64, usize)>,
    wrong: Option<String>,
}

impl Oracle {
    fn tries(&self, op: Op) {
        self.inner.lock().tried.insert(op);
    }

    fn acked(&self, op: Op) {
        let mut seen = self.inner.lock();
        seen.acked.insert(op);
        if seen.fresh.len() >= 16 {
            seen.fresh.remove(0);
        }
        seen.fresh.push(op);
    }

    fn fresh(&self) -> Vec<Op> {
        self.inner.lock().fresh.clone()
    }

    /// Compares a state with what other masters had at its revision.
    fn saw<M: Counting>(&self, at: usize, state: &M) {
        let (revision, print) = (state.revision(), state.mark());
        let mut seen = self.inner.lock();
        let (first, by) = *seen.states.entry(revision).or_insert((print, at));
        if first != print {
            let (a, b) = (MEMBERS[by], MEMBERS[at]);
            seen.wrong.get_or_insert(format!("{a} and {b} differ at revision {revision}"));
        }
    }

    fn wrong(&self, why: String) {
        self.inner.lock().wrong.get_or_insert(why);
    }

    fn verdict(&self) -> Result<(), String> {
        self.inner.lock().wrong.clone().map_or(Ok(()), Err)
    }
}

/// What breaks when.
struct Faults {
    rng: Rng,
    down: BTreeSet<&'static str>,
}

impl Faults {
    fn strike<M: Counting>(&mut self, sim: &mut turmoil::Sim<'_>, world: &World<M>) {
        let at = self.rng.below(3) as usize;
        let (a, b) = (MEMBERS[at], MEMBERS[(at + 1 + self.rng.below(2) as usize) % 3]);
        match self.rng.below(10) {
            0 | 1 => sim.partition(a, b),
            2 => sim.partition_oneway(a, b),
            3 => MEMBERS.iter().filter(|m| **m != a).for_each(|m| sim.partition(a, *m)),
            4 | 5 => Self::repair(sim),
            6 => {
                // Down and up again at once: a restart.
                self.crash(sim, world, at);
                self.start(sim);
            }
            7 => self.crash(sim, world, at),
            _ => self.start(sim),
        }
    }

    fn crash<M: Counting>(&mut self, sim: &mut turmoil::Sim<'_>, world: &World<M>, at: usize) {
        if self.down.insert(MEMBERS[at]) {
            sim.crash(MEMBERS[at]);
            world.logs[at].lock().take();
            world.disks[at].lose_power(self.rng.below(64));
        }
    }

    fn start(&mut self, sim: &mut turmoil::Sim<'_>) {
        for name in std::mem::take(&mut self.down) {
            sim.bounce(name);
        }
    }

    fn repair(sim: &mut turmoil::Sim<'_>) {
        for (a, b) in [("m1", "m2"), ("m1", "m3"), ("m2", "m3")] {
            sim.repair(a, b);
            sim.repair_oneway(a, b);
            sim.repair_oneway(b, a);
        }
    }

    fn end(&mut self, sim: &mut turmoil::Sim<'_>) {
        sim.set_fail_rate(0.0);
        Self::repair(sim);
        self.start(sim);
    }
}

/// The life of one master between two crashes.
async fn master<M: Counting>(
    world: Arc<World<M>>,
    at: usize,
    start: u32,
    mut rng: Rng,
) -> turmoil::Result {
    let tasks = Tasks::new("master");
    let member = |name: &&str| Member { address: format!("{name}:{PORT}") };
    let config = LogConfig {
        cluster: "simulated".to_owned(),
        id: at as u64 + 1,
        members: (1..).zip(MEMBERS.iter().map(member)).collect(),
        disk: Disk::Memory(world.disks[at].clone()),
        timing: Timing {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(200),
            election_max: Duration::from_millis(380),
            compare: Duration::from_millis(700),
        },
        retention: Retention {
            n_entries: world.n_entries_kept,
            n_bytes: 1 << 20,
            ..Retention::default()
        },
        rng: rng.child("log"),
        level: tepui::base::level::LEVEL,
    };
    let listener = turmoil::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    let links = Links { connect: Arc::new(Simulated), accept: Box::new(Listener(listener)) };
    let clock = Arc::new(Skewed(world.skew_ms[at]));
    let log = Log::open(config, Some(links), clock, tasks.clone()).await?;
    *world.logs[at].lock() = Some(log.clone());
    tasks.connection("watcher", watch(world.clone(), at, log.clone()));
    for p in 0..world.n_proposers {
        let client = u32::try_from(at).unwrap() * 10_000 + start * 100 + p;
        let rng = rng.child(&format!("proposer {p}"));
        tasks.connection("proposer", propose(world.clone(), at, client, log.clone(), rng));
    }
    // Healing: one command accepted through this master.
    while !world.healing.load(Ordering::SeqCst) {
        sleep(Duration::from_millis(50 + rng.below(50))).await;
    }
    for n in 0.. {
        let op = Op { client: 1_000_000 + u32::try_from(at).unwrap(), n: start * 1_000 + n };
        world.oracle.tries(op);
        if log.propose(world.command(at, &log, op)).await.is_ok() {
            world.oracle.acked(op);
            world.answered.lock().insert(at);
            break;
        }
    }
    std::future::pending().await
}

/// Shows every state this master goes through to the oracle.
async fn watch<M: Counting>(world: Arc<World<M>>, at: usize, log: Log<M>) {
    world.oracle.saw(at, log.state().as_ref());
    let mut follower = log.subscribe(None);
    loop {
        match follower.next().await {
            Step::Batch(batch) => world.oracle.saw(at, batch.state.as_ref()),
            Step::Resync(state) => world.oracle.saw(at, state.as_ref()),
        }
    }
}

/// Proposes one by one or many at a time, and reads behind barriers, until the faults end.
async fn propose<M: Counting>(
    world: Arc<World<M>>,
    at: usize,
    client: u32,
    log: Log<M>,
    mut rng: Rng,
) {
    let mut n = 0;
    let mut next = || {
        n += 1;
        let op = Op { client, n };
        world.oracle.tries(op);
        op
    };
    while !world.healing.load(Ordering::SeqCst) {
        match rng.below(8) {
            0 => {
                let ops: Vec<Op> = (0..2 + rng.below(30)).map(|_| next()).collect();
                let drawn = ops.iter().map(|op| world.command(at, &log, *op)).collect();
                let outcomes = log.propose_all(drawn).await;
                let acked = ops.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_ok());
                acked.for_each(|(op, _)| world.oracle.acked(*op));
            }
            1 => {
                let before = world.oracle.fresh();
                if log.read_barrier().await.is_ok() {
                    let state = log.state();
                    if let Some(op) = before.iter().find(|op| state.tally().times(**op) == 0) {
                        world.oracle.wrong(format!("{op:?} not seen behind a barrier"));
                    }
                }
            }
            _ => {
                let (op, request) = (next(), log.new_request());
                let deadline = Duration::from_millis(200 + rng.below(3_000));
                let command = world.command(at, &log, op);
                if log.propose_as(request, command, deadline).await.is_ok() {
                    world.oracle.acked(op);
                }
            }
        }
        sleep(Duration::from_millis(rng.below(60))).await;
    }
}

/// Connections of the simulated network.
#[derive(Debug)]
struct Simulated;

impl Connect for Simulated {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Io>> {
        async move {
            let stream = turmoil::net::TcpStream::connect(address).await?;
            Ok(Box::new(stream) as Io)
        }
        .boxed()
    }
}

struct Listener(turmoil::net::TcpListener);

impl Accept for Listener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Io>> {
        async move {
            let (stream, _) = self.0.accept().await?;
            Ok(Box::new(stream) as Io)
        }
        .boxed()
    }
}

/// A clock of the simulation that goes wrong by a fixed amount.
#[derive(Debug)]
struct Skewed(i64);

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        let since = turmoil::sim_elapsed().unwrap_or_default();
        let ms = i64::try_from(since.as_millis()).unwrap_or(0);
        Timestamp::from_ms(1_700_000_000_000 + ms + self.0)
    }

    fn moment(&self) -> Moment {
        Moment::START + turmoil::sim_elapsed().unwrap_or_default()
    }
}
