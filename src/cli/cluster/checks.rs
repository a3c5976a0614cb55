//! The operator's own checks (`custom_checks`): read, checked by the rules of the original, and as lines of
//! shell.
//!
//! A check is a command that ends with 0 (good), 1 (a warning), 2 (bad) or more (nobody knows).

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::{Mapping, Value};

use crate::node::config::NodeRole;

/// Names of the original's own checks, which no other may have.
const BUILT_IN: [&str; 13] = [
    "components_master",
    "components_agent",
    "xz",
    "tar",
    "curl",
    "unzip",
    "docker",
    "ip_detect_script",
    "mesos_master_replog_synchronized",
    "mesos_agent_registered_with_masters",
    "journald_dir_permissions",
    "cockroachdb_replication",
    "clock_sync",
];
/// Units of a timeout, in nanoseconds.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// One check.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub name: String,
    command: Vec<String>,
    timeout_s: f64,
    /// Of which nodes; empty: all.
    roles: Vec<&'static str>,
}

/// When checks run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checks {
    pub prestart: Vec<Check>,
    pub poststart: Vec<Check>,
    pub cluster: Vec<Check>,
}

impl Check {
    pub fn is_for(&self, role: NodeRole) -> bool {
        let word = if role == NodeRole::Master { "master" } else { "agent" };
        self.roles.is_empty() || self.roles.contains(&word)
    }

    /// A line of shell that runs it; its programs may lie in the directory `bins`.
    pub fn line(&self, bins: &str) -> String {
        let words: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        format!(
            "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:{bins} timeout {} {}",
            self.timeout_s,
            words.join(" ")
        )
    }
}

/// A word that a shell takes as it is.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Reads the value of `custom_checks`.
///
/// # Errors
/// All that is wrong.
pub fn read(map: &Mapping) -> Result<Checks, Vec<String>> {
    let mut reader = Reader::default();
    let checks = reader.all(map);
    if reader.faults.is_empty() { Ok(checks) } else { Err(reader.faults) }
}

#[derive(Default)]
struct Reader {
    faults: Vec<String>,
}

impl Reader {
    fn all(&mut self, map: &Mapping) -> Checks {
        self.only(map, "custom_checks", &["cluster_checks", "node_checks"]);
        let cluster = self.named(map.get("cluster_checks"), "cluster_checks", false);
        let mut checks = Checks { cluster: cluster.into_values().collect(), ..Checks::default() };
        let node = match map.get("node_checks") {
            None => return checks,
            Some(Value::Mapping(node)) => node,
            Some(_) => {
                self.faults.push("node_checks has to be a map".to_owned());
                return checks;
            }
        };
        self.only(node, "node_checks", &["checks", "prestart", "poststart"]);
        let known = self.named(node.get("checks"), "node_checks.checks", true);
        let mut used = BTreeSet::new();
        if !node.contains_key("prestart") && !node.contains_key("poststart") {
            self.faults
                .push("node_checks: at least one of prestart, poststart is needed".to_owned());
        }
        for (list, to) in [("prestart", &mut checks.prestart), ("poststart", &mut checks.poststart)]
        {
            for name in self.texts(node.get(list), &format!("node_checks.{list}")) {
                match known.get(&name) {
                    Some(check) => to.push(check.clone()),
                    None => self.faults.push(format!("node_checks.{list}: {name} is not defined")),
                }
                used.insert(name);
            }
        }
        for name in known.keys().filter(|name| !used.contains(*name)) {
            let text = format!("node_checks.checks.{name} is in neither prestart nor poststart");
            self.faults.push(text);
        }
        checks
    }

    fn only(&mut self, map: &Mapping, of: &str, known: &[&str]) {
        for key in map.keys().map(|key| key.as_str().unwrap_or_default()) {
            if !known.contains(&key) {
                self.faults.push(format!("{of}: {key:?} is none of {}", known.join(", ")));
            }
        }
    }

    fn named(
        &mut self,
        value: Option<&Value>,
        of: &str,
        has_roles: bool,
    ) -> BTreeMap<String, Check> {
        let mut found = BTreeMap::new();
        let map = match value {
            None => return found,
            Some(Value::Mapping(map)) => map,
            Some(_) => {
                self.faults.push(format!("{of} has to be a map"));
                return found;
            }
        };
        for (name, value) in map {
            let name = name.as_str().unwrap_or_default();
            if name.is_empty() || name.contains(char::is_whitespace) {
                self.faults.push(format!("{of}: a name has to be without blanks, not {name:?}"));
            } else if BUILT_IN.contains(&name) {
                self.faults.push(format!("{of}.{name}: a check of the system has that name"));
            } else if let Some(check) = self.check(name, value, &format!("{of}.{name}"), has_roles)
            {
                found.insert(name.to_owned(), check);
            }
        }
        found
    }

    fn check(&mut self, name: &str, value: &Value, of: &str, has_roles: bool) -> Option<Check> {
        let Value::Mapping(map) = value else {
            self.faults.push(format!("{of} has to be a map"));
            return None;
        };
        let known = ["description", "cmd", "timeout", "roles"];
        self.only(map, of, if has_roles { &known } else { &known[..3] });
        if map.get("description").and_then(Value::as_str).is_none() {
            self.faults.push(format!("{of}: description is missing"));
        }
        let command = self.texts(map.get("cmd"), &format!("{of}.cmd"));
        if command.is_empty() {
            self.faults.push(format!("{of}: cmd has to be a list of words"));
        }
        let timeout = map.get("timeout").and_then(Value::as_str).unwrap_or_default();
        let timeout_s = seconds(timeout);
        if timeout_s.is_none() {
            let text = "timeout has to be a number with ns, us, ms, s, m or h";
            self.faults.push(format!("{of}: {text}, not {timeout:?}"));
        }
        let mut roles = Vec::new();
        for role in self.texts(map.get("roles"), &format!("{of}.roles")) {
            match ["master", "agent"].into_iter().find(|known| *known == role) {
                Some(role) => roles.push(role),
                None => self.faults.push(format!("{of}: roles are master and agent, not {role:?}")),
            }
        }
        Some(Check { name: name.to_owned(), command, timeout_s: timeout_s?, roles })
    }

    fn texts(&mut self, value: Option<&Value>, of: &str) -> Vec<String> {
        match value {
            None => Vec::new(),
            Some(Value::Sequence(items)) if items.iter().all(Value::is_string) => {
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(_) => {
                self.faults.push(format!("{of} has to be a list of texts"));
                Vec::new()
            }
        }
    }
}

/// Seconds of a time such as `1s` or `500ms`.
fn seconds(text: &str) -> Option<f64> {
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = text.split_at(at);
    let ns = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    let number: f64 = number.parse().ok()?;
    (number > 0.0).then_some(number * ns / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_yaml(text: &str) -> Result<Checks, Vec<String>> {
        read(&serde_yaml::from_str(text).expect(text))
    }

    #[test]
    fn checks_are_lines_of_shell_for_the_nodes_they_are_for() {
        let checks = read_yaml(
            "cluster_checks:\n  dns: {description: d, cmd: [/bin/true], timeout: 1s}\n\
             node_checks:\n  checks:\n    disk: {description: d, cmd: [df, \"it's\"], timeout: 500ms, roles: [agent]}\n  \
             poststart: [disk]\n",
        )
        .expect("good");
        assert_eq!((checks.cluster.len(), checks.prestart.len()), (1, 0));
        let disk = &checks.poststart[0];
        assert!(disk.is_for(NodeRole::PublicAgent) && !disk.is_for(NodeRole::Master));
        let line = disk.line("/x");
        assert!(line.ends_with(r":/x timeout 0.5 'df' 'it'\''s'"), "{line}");
    }

    #[test]
    fn each_rule_is_told_and_all_at_once() {
        let faults = read_yaml(
            "node_checks:\n  checks:\n    curl: {description: d, cmd: [a], timeout: 1s}\n    \
             'a b': {description: d, cmd: [a], timeout: 1s}\n    \
             late: {cmd: a, timeout: 1 hour, roles: [boss]}\n  prestart: [gone]\nmore: 1\n",
        )
        .expect_err("many faults");
        for part in [
            "custom_checks: \"more\" is none of cluster_checks, node_checks",
            "node_checks.checks.curl: a check of the system has that name",
            "without blanks, not \"a b\"",
            "late: description is missing",
            "late.cmd has to be a list of texts",
            "not \"1 hour\"",
            "roles are master and agent, not \"boss\"",
            "node_checks.prestart: gone is not defined",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:#?}");
        }
        let none = read_yaml("node_checks: {checks: {}}").expect_err("no list");
        assert_eq!(none, ["node_checks: at least one of prestart, poststart is needed"]);
    }
}
