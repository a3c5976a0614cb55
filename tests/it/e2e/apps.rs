//! Apps from the first request to the last container.

use std::time::{Duration, Instant};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RecordType},
};
use serde_json::{Value, json};

use super::system::{PATIENCE, System, wait};

/// A web server that every machine under test has: busybox on the node's own file system. It
/// serves `index.html` and the file named by `also`.
pub fn web(id: &str, instances: u32, also: &str) -> Value {
    json!({
        "id": id,
        "cmd": format!("echo served by $MESOS_TASK_ID > index.html; echo ok > {also}; exec busybox httpd -f -p $PORT0"),
        "cpus": 0.05,
        "mem": 32,
        "instances": instances,
        "healthChecks": [{"path": "/up", "intervalSeconds": 1, "gracePeriodSeconds": 5,
                          "timeoutSeconds": 2, "maxConsecutiveFailures": 2}],
        "labels": {"DCOS_SERVICE_NAME": id.trim_start_matches('/'),
                   "DCOS_SERVICE_SCHEME": "http", "DCOS_SERVICE_PORT_INDEX": "0"},
    })
}

fn task_ids(app: &Value) -> Vec<String> {
    let tasks = app["tasks"].as_array().expect("tasks");
    let mut ids: Vec<String> =
        tasks.iter().map(|t| t["id"].as_str().expect("id").to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn an_app_is_deployed_found_reached_scaled_and_removed() {
    let system = System::start();
    let created =
        system.send("POST", "/service/marathon/v2/apps", Some(&web("/shop/web", 1, "up")));
    assert_eq!(created.status, 201, "{}", created.text());
    assert!(created.header("marathon-deployment-id").is_some());
    let app = system.wait_running("/shop/web", 1);
    let port = app["tasks"][0]["ports"][0].as_u64().expect("port");

    let page = system.get("/service/shop/web/");
    assert_eq!((page.status, page.text().starts_with("served by shop_web.instance-")), (200, true));

    let answer = ask(&system, "web-shop.marathon.mesos.", RecordType::A);
    assert_eq!(answer.answers.len(), 1, "{answer:?}");
    let answer = ask(&system, "_web-shop._tcp.marathon.mesos.", RecordType::SRV);
    assert!(format!("{:?}", answer.answers).contains(&port.to_string()), "{answer:?}");
    for name in
        ["leader.mesos.", "master.mesos.", "web-shop.marathon.agentip.dcos.thisdcos.directory."]
    {
        assert!(!ask(&system, name, RecordType::A).answers.is_empty(), "{name}");
    }
    let absent = ask(&system, "nothing.marathon.mesos.", RecordType::A);
    assert_eq!(absent.metadata.response_code, ResponseCode::NXDomain);

    system.marathon("PUT", "/v2/apps//shop/web", Some(&json!({"instances": 3})));
    let app = system.wait_running("/shop/web", 3);
    assert_eq!(task_ids(&app).len(), 3);
    assert_eq!(system.containers("shop_web").len(), 3);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..30 {
        seen.insert(system.get("/service/shop/web/").text());
    }
    assert_eq!(seen.len(), 3, "each instance answers: {seen:?}");

    system.marathon("DELETE", "/v2/apps//shop/web", None);
    let gone = || system.get("/service/marathon/v2/apps//shop/web").status == 404;
    wait("the app is gone", PATIENCE, gone);
    wait("its containers are gone", PATIENCE, || system.containers("shop_web").is_empty());
}

/// Asks the cluster's DNS over real UDP, decoded by an independent library.
pub fn ask(system: &System, name: &str, kind: RecordType) -> Message {
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    query.add_query(Query::query(Name::from_ascii(name).expect("name"), kind));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
    socket.send_to(&query.to_vec().expect("encoded"), system.dns).expect("sent");
    let mut buffer = [0; 4096];
    let n = socket.recv(&mut buffer).expect("an answer");
    Message::from_vec(&buffer[..n]).expect("decodable")
}

#[test]
fn a_killed_container_is_replaced_within_five_seconds() {
    let system = System::start();
    system.marathon("POST", "/v2/apps", Some(&web("/web", 1, "up")));
    system.wait_running("/web", 1);
    let before = system.containers("web");
    let killed = std::process::Command::new("docker").arg("kill").args(&before).output();
    assert!(killed.expect("docker").status.success());
    let took = wait("a replacement", Duration::from_secs(5), || {
        let now = system.containers("web");
        now.len() == 1 && now != before
    });
    let app = system.wait_running("/web", 1);
    assert!(task_ids(&app)[0].ends_with("._app.2"), "{app}");
    assert_eq!(app["lastTaskFailure"]["state"], "TASK_FAILED", "{app}");
    eprintln!("replaced in {took:?}");
}

#[test]
fn ports_that_other_programs_hold_are_not_given_to_tasks() {
    let bind = |port: u16| std::net::TcpListener::bind(("0.0.0.0", port)).ok();
    // Below what the kernel gives to connections that go out.
    let (first, mut held) = (20_000..32_000)
        .step_by(20)
        .find_map(|first| Some((first, (first..first + 20).map(bind).collect::<Option<Vec<_>>>()?)))
        .expect("20 free ports in a row");
    let free = [3, 7, 8, 19].map(|n| first + n);
    held.retain(|port| !free.contains(&port.local_addr().expect("bound").port()));
    let ports = format!("{first}-{}", first + 19);
    let system = System::start_with_env(&[("TEPUI_PORTS", ports.as_str())]);
    let began = Instant::now();
    system.marathon("POST", "/v2/apps", Some(&web("/web", 4, "up")));
    let app = system.wait_running("/web", 4);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let tasks = app["tasks"].as_array().expect("tasks");
    let mut given: Vec<u16> = tasks
        .iter()
        .map(|task| u16::try_from(task["ports"][0].as_u64().expect("port")).expect("port"))
        .collect();
    given.sort_unstable();
    assert_eq!(given, free);
    drop(held);
}

#[test]
fn after_kill_minus_nine_everything_is_as_before() {
    let mut system = System::start();
    system.marathon("POST", "/v2/apps", Some(&web("/web", 2, "up")));
    let before = system.wait_running("/web", 2);
    let containers = system.containers("web");
    system.kill_minus_nine();
    let began = Instant::now();
    system.launch();
    let correct = |app: &Value| app["tasksRunning"] == 2 && app["tasksHealthy"] == 2;
    let after = system.wait_app("/web", "back", correct);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "the API was right after {took:?}");
    assert_eq!(task_ids(&after), task_ids(&before));
    for (old, new) in before["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .zip(after["tasks"].as_array().expect("tasks"))
    {
        assert_eq!(old["startedAt"], new["startedAt"]);
    }
    assert_eq!(system.containers("web"), containers);
    // What was adopted is also watched: it ends when it is told to.
    system.marathon("DELETE", "/v2/apps//web", None);
    wait("its containers are gone", PATIENCE, || system.containers("web").is_empty());
}

#[test]
fn a_failing_upgrade_keeps_the_old_version_and_one_delete_rolls_it_back() {
    let system = System::start();
    system.marathon("POST", "/v2/apps", Some(&web("/web", 2, "up")));
    let before = system.wait_running("/web", 2);
    let containers = system.containers("web");
    // The new version never creates the file its health check asks for.
    let started = system.marathon("PUT", "/v2/apps//web", Some(&web("/web", 2, "elsewhere")));
    let deployment = started["deploymentId"].as_str().expect("id").to_owned();
    wait("a new task has failed its check", PATIENCE, || {
        let app = system.app("/web");
        let old_up = system.containers("web").iter().filter(|c| containers.contains(c)).count();
        assert_eq!(old_up, 2, "the old version keeps its minimum health");
        app["lastTaskFailure"]["message"].as_str().is_some_and(|m| !m.is_empty())
    });
    let answer =
        system.send("DELETE", &format!("/service/marathon/v2/deployments/{deployment}"), None);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let after = system.wait_running("/web", 2);
    assert_eq!(task_ids(&after), task_ids(&before), "the old instances are kept");
    assert_eq!(system.containers("web"), containers);
    assert_eq!(after["cmd"], before["cmd"]);
}

#[test]
fn an_upgrade_replaces_every_instance_without_a_refused_request() {
    let system = System::start();
    system.marathon("POST", "/v2/apps", Some(&web("/web", 2, "up")));
    let before = system.wait_running("/web", 2);
    let mut new = web("/web", 2, "up");
    new["env"] = json!({"VERSION": "2"});
    system.marathon("PUT", "/v2/apps//web", Some(&new));
    let until = Instant::now() + PATIENCE;
    let mut n_asked = 0;
    loop {
        let page = system.get("/service/web/");
        assert_eq!(page.status, 200, "request {n_asked}: {}", page.text());
        // One with a body cannot be sent again by the proxy. This server takes none and says so.
        let form = system.send("POST", "/service/web/", Some(&json!({"n": n_asked})));
        assert!(![502, 503, 504].contains(&form.status), "form {n_asked}: {}", form.text());
        n_asked += 2;
        let app = system.app("/web");
        if app["deployments"].as_array().is_some_and(Vec::is_empty) {
            break;
        }
        assert!(Instant::now() < until, "{app}");
    }
    let after = system.wait_running("/web", 2);
    let old = task_ids(&before);
    assert!(task_ids(&after).iter().all(|id| !old.contains(id)));
    eprintln!("{n_asked} requests during the upgrade, none refused");
}

#[test]
fn a_task_can_be_read_and_entered() {
    let system = System::start();
    let app = json!({"id": "/talker", "cmd": "echo hello from $MARATHON_APP_ID; sleep 1000",
                     "cpus": 0.05, "mem": 32});
    system.marathon("POST", "/v2/apps", Some(&app));
    let app = system.wait_running("/talker", 1);
    let task = task_ids(&app)[0].clone();
    let log = || system.cli(&["log", &task]);
    wait("the output arrives", PATIENCE, || {
        String::from_utf8_lossy(&log().stdout).contains("hello from /talker")
    });
    let out =
        system.cli(&["exec", &task, "--", "sh", "-c", "echo inside $MARATHON_APP_ID; exit 7"]);
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "inside /talker", "{out:?}");
    assert_eq!(out.status.code(), Some(7));

    // Old clients walk from the agent's state to a directory and read there.
    let agent = app["tasks"][0]["slaveId"].as_str().expect("a node").to_owned();
    let state = system.get(&format!("/slave/{agent}/slave(1)/state")).json();
    let executor = &state["frameworks"][0]["executors"][0];
    assert_eq!(executor["id"], *task);
    let directory = executor["directory"].as_str().expect("a directory");
    let path = format!("/agent/{agent}/files/read?path={directory}/stdout&offset=0");
    assert_eq!(system.get(&path).json()["data"], "hello from /talker\n");
    let list = system.get(&format!("/agent/{agent}/files/browse?path={directory}")).json();
    let names = list.as_array().expect("a list").iter().map(|entry| entry["path"].to_string());
    assert!(names.into_iter().any(|name| name.ends_with("/stdout\"")), "{list}");
    let whole = system.get(&format!("/agent/{agent}/files/download?path={directory}/stdout"));
    assert_eq!(whole.text(), "hello from /talker\n");
    assert_eq!(system.get(&format!("/agent/{agent}/health")).status, 200);
}

/// Without checks an app is deployed once it runs, as clients of the original wait for; that it ended
/// right after is told wherever one looks at it.
#[test]
fn an_app_that_ends_at_once_is_no_success_anywhere() {
    let (system, dir) = (System::start(), tempfile::tempdir().expect("a directory"));
    let file = dir.path().join("once.json");
    std::fs::write(&file, r#"{"id": "/once", "cmd": "exit 3", "cpus": 0.05, "mem": 32}"#).unwrap();
    let out = system.cli(&["app", "deploy", file.to_str().expect("a path")]);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(8), "{out:?}");
    assert!(told.contains("does not stay up: Command exited with status 3"), "{told}");
    let app = system.wait_app("/once", "known to have failed", |app| {
        app["lastTaskFailure"]["message"] == "Command exited with status 3"
    });
    assert_eq!(app["deployments"], json!([]), "the original ends it too");
    // It is started anew in between; each of these is so again a moment later.
    wait("the list says so", PATIENCE, || {
        let row = &system.get("/tepui/v1/apps").json()["apps"][0];
        ["delayed", "crash_looping"].contains(&row["condition"].as_str().unwrap_or_default())
    });
    wait("`why` says so", PATIENCE, || {
        let why = system.get("/tepui/v1/apps/once/why").json();
        why["sentence"].to_string().contains("exited with status 3")
    });
    wait("the cluster says so", PATIENCE, || {
        system.get("/tepui/v1/status").json()["counts"]["apps_attention"] == 1
    });
}

#[test]
fn why_says_what_is_missing_and_what_would_help() {
    let system = System::start();
    let app = json!({"id": "/big", "cmd": "sleep 1000", "cpus": 0.1, "mem": 10_000_000,
                     "constraints": [["rack", "LIKE", "r[0-9]"]]});
    system.marathon("POST", "/v2/apps", Some(&app));
    wait("an explanation", PATIENCE, || {
        let out = system.cli(&["why", "/big"]);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.contains("rack") && text.contains("mem")
    });
    let queue = system.marathon("GET", "/v2/queue", None);
    assert_eq!(queue["queue"][0]["app"]["id"], "/big", "{queue}");
}
