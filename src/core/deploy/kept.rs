//! Instances that have stopped and are kept for the sake of their volumes: the next ones to run again.

use std::sync::Arc;

use crate::{
    core::state::State,
    model::{
        instance::{Goal, Instance},
        path::AppId,
    },
};

/// Those of a workload that would run again, the best first: on nodes that take work, then by id. One that
/// is still ending is among them; it starts again once it has.
pub fn by_preference(state: &State, app: &AppId) -> Vec<Arc<Instance>> {
    if !state.spec(app).is_some_and(|spec| spec.run.is_resident()) {
        return Vec::new();
    }
    let is_kept = |i: &&Arc<Instance>| i.goal == Goal::Stopped;
    let mut kept: Vec<Arc<Instance>> = state.instances_of(app).filter(is_kept).cloned().collect();
    kept.sort_by_key(|instance| {
        let node = state.bound_to(&instance.id).and_then(|node| state.nodes.get(node));
        !node.is_some_and(|node| node.takes_work())
    });
    kept
}
