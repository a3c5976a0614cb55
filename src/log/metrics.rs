//! What the log counts. Applying an entry adds two numbers and sets one; a proposal adds one number
//! and a time, beside a write to the disk.

use super::{ProposeError, Revision};
use crate::base::metrics::{QUICK, families, label};

label! {
    /// What came of a proposal.
    pub enum Outcome("outcome") {
        /// It is in the log and was applied; the state may have rejected it.
        Applied = "applied",
        Busy = "busy",
        TooLarge = "too_large",
        NoLeader = "no_leader",
        Unknown = "unknown",
        DiskFull = "disk_full",
        Stopped = "stopped",
    }
}

impl From<&ProposeError> for Outcome {
    fn from(error: &ProposeError) -> Self {
        match error {
            ProposeError::Busy => Self::Busy,
            ProposeError::TooLarge { .. } => Self::TooLarge,
            ProposeError::NoLeader => Self::NoLeader,
            ProposeError::Unknown => Self::Unknown,
            ProposeError::DiskFull => Self::DiskFull,
            ProposeError::Stopped(_) => Self::Stopped,
        }
    }
}

families! {
    PROPOSALS: Counter<Outcome> = new(
        "tepui_log_proposals_total",
        "Commands proposed by this process.",
    );
    DURATION: Histogram<()> = new(
        "tepui_log_proposal_duration_seconds",
        "From proposing a command to its outcome; those of reconcilers, which go in batches, are not timed.",
        &QUICK,
    );
    ENTRIES: Counter<()> = new(
        "tepui_log_applied_entries_total",
        "Entries of the log applied since the process started.",
    );
    COMMANDS: Counter<()> = new("tepui_log_applied_commands_total", "Commands in them.");
    REVISION: Gauge<()> = new(
        "tepui_log_revision",
        "Commands the state has seen in the life of the cluster.",
    );
}

/// Waits for a proposal's outcome and notes it.
pub(super) async fn timed<T>(
    proposal: impl Future<Output = Result<T, ProposeError>>,
) -> Result<T, ProposeError> {
    let began = tokio::time::Instant::now();
    let outcome = proposal.await;
    DURATION.observe((), began.elapsed());
    proposed(&outcome);
    outcome
}

/// A proposal has its outcome.
pub(super) fn proposed<T>(outcome: &Result<T, ProposeError>) {
    match outcome {
        Ok(_) => PROPOSALS.inc(Outcome::Applied),
        Err(error) => {
            PROPOSALS.inc(Outcome::from(error));
            tracing::debug!(%error, "a command was not taken by the log");
        }
    }
}

/// The state was read from the store or came as a snapshot.
pub(super) fn at(revision: Revision) {
    REVISION.set((), revision);
}

/// An entry of `n` commands was applied; the state is at `revision` now.
pub(super) fn applied(n: usize, revision: Revision) {
    ENTRIES.inc(());
    COMMANDS.add((), n as u64);
    REVISION.set((), revision);
    tracing::trace!(n, revision, "entry applied");
}
