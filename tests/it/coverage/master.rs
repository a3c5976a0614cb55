//! A whole master in this process, with every door it has, and no agent.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use tepui::{
    base::{clock::SystemClock, rng::Rng, task::Tasks},
    core::{AccessCommand, Command, command::Expect},
    http::auth::TOKEN_LIFE,
    model::access::User,
    node::{
        config::{Config, dev_defaults},
        master::{self, Master, Parts},
        settings::{Layers, Raw, Source},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const DEADLINE: Duration = Duration::from_secs(30);
/// Who may do everything, and who owns nothing.
pub const SUPERUSER: &str = "admin";
pub const PLAIN: &str = "ann";

pub struct Running {
    pub master: Master,
    address: Ipv4Addr,
    tasks: Tasks,
    dir: tempfile::TempDir,
}

/// The direct ports are fixed, so each master of these tests has an address of its own.
fn own_address() -> Ipv4Addr {
    static N: AtomicU8 = AtomicU8::new(2);
    let pid = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, N.fetch_add(1, Ordering::Relaxed), pid[2], pid[3])
}

impl Running {
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// One with this data directory.
    pub async fn start_in(dir: tempfile::TempDir) -> Self {
        let address = own_address();
        let mut layers = Layers::default();
        layers.over(&dev_defaults(), |_| Source::BuiltIn);
        let own = Raw {
            roles: Some(vec!["master".into()]),
            data_dir: Some(dir.path().to_owned()),
            address: Some(address.to_string()),
            listen: Some(address.to_string()),
            router_port: Some(0),
            dns_port: Some(0),
            compat_ports: Some(true),
            ..Raw::default()
        };
        layers.over(&own, |_| Source::BuiltIn);
        let config = Config::check(&layers).expect("usable settings");
        let (tasks, rng) = (Tasks::new("node"), Rng::from_os());
        let bound = master::bind(&config, &rng).await.expect("free ports");
        let parts = Parts { config: &config, clock: SystemClock::shared(), rng, tasks: &tasks };
        let master = master::start(parts, bound).await.expect("a master");
        let running = Self { master, address, tasks, dir };
        running.put_user(PLAIN, false).await;
        running
    }

    pub async fn propose(&self, command: impl Into<Command>) {
        let outcome = self.master.handles.log.propose(command.into()).await.expect("a leader");
        outcome.expect("accepted");
    }

    pub async fn put_user(&self, uid: &str, superuser: bool) {
        let user = User {
            uid: uid.into(),
            description: String::new(),
            password_hash: None,
            public_key: None,
            provider_type: "internal".into(),
            provider_id: String::new(),
            is_remote: false,
            superuser,
            generation: 0,
        };
        self.propose(AccessCommand::PutUser { user, expect: Expect::Any }).await;
    }

    /// Whatever a caller could change, in words.
    pub fn told(&self) -> String {
        let state = self.master.handles.log.state();
        let work = (&state.apps, &state.groups, &state.deployments, &state.instances);
        let secret = state.cluster.as_ref().map(|cluster| cluster.secret);
        format!("{work:?} {:?} {:?} {secret:?}", state.users, state.nodes)
    }

    pub fn token(&self, uid: &str) -> String {
        let now = SystemClock::shared().now();
        self.master.tokens.issue(uid, now, TOKEN_LIFE).expect("the user exists")
    }

    pub fn front_door(&self) -> SocketAddr {
        self.master.router
    }

    /// Where old clients meet this table alone.
    pub fn direct_port(&self, book: &str) -> SocketAddr {
        SocketAddr::from((self.address, if book == "marathon" { 8080 } else { 5050 }))
    }

    /// The status and all that came; of a success the head is enough, since it may be a stream.
    pub async fn ask(
        &self,
        at: SocketAddr,
        token: Option<&str>,
        method: &str,
        path: &str,
    ) -> (u16, String) {
        let token = token.map(|token| format!("Authorization: token={token}\r\n"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{}\
             Content-Length: 0\r\n\r\n",
            token.unwrap_or_default()
        );
        let exchange = async {
            let mut tcp = TcpStream::connect(at).await.unwrap();
            tcp.write_all(request.as_bytes()).await.unwrap();
            let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
            while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
                let n = tcp.read(&mut piece).await.unwrap();
                assert!(n > 0, "{method} {path}: no answer");
                answer.extend_from_slice(&piece[..n]);
            }
            if !answer.starts_with(b"HTTP/1.1 200 ") {
                tcp.read_to_end(&mut answer).await.unwrap();
            }
            String::from_utf8_lossy(&answer).into_owned()
        };
        let answer = tokio::time::timeout(DEADLINE, exchange).await;
        let answer = answer.unwrap_or_else(|_| panic!("{method} {path}: no answer in time"));
        (answer[9..12].parse().expect("a status"), answer)
    }

    /// Ends it and waits for its parts; what it has stored is left.
    pub async fn stop(self) -> tempfile::TempDir {
        self.master.drain(Duration::ZERO).await;
        self.tasks.stop(DEADLINE).await;
        self.dir
    }
}
