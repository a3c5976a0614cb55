//! What a change of many instances costs, in instances looked at and rows written: time would say
//! something about the machine.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::*,
    world::{World, app, edit, node, put},
};
use crate::{
    base::{clock::Timestamp, limit},
    core::{
        NodeCommand, TaskCommand, WorkloadCommand,
        command::{DeployStep, Launch, Scale},
        deploy,
        state::looked,
    },
    model::{
        access::Role,
        instance::{Condition, Instance},
        link::Report,
        node::NodeId,
        resource::{Pools, Resources, Scalars},
        workload::WorkloadSpec,
    },
};

/// What all commands took until a deployment was done.
#[derive(Debug, Default)]
struct Work {
    n_commands: usize,
    n_looked: u64,
    n_looked_max: u64,
    n_written: usize,
    n_written_max: usize,
}

/// A node with room for everything, and commands without the invariants, which look at all there is.
struct Large {
    world: World,
    work: Work,
}

impl Large {
    fn new() -> Self {
        let mut world = World::new(0);
        let mut large = node(0);
        let scalars = Scalars::of(1e9, 1e9, 1e9, 0.0);
        large.total = Pools::of(Role::star(), Resources { scalars, ..Resources::default() });
        world.ok(NodeCommand::RegisterNode(Box::new(large)));
        Self { world, work: Work::default() }
    }

    fn run(&mut self, command: impl Into<Command>) {
        let command = command.into();
        self.world.now += 10;
        let at = Timestamp::from_ms(self.world.now);
        let (outcome, changes) =
            apply(&mut self.world.state, &Stamped { at, request: None, by: None, command });
        outcome.expect("accepted");
        let n_looked = looked::take();
        self.work.n_commands += 1;
        self.work.n_looked += n_looked;
        self.work.n_looked_max = self.work.n_looked_max.max(n_looked);
        self.work.n_written += changes.len();
        self.work.n_written_max = self.work.n_written_max.max(changes.len());
    }

    /// Scales and does what reconcilers and agents do until it is so.
    fn scale(&mut self, n: u32) -> Work {
        self.work = Work::default();
        looked::take();
        let mut spec = app("/a", n);
        spec.run_mut().containers[0].ports.clear();
        let id = self.world.id();
        let edits = vec![edit(&spec.id.clone(), Some(spec))];
        self.run(WorkloadCommand::PutApps(Box::new(put(&id, edits))));
        while let Some(deployment) = self.world.state.deployments.get(&id).cloned() {
            let due = deploy::due(&self.world.state, &deployment);
            let advance = due.iter().all(|d| d.done);
            let scales = due
                .into_iter()
                .map(|d| {
                    let n_add = d.n_add.min(limit::MOVES_PER_COMMAND_MAX);
                    let add = (0..n_add).map(|_| self.world.instance_id(&d.app)).collect();
                    Scale { app: d.app, add, retire: d.retire }
                })
                .collect();
            let (deployment, step) = (deployment.id.clone(), deployment.current_step);
            self.run(WorkloadCommand::DeployStep(DeployStep { deployment, step, scales, advance }));
            self.agents_act();
        }
        std::mem::take(&mut self.work)
    }

    /// Launches what waits, reports it running, and what is to end as gone.
    fn agents_act(&mut self) {
        let state = &self.world.state;
        let waiting: Vec<_> = state.index.waiting.values().flatten().cloned().collect();
        let going = state.instances.values().filter(|i| i.kill().is_some()).cloned();
        let going: Vec<Arc<Instance>> = going.collect();
        let node = NodeId::from("n0");
        let launch = |id: &crate::model::instance::InstanceId| Launch {
            instance: id.clone(),
            node: node.clone(),
            allocation: allocation(),
            host_ports: Vec::new(),
        };
        for some in waiting.chunks(limit::MOVES_PER_COMMAND_MAX) {
            self.run(TaskCommand::Launch(some.iter().map(launch).collect()));
            let state = &self.world.state;
            let running = some.iter().filter_map(|id| state.instances.get(id));
            let reports = running.map(|i| report(i, Condition::Running)).collect();
            self.run(TaskCommand::Report { node: node.clone(), reports });
        }
        for some in going.chunks(limit::MOVES_PER_COMMAND_MAX) {
            let reports = some.iter().map(|i| report(i, Condition::Killed)).collect();
            self.run(TaskCommand::Report { node: node.clone(), reports });
        }
    }
}

fn allocation() -> Pools {
    let spec: WorkloadSpec = app("/a", 1);
    let named = BTreeMap::new();
    Pools::of(Role::star(), Resources { scalars: spec.run.demand(), named, ..Resources::default() })
}

fn report(instance: &Instance, condition: Condition) -> Report {
    Report {
        started_at: Some(Timestamp::EPOCH),
        ready: true,
        ..Report::new(instance.id.clone(), instance.incarnation, condition, Timestamp::EPOCH)
    }
}

#[test]
fn a_command_costs_no_more_than_there_are_instances() {
    let moves = limit::MOVES_PER_COMMAND_MAX;
    for n in [1_000_u32, 10_000] {
        let (n_all, n_most) = (n as usize, u64::from(n));
        let mut large = Large::new();
        let up = large.scale(n);
        let down = large.scale(2);
        for work in [&up, &down] {
            assert!(work.n_looked_max <= 4 * n_most + 100, "{n}: {work:?}");
            assert!(work.n_written_max <= 2 * moves + 10, "{n}: {work:?}");
            assert!(work.n_written <= 5 * n_all + 100, "{n}: {work:?}");
            assert!(work.n_commands <= 5 * (n_all / moves) + 10, "{n}: {work:?}");
        }
        // On the way up the many are not looked through again for each thousand more.
        assert!(up.n_looked <= 8 * n_most + 100, "{n}: {up:?}");
        assert_eq!(large.world.state.instances.len(), 2);
    }
}
