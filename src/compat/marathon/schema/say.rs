//! What is wrong with a definition, in sentences: the dialect's codes say where, the schema says what
//! would be right.

use serde_json::Value;

use crate::{compat::marathon::json::Violations, control::definitions::Fault};

/// Characters of a wrong value that are repeated.
const FOUND_CHARS_MAX: usize = 40;

/// One sentence for each violation.
pub fn faults(violations: &Violations, document: &Value) -> Vec<Fault> {
    let each = |(path, texts): &(String, Vec<String>)| {
        let way = way(path);
        texts.iter().map(move |text| fault(&way, text, document)).collect::<Vec<_>>()
    };
    violations.list().iter().flat_map(each).collect()
}

/// `/a(0)/b` as its steps.
fn way(path: &str) -> Vec<String> {
    let steps = path.split(['/', '(', ')']).filter(|step| !step.is_empty());
    steps.map(str::to_owned).collect()
}

/// `a[0].b`.
fn label(way: &[String]) -> String {
    way.iter().fold(String::new(), |label, step| match step.parse::<usize>() {
        Ok(_) => format!("{label}[{step}]"),
        Err(_) if label.is_empty() => step.clone(),
        Err(_) => format!("{label}.{step}"),
    })
}

/// One fault as a sentence with its place.
pub fn fault(way: &[String], text: &str, document: &Value) -> Fault {
    let escaped = way.iter().map(|step| step.replace('~', "~0").replace('/', "~1"));
    let path: String = escaped.map(|step| format!("/{step}")).collect();
    let found = document.pointer(&path);
    let nowhere = Value::Null;
    let forms = nodes(way);
    let node = forms.iter().find(|node| fits(node, text)).or(forms.first()).copied();
    let message = match (wanted(text, node.unwrap_or(&nowhere)), way) {
        (Wanted::Value(what), [_, ..]) => {
            let found = found.map_or(String::new(), |value| format!(", found {}", shown(value)));
            format!("{} {what}{found}", label(way))
        }
        (Wanted::Value(what), []) => format!("A service {what}"),
        (Wanted::Missing, _) => format!("{} is missing", label(way)),
        (Wanted::Other(what), []) => what,
        (Wanted::Other(what), [_, ..]) => format!("{}: {what}", label(way)),
    };
    Fault { path, message }
}

enum Wanted {
    /// What the value must be.
    Value(String),
    Missing,
    /// A rule in its own words.
    Other(String),
}

fn wanted(text: &str, node: &Value) -> Wanted {
    let unit = node["x-unit"].as_str().map_or(String::new(), |unit| format!(" of {unit}"));
    let short = node["x-unit"].as_str().map_or(String::new(), |unit| format!(" {unit}"));
    let value = |what: String| Wanted::Value(format!("must be {what}"));
    match text {
        "error.expected.jsnumber" if node["type"] == "integer" => {
            value(format!("a whole number{unit}"))
        }
        "error.expected.jsnumber" => value(format!("a number{unit}")),
        "error.expected.jsstring" | "error.unknown.enum.literal" => match node["enum"].as_array() {
            Some(names) => value(one_of(names)),
            None => value("text".to_owned()),
        },
        "error.expected.jsboolean" => value("true or false".to_owned()),
        "error.expected.jsarray" => value("a list".to_owned()),
        "error.expected.jsobject" => value("an object".to_owned()),
        "error.expected.date.isoformat" => value("a time, as 2026-11-28T08:00:00.000Z".to_owned()),
        "error.min" => value(format!("at least {}{short}", plain(&node["minimum"]))),
        "error.max" => value(format!("at most {}{short}", node["maximum"])),
        "error.minLength" if node["minLength"] == 1 => {
            Wanted::Value("must not be empty".to_owned())
        }
        "error.minLength" => {
            Wanted::Value(format!("must have at least {} characters", node["minLength"]))
        }
        "error.maxLength" => {
            Wanted::Value(format!("may have at most {} characters", node["maxLength"]))
        }
        "error.pattern" => {
            Wanted::Value("may hold lower-case letters, digits and dashes inside".to_owned())
        }
        "error.path.missing" => Wanted::Missing,
        _ if text.contains("is undefined on object") => Wanted::Missing,
        _ => Wanted::Other(rule(text)),
    }
}

/// A rule in our own words, where those of the dialect are for programs.
fn rule(text: &str) -> String {
    if text.starts_with("AppDefinition must either contain") {
        return "Nothing says what is run: name one of cmd and args, or an image in container.docker.image".to_owned();
    }
    if text.starts_with("must fully match regular expression") {
        return "may hold lower-case letters, digits, dashes and dots between slashes".to_owned();
    }
    if text.starts_with("may only specify a single container network") {
        return "The container type DOCKER takes one network only".to_owned();
    }
    if let Some((feature, _)) =
        text.strip_prefix("Feature ").and_then(|text| text.split_once(" is not enabled"))
    {
        return format!(
            "{} are not part of this version; leave them out",
            feature.replace('_', " ")
        );
    }
    match text {
        "must not be an empty string" => "cmd must have at least 2 characters".to_owned(),
        "portMappings are not allowed with host-networking" => {
            "container.portMappings need a bridge or container network: name one in networks, or use portDefinitions".to_owned()
        }
        "portDefinitions are only allowed with host-networking" => {
            "portDefinitions go with the node's own network only: use container.portMappings".to_owned()
        }
        other => other.to_owned(),
    }
}

/// A number without a fraction that it does not have.
fn plain(number: &Value) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

fn one_of(names: &[Value]) -> String {
    let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
    match names.as_slice() {
        [] => "text".to_owned(),
        [only] => (*only).to_owned(),
        [all @ .., last] => format!("one of {} or {last}", all.join(", ")),
    }
}

/// A value as short JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(list) if list.is_empty() => return "an empty list".to_owned(),
        Value::Array(_) => return "a list".to_owned(),
        Value::Object(_) => return "an object".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    let text = value.to_string();
    match text.char_indices().nth(FOUND_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Whether a form of a value is the one a text speaks of.
fn fits(node: &Value, text: &str) -> bool {
    match text {
        "error.min" => !node["minimum"].is_null(),
        "error.max" => !node["maximum"].is_null(),
        "error.unknown.enum.literal" => !node["enum"].is_null(),
        "error.expected.jsnumber" => node["type"] == "number" || node["type"] == "integer",
        _ => true,
    }
}

/// The schemas of what stands at a place: several where there is a choice.
fn nodes(way: &[String]) -> Vec<&'static Value> {
    let mut nodes = vec![super::app()];
    for step in way {
        nodes = nodes.into_iter().flat_map(forms).filter_map(|node| below(node, step)).collect();
    }
    nodes.into_iter().flat_map(forms).collect()
}

/// A schema, or those it lets choose from.
fn forms(node: &'static Value) -> Vec<&'static Value> {
    node["anyOf"].as_array().map_or_else(|| vec![node], |forms| forms.iter().collect())
}

fn below(node: &'static Value, step: &str) -> Option<&'static Value> {
    let items = || node.get("items").filter(|_| step.parse::<usize>().is_ok());
    let named = node.get("properties").and_then(|properties| properties.get(step));
    named.or_else(items).or_else(|| node.get("additionalProperties"))
}

/// Fields nobody reads, each by its place: what is misspelt runs with the default, and nobody would see.
pub fn unknown(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    strangers(document, super::app(), String::new(), &mut found);
    found
}

/// What is told at most: who sends more has sent something else.
const UNKNOWN_MAX: usize = 100;

fn strangers(value: &Value, node: &'static Value, path: String, found: &mut Vec<String>) {
    if found.len() >= UNKNOWN_MAX {
        return;
    }
    match value {
        Value::Object(fields) => {
            let is_free = forms(node)
                .iter()
                .any(|form| form["type"] == "object" && form.get("properties").is_none());
            for (key, value) in fields {
                let here = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
                match forms(node).into_iter().find_map(|form| below(form, key)) {
                    Some(below) => strangers(value, below, here, found),
                    None if is_free => {}
                    None => found.push(here),
                }
            }
        }
        Value::Array(list) => {
            let Some(item) = node.get("items") else { return };
            for (at, value) in list.iter().enumerate() {
                strangers(value, item, format!("{path}/{at}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
