//! Who may take the place of a live connection.

use std::sync::Arc;

use super::{Shown, connection::succeeds};
use crate::{
    base::clock::Timestamp,
    core::State,
    model::{
        credential::{Certificate, Serial},
        node::NodeId,
    },
};

fn shown(serial: &str, key: u8) -> Shown {
    Shown { serial: Serial::from(serial), key: [key; 32] }
}

/// A state in which node `n` was given these certificates, one after the other.
fn given(serials: &[&str]) -> State {
    let mut state = State::default();
    for (at, serial) in serials.iter().enumerate() {
        let (node, serial) = (NodeId::from("n"), Serial::from(*serial));
        let certificate = Certificate {
            node: node.clone(),
            serial: serial.clone(),
            issued_at: Timestamp::from_ms(i64::try_from(at).unwrap_or(0)),
            expires_at: Timestamp::from_ms(1_000),
            revoked: None,
        };
        state.certificates.insert((node, serial), Arc::new(certificate));
    }
    state
}

#[test]
fn only_the_same_key_or_a_later_certificate_takes_the_place_of_a_live_connection() {
    let (state, node) = (given(&["a", "b"]), NodeId::from("n"));
    let (a, b) = (shown("a", 1), shown("b", 2));
    let may = |live: &Option<Shown>, new: &Option<Shown>| succeeds(&state, &node, live, new);
    assert!(may(&Some(a.clone()), &Some(a.clone())), "the same machine comes back");
    assert!(may(&Some(a.clone()), &Some(b.clone())), "with its renewed certificate");
    assert!(!may(&Some(b), &Some(a.clone())), "an earlier one with another key is not it");
    assert!(!may(&Some(a.clone()), &Some(shown("x", 9))), "nor one nobody gave");
    assert!(may(&None, &None), "the agent of this process");
    assert!(!may(&None, &Some(a.clone())), "whose place no other takes");
    assert!(!may(&Some(a), &None));
}
