//! Instances of one workload that wait, looked at only as far as a plan gets.

use std::collections::BTreeMap;

use super::{cursor::Cursor, report::Hold};
use crate::{
    base::clock::Timestamp,
    core::State,
    model::{instance::InstanceId, path::AppId, workload::WorkloadSpec},
};

/// An instance that waits, and how often it was launched before.
pub(super) type Next<'a> = (&'a InstanceId, u32);

/// Instances of one workload and configuration that wait, in order of their ids.
pub(super) struct Waiting<'a> {
    pub spec: &'a WorkloadSpec,
    /// Since when the longest waiting of those looked at waits.
    pub since: Timestamp,
    pub n_placed: u32,
    pub cursor: Option<Cursor>,
    pub hold: Option<Hold>,
    n_max: usize,
    ids: Box<dyn Iterator<Item = &'a InstanceId> + 'a>,
    next: Option<Next<'a>>,
    /// Instances of other configurations that came up, by configuration and with their versions.
    others: BTreeMap<Timestamp, Vec<(Timestamp, &'a InstanceId)>>,
    /// The last version looked up and its configuration: nearly all are of one version.
    last: Option<(Timestamp, Timestamp)>,
}

impl<'a> Waiting<'a> {
    /// All workloads with waiting instances, each with its wanted configuration first. What waits
    /// of a removed workload is about to be forgotten and gets no place.
    pub fn gather(state: &'a State, now: Timestamp) -> Vec<Self> {
        let one = |(app, ids): (&'a AppId, &'a imbl::OrdSet<InstanceId>)| {
            let spec = state.spec(app)?;
            Some(Self::of(spec, now, ids.len(), Box::new(ids.iter())))
        };
        state.index.waiting.iter().filter_map(one).collect()
    }

    fn of(
        spec: &'a WorkloadSpec,
        since: Timestamp,
        n_max: usize,
        ids: Box<dyn Iterator<Item = &'a InstanceId> + 'a>,
    ) -> Self {
        Self {
            spec,
            since,
            n_placed: 0,
            cursor: None,
            hold: None,
            n_max,
            ids,
            next: None,
            others: BTreeMap::new(),
            last: None,
        }
    }

    /// The next instance of this configuration; the same one until it is `placed`.
    pub fn next(&mut self, state: &'a State) -> Option<Next<'a>> {
        while self.next.is_none() {
            let id = self.ids.next()?;
            self.next = self.sort(state, id);
        }
        self.next
    }

    /// Notes that the instance that came next has a place.
    pub fn placed(&mut self) {
        self.next = None;
        self.n_placed += 1;
    }

    /// Whether some instance came up and found no place.
    pub fn is_blocked(&self) -> bool {
        self.next.is_some()
    }

    /// How many may still come at most.
    pub fn n_left(&self) -> usize {
        self.n_max - self.n_placed as usize
    }

    /// The newest other configuration among the waiting instances. When this one is blocked, up to
    /// `look_max` of those that have not come up are looked at.
    pub fn other_configuration(&mut self, state: &'a State, look_max: usize) -> Option<Self> {
        for _ in 0..look_max {
            let Some(id) = self.ids.next() else { break };
            let _same = self.sort(state, id);
        }
        let (_, instances) = self.others.pop_last()?;
        let (version, first) = *instances.first()?;
        let spec = state.specs.get(&(self.spec.id.clone(), version))?;
        let since = state.instances.get(first)?.since;
        let n = instances.len();
        let mut other = Self::of(spec, since, n, Box::new(instances.into_iter().map(|(_, id)| id)));
        other.others = std::mem::take(&mut self.others);
        Some(other)
    }

    /// An instance of this configuration comes back, another is put aside.
    fn sort(&mut self, state: &'a State, id: &'a InstanceId) -> Option<Next<'a>> {
        if state.index.bound.contains(id) {
            return None; // they are placed before (`bound`)
        }
        let instance = state.instances.get(id)?;
        let config = match self.last {
            Some((version, config)) if version == instance.version => config,
            Some(_) | None => state.spec_of(instance)?.last_config_change_at,
        };
        self.last = Some((instance.version, config));
        if config == self.spec.last_config_change_at {
            self.since = self.since.min(instance.since);
            return Some((id, instance.incarnation));
        }
        self.others.entry(config).or_default().push((instance.version, id));
        None
    }
}
