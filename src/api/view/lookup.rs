//! What several views look up: the definition an app is shown with, whether an instance is up, why
//! nothing fits, whether a container engine is away.

use std::sync::Arc;

use super::View;
use crate::{
    base::clock::Timestamp,
    core::{State, place::Report, state::TaskFailure},
    model::{
        AppId, Instance, NodeId, WorkloadSpec, instance::Condition, link::EngineAway, path::PathId,
    },
};

/// Ids of all apps a list shows: the wanted ones and those whose last instances are going away.
pub fn ids(state: &State) -> impl Iterator<Item = &AppId> {
    let gone = state.apps_with_instances().filter(|id| !state.apps.contains_key(*id));
    let mut ids: Vec<&AppId> = state.apps.keys().chain(gone).collect();
    ids.sort_unstable();
    ids.into_iter()
}

/// The definition an app is shown with: the wanted one, else that of its last instances.
pub fn spec<'a>(state: &'a State, id: &AppId) -> Option<&'a WorkloadSpec> {
    match state.spec(id) {
        Some(spec) => Some(spec),
        None => state
            .instances_of(id)
            .filter_map(|i| state.spec_of(i))
            .max_by_key(|s| s.version)
            .map(|s| &**s),
    }
}

/// Whether an instance is told of: it has not ended, and is not there for its volumes alone.
pub fn is_told(instance: &Instance) -> bool {
    !instance.condition().is_terminal() && !instance.is_kept()
}

/// Whether an instance runs the wanted configuration and is fully up.
pub fn is_up(state: &State, instance: &Instance) -> bool {
    is_well(state, instance) && state.is_current(instance)
}

/// Whether an instance runs and has passed its checks, whatever configuration it is of.
pub fn is_well(state: &State, instance: &Instance) -> bool {
    instance.condition() == Condition::Running
        && instance.ready()
        && (state.healthy(instance) == Some(true)
            || state.spec_of(instance).is_some_and(|s| !s.run.has_health_checks()))
}

/// The container that is meant where none is named.
pub fn main<'a>(state: &'a State, instance: &Instance) -> &'a str {
    state.spec_of(instance).map_or("", |spec| spec.run.main())
}

/// What an attempt that failed was at its end.
pub fn ended_as(failure: &TaskFailure) -> Condition {
    let mut all = Condition::ALL.into_iter().rev(); // of those that share a state the ended one is meant
    all.find(|c| c.task_state() == failure.state).unwrap_or(Condition::Failed)
}

/// The end of the launch delay an app has earned, while it lies ahead.
pub fn delayed_until(view: &View<'_>, id: &AppId) -> Option<Timestamp> {
    let delay = view.state.delays.get(id)?;
    let config = view.state.spec(id)?.last_config_change_at;
    (delay.config == config && delay.until > view.now).then_some(delay.until)
}

/// Why waiting instances have no place; `None` when they get one right away.
pub fn no_place(view: &View<'_>, id: &AppId) -> Option<Arc<Report>> {
    view.cluster.attempt(id).filter(|report| report.is_blocked())
}

/// Persistent volumes of each instance, by path, with their size in MiB.
pub fn volumes(spec: &WorkloadSpec) -> impl Iterator<Item = (&str, u64)> {
    spec.run.persistent().map(|(path, kept)| (path, kept.size_mb))
}

/// Apps and groups that are started after `id` because they depend on it.
pub fn dependants(state: &State, id: &AppId) -> Vec<String> {
    let names = |wanted: &PathId| wanted.as_str() == id.as_str();
    let apps = state.apps.values().filter(|app| app.spec.dependencies.iter().any(names));
    let groups = state.groups.values().filter(|group| group.dependencies.iter().any(names));
    apps.map(|app| app.id.to_string()).chain(groups.map(|group| group.id.to_string())).collect()
}

/// Since when and why the container engine of a node that is heard of cannot be used.
pub fn engine_away(view: &View<'_>, node: &NodeId) -> Option<EngineAway> {
    view.state.nodes.get(node).filter(|n| n.is_reachable())?;
    view.cluster.usage(node)?.engine_away.clone()
}

/// With how many instances an app was wanted before it was stopped; `None` while some are wanted.
pub fn resume_to(state: &State, id: &AppId) -> Option<u32> {
    state.spec(id).filter(|spec| spec.instances == 0)?;
    let versions: Vec<_> = state.versions_of(id).collect();
    versions.iter().rev().map(|spec| spec.instances).find(|n| *n > 0)
}
