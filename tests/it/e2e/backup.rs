//! A cluster that is lost but for a backup and its containers, and comes back from those.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tepui::{host::pki::Identity, node::member};

use super::{
    nodes::{Agent, node},
    system::{PATIENCE, System, TEPUI, wait},
};

/// From the first command of a restore until everything is as it was.
const ALL_BACK: Duration = Duration::from_secs(120);

/// Longer than an agent's first looks at its engine, and a leader's at its agents.
const STAYS: Duration = Duration::from_secs(12);

/// The program on files of this machine alone.
fn tepui(dir: &Path, line: &str) -> Output {
    let mut command = Command::new(TEPUI);
    command.args(line.split_whitespace()).current_dir(dir).env_clear().env("HOME", dir);
    command.output().expect("the program runs")
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// Exit code and words of a command that fails.
fn refused(dir: &Path, line: &str) -> String {
    let output = tepui(dir, line);
    assert!(!output.status.success(), "{line}: {}", text(&output));
    text(&output)
}

fn good(dir: &Path, line: &str) -> Value {
    let output = tepui(dir, &format!("{line} --json"));
    assert!(output.status.success(), "{line}: {}", text(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A port that is free now: agents have to find the new master where the lost one was.
fn free_port() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("bound").port().to_string()
}

/// Has an agent show a certificate that it was given now, as if the present one were due.
fn renewed(agent: &mut Agent, port: &str) {
    agent.kill();
    let pki = agent.dir.path().join("data/pki");
    let present = Identity::load(&pki).expect("an identity");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let master = format!("127.0.0.1:{port}");
    let next = runtime.block_on(member::renew(&master, &present, "second")).expect("renewed");
    present.save_before(&pki).expect("kept");
    next.save(&pki).expect("kept");
    agent.start();
}

/// Whether a user can sign in.
fn signs_in(system: &System, uid: &str, password: &str) -> bool {
    let login = json!({"uid": uid, "password": password});
    let answer = system.send("POST", "/acs/api/v1/auth/login", Some(&login));
    answer.status == 200
}

/// What must be the same afterwards: of each app its version and tasks, of each task where it is.
fn told(system: &System) -> Value {
    let apps = system.marathon("GET", "/v2/apps?embed=apps.tasks", None);
    let apps = apps["apps"].as_array().expect("apps").iter().map(|app| {
        let mut tasks: Vec<Value> = app["tasks"].as_array().expect("tasks").clone();
        tasks.sort_by_key(|task| task["id"].as_str().expect("an id").to_owned());
        let task = |t: &Value| json!([t["id"], t["host"], t["ports"], t["state"]]);
        let tasks: Vec<Value> = tasks.iter().map(task).collect();
        json!({"id": app["id"], "version": app["version"], "labels": app["labels"],
            "instances": app["instances"], "tasks": tasks})
    });
    let mut apps: Vec<Value> = apps.collect();
    apps.sort_by_key(|app| app["id"].as_str().expect("an id").to_owned());
    let versions = system.marathon("GET", "/v2/apps//shop/web/versions", None);
    let mut nodes: Vec<Value> = system.get("/tepui/v1/nodes").json()["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| json!([node["id"], node["host"]]))
        .collect();
    nodes.sort_by_key(ToString::to_string);
    json!({"cluster": system.cluster(), "apps": apps, "versions": versions, "nodes": nodes})
}

#[test]
fn a_lost_cluster_comes_back_from_a_backup_with_its_containers() {
    let port = free_port();
    let mut system = System::start_with_env(&[("TEPUI_PEER_PORT", &port)]);
    let mut agent = Agent::join(&system, "second");
    wait("the agent is a node", PATIENCE, || node(&system, "second").is_some());
    let at = |host: &str| json!([["hostname", "LIKE", host]]);
    for (id, n, host) in [("/shop/web", 2, "127.0.0.1"), ("/there", 2, "second")] {
        let app = json!({"id": id, "cmd": "sleep 1000", "cpus": 0.02, "mem": 16, "instances": n,
            "labels": {"of": "shop"}, "constraints": at(host)});
        system.marathon("POST", "/v2/apps", Some(&app));
        system.wait_running(id, n);
    }
    // A version more, which keeps what runs.
    system.marathon("PUT", "/v2/apps//shop/web", Some(&json!({"instances": 3})));
    system.wait_running("/shop/web", 3);
    let ann = json!({"password": "ann's own word", "description": "Ann"});
    assert_eq!(system.send("PUT", "/acs/api/v1/users/ann", Some(&ann)).status, 201);
    let (before, containers) = (told(&system), system.containers(""));
    let n_tasks = |app: &Value| app["tasks"].as_array().map_or(0, Vec::len);
    assert_eq!(before["apps"].as_array().expect("apps").iter().map(n_tasks).sum::<usize>(), 5);
    assert_eq!(containers.len(), 5);
    let token = system.token.clone();

    // Taken away by the command line, for a key that never was on the cluster.
    let dir = tempfile::tempdir().expect("directory");
    let key = good(dir.path(), "backup key -o secret.key");
    let public = key["public_key"].as_str().expect("a key");
    let file = dir.path().join("all.backup");
    let path = file.to_str().expect("a path");
    let began = Instant::now();
    let made = system.cli(&["backup", "create", "--for", public, "-o", path]);
    assert!(made.status.success(), "{}", text(&made));
    println!("a backup was made in {:?}", began.elapsed());
    let checked = good(dir.path(), "backup verify all.backup --key secret.key");
    assert_eq!((&checked["apps"], &checked["users"]), (&json!(2), &json!(2)));
    assert_eq!(checked["cluster"], before["cluster"]);

    // The agent has its certificate renewed meanwhile: the next one is not in the backup.
    renewed(&mut agent, &port);
    wait("the agent is heard again", PATIENCE, || agent.log().contains("registered with"));

    // All that the masters had is gone, without a word.
    let data = system.data_dir();
    let in_use = refused(dir.path(), &format!("doctor --data-dir {}", data.display()));
    assert!(in_use.contains("another tepui uses"), "{in_use}");
    system.kill_minus_nine();
    fs::remove_dir_all(&data).expect("removed");

    let restore = format!("backup restore all.backup --data-dir {}", data.display());
    let stranger = good(dir.path(), "backup key -o other.key");
    assert!(stranger["public_key"].is_string());
    let text = refused(dir.path(), &format!("{restore} --key other.key"));
    assert!(text.contains("none of these keys opens it"), "{text}");
    fs::write(dir.path().join("word"), "a passphrase of sorts\n").expect("written");
    let text = refused(dir.path(), &format!("{restore} --passphrase-file word"));
    assert!(text.contains("it was made for a key"), "{text}");
    let whole = fs::read(&file).expect("readable");
    fs::write(dir.path().join("short.backup"), &whole[..whole.len() - 7]).expect("written");
    let short = restore.replace("all.backup", "short.backup");
    let text = refused(dir.path(), &format!("{short} --key secret.key"));
    assert!(text.contains("damaged or cut short"), "{text}");
    assert!(!data.exists(), "what was refused left nothing");

    let began = Instant::now();
    let restored = good(dir.path(), &format!("{restore} --key secret.key"));
    println!("a data directory was made of it in {:?}", began.elapsed());
    assert_eq!(restored["restored_master"], 2, "no number is given twice");
    let text = refused(dir.path(), &format!("{restore} --key secret.key"));
    assert!(text.contains("is not empty"), "{text}");
    let looked = good(dir.path(), &format!("doctor --data-dir {}", data.display()));
    assert_eq!(looked["good"], true, "{looked:#}");

    system.launch();
    wait("both nodes are heard", ALL_BACK, || {
        ["127.0.0.1", "second"]
            .iter()
            .all(|host| node(&system, host).is_some_and(|node| node["condition"] == "active"))
    });
    wait("the agent has found it", ALL_BACK, || {
        agent.log().matches("registered with").count() == 2
    });
    wait("all is as it was", ALL_BACK, || told(&system) == before);
    println!("everything was back after {:?}", began.elapsed());
    assert!(began.elapsed() < ALL_BACK);
    // Nor is anything begun that would change it: the leader has compared by then.
    let settled = Instant::now();
    wait("it stays", PATIENCE, || {
        assert_eq!(told(&system), before);
        assert_eq!(system.containers(""), containers, "nothing was started anew");
        settled.elapsed() > STAYS
    });
    assert!(agent.log().contains("other certificate is tried"), "{}", agent.log());
    assert!(signs_in(&system, "ann", "ann's own word"));
    assert!(!signs_in(&system, "ann", "another word"));
    system.token = token;
    assert_eq!(system.get("/tepui/v1/me").json()["uid"], "admin", "logins go on");

    // And it goes on: something new runs on both, a node joins, the past is known.
    let app = json!({"id": "/new", "cmd": "sleep 1000", "cpus": 0.02, "mem": 16, "instances": 2,
        "constraints": [["hostname", "UNIQUE"]]});
    system.marathon("POST", "/v2/apps", Some(&app));
    system.wait_running("/new", 2);
    let third = Agent::join(&system, "third");
    wait("a new node joins", PATIENCE, || node(&system, "third").is_some());
    let masters = system.get("/tepui/v1/masters").json();
    assert_eq!(masters["masters"].as_array().map(Vec::len), Some(1), "{masters:#}");
    assert_eq!(masters["masters"][0]["part"], "leads");
    let past = system.get("/tepui/v1/history?kind=change").json();
    let texts = past.to_string();
    assert!(texts.contains("scaled from 2 to 3"), "{texts}");
    let mut after = told(&system)["apps"].as_array().expect("apps").clone();
    after.retain(|app| app["id"] != "/new");
    assert_eq!(json!(after), before["apps"], "and nothing of the old was touched");
    drop((agent, third));
}

#[test]
fn backups_are_made_by_schedule_and_the_oldest_go() {
    let dir = tempfile::tempdir().expect("directory");
    let key = good(dir.path(), "backup key -o secret.key");
    let public = key["public_key"].as_str().expect("a key");
    let place = dir.path().join("kept");
    let system = System::start_with_env(&[
        ("TEPUI_BACKUP_EVERY", "24h"),
        ("TEPUI_BACKUP_TO", place.to_str().expect("a path")),
        ("TEPUI_BACKUP_KEYS", public),
        ("TEPUI_BACKUP_KEEP", "2"),
    ]);
    let kept = || {
        let told = system.get("/tepui/v1/backups").json();
        let names = told["backups"].as_array().cloned().unwrap_or_default();
        names
            .iter()
            .map(|kept| kept["name"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    wait("the first is made by itself", PATIENCE, || kept().len() == 1);
    let first = kept()[0].clone();
    for _ in 0..2 {
        let made = system.cli(&["backup", "create", "--keep"]);
        assert!(made.status.success(), "{}", text(&made));
    }
    let now = kept();
    assert_eq!(now.len(), 2);
    assert!(!now.contains(&first), "{now:?}");
    for name in &now {
        let checked = good(dir.path(), &format!("backup verify kept/{name} --key secret.key"));
        assert_eq!(checked["cluster"], system.cluster());
    }
    let listed = text(&system.cli(&["backup", "list"]));
    assert!(listed.contains("every 1 d, the newest 2") && listed.contains(&now[0]), "{listed}");
    let metrics = system.get("/metrics").text();
    for line in ["tepui_backup_tries_total{outcome=\"good\"} 3", "tepui_backup_newest_bytes "] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let looked = text(&system.cli(&["doctor"]));
    assert!(looked.contains("ok    backups    the newest at "), "{looked}");

    // A place that takes nothing is told in the status and tried again.
    fs::remove_dir_all(&place).expect("removed");
    fs::write(&place, "no directory").expect("written");
    let failed = system.cli(&["backup", "create", "--keep"]);
    assert!(!failed.status.success());
    let status = system.get("/tepui/v1/status").text();
    assert!(status.contains("no backup was made at"), "{status}");
    fs::remove_file(&place).expect("removed");
    let made = system.cli(&["backup", "create", "--keep"]);
    assert!(made.status.success(), "{}", text(&made));
    let status = system.get("/tepui/v1/status").text();
    assert!(!status.contains("no backup was made at"), "{status}");
}
