//! What a reconciler did last and what it waits for.

use serde::Serialize;

use super::Iso;
use crate::control::{board::Note, reconciler};

/// One row of `/debug/reconcilers`.
#[derive(Serialize)]
pub struct ReconcilerRow<'a> {
    name: &'static str,
    /// Activations since the start of this process.
    runs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_run_at: Option<Iso>,
    last_run_ms: f64,
    /// Commands proposed by the latest activation.
    proposed: usize,
    /// Why some of them did not take effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'a str>,
    /// What there was to look at, in numbers.
    looks_at: &'a str,
    /// What could not be done yet, and why; bounded.
    waits: Vec<WaitRow<'a>>,
    /// How many of these there are in all.
    waits_total: usize,
}

/// Something that a reconciler waits with, and what for.
#[derive(Serialize)]
struct WaitRow<'a> {
    about: &'a str,
    because: &'a str,
}

/// The row of one reconciler.
pub fn row<'a>((name, note): &'a (&'static str, Note)) -> ReconcilerRow<'a> {
    let latest = note.latest.as_ref();
    let wait = |w: &'a reconciler::Wait| WaitRow { about: &w.about, because: &w.because };
    ReconcilerRow {
        name,
        runs: note.n_runs,
        last_run_at: latest.map(|a| Iso(a.at)),
        last_run_ms: latest.map_or(0.0, |a| a.took.as_secs_f64() * 1000.0),
        proposed: latest.map_or(0, |a| a.n_proposed),
        refused: latest.and_then(|a| a.refused.as_deref()),
        looks_at: &note.report.looks_at,
        waits: note.report.waits.iter().map(wait).collect(),
        waits_total: note.report.n_waits,
    }
}
