//! Files of other systems, or for parts that are not there: what they are, and what to do instead.

use serde_json::{Map, Value, json};

/// A recognised file that is no app.
#[derive(Debug, PartialEq, Eq)]
pub struct Foreign {
    pub what: String,
    pub details: Vec<String>,
    pub hint: String,
}

/// What a document is, when it is none of ours.
pub fn recognise(document: &Value) -> Option<Foreign> {
    let Value::Object(fields) = document else { return None };
    let told = |what: &str, details: Vec<String>, hint: &str| {
        Some(Foreign { what: what.to_owned(), details, hint: hint.to_owned() })
    };
    if fields.contains_key("apiVersion") && fields.contains_key("kind") {
        let kind = fields["kind"].as_str().unwrap_or("object");
        let what = format!("this is a Kubernetes {kind}; tepui takes app definitions");
        let hint = "write it as an app: id, container.docker.image, cpus, mem, instances, env";
        return told(&what, Vec::new(), hint);
    }
    if let Some(services) = services(fields) {
        let (first, service) = services.iter().next()?;
        let mut details = vec![format!("its service {first}, for example, as an app:")];
        details.extend(app_text(first, service));
        let what = "this is a Compose file; tepui takes app definitions";
        return told(what, details, "write each service as an app, several to a file with ---");
    }
    if fields.get("containers").is_some_and(Value::is_array) {
        let hint = "pods are deployed by: tepui pod deploy FILE";
        return told("this is a pod, not an app", Vec::new(), hint);
    }
    if fields.get("run").is_some_and(Value::is_object) {
        let what = "this is a job, and jobs are not part of tepui yet";
        return told(what, Vec::new(), "an app is started again when it ends; a job needs cron");
    }
    None
}

/// The services of a Compose file, in its present or its first form.
fn services(fields: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let is_service = |value: &Value| value.get("image").or_else(|| value.get("build")).is_some();
    if let Some(Value::Object(services)) = fields.get("services")
        && !fields.contains_key("id")
    {
        return Some(services).filter(|s| !s.is_empty());
    }
    (!fields.contains_key("id") && !fields.is_empty() && fields.values().all(is_service))
        .then_some(fields)
}

/// A service of Compose as far as it has the same meaning here, as lines of YAML.
fn app_text(name: &str, service: &Value) -> Vec<String> {
    let mut app = Map::new();
    app.insert("id".into(), json!(format!("/{}", name.replace('_', "-"))));
    match &service["command"] {
        Value::String(text) => drop(app.insert("cmd".into(), json!(text))),
        Value::Array(args) => drop(app.insert("args".into(), json!(args))),
        _ => {}
    }
    app.insert("cpus".into(), json!(0.5));
    app.insert("mem".into(), json!(256));
    let env = environment(&service["environment"]);
    if !env.is_empty() {
        app.insert("env".into(), Value::Object(env));
    }
    let image = service["image"].as_str().unwrap_or("the image you built");
    let mut container = json!({"type": "DOCKER", "docker": {"image": image}});
    let ports: Vec<Value> =
        service["ports"].as_array().into_iter().flatten().filter_map(port).collect();
    if !ports.is_empty() {
        app.insert("networks".into(), json!([{"mode": "container/bridge"}]));
        container["portMappings"] = ports.into();
    }
    app.insert("container".into(), container);
    let text = serde_yaml::to_string(&app).unwrap_or_default();
    text.lines().map(|line| format!("  {line}")).collect()
}

/// Compose writes variables as an object or as a list of `NAME=value`.
fn environment(value: &Value) -> Map<String, Value> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    match value {
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), json!(text(v)))).collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_str)
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(k, v)| (k.to_owned(), json!(v)))
            .collect(),
        _ => Map::new(),
    }
}

/// `8080:80`, `127.0.0.1:8080:80/tcp` and `80` as mappings; the host's port is tepui's to choose.
fn port(value: &Value) -> Option<Value> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        other => other.as_str()?.to_owned(),
    };
    let (text, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
    let port: u16 = text.rsplit(':').next()?.parse().ok()?;
    Some(json!({"containerPort": port, "hostPort": 0, "protocol": protocol}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_others_are_told_apart_and_lead_on() {
        for (text, what) in [
            ("apiVersion: v1\nkind: Pod", Some("this is a Kubernetes Pod")),
            ("services: {web: {image: nginx}}", Some("this is a Compose file")),
            ("web: {image: nginx}\ndb: {build: .}", Some("this is a Compose file")),
            ("id: /p\ncontainers: []", Some("this is a pod")),
            ("id: j\nrun: {cmd: x}", Some("this is a job")),
            ("id: /a\ncmd: x", None),
            ("id: /a\nimage: x", None),
            ("cpus: 1", None),
        ] {
            let found = recognise(&serde_yaml::from_str(text).unwrap());
            let what_found = found.as_ref().map(|f| f.what.as_str());
            assert!(what.is_none() == what_found.is_none(), "{text}: {what_found:?}");
            if let (Some(what), Some(found)) = (what, what_found) {
                assert!(found.starts_with(what), "{text}: {found}");
            }
        }
    }

    #[test]
    fn a_service_of_compose_is_shown_as_an_app_that_has_known_keys_only() {
        let service = json!({
            "image": "nginx:1.27", "ports": ["8080:80", 443, "127.0.0.1:53:53/udp"],
            "environment": ["A=1", "B"], "command": ["nginx", "-g"],
        });
        let text = app_text("web_1", &service).join("\n");
        let app: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(super::super::keys::of_app(&app), []);
        assert_eq!((&app["id"], &app["env"]["A"]), (&json!("/web-1"), &json!("1")));
        let ports = app["container"]["portMappings"].as_array().unwrap();
        assert_eq!((ports.len(), &ports[2]["protocol"]), (3, &json!("udp")));
    }
}
