//! The one integration binary.

mod router;
