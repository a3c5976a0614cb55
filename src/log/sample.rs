//! The smallest machine there is, for tests and benchmarks of the log itself: it counts how often
//! each operation was applied, and chains all of them into one number, so that a lost, repeated or
//! reordered operation shows.

use imbl::OrdMap;

use super::{
    codec::{self, CodecError},
    machine::{Applied, Machine, RequestId, Revision, RowKey, Stamped},
};
use crate::{base::clock::Timestamp, message};

const VERSION: u8 = 1;
const HEAD: u8 = 0;
const TALLY: u8 = 1;
const REQUEST: u8 = 2;

/// One operation of one client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Op {
    pub client: u32,
    pub n: u32,
}

/// An operation and how often it has been applied now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    pub op: Op,
    pub times: u32,
}

/// Counts operations.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Tally {
    head: Head,
    times: OrdMap<Op, u32>,
    requests: OrdMap<RequestId, Revision>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Head {
    revision: Revision,
    at: Timestamp,
    chain: u64,
}

message!(Op { 1: client, 2: n });
message!(Head { 1: revision, 2: at, 3: chain });

impl Tally {
    /// How often `op` was applied.
    pub fn times(&self, op: Op) -> u32 {
        self.times.get(&op).copied().unwrap_or(0)
    }

    /// Every operation with the number of times it was applied.
    pub fn ops(&self) -> impl Iterator<Item = (Op, u32)> {
        self.times.iter().map(|(op, n)| (*op, *n))
    }

    fn head_row(&self) -> (RowKey, Option<Vec<u8>>) {
        (vec![HEAD], Some(codec::encode(VERSION, &self.head)))
    }
}

impl Machine for Tally {
    type Command = Op;
    /// The revision at which the operation was first applied.
    type Outcome = Revision;
    type Change = Counted;

    const COMMAND_VERSION: u8 = VERSION;

    fn apply(&mut self, entry: Stamped<Op>) -> Applied<Self> {
        let head = &mut self.head;
        head.revision += 1;
        head.at = head.at.max(entry.at);
        let again = entry.request.and_then(|r| self.requests.get(&r).copied());
        if let Some(outcome) = again {
            return Applied { outcome, changes: Vec::new(), rows: vec![self.head_row()] };
        }
        let op = entry.command;
        head.chain = mix(head.chain ^ mix(u64::from(op.client) << 32 | u64::from(op.n)));
        let outcome = head.revision;
        let times = self.times(op) + 1;
        self.times.insert(op, times);
        let mut rows = vec![self.head_row()];
        if let Some(request) = entry.request {
            self.requests.insert(request, outcome);
            rows.push((request_key(request), Some(codec::encode(VERSION, &(request, outcome)))));
        }
        Applied { outcome, changes: vec![Counted { op, times }], rows }
    }

    fn revision(&self) -> Revision {
        self.head.revision
    }

    fn at(&self) -> Timestamp {
        self.head.at
    }

    fn key(change: &Counted) -> RowKey {
        op_key(change.op)
    }

    fn value(change: &Counted) -> Option<Vec<u8>> {
        Some(codec::encode(VERSION, &(change.op, change.times)))
    }

    fn rows(&self) -> Box<dyn Iterator<Item = (RowKey, Vec<u8>)> + Send + '_> {
        let head = (vec![HEAD], codec::encode(VERSION, &self.head));
        let times =
            self.times.iter().map(|(op, n)| (op_key(*op), codec::encode(VERSION, &(*op, *n))));
        let requests = self.requests.iter();
        let requests =
            requests.map(|(id, at)| (request_key(*id), codec::encode(VERSION, &(*id, *at))));
        Box::new(std::iter::once(head).chain(times).chain(requests))
    }

    fn load_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), CodecError> {
        match key.first() {
            Some(&HEAD) => self.head = codec::decode("head", VERSION, value)?,
            Some(&TALLY) => {
                let (op, n) = codec::decode("tally", VERSION, value)?;
                self.times.insert(op, n);
            }
            Some(&REQUEST) => {
                let (request, revision) = codec::decode("request", VERSION, value)?;
                self.requests.insert(request, revision);
            }
            _ => return Err(CodecError::Invalid(format!("row key {key:?}"))),
        }
        Ok(())
    }

    fn finish_load(&mut self) -> Result<(), CodecError> {
        Ok(())
    }

    fn fingerprint(&self) -> u64 {
        self.head.chain ^ self.times.len() as u64
    }
}

/// The row that counts an operation, as it is stored.
#[cfg(test)]
pub(super) fn row_of(op: Op, times: u32) -> (RowKey, Option<Vec<u8>>) {
    (op_key(op), Tally::value(&Counted { op, times }))
}

fn op_key(op: Op) -> RowKey {
    [&[TALLY][..], &op.client.to_be_bytes(), &op.n.to_be_bytes()].concat()
}

fn request_key(request: RequestId) -> RowKey {
    [&[REQUEST][..], &request.0.to_be_bytes()].concat()
}

/// A step of SplitMix64: spreads every bit over all others.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
