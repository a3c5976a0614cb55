//! What a leader knows beside the state, and what its timers and reconcilers do with it.
//!
//! All of it is lost with the leader, and with the end of its term.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{Event, Ix, Reconciler, World};
use crate::{
    base::{
        clock::{Clock as _, ManualClock, SteadyClock, Timestamp},
        rng::Rng,
    },
    control::{self, heard::Heard},
    core::{Command, State, place::Planner},
};

/// A leader's memory.
pub(super) struct Leader {
    pub steady: Arc<SteadyClock>,
    pub heard: Heard,
    /// After standing still, the leader's timers fire before it has read what was sent to it.
    pub deaf_until: Timestamp,
    /// Nodes whose registration waits for the log.
    pub greeting: BTreeSet<Ix>,
    early: control::liveness::Early,
    planner: Planner,
    idle: control::deploy::Idle,
    rng: Rng,
    busy: [bool; 3],
    woken: [bool; 3],
    deploys_at: Timestamp,
}

impl Leader {
    /// One whose term begins now, on a state that was written up to `at`: nobody was heard yet,
    /// nothing is remembered, nothing is under way.
    pub fn new(clock: Arc<ManualClock>, at: Timestamp, now: Timestamp, rng: Rng) -> Self {
        let steady = SteadyClock::over(clock.clone());
        steady.see(at);
        Self {
            steady,
            heard: Heard::from(clock.moment()),
            deaf_until: now,
            greeting: BTreeSet::new(),
            early: control::liveness::Early::default(),
            planner: Planner::default(),
            idle: control::deploy::Idle::default(),
            rng,
            busy: [false; 3],
            woken: [false; 3],
            deploys_at: now,
        }
    }
}

impl World {
    /// Timers of the leader; connected nodes have sent their heartbeats.
    pub(super) fn tick(&mut self) {
        self.schedule(self.settings.tick, Event::Tick);
        self.leader.steady.see(self.state.at);
        self.listen();
        for (id, &ix) in &self.by_id {
            let (state, now) = (&self.state, self.now);
            let problem = self.witness.unreturned(ix, id, state, self.keeps_messages, now);
            self.oracle.problems.extend(problem);
        }
        if !self.state.index.waiting.is_empty() {
            self.start(Reconciler::Place);
        }
        if self.now >= self.leader.deploys_at {
            self.leader.deploys_at = self.now + Duration::from_secs(5);
            self.start(Reconciler::Deploy);
        }
    }

    /// Something changed: deployments and placement look again soon.
    pub(super) fn wake(&mut self) {
        for reconciler in [Reconciler::Deploy, Reconciler::Place] {
            self.start(reconciler);
        }
    }

    pub(super) fn start(&mut self, reconciler: Reconciler) {
        let slot = reconciler as usize;
        if self.leader.busy[slot] {
            self.leader.woken[slot] = true;
        } else {
            self.leader.busy[slot] = true;
            self.leader.woken[slot] = false;
            self.schedule(self.settings.gather, Event::Activate(reconciler));
        }
    }

    pub(super) fn activate(&mut self, reconciler: Reconciler) {
        let leader = &mut self.leader;
        let now = leader.steady.now();
        let commands = match reconciler {
            Reconciler::Deploy => {
                let (idle, rng) = (&mut leader.idle, &mut leader.rng);
                control::deploy::step(&self.state, idle, rng, now)
            }
            Reconciler::Place => {
                let limits = &self.settings.limits;
                let (command, reports) =
                    control::place::step(&mut leader.planner, &self.state, limits, now);
                self.reports = reports;
                command.into_iter().collect()
            }
            Reconciler::Liveness => {
                leader.heard.attend(self.clock.moment());
                control::liveness::step(&self.state, &mut leader.early, &leader.heard, now)
            }
        };
        // A commit takes what a write to the disks of a majority takes.
        let after = Duration::from_millis(1 + self.network_rng.below(8));
        let seen = Box::new(self.state.clone());
        self.schedule(after, Event::Commit(reconciler, commands, seen));
    }

    pub(super) fn committed(
        &mut self,
        reconciler: Reconciler,
        commands: Vec<Command>,
        seen: &State,
    ) {
        let again = !commands.is_empty();
        for command in commands {
            let before = self.state.clone();
            // A rejection is no failure: the state moved on, and the next activation sees it.
            if self.commit(command.clone()).is_ok() {
                self.oracle.decided(&command, seen, &before, &self.state);
            }
        }
        let slot = reconciler as usize;
        self.leader.busy[slot] = false;
        if (again && reconciler != Reconciler::Liveness) || self.leader.woken[slot] {
            self.start(reconciler);
        }
    }
}
