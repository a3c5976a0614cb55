//! The history in a store: over restarts, to another master, within its room, and how long a search takes.

use std::time::Instant;

use super::*;
use crate::{
    base::{
        clock::{SystemClock, Timestamp},
        level::LEVEL,
        rng::Rng,
        task::Tasks,
    },
    core::{
        ClusterCommand, State,
        command::Init,
        history::{Kind, Record, encode},
    },
    log::{Disk, Log, LogConfig, memory::MemoryDisk},
    model::by::{By, Way},
};

fn record(n: u64) -> Record {
    let kind = Kind::ALL[usize::try_from(n % 8).unwrap()];
    Record {
        at: Timestamp::from_ms(1_000 * n.cast_signed()),
        kind,
        of: format!("/shop/group-{}/service-{}", n % 40, n % 400),
        text: format!("changed: image 1.{} → 1.{}, +1 variable, memory 64 → 128 MiB", n, n + 1),
        by: Some(By { uid: format!("user{}", n % 30), way: Way::Cli, peer: None }),
        refused: None,
        version: Some(Timestamp::from_ms(n.cast_signed())),
        deployment: Some(format!("7a7f5d3e-0000-4000-8000-{n:012}").into()),
        took_ms: Some(n),
        instance: Some(format!("shop_service.instance-{n:032}").into()),
        attempt: None,
        bad: false,
    }
}

async fn fill(store: &Arc<dyn Store>, from: u64, to: u64) {
    for first in (from..to).step_by(5_000) {
        let row = |n: u64| (Cursor { revision: n, n: 1 }.row(), Some(encode(&record(n))));
        let rows = (first..to.min(first + 5_000)).map(row).collect();
        store::write(store, Write::Rows { rows, marker: vec![1] }).await.unwrap();
    }
}

fn found(store: &Arc<dyn Store>, query: Query) -> Vec<u64> {
    let page = search(&**store, query).unwrap();
    page.found.iter().map(|found| found.cursor.revision).collect()
}

async fn keeps_to_its_room(store: Arc<dyn Store>) {
    fill(&store, 1, 1_001).await;
    let (room, none) = Room::default().look(&*store, u64::MAX).unwrap();
    assert!(none.is_none());
    let max = room.n_bytes / 2;
    let (_, overdue) = room.look(&*store, max).unwrap();
    store::write(&store, overdue.unwrap()).await.unwrap();
    let (now, overdue) = room.look(&*store, max).unwrap();
    assert!(overdue.is_none() && now.n_bytes <= max && now.n_bytes > max / 2, "{now:?}");
    let page = search(&*store, Query { limit: 1, ..Query::default() }).unwrap();
    assert!(page.dropped && page.since > Some(Timestamp::from_ms(400_000)), "{page:?}");
    assert_eq!(page.found[0].cursor.revision, 1_000, "the newest stays");
    fill(&store, 1_001, 1_011).await;
    let (later, _) = now.look(&*store, u64::MAX).unwrap();
    assert_eq!(later.n_bytes, Room::default().look(&*store, u64::MAX).unwrap().0.n_bytes);
}

#[tokio::test]
async fn the_oldest_go_for_want_of_room_and_it_is_said() {
    keeps_to_its_room(MemoryDisk::default().open()).await;
    #[cfg(feature = "rocksdb")]
    {
        let dir = tempfile::tempdir().unwrap();
        keeps_to_its_room(crate::log::rocks::RocksStore::open(dir.path()).unwrap()).await;
    }
}

#[tokio::test]
async fn a_copy_for_another_master_holds_it_up_to_its_revision() {
    let store = MemoryDisk::default().open();
    fill(&store, 1, 2_501).await;
    let rows: Vec<_> = Rows::new(store.clone(), 2_400).collect();
    assert_eq!(rows.len(), 2_400);
    assert!(rows.is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!(rows[0].0, Cursor { revision: 1, n: 1 }.row());
    let mut n_state_rows = 0;
    store
        .rows(store::RowSet::InForce, &mut |_, _| {
            n_state_rows += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(n_state_rows, 0, "no part of the state");
}

fn init() -> ClusterCommand {
    let (cluster, name) = ("c-1".to_owned(), "test".to_owned());
    ClusterCommand::Init(Init { cluster, name, secret: [7; 32], users: Vec::new(), level: LEVEL })
}

async fn survives_a_restart(disk: Disk) {
    let open = async |tasks: &Tasks| -> Log<State> {
        let config = LogConfig::single("test", disk.clone(), Rng::from_os());
        let log = Log::open(config, None, SystemClock::shared(), tasks.clone()).await.unwrap();
        log.ready(Duration::from_secs(10)).await.unwrap();
        log
    };
    let all = || Query { limit: 9, ..Query::default() };
    let ann = || Some(By { uid: "ann".into(), way: Way::Page, peer: None });
    let tasks = Tasks::new("first");
    let log = open(&tasks).await;
    log.propose_by(ann(), init().into()).await.unwrap().unwrap();
    log.propose_by(ann(), init().into()).await.unwrap().unwrap_err();
    // The rows of an entry are on their way when its outcome is told.
    log.propose_by(None, init().into()).await.unwrap().unwrap_err();
    log.stop().await;
    tasks.stop(Duration::from_secs(5)).await;
    let tasks = Tasks::new("second");
    let log = open(&tasks).await;
    let page = log.history().search(all()).await.unwrap();
    let texts: Vec<_> =
        page.found.iter().map(|f| (&*f.record.text, f.record.refused.is_some())).collect();
    assert_eq!(texts, [("cluster made", true), ("cluster made", false)], "none lost, none twice");
    assert_eq!(page.found[0].record.by, ann());
    log.stop().await;
    tasks.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_restart_neither_loses_nor_doubles_a_record() {
    survives_a_restart(Disk::Memory(MemoryDisk::default())).await;
    #[cfg(feature = "rocksdb")]
    survives_a_restart(Disk::Dir(tempfile::tempdir().unwrap().path().join("log"))).await;
}

/// A week of a busy cluster. How long each search takes is printed; `make bench` measures it in a
/// build that counts.
#[cfg(feature = "rocksdb")]
#[allow(clippy::print_stdout)] // for whoever wants to know
#[tokio::test]
async fn a_hundred_thousand_records_are_searched() {
    const N: u64 = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let store = crate::log::rocks::RocksStore::open(dir.path()).unwrap();
    fill(&store, 1, N + 1).await;
    let query = || Query { limit: 100, ..Query::default() };
    let of = |text: &str| Query { of: Some(text.into()), ..query() };
    let cases = [
        ("newest", query(), 100, N),
        ("a service", of("/shop/group-7/service-7"), 100, 99_607),
        ("text that is nowhere", Query { grep: Some("no such text".into()), ..query() }, 0, 0),
        ("text of the oldest", Query { grep: Some("1.17 →".into()), ..query() }, 1, 17),
        ("an instance", of(&format!("shop_service.instance-{:032}", 5)), 1, 5),
        (
            "who and kind",
            Query { who: Some("user7".into()), kinds: vec![Kind::Kill], ..query() },
            0,
            0,
        ),
        (
            "until long ago",
            Query { until: Some(Timestamp::from_ms(5_000_000)), ..query() },
            100,
            5_000,
        ),
    ];
    for (name, query, n, first) in cases {
        let began = Instant::now();
        let found = found(&store, query);
        println!("{name}: {} found in {:?}", found.len(), began.elapsed());
        if n > 0 {
            assert_eq!((found.len(), found[0]), (n, first), "{name}");
        } else {
            assert!(found.iter().all(|n| record(*n).kind == Kind::Kill), "{name}");
        }
    }
}

#[tokio::test]
async fn who_began_a_deployment_is_found_once_its_record_is_written() {
    let store = MemoryDisk::default().open();
    let history = History::new(store.clone());
    let began = Record { kind: Kind::Change, ..record(5) };
    let deployment = |id: Option<DeploymentId>| Deployment {
        id: id.unwrap(),
        version: began.at,
        started_at: began.at,
        steps: Vec::new(),
        current_step: 0,
        changes: BTreeMap::new(),
        victims: Default::default(),
    };
    let wanted = deployment(began.deployment.clone());
    // It is shown before the store has it, and asked for again.
    assert_eq!(history.begun_by(&wanted, began.at), None);
    let row = (Cursor { revision: 5, n: 1 }.row(), Some(encode(&began)));
    store::write(&store, Write::Rows { rows: [row].into(), marker: vec![1] }).await.unwrap();
    fill(&store, 6, 100).await;
    assert_eq!(history.begun_by(&wanted, began.at).map(|by| by.uid), Some("user5".into()));
    // What the cluster began, or what is too old to be told, is not looked for without end.
    let other = deployment(Some("other".to_owned().into()));
    assert_eq!(history.begun_by(&other, began.at + WRITTEN_WITHIN), None);
    assert_eq!(history.begun.lock().get(&other.id), Some(&None));
}
