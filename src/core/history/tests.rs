//! What commands leave in the history, and how it is searched.

use super::*;
use crate::{
    base::rng::Rng,
    core::{
        NodeCommand, TaskCommand, WorkloadCommand, apply,
        apply::tests::world::{World, app, checked, edit, put},
        history::differ::differences,
    },
    model::{
        AppId,
        by::Way,
        container::{EnvValue, Image},
        instance::CheckStatus,
        link::Report,
        node::Duty,
        workload::WorkloadSpec,
    },
};

fn by(uid: &str) -> Option<By> {
    Some(By { uid: uid.to_owned(), way: Way::Cli, peer: None })
}

/// Applies a command of `uid` and tells what the history says of it.
fn told(w: &mut World, uid: &str, command: impl Into<crate::core::Command>) -> Vec<Record> {
    w.now += 10;
    let at = Timestamp::from_ms(w.now);
    let entry = Stamped { at, request: None, by: by(uid), command: command.into() };
    let (outcome, changes) = apply(&mut w.state, &entry);
    records(&w.state, &entry, &outcome, &changes)
}

fn put_as(w: &mut World, uid: &str, spec: WorkloadSpec) -> Vec<Record> {
    let id = w.id();
    let edit = edit(&spec.id.clone(), Some(spec));
    told(w, uid, WorkloadCommand::PutApps(Box::new(put(&id, vec![edit]))))
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|r| format!("{} {} {}", r.kind.as_str(), r.of, r.text)).collect()
}

#[test]
fn who_changed_what_is_told_with_what_came_of_it() {
    let mut w = World::new(1);
    let made = put_as(&mut w, "ann", app("/shop/api", 2));
    assert_eq!(texts(&made), ["change /shop/api created with 2 instances"]);
    assert_eq!(made[0].by, by("ann"));
    w.settle();
    let scaled = put_as(&mut w, "bob", app("/shop/api", 5));
    assert_eq!(texts(&scaled), ["change /shop/api scaled from 2 to 5"]);
    assert_eq!(
        (&scaled[0].by, scaled[0].version),
        (&by("bob"), w.state.spec(&AppId::parse("/shop/api")).map(|s| s.version))
    );
    w.settle();
    let mut spec = app("/shop/api", 5);
    spec.run_mut().containers[0].env.insert("KEY".into(), EnvValue::Text("s3cret".into()));
    spec.run_mut().containers[0].resources.mem = crate::base::units::Milli::whole(64);
    let changed = put_as(&mut w, "bob", spec);
    assert_eq!(texts(&changed), ["change /shop/api changed: memory 32 → 64 MiB, +1 variable"]);
    assert!(!format!("{changed:?}").contains("s3cret"), "values are nobody's business");
    w.settle();
    let back = put_as(&mut w, "bob", app("/shop/api", 5));
    assert!(back[0].text.starts_with("rolled back to version "), "{}", back[0].text);
    w.settle();
    assert_eq!(
        texts(&put_as(&mut w, "bob", app("/shop/api", 0)))[0],
        "change /shop/api stopped; it had 5 instances"
    );
    w.settle();
    let id = w.id();
    let gone = edit(&AppId::parse("/shop/api"), None);
    let deleted = told(&mut w, "bob", WorkloadCommand::PutApps(Box::new(put(&id, vec![gone]))));
    assert_eq!(texts(&deleted)[0], "change /shop/api deleted; it had 0 instances");
}

#[test]
fn a_deployment_ends_with_its_time_and_a_refusal_with_its_reason() {
    let mut w = World::new(1);
    w.put(app("/a", 1));
    w.now += 4_000;
    let refused = put_as(&mut w, "ann", app("/a", 3));
    assert_eq!(texts(&refused), ["change /a change"]);
    assert!(
        refused[0].refused.as_deref().unwrap_or_default().contains("works on it"),
        "{refused:?}"
    );
    let (id, undo) = (w.state.deployments.keys().next().unwrap().clone(), None);
    let ended = told(&mut w, "ann", WorkloadCommand::CancelDeployment { id: id.clone(), undo });
    assert_eq!(texts(&ended), ["deployment /a deployment ended early: cancelled"]);
    assert_eq!((&ended[0].deployment, ended[0].bad), (&Some(id), true));
    assert!(ended[0].took_ms.is_some_and(|ms| ms >= 4_000), "{ended:?}");
    // The cluster's own tries are no news.
    w.now += 10;
    let entry = Stamped {
        at: Timestamp::from_ms(w.now),
        request: None,
        by: None,
        command: NodeCommand::RemoveNode(NodeId::from("nope")).into(),
    };
    let (outcome, changes) = apply(&mut w.state, &entry);
    assert!(outcome.is_err());
    assert_eq!(records(&w.state, &entry, &outcome, &changes), []);
}

#[test]
fn an_attempt_ends_with_its_code_its_last_lines_and_its_place() {
    let mut w = World::new(1);
    w.put(app("/a", 1));
    w.settle();
    let instance = w.running("/a")[0].clone();
    w.now += 2_000;
    let report = Report {
        message: "Container exited with status 3".into(),
        exit_code: Some(3),
        tail: format!("{}\nFATAL: cannot open", "x".repeat(2_000)),
        ..Report::new(instance.id.clone(), 1, Condition::Failed, Timestamp::from_ms(w.now))
    };
    let node = instance.placement().unwrap().node.clone();
    let told = told(&mut w, "agent", TaskCommand::Report { node, reports: vec![report] });
    assert_eq!(texts(&told), ["attempt /a Container exited with status 3"]);
    let attempt = told[0].attempt.as_ref().unwrap();
    assert_eq!((attempt.incarnation, attempt.exit_code), (1, Some(3)));
    assert_eq!((attempt.node.as_str(), attempt.host.as_str()), ("n0", "host0"));
    assert_eq!((&*attempt.tail, told[0].bad, &told[0].by), ("FATAL: cannot open", true, &None));
    assert!(told[0].took_ms.is_some_and(|ms| ms >= 2_000));
}

#[test]
fn health_nodes_and_killed_instances_are_told() {
    let mut w = World::new(2);
    w.put(checked(app("/a", 1)));
    w.settle();
    let instance = w.running("/a")[0].clone();
    let node = instance.placement().unwrap().node.clone();
    let report = |w: &mut World, alive: bool| {
        let cause = Some("HTTP 404".to_owned());
        let check = CheckStatus { alive, last_failure_cause: cause, ..CheckStatus::default() };
        let at = Timestamp::from_ms(w.now);
        let new = Report::new(instance.id.clone(), 1, Condition::Running, at);
        let report = Report { health: vec![check], ready: true, ..new };
        told(w, "agent", TaskCommand::Report { node: node.clone(), reports: vec![report] })
    };
    assert_eq!(texts(&report(&mut w, false)), ["health /a fails its health check: HTTP 404"]);
    assert_eq!(texts(&report(&mut w, false)), [""; 0], "it still does");
    assert_eq!(texts(&report(&mut w, true)), ["health /a passes its health checks again"]);
    let kill = TaskCommand::Kill {
        instances: vec![instance.id.clone()],
        wipe: false,
        reason: KillReason::Request,
    };
    let killed = told(&mut w, "ann", kill);
    assert_eq!(texts(&killed), ["kill /a instance ended on request"]);
    assert_eq!((&killed[0].by, &killed[0].instance), (&by("ann"), &Some(instance.id.clone())));
    let id = || NodeId::from("n1");
    let drained = Duty::Drained { since: Timestamp::EPOCH };
    let duty = told(&mut w, "ann", NodeCommand::NodeDuty { node: id(), duty: drained });
    assert_eq!(texts(&duty), ["node n1 host1 is drained"]);
    let lost = told(&mut w, "m", NodeCommand::NodeReach { node: id(), reachable: false });
    assert_eq!(texts(&lost), ["node n1 host1 is not heard of any more"]);
    w.now += 65_000;
    let back = told(&mut w, "m", NodeCommand::NodeReach { node: id(), reachable: true });
    assert_eq!(texts(&back), ["node n1 host1 is heard again after 1 min 5 s"]);
}

#[test]
fn a_repeated_request_is_told_once_and_nothing_before_the_level() {
    let mut w = World::new(0);
    let command = NodeCommand::RemoveNode(NodeId::from("nope"));
    let entry = Stamped {
        at: Timestamp::from_ms(5_000),
        request: Some(crate::core::command::RequestId(7)),
        by: by("ann"),
        command: command.into(),
    };
    let mut n = || {
        let (outcome, changes) = apply(&mut w.state, &entry);
        rows(&w.state, &entry, &outcome, &changes).len()
    };
    assert_eq!((n(), n()), (1, 0));
    let cluster = w.state.cluster.clone().unwrap();
    let before = crate::core::state::Cluster { level: level::NAMES, ..(*cluster).clone() };
    w.state.cluster = Some(before.into());
    let entry = Stamped { request: None, ..entry };
    let (outcome, changes) = apply(&mut w.state, &entry);
    assert_eq!(rows(&w.state, &entry, &outcome, &changes), []);
}

#[test]
fn differences_are_a_few_words() {
    let (mut old, mut new) = (app("/a", 2), app("/a", 3));
    let image = |name: &str| {
        Some(Image {
            name: name.into(),
            force_pull: false,
            privileged: false,
            parameters: Vec::new(),
            pull_secret: None,
            labels: Default::default(),
        })
    };
    old.run_mut().containers[0].image = image("hub:5000/web:1.4");
    new.run_mut().containers[0].image = image("hub:5000/web:1.5");
    new.run_mut().labels.insert("a".into(), "b".into());
    new.run_mut().containers[0].resources.mem = crate::base::units::Milli::whole(2048);
    assert_eq!(
        differences(&old, &new),
        ["instances 2 → 3", "image 1.4 → 1.5", "memory 32 MiB → 2 GiB", "+1 label"]
    );
    new.run_mut().containers[0].image = image("hub:5000/other");
    assert_eq!(differences(&old, &new)[1], "image hub:5000/web:1.4 → hub:5000/other");
    assert_eq!(differences(&old, &old), [""; 0]);
}

#[test]
fn times_are_short() {
    for (ms, text) in [
        (0_u64, "0.0 s"),
        (2_049, "2.0 s"),
        (12_999, "12 s"),
        (80_000, "1 min 20 s"),
        (7_200_000, "2 h"),
        (273_600_000, "3 d 4 h"),
    ] {
        assert_eq!(took(ms), text);
    }
}

fn record(n: i64, of: &str, kind: Kind, text: &str) -> Record {
    Record {
        at: Timestamp::from_ms(n * 1_000),
        kind,
        of: of.into(),
        text: text.into(),
        by: by(if n % 2 == 0 { "ann" } else { "bob" }),
        refused: None,
        version: None,
        deployment: None,
        took_ms: None,
        instance: None,
        attempt: None,
        bad: false,
    }
}

/// Searches records that stand at revisions 1, 2, ….
fn search(records: &[Record], query: Query) -> Page {
    let row = |(n, record): (usize, &Record)| {
        (Cursor { revision: n as u64 + 1, n: 1 }.row(), encode(record))
    };
    let all: Vec<_> = records.iter().enumerate().map(row).collect();
    let (from, to) = query.range();
    let mut search = Search::new(query);
    let mut within = all.iter().rev().filter(|(key, _)| *key >= from && *key < to);
    let _ended = within.all(|(key, row)| search.row(key, row));
    let _ended = all.iter().all(|(key, row)| search.beginning(key, row));
    search.page()
}

#[test]
fn a_search_holds_to_all_that_is_asked() {
    let records = [
        record(1, "/shop/api", Kind::Change, "created with 2 instances"),
        record(2, "/shop/web", Kind::Change, "Scaled from 1 to 2"),
        record(3, "/shopping", Kind::Attempt, "Container exited with status 3"),
        record(4, "n1", Kind::Node, "host1 joined"),
    ];
    let of = |text: &str| Query { of: Some(text.into()), limit: 9, ..Query::default() };
    let found = |query: Query| -> Vec<u64> {
        search(&records, query).found.iter().map(|f| f.cursor.revision).collect()
    };
    let all = || Query { limit: 9, ..Query::default() };
    assert_eq!(found(all()), [4, 3, 2, 1]);
    assert_eq!(found(of("/shop")), [2, 1], "a group with what is below it, by whole names");
    assert_eq!(found(of("/shop/api")), [1]);
    assert_eq!(found(of("/")), [3, 2, 1]);
    assert_eq!(found(of("n1")), [4]);
    assert_eq!(found(Query { who: Some("ann".into()), ..all() }), [4, 2]);
    assert_eq!(found(Query { kinds: vec![Kind::Node, Kind::Attempt], ..all() }), [4, 3]);
    assert_eq!(found(Query { grep: Some("sCALED".into()), ..all() }), [2]);
    assert_eq!(
        found(Query { grep: Some("status 3".into()), who: Some("bob".into()), ..all() }),
        [3]
    );
    let at = |s: i64| Some(Timestamp::from_ms(s * 1_000));
    assert_eq!(found(Query { since: at(2), until: at(3), ..all() }), [3, 2]);
    let cursor = |revision| Some(Cursor { revision, n: 1 });
    assert_eq!(found(Query { before: cursor(3), ..all() }), [2, 1]);
    assert_eq!(found(Query { after: cursor(3), ..all() }), [4]);
    let page = search(&records, Query { limit: 2, ..all() });
    assert_eq!((page.before, page.since, page.dropped), (cursor(3), at(1), false));
    assert_eq!(search(&records, Query { limit: 4, ..all() }).before, None);
}

#[test]
fn cursors_are_read_as_written_and_stand_in_order() {
    let mut rng = Rng::from_seed(3);
    let mut last = Cursor::DROPPED;
    for _ in 0..100 {
        let next = Cursor { revision: last.revision + rng.below(3), n: 0 }.max(last.next());
        assert!(next.row() > last.row());
        assert_eq!(
            (Cursor::of_row(&next.row()), Cursor::parse(&next.to_string())),
            (Some(next), Some(next))
        );
        last = next;
    }
    assert_eq!((Cursor::parse("7"), Cursor::parse("x-1")), (None, None));
    assert_eq!(Cursor { revision: 7, n: u16::MAX }.next(), Cursor { revision: 8, n: 0 });
}
