//! A process that writes through a real log on a real disk is killed at random points, and what it
//! acknowledged has to be there when the log is opened again. What is written is the real state, with
//! a counter and a record beside it (`recorded.rs`).
//!
//! The test binary starts itself as the child: with `TEPUI_CRASH_DIR` set, `writes_until_killed`
//! opens the log there and proposes as fast as it can, with one printed line per acknowledged
//! operation; without it that test does nothing. The parent reads the lines, kills the child with
//! SIGKILL after a random time or number of lines, opens the log, and compares. `TEPUI_ROUNDS` sets
//! the number of kills.

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
    log::{Disk, Log, LogConfig, sample::Op, tend::Retention},
};
use tokio::time::Instant;

use crate::recorded::{self, Drawn, Recorded};

const ROUNDS: u32 = 40;
/// Most rounds let the next child find what this one left; some are looked at from here.
const CHECK_EVERY: u32 = 20;
const DIR: &str = "TEPUI_CRASH_DIR";
const ROUND: &str = "TEPUI_CRASH_ROUND";
const PROPOSERS: u32 = 16;

async fn open(dir: &Path, tasks: &Tasks) -> Log<Recorded> {
    let disk = Disk::at(dir.to_path_buf());
    // Short, so that purges happen in every round.
    let retention = Retention { n_entries: 64, n_bytes: 1 << 20, ..Retention::default() };
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
    let drawn = Arc::new(Drawn::<Recorded>::new(Rng::from_os()));
    let out = Arc::new(parking_lot::Mutex::new(std::io::stdout()));
    say(&out, "open");
    for p in 0..PROPOSERS {
        let (log, out, drawn) = (log.clone(), out.clone(), drawn.clone());
        tasks.vital("proposer", async move {
            for n in 0.. {
                let op = Op { client: round * PROPOSERS + p, n };
                let _rejected = log.propose(drawn.command(&log, op, &SystemClock)).await?;
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
    #[allow(clippy::disallowed_methods)] // set by whoever runs the tests
    let rounds = std::env::var("TEPUI_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let mut acked = BTreeSet::new();
    let started = Instant::now();
    for round in 0..rounds {
        let child = spawn(dir.path(), round);
        let n_lines = if rng.below(10) == 0 { 0 } else { rng.below(400) };
        collect(child, n_lines, &mut acked);
        if round % CHECK_EVERY == CHECK_EVERY - 1 || round == rounds - 1 {
            check(dir.path(), &acked, round);
        }
    }
    println!("{rounds} kills, {} acknowledged, {:?}", acked.len(), started.elapsed());
    assert!(acked.len() > rounds as usize, "the children did write");
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
        recorded::check(log.state().as_ref(), acked.iter().copied())
            .unwrap_or_else(|why| panic!("after round {round}: {why}"));
        log.stop().await;
        tasks.stop(Duration::from_secs(5)).await;
    });
}
