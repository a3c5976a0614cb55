//! The running system as the API and each dialect see it: their small traits, implemented once
//! over the log, the agent links and the board of the reconcilers.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::mpsc;

use super::door::Door;
use crate::{
    api::{handles as api, view::Iso},
    base::{clock::Timestamp, task::Tasks},
    compat::{dcos::cluster as dcos, marathon, mesos},
    control::{
        board::{Board, Note},
        cluster::{self, ProposeError},
        links::{Links, SessionOutput},
    },
    core::{Accepted, Command, Outcome, State, place::Report},
    log::{self, Log},
    model::{
        AppId, NodeId,
        link::{Answer, AskError, Channel, Question, Usage},
        master::Addresses,
    },
};

/// Pieces of a session waiting for the slower side, beside those in the link's own window.
const SESSION_PIECES_MAX: usize = 4;

/// The running system. Cheap to clone.
#[derive(Clone)]
pub struct Handles {
    pub log: Log<State>,
    pub links: Links,
    pub board: Board,
    pub door: Arc<Door>,
    pub tasks: Tasks,
    pub me: Arc<Me>,
}

/// Where this master is reached.
#[derive(Debug)]
pub struct Me {
    pub address: IpAddr,
    pub addresses: Addresses,
}

impl Handles {
    fn newer_than(&self, revision: u64) -> BoxFuture<'static, ()> {
        let mut changed = self.log.feed().changed();
        async move {
            // An error means that the log is gone, and the process with it.
            let _ = changed.wait_for(|now| *now > revision).await;
        }
        .boxed()
    }

    /// The leading master and where it is reached: this one knows by itself, others have said so.
    fn leading(&self) -> Option<(u64, Addresses)> {
        let (id, _) = self.log.leader()?;
        let addresses = match id == self.log.id() {
            true => self.me.addresses.clone(),
            false => self.log.state().masters.get(&id)?.addresses.clone(),
        };
        Some((id, addresses))
    }

    fn leader(&self) -> Option<api::Leader> {
        let (id, addresses) = self.leading()?;
        Some(api::Leader { id: id.to_string(), address: addresses.router, since: None })
    }
}

impl mesos::Cluster for Handles {
    fn latest(&self) -> Arc<State> {
        self.log.state()
    }

    fn leads(&self) -> bool {
        self.log.leader().is_some_and(|(id, _)| id == self.log.id())
    }

    /// Clients keep their own path and change host and port only, so this is never the router.
    fn leader(&self) -> Option<SocketAddr> {
        self.leading()?.1.mesos.parse().ok()
    }
}

impl mesos::slave::Agents for Handles {
    fn latest(&self) -> Arc<State> {
        self.log.state()
    }

    fn ask(
        &self,
        node: &NodeId,
        question: Question,
    ) -> BoxFuture<'static, Result<Answer, AskError>> {
        api::Agents::ask(self, node, question)
    }
}

impl api::Cluster for Handles {
    fn latest(&self) -> Arc<State> {
        self.log.state()
    }

    fn newer_than(&self, revision: u64) -> BoxFuture<'static, ()> {
        Self::newer_than(self, revision)
    }

    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Accepted, ProposeError>> {
        cluster::propose(&self.log, command).boxed()
    }

    fn explain(&self, app: &AppId) -> Option<Arc<Report>> {
        self.board.attempt(app)
    }

    fn usage(&self, node: &NodeId) -> Option<Arc<Usage>> {
        self.links.usage(node)
    }

    fn last_seen(&self, node: &NodeId) -> Option<Timestamp> {
        self.links.last_heard(node)
    }

    fn leader(&self) -> Option<api::Leader> {
        Self::leader(self)
    }

    fn tasks(&self) -> Vec<(&'static str, &'static str)> {
        self.tasks.list()
    }

    fn reconcilers(&self) -> Vec<api::Reconciler> {
        let told = |(name, note): (&'static str, Note)| {
            let latest = note.latest.as_ref();
            api::Reconciler {
                name: name.to_owned(),
                runs: note.n_runs,
                last_run_at: latest.map(|a| Iso(a.at)),
                last_run_ms: latest.map_or(0.0, |a| a.took.as_secs_f64() * 1000.0),
                proposed: latest.map_or(0, |a| a.n_proposed as u64),
                refused: latest.and_then(|a| a.refused.clone()),
                looks_at: note.report.looks_at.clone(),
                waits: note.report.waits.iter().map(api::Wait::of).collect(),
                waits_total: note.report.n_waits as u64,
            }
        };
        self.board.notes().into_iter().map(told).collect()
    }

    fn invite(&self) -> BoxFuture<'_, Result<api::Invitation, String>> {
        async move {
            let (token, expires_at) = self.door.invite().await?;
            Ok(api::Invitation { token, master: self.me.addresses.peers.clone(), expires_at })
        }
        .boxed()
    }

    fn warnings(&self) -> Vec<api::Warning> {
        let log = self.log.failure().map(|message| api::Warning {
            code: "log_failed",
            message,
            hint: Some("look at the disk of this master, then restart it".to_owned()),
            since: None,
        });
        let space = self.log.is_short_of_space().then(|| api::Warning {
            code: "disk_full",
            message: "the disk of this master is full, changes are refused".to_owned(),
            hint: Some("free some space in its data directory".to_owned()),
            since: None,
        });
        log.into_iter().chain(space).collect()
    }
}

impl api::Agents for Handles {
    fn ask(
        &self,
        node: &NodeId,
        question: Question,
    ) -> BoxFuture<'static, Result<Answer, AskError>> {
        let (links, node) = (self.links.clone(), node.clone());
        async move { links.ask(&node, question).await }.boxed()
    }

    fn exec(
        &self,
        node: &NodeId,
        question: Question,
    ) -> BoxFuture<'static, Result<api::Session, AskError>> {
        let (links, node, tasks) = (self.links.clone(), node.clone(), self.tasks.clone());
        async move {
            let mut session = links.exec(&node, question).await?;
            let (input, mut pieces) = mpsc::channel::<(Channel, Bytes)>(SESSION_PIECES_MAX);
            let (pieces_out, output) = mpsc::channel(SESSION_PIECES_MAX);
            let to_task = session.input;
            tasks.connection("exec-input", async move {
                while let Some((channel, bytes)) = pieces.recv().await {
                    if to_task.send((channel, bytes.to_vec())).await.is_err() {
                        break;
                    }
                }
            });
            tasks.connection("exec-output", async move {
                while let Some(piece) = session.output.recv().await {
                    let piece = match piece {
                        SessionOutput::Data(channel, bytes) => {
                            api::SessionOutput::Data(channel, bytes.into())
                        }
                        SessionOutput::End(code) => api::SessionOutput::End(code),
                    };
                    if pieces_out.send(piece).await.is_err() {
                        break;
                    }
                }
            });
            Ok(api::Session { input, output })
        }
        .boxed()
    }
}

impl dcos::Cluster for Handles {
    fn latest(&self) -> Arc<State> {
        self.log.state()
    }

    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Accepted, ProposeError>> {
        cluster::propose(&self.log, command).boxed()
    }

    fn masters(&self) -> Vec<dcos::Master> {
        let metrics = self.log.metrics();
        let me = self.log.id();
        let address = |id: u64, text: &str| {
            let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
            if id == me { Some(self.me.address) } else { host.parse().ok() }
        };
        metrics
            .membership_config
            .nodes()
            .filter_map(|(id, member)| {
                Some(dcos::Master {
                    address: address(*id, &member.address)?,
                    is_leader: metrics.current_leader == Some(*id),
                    is_serving: *id == me || metrics.current_leader.is_some(),
                })
            })
            .collect()
    }
}

impl marathon::Ledger for Handles {
    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Outcome, log::ProposeError>> {
        self.log.propose(command).boxed()
    }

    fn state(&self) -> Arc<State> {
        self.log.state()
    }

    fn leader(&self) -> Option<String> {
        Some(self.leading()?.1.marathon)
    }

    fn leads(&self) -> bool {
        self.log.is_leader()
    }

    fn report(&self, app: &AppId) -> Option<Arc<Report>> {
        self.board.attempt(app)
    }
}
