//! What a placement attempt tells about one workload: plain data, shown by API, CLI and page.
//!
//! Reports are bounded: a fixed number of rows, and at most `Limits::report_nodes_max` nodes.

use serde::{Deserialize, Serialize};

use crate::{
    base::{clock::Timestamp, units::Milli},
    model::{access::Role, node::NodeId, path::AppId, resource::Scalars, workload::Constraint},
};

/// What can stand in the way on a node, in the order of the funnel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nobody hears from the node.
    Unreachable,
    /// It has nothing for an accepted role.
    Role,
    /// It stands in another region and the workload does not name one.
    Region,
    Constraint,
    /// What the instance keeps is on another node.
    Reservation,
    /// It is drained.
    Maintenance,
    Cpus,
    Mem,
    Disk,
    Gpus,
    Ports,
    /// It has GPUs and the workload wants none.
    Scarce,
}

impl Reason {
    pub const ALL: [Self; 12] = [
        Self::Unreachable,
        Self::Role,
        Self::Region,
        Self::Constraint,
        Self::Reservation,
        Self::Maintenance,
        Self::Cpus,
        Self::Mem,
        Self::Disk,
        Self::Gpus,
        Self::Ports,
        Self::Scarce,
    ];

    /// The lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Role => "role",
            Self::Region => "region",
            Self::Constraint => "constraint",
            Self::Reservation => "reservation",
            Self::Maintenance => "maintenance",
            Self::Cpus => "cpus",
            Self::Mem => "mem",
            Self::Disk => "disk",
            Self::Gpus => "gpus",
            Self::Ports => "ports",
            Self::Scarce => "scarce",
        }
    }
}

/// The report of one attempt for one workload.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    pub app: AppId,
    /// Version of the spec it is about.
    pub version: Timestamp,
    pub role: Role,
    pub at: Timestamp,
    /// Since when the longest waiting instance has waited.
    pub since: Timestamp,
    /// Placed by this attempt.
    pub n_placed: u32,
    /// Still waiting after it.
    pub n_waiting: u32,
    /// What holds the workload back as a whole.
    pub hold: Option<Hold>,
    /// What one instance needs.
    pub needs: Scalars,
    pub n_ports: u32,
    pub exact_ports: Vec<u16>,
    /// Nodes known to the cluster, and those that would take one more instance now.
    pub n_nodes: u32,
    pub n_fitting: u32,
    /// One row per reason, in order; empty when the nodes were not looked at.
    pub funnel: Vec<FunnelRow>,
    pub constraints: Vec<ConstraintRow>,
    /// Nodes and what stands in the way there, closest first; bounded.
    pub nodes: Vec<NodeRow>,
    /// Changes that would place one more instance, smallest first; each was tried.
    pub advice: Vec<Advice>,
    /// The whole answer in one or two sentences.
    pub sentence: String,
}

/// Why a workload as a whole is not placed now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Hold {
    /// It failed lately; launches wait.
    Backoff { until: Timestamp, n_failures: u32 },
    /// A limit of its role would be passed.
    Quota { role: Role, resource: String, limit: Milli, after: Milli },
    /// What is free is guaranteed to other roles.
    Guaranteed { resource: String, owed: Milli },
    /// The plan was full; the next one goes on.
    NextRound,
}

/// A step of the funnel. A node is counted at the first reason that excludes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FunnelRow {
    pub reason: Reason,
    /// Nodes that came to this step.
    pub processed: u32,
    /// Nodes that ended here.
    pub declined: u32,
    /// As "needs 4 cpus; most free 2 on 10.0.0.7".
    pub detail: Option<String>,
}

/// What one constraint does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConstraintRow {
    pub constraint: Constraint,
    /// Nodes it excludes, whatever else does.
    pub n_removed: u32,
    /// Nodes that nothing but this constraint excludes.
    pub n_sole: u32,
}

/// A node as the attempt saw it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeRow {
    pub node: NodeId,
    pub hostname: String,
    /// Free for the accepted roles.
    pub free: Scalars,
    /// Everything that stands in the way, in the order of the funnel; empty when it fits.
    pub failed: Vec<Shortage>,
}

/// One thing that stands in the way on a node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shortage {
    pub reason: Reason,
    /// For quantities: what is needed and what is there.
    pub needed: Option<Milli>,
    pub available: Option<Milli>,
    pub message: String,
}

/// A change that would place one more instance.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Advice {
    pub change: Remedy,
    /// Nodes that would then take one.
    pub n_nodes: u32,
    /// As "lower mem from 4096 to 3800".
    pub sentence: String,
}

/// The change itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Remedy {
    /// Ask for less of some resources.
    Lower {
        steps: Vec<Lower>,
    },
    DropConstraint {
        constraint: Constraint,
    },
    AcceptRole {
        role: Role,
    },
    /// Free these host ports on one of that many nodes.
    FreePorts {
        ports: Vec<u16>,
        n_nodes: u32,
    },
    /// Let a node work again.
    Activate {
        node: NodeId,
        hostname: String,
    },
    /// Name a region (or zone) in a constraint, which opens it.
    NameRegion {
        region: String,
    },
    /// Ask for a GPU, or switch the rule off that keeps GPU nodes free.
    UseGpuNodes,
    RaiseQuota {
        role: Role,
        resource: String,
        from: Milli,
        to: Milli,
    },
    AddNode {
        needs: Scalars,
    },
}

/// Less of one resource.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lower {
    /// `cpus`, `mem`, `disk` or `gpus`.
    pub resource: String,
    /// Container of a pod; empty for an app.
    pub container: String,
    pub from: Milli,
    pub to: Milli,
}

/// What stands between what was found and the advice.
pub(super) const ADVICE_HEAD: &str = ". To place one more: ";

impl Report {
    /// Whether something waits that could have been placed if the cluster or the spec were other.
    pub fn is_blocked(&self) -> bool {
        self.n_waiting > 0 && !matches!(self.hold, Some(Hold::Backoff { .. } | Hold::NextRound))
    }

    /// The sentence without its advice.
    pub fn found(&self) -> &str {
        let advice = self.advice.first().and_then(|advice| {
            self.sentence.strip_suffix(advice.sentence.as_str())?.strip_suffix(ADVICE_HEAD)
        });
        advice.unwrap_or(&self.sentence)
    }

    /// The row of a reason; zeros when nodes were not looked at.
    pub fn row(&self, reason: Reason) -> FunnelRow {
        let row = self.funnel.iter().find(|r| r.reason == reason).cloned();
        row.unwrap_or(FunnelRow { reason, processed: 0, declined: 0, detail: None })
    }
}
