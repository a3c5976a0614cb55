//! Where each instance is: small rows for whoever draws the whole cluster.
//!
//! A row is another one when its instance is, or when something that says how an instance is doing
//! is: its node, the engine there, the delay its app has earned, time. Measured use is told in tenths
//! of what is reserved, and again only when it has left its tenth: what is steady costs nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;

use super::{
    collection::{Collection, KindMemory, Rows},
    interval::{Interval, Intervals, both, changed},
    shown::Shown,
};
use crate::{
    api::view::{
        Decimal, Iso, Resources, View,
        verdict::{Standing, instance::verdict},
    },
    base::{clock::Timestamp, units::Milli},
    control::cluster::Cluster,
    core::State,
    model::{Instance, InstanceId, Scalars, link::TaskUsage},
};

/// `PlacedInstance` of the contract.
#[derive(Serialize)]
pub struct PlacedRow<'a> {
    id: &'a str,
    app_id: &'a str,
    node_id: &'a str,
    state: Standing,
    cpus: Decimal,
    mem_mb: Decimal,
    disk_mb: Decimal,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<Used>,
}

/// Measured use, to a tenth of what is reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Used {
    cpus: Decimal,
    mem_mb: Decimal,
}

/// One instance with a place that has not ended, and its use as it was measured last.
struct Placed<'a> {
    instance: &'a Instance,
    node: &'a str,
    demand: Scalars,
}

impl<'a> Placed<'a> {
    fn of(state: &'a State, instance: &'a Instance) -> Option<Self> {
        let place = instance.placement().filter(|_| !instance.condition().is_terminal())?;
        state.nodes.get(&place.node)?;
        let demand = state.spec_of(instance).map(|spec| spec.run.demand()).unwrap_or_default();
        Some(Self { instance, node: place.node.as_str(), demand })
    }

    fn usage(&self, view: &View<'_>) -> Option<TaskUsage> {
        let usage = view.cluster.usage(&self.instance.placement()?.node)?;
        usage.tasks.iter().find(|task| task.instance == self.instance.id).cloned()
    }

    fn row(&self, view: &View<'_>, usage: Option<&TaskUsage>) -> PlacedRow<'a> {
        let demand = Resources::from(self.demand);
        PlacedRow {
            id: self.instance.id.as_str(),
            app_id: self.instance.app().map_or("", |app| app.as_str()),
            node_id: self.node,
            state: verdict(view, self.instance).state,
            cpus: demand.cpus,
            mem_mb: demand.mem_mb,
            disk_mb: demand.disk_mb,
            used: usage.map(|usage| self.rounded(usage)),
        }
    }

    fn rounded(&self, usage: &TaskUsage) -> Used {
        let [cpus, mem_mb] = self.tenths(usage).map(|(value, step)| (value / step).round() * step);
        Used { cpus: Decimal(Milli::from_f64(cpus)), mem_mb: Decimal(Milli::from_f64(mem_mb)) }
    }

    /// CPUs and MiB, each with a tenth of what is reserved of it.
    fn tenths(&self, usage: &TaskUsage) -> [(f64, f64); 2] {
        let mem_mb = usage.mem_bytes as f64 / f64::from(1 << 20);
        [
            (usage.cpus, (self.demand.cpus.as_f64() / 10.0).max(0.01)),
            (mem_mb, (self.demand.mem.as_f64() / 10.0).max(1.0)),
        ]
    }

    /// Whether use has left the tenth it was told to be in, by more than noise.
    fn has_left(&self, told: Option<Used>, usage: &TaskUsage) -> bool {
        let Some(told) = told else { return true };
        let told = [told.cpus, told.mem_mb].map(|Decimal(milli)| milli.as_f64());
        let mut pairs = told.into_iter().zip(self.tenths(usage));
        pairs.any(|(told, (value, step))| (value - told).abs() > 0.8 * step)
    }
}

/// Instances that have a place.
pub struct Instances {
    /// Whose standing may change although nothing happens to them: what is not simply running.
    open: BTreeSet<InstanceId>,
    used: BTreeMap<InstanceId, Used>,
}

impl Collection for Instances {
    type Key = InstanceId;
    type Row<'a> = PlacedRow<'a>;

    fn of(view: &View<'_>) -> Self {
        let rows = Self::rows(view);
        let open = rows.iter().filter(|row| row.state != Standing::Running);
        Self {
            open: open.map(|row| InstanceId::from(row.id)).collect(),
            used: rows.iter().filter_map(|row| Some((row.id.into(), row.used?))).collect(),
        }
    }

    fn rows<'a>(view: &View<'a>) -> Vec<PlacedRow<'a>> {
        let mut rows = Vec::new();
        for node in view.state.nodes.keys() {
            let usage = view.cluster.usage(node);
            let tasks = usage.as_ref().map_or(&[][..], |usage| &usage.tasks);
            let placed = view.state.instances_on(node).filter_map(|i| Placed::of(view.state, i));
            rows.extend(placed.map(|one| {
                one.row(view, tasks.iter().find(|task| task.instance == one.instance.id))
            }));
        }
        rows
    }

    fn row<'a>(view: &View<'a>, key: &'a InstanceId) -> Option<PlacedRow<'a>> {
        let placed = Placed::of(view.state, view.state.instances.get(key)?)?;
        Some(placed.row(view, placed.usage(view).as_ref()))
    }

    fn dirty(&mut self, interval: &Interval<'_>) -> BTreeSet<InstanceId> {
        let (old, new) = (interval.old, interval.view.state);
        let mut dirty: BTreeSet<InstanceId> =
            interval.instances.iter().map(|instance| instance.id.clone()).collect();
        let nodes = old.nodes.diff(&new.nodes);
        let nodes = nodes.flat_map(|item| both(&item)).map(|node| node.id());
        let on = nodes.chain(&interval.engines).flat_map(|node| new.instances_on(node));
        dirty.extend(on.map(|instance| instance.id.clone()));
        for app in changed(&old.delays, &new.delays) {
            dirty.extend(new.instances_of(&app).map(|instance| instance.id.clone()));
        }
        if interval.sampled {
            self.sample(&interval.view, &mut dirty);
        }
        dirty
    }

    fn watched(&self, _: &State) -> BTreeSet<InstanceId> {
        self.open.clone()
    }

    fn told(&mut self, key: &InstanceId, row: Option<&PlacedRow<'_>>, _: &mut Interval<'_>) {
        match row.filter(|row| row.state != Standing::Running) {
            Some(_) => self.open.insert(key.clone()),
            None => self.open.remove(key),
        };
        match row.and_then(|row| row.used) {
            Some(used) => self.used.insert(key.clone(), used),
            None => self.used.remove(key),
        };
    }
}

impl Instances {
    /// Marks what uses something else than was told.
    fn sample(&self, view: &View<'_>, dirty: &mut BTreeSet<InstanceId>) {
        for usage in view.state.nodes.keys().filter_map(|node| view.cluster.usage(node)) {
            for task in &usage.tasks {
                let instance = view.state.instances.get(&task.instance);
                let placed = instance.and_then(|instance| Placed::of(view.state, instance));
                let told = self.used.get(&task.instance).copied();
                if placed.is_some_and(|placed| placed.has_left(told, task)) {
                    dirty.insert(task.instance.clone());
                }
            }
        }
    }
}

#[derive(Serialize)]
struct Snapshot<'a> {
    revision: u64,
    at: Iso,
    instances: Vec<PlacedRow<'a>>,
}

#[derive(Serialize)]
struct Delta {
    revision: u64,
    at: Iso,
    instances: Rows,
}

/// What was shown last.
pub struct Memory {
    state: Arc<State>,
    instances: KindMemory<Instances>,
    intervals: Intervals,
}

impl Shown for Memory {
    fn of(view: &View<'_>, state: Arc<State>, _: Timestamp) -> Self {
        Self { state, instances: KindMemory::of(view), intervals: Intervals::from(view) }
    }

    fn snapshot(view: &View<'_>, _: Timestamp) -> String {
        let instances = Instances::rows(view);
        let snapshot = Snapshot { revision: view.state.revision, at: Iso(view.now), instances };
        serde_json::to_string(&snapshot).unwrap_or_default()
    }

    fn advance(
        &mut self,
        new: Arc<State>,
        now: Timestamp,
        cluster: &dyn Cluster,
        _: Timestamp,
    ) -> Option<String> {
        let old = std::mem::replace(&mut self.state, new.clone());
        let view = View { state: &new, now, cluster };
        let mut interval = self.intervals.next(&old, view);
        let instances = self.instances.advance(&mut interval);
        if instances.is_empty() {
            return None;
        }
        serde_json::to_string(&Delta { revision: new.revision, at: Iso(now), instances }).ok()
    }

    fn state(&self) -> Arc<State> {
        self.state.clone()
    }
}
