//! What is due in the present step of a deployment.
//!
//! Rolling replacement keeps two bounds at every moment: at least `ceil(n × minimum health)`
//! healthy instances of either configuration, at most `floor(n × (1 + over capacity))` in all. When
//! the two leave no room for a move, one instance more is allowed (one less for workloads bound to
//! a node).

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use super::{drain, kill};
use crate::{
    base::limit,
    core::{apply::is_present, state::State},
    model::{
        deployment::{ActionKind, Deployment},
        instance::{Condition, Goal, Instance, InstanceId},
        path::AppId,
        workload::WorkloadSpec,
    },
};

/// What to do now for one workload, and whether its action is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    pub app: AppId,
    /// How many new instances to make now; the rest follows when these have a place.
    pub n_add: usize,
    /// Which go now, at most as many as one command may end.
    pub retire: Vec<InstanceId>,
    pub done: bool,
}

/// What is due for each action of the present step; empty when there is no step left.
pub fn due(state: &State, deployment: &Deployment) -> Vec<Due> {
    let actions = deployment.step().map(|s| s.actions.as_slice()).unwrap_or_default();
    actions
        .iter()
        .map(|action| {
            let target = deployment.changes.get(&action.app).and_then(|t| t.after.clone());
            match (action.kind, target) {
                (ActionKind::Stop, _) | (_, None) => stop(state, &action.app),
                (ActionKind::Start, Some(_)) => {
                    Due { app: action.app.clone(), n_add: 0, retire: Vec::new(), done: true }
                }
                (ActionKind::Scale, Some(spec)) => scale(state, &spec, &deployment.victims),
                (ActionKind::Restart, Some(spec)) => replace(state, &spec),
            }
        })
        .collect()
}

/// Everything goes.
fn stop(state: &State, app: &AppId) -> Due {
    let all: Vec<&Arc<Instance>> = state.instances_of(app).collect();
    Due {
        app: app.clone(),
        n_add: 0,
        retire: all
            .iter()
            .filter(|i| i.goal != Goal::Decommissioned)
            .take(limit::MOVES_PER_COMMAND_MAX)
            .map(|i| i.id.clone())
            .collect(),
        done: all.is_empty(),
    }
}

/// As many as wanted, neither more nor fewer. Also what holds outside deployments.
///
/// Only a workload that has its number is looked through for health: one of many thousand
/// instances on its way up or down costs each of the many steps no more than it must.
pub fn scale(state: &State, spec: &WorkloadSpec, victims: &BTreeSet<InstanceId>) -> Due {
    let n_present = state.index.present.get(&spec.id).copied().unwrap_or(0);
    let wanted = spec.instances as usize;
    let due = Due { app: spec.id.clone(), n_add: 0, retire: Vec::new(), done: false };
    let settled = || {
        let is_settled = |i: &Arc<Instance>| {
            if is_present(i) { is_good(state, spec, i) } else { !is_leaving(i) }
        };
        state.instances_of(&spec.id).all(is_settled)
    };
    // Those on draining nodes are to be replaced: they do not count, but no step waits for that.
    let n_leaving = drain::n_leaving(state, &spec.id);
    match n_present.saturating_sub(n_leaving).cmp(&wanted) {
        Ordering::Less => {
            let n_missing = (wanted + n_leaving - n_present).min(room_to_wait(state, &spec.id));
            let n_add = drain::n_replacements(state, spec, n_missing, n_leaving);
            Due { n_add, done: n_leaving > 0 && n_present >= wanted && settled(), ..due }
        }
        Ordering::Greater => {
            let staying: Vec<Arc<Instance>> = state
                .instances_of(&spec.id)
                .filter(|i| is_present(i) && !drain::leaves(state, i))
                .cloned()
                .collect();
            let n = (staying.len().saturating_sub(wanted)).min(limit::MOVES_PER_COMMAND_MAX);
            Due { retire: kill::choose(state, spec, &staying, n, victims), ..due }
        }
        Ordering::Equal => Due { done: settled(), ..due },
    }
}

/// Whether an instance is on its way out: a step waits for it.
fn is_leaving(instance: &Instance) -> bool {
    instance.goal != Goal::Running
        && instance.condition() != Condition::UnreachableInactive
        && !is_stopped(instance)
}

/// Whether it is kept for its volumes and, as far as one can know, does not run: on a lost node it ends
/// when that is heard again.
fn is_stopped(instance: &Instance) -> bool {
    instance.is_kept() || instance.goal == Goal::Stopped && instance.condition().is_lost()
}

/// How many more instances of `app` may wait for a place.
fn room_to_wait(state: &State, app: &AppId) -> usize {
    let n_waiting = state.index.waiting.get(app).map_or(0, |waiting| waiting.len());
    limit::WAITING_PER_APP_MAX.saturating_sub(n_waiting)
}

/// Old instances make place for new ones within the bounds of the upgrade strategy.
fn replace(state: &State, spec: &WorkloadSpec) -> Due {
    let all: Vec<Arc<Instance>> =
        state.instances_of(&spec.id).filter(|i| !is_stopped(i)).cloned().collect();
    let (new, old): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|i| state.is_current(i));
    let wanted = spec.instances as usize;
    let new_present: Vec<Arc<Instance>> = new.iter().filter(|i| is_present(i)).cloned().collect();
    // One with volumes ends to start again as a new one: once it was told so, it is not told again.
    let is_told = |i: &Instance| i.kill().is_some() && state.bound_to(&i.id).is_some();
    let old_present: Vec<Arc<Instance>> =
        old.iter().filter(|i| is_present(i) && !is_told(i)).cloned().collect();
    let n_good = new_present.iter().filter(|i| is_good(state, spec, i)).count();
    let old_healthy = old_present.iter().filter(|i| is_healthy(state, i)).count();
    // Surplus new ones are retired below, the ones that are not good first: of the others so many
    // stay as are wanted. Those that go count for nothing, lest old ones go in the same move.
    let new_surplus = new_present.len().saturating_sub(wanted);
    let n_bad = new_present.len() - n_good;
    let good_surplus = new_surplus.saturating_sub(n_bad);
    // A new instance counts only when the deployment would accept it: healthy and ready.
    let healthy = old_healthy + n_good - good_surplus;

    let bounds = Bounds::of(spec, healthy);
    let mut n_kill = healthy.saturating_sub(bounds.healthy_min).min(old_healthy);
    if bounds.resident_guard {
        n_kill = (n_kill + 1).min(old_healthy);
    }
    let mut retire = retire_unhealthy(state, spec, &all, &old_present, n_good, bounds.capacity);
    let healthy_old: Vec<Arc<Instance>> =
        old_present.iter().filter(|i| is_healthy(state, i)).cloned().collect();
    let none = BTreeSet::new();
    let most = |n: usize| n.min(limit::MOVES_PER_COMMAND_MAX);
    retire.extend(kill::choose(state, spec, &healthy_old, most(n_kill), &none));
    let (good_new, bad_new): (Vec<_>, Vec<_>) =
        new_present.iter().cloned().partition(|i| is_good(state, spec, i));
    let bad_surplus = new_surplus - good_surplus;
    retire.extend(kill::choose(state, spec, &bad_new, most(bad_surplus), &none));
    retire.extend(kill::choose(state, spec, &good_new, most(good_surplus), &none));
    // Whether they come back or not, old ones that were given up are not wanted any more.
    let given_up = |i: &&Arc<Instance>| {
        i.condition() == Condition::UnreachableInactive && i.goal == Goal::Running
    };
    retire.extend(old.iter().filter(given_up).map(|i| i.id.clone()));

    let still_there = all.iter().filter(|i| takes_room(i)).count();
    let n_add = wanted
        .saturating_sub(new_present.len())
        .min(bounds.capacity.saturating_sub(still_there))
        .min(room_to_wait(state, &spec.id));
    let leaving = all.iter().any(|i| is_leaving(i));
    retire.truncate(limit::MOVES_PER_COMMAND_MAX);
    Due {
        app: spec.id.clone(),
        n_add,
        retire,
        done: n_good == wanted && new_present.len() == wanted && old.is_empty() && !leaving,
    }
}

/// Old instances that do not serve anyway. They too wait until their place is needed or a new one
/// has taken over: a failing check need not mean that nothing is served.
fn retire_unhealthy(
    state: &State,
    spec: &WorkloadSpec,
    all: &[Arc<Instance>],
    old: &[Arc<Instance>],
    n_good: usize,
    capacity: usize,
) -> Vec<InstanceId> {
    let wanted = spec.instances as usize;
    let unhealthy: Vec<Arc<Instance>> =
        old.iter().filter(|i| !is_healthy(state, i)).cloned().collect();
    let n_new = all.iter().filter(|i| is_present(i) && state.is_current(i)).count();
    let n_there = all.iter().filter(|i| takes_room(i)).count();
    let short_of_room = (n_there + wanted.saturating_sub(n_new)).saturating_sub(capacity);
    let n = if n_good >= wanted { unhealthy.len() } else { short_of_room.max(n_good) };
    kill::choose(state, spec, &unhealthy, n.min(limit::MOVES_PER_COMMAND_MAX), &BTreeSet::new())
}

/// The two bounds of a rolling replacement.
pub(super) struct Bounds {
    pub healthy_min: usize,
    pub capacity: usize,
    /// Bound to nodes and no room: one below the minimum is allowed.
    resident_guard: bool,
}

impl Bounds {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // fractions in 0..=1
    pub fn of(spec: &WorkloadSpec, healthy: usize) -> Self {
        let n = f64::from(spec.instances);
        let healthy_min = (n * spec.upgrade.minimum_health_capacity).ceil() as usize;
        let mut capacity = (n * (1.0 + spec.upgrade.maximum_over_capacity)).floor() as usize;
        let stuck = healthy_min == capacity && capacity <= healthy;
        let resident_guard = stuck && spec.run.is_resident();
        if stuck && !spec.run.is_resident() {
            capacity += 1;
        }
        Self { healthy_min, capacity, resident_guard }
    }
}

/// Running, not about to end, and healthy by its checks where it has any.
pub fn is_healthy(state: &State, instance: &Instance) -> bool {
    let has_checks = state.spec_of(instance).is_some_and(|s| s.run.has_health_checks());
    instance.condition() == Condition::Running
        && instance.kill().is_none()
        && (!has_checks || state.healthy(instance) == Some(true))
}

/// Healthy, and ready where the workload has readiness checks.
pub(super) fn is_good(state: &State, spec: &WorkloadSpec, instance: &Instance) -> bool {
    is_healthy(state, instance) && (!spec.run.has_readiness_checks() || instance.ready())
}

/// Whether it counts against the capacity: it runs or will.
pub(super) fn takes_room(instance: &Instance) -> bool {
    instance.condition().is_active()
        || instance.condition() == Condition::Scheduled && instance.goal == Goal::Running
}
