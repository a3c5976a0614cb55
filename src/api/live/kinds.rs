//! The kinds of rows: apps, nodes, deployments.
//!
//! The difference of two states costs what has changed, not what there is: their maps share
//! everything else. Beside the state a row depends on leader memory (why an app waits, what a node
//! uses).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    collection::Collection,
    interval::{Interval, both, changed},
};
use crate::{
    api::view::{
        Resources, View,
        app::{self, AppRow},
        deployment::{self, DeploymentRow},
        node::{self, NodeRow},
        status,
        verdict::Standing,
    },
    core::State,
    model::{AppId, DeploymentId, NodeId},
};

/// A deployment's row is looked at again for so long, whether it moves or not.
const YOUNG: Duration = Duration::from_secs(5);

/// Apps, with those that need attention.
pub struct Apps {
    pub attention: BTreeMap<AppId, Standing>,
}

impl Collection for Apps {
    type Key = AppId;
    type Row<'a> = AppRow<'a>;

    fn of(view: &View<'_>) -> Self {
        Self { attention: status::attention(view) }
    }

    fn rows<'a>(view: &View<'a>) -> Vec<AppRow<'a>> {
        app::ids(view.state).filter_map(|id| app::row(view, id)).collect()
    }

    fn row<'a>(view: &View<'a>, key: &'a AppId) -> Option<AppRow<'a>> {
        app::row(view, key)
    }

    fn dirty(&mut self, interval: &Interval<'_>) -> BTreeSet<AppId> {
        let (old, new) = (interval.old, interval.view.state);
        let mut dirty: BTreeSet<AppId> = changed(&old.apps, &new.apps).collect();
        dirty.extend(changed(&old.delays, &new.delays));
        dirty.extend(interval.instances.iter().filter_map(|i| i.app().cloned()));
        for item in old.deployments.diff(&new.deployments) {
            dirty.extend(both(&item).flat_map(|d| d.changes.keys().cloned()));
        }
        let on = interval.engines.iter().flat_map(|node| new.instances_on(node));
        dirty.extend(on.filter_map(|i| i.app().cloned()));
        dirty
    }

    /// What waits, is deployed, was held back or needs attention.
    fn watched(&self, state: &State) -> BTreeSet<AppId> {
        let waiting = state.index.waiting.iter().filter(|(_, w)| !w.is_empty()).map(|(id, _)| id);
        waiting
            .chain(state.index.locks.keys())
            .chain(state.delays.keys())
            .chain(self.attention.keys())
            .cloned()
            .collect()
    }

    fn told(&mut self, key: &AppId, row: Option<&AppRow<'_>>, interval: &mut Interval<'_>) {
        match row.map(|row| row.condition) {
            Some(condition) if condition.needs_attention() => {
                self.attention.insert(key.clone(), condition);
            }
            Some(_) | None => {
                self.attention.remove(key);
            }
        }
        interval.apps.insert(key.clone());
    }
}

/// Nodes, with what they were last shown to use.
pub struct Nodes {
    used: BTreeMap<NodeId, Resources>,
}

impl Collection for Nodes {
    type Key = NodeId;
    type Row<'a> = NodeRow<'a>;

    fn of(_: &View<'_>) -> Self {
        Self { used: BTreeMap::new() }
    }

    fn rows<'a>(view: &View<'a>) -> Vec<NodeRow<'a>> {
        view.state.nodes.values().map(|n| node::row(view, n)).collect()
    }

    fn row<'a>(view: &View<'a>, key: &'a NodeId) -> Option<NodeRow<'a>> {
        view.state.nodes.get(key).map(|n| node::row(view, n))
    }

    fn dirty(&mut self, interval: &Interval<'_>) -> BTreeSet<NodeId> {
        let mut dirty: BTreeSet<NodeId> =
            changed(&interval.old.nodes, &interval.view.state.nodes).collect();
        let placements = interval.instances.iter().filter_map(|i| i.placement());
        dirty.extend(placements.map(|p| p.node.clone()));
        dirty.extend(interval.engines.iter().cloned());
        if interval.sampled {
            self.sample(&interval.view, &mut dirty);
        }
        dirty
    }
}

impl Nodes {
    /// Marks nodes whose use differs from what was shown.
    fn sample(&mut self, view: &View<'_>, dirty: &mut BTreeSet<NodeId>) {
        let mut used = BTreeMap::new();
        for id in view.state.nodes.keys() {
            if let Some(now) = node::used(view, id) {
                if self.used.get(id) != Some(&now) {
                    dirty.insert(id.clone());
                }
                used.insert(id.clone(), now);
            }
        }
        self.used = used;
    }
}

/// Deployments; their rows tell how far their apps are.
pub struct Deployments;

impl Collection for Deployments {
    type Key = DeploymentId;
    type Row<'a> = DeploymentRow<'a>;

    fn of(_: &View<'_>) -> Self {
        Self
    }

    fn rows<'a>(view: &View<'a>) -> Vec<DeploymentRow<'a>> {
        view.state.deployments.values().map(|d| deployment::row(view, d)).collect()
    }

    fn row<'a>(view: &View<'a>, key: &'a DeploymentId) -> Option<DeploymentRow<'a>> {
        view.state.deployments.get(key).map(|d| deployment::row(view, d))
    }

    fn dirty(&mut self, interval: &Interval<'_>) -> BTreeSet<DeploymentId> {
        let new = interval.view.state;
        let of_apps = interval.apps.iter().filter_map(|app| new.index.locks.get(app).cloned());
        changed(&interval.old.deployments, &new.deployments).chain(of_apps).collect()
    }

    /// Those that began just now: who did it is in the history a moment later.
    fn watched(&self, state: &State) -> BTreeSet<DeploymentId> {
        let young = state.deployments.values().filter(|d| state.at.since(d.started_at) < YOUNG);
        young.map(|deployment| deployment.id.clone()).collect()
    }
}
