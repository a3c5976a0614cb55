//! What can be asked of workloads, groups and deployments.

use std::collections::BTreeSet;

use crate::{
    base::clock::Timestamp,
    choice,
    core::command::Expect,
    message,
    model::{
        deployment::DeploymentId,
        instance::InstanceId,
        path::{AppId, GroupId},
        workload::WorkloadSpec,
    },
};

/// Commands about workloads, groups and deployments.
#[derive(Clone, Debug)]
pub enum WorkloadCommand {
    /// Changes workloads and groups in one deployment.
    PutApps(Box<PutApps>),
    /// Ends a deployment where it stands; with `undo`, starts one that leads back.
    CancelDeployment { id: DeploymentId, undo: Option<DeploymentId> },
    /// What the deployment reconciler found to be due in the present step.
    DeployStep(DeployStep),
    /// Brings a workload outside any deployment back to its number of instances.
    Scale(Scale),
    /// Forgets the launch delay of a workload.
    ResetBackoff(AppId),
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

choice!(WorkloadCommand {
    2: PutApps(it),
    3: CancelDeployment { 1: id, 2: undo },
    4: DeployStep(it),
    5: Scale(it),
    18: ResetBackoff(it),
});
message!(PutApps { 1: deployment, 2: force, 3: edits, 4: groups, 5: victims });
message!(Edit { 1: id, 2: new, 3: expect, 4: base, 5: restart });
message!(GroupEdit { 1: id, 2: change });
choice!(GroupChange { 1: Put { 1: dependencies, 2: enforce_role }, 2: Delete });
message!(DeployStep { 1: deployment, 2: step, 3: scales, 4: advance });
message!(Scale { 1: app, 2: add, 3: retire });
