//! The door for other nodes: agents with an identity keep their link here, new nodes join here.
//!
//! One TCP port, always TLS 1.3. What a connection wants it says in its ALPN name; a node with an
//! identity proves it before a byte is read, a joining one shows a token that is good for one node
//! and a short time.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use rustls::{ClientConfig, ServerConfig};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

use super::transport;
use crate::{
    agent::link::{ConnectError, Connector, LinkEnds},
    base::{
        clock::{Clock, Timestamp},
        rng::Rng,
        task::Tasks,
    },
    control::links::Links,
    host::pki::{self, Authority, Identity, Role, Subject},
};

/// ALPN name of an agent's link.
const ALPN_AGENT: &[u8] = b"tepui-agent/1";
/// ALPN name of a node that joins.
const ALPN_JOIN: &[u8] = b"tepui-join/1";
/// How long connecting, a handshake or a join may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Handshakes at a time: they cost CPU before anybody is known.
const HANDSHAKES_MAX: usize = 64;
/// How long an invitation is good.
pub const INVITATION: Duration = Duration::from_secs(3600);
/// Invitations that wait at a time.
const INVITATIONS_MAX: usize = 1_000;
/// A join message; requests and answers are a few kB.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// The master's side of the door.
pub struct Door {
    authority: Authority,
    identity: Identity,
    cluster: String,
    clock: Arc<dyn Clock>,
    rng: Mutex<Rng>,
    invitations: Mutex<BTreeMap<[u8; 32], Timestamp>>,
}

/// What a joining node says.
#[derive(Serialize, Deserialize)]
struct JoinRequest {
    secret: String,
    /// For people who read certificates.
    node: String,
}

/// What it is told.
#[derive(Serialize, Deserialize)]
enum JoinAnswer {
    Welcome { cluster: String, bundle: pki::join::Bundle },
    Refused(String),
}

impl Door {
    /// The door of a cluster; its authority is kept in `dir` and made at the first start.
    ///
    /// # Errors
    /// When certificates cannot be read, made or written.
    pub fn new(
        dir: &Path,
        cluster: &str,
        names: &[String],
        clock: Arc<dyn Clock>,
        rng: Rng,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let authority = Authority::load_or_create(dir, cluster, clock.now())?;
        let subject = Subject { node: "master", roles: &[Role::Master], names };
        let identity = authority.issue(&subject, clock.now())?;
        Ok(Self {
            authority,
            identity,
            cluster: cluster.to_owned(),
            clock,
            rng: Mutex::new(rng),
            invitations: Mutex::default(),
        })
    }

    /// A token that lets one node join, and until when it is good.
    ///
    /// # Errors
    /// When too many invitations wait already.
    pub fn invite(&self) -> Result<(String, Timestamp), String> {
        let now = self.clock.now();
        let mut invitations = self.invitations.lock();
        invitations.retain(|_, until| *until > now);
        if invitations.len() >= INVITATIONS_MAX {
            return Err(format!("{INVITATIONS_MAX} invitations wait already"));
        }
        let secret = self.rng.lock().hex(32);
        let until = now + INVITATION;
        invitations.insert(Sha256::digest(&secret).into(), until);
        Ok((format!("{secret}.{}", self.authority.fingerprint()), until))
    }

    /// Serves `listener` until `tasks` stop.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn run(
        self: Arc<Self>,
        listener: TcpListener,
        links: Links,
        tasks: Tasks,
    ) -> anyhow::Result<()> {
        let mut agents = (*self.identity.server_config(&[Role::Agent])?).clone();
        agents.alpn_protocols = vec![ALPN_AGENT.to_vec()];
        let mut joining = pki::join::server_config(&self.identity)?;
        joining.alpn_protocols = vec![ALPN_JOIN.to_vec()];
        let (agents, joining) = (Arc::new(agents), Arc::new(joining));
        let slots = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let cancelled = tasks.cancelled();
        loop {
            let slot = slots.clone().acquire_owned().await?;
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = cancelled.cancelled() => return Ok(()),
            };
            let Ok((stream, peer)) = accepted else {
                // Out of descriptors or a connection that died in the queue: neither ends the door.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let (door, links, configs, inner) =
                (self.clone(), links.clone(), (agents.clone(), joining.clone()), tasks.clone());
            tasks.connection("peer", async move {
                let served = door.serve(stream, configs, links, inner, slot).await;
                if let Err(error) = served {
                    tracing::debug!(%peer, error = format!("{error:#}"), "peer turned away");
                }
            });
        }
    }

    async fn serve(
        &self,
        stream: TcpStream,
        (agents, joining): (Arc<ServerConfig>, Arc<ServerConfig>),
        links: Links,
        tasks: Tasks,
        slot: tokio::sync::OwnedSemaphorePermit,
    ) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
        let start = timeout(HANDSHAKE, acceptor).await??;
        let joins = start
            .client_hello()
            .alpn()
            .is_some_and(|mut names| names.any(|name| name == ALPN_JOIN));
        let config = if joins { joining } else { agents };
        let mut tls = timeout(HANDSHAKE, start.into_stream(config)).await??;
        if joins {
            return timeout(HANDSHAKE, self.admit(&mut tls)).await?;
        }
        drop(slot);
        links.serve(transport::leader_end(tls, &tasks)).await;
        Ok(())
    }

    /// Gives a certificate to whoever shows an invitation.
    async fn admit<S>(&self, stream: &mut S) -> anyhow::Result<()>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let request: JoinRequest = receive(stream).await?;
        let digest: [u8; 32] = Sha256::digest(&request.secret).into();
        let until = self.invitations.lock().remove(&digest);
        let now = self.clock.now();
        let answer = if until.is_some_and(|until| until > now) {
            let subject = Subject { node: &request.node, roles: &[Role::Agent], names: &[] };
            let identity = self.authority.issue(&subject, now)?;
            tracing::info!(node = request.node, "node joined");
            let bundle = pki::join::Bundle::of(&identity);
            JoinAnswer::Welcome { cluster: self.cluster.clone(), bundle }
        } else {
            let text = "the token is not known, was used already or is too old; \
                        make another with `tepui node invite`";
            JoinAnswer::Refused(text.to_owned())
        };
        send(stream, &answer).await
    }
}

/// A node's identity and its cluster, from its data directory or by joining.
///
/// # Errors
/// When it has none and there is no token, or no master lets it in.
pub async fn identity(
    dir: &Path,
    masters: &[String],
    token: Option<&str>,
    node: &str,
) -> anyhow::Result<(Identity, String)> {
    let cluster_file = dir.join("cluster");
    if let Ok(cluster) = std::fs::read_to_string(&cluster_file) {
        return Ok((Identity::load(dir)?, cluster.trim().to_owned()));
    }
    let token = token.context(
        "this node belongs to no cluster yet; give it a join_token made with `tepui node invite`",
    )?;
    let (secret, fingerprint) = token
        .split_once('.')
        .context("the join token is not complete; copy all of what `tepui node invite` printed")?;
    let mut config = pki::join::client_config(fingerprint)?;
    config.alpn_protocols = vec![ALPN_JOIN.to_vec()];
    let config = Arc::new(config);
    let mut problems = Vec::new();
    for master in masters {
        match timeout(HANDSHAKE * 2, ask_to_join(master, config.clone(), secret, node)).await {
            Ok(Ok((identity, cluster))) => {
                std::fs::create_dir_all(dir)?;
                identity.save(dir)?;
                super::bootstrap::write_private(&cluster_file, &format!("{cluster}\n"))?;
                return Ok((identity, cluster));
            }
            Ok(Err(error)) => problems.push(format!("{master}: {error:#}")),
            Err(_) => problems.push(format!("{master}: no answer in time")),
        }
    }
    bail!("no master let this node in: {}", problems.join("; "))
}

async fn ask_to_join(
    master: &str,
    config: Arc<ClientConfig>,
    secret: &str,
    node: &str,
) -> anyhow::Result<(Identity, String)> {
    let mut stream = open(master, config).await?;
    let request = JoinRequest { secret: secret.to_owned(), node: node.to_owned() };
    send(&mut stream, &request).await?;
    match receive(&mut stream).await? {
        JoinAnswer::Welcome { cluster, bundle } => Ok((bundle.open(), cluster)),
        JoinAnswer::Refused(text) => bail!("{text}"),
    }
}

/// Connects an agent to the masters in turn until one leads.
pub struct ToMasters {
    masters: Vec<String>,
    config: Arc<ClientConfig>,
    next: Mutex<usize>,
    tasks: Tasks,
}

impl ToMasters {
    /// # Errors
    /// When the identity cannot be used.
    pub fn new(masters: Vec<String>, identity: &Identity, tasks: Tasks) -> anyhow::Result<Self> {
        let mut config = (*identity.client_config()?).clone();
        config.alpn_protocols = vec![ALPN_AGENT.to_vec()];
        Ok(Self { masters, config: Arc::new(config), next: Mutex::default(), tasks })
    }
}

impl Connector for ToMasters {
    fn connect(&self) -> BoxFuture<'_, Result<LinkEnds, ConnectError>> {
        let master = {
            let mut next = self.next.lock();
            let master = self.masters[*next % self.masters.len()].clone();
            *next += 1;
            master
        };
        async move {
            match timeout(HANDSHAKE, open(&master, self.config.clone())).await {
                Ok(Ok(stream)) => Ok(transport::agent_end(stream, &self.tasks)),
                Ok(Err(error)) => Err(ConnectError(format!("{master}: {error:#}"))),
                Err(_) => Err(ConnectError(format!("{master}: no answer in time"))),
            }
        }
        .boxed()
    }
}

/// A TLS connection to a master.
async fn open(
    master: &str,
    config: Arc<ClientConfig>,
) -> anyhow::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(master).await?;
    stream.set_nodelay(true)?;
    Ok(TlsConnector::from(config).connect(Role::Master.server_name(), stream).await?)
}

async fn send<S, T>(stream: &mut S, message: &T) -> anyhow::Result<()>
where
    S: tokio::io::AsyncWrite + Unpin,
    T: Serialize,
{
    let bytes = postcard::to_stdvec(message)?;
    stream.write_u32(u32::try_from(bytes.len())?).await?;
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    Ok(())
}

async fn receive<S, T>(stream: &mut S) -> anyhow::Result<T>
where
    S: tokio::io::AsyncRead + Unpin,
    T: serde::de::DeserializeOwned,
{
    let n_bytes = stream.read_u32().await? as usize;
    anyhow::ensure!(n_bytes <= MESSAGE_BYTES_MAX, "a join message of {n_bytes} bytes");
    let mut bytes = vec![0; n_bytes];
    stream.read_exact(&mut bytes).await?;
    Ok(postcard::from_bytes(&bytes)?)
}

/// Where a node keeps its certificates.
pub fn pki_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("pki")
}

/// Binds the port.
///
/// # Errors
/// When it is taken.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("binding the peer port {address}"))
}
