//! Histories of one definition that clients write and read through all masters while these are killed,
//! paused and cut off from each other.
//!
//! What the API promises, and what is checked: a write that is answered is done, and no other write comes
//! between the version that an `If-Match` names and the change; an answer that says
//! `Tepui-Last-Contact-Ms: N` lacks nothing that was acknowledged longer than N milliseconds before. So each
//! read counts as asked for N milliseconds earlier than it was. Answers that are marked as stale
//! (`Warning: 110`) promise nothing and are left out.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tepui::{base::rng::Rng, node::config::NodeRole as Role};

use crate::{
    Tally, client,
    cluster::{Cluster, PATIENCE},
    host::within,
    linear::{Op, Record, first_broken, is_linearizable},
    net,
};

/// Histories, unless `LINEARIZABLE` says how many.
const N: u64 = 10;
const N_CLIENTS: u64 = 9;
/// With faults, and how long clients go on after the last.
const FAULTY: Duration = Duration::from_secs(10);
const HEALED: Duration = Duration::from_secs(2);
/// A client that has no answer by then knows nothing. Longer than any pause, so that what was asked of a
/// master that stood still is answered by it.
const ANSWER: Duration = Duration::from_secs(5);
/// A history of fewer operations says little.
const N_OPERATIONS_MIN: usize = 50;
/// A history that takes longer to be checked is undecided.
const CHECKED: Duration = Duration::from_secs(30);
/// Operations of a broken history that are told.
const TOLD_MAX: usize = 20;

/// Each history is checked for itself; the faults of the one with a number are always the same.
pub fn histories(cluster: &mut Cluster, tally: &mut Tally) -> Result<()> {
    let set = |name: &str| std::env::var(name).ok().map(|text| text.parse()).transpose();
    let (first, n) = (set("FIRST")?.unwrap_or(1), set("LINEARIZABLE")?.unwrap_or(N));
    for n in first..first + n {
        let (told, history) = history(cluster, n)?;
        tally.check(&format!("history {n} is linearizable: {told}"), check(history));
    }
    Ok(())
}

fn history(cluster: &mut Cluster, n: u64) -> Result<(String, Vec<Record>)> {
    let masters = cluster.of(Role::Master);
    let app = format!("/linear/h{n}");
    within(PATIENCE, || cluster.whole())?;
    let first = cluster.put(0, &Cluster::app(&app, 0, &labels(0)))?;
    ensure!(first.status == 201, "{} {}", first.status, first.text());
    within(PATIENCE, || masters.iter().try_for_each(|at| cluster.get(*at, &path(&app)).map(drop)))?;
    let rng = Rng::from_seed(n);
    let (stop, values) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(1)));
    let began = Instant::now();
    let clients: Vec<_> = (0..N_CLIENTS)
        .map(|n| {
            let client = Client {
                home: usize::try_from(n).unwrap_or(0),
                app: app.clone(),
                routers: masters.iter().map(|at| cluster.hosts[*at].router()).collect(),
                token: cluster.token.clone(),
                rng: rng.child(&format!("client {n}")),
                values: values.clone(),
                stop: stop.clone(),
                began,
                seen: None,
                records: Vec::new(),
                n_stale: 0,
            };
            thread::spawn(move || client.run())
        })
        .collect();
    let faults = faults(cluster, &masters, &mut rng.child("faults"));
    thread::sleep(HEALED);
    stop.store(true, Ordering::Relaxed);
    let (mut records, mut n_stale) = (Vec::new(), 0);
    for client in clients {
        let client = client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?;
        records.extend(client.records);
        n_stale += client.n_stale;
    }
    let (faults, unknown) = (faults?, records.iter().filter(|r| r.returned_at.is_none()).count());
    let refused = records.iter().filter(|r| matches!(r.op, Op::NoSwap { .. })).count();
    let told = format!(
        "{} operations, {unknown} of unknown outcome, {refused} refused as changed; {n_stale} \
         answers left out; {}",
        records.len(),
        faults.join(", ")
    );
    Ok((told, records))
}

/// Kills, pauses and cuts for a while, one after another; what was done.
fn faults(cluster: &mut Cluster, masters: &[usize], rng: &mut Rng) -> Result<Vec<String>> {
    let began = Instant::now();
    let mut done = Vec::new();
    while began.elapsed() < FAULTY {
        let ms =
            |rng: &mut Rng, from: u64, to: u64| Duration::from_millis(from + rng.below(to - from));
        thread::sleep(ms(rng, 200, 900));
        let any = masters[usize::try_from(rng.below(masters.len() as u64))?];
        let leader = cluster.new_leader(usize::MAX).unwrap_or(any);
        // The leader is where most can go wrong.
        let at = if rng.below(2) == 0 { leader } else { any };
        let what = if at == leader { "leader" } else { "follower" };
        let others: Vec<usize> = masters.iter().copied().filter(|other| *other != at).collect();
        let other = others[usize::try_from(rng.below(2))?];
        match rng.below(6) {
            0 => {
                cluster.hosts[at].kill_node()?;
                thread::sleep(ms(rng, 500, 2_000));
                cluster.start_node(at)?;
                done.push(format!("{what} killed"));
            }
            1 => {
                cluster.hosts[at].kill_node()?;
                cluster.start_node(at)?;
                done.push(format!("{what} killed and started at once"));
            }
            2 | 3 => {
                cluster.hosts[at].signal_node("STOP")?;
                thread::sleep(ms(rng, 300, 3_000));
                cluster.hosts[at].signal_node("CONT")?;
                done.push(format!("{what} paused"));
            }
            4 => {
                for other in &others {
                    net::cut(&cluster.hosts[at], &cluster.hosts[*other])?;
                }
                thread::sleep(ms(rng, 500, 3_000));
                net::heal(&cluster.hosts);
                done.push(format!("{what} cut off"));
            }
            _ => {
                let (ear, mouth) = if rng.below(2) == 0 { (at, other) } else { (other, at) };
                net::deafen(&cluster.hosts[ear], &cluster.hosts[mouth])?;
                thread::sleep(ms(rng, 500, 3_000));
                net::heal(&cluster.hosts);
                done.push(format!("one way cut at the {what}"));
            }
        }
    }
    Ok(done)
}

/// Whether there is an order that explains a history; where not, the operations until it broke.
fn check(history: Vec<Record>) -> Result<()> {
    ensure!(history.len() >= N_OPERATIONS_MIN, "too few operations to tell anything");
    let (told, verdict) = mpsc::channel();
    thread::spawn(move || {
        let broken = if is_linearizable(&history) { None } else { Some(first_broken(&history)) };
        // Whoever has given up waiting is told nothing.
        let _ = told.send(broken);
    });
    let broken = verdict.recv_timeout(CHECKED).context("undecided")?;
    let Some(broken) = broken else { return Ok(()) };
    let last = broken.iter().rev().take(TOLD_MAX).rev();
    let lines: Vec<String> = last.map(|record| format!("      {record}")).collect();
    anyhow::bail!("no order explains the first {} operations:\n{}", broken.len(), lines.join("\n"))
}

fn labels(value: u64) -> serde_json::Value {
    json!({"labels": {"value": value.to_string()}})
}

fn path(app: &str) -> String {
    format!("/service/marathon/v2/apps{app}")
}

/// One that writes and reads, one thing after another, mostly through one master.
struct Client {
    home: usize,
    app: String,
    routers: Vec<SocketAddr>,
    token: String,
    rng: Rng,
    /// Of all clients: the next value that nobody has written yet.
    values: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    began: Instant,
    /// What it has seen last, and in which version.
    seen: Option<(u64, String)>,
    records: Vec<Record>,
    n_stale: usize,
}

/// What an answer says.
enum Told {
    /// A version, where one was given.
    Done(Option<String>),
    /// Another has changed it before, to this version.
    Changed(String),
    Nothing,
    Refused,
}

impl Client {
    fn run(mut self) -> Self {
        while !self.stop.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(10 + self.rng.below(50)));
            let away = if self.rng.below(5) == 0 { 1 + self.rng.below(2) } else { 0 };
            let at = (self.home + usize::try_from(away).unwrap_or(0)) % self.routers.len();
            match (self.rng.below(20), self.seen.clone()) {
                (0..9, _) => self.read(at),
                (9..13, _) | (_, None) => self.write(at, None),
                (_, Some(seen)) => self.write(at, Some(seen)),
            }
        }
        self
    }

    fn read(&mut self, at: usize) {
        let called_at = self.began.elapsed();
        let sent = self.send(at, "", "GET", None);
        let returned_at = self.began.elapsed();
        let Some(answer) = sent.ok().filter(|answer| answer.status == 200) else { return };
        let app = &answer.json()["app"];
        let value = app["labels"]["value"].as_str().and_then(|value| value.parse().ok());
        let version = app["version"].as_str();
        let (Some(value), Some(version)) = (value, version) else { return };
        self.seen = Some((value, version.to_owned()));
        if let Some(called_at) = self.as_of(&answer, called_at) {
            let version = number(version);
            self.note(at, Op::Read(value), version, called_at, Some(returned_at));
        }
    }

    /// When an answer that tells of the state could have been asked for at the earliest, by what it says
    /// of its age; `None` where it promises nothing.
    fn as_of(&mut self, answer: &client::Answer, called_at: Duration) -> Option<Duration> {
        let age = answer.header("tepui-last-contact-ms").and_then(|ms| ms.parse::<u64>().ok());
        let age = age.filter(|_| answer.header("warning").is_none());
        self.n_stale += usize::from(age.is_none());
        // What is a part of a millisecond is cut off there.
        Some(called_at.saturating_sub(Duration::from_millis(age? + 1)))
    }

    fn write(&mut self, at: usize, from: Option<(u64, String)>) {
        let value = self.values.fetch_add(1, Ordering::Relaxed);
        let condition = from.as_ref().map(|(_, version)| format!("If-Match: \"{version}\"\r\n"));
        let body = Cluster::app(&self.app, 0, &labels(value)).to_string();
        let called_at = self.began.elapsed();
        let sent = self.send(at, &condition.unwrap_or_default(), "PUT", Some(body.as_bytes()));
        let returned_at = self.began.elapsed();
        let op = match &from {
            Some((from, _)) => Op::Swap { from: *from, to: value },
            None => Op::Write(value),
        };
        match (told(&sent), from, sent) {
            (Told::Done(version), ..) => {
                let number = version.as_deref().and_then(number);
                self.seen = version.map(|version| (value, version));
                self.note(at, op, number, called_at, Some(returned_at));
            }
            (Told::Changed(version), Some((from, _)), Ok(answer)) => {
                if let Some(called_at) = self.as_of(&answer, called_at) {
                    let version = number(&version);
                    self.note(at, Op::NoSwap { from }, version, called_at, Some(returned_at));
                }
            }
            (Told::Refused | Told::Changed(_), ..) => {}
            (Told::Nothing, ..) => self.note(at, op, None, called_at, None),
        }
    }

    fn send(
        &self,
        at: usize,
        condition: &str,
        method: &str,
        body: Option<&[u8]>,
    ) -> std::io::Result<client::Answer> {
        let headers = format!("Authorization: token={}\r\n{condition}", self.token);
        let path = format!("{}?force=true", path(&self.app));
        client::send_within(ANSWER, self.routers[at], &headers, method, &path, body)
    }

    fn note(
        &mut self,
        at: usize,
        op: Op,
        version: Option<u64>,
        called_at: Duration,
        returned_at: Option<Duration>,
    ) {
        let through = format!("client {} through master {}", self.home + 1, at + 1);
        self.records.push(Record { op, called_at, returned_at, version, through });
    }
}

/// A version as a number: its time, digit by digit.
fn number(version: &str) -> Option<u64> {
    let digits: String = version.chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn told(sent: &std::io::Result<client::Answer>) -> Told {
    match sent {
        Ok(answer) => {
            let said =
                serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default();
            let version = said["version"].as_str().map(str::to_owned);
            match (answer.status, version) {
                (200 | 201, version) => Told::Done(version),
                (409, Some(version)) => Told::Changed(version),
                (400..500, _) => Told::Refused,
                _ => Told::Nothing,
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Told::Refused,
        Err(_) => Told::Nothing,
    }
}
