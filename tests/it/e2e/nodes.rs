//! Nodes that are processes of their own: joining, working, being lost, coming back.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::system::{PATIENCE, System, TEPUI, wait};

/// An agent process with its own directory, joined by a token.
pub struct Agent {
    pub dir: tempfile::TempDir,
    pub child: Child,
}

impl Agent {
    pub fn join(system: &System, name: &str) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let invite = system.send("POST", "/tepui/v1/nodes/invite", Some(&json!({})));
        assert_eq!(invite.status, 200, "{}", invite.text());
        let invite = invite.json();
        let settings = json!({
            "roles": ["agent"],
            "hostname": name,
            "address": "127.0.0.1",
            "data_dir": dir.path().join("data"),
            "masters": [invite["master"]],
            "join_token": invite["token"],
            "ports": "33000-33999",
            "attributes": {"name": name},
        });
        let file = dir.path().join("node.yaml");
        fs::write(&file, settings.to_string()).expect("written");
        let child = Self::spawn(&dir);
        Self { dir, child }
    }

    pub fn spawn(dir: &tempfile::TempDir) -> Child {
        Command::new(TEPUI)
            .args(["node", "--config"])
            .arg(dir.path().join("node.yaml"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("stderr")).expect("log"))
            .spawn()
            .expect("the program starts")
    }

    /// Starts the process again, in the same directory.
    pub fn start(&mut self) {
        self.child = Self::spawn(&self.dir);
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("stderr of the agent: {}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn node(system: &System, hostname: &str) -> Option<Value> {
    let nodes = system.get("/tepui/v1/nodes").json();
    let nodes = nodes["nodes"].as_array().expect("nodes").clone();
    nodes.into_iter().find(|n| n["host"] == hostname)
}

#[test]
fn an_agent_joins_by_token_runs_tasks_and_is_replaced_when_lost() {
    let system = System::start();
    let mut agent = Agent::join(&system, "second");
    wait("the agent is a node", PATIENCE, || node(&system, "second").is_some());

    let app = json!({"id": "/there", "cmd": "sleep 1000", "cpus": 0.05, "mem": 32,
                     "constraints": [["hostname", "LIKE", "second"]]});
    system.marathon("POST", "/v2/apps", Some(&app));
    let app = system.wait_running("/there", 1);
    assert_eq!(app["tasks"][0]["host"], "second");
    let task = app["tasks"][0]["id"].clone();

    // The same process again: same node, same task.
    agent.kill();
    agent.child = Agent::spawn(&agent.dir);
    wait("it is heard again", PATIENCE, || agent.log().contains("registered"));
    assert_eq!(system.wait_running("/there", 1)["tasks"][0]["id"], task);

    // A free app moves off a node that is lost for good.
    let app = json!({"id": "/free", "cmd": "sleep 1000", "cpus": 0.05, "mem": 32, "instances": 4});
    system.marathon("POST", "/v2/apps", Some(&app));
    system.wait_running("/free", 4);
    agent.kill();
    // Those on the lost node are listed as such until they are forgotten, and count for nothing.
    let on_first = |app: &Value| {
        let tasks = app["tasks"].as_array().expect("tasks");
        let running: Vec<_> = tasks.iter().filter(|t| t["state"] == "TASK_RUNNING").collect();
        running.len() == 4 && running.iter().all(|t| t["host"] == "127.0.0.1")
    };
    // Two seconds until the node counts as lost, ten until its tasks are replaced.
    let took =
        wait("its tasks run elsewhere", Duration::from_secs(20), || on_first(&system.app("/free")));
    eprintln!("replaced on another node in {took:?}");
}

#[test]
fn a_used_or_invented_token_lets_nobody_in() {
    let system = System::start();
    let agent = Agent::join(&system, "first-user");
    wait("the agent is a node", PATIENCE, || node(&system, "first-user").is_some());
    let settings = fs::read_to_string(agent.dir.path().join("node.yaml")).expect("settings");
    let mut settings: Value = serde_json::from_str(&settings).expect("settings");
    let dir = tempfile::tempdir().expect("directory");
    settings["data_dir"] = json!(dir.path().join("data"));
    let file = dir.path().join("node.yaml");
    fs::write(&file, settings.to_string()).expect("written");
    let out = Command::new(TEPUI).args(["node", "--config"]).arg(&file).output().expect("runs");
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(text.contains("used already"), "{text}");
}

#[test]
fn a_drain_replaces_first_and_ends_by_its_deadline() {
    let system = System::start();
    let (_a1, _a2) = (Agent::join(&system, "a1"), Agent::join(&system, "a2"));
    wait("both are nodes", PATIENCE, || {
        ["a1", "a2"].iter().all(|name| node(&system, name).is_some())
    });
    // Two that are healthy only a while after their start.
    let app = json!({"id": "/two", "cmd": "sleep 2; touch ok; sleep 1000", "instances": 2,
                     "cpus": 0.05, "mem": 32, "constraints": [["hostname", "LIKE", "a1|a2"]],
                     "healthChecks": [{"protocol": "COMMAND", "command": {"value": "test -e ok"},
                                       "intervalSeconds": 1, "gracePeriodSeconds": 60}]});
    system.marathon("POST", "/v2/apps", Some(&app));
    let app = system.wait_running("/two", 2);
    let from = app["tasks"][0]["host"].as_str().expect("host").to_owned();
    let out = system.cli(&["node", "drain", &from, "--no-wait"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut least = u64::MAX;
    let took = wait("the node is drained", PATIENCE, || {
        least = least.min(system.app("/two")["tasksHealthy"].as_u64().unwrap_or(0));
        node(&system, &from).is_some_and(|n| n["condition"] == "drained")
    });
    println!("drained in {took:?}, never fewer than {least} healthy");
    assert_eq!(least, 2, "replaced before it is ended");
    let app = system.wait_running("/two", 2);
    let tasks = app["tasks"].as_array().expect("tasks");
    assert!(tasks.iter().all(|t| t["host"] != from.as_str()), "{app:#}");

    // With no room elsewhere nothing ends, it is said why, and time is up.
    let to = if from == "a1" { "a2" } else { "a1" };
    let before: Vec<Value> = tasks.iter().map(|t| t["id"].clone()).collect();
    system.cli(&["node", "drain", to, "--no-wait", "--deadline", "6s"]);
    wait("it says what is missing", PATIENCE, || {
        let shown = system.get(&format!("/tepui/v1/nodes/{to}")).json();
        shown["drain"]["waits"][0]["reason"].as_str().is_some_and(|r| r.contains("no place"))
    });
    wait("the drain is over", PATIENCE, || {
        node(&system, to).is_some_and(|n| n["condition"] == "deactivated")
    });
    let app = system.wait_running("/two", 2);
    let mut after: Vec<Value> =
        app["tasks"].as_array().expect("tasks").iter().map(|t| t["id"].clone()).collect();
    after.sort_by_key(ToString::to_string);
    let mut before = before;
    before.sort_by_key(ToString::to_string);
    assert_eq!(before, after, "the same tasks as before");
    system.cli(&["node", "undrain", to]);
    assert_eq!(node(&system, to).expect("node")["condition"], "active");
}
