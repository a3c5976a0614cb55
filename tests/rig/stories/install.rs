//! The installer: a cluster from bare machines over ssh, what it does about machines that are not fit or
//! not there, one machine more, and machines that are left as they were.

use std::{
    collections::BTreeSet,
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tepui::node::config::NodeRole::{self, Agent, Master};

use crate::{
    Tally,
    host::{Ground, run, within},
    in_time,
    machine::Machine,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// What three masters and three agents may take from nothing, and no single machine longer.
const FROM_NOTHING: Duration = Duration::from_secs(180);

/// The machines, and the directory of who installs.
struct Site {
    machines: Vec<Machine>,
    dir: PathBuf,
    tepui: PathBuf,
    // Removed after the machines.
    _ground: Ground,
}

/// How a run of the installer ended.
struct Ended {
    code: Option<i32>,
    said: String,
    took: Duration,
}

impl Site {
    fn new(tepui: &Path) -> Result<Self> {
        let ground = Ground::lay()?;
        let dir = ground.dir().join("installer");
        fs::create_dir_all(&dir)?;
        let key = dir.join("ssh_key");
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key.display().to_string()])?;
        let public = fs::read_to_string(dir.join("ssh_key.pub"))?;
        // As packages have it.
        let stripped = dir.join("tepui");
        let (from, to) = (tepui.display().to_string(), stripped.display().to_string());
        run("strip", &["-o", &to, &from])?;
        let roles = [Master, Master, Master, Agent, Agent, Agent, Agent];
        let mut machines = Vec::new();
        for (n, role) in (1..).zip(roles) {
            machines.push(Machine::boot(&ground, n, role, &public)?);
        }
        for machine in machines.iter().filter(|machine| machine.host.role == Agent) {
            machine.start_engine()?;
        }
        Ok(Self { machines, dir, tepui: stripped, _ground: ground })
    }

    /// Lists the first so many machines.
    fn list(&self, n: usize) -> Result<()> {
        let of = |role: NodeRole| -> Vec<String> {
            let listed = self.machines.iter().take(n).filter(|m| m.host.role == role);
            listed.map(|m| m.host.ip.to_string()).collect()
        };
        let config = json!({
            "cluster_name": "rig",
            "master_discovery": "static",
            "exhibitor_storage_backend": "static",
            "master_list": of(Master),
            "agent_list": of(Agent),
            "resolvers": ["9.9.9.9"],
            "ssh_user": "root",
            "process_timeout": 60,
            "log_directory": "logs",
            "fault_domain_enabled": true,
            "ip_detect_contents": "#!/bin/sh\nset -- $(ip -4 -o addr show eth0)\necho ${4%/*}",
            "fault_domain_detect_contents": "#!/bin/sh\n\
                echo '{\"fault_domain\":{\"region\":{\"name\":\"here\"},\"zone\":{\"name\":\"'$(uname -n)'\"}}}'",
            "custom_checks": {"node_checks": {
                "checks": {"alive": {
                    "description": "the node answers", "cmd": ["pgrep", "-x", "tepui"], "timeout": "5s",
                }},
                "poststart": ["alive"],
            }},
        });
        Ok(fs::write(self.dir.join("config.yaml"), serde_json::to_string_pretty(&config)?)?)
    }

    fn command(&self, args: &[&str]) -> Command {
        let known = format!("UserKnownHostsFile={}", self.dir.join("known_hosts").display());
        let mut command = Command::new(&self.tepui);
        command.arg("cluster").args(args).args(["-f", "config.yaml", "--ssh-option", &known]);
        command.current_dir(&self.dir).stdin(Stdio::null());
        command
    }

    fn call(&self, args: &[&str]) -> Result<Ended> {
        let began = Instant::now();
        let output = self.command(args).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        Ok(Ended { code: output.status.code(), said, took: began.elapsed() })
    }

    fn install(&self, more: &[&str]) -> Result<Ended> {
        self.call(&[&["install", "--no-systemd"], more].concat())
    }

    /// What the command line of the first master's node answers.
    fn ask(&self, command: &str) -> Result<Value> {
        let script = format!("set -a; . /var/lib/tepui/client.env; tepui {command} --json");
        Ok(serde_json::from_str(&self.machines[0].shell(&script)?)?)
    }

    /// Whether so many masters decide and so many agents are active.
    fn is_whole(&self, n_masters: usize, n_agents: usize) -> Result<()> {
        let (masters, nodes) = (self.ask("master list")?, self.ask("node list")?);
        let rows = |told: &Value| told.as_array().cloned().unwrap_or_default();
        let decide = |row: &&Value| row["part"] == "leads" || row["part"] == "decides";
        let n = rows(&masters).iter().filter(decide).count();
        ensure!(n == n_masters, "{n} masters decide: {masters}");
        let active = rows(&nodes).iter().filter(|row| row["condition"] == "active").count();
        ensure!(active == n_agents, "{active} agents are active: {nodes}");
        Ok(())
    }

    /// The processes of all nodes.
    fn nodes(&self) -> Vec<String> {
        let pid = |machine: &Machine| machine.shell("cat /run/tepui.pid 2>/dev/null || echo none");
        self.machines.iter().map(|machine| pid(machine).unwrap_or_default()).collect()
    }

    fn own_files(&self) -> Result<Vec<BTreeSet<String>>> {
        self.machines.iter().map(Machine::own_files).collect()
    }
}

impl Ended {
    fn is(self, code: i32) -> Result<Self> {
        ensure!(self.code == Some(code), "ended with {:?}:\n{}", self.code, self.said);
        Ok(self)
    }

    fn says(self, part: &str) -> Result<Self> {
        ensure!(self.said.contains(part), "does not say {part:?}:\n{}", self.said);
        Ok(self)
    }
}

/// From nothing to a cluster and back.
pub fn all(tepui: &Path, tally: &mut Tally) -> Result<()> {
    let began = Instant::now();
    let site = Site::new(tepui)?;
    println!("    seven machines are up after {:.1} s", began.elapsed().as_secs_f64());
    let before = site.own_files()?;
    site.list(6)?;
    unfit(&site, tally, &before)?;
    let ended = site.install(&[])?.is(0).context("the first install")?;
    print!("{}", indented(&ended.said));
    in_time(tally, "three masters and three agents from nothing", FROM_NOTHING, Ok(ended.took));
    tally.check("all masters decide, all agents are active", site.is_whole(3, 3));
    tally.check("agents stand where their machines say", places(&site));
    tally.check("an app runs on three machines", deploy(&site));
    again(&site, tally)?;
    upgrade(&site, tally)?;
    one_more(&site, tally)?;
    let purge = site.call(&["uninstall", "--purge", "--yes"])?.is(0)?;
    println!("    uninstalled after {:.1} s", purge.took.as_secs_f64());
    tally.check("machines have the files they had", as_before(&site, &before));
    interrupted(&site, tally)?;
    site.call(&["uninstall", "--purge", "--yes"])?.is(0)?;
    tally.check("machines have the files they had, once more", as_before(&site, &before));
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
    tally.check("nothing was changed anywhere", as_before(site, before));
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
    site.list(7)?;
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

/// Whether no machine has a file more, less or changed.
fn as_before(site: &Site, before: &[BTreeSet<String>]) -> Result<()> {
    for (machine, (before, now)) in site.machines.iter().zip(before.iter().zip(site.own_files()?)) {
        let differ: Vec<_> = before.symmetric_difference(&now).collect();
        ensure!(differ.is_empty(), "{}: {differ:#?}", machine.host.name());
    }
    Ok(())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    | {line}\n")).collect()
}
