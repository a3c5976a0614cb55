//! What the log needs of a disk: ordered writes, and reads of entries and rows.
//!
//! A store is one ordered queue of writes. `write` returns at once; the write's `done` is called
//! after it took effect, and for a write that must survive power loss only after it is on the
//! disk. Writes take effect in the order they were given. After a failed write the store refuses
//! every later one: a log with a hole is worse than none. A full disk is no failure: the write that
//! finds no room waits for some, and the later ones behind it.
//!
//! Rows come in two sets. One is in force; the other is the staging area into which a snapshot
//! from the leader is received. `Install` swaps them in one atomic write, so a crash while
//! receiving leaves the old state whole.

use std::{io, sync::Arc};

use bytes::Bytes;

use super::machine::{RowKey, RowWrites};

/// Why a store cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("the log's store failed: {0}")]
    Failed(String),
    #[error("the log's store is locked by another process: {0}")]
    Locked(String),
    #[error("the log's store is damaged: {0}")]
    Damaged(String),
}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        let kind = match error {
            StoreError::Damaged(_) => io::ErrorKind::InvalidData,
            StoreError::Failed(_) | StoreError::Locked(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Below this much free space commands are refused, while the log can still write what is needed
/// to free some.
pub const FREE_BYTES_MIN: u64 = 64 << 20;

/// Called when a write took effect or failed; on any thread, must not block.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// One write. Values are opaque bytes of the layer above.
pub enum Write {
    /// Replaces the vote. Synced.
    Vote(Vec<u8>),
    /// Adds entries by index. Synced.
    Append(Vec<(u64, Bytes)>),
    /// Drops the entries from `from` on. Synced.
    Truncate { from: u64 },
    /// Drops the entries up to and including `upto`, and remembers `marker` as the purge mark.
    /// Synced.
    Purge { upto: u64, marker: Vec<u8> },
    /// Changes rows of the state in force together with its applied mark. Not synced: what is
    /// lost is applied again from the log.
    Rows { rows: RowWrites, marker: Vec<u8> },
    /// Removes rows in force from one key up to another and without it, and puts one in.
    DropRows { from: RowKey, to: RowKey, put: (RowKey, Vec<u8>) },
    /// Empties the staging area.
    StageBegin,
    /// Adds rows to the staging area.
    StageRows(Vec<(RowKey, Vec<u8>)>),
    /// Puts the staged rows in force with their applied mark. Synced.
    Install { marker: Vec<u8> },
}

impl Write {
    /// Whether `done` may only be called when the write is on the disk.
    pub fn must_sync(&self) -> bool {
        match self {
            Self::Vote(_)
            | Self::Append(_)
            | Self::Truncate { .. }
            | Self::Purge { .. }
            | Self::Install { .. } => true,
            Self::Rows { .. } | Self::DropRows { .. } | Self::StageBegin | Self::StageRows(_) => {
                false
            }
        }
    }
}

/// The marks a store keeps, as they stood when it was opened.
#[derive(Default, Clone, Debug)]
pub struct Marks {
    pub vote: Option<Vec<u8>>,
    pub purged: Option<Vec<u8>>,
    pub applied: Option<Vec<u8>>,
}

/// Which set of rows to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowSet {
    InForce,
    Staged,
}

/// Which way a walk goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    Up,
    Down,
}

/// Told one row; says whether the walk goes on.
pub type Look<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> bool;
/// Told one row; an error ends the walk.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError>;

/// An ordered store. Reads see every write whose `done` has been called.
pub trait Store: Send + Sync + 'static {
    /// Queues a write.
    fn write(&self, write: Write, done: Done);

    /// The marks as they are now.
    fn marks(&self) -> Result<Marks, StoreError>;

    /// The entries of `[from, to)` in order, stopping after `bytes_max` bytes but never before the
    /// first one.
    fn entries(
        &self,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError>;

    /// Index and bytes of the last entry.
    fn last_entry(&self) -> Result<Option<(u64, Bytes)>, StoreError>;

    /// Shows rows in force, from the first key up to the second and without it, in their order or
    /// against it.
    fn walk(&self, range: (&[u8], &[u8]), order: Order, look: Look<'_>) -> Result<(), StoreError>;

    /// Shows every row of a set but the history's.
    fn rows(&self, set: RowSet, visit: Visit<'_>) -> Result<(), StoreError>;

    /// Finishes the queued writes and lets go of the disk. Later writes fail, and so do those that
    /// wait for room on a full disk.
    fn close(&self);

    /// Bytes free for the store, if it can be full.
    fn free_bytes(&self) -> Option<u64>;

    /// Whether commands should be refused for want of space. Asks the file system, microseconds.
    fn is_low(&self) -> bool {
        self.free_bytes().is_some_and(|free| free < FREE_BYTES_MIN)
    }
}

/// Queues a write and waits for it.
pub async fn write(store: &Arc<dyn Store>, write: Write) -> Result<(), StoreError> {
    let (tx, rx) = tokio::sync::oneshot::channel();
    store.write(
        write,
        Box::new(move |result| {
            // The waiter may have been cancelled; the write took effect all the same.
            let _ = tx.send(result);
        }),
    );
    rx.await.unwrap_or_else(|_| Err(StoreError::Failed("the store was closed".to_owned())))
}
