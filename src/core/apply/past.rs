//! Versions of groups: what a change touched gets its version, and its old values are remembered.

use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc};

use super::tx::Tx;
use crate::{
    base::{clock::Timestamp, limit},
    core::{
        change::Change,
        past::Past,
        state::{App, Group},
    },
    model::{
        path::{AppId, GroupId},
        workload::WorkloadSpec,
    },
};

/// Closes a change of workloads and groups: every group on the path to something it changed gets
/// its version, and the old values are kept.
pub fn close(tx: &mut Tx<'_>, version: Timestamp) {
    touch_groups(tx, version);
    let mut apps: BTreeMap<AppId, Option<Arc<WorkloadSpec>>> = BTreeMap::new();
    let mut groups: BTreeMap<GroupId, Option<Arc<Group>>> = BTreeMap::new();
    for change in tx.changes() {
        // The first value a command met is the one from before it.
        match change {
            Change::App { id, old, .. } => {
                let spec = |app: &Arc<App>| app.spec.clone();
                apps.entry(id.clone()).or_insert_with(|| old.as_ref().map(spec));
            }
            Change::Group { id, old, .. } => {
                groups.entry(id.clone()).or_insert_with(|| old.clone());
            }
            _ => {}
        }
    }
    if apps.is_empty() && groups.is_empty() {
        return;
    }
    let n_bytes: usize = apps.values().flatten().map(|spec| spec.stored_bytes()).sum();
    let (apps, groups) = (apps.into_iter().collect(), groups.into_iter().collect());
    let (revision, n_bytes) = (tx.state.revision, n_bytes as u64);
    tx.put(revision, Past { revision, version, apps, groups, n_bytes });
    drop_oldest(tx);
}

fn touch_groups(tx: &mut Tx<'_>, version: Timestamp) {
    let above: BTreeSet<GroupId> = tx
        .changes()
        .iter()
        .filter_map(|change| match change {
            Change::App { id, .. } | Change::Group { id, .. } => Some(id),
            _ => None,
        })
        .flat_map(|id| id.ancestors())
        .collect();
    for id in above {
        let old = tx.state.groups.get(&id).filter(|group| group.version != version);
        if let Some(group) = old.map(|old| Group { version, ..(**old).clone() }) {
            tx.put_group(group);
        }
    }
}

/// Keeps the latest changes, as far as their number and their bytes allow.
fn drop_oldest(tx: &mut Tx<'_>) {
    let past = &tx.state.past;
    let (mut n_changes, mut n_bytes) = (0, 0);
    let mut fits = |past: &Past| {
        n_changes += 1;
        n_bytes += past.n_bytes;
        n_changes <= limit::GROUP_CHANGES_MAX && n_bytes <= limit::GROUP_CHANGES_BYTES_MAX
    };
    let n_kept = past.values().rev().map(|past| &**past).take_while(|p| fits(p)).count();
    let gone: Vec<u64> = past.keys().take(past.len() - n_kept).copied().collect();
    for revision in gone {
        tx.remove::<Past>(&revision);
    }
}
