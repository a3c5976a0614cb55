//! Rows of a whole state as they were first landed, opened by the present build.

use super::world::*;
use crate::{
    base::{
        clock::Timestamp,
        hex::hex,
        wire::sample::{records, unhex},
    },
    core::{AccessCommand, AdmissionCommand, State, invariant},
    model::{
        access::{Role, RoleSettings, User},
        instance::Condition,
        path::PathId,
    },
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/formats/store-2.txt");

/// A cluster with something in most tables.
fn cluster() -> State {
    let mut w = World::new(2);
    w.put(checked(app("/shop/web", 3)));
    w.settle();
    w.put(app("/shop/db", 1));
    w.settle();
    w.put(checked(app("/shop/web", 4))); // under way
    w.reconcile();
    let first = w.running("/shop/db")[0].id.clone();
    w.report(&first, Condition::Failed);
    let user = User {
        uid: "ann".into(),
        description: "Ann".into(),
        password_hash: Some("$argon2id$x".into()),
        public_key: None,
        provider_type: "internal".into(),
        provider_id: String::new(),
        is_remote: false,
        superuser: true,
        generation: 0,
    };
    w.ok(AccessCommand::PutUser { user, expect: crate::core::command::Expect::Absent });
    w.ok(AccessCommand::PutRole(RoleSettings {
        role: Role::from("shop"),
        weight: crate::base::units::Milli::whole(2),
        quota: None,
    }));
    w.ok(AdmissionCommand::Invite { digest: [5; 32], until: Timestamp::from_ms(900_000) });
    w.state
}

/// The state in the recorded rows.
fn recorded() -> State {
    let mut state = State::default();
    let text = std::fs::read_to_string(FILE).expect("the record");
    for line in text.lines() {
        let (key, value) = line.split_once(' ').expect("key and value");
        state.load_row(&unhex(key), &unhex(value)).expect("a row that is still read");
    }
    state.finish_load();
    state
}

#[test]
fn a_store_of_the_first_kept_format_opens_and_means_what_it_meant() {
    if records() && !std::path::Path::new(FILE).exists() {
        let state = cluster();
        let rows = state.rows().map(|(key, value)| format!("{} {}\n", hex(&key), hex(&value)));
        std::fs::write(FILE, rows.collect::<String>()).expect("written");
    }
    let state = recorded();
    assert_eq!(invariant::check(&state), []);
    let web = PathId::parse("/shop/web");
    assert_eq!(state.cluster.as_ref().map(|c| (c.id.as_str(), c.secret)), Some(("c", [7; 32])));
    assert_eq!(state.nodes.len(), 2);
    assert_eq!(state.spec(&web).map(|spec| spec.instances), Some(4));
    assert_eq!(state.versions_of(&web).count(), 2);
    assert_eq!(state.deployments.len(), 1);
    let running = state.instances_of(&web).filter(|i| i.condition() == Condition::Running);
    let ports: Vec<_> =
        running.map(|i| i.placement().expect("a place").host_ports.clone()).collect();
    assert_eq!(ports.len(), 3);
    assert!(ports.iter().all(|p| p.iter().all(Option::is_some)), "{ports:?}");
    let failure = state.apps[&PathId::parse("/shop/db")].last_failure.clone().expect("a failure");
    assert_eq!(failure.state, "TASK_FAILED");
    assert_eq!(state.delays.len(), 1);
    assert!(state.users["ann"].superuser);
    assert_eq!(state.roles[&Role::from("shop")].weight.get(), 2_000);
    assert_eq!(state.invitations[&[5; 32]].until, Timestamp::from_ms(900_000));
    assert_eq!(state.past.len(), 3);
}

#[test]
fn rows_written_again_are_the_same_state() {
    let state = cluster();
    let mut again = State::default();
    for (key, value) in state.rows() {
        again.load_row(&key, &value).expect("a row");
    }
    again.finish_load();
    assert_eq!(again.fingerprint(), state.fingerprint());
    assert_eq!(again.instances, state.instances);
    assert_eq!(again.deployments, state.deployments);
    assert_eq!(again.past, state.past);
}
