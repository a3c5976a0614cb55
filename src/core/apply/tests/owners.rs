//! Instances of others than apps and pods: placed, told, ended by the rule of who wants them.

use super::{
    super::{tx::Tx, *},
    world::{World, app},
};
use crate::{
    core::{TaskCommand, invariant, naming, place},
    model::{
        Owner,
        framework::FrameworkId,
        instance::{Condition, Instance, InstanceId, KillReason},
        names::Realm,
        node::NodeId,
        path::PathId,
    },
};

/// One of each kind, under the id it gets.
fn owners() -> [(Owner, &'static str); 3] {
    let framework = FrameworkId::from("c-0002");
    [
        (Owner::Run { job: PathId::parse("/nightly/backup"), run: "20261128".into() }, "run"),
        (Owner::Framework { framework, task: "executor-7".into() }, "framework"),
        (Owner::System("probe".into()), "system"),
    ]
}

/// A cluster with an app, and an instance of each other owner that waits.
fn cluster() -> World {
    let mut w = World::new(2);
    w.put(app("/web", 1));
    w.settle();
    for (owner, id) in owners() {
        let id = InstanceId::from(id);
        let task = app("/runs/something", 1).task();
        let at = w.state.at;
        let mut tx = Tx::new(&mut w.state);
        tx.put(id.clone(), task.clone());
        tx.put_instance(Instance::scheduled(id, owner, task.version, at));
        assert_eq!(tx.finish().len(), 2);
    }
    assert_eq!(invariant::check(&w.state), []);
    w
}

fn is_there(w: &World, id: &str) -> Option<Condition> {
    w.state.instances.get(&InstanceId::from(id)).map(|instance| instance.condition())
}

#[test]
fn a_task_of_any_owner_takes_its_place_and_is_told_of() {
    let mut w = cluster();
    let before = w.state.free(&NodeId::from("n0")).scalars();
    w.launch_on("n0");
    let after = w.state.free(&NodeId::from("n0")).scalars();
    let one = app("/x", 1).run.demand();
    assert_eq!(before, after + one + one + one);
    for (owner, id) in owners() {
        let instance = w.state.instances[&InstanceId::from(id)].clone();
        assert_eq!(w.state.index.by_owner[&owner].len(), 1);
        assert_eq!(w.state.task_of(&instance).expect("told").id.as_str(), "/runs/something");
        assert!(w.state.spec_of(&instance).is_none(), "no workload's version");
        w.report(&instance.id, Condition::Running);
        assert_eq!(is_there(&w, id), Some(Condition::Running));
    }
    // No workload has got one more, and nothing is short of its number.
    assert_eq!(w.state.apps_with_instances().count(), 1);
    assert!(w.state.index.uneven.is_empty() && w.state.index.waiting.is_empty());
}

#[test]
fn its_owner_decides_what_an_end_means() {
    let last = |condition: Condition| {
        let mut w = cluster();
        w.launch_on("n0");
        for (_, id) in owners() {
            w.report(&InstanceId::from(id), Condition::Running);
            w.report(&InstanceId::from(id), condition);
        }
        ["run", "framework", "system"].map(|id| is_there(&w, id))
    };
    let again = Some(Condition::Scheduled);
    assert_eq!(last(Condition::Finished), [None, None, again]);
    assert_eq!(last(Condition::Failed), [again, None, again]);
    assert_eq!(last(Condition::Gone), [again, None, again]);
}

#[test]
fn what_it_ran_goes_with_it() {
    let mut w = cluster();
    w.launch_on("n0");
    let all: Vec<InstanceId> = owners().map(|(_, id)| InstanceId::from(id)).into();
    w.ok(TaskCommand::Kill { instances: all.clone(), wipe: true, reason: KillReason::Request });
    for id in &all {
        w.report(id, Condition::Killed);
    }
    assert!(w.state.tasks.is_empty());
    assert_eq!(w.state.instances.len(), 1);
    assert_eq!(w.state.index.by_owner.len(), 1);
}

#[test]
fn its_rows_make_the_same_state() {
    let mut w = cluster();
    w.launch_on("n1");
    let mut read = State::default();
    for (key, value) in w.state.rows() {
        read.load_row(&key, &value).expect("readable");
    }
    read.finish_load();
    assert_eq!(read.fingerprint(), w.state.fingerprint());
    assert_eq!(read.index.by_owner, w.state.index.by_owner);
    assert_eq!(read.tasks, w.state.tasks);
    assert_eq!(invariant::check(&read), []);
}

#[test]
fn placement_and_names_leave_it_alone() {
    let mut w = cluster();
    let plan = place::Planner::default().plan(&w.state, &[], w.state.at, &Default::default());
    assert!(plan.launches.is_empty() && plan.reports.is_empty(), "whoever wants it says where");
    w.launch_on("n0");
    for (_, id) in owners() {
        w.report(&InstanceId::from(id), Condition::Running);
    }
    let whole = naming::told::whole(&w.state, &Realm::default());
    let named: Vec<&InstanceId> = whole.iter().flat_map(|n| &n.put).map(|n| &n.instance).collect();
    assert_eq!(named, [&w.running("/web")[0].id]);
}
