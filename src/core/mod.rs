//! The deterministic heart: state, commands, changes, placement, deployments.
//!
//! Same commands, same bytes, on every master and in every run: no clock, no randomness, no I/O,
//! no hash-ordered iteration. `apply` is the only way state changes; planners (`place`, `deploy`)
//! are functions of a snapshot that return commands and a report of why.

pub mod command;
pub mod refusal;
pub mod change;
pub mod told;
pub mod state;
mod entity;
pub mod table;
pub mod apply;
pub mod backoff;
pub mod deploy;
pub mod place;
pub mod invariant;
pub mod env;
pub mod naming;
pub mod past;
pub mod history;
mod shapes;

pub use apply::{
    access::AccessCommand, admission::AdmissionCommand, apply, cluster::ClusterCommand,
    node::NodeCommand, task::TaskCommand, volume::VolumeCommand, workload::WorkloadCommand,
};
pub use change::Change;
pub use command::{Accepted, Command, Outcome, Stamped};
pub use refusal::{Rejected, Subject, Thing};
pub use state::State;
