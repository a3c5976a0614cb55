//! The Mesos dialect's read endpoints: shapes that clients depend on, and speed at scale.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tepui::{
    base::task::Tasks,
    compat::mesos::{self, Facts},
    core::NodeCommand,
    http::{
        Body, Request, Response,
        auth::{Principal, Rights, Trusted},
        route::Table,
    },
    model::{instance::Condition, node::NodeKind},
};

use super::world::{START, World};

mod agent;
mod golden;

fn master(world: &Arc<World>, tasks: &Tasks) -> Table<mesos::Mesos> {
    let facts = Facts {
        address: [10, 0, 0, 9].into(),
        hostname: "m1".into(),
        port: 5050,
        marathon_port: 8080,
        started_at: START,
    };
    let (history, clock) = (world.history.clone(), world.clock.clone());
    mesos::table(world.clone(), facts, history, clock, tasks)
}

async fn answer(world: &Arc<World>, path: &str) -> Response {
    let tasks = Tasks::new("test");
    asked(master(world, &tasks), path).await
}

/// What a table answers, with the whole body, before its task group goes.
async fn asked<S: Send + Sync + 'static>(table: Table<S>, path: &str) -> Response {
    asked_by(table, http::Request::get(path).body(Body::empty()).unwrap()).await
}

async fn asked_by<S: Send + Sync + 'static>(table: Table<S>, request: Request) -> Response {
    let table = table.guard(Arc::new(Trusted(Principal::new("admin", Rights::All))));
    let response = table.answer(request).await;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, Body::full(bytes))
}

async fn get(world: &Arc<World>, path: &str) -> Value {
    let response = answer(world, path).await;
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()["content-type"], "application/json");
    serde_json::from_slice(response.body().bytes().unwrap()).unwrap()
}

fn world() -> Arc<World> {
    let world = World::new();
    world.node("p1", 1.0, NodeKind::PublicAgent);
    world.app("/grp/web", 2, |s| {
        s.run_mut().containers[0].ports[0].labels.insert("VIP_0".into(), "/web:80".into());
    });
    world
}

#[tokio::test]
async fn every_spelling_answers_the_same() {
    let world = world();
    let state = get(&world, "/state").await;
    for path in ["/state.json", "/master/state", "/master/state.json", "/master/state/"] {
        assert_eq!(get(&world, path).await, state, "{path}");
    }
    assert_eq!(answer(&world, "/nope").await.status(), 404);
    assert_eq!(answer(&world, "/health").await.status(), 200);
    for path in ["/", "/master", "/master/"] {
        let front = answer(&world, path).await;
        assert_eq!(
            (front.status().as_u16(), front.headers()["content-type"].to_str().unwrap()),
            (200, "text/html; charset=utf-8"),
            "{path}"
        );
    }
    let moved = answer(&world, "/master/redirect").await;
    assert_eq!(
        (moved.status().as_u16(), &moved.headers()["location"]),
        (307, &"//10.0.0.9:5050".parse().unwrap())
    );
}

#[tokio::test]
async fn state_holds_what_clients_cut_out_of_it() {
    let world = world();
    let state = get(&world, "/state").await;
    assert_eq!(
        (&state["pid"], &state["cluster"]),
        (&json!("master@10.0.0.9:5050"), &json!("test"))
    );
    assert_eq!(state["hostname"], "10.0.0.9");
    assert_eq!(state["activated_slaves"], 3);
    let agent = &state["slaves"][0];
    assert_eq!(agent["pid"], "slave(1)@10.0.0.1:5051");
    assert_eq!(
        agent["resources"],
        json!({"cpus": 4.0, "gpus": 0.0, "mem": 4096.0, "disk": 10000.0, "ports": "[31000-31999]"})
    );
    assert_eq!((&agent["active"], &agent["attributes"]), (&json!(true), &json!({"rack": "r1"})));
    assert_eq!(state["slaves"][2]["attributes"]["public_ip"], "true");
    let framework = &state["frameworks"][0];
    assert_eq!((&framework["name"], &framework["active"]), (&json!("marathon"), &json!(true)));
    assert_eq!(framework["used_resources"]["cpus"], 1.0);
    assert_eq!(framework["tasks"].as_array().unwrap().len(), 2);
    assert_eq!((&state["completed_frameworks"], &state["orphan_tasks"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn a_task_has_its_ports_addresses_and_container() {
    let world = world();
    let tasks = get(&world, "/tasks?order=asc&limit=-1").await;
    let task = &tasks["tasks"][0];
    assert_eq!((&task["name"], &task["executor_id"]), (&json!("web.grp"), &json!("")));
    assert_eq!((&task["state"], &task["role"]), (&json!("TASK_RUNNING"), &json!("*")));
    assert_eq!(task["labels"], json!([{"key": "tier", "value": "front"}]));
    let port = &task["discovery"]["ports"]["ports"][0];
    assert_eq!((&port["name"], &port["protocol"]), (&json!("http"), &json!("tcp")));
    assert_eq!(port["labels"]["labels"][0], json!({"key": "VIP_0", "value": "/web:80"}));
    assert_eq!(port["labels"]["labels"][1], json!({"key": "network-scope", "value": "host"}));
    assert_eq!(task["resources"]["ports"], format!("[{0}-{0}]", port["number"]));
    let last = task["statuses"].as_array().unwrap().last().unwrap();
    assert_eq!(last["state"], "TASK_RUNNING");
    let container = last["container_status"]["container_id"]["value"].as_str().unwrap();
    assert_eq!(container.len(), 36);
    let address = &last["container_status"]["network_infos"][0]["ip_addresses"][0];
    assert_eq!(address["protocol"], "IPv4");
    let one = get(&world, &format!("/tasks?task_id={}", task["id"].as_str().unwrap())).await;
    assert_eq!(one["tasks"], json!([task]));
    assert_eq!(get(&world, "/tasks?framework_id=other").await["tasks"], json!([]));
    assert_eq!(get(&world, "/tasks?limit=1&offset=1").await["tasks"], json!([task]));
    assert_eq!(answer(&world, "/tasks?limit=x").await.status(), 400);
}

#[tokio::test]
async fn summaries_count_and_slaves_list_every_resource() {
    let world = world();
    let summary = get(&world, "/state-summary").await;
    let framework = &summary["frameworks"][0];
    assert_eq!((&framework["TASK_RUNNING"], &framework["TASK_LOST"]), (&json!(2), &json!(0)));
    let running: u64 = summary["slaves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["TASK_RUNNING"].as_u64().unwrap())
        .sum();
    assert_eq!(running, 2);
    let slaves = get(&world, "/slaves").await;
    assert_eq!(slaves["recovered_slaves"], json!([]));
    let full = &slaves["slaves"][0]["unreserved_resources_full"];
    assert_eq!(
        full[0],
        json!({"name": "cpus", "type": "SCALAR", "scalar": {"value": 4.0}, "role": "*"})
    );
    let id = slaves["slaves"][1]["id"].as_str().unwrap();
    assert_eq!(
        get(&world, &format!("/slaves?slave_id={id}")).await["slaves"].as_array().unwrap().len(),
        1
    );
    let frameworks = get(&world, "/master/frameworks/").await;
    assert_eq!(frameworks["frameworks"][0]["tasks"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn metrics_version_and_jsonp() {
    let world = world();
    let metrics = get(&world, "/metrics/snapshot").await;
    assert_eq!(
        (&metrics["master/cpus_total"], &metrics["master/cpus_used"]),
        (&json!(7.0), &json!(1.0))
    );
    assert_eq!(
        (&metrics["master/slaves_active"], &metrics["master/elected"]),
        (&json!(3.0), &json!(1.0))
    );
    assert!(metrics.as_object().unwrap().values().all(Value::is_f64), "{metrics}");
    let version = get(&world, "/version").await["version"].as_str().unwrap().to_owned();
    assert!(version.split('.').all(|part| part.parse::<u32>().is_ok()), "{version}");
    let wrapped = answer(&world, "/version?jsonp=cb").await;
    assert_eq!(wrapped.headers()["content-type"], "text/javascript");
    let text = std::str::from_utf8(wrapped.body().bytes().unwrap()).unwrap();
    assert!(text.starts_with("cb({") && text.ends_with("});"), "{text}");
    let script = answer(&world, "/version?jsonp=alert(1)").await;
    assert_eq!(script.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn a_drained_agent_says_so() {
    let world = world();
    let node = world.state().nodes.keys().next().unwrap().clone();
    let duty = tepui::model::node::Duty::Draining { since: START, until: START };
    world.must(tepui::core::NodeCommand::NodeDuty { node, duty });
    let agent = &get(&world, "/slaves").await["slaves"][0];
    assert_eq!((&agent["active"], &agent["deactivated"]), (&json!(false), &json!(true)));
    assert_eq!(agent["drain_info"]["state"], "DRAINING");
}

#[tokio::test]
async fn tasks_that_have_ended_are_listed_and_counted() {
    let world = world();
    let before = get(&world, "/metrics/snapshot").await;
    for name in ["tasks_failed", "tasks_finished", "tasks_killed", "outstanding_offers"] {
        assert_eq!(before[format!("master/{name}")], 0.0, "{name}");
    }
    assert_eq!(before["master/slave_registrations"], 3.0);
    let ids: Vec<String> = world.state().instances.keys().map(ToString::to_string).collect();
    let failed = world.state().instances[ids[0].as_str()].task_id("");
    world.report(&ids[0], Condition::Failed, |r| r.message = "exited with status 3".into());
    // A removed app takes its definition along with its last instance.
    world.put("/grp/web", None);
    world.settle();
    assert!(world.state().instances.is_empty() && world.state().specs.is_empty());
    let tasks = get(&world, "/tasks?limit=-1&order=asc").await;
    let states: Vec<(&str, &str)> = tasks["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| (t["id"].as_str().unwrap(), t["state"].as_str().unwrap()))
        .collect();
    assert_eq!(states.len(), 2, "{states:?}");
    assert!(states.contains(&(failed.as_str(), "TASK_FAILED")), "{states:?}");
    assert!(states.iter().any(|(_, state)| *state == "TASK_KILLED"), "{states:?}");
    let one = get(&world, &format!("/tasks?task_id={failed}")).await;
    assert_eq!(one["tasks"].as_array().unwrap().len(), 1);
    assert_eq!(one["tasks"][0]["name"], "web.grp");
    let statuses = one["tasks"][0]["statuses"].as_array().unwrap();
    assert_eq!(statuses.last().unwrap()["state"], "TASK_FAILED");
    let state = get(&world, "/state").await;
    assert_eq!(state["frameworks"][0]["completed_tasks"].as_array().unwrap().len(), 2);
    let after = get(&world, "/metrics/snapshot").await;
    assert_eq!(after["master/tasks_failed"], 1.0);
    assert_eq!(after["master/tasks_killed"], 1.0);
}

#[tokio::test]
async fn a_lost_agents_tasks_stay_listed_as_unreachable() {
    let world = World::new();
    world.app("/web", 1, |_| {});
    let state = world.state();
    let instance = state.instances.values().next().unwrap();
    let node = instance.placement().unwrap().node.clone();
    world.must(NodeCommand::NodeReach { node, reachable: false });
    world.settle();
    let task = get(&world, &format!("/tasks?task_id={}", instance.task_id(""))).await;
    assert_eq!(task["tasks"][0]["state"], "TASK_UNREACHABLE", "{task}");
    let shown = get(&world, "/state").await;
    let lost = &shown["frameworks"][0]["unreachable_tasks"];
    assert_eq!(lost[0]["id"], instance.task_id(""), "{lost}");
}
