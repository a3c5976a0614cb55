//! Who gets in, and for how long: passwords, tokens, and the files that hold them.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde_json::json;

use super::{
    client,
    system::{PATIENCE, System, TEPUI, pause, signal, wait},
};

/// A value of `client.env`.
fn client_env(system: &System, key: &str) -> Option<String> {
    let text = fs::read_to_string(system.data_dir().join("client.env")).expect("client.env");
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(k, _)| *k == key).map(|(_, value)| value.to_owned()).next()
}

fn status_with(system: &System, token: &str) -> u16 {
    let path = "/tepui/v1/status";
    client::send(system.router, Some(token), "GET", path, None).expect("an answer").status
}

#[test]
fn the_first_password_is_told_once_and_gone_once_changed() {
    let mut system = System::start();
    let file = system.data_dir().join("initial-password");
    let password = fs::read_to_string(&file).expect("the first password");
    assert!(system.ready_line.contains(password.trim()), "{}", system.ready_line);
    system.stop();
    system.launch();
    assert!(!system.ready_line.contains(password.trim()), "{}", system.ready_line);
    assert!(system.ready_line.contains("initial-password"), "{}", system.ready_line);
    let old = system.token.clone();
    assert_eq!(status_with(&system, &old), 200);

    let change = json!({"password": "another-one"});
    let answer = system.send("PATCH", "/acs/api/v1/users/admin", Some(&change));
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(status_with(&system, &old), 401, "what was made before the change");
    wait("its file goes", PATIENCE, || !file.exists());
    let renewed = || client_env(&system, "TEPUI_TOKEN").filter(|token| *token != old);
    wait("this machine's own token is renewed", PATIENCE, || renewed().is_some());
    assert_eq!(status_with(&system, &renewed().expect("token")), 200);
    system.stop();
    system.launch();
    assert!(!system.ready_line.contains("password"), "{}", system.ready_line);
}

#[test]
fn what_is_taken_back_ends_at_once_and_so_do_its_streams() {
    let system = System::start();
    let bob = json!({"password": "hunter2"});
    assert_eq!(system.send("PUT", "/acs/api/v1/users/bob", Some(&bob)).status, 201);
    let log_in = || {
        let login = json!({"uid": "bob", "password": "hunter2", "exp": 0});
        let answer = system.send("POST", "/acs/api/v1/auth/login", Some(&login));
        answer.json()["token"].as_str().expect("a token").to_owned()
    };
    let (first, listener) = (log_in(), log_in());
    let router = system.router;
    let listening = std::thread::spawn(move || {
        client::send(router, Some(&listener), "GET", "/tepui/v1/events", None)
    });
    assert_eq!(status_with(&system, &first), 200);
    std::thread::sleep(Duration::from_secs(1));
    assert!(!listening.is_finished(), "the stream goes on");
    let out = system.cli(&["token", "revoke", "bob"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(status_with(&system, &first), 401);
    wait("the stream ends", Duration::from_secs(5), || listening.is_finished());
    assert_eq!(listening.join().expect("no panic").expect("an answer").status, 200);
    // Of others nothing has ended.
    assert_eq!(status_with(&system, &system.token), 200);

    let second = log_in();
    let out = system.cli(&["token", "rotate", "--yes"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(status_with(&system, &second), 401);
    assert_eq!(status_with(&system, &system.token), 401);
    let renewed = || client_env(&system, "TEPUI_TOKEN").filter(|token| *token != system.token);
    wait("this machine's own token is renewed", PATIENCE, || renewed().is_some());
    assert_eq!(status_with(&system, &renewed().expect("token")), 200);
}

/// A master over TLS on loopback, with a plain port beside it.
struct SafeMaster {
    dir: tempfile::TempDir,
    child: Child,
    https: SocketAddr,
    plain: SocketAddr,
    told: Vec<String>,
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("address")
}

impl SafeMaster {
    fn start(more: &str) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let (https, plain) = (free_address(), free_address());
        let settings = format!(
            "roles: [master]\nhostname: m1.example\naddress: 127.0.0.1\nlisten: 127.0.0.1\n\
             router_port: {}\nredirect_port: {}\ndns_port: 0\npeer_port: 0\n\
             compat_ports: false\ndata_dir: {}\n{more}",
            https.port(),
            plain.port(),
            dir.path().join("data").display()
        );
        let file = dir.path().join("node.yaml");
        fs::write(&file, settings).expect("written");
        let log = fs::File::create(dir.path().join("stderr")).expect("log");
        let mut child = Command::new(TEPUI)
            .args(["node", "--config"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut told: Vec<String> = Vec::new();
        while told.last().is_none_or(|line| !line.contains("curl ")) {
            match lines.next() {
                Some(line) => told.push(line.expect("readable")),
                None => break,
            }
        }
        let text = fs::read_to_string(dir.path().join("stderr")).unwrap_or_default();
        assert!(told.first().is_some_and(|l| l.starts_with("tepui is ready")), "{told:?} {text}");
        Self { dir, child, https, plain, told }
    }

    fn ca(&self) -> std::path::PathBuf {
        self.dir.path().join("data/pki/ca.crt")
    }

    fn password(&self) -> String {
        let file = self.dir.path().join("data/initial-password");
        fs::read_to_string(file).expect("password").trim().to_owned()
    }

    /// One request over TLS, trusting the cluster's authority, by the name `host`.
    fn ask(&self, host: &str, request: &str) -> String {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca()).expect("authority")).expect("usable");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = host.to_owned().try_into().expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("TLS");
        let tcp = TcpStream::connect(self.https).expect("connected");
        tcp.set_read_timeout(Some(Duration::from_secs(30))).expect("deadline");
        let mut stream = StreamOwned::new(connection, tcp);
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        // Some close without a last word.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    /// The command line with a home of its own and nothing in the environment.
    fn cli(&self, args: &[&str]) -> Output {
        Command::new(TEPUI)
            .args(args)
            .env_clear()
            .env("HOME", self.dir.path().join("home"))
            .env("TEPUI_PASSWORD", self.password())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .expect("the program runs")
    }
}

impl Drop for SafeMaster {
    fn drop(&mut self) {
        signal(self.child.id(), "TERM");
        for _ in 0..200 {
            if self.child.try_wait().expect("status").is_some() {
                return;
            }
            pause();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_master_speaks_https_and_its_plain_port_only_sends_there() {
    let master = SafeMaster::start("tls_names: [cluster.example]\n");
    assert!(master.told[0].contains(&format!("https://{}", master.https)), "{:?}", master.told);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for name in ["127.0.0.1", "localhost", "m1.example", "cluster.example", "leader.mesos"] {
        let answer = master.ask(name, &get("/dcos-metadata/dcos-version.json"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer}");
    }
    let login = json!({"uid": "admin", "password": master.password()}).to_string();
    let answer = master.ask(
        "localhost",
        &format!(
            "POST /acs/api/v1/auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{login}",
            login.len()
        ),
    );
    assert!(answer.contains("; HttpOnly; Path=/; SameSite=Lax; Secure; "), "{answer}");

    let plain = |path: &str| client::send(master.plain, None, "GET", path, None).expect("answer");
    let sent = plain("/service/marathon/v2/apps?a=b");
    assert_eq!(sent.status, 308);
    let there = format!("https://127.0.0.1:{}/service/marathon/v2/apps?a=b", master.https.port());
    assert_eq!(sent.header("location"), Some(there.as_str()));
    let ca = fs::read_to_string(master.ca()).expect("authority");
    for path in ["/ca/dcos-ca.crt", "/ca/tepui-ca.crt"] {
        assert_eq!(plain(path).text(), ca, "{path} in clear");
        assert!(master.ask("localhost", &get(path)).ends_with(&ca), "{path} over TLS");
    }
    // In clear at the port with TLS: words, not silence.
    let confused = client::send(master.https, None, "GET", "/", None).expect("an answer");
    assert_eq!(confused.status, 400);
    assert!(confused.text().contains("speaks HTTPS"), "{}", confused.text());
}

#[test]
fn the_command_line_meets_an_authority_once_and_trusts_it_from_then_on() {
    let master = SafeMaster::start("");
    let address = master.https.to_string();
    let text = |out: &Output| String::from_utf8_lossy(&out.stderr).into_owned();
    let fingerprint = master.told[1].rsplit(' ').next().expect("fingerprint").to_owned();
    assert_eq!(fingerprint.len(), 64, "{:?}", master.told);

    let out = master.cli(&["login", &address]);
    assert_eq!(out.status.code(), Some(4), "{}", text(&out));
    assert!(text(&out).contains("--ca-fingerprint"), "{}", text(&out));
    let other = "0".repeat(64);
    let out = master.cli(&["login", &address, "--ca-fingerprint", &other]);
    assert_eq!(out.status.code(), Some(4), "{}", text(&out));
    assert!(text(&out).contains("another authority"), "{}", text(&out));
    let out = master.cli(&["status"]);
    assert_eq!(out.status.code(), Some(7), "nothing was remembered: {}", text(&out));

    let out = master.cli(&["login", &address, "--ca-fingerprint", &fingerprint]);
    assert!(out.status.success(), "{}", text(&out));
    let out = master.cli(&["status"]);
    assert!(out.status.success(), "{}", text(&out));
    let out = master.cli(&["login", &address]);
    assert!(out.status.success(), "known by now: {}", text(&out));
    // Another cluster at a known address is noticed.
    let home = master.dir.path().join("home/.config/tepui/ca.pem");
    let stranger = SafeMaster::start("");
    fs::copy(stranger.ca(), home).expect("another authority");
    let out = master.cli(&["login", &address]);
    assert_eq!(out.status.code(), Some(4), "{}", text(&out));
    assert!(text(&out).contains("not the one that was trusted before"), "{}", text(&out));
    let out = master.cli(&["status"]);
    assert_eq!(out.status.code(), Some(4), "{}", text(&out));

    // The wrong way of speaking is told in words, and no password goes out in clear.
    let (plain, typed) = (master.plain.to_string(), format!("http://{}", master.plain));
    for (args, words) in [
        (vec!["login", typed.as_str()], "sends elsewhere: https://127.0.0.1:"),
        (vec!["login", plain.as_str()], "sends elsewhere: https://127.0.0.1:"),
    ] {
        let out = master.cli(&args);
        assert_eq!(out.status.code(), Some(7), "{}", text(&out));
        assert!(text(&out).contains(words), "{}", text(&out));
    }
    let out = master.cli(&["login", &format!("http://{address}")]);
    assert!(text(&out).contains("speaks HTTPS"), "{}", text(&out));
    let out = master.cli(&["login", &format!("https://{plain}")]);
    assert!(text(&out).contains("speaks plain HTTP"), "{}", text(&out));
    // The machine's owner needs no login.
    let client_env = fs::read_to_string(master.dir.path().join("data/client.env")).expect("file");
    let env = client_env.lines().filter_map(|line| line.split_once('='));
    let out = Command::new(TEPUI).arg("status").env_clear().envs(env).output().expect("runs");
    assert!(out.status.success(), "{}", text(&out));
}

#[test]
fn a_login_without_a_scheme_finds_the_right_one_on_this_machine() {
    let system = System::start();
    let password = fs::read_to_string(system.data_dir().join("initial-password")).expect("file");
    let out = Command::new(TEPUI)
        .args(["login", &system.router.to_string()])
        .env_clear()
        .env("HOME", system.dir.path())
        .env("TEPUI_PASSWORD", password.trim())
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{text}");
    assert!(text.contains(&format!("signed in to http://{}", system.router)), "{text}");
    // A login that has ended is told in a sentence, not with a page.
    let out = Command::new(TEPUI)
        .args(["status", "--token", "nonsense"])
        .env_clear()
        .env("HOME", system.dir.path())
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(4), "{text}");
    assert!(text.contains("does not know this login") && !text.contains('<'), "{text}");
}

#[test]
fn the_direct_mesos_port_names_itself_as_the_leader() {
    let system = System::start_with(&["--compat-ports", "on"]);
    let mesos: SocketAddr = ([127, 0, 0, 1], 5050).into();
    let target = "http://127.0.0.1:5050/redirect";
    let answer = client::send(mesos, None, "GET", target, None).expect("an answer");
    assert_eq!(answer.status, 307);
    assert_eq!(answer.header("location"), Some("//127.0.0.1:5050"));
    let marathon: SocketAddr = ([127, 0, 0, 1], 8080).into();
    for (at, path) in [(mesos, "/master/state"), (mesos, "/state?jsonp=f"), (marathon, "/v2/apps")]
    {
        let stranger = client::send(at, None, "GET", path, None).expect("an answer");
        assert_eq!(stranger.status, 401, "{path}: {}", stranger.text());
        let known = client::send(at, Some(&system.token), "GET", path, None).expect("an answer");
        assert_eq!(known.status, 200, "{path}: {}", known.text());
    }
    assert_eq!(client::send(marathon, None, "GET", "/ping", None).expect("answer").status, 200);
}
