//! The store of a master that does not run: looked at as it is, filled from a copy of a state, or made the
//! store of the cluster's only master.
//!
//! Whoever opens one holds the data directory (`node::hold`): nothing here keeps a running master away but
//! the store's own lock. What is in force is never edited. To become the only master a store gets entries
//! behind its last one (a set of members with nobody else in it, and commands), which are applied like any
//! others when its log is opened the next time.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use openraft::{EntryPayload, RaftLogId as _};

use super::{
    codec::{self, CodecError, Origin},
    disk::Disk,
    journal::{self, OpenError},
    machine::{Machine, RowKey, Stamped},
    replica::{self, AppliedMark},
    store::{self, Store, StoreError, Write},
    types::{Entry, LogId, Member, MemberId, Membership, Payload, Vote},
};
use crate::core::history::{self, Cursor};

/// Bytes of entries read in one go.
const READ_BYTES_MAX: usize = 4 << 20;

/// A store that no log has open.
pub struct Stopped {
    store: Arc<dyn Store>,
}

/// What a store holds once all of its log is applied.
pub struct Whole<M: Machine> {
    pub machine: M,
    /// Rows of the state in force.
    pub n_rows: u64,
    /// The entry whose effect the rows hold.
    pub applied: Option<LogId>,
    /// The last entry, applied or not.
    pub last: Option<LogId>,
    /// Entries that are kept.
    pub n_entries: u64,
    /// The latest set of members, decided or not.
    pub members: Membership,
    pub vote: Option<Vote>,
}

/// The records of the history that a store holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Records {
    pub n_rows: u64,
    pub n_bytes: u64,
}

impl Stopped {
    /// Opens a store for changes, and makes it if it is not there.
    ///
    /// # Errors
    /// When it is in use, damaged or not to be written.
    pub async fn open(disk: &Disk) -> Result<Self, StoreError> {
        Ok(Self { store: disk.open().await? })
    }

    /// Opens a store to look at. Nothing of it is changed, and no file is made.
    ///
    /// # Errors
    /// When there is none or it cannot be read.
    pub async fn look(disk: &Disk) -> Result<Self, StoreError> {
        Ok(Self { store: disk.open_to_look().await? })
    }

    /// Reads all of it: every row, every entry. What the log holds beyond the rows is applied on top, in
    /// memory. `level` is the highest one that this program can do.
    ///
    /// # Errors
    /// When something cannot be read, or what is read does not fit together.
    pub fn read<M: Machine>(&self, level: u32) -> Result<Whole<M>, OpenError> {
        let marks = self.store.marks()?;
        let mark = replica::applied(&marks)?;
        let mut n_rows = 0;
        let mut machine: M =
            replica::load(self.store.as_ref(), store::RowSet::InForce, &mut n_rows)?;
        replica::within(&machine, level)?;
        let purged = journal::purged(&marks)?;
        let mut whole = Whole {
            n_rows,
            applied: mark.log_id,
            last: purged,
            n_entries: 0,
            members: mark.membership,
            vote: journal::vote(&marks)?,
            machine: M::default(),
        };
        let n_applied = mark.log_id.map_or(0, |id| id.index + 1);
        let mut next = purged.map_or(0, |id| id.index + 1);
        if next > n_applied {
            let (next, n_applied) = (next - 1, n_applied.saturating_sub(1));
            return Err(hole(format!(
                "it begins behind entry {next}, the state is at {n_applied}"
            )));
        }
        loop {
            let read = self.store.entries(next, u64::MAX, READ_BYTES_MAX)?;
            if read.is_empty() {
                break;
            }
            for (index, bytes) in read {
                let entry = journal::decode_entry(&bytes)?;
                follows(whole.last, next, index, &entry)?;
                whole.n_entries += 1;
                whole.last = Some(entry.log_id);
                next = index + 1;
                if index >= n_applied {
                    take(&mut machine, &mut whole.members, entry)?;
                    replica::within(&machine, level)?;
                }
            }
        }
        // A whole state that came from elsewhere takes the place of entries that never did.
        whole.last = whole.last.max(whole.applied);
        whole.machine = machine;
        Ok(whole)
    }

    /// Reads every record of the history.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn read_history(&self) -> Result<Records, OpenError> {
        let (from, to) = (Cursor::DROPPED.row(), Cursor::END.row());
        let (mut records, mut bad) = (Records::default(), None);
        self.store.walk((&from, &to), store::Order::Up, &mut |key, row| {
            records.n_rows += 1;
            records.n_bytes += (key.len() + row.len()) as u64;
            bad = check_record(key, row).err();
            bad.is_none()
        })?;
        bad.map_or(Ok(records), |error| Err(error.into()))
    }

    /// Begins to fill the store with a state; what was put before and is not in force is dropped.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn begin_fill(&self) -> Result<(), StoreError> {
        store::write(&self.store, Write::StageBegin).await
    }

    /// Puts rows of a state and of its history, not in force yet.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn put(&self, rows: Vec<(RowKey, Vec<u8>)>) -> Result<(), StoreError> {
        store::write(&self.store, Write::StageRows(rows)).await
    }

    /// Puts what was put in force, as what the log up to and including `at` has led to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn install(&self, at: LogId) -> Result<(), StoreError> {
        let mark = AppliedMark { log_id: Some(at), membership: Membership::default() };
        let marker = codec::encode(replica::VERSION, &mark);
        store::write(&self.store, Write::Install { marker }).await
    }

    /// Makes the member `me` the only one: nobody else decides with it or follows it. `commands` are the
    /// first that are applied when the log is opened the next time, behind everything that stands in it;
    /// they leave the other masters out of the state. Whatever another member holds beyond this store is
    /// given up for good, so its operator has to see to it that none of them is started again.
    ///
    /// `whole` is what `read` told of this store.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn make_sole<M: Machine>(
        &self,
        whole: &Whole<M>,
        me: MemberId,
        address: &str,
        commands: &[Stamped<M::Command>],
    ) -> Result<(), StoreError> {
        // A term of its own: nothing that another leader wrote is taken for one of these entries.
        let seen = whole.vote.map_or(0, |vote| vote.leader_id().term);
        let term = 1 + seen.max(whole.last.map_or(0, |id| id.leader_id.term));
        let leader = openraft::LeaderId::new(term, me);
        let next = whole.last.map_or(0, |id| id.index + 1);
        let members = BTreeMap::from([(me, Member { address: address.to_owned() })]);
        let membership = openraft::Membership::new(vec![[me].into()], members);
        let commands: Vec<Bytes> = commands.iter().map(codec::encode_command::<M>).collect();
        let origin = Origin { member: me, epoch: 0, seq: 0 };
        let batch = Payload(codec::encode_batch(origin, &commands));
        let payloads = [EntryPayload::Membership(membership), EntryPayload::Normal(batch)];
        let entries = (next..).zip(payloads).map(|(index, payload)| {
            let entry = Entry { log_id: LogId::new(leader, index), payload };
            (index, codec::encode(journal::VERSION, &entry).into())
        });
        if let Some(at) = whole.applied.filter(|applied| whole.last == Some(*applied)) {
            // What is older than the state may end long before it, and must not be followed by a hole.
            let marker = codec::encode(journal::VERSION, &at);
            store::write(&self.store, Write::Purge { upto: at.index, marker }).await?;
        }
        let vote = codec::encode(journal::VERSION, &Vote::new(term, me));
        store::write(&self.store, Write::Vote(vote)).await?;
        store::write(&self.store, Write::Append(entries.collect())).await
    }

    /// Lets go of the disk.
    pub async fn close(self) {
        let store = self.store;
        // Joins the writing thread; a panic of that was told there.
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }
}

impl<M: Machine> Whole<M> {
    /// The index of the last entry; 0 of an empty log.
    pub fn last_index(&self) -> u64 {
        self.last.map_or(0, |id| id.index)
    }
}

/// Whether a row of the history is one that this release reads.
///
/// # Errors
/// When it is not.
pub fn check_record(key: &[u8], row: &[u8]) -> Result<(), CodecError> {
    let place = Cursor::of_row(key)
        .ok_or_else(|| CodecError::Invalid(format!("key {key:?} names no place in the history")))?;
    let read = match place == Cursor::DROPPED {
        true => history::decode_dropped(row).map(drop),
        false => history::decode(row).map(drop),
    };
    read.map_err(|source| CodecError::Malformed { what: "record of the history", source })
}

/// Whether an entry stands where it says and comes behind the one before it.
fn follows(last: Option<LogId>, next: u64, index: u64, entry: &Entry) -> Result<(), OpenError> {
    if index != next {
        return Err(hole(format!("entry {next} is missing, the next one is {index}")));
    }
    let id = *entry.get_log_id();
    if id.index != index {
        return Err(hole(format!("entry {index} says that it is number {}", id.index)));
    }
    match last {
        Some(last) if id.leader_id < last.leader_id => {
            Err(hole(format!("entry {index} is of an earlier leader than the one before it")))
        }
        Some(_) | None => Ok(()),
    }
}

fn hole(problem: String) -> OpenError {
    StoreError::Damaged(format!("the log does not hold together: {problem}")).into()
}

/// Applies one entry beside the store.
fn take<M: Machine>(
    machine: &mut M,
    members: &mut Membership,
    entry: Entry,
) -> Result<(), CodecError> {
    match entry.payload {
        EntryPayload::Blank => {}
        EntryPayload::Membership(membership) => {
            *members = Membership::new(Some(entry.log_id), membership);
        }
        EntryPayload::Normal(payload) => {
            let (_, commands) = codec::decode_batch(payload.0)?;
            for command in commands {
                machine.apply(codec::decode_command::<M>(&command)?);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
