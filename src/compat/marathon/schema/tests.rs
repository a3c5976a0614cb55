//! The schema against the rules it speaks of: every field has its meaning, every bound is refused on its
//! far side and taken on its near one, every default is what comes of saying nothing.

use std::collections::BTreeSet;

use super::*;
use crate::{
    compat::marathon::{Apps, validate},
    control::definitions::Definitions as _,
    core::State,
};

/// Every place of the schema with what stands there.
fn places() -> Vec<(String, Map<String, Value>)> {
    let mut all = Vec::new();
    each(&mut app().clone(), "", &mut |path, node| all.push((path.to_owned(), node.clone())));
    all
}

fn is_former(path: &str) -> bool {
    FORMER.iter().any(|former| path == *former || path.starts_with(&format!("{former}/")))
}

#[test]
fn every_field_has_a_meaning_and_every_meaning_a_field() {
    let drawn: BTreeSet<String> = places().into_iter().map(|(path, _)| path).collect();
    let told: BTreeSet<String> = MEANINGS.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(told.len(), MEANINGS.len(), "a field is explained twice");
    let is_plain = |path: &str| {
        path.ends_with("/-") || path == "/secrets/*" || is_former(path) && !FORMER.contains(&path)
    };
    let untold: Vec<_> = drawn.difference(&told).filter(|path| !is_plain(path)).collect();
    assert!(untold.is_empty(), "without a meaning: {untold:?}");
    let gone: Vec<_> = told.difference(&drawn).collect();
    assert!(gone.is_empty(), "nobody reads {gone:?}");
    let former = FORMER.iter().all(|path| drawn.contains(*path));
    let ruled = rules().iter().all(|(path, _)| drawn.contains(*path));
    assert!(former && ruled, "a rule or a former field that nobody reads");
}

/// What is told about a definition: places with their texts.
fn told(definition: &Value) -> BTreeSet<(String, String)> {
    let settings = Settings::default();
    let mut app: App = match edge::read(definition) {
        Ok(app) => app,
        Err(found) => return flat(&found),
    };
    if let Err(conflict) = normalize::migrate(&mut app, &settings) {
        return BTreeSet::from([("/".to_owned(), conflict.0.to_owned())]);
    }
    app.role.get_or_insert_with(|| "g".to_owned());
    normalize::complete(&mut app, &settings);
    let roles = ["g".to_owned()].into();
    let context = validate::Context { settings: &settings, roles: &roles, role_pinned: None };
    flat(&validate::validate(&app, &context))
}

fn flat(found: &edge::Violations) -> BTreeSet<(String, String)> {
    let each = |(path, texts): &(String, Vec<String>)| {
        texts.iter().map(|text| (path.clone(), text.clone())).collect::<Vec<_>>()
    };
    found.list().iter().flat_map(each).collect()
}

/// A definition that holds every object and list on the way, with a value at its end.
fn with(path: &str, value: Value) -> Value {
    let mut whole = sample(app(), "").unwrap();
    whole["id"] = json!("/g/a");
    let way: Vec<&str> = path.split('/').skip(1).collect();
    // What rules out the other network is left out.
    let keep = if path.starts_with("/portDefinitions") { "/container/portMappings" } else { "" };
    if keep.is_empty() {
        whole.as_object_mut().unwrap().shift_remove("portDefinitions");
    } else {
        whole.as_object_mut().unwrap().shift_remove("networks");
        whole["container"].as_object_mut().unwrap().shift_remove("portMappings");
    }
    put(&mut whole, &way, value);
    whole
}

fn put(at: &mut Value, way: &[&str], value: Value) {
    let [step, rest @ ..] = way else {
        *at = value;
        return;
    };
    match *step {
        "-" => {
            if at.as_array().is_none_or(Vec::is_empty) {
                *at = json!([null]);
            }
            put(&mut at[0], rest, value);
        }
        step => {
            if let Value::Object(map) = at
                && step == "shell"
            {
                map.shift_remove("argv"); // the other form
            }
            let key = if step == "*" { "k" } else { step };
            if !at.is_object() {
                *at = json!({});
            }
            put(&mut at[key], rest, value);
        }
    }
}

/// The dialect's spelling of a place.
fn place(path: &str) -> String {
    path.replace("/-", "(0)").replace("/*", "/k")
}

/// What is told of `far` and not of `near`, which differ in one value.
fn refused(path: &str, near: Value, far: Value) -> Vec<(String, String)> {
    let (near, far) = (told(&with(path, near)), told(&with(path, far)));
    far.difference(&near).cloned().collect()
}

#[test]
fn every_bound_is_refused_on_its_far_side_and_taken_on_its_near_one() {
    let mut n = 0;
    for (path, node) in places().into_iter().filter(|(path, _)| !is_former(path)) {
        let number = |key: &str| node.get(key).and_then(Value::as_f64);
        let size = |key: &str| number(key).map(|n| n as usize);
        let step = if node.get("type") == Some(&json!("integer")) { 1.0 } else { 1e-4 };
        let whole = |n: f64| if step == 1.0 { json!(n as i64) } else { json!(n) };
        let text = |n: usize| json!("a".repeat(n));
        let item = || sample(&node["items"], &format!("{path}/-")).unwrap_or_else(|| json!("a"));
        let list = |n: usize| Value::Array(vec![item(); n]);
        let mut cases: Vec<(&str, Value, Value)> = Vec::new();
        cases.extend(number("minimum").map(|n| ("minimum", whole(n), whole(n - step))));
        cases.extend(
            number("maximum").map(|n| ("maximum", whole(n), whole(n + step.max(n * 1e-9)))),
        );
        cases.extend(size("minLength").map(|n| ("minLength", text(n), text(n - 1))));
        cases.extend(size("maxLength").map(|n| ("maxLength", text(n), text(n + 1))));
        cases.extend(size("minItems").map(|n| ("minItems", list(n), list(n - 1))));
        cases.extend(
            size("maxItems")
                .map(|n| ("maxItems", list(if n > 1_000 { 1 } else { n }), list(n + 1))),
        );
        if node.contains_key("pattern") {
            cases.push(("pattern", json!("a-b"), json!("A b")));
            let id = regex::Regex::new(node["pattern"].as_str().unwrap()).unwrap();
            assert!(id.is_match("a-b") && !id.is_match("A b") && !id.is_match("-a"), "{path}");
        }
        for name in node.get("enum").and_then(Value::as_array).into_iter().flatten() {
            cases.push(("enum", name.clone(), json!("no such name")));
        }
        for (what, near, far) in cases {
            n += 1;
            let of_near: Vec<_> = told(&with(&path, near.clone()))
                .into_iter()
                .filter(|(at, text)| *at == place(&path) && text.starts_with("error."))
                .collect();
            assert!(of_near.is_empty(), "{path} {what}: {near} is refused: {of_near:?}");
            let found = refused(&path, near, far);
            assert!(!found.is_empty(), "{path} {what}: what is beyond it is taken");
        }
    }
    assert!(n > 150, "only {n} bounds");
}

#[test]
fn every_type_and_every_needed_field_is_asked_for() {
    for (path, node) in places().into_iter().filter(|(path, _)| !path.is_empty()) {
        let wrong = match node.get("type").and_then(Value::as_str) {
            Some("array") => json!({}),
            Some("string" | "boolean" | "number" | "integer" | "object") | None => json!([[]]),
            Some(other) => panic!("{path}: {other}"),
        };
        let found = told(&with(&path, wrong));
        let at = place(&path);
        assert!(found.iter().any(|(place, _)| *place == at), "{path}: {found:?}");
        for key in node.get("required").and_then(Value::as_array).into_iter().flatten() {
            let key = key.as_str().unwrap();
            let mut object = sample(&Value::Object(node.clone()), "/").unwrap();
            object.as_object_mut().unwrap().shift_remove(key);
            let at = format!("{at}/{key}");
            let found = told(&with(&path, object));
            assert!(found.iter().any(|(place, _)| *place == at), "{path}: {key} may be missing");
        }
    }
}

#[test]
fn defaults_are_what_comes_of_saying_nothing() {
    assert_eq!(defaults(app()).len(), 2, "an example cannot be read");
    let at = |path: &str| app().pointer(path).cloned().unwrap_or(Value::Null);
    let properties = |way: &str| format!("/properties/{}", way.replace('/', "/properties/"));
    for (path, wanted) in [
        ("instances", json!(1)),
        ("cpus", json!(1)),
        ("mem", json!(128)),
        ("backoffFactor", json!(1.15)),
        ("killSelection", json!("YOUNGEST_FIRST")),
        ("upgradeStrategy/minimumHealthCapacity", json!(1)),
        ("container/type", json!("DOCKER")),
        ("container/docker/privileged", json!(false)),
    ] {
        assert_eq!(at(&format!("{}/default", properties(path))), wanted, "{path}");
    }
    let check = "/properties/healthChecks/items/properties";
    assert_eq!(at(&format!("{check}/gracePeriodSeconds/default")), json!(300));
    assert_eq!(at(&format!("{check}/protocol/default")), json!("HTTP"));
    assert_eq!(at(&format!("{check}/intervalSeconds/x-unit")), json!("s"));
    let network = "/properties/networks/items/properties";
    assert_eq!(at(&format!("{network}/mode/default")), json!("container"));
    assert_eq!(at("/properties/mem/x-unit"), json!("MiB"));
    assert_eq!(at("/properties/ports/deprecated"), json!(true));
    assert_eq!(at("/required"), json!(["id"]));
    let first: Vec<&String> = app()["properties"].as_object().unwrap().keys().take(3).collect();
    assert_eq!(first, ["id", "instances", "cmd"]);
}

#[test]
fn faults_are_sentences_at_their_place() {
    let apps = Apps::default();
    let said = |definition: Value| {
        let faults = apps.edit(&State::default(), &definition).map(|_| ()).unwrap_err();
        let lines = faults.into_iter().map(|fault| format!("{} {}", fault.path, fault.message));
        lines.collect::<Vec<_>>().join("; ")
    };
    for (definition, wanted) in [
        (
            json!({"id": "/a", "cmd": "sleep 1", "mem": "lots"}),
            r#"/mem mem must be a number of MiB, found "lots""#,
        ),
        (
            json!({"id": "/a", "cmd": "sleep 1", "cpus": 0}),
            "/cpus cpus must be at least 0.001, found 0",
        ),
        (
            json!({"id": "/a", "cmd": "sleep 1", "healthChecks": [{"protocol": "ICMP"}]}),
            r#"/healthChecks/0/protocol healthChecks[0].protocol must be one of HTTP, HTTPS, TCP, COMMAND, MESOS_TCP, MESOS_HTTP or MESOS_HTTPS, found "ICMP""#,
        ),
        (
            json!({"id": "/a", "cmd": "sleep 1", "container": {"docker": {"parameters": [{"key": "x"}]}}}),
            "/container/docker/parameters/0/value container.docker.parameters[0].value is missing",
        ),
        (json!({"cmd": "sleep 1"}), "/id id is missing"),
        (
            json!({"id": "/a"}),
            " Nothing says what is run: name one of cmd and args, or an image in container.docker.image",
        ),
        (
            json!({"id": "/p", "containers": [{"name": "a", "image": {"kind": "DOCKER", "id": "a"}}]}),
            " This is a pod: send it to /v2/pods.",
        ),
        (
            json!({"id": "/A", "cmd": "sleep 1"}),
            "/id id: may hold lower-case letters, digits, dashes and dots between slashes",
        ),
        (
            json!({"id": "/a", "cmd": "sleep 1", "resourceLimits": {"cpus": -1}}),
            "/resourceLimits/cpus resourceLimits.cpus must be at least 0, found -1",
        ),
        (
            json!({"id": "/a", "cmd": "sleep 1", "instances": 2_000_000_000}),
            "/instances instances must be at most 100000 (setting max_instances_per_app), found 2000000000",
        ),
        (json!([]), " A service must be an object"),
    ] {
        assert_eq!(said(definition.clone()), wanted, "{definition}");
    }
}

#[test]
fn what_means_nothing_is_found_at_every_level() {
    let definition = json!({
        "id": "/a", "flavour": 1, "env": {"ANY": "x"}, "labels": {"a/b": "c"},
        "container": {"docker": {"imgae": "x"}, "volumes": [{"containerPath": "x", "sice": 1}]},
        "unreachableStrategy": {"inactiveAfterSeconds": 1, "later": 2},
    });
    let wanted = [
        "/flavour",
        "/container/docker/imgae",
        "/container/volumes/0/sice",
        "/unreachableStrategy/later",
    ];
    assert_eq!(Apps::default().unknown(&definition), wanted);
}
