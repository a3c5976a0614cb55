//! A master's seat among the masters: the certificate it shows them, the key that secrets for it are
//! sealed with, and the cluster's authority once it has been given it.
//!
//! The first master makes all of it. One that joins is given its certificate for its token, and finds the
//! authority's key, sealed for it, in the state (docs/adr/0013-masters-that-join.md). Masters renew their
//! own certificates; that each is known stands in the state.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::mpsc;

use super::{
    bootstrap::write_private,
    config::Config,
    member::{self, is_due},
    peers::{self, Purpose},
};
use crate::{
    base::{clock::Clock, level::LEVEL, rng::Rng},
    core::{AdmissionCommand, State, command::Seat as Seated},
    host::pki::{
        Authority, Identity,
        node::{As, Asked, Named, Request, draw_serial},
        seal::SealKey,
    },
    log::peer::transport::{Accept, Connect, Io},
    model::{
        credential::Invited,
        master::{Addresses, Master},
        node::NodeId,
    },
};

/// The seat.
pub struct Seat {
    /// Number among the masters.
    pub id: u64,
    /// Whom the certificate names; the agent of this process has the same id.
    pub node: NodeId,
    dir: PathBuf,
    host: String,
    clock: Arc<dyn Clock>,
    identity: ArcSwap<Identity>,
    seal: SealKey,
    authority: OnceLock<Arc<Authority>>,
}

impl Seat {
    /// The seat of this node: kept, or founded where it is to make a cluster, or given by the masters it
    /// is told to join.
    ///
    /// # Errors
    /// When the data directory is another kind of node's, or no master lets it in.
    pub async fn open(
        config: &Config,
        addresses: &Addresses,
        clock: &Arc<dyn Clock>,
        rng: &mut Rng,
    ) -> anyhow::Result<Self> {
        let dir = peers::pki_dir(&config.data_dir);
        if let Some(identity) = member::kept(&dir)? {
            let seat = Self::kept(dir, identity, &config.hostname, clock)?;
            // One that was off for long could not be reached with the old one.
            seat.renew_if_due(rng)?;
            return Ok(seat);
        }
        let is_founder = config.masters.is_empty() || config.data_dir.join("log").exists();
        if is_founder {
            let node = node_id(&config.data_dir.join("agent"), rng)?;
            // Named after its founder: two clusters of one name are told apart by their authorities.
            let authority = Authority::load_or_create(&dir, node.as_str(), clock.now())?;
            return Self::found(dir, &authority, node, &config.hostname, (clock, rng));
        }
        let seal = SealKey::load_or_create(&dir)?;
        let told = Master::new(0, env!("CARGO_PKG_VERSION"), LEVEL, addresses.clone());
        let told = Master { seal: seal.public().to_vec(), ..told };
        let (masters, token) = (&config.masters, config.join_token.as_deref());
        let role = (Invited::Master, Some(&told));
        let identity = member::join(&dir, masters, token, &config.hostname, role).await?;
        Self::kept(dir, identity, &config.hostname, clock)
    }

    /// The seat of the first master of a cluster, whose authority is kept in `dir`.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn found(
        dir: PathBuf,
        authority: &Authority,
        node: NodeId,
        host: &str,
        (clock, rng): (&Arc<dyn Clock>, &mut Rng),
    ) -> anyhow::Result<Self> {
        let identity = issue(authority, As::Master(1), &node, host, (clock, rng))?;
        identity.save(&dir)?;
        Self::kept(dir, identity, host, clock)
    }

    fn kept(
        dir: PathBuf,
        identity: Identity,
        host: &str,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let facts = identity.facts()?;
        let As::Master(id) = facts.is else {
            bail!("{} is of an agent; a master needs a data directory of its own", dir.display());
        };
        let authority = OnceLock::new();
        if let Some(kept) = Authority::load(&dir)? {
            let _ = authority.set(Arc::new(kept));
        }
        Ok(Self {
            id,
            node: facts.node,
            host: host.to_owned(),
            clock: clock.clone(),
            identity: ArcSwap::from_pointee(identity.by_clock(clock)),
            seal: SealKey::load_or_create(&dir)?,
            authority,
            dir,
        })
    }

    /// The certificate it shows, with its key.
    pub fn identity(&self) -> Arc<Identity> {
        self.identity.load_full()
    }

    /// The cluster's authority, once this master has it.
    pub fn authority(&self) -> Option<&Arc<Authority>> {
        self.authority.get()
    }

    /// The certificate of the cluster's authority.
    pub fn authority_der(&self) -> Vec<u8> {
        self.identity.load().authority_der().to_vec()
    }

    /// The authority, from what the state holds for this master if it was not here yet.
    ///
    /// # Errors
    /// When there is nothing for it, or it cannot be opened.
    pub fn receive(&self, state: &State) -> anyhow::Result<Arc<Authority>> {
        if let Some(authority) = self.authority.get() {
            return Ok(authority.clone());
        }
        let own = state.masters.get(&self.id).and_then(|master| master.sealed.as_ref());
        let envelope = own.context("the cluster holds no key of its authority for this master")?;
        let key = self.seal.open(envelope, &self.authority_der()).with_context(|| {
            format!(
                "the key of the cluster's authority was sealed for another key than {} has",
                self.dir.display()
            )
        })?;
        let authority = Arc::new(Authority::receive(&self.dir, &key)?);
        Ok(self.authority.get_or_init(|| authority).clone())
    }

    /// What makes this master known by its present certificate and its key; `None` while it is, or has
    /// not got the authority to say so.
    ///
    /// # Errors
    /// When its own certificate or key is of no use.
    pub fn unsaid(&self, state: &State) -> anyhow::Result<Option<AdmissionCommand>> {
        let facts = self.identity.load().facts()?;
        let Some(authority) = self.authority.get() else { return Ok(None) };
        let Some(known) = state.masters.get(&self.id) else { return Ok(None) };
        let is_known = state.certificates.contains_key(&(self.node.clone(), facts.serial.clone()));
        if is_known && known.seal == self.seal.public() && known.sealed.is_some() {
            return Ok(None);
        }
        let master = Master {
            node: Some(self.node.clone()),
            seal: self.seal.public().to_vec(),
            sealed: Some(authority.seal_for(self.seal.public())?),
            ..(**known).clone()
        };
        let (key, serial, expires_at) = (facts.key, facts.serial, facts.expires_at);
        let seat = Seated { invitation: None, key, serial, expires_at, master };
        Ok(Some(AdmissionCommand::SeatMaster(Box::new(seat))))
    }

    /// Makes another certificate when a third of the present one's life is left.
    ///
    /// # Errors
    /// When it cannot be made or kept.
    pub fn renew_if_due(&self, rng: &mut Rng) -> anyhow::Result<()> {
        let Some(authority) = self.authority.get() else { return Ok(()) };
        if !is_due(&self.identity.load().facts()?, self.clock.now()) {
            return Ok(());
        }
        let is = As::Master(self.id);
        let identity = issue(authority, is, &self.node, &self.host, (&self.clock, rng))?;
        identity.save(&self.dir)?;
        self.identity.store(Arc::new(identity.by_clock(&self.clock)));
        tracing::info!("this master's certificate was renewed");
        Ok(())
    }
}

/// The id of the first master's agent: drawn once, kept in the data directory. Others are given theirs.
fn node_id(data_dir: &Path, rng: &mut Rng) -> anyhow::Result<NodeId> {
    fs::create_dir_all(data_dir).with_context(|| format!("making {}", data_dir.display()))?;
    let path = data_dir.join("node-id");
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => Ok(NodeId::from(text.trim())),
        Ok(_) | Err(_) => {
            let id = format!("{}-S0", rng.uuid());
            write_private(&path, format!("{id}\n"))?;
            Ok(NodeId::from(id))
        }
    }
}

/// An identity with a key of its own, signed on the spot.
pub(super) fn issue(
    authority: &Authority,
    is: As,
    node: &NodeId,
    host: &str,
    (clock, rng): (&Arc<dyn Clock>, &mut Rng),
) -> anyhow::Result<Identity> {
    let (key, serial) = (Request::new()?, draw_serial(rng));
    let asked = Asked::read(&key.to_der()?)?;
    // The cluster has no id yet when its first master makes itself one.
    let cluster = authority.fingerprint();
    let named = Named { cluster: &cluster, node, serial: &serial, host };
    let signed = authority.sign_as(is, &asked, &named, clock.now())?;
    Ok(key.complete(signed, authority.certificate_der().to_vec())?)
}

/// Opens the log's connections to other masters.
pub struct ToMasters(pub Arc<Seat>);

impl fmt::Debug for ToMasters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ToMasters").field(&self.0.id).finish()
    }
}

impl Connect for ToMasters {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Io>> {
        async move {
            let opened = async {
                let config = self.0.identity().client_config()?;
                peers::open(address, &config, Purpose::Log).await
            };
            let stream = opened.await.map_err(|error| io::Error::other(format!("{error:#}")))?;
            Ok(Box::new(stream) as Io)
        }
        .boxed()
    }
}

/// Hands the log the connections of other masters, as the door lets them in.
pub struct FromDoor(pub mpsc::Receiver<Io>);

impl Accept for FromDoor {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Io>> {
        async move {
            match self.0.recv().await {
                Some(stream) => Ok(stream),
                // The door has closed: the node stops.
                None => std::future::pending().await,
            }
        }
        .boxed()
    }
}
