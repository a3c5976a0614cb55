//! Names: a table of ready answers and the servers that send them.
//!
//! `core::naming` decides which names exist; `table` holds them encoded; `zone` knows whose manners
//! each suffix has; `answer` turns a query into a reply; `udp` and `tcp` carry it; `upstream` asks
//! others for everything else, for those whom `recursion` admits; `serve` ties the threads together;
//! `follow` keeps the table equal to the state. The names, their rules and where
//! we differ from the original: docs/compat/dns.md.

pub mod answer;
pub mod follow;
pub mod metrics;
pub mod recursion;
pub mod serve;
pub mod stats;
pub mod table;
mod tcp;
mod udp;
pub mod upstream;
pub mod wire;
mod zone;

#[cfg(test)]
mod tests;
