//! Records of the history as rows and as sentences.

use std::net::IpAddr;

use serde::Serialize;

use super::{Iso, verdict::words::condition_word};
use crate::{
    core::history::{Attempt, Found, Page, Record, took},
    model::{InstanceId, by::By, instance::KillReason},
};

/// `HistoryRecord` of the contract.
#[derive(Serialize)]
pub struct RecordRow {
    pub cursor: String,
    at: Iso,
    kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    of: String,
    /// What happened, without its subject.
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<ByRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    bad: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Iso>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<AttemptRow>,
}

/// `HistoryBy` of the contract.
#[derive(Serialize)]
pub struct ByRow {
    uid: String,
    way: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<IpAddr>,
}

/// `Attempt` of the contract.
#[derive(Serialize)]
pub struct AttemptRow {
    number: u32,
    instance_id: String,
    task_id: String,
    node_id: String,
    host: String,
    version: Iso,
    placed_at: Iso,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Iso>,
    ended_at: Iso,
    ran_ms: u64,
    /// How it ended, in one word.
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// What that means.
    exit: String,
    bad: bool,
    /// The last lines it wrote.
    #[serde(skip_serializing_if = "String::is_empty")]
    tail: String,
}

/// `History` of the contract, without what it lists.
#[derive(Serialize)]
pub struct Bounds {
    /// Where older ones go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// The time of the oldest record there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Iso>,
    /// The beginning was dropped for want of room.
    dropped: bool,
}

impl From<&Page> for Bounds {
    fn from(page: &Page) -> Self {
        Self {
            next: page.before.map(|cursor| cursor.to_string()),
            since: page.since.map(Iso),
            dropped: page.dropped,
        }
    }
}

pub fn row(found: &Found) -> RecordRow {
    let record = &found.record;
    RecordRow {
        cursor: found.cursor.to_string(),
        at: Iso(record.at),
        kind: record.kind.as_str(),
        of: record.of.clone(),
        text: text(record),
        by: record.by.as_ref().map(by_row),
        refused: record.refused.clone(),
        bad: record.bad,
        version: record.version.map(Iso),
        deployment_id: record.deployment.as_ref().map(ToString::to_string),
        took_ms: record.took_ms,
        took: record.took_ms.map(took),
        instance_id: record.instance.as_ref().map(ToString::to_string),
        attempt: attempt_row(record),
    }
}

pub fn by_row(by: &By) -> ByRow {
    ByRow { uid: by.uid.clone(), way: by.way.as_str(), peer: by.peer }
}

/// The attempt that a record tells of.
pub fn attempt_row(record: &Record) -> Option<AttemptRow> {
    let (attempt, instance) = (record.attempt.as_ref()?, record.instance.as_ref()?);
    let began = attempt.started_at.unwrap_or(attempt.placed_at);
    Some(AttemptRow {
        number: attempt.incarnation,
        instance_id: instance.to_string(),
        task_id: task_id(instance, attempt),
        node_id: attempt.node.to_string(),
        host: attempt.host.clone(),
        version: Iso(attempt.version),
        placed_at: Iso(attempt.placed_at),
        started_at: attempt.started_at.map(Iso),
        ended_at: Iso(record.at),
        ran_ms: u64::try_from(record.at.since(began).as_millis()).unwrap_or(u64::MAX),
        end: condition_word(attempt.end),
        exit_code: attempt.exit_code,
        exit: exit(record, attempt),
        bad: record.bad,
        tail: attempt.tail.clone(),
    })
}

fn task_id(instance: &InstanceId, attempt: &Attempt) -> String {
    format!("{instance}._app.{}", attempt.incarnation)
}

/// What happened, in words.
fn text(record: &Record) -> String {
    let Some(attempt) = &record.attempt else { return record.text.clone() };
    let code = attempt.exit_code.map(|code| format!(", exit {code}")).unwrap_or_default();
    let ran = match (attempt.started_at, record.took_ms) {
        (Some(_), Some(ms)) => format!(", ran {}", took(ms)),
        _ => ", never ran".to_owned(),
    };
    let why = if record.bad { format!(": {}", record.text) } else { String::new() };
    format!("attempt {} ended{code}{ran}{why}", attempt.incarnation)
}

/// What an end means: the agent's word first, then what the code is known for.
fn exit(record: &Record, attempt: &Attempt) -> String {
    let wanted = match attempt.killed_for {
        Some(_) if attempt.unhealthy => Some("ended because its health check failed"),
        Some(KillReason::Request) => Some("ended on request"),
        Some(KillReason::Deployment) => Some("ended by a deployment"),
        Some(KillReason::Drain) => Some("ended because its node was drained"),
        Some(KillReason::Overdue) => Some("ended because it did not get running in time"),
        None => None,
    };
    if let Some(wanted) = wanted {
        return match attempt.unhealthy && !record.text.is_empty() {
            true => format!("{wanted}: {}", record.text),
            false => wanted.to_owned(),
        };
    }
    if record.text.starts_with("Memory limit") {
        return match attempt.exit_code {
            Some(code) => format!("exit {code} = killed: {}", record.text),
            None => record.text.clone(),
        };
    }
    let Some(code) = attempt.exit_code else { return record.text.clone() };
    let known = match code {
        0 => "the program ended by itself without an error",
        126 => "the command cannot be executed: it is no program, or may not be run",
        127 => "the command was not found",
        129 => "the program was told to hang up (SIGHUP)",
        130 => "the program was interrupted (SIGINT)",
        134 => "the program aborted itself (SIGABRT)",
        136 => "arithmetic error (SIGFPE)",
        137 => "killed (SIGKILL): by somebody on the node, or for want of memory there",
        139 => "the program touched memory that is not its own (SIGSEGV)",
        141 => "the program wrote to a closed pipe (SIGPIPE)",
        143 => "the program was told to end (SIGTERM)",
        1..=125 => "an error of the program's own",
        _ => return format!("exit {code}: {}", record.text),
    };
    format!("exit {code} = {known}")
}
