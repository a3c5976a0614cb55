//! A number of instances no node has room for: everybody else's changes go on, and so does a start.

use std::time::{Duration, Instant};

use serde_json::json;

use super::system::{System, wait};

/// How long any change of somebody else may take meanwhile.
const WRITE_MAX: Duration = Duration::from_secs(1);
/// How long a start may take in the middle of it.
const START_MAX: Duration = Duration::from_secs(3);

/// The slowest of some changes of another app.
fn slowest_write(system: &System, n: u32) -> Duration {
    let write = |i: u32| {
        let body = json!({"cmd": "sleep 1", "instances": 0, "labels": {"n": i.to_string()}});
        let began = Instant::now();
        let path = "/service/marathon/v2/apps/other?force=true";
        let answer = system.send("PUT", path, Some(&body));
        assert!(answer.status < 300, "{}", answer.text());
        began.elapsed()
    };
    (0..n).map(write).max().unwrap_or_default()
}

#[test]
fn a_hundred_thousand_instances_and_back_harm_nobody() {
    let mut system = System::start();
    let web = "/v2/apps//scale/web?force=true";
    let app = json!({"id": "/scale/web", "cmd": "sleep 1000", "cpus": 0.4, "mem": 16});
    system.marathon("POST", "/v2/apps", Some(&app));
    system.wait_running("/scale/web", 1);

    system.marathon("PUT", web, Some(&json!({"instances": 100_000})));
    let up = slowest_write(&system, 60);
    let queue = system.marathon("GET", "/v2/queue", None);
    let waiting = queue["queue"][0]["count"].as_u64().unwrap_or(0);
    assert!(waiting > 90_000, "the queue tells all of them: {queue}");
    system.kill_minus_nine();
    system.launch();
    let start = system.started_in;

    system.marathon("PUT", web, Some(&json!({"instances": 2})));
    let down = slowest_write(&system, 20);
    wait("two instances and no deployment", Duration::from_secs(60), || {
        let app = system.app("/scale/web");
        app["tasksRunning"] == 2 && app["deployments"].as_array().is_some_and(Vec::is_empty)
    });
    println!("slowest write {up:?} on the way up, {down:?} down; started again in {start:?}");
    assert!(up < WRITE_MAX && down < WRITE_MAX, "{up:?} {down:?}");
    assert!(start < START_MAX, "{start:?}");
    let refused = system.send(
        "PUT",
        &format!("/service/marathon{web}"),
        Some(&json!({"instances": 100_001})),
    );
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("max_instances_per_app"), "{}", refused.text());
}
