//! What is launched, and what is told of those that wait.

use std::collections::BTreeSet;

use super::*;
use crate::{
    control::place,
    core::place::{Limits, Planner},
    model::resource::Ranges,
    sim::build::app,
};

/// A stage whose deployments have made their instances, and nothing is placed.
fn waiting(n_nodes: usize, specs: impl IntoIterator<Item = WorkloadSpec>) -> Stage {
    let mut stage = Stage::new(n_nodes);
    stage.put(specs);
    loop {
        let commands = stage.due();
        if commands.is_empty() {
            return stage;
        }
        for command in commands {
            stage.ok(command);
        }
    }
}

/// Instances that are launched and their nodes, and the workloads that are reported.
fn plan(stage: &Stage, limits: &Limits) -> (Vec<(InstanceId, NodeId)>, Vec<String>) {
    let mut step = place::step(&mut Planner::default(), &stage.state, limits, stage.now);
    let launches = match step.commands.pop() {
        Some(Command::Task(TaskCommand::Launch(launches))) => launches,
        None => Vec::new(),
        Some(other) => panic!("{other:?}"),
    };
    let launched = launches.into_iter().map(|l| (l.instance, l.node)).collect();
    (launched, step.report.attempts.keys().map(ToString::to_string).collect())
}

#[test]
fn where_nothing_waits_nothing_is_launched_or_told() {
    let mut stage = Stage::new(2);
    stage.put([app("/web", 2, 0.5, 64.0, 1)]);
    stage.settle();
    assert_eq!(plan(&stage, &Limits::default()), (vec![], vec![]));
}

#[test]
fn each_waiting_instance_is_launched_once_and_none_beyond_what_a_node_has() {
    let mut stage = waiting(2, [app("/web", 9, 1.0, 64.0, 1)]);
    let (launched, told) = plan(&stage, &Limits::default());
    let instances: BTreeSet<_> = launched.iter().map(|(instance, _)| instance).collect();
    assert_eq!((launched.len(), instances.len()), (8, 8), "two nodes of four");
    for n in 0..2 {
        assert_eq!(launched.iter().filter(|(_, node)| *node == node_id(n)).count(), 4);
    }
    assert_eq!(told, ["/web"], "one waits on");
    let launch = stage.placed().expect("there is room");
    stage.ok(launch);
    let (launched, told) = plan(&stage, &Limits::default());
    assert_eq!((launched.len(), told.len()), (0, 1));
}

#[test]
fn nodes_that_are_drained_or_away_get_nothing() {
    let mut stage = waiting(3, [app("/web", 3, 0.5, 64.0, 0)]);
    stage.drain(0);
    stage.ok(NodeCommand::NodeReach { node: node_id(1), reachable: false });
    let (launched, _) = plan(&stage, &Limits::default());
    assert_eq!(launched.len(), 3);
    assert!(launched.iter().all(|(_, node)| *node == node_id(2)), "{launched:?}");
}

#[test]
fn a_small_one_is_launched_behind_a_large_one_that_waits() {
    let large = app("/a-large", 1, 64.0, 64.0, 0);
    let stage = waiting(1, [large, app("/small", 1, 0.5, 64.0, 0)]);
    let (launched, told) = plan(&stage, &Limits::default());
    assert_eq!(launched.len(), 1);
    assert!(launched[0].0.as_str().starts_with("small."), "{launched:?}");
    assert!(told.contains(&"/a-large".to_owned()), "{told:?}");
}

#[test]
fn ports_that_others_hold_are_given_to_nobody() {
    let stage = waiting(1, [app("/web", 2, 0.5, 64.0, 1)]);
    let mut limits = Limits::default();
    limits.ports_held.insert(node_id(0), Ranges::of([(31_001, 31_998)]));
    let commands = place::step(&mut Planner::default(), &stage.state, &limits, stage.now).commands;
    let [Command::Task(TaskCommand::Launch(launches))] = &commands[..] else {
        panic!("{commands:?}")
    };
    let ports: BTreeSet<_> = launches.iter().flat_map(|l| l.host_ports.clone()).collect();
    assert_eq!(ports, [Some(31_000), Some(31_999)].into());
}
