//! Connections whose peer is not known yet: few per address, and the oldest goes first.
//!
//! Whoever knocks is looked at at once. A peer that opens more than its share, or all peers together
//! more than the door holds, lose their oldest connection that has not proved anything; one that
//! speaks promptly is through long before its turn.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::Arc,
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::base::{
    address,
    pace::{Paces, Purse},
};

/// Unproved connections of one address; a handshake takes milliseconds.
const PER_PEER_MAX: usize = 16;
/// Unproved connections in all: each holds a descriptor and a few kB.
const ALL_MAX: usize = 256;

/// The connections that have proved nothing yet.
#[derive(Default)]
pub struct Waiting {
    inner: Mutex<Inner>,
    paces: Paces,
}

#[derive(Default)]
struct Inner {
    next: u64,
    n: usize,
    by_peer: BTreeMap<IpAddr, VecDeque<(u64, CancellationToken)>>,
}

/// One connection's place. Dropped when the peer has proved who it is, or is gone.
pub struct Place {
    waiting: Arc<Waiting>,
    peer: IpAddr,
    number: u64,
    lost: CancellationToken,
    purse: Arc<Purse>,
}

impl Waiting {
    /// None yet; what they cost the processor is paid by `paces`.
    pub fn paced(paces: Paces) -> Self {
        Self { paces, ..Self::default() }
    }

    /// A place for a new connection; when there is none, another loses its own. `None` when the
    /// peer has kept a processor busy for too long already.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let purse = self.paces.admit(peer)?;
        let peer = address::owner(peer);
        let mut inner = self.inner.lock();
        if inner.by_peer.get(&peer).is_some_and(|queue| queue.len() >= PER_PEER_MAX) {
            inner.drop_oldest(peer);
        } else if inner.n >= ALL_MAX
            && let Some(greediest) = inner.greediest()
        {
            inner.drop_oldest(greediest);
        }
        let (number, lost) = (inner.next, CancellationToken::new());
        inner.next += 1;
        inner.n += 1;
        inner.by_peer.entry(peer).or_default().push_back((number, lost.clone()));
        Some(Place { waiting: self.clone(), peer, number, lost, purse })
    }
}

impl Inner {
    fn drop_oldest(&mut self, peer: IpAddr) {
        let oldest = self.by_peer.get(&peer).and_then(|queue| queue.front()).cloned();
        if let Some((number, lost)) = oldest {
            lost.cancel();
            self.remove(peer, number);
        }
    }

    fn greediest(&self) -> Option<IpAddr> {
        self.by_peer.iter().max_by_key(|(_, queue)| queue.len()).map(|(peer, _)| *peer)
    }

    fn remove(&mut self, peer: IpAddr, number: u64) {
        let Some(queue) = self.by_peer.get_mut(&peer) else { return };
        if let Some(at) = queue.iter().position(|(n, _)| *n == number) {
            queue.remove(at);
            self.n -= 1;
        }
        if queue.is_empty() {
            self.by_peer.remove(&peer);
        }
    }
}

impl Place {
    /// The peer has proved who it is.
    pub fn proved(self) {
        self.purse.free();
    }

    /// What the connection pays with for the processor.
    pub fn purse(&self) -> Arc<Purse> {
        self.purse.clone()
    }

    /// Cancelled when the place goes to another; never after it was dropped.
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.inner.lock().remove(self.peer, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[test]
    fn a_peer_that_opens_too_many_loses_its_own_oldest() {
        let waiting = Arc::new(Waiting::default());
        let other = waiting.enter(peer(2)).unwrap();
        let mine: Vec<Place> = (0..PER_PEER_MAX).map(|_| waiting.enter(peer(1)).unwrap()).collect();
        assert!(mine.iter().all(|p| !p.lost().is_cancelled()));
        let last = waiting.enter(peer(1)).unwrap();
        assert!(mine[0].lost().is_cancelled() && !mine[1].lost().is_cancelled());
        assert!(!other.lost().is_cancelled() && !last.lost().is_cancelled());
        drop(mine);
        assert_eq!(waiting.inner.lock().n, 2, "those that have gone take no room");
    }

    #[test]
    fn with_the_door_full_the_greediest_peer_makes_room() {
        let waiting = Arc::new(Waiting::default());
        let mut places = Vec::new();
        for n in 0..250 {
            places.push(waiting.enter(peer(n)).unwrap());
        }
        for _ in 0..6 {
            places.push(waiting.enter(peer(7)).unwrap());
        }
        let newcomer = waiting.enter(peer(251)).unwrap();
        assert!(places[7].lost().is_cancelled(), "the oldest of peer 7");
        assert_eq!(places.iter().filter(|p| p.lost().is_cancelled()).count(), 1);
        assert!(!newcomer.lost().is_cancelled());
    }
}
