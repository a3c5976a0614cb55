//! The tables of the state as rows of bytes: which row a change touches, what stands in it, and
//! how a state is put together again from rows.
//!
//! A row's key is the number of its table and then text, or numbers with their high bytes first.
//! Its value is a byte for the version of the table's shape and then a message (`core::shapes`).
//! New fields need no new version; a version is raised when what a field means changes, together
//! with a function that makes a row of the version before one of the next (`UPGRADES`).

use std::{borrow::Cow, sync::Arc};

use imbl::OrdMap;

pub use super::entity::Table;
use super::{apply::reindex, state::State};
use crate::{
    base::{
        clock::Timestamp,
        id::TextId,
        wire::{self, Message, WireError},
    },
    model::{
        credential::{Digest, Serial},
        node::NodeId,
        path::{AppId, PathId},
    },
};

/// Rows of before this version were never in a release.
pub(super) const FIRST_VERSION: u8 = 2;

/// First byte of the keys of the history's rows (`core::history`); behind the numbers of all tables,
/// so that a walk over the state ends before it.
pub const HISTORY_BYTE: u8 = 200;

/// The key of a row, its table's number first.
pub type RowKey = Vec<u8>;

/// Makes a row of one version one of the next.
type Upgrade = fn(&[u8]) -> Result<Vec<u8>, WireError>;

/// By table and the version it starts from.
const UPGRADES: &[(Table, u8, Upgrade)] = &[];

/// The row of how far the state is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    pub revision: u64,
    /// The latest time any command carried.
    pub at: Timestamp,
}

/// A row that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    #[error("there is no table {0}: the store is of a newer release, start that one")]
    NoTable(u8),
    #[error(
        "table {0:?} holds a row of version {1}, this release reads up to {2}: \
         the store is of a newer release, start that one"
    )]
    Newer(Table, u8, u8),
    #[error(
        "table {0:?} holds a row of version {1}, older than the first format that is kept ({2}): \
         the store was made by a program before the first release, begin with an empty directory"
    )]
    Older(Table, u8, u8),
    #[error("table {0:?} holds a broken row")]
    Broken(Table, #[source] WireError),
    #[error("table {0:?} holds an empty row")]
    Empty(Table),
}

/// Takes an entity in under the key it is found by.
pub(super) fn load<K: Ord + Clone, V: Message>(
    entities: &mut OrdMap<K, Arc<V>>,
    table: Table,
    key: &[u8],
    value: &[u8],
    key_of: impl Fn(&V, &[u8]) -> K,
) -> Result<(), RowError> {
    let entity = read_row(table, value)?;
    entities.insert(key_of(&entity, key), Arc::new(entity));
    Ok(())
}

/// A key of a table as bytes, unique within the table.
pub(super) trait Key {
    fn put(&self, out: &mut Vec<u8>);
}

impl<T: TextId> Key for T {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text().as_bytes());
    }
}

impl Key for PathId {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_str().as_bytes());
    }
}

impl Key for String {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Key for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

impl Key for Digest {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl Key for (AppId, Timestamp) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        out.extend_from_slice(&self.1.as_ms().to_be_bytes());
    }
}

impl Key for (NodeId, Serial) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        out.push(0);
        out.extend_from_slice(self.1.as_str().as_bytes());
    }
}

pub(super) fn row_key<K: Key>(table: Table, key: &K) -> RowKey {
    let mut bytes = vec![table as u8];
    key.put(&mut bytes);
    bytes
}

pub(super) fn row_value<V: Message>(table: Table, value: &V) -> Vec<u8> {
    wire::stored(|| wire::encode_versioned(table.version(), value))
}

fn read_row<V: Message>(table: Table, bytes: &[u8]) -> Result<V, RowError> {
    let bytes = upgraded(UPGRADES, table, table.version(), bytes)?;
    V::read(&bytes).map_err(|error| RowError::Broken(table, error))
}

/// The message in a row, raised from the version it was written in to `wanted`.
fn upgraded<'a>(
    upgrades: &[(Table, u8, Upgrade)],
    table: Table,
    wanted: u8,
    row: &'a [u8],
) -> Result<Cow<'a, [u8]>, RowError> {
    let (&written, message) = row.split_first().ok_or(RowError::Empty(table))?;
    if written > wanted {
        return Err(RowError::Newer(table, written, wanted));
    }
    let mut message = Cow::Borrowed(message);
    for version in written..wanted {
        let step = upgrades.iter().find(|(of, from, _)| *of == table && *from == version);
        let (_, _, step) = step.ok_or(RowError::Older(table, written, FIRST_VERSION))?;
        message = step(&message).map_err(|error| RowError::Broken(table, error))?.into();
    }
    Ok(message)
}

impl State {
    fn head_row(&self) -> (RowKey, Vec<u8>) {
        let head = Head { revision: self.revision, at: self.at };
        (vec![Table::Head as u8], row_value(Table::Head, &head))
    }

    /// The rows that belong to no `Change`: the head, and the latest remembered request with the
    /// one that fell out of the bounded table. Written after every applied command.
    pub fn head_rows(&self) -> Vec<(RowKey, Option<Vec<u8>>)> {
        let (key, value) = self.head_row();
        let mut rows = vec![(key, Some(value))];
        if let Some(request) = self.requests.get(&self.revision) {
            let value = row_value(Table::Request, request);
            rows.push((row_key(Table::Request, &self.revision), Some(value)));
        }
        if let Some(dropped) = self.index.dropped_request {
            rows.push((row_key(Table::Request, &dropped), None));
        }
        rows
    }

    /// Every row of the state, for a copy of the whole.
    pub fn rows(&self) -> impl Iterator<Item = (RowKey, Vec<u8>)> + '_ {
        let cluster = self
            .cluster
            .iter()
            .map(|cluster| (vec![Table::Cluster as u8], row_value(Table::Cluster, &**cluster)));
        let requests = self.requests.iter().map(|(revision, request)| {
            (row_key(Table::Request, revision), row_value(Table::Request, request))
        });
        [self.head_row()].into_iter().chain(cluster).chain(self.entities()).chain(requests)
    }

    /// Takes one row in. Call `finish_load` after the last.
    ///
    /// # Errors
    /// When the row is of a format that is not read or broken; the state must then not be used.
    pub fn load_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), RowError> {
        let (&number, key) = key.split_first().ok_or(RowError::Empty(Table::Head))?;
        if number == HISTORY_BYTE {
            return Ok(()); // no part of the state
        }
        let table = Table::from_byte(number).ok_or(RowError::NoTable(number))?;
        match table {
            Table::Head => {
                let head: Head = read_row(table, value)?;
                (self.revision, self.at) = (head.revision, head.at);
            }
            Table::Cluster => self.cluster = Some(Arc::new(read_row(table, value)?)),
            Table::Request => {
                let broken = |_| RowError::Broken(table, WireError::Broken("key"));
                let revision = <[u8; 8]>::try_from(key).map(u64::from_be_bytes).map_err(broken)?;
                self.requests.insert(revision, read_row(table, value)?);
            }
            _ => self.load_entity(table, key, value)?,
        }
        Ok(())
    }

    /// Shares what rows store twice and rebuilds the indexes.
    pub fn finish_load(&mut self) {
        let apps: Vec<_> = self.apps.values().cloned().collect();
        for app in apps {
            let key = (app.id.clone(), app.spec.version);
            if let Some(spec) = self.specs.get(&key).filter(|s| ***s == *app.spec) {
                let shared = super::state::App { spec: spec.clone(), ..(*app).clone() };
                self.apps.insert(app.id.clone(), Arc::new(shared));
            }
        }
        self.share_past();
        reindex(self);
    }

    /// A number that differs, with near certainty, between different states.
    pub fn fingerprint(&self) -> u64 {
        let mut all = Fingerprint::default();
        self.rows().for_each(|(key, value)| all.add(&key, &value));
        all.number()
    }
}

/// The fingerprint of a state whose rows come one by one, in the order of `State::rows`.
pub struct Fingerprint {
    low: crc32fast::Hasher,
    high: crc32fast::Hasher,
}

impl Default for Fingerprint {
    fn default() -> Self {
        let high = crc32fast::Hasher::new_with_initial(0x7e90_1a7a);
        Self { low: crc32fast::Hasher::new(), high }
    }
}

impl Fingerprint {
    /// Takes the next row in.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        for hash in [&mut self.low, &mut self.high] {
            hash.update(key);
            hash.update(value);
        }
    }

    /// The number.
    pub fn number(self) -> u64 {
        u64::from(self.high.finalize()) << 32 | u64::from(self.low.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_older_versions_are_raised_step_by_step() {
        fn add(message: &[u8], byte: u8) -> Vec<u8> {
            [message, &[byte]].concat()
        }
        let upgrades: &[(Table, u8, Upgrade)] = &[
            (Table::Node, 2, |message| Ok(add(message, 3))),
            (Table::Node, 3, |message| Ok(add(message, 4))),
            (Table::App, 3, |message| Ok(add(message, 9))),
        ];
        let raise = |table, row: &[u8]| {
            let raised = upgraded(upgrades, table, 4, row);
            raised.map(Cow::into_owned).map_err(|error| error.to_string())
        };
        assert_eq!(raise(Table::Node, &[4, 1]), Ok(vec![1]));
        assert_eq!(raise(Table::Node, &[3, 1]), Ok(vec![1, 4]));
        assert_eq!(raise(Table::Node, &[2, 1]), Ok(vec![1, 3, 4]));
        let older = raise(Table::App, &[2, 1]).unwrap_err();
        assert!(older.contains("older than the first format"), "{older}");
        let newer = raise(Table::Node, &[5, 1]).unwrap_err();
        assert!(newer.contains("of a newer release"), "{newer}");
        assert!(raise(Table::Node, &[]).is_err());
        let unknown = State::default().load_row(&[199, 1], &[2]).unwrap_err().to_string();
        assert!(unknown.contains("there is no table 199"), "{unknown}");
    }

    #[test]
    fn numbers_of_tables_are_told_apart_and_known() {
        let mut numbers: Vec<u8> = Table::ALL.iter().map(|table| *table as u8).collect();
        assert!(Table::ALL.iter().all(|table| Table::from_byte(*table as u8) == Some(*table)));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), Table::ALL.len());
    }
}
