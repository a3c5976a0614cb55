//! The change feed: what was committed, in order, for everyone who follows the state.
//!
//! Two ways to follow. Reconcilers are level-triggered: they wait for the latest state to move and
//! read it ([`Feed::latest`], [`Feed::changed`]). Event streams want every change: they subscribe
//! from a revision and get each batch, or a `Resync` when they fell out of the replay window. The
//! window is bounded by count; of the batches older than a minute only a few are kept, because
//! each pins the parts of its state that later states replaced. A slow follower costs nothing but
//! its own place: nothing is buffered per follower.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::machine::{Machine, Revision};
use crate::base::{clock::Timestamp, limit};

/// Batches kept whatever their age.
const KEPT_MIN: usize = 256;
/// Age after which batches beyond `KEPT_MIN` are let go, on the log's own clock.
const KEPT_AGE: Duration = Duration::from_secs(60);

/// The changes of one log entry and the state after it.
pub struct Batch<M: Machine = crate::core::State> {
    pub revision: Revision,
    /// The latest stamp applied so far.
    pub at: Timestamp,
    /// In the order they happened; never empty.
    pub changes: Vec<M::Change>,
    /// The state right after these changes.
    pub state: Arc<M>,
}

/// What a follower is told next.
pub enum Step<M: Machine = crate::core::State> {
    Batch(Arc<Batch<M>>),
    /// The follower missed changes; it must start over from this state.
    Resync(Arc<M>),
}

/// The feed of one log. Cheap to clone.
pub struct Feed<M: Machine = crate::core::State> {
    inner: Arc<Inner<M>>,
}

impl<M: Machine> Clone for Feed<M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

struct Inner<M: Machine> {
    latest: ArcSwap<M>,
    window: Mutex<Window<M>>,
    revision: watch::Sender<Revision>,
}

struct Window<M: Machine> {
    batches: VecDeque<Arc<Batch<M>>>,
    /// Changes up to here can no longer be replayed.
    floor: Revision,
}

impl<M: Machine> Feed<M> {
    /// A feed that starts at a loaded state.
    pub fn new(state: Arc<M>) -> Self {
        let revision = state.revision();
        let inner = Inner {
            latest: ArcSwap::new(state),
            window: Mutex::new(Window { batches: VecDeque::new(), floor: revision }),
            revision: watch::Sender::new(revision),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The newest state.
    pub fn latest(&self) -> Arc<M> {
        self.inner.latest.load_full()
    }

    /// Tells when the latest revision moves; for level-triggered readers.
    pub fn changed(&self) -> watch::Receiver<Revision> {
        self.inner.revision.subscribe()
    }

    /// Follows the changes after `from`; without it, those after now.
    pub fn subscribe(&self, from: Option<Revision>) -> Follower<M> {
        let now = self.latest().revision();
        let after = from.unwrap_or(now);
        // A place ahead of us belongs to another history; its follower has to start over.
        let lost = after > now;
        let moved = self.inner.revision.subscribe();
        Follower { inner: self.inner.clone(), after, lost, moved }
    }

    /// Publishes the state after one entry. Without changes only the latest state moves.
    pub(crate) fn publish(&self, state: Arc<M>, changes: Vec<M::Change>) {
        let (revision, at) = (state.revision(), state.at());
        let mut window = self.inner.window.lock();
        if !changes.is_empty() {
            let state = state.clone();
            window.batches.push_back(Arc::new(Batch { revision, at, changes, state }));
            window.trim(at);
        }
        self.inner.latest.store(state);
        drop(window);
        self.inner.revision.send_replace(revision);
    }

    /// Publishes a state that came from a snapshot: every follower has missed something.
    pub(super) fn reset(&self, state: Arc<M>) {
        let revision = state.revision();
        let mut window = self.inner.window.lock();
        window.batches.clear();
        window.floor = revision;
        self.inner.latest.store(state);
        drop(window);
        self.inner.revision.send_replace(revision);
    }
}

impl<M: Machine> Window<M> {
    fn trim(&mut self, now: Timestamp) {
        while let Some(oldest) = self.batches.front() {
            let old = self.batches.len() > KEPT_MIN && now.since(oldest.at) > KEPT_AGE;
            if !old && self.batches.len() <= limit::REPLAY_WINDOW_MAX {
                break;
            }
            self.floor = oldest.revision;
            self.batches.pop_front();
        }
    }
}

/// One reader of the feed.
pub struct Follower<M: Machine = crate::core::State> {
    inner: Arc<Inner<M>>,
    after: Revision,
    lost: bool,
    moved: watch::Receiver<Revision>,
}

impl<M: Machine> Follower<M> {
    /// The next step after the last one. Waits for a change; safe to cancel.
    pub async fn next(&mut self) -> Step<M> {
        loop {
            self.moved.borrow_and_update();
            if let Some(step) = self.try_next() {
                return step;
            }
            if self.moved.changed().await.is_err() {
                // The feed lives in `inner`, which this follower holds.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The next step if there is one already.
    pub fn try_next(&mut self) -> Option<Step<M>> {
        let window = self.inner.window.lock();
        if self.lost || self.after < window.floor {
            let latest = self.inner.latest.load_full();
            self.lost = false;
            self.after = latest.revision();
            return Some(Step::Resync(latest));
        }
        let at = window.batches.partition_point(|batch| batch.revision <= self.after);
        let batch = window.batches.get(at)?.clone();
        self.after = batch.revision;
        Some(Step::Batch(batch))
    }

    /// The revision of the last step.
    pub fn revision(&self) -> Revision {
        self.after
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{
        machine::Stamped,
        sample::{Op, Tally},
    };

    /// Publishes the next state of a tally, `ms` after the epoch.
    fn publish(feed: &Feed<Tally>, ms: i64) {
        let mut state = (*feed.latest()).clone();
        let n = u32::try_from(state.revision()).unwrap();
        let at = Timestamp::from_ms(ms);
        let done =
            state.apply(Stamped { at, request: None, by: None, command: Op { client: 1, n } });
        feed.publish(Arc::new(state), done.changes);
    }

    fn revisions(follower: &mut Follower<Tally>) -> Vec<Revision> {
        std::iter::from_fn(|| follower.try_next())
            .map(|step| match step {
                Step::Batch(batch) => batch.revision,
                Step::Resync(state) => 1_000_000 + state.revision(),
            })
            .collect()
    }

    #[test]
    fn a_follower_continues_where_it_left_off() {
        let feed = Feed::new(Arc::new(Tally::default()));
        let mut early = feed.subscribe(None);
        (0..5).for_each(|_| publish(&feed, 0));
        assert_eq!(revisions(&mut early), [1, 2, 3, 4, 5]);
        assert_eq!(revisions(&mut feed.subscribe(Some(3))), [4, 5]);
        assert!(revisions(&mut feed.subscribe(None)).is_empty());
        assert_eq!(revisions(&mut feed.subscribe(Some(9))), [1_000_005], "another history");
    }

    #[test]
    fn who_falls_out_of_the_window_starts_over() {
        let feed = Feed::new(Arc::new(Tally::default()));
        let mut slow = feed.subscribe(None);
        let n = limit::REPLAY_WINDOW_MAX as u64 + 1;
        (0..n).for_each(|_| publish(&feed, 0));
        assert_eq!(revisions(&mut slow), [1_000_000 + n]);
        assert_eq!(revisions(&mut feed.subscribe(Some(1))).len(), limit::REPLAY_WINDOW_MAX);
    }

    #[test]
    fn old_batches_go_but_for_the_last_few() {
        let feed = Feed::new(Arc::new(Tally::default()));
        (0..1_000).for_each(|_| publish(&feed, 0));
        publish(&feed, 61_000);
        assert_eq!(revisions(&mut feed.subscribe(Some(1_001 - 256))).len(), 256);
        assert_eq!(revisions(&mut feed.subscribe(Some(1_001 - 257))), [1_001_001]);
    }

    #[test]
    fn a_snapshot_sends_everyone_back_to_the_start() {
        let feed = Feed::new(Arc::new(Tally::default()));
        publish(&feed, 0);
        let mut follower = feed.subscribe(Some(1));
        let mut ahead = (*feed.latest()).clone();
        for n in 0..9 {
            let at = Timestamp::EPOCH;
            ahead.apply(Stamped { at, request: None, by: None, command: Op { client: 2, n } });
        }
        feed.reset(Arc::new(ahead));
        assert_eq!(revisions(&mut follower), [1_000_010]);
    }
}
