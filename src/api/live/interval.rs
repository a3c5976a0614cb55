//! From one state that was shown to the next: what may have changed rows.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use imbl::{OrdMap, ordmap::DiffItem};

use crate::{
    api::view::{View, lookup},
    base::clock::Timestamp,
    core::State,
    model::{AppId, Instance, NodeId},
};

/// How often samples of resource use are shown anew.
const SAMPLES: Duration = Duration::from_secs(5);

/// From one state that was shown to the next.
pub struct Interval<'a> {
    pub old: &'a State,
    /// The new state.
    pub view: View<'a>,
    /// Instances that are others, as they were and as they are.
    pub instances: Vec<&'a Arc<Instance>>,
    /// Nodes whose container engine went or came.
    pub engines: BTreeSet<NodeId>,
    /// Whether samples of resource use are shown anew.
    pub sampled: bool,
    /// Apps told of so far.
    pub apps: BTreeSet<AppId>,
}

/// What makes one interval after another, for whoever was shown all so far.
pub struct Intervals {
    /// Nodes whose container engine did not answer.
    down: BTreeSet<NodeId>,
    sampled_at: Timestamp,
}

impl Intervals {
    /// Those that follow on `view`.
    pub fn from(view: &View<'_>) -> Self {
        Self { down: engines_down(view), sampled_at: Timestamp::EPOCH }
    }

    /// From `old`, which the last one led to, to the state of `view`.
    pub fn next<'a>(&mut self, old: &'a State, view: View<'a>) -> Interval<'a> {
        let sampled = view.now.since(self.sampled_at) >= SAMPLES;
        if sampled {
            self.sampled_at = view.now;
        }
        let before = std::mem::replace(&mut self.down, engines_down(&view));
        let others = old.instances.diff(&view.state.instances);
        Interval {
            old,
            view,
            instances: others.flat_map(|item| both(&item)).collect(),
            engines: self.down.symmetric_difference(&before).cloned().collect(),
            sampled,
            apps: BTreeSet::new(),
        }
    }
}

fn engines_down(view: &View<'_>) -> BTreeSet<NodeId> {
    let nodes = view.state.nodes.keys();
    nodes.filter(|id| lookup::engine_away(view, id).is_some()).cloned().collect()
}

/// The values of a difference, old and new.
pub fn both<'a, K, V>(
    item: &DiffItem<'a, 'a, K, V>,
) -> impl Iterator<Item = &'a V> + use<'a, K, V> {
    let pair = match *item {
        DiffItem::Add(_, new) => [Some(new), None],
        DiffItem::Remove(_, old) => [Some(old), None],
        DiffItem::Update { old: (_, old), new: (_, new) } => [Some(old), Some(new)],
    };
    pair.into_iter().flatten()
}

/// The keys of a difference.
pub fn changed<'a, K: Ord + Clone, V: PartialEq>(
    old: &'a OrdMap<K, V>,
    new: &'a OrdMap<K, V>,
) -> impl Iterator<Item = K> {
    old.diff(new).map(|item| match item {
        DiffItem::Add(key, _)
        | DiffItem::Remove(key, _)
        | DiffItem::Update { new: (key, _), .. } => key.clone(),
    })
}
