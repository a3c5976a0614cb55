//! Snapshots and deltas as JSON, and the memory that tells what changed.
//!
//! The difference of two states costs what has changed, not what there is: their maps share
//! everything else. Beside the state a row depends on leader memory (why an app waits, what a node
//! uses); apps about which that has a say are compared as text every time, samples every few
//! seconds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use imbl::{OrdMap, ordmap::DiffItem};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    api::{
        handles::Cluster,
        view::{
            Iso, Resources, View, app, deployment, node,
            status::{self, Status},
            tally::Tally,
        },
    },
    base::clock::Timestamp,
    core::State,
    model::{AppId, DeploymentId, NodeId},
};

/// How often samples of resource use are shown anew.
const SAMPLES: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Snapshot<'a> {
    revision: u64,
    at: Iso,
    status: Status,
    apps: Vec<app::AppRow<'a>>,
    nodes: Vec<node::NodeRow<'a>>,
    deployments: Vec<deployment::DeploymentRow<'a>>,
}

#[derive(Serialize)]
struct Delta {
    revision: u64,
    at: Iso,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Rows::is_empty")]
    apps: Rows,
    #[serde(skip_serializing_if = "Rows::is_empty")]
    nodes: Rows,
    #[serde(skip_serializing_if = "Rows::is_empty")]
    deployments: Rows,
}

/// Changed rows of one kind.
#[derive(Default, Serialize)]
struct Rows {
    set: Vec<Box<RawValue>>,
    removed: Vec<String>,
}

impl Rows {
    fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }

    fn add<T: Serialize>(&mut self, id: &str, row: Option<T>) {
        match row.map(|row| to_raw_value(&row)) {
            Some(Ok(row)) => self.set.push(row),
            Some(Err(error)) => tracing::error!(id, %error, "a row cannot be written"),
            None => self.removed.push(id.to_owned()),
        }
    }
}

/// Everything as JSON.
pub fn snapshot(view: &View<'_>, started_at: Timestamp) -> String {
    let state = view.state;
    let snapshot = Snapshot {
        revision: state.revision,
        at: Iso(view.now),
        status: status::status(view, started_at),
        apps: app::ids(state).filter_map(|id| app::row(view, id)).collect(),
        nodes: state.nodes.values().map(|n| node::row(view, n)).collect(),
        deployments: state.deployments.values().map(|d| deployment::row(view, d)).collect(),
    };
    serde_json::to_string(&snapshot).unwrap_or_default()
}

/// What was shown last, as far as the next delta depends on it.
pub struct Memory {
    state: Arc<State>,
    tally: Tally,
    attention: BTreeSet<AppId>,
    /// Rows of apps that are watched, as they were sent: what is said of them changes without the
    /// state.
    watched: BTreeMap<AppId, Box<RawValue>>,
    status: Status,
    used: BTreeMap<NodeId, Resources>,
    /// Nodes whose container engine did not answer.
    down: BTreeSet<NodeId>,
    sampled_at: Timestamp,
}

impl Memory {
    /// The memory of somebody who was shown all of `state`.
    pub fn of(view: &View<'_>, state: Arc<State>, started_at: Timestamp) -> Self {
        let mut attention = BTreeSet::new();
        for id in app::ids(&state) {
            if app::row(view, id).is_some_and(|row| row.condition.needs_attention()) {
                attention.insert(id.clone());
            }
        }
        let tally = Tally::of(&state, state.instances.values().map(|i| &**i));
        let status = status::counted(view, started_at, &tally, attention.len());
        let (watched, used) = (BTreeMap::new(), BTreeMap::new());
        let sampled_at = Timestamp::EPOCH;
        let down = engines_down(view);
        Self { state, tally, attention, watched, status, used, down, sampled_at }
    }

    pub fn state(&self) -> Arc<State> {
        self.state.clone()
    }

    pub fn revision(&self) -> u64 {
        self.state.revision
    }

    /// Goes on to `new`; the changes as JSON, `None` when no row is another one.
    pub fn advance(
        &mut self,
        new: Arc<State>,
        now: Timestamp,
        cluster: &dyn Cluster,
        started_at: Timestamp,
    ) -> Option<String> {
        let old = std::mem::replace(&mut self.state, new.clone());
        let view = View { state: &new, now, cluster };
        self.tally.shift(&old, &new);
        let mut dirty = Dirty::between(&old, &new);
        let sampled = now.since(self.sampled_at) >= SAMPLES;
        if sampled {
            self.sampled_at = now;
            self.sample(&view, &mut dirty.nodes);
        }
        self.engines(&view, &mut dirty);
        let apps = self.apps(&view, &mut dirty);
        let mut nodes = Rows::default();
        for id in &dirty.nodes {
            nodes.add(id.as_str(), new.nodes.get(id).map(|n| node::row(&view, n)));
        }
        let mut deployments = Rows::default();
        for id in &dirty.deployments {
            let row = new.deployments.get(id).map(|d| deployment::row(&view, d));
            deployments.add(id.as_str(), row);
        }
        let status = self.status(&view, started_at, sampled);
        let delta =
            Delta { revision: new.revision, at: Iso(now), status, apps, nodes, deployments };
        let nothing = delta.status.is_none()
            && delta.apps.is_empty()
            && delta.nodes.is_empty()
            && delta.deployments.is_empty();
        if nothing { None } else { serde_json::to_string(&delta).ok() }
    }

    /// Rows of the changed apps and of those about which something else is to be said than before:
    /// what waits, is deployed, was held back or needs attention is looked at every time, because
    /// reports, leader memory and mere time change the answer.
    fn apps(&mut self, view: &View<'_>, dirty: &mut Dirty) -> Rows {
        let mut rows = Rows::default();
        let index = &view.state.index;
        let waiting = index.waiting.iter().filter(|(_, w)| !w.is_empty()).map(|(id, _)| id);
        let watched: BTreeSet<AppId> = waiting
            .chain(index.locks.keys())
            .chain(view.state.delays.keys())
            .chain(&self.attention)
            .cloned()
            .collect();
        for id in dirty.apps.union(&watched) {
            let row = app::row(view, id);
            if row.as_ref().is_some_and(|r| r.condition.needs_attention()) {
                self.attention.insert(id.clone());
            } else {
                self.attention.remove(id);
            }
            let n_before = rows.set.len();
            rows.add(id.as_str(), row);
            let Some(sent) = rows.set.get(n_before) else {
                self.watched.remove(id);
                continue;
            };
            let same = self.watched.get(id).is_some_and(|b| b.get() == sent.get());
            if watched.contains(id) {
                self.watched.insert(id.clone(), sent.clone());
            } else {
                self.watched.remove(id);
            }
            if same && !dirty.apps.contains(id) {
                rows.set.pop();
            } else {
                dirty.deployments.extend(index.locks.get(id).cloned());
            }
        }
        rows
    }

    /// Marks nodes whose container engine went or came, with the apps that have instances there.
    fn engines(&mut self, view: &View<'_>, dirty: &mut Dirty) {
        let down = engines_down(view);
        for id in down.symmetric_difference(&self.down) {
            dirty.nodes.insert(id.clone());
            dirty.apps.extend(view.state.instances_on(id).filter_map(|i| i.app().cloned()));
        }
        self.down = down;
    }

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

    /// The status when something in it changed besides time and, between samples, use.
    fn status(&mut self, view: &View<'_>, started_at: Timestamp, sampled: bool) -> Option<Status> {
        let fresh = status::counted(view, started_at, &self.tally, self.attention.len());
        let mut alike = fresh.clone();
        (alike.revision, alike.at) = (self.status.revision, self.status.at);
        alike.uptime_s = self.status.uptime_s;
        if !sampled {
            alike.used = self.status.used;
        }
        let changed = alike != self.status;
        if changed {
            self.status = fresh.clone();
        }
        changed.then_some(fresh)
    }
}

fn engines_down(view: &View<'_>) -> BTreeSet<NodeId> {
    let nodes = view.state.nodes.keys();
    nodes.filter(|id| node::engine_away(view, id).is_some()).cloned().collect()
}

/// Whose rows may be others.
#[derive(Default)]
struct Dirty {
    apps: BTreeSet<AppId>,
    nodes: BTreeSet<NodeId>,
    deployments: BTreeSet<DeploymentId>,
}

impl Dirty {
    fn between(old: &State, new: &State) -> Self {
        let mut dirty = Self::default();
        dirty.apps.extend(keys(&old.apps, &new.apps));
        dirty.apps.extend(keys(&old.delays, &new.delays));
        dirty.nodes.extend(keys(&old.nodes, &new.nodes));
        for item in old.instances.diff(&new.instances) {
            for instance in both(&item) {
                dirty.apps.extend(instance.app().cloned());
                dirty.nodes.extend(instance.placement().map(|p| p.node.clone()));
            }
        }
        for item in old.deployments.diff(&new.deployments) {
            for deployment in both(&item) {
                dirty.deployments.insert(deployment.id.clone());
                dirty.apps.extend(deployment.changes.keys().cloned());
            }
        }
        let locks = dirty.apps.iter().filter_map(|app| new.index.locks.get(app));
        dirty.deployments.extend(locks.cloned());
        dirty
    }
}

/// The values of a difference, old and new.
fn both<'a, K, V>(item: &DiffItem<'a, 'a, K, V>) -> impl Iterator<Item = &'a V> {
    let pair = match *item {
        DiffItem::Add(_, new) => [Some(new), None],
        DiffItem::Remove(_, old) => [Some(old), None],
        DiffItem::Update { old: (_, old), new: (_, new) } => [Some(old), Some(new)],
    };
    pair.into_iter().flatten()
}

fn keys<'a, K: Ord + Clone, V: PartialEq>(
    old: &'a OrdMap<K, V>,
    new: &'a OrdMap<K, V>,
) -> impl Iterator<Item = K> {
    old.diff(new).map(|item| match item {
        DiffItem::Add(key, _)
        | DiffItem::Remove(key, _)
        | DiffItem::Update { new: (key, _), .. } => key.clone(),
    })
}
