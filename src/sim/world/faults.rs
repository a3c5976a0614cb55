//! What can go wrong in a world, and how it ends again.

use std::time::Duration;

use super::{Event, Ix, World};
use crate::{agent::desired::Key, control::heard::Heard, sim::node::Fate};

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

    /// Another master leads: everything in leader memory is gone, every connection is closed.
    pub fn change_leader(&mut self) {
        self.counts.faults += 1;
        self.heard = Heard::from(self.moment());
        self.reports.clear();
        // What was proposed and not committed is lost with the old leader.
        self.queue.retain(|event| !matches!(event, Event::Commit(..)));
        self.drop_commits();
        self.early = Default::default();
        self.busy = [false; 3];
        self.woken = [false; 3];
        for ix in 0..self.nodes.len() {
            self.nodes[ix].epoch += 1;
            self.nodes[ix].is_connected = false;
            let after = 300 + self.network_rng.below(1_000);
            self.schedule(Duration::from_millis(after), Event::Connect { ix });
        }
        self.wake();
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
            self.heard.lose(&node.info.id, now);
        }
    }
}
