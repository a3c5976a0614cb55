//! Another build on every node, under load: nothing is asked in vain, no task is touched; a build that does not
//! come up stops at the first node, which goes back.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tepui::node::config::NodeRole::{Agent, Master, PublicAgent};

use crate::{
    Tally,
    cluster::Question,
    host::{Host, run, within},
    in_time,
    site::{Ended, Site},
    traffic::{Addresses, Asker, Traffic, Way, none_failed},
};

const PATIENCE: Duration = Duration::from_secs(60);
/// What seven nodes may take, each of them some seconds.
const ALL: Duration = Duration::from_secs(240);
/// Instances that are asked; two on each agent.
const N: u64 = 6;
/// Requests a second at the front doors, and as many to instances themselves.
const RATE: u64 = 100;
/// Before and after what is looked at.
const AROUND: Duration = Duration::from_secs(3);

/// From an installed cluster to the same with another build.
pub fn all(tepui: &Path, tally: &mut Tally) -> Result<()> {
    let roles = [Master, Master, Master, Agent, Agent, Agent, PublicAgent];
    let site = Site::new(tepui, &roles)?;
    let before = site.own_files()?;
    site.list(7, &json!({"node_settings": {"tls": "off"}, "process_timeout": 30}))?;
    let ended = site.install(&[])?.is(0).context("the install")?;
    println!("    seven machines have a cluster after {:.1} s", ended.took.as_secs_f64());
    let next = another(&site)?;
    deploy(&site)?;
    let key = backup_key(&site)?;

    let traffic = Load::start(&site)?;
    broken(&site, tepui, tally, &key)?;
    let outcomes = traffic.stop()?;
    none_failed(tally, "while a build does not come up", &outcomes);

    let traffic = Load::start(&site)?;
    let (nodes, containers) = (site.nodes(), site.containers()?);
    planned(&site, tally, &next, &nodes)?;
    let took = interrupted(&site, &next, &key)?;
    in_time(tally, "seven nodes have another build", ALL, Ok(took));
    let outcomes = traffic.stop()?;
    none_failed(tally, "while seven nodes are upgraded", &outcomes);
    let now = site.nodes();
    let all_anew = (0..7).all(|at| now[at] != nodes[at]);
    tally.check("every node was started anew", all_anew.then_some(()).context("one was not"));
    let same = site.containers()? == containers;
    tally.check("no task was touched", same.then_some(()).context("containers have changed"));
    tally.check("all work together", within(PATIENCE, || site.is_whole(3, 4)));
    tally.check("each runs that build", runs(&site, &next));
    again(&site, tally, &next)?;

    site.call(&["uninstall", "--purge", "--yes"])?.is(0)?;
    tally.check("machines have the files they had", site.is_as_before(&before));
    Ok(())
}

/// The other build: the one that `NEXT` names, else this one with bytes behind it, which change its sum alone.
fn another(site: &Site) -> Result<PathBuf> {
    let next = site.dir.join("next");
    match std::env::var_os("NEXT") {
        Some(path) => {
            let (from, to) = (PathBuf::from(path), next.display().to_string());
            run("strip", &["-o", &to, &from.display().to_string()])?;
        }
        None => {
            fs::copy(&site.tepui, &next)?;
            let more = [fs::read(&next)?, b"next".to_vec()].concat();
            fs::write(&next, more)?;
        }
    }
    Ok(next)
}

/// One that is `tepui` but for some lines.
fn twisted(site: &Site, tepui: &Path, name: &str, lines: &str) -> Result<PathBuf> {
    let path = site.dir.join(name);
    // Machines have this one's files, but for `/tmp`.
    let text = format!("#!/bin/sh\n{lines}\nexec {} \"$@\"\n", tepui.display());
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn upgrade(site: &Site, program: &Path, more: &[&str]) -> Result<Ended> {
    let program = program.display().to_string();
    site.call(&[&["upgrade", "--no-systemd", "--binary", &program], more].concat())
}

/// Keys for the backup; the public one.
fn backup_key(site: &Site) -> Result<String> {
    let file = site.dir.join("backup.key").display().to_string();
    let said = run_own(site, &["backup", "key", "-o", &file])?;
    let key = said.split_whitespace().find(|word| word.starts_with("age1"));
    Ok(key.context(said.clone())?.to_owned())
}

fn run_own(site: &Site, args: &[&str]) -> Result<String> {
    let output = Command::new(&site.tepui).args(args).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

/// `web`, spread over all agents, and `/edge` on the public one.
fn deploy(site: &Site) -> Result<()> {
    let program = std::env::current_exe()?;
    let check = json!({
        "protocol": "HTTP", "path": "/", "intervalSeconds": 1, "delaySeconds": 0,
        "gracePeriodSeconds": 10, "timeoutSeconds": 5, "maxConsecutiveFailures": 3,
    });
    let web = json!({
        "id": "/up/web", "instances": N, "cpus": 0.05, "mem": 32,
        "cmd": format!("exec {} serve $PORT0", program.display()),
        "constraints": [["hostname", "GROUP_BY"]],
        "healthChecks": [check],
        "portDefinitions": [{"port": 0, "name": "http"}],
        "labels": {
            "DCOS_SERVICE_NAME": "up-web", "DCOS_SERVICE_SCHEME": "http",
            "DCOS_SERVICE_PORT_INDEX": "0",
        },
    });
    let edge = json!({
        "id": "/edge", "instances": 1, "cpus": 0.05, "mem": 32,
        "cmd": "while :; do sleep 1; done", "acceptedResourceRoles": ["slave_public"],
    });
    for app in [web, edge] {
        let script = format!(
            "set -a; . /var/lib/tepui/client.env; echo '{app}' | tepui app deploy - --timeout 60s"
        );
        site.machines[0].shell(&script)?;
    }
    let n: usize = site.containers()?.iter().map(|ids| ids.lines().count()).sum();
    ensure!(n as u64 == N + 1, "{n} containers run");
    Ok(())
}

/// What asks all the time.
struct Load {
    traffic: Traffic,
    asker: Asker,
}

impl Load {
    fn start(site: &Site) -> Result<Self> {
        let masters: Vec<&Host> = site.machines[..3].iter().map(|machine| &machine.host).collect();
        let env = site.machines[0].shell("cat /var/lib/tepui/client.env")?;
        let token = env.lines().find_map(|line| line.strip_prefix("TEPUI_TOKEN="));
        let token = token.context("no token in client.env")?;
        let at = |port: u16| masters.iter().map(move |host| SocketAddr::new(host.ip.into(), port));
        // As a resolver that knows all masters, which none of them runs.
        let asker = &site.machines[3].host;
        let questions: Result<Vec<_>> =
            at(53).map(|server| Question::from(asker, server)).collect();
        let (names, asker) = Asker::start(questions?, "_web.up._tcp.marathon.mesos.", PATIENCE)?;
        let traffic = Traffic::start(vec![
            Way {
                name: "front doors",
                method: "GET",
                path: "/service/up-web/".to_owned(),
                headers: format!("Authorization: token={token}\r\n"),
                addresses: Addresses::new(at(80).collect()),
                per_second: RATE,
                goes_on: true,
            },
            Way {
                name: "by its name",
                method: "POST",
                path: "/".to_owned(),
                headers: String::new(),
                addresses: names,
                per_second: RATE,
                goes_on: false,
            },
        ]);
        thread::sleep(AROUND);
        Ok(Self { traffic, asker })
    }

    fn stop(self) -> Result<Vec<crate::traffic::Outcome>> {
        thread::sleep(AROUND);
        let outcomes = self.traffic.stop();
        self.asker.stop();
        outcomes
    }
}

/// One that ends at once, and one that comes up but is not what it says.
fn broken(site: &Site, tepui: &Path, tally: &mut Tally, key: &str) -> Result<()> {
    let backup = ["--backup-for", key];
    let (nodes, containers) = (site.nodes(), site.containers()?);
    let was = programs(site)?;
    let ends =
        twisted(site, tepui, "ends", "[ \"$1\" != node ] || { echo 'it is broken'; exit 1; }")?;
    let lies = twisted(
        site,
        tepui,
        "lies",
        "[ \"$1\" != --version ] || { echo 'tepui 9.9.9 (level 99)'; exit; }",
    )?;
    for (program, why) in [
        (&ends, "tepui does not start"),
        (&lies, "not well within 30 s (process_timeout): it says it is tepui "),
    ] {
        let began = Instant::now();
        let ended = upgrade(site, program, &backup)?;
        println!("    a build that fails is told after {:.1} s", began.elapsed().as_secs_f64());
        print!("{}", ended.indented());
        let told = ended.is(1).and_then(|ended| ended.says(why)?.says("7 of 7 nodes left"));
        tally.check(&format!("it stops at the first node: {why}"), told.map(drop));
        let now = site.nodes();
        let n_anew = (0..7).filter(|at| now[*at] != nodes[*at]).count();
        // A follower is tried first, whichever leads.
        tally.check("no other node was touched", {
            (n_anew <= 2).then_some(()).with_context(|| format!("{n_anew} were started anew"))
        });
        tally.check("the first runs its program again", {
            let held = within(PATIENCE, || site.is_whole(3, 4)).and_then(|()| programs(site));
            held.and_then(|now| {
                ensure!(now == was, "{now:?} {was:?}");
                Ok(())
            })
        });
        let same = site.containers()? == containers;
        tally.check("no task was touched", same.then_some(()).context("containers have changed"));
    }
    Ok(())
}

/// What runs on each machine, by its sum.
fn programs(site: &Site) -> Result<Vec<String>> {
    let sum = "sha256sum </proc/$(cat /run/tepui.pid)/exe";
    site.machines.iter().map(|machine| machine.shell(sum)).collect()
}

fn sum_of(program: &Path) -> Result<String> {
    let output = Command::new("sha256sum").arg(program).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(said.split(' ').next().unwrap_or_default().to_owned())
}

fn runs(site: &Site, program: &Path) -> Result<()> {
    let wanted = sum_of(program)?;
    for (machine, sum) in site.machines.iter().zip(programs(site)?) {
        ensure!(sum.starts_with(&wanted), "{}: {sum}", machine.host.name());
    }
    Ok(())
}

/// A look says who is next, and touches nothing.
fn planned(site: &Site, tally: &mut Tally, next: &Path, nodes: &[String]) -> Result<()> {
    let ended = upgrade(site, next, &["--dry-run"])?;
    print!("{}", ended.indented());
    let told = ended.is(0).and_then(|ended| {
        ended.says("the leading master, which hands over")?.says("public agents")
    });
    tally.check("a dry run says in which order", told.map(drop));
    let same = site.nodes() == nodes;
    tally.check("it touches no node", same.then_some(()).context("a node was started anew"));
    let refused =
        upgrade(site, next, &[])?.is(1).and_then(|ended| ended.says("no backup was made"));
    tally.check("without a place for a backup nothing is begun", refused.map(drop));
    Ok(())
}

/// Killed when two nodes are done; the same command does the rest.
fn interrupted(site: &Site, next: &Path, key: &str) -> Result<Duration> {
    let began = Instant::now();
    let sum = sum_of(next)?;
    let program = next.display().to_string();
    let args = ["upgrade", "--no-systemd", "--binary", &program, "--backup-for", key];
    let mut child = site.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let two = within(ALL, || {
        let kept: Value =
            serde_json::from_str(&fs::read_to_string(site.dir.join("config.state.json"))?)?;
        let hosts = kept["hosts"].as_object().into_iter().flatten();
        let n = hosts.filter(|(_, host)| host["program"] == json!(sum)).count();
        ensure!(n >= 2, "{n} are done");
        Ok(())
    });
    child.kill()?;
    child.wait()?;
    two?;
    let done = site.nodes();
    let ended = upgrade(site, next, &["--batch", "2", "--backup-for", key])?;
    print!("{}", ended.indented());
    let ended = ended.is(0)?.says("7 nodes run tepui ")?;
    ensure!(site.dir.join("before-upgrade.backup").exists(), "no backup was made");
    println!("    after a kill it went on with the rest in {:.1} s", ended.took.as_secs_f64());
    let n_again = site.nodes().iter().zip(&done).filter(|(now, before)| now == before).count();
    ensure!(n_again >= 2, "what was done was done again");
    Ok(began.elapsed())
}

/// Nothing is left; the level is told, and raised where the build can do more.
fn again(site: &Site, tally: &mut Tally, next: &Path) -> Result<()> {
    let nodes = site.nodes();
    let ended = upgrade(site, next, &["--raise-level"])?;
    print!("{}", ended.indented());
    tally.check("a second run has nothing to do", ended.is(0)?.says("0 upgraded").map(drop));
    let same = site.nodes() == nodes;
    tally.check("it touches no node", same.then_some(()).context("a node was started anew"));
    let level = site.ask("cluster show")?;
    let is_highest = level["level"] == level["known"];
    tally.check(
        "the level is raised as far as it goes",
        is_highest.then_some(()).context(level.to_string()),
    );
    Ok(())
}
