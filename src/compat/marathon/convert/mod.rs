//! Between the edge types and `model::WorkloadSpec`, both ways.
//!
//! `into_model` takes a completed and validated definition; `from_model` gives back the same one,
//! which a test holds for every field. Nothing is decided here.

mod from_model;
mod into_model;

pub use from_model::{app, health_check};
pub use into_model::workload;

#[cfg(test)]
mod tests;
