//! A config.yaml as it is written: keys with their lines, values as the original read them, and all that is
//! wrong with it at once.
//!
//! To the original every value was a text: a switch `true` or `false` with or without quotes, a list or a map
//! as YAML or as JSON in a text.

use std::{collections::BTreeMap, path::Path};

use serde_yaml::{Mapping, Value};

use super::keys::{self, Effect, Kind};
use crate::{base::alike, node::settings::line_of};

/// The file, and what is wrong with it so far.
pub struct Document {
    name: String,
    text: String,
    values: BTreeMap<&'static str, Value>,
    faults: Vec<(usize, String)>,
    /// What is known and without effect, in words.
    without: Vec<(usize, String)>,
}

impl Document {
    /// Reads the text of a file; what is no mapping at all is the only error that ends it.
    pub fn read(path: &Path, text: &str) -> Result<Self, String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        let value: Value =
            serde_yaml::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
        let map = match value {
            Value::Mapping(map) => map,
            Value::Null => Mapping::new(),
            _ => return Err(format!("{name}: it has to be lines of key: value")),
        };
        let (faults, without) = (Vec::new(), Vec::new());
        let mut document = Self { name, text, values: BTreeMap::new(), faults, without };
        for (key, value) in map {
            document.take(&key, value);
        }
        Ok(document)
    }

    fn take(&mut self, key: &Value, value: Value) {
        let name = match key {
            Value::String(name) => name.clone(),
            other => serde_yaml::to_string(other).unwrap_or_default().trim().to_owned(),
        };
        let Some(key) = keys::find(&name) else {
            let near = alike::nearest(&name, keys::KEYS.iter().map(|key| key.name));
            let meant = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return self.fault(&name, format!("is no key{meant}"));
        };
        if value.is_null() {
            return; // as if it were not there
        }
        if let Err(text) = self.check_kind(key.kind, &value) {
            return self.fault(&name, text);
        }
        match key.effect {
            Effect::Used(_) => drop(self.values.insert(key.name, value)),
            Effect::Without(why) => {
                let line = self.line(&name);
                self.without.push((line, format!("{name} is without effect: {why}")));
            }
            Effect::Refused(instead) => self.fault(&name, format!("is not possible: {instead}")),
        }
    }

    /// In the original's words where it had some.
    fn check_kind(&self, kind: Kind, value: &Value) -> Result<(), String> {
        match kind {
            Kind::Switch => switch(value).map(drop),
            Kind::Integer => integer(value).map(drop),
            Kind::Text => match value {
                Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => {
                    Err("Must be a string".to_owned())
                }
                _ => Ok(()),
            },
            Kind::List | Kind::Map => {
                let value = structured(value)?;
                match (kind, &value) {
                    (Kind::List, Value::Sequence(_)) | (Kind::Map, Value::Mapping(_)) => Ok(()),
                    // One of them, or several with commas between, is what some keys took.
                    (Kind::List, Value::String(_)) => Ok(()),
                    (Kind::List, _) => Err("Must be a JSON formatted list".to_owned()),
                    _ => Err("Must be a JSON formatted map".to_owned()),
                }
            }
        }
    }

    /// The line a key stands on; 0 where it cannot be found.
    fn line(&self, key: &str) -> usize {
        line_of(&self.text, key).unwrap_or(0)
    }

    /// Something is wrong with the value of a key.
    pub fn fault(&mut self, key: &str, text: impl AsRef<str>) {
        let line = self.line(key);
        self.faults.push((line, format!("{key}: {}", text.as_ref())));
    }

    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub fn text(&self, key: &str) -> Option<String> {
        self.values.get(key).map(plain)
    }

    pub fn switch(&self, key: &str) -> Option<bool> {
        self.values.get(key).and_then(|value| switch(value).ok())
    }

    pub fn integer(&self, key: &str) -> Option<i64> {
        self.values.get(key).and_then(|value| integer(value).ok())
    }

    /// The texts of a list.
    pub fn list(&self, key: &str) -> Option<Vec<String>> {
        match structured(self.values.get(key)?).ok()? {
            Value::Sequence(items) => Some(items.iter().map(plain).collect()),
            Value::String(text) if text.trim().is_empty() => Some(Vec::new()),
            Value::String(text) => {
                Some(text.split(',').map(|item| item.trim().to_owned()).collect())
            }
            _ => None,
        }
    }

    pub fn map(&self, key: &str) -> Option<Mapping> {
        match structured(self.values.get(key)?).ok()? {
            Value::Mapping(map) => Some(map),
            _ => None,
        }
    }

    /// All that is wrong, in the order of the file.
    pub fn faults(&self) -> Vec<String> {
        self.in_order(&self.faults)
    }

    /// All that is without effect.
    pub fn without(&self) -> Vec<String> {
        self.in_order(&self.without)
    }

    fn in_order(&self, lines: &[(usize, String)]) -> Vec<String> {
        let mut lines = lines.to_vec();
        lines.sort_by_key(|(line, _)| *line);
        let place = |line: usize| match line {
            0 => self.name.clone(),
            line => format!("{}:{line}", self.name),
        };
        lines.into_iter().map(|(line, text)| format!("{}: {text}", place(line))).collect()
    }
}

/// A value as the text it was to the original.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null => String::new(),
        other => serde_yaml::to_string(other).unwrap_or_default().trim().to_owned(),
    }
}

fn switch(value: &Value) -> Result<bool, String> {
    match plain(value).as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(format!("Must be one of 'true', 'false'. Got '{other}'.")),
    }
}

fn integer(value: &Value) -> Result<i64, String> {
    let text = plain(value);
    text.parse().map_err(|_| format!("Must be an integer. Got '{text}'."))
}

/// A list or a map, where it may be written as JSON in a text.
fn structured(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) if text.trim_start().starts_with(['[', '{']) => {
            let json: Result<serde_json::Value, _> = serde_json::from_str(text);
            let json = json.map_err(|_| format!("Must be valid JSON. Got: {text}"))?;
            serde_yaml::to_value(json).map_err(|error| error.to_string())
        }
        other => Ok(other.clone()),
    }
}
