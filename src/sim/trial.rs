//! Trials: one misfortune in a calm cluster, and what has to be true ten seconds after it.

use std::{collections::BTreeSet, fmt, time::Duration};

use super::{
    build,
    world::{Settings, Who, World},
};
use crate::{
    agent::desired::Key, base::rng::Rng, core::WorkloadCommand, model::deployment::DeploymentId,
};

/// Within this time after a misfortune has ended, everything is as wanted.
const SETTLED: Duration = Duration::from_secs(10);

/// Something that happens to a cluster whose containers all go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misfortune {
    /// The leader is stopped, and the agent in the same process with it.
    ProcessStops {
        ms: u64,
    },
    LeaderStops {
        ms: u64,
    },
    AgentStops {
        ms: u64,
    },
    /// The agent's process ends and is started again.
    AgentAway {
        ms: u64,
    },
    /// The leader's disk does not answer.
    DiskStalls {
        ms: u64,
    },
    /// The wall clock of every machine is set.
    ClockSteps {
        by_ms: i64,
    },
    LeaderClockSteps {
        by_ms: i64,
    },
    /// The leader stops; another master leads after that.
    LeaderLost {
        ms: u64,
    },
    /// The leader's process ends and is started again, with what is on its disk.
    LeaderRestarts {
        ms: u64,
    },
}

impl Misfortune {
    /// Whether it is over before anything may be replaced: then every container stays.
    fn keeps_all(self) -> bool {
        match self {
            Self::AgentStops { ms } | Self::AgentAway { ms } => ms < 8_000,
            _ => true,
        }
    }
}

/// The cluster of a trial.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    pub seed: u64,
    /// Nodes; the first one is in trouble, and shares the leader's process.
    pub nodes: u32,
    pub misfortune: Misfortune,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, nodes, misfortune } = self;
        write!(f, "{misfortune:?}, {nodes} nodes, seed {seed}")
    }
}

impl Trial {
    /// Runs it.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn run(&self) -> Result<(), String> {
        let mut rng = Rng::from_seed(self.seed).child("trial");
        let network_ms = (1, 2 + rng.below(100));
        let mut world = World::new(self.seed, Settings { network_ms, ..Settings::default() });
        for n in 0..self.nodes as usize {
            world.add_node(build::node(n, 16.0, 65_536.0, &[]));
        }
        // A leader older than any silence it would forgive.
        world.run_for(Duration::from_millis(7_000 + rng.below(3_000)));
        deploy(&mut world, &mut rng, self.nodes);
        world.settle(Duration::from_secs(60))?;
        world.run_for(Duration::from_millis(rng.below(3_000)));
        let before = live(&world);
        self.happen(&mut world);
        world.run_for(SETTLED);
        let after = live(&world);
        if let Some(problem) = world.oracle.problems.first() {
            return Err(problem.clone());
        }
        if !world.is_settled() {
            let what = world.oracle.unsettled(&world.state, &world.nodes);
            return Err(format!("not as wanted after {SETTLED:?}: {what:?}"));
        }
        let ended: Vec<&Key> = before.difference(&after).collect();
        if !ended.is_empty() && (self.misfortune.keeps_all() || self.nodes == 1) {
            return Err(format!("healthy containers were ended: {ended:?}"));
        }
        match world.state.nodes.values().find(|n| !n.is_reachable()) {
            Some(node) => Err(format!("{} is not reachable again", node.info.hostname)),
            None => Ok(()),
        }
    }

    fn happen(&self, world: &mut World) {
        let first = Who::Node(0);
        let stop = |world: &mut World, who: &[Who], ms: u64| {
            who.iter().for_each(|w| world.pause(*w));
            world.run_for(Duration::from_millis(ms));
            who.iter().for_each(|w| world.resume(*w));
        };
        let end = |world: &mut World, ms: u64, begin: fn(&mut World)| {
            world.pause(Who::Leader);
            world.run_for(Duration::from_millis(ms));
            begin(world);
        };
        match self.misfortune {
            Misfortune::LeaderLost { ms } => end(world, ms, World::change_leader),
            Misfortune::LeaderRestarts { ms } => end(world, ms, World::restart_leader),
            Misfortune::ProcessStops { ms } => stop(world, &[Who::Leader, first], ms),
            Misfortune::LeaderStops { ms } => stop(world, &[Who::Leader], ms),
            Misfortune::AgentStops { ms } => stop(world, &[first], ms),
            Misfortune::DiskStalls { ms } => stop(world, &[Who::Log], ms),
            Misfortune::AgentAway { ms } => {
                world.stop_agent(0);
                world.run_for(Duration::from_millis(ms));
                world.start_agent(0);
            }
            Misfortune::ClockSteps { by_ms } => {
                world.step_clock(Who::Leader, by_ms);
                (0..self.nodes as usize).for_each(|ix| world.step_clock(Who::Node(ix), by_ms));
            }
            Misfortune::LeaderClockSteps { by_ms } => world.step_clock(Who::Leader, by_ms),
        }
    }
}

/// Every container that runs.
fn live(world: &World) -> BTreeSet<Key> {
    world.nodes.iter().flat_map(|n| n.live().cloned()).collect()
}

/// An app of a few instances, checked or not, and one bound to the node in trouble.
fn deploy(world: &mut World, rng: &mut Rng, n_nodes: u32) {
    let mut web = build::app("/web", 1 + n_nodes * 2, 0.5, 64.0, 1);
    if rng.below(2) == 0 {
        web.run_mut().containers[0].health_checks.push(build::health_check());
    }
    let mut bound = build::app("/bound", 2, 0.5, 64.0, 0);
    bound.constraints.extend(build::constraint("hostname LIKE n0"));
    let deployment = DeploymentId::from(rng.uuid_at(world.now()).to_string());
    let put = build::new_apps(deployment, [web, bound].into_iter());
    let accepted = world.ask(WorkloadCommand::PutApps(Box::new(put))).is_ok();
    assert!(accepted, "new apps are never refused");
}
