//! The node's side of the peer port: joining, the link to whoever leads, the next certificate.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::{
    bootstrap::write_private,
    peers::{self, HANDSHAKE, JoinAnswer, JoinRequest, Purpose, RenewAnswer, RenewRequest},
    transport,
    ways::Ways,
};
use crate::{
    agent::link::{ConnectError, Connector, LinkEnds},
    base::{
        clock::{Clock, Timestamp},
        rng::Rng,
        task::Tasks,
    },
    host::pki::{
        self, Identity,
        node::{As, Facts, Request},
    },
    model::{credential::Invited, link::ToAgent, master::Master},
};

/// How often it is looked whether the certificate should be renewed, and tried again when it was
/// not: a third of its life is left for that.
const RENEWAL_LOOK: Duration = Duration::from_secs(600);
/// Between two tries of another certificate that wait for nothing.
const HURRY_AGAIN: Duration = Duration::from_secs(60);
/// How long opening a link may take: another master may lead that is there.
const LINK: Duration = Duration::from_secs(2);
/// After so long no more masters are asked in a row.
const ROUND: Duration = Duration::from_secs(4);

/// A node's identity, from its data directory or by joining.
///
/// # Errors
/// When it has none and there is no token, or no master lets it in.
pub async fn identity(
    dir: &Path,
    masters: &[String],
    token: Option<&str>,
    host: &str,
    role: Invited,
) -> anyhow::Result<Identity> {
    match kept(dir)? {
        Some(identity) if matches!(identity.facts()?.is, As::Master(_)) => bail!(
            "{} is of a master; this node has no such role any more: delete its data directory and \
             join again",
            dir.display()
        ),
        Some(identity) => Ok(identity),
        None => join(dir, masters, token, host, (role, None)).await,
    }
}

/// The identity that was kept in `dir`, if there is one.
///
/// # Errors
/// When it is of no use.
pub fn kept(dir: &Path) -> anyhow::Result<Option<Identity>> {
    if !dir.join(pki::NODE_FILE).exists() {
        return Ok(None);
    }
    let identity = Identity::load(dir)?;
    identity
        .facts()
        .with_context(|| format!("{} is of no use; delete it and join again", dir.display()))?;
    Ok(Some(identity))
}

/// Joins a cluster and keeps the identity it gives in `dir`.
///
/// # Errors
/// When there is no token, or no master lets this node in.
pub async fn join(
    dir: &Path,
    masters: &[String],
    token: Option<&str>,
    host: &str,
    (role, master): (Invited, Option<&Master>),
) -> anyhow::Result<Identity> {
    let token = token.context(
        "this node belongs to no cluster yet; give it a join_token made with `tepui node invite`",
    )?;
    let (secret, fingerprint) = token
        .split_once('.')
        .context("the join token is not complete; copy all of what `tepui node invite` printed")?;
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let config = pki::join::client_config(fingerprint)?;
    // Kept until the answer has come: with the same key the node may ask once more.
    let key_file = dir.join("join.key");
    let key = match std::fs::read_to_string(&key_file) {
        Ok(text) => text,
        Err(_) => {
            let text = Request::new()?.to_pem();
            write_private(&key_file, &text)?;
            text
        }
    };
    let mut problems = Vec::new();
    for address in masters {
        let key = Request::from_pem(&key)?;
        let request = JoinRequest {
            secret: secret.to_owned(),
            request: key.to_der()?,
            host: host.to_owned(),
            role: Some(role),
            master: master.cloned(),
        };
        match timeout(HANDSHAKE * 3, ask_to_join(address, &config, &request, key)).await {
            Ok(Ok(identity)) => {
                identity.save(dir)?;
                let _ = std::fs::remove_file(&key_file);
                return Ok(identity);
            }
            Ok(Err(error)) => problems.push(format!("{address}: {error:#}")),
            Err(_) => problems.push(format!("{address}: no answer in time")),
        }
    }
    bail!("no master let this node in: {}", problems.join("; "))
}

async fn ask_to_join(
    master: &str,
    config: &ClientConfig,
    request: &JoinRequest,
    key: Request,
) -> anyhow::Result<Identity> {
    let mut stream = peers::open(master, config, Purpose::Join).await?;
    peers::send(&mut stream, request).await?;
    match peers::receive(&mut stream).await? {
        JoinAnswer::Welcome { certificate, authority, .. } => {
            Ok(key.complete(certificate, authority)?)
        }
        JoinAnswer::Refused(text) => bail!("{text}"),
    }
}

/// Asks one master for the next certificate of `identity`, with a new key.
///
/// # Errors
/// When it cannot be reached or says no.
pub async fn renew(master: &str, identity: &Identity, host: &str) -> anyhow::Result<Identity> {
    let asked = async {
        let mut stream = peers::open(master, &*identity.client_config()?, Purpose::Renew).await?;
        let key = Request::new()?;
        let request = RenewRequest { request: key.to_der()?, host: host.to_owned() };
        peers::send(&mut stream, &request).await?;
        match peers::receive(&mut stream).await? {
            RenewAnswer::Renewed { certificate, authority } => {
                Ok(key.complete(certificate, authority)?)
            }
            RenewAnswer::Refused(text) => bail!("{text}"),
        }
    };
    timeout(HANDSHAKE * 3, asked).await.context("no answer in time")?
}

/// Whether less than a third of the certificate's life is left.
pub fn is_due(facts: &Facts, now: Timestamp) -> bool {
    let life = facts.expires_at.since(facts.issued_at);
    now + life / 3 >= facts.expires_at
}

/// What a member of a cluster needs to reach its masters.
pub struct MemberParts {
    pub masters: Vec<String>,
    pub identity: Identity,
    /// Where the identity is kept.
    pub dir: PathBuf,
    pub host: String,
    pub clock: Arc<dyn Clock>,
    pub tasks: Tasks,
}

/// What a member can show. The certificate before the present one is worth something to a cluster that was
/// restored from a backup and has never given the present one; any other refuses it.
struct Certificates {
    shown: ArcSwap<Identity>,
    other: Mutex<Option<Arc<Identity>>>,
    /// When the other one was last tried without a wait, and whether that is due now.
    hurried: Mutex<(Option<Instant>, bool)>,
}

impl Certificates {
    fn open(identity: Identity, dir: &Path) -> Self {
        let before = Identity::load_before(dir).unwrap_or_else(|error| {
            tracing::warn!(%error, "the certificate before the present one is of no use");
            None
        });
        let other = Mutex::new(before.map(Arc::new));
        Self { shown: ArcSwap::from_pointee(identity), other, hurried: Mutex::default() }
    }

    /// The one that is shown was refused: the next link shows the other one, if that is still good.
    fn refused(&self, now: Timestamp) {
        let mut other = self.other.lock();
        let is_good =
            |identity: &Arc<Identity>| identity.facts().is_ok_and(|facts| now < facts.expires_at);
        if let Some(identity) = other.take_if(|identity| is_good(identity)) {
            tracing::info!("this node's other certificate is tried");
            *other = Some(self.shown.swap(identity));
            // Where both are refused they take turns, in no hurry.
            let mut hurried = self.hurried.lock();
            if hurried.0.is_none_or(|at| at.elapsed() > HURRY_AGAIN) {
                *hurried = (Some(Instant::now()), true);
            }
        }
    }

    /// Whether the next try is worth no wait.
    fn hurries(&self) -> bool {
        std::mem::take(&mut self.hurried.lock().1)
    }

    /// Another one takes the place of the present one, which is kept beside it.
    fn renewed(&self, new: Identity, dir: &Path) -> anyhow::Result<()> {
        let before = self.shown.load_full();
        before.save_before(dir)?;
        new.save(dir)?;
        self.shown.store(Arc::new(new));
        *self.other.lock() = Some(before);
        Ok(())
    }
}

/// A member: connects its agent to the leading master, looking at the masters in turn while it does not
/// know which, and renews its certificate.
pub struct Member {
    ways: Arc<Ways>,
    certificates: Arc<Certificates>,
    dir: PathBuf,
    host: String,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    /// Ends the present link.
    link: Mutex<CancellationToken>,
}

impl Member {
    /// A member that is not connected yet.
    pub fn new(parts: MemberParts) -> Arc<Self> {
        let MemberParts { masters, identity, dir, host, clock, tasks } = parts;
        Arc::new(Self {
            ways: Arc::new(Ways::open(masters, &dir)),
            certificates: Arc::new(Certificates::open(identity.by_clock(&clock), &dir)),
            dir,
            host,
            clock,
            tasks,
            link: Mutex::default(),
        })
    }

    /// Renews the certificate whenever it is due. Runs for ever.
    pub async fn keep_renewed(self: Arc<Self>, mut rng: Rng) {
        loop {
            match self.renew_if_due().await {
                Ok(false) => {}
                Ok(true) => tracing::info!("this node's certificate was renewed"),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "this node's certificate was not renewed; trying again");
                }
            }
            tokio::time::sleep(rng.jitter(RENEWAL_LOOK)).await;
        }
    }

    /// Renews the certificate if it is due, keeps it, and connects anew with it.
    ///
    /// # Errors
    /// When no master gives one; the present one goes on being used.
    pub async fn renew_if_due(&self) -> anyhow::Result<bool> {
        let identity = self.certificates.shown.load_full();
        if !is_due(&identity.facts()?, self.clock.now()) {
            return Ok(false);
        }
        let mut problems = Vec::new();
        for master in &self.ways.all() {
            match renew(master, &identity, &self.host).await {
                Ok(new) => {
                    self.certificates.renewed(new.by_clock(&self.clock), &self.dir)?;
                    // The link comes back with the new one, which ends the old.
                    self.link.lock().cancel();
                    return Ok(true);
                }
                Err(error) => problems.push(format!("{master}: {error:#}")),
            }
        }
        bail!("{}", problems.join("; "))
    }

    async fn link_to(&self, master: &str) -> anyhow::Result<LinkEnds> {
        let identity = self.certificates.shown.load_full();
        let facts = identity.facts()?;
        if self.clock.now() >= facts.expires_at {
            bail!(
                "this node's certificate ended at {}; delete {} and join again with a new token",
                facts.expires_at,
                self.dir.display()
            );
        }
        let stream = open_link(master, &identity).await?;
        let tasks = self.tasks.child("agent-link");
        *self.link.lock() = tasks.cancelled();
        let (ways, certificates) = (self.ways.clone(), self.certificates.clone());
        let clock = self.clock.clone();
        let look = move |message: &ToAgent| match message {
            ToAgent::Masters(told) => ways.told(told),
            ToAgent::Refused(_) => certificates.refused(clock.now()),
            _ => {}
        };
        Ok(transport::agent_end(stream, look, &tasks))
    }
}

/// Opens the link of the agent that is `identity` to one master.
///
/// # Errors
/// When it is not there, or not in time.
pub async fn open_link(master: &str, identity: &Identity) -> anyhow::Result<TlsStream<TcpStream>> {
    let config = identity.client_config()?;
    let opened = timeout(LINK, peers::open(master, &config, Purpose::Agent)).await;
    opened.context("no answer in time")?
}

impl Connector for Member {
    /// Asks one master after the other: while most are away, waits between them would add up to more than a
    /// leader gives its nodes to be heard.
    fn connect(&self) -> BoxFuture<'_, Result<LinkEnds, ConnectError>> {
        async move {
            let (began, mut problems) = (Instant::now(), Vec::new());
            for _ in 0..self.ways.all().len().max(1) {
                let master = self.ways.next();
                match self.link_to(&master).await {
                    Ok(ends) => return Ok(ends),
                    Err(error) => problems.push(format!("{master}: {error:#}")),
                }
                if began.elapsed() >= ROUND {
                    break;
                }
            }
            Err(ConnectError(problems.join("; ")))
        }
        .boxed()
    }

    fn knows_better(&self) -> bool {
        self.ways.knows_leader() || self.certificates.hurries()
    }
}
