//! Placement: which waiting instance goes on which node, and why the others do not.
//!
//! `plan` is a function of a snapshot, the outstanding leases and the time; same input, same
//! launches. It never overcommits a node: it works on its own ledger and takes from it as it goes.
//! What it proposes is checked again by `apply`, because the state moves on meanwhile. Each
//! workload that waits gets a report; reports are kept by the caller and never re-derived.
//!
//! ```text
//! State + leases ─► Ledger (free, by node and role)          share: whose turn
//!                     │                                        │
//!      spec ─► fit::Needs, constraint::Rules ─► cursor: feasible nodes, best first ─► launches
//!                     └────────────► explain: every node × every reason ─► report, advice
//! ```

pub mod ledger;
mod limits;
pub mod field;
pub mod fit;
pub mod ports;
pub mod constraint;
pub mod share;
mod cursor;
mod bound;
mod waiting;
pub mod report;
mod advice;
mod explain;
mod forecast;
mod plan;
pub mod preview;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;

pub use forecast::{Forecast, Place, Room, explain_spec, forecast};
pub use ledger::Ledger;
pub use limits::{Limits, Policy};
pub use plan::{Plan, Planner, plan};
pub use report::{Hold, Reason, Report};
