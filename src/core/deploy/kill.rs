//! Which instances go first when there are too many.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
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
    let mut left: Vec<(Rank<'_>, &Arc<Instance>)> =
        candidates.iter().map(|i| (rank(i, spec.kill_selection, victims), i)).collect();
    let fields: Vec<&str> = spec
        .constraints
        .iter()
        .filter(|c| c.operator == Operator::GroupBy)
        .map(|c| c.field.as_str())
        .collect();
    if fields.is_empty() && n < left.len() {
        // A few of very many: there is no need to have all in order.
        left.select_nth_unstable_by(n, |a, b| a.0.cmp(&b.0));
        left.truncate(n);
    }
    left.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let left = left.into_iter().map(|(_, instance)| instance);
    if fields.is_empty() {
        return left.take(n).map(|i| i.id.clone()).collect();
    }
    let (named, left): (Vec<_>, Vec<_>) = left.partition(|i| victims.contains(&i.id));
    let named = named.into_iter().take(n).map(|i| i.id.clone());
    let mut chosen: Vec<InstanceId> = named.collect();
    let n_more = n - chosen.len();
    chosen.extend(evenly(state, &fields, &left).take(n_more));
    chosen
}

/// Lower goes first. The id makes it unique.
type Rank<'a> = (bool, u8, Reverse<i64>, Reverse<&'a InstanceId>);

fn rank<'a>(
    instance: &'a Instance,
    selection: KillSelection,
    victims: &BTreeSet<InstanceId>,
) -> Rank<'a> {
    let weight = match instance.condition() {
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
    let started = instance.started_at().unwrap_or(instance.created_at).as_ms();
    let age = match selection {
        KillSelection::YoungestFirst => started,
        KillSelection::OldestFirst => -started,
    };
    (!victims.contains(&instance.id), weight, Reverse(age), Reverse(&instance.id))
}

/// What an instance's node has in the fields; `None` for one without a node.
type Group = Option<Vec<Option<String>>>;

/// The instances in the order to go: those without a node, then always the first (in rank order)
/// of a fullest group.
fn evenly<'a>(
    state: &State,
    fields: &[&str],
    ranked: &[&'a Arc<Instance>],
) -> impl Iterator<Item = InstanceId> + use<'a> {
    let group_of = |i: &Instance| -> Group {
        let node = state.nodes.get(&i.placement()?.node)?;
        Some(fields.iter().map(|f| node.field(f)).collect())
    };
    let mut groups: BTreeMap<Group, VecDeque<(usize, InstanceId)>> = BTreeMap::new();
    for (rank, instance) in ranked.iter().enumerate() {
        groups.entry(group_of(instance)).or_default().push_back((rank, instance.id.clone()));
    }
    let mut unplaced = groups.remove(&None).unwrap_or_default().into_iter();
    let mut groups: Vec<VecDeque<(usize, InstanceId)>> = groups.into_values().collect();
    // The fullest group first, and of equally full ones the one whose next is first in rank.
    let key = |group: &VecDeque<(usize, InstanceId)>, at| {
        group.front().map(|(rank, _)| (group.len(), Reverse(*rank), at))
    };
    let mut fullest: BinaryHeap<(usize, Reverse<usize>, usize)> =
        groups.iter().enumerate().filter_map(|(at, group)| key(group, at)).collect();
    std::iter::from_fn(move || {
        if let Some((_, id)) = unplaced.next() {
            return Some(id);
        }
        let (_, _, at) = fullest.pop()?;
        let (_, id) = groups[at].pop_front()?;
        fullest.extend(key(&groups[at], at));
        Some(id)
    })
}
