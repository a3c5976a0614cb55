//! Every route there is: each above open access refuses strangers, and none is reached by rights
//! that do not go so far.
//!
//! The routes are read from the tables themselves; only what is open is listed by hand.

mod access;
mod master;
mod routes;
