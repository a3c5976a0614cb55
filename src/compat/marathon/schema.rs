//! The schema of a definition: drawn by the readers themselves, with what the rules add and what the
//! fields mean.
//!
//! Types, bounds of types and names come from `spec`, defaults from `normalize`: a definition in which
//! nothing is said is completed, and what is there afterwards is the default. Only meanings and the few
//! bounds that `validate` knows are written down, and a test holds those to the rules.

pub mod say;
mod words;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::{json as edge, normalize, settings::Settings, spec::App};
use words::{FORMER, MEANINGS, UNITS};

/// The schema, made once.
pub fn app() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(make);
    &SCHEMA
}

/// Bounds that are rules, not types.
fn rules() -> [(&'static str, Value); 12] {
    const NAME: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";
    [
        ("/id", json!({"pattern": ID})),
        ("/cmd", json!({"minLength": 2})),
        ("/container/docker/image", json!({"minLength": 1})),
        ("/container/volumes/-/persistent/size", json!({"minimum": 1})),
        ("/container/portMappings/-/name", json!({"pattern": NAME})),
        ("/portDefinitions/-/name", json!({"pattern": NAME})),
        ("/networks/-/name", json!({"pattern": "^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$"})),
        ("/constraints/-", json!({"minItems": 2, "maxItems": 3})),
        ("/acceptedResourceRoles", json!({"minItems": 1})),
        ("/readinessChecks", json!({"maxItems": 1})),
        ("/upgradeStrategy/minimumHealthCapacity", json!({"minimum": 0, "maximum": 1})),
        ("/upgradeStrategy/maximumOverCapacity", json!({"minimum": 0, "maximum": 1})),
    ]
}

/// Segments of letters, digits, inner dashes and dots, between slashes.
const ID: &str = concat!(
    "^/*[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*",
    "(/+[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)*/*$"
);

fn make() -> Value {
    let mut schema = edge::draw(App::read_whole);
    let defaults = defaults(&schema);
    each(&mut schema, "", &mut |path, node| {
        describe(path, node);
        if let Some(default) = default_of(&defaults, path).filter(|_| !node.contains_key("anyOf")) {
            node.insert("default".to_owned(), default.clone());
        }
        for (_, more) in rules().iter().filter(|(of, _)| *of == path) {
            node.extend(more.as_object().cloned().unwrap_or_default());
        }
    });
    let mut whole = Map::new();
    whole.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    whole.insert("title".to_owned(), json!("Service"));
    whole.extend(schema.as_object().cloned().unwrap_or_default());
    Value::Object(whole)
}

/// Visits a schema and all below it, each with the way there.
pub fn each(schema: &mut Value, path: &str, visit: &mut dyn FnMut(&str, &mut Map<String, Value>)) {
    let Value::Object(node) = schema else { return };
    visit(path, node);
    below(node, path, visit);
}

fn below(
    node: &mut Map<String, Value>,
    path: &str,
    visit: &mut dyn FnMut(&str, &mut Map<String, Value>),
) {
    for form in node.get_mut("anyOf").and_then(Value::as_array_mut).into_iter().flatten() {
        // A form stands where its choice does; only what is below it is a place of its own.
        if let Value::Object(form) = form {
            below(form, path, visit);
        }
    }
    let properties = node.get_mut("properties").and_then(Value::as_object_mut);
    for (key, value) in properties.into_iter().flatten() {
        each(value, &format!("{path}/{key}"), visit);
    }
    for (key, name) in [("items", "-"), ("additionalProperties", "*")] {
        if let Some(value) = node.get_mut(key) {
            each(value, &format!("{path}/{name}"), visit);
        }
    }
}

fn describe(path: &str, node: &mut Map<String, Value>) {
    let (mut told, rest): (Vec<_>, Vec<_>) =
        std::mem::take(node).into_iter().partition(|(key, _)| key == "type");
    if let Some((_, meaning)) = MEANINGS.iter().find(|(of, _)| *of == path) {
        told.push(("description".to_owned(), json!(meaning)));
    }
    let is_number = |(_, kind): &(String, Value)| kind == "number" || kind == "integer";
    let unit = UNITS.iter().find(|(end, _)| path.ends_with(end));
    if let Some((_, unit)) = unit.filter(|_| told.first().is_none_or(is_number)) {
        told.push(("x-unit".to_owned(), json!(unit)));
    }
    if FORMER.contains(&path) {
        told.push(("deprecated".to_owned(), json!(true)));
    }
    node.extend(told);
    node.extend(rest);
    if let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) {
        order(path, properties);
    }
}

/// Properties in the order in which they are explained.
fn order(path: &str, properties: &mut Map<String, Value>) {
    let place = |key: &str| {
        let way = format!("{path}/{key}");
        MEANINGS.iter().position(|(of, _)| *of == way).unwrap_or(usize::MAX)
    };
    let mut list: Vec<(String, Value)> = std::mem::take(properties).into_iter().collect();
    list.sort_by_key(|(key, _)| (FORMER.contains(&format!("{path}/{key}").as_str()), place(key)));
    properties.extend(list);
}

/// What definitions become that name every object and nothing in it: one on the node's own network,
/// one with mapped ports.
fn defaults(schema: &Value) -> Vec<(Value, Value)> {
    let whole = sample(schema, "").unwrap_or_default();
    let without = |keys: &[&str]| {
        let mut asked = whole.clone();
        for key in keys {
            let (way, key) = key.rsplit_once('/').unwrap_or_default();
            if let Some(Value::Object(map)) = asked.pointer_mut(way) {
                map.shift_remove(key);
            }
        }
        let mut app = edge::read::<App>(&asked).ok()?;
        normalize::complete(&mut app, &Settings::default());
        Some((asked, serde_json::to_value(app).ok()?))
    };
    let kinds: [&[&str]; 2] = [&["/networks", "/container/portMappings"], &["/portDefinitions"]];
    kinds.into_iter().filter_map(without).collect()
}

/// An example that says no more than it must: every object, one element in every list of objects.
pub fn sample(schema: &Value, path: &str) -> Option<Value> {
    // A command makes another kind of check of it.
    if FORMER.contains(&path) || path == "/healthChecks/-/command" {
        return None;
    }
    if let Some(form) = schema["anyOf"].get(0) {
        return sample(form, path);
    }
    match schema["type"].as_str()? {
        "object" => sample_object(schema, path),
        "array" => {
            let item = sample(&schema["items"], &format!("{path}/-"));
            Some(item.map_or_else(|| json!([]), |item| json!([item])))
        }
        "string" => Some(schema["enum"].get(0).cloned().unwrap_or_else(|| json!("x"))),
        "integer" | "number" => Some(json!(schema["minimum"].as_f64().unwrap_or(0.0).max(1.0))),
        _ => Some(json!(true)),
    }
}

fn sample_object(schema: &Value, path: &str) -> Option<Value> {
    let Some(properties) = schema["properties"].as_object() else {
        return schema["additionalProperties"].is_null().then(|| json!({}));
    };
    let needed = schema["required"].as_array();
    let is_needed = |key: &str| needed.is_some_and(|needed| needed.iter().any(|n| n == key));
    let is_deep = |below: &Value| below["type"] == "object" || below["items"]["type"] == "object";
    let named = properties.iter().filter(|(key, below)| is_needed(key) || is_deep(below));
    let entry = |(key, below): (&String, &Value)| {
        Some((key.clone(), sample(below, &format!("{path}/{key}"))?))
    };
    Some(Value::Object(named.filter_map(entry).collect()))
}

/// What has come to be at a place where nothing was said.
fn default_of<'a>(made: &'a [(Value, Value)], path: &str) -> Option<&'a Value> {
    let way = path.replace("/-", "/0");
    let (around, _) = way.rsplit_once('/').unwrap_or_default();
    made.iter().find_map(|(asked, completed)| {
        // What comes with a list that nobody named is the list's default, not its elements'.
        asked.pointer(around)?;
        let value = completed.pointer(&way).filter(|_| asked.pointer(&way).is_none())?;
        (value.is_number() || value.is_boolean() || value.is_string()).then_some(value)
    })
}

#[cfg(test)]
mod tests;
