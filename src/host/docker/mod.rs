//! The container engine: Docker's API by bollard.
//!
//! `plan` says what a container should be, `create` and `options` turn that into the engine's words
//! (pure), `engine` talks to it, `images` gets images there, `cgroup` reads and signals what the
//! engine has no fast call for. Knows nothing of tasks, instances or the leader.

pub mod plan;
pub mod options;
pub mod create;
pub mod rooted;
pub mod engine;
pub mod images;
pub mod logs;
pub mod session;
pub mod cgroup;

pub use engine::{Engine, EngineError, Found};
pub use plan::ContainerPlan;
