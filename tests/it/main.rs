//! The one integration binary. Each module tests one seam of the running system.

mod agent;
mod api;
mod cli;
mod crash;
mod dcos;
mod dns;
mod e2e;
mod marathon;
mod masters;
mod mesos;
mod page;
mod quorum;
mod router;
mod sim;
mod tidy;
mod world;
