//! Who stands still, whose clock was set, whose disk is slow; and what is held back meanwhile.

use std::{collections::BTreeMap, time::Duration};

use super::{Event, Ix, World};

/// Somebody who can stand still.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Who {
    Leader,
    /// The leader's disk: it looks and hears, but nothing gets written.
    Log,
    Node(Ix),
}

/// What is held back for those that stand still, in its order.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<Who, Vec<Event>>);

impl Held {
    pub fn holds(&self, who: Who) -> bool {
        self.0.contains_key(&who)
    }
}

impl World {
    /// Stops somebody where he stands: nothing he should do happens until `resume`.
    pub fn pause(&mut self, who: Who) {
        self.counts.faults += 1;
        self.held.0.entry(who).or_default();
        self.witness.disturbed(self.now, who);
    }

    /// Lets somebody go on, with all that came in meanwhile.
    pub fn resume(&mut self, who: Who) {
        let Some(events) = self.held.0.remove(&who) else { return };
        if who == Who::Leader {
            // What nodes sent meanwhile is read a little later than the leader's timers fire.
            self.leader.deaf_until =
                self.now + Duration::from_millis(self.network_rng.below(1_500));
        }
        for event in events {
            self.schedule(Duration::ZERO, event);
        }
    }

    pub fn is_paused(&self, who: Who) -> bool {
        self.held.holds(who)
    }

    /// Sets the wall clock of the leader or of a node by so many milliseconds.
    pub fn step_clock(&mut self, who: Who, by_ms: i64) {
        self.counts.faults += 1;
        match who {
            Who::Leader | Who::Log => self.clock.step_ms(by_ms),
            Who::Node(ix) => self.nodes[ix].clock_off_ms += by_ms,
        }
    }

    /// Keeps an event back when one who is needed for it stands still.
    pub(super) fn hold(&mut self, event: Event) -> Option<Event> {
        let needs: &[Who] = match &event {
            Event::Tick => &[Who::Leader],
            Event::Activate(_) => &[Who::Leader],
            Event::Commit(..) | Event::FromNode { .. } | Event::Wiped { .. } => {
                &[Who::Leader, Who::Log]
            }
            Event::ToNode { ix, .. }
            | Event::Look { ix }
            | Event::Idle { ix }
            | Event::Container { ix, .. } => &[Who::Node(*ix)],
            Event::Connect { ix } => &[Who::Node(*ix), Who::Leader, Who::Log],
            Event::Chaos => &[],
        };
        let Some(who) = needs.iter().copied().find(|w| self.is_paused(*w)) else {
            return Some(event);
        };
        if who == Who::Log {
            self.heard_without_log(&event);
        }
        self.held.0.entry(who).or_default().push(event);
        None
    }

    /// What reaches a leader that cannot write is heard all the same.
    fn heard_without_log(&mut self, event: &Event) {
        match event {
            Event::FromNode { ix, epoch, .. } if self.nodes[*ix].epoch == *epoch => {
                let (node, moment) = (self.nodes[*ix].info.id.clone(), self.moment());
                self.leader.heard.hear(&node, moment, self.now);
            }
            Event::Connect { ix } if self.nodes[*ix].is_reachable() => {
                self.leader.greeting.insert(*ix);
            }
            _ => {}
        }
    }

    /// Whether a node's heartbeats reach a leader that listens.
    pub(super) fn beats(&self, ix: Ix) -> bool {
        self.nodes[ix].is_connected
            && !self.is_paused(Who::Node(ix))
            && self.now >= self.leader.deaf_until
    }

    /// Whoever led and stood still does not lead any more: its timers are another's now, and what
    /// it was to hear or to write is lost.
    pub(super) fn resume_with_another(&mut self) {
        for who in [Who::Leader, Who::Log] {
            let held = self.held.0.remove(&who).unwrap_or_default();
            for event in held.into_iter().filter(|event| matches!(event, Event::Tick)) {
                self.schedule(Duration::ZERO, event);
            }
        }
        for events in self.held.0.values_mut() {
            events.retain(|event| !matches!(event, Event::Commit(..) | Event::Activate(_)));
        }
    }

    /// The leader's timers: it hears who talks, and gives up connections that are silent.
    pub(super) fn listen(&mut self) {
        let moment = self.moment();
        self.leader.heard.attend(moment);
        for ix in self.leader.greeting.clone() {
            self.leader.heard.greet(&self.nodes[ix].info.id, moment, self.now);
        }
        for ix in 0..self.nodes.len() {
            if self.beats(ix) {
                self.leader.heard.hear(&self.nodes[ix].info.id, moment, self.now);
            } else if self.nodes[ix].is_connected
                && self.leader.heard.is_lost(&self.nodes[ix].info.id)
            {
                self.break_connection(ix, true);
                let after = Duration::from_millis(200 + self.network_rng.below(800));
                self.schedule(after, Event::Connect { ix });
            }
            let is_well = self.beats(ix) && !self.is_paused(Who::Log);
            self.witness.saw(ix, is_well, self.now);
        }
    }
}
