//! A random client and random faults, the latter in the mix that real clusters see.
//!
//! Every fault ends again, at the latest when chaos stops.

use std::time::Duration;

use super::{
    build,
    client::{CONSTRAINTS, Client},
    node::Behaviour,
    world::{Ix, Who, World},
};
use crate::{
    agent::desired::Key,
    base::{clock::Timestamp, rng::Rng},
    core::{NodeCommand, WorkloadCommand},
    model::{deployment::DeploymentId, node::Duty},
};

/// How long a drain may take.
const DRAIN: Duration = Duration::from_secs(3600);
/// What goes wrong and what is asked for.
#[derive(Debug)]
pub struct Chaos {
    rng: Rng,
    client: Client,
    pause_ms: u64,
    with_faults: bool,
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
    let client = Client::new(rng.child("client"), "app", instances_max);
    let chaos = Chaos { rng, client, pause_ms, with_faults, ends: Vec::new() };
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
        let accepted = world.ask(WorkloadCommand::PutApps(Box::new(put))).is_ok();
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
        let command = chaos.client.next(&world.state, world.now());
        // Locked by another deployment, gone, or a group's path: clients live with that.
        let _refused = command.map(|command| world.ask(command).is_err());
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
            let _unknown = world.ask(NodeCommand::NodeDuty { node, duty: Duty::Active }).is_err();
        }
    }
}

impl Chaos {
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
                if world.ask(NodeCommand::NodeDuty { node, duty }).is_ok() {
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
}
