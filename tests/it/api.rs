//! Our own API: the contract against the route table, the shapes, the streams.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tepui::{
    api::{Api, routes},
    base::task::Tasks,
    compat::marathon::Apps,
    http::{
        Body, Response,
        auth::{Principal, Rights, Trusted},
        route::Table,
        serve::{Listener, Server},
    },
    model::{WorkloadSpec, instance::Condition, node::NodeKind},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::world::{World, spec};

mod contract;
mod stock;
mod follow;
mod golden;
mod logs;
mod packed;
mod sockets;

const DEADLINE: Duration = Duration::from_secs(20);

fn show(spec: &WorkloadSpec) -> Value {
    json!({"id": spec.id.as_str(), "instances": spec.instances})
}

fn table(world: &Arc<World>, tasks: &Tasks) -> Table<Api> {
    let api = Api::new(world.clone(), world.clock.clone(), tasks, show, Arc::new(Apps::default()));
    routes::table(api).guard(Arc::new(Trusted(Principal::new("admin", Rights::All))))
}

fn serve(world: &Arc<World>, tasks: &Tasks) -> Server {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    listener.serve(Arc::new(table(world, tasks)), tasks)
}

async fn ask(world: &Arc<World>, method: Method, path: &str, body: &str) -> (u16, Value) {
    let tasks = Tasks::new("test");
    let request = http::Request::builder().method(method).uri(format!("/tepui/v1{path}"));
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = table(world, &tasks).answer(request).await;
    let (status, body) = (response.status().as_u16(), bytes(response).await);
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

pub async fn get(world: &Arc<World>, path: &str) -> Value {
    let (status, body) = ask(world, Method::GET, path, "").await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

async fn bytes(response: Response) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn the_document_is_served_as_it_is() {
    let tasks = Tasks::new("test");
    let request = http::Request::get("/tepui/v1/openapi.yaml").body(Body::empty()).unwrap();
    let response = table(&World::new(), &tasks).answer(request).await;
    assert_eq!(response.headers()["content-type"], "application/yaml");
    assert_eq!(bytes(response).await, include_str!("../../docs/api/openapi.yaml"));
}

#[tokio::test]
async fn status_counts() {
    let world = World::new();
    world.app("/web", 3, |_| {});
    let status = get(&world, "/status").await;
    assert_eq!(status["name"], "test");
    assert_eq!(status["counts"]["nodes"], 2);
    assert_eq!(status["counts"]["instances_running"], 3);
    assert_eq!(status["allocated"], json!({"cpus": 1.5, "mem_mb": 192, "disk_mb": 0, "gpus": 0}));
    assert_eq!(status["total"]["cpus"], 6);
    assert_eq!(status["leader"]["address"], "10.0.0.9:80");
    assert_eq!(status["warnings"], json!([]));
    let empty = get(&World::empty(), "/status").await;
    assert_eq!(empty["warnings"][0]["code"], "no_active_node");
    assert_eq!(get(&world, "/me").await["superuser"], true);
}

#[tokio::test]
async fn apps_are_rows_and_details() {
    let world = World::new();
    world.app("/prod/web", 2, |_| {});
    world
        .app("/prod/big", 1, |s| s.run_mut().containers[0].resources.cpus = super::world::cpus(64));
    world.app("/idle", 0, |_| {});
    let list = get(&world, "/apps").await;
    let row = |i: usize| (list["apps"][i]["id"].clone(), list["apps"][i]["condition"].clone());
    assert_eq!(row(0), (json!("/idle"), json!("stopped")));
    assert_eq!(row(1), (json!("/prod/big"), json!("waiting")));
    assert_eq!(row(2), (json!("/prod/web"), json!("running")));
    let web = &list["apps"][2];
    assert_eq!(web["instances"]["running"], 2);
    assert_eq!((&web["cpus"], &web["image"]), (&json!(0.5), &json!("web:1")));
    for path in ["/apps/prod/web", "/apps//prod/web", "/apps/%2Fprod%2Fweb"] {
        let app = get(&world, path).await;
        assert_eq!(app["tasks"].as_array().unwrap().len(), 2, "{path}");
        assert_eq!(app["spec"], json!({"id": "/prod/web", "instances": 2}));
        assert_eq!(app["dns_names"][0], "web-prod.marathon.mesos");
        assert_eq!(app["tasks"][0]["ports"].as_array().unwrap().len(), 1);
        assert_eq!(app["tasks"][0]["ip_addresses"].as_array().unwrap().len(), 1);
    }
    assert_eq!(get(&world, "/apps?q=BIG").await["apps"].as_array().unwrap().len(), 1);
    assert_eq!(get(&world, "/apps?label=tier=back").await["apps"], json!([]));
    let (status, error) = ask(&world, Method::GET, "/apps/nope", "").await;
    assert_eq!((status, &error["error"]["code"]), (404, &json!("not_found")));
    assert!(error["error"]["hint"].is_string());
}

/// What runs is old once another definition is wanted, and not by another number.
#[tokio::test]
async fn an_instance_is_outdated_by_another_definition_and_not_by_scaling() {
    let world = World::new();
    world.app("/a", 2, |_| {});
    let old = async |world: &Arc<World>| {
        let app = get(world, "/apps/a").await;
        let tasks = app["tasks"].as_array().unwrap().iter();
        tasks.filter(|task| task["condition"] == "running" && task["outdated"] == true).count()
    };
    let counts = async |world: &Arc<World>| {
        let answer = get(world, "/apps/a/versions").await;
        let versions = answer["versions"].as_array().unwrap().iter();
        versions.map(|version| version["running"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    world.app("/a", 3, |_| {});
    assert_eq!((old(&world).await, counts(&world).await), (0, vec![3, 0]));
    let mut changed = spec("/a", 3);
    changed.run_mut().labels.insert("tier".into(), "back".into());
    world.put("/a", Some(changed));
    assert_eq!((old(&world).await, counts(&world).await), (3, vec![0, 3, 0]));
}

#[tokio::test]
async fn why_says_what_happens() {
    let world = World::new();
    world.app("/web", 1, |_| {});
    world.app("/big", 1, |s| s.run_mut().containers[0].resources.cpus = super::world::cpus(4));
    let why = get(&world, "/apps/web/why").await;
    assert_eq!((&why["state"], &why["funnel"]), (&json!("satisfied"), &json!([])));
    let why = get(&world, "/apps/big/why").await;
    assert_eq!((&why["state"], &why["waiting"]), (&json!("waiting"), &json!(1)));
    let cpus = why["funnel"].as_array().unwrap().iter().find(|s| s["reason"] == "cpus").unwrap();
    assert_eq!((&cpus["in"], &cpus["removed"], &cpus["out"]), (&json!(2), &json!(2), &json!(0)));
    assert_eq!(why["closest"]["host"], "a1");
    assert_eq!(why["closest"]["missing"][0]["needed"], 4);
    assert_eq!(why["change"]["patch"], json!({"cpus": 3.5}));
    let row = &get(&world, "/apps?q=big").await["apps"][0];
    assert_eq!(
        (&row["condition"], &row["waiting"]["reason"]),
        (&json!("waiting"), &why["sentence"])
    );
}

#[tokio::test]
async fn tasks_are_found_by_task_id_instance_id_app_and_node() {
    let world = World::new();
    world.app("/a", 1, |_| {});
    world.app("/b", 1, |_| {});
    let task = world.task_id("/a");
    let by_task = get(&world, &format!("/tasks/{task}")).await;
    let instance = by_task["id"].as_str().unwrap();
    assert_eq!(get(&world, &format!("/tasks/{instance}")).await, by_task);
    assert_eq!(get(&world, "/tasks?app=/a").await["tasks"].as_array().unwrap().len(), 1);
    let host = by_task["host"].as_str().unwrap();
    let on_host = get(&world, &format!("/tasks?node={host}")).await;
    assert!(on_host["tasks"].as_array().unwrap().contains(&by_task));
    assert_eq!(get(&world, "/tasks?node=a9").await["tasks"], json!([]));
    assert_eq!(ask(&world, Method::GET, "/tasks/x", "").await.0, 404);
    let node = get(&world, &format!("/nodes/{host}")).await;
    assert_eq!(node["tasks"], on_host["tasks"]);
    assert_eq!((&node["condition"], &node["ports"]), (&json!("active"), &json!("31000-31999")));
}

#[tokio::test]
async fn draining_is_proposed_shown_and_taken_back() {
    let world = World::new();
    world.app("/a", 1, |s| s.run_mut().containers[0].resources.cpus = super::world::cpus(3)); // only on a1
    let (status, dry) = ask(&world, Method::POST, "/nodes/a1/drain", r#"{"dry_run":true}"#).await;
    assert_eq!((status, dry["instances"].as_array().unwrap().len()), (200, 1));
    assert_eq!(dry["node"]["condition"], "active");
    let (_, drained) = ask(&world, Method::POST, "/nodes/a1/drain", "").await;
    assert_eq!(drained["node"]["condition"], "draining");
    let (_, back) = ask(&world, Method::POST, "/nodes/a1/drain", r#"{"cancel":true}"#).await;
    assert_eq!(back["node"]["condition"], "active");
    let (status, error) = ask(&world, Method::POST, "/nodes/a9/drain", "").await;
    assert_eq!((status, &error["error"]["code"]), (404, &json!("not_found")));
    let (status, error) = ask(&world, Method::POST, "/nodes/a1/drain", "{\"cancel\":7}").await;
    assert_eq!((status, &error["error"]["field"]), (422, &json!("cancel")));
}

#[tokio::test]
async fn files_and_output_are_read_from_the_agent() {
    let world = World::new();
    world.app("/a", 1, |_| {});
    world.files.lock().insert("stdout".into(), "grüße\nzwei\n".into());
    let task = world.task_id("/a");
    let files = get(&world, &format!("/tasks/{task}/files")).await;
    assert_eq!(files["entries"][0]["name"], "stdout");
    assert_eq!(files["entries"][0]["mode"], "-rw-r--r--");
    let log = get(&world, &format!("/tasks/{task}/log?offset=-5")).await;
    assert_eq!(log, json!({"offset": 8, "next_offset": 13, "data": "zwei\n", "eof": true}));
    let cut = get(&world, &format!("/tasks/{task}/log?limit=3")).await;
    assert_eq!((&cut["data"], &cut["next_offset"]), (&json!("gr"), &json!(2)));
    for path in ["files?path=../x", "log?file=nope", "log?file=../../etc/passwd"] {
        assert_eq!(ask(&world, Method::GET, &format!("/tasks/{task}/{path}"), "").await.0, 404);
    }
    let bad = ask(&world, Method::GET, &format!("/tasks/{task}/log?offset=x"), "").await;
    assert_eq!((bad.0, &bad.1["error"]["field"]), (422, &json!("offset")));
}

#[tokio::test]
async fn unknown_paths_and_methods_answer_in_our_shape() {
    let world = World::new();
    let (status, error) = ask(&world, Method::GET, "/nope", "").await;
    assert_eq!((status, &error["error"]["code"]), (404, &json!("not_found")));
    let (status, error) = ask(&world, Method::PUT, "/status", "").await;
    assert_eq!((status, &error["error"]["code"]), (405, &json!("method_not_allowed")));
    assert_eq!(get(&world, "/debug/tasks").await["tasks"][0]["count"], 2);
    assert_eq!(get(&world, "/debug/reconcilers").await["reconcilers"][0]["name"], "deploy");
}

/// A client of one event stream.
struct Events {
    body: Body,
    text: String,
}

impl Events {
    async fn open(table: &Table<Api>, path: &str, last: Option<&str>) -> Self {
        let mut request = http::Request::get(format!("/tepui/v1{path}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = table.answer(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), text: String::new() }
    }

    /// Name, id and data of the next event.
    async fn next(&mut self) -> (String, String, Value) {
        while !self.text.contains("\n\n") {
            let frame = tokio::time::timeout(DEADLINE, self.body.frame()).await.unwrap();
            let data = frame.expect("the stream goes on").unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
        let (event, rest) = self.text.split_once("\n\n").unwrap();
        let field = |name: &str| {
            let line = event.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
            line.to_owned()
        };
        let data = serde_json::from_str(&field("data: ")).unwrap();
        let found = (field("event: "), field("id: "), data);
        self.text = rest.to_owned();
        found
    }

    async fn until(&mut self, name: &str) -> (String, Value) {
        for _ in 0..100 {
            let (event, id, data) = self.next().await;
            if event == name {
                return (id, data);
            }
            assert_ne!(event, "heartbeat", "waited in vain for {name}");
        }
        panic!("no {name} among 100 events")
    }
}

#[tokio::test]
async fn the_live_stream_begins_with_everything_and_goes_on_with_changes() {
    let (world, tasks) = (World::new(), Tasks::new("test"));
    world.app("/a", 1, |_| {});
    let table = table(&world, &tasks);
    let mut events = Events::open(&table, "/events", None).await;
    let (_, snapshot) = events.until("snapshot").await;
    assert_eq!(snapshot["apps"][0]["id"], "/a");
    assert_eq!(snapshot["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(snapshot["status"]["counts"]["instances_running"], 1);

    world.app("/b", 2, |_| {});
    let mut cursor = String::new();
    loop {
        let (id, delta) = events.until("delta").await;
        cursor = if cursor.is_empty() { id } else { cursor };
        let set = delta["apps"]["set"].as_array().cloned().unwrap_or_default();
        if set.iter().any(|a| a["id"] == "/b" && a["condition"] == "running") {
            assert_eq!(delta["status"]["counts"]["instances_running"], 3);
            assert!(set.iter().all(|a| a["id"] != "/a"), "only what changed: {delta}");
            break;
        }
    }
    world.put("/a", None);
    world.settle();
    loop {
        let (_, delta) = events.until("delta").await;
        if delta["apps"]["removed"] == json!(["/a"]) {
            break;
        }
    }
    // A client that saw the first delta gets the rest; a stranger's cursor gets everything.
    let mut again = Events::open(&table, "/events", Some(&cursor)).await;
    assert_eq!(again.next().await.0, "delta");
    let mut stranger = Events::open(&table, "/events", Some("deadbeef-1")).await;
    assert_eq!(stranger.next().await.0, "snapshot");
}

#[tokio::test]
async fn a_nodes_page_is_told_of_its_own_instances_alone() {
    let (world, tasks) = (World::new(), Tasks::new("test"));
    world.app("/a", 2, |_| {});
    let table = table(&world, &tasks);
    let nodes: Vec<_> = world.state().nodes.values().map(|n| n.info.hostname.clone()).collect();
    let mut events = Vec::new();
    for host in &nodes {
        let mut one = Events::open(&table, &format!("/events?of=node:{host}"), None).await;
        assert_eq!(one.until("snapshot").await.1["host"], host.as_str());
        events.push(one);
    }
    // Only the end of an app's instances on the node is told there, as what went.
    let on = |host: &str| {
        let state = world.state();
        let id = state.nodes.values().find(|n| n.info.hostname == host).unwrap().id().clone();
        state.instances_on(&id).map(|i| i.id.to_string()).collect::<Vec<_>>()
    };
    let before: Vec<_> = nodes.iter().map(|host| on(host)).collect();
    world.put("/a", None);
    world.settle();
    for (one, before) in events.iter_mut().zip(&before).filter(|(_, before)| !before.is_empty()) {
        let mut gone = Vec::new();
        while gone.len() < before.len() {
            let (_, delta) = one.until("delta").await;
            let tasks = delta["tasks"].clone();
            let ids = |key: &str| tasks[key].as_array().cloned().unwrap_or_default();
            for row in ids("set") {
                assert!(before.contains(&row["id"].as_str().unwrap().to_owned()), "{row}");
            }
            gone.extend(ids("removed").iter().map(|id| id.as_str().unwrap().to_owned()));
        }
        gone.sort_unstable();
        assert_eq!(&gone, before);
    }
}

#[tokio::test]
async fn a_slow_reader_of_the_live_stream_is_cut() {
    let (world, tasks) = (World::new(), Tasks::new("test"));
    let table = table(&world, &tasks);
    let mut events = Events::open(&table, "/events", None).await;
    tokio::time::pause();
    for n in 0..200 {
        world.app("/a", n % 2, |_| {});
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    tokio::time::resume();
    let mut n_frames = 0;
    while let Some(frame) = tokio::time::timeout(DEADLINE, events.body.frame()).await.unwrap() {
        frame.unwrap();
        n_frames += 1;
    }
    assert!((10..=64).contains(&n_frames), "{n_frames} frames were kept for a reader that slept");
}

#[tokio::test]
async fn output_is_followed_until_the_task_ends() {
    let (world, tasks) = (World::new(), Tasks::new("test"));
    world.app("/a", 1, |_| {});
    world.files.lock().insert("stdout".into(), b"one\n".to_vec());
    let (table, task) = (table(&world, &tasks), world.task_id("/a"));
    let path = format!("/tasks/{task}/log?follow=true");
    let mut events = Events::open(&table, &path, None).await;
    assert_eq!(events.until("data").await.1["data"], "one\n");
    world.files.lock().get_mut("stdout").unwrap().extend_from_slice(b"two\n");
    let (id, chunk) = events.until("data").await;
    assert_eq!((id.as_str(), &chunk["data"]), ("8", &json!("two\n")));
    let mut resumed = Events::open(&table, &path, Some("4")).await;
    assert_eq!(resumed.until("data").await.1["data"], "two\n");
    let state = world.state();
    let instance = state.instances.values().next().unwrap();
    world.report(instance.id.as_str(), Condition::Failed, |_| {});
    assert_eq!(events.until("end").await.1["reason"], "task_ended");
}

async fn exec(server: &Server, task: &str, body: &str, upgrade: bool) -> tokio::net::TcpStream {
    let mut tcp = tokio::net::TcpStream::connect(server.local_addr()).await.unwrap();
    let head = if upgrade { "Connection: Upgrade\r\nUpgrade: tepui-exec\r\n" } else { "" };
    let request = format!(
        "POST /tepui/v1/tasks/{task}/exec HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    tcp.write_all(request.as_bytes()).await.unwrap();
    tcp
}

async fn head(tcp: &mut tokio::net::TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let read = tokio::time::timeout(DEADLINE, tcp.read_u8()).await.unwrap();
        head.push(read.expect("the answer has a head"));
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_command_runs_inside_a_task() {
    use tepui::api::frames::{channel, frame, read_frame};
    let (world, tasks) = (World::new(), Tasks::new("test"));
    world.app("/a", 1, |_| {});
    let (server, task) = (serve(&world, &tasks), world.task_id("/a"));
    let mut tcp = exec(&server, &task, r#"{"cmd":["cat"]}"#, true).await;
    let answer = head(&mut tcp).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    tcp.write_all(&frame(channel::STDIN, b"hello")).await.unwrap();
    tcp.write_all(&frame(channel::PING, b"p")).await.unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 2 {
        let (channel, payload) = read_frame(&mut tcp).await.unwrap().unwrap();
        if channel != channel::PING {
            seen.insert((channel, payload));
        }
    }
    let wanted = [(channel::STDOUT, Bytes::from("hello")), (channel::PONG, Bytes::from("p"))];
    assert_eq!(seen, BTreeSet::from(wanted));
    tcp.write_all(&frame(channel::STDIN, b"")).await.unwrap();
    // The server looks after its client with pings of its own at any moment.
    let (channel, end) = loop {
        let (channel, payload) = read_frame(&mut tcp).await.unwrap().unwrap();
        if channel != channel::PING {
            break (channel, payload);
        }
    };
    assert_eq!((channel, &end[..]), (channel::END, &br#"{"exit_code":0}"#[..]));
    assert!(read_frame(&mut tcp).await.unwrap().is_none(), "the server closes");
}

#[tokio::test]
async fn exec_without_upgrade_or_without_a_running_task_is_refused() {
    let (world, tasks) = (World::new(), Tasks::new("test"));
    world.app("/a", 1, |_| {});
    world.app("/big", 1, |s| s.run_mut().containers[0].resources.cpus = super::world::cpus(64));
    let server = serve(&world, &tasks);
    let mut tcp = exec(&server, &world.task_id("/a"), r#"{"cmd":["cat"]}"#, false).await;
    assert!(head(&mut tcp).await.starts_with("HTTP/1.1 426 "));
    let mut tcp = exec(&server, &world.task_id("/big"), r#"{"cmd":["cat"]}"#, true).await;
    assert!(head(&mut tcp).await.starts_with("HTTP/1.1 409 "));
    let mut tcp = exec(&server, &world.task_id("/a"), r#"{"cmd":[]}"#, true).await;
    assert!(head(&mut tcp).await.starts_with("HTTP/1.1 422 "));
}

#[tokio::test]
async fn a_public_agent_shows_its_role() {
    let world = World::new();
    world.node("p1", 1.0, NodeKind::PublicAgent);
    let nodes = get(&world, "/nodes").await;
    assert_eq!(nodes["nodes"][2]["roles"], json!(["public_agent"]));
    assert_eq!(nodes["nodes"][0]["attributes"], json!({"rack": "r1"}));
}
