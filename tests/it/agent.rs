//! The agent on a real container engine: what the leader orders runs, what runs is reported.
//!
//! Needs a Docker engine at `DOCKER_HOST` or `/var/run/docker.sock` and busybox-static on this
//! machine, from which the image is made. Each test is a cluster of its own (its label), so tests
//! do not see each other's containers.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tepui::{
    agent::{
        self, AgentConfig, AgentHandle,
        engine::EngineRuntime,
        link::{self, MasterEnds},
    },
    base::{
        clock::{SystemClock, Timestamp},
        rng::Rng,
        task::Tasks,
    },
    host::docker::{Engine, Found},
    model::{
        AppId, InstanceId, NodeId, Pools, Role, Scalars, WorkloadSpec,
        container::{
            Artifact, Command, ContainerSpec, DiskKind, Engine as Kind_, EnvValue, HealthCheck,
            Image, PersistentVolume, Port, Probe, ProbePort, Protocol, Volume, VolumeSource,
        },
        instance::{Condition, KillReason, Placement},
        link::{Answer, AskError, Channel, Desired, FromAgent, Order, Question, Report, ToAgent},
        node::{NodeInfo, NodeKind},
        workload::{
            Backoff, KillSelection, Kind, Network, NetworkMode, UnreachableStrategy,
            UpgradeStrategy,
        },
    },
};
use tokio::{io::AsyncWriteExt as _, sync::OnceCell};

const IMAGE: &str = "tepui-it/busybox:1";
/// Everything these tests wait for happens well within this, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn socket() -> String {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "/var/run/docker.sock".to_owned());
    let path = host.trim_start_matches("unix://").to_owned();
    assert!(
        Path::new(&path).exists(),
        "these tests need a Docker engine: none at {path} (start one with `dockerd`, or set DOCKER_HOST)"
    );
    path
}

/// The test image: busybox with its usual names.
async fn image() {
    static MADE: OnceCell<()> = OnceCell::const_new();
    MADE.get_or_init(|| async {
        let engine = Engine::new(&socket());
        if engine.has_image(IMAGE).await.expect("the engine answers") {
            return;
        }
        let busybox = ["/bin/busybox", "/usr/bin/busybox"]
            .into_iter()
            .find(|p| Path::new(p).exists())
            .expect("these tests need busybox-static (apt-get install busybox-static)");
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        let content = std::fs::read(busybox).unwrap();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, "bin/busybox", &content[..]).unwrap();
        for name in ["sh", "sleep", "cat", "echo", "env", "httpd", "tail", "id", "nc", "true"] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, format!("bin/{name}"), "busybox").unwrap();
        }
        for (name, content) in [
            ("etc/passwd", "root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n"),
            ("www/index.html", "hello"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        engine.import("tepui-it/busybox", "1", tar.into_inner().unwrap()).await.unwrap();
    })
    .await;
}

/// One agent with the leader's end of its link.
struct Rig {
    dir: Arc<tempfile::TempDir>,
    cluster: String,
    socket: String,
    tasks: Tasks,
    _agent: AgentHandle,
    ends: MasterEnds,
    reports: BTreeMap<(InstanceId, u32), Vec<Report>>,
    answers: BTreeMap<u64, Result<Answer, AskError>>,
    data: BTreeMap<u64, Vec<(Channel, Vec<u8>)>>,
    over: BTreeMap<u64, Option<i32>>,
    is_last: bool,
}

impl Rig {
    async fn new() -> Self {
        image().await;
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let cluster = format!("it-{}", Rng::from_os().hex(12));
        Self::on(dir, cluster, socket()).await
    }

    async fn on(dir: Arc<tempfile::TempDir>, cluster: String, socket: String) -> Self {
        let tasks = Tasks::new("agent-test");
        let info = NodeInfo {
            id: NodeId::from(format!("{cluster}-S0")),
            hostname: "node-1".into(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            kind: NodeKind::Agent,
            attributes: BTreeMap::new(),
            fault_domain: None,
            total: Pools::default(),
            version: "test".into(),
            resolver: None,
        };
        let config = AgentConfig {
            data_dir: dir.path().join("agent"),
            cluster: cluster.clone(),
            framework: format!("{cluster}-0000"),
            endpoint: None,
            default_user: None,
            keep: Duration::from_secs(3600),
            info,
        };
        let runtime = Arc::new(EngineRuntime::new(&socket, config.info.id.as_str()));
        let rng = Rng::from_seed(1);
        let agent = agent::start(config, runtime, SystemClock::shared(), &rng, &tasks).unwrap();
        let (agent_ends, ends) = link::pair();
        assert!(agent.connect(agent_ends).await);
        Self {
            dir,
            cluster,
            socket,
            tasks,
            _agent: agent,
            ends,
            reports: BTreeMap::new(),
            answers: BTreeMap::new(),
            data: BTreeMap::new(),
            over: BTreeMap::new(),
            is_last: true,
        }
    }

    /// The agent's process dies and a new one starts on the same data.
    async fn restarted(mut self, away: impl AsyncFnOnce(&Engine)) -> Self {
        self.tasks.stop(Duration::from_secs(5)).await;
        away(&Engine::new(&self.socket)).await;
        self.is_last = false;
        Self::on(self.dir.clone(), self.cluster.clone(), self.socket.clone()).await
    }

    async fn desire(&self, orders: Vec<Order>) {
        let desired = Desired { full: true, orders, forget: Vec::new() };
        self.ends.to_agent.send(ToAgent::Desired(desired)).await.unwrap();
    }

    fn last(&self, id: &str, n: u32) -> Option<&Report> {
        self.reports.get(&(InstanceId::from(id), n))?.last()
    }

    async fn hear(&mut self) {
        let message = tokio::time::timeout(PATIENCE, self.ends.from_agent.recv()).await;
        match message.expect("the agent speaks at least once a heartbeat").unwrap() {
            FromAgent::Hello(hello) => self.keep(hello.reports),
            FromAgent::Reports(reports) => self.keep(reports),
            FromAgent::Heartbeat(_) => {}
            FromAgent::Answer { id, answer } => drop(self.answers.insert(id, answer)),
            FromAgent::Data { id, channel, bytes } => {
                self.data.entry(id).or_default().push((channel, bytes));
            }
            FromAgent::End { id, exit_code } => drop(self.over.insert(id, exit_code)),
        }
    }

    fn keep(&mut self, reports: Vec<Report>) {
        for report in reports {
            let key = (report.instance.clone(), report.incarnation);
            self.reports.entry(key).or_default().push(report);
        }
    }

    async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !done(self) {
            if tokio::time::Instant::now() > deadline {
                panic!("{what} did not come; last reports: {:#?}", self.reports);
            }
            self.hear().await;
        }
    }

    async fn until_condition(&mut self, id: &str, n: u32, condition: Condition) -> Report {
        let is = |r: &Self| r.last(id, n).is_some_and(|r| r.condition == condition);
        let ended = |r: &Self| r.last(id, n).is_some_and(|r| r.condition.is_terminal());
        self.until(&format!("{condition:?} of {id}"), |r| is(r) || ended(r)).await;
        let report = self.last(id, n).unwrap().clone();
        assert_eq!(report.condition, condition, "{}", report.message);
        report
    }

    async fn ask(&mut self, id: u64, question: Question) -> Result<Answer, AskError> {
        self.ends.to_agent.send(ToAgent::Ask { id, question }).await.unwrap();
        self.until("answer", |r| r.answers.contains_key(&id)).await;
        self.answers.remove(&id).unwrap()
    }

    async fn read(&mut self, instance: &str, path: &str) -> String {
        let question = Question::ReadFile {
            instance: InstanceId::from(instance),
            incarnation: None,
            path: path.into(),
            offset: Some(0),
            bytes_max: 1 << 20,
        };
        match self.ask(999, question).await {
            Ok(Answer::File { bytes, .. }) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn containers(&self) -> Vec<Found> {
        Engine::new(&socket()).list("tepui.cluster", &self.cluster).await.unwrap()
    }
}

impl Drop for Rig {
    /// Removes what is left, also after a failed test.
    fn drop(&mut self) {
        if !self.is_last {
            return;
        }
        let cluster = self.cluster.clone();
        let clean = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let engine = Engine::new(&socket());
                for found in engine.list("tepui.cluster", &cluster).await.unwrap_or_default() {
                    drop(engine.remove(&found.id).await);
                }
            });
        });
        drop(clean.join());
    }
}

fn spec(container: ContainerSpec, mode: NetworkMode) -> WorkloadSpec {
    WorkloadSpec {
        id: AppId::parse("/it/app"),
        kind: Kind::App,
        instances: 1,
        containers: vec![container],
        networks: vec![Network { mode, name: None, labels: BTreeMap::new() }],
        require_ports: false,
        role: Role::star(),
        accepted_roles: None,
        constraints: Vec::new(),
        dependencies: Default::default(),
        labels: BTreeMap::new(),
        secrets: BTreeMap::new(),
        backoff: Backoff { initial_ms: 1000, factor: 1.15, ms_max: 3_600_000 },
        upgrade: UpgradeStrategy { minimum_health_capacity: 1.0, maximum_over_capacity: 1.0 },
        unreachable: UnreachableStrategy::Disabled,
        kill_selection: KillSelection::default(),
        executor: String::new(),
        executor_resources: None,
        residency: None,
        version: Timestamp::from_ms(0),
        last_scaling_at: Timestamp::from_ms(0),
        last_config_change_at: Timestamp::from_ms(0),
    }
}

fn order(id: &str, spec: WorkloadSpec, host_ports: Vec<Option<u16>>) -> Order {
    Order {
        instance: InstanceId::from(id),
        incarnation: 1,
        spec: Arc::new(spec),
        placement: Placement {
            node: NodeId::from("n"),
            hostname: "node-1".into(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            allocation: Pools::default(),
            host_ports,
            launched_at: Timestamp::from_ms(0),
        },
        kill: None,
        enforce_role: false,
    }
}

fn plain(id: &str, command: &str) -> Order {
    order(id, spec(plain_container(command), NetworkMode::Host), vec![])
}

fn plain_container(command: &str) -> ContainerSpec {
    ContainerSpec {
        command: Command::Shell(command.into()),
        resources: Scalars::of(0.1, 32.0, 0.0, 0.0),
        ..ContainerSpec::default()
    }
}

fn image_container(command: &str) -> ContainerSpec {
    let image = Image {
        name: IMAGE.into(),
        force_pull: false,
        privileged: false,
        parameters: Vec::new(),
        pull_secret: None,
    };
    ContainerSpec { image: Some(image), engine: Some(Kind_::Docker), ..plain_container(command) }
}

fn killed(order: &Order) -> Order {
    Order { kill: Some(KillReason::Request), ..order.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_task_runs_with_its_environment_and_ends() {
    let mut rig = Rig::new().await;
    let mut container = image_container("echo $MARATHON_APP_ID $GREETING; id -u; pwd >&2; exit 3");
    container.env.insert("GREETING".into(), EnvValue::Text("hi".into()));
    container.user = Some("web".into());
    rig.desire(vec![order("a", spec(container, NetworkMode::Host), vec![])]).await;
    let report = rig.until_condition("a", 1, Condition::Failed).await;
    assert_eq!(report.message, "Container exited with status 3");
    assert!(report.started_at.is_some());
    assert_eq!(rig.read("a", "stdout").await, "/it/app hi\n33\n");
    assert_eq!(rig.read("a", "stderr").await, "/\n");
    let containers = rig.containers().await;
    assert_eq!(containers[0].labels["MESOS_TASK_ID"], "a._app.1");
    assert_eq!(containers[0].labels["tepui.instance"], "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_command_sees_the_node_and_works_in_its_sandbox() {
    let mut rig = Rig::new().await;
    let mut container = plain_container(
        "echo made > made; ls /usr/bin/env; [ \"$PWD\" = \"$MESOS_SANDBOX\" ] && echo here; id -un; \
         touch /usr/tepui-it 2>/dev/null || echo read-only; exit 0",
    );
    container.user = Some("nobody".into());
    rig.desire(vec![order("p", spec(container, NetworkMode::Host), vec![])]).await;
    let report = rig.until_condition("p", 1, Condition::Finished).await;
    assert_eq!(report.message, "Command exited with status 0");
    assert_eq!(rig.read("p", "stdout").await, "/usr/bin/env\nhere\nnobody\nread-only\n");
    assert_eq!(rig.read("p", "made").await, "made\n");
    let list = Question::ListFiles {
        instance: InstanceId::from("p"),
        incarnation: Some(1),
        path: String::new(),
    };
    let Ok(Answer::Files(files)) = rig.ask(1, list).await else { panic!("no listing") };
    let names: Vec<&str> = files.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(names, ["made", "stderr", "stdout"]);
    // Only once the leader lets go is it forgotten.
    rig.desire(vec![]).await;
    rig.reports.clear();
    for _ in 0..8 {
        rig.hear().await;
    }
    assert!(rig.reports.is_empty(), "nothing is told about a forgotten task");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridged_task_is_reached_by_its_host_port() {
    let mut rig = Rig::new().await;
    let mut container = image_container("httpd -f -p 8080 -h /www");
    container.ports = vec![Port {
        container_port: Some(8080),
        host_port: Some(0),
        service_port: 10_000,
        protocol: Protocol::Both,
        ..Port::default()
    }];
    container.health_checks = vec![HealthCheck {
        probe: Probe::Http {
            tls: false,
            path: Some("/index.html".into()),
            port: ProbePort::Index(0),
            ignore_1xx: false,
            ipv6: false,
        },
        agent_semantics: false,
        grace_ms: 10_000,
        interval_ms: 200,
        timeout_ms: 5_000,
        failures_max: 3,
        delay_ms: 0,
    }];
    rig.desire(vec![order("b", spec(container, NetworkMode::Bridge), vec![Some(18_901)])]).await;
    let report = rig.until_condition("b", 1, Condition::Running).await;
    assert_eq!(report.addresses.len(), 1);
    rig.until("healthy", |r| r.last("b", 1).is_some_and(|r| r.health.iter().any(|h| h.alive)))
        .await;
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", 18_901)).await.unwrap();
    stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await.unwrap();
    assert!(text.ends_with("hello"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_health_check_kills_and_says_why() {
    let mut rig = Rig::new().await;
    let mut container = plain_container("sleep 1000");
    container.health_checks = vec![HealthCheck {
        probe: Probe::Command(Command::Shell("test -e healthy || exit 4".into())),
        agent_semantics: true,
        grace_ms: 0,
        interval_ms: 100,
        timeout_ms: 5_000,
        failures_max: 2,
        delay_ms: 0,
    }];
    rig.desire(vec![order("h", spec(container, NetworkMode::Host), vec![])]).await;
    let report = rig.until_condition("h", 1, Condition::Killed).await;
    assert!(report.unhealthy);
    assert_eq!(
        report.message,
        "Task was killed since COMMAND health check failed 2 times in a row. \
         Reason: Command exited with status 4"
    );
    assert_eq!(report.health[0].consecutive_failures, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_is_gentle_first_and_escalates_when_ignored() {
    let mut rig = Rig::new().await;
    let gentle = plain("gentle", "while true; do sleep 1; done");
    let mut container = plain_container("trap '' TERM; while true; do sleep 1; done");
    container.kill_grace_ms = Some(500);
    let stubborn = order("stubborn", spec(container, NetworkMode::Host), vec![]);
    // A shell that is a container's first process gets no signal: what it runs does.
    let mut container = image_container("while true; do sleep 1; done");
    container.kill_grace_ms = Some(600_000);
    let shell = order("shell", spec(container, NetworkMode::Host), vec![]);
    rig.desire(vec![gentle.clone(), stubborn.clone(), shell.clone()]).await;
    rig.until_condition("shell", 1, Condition::Running).await;
    rig.until_condition("gentle", 1, Condition::Running).await;
    rig.until_condition("stubborn", 1, Condition::Running).await;
    rig.desire(vec![killed(&gentle), killed(&stubborn), killed(&shell)]).await;
    let report = rig.until_condition("gentle", 1, Condition::Killed).await;
    assert_eq!(report.message, "Command terminated with signal Terminated");
    let report = rig.until_condition("stubborn", 1, Condition::Killed).await;
    assert!(report.message.ends_with("SIGKILL was sent"), "{}", report.message);
    for id in ["gentle", "stubborn"] {
        let key = (InstanceId::from(id), 1);
        let killing = rig.reports[&key].iter().any(|r| r.condition == Condition::Killing);
        assert!(killing, "TASK_KILLING is reported between");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_adopts_what_runs_and_learns_what_ended() {
    let mut rig = Rig::new().await;
    let stays = plain(
        "stays",
        "echo before; while [ ! -e go ]; do sleep 0.1; done; echo after; sleep 1000",
    );
    let ends = plain("ends", "while [ ! -e go ]; do sleep 0.1; done; exit 7");
    rig.desire(vec![stays.clone(), ends.clone()]).await;
    let before = rig.until_condition("stays", 1, Condition::Running).await;
    rig.until_condition("ends", 1, Condition::Running).await;
    let ids: Vec<String> = rig.containers().await.into_iter().map(|c| c.id).collect();
    let sandboxes = rig.dir.path().join("agent/sandboxes/it_app");
    let mut rig = rig
        .restarted(async |engine| {
            for id in ["stays", "ends"] {
                std::fs::write(sandboxes.join(id).join("1/go"), "").unwrap();
            }
            let deadline = tokio::time::Instant::now() + PATIENCE;
            while engine.inspect("tepui-ends._app.1").await.is_ok_and(|c| c.running) {
                assert!(tokio::time::Instant::now() < deadline, "the task goes on");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    let after = rig.until_condition("stays", 1, Condition::Running).await;
    assert_eq!(after.started_at, before.started_at);
    let report = rig.until_condition("ends", 1, Condition::Failed).await;
    assert_eq!(report.message, "Command exited with status 7");
    let now: Vec<String> = rig.containers().await.into_iter().map(|c| c.id).collect();
    assert_eq!(now, ids, "no container was started or removed");
    rig.desire(vec![stays.clone(), ends]).await;
    loop {
        let text = rig.read("stays", "stdout").await;
        if text.contains("after") {
            assert_eq!(text, "before\nafter\n");
            break;
        }
    }
    rig.desire(vec![killed(&stays)]).await;
    rig.until_condition("stays", 1, Condition::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_output_is_lost_or_doubled_over_restarts() {
    let mut rig = Rig::new().await;
    let n = 30_000;
    let script = format!(
        "i=0; while [ $i -lt {n} ]; do echo line $i; i=$((i+1)); \
         [ $((i % 3000)) -eq 0 ] && sleep 0.2; done; echo end >&2"
    );
    let order = order("log", spec(image_container(&script), NetworkMode::Host), vec![]);
    rig.desire(vec![order.clone()]).await;
    rig.until_condition("log", 1, Condition::Running).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await; // somewhere in the middle
        rig = rig.restarted(async |_| {}).await;
    }
    rig.desire(vec![order]).await;
    rig.until_condition("log", 1, Condition::Finished).await;
    let expected: String = (0..n).map(|i| format!("line {i}\n")).collect();
    let text = rig.read("log", "stdout").await;
    assert!(text == expected, "{} of {} bytes", text.len(), expected.len());
    assert_eq!(rig.read("log", "stderr").await, "end\n");
}

/// Serves `body` to every request on a port of its own.
async fn serve(body: Vec<u8>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[allow(clippy::disallowed_methods)] // ends with the test's runtime
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let n = tokio::io::AsyncReadExt::read(&mut stream, &mut request).await.unwrap_or(0);
            let found = request[..n].starts_with(b"GET /files/");
            let head = match found {
                true => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()),
                false => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
            };
            drop(stream.write_all(head.as_bytes()).await);
            if found {
                drop(stream.write_all(&body).await);
            }
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_are_fetched_unpacked_and_missed() {
    let mut rig = Rig::new().await;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(&mut gz);
    let mut header = tar::Header::new_gnu();
    header.set_size(19);
    header.set_mode(0o755);
    tar.append_data(&mut header, "tool/run.sh", &b"#!/bin/sh\necho ran\n"[..]).unwrap();
    tar.finish().unwrap();
    drop(tar);
    let port = serve(gz.finish().unwrap()).await;
    let artifact = |path: &str| Artifact {
        uri: format!("http://127.0.0.1:{port}{path}"),
        extract: true,
        executable: false,
        cache: true,
        dest_path: None,
    };
    let mut good = plain_container("./tool/run.sh");
    good.fetch = vec![artifact("/files/tool.tgz")];
    let mut bad = good.clone();
    bad.fetch = vec![artifact("/nothing.tgz")];
    rig.desire(vec![
        order("good", spec(good, NetworkMode::Host), vec![]),
        order("bad", spec(bad, NetworkMode::Host), vec![]),
    ])
    .await;
    rig.until_condition("good", 1, Condition::Finished).await;
    assert_eq!(rig.read("good", "stdout").await, "ran\n");
    let report = rig.until_condition("bad", 1, Condition::Failed).await;
    assert!(
        report.message.starts_with("Failed to fetch all URIs for container")
            && report.message.contains("404"),
        "{}",
        report.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_why() {
    let mut rig = Rig::new().await;
    let mut unknown = image_container("true");
    unknown.image.as_mut().unwrap().parameters = vec![("colour".into(), "red".into())];
    let mut missing = image_container("true");
    missing.image.as_mut().unwrap().name = "localhost:1/no/such:image".into();
    let mut stranger = plain_container("true");
    stranger.user = Some("no-such-one".into());
    let mut program = image_container("");
    program.command = Command::Args(vec!["/no/such/program".into()]);
    let on_host = |id: &str, c: ContainerSpec| order(id, spec(c, NetworkMode::Host), vec![]);
    rig.desire(vec![
        on_host("unknown", unknown),
        on_host("missing", missing),
        on_host("stranger", stranger),
        on_host("program", program),
    ])
    .await;
    let report = rig.until_condition("unknown", 1, Condition::Error).await;
    assert!(report.message.contains("docker parameter 'colour'"), "{}", report.message);
    let report = rig.until_condition("missing", 1, Condition::Failed).await;
    assert!(report.message.contains("localhost:1"), "{}", report.message);
    let report = rig.until_condition("stranger", 1, Condition::Failed).await;
    assert_eq!(report.message, "No such user 'no-such-one'");
    let report = rig.until_condition("program", 1, Condition::Failed).await;
    assert!(report.message.contains("/no/such/program"), "{}", report.message);
    assert!(rig.containers().await.is_empty(), "nothing is left of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_memory_is_told_as_such() {
    let mut rig = Rig::new().await;
    let greedy = image_container("tail /dev/zero");
    rig.desire(vec![order("oom", spec(greedy, NetworkMode::Host), vec![])]).await;
    let report = rig.until_condition("oom", 1, Condition::Failed).await;
    assert_eq!(report.message, "Memory limit exceeded: the limit of 32 MB was reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_of_the_node_and_of_the_sandbox() {
    let mut rig = Rig::new().await;
    let shared = rig.dir.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("in"), "from the node\n").unwrap();
    let mut container = image_container(
        "cat /shared/in; echo x > /shared/y || echo no; echo kept > $MESOS_SANDBOX/data/f",
    );
    let volume = |path: &str, source: &str, read_only| Volume {
        container_path: path.into(),
        read_only,
        source: VolumeSource::Host(source.into()),
    };
    container.volumes =
        vec![volume("/shared", shared.to_str().unwrap(), true), volume("data", "data", false)];
    rig.desire(vec![order("v", spec(container, NetworkMode::Host), vec![])]).await;
    rig.until_condition("v", 1, Condition::Finished).await;
    assert_eq!(rig.read("v", "stdout").await, "from the node\nno\n");
    assert_eq!(rig.read("v", "data/f").await, "kept\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persistent_volume_outlives_the_incarnation() {
    let mut rig = Rig::new().await;
    let mut container = plain_container("cat data/n; echo once more >> data/n");
    container.volumes = vec![Volume {
        container_path: "data".into(),
        read_only: false,
        source: VolumeSource::Persistent(PersistentVolume {
            kind: DiskKind::Root,
            size_mb: 10,
            size_mb_max: None,
            profile: None,
            constraints: Vec::new(),
        }),
    }];
    let first = order("keep", spec(container, NetworkMode::Host), vec![]);
    let second = Order { incarnation: 2, ..first.clone() };
    rig.desire(vec![first]).await;
    rig.until_condition("keep", 1, Condition::Finished).await;
    rig.desire(vec![second]).await;
    rig.until_condition("keep", 2, Condition::Finished).await;
    assert_eq!(rig.read("keep", "stdout").await, "once more\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_shares_its_network_and_goes_down_together() {
    let mut rig = Rig::new().await;
    let server = ContainerSpec {
        name: "server".into(),
        engine: None,
        ..image_container("httpd -f -p 8080 -h /www")
    };
    let client = ContainerSpec {
        name: "client".into(),
        engine: None,
        ..image_container(
            "until busybox wget -qO- http://127.0.0.1:8080/; do sleep 0.1; done; \
             echo reached $MARATHON_CONTAINER_ID; exit 6",
        )
    };
    let mut pod = spec(server, NetworkMode::Bridge);
    pod.kind = Kind::Pod;
    pod.containers.push(client);
    rig.desire(vec![order("pod", pod, vec![])]).await;
    let report = rig.until_condition("pod", 1, Condition::Failed).await;
    assert_eq!(report.message, "Container exited with status 6");
    let ended: Vec<(&str, Option<i32>)> =
        report.containers.iter().map(|c| (c.name.as_str(), c.exit_code)).collect();
    assert_eq!(ended[1], ("client", Some(6)));
    assert_eq!(rig.read("pod", "client/stdout").await, "helloreached client\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_a_running_task() {
    let mut rig = Rig::new().await;
    rig.desire(vec![plain("e", "sleep 1000")]).await;
    rig.until_condition("e", 1, Condition::Running).await;
    let exec = |command: &str, tty| Question::Exec {
        instance: InstanceId::from("e"),
        container: String::new(),
        command: Command::Shell(command.into()),
        tty,
        stdin: true,
    };
    let answer = rig.ask(7, exec("cat; echo problem >&2; exit 5", false)).await;
    assert!(matches!(answer, Ok(Answer::Started)), "{answer:?}");
    let bytes = b"through and back".to_vec();
    let input = ToAgent::Data { id: 7, channel: Channel::Stdin, bytes: bytes.clone() };
    rig.ends.to_agent.send(input).await.unwrap();
    rig.ends.to_agent.send(ToAgent::End { id: 7 }).await.unwrap();
    rig.until("end of the command", |r| r.over.contains_key(&7)).await;
    assert_eq!(rig.over[&7], Some(5));
    let all = |rig: &Rig, id, channel| -> Vec<u8> {
        let pieces = rig.data[&id].iter().filter(|(c, _)| *c == channel);
        pieces.flat_map(|(_, b)| b.clone()).collect()
    };
    assert_eq!(all(&rig, 7, Channel::Stdout), bytes);
    assert_eq!(all(&rig, 7, Channel::Stderr), b"problem\n");

    let answer = rig.ask(8, exec("read x; stty size; exit", true)).await;
    assert!(matches!(answer, Ok(Answer::Started)), "{answer:?}");
    let size = ToAgent::Data { id: 8, channel: Channel::Resize, bytes: vec![33, 0, 99, 0] };
    rig.ends.to_agent.send(size).await.unwrap();
    let enter = ToAgent::Data { id: 8, channel: Channel::Stdin, bytes: b"\n".to_vec() };
    rig.ends.to_agent.send(enter).await.unwrap();
    rig.until("end of the command", |r| r.over.contains_key(&8)).await;
    let text = String::from_utf8(all(&rig, 8, Channel::Stdout)).unwrap();
    assert!(text.contains("33 99"), "{text}");

    let answer = rig.ask(9, exec("true", false)).await;
    assert!(matches!(answer, Ok(Answer::Started)), "{answer:?}");
    let gone = Question::Exec {
        instance: InstanceId::from("nobody"),
        container: String::new(),
        command: Command::Shell("true".into()),
        tty: false,
        stdin: false,
    };
    assert!(matches!(rig.ask(10, gone).await, Err(AskError::NotFound(_))));
}

/// A way to the engine that can be cut.
struct Way {
    path: PathBuf,
    tasks: Tasks,
}

impl Way {
    fn open(path: PathBuf) -> Self {
        drop(std::fs::remove_file(&path));
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let tasks = Tasks::new("way");
        let all = tasks.clone();
        tasks.connection("accept", async move {
            while let Ok((mut near, _)) = listener.accept().await {
                all.connection("relay", async move {
                    let Ok(mut far) = tokio::net::UnixStream::connect(socket()).await else {
                        return;
                    };
                    drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                });
            }
        });
        Self { path, tasks }
    }

    async fn cut(&self) {
        self.tasks.stop(Duration::from_secs(5)).await;
        std::fs::remove_file(&self.path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_away_is_waited_for() {
    image().await;
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let path = dir.path().join("engine.sock");
    let cluster = format!("it-{}", Rng::from_os().hex(12));
    let mut rig = Rig::on(dir, cluster, path.to_string_lossy().into_owned()).await;
    let first = plain("first", "while [ ! -e go ]; do sleep 0.1; done; exit 9");
    rig.desire(vec![first.clone()]).await;
    rig.until("the reason of the wait", |r| {
        r.last("first", 1).is_some_and(|r| r.message.contains("container engine"))
    })
    .await;
    assert_eq!(rig.last("first", 1).unwrap().condition, Condition::Staging);
    let way = Way::open(path.clone());
    rig.until_condition("first", 1, Condition::Running).await;
    way.cut().await;
    let second = plain("second", "sleep 1000");
    rig.desire(vec![first.clone(), second.clone()]).await;
    let sandbox = rig.dir.path().join("agent/sandboxes/it_app/first/1");
    std::fs::write(sandbox.join("go"), "").unwrap();
    rig.until("the reason of the wait", |r| {
        r.last("second", 1).is_some_and(|r| r.message.contains("waiting"))
    })
    .await;
    assert_eq!(rig.last("first", 1).unwrap().condition, Condition::Running);
    let _way = Way::open(path);
    rig.until_condition("second", 1, Condition::Running).await;
    let report = rig.until_condition("first", 1, Condition::Failed).await;
    assert_eq!(report.message, "Command exited with status 9");
    assert_eq!(rig.containers().await.len(), 2);
}
