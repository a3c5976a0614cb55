//! Every field survives the way into the model and back.

use serde_json::{Value, json};

use super::*;
use crate::compat::marathon::{json as edge, normalize, settings::Settings, spec::App};

fn round(json: &Value) -> (Value, Value) {
    let settings = Settings::default();
    let mut app: App = edge::read(json).unwrap();
    app.role = Some("r".to_owned());
    normalize::migrate(&mut app, &settings).unwrap();
    normalize::complete(&mut app, &settings);
    let before = serde_json::to_value(&app).unwrap();
    let back = super::app(&workload(app));
    let back = App { version: None, version_info: None, ..back };
    (before, serde_json::to_value(back).unwrap())
}

#[test]
fn definitions_survive_the_model() {
    for json in [
        json!({"id": "/a", "cmd": "sleep 1"}),
        json!({
            "id": "/g/full", "args": ["a", "b"], "cpus": 0.25, "mem": 64.5, "disk": 3, "gpus": 2,
            "instances": 4, "user": "nobody", "tty": true, "executor": "/opt/x",
            "executorResources": {"cpus": 0.5, "mem": 64, "disk": 20},
            "resourceLimits": {"cpus": "unlimited", "mem": 128},
            "env": {"A": "b", "S": {"secret": "s"}}, "secrets": {"s": {"source": "/s"}},
            "labels": {"l": "m"}, "acceptedResourceRoles": ["*"], "requirePorts": true,
            "constraints": [["hostname", "UNIQUE"], ["zone", "GROUP_BY", "2"]],
            "dependencies": ["/g/other"], "backoffSeconds": 2, "backoffFactor": 1.5,
            "maxLaunchDelaySeconds": 60, "taskKillGracePeriodSeconds": 9,
            "fetch": [{"uri": "http://x/y", "extract": false, "executable": true, "cache": true,
                "destPath": "z"}],
            "portDefinitions": [{"port": 80, "protocol": "udp,tcp", "name": "p",
                "labels": {"VIP_0": "/x:1"}}],
            "healthChecks": [
                {"protocol": "MESOS_HTTPS", "path": "/h", "port": 8443, "ignoreHttp1xx": true},
                {"protocol": "TCP", "portIndex": 0}, {"command": {"value": "true"}},
            ],
            "check": {"exec": {"command": {"argv": ["a", "b"]}}, "intervalSeconds": 7},
            "readinessChecks": [{"portName": "p", "preserveLastResponse": true,
                "httpStatusCodesForReady": [200, 204], "protocol": "HTTPS"}],
            "upgradeStrategy": {"minimumHealthCapacity": 0.3, "maximumOverCapacity": 0.2},
            "unreachableStrategy": {"inactiveAfterSeconds": 5, "expungeAfterSeconds": 10},
            "killSelection": "OLDEST_FIRST",
        }),
        json!({
            "id": "/b", "networks": [{"mode": "container/bridge", "labels": {"a": "b"}}],
            "container": {
                "type": "DOCKER",
                "docker": {"image": "i", "forcePullImage": true, "privileged": true,
                    "parameters": [{"key": "k", "value": "v"}, {"key": "k", "value": "w"}]},
                "volumes": [{"containerPath": "/c", "hostPath": "/h", "mode": "RO"}],
                "portMappings": [{"containerPort": 80, "hostPort": 8080, "servicePort": 10001,
                    "name": "web", "labels": {"a": "b"}}],
            },
        }),
        json!({
            "id": "/c", "networks": [{"name": "n"}, {"name": "m"}],
            "container": {
                "type": "MESOS",
                "docker": {"image": "i", "pullConfig": {"secret": "s"}},
                "linuxInfo": {"seccomp": {"profileName": "p"},
                    "ipcInfo": {"mode": "PRIVATE", "shmSize": 64}},
                "volumes": [
                    {"containerPath": "p", "mode": "RW", "persistent": {"type": "mount", "size": 5,
                        "maxSize": 9, "profileName": "q", "constraints": [["path", "LIKE", "/d.*"]]}},
                    {"containerPath": "s", "secret": "s"},
                    {"containerPath": "e", "mode": "RW", "external": {"name": "v",
                        "provider": "csi", "shared": true, "size": 2,
                        "options": {"pluginName": "x", "capability": {"accessType": "block"}}}},
                ],
                "portMappings": [{"containerPort": 80, "hostPort": 0, "networkNames": ["n"]}],
            },
            "check": {"http": {"portIndex": 0, "scheme": "HTTPS"}},
        }),
    ] {
        let (before, after) = round(&json);
        assert_eq!(after, before);
    }
}
