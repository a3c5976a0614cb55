//! Reconcilers of the leader: level-triggered, idempotent, without input of their own.
//!
//! Each has a pure `step(state, …) -> commands` (what simulation and tests run) and is driven by
//! `driver`: woken by any change or a timer, it reads one snapshot, proposes what the step returns
//! and waits for the log's answer, never for what agents make of it. A failover or a restart enters at
//! "read one snapshot".
//!
//! | file | brings about |
//! |---|---|
//! | `deploy` | deployments advance; workloads outside them keep their number of instances |
//! | `place` | waiting instances get a node |
//! | `liveness` | lost nodes are noticed, their tasks expire |
//! | `drain` | draining nodes empty |
//! | `heard` | memory: when each node was last heard of |
//! | `links` | agents know what should run and the leader what does |

pub mod cluster;
pub mod deploy;
pub mod drain;
pub mod driver;
pub mod heard;
pub mod links;
pub mod liveness;
pub mod metrics;
pub mod place;

#[cfg(test)]
mod tests;
