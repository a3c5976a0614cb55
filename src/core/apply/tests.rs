//! Stories of the state machine: commands in, state and changes out, invariants after each.

mod access;
mod bounds;
mod drain;
mod level;
mod masters;
mod owners;
mod past;
mod returned;
mod steps;
mod store;
mod volumes;
pub(crate) mod world;

use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::{
    base::{clock::Timestamp, units::Milli},
    core::{
        AccessCommand, NodeCommand, Rejected, TaskCommand, WorkloadCommand,
        change::End,
        command::{Edit, Expect, GroupChange, GroupEdit, Launch, Scale},
    },
    model::{
        access::Role,
        container::Command as Run,
        deployment::ActionKind,
        instance::{Condition, Goal, Instance, InstanceId, KillReason},
        link::Report,
        node::NodeId,
        path::PathId,
        resource::{Pools, Ranges, Resources, Scalars},
        workload::{UpgradeStrategy, WorkloadSpec},
    },
};
use world::{World, app, checked, edit, node, put};

#[test]
fn a_new_app_starts_and_its_deployment_ends() {
    let mut w = World::new(1);
    let id = w.put(app("/shop/web", 3));
    let steps: Vec<ActionKind> = w.state.deployments[&id]
        .steps
        .iter()
        .flat_map(|s| s.actions.iter().map(|a| a.kind))
        .collect();
    assert_eq!(steps, [ActionKind::Start, ActionKind::Scale]);
    w.settle();
    let running = w.running("/shop/web");
    assert_eq!(running.len(), 3);
    assert_eq!(running[0].task_id("").rsplit_once('.').expect("dot").1, "1");
    assert!(w.state.groups.contains_key(&PathId::parse("/shop")));
    assert_eq!(
        w.state
            .spec(&PathId::parse("/shop/web"))
            .expect("spec")
            .run
            .ports()
            .next()
            .expect("port")
            .service_port,
        10_000
    );
}

#[test]
fn changing_only_the_number_keeps_instances_and_configuration_date() {
    let mut w = World::new(1);
    w.put(app("/a", 2));
    w.settle();
    let before: Vec<InstanceId> = w.running("/a").iter().map(|i| i.id.clone()).collect();
    let old = w.state.spec(&PathId::parse("/a")).expect("spec").clone();
    w.put(app("/a", 4));
    w.settle();
    let after: Vec<InstanceId> = w.running("/a").iter().map(|i| i.id.clone()).collect();
    assert!(before.iter().all(|i| after.contains(i)) && after.len() == 4);
    let new = w.state.spec(&PathId::parse("/a")).expect("spec").clone();
    assert_eq!(new.last_config_change_at, old.last_config_change_at);
    assert!(new.last_scaling_at > old.last_scaling_at && new.version == new.last_scaling_at);
    w.put(app("/a", 1));
    w.settle();
    assert_eq!(w.running("/a").len(), 1);
}

#[test]
fn an_unchanged_app_makes_a_deployment_that_ends_at_once() {
    let mut w = World::new(1);
    w.put(app("/a", 1));
    w.settle();
    let id = w.id();
    let changes = w.ok(WorkloadCommand::PutApps(Box::new(put(
        &id,
        vec![edit(&PathId::parse("/a"), Some(app("/a", 1)))],
    ))));
    let ended =
        |c: &Change| matches!(c, Change::Deployment { new: None, end: Some(End::Success), .. });
    assert!(changes.iter().any(ended), "{changes:?}");
}

#[test]
fn an_upgrade_replaces_everything_and_never_goes_below_the_minimum() {
    for (n, min, over) in
        [(1, 0.5, 0.0), (2, 0.5, 0.0), (5, 1.0, 0.0), (4, 1.0, 1.0), (10, 0.1, 1.0)]
    {
        let mut w = World::new(1);
        let mut old = checked(app("/a", n));
        old.upgrade = UpgradeStrategy { minimum_health_capacity: min, maximum_over_capacity: over };
        w.put(old.clone());
        w.settle();
        let mut new = old.clone();
        new.run_mut().containers[0].command = Run::Shell("sleep 2000".to_owned());
        w.put(new);
        let needed = (f64::from(n) * min).ceil() as usize;
        for _ in 0..200 {
            if w.state.deployments.is_empty() {
                break;
            }
            w.reconcile();
            let healthy = w
                .running("/a")
                .iter()
                .filter(|i| i.kill().is_none() && w.state.healthy(i) == Some(true))
                .count();
            assert!(healthy >= needed, "n={n} min={min} over={over}: {healthy} healthy");
            w.launch_all();
            w.agents_act();
        }
        assert!(w.state.deployments.is_empty(), "n={n} min={min} over={over} hangs");
        assert!(w.running("/a").iter().all(|i| w.state.is_current(i)));
        assert_eq!(w.running("/a").len(), n as usize);
    }
}

#[test]
fn rolling_back_keeps_the_old_instances_that_still_run() {
    let mut w = World::new(1);
    w.put(checked(app("/a", 3)));
    w.settle();
    let before: Vec<InstanceId> = w.running("/a").iter().map(|i| i.id.clone()).collect();
    let mut broken = checked(app("/a", 3));
    broken.run_mut().containers[0].command = Run::Shell("false".to_owned());
    let id = w.put(broken);
    for _ in 0..10 {
        w.reconcile();
        w.launch_all();
        let new: Vec<Arc<Instance>> = w
            .state
            .instances
            .values()
            .filter(|i| w.state.is_current(i) && i.placement().is_some())
            .cloned()
            .collect();
        for i in new {
            w.report(&i.id, Condition::Failed);
        }
    }
    let undo = w.id();
    w.ok(WorkloadCommand::CancelDeployment { id: id.clone(), undo: Some(undo) });
    assert!(!w.state.deployments.contains_key(&id));
    w.settle();
    let after: Vec<InstanceId> = w.running("/a").iter().map(|i| i.id.clone()).collect();
    assert_eq!(after, before);
    assert!(w.running("/a").iter().all(|i| i.incarnation == 1));
}

#[test]
fn cancelling_a_first_deployment_removes_the_app_again() {
    let mut w = World::new(1);
    let id = w.put(app("/a", 1));
    let undo = w.id();
    w.ok(WorkloadCommand::CancelDeployment { id, undo: Some(undo) });
    w.settle();
    assert!(w.state.apps.is_empty() && w.state.instances.is_empty());
    assert!(w.state.specs.is_empty(), "{:?}", w.state.specs);
}

#[test]
fn a_locked_app_is_refused_unless_forced() {
    let mut w = World::new(1);
    let first = w.put(app("/a", 1));
    let second = w.id();
    let mut again = put(&second, vec![edit(&PathId::parse("/a"), Some(app("/a", 5)))]);
    let rejected = w.rejected(WorkloadCommand::PutApps(Box::new(again.clone())));
    assert_eq!(
        rejected,
        Rejected::Locked { apps: vec![PathId::parse("/a")], deployments: vec![first.clone()] }
    );
    assert_eq!(w.state.spec(&PathId::parse("/a")).expect("spec").instances, 1);
    again.force = true;
    let changes = w.ok(WorkloadCommand::PutApps(Box::new(again)));
    let superseded = changes.iter().any(|c| {
        matches!(c, Change::Deployment { id, end: Some(End::Cancelled(_)), .. } if *id == first)
    });
    assert!(superseded);
    w.settle();
    assert_eq!(w.running("/a").len(), 5);
}

#[test]
fn dependencies_order_the_steps_and_cycles_are_refused() {
    let mut w = World::new(1);
    let mut web = app("/web", 1);
    web.dependencies.insert(PathId::parse("/db"));
    let edits =
        vec![edit(&web.id.clone(), Some(web)), edit(&PathId::parse("/db"), Some(app("/db", 1)))];
    let id = w.deploy(edits);
    let order: Vec<Vec<String>> = w.state.deployments[&id]
        .steps
        .iter()
        .map(|s| s.actions.iter().map(|a| format!("{:?} {}", a.kind, a.app)).collect())
        .collect();
    assert_eq!(order, [vec!["Start /db", "Start /web"], vec!["Scale /db"], vec!["Scale /web"]]);
    w.settle();
    let mut db = app("/db", 1);
    db.dependencies.insert(PathId::parse("/web"));
    let id = w.id();
    let rejected = w.rejected(WorkloadCommand::PutApps(Box::new(put(
        &id,
        vec![edit(&db.id.clone(), Some(db))],
    ))));
    assert!(matches!(rejected, Rejected::Cycle(_)));
    assert!(w.state.spec(&PathId::parse("/db")).expect("spec").dependencies.is_empty());
}

#[test]
fn a_failing_task_comes_back_as_the_same_instance_with_a_delay() {
    let mut w = World::new(1);
    w.put(app("/a", 1));
    w.settle();
    let i = w.running("/a")[0].clone();
    let changes = w.report(&i.id, Condition::Failed);
    let seen: Vec<Condition> = changes
        .iter()
        .filter_map(|c| match c {
            Change::Instance { new: Some(new), .. } => Some(new.condition()),
            _ => None,
        })
        .collect();
    assert_eq!(seen, [Condition::Failed, Condition::Scheduled]);
    let app_id = PathId::parse("/a");
    assert_eq!(w.state.delays[&app_id].delay_ms, 1000);
    let failure = w.state.apps[&app_id].last_failure.clone().expect("failure");
    assert_eq!((failure.state.as_str(), failure.message.as_str()), ("TASK_FAILED", "told"));
    w.launch_all();
    assert_eq!(w.state.instances[&i.id].incarnation, 2);
    w.report(&i.id, Condition::Running);
    assert_eq!(w.running("/a")[0].task_id(""), format!("{}._app.2", i.id));
}

#[test]
fn a_removed_app_that_waits_out_its_delay_is_not_launched_once_more() {
    let mut w = World::new(1);
    w.put(app("/a", 1));
    w.settle();
    let i = w.running("/a")[0].clone();
    w.report(&i.id, Condition::Failed);
    let due = w.state.delays[i.app().unwrap()].until;
    let launch = launch_of(&w.state, &i.id);
    w.deploy(vec![edit(i.app().unwrap(), None)]);
    // The removal has taken the delay with it, its first step has not been done yet.
    assert!(w.state.delays.is_empty());
    assert!(w.state.instances[&i.id].waits_for_place());
    let plan = crate::core::place::plan(&w.state, &[], due, &Default::default());
    assert_eq!(plan.launches, []);
    // Nor by a plan that was made before the removal.
    w.ok(TaskCommand::Launch(vec![launch]));
    assert_eq!(w.state.instances[&i.id].condition(), Condition::Scheduled);
    w.settle();
    assert!(w.state.instances.is_empty());
}

/// A launch of `id` on the first node, as a plan made now would order it.
fn launch_of(state: &State, id: &InstanceId) -> Launch {
    let ports = [31_500];
    let resources = Resources {
        scalars: state.spec_of(&state.instances[id]).expect("spec").run.demand(),
        ports: Ranges::of_numbers(ports.iter().copied()),
        named: BTreeMap::new(),
    };
    Launch {
        instance: id.clone(),
        node: NodeId::from("n0"),
        allocation: Pools::of(Role::star(), resources),
        host_ports: vec![Some(31_500)],
    }
}

#[test]
fn a_kill_on_request_brings_no_delay_and_wipe_forgets_the_instance() {
    let mut w = World::new(1);
    w.put(app("/a", 2));
    w.settle();
    let (a, b) = (w.running("/a")[0].id.clone(), w.running("/a")[1].id.clone());
    let kill = |id: &InstanceId, wipe| TaskCommand::Kill {
        instances: vec![id.clone()],
        wipe,
        reason: KillReason::Request,
    };
    w.ok(kill(&a, false));
    w.ok(kill(&b, true));
    w.report(&a, Condition::Killed);
    w.report(&b, Condition::Killed);
    assert_eq!(w.state.instances[&a].condition(), Condition::Scheduled);
    assert!(!w.state.instances.contains_key(&b));
    assert!(w.state.delays.is_empty());
    assert!(w.state.index.uneven.contains(&PathId::parse("/a")));
}

#[test]
fn reports_of_another_incarnation_or_from_elsewhere_are_ignored() {
    let mut w = World::new(2);
    w.put(app("/a", 1));
    w.settle();
    let i = w.running("/a")[0].clone();
    let mut report = Report::new(i.id.clone(), 7, Condition::Failed, Timestamp::EPOCH);
    w.ok(TaskCommand::Report { node: NodeId::from("n0"), reports: vec![report.clone()] });
    report.incarnation = 1;
    w.ok(TaskCommand::Report { node: NodeId::from("n1"), reports: vec![report] });
    assert_eq!(w.state.instances[&i.id].condition(), Condition::Running);
}

#[test]
fn tasks_of_a_lost_node_are_kept_then_replaced_and_taken_back() {
    let mut w = World::new(1);
    w.put(app("/a", 1));
    w.settle();
    let (lost, uneven) = (w.running("/a")[0].id.clone(), PathId::parse("/a"));
    let expire = |inactive: &[InstanceId], expunge: &[InstanceId]| TaskCommand::Expire {
        inactive: inactive.to_vec(),
        expunge: expunge.to_vec(),
    };
    let ids = std::slice::from_ref(&lost);
    w.ok(NodeCommand::NodeReach { node: NodeId::from("n0"), reachable: false });
    assert!(w.running("/a").is_empty(), "out of names and front doors");
    assert_eq!(w.state.instances[&lost].condition(), Condition::Unreachable);
    assert!(!w.state.index.uneven.contains(&uneven), "not replaced yet");
    w.ok(expire(ids, &[]));
    assert!(w.state.index.uneven.contains(&uneven));
    w.ok(NodeCommand::RegisterNode(Box::new(node(0))));
    w.ok(expire(&[], ids));
    assert!(w.state.instances.contains_key(&lost), "its node is back: it tells itself");
    w.report(&lost, Condition::Running);
    assert_eq!(w.running("/a")[0].id, lost);
    assert!(!w.state.index.uneven.contains(&uneven));
}

#[test]
fn one_that_was_replaced_and_ended_meanwhile_has_no_next_life_and_delays_nobody() {
    let mut w = World::new(1);
    w.put(app("/a", 1));
    w.settle();
    let lost = w.running("/a")[0].id.clone();
    w.ok(NodeCommand::NodeReach { node: NodeId::from("n0"), reachable: false });
    w.ok(TaskCommand::Expire { inactive: vec![lost.clone()], expunge: Vec::new() });
    w.ok(NodeCommand::RegisterNode(Box::new(node(0))));
    w.report(&lost, Condition::Failed);
    assert!(!w.state.instances.contains_key(&lost));
    assert!(w.state.delays.is_empty());
    assert!(w.state.index.uneven.contains(&PathId::parse("/a")), "its replacement is still due");
}

#[test]
fn a_repair_that_came_late_ends_only_what_is_too_much_now() {
    let mut w = World::new(1);
    w.put(app("/a", 2));
    w.settle();
    let retire = vec![w.running("/a")[0].id.clone()];
    let scale = Scale { app: PathId::parse("/a"), add: Vec::new(), retire };
    w.ok(WorkloadCommand::Scale(scale));
    assert!(w.running("/a").iter().all(|i| i.goal == Goal::Running), "two are wanted");
}

#[test]
fn a_launch_that_does_not_fit_leaves_the_instance_waiting() {
    let mut w = World::new(1);
    w.put(app("/a", 1));
    w.reconcile();
    let i = w.state.instances.values().next().expect("instance").clone();
    let allocation = Resources {
        scalars: Scalars { cpus: Milli::whole(101), ..Scalars::default() },
        ports: Ranges::of_numbers([31_000]),
        named: BTreeMap::new(),
    };
    let launch = Launch {
        instance: i.id.clone(),
        node: NodeId::from("n0"),
        allocation: Pools::of(Role::star(), allocation),
        host_ports: vec![Some(31_000)],
    };
    let (outcome, changes) = w.run(TaskCommand::Launch(vec![launch]));
    assert_eq!((outcome.expect("accepted").n_done, changes.len()), (0, 0));
    assert_eq!(w.state.instances[&i.id].condition(), Condition::Scheduled);
    assert_eq!(w.state.instances[&i.id].goal, Goal::Running);
}

#[test]
fn a_group_goes_with_everything_below_it() {
    let mut w = World::new(1);
    w.put(app("/g/a", 1));
    w.put(app("/g/sub/b", 1));
    w.put(app("/other", 1));
    w.settle();
    let id = w.id();
    let mut delete = put(&id, Vec::new());
    delete.groups = vec![GroupEdit { id: PathId::parse("/g"), change: GroupChange::Delete }];
    w.ok(WorkloadCommand::PutApps(Box::new(delete)));
    w.settle();
    let left: Vec<String> = w.state.apps.keys().map(ToString::to_string).collect();
    assert_eq!(left, ["/other"]);
    assert_eq!(w.state.groups.keys().map(ToString::to_string).collect::<Vec<_>>(), ["/"]);
}

#[test]
fn paths_name_one_thing_only() {
    let mut w = World::new(1);
    w.put(app("/g/a", 0));
    w.settle();
    for taken in ["/g", "/g/a/b"] {
        let id = w.id();
        let edits = vec![edit(&PathId::parse(taken), Some(app(taken, 1)))];
        let rejected = w.rejected(WorkloadCommand::PutApps(Box::new(put(&id, edits))));
        assert!(matches!(rejected, Rejected::Taken(_)), "{taken}: {rejected:?}");
    }
}

#[test]
fn a_repeated_request_gets_its_first_outcome_and_happens_once() {
    let mut w = World::new(1);
    let id = w.id();
    let edits =
        vec![Edit { expect: Expect::Absent, ..edit(&PathId::parse("/a"), Some(app("/a", 1))) }];
    let command = WorkloadCommand::PutApps(Box::new(put(&id, edits))).into();
    let request = Some(crate::core::command::RequestId(42));
    let stamped = Stamped { at: Timestamp::from_ms(5_000), request, by: None, command };
    let (first, changes) = apply(&mut w.state, &stamped);
    assert!(!changes.is_empty());
    let (second, changes) = apply(&mut w.state, &stamped);
    assert!(changes.is_empty());
    assert_eq!(first, second);
}

#[test]
fn rows_put_together_make_the_same_state() {
    let mut w = World::new(2);
    let mut web = app("/web", 2);
    web.dependencies.insert(PathId::parse("/g"));
    web.run_mut().containers[0]
        .env
        .insert("A".into(), crate::model::container::EnvValue::Text("b".into()));
    w.put(checked(web));
    w.put(app("/g/a", 1));
    w.settle();
    let failing = w.running("/g/a")[0].id.clone();
    w.report(&failing, Condition::Failed);
    w.put(app("/g/b", 1));
    let mut loaded = State::default();
    for (key, value) in w.state.rows() {
        loaded.load_row(&key, &value).expect("row");
    }
    loaded.finish_load();
    assert_eq!(loaded.fingerprint(), w.state.fingerprint());
    let mut rebuilt = w.state.clone();
    reindex(&mut rebuilt);
    assert_eq!(loaded.index, rebuilt.index);
    assert_eq!(loaded.revision, w.state.revision);
}

#[test]
fn time_never_runs_back() {
    let mut w = World::new(0);
    let late = Stamped {
        at: Timestamp::from_ms(1),
        request: None,
        by: None,
        command: AccessCommand::DeleteUser("nobody".to_owned()).into(),
    };
    let before = w.state.at;
    let (outcome, _) = apply(&mut w.state, &late);
    assert!(outcome.is_err());
    assert_eq!(w.state.at, before);
}

#[test]
fn what_a_command_touched_is_checked_like_the_whole() {
    let mut w = World::new(2);
    w.put(app("/a", 2));
    w.settle();
    let instance = w.running("/a")[0].clone();
    let change = Change::Instance {
        id: instance.id.clone(),
        old: Some(instance.clone()),
        new: Some(instance.clone()),
    };
    type Harm = fn(&mut State, &Instance);
    let harms: [(&str, Harm); 5] = [
        ("used", |s, _| s.index.used = Default::default()),
        ("by_owner", |s, _| s.index.by_owner = Default::default()),
        ("present", |s, _| s.index.present = Default::default()),
        ("spec", |s, _| s.specs = Default::default()),
        ("port", |s, i| {
            let node = i.placement().expect("placed").node.clone();
            let twice = Instance { id: InstanceId::from("other"), ..i.clone() };
            s.instances.insert(twice.id.clone(), Arc::new(twice.clone()));
            s.index.by_node.entry(node).or_default().insert(twice.id);
        }),
    ];
    for (name, harm) in harms {
        let mut state = w.state.clone();
        harm(&mut state, &instance);
        let touched = crate::core::invariant::check_touched(&state, std::slice::from_ref(&change));
        assert!(!touched.is_empty(), "{name} went unnoticed");
        assert!(!crate::core::invariant::check(&state).is_empty(), "{name}, whole");
    }
    let mut gone = w.state.clone();
    gone.instances.remove(&instance.id);
    assert!(!crate::core::invariant::check_touched(&gone, &[change]).is_empty());
}
