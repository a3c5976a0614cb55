//! The operator's command line: `tepui <noun> <verb>`.
//!
//! Talks HTTP to the admin router like any other client and knows nothing of the server's inside.
//! `args` is the command tree, `client` the HTTP client, `output` the one place that decides what
//! quiet, JSON and colour mean; every other file is a group of commands.
//!
//! Exit codes: 0 done (a reader that closed its pipe is no failure), 1 failed, 2 wrong usage or a
//! refused definition, 3 no such thing, 4 login needed or refused, 5 conflict or locked, 6 timed
//! out, 7 cluster not reachable, 8 a deployment ended without reaching its goal. `tepui exec` ends
//! with the command's own code.

pub mod args;
mod io;
pub mod output;
pub mod error;
pub mod client;
pub mod session;
pub mod cluster;
mod tls;
mod sse;
mod definition;
mod group;
mod foreign;
mod keys;
mod editor;
mod apps;
mod pods;
mod deploy;
mod wait;
mod tasks;
mod masters;
mod recover;
mod backup;
mod volumes;
mod nodes;
mod onward;
mod tokens;
mod deployments;
mod history;
mod versions;
mod files;
mod logs;
mod search;
mod exec;
mod verdict;
mod why;
mod status;
mod top;
mod login;
mod complete;
mod doctor;
pub mod daemon;
mod run;
mod text;
mod words;
mod steady;

pub use io::Io;
pub use run::{main, run};

#[cfg(test)]
mod tests;
