//! All masters are away.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use serde_json::json;
use tepui::node::config::NodeRole as Role;

use crate::{
    Tally,
    cluster::{Cluster, PATIENCE, took},
    host::within,
    in_time,
};

const AWAY: Duration = Duration::from_secs(60);

/// Containers and names go on for a minute without masters; then all goes on without a restart.
pub fn all(cluster: &mut Cluster, tally: &mut Tally) -> Result<()> {
    cluster.deploy(
        0,
        &Cluster::app("/alone/a", 6, &json!({"constraints": [["hostname", "GROUP_BY"]]})),
    )?;
    let (name, agents) = ("a.alone.marathon.mesos.", cluster.of(Role::Agent));
    let named = within(PATIENCE, || {
        let named = cluster.resolve(0, name)?;
        ensure!(named.len() == agents.len(), "named at {named:?} only");
        for at in &agents {
            let theirs = cluster.resolve(*at, name)?;
            ensure!(theirs == named, "host {} has {theirs:?} for {named:?}", at + 1);
        }
        Ok(named)
    })?;
    let before = cluster.containers()?;
    for at in cluster.of(Role::Master) {
        cluster.hosts[at].kill_node()?;
    }
    let mut n_asked = 0;
    let held = (|| {
        for _ in 0..AWAY.as_secs() / 5 {
            thread::sleep(Duration::from_secs(5));
            for at in &agents {
                ensure!(cluster.resolve(*at, name)? == named, "host {} has other names", at + 1);
                n_asked += 1;
            }
            ensure!(cluster.containers()? == before, "containers have changed");
        }
        Ok(())
    })();
    println!("    {n_asked} questions for the name");
    tally.check("names and containers stay for a minute without masters", held);
    for at in cluster.of(Role::Master) {
        cluster.start_node(at)?;
    }
    in_time(
        tally,
        "started again, all is whole after",
        Duration::from_secs(10),
        took(PATIENCE, || cluster.whole()),
    );
    thread::sleep(Duration::from_secs(5));
    let after = cluster.containers()?;
    let same = if after == before { Ok(()) } else { Err(anyhow::anyhow!("{after:?}")) };
    tally.check("with the same containers", same);
    let deployed = cluster.deploy(1, &Cluster::app("/alone/b", 2, &json!({})));
    tally.check("and takes changes", deployed);
    Ok(())
}
