//! What updates of groups come to: which apps and groups are put, which go, and what is refused.

use serde_json::{Value, json};

use super::*;
use crate::{
    compat::marathon::{json as edge, settings::Settings},
    core::{WorkloadCommand, apply::tests::world, command::PutApps},
};

/// A cluster of groups.
struct Story {
    world: world::World,
    settings: Settings,
}

impl Story {
    /// With these apps, each with as many instances as it says.
    fn with(apps: &[(&str, u32)]) -> Self {
        let mut story = Self { world: world::World::new(0), settings: Settings::default() };
        for (id, n) in apps {
            story.world.put(world::app(id, *n));
        }
        story
    }

    fn pod(&mut self, id: &str) {
        let mut pod = world::app(id, 1);
        pod.run_mut().kind = Kind::Pod;
        self.world.put(pod);
    }

    fn edits(&self, group: &str, update: Value) -> Result<Edits, Error> {
        let update = edge::read(&update).unwrap();
        let world = World::new(&self.world.state, &self.settings, true);
        edits(world, &PathId::parse(group), &update)
    }

    /// The edits of an update, one word each: `+app`, `-app`, `+group/`, `-group/`.
    fn words(&self, group: &str, update: Value) -> String {
        let edits = self.edits(group, update).unwrap();
        let app =
            |edit: &Edit| format!("{}{}", if edit.new.is_some() { '+' } else { '-' }, edit.id);
        let group = |edit: &GroupEdit| match edit.change {
            GroupChange::Put { .. } => format!("+{}/", edit.id),
            GroupChange::Delete => format!("-{}/", edit.id),
        };
        let all = edits.apps.iter().map(app).chain(edits.groups.iter().map(group));
        all.collect::<Vec<_>>().join(" ")
    }

    /// The broken rules of an update, as `path text`.
    fn refused(&self, group: &str, update: Value) -> Vec<String> {
        let error = self.edits(group, update).map(|_| ()).unwrap_err();
        let Error::Rules(found) = error else { panic!("{error:?}") };
        let found = serde_json::to_value(found).unwrap();
        let line = |entry: &Value| {
            format!("{} {}", entry["path"].as_str().unwrap(), entry["errors"][0].as_str().unwrap())
        };
        found.as_array().unwrap().iter().map(line).collect()
    }

    /// Has edits decided, as the dialect would.
    fn apply(&mut self, edits: Edits) {
        let put = world::put(&self.world.id(), edits.apps);
        let put = PutApps { groups: edits.groups, force: true, ..put };
        self.world.ok(WorkloadCommand::PutApps(Box::new(put)));
    }
}

fn app(id: &str) -> Value {
    json!({"id": id, "cmd": "sleep 1"})
}

#[test]
fn a_list_that_is_sent_replaces_what_is_there() {
    let story = Story::with(&[("/g/a", 1), ("/g/b", 1), ("/g/sub/c", 1), ("/other/d", 1)]);
    for (update, wanted) in [
        (json!({}), "+/g/"),
        (json!({"apps": [app("a")]}), "+/g/a -/g/b +/g/"),
        (json!({"apps": []}), "-/g/a -/g/b +/g/"),
        (json!({"apps": [app("/g/a"), app("b"), app("new")]}), "+/g/a +/g/b +/g/new +/g/"),
        (json!({"groups": []}), "+/g/ -/g/sub/"),
        (json!({"groups": [{"id": "sub"}]}), "+/g/ +/g/sub/"),
        (json!({"groups": [{"id": "sub", "apps": []}]}), "-/g/sub/c +/g/ +/g/sub/"),
        // A group further below keeps the ones on the way to it.
        (json!({"groups": [{"id": "sub/deep"}]}), "+/g/ +/g/sub/deep/"),
        (
            json!({"apps": [], "groups": [{"id": "/g/new", "apps": [app("x")]}]}),
            "-/g/a -/g/b +/g/new/x +/g/ +/g/new/ -/g/sub/",
        ),
    ] {
        assert_eq!(story.words("/g", update.clone()), wanted, "{update}");
    }
    assert_eq!(story.words("/", json!({"groups": [{"id": "g"}]})), "+// +/g/ -/other/");
}

#[test]
fn pods_stay_whatever_a_list_says() {
    let mut story = Story::with(&[("/g/a", 1)]);
    story.pod("/g/pod");
    story.pod("/g/sub/pod");
    assert_eq!(story.words("/g", json!({"apps": [], "groups": []})), "-/g/a +/g/");
    let world = World::new(&story.world.state, &story.settings, true);
    let gone = removal(&world, &PathId::parse("/g"));
    assert_eq!((gone.apps.len(), gone.groups.len()), (1, 0), "the group holds pods, and stays");
    assert_eq!(gone.apps[0].id.as_str(), "/g/a");
}

#[test]
fn names_that_lead_out_of_their_group_are_refused() {
    let story = Story::with(&[]);
    let hint = "Hint: use relative paths.";
    for (update, wanted) in [
        (
            json!({"apps": [app("a"), app("/x/b")]}),
            format!("/apps(1)/id identifier /x/b is not child of /g. {hint}"),
        ),
        (
            json!({"apps": [app("sub/a")]}),
            format!("/apps(0)/id identifier /g/sub/a is not child of /g. {hint}"),
        ),
        (
            json!({"groups": [{"id": "../x"}]}),
            format!("/groups(0)/id identifier /x is not child of /g. {hint}"),
        ),
        (
            json!({"groups": [{"id": "."}]}),
            format!("/groups(0)/id identifier /g is not child of /g. {hint}"),
        ),
        (json!({"apps": [app("a"), app("./a")]}), "/apps(1) /g/a is defined twice".to_owned()),
        (
            json!({"groups": [{"id": "s", "apps": [{"id": "a"}]}]}),
            "/groups(0)/apps(0) AppDefinition must either contain one of 'cmd' or 'args', and/or a \
             'container'."
                .to_owned(),
        ),
        (
            json!({"groups": [{"id": "s", "enforceRole": true}]}),
            "/groups(0)/enforceRole enforceRole can only be set on top-level groups".to_owned(),
        ),
    ] {
        assert_eq!(story.refused("/g", update.clone()), [wanted], "{update}");
    }
    let bad = story.refused("/g", json!({"groups": [{"id": "A"}]}));
    assert!(bad[0].starts_with("/groups(0)/id must fully match"), "{bad:?}");
}

#[test]
fn options_stand_alone() {
    let story = Story::with(&[("/g/a", 3)]);
    let alone =
        |name: &str| [format!("/ The '{name}' field may only be combined with the 'id' field.")];
    assert_eq!(story.refused("/g", json!({"scaleBy": 2, "apps": []})), alone("scaleBy"));
    let version = story.world.state.at.to_string();
    let update = json!({"version": version, "dependencies": []});
    assert_eq!(story.refused("/g", update), alone("version"));
    let never = story.edits("/g", json!({"version": "2001-01-01T00:00:00.000Z"})).unwrap_err();
    let text = "Group '/g' does not exist in version 2001-01-01T00:00:00.000Z";
    assert_eq!(never.to_string(), text);
}

#[test]
fn scaling_multiplies_every_app_below_and_rounds_up() {
    let mut story = Story::with(&[("/g/a", 3), ("/g/sub/b", 1), ("/g/none", 0), ("/x/c", 5)]);
    story.pod("/g/pod");
    for (factor, wanted) in [
        (json!(0.5), [2, 0, 1]),
        (json!(2), [6, 0, 2]),
        (json!(0), [0, 0, 0]),
        (json!(1e12), [u32::MAX, 0, u32::MAX]),
    ] {
        let edits = story.edits("/g", json!({"scaleBy": factor})).unwrap();
        let n = |edit: &Edit| edit.new.as_ref().unwrap().instances;
        let ids: Vec<&str> = edits.apps.iter().map(|edit| edit.id.as_str()).collect();
        assert_eq!(ids, ["/g/a", "/g/none", "/g/sub/b"], "{factor}");
        assert_eq!(edits.apps.iter().map(n).collect::<Vec<_>>(), wanted, "{factor}");
    }
}

#[test]
fn a_version_brings_back_what_was_there() {
    let mut story = Story::with(&[("/g/a", 2), ("/g/sub/b", 1)]);
    let then = story.world.state.group_versions(&PathId::parse("/g"))[0];
    let spec = |story: &Story, id: &str| story.world.state.spec(&PathId::parse(id)).cloned();
    let before = spec(&story, "/g/a").unwrap();
    let changed = json!({"apps": [{"id": "a", "cmd": "sleep 2"}, app("new")], "groups": []});
    let edits = story.edits("/g", changed).unwrap();
    story.apply(edits);
    assert!(spec(&story, "/g/sub/b").is_none() && spec(&story, "/g/new").is_some());
    let back = story.edits("/g", json!({"version": then.to_string()})).unwrap();
    story.apply(back);
    let after = spec(&story, "/g/a").unwrap();
    assert!(!before.config_differs(&after) && after.instances == 2);
    assert!(spec(&story, "/g/sub/b").is_some() && spec(&story, "/g/new").is_none());
}

#[test]
fn the_role_rule_of_a_group_counts_for_its_own_apps() {
    let story = Story::with(&[]);
    let role = |edits: &Edits, id: &str| {
        let edit = edits.apps.iter().find(|edit| edit.id.as_str() == id).unwrap();
        edit.new.as_ref().unwrap().run.role.to_string()
    };
    // Of new groups the first says that it does not enforce; the others say nothing, and do.
    let update = json!({"groups": [
        {"id": "loose", "enforceRole": false, "apps": [app("a")],
            "groups": [{"id": "deep", "apps": [app("b")]}]},
        {"id": "strict/deep", "apps": [app("c")]},
        {"id": "last", "apps": [app("d")]},
    ]});
    let edits = story.edits("/", update).unwrap();
    let roles =
        ["/loose/a", "/loose/deep/b", "/strict/deep/c", "/last/d"].map(|id| role(&edits, id));
    assert_eq!(roles, ["slave_public", "slave_public", "strict", "last"]);
}

#[test]
fn a_changed_role_rule_comes_without_changed_services() {
    let mut story = Story::with(&[]);
    let made = json!({"enforceRole": true, "apps": [app("a")]});
    let edits = story.edits("/g", made).unwrap();
    story.apply(edits);
    let text = ["/enforceRole enforceRole and services can not be changed in one request"];
    for apps in [json!([app("a"), app("b")]), json!([]), json!([{"id": "a", "cmd": "sleep 2"}])] {
        let update = json!({"enforceRole": false, "apps": apps});
        assert_eq!(story.refused("/g", update.clone()), text, "{update}");
        let same = json!({"enforceRole": true, "apps": update["apps"]});
        assert!(story.edits("/g", same.clone()).is_ok(), "{same}");
    }
    assert!(story.edits("/g", json!({"enforceRole": false})).is_ok());
    assert!(story.edits("/g", json!({"enforceRole": false, "apps": [app("a")]})).is_ok());
}

#[test]
fn what_is_edited_holds_only_for_what_was_seen() {
    let story = Story::with(&[("/g/a", 1)]);
    let edits = story.edits("/g", json!({"apps": [app("a"), app("b")]})).unwrap();
    let seen = story.world.state.spec(&PathId::parse("/g/a")).unwrap().version;
    assert_eq!((edits.apps[0].expect, edits.apps[0].base), (Expect::Present, Some(seen)));
    assert_eq!((edits.apps[1].expect, edits.apps[1].base), (Expect::Absent, None));
}
