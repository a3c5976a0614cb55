//! Ground layer: time, randomness, ids, units, tasks, errors and bounds. Uses nothing of ours.

pub mod address;
pub mod alike;
pub mod clock;
pub mod error;
pub mod heap;
pub mod hex;
pub mod id;
pub mod level;
pub mod limit;
pub mod metrics;
pub mod oncall;
pub mod pace;
pub mod pattern;
pub mod rng;
pub mod series;
pub mod task;
pub mod trust;
pub mod units;
#[macro_use]
pub mod wire;
