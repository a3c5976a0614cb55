//! Mesos: the read endpoints old dashboards, scripts and command lines know (docs/compat/mesos.md).
//!
//! `/state`, `/state-summary`, `/slaves`, `/frameworks`, `/tasks`, `/metrics/snapshot`, `/version`
//! and `/health`, each also below `/master` and with `.json` behind it. Rendered from a snapshot of
//! the state on a blocking thread and sent piece by piece, so that a cluster of 20,000 agents and
//! 400,000 tasks holds nobody else up and never lies in memory as one text.
//!
//! `slave` has the endpoints of single agents.
//!
//! `json` writes, `resource`, `agent`, `framework` and `task` are the objects, `history` remembers
//! tasks that have ended, `routes` is the table.

mod facts;
pub mod json;
pub mod resource;
pub mod agent;
pub mod task;
mod volume;
pub mod framework;
pub mod history;
mod state;
mod metrics;
pub mod routes;
pub mod slave;
#[cfg(test)]
mod tests;

pub use facts::Facts;
pub use history::History;
pub use routes::{Mesos, table};

/// The version of Mesos whose shapes these are; clients read features from it.
pub const VERSION: &str = "1.11.0";

/// The framework id of the built-in scheduler of apps and pods.
pub fn marathon_id(state: &crate::core::State) -> String {
    let cluster = state.cluster.as_ref().map_or("", |c| c.id.as_str());
    format!("{cluster}-0001")
}
