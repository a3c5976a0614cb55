//! The cluster as its edges see and change it: one handle, whichever master they run on.
//!
//! A command takes effect and a question is answered wherever the leader is: a follower passes both on.
//! Whoever gets nothing is told whose fault it is and whether trying again can help; each dialect turns
//! that into its own words in one function.

use std::{fmt, fmt::Write as _, net::IpAddr, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};

use super::{
    backup::{Archive, BackupError, Kept, Lock, Overview},
    board::Note,
    links::Session,
    series::Recorded,
};
use crate::{
    base::{clock::Timestamp, error::Retry},
    core::{
        Accepted, Command, Rejected, State,
        history::{Page, Query},
        place::{Limits, Report as Attempt},
    },
    http::auth::Principal,
    log::{self, Log},
    model::{
        AppId, Deployment, NodeId,
        by::By,
        credential::Invited,
        link::{Answer, AskError, Question, Usage},
        master::Addresses,
    },
};

/// Why the cluster does not do what it was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The state refuses the command.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Nobody decided the command, or nobody could pass the question on.
    #[error(transparent)]
    Log(#[from] log::ProposeError),
    /// The agent that was asked has no answer.
    #[error(transparent)]
    Unanswered(#[from] AskError),
    /// Only the leading master can do that; it is reached there.
    #[error("only the leading master does that, at {0}")]
    Elsewhere(String),
}

/// Whose fault it is that the cluster does not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What was asked makes no sense, or not now.
    Caller,
    /// A node is away or in trouble.
    Node,
    /// The masters are.
    Masters,
}

impl Error {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Rejected(_)
            | Self::Log(log::ProposeError::TooLarge { .. })
            | Self::Unanswered(AskError::NotFound(_) | AskError::Invalid(_))
            | Self::Elsewhere(_) => Fault::Caller,
            Self::Unanswered(
                AskError::Failed(_) | AskError::NotConnected(_) | AskError::TimedOut,
            ) => Fault::Node,
            Self::Log(_) => Fault::Masters,
        }
    }

    /// What the caller may do. A question changes nothing, so it may be asked again in any case.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Log(error) => error.retry(),
            Self::Unanswered(AskError::NotConnected(_) | AskError::TimedOut) => Retry::Later,
            Self::Rejected(_)
            | Self::Unanswered(
                AskError::NotFound(_) | AskError::Invalid(_) | AskError::Failed(_),
            )
            | Self::Elsewhere(_) => Retry::No,
        }
    }
}

/// The master that leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    pub id: u64,
    /// Where each of its doors is reached.
    pub addresses: Addresses,
    /// Where that is known.
    pub since: Option<Timestamp>,
}

/// One of the masters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub address: IpAddr,
    pub is_leader: bool,
    /// Heard of lately.
    pub is_serving: bool,
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

/// A trouble of a master that no table of the state shows, as a full disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Stable word for programs.
    pub code: &'static str,
    pub message: String,
    pub hint: &'static str,
}

/// The handle. What is told by default is what one tells who knows nothing beside the state.
pub trait Cluster: Send + Sync + 'static {
    /// The newest state of this master.
    fn state(&self) -> Arc<State>;

    /// Has a command of `by` decided; `state` shows its effect once this returns.
    fn propose<'a>(
        &'a self,
        by: &'a Principal,
        command: Command,
    ) -> BoxFuture<'a, Result<Accepted, Error>>;

    /// What was done that a query asks for, as this master keeps it.
    fn history(&self, _query: Query) -> BoxFuture<'static, Result<Page, Error>> {
        std::future::ready(Ok(Page::default())).boxed()
    }

    /// On whose word a deployment began, as far as the history tells. May read the disk.
    fn begun_by(&self, _deployment: &Deployment) -> Option<By> {
        None
    }

    /// Resolves when the state's revision is past `revision`; at once when it is already.
    fn newer_than(&self, _revision: u64) -> BoxFuture<'static, ()> {
        std::future::pending().boxed()
    }

    /// Asks one agent; the wait and the answer are bounded.
    fn ask(&self, node: &NodeId, _question: Question) -> BoxFuture<'static, Result<Answer, Error>> {
        std::future::ready(Err(AskError::NotConnected(node.clone()).into())).boxed()
    }

    /// Opens a session on one agent (`Question::Exec`).
    fn exec(
        &self,
        node: &NodeId,
        _question: Question,
    ) -> BoxFuture<'static, Result<Session, Error>> {
        std::future::ready(Err(AskError::NotConnected(node.clone()).into())).boxed()
    }

    /// Who leads, as far as this master knows.
    fn leader(&self) -> Option<Leader> {
        None
    }

    /// Whether this master leads and lately had a majority behind it.
    fn leads(&self) -> bool {
        false
    }

    /// Has another master lead, where there is one that decides; a master that is alone goes on leading.
    /// Returns when the other leads, or when none took over in time.
    ///
    /// # Errors
    /// On a master that does not lead.
    fn give_way(&self) -> BoxFuture<'_, Result<(), Error>> {
        let answer = if self.leads() { Ok(()) } else { Err(log::ProposeError::NoLeader.into()) };
        std::future::ready(answer).boxed()
    }

    /// All masters, this one included, in a stable order.
    fn members(&self) -> Vec<Member> {
        Vec::new()
    }

    /// How fresh `state` is; `None` of who is no master.
    fn contact(&self) -> Option<log::Contact> {
        None
    }

    /// What part each master has in deciding.
    fn standings(&self) -> Vec<log::Standing> {
        Vec::new()
    }

    /// The bounds and settings by which waiting instances get their places.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// The latest attempt to place a workload that waits.
    fn attempt(&self, _app: &AppId) -> Option<Arc<Attempt>> {
        None
    }

    /// What the reconcilers did last and what they wait for.
    fn notes(&self) -> Vec<(&'static str, Note)> {
        Vec::new()
    }

    /// The latest sample of a node's resource use.
    fn usage(&self, _node: &NodeId) -> Option<Arc<Usage>> {
        None
    }

    /// What was measured over time; only the leading master has that.
    fn recorded(&self) -> Option<Arc<Recorded>> {
        None
    }

    /// When a node was last heard of.
    fn last_heard(&self, _node: &NodeId) -> Option<Timestamp> {
        None
    }

    /// An invitation for one new node, good for so long; the text of a refusal says why there is none.
    fn invite(
        &self,
        _role: Option<Invited>,
        _life: Duration,
    ) -> BoxFuture<'_, Result<Invitation, String>> {
        std::future::ready(Err("this master has no door for nodes".to_owned())).boxed()
    }

    /// A backup of all there is, as this master has it.
    fn backup(&self, _lock: Lock) -> BoxFuture<'_, Result<Archive, BackupError>> {
        std::future::ready(Err(BackupError::NotYet("this is no master".to_owned()))).boxed()
    }

    /// Makes a backup and keeps it where backups are kept; for the keys that are set without a lock.
    fn keep_backup(&self, _lock: Option<Lock>) -> BoxFuture<'_, Result<Kept, BackupError>> {
        std::future::ready(Err(BackupError::NoPlace)).boxed()
    }

    /// What backups are made by itself and kept.
    fn backups(&self) -> BoxFuture<'_, Result<Overview, BackupError>> {
        std::future::ready(Ok(Overview::default())).boxed()
    }

    /// Kind and name of each running task of this process.
    fn tasks(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// What troubles this master.
    fn troubles(&self) -> Vec<Trouble> {
        Vec::new()
    }
}

/// The name of a command's kind. What stands in it is its owner's: passwords, environments.
pub fn kind(command: &Command) -> String {
    /// Takes the first word and refuses the rest, so that nothing long is written out.
    struct Word(String);
    impl fmt::Write for Word {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let end = text.find(|c: char| !c.is_ascii_alphanumeric());
            self.0.push_str(&text[..end.unwrap_or(text.len())]);
            if end.is_some() { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut word = Word(String::new());
    // The error is the end of the word.
    let _ = write!(word, "{command:?}");
    word.0
}

/// Writes down who changed something, or was refused.
pub fn audited(by: &Principal, kind: &str, outcome: &Result<Accepted, Error>) {
    let uid = by.uid();
    match outcome {
        Ok(_) => tracing::info!(target: "audit", uid, kind, "changed"),
        Err(error) => {
            tracing::info!(target: "audit", uid, kind, fault = ?error.fault(), %error, "not changed");
        }
    }
}

/// Has a command of `by` decided, at most `limit::PROPOSE` long.
///
/// # Errors
/// When the state refuses it or the log gives no outcome.
pub async fn propose(
    log: &Log<State>,
    by: &Principal,
    command: impl Into<Command>,
) -> Result<Accepted, Error> {
    Ok(log.propose_by(Some(by.by()), command.into()).await??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{AccessCommand, NodeCommand};

    #[test]
    fn the_name_of_a_command_is_all_that_is_written_of_it() {
        let user = AccessCommand::RevokeTokens(Some("mallory".into()));
        let kinds = [user, AccessCommand::RotateSecret([7; 32])].map(Command::from);
        assert_eq!(kinds.each_ref().map(kind), ["RevokeTokens", "RotateSecret"]);
        let reach = NodeCommand::NodeReach { node: NodeId::from("n"), reachable: true };
        assert_eq!(kind(&reach.into()), "NodeReach");
    }

    #[test]
    fn an_error_says_whose_fault_it_is_and_what_may_be_done() {
        use log::ProposeError as L;
        let node = || NodeId::from("n");
        let cases: [(Error, Fault, Retry); 9] = [
            (L::NoLeader.into(), Fault::Masters, Retry::Later),
            (L::Unknown.into(), Fault::Masters, Retry::SameRequest),
            (L::DiskFull.into(), Fault::Masters, Retry::Later),
            (L::TooLarge { n_bytes: 9, n_bytes_max: 8 }.into(), Fault::Caller, Retry::No),
            (AskError::NotConnected(node()).into(), Fault::Node, Retry::Later),
            (AskError::TimedOut.into(), Fault::Node, Retry::Later),
            (AskError::Failed("disk".into()).into(), Fault::Node, Retry::No),
            (AskError::NotFound("stdout".into()).into(), Fault::Caller, Retry::No),
            (Error::Elsewhere("10.0.0.2:443".into()), Fault::Caller, Retry::No),
        ];
        for (error, fault, retry) in cases {
            assert_eq!((error.fault(), error.retry()), (fault, retry), "{error}");
        }
    }
}
