//! The DNS server of a node: sockets bound early, threads of its own, a table that can be swapped.
//!
//! ```text
//!  udp thread ──┐ table (swapped whole)
//!  udp thread ──┼──► answers
//!       │       │
//!       └ other names ─► runtime thread: forwarding, TCP
//! ```
//! Nothing here runs on the node's own runtime, so a busy API cannot starve names. Invariants: TCP
//! and UDP have the same port; a second process cannot bind it by accident (the TCP listener does
//! not share); closing ends every thread.
//!
//! An address that comes later, as a container engine's bridge does, gets a server of its own with
//! the same names (`Handle::server_on`).

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use ipnet::IpNet;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{mpsc, oneshot};

use super::{
    answer::{self, Transport, Whose},
    recursion::{Denied, Recursion, Ticket},
    stats::Stats,
    table::Table,
    tcp,
    udp::{self, Question},
    upstream::{self, Forwarder, IN_FLIGHT_MAX, Unanswered},
    wire::Rcode,
};
use crate::base::{rng::Rng, task::Tasks};

/// The socket buffers: a burst of queries waits here while a thread is off the processor.
const SOCKET_BUFFER_BYTES: usize = 1 << 20;
/// TCP connections that may wait to be accepted.
const TCP_BACKLOG: i32 = 1024;
/// How often a blocked UDP thread looks up, should waking it fail.
const LOOK_UP: Duration = Duration::from_secs(1);
/// Attempts to find a port that is free for UDP and TCP both.
const PORT_ATTEMPTS: usize = 16;
/// Time the runtime thread gives its connections when the server closes.
const CLOSE: Duration = Duration::from_millis(500);

/// What a server is made of besides its addresses.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// UDP threads an address; 0 picks by the number of processors.
    pub n_workers: usize,
    /// Resolvers for everything outside our zones; none means such questions are refused.
    pub upstreams: Vec<SocketAddr>,
    /// The masters' name servers, on a node that has no table of its own: names of our zones are
    /// asked there.
    pub masters: Vec<SocketAddr>,
}

/// What all threads of a server share.
pub(super) struct Shared {
    pub table: Arc<ArcSwap<Table>>,
    pub stats: Arc<Stats>,
    pub forwarder: Forwarder,
    /// Asks the masters for names of our zones while no table was published here.
    pub relay: Forwarder,
    pub recursion: Recursion,
}

/// Where a question goes that the table does not answer.
pub(super) enum Way {
    /// To an upstream; the place among the questions on their way is held until the answer.
    Upstream {
        _place: Ticket,
    },
    Masters,
}

impl Shared {
    /// Whom to ask for `client`.
    pub(super) fn way(&self, whose: Whose, client: IpAddr) -> Result<Way, Unanswered> {
        match whose {
            Whose::World => match self.recursion.admit(client, Instant::now()) {
                Ok(ticket) => Ok(Way::Upstream { _place: ticket }),
                Err(Denied::Stranger) => Err(Unanswered::NoUpstream),
                Err(Denied::TooMuch) => Err(Unanswered::Overloaded),
            },
            // No table and nobody to ask: a "no" would be remembered, a failure is asked again.
            Whose::Masters if !self.relay.has_upstreams() => Err(Unanswered::Failed),
            Whose::Masters => Ok(Way::Masters),
        }
    }

    /// Asks and waits for the reply.
    pub(super) async fn ask(
        &self,
        way: &Way,
        message: &[u8],
        transport: Transport,
    ) -> Result<Vec<u8>, Unanswered> {
        match way {
            Way::Upstream { .. } => self.forwarder.ask(message, transport).await,
            // Whoever has no master to ask says that it failed, as above.
            Way::Masters => {
                let reply = self.relay.ask(message, transport).await;
                reply.map_err(
                    |why| if why == Unanswered::Overloaded { why } else { Unanswered::Failed },
                )
            }
        }
    }

    /// The reply to a question that nobody answers; false when silence is better: where there were
    /// too many, it makes the client ask again later.
    pub(super) fn say_no(&self, query: &[u8], why: Unanswered, reply: &mut Vec<u8>) -> bool {
        let rcode = match why {
            Unanswered::Overloaded => {
                self.stats.overload();
                return false;
            }
            Unanswered::NoUpstream => Rcode::Refused,
            Unanswered::Failed => Rcode::ServFail,
        };
        self.stats.reply(rcode);
        answer::refuse(query, rcode, reply)
    }
}

/// A bound server; `run` starts it.
pub struct Server {
    listeners: Vec<Listener>,
    shared: Arc<Shared>,
    is_closing: Arc<AtomicBool>,
}

struct Listener {
    address: SocketAddr,
    udp: Vec<Arc<UdpSocket>>,
    tcp: TcpListener,
}

/// What is left in hand while a server runs. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    addresses: Arc<[SocketAddr]>,
}

impl Handle {
    /// The addresses it answers on, in the order they were asked for.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Replaces all names at once.
    pub fn publish(&self, table: Table) {
        self.shared.table.store(Arc::new(table));
    }

    /// The names now served.
    pub fn table(&self) -> Arc<Table> {
        self.shared.table.load_full()
    }

    /// Replaces the upstreams, without those that would lead back here.
    pub fn set_upstreams(&self, upstreams: &[SocketAddr]) {
        self.shared.forwarder.set_upstreams(&others(upstreams, &self.addresses));
    }

    /// Replaces the networks whose questions outside our zones are forwarded.
    pub fn allow(&self, networks: Vec<IpNet>) {
        self.shared.recursion.allow(networks);
    }

    /// A further server with the same names on `address`.
    ///
    /// # Errors
    /// When the address cannot be bound, with the reason.
    pub fn server_on(&self, address: SocketAddr) -> anyhow::Result<Server> {
        Server::bound(&[address], 0, Arc::clone(&self.shared))
    }

    pub fn stats(&self) -> &Stats {
        &self.shared.stats
    }
}

impl Server {
    /// Binds UDP and TCP on each of `addresses`; port 0 takes any port free for both.
    ///
    /// # Errors
    /// The first address that cannot be bound, with the reason.
    pub fn bind(addresses: &[SocketAddr], options: &Options, rng: Rng) -> anyhow::Result<Self> {
        let stats = Stats::of_server();
        let relay = Forwarder::new(&options.masters, rng.child("relay"), Arc::clone(&stats));
        let forwarder = Forwarder::new(&[], rng, Arc::clone(&stats));
        let (table, recursion) = (Arc::default(), Recursion::default());
        let shared = Arc::new(Shared { table, stats, forwarder, relay, recursion });
        let server = Self::bound(addresses, options.n_workers, shared)?;
        server.handle().set_upstreams(&options.upstreams);
        Ok(server)
    }

    fn bound(
        addresses: &[SocketAddr],
        n_workers: usize,
        shared: Arc<Shared>,
    ) -> anyhow::Result<Self> {
        let n_workers = match n_workers {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get() / 4).clamp(1, 4),
            n => n,
        };
        let mut listeners = Vec::with_capacity(addresses.len());
        for address in addresses {
            let listener = Listener::bind(*address, n_workers)
                .with_context(|| format!("cannot answer DNS on {address}"))?;
            listeners.push(listener);
        }
        Ok(Self { listeners, shared, is_closing: Arc::default() })
    }

    /// The first address, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.listeners.first().expect("a server is bound to an address").address
    }

    /// A handle to publish names with, before or after the start.
    pub fn handle(&self) -> Handle {
        let addresses = self.listeners.iter().map(|l| l.address).collect();
        Handle { shared: Arc::clone(&self.shared), addresses }
    }

    /// Starts the threads; they end when `tasks` is stopped. A thread that fails is fatal to it.
    pub fn run(self, tasks: &Tasks) {
        let cancelled = tasks.cancelled();
        let inner = tasks.child("dns");
        tasks.vital("dns", async move {
            let is_closing = Arc::clone(&self.is_closing);
            let sockets: Vec<_> = self.listeners.iter().flat_map(|l| l.udp.clone()).collect();
            let (ended, mut failure) = mpsc::channel(sockets.len() + 1);
            let done = self.start(&inner, ended)?;
            let outcome = tokio::select! {
                () = cancelled.cancelled() => Ok(()),
                failed = failure.recv() => failed.unwrap_or(Ok(())),
            };
            is_closing.store(true, Relaxed);
            for socket in sockets {
                // Wakes a blocked receive at once; "not connected" is the usual, harmless reply.
                let _woken = socket2::SockRef::from(&socket).shutdown(std::net::Shutdown::Both);
            }
            for thread in done {
                let _gone = thread.await;
            }
            outcome
        });
    }

    /// Starts one thread a UDP socket and one for everything else. Each receiver resolves when its
    /// thread has ended; a thread that ends with an error tells `ended`.
    fn start(
        self,
        tasks: &Tasks,
        ended: mpsc::Sender<anyhow::Result<()>>,
    ) -> anyhow::Result<Vec<oneshot::Receiver<()>>> {
        let (forward, questions) = mpsc::channel(IN_FLIGHT_MAX);
        let mut done = Vec::new();
        let mut listeners = Vec::new();
        for listener in self.listeners {
            for socket in listener.udp {
                let (shared, forward) = (Arc::clone(&self.shared), forward.clone());
                let is_closing = Arc::clone(&self.is_closing);
                let run = move || Ok(udp::run(&socket, &shared, &forward, &is_closing)?);
                done.push(thread("dns-udp", run, ended.clone())?);
            }
            listeners.push(listener.tcp);
        }
        let (shared, tasks) = (self.shared, tasks.clone());
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(slow_path(listeners, questions, shared, tasks))
        };
        done.push(thread("dns-slow", run, ended)?);
        Ok(done)
    }
}

/// TCP and forwarding, until the group is cancelled.
async fn slow_path(
    listeners: Vec<TcpListener>,
    mut questions: mpsc::Receiver<Question>,
    shared: Arc<Shared>,
    tasks: Tasks,
) -> anyhow::Result<()> {
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let served = tcp::serve(listener, Arc::clone(&shared), tasks.clone());
        tasks.connection("dns tcp listener", served);
    }
    let cancelled = tasks.cancelled();
    loop {
        tokio::select! {
            () = cancelled.cancelled() => break,
            question = questions.recv() => {
                let Some(question) = question else { break };
                let shared = Arc::clone(&shared);
                tasks.connection("dns forward", async move { forward(&shared, &question).await });
            }
        }
    }
    tasks.stop(CLOSE).await;
    Ok(())
}

/// Asks and sends what comes back.
async fn forward(shared: &Shared, question: &Question) {
    let reply = match shared.ask(&question.way, &question.message, Transport::Udp).await {
        Ok(reply) => reply,
        Err(no) => {
            let mut reply = Vec::new();
            if !shared.say_no(&question.message, no, &mut reply) {
                return;
            }
            reply
        }
    };
    if udp::send_late(question, &reply).is_err() {
        shared.stats.send_error();
    }
}

/// Starts a named thread; its error goes to `ended`.
fn thread(
    name: &str,
    run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ended: mpsc::Sender<anyhow::Result<()>>,
) -> io::Result<oneshot::Receiver<()>> {
    let (done, receiver) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        if let Err(error) = run() {
            // A full channel holds an earlier error, which is the one to tell.
            let _told = ended.try_send(Err(error));
        }
        let _waiting = done.send(());
    })?;
    Ok(receiver)
}

impl Listener {
    fn bind(address: SocketAddr, n_workers: usize) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..if address.port() == 0 { PORT_ATTEMPTS } else { 1 } {
            // TCP first: it does not share its port, so a second server fails here.
            let tcp = bind_tcp(address)?;
            let address = SocketAddr::new(address.ip(), tcp.local_addr()?.port());
            let udp: io::Result<Vec<_>> =
                (0..n_workers).map(|_| bind_udp(address).map(Arc::new)).collect();
            match udp {
                Ok(udp) => return Ok(Self { address, udp, tcp }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// With a long queue, so that many connections at once push out nobody's.
fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(TCP_BACKLOG)?;
    Ok(socket.into())
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    // As much as the kernel grants; less only means a smaller burst.
    let _granted = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _granted = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.set_read_timeout(Some(LOOK_UP))?;
    let socket = UdpSocket::from(socket);
    udp::prepare(&socket)?;
    Ok(socket)
}

/// `upstreams` without those that lead back to `own`.
fn others(upstreams: &[SocketAddr], own: &[SocketAddr]) -> Vec<SocketAddr> {
    upstreams.iter().copied().filter(|u| !upstream::is_own(*u, own)).collect()
}
