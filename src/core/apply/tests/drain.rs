//! A node is drained: replacements first, minimum health always, and back again.

use std::collections::BTreeSet;

use super::*;
use crate::{
    core::{command::Scale, deploy},
    model::node::Duty,
};

/// What runs on the first node may be moved to the second.
fn drained(spec: WorkloadSpec) -> World {
    let mut w = World::new(2);
    w.put(spec);
    w.settle();
    duty(&mut w, Duty::Draining { since: Timestamp::EPOCH, until: Timestamp::from_ms(i64::MAX) });
    w
}

fn duty(w: &mut World, duty: Duty) {
    w.ok(NodeCommand::NodeDuty { node: NodeId::from("n0"), duty });
}

/// What the deployment reconciler does outside deployments; how many it made and retired.
fn replace(w: &mut World) -> (usize, usize) {
    let (mut n_add, mut n_retire) = (0, 0);
    for app in w.state.index.uneven.clone() {
        let spec = w.state.spec(&app).expect("spec").clone();
        let due = deploy::progress::scale(&w.state, &spec, &BTreeSet::new());
        n_add += due.n_add;
        n_retire += due.retire.len();
        let add = (0..due.n_add).map(|_| w.instance_id(&app)).collect();
        w.ok(WorkloadCommand::Scale(Scale { app, add, retire: due.retire }));
    }
    (n_add, n_retire)
}

/// What the draining reconciler ends; how many that were.
fn end(w: &mut World) -> usize {
    let app = PathId::parse("/a");
    let here: Vec<_> = w.state.instances_on(&NodeId::from("n0")).cloned().collect();
    let spec = w.state.spec(&app).expect("spec").clone();
    let instances = deploy::drain::due(&w.state, &spec, &here);
    let n = instances.len();
    w.ok(TaskCommand::Kill { instances, wipe: true, reason: KillReason::Drain });
    n
}

fn on(w: &World, node: &str) -> usize {
    w.state.instances_on(&NodeId::from(node)).count()
}

fn capacity(mut spec: WorkloadSpec, minimum: f64, over: f64) -> WorkloadSpec {
    spec.upgrade =
        UpgradeStrategy { minimum_health_capacity: minimum, maximum_over_capacity: over };
    spec
}

#[test]
fn replacements_come_first_and_must_be_healthy() {
    for n in [1, 2] {
        let mut w = drained(checked(app("/a", n)));
        let n = n as usize;
        assert_eq!(end(&mut w), 0, "nothing is replaced yet");
        assert_eq!(replace(&mut w), (n, 0));
        assert_eq!(replace(&mut w), (0, 0), "they are asked for once");
        assert_eq!(end(&mut w), 0, "with no room elsewhere nothing ends");
        w.launch_on("n1");
        let new: Vec<InstanceId> =
            w.state.instances_on(&NodeId::from("n1")).map(|i| i.id.clone()).collect();
        for id in &new {
            w.report_with(id, Condition::Running, None);
        }
        assert_eq!(end(&mut w), 0, "they run but are not healthy");
        w.report_with(&new[0], Condition::Running, Some(true));
        assert_eq!(end(&mut w), 1, "one for one");
        assert_eq!(end(&mut w), 0);
        w.agents_act();
        if n == 2 {
            assert_eq!(end(&mut w), 0, "the other's replacement is not healthy yet");
            w.report_with(&new[1], Condition::Running, Some(true));
            assert_eq!(end(&mut w), 1);
            w.agents_act();
        }
        assert_eq!((on(&w, "n0"), on(&w, "n1")), (0, n));
        assert_eq!(replace(&mut w), (0, 0), "no more than wanted");
        assert!(w.state.index.uneven.is_empty());
    }
}

#[test]
fn of_several_the_unhealthy_goes_first_and_the_healthy_only_for_a_healthy_one() {
    let mut w = drained(checked(app("/a", 2)));
    replace(&mut w);
    w.launch_on("n1");
    let ids = |w: &World, node| -> Vec<InstanceId> {
        w.state.instances_on(&NodeId::from(node)).map(|i| i.id.clone()).collect()
    };
    let (old, new) = (ids(&w, "n0"), ids(&w, "n1"));
    w.report_with(&old[0], Condition::Running, Some(false));
    w.report_with(&new[0], Condition::Running, Some(true));
    assert_eq!(end(&mut w), 1);
    assert!(w.state.instances[&old[0]].kill().is_some(), "the one that serves nobody");
    assert!(w.state.instances[&old[1]].kill().is_none());
    // Somebody else's decision on an older state is looked at again.
    let late = vec![old[1].clone()];
    w.ok(TaskCommand::Kill { instances: late, wipe: true, reason: KillReason::Drain });
    assert!(w.state.instances[&old[1]].kill().is_none());
}

#[test]
fn where_none_more_is_allowed_the_minimum_health_makes_room() {
    let mut w = drained(capacity(app("/a", 4), 0.5, 0.0));
    assert_eq!(replace(&mut w), (0, 0), "not five of four");
    assert_eq!(end(&mut w), 2, "down to the minimum");
    assert_eq!(end(&mut w), 0);
    w.agents_act();
    assert_eq!(replace(&mut w), (2, 0));
    assert_eq!(end(&mut w), 0, "no room elsewhere: nothing below the minimum");
    w.launch_on("n1");
    w.agents_act();
    assert_eq!(end(&mut w), 2);
    w.agents_act();
    replace(&mut w);
    w.launch_on("n1");
    w.agents_act();
    assert_eq!((on(&w, "n0"), on(&w, "n1")), (0, 4));
}

#[test]
fn a_drain_taken_back_or_over_leaves_what_runs() {
    for after in [Duty::Active, Duty::Deactivated { since: Timestamp::EPOCH }] {
        let mut w = drained(app("/a", 2));
        assert_eq!(replace(&mut w), (2, 0));
        duty(&mut w, after);
        assert_eq!(replace(&mut w), (0, 2), "the replacements are not needed any more");
        assert_eq!(on(&w, "n0"), 2);
        assert_eq!(w.state.instances.len(), 2);
        assert!(w.state.index.uneven.is_empty());
    }
}

#[test]
fn a_smaller_number_takes_from_the_drained_node() {
    let mut w = drained(app("/a", 2));
    replace(&mut w);
    w.launch_on("n1");
    w.agents_act();
    w.put(app("/a", 1));
    w.settle();
    while end(&mut w) > 0 {
        w.agents_act();
    }
    assert_eq!((on(&w, "n0"), on(&w, "n1")), (0, 1));
}
