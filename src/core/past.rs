//! What groups were before: of every change the old values of what it touched.
//!
//! An earlier tree is found by laying old values over the present ones, the latest change first, so
//! that remembering a change costs what it touched and not the size of the cluster.

use std::{collections::BTreeMap, sync::Arc};

use super::state::{App, Group, State};
use crate::{
    base::clock::Timestamp,
    model::{
        path::{AppId, GroupId, PathId},
        workload::WorkloadSpec,
    },
};
use imbl::OrdMap;

/// One accepted change of workloads or groups.
#[derive(Clone, PartialEq, Debug)]
pub struct Past {
    /// The change was the command of this revision.
    pub revision: u64,
    /// The version that began with it.
    pub version: Timestamp,
    /// Definitions before it; `None` where it made the workload.
    pub apps: Vec<(AppId, Option<Arc<WorkloadSpec>>)>,
    /// Groups before it, all on the path to what it changed; `None` where it made the group.
    pub groups: Vec<(GroupId, Option<Arc<Group>>)>,
    /// What its definitions take where they are stored.
    pub n_bytes: u64,
}

impl State {
    /// The versions a group has had, newest first, as far as they are remembered.
    pub fn group_versions(&self, id: &GroupId) -> Vec<Timestamp> {
        let before = |past: &Arc<Past>| {
            let (_, group) = past.groups.iter().find(|(group, _)| group == id)?;
            Some(group.as_ref()?.version)
        };
        let now = self.groups.get(id).map(|group| group.version);
        let mut versions: Vec<Timestamp> = now.into_iter().collect();
        versions.extend(self.past.values().rev().filter_map(before));
        versions.dedup();
        versions
    }

    /// The group and everything below it in a version of its own or of the root's: a state that
    /// holds nothing but groups and workloads. `None` where it is not remembered.
    pub fn in_version(&self, id: &GroupId, version: Timestamp) -> Option<Self> {
        let root = PathId::root();
        let is_in = |path: &PathId| path == id || path.is_below(id);
        let mut groups: BTreeMap<&GroupId, &Arc<Group>> =
            self.groups.iter().filter(|(group, _)| is_in(group) || **group == root).collect();
        let mut apps: BTreeMap<&AppId, &Arc<WorkloadSpec>> = self
            .apps
            .iter()
            .filter(|(app, _)| is_in(app))
            .map(|(app, wanted)| (app, &wanted.spec))
            .collect();
        for past in self.past.values().rev().take_while(|past| past.version > version) {
            for (group, old) in past.groups.iter().filter(|(g, _)| is_in(g) || *g == root) {
                set(&mut groups, group, old.as_ref());
            }
            for (app, old) in past.apps.iter().filter(|(app, _)| is_in(app)) {
                set(&mut apps, app, old.as_ref());
            }
        }
        let is_of_version =
            |group: &GroupId| groups.get(group).is_some_and(|g| g.version == version);
        if !groups.contains_key(id) || !(is_of_version(id) || is_of_version(&root)) {
            return None;
        }
        let app = |(id, spec): (AppId, Arc<WorkloadSpec>)| {
            (id.clone(), Arc::new(App { id, spec, last_failure: None }))
        };
        let owned = |(key, value): (&PathId, &Arc<Group>)| (key.clone(), value.clone());
        Some(Self {
            groups: groups.into_iter().filter(|(g, _)| is_in(g)).map(owned).collect(),
            apps: apps.into_iter().map(|(id, spec)| app((id.clone(), spec.clone()))).collect(),
            ..Self::default()
        })
    }

    /// Lets remembered definitions be the stored ones where both are the same.
    pub(super) fn share_past(&mut self) {
        let shared = |past: &Arc<Past>| {
            let mut past = (**past).clone();
            for spec in past.apps.iter_mut().filter_map(|(_, spec)| spec.as_mut()) {
                let stored = self.specs.get(&(spec.id.clone(), spec.version));
                if let Some(stored) = stored.filter(|stored| *stored == spec) {
                    *spec = stored.clone();
                }
            }
            Arc::new(past)
        };
        let all: OrdMap<u64, Arc<Past>> =
            self.past.iter().map(|(revision, past)| (*revision, shared(past))).collect();
        self.past = all;
    }
}

fn set<'a, T>(map: &mut BTreeMap<&'a PathId, &'a T>, key: &'a PathId, value: Option<&'a T>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(key),
    };
}
