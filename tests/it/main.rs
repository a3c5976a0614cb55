//! The one integration binary.

mod api;
mod dcos;
mod dns;
mod router;
mod world;
