//! Clusters of several hosts on one machine, and what goes wrong between them.
//!
//!     rig TEPUI [STORY…]
//!
//! as `make rig` calls it: three masters, three agents and a public agent, each a network namespace on
//! one bridge with a tepui of its own, and each agent with a Docker engine of its own. A story cuts,
//! kills or stops something and looks at what users then see; before each all is whole again. Prints a
//! line for each thing that was to hold, the times it took, and "N passed, N failed" at the end.
//!
//! The services of some stories are this program again: `rig serve PORT [SECONDS]`.
//!
//! Needs root, Docker's programs, `ip` and `iptables`. `KEEP=1` keeps the hosts' logs. Packets are lost and
//! cut by rules of each host's own firewall; delays are not made: that needs a queue of the kernel that is
//! not there everywhere.

#![allow(clippy::print_stdout, clippy::disallowed_methods)] // a program of its own that prints

#[path = "../it/e2e/client.rs"]
#[allow(dead_code)] // its other users look at more of an answer
mod client;
mod cluster;
mod host;
#[path = "../it/linear.rs"]
#[allow(dead_code)] // its tests run elsewhere
mod linear;
#[path = "../machine/layer.rs"]
mod layer;
mod load;
mod machine;
mod net;
mod serve;
mod site;
mod stories;
#[path = "../machine/tally.rs"]
mod tally;
mod traffic;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use cluster::Cluster;
use tally::Tally;
use tepui::node::config::NodeRole::{Agent, Master, PublicAgent};

/// A story of machines of its own, without a tepui at first.
type Bare = fn(&std::path::Path, &mut Tally) -> Result<()>;

/// By name.
const BARE: [(&str, Bare); 2] =
    [("install", stories::install::all), ("upgrade", stories::upgrade::all)];

/// What took time, which is printed, and must have taken at most `limit`.
pub fn in_time(tally: &mut Tally, what: &str, limit: Duration, took: Result<Duration>) {
    let held = took.and_then(|took| {
        let (took_s, limit_s) = (took.as_secs_f64(), limit.as_secs_f64());
        println!("    {what}: {took_s:.2} s");
        anyhow::ensure!(took <= limit, "{took_s:.2} s, wanted {limit_s:.1}");
        Ok(())
    });
    tally.check(what, held);
}

fn main() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let first = args.next().context("rig TEPUI [STORY…]: the program")?;
    if first == "serve" {
        return serve::run(args).map(|()| ExitCode::SUCCESS);
    }
    let tepui = PathBuf::from(first).canonicalize()?;
    let mut wanted: Vec<String> = args.collect();
    for name in &wanted {
        let bare = BARE.map(|(name, _)| name).into_iter();
        let known: Vec<&str> = bare.chain(stories::ALL.map(|(n, _)| n)).collect();
        anyhow::ensure!(known.contains(&name.as_str()), "no story {name}; there are {known:?}");
    }
    let mut tally = Tally::default();
    let is_all = wanted.is_empty();
    for (name, story) in BARE {
        if !is_all && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("-- {name}");
        if let Err(error) = story(&tepui, &mut tally) {
            tally.check(&format!("{name} goes to its end"), Err(error));
        }
        wanted.retain(|wanted| wanted != name);
    }
    if wanted.is_empty() && !is_all {
        return Ok(tally.end());
    }
    let began = Instant::now();
    let roles = [Master, Master, Master, Agent, Agent, Agent, PublicAgent];
    let mut cluster = Cluster::start(&tepui, &roles)?;
    in_time(&mut tally, "seven hosts from nothing", Duration::from_secs(180), Ok(began.elapsed()));
    println!("{}", net::table(&cluster.hosts)?);
    for (name, story) in stories::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|w| w == name) {
            continue;
        }
        println!("-- {name}");
        if let Err(error) = story(&mut cluster, &mut tally) {
            tally.check(&format!("{name} goes to its end"), Err(error));
        }
        let restored = cluster.restore();
        let is_whole = restored.is_ok();
        tally.check("all is whole again", restored);
        if !is_whole {
            for host in &cluster.hosts {
                println!("---- {}\n{}", host.name(), host.said());
            }
            break;
        }
    }
    Ok(tally.end())
}
