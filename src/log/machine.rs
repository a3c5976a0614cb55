//! The seam between the log and what it replicates: a deterministic state machine over rows.
//!
//! The log moves bytes and order; a `Machine` gives them meaning. The product's machine is
//! `core::State`; the fault tests bring a small key-value one. Two machines that were given the
//! same entries in the same order must be equal, bit for bit, on every master and every run.

use super::codec::CodecError;
use crate::base::{clock::Timestamp, level, wire::Element};
pub use crate::core::{
    command::{RequestId, Stamped},
    table::RowKey,
};

/// How many commands a state has seen; the number the change feed goes by.
pub type Revision = u64;

/// What one command did.
pub struct Applied<M: Machine> {
    /// The answer for the proposer.
    pub outcome: M::Outcome,
    /// What changed, in order; empty for a rejected command.
    pub changes: Vec<M::Change>,
    /// New values of rows that belong to no change.
    pub rows: RowWrites,
}

/// Row changes: new bytes, or nothing for a row that is gone.
pub type RowWrites = Vec<(RowKey, Option<Vec<u8>>)>;

/// A deterministic state machine whose state can be written and read row by row.
///
/// `clone` must be cheap (persistent maps): the log takes one per applied entry.
pub trait Machine: Clone + Default + Send + Sync + Sized + 'static {
    type Command: Element + Send + Sync + 'static;
    type Outcome: Element + Clone + Send + Sync + 'static;
    type Change: Send + Sync + 'static;

    /// Version of the bytes of `Stamped<Self::Command>`. A field or a kind of command more is no new
    /// version, see `base::wire`.
    const COMMAND_VERSION: u8;

    /// Reads a command written by an older release.
    fn upgrade_command(version: u8, bytes: &[u8]) -> Result<Stamped<Self::Command>, CodecError> {
        let _ = bytes;
        Err(CodecError::Version { what: "command", found: version, known: Self::COMMAND_VERSION })
    }

    /// Applies one command. Deterministic; never fails: a refusal is an outcome.
    fn apply(&mut self, entry: Stamped<Self::Command>) -> Applied<Self>;

    /// How many commands this state has seen. Must grow with every command, accepted or not.
    fn revision(&self) -> Revision;

    /// The latest stamp this state has seen.
    fn at(&self) -> Timestamp;

    /// The row a change touches.
    fn key(change: &Self::Change) -> RowKey;

    /// What that row holds after the change, with its own version byte; nothing if it is gone.
    fn value(change: &Self::Change) -> Option<Vec<u8>>;

    /// Every row of this state, in any order.
    fn rows(&self) -> Box<dyn Iterator<Item = (RowKey, Vec<u8>)> + Send + '_>;

    /// Puts a stored row back.
    fn load_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), CodecError>;

    /// Called once after the last `load_row`: rebuilds indexes and checks invariants.
    fn finish_load(&mut self) -> Result<(), CodecError>;

    /// What masters have to be able to do to work on this state (`base::level`).
    fn level(&self) -> u32 {
        level::FIRST
    }

    /// A number that two equal states share and two different ones do not, for divergence checks.
    fn fingerprint(&self) -> u64;
}
