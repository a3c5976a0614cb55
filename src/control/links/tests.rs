//! Who may take the place of a live connection; how orders are cut into messages.

use std::sync::Arc;

use super::{Shown, connection::succeeds, orders};
use crate::{
    agent::desired::{DesiredSet, apply_message},
    base::{
        clock::Timestamp,
        limit,
        rng::Rng,
        wire::{self, Message as _},
    },
    core::State,
    model::{
        WorkloadSpec,
        credential::{Certificate, Serial},
        instance::{InstanceId, KillReason, Placement},
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
    let (kill, enforce_role, volumes) = (None, false, Vec::new());
    Order { instance, incarnation: 1, spec, placement, kill, enforce_role, volumes }
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

/// What an agent makes of messages: parts are kept until the full set they belong to is whole.
fn heard(set: &mut DesiredSet, messages: Vec<ToAgent>) {
    let mut parts = Vec::new();
    for message in messages {
        // As the wire has it.
        let message = ToAgent::read(&wire::encode(&message)).expect("its own bytes");
        match message {
            ToAgent::DesiredPart { first, orders } => {
                if first {
                    parts.clear();
                }
                parts.extend(orders.orders);
            }
            ToAgent::Desired(mut desired) => {
                if desired.full {
                    desired.orders.append(&mut parts);
                }
                apply_message(set, desired);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(parts.is_empty(), "a set that never becomes whole");
}

fn all_of(set: &DesiredSet) -> Vec<Order> {
    let names = set.names().into_iter().flatten();
    names.map(|id| set.order(id).expect("by its name").clone()).collect()
}

/// Definitions of any size with any number of instances, and some that are to go.
fn any_set(rng: &mut Rng) -> Desired {
    let pick =
        |rng: &mut Rng, of: &[usize]| of[usize::try_from(rng.below(of.len() as u64)).unwrap()];
    let mut orders = Vec::new();
    for app in 0..rng.below(6) {
        let n = pick(rng, &[0, 1, 2, 7, 999, 1_000, 1_001, 2_100]);
        let n_bytes =
            if n > 100 { 2_000 } else { pick(rng, &[10, 5_000, 300_000, 900_000, 3 << 20]) };
        orders.extend(orders_of(&format!("app{app}-"), n, n_bytes));
    }
    for order in &mut orders {
        order.kill = (rng.below(5) == 0).then_some(KillReason::Deployment);
        order.incarnation = 1 + u32::try_from(rng.below(3)).unwrap();
    }
    let forget = (0..rng.below(600)).map(|n| InstanceId::from(format!("old{n}"))).collect();
    let full = rng.below(2) == 0;
    Desired { full, orders, forget: if full { Vec::new() } else { forget } }
}

/// However a set is cut up, an agent ends where one message would have led it, and no message
/// keeps others waiting for long.
#[test]
fn any_set_comes_together_again_from_messages_within_their_bounds() {
    let (mut n_parts, mut n_cut) = (0, 0);
    for seed in 0..60 {
        let mut rng = Rng::from_seed(seed);
        let mut before = orders_of("old", 300, 10);
        before.extend(orders_of("app0-", 3, 20));
        let mut at_once = DesiredSet::default();
        apply_message(&mut at_once, full(before));
        let mut in_parts = at_once.clone();

        let desired = any_set(&mut rng);
        let messages = orders::messages(desired.clone());
        for message in &messages {
            let (ToAgent::Desired(part) | ToAgent::DesiredPart { orders: part, .. }) = message
            else {
                panic!("{message:?}");
            };
            let (n, bytes) = (part.orders.len(), n_bytes(message));
            assert!(n <= limit::LINK_PART_ITEMS_MAX, "seed {seed}: {n} orders in one");
            let is_small = bytes <= limit::LINK_PART_BYTES_MAX + (64 << 10);
            assert!(is_small || n == 1, "seed {seed}: {bytes} bytes with {n} orders");
            assert!(bytes <= limit::LINK_MESSAGE_BYTES_MAX, "seed {seed}: {bytes} bytes");
        }
        n_parts += messages.len();
        n_cut += usize::from(messages.len() > 1);
        apply_message(&mut at_once, desired);
        heard(&mut in_parts, messages);
        assert_eq!(all_of(&in_parts), all_of(&at_once), "seed {seed}");
    }
    assert!(n_parts > 150 && n_cut > 20, "{n_parts} messages, {n_cut} sets cut");
}
