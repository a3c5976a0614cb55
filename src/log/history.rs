//! The history as one master keeps it: searched from its own store, the oldest dropped for room.
//!
//! Rows come with the state's (`core::history`), so nothing is written here but what is dropped.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::Semaphore,
    time::{MissedTickBehavior, interval},
};

use super::{
    machine::RowKey,
    store::{self, Order, Store, StoreError, Write},
};
use crate::{
    base::{clock::Timestamp, pace},
    core::history::{self, Cursor, Dropped, Page, Query, Search, decode, encode_dropped},
    model::{Deployment, DeploymentId, by::By},
};

/// Searches at a time: each takes a core for some tens of milliseconds.
const SEARCHES_MAX: usize = 2;
/// Records of one answer.
pub const FOUND_MAX: usize = 10_000;
/// How often it is looked whether the history has outgrown its room.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// What stays when the oldest go: one part in so many less than there may be.
const DROPPED_PART: u64 = 16;
/// Deployments of which it is remembered who began them.
const BEGUN_MAX: usize = 1_000;
/// A deployment is seen before its record is in the store, by less than this.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);
/// Rows read in one go while the history is sent to another master.
const SENT_ROWS_MAX: usize = 1_000;

/// The history of this master. Cheap to clone.
#[derive(Clone)]
pub struct History {
    store: Arc<dyn Store>,
    slots: Arc<Semaphore>,
    /// Who began each deployment that was asked for.
    begun: Arc<Mutex<BTreeMap<DeploymentId, Option<By>>>>,
}

impl History {
    pub fn new(store: Arc<dyn Store>) -> Self {
        let slots = Arc::new(Semaphore::new(SEARCHES_MAX));
        Self { store, slots, begun: Arc::default() }
    }

    /// What a query finds, on a blocking thread.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn search(&self, query: Query) -> Result<Page, StoreError> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Failed(error.to_string());
        let slot = self.slots.clone().acquire_owned().await.map_err(|e| failed(&e))?;
        let store = self.store.clone();
        let work = move || {
            let _slot = slot;
            search(&*store, query)
        };
        pace::blocking(work).await.map_err(|e| failed(&e))?
    }

    /// On whose word a deployment began that runs by a state of `now`. Reads the store, once for each.
    pub fn begun_by(&self, deployment: &Deployment, now: Timestamp) -> Option<By> {
        let known = self.begun.lock().get(&deployment.id).cloned();
        known.unwrap_or_else(|| {
            let page = search(&*self.store, Query::beginning(deployment)).ok()?;
            let by = page.found.into_iter().find_map(|found| found.record.by);
            if by.is_some() || now.since(deployment.started_at) >= WRITTEN_WITHIN {
                let mut begun = self.begun.lock();
                if begun.len() >= BEGUN_MAX {
                    begun.clear();
                }
                begun.insert(deployment.id.clone(), by.clone());
            }
            by
        })
    }
}

/// What a query finds, newest first.
pub fn search(store: &dyn Store, mut query: Query) -> Result<Page, StoreError> {
    query.limit = query.limit.clamp(1, FOUND_MAX);
    let (from, to) = query.range();
    let mut search = Search::new(query);
    store.walk((&from, &to), Order::Down, &mut |key, row| search.row(key, row))?;
    let all = (Cursor::DROPPED.row(), Cursor::END.row());
    store.walk((&all.0, &all.1), Order::Up, &mut |key, row| search.beginning(key, row))?;
    Ok(search.page())
}

/// Drops the oldest records whenever all take more than `bytes_max`.
pub async fn keep_within(store: Arc<dyn Store>, bytes_max: u64) {
    let mut room = Room::default();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let looked = {
            let (store, before) = (store.clone(), room);
            pace::blocking(move || before.look(&*store, bytes_max)).await
        };
        let overdue = match looked {
            Ok(Ok((now, overdue))) => {
                room = now;
                overdue
            }
            Ok(Err(error)) => return tracing::debug!(%error, "the history is not looked at"),
            Err(error) => return tracing::debug!(%error, "the history is not looked at"),
        };
        let Some(write) = overdue else { continue };
        if let Err(error) = store::write(&store, write).await {
            return tracing::debug!(%error, "old records were not dropped");
        }
        tracing::info!(bytes_max, "the oldest records of the history were dropped");
    }
}

/// What the history takes, as far as it was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Room {
    first: Option<Cursor>,
    last: Option<Cursor>,
    n_bytes: u64,
}

impl Room {
    /// Counts what came since the last look, all of it where the beginning is another one; and what
    /// is to go, if it is too much.
    fn look(self, store: &dyn Store, bytes_max: u64) -> Result<(Self, Option<Write>), StoreError> {
        let mut first = None;
        let all = (Cursor::FIRST.row(), Cursor::END.row());
        store.walk((&all.0, &all.1), Order::Up, &mut |key, _| {
            first = Cursor::of_row(key);
            false
        })?;
        let mut now = if first == self.first { self } else { Self::default() };
        now.first = first;
        let from = now.last.map_or(Cursor::FIRST, Cursor::next).row();
        store.walk((&from, &all.1), Order::Up, &mut |key, row| {
            now.n_bytes += (key.len() + row.len()) as u64;
            now.last = Cursor::of_row(key);
            true
        })?;
        if now.n_bytes <= bytes_max {
            return Ok((now, None));
        }
        let overdue = now.n_bytes - (bytes_max - bytes_max / DROPPED_PART);
        let (mut freed, mut upto, mut end) = (0, None, Cursor::FIRST);
        store.walk((&all.0, &all.1), Order::Up, &mut |key, row| {
            freed += (key.len() + row.len()) as u64;
            upto = decode(row).ok().map(|record| record.at).or(upto);
            end = Cursor::of_row(key).map_or(end, Cursor::next);
            freed < overdue
        })?;
        let dropped = Dropped { upto: upto.unwrap_or_default() };
        let put = (Cursor::DROPPED.row(), encode_dropped(dropped));
        let write = Write::DropRows { from: Cursor::FIRST.row(), to: end.row(), put };
        // The beginning is another one then, and everything is counted again.
        Ok((now, Some(write)))
    }
}

/// The rows of the history up to a revision, for a copy of the whole state.
pub struct Rows {
    store: Arc<dyn Store>,
    next: Option<RowKey>,
    end: RowKey,
    read: VecDeque<(RowKey, Vec<u8>)>,
}

impl Rows {
    pub fn new(store: Arc<dyn Store>, revision: u64) -> Self {
        let end = Cursor { revision: revision.saturating_add(1), n: 0 }.row();
        Self { store, next: Some(vec![history::FIRST_BYTE]), end, read: VecDeque::new() }
    }

    fn read_on(&mut self) {
        let Some(from) = self.next.take() else { return };
        let read = &mut self.read;
        let walked = self.store.walk((&from, &self.end), Order::Up, &mut |key, row| {
            read.push_back((key.to_vec(), row.to_vec()));
            read.len() < SENT_ROWS_MAX
        });
        match walked {
            Ok(()) if self.read.len() == SENT_ROWS_MAX => {
                // The next key after a key is the key with a zero behind it.
                self.next = self.read.back().map(|(key, _)| [&key[..], &[0]].concat());
            }
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "the history is sent in part only"),
        }
    }
}

impl Iterator for Rows {
    type Item = (RowKey, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.read.is_empty() {
            self.read_on();
        }
        self.read.pop_front()
    }
}

#[cfg(test)]
mod tests;
