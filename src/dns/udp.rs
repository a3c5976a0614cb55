//! The UDP loop: batches of queries in by `recvmmsg`, batches of answers out by `sendmmsg`.
//!
//! One thread a socket, nothing shared but the table and the counters, no allocation per query.
//! A batch is whatever is waiting, up to `BATCH`: at low load each query is answered at once, at
//! high load the system calls are shared. Questions for upstreams are handed to `serve`'s runtime.
//! Invariant: a reply leaves from the address that was asked, also on a wildcard socket.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use nix::{
    cmsg_space,
    errno::Errno,
    libc,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6,
        SockaddrLike, recvmmsg, sendmmsg, sendmsg, setsockopt, sockopt,
    },
};
use tokio::sync::mpsc;

use super::{
    answer::{self, Transport, UDP_BYTES_MAX, Verdict},
    serve::{Shared, Way},
};

/// Messages a system call moves at most. Beyond 32 nothing is gained (measured).
const BATCH: usize = 32;
/// Largest query taken. Real ones stay below 512 bytes; options may add a little.
const QUERY_BYTES_MAX: usize = 2048;
/// Failed receives in a row before the loop gives up.
const FAILURES_MAX: u32 = 100;

/// A question for upstreams, with the way back to the client.
pub(super) struct Question {
    pub message: Vec<u8>,
    pub socket: Arc<UdpSocket>,
    pub client: SocketAddr,
    pub local: Option<IpAddr>,
    pub way: Way,
}

/// A query of the current batch.
struct Received<S> {
    n_bytes: usize,
    client: Option<S>,
    /// The address that was asked, on a wildcard socket.
    local: Option<IpAddr>,
}

/// Makes a wildcard socket tell which address each query came to.
pub(super) fn prepare(socket: &UdpSocket) -> io::Result<()> {
    let local = socket.local_addr()?;
    if local.ip().is_unspecified() {
        if local.is_ipv4() {
            setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
        } else {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
    }
    Ok(())
}

/// Serves `socket` until the server closes.
///
/// # Errors
/// When the socket fails for good.
pub(super) fn run(
    socket: &Arc<UdpSocket>,
    shared: &Shared,
    forward: &mpsc::Sender<Question>,
    is_closing: &AtomicBool,
) -> io::Result<()> {
    let local = socket.local_addr()?;
    let is_wildcard = local.ip().is_unspecified();
    if local.is_ipv4() {
        Worker::<SockaddrIn>::new(socket, shared, forward, is_wildcard).run(is_closing)
    } else {
        Worker::<SockaddrIn6>::new(socket, shared, forward, is_wildcard).run(is_closing)
    }
}

/// Sends a late answer, made outside the loop.
pub(super) fn send_late(question: &Question, reply: &[u8]) -> io::Result<()> {
    let sent = match question.client {
        SocketAddr::V4(to) => send_one(question, &SockaddrIn::from(to), reply),
        SocketAddr::V6(to) => send_one(question, &SockaddrIn6::from(to), reply),
    };
    sent.map(drop).map_err(io::Error::from)
}

fn send_one<S: SockaddrLike>(question: &Question, to: &S, reply: &[u8]) -> nix::Result<usize> {
    let iov = [IoSlice::new(reply)];
    let fd = question.socket.as_raw_fd();
    with_source(question.local, |source| {
        sendmsg(fd, &iov, source, MsgFlags::MSG_DONTWAIT, Some(to))
    })
}

/// Calls `send` with the control message that sets the source address.
fn with_source<T>(local: Option<IpAddr>, send: impl FnOnce(&[ControlMessage<'_>]) -> T) -> T {
    match local {
        None => send(&[]),
        Some(IpAddr::V4(ip)) => {
            let source = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            send(&[ControlMessage::Ipv4PacketInfo(&source)])
        }
        Some(IpAddr::V6(ip)) => {
            let source = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
                ipi6_ifindex: 0,
            };
            send(&[ControlMessage::Ipv6PacketInfo(&source)])
        }
    }
}

struct Worker<'a, S> {
    socket: &'a Arc<UdpSocket>,
    shared: &'a Shared,
    forward: &'a mpsc::Sender<Question>,
    is_wildcard: bool,
    queries: Vec<u8>,
    received: Vec<Received<S>>,
    replies: Vec<Vec<u8>>,
    heads_in: MultiHeaders<S>,
    heads_out: MultiHeaders<S>,
}

impl<'a, S> Worker<'a, S>
where
    S: SockaddrLike + Copy + Into<SocketAddr>,
{
    fn new(
        socket: &'a Arc<UdpSocket>,
        shared: &'a Shared,
        forward: &'a mpsc::Sender<Question>,
        is_wildcard: bool,
    ) -> Self {
        // Room for the larger of the two kinds of packet information.
        let control = || is_wildcard.then(|| cmsg_space!(libc::in6_pktinfo));
        Self {
            socket,
            shared,
            forward,
            is_wildcard,
            queries: vec![0; BATCH * QUERY_BYTES_MAX],
            received: Vec::with_capacity(BATCH),
            replies: (0..BATCH).map(|_| Vec::with_capacity(UDP_BYTES_MAX)).collect(),
            heads_in: MultiHeaders::preallocate(BATCH, control()),
            heads_out: MultiHeaders::preallocate(BATCH, None),
        }
    }

    fn run(mut self, is_closing: &AtomicBool) -> io::Result<()> {
        let mut n_failed = 0;
        while !is_closing.load(Relaxed) {
            match self.receive() {
                Ok(()) => n_failed = 0,
                // The receive time-out of the socket: a chance to see that we are closing.
                Err(Errno::EINTR | Errno::EAGAIN) => continue,
                Err(_) if is_closing.load(Relaxed) => break,
                Err(error) => {
                    n_failed += 1;
                    if n_failed >= FAILURES_MAX {
                        return Err(error.into());
                    }
                    continue;
                }
            }
            self.answer();
            self.send();
        }
        Ok(())
    }

    /// Waits for one query and takes what else is there.
    fn receive(&mut self) -> nix::Result<()> {
        self.received.clear();
        if self.is_wildcard {
            // The kernel shrinks the room for control data to what it used; start anew.
            let control = Some(cmsg_space!(libc::in6_pktinfo));
            self.heads_in = MultiHeaders::preallocate(BATCH, control);
        }
        let mut chunks = self.queries.chunks_exact_mut(QUERY_BYTES_MAX);
        let mut slices: [_; BATCH] = std::array::from_fn(|_| {
            [IoSliceMut::new(chunks.next().expect("the buffer holds a batch"))]
        });
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::MSG_WAITFORONE;
        for message in recvmmsg(fd, &mut self.heads_in, slices.iter_mut(), flags, None)? {
            let local = if self.is_wildcard {
                message.cmsgs().ok().and_then(|mut all| all.find_map(local_address))
            } else {
                None
            };
            let is_whole = !message.flags.contains(MsgFlags::MSG_TRUNC);
            let n_bytes = if is_whole { message.bytes } else { 0 };
            self.received.push(Received { n_bytes, client: message.address, local });
        }
        Ok(())
    }

    /// Fills `replies`; an empty one is not sent.
    fn answer(&mut self) {
        let table = self.shared.table.load();
        let queries = self.queries.chunks_exact(QUERY_BYTES_MAX);
        for ((received, query), reply) in self.received.iter().zip(queries).zip(&mut self.replies) {
            let query = &query[..received.n_bytes];
            self.shared.stats.udp_query();
            match answer::answer(&table, query, Transport::Udp, reply) {
                Verdict::Reply(rcode) => self.shared.stats.reply(rcode),
                Verdict::Drop => {
                    self.shared.stats.dropped();
                    reply.clear();
                }
                Verdict::Elsewhere(whose) => {
                    reply.clear();
                    let Some(client) = received.client.map(Into::<SocketAddr>::into) else {
                        continue;
                    };
                    let way = match self.shared.way(whose, client.ip()) {
                        Ok(way) => way,
                        Err(no) => {
                            if !self.shared.say_no(query, no, reply) {
                                reply.clear();
                            }
                            continue;
                        }
                    };
                    let question = Question {
                        message: query.to_vec(),
                        socket: Arc::clone(self.socket),
                        client,
                        local: received.local,
                        way,
                    };
                    if self.forward.try_send(question).is_err() {
                        self.shared.stats.overload();
                    }
                }
            }
        }
    }

    /// Sends the replies; one that cannot be sent is skipped, its client will ask again.
    fn send(&mut self) {
        if self.is_wildcard {
            self.send_each();
            return;
        }
        let fd = self.socket.as_raw_fd();
        let mut addresses = [None; BATCH];
        let mut slices: [_; BATCH] = std::array::from_fn(|_| [IoSlice::new(&[])]);
        let mut n_out = 0;
        for (received, reply) in self.received.iter().zip(&self.replies) {
            if !reply.is_empty() {
                addresses[n_out] = received.client;
                slices[n_out] = [IoSlice::new(reply)];
                n_out += 1;
            }
        }
        let mut at = 0;
        while at < n_out {
            let (slices, addresses) = (&slices[at..n_out], &addresses[at..n_out]);
            let flags = MsgFlags::empty();
            match sendmmsg(fd, &mut self.heads_out, slices, addresses, [], flags) {
                Ok(sent) => at += sent.count().max(1),
                Err(Errno::EINTR) => {}
                Err(_) => {
                    self.shared.stats.send_error();
                    at += 1;
                }
            }
        }
    }

    /// The same one by one, each from the address that was asked.
    fn send_each(&mut self) {
        let fd = self.socket.as_raw_fd();
        for (received, reply) in self.received.iter().zip(&self.replies) {
            if reply.is_empty() {
                continue;
            }
            let iov = [IoSlice::new(reply)];
            let sent = with_source(received.local, |source| {
                sendmsg(fd, &iov, source, MsgFlags::empty(), received.client.as_ref())
            });
            if sent.is_err() {
                self.shared.stats.send_error();
            }
        }
    }
}

fn local_address(control: ControlMessageOwned) -> Option<IpAddr> {
    match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes()))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    }
}
