//! openraft's log storage over a [`Store`]: entries, vote and purge mark.
//!
//! Recent entries are also kept in memory, since every entry is read again right after it was
//! written: once to be applied, once per follower. Reads outside this cache go to the store.

use std::{
    collections::VecDeque,
    fmt::Debug,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

use bytes::Bytes;
use openraft::{
    LogState, OptionalSend, RaftLogId as _, RaftLogReader,
    storage::{LogFlushed, RaftLogStorage},
};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    codec::{self, CodecError},
    store::{self, Marks, Store, StoreError, Write},
    types::{Entry, LogId, StorageError, Types, Vote, unreadable},
};

/// Version of the bytes of entries, votes and purge marks.
pub(super) const VERSION: u8 = 2;
/// Bytes of entries kept in memory after they were written.
const CACHE_BYTES_MAX: usize = 8 << 20;
/// Bytes of entries sent to a follower in one message.
const SEND_BYTES_MAX: usize = 4 << 20;

/// The log storage. Clones share everything.
#[derive(Clone)]
pub struct Journal {
    store: Arc<dyn Store>,
    tail: Arc<Mutex<Tail>>,
    installing: watch::Receiver<Installing>,
}

/// Progress of a snapshot being installed, so that the log it replaces is not purged before the
/// snapshot is in force: openraft orders the purge without waiting for the installation.
#[derive(Clone, Copy, Default, Debug)]
pub struct Installing {
    /// Index of the snapshot on its way into the state machine.
    pub upto: Option<u64>,
}

/// The end of the log, in memory.
#[derive(Default)]
struct Tail {
    purged: Option<LogId>,
    last: Option<LogId>,
    /// Consecutive entries up to the last one, with the bytes of each payload.
    recent: VecDeque<(Entry, usize)>,
    recent_bytes: usize,
}

impl Journal {
    /// The log found in `store`.
    pub fn open(
        store: Arc<dyn Store>,
        marks: &Marks,
        installing: watch::Receiver<Installing>,
    ) -> Result<Self, OpenError> {
        let purged = purged(marks)?;
        let last = match store.last_entry()? {
            Some((_, bytes)) => Some(*decode_entry(&bytes)?.get_log_id()),
            None => purged,
        };
        let tail = Tail { purged, last, ..Tail::default() };
        Ok(Self { store, tail: Arc::new(Mutex::new(tail)), installing })
    }

    /// Index of the last entry, 0 if there was never one.
    pub fn last_index(&self) -> u64 {
        self.tail.lock().last.map_or(0, |id| id.index)
    }

    /// Entries of `[from, to)`, at most `bytes_max` bytes but at least one.
    fn read(&self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<Entry>, StorageError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let cached = self.tail.lock().read(from, to, bytes_max);
        if let Some(entries) = cached {
            return Ok(entries);
        }
        let found = self.store.entries(from, to, bytes_max).map_err(read_failed)?;
        found.iter().map(|(_, bytes)| decode_entry(bytes).map_err(|e| unreadable(&e))).collect()
    }
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl Tail {
    fn push(&mut self, entry: Entry, bytes: usize) {
        self.last = Some(*entry.get_log_id());
        self.recent.push_back((entry, bytes));
        self.recent_bytes += bytes;
    }

    /// Forgets old entries beyond the cache's size; the newest `n_unwritten` stay, as they may not
    /// be readable from the store yet.
    fn trim(&mut self, n_unwritten: usize) {
        while self.recent_bytes > CACHE_BYTES_MAX && self.recent.len() > n_unwritten {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some((_, bytes)) = self.recent.pop_front() {
            self.recent_bytes -= bytes;
        }
    }

    fn first_index(&self) -> Option<u64> {
        self.recent.front().map(|(entry, _)| entry.log_id.index)
    }

    /// The wanted entries, if the cache holds the first of them.
    fn read(&self, from: u64, to: u64, bytes_max: usize) -> Option<Vec<Entry>> {
        let first = self.first_index().filter(|first| *first <= from)?;
        let skip = usize::try_from(from - first).ok()?;
        let (mut out, mut size) = (Vec::new(), 0);
        for (entry, bytes) in self.recent.iter().skip(skip) {
            let over = !out.is_empty() && size + bytes > bytes_max;
            if entry.log_id.index >= to || over {
                break;
            }
            size += bytes;
            out.push(entry.clone());
        }
        Some(out)
    }
}

impl RaftLogReader<Types> for Journal {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let from = match range.start_bound() {
            Bound::Included(at) => *at,
            Bound::Excluded(at) => at + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(at) => at + 1,
            Bound::Excluded(at) => *at,
            Bound::Unbounded => u64::MAX,
        };
        self.read(from, to, usize::MAX)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        self.read(start, end, SEND_BYTES_MAX)
    }
}

impl RaftLogStorage<Types> for Journal {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let tail = self.tail.lock();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let write = Write::Vote(codec::encode(VERSION, vote));
        store::write(&self.store, write).await.map_err(write_failed)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let marks = self.store.marks().map_err(read_failed)?;
        vote(&marks).map_err(|e| unreadable(&e))
    }

    async fn append<I>(
        &mut self,
        entries: I,
        flushed: LogFlushed<Types>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut writes = Vec::new();
        {
            let mut tail = self.tail.lock();
            for entry in entries {
                let bytes = Bytes::from(codec::encode(VERSION, &entry));
                writes.push((entry.log_id.index, bytes.clone()));
                tail.push(entry, bytes.len());
            }
            tail.trim(writes.len());
        }
        let done = Box::new(|result: Result<(), StoreError>| {
            flushed.log_io_completed(result.map_err(Into::into));
        });
        self.store.write(Write::Append(writes), done);
        Ok(())
    }

    async fn truncate(&mut self, since: LogId) -> Result<(), StorageError> {
        store::write(&self.store, Write::Truncate { from: since.index })
            .await
            .map_err(write_failed)?;
        {
            let mut tail = self.tail.lock();
            while tail.recent.back().is_some_and(|(e, _)| e.log_id.index >= since.index) {
                if let Some((_, bytes)) = tail.recent.pop_back() {
                    tail.recent_bytes -= bytes;
                }
            }
            if let Some((entry, _)) = tail.recent.back() {
                tail.last = Some(entry.log_id);
                return Ok(());
            }
        }
        let last = match self.store.last_entry().map_err(read_failed)? {
            Some((_, bytes)) => Some(decode_entry(&bytes).map_err(|e| unreadable(&e))?.log_id),
            None => None,
        };
        let mut tail = self.tail.lock();
        tail.last = last.or(tail.purged);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        let covered = |i: &Installing| i.upto.is_none_or(|at| at > upto.index);
        if self.installing.wait_for(covered).await.is_err() {
            tracing::debug!("the state machine is gone, purging as ordered");
        }
        let marker = codec::encode(VERSION, &upto);
        store::write(&self.store, Write::Purge { upto: upto.index, marker })
            .await
            .map_err(write_failed)?;
        let mut tail = self.tail.lock();
        while tail.first_index().is_some_and(|first| first <= upto.index) {
            tail.pop_front();
        }
        tail.purged = Some(upto);
        tail.last = tail.last.max(Some(upto));
        Ok(())
    }
}

/// The last entry that is not kept any more.
pub(super) fn purged(marks: &Marks) -> Result<Option<LogId>, CodecError> {
    marks.purged.as_deref().map(|bytes| codec::decode("purge mark", VERSION, bytes)).transpose()
}

/// What this master voted last.
pub(super) fn vote(marks: &Marks) -> Result<Option<Vote>, CodecError> {
    marks.vote.as_deref().map(|bytes| codec::decode("vote", VERSION, bytes)).transpose()
}

pub(super) fn decode_entry(bytes: &[u8]) -> Result<Entry, CodecError> {
    codec::decode("log entry", VERSION, bytes)
}

fn write_failed(error: StoreError) -> StorageError {
    openraft::StorageIOError::write_logs(openraft::AnyError::new(&error)).into()
}

fn read_failed(error: StoreError) -> StorageError {
    openraft::StorageIOError::read_logs(openraft::AnyError::new(&error)).into()
}

#[cfg(test)]
mod tests;
