//! Stores that were left behind: read as a whole, refused where they do not hold together, made the store
//! of an only master.

use std::{collections::BTreeSet, time::Duration};

use super::*;
use crate::{
    base::{
        clock::{ManualClock, Timestamp},
        level::LEVEL,
        rng::Rng,
        task::Tasks,
    },
    log::{
        Log, LogConfig,
        memory::MemoryDisk,
        sample::{Op, Tally},
    },
};

fn op(n: u32) -> Op {
    Op { client: 3, n }
}

async fn open(disk: &Disk, id: MemberId, tasks: &Tasks) -> Log<Tally> {
    let config = LogConfig::single("test", disk.clone(), Rng::from_os());
    let members = if id == 1 { config.members.clone() } else { BTreeMap::new() };
    let clock = ManualClock::new(Timestamp::from_ms(1_000));
    Log::open(LogConfig { id, members, ..config }, None, clock, tasks.clone()).await.unwrap()
}

/// A store that a single master has left behind, and its state then.
async fn left_behind(disk: &Disk, n: u32) -> Tally {
    let tasks = Tasks::new("before");
    let log = open(disk, 1, &tasks).await;
    log.ready(Duration::from_secs(10)).await.unwrap();
    for n in 0..n {
        log.propose(op(n)).await.unwrap();
    }
    let state = (*log.state()).clone();
    log.stop().await;
    tasks.stop(Duration::from_secs(5)).await;
    state
}

/// An entry that says that three masters decide, behind all others: two of them are needed from then on.
async fn three_decide(disk: &Disk) {
    let stopped = Stopped::open(disk).await.unwrap();
    let last = stopped.read::<Tally>(LEVEL).unwrap().last.unwrap();
    let member = |id| (id, Member { address: format!("m{id}:1") });
    let members: BTreeMap<MemberId, Member> = (1..=3).map(member).collect();
    let three: BTreeSet<MemberId> = [1, 2, 3].into();
    let membership = openraft::Membership::new(vec![three], members);
    let log_id = LogId::new(last.leader_id, last.index + 1);
    let entry = Entry { log_id, payload: EntryPayload::Membership(membership) };
    let bytes = codec::encode(journal::VERSION, &entry).into();
    store::write(&stopped.store, Write::Append(vec![(log_id.index, bytes)])).await.unwrap();
    stopped.close().await;
}

async fn one_of_three_becomes_the_only_one(disk: Disk) {
    let before = left_behind(&disk, 5).await;
    three_decide(&disk).await;

    let stopped = Stopped::open(&disk).await.unwrap();
    let whole = stopped.read::<Tally>(LEVEL).unwrap();
    assert_eq!(whole.machine, before);
    assert_eq!(whole.members.membership().voter_ids().count(), 3);
    let first =
        Stamped { at: Timestamp::from_ms(2_000), request: None, by: None, command: op(100) };
    stopped.make_sole(&whole, 7, "m7:1", std::slice::from_ref(&first)).await.unwrap();
    let again = stopped.read::<Tally>(LEVEL).unwrap();
    assert_eq!(again.last_index(), whole.last_index() + 2);
    assert_eq!(again.members.membership().voter_ids().collect::<Vec<_>>(), [7]);
    stopped.close().await;

    let tasks = Tasks::new("after");
    let log = open(&disk, 7, &tasks).await;
    log.ready(Duration::from_secs(10)).await.unwrap();
    assert!(log.is_leader());
    assert_eq!(log.propose(op(101)).await, Ok(7), "behind five and the one it was given");
    let state = log.state();
    assert_eq!((state.times(op(4)), state.times(op(100)), state.times(op(101))), (1, 1, 1));
    log.stop().await;
    tasks.stop(Duration::from_secs(5)).await;
    assert_eq!(*state, {
        let stopped = Stopped::look(&disk).await.unwrap();
        let whole = stopped.read::<Tally>(LEVEL).unwrap();
        stopped.close().await;
        whole.machine
    });
}

#[tokio::test]
async fn one_of_three_becomes_the_only_one_in_memory() {
    one_of_three_becomes_the_only_one(Disk::Memory(MemoryDisk::default())).await;
}

#[cfg(feature = "rocksdb")]
#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_becomes_the_only_one_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    one_of_three_becomes_the_only_one(Disk::Dir(dir.path().join("log"))).await;
}

#[tokio::test]
async fn a_state_that_was_put_is_worked_on() {
    let (from, to) = (Disk::Memory(MemoryDisk::default()), Disk::Memory(MemoryDisk::default()));
    let state = left_behind(&from, 9).await;
    let stopped = Stopped::open(&to).await.unwrap();
    stopped.begin_fill().await.unwrap();
    stopped.put(Machine::rows(&state).collect()).await.unwrap();
    assert_eq!(stopped.read::<Tally>(LEVEL).unwrap().n_rows, 0, "nothing is in force yet");
    stopped.install(LogId::new(openraft::LeaderId::new(4, 1), 70)).await.unwrap();
    let whole = stopped.read::<Tally>(LEVEL).unwrap();
    assert_eq!((&whole.machine, whole.last_index(), whole.n_entries), (&state, 70, 0));
    stopped.make_sole(&whole, 5, "m5:1", &[]).await.unwrap();
    stopped.close().await;

    let tasks = Tasks::new("after");
    let log = open(&to, 5, &tasks).await;
    log.ready(Duration::from_secs(10)).await.unwrap();
    assert_eq!(log.propose(op(9)).await, Ok(10));
    let metrics = log.metrics();
    assert!(metrics.current_term > 4 && metrics.last_log_index >= Some(73), "{metrics}");
    log.stop().await;
    tasks.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_hole_in_the_log_is_found() {
    let disk = Disk::Memory(MemoryDisk::default());
    left_behind(&disk, 5).await;
    let stopped = Stopped::open(&disk).await.unwrap();
    let last = stopped.read::<Tally>(LEVEL).unwrap().last_index();
    let (_, bytes) = stopped.store.last_entry().unwrap().unwrap();
    store::write(&stopped.store, Write::Append(vec![(last + 2, bytes)])).await.unwrap();
    let error = stopped.read::<Tally>(LEVEL).err().unwrap().to_string();
    assert!(error.contains(&format!("entry {} is missing", last + 1)), "{error}");
}

#[cfg(feature = "rocksdb")]
#[tokio::test(flavor = "multi_thread")]
async fn looking_changes_no_file_and_needs_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::Dir(dir.path().join("log"));
    assert!(Stopped::look(&disk).await.is_err());
    assert!(!dir.path().join("log").exists());
    left_behind(&disk, 5).await;
    let files = || {
        let entries = std::fs::read_dir(dir.path().join("log")).unwrap().flatten();
        let file = |e: std::fs::DirEntry| {
            let told = e.metadata().unwrap();
            (e.file_name(), told.len(), told.modified().unwrap())
        };
        entries.map(file).collect::<BTreeSet<_>>()
    };
    let before = files();
    let stopped = Stopped::look(&disk).await.unwrap();
    let whole = stopped.read::<Tally>(LEVEL).unwrap();
    assert_eq!(whole.machine.times(op(4)), 1);
    assert_eq!(stopped.read_history().unwrap(), Records::default());
    let refused = store::write(&stopped.store, Write::StageBegin).await;
    assert!(refused.is_err());
    stopped.close().await;
    assert_eq!(files(), before);
}
