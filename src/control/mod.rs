//! Reconcilers of the leader: level-triggered, idempotent, without input of their own.
//!
//! `reconcilers` lists them. Each has a pure step from one snapshot to commands and a report of what it
//! waits for; `driver` runs the list on a real leader and `sim::world` on a simulated one. Woken by any
//! change or a timer, a reconciler reads one snapshot; what its step returns is proposed, and the next
//! step waits for the log's answer, never for what agents make of it. A failover or a restart enters at
//! "read one snapshot".
//!
//! | file | brings about |
//! |---|---|
//! | `deploy` | deployments advance; workloads outside them keep their number of instances |
//! | `place` | waiting instances get a node |
//! | `liveness` | lost nodes are noticed, their tasks expire |
//! | `drain` | draining nodes empty |
//! | `board` | memory: what each did last and what it waits for |
//! | `heard` | memory: when each node was last heard of |
//! | `cluster` | the handle of everybody who reads, changes or asks the cluster |
//! | `definitions` | how a dialect's definitions are read and described, for the others |
//! | `questions` | agents are asked from any master |
//! | `links` | agents know what should run and the leader what does |
//! | `backup` | what backups are to those who ask for them |
//! | `series` | memory: what the leader measured over time |

pub mod backup;
pub mod board;
pub mod cluster;
pub mod definitions;
pub mod deploy;
pub mod drain;
pub mod driver;
pub mod heard;
pub mod links;
pub mod liveness;
pub mod metrics;
pub mod place;
pub mod questions;
pub mod reconciler;
pub mod reconcilers;
pub mod series;

#[cfg(test)]
mod tests;
