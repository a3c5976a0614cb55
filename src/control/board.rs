//! What the reconcilers did last and what they wait for, for everybody to read.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{reconciler::Report, reconcilers::Kind};
use crate::{base::clock::Timestamp, core::place::Report as Attempt, model::AppId};

/// What the reconcilers know beside the state. Cheap to clone.
#[derive(Clone, Default)]
pub struct Board {
    notes: Arc<Mutex<BTreeMap<&'static str, Note>>>,
}

/// What is known of one reconciler.
#[derive(Clone, Debug, Default)]
pub struct Note {
    /// Of its latest look.
    pub report: Arc<Report>,
    /// Activations since the start of this process.
    pub n_runs: u64,
    /// The latest that is over.
    pub latest: Option<Activation>,
}

/// One activation of a reconciler: a look, and what became of the commands it led to.
#[derive(Clone, Debug)]
pub struct Activation {
    pub at: Timestamp,
    /// The look alone.
    pub took: Duration,
    pub n_proposed: usize,
    /// Why some of it did not get through.
    pub refused: Option<String>,
}

impl Board {
    /// What is known of each reconciler that has looked, by its name.
    pub fn notes(&self) -> Vec<(&'static str, Note)> {
        self.notes.lock().iter().map(|(name, note)| (*name, note.clone())).collect()
    }

    /// The latest attempt to place a workload that waits.
    pub fn attempt(&self, app: &AppId) -> Option<Arc<Attempt>> {
        self.notes.lock().values().find_map(|note| note.report.attempts.get(app).cloned())
    }

    /// A reconciler has looked.
    pub(crate) fn publish(&self, kind: Kind, report: Report) {
        self.notes.lock().entry(kind.name()).or_default().report = Arc::new(report);
    }

    /// What a reconciler wanted after its look was decided.
    pub(crate) fn note(&self, kind: Kind, activation: Activation) {
        let mut notes = self.notes.lock();
        let note = notes.entry(kind.name()).or_default();
        note.n_runs += 1;
        note.latest = Some(activation);
    }

    /// The term of a reconciler is over: whatever it last told may not be so any more.
    pub(crate) fn end_term(&self, kind: Kind) {
        let looks_at = "nothing, as this master does not lead".to_owned();
        self.publish(kind, Report { looks_at, ..Report::default() });
    }
}
