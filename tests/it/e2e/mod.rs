//! End to end: the real program, real containers, real sockets.
//!
//! Each test starts its own `tepui dev` in its own directory on free ports and removes its
//! containers. They need a Docker engine; without one they fail and say so.

mod apps;
mod backup;
pub mod client;
mod doors;
mod faults;
mod identity;
mod metrics;
mod nodes;
mod pods;
mod sessions;
mod pauses;
mod scale;
pub mod system;
mod volumes;
