//! Three masters and an agent, each a process of its own on an address of loopback: joining, working on
//! any of them, losing the one that leads without warning and with, coming back, removing one.
//!
//! No container is started: what is looked at is who decides, who answers and who is found.

mod parts;
mod recover;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query},
    rr::{Name, RData, RecordType},
};
use serde_json::{Value, json};

use crate::e2e::{
    client::{self, Answer},
    system::{PATIENCE, TEPUI, pause, signal, wait},
};

/// A lost leader is replaced in two; the rest is the machine's.
const AGAIN: Duration = Duration::from_secs(10);
/// A leader that stops hands over first, in a fraction of a second; the rest is the machine's.
const HANDED_OVER: Duration = Duration::from_secs(3);

/// A process of the cluster, with its directory.
struct Node {
    dir: tempfile::TempDir,
    ip: Ipv4Addr,
    child: Option<Child>,
}

impl Node {
    /// Node number `n` of this test's own addresses.
    fn new(n: u8) -> Self {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let ip = Ipv4Addr::new(127, 64 + high % 64, low, n);
        Self { dir: tempfile::tempdir().expect("directory"), ip, child: None }
    }

    fn settings(&self, role: &str, invite: Option<&Value>) {
        let mut settings = json!({
            "roles": [role],
            "hostname": format!("m{}", self.ip.octets()[3]),
            "address": self.ip,
            "listen": self.ip,
            "data_dir": self.dir.path().join("data"),
            "docker": self.dir.path().join("no-engine.sock"),
            "tls": "off",
            "router_port": 8000,
            "dns_port": 5300,
            "peer_port": 5070,
            "compat_ports": "off",
        });
        if let Some(invite) = invite {
            settings["masters"] = json!([invite["master"]]);
            settings["join_token"] = invite["token"].clone();
        }
        fs::write(self.dir.path().join("node.yaml"), settings.to_string()).expect("written");
    }

    fn start(&mut self) {
        let log = self.dir.path().join("stderr");
        let log = fs::OpenOptions::new().create(true).append(true).open(log).expect("log");
        let child = Command::new(TEPUI)
            .args(["node", "--config"])
            .arg(self.dir.path().join("node.yaml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        self.child = Some(child);
    }

    fn kill(&mut self) {
        let mut child = self.child.take().expect("running");
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }

    /// Its exit code, once it has ended by itself.
    fn ended(&mut self, within: Duration) -> Option<i32> {
        let child = self.child.as_mut().expect("started");
        let mut status = None;
        wait("the process ends", within, || {
            status = child.try_wait().expect("status");
            status.is_some()
        });
        self.child = None;
        status.and_then(|status| status.code())
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    fn router(&self) -> SocketAddr {
        SocketAddr::new(self.ip.into(), 8000)
    }

    fn peers(&self) -> String {
        format!("{}:5070", self.ip)
    }

    /// The token in its `client.env`.
    fn token(&self) -> Option<String> {
        let env = fs::read_to_string(self.dir.path().join("data/client.env")).ok()?;
        env.lines().find_map(|line| line.strip_prefix("TEPUI_TOKEN=").map(str::to_owned))
    }

    fn send(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Option<Answer> {
        let body = body.map(|body| body.to_string());
        let (body, token) = (body.as_deref().map(str::as_bytes), Some(token));
        client::send(self.router(), token.filter(|t| !t.is_empty()), method, path, body).ok()
    }

    fn get(&self, token: &str, path: &str) -> Value {
        match self.send(token, "GET", path, None) {
            Some(answer) if answer.status == 200 => answer.json(),
            _ => Value::Null,
        }
    }

    /// The part each master has, by number, as this one tells.
    fn parts(&self, token: &str) -> BTreeMap<u64, String> {
        let answer = self.get(token, "/tepui/v1/masters");
        let rows = answer["masters"].as_array().cloned().unwrap_or_default();
        let part = |row: &Value| Some((row["id"].as_u64()?, row["part"].as_str()?.to_owned()));
        rows.iter().filter_map(part).collect()
    }

    /// Ids of all apps.
    fn apps(&self, token: &str) -> BTreeSet<String> {
        let answer = self.get(token, "/service/marathon/v2/apps");
        let apps = answer["apps"].as_array().cloned().unwrap_or_default();
        apps.iter().filter_map(|app| Some(app["id"].as_str()?.to_owned())).collect()
    }

    /// Addresses of a name, as its name server answers.
    fn resolve(&self, name: &str) -> BTreeSet<IpAddr> {
        let socket = UdpSocket::bind((self.ip, 0)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(2))).expect("set");
        let mut query = Message::new(7, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii(name).expect("a name"), RecordType::A));
        let mut buffer = [0; 4096];
        let asked = socket
            .send_to(&query.to_vec().expect("bytes"), (self.ip, 5300))
            .and_then(|_| socket.recv(&mut buffer));
        let Ok(n) = asked else { return BTreeSet::new() };
        let reply = Message::from_vec(&buffer[..n]).expect("a reply");
        let address = |data: &RData| match data {
            RData::A(a) => Some(IpAddr::from(a.0)),
            _ => None,
        };
        reply.answers.iter().filter_map(|record| address(&record.data)).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            let all = self.stderr();
            let from = all.len().saturating_sub(6_000);
            println!("---- {}\n{}", self.ip, all.get(from..).unwrap_or(&all));
        }
    }
}

/// Puts one app after the other through a master, until told to stop.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Written>,
}

#[derive(Default)]
struct Written {
    /// Acknowledged.
    apps: BTreeSet<String>,
    /// The longest time without an acknowledgement.
    longest: Duration,
}

impl Writer {
    fn start(name: &'static str, router: SocketAddr, token: &str) -> Self {
        let (stop, token) = (Arc::new(AtomicBool::new(false)), token.to_owned());
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let (mut written, mut last) = (Written::default(), Instant::now());
            for n in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let id = format!("/{name}/a{n}");
                let app = json!({"id": id, "cmd": "sleep 9", "instances": 0}).to_string();
                let path = "/service/marathon/v2/apps";
                let sent = client::send(router, Some(&token), "POST", path, Some(app.as_bytes()));
                if sent.is_ok_and(|answer| answer.status == 201) {
                    written.apps.insert(id);
                    written.longest = written.longest.max(last.elapsed());
                    last = Instant::now();
                } else {
                    thread::sleep(Duration::from_millis(20));
                }
            }
            written
        });
        Self { stop, thread }
    }

    fn stop(self) -> Written {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("written")
    }
}

fn leader(parts: &BTreeMap<u64, String>) -> Option<u64> {
    parts.iter().find(|(_, part)| *part == "leads").map(|(id, _)| *id)
}

/// Whether so many decide, the one that leads among them.
fn decide(parts: &BTreeMap<u64, String>, n: usize) -> bool {
    leader(parts).is_some()
        && parts.values().filter(|p| *p == "leads" || *p == "decides").count() == n
}

fn invite(of: &Node, token: &str, role: &str) -> Value {
    let answer = of.send(token, "POST", "/tepui/v1/nodes/invite", Some(json!({ "role": role })));
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Starts the first master; its token.
fn found(first: &mut Node) -> String {
    first.settings("master", None);
    first.start();
    wait("the first master answers", PATIENCE, || {
        first.token().is_some_and(|token| !first.parts(&token).is_empty())
    });
    first.token().expect("a token")
}

/// Has a master join at the first.
fn join(masters: &mut BTreeMap<u64, Node>, id: u64, token: &str) {
    let token_of = invite(&masters[&1], token, "master");
    let joining = masters.get_mut(&id).unwrap();
    joining.settings("master", Some(&token_of));
    joining.start();
    wait("it has joined", PATIENCE, || masters[&1].parts(token).contains_key(&id));
}

#[test]
fn three_masters_lose_their_leader_and_nothing_that_was_acknowledged() {
    let mut masters: BTreeMap<u64, Node> = (1..=3u8).map(|n| (n.into(), Node::new(n))).collect();
    let token = found(masters.get_mut(&1).unwrap());

    // The second only follows; with the third all decide.
    let began = Instant::now();
    for id in [2, 3] {
        join(&mut masters, id, &token);
        if id == 2 {
            wait("it follows", PATIENCE, || masters[&1].parts(&token)[&2] == "follows");
        }
    }
    wait("three decide", PATIENCE, || decide(&masters[&1].parts(&token), 3));
    println!("two masters joined one in {:?}", began.elapsed());
    wait("all answer", PATIENCE, || masters.values().all(|m| decide(&m.parts(&token), 3)));

    // The cluster's secrets are on each; in no log in clear.
    for node in masters.values() {
        assert!(node.dir.path().join("data/pki/ca.key").exists());
        let used = node.get(&token, "/tepui/v1/invitations");
        assert_eq!(used["invitations"], json!([]), "used tokens wait for nobody");
    }

    // An agent that was told of one master only; its token is made on another.
    let mut agent = Node::new(4);
    let mut token_of = invite(&masters[&3], &token, "agent");
    token_of["master"] = json!(masters[&1].peers());
    agent.settings("agent", Some(&token_of));
    agent.start();
    let node = |through: &Node| through.get(&token, "/tepui/v1/nodes")["nodes"][0].clone();
    wait("the agent is a node", PATIENCE, || node(&masters[&2])["id"].is_string());
    let id = node(&masters[&2])["id"].as_str().expect("an id").to_owned();
    let heard_by = |master: &Node| {
        let shown = master.get(&token, &format!("/tepui/v1/nodes/{id}"));
        shown["last_seen_at"].is_string()
    };
    let leading = leader(&masters[&1].parts(&token)).expect("one leads");
    wait("the leader hears it", PATIENCE, || heard_by(&masters[&leading]));

    // Names and logins are the same on all of them.
    let ips: BTreeSet<IpAddr> = masters.values().map(|m| m.ip.into()).collect();
    let leads_at =
        |id: u64, of: &Node| of.resolve("leader.mesos.") == BTreeSet::from([id_ip(id, of)]);
    fn id_ip(id: u64, of: &Node) -> IpAddr {
        let mut octets = of.ip.octets();
        octets[3] = u8::try_from(id).expect("small");
        IpAddr::from(octets)
    }
    for master in masters.values() {
        wait("all masters have the name", PATIENCE, || master.resolve("master.mesos.") == ips);
        wait("the leader has its name", PATIENCE, || leads_at(leading, master));
    }
    let password = fs::read_to_string(masters[&1].dir.path().join("data/initial-password"));
    let login = json!({"uid": "admin", "password": password.expect("a password").trim()});
    let login = masters[&2].send("", "POST", "/acs/api/v1/auth/login", Some(login));
    let made = login.expect("an answer").json()["token"].as_str().expect("a token").to_owned();
    assert!(decide(&masters[&3].parts(&made), 3), "a login of one is good on all");

    // The leader dies while another takes changes.
    let others: Vec<u64> = masters.keys().copied().filter(|id| *id != leading).collect();
    let through = &masters[&others[0]];
    let writer = Writer::start("killed", through.router(), &token);
    wait("some are written", PATIENCE, || through.apps(&token).len() > 5);
    masters.get_mut(&leading).unwrap().kill();
    let killed = Instant::now();
    let through = &masters[&others[0]];
    let before = through.apps(&token).len();
    wait("changes are taken again", AGAIN, || {
        leader(&through.parts(&token)).is_some_and(|id| id != leading)
            && through.apps(&token).len() > before + 3
    });
    println!("leader killed: changes taken again in {:?}", killed.elapsed());
    let second = leader(&through.parts(&token)).expect("one leads");
    wait("the agent finds it", AGAIN, || heard_by(&masters[&second]));
    println!("leader killed: agent heard again in {:?}", killed.elapsed());
    let written = writer.stop();
    println!("{} apps acknowledged, the longest gap was {:?}", written.apps.len(), written.longest);
    for id in &others {
        wait("it leads by name", AGAIN, || leads_at(second, &masters[id]));
        wait("no app is lost", AGAIN, || masters[id].apps(&token).is_superset(&written.apps));
    }

    // It comes back and catches up.
    masters.get_mut(&leading).unwrap().start();
    let began = Instant::now();
    wait("it has caught up", PATIENCE, || {
        masters[&leading].apps(&token).is_superset(&written.apps)
    });
    println!("the killed master was back in {:?}", began.elapsed());
    wait("three decide", PATIENCE, || decide(&masters[&leading].parts(&token), 3));

    // A leader that is stopped hands over: nobody waits.
    let leading = leader(&masters[&leading].parts(&token)).expect("one leads");
    let other = *masters.keys().find(|id| **id != leading).expect("another");
    // A leader that was only just elected holds to its own vote for so long.
    thread::sleep(Duration::from_secs(2));
    let writer = Writer::start("stopped", masters[&other].router(), &token);
    thread::sleep(Duration::from_millis(500));
    signal(masters[&leading].child.as_ref().expect("running").id(), "TERM");
    assert_eq!(masters.get_mut(&leading).unwrap().ended(PATIENCE), Some(0));
    let through = &masters[&other];
    wait("another leads", AGAIN, || leader(&through.parts(&token)).is_some_and(|id| id != leading));
    thread::sleep(Duration::from_millis(300));
    let written = writer.stop();
    println!("leader stopped: the longest gap was {:?}", written.longest);
    assert!(written.longest < HANDED_OVER, "{:?}", written.longest);
    wait("no app is lost", AGAIN, || through.apps(&token).is_superset(&written.apps));
    masters.get_mut(&leading).unwrap().start();
    wait("three decide", PATIENCE, || decide(&masters[&leading].parts(&token), 3));

    // One is removed: it says so, ends, and is not let in again.
    let through = &masters[&leading];
    let gone = leader(&through.parts(&token)).expect("one leads");
    let path = format!("/tepui/v1/masters/{gone}");
    let answer = through.send(&token, "DELETE", &path, None).expect("an answer");
    assert_eq!(answer.status, 204, "{}", answer.text());
    let rest: Vec<u64> = masters.keys().copied().filter(|id| *id != gone).collect();
    wait("two decide", PATIENCE, || {
        let parts = masters[&rest[0]].parts(&token);
        parts.len() == 2 && decide(&parts, 2)
    });
    for again in 0..2 {
        if again == 1 {
            masters.get_mut(&gone).unwrap().start();
        }
        let removed = masters.get_mut(&gone).unwrap();
        assert_eq!(removed.ended(PATIENCE), Some(1), "{}", removed.stderr());
        let said = removed.stderr();
        assert!(said.contains("was removed from the cluster"), "{said}");
    }
    let app = json!({"id": "/last", "cmd": "sleep 9", "instances": 0});
    let put = masters[&rest[1]].send(&token, "POST", "/service/marathon/v2/apps", Some(app));
    assert_eq!(put.map(|answer| answer.status), Some(201), "the others go on");

    // The last one alone decides nothing; what it knows it still tells, and says how old that is.
    let (alone, dead) = (&masters[&rest[0]], rest[1]);
    let fresh = alone.send(&token, "GET", "/tepui/v1/masters", None).expect("an answer");
    assert_eq!(fresh.header("warning"), None);
    assert!(contact_ms(&fresh) < 900, "{:?}", fresh.headers);
    let known = alone.apps(&token);
    masters.get_mut(&dead).unwrap().kill();
    let alone = &masters[&rest[0]];
    let path = "/service/marathon/v2/apps";
    let mut last = None;
    wait("it says that it is alone", AGAIN, || {
        last = alone.send(&token, "GET", path, None);
        last.as_ref().is_some_and(|answer| answer.header("warning").is_some())
    });
    let stale = last.expect("an answer");
    assert!(stale.header("warning").is_some_and(|w| w.starts_with("110 tepui ")));
    assert!(contact_ms(&stale) >= 900, "{:?}", stale.headers);
    assert_eq!(alone.apps(&token), known);
    assert_eq!(alone.get(&token, "/tepui/v1/masters")["stale"], true);
    let app = json!({"id": "/refused", "cmd": "sleep 9", "instances": 0});
    let refused = alone.send(&token, "POST", path, Some(app)).expect("an answer");
    assert_eq!(refused.status, 503, "{}", refused.text());
    masters.get_mut(&dead).unwrap().start();
    wait("together they go on", PATIENCE, || decide(&masters[&rest[0]].parts(&token), 2));
    wait("what is told is fresh again", AGAIN, || {
        let fresh = masters[&rest[0]].send(&token, "GET", path, None);
        fresh.is_some_and(|answer| answer.header("warning").is_none())
    });
    assert!(!masters[&rest[0]].apps(&token).contains("/refused"));
    pause();
}

/// Milliseconds since when an answer may lack changes.
fn contact_ms(answer: &Answer) -> u64 {
    let told = answer.header("tepui-last-contact-ms").expect("it says how fresh it is");
    told.parse().expect("a number")
}
