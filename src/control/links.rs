//! Agents know what should run, and the leader what does.
//!
//! Each agent keeps one connection open to the leader. Down it go the orders for that agent: the
//! full set at the start and every minute, in between what the change feed says. Up come its
//! reports, which are proposed in batches. Questions of the API travel the same connection.
//!
//! What is here is leader memory: who is connected, when each was last heard of, its last usage
//! sample. All of it is rebuilt when the agents connect to a new leader.

mod connection;
mod names;
pub mod orders;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::{heard::Heard, reconciler::Aside};
use crate::{
    base::{
        clock::{Clock, Moment, Timestamp},
        level,
        task::Tasks,
    },
    core::{Change, State},
    log::{Log, feed::Step},
    model::{
        Ranges,
        credential::{Digest, Serial},
        link::{
            Answer, AskError, Channel, Desired, FromAgent, Masters, Question, SESSION_WINDOW,
            ToAgent, Usage,
        },
        master::Master,
        names::Realm,
        node::NodeId,
    },
};

/// How long an agent may take to answer a question.
const ANSWER: Duration = Duration::from_secs(10);
/// Messages waiting for one agent; past that it is sent the full set later instead.
const TO_AGENT_MAX: usize = 1_024;
/// Pieces of a session waiting for its reader; one more than the agent may send, for the end.
const SESSION_PIECES_MAX: usize = SESSION_WINDOW as usize + 1;
/// A reader that has taken so many tells the agent that there is room.
const CREDIT: u32 = SESSION_WINDOW / 2;

/// Both directions of one agent's connection, as the transport hands them over.
pub struct Wire {
    pub from_agent: mpsc::Receiver<FromAgent>,
    pub to_agent: mpsc::Sender<ToAgent>,
}

/// Who is at the other end of a connection. Whoever hands the connection over has proved it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    pub node: NodeId,
    /// `None` for the agent of this process.
    pub certificate: Option<Shown>,
}

/// The certificate a peer showed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    pub serial: Serial,
    /// Of its public key.
    pub key: Digest,
}

/// The leader's side of all agent connections. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    inner: Arc<Inner>,
}

/// The links as the log knows them, which they keep themselves.
pub struct WeakLinks(Weak<Inner>);

impl WeakLinks {
    /// While they are.
    pub fn links(&self) -> Option<Links> {
        Some(Links { inner: self.0.upgrade()? })
    }
}

struct Inner {
    log: Log<State>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    agents: Mutex<BTreeMap<NodeId, Connected>>,
    /// While this master leads.
    heard: Mutex<Option<Heard>>,
    next: AtomicU64,
    /// What agents are told of names; nothing before `tell_names`.
    names: names::Told,
}

/// One connected agent.
struct Connected {
    /// Tells this connection from a later one of the same agent.
    epoch: u64,
    certificate: Option<Shown>,
    to_agent: mpsc::Sender<ToAgent>,
    /// What sessions have to say; it goes behind everything else.
    input: mpsc::Sender<ToAgent>,
    /// The orders up to this revision have been sent.
    sent: u64,
    /// A message did not fit: the full set is owed.
    owed: bool,
    /// It has to tell everything again, and has not been asked to yet.
    untold: bool,
    names: names::Standing,
    usage: Option<Arc<Usage>>,
    asks: HashMap<u64, oneshot::Sender<Result<Answer, AskError>>>,
    sessions: HashMap<u64, mpsc::Sender<SessionOutput>>,
}

/// A running command inside a task.
pub struct Session {
    /// Bytes towards the task; an empty piece on `Stdin` closes its standard input. Dropping the
    /// sender ends the command.
    pub input: mpsc::Sender<(Channel, Vec<u8>)>,
    pub output: SessionReader,
}

/// The output of a session. While nobody reads, its command waits.
pub struct SessionReader {
    pieces: mpsc::Receiver<SessionOutput>,
    /// Number of the session at the agent that is told how much was taken.
    agent: Option<(u64, mpsc::Sender<ToAgent>)>,
    n_taken: u32,
}

impl SessionReader {
    /// The output of a command that needs no word on how much of it was taken.
    pub fn of(pieces: mpsc::Receiver<SessionOutput>) -> Self {
        Self { pieces, agent: None, n_taken: 0 }
    }

    /// The next piece; `None` when the connection to the agent is gone.
    pub async fn recv(&mut self) -> Option<SessionOutput> {
        let piece = self.pieces.recv().await?;
        self.n_taken += 1;
        if let Some((id, to_agent)) = &self.agent
            && self.n_taken >= CREDIT
            && !matches!(piece, SessionOutput::End(_))
        {
            let credit = ToAgent::Credit { id: *id, n: self.n_taken };
            // An error means that the connection is gone: the next piece is the end.
            let _ = to_agent.send(credit).await;
            self.n_taken = 0;
        }
        Some(piece)
    }
}

impl Connected {
    /// Sends everything that should be on the node, in parts; all or nothing.
    fn send_full(&mut self, state: &State, node: &NodeId) -> bool {
        let mut messages = orders::messages(orders::full(state, node));
        messages.extend(orders::volumes(state, node));
        let fits = self.to_agent.capacity() >= messages.len();
        self.owed = !fits || messages.into_iter().any(|m| self.to_agent.try_send(m).is_err());
        if !self.owed {
            self.sent = state.revision;
        }
        !self.owed
    }

    /// Sends changes, in parts; what does not fit is made good by the full set.
    fn send_changes(&mut self, desired: Desired) {
        for message in orders::messages(desired) {
            self.owed |= self.to_agent.try_send(message).is_err();
        }
    }
}

/// One piece of a session's output.
#[derive(Debug)]
pub enum SessionOutput {
    Data(Channel, Vec<u8>),
    /// The last piece; without a code when the command did not end by itself.
    End(Option<i32>),
}

impl Aside for Links {
    fn heard(&self) -> Cow<'_, Heard> {
        let all = self.note(|heard, _| heard.clone());
        Cow::Owned(all.unwrap_or_else(|| Heard::from(self.inner.clock.moment())))
    }

    fn ports_held(&self) -> BTreeMap<NodeId, Ranges> {
        let agents = self.inner.agents.lock();
        let held = agents.iter().filter_map(|(node, agent)| {
            let ports = agent.usage.as_ref().map(|usage| &usage.ports_held)?;
            (!ports.is_empty()).then(|| (node.clone(), ports.clone()))
        });
        held.collect()
    }
}

impl Links {
    /// No connection yet. `dispatch` must run for orders to flow.
    pub fn new(log: Log<State>, clock: Arc<dyn Clock>, tasks: Tasks) -> Self {
        let inner = Inner {
            log,
            clock,
            tasks,
            agents: Mutex::default(),
            heard: Mutex::default(),
            next: AtomicU64::new(1),
            names: names::Told::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// From now on agents are told these names of the cluster, as far as its level allows it.
    pub fn tell_names(&self, realm: Realm) {
        let mut agents = self.inner.agents.lock();
        let revision = self.inner.log.feed().latest().revision;
        self.inner.names.begin(realm, revision, &mut agents);
    }

    /// Answers what other masters ask of the agents that are connected here.
    pub fn answer_masters(&self) {
        self.inner.log.answer_with(Arc::new(WeakLinks(Arc::downgrade(&self.inner))));
    }

    /// Serves one connection of `peer` until it ends. A master that does not lead refuses it.
    pub async fn serve(&self, wire: Wire, peer: Peer) {
        connection::serve(self, wire, peer).await;
    }

    /// Sends the orders that follow from each committed change. Runs for ever.
    pub async fn dispatch(self) -> anyhow::Result<()> {
        let mut follower = self.inner.log.feed().subscribe(None);
        loop {
            match follower.next().await {
                Step::Batch(batch) => {
                    self.part_from_removed(&batch.changes);
                    let by_node = orders::changed(&batch.state, &batch.changes);
                    let mut agents = self.inner.agents.lock();
                    for (node, desired) in by_node {
                        if let Some(agent) = agents.get_mut(&node)
                            && agent.sent < batch.revision
                        {
                            agent.send_changes(desired);
                        }
                    }
                    for node in orders::with_volumes(&batch.changes) {
                        if let (Some(agent), Some(volumes)) =
                            (agents.get_mut(node), orders::volumes(&batch.state, node))
                        {
                            agent.owed |= agent.to_agent.try_send(volumes).is_err();
                        }
                    }
                    // A node was called lost and is here after all: what its tasks became with it
                    // is put right by its own word.
                    for node in batch.changes.iter().filter_map(orders::returned) {
                        if let Some(agent) = agents.get_mut(node)
                            && agent.sent < batch.revision
                        {
                            agent.untold = agent.to_agent.try_send(ToAgent::TellAll).is_err();
                        }
                    }
                    self.inner.names.dispatch(&batch, &mut agents);
                    let is_of_masters =
                        batch.changes.iter().any(|c| matches!(c, Change::Master { .. }));
                    if is_of_masters && let Some(masters) = self.masters() {
                        for agent in agents.values().filter(|agent| agent.certificate.is_some()) {
                            // One that is busy hears it with its next connection.
                            let _ = agent.to_agent.try_send(masters.clone());
                        }
                    }
                }
                Step::Resync(state) => {
                    let mut agents = self.inner.agents.lock();
                    self.inner.names.forget(state.revision, &mut agents);
                    for agent in agents.values_mut() {
                        (agent.owed, agent.untold) = (true, true);
                    }
                }
            }
        }
    }

    /// Who the masters are, for agents that can be told.
    fn masters(&self) -> Option<ToAgent> {
        let state = self.inner.log.feed().latest();
        if state.level() < level::MASTERS {
            return None;
        }
        let peers = |master: &Arc<Master>| master.addresses.peers.clone();
        let (leader, _) = self.inner.log.leader().unzip();
        let leader = leader.and_then(|id| state.masters.get(&id)).map(peers);
        let all = state.masters.values().map(peers).collect();
        Some(ToAgent::Masters(Arc::new(Masters { leader, all })))
    }

    /// Ends the connections of nodes that were removed.
    fn part_from_removed(&self, changes: &[Change]) {
        for change in changes {
            let Change::Node { id, new: None, .. } = change else { continue };
            if let Some(agent) = self.inner.agents.lock().remove(id) {
                let why = format!("node {id} was removed from the cluster");
                let _ = agent.to_agent.try_send(ToAgent::Removed(why));
            }
            self.note(|heard, _| heard.forget(id));
        }
    }

    /// Asks one agent and waits for its answer.
    ///
    /// # Errors
    /// When the agent is not connected, says no, or does not answer in time.
    #[tracing::instrument(level = "debug", skip_all, fields(%node))]
    pub async fn ask(&self, node: &NodeId, question: Question) -> Result<Answer, AskError> {
        let (id, answer) = self.put(node, question)?;
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(AskError::NotConnected(node.clone())),
            Err(_) => {
                self.with(node, |agent| agent.asks.remove(&id));
                Err(AskError::TimedOut)
            }
        }
    }

    /// Opens a session (`Question::Exec`).
    ///
    /// # Errors
    /// As `ask`.
    pub async fn exec(&self, node: &NodeId, question: Question) -> Result<Session, AskError> {
        let (id, answer) = self.put(node, question)?;
        let (output, pieces) = mpsc::channel(SESSION_PIECES_MAX);
        self.with(node, |agent| agent.sessions.insert(id, output));
        let started = match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(answer)) => answer.map(drop),
            Ok(Err(_)) => Err(AskError::NotConnected(node.clone())),
            Err(_) => Err(AskError::TimedOut),
        };
        if let Err(error) = started {
            self.with(node, |agent| {
                agent.sessions.remove(&id);
                // It may be started yet, and nobody would listen.
                let _ = agent.input.try_send(ToAgent::End { id });
            });
            return Err(error);
        }
        let (input, mut typed) = mpsc::channel::<(Channel, Vec<u8>)>(SESSION_PIECES_MAX);
        let to_agent = self.with(node, |agent| agent.input.clone());
        let to_agent = to_agent.ok_or_else(|| AskError::NotConnected(node.clone()))?;
        let reader = SessionReader { pieces, agent: Some((id, to_agent.clone())), n_taken: 0 };
        let (links, node) = (self.clone(), node.clone());
        self.inner.tasks.connection("session-input", async move {
            while let Some((channel, bytes)) = typed.recv().await {
                if to_agent.send(ToAgent::Data { id, channel, bytes }).await.is_err() {
                    break;
                }
            }
            let _ = to_agent.send(ToAgent::End { id }).await;
            links.with(&node, |agent| agent.sessions.remove(&id));
        });
        Ok(Session { input, output: reader })
    }

    /// The latest usage sample of a connected agent.
    pub fn usage(&self, node: &NodeId) -> Option<Arc<Usage>> {
        self.inner.agents.lock().get(node).and_then(|a| a.usage.clone())
    }

    /// When a node was last heard of by this leader.
    pub fn last_heard(&self, node: &NodeId) -> Option<Timestamp> {
        self.inner.heard.lock().as_ref().and_then(|heard| heard.seen_at(node))
    }

    /// This master leads and is awake. To be called many times a second.
    pub fn attend(&self) {
        self.note(|_, _| ());
    }

    /// Starts counting silence afresh: called when this master is elected, with every connection
    /// of an earlier term closed.
    pub fn begin_term(&self) {
        self.inner.agents.lock().clear();
        *self.inner.heard.lock() = Some(Heard::from(self.inner.clock.moment()));
    }

    /// Closes every connection: agents look for the new leader.
    pub fn end_term(&self) {
        self.inner.agents.lock().clear();
        *self.inner.heard.lock() = None;
    }

    /// Reads or writes what was heard, with the present on both clocks.
    fn note<R>(&self, f: impl FnOnce(&mut Heard, (Moment, Timestamp)) -> R) -> Option<R> {
        let mut heard = self.inner.heard.lock();
        let now = (self.inner.clock.moment(), self.inner.clock.now());
        heard.as_mut().map(|heard| {
            heard.attend(now.0);
            f(heard, now)
        })
    }

    fn put(
        &self,
        node: &NodeId,
        question: Question,
    ) -> Result<(u64, oneshot::Receiver<Result<Answer, AskError>>), AskError> {
        let id = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let (answer, receiver) = oneshot::channel();
        let sent = self.with(node, |agent| {
            agent.asks.insert(id, answer);
            let sent = agent.to_agent.try_send(ToAgent::Ask { id, question }).is_ok();
            if !sent {
                agent.asks.remove(&id);
            }
            sent
        });
        match sent {
            Some(true) => Ok((id, receiver)),
            Some(false) => Err(AskError::Failed("the agent's connection is busy".to_owned())),
            None => Err(AskError::NotConnected(node.clone())),
        }
    }

    fn with<R>(&self, node: &NodeId, f: impl FnOnce(&mut Connected) -> R) -> Option<R> {
        self.inner.agents.lock().get_mut(node).map(f)
    }
}
