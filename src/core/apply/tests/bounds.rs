//! What no command may bring into the state, and what a large one may cost.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    super::*,
    world::{World, app, edit, node, put},
};
use crate::{
    base::{clock::Timestamp, limit},
    core::{
        NodeCommand, Rejected, WorkloadCommand,
        command::{GroupChange, GroupEdit, PutApps},
        deploy::kill,
    },
    model::{
        instance::{Instance, InstanceId, Life, Phase, Placement},
        node::{Attribute, NodeId},
        path::PathId,
        resource::Pools,
        workload::{Constraint, Operator, WorkloadSpec},
    },
};

#[test]
fn an_id_beyond_its_size_is_refused_for_apps_and_groups() {
    let mut w = World::new(1);
    for id in ["/a".repeat(limit::PATH_SEGMENTS_MAX + 1), format!("/{}", "a".repeat(255))] {
        let d = w.id();
        let edits = vec![edit(&PathId::parse(&id), Some(app(&id, 1)))];
        let refused = w.rejected(WorkloadCommand::PutApps(Box::new(put(&d, edits))));
        assert!(matches!(&refused, Rejected::Invalid { field, .. } if field == "/id"), "{refused}");
        let change = GroupChange::Put { dependencies: None, enforce_role: None };
        let groups = vec![GroupEdit { id: PathId::parse(&id), change }];
        let d = w.id();
        let refused = w.rejected(WorkloadCommand::PutApps(Box::new(PutApps {
            groups,
            ..put(&d, Vec::new())
        })));
        assert!(matches!(&refused, Rejected::Invalid { field, .. } if field == "/id"), "{refused}");
    }
    w.put(app(&"/a".repeat(limit::PATH_SEGMENTS_MAX), 1));
}

fn fat(id: &str, n_bytes: usize) -> WorkloadSpec {
    let mut spec = app(id, 0);
    spec.run_mut().labels.insert("fat".to_owned(), "x".repeat(n_bytes));
    spec
}

#[test]
fn a_definition_beyond_its_size_is_refused() {
    let mut w = World::new(1);
    let d = w.id();
    let spec = fat("/a", limit::DEFINITION_BYTES_MAX);
    let edits = vec![edit(&PathId::parse("/a"), Some(spec))];
    let refused = w.rejected(WorkloadCommand::PutApps(Box::new(put(&d, edits))));
    assert!(refused.to_string().contains("the maximum is 1048576"), "{refused}");
    w.put(fat("/a", limit::DEFINITION_BYTES_MAX - 1024));
}

#[test]
fn versions_are_kept_by_number_and_by_bytes() {
    let mut w = World::new(1);
    let kept = |w: &World, id: &str| w.state.versions_of(&PathId::parse(id)).count();
    for n in 0..limit::VERSIONS_PER_APP_MAX + 2 {
        w.put(fat("/small", n + 1));
        w.settle();
    }
    assert_eq!(kept(&w, "/small"), limit::VERSIONS_PER_APP_MAX);
    let n_bytes = 1_000_000;
    for n in 0..12 {
        w.put(fat("/large", n_bytes + n));
        w.settle();
    }
    assert_eq!(kept(&w, "/large"), limit::VERSIONS_BYTES_MAX / n_bytes);
    w.put(fat("/large", 1));
    assert_eq!(kept(&w, "/large"), limit::VERSIONS_BYTES_MAX / n_bytes + 1);
}

/// Which instances go, found the slow way: look at all groups anew for every one.
fn one_by_one(state: &State, ranked: &[InstanceId], n: usize) -> Vec<InstanceId> {
    let rack = |id: &InstanceId| {
        let placement = state.instances[id].placement();
        placement.map(|p| state.nodes[&p.node].field("rack"))
    };
    let mut left = ranked.to_vec();
    let mut gone = Vec::new();
    while gone.len() < n {
        let count = |id: &InstanceId| left.iter().filter(|i| rack(i) == rack(id)).count();
        let at = left.iter().position(|id| rack(id).is_none()).unwrap_or_else(|| {
            let most = left.iter().map(count).max().unwrap_or(0);
            left.iter().position(|id| count(id) == most).unwrap_or(0)
        });
        gone.push(left.remove(at));
    }
    gone
}

#[test]
fn groups_stay_even_whoever_goes() {
    let mut w = World::new(0);
    for n in 0..6 {
        let mut node = node(n);
        node.attributes
            .insert("rack".to_owned(), Attribute::Text(["a", "b", "c"][n % 3].to_owned()));
        w.ok(NodeCommand::RegisterNode(Box::new(node)));
    }
    let mut spec = app("/a", 0);
    let rule = Constraint { field: "rack".to_owned(), operator: Operator::GroupBy, value: None };
    spec.constraints.push(rule);
    let mut state = w.state.clone();
    let mut rng = crate::base::rng::Rng::from_seed(5);
    for n in 0..60_u32 {
        let id = InstanceId::from(format!("a.instance-{n:02}"));
        let mut instance = Instance::scheduled(
            id.clone(),
            spec.id.clone(),
            Timestamp::EPOCH,
            Timestamp::from_ms(i64::from(n)),
        );
        if n % 13 != 0 {
            let node = NodeId::from(format!("n{}", rng.below(4) + rng.below(3)));
            let place = Placement {
                node,
                hostname: String::new(),
                address: "127.0.0.1".parse().expect("address"),
                allocation: Pools::default(),
                host_ports: Vec::new(),
                launched_at: Timestamp::EPOCH,
            };
            instance.life = Life::placed(Phase::Running, place);
        }
        state.instances.insert(id, Arc::new(instance));
    }
    let all: Vec<Arc<Instance>> = state.instances.values().cloned().collect();
    let none = BTreeSet::new();
    let plain = WorkloadSpec { constraints: Vec::new(), ..spec.clone() };
    let ranked = kill::choose(&state, &plain, &all, all.len(), &none);
    assert_eq!(ranked.len(), all.len());
    for n in [0, 1, 7, 30, 60] {
        assert_eq!(kill::choose(&state, &spec, &all, n, &none), one_by_one(&state, &ranked, n));
    }
}
