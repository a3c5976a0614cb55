//! Groups as JSON, with the apps and pods in them.
//!
//! The answer to a group is a tree; children are found by one walk over all groups and apps, and
//! each app is written as it comes, so that nothing larger than one app exists beside the bytes.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeSeq as _};

use super::{app::AppInfo, embed::Embed, pod::PodStatus};
use crate::{
    base::clock::Timestamp,
    compat::marathon::spec::app::Stamp,
    core::{
        State,
        state::{App, Group},
    },
    model::{
        path::{GroupId, PathId},
        workload::Kind,
    },
};

/// What the groups of one answer share.
pub struct Tree<'a> {
    state: &'a State,
    embed: Embed,
    now: Timestamp,
    groups: BTreeMap<PathId, Vec<&'a Group>>,
    apps: BTreeMap<PathId, Vec<&'a App>>,
    pods: BTreeMap<PathId, Vec<&'a App>>,
}

impl<'a> Tree<'a> {
    /// The children of every group at and below `root`.
    pub fn below(state: &'a State, root: &GroupId, embed: Embed, now: Timestamp) -> Self {
        let mut groups: BTreeMap<PathId, Vec<&Group>> = BTreeMap::new();
        for group in state.groups.values().filter(|g| g.id.is_below(root)) {
            groups.entry(group.id.parent()).or_default().push(group);
        }
        let mut apps: BTreeMap<PathId, Vec<&App>> = BTreeMap::new();
        let mut pods: BTreeMap<PathId, Vec<&App>> = BTreeMap::new();
        for app in state.apps.values().filter(|app| app.id.is_below(root)) {
            let kind = match app.spec.run.kind {
                Kind::App => &mut apps,
                Kind::Pod => &mut pods,
            };
            kind.entry(app.id.parent()).or_default().push(app);
        }
        Self { state, embed, now, groups, apps, pods }
    }

    /// One group of the tree.
    pub fn group(&'a self, group: &'a Group) -> GroupInfo<'a> {
        GroupInfo {
            id: &group.id,
            dependencies: group.dependencies.iter().collect(),
            version: Stamp(group.version),
            enforce_role: (group.id.segments().count() == 1).then_some(group.enforce_role),
            apps: Apps(self, &group.id),
            pods: Pods(self, &group.id),
            groups: Groups(self, &group.id),
        }
    }
}

/// A group with what was asked for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupInfo<'a> {
    id: &'a GroupId,
    dependencies: Vec<&'a PathId>,
    version: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforce_role: Option<bool>,
    apps: Apps<'a>,
    pods: Pods<'a>,
    groups: Groups<'a>,
}

struct Apps<'a>(&'a Tree<'a>, &'a GroupId);

impl Serialize for Apps<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(tree, group) = self;
        let mut list = serializer.serialize_seq(None)?;
        for app in tree.apps.get(group).into_iter().flatten().filter(|_| tree.embed.apps) {
            list.serialize_element(&AppInfo::of(tree.state, app, tree.embed, tree.now))?;
        }
        list.end()
    }
}

struct Pods<'a>(&'a Tree<'a>, &'a GroupId);

impl Serialize for Pods<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(tree, group) = self;
        let mut list = serializer.serialize_seq(None)?;
        for pod in tree.pods.get(group).into_iter().flatten().filter(|_| tree.embed.pods) {
            list.serialize_element(&PodStatus::of(tree.state, pod, tree.now))?;
        }
        list.end()
    }
}

struct Groups<'a>(&'a Tree<'a>, &'a GroupId);

impl Serialize for Groups<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(tree, group) = self;
        let mut list = serializer.serialize_seq(None)?;
        for group in tree.groups.get(group).into_iter().flatten().filter(|_| tree.embed.groups) {
            list.serialize_element(&tree.group(group))?;
        }
        list.end()
    }
}
