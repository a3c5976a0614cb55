//! Commands: everything that can be asked of the state, and the two ways it can answer.
//!
//! A command carries every id and every point in time it needs; `apply` invents neither. Each stands
//! with what it does in the file of its family (`apply`); here is what they have in common.

pub use super::{
    apply::{
        Command,
        admission::{Join, Seat},
        cluster::Init,
        task::Launch,
        workload::{DeployStep, Edit, GroupChange, GroupEdit, PutApps, Scale},
    },
    refusal::Rejected,
};
use crate::{
    base::clock::Timestamp,
    model::{by::By, deployment::DeploymentId, node::NodeId},
};

/// Identifies a proposal over retries; its outcome is remembered for a while.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u128);

/// A command as it stands in the log: stamped by its proposer, so that applying it needs neither
/// clock nor randomness.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamped<C = Command> {
    /// The proposer's time. The state clamps it so that time never runs back.
    pub at: Timestamp,
    /// Set by callers that may have to ask again; reconcilers leave it out. A repeated id is
    /// answered with its first outcome, for a while.
    pub request: Option<RequestId>,
    /// On whose word; `None` for what the cluster does by itself. Of no effect on the state: it is
    /// kept in the history (`core::history`).
    pub by: Option<By>,
    pub command: C,
}

/// What the caller believes to be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    Absent,
    Present,
    Any,
}

/// What `apply` answers.
pub type Outcome = Result<Accepted, Rejected>;

/// A command that took effect.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Accepted {
    /// The node that joined.
    pub node: Option<NodeId>,
    /// The deployment it started and its version.
    pub deployment: Option<(DeploymentId, Timestamp)>,
    /// The number of the master that joined; 0: none did.
    pub master: u64,
    /// How many elements of a batch took effect.
    pub n_done: u32,
}
