//! Rows and details as the API shows them, rendered from one snapshot of the state.
//!
//! Pure: a view is a function of (state, time, leader memory). Field names and meanings are those
//! of `docs/api/openapi.yaml`.

pub mod app;
pub mod container;
pub mod deployment;
pub mod differ;
pub mod drain;
pub mod effect;
pub mod history;
mod health;
pub mod lookup;
pub mod instance;
pub mod node;
pub mod plan;
pub mod reconciler;
pub mod status;
pub mod tally;
pub mod verdict;
pub mod why;
#[cfg(test)]
mod tests;

use serde::{Serialize, Serializer};

use crate::{
    base::{clock::Timestamp, units::Milli},
    control::cluster::Cluster,
    core::State,
    model::Scalars,
};

/// What a view is rendered from.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub state: &'a State,
    pub now: Timestamp,
    pub cluster: &'a dyn Cluster,
}

/// A time as `2026-11-22T13:14:11.042Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Iso(pub Timestamp);

impl Serialize for Iso {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// A number with at most three decimals; whole ones without a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decimal(pub Milli);

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.get() % 1000 == 0 {
            to.serialize_i64(self.0.get() / 1000)
        } else {
            to.serialize_f64(self.0.as_f64())
        }
    }
}

/// The four usual resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Resources {
    pub cpus: Decimal,
    pub mem_mb: Decimal,
    pub disk_mb: Decimal,
    pub gpus: Decimal,
}

impl From<Scalars> for Resources {
    fn from(s: Scalars) -> Self {
        Self {
            cpus: Decimal(s.cpus),
            mem_mb: Decimal(s.mem),
            disk_mb: Decimal(s.disk),
            gpus: Decimal(s.gpus),
        }
    }
}

/// Bytes as MiB, to one decimal: samples need no more, and rows change less often.
pub fn mib(bytes: u64) -> Decimal {
    Decimal(Milli::from_f64((bytes as f64 / f64::from(1 << 20) * 10.0).round() / 10.0))
}

/// A sample of CPUs, to two decimals.
pub fn cpus(value: f64) -> Decimal {
    Decimal(Milli::from_f64((value * 100.0).round() / 100.0))
}
