//! The Marathon dialect against a cluster in memory: real state machine, placement and deployment
//! steps, no network and no containers.

mod cluster;
mod counts;
mod events;
mod golden;
mod invalid;
mod scale;
mod unset;
