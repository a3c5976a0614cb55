//! Forwarding: questions outside our zones go to other resolvers, their answers come back raw.
//!
//! Invariants: at most `IN_FLIGHT_MAX` questions are on their way; each asks under a random id from
//! a fresh port and takes only the reply that repeats its question; equal questions share one
//! journey, which saves work and keeps a loop of forwarders from multiplying. Nothing is cached,
//! as in the original (docs/compat/dns.md, "Forwarding").

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    sync::{Semaphore, watch},
    time::timeout,
};

use super::{
    answer::Transport,
    stats::Stats,
    wire::{self, HEADER_BYTES},
};
use crate::base::rng::Rng;

/// Questions on their way at a time, as in the original; past that new ones are dropped.
pub const IN_FLIGHT_MAX: usize = 1024;
/// How long one upstream may take, as in the original.
const UPSTREAM_WAIT: Duration = Duration::from_secs(5);
/// How long a question may take in all, as in the original.
const QUESTION_WAIT: Duration = Duration::from_secs(10);
/// The next upstream is asked too when one has been silent for this long: longer than nearly every
/// answered question takes, shorter than a client's first retry (1 s at the least).
const HEDGE_AFTER: Duration = Duration::from_millis(300);
/// Upstreams asked for one question at most.
const UPSTREAMS_ASKED_MAX: usize = 3;
/// Largest datagram taken from an upstream: what the largest common EDNS size allows.
const REPLY_BYTES_MAX: usize = 4096;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// No upstream is configured, or none for this client.
    NoUpstream,
    /// Too many questions are on their way.
    Overloaded,
    /// Every upstream failed or stayed silent.
    Failed,
}

struct Upstream {
    address: SocketAddr,
    /// Failures since the last success: the order in which upstreams are asked.
    n_failed: AtomicU32,
}

type Outcome = Option<Arc<[u8]>>;

/// Asks upstreams. Shared by all servers of a node.
pub struct Forwarder {
    upstreams: ArcSwap<Vec<Upstream>>,
    room: Semaphore,
    /// Journeys by what is asked: the message without its id, and the transport.
    journeys: Mutex<HashMap<(Transport, Vec<u8>), watch::Receiver<Outcome>>>,
    rng: Mutex<Rng>,
    stats: Arc<Stats>,
}

impl Forwarder {
    /// A forwarder to `upstreams`, asked in this order while none has failed.
    pub fn new(upstreams: &[SocketAddr], rng: Rng, stats: Arc<Stats>) -> Self {
        let forwarder = Self {
            upstreams: ArcSwap::default(),
            room: Semaphore::new(IN_FLIGHT_MAX),
            journeys: Mutex::default(),
            rng: Mutex::new(rng),
            stats,
        };
        forwarder.set_upstreams(upstreams);
        forwarder
    }

    /// Replaces the upstreams; questions on their way end as they began.
    pub fn set_upstreams(&self, upstreams: &[SocketAddr]) {
        let fresh = |address: &SocketAddr| Upstream { address: *address, n_failed: 0.into() };
        self.upstreams.store(Arc::new(upstreams.iter().map(fresh).collect()));
    }

    pub fn has_upstreams(&self) -> bool {
        !self.upstreams.load().is_empty()
    }

    /// Asks `message`, a well-formed query, and returns the first upstream's reply under the
    /// query's own id.
    ///
    /// # Errors
    /// `Unanswered` says what to tell the client.
    pub async fn ask(&self, message: &[u8], transport: Transport) -> Result<Vec<u8>, Unanswered> {
        if !self.has_upstreams() {
            return Err(Unanswered::NoUpstream);
        }
        let key = (transport, message[2..].to_vec());
        let joined = self.journeys.lock().get(&key).cloned();
        let outcome = match joined {
            Some(journey) => {
                self.stats.joined();
                join(journey).await
            }
            None => self.travel(message, key).await?,
        };
        let mut reply = outcome.ok_or(Unanswered::Failed)?.to_vec();
        reply[..2].copy_from_slice(&message[..2]);
        Ok(reply)
    }

    async fn travel(
        &self,
        message: &[u8],
        key: (Transport, Vec<u8>),
    ) -> Result<Outcome, Unanswered> {
        let _room = self.room.try_acquire().map_err(|_| Unanswered::Overloaded)?;
        self.stats.forwarded();
        let (sender, receiver) = watch::channel(None);
        self.journeys.lock().insert(key.clone(), receiver);
        // Taken off however this future ends; whoever joined then sees the sender gone.
        let entry = Listed { journeys: &self.journeys, key };
        let asked = self.ask_in_turn(message, entry.key.0);
        let outcome = timeout(QUESTION_WAIT, asked).await.ok().flatten();
        drop(entry);
        sender.send_replace(outcome.clone());
        Ok(outcome)
    }

    /// Asks upstreams one after another, the next one when the last has failed or been silent for
    /// a while; the first usable reply wins, else the first one that merely refused.
    async fn ask_in_turn(&self, message: &[u8], transport: Transport) -> Outcome {
        let upstreams = self.upstreams.load_full();
        let mut order: Vec<&Upstream> = upstreams.iter().collect();
        order.sort_by_key(|u| u.n_failed.load(Relaxed));
        let mut waiting = order.into_iter().take(UPSTREAMS_ASKED_MAX);
        let mut asked = FuturesUnordered::new();
        asked.push(self.ask_one(waiting.next()?, message, transport));
        let mut unwilling = None;
        loop {
            tokio::select! {
                reply = asked.next() => match reply {
                    Some(Some(reply)) if is_final(&reply) => return Some(reply),
                    Some(reply) => {
                        unwilling = unwilling.or(reply);
                        if let Some(next) = waiting.next() {
                            asked.push(self.ask_one(next, message, transport));
                        }
                    }
                    None => return unwilling,
                },
                () = tokio::time::sleep(HEDGE_AFTER), if waiting.len() > 0 => {
                    if let Some(next) = waiting.next() {
                        asked.push(self.ask_one(next, message, transport));
                    }
                }
            }
        }
    }

    async fn ask_one(&self, upstream: &Upstream, message: &[u8], transport: Transport) -> Outcome {
        let mut own = message.to_vec();
        self.rng.lock().fill(&mut own[..2]);
        let exchange = async {
            match transport {
                Transport::Udp => over_udp(upstream.address, &own).await,
                Transport::Tcp => over_tcp(upstream.address, &own).await,
            }
        };
        match timeout(UPSTREAM_WAIT, exchange).await {
            Ok(Ok(reply)) => {
                upstream.n_failed.store(0, Relaxed);
                Some(reply.into())
            }
            outcome => {
                let error = outcome.err().map_or("failed", |_| "silent");
                tracing::debug!(upstream = %upstream.address, error, "upstream gave no answer");
                self.stats.upstream_error();
                upstream.n_failed.fetch_add(1, Relaxed);
                None
            }
        }
    }
}

/// A journey's place in the list.
struct Listed<'a> {
    journeys: &'a Mutex<HashMap<(Transport, Vec<u8>), watch::Receiver<Outcome>>>,
    key: (Transport, Vec<u8>),
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.journeys.lock().remove(&self.key);
    }
}

/// Waits for somebody else's journey.
async fn join(mut journey: watch::Receiver<Outcome>) -> Outcome {
    let done = timeout(QUESTION_WAIT, journey.wait_for(Option::is_some)).await;
    done.ok().and_then(Result::ok).and_then(|outcome| outcome.clone())
}

/// SERVFAIL and REFUSED say more about the upstream than about the name.
fn is_final(reply: &[u8]) -> bool {
    !matches!(wire::u16_at(reply, 2) & 0xF, 2 | 5)
}

async fn over_udp(upstream: SocketAddr, message: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: IpAddr = match upstream {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Port 0: the kernel picks one at random, which together with the id guards against forgery.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(upstream).await?;
    socket.send(message).await?;
    let mut buffer = vec![0; REPLY_BYTES_MAX];
    loop {
        let n = socket.recv(&mut buffer).await?;
        if is_reply_to(&buffer[..n], message) {
            buffer.truncate(n);
            return Ok(buffer);
        }
    }
}

async fn over_tcp(upstream: SocketAddr, message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(upstream).await?;
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], message].concat()).await?;
    let mut buffer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut buffer).await?;
    if is_reply_to(&buffer, message) {
        Ok(buffer)
    } else {
        Err(std::io::ErrorKind::InvalidData.into())
    }
}

/// Whether `reply` has the id of `query`, is a response and repeats the question. Some servers
/// leave the question out of an error.
fn is_reply_to(reply: &[u8], query: &[u8]) -> bool {
    let Ok(asked) = wire::parse(query) else { return false };
    if reply.len() < HEADER_BYTES
        || reply[..2] != query[..2]
        || wire::u16_at(reply, 2) & wire::FLAG_RESPONSE == 0
    {
        return false;
    }
    let rest = &reply[HEADER_BYTES..];
    match wire::u16_at(reply, 4) {
        0 => wire::u16_at(reply, 2) & 0xF != 0,
        1 => {
            rest.get(..asked.question.len()).is_some_and(|q| q.eq_ignore_ascii_case(asked.question))
        }
        _ => false,
    }
}

/// The resolvers a `resolv.conf` names, without addresses of our own: those would loop.
pub fn parse_resolv_conf(text: &str, own: &[SocketAddr]) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            (words.next()? == "nameserver").then_some(())?;
            let ip: IpAddr = words.next()?.parse().ok()?;
            Some(SocketAddr::new(ip, 53))
        })
        .filter(|upstream| !is_own(*upstream, own))
        .collect()
}

/// The machine's resolvers; none when the file cannot be read.
pub fn system_upstreams(own: &[SocketAddr]) -> Vec<SocketAddr> {
    match std::fs::read_to_string("/etc/resolv.conf") {
        Ok(text) => parse_resolv_conf(&text, own),
        Err(error) => {
            tracing::warn!(%error, "cannot read /etc/resolv.conf, forwarding is off");
            Vec::new()
        }
    }
}

/// Whether a question sent to `upstream` would come back to us: it is one of our listeners, or an
/// address that belongs to the node resolver on every node.
pub fn is_own(upstream: SocketAddr, own: &[SocketAddr]) -> bool {
    let is_node_resolver =
        matches!(upstream.ip(), IpAddr::V4(ip) if matches!(ip.octets(), [198, 51, 100, 1..=3]));
    let is_listener = |own: &SocketAddr| {
        own.port() == upstream.port()
            && (own.ip() == upstream.ip()
                || (own.ip().is_unspecified() && upstream.ip().is_loopback()))
    };
    is_node_resolver || own.iter().any(is_listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query for `a.b`, type A, and a reply to it changed by whoever would like to be believed.
    #[test]
    fn only_the_reply_to_the_question_is_taken() {
        let question = b"\x01a\x01b\0\0\x01\0\x01";
        let query = [&[7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], question].concat();
        let good = [&[7, 9, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0][..], question].concat();
        let changed = |at: usize, value: u8| {
            let mut reply = good.clone();
            reply[at] = value;
            reply
        };
        let mut other_case = good.clone();
        other_case[13].make_ascii_uppercase();
        let refused = [7, 9, 0x81, 0x85, 0, 0, 0, 0, 0, 0, 0, 0];
        let empty = [7, 9, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
        for (what, reply, is_taken) in [
            ("itself", good.clone(), true),
            ("in another case", other_case, true),
            ("a longer one", [&good[..], &[0; 20]].concat(), true),
            ("an error without a question", refused.to_vec(), true),
            ("nothing at all", empty.to_vec(), false),
            ("another id", changed(1, 10), false),
            ("a query", changed(2, 1), false),
            ("another name", changed(13, b'c'), false),
            ("another type", changed(18, 28), false),
            ("another class", changed(20, 3), false),
            ("two questions", changed(5, 2), false),
            ("cut in the question", good[..good.len() - 1].to_vec(), false),
            ("cut in the header", good[..11].to_vec(), false),
            ("no bytes", Vec::new(), false),
        ] {
            assert_eq!(is_reply_to(&reply, &query), is_taken, "{what}");
        }
    }

    #[test]
    fn a_question_is_never_sent_to_ourselves() {
        let own: Vec<SocketAddr> =
            ["0.0.0.0:53", "10.0.0.1:5300"].map(|text| text.parse().unwrap()).to_vec();
        for (upstream, is_ours) in [
            ("127.0.0.1:53", true),
            ("127.9.9.9:53", true),
            ("0.0.0.0:53", true),
            ("127.0.0.1:5353", false),
            ("10.0.0.1:5300", true),
            ("10.0.0.1:53", false),
            ("10.0.0.2:5300", false),
            ("198.51.100.1:53", true),
            ("198.51.100.3:9", true),
            ("198.51.100.4:53", false),
            ("9.9.9.9:53", false),
        ] {
            assert_eq!(is_own(upstream.parse().unwrap(), &own), is_ours, "{upstream}");
        }
    }

    #[test]
    fn resolv_conf_gives_upstreams_without_ourselves() {
        let text = "# local\nnameserver 198.51.100.1\nnameserver 127.0.0.1\n search x\n\
                    nameserver 10.0.0.2 # one\nnameserver fd00::1\nnameserver nonsense\nnameserver";
        let own: SocketAddr = "0.0.0.0:53".parse().unwrap();
        let want: Vec<SocketAddr> =
            vec!["10.0.0.2:53".parse().unwrap(), "[fd00::1]:53".parse().unwrap()];
        assert_eq!(parse_resolv_conf(text, &[own]), want);
        let elsewhere: SocketAddr = "127.0.0.1:5300".parse().unwrap();
        assert_eq!(parse_resolv_conf(text, &[elsewhere]).len(), 3);
    }
}
