//! A copy of everything this master has, as another one would be sent it: for whoever keeps it elsewhere.

use std::sync::Arc;

use super::{
    machine::Machine,
    propose::ProposeError,
    raft::Log,
    types::{Image, LogId, Rows, View},
};

/// A state as it was after one entry of the log, with the history up to it.
#[derive(Clone)]
pub struct Copied {
    /// The entry.
    pub at: LogId,
    view: Arc<dyn View>,
}

impl Copied {
    /// The rows of the state, then those of the history, read from the store as they are asked for.
    pub fn rows(&self) -> Rows<'_> {
        self.view.rows()
    }
}

impl<M: Machine> Log<M> {
    /// What this master has applied, as of now. Taking it costs nothing; holding it keeps the state in
    /// memory that was taken.
    ///
    /// # Errors
    /// When consensus has stopped, or nothing was ever applied.
    pub async fn copy(&self) -> Result<Copied, ProposeError> {
        let stopped = |why: String| ProposeError::Stopped(why);
        let taken = self.core.raft.get_snapshot().await;
        let taken = taken.map_err(|error| stopped(error.to_string()))?;
        let empty = || stopped("nothing was written to it yet".to_owned());
        let taken = taken.ok_or_else(empty)?;
        match (taken.meta.last_log_id, *taken.snapshot) {
            (Some(at), Image::View(view)) => Ok(Copied { at, view }),
            _ => Err(empty()),
        }
    }
}
