//! What the leader's reconcilers and its side of the agent links count. All of it is rare: a step
//! runs a few times a second, reports come in batches.

use std::time::Duration;

use super::reconcilers::Kind;
use crate::{
    base::metrics::{QUICK, families, label},
    log::ProposeError,
    model::NodeId,
};

label! {
    /// How an activation ended.
    pub enum Step("outcome") {
        /// There was nothing to do.
        Idle = "idle",
        /// Every command had its effect.
        Done = "done",
        /// Some did not get through, or the state had moved on; the next step looks again.
        Refused = "refused",
    }
}

label! {
    /// What became of reports.
    pub enum Taken("outcome") {
        Taken = "taken",
        /// The log did not take them; the agent tells them again.
        Refused = "refused",
    }
}

families! {
    STEPS: Counter<(Kind, Step)> = new(
        "tepui_control_steps_total",
        "Activations of the reconcilers.",
    );
    DURATION: Histogram<Kind> = new(
        "tepui_control_step_duration_seconds",
        "What a step takes, without what becomes of the commands it proposes.",
        &QUICK,
    );
    COMMANDS: Counter<Kind> = new(
        "tepui_control_commands_total",
        "Commands the reconcilers proposed.",
    );
    LEADS: Gauge<()> = new("tepui_control_is_leader", "1 while this master leads, else 0.");
    AGENTS: Gauge<()> = new("tepui_control_agents_connected", "Agents connected to this master.");
    REPORTS: Counter<Taken> = new(
        "tepui_control_reports_total",
        "Reports of tasks received from agents.",
    );
    SERIES: Gauge<()> = new("tepui_control_series", "Series of numbers over time that are kept.");
    SERIES_REFUSED: Counter<()> = new(
        "tepui_control_series_refused_total",
        "Series that found no room, each counted whenever it is tried.",
    );
    SERIES_ROUND: Histogram<()> = new(
        "tepui_control_series_round_duration_seconds",
        "What measuring everything once takes.",
        &QUICK,
    );
}

/// Everything was measured once: there are so many series, and so many found no room so far.
pub(super) fn measured(took: Duration, n_series: usize, n_refused: u64) {
    SERIES_ROUND.observe((), took);
    SERIES.set((), n_series as u64);
    SERIES_REFUSED.add((), n_refused.saturating_sub(SERIES_REFUSED.get(())));
    tracing::trace!(?took, n_series, n_refused, "measured");
}

/// A reconciler ran for `took` and proposed `n` commands; `refused` says why not all were taken.
pub(super) fn stepped(kind: Kind, took: Duration, n: usize, refused: Option<&str>) {
    DURATION.observe(kind, took);
    COMMANDS.add(kind, n as u64);
    let step = match (n, refused) {
        (0, _) => Step::Idle,
        (_, None) => Step::Done,
        (_, Some(_)) => Step::Refused,
    };
    STEPS.inc((kind, step));
    if n > 0 {
        tracing::debug!(?took, n, refused, "reconciled");
    }
}

/// This master has begun to lead, or has ceased to.
pub(super) fn led(leads: bool) {
    LEADS.set((), u64::from(leads));
    if leads {
        tracing::info!("this master leads");
    } else {
        tracing::warn!("this master does not lead any more");
    }
}

/// An agent that is connected; until this is dropped.
pub(super) struct Connection<'a>(&'a NodeId);

impl<'a> Connection<'a> {
    pub fn of(node: &'a NodeId) -> Self {
        AGENTS.inc(());
        tracing::info!(node = %node, "agent connected");
        Self(node)
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        AGENTS.dec(());
        tracing::info!(node = %self.0, "agent disconnected");
    }
}

/// `n` reports of a node were proposed.
pub(super) fn reported<T>(node: &NodeId, n: usize, outcome: &Result<T, ProposeError>) {
    match outcome {
        Ok(_) => REPORTS.add(Taken::Taken, n as u64),
        Err(error) => {
            REPORTS.add(Taken::Refused, n as u64);
            tracing::warn!(node = %node, %error, "reports were not taken");
        }
    }
}
