//! The agent: desired set against the containers that are there.

pub mod desired;
pub mod runtime;
pub mod engine;
pub mod launch;
pub mod accounts;
pub mod sandbox;
