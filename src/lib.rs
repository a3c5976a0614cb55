//! tepui: a datacenter operating system in one binary.
//!
//! Modules stand in layer order: a module uses only those above it in this list. The map with the
//! reasons is ARCHITECTURE.md; `tests/it/tidy.rs` fails on an upward import.

#![cfg_attr(not(test), warn(clippy::unwrap_used))] // what cannot fail says why: expect

pub mod base;
pub mod model;
pub mod core;
pub mod log;
pub mod host;
pub mod http;
pub mod control;
pub mod agent;
pub mod dns;
pub mod lb;
pub mod api;
pub mod compat;
pub mod node;
pub mod cli;
pub mod sim;
