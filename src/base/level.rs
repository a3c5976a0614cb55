//! The cluster's level: what all of its masters and agents can do.
//!
//! While releases are mixed, a new one must not make the state hold what an old one cannot read, nor
//! apply a command otherwise than an old one does. Whatever would is held back until the cluster's
//! level says that everybody knows it. The level stands in the state, only rises, and is raised by a
//! command that is refused while a registered master or agent is too old for it (`core::apply::cluster`).
//! A program that knows less than the level of a store or a cluster refuses to work on it.
//!
//! | level | since | what it lets in |
//! |---|---|---|
//! | 1 | 0.1.0 | everything before the next |
//! | 2 | 0.1.0 | agents are told the names of the cluster |
//! | 3 | 0.1.0 | what is done is recorded beside the state (`core::history`) |
//! | 4 | 0.1.0 | masters join and are removed; invitations are for a role; agents are told the masters |
//! | 5 | 0.1.0 | masters can be told to stand by; it is kept when failures in a row began; agents search files |
//! | 6 | 0.1.0 | pods; volumes are kept in the state and bind their instances to nodes |

/// The highest level this release can do.
pub const LEVEL: u32 = if cfg!(feature = "next") { VOLUMES + 1 } else { VOLUMES };
/// From here on agents are told the names of the cluster (`model::names`).
pub const NAMES: u32 = 2;
/// From here on what is done is recorded (`core::history`), in rows that older releases cannot read.
pub const HISTORY: u32 = 3;
/// From here on masters join a running cluster and leave it (`core::apply::admission`), invitations are
/// for one role, and agents are told who the masters are.
pub const MASTERS: u32 = 4;
/// From here on a master can be told to follow only.
pub const STAND_BY: u32 = 5;
/// From here on it is kept when failures in a row began (`core::backoff`).
pub const FIRST_FAILURE: u32 = 5;
/// From here on agents are asked to search files (`model::link::Question::SearchFile`).
pub const SEARCH: u32 = 5;
/// From here on pods run: their definitions hold what older releases have no word for.
pub const PODS: u32 = 6;
/// From here on volumes are kept in the state (`model::volume`), and agents are told of them.
pub const VOLUMES: u32 = 6;
/// What a node, a master or a state is at that does not say.
pub const FIRST: u32 = 1;
