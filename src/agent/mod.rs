//! The agent: desired set against the containers that are there.

pub mod desired;
