//! The whole set of names in parts, and news that come in the wrong order. That changes lead to the
//! names of the state is checked after every command of the reconcilers' tests.

use std::net::IpAddr;

use super::*;
use crate::{
    base::{clock::Timestamp, wire},
    core::{
        apply,
        naming::{
            Listing,
            known::{Known, Received},
        },
    },
    model::{
        instance::{InstanceId, Life, Phase, Placement},
        path::AppId,
        resource::Pools,
        workload::WorkloadSpec,
    },
    sim::build,
};

const HERE: [u8; 4] = [10, 9, 9, 9];

/// `n` running instances of one app with a port.
fn state(n: usize) -> State {
    let mut state = State::default();
    let info = build::node(0, 4.0, 4096.0, &[]);
    let (node, address) = (info.id.clone(), info.address);
    let registered = crate::model::Node {
        info,
        reach: crate::model::node::Reach::Reachable,
        duty: crate::model::node::Duty::Active,
        registered_at: Timestamp::EPOCH,
        reregistered_at: None,
    };
    state.nodes.insert(node.clone(), Arc::new(registered));
    let mut spec = WorkloadSpec::new(AppId::parse("/shop/web"), Timestamp::EPOCH);
    let port = crate::model::container::Port { name: Some("http".into()), ..Default::default() };
    let container =
        crate::model::container::ContainerSpec { ports: vec![port], ..Default::default() };
    spec.run_mut().containers = vec![container];
    for i in 0..n {
        let id = InstanceId::from(format!("shop_web.instance-{i:05}"));
        let mut instance =
            Instance::scheduled(id.clone(), spec.id.clone(), spec.version, Timestamp::EPOCH);
        let place = Placement {
            node: node.clone(),
            hostname: String::new(),
            address,
            allocation: Pools::default(),
            host_ports: vec![Some(31_000 + u16::try_from(i % 1_000).unwrap())],
            launched_at: Timestamp::EPOCH,
        };
        instance.life = Life::placed(Phase::Running, place);
        state.instances.insert(id, Arc::new(instance));
    }
    state.specs.insert((spec.id.clone(), spec.version), Arc::new(spec));
    apply::reindex(&mut state);
    state
}

fn listed(known: &Known) -> Vec<crate::core::naming::Record> {
    let mut listing = Listing::default();
    known.records(IpAddr::from(HERE), &mut listing);
    listing.into_records()
}

#[test]
fn a_large_set_goes_in_bounded_parts_and_counts_when_the_last_has_come() {
    let (state, realm) = (state(2_500), Realm::default());
    let parts = whole(&state, &realm);
    assert!(parts.len() >= 3, "{} parts", parts.len());
    let mut received = Received::default();
    let (last, before) = parts.split_last().unwrap();
    for part in before {
        assert!(wire::encode(&**part).len() <= limit::LINK_PART_BYTES_MAX);
        assert!(part.put.len() <= limit::LINK_PART_ITEMS_MAX);
        assert_eq!(received.take(part), None);
    }
    let known = received.take(last).expect("complete").clone();
    let mut names = Listing::default();
    tasks::records(&state, &Realm { this_node: Some(HERE.into()), ..realm.clone() }, &mut names);
    assert_eq!(listed(&known), names.into_records());
    // Another whole set begins and breaks off: what was known stays, and changes go on from it.
    assert_eq!(received.take(&parts[0]), None);
    let gone = InstanceId::from("shop_web.instance-00007");
    let change = Names {
        part: Part::Change,
        realm: None,
        put: Vec::new(),
        gone: vec![gone],
        at: Timestamp::EPOCH,
    };
    let known = received.take(&change).expect("a change").clone();
    let n_before = whole(&state, &realm).iter().map(|p| p.put.len()).sum::<usize>();
    assert_eq!(n_before, 2_500);
    let text = format!("{:?}", listed(&known));
    assert!(text.contains("_http._web-shop") && !text.contains(":31007"), "the one is gone");
}

#[test]
fn what_has_no_beginning_is_not_taken() {
    let parts = whole(&state(2_500), &Realm::default());
    let mut received = Received::default();
    assert_eq!(received.take(&parts[1]), None);
    assert_eq!(received.take(parts.last().unwrap()), None);
    let change = Names { part: Part::Change, ..(*parts[0]).clone() };
    assert_eq!(received.take(&change), None);
}

#[test]
fn an_estimate_of_an_entry_is_no_less_than_its_bytes() {
    for part in whole(&state(50), &Realm::default()) {
        let estimate: usize = part.put.iter().flat_map(|named| &named.tasks).map(weight).sum();
        assert!(wire::encode(&*part).len() <= estimate + 4_096);
    }
}
