//! Made-up definitions that keep all rules, as a client would send them.

use serde_json::{Map, Value, json};

use crate::{
    base::{rng::Rng, wire::sample::one_of},
    compat::marathon::{json as edge, spec::App},
};

/// A definition drawn at random; `id` and what is run are always there.
pub fn definition(id: &str, rng: &mut Rng) -> Value {
    let mut json = Map::new();
    json.insert("id".to_owned(), json!(id));
    let is_docker = coin(rng);
    run(&mut json, is_docker, rng);
    networks(&mut json, is_docker, rng);
    volumes(&mut json, rng);
    for (key, values) in fields(is_docker) {
        if coin(rng) {
            json.insert(key.to_owned(), one(values, rng));
        }
    }
    Value::Object(json)
}

/// As `definition`, read.
pub fn app(id: &str, rng: &mut Rng) -> (Value, App) {
    let json = definition(id, rng);
    let app = edge::read(&json).unwrap_or_else(|found| panic!("{json}: {found:?}"));
    (json, app)
}

fn coin(rng: &mut Rng) -> bool {
    rng.below(2) == 0
}

fn one(values: Vec<Value>, rng: &mut Rng) -> Value {
    one_of(&values, rng).clone()
}

/// What is run: a command, arguments, or what an image holds.
fn run(json: &mut Map<String, Value>, is_docker: bool, rng: &mut Rng) {
    if is_docker {
        let docker = one(
            vec![
                json!({"image": "nginx"}),
                json!({"image": "a/b:1", "forcePullImage": true, "privileged": true}),
                json!({"image": "x", "parameters": [{"key": "k", "value": "v"}]}),
            ],
            rng,
        );
        json.insert("container".to_owned(), json!({"type": "DOCKER", "docker": docker}));
    } else if coin(rng) {
        let linux = json!({"seccomp": {"unconfined": true}, "ipcInfo": {"shmSize": 64}});
        let container = one(vec![json!({"type": "MESOS"}), json!({"linuxInfo": linux})], rng);
        json.insert("container".to_owned(), container);
        json["container"]["type"] = json!("MESOS");
    }
    if coin(rng) {
        json.insert("cmd".to_owned(), json!("sleep 1000"));
    } else {
        json.insert("args".to_owned(), json!(["/bin/x", "", "-v"]));
    }
}

/// A network of some mode, with ports in the form that goes with it, new or old, or none.
fn networks(json: &mut Map<String, Value>, is_docker: bool, rng: &mut Rng) {
    let port = json!({"port": 0, "name": "web", "labels": {"VIP_0": "/a:80"}});
    let mappings = one(
        vec![
            json!([]),
            json!([{"containerPort": 80, "name": "web"}]),
            json!([{"containerPort": 0, "protocol": "udp,tcp"}, {"servicePort": 9001}]),
        ],
        rng,
    );
    match rng.below(5) {
        0 => {}
        1 => drop(json.insert("ports".to_owned(), json!([0, 8080]))),
        2 => {
            json.insert("portDefinitions".to_owned(), json!([port, {"port": 10_005}]));
            json.insert("requirePorts".to_owned(), json!(coin(rng)));
        }
        3 => {
            json.insert("networks".to_owned(), json!([{"mode": "container/bridge"}]));
            map(json, &mappings);
        }
        _ => {
            let several = json!([{"name": "n", "labels": {"a": "b"}}, {"name": "m"}]);
            let networks = if is_docker { json!([{"mode": "container"}]) } else { several };
            json.insert("networks".to_owned(), networks);
            if coin(rng) {
                map(json, &mappings);
            }
        }
    }
}

fn map(json: &mut Map<String, Value>, mappings: &Value) {
    let container = json.entry("container").or_insert_with(|| json!({"type": "MESOS"}));
    container["portMappings"] = mappings.clone();
}

fn volumes(json: &mut Map<String, Value>, rng: &mut Rng) {
    let Some(container) = json.get_mut("container") else { return };
    let host = json!({"containerPath": "/h", "hostPath": "/etc", "mode": "RO"});
    let kept = json!({"containerPath": "d", "persistent": {"size": 5}});
    let volumes = one(vec![json!([]), json!([host]), json!([kept, host])], rng);
    container["volumes"] = volumes;
}

fn fields(is_docker: bool) -> Vec<(&'static str, Vec<Value>)> {
    let mut fields = vec![
        ("cpus", vec![json!(0.001), json!(0.1), json!(2.5)]),
        ("mem", vec![json!(32), json!(0), json!(64.125)]),
        ("disk", vec![json!(1), json!(0.5)]),
        ("env", vec![json!({}), json!({"A": "", "B": "ü\n"})]),
        ("labels", vec![json!({}), json!({"a": "b", "HAPROXY_GROUP": "x"})]),
        ("user", vec![json!("nobody")]),
        ("tty", vec![json!(true), json!(false)]),
        ("executor", vec![json!(""), json!("//cmd"), json!("/opt/run")]),
        ("executorResources", vec![json!({"cpus": 0.5}), json!({})]),
        ("uris", vec![json!([]), json!(["http://x/a.tgz?b", "file:///c"])]),
        ("constraints", vec![json!([["hostname", "unique"], ["rack", "IS", "1"]]), json!([])]),
        ("dependencies", vec![json!(["../other", "/x/y"]), json!([])]),
        ("backoffSeconds", vec![json!(0), json!(7)]),
        ("backoffFactor", vec![json!(1), json!(3.25)]),
        ("maxLaunchDelaySeconds", vec![json!(0), json!(3600)]),
        ("taskKillGracePeriodSeconds", vec![json!(0), json!(30)]),
        ("instances", vec![json!(0), json!(3)]),
        ("killSelection", vec![json!("OLDEST_FIRST")]),
        ("acceptedResourceRoles", vec![json!(["*"])]),
        ("resourceLimits", vec![json!({"mem": "unlimited"}), json!({"cpus": 64, "mem": 4096})]),
        (
            "healthChecks",
            vec![
                json!([]),
                json!([{"port": 80, "path": "up"}, {"command": {"value": "true"}}]),
                json!([{"protocol": "MESOS_TCP", "port": 1, "delaySeconds": 0}]),
                json!([{"protocol": "HTTPS", "port": 443, "ignoreHttp1xx": true}]),
            ],
        ),
    ];
    if !is_docker {
        let exec = json!({"exec": {"command": {"argv": ["a", "b"]}}, "intervalSeconds": 9});
        fields.push(("check", vec![exec, json!({"tcp": {"port": 80}})]));
        fields.push(("gpus", vec![json!(0), json!(2)]));
    }
    fields
}
