//! How each thing is doing: one word, one sentence, since when, what causes it and what to do next.
//!
//! Lists, `why`, deployments, the headline and the counts of what needs attention all ask here; the
//! page and the command line print what is told. So no two of them disagree, and nothing is told
//! well over something that is not.

pub mod state;
pub mod unmet;
pub mod words;
pub mod service;
pub mod instance;
pub mod node;
pub mod cluster;

pub use cluster::headline;
pub use service::verdict;
pub use state::{Standing, Tone, Verdict};
