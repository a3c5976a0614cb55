//! Processor time per proxied request, beside nginx: the same upstream (an nginx of its own that
//! answers a short fixed body), the same keep-alive clients, a bounded number of requests. Ours is
//! measured twice: the bare proxy, which does what nginx does here, and the whole front door, which
//! also checks a token and finds the service in the cluster's state.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use tepui::{
    base::{clock::SystemClock, rng::Rng, task::Tasks},
    compat::dcos::{Facts, Gateway, GatewayParts, Known, Mounts},
    control::cluster::{Cluster, Error},
    core::{Accepted, Command, State, apply},
    http::{
        Handler, Request,
        auth::{Principal, TOKEN_LIFE, Tokens},
        crowd::Crowd,
        proxy::{Proxy, Target, Upstream},
        serve::Listener,
    },
    model::{
        access::User,
        instance::{Instance, Life, Phase, Placement, Seen, Task},
        node::NodeId,
        resource::Pools,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    Plan,
    child::{self, Scratch, Server},
    dns::version,
    report::Section,
    world,
};

const UPSTREAM: u16 = 18_820;
const NGINX: u16 = 18_821;
const BARE: u16 = 18_822;
const DOOR: u16 = 18_823;
const N_REQUESTS: u64 = 300_000;
const N_CLIENTS: usize = 64;
const ROUNDS: u64 = 9;
const SECRET: [u8; 32] = [7; 32];

pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    let mut section = Section::new(
        "Proxy: processor time per request",
        &["proxy", "CPU µs/request", "least", "requests/s a core", "errors"],
    );
    let missing = child::install(&["nginx-light"]);
    if let Some((_, why)) = missing.first() {
        anyhow::bail!("nginx is both peer and upstream here, and it is not here: {why}");
    }
    let scratch = Scratch::new("proxy")?;
    let (server_cpu, load_cpu) = child::processors();
    let nginx = |name: &str, config: String, pin| {
        let path = scratch.file(name);
        fs::write(&path, config)?;
        Server::start(&["nginx", "-c", &path, "-p", &scratch.file("")], pin, &scratch)
    };
    // The upstream shares the load's processor: it is not what is measured.
    let mut upstream = nginx("upstream.conf", upstream_config(&scratch), load_cpu)?;
    upstream.wait_for_port(UPSTREAM)?;
    let peer = nginx("proxy.conf", proxy_config(&scratch), server_cpu)?;
    let bare = Server::role(&["proxy", &BARE.to_string()], server_cpu, &scratch)?;
    let door = Server::role(&["door", &DOOR.to_string()], server_cpu, &scratch)?;
    let mut rivals = [
        Rival::new("tepui, bare proxy", bare, BARE, "/", None)?,
        Rival::new("tepui, front door with token", door, DOOR, "/service/web/", Some(token()))?,
        Rival::new(&version("nginx", "-v"), peer, NGINX, "/", None)?,
    ];
    child::pin_self(load_cpu);
    let n = plan.load(N_REQUESTS) / ROUNDS;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for rival in &rivals {
        runtime.block_on(load(rival.port, &rival.request, n / 10))?;
    }
    for _ in 0..ROUNDS {
        for rival in &mut rivals {
            rival.measure(&runtime, n)?;
        }
    }
    child::pin_self(None);
    for rival in rivals {
        rival.report(&mut section);
    }
    section.note(format!(
        "{} requests in {ROUNDS} rounds taken in turn, {N_CLIENTS} keep-alive connections from one \
         client on the other processor, where the upstream runs too; one processor for each proxy; \
         answers of 128 bytes; processor time from /proc, the median round counts.",
        n * ROUNDS
    ));
    Ok(section)
}

struct Rival {
    label: String,
    server: Server,
    port: u16,
    request: String,
    us_per_request: Vec<f64>,
    n_errors: u64,
}

impl Rival {
    fn new(
        label: &str,
        mut server: Server,
        port: u16,
        path: &str,
        token: Option<String>,
    ) -> anyhow::Result<Self> {
        server.wait_for_port(port)?;
        let token = token.map(|t| format!("Authorization: token={t}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{token}\r\n");
        let label = label.to_owned();
        Ok(Self { label, server, port, request, us_per_request: Vec::new(), n_errors: 0 })
    }

    #[allow(clippy::cast_precision_loss)] // numbers for people
    fn measure(&mut self, runtime: &tokio::runtime::Runtime, n: u64) -> anyhow::Result<()> {
        let before = self.server.cpu_of_living();
        let n_good = runtime.block_on(load(self.port, &self.request, n))?;
        let used = self.server.cpu_of_living() - before;
        self.n_errors += n - n_good;
        self.us_per_request.push(used.as_secs_f64() * 1e6 / n as f64);
        Ok(())
    }

    fn report(mut self, section: &mut Section) {
        self.us_per_request.sort_by(f64::total_cmp);
        let median = self.us_per_request[self.us_per_request.len() / 2];
        section.row([
            self.label,
            format!("{median:.2}"),
            format!("{:.2}", self.us_per_request[0]),
            format!("{:.0}", 1e6 / median),
            self.n_errors.to_string(),
        ]);
    }
}

/// Sends `n` requests over keep-alive connections and returns how many were answered with 200.
async fn load(port: u16, request: &str, n: u64) -> anyhow::Result<u64> {
    let (left, good) = (Arc::new(AtomicU64::new(n)), Arc::new(AtomicU64::new(0)));
    let client = |left: Arc<AtomicU64>, good: Arc<AtomicU64>| async move {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        let mut buffer = Vec::with_capacity(4096);
        while left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok() {
            stream.write_all(request.as_bytes()).await?;
            buffer.clear();
            while !is_whole(&buffer) {
                anyhow::ensure!(stream.read_buf(&mut buffer).await? > 0, "closed early");
            }
            good.fetch_add(u64::from(buffer.starts_with(b"HTTP/1.1 200")), Relaxed);
        }
        anyhow::Ok(())
    };
    let clients = (0..N_CLIENTS).map(|_| client(left.clone(), good.clone()));
    let all = futures_util::future::join_all(clients);
    let outcomes = tokio::time::timeout(Duration::from_secs(120), all).await?;
    outcomes.into_iter().collect::<anyhow::Result<Vec<()>>>()?;
    Ok(good.load(Relaxed))
}

/// Whether the buffer holds a head and the body its Content-Length tells.
fn is_whole(buffer: &[u8]) -> bool {
    let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok());
    length.is_none_or(|n: usize| buffer.len() >= end + 4 + n)
}

fn upstream_config(scratch: &Scratch) -> String {
    let body = "x".repeat(128);
    nginx_config(
        "upstream",
        scratch,
        &format!("server {{ listen 127.0.0.1:{UPSTREAM}; location / {{ return 200 {body}; }} }}"),
    )
}

fn proxy_config(scratch: &Scratch) -> String {
    nginx_config(
        "proxy",
        scratch,
        &format!(
            "upstream web {{ server 127.0.0.1:{UPSTREAM}; keepalive 128; keepalive_requests \
             100000000; }} server {{ listen 127.0.0.1:{NGINX}; location / {{ proxy_pass http://web; \
             proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header X-Real-IP \
             $remote_addr; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; \
             proxy_set_header X-Forwarded-Proto $scheme; }} }}"
        ),
    )
}

fn nginx_config(name: &str, scratch: &Scratch, rest: &str) -> String {
    let dir = scratch.path().display();
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {dir}/{name}-{kind};"))
        .join(" ");
    format!(
        "daemon off; worker_processes 1; pid {dir}/{name}.pid; error_log stderr error;\nevents {{ \
         worker_connections 2048; }}\nhttp {{ access_log off; keepalive_requests 100000000; {temp} \
         {rest} }}\n"
    )
}

/// The role of the bare proxy.
pub fn serve_bare(args: &[String]) -> anyhow::Result<()> {
    // Nobody shows a token here, and strangers would be held back: without a crowd.
    serve(args, None, |tasks| {
        let proxy = Proxy::new(tasks);
        let to = Target::plain(upstream());
        Arc::new(move |request: Request| {
            let (proxy, to) = (proxy.clone(), to.clone());
            async move { proxy.forward(request, &to).await }
        })
    })
}

/// The role of the front door over a state with one service.
pub fn serve_door(args: &[String]) -> anyhow::Result<()> {
    serve(args, Some(Crowd::of_process()), |tasks| {
        let parts = GatewayParts {
            cluster: Arc::new(Still(Arc::new(one_service()))),
            facts: Facts {
                version: String::new(),
                public_address: None,
                address: Ipv4Addr::LOCALHOST.into(),
                hostname: "bench".to_owned(),
                ca: None,
            },
            tokens: Arc::new(tokens()),
            passwords: Arc::default(),
            clock: SystemClock::shared(),
            rng: Rng::from_seed(1),
            proxy: Proxy::new(tasks),
            meters: Arc::default(),
            checks_tokens: true,
            mounts: Mounts::default(),
        };
        Arc::new(Gateway::new(parts))
    })
}

fn serve(
    args: &[String],
    crowd: Option<Arc<Crowd>>,
    handler: impl FnOnce(&Tasks) -> Arc<dyn Handler>,
) -> anyhow::Result<()> {
    let port: u16 = args.first().context("no port")?.parse()?;
    // As the product: as many threads as there are processors to run on, which is one here.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let tasks = Tasks::new("bench");
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, port).into())?;
        let listener = match crowd {
            Some(crowd) => listener.in_crowd(crowd),
            None => listener,
        };
        let _server = listener.serve(handler(&tasks), &tasks);
        anyhow::bail!("{}", tasks.failed().await)
    })
}

fn upstream() -> Upstream {
    Upstream { addr: SocketAddr::from((Ipv4Addr::LOCALHOST, UPSTREAM)), tls: false }
}

fn token() -> String {
    use tepui::base::clock::Clock as _;
    tokens().issue("bench", SystemClock.now(), TOKEN_LIFE).expect("the user is there")
}

fn tokens() -> Tokens {
    Tokens::new(Arc::new(Known(Arc::new(Still(Arc::new(one_service()))))))
}

/// A state with one app that offers the upstream as the service `web`.
fn one_service() -> State {
    let mut spec = world::spec("/web", 0, &[]);
    for (label, value) in [
        ("DCOS_SERVICE_NAME", "web"),
        ("DCOS_SERVICE_SCHEME", "http"),
        ("DCOS_SERVICE_PORT_INDEX", "0"),
    ] {
        spec.run_mut().labels.insert(label.to_owned(), value.to_owned());
    }
    let id = spec.id.clone();
    let version = spec.version;
    let mut state = world::state(1, [spec]);
    let place = Placement {
        node: NodeId::new("c-S0"),
        hostname: "localhost".to_owned(),
        address: Ipv4Addr::LOCALHOST.into(),
        allocation: Pools::default(),
        host_ports: vec![Some(UPSTREAM)],
        launched_at: world::NOW,
    };
    let task = Task { place, kill: None, seen: Seen { ready: true, ..Seen::default() } };
    let instance = Instance {
        life: Life::Placed(Phase::Running, Box::new(task)),
        ..Instance::scheduled("web.instance-1".into(), id, version, world::NOW)
    };
    state.instances.insert(instance.id.clone(), Arc::new(instance));
    let user = User {
        uid: "bench".to_owned(),
        description: String::new(),
        password_hash: None,
        public_key: None,
        provider_type: "internal".to_owned(),
        provider_id: String::new(),
        is_remote: false,
        superuser: true,
        generation: 0,
    };
    state.users.insert(user.uid.clone(), Arc::new(user));
    state.cluster = Some(Arc::new(tepui::core::state::Cluster {
        id: "bench".to_owned(),
        name: "bench".to_owned(),
        secret: SECRET,
        created_at: world::NOW,
        n_nodes: 0,
        n_masters: 0,
        level: tepui::base::level::LEVEL,
    }));
    apply::reindex(&mut state);
    state
}

/// A cluster in which nothing happens.
struct Still(Arc<State>);

impl Cluster for Still {
    fn state(&self) -> Arc<State> {
        self.0.clone()
    }

    fn propose<'a>(
        &'a self,
        _: &'a Principal,
        _: Command,
    ) -> BoxFuture<'a, Result<Accepted, Error>> {
        Box::pin(async { Err(tepui::log::ProposeError::NoLeader.into()) })
    }
}
