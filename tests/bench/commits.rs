//! Commands per second through the replicated log, with one member and with three, every commit on
//! disk (fsync) before it is acknowledged, beside etcd with the same durability.
//!
//! One write is one record of about 250 bytes under one of 1,000 keys: a user's record here, a key
//! and value there. Our proposers run inside the leader, etcd's are a gRPC client of 256 streams on
//! four connections to the leader; so the client's cost is inside our processor time and outside
//! etcd's, which favours etcd there, while on a small machine the client takes processors from
//! etcd, which favours us in throughput. Both numbers are shown.

use std::{
    collections::BTreeMap,
    fs, io,
    net::Ipv4Addr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tepui::{
    base::{clock::SystemClock, rng::Rng, task::Tasks},
    core::{AccessCommand, Command, State, command::Expect},
    log::{
        Disk, Links, Log, LogConfig,
        peer::transport::{Accept, Connect, Io},
        types::Member,
    },
    model::access::User,
};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    Plan,
    child::{self, Scratch, Server},
    report::Section,
};

const PEERS: u16 = 18_840;
const ETCD_CLIENTS: u16 = 18_850;
const ETCD_PEERS: u16 = 18_855;
const N_KEYS: u64 = 1_000;
const VALUE_BYTES: usize = 200;
/// Writers at a time, and writes in all, for the two kinds of load.
const LOADS: [(u64, u64); 2] = [(256, 60_000), (1, 2_000)];
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    let mut section = Section::new(
        "Commands through the log, on disk before acknowledged",
        &["system", "members", "writers", "commands/s", "mean wait", "CPU µs/command"],
    );
    let missing = child::install(&["etcd-server"]);
    for n_members in [1, 3] {
        for (writers, n) in LOADS {
            let n = plan.load(n);
            ours(n_members, writers, n, &mut section)?;
            if missing.is_empty() {
                etcd(n_members, writers, n, &mut section)?;
            }
        }
    }
    for (package, why) in missing {
        section.note(format!("{package} is not here: {why}"));
    }
    let scratch = Scratch::new("sync")?;
    section.note(format!(
        "Members are processes of their own on loopback, without TLS; {}. One write is a record of \
         about {VALUE_BYTES} bytes under one of {N_KEYS} keys; {} on this disk takes {:.0} µs. \
         Processor time is that of all members; our writers run in the leader and are inside it, \
         etcd's run in a gRPC client outside it, which shares the machine.",
        crate::dns::version("etcd", "--version"),
        "append and fdatasync of 4 KiB",
        sync_us(scratch.path())?,
    ));
    Ok(section)
}

/// What one load gave.
struct Load {
    n: u64,
    writers: u64,
    took: Duration,
    cpu: Duration,
}

impl Load {
    #[allow(clippy::cast_precision_loss)] // numbers for people
    fn report(&self, system: &str, n_members: u16, section: &mut Section) {
        let seconds = self.took.as_secs_f64();
        section.row([
            system.to_owned(),
            n_members.to_string(),
            self.writers.to_string(),
            format!("{:.0}", self.n as f64 / seconds),
            format!("{:.2} ms", seconds * 1e3 * self.writers as f64 / self.n as f64),
            format!("{:.0}", self.cpu.as_secs_f64() * 1e6 / self.n as f64),
        ]);
    }
}

fn cpu_of(servers: &[Server]) -> Duration {
    servers.iter().map(Server::cpu).sum()
}

fn ours(n_members: u16, writers: u64, n: u64, section: &mut Section) -> anyhow::Result<()> {
    let scratch = Scratch::new("log")?;
    let dir = scratch.file("");
    let start = |id: u16| {
        let args = ["log", &id.to_string(), &n_members.to_string(), &dir].map(str::to_owned);
        let load = [writers.to_string(), n.to_string()];
        let args: Vec<&str> = args.iter().chain(&load).map(String::as_str).collect();
        Server::role(&args, None, &scratch)
    };
    let mut servers = (1..=n_members).map(start).collect::<anyhow::Result<Vec<_>>>()?;
    let there = |name: &str| scratch.path().join(name).exists();
    servers[0].wait_until(PATIENCE, || (1..=n_members).all(|id| there(&format!("ready-{id}"))))?;
    let before = cpu_of(&servers);
    fs::write(scratch.file("go"), "")?;
    servers[0].wait_until(PATIENCE * 3, || there("result"))?;
    let cpu = cpu_of(&servers) - before;
    let micros: u64 = fs::read_to_string(scratch.file("result"))?.parse()?;
    let took = Duration::from_micros(micros);
    Load { n, writers, took, cpu }.report("tepui", n_members, section);
    Ok(())
}

/// The role of one member: opens its log, says so, and when told to go, the leader writes.
pub fn serve(args: &[String]) -> anyhow::Result<()> {
    let [id, n_members, dir, writers, n] = args else { anyhow::bail!("five arguments wanted") };
    let (id, n_members): (u64, u64) = (id.parse()?, n_members.parse()?);
    let (writers, n): (u64, u64) = (writers.parse()?, n.parse()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(member(id, n_members, Path::new(dir), writers, n))
}

async fn member(id: u64, n_members: u64, dir: &Path, writers: u64, n: u64) -> anyhow::Result<()> {
    let address = |id: u64| format!("127.0.0.1:{}", u64::from(PEERS) + id);
    let disk = Disk::at(dir.join(format!("member-{id}")));
    let mut config = LogConfig::single("bench", disk, Rng::from_seed(id));
    let links = if n_members == 1 {
        None
    } else {
        config.id = id;
        config.members = (1..=n_members)
            .map(|id| (id, Member { address: address(id) }))
            .collect::<BTreeMap<_, _>>();
        let listener = TcpListener::bind(address(id)).await?;
        Some(Links { connect: Arc::new(Plain), accept: Box::new(PlainAccept(listener)) })
    };
    let tasks = Tasks::new("bench");
    let log = Log::<State>::open(config, links, SystemClock::shared(), tasks.clone()).await?;
    log.ready(PATIENCE).await?;
    // A first command goes through all of it before the clock runs.
    log.propose(write(id)).await??;
    fs::write(dir.join(format!("ready-{id}")), "")?;
    while !dir.join("go").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if log.is_leader() {
        let took = write_all(&log, writers, n).await?;
        fs::write(dir.join("result.new"), took.as_micros().to_string())?;
        fs::rename(dir.join("result.new"), dir.join("result"))?;
    }
    anyhow::bail!("{}", tasks.failed().await)
}

async fn write_all(log: &Log, writers: u64, n: u64) -> anyhow::Result<Duration> {
    let next = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let writer = |next: Arc<AtomicU64>| async move {
        loop {
            let i = next.fetch_add(1, Relaxed);
            if i >= n {
                return anyhow::Ok(());
            }
            log.propose(write(i)).await??;
        }
    };
    let all = (0..writers).map(|_| writer(next.clone()));
    futures_util::future::try_join_all(all).await?;
    Ok(began.elapsed())
}

fn write(i: u64) -> Command {
    let user = User {
        uid: format!("user-{:05}", i % N_KEYS),
        description: format!("{i:0>VALUE_BYTES$}"),
        password_hash: None,
        public_key: None,
        provider_type: "internal".to_owned(),
        provider_id: String::new(),
        is_remote: false,
        superuser: false,
        generation: 0,
    };
    AccessCommand::PutUser { user, expect: Expect::Any }.into()
}

/// Peers without TLS, as etcd's are here.
#[derive(Debug)]
struct Plain;

impl Connect for Plain {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Io>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Io)
        })
    }
}

struct PlainAccept(TcpListener);

impl Accept for PlainAccept {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Io>> {
        Box::pin(async move {
            let (stream, _) = self.0.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Io)
        })
    }
}

fn etcd(n_members: u16, writers: u64, n: u64, section: &mut Section) -> anyhow::Result<()> {
    let scratch = Scratch::new("etcd")?;
    let peer = |id: u16| format!("http://127.0.0.1:{}", ETCD_PEERS + id);
    let client = |id: u16| format!("http://127.0.0.1:{}", ETCD_CLIENTS + id);
    let all: Vec<String> = (0..n_members).map(|id| format!("m{id}={}", peer(id))).collect();
    let start = |id: u16| {
        let (dir, all) = (scratch.file(&format!("m{id}")), all.join(","));
        let (peer, client, name) = (peer(id), client(id), format!("m{id}"));
        let args = [
            ["--name", &name],
            ["--data-dir", &dir],
            ["--listen-peer-urls", &peer],
            ["--initial-advertise-peer-urls", &peer],
            ["--listen-client-urls", &client],
            ["--advertise-client-urls", &client],
            ["--initial-cluster", &all],
            ["--initial-cluster-token", "bench"],
            ["--log-level", "error"],
        ];
        Server::start(&[&["etcd"][..], &args.concat()].concat(), None, &scratch)
    };
    let mut servers = (0..n_members).map(start).collect::<anyhow::Result<Vec<_>>>()?;
    for (server, id) in servers.iter_mut().zip(0..) {
        server.wait_for_port(ETCD_CLIENTS + id)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (took, cpu) = runtime.block_on(async {
        let port = etcd_leader(n_members).await?;
        let connections = if writers == 1 { 1 } else { 4 };
        let mut senders = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            stream.set_nodelay(true)?;
            let handshake =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
            let (sender, connection) = handshake.await?;
            tokio::spawn(connection);
            senders.push(sender);
        }
        let next = AtomicU64::new(0);
        let before = cpu_of(&servers);
        let began = Instant::now();
        let all = (0..writers).map(|w| {
            let sender = senders[usize::try_from(w).expect("few") % senders.len()].clone();
            etcd_writer(sender, port, &next, n)
        });
        futures_util::future::try_join_all(all).await?;
        anyhow::Ok((began.elapsed(), cpu_of(&servers) - before))
    })?;
    Load { n, writers, took, cpu }.report("etcd", n_members, section);
    Ok(())
}

type Sender = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

async fn etcd_writer(
    mut sender: Sender,
    port: u16,
    next: &AtomicU64,
    n: u64,
) -> anyhow::Result<()> {
    loop {
        let i = next.fetch_add(1, Relaxed);
        if i >= n {
            return Ok(());
        }
        let request = http::Request::post(format!("http://127.0.0.1:{port}/etcdserverpb.KV/Put"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(put_message(i)))?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let collected = response.into_body().collect().await?;
        let status = collected.trailers().and_then(|t| t.get("grpc-status")).cloned();
        anyhow::ensure!(status.is_some_and(|s| s == "0"), "etcd refused a write");
    }
}

/// A gRPC frame with a `PutRequest`: field 1 the key, field 2 the value.
fn put_message(i: u64) -> Bytes {
    let key = format!("user-{:05}", i % N_KEYS);
    let value = format!("{i:0>VALUE_BYTES$}");
    let mut message = BytesMut::new();
    for (tag, field) in [(0x0A, key.as_bytes()), (0x12, value.as_bytes())] {
        message.put_u8(tag);
        // A varint: lengths here take one byte or two.
        let length = u16::try_from(field.len()).expect("short fields");
        if length < 128 {
            message.put_u8(length.to_le_bytes()[0]);
        } else {
            message.put_u8((length & 0x7F | 0x80).to_le_bytes()[0]);
            message.put_u8((length >> 7).to_le_bytes()[0]);
        }
        message.put_slice(field);
    }
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("short"));
    frame.put_slice(&message);
    frame.freeze()
}

/// The client port of the member that leads, asked over etcd's JSON gateway.
async fn etcd_leader(n_members: u16) -> anyhow::Result<u16> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for port in (0..n_members).map(|id| ETCD_CLIENTS + id) {
            if etcd_status(port).await.unwrap_or(false) {
                return Ok(port);
            }
        }
        anyhow::ensure!(Instant::now() < deadline, "etcd elects no leader");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether the member behind `port` leads.
async fn etcd_status(port: u16) -> anyhow::Result<bool> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = http::Request::post("/v3/maintenance/status")
        .header("host", "localhost")
        .body(Full::new(Bytes::from_static(b"{}")))?;
    let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    let status: serde_json::Value = serde_json::from_slice(&body)?;
    let leader = status.get("leader").context("no leader")?;
    Ok(status.pointer("/header/member_id") == Some(leader))
}

/// What one small durable append costs on the disk the data directories are on.
#[allow(clippy::cast_precision_loss)] // a number for people
fn sync_us(dir: &Path) -> anyhow::Result<f64> {
    use std::io::Write as _;
    let mut file = fs::File::create(dir.join("sync"))?;
    let rounds = 200;
    let began = Instant::now();
    for _ in 0..rounds {
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(rounds))
}
