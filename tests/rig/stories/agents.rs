//! Agents that are lost, killed and cut off.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tepui::node::config::NodeRole as Role;

use crate::{
    Tally,
    cluster::{Cluster, PATIENCE, took},
    host::{Host, within},
    in_time, net,
};

/// Instances on three machines.
pub const N: u32 = 9;
const NAME: &str = "a.lost.marathon.mesos.";
const CUT: Duration = Duration::from_secs(60);

fn spread(id: &str) -> serde_json::Value {
    Cluster::app(id, N, &json!({"constraints": [["hostname", "GROUP_BY"]]}))
}

/// A machine is lost with its engine: its names go, and its instances run elsewhere.
pub fn lost(cluster: &mut Cluster, tally: &mut Tally) -> Result<()> {
    let Loss { declared, unnamed, replaced } = lose_one(cluster)?;
    in_time(tally, "it is declared after", Duration::from_secs(3), declared);
    in_time(tally, "then its names are gone after", Duration::from_secs(1), unnamed);
    in_time(tally, "all run elsewhere after", Duration::from_secs(10), replaced);
    Ok(())
}

/// What followed on the loss of a machine, and after how long.
pub struct Loss {
    pub declared: Result<Duration>,
    /// After it was declared.
    pub unnamed: Result<Duration>,
    pub replaced: Result<Duration>,
}

/// Loses one of three machines with a third of [`N`] instances, which is there again then.
pub fn lose_one(cluster: &mut Cluster) -> Result<Loss> {
    cluster.deploy(0, &spread("/lost/a"))?;
    let gone = cluster.of(Role::Agent)[0];
    let ip = cluster.hosts[gone].ip.into();
    let name = cluster.hosts[gone].name();
    let n_there = cluster.hosts[gone].containers()?.len();
    ensure!(n_there == 3, "{n_there} on the host that is to be lost");
    within(PATIENCE, || {
        ensure!(cluster.resolve(0, NAME)?.contains(&ip), "not named yet");
        Ok(())
    })?;
    // Unplugged first: ending all that ran there takes longer than being gone.
    let lost_at = Instant::now();
    cluster.hosts[gone].unplug()?;
    let declared = took(PATIENCE, || {
        let nodes = cluster.nodes(0)?;
        ensure!(nodes[&name]["condition"] != "active", "{}", nodes[&name]["condition"]);
        Ok(())
    });
    let unnamed = took(PATIENCE, || {
        ensure!(!cluster.resolve(0, NAME)?.contains(&ip), "still named");
        Ok(())
    });
    let replaced = within(PATIENCE, || {
        let rest = cluster.of(Role::Agent).into_iter().filter(|at| *at != gone);
        let mut running = 0;
        for at in rest {
            running += cluster.hosts[at].containers()?.len();
        }
        ensure!(running == N as usize, "{running} run elsewhere");
        Ok(())
    });
    let replaced = replaced.map(|()| lost_at.elapsed());
    cluster.hosts[gone].lose()?;
    cluster.hosts[gone].find()?;
    Ok(Loss { declared, unnamed, replaced })
}

/// An agent's process is killed, stopped and started, and cut off for a minute: its containers go on.
pub fn away(cluster: &mut Cluster, tally: &mut Tally) -> Result<()> {
    cluster.deploy(0, &spread("/away/a"))?;
    let agent = cluster.of(Role::Agent)[1];
    let before: BTreeSet<_> = cluster.hosts[agent].containers()?.into_iter().collect();
    let same = |cluster: &Cluster| {
        let now: BTreeSet<_> = cluster.hosts[agent].containers()?.into_iter().collect();
        ensure!(now == before, "{now:?}");
        Ok(())
    };
    for (what, end) in [
        ("killed and started it is heard after", Host::kill_node as fn(&mut Host) -> Result<()>),
        ("stopped and started it is heard after", Host::stop_node),
    ] {
        end(&mut cluster.hosts[agent])?;
        // What it said before its end may still be on its way.
        thread::sleep(Duration::from_millis(500));
        let last = last_heard(cluster, agent)?;
        cluster.start_node(agent)?;
        let heard = took(PATIENCE, || {
            ensure!(last_heard(cluster, agent)? > last, "not since {last}");
            cluster.whole()
        });
        in_time(tally, what, Duration::from_secs(5), heard);
        tally.check("with the same containers", same(cluster));
    }
    for at in cluster.of(Role::Master) {
        net::cut(&cluster.hosts[agent], &cluster.hosts[at])?;
    }
    let cut_at = Instant::now();
    while cut_at.elapsed() < CUT {
        thread::sleep(Duration::from_secs(5));
        let now: BTreeSet<_> = cluster.hosts[agent].containers()?.into_iter().collect();
        ensure!(before.is_subset(&now), "a container ended {:?} after the cut", cut_at.elapsed());
    }
    let (n_before, others) = (before.len(), cluster.containers()?.len());
    println!("    after a minute {others} run, {n_before} of them there");
    net::heal(&cluster.hosts);
    let healed_at = Instant::now();
    within(PATIENCE, || cluster.whole())?;
    println!("    heard again after {:.1} s", healed_at.elapsed().as_secs_f64());
    let exact = within(PATIENCE, || {
        let n = cluster.n_containers("/away/a")?;
        ensure!(n == N as usize, "{n} run");
        Ok(())
    });
    in_time(
        tally,
        "no more run than are wanted after",
        Duration::from_secs(5),
        exact.map(|()| healed_at.elapsed()),
    );
    let kept = cluster.hosts[agent].containers()?;
    let kept = kept.iter().filter(|container| before.contains(*container)).count();
    println!("    {kept} of its {n_before} containers are kept");
    tally.check(
        "its containers were not ended by the cut",
        (kept > 0).then_some(()).context("none is left"),
    );
    Ok(())
}

/// When the leader last heard an agent, which it alone knows.
fn last_heard(cluster: &Cluster, agent: usize) -> Result<String> {
    let path = format!("/tepui/v1/nodes/{}", cluster.hosts[agent].name());
    let node = cluster.get(cluster.leader(0)?, &path)?;
    Ok(node["last_seen_at"].as_str().context("it was not heard")?.to_owned())
}
