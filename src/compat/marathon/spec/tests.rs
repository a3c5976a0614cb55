//! What reading takes and what it refuses, field by field, in the codes that clients compare.

use serde_json::{Value, json};

use super::{group::GroupUpdate, *};
use crate::compat::marathon::json::{self as edge, Read};

/// What is wrong with `json`, as `path code`.
fn refused<T: Read>(json: &Value) -> Vec<String> {
    let Err(found) = edge::read::<T>(json) else { return Vec::new() };
    let found = serde_json::to_value(found).unwrap();
    let entry = |entry: &Value| {
        let codes: Vec<_> = entry["errors"].as_array().unwrap().iter().collect();
        format!("{} {}", entry["path"].as_str().unwrap(), codes[0].as_str().unwrap())
    };
    found.as_array().unwrap().iter().map(entry).collect()
}

/// A definition as it is written after it was read.
fn written(json: Value) -> Value {
    serde_json::to_value(edge::read::<App>(&json).unwrap()).unwrap()
}

#[test]
fn numbers_have_their_bounds_and_their_kind() {
    for (json, wanted) in [
        (json!({"cpus": 0.001}), ""),
        (json!({"cpus": 0}), "/cpus error.min"),
        (json!({"cpus": "1"}), "/cpus error.expected.jsnumber"),
        (json!({"mem": -1}), "/mem error.min"),
        (json!({"disk": -0.1}), "/disk error.min"),
        (json!({"gpus": -1}), "/gpus error.min"),
        (json!({"gpus": 1.5}), "/gpus error.expected.jsnumber"),
        (json!({"instances": 2.0}), ""),
        (json!({"instances": 2_147_483_647}), ""),
        (json!({"instances": 2_147_483_648_u32}), "/instances error.max"),
        (json!({"instances": true}), "/instances error.expected.jsnumber"),
        (json!({"backoffFactor": 1}), ""),
        (json!({"backoffFactor": 0.99}), "/backoffFactor error.min"),
        (json!({"backoffSeconds": 0.5}), "/backoffSeconds error.expected.jsnumber"),
        (json!({"maxLaunchDelaySeconds": -1}), "/maxLaunchDelaySeconds error.min"),
        (json!({"taskKillGracePeriodSeconds": -1}), "/taskKillGracePeriodSeconds error.min"),
        (json!({"ports": [0, 65_535]}), ""),
        (json!({"ports": [1, 65_536]}), "/ports(1) error.max"),
        (json!({"portDefinitions": [{"port": -1}]}), "/portDefinitions(0)/port error.min"),
        (json!({"executorResources": {"cpus": 0.1, "mem": 32, "disk": 10}}), ""),
        (json!({"executorResources": {"mem": 31}}), "/executorResources/mem error.min"),
        (json!({"resourceLimits": {"cpus": "UNLIMITED", "mem": 1e9}}), ""),
        (json!({"resourceLimits": {"cpus": -1}}), "/resourceLimits/cpus error.min"),
        (json!({"resourceLimits": {"mem": 1e10}}), "/resourceLimits/mem error.max"),
        (
            json!({"resourceLimits": {"mem": "all"}}),
            "/resourceLimits/mem error.unknown.enum.literal",
        ),
        (
            json!({"upgradeStrategy": {"minimumHealthCapacity": "1"}}),
            "/upgradeStrategy/minimumHealthCapacity error.expected.jsnumber",
        ),
        (
            json!({"unreachableStrategy": {"inactiveAfterSeconds": -1}}),
            "/unreachableStrategy/inactiveAfterSeconds error.min",
        ),
        (json!({"unreachableStrategy": 5}), "/unreachableStrategy error.expected.jsobject"),
        (
            json!({"unreachableStrategy": "never"}),
            "/unreachableStrategy error.unknown.enum.literal",
        ),
    ] {
        assert_eq!(refused::<App>(&json).join(";"), wanted, "{json}");
    }
}

#[test]
fn texts_lists_and_maps_have_their_shape() {
    let long = "x".repeat(1025);
    for (json, wanted) in [
        (json!({"cmd": ""}), "/cmd error.minLength"),
        (json!({"cmd": 1}), "/cmd error.expected.jsstring"),
        (json!({"id": ""}), "/id error.minLength"),
        (json!({"args": "x"}), "/args error.expected.jsarray"),
        (json!({"args": ["a", 1]}), "/args(1) error.expected.jsstring"),
        (json!({"env": []}), "/env error.expected.jsobject"),
        (json!({"env": {"A": 1}}), "/env/A error.expected.jsstring"),
        (json!({"env": {"A": {}}}), "/env/A/secret error.path.missing"),
        (json!({"secrets": {"a": {}}}), "/secrets/a/source 'source' is undefined on object: {}"),
        (json!({"labels": {"a": 1}}), "/labels/a error.expected.jsstring"),
        (json!({"requirePorts": "true"}), "/requirePorts error.expected.jsboolean"),
        (json!({"tty": 0}), "/tty error.expected.jsboolean"),
        (json!({"acceptedResourceRoles": "*"}), "/acceptedResourceRoles error.expected.jsarray"),
        (json!({"constraints": [["a", "UNIQUE"], "b"]}), "/constraints(1) error.expected.jsarray"),
        (json!({"dependencies": ["a", ""]}), "/dependencies(1) error.minLength"),
        (json!({"executor": "//cmd"}), ""),
        (json!({"executor": "/opt/run"}), ""),
        (json!({"executor": "/"}), "/executor error.pattern"),
        (json!({"executor": "/opt//run"}), "/executor error.pattern"),
        (json!({"uris": [""]}), "/uris(0) error.minLength"),
        (json!({"fetch": [{"uri": long}]}), "/fetch(0)/uri error.maxLength"),
        (json!({"fetch": [{}]}), "/fetch(0)/uri 'uri' is undefined on object: {}"),
        (json!({"version": "yesterday"}), "/version error.expected.date.isoformat"),
        (json!({"version": "2026-01-02T03:04:05+01:00"}), ""),
        (json!({"killSelection": "RANDOM"}), "/killSelection error.unknown.enum.literal"),
    ] {
        assert_eq!(refused::<App>(&json).join(";"), wanted, "{json}");
    }
    let lacks_id = r#"/id 'id' is undefined on object: {"cmd":"x"}"#;
    assert_eq!(refused::<Whole>(&json!({"cmd": "x"})), [lacks_id]);
}

struct Whole;

impl Read for Whole {
    fn read(at: edge::At<'_>) -> Option<Self> {
        App::read_whole(at).map(|_| Self)
    }
}

#[test]
fn networks_and_ports_have_names_that_others_can_use() {
    let longest = "n".repeat(63);
    for (name, network, port) in [
        ("web", true, true),
        ("a", true, true),
        ("9", true, true),
        ("a-b", true, true),
        ("a_b", true, false),
        ("A", false, false),
        ("-a", false, false),
        ("a-", false, false),
        ("_a", false, false),
        ("a.b", false, false),
        ("ä", false, false),
        (&longest, true, true),
        (&format!("{longest}n"), false, true),
    ] {
        let is_read = |json: Value| refused::<App>(&json).is_empty();
        assert_eq!(is_read(json!({"networks": [{"name": name}]})), network, "network {name}");
        let ports = json!({"portDefinitions": [{"port": 0, "name": name}]});
        assert_eq!(is_read(ports), port, "port {name}");
        let mappings = json!({"container": {"portMappings": [{"name": name}]}});
        assert_eq!(is_read(mappings), port, "mapping {name}");
    }
}

#[test]
fn containers_and_checks_say_what_they_lack() {
    let volume = |volume: Value| json!({"container": {"volumes": [volume]}});
    let check = |check: Value| json!({"healthChecks": [check]});
    let ready = |check: Value| json!({"readinessChecks": [check]});
    let at = "/container/volumes(0)";
    let lacks = |path: &str, key: &str, object: &str| {
        format!("{path}/{key} '{key}' is undefined on object: {object}")
    };
    for (json, wanted) in [
        (
            json!({"container": {"type": "LXC"}}),
            "/container/type error.unknown.enum.literal".into(),
        ),
        (volume(json!({})), lacks(at, "containerPath", "{}")),
        (volume(json!({"containerPath": "x"})), lacks(at, "mode", r#"{"containerPath":"x"}"#)),
        (volume(json!({"containerPath": "x", "secret": "s"})), String::new()),
        (volume(json!({"containerPath": "x", "persistent": {"size": 1}})), String::new()),
        (
            volume(json!({"containerPath": "x", "persistent": {}})),
            lacks(&format!("{at}/persistent"), "size", "{}"),
        ),
        (
            volume(json!({"containerPath": "x", "mode": "RW", "external": {"options": {"a": 1}}})),
            format!("{at}/external/options/a error.expected.jsstring"),
        ),
        (
            json!({"container": {"docker": {"parameters": [{"key": "k"}]}}}),
            lacks("/container/docker/parameters(0)", "value", r#"{"key":"k"}"#),
        ),
        (
            json!({"container": {"docker": {"pullConfig": {}}}}),
            "/container/docker/pullConfig/secret error.path.missing".into(),
        ),
        (
            check(json!({"protocol": "ping"})),
            "/healthChecks(0)/protocol error.unknown.enum.literal".into(),
        ),
        (check(json!({"command": {}})), "/healthChecks(0)/command/value error.path.missing".into()),
        (check(json!({"port": 65_536})), "/healthChecks(0)/port error.max".into()),
        (
            check(json!({"intervalSeconds": -1})),
            "/healthChecks(0)/intervalSeconds error.min".into(),
        ),
        (json!({"check": {"exec": {}}}), "/check/exec/command error.path.missing".into()),
        (
            json!({"check": {"exec": {"command": {}}}}),
            "/check/exec/command/shell error.path.missing".into(),
        ),
        (
            ready(json!({"httpStatusCodesForReady": [200, 99]})),
            "/readinessChecks(0)/httpStatusCodesForReady(1) error.min".into(),
        ),
        (ready(json!({"name": ""})), "/readinessChecks(0)/name error.minLength".into()),
    ] {
        assert_eq!(refused::<App>(&json).join(";"), wanted, "{json}");
    }
}

#[test]
fn everything_wrong_is_told_at_once_in_the_order_of_fields() {
    let json =
        json!({"mem": -1, "cmd": 7, "instances": "x", "networks": [{"mode": "?"}, {"name": "A"}]});
    assert_eq!(
        refused::<App>(&json),
        [
            "/cmd error.expected.jsstring",
            "/instances error.expected.jsnumber",
            "/mem error.min",
            "/networks(0)/mode error.unknown.enum.literal",
            "/networks(1)/name error.pattern",
        ]
    );
}

#[test]
fn a_null_is_a_field_left_out() {
    let keys = [
        "acceptedResourceRoles args backoffFactor backoffSeconds cmd constraints container cpus",
        "dependencies disk env executor executorResources fetch healthChecks check instances labels",
        "maxLaunchDelaySeconds mem gpus networks portDefinitions readinessChecks residency role",
        "requirePorts secrets resourceLimits taskKillGracePeriodSeconds upgradeStrategy user tty",
        "version killSelection unreachableStrategy uris ports ipAddress id",
    ];
    let keys = keys.iter().flat_map(|line| line.split(' '));
    let mut whole: Value = keys.map(|key| (key.to_owned(), Value::Null)).collect();
    whole["versionInfo"] = json!({"lastScalingAt": "ignored"});
    whole["somethingNew"] = json!({"of": ["a later", 1]});
    assert_eq!(edge::read::<App>(&whole), Ok(App::default()));
}

#[test]
fn names_are_read_in_any_case_and_written_in_their_own() {
    for (json, at, name) in [
        (json!({"container": {"type": "mesos"}}), "/container/type", "MESOS"),
        (
            json!({"networks": [{"mode": "CONTAINER/BRIDGE"}]}),
            "/networks/0/mode",
            "container/bridge",
        ),
        (json!({"portDefinitions": [{"protocol": "UDP"}]}), "/portDefinitions/0/protocol", "udp"),
        // Some old definitions have the order reversed.
        (
            json!({"portDefinitions": [{"protocol": "tcp,UDP"}]}),
            "/portDefinitions/0/protocol",
            "udp,tcp",
        ),
        (
            json!({"healthChecks": [{"protocol": "mesos_tcp"}]}),
            "/healthChecks/0/protocol",
            "MESOS_TCP",
        ),
        (json!({"healthChecks": [{"ipProtocol": "ipv6"}]}), "/healthChecks/0/ipProtocol", "IPv6"),
        (json!({"check": {"http": {"scheme": "https"}}}), "/check/http/scheme", "HTTPS"),
        (json!({"killSelection": "oldest_first"}), "/killSelection", "OLDEST_FIRST"),
        (json!({"unreachableStrategy": "Disabled"}), "/unreachableStrategy", "disabled"),
        (json!({"resourceLimits": {"mem": "Unlimited"}}), "/resourceLimits/mem", "unlimited"),
        (
            json!({"container": {"linuxInfo": {"ipcInfo": {"mode": "share_parent"}}}}),
            "/container/linuxInfo/ipcInfo/mode",
            "SHARE_PARENT",
        ),
        (
            json!({"container": {"volumes": [
                {"containerPath": "x", "mode": "ro", "hostPath": "/"}]}}),
            "/container/volumes/0/mode",
            "RO",
        ),
        (
            json!({"container": {"volumes": [
                {"containerPath": "x", "persistent": {"size": 1, "type": "MOUNT"}}]}}),
            "/container/volumes/0/persistent/type",
            "mount",
        ),
    ] {
        assert_eq!(written(json.clone()).pointer(at), Some(&json!(name)), "{json}");
    }
}

#[test]
fn sets_drop_repetitions_and_lists_keep_them() {
    let twice = |value: Value| json!([value.clone(), value]);
    let check = json!({"protocol": "TCP", "portIndex": 0});
    let json = json!({
        "constraints": twice(json!(["a", "UNIQUE"])), "acceptedResourceRoles": ["b", "a", "b"],
        "healthChecks": twice(check), "dependencies": ["/b", "/a", "/b"],
        "args": ["x", "x"], "fetch": twice(json!({"uri": "u"})), "networks": twice(json!({})),
    });
    let written = written(json);
    assert_eq!(written["acceptedResourceRoles"], json!(["b", "a"]));
    assert_eq!(written["dependencies"], json!(["/b", "/a"]));
    let n = |key: &str| written[key].as_array().unwrap().len();
    assert_eq!(["constraints", "healthChecks"].map(n), [1, 1]);
    assert_eq!(["args", "fetch", "networks"].map(n), [2, 2, 2]);
}

#[test]
fn options_of_a_csi_volume_stay_json_and_others_are_text() {
    let volume = |provider: &str, options: Value| {
        let external = json!({"name": "v", "provider": provider, "options": options});
        json!({"container": {"volumes": [
            {"containerPath": "x", "mode": "RW", "external": external}]}})
    };
    let options = json!({"capability": {"accessMode": "RW"}, "list": [1], "text": "{\"a\":1}"});
    let app = edge::read::<App>(&volume("csi", options.clone())).unwrap();
    let container = app.container.unwrap();
    let external = container.volumes[0].external.as_ref().unwrap();
    let kept = external.options_as_text();
    assert_eq!(kept["capability"], r#"{"accessMode":"RW"}"#);
    let [csi, dvdi] = ["csi", "dvdi"];
    let back = volume::External::options_from_text(csi, &kept);
    assert_eq!(back["capability"], options["capability"]);
    assert_eq!(back["list"], options["list"]);
    // Of another driver a text that happens to be JSON is the text it was.
    let text = [("dvdi/x".to_owned(), "{}".to_owned())].into();
    assert_eq!(volume::External::options_from_text(dvdi, &text)["dvdi/x"], json!("{}"));
}

#[test]
fn a_group_inside_a_group_says_which() {
    for (json, wanted) in [
        (json!({}), ""),
        (json!({"groups": [{"id": "a", "groups": [{"id": "b"}]}]}), ""),
        (
            json!({"groups": [{"apps": []}]}),
            r#"/groups(0)/id 'id' is undefined on object: {"apps":[]}"#,
        ),
        (
            json!({"apps": [{"cmd": "x"}]}),
            r#"/apps(0)/id 'id' is undefined on object: {"cmd":"x"}"#,
        ),
        (
            json!({"groups": [{"id": "a", "apps": [{"id": "x"}, {"id": "y", "cpus": "1"}]}]}),
            "/groups(0)/apps(1)/cpus error.expected.jsnumber",
        ),
        (json!({"scaleBy": -1}), "/scaleBy error.min"),
        (json!({"enforceRole": "top"}), "/enforceRole error.expected.jsboolean"),
        (json!([]), "/ error.expected.jsobject"),
    ] {
        assert_eq!(refused::<GroupUpdate>(&json).join(";"), wanted, "{json}");
    }
}

#[test]
fn an_option_of_a_group_stands_alone_or_with_the_id() {
    let read = |json: Value| edge::read::<GroupUpdate>(&json).unwrap();
    let option = GroupUpdate { scale_by: Some(2.0), ..GroupUpdate::default() };
    assert!(read(json!({"scaleBy": 2})).is_only(&option));
    assert!(read(json!({"scaleBy": 2, "id": "/a"})).is_only(&option));
    for more in [json!({"apps": []}), json!({"dependencies": []}), json!({"enforceRole": true})] {
        let mut json = json!({"scaleBy": 2});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert!(!read(json.clone()).is_only(&option), "{json}");
    }
}

#[test]
fn a_check_with_a_command_is_a_command_check_whatever_else_it_says() {
    for (check, wanted) in [
        (json!({}), "HTTP"),
        (json!({"command": {"value": "true"}}), "COMMAND"),
        (json!({"command": {"value": "true"}, "protocol": "COMMAND"}), "COMMAND"),
        (json!({"command": {"value": "true"}, "protocol": "HTTP", "portIndex": 7}), "COMMAND"),
    ] {
        let written = written(json!({"healthChecks": [check]}));
        assert_eq!(written["healthChecks"][0]["protocol"], wanted, "{check}");
    }
    let unknown = json!({"healthChecks": [{"command": {"value": "x"}, "protocol": "PING"}]});
    let told = ["/healthChecks(0)/protocol error.unknown.enum.literal"];
    assert_eq!(refused::<App>(&unknown), told);
}
