//! `State`: everything the cluster has agreed on, on persistent maps, with its indexes.
//!
//! Cloning is cheap (shared tree nodes), so a snapshot is handed to every reader. Fields are read
//! freely and written only by `apply`, through the methods of `Tx` that keep the indexes true.

use std::sync::Arc;

use super::command::{Outcome, RequestId};
pub use super::entity::State;
use crate::{
    base::{clock::Timestamp, level},
    model::{
        credential::{Certificate, Serial},
        deployment::DeploymentId,
        instance::{Instance, InstanceId},
        node::NodeId,
        owner::Owner,
        path::{AppId, GroupId, PathId},
        resource::Pools,
        volume::{Volume, VolumeId},
        workload::{TaskSpec, WorkloadSpec},
    },
};
use imbl::{OrdMap, OrdSet};

/// Lookups derived from the tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    pub by_owner: OrdMap<Owner, OrdSet<InstanceId>>,
    /// How many of a workload's count towards its number.
    pub present: OrdMap<AppId, usize>,
    /// Revision at which a workload, an instance of it or its deployment last changed. A rebuild
    /// knows no better than "now".
    pub touched: OrdMap<AppId, u64>,
    /// Instances that hold resources of a node.
    pub by_node: OrdMap<NodeId, OrdSet<InstanceId>>,
    /// The sum of what those hold, and of the volumes there.
    pub used: OrdMap<NodeId, Pools>,
    /// Volumes that are wanted, by whose they are.
    pub volumes: OrdMap<InstanceId, OrdSet<VolumeId>>,
    /// All volumes, wanted or not.
    pub volumes_on: OrdMap<NodeId, OrdSet<VolumeId>>,
    /// Workloads with instances that wait for a place.
    pub waiting: OrdMap<AppId, OrdSet<InstanceId>>,
    /// Those of them that have volumes, and so one node only that they can go to.
    pub bound: OrdSet<InstanceId>,
    /// Which deployment holds a workload.
    pub locks: OrdMap<AppId, DeploymentId>,
    /// Nodes whose work is to move elsewhere.
    pub draining: OrdSet<NodeId>,
    /// Workloads outside deployments whose number of instances is not the wanted one.
    pub uneven: OrdSet<AppId>,
    /// How many workloads use a service port.
    pub service_ports: OrdMap<u16, u32>,
    /// Revision at which a remembered request was applied.
    pub requests: OrdMap<RequestId, u64>,
    /// The request that the last command pushed out of the bounded table.
    pub dropped_request: Option<u64>,
}

/// Identity of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cluster {
    pub id: String,
    pub name: String,
    /// Signs login tokens.
    pub secret: [u8; 32],
    pub created_at: Timestamp,
    /// Last number used in a node id.
    pub n_nodes: u64,
    /// What all masters and agents can do (`base::level`); only rises.
    pub level: u32,
    /// Last number used of a master; 0 before any joined.
    pub n_masters: u64,
}

/// A group of workloads. The root always exists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    pub id: GroupId,
    pub dependencies: std::collections::BTreeSet<PathId>,
    /// Top-level groups only: workloads below must use the role named like the group.
    pub enforce_role: bool,
    pub version: Timestamp,
}

/// A workload that is wanted.
#[derive(Clone, PartialEq, Debug)]
pub struct App {
    pub id: AppId,
    /// The wanted definition. Older ones are in `State::specs`.
    pub spec: Arc<WorkloadSpec>,
    pub last_failure: Option<TaskFailure>,
}

/// The last task of an app that ended badly.
#[derive(Clone, PartialEq, Debug)]
pub struct TaskFailure {
    pub task_id: String,
    pub instance: InstanceId,
    pub state: String,
    pub message: String,
    pub hostname: String,
    pub node: Option<NodeId>,
    pub at: Timestamp,
    /// Version of the spec the task was made from.
    pub version: Timestamp,
    /// When it had begun to run, of a pod.
    pub started_at: Option<Timestamp>,
}

impl State {
    /// The certificates of a node that have not expired, good ones and others.
    pub fn certificates_of(&self, node: &NodeId) -> impl Iterator<Item = &Arc<Certificate>> {
        let from = (node.clone(), Serial::from(""));
        self.certificates.range(from..).map(|(_, c)| c).take_while({
            let node = node.clone();
            move |c| c.node == node
        })
    }

    /// What all masters and agents can do.
    pub fn level(&self) -> u32 {
        self.cluster.as_ref().map_or(level::FIRST, |cluster| cluster.level)
    }

    /// The wanted definition of a workload.
    pub fn spec(&self, app: &AppId) -> Option<&Arc<WorkloadSpec>> {
        self.apps.get(app).map(|a| &a.spec)
    }

    /// The definition an instance of a workload was made from.
    pub fn spec_of(&self, instance: &Instance) -> Option<&Arc<WorkloadSpec>> {
        self.specs.get(&(instance.app()?.clone(), instance.version))
    }

    /// What an instance runs, whoever wants it.
    pub fn task_of(&self, instance: &Instance) -> Option<TaskSpec> {
        match &instance.owner {
            Owner::App(_) => self.spec_of(instance).map(|spec| spec.task()),
            Owner::Run { .. } | Owner::Framework { .. } | Owner::System(_) => {
                self.tasks.get(&instance.id).map(|task| (**task).clone())
            }
        }
    }

    /// Apps and pods that have instances, wanted or not.
    pub fn apps_with_instances(&self) -> impl Iterator<Item = &AppId> {
        self.index.by_owner.keys().filter_map(Owner::app)
    }

    /// Instances of a workload, by id.
    pub fn instances_of(&self, app: &AppId) -> impl Iterator<Item = &Arc<Instance>> {
        let ids = self.index.by_owner.get(&Owner::App(app.clone())).into_iter().flatten();
        ids.filter_map(|id| self.instances.get(id)).inspect(|_| looked::one())
    }

    /// How many instances a workload lacks that are not made yet: more than
    /// `limit::WAITING_PER_APP_MAX` never wait at a time.
    pub fn n_unmade(&self, app: &AppId) -> usize {
        let wanted = self.spec(app).map_or(0, |spec| spec.instances as usize);
        wanted.saturating_sub(self.index.present.get(app).copied().unwrap_or(0))
    }

    /// Instances that hold resources of a node, by id.
    pub fn instances_on(&self, node: &NodeId) -> impl Iterator<Item = &Arc<Instance>> {
        self.index.by_node.get(node).into_iter().flatten().filter_map(|id| self.instances.get(id))
    }

    /// The volumes of an instance, by id.
    pub fn volumes_of(&self, id: &InstanceId) -> impl Iterator<Item = &Arc<Volume>> {
        self.index.volumes.get(id).into_iter().flatten().filter_map(|id| self.volumes.get(id))
    }

    /// Volumes on a node, by id, also those that are to be removed.
    pub fn volumes_on(&self, node: &NodeId) -> impl Iterator<Item = &Arc<Volume>> {
        self.index.volumes_on.get(node).into_iter().flatten().filter_map(|id| self.volumes.get(id))
    }

    /// The node to which its volumes bind an instance.
    pub fn bound_to(&self, id: &InstanceId) -> Option<&NodeId> {
        self.volumes_of(id).next().map(|volume| &volume.node)
    }

    /// Stored versions of a workload, oldest first.
    pub fn versions_of(&self, app: &AppId) -> impl Iterator<Item = &Arc<WorkloadSpec>> {
        let from = (app.clone(), Timestamp::from_ms(i64::MIN));
        let to = (app.clone(), Timestamp::from_ms(i64::MAX));
        self.specs.range(from..=to).map(|(_, spec)| spec)
    }

    /// Whether an instance is of the configuration wanted now (scaling does not make it old).
    pub fn is_current(&self, instance: &Instance) -> bool {
        let made_from = self.spec_of(instance).map(|s| s.last_config_change_at);
        made_from.is_some()
            && made_from
                == instance.app().and_then(|app| self.spec(app)).map(|s| s.last_config_change_at)
    }

    /// Healthy by its checks; `None` while unknown or when it has none.
    pub fn healthy(&self, instance: &Instance) -> Option<bool> {
        if instance.health().is_empty() {
            return None; // without a look at what checks there are: lists ask it of every instance
        }
        let n = self
            .spec_of(instance)
            .map_or(0, |s| s.run.containers.iter().map(|c| c.health_checks.len()).sum());
        instance.healthy(n)
    }

    /// What a node has left: its total less what instances and volumes hold.
    pub fn free(&self, node: &NodeId) -> Pools {
        let mut free = self.nodes.get(node).map(|n| n.info.total.clone()).unwrap_or_default();
        if let Some(used) = self.index.used.get(node) {
            free.sub(used);
        }
        free
    }

    /// Whether the top-level group of `app` enforces its role.
    pub fn enforces_role(&self, app: &AppId) -> bool {
        let mut segments = app.segments();
        let (Some(top), Some(_)) = (segments.next(), segments.next()) else { return false };
        self.groups.get(&PathId::parse(top)).is_some_and(|g| g.enforce_role)
    }

    /// The remembered outcome of a request.
    pub fn outcome(&self, request: RequestId) -> Option<&Outcome> {
        let revision = self.index.requests.get(&request)?;
        self.requests.get(revision).map(|(_, outcome)| outcome)
    }
}

/// How many instances were looked at on this thread: for tests of what work grows with.
pub(crate) mod looked {
    #[cfg(not(test))]
    pub const fn one() {}

    #[cfg(test)]
    thread_local!(static N: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });

    #[cfg(test)]
    pub fn one() {
        N.set(N.get() + 1);
    }

    /// The number since the last call.
    #[cfg(test)]
    pub fn take() -> u64 {
        N.replace(0)
    }
}
