//! What Mesos clients read of a small cluster, and that every answer is JSON whatever is in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    agent::{self, Detail, agent},
    facts::Facts,
    framework,
    history::{Counters, History, Past},
    json::{Json, text},
    metrics, resource,
    state::{self, Wanted},
    task,
};
use crate::{
    base::{clock::Timestamp, units::Milli},
    core::{
        Change, Command, NodeCommand, TaskCommand, WorkloadCommand,
        apply::tests::world::{self, World, app},
        command::{PutApps, Scale},
    },
    model::{
        Instance, NodeId, Pools, Ranges, Resources, Role, Scalars, WorkloadSpec,
        instance::Condition,
        node::{Attribute, Duty, NodeInfo, NodeKind},
        path::PathId,
        resource::Value as Named,
    },
};

pub fn parsed(write: impl FnOnce(&mut Json<'_>)) -> Value {
    let text = text(write);
    let shown = || String::from_utf8_lossy(&text).into_owned();
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{error}: {}", shown()))
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

proptest! {
    #[test]
    fn any_text_reads_back_as_it_was(name in any::<String>(), value in any::<String>()) {
        let read = parsed(|j| j.object(|j| j.text_at(&name, &value)));
        prop_assert_eq!(read, json!({ name: value }));
    }

    #[test]
    fn any_quantity_is_a_number_with_a_fraction(thousandths in any::<i64>()) {
        let written = text(|j| j.quantity_at("n", Milli::new(thousandths)));
        let written = String::from_utf8(written).unwrap();
        let number = written.strip_prefix("\"n\":").unwrap();
        let (whole, rest) = number.split_once('.').unwrap();
        prop_assert!((1..=3).contains(&rest.len()), "{}", number);
        let padded = format!("{whole}{rest:0<3}");
        prop_assert_eq!(padded.parse::<i64>().unwrap(), thousandths);
    }

    #[test]
    fn any_float_is_a_number(value in any::<f64>()) {
        parsed(|j| j.object(|j| j.float_at("n", value)));
        let written = text(|j| j.float_at("n", value));
        let written = String::from_utf8(written).unwrap();
        let wanted = if value.is_finite() { value } else { 0.0 };
        prop_assert_eq!(written.trim_start_matches("\"n\":").parse(), Ok(wanted));
    }
}

#[test]
fn an_answer_in_pieces_is_the_answer() {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut sink = |piece: Vec<u8>| {
        pieces.push(piece);
        true
    };
    let mut json = Json::new(&mut sink);
    json.object(|j| {
        j.list_at("l", |j| {
            for n in 0..40_000 {
                j.object(|j| j.int_at("number", n));
            }
        });
    });
    json.finish();
    assert!(pieces.len() > 2, "{}", pieces.len());
    let read: Value = serde_json::from_slice(&pieces.concat()).unwrap();
    assert_eq!(read["l"].as_array().unwrap().len(), 40_000);
    assert_eq!(read["l"][39_999], json!({"number": 39_999}));
}

#[test]
fn resources_are_told_in_both_shapes() {
    let resources = Resources {
        scalars: Scalars::of(0.5, 128.0, 0.0, 0.0),
        ports: Ranges::of([(31_000, 31_001), (31_005, 31_005)]),
        named: BTreeMap::from([
            ("bandwidth".into(), Named::Scalar(Milli::from_f64(2.25))),
            ("fpga".into(), Named::Set(BTreeSet::from(["b".into(), "a".into()]))),
            ("ids".into(), Named::Ranges(Ranges::of([(1, 2)]))),
        ]),
    };
    let totals = parsed(|j| j.object(|j| resource::totals(j, "r", &resources)));
    assert_eq!(
        totals["r"],
        json!({
            "cpus": 0.5, "mem": 128.0, "disk": 0.0, "gpus": 0.0, "bandwidth": 2.25,
            "ports": "[31000-31001, 31005-31005]", "fpga": "{a, b}", "ids": "[1-2]",
        })
    );
    let elements = parsed(|j| j.list(|j| resource::elements(j, &Role::from("web"), &resources)));
    let static_to = json!([{"type": "STATIC", "role": "web"}]);
    let ports = json!({"range": [
        {"begin": 31_000, "end": 31_001}, {"begin": 31_005, "end": 31_005}]});
    assert_eq!(
        elements[2],
        json!({"name": "ports", "type": "RANGES", "ranges": ports, "role": "web",
            "reservations": static_to})
    );
    let names: Vec<&Value> = elements.as_array().unwrap().iter().map(|e| &e["name"]).collect();
    assert_eq!(names, ["cpus", "mem", "ports", "bandwidth", "fpga", "ids"], "none of nothing");
    let free = parsed(|j| j.list(|j| resource::elements(j, &Role::star(), &resources)));
    assert_eq!(free[0].get("reservations"), None);
}

/// A cluster in which one instance of `spec` runs.
pub fn running(spec: WorkloadSpec) -> World {
    let mut w = World::new(1);
    w.put(spec);
    w.settle();
    w
}

pub fn only(w: &World) -> &Arc<Instance> {
    w.state.instances.values().next().unwrap()
}

/// Takes changes into a history.
fn remember(history: &History, w: &World, changes: &[Change]) {
    history.take(changes, &w.state);
}

#[test]
fn what_ended_is_remembered_with_what_it_ran() {
    let history = History::default();
    let mut w = running(app("/a", 1));
    let id = only(&w).id.clone();
    let changes = w.report(&id, Condition::Failed);
    remember(&history, &w, &changes);
    w.now += 1_000_000;
    w.launch_all();
    let changes = w.report(&id, Condition::Running);
    remember(&history, &w, &changes);
    // The app goes, and with its last instance its definition.
    let put = world::put(&w.id(), vec![world::edit(&PathId::parse("/a"), None)]);
    let changes = w.ok(WorkloadCommand::PutApps(Box::new(put)));
    remember(&history, &w, &changes);
    w.reconcile();
    let changes = w.report(&id, Condition::Killed);
    remember(&history, &w, &changes);
    let past = history.past();
    let ended: Vec<(Condition, u32)> =
        past.ended.iter().map(|e| (e.instance.condition(), e.instance.incarnation)).collect();
    assert_eq!(ended, [(Condition::Failed, 1), (Condition::Killed, 2)]);
    assert!(past.ended.iter().all(|e| e.spec.id.as_str() == "/a"));
    let wanted = Counters { tasks_failed: 1, tasks_killed: 1, ..Counters::default() };
    assert_eq!(past.counters, wanted);
}

#[test]
fn a_task_on_a_lost_node_is_remembered_once_it_is_given_up() {
    let history = History::default();
    let mut w = World::new(2);
    w.put(app("/a", 1));
    w.settle();
    let id = only(&w).id.clone();
    let lost = NodeCommand::NodeReach { node: NodeId::from("n0"), reachable: false };
    let given_up = TaskCommand::Expire { inactive: vec![id.clone()], expunge: Vec::new() };
    for command in [Command::from(lost), given_up.into()] {
        let changes = w.ok(command);
        remember(&history, &w, &changes);
        assert_eq!(history.past().ended.len(), 0);
    }
    // A healthy other is there before the lost one is forgotten.
    let scale = Scale {
        app: PathId::parse("/a"),
        add: vec![w.instance_id(&PathId::parse("/a"))],
        retire: Vec::new(),
    };
    w.ok(WorkloadCommand::Scale(scale));
    w.launch_on("n1");
    let other = w.state.instances.keys().find(|other| **other != id).unwrap().clone();
    w.report(&other, Condition::Running);
    let changes = w.ok(TaskCommand::Expire { inactive: Vec::new(), expunge: vec![id.clone()] });
    remember(&history, &w, &changes);
    let past = history.past();
    assert_eq!(past.ended.len(), 1);
    assert!(task::is_unreachable(&past.ended[0].instance));
    assert_eq!(past.counters, Counters::default(), "nobody knows how it ended");
    let shown = frameworks(&w, &past);
    let ids = |name: &str| {
        let list = shown[name].as_array().unwrap();
        list.iter().map(|t| t["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids("tasks"), [format!("{other}._app.1")]);
    assert_eq!(ids("unreachable_tasks"), [format!("{id}._app.1")]);
    assert_eq!(ids("completed_tasks"), [""; 0]);
}

fn facts() -> Facts {
    Facts {
        address: "10.0.0.1".parse().unwrap(),
        hostname: "m1".to_owned(),
        port: 5050,
        marathon_port: 8080,
        started_at: at(0),
    }
}

fn frameworks(w: &World, past: &Past) -> Value {
    parsed(|j| {
        framework::framework(j, &w.state, &facts(), framework::Detail::Full(past));
    })
}

#[test]
fn an_earlier_masters_last_failure_is_a_completed_task_until_it_is_known_here() {
    let history = History::default();
    let mut w = running(app("/a", 1));
    let id = only(&w).id.clone();
    let changes = w.report(&id, Condition::Failed);
    let completed = |w: &World, past: &Past| frameworks(w, past)["completed_tasks"].clone();
    let told = completed(&w, &Past::default());
    assert_eq!(told[0]["id"], format!("{id}._app.1"));
    assert_eq!(told[0]["state"], "TASK_FAILED");
    remember(&history, &w, &changes);
    let told = completed(&w, &history.past());
    assert_eq!(told.as_array().unwrap().len(), 1, "and not twice");
    assert_eq!(told[0]["resources"]["ports"], "[31000-31000]", "with all that is known of it");
}

#[test]
fn tasks_come_in_pages_newest_first_unless_asked_otherwise() {
    let mut w = World::new(1);
    for id in ["/a", "/b", "/c"] {
        w.put(app(id, 1));
        w.settle();
    }
    let all = Wanted { framework: None, task: None, limit: None, offset: 0, ascending: false };
    let names = |wanted: &Wanted| {
        let shown = parsed(|j| state::tasks(j, &w.state, &Past::default(), wanted));
        let tasks = shown["tasks"].as_array().unwrap().clone();
        tasks.iter().map(|t| t["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join("")
    };
    assert_eq!(names(&all), "cba");
    assert_eq!(names(&Wanted { ascending: true, ..all.clone() }), "abc");
    assert_eq!(names(&Wanted { limit: Some(2), ..all.clone() }), "cb");
    assert_eq!(names(&Wanted { limit: Some(2), offset: 2, ..all.clone() }), "a");
    assert_eq!(names(&Wanted { limit: Some(0), ..all.clone() }), "");
    assert_eq!(names(&Wanted { offset: 9, ..all.clone() }), "");
    let other = Wanted { framework: Some("other".to_owned()), ..all.clone() };
    assert_eq!(names(&other), "");
    assert_eq!(names(&Wanted { framework: Some("c-0001".to_owned()), ..all.clone() }), "cba");
    let b = w.state.instances_of(&PathId::parse("/b")).next().unwrap();
    assert_eq!(names(&Wanted { task: Some(b.task_id("")), ..all.clone() }), "b");
    assert_eq!(names(&Wanted { task: Some(b.id.to_string()), ..all }), "", "the whole id counts");
}

#[test]
fn agents_are_told_apart_by_what_they_are_for() {
    let mut w = World::new(0);
    let reserved = Resources { scalars: Scalars::of(2.0, 64.0, 0.0, 0.0), ..Resources::default() };
    let public = NodeInfo {
        kind: NodeKind::PublicAgent,
        address: "fd00::1".parse().unwrap(),
        attributes: BTreeMap::from([
            ("rack".to_owned(), Attribute::Text("r1".to_owned())),
            ("weight".to_owned(), Attribute::Scalar(Milli::from_f64(1.5))),
            ("slots".to_owned(), Attribute::Ranges(Ranges::of([(1, 2), (5, 5)]))),
            ("tags".to_owned(), Attribute::Set(vec!["b".to_owned(), "a".to_owned()])),
        ]),
        total: Pools::of(Role::public(), reserved),
        ..world::node(0)
    };
    w.ok(NodeCommand::RegisterNode(Box::new(public)));
    w.ok(NodeCommand::RegisterNode(Box::new(world::node(1))));
    let shown = |w: &World, n: usize| {
        let node = w.state.nodes.values().nth(n).unwrap();
        parsed(|j| agent(j, &w.state, node, Detail::Full))
    };
    let public = shown(&w, 0);
    assert_eq!(public["pid"], "slave(1)@[fd00::1]:5051");
    assert_eq!(
        public["attributes"],
        json!({"rack": "r1", "weight": 1.5, "slots": "[1-2, 5-5]", "tags": "{a,b}",
            "public_ip": "true"})
    );
    assert_eq!(public["resources"]["cpus"], 2.0);
    assert_eq!(public["unreserved_resources"]["cpus"], 0.0);
    assert_eq!(public["reserved_resources"]["slave_public"]["cpus"], 2.0);
    assert_eq!(public["unreserved_resources_full"], json!([]));
    assert_eq!(public["reserved_resources_full"]["slave_public"][0]["name"], "cpus");
    let plain = shown(&w, 1);
    assert_eq!(plain["attributes"], json!({}));
    assert_eq!(plain["reserved_resources"], json!({}));

    let duty = |w: &mut World, duty: Duty| {
        w.ok(NodeCommand::NodeDuty { node: NodeId::from("n1"), duty });
        let shown = shown(w, 1);
        (
            shown["active"].clone(),
            shown["deactivated"].clone(),
            shown["drain_info"]["state"].clone(),
        )
    };
    let (since, until) = (at(5_000), at(10_000_000));
    assert_eq!(
        duty(&mut w, Duty::Draining { since, until }),
        (json!(false), json!(true), json!("DRAINING"))
    );
    assert_eq!(duty(&mut w, Duty::Deactivated { since }), (json!(false), json!(true), Value::Null));
    assert_eq!(duty(&mut w, Duty::Active), (json!(true), json!(false), Value::Null));
    w.ok(NodeCommand::NodeReach { node: NodeId::from("n1"), reachable: false });
    let lost = shown(&w, 1);
    assert_eq!((&lost["active"], &lost["deactivated"]), (&json!(false), &json!(false)));
}

#[test]
fn an_agent_that_names_its_public_address_keeps_its_own_word() {
    let mut w = World::new(0);
    let address = Attribute::Text("203.0.113.7".to_owned());
    let node = NodeInfo {
        kind: NodeKind::PublicAgent,
        attributes: BTreeMap::from([("public_ip".to_owned(), address)]),
        ..world::node(0)
    };
    w.ok(NodeCommand::RegisterNode(Box::new(node)));
    let node = w.state.nodes.values().next().unwrap();
    let shown = text(|j| j.object(|j| agent::attributes(j, node)));
    assert_eq!(String::from_utf8(shown).unwrap(), r#"{"attributes":{"public_ip":"203.0.113.7"}}"#);
}

#[test]
fn gauges_add_up() {
    let mut w = World::new(3);
    w.put(app("/a", 4));
    w.settle();
    let ids: Vec<_> = w.state.instances.keys().cloned().collect();
    w.report(&ids[0], Condition::Killing);
    w.ok(NodeCommand::NodeDuty {
        node: NodeId::from("n1"),
        duty: Duty::Deactivated { since: at(1) },
    });
    w.ok(NodeCommand::NodeReach { node: NodeId::from("n2"), reachable: false });
    let own = metrics::Own { started_at: at(0), now: at(2_500), leads: true };
    let counters = Counters { tasks_lost: 3, ..Counters::default() };
    let shown = parsed(|j| metrics::snapshot(j, &w.state, &counters, &own));
    for (name, wanted) in [
        ("uptime_secs", 2.5),
        ("elected", 1.0),
        ("slaves_active", 1.0),
        ("slaves_inactive", 1.0),
        ("slaves_connected", 2.0),
        ("slaves_disconnected", 0.0),
        ("slaves_unreachable", 1.0),
        ("tasks_running", 3.0),
        ("tasks_killing", 1.0),
        ("tasks_staging", 0.0),
        ("tasks_lost", 3.0),
        ("cpus_total", 300.0),
        ("cpus_used", 0.4),
        ("mem_percent", 128.0 / 300_000.0),
        ("gpus_percent", 0.0),
    ] {
        assert_eq!(shown[format!("master/{name}")].as_f64(), Some(wanted), "{name}");
    }
    let summary = parsed(|j| state::summary(j, &w.state, &facts()));
    let counted = &summary["frameworks"][0];
    assert_eq!((&counted["TASK_RUNNING"], &counted["TASK_KILLING"]), (&json!(3), &json!(1)));
    assert_eq!(counted["slave_ids"], json!(["n0"]));
    assert_eq!(summary["slaves"][0]["framework_ids"], json!(["c-0001"]));
    assert_eq!(summary["slaves"][1]["framework_ids"], json!([]));
}

#[test]
fn one_agent_or_one_framework_is_shown_alone() {
    let w = World::new(3);
    let slaves = |only: Option<&str>| {
        let shown = parsed(|j| state::slaves(j, &w.state, only));
        shown["slaves"].as_array().unwrap().len()
    };
    assert_eq!((slaves(None), slaves(Some("n1")), slaves(Some("n"))), (3, 1, 0));
    let listed = |only: Option<&str>| {
        let past = Past::default();
        let shown = parsed(|j| state::framework_list(j, &w.state, &facts(), &past, only));
        shown["frameworks"].as_array().unwrap().len()
    };
    assert_eq!((listed(None), listed(Some("c-0001")), listed(Some("x"))), (1, 1, 0));
}

#[test]
fn forced_changes_leave_no_half_of_a_task() {
    // Nothing of an app that is replaced while it starts breaks the text of the answer.
    let mut w = World::new(1);
    w.put(app("/a", 2));
    w.reconcile();
    w.reconcile();
    w.launch_all();
    let put = world::put(&w.id(), vec![world::edit(&PathId::parse("/a"), None)]);
    w.ok(WorkloadCommand::PutApps(Box::new(PutApps { force: true, ..put })));
    let shown = parsed(|j| state::state(j, &w.state, &facts(), &Past::default()));
    assert_eq!(shown["frameworks"][0]["tasks"].as_array().unwrap().len(), 2);
    assert_eq!(shown["frameworks"][0]["roles"], json!(["*"]));
    assert_eq!(shown["cluster"], "test");
}
