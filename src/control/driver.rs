//! Drives the reconcilers: wakes each on any change or its timer, proposes what its step returns,
//! keeps what it did last for operators to see.
//!
//! Only the leader acts. One activation at a time per reconciler: the next begins when every
//! command of the last has its outcome, so a step never sees a state that lacks its own proposals.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    deploy,
    links::Links,
    liveness,
    metrics::{self, Reconciler},
    place,
};
use crate::{
    base::{
        clock::{Clock as _, SteadyClock, Timestamp},
        rng::Rng,
        task::Tasks,
    },
    core::{
        Command, State,
        place::{Limits, Planner, Report},
    },
    log::Log,
    model::path::AppId,
};

/// Pause after a proposal that did not get through: the log is busy or changes its leader.
const AFTER_REFUSAL: Duration = Duration::from_millis(50);
/// How often leadership is looked at.
const TERM_POLL: Duration = Duration::from_millis(20);

/// What the reconcilers know beside the state, for readers. Cheap to clone.
#[derive(Clone, Default)]
pub struct Board {
    activations: Arc<Mutex<BTreeMap<&'static str, Activation>>>,
    reports: Arc<ArcSwap<BTreeMap<AppId, Arc<Report>>>>,
}

/// The latest activation of one reconciler.
#[derive(Clone, Debug)]
pub struct Activation {
    pub n_runs: u64,
    pub at: Timestamp,
    pub took: Duration,
    pub n_proposed: usize,
    /// Why some of it did not get through.
    pub refused: Option<String>,
}

impl Board {
    /// The latest activation of each reconciler that has run.
    pub fn activations(&self) -> Vec<(&'static str, Activation)> {
        self.activations.lock().iter().map(|(k, v)| (*k, v.clone())).collect()
    }

    /// The report of the latest placement attempt for a workload that waits.
    pub fn report(&self, app: &AppId) -> Option<Arc<Report>> {
        self.reports.load().get(app).cloned()
    }

    /// All reports of waiting workloads.
    pub fn reports(&self) -> Arc<BTreeMap<AppId, Arc<Report>>> {
        self.reports.load_full()
    }

    pub(super) fn set_reports(&self, reports: BTreeMap<AppId, Arc<Report>>) {
        self.reports.store(Arc::new(reports));
    }

    fn note(&self, name: &'static str, mut activation: Activation) {
        let mut all = self.activations.lock();
        activation.n_runs = all.get(name).map_or(0, |a| a.n_runs) + 1;
        all.insert(name, activation);
    }
}

/// What the reconcilers share.
#[derive(Clone)]
pub struct Driver {
    pub log: Log<State>,
    pub links: Links,
    pub clock: Arc<SteadyClock>,
    pub rng: Rng,
    pub limits: Limits,
    pub board: Board,
}

impl Driver {
    /// Starts every reconciler in `tasks`.
    pub fn start(self, tasks: &Tasks) {
        let links = self.links.clone();
        tasks.vital("links", links.dispatch());
        tasks.vital("terms", terms(self.log.clone(), self.links.clone(), self.clock.clone()));

        let rng = self.rng.child("deploy");
        self.spawn(tasks, Reconciler::Deploy, Duration::from_secs(5), move |term| {
            let (mut idle, mut rng) = (deploy::Idle::default(), rng.child(&term.to_string()));
            move |state: &State, now| deploy::step(state, &mut idle, &mut rng, now)
        });
        let (limits, board, links) = (self.limits.clone(), self.board.clone(), self.links.clone());
        self.spawn(tasks, Reconciler::Place, Duration::from_millis(500), move |_| {
            let (mut limits, board, links) = (limits.clone(), board.clone(), links.clone());
            let mut planner = Planner::default();
            move |state: &State, now| {
                if !state.index.waiting.is_empty() {
                    limits.ports_held = links.ports_held();
                }
                let (command, reports) = place::step(&mut planner, state, &limits, now);
                board.set_reports(reports);
                command.into_iter().collect()
            }
        });
        let links = self.links.clone();
        self.spawn(tasks, Reconciler::Liveness, Duration::from_millis(200), move |_| {
            let (links, mut early) = (links.clone(), liveness::Early::default());
            move |state: &State, now| liveness::step(state, &mut early, &links.heard(), now)
        });
    }

    /// `begin` makes what a reconciler does in one term, with nothing remembered.
    fn spawn<S>(
        &self,
        tasks: &Tasks,
        which: Reconciler,
        every: Duration,
        begin: impl FnMut(u64) -> S + Send + 'static,
    ) where
        S: FnMut(&State, Timestamp) -> Vec<Command> + Send + 'static,
    {
        tasks.vital(which.name(), run(self.clone(), which, every, begin));
    }
}

/// What a reconciler does and remembers in this term. Of an earlier one nothing is left: another
/// master may have led since, and what was true then is not for that one's doings to keep true.
pub(super) fn of_term<S>(
    memory: &mut Option<(u64, S)>,
    term: u64,
    begin: impl FnOnce(u64) -> S,
) -> &mut S {
    memory.take_if(|(of, _)| *of != term);
    &mut memory.get_or_insert_with(|| (term, begin(term))).1
}

/// One reconciler, for ever.
async fn run<S>(
    driver: Driver,
    which: Reconciler,
    every: Duration,
    mut begin: impl FnMut(u64) -> S + Send + 'static,
) -> anyhow::Result<()>
where
    S: FnMut(&State, Timestamp) -> Vec<Command> + Send + 'static,
{
    let mut changed = driver.log.feed().changed();
    let mut memory = None;
    loop {
        let Some(term) = driver.log.leads_in() else {
            tokio::time::sleep(TERM_POLL).await;
            continue;
        };
        changed.borrow_and_update();
        let state = driver.log.state();
        let (at, began) = (driver.clock.now(), Instant::now());
        let span =
            tracing::debug_span!("reconcile", name = which.name(), revision = state.revision);
        let step = of_term(&mut memory, term, &mut begin);
        let commands = span.in_scope(|| step(&state, at));
        let took = began.elapsed();
        drop(state);
        let n_proposed = commands.len();
        let refused = propose(&driver.log, commands).instrument(span.clone()).await;
        span.in_scope(|| metrics::stepped(which, took, n_proposed, refused.as_deref()));
        let again = n_proposed > 0;
        let failed = refused.is_some();
        driver.board.note(which.name(), Activation { n_runs: 0, at, took, n_proposed, refused });
        if failed {
            tokio::time::sleep(AFTER_REFUSAL).await;
        } else if !again {
            tokio::select! {
                moved = changed.changed() => moved?,
                () = tokio::time::sleep(every) => {}
            }
        }
    }
}

/// Proposes all; tells the first that did not get through. A rejection is no failure: the state
/// moved on, and the next activation sees it.
async fn propose(log: &Log<State>, commands: Vec<Command>) -> Option<String> {
    if commands.is_empty() {
        return None;
    }
    let outcomes = log.propose_all(commands).await;
    outcomes.into_iter().find_map(|outcome| match outcome {
        Ok(Ok(_)) => None,
        Ok(Err(rejected)) => Some(rejected.to_string()),
        Err(error) => Some(error.to_string()),
    })
}

/// Opens and closes the agents' doors as leadership comes and goes.
async fn terms(log: Log<State>, links: Links, clock: Arc<SteadyClock>) -> anyhow::Result<()> {
    let (mut leading, mut complained) = (false, false);
    loop {
        clock.see(log.state().at);
        let ahead = clock.ahead();
        if let Some(ahead) = ahead.filter(|_| !complained) {
            tracing::warn!(
                ?ahead,
                "the cluster's time is ahead of this machine's clock, which was put back or differs \
                 from another master's; times shown are ahead until it has caught up"
            );
        }
        complained = ahead.is_some();
        let now = log.is_leader();
        if now != leading {
            leading = now;
            metrics::led(leading);
            if leading {
                links.begin_term();
            } else {
                links.end_term();
            }
        }
        if leading {
            links.attend();
        }
        tokio::time::sleep(TERM_POLL).await;
    }
}
