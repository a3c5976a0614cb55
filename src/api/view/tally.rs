//! How many instances are up, well and on their way; kept up to date from differences.

use imbl::ordmap::DiffItem;

use super::health;
use crate::{
    core::State,
    model::{Instance, instance::Condition},
};

/// Counts of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Not ended.
    pub present: i64,
    pub running: i64,
    pub healthy: i64,
    pub unhealthy: i64,
    pub staging: i64,
    /// Running, with a check that is still open.
    pub starting: i64,
    /// Told to end, and not gone yet.
    pub stopping: i64,
}

impl Tally {
    /// Counts all of `instances`.
    pub fn of<'a>(state: &State, instances: impl Iterator<Item = &'a Instance>) -> Self {
        let mut tally = Self::default();
        instances.for_each(|instance| tally.add(state, instance, 1));
        tally
    }

    /// Brings a count of `old` up to `new`; costs what has changed.
    pub fn shift(&mut self, old: &State, new: &State) {
        for item in old.instances.diff(&new.instances) {
            match item {
                DiffItem::Add(_, added) => self.add(new, added, 1),
                DiffItem::Remove(_, removed) => self.add(old, removed, -1),
                DiffItem::Update { old: (_, before), new: (_, after) } => {
                    self.add(old, before, -1);
                    self.add(new, after, 1);
                }
            }
        }
    }

    fn add(&mut self, state: &State, instance: &Instance, n: i64) {
        use Condition::{Provisioned, Running, Scheduled, Staging, Starting};
        if instance.is_kept() {
            return;
        }
        if !instance.condition().is_terminal() {
            self.present += n;
            if instance.condition() == Condition::Killing || instance.kill().is_some() {
                self.stopping += n;
            }
        }
        match instance.condition() {
            Running => {
                self.running += n;
                let healthy = state.healthy(instance);
                match healthy {
                    Some(true) => self.healthy += n,
                    Some(false) => self.unhealthy += n,
                    None => {}
                }
                let is_pending = |spec: &_| health::is_pending(instance, spec);
                if healthy != Some(false) && state.spec_of(instance).is_some_and(|s| is_pending(s))
                {
                    self.starting += n;
                }
            }
            Scheduled | Provisioned | Staging | Starting => self.staging += n,
            Condition::Killing
            | Condition::Unreachable
            | Condition::UnreachableInactive
            | Condition::Finished
            | Condition::Killed
            | Condition::Failed
            | Condition::Error
            | Condition::Dropped
            | Condition::Gone
            | Condition::Unknown => {}
        }
    }
}
