//! One instance of a workload: where it is in its life and what was last heard of it.
//!
//! ```text
//! Scheduled ─► Provisioned ─► Staging ─► Starting ─► Running ─► Killing ─► (end states)
//!     ▲                                                │  ▲                     │
//!     │                                                ▼  │                     │
//!     │                              Unreachable ─► UnreachableInactive         │
//!     └──────────────── goal Running: next incarnation, after backoff ──────────┘
//! ```
//! With goal Stopped it stays Scheduled and waits for nothing. With goal Decommissioned, or when its owner
//! wants none after this end, it is forgotten instead.

use std::net::IpAddr;

pub use super::condition::{Condition, End, Phase};
use super::{node::NodeId, owner::Owner, path::AppId, resource::Pools, workload::RunSpec};
use crate::{base::clock::Timestamp, typed_id};

typed_id! {
    /// `grp_app.instance-<uuid>`; kept over relaunches.
    InstanceId
}

/// One instance.
#[derive(Clone, PartialEq, Debug)]
pub struct Instance {
    pub id: InstanceId,
    pub owner: Owner,
    /// Version of the definition it was made from.
    pub version: Timestamp,
    /// Counts launches, from 1.
    pub incarnation: u32,
    pub goal: Goal,
    pub life: Life,
    /// When it came into its present condition.
    pub since: Timestamp,
    pub created_at: Timestamp,
    /// Last text about it, from the agent or about its node.
    pub message: String,
}

/// Where an instance is in its life, with what there is of it then.
#[derive(Clone, PartialEq, Debug)]
pub enum Life {
    /// Nothing of it runs or is held anywhere.
    Scheduled,
    /// Its task holds a place.
    Placed(Phase, Box<Task>),
    /// The task has ended and what it held is free. Told once, never kept: the instance waits
    /// again or is forgotten in the same step.
    Ended(End, Box<Task>),
}

/// One incarnation of an instance: where it is and what was last heard of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Task {
    pub place: Placement,
    /// Set while somebody wants it gone.
    pub kill: Option<KillOrder>,
    pub seen: Seen,
}

/// What its agent last told of a task.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Seen {
    pub started_at: Option<Timestamp>,
    /// Addresses of its own, empty with host networking.
    pub addresses: Vec<IpAddr>,
    /// One per health check that has had a result.
    pub health: Vec<CheckStatus>,
    /// Passed its readiness checks (or has none).
    pub ready: bool,
    pub readiness: Vec<ReadinessStatus>,
    /// Result of the informing check.
    pub check: Option<CheckOutcome>,
    /// Exit codes and states of single containers of a pod.
    pub containers: Vec<ContainerStatus>,
}

/// What is wanted of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    Running,
    /// Stop and keep its volumes, to run again when one more is wanted.
    Stopped,
    /// Stop and forget.
    Decommissioned,
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

/// How the message of a task begins that was ended at its memory limit.
pub const OUT_OF_MEMORY: &str = "Memory limit exceeded";

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

impl Life {
    /// Of an instance that was just given a place.
    pub fn placed(phase: Phase, place: Placement) -> Self {
        Self::Placed(phase, Box::new(Task { place, kill: None, seen: Seen::default() }))
    }
}

impl Instance {
    /// A new instance that waits for a place.
    pub fn scheduled(
        id: InstanceId,
        owner: impl Into<Owner>,
        version: Timestamp,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            owner: owner.into(),
            version,
            incarnation: 0,
            goal: Goal::Running,
            life: Life::Scheduled,
            since: at,
            created_at: at,
            message: String::new(),
        }
    }

    /// The app or pod it is one of, if it is.
    pub fn app(&self) -> Option<&AppId> {
        self.owner.app()
    }

    /// Where it is in its life, in one word.
    pub fn condition(&self) -> Condition {
        match &self.life {
            Life::Scheduled => Condition::Scheduled,
            Life::Placed(phase, _) => (*phase).into(),
            Life::Ended(end, _) => (*end).into(),
        }
    }

    /// Its present task, or the one that has just ended.
    pub fn task(&self) -> Option<&Task> {
        match &self.life {
            Life::Scheduled => None,
            Life::Placed(_, task) | Life::Ended(_, task) => Some(task),
        }
    }

    /// As `task`, to change it.
    pub fn task_mut(&mut self) -> Option<&mut Task> {
        match &mut self.life {
            Life::Scheduled => None,
            Life::Placed(_, task) | Life::Ended(_, task) => Some(task),
        }
    }

    /// Its task goes on to another phase; nothing happens to one that has none.
    pub fn set_phase(&mut self, to: Phase) {
        if let Life::Placed(phase, _) = &mut self.life {
            *phase = to;
        }
    }

    /// Where it runs, and what it holds there until it has ended.
    pub fn placement(&self) -> Option<&Placement> {
        self.task().map(|task| &task.place)
    }

    /// Set while somebody wants its task gone.
    pub fn kill(&self) -> Option<&KillOrder> {
        self.task()?.kill.as_ref()
    }

    /// What its agent last told.
    pub fn seen(&self) -> Option<&Seen> {
        self.task().map(|task| &task.seen)
    }

    /// When its task began to run.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.seen()?.started_at
    }

    /// Addresses of its own, empty with host networking.
    pub fn addresses(&self) -> &[IpAddr] {
        self.seen().map_or(&[], |seen| &seen.addresses)
    }

    /// One per health check that has had a result.
    pub fn health(&self) -> &[CheckStatus] {
        self.seen().map_or(&[], |seen| &seen.health)
    }

    /// Whether it passed its readiness checks, or runs and has none.
    pub fn ready(&self) -> bool {
        self.seen().is_some_and(|seen| seen.ready)
    }

    /// What is known of its readiness checks.
    pub fn readiness(&self) -> &[ReadinessStatus] {
        self.seen().map_or(&[], |seen| &seen.readiness)
    }

    /// Result of the informing check.
    pub fn check(&self) -> Option<CheckOutcome> {
        self.seen()?.check
    }

    /// What is known of its containers.
    pub fn containers(&self) -> &[ContainerStatus] {
        self.seen().map_or(&[], |seen| &seen.containers)
    }

    /// Where one of its containers is, since when, and what was told of it: what has ended keeps its end, all
    /// others are where their instance is.
    pub fn container(&self, name: &str) -> (Condition, Timestamp, Option<&ContainerStatus>) {
        let told = self.containers().iter().find(|status| status.name == name);
        let is_running = self.condition() == Condition::Running;
        match told.filter(|status| is_running || status.condition.is_terminal()) {
            Some(status) => (status.condition, status.since, Some(status)),
            None => (self.condition(), self.since, None),
        }
    }

    /// The result of the health check of one of its containers, which run as `run` says; `None` where that has none,
    /// and before the first.
    pub fn health_of(&self, run: &RunSpec, container: &str) -> Option<&CheckStatus> {
        let is_its = |status: &&CheckStatus| {
            run.checked_by(status.index).is_some_and(|owner| owner.name == container)
        };
        self.health().iter().find(is_its)
    }

    /// Id of the running or last task: `<instance id>.<container or _app>.<incarnation>`.
    pub fn task_id(&self, container: &str) -> String {
        let name = if container.is_empty() { "_app" } else { container };
        format!("{}.{name}.{}", self.id, self.incarnation.max(1))
    }

    /// Healthy by its checks: `None` while some check has had no result yet.
    pub fn healthy(&self, n_checks: usize) -> Option<bool> {
        let health = self.health();
        if n_checks == 0 || health.is_empty() {
            return None;
        }
        if health.iter().any(|c| !c.alive) {
            return Some(false);
        }
        (health.len() >= n_checks).then_some(true)
    }

    /// Whether it has stopped and is there for the sake of its volumes.
    pub fn is_kept(&self) -> bool {
        self.life == Life::Scheduled && self.goal == Goal::Stopped
    }

    /// Whether it wants a place.
    pub fn waits_for_place(&self) -> bool {
        self.life == Life::Scheduled && self.goal == Goal::Running
    }
}
