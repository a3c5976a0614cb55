//! The document against the server: paths and methods, statuses, and every field of every answer,
//! both ways. What is answered is documented, and what is documented is answered.

mod live;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use http::Method;
use serde_json::Value;
use tepui::{
    api::routes,
    base::{clock::Clock as _, level::LEVEL, units::Milli},
    control::series::{Measure, Subject, store::Sample},
    core::{ClusterCommand, NodeCommand},
    http::route::Access,
    model::{
        AppId,
        container::{ContainerSpec, Probe, ProbePort, SIDECAR},
        instance::{CheckStatus, Condition, ContainerStatus},
        link::{EngineAway, TaskUsage, Usage},
        master::{Addresses, Master},
        node::{Duty, FaultDomain},
        workload::{Constraint, Kind, Operator},
    },
};

use super::{
    ask,
    stock::{a_day, keeps},
};
use crate::world::{World, health_check, readiness_check, spec};

/// The document.
struct Contract(Value);

impl Contract {
    fn load() -> Self {
        let text = include_str!("../../../docs/api/openapi.yaml");
        Self(serde_yaml::from_str(text).unwrap())
    }

    /// `METHOD path` of every operation, path parameters with their names.
    fn operations(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for (path, item) in self.0["paths"].as_object().unwrap() {
            for method in ["get", "post", "put", "patch", "delete"] {
                if item.get(method).is_some() {
                    all.insert(format!("{} /tepui/v1{path}", method.to_uppercase()));
                }
            }
        }
        all
    }

    /// What a reference leads to, with the name it goes by.
    fn resolve<'a>(&'a self, schema: &'a Value) -> (&'a Value, Option<&'a str>) {
        let Some(to) = schema["$ref"].as_str() else { return (schema, None) };
        let path = to.strip_prefix('#').expect("a reference within the document");
        let found = self.0.pointer(path).unwrap_or_else(|| panic!("{to} leads nowhere"));
        (found, path.rsplit('/').next())
    }

    /// The responses of an operation by status.
    fn responses(&self, method: &Method, path: &str) -> &serde_json::Map<String, Value> {
        let operation = &self.0["paths"][path][method.as_str().to_lowercase()];
        operation["responses"].as_object().unwrap_or_else(|| panic!("{method} {path}"))
    }

    /// The schema of a response's JSON.
    fn body<'a>(&'a self, response: &'a Value) -> Option<&'a Value> {
        let (response, _) = self.resolve(response);
        response["content"].get("application/json").map(|content| &content["schema"])
    }

    /// The fields of an object: schema and full name of each, and which must be there.
    fn fields<'a>(&'a self, schema: &'a Value, name: &str, out: &mut Fields<'a>) {
        let (schema, known_as) = self.resolve(schema);
        let name = known_as.unwrap_or(name);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.fields(part, name, out);
        }
        for (field, inner) in schema["properties"].as_object().into_iter().flatten() {
            out.known.insert(field.clone(), (inner, format!("{name}.{field}")));
        }
        let required = schema["required"].as_array().into_iter().flatten();
        out.required.extend(required.map(|field| field.as_str().unwrap().to_owned()));
        out.others = out.others.or(schema.get("additionalProperties"));
    }

    /// Every field that answers of `schema` may have.
    fn all(&self, schema: &Value, name: &str, out: &mut BTreeSet<String>) {
        let (resolved, known_as) = self.resolve(schema);
        let name = known_as.unwrap_or(name);
        if let Some(items) = resolved.get("items") {
            return self.all(items, &format!("{name}[]"), out);
        }
        let mut fields = Fields::default();
        self.fields(schema, name, &mut fields);
        for (inner, full) in fields.known.values() {
            out.insert(full.clone());
            self.all(inner, full, out);
        }
    }
}

#[derive(Default)]
struct Fields<'a> {
    known: BTreeMap<String, (&'a Value, String)>,
    required: BTreeSet<String>,
    others: Option<&'a Value>,
}

/// Answers compared with the document.
struct Check<'a> {
    contract: &'a Contract,
    seen: BTreeSet<String>,
    problems: Vec<String>,
}

impl Check<'_> {
    fn value(&mut self, schema: &Value, name: &str, value: &Value) {
        let contract = self.contract;
        let (resolved, known_as) = contract.resolve(schema);
        let name = known_as.unwrap_or(name);
        if let Some(words) = resolved["enum"].as_array()
            && !words.contains(value)
        {
            self.problems.push(format!("{name} is {value}, which is no word of the document"));
        }
        let fits = |kind: Option<&str>| match kind {
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            Some("array") => value.is_array(),
            Some("null") => value.is_null(),
            _ => value.is_object(),
        };
        let is_fit = match resolved["type"].as_array() {
            Some(kinds) => kinds.iter().any(|kind| fits(kind.as_str())),
            None => fits(resolved["type"].as_str()),
        };
        if !is_fit {
            self.problems.push(format!("{name} is {value}, not {}", resolved["type"]));
            return;
        }
        if let (Some(items), Some(elements)) = (resolved.get("items"), value.as_array()) {
            elements.iter().for_each(|v| self.value(items, &format!("{name}[]"), v));
        }
        let Some(object) = value.as_object() else { return };
        let mut fields = Fields::default();
        contract.fields(schema, name, &mut fields);
        for field in fields.required.iter().filter(|field| !object.contains_key(*field)) {
            self.problems.push(format!("{name}.{field} is required and not there: {value}"));
        }
        for (field, inner) in object {
            match (fields.known.get(field), fields.others) {
                (Some((inner_schema, full)), _) => {
                    self.seen.insert(full.clone());
                    self.value(inner_schema, full, inner);
                }
                (None, Some(Value::Bool(true))) => {}
                (None, Some(others @ Value::Object(_))) => self.value(others, name, inner),
                (None, _) => self.problems.push(format!("{name}.{field} is not documented")),
            }
        }
    }

    /// Asks, and compares status and body with the operation at `template`.
    async fn ask(
        &mut self,
        world: &Arc<World>,
        method: Method,
        template: &str,
        path: &str,
        body: &str,
    ) {
        let (status, answer) = ask(world, method.clone(), path, body).await;
        let responses = self.contract.responses(&method, template);
        let Some(response) = responses.get(&status.to_string()) else {
            self.problems.push(format!("{method} {path}: {status} is not documented: {answer}"));
            return;
        };
        let Some(schema) = self.contract.body(response) else { return };
        self.value(schema, template, &answer);
        if let Some(code) = answer["error"]["code"].as_str() {
            let codes = &self.contract.0["components"]["schemas"]["Error"]["properties"]["error"];
            let codes = codes["properties"]["code"]["description"].as_str().unwrap();
            assert!(codes.contains(&format!("`{code}`")), "{code} is not documented");
        }
    }
}

#[test]
fn every_route_is_documented_and_every_documented_path_served() {
    let served: BTreeSet<String> = routes::routes()
        .iter()
        .map(|r| format!("{} {}", r.method, r.pattern.as_str().replace("...", "")))
        .collect();
    assert_eq!(served, Contract::load().operations());
}

/// A comma in a text without quotes ends it, and what follows becomes a key that says nothing.
#[test]
fn every_key_of_the_document_has_a_value() {
    fn empty(at: &str, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Null => found.push(at.to_owned()),
            Value::Array(items) => items.iter().for_each(|v| empty(at, v, found)),
            Value::Object(all) => {
                all.iter().for_each(|(key, v)| empty(&format!("{at}/{key}"), v, found));
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    empty("", &Contract::load().0, &mut found);
    assert!(found.is_empty(), "{found:#?}");
}

/// That a caller may be nobody is documented exactly where the route table lets everybody in.
#[test]
fn who_may_ask_is_documented() {
    let contract = Contract::load();
    for route in routes::routes() {
        let path = route.pattern.as_str().replace("...", "");
        let path = path.strip_prefix("/tepui/v1").unwrap();
        let operation = &contract.0["paths"][path][route.method.as_str().to_lowercase()];
        let is_open = route.access == Access::Open;
        assert_eq!(operation.get("security").is_some(), is_open, "{path}");
        let responses = contract.responses(&route.method, path);
        assert_eq!(responses.contains_key("401"), !is_open, "{} {path}", route.method);
        let changes = matches!(route.access, Access::Write | Access::Admin);
        assert_eq!(responses.contains_key("403"), changes, "{} {path}", route.method);
    }
}

/// A cluster with something of everything that answers tell.
pub fn everything() -> Arc<World> {
    let world = World::new();
    world.app("/web", 2, |s| {
        s.run_mut().labels.insert("DCOS_SERVICE_NAME".into(), "web".into());
        s.run_mut().labels.insert("DCOS_SERVICE_SCHEME".into(), "http".into());
        s.run_mut().labels.insert("DCOS_SERVICE_PORT_INDEX".into(), "0".into());
        let port = &mut s.run_mut().containers[0].ports[0];
        port.labels.insert("VIP_0".into(), "/web:80".into());
        port.container_port = Some(80);
        s.run_mut().containers[0]
            .health_checks
            .push(health_check(Probe::Tcp { port: ProbePort::Index(0), ipv6: false }));
    });
    for instance in world.state().instances.keys() {
        world.report(instance.as_str(), Condition::Running, |r| {
            let first_success = Some(world.clock.now());
            r.health = vec![CheckStatus { alive: true, first_success, ..CheckStatus::default() }];
        });
    }
    world.settle(); // deployed
    let web = world.first("/web").id.clone();
    let at = world.clock.now();
    world.report(web.as_str(), Condition::Running, |r| {
        r.message = "up".into();
        r.containers = vec![ContainerStatus {
            name: String::new(),
            condition: Condition::Finished,
            since: at,
            exit_code: Some(0),
            message: String::new(),
        }];
        r.health = vec![CheckStatus {
            consecutive_failures: 1,
            last_success: Some(at),
            last_failure: Some(at),
            last_failure_cause: Some("refused".into()),
            ..CheckStatus::default()
        }];
    });
    world.app("/stopped", 1, |_| {});
    world.app("/stopped", 0, |_| {});
    // Waits for readiness under its deployment.
    let mut late = spec("/late", 1);
    late.run_mut().containers[0].readiness = vec![readiness_check(false)];
    world.put("/late", Some(late));
    world.step();
    world.step();
    world.place();
    world.report(world.first("/late").id.as_str(), Condition::Running, |r| r.ready = false);
    // Fits nowhere, for want of a constraint and of processors.
    world.app("/big", 1, |s| {
        s.run_mut().containers[0].resources.cpus = Milli::whole(64);
        let (field, operator) = ("rack".to_owned(), Operator::Like);
        s.constraints = vec![Constraint { field, operator, value: Some("r1".into()) }];
    });
    world.app("/close", 1, |s| s.run_mut().containers[0].resources.cpus = Milli::whole(4));
    world.place();
    let state = world.state();
    let mut ids = state.nodes.keys().cloned();
    let (a1, a2) = (ids.next().unwrap(), ids.next().unwrap());
    let mut info = state.nodes[&a1].info.clone();
    info.fault_domain = Some(FaultDomain { region: "r".into(), zone: "z".into() });
    world.must(NodeCommand::RegisterNode(Box::new(info)));
    let addresses = Addresses { router: "10.0.0.9:443".into(), ..Addresses::default() };
    let master = Master::new(1, "0.1.0", LEVEL, addresses);
    world.must(ClusterCommand::RegisterMaster(Box::new(master)));
    let until = at + Duration::from_secs(600);
    world.must(NodeCommand::NodeDuty {
        node: a1.clone(),
        duty: Duty::Draining { since: at, until },
    });
    world.reserved("p1", 1.0);
    let tasks = |node| {
        let on = state.instances_on(node);
        on.map(|i| TaskUsage { instance: i.id.clone(), cpus: 0.1, mem_bytes: 1 << 20 }).collect()
    };
    let engine_away = Some(EngineAway { since: at, cause: "no socket".into() });
    let usage = |node, engine_away| {
        Arc::new(Usage { cpus: 0.5, tasks: tasks(node), engine_away, ..Usage::default() })
    };
    let usages = [(a1.clone(), usage(&a1, None)), (a2.clone(), usage(&a2, engine_away))];
    world.usage.lock().extend(usages);
    measured(&world, web.as_str());
    world.files.lock().insert("stdout".into(), b"one\ntwo\n".to_vec());
    // The last word, so that its delay lies ahead.
    world.app("/job", 1, |_| {});
    world.report(world.first("/job").id.as_str(), Condition::Failed, |r| {
        r.message = "Command exited with status 3".into();
        r.started_at = Some(at);
        (r.exit_code, r.tail) = (Some(3), "FATAL: no disk".into());
    });
    world
}

/// A minute of numbers of everything, with a gap.
/// A pod with a container that has ended and a sidecar whose check passes.
fn pod(world: &World) {
    world.app("/pod", 1, |s| {
        let run = s.run_mut();
        run.kind = Kind::Pod;
        run.containers[0].name = "main".into();
        run.containers[0].resources.cpus = Milli::from_f64(0.1);
        let mut side = ContainerSpec { name: "side".into(), ..run.containers[0].clone() };
        side.labels.insert(SIDECAR.into(), "true".into());
        let probe = Probe::Tcp { port: ProbePort::Index(0), ipv6: false };
        side.health_checks.push(health_check(probe));
        run.containers.push(side);
    });
    let at = world.clock.now();
    world.report(world.first("/pod").id.as_str(), Condition::Running, |r| {
        r.containers = vec![ContainerStatus {
            name: "main".into(),
            condition: Condition::Finished,
            since: at,
            exit_code: Some(0),
            message: "Container exited with status 0".into(),
        }];
        r.health = vec![CheckStatus { alive: true, first_success: Some(at), ..Default::default() }];
    });
}

fn measured(world: &World, instance: &str) {
    let now = world.clock.now();
    let node = world.state().instances[instance].placement().unwrap().node.clone();
    let service = Subject::Service(AppId::parse("/web"));
    let instance = Subject::Instance(instance.into());
    for n in [0, 1, 3] {
        let used = vec![(Measure::CpusUsed, 100 * n), (Measure::MemUsed, 2_048)];
        let sample = |subject: &Subject| Sample { subject: subject.clone(), values: used.clone() };
        let mut samples = [&Subject::Cluster, &Subject::Node(node.clone()), &service, &instance]
            .map(sample)
            .to_vec();
        samples[2].values.extend([(Measure::Requests, 1_500), (Measure::Restarts, n)]);
        world.recorded.add(now - Duration::from_secs(30 - 10 * n), &samples);
    }
}

/// Fields that no answer of `everything` has, each for a reason.
const UNSEEN: [&str; 5] = [
    // Nor do its requests come from anywhere.
    "HistoryBy.peer",
    // The world of these tests invites nobody.
    "/nodes/invite.token",
    "/nodes/invite.master",
    "/nodes/invite.expires_at",
    "/nodes/invite.role",
];

#[tokio::test]
async fn answers_are_what_the_document_says_field_by_field() {
    let (contract, world) = (Contract::load(), everything());
    world.seat_and_invite();
    pod(&world);
    let mut c = Check { contract: &contract, seen: BTreeSet::new(), problems: Vec::new() };
    let web = world.task_id("/web");
    let none = "/apps/nope";
    super::logs::time(&world, "stdout", &[(0, 1_000), (4, 3_000)]);
    for (template, path) in [
        ("/status", "/status".to_owned()),
        ("/metrics", "/metrics?of=service:/web".into()),
        ("/metrics", format!("/metrics?of=instance:{web}&range=24h")),
        ("/metrics", "/metrics?of=services".into()),
        ("/metrics", "/metrics?of=nope".into()),
        ("/metrics", "/metrics?of=service:/nope".into()),
        ("/me", "/me".into()),
        ("/backups", "/backups".into()),
        ("/apps", "/apps".into()),
        ("/apps/{id}", "/apps/web".into()),
        ("/apps/{id}", "/apps/job".into()),
        ("/apps/{id}", "/apps/late".into()),
        ("/apps/{id}", "/apps/pod".into()),
        ("/apps/{id}", none.into()),
        ("/apps/{id}/why", "/apps/web/why".into()),
        ("/apps/{id}/why", "/apps/big/why".into()),
        ("/apps/{id}/why", "/apps/close/why".into()),
        ("/apps/{id}/why", "/apps/job/why".into()),
        ("/apps/{id}/why", format!("{none}/why")),
        ("/tasks", "/tasks?all".into()),
        ("/tasks/{id}", format!("/tasks/{web}")),
        ("/tasks/{id}", "/tasks/nope".into()),
        ("/tasks/{id}/files", format!("/tasks/{web}/files")),
        ("/tasks/{id}/files", format!("/tasks/{web}/files?path=../x")),
        ("/tasks/{id}/files/search", format!("/tasks/{web}/files/search?path=stdout&grep=t")),
        ("/tasks/{id}/files/search", format!("/tasks/{web}/files/search?path=stdout")),
        ("/tasks/{id}/files/search", format!("/tasks/{web}/files/search?path=../x&grep=t")),
        ("/tasks/{id}/log", format!("/tasks/{web}/log")),
        ("/tasks/{id}/log", format!("/tasks/{web}/log?offset=x")),
        ("/tasks/{id}/log", format!("/tasks/{web}/log?file=nope")),
        ("/tasks/{id}/exec/ws", format!("/tasks/{web}/exec/ws")),
        ("/schema/app", "/schema/app".into()),
        ("/logs", "/logs?of=/web".into()),
        ("/logs", "/logs?of=/web&limit=1&stream=stdout".into()),
        ("/logs", "/logs?of=/web&limit=1&after=1970-01-01T00:00:00Z".into()),
        ("/logs", format!("/logs?of={web}&grep=(")),
        ("/logs", "/logs?of=/nope".into()),
        ("/nodes", "/nodes".into()),
        ("/nodes/{id}", "/nodes/a1".into()),
        ("/nodes/{id}", "/nodes/nope".into()),
        ("/events", "/events?of=node:nope".into()),
        ("/events", "/events?of=nope".into()),
        ("/metrics", "/metrics?of=services&series=requests".into()),
        ("/metrics", "/metrics?of=services&series=nope".into()),
        ("/nodes/{id}/drain", "/nodes/a1/drain".into()),
        ("/nodes/{id}/drain", "/nodes/a2/drain".into()),
        ("/nodes/{id}/drain", "/nodes/nope/drain".into()),
        ("/deployments", "/deployments".into()),
        ("/debug/tasks", "/debug/tasks".into()),
        ("/level", "/level".into()),
        ("/masters", "/masters".into()),
        ("/invitations", "/invitations".into()),
        ("/debug/reconcilers", "/debug/reconcilers".into()),
        ("/history", "/history?limit=3".into()),
        ("/history", "/history?kind=nonsense".into()),
        ("/apps/{id}/attempts", "/apps/job/attempts".into()),
        ("/apps/{id}/attempts", format!("{none}/attempts")),
        ("/apps/{id}/attempts", "/apps/job/attempts?since=x".into()),
        ("/apps/{id}/versions", "/apps/stopped/versions".into()),
        ("/apps/{id}/versions", "/apps/job/versions?from=x".into()),
        ("/apps/{id}/versions", format!("{none}/versions")),
    ] {
        c.ask(&world, Method::GET, template, &path, "").await;
    }
    for (template, path, body) in [
        ("/nodes/{id}/drain", "/nodes/a1/drain", r#"{"dry_run":true}"#),
        ("/nodes/{id}/drain", "/nodes/a1/drain", r#"{"deadline_s":0}"#),
        ("/nodes/{id}/drain", "/nodes/a1/drain", "{"),
        ("/nodes/{id}/drain", "/nodes/nope/drain", ""),
        ("/nodes/invite", "/nodes/invite", ""),
        ("/nodes/invite", "/nodes/invite", r#"{"role":"king"}"#),
        ("/nodes/invite", "/nodes/invite", r#"{"role":"master","ttl_s":0}"#),
        ("/nodes/invite", "/nodes/invite", "{"),
        ("/tokens/revoke", "/tokens/revoke", ""),
        ("/tokens/revoke", "/tokens/revoke", r#"{"user":"nobody"}"#),
        ("/tokens/revoke", "/tokens/revoke", r#"{"user":"admin","all":true}"#),
        ("/tokens/revoke", "/tokens/revoke", "x"),
        ("/tokens/rotate", "/tokens/rotate", ""),
        ("/masters/{id}/part", "/masters/1/part", r#"{"part":"decides"}"#),
        ("/masters/{id}/part", "/masters/1/part", r#"{"part":"follows"}"#),
        ("/masters/{id}/part", "/masters/1/part", "{"),
        ("/masters/{id}/part", "/masters/9/part", r#"{"part":"follows"}"#),
        ("/backups", "/backups", r#"{"keep":true}"#),
        ("/backups", "/backups", "{}"),
        ("/backups", "/backups", r#"{"passphrase":"correct horse battery","keep":true}"#),
        ("/backups", "/backups", r#"{"keys":["age1x"],"keep":true}"#),
        ("/plan", "/plan", r#"{"id":"/new","cmd":"sleep 9","instances":2,"mem":64,"flavour":1}"#),
        ("/plan", "/plan", r#"{"id":"/web","cmd":"sleep 9","instances":9,"cpus":1}"#),
        ("/plan", "/plan", r#"{"id":"/new","mem":"lots"}"#),
        ("/plan", "/plan", "{"),
        ("/tasks/{id}/exec", "/tasks/nope/exec", "{"),
        ("/tasks/{id}/exec", "/tasks/nope/exec", "{}"),
        ("/tasks/{id}/exec", "/tasks/nope/exec", r#"{"cmd":["x"]}"#),
    ] {
        c.ask(&world, Method::POST, template, path, body).await;
    }
    rolled_back(&mut c, &world, "stopped").await;
    // A line that is longer than what is told of one, and has not ended.
    world.files.lock().insert("stdout".into(), vec![b'x'; 70 << 10]);
    c.ask(&world, Method::GET, "/logs", "/logs?of=/web", "").await;
    let search = "files/search?path=stdout&grep=x";
    c.ask(&world, Method::GET, "/tasks/{id}/files/search", &format!("/tasks/{web}/{search}"), "")
        .await;
    for path in ["/nodes/a1", "/nodes/p1", "/nodes/nope"] {
        c.ask(&world, Method::DELETE, "/nodes/{id}", path, "").await;
    }
    for path in ["/masters/1", "/masters/9", "/masters/x"] {
        c.ask(&world, Method::DELETE, "/masters/{id}", path, "").await;
    }
    for path in ["/invitations/0707070707070707", "/invitations/none"] {
        c.ask(&world, Method::DELETE, "/invitations/{id}", path, "").await;
    }
    world.away.lock().extend(world.state().nodes.keys().cloned());
    for (template, path) in [
        ("/tasks/{id}/log", "log"),
        ("/tasks/{id}/files", "files"),
        ("/tasks/{id}/files/search", search),
    ] {
        c.ask(&world, Method::GET, template, &format!("/tasks/{web}/{path}"), "").await;
    }
    a_day(&world);
    c.ask(&world, Method::GET, "/efficiency", "/efficiency", "").await;
    let kept = World::new();
    keeps(&kept);
    let mut changed = (**kept.state().spec(&AppId::parse("/db")).unwrap()).clone();
    changed.run_mut().containers[0].resources.mem = Milli::whole(65);
    kept.put("/db", Some(changed)); // what runs of it is outdated now
    let home = kept.first("/db").placement().unwrap().hostname.clone();
    for (template, path) in [
        ("/apps/{id}", "/apps/db".to_owned()),
        ("/nodes/{id}/drain", format!("/nodes/{home}/drain")),
        ("/volumes", "/volumes?app=/db".to_owned()),
    ] {
        c.ask(&kept, Method::GET, template, &path, "").await;
    }
    live::stream(&mut c).await;
    live::parts(&mut c).await;

    assert!(c.problems.is_empty(), "{}", c.problems.join("\n"));
    let mut documented = BTreeSet::new();
    for (path, item) in contract.0["paths"].as_object().unwrap() {
        let operations = item.as_object().unwrap().values().filter_map(|o| o.get("responses"));
        for response in operations.flat_map(|r| r.as_object().unwrap().values()) {
            if let Some(schema) = contract.body(response) {
                contract.all(schema, path, &mut documented);
            }
        }
    }
    for name in
        ["LiveSnapshot", "LiveDelta", "PlacedSnapshot", "PlacedDelta", "NodeDelta", "NodeMeasured"]
    {
        contract.all(&contract.0["components"]["schemas"][name], name, &mut documented);
    }
    let unseen: Vec<&String> =
        documented.difference(&c.seen).filter(|name| !UNSEEN.contains(&name.as_str())).collect();
    assert!(unseen.is_empty(), "documented and never answered: {unseen:#?}");
    assert!(UNSEEN.iter().all(|name| documented.contains(*name)), "UNSEEN names what is not there");
}

/// Asks for a way back to the first version of an app, and for what the history says then.
async fn rolled_back(c: &mut Check<'_>, world: &Arc<World>, app: &str) {
    let path = format!("/apps/{app}/versions");
    let (_, answer) = ask(world, Method::GET, &path, "").await;
    let versions = answer["versions"].as_array().unwrap();
    let [last, first] = [versions.first(), versions.last()].map(|v| v.unwrap()["version"].clone());
    let diff = format!("{path}?from={}", first.as_str().unwrap());
    c.ask(world, Method::GET, "/apps/{id}/versions", &diff, "").await;
    let path = format!("/apps/{app}/rollback");
    for body in [
        serde_json::json!({"to": first, "dry_run": true}),
        serde_json::json!({"to": "x"}),
        serde_json::json!({"to": "2020-01-01T00:00:00.000Z"}),
        serde_json::json!({"to": first}),
        // Now a deployment works on it.
        serde_json::json!({"to": last}),
        serde_json::json!({"to": last, "keep_instances": true}),
    ] {
        c.ask(world, Method::POST, "/apps/{id}/rollback", &path, &body.to_string()).await;
    }
    c.ask(world, Method::POST, "/apps/{id}/rollback", &path, "{").await;
    let body = serde_json::json!({"to": first}).to_string();
    c.ask(world, Method::POST, "/apps/{id}/rollback", "/apps/nope/rollback", &body).await;
    c.ask(world, Method::GET, "/apps/{id}/versions", &format!("/apps/{app}/versions"), "").await;
    c.ask(world, Method::GET, "/history", "/history", "").await;
    // What somebody began says so.
    c.ask(world, Method::GET, "/deployments", "/deployments", "").await;
}
