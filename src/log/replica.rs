//! openraft's state machine: applies committed entries to a [`Machine`], publishes what changed,
//! answers the waiting proposers, and writes the touched rows through to the store.
//!
//! Per entry, in this order: decode, apply each command, publish state and changes, answer. The rows
//! of all entries applied in one go are written as one batch together with the applied mark, without
//! waiting: an entry is durable as soon as it is in the log, and what the rows lack after a crash is
//! applied again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta,
    storage::RaftStateMachine,
};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::{
    codec::{self, CodecError, Origin},
    compare::{Place, Places},
    feed::Feed,
    history,
    journal::{Installing, OpenError},
    machine::{Applied, Machine, Revision, RowKey, RowWrites},
    metrics,
    peer::wire::Refused,
    store::{self, Marks, RowSet, Store, StoreError, Write},
    types::{
        Entry, Image, ImageMeta, LogId, Membership, Rows, StorageError, Types, View, unreadable,
    },
};

pub(super) const VERSION: u8 = 2;
/// Rows put into the staging area by one write.
const STAGED_ROWS_MAX: usize = 1_000;

/// What a proposer is told: the outcome with the revision that contains it, or why there is none.
pub type Answer<O> = Result<(Revision, O), Refused>;
/// The proposers of one batch, in the order of its commands.
pub type Proposers<O> = Vec<oneshot::Sender<Answer<O>>>;

/// Proposers of batches submitted by this master, by batch number.
pub struct Waiting<O> {
    member: u64,
    epoch: u64,
    by_seq: Mutex<HashMap<u64, Proposers<O>>>,
    next: AtomicU64,
}

impl<O> Waiting<O> {
    /// `epoch` tells this run from earlier ones of the same master.
    pub fn new(member: u64, epoch: u64) -> Self {
        Self { member, epoch, by_seq: Mutex::default(), next: AtomicU64::new(0) }
    }

    /// Registers a batch's proposers; the answers come in the order of its commands.
    pub fn register(&self, proposers: Proposers<O>) -> Origin {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        self.by_seq.lock().insert(seq, proposers);
        Origin { member: self.member, epoch: self.epoch, seq }
    }

    /// Takes a batch's proposers; none if they were taken, or if the batch is another's.
    pub fn take(&self, origin: Origin) -> Option<Proposers<O>> {
        let ours = origin.member == self.member && origin.epoch == self.epoch;
        if ours { self.by_seq.lock().remove(&origin.seq) } else { None }
    }
}

/// What is stored beside the rows.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct AppliedMark {
    pub log_id: Option<LogId>,
    pub membership: Membership,
}

/// A state with everything a snapshot of it needs.
struct Taken<M: Machine> {
    mark: AppliedMark,
    machine: M,
    /// Holds the history, which is in no memory.
    store: Arc<dyn Store>,
}

/// The state machine of one master.
pub struct Replica<M: Machine> {
    store: Arc<dyn Store>,
    machine: M,
    mark: AppliedMark,
    feed: Feed<M>,
    waiting: Arc<Waiting<M::Outcome>>,
    installing: watch::Sender<Installing>,
    progress: watch::Sender<Progress>,
    places: Places<M>,
    /// The highest level this master can do.
    level: u32,
    /// The row write still on its way; at most one, which bounds the memory it holds.
    writing: Option<oneshot::Receiver<Result<(), StoreError>>>,
}

/// How far the machine is, and how much log it went through.
#[derive(Clone, Copy, Default, Debug)]
pub struct Progress {
    /// Index of the last applied entry.
    pub index: u64,
    /// Bytes of payloads applied since the log was opened.
    pub bytes: u64,
}

impl<M: Machine> Replica<M> {
    /// The state found in `store`.
    pub fn open(
        store: Arc<dyn Store>,
        marks: &Marks,
        waiting: Arc<Waiting<M::Outcome>>,
        installing: watch::Sender<Installing>,
        places: Places<M>,
        level: u32,
    ) -> Result<Self, OpenError> {
        let mark = applied(marks)?;
        let machine: M = load(store.as_ref(), RowSet::InForce, &mut 0)?;
        within(&machine, level)?;
        metrics::at(machine.revision());
        let feed = Feed::new(Arc::new(machine.clone()));
        let progress = watch::Sender::new(Progress { index: mark.index(), bytes: 0 });
        let writing = None;
        Ok(Self {
            store,
            machine,
            mark,
            feed,
            waiting,
            installing,
            progress,
            places,
            level,
            writing,
        })
    }

    pub fn feed(&self) -> Feed<M> {
        self.feed.clone()
    }

    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Applies one entry; tells the proposers and the followers of the feed.
    fn apply_entry(
        &mut self,
        entry: Entry,
        rows: &mut BTreeMap<RowKey, Option<Vec<u8>>>,
    ) -> Result<(), CodecError> {
        self.mark.log_id = Some(entry.log_id);
        let payload = match entry.payload {
            EntryPayload::Blank => return Ok(()),
            EntryPayload::Membership(membership) => {
                self.mark.membership = Membership::new(Some(entry.log_id), membership);
                return Ok(());
            }
            EntryPayload::Normal(payload) => payload,
        };
        let n_bytes = payload.0.len() as u64;
        let (origin, commands) = codec::decode_batch(payload.0)?;
        if commands.is_empty() {
            let place = Place { index: entry.log_id.index, machine: self.machine.clone() };
            // Not when the last one is still being looked at: there will be another.
            let _ = self.places.try_send(place);
            return Ok(());
        }
        let mut changes = Vec::new();
        let mut outcomes = Vec::with_capacity(commands.len());
        for command in commands {
            let command = codec::decode_command::<M>(&command)?;
            let Applied { outcome, changes: new, rows: others } = self.machine.apply(command);
            within(&self.machine, self.level)?;
            outcomes.push(outcome);
            changes.extend(new);
            rows.extend(others);
        }
        metrics::applied(outcomes.len(), self.machine.revision());
        let mut written = BTreeSet::new();
        for change in changes.iter().rev() {
            let key = M::key(change);
            // Only the last change of a row in this entry needs its bytes.
            if written.insert(key.clone()) {
                rows.insert(key, M::value(change));
            }
        }
        self.feed.publish(Arc::new(self.machine.clone()), changes);
        self.answer(origin, outcomes);
        self.progress.send_modify(|p| p.bytes += n_bytes);
        Ok(())
    }

    fn answer(&self, origin: Origin, outcomes: Vec<M::Outcome>) {
        let Some(proposers) = self.waiting.take(origin) else { return };
        let revision = self.machine.revision();
        for (proposer, outcome) in proposers.into_iter().zip(outcomes) {
            // A proposer that gave up gets the same outcome if it asks again.
            let _ = proposer.send(Ok((revision, outcome)));
        }
    }

    /// Waits for the row write on its way, so that there is never more than one.
    async fn settle(&mut self) -> Result<(), StorageError> {
        match self.writing.take() {
            None => Ok(()),
            Some(writing) => writing
                .await
                .unwrap_or_else(|_| Err(StoreError::Failed("the store was closed".to_owned())))
                .map_err(write_failed),
        }
    }

    fn write_rows(&mut self, rows: RowWrites) {
        let (tx, rx) = oneshot::channel();
        let marker = codec::encode(VERSION, &self.mark);
        let done = Box::new(move |result| {
            // Nobody waits when the log is being closed.
            let _ = tx.send(result);
        });
        self.store.write(Write::Rows { rows, marker }, done);
        self.writing = Some(rx);
    }

    fn take(&self) -> Taken<M> {
        let (mark, machine) = (self.mark.clone(), self.machine.clone());
        Taken { mark, machine, store: self.store.clone() }
    }
}

impl<M: Machine> RaftStateMachine<Types> for Replica<M> {
    type SnapshotBuilder = Builder<M>;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        Ok((self.mark.log_id, self.mark.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.settle().await?;
        let mut rows = BTreeMap::new();
        let mut replies = Vec::new();
        for entry in entries {
            self.apply_entry(entry, &mut rows).map_err(|e| unreadable(&e))?;
            replies.push(());
        }
        self.write_rows(rows.into_iter().collect());
        self.progress.send_modify(|p| p.index = self.mark.index());
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> Builder<M> {
        Builder { taken: Arc::new(self.take()) }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Image>, StorageError> {
        Ok(Box::new(Image::Staged))
    }

    async fn install_snapshot(
        &mut self,
        meta: &ImageMeta,
        snapshot: Box<Image>,
    ) -> Result<(), StorageError> {
        self.settle().await?;
        let installed = self.install(meta, *snapshot).await;
        self.installing.send_replace(Installing::default());
        installed
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        Ok(self.mark.log_id.is_some().then(|| snapshot_of(Arc::new(self.take()))))
    }
}

impl<M: Machine> Replica<M> {
    async fn install(&mut self, meta: &ImageMeta, image: Image) -> Result<(), StorageError> {
        if let Image::View(view) = image {
            stage(&self.store, view.as_ref()).await.map_err(write_failed)?;
        }
        let machine = load(self.store.as_ref(), RowSet::Staged, &mut 0).map_err(load_failed)?;
        within(&machine, self.level).map_err(|error| unreadable(&error))?;
        let (log_id, membership) = (meta.last_log_id, meta.last_membership.clone());
        let mark = AppliedMark { log_id, membership };
        let marker = codec::encode(VERSION, &mark);
        store::write(&self.store, Write::Install { marker }).await.map_err(write_failed)?;
        (self.machine, self.mark) = (machine, mark);
        metrics::at(self.machine.revision());
        self.feed.reset(Arc::new(self.machine.clone()));
        self.progress.send_modify(|p| p.index = self.mark.index());
        Ok(())
    }
}

/// Makes snapshots of one state.
pub struct Builder<M: Machine> {
    taken: Arc<Taken<M>>,
}

impl<M: Machine> RaftSnapshotBuilder<Types> for Builder<M> {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        Ok(snapshot_of(self.taken.clone()))
    }
}

impl<M: Machine> View for Taken<M> {
    fn rows(&self) -> Rows<'_> {
        let history = history::Rows::new(self.store.clone(), self.machine.revision());
        Box::new(self.machine.rows().chain(history))
    }
}

impl AppliedMark {
    fn index(&self) -> u64 {
        self.log_id.map_or(0, |id| id.index)
    }
}

fn snapshot_of<M: Machine>(taken: Arc<Taken<M>>) -> Snapshot<Types> {
    let mark = &taken.mark;
    let meta = SnapshotMeta {
        last_log_id: mark.log_id,
        last_membership: mark.membership.clone(),
        snapshot_id: mark.index().to_string(),
    };
    Snapshot { meta, snapshot: Box::new(Image::View(taken)) }
}

/// Refuses a state that asks for more than this master can do.
pub(super) fn within<M: Machine>(machine: &M, ours: u32) -> Result<(), CodecError> {
    let level = machine.level();
    if level > ours { Err(CodecError::Level { level, ours }) } else { Ok(()) }
}

/// How far the rows in force are.
pub(super) fn applied(marks: &Marks) -> Result<AppliedMark, CodecError> {
    let mark = marks.applied.as_deref().map(|bytes| codec::decode("applied mark", VERSION, bytes));
    Ok(mark.transpose()?.unwrap_or_default())
}

/// Reads a whole state back from its rows, and counts them.
pub(super) fn load<M: Machine>(
    store: &dyn Store,
    set: RowSet,
    n_rows: &mut u64,
) -> Result<M, OpenError> {
    let mut machine = M::default();
    let mut bad = None;
    let walked = store.rows(set, &mut |key, value| {
        *n_rows += 1;
        machine.load_row(key, value).map_err(|error| {
            let text = error.to_string();
            bad = Some(error);
            StoreError::Damaged(text)
        })
    });
    match (bad, walked) {
        (Some(error), _) => return Err(error.into()),
        (None, walked) => walked?,
    }
    machine.finish_load()?;
    Ok(machine)
}

/// Writes a state into the staging area.
async fn stage(store: &Arc<dyn Store>, view: &dyn View) -> Result<(), StoreError> {
    store::write(store, Write::StageBegin).await?;
    let mut rows = view.rows();
    loop {
        let chunk: Vec<_> = rows.by_ref().take(STAGED_ROWS_MAX).collect();
        if chunk.is_empty() {
            return Ok(());
        }
        store::write(store, Write::StageRows(chunk)).await?;
    }
}

fn write_failed(error: StoreError) -> StorageError {
    openraft::StorageIOError::write_state_machine(openraft::AnyError::new(&error)).into()
}

fn load_failed(error: OpenError) -> StorageError {
    openraft::StorageIOError::read_state_machine(openraft::AnyError::new(&error)).into()
}
