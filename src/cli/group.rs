//! A group in a file is its apps: each by its whole id, with the group's dependencies as its own.
//!
//! Sent as one list they become one deployment, and no app that the file does not name is touched;
//! the dialect's own way of putting a group would remove those.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::text::{field, list};
use crate::model::path::PathId;

/// A path of steps and the app that stands there.
type Placed = (Value, Vec<String>);
/// Where the trouble stands and what it is.
type Problem = (String, String);

/// Whether a definition is one of a group.
pub fn is_group(definition: &Value) -> bool {
    definition.get("apps").is_some() || definition.get("groups").is_some()
}

/// Every app of a group, with the way to it in the group's definition.
pub fn apps(group: &Value) -> Result<Vec<Placed>, Problem> {
    let mut found = Vec::new();
    walk(group, &PathId::root(), &[], &BTreeSet::new(), &mut found)?;
    let ids: Vec<PathId> = found.iter().map(|(app, _)| PathId::parse(field(app, "id"))).collect();
    for (app, _) in &mut found {
        expand(app, &ids);
    }
    Ok(found)
}

fn walk(
    group: &Value,
    above: &PathId,
    path: &[String],
    inherited: &BTreeSet<PathId>,
    found: &mut Vec<Placed>,
) -> Result<(), Problem> {
    let place = || path.iter().map(|step| format!("/{step}")).collect::<String>();
    if let Some(unknown) = super::keys::of_group_alone(group).into_iter().next() {
        let instead = unknown.instead.map(|i| format!("; did you mean {i}?")).unwrap_or_default();
        let text = format!("{} is no key of a group{instead}", unknown.key);
        return Err((format!("{}{}", place(), unknown.path), text));
    }
    if field(group, "id").is_empty() {
        return Err((place(), "a group needs an id, as /prod".to_owned()));
    }
    let id = PathId::parse_below(field(group, "id"), above);
    let mut needed = inherited.clone();
    let own = list(group, "dependencies").filter_map(Value::as_str);
    needed.extend(own.map(|text| PathId::parse_below(text, &id.parent())));
    let inside = |kind: &str, at: usize| {
        path.iter().cloned().chain([kind.to_owned(), at.to_string()]).collect::<Vec<_>>()
    };
    for (at, app) in list(group, "apps").enumerate() {
        let (mut app, path) = (app.clone(), inside("apps", at));
        if field(&app, "id").is_empty() {
            let place = path.iter().map(|step| format!("/{step}")).collect();
            return Err((place, "an app needs an id, as web".to_owned()));
        }
        app["id"] = json!(PathId::parse_below(field(&app, "id"), &id).as_str());
        let own = list(&app, "dependencies").filter_map(Value::as_str);
        let mut all: BTreeSet<PathId> = own.map(|text| PathId::parse_below(text, &id)).collect();
        all.extend(needed.iter().cloned());
        if !all.is_empty() {
            app["dependencies"] = all.iter().map(PathId::as_str).collect::<Vec<_>>().into();
        }
        found.push((app, path));
    }
    for (at, group) in list(group, "groups").enumerate() {
        walk(group, &id, &inside("groups", at), &needed, found)?;
    }
    Ok(())
}

/// A dependency on a group is one on each of its apps.
fn expand(app: &mut Value, ids: &[PathId]) {
    let own = PathId::parse(field(app, "id"));
    let mut all: BTreeSet<PathId> = BTreeSet::new();
    for needed in list(app, "dependencies").filter_map(Value::as_str).map(PathId::parse) {
        let inside: Vec<PathId> =
            ids.iter().filter(|id| id.is_below(&needed) && **id != own).cloned().collect();
        if inside.is_empty() {
            all.insert(needed);
        } else {
            all.extend(inside);
        }
    }
    if !all.is_empty() {
        app["dependencies"] = all.iter().map(PathId::as_str).collect::<Vec<_>>().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_its_apps_by_their_whole_ids() {
        let group = json!({
            "id": "/prod",
            "apps": [{"id": "web", "dependencies": ["/prod/data"]}],
            "groups": [{"id": "data", "apps": [{"id": "db"}, {"id": "/prod/data/cache"}]},
                       {"id": "jobs", "dependencies": ["data"], "apps": [{"id": "mail"}]}],
        });
        let apps = apps(&group).unwrap();
        let told: Vec<String> = apps
            .iter()
            .map(|(app, path)| {
                format!("{} {} {}", field(app, "id"), path.join("/"), app["dependencies"])
            })
            .collect();
        assert_eq!(
            told,
            [
                r#"/prod/web apps/0 ["/prod/data/cache","/prod/data/db"]"#,
                "/prod/data/db groups/0/apps/0 null",
                "/prod/data/cache groups/0/apps/1 null",
                r#"/prod/jobs/mail groups/1/apps/0 ["/prod/data/cache","/prod/data/db"]"#,
            ]
        );
        let nameless = json!({"id": "/g", "groups": [{"apps": []}]});
        assert_eq!(super::apps(&nameless).unwrap_err().0, "/groups/0");
        let odd = json!({"id": "/g", "app": [], "apps": []});
        assert!(super::apps(&odd).unwrap_err().1.starts_with("app is no key of a group"));
    }
}
