//! Schedulers from outside and the claims they hold on resources while they decide.

use super::{access::Role, node::NodeId, resource::Pools};
use crate::{base::clock::Timestamp, typed_id};

typed_id! {
    /// A scheduler known to the cluster; the built-in one of apps and pods has one too.
    FrameworkId
}
typed_id! {
    /// One offer to a framework.
    LeaseId
}

/// Resources of one node promised to one framework for a while.
///
/// An outstanding offer is a lease: it counts against the node exactly like an allocation until it
/// is used, returned or expires. Leases live in leader memory and are gone after a failover.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    pub id: LeaseId,
    pub framework: FrameworkId,
    pub role: Role,
    pub node: NodeId,
    pub resources: Pools,
    pub expires_at: Timestamp,
}
