//! A random client: looks at what there is and asks for something that a cluster of some size can
//! hold.

use super::build;
use crate::{
    base::{clock::Timestamp, rng::Rng},
    core::{
        Command, State, TaskCommand, WorkloadCommand,
        command::{Edit, Expect, PutApps},
    },
    model::{
        deployment::DeploymentId,
        instance::{InstanceId, KillReason},
        path::AppId,
        workload::{KillSelection, UnreachableStrategy, WorkloadSpec},
    },
};

/// Constraints clients use. All can be met by a whole cluster.
pub(super) const CONSTRAINTS: [&str; 7] = [
    "",
    "hostname UNIQUE",
    "hostname MAX_PER 3",
    "rack GROUP_BY",
    "rack GROUP_BY 3",
    "rack LIKE r[0-2]",
    "@zone UNLIKE z9",
];

/// One who makes, changes, scales and ends apps.
#[derive(Debug)]
pub struct Client {
    rng: Rng,
    /// What its apps' names begin with.
    prefix: String,
    instances_max: u32,
    n_made: u32,
}

impl Client {
    /// Asks for at most `instances_max` instances at a time.
    pub fn new(rng: Rng, prefix: &str, instances_max: u32) -> Self {
        Self { rng, prefix: prefix.to_owned(), instances_max, n_made: 0 }
    }

    /// What it asks for next, looking at a state; nothing when there is nothing to ask.
    pub fn next(&mut self, state: &State, now: Timestamp) -> Option<Command> {
        let apps: Vec<AppId> = state.apps.keys().cloned().collect();
        let n_wanted: u32 = state.apps.values().map(|a| a.spec.instances).sum();
        let room = self.instances_max.saturating_sub(n_wanted);
        let half = u32::try_from(state.nodes.len() / 2).unwrap_or(u32::MAX).max(1);
        if apps.is_empty() || (self.rng.below(4) == 0 && room > 0) {
            return Some(self.create(room, half, now));
        }
        let app = apps[self.pick(apps.len())].clone();
        let spec = (**state.spec(&app)?).clone();
        match self.rng.below(10) {
            0..=2 => Some(self.scale(spec, room, half, now)),
            3..=5 => Some(self.upgrade(spec, now)),
            6 => Some(self.put(&app, Some(spec), true, now)),
            7 if self.rng.below(3) == 0 => Some(self.put(&app, None, false, now)),
            7 | 8 => self.kill(state, &app),
            _ => self.cancel(state, now),
        }
    }

    fn create(&mut self, room: u32, half: u32, now: Timestamp) -> Command {
        self.n_made += 1;
        let n_max = room.clamp(1, 12.max(self.instances_max / 20));
        let n = 1 + self.below_u32(n_max);
        let cpus = [0.1, 0.25, 0.5][self.pick(3)];
        let n_ports = self.pick(3);
        let group = ["", "/shop", "/shop/back", "/ops"][self.pick(4)];
        let id = format!("{group}/{}{}", self.prefix, self.n_made);
        let mut spec = build::app(&id, n, cpus, cpus * 512.0, n_ports);
        let constraint = CONSTRAINTS[self.pick(CONSTRAINTS.len())];
        spec.constraints.extend(build::constraint(constraint));
        if constraint == "hostname UNIQUE" {
            spec.instances = spec.instances.min(half);
        }
        if n_ports > 0 && self.rng.below(2) == 0 {
            spec.run_mut().containers[0].health_checks.push(build::health_check());
        }
        let bounds = [(1.0, 1.0), (0.5, 0.0), (0.5, 0.5), (0.0, 1.0), (1.0, 0.0), (0.8, 0.2)];
        let (least, over) = bounds[self.pick(bounds.len())];
        spec.upgrade.minimum_health_capacity = least;
        spec.upgrade.maximum_over_capacity = over;
        if self.rng.below(3) == 0 {
            spec.unreachable =
                UnreachableStrategy::After { inactive_ms: 20_000, expunge_ms: 60_000 };
        }
        if self.rng.below(2) == 0 {
            spec.kill_selection = KillSelection::OldestFirst;
        }
        if self.rng.below(5) == 0 {
            spec = build::resident(spec, 100);
        }
        self.put(&spec.id.clone(), Some(spec), false, now)
    }

    fn scale(&mut self, mut spec: WorkloadSpec, room: u32, half: u32, now: Timestamp) -> Command {
        let is_unique = spec.constraints.iter().any(|c| c.value.is_none() && c.field == "hostname");
        let n_max = (spec.instances + room.min(8 + self.instances_max / 50)).max(1);
        let n_max = if is_unique { n_max.min(half) } else { n_max };
        spec.instances = self.below_u32(n_max + 1);
        self.put(&spec.id.clone(), Some(spec), false, now)
    }

    fn upgrade(&mut self, mut spec: WorkloadSpec, now: Timestamp) -> Command {
        self.n_made += 1;
        spec.run_mut().labels.insert("release".to_owned(), self.n_made.to_string());
        self.put(&spec.id.clone(), Some(spec), false, now)
    }

    fn put(
        &mut self,
        app: &AppId,
        new: Option<WorkloadSpec>,
        restart: bool,
        now: Timestamp,
    ) -> Command {
        let deployment = DeploymentId::from(self.rng.uuid_at(now).to_string());
        let edit = Edit { id: app.clone(), new, expect: Expect::Any, base: None, restart };
        WorkloadCommand::PutApps(Box::new(PutApps {
            deployment,
            force: self.rng.below(3) == 0,
            edits: vec![edit],
            groups: Vec::new(),
            victims: Default::default(),
        }))
        .into()
    }

    fn kill(&mut self, state: &State, app: &AppId) -> Option<Command> {
        let all: Vec<InstanceId> = state.instances_of(app).map(|i| i.id.clone()).collect();
        if all.is_empty() {
            return None;
        }
        let instances = vec![all[self.pick(all.len())].clone()];
        let wipe = self.rng.below(2) == 0;
        Some(TaskCommand::Kill { instances, wipe, reason: KillReason::Request }.into())
    }

    fn cancel(&mut self, state: &State, now: Timestamp) -> Option<Command> {
        let all: Vec<DeploymentId> = state.deployments.keys().cloned().collect();
        if all.is_empty() {
            return None;
        }
        let id = all[self.pick(all.len())].clone();
        let undo = DeploymentId::from(self.rng.uuid_at(now).to_string());
        let undo = (self.rng.below(3) > 0).then_some(undo);
        Some(WorkloadCommand::CancelDeployment { id, undo }.into())
    }

    fn pick(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.below(n as u64)).unwrap_or(0)
    }

    fn below_u32(&mut self, n: u32) -> u32 {
        u32::try_from(self.rng.below(u64::from(n))).unwrap_or(0)
    }
}
