//! The same loss of a machine, by tepui and by Docker Swarm on the same hosts.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tepui::node::config::NodeRole as Role;

use super::agents::{self, N};
use crate::{
    Tally,
    cluster::{Cluster, took},
    host::{Host, within},
};

/// Swarm takes its time.
const PATIENCE: Duration = Duration::from_secs(180);
const SERVICE: &str = "lost";
/// Nothing listens at its registry, so that nobody waits for one.
const IMAGE: &str = "127.0.0.1:9/rig-swarm:1";
/// An image of the machine's own busybox, from the engine's standard input.
const MAKE_IMAGE: &str = "tar -C / -c bin/busybox | docker import - ";

/// What followed on the loss of a machine, after it.
struct Times {
    declared: Duration,
    replaced: Duration,
}

/// One machine of three with a third of the instances is lost, once as tepui's and once as Swarm's.
pub fn beside(cluster: &mut Cluster, tally: &mut Tally) -> Result<()> {
    let ours = agents::lose_one(cluster)?;
    let ours = Times { declared: ours.declared?, replaced: ours.replaced? };
    cluster.restore()?;
    // Both have the machine for themselves.
    for host in &mut cluster.hosts {
        host.stop_node()?;
    }
    let theirs = swarm(cluster);
    let ended = end(cluster);
    let (theirs, version) = theirs?;
    ended?;
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let swarm = format!("Docker Swarm {version}");
    println!("    {:<26}{:>10}{swarm:>32}", "a machine is lost", "tepui");
    for (what, ours, theirs) in [
        ("declared after", ours.declared, theirs.declared),
        ("all run elsewhere after", ours.replaced, theirs.replaced),
    ] {
        println!("    {what:<26}{:>10}{:>32}", seconds(ours), seconds(theirs));
        tally.check(&format!("{what} no longer than with Swarm"), {
            (ours <= theirs).then_some(()).with_context(|| format!("{ours:?}, {theirs:?}"))
        });
    }
    Ok(())
}

/// With three managers where our masters are, and three workers where our agents are, all as Swarm is set
/// by default.
fn swarm(cluster: &mut Cluster) -> Result<(Times, String)> {
    let (managers, workers) = (cluster.of(Role::Master), cluster.of(Role::Agent));
    let members = [&managers[..], &workers[..]].concat();
    for at in &members {
        let host = &mut cluster.hosts[*at];
        host.stop_engine()?;
        host.in_swarm = true;
        host.start_engine()?;
    }
    for at in &members {
        cluster.hosts[*at].wait_engine()?;
    }
    let first = &cluster.hosts[managers[0]];
    let version = first.docker(&["version", "--format", "{{.Server.Version}}"])?;
    first.docker(&["swarm", "init", "--advertise-addr", &first.ip.to_string()])?;
    for at in &members[1..] {
        let host = &cluster.hosts[*at];
        let part = if managers.contains(at) { "manager" } else { "worker" };
        let token = first.docker(&["swarm", "join-token", "-q", part])?;
        let (own, to) = (host.ip.to_string(), format!("{}:2377", first.ip));
        host.docker(&["swarm", "join", "--token", token.trim(), "--advertise-addr", &own, &to])?;
    }
    for at in &workers {
        let make = format!("{MAKE_IMAGE} {IMAGE}");
        let mut shell = cluster.hosts[*at].beside_docker("sh");
        let made = shell.args(["-c", &make]).stdout(Stdio::null()).status()?;
        ensure!(made.success(), "the image could not be made");
    }
    let replicas = N.to_string();
    first.docker(&[
        "service",
        "create",
        "--detach",
        "--no-resolve-image",
        "--name",
        SERVICE,
        "--replicas",
        &replicas,
        "--constraint",
        "node.role==worker",
        "--network",
        "host",
        IMAGE,
        "/bin/busybox",
        "sleep",
        "100000",
    ])?;
    within(PATIENCE, || runs_on(cluster, &workers))?;
    let (gone, rest) = (workers[0], &workers[1..]);
    let id = cluster.hosts[gone].docker(&["info", "--format", "{{.Swarm.NodeID}}"])?;
    let n_there = n_running(&cluster.hosts[gone])?;
    ensure!(n_there == 3, "{n_there} on the host that is to be lost");
    let lost_at = Instant::now();
    cluster.hosts[gone].unplug()?;
    let declared = took(PATIENCE, || {
        let shown = ["node", "inspect", id.trim(), "--format", "{{.Status.State}}"];
        let state = cluster.hosts[managers[0]].docker(&shown)?;
        ensure!(state.trim() == "down", "it is {state}");
        Ok(())
    })?;
    within(PATIENCE, || runs_on(cluster, rest))?;
    Ok((Times { declared, replaced: lost_at.elapsed() }, version.trim().to_owned()))
}

/// That all instances run on these hosts.
fn runs_on(cluster: &Cluster, hosts: &[usize]) -> Result<()> {
    let mut n = 0;
    for at in hosts {
        n += n_running(&cluster.hosts[*at])?;
    }
    ensure!(n == N as usize, "{n} of {N} run");
    Ok(())
}

fn n_running(host: &Host) -> Result<usize> {
    let label = format!("label=com.docker.swarm.service.name={SERVICE}");
    Ok(host.docker(&["ps", "-q", "--filter", &label])?.lines().count())
}

/// All engines are as they were before, and the nodes find them so.
fn end(cluster: &mut Cluster) -> Result<()> {
    for host in &mut cluster.hosts {
        host.plug()?;
        if host.has_engine() && host.in_swarm {
            // It may have joined none.
            let _ = host.docker(&["swarm", "leave", "--force"]);
            host.empty_engine();
            host.stop_engine()?;
        }
        host.in_swarm = false;
        if host.role == Role::Agent {
            host.start_engine()?;
            host.wait_engine()?;
        }
    }
    Ok(())
}
