//! From old and new workloads to ordered steps.

use std::collections::BTreeMap;

use super::graph::Graph;
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
    let depths = graph.depths();
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
        let depth = depths.get(app).copied().unwrap_or(1);
        by_depth.entry(depth).or_default().push(action(kind));
    }
    [stop, start]
        .into_iter()
        .chain(by_depth.into_values())
        .filter(|actions| !actions.is_empty())
        .map(|actions| Step { actions })
        .collect()
}
