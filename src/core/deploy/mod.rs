//! Deployments: what differs, which steps lead there, what is due now, who goes first.
//!
//! All of it is a function of the state. The reconciler in `control` calls `due` whenever the
//! state changes and proposes what it returns; there is no memory to lose in a failover
//! (docs/compat/marathon.md, "Deployments").

pub mod drain;
pub mod graph;
pub mod kept;
pub mod kill;
pub mod plan;
pub mod preview;
pub mod progress;
pub mod wait;

pub use plan::steps;
pub use progress::{Due, due, is_healthy};
