//! The master's side of the peer port: agents keep their links here, nodes join and renew here, other
//! masters' logs come in here.
//!
//! What a connection wants it says in its ALPN name. A node with an identity proves it before a byte
//! is read, and who it is stands in its certificate; a joining one shows a token that is good for
//! one node and a short time. Whoever is refused is told why and noted in the audit log.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use sha2::{Digest as _, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::{
    peers::{
        HANDSHAKE, JoinAnswer, JoinRequest, Purpose, RenewAnswer, RenewRequest, receive, send,
    },
    seat::Seat,
    transport,
};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        error::chain,
        level,
        pace::{Paces, paced},
        rng::Rng,
        task::Tasks,
    },
    control::links::{Links, Peer, Shown},
    core::{
        Accepted, AdmissionCommand, Command, Rejected, State,
        apply::{admission, gate::need_level},
        command::{Join, Seat as Seated},
    },
    host::pki::{
        self, Authority, Identity, Role,
        node::{As, Asked, Facts, Named, draw_serial},
    },
    log::{Log, peer::transport::Io},
    model::{
        credential::{Invited, Why},
        link::ToAgent,
        master::Master,
        node::NodeId,
    },
};

mod waiting;
use waiting::{Place, Waiting};

/// How long a connection may take until it has said what it wants. Agents say it at once.
const FIRST: Duration = Duration::from_secs(2);
/// Longest host name kept in a certificate (the X.509 bound of a common name).
const HOST_CHARS_MAX: usize = 64;

/// What a door is made of.
pub struct Parts {
    /// What this master shows and signs with.
    pub seat: Arc<Seat>,
    pub log: Log<State>,
    pub clock: Arc<dyn Clock>,
    pub rng: Rng,
    /// Where connections of other masters' logs go.
    pub logs: mpsc::Sender<Io>,
}

/// The door.
pub struct Door {
    seat: Arc<Seat>,
    log: Log<State>,
    clock: Arc<dyn Clock>,
    rng: Mutex<Rng>,
    own: ArcSwap<Own>,
    waiting: Arc<Waiting>,
    logs: mpsc::Sender<Io>,
}

/// What this master shows of itself, for as long as its certificate has most of its life left.
struct Own {
    of: Arc<Identity>,
    nodes: Arc<ServerConfig>,
    masters: Arc<ServerConfig>,
    joining: Arc<ServerConfig>,
}

impl Door {
    /// The door of the cluster whose log this is.
    ///
    /// # Errors
    /// When this master's certificate cannot be used.
    pub fn new(parts: Parts) -> anyhow::Result<Self> {
        let Parts { seat, log, clock, rng, logs } = parts;
        let own = Own::make(seat.identity())?;
        Ok(Self {
            seat,
            log,
            clock,
            rng: Mutex::new(rng),
            own: ArcSwap::from_pointee(own),
            waiting: Arc::new(Waiting::paced(Paces::of_process())),
            logs,
        })
    }

    /// A token that lets one node join, as an agent of either kind unless a role is named, and until
    /// when it is good.
    ///
    /// # Errors
    /// When too many invitations wait already, the cluster is not far enough for the role, or the log
    /// does not take it.
    pub async fn invite(
        &self,
        role: Option<Invited>,
        life: Duration,
    ) -> Result<(String, Timestamp), String> {
        let fingerprint = self.authority()?.fingerprint();
        let secret = self.rng.lock().hex(32);
        let until = self.clock.now() + life;
        let digest = Sha256::digest(&secret).into();
        self.propose(match role {
            None => AdmissionCommand::Invite { digest, until },
            Some(role) => {
                // An older release could not read it.
                need_level(&self.log.state(), level::MASTERS, "invitations are for no role")
                    .map_err(|rejected| rejected.to_string())?;
                AdmissionCommand::InviteFor { digest, until, role }
            }
        })
        .await?;
        Ok((format!("{secret}.{fingerprint}"), until))
    }

    fn authority(&self) -> Result<&Arc<Authority>, String> {
        self.seat.authority().ok_or_else(|| {
            "this master has not been given the cluster's key yet; ask another one".to_owned()
        })
    }

    /// Serves `listener` until `tasks` stop.
    ///
    /// # Errors
    /// When this master's certificate cannot be made anew.
    pub async fn run(
        self: Arc<Self>,
        listener: TcpListener,
        links: Links,
        tasks: Tasks,
    ) -> anyhow::Result<()> {
        let cancelled = tasks.cancelled();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = cancelled.cancelled() => return Ok(()),
            };
            let Ok((stream, peer)) = accepted else {
                // Out of descriptors or a connection that died in the queue: neither ends the door.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            self.renew_own()?;
            // Closed at once when its address costs too much already.
            let Some(place) = self.waiting.enter(peer.ip()) else { continue };
            let (lost, purse) = (place.lost(), place.purse());
            let (door, links, inner) = (self.clone(), links.clone(), tasks.clone());
            tasks.connection("peer", async move {
                let served = tokio::select! {
                    served = paced(Some(purse), door.serve(stream, peer, links, inner, place)) => served,
                    () = lost.cancelled() => Err(anyhow::anyhow!("made room for others")),
                };
                if let Err(error) = served {
                    tracing::debug!(%peer, error = format!("{error:#}"), "peer turned away");
                }
            });
        }
    }

    async fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        links: Links,
        tasks: Tasks,
        place: Place,
    ) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
        let start = timeout(FIRST, acceptor).await.context("it said nothing")??;
        let wanted = start.client_hello().alpn().and_then(Purpose::among);
        let wanted = wanted.context("it wants nothing that is served here")?;
        let own = self.own.load();
        let config = match wanted {
            Purpose::Join => &own.joining,
            Purpose::Agent | Purpose::Renew => &own.nodes,
            Purpose::Log => &own.masters,
        };
        let shaken = timeout(HANDSHAKE, start.into_stream(config.clone())).await?;
        let mut tls = shaken.inspect_err(|error| {
            let error = chain(error);
            tracing::warn!(target: "audit", %peer, ?wanted, error, "peer refused");
        })?;
        match wanted {
            Purpose::Join => {
                let request = timeout(HANDSHAKE, receive(&mut tls)).await??;
                drop(place);
                let answer = self.admit(request, peer).await;
                timeout(HANDSHAKE, send(&mut tls, &answer)).await?
            }
            Purpose::Renew => {
                let facts = facts(&tls)?;
                let request = timeout(HANDSHAKE, receive(&mut tls)).await??;
                drop(place);
                let answer = self.renew(&facts, request, peer).await;
                timeout(HANDSHAKE, send(&mut tls, &answer)).await?
            }
            Purpose::Agent => {
                let facts = facts(&tls)?;
                self.link(tls, facts, (peer, place), links, &tasks).await;
                Ok(())
            }
            Purpose::Log => {
                let facts = facts(&tls)?;
                // What stands in the state of a master that was away is old: one it has not heard of
                // yet is let in on the authority's word, one that was removed is not.
                let checked = admission::check_member(&self.log.state(), &facts.node);
                if let Err(rejected) = checked {
                    let (node, why) = (&facts.node, rejected.to_string());
                    tracing::warn!(target: "audit", %peer, %node, why, "master refused");
                    return Ok(());
                }
                place.proved();
                let handed = self.logs.send(Box::new(tls)).await;
                handed.map_err(|_| anyhow::anyhow!("the log has stopped"))
            }
        }
    }

    /// Keeps an agent's link, if its certificate is one of those that are good.
    async fn link(
        &self,
        tls: TlsStream<TcpStream>,
        facts: Facts,
        (peer, place): (SocketAddr, Place),
        links: Links,
        tasks: &Tasks,
    ) {
        let wire = transport::leader_end(tls, tasks);
        let state = self.log.state();
        let Err(why) = admission::check(&state, &facts.node, &facts.serial) else {
            place.proved();
            let certificate = Some(Shown { serial: facts.serial, key: facts.key });
            links.serve(wire, Peer { node: facts.node, certificate }).await;
            return;
        };
        let (node, serial) = (&facts.node, &facts.serial);
        tracing::warn!(target: "audit", %peer, %node, %serial, why, "agent refused");
        let certificate = state.certificates.get(&(node.clone(), serial.clone()));
        let revoked = certificate.and_then(|c| c.revoked);
        let removed = revoked.is_some_and(|r| r.why == Why::Removed);
        let refusal = if removed { ToAgent::Removed(why) } else { ToAgent::Refused(why) };
        let _ = wire.to_agent.send(refusal).await;
    }

    /// Gives a certificate to whoever shows an invitation.
    async fn admit(&self, request: JoinRequest, peer: SocketAddr) -> JoinAnswer {
        let host: String = request.host.chars().take(HOST_CHARS_MAX).collect();
        match self.join(request, &host).await {
            Ok((cluster, node, certificate)) => {
                tracing::info!(target: "audit", %peer, host, %node, "node joined");
                let authority = self.seat.authority_der();
                JoinAnswer::Welcome { cluster, node, certificate, authority }
            }
            Err(why) => {
                tracing::warn!(target: "audit", %peer, host, why, "node refused");
                JoinAnswer::Refused(why)
            }
        }
    }

    async fn join(
        &self,
        request: JoinRequest,
        host: &str,
    ) -> Result<(String, NodeId, Vec<u8>), String> {
        let invitation = Sha256::digest(&request.secret).into();
        // What a stranger made up costs nobody a write of the log.
        let state = self.log.state();
        let Some(waiting) = state.invitations.get(&invitation) else {
            return Err(Rejected::not_invited().to_string());
        };
        let authority = self.authority()?;
        let asked = Asked::read(&request.request).map_err(|error| chain(&error))?;
        let now = self.clock.now();
        let (key, serial) = (asked.key(), draw_serial(&mut self.rng.lock()));
        let expires_at = now + authority.life();
        let of_old = if request.master.is_some() { Invited::Master } else { Invited::Agent };
        let role = request.role.unwrap_or(of_old);
        admission::check_role(waiting, role).map_err(|rejected| rejected.to_string())?;
        let command = match (role, request.master) {
            (Invited::Master, None) => return Err("a master says where it is reached".to_owned()),
            (Invited::Master, Some(told)) => {
                let sealed = authority.seal_for(&told.seal).map_err(|error| chain(&error))?;
                let (serial, invitation) = (serial.clone(), Some(invitation));
                let Master { release, level, addresses, seal, .. } = told;
                let master = Master::new(0, &release, level, addresses);
                let master = Master { seal, sealed: Some(sealed), ..master };
                let seat = Seated { invitation, key, serial, expires_at, master };
                AdmissionCommand::SeatMaster(Box::new(seat))
            }
            (Invited::Agent | Invited::PublicAgent, _) => {
                let serial = serial.clone();
                AdmissionCommand::Join(Join { invitation, key, serial, expires_at })
            }
        };
        let accepted = self.propose(command).await?;
        let node = accepted.node.ok_or("the cluster gave no id")?;
        let is = match role {
            Invited::Agent => As::Agent,
            Invited::PublicAgent => As::PublicAgent,
            Invited::Master => As::Master(accepted.master),
        };
        let cluster = self.cluster();
        let named = Named { cluster: &cluster, node: &node, serial: &serial, host };
        let certificate =
            authority.sign_as(is, &asked, &named, now).map_err(|error| chain(&error))?;
        Ok((cluster, node, certificate))
    }

    /// Gives a node its next certificate.
    async fn renew(&self, facts: &Facts, request: RenewRequest, peer: SocketAddr) -> RenewAnswer {
        let host: String = request.host.chars().take(HOST_CHARS_MAX).collect();
        let (node, by) = (&facts.node, &facts.serial);
        let renewed = async {
            let authority = self.authority()?;
            let asked = Asked::read(&request.request).map_err(|error| chain(&error))?;
            let now = self.clock.now();
            let new = draw_serial(&mut self.rng.lock());
            let expires_at = now + authority.life();
            let (node, by) = (node.clone(), by.clone());
            let command =
                AdmissionCommand::Renew { node: node.clone(), by, new: new.clone(), expires_at };
            self.propose(command).await?;
            let cluster = self.cluster();
            let named = Named { cluster: &cluster, node: &node, serial: &new, host: &host };
            authority.sign_as(facts.is, &asked, &named, now).map_err(|error| chain(&error))
        };
        match renewed.await {
            Ok(certificate) => {
                tracing::info!(target: "audit", %peer, %node, replaces = %by, "certificate renewed");
                let authority = self.seat.authority_der();
                RenewAnswer::Renewed { certificate, authority }
            }
            Err(why) => {
                tracing::warn!(target: "audit", %peer, %node, serial = %by, why, "renewal refused");
                RenewAnswer::Refused(why)
            }
        }
    }

    async fn propose(&self, command: impl Into<Command>) -> Result<Accepted, String> {
        match self.log.propose(command.into()).await {
            Ok(Ok(accepted)) => Ok(accepted),
            Ok(Err(rejected)) => Err(rejected.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn cluster(&self) -> String {
        self.log.state().cluster.as_ref().map(|c| c.id.clone()).unwrap_or_default()
    }

    /// Shows this master's present certificate, which is made anew when a third of its life is left.
    fn renew_own(&self) -> anyhow::Result<()> {
        self.seat.renew_if_due(&mut self.rng.lock())?;
        let identity = self.seat.identity();
        if !Arc::ptr_eq(&identity, &self.own.load().of) {
            self.own.store(Arc::new(Own::make(identity)?));
        }
        Ok(())
    }
}

impl Own {
    fn make(identity: Arc<Identity>) -> anyhow::Result<Self> {
        let server = |roles: &[Role], purposes: &[Purpose]| {
            let mut config = (*identity.server_config(roles)?).clone();
            config.alpn_protocols = purposes.iter().map(|p| p.alpn().to_vec()).collect();
            // A connection is one handshake: what a certificate allows is asked each time.
            config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            anyhow::Ok(Arc::new(config))
        };
        // A master may have an agent of its own, which needs the one that leads.
        let nodes = server(&[Role::Agent, Role::Master], &[Purpose::Agent, Purpose::Renew])?;
        let masters = server(&[Role::Master], &[Purpose::Log])?;
        let mut joining = pki::join::server_config(&identity)?;
        joining.alpn_protocols = vec![Purpose::Join.alpn().to_vec()];
        Ok(Self { of: identity, nodes, masters, joining: Arc::new(joining) })
    }
}

/// Who is at the other end.
fn facts(tls: &TlsStream<TcpStream>) -> anyhow::Result<Facts> {
    let (_, connection) = tls.get_ref();
    let shown = connection.peer_certificates().and_then(<[_]>::first);
    Ok(Facts::of(shown.context("the peer showed no certificate")?)?)
}
