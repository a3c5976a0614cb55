//! A store in memory: for tests, for simulated crashes, and for builds without RocksDB.
//!
//! A `MemoryDisk` outlives the logs that use it, as a disk outlives processes. It remembers which
//! writes were not yet synced, so that a simulated power loss can take any suffix of them away.

use std::{ops::Bound, sync::Arc};

use bytes::Bytes;
use imbl::OrdMap;
use parking_lot::Mutex;

use super::{
    machine::RowKey,
    store::{Done, Look, Marks, Order, RowSet, Store, StoreError, Visit, Write},
};
use crate::core::history;

/// States between two syncs that are remembered for a power loss to choose from.
const UNSYNCED_MAX: usize = 64;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    inner: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    now: Data,
    /// The last synced state, then each state since, oldest first. Empty when all is synced.
    unsynced: Vec<Data>,
    full: bool,
    /// Writes that wait for room, oldest first.
    waiting: Vec<(Write, Done)>,
}

/// Everything on the disk; clones share structure.
#[derive(Clone, Default)]
struct Data {
    marks: Marks,
    entries: OrdMap<u64, Bytes>,
    rows: OrdMap<RowKey, Vec<u8>>,
    staged: OrdMap<RowKey, Vec<u8>>,
}

impl MemoryDisk {
    /// Power loss: keeps everything synced and, of the writes since, a prefix chosen by `pick`.
    pub fn lose_power(&self, pick: u64) {
        let mut disk = self.inner.lock();
        let mut choices = std::mem::take(&mut disk.unsynced);
        choices.push(disk.now.clone());
        let at = usize::try_from(pick % choices.len() as u64).unwrap_or(0);
        disk.now = choices.swap_remove(at);
    }

    /// Lets every write wait as on a full disk, or go on.
    pub fn set_full(&self, full: bool) {
        let mut disk = self.inner.lock();
        disk.full = full;
        if full {
            return;
        }
        let mut finished = Vec::new();
        for (write, done) in std::mem::take(&mut disk.waiting) {
            disk.apply(write);
            finished.push(done);
        }
        drop(disk);
        for done in finished {
            done(Ok(()));
        }
    }

    /// A store over this disk.
    pub fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore { disk: self.clone(), state: Mutex::new(Ok(())) })
    }
}

struct MemoryStore {
    disk: MemoryDisk,
    /// The first failure; sticky.
    state: Mutex<Result<(), StoreError>>,
}

impl Store for MemoryStore {
    fn write(&self, write: Write, done: Done) {
        let state = self.state.lock();
        if state.is_ok() {
            let mut disk = self.disk.inner.lock();
            if disk.full {
                disk.waiting.push((write, done));
                return;
            }
            disk.apply(write);
        }
        let result = state.clone();
        drop(state);
        done(result);
    }

    fn marks(&self) -> Result<Marks, StoreError> {
        Ok(self.disk.inner.lock().now.marks.clone())
    }

    fn entries(
        &self,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let entries = self.disk.inner.lock().now.entries.clone();
        let (mut out, mut size) = (Vec::new(), 0);
        for (index, bytes) in entries.range(from..to) {
            if !out.is_empty() && size + bytes.len() > bytes_max {
                break;
            }
            size += bytes.len();
            out.push((*index, bytes.clone()));
        }
        Ok(out)
    }

    fn last_entry(&self) -> Result<Option<(u64, Bytes)>, StoreError> {
        let disk = self.disk.inner.lock();
        Ok(disk.now.entries.get_max().map(|(i, b)| (*i, b.clone())))
    }

    fn rows(&self, set: RowSet, visit: Visit<'_>) -> Result<(), StoreError> {
        let rows = {
            let disk = self.disk.inner.lock();
            match set {
                RowSet::InForce => disk.now.rows.clone(),
                RowSet::Staged => disk.now.staged.clone(),
            }
        };
        let mut rows = rows.iter().take_while(|(key, _)| !history::is_row(key));
        rows.try_for_each(|(key, value)| visit(key, value))
    }

    fn walk(
        &self,
        (from, to): (&[u8], &[u8]),
        order: Order,
        look: Look<'_>,
    ) -> Result<(), StoreError> {
        let rows = self.disk.inner.lock().now.rows.clone();
        let mut range = rows.range::<_, [u8]>((Bound::Included(from), Bound::Excluded(to)));
        let look = |(key, value): (&RowKey, &Vec<u8>)| look(key, value);
        let _ended = match order {
            Order::Up => range.all(look),
            Order::Down => range.rev().all(look),
        };
        Ok(())
    }

    fn close(&self) {
        let closed = StoreError::Failed("the store was closed".to_owned());
        let mut state = self.state.lock();
        if state.is_ok() {
            *state = Err(closed.clone());
        }
        drop(state);
        let waiting = std::mem::take(&mut self.disk.inner.lock().waiting);
        for (_, done) in waiting {
            done(Err(closed.clone()));
        }
    }

    fn free_bytes(&self) -> Option<u64> {
        self.disk.inner.lock().full.then_some(0)
    }
}

impl Disk {
    fn apply(&mut self, write: Write) {
        if write.must_sync() {
            self.unsynced.clear();
        } else if self.unsynced.len() < UNSYNCED_MAX {
            self.unsynced.push(self.now.clone());
        }
        let now = &mut self.now;
        match write {
            Write::Vote(vote) => now.marks.vote = Some(vote),
            Write::Append(entries) => now.entries.extend(entries),
            Write::Truncate { from } => now.entries = now.entries.split(&from).0,
            Write::Purge { upto, marker } => {
                now.entries = now.entries.split(&upto).1;
                now.marks.purged = Some(marker);
            }
            Write::Rows { rows, marker } => {
                for (key, value) in rows {
                    match value {
                        Some(value) => now.rows.insert(key, value),
                        None => now.rows.remove(&key),
                    };
                }
                now.marks.applied = Some(marker);
            }
            Write::DropRows { from, to, put: (key, value) } => {
                let gone: Vec<RowKey> =
                    now.rows.range(from..to).map(|(key, _)| key.clone()).collect();
                for key in gone {
                    now.rows.remove(&key);
                }
                now.rows.insert(key, value);
            }
            Write::StageBegin => now.staged = OrdMap::new(),
            Write::StageRows(rows) => now.staged.extend(rows),
            Write::Install { marker } => {
                now.rows = std::mem::take(&mut now.staged);
                now.marks.applied = Some(marker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::store::write;

    fn rows(n: u8) -> Write {
        Write::Rows { rows: vec![(vec![n], Some(vec![n]))], marker: vec![n] }
    }

    #[tokio::test]
    async fn power_loss_takes_only_what_was_not_synced() {
        for (pick, applied) in [(0, vec![1]), (1, vec![2]), (2, vec![3])] {
            let disk = MemoryDisk::default();
            let store = disk.open();
            write(&store, rows(1)).await.unwrap();
            write(&store, Write::Append(vec![(4, Bytes::from_static(b"e"))])).await.unwrap();
            write(&store, rows(2)).await.unwrap();
            write(&store, rows(3)).await.unwrap();
            disk.lose_power(pick);
            assert_eq!(disk.open().marks().unwrap().applied, Some(applied));
            assert_eq!(disk.open().last_entry().unwrap().unwrap().0, 4);
        }
    }

    #[tokio::test]
    async fn a_full_disk_lets_writes_wait_in_their_order() {
        let disk = MemoryDisk::default();
        let store = disk.open();
        disk.set_full(true);
        let writes = (1..=3).map(|n| write(&store, rows(n)));
        let all = futures_util::future::join_all(writes);
        let free = async {
            tokio::task::yield_now().await;
            assert!(store.marks().unwrap().applied.is_none());
            disk.set_full(false);
        };
        let (results, ()) = tokio::join!(all, free);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(store.marks().unwrap().applied, Some(vec![3]));
    }

    #[tokio::test]
    async fn closing_ends_the_wait_for_room() {
        let disk = MemoryDisk::default();
        let store = disk.open();
        disk.set_full(true);
        let (result, ()) = tokio::join!(write(&store, rows(1)), async {
            tokio::task::yield_now().await;
            store.close();
        });
        assert!(result.is_err());
        disk.set_full(false);
        assert!(write(&disk.open(), rows(2)).await.is_ok(), "a restart goes on");
    }

    #[tokio::test]
    async fn truncate_and_purge_cut_where_they_say() {
        let store = MemoryDisk::default().open();
        let entries = (1..=9).map(|i| (i, Bytes::from(vec![0; 10]))).collect();
        write(&store, Write::Append(entries)).await.unwrap();
        write(&store, Write::Truncate { from: 8 }).await.unwrap();
        write(&store, Write::Purge { upto: 2, marker: vec![2] }).await.unwrap();
        let indexes = |bytes_max| -> Vec<u64> {
            store.entries(0, 100, bytes_max).unwrap().iter().map(|e| e.0).collect()
        };
        assert_eq!(indexes(1000), [3, 4, 5, 6, 7]);
        assert_eq!(indexes(25), [3, 4]);
        assert_eq!(indexes(1), [3], "never fewer than one");
    }
}
