//! The leading master is killed, paused, stopped.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tepui::node::config::NodeRole as Role;

use crate::{
    Tally,
    cluster::{Cluster, PATIENCE, took},
    host::{Host, within},
    in_time,
    load::{Load, Written, quantile},
};

/// Changes that are asked for while the leader is killed again and again.
const N_CHANGES: u64 = 1_000;
const BETWEEN_KILLS: Duration = Duration::from_secs(10);
/// How long a killed master is away.
const AWAY: Duration = Duration::from_secs(3);
const PAUSED: Duration = Duration::from_secs(10);

/// A leader is killed every ten seconds during a thousand changes.
pub fn killed(cluster: &mut Cluster, tally: &mut Tally) -> Result<()> {
    let masters = cluster.of(Role::Master);
    let watchers = cluster.hosts.iter().filter(|host| host.has_engine());
    let watchers = watchers.map(Watcher::start).collect::<Result<Vec<_>>>()?;
    let load = Load::start(cluster, &masters);
    let mut gaps = Vec::new();
    let mut killed_at = Vec::new();
    while load.n_done() < N_CHANGES {
        thread::sleep(BETWEEN_KILLS - AWAY);
        let leader = within(PATIENCE, || cluster.new_leader(usize::MAX))?;
        cluster.hosts[leader].kill_node()?;
        killed_at.push(Instant::now());
        thread::sleep(AWAY);
        cluster.start_node(leader)?;
    }
    let written = load.stop()?;
    let changes: usize = written.iter().map(|one| one.changes.len()).sum();
    // From each kill until a change was taken that a master heard of after it.
    for at in &killed_at {
        let all = written.iter().flat_map(|one| &one.changes);
        let first = all.filter(|change| change.tried_at > *at).map(|change| change.done_at).min();
        gaps.push(first.context("nothing was taken after a kill")?.duration_since(*at));
    }
    println!("    {changes} changes, {} kills", killed_at.len());
    let worst = gaps.iter().max().copied().unwrap_or_default();
    in_time(
        tally,
        "half of the time a change is taken after",
        Duration::from_secs(1),
        Ok(quantile(&mut gaps, 50)),
    );
    in_time(tally, "at worst after", Duration::from_secs(2), Ok(worst));
    let mut waits: Vec<_> =
        written.iter().flat_map(|one| &one.changes).map(|c| c.done_at - c.asked_at).collect();
    println!(
        "    a change took {:?} at the median, {:?} at the 99th of a hundred",
        quantile(&mut waits, 50),
        quantile(&mut waits, 99)
    );
    tally.check("every acknowledged change is there, on every master", lost(cluster, &written));
    tally.check("as many run as were wanted last", counts(cluster, &written));
    let mut twice = Vec::new();
    let mut made = BTreeMap::new();
    for watcher in watchers {
        for (task, container) in watcher.stop()? {
            if let Some(other) = made.insert(task.clone(), container.clone())
                && other != container
            {
                twice.push(task);
            }
        }
    }
    println!("    {} tasks were started", made.len());
    tally.check("no task's id was used twice", {
        if twice.is_empty() { Ok(()) } else { Err(anyhow::anyhow!("{twice:?}")) }
    });
    Ok(())
}

/// What was acknowledged last is what each master has.
fn lost(cluster: &Cluster, written: &[Written]) -> Result<()> {
    for at in cluster.of(Role::Master) {
        within(PATIENCE, || {
            for one in written {
                let app = cluster.get(at, &format!("/service/marathon/v2/apps{}", one.app))?;
                let (app, wanted) = (&app["app"], one.generation.to_string());
                ensure!(app["labels"]["generation"] == json!(wanted), "{}: {app}", one.app);
                ensure!(app["instances"] == json!(one.instances), "{}: {app}", one.app);
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn counts(cluster: &Cluster, written: &[Written]) -> Result<()> {
    let wanted: BTreeMap<&str, usize> =
        written.iter().map(|one| (one.app.as_str(), one.instances as usize)).collect();
    within(PATIENCE, || {
        for (app, n) in &wanted {
            let running = cluster.n_containers(app)?;
            ensure!(running == *n, "{app}: {running} of {n}");
        }
        Ok(())
    })
}

/// Notes each container that an engine makes.
struct Watcher {
    child: Child,
    made: JoinHandle<Vec<(String, String)>>,
}

impl Watcher {
    fn start(host: &Host) -> Result<Self> {
        let format = "{{index .Actor.Attributes \"tepui.instance\"}} \
                      {{index .Actor.Attributes \"tepui.incarnation\"}} {{.Actor.ID}}";
        let mut child = host
            .docker_command()
            .args(["events", "--filter", "event=create", "--filter", "type=container"])
            .args(["--format", format])
            .stdout(Stdio::piped())
            .spawn()?;
        let out = BufReader::new(child.stdout.take().context("piped")?);
        let made = thread::spawn(move || {
            let words = out.lines().map_while(Result::ok);
            words
                .filter_map(|line| {
                    let (task, container) = line.rsplit_once(' ')?;
                    Some((task.to_owned(), container.to_owned()))
                })
                .collect()
        });
        Ok(Self { child, made })
    }

    /// Task (instance and incarnation) and container of each.
    fn stop(mut self) -> Result<Vec<(String, String)>> {
        self.child.kill()?;
        self.child.wait()?;
        self.made.join().map_err(|_| anyhow::anyhow!("the watcher panicked"))
    }
}

/// A leader that stands still for ten seconds and then goes on does no harm.
pub fn paused(cluster: &mut Cluster, tally: &mut Tally) -> Result<()> {
    cluster.deploy(0, &Cluster::app("/paused", 3, &json!({})))?;
    let before = cluster.containers()?;
    let masters = cluster.of(Role::Master);
    let leader = cluster.leader(masters[0])?;
    let others: Vec<usize> = masters.iter().copied().filter(|at| *at != leader).collect();
    let term = cluster.masters(others[0])?.term;
    let load = Load::start(cluster, &others);
    thread::sleep(Duration::from_secs(2));
    cluster.hosts[leader].signal_node("STOP")?;
    let n_before = load.n_done();
    in_time(
        tally,
        "changes are taken without it after",
        Duration::from_secs(2),
        took(PATIENCE, || {
            ensure!(load.n_done() > n_before, "none");
            cluster.new_leader(leader).map(drop)
        }),
    );
    thread::sleep(PAUSED);
    cluster.hosts[leader].signal_node("CONT")?;
    thread::sleep(Duration::from_secs(2));
    let written = load.stop()?;
    tally.check("every acknowledged change is there, on every master", lost(cluster, &written));
    tally.check("as many run as were wanted last", counts(cluster, &written));
    let after: BTreeSet<_> = cluster.containers()?.into_iter().collect();
    let kept = before.iter().all(|container| after.contains(container));
    tally.check("no container of before has ended", kept.then_some(()).context("one has"));
    let terms = cluster.masters(others[0])?.term - term;
    println!("    {terms} elections");
    tally.check("one election", (terms == 1).then_some(()).context(format!("{terms} elections")));
    Ok(())
}

/// A leader that is stopped hands over first.
pub fn stopped(cluster: &mut Cluster, tally: &mut Tally) -> Result<()> {
    let masters = cluster.of(Role::Master);
    let leader = cluster.leader(masters[0])?;
    let others: Vec<usize> = masters.iter().copied().filter(|at| *at != leader).collect();
    let load = Load::start(cluster, &others);
    thread::sleep(Duration::from_secs(3));
    let stopped_at = Instant::now();
    cluster.hosts[leader].stop_node()?;
    thread::sleep(Duration::from_secs(3));
    let written = load.stop()?;
    // The longest time without an acknowledgement of those that waited for the hand-over.
    let all = written.iter().flat_map(|one| &one.changes);
    let waited = all.filter(|change| change.done_at > stopped_at);
    let longest = waited.map(|change| change.done_at - change.asked_at).max().unwrap_or_default();
    in_time(tally, "the slowest change meanwhile took", Duration::from_secs(1), Ok(longest));
    tally.check("every acknowledged change is there", {
        cluster.start_node(leader)?;
        within(PATIENCE, || cluster.whole()).and_then(|()| lost(cluster, &written))
    });
    Ok(())
}
