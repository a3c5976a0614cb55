//! Bounds and settings of a plan: what an operator may choose.

use std::collections::BTreeMap;

use super::ledger::Ledger;
use crate::model::{node::NodeId, resource::Ranges};

/// How nodes are preferred among those that fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// Few instances of the same workload on a node, then the emptiest node: losing one hurts least.
    #[default]
    Spread,
    /// The fullest node that still fits: whole nodes stay free for large instances.
    BinPack,
}

/// Bounds and settings of one plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Launches in one plan.
    pub launches_max: usize,
    /// Blocked workloads whose nodes are looked at one by one for the report. The others get a
    /// report without them; which ones changes from plan to plan.
    pub explained_max: usize,
    /// Nodes listed in one report.
    pub report_nodes_max: usize,
    pub policy: Policy,
    /// Keeps nodes with GPUs for workloads that ask for GPUs.
    pub gpus_are_scarce: bool,
    /// Region of the masters; workloads leave it only when they name a region or zone. `None`
    /// opens all regions.
    pub home_region: Option<String>,
    /// Ports that programs which are no tasks hold on their node: given while there are others to
    /// nobody who takes any port, and a node where one of a fixed number is held comes last.
    pub ports_held: BTreeMap<NodeId, Ranges>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            launches_max: 2_048,
            explained_max: 16,
            report_nodes_max: 20,
            policy: Policy::default(),
            gpus_are_scarce: true,
            home_region: None,
            ports_held: BTreeMap::new(),
        }
    }
}

impl Limits {
    /// Which nodes count as standing in the home region; `None` when all do.
    pub(super) fn home_nodes(&self, ledger: &Ledger) -> Option<Vec<bool>> {
        let home = self.home_region.as_ref()?;
        let region = |ix| ledger.node(ix).info.fault_domain.as_ref().map(|d| &d.region);
        Some(ledger.all().map(|ix| region(ix).is_none_or(|r| r == home)).collect())
    }
}
