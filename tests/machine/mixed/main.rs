//! Masters of two releases in one cluster: this one, and one that writes a field more into apps, nodes
//! and commands and is one level further (feature `next`).
//!
//!     mixed THIS NEXT
//!
//! with two builds of this program, as `make mixed` calls it. Three masters on loopback, each a process
//! of one of the builds with a store of its own, are moved by a made-up crowd, led by either build in
//! turn, sent the whole state by either, upgraded and taken back one by one, and at last raised to the
//! next level. Ends with "N passed, N failed".

#![allow(clippy::print_stdout, clippy::disallowed_methods)] // a program of its own that prints

mod cluster;
mod member;
#[path = "../tally.rs"]
mod tally;

use std::{path::PathBuf, process::ExitCode};

use cluster::{Build, Cluster, IDS};
use tally::Tally;
use tepui::base::level::LEVEL;

/// Commands that a trial moves a cluster by through each master.
const MOVES: u32 = 150;
/// More commands than a log keeps: who was away for them gets the whole state.
const MOVES_AWAY: u32 = 400;

fn main() -> anyhow::Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|arg| arg == member::ROLE) {
        member::run(&args[1..])?;
        return Ok(ExitCode::SUCCESS);
    }
    let [this, next] = &args[..] else { anyhow::bail!("mixed THIS NEXT: two builds of it") };
    let builds = [PathBuf::from(this), PathBuf::from(next)];
    let mut tally = Tally::default();
    for mix in [[Build::This, Build::Next, Build::Next], [Build::This, Build::This, Build::Next]] {
        trial(&builds, mix, &mut tally)?;
    }
    Ok(tally.end())
}

/// One cluster's life; the first master, of this build, founds it.
fn trial(builds: &[PathBuf; 2], mix: [Build; 3], tally: &mut Tally) -> anyhow::Result<()> {
    println!("-- {mix:?}");
    let mut cluster = Cluster::start(builds, mix)?;
    tally.check("every master takes commands and has the same state", cluster.move_all(MOVES));
    for build in [Build::This, Build::Next] {
        let led = cluster.led_by(build).and_then(|()| cluster.move_all(MOVES));
        tally.check(&format!("led by {build:?}, all go on alike"), led);
    }
    for id in [IDS[0], IDS[2]] {
        let leader = if cluster.build(id) == Build::This { Build::Next } else { Build::This };
        let sent = cluster
            .led_by(leader)
            .and_then(|()| cluster.stop(id))
            .and_then(|()| cluster.move_by_another(id, MOVES_AWAY))
            .and_then(|()| cluster.start_one(id))
            .and_then(|()| cluster.move_all(MOVES));
        tally.check(&format!("{leader:?} sends its whole state to master {id}"), sent);
    }
    let held = cluster.raise().and_then(|answer| {
        anyhow::ensure!(answer.contains("is held back by master 1 "), "{answer}");
        Ok(())
    });
    tally.check("the level is not raised while one cannot do it, which is named", held);
    for build in [Build::Next, Build::This, Build::Next] {
        for id in IDS {
            let changed = cluster.change(id, build).and_then(|()| cluster.move_all(MOVES / 3));
            tally.check(&format!("master {id} goes on as {build:?}"), changed);
        }
    }
    let raised = cluster.upgrade_the_rest().and_then(|()| cluster.raise()).and_then(|answer| {
        anyhow::ensure!(answer == "raised", "{answer}");
        cluster.move_all(MOVES)
    });
    tally.check("all of them can do it: the level is raised", raised);
    let refused = cluster.stop(IDS[0]).and_then(|()| {
        let said = cluster.refused(IDS[0], Build::This)?;
        let wanted = format!("the cluster is at level {}, this release", LEVEL + 1);
        anyhow::ensure!(said.contains(&wanted) && said.contains("start the release"), "{said}");
        Ok(())
    });
    tally.check("this build does not start on the store any more, and says why", refused);
    let back = cluster.start_one(IDS[0]).and_then(|()| cluster.move_all(MOVES));
    tally.check("the next build does", back);
    cluster.end()
}
