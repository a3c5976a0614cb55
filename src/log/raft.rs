//! The `Log` handle: opens the store, runs consensus, answers who leads, stops in order.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use openraft::{
    Raft, RaftMetrics, SnapshotPolicy,
    error::{CheckIsLeaderError, InitializeError, RaftError},
    storage::RaftLogStorage as _,
};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{
    ballot::Ballot,
    compare::{self, Comparison},
    contact::{Contact, Heard},
    desk::Desk,
    disk::Disk,
    feed::{Feed, Follower},
    history::History,
    journal::{Installing, Journal, OpenError},
    lead::{Lead, Restored, Seen},
    machine::{Machine, RequestId, Revision},
    network::Network,
    peer::{
        server::{Leader, Parts, Server},
        transport::{Accept, Connect},
        wire::{Call, Refused, Reply},
    },
    propose::{self, Proposal, ProposeError},
    replica::{Progress, Replica, Waiting},
    store::{Store, StoreError},
    tend::{self, Retention},
    types::{Member, MemberId, Types},
};
use crate::base::{clock::Clock, level::LEVEL, limit, rng::Rng, task::Tasks};

/// Time-outs of consensus.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two messages of a leader to a silent follower; also the time after which an
    /// unanswered message is sent again.
    pub heartbeat: Duration,
    /// A follower stands for election after twice a time drawn from this range without a word from
    /// the leader, and votes for nobody within once that time. Each master draws once per start.
    pub election_min: Duration,
    /// Must stay below twice `election_min`.
    pub election_max: Duration,
    /// Between two comparisons of the masters' states.
    pub compare: Duration,
}

impl Default for Timing {
    /// A lost leader is replaced in 0.6–1.1 s, while a disk or network may stall for half a second
    /// without an election.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(120),
            election_min: Duration::from_millis(300),
            election_max: Duration::from_millis(450),
            compare: Duration::from_secs(60),
        }
    }
}

/// How a log is opened.
#[derive(Clone)]
pub struct LogConfig {
    /// Name shared by all masters of a cluster; peers with another one are refused.
    pub cluster: String,
    /// This master.
    pub id: MemberId,
    /// The founding masters with this one, or nobody to wait until a leader adds this one. Read
    /// only by a log that is still empty; the same on every founding master.
    pub members: BTreeMap<MemberId, Member>,
    pub disk: Disk,
    pub timing: Timing,
    pub retention: Retention,
    pub rng: Rng,
    /// The highest level this master can do (`base::level`).
    pub level: u32,
}

impl LogConfig {
    /// The only master of a cluster.
    pub fn single(cluster: impl Into<String>, disk: Disk, rng: Rng) -> Self {
        Self {
            cluster: cluster.into(),
            id: 1,
            members: BTreeMap::from([(1, Member::default())]),
            disk,
            timing: Timing::default(),
            retention: Retention::default(),
            rng,
            level: LEVEL,
        }
    }
}

/// How masters reach each other; a single master has none.
pub struct Links {
    pub connect: Arc<dyn Connect>,
    pub accept: Box<dyn Accept>,
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("the log cannot be opened")]
    Open(#[from] OpenError),
    #[error("consensus cannot start: {0}")]
    Consensus(String),
}

impl From<StoreError> for LogError {
    fn from(error: StoreError) -> Self {
        Self::Open(error.into())
    }
}

/// The replicated log of one master. Cheap to clone.
pub struct Log<M: Machine = crate::core::State> {
    pub(super) core: Arc<Core<M>>,
}

impl<M: Machine> Clone for Log<M> {
    fn clone(&self) -> Self {
        Self { core: self.core.clone() }
    }
}

/// What the handle and the answering side share.
pub struct Core<M: Machine> {
    pub(super) id: MemberId,
    pub(super) raft: Raft<Types>,
    pub(super) network: Network,
    pub(super) feed: Feed<M>,
    pub(super) queue: mpsc::Sender<Proposal<M::Outcome>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) comparison: Comparison,
    pub(super) desk: Desk,
    pub(super) heard: Arc<Heard>,
    lead: Arc<Lead>,
    history: History,
    progress: watch::Receiver<Progress>,
    pub(super) metrics: watch::Receiver<RaftMetrics<MemberId, Member>>,
    store: Arc<dyn Store>,
    pub(super) timing: Timing,
    rng: Mutex<Rng>,
    tasks: Tasks,
}

impl<M: Machine> Log<M> {
    /// Opens the log: loads the state, starts consensus and the tasks around it in `tasks`.
    pub async fn open(
        config: LogConfig,
        links: Option<Links>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Result<Self, LogError> {
        let LogConfig { cluster, id, members, disk, timing, retention, mut rng, level } = config;
        let (connect, accept) = links.map(|l| (l.connect, l.accept)).unzip();
        let store = disk.open().await?;
        let marks = store.marks()?;
        let installing = watch::Sender::new(Installing::default());
        let waiting = Arc::new(Waiting::new(id, rng.below(u64::MAX)));
        let journal = Journal::open(store.clone(), &marks, installing.subscribe())?;
        let upto = journal.last_index();
        let vote = journal.clone().read_vote().await;
        let vote = vote.map_err(|error| LogError::Consensus(error.to_string()))?;
        let led = vote.filter(|v| v.committed && v.leader_id().voted_for() == Some(id));
        let lead = Arc::new(Lead::new(id, led.map(|vote| Restored { vote, upto })));
        let (at_places, places) = mpsc::channel(1);
        let replica = Replica::<M>::open(
            store.clone(),
            &marks,
            waiting.clone(),
            installing.clone(),
            at_places,
            level,
        )?;
        let (feed, progress) = (replica.feed(), replica.progress());
        let network = {
            let rng = rng.child("links");
            Network::new(cluster.clone(), id, connect, lead.clone(), rng, tasks.clone())
        };
        let raft_config = Arc::new(raft_config(&cluster, timing, &mut rng)?);
        let raft = Raft::new(id, raft_config, network.clone(), journal, replica)
            .await
            .map_err(|fatal| LogError::Consensus(fatal.to_string()))?;
        let reached = progress.clone();
        let applied = Box::new(move || reached.borrow().index);
        lead.look(Seen { metrics: raft.metrics(), applied });
        found(&raft, members).await?;
        let (queue, queued) = mpsc::channel(limit::PROPOSALS_WAITING_MAX);
        let heard = Arc::new(Heard::default());
        let core = Arc::new(Core {
            id,
            raft: raft.clone(),
            network,
            feed,
            queue,
            clock,
            comparison: Comparison::default(),
            desk: Desk::default(),
            heard: heard.clone(),
            lead,
            history: History::new(store.clone()),
            progress: progress.clone(),
            metrics: raft.metrics(),
            store: store.clone(),
            timing,
            rng: Mutex::new(rng),
            tasks: tasks.clone(),
        });
        let batcher =
            propose::batch(raft.clone(), waiting, store.clone(), queued, tasks.cancelled());
        tasks.vital("log batcher", batcher);
        tend::start(core.clone(), progress, retention);
        compare::start(&core, places, timing.compare);
        let (asked, standing) = (core.network.clone(), raft.clone());
        let ballot = Ballot {
            id,
            ask: Box::new(move |id, member, limit| asked.hears_none(id, member, limit)),
            metrics: raft.metrics(),
            heard,
            silence: timing.election_min,
            pause: timing.heartbeat / 2,
        };
        let cancelled = tasks.cancelled();
        tasks.vital("log elections", async move {
            cancelled.run_until_cancelled(ballot.keep(standing)).await;
            Ok(())
        });
        if let Some(accept) = accept {
            let leader: Arc<dyn Leader> = core.clone();
            let parts = Parts { cluster, id, raft, leader, store, installing };
            tasks.vital("log peers", Server::new(parts, tasks.clone()).run(accept));
        }
        Ok(Self { core })
    }

    /// The newest state this master has applied.
    pub fn state(&self) -> Arc<M> {
        self.core.feed.latest()
    }

    /// The change feed.
    pub fn feed(&self) -> &Feed<M> {
        &self.core.feed
    }

    /// What was done, as this master keeps it.
    pub fn history(&self) -> &History {
        &self.core.history
    }

    /// Follows the changes after `from`; without it, those after now.
    pub fn subscribe(&self, from: Option<Revision>) -> Follower<M> {
        self.core.feed.subscribe(from)
    }

    /// This master.
    pub fn id(&self) -> MemberId {
        self.core.id
    }

    /// The leading master as far as this one knows.
    pub fn leader(&self) -> Option<(MemberId, Member)> {
        self.core.current_leader()
    }

    /// Whether this master leads and has lately heard from a majority.
    pub fn is_leader(&self) -> bool {
        self.core.leads()
    }

    /// The term in which this master leads, while it does.
    pub fn leads_in(&self) -> Option<u64> {
        self.is_leader().then(|| self.core.metrics.borrow().current_term)
    }

    /// Tells whenever leadership or membership may have changed; check [`Self::is_leader`] after.
    pub fn leadership(&self) -> watch::Receiver<RaftMetrics<MemberId, Member>> {
        self.core.metrics.clone()
    }

    /// Numbers and state of consensus, for status pages and metrics.
    pub fn metrics(&self) -> RaftMetrics<MemberId, Member> {
        self.core.metrics.borrow().clone()
    }

    /// How fresh what this master shows is.
    pub fn contact(&self) -> Contact {
        let core = &self.core;
        let ago = [core.lead.in_step_ago(), core.heard.ago(core.applied())];
        let ago = ago.into_iter().flatten().min();
        let is_stale = ago.is_none_or(|ago| ago > core.fresh_max());
        let metrics = core.metrics.borrow();
        let leader = metrics.current_leader.filter(|_| !is_stale);
        Contact { term: metrics.current_term, leader, ago, is_stale }
    }

    /// Whether commands are refused here because the disk has no space for them.
    pub fn is_short_of_space(&self) -> bool {
        self.core.disk_is_low()
    }

    /// Why this master's log has stopped, if it has. It still serves reads then.
    pub fn failure(&self) -> Option<String> {
        match &self.core.metrics.borrow().running_state {
            Ok(()) => None,
            Err(fatal) => Some(fatal.to_string()),
        }
    }

    /// Waits until a leader is known and this master has applied what was committed before.
    pub async fn ready(&self, deadline: Duration) -> Result<(), ProposeError> {
        let until = Instant::now() + deadline;
        loop {
            match timeout_at(until, self.read_barrier()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(ProposeError::Stopped(why))) => return Err(ProposeError::Stopped(why)),
                Ok(Err(_)) if Instant::now() < until => {
                    self.core.leader_moved(Duration::from_millis(20)).await;
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(ProposeError::NoLeader),
            }
        }
    }

    /// Returns once [`Self::state`] contains every command acknowledged, anywhere, before the call.
    pub async fn read_barrier(&self) -> Result<(), ProposeError> {
        timeout(limit::PROPOSE, self.core.barrier_here())
            .await
            .unwrap_or(Err(Refused::Unknown))
            .map_err(ProposeError::from)
    }

    /// A fresh request id.
    pub fn new_request(&self) -> RequestId {
        RequestId(self.core.rng.lock().uuid().as_u128())
    }

    /// Hands leadership over if this master leads, ends consensus, and closes the store.
    pub async fn stop(&self) {
        self.core.hand_over().await;
        if let Err(error) = self.core.raft.shutdown().await {
            tracing::warn!(%error, "consensus did not end cleanly");
        }
        let store = self.core.store.clone();
        let closing = tokio::task::spawn_blocking(move || store.close());
        if closing.await.is_err() {
            tracing::warn!("the store did not close cleanly");
        }
    }
}

impl<M: Machine> Core<M> {
    pub(super) fn current_leader(&self) -> Option<(MemberId, Member)> {
        // Whoever leads no majority any more leads nobody, though it does not know of another yet.
        let is_lost = self.lead.followed_ago().is_some_and(|ago| ago > self.silence_max());
        let metrics = self.metrics.borrow();
        let id = metrics.current_leader?;
        if id == self.id && is_lost {
            return None;
        }
        let member = metrics.membership_config.membership().get_node(&id)?.clone();
        Some((id, member))
    }

    /// Waits until the leader may have changed, at most `pause`.
    pub(super) async fn leader_moved(&self, pause: Duration) {
        let leader = self.metrics.borrow().current_leader;
        let mut metrics = self.metrics.clone();
        if timeout(pause, metrics.wait_for(|m| m.current_leader != leader)).await.is_err() {
            tracing::trace!("leader unchanged");
        }
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    pub(super) fn disk_is_low(&self) -> bool {
        self.store.is_low()
    }

    /// Why proposals cannot be taken.
    pub(super) fn stopped(&self) -> Refused {
        let why = match &self.metrics.borrow().running_state {
            Err(fatal) => fatal.to_string(),
            Ok(()) => "shutting down".to_owned(),
        };
        Refused::Stopped(why)
    }

    pub(super) fn leads(&self) -> bool {
        self.lead.followed_ago().is_some_and(|ago| ago < self.silence_max())
    }

    /// How long masters that hear each other are silent at most.
    pub(super) fn silence_max(&self) -> Duration {
        self.timing.election_max * 2
    }

    /// How old what masters that hear each other show is at most: a follower knows of one message what
    /// the one before it told.
    fn fresh_max(&self) -> Duration {
        self.silence_max() + self.timing.heartbeat * 2
    }

    /// Index of the last entry whose effect is in the state.
    pub(super) fn applied(&self) -> u64 {
        self.progress.borrow().index
    }

    /// The index a reader must have applied; only the leader can tell.
    pub(super) async fn read_index(&self) -> Result<u64, Refused> {
        match self.raft.ensure_linearizable().await {
            Ok(id) => {
                let index = id.map_or(0, |id| id.index);
                let vote = self.metrics.borrow().vote;
                Ok(index.max(self.lead.floor(&vote)))
            }
            Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(_))) => {
                Err(Refused::NotLeader)
            }
            Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_))) => {
                Err(Refused::NotLeader)
            }
            Err(RaftError::Fatal(fatal)) => Err(Refused::Stopped(fatal.to_string())),
        }
    }

    async fn barrier_here(&self) -> Result<(), Refused> {
        let (id, member) = self.current_leader().ok_or(Refused::NotLeader)?;
        let index = if id == self.id {
            self.read_index().await?
        } else {
            let peer = self.network.peer(id, &member).map_err(|_| Refused::NotLeader)?;
            match peer.call(Call::Barrier, limit::PROPOSE).await {
                Ok(Reply::Barrier(index)) => index,
                _ => return Err(Refused::NotLeader),
            }
        };
        let mut progress = self.progress.clone();
        let applied = progress.wait_for(|p| p.index >= index).await;
        applied.map(drop).map_err(|_| self.stopped())
    }

    /// Leadership goes to a master that can still write, if there is one.
    pub(super) async fn hand_over_and_follow(&self) {
        self.hand_over().await;
        self.raft.runtime_config().heartbeat(true);
    }

    /// Asks the follower that is furthest to take over. The new leader needs this master's vote,
    /// which it gets at once, as a leader's own lease is not renewed by its heartbeats.
    async fn hand_over(&self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        let Some((heir, member)) = self.heir() else { return };
        self.raft.runtime_config().heartbeat(false);
        let Ok(peer) = self.network.peer(heir, &member) else { return };
        if let Err(error) = peer.call(Call::Elect, PATIENCE).await {
            tracing::info!(%error, "leadership could not be handed over");
            return;
        }
        let mut metrics = self.metrics.clone();
        let left = metrics.wait_for(|m| m.current_leader.is_some_and(|id| id != self.id));
        match timeout(PATIENCE, left).await {
            Ok(_) => tracing::info!(peer = heir, "leadership handed over"),
            Err(_) => tracing::info!(peer = heir, "nobody took over in time"),
        }
    }

    fn heir(&self) -> Option<(MemberId, Member)> {
        let metrics = self.metrics.borrow();
        let membership = metrics.membership_config.membership();
        let replication = metrics.replication.as_ref()?;
        let voters: Vec<_> = membership.voter_ids().collect();
        let others = replication.iter().filter(|(id, _)| **id != self.id && voters.contains(id));
        let (id, _) = others.max_by_key(|(_, matched)| **matched)?;
        Some((*id, membership.get_node(id)?.clone()))
    }

    /// The group its tasks run in.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }
}

/// Forms the cluster, if this log is empty. Every founding master does so with the same members
/// and writes the same first entry, so it does not matter who comes first.
async fn found(raft: &Raft<Types>, members: BTreeMap<MemberId, Member>) -> Result<(), LogError> {
    let failed = |error: String| LogError::Consensus(error);
    if members.is_empty() || raft.is_initialized().await.map_err(|e| failed(e.to_string()))? {
        return Ok(());
    }
    match raft.initialize(members).await {
        // A peer was faster and its entries are here already.
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn raft_config(cluster: &str, timing: Timing, rng: &mut Rng) -> Result<openraft::Config, LogError> {
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let spread = timing.election_max.saturating_sub(timing.election_min);
    // Drawn here and given to openraft as a range of one, so that runs replay from their seed.
    let election = ms(timing.election_min) + rng.below(ms(spread));
    let config = openraft::Config {
        cluster_name: cluster.to_owned(),
        heartbeat_interval: ms(timing.heartbeat),
        election_timeout_min: election,
        election_timeout_max: election + 1,
        // Entries are joined commands already; more of them only make a message heavier.
        max_payload_entries: 64,
        // Snapshots and purges are driven by `tend`, which counts bytes too.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        replication_lag_threshold: u64::MAX,
        ..openraft::Config::default()
    };
    config.validate().map_err(|error| LogError::Consensus(error.to_string()))
}
