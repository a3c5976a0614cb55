//! What reconcilers propose, over states that their own commands and agents' reports lead to.

use std::net::IpAddr;

use crate::{
    base::{clock::Timestamp, rng::Rng},
    core::{
        self, Accepted, Change, Command, NodeCommand, Outcome, Stamped, State, TaskCommand,
        WorkloadCommand,
        command::DeployStep,
        invariant,
        naming::{
            self, Listing,
            known::{Known, Received},
        },
    },
    model::{
        instance::{CheckStatus, Condition, Instance, InstanceId},
        link,
        names::Realm,
        node::{Duty, NodeId},
        path::AppId,
        workload::WorkloadSpec,
    },
    sim::build::{START, new_apps, node},
};

mod any;
mod deploy;
mod drain;
mod driver;
mod place;
mod questions;

/// A cluster without a log: commands are applied as they are given, in an order of the test's. After
/// each, an agent that was told every change knows the names that the state has.
struct Stage {
    state: State,
    told: Received,
    known: Known,
    now: Timestamp,
    rng: Rng,
    n_deployments: u32,
}

impl Stage {
    /// Nodes of 4 CPUs and 4 GiB.
    fn new(n_nodes: usize) -> Self {
        let mut stage = Self::from_state(State { at: START, ..State::default() });
        for n in 0..n_nodes {
            stage.ok(NodeCommand::RegisterNode(Box::new(node(n, 4.0, 4096.0, &[]))));
        }
        stage
    }

    /// Goes on from a state that others have led to.
    fn from_state(state: State) -> Self {
        let mut told = Received::default();
        let news = naming::told::whole(&state, &Realm::default());
        let known = news.iter().find_map(|part| told.take(part).cloned()).expect("its last part");
        let now = state.at;
        Self { state, told, known, now, rng: Rng::from_seed(7), n_deployments: 0 }
    }

    fn apply(&mut self, command: impl Into<Command>) -> Outcome {
        let command = command.into();
        self.now = Timestamp::from_ms(self.now.as_ms() + 10);
        let entry = Stamped { at: self.now, request: None, by: None, command };
        let (outcome, changes) = core::apply(&mut self.state, &entry);
        assert_eq!(invariant::check(&self.state), []);
        self.tell_names(&changes);
        outcome
    }

    fn tell_names(&mut self, changes: &[Change]) {
        for news in naming::told::changed(&self.state, changes, &Realm::default()) {
            self.known = self.told.take(&news).expect("a change of what is known").clone();
        }
        let here = IpAddr::from([10, 9, 9, 9]);
        let (mut told, mut names) = (Listing::default(), Listing::default());
        self.known.records(here, &mut told);
        let realm = Realm { this_node: Some(here), ..Realm::default() };
        naming::tasks::records(&self.state, &realm, &mut names);
        assert_eq!(told.into_records(), names.into_records());
    }

    fn ok(&mut self, command: impl Into<Command>) -> Accepted {
        self.apply(command).expect("accepted")
    }

    /// Begins a deployment of all of these.
    fn put(&mut self, specs: impl IntoIterator<Item = WorkloadSpec>) {
        self.n_deployments += 1;
        let id = format!("d{}", self.n_deployments).into();
        self.ok(WorkloadCommand::PutApps(Box::new(new_apps(id, specs.into_iter()))));
    }

    fn remove(&mut self, app: &str) {
        self.n_deployments += 1;
        let id = format!("d{}", self.n_deployments).into();
        let mut put =
            new_apps(id, self.state.spec(&AppId::parse(app)).map(|s| (**s).clone()).into_iter());
        put.edits[0].new = None;
        self.ok(WorkloadCommand::PutApps(Box::new(put)));
    }

    /// What the deployment reconciler wants, with nothing remembered.
    fn due(&mut self) -> Vec<Command> {
        let mut idle = super::deploy::Idle::default();
        super::deploy::step(&self.state, &mut idle, &mut self.rng, self.now).commands
    }

    /// What placement wants.
    fn placed(&self) -> Option<Command> {
        let (limits, mut planner) =
            (core::place::Limits::default(), core::place::Planner::default());
        super::place::step(&mut planner, &self.state, &limits, self.now).commands.pop()
    }

    /// Deployments and placement do what they want and agents do as they are told, until nothing
    /// is due.
    fn settle(&mut self) {
        for _ in 0..100 {
            let mut commands = self.due();
            commands.extend(self.placed());
            let is_quiet = commands.is_empty();
            for command in commands {
                self.ok(command);
            }
            if self.agents() == 0 && is_quiet {
                return;
            }
        }
        panic!("it does not settle");
    }

    /// Agents start what was launched and end what is to end; how many reports that makes.
    fn agents(&mut self) -> usize {
        let all: Vec<_> = self.state.instances.values().cloned().collect();
        let mut n = 0;
        for instance in all.iter().filter(|i| i.placement().is_some()) {
            let to = match (instance.kill(), instance.condition()) {
                (Some(_), _) => Condition::Killed,
                (None, Condition::Provisioned) => Condition::Running,
                (None, _) => continue,
            };
            self.report(instance, to);
            n += 1;
        }
        n
    }

    fn report(&mut self, instance: &Instance, condition: Condition) {
        let spec = self.state.spec_of(instance).expect("a definition");
        let n_checks = spec.run.containers.iter().map(|c| c.health_checks.len()).sum();
        let alive = |n: usize| CheckStatus {
            index: u32::try_from(n).expect("few"),
            alive: true,
            ..CheckStatus::default()
        };
        let report = link::Report {
            instance: instance.id.clone(),
            incarnation: instance.incarnation,
            condition,
            at: self.now,
            started_at: (condition == Condition::Running).then_some(self.now),
            message: String::new(),
            addresses: Vec::new(),
            health: (0..n_checks).map(alive).collect(),
            ready: condition == Condition::Running,
            readiness: Vec::new(),
            check: None,
            containers: Vec::new(),
            unhealthy: false,
            exit_code: None,
            tail: String::new(),
        };
        let node = instance.placement().expect("a place").node.clone();
        self.ok(TaskCommand::Report { node, reports: vec![report] });
    }

    /// Drains a node for a minute; until when.
    fn drain(&mut self, n: usize) -> Timestamp {
        let until = Timestamp::from_ms(self.now.as_ms() + 60_000);
        let duty = Duty::Draining { since: self.now, until };
        self.ok(NodeCommand::NodeDuty { node: node_id(n), duty });
        until
    }

    fn of(&self, app: &str) -> Vec<Instance> {
        self.state.instances_of(&AppId::parse(app)).map(|i| (**i).clone()).collect()
    }

    /// Nodes that have an instance of the app, one entry an instance.
    fn hosts(&self, app: &str) -> Vec<NodeId> {
        let on = |i: Instance| i.placement().map(|place| place.node.clone());
        self.of(app).into_iter().filter_map(on).collect()
    }
}

fn node_id(n: usize) -> NodeId {
    node(n, 1.0, 1.0, &[]).id
}

/// The instances a deployment's step makes and ends, over all its workloads.
fn moves(step: &DeployStep) -> (Vec<InstanceId>, Vec<InstanceId>) {
    let add = step.scales.iter().flat_map(|scale| scale.add.clone()).collect();
    let retire = step.scales.iter().flat_map(|scale| scale.retire.clone()).collect();
    (add, retire)
}

/// Commands in words, to compare them.
fn words(commands: &[Command]) -> Vec<String> {
    commands.iter().map(|command| format!("{command:?}")).collect()
}
