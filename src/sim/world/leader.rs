//! What a leader knows beside the state, and what its timers and reconcilers do with it.
//!
//! All of it is lost with the leader, and with the end of its term.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{Event, Ix, World};
use crate::{
    base::{
        clock::{Clock as _, ManualClock, SteadyClock, Timestamp},
        metrics::Label as _,
        rng::Rng,
    },
    control::{
        board::{Activation, Board},
        heard::Heard,
        reconciler::{Aside, Ground, Reconciler, Seen},
        reconcilers::Kind,
    },
    core::{Command, State, place::Limits},
    model::{NodeId, Ranges},
};

/// A leader's memory.
pub(super) struct Leader {
    pub steady: Arc<SteadyClock>,
    pub heard: Heard,
    /// After standing still, the leader's timers fire before it has read what was sent to it.
    pub deaf_until: Timestamp,
    /// Nodes whose registration waits for the log.
    pub greeting: BTreeSet<Ix>,
    /// What the reconcilers tell.
    pub board: Board,
    /// In the order of `Kind::ALL`.
    runs: Vec<Run>,
}

/// A reconciler, with at most one activation under way.
struct Run {
    reconciler: Box<dyn Reconciler>,
    is_busy: bool,
    is_woken: bool,
    /// When its timer fires.
    due_at: Timestamp,
}

/// What reconcilers see of a leader beside the state. No program of these nodes holds a port.
struct Memory<'a>(&'a Heard);

impl Aside for Memory<'_> {
    fn heard(&self) -> Cow<'_, Heard> {
        Cow::Borrowed(self.0)
    }

    fn ports_held(&self) -> BTreeMap<NodeId, Ranges> {
        BTreeMap::new()
    }
}

impl Leader {
    /// One whose term begins now, on a state that was written up to `at`: nobody was heard yet,
    /// nothing is remembered, nothing is under way.
    pub fn new(
        clock: Arc<ManualClock>,
        (at, now): (Timestamp, Timestamp),
        limits: &Limits,
        rng: impl Fn(Kind) -> Rng,
    ) -> Self {
        let steady = SteadyClock::over(clock.clone());
        steady.see(at);
        let run = |kind: &Kind| Run {
            reconciler: kind.begin(&Ground { rng: rng(*kind), limits: limits.clone() }),
            is_busy: false,
            is_woken: false,
            due_at: now,
        };
        Self {
            steady,
            heard: Heard::from(clock.moment()),
            deaf_until: now,
            greeting: BTreeSet::new(),
            board: Board::default(),
            runs: Kind::ALL.iter().map(run).collect(),
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
        for kind in Kind::ALL {
            if self.now >= self.leader.runs[kind.index()].due_at {
                self.start(*kind);
            }
        }
    }

    /// Something changed: whoever is woken by changes looks again soon.
    pub(super) fn wake(&mut self) {
        for kind in Kind::ALL.iter().filter(|kind| kind.wake().by_changes) {
            self.start(*kind);
        }
    }

    fn start(&mut self, kind: Kind) {
        let run = &mut self.leader.runs[kind.index()];
        if run.is_busy {
            run.is_woken = true;
        } else {
            (run.is_busy, run.is_woken) = (true, false);
            run.due_at = self.now + kind.wake().after;
            self.schedule(self.settings.gather, Event::Activate(kind));
        }
    }

    pub(super) fn activate(&mut self, kind: Kind) {
        let moment = self.moment();
        let leader = &mut self.leader;
        leader.heard.attend(moment);
        let now = leader.steady.now();
        let seen = Seen { state: &self.state, now, aside: &Memory(&leader.heard) };
        let step = leader.runs[kind.index()].reconciler.step(&seen);
        leader.board.publish(kind, step.report);
        // A commit takes what a write to the disks of a majority takes.
        let after = Duration::from_millis(1 + self.network_rng.below(8));
        let seen = Box::new(self.state.clone());
        self.schedule(after, Event::Commit(kind, step.commands, seen));
    }

    pub(super) fn committed(&mut self, kind: Kind, commands: Vec<Command>, seen: &State) {
        let (at, n_proposed) = (self.leader.steady.now(), commands.len());
        for command in commands {
            let before = self.state.clone();
            // A rejection is no failure: the state moved on, and the next activation sees it.
            if self.commit(command.clone()).is_ok() {
                self.oracle.decided(&command, seen, &before, &self.state);
            }
        }
        let activation = Activation { at, took: Duration::ZERO, n_proposed, refused: None };
        self.leader.board.note(kind, activation);
        let run = &mut self.leader.runs[kind.index()];
        run.is_busy = false;
        if run.is_woken || (n_proposed > 0 && kind.wake().by_changes) {
            self.start(kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{build, world::Settings};

    /// Name and number of runs of each reconciler whose looks went through.
    fn runs(world: &World) -> Vec<(&'static str, u64)> {
        world.board().notes().into_iter().map(|(name, note)| (name, note.n_runs)).collect()
    }

    #[test]
    fn a_simulated_leader_runs_the_list_of_a_real_one_and_each_term_anew() {
        let mut world = World::new(1, Settings::default());
        world.add_node(build::node(0, 4.0, 4096.0, &[]));
        let big = build::app("/big", 1, 64.0, 64.0, 0);
        let put = build::new_apps("d1".into(), [big].into_iter());
        world.ask(crate::core::WorkloadCommand::PutApps(Box::new(put))).expect("accepted");
        world.run_for(Duration::from_secs(11));
        let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        let ran = runs(&world);
        assert_eq!(ran.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
        assert!(ran.iter().all(|(_, n)| *n >= 2), "{ran:?}");
        let told = world.told(1);
        assert!(
            told.iter().any(|wait| wait.starts_with("deployment d1: step 2 of 2: ")),
            "{told:?}"
        );
        assert!(told.iter().any(|wait| wait.starts_with("app /big: ")), "{told:?}");

        world.change_leader();
        assert_eq!(runs(&world), [], "nothing of the old leader's is known");
        world.run_for(Duration::from_secs(6));
        assert_eq!(runs(&world).len(), names.len());
    }
}
