//! The store on RocksDB: one database, one writing thread, group commit of everything queued.
//!
//! | column family | key | value |
//! |---|---|---|
//! | `log` | index, 8 bytes big-endian | one entry |
//! | `meta` | `vote`, `purged`, `applied`, `rows` | marks; which row set is in force |
//! | `rows-0`, `rows-1` | table byte and key | rows of the state and of the history, one set in force, one staged |
//!
//! The writing thread takes everything that waits in its queue, joins it into one atomic write and
//! syncs the write-ahead log once, if any part needs it. Row changes of an applied entry ride along
//! with the next append, so writing the state through costs no extra sync. All families share one
//! write-ahead log: whatever stands in it before a synced write is on the disk with it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRecoveryMode, Direction, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions,
};
use tokio::sync::mpsc;

use super::store::{
    Done, FREE_BYTES_MIN, Look, Marks, Order, RowSet, Store, StoreError, Visit, Write,
};
use crate::core::history;

const LOG: &str = "log";
const META: &str = "meta";
const ROWS: [&str; 2] = ["rows-0", "rows-1"];
const VOTE: &[u8] = b"vote";
const PURGED: &[u8] = b"purged";
const APPLIED: &[u8] = b"applied";
const IN_FORCE: &[u8] = b"rows";

/// Bytes joined into one write; more waits for the next, so that one sync stays short.
const JOINED_BYTES_MAX: usize = 8 << 20;
/// Block cache shared by all families. Reads are rare: the state lives in memory, recent entries
/// in the journal's own cache.
const CACHE_BYTES: usize = 4 << 20;
/// Memory for entries before they go to a table file. Most entries are purged by then.
const LOG_BUFFER_BYTES: usize = 16 << 20;
const ROWS_BUFFER_BYTES: usize = 8 << 20;
const META_BUFFER_BYTES: usize = 256 << 10;
/// Write-ahead files kept at most; past that RocksDB flushes the family that holds them back.
const WAL_BYTES_MAX: u64 = 64 << 20;
/// Read in one go while rows are walked through.
const READ_AHEAD_BYTES: usize = 1 << 20;
/// How often a full disk is asked whether it has space again.
const ROOM_LOOK_EVERY: Duration = Duration::from_millis(500);

/// The store on disk.
pub struct RocksStore {
    /// Gone once closed, so that the directory can be opened again while old handles linger.
    db: RwLock<Option<Arc<DB>>>,
    dir: PathBuf,
    queue: Mutex<Option<mpsc::UnboundedSender<(Write, Done)>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Ends the writer's wait for room on a full disk.
    closing: Arc<Closing>,
}

/// Tells the writer that the store is being closed.
#[derive(Default)]
struct Closing {
    is_closing: Mutex<bool>,
    told: Condvar,
}

impl Closing {
    fn tell(&self) {
        *self.is_closing.lock() = true;
        self.told.notify_all();
    }

    /// Blocks for `time`, or until the store is being closed; whether it is.
    fn wait(&self, time: Duration) -> bool {
        let mut is_closing = self.is_closing.lock();
        if !*is_closing {
            self.told.wait_for(&mut is_closing, time);
        }
        *is_closing
    }
}

impl RocksStore {
    /// Opens or creates the store in `dir`.
    pub fn open(dir: &Path) -> Result<Arc<dyn Store>, StoreError> {
        let db = DB::open_cf_descriptors(&database_options(), dir, families());
        let db = Arc::new(db.map_err(failure)?);
        let (queue, waiting) = mpsc::unbounded_channel();
        let closing = Arc::<Closing>::default();
        let mut writer = Writer {
            db: db.clone(),
            dir: dir.to_path_buf(),
            in_force: in_force(&db)?,
            failed: None,
            closing: closing.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run(waiting))
            .map_err(|e| StoreError::Failed(format!("cannot start the writing thread: {e}")))?;
        let (queue, writer) = (Mutex::new(Some(queue)), Mutex::new(Some(thread)));
        let (db, dir) = (RwLock::new(Some(db)), dir.to_path_buf());
        Ok(Arc::new(Self { db, dir, queue, writer, closing }))
    }

    /// Opens the store in `dir` to read what is there; every write of it is refused.
    pub fn open_to_look(dir: &Path) -> Result<Arc<dyn Store>, StoreError> {
        if !dir.join("CURRENT").exists() {
            let problem = format!("there is none in {}", dir.display());
            return Err(StoreError::Failed(problem));
        }
        let mut options = database_options();
        options.create_if_missing(false);
        options.create_missing_column_families(false);
        let db = DB::open_cf_descriptors_read_only(&options, dir, families(), false);
        let db = RwLock::new(Some(Arc::new(db.map_err(failure)?)));
        let (queue, writer, closing) = (Mutex::new(None), Mutex::new(None), Arc::default());
        Ok(Arc::new(Self { db, dir: dir.to_path_buf(), queue, writer, closing }))
    }

    fn db(&self) -> Result<Arc<DB>, StoreError> {
        self.db.read().clone().ok_or_else(closed)
    }
}

impl Store for RocksStore {
    fn write(&self, write: Write, done: Done) {
        let refused = match &*self.queue.lock() {
            Some(queue) => queue.send((write, done)).err().map(|unsent| unsent.0.1),
            None => Some(done),
        };
        if let Some(done) = refused {
            done(Err(closed()));
        }
    }

    fn marks(&self) -> Result<Marks, StoreError> {
        let db = self.db()?;
        let mark = |key| db.get_cf(family(&db, META), key).map_err(failure);
        Ok(Marks { vote: mark(VOTE)?, purged: mark(PURGED)?, applied: mark(APPLIED)? })
    }

    fn entries(
        &self,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to.to_be_bytes());
        options.fill_cache(false);
        let db = self.db()?;
        let start = from.to_be_bytes();
        let mode = IteratorMode::From(&start, Direction::Forward);
        let (mut out, mut size) = (Vec::new(), 0);
        for item in db.iterator_cf_opt(family(&db, LOG), options, mode) {
            let (key, value) = item.map_err(failure)?;
            if !out.is_empty() && size + value.len() > bytes_max {
                break;
            }
            size += value.len();
            out.push((index_of(&key)?, Bytes::from(value)));
        }
        Ok(out)
    }

    fn last_entry(&self) -> Result<Option<(u64, Bytes)>, StoreError> {
        let db = self.db()?;
        let mut last = db.iterator_cf(family(&db, LOG), IteratorMode::End);
        match last.next() {
            None => Ok(None),
            Some(item) => {
                let (key, value) = item.map_err(failure)?;
                Ok(Some((index_of(&key)?, Bytes::from(value))))
            }
        }
    }

    fn rows(&self, set: RowSet, visit: Visit<'_>) -> Result<(), StoreError> {
        let db = self.db()?;
        let in_force = in_force(&db)?;
        let at = match set {
            RowSet::InForce => in_force,
            RowSet::Staged => 1 - in_force,
        };
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_iterate_upper_bound([history::FIRST_BYTE]);
        let rows = family(&db, ROWS[at]);
        for item in db.iterator_cf_opt(rows, options, IteratorMode::Start) {
            let (key, value) = item.map_err(failure)?;
            visit(&key, &value)?;
        }
        Ok(())
    }

    fn walk(
        &self,
        (from, to): (&[u8], &[u8]),
        order: Order,
        look: Look<'_>,
    ) -> Result<(), StoreError> {
        let db = self.db()?;
        let rows = family(&db, ROWS[in_force(&db)?]);
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_readahead_size(READ_AHEAD_BYTES);
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        let mut at = db.raw_iterator_cf_opt(rows, options);
        match order {
            Order::Up => at.seek_to_first(),
            Order::Down => at.seek_to_last(),
        }
        while let Some((key, value)) = at.item() {
            if !look(key, value) {
                return Ok(());
            }
            match order {
                Order::Up => at.next(),
                Order::Down => at.prev(),
            }
        }
        at.status().map_err(failure)
    }

    fn close(&self) {
        self.closing.tell();
        drop(self.queue.lock().take());
        if let Some(thread) = self.writer.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the log's writing thread panicked");
        }
        drop(self.db.write().take());
    }

    fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.dir)
    }
}

impl Drop for RocksStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// The writing thread's own things.
struct Writer {
    db: Arc<DB>,
    dir: PathBuf,
    /// Which row set is in force, 0 or 1.
    in_force: usize,
    /// The first failure; every later write gets it too.
    failed: Option<StoreError>,
    closing: Arc<Closing>,
}

impl Writer {
    /// Writes until the queue is closed and empty.
    fn run(&mut self, mut waiting: mpsc::UnboundedReceiver<(Write, Done)>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut batch = WriteBatch::default();
            let mut sync = false;
            let mut callbacks = Vec::new();
            let mut in_force = self.in_force;
            let mut next = Some(first);
            while let Some((write, done)) = next {
                sync |= write.must_sync();
                add(&self.db, &mut batch, &mut in_force, write);
                callbacks.push(done);
                let room = batch.size_in_bytes() < JOINED_BYTES_MAX;
                next = if room { waiting.try_recv().ok() } else { None };
            }
            let result = self.commit(batch, sync);
            if result.is_ok() {
                self.in_force = in_force;
            }
            for done in callbacks {
                done(result.clone());
            }
        }
    }

    fn commit(&mut self, batch: WriteBatch, sync: bool) -> Result<(), StoreError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        // Written again after a full disk, a batch has the same effect.
        let again = batch.data().to_vec();
        let mut written = self.db.write_opt(batch, &options);
        while let Err(error) = &written
            && is_full(error)
        {
            self.wait_for_room()?;
            written = self.db.write_opt(WriteBatch::from_data(&again), &options);
        }
        written.map_err(|error| {
            let error = failure(error);
            tracing::error!(%error, "the log cannot be written, this node stops accepting writes");
            self.failed = Some(error.clone());
            error
        })
    }

    /// Blocks until the disk has space again. RocksDB then needs a few seconds to accept writes;
    /// until it does, they fail as before.
    fn wait_for_room(&self) -> Result<(), StoreError> {
        tracing::error!(dir = %self.dir.display(), "the disk is full, the log waits for space");
        loop {
            if self.closing.wait(ROOM_LOOK_EVERY) {
                return Err(closed());
            }
            if free_bytes(&self.dir).is_none_or(|free| free >= FREE_BYTES_MIN) {
                return Ok(());
            }
        }
    }
}

fn free_bytes(dir: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(dir).ok()?;
    Some(stat.blocks_available() * stat.fragment_size())
}

/// Adds one write to the batch that will be committed as a whole.
fn add(db: &DB, batch: &mut WriteBatch, in_force: &mut usize, write: Write) {
    let (log, meta) = (family(db, LOG), family(db, META));
    let staged = family(db, ROWS[1 - *in_force]);
    match write {
        Write::Vote(vote) => batch.put_cf(meta, VOTE, vote),
        Write::Append(entries) => {
            for (index, bytes) in entries {
                batch.put_cf(log, index.to_be_bytes(), bytes);
            }
        }
        Write::Truncate { from } => {
            batch.delete_range_cf(log, from.to_be_bytes(), u64::MAX.to_be_bytes());
        }
        Write::Purge { upto, marker } => {
            batch.delete_range_cf(log, 0u64.to_be_bytes(), (upto + 1).to_be_bytes());
            batch.put_cf(meta, PURGED, marker);
        }
        Write::Rows { rows, marker } => {
            let rows_in_force = family(db, ROWS[*in_force]);
            for (key, value) in rows {
                match value {
                    Some(value) => batch.put_cf(rows_in_force, key, value),
                    None => batch.delete_cf(rows_in_force, key),
                }
            }
            batch.put_cf(meta, APPLIED, marker);
        }
        Write::DropRows { from, to, put: (key, value) } => {
            let rows_in_force = family(db, ROWS[*in_force]);
            batch.delete_range_cf(rows_in_force, from, to);
            batch.put_cf(rows_in_force, key, value);
        }
        Write::StageBegin => batch.delete_range_cf(staged, &[][..], &[u8::MAX; 64][..]),
        Write::StageRows(rows) => {
            for (key, value) in rows {
                batch.put_cf(staged, key, value);
            }
        }
        Write::Install { marker } => {
            let old = family(db, ROWS[*in_force]);
            *in_force = 1 - *in_force;
            batch.put_cf(meta, IN_FORCE, [u8::from(*in_force == 1)]);
            batch.put_cf(meta, APPLIED, marker);
            batch.delete_range_cf(old, &[][..], &[u8::MAX; 64][..]);
        }
    }
}

fn in_force(db: &DB) -> Result<usize, StoreError> {
    match db.get_cf(family(db, META), IN_FORCE).map_err(failure)?.as_deref() {
        None | Some([0]) => Ok(0),
        Some([1]) => Ok(1),
        Some(other) => Err(StoreError::Damaged(format!("row set {other:?} does not exist"))),
    }
}

fn closed() -> StoreError {
    StoreError::Failed("the store was closed".to_owned())
}

fn family<'db>(db: &'db DB, name: &str) -> &'db ColumnFamily {
    db.cf_handle(name).expect("every family is created when the store is opened")
}

fn index_of(key: &[u8]) -> Result<u64, StoreError> {
    let bytes = key.try_into().map_err(|_| StoreError::Damaged(format!("entry key {key:?}")))?;
    Ok(u64::from_be_bytes(bytes))
}

fn database_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_background_jobs(2);
    options.set_max_open_files(256);
    options.set_max_total_wal_size(WAL_BYTES_MAX);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    // A torn last record is a write that was never acknowledged. Damage before it is not: stop
    // with an error rather than forget votes and entries that others count on.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options
}

fn families() -> [ColumnFamilyDescriptor; 4] {
    let cache = Cache::new_lru_cache(CACHE_BYTES);
    [
        (LOG, LOG_BUFFER_BYTES),
        (META, META_BUFFER_BYTES),
        (ROWS[0], ROWS_BUFFER_BYTES),
        (ROWS[1], ROWS_BUFFER_BYTES),
    ]
    .map(|(name, bytes)| ColumnFamilyDescriptor::new(name, family_options(&cache, bytes)))
}

fn family_options(cache: &Cache, buffer_bytes: usize) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(buffer_bytes);
    options.set_compression_type(DBCompressionType::Lz4);
    options
}

fn is_full(error: &rocksdb::Error) -> bool {
    let text: &str = error.as_ref();
    text.contains("No space left") || text.contains("NoSpace")
}

fn failure(error: rocksdb::Error) -> StoreError {
    let text = error.to_string();
    if text.contains("lock") && error.kind() == rocksdb::ErrorKind::IOError {
        StoreError::Locked(text)
    } else if error.kind() == rocksdb::ErrorKind::Corruption {
        StoreError::Damaged(text)
    } else {
        StoreError::Failed(text)
    }
}
