//! A process that writes through a real log on a real disk is killed at random points, and what it
//! acknowledged has to be there when the log is opened again.
//!
//! The test binary starts itself as the child: with `TEPUI_CRASH_DIR` set, `writes_until_killed`
//! opens the log there and proposes as fast as it can, with one printed line per acknowledged
//! operation; without it that test does nothing. The parent reads the lines, kills the child with
//! SIGKILL after a random time or number of lines, opens the log, and compares.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use tepui::{
    base::{clock::SystemClock, rng::Rng, task::Tasks},
    log::{
        Disk, Log, LogConfig,
        sample::{Op, Tally},
        tend::Retention,
    },
};
use tokio::time::Instant;

const ROUNDS: u32 = 100;
const DIR: &str = "TEPUI_CRASH_DIR";
const ROUND: &str = "TEPUI_CRASH_ROUND";
const PROPOSERS: u32 = 16;

async fn open(dir: &Path, tasks: &Tasks) -> Log<Tally> {
    let disk = Disk::at(dir.to_path_buf());
    // Short, so that purges happen in every round.
    let retention = Retention { n_entries: 64, n_bytes: 1 << 20 };
    let config = LogConfig { retention, ..LogConfig::single("crash", disk, Rng::from_os()) };
    let log = Log::open(config, None, SystemClock::shared(), tasks.clone()).await.unwrap();
    log.ready(Duration::from_secs(20)).await.unwrap();
    log
}

/// The child's life. As a test of its own it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_until_killed() {
    #[allow(clippy::disallowed_methods)] // set by whoever runs the tests
    let Ok(dir) = std::env::var(DIR) else { return };
    #[allow(clippy::disallowed_methods)] // set by whoever runs the tests
    let round: u32 = std::env::var(ROUND).unwrap().parse().unwrap();
    let tasks = Tasks::new("child");
    let log = open(Path::new(&dir), &tasks).await;
    let out = Arc::new(parking_lot::Mutex::new(std::io::stdout()));
    say(&out, "open");
    for p in 0..PROPOSERS {
        let (log, out) = (log.clone(), out.clone());
        tasks.vital("proposer", async move {
            for n in 0.. {
                let op = Op { client: round * PROPOSERS + p, n };
                log.propose(op).await?;
                say(&out, &format!("ack {} {}", op.client, op.n));
            }
            Ok(())
        });
    }
    panic!("{}", tasks.failed().await);
}

fn say(out: &parking_lot::Mutex<std::io::Stdout>, line: &str) {
    let mut out = out.lock();
    // The line break first: the test harness leaves its own line open.
    write!(out, "\n{line}\n").and_then(|()| out.flush()).unwrap();
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    if !cfg!(feature = "rocksdb") {
        return; // there is no disk to read back
    }
    let dir = tempfile::tempdir().unwrap();
    let seed = Rng::from_os().below(u64::MAX);
    println!("seed {seed}");
    let mut rng = Rng::from_seed(seed);
    let mut acked = BTreeSet::new();
    let started = Instant::now();
    for round in 0..ROUNDS {
        let child = spawn(dir.path(), round);
        let n_lines = if rng.below(10) == 0 { 0 } else { rng.below(400) };
        collect(child, n_lines, &mut acked);
        // Most rounds let the next child find what this one left; some are looked at from here.
        if round % 10 == 9 || round == ROUNDS - 1 {
            check(dir.path(), &acked, round);
        }
    }
    println!("{ROUNDS} kills, {} acknowledged, {:?}", acked.len(), started.elapsed());
    assert!(acked.len() > ROUNDS as usize, "the children did write");
}

fn spawn(dir: &Path, round: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::writes_until_killed", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Reads acknowledgements and kills the child after `n_lines` of them; then reads what was still
/// on its way, since that was acknowledged too.
fn collect(mut child: Child, n_lines: u64, acked: &mut BTreeSet<Op>) {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut left = n_lines;
    let mut killed = false;
    for line in lines.map_while(Result::ok) {
        let mut words = line.split(' ');
        let counts = match words.next() {
            Some("ack") => {
                let mut number = || words.next().and_then(|w| w.parse().ok());
                if let (Some(client), Some(n)) = (number(), number()) {
                    acked.insert(Op { client, n });
                }
                true
            }
            Some("open") => true,
            _ => false,
        };
        if counts && !killed {
            if left == 0 {
                child.kill().unwrap();
                killed = true;
            }
            left = left.saturating_sub(1);
        }
    }
    let status = child.wait().unwrap();
    assert!(killed, "the child ended by itself: {status}");
}

fn check(dir: &Path, acked: &BTreeSet<Op>, round: u32) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let tasks = Tasks::new("check");
        let log = open(dir, &tasks).await;
        let state = log.state();
        let lost: Vec<_> = acked.iter().filter(|op| state.times(**op) == 0).take(5).collect();
        assert!(lost.is_empty(), "after round {round}: acknowledged and lost: {lost:?}");
        if let Some((op, n)) = state.ops().find(|(_, n)| *n != 1) {
            panic!("after round {round}: {op:?} was applied {n} times");
        }
        log.stop().await;
        tasks.stop(Duration::from_secs(5)).await;
    });
}
