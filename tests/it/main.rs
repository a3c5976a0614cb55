//! The one integration binary. Each module tests one seam of the running system.

mod api;
mod cli;
mod crash;
mod dcos;
mod dns;
mod marathon;
mod quorum;
mod router;
mod tidy;
mod world;
