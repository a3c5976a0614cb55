//! Words and next steps that verdicts about several kinds of things share.

use crate::model::instance::{Condition, KillReason};

/// The word for a condition in rows.
pub fn condition_word(condition: Condition) -> &'static str {
    match condition {
        Condition::Scheduled => "scheduled",
        Condition::Provisioned | Condition::Staging => "staging",
        Condition::Starting => "starting",
        Condition::Running => "running",
        Condition::Killing => "killing",
        Condition::Unreachable | Condition::UnreachableInactive => "unreachable",
        Condition::Finished => "finished",
        Condition::Failed | Condition::Error => "failed",
        Condition::Killed => "killed",
        Condition::Dropped | Condition::Unknown => "lost",
        Condition::Gone => "gone",
    }
}

/// Why somebody wants an instance gone.
pub fn kill_words(reason: &KillReason) -> &'static str {
    match reason {
        KillReason::Request => "somebody asked for it",
        KillReason::Deployment => "a deployment has no more use for it",
        KillReason::Drain => "its node is drained",
        KillReason::Overdue => "it did not get running in time",
    }
}

/// What to do about a container engine that does not answer.
pub fn engine_next(host: &str) -> String {
    format!("on {host}, see why the container engine does not run: systemctl status docker")
}

/// What to do about a node that nobody hears from.
pub fn node_next(host: &str) -> String {
    format!("look at the network and the tepui process of {host}")
}
