//! Old input and defaults, as a table: what comes in, and the fields it comes to.

use serde_json::{Value, json};

use super::*;
use crate::compat::marathon::json as edge;

fn app(json: Value) -> App {
    edge::read(&json).unwrap()
}

/// Completes `input` and compares the fields that `wanted` names (`null`: absent).
fn check(input: Value, wanted: Value) {
    let settings = Settings::default();
    let mut app = app(input.clone());
    migrate(&mut app, &settings).unwrap();
    complete(&mut app, &settings);
    let got = serde_json::to_value(&app).unwrap();
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(&got[key], value, "{key} of {input}");
    }
}

fn mapping(container_port: u16, host_port: Option<u16>, service_port: u16) -> Value {
    let mut mapping = json!({
        "containerPort": container_port, "labels": {}, "protocol": "tcp",
        "servicePort": service_port,
    });
    if let Some(port) = host_port {
        mapping["hostPort"] = port.into();
    }
    mapping
}

#[test]
fn uris_become_artifacts() {
    check(
        json!({"uris": ["http://x/a.tar.gz", "http://x/b.zip", "http://x/c"]}),
        json!({"fetch": [
            {"uri": "http://x/a.tar.gz", "extract": true, "executable": false, "cache": false},
            {"uri": "http://x/b.zip", "extract": true, "executable": false, "cache": false},
            {"uri": "http://x/c", "extract": false, "executable": false, "cache": false},
        ]}),
    );
    for (uri, extract) in [
        ("http://x/bundle.tgz?sig=x", true),
        ("https://x/bundle.tar.gz#part", true),
        ("http://x/get?file=bundle.tgz", false),
        ("/opt/what?.tgz", true),
    ] {
        check(
            json!({"uris": [uri]}),
            json!({"fetch": [
                {"uri": uri, "extract": extract, "executable": false, "cache": false},
            ]}),
        );
    }
    check(
        json!({"uris": [], "fetch": [{"uri": "x"}]}),
        json!({"fetch": [{"uri": "x", "extract": true, "executable": false, "cache": false}]}),
    );
}

#[test]
fn docker_networks_become_networks() {
    let docker = |network: &str| json!({"docker": {"image": "x", "network": network}});
    for (network, wanted) in [
        ("HOST", json!([{"mode": "host"}])),
        ("bridge", json!([{"mode": "container/bridge"}])),
        ("USER", json!([{"name": "dcos", "mode": "container"}])),
    ] {
        check(json!({"container": docker(network)}), json!({"networks": wanted}));
    }
    check(
        json!({"container": docker("USER"), "ipAddress": {"networkName": "n", "labels": {"a": "b"}}}),
        json!({"networks": [{"name": "n", "mode": "container", "labels": {"a": "b"}}]}),
    );
}

#[test]
fn ip_address_becomes_a_network_and_mappings() {
    let named = json!([{
        "containerPort": 80, "labels": {}, "name": "http", "protocol": "tcp", "servicePort": 0,
    }]);
    check(
        json!({"ipAddress": {"networkName": "n", "discovery": {"ports": [
            {"number": 80, "name": "http", "protocol": "tcp"}]}}}),
        json!({
            "networks": [{"name": "n", "mode": "container"}],
            "container": {"type": "MESOS", "volumes": [], "portMappings": named},
            "portDefinitions": null,
        }),
    );
    check(
        json!({"ipAddress": {"networkName": "mesos-bridge"}}),
        json!({"networks": [{"mode": "container/bridge"}]}),
    );
    check(json!({"ipAddress": {}}), json!({"networks": [{"name": "dcos", "mode": "container"}]}));
}

#[test]
fn ports_become_definitions_or_mappings() {
    check(
        json!({"ports": [80, 0]}),
        json!({"portDefinitions": [
            {"port": 80, "protocol": "tcp"}, {"port": 0, "protocol": "tcp"}]}),
    );
    let default = json!([{"name": "default", "port": 0, "protocol": "tcp"}]);
    check(json!({}), json!({"portDefinitions": default, "networks": [{"mode": "host"}]}));
    check(json!({"portDefinitions": []}), json!({"portDefinitions": []}));
    // Mappings of the old form are worth nothing on a host network.
    check(
        json!({"container": {"docker": {"image": "x", "portMappings": [{"containerPort": 80}]}}}),
        json!({"portDefinitions": default}),
    );
    // Service ports of old bridge apps came in `ports`; those beyond the mappings pad them.
    let old = json!({"docker": {"image": "x", "network": "BRIDGE",
        "portMappings": [{"containerPort": 80}]}});
    let mut padded = json!([mapping(80, Some(0), 0), mapping(0, Some(0), 9001)]);
    let wanted = |mappings: &Value| {
        json!({
            "portDefinitions": null,
            "requirePorts": false,
            "container": {
                "type": "DOCKER", "volumes": [], "portMappings": mappings,
                "docker": {"image": "x", "forcePullImage": false, "privileged": false,
                    "parameters": []},
            },
        })
    };
    check(json!({"container": old, "ports": [9000, 9001], "requirePorts": true}), wanted(&padded));
    padded.as_array_mut().unwrap().pop();
    check(json!({"container": old, "ports": [9000]}), wanted(&padded));
}

#[test]
fn other_networks_get_mappings() {
    let container =
        |mappings: Value| json!({"type": "MESOS", "volumes": [], "portMappings": mappings});
    let named = |host_port: Option<u16>| {
        let mut mapping = mapping(0, host_port, 0);
        mapping["name"] = "default".into();
        json!([mapping])
    };
    check(
        json!({"networks": [{"mode": "container/bridge"}]}),
        json!({"container": container(named(Some(0)))}),
    );
    check(
        json!({"networks": [{"name": "n"}]}),
        json!({"container": container(named(None)), "networks": [{"name": "n", "mode": "container"}]}),
    );
    check(
        json!({"networks": [{"name": "n"}], "container": {"type": "MESOS", "portMappings": []}}),
        json!({"container": container(json!([]))}),
    );
}

#[test]
fn checks_and_strategies_get_their_defaults() {
    let full = json!([{
        "gracePeriodSeconds": 300, "intervalSeconds": 60, "maxConsecutiveFailures": 3,
        "path": "/x", "portIndex": 0, "protocol": "HTTP", "ipProtocol": "IPv4",
        "timeoutSeconds": 20, "delaySeconds": 15,
    }]);
    check(json!({"healthChecks": [{"path": "x"}, {"path": "x"}]}), json!({"healthChecks": full}));
    let volumes = |source: Value| {
        let mut volume = json!({"containerPath": "d", "mode": "RW"});
        volume.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
        json!({"container": {"type": "MESOS", "volumes": [volume]}})
    };
    let half = json!({"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0});
    check(
        volumes(json!({"persistent": {"size": 5}})),
        json!({
            "upgradeStrategy": half, "unreachableStrategy": "disabled",
            "residency": {
                "relaunchEscalationTimeoutSeconds": 3600, "taskLostBehavior": "WAIT_FOREVER"},
        }),
    );
    check(
        volumes(json!({"external": {"name": "v", "provider": "dvdi"}})),
        json!({"upgradeStrategy": half, "residency": null}),
    );
    check(
        json!({"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}}),
        json!({"upgradeStrategy": {"minimumHealthCapacity": 0, "maximumOverCapacity": 0}}),
    );
    check(
        json!({"executor": "/opt/run"}),
        json!({"executorResources": {"cpus": 0.1, "mem": 32, "disk": 10}}),
    );
}

#[test]
fn an_update_keeps_what_it_leaves_out() {
    let settings = Settings::default();
    let mut current = app(json!({
        "id": "/a", "cmd": "sleep 1", "labels": {"a": "b"}, "env": {"X": "y"},
        "resourceLimits": {"cpus": 2},
    }));
    complete(&mut current, &settings);
    let update = app(json!({"cmd": null, "instances": 3, "labels": {"c": "d"}}));
    let updated = serde_json::to_value(overlay(current.clone(), update)).unwrap();
    assert_eq!(updated["cmd"], "sleep 1");
    assert_eq!(updated["instances"], 3);
    assert_eq!(updated["labels"], json!({"c": "d"}), "maps are replaced, not merged");
    assert_eq!(updated["env"], json!({"X": "y"}));
    assert_eq!(updated["resourceLimits"], json!({"cpus": 2}));

    let update = app(json!({"networks": [{"mode": "container/bridge"}]}));
    let mut bridged = overlay(current, update);
    complete(&mut bridged, &settings);
    let bridged = serde_json::to_value(bridged).unwrap();
    assert_eq!(bridged["portDefinitions"], Value::Null);
    assert_eq!(bridged["container"]["portMappings"][0]["hostPort"], 0);
}

#[test]
fn old_and_new_forms_that_disagree_are_refused() {
    let docker = |more: Value| {
        let mut docker = json!({"image": "x"});
        docker.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        docker
    };
    let found = json!({"discovery": {"ports": [{"number": 80, "name": "web"}]}});
    for (input, wanted) in [
        (
            json!({"uris": ["a"], "fetch": [{"uri": "b"}]}),
            "cannot specify both uris and fetch fields",
        ),
        (
            json!({"ports": [80], "portDefinitions": [{"port": 81}]}),
            "cannot specify both ports and port definitions",
        ),
        (json!({"ipAddress": {}, "ports": [80]}), "cannot specify both an IP address and port"),
        (
            json!({"ipAddress": {}, "portDefinitions": [{"port": 1}]}),
            "cannot specify both an IP address and port",
        ),
        (
            json!({"ipAddress": {}, "networks": [{"name": "n"}]}),
            "must not specify both networks and ipAddress",
        ),
        (
            json!({"container": {"docker": docker(json!({"portMappings": []})), "portMappings": []}}),
            "cannot specify both container.portMappings and container.docker.portMappings",
        ),
        (
            json!({
                "container": {"docker": docker(json!({"network": "HOST"}))},
                "networks": [{"mode": "host"}],
            }),
            "must not specify both container.docker.network and networks",
        ),
        (
            json!({"container": {"docker": docker(json!({"network": "NONE"}))}}),
            "unsupported docker network type NONE",
        ),
        (
            json!({"container": {"docker": docker(json!({}))}, "ipAddress": found}),
            "ipAddress/discovery is not allowed for Docker containers",
        ),
        // Clients that send back what they read say one thing twice.
        (json!({"ports": [80, 0], "portDefinitions": [{"port": 80, "name": "a"}, {}]}), ""),
        (json!({"ports": [], "portDefinitions": [{"port": 80}]}), ""),
        (json!({"ipAddress": {}, "ports": []}), ""),
        (json!({"ipAddress": {}, "networks": []}), ""),
        (json!({"uris": ["a"], "fetch": []}), ""),
    ] {
        let mut app = app(input.clone());
        let got = migrate(&mut app, &Settings::default());
        let got = got.err().map_or(String::new(), |conflict| conflict.to_string());
        assert_eq!(got, wanted, "{input}");
    }
}

#[test]
fn an_update_changes_the_field_it_names_and_no_other() {
    let full = json!({
        "id": "/a", "args": ["a"], "cpus": 1, "mem": 1, "disk": 1, "gpus": 1, "instances": 1,
        "user": "u", "tty": true, "executor": "/x", "role": "r", "requirePorts": true,
        "executorResources": {"cpus": 1, "mem": 64, "disk": 20}, "resourceLimits": {"cpus": 2},
        "env": {"A": "b"}, "labels": {"a": "b"}, "secrets": {"s": {"source": "/s"}},
        "acceptedResourceRoles": ["*"], "constraints": [["hostname", "UNIQUE"]],
        "dependencies": ["/b"], "backoffSeconds": 2, "backoffFactor": 2, "maxLaunchDelaySeconds": 9,
        "taskKillGracePeriodSeconds": 9, "killSelection": "OLDEST_FIRST",
        "fetch": [{"uri": "http://x/y"}], "portDefinitions": [{"port": 80}],
        "healthChecks": [{"port": 80}], "check": {"tcp": {"port": 80}},
    });
    let mut current = app(full);
    complete(&mut current, &Settings::default());
    let before = serde_json::to_value(&current).unwrap();
    let updates = [
        json!({"cmd": "x"}),
        json!({"args": []}),
        json!({"cpus": 2}),
        json!({"mem": 2}),
        json!({"disk": 2}),
        json!({"gpus": 2}),
        json!({"instances": 2}),
        json!({"user": "v"}),
        json!({"tty": false}),
        json!({"executor": ""}),
        json!({"role": "q"}),
        json!({"requirePorts": false}),
        json!({"executorResources": {"cpus": 2, "mem": 64, "disk": 20}}),
        json!({"resourceLimits": {"mem": 2}}),
        json!({"env": {}}),
        json!({"labels": {}}),
        json!({"secrets": {}}),
        json!({"acceptedResourceRoles": ["r"]}),
        json!({"constraints": []}),
        json!({"dependencies": []}),
        json!({"backoffSeconds": 3}),
        json!({"backoffFactor": 3}),
        json!({"maxLaunchDelaySeconds": 3}),
        json!({"taskKillGracePeriodSeconds": 3}),
        json!({"killSelection": "YOUNGEST_FIRST"}),
        json!({"unreachableStrategy": "disabled"}),
        json!({"upgradeStrategy": {"maximumOverCapacity": 0, "minimumHealthCapacity": 0}}),
        json!({"fetch": []}),
        json!({"portDefinitions": []}),
        json!({"healthChecks": []}),
        json!({"networks": [{"mode": "host"}, {"mode": "host"}]}),
        json!({"container": {"type": "MESOS", "volumes": []}}),
    ];
    for update in updates {
        let (key, value) = update.as_object().unwrap().iter().next().unwrap();
        let after = overlay(current.clone(), app(update.clone()));
        let after = serde_json::to_value(after).unwrap();
        assert_eq!(&after[key], value, "{key}");
        let mut rest = before.clone();
        rest[key] = value.clone();
        assert_eq!(after, rest, "{key}: all else stays");
    }
}

#[test]
fn ports_of_the_old_network_do_not_outlive_it() {
    let settings = Settings::default();
    let ported = |networks: Value, more: Value| {
        let mut json = json!({"id": "/a", "cmd": "x", "networks": networks});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut app = app(json);
        complete(&mut app, &settings);
        app
    };
    let bridge = json!([{"mode": "container/bridge"}]);
    let mapped = json!({"container": {"type": "MESOS", "portMappings": [{"containerPort": 80}]}});
    let after = |current: App, update: Value| {
        let mut update = app(update);
        migrate(&mut update, &settings).unwrap();
        let mut app = overlay(current, update);
        complete(&mut app, &settings);
        let json = serde_json::to_value(app).unwrap();
        (json["portDefinitions"].clone(), json["container"]["portMappings"].clone())
    };
    let default = json!([{"name": "default", "port": 0, "protocol": "tcp"}]);
    let moved = after(ported(bridge.clone(), mapped), json!({"networks": [{"mode": "host"}]}));
    assert_eq!(moved, (default, Value::Null));
    let defined = json!({"portDefinitions": [{"port": 80}]});
    let (definitions, mappings) =
        after(ported(json!([]), defined.clone()), json!({"networks": bridge}));
    assert_eq!((definitions, &mappings[0]["name"]), (Value::Null, &json!("default")));
    let (definitions, mappings) = after(ported(json!([]), defined), json!({"ports": [81]}));
    assert_eq!(definitions, json!([{"port": 81, "protocol": "tcp"}]));
    assert_eq!(mappings, Value::Null);
}
