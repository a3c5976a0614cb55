//! What holds in any state that clients, operators, nodes and misfortune lead to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::*;
use crate::{
    base::clock::Moment,
    control::{
        deploy::Idle,
        heard::Heard,
        liveness::{self, Early},
        place,
        reconciler::Step,
    },
    core::{
        deploy::is_healthy,
        place::{Limits, Planner},
    },
    model::{
        deployment::ActionKind,
        instance::{Goal, KillReason},
    },
    sim::{
        Cast,
        build::{app, constraint},
    },
};

/// Each app has room even while all of it is replaced, whatever its constraint.
const N_NODES: usize = 30;
const INSTANCES_MAX: u32 = 40;
const HOUR: Duration = Duration::from_secs(3_600);

/// A cluster that all of them move, looked at after every few commands.
fn played(seed: u64, n_steps: u32, mut look: impl FnMut(&State, Timestamp)) -> State {
    let mut cast = Cast::new(Rng::from_seed(seed), N_NODES, INSTANCES_MAX);
    let mut state = State { at: START, ..State::default() };
    for step in 0..n_steps {
        let past = Duration::from_millis(u64::from(step) * 50);
        let command = cast.next(&state, START + past, Moment::START + past);
        let _ = core::apply(
            &mut state,
            &Stamped { at: START + past, request: None, by: None, command },
        );
        if step % 5 == 0 {
            look(&state, START + past);
        }
    }
    state
}

/// What a leader has that heard of nobody for so long.
fn silent(s: u64) -> Heard {
    let mut heard = Heard::from(Moment::START);
    (0..=s).for_each(|s| heard.attend(Moment::START + Duration::from_secs(s)));
    heard
}

/// What a leader has that hears of everybody.
fn all_here(state: &State) -> Heard {
    let mut heard = Heard::from(Moment::START);
    for node in state.nodes.keys() {
        heard.open(node, Moment::START, START);
    }
    heard
}

/// What each reconciler wants, with nothing remembered; liveness in good times and in bad ones.
fn wanted(state: &State, now: Timestamp) -> Vec<(&'static str, Vec<Command>)> {
    let rng = &mut Rng::from_seed(1);
    let long = {
        let mut heard = all_here(state);
        heard.attend(Moment::START + 48 * HOUR);
        heard
    };
    let mut early = Early::default();
    let all_are_here = liveness::step(state, &mut early, &all_here(state), now).commands;
    vec![
        ("deploy", control_deploy(state, &mut Idle::default(), rng, now)),
        ("place", launches(state, &mut Planner::default(), now)),
        (
            "nobody is heard",
            liveness::step(state, &mut Early::default(), &silent(400), now).commands,
        ),
        ("all are here", all_are_here),
        ("all take for ever", liveness::step(state, &mut early, &long, now).commands),
        (
            "drains are over",
            liveness::step(state, &mut Early::default(), &all_here(state), now + HOUR).commands,
        ),
    ]
}

fn control_deploy(state: &State, idle: &mut Idle, rng: &mut Rng, now: Timestamp) -> Vec<Command> {
    crate::control::deploy::step(state, idle, rng, now).commands
}

fn launches(state: &State, planner: &mut Planner, now: Timestamp) -> Vec<Command> {
    place::step(planner, state, &Limits::default(), now).commands
}

fn apply(state: &mut State, command: &Command, at: Timestamp) -> (Outcome, Vec<Change>) {
    core::apply(state, &Stamped { at, request: None, by: None, command: command.clone() })
}

fn kind(command: &Command) -> String {
    let words = format!("{command:?}");
    words.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

/// A reconciler whose command takes no effect would be woken to propose it again for ever.
#[test]
fn what_a_reconciler_wants_is_accepted_and_changes_something() {
    let mut counts = BTreeMap::<String, u32>::new();
    for seed in 0..3 {
        played(seed, 1_200, |state, now| {
            for (who, commands) in wanted(state, now) {
                let mut together = state.clone();
                for command in &commands {
                    let (outcome, changes) = apply(&mut state.clone(), command, now);
                    let accepted = outcome.unwrap_or_else(|e| panic!("{who}: {e}: {command:?}"));
                    assert!(!changes.is_empty(), "{who}: nothing came of {command:?}");
                    if let Command::Task(TaskCommand::Launch(launches)) = command {
                        assert_eq!(accepted.n_done as usize, launches.len(), "{command:?}");
                    }
                    apply(&mut together, command, now).0.expect("one after the other as well");
                    *counts.entry(kind(command)).or_default() += 1;
                }
                assert_eq!(invariant::check(&together), [], "{who}");
            }
        });
    }
    for kind in ["DeployStep", "Scale", "Launch", "Kill", "NodeReach", "NodeDuty", "Expire"] {
        assert!(counts.get(kind).is_some_and(|n| *n > 20), "{kind}: {counts:?}");
    }
}

fn n_healthy(state: &State, app: &AppId) -> usize {
    state.instances_of(app).filter(|i| is_healthy(state, i)).count()
}

/// How many of `spec` its owner wants healthy at any time. What is bound to its nodes can be replaced only
/// where it is: one is down at a time.
fn healthy_min(spec: &WorkloadSpec) -> usize {
    let least = f64::from(spec.instances) * spec.upgrade.minimum_health_capacity;
    let least = (0..=spec.instances).find(|n| f64::from(*n) >= least).expect("no more than all");
    let most = if spec.run.is_resident() { spec.instances.saturating_sub(1) } else { u32::MAX };
    least.min(most) as usize
}

/// The apps that a step of a deployment replaces, as they are to become.
fn replaced(state: &State, step: &DeployStep) -> Vec<Arc<WorkloadSpec>> {
    let deployment = &state.deployments[&step.deployment];
    let actions = deployment.step().into_iter().flat_map(|s| &s.actions);
    let restarts = actions.filter(|a| a.kind == ActionKind::Restart);
    restarts.filter_map(|a| deployment.changes[&a.app].after.clone()).collect()
}

#[test]
fn no_replacement_takes_an_app_below_its_minimum_health() {
    let (mut n_steps, mut n_ended) = (0, 0);
    for seed in 10..16 {
        played(seed, 1_500, |state, now| {
            let commands = control_deploy(state, &mut Idle::default(), &mut Rng::from_seed(1), now);
            for command in &commands {
                let Command::Workload(WorkloadCommand::DeployStep(step)) = command else {
                    continue;
                };
                let mut after = state.clone();
                apply(&mut after, command, now).0.expect("accepted");
                for spec in replaced(state, step) {
                    let (had, has) = (n_healthy(state, &spec.id), n_healthy(&after, &spec.id));
                    let least = healthy_min(&spec).min(had);
                    assert!(has >= least, "{} of {had} left, {least} wanted: {step:?}", has);
                    (n_steps, n_ended) = (n_steps + 1, n_ended + had - has);
                }
            }
        });
    }
    assert!(n_steps > 100 && n_ended > 20, "{n_steps} looked at, {n_ended} ended");
}

/// Every node is drained at once, each decision knowing nothing of the others.
#[test]
fn no_drain_takes_an_app_below_its_minimum_health_however_many_nodes_leave() {
    let (mut n_kills, mut n_ended) = (0, 0);
    for seed in 20..26 {
        let mut rng = Rng::from_seed(seed);
        played(seed, 1_500, |state, now| {
            let mut state = state.clone();
            for node in state.nodes.keys().cloned().collect::<Vec<_>>() {
                let duty = Duty::Draining { since: now, until: now + HOUR };
                let (nodes, duty) = (rng.below(2), NodeCommand::NodeDuty { node, duty });
                if nodes == 0 {
                    apply(&mut state, &duty.into(), now).0.expect("accepted");
                }
            }
            let heard = all_here(&state);
            let commands = liveness::step(&state, &mut Early::default(), &heard, now).commands;
            let mut after = state.clone();
            for command in &commands {
                apply(&mut after, command, now).0.expect("accepted");
                n_kills += u32::from(kind(command) == "Kill");
            }
            for app in state.apps.values() {
                let (had, has) = (n_healthy(&state, &app.id), n_healthy(&after, &app.id));
                let least = healthy_min(&app.spec).min(had);
                assert!(has >= least, "{} of {had} left, {least} wanted: {commands:?}", has);
                n_ended += had - has;
            }
        });
    }
    assert!(n_kills > 100 && n_ended > 20, "{n_kills} commands, {n_ended} ended");
}

/// What is remembered of a deployment that had nothing to do saves a look, and hides nothing.
#[test]
fn what_a_reconciler_remembers_hides_nothing_that_is_due() {
    let mut n_due = 0;
    for seed in 30..34 {
        let (mut idle, mut n) = (Idle::default(), 0);
        played(seed, 2_000, |state, now| {
            n += 1;
            let fresh = control_deploy(state, &mut Idle::default(), &mut Rng::from_seed(n), now);
            let kept = control_deploy(state, &mut idle, &mut Rng::from_seed(n), now);
            assert_eq!(words(&kept), words(&fresh), "seed {seed}");
            n_due += fresh.len();
        });
    }
    assert!(n_due > 1_000, "{n_due}");
}

impl Stage {
    /// Every node is back and takes work.
    fn mend(&mut self) {
        for node in self.state.nodes.values().cloned().collect::<Vec<_>>() {
            self.ok(NodeCommand::RegisterNode(Box::new(node.info.clone())));
            self.ok(NodeCommand::NodeDuty { node: node.id().clone(), duty: Duty::Active });
        }
    }

    /// All reconcilers look and agents do as they are told; whether that led to anything.
    fn round(&mut self, passes: Duration) -> bool {
        self.now = self.now + passes;
        let mut commands = self.due();
        commands.extend(self.placed());
        let Step { commands: of_time, .. } =
            liveness::step(&self.state, &mut Early::default(), &all_here(&self.state), self.now);
        commands.extend(of_time);
        for command in &commands {
            self.ok(command.clone());
        }
        for id in self.state.instances.keys().cloned().collect::<Vec<_>>() {
            let Some(instance) = self.state.instances.get(&id).cloned() else { continue };
            let to = match instance.kill() {
                Some(_) => Condition::Killed,
                None => Condition::Running,
            };
            let n_checks = n_checks(&self.state, &instance);
            let is_well = n_checks == 0 || instance.healthy(n_checks) == Some(true);
            if instance.placement().is_some() && (to != instance.condition() || !is_well) {
                self.report(&instance, to);
            }
        }
        !commands.is_empty()
    }

    /// Rounds until nothing is due any more.
    fn calm(&mut self, passes: Duration) {
        for _ in 0..200 {
            if !self.round(passes) && !self.round(passes) {
                return;
            }
        }
        panic!("something is due for ever: {:?}", words(&self.due()));
    }

    fn is_as_wanted(&self) {
        assert!(self.state.deployments.is_empty(), "{:?}", self.state.deployments);
        for app in self.state.apps.values() {
            let all: Vec<_> = self.state.instances_of(&app.id).filter(|i| !i.is_kept()).collect();
            assert_eq!(all.len(), app.spec.instances as usize, "{}: {all:?}", app.id);
            for i in all {
                // What has its data on a drained node waits there.
                let node = self.state.bound_to(&i.id).and_then(|node| self.state.nodes.get(node));
                let waits = i.waits_for_place() && node.is_some_and(|node| !node.takes_work());
                assert!(waits || is_healthy(&self.state, i), "{i:?}");
            }
        }
        let goes_on = |i: &&Arc<Instance>| i.goal == Goal::Running || i.is_kept();
        let wanted = self.state.instances.values().filter(goes_on).count();
        assert_eq!(wanted, self.state.instances.len(), "nothing is left over");
    }
}

fn n_checks(state: &State, instance: &Instance) -> usize {
    let spec = state.spec_of(instance);
    spec.map_or(0, |s| s.run.containers.iter().map(|c| c.health_checks.len()).sum())
}

#[test]
fn when_misfortune_ends_all_becomes_as_wanted_and_reconcilers_fall_silent() {
    let (mut n_apps, mut n_deployments) = (0, 0);
    for seed in 40..52 {
        let mut stage =
            Stage::from_state(played(seed, 1_000 + u32::try_from(seed).unwrap(), |_, _| ()));
        n_deployments += stage.state.deployments.len();
        stage.mend();
        stage.calm(HOUR);
        stage.is_as_wanted();
        n_apps += stage.state.apps.len();
    }
    assert!(n_apps > 20 && n_deployments > 10, "{n_apps} apps, {n_deployments} deployments");
}

#[test]
fn a_drain_ends_with_an_empty_node_and_whole_apps_where_there_is_room() {
    let (mut n_moved, mut n_drained) = (0, 0);
    for seed in 60..66 {
        let mut stage = Stage::from_state(played(seed, 1_200, |_, _| ()));
        stage.mend();
        stage.calm(HOUR);
        let mut by_number: Vec<_> = stage.state.nodes.keys().cloned().collect();
        by_number.sort_by_key(|node| std::cmp::Reverse(stage.state.instances_on(node).count()));
        let leaving: Vec<NodeId> = by_number.into_iter().take(3).collect();
        for node in &leaving {
            n_moved += stage.state.instances_on(node).count();
            let duty = Duty::Draining { since: stage.now, until: stage.now + 100 * HOUR };
            stage.ok(NodeCommand::NodeDuty { node: node.clone(), duty });
        }
        stage.calm(Duration::from_secs(1));
        stage.is_as_wanted();
        for node in &leaving {
            // Several nodes at once: what has its data there stays while too few others are up.
            let stays = |i: &Arc<Instance>| {
                let app = i.app().expect("one of an app");
                let spec = stage.state.spec(app).expect("wanted");
                let is_bound = stage.state.bound_to(&i.id).is_some();
                is_bound && n_healthy(&stage.state, app) <= healthy_min(spec)
            };
            let duty = &stage.state.nodes[node].duty;
            let left = stage.state.instances_on(node).count();
            assert!(stage.state.instances_on(node).all(stays), "seed {seed}: {left} left");
            let is_over = matches!(duty, Duty::Drained { .. });
            assert_eq!(is_over, left == 0, "seed {seed}: {duty:?}");
            n_drained += u32::from(is_over);
        }
    }
    assert!(n_moved > 20 && n_drained > 12, "{n_moved}, {n_drained} of 18 nodes");
}

/// What is spread as far as its rule allows makes room for its own replacement.
#[test]
fn an_app_that_its_constraint_has_spread_out_leaves_a_node_as_well() {
    for rule in ["@zone GROUP_BY 3", "@zone UNIQUE", "@zone MAX_PER 1", "hostname CLUSTER"] {
        let mut stage = Stage::new(6);
        let mut spec = app("/web", 3, 0.5, 64.0, 1);
        spec.constraints.extend(constraint(rule));
        stage.put([spec]);
        stage.calm(Duration::from_secs(1));
        let spread = |stage: &Stage| {
            let hosts: std::collections::BTreeSet<NodeId> =
                stage.hosts("/web").into_iter().collect();
            let zone =
                |id: &NodeId| stage.state.nodes[id].info.fault_domain.as_ref().map(|d| &d.zone);
            let zones: std::collections::BTreeSet<_> = hosts.iter().map(zone).collect();
            if rule.starts_with("@zone") { zones.len() } else { hosts.len() }
        };
        let before = spread(&stage);
        let node = stage.hosts("/web")[0].clone();
        let duty = Duty::Draining { since: stage.now, until: stage.now + HOUR };
        stage.ok(NodeCommand::NodeDuty { node: node.clone(), duty });
        stage.calm(Duration::from_secs(1));
        stage.is_as_wanted();
        assert!(!stage.hosts("/web").contains(&node), "{rule}");
        let duty = &stage.state.nodes[&node].duty;
        assert!(matches!(duty, Duty::Drained { .. }), "{rule}: {duty:?}");
        assert_eq!(spread(&stage), before, "{rule}");
    }
}

/// A drain without room elsewhere ends all the same, with its deadline, and took no app below what
/// it must have.
#[test]
fn a_drain_of_everything_ends_with_its_deadline() {
    for seed in 70..74 {
        let mut stage = Stage::from_state(played(seed, 1_200, |_, _| ()));
        stage.mend();
        stage.calm(HOUR);
        let until = stage.now + HOUR;
        for node in stage.state.nodes.keys().cloned().collect::<Vec<_>>() {
            let duty = Duty::Draining { since: stage.now, until };
            stage.ok(NodeCommand::NodeDuty { node, duty });
        }
        while stage.now < until {
            for app in stage.state.apps.values() {
                assert!(n_healthy(&stage.state, &app.id) >= healthy_min(&app.spec), "{}", app.id);
            }
            stage.round(Duration::from_secs(600));
        }
        stage.round(Duration::from_secs(1));
        for node in stage.state.nodes.values() {
            let is_empty = stage.state.instances_on(node.id()).next().is_none();
            match node.duty {
                Duty::Drained { .. } => assert!(is_empty),
                Duty::Deactivated { .. } => assert!(!is_empty),
                ref duty => panic!("the drain goes on: {duty:?}"),
            }
        }
        let killed = |i: &&Arc<Instance>| i.kill().is_some_and(|k| k.reason == KillReason::Drain);
        assert_eq!(stage.state.instances.values().filter(killed).count(), 0);
    }
}

/// Definitions are anybody's: a number that nobody has is explained, and stops nobody.
#[test]
fn what_asks_for_more_than_can_be_counted_waits_alone() {
    for (cpus, mem_mb) in [(1e300, 1.0), (0.1, 1e300), (f64::MAX, f64::MAX), (9.2e15, 9.2e15)] {
        let mut stage = Stage::new(2);
        let mut greedy = app("/a", 3, cpus, mem_mb, 1);
        greedy.constraints.extend(constraint("hostname UNIQUE"));
        stage.put([greedy]);
        stage.put([app("/b", 2, 0.1, 32.0, 1)]);
        for _ in 0..6 {
            stage.round(Duration::from_secs(1));
        }
        let step =
            place::step(&mut Planner::default(), &stage.state, &Limits::default(), stage.now);
        let attempt = &step.report.attempts[&AppId::parse("/a")];
        assert_eq!((attempt.n_waiting, step.commands.len()), (3, 0), "{cpus} {mem_mb}");
        assert!(!attempt.sentence.is_empty());
        assert_eq!(n_healthy(&stage.state, &AppId::parse("/b")), 2);
    }
}
