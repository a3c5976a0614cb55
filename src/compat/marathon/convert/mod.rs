//! Between the edge types and `model::WorkloadSpec`, both ways.
//!
//! `into_model` takes a completed and validated definition; `from_model` gives back the same one,
//! which a test holds for every field. Nothing is decided here.

mod from_model;
mod into_model;
mod pod_from;
mod pod_into;

use serde_json::Value;

pub use from_model::{app, health_check, unreachable};
pub use into_model::workload;
pub use pod_from::{pod, probed, resources};
pub use pod_into::workload as pod_workload;

use crate::model::workload::{Kind, WorkloadSpec};

/// The definition of `spec` as answers show it, whatever it is.
pub fn shown(spec: &WorkloadSpec) -> Value {
    match spec.run.kind {
        Kind::App => serde_json::to_value(app(spec)),
        Kind::Pod => serde_json::to_value(pod(spec)),
    }
    .unwrap_or_default()
}

#[cfg(test)]
mod tests;
