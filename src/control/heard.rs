//! Who was heard of when: leader memory, counted on the clock that nobody sets.
//!
//! A leader that stood still itself (stopped, swapped out, moved to another host) has no right to
//! hold the silence of that time against anybody: what was sent to it is waiting unread. `attend`
//! is called many times a second, and whoever calls it after a gap takes the gap out of every
//! count.
//!
//! Everything but `attend` speaks of the moment of the last `attend`.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    base::{
        clock::{Moment, Timestamp},
        limit,
    },
    model::node::NodeId,
};

/// A node whose connection broke and did not come back for this long is lost.
const BROKEN: Duration = Duration::from_secs(2);
/// A leader that did not look for longer than this was not there. Ten times what a loaded machine
/// was seen to delay a timer by.
const ABSENT: Duration = Duration::from_secs(1);

/// What this leader has heard since it was elected.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Silence of nodes that were not heard yet counts from here. Moves on with every gap.
    since: Moment,
    /// Nobody is lost for what they did before this.
    fresh: Moment,
    attended: Moment,
    contacts: BTreeMap<NodeId, Contact>,
}

/// One node as heard by this leader.
#[derive(Clone, Debug)]
struct Contact {
    heard: Moment,
    /// The same for people.
    seen_at: Timestamp,
    link: Link,
}

/// The connection of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Link {
    /// It has introduced itself; the log has not taken that yet.
    Greeting,
    Open,
    Broken(Moment),
}

impl Heard {
    /// Nobody was heard yet: the memory of a leader elected `now`.
    pub fn from(now: Moment) -> Self {
        Self { since: now, fresh: now, attended: now, contacts: BTreeMap::new() }
    }

    /// The leader is here. After a gap, nobody is to blame for it.
    pub fn attend(&mut self, now: Moment) {
        let gap = now.since(self.attended);
        self.attended = self.attended.max(now);
        if gap <= ABSENT {
            return;
        }
        tracing::warn!(?gap, "this leader stood still; silence of nodes counts afresh");
        self.fresh = now;
        self.since = self.since + gap;
        for contact in self.contacts.values_mut() {
            contact.heard = contact.heard + gap;
        }
    }

    /// A node has introduced itself: its silence is over, its registration is on its way.
    pub fn greet(&mut self, node: &NodeId, now: Moment, at: Timestamp) {
        let contact = Contact { heard: now, seen_at: at, link: Link::Greeting };
        self.contacts.insert(node.clone(), contact);
    }

    /// The node is registered and its connection serves.
    pub fn open(&mut self, node: &NodeId, now: Moment, at: Timestamp) {
        let contact = Contact { heard: now, seen_at: at, link: Link::Open };
        self.contacts.insert(node.clone(), contact);
    }

    /// Something came over the connection of a node.
    pub fn hear(&mut self, node: &NodeId, now: Moment, at: Timestamp) {
        if let Some(contact) = self.contacts.get_mut(node) {
            (contact.heard, contact.seen_at) = (now, at);
        }
    }

    /// The connection of a node has ended.
    pub fn lose(&mut self, node: &NodeId, now: Moment) {
        if let Some(contact) = self.contacts.get_mut(node) {
            contact.link = Link::Broken(now);
        }
    }

    /// The moment all of this speaks of.
    pub fn now(&self) -> Moment {
        self.attended
    }

    /// How long nothing was heard of a node while this leader listened.
    pub fn silence(&self, node: &NodeId) -> Duration {
        let last = self.contacts.get(node).map_or(self.since, |c| c.heard);
        self.attended.since(last)
    }

    /// How long this leader has listened without a gap.
    pub fn attention(&self) -> Duration {
        self.attended.since(self.fresh)
    }

    /// How long until a node counts as lost of which nothing more is heard: silent for too long, or
    /// cut off and not back.
    pub fn patience(&self, node: &NodeId) -> Duration {
        let silence = self.silence(node).min(self.attention());
        let silent = limit::AGENT_SILENT_MAX.saturating_sub(silence);
        match self.contacts.get(node).map(|c| c.link) {
            Some(Link::Broken(at)) => {
                silent.min(BROKEN.saturating_sub(self.attended.since(at.max(self.fresh))))
            }
            Some(Link::Greeting | Link::Open) | None => silent,
        }
    }

    /// Whether a node counts as lost.
    pub fn is_lost(&self, node: &NodeId) -> bool {
        self.patience(node).is_zero()
    }

    /// Whether a node is registered, connected and talking.
    pub fn is_here(&self, node: &NodeId) -> bool {
        self.contacts.get(node).is_some_and(|c| c.link == Link::Open) && !self.is_lost(node)
    }

    /// When a node was last heard of, for people.
    pub fn seen_at(&self, node: &NodeId) -> Option<Timestamp> {
        self.contacts.get(node).map(|c| c.seen_at)
    }

    /// Forgets a node that is no member any more.
    pub fn forget(&mut self, node: &NodeId) {
        self.contacts.remove(node);
    }
}

#[cfg(test)]
mod tests;
