//! How often somebody may try to sign in.
//!
//! Failures are counted for a name at an address, for an address, and for a name; past a few free
//! ones each costs a growing wait, told at once and without hashing anything. Few attempts of one
//! address wait for the processor at a time, so that guessers cannot stand in everybody's way. Who
//! once signed in from an address is held there by failures of that very name only: guessing
//! elsewhere, or at other names, locks nobody out. Open sessions are never asked.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::base::address;

/// Attempts whose password is being hashed or waits for it.
const OPEN_MAX: usize = 32;
/// Places beyond those for names that signed in from the same address before: strangers of many
/// addresses can fill all others.
const OPEN_GOOD_MAX: usize = 8;
/// Failures older than this are forgotten.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// Names and addresses remembered.
const ENTRIES_MAX: usize = 10_000;
/// Names with the address they signed in from.
const GOOD_MAX: usize = 1_024;
/// Bytes of a name that tell it from others; names of users are shorter.
const NAME_BYTES_MAX: usize = 128;

/// When trying again costs what.
struct Policy {
    free: u32,
    wait_max: Duration,
    open_max: u32,
}

const OF_PAIR: Policy = Policy { free: 5, wait_max: Duration::from_secs(60), open_max: 2 };
const OF_PEER: Policy = Policy { free: 20, wait_max: Duration::from_secs(60), open_max: 4 };
/// All users of one machine share its loopback address.
const OF_LOOPBACK: Policy = Policy { free: 50, wait_max: Duration::from_secs(5), open_max: 4 };
/// Guessers of many addresses: slowed down, but never so that the owner gives up.
const OF_NAME: Policy = Policy { free: 50, wait_max: Duration::from_secs(2), open_max: 8 };

/// Try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts to sign in; try again in {} s", .wait.as_secs())]
pub struct TooMany {
    /// At least a second.
    pub wait: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key(Option<IpAddr>, Option<Box<str>>);

#[derive(Debug, Clone, Copy)]
struct Entry {
    n_failed: u32,
    n_open: u32,
    free_at: Instant,
    last: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Key, Entry>,
    good: VecDeque<Key>,
    n_open: usize,
}

/// Counts attempts to sign in.
#[derive(Debug, Default, Clone)]
pub struct Attempts(Arc<Mutex<Inner>>);

impl Attempts {
    /// Begins an attempt of `peer` for `name`, or says how long to wait.
    pub fn begin(&self, name: &str, peer: IpAddr) -> Result<Attempt, TooMany> {
        let now = Instant::now();
        let peer = address::owner(peer);
        let name: Box<str> = name.chars().take(NAME_BYTES_MAX).collect::<String>().into();
        let pair = Key(Some(peer), Some(name.clone()));
        let mut inner = self.0.lock();
        inner.forget(now);
        let mut keys = vec![(pair.clone(), &OF_PAIR)];
        let is_good = inner.good.contains(&pair);
        if !is_good {
            let of_peer = if peer.is_loopback() { &OF_LOOPBACK } else { &OF_PEER };
            keys.push((Key(Some(peer), None), of_peer));
            keys.push((Key(None, Some(name)), &OF_NAME));
        }
        if inner.n_open >= OPEN_MAX + if is_good { OPEN_GOOD_MAX } else { 0 } {
            return Err(TooMany { wait: Duration::from_secs(1) });
        }
        for (key, policy) in &keys {
            let Some(entry) = inner.entries.get(key) else { continue };
            if now < entry.free_at || entry.n_open >= policy.open_max {
                let wait = entry.free_at.saturating_duration_since(now);
                let wait = Duration::from_secs(wait.as_secs() + 1);
                return Err(TooMany { wait });
            }
        }
        inner.n_open += 1;
        for (key, _) in &keys {
            let fresh = Entry { n_failed: 0, n_open: 0, free_at: now, last: now };
            inner.entries.entry(key.clone()).or_insert(fresh).n_open += 1;
        }
        drop(inner);
        Ok(Attempt { of: self.clone(), pair, keys, was_right: false })
    }
}

impl Inner {
    fn forget(&mut self, now: Instant) {
        if self.entries.len() < ENTRIES_MAX {
            return;
        }
        self.entries.retain(|_, e| e.n_open > 0 || now.duration_since(e.last) < MEMORY);
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.retain(|_, e| e.n_open > 0 || e.free_at > now);
        }
    }
}

/// One attempt. Dropped without `right` it has failed, also when its caller has gone away.
#[derive(Debug)]
pub struct Attempt {
    of: Attempts,
    pair: Key,
    keys: Vec<(Key, &'static Policy)>,
    was_right: bool,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} free", self.free)
    }
}

impl Attempt {
    /// The password was right.
    pub fn right(mut self) {
        self.was_right = true;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut inner = self.of.0.lock();
        inner.n_open -= 1;
        for (key, policy) in &self.keys {
            let Some(entry) = inner.entries.get_mut(key) else { continue };
            entry.n_open = entry.n_open.saturating_sub(1);
            if self.was_right {
                if *key == self.pair {
                    entry.n_failed = 0;
                }
                continue;
            }
            if now.duration_since(entry.last) > MEMORY {
                entry.n_failed = 0;
            }
            entry.n_failed = entry.n_failed.saturating_add(1);
            entry.last = now;
            if let Some(n) = entry.n_failed.checked_sub(policy.free) {
                let wait = Duration::from_secs(1_u64 << n.min(16));
                entry.free_at = now + wait.min(policy.wait_max);
            }
        }
        if self.was_right && !inner.good.contains(&self.pair) {
            if inner.good.len() >= GOOD_MAX {
                inner.good.pop_front();
            }
            inner.good.push_back(self.pair.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u8) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, n))
    }

    fn fail(attempts: &Attempts, name: &str, peer: IpAddr) -> Result<(), TooMany> {
        attempts.begin(name, peer).map(drop)
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_grows_and_a_right_password_ends_it() {
        let attempts = Attempts::default();
        for _ in 0..OF_PAIR.free {
            fail(&attempts, "ann", ip(1)).unwrap();
        }
        let mut waits = Vec::new();
        for _ in 0..8 {
            let refused = fail(&attempts, "ann", ip(1)).unwrap_err();
            waits.push(refused.wait.as_secs());
            tokio::time::sleep(refused.wait).await;
            fail(&attempts, "ann", ip(1)).unwrap();
        }
        assert_eq!(waits, [2, 3, 5, 9, 17, 33, 61, 61]);
        tokio::time::sleep(Duration::from_secs(61)).await;
        attempts.begin("ann", ip(1)).unwrap().right();
        for _ in 0..OF_PAIR.free {
            fail(&attempts, "ann", ip(1)).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn guessers_elsewhere_and_at_other_names_lock_nobody_out() {
        let attempts = Attempts::default();
        attempts.begin("ann", ip(1)).unwrap().right();
        let mut n_taken = 0;
        for n in 0..500 {
            let guess = if n % 2 == 0 { "ann".to_owned() } else { format!("user{n}") };
            n_taken += usize::from(fail(&attempts, &guess, ip(2)).is_ok());
            n_taken += usize::from(fail(&attempts, &format!("user{n}"), ip(1)).is_ok());
        }
        assert!(n_taken <= 2 * OF_PEER.free as usize + 2, "{n_taken}");
        attempts.begin("ann", ip(1)).unwrap().right();
        attempts.begin("ann", ip(3)).unwrap().right();
    }

    #[tokio::test(start_paused = true)]
    async fn guessers_of_many_addresses_leave_places_for_those_who_were_here_before() {
        let attempts = Attempts::default();
        attempts.begin("ann", ip(1)).unwrap().right();
        let open: Vec<Attempt> =
            (2..200).filter_map(|n| attempts.begin(&format!("u{n}"), ip(n)).ok()).collect();
        assert_eq!(open.len(), OPEN_MAX);
        assert!(attempts.begin("bob", ip(201)).is_err());
        attempts.begin("ann", ip(1)).unwrap().right();
    }

    #[tokio::test(start_paused = true)]
    async fn few_attempts_of_one_address_wait_at_a_time() {
        let attempts = Attempts::default();
        let open: Vec<Attempt> =
            (0..200).filter_map(|n| attempts.begin(&format!("u{n}"), ip(1)).ok()).collect();
        assert_eq!(open.len(), OF_PEER.open_max as usize);
        assert!(attempts.begin("ann", ip(2)).is_ok());
        drop(open);
        assert!(attempts.begin("ann", ip(1)).is_ok());
        let inner = attempts.0.lock();
        assert_eq!(inner.n_open, 0);
    }

    /// A flood of names and addresses fills no memory, and washes nobody's wait away.
    #[tokio::test(start_paused = true)]
    async fn names_and_addresses_remembered_are_bounded_and_a_flood_frees_no_guesser() {
        let attempts = Attempts::default();
        for _ in 0..OF_PAIR.free {
            fail(&attempts, "ann", ip(1)).unwrap();
        }
        fail(&attempts, "ann", ip(1)).unwrap_err();
        for _ in 0..4 {
            tokio::time::sleep(fail(&attempts, "ann", ip(1)).unwrap_err().wait).await;
            fail(&attempts, "ann", ip(1)).unwrap();
        }
        for n in 0..20_000_u32 {
            let peer = IpAddr::from((0x0B00_0000 + n).to_be_bytes());
            fail(&attempts, &format!("user{n}"), peer).unwrap();
            let remembered = attempts.0.lock().entries.len();
            assert!(remembered < ENTRIES_MAX + 3, "{remembered} after {n}");
        }
        fail(&attempts, "ann", ip(1)).unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_differ_late_are_one_and_neighbours_in_one_network_too() {
        let attempts = Attempts::default();
        let long = |end: &str| format!("{}{end}", "n".repeat(NAME_BYTES_MAX));
        for n in 0..OF_PAIR.free {
            fail(&attempts, &long(&n.to_string()), ip(1)).unwrap();
        }
        fail(&attempts, &long("x"), ip(1)).unwrap_err();
        let host = |n: u32| -> IpAddr { format!("2001:db8::{n:x}").parse().unwrap() };
        for n in 0..OF_PAIR.free {
            fail(&attempts, "bob", host(n)).unwrap();
        }
        fail(&attempts, "bob", host(999)).unwrap_err();
        fail(&attempts, "bob", "2001:db8:0:1::1".parse().unwrap()).unwrap();
    }

    /// Half a day of patience is rewarded: what is long ago counts no more.
    #[tokio::test(start_paused = true)]
    async fn failures_are_forgotten_after_their_time_and_not_before() {
        let attempts = Attempts::default();
        let last_free = |attempts: &Attempts| {
            (0..OF_PAIR.free).for_each(|_| fail(attempts, "ann", ip(1)).unwrap());
        };
        last_free(&attempts);
        tokio::time::sleep(MEMORY).await;
        fail(&attempts, "ann", ip(1)).unwrap();
        fail(&attempts, "ann", ip(1)).unwrap_err();
        tokio::time::sleep(MEMORY + Duration::from_secs(1)).await;
        last_free(&attempts);
        fail(&attempts, "ann", ip(1)).unwrap_err();
    }
}
