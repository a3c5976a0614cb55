//! The keys a definition may have, level by level, and what a wrong one was meant to be.
//!
//! The server ignores what it does not know, as the original did; a misspelt `cpu:` would run with
//! the default and nobody would see. So the command line looks before it sends.

mod pod;

use serde_json::{Map, Value};

use crate::base::alike;

/// What may stand below a key.
enum Below {
    /// Anything: a plain value, or names that are the author's own.
    Any,
    /// An object with these keys.
    One(&'static Shape),
    /// A list of such objects.
    Many(&'static Shape),
    /// Such objects under names of the author's own.
    Named(&'static Shape),
}

/// The keys of one kind of object.
struct Shape {
    /// Keys with plain values.
    plain: &'static [&'static str],
    /// Keys the server adds when it shows such an object.
    added: &'static [&'static str],
    /// Keys with objects below.
    deep: &'static [(&'static str, Below)],
}

impl Shape {
    const fn plain(plain: &'static [&'static str]) -> Self {
        Self::with(plain, &[])
    }

    const fn with(plain: &'static [&'static str], deep: &'static [(&'static str, Below)]) -> Self {
        Self { plain, added: &[], deep }
    }

    fn below(&self, key: &str) -> Option<&Below> {
        match self.deep.iter().find(|(name, _)| *name == key) {
            Some((_, below)) => Some(below),
            None => self.keys().any(|name| name == key).then_some(&Below::Any),
        }
    }

    fn keys(&self) -> impl Iterator<Item = &'static str> {
        let deep = self.deep.iter().map(|(name, _)| *name);
        self.plain.iter().chain(self.added).copied().chain(deep)
    }
}

/// What the server adds to a definition when it shows an app. Some of it an author may write, too.
pub const ADDED: [&str; 14] = [
    "version",
    "versionInfo",
    "tasks",
    "tasksStaged",
    "tasksRunning",
    "tasksHealthy",
    "tasksUnhealthy",
    "deployments",
    "lastTaskFailure",
    "taskStats",
    "tasksStats",
    "readinessCheckResults",
    "uris",
    "ports",
];

static APP: Shape = Shape {
    plain: &[
        "id",
        "cmd",
        "args",
        "cpus",
        "mem",
        "disk",
        "gpus",
        "instances",
        "user",
        "tty",
        "role",
        "executor",
        "acceptedResourceRoles",
        "backoffFactor",
        "backoffSeconds",
        "maxLaunchDelaySeconds",
        "taskKillGracePeriodSeconds",
        "constraints",
        "dependencies",
        "env",
        "labels",
        "killSelection",
        "requirePorts",
        "storeUrls",
    ],
    added: &ADDED,
    deep: &[
        ("container", Below::One(&CONTAINER)),
        ("healthChecks", Below::Many(&HEALTH)),
        ("check", Below::One(&CHECK)),
        ("readinessChecks", Below::Many(&READINESS)),
        ("networks", Below::Many(&NETWORK)),
        ("portDefinitions", Below::Many(&PORT)),
        ("ipAddress", Below::One(&IP_ADDRESS)),
        ("fetch", Below::Many(&FETCH)),
        ("upgradeStrategy", Below::One(&UPGRADE)),
        ("unreachableStrategy", Below::One(&UNREACHABLE)),
        ("residency", Below::One(&RESIDENCY)),
        ("executorResources", Below::One(&LIMITS)),
        ("resourceLimits", Below::One(&LIMITS)),
        ("secrets", Below::Named(&SECRET)),
    ],
};
static GROUP: Shape = Shape::with(
    &["id", "dependencies", "enforceRole", "scaleBy", "version", "pods"],
    &[("apps", Below::Many(&APP)), ("groups", Below::Many(&GROUP))],
);
static CONTAINER: Shape = Shape::with(
    &["type"],
    &[
        ("docker", Below::One(&DOCKER)),
        ("volumes", Below::Many(&VOLUME)),
        ("portMappings", Below::Many(&MAPPING)),
        ("linuxInfo", Below::One(&LINUX)),
    ],
);
static DOCKER: Shape = Shape::with(
    &["image", "forcePullImage", "privileged", "network", "credential"],
    &[
        ("parameters", Below::Many(&PARAMETER)),
        ("pullConfig", Below::One(&PULL)),
        ("portMappings", Below::Many(&MAPPING)),
    ],
);
static PARAMETER: Shape = Shape::plain(&["key", "value"]);
static PULL: Shape = Shape::plain(&["secret"]);
static LINUX: Shape =
    Shape::with(&[], &[("seccomp", Below::One(&SECCOMP)), ("ipcInfo", Below::One(&IPC))]);
static SECCOMP: Shape = Shape::plain(&["profileName", "unconfined"]);
static IPC: Shape = Shape::plain(&["mode", "shmSize"]);
static VOLUME: Shape = Shape::with(
    &["containerPath", "hostPath", "mode", "secret"],
    &[("persistent", Below::One(&PERSISTENT)), ("external", Below::One(&EXTERNAL))],
);
static PERSISTENT: Shape = Shape::plain(&["type", "size", "maxSize", "profileName", "constraints"]);
static EXTERNAL: Shape = Shape::plain(&["size", "name", "provider", "options", "shared"]);
static MAPPING: Shape = Shape::plain(&[
    "containerPort",
    "hostPort",
    "servicePort",
    "protocol",
    "name",
    "labels",
    "networkNames",
]);
static PORT: Shape = Shape::plain(&["port", "name", "protocol", "labels"]);
static NETWORK: Shape = Shape::plain(&["mode", "name", "labels"]);
static IP_ADDRESS: Shape =
    Shape::with(&["networkName", "groups", "labels"], &[("discovery", Below::One(&DISCOVERY))]);
static DISCOVERY: Shape = Shape::with(&[], &[("ports", Below::Many(&DISCOVERY_PORT))]);
static DISCOVERY_PORT: Shape = Shape::plain(&["number", "name", "protocol", "labels"]);
static FETCH: Shape = Shape::plain(&["uri", "extract", "executable", "cache", "destPath"]);
static HEALTH: Shape = Shape::with(
    &[
        "protocol",
        "path",
        "port",
        "portIndex",
        "gracePeriodSeconds",
        "intervalSeconds",
        "timeoutSeconds",
        "delaySeconds",
        "maxConsecutiveFailures",
        "ignoreHttp1xx",
        "ipProtocol",
    ],
    &[("command", Below::One(&VALUE))],
);
static VALUE: Shape = Shape::plain(&["value"]);
static CHECK: Shape = Shape::with(
    &["intervalSeconds", "timeoutSeconds", "delaySeconds"],
    &[
        ("exec", Below::One(&CHECK_EXEC)),
        ("http", Below::One(&CHECK_HTTP)),
        ("tcp", Below::One(&CHECK_TCP)),
    ],
);
static CHECK_EXEC: Shape = Shape::with(&[], &[("command", Below::One(&CHECK_COMMAND))]);
static CHECK_COMMAND: Shape = Shape::plain(&["shell", "argv"]);
static CHECK_HTTP: Shape = Shape::plain(&["port", "portIndex", "path", "scheme"]);
static CHECK_TCP: Shape = Shape::plain(&["port", "portIndex"]);
static READINESS: Shape = Shape::plain(&[
    "name",
    "protocol",
    "path",
    "portName",
    "intervalSeconds",
    "timeoutSeconds",
    "httpStatusCodesForReady",
    "preserveLastResponse",
]);
static UPGRADE: Shape = Shape::plain(&["minimumHealthCapacity", "maximumOverCapacity"]);
static UNREACHABLE: Shape = Shape::plain(&["inactiveAfterSeconds", "expungeAfterSeconds"]);
static RESIDENCY: Shape = Shape::plain(&["relaunchEscalationTimeoutSeconds", "taskLostBehavior"]);
static LIMITS: Shape = Shape::plain(&["cpus", "mem", "disk"]);
static SECRET: Shape = Shape::plain(&["source"]);

/// Words other systems use for the same thing, and where it stands here.
const ELSEWHERE: [(&str, &str); 16] = [
    ("name", "id"),
    ("command", "cmd"),
    ("entrypoint", "cmd or args"),
    ("replicas", "instances"),
    ("scale", "instances"),
    ("count", "instances"),
    ("ram", "mem"),
    ("environment", "env"),
    ("image", "container.docker.image"),
    ("docker", "container.docker"),
    ("volumes", "container.volumes"),
    ("portMappings", "container.portMappings"),
    ("network", "networks"),
    ("resources", "cpus, mem and disk beside id"),
    ("restart", "nothing: ended instances are always started again"),
    ("depends_on", "dependencies"),
];

/// A key nobody would look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The way to it, itself included: `/container/docker/img`.
    pub path: String,
    pub key: String,
    /// What to write instead, where that is clear.
    pub instead: Option<String>,
}

/// Every unknown key of an app's definition.
pub fn of_app(app: &Value) -> Vec<Unknown> {
    unknown(&APP, app)
}

/// Every unknown key of a pod's definition.
pub fn of_pod(pod: &Value) -> Vec<Unknown> {
    unknown(&pod::POD, pod)
}

/// Every unknown key of a group itself; its apps and groups are looked at one by one.
pub fn of_group_alone(group: &Value) -> Vec<Unknown> {
    let mut alone = group.clone();
    for inside in ["apps", "groups"] {
        if let Some(value) = alone.get_mut(inside) {
            *value = Value::Null;
        }
    }
    unknown(&GROUP, &alone)
}

fn unknown(shape: &Shape, value: &Value) -> Vec<Unknown> {
    let mut found = Vec::new();
    object(shape, value, "", &mut found);
    found
}

fn object(shape: &Shape, value: &Value, path: &str, found: &mut Vec<Unknown>) {
    let Value::Object(fields) = value else { return };
    for (key, value) in fields.iter().filter(|(key, _)| !is_comment(key)) {
        let here = format!("{path}/{key}");
        match shape.below(key) {
            None => found.push(Unknown {
                path: here,
                key: key.clone(),
                instead: instead(shape, key, fields, path.is_empty()),
            }),
            Some(Below::Any) => {}
            Some(Below::One(shape)) => object(shape, value, &here, found),
            Some(Below::Many(shape)) => {
                for (at, value) in value.as_array().into_iter().flatten().enumerate() {
                    object(shape, value, &format!("{here}/{at}"), found);
                }
            }
            Some(Below::Named(shape)) => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    object(shape, value, &format!("{here}/{name}"), found);
                }
            }
        }
    }
}

/// JSON has no comments; these are how people write them.
fn is_comment(key: &str) -> bool {
    ["_", "$", "//", "#", "x-"].iter().any(|mark| key.starts_with(mark))
}

/// A word of another system, a misspelt key that is not there yet, or a key that belongs elsewhere.
fn instead(shape: &Shape, key: &str, there: &Map<String, Value>, top: bool) -> Option<String> {
    let is_pod = std::ptr::eq(shape, &pod::POD);
    let elsewhere = ELSEWHERE.iter().find(|(word, _)| top && !is_pod && *word == key);
    if let Some((_, instead)) = elsewhere {
        return Some((*instead).to_owned());
    }
    if let Some(near) = alike::nearest(key, shape.keys().filter(|k| !there.contains_key(*k))) {
        return Some(near.to_owned());
    }
    [("container.", &CONTAINER), ("container.docker.", &DOCKER), ("", &APP)]
        .into_iter()
        .filter(|(_, other)| !std::ptr::eq(*other, shape))
        .find(|(_, other)| other.below(key).is_some())
        .map(|(place, _)| match place {
            "" => format!("{key} beside id"),
            place => format!("{place}{key}"),
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn misspelt_keys_are_found_at_every_level() {
        let app = serde_json::json!({
            "id": "/a", "cpu": 1, "memory": 5, "replicas": 2, "image": "x", "flavour": 1,
            "_comment": "none", "x-team": "none",
            "labels": {"anything": "goes"}, "env": {"CPU": "1"},
            "container": {"docker": {"imgae": "x", "volumes": []}, "portmappings": []},
            "healthChecks": [{"protocol": "HTTP", "graceperiod": 3}],
            "secrets": {"s": {"sourc": "x"}},
        });
        let found: Vec<String> = of_app(&app)
            .into_iter()
            .map(|u| format!("{} → {}", u.path, u.instead.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(
            found,
            [
                "/cpu → cpus",
                "/memory → mem",
                "/replicas → instances",
                "/image → container.docker.image",
                "/flavour → -",
                "/container/docker/imgae → image",
                "/container/docker/volumes → container.volumes",
                "/container/portmappings → portMappings",
                "/healthChecks/0/graceperiod → gracePeriodSeconds",
                "/secrets/s/sourc → source",
            ]
        );
        let group = serde_json::json!({"id": "/g", "app": [], "groups": [{"apps": [{"idd": 1}]}]});
        let paths: Vec<String> = of_group_alone(&group).into_iter().map(|u| u.path).collect();
        assert_eq!(paths, ["/app"]);
    }

    /// The server's reader names its keys in its source; none may be missing here.
    #[test]
    fn every_key_the_server_reads_is_known() {
        fn collect(shape: &Shape, known: &mut BTreeSet<&'static str>) {
            known.extend(shape.keys());
            for (_, below) in shape.deep {
                match below {
                    Below::One(below) | Below::Many(below) | Below::Named(below)
                        if !std::ptr::eq(*below, shape) =>
                    {
                        collect(below, known);
                    }
                    _ => {}
                }
            }
        }
        let mut known = BTreeSet::new();
        collect(&GROUP, &mut known);
        collect(&pod::POD, &mut known);
        let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/src/compat/marathon/spec");
        let asked = r#"(?:opt|opt_with|need|defined|seconds|number|text|least|fraction|get)\((?:&o, )?"([A-Za-z0-9]+)""#;
        let asked = regex::Regex::new(asked).unwrap();
        let mut n = 0;
        for file in std::fs::read_dir(spec).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for key in asked.captures_iter(&text).map(|c| c[1].to_owned()) {
                n += 1;
                assert!(known.contains(key.as_str()), "{key} is read by the server");
            }
        }
        assert!(n > 100, "the reader's calls are no longer found in its source: {n}");
    }
}
