//! Requests at a steady rate, whatever becomes of those before: each second one is new, over connections
//! that are kept and such that are made for it, and what became of each.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{Tally, cluster::Question, host::within, load::quantile};

/// As long as an answer to a question for a name is good.
pub const NAME_GOOD: Duration = Duration::from_secs(5);
/// A request that has no answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests under way at a time; one more has failed.
const UNDER_WAY_MAX: usize = 1_000;
/// One request in so many is one that takes the server a while.
const SLOW_EVERY: u64 = 10;
/// Failures that are told one by one.
const TOLD_MAX: usize = 5;

/// Where requests of one kind go, and how.
#[derive(Clone)]
pub struct Way {
    pub name: &'static str,
    pub method: &'static str,
    /// With a slash at its end.
    pub path: String,
    /// Lines of the head, each with its end.
    pub headers: String,
    pub addresses: Addresses,
    pub per_second: u64,
    /// Whether a client that finds nobody at one address, or is left before the first byte of an answer, asks
    /// at the next.
    pub goes_on: bool,
}

/// The addresses requests of a way go to in turn.
#[derive(Clone, Default)]
pub struct Addresses(Arc<parking_lot::Mutex<Vec<SocketAddr>>>);

impl Addresses {
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        let this = Self::default();
        this.set(addresses);
        this
    }

    pub fn set(&self, addresses: Vec<SocketAddr>) {
        *self.0.lock() = addresses;
    }

    fn len(&self) -> u64 {
        self.0.lock().len() as u64
    }

    fn turn(&self, n: u64) -> Option<SocketAddr> {
        let addresses = self.0.lock();
        let at = usize::try_from(n).unwrap_or(0).checked_rem(addresses.len())?;
        addresses.get(at).copied()
    }
}

/// What became of the requests of one way.
#[derive(Default)]
pub struct Outcome {
    pub name: &'static str,
    pub n_sent: u64,
    pub n_failed: u64,
    /// Sent once more as the server had closed the connection that was kept, which any client does.
    pub n_again: u64,
    /// Asked at another address.
    pub n_elsewhere: u64,
    pub times: Vec<Duration>,
    /// Why and how often.
    pub failures: BTreeMap<String, u64>,
    pub told: Vec<String>,
}

/// Traffic that goes on until it is told to stop.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Outcome>>>,
}

impl Traffic {
    pub fn start(ways: Vec<Way>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(async {
                let began = Instant::now();
                let all = ways.into_iter().map(|way| Stream::new(way, began).run(told.clone()));
                futures_util::future::join_all(all).await
            }))
        });
        Self { stop, thread }
    }

    pub fn stop(self) -> Result<Vec<Outcome>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the traffic panicked"))?
    }
}

/// The requests of one way.
struct Stream {
    way: Way,
    began: Instant,
    kept: parking_lot::Mutex<HashMap<SocketAddr, VecDeque<TcpStream>>>,
    n_again: AtomicU64,
    n_elsewhere: AtomicU64,
    outcome: parking_lot::Mutex<Outcome>,
}

impl Stream {
    fn new(way: Way, began: Instant) -> Arc<Self> {
        let outcome = Outcome { name: way.name, ..Outcome::default() };
        let (kept, n_again) = (Default::default(), AtomicU64::default());
        let n_elsewhere = AtomicU64::default();
        Arc::new(Self { way, began, kept, n_again, n_elsewhere, outcome: outcome.into() })
    }

    async fn run(self: Arc<Self>, stop: Arc<AtomicBool>) -> Outcome {
        let mut ticks =
            interval(Duration::from_secs(1) / u32::try_from(self.way.per_second).unwrap_or(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let slots = Arc::new(Semaphore::new(UNDER_WAY_MAX));
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            n += 1;
            self.outcome.lock().n_sent = n;
            let Ok(slot) = slots.clone().try_acquire_owned() else {
                self.failed(n, "too many are under way".to_owned());
                continue;
            };
            let this = self.clone();
            tokio::spawn(async move {
                let asked_at = Instant::now();
                match timeout(PATIENCE, this.request(n)).await {
                    Ok(Ok(())) => this.outcome.lock().times.push(asked_at.elapsed()),
                    Ok(Err(error)) => this.failed(n, error.to_string()),
                    Err(_) => this.failed(n, format!("no answer in {PATIENCE:?}")),
                }
                drop(slot);
            });
        }
        // All that are under way have ended then.
        let all = u32::try_from(UNDER_WAY_MAX).unwrap_or(u32::MAX);
        let _ = timeout(2 * PATIENCE, slots.acquire_many(all)).await;
        let outcome = std::mem::take(&mut *self.outcome.lock());
        let [n_again, n_elsewhere] =
            [&self.n_again, &self.n_elsewhere].map(|n| n.load(Ordering::Relaxed));
        Outcome { n_again, n_elsewhere, ..outcome }
    }

    fn failed(&self, n: u64, why: String) {
        let mut outcome = self.outcome.lock();
        outcome.n_failed += 1;
        if outcome.told.len() < TOLD_MAX {
            let at = self.began.elapsed().as_secs_f64();
            outcome.told.push(format!("request {n}, failed {at:.2} s after the start: {why}"));
        }
        *outcome.failures.entry(why).or_default() += 1;
    }

    async fn request(&self, n: u64) -> io::Result<()> {
        let n_more = if self.way.goes_on { self.way.addresses.len().saturating_sub(1) } else { 0 };
        for turn in 0..n_more {
            match self.at(n, turn).await {
                Err(error) if is_nobody(&error) => {
                    self.n_elsewhere.fetch_add(1, Ordering::Relaxed);
                }
                done => return done,
            }
        }
        self.at(n, n_more).await
    }

    /// The request at the address of its turn, or at one so many further.
    async fn at(&self, n: u64, further: u64) -> io::Result<()> {
        let address = self.way.addresses.turn(n + further);
        let address = address.ok_or_else(|| io::Error::other("no address"))?;
        let (is_kept, is_slow) =
            (n.is_multiple_of(2), n % SLOW_EVERY == n / SLOW_EVERY % SLOW_EVERY);
        let kept = if is_kept { self.take(address) } else { None };
        if let Some(stream) = kept {
            match self.over(stream, address, is_kept, is_slow).await {
                Err(error) if is_closed(&error) => self.n_again.fetch_add(1, Ordering::Relaxed),
                done => return done,
            };
        }
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        self.over(stream, address, is_kept, is_slow).await
    }

    fn take(&self, address: SocketAddr) -> Option<TcpStream> {
        self.kept.lock().get_mut(&address)?.pop_front()
    }

    async fn over(
        &self,
        mut stream: TcpStream,
        address: SocketAddr,
        is_kept: bool,
        is_slow: bool,
    ) -> io::Result<()> {
        let Way { method, path, headers, .. } = &self.way;
        let path = format!("{path}{}", if is_slow { "slow" } else { "" });
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}");
        if !is_kept {
            request.push_str("Connection: close\r\n");
        }
        request.push_str(if *method == "POST" { "Content-Length: 2\r\n\r\nhi" } else { "\r\n" });
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        loop {
            if let Some(answer) = whole(&bytes)? {
                if answer.status != 200 {
                    let text = String::from_utf8_lossy(&bytes);
                    let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
                    return Err(io::Error::other(format!("{} {}", answer.status, body.trim())));
                }
                if is_kept && !answer.closes {
                    self.kept.lock().entry(address).or_default().push_back(stream);
                }
                return Ok(());
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                let nothing = bytes.is_empty();
                let kind = if nothing {
                    io::ErrorKind::ConnectionReset
                } else {
                    io::ErrorKind::InvalidData
                };
                return Err(io::Error::new(kind, "the connection ended before the answer"));
            }
        }
    }
}

/// Whether a connection had been closed before anything was answered over it.
fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// Whether nobody was there who has heard the request.
fn is_nobody(error: &io::Error) -> bool {
    is_closed(error) || error.kind() == io::ErrorKind::ConnectionRefused
}

struct Answer {
    status: u16,
    closes: bool,
}

/// The answer in `bytes`, once it is there with its body.
fn whole(bytes: &[u8]) -> io::Result<Option<Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head.parse(bytes).map_err(io::Error::other)?;
    let httparse::Status::Complete(n_head) = parsed else { return Ok(None) };
    let field = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).to_ascii_lowercase())
    };
    let rest = &bytes[n_head..];
    let is_whole = match field("content-length").and_then(|n| n.parse::<usize>().ok()) {
        Some(n_body) => rest.len() >= n_body,
        None => rest.ends_with(b"0\r\n\r\n"),
    };
    let closes = field("connection").is_some_and(|value| value.contains("close"));
    Ok(is_whole.then(|| Answer { status: head.code.unwrap_or(0), closes }))
}

/// Asks for the name of a service whenever the last answer is no longer good.
pub struct Asker {
    stop: Arc<AtomicBool>,
}

impl Asker {
    /// Asks these in turn, as a resolver does: the next where one does not answer. The first answer has to come
    /// within `patience`.
    pub fn start(
        questions: Vec<Question>,
        name: &str,
        patience: Duration,
    ) -> Result<(Addresses, Self)> {
        let ask = {
            let name = name.to_owned();
            move || {
                let mut answers = questions.iter().filter_map(|one| one.services(&name).ok());
                answers.find(|found| !found.is_empty())
            }
        };
        let first = within(patience, || ask().with_context(|| format!("{name} is not known")))?;
        let addresses = Addresses::new(first);
        let (asker, known) = (Self { stop: Arc::default() }, addresses.clone());
        let stop = asker.stop.clone();
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(NAME_GOOD);
                // Without an answer the last one has to do.
                if let Some(found) = ask() {
                    known.set(found);
                }
            }
        });
        Ok((addresses, asker))
    }

    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Prints what became of requests; not one may have failed.
pub fn none_failed(tally: &mut Tally, when: &str, outcomes: &[Outcome]) {
    for outcome in outcomes {
        let Outcome { name, n_sent, n_again, n_elsewhere, .. } = outcome;
        let mut times = outcome.times.clone();
        let [half, most, all] = [50, 99, 100].map(|share| quantile(&mut times, share));
        println!(
            "    {name}: {n_sent} requests, {n_again} once more, {n_elsewhere} elsewhere; median \
             {half:.1?}, 99 of 100 within {most:.1?}, slowest {all:.1?}"
        );
        tally.check(&format!("{when}, not one request fails: {name}"), {
            let n_answered = outcome.times.len() as u64;
            let (n_failed, told) = (outcome.n_failed, &outcome.told);
            let why = format!("{n_failed} failed: {:?}, first {told:#?}", outcome.failures);
            (n_failed == 0 && n_answered == *n_sent && *n_sent > 0).then_some(()).context(why)
        });
    }
}
