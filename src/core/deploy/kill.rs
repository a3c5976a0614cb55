//! Which instances go first when there are too many.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    core::state::State,
    model::{
        instance::{Condition, Instance, InstanceId},
        workload::{KillSelection, Operator, WorkloadSpec},
    },
};

/// The `n` instances of `candidates` to end: named victims, then by state (lost, not yet running,
/// running), then so that GROUP_BY groups stay even, then the youngest or the oldest.
pub fn choose(
    state: &State,
    spec: &WorkloadSpec,
    candidates: &[Arc<Instance>],
    n: usize,
    victims: &BTreeSet<InstanceId>,
) -> Vec<InstanceId> {
    if n == 0 {
        return Vec::new();
    }
    let mut left: Vec<&Arc<Instance>> = candidates.iter().collect();
    let mut chosen = Vec::with_capacity(n.min(left.len()));
    left.sort_by_cached_key(|i| rank(i, spec.kill_selection, victims));
    let fields: Vec<&str> = spec
        .constraints
        .iter()
        .filter(|c| c.operator == Operator::GroupBy)
        .map(|c| c.field.as_str())
        .collect();
    while chosen.len() < n && !left.is_empty() {
        let at = if fields.is_empty() || victims.contains(&left[0].id) {
            0
        } else {
            from_fullest_group(state, &fields, &left)
        };
        chosen.push(left.remove(at).id.clone());
    }
    chosen
}

/// Lower goes first.
fn rank(
    instance: &Instance,
    selection: KillSelection,
    victims: &BTreeSet<InstanceId>,
) -> (bool, u8, Reverse<i64>, Reverse<InstanceId>) {
    let weight = match instance.condition {
        Condition::Unreachable | Condition::UnreachableInactive => 0,
        Condition::Scheduled | Condition::Provisioned => 1,
        Condition::Staging => 2,
        Condition::Starting => 3,
        Condition::Running => 4,
        Condition::Killing
        | Condition::Finished
        | Condition::Killed
        | Condition::Failed
        | Condition::Error
        | Condition::Dropped
        | Condition::Gone
        | Condition::Unknown => 5,
    };
    let started = instance.started_at.unwrap_or(instance.created_at).as_ms();
    let age = match selection {
        KillSelection::YoungestFirst => started,
        KillSelection::OldestFirst => -started,
    };
    (!victims.contains(&instance.id), weight, Reverse(age), Reverse(instance.id.clone()))
}

/// Position of the first instance (in rank order) that stands in the fullest group.
fn from_fullest_group(state: &State, fields: &[&str], left: &[&Arc<Instance>]) -> usize {
    let group = |i: &Instance| -> Option<Vec<Option<String>>> {
        let node = state.nodes.get(&i.placement.as_ref()?.node)?;
        Some(fields.iter().map(|f| node.field(f)).collect())
    };
    let groups: Vec<_> = left.iter().map(|i| group(i)).collect();
    let Some(unplaced) = groups.iter().position(Option::is_none) else {
        let mut counts: BTreeMap<&Option<Vec<Option<String>>>, usize> = BTreeMap::new();
        for g in &groups {
            *counts.entry(g).or_default() += 1;
        }
        let fullest = counts.values().max().copied().unwrap_or(0);
        return groups.iter().position(|g| counts[g] == fullest).unwrap_or(0);
    };
    unplaced
}
