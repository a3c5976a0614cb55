//! One simulation from a seed: chaos, then calm, then a verdict.

use std::{fmt, time::Duration};

use super::{
    build, chaos,
    node::Behaviour,
    world::{Counts, Settings, World},
};
use crate::{base::rng::Rng, core::place::Limits};

/// What to simulate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::Args)]
pub struct Args {
    /// The same seed gives the same run
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Virtual nodes
    #[arg(long, default_value_t = 20)]
    pub nodes: u32,
    /// Instances wanted at most at a time
    #[arg(long, default_value_t = 60)]
    pub instances: u32,
    /// Simulated time with clients and faults, in seconds; the time to settle comes on top
    #[arg(long, default_value_t = 300)]
    pub seconds: u64,
}

/// How a simulation went.
#[derive(Clone, Debug)]
pub struct Summary {
    pub args: Args,
    /// Broken promises; empty when all was well.
    pub problems: Vec<String>,
    pub counts: Counts,
    pub n_checks: u64,
    /// Simulated time from the end of the faults until everything was as wanted.
    pub settled_after: Duration,
    /// Real time.
    pub took: Duration,
    /// Number that two runs of one seed share.
    pub fingerprint: u64,
}

impl Summary {
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// As one object, for scripts.
    pub fn json(&self) -> serde_json::Value {
        let (args, counts) = (&self.args, &self.counts);
        serde_json::json!({
            "good": self.is_good(),
            "problems": self.problems,
            "seed": args.seed,
            "nodes": args.nodes,
            "instances": args.instances,
            "seconds": args.seconds,
            "events": counts.events,
            "commands": counts.commands,
            "launches": counts.launches,
            "faults": counts.faults,
            "terms": counts.terms,
            "checks": self.n_checks,
            "settled_after_ms": u64::try_from(self.settled_after.as_millis()).unwrap_or(u64::MAX),
            "took_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            // A text: readers of JSON lose the last digits of such numbers.
            "fingerprint": format!("{:016x}", self.fingerprint),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (args, counts) = (&self.args, &self.counts);
        writeln!(
            f,
            "seed {}: {} nodes, {} events, {} commands, {} launches, {} faults, {} checks",
            args.seed,
            args.nodes,
            counts.events,
            counts.commands,
            counts.launches,
            counts.faults,
            self.n_checks
        )?;
        if self.is_good() {
            return write!(
                f,
                "settled {:.1} s after the last fault; simulated in {:.1} s",
                self.settled_after.as_secs_f64(),
                self.took.as_secs_f64()
            );
        }
        for problem in self.problems.iter().take(5) {
            writeln!(f, "broken: {problem}")?;
        }
        write!(
            f,
            "reproduce: tepui sim --seed {} --nodes {} --instances {} --seconds {}",
            args.seed, args.nodes, args.instances, args.seconds
        )
    }
}

/// Time within which a cluster without faults has to settle: delays after failures, time-outs of
/// lost nodes and the slowest periodic repair fit in twice.
const SETTLE: Duration = Duration::from_secs(1_200);

/// Between two acts of clients or faults, on average.
const PAUSE_MS: u64 = 400;

/// Large worlds are checked less often, act on changes in larger batches, and start full.
fn is_large(args: &Args) -> bool {
    args.nodes > 200 || args.instances > 1_000
}

/// How far a simulation is, told now and then.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Simulated time.
    pub at: Duration,
    pub n_running: usize,
    pub counts: Counts,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, n_running, counts } = self;
        write!(
            f,
            "{} s: {n_running} instances, {} events, {} commands, {} faults",
            at.as_secs(),
            counts.events,
            counts.commands,
            counts.faults
        )
    }
}

/// Simulated time between two reports of progress.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Runs one simulation.
pub fn run(args: &Args) -> Summary {
    run_told(args, &mut |_| ())
}

/// Runs one simulation and tells how far it is.
pub fn run_told(args: &Args, tell: &mut dyn FnMut(Progress)) -> Summary {
    let began = tokio::time::Instant::now();
    let mut world = World::new(args.seed, settings(args));
    for n in 0..args.nodes as usize {
        let racks = [("rack", format!("r{}", n % 3))];
        world.add_node(build::node(n, 16.0, 65_536.0, &racks));
    }
    world.run_for(Duration::from_secs(2));
    if is_large(args) {
        chaos::fill(&mut world, args.instances / 10 * 8);
        tell(progress(&world));
    }
    chaos::start(&mut world, PAUSE_MS, args.instances, true);
    let end = world.now() + Duration::from_secs(args.seconds);
    while world.now() < end && world.oracle.problems.is_empty() {
        world.run_for(TELL_EVERY.min(end.since(world.now())));
        tell(progress(&world));
    }
    chaos::stop(&mut world);
    let settled = world.settle(SETTLE);
    let mut problems = world.oracle.problems.clone();
    let settled_after = match settled {
        Ok(after) => after,
        Err(problem) => {
            if problems.is_empty() {
                problems.push(problem);
            }
            Duration::ZERO
        }
    };
    Summary {
        args: *args,
        problems,
        counts: world.counts,
        n_checks: world.oracle.n_checks,
        settled_after,
        took: began.elapsed(),
        fingerprint: world.state.fingerprint(),
    }
}

fn progress(world: &World) -> Progress {
    let n_running = world.state.index.present.values().sum();
    Progress { at: world.now().since(build::START), n_running, counts: world.counts }
}

/// Every seed has its own network and containers.
fn settings(args: &Args) -> Settings {
    let mut rng = Rng::from_seed(args.seed).child("settings");
    let is_large = is_large(args);
    let slowest = 2 + rng.below(200);
    Settings {
        behaviour: Behaviour {
            start_ms: (50, 100 + rng.below(3_000)),
            slow_of_1000: rng.below(30),
            fail_of_1000: rng.below(50),
            stubborn_of_1000: rng.below(100),
        },
        network_ms: (1, slowest),
        lost_of_10000: rng.below(50),
        check_every: if is_large { 2_000 } else { 1 },
        tick: Duration::from_millis(if is_large { 1_000 } else { 200 }),
        gather: Duration::from_millis(if is_large { 50 } else { 2 }),
        limits: Limits { home_region: Some("home".to_owned()), ..Limits::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_one_run() {
        let args = Args { seed: 11, nodes: 6, instances: 20, seconds: 30 };
        let (a, b) = (run(&args), run(&args));
        assert!(a.is_good(), "{a}");
        assert_eq!((a.fingerprint, a.counts.events), (b.fingerprint, b.counts.events));
    }
}
