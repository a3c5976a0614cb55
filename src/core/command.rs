//! Commands: everything that can be asked of the state, and the two ways it can answer.
//!
//! A command carries every id and every point in time it needs; `apply` invents neither.

use std::collections::BTreeSet;

pub use super::refusal::Rejected;
use crate::{
    base::clock::Timestamp,
    model::{
        access::{Role, RoleSettings, User},
        credential::{Digest, Serial},
        deployment::DeploymentId,
        instance::{InstanceId, KillReason},
        link::Report,
        master::Master,
        node::{Duty, NodeId, NodeInfo},
        path::{AppId, GroupId},
        resource::Pools,
        workload::WorkloadSpec,
    },
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
    pub command: C,
}

/// Everything that can be asked of the state.
#[derive(Clone, Debug)]
pub enum Command {
    /// First command of a cluster; later ones are refused.
    Init(Init),
    /// Changes workloads and groups in one deployment.
    PutApps(Box<PutApps>),
    /// Ends a deployment where it stands; with `undo`, starts one that leads back.
    CancelDeployment {
        id: DeploymentId,
        undo: Option<DeploymentId>,
    },
    /// What the deployment reconciler found to be due in the present step.
    DeployStep(DeployStep),
    /// Brings a workload outside any deployment back to its number of instances.
    Scale(Scale),
    /// Ends tasks; their instances are launched again unless `wipe`.
    Kill {
        instances: Vec<InstanceId>,
        wipe: bool,
        reason: KillReason,
    },
    /// Puts waiting instances on nodes. Each stands alone: those that do not fit any more are
    /// skipped and wait on.
    Launch(Vec<Launch>),
    /// News from one agent.
    Report {
        node: NodeId,
        reports: Vec<Report>,
    },
    RegisterNode(Box<NodeInfo>),
    /// An agent was lost or is heard again.
    NodeReach {
        node: NodeId,
        reachable: bool,
    },
    NodeDuty {
        node: NodeId,
        duty: Duty,
    },
    /// Forgets a node that will not come back; its tasks are gone, its certificates worth nothing.
    RemoveNode(NodeId),
    /// Lets one node join until then, by the hash of a secret.
    Invite {
        digest: Digest,
        until: Timestamp,
    },
    /// A node joins: uses an invitation up and gets an id.
    Join(Join),
    /// A node gets a new certificate by one it has.
    Renew {
        node: NodeId,
        by: Serial,
        new: Serial,
        expires_at: Timestamp,
    },
    /// A node has begun to use this certificate: its earlier ones are not needed any more.
    UseCertificate {
        node: NodeId,
        serial: Serial,
    },
    /// Time has passed for instances on lost nodes.
    Expire {
        inactive: Vec<InstanceId>,
        expunge: Vec<InstanceId>,
    },
    /// Forgets the launch delay of a workload.
    ResetBackoff(AppId),
    PutUser {
        user: User,
        expect: Expect,
    },
    DeleteUser(String),
    /// Ends every login token made so far: of one user, or of all.
    RevokeTokens(Option<String>),
    /// Another secret to sign login tokens with; ends every token made so far.
    RotateSecret([u8; 32]),
    PutRole(RoleSettings),
    DeleteRole(Role),
    /// A master has started and says where it is reached and what it can do.
    RegisterMaster(Box<Master>),
    /// Lets the cluster do what only releases of this level and later can (`base::level`).
    RaiseLevel(u32),
}

/// A node that joins.
#[derive(Clone, Debug)]
pub struct Join {
    /// Of the secret of its invitation.
    pub invitation: Digest,
    /// Of its public key.
    pub key: Digest,
    /// Of the certificate it is given.
    pub serial: Serial,
    pub expires_at: Timestamp,
}

/// Birth of a cluster.
#[derive(Clone, Debug)]
pub struct Init {
    pub cluster: String,
    pub name: String,
    /// Signs login tokens.
    pub secret: [u8; 32],
    pub users: Vec<User>,
    /// What its first master can do.
    pub level: u32,
}

/// A change of workloads and groups.
#[derive(Clone, Debug)]
pub struct PutApps {
    pub deployment: DeploymentId,
    /// Cancel deployments that stand in the way.
    pub force: bool,
    pub edits: Vec<Edit>,
    pub groups: Vec<GroupEdit>,
    /// With a lower number of instances: these go first.
    pub victims: BTreeSet<InstanceId>,
}

/// A new definition for one workload.
#[derive(Clone, Debug)]
pub struct Edit {
    pub id: AppId,
    /// `None` removes it. Version stamps inside are ignored.
    pub new: Option<WorkloadSpec>,
    pub expect: Expect,
    /// Version the caller looked at; another one now means somebody was faster (`Rejected::Stale`).
    pub base: Option<Timestamp>,
    /// Replace all instances even when nothing changed.
    pub restart: bool,
}

/// What the caller believes to be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    Absent,
    Present,
    Any,
}

/// New settings of a group.
#[derive(Clone, Debug)]
pub struct GroupEdit {
    pub id: GroupId,
    pub change: GroupChange,
}

/// What happens to a group.
#[derive(Clone, Debug)]
pub enum GroupChange {
    /// Makes it when absent; `None` keeps what is there.
    Put { dependencies: Option<BTreeSet<AppId>>, enforce_role: Option<bool> },
    /// Removes it with everything below that no edit keeps.
    Delete,
}

/// Progress of a deployment.
#[derive(Clone, Debug)]
pub struct DeployStep {
    pub deployment: DeploymentId,
    /// The step this was computed for; any other now makes the command stale.
    pub step: u32,
    pub scales: Vec<Scale>,
    /// The step is done: go on to the next, or finish.
    pub advance: bool,
}

/// Instances to add to and to take from a workload.
#[derive(Clone, Debug)]
pub struct Scale {
    pub app: AppId,
    pub add: Vec<InstanceId>,
    pub retire: Vec<InstanceId>,
}

/// One instance on one node.
#[derive(Clone, PartialEq, Debug)]
pub struct Launch {
    pub instance: InstanceId,
    pub node: NodeId,
    /// Scalars and host ports, by the role they are taken from.
    pub allocation: Pools,
    /// One per port of the spec, in order.
    pub host_ports: Vec<Option<u16>>,
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
    /// How many elements of a batch took effect.
    pub n_done: u32,
}
