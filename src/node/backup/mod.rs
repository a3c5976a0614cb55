//! Backups: all that a cluster is, in one file that only its owner can open, and a cluster made of one again
//! (docs/adr/0015-backups-as-one-encrypted-file.md).
//!
//! ```text
//!  log::copy ─► make ─► archive (pieces, packed) ─► lock (age) ─► a caller, a directory, an S3 store
//!  source ─► lock ─► archive ─► check ─► nothing more, or log::stopped: a store of an only master
//! ```
//!
//! What stands in it before the lock says whose it is and from when, and no secret. It is encrypted as it is
//! made: in clear it is in no file and in no answer. `keeper` makes them by schedule while its master leads.

mod archive;
mod check;
mod error;
mod keeper;
mod lock;
mod make;
mod place;
mod restore;
mod s3;

pub use archive::Head;
pub use check::{Content, verify};
pub use error::ArchiveError;
pub use keeper::{Keeper, KeeperParts};
pub use lock::{Key, new_key};
pub use restore::{Restored, Target, restore, unfinished};

#[cfg(test)]
mod tests;
