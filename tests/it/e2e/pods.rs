//! A pod from the first request to its last container.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{
    client,
    system::{PATIENCE, System, wait},
};

/// A web server and what feeds it: they share a volume and the loopback.
fn shop() -> Value {
    json!({
        "id": "/shop/pod",
        "environment": {"WORD": "hello"},
        "networks": [{"mode": "container/bridge"}],
        "volumes": [{"name": "data"}],
        "executorResources": {"cpus": 0.1},
        "containers": [
            {
                "name": "web",
                "exec": {"command": {"shell": "exec busybox httpd -f -p 8080 -h www"}},
                "resources": {"cpus": 0.05, "mem": 32},
                "endpoints": [{"name": "http", "containerPort": 8080, "hostPort": 0,
                               "protocol": ["tcp"]}],
                "volumeMounts": [{"name": "data", "mountPath": "www", "readOnly": true}],
                "healthCheck": {"http": {"endpoint": "http", "path": "/up"}, "delaySeconds": 0,
                                "intervalSeconds": 2, "timeoutSeconds": 1,
                                "gracePeriodSeconds": 10},
            },
            {
                "name": "feed",
                "exec": {"command": {"shell":
                    "echo $WORD from $MARATHON_CONTAINER_ID > out/index.html; echo ok > out/up; \
                     until busybox wget -qO- http://127.0.0.1:8080/; do sleep 0.1; done; \
                     exec sleep 1000"}},
                "resources": {"cpus": 0.05, "mem": 32},
                "volumeMounts": [{"name": "data", "mountPath": "out"}],
                "labels": {"tepui.sidecar": "true"},
            },
        ],
    })
}

fn status(system: &System) -> Value {
    system.marathon("GET", "/v2/pods/shop/pod::status", None)
}

/// The status once it is stable and no deployment runs.
fn stable(system: &System) -> Value {
    let mut last = Value::Null;
    let is_stable = || {
        last = status(system);
        let deployments = system.marathon("GET", "/v2/deployments", None);
        last["status"] == "STABLE" && deployments.as_array().is_some_and(Vec::is_empty)
    };
    wait("the pod is stable", PATIENCE, is_stable);
    last
}

fn container<'a>(status: &'a Value, name: &str) -> &'a Value {
    let containers = status["instances"][0]["containers"].as_array().expect("containers");
    containers.iter().find(|c| c["name"] == name).expect("the container")
}

fn page(status: &Value) -> String {
    let port = &container(status, "web")["endpoints"][0]["allocatedHostPort"];
    let port = u16::try_from(port.as_u64().expect("a port")).expect("a port");
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    client::send(at, None, "GET", "/", None).expect("an answer").text()
}

fn output(system: &System, args: &[&str]) -> String {
    let done = system.cli(args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{args:?}: {}", text(&done.stderr));
    text(&done.stdout)
}

#[test]
fn a_pod_is_one_place_for_several_containers_and_goes_as_a_whole() {
    let mut system = System::start();
    let made = system.send("POST", "/service/marathon/v2/pods", Some(&shop()));
    assert_eq!(made.status, 201, "{}", made.text());
    let before = stable(&system);
    assert_eq!(page(&before), "hello from feed\n", "its endpoint answers on the port of the node");
    assert_eq!(system.containers("shop_pod").len(), 3, "two, and the one that holds the network");
    assert_eq!(before["instances"][0]["resources"]["cpus"], 0.2);
    assert_eq!(container(&before, "web")["conditions"][0]["value"], "true");

    // Each container has an output and commands of its own.
    let feed = container(&before, "feed")["containerId"].as_str().expect("id").to_owned();
    assert_eq!(output(&system, &["log", &feed]), "hello from feed\n");
    assert_eq!(output(&system, &["exec", &feed, "--", "cat", "out/up"]), "ok\n");
    let shown = output(&system, &["pod", "show", "/shop/pod"]);
    assert!(shown.contains("feed (sidecar)") && shown.contains(&feed), "{shown}");
    let listed = output(&system, &["pod", "list"]);
    assert!(listed.contains("/shop/pod") && listed.contains("1/1"), "{listed}");

    // A new process takes over what runs.
    let containers = system.containers("shop_pod");
    system.kill_minus_nine();
    system.launch();
    let after = stable(&system);
    assert_eq!(after["instances"][0]["id"], before["instances"][0]["id"]);
    assert_eq!(container(&after, "feed")["containerId"], feed.as_str());
    assert_eq!(system.containers("shop_pod"), containers);
    assert_eq!(page(&after), "hello from feed\n");

    // One that is killed takes the others along, and all of them come back.
    let web = container(&after, "web")["containerId"].as_str().expect("id").to_owned();
    let killed = std::process::Command::new("docker")
        .args(["kill", &format!("tepui-{web}")])
        .output()
        .expect("docker");
    assert!(killed.status.success(), "{}", String::from_utf8_lossy(&killed.stderr));
    wait("others", PATIENCE, || {
        let now = system.containers("shop_pod");
        now.len() == 3 && now.iter().all(|id| !containers.contains(id))
    });
    let after = stable(&system);
    assert_eq!(after["instances"][0]["id"], before["instances"][0]["id"]);
    assert!(container(&after, "web")["containerId"].as_str().expect("id").ends_with(".web.2"));
    let ended = &after["terminationHistory"][0]["containers"][0];
    assert_eq!(
        (&ended["containerId"], &ended["lastKnownState"]),
        (&json!(web), &json!("TASK_FAILED"))
    );

    // Changed by the command line, from a file.
    let mut wanted = shop();
    wanted["environment"]["WORD"] = json!("good day");
    let file = system.data_dir().with_file_name("pod.json");
    std::fs::write(&file, wanted.to_string()).expect("written");
    output(&system, &["pod", "deploy", file.to_str().expect("a path")]);
    assert_eq!(page(&stable(&system)), "good day from feed\n");
    let old = system.containers("shop_pod");
    output(&system, &["pod", "restart", "/shop/pod"]);
    stable(&system);
    assert!(system.containers("shop_pod").iter().all(|id| !old.contains(id)));

    output(&system, &["pod", "remove", "/shop/pod", "--yes"]);
    wait("its containers are gone", PATIENCE, || system.containers("shop_pod").is_empty());
    assert_eq!(system.send("GET", "/service/marathon/v2/pods/shop/pod", None).status, 404);
}
