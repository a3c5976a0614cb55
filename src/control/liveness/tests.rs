//! What the reconciler proposes as time passes.

use std::sync::Arc;

use super::*;
use crate::{
    base::clock::Moment,
    core::{Command, apply::reindex, state::App},
    model::{
        Pools, WorkloadSpec,
        instance::{Instance, Life, Phase, Placement},
        node::{Duty, Node, NodeId, Reach},
        workload::UnreachableStrategy,
    },
    sim::build::{START, app, node},
};

fn state(reach: Reach) -> (State, NodeId) {
    let info = node(1, 4.0, 1024.0, &[]);
    let id = info.id.clone();
    let node =
        Node { info, reach, duty: Duty::Active, registered_at: START, reregistered_at: None };
    let mut state = State { at: START, ..State::default() };
    state.nodes.insert(id.clone(), Arc::new(node));
    (state, id)
}

fn due(state: &State, heard: &Heard, now: Timestamp) -> Vec<Command> {
    step(state, &mut Early::default(), heard, now).commands
}

fn reaches(commands: &[Command]) -> Vec<bool> {
    let reach = |c: &Command| match c {
        Command::Node(NodeCommand::NodeReach { reachable, .. }) => Some(*reachable),
        _ => None,
    };
    commands.iter().filter_map(reach).collect()
}

fn heard_until(ms: u64, id: &NodeId) -> Heard {
    let mut heard = Heard::from(Moment::START);
    heard.greet(id, Moment::START, START);
    heard.open(id, Moment::START, START);
    for ms in (0..=ms).step_by(100) {
        heard.attend(Moment::from_ms(ms));
    }
    heard
}

#[test]
fn a_silent_node_is_called_lost_once_and_no_wall_clock_has_a_say() {
    let (state, id) = state(Reach::Reachable);
    for step in [-3_600_000, -6_000, 0, 6_000, 3_600_000] {
        let now = Timestamp::from_ms(START.as_ms() + step);
        assert!(due(&state, &heard_until(2_400, &id), now).is_empty(), "{step}");
        assert_eq!(reaches(&due(&state, &heard_until(2_500, &id), now)), [false], "{step}");
    }
}

#[test]
fn a_node_that_talks_is_reachable_whatever_the_state_says() {
    let (state, id) = state(Reach::Unreachable { since: START });
    assert_eq!(reaches(&due(&state, &heard_until(1_000, &id), START)), [true]);
    assert!(reaches(&due(&state, &heard_until(6_000, &id), START)).is_empty());
    let mut greeting = heard_until(1_000, &id);
    greeting.greet(&id, Moment::from_ms(1_000), START);
    assert!(reaches(&due(&state, &greeting, START)).is_empty(), "its registration does that");
}

/// One app of `wanted` instances, one of them lost with its node, the others running elsewhere.
fn with_lost(lost: Phase, strategy: UnreachableStrategy, n_well: u32) -> (State, NodeId) {
    let (mut state, away) = state(Reach::Unreachable { since: START });
    let spec = WorkloadSpec { unreachable: strategy, ..app("/web", 1, 0.1, 32.0, 0) };
    let spec = Arc::new(spec);
    state.specs.insert((spec.id.clone(), spec.version), spec.clone());
    let (id, last_failure) = (spec.id.clone(), None);
    state.apps.insert(id.clone(), Arc::new(App { id, spec: spec.clone(), last_failure }));
    for n in 0..=n_well {
        let id = InstanceId::from(format!("web.instance-{n}"));
        let mut i = Instance::scheduled(id.clone(), spec.id.clone(), spec.version, START);
        let phase = if n == 0 { lost } else { Phase::Running };
        let place = Placement {
            node: if n == 0 { away.clone() } else { NodeId::from("elsewhere") },
            hostname: String::new(),
            address: std::net::IpAddr::from([10, 0, 0, 1]),
            allocation: Pools::default(),
            host_ports: Vec::new(),
            launched_at: START,
        };
        i.life = Life::placed(phase, place);
        state.instances.insert(id, Arc::new(i));
    }
    reindex(&mut state);
    (state, away)
}

/// Number of instances that are given up and forgotten after a silence of `s` seconds.
fn expired(state: &State, silence_s: u64, clock_off_ms: i64) -> (usize, usize) {
    let mut heard = Heard::from(Moment::START);
    for ms in (0..=silence_s * 1000).step_by(200) {
        heard.attend(Moment::from_ms(ms));
    }
    let now = Timestamp::from_ms(START.as_ms() + clock_off_ms);
    let found = due(state, &heard, now).into_iter().find_map(|c| match c {
        Command::Task(TaskCommand::Expire { inactive, expunge }) => {
            Some((inactive.len(), expunge.len()))
        }
        _ => None,
    });
    found.unwrap_or_default()
}

#[test]
fn a_lost_instance_is_replaced_after_the_floor_or_its_own_time_by_no_wall_clock() {
    let after = |inactive_s: u64, expunge_s: u64| UnreachableStrategy::After {
        inactive_ms: inactive_s * 1000,
        expunge_ms: expunge_s * 1000,
    };
    for (strategy, least_s) in [(after(0, 0), 8), (after(3, 5), 8), (after(30, 60), 30)] {
        let (state, _) = with_lost(Phase::Unreachable, strategy, 0);
        for off in [-3_600_000, 0, 3_600_000] {
            assert_eq!(expired(&state, least_s - 1, off), (0, 0), "{strategy:?} {off}");
            assert_eq!(expired(&state, least_s, off), (1, 0), "{strategy:?} {off}");
        }
    }
    let (state, _) = with_lost(Phase::Unreachable, UnreachableStrategy::Disabled, 0);
    assert_eq!(expired(&state, 3_600, 0), (0, 0), "never");
}

#[test]
fn a_lost_instance_is_forgotten_late_and_only_when_others_do_its_work() {
    let at_once = UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 };
    let (alone, _) = with_lost(Phase::UnreachableInactive, at_once, 0);
    assert_eq!(expired(&alone, 600, 0), (0, 0), "there is no other");
    let (replaced, _) = with_lost(Phase::UnreachableInactive, at_once, 1);
    assert_eq!(expired(&replaced, 74, 0), (0, 0), "it may come back");
    assert_eq!(expired(&replaced, 75, 0), (0, 1));
    let later = UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 300_000 };
    let (replaced, _) = with_lost(Phase::UnreachableInactive, later, 1);
    assert_eq!(expired(&replaced, 299, 0), (0, 0), "as asked");
    assert_eq!(expired(&replaced, 300, 0), (0, 1));
}

#[test]
fn a_leader_that_stood_still_replaces_nothing_before_nodes_had_their_time() {
    let at_once = UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 };
    let (state, _) = with_lost(Phase::Unreachable, at_once, 0);
    let mut heard = Heard::from(Moment::START);
    for ms in (0..=7_800).step_by(200) {
        heard.attend(Moment::from_ms(ms));
    }
    let expires = |heard: &Heard| {
        due(&state, heard, START)
            .iter()
            .any(|c| matches!(c, Command::Task(TaskCommand::Expire { .. })))
    };
    for ms in (60_000..68_000).step_by(200) {
        heard.attend(Moment::from_ms(ms));
        assert!(!expires(&heard), "{ms}");
    }
    heard.attend(Moment::from_ms(68_000));
    assert!(expires(&heard));
}

#[test]
fn what_never_gets_running_is_ended_after_its_time_by_no_wall_clock() {
    let at_once = UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 };
    let (state, _) = with_lost(Phase::Provisioned, at_once, 0);
    let overdue = |early: &mut Early, s: u64, off_ms: i64| {
        let mut heard = Heard::from(Moment::START);
        heard.attend(Moment::from_ms(s * 1000));
        let now = Timestamp::from_ms(START.as_ms() + off_ms);
        let due = step(&state, early, &heard, now).commands;
        due.iter().any(|c| matches!(c, Command::Task(TaskCommand::Kill { .. })))
    };
    let mut early = Early::default();
    for off_ms in [0, 7_200_000, -7_200_000] {
        assert!(!overdue(&mut early, 100, off_ms), "{off_ms}");
    }
    assert!(!overdue(&mut early, 100 + 1_799, 0));
    assert!(overdue(&mut early, 100 + 1_800, 0));
}

/// Why what waits does.
fn told(state: &State, heard: &Heard) -> Vec<String> {
    let report = step(state, &mut Early::default(), heard, START).report;
    report.waits.into_iter().map(|wait| wait.because).collect()
}

#[test]
fn a_quiet_node_is_told_with_the_time_it_has_left() {
    let (state, id) = state(Reach::Reachable);
    assert!(told(&state, &heard_until(1_400, &id)).is_empty());
    assert_eq!(told(&state, &heard_until(1_500, &id)), ["silent for 1 s, lost in 1 s"]);
    let mut cut = heard_until(100, &id);
    cut.lose(&id, Moment::from_ms(100));
    for ms in (200..=1_600).step_by(100) {
        cut.attend(Moment::from_ms(ms));
    }
    assert_eq!(told(&state, &cut), ["silent for 1 s, lost in 0 s"], "its connection broke");
    assert!(told(&state, &heard_until(6_000, &id)).is_empty(), "it is called lost now");
    let report = step(&state, &mut Early::default(), &heard_until(200, &id), START).report;
    assert_eq!(
        report.looks_at,
        "1 node, 0 of them lost, 0 draining; 0 tasks on the way to running"
    );
}

#[test]
fn a_lost_node_tells_what_becomes_of_its_tasks() {
    let silent = |s: u64| {
        let mut heard = Heard::from(Moment::START);
        (0..=s * 5).for_each(|n| heard.attend(Moment::from_ms(n * 200)));
        heard
    };
    let after = |inactive_ms, expunge_ms| UnreachableStrategy::After { inactive_ms, expunge_ms };
    let (state, _) = with_lost(Phase::Unreachable, after(30_000, 0), 0);
    let early = told(&state, &silent(4));
    assert_eq!(early, ["lost; this leader gives it 4 s more to come back"]);
    let later = told(&state, &silent(12));
    assert_eq!(later, ["lost, silent for 12 s; 1 task to be replaced, the first in 18 s"]);
    let (state, _) = with_lost(Phase::UnreachableInactive, after(0, 0), 0);
    let told_at = |s| told(&state, &silent(s));
    assert_eq!(told_at(20), ["lost, silent for 20 s; 1 task taken back if it returns"]);
    let alone = "lost, silent for 90 s; 1 task kept until replacements are healthy";
    assert_eq!(told_at(90), [alone]);
}

#[test]
fn a_task_that_is_slow_to_run_is_told_once_half_its_time_is_over() {
    let (state, _) = with_lost(Phase::Provisioned, UnreachableStrategy::Disabled, 0);
    let mut early = Early::default();
    let mut told = |s: u64| {
        let mut heard = Heard::from(Moment::START);
        heard.attend(Moment::from_ms(s * 1000));
        let report = step(&state, &mut early, &heard, START).report;
        let of_tasks = report.waits.into_iter().filter(|w| w.about.starts_with("instance "));
        of_tasks.map(|wait| wait.because).collect::<Vec<_>>()
    };
    assert!(told(100).is_empty() && told(100 + 899).is_empty());
    assert_eq!(told(100 + 1_000), ["not running after 1000 s, ended in 800 s"]);
}
