//! Master to master: replication, votes, snapshots, and proposals passed on to the leader.
//!
//! One connection per direction carries length-prefixed messages; requests are numbered and
//! answered in any order. How bytes travel is given from outside: TCP with mutual TLS in the
//! product, simulated TCP in tests.

pub mod client;
pub mod server;
pub mod transport;
pub mod wire;
