//! The one integration binary. Each module tests one seam of the running system.

#![allow(clippy::print_stdout)] // tests say what they measured

mod agent;
mod api;
mod cli;
mod clients;
mod cluster;
mod coverage;
mod crash;
mod dcos;
mod dns;
mod door;
mod e2e;
mod fuzz;
mod golden;
mod installer;
#[path = "../machine/layer.rs"]
mod layer;
mod linear;
mod marathon;
mod masters;
mod measured;
mod mesos;
mod page;
mod quorum;
mod recorded;
mod road;
mod router;
mod sim;
mod tidy;
mod upload;
mod verdict;
mod world;
