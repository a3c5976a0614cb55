//! Deployments step by step, and workloads outside them.

use std::collections::BTreeSet;

use super::*;
use crate::{
    base::limit,
    control::{deploy::Idle, reconciler::Step},
    model::instance::{Goal, KillReason},
    sim::build::{app, health_check},
};

const NONE: [&str; 0] = [];

fn step(commands: &[Command]) -> &DeployStep {
    match commands {
        [Command::Workload(WorkloadCommand::DeployStep(step))] => step,
        other => panic!("one step of one deployment is due, not {other:?}"),
    }
}

/// Does what is due until the deployment wants instances made or ended; that step.
fn first_moves(stage: &mut Stage) -> DeployStep {
    for _ in 0..10 {
        let commands = stage.due();
        if !step(&commands).scales.is_empty() {
            return step(&commands).clone();
        }
        stage.ok(commands[0].clone());
    }
    panic!("no moves are due");
}

#[test]
fn nothing_is_due_where_nothing_is_wanted() {
    assert_eq!(words(&Stage::new(2).due()), NONE);
}

#[test]
fn a_new_app_gets_its_instances_once_each_with_an_id_of_its_own() {
    let mut stage = Stage::new(2);
    stage.put([app("/shop/web", 3, 0.5, 64.0, 1)]);
    let due = first_moves(&mut stage);
    let (add, retire) = moves(&due);
    assert_eq!((add.iter().collect::<BTreeSet<_>>().len(), retire), (3, vec![]));
    assert!(add.iter().all(|id| id.as_str().starts_with("shop_web.instance-")), "{add:?}");
    // Before anything has happened the same is due, and nothing more.
    let again = first_moves(&mut stage);
    assert_eq!((again.step, moves(&again).0.len()), (due.step, 3));
    stage.ok(WorkloadCommand::DeployStep(due));
    assert_eq!(words(&stage.due()), NONE, "they wait for their places");
    stage.settle();
    assert_eq!(stage.of("/shop/web").len(), 3);
    assert!(stage.state.deployments.is_empty());
}

#[test]
fn a_deployment_moves_on_when_its_instances_are_up_and_not_before() {
    let mut stage = Stage::new(1);
    let mut spec = app("/web", 1, 0.5, 64.0, 1);
    spec.run_mut().containers[0].health_checks.push(health_check());
    stage.put([spec]);
    let due = first_moves(&mut stage);
    stage.ok(WorkloadCommand::DeployStep(due));
    let launch = stage.placed().expect("there is room");
    stage.ok(launch);
    assert_eq!(words(&stage.due()), NONE, "launched");
    stage.agents();
    let commands = stage.due();
    assert!(step(&commands).advance, "healthy: {commands:?}");
}

#[test]
fn an_upgrade_makes_new_ones_before_it_ends_old_ones() {
    let mut stage = Stage::new(2);
    stage.put([app("/web", 2, 0.5, 64.0, 1)]);
    stage.settle();
    let old: BTreeSet<_> = stage.of("/web").into_iter().map(|i| i.id).collect();
    stage.put([app("/web", 2, 0.6, 64.0, 1)]);
    let due = first_moves(&mut stage);
    let (add, retire) = moves(&due);
    assert_eq!((add.len(), retire.len()), (2, 0), "nothing ends before there is another");
    stage.ok(WorkloadCommand::DeployStep(due));
    stage.settle();
    let new: BTreeSet<_> = stage.of("/web").into_iter().map(|i| i.id).collect();
    assert!(new.len() == 2 && new.is_disjoint(&old), "{new:?}");
}

#[test]
fn a_removed_app_ends_what_it_has_and_asks_for_each_once() {
    let mut stage = Stage::new(2);
    stage.put([app("/web", 2, 0.5, 64.0, 1)]);
    stage.settle();
    stage.remove("/web");
    let due = first_moves(&mut stage);
    assert_eq!((moves(&due).0.len(), moves(&due).1.len()), (0, 2));
    stage.ok(WorkloadCommand::DeployStep(due));
    assert!(stage.of("/web").iter().all(|i| i.goal == Goal::Decommissioned));
    assert_eq!(words(&stage.due()), NONE, "it was said once");
    stage.settle();
    assert!(stage.of("/web").is_empty() && stage.state.apps.is_empty());
}

#[test]
fn a_workload_outside_deployments_is_brought_back_to_its_number() {
    let mut stage = Stage::new(2);
    stage.put([app("/web", 3, 0.5, 64.0, 1)]);
    stage.settle();
    let gone = stage.of("/web")[0].id.clone();
    let instances = vec![gone.clone()];
    stage.ok(TaskCommand::Kill { instances, wipe: true, reason: KillReason::Request });
    stage.agents();
    let commands = stage.due();
    let [Command::Workload(WorkloadCommand::Scale(scale))] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!((scale.add.len(), scale.retire.len()), (1, 0));
    assert_ne!(scale.add[0], gone);
    stage.settle();
    assert_eq!(stage.of("/web").len(), 3);
    assert_eq!(words(&stage.due()), NONE);
}

#[test]
fn one_activation_is_no_larger_than_a_command_may_be_and_small_ones_are_not_held_up() {
    let many = u32::try_from(limit::MOVES_PER_COMMAND_MAX).unwrap() * 2;
    let mut stage = Stage::new(1);
    for n in 0..4 {
        stage.put([app(&format!("/large{n}"), many, 0.1, 32.0, 0)]);
    }
    stage.put([app("/small", 3, 0.1, 32.0, 0)]);
    for _ in 0..10 {
        let commands = stage.due();
        let steps = commands.iter().map(|command| match command {
            Command::Workload(WorkloadCommand::DeployStep(step)) => moves(step).0.len(),
            other => panic!("{other:?}"),
        });
        let sizes: Vec<usize> = steps.collect();
        assert!(sizes.iter().sum::<usize>() <= limit::MOVES_PER_COMMAND_MAX, "{sizes:?}");
        if sizes.iter().sum::<usize>() > 0 {
            assert_eq!(sizes.iter().filter(|size| **size == 3).count(), 1, "{sizes:?}");
            return;
        }
        for command in commands {
            stage.ok(command);
        }
    }
    panic!("no moves are due");
}

#[test]
fn an_idle_deployment_is_looked_at_again_when_its_workload_moves() {
    let mut stage = Stage::new(1);
    stage.put([app("/web", 1, 0.5, 64.0, 1)]);
    let due = first_moves(&mut stage);
    stage.ok(WorkloadCommand::DeployStep(due));
    let mut idle = Idle::default();
    let mut look = |stage: &mut Stage| {
        crate::control::deploy::step(&stage.state, &mut idle, &mut stage.rng, stage.now).commands
    };
    assert_eq!(words(&look(&mut stage)), NONE, "it waits for a place");
    assert_eq!(words(&look(&mut stage)), NONE, "still");
    let launch = stage.placed().expect("there is room");
    stage.ok(launch);
    assert_eq!(words(&look(&mut stage)), NONE, "it starts");
    stage.agents();
    assert!(step(&look(&mut stage)).advance);
}

#[test]
fn a_deployment_that_stands_tells_what_it_waits_for() {
    let mut stage = Stage::new(1);
    let mut spec = app("/web", 2, 3.0, 64.0, 1);
    spec.run_mut().containers[0].health_checks.push(health_check());
    stage.put([spec]);
    let due = first_moves(&mut stage);
    let mut idle = Idle::default();
    let mut told = |stage: &mut Stage| -> Vec<String> {
        let Step { commands, report } =
            crate::control::deploy::step(&stage.state, &mut idle, &mut stage.rng, stage.now);
        assert_eq!(report.n_waits, report.waits.len());
        assert!(commands.is_empty() || report.waits.is_empty(), "{report:?}");
        report.waits.into_iter().map(|wait| format!("{}: {}", wait.about, wait.because)).collect()
    };
    assert_eq!(told(&mut stage), NONE, "it does not wait");
    stage.ok(WorkloadCommand::DeployStep(due));
    let step = |rest: &str| [format!("deployment d1: step 2 of 2: /web: {rest}")];
    let nowhere = step("0 of 2 instances healthy, 2 without a place");
    assert_eq!(told(&mut stage), nowhere);
    assert_eq!(told(&mut stage), nowhere, "remembered");
    let launch = stage.placed().expect("there is room for one");
    stage.ok(launch);
    assert_eq!(told(&mut stage), step("0 of 2 instances healthy, 1 without a place"));
    stage.agents();
    assert_eq!(told(&mut stage), step("1 of 2 instances healthy, 1 without a place"));
    stage.ok(NodeCommand::RegisterNode(Box::new(node(1, 4.0, 4096.0, &[]))));
    let launch = stage.placed().expect("there is room for the other");
    stage.ok(launch);
    stage.agents();
    assert_eq!(told(&mut stage), NONE, "it moves on");

    stage.settle();
    stage.remove("/web");
    let due = first_moves(&mut stage);
    stage.ok(WorkloadCommand::DeployStep(due));
    let told = told(&mut stage);
    assert_eq!(told, ["deployment d2: step 1 of 1: /web is to go, 2 instances left"]);
}

#[test]
fn a_workload_outside_deployments_tells_what_it_waits_for() {
    let mut stage = Stage::new(1);
    let mut spec = app("/web", 2, 0.5, 64.0, 1);
    spec.upgrade.minimum_health_capacity = 0.5;
    spec.upgrade.maximum_over_capacity = 0.0;
    stage.put([spec]);
    stage.settle();
    stage.drain(0);
    let step =
        crate::control::deploy::step(&stage.state, &mut Idle::default(), &mut stage.rng, stage.now);
    assert_eq!(words(&step.commands), NONE);
    assert!(step.report.looks_at.starts_with("0 deployments; "), "{}", step.report.looks_at);
    let told: Vec<_> = step.report.waits.iter().map(|w| (w.about.as_str(), &*w.because)).collect();
    assert_eq!(told, [("app /web", "/web: 2 to leave a draining node")]);
}
