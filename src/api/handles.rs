//! What the API needs of the running system: two small traits, implemented where the parts are
//! wired together, and by hand in tests.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use crate::{
    base::clock::Timestamp,
    control::{cluster::ProposeError, reconcilers},
    core::{Accepted, Command, State, place::Report},
    model::{
        AppId, NodeId,
        link::{Answer, AskError, Channel, Question, Usage},
    },
};

/// The replicated state and what its leader knows beside it.
pub trait Cluster: Send + Sync + 'static {
    /// The newest state.
    fn latest(&self) -> Arc<State>;

    /// Resolves when the state's revision is past `revision`; at once when it is already.
    fn newer_than(&self, revision: u64) -> BoxFuture<'static, ()>;

    /// Brings a command through the log.
    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Accepted, ProposeError>>;

    /// The report of the latest placement attempt for a workload.
    fn explain(&self, app: &AppId) -> Option<Arc<Report>>;

    /// The latest sample of a node's resource use.
    fn usage(&self, node: &NodeId) -> Option<Arc<Usage>>;

    /// When a node was last heard of.
    fn last_seen(&self, node: &NodeId) -> Option<Timestamp>;

    /// Who leads at the moment.
    fn leader(&self) -> Option<Leader>;

    /// Kind and name of each running task of this process.
    fn tasks(&self) -> Vec<(&'static str, &'static str)>;

    /// What each reconciler did last.
    fn reconcilers(&self) -> Vec<Reconciler>;

    /// An invitation for one new node; the text of a refusal says why there is none.
    fn invite(&self) -> BoxFuture<'_, Result<Invitation, String>>;

    /// Troubles that no table of the state shows (a full disk, a dead container engine).
    fn warnings(&self) -> Vec<Warning> {
        Vec::new()
    }
}

/// The agents, reached over the stream each of them keeps open to the leader.
pub trait Agents: Send + Sync + 'static {
    /// Asks one agent. Implementations bound the wait and answer `TimedOut`.
    fn ask(
        &self,
        node: &NodeId,
        question: Question,
    ) -> BoxFuture<'static, Result<Answer, AskError>>;

    /// Opens a session (`Question::Exec`).
    fn exec(
        &self,
        node: &NodeId,
        question: Question,
    ) -> BoxFuture<'static, Result<Session, AskError>>;
}

/// A running command inside a task. Dropping it ends the command.
pub struct Session {
    /// Bytes towards the task; an empty piece on `Stdin` closes its standard input.
    pub input: mpsc::Sender<(Channel, Bytes)>,
    /// What the task writes, then its end.
    pub output: mpsc::Receiver<SessionOutput>,
}

/// One piece of a session's output.
#[derive(Debug)]
pub enum SessionOutput {
    Data(Channel, Bytes),
    /// The last piece; without a code when the command did not end by itself.
    End(Option<i32>),
}

/// The master that leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    pub id: String,
    /// `host:port` of its admin router.
    pub address: String,
    pub since: Option<Timestamp>,
}

/// What a new node needs to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Good for one node.
    pub token: String,
    /// `host:port` of a master's peer port.
    pub master: String,
    pub expires_at: Timestamp,
}

/// The latest activation of one reconciler.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Reconciler {
    pub name: String,
    /// Activations since the start of this process.
    pub runs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_at: Option<super::view::Iso>,
    pub last_run_ms: f64,
    /// Commands proposed by the latest activation.
    pub proposed: u64,
    /// Why some of them did not take effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What there was to look at, in numbers.
    pub looks_at: String,
    /// What could not be done yet, and why; bounded.
    pub waits: Vec<Wait>,
    /// How many of these there are in all.
    pub waits_total: u64,
}

/// Something that a reconciler waits with, and what for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Wait {
    /// As `deployment d1` or `node 10.0.0.7`.
    pub about: String,
    pub because: String,
}

impl Wait {
    pub fn of(wait: &reconcilers::Wait) -> Self {
        Self { about: wait.about.clone(), because: wait.because.clone() }
    }
}

/// Something an operator should know.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// Stable word for programs.
    pub code: &'static str,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<super::view::Iso>,
}
