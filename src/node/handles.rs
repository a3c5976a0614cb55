//! The running system as everybody sees it who reads, changes or asks it: `control::cluster::Cluster` over
//! the log, the agent links and the board of the reconcilers.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};

use super::{backup::Keeper, door::Door};
use crate::{
    base::{clock::Timestamp, task::Tasks},
    control::{
        backup::{Archive, BackupError, Kept, Lock, Overview},
        board::{Board, Note},
        cluster::{self, Cluster, Error, Invitation, Leader, Member, Trouble},
        links::{Links, Session},
        questions,
        series::Recorded,
    },
    core::{
        Accepted, Command, State,
        history::{Page, Query},
        place::{Limits, Report as Attempt},
    },
    http::auth::Principal,
    log::{Contact, Log, ProposeError, Standing, store::StoreError},
    model::{
        AppId, Deployment, NodeId,
        by::By,
        credential::Invited,
        link::{Answer, Question, Usage},
        master::Addresses,
    },
};

/// The running system. Cheap to clone.
#[derive(Clone)]
pub struct Handles {
    pub log: Log<State>,
    pub links: Links,
    pub board: Board,
    pub recorded: Arc<Recorded>,
    pub door: Arc<Door>,
    pub keeper: Arc<Keeper>,
    pub tasks: Tasks,
    pub me: Arc<Me>,
    /// How the leader chooses places.
    pub limits: Limits,
}

/// Where this master is reached.
#[derive(Debug)]
pub struct Me {
    pub address: IpAddr,
    pub addresses: Addresses,
}

impl Cluster for Handles {
    fn state(&self) -> Arc<State> {
        self.log.state()
    }

    fn newer_than(&self, revision: u64) -> BoxFuture<'static, ()> {
        let mut changed = self.log.feed().changed();
        async move {
            // An error means that the log is gone, and the process with it.
            let _ = changed.wait_for(|now| *now > revision).await;
        }
        .boxed()
    }

    fn history(&self, query: Query) -> BoxFuture<'static, Result<Page, Error>> {
        let history = self.log.history().clone();
        let stopped = |error: StoreError| ProposeError::Stopped(error.to_string()).into();
        async move { history.search(query).await.map_err(stopped) }.boxed()
    }

    fn begun_by(&self, deployment: &Deployment) -> Option<By> {
        self.log.history().begun_by(deployment, self.log.state().at)
    }

    fn propose<'a>(
        &'a self,
        by: &'a Principal,
        command: Command,
    ) -> BoxFuture<'a, Result<Accepted, Error>> {
        async move {
            let kind = cluster::kind(&command);
            let outcome = cluster::propose(&self.log, by, command).await;
            cluster::audited(by, &kind, &outcome);
            outcome
        }
        .boxed()
    }

    fn ask(&self, node: &NodeId, question: Question) -> BoxFuture<'static, Result<Answer, Error>> {
        let (log, links, node) = (self.log.clone(), self.links.clone(), node.clone());
        async move { questions::ask(&log, &links, &node, question).await }.boxed()
    }

    fn exec(
        &self,
        node: &NodeId,
        question: Question,
    ) -> BoxFuture<'static, Result<Session, Error>> {
        let (log, links, node) = (self.log.clone(), self.links.clone(), node.clone());
        let leader = Cluster::leader(self);
        async move { questions::exec(&log, &links, leader, &node, question).await }.boxed()
    }

    /// This master knows by itself where it is reached, others have said so.
    fn leader(&self) -> Option<Leader> {
        let (id, _) = self.log.leader()?;
        let addresses = match id == self.log.id() {
            true => self.me.addresses.clone(),
            false => self.log.state().masters.get(&id)?.addresses.clone(),
        };
        Some(Leader { id, addresses, since: None })
    }

    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    fn leads(&self) -> bool {
        self.log.is_leader()
    }

    fn give_way(&self) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            if self.log.is_leader() {
                self.log.give_way().await;
                return Ok(());
            }
            Err(match Cluster::leader(self) {
                Some(leader) => Error::Elsewhere(leader.addresses.marathon),
                None => ProposeError::NoLeader.into(),
            })
        }
        .boxed()
    }

    fn members(&self) -> Vec<Member> {
        let metrics = self.log.metrics();
        let (me, state) = (self.log.id(), self.log.state());
        let address = |id: u64, text: &str| {
            let told = state.masters.get(&id).map(|master| master.addresses.peers.as_str());
            let at = told.unwrap_or(text).parse::<SocketAddr>().ok().map(|at| at.ip());
            if id == me { Some(self.me.address) } else { at }
        };
        metrics
            .membership_config
            .nodes()
            .filter_map(|(id, member)| {
                Some(Member {
                    address: address(*id, &member.address)?,
                    is_leader: metrics.current_leader == Some(*id),
                    is_serving: *id == me || metrics.current_leader.is_some(),
                })
            })
            .collect()
    }

    fn attempt(&self, app: &AppId) -> Option<Arc<Attempt>> {
        self.board.attempt(app)
    }

    fn notes(&self) -> Vec<(&'static str, Note)> {
        self.board.notes()
    }

    fn usage(&self, node: &NodeId) -> Option<Arc<Usage>> {
        self.links.usage(node)
    }

    fn recorded(&self) -> Option<Arc<Recorded>> {
        self.log.is_leader().then(|| self.recorded.clone())
    }

    fn last_heard(&self, node: &NodeId) -> Option<Timestamp> {
        self.links.last_heard(node)
    }

    fn contact(&self) -> Option<Contact> {
        Some(self.log.contact())
    }

    fn standings(&self) -> Vec<Standing> {
        self.log.members()
    }

    fn invite(
        &self,
        role: Option<Invited>,
        life: Duration,
    ) -> BoxFuture<'_, Result<Invitation, String>> {
        async move {
            let (token, expires_at) = self.door.invite(role, life).await?;
            Ok(Invitation { token, master: self.me.addresses.peers.clone(), expires_at })
        }
        .boxed()
    }

    fn backup(&self, lock: Lock) -> BoxFuture<'_, Result<Archive, BackupError>> {
        self.keeper.archive(lock).boxed()
    }

    fn keep_backup(&self, lock: Option<Lock>) -> BoxFuture<'_, Result<Kept, BackupError>> {
        self.keeper.clone().keep(lock).boxed()
    }

    fn backups(&self) -> BoxFuture<'_, Result<Overview, BackupError>> {
        self.keeper.overview().boxed()
    }

    fn tasks(&self) -> Vec<(&'static str, &'static str)> {
        self.tasks.list()
    }

    fn troubles(&self) -> Vec<Trouble> {
        let log = self.log.failure().map(|message| Trouble {
            code: "log_failed",
            message,
            hint: "look at the disk of this master, then restart it",
        });
        let space = self.log.is_short_of_space().then(|| Trouble {
            code: "disk_full",
            message: "the disk of this master is full, changes are refused".to_owned(),
            hint: "free some space in its data directory",
        });
        log.into_iter().chain(space).chain(self.keeper.trouble()).collect()
    }
}
