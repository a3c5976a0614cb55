//! The platform around the schedulers as DC/OS clients know it: the admin router with its routes
//! and rewrites, sign-in, and the small answers about cluster, nodes and health
//! (docs/compat/dcos.md).
//!
//! `gateway::Gateway` is the front door: one handler over everything a cluster serves. Other
//! dialects, the own API and the UI are mounted into it as handlers (`gateway::Mounts`); services
//! of the cluster are reached through the proxy.

pub mod challenge;
pub mod cluster;
pub mod gateway;
pub mod iam;
pub mod names;
pub mod rules;
pub mod service;
pub mod spki;
pub mod system;
pub mod user;

pub use cluster::{Facts, Known};
pub use gateway::{Gateway, GatewayParts, Mounts};
