//! Drives the reconcilers of a real leader: wakes each on any change or its timer, proposes what its
//! step returns, keeps what it did last for operators to see.
//!
//! Only the leader acts. One activation at a time per reconciler: the next begins when every
//! command of the last has its outcome, so a step never sees a state that lacks its own proposals.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    board::{Activation, Board},
    links::Links,
    metrics,
    reconciler::{Ground, Reconciler, Seen},
    reconcilers::Kind,
};
use crate::{
    base::{
        clock::{Clock as _, SteadyClock},
        rng::Rng,
        task::Tasks,
    },
    core::{Command, State, place::Limits},
    log::Log,
};

/// Pause after a proposal that did not get through: the log is busy or changes its leader.
const AFTER_REFUSAL: Duration = Duration::from_millis(50);
/// How often leadership is looked at.
const TERM_POLL: Duration = Duration::from_millis(20);

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
        for kind in Kind::ALL {
            tasks.vital(kind.name(), run(self.clone(), *kind));
        }
    }

    fn begin(&self, kind: Kind, term: u64) -> Box<dyn Reconciler> {
        let rng = self.rng.child(kind.name()).child(&term.to_string());
        kind.begin(&Ground { rng, limits: self.limits.clone() })
    }
}

/// What a reconciler remembers in this term. Of an earlier one nothing is left: another master may
/// have led since, and what was true then is not for that one's doings to keep true.
pub(super) fn of_term<R>(
    memory: &mut Option<(u64, R)>,
    term: u64,
    begin: impl FnOnce() -> R,
) -> &mut R {
    memory.take_if(|(of, _)| *of != term);
    &mut memory.get_or_insert_with(|| (term, begin())).1
}

/// One reconciler, for ever.
async fn run(driver: Driver, kind: Kind) -> anyhow::Result<()> {
    let Driver { log, links, board, .. } = &driver;
    let (wake, mut changed) = (kind.wake(), log.feed().changed());
    let mut memory = None;
    loop {
        let Some(term) = log.leads_in() else {
            if memory.take().is_some() {
                board.end_term(kind);
            }
            tokio::time::sleep(TERM_POLL).await;
            continue;
        };
        changed.borrow_and_update();
        let state = log.state();
        let (at, began) = (driver.clock.now(), Instant::now());
        let span = tracing::debug_span!("reconcile", name = kind.name(), revision = state.revision);
        let reconciler = of_term(&mut memory, term, || driver.begin(kind, term));
        let step =
            span.in_scope(|| reconciler.step(&Seen { state: &state, now: at, aside: links }));
        let took = began.elapsed();
        drop(state);
        board.publish(kind, step.report);
        let n_proposed = step.commands.len();
        let refused = propose(log, step.commands).instrument(span.clone()).await;
        span.in_scope(|| metrics::stepped(kind, took, n_proposed, refused.as_deref()));
        let failed = refused.is_some();
        board.note(kind, Activation { at, took, n_proposed, refused });
        if failed {
            tokio::time::sleep(AFTER_REFUSAL).await;
        } else if !wake.by_changes {
            tokio::time::sleep(wake.after).await;
        } else if n_proposed == 0 {
            tokio::select! {
                moved = changed.changed() => moved?,
                () = tokio::time::sleep(wake.after) => {}
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
