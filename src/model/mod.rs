//! The words of the domain: ids, resources, specs, instances, nodes. Data and the rules that hold
//! for one value at a time; nothing here changes over time by itself.
//!
//! Read in this order. `workload` is what somebody wants, `owner` who, `instance` what there is of it, `node`
//! where it runs, `volume` what it keeps there, `link` what leader and agent tell each other.

pub mod path;
pub mod resource;
pub mod condition;
pub mod container;
pub mod workload;
pub mod owner;
pub mod instance;
pub mod node;
pub mod volume;
pub mod master;
pub mod deployment;
pub mod access;
pub mod credential;
pub mod framework;
pub mod names;
pub mod link;
pub mod by;
mod shapes;
#[cfg(test)]
mod tests;

pub use access::Role;
pub use deployment::{Deployment, DeploymentId};
pub use instance::{Instance, InstanceId};
pub use node::{Node, NodeId};
pub use owner::Owner;
pub use path::{AppId, GroupId, PathId};
pub use resource::{Pools, Ranges, Resources, Scalars};
pub use volume::{Volume, VolumeId};
pub use workload::{RunSpec, WorkloadSpec};
