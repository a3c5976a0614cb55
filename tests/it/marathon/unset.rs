//! Keys that nobody set stay out of answers. Strict clients of those days know no newer ones: one
//! app with a key they cannot place, and they read none of the list.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{cluster::Cluster, counts::ask};

/// Keys younger than those clients.
const YOUNG: [&str; 6] =
    ["executorResources", "resourceLimits", "tty", "check", "linuxInfo", "networkNames"];

/// Every key at any depth, and where a null stands.
fn keys(value: &Value, found: &mut BTreeSet<String>, nulls: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, inner)| {
            found.insert(key.clone());
            if inner.is_null() {
                nulls.push(key.clone());
            }
            keys(inner, found, nulls);
        }),
        Value::Array(items) => items.iter().for_each(|item| keys(item, found, nulls)),
        _ => {}
    }
}

#[tokio::test]
async fn keys_that_are_not_set_stay_out_of_every_answer() {
    let cluster = Cluster::new(2);
    let dialect = cluster.dialect();
    let image = json!({"image": "nginx"});
    let mapping = json!([{"containerPort": 80}]);
    for app in [
        json!({"id": "/cmd", "cmd": "sleep 1"}),
        json!({"id": "/args", "args": ["serve"], "container": {"type": "DOCKER", "docker": image}}),
        json!({"id": "/ucr", "cmd": "sleep 1", "container": {"type": "MESOS", "docker": image}}),
        json!({"id": "/old", "container": {"docker":
            {"image": "nginx", "network": "BRIDGE", "portMappings": mapping}}}),
        json!({"id": "/grp/bridge", "networks": [{"mode": "container/bridge"}],
               "container": {"type": "DOCKER", "docker": image, "portMappings": mapping}}),
        json!({"id": "/grp/own", "networks": [{"mode": "container", "name": "dcos"}],
               "healthChecks": [{"protocol": "TCP", "portIndex": 0}],
               "container": {"type": "DOCKER", "docker": image, "portMappings": mapping}}),
    ] {
        ask(&dialect, "POST", "/v2/apps", &app).await;
    }
    cluster.settle();
    let paths = [
        "/v2/apps",
        "/v2/apps?embed=apps.tasks&embed=apps.failures&embed=apps.taskStats",
        "/v2/groups",
        "/v2/apps/grp/own",
        "/v2/tasks",
        "/v2/deployments",
    ];
    for path in paths {
        let (mut found, mut nulls) = (BTreeSet::new(), Vec::new());
        keys(&ask(&dialect, "GET", path, &Value::Null).await, &mut found, &mut nulls);
        let young: Vec<_> = YOUNG.iter().filter(|key| found.contains(**key)).collect();
        assert!(young.is_empty(), "{path}: {young:?}");
        assert!(nulls.is_empty(), "{path}: {nulls:?}");
    }

    // Whoever sets one sees it.
    let set = json!({"id": "/set", "cmd": "sleep 1", "tty": true,
        "executorResources": {"cpus": 0.1, "mem": 32, "disk": 10},
        "resourceLimits": {"cpus": 2, "mem": 256},
        "check": {"exec": {"command": {"shell": "true"}}},
        "networks": [{"mode": "container", "name": "a"}, {"mode": "container", "name": "b"}],
        "container": {"type": "MESOS", "docker": image, "linuxInfo": {"seccomp": {"unconfined": true}},
                      "portMappings": [{"containerPort": 80, "networkNames": ["a"]}]}});
    ask(&dialect, "POST", "/v2/apps", &set).await;
    let (mut found, mut nulls) = (BTreeSet::new(), Vec::new());
    keys(&ask(&dialect, "GET", "/v2/apps/set", &Value::Null).await, &mut found, &mut nulls);
    let lost: Vec<_> = YOUNG.iter().filter(|key| !found.contains(**key)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}
