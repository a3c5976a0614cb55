//! Everybody connected to this process at once: how many connections, from whom, and what they hold.
//!
//! A stranger is a connection that no request has shown a good credential on. All strangers
//! together are few and hold little; when there are more, the newest is let in and the oldest of
//! the address that has most is sent away, so that whoever wants to sign in gets through. A
//! connection that has shown who it acts for is counted apart, and what it holds too.
//!
//! | what | bound by | past it |
//! |---|---|---|
//! | connections | descriptors of the process, less a reserve | a stranger leaves, else 503 by a closed door |
//! | connections of one address | half of all | as above |
//! | strangers, strangers of one address | `Bounds` | the oldest leaves |
//! | bytes of heads and bodies being read | `Bounds`, by kind and by address | 429 for the address, 503 for all |
//! | processor time of strangers | `base::pace`, by address and for all | they stand still for a while |
//!
//! Reverse proxies and the machine itself bring many callers from one address: the loopback's
//! shares are larger.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::metrics::{self, Why};
use crate::base::{
    address, limit,
    pace::{Paces, Purse},
};

/// What a crowd may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub connections_max: usize,
    /// Connections no credential was shown on.
    pub strangers_max: usize,
    pub strangers_per_peer_max: usize,
    pub strangers_local_max: usize,
    /// Bytes of requests strangers hold.
    pub stranger_bytes_max: usize,
    pub stranger_bytes_per_peer_max: usize,
    /// Bytes of requests everybody else holds.
    pub bytes_max: usize,
}

impl Bounds {
    /// For a process that may open `n_descriptors` files.
    pub fn of_descriptors(n_descriptors: usize) -> Self {
        let reserve = limit::DESCRIPTORS_RESERVE.max(n_descriptors / 4);
        // One that is passed on to a service takes a second descriptor.
        let n = n_descriptors.saturating_sub(reserve) / 2;
        let connections_max = n.clamp(limit::CONNECTIONS_MIN, limit::CONNECTIONS_MAX);
        let strangers_max = limit::STRANGERS_MAX.min(connections_max / 2);
        Self {
            connections_max,
            strangers_max,
            strangers_per_peer_max: strangers_max / 3,
            strangers_local_max: strangers_max * 2 / 3,
            stranger_bytes_max: limit::STRANGER_BYTES_MAX,
            stranger_bytes_per_peer_max: limit::STRANGER_BYTES_MAX / 3,
            bytes_max: limit::KNOWN_BYTES_MAX,
        }
    }

    fn strangers_of(&self, peer: IpAddr) -> usize {
        if peer.is_loopback() { self.strangers_local_max } else { self.strangers_per_peer_max }
    }

    fn stranger_bytes_of(&self, peer: IpAddr) -> usize {
        let share = self.stranger_bytes_per_peer_max;
        if peer.is_loopback() { share * 2 } else { share }
    }
}

/// Why more bytes are not read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("your address is sending too much at a time; try again in a moment")]
    Peer,
    #[error("too much is being received at a time; try again in a moment")]
    All,
}

/// All connections that share bounds. Share one by `Arc`.
pub struct Crowd {
    bounds: Bounds,
    inner: Mutex<Inner>,
    n_sent_away: AtomicU64,
    paces: Paces,
}

#[derive(Default)]
struct Inner {
    next: u64,
    n_seats: usize,
    n_strangers: usize,
    stranger_bytes: usize,
    known_bytes: usize,
    peers: HashMap<IpAddr, Peer>,
}

#[derive(Default)]
struct Peer {
    n_seats: usize,
    /// Oldest first.
    strangers: BTreeMap<u64, CancellationToken>,
    stranger_bytes: usize,
    known_bytes: usize,
}

impl Crowd {
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Self::paced(bounds, Paces::default())
    }

    fn paced(bounds: Bounds, paces: Paces) -> Arc<Self> {
        let (inner, n_sent_away) = (Mutex::default(), AtomicU64::new(0));
        Arc::new(Self { bounds, inner, n_sent_away, paces })
    }

    /// The one crowd of this process: descriptors and memory are the process's.
    pub fn of_process() -> Arc<Self> {
        static CROWD: OnceLock<Arc<Crowd>> = OnceLock::new();
        let bounds = || Bounds::of_descriptors(raise_descriptors());
        CROWD.get_or_init(|| Self::paced(bounds(), Paces::of_process())).clone()
    }

    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Connections that were closed to make room.
    pub fn n_sent_away(&self) -> u64 {
        self.n_sent_away.load(Ordering::Relaxed)
    }

    /// Takes a place for a connection; `None` when there is none and nobody can be sent away, or
    /// when its address has kept a processor busy for too long already.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Arc<Seat>> {
        let Some(purse) = self.paces.admit(peer) else {
            metrics::refused(peer, Why::Pace);
            return None;
        };
        let seat = self.take_place(peer, purse);
        if seat.is_none() {
            metrics::refused(peer, Why::Crowd);
        }
        seat
    }

    fn take_place(self: &Arc<Self>, peer: IpAddr, purse: Arc<Purse>) -> Option<Arc<Seat>> {
        let peer = address::owner(peer);
        let mut inner = self.inner.lock();
        let of_peer = inner.peers.get(&peer);
        let n_own = of_peer.map_or(0, |p| p.n_seats);
        let n_own_strangers = of_peer.map_or(0, |p| p.strangers.len());
        let own_full = n_own >= self.bounds.connections_max.div_ceil(2);
        if own_full || n_own_strangers >= self.bounds.strangers_of(peer) {
            if !self.send_away(&mut inner, peer) {
                return None;
            }
        } else if inner.n_strangers >= self.bounds.strangers_max
            || inner.n_seats >= self.bounds.connections_max
        {
            let most = inner.peers.iter().max_by_key(|(_, p)| p.strangers.len());
            let most = most.map(|(ip, _)| *ip)?;
            if !self.send_away(&mut inner, most) {
                return None;
            }
        }
        let id = inner.next;
        inner.next += 1;
        inner.n_seats += 1;
        inner.n_strangers += 1;
        let leave = CancellationToken::new();
        let entry = inner.peers.entry(peer).or_default();
        entry.n_seats += 1;
        entry.strangers.insert(id, leave.clone());
        drop(inner);
        let (known, requests) = (AtomicBool::new(false), AtomicU64::new(0));
        let crowd = self.clone();
        Some(Arc::new(Seat { crowd, id, peer, purse, leave, known, requests }))
    }

    /// Tells the oldest stranger of `peer` to leave; false when there is none.
    fn send_away(&self, inner: &mut Inner, peer: IpAddr) -> bool {
        let Some((_, leave)) = inner.peers.get_mut(&peer).and_then(|p| p.strangers.pop_first())
        else {
            return false;
        };
        inner.n_strangers -= 1;
        leave.cancel();
        let n = self.n_sent_away.fetch_add(1, Ordering::Relaxed) + 1;
        if n.is_power_of_two() {
            tracing::warn!(%peer, n, "connections without a credential are closed to make room");
        }
        true
    }
}

/// One connection's place; given back when dropped.
pub struct Seat {
    crowd: Arc<Crowd>,
    id: u64,
    peer: IpAddr,
    purse: Arc<Purse>,
    leave: CancellationToken,
    known: AtomicBool,
    /// Requests taken so far in the upper half, those being answered in the lower.
    requests: AtomicU64,
}

/// One request in `Seat::requests`: taken, and being answered.
const TAKEN: u64 = 1 << 32;
const OPEN: u64 = 1;

impl Seat {
    /// A request on this connection showed a good credential.
    pub fn vouch(&self) {
        // Looked at first: it is said again with every request.
        if self.is_known() || self.known.swap(true, Ordering::Relaxed) {
            return;
        }
        self.purse.free();
        let mut inner = self.crowd.inner.lock();
        let gone = inner.peers.get_mut(&self.peer).and_then(|p| p.strangers.remove(&self.id));
        if gone.is_some() {
            inner.n_strangers -= 1;
        }
    }

    /// Whether a good credential was shown.
    pub fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// What the connection pays with for the processor.
    pub fn purse(&self) -> &Arc<Purse> {
        &self.purse
    }

    /// Resolves when the connection is to be closed whatever happens on it.
    pub async fn unwanted(&self) -> Why {
        tokio::select! {
            () = self.leave.cancelled() => Why::SentAway,
            () = self.idle() => Why::Idle,
        }
    }

    /// Resolves when nobody is known on the connection and it has asked for nothing for a while,
    /// whatever it says to stay open.
    async fn idle(&self) {
        let mut seen = None;
        loop {
            tokio::time::sleep(limit::STRANGER_IDLE).await;
            let now = self.idle_since_request().filter(|_| !self.is_known());
            if now.is_some() && now == seen {
                return;
            }
            seen = now;
        }
    }

    /// Counts a request while it is being answered.
    pub fn serve(&self) -> Serving<'_> {
        self.requests.fetch_add(TAKEN + OPEN, Ordering::Relaxed);
        Serving(self)
    }

    /// Requests taken so far, when none is open; `None` while one is.
    fn idle_since_request(&self) -> Option<u64> {
        let requests = self.requests.load(Ordering::Relaxed);
        requests.is_multiple_of(TAKEN).then_some(requests / TAKEN)
    }

    /// An empty account of bytes this connection's request holds.
    pub fn hold(self: &Arc<Self>) -> Hold {
        Hold { seat: self.clone(), as_known: self.is_known(), n_bytes: 0 }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.crowd.inner.lock();
        inner.n_seats -= 1;
        let Some(peer) = inner.peers.get_mut(&self.peer) else { return };
        peer.n_seats -= 1;
        let was_stranger = peer.strangers.remove(&self.id).is_some();
        if peer.n_seats == 0 {
            inner.peers.remove(&self.peer);
        }
        if was_stranger {
            inner.n_strangers -= 1;
        }
    }
}

/// A request being answered.
pub struct Serving<'a>(&'a Seat);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(OPEN, Ordering::Relaxed);
    }
}

/// Bytes a request holds in memory; given back when dropped.
pub struct Hold {
    seat: Arc<Seat>,
    /// Under whose account: a connection that becomes known meanwhile keeps it to the end.
    as_known: bool,
    n_bytes: usize,
}

impl Hold {
    /// Takes `n` more bytes.
    pub fn grow(&mut self, n: usize) -> Result<(), Full> {
        self.take(n).inspect_err(|_| metrics::refused(self.seat.peer, Why::Memory))
    }

    fn take(&mut self, n: usize) -> Result<(), Full> {
        let bounds = &self.seat.crowd.bounds;
        let mut inner = self.seat.crowd.inner.lock();
        let inner = &mut *inner;
        let Some(peer) = inner.peers.get_mut(&self.seat.peer) else { return Err(Full::All) };
        let (of_peer, of_all, peer_max, all_max) = if self.as_known {
            let max = bounds.bytes_max;
            (&mut peer.known_bytes, &mut inner.known_bytes, max / 2, max)
        } else {
            let max = bounds.stranger_bytes_of(self.seat.peer);
            (&mut peer.stranger_bytes, &mut inner.stranger_bytes, max, bounds.stranger_bytes_max)
        };
        if *of_peer + n > peer_max {
            return Err(Full::Peer);
        }
        if *of_all + n > all_max {
            return Err(Full::All);
        }
        *of_peer += n;
        *of_all += n;
        self.n_bytes += n;
        Ok(())
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hold({} bytes)", self.n_bytes)
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seat({} of {})", self.id, self.peer)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut inner = self.seat.crowd.inner.lock();
        let inner = &mut *inner;
        let of_all = if self.as_known { &mut inner.known_bytes } else { &mut inner.stranger_bytes };
        *of_all -= self.n_bytes;
        if let Some(peer) = inner.peers.get_mut(&self.seat.peer) {
            let of_peer =
                if self.as_known { &mut peer.known_bytes } else { &mut peer.stranger_bytes };
            *of_peer -= self.n_bytes;
        }
    }
}

/// Raises the number of files this process may open to what it is allowed at all, and tells it.
fn raise_descriptors() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    const USUAL: u64 = 1024;
    let n = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if soft < hard => {
            let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
            if let Err(error) = &raised {
                tracing::warn!(%error, soft, "the number of open files stays as it is");
            }
            if raised.is_ok() { hard } else { soft }
        }
        Ok((soft, _)) => soft,
        Err(_) => USUAL,
    };
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn crowd() -> Arc<Crowd> {
        Crowd::new(Bounds {
            connections_max: 20,
            strangers_max: 8,
            strangers_per_peer_max: 6,
            strangers_local_max: 6,
            stranger_bytes_max: 100,
            stranger_bytes_per_peer_max: 60,
            bytes_max: 1000,
        })
    }

    fn n_told(seats: &[Arc<Seat>]) -> usize {
        seats.iter().filter(|s| s.leave.is_cancelled()).count()
    }

    #[test]
    fn many_strangers_of_one_address_push_out_each_other_only() {
        let crowd = crowd();
        let owner = crowd.enter(OWNER).unwrap();
        let others: Vec<_> = (0..50).map(|_| crowd.enter(OTHER).unwrap()).collect();
        assert_eq!(n_told(&others), 44);
        assert!(others[..44].iter().all(|s| s.leave.is_cancelled()), "the oldest go first");
        assert!(!owner.leave.is_cancelled());
        drop(others);
        assert_eq!(crowd.inner.lock().peers.len(), 1);
        assert_eq!(crowd.inner.lock().n_seats, 1);
    }

    #[test]
    fn whoever_comes_newly_gets_in_past_many_addresses() {
        let crowd = crowd();
        let strangers: Vec<_> = (10..18)
            .map(|n| crowd.enter(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 1, n))).unwrap())
            .collect();
        let owner = crowd.enter(OWNER).unwrap();
        assert_eq!(n_told(&strangers), 1);
        owner.vouch();
        drop(strangers);
        assert_eq!(crowd.inner.lock().n_strangers, 0);
    }

    #[test]
    fn the_known_are_never_sent_away_and_leave_half_the_places() {
        let crowd = crowd();
        let known: Vec<_> = (0..10)
            .map(|_| {
                let seat = crowd.enter(OTHER).unwrap();
                seat.vouch();
                seat
            })
            .collect();
        assert!(crowd.enter(OTHER).is_none(), "one address holds half at most");
        assert!(crowd.enter(OWNER).is_some());
        assert_eq!(n_told(&known), 0);
    }

    #[test]
    fn bytes_are_lent_by_kind_and_address() {
        let crowd = crowd();
        let (a, b) = (crowd.enter(OWNER).unwrap(), crowd.enter(OTHER).unwrap());
        let (mut of_a, mut of_b) = (a.hold(), b.hold());
        of_a.grow(60).unwrap();
        assert_eq!(of_a.grow(1), Err(Full::Peer));
        assert_eq!(of_b.grow(41), Err(Full::All));
        of_b.grow(40).unwrap();
        a.vouch();
        let mut known = a.hold();
        known.grow(500).unwrap();
        assert_eq!(known.grow(1), Err(Full::Peer));
        drop((of_a, known));
        of_b.grow(20).unwrap();
        drop((of_b, a, b));
        let inner = crowd.inner.lock();
        assert_eq!((inner.stranger_bytes, inner.known_bytes, inner.n_seats), (0, 0, 0));
    }

    #[test]
    fn descriptors_bound_connections_and_leave_a_reserve() {
        let few = Bounds::of_descriptors(1024);
        assert!(few.connections_max * 2 + limit::DESCRIPTORS_RESERVE <= 1024);
        let many = Bounds::of_descriptors(1 << 20);
        assert_eq!(many.connections_max, limit::CONNECTIONS_MAX);
        // What strangers can hold in all: the buffers of their connections, and the budget.
        let buffers = many.strangers_max * limit::CONNECTION_BYTES_MAX;
        assert!(buffers + many.stranger_bytes_max <= 64 << 20);
    }
}
