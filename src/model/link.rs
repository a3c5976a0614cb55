//! Messages between leader and agents, over the one stream an agent opens.
//!
//! The leader sends what should run (`Desired`), the agent what does (`Report`). Both are
//! level-triggered: a lost message is repaired by the next full one. Questions of the API to an
//! agent (files, exec, statistics) travel the same stream, told apart by a number.

use std::{net::IpAddr, sync::Arc};

use super::{
    container::Command,
    instance::{
        CheckOutcome, CheckStatus, Condition, ContainerStatus, InstanceId, KillReason, Placement,
        ReadinessStatus,
    },
    names::Names,
    node::{NodeId, NodeInfo},
    resource::Ranges,
    volume::VolumeId,
    workload::TaskSpec,
};
use crate::base::clock::Timestamp;

pub mod packed;

/// Pieces of a session's output that may be on their way to its reader. The agent sends as many and
/// waits for `ToAgent::Credit`: a reader that is slow holds up its own command and nobody else.
pub const SESSION_WINDOW: u32 = 16;

/// Versions of this protocol that this release speaks. A field or a kind of message more is no new
/// version; what an older node cannot understand is held back by the cluster's level.
pub const VERSIONS: std::ops::RangeInclusive<u32> = 3..=3;

/// The first frame in each direction, read before anything else, so that two releases that do not
/// understand each other can say so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Greeting {
    /// Versions of the protocol its sender speaks.
    pub oldest: u32,
    pub newest: u32,
    /// tepui's version, for people.
    pub release: String,
}

impl Greeting {
    /// Of this release.
    pub fn ours() -> Self {
        let (oldest, newest) = (*VERSIONS.start(), *VERSIONS.end());
        Self { oldest, newest, release: env!("CARGO_PKG_VERSION").to_owned() }
    }

    /// Why the two releases cannot talk; `None` when they can.
    pub fn problem(&self, theirs: &Self) -> Option<String> {
        let older = |who: &str, release: &str| {
            format!(
                "the other side speaks versions {} to {} of the agent link (tepui {}), this one {} \
                 to {} (tepui {}): upgrade {who}, tepui {release} is too old",
                theirs.oldest,
                theirs.newest,
                theirs.release,
                self.oldest,
                self.newest,
                self.release
            )
        };
        if theirs.newest < self.oldest {
            Some(older("the other side", &theirs.release))
        } else if self.newest < theirs.oldest {
            Some(older("this one", &self.release))
        } else {
            None
        }
    }
}

/// From an agent.
#[derive(Clone, Debug)]
pub enum FromAgent {
    /// First message: who the agent is and everything it knows of.
    Hello(Box<Hello>),
    /// News of some tasks. Sent again until the desired set shows that it arrived.
    Reports(Vec<Report>),
    /// Sent every `limit::HEARTBEAT`.
    Heartbeat(Usage),
    /// What these instances kept here is gone. From level `level::VOLUMES` on.
    Wiped(Vec<InstanceId>),
    /// Answer to `Ask` number `id`.
    Answer { id: u64, answer: Result<Answer, AskError> },
    /// Bytes of stream number `id` (an exec session).
    Data { id: u64, channel: Channel, bytes: Vec<u8> },
    /// Stream `id` has ended; the exit code where there is one.
    End { id: u64, exit_code: Option<i32> },
}

/// From the leader.
#[derive(Clone, Debug)]
pub enum ToAgent {
    /// Answer to `Hello`.
    Welcome {
        cluster: String,
    },
    /// The agent is not wanted now (wrong version, a master that does not lead, an old
    /// certificate); the text says why.
    Refused(String),
    /// The node was removed from the cluster: its tasks have to end. The text says so.
    Removed(String),
    /// What should be there.
    Desired(Desired),
    /// The agent's tasks were given up for lost: it is to report all of them again.
    TellAll,
    /// A part of the full set whose last part is the next full `Desired`; nothing follows from it
    /// before that has come. The first part ends what an earlier, incomplete set had begun.
    DesiredPart {
        first: bool,
        orders: Desired,
    },
    Ask {
        id: u64,
        question: Question,
    },
    /// Bytes for stream `id`; none at all on standard input are the end of that input.
    Data {
        id: u64,
        channel: Channel,
        bytes: Vec<u8>,
    },
    /// Nobody listens to stream `id` any more: its command is ended.
    End {
        id: u64,
    },
    /// The reader of stream `id` has room for so many pieces more.
    Credit {
        id: u64,
        n: u32,
    },
    /// What the names of the cluster are made of, or became. From level `level::NAMES` on.
    Names(Arc<Names>),
    /// Whose volumes are here, all of them. From level `level::VOLUMES` on.
    Volumes(Volumes),
    /// Who the masters are; told first of all, and as they change. From level `level::MASTERS` on.
    Masters(Arc<Masters>),
}

/// Instances that have volumes on a node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Volumes {
    /// What they have there stays, whether they run or not.
    pub kept: Vec<InstanceId>,
    /// What they have there is to be removed once they have ended.
    pub wipe: Vec<InstanceId>,
}

/// A volume that a launch has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mounted {
    pub id: VolumeId,
    pub path: String,
    /// Which launch it is that has it.
    pub epoch: u32,
}

/// Where an agent finds its leader.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Masters {
    /// `host:port` of the leader's peer port, as far as the sender knows.
    pub leader: Option<String>,
    /// Those of all masters.
    pub all: Vec<String>,
}

/// An agent's registration.
#[derive(Clone, Debug)]
pub struct Hello {
    pub info: NodeInfo,
    pub reports: Vec<Report>,
}

/// What should be there: the full set, or changes since the last message.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Whatever is not named is to be killed and forgotten.
    pub full: bool,
    pub orders: Vec<Order>,
    /// Not wanted any more: kill if it runs, then forget.
    pub forget: Vec<InstanceId>,
}

/// One incarnation of one instance and what is wanted of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Order {
    pub instance: InstanceId,
    pub incarnation: u32,
    pub spec: TaskSpec,
    pub placement: Placement,
    /// `Some`: end it, for this reason.
    pub kill: Option<KillReason>,
    /// Whether the app's top group enforces its role (an environment variable tells the task).
    pub enforce_role: bool,
    /// Its volumes; none below level `level::VOLUMES`.
    pub volumes: Vec<Mounted>,
}

/// The state of one incarnation as its agent sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    pub instance: InstanceId,
    pub incarnation: u32,
    /// Staging and later; never Scheduled or Provisioned.
    pub condition: Condition,
    /// By the agent's clock.
    pub at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub message: String,
    pub addresses: Vec<IpAddr>,
    pub health: Vec<CheckStatus>,
    pub ready: bool,
    pub readiness: Vec<ReadinessStatus>,
    pub check: Option<CheckOutcome>,
    pub containers: Vec<ContainerStatus>,
    /// Ended because a health check failed (then the message says which).
    pub unhealthy: bool,
    /// Of one that ended, where that is known.
    pub exit_code: Option<i32>,
    /// Of one that ended badly: the last it wrote.
    pub tail: String,
}

impl Report {
    /// That an incarnation is in this condition, with nothing else known of it.
    pub fn new(
        instance: InstanceId,
        incarnation: u32,
        condition: Condition,
        at: Timestamp,
    ) -> Self {
        Self {
            instance,
            incarnation,
            condition,
            at,
            started_at: None,
            message: String::new(),
            addresses: Vec::new(),
            health: Vec::new(),
            ready: false,
            readiness: Vec::new(),
            check: None,
            containers: Vec::new(),
            unhealthy: false,
            exit_code: None,
            tail: String::new(),
        }
    }
}

/// Resource use of a node, a sample; never goes through the log.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Usage {
    /// CPUs busy over the last interval.
    pub cpus: f64,
    pub mem_bytes: u64,
    pub disk_bytes: u64,
    pub load_1m: f64,
    pub tasks: Vec<TaskUsage>,
    /// Ports of the node that others than its tasks hold.
    pub ports_held: Ranges,
    /// Set while the container engine does not answer.
    pub engine_away: Option<EngineAway>,
    /// As of the last minute.
    pub volumes: Vec<VolumeUsage>,
}

/// A container engine that does not answer: what runs goes on, nothing is started or ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EngineAway {
    /// By the agent's clock.
    pub since: Timestamp,
    /// What the last attempt to reach it said.
    pub cause: String,
}

/// What a volume takes on the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VolumeUsage {
    pub instance: InstanceId,
    pub path: String,
    pub bytes: u64,
}

/// Resource use of one task.
#[derive(Clone, PartialEq, Debug)]
pub struct TaskUsage {
    pub instance: InstanceId,
    /// CPUs busy over the last interval.
    pub cpus: f64,
    pub mem_bytes: u64,
}

/// Something the API wants to know from an agent.
#[derive(Clone, Debug)]
pub enum Question {
    /// Directory of a sandbox; `path` is relative to it.
    ListFiles { instance: InstanceId, incarnation: Option<u32>, path: String },
    /// Bytes of a sandbox file. `offset` `None` asks for the size only; a negative one counts from
    /// the end.
    ReadFile {
        instance: InstanceId,
        incarnation: Option<u32>,
        path: String,
        offset: Option<i64>,
        bytes_max: u32,
    },
    /// Lines of a sandbox file that match, from `offset` on, where line `line` goes on. From level
    /// `level::SEARCH` on.
    SearchFile {
        instance: InstanceId,
        incarnation: Option<u32>,
        path: String,
        pattern: String,
        offset: u64,
        line: u64,
        hits_max: u32,
    },
    /// Opens a stream under the same number that ends with the command.
    Exec { instance: InstanceId, container: String, command: Command, tty: bool, stdin: bool },
    /// Last known usage of the node and its tasks.
    Usage,
}

/// A question that a master passes on to the one that leads.
#[derive(Clone, Debug)]
pub struct Asked {
    pub node: NodeId,
    pub question: Question,
}

/// An agent's answer.
#[derive(Clone, Debug)]
pub enum Answer {
    Files(Vec<FileEntry>),
    /// `offset` is where `bytes` begin; `size` the file's present length.
    File {
        offset: u64,
        size: u64,
        bytes: Vec<u8>,
    },
    /// The stream is open.
    Started,
    Usage(Usage),
    /// What was looked through ends at `offset`, where line `line` goes on; `size` is the file's present
    /// length.
    Searched {
        hits: Vec<Hit>,
        offset: u64,
        line: u64,
        size: u64,
    },
}

/// A line of a file in which something was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hit {
    /// Its number, from 1.
    pub line: u64,
    /// Where in the file the first match in it stands, and how long that is.
    pub offset: u64,
    pub n_bytes: u32,
    /// The line, or what is around the match of a long one.
    pub text: String,
    pub is_cut: bool,
}

/// Why a question has no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AskError {
    #[error("the agent has no such task or file: {0}")]
    NotFound(String),
    #[error("the agent refuses this request: {0}")]
    Invalid(String),
    #[error("the agent failed: {0}")]
    Failed(String),
    #[error("node {0} is not connected")]
    NotConnected(NodeId),
    #[error("the agent did not answer in time")]
    TimedOut,
}

/// An entry of a sandbox directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileEntry {
    /// Relative to the sandbox.
    pub path: String,
    pub is_dir: bool,
    pub bytes: u64,
    pub modified_at: Timestamp,
    /// Unix permission bits and number of links.
    pub mode: u32,
    pub links: u64,
    pub uid: u32,
    pub gid: u32,
}

impl FileEntry {
    /// Kind and permissions as `ls -l` prints them: `-rw-r--r--`.
    pub fn mode_text(&self) -> String {
        let mut text = String::from(if self.is_dir { "d" } else { "-" });
        for shift in [6, 3, 0] {
            for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
                text.push(if self.mode >> shift & bit != 0 { letter } else { '-' });
            }
        }
        text
    }
}

/// Which side of a session bytes belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channel {
    Stdin,
    Stdout,
    Stderr,
    /// Rows and columns of the terminal, two little-endian u16.
    Resize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_print_like_ls() {
        let text = |is_dir: bool, mode: u32| {
            let (path, modified_at) = (String::new(), Timestamp::EPOCH);
            let (bytes, links, uid, gid) = (0, 1, 0, 0);
            FileEntry { path, is_dir, bytes, modified_at, mode, links, uid, gid }.mode_text()
        };
        assert_eq!(text(false, 0o644), "-rw-r--r--");
        assert_eq!(text(true, 0o40755), "drwxr-xr-x");
    }
}
