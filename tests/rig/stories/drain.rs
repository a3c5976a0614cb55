//! A node is drained under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tepui::node::config::NodeRole as Role;

use crate::{
    Tally,
    cluster::{Cluster, PATIENCE},
    host::within,
    in_time,
    traffic::{Addresses, Asker, NAME_GOOD, Traffic, Way, none_failed},
};

const N: u32 = 6;
const DEADLINE: Duration = Duration::from_secs(60);
/// Of the drain that cannot empty its node, and how late its end may be told.
const SHORT: Duration = Duration::from_secs(8);
const LATE: Duration = Duration::from_secs(2);
/// Before and after what is looked at.
const AROUND: Duration = Duration::from_secs(3);

/// Services with instances on a node that is drained, first with room elsewhere and then without, answer
/// every request, by the masters' front door and by their names.
pub fn with_load(cluster: &mut Cluster, tally: &mut Tally) -> Result<()> {
    roomy(cluster, tally)?;
    tight(cluster, tally)
}

/// One with room elsewhere. `plain` ends at once on SIGTERM, as most do, and is asked by the front door;
/// `named` is asked by its name, so that it goes on for as long as its name may be known.
fn roomy(cluster: &Cluster, tally: &mut Tally) -> Result<()> {
    let spread = json!([["hostname", "GROUP_BY"]]);
    cluster.deploy(0, &service("plain", N, &spread, None)?)?;
    cluster.deploy(0, &service("named", N, &spread, Some(NAME_GOOD + Duration::from_secs(1)))?)?;
    let apps = ["plain", "named"];
    within(PATIENCE, || healthy_on_every_master(cluster, &apps, N))?;
    let drained = cluster.of(Role::Agent)[0];
    let host = cluster.hosts[drained].name();
    let (names, asker) = named(cluster, "named")?;
    let least = Least::watch(cluster, &apps)?;
    let traffic = Traffic::start(vec![
        door(cluster, "front door", "GET", "plain", 200),
        door(cluster, "front door, POST", "POST", "named", 100),
        by_name(names, 200),
    ]);
    thread::sleep(AROUND);
    let began = Instant::now();
    drain(cluster, &host, json!({"deadline_s": DEADLINE.as_secs()}))?;
    let ended = within(2 * DEADLINE, || condition(cluster, &host, "drained"));
    let ended = ended.map(|()| began.elapsed());
    thread::sleep(AROUND + NAME_GOOD);
    let outcomes = traffic.stop()?;
    asker.stop();
    in_time(tally, "the node is drained after", DEADLINE, ended);
    none_failed(tally, "while a node is drained", &outcomes);
    tally.check("never fewer run healthily than are wanted", {
        let least = least.stop();
        println!("    never fewer than {least:?} of {N} were healthy");
        ensure_all(&least, u64::from(N))
    });
    drain(cluster, &host, json!({"cancel": true}))?;
    for app in apps {
        cluster.ask(0, "DELETE", &format!("/service/marathon/v2/apps/drain/{app}"), None)?;
    }
    within(PATIENCE, || {
        let left = cluster.containers()?.len();
        ensure!(left == 0, "{left} containers are left");
        Ok(())
    })
}

/// One whose instances find no place elsewhere.
fn tight(cluster: &Cluster, tally: &mut Tally) -> Result<()> {
    let agents = cluster.of(Role::Agent);
    let n = u32::try_from(agents.len())?;
    within(PATIENCE, || condition(cluster, &cluster.hosts[agents[0]].name(), "active"))?;
    cluster.deploy(0, &service("tight", n, &json!([["hostname", "UNIQUE"]]), None)?)?;
    within(PATIENCE, || healthy_on_every_master(cluster, &["tight"], n))?;
    let host = cluster.hosts[agents[0]].name();
    let before = cluster.containers()?;
    let (names, asker) = named(cluster, "tight")?;
    let traffic =
        Traffic::start(vec![door(cluster, "front door", "GET", "tight", 300), by_name(names, 200)]);
    thread::sleep(AROUND);
    let began = Instant::now();
    let deadline = format!("{}s", SHORT.as_secs());
    let (said, waits) = thread::scope(|scope| {
        let said = scope.spawn(|| {
            let said = cluster.cli(0, &["node", "drain", &host, "--deadline", &deadline]);
            (said, began.elapsed())
        });
        let waits = within(SHORT, || waits_for(cluster, &host));
        (said.join(), waits)
    });
    let (said, ended) = said.map_err(|_| anyhow::anyhow!("the command panicked"))?;
    let said = said?;
    thread::sleep(AROUND);
    let outcomes = traffic.stop()?;
    asker.stop();
    tally.check("while it drains it is told what is missing", waits);
    in_time(tally, "a drain without room ends after", SHORT + LATE, Ok(ended));
    tally.check("not before its deadline", {
        (ended >= SHORT).then_some(()).with_context(|| format!("{ended:?}"))
    });
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    println!("    the command says: {}", text.trim().replace('\n', " / "));
    tally.check("the command says so and fails", {
        let is_told = !said.status.success() && text.contains("the drain met its deadline");
        is_told.then_some(()).context(text)
    });
    let node = cluster.get(0, &format!("/tepui/v1/nodes/{host}"))?;
    let sentence = node["verdict"]["sentence"].as_str().unwrap_or_default().to_owned();
    println!("    its row says: {} – {sentence}", node["condition"]);
    tally.check("so does the node's row", {
        let is_told =
            node["condition"] == "deactivated" && sentence.contains("before it was empty");
        is_told.then_some(()).context(sentence)
    });
    none_failed(tally, "while a drain finds no room", &outcomes);
    tally.check("nothing was ended", {
        (cluster.containers()? == before).then_some(()).context("containers have changed")
    });
    drain(cluster, &host, json!({"cancel": true}))?;
    Ok(())
}

/// A service `/drain/NAME`; with `goes_on` its servers go on for so long when they are told to end.
fn service(name: &str, n: u32, constraints: &Value, goes_on: Option<Duration>) -> Result<Value> {
    let program = std::env::current_exe()?;
    let seconds = goes_on.map(|time| time.as_secs().to_string()).unwrap_or_default();
    let check = json!({
        "protocol": "HTTP", "path": "/", "intervalSeconds": 1, "delaySeconds": 0,
        "gracePeriodSeconds": 10, "timeoutSeconds": 5, "maxConsecutiveFailures": 3,
    });
    let more = json!({
        "cmd": format!("exec {} serve $PORT0 {seconds}", program.display()),
        "constraints": constraints,
        "healthChecks": [check],
        "portDefinitions": [{"port": 0, "name": "http"}],
        "labels": {
            "DCOS_SERVICE_NAME": format!("drain-{name}"),
            "DCOS_SERVICE_SCHEME": "http",
            "DCOS_SERVICE_PORT_INDEX": "0",
        },
        "taskKillGracePeriodSeconds": 15,
    });
    Ok(Cluster::app(&format!("/drain/{name}"), n, &more))
}

/// By the front doors of all masters in turn.
fn door(cluster: &Cluster, name: &'static str, method: &'static str, app: &str, rate: u64) -> Way {
    let masters = cluster.of(Role::Master);
    let routers = masters.into_iter().map(|at| cluster.hosts[at].router()).collect();
    Way {
        name,
        method,
        path: format!("/service/drain-{app}/"),
        headers: format!("Authorization: token={}\r\n", cluster.token),
        addresses: Addresses::new(routers),
        per_second: rate,
        goes_on: false,
    }
}

fn by_name(addresses: Addresses, rate: u64) -> Way {
    let (path, headers) = ("/".to_owned(), String::new());
    let (name, goes_on) = ("by its name", false);
    Way { name, method: "GET", path, headers, addresses, per_second: rate, goes_on }
}

fn named(cluster: &Cluster, app: &str) -> Result<(Addresses, Asker)> {
    let name = format!("_{app}.drain._tcp.marathon.mesos.");
    Asker::start(vec![cluster.question(0)?], &name, PATIENCE)
}

/// The fewest healthy instances of services, as the leader counts.
struct Least {
    stop: Arc<AtomicBool>,
    least: Arc<Vec<AtomicU64>>,
    thread: thread::JoinHandle<()>,
}

impl Least {
    fn watch(cluster: &Cluster, apps: &[&str]) -> Result<Self> {
        let router = cluster.hosts[cluster.leader(0)?].router();
        let (token, apps) = (cluster.token.clone(), apps.iter().map(|&app| app.to_owned()));
        let apps: Vec<String> = apps.collect();
        let least: Arc<Vec<_>> = Arc::new(apps.iter().map(|_| AtomicU64::new(u64::MAX)).collect());
        let stop = Arc::new(AtomicBool::new(false));
        let (told, found) = (stop.clone(), least.clone());
        let thread = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                for (app, least) in apps.iter().zip(found.iter()) {
                    let path = format!("/service/marathon/v2/apps/drain/{app}");
                    let Ok(answer) = crate::client::send(router, Some(&token), "GET", &path, None)
                    else {
                        continue;
                    };
                    let n = answer.json()["app"]["tasksHealthy"].as_u64().unwrap_or(0);
                    least.fetch_min(n, Ordering::Relaxed);
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        Ok(Self { stop, least, thread })
    }

    fn stop(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        // One that panicked has looked at nothing since; what it saw is told all the same.
        let _ = self.thread.join();
        self.least.iter().map(|least| least.load(Ordering::Relaxed)).collect()
    }
}

fn ensure_all(least: &[u64], wanted: u64) -> Result<()> {
    ensure!(least.iter().all(|n| (wanted..u64::MAX).contains(n)), "{least:?} of {wanted}");
    Ok(())
}

fn drain(cluster: &Cluster, host: &str, asked: Value) -> Result<()> {
    let path = format!("/tepui/v1/nodes/{host}/drain");
    cluster.ask(0, "POST", &path, Some(&asked)).map(drop)
}

fn condition(cluster: &Cluster, host: &str, wanted: &str) -> Result<()> {
    let nodes = cluster.nodes(0)?;
    ensure!(nodes[host]["condition"] == wanted, "{}", nodes[host]["condition"]);
    Ok(())
}

/// That a draining node and the app on it say what is missing.
fn waits_for(cluster: &Cluster, host: &str) -> Result<()> {
    let node = cluster.get(0, &format!("/tepui/v1/nodes/{host}"))?;
    let reason = node["drain"]["waits"][0]["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("no place elsewhere"), "{}", node["drain"]);
    // What was tried is in the memory of the leader.
    let why = cluster.cli(cluster.leader(0)?, &["why", "/drain/tight"])?;
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    ensure!(why.contains("UNIQUE"), "{why}");
    println!("    meanwhile: {reason}; why: {}", why.lines().next().unwrap_or_default());
    Ok(())
}

fn healthy_on_every_master(cluster: &Cluster, apps: &[&str], n: u32) -> Result<()> {
    for at in cluster.of(Role::Master) {
        for app in apps {
            let told = cluster.get(at, &format!("/service/marathon/v2/apps/drain/{app}"))?;
            ensure!(told["app"]["tasksHealthy"] == json!(n), "{app}: not all are healthy");
        }
    }
    Ok(())
}
