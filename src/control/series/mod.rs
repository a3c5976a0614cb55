//! What the leader measures over time: use of instances, services, nodes and the cluster, restarts, and
//! what the front door sees of each service.
//!
//! ```text
//!  agents ─ heartbeats ─ links ┐
//!  front door ─ meters ────────┼─ sample (every 5 s) ─► store ─► GET /tepui/v1/metrics?of=…
//!  state ──────────────────────┘                          └► file (every 5 min, at the end)
//! ```
//! Nothing of it goes through the log: another master that leads begins with what it has measured
//! itself. The store is bounded in series; what was measured last the longest ago goes first, and of
//! those measured now no one has to make room for another.

pub mod names;
mod row;
pub mod store;
pub mod file;
pub mod sample;
pub mod recorder;

pub use file::path;
pub use names::{Measure, Subject};
pub use recorder::Recorder;
pub use store::Recorded;
