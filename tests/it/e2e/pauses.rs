//! Time that goes wrong: a process that stands still, an agent that is away, a leader that has been
//! there for long. Healthy containers are none the worse for any of it.

use std::{thread::sleep, time::Duration};

use serde_json::json;

use super::{
    nodes::{Agent, node},
    system::{PATIENCE, System, wait},
};

/// Within this time after a misfortune has ended, everything is as wanted again.
const SETTLED: Duration = Duration::from_secs(10);

fn stand_still(pause: Duration) {
    let system = System::start();
    let app = json!({"id": "/calm", "cmd": "sleep 1000", "cpus": 0.05, "mem": 32, "instances": 2});
    system.marathon("POST", "/v2/apps", Some(&app));
    system.wait_running("/calm", 2);
    let before = system.containers("calm");
    system.signal("STOP");
    sleep(pause);
    system.signal("CONT");
    sleep(SETTLED);
    assert_eq!(system.containers("calm"), before, "stopped for {pause:?}: {}", system.stderr());
    system.wait_running("/calm", 2);
    let nodes = system.get("/tepui/v1/nodes").json();
    assert_eq!(nodes["nodes"][0]["condition"], "active", "{nodes:#}");
}

#[test]
fn a_process_stopped_for_seven_seconds_keeps_its_tasks() {
    stand_still(Duration::from_secs(7));
}

#[test]
fn a_process_stopped_for_twenty_seconds_keeps_its_tasks() {
    stand_still(Duration::from_secs(20));
}

#[test]
fn an_agent_joins_an_old_leader_and_keeps_its_tasks_while_it_is_away() {
    let system = System::start();
    // Longer than any node may be silent.
    sleep(Duration::from_secs(7));
    let mut agent = Agent::join(&system, "late");
    wait("the agent is a node", PATIENCE, || node(&system, "late").is_some());
    let app = json!({"id": "/there", "cmd": "sleep 1000", "cpus": 0.05, "mem": 32,
                     "constraints": [["hostname", "LIKE", "late"]]});
    system.marathon("POST", "/v2/apps", Some(&app));
    system.wait_running("/there", 1);
    let before = system.containers("there");
    assert_eq!(before.len(), 1);
    for away_s in [1, 4, 10] {
        agent.kill();
        sleep(Duration::from_secs(away_s));
        agent.start();
        sleep(SETTLED);
        let log = agent.log();
        assert_eq!(system.containers("there"), before, "away for {away_s} s: {log}");
        let node = node(&system, "late").expect("still known");
        assert_eq!(node["condition"], "active", "away for {away_s} s: {node:#}");
        assert_eq!(system.app("/there")["tasksRunning"], 1, "away for {away_s} s");
    }
}
