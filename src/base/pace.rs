//! Processor time of those nobody knows: each address has a share of one processor, and whoever is
//! ahead of it waits.
//!
//! What a connection costs (its handshake, heads, answers) is what its task was on a processor for,
//! so no way to be expensive has to be foreseen; what it has done on a thread of its own (`blocking`)
//! counts with it. It is charged to the owner of the peer's address.
//! One who is ahead of his share is not refused: his tasks stand still until he has caught up, and
//! then go on one at a time, in the order they came. What was charged for a connection is given back
//! when its peer turns out to be known, and such a connection pays nothing any more: signing in often,
//! or many users behind one address, cost no wait.
//!
//! All strangers together have a share too. When it is used up, those wait who have used something
//! of their own lately; somebody new goes on.

use std::{
    cell::RefCell,
    collections::HashMap,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{address, limit};

/// Owners remembered; past that, those who are not ahead are forgotten.
const ACCOUNTS_MAX: usize = 4_096;
/// Longest wait. Whoever is that far behind gets no new connection.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Accepting a connection, which happens before it has a task.
const ACCEPT: Duration = Duration::from_micros(50);
/// What waking a task costs around it: the kernel's events and the runtime's queues. Without it many
/// small pieces would be cheap.
const WAKE: Duration = Duration::from_micros(5);

/// How much of one processor, and how much at once.
#[derive(Debug, Clone, Copy)]
struct Share {
    /// Time that passes for each unit of processor time: 20 is a twentieth of a processor.
    stretch: u32,
    /// Of so many processors.
    processors: u32,
    /// Processor time that may be used without a wait.
    burst: Duration,
}

impl Share {
    fn of_owner(owner: IpAddr) -> Self {
        let stretch = if owner.is_loopback() {
            limit::STRANGER_STRETCH / limit::LOOPBACK_SHARES
        } else {
            limit::STRANGER_STRETCH
        };
        Self { stretch, processors: 1, burst: limit::STRANGER_BURST }
    }

    /// Half of what there is.
    fn of_all() -> Self {
        let n = std::thread::available_parallelism().map_or(1, usize::from);
        let processors = u32::try_from(n).unwrap_or(1);
        Self { stretch: 2, processors, burst: limit::STRANGER_BURST * processors }
    }

    /// The time after which `used` has been used steadily.
    fn time_for(self, used: Duration) -> Duration {
        used * self.stretch / self.processors
    }
}

/// What one owner has used.
#[derive(Debug)]
struct Account {
    share: Share,
    /// When what was used so far would have been due at the steady share.
    paid_until: Mutex<Instant>,
    /// Held by the one of the owner's tasks that goes on next, while he is ahead: were all to go on
    /// at once, they would use as many times what is theirs.
    turn: Arc<Semaphore>,
}

impl Account {
    fn new(share: Share, now: Instant) -> Arc<Self> {
        let turn = Arc::new(Semaphore::new(1));
        Arc::new(Self { share, paid_until: Mutex::new(now), turn })
    }

    /// How far the owner is ahead of a burst that is a `part`th of his own.
    fn ahead(&self, now: Instant, part: u32) -> Duration {
        let ahead = self.paid_until.lock().saturating_duration_since(now);
        ahead.saturating_sub(self.share.time_for(self.share.burst) / part)
    }

    fn charge(&self, now: Instant, used: Duration) {
        let latest = now + self.share.time_for(self.share.burst) + WAIT_MAX;
        let mut paid_until = self.paid_until.lock();
        let due = (*paid_until).max(now) + self.share.time_for(used);
        *paid_until = due.min(latest);
    }

    fn give_back(&self, used: Duration) {
        let mut paid_until = self.paid_until.lock();
        let earlier = paid_until.checked_sub(self.share.time_for(used));
        *paid_until = earlier.unwrap_or(*paid_until);
    }
}

/// The accounts of all owners. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Paces(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Of all strangers.
    all: Arc<Account>,
    owners: Mutex<HashMap<IpAddr, Arc<Account>>>,
}

impl Default for Paces {
    fn default() -> Self {
        let all = Account::new(Share::of_all(), Instant::now());
        Self(Arc::new(Inner { all, owners: Mutex::default() }))
    }
}

impl Paces {
    /// Those of this process: one address has one share, whichever of our ports it comes to.
    pub fn of_process() -> Self {
        static PACES: OnceLock<Paces> = OnceLock::new();
        PACES.get_or_init(Self::default).clone()
    }

    /// A purse for a new connection; `None` when its owner is so far ahead that it is better closed.
    pub fn admit(&self, peer: IpAddr) -> Option<Arc<Purse>> {
        let (owner, now) = (address::owner(peer), Instant::now());
        let own = {
            let mut owners = self.0.owners.lock();
            if owners.len() >= ACCOUNTS_MAX && !owners.contains_key(&owner) {
                owners.retain(|_, account| *account.paid_until.lock() > now);
            }
            let fresh = || Account::new(Share::of_owner(owner), now);
            if owners.len() >= ACCOUNTS_MAX && !owners.contains_key(&owner) {
                fresh() // the share of all still holds
            } else {
                owners.entry(owner).or_insert_with(fresh).clone()
            }
        };
        if own.ahead(now, 1) > WAIT_MAX / 2 {
            return None;
        }
        let purse = Arc::new(Purse {
            own,
            all: self.0.all.clone(),
            used: Mutex::default(),
            is_free: AtomicBool::new(false),
        });
        purse.charge(ACCEPT);
        Some(purse)
    }
}

/// What one connection pays with.
#[derive(Debug)]
pub struct Purse {
    own: Arc<Account>,
    all: Arc<Account>,
    used: Mutex<Duration>,
    is_free: AtomicBool,
}

impl Purse {
    /// The peer is known: what it used is given back, and it pays nothing from now on.
    pub fn free(&self) {
        if !self.is_free.swap(true, Ordering::Relaxed) {
            let used = std::mem::take(&mut *self.used.lock());
            self.own.give_back(used);
            self.all.give_back(used);
        }
    }

    fn is_free(&self) -> bool {
        self.is_free.load(Ordering::Relaxed)
    }

    /// How long to wait before more is done.
    fn wait(&self) -> Duration {
        /// Who has used less than this part of his burst is new.
        const NEW: u32 = 4;
        let now = Instant::now();
        let of_all = self.all.ahead(now, 1).min(self.own.ahead(now, NEW));
        self.own.ahead(now, 1).max(of_all)
    }

    /// Resolves when more may be done, with the turn to do it.
    async fn turn(self: Arc<Self>) -> Option<OwnedSemaphorePermit> {
        let turn = self.own.turn.clone().acquire_owned().await;
        loop {
            let wait = self.wait();
            if wait.is_zero() || self.is_free() {
                return turn.ok();
            }
            sleep(wait).await;
        }
    }

    /// Who was made known by what was just done has paid nothing, and is not charged for it either.
    fn charge_unless_free(&self, used: Duration) {
        if !self.is_free() {
            self.charge(used);
        }
    }

    fn charge(&self, used: Duration) {
        let now = Instant::now();
        *self.used.lock() += used;
        self.own.charge(now, used);
        self.all.charge(now, used);
    }
}

/// A future that is on a processor only as fast as a purse pays for.
pub struct Paced<F> {
    purse: Option<Arc<Purse>>,
    work: Pin<Box<F>>,
    turn: Option<Turn>,
}

type Turn = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

/// `work` at the pace of `purse`; without one, at its own.
pub fn paced<F: Future>(purse: Option<Arc<Purse>>, work: F) -> Paced<F> {
    Paced { purse, work: Box::pin(work), turn: None }
}

impl<F: Future> Future for Paced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let Some(purse) = this.purse.as_ref().filter(|purse| !purse.is_free()) else {
            return this.work.as_mut().poll(cx);
        };
        if this.turn.is_none() && !purse.wait().is_zero() {
            this.turn = Some(Box::pin(purse.clone().turn()));
        }
        // Kept until what follows is paid for.
        let _turn = match &mut this.turn {
            Some(turn) => Some(ready!(turn.as_mut().poll(cx))),
            None => None,
        };
        this.turn = None;
        let began = on_processor();
        let outer = PAYING.replace(Some(purse.clone()));
        let polled = this.work.as_mut().poll(cx);
        PAYING.replace(outer);
        purse.charge_unless_free(WAKE + on_processor().saturating_sub(began));
        polled
    }
}

thread_local! {
    /// Whose work this thread does at the moment.
    static PAYING: RefCell<Option<Arc<Purse>>> = const { RefCell::new(None) };
}

/// `work` on a thread for what would keep an asynchronous one, paid for by the connection whose
/// task calls this; the call is what counts, not where the answer is awaited.
pub fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let purse = PAYING.with_borrow(Clone::clone);
    tokio::task::spawn_blocking(move || {
        let began = on_processor();
        let done = work();
        if let Some(purse) = purse {
            purse.charge_unless_free(on_processor().saturating_sub(began));
        }
        done
    })
}

/// How long this thread has been on a processor.
fn on_processor() -> Duration {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    nix::time::clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    /// Processor time `peer` gets within `time` that takes all it can, `piece` by piece.
    async fn greedy(paces: &Paces, peer: IpAddr, piece: Duration, time: Duration) -> Duration {
        let (until, mut used) = (Instant::now() + time, Duration::ZERO);
        while Instant::now() < until {
            // A connection for each piece: leaving does not clear the account.
            let Some(purse) = paces.admit(peer) else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            drop(purse.clone().turn().await);
            purse.charge(piece);
            used += piece + ACCEPT;
        }
        used
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_gets_its_share_and_no_more() {
        let (paces, time) = (Paces::default(), Duration::from_secs(100));
        for piece in [1, 20, 200].map(Duration::from_millis) {
            let peer = ip(u8::try_from(piece.as_millis() % 251).unwrap());
            let used = greedy(&paces, peer, piece, time).await;
            let share = time / limit::STRANGER_STRETCH + limit::STRANGER_BURST + piece;
            assert!(used <= share + piece, "{used:?} of {share:?} in pieces of {piece:?}");
            assert!(used >= share / 2, "{used:?} of {share:?} in pieces of {piece:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_another_address_or_longer_than_the_longest_wait() {
        let paces = Paces::default();
        let greedy = paces.admit(ip(1)).unwrap();
        greedy.charge(Duration::from_secs(3600));
        assert!(greedy.wait() > Duration::ZERO && greedy.wait() <= WAIT_MAX);
        assert!(paces.admit(ip(1)).is_none());
        let other = paces.admit(ip(2)).unwrap();
        assert_eq!(other.wait(), Duration::ZERO, "although all strangers together are ahead");
        tokio::time::sleep(WAIT_MAX).await;
        assert_eq!(greedy.wait(), Duration::ZERO);
        assert!(paces.admit(ip(1)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_are_ahead_those_wait_who_have_used_something() {
        let paces = Paces::default();
        let several = limit::STRANGER_BURST / 2;
        let many: Vec<_> = (0..200).map(|n| paces.admit(ip(n)).unwrap()).collect();
        many.iter().for_each(|purse| purse.charge(several));
        assert!(many.iter().all(|purse| purse.wait() > Duration::ZERO));
        assert_eq!(paces.admit(ip(201)).unwrap().wait(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_turns_out_to_be_known_has_paid_nothing() {
        let paces = Paces::default();
        for _ in 0..10_000 {
            let purse = paces.admit(ip(1)).unwrap();
            purse.charge(Duration::from_millis(2));
            assert_eq!(purse.wait(), Duration::ZERO);
            purse.free();
        }
        let known = paces.admit(ip(1)).unwrap();
        known.free();
        let work = paced(Some(known), std::future::ready(7));
        assert_eq!(work.await, 7);
    }

    #[tokio::test]
    async fn work_is_charged_by_the_time_on_a_processor() {
        let paces = Paces::default();
        let purse = paces.admit(ip(1)).unwrap();
        let spin = || {
            let began = on_processor();
            while on_processor() - began < Duration::from_millis(20) {}
        };
        let work = async {
            spin();
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        paced(Some(purse.clone()), work).await;
        let used = *purse.used.lock();
        assert!(used >= Duration::from_millis(20), "{used:?}");
        assert!(used < Duration::from_millis(45), "the sleep costs nothing: {used:?}");

        let elsewhere = async { blocking(spin).await.unwrap() };
        paced(Some(purse.clone()), elsewhere).await;
        let more = *purse.used.lock() - used;
        assert!(more >= Duration::from_millis(20), "a thread of its own is paid for: {more:?}");
        blocking(spin).await.unwrap();
        assert_eq!(*purse.used.lock(), used + more, "nobody pays for what is not his");
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_are_few() {
        let paces = Paces::default();
        for n in 0..3 * u32::try_from(ACCOUNTS_MAX).unwrap() {
            drop(paces.admit(IpAddr::from((0x0A00_0000 + n).to_be_bytes())));
            tokio::time::advance(Duration::from_millis(5)).await;
        }
        assert!(paces.0.owners.lock().len() <= ACCOUNTS_MAX);
    }
}
