//! The one integration binary.

mod dns;
mod router;
