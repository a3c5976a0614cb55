//! Random clients and random faults.
//!
//! Clients ask for what a cluster of that size can hold; faults come in the mix that real clusters
//! see. Every fault ends again, at the latest when chaos stops.

use std::time::Duration;

use super::{
    build,
    node::Behaviour,
    world::{Ix, Who, World},
};
use crate::{
    agent::desired::Key,
    base::{clock::Timestamp, rng::Rng},
    core::{
        Command,
        command::{Edit, Expect, PutApps},
    },
    model::{
        deployment::DeploymentId,
        instance::{InstanceId, KillReason},
        node::Duty,
        path::AppId,
        workload::{KillSelection, UnreachableStrategy, WorkloadSpec},
    },
};

/// How long a drain may take.
const DRAIN: Duration = Duration::from_secs(3600);
/// Constraints clients use. All can be met by a whole cluster.
const CONSTRAINTS: [&str; 7] = [
    "",
    "hostname UNIQUE",
    "hostname MAX_PER 3",
    "rack GROUP_BY",
    "rack GROUP_BY 3",
    "rack LIKE r[0-2]",
    "@zone UNLIKE z9",
];

/// What goes wrong and what is asked for.
#[derive(Debug)]
pub struct Chaos {
    rng: Rng,
    pause_ms: u64,
    instances_max: u32,
    with_faults: bool,
    n_made: u32,
    /// Faults that end by themselves.
    ends: Vec<(Timestamp, End)>,
}

/// The end of a fault.
#[derive(Clone, Debug)]
enum End {
    Boot(Ix),
    Heal(Ix),
    StartAgent(Ix),
    Activate(Ix),
    Resume(Who),
    /// Whoever led stood still for too long.
    TakeOver,
    /// The leader's process has been started again.
    Restart,
    SetClock(Who, i64),
}

/// Starts chaos in a world: one act every `pause_ms` on average, at most `instances_max` instances
/// wanted at a time.
pub fn start(world: &mut World, pause_ms: u64, instances_max: u32, with_faults: bool) {
    let rng = world.rng.child("chaos");
    let chaos = Chaos { rng, pause_ms, instances_max, with_faults, n_made: 0, ends: Vec::new() };
    world.chaos = Some(Box::new(chaos));
    world.schedule_chaos(Duration::ZERO);
}

/// Apps deployed together before chaos begins, and instances of each.
const FILL_APPS: u32 = 50;
const FILL_INSTANCES: u32 = 100;

/// Deploys apps until `n_instances` are wanted, in a few large deployments, without misfortune.
pub fn fill(world: &mut World, n_instances: u32) {
    let mut rng = world.rng.child("fill");
    let n_apps = n_instances / FILL_INSTANCES;
    for first in (0..n_apps).step_by(FILL_APPS as usize) {
        let app = |n: u32| {
            let id = format!("/fill{first}/app{n}");
            let mut spec = build::app(&id, FILL_INSTANCES, 0.1, 64.0, 1);
            let constraint = CONSTRAINTS[n as usize % CONSTRAINTS.len()];
            let fits =
                constraint != "hostname UNIQUE" || world.nodes.len() > 2 * FILL_INSTANCES as usize;
            spec.constraints.extend(build::constraint(constraint).filter(|_| fits));
            spec
        };
        let deployment = DeploymentId::from(rng.uuid_at(world.now()).to_string());
        let put = build::new_apps(deployment, (first..n_apps.min(first + FILL_APPS)).map(app));
        let accepted = world.ask(Command::PutApps(Box::new(put))).is_ok();
        assert!(accepted, "new apps of their own group are never refused");
        world.run_for(Duration::from_secs(1));
    }
}

/// Ends all faults and asks for nothing more.
pub fn stop(world: &mut World) {
    let Some(chaos) = world.chaos.take() else { return };
    for (_, end) in chaos.ends {
        recover(world, &end);
    }
    world.settings.behaviour = Behaviour::GOOD;
    world.settings.lost_of_10000 = 0;
}

/// One act.
pub fn act(world: &mut World) {
    let Some(mut chaos) = world.chaos.take() else { return };
    let now = world.now();
    let (due, later): (Vec<_>, Vec<_>) = chaos.ends.drain(..).partition(|(at, _)| *at <= now);
    chaos.ends = later;
    for (_, end) in due {
        recover(world, &end);
    }
    let roll = chaos.rng.below(100);
    let deaf = world.is_paused(Who::Leader) || world.is_paused(Who::Log);
    if deaf {
        // Clients wait for an answer, and so do operators.
    } else if roll < 45 || !chaos.with_faults {
        chaos.client(world);
    } else {
        chaos.fault(world);
    }
    let pause = 1 + chaos.rng.below(2 * chaos.pause_ms);
    world.chaos = Some(chaos);
    world.schedule_chaos(Duration::from_millis(pause));
}

fn recover(world: &mut World, end: &End) {
    match *end {
        End::Boot(ix) => world.boot(ix),
        End::Heal(ix) => world.heal(ix),
        End::StartAgent(ix) => world.start_agent(ix),
        End::Resume(who) => world.resume(who),
        End::TakeOver => world.change_leader(),
        End::Restart => world.restart_leader(),
        End::SetClock(who, by_ms) => world.step_clock(who, by_ms),
        End::Activate(ix) => {
            let node = world.nodes[ix].info.id.clone();
            // The node may be unknown yet when its first connection failed.
            let _unknown = world.ask(Command::NodeDuty { node, duty: Duty::Active }).is_err();
        }
    }
}

impl Chaos {
    fn client(&mut self, world: &mut World) {
        let apps: Vec<AppId> = world.state.apps.keys().cloned().collect();
        let n_wanted: u32 = world.state.apps.values().map(|a| a.spec.instances).sum();
        let room = self.instances_max.saturating_sub(n_wanted);
        if apps.is_empty() || (self.rng.below(4) == 0 && room > 0) {
            return self.create(world, room);
        }
        let app = apps[self.pick(apps.len())].clone();
        let Some(spec) = world.state.spec(&app).map(|s| (**s).clone()) else { return };
        match self.rng.below(10) {
            0..=2 => self.scale(world, spec, room),
            3..=5 => self.upgrade(world, spec),
            6 => self.put(world, &app, Some(spec), true),
            7 if self.rng.below(3) == 0 => self.put(world, &app, None, false),
            7 | 8 => self.kill(world, &app),
            _ => self.cancel(world),
        }
    }

    fn create(&mut self, world: &mut World, room: u32) {
        self.n_made += 1;
        let n_max = room.clamp(1, 12.max(self.instances_max / 20));
        let n = 1 + self.below_u32(n_max);
        let cpus = [0.1, 0.25, 0.5][self.pick(3)];
        let n_ports = self.pick(3);
        let group = ["", "/shop", "/shop/back", "/ops"][self.pick(4)];
        let id = format!("{group}/app{}", self.n_made);
        let mut spec = build::app(&id, n, cpus, cpus * 512.0, n_ports);
        let constraint = CONSTRAINTS[self.pick(CONSTRAINTS.len())];
        spec.constraints.extend(build::constraint(constraint));
        if constraint == "hostname UNIQUE" {
            let n_nodes = u32::try_from(world.nodes.len()).unwrap_or(u32::MAX);
            spec.instances = spec.instances.min(n_nodes / 2).max(1);
        }
        if n_ports > 0 && self.rng.below(2) == 0 {
            spec.containers[0].health_checks.push(build::health_check());
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
        self.put(world, &spec.id.clone(), Some(spec), false);
    }

    fn scale(&mut self, world: &mut World, mut spec: WorkloadSpec, room: u32) {
        let is_unique = spec.constraints.iter().any(|c| c.value.is_none() && c.field == "hostname");
        let n_max = (spec.instances + room.min(8 + self.instances_max / 50)).max(1);
        let n_nodes = u32::try_from(world.nodes.len()).unwrap_or(u32::MAX);
        let n_max = if is_unique { n_max.min(n_nodes / 2).max(1) } else { n_max };
        spec.instances = self.below_u32(n_max + 1);
        self.put(world, &spec.id.clone(), Some(spec), false);
    }

    fn upgrade(&mut self, world: &mut World, mut spec: WorkloadSpec) {
        self.n_made += 1;
        spec.labels.insert("release".to_owned(), self.n_made.to_string());
        self.put(world, &spec.id.clone(), Some(spec), false);
    }

    fn put(&mut self, world: &mut World, app: &AppId, new: Option<WorkloadSpec>, restart: bool) {
        let deployment = DeploymentId::from(self.rng.uuid_at(world.now()).to_string());
        let edit = Edit { id: app.clone(), new, expect: Expect::Any, base: None, restart };
        let put = PutApps {
            deployment,
            force: self.rng.below(3) == 0,
            edits: vec![edit],
            groups: Vec::new(),
            victims: Default::default(),
        };
        // Locked by another deployment, or its path is a group: clients live with that.
        let _refused = world.ask(Command::PutApps(Box::new(put))).is_err();
    }

    fn kill(&mut self, world: &mut World, app: &AppId) {
        let all: Vec<InstanceId> = world.state.instances_of(app).map(|i| i.id.clone()).collect();
        if all.is_empty() {
            return;
        }
        let instances = vec![all[self.pick(all.len())].clone()];
        let wipe = self.rng.below(2) == 0;
        let kill = Command::Kill { instances, wipe, reason: KillReason::Request };
        let _gone = world.ask(kill).is_err();
    }

    fn cancel(&mut self, world: &mut World) {
        let all: Vec<DeploymentId> = world.state.deployments.keys().cloned().collect();
        if all.is_empty() {
            return;
        }
        let id = all[self.pick(all.len())].clone();
        let undo = DeploymentId::from(self.rng.uuid_at(world.now()).to_string());
        let undo = (self.rng.below(3) > 0).then_some(undo);
        let _done = world.ask(Command::CancelDeployment { id, undo }).is_err();
    }

    fn fault(&mut self, world: &mut World) {
        let ix = self.pick(world.nodes.len());
        let after = Duration::from_millis(500 + self.rng.below(40_000));
        let until = world.now() + after;
        // No more than a third of the nodes is in trouble at a time.
        let is_free = self.ends.len() * 3 < world.nodes.len() && !self.is_in_trouble(ix);
        match self.rng.below(20) {
            0..=2 if is_free => {
                world.crash(ix);
                self.ends.push((until, End::Boot(ix)));
            }
            3..=5 if is_free => {
                world.cut(ix);
                self.ends.push((until, End::Heal(ix)));
            }
            6..=7 if is_free => {
                world.stop_agent(ix);
                self.ends.push((until, End::StartAgent(ix)));
            }
            8..=9 if is_free => {
                let node = world.nodes[ix].info.id.clone();
                let duty = Duty::Draining { since: world.now(), until: world.now() + DRAIN };
                if world.ask(Command::NodeDuty { node, duty }).is_ok() {
                    self.ends.push((until, End::Activate(ix)));
                }
            }
            10 if self.rng.below(4) == 0 => world.change_leader(),
            10 if self.rng.below(3) == 0 => world.restart_leader(),
            11..=12 if is_free => {
                world.pause(Who::Node(ix));
                self.ends.push((until, End::Resume(Who::Node(ix))));
            }
            13 if self.rng.below(4) == 0 => {
                let who = [Who::Leader, Who::Log][self.pick(2)];
                world.pause(who);
                let end = [End::Resume(who), End::TakeOver, End::Restart][self.pick(3)].clone();
                self.ends.push((until, end));
            }
            14 => {
                let who = [Who::Leader, Who::Node(ix)][self.pick(2)];
                let by_ms = [6_000, -6_000, 3_600_000, -3_600_000][self.pick(4)];
                world.step_clock(who, by_ms);
                self.ends.push((until, End::SetClock(who, -by_ms)));
            }
            _ => {
                let keys: Vec<Key> = world.nodes[ix].live().cloned().collect();
                if !keys.is_empty() {
                    let code = i32::from(self.rng.below(2) == 0);
                    world.exit_container(ix, &keys[self.pick(keys.len())], code);
                }
            }
        }
    }

    fn is_in_trouble(&self, ix: Ix) -> bool {
        self.ends.iter().any(|(_, end)| match end {
            End::Boot(at) | End::Heal(at) | End::StartAgent(at) | End::Activate(at) => *at == ix,
            End::Resume(who) | End::SetClock(who, _) => *who == Who::Node(ix),
            End::TakeOver | End::Restart => false,
        })
    }

    fn pick(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.below(n as u64)).unwrap_or(0)
    }

    fn below_u32(&mut self, n: u32) -> u32 {
        u32::try_from(self.rng.below(u64::from(n))).unwrap_or(0)
    }
}
