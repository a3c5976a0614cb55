//! What can go wrong in a world, and how it ends again.

use std::time::Duration;

use super::{Event, Ix, Leader, Who, World, masters};
use crate::{
    agent::desired::Key,
    control::reconcilers::Kind,
    core::{State, apply},
    sim::node::Fate,
};

impl World {
    /// The machine goes down.
    pub fn crash(&mut self, ix: Ix) {
        self.counts.faults += 1;
        for key in self.nodes[ix].crash() {
            self.oracle.ended(&key);
        }
        self.break_connection(ix, false);
    }

    /// The machine comes back, empty.
    pub fn boot(&mut self, ix: Ix) {
        let now = self.at_node_now(ix);
        self.nodes[ix].boot(now);
        self.schedule(Duration::from_secs(1), Event::Connect { ix });
    }

    /// Nothing passes between node and leader any more; nobody is told.
    pub fn cut(&mut self, ix: Ix) {
        self.counts.faults += 1;
        self.nodes[ix].is_cut = true;
        self.nodes[ix].epoch += 1;
        self.nodes[ix].is_connected = false;
    }

    /// Messages pass again.
    pub fn heal(&mut self, ix: Ix) {
        self.nodes[ix].is_cut = false;
        self.schedule(Duration::from_millis(500), Event::Connect { ix });
    }

    /// The agent process dies; containers go on.
    pub fn stop_agent(&mut self, ix: Ix) {
        self.counts.faults += 1;
        self.nodes[ix].is_agent_up = false;
        self.break_connection(ix, true);
    }

    pub fn start_agent(&mut self, ix: Ix) {
        self.nodes[ix].restart_agent();
        self.schedule(Duration::from_millis(200), Event::Connect { ix });
    }

    /// Another master leads, with its own copy of the state. What the old one knew beside it is gone.
    pub fn change_leader(&mut self) {
        let state = self.masters.followed();
        self.begin_term(state);
    }

    /// The leader's process starts again and leads on: it has what is on its disk, up to some
    /// command, and the log behind that.
    pub fn restart_leader(&mut self) {
        let n_lacking = self.masters_rng.below(1 + self.masters.behind() as u64);
        let n_written = self.masters.behind() - usize::try_from(n_lacking).unwrap_or(0);
        self.masters.follow(n_written);
        let state = self.masters.started();
        self.begin_term(state);
    }

    /// A leader begins with a state that must be the one there was; every connection is closed, and
    /// what was proposed, ordered or told and has not arrived is lost.
    fn begin_term(&mut self, state: Result<State, String>) {
        self.counts.faults += 1;
        self.counts.terms += 1;
        match state {
            Ok(state) => {
                self.oracle.n_checks += 1;
                self.oracle.problems.extend(masters::difference(&self.state, &state));
                self.state = state;
            }
            Err(problem) => self.oracle.problems.push(problem),
        }
        self.ask_again();
        let is_old = |event: &Event| matches!(event, Event::Commit(..) | Event::Activate(_));
        self.queue.retain(|event| !is_old(event));
        self.resume_with_another();
        let (rng, term) = (&self.rng, self.counts.terms);
        let rng = |kind: Kind| rng.child(&format!("{} {term}", kind.name()));
        let times = (self.state.at, self.now);
        self.leader = Leader::new(self.clock.clone(), times, &self.settings.limits, rng);
        self.witness.disturbed(self.now, Who::Leader);
        for ix in 0..self.nodes.len() {
            self.nodes[ix].epoch += 1;
            self.nodes[ix].is_connected = false;
            let after = 300 + self.network_rng.below(1_000);
            self.schedule(Duration::from_millis(after), Event::Connect { ix });
        }
        self.wake();
    }

    /// A client whose answer got lost with the old leader asks again: it gets the same answer and
    /// nothing happens twice.
    fn ask_again(&mut self) {
        let Some((entry, answer)) = self.asked.clone() else { return };
        let is_known = entry.request.is_some_and(|request| self.state.outcome(request).is_some());
        if !is_known {
            return; // too long ago
        }
        self.counts.commands += 1;
        self.masters.commit(&entry);
        let (again, changes) = apply(&mut self.state, &entry);
        if again != answer || !changes.is_empty() {
            self.oracle.problems.push(format!("{answer:?} became {again:?} when asked again"));
        }
    }

    /// A container ends by itself. Whether it was there.
    pub fn exit_container(&mut self, ix: Ix, key: &Key, code: i32) -> bool {
        let there = self.nodes[ix].has(key);
        if there {
            self.counts.faults += 1;
            let (key, fate) = (key.clone(), Fate::Exited(code));
            self.schedule(Duration::ZERO, Event::Container { ix, key, fate });
        }
        there
    }

    pub(super) fn break_connection(&mut self, ix: Ix, told: bool) {
        let now = self.moment();
        let node = &mut self.nodes[ix];
        node.epoch += 1;
        node.is_connected = false;
        if told && !node.is_cut {
            self.leader.heard.lose(&node.info.id, now);
        }
    }
}
