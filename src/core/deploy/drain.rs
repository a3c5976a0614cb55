//! Work leaves a node that is drained: its replacement first, then itself.
//!
//! An instance on a draining node does not count towards its workload's number, so a replacement is
//! made by the same rule that makes any missing instance; once that one is good, the one on the node
//! is ended. Where the upgrade strategy allows no instance more, as many as its minimum health can
//! spare end first. With no room elsewhere nothing ends.
//!
//! What has volumes is replaced nowhere: it ends, keeps them, and waits for its node to take work again.

use std::sync::Arc;

use super::{
    kill,
    progress::{Bounds, is_good, is_healthy, takes_room},
};
use crate::{
    core::{apply::is_present, state::State},
    model::{
        instance::{Goal, Instance, InstanceId},
        path::AppId,
        workload::WorkloadSpec,
    },
};

/// Whether the instance is to be replaced elsewhere.
pub fn leaves(state: &State, instance: &Instance) -> bool {
    is_to_go(state, instance) && state.bound_to(&instance.id).is_none()
}

fn is_to_go(state: &State, instance: &Instance) -> bool {
    instance.goal == Goal::Running
        && instance.kill().is_none()
        && instance.placement().is_some_and(|p| state.index.draining.contains(&p.node))
}

/// How many present instances of `app` are to be replaced elsewhere.
pub fn n_leaving(state: &State, app: &AppId) -> usize {
    if state.index.draining.is_empty() {
        return 0;
    }
    let on_node = |node| state.index.by_node.get(node).into_iter().flatten();
    let instances = state.index.draining.iter().flat_map(on_node);
    instances
        .filter_map(|id| state.instances.get(id))
        .filter(|i| i.app() == Some(app) && is_present(i) && leaves(state, i))
        .count()
}

/// How many new instances `spec` may have beside `n_leaving` that are to go, when `n_missing` are
/// missing elsewhere.
pub fn n_replacements(
    state: &State,
    spec: &WorkloadSpec,
    n_missing: usize,
    n_leaving: usize,
) -> usize {
    if n_leaving == 0 {
        return n_missing;
    }
    let there = state.instances_of(&spec.id).filter(|i| takes_room(i)).count();
    let capacity = Bounds::of(spec, n_healthy(state, spec)).capacity;
    n_missing.min(capacity.saturating_sub(there))
}

/// How many of a workload with volumes may be down at once: what its minimum health leaves, and one of
/// them in any case.
fn n_to_stop(state: &State, spec: &WorkloadSpec) -> usize {
    let n_well = n_healthy(state, spec);
    let least =
        Bounds::of(spec, n_well).healthy_min.min((spec.instances as usize).saturating_sub(1));
    n_well.saturating_sub(least)
}

/// Which of those with volumes end now: those that do not serve, and as many others as may be down.
fn to_stop(state: &State, spec: &WorkloadSpec, here: &[Arc<Instance>]) -> Vec<InstanceId> {
    let bound = here.iter().filter(|i| is_to_go(state, i) && !leaves(state, i));
    let (healthy, not): (Vec<_>, Vec<_>) = bound.partition(|i| is_healthy(state, i));
    let room = n_to_stop(state, spec);
    not.into_iter().chain(healthy.into_iter().take(room)).map(|i| i.id.clone()).collect()
}

/// Which of `here`, instances of one workload on a draining node, may end now.
pub fn due(state: &State, spec: &WorkloadSpec, here: &[Arc<Instance>]) -> Vec<InstanceId> {
    let mut due = if spec.run.is_resident() { to_stop(state, spec, here) } else { Vec::new() };
    let room = Room::of(state, spec);
    let (healthy, not): (Vec<_>, Vec<_>) =
        here.iter().filter(|i| leaves(state, i)).cloned().partition(|i| is_healthy(state, i));
    let choose =
        |from: &[Arc<Instance>], n| kill::choose(state, spec, from, n, &Default::default());
    let unwell = choose(&not, room.any.min(not.len()));
    let n_healthy = room.healthy.min(room.any.saturating_sub(unwell.len()));
    due.extend(unwell);
    due.extend(choose(&healthy, n_healthy));
    due
}

/// Whether the instance may end now for a drain. Several nodes may be drained at once, each decision
/// knowing nothing of the others.
pub fn may_end(state: &State, instance: &Instance) -> bool {
    let spec = instance.app().and_then(|app| state.spec(app));
    let Some(spec) = spec else { return true };
    if state.bound_to(&instance.id).is_some() {
        let may = !is_healthy(state, instance) || n_to_stop(state, spec) > 0;
        return is_to_go(state, instance) && may;
    }
    let room = Room::of(state, spec);
    let n = if is_healthy(state, instance) { room.healthy.min(room.any) } else { room.any };
    leaves(state, instance) && n > 0
}

/// How many instances on draining nodes a workload can spare now.
struct Room {
    any: usize,
    /// Of those that are healthy.
    healthy: usize,
}

impl Room {
    fn of(state: &State, spec: &WorkloadSpec) -> Self {
        let wanted = spec.instances as usize;
        let all: Vec<&Arc<Instance>> = state.instances_of(&spec.id).collect();
        let (leaving, staying): (Vec<_>, Vec<_>) =
            all.iter().copied().filter(|i| is_present(i)).partition(|i| leaves(state, i));
        let n_good = staying.iter().filter(|i| is_good(state, spec, i)).count();
        let n_well = leaving.iter().filter(|i| is_healthy(state, i)).count();
        let replaced = Self {
            any: (leaving.len() + n_good).saturating_sub(wanted),
            healthy: (n_well + n_good).saturating_sub(wanted),
        };
        let bounds = Bounds::of(spec, n_well + n_good);
        let there = all.iter().filter(|i| takes_room(i)).count();
        if bounds.capacity > wanted || there < bounds.capacity || spec.run.is_resident() {
            return replaced;
        }
        // No instance more is allowed: what the minimum health can spare makes room.
        let spare = (n_well + n_good).saturating_sub(bounds.healthy_min);
        let any = replaced.any.max(spare).max(leaving.len() - n_well);
        Self { any, healthy: replaced.healthy.max(spare) }
    }
}

fn n_healthy(state: &State, spec: &WorkloadSpec) -> usize {
    state.instances_of(&spec.id).filter(|i| is_healthy(state, i)).count()
}
