//! The Marathon dialect: apps, groups, deployments, events (docs/compat/marathon.md).
//!
//! ```text
//! JSON ─► json::read ─► spec::App ─► normalize ─► validate ─► convert ─► core::Command
//! State ─► convert ─► spec::App ─► render ─► JSON
//! Change ─► events ─► server-sent events
//! ```
//! A thin edge: nothing outside this folder depends on it besides the node that mounts it. What is
//! needed of the rest of the system stands in `control::cluster::Cluster`.

pub mod settings;
pub mod json;
pub mod spec;
pub mod normalize;
pub mod validate;
pub mod schema;
pub mod convert;
pub mod roles;
pub mod prepare;
pub mod regroup;
pub mod error;
pub mod events;
pub mod service;
pub mod render;
pub mod select;
pub mod request;
pub mod handlers;
pub mod definitions;
pub mod routes;
#[cfg(test)]
mod tests;

pub use definitions::Apps;
pub use events::Hub;
pub use routes::Dialect;
pub use service::Marathon;
pub use settings::Settings;
