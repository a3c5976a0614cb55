//! The container engine: Docker's API by bollard.
//!
//! `plan` says what a container should be, `create` and `options` turn that into the engine's words
//! (pure), `engine` talks to it, `images` gets images there, `cgroup`,
//! `processes` and `stop` read and signal what the engine has no call for. Knows nothing of tasks, instances or the leader.

pub mod plan;
pub mod options;
pub mod create;
pub mod rooted;
pub mod engine;
pub mod images;
pub mod logs;
pub mod session;
pub mod user;
mod networks;
pub mod cgroup;
pub mod processes;
pub mod stop;

pub use engine::{Engine, EngineError, Found};
pub use plan::ContainerPlan;

#[cfg(test)]
mod tests;
