//! What a feed tells: everything once, and from then on what is another.

use std::sync::Arc;

use crate::{api::view::View, base::clock::Timestamp, control::cluster::Cluster, core::State};

/// What a feed tells, as somebody remembers it who was told everything so far.
pub trait Shown: Sized + Send + 'static {
    /// The memory of somebody who was shown all of `state`.
    fn of(view: &View<'_>, state: Arc<State>, started_at: Timestamp) -> Self;

    /// Everything as JSON.
    fn snapshot(view: &View<'_>, started_at: Timestamp) -> String;

    /// Goes on to `new`; the changes as JSON, `None` when nothing is another.
    fn advance(
        &mut self,
        new: Arc<State>,
        now: Timestamp,
        cluster: &dyn Cluster,
        started_at: Timestamp,
    ) -> Option<String>;

    /// What it was advanced to.
    fn state(&self) -> Arc<State>;
}
