//! Changes: what a command did, as old and new value of each entity it touched (`Change`, which is
//! declared with the entities).
//!
//! A follower derives everything from these: rows to store, events of a dialect, records of DNS.
//! Values are shared, not copied.

pub use super::entity::Change;

/// How a deployment ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    Success,
    /// Cancelled or superseded; says by what.
    Cancelled(String),
}
