//! The replicated log: openraft over RocksDB, group commit, snapshots, the change feed.
//!
//! ```text
//!  propose ─► batcher ─► openraft ─► journal ─► store (RocksDB: entries, vote, rows)
//!                          │  ▲                   ▲
//!             network ◄────┘  └── peer server     │ rows, written through
//!                          ▼                      │
//!                       replica ─► machine (core::State) ─► feed ─► everyone who follows
//! ```
//!
//! Invariants: an acknowledged command is on the disks of a majority; two masters that applied the
//! same index have equal states; a write never overtakes an earlier one on its way to the disk;
//! nothing here is unbounded. What a command means is the machine's business, who may connect is
//! decided by the TLS configurations given in.

pub mod machine;
pub mod codec;
pub mod types;
pub mod store;
pub mod memory;
#[cfg(feature = "rocksdb")]
pub mod rocks;
pub mod disk;
pub mod journal;
pub mod replica;
pub mod feed;
pub mod history;
pub mod metrics;
pub mod peer;
pub mod lead;
pub mod network;
pub mod propose;
pub mod desk;
pub mod question;
pub mod tend;
pub mod compare;
pub mod state;
pub mod raft;
pub mod members;
pub mod contact;
pub mod ballot;
pub mod copy;
pub mod stopped;
pub mod sample;
mod shapes;
#[cfg(test)]
mod tests;

pub use contact::Contact;
pub use copy::Copied;
pub use disk::Disk;
pub use feed::{Batch, Feed, Follower, Step};
pub use machine::{Applied, Machine, RequestId, Revision, Stamped};
pub use members::Standing;
pub use propose::ProposeError;
pub use raft::{Links, Log, LogConfig, LogError, Timing};
