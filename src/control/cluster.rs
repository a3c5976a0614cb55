//! The cluster as its edges change it: a command takes effect, or it is told whose fault it is that it
//! did not. Each dialect turns that into its own words in one function.

use crate::{
    core::{Accepted, Command, Rejected, State},
    log::{self, Log},
};

/// Why a command did not take effect.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProposeError {
    /// The caller's fault: the state refuses it.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Nobody decided it; `retry` says what the caller may do.
    #[error(transparent)]
    Log(#[from] log::ProposeError),
}

/// Has a command decided, at most `limit::PROPOSE` long.
///
/// # Errors
/// When the state refuses it or the log gives no outcome.
pub async fn propose(
    log: &Log<State>,
    command: impl Into<Command>,
) -> Result<Accepted, ProposeError> {
    Ok(log.propose(command.into()).await??)
}
