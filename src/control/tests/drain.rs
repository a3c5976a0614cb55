//! What a draining node is asked for as its work moves away and as its time runs out.

use std::sync::Arc;

use super::*;
use crate::{
    control::{drain, reconciler::Step},
    core::apply::reindex,
    model::{Owner, instance::KillReason},
    sim::build::app,
};

const NONE: [&str; 0] = [];

fn due_at(stage: &Stage, n: usize, now: Timestamp) -> Vec<String> {
    let mut step = Step::default();
    drain::step(&stage.state, &stage.state.nodes[&node_id(n)], now, &mut step);
    words(&step.commands)
}

fn due(stage: &Stage, n: usize) -> Vec<String> {
    due_at(stage, n, stage.now)
}

/// What the node waits for.
fn told(stage: &Stage, n: usize) -> Vec<String> {
    let mut step = Step::default();
    drain::step(&stage.state, &stage.state.nodes[&node_id(n)], stage.now, &mut step);
    step.report.waits.into_iter().map(|wait| format!("{}: {}", wait.about, wait.because)).collect()
}

fn before(at: Timestamp) -> Timestamp {
    Timestamp::from_ms(at.as_ms() - 1)
}

fn duty(n: usize, duty: Duty) -> Vec<String> {
    words(&[NodeCommand::NodeDuty { node: node_id(n), duty }.into()])
}

/// An app whose one instance runs on a node that is drained; the node's number, and until when.
fn draining(n_nodes: usize) -> (Stage, usize, Timestamp) {
    let mut stage = Stage::new(n_nodes);
    stage.put([app("/web", 1, 0.5, 64.0, 1)]);
    stage.settle();
    let host = stage.hosts("/web").pop().expect("it runs");
    let n = (0..n_nodes).find(|n| node_id(*n) == host).expect("a node");
    let until = stage.drain(n);
    (stage, n, until)
}

#[test]
fn an_active_node_is_asked_for_nothing() {
    let mut stage = Stage::new(1);
    stage.put([app("/web", 1, 0.5, 64.0, 1)]);
    stage.settle();
    assert_eq!(due(&stage, 0), NONE);
}

#[test]
fn an_empty_node_is_drained_when_it_can_be_asked() {
    let mut stage = Stage::new(1);
    let until = stage.drain(0);
    assert_eq!(due(&stage, 0), duty(0, Duty::Drained { since: stage.now }));
    stage.ok(NodeCommand::NodeReach { node: node_id(0), reachable: false });
    assert_eq!(due(&stage, 0), NONE, "who knows what still runs there");
    assert_eq!(due_at(&stage, 0, before(until)), NONE);
    assert_eq!(due_at(&stage, 0, until), duty(0, Duty::Deactivated { since: until }));
}

#[test]
fn a_task_that_belongs_to_no_workload_is_waited_for() {
    let (mut stage, n, until) = draining(1);
    let mut other = stage.of("/web")[0].clone();
    (other.id, other.owner) = ("probe-1".into(), Owner::System("probe".to_owned()));
    stage.state.instances.clear();
    stage.state.instances.insert(other.id.clone(), Arc::new(other));
    reindex(&mut stage.state);
    assert_eq!(due(&stage, n), NONE, "nobody moves it, and the node is not empty");
    assert_eq!(due_at(&stage, n, until), duty(n, Duty::Deactivated { since: until }));
}

#[test]
fn an_instance_ends_when_its_replacement_runs_elsewhere() {
    let (mut stage, n, _) = draining(2);
    let old = stage.of("/web")[0].id.clone();
    assert_eq!(due(&stage, n), NONE, "there is no other yet");
    let commands = stage.due();
    assert!(
        matches!(&commands[..], [Command::Workload(WorkloadCommand::Scale(scale))] if scale.add.len() == 1)
    );
    stage.ok(commands[0].clone());
    assert_eq!(due(&stage, n), NONE, "it waits for a place");
    let launch = stage.placed().expect("there is room");
    stage.ok(launch);
    assert!(stage.hosts("/web").contains(&node_id(1 - n)), "elsewhere");
    assert_eq!(due(&stage, n), NONE, "it does not run yet");
    stage.agents();
    let kill =
        TaskCommand::Kill { instances: vec![old], wipe: true, reason: KillReason::Drain }.into();
    assert_eq!(due(&stage, n), words(std::slice::from_ref(&kill)));
    stage.ok(kill);
    assert_eq!(due(&stage, n), NONE, "it was said once");
    stage.agents();
    assert_eq!(due(&stage, n), duty(n, Duty::Drained { since: stage.now }));
    assert_eq!(stage.hosts("/web"), [node_id(1 - n)]);
}

#[test]
fn with_no_room_elsewhere_nothing_ends_and_at_the_deadline_what_is_left_stays() {
    let (mut stage, n, until) = draining(1);
    for command in stage.due() {
        stage.ok(command);
    }
    assert!(stage.placed().is_none(), "the only node is drained");
    assert_eq!(due_at(&stage, n, before(until)), NONE);
    assert_eq!(due_at(&stage, n, until), duty(n, Duty::Deactivated { since: until }));
}

/// A drain whose instance has a running replacement on the other node.
fn replaced() -> (Stage, usize) {
    let (mut stage, n, _) = draining(2);
    let commands = stage.due();
    stage.ok(commands[0].clone());
    let launch = stage.placed().expect("there is room");
    stage.ok(launch);
    stage.agents();
    assert_eq!(due(&stage, n).len(), 1, "the replacement runs");
    (stage, n)
}

#[test]
fn an_app_under_deployment_is_left_to_its_deployment() {
    let (mut stage, n) = replaced();
    stage.put([app("/web", 1, 0.6, 64.0, 1)]);
    assert_eq!(due(&stage, n), NONE);
}

#[test]
fn a_node_that_is_away_is_asked_for_nothing_before_its_deadline() {
    let (mut stage, n) = replaced();
    stage.ok(NodeCommand::NodeReach { node: node_id(n), reachable: false });
    assert_eq!(due(&stage, n), NONE);
}

#[test]
fn a_draining_node_tells_what_it_waits_for() {
    let (mut stage, n, until) = draining(2);
    let host = stage.state.nodes[&node_id(n)].info.hostname.clone();
    let waits = |what: &str| [format!("node {host}: drains until {until}: {what}")];
    assert_eq!(told(&stage, n), waits("1 of /web has no good replacement elsewhere yet"));
    assert_eq!(told(&stage, 1 - n), NONE, "the other is not drained");
    let commands = stage.due();
    stage.ok(commands[0].clone());
    let launch = stage.placed().expect("there is room");
    stage.ok(launch);
    stage.agents();
    assert_eq!(told(&stage, n), NONE, "it may go");
    stage.put([app("/web", 1, 0.6, 64.0, 1)]);
    assert_eq!(told(&stage, n), waits("1 of /web is left to its deployment"));
    stage.ok(NodeCommand::NodeReach { node: node_id(n), reachable: false });
    assert_eq!(told(&stage, n), waits("it is away"));
}

#[test]
fn what_was_told_to_end_is_waited_for() {
    let (mut stage, n) = replaced();
    let due = TaskCommand::Kill {
        instances: stage.of("/web").into_iter().filter(|i| on(i, n)).map(|i| i.id).collect(),
        wipe: true,
        reason: KillReason::Drain,
    };
    stage.ok(due);
    let told = told(&stage, n);
    assert!(told.len() == 1 && told[0].ends_with(": 1 of /web is on its way out"), "{told:?}");
}

fn on(instance: &Instance, n: usize) -> bool {
    instance.placement().is_some_and(|place| place.node == node_id(n))
}
