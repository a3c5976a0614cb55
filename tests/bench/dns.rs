//! Processor time per DNS query, beside Knot and NSD: the same zone (10,000 names with three
//! addresses each), the same bounded load from one client, the server alone on one processor.

use std::{
    fmt::Write as _,
    fs,
    io::{IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd as _,
    time::Duration,
};

use anyhow::Context as _;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use tepui::{
    base::{rng::Rng, task::Tasks},
    core::naming::{NamedTask, Sink as _, TaskRecords},
    dns::{
        serve::{Options, Server as DnsServer},
        table::Builder,
    },
};

use crate::{
    Plan,
    child::{self, Scratch, Server},
    report::Section,
};

const N_NAMES: u64 = 10_000;
const N_ADDRESSES: u64 = 3;
const N_QUERIES: u64 = 1_000_000;
/// Rounds the queries are sent in; the median counts.
const ROUNDS: u64 = 5;
/// Queries under way at a time.
const WINDOW: usize = 64;
const BATCH: usize = 32;
const PORTS: [u16; 3] = [18_810, 18_811, 18_812];

pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    let mut section = Section::new(
        "DNS: processor time per query",
        &["server", "CPU µs/query", "least", "queries/s a core", "answered"],
    );
    let missing = child::install(&["knot", "nsd"]);
    let scratch = Scratch::new("dns")?;
    let zone = scratch.file("mesos.zone");
    fs::write(&zone, zone_file()?)?;
    let (server_cpu, load_cpu) = child::processors();
    child::pin_self(load_cpu);
    let [ours, knot, nsd] = PORTS;
    let server = Server::role(&["dns", &ours.to_string()], server_cpu, &scratch)?;
    let mut rivals = vec![Rival::new("tepui", server, ours)?];
    for (package, why) in &missing {
        section.note(format!("{package} is not here: {why}"));
    }
    let has = |package: &str| !missing.iter().any(|(name, _)| name == package);
    if has("knot") {
        let config = scratch.file("knot.conf");
        fs::write(&config, knot_config(knot, &scratch))?;
        let server = Server::start(&["knotd", "-c", &config], server_cpu, &scratch)?;
        rivals.push(Rival::new(&version("knotd", "--version"), server, knot)?);
    }
    if has("nsd") {
        let config = scratch.file("nsd.conf");
        fs::write(&config, nsd_config(nsd, &scratch))?;
        let server = Server::start(&["nsd", "-d", "-c", &config], server_cpu, &scratch)?;
        rivals.push(Rival::new(&version("nsd", "-v"), server, nsd)?);
    }
    let n = plan.load(N_QUERIES) / ROUNDS;
    let queries = encoded_queries();
    for rival in &rivals {
        rival.client.run(&queries, n / 10, WINDOW)?;
    }
    // In turn, so that a change of the machine's mood falls on all of them.
    for _ in 0..ROUNDS {
        for rival in &mut rivals {
            rival.measure(&queries, n)?;
        }
    }
    for rival in rivals {
        rival.report(n * ROUNDS, &mut section);
    }
    child::pin_self(None);
    section.note(format!(
        "{N_NAMES} names with {N_ADDRESSES} A records; {} UDP queries in {ROUNDS} rounds taken \
         in turn, {WINDOW} under way at a time, from one client on the other processor; one worker \
         thread each; processor time from /proc, the median round counts.",
        n * ROUNDS
    ));
    section.note(rebuild_note());
    Ok(section)
}

/// The role of our own server: the same names, no upstream.
pub fn serve(args: &[String]) -> anyhow::Result<()> {
    let port: u16 = args.first().context("no port")?.parse()?;
    let options = Options { n_workers: 1, ..Options::default() };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = DnsServer::bind(&[address], &options, Rng::from_seed(1))?;
        let mut builder = Builder::new(60, 1, N_NAMES as usize);
        for i in 0..N_NAMES {
            let name = builder.name(&name(i));
            for address in addresses(i) {
                builder.address(name, address.into());
            }
        }
        server.handle().publish(builder.build());
        let tasks = Tasks::new("bench");
        server.run(&tasks);
        anyhow::bail!("{}", tasks.failed().await)
    })
}

fn name(i: u64) -> String {
    format!("app-{i:05}.marathon.mesos")
}

fn addresses(i: u64) -> impl Iterator<Item = Ipv4Addr> {
    let first = 0x0A00_0000 + u32::try_from(i * 4).expect("a few thousand");
    (0..u32::try_from(N_ADDRESSES).expect("few")).map(move |k| Ipv4Addr::from(first + k))
}

fn zone_file() -> anyhow::Result<String> {
    let mut zone = String::from(
        "$ORIGIN mesos.\n$TTL 60\n@ SOA ns1.mesos. root.ns1.mesos. 1 60 600 86400 60\n\
         @ NS ns1.mesos.\nns1 A 127.0.0.1\n",
    );
    for i in 0..N_NAMES {
        for address in addresses(i) {
            writeln!(zone, "{}. A {address}", name(i))?;
        }
    }
    Ok(zone)
}

fn knot_config(port: u16, scratch: &Scratch) -> String {
    let dir = scratch.path().display();
    format!(
        "server:\n  rundir: {dir}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\ndatabase:\n  storage: {dir}\nlog:\n  - target: stderr\n    any: \
         error\nzone:\n  - domain: mesos\n    storage: {dir}\n    file: mesos.zone\n    \
         journal-content: none\n    zonefile-load: whole\n"
    )
}

fn nsd_config(port: u16, scratch: &Scratch) -> String {
    let dir = scratch.path().display();
    format!(
        "server:\n  server-count: 1\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  zonesdir: \
         {dir}\n  pidfile: {dir}/nsd.pid\n  xfrdfile: {dir}/xfrd.state\n  zonelistfile: \
         {dir}/zone.list\n  database: \"\"\n  xfrdir: {dir}\n  rrl-ratelimit: 0\n  \
         minimal-responses: yes\nremote-control:\n  control-enable: no\nzone:\n  name: mesos\n  \
         zonefile: mesos.zone\n"
    )
}

/// The first line a program says of itself.
pub fn version(program: &str, flag: &str) -> String {
    let Ok(output) = std::process::Command::new(program).arg(flag).output() else {
        return program.to_owned();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|l| !l.trim().is_empty()).unwrap_or(program);
    line.split(", version").collect::<Vec<_>>().join("").trim().to_owned()
}

/// A server under test.
struct Rival {
    label: String,
    server: Server,
    client: Client,
    us_per_query: Vec<f64>,
    n_answered: u64,
}

impl Rival {
    fn new(label: &str, mut server: Server, port: u16) -> anyhow::Result<Self> {
        let client = Client::new(port)?;
        let first = [encode_query(&name(0))];
        let loaded = Duration::from_secs(20);
        server.wait_until(loaded, || client.run(&first, 1, 1).is_ok_and(|n| n == 1))?;
        let label = label.to_owned();
        Ok(Self { label, server, client, us_per_query: Vec::new(), n_answered: 0 })
    }

    #[allow(clippy::cast_precision_loss)] // numbers for people
    fn measure(&mut self, queries: &[Vec<u8>], n: u64) -> anyhow::Result<()> {
        let before = self.server.cpu();
        let n_answered = self.client.run(queries, n, WINDOW)?;
        let used = self.server.cpu() - before;
        self.n_answered += n_answered;
        self.us_per_query.push(used.as_secs_f64() * 1e6 / n_answered.max(1) as f64);
        Ok(())
    }

    fn report(mut self, n_sent: u64, section: &mut Section) {
        self.us_per_query.sort_by(f64::total_cmp);
        let (least, median) =
            (self.us_per_query[0], self.us_per_query[self.us_per_query.len() / 2]);
        section.row([
            self.label,
            format!("{median:.2}"),
            format!("{least:.2}"),
            format!("{:.0}", 1e6 / median),
            format!("{:.3} %", 100.0 * self.n_answered as f64 / n_sent as f64),
        ]);
    }
}

/// One question for each name, with room for an id.
fn encoded_queries() -> Vec<Vec<u8>> {
    // A stride coprime to the count visits all names in an order no prefetcher knows.
    (0..N_NAMES).map(|i| encode_query(&name(i * 7_919 % N_NAMES))).collect()
}

fn encode_query(name: &str) -> Vec<u8> {
    let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    assert!(tepui::dns::wire::push_name(name, &mut query), "names here are short");
    query.extend_from_slice(&[0, 1, 0, 1]);
    query
}

/// A client that keeps a window of queries under way.
struct Client {
    socket: UdpSocket,
}

impl Client {
    fn new(port: u16) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        Ok(Self { socket })
    }

    /// Sends `n` queries and returns how many good answers came.
    fn run(&self, queries: &[Vec<u8>], n: u64, window: usize) -> anyhow::Result<u64> {
        let fd = self.socket.as_raw_fd();
        let mut heads_out = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
        let mut heads_in = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
        let mut batch = (0..BATCH).map(|_| Vec::<u8>::with_capacity(128)).collect::<Vec<_>>();
        let mut buffer = vec![0; BATCH * 2048];
        let (mut n_sent, mut n_good, mut under_way) = (0u64, 0u64, 0usize);
        while n_sent < n || under_way > 0 {
            let left = usize::try_from(n - n_sent).unwrap_or(usize::MAX);
            let burst = left.min(BATCH).min(window.saturating_sub(under_way));
            // Whole bursts only, but for the last one: a trickle would hide the batching.
            if burst > 0 && (burst >= BATCH.min(window) || burst == left) {
                for query in &mut batch[..burst] {
                    let at = usize::try_from(n_sent).expect("64-bit") % queries.len();
                    query.clear();
                    query.extend_from_slice(&queries[at]);
                    let id = u16::try_from(n_sent & 0xFFFF).expect("masked");
                    query[..2].copy_from_slice(&id.wrapping_mul(40_503).to_be_bytes());
                    n_sent += 1;
                }
                let slices: Vec<_> = batch[..burst].iter().map(|q| [IoSlice::new(q)]).collect();
                let to = vec![None; burst];
                match sendmmsg(fd, &mut heads_out, &slices, &to, [], MsgFlags::empty()) {
                    Ok(sent) => under_way += sent.count(),
                    // The server is not there yet.
                    Err(nix::errno::Errno::ECONNREFUSED) => return Ok(n_good),
                    Err(error) => return Err(error.into()),
                }
                continue;
            }
            let mut chunks = buffer.chunks_exact_mut(2048);
            let mut slices: [_; BATCH] = std::array::from_fn(|_| {
                [IoSliceMut::new(chunks.next().expect("the buffer holds a batch"))]
            });
            let flags = MsgFlags::MSG_WAITFORONE;
            match recvmmsg(fd, &mut heads_in, slices.iter_mut(), flags, None) {
                Ok(got) => {
                    let n_got = got.count();
                    under_way = under_way.saturating_sub(n_got);
                    let replies = buffer.chunks(2048).take(n_got);
                    // NOERROR with the right number of answers.
                    n_good += replies.filter(|r| r[3] & 0xF == 0 && r[7] == 3).count() as u64;
                }
                Err(nix::errno::Errno::EAGAIN) => under_way = 0,
                Err(nix::errno::Errno::ECONNREFUSED) => return Ok(n_good),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(n_good)
    }
}

/// How long a table of ten thousand tasks takes to build.
fn rebuild_note() -> String {
    let names: Vec<String> = (0..1000).map(|i| format!("web.group-{i}")).collect();
    let ids: Vec<String> =
        (0..10_000).map(|i| format!("web_group.instance-{i:036}._app.1")).collect();
    let build = || {
        let mut builder = Builder::new(5, 1, 60_000);
        let mut records =
            TaskRecords::new(tepui::model::names::AddressRule::Reachable, &mut builder);
        for (i, id) in ids.iter().enumerate() {
            let node = u32::try_from(i % 200).expect("small");
            let ports = [tepui::core::naming::Port {
                number: 31_000,
                name: Some("http"),
                transport: Some(tepui::model::names::Transport::Tcp),
            }];
            records.push(&NamedTask {
                framework: "marathon",
                name: &names[i / 10],
                is_discovered: true,
                id,
                agent_id: &format!("cluster-S{node}"),
                agent: Ipv4Addr::from(0x0A00_0000 + node).into(),
                own: &[],
                is_mapped: false,
                host_ports: &[31_000],
                ports: &ports,
            });
        }
        builder.build()
    };
    let table = build();
    let began = child::thread_cpu();
    let rounds = 10;
    for _ in 0..rounds {
        std::hint::black_box(build());
    }
    let each = (child::thread_cpu() - began) / rounds;
    format!(
        "Rebuilding the table of 10,000 tasks of 1,000 apps ({} names, {} records, {:.1} MB) takes \
         {:.1} ms of processor time.",
        table.n_names(),
        table.n_records(),
        table.n_bytes() as f64 / 1e6,
        each.as_secs_f64() * 1e3
    )
}
