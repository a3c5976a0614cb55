//! The journal against a plain list, through any order of appends, cuts and new starts.

use std::collections::BTreeMap;

use openraft::{CommittedLeaderId, EntryPayload, storage::RaftLogStorageExt as _};

use super::*;
use crate::{
    base::rng::Rng,
    log::{memory::MemoryDisk, types::Payload},
};

/// What the log should hold.
#[derive(Default)]
struct Model {
    entries: BTreeMap<u64, Entry>,
    purged: Option<LogId>,
}

impl Model {
    fn last(&self) -> Option<LogId> {
        self.entries.values().next_back().map(|entry| entry.log_id).or(self.purged)
    }

    fn first_index(&self) -> u64 {
        self.purged.map_or(0, |id| id.index + 1)
    }

    fn next_index(&self) -> u64 {
        self.last().map_or(0, |id| id.index + 1)
    }

    fn range(&self, from: u64, to: u64) -> Vec<Entry> {
        self.entries.range(from..to.max(from)).map(|(_, entry)| entry.clone()).collect()
    }

    fn at(&self, index: u64) -> LogId {
        self.entries[&index].log_id
    }
}

fn open(disk: &MemoryDisk) -> Journal {
    let store = disk.open();
    let marks = store.marks().expect("readable");
    let installing = watch::Sender::new(Installing::default());
    Journal::open(store, &marks, installing.subscribe()).expect("a log")
}

fn entry(term: u64, index: u64, n_bytes: usize) -> Entry {
    let log_id = LogId::new(CommittedLeaderId::new(term, 1), index);
    let payload =
        EntryPayload::Normal(Payload(vec![u8::try_from(index % 251).unwrap(); n_bytes].into()));
    Entry { log_id, payload }
}

fn below(rng: &mut Rng, n: u64) -> u64 {
    rng.below(n.max(1))
}

/// Everything there is to ask says what the model says.
async fn check(journal: &mut Journal, model: &Model, rng: &mut Rng, what: &str) {
    let state = journal.get_log_state().await.expect("a state");
    assert_eq!(
        (state.last_purged_log_id, state.last_log_id),
        (model.purged, model.last()),
        "{what}"
    );
    assert_eq!(journal.last_index(), model.last().map_or(0, |id| id.index), "{what}");
    let (first, next) = (model.first_index(), model.next_index());
    let all = journal.try_get_log_entries(first..).await.expect("entries");
    assert_eq!(all, model.range(first, next), "{what}");
    for _ in 0..3 {
        let from = first + below(rng, next - first + 1);
        let to = from + below(rng, next + 2 - from.min(next));
        let some = journal.try_get_log_entries(from..to).await.expect("entries");
        assert_eq!(some, model.range(from, to), "{what}: {from}..{to}");
        let sent = journal.limited_get_log_entries(from, to).await.expect("entries");
        let wanted = model.range(from, to);
        assert_eq!(sent[..], wanted[..sent.len()], "{what}: the first of {from}..{to}");
        assert_eq!(sent.is_empty(), wanted.is_empty(), "{what}: a follower always gets on");
        let n_bytes: usize = sent.iter().map(|e| codec::encode(VERSION, e).len()).sum();
        assert!(
            sent.len() == 1 || n_bytes <= SEND_BYTES_MAX,
            "{what}: {n_bytes} bytes in one message"
        );
        let more = wanted.get(sent.len()).map(|e| codec::encode(VERSION, e).len());
        assert!(
            more.is_none_or(|more| n_bytes + more > SEND_BYTES_MAX),
            "{what}: no less than fits"
        );
    }
    let recent = journal.tail.lock().recent_bytes;
    let kept: usize = journal.tail.lock().recent.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(recent, kept, "{what}: the cache knows its size");
}

#[tokio::test]
async fn any_order_of_appends_cuts_and_new_starts_leaves_what_a_list_would_hold() {
    let (mut n_cut, mut n_purged, mut n_cold) = (0, 0, 0);
    for seed in 0..12 {
        let mut rng = Rng::from_seed(seed);
        let disk = MemoryDisk::default();
        let (mut journal, mut model, mut term) = (open(&disk), Model::default(), 1);
        for step in 0..60 {
            let (first, next) = (model.first_index(), model.next_index());
            let what = match below(&mut rng, 10) {
                0..=5 => {
                    // Now and then entries that do not fit into memory together.
                    let n_bytes = if below(&mut rng, 4) == 0 { 3 << 20 } else { 100 };
                    let n = 1 + below(&mut rng, 5);
                    let new: Vec<Entry> = (next..next + n)
                        .map(|at| {
                            entry(term, at, usize::try_from(below(&mut rng, n_bytes)).unwrap())
                        })
                        .collect();
                    model.entries.extend(new.iter().map(|e| (e.log_id.index, e.clone())));
                    journal.blocking_append(new).await.expect("appended");
                    "an append"
                }
                6 | 7 if next > first => {
                    // Another leader's entries take the place of the last ones.
                    let since = next - 1 - below(&mut rng, (next - first).min(4));
                    journal.truncate(model.at(since)).await.expect("cut");
                    drop(model.entries.split_off(&since));
                    term += 1;
                    n_cut += 1;
                    "a cut"
                }
                8 if next > first => {
                    let upto = model.at(first + below(&mut rng, next - first));
                    journal.purge(upto).await.expect("purged");
                    model.entries = model.entries.split_off(&(upto.index + 1));
                    model.purged = Some(upto);
                    n_purged += 1;
                    "a purge"
                }
                _ => {
                    journal = open(&disk);
                    n_cold += 1;
                    "a new start"
                }
            };
            check(&mut journal, &model, &mut rng, &format!("seed {seed}, step {step}: {what}"))
                .await;
        }
    }
    assert!(n_cut > 20 && n_purged > 20 && n_cold > 20, "{n_cut} {n_purged} {n_cold}");
}

/// Memory does not grow with the log; what was not yet written out stays readable.
#[tokio::test]
async fn the_entries_kept_in_memory_are_bounded() {
    let (disk, n) = (MemoryDisk::default(), 40);
    let mut journal = open(&disk);
    for at in 0..n {
        journal.blocking_append([entry(1, at, 1 << 20)]).await.expect("appended");
        assert!(journal.tail.lock().recent_bytes <= CACHE_BYTES_MAX + (2 << 20));
    }
    assert!(journal.tail.lock().recent.len() < 10);
    disk.set_full(true);
    let together: Vec<Entry> = (n..n + 20).map(|at| entry(1, at, 1 << 20)).collect();
    let mut waits = journal.clone();
    let append = waits.blocking_append(together.clone());
    let read = async {
        let found = journal.try_get_log_entries(n..n + 20).await.expect("entries");
        assert_eq!(found, together, "although no disk has them yet");
        disk.set_full(false);
    };
    tokio::join!(append, read).0.expect("appended in the end");
}

#[tokio::test]
async fn a_vote_is_found_again_and_bytes_of_another_release_are_refused() {
    let disk = MemoryDisk::default();
    let mut journal = open(&disk);
    assert_eq!(journal.read_vote().await.expect("readable"), None);
    for vote in [Vote::new(3, 2), Vote::new_committed(4, 1)] {
        journal.save_vote(&vote).await.expect("saved");
        assert_eq!(open(&disk).read_vote().await.expect("readable"), Some(vote));
    }
    let newer = Write::Vote(codec::encode(VERSION + 1, &Vote::new(9, 9)));
    store::write(&disk.open(), newer).await.expect("written");
    let error = open(&disk).read_vote().await.expect_err("unknown").to_string();
    assert!(error.contains("vote has version 3, this release reads 2"), "{error}");
    for bytes in [Vec::new(), vec![VERSION, 0xFF, 0xFF, 0xFF]] {
        store::write(&disk.open(), Write::Vote(bytes.clone())).await.expect("written");
        assert!(open(&disk).read_vote().await.is_err(), "{bytes:?}");
    }
    let broken = Write::Append(vec![(0, vec![VERSION + 1, 0].into())]);
    store::write(&disk.open(), broken).await.expect("written");
    let store = disk.open();
    let marks = store.marks().expect("readable");
    let installing = watch::Sender::new(Installing::default());
    let opened = Journal::open(store, &marks, installing.subscribe());
    assert!(opened.is_err(), "a log that cannot be read is not begun anew");
}

/// The log behind a snapshot stays until that is in force.
#[tokio::test(start_paused = true)]
async fn a_purge_waits_for_the_snapshot_it_is_for() {
    let disk = MemoryDisk::default();
    let store = disk.open();
    let marks = store.marks().expect("readable");
    let installing = watch::Sender::new(Installing { upto: Some(5) });
    let mut journal = Journal::open(store, &marks, installing.subscribe()).expect("a log");
    let entries: Vec<Entry> = (0..8).map(|at| entry(1, at, 1)).collect();
    let ids: Vec<LogId> = entries.iter().map(|e| e.log_id).collect();
    journal.blocking_append(entries).await.expect("appended");
    journal.purge(ids[4]).await.expect("it is older than the snapshot");
    let mut other = journal.clone();
    let mut purge = std::pin::pin!(other.purge(ids[5]));
    let waited = tokio::time::timeout(std::time::Duration::from_secs(3_600), purge.as_mut()).await;
    assert!(waited.is_err(), "the snapshot is not in force yet");
    assert_eq!(journal.try_get_log_entries(5..8).await.expect("entries").len(), 3);
    installing.send_replace(Installing { upto: None });
    purge.await.expect("now it is");
    assert_eq!(journal.get_log_state().await.expect("a state").last_purged_log_id, Some(ids[5]));
}
