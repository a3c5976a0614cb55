//! What a stranger without a token costs, by each way known: memory and processor time of a real
//! master while one address does its worst to it, and how long honest callers wait meanwhile.
//!
//! `make strangers` runs it. It needs root, for a network of its own in which everybody has another
//! address; nothing leaves the machine. Ends with a failure when a way costs more than `BOUNDS`.
//! Arguments: words of names of ways (default all), `--seconds N` for each way, `--write FILE` puts
//! the table into that document.

#![allow(clippy::print_stdout, clippy::disallowed_methods)] // a program of its own that prints

mod honest;
mod server;
mod speak;
mod ways;

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use honest::Honest;
use server::{Server, Usage};
use speak::At;
use ways::Way;

/// Set in the process that runs in the network of its own.
const INSIDE: &str = "TEPUI_STRANGERS_INSIDE";
/// Last bytes of addresses: the master, and the first stranger; each way is another one's.
const MASTER: u8 = 1;
const FIRST_STRANGER: u8 = 20;
/// Between two ways: the server gives memory back, the log of the last one is written.
const REST: Duration = Duration::from_secs(4);
/// What was refused or closed is tried again, by all tasks together, so often: 2,000 connections a
/// second from one address.
const AGAIN: Duration = Duration::from_micros(500);
/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a way may cost.
struct Bounds {
    mib: f64,
    /// Percent of one processor.
    processor: f64,
    honest: Duration,
}

const BOUNDS: Bounds = Bounds { mib: 64.0, processor: 10.0, honest: Duration::from_secs(1) };

/// What one way cost.
struct Cost {
    name: &'static str,
    n: u64,
    mib: f64,
    mib_after: f64,
    processor: f64,
    honest: Duration,
    n_failed: usize,
}

impl Cost {
    fn is_bounded(&self) -> bool {
        self.mib <= BOUNDS.mib
            && self.processor <= BOUNDS.processor
            && self.honest < BOUNDS.honest
            && self.n_failed == 0
    }

    fn row(&self) -> String {
        let verdict = if self.is_bounded() { "" } else { " **too much**" };
        format!(
            "| {}{verdict} | {} | {:.1} | {:.1} | {:.1} % | {} ms |",
            self.name,
            self.n,
            self.mib,
            self.mib_after,
            self.processor,
            self.honest.as_millis()
        )
    }
}

const HEAD: &str = "\
| way | tries | MiB over idle | after | of one processor | honest callers, p99 |\n\
| --- | ---: | ---: | ---: | ---: | ---: |";

fn main() -> ExitCode {
    if std::env::var_os(INSIDE).is_none() {
        let addresses = "ip link set lo up && for n in $(seq 1 99); do \
            ip addr add 198.51.100.$n/24 dev lo; done && exec \"$0\" \"$@\"";
        let this = std::env::current_exe().expect("this program has a file");
        let error = Command::new("unshare")
            .args(["--net", "--", "sh", "-c", addresses])
            .arg(this)
            .args(std::env::args().skip(1).filter(|word| word != "--bench"))
            .env(INSIDE, "1")
            .exec();
        println!("a network of its own needs unshare(1) and root: {error}");
        return ExitCode::FAILURE;
    }
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let seconds = option(&mut words, "--seconds").and_then(|text| text.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(20));
    let file = option(&mut words, "--write");
    let chosen =
        |way: &Way| words.is_empty() || words.iter().any(|word| way.name.contains(word.as_str()));

    let server = Server::start(speak::address(MASTER));
    let idle = server.usage();
    println!("idle: {:.1} MiB\n\n{HEAD}", idle.mib);
    let mut costs = Vec::new();
    for (number, way) in ways::all().into_iter().enumerate().filter(|(_, way)| chosen(way)) {
        let from = speak::address(FIRST_STRANGER + u8::try_from(number).expect("few ways"));
        let at = At { server: server.address, from };
        let cost = measure(&server, &idle, &way, at, time);
        println!("{}", cost.row());
        costs.push(cost);
    }
    let n_panics = server.stop();
    let n_bad = costs.iter().filter(|cost| !cost.is_bounded()).count();
    println!("\n{} ways, {n_bad} beyond bounds, {n_panics} panics", costs.len());
    if let Some(file) = file {
        write(&file, idle.mib, &costs);
    }
    if n_bad + n_panics == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Takes `--name VALUE` out of the arguments.
fn option(words: &mut Vec<String>, name: &str) -> Option<String> {
    let at = words.iter().position(|word| word == name)?;
    words.remove(at);
    (at < words.len()).then(|| words.remove(at))
}

fn measure(server: &Server, idle: &Usage, way: &Way, at: At, time: Duration) -> Cost {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a thread");
    let n = Arc::new(AtomicU64::new(0));
    let honest = Honest::start(server, way.is_dns);
    // What the honest callers cost by themselves is not the stranger's doing.
    let alone = share(server, || std::thread::sleep(time / 4));
    let began = (Instant::now(), server.usage());
    let mut mib = began.1.mib;
    runtime.block_on(async {
        let tasks = u32::try_from(way.n_tasks).expect("few tasks");
        for number in 0..way.n_tasks {
            let (once, n) = (way.once, n.clone());
            tokio::spawn(async move {
                loop {
                    let tried = once(at, number, n.clone()).await;
                    n.fetch_add(1, Ordering::Relaxed);
                    if tried.is_err() {
                        tokio::time::sleep(AGAIN * tasks).await;
                    }
                }
            });
        }
        while began.0.elapsed() < time {
            tokio::time::sleep(LOOK_EVERY).await;
            mib = mib.max(server.usage().mib);
        }
    });
    let processor = began.1.share_until(&server.usage(), began.0.elapsed()) - alone;
    let (honest, n_failed) = honest.stop();
    drop(runtime);
    std::thread::sleep(REST);
    Cost {
        name: way.name,
        n: n.load(Ordering::Relaxed),
        mib: (mib - idle.mib).max(0.0),
        mib_after: (server.usage().mib - idle.mib).max(0.0),
        processor: processor.max(0.0) * 100.0,
        honest,
        n_failed,
    }
}

/// The share of one processor the server uses meanwhile.
fn share(server: &Server, meanwhile: impl FnOnce()) -> f64 {
    let (began, usage) = (Instant::now(), server.usage());
    meanwhile();
    usage.share_until(&server.usage(), began.elapsed())
}

/// Puts the table between its marks in a document.
fn write(file: &str, idle: f64, costs: &[Cost]) {
    const MARKS: [&str; 2] = ["<!-- strangers: written by `make strangers` -->", "<!-- end -->"];
    let text = std::fs::read_to_string(file).expect("the document");
    let (before, rest) = text.split_once(MARKS[0]).expect("a mark in the document");
    let (_, after) = rest.split_once(MARKS[1]).expect("a mark that ends the table");
    let rows: Vec<String> = costs.iter().map(Cost::row).collect();
    let rows = rows.join("\n");
    let table = format!("\n\nIdle: {idle:.0} MiB.\n\n{HEAD}\n{rows}\n\n");
    std::fs::write(file, [before, MARKS[0], &table, MARKS[1], after].concat()).expect("written");
}
