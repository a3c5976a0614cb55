//! The master's side of the peer port: agents keep their links here, nodes join and renew here.
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
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::{
    peers::{
        HANDSHAKE, JoinAnswer, JoinRequest, Purpose, RenewAnswer, RenewRequest, receive, send,
    },
    transport,
};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        error::chain,
        pace::{Paces, paced},
        rng::Rng,
        task::Tasks,
    },
    control::links::{Links, Peer, Shown},
    core::{Accepted, AdmissionCommand, Command, Rejected, State, apply::admission, command::Join},
    host::pki::{
        self, Authority, Role, Subject,
        node::{Asked, Facts, Named, draw_serial},
    },
    log::Log,
    model::{credential::Why, link::ToAgent, node::NodeId},
};

mod waiting;
use waiting::{Place, Waiting};

/// How long a connection may take until it has said what it wants. Agents say it at once.
const FIRST: Duration = Duration::from_secs(2);
/// How long an invitation is good.
pub const INVITATION: Duration = Duration::from_secs(3600);
/// Longest host name kept in a certificate (the X.509 bound of a common name).
const HOST_CHARS_MAX: usize = 64;

/// What a door is made of.
pub struct Parts {
    pub authority: Arc<Authority>,
    /// Names and addresses this master is reached at.
    pub names: Vec<String>,
    pub log: Log<State>,
    pub clock: Arc<dyn Clock>,
    pub rng: Rng,
}

/// The door.
pub struct Door {
    authority: Arc<Authority>,
    names: Vec<String>,
    log: Log<State>,
    clock: Arc<dyn Clock>,
    rng: Mutex<Rng>,
    own: ArcSwap<Own>,
    waiting: Arc<Waiting>,
}

/// What this master shows of itself, for as long as its certificate has most of its life left.
struct Own {
    agents: Arc<ServerConfig>,
    joining: Arc<ServerConfig>,
    renew_at: Timestamp,
}

impl Door {
    /// The door of the cluster whose log this is.
    ///
    /// # Errors
    /// When this master's certificate cannot be made.
    pub fn new(parts: Parts) -> anyhow::Result<Self> {
        let Parts { authority, names, log, clock, rng } = parts;
        let own = Own::make(&authority, &names, clock.now())?;
        Ok(Self {
            authority,
            names,
            log,
            clock,
            rng: Mutex::new(rng),
            own: ArcSwap::from_pointee(own),
            waiting: Arc::new(Waiting::paced(Paces::of_process())),
        })
    }

    /// A token that lets one node join, and until when it is good.
    ///
    /// # Errors
    /// When too many invitations wait already, or the log does not take it.
    pub async fn invite(&self) -> Result<(String, Timestamp), String> {
        let secret = self.rng.lock().hex(32);
        let until = self.clock.now() + INVITATION;
        let digest = Sha256::digest(&secret).into();
        self.propose(AdmissionCommand::Invite { digest, until }).await?;
        Ok((format!("{secret}.{}", self.authority.fingerprint()), until))
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
        let config = if wanted == Purpose::Join { &own.joining } else { &own.agents };
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
                let authority = self.authority.certificate_der().to_vec();
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
        if !self.log.state().invitations.contains_key(&invitation) {
            return Err(Rejected::not_invited().to_string());
        }
        let asked = Asked::read(&request.request).map_err(|error| chain(&error))?;
        let now = self.clock.now();
        let serial = draw_serial(&mut self.rng.lock());
        let join = Join {
            invitation,
            key: asked.key(),
            serial: serial.clone(),
            expires_at: now + self.authority.life(),
        };
        let accepted = self.propose(AdmissionCommand::Join(join)).await?;
        let node = accepted.node.ok_or("the cluster gave no id")?;
        let cluster = self.cluster();
        let named = Named { cluster: &cluster, node: &node, serial: &serial, host };
        let certificate = self.authority.sign(&asked, &named, now).map_err(|e| chain(&e))?;
        Ok((cluster, node, certificate))
    }

    /// Gives a node its next certificate.
    async fn renew(&self, facts: &Facts, request: RenewRequest, peer: SocketAddr) -> RenewAnswer {
        let host: String = request.host.chars().take(HOST_CHARS_MAX).collect();
        let (node, by) = (&facts.node, &facts.serial);
        let renewed = async {
            let asked = Asked::read(&request.request).map_err(|error| chain(&error))?;
            let now = self.clock.now();
            let new = draw_serial(&mut self.rng.lock());
            let expires_at = now + self.authority.life();
            let (node, by) = (node.clone(), by.clone());
            let command =
                AdmissionCommand::Renew { node: node.clone(), by, new: new.clone(), expires_at };
            self.propose(command).await?;
            let cluster = self.cluster();
            let named = Named { cluster: &cluster, node: &node, serial: &new, host: &host };
            self.authority.sign(&asked, &named, now).map_err(|error| chain(&error))
        };
        match renewed.await {
            Ok(certificate) => {
                tracing::info!(target: "audit", %peer, %node, replaces = %by, "certificate renewed");
                let authority = self.authority.certificate_der().to_vec();
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

    /// Makes this master's certificate anew when a third of its life is left.
    fn renew_own(&self) -> anyhow::Result<()> {
        let now = self.clock.now();
        if now >= self.own.load().renew_at {
            self.own.store(Arc::new(Own::make(&self.authority, &self.names, now)?));
            tracing::info!("this master's certificate was renewed");
        }
        Ok(())
    }
}

impl Own {
    fn make(authority: &Authority, names: &[String], now: Timestamp) -> anyhow::Result<Self> {
        let subject = Subject { node: "master", roles: &[Role::Master], names };
        let identity = authority.issue(&subject, now)?;
        let mut agents = (*identity.server_config(&[Role::Agent])?).clone();
        agents.alpn_protocols = [Purpose::Agent, Purpose::Renew].map(|p| p.alpn().to_vec()).into();
        // A connection is one handshake: what a certificate allows is asked each time.
        agents.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        agents.send_tls13_tickets = 0;
        let mut joining = pki::join::server_config(&identity)?;
        joining.alpn_protocols = vec![Purpose::Join.alpn().to_vec()];
        let renew_at = now + authority.life() * 2 / 3;
        Ok(Self { agents: Arc::new(agents), joining: Arc::new(joining), renew_at })
    }
}

/// Who is at the other end.
fn facts(tls: &TlsStream<TcpStream>) -> anyhow::Result<Facts> {
    let (_, connection) = tls.get_ref();
    let shown = connection.peer_certificates().and_then(<[_]>::first);
    Ok(Facts::of(shown.context("the peer showed no certificate")?)?)
}
