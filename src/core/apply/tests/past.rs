//! What groups were before, and what remembering it costs.

use std::collections::BTreeSet;

use super::{
    super::*,
    world::{World, app, edit, put},
};
use crate::{
    base::{clock::Timestamp, limit},
    core::{
        WorkloadCommand,
        command::{Edit, GroupChange, GroupEdit, PutApps},
    },
    model::path::{GroupId, PathId},
};

fn id(text: &str) -> PathId {
    PathId::parse(text)
}

/// Changes apps and groups; the version it got.
fn change(w: &mut World, edits: Vec<Edit>, groups: Vec<GroupEdit>) -> Timestamp {
    let deployment = w.id();
    w.ok(WorkloadCommand::PutApps(Box::new(PutApps {
        force: true,
        groups,
        ..put(&deployment, edits)
    })));
    w.settle();
    w.state.groups[&GroupId::root()].version
}

fn with(w: &mut World, app_id: &str, instances: u32) -> Timestamp {
    change(w, vec![edit(&id(app_id), Some(app(app_id, instances)))], Vec::new())
}

/// The apps of a group in a version, with their numbers; `None` where nobody remembers it.
fn shown(w: &World, group: &str, version: Timestamp) -> Option<Vec<(String, u32)>> {
    let then = w.state.in_version(&id(group), version)?;
    Some(then.apps.values().map(|a| (a.id.to_string(), a.spec.instances)).collect())
}

#[test]
fn every_version_of_a_tree_is_found_again() {
    let mut w = World::new(1);
    let mut seen: Vec<(Timestamp, [Option<Vec<(String, u32)>>; 3])> = Vec::new();
    let note = |w: &World, at: Timestamp, seen: &mut Vec<_>| {
        let now = |g: &str| {
            w.state.groups.get(&id(g))?;
            let below = w.state.apps.values().filter(|a| a.id.is_below(&id(g)));
            Some(below.map(|a| (a.id.to_string(), a.spec.instances)).collect::<Vec<_>>())
        };
        seen.push((at, [now("/"), now("/p"), now("/p/q")]));
    };
    for (app_id, n) in [("/p/db", 1), ("/p/q/api", 1), ("/x/other", 1), ("/p/db", 3)] {
        let at = with(&mut w, app_id, n);
        note(&w, at, &mut seen);
    }
    let at = change(&mut w, vec![edit(&id("/p/q/api"), None)], Vec::new());
    note(&w, at, &mut seen);
    let gone = GroupEdit { id: id("/p"), change: GroupChange::Delete };
    let at = change(&mut w, Vec::new(), vec![gone]);
    note(&w, at, &mut seen);
    let at = with(&mut w, "/p/new", 1);
    note(&w, at, &mut seen);
    for (at, [root, p, q]) in &seen {
        assert_eq!(shown(&w, "/", *at), *root, "root at {at}");
        assert_eq!(shown(&w, "/p", *at), *p, "/p at {at}");
        assert_eq!(shown(&w, "/p/q", *at), *q, "/p/q at {at}");
    }
    // A group's own versions are those of changes at or below it.
    let versions: Vec<Timestamp> = seen.iter().map(|(at, _)| *at).collect();
    let newest_first = |list: &[usize]| list.iter().rev().map(|&n| versions[n]).collect::<Vec<_>>();
    assert_eq!(w.state.group_versions(&id("/x")), newest_first(&[2]));
    assert_eq!(w.state.group_versions(&id("/p")), newest_first(&[0, 1, 3, 4, 6]));
    assert_eq!(w.state.group_versions(&id("/p/q")), newest_first(&[1, 4]), "gone, remembered");
    assert_eq!(w.state.group_versions(&id("/none")), []);
    assert_eq!(shown(&w, "/p", versions[0] + std::time::Duration::from_millis(1)), None);

    // All of it is stored.
    let mut loaded = State::default();
    for (key, value) in w.state.rows() {
        loaded.load_row(&key, &value).expect("a row");
    }
    loaded.finish_load();
    assert_eq!(loaded.past, w.state.past);
    assert_eq!(loaded.fingerprint(), w.state.fingerprint());
}

#[test]
fn a_refused_change_is_not_remembered() {
    let mut w = World::new(1);
    with(&mut w, "/p/db", 1);
    let before = w.state.past.clone();
    let d = w.id();
    let edits =
        vec![edit(&id("/p/web"), Some(app("/p/web", 1))), edit(&id("/p"), Some(app("/p", 1)))];
    w.rejected(WorkloadCommand::PutApps(Box::new(put(&d, edits))));
    assert_eq!(w.state.past, before);
    assert_eq!(w.state.groups.get(&id("/p/web")), None);
}

#[test]
fn as_many_changes_are_remembered_as_there_is_room_for() {
    let mut w = World::new(1);
    let quiet = with(&mut w, "/quiet/app", 0);
    for n in 0..u32::try_from(limit::GROUP_CHANGES_MAX).unwrap() - 1 {
        with(&mut w, "/busy/app", n % 2);
    }
    assert_eq!(w.state.past.len(), limit::GROUP_CHANGES_MAX);
    assert!(shown(&w, "/", quiet).is_some());
    with(&mut w, "/busy/app", 7);
    assert_eq!(w.state.past.len(), limit::GROUP_CHANGES_MAX);
    // The first change is forgotten; what it made is still the present of its group.
    assert!(shown(&w, "/quiet", quiet).is_some());
    let fat = |n: usize| {
        let mut fat = app("/fat/app", 0);
        fat.run_mut().labels.insert("fat".to_owned(), "x".repeat(1_000_000 + n));
        edit(&id("/fat/app"), Some(fat))
    };
    for n in 0..20 {
        change(&mut w, vec![fat(n)], Vec::new());
    }
    let n_bytes: u64 = w.state.past.values().map(|past| past.n_bytes).sum();
    assert!(n_bytes <= limit::GROUP_CHANGES_BYTES_MAX, "{n_bytes}");
    assert_eq!(w.state.past.len(), 16);
    let kept: BTreeSet<u64> = w.state.past.keys().copied().collect();
    assert_eq!(kept.len(), 16);
}
