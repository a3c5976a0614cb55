//! Deployments: the plan that leads from one set of workloads to another, and how far it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{instance::InstanceId, path::AppId, workload::WorkloadSpec};
use crate::{base::clock::Timestamp, typed_id};

typed_id! {
    /// A deployment, a UUID.
    DeploymentId
}

/// A running deployment.
#[derive(Clone, PartialEq, Debug)]
pub struct Deployment {
    pub id: DeploymentId,
    pub version: Timestamp,
    pub started_at: Timestamp,
    pub steps: Vec<Step>,
    /// 1-based; 0 before the first step has begun.
    pub current_step: u32,
    /// Workloads it locks, each with its spec before and after (`None`: absent).
    pub changes: BTreeMap<AppId, Transition>,
    /// Instances that a kill-and-scale named as victims.
    pub victims: BTreeSet<InstanceId>,
}

/// A workload before and after.
#[derive(Clone, PartialEq, Debug)]
pub struct Transition {
    pub before: Option<Arc<WorkloadSpec>>,
    pub after: Option<Arc<WorkloadSpec>>,
}

/// Actions that run at the same time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    pub actions: Vec<Action>,
}

/// One action on one workload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Action {
    pub kind: ActionKind,
    pub app: AppId,
}

/// What an action does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ActionKind {
    /// Marks a new workload; starts nothing yet.
    Start,
    Stop,
    Scale,
    Restart,
}

impl Deployment {
    /// The step that runs now.
    pub fn step(&self) -> Option<&Step> {
        self.steps.get((self.current_step as usize).checked_sub(1)?)
    }
}
