//! A cluster of one master without a log, and a front door over it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::StatusCode;
use parking_lot::Mutex;
use tepui::{
    base::{
        clock::{ManualClock, Timestamp},
        rng::Rng,
        task::Tasks,
    },
    compat::dcos::{Facts, Gateway, GatewayParts, Known, Mounts},
    control::cluster::{Cluster, Error, Member},
    core::{Accepted, ClusterCommand, Command, Stamped, State, apply, command::Init, state::App},
    http::{
        Handler, Request,
        auth::{Passwords, Principal, TOKEN_LIFE, Tokens},
        body,
        proxy::Proxy,
        reply,
        serve::{Limits, Listener, Server},
    },
    model::{
        AppId, Instance, InstanceId, Node, NodeId, Pools, RunSpec, WorkloadSpec,
        access::User,
        container::{ContainerSpec, Port},
        instance::{Life, Phase, Placement, Seen, Task},
        node::{Duty, NodeInfo, NodeKind, Reach},
        workload::{Network, NetworkMode},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
pub const SECRET: [u8; 32] = [7; 32];
pub const CLUSTER_ID: &str = "3f2c1a5e-8d4b-4f6a-9c21-0123456789ab";
pub const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A cluster of one master whose log is a call of `apply`.
pub struct World {
    state: Mutex<State>,
}

impl Cluster for World {
    fn state(&self) -> Arc<State> {
        Arc::new(self.state.lock().clone())
    }

    fn propose<'a>(
        &'a self,
        _: &'a Principal,
        command: Command,
    ) -> BoxFuture<'a, Result<Accepted, Error>> {
        let entry = Stamped { at: NOW, request: None, by: None, command };
        let (outcome, _) = apply(&mut self.state.lock(), &entry);
        Box::pin(async move { outcome.map_err(Into::into) })
    }

    fn members(&self) -> Vec<Member> {
        vec![Member { address: [10, 0, 0, 1].into(), is_leader: true, is_serving: true }]
    }
}

impl World {
    pub async fn new() -> Arc<Self> {
        let hash = Passwords::default().hash("hunter2".to_owned(), &mut Rng::from_seed(1)).await;
        let admin = User {
            uid: "admin".to_owned(),
            description: "The operator".to_owned(),
            password_hash: Some(hash.unwrap()),
            public_key: None,
            provider_type: "internal".to_owned(),
            provider_id: String::new(),
            is_remote: false,
            superuser: true,
            generation: 0,
        };
        let world = Arc::new(Self { state: Mutex::default() });
        let init = Init {
            cluster: CLUSTER_ID.to_owned(),
            name: "test".to_owned(),
            secret: SECRET,
            users: vec![admin],
            level: tepui::base::level::LEVEL,
        };
        world.propose(&Principal::anonymous(), ClusterCommand::Init(init).into()).await.unwrap();
        world.change(|state| {
            let (node, record) = node();
            state.nodes.insert(node, Arc::new(record));
        });
        world
    }

    /// Edits the tables and brings revision and indexes up to date.
    pub fn change(&self, edit: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        edit(&mut state);
        state.revision += 1;
        apply::reindex(&mut state);
    }

    /// An app that offers a service at `addr`, with one running instance.
    pub fn offer(&self, id: &str, labels: &[(&str, &str)], addr: SocketAddr) {
        self.offer_at(id, labels, addr, NOW);
    }

    /// As `offer`, for an app that is there since `version`.
    pub fn offer_at(
        &self,
        id: &str,
        labels: &[(&str, &str)],
        addr: SocketAddr,
        version: Timestamp,
    ) {
        self.change(|state| {
            let spec = Arc::new(WorkloadSpec { version, ..spec(id, labels) });
            let app = App { id: spec.id.clone(), spec: spec.clone(), last_failure: None };
            state.specs.insert((spec.id.clone(), spec.version), spec.clone());
            state.apps.insert(spec.id.clone(), Arc::new(app));
            let instance = running(&spec, addr, 0);
            state.instances.insert(instance.id.clone(), Arc::new(instance));
        });
    }

    pub fn add_instance(
        &self,
        id: &str,
        addr: SocketAddr,
        n: u32,
        edit: impl FnOnce(&mut Instance),
    ) {
        self.change(|state| {
            let spec = state.apps.get(&AppId::parse(id)).unwrap().spec.clone();
            let mut instance = running(&spec, addr, n);
            edit(&mut instance);
            state.instances.insert(instance.id.clone(), Arc::new(instance));
        });
    }
}

pub fn node() -> (NodeId, Node) {
    let id = NodeId::from("node-S0");
    let info = NodeInfo {
        id: id.clone(),
        hostname: "10.0.0.2".to_owned(),
        address: [10, 0, 0, 2].into(),
        kind: NodeKind::Agent,
        attributes: BTreeMap::new(),
        fault_domain: None,
        total: Pools::default(),
        version: "0".to_owned(),
        level: tepui::base::level::LEVEL,
    };
    let (reach, duty) = (Reach::Reachable, Duty::Active);
    (id, Node { info, reach, duty, registered_at: NOW, reregistered_at: None })
}

fn spec(id: &str, labels: &[(&str, &str)]) -> WorkloadSpec {
    WorkloadSpec {
        run: Arc::new(RunSpec {
            containers: vec![ContainerSpec {
                ports: vec![Port { host_port: Some(0), ..Port::default() }],
                ..ContainerSpec::default()
            }],
            networks: vec![Network {
                mode: NetworkMode::Host,
                name: None,
                labels: BTreeMap::new(),
            }],
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..RunSpec::default()
        }),
        ..WorkloadSpec::new(AppId::parse(id), NOW)
    }
}

fn running(spec: &WorkloadSpec, addr: SocketAddr, n: u32) -> Instance {
    let id = InstanceId::from(format!("{}.instance-{n}", spec.id.safe()));
    let place = Placement {
        node: NodeId::from("node-S0"),
        hostname: "10.0.0.2".to_owned(),
        address: addr.ip(),
        allocation: Pools::default(),
        host_ports: vec![Some(addr.port())],
        launched_at: NOW,
    };
    let task = Task { place, kill: None, seen: Seen { ready: true, ..Seen::default() } };
    Instance {
        life: Life::Placed(Phase::Running, Box::new(task)),
        ..Instance::scheduled(id, spec.id.clone(), spec.version, NOW)
    }
}

pub fn labels<'a>(name: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("DCOS_SERVICE_NAME", name),
        ("DCOS_SERVICE_SCHEME", "http"),
        ("DCOS_SERVICE_PORT_INDEX", "0"),
    ];
    all.extend(more);
    all
}

/// A front door over a world.
pub struct Door {
    pub world: Arc<World>,
    pub gateway: Arc<Gateway>,
    pub server: Server,
    pub token: String,
    tasks: Tasks,
}

/// Tells which part was reached, with which path.
fn part(name: &'static str) -> Option<Arc<dyn Handler>> {
    let handler = move |request: Request| async move {
        reply::text(StatusCode::OK, format!("{name} {}", request.uri()))
    };
    Some(Arc::new(handler))
}

impl Door {
    pub async fn open() -> Self {
        let (tasks, world) = (Tasks::new("door"), World::new().await);
        let tokens = Arc::new(Tokens::new(Arc::new(Known(world.clone()))));
        let token = tokens.issue("admin", NOW, TOKEN_LIFE).unwrap();
        let gateway = Gateway::new(GatewayParts {
            cluster: world.clone(),
            facts: Facts {
                version: "0.1.0".to_owned(),
                public_address: Some([192, 0, 2, 7].into()),
                address: [10, 0, 0, 1].into(),
                hostname: "master-1".to_owned(),
                ca: Some("-----BEGIN CERTIFICATE-----\n".to_owned()),
            },
            tokens,
            passwords: Arc::default(),
            clock: ManualClock::new(NOW),
            rng: Rng::from_seed(2),
            proxy: Proxy::new(&tasks),
            meters: Arc::default(),
            checks_tokens: true,
            mounts: Mounts {
                ui: part("ui"),
                api: part("api"),
                marathon: part("marathon"),
                mesos: part("mesos"),
                agent: part("agent"),
                ..Mounts::default()
            },
        });
        let listener = Listener::bind(SocketAddr::new(LOCAL, 0)).unwrap();
        let gateway = Arc::new(gateway);
        let server = listener.serve(gateway.clone(), &tasks);
        Self { world, gateway, server, token, tasks }
    }

    /// A service of the cluster that shows what it was asked.
    pub fn upstream(&self, name: &'static str) -> SocketAddr {
        let handler = move |request: Request| async move {
            let (head, content) = request.into_parts();
            let content = body::read(content, 1 << 20).await.unwrap();
            let mut text = format!("{name} {} {}\n", head.method, head.uri);
            for (key, value) in &head.headers {
                text += &format!("{key}: {}\n", value.to_str().unwrap());
            }
            text += std::str::from_utf8(&content).unwrap();
            reply::text(StatusCode::OK, text)
        };
        let listener = Listener::bind(SocketAddr::new(LOCAL, 0)).unwrap();
        listener.with_limits(Limits::default()).serve(Arc::new(handler), &self.tasks).local_addr()
    }

    pub async fn ask(&self, request: &str) -> String {
        let exchange = async {
            let mut tcp = TcpStream::connect(self.server.local_addr()).await.unwrap();
            tcp.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            tcp.read_to_string(&mut answer).await.unwrap();
            answer
        };
        tokio::time::timeout(Duration::from_secs(20), exchange).await.expect("in time")
    }

    pub async fn get(&self, path: &str) -> String {
        let token = &self.token;
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: door\r\nAuthorization: token={token}\r\n\
             Connection: close\r\n\r\n"
        ))
        .await
    }

    pub async fn get_openly(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n")).await
    }
}
