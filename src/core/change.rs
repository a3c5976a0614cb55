//! Changes: what a command did, as old and new value of each entity it touched.
//!
//! A follower derives everything from these: rows to store, events of a dialect, records of DNS.
//! Values are shared, not copied.

use std::sync::Arc;

use super::{
    backoff::Delay,
    past::Past,
    state::{App, Cluster, Group},
};
use crate::{
    base::clock::Timestamp,
    model::{
        access::{Role, RoleSettings, User},
        credential::{Certificate, Digest, Invitation, Serial},
        deployment::{Deployment, DeploymentId},
        instance::{Instance, InstanceId},
        master::Master,
        node::{Node, NodeId},
        path::{AppId, GroupId},
        workload::WorkloadSpec,
    },
};

/// One entity before and after.
#[derive(Clone, Debug)]
pub enum Change {
    Cluster(Arc<Cluster>),
    Group {
        id: GroupId,
        old: Option<Arc<Group>>,
        new: Option<Arc<Group>>,
    },
    App {
        id: AppId,
        old: Option<Arc<App>>,
        new: Option<Arc<App>>,
    },
    /// A version of a workload came or went.
    Spec {
        id: AppId,
        version: Timestamp,
        old: Option<Arc<WorkloadSpec>>,
        new: Option<Arc<WorkloadSpec>>,
    },
    /// An instance may change several times in one command; each is told, in order.
    Instance {
        id: InstanceId,
        old: Option<Arc<Instance>>,
        new: Option<Arc<Instance>>,
    },
    Node {
        id: NodeId,
        old: Option<Arc<Node>>,
        new: Option<Arc<Node>>,
    },
    Master {
        id: u64,
        new: Option<Arc<Master>>,
    },
    /// `end` is set when `new` is `None`.
    Deployment {
        id: DeploymentId,
        old: Option<Arc<Deployment>>,
        new: Option<Arc<Deployment>>,
        end: Option<End>,
    },
    Delay {
        app: AppId,
        new: Option<Arc<Delay>>,
    },
    Role {
        role: Role,
        new: Option<Arc<RoleSettings>>,
    },
    User {
        uid: String,
        new: Option<Arc<User>>,
    },
    Invitation {
        digest: Digest,
        new: Option<Arc<Invitation>>,
    },
    /// What a change found was remembered or forgotten.
    Past {
        revision: u64,
        new: Option<Arc<Past>>,
    },
    Certificate {
        node: NodeId,
        serial: Serial,
        new: Option<Arc<Certificate>>,
    },
}

/// How a deployment ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    Success,
    /// Cancelled or superseded; says by what.
    Cancelled(String),
}
