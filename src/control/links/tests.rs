//! Who may take the place of a live connection; how orders are cut into messages.

use std::sync::Arc;

use super::{Shown, connection::succeeds, orders};
use crate::{
    base::{
        clock::Timestamp,
        limit,
        wire::{self, Message as _},
    },
    core::State,
    model::{
        WorkloadSpec,
        credential::{Certificate, Serial},
        instance::{InstanceId, Placement},
        link::{Desired, Order, ToAgent},
        node::NodeId,
        path::AppId,
        resource::Pools,
        workload::TaskSpec,
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

fn order(id: &str, spec: TaskSpec) -> Order {
    let placement = Placement {
        node: NodeId::from("n"),
        hostname: "h".into(),
        address: [10, 0, 0, 1].into(),
        allocation: Pools::default(),
        host_ports: Vec::new(),
        launched_at: Timestamp::EPOCH,
    };
    let instance = InstanceId::from(id);
    Order { instance, incarnation: 1, spec, placement, kill: None, enforce_role: false }
}

/// `n` orders from one definition that takes about so many bytes.
fn orders_of(name: &str, n: usize, spec_bytes: usize) -> Vec<Order> {
    let mut spec = WorkloadSpec::new(AppId::parse("/a"), Timestamp::EPOCH);
    spec.run_mut().labels.insert("fat".into(), "x".repeat(spec_bytes));
    let spec = spec.task();
    (0..n).map(|i| order(&format!("{name}{i:05}"), spec.clone())).collect()
}

fn full(orders: Vec<Order>) -> Desired {
    Desired { full: true, orders, forget: Vec::new() }
}

fn n_bytes(message: &ToAgent) -> usize {
    wire::encode(message).len()
}

#[test]
fn a_definition_travels_once_a_message() {
    let one = n_bytes(&ToAgent::Desired(full(orders_of("a", 1, 500_000))));
    let many = ToAgent::Desired(full(orders_of("a", 34, 500_000)));
    assert!(n_bytes(&many) < one + 34 * 1_000, "{} bytes", n_bytes(&many));
    let bytes = wire::encode(&many);
    let Ok(ToAgent::Desired(back)) = ToAgent::read(&bytes) else { panic!("not read back") };
    assert_eq!(back.orders, orders_of("a", 34, 500_000));
    assert!(back.orders.iter().all(|o| Arc::ptr_eq(&o.spec.run, &back.orders[0].spec.run)));
}

#[test]
fn a_large_set_goes_in_bounded_parts_and_only_the_last_is_full() {
    let mut all = orders_of("many", 2_500, 10);
    for app in 0..40 {
        all.extend(orders_of(&format!("fat{app}-"), 3, 700_000));
    }
    let n_all = all.len();
    let messages = orders::messages(full(all));
    assert!(messages.len() > 20, "{} messages", messages.len());
    let most = messages.iter().map(n_bytes).max().unwrap_or(0);
    assert!(most < limit::LINK_PART_BYTES_MAX + (64 << 10), "{most} bytes");
    let mut named = std::collections::BTreeSet::new();
    for (n, message) in messages.iter().enumerate() {
        let orders = match message {
            ToAgent::DesiredPart { first, orders } => {
                assert_eq!(*first, n == 0);
                assert!(n + 1 < messages.len());
                orders
            }
            ToAgent::Desired(last) => {
                assert!(last.full && n + 1 == messages.len(), "the last one and no other");
                last
            }
            other => panic!("{other:?}"),
        };
        assert!(orders.orders.len() <= limit::LINK_PART_ITEMS_MAX);
        named.extend(orders.orders.iter().map(|o| o.instance.clone()));
    }
    assert_eq!(named.len(), n_all, "each is named");
}

#[test]
fn nothing_wanted_is_one_full_message() {
    let messages = orders::messages(full(Vec::new()));
    assert!(matches!(&messages[..], [ToAgent::Desired(d)] if d.full && d.orders.is_empty()));
}

#[test]
fn a_definition_no_message_holds_takes_no_other_with_it() {
    let mut all = orders_of("huge", 1, limit::LINK_MESSAGE_BYTES_MAX);
    all.extend(orders_of("a", 2, 10));
    let messages = orders::messages(full(all));
    let [ToAgent::Desired(only)] = &messages[..] else { panic!("{} messages", messages.len()) };
    assert_eq!(only.orders.len(), 2);
}
