//! Tasks that have ended, and how many ended how: what the state forgets and clients ask for.
//!
//! Memory of one master since its start, fed from the change feed, bounded like the original's
//! (docs/compat/mesos.md, "Frameworks"). It has no say in anything and is lost without harm.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    core::{Change, State},
    log::{Follower, Step},
    model::{Instance, WorkloadSpec, instance::Condition},
};

/// Ended tasks kept; the original's default per framework.
const ENDED_MAX: usize = 1000;

/// A launched instance as it was at its end, with the definition it was made from.
#[derive(Debug)]
pub struct Ended {
    pub instance: Arc<Instance>,
    pub spec: Arc<WorkloadSpec>,
}

/// Counts since the start of this process, as `/metrics/snapshot` names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub tasks_finished: u64,
    pub tasks_failed: u64,
    pub tasks_killed: u64,
    pub tasks_lost: u64,
    pub tasks_error: u64,
    pub tasks_dropped: u64,
    pub tasks_gone: u64,
    pub slave_registrations: u64,
    pub slave_reregistrations: u64,
    pub slave_removals: u64,
}

impl Counters {
    /// Each with its name.
    pub fn each(&self) -> [(&'static str, u64); 10] {
        [
            ("tasks_finished", self.tasks_finished),
            ("tasks_failed", self.tasks_failed),
            ("tasks_killed", self.tasks_killed),
            ("tasks_lost", self.tasks_lost),
            ("tasks_error", self.tasks_error),
            ("tasks_dropped", self.tasks_dropped),
            ("tasks_gone", self.tasks_gone),
            ("slave_registrations", self.slave_registrations),
            ("slave_reregistrations", self.slave_reregistrations),
            ("slave_removals", self.slave_removals),
        ]
    }

    /// Counts the tasks of one instance that ended.
    fn ended(&mut self, condition: Condition, n_tasks: u64) {
        let counter = match condition {
            Condition::Finished => &mut self.tasks_finished,
            Condition::Failed => &mut self.tasks_failed,
            Condition::Killed => &mut self.tasks_killed,
            Condition::Error => &mut self.tasks_error,
            Condition::Dropped => &mut self.tasks_dropped,
            Condition::Gone => &mut self.tasks_gone,
            Condition::Unknown => &mut self.tasks_lost,
            Condition::Scheduled
            | Condition::Provisioned
            | Condition::Staging
            | Condition::Starting
            | Condition::Running
            | Condition::Killing
            | Condition::Unreachable
            | Condition::UnreachableInactive => return,
        };
        *counter += n_tasks;
    }
}

/// What one master remembers.
#[derive(Debug, Default)]
pub struct History(Mutex<Past>);

/// A copy of what is remembered.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// Oldest first.
    pub ended: VecDeque<Arc<Ended>>,
    pub counters: Counters,
}

impl History {
    pub fn past(&self) -> Past {
        self.0.lock().clone()
    }

    /// Takes in the changes of one command; `state` is the one after it.
    pub fn take(&self, changes: &[Change], state: &State) {
        for change in changes {
            match change {
                Change::Instance { old, new, .. } => {
                    let Some(instance) = ended(old.as_ref(), new.as_ref()) else { continue };
                    if let Some(spec) = spec_of(instance, changes, state) {
                        self.ended(instance, spec);
                    }
                }
                Change::Node { old, new, .. } => {
                    let mut past = self.0.lock();
                    let counters = &mut past.counters;
                    match (old, new) {
                        (None, Some(_)) => counters.slave_registrations += 1,
                        (Some(old), Some(new)) if old.reregistered_at != new.reregistered_at => {
                            counters.slave_reregistrations += 1;
                        }
                        (Some(_), None) => counters.slave_removals += 1,
                        (Some(_), Some(_)) | (None, None) => {}
                    }
                }
                _ => {}
            }
        }
    }

    fn ended(&self, instance: &Arc<Instance>, spec: Arc<WorkloadSpec>) {
        let mut past = self.0.lock();
        past.counters.ended(instance.condition(), spec.run.containers.len() as u64);
        if past.ended.len() >= ENDED_MAX {
            past.ended.pop_front();
        }
        past.ended.push_back(Arc::new(Ended { instance: instance.clone(), spec }));
    }
}

/// The incarnation that came to its end with a change, or was forgotten with its lost node.
fn ended<'a>(
    old: Option<&'a Arc<Instance>>,
    new: Option<&'a Arc<Instance>>,
) -> Option<&'a Arc<Instance>> {
    let ended = match (old, new) {
        (old, Some(new)) if new.condition().is_terminal() => {
            Some(new).filter(|_| old.is_none_or(|old| !old.condition().is_terminal()))
        }
        (Some(old), None) if super::task::is_unreachable(old) => Some(old),
        _ => None,
    };
    ended.filter(|instance| instance.placement().is_some())
}

/// The definition of an instance; that of a removed app goes together with its last instance.
fn spec_of(instance: &Instance, changes: &[Change], state: &State) -> Option<Arc<WorkloadSpec>> {
    let removed = || {
        changes.iter().find_map(|change| match change {
            Change::Spec { id: (app, version), old, new: None }
                if Some(app) == instance.app() && *version == instance.version =>
            {
                old.clone()
            }
            _ => None,
        })
    };
    state.spec_of(instance).cloned().or_else(removed)
}

/// Keeps `history` up with the change feed until `cancelled`. What a follower missed is not there.
pub async fn follow(
    history: Arc<History>,
    mut follower: Follower<State>,
    cancelled: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        let Some(step) = cancelled.run_until_cancelled(follower.next()).await else {
            return Ok(());
        };
        if let Step::Batch(batch) = step {
            history.take(&batch.changes, &batch.state);
        }
    }
}
