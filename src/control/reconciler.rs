//! A reconciler: what it sees, what it makes of that and what it tells operators. Which there are stands
//! in `reconcilers`.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use super::heard::Heard;
use crate::{
    base::{clock::Timestamp, rng::Rng},
    core::{
        Command, State,
        place::{Limits, Report as Attempt},
    },
    model::{AppId, NodeId, Ranges},
};

/// Reasons told in one report. As many deployments run at a time; of whatever else waits, the first
/// and how many there are say enough.
const WAITS_MAX: usize = 100;

/// Something that brings the state nearer to what is wanted. All it remembers is made anew with each
/// term, so that nothing of an earlier one is taken for true.
pub trait Reconciler: Send {
    /// One with nothing remembered.
    fn begin(ground: &Ground) -> Self
    where
        Self: Sized;

    /// What is due now, and why more is not.
    fn step(&mut self, seen: &Seen<'_>) -> Step;
}

/// What a term begins with.
pub struct Ground {
    pub rng: Rng,
    pub limits: Limits,
}

/// What a reconciler looks at.
pub struct Seen<'a> {
    /// One snapshot.
    pub state: &'a State,
    /// To write down, not to decide by.
    pub now: Timestamp,
    pub aside: &'a dyn Aside,
}

/// What a leader knows beside the state.
pub trait Aside {
    /// When each node was last heard of, as of now.
    fn heard(&self) -> Cow<'_, Heard>;

    /// Ports of each node that others than its tasks hold.
    fn ports_held(&self) -> BTreeMap<NodeId, Ranges>;
}

/// What came of one look.
#[derive(Debug, Default)]
pub struct Step {
    pub commands: Vec<Command>,
    pub report: Report,
}

/// What a reconciler tells operators of its latest look.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// What there was to look at, in numbers.
    pub looks_at: String,
    /// What could not be done yet, and why; the first `WAITS_MAX`.
    pub waits: Vec<Wait>,
    /// How many there are in all.
    pub n_waits: usize,
    /// Of placement: the latest attempt for each workload that waits.
    pub attempts: BTreeMap<AppId, Arc<Attempt>>,
}

/// Something that waits, and what for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wait {
    /// As `deployment d1` or `node 10.0.0.7`.
    pub about: String,
    pub because: String,
}

impl Wait {
    /// What something of a kind, as `deployment` or `node`, waits for.
    pub fn of(kind: &str, name: impl fmt::Display, because: impl Into<String>) -> Self {
        Self { about: format!("{kind} {name}"), because: because.into() }
    }
}

impl Report {
    /// Adds a reason. It is put into words only while there is room for it.
    pub fn wait(&mut self, wait: impl FnOnce() -> Wait) {
        self.n_waits += 1;
        if self.waits.len() < WAITS_MAX {
            self.waits.push(wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_all_that_waits_and_tells_the_first() {
        let (mut report, mut n_worded) = (Report::default(), 0);
        for n in 0..WAITS_MAX + 50 {
            report.wait(|| {
                n_worded += 1;
                Wait::of("app", n, "of this test")
            });
        }
        assert_eq!((report.n_waits, n_worded), (WAITS_MAX + 50, WAITS_MAX));
        assert_eq!(report.waits[WAITS_MAX - 1].about, format!("app {}", WAITS_MAX - 1));
    }
}
