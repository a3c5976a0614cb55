//! From old and new workloads to ordered steps.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::state::State,
    model::{
        deployment::{Action, ActionKind, Step, Transition},
        path::AppId,
    },
};

/// The steps that lead from before to after: stop what is gone, mark what is new, then one step
/// per dependency depth. Workloads that do not differ make no action; empty steps are left out.
///
/// `state` holds the target already: dependencies are followed over the whole of it.
pub fn steps(state: &State, changes: &BTreeMap<AppId, Transition>) -> Vec<Step> {
    let mut stop = Vec::new();
    let mut start = Vec::new();
    let mut by_depth: BTreeMap<usize, Vec<Action>> = BTreeMap::new();
    let graph = Graph::of(state);
    let mut depths = BTreeMap::new();
    for (app, change) in changes {
        let action = |kind| Action { kind, app: app.clone() };
        let kind = match (&change.before, &change.after) {
            (_, None) => {
                stop.push(action(ActionKind::Stop));
                continue;
            }
            (None, Some(_)) => {
                start.push(action(ActionKind::Start));
                ActionKind::Scale
            }
            (Some(old), Some(new)) if old.last_config_change_at == new.last_config_change_at => {
                if old.instances == new.instances {
                    continue;
                }
                ActionKind::Scale
            }
            (Some(_), Some(new)) if new.instances == 0 => ActionKind::Scale,
            (Some(_), Some(_)) => ActionKind::Restart,
        };
        let depth = graph.depth(app, &mut depths, 0);
        by_depth.entry(depth).or_default().push(action(kind));
    }
    [stop, start]
        .into_iter()
        .chain(by_depth.into_values())
        .filter(|actions| !actions.is_empty())
        .map(|actions| Step { actions })
        .collect()
}

/// The workloads of a dependency cycle, if there is one.
pub fn cycle(state: &State) -> Option<Vec<AppId>> {
    let graph = Graph::of(state);
    let mut done = BTreeSet::new();
    for start in graph.edges.keys() {
        let mut path = Vec::new();
        if graph.visit(start, &mut path, &mut done) {
            return Some(path);
        }
    }
    None
}

/// Direct dependencies between workloads, groups expanded. Only workloads with some are in it.
struct Graph {
    edges: BTreeMap<AppId, BTreeSet<AppId>>,
}

impl Graph {
    fn of(state: &State) -> Self {
        let mut edges: BTreeMap<AppId, BTreeSet<AppId>> = BTreeMap::new();
        for app in state.apps.values().filter(|a| !a.spec.dependencies.is_empty()) {
            let to = expand(state, app.spec.dependencies.iter());
            edges.entry(app.id.clone()).or_default().extend(to);
        }
        for group in state.groups.values().filter(|g| !g.dependencies.is_empty()) {
            let to: BTreeSet<AppId> = expand(state, group.dependencies.iter()).collect();
            for member in members(state, &group.id) {
                edges.entry(member).or_default().extend(to.iter().cloned());
            }
        }
        Self { edges }
    }

    /// Length of the longest dependency path from `app`, counted from 1. The graph has no cycle;
    /// `level` bounds the recursion all the same.
    fn depth(&self, app: &AppId, known: &mut BTreeMap<AppId, usize>, level: usize) -> usize {
        if let Some(depth) = known.get(app) {
            return *depth;
        }
        let below = self.edges.get(app).into_iter().flatten();
        let depth = if level > self.edges.len() {
            1
        } else {
            1 + below.map(|d| self.depth(d, known, level + 1)).max().unwrap_or(0)
        };
        known.insert(app.clone(), depth);
        depth
    }

    /// Whether a cycle is reachable from `app`; then `path` ends with it.
    fn visit(&self, app: &AppId, path: &mut Vec<AppId>, done: &mut BTreeSet<AppId>) -> bool {
        if let Some(at) = path.iter().position(|p| p == app) {
            path.drain(..at);
            return true;
        }
        if done.contains(app) {
            return false;
        }
        path.push(app.clone());
        for next in self.edges.get(app).into_iter().flatten() {
            if self.visit(next, path, done) {
                return true;
            }
        }
        path.pop();
        done.insert(app.clone());
        false
    }
}

/// Workloads named by `ids`; a group stands for all workloads below it, unknown ids for none.
fn expand<'a>(
    state: &'a State,
    ids: impl Iterator<Item = &'a AppId> + 'a,
) -> impl Iterator<Item = AppId> + 'a {
    ids.flat_map(|id| {
        if state.apps.contains_key(id) { vec![id.clone()] } else { members(state, id).collect() }
    })
}

fn members<'a>(state: &'a State, group: &'a AppId) -> impl Iterator<Item = AppId> + 'a {
    state.apps.keys().filter(move |a| a.is_below(group)).cloned()
}
