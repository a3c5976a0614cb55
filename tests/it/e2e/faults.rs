//! What goes wrong around a running system: bad clients, a dead engine, a full disk, bad settings.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    client,
    system::{PATIENCE, System, TEPUI, wait},
};

#[test]
fn bad_requests_get_clear_answers_and_harm_nobody() {
    let system = System::start();
    let unknown = system.get("/service/marathon/v2/nothing");
    assert_eq!(unknown.status, 404, "{}", unknown.text());
    assert_eq!(system.get("/tepui/v1/nothing").status, 404);
    let broken = system.try_send("POST", "/service/marathon/v2/apps", Some(b"{not json"));
    let broken = broken.expect("answer");
    assert_eq!((broken.status, broken.json()["message"].as_str()), (400, Some("Invalid JSON")));
    let wrong = system.send(
        "POST",
        "/service/marathon/v2/apps",
        Some(&json!({"id": "/a", "cpus": "many"})),
    );
    assert_eq!(wrong.status, 422);
    assert_eq!(wrong.json()["details"][0]["path"], "/cpus");
    let no_token = client::send(system.router, None, "GET", "/service/marathon/v2/apps", None);
    assert_eq!(no_token.expect("answer").status, 401);
    let huge = vec![b' '; 17 << 20];
    let huge = system.try_send("POST", "/service/marathon/v2/apps", Some(&huge)).expect("answer");
    assert_eq!(huge.status, 413, "{}", huge.text());
    assert_eq!(system.get("/tepui/v1/status").status, 200);
}

#[test]
fn slow_clients_do_not_hold_the_front_door() {
    let system = System::start();
    let mut slow: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(system.router).expect("connected");
            stream.write_all(b"GET / HT").expect("sent");
            stream
        })
        .collect();
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(system.get("/tepui/v1/status").status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let stream = &mut slow[0];
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the server closes a head that never ends");
}

#[test]
fn without_docker_the_system_answers_and_says_so() {
    let system = System::start_with(&["--docker", "/nonexistent/docker.sock"]);
    assert!(system.stderr().contains("Docker does not answer"), "{}", system.stderr());
    let app = json!({"id": "/a", "cmd": "sleep 1000", "cpus": 0.05, "mem": 32});
    system.marathon("POST", "/v2/apps", Some(&app));
    let app = system.wait_app("/a", "there", |app| app["tasksRunning"] == 0);
    assert_eq!(app["deployments"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_second_process_on_the_same_directory_is_refused() {
    let system = System::start();
    let out = Command::new(TEPUI)
        .args(["dev", "--router-port", "0", "--dns-port", "0", "--data-dir"])
        .arg(system.data_dir())
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(text.contains("another tepui uses"), "{text}");
}

#[test]
fn a_taken_port_and_bad_settings_are_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let port = taken.local_addr().expect("address").port().to_string();
    let dir = tempfile::tempdir().expect("directory");
    let run = |args: &[&str]| {
        let mut command = Command::new(TEPUI);
        command.args(args).arg("--data-dir").arg(dir.path());
        let out = command.output().expect("runs");
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (code, text) = run(&["dev", "--dns-port", "0", "--router-port", &port]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&port), "{text}");
    let shown = Command::new(TEPUI)
        .args(["config", "show", "--role", "agent"])
        .env("TEPUI_JOIN_TOKEN", "nobody-reads-this")
        .env("TEPUI_MASTERS", "10.0.0.1:5070")
        .output()
        .expect("runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("10.0.0.1:5070") && shown.contains("join_token"), "{shown}");
    assert!(!shown.contains("nobody-reads-this"), "{shown}");
    let (code, text) = run(&["node", "--role", "slave"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("\"slave\" is no role"), "{text}");
}

#[test]
fn a_clean_stop_exits_zero_and_leaves_containers_running() {
    let mut system = System::start();
    let app = json!({"id": "/stays", "cmd": "sleep 1000", "cpus": 0.05, "mem": 32});
    system.marathon("POST", "/v2/apps", Some(&app));
    system.wait_running("/stays", 1);
    let (cluster, containers) = (system.cluster(), system.containers("stays"));
    let streams: Vec<TcpStream> = ["/tepui/v1/events", "/service/marathon/v2/events"]
        .iter()
        .map(|path| open_stream(&system, path))
        .collect();
    let began = Instant::now();
    assert_eq!(system.stop(), Some(0), "{}", system.stderr());
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "open streams hold it: {:?}",
        began.elapsed()
    );
    assert!(!system.stderr().contains("did not stop"), "{}", system.stderr());
    drop(streams);
    let filter = format!("label=tepui.cluster={cluster}");
    let left =
        Command::new("docker").args(["ps", "-q", "--no-trunc", "--filter", &filter]).output();
    let left = String::from_utf8_lossy(&left.expect("docker").stdout).trim().to_owned();
    assert_eq!(vec![left], containers);
    system.launch();
    system.wait_running("/stays", 1);
}

/// Asks for events and waits for the head of the answer.
fn open_stream(system: &System, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(system.router).expect("connected");
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: t\r\nAccept: text/event-stream\r\nAuthorization: token={}\r\n\r\n",
        system.token
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut start = [0; 12];
    stream.read_exact(&mut start).expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 200");
    stream
}

#[test]
fn a_full_disk_refuses_changes_clearly_and_recovers() {
    let dir = tempfile::tempdir().expect("directory");
    let disk = Disk::mount(dir.path(), "256m");
    let system = System::start_in(dir, &[]);
    disk.fill();
    // The log reserves its file ahead (tens of MiB), so small writes would fit for a long time.
    let weight = "x".repeat(512 << 10);
    let app = json!({"id": "/a", "cmd": "sleep 1000", "instances": 0, "labels": {"x": weight}});
    let text = app.to_string();
    let mut refused = None;
    for _ in 0..400 {
        let answer = system.try_send("PUT", "/service/marathon/v2/apps//a", Some(text.as_bytes()));
        let answer = answer.expect("an answer");
        if answer.status >= 500 {
            refused = Some(answer);
            break;
        }
        system.try_send("DELETE", "/service/marathon/v2/apps//a", None).expect("an answer");
    }
    let refused = refused.expect("a full disk refuses sooner or later");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("disk"), "{}", refused.text());
    assert_eq!(system.get("/service/marathon/v2/apps").status, 200, "reading goes on");
    disk.empty();
    wait("writes work again", PATIENCE, || {
        let path = "/service/marathon/v2/apps//b";
        let body = json!({"id": "/b", "cmd": "sleep 1000", "instances": 0}).to_string();
        let answer = system.try_send("PUT", path, Some(body.as_bytes()));
        answer.is_ok_and(|a| a.status < 300)
    });
}

#[test]
fn a_master_starts_with_a_nearly_full_disk_and_says_where_it_is_once_there_is_room() {
    let dir = tempfile::tempdir().expect("directory");
    let disk = Disk::mount(dir.path(), "256m");
    let mut system = System::start_in(dir, &[]);
    let app = json!({"id": "/before", "cmd": "sleep 1000", "instances": 0});
    system.marathon("PUT", "/v2/apps//before", Some(&app));
    assert_eq!(system.stop(), Some(0), "{}", system.stderr());
    disk.fill_but(20 << 20);

    // Its ports are others now, so there is something to tell the cluster.
    system.launch();
    assert_eq!(system.app("/before")["id"], "/before", "what is stored can be read");
    let body = json!({"id": "/b", "cmd": "sleep 1000", "instances": 0}).to_string();
    let path = "/service/marathon/v2/apps//b";
    let put = || system.try_send("PUT", path, Some(body.as_bytes())).expect("an answer");
    let refused = put();
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("disk"), "{}", refused.text());

    disk.empty();
    wait("writes work again", PATIENCE, || put().status < 300);
    wait("the master has told where it is", PATIENCE, || {
        let level = system.get("/tepui/v1/level");
        level.status == 200 && level.text().contains(&system.router.to_string())
    });
}

/// A small file system of its own below a directory.
struct Disk {
    at: std::path::PathBuf,
}

impl Disk {
    fn mount(dir: &std::path::Path, size: &str) -> Self {
        let at = dir.join("data");
        std::fs::create_dir_all(&at).expect("directory");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&at)
            .status();
        assert!(status.expect("mount").success(), "mounting a tmpfs needs root");
        Self { at }
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.at.join("ballast")).expect("file");
        let block = vec![0; 64 << 10];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&[0; 512]).is_ok() {}
    }

    /// Fills it up to some bytes.
    fn fill_but(&self, bytes: u64) {
        let free = nix::sys::statvfs::statvfs(&self.at).expect("a file system");
        let free = free.blocks_available() * free.fragment_size();
        let file = std::fs::File::create(self.at.join("ballast")).expect("file");
        nix::fcntl::posix_fallocate(&file, 0, (free - bytes).cast_signed()).expect("room");
    }

    fn empty(&self) {
        std::fs::remove_file(self.at.join("ballast")).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
