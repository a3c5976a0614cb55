//! Two agents, and one that wants to be the other: refused with the reason, noted, harmless.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};
use tepui::{
    base::clock::{Clock as _, SystemClock},
    host::pki::{
        Authority, Identity,
        node::{Asked, Named, Request, draw_serial},
    },
    node::member,
};

use super::{
    nodes::{Agent, node},
    system::{PATIENCE, System, wait},
};

/// Two agents; on the first runs `/there`, whose task is told.
fn two(system: &System) -> (Agent, Agent, Value) {
    let (a1, a2) = (Agent::join(system, "a1"), Agent::join(system, "a2"));
    wait("both are nodes", PATIENCE, || {
        ["a1", "a2"].iter().all(|name| node(system, name).is_some())
    });
    let app = json!({"id": "/there", "cmd": "sleep 1000", "cpus": 0.05, "mem": 32,
                     "constraints": [["hostname", "LIKE", "a1"]]});
    system.marathon("POST", "/v2/apps", Some(&app));
    let task = system.wait_running("/there", 1)["tasks"][0]["id"].clone();
    (a1, a2, task)
}

/// The first agent is what it was.
fn undisturbed(system: &System, task: &Value, registrations: usize, a1: &Agent) {
    assert_eq!(system.wait_running("/there", 1)["tasks"][0]["id"], *task);
    assert_eq!(node(system, "a1").expect("a1")["condition"], "active");
    assert_eq!(a1.log().matches("registered with").count(), registrations, "{}", a1.log());
}

fn pki(agent: &Agent) -> std::path::PathBuf {
    agent.dir.path().join("data/pki")
}

fn put(identity: &Identity, dir: &Path) {
    identity.save(dir).expect("saved");
}

#[test]
fn an_id_cannot_be_taken_by_a_file_or_by_a_certificate_of_another_cluster() {
    let system = System::start();
    let (a1, mut a2, task) = two(&system);
    let id = |name| node(&system, name).expect("node")["id"].as_str().expect("id").to_owned();
    let (id1, id2) = (id("a1"), id("a2"));

    // The file that once named a node.
    a2.kill();
    fs::write(a2.dir.path().join("data/agent/node-id"), &id1).expect("written");
    a2.child = Agent::spawn(&a2.dir);
    wait("a2 is back", PATIENCE, || a2.log().contains("registered with"));
    assert_eq!(id("a2"), id2, "it is who its certificate says");
    undisturbed(&system, &task, 1, &a1);

    // A certificate with the id of the first, by an authority of its own.
    a2.kill();
    let foreign = Authority::create("foreign", SystemClock.now()).expect("authority");
    let ours = a1.log();
    let key = Request::new().expect("key");
    let asked = Asked::read(&key.to_der().expect("request")).expect("request");
    let serial = draw_serial(&mut tepui::base::rng::Rng::from_os());
    let cluster = system.cluster();
    let named =
        Named { cluster: &cluster, node: &id1.as_str().into(), serial: &serial, host: "a2" };
    let signed = foreign.sign(&asked, &named, SystemClock.now()).expect("signed");
    let authority = fs::read(pki(&a2).join("ca.crt")).expect("authority");
    let kept = Identity::load(&pki(&a2)).expect("identity");
    let identity = key.complete(signed, kept.authority_der().to_vec()).expect("identity");
    put(&identity, &pki(&a2));
    assert_eq!(fs::read(pki(&a2).join("ca.crt")).expect("authority"), authority);
    a2.child = Agent::spawn(&a2.dir);
    wait("a2 is told why", PATIENCE, || a2.log().contains("another cluster's"));
    wait("it is noted", PATIENCE, || {
        system.stderr().lines().any(|l| l.contains("audit") && l.contains("peer refused"))
    });
    undisturbed(&system, &task, ours.matches("registered with").count(), &a1);
}

#[test]
fn an_old_certificate_is_refused_once_the_new_one_is_used() {
    let system = System::start();
    let (mut a1, mut a2, task) = two(&system);
    let settings = fs::read_to_string(a1.dir.path().join("node.yaml")).expect("settings");
    let settings: Value = serde_json::from_str(&settings).expect("settings");
    let master = settings["masters"][0].as_str().expect("master").to_owned();
    let old = Identity::load(&pki(&a1)).expect("identity");
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let new = runtime.block_on(member::renew(&master, &old, "a1")).expect("renewed");

    // The first goes on with the renewed one: same node, same task.
    a1.kill();
    put(&new, &pki(&a1));
    a1.child = Agent::spawn(&a1.dir);
    wait("a1 is back", PATIENCE, || a1.log().contains("registered with"));
    undisturbed(&system, &task, 1, &a1);

    // Somebody has the old one.
    a2.kill();
    put(&old, &pki(&a2));
    a2.child = Agent::spawn(&a2.dir);
    wait("a2 is told why", PATIENCE, || a2.log().contains("replaced by a newer one"));
    let noted = |l: &str| l.contains("audit") && l.contains("replaced by a newer one");
    wait("it is noted", PATIENCE, || system.stderr().lines().any(noted));
    std::thread::sleep(Duration::from_secs(3));
    undisturbed(&system, &task, 1, &a1);
}

#[test]
fn a_node_is_removed_when_nothing_runs_there_and_stays_away() {
    let system = System::start();
    let (mut a1, a2, _) = two(&system);
    let refused = system.cli(&["node", "remove", "a1", "--yes"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("holds 1 instance"), "{text}");
    assert!(text.contains("drain"), "it says what to do: {text}");

    system.marathon("DELETE", "/v2/apps//there", None);
    wait("nothing runs there", PATIENCE, || {
        node(&system, "a1").is_some_and(|n| n["instances"] == 0)
    });
    let removed = system.cli(&["node", "remove", "a1", "--yes"]);
    assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    assert!(node(&system, "a1").is_none());
    wait("a1 is told", PATIENCE, || a1.log().contains("was removed from the cluster"));
    a1.kill();
    a1.child = Agent::spawn(&a1.dir);
    wait("it is told again", PATIENCE, || a1.log().contains("was removed from the cluster"));
    let noted = |l: &str| l.contains("audit") && l.contains("agent refused");
    wait("it is noted", PATIENCE, || system.stderr().lines().any(noted));
    assert!(node(&system, "a1").is_none(), "it is not a node again");
    assert_eq!(node(&system, "a2").expect("a2")["condition"], "active");
    assert_eq!(a2.log().matches("registered with").count(), 1, "the other saw nothing of it");
}
