//! What the cluster has to say about a definition: its roles, what is there, what must not change.

use serde_json::{Value, json};

use super::*;
use crate::{
    compat::marathon::{handlers::apps::updated, json as edge},
    core::{
        WorkloadCommand,
        apply::tests::world,
        command::{Expect, GroupChange, GroupEdit, PutApps},
    },
};

/// A cluster and the dialect's settings.
struct Story {
    world: world::World,
    settings: Settings,
}

impl Story {
    fn new() -> Self {
        Self { world: world::World::new(0), settings: Settings::default() }
    }

    fn judge(&self, force: bool) -> World<'_> {
        World::new(&self.world.state, &self.settings, force)
    }

    /// Makes an app of a whole definition.
    fn make(&mut self, json: Value) {
        let id = PathId::parse(json["id"].as_str().unwrap());
        let spec = self.judge(true).whole(&id, edge::read(&json).unwrap()).unwrap().spec;
        self.world.put(spec);
    }

    /// Whether the apps of a top-level group have its name for a role.
    fn rule(&mut self, group: &str, enforce: bool) {
        let change = GroupChange::Put { dependencies: None, enforce_role: Some(enforce) };
        let edit = GroupEdit { id: PathId::parse(group), change };
        let put = PutApps { groups: vec![edit], ..world::put(&self.world.id(), Vec::new()) };
        self.world.ok(WorkloadCommand::PutApps(Box::new(put)));
    }

    /// A change of an app as its definition afterwards, or why not.
    fn change(&self, id: &str, json: Value, force: bool) -> Result<Value, String> {
        let done = self.judge(force).update(&PathId::parse(id), edge::read(&json).unwrap());
        done.map(|done| serde_json::to_value(done.app).unwrap()).map_err(told)
    }
}

/// The first broken rule.
fn told(error: Error) -> String {
    let Error::Rules(found) = error else { return error.to_string() };
    serde_json::to_value(found).unwrap()[0]["errors"][0].as_str().unwrap().to_owned()
}

#[test]
fn apps_get_the_role_of_their_place() {
    let mut story = Story::new();
    story.rule("/strict", true);
    story.rule("/loose", false);
    let only = |role: &str| Err(format!("got other, expected one of: [{role}]"));
    for (id, asked, wanted) in [
        ("/top", None, Ok("slave_public")),
        ("/top", Some("other"), only("slave_public")),
        ("/strict/a", None, Ok("strict")),
        ("/strict/deep/a", None, Ok("strict")),
        ("/strict/a", Some("strict"), Ok("strict")),
        ("/strict/a", Some("other"), only("strict")),
        ("/loose/a", None, Ok("slave_public")),
        ("/loose/a", Some("loose"), Ok("loose")),
        ("/loose/a", Some("other"), only("loose, slave_public")),
        // New top-level groups enforce.
        ("/new/a", None, Ok("new")),
        ("/new/a", Some("other"), only("new")),
    ] {
        let json = json!({"cmd": "sleep 1", "role": asked});
        let got = story.change(id, json, false).map(|app| app["role"].clone());
        assert_eq!(got, wanted.map(|role| json!(role)), "{id} {asked:?}");
    }
    // What the request itself says about the group comes first.
    let judge = World { enforce_role: Some(false), ..story.judge(false) };
    let app = edge::read(&json!({"cmd": "sleep 1"})).unwrap();
    let done = judge.whole(&PathId::parse("/strict/a"), app).unwrap();
    assert_eq!(done.spec.run.role.as_str(), "slave_public");
}

#[test]
fn a_role_is_kept_until_somebody_insists() {
    let mut story = Story::new();
    story.make(json!({"id": "/g/a", "cmd": "sleep 1", "role": "g"}));
    story.rule("/g", false);
    let kept = story.change("/g/a", json!({"instances": 2}), false).unwrap();
    assert_eq!(kept["role"], "g", "the default of the group would be another");
    let other = json!({"role": "slave_public"});
    let refused = story.change("/g/a", other.clone(), false).unwrap_err();
    assert!(refused.contains("force=true"), "{refused}");
    assert_eq!(story.change("/g/a", other, true).unwrap()["role"], "slave_public");
}

#[test]
fn dependencies_are_taken_from_where_the_app_is() {
    let story = Story::new();
    for (sent, wanted) in [
        ("/x/y", "/x/y"),
        ("db", "/shop/db"),
        ("store/db", "/shop/store/db"),
        ("./side", "/shop/web/side"),
        ("../db", "/shop/db"),
        ("../../x", "/x"),
        ("../../../../x", "/x"),
    ] {
        let json = json!({"cmd": "sleep 1", "dependencies": [sent]});
        let app = story.change("/shop/web", json, false).unwrap();
        assert_eq!(app["dependencies"], json!([wanted]), "{sent}");
    }
}

#[test]
fn what_an_app_keeps_on_its_node_does_not_change() {
    let mut story = Story::new();
    let volume = |size: u32| json!({"containerPath": "d", "persistent": {"size": size}});
    let container = |volumes: Value| json!({"container": {"type": "MESOS", "volumes": volumes}});
    let mut json = container(json!([volume(5)]));
    json["id"] = json!("/g/db");
    json["cmd"] = json!("sleep 1");
    story.make(json);
    for (change, wanted) in [
        (json!({"cmd": "sleep 2", "instances": 2}), None),
        (container(json!([volume(5)])), None),
        (container(json!([volume(6)])), Some("Persistent volumes can not be changed!")),
        (
            container(json!([volume(5), {"containerPath": "e", "persistent": {"size": 1}}])),
            Some("Persistent volumes can not be changed!"),
        ),
        (json!({"mem": 129}), Some("Resident Tasks may not change resource requirements!")),
        (json!({"gpus": 1}), Some("Resident Tasks may not change resource requirements!")),
        (
            json!({"requirePorts": true}),
            Some("Resident Tasks may not change host port requirements!"),
        ),
    ] {
        let got = story.change("/g/db", change.clone(), false).err();
        assert_eq!(got.as_deref(), wanted, "{change}");
    }
}

#[test]
fn a_definition_has_an_end() {
    let story = Story::new();
    let env = |n_bytes: usize| json!({"cmd": "sleep 1", "env": {"A": "x".repeat(n_bytes)}});
    assert!(story.change("/g/a", env(limit::DEFINITION_BYTES_MAX - 4096), false).is_ok());
    let refused = story.change("/g/a", env(limit::DEFINITION_BYTES_MAX), false).unwrap_err();
    assert!(refused.contains("bytes"), "{refused}");
}

#[test]
fn an_answer_shows_what_the_state_will_keep() {
    let story = Story::new();
    let sent = json!({"cmd": "sleep 1", "args": [], "env": {}, "fetch": [], "constraints": []});
    let shown = story.change("/g/a", sent, false).unwrap();
    for key in ["args", "env", "fetch", "constraints", "version", "versionInfo"] {
        assert_eq!(shown.get(key), None, "{key}");
    }
}

#[test]
fn a_stored_version_comes_back_alone_or_not_at_all() {
    let mut story = Story::new();
    story.make(json!({"id": "/g/a", "cmd": "sleep 1"}));
    let id = PathId::parse("/g/a");
    let version = story.world.state.spec(&id).unwrap().version.to_string();
    let back = |json: Value, partial: bool| {
        let update = edge::read(&json).unwrap();
        updated(&story.judge(false), &id, update, partial).map_err(told)
    };
    let edit = back(json!({"version": version, "id": "/g/a"}), true).unwrap();
    assert_eq!(edit.expect, Expect::Present);
    assert!(edit.new.as_ref() == story.world.state.spec(&id).map(|spec| &**spec));
    let alone = "The 'version' field may only be combined with the 'id' field.";
    let more = back(json!({"version": version, "cmd": "sleep 2"}), true);
    assert_eq!(more.unwrap_err(), alone);
    let never = back(json!({"version": "2001-01-01T00:00:00.000Z"}), true).unwrap_err();
    assert_eq!(never, "App '/g/a' does not exist in version 2001-01-01T00:00:00.000Z");
    // A whole definition is one, whatever version it says.
    let whole = back(json!({"version": version, "cmd": "sleep 3"}), false).unwrap();
    assert_eq!(whole.new.unwrap().run.containers.len(), 1);
}

#[test]
fn a_port_that_was_given_is_not_one_that_was_asked_for() {
    let mut story = Story::new();
    story.make(json!({
        "id": "/g/a", "cmd": "sleep 1", "requirePorts": true,
        "portDefinitions": [{"port": 0}, {"port": 8080}],
    }));
    let id = PathId::parse("/g/a");
    let given = story.world.state.spec(&id).unwrap().run.ports().next().unwrap().service_port;
    assert_ne!(given, 0);
    let held = |update: Value| {
        let spec = story.judge(false).update(&id, edge::read(&update).unwrap()).unwrap().spec;
        spec.run.ports().map(|port| port.host_port.unwrap()).collect::<Vec<_>>()
    };
    let ports = |first: u16| json!({"portDefinitions": [{"port": first}, {"port": 8080}]});
    assert_eq!(held(json!({"instances": 3})), [0, 8080]);
    assert_eq!(held(ports(given)), [0, 8080], "who sends back what was shown");
    assert_eq!(held(ports(0)), [0, 8080]);
    assert_eq!(held(ports(9090)), [9090, 8080]);
    assert_eq!(held(json!({"requirePorts": false})), [0, 0]);
}
