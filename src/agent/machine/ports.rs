//! Ports of this node that others than its tasks hold. The leader gives tasks other ones where it
//! has the choice.
//!
//! Two sources: what the kernel says is listened on, and what the engine refused to publish (it
//! may forward a port without anybody listening).

use std::{collections::BTreeMap, fs, time::Duration};

use crate::{
    base::clock::Timestamp,
    model::{Ranges, link::Order},
};

/// The kernel's tables: file, and the state of a socket that waits for peers.
const TABLES: [(&str, &str); 4] = [
    ("/proc/net/tcp", "0A"),
    ("/proc/net/tcp6", "0A"),
    ("/proc/net/udp", "07"),
    ("/proc/net/udp6", "07"),
];
/// How long a port that was refused is taken as held.
const REFUSED_FOR: Duration = Duration::from_secs(600);

/// Ports the engine refused.
#[derive(Debug, Default)]
pub struct Refused {
    at: BTreeMap<u16, Timestamp>,
}

impl Refused {
    /// Notes the ports of `order` that the text of a failed start names; `true` if there are any.
    pub fn note(&mut self, order: &Order, text: &str, now: Timestamp) -> bool {
        if !text.contains("already in use") && !text.contains("already allocated") {
            return false;
        }
        let named = order.placement.host_ports.iter().flatten().filter(|port| names(text, **port));
        let before = self.at.len();
        self.at.extend(named.map(|port| (*port, now)));
        self.at.len() > before
    }

    /// Those refused lately.
    pub fn ports(&mut self, now: Timestamp) -> Ranges {
        self.at.retain(|_, at| now.since(*at) < REFUSED_FOR);
        Ranges::of_numbers(self.at.keys().map(|port| u64::from(*port)))
    }
}

/// Whether `text` holds `:port`, and not as the beginning of a longer number.
fn names(text: &str, port: u16) -> bool {
    let word = format!(":{port}");
    text.match_indices(&word)
        .any(|(at, _)| !text[at + word.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

/// What is listened on now.
pub fn listening() -> Ranges {
    let mut ports = Vec::new();
    for (path, state) in TABLES {
        // A machine without IPv6 has no such table.
        let table = fs::read_to_string(path).unwrap_or_default();
        ports.extend(waiting(&table, state));
    }
    Ranges::of_numbers(ports.into_iter().map(u64::from))
}

/// Local ports of a table's sockets that are in `state` and have no peer.
fn waiting(table: &str, state: &str) -> Vec<u16> {
    let port = |line: &str| {
        // "0: 0100007F:1F90 00000000:0000 0A …"
        let mut fields = line.split_whitespace().skip(1);
        let (local, remote, is) = (fields.next()?, fields.next()?, fields.next()?);
        let is_waiting = is == state && remote.ends_with(":0000");
        let (_, port) = local.rsplit_once(':').filter(|_| is_waiting)?;
        u16::from_str_radix(port, 16).ok()
    };
    table.lines().skip(1).filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::desired::tests::order;

    #[test]
    fn what_waits_for_peers_is_read_from_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
            \x20  1: 0100007F:0050 0100007F:C000 01 00000000:00000000\n";
        assert_eq!(waiting(table, "0A"), [8080]);
        let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(listening().has(own.local_addr().unwrap().port().into()));
    }

    #[test]
    fn a_refusal_names_the_port() {
        let mut order = order("a", 1);
        order.placement.host_ports = vec![Some(3100), Some(31000), None];
        let now = Timestamp::from_ms(1_000);
        for text in [
            "listen tcp4 0.0.0.0:31000: bind: address already in use",
            "Bind for 0.0.0.0:31000 failed: port is already allocated",
            "failed to bind host port 0.0.0.0:31000/tcp: address already in use",
        ] {
            let mut refused = Refused::default();
            assert!(refused.note(&order, text, now), "{text}");
            assert_eq!(refused.ports(now), Ranges::of([(31000, 31000)]));
            assert!(refused.ports(now + REFUSED_FOR).is_empty(), "it may be free again");
        }
        assert!(!Refused::default().note(&order, "no such image: a:31000", now));
    }
}
