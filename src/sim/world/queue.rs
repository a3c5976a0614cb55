//! Events in the order of their time, and of their making where times are equal.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::Event;
use crate::base::clock::Timestamp;

/// What is going to happen.
#[derive(Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Scheduled>>,
    n_made: u64,
}

/// An event with its place in the order.
struct Scheduled {
    at: Timestamp,
    n: u64,
    event: Event,
}

impl Queue {
    pub fn push(&mut self, at: Timestamp, event: Event) {
        self.n_made += 1;
        self.heap.push(Reverse(Scheduled { at, n: self.n_made, event }));
    }

    /// The next event with its time, when it is due until then.
    pub fn pop_until(&mut self, until: Timestamp) -> Option<(Timestamp, Event)> {
        let is_due = self.heap.peek()?.0.at <= until;
        is_due.then(|| self.heap.pop()).flatten().map(|Reverse(next)| (next.at, next.event))
    }

    /// Forgets the events that are not `wanted`.
    pub fn retain(&mut self, wanted: impl Fn(&Event) -> bool) {
        self.heap.retain(|next| wanted(&next.0.event));
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.n) == (other.at, other.n)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.n).cmp(&(other.at, other.n))
    }
}
