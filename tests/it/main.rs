//! The one integration binary.

mod dcos;
mod dns;
mod router;
