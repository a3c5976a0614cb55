//! Who may ask for names outside our zones, how often, and how many questions at a time.
//!
//! Our own names are told to everybody, as the original's servers did. Everything else costs an
//! upstream's time and makes answers larger than questions, so it is for this machine, its
//! containers and the networks an operator names; the rest of the world is refused
//! (docs/compat/dns.md, "Forwarding"). Each client has a rate and a share of the questions on their
//! way, so that one that asks for slow names leaves room for its neighbours.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use ipnet::IpNet;
use parking_lot::Mutex;

/// Time a question uses up: a client that asks steadily gets 1,000 a second.
const QUESTION_EVERY: Duration = Duration::from_millis(1);
/// How far a client may be ahead of that rate: a burst of 2,000 questions.
const BURST: Duration = Duration::from_secs(2);
/// Questions of one client on their way at a time: a quarter of all there may be.
const IN_FLIGHT_PER_CLIENT_MAX: u32 = 256;
/// Clients remembered. Only allowed ones are, so this is a machine full of containers.
const CLIENTS_MAX: usize = 8_192;

/// Why a question is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The client is in none of the networks that may ask.
    Stranger,
    /// The client asks more than its share.
    TooMuch,
}

/// The rule and the clients' accounts. Shared by all threads of a server.
#[derive(Default)]
pub struct Recursion {
    networks: ArcSwap<Vec<IpNet>>,
    clients: Arc<Mutex<HashMap<IpAddr, Account>>>,
}

/// What one client has used.
#[derive(Debug, Clone, Copy)]
struct Account {
    /// When the questions asked so far would have been due at the steady rate.
    paid_until: Instant,
    n_in_flight: u32,
}

/// A question on its way; dropping it frees its place.
pub struct Ticket {
    clients: Arc<Mutex<HashMap<IpAddr, Account>>>,
    client: IpAddr,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(account) = self.clients.lock().get_mut(&self.client) {
            account.n_in_flight = account.n_in_flight.saturating_sub(1);
        }
    }
}

impl Recursion {
    /// Replaces the networks that may ask; the machine itself, by loopback, always may.
    pub fn allow(&self, networks: Vec<IpNet>) {
        self.networks.store(Arc::new(networks));
    }

    /// Takes a question of `client` at `now`.
    ///
    /// # Errors
    /// `Denied` says whether it may not ask or asks too much.
    pub fn admit(&self, client: IpAddr, now: Instant) -> Result<Ticket, Denied> {
        let client = client.to_canonical();
        let is_allowed =
            client.is_loopback() || self.networks.load().iter().any(|n| n.contains(&client));
        if !is_allowed {
            return Err(Denied::Stranger);
        }
        let mut clients = self.clients.lock();
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&client) {
            clients.retain(|_, a| a.n_in_flight > 0 || a.paid_until > now);
            if clients.len() >= CLIENTS_MAX {
                return Err(Denied::TooMuch);
            }
        }
        let fresh = Account { paid_until: now, n_in_flight: 0 };
        let account = clients.entry(client).or_insert(fresh);
        let due = account.paid_until.max(now) + QUESTION_EVERY;
        if due > now + BURST || account.n_in_flight >= IN_FLIGHT_PER_CLIENT_MAX {
            return Err(Denied::TooMuch);
        }
        *account = Account { paid_until: due, n_in_flight: account.n_in_flight + 1 };
        drop(clients);
        Ok(Ticket { clients: Arc::clone(&self.clients), client })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn strangers_are_refused_and_named_networks_and_the_machine_itself_are_not() {
        let (rule, now) = (Recursion::default(), Instant::now());
        assert!(rule.admit(ip("127.0.0.1"), now).is_ok());
        assert!(rule.admit(ip("::1"), now).is_ok());
        assert_eq!(rule.admit(ip("172.17.0.2"), now).err(), Some(Denied::Stranger));
        rule.allow(vec!["172.17.0.0/16".parse().unwrap()]);
        assert!(rule.admit(ip("172.17.0.2"), now).is_ok());
        assert!(rule.admit(ip("::ffff:172.17.0.2"), now).is_ok(), "a mapped address is the same");
        assert_eq!(rule.admit(ip("172.18.0.2"), now).err(), Some(Denied::Stranger));
    }

    #[test]
    fn a_client_has_a_rate_that_comes_back_with_time() {
        let (rule, now) = (Recursion::default(), Instant::now());
        let asked = (0..10_000).filter(|_| rule.admit(ip("127.0.0.1"), now).is_ok()).count();
        assert_eq!(asked, 2_000);
        assert!(rule.admit(ip("127.0.0.2"), now).is_ok(), "its neighbour has its own");
        let later = now + Duration::from_millis(10);
        let asked = (0..100).filter(|_| rule.admit(ip("127.0.0.1"), later).is_ok()).count();
        assert_eq!(asked, 10);
    }

    #[test]
    fn a_client_holds_a_share_of_the_questions_on_their_way() {
        let (rule, now) = (Recursion::default(), Instant::now());
        let held: Vec<_> =
            (0..1_000).filter_map(|_| rule.admit(ip("127.0.0.1"), now).ok()).collect();
        assert_eq!(held.len(), 256);
        assert_eq!(rule.admit(ip("127.0.0.1"), now).err(), Some(Denied::TooMuch));
        drop(held);
        assert!(rule.admit(ip("127.0.0.1"), now).is_ok());
    }

    #[test]
    fn clients_long_gone_make_room_for_new_ones() {
        let (rule, now) = (Recursion::default(), Instant::now());
        rule.allow(vec!["10.0.0.0/8".parse().unwrap()]);
        for i in 0..8_192_u32 {
            assert!(rule.admit(IpAddr::from((0x0A00_0000 + i).to_be_bytes()), now).is_ok());
        }
        assert_eq!(rule.admit(ip("10.200.0.1"), now).err(), Some(Denied::TooMuch));
        assert!(rule.admit(ip("10.200.0.1"), now + Duration::from_secs(1)).is_ok());
    }
}
