//! The one integration binary.

mod api;
mod cli;
mod crash;
mod dcos;
mod dns;
mod marathon;
mod masters;
mod quorum;
mod router;
mod sim;
mod tidy;
mod world;
mod agent;
