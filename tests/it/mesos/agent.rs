//! The endpoints of one agent, as clients walk them: its state, a directory of an executor in it,
//! the files there.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use tepui::{
    base::task::Tasks,
    compat::mesos::slave,
    http::Response,
    model::{
        NodeId,
        instance::Condition,
        link::{TaskUsage, Usage},
    },
};

use super::asked;
use crate::world::World;

async fn answer(world: &Arc<World>, path: &str) -> Response {
    let tasks = Tasks::new("test");
    let (history, clock) = (world.history.clone(), world.clock.clone());
    asked(slave::table(world.clone(), history, "m1".into(), clock, &tasks), path).await
}

async fn get(world: &Arc<World>, path: &str) -> Value {
    let response = answer(world, path).await;
    assert_eq!(response.status(), 200, "{path}");
    serde_json::from_slice(response.body().bytes().unwrap()).unwrap()
}

/// A world with one app of two instances, and the id of the agent that has the first.
fn world() -> (Arc<World>, String) {
    let world = World::new();
    world.app("/grp/web", 2, |_| {});
    let state = world.state();
    let instance = state.instances.values().next().unwrap();
    let node = instance.placement().unwrap().node.to_string();
    (world, node)
}

#[tokio::test]
async fn an_agent_tells_what_it_has_and_runs() {
    let (world, node) = world();
    let state = get(&world, &format!("/agent/{node}/state")).await;
    let address = world.state().nodes[node.as_str()].info.address;
    assert_eq!(state["id"], node);
    assert_eq!(state["pid"], format!("slave(1)@{address}:5051"));
    assert_eq!(state["attributes"].as_object().unwrap().len(), 1);
    assert_eq!(state["reserved_resources"], json!({}));
    assert_eq!(state["unreserved_resources"], state["resources"]);
    assert_eq!(state["unreserved_resources_full"][0]["name"], "cpus");
    let frameworks = state["frameworks"].as_array().unwrap();
    let executors = frameworks[0]["executors"].as_array().unwrap();
    let cluster = world.state();
    let id = NodeId::from(node.as_str());
    let on_node = cluster.instances_on(&id);
    assert_eq!(executors.len(), on_node.count());
    let executor = &executors[0];
    let task = &executor["tasks"][0];
    assert_eq!((&executor["id"], &task["state"]), (&task["id"], &json!("TASK_RUNNING")));
    let status = &task["statuses"].as_array().unwrap().last().unwrap()["container_status"];
    assert_eq!(executor["container"], status["container_id"]["value"]);
    assert_eq!(executor["completed_tasks"], json!([]));
    for path in ["state.json", "slave(1)/state", "slave%281%29/state.json"] {
        assert_eq!(get(&world, &format!("/agent/{node}/{path}")).await, state, "{path}");
    }

    // What ended stays, with its directory.
    let id = world.state().instances.keys().next().unwrap().to_string();
    world.report(&id, Condition::Failed, |_| {});
    let state = get(&world, &format!("/agent/{node}/state")).await;
    let ended = &state["frameworks"][0]["completed_executors"][0];
    assert_eq!(ended["completed_tasks"][0]["state"], "TASK_FAILED");
    assert!(ended["directory"].as_str().unwrap().contains("/runs/"), "{ended}");
}

#[tokio::test]
async fn files_are_read_by_the_directory_of_an_executor() {
    let (world, node) = world();
    let big: Vec<u8> = (0..200_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
    world.files.lock().extend([
        ("stdout".to_owned(), big.clone()),
        ("stderr".to_owned(), b"one \xff\"\n".to_vec()),
        ("logs/x".to_owned(), b"deep".to_vec()),
    ]);
    let state = get(&world, &format!("/agent/{node}/state")).await;
    let executor = &state["frameworks"][0]["executors"][0];
    let (directory, id) =
        (executor["directory"].as_str().unwrap(), executor["id"].as_str().unwrap());
    let framework = state["frameworks"][0]["id"].as_str().unwrap();
    let latest = format!("/frameworks/{framework}/executors/{id}/runs/latest");
    let browse = |dir: &str| format!("/agent/{node}/files/browse?path={dir}");
    for dir in [directory, &latest] {
        let list = get(&world, &browse(dir)).await;
        let of = |n: usize, field: &str| list[n][field].clone();
        assert_eq!(of(0, "path"), format!("{dir}/stderr"));
        assert_eq!((of(1, "size"), of(1, "nlink")), (json!(200_000), json!(1)));
        assert_eq!((of(1, "mode"), of(1, "uid")), (json!("-rw-r--r--"), json!("0")));
        assert_eq!(of(1, "mtime"), json!(1_800_000_000));
    }
    let read =
        |file: &str, more: &str| format!("/agent/{node}/files/read?path={latest}/{file}{more}");
    assert_eq!(get(&world, &read("stdout", "")).await, json!({"data": "", "offset": 200_000}));
    assert_eq!(get(&world, &read("stdout", "&offset=-1")).await["offset"], 200_000);
    let piece = get(&world, &read("stdout", "&offset=199995&length=50000")).await;
    assert_eq!(piece["offset"], 199_995);
    assert_eq!(piece["data"].as_str().unwrap().as_bytes(), &big[199_995..]);
    let most = get(&world, &read("stdout", "&offset=0&length=-1")).await;
    assert_eq!(most["data"].as_str().unwrap().len(), 65_536);
    let past = get(&world, &read("stdout", "&offset=300000")).await;
    assert_eq!(past, json!({"data": "", "offset": 200_000}));
    let raw = answer(&world, &read("stderr", "&offset=0")).await;
    assert_eq!(raw.body().bytes().unwrap(), &b"{\"data\":\"one \xff\\\"\\n\",\"offset\":0}"[..]);
    let whole = answer(&world, &format!("/agent/{node}/files/download?path={latest}/stdout")).await;
    assert_eq!(whole.headers()["content-disposition"], "attachment; filename=\"stdout\"");
    assert_eq!(whole.headers()["content-length"], "200000");
    assert_eq!(whole.body().bytes().unwrap(), &big[..]);

    for (path, status) in [
        (format!("/agent/{node}/files/read"), 400),
        (read("stdout", "&offset=x"), 400),
        (read("stdout", "&offset=-7"), 400),
        (read("nope", "&offset=0"), 404),
        (browse("/etc"), 404),
        (read("../stdout", "&offset=0"), 404),
        (browse(&directory.replace(&node, "other")), 404),
        ("/agent/nobody/files/browse?path=/x".to_owned(), 404),
    ] {
        assert_eq!(answer(&world, &path).await.status(), status, "{path}");
    }
    let script = answer(&world, &(read("stdout", "&offset=-1") + "&jsonp=cb")).await;
    assert_eq!(script.headers()["content-type"], "text/javascript");
}

#[tokio::test]
async fn an_agent_that_is_away_is_an_error() {
    let (world, node) = world();
    let id = world.state().instances.keys().next().unwrap().clone();
    let task = TaskUsage { instance: id.clone(), cpus: 0.25, mem_bytes: 7 << 20 };
    let usage = Usage { load_1m: 1.5, tasks: vec![task], ..Usage::default() };
    let usages = BTreeMap::from([(node.as_str().into(), Arc::new(usage))]);
    *world.usage.lock() = usages;
    let metrics = get(&world, &format!("/agent/{node}/metrics/snapshot")).await;
    assert_eq!(metrics["slave/registered"], 1.0);
    assert_eq!(metrics["system/load_1min"], 1.5);
    assert!(metrics["slave/cpus_used"].as_f64().unwrap() > 0.0);
    assert!(metrics.as_object().unwrap().values().all(Value::is_f64), "{metrics}");
    let containers = get(&world, &format!("/agent/{node}/containers")).await;
    let of = |c: &&Value| c["executor_id"].as_str().unwrap().starts_with(id.as_str());
    let ours = containers.as_array().unwrap().iter().find(of).unwrap();
    assert_eq!(ours["statistics"]["mem_rss_bytes"], 7 << 20);
    assert_eq!(ours["statistics"]["mem_limit_bytes"], 64 << 20);
    assert_eq!(ours["status"]["container_id"]["value"], ours["container_id"]);
    let only =
        format!("/agent/{node}/containers?container_id={}", ours["container_id"].as_str().unwrap());
    assert_eq!(get(&world, &only).await, json!([ours]));
    let other = format!("/agent/{node}/monitor/statistics?framework_id=x");
    assert_eq!(get(&world, &other).await, json!([]));

    world.away.lock().insert(node.as_str().into());
    for path in ["state", "health", "containers", "metrics/snapshot", "version", "flags"] {
        let path = format!("/agent/{node}/{path}");
        let told = answer(&world, &path).await;
        assert_eq!(told.status(), 502, "{path}");
        let text = String::from_utf8_lossy(told.body().bytes().unwrap()).into_owned();
        assert!(text.contains("is not connected"), "{text}");
    }
}
