//! One agent on a real engine, with the leader's end of its link in the test's hand.

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
        AppId, InstanceId, NodeId, Pools, RunSpec, Scalars, WorkloadSpec,
        container::{Command, ContainerSpec, Engine as Dialect, Image},
        instance::{Condition, KillReason, Placement},
        link::{Answer, AskError, Channel, Desired, FromAgent, Order, Question, Report, ToAgent},
        node::{NodeInfo, NodeKind},
        workload::{Network, NetworkMode},
    },
};
use tokio::{
    io::AsyncWriteExt as _,
    sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

pub const IMAGE: &str = "tepui-it/busybox:1";
/// Everything these tests wait for happens well within this, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Every plain command's container has the directories in the root of this machine: whoever takes one
/// away has to be alone.
static ROOT: RwLock<()> = RwLock::const_new(());

pub fn socket() -> String {
    #[allow(clippy::disallowed_methods)] // set by whoever runs the tests
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "/var/run/docker.sock".to_owned());
    let path = host.trim_start_matches("unix://").to_owned();
    assert!(
        Path::new(&path).exists(),
        "these tests need a Docker engine: none at {path} (start one with `dockerd`, or set DOCKER_HOST)"
    );
    path
}

/// The test image: busybox with its usual names.
pub async fn image() {
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
pub struct Rig {
    pub dir: Arc<tempfile::TempDir>,
    cluster: String,
    socket: String,
    tasks: Tasks,
    agent: AgentHandle,
    pub ends: MasterEnds,
    pub reports: BTreeMap<(InstanceId, u32), Vec<Report>>,
    answers: BTreeMap<u64, Result<Answer, AskError>>,
    pub data: BTreeMap<u64, Vec<(Channel, Vec<u8>)>>,
    pub over: BTreeMap<u64, Option<i32>>,
    /// Whose volumes the agent said are gone.
    pub wiped: Vec<InstanceId>,
    is_last: bool,
    _root: Option<RwLockReadGuard<'static, ()>>,
}

impl Rig {
    pub async fn new() -> Self {
        let (dir, cluster) = Self::place().await;
        Self::on(dir, cluster, socket()).await
    }

    /// One beside which no other has a container, as long as the guard is held: it may change the
    /// root of this machine.
    pub async fn alone() -> (Self, RwLockWriteGuard<'static, ()>) {
        let (dir, cluster) = Self::place().await;
        // Not in the queue for it: a test may need a second rig beside its first one.
        let guard = loop {
            match ROOT.try_write() {
                Ok(guard) => break guard,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        (Self::within(dir, cluster, socket(), None).await, guard)
    }

    async fn place() -> (Arc<tempfile::TempDir>, String) {
        image().await;
        (Arc::new(tempfile::tempdir().unwrap()), format!("it-{}", Rng::from_os().hex(12)))
    }

    pub async fn on(dir: Arc<tempfile::TempDir>, cluster: String, socket: String) -> Self {
        Self::within(dir, cluster, socket, Some(ROOT.read().await)).await
    }

    async fn within(
        dir: Arc<tempfile::TempDir>,
        cluster: String,
        socket: String,
        root: Option<RwLockReadGuard<'static, ()>>,
    ) -> Self {
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
            level: tepui::base::level::LEVEL,
        };
        let config = AgentConfig {
            data_dir: dir.path().join("agent"),
            cluster: cluster.clone(),
            framework: format!("{cluster}-0000"),
            endpoint: None,
            resolver: tepui::agent::resolver::Resolver::none(),
            dns_search: Vec::new(),
            names: tokio::sync::watch::Sender::default(),
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
            agent,
            ends,
            reports: BTreeMap::new(),
            answers: BTreeMap::new(),
            data: BTreeMap::new(),
            over: BTreeMap::new(),
            wiped: Vec::new(),
            is_last: true,
            _root: root,
        }
    }

    /// One on an engine of the test's own, which removes its containers itself.
    pub async fn on_engine(dir: Arc<tempfile::TempDir>, socket: &str) -> Self {
        let cluster = format!("it-{}", Rng::from_os().hex(12));
        let mut rig = Self::on(dir, cluster, socket.to_owned()).await;
        rig.is_last = false;
        rig
    }

    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Another leader takes over: the link is a new one.
    pub async fn reconnect(&mut self) {
        let (agent_ends, ends) = link::pair();
        assert!(self.agent.connect(agent_ends).await);
        self.ends = ends;
    }

    /// The agent's process dies and a new one starts on the same data.
    pub async fn restarted(mut self, away: impl AsyncFnOnce(&Engine)) -> Self {
        self.tasks.stop(Duration::from_secs(5)).await;
        away(&Engine::new(&self.socket)).await;
        self.is_last = false;
        Self::on(self.dir.clone(), self.cluster.clone(), self.socket.clone()).await
    }

    pub async fn desire(&self, orders: Vec<Order>) {
        let desired = Desired { full: true, orders, forget: Vec::new() };
        self.ends.to_agent.send(ToAgent::Desired(desired)).await.unwrap();
    }

    pub fn last(&self, id: &str, n: u32) -> Option<&Report> {
        self.reports.get(&(InstanceId::from(id), n))?.last()
    }

    pub async fn hear(&mut self) {
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
            FromAgent::Wiped(instances) => self.wiped.extend(instances),
        }
    }

    pub fn keep(&mut self, reports: Vec<Report>) {
        for report in reports {
            let key = (report.instance.clone(), report.incarnation);
            self.reports.entry(key).or_default().push(report);
        }
    }

    pub async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !done(self) {
            if tokio::time::Instant::now() > deadline {
                panic!("{what} did not come; last reports: {:#?}", self.reports);
            }
            self.hear().await;
        }
    }

    pub async fn until_condition(&mut self, id: &str, n: u32, condition: Condition) -> Report {
        let is = |r: &Self| r.last(id, n).is_some_and(|r| r.condition == condition);
        let ended = |r: &Self| r.last(id, n).is_some_and(|r| r.condition.is_terminal());
        self.until(&format!("{condition:?} of {id}"), |r| is(r) || ended(r)).await;
        let report = self.last(id, n).unwrap().clone();
        assert_eq!(report.condition, condition, "{}", report.message);
        report
    }

    pub async fn ask(&mut self, id: u64, question: Question) -> Result<Answer, AskError> {
        self.ends.to_agent.send(ToAgent::Ask { id, question }).await.unwrap();
        self.until("answer", |r| r.answers.contains_key(&id)).await;
        self.answers.remove(&id).unwrap()
    }

    pub async fn read(&mut self, instance: &str, path: &str) -> String {
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

    pub async fn containers(&self) -> Vec<Found> {
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

pub fn spec(container: ContainerSpec, mode: NetworkMode) -> WorkloadSpec {
    WorkloadSpec {
        run: Arc::new(RunSpec {
            containers: vec![container],
            networks: vec![Network { mode, name: None, labels: BTreeMap::new() }],
            ..RunSpec::default()
        }),
        ..WorkloadSpec::new(AppId::parse("/it/app"), Timestamp::from_ms(0))
    }
}

pub fn order(id: &str, spec: WorkloadSpec, host_ports: Vec<Option<u16>>) -> Order {
    Order {
        instance: InstanceId::from(id),
        incarnation: 1,
        spec: spec.task(),
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
        volumes: Vec::new(),
    }
}

pub fn plain(id: &str, command: &str) -> Order {
    order(id, spec(plain_container(command), NetworkMode::Host), vec![])
}

pub fn plain_container(command: &str) -> ContainerSpec {
    ContainerSpec {
        command: Command::Shell(command.into()),
        resources: Scalars::of(0.1, 32.0, 0.0, 0.0),
        ..ContainerSpec::default()
    }
}

pub fn image_container(command: &str) -> ContainerSpec {
    let image = Image {
        name: IMAGE.into(),
        force_pull: false,
        privileged: false,
        parameters: Vec::new(),
        pull_secret: None,
        labels: Default::default(),
    };
    ContainerSpec { image: Some(image), engine: Some(Dialect::Docker), ..plain_container(command) }
}

pub fn killed(order: &Order) -> Order {
    Order { kill: Some(KillReason::Request), ..order.clone() }
}

/// Serves `body` to every request on a port of its own.
pub async fn serve(body: Vec<u8>) -> u16 {
    serve_all(vec![("", body)]).await
}

/// Serves `/files/<name>` on a port of its own; the name "" stands for every one.
pub async fn serve_all(files: Vec<(&'static str, Vec<u8>)>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[allow(clippy::disallowed_methods)] // ends with the test's runtime
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let n = tokio::io::AsyncReadExt::read(&mut stream, &mut request).await.unwrap_or(0);
            let line = String::from_utf8_lossy(&request[..n]).into_owned();
            let name = line.strip_prefix("GET /files/").and_then(|l| l.split([' ', '?']).next());
            let found = name.and_then(|name| {
                files.iter().find(|(n, _)| n.is_empty() || *n == name).map(|(_, body)| body)
            });
            let head = match found {
                Some(body) => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()),
                None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
            };
            drop(stream.write_all(head.as_bytes()).await);
            if let Some(body) = found {
                drop(stream.write_all(body).await);
            }
        }
    });
    port
}

/// A way to the engine that can be cut.
pub struct Way {
    path: PathBuf,
    tasks: Tasks,
}

impl Way {
    pub fn open(path: PathBuf) -> Self {
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

    pub async fn cut(&self) {
        self.tasks.stop(Duration::from_secs(5)).await;
        std::fs::remove_file(&self.path).unwrap();
    }
}
