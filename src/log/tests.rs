//! The log of a single master: storage conformance, proposals, feed, restart.

use std::{sync::Arc, time::Duration};

use openraft::testing::{StoreBuilder, Suite};
use tokio::sync::{mpsc, watch};

use super::{
    journal::{Installing, Journal},
    replica::{Replica, Waiting},
    sample::{Op, Tally},
    store::Store,
    types::{StorageError, Types},
    *,
};
use crate::base::{
    clock::{ManualClock, Timestamp},
    level::LEVEL,
    rng::Rng,
    task::Tasks,
};
/// Runs openraft's own storage tests, which check every rule it relies on.
struct Builder<F>(F);

impl<F, G> StoreBuilder<Types, Journal, Replica<Tally>, G> for Builder<F>
where
    F: Fn() -> (G, Arc<dyn Store>) + Send + Sync,
    G: Send + Sync,
{
    async fn build(&self) -> Result<(G, Journal, Replica<Tally>), StorageError> {
        let (guard, store) = (self.0)();
        let marks = store.marks().unwrap();
        let installing = watch::Sender::new(Installing::default());
        let journal = Journal::open(store.clone(), &marks, installing.subscribe()).unwrap();
        let waiting = Arc::new(Waiting::new(1, 1));
        let replica =
            Replica::open(store, &marks, waiting, installing, mpsc::channel(1).0, LEVEL).unwrap();
        Ok((guard, journal, replica))
    }
}

#[test]
fn the_memory_store_keeps_the_rules_of_openraft() {
    Suite::test_all(Builder(|| ((), memory::MemoryDisk::default().open()))).unwrap();
}

#[cfg(feature = "rocksdb")]
#[test]
fn the_rocksdb_store_keeps_the_rules_of_openraft() {
    let fresh = || {
        let dir = tempfile::tempdir().unwrap();
        let store = rocks::RocksStore::open(dir.path()).unwrap();
        (dir, store)
    };
    Suite::test_all(Builder(fresh)).unwrap();
}

async fn open(disk: &Disk, tasks: &Tasks) -> Log<Tally> {
    let config = LogConfig::single("test", disk.clone(), Rng::from_os());
    let clock = ManualClock::new(Timestamp::from_ms(1_000));
    let log = Log::open(config, None, clock, tasks.clone()).await.unwrap();
    log.ready(Duration::from_secs(10)).await.unwrap();
    log
}

async fn close(log: Log<Tally>, tasks: Tasks) {
    log.stop().await;
    tasks.stop(Duration::from_secs(5)).await;
}

fn op(n: u32) -> Op {
    Op { client: 7, n }
}

async fn a_restart_finds_everything(disk: Disk) {
    let tasks = Tasks::new("first");
    let log = open(&disk, &tasks).await;
    assert!(log.is_leader());
    for n in 0..10 {
        assert_eq!(log.propose(op(n)).await, Ok(u64::from(n) + 1));
    }
    let many = log.propose_all((10..2_000).map(op).collect()).await;
    assert!(many.iter().all(Result::is_ok), "every one of a batch has its outcome");
    let before = log.state();
    close(log, tasks).await;

    let tasks = Tasks::new("second");
    let log = open(&disk, &tasks).await;
    assert_eq!(*log.state(), *before);
    assert_eq!(log.propose(op(0)).await, Ok(2_001));
    assert_eq!((log.state().times(op(0)), log.state().times(op(1_999))), (2, 1));
    close(log, tasks).await;
}

#[tokio::test]
async fn a_restart_finds_everything_in_memory() {
    a_restart_finds_everything(Disk::Memory(memory::MemoryDisk::default())).await;
}

#[cfg(feature = "rocksdb")]
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finds_everything_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    a_restart_finds_everything(Disk::Dir(dir.path().join("log"))).await;
}

#[tokio::test]
async fn a_repeated_request_gets_its_first_outcome() {
    let tasks = Tasks::new("t");
    let log = open(&Disk::Memory(memory::MemoryDisk::default()), &tasks).await;
    let (request, soon) = (log.new_request(), Duration::from_secs(5));
    let first = log.propose_as(request, op(1), soon).await;
    log.propose(op(2)).await.unwrap();
    assert_eq!(log.propose_as(request, op(1), soon).await, first);
    assert_eq!(log.state().times(op(1)), 1);
    close(log, tasks).await;
}

#[tokio::test]
async fn a_follower_gets_every_change_in_order() {
    let tasks = Tasks::new("t");
    let log = open(&Disk::Memory(memory::MemoryDisk::default()), &tasks).await;
    let mut follower = log.subscribe(Some(0));
    log.propose_all((0..300).map(op).collect()).await;
    let mut seen = Vec::new();
    while seen.len() < 300 {
        match follower.next().await {
            Step::Batch(batch) => {
                assert_eq!(batch.state.revision(), batch.revision);
                seen.extend(batch.changes.iter().map(|change| change.op));
            }
            Step::Resync(_) => panic!("nothing was missed"),
        }
    }
    assert_eq!(seen, (0..300).map(op).collect::<Vec<_>>());
    close(log, tasks).await;
}

#[tokio::test]
async fn a_full_disk_refuses_writes_with_a_clear_error_until_there_is_space() {
    let tasks = Tasks::new("t");
    let disk = memory::MemoryDisk::default();
    let log = open(&Disk::Memory(disk.clone()), &tasks).await;
    log.propose(op(1)).await.unwrap();
    disk.set_full(true);
    let error = log.propose(op(2)).await.unwrap_err();
    assert!(error.to_string().contains("disk"), "{error}");
    assert_eq!(log.state().times(op(1)), 1);
    assert!(log.is_short_of_space());
    disk.set_full(false);
    log.propose(op(3)).await.unwrap();
    assert_eq!((log.state().times(op(2)), log.state().times(op(3))), (0, 1));
    assert_eq!(log.failure(), None);
    close(log, tasks).await;
}
