//! Answers: views borrowed from a snapshot that serialise straight to the wire.
//!
//! No intermediate JSON tree is built for the large answers (all groups with all tasks), so their
//! price is that of writing the bytes.

pub mod app;
pub mod deployment;
pub mod embed;
pub mod group;
pub mod info;
pub mod pod;
pub mod queue;
pub mod stats;
pub mod task;

#[cfg(test)]
mod tests;
