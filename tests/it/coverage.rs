//! Every route there is: each has a golden case or stands in a list that only shrinks, each above
//! open access refuses strangers, and none is reached by rights that do not go so far.
//!
//! The routes are read from the tables themselves; only what is open, and what has no case yet, is
//! listed by hand.

mod access;
mod cases;
pub mod master;
mod routes;
