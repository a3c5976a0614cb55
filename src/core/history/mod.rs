//! History: what was done, by whom, and what became of it, one record each.
//!
//! Records are derived from a command, its outcome and its changes, so every master writes the same
//! ones. They are rows beside the state's, under a number no table has, and are never held in
//! memory: written in one step with the state that a command left, so that a restart neither loses
//! nor doubles any (docs/adr/0012-history-as-rows-beside-the-state.md).

mod derive;
pub mod differ;
mod search;
#[cfg(test)]
mod tests;

use std::fmt;

pub use derive::{records, took};
pub use search::{Found, Page, Query, Search};

pub use super::told::Kind;

use super::{
    Change, Outcome, Stamped, State,
    table::{RowKey, Table},
};
use crate::{
    base::{
        clock::Timestamp,
        level,
        wire::{self, Message as _, WireError},
    },
    message,
    model::{
        DeploymentId, InstanceId, NodeId,
        by::By,
        instance::{Condition, KillReason},
    },
};

pub use super::table::HISTORY_BYTE as FIRST_BYTE;
/// The version of the rows' shape.
const VERSION: u8 = 1;

/// One thing that happened.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    pub at: Timestamp,
    pub kind: Kind,
    /// What it happened to: the path of a service or a group, the id of a node, a user, a master;
    /// empty for the cluster.
    pub of: String,
    /// What happened, without its subject: `scaled from 2 to 5`.
    pub text: String,
    /// On whose word; `None` for what the cluster did by itself.
    pub by: Option<By>,
    /// Why it was not done.
    pub refused: Option<String>,
    /// The version of the service that began.
    pub version: Option<Timestamp>,
    pub deployment: Option<DeploymentId>,
    /// Of what ended: how long it took.
    pub took_ms: Option<u64>,
    pub instance: Option<InstanceId>,
    /// The attempt that ended.
    pub attempt: Option<Attempt>,
    /// Whether it is bad news.
    pub bad: bool,
}

/// One incarnation of an instance, from its place to its end.
#[derive(Clone, PartialEq, Debug)]
pub struct Attempt {
    pub incarnation: u32,
    /// Version of the definition it was made from.
    pub version: Timestamp,
    pub node: NodeId,
    pub host: String,
    pub placed_at: Timestamp,
    /// When it began to run, if it did.
    pub started_at: Option<Timestamp>,
    /// How it ended; `Unreachable` where it was given up with its node.
    pub end: Condition,
    pub exit_code: Option<i32>,
    /// Set when it was to end.
    pub killed_for: Option<KillReason>,
    pub unhealthy: bool,
    /// The last it wrote, as far as its agent told.
    pub tail: String,
}

message!(Record {
    1: at,
    2: kind,
    3: of,
    4: text,
    5: by,
    6: refused,
    7: version,
    8: deployment,
    9: took_ms,
    10: instance,
    11: attempt,
    12: bad,
});
message!(Attempt {
    1: incarnation,
    2: version,
    3: node,
    4: host,
    5: placed_at,
    6: started_at,
    7: end,
    8: exit_code,
    9: killed_for,
    10: unhealthy,
    11: tail,
});

/// That the oldest records were dropped for want of room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dropped {
    /// The time of the newest of them.
    pub upto: Timestamp,
}

message!(Dropped { 1: upto });

/// Where a record stands in the history: the command that made it, and its number among that
/// command's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Cursor {
    pub revision: u64,
    pub n: u16,
}

impl Cursor {
    /// Where it is said that the beginning was dropped; no record stands there.
    pub const DROPPED: Self = Self { revision: 0, n: 0 };
    /// Before every record.
    pub const FIRST: Self = Self { revision: 0, n: 1 };
    /// Behind every record.
    pub const END: Self = Self { revision: u64::MAX, n: u16::MAX };

    pub fn row(self) -> RowKey {
        let mut key = Vec::with_capacity(11);
        key.push(FIRST_BYTE);
        key.extend_from_slice(&self.revision.to_be_bytes());
        key.extend_from_slice(&self.n.to_be_bytes());
        key
    }

    pub fn of_row(key: &[u8]) -> Option<Self> {
        let (revision, n) = key.strip_prefix(&[FIRST_BYTE])?.split_first_chunk::<8>()?;
        let n = u16::from_be_bytes(n.try_into().ok()?);
        Some(Self { revision: u64::from_be_bytes(*revision), n })
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (revision, n) = text.split_once('-')?;
        Some(Self { revision: revision.parse().ok()?, n: n.parse().ok()? })
    }

    /// The next place.
    pub fn next(self) -> Self {
        match self.n.checked_add(1) {
            Some(n) => Self { n, ..self },
            None => Self { revision: self.revision.saturating_add(1), n: 0 },
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.revision, self.n)
    }
}

/// The rows that a command adds; none before the cluster's level lets it.
pub fn rows(
    state: &State,
    entry: &Stamped,
    outcome: &Outcome,
    changes: &[Change],
) -> Vec<(RowKey, Option<Vec<u8>>)> {
    if state.level() < level::HISTORY {
        return Vec::new();
    }
    let all = records(state, entry, outcome, changes);
    let row = |(n, record): (usize, Record)| {
        let n = u16::try_from(n + 1).unwrap_or(u16::MAX);
        (Cursor { revision: state.revision, n }.row(), Some(encode(&record)))
    };
    all.into_iter().enumerate().map(row).collect()
}

/// A record as its row holds it.
pub fn encode(record: &Record) -> Vec<u8> {
    wire::stored(|| wire::encode_versioned(VERSION, record))
}

/// Reads what `encode` wrote.
///
/// # Errors
/// When the row is of a newer release or broken.
pub fn decode(row: &[u8]) -> Result<Record, WireError> {
    Record::read(body(row)?)
}

/// That the oldest were dropped, as its row holds it.
pub fn encode_dropped(dropped: Dropped) -> Vec<u8> {
    wire::stored(|| wire::encode_versioned(VERSION, &dropped))
}

/// Reads what `encode_dropped` wrote.
///
/// # Errors
/// When the row is of a newer release or broken.
pub fn decode_dropped(row: &[u8]) -> Result<Dropped, WireError> {
    Dropped::read(body(row)?)
}

fn body(row: &[u8]) -> Result<&[u8], WireError> {
    match row.split_first() {
        Some((&VERSION, body)) => Ok(body),
        Some((&found, _)) => Err(WireError::Newer { of: Record::NAME, number: u64::from(found) }),
        None => Err(WireError::Broken(Record::NAME)),
    }
}

/// Whether a row of a store is one of the history's.
pub fn is_row(key: &[u8]) -> bool {
    debug_assert!(Table::from_byte(FIRST_BYTE).is_none(), "no table has this number");
    key.first() == Some(&FIRST_BYTE)
}
