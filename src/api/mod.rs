//! Our own API, `/tepui/v1`: what Marathon and Mesos have no shape for.
//!
//! The contract is `docs/api/openapi.yaml`, served as it is; `tests/it/api.rs` fails on a route
//! that is not in it or a path that is not served. It works on a
//! `control::cluster::Cluster`; `routes` lists what it serves, `view` renders, the other files hold the
//! handlers.
//!
//! Leaves the definition of apps to the Marathon dialect and identity to the admin router.

mod context;
pub mod view;
pub mod routes;
mod cluster;
mod measured;
pub mod metrics;
mod apps;
mod backups;
mod efficiency;
mod volumes;
mod history;
mod versions;
mod tasks;
mod tokens;
mod files;
mod follow;
mod logs;
pub mod frames;
mod exec;
mod sessions;
mod invitations;
mod level;
mod masters;
mod nodes;
mod one_node;
mod plan;
mod events;
pub mod live;
pub mod ui;
#[cfg(test)]
mod tests;

pub use context::Api;
