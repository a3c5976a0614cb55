//! What a client that comes back has missed, from the window of the change feed.
//!
//! Events are numbered by what they are made from: the revision of the state, and their place among those of
//! its changes. Every master makes the same of the same log, so a client may come back to another one.

use super::{
    event::{Event, Place},
    translate::translate,
};
use crate::{
    core::State,
    log::{Feed, Follower, Step},
};

/// Gives the events of a revision their places. What only this master knows has none: another one would count
/// otherwise.
pub fn number(revision: u64, events: &mut [Event]) {
    let own = events.iter_mut().filter(|event| !event.is_of_request());
    for (n, event) in (0..).zip(own) {
        event.place = Some(Place::new(revision, n));
    }
}

/// Reads what was told after a place, as far as the feed still has it.
pub struct Missed {
    follower: Follower<State>,
    after: Place,
    found: Vec<Event>,
}

impl Missed {
    /// What comes after `after`, which was told by this feed or by another master's.
    pub fn after(after: Place, feed: &Feed<State>) -> Self {
        let follower = feed.subscribe(Some(after.revision().saturating_sub(1)));
        Self { follower, after, found: Vec::new() }
    }

    /// Reads on as far as the feed goes; `None` when it no longer has what is missing.
    pub fn read(mut self) -> Option<Self> {
        while let Some(step) = self.follower.try_next() {
            let Step::Batch(batch) = step else { return None };
            // Whose request it was is not known any more.
            let mut events = translate(&batch.changes, &batch.state, batch.at, |_| None);
            number(batch.revision, &mut events);
            let after = self.after;
            self.found.extend(events.into_iter().filter(|e| e.place.is_some_and(|at| at > after)));
        }
        Some(self)
    }

    /// Those up to a place, in order.
    pub fn up_to(self, told: Place) -> impl Iterator<Item = Event> {
        self.found.into_iter().filter(move |event| event.place.is_some_and(|at| at <= told))
    }
}
