//! Lost instances come back in the middle of an upgrade, when others have been made for them.

use super::world::{World, app, checked};
use crate::{
    core::{NodeCommand, TaskCommand, deploy},
    model::{
        instance::{Condition, InstanceId, KillReason},
        node::NodeId,
        path::PathId,
        workload::{KillSelection, UnreachableStrategy},
    },
};

#[test]
fn of_too_many_new_ones_those_go_that_do_not_count_yet() {
    let mut w = World::new(2);
    let mut web = checked(app("/web", 3));
    (web.upgrade.minimum_health_capacity, web.upgrade.maximum_over_capacity) = (1.0, 1.0);
    web.kill_selection = KillSelection::OldestFirst;
    web.unreachable = UnreachableStrategy::After { inactive_ms: 20_000, expunge_ms: 60_000 };
    w.put(web.clone());
    w.settle();
    let id = PathId::parse("/web");
    let ids = |w: &World| -> Vec<InstanceId> {
        let new = w.state.instances_of(&id).filter(|i| w.state.is_current(i));
        new.map(|i| i.id.clone()).collect()
    };
    let old = ids(&w);

    // Three new ones start, and their node is lost; one of them is given up and made anew.
    web.run_mut().labels.insert("release".into(), "2".into());
    w.put(web);
    w.reconcile();
    w.launch_on("n1");
    let [a, b, c] = &ids(&w)[..] else { panic!("three new ones") };
    let node = NodeId::from("n1");
    w.ok(NodeCommand::NodeReach { node: node.clone(), reachable: false });
    w.ok(TaskCommand::Expire { inactive: vec![c.clone()], expunge: Vec::new() });
    w.reconcile();
    w.launch_on("n0");
    let new = ids(&w);
    let d = new.iter().find(|i| ![a, b, c].contains(i)).expect("one more");

    // Somebody ends two of the old ones: now every healthy one counts.
    let (instances, reason) = (old[..2].to_vec(), KillReason::Request);
    w.ok(TaskCommand::Kill { instances, wipe: true, reason });
    old[..2].iter().for_each(|i| drop(w.report(i, Condition::Killed)));
    w.ok(NodeCommand::NodeReach { node, reachable: true });
    for (instance, healthy) in [(a, true), (b, true), (c, false), (d, false)] {
        w.report_with(instance, Condition::Running, Some(healthy));
    }
    let n_healthy =
        |w: &World| w.state.instances_of(&id).filter(|i| deploy::is_healthy(&w.state, i)).count();
    assert_eq!(n_healthy(&w), 3);
    w.reconcile();
    assert_eq!(n_healthy(&w), 3, "no more than three are wanted, and no fewer may serve");
    let n_ending = w.state.instances_of(&id).filter(|i| i.kill().is_some()).count();
    assert_eq!(n_ending, 1, "one of the two that are not healthy yet is too many");
    let mut left = ids(&w);
    left.retain(|i| w.state.instances[i].kill().is_none());
    for instance in &left {
        w.report_with(instance, Condition::Running, Some(true));
    }
    w.settle();
    assert_eq!(n_healthy(&w), 3);
}
