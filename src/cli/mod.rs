//! The command line; talks HTTP like any client.
pub mod daemon;
