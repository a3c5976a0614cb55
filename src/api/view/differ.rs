//! Two definitions field by field, as the Marathon dialect shows them.
//!
//! Values stand as in the definitions themselves: whoever may read one may read the other.

use serde::Serialize;
use serde_json::Value;

/// Fields told in one answer.
const FIELDS_MAX: usize = 500;
/// What every version differs in.
const STAMPS: [&str; 2] = ["version", "versionInfo"];

/// One field that differs; absent where it is not set. Texts stand as they are, all else as JSON.
#[derive(Debug, PartialEq, Serialize)]
pub struct FieldRow {
    /// As a JSON pointer.
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// What differs, in the order of the fields' names.
pub fn fields(old: &Value, new: &Value) -> Vec<FieldRow> {
    let mut out = Vec::new();
    walk(String::new(), Some(old), Some(new), &mut out);
    out.truncate(FIELDS_MAX);
    out
}

fn walk(path: String, old: Option<&Value>, new: Option<&Value>, out: &mut Vec<FieldRow>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                if path.is_empty() && STAMPS.contains(&name.as_str()) {
                    continue;
                }
                let step = name.replace('~', "~0").replace('/', "~1");
                walk(format!("{path}/{step}"), before.get(name), after.get(name), out);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after)))
            if before.iter().chain(after).any(Value::is_object) =>
        {
            for at in 0..before.len().max(after.len()) {
                walk(format!("{path}/{at}"), before.get(at), after.get(at), out);
            }
        }
        (old, new) => out.push(FieldRow { path, old: old.map(shown), new: new.map(shown) }),
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_told_by_its_place() {
        let old = json!({"version": "a", "env": {"A": "1", "B/C": "x"}, "args": ["a"],
            "ports": [{"port": 1, "name": "web"}], "mem": 64});
        let new = json!({"version": "b", "env": {"A": "1", "D": "2"}, "args": ["a", "b"],
            "ports": [{"port": 2, "name": "web"}, {"port": 3}], "mem": 64});
        let told = serde_json::to_value(fields(&old, &new)).unwrap();
        assert_eq!(
            told,
            json!([
                {"path": "/args", "old": r#"["a"]"#, "new": r#"["a","b"]"#},
                {"path": "/env/B~1C", "old": "x"},
                {"path": "/env/D", "new": "2"},
                {"path": "/ports/0/port", "old": "1", "new": "2"},
                {"path": "/ports/1", "new": r#"{"port":3}"#},
            ])
        );
        assert_eq!(fields(&old, &old), []);
    }
}
