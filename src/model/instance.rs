//! One instance of a workload: where it is in its life and what was last heard of it.
//!
//! ```text
//! Scheduled ─► Provisioned ─► Staging ─► Starting ─► Running ─► Killing ─► (end states)
//!     ▲                                                │  ▲                     │
//!     │                                                ▼  │                     │
//!     │                              Unreachable ─► UnreachableInactive         │
//!     └──────────────── goal Running: next incarnation, after backoff ──────────┘
//! ```
//! With goal Decommissioned an ended instance is forgotten instead.

use std::net::IpAddr;

use super::{node::NodeId, path::AppId, resource::Pools};
use crate::{base::clock::Timestamp, typed_id};

typed_id! {
    /// `grp_app.instance-<uuid>`; kept over relaunches.
    InstanceId
}

/// One instance.
#[derive(Clone, PartialEq, Debug)]
pub struct Instance {
    pub id: InstanceId,
    pub app: AppId,
    /// Version of the spec it was made from.
    pub version: Timestamp,
    /// Counts launches, from 1.
    pub incarnation: u32,
    pub goal: Goal,
    pub condition: Condition,
    /// When it came into this condition.
    pub since: Timestamp,
    pub created_at: Timestamp,
    /// Set from launch until the end of the incarnation.
    pub placement: Option<Placement>,
    pub started_at: Option<Timestamp>,
    /// Set while somebody wants this incarnation gone.
    pub kill: Option<KillOrder>,
    /// Addresses of its own, empty with host networking.
    pub addresses: Vec<IpAddr>,
    /// One per health check that has had a result.
    pub health: Vec<CheckStatus>,
    /// Passed its readiness checks (or has none).
    pub ready: bool,
    pub readiness: Vec<ReadinessStatus>,
    /// Result of the informing check.
    pub check: Option<CheckOutcome>,
    /// Last text from the agent.
    pub message: String,
    /// Exit codes and states of single containers of a pod.
    pub containers: Vec<ContainerStatus>,
}

/// What is wanted of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    Running,
    /// Stop but keep its reservation.
    Stopped,
    /// Stop and forget.
    Decommissioned,
}

/// Where an instance is in its life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Condition {
    Scheduled,
    Provisioned,
    Staging,
    Starting,
    Running,
    Killing,
    Unreachable,
    UnreachableInactive,
    Finished,
    Killed,
    Failed,
    Error,
    Dropped,
    Gone,
    Unknown,
}

impl Condition {
    pub const ALL: [Self; 15] = [
        Self::Scheduled,
        Self::Provisioned,
        Self::Staging,
        Self::Starting,
        Self::Running,
        Self::Killing,
        Self::Unreachable,
        Self::UnreachableInactive,
        Self::Finished,
        Self::Killed,
        Self::Failed,
        Self::Error,
        Self::Dropped,
        Self::Gone,
        Self::Unknown,
    ];

    /// Holds resources somewhere and counts as present.
    pub fn is_active(self) -> bool {
        matches!(
            self,
            Self::Provisioned
                | Self::Staging
                | Self::Starting
                | Self::Running
                | Self::Killing
                | Self::Unreachable
        )
    }

    /// Its node is not heard; nobody knows what it does.
    pub fn is_lost(self) -> bool {
        matches!(self, Self::Unreachable | Self::UnreachableInactive)
    }

    /// The incarnation has ended.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Finished
                | Self::Killed
                | Self::Failed
                | Self::Error
                | Self::Dropped
                | Self::Gone
                | Self::Unknown
        )
    }

    /// Whether this end raises the launch delay (a kill on request does not).
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Error | Self::Dropped | Self::Gone)
    }

    /// The Mesos task state shown for it.
    pub fn task_state(self) -> &'static str {
        match self {
            Self::Scheduled | Self::Provisioned | Self::Staging => "TASK_STAGING",
            Self::Starting => "TASK_STARTING",
            Self::Running => "TASK_RUNNING",
            Self::Killing => "TASK_KILLING",
            Self::Unreachable | Self::UnreachableInactive => "TASK_UNREACHABLE",
            Self::Finished => "TASK_FINISHED",
            Self::Killed => "TASK_KILLED",
            Self::Failed => "TASK_FAILED",
            Self::Error => "TASK_ERROR",
            Self::Dropped => "TASK_DROPPED",
            Self::Gone => "TASK_GONE",
            Self::Unknown => "TASK_UNKNOWN",
        }
    }

    /// The condition's own name, as event streams print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Provisioned => "Provisioned",
            Self::Staging => "Staging",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Killing => "Killing",
            Self::Unreachable => "Unreachable",
            Self::UnreachableInactive => "UnreachableInactive",
            Self::Finished => "Finished",
            Self::Killed => "Killed",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Dropped => "Dropped",
            Self::Gone => "Gone",
            Self::Unknown => "Unknown",
        }
    }
}

/// Where an incarnation runs and what it holds there.
#[derive(Clone, PartialEq, Debug)]
pub struct Placement {
    pub node: NodeId,
    pub hostname: String,
    /// The node's address at launch.
    pub address: IpAddr,
    /// Scalars and host ports held, by the role they came from.
    pub allocation: Pools,
    /// One per port of the spec, in order; `None` where no port of the node is used.
    pub host_ports: Vec<Option<u16>>,
    pub launched_at: Timestamp,
}

/// A wish to end an incarnation.
#[derive(Clone, PartialEq, Debug)]
pub struct KillOrder {
    pub at: Timestamp,
    pub reason: KillReason,
}

/// Why an incarnation is ended.
#[derive(Clone, PartialEq, Debug)]
pub enum KillReason {
    /// Somebody asked for this task to be killed.
    Request,
    /// Scaling down, upgrade or removal.
    Deployment,
    /// Its node is drained.
    Drain,
    /// It did not get running in time.
    Overdue,
}

/// What is known of one health check of one instance.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CheckStatus {
    /// Position among the spec's health checks.
    pub index: u32,
    pub alive: bool,
    pub consecutive_failures: u32,
    pub first_success: Option<Timestamp>,
    pub last_success: Option<Timestamp>,
    pub last_failure: Option<Timestamp>,
    pub last_failure_cause: Option<String>,
}

/// What is known of one readiness check.
#[derive(Clone, PartialEq, Debug)]
pub struct ReadinessStatus {
    pub name: String,
    pub ready: bool,
    /// What the last try found, for people: `it answered 503`, or why there was no answer.
    pub found: String,
    /// Status, content type and body of the last answer, when the check keeps it.
    pub last_response: Option<(u16, String, String)>,
}

/// Result of a check that only informs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckOutcome {
    Http(u16),
    Tcp(bool),
    Command(i32),
}

/// What is known of one container of a pod.
#[derive(Clone, PartialEq, Debug)]
pub struct ContainerStatus {
    pub name: String,
    pub condition: Condition,
    pub since: Timestamp,
    pub exit_code: Option<i32>,
    pub message: String,
}

impl Instance {
    /// A new instance that waits for a place.
    pub fn scheduled(id: InstanceId, app: AppId, version: Timestamp, at: Timestamp) -> Self {
        Self {
            id,
            app,
            version,
            incarnation: 0,
            goal: Goal::Running,
            condition: Condition::Scheduled,
            since: at,
            created_at: at,
            placement: None,
            started_at: None,
            kill: None,
            addresses: Vec::new(),
            health: Vec::new(),
            ready: false,
            readiness: Vec::new(),
            check: None,
            message: String::new(),
            containers: Vec::new(),
        }
    }

    /// Id of the running or last task: `<instance id>.<container or _app>.<incarnation>`.
    pub fn task_id(&self, container: &str) -> String {
        let name = if container.is_empty() { "_app" } else { container };
        format!("{}.{name}.{}", self.id, self.incarnation.max(1))
    }

    /// Healthy by its checks: `None` while some check has had no result yet.
    pub fn healthy(&self, n_checks: usize) -> Option<bool> {
        if n_checks == 0 || self.health.is_empty() {
            return None;
        }
        if self.health.iter().any(|c| !c.alive) {
            return Some(false);
        }
        (self.health.len() >= n_checks).then_some(true)
    }

    /// Whether it wants a place.
    pub fn waits_for_place(&self) -> bool {
        self.condition == Condition::Scheduled && self.goal == Goal::Running
    }
}
