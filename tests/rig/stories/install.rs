//! The installer: a cluster from bare machines over ssh, what it does about machines that are not fit or
//! not there, one machine more, and machines that are left as they were.

use std::{
    collections::BTreeSet,
    fs,
    net::UdpSocket,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tepui::node::config::NodeRole::{Agent, Master};

use crate::{
    Tally,
    host::{run, within},
    in_time,
    site::Site,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// What three masters and three agents may take from nothing, and no single machine longer.
const FROM_NOTHING: Duration = Duration::from_secs(180);

/// From nothing to a cluster and back.
pub fn all(tepui: &Path, tally: &mut Tally) -> Result<()> {
    let began = Instant::now();
    let site = Site::new(tepui, &[Master, Master, Master, Agent, Agent, Agent, Agent])?;
    println!("    seven machines are up after {:.1} s", began.elapsed().as_secs_f64());
    let before = site.own_files()?;
    site.list(6, &json!({}))?;
    unfit(&site, tally, &before)?;
    let ended = site.install(&[])?.is(0).context("the first install")?;
    print!("{}", ended.indented());
    in_time(tally, "three masters and three agents from nothing", FROM_NOTHING, Ok(ended.took));
    tally.check("all masters decide, all agents are active", site.is_whole(3, 3));
    tally.check("agents stand where their machines say", places(&site));
    tally.check("an app runs on three machines", deploy(&site));
    again(&site, tally)?;
    upgrade(&site, tally)?;
    one_more(&site, tally)?;
    let purge = site.call(&["uninstall", "--purge", "--yes"])?.is(0)?;
    println!("    uninstalled after {:.1} s", purge.took.as_secs_f64());
    tally.check("machines have the files they had", site.is_as_before(&before));
    interrupted(&site, tally)?;
    site.call(&["uninstall", "--purge", "--yes"])?.is(0)?;
    tally.check("machines have the files they had, once more", site.is_as_before(&before));
    Ok(())
}

/// A port that is taken and a machine that is not there stop it before anything is changed.
fn unfit(site: &Site, tally: &mut Tally, before: &[BTreeSet<String>]) -> Result<()> {
    tally.check(
        "a preflight of fit machines is good",
        site.install(&["--preflight"])?.is(0).map(drop),
    );
    let held = site.machines[1].host.inside(|| UdpSocket::bind("0.0.0.0:53"))??;
    let ended = site.install(&[])?;
    let address = site.machines[1].host.ip;
    let told = ended
        .is(1)
        .and_then(|ended| ended.says(&format!("{address} (master): ports: port 53 (DNS)")));
    tally.check("a taken port is told with its machine", told.map(drop));
    drop(held);
    site.machines[4].link(false)?;
    let address = site.machines[4].host.ip;
    let told = site.install(&[])?.is(1)?.says(&format!("{address} (agent): cannot be reached"));
    tally.check("a machine that is not there is told", told.map(drop));
    site.machines[4].link(true)?;
    tally.check("nothing was changed anywhere", site.is_as_before(before));
    Ok(())
}

/// A second run touches nothing.
fn again(site: &Site, tally: &mut Tally) -> Result<()> {
    let nodes = site.nodes();
    let ended = site.install(&[])?.is(0)?;
    in_time(tally, "a second run", Duration::from_secs(30), Ok(ended.took));
    let held = (|| {
        ensure!(site.nodes() == nodes, "nodes were started again: {nodes:?} {:?}", site.nodes());
        site.is_whole(3, 3)
    })();
    tally.check("it has touched no node", held);
    Ok(())
}

/// Another program by the same command: every node is started by it, and containers go on.
fn upgrade(site: &Site, tally: &mut Tally) -> Result<()> {
    let newer = site.dir.join("newer");
    // Bytes behind a program change nothing but its sum.
    let bytes = [fs::read(&site.tepui)?, b"newer".to_vec()].concat();
    fs::write(&newer, bytes)?;
    let containers = || -> Result<Vec<String>> {
        let agents = site.machines[3..6].iter();
        agents.map(|machine| machine.run("docker", &["ps", "-q", "--no-trunc"])).collect()
    };
    let (nodes, before) = (site.nodes(), containers()?);
    let ended = site.install(&["--binary", "newer"])?.is(0)?;
    println!("    six nodes have another program after {:.1} s", ended.took.as_secs_f64());
    let held = (|| {
        let now = site.nodes();
        ensure!((0..6).all(|at| now[at] != nodes[at]), "{nodes:?} {now:?}");
        ensure!(containers()? == before, "containers have changed");
        within(PATIENCE, || site.is_whole(3, 3))
    })();
    tally.check("another program runs everywhere, beside the same containers", held);
    fs::rename(&newer, &site.tepui)?;
    run("chmod", &["+x", &site.tepui.display().to_string()])
}

/// One machine more, which is not there at first.
fn one_more(site: &Site, tally: &mut Tally) -> Result<()> {
    site.list(7, &json!({}))?;
    site.machines[6].link(false)?;
    let nodes = site.nodes();
    let ended = site.install(&["--keep-going"])?.is(1)?.says("cannot be reached");
    tally.check("a new machine that is away holds up nobody", ended.map(drop));
    site.machines[6].link(true)?;
    let ended = site.install(&[])?.is(0)?;
    in_time(tally, "a machine more by the same command", FROM_NOTHING, Ok(ended.took));
    tally.check("four agents are active", site.is_whole(3, 4));
    let kept = nodes[..6] == site.nodes()[..6];
    tally.check(
        "the others were left alone",
        kept.then_some(()).context("a node was started again"),
    );
    Ok(())
}

/// Killed in the middle, with one machine away: the next run goes on.
fn interrupted(site: &Site, tally: &mut Tally) -> Result<()> {
    let mut child = site.command(&["install", "--no-systemd"]).stderr(Stdio::null()).spawn()?;
    within(FROM_NOTHING, || {
        let state = fs::read_to_string(site.dir.join("config.state.json"))?;
        ensure!(state.contains("\"installed\""), "no node is installed yet");
        Ok(())
    })?;
    child.kill()?;
    child.wait()?;
    site.machines[5].link(false)?;
    let ended = site.install(&["--keep-going"])?;
    let told = ended.is(1)?.says("1 of 7 hosts failed");
    tally.check("after a kill it goes on, without a machine that is away", told.map(drop));
    tally.check("the others work together", site.is_whole(3, 3));
    site.machines[5].link(true)?;
    let ended = site.install(&[])?.is(0)?;
    in_time(tally, "the one that was away comes in", FROM_NOTHING, Ok(ended.took));
    tally.check("all work together", site.is_whole(3, 4));
    Ok(())
}

fn places(site: &Site) -> Result<()> {
    let nodes = site.ask("node list")?;
    let zones: BTreeSet<&str> =
        nodes.as_array().into_iter().flatten().filter_map(|row| row["zone"].as_str()).collect();
    let wanted: BTreeSet<_> = ["host-4", "host-5", "host-6"].into();
    ensure!(zones == wanted, "{nodes}");
    Ok(())
}

fn deploy(site: &Site) -> Result<()> {
    let app = json!({
        "id": "/web", "instances": 3, "cpus": 0.1, "mem": 32, "cmd": "while :; do sleep 1; done",
        "constraints": [["@zone", "UNIQUE"]],
    });
    let script = format!(
        "set -a; . /var/lib/tepui/client.env; echo '{app}' | tepui app deploy - --timeout 60s"
    );
    site.machines[0].shell(&script)?;
    for machine in site.machines.iter().filter(|m| m.host.role == Agent).take(3) {
        let running = machine.run("docker", &["ps", "-q", "--filter", "label=tepui.instance"])?;
        ensure!(running.lines().count() == 1, "{} runs {running:?}", machine.host.name());
    }
    Ok(())
}
