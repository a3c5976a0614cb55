//! An app with data, on real containers: what it wrote is there for as long as somebody wants it.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use super::system::{PATIENCE, System, wait};

/// Each launch adds a line to what its instance keeps, and tells in its output how many there are.
fn database(instances: u32, release: u32) -> Value {
    json!({
        "id": "/shop/db",
        "cmd": format!("echo {release} >> data/lines; wc -l < data/lines; sleep 10000"),
        "cpus": 0.05,
        "mem": 32,
        "instances": instances,
        "container": {"type": "MESOS", "volumes": [
            {"containerPath": "data", "mode": "RW", "persistent": {"size": 16}}]},
        "backoffSeconds": 1,
    })
}

/// What is on the disk, by instance.
fn kept(system: &System) -> Vec<(String, String)> {
    let entries = fs::read_dir(volumes(system)).into_iter().flatten().flatten();
    let mut all: Vec<(String, String)> = entries
        .filter_map(|entry| {
            let lines = fs::read_to_string(entry.path().join("data/lines")).ok()?;
            Some((entry.file_name().into_string().ok()?, lines.replace('\n', "")))
        })
        .collect();
    all.sort();
    all
}

fn volumes(system: &System) -> PathBuf {
    let mut dirs = vec![system.data_dir()];
    while let Some(dir) = dirs.pop() {
        if dir.join("volumes").is_dir() {
            return dir.join("volumes");
        }
        dirs.extend(fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()));
    }
    system.data_dir().join("volumes")
}

fn wait_kept(system: &System, what: &str, lines: &[&str]) {
    wait(what, PATIENCE, || {
        let mut now: Vec<String> = kept(system).into_iter().map(|(_, lines)| lines).collect();
        now.sort();
        now == lines
    });
}

fn states(system: &System) -> Vec<String> {
    let answer = system.get("/tepui/v1/volumes").json();
    let volumes = answer["volumes"].as_array().expect("volumes");
    let mut all: Vec<String> =
        volumes.iter().map(|v| v["state"].as_str().expect("a state").to_owned()).collect();
    all.sort();
    all
}

#[test]
fn data_stay_through_everything_but_their_removal() {
    let mut system = System::start();
    system.marathon("POST", "/v2/apps", Some(&database(1, 1)));
    system.wait_running("/shop/db", 1);
    wait_kept(&system, "the first line", &["1"]);
    let instance = kept(&system)[0].0.clone();
    let task = |system: &System| system.app("/shop/db")["tasks"][0].clone();
    let uuid = instance.rsplit_once(".instance-").expect("an instance id").1.to_owned();
    let persistence = json!(format!("shop_db#data#{uuid}"));
    assert_eq!(task(&system)["localVolumes"][0]["persistenceId"], persistence);

    // Killed, upgraded, restarted: the same instance goes on with the same data.
    system.marathon("DELETE", "/v2/apps//shop/db/tasks", None);
    wait_kept(&system, "a second launch", &["11"]);
    system.wait_running("/shop/db", 1);
    system.marathon("PUT", "/v2/apps//shop/db", Some(&database(1, 2)));
    wait_kept(&system, "an upgrade", &["112"]);
    system.wait_app("/shop/db", "deployed", |app| app["deployments"] == json!([]));
    system.marathon("POST", "/v2/apps//shop/db/restart", None);
    wait_kept(&system, "a restart", &["1122"]);
    system.wait_app("/shop/db", "deployed", |app| app["deployments"] == json!([]));
    // The whole node goes and comes back, while its task goes on; then the next launch.
    system.kill_minus_nine();
    system.launch();
    system.wait_running("/shop/db", 1);
    system.marathon("DELETE", "/v2/apps//shop/db/tasks", None);
    wait_kept(&system, "a launch after the agent's end", &["11222"]);
    assert_eq!(kept(&system)[0].0, instance);

    // Scaled down and up.
    system.wait_running("/shop/db", 1);
    system.marathon("PUT", "/v2/apps//shop/db", Some(&json!({"instances": 0})));
    wait("no task", PATIENCE, || system.app("/shop/db")["tasks"] == json!([]));
    wait("the volume is kept", PATIENCE, || states(&system) == ["kept"]);
    system.wait_app("/shop/db", "deployed", |app| app["deployments"] == json!([]));
    system.marathon("PUT", "/v2/apps//shop/db", Some(&json!({"instances": 2})));
    wait_kept(&system, "the kept one and a new one", &["112222", "2"]);
    system.wait_running("/shop/db", 2);
    assert_eq!(states(&system), ["in_use", "in_use"]);

    // Wiped: the data go and another instance begins with nothing.
    let id = format!("/v2/apps//shop/db/tasks/{instance}?wipe=true");
    system.marathon("DELETE", &id, None);
    wait_kept(&system, "a new beginning", &["2", "2"]);
    assert!(kept(&system).iter().all(|(of, _)| *of != instance));
    system.wait_running("/shop/db", 2);

    // One that was scaled away is removed by itself, the rest with the app.
    system.marathon("PUT", "/v2/apps//shop/db", Some(&json!({"instances": 1})));
    wait("one is kept", PATIENCE, || states(&system) == ["in_use", "kept"]);
    system.wait_app("/shop/db", "deployed", |app| app["deployments"] == json!([]));
    let rows = system.get("/tepui/v1/volumes").json()["volumes"].clone();
    let is_kept = |row: &&Value| row["state"] == "kept";
    let row = rows.as_array().expect("rows").iter().find(is_kept).expect("a kept one").clone();
    let removed = system.cli(&["volume", "remove", row["id"].as_str().expect("id"), "--yes"]);
    assert!(removed.status.success(), "{removed:?}");
    wait("it is wiped", PATIENCE, || kept(&system).len() == 1 && states(&system) == ["in_use"]);
    system.marathon("DELETE", "/v2/apps//shop/db", None);
    wait("all data are gone", PATIENCE, || {
        let left = fs::read_dir(volumes(&system)).into_iter().flatten().count();
        left == 0 && states(&system).is_empty()
    });
}
