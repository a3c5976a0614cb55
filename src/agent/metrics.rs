//! What the agent counts of its containers, with the log lines of the same events. Nothing is on a
//! hot path: the most frequent are checks, a few a second on a full node.

use std::{fmt, time::Duration};

use super::{
    desired::{Exit, Key},
    health::{Finding, Outcome},
};
use crate::{
    base::metrics::{SLOW, families, label},
    host::docker::EngineError,
    model::instance::CheckOutcome,
};

label! {
    /// Why an instance could not be started.
    pub enum NoStart("reason") {
        /// Its definition cannot be run on this node.
        Spec = "spec",
        User = "user",
        Fetch = "fetch",
        Sandbox = "sandbox",
        /// Its container could not be made; that its image could not be pulled, too.
        Create = "create",
        Start = "start",
        /// It was told to end meanwhile.
        Cancelled = "cancelled",
        /// The engine went away; it is tried again when it is back.
        EngineAway = "engine_away",
    }
}

label! {
    /// How an instance ended.
    pub enum End("how") {
        Finished = "finished",
        Failed = "failed",
        OutOfMemory = "out_of_memory",
        /// It was told to end.
        Killed = "killed",
        /// Nobody can tell any more.
        Unknown = "unknown",
    }
}

label! {
    pub enum Pull("outcome") {
        Pulled = "pulled",
        Failed = "failed",
    }
}

label! {
    pub enum Check("kind") {
        Health = "health",
        Readiness = "readiness",
        /// A check whose result is only shown.
        Info = "info",
    }
}

label! {
    pub enum Verdict("outcome") {
        Passed = "passed",
        Failed = "failed",
        /// It says nothing about the task.
        Ignored = "ignored",
    }
}

families! {
    STARTED: Counter<()> = new(
        "tepui_agent_instances_started_total",
        "Instances started on this node.",
    );
    NOT_STARTED: Counter<NoStart> = new(
        "tepui_agent_instances_not_started_total",
        "Starts that failed.",
    );
    START: Histogram<()> = new(
        "tepui_agent_start_duration_seconds",
        "From the order to the started instance: artifacts, images and containers.",
        &SLOW,
    );
    ENDED: Counter<End> = new("tepui_agent_instances_ended_total", "Instances that ran and ended.");
    PULLS: Counter<Pull> = new("tepui_agent_image_pulls_total", "Images asked of a registry.");
    PULL: Histogram<()> = new(
        "tepui_agent_image_pull_duration_seconds",
        "Pulls, those that failed included.",
        &SLOW,
    );
    CHECKS: Counter<(Check, Verdict)> = new("tepui_agent_checks_total", "Checks of tasks made.");
    ENGINE_AWAY: Gauge<()> = new(
        "tepui_agent_engine_away",
        "1 while the container engine does not answer, else 0.",
    );
    LINKS_LOST: Counter<()> = new(
        "tepui_agent_links_lost_total",
        "Links to the leader that ended.",
    );
}

/// An instance is up, `took` after it was ordered.
pub(super) fn started(key: &Key, took: Duration) {
    STARTED.inc(());
    START.observe((), took);
    tracing::debug!(instance = %key.0, ?took, "instance started");
}

/// An instance did not come up.
pub(super) fn not_started(key: &Key, reason: NoStart, error: &dyn fmt::Display) {
    NOT_STARTED.inc(reason);
    tracing::debug!(instance = %key.0, ?reason, %error, "instance not started");
}

/// An instance has ended; `told`: it was told to.
pub(super) fn ended(key: &Key, exit: &Exit, told: bool) {
    let how = match exit {
        _ if told => End::Killed,
        Exit { out_of_memory: true, .. } => End::OutOfMemory,
        Exit { code: Some(0), .. } => End::Finished,
        Exit { code: Some(_), .. } => End::Failed,
        Exit { code: None, .. } => End::Unknown,
    };
    ENDED.inc(how);
    tracing::debug!(instance = %key.0, ?how, code = exit.code, "instance ended");
}

/// The engine was asked for an image.
pub(super) fn pulled(image: &str, took: Duration, outcome: &Result<(), EngineError>) {
    PULL.observe((), took);
    match outcome {
        Ok(()) => {
            PULLS.inc(Pull::Pulled);
            tracing::debug!(image, ?took, "image pulled");
        }
        Err(error) => {
            PULLS.inc(Pull::Failed);
            tracing::debug!(image, ?took, %error, "image not pulled");
        }
    }
}

/// A check was made.
pub(super) fn checked(key: &Key, finding: &Finding) {
    let passed = |passed| if passed { Verdict::Passed } else { Verdict::Failed };
    let (kind, verdict) = match finding {
        Finding::Health { outcome: Outcome::Healthy, .. } => (Check::Health, Verdict::Passed),
        Finding::Health { outcome: Outcome::Unhealthy(_), .. } => (Check::Health, Verdict::Failed),
        Finding::Health { outcome: Outcome::Ignored, .. } => (Check::Health, Verdict::Ignored),
        Finding::Readiness { status, .. } => (Check::Readiness, passed(status.ready)),
        Finding::Info(CheckOutcome::Http(status)) => {
            (Check::Info, passed((200..400).contains(status)))
        }
        Finding::Info(CheckOutcome::Tcp(is_open)) => (Check::Info, passed(*is_open)),
        Finding::Info(CheckOutcome::Command(code)) => (Check::Info, passed(*code == 0)),
    };
    CHECKS.inc((kind, verdict));
    tracing::trace!(instance = %key.0, ?kind, ?verdict, "checked");
}

/// The engine does not answer; `is_news`: it did until now.
pub(super) fn engine_went_away(error: &str, is_news: bool) {
    ENGINE_AWAY.set((), 1);
    if is_news {
        tracing::error!(error, "the container engine is away; what runs goes on");
    }
}

/// The engine answers again, or for the first time.
pub(super) fn engine_answers(n_containers: usize) {
    ENGINE_AWAY.set((), 0);
    tracing::info!(n_containers, "the container engine answers");
}

/// The link to the leader has ended.
pub(super) fn link_lost(node: &crate::model::NodeId) {
    LINKS_LOST.inc(());
    tracing::warn!(node = %node, "link to the leader lost");
}
