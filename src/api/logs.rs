//! What all instances of an app wrote, merged by time: newest page first, older ones by `before`, from
//! a moment on by `after`, with a search on the way; or followed.
//!
//! Each stream is read backwards within its part of the budget. An answer holds everything that was
//! found from some moment on and nothing before it, so that pages fit together without a gap or a line
//! told twice; what could not be looked at is said.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use tokio::sync::Semaphore;

use super::{context::Api, files, tasks, view::instance};
use crate::{
    base::{clock::Timestamp, pattern::Pattern},
    core::{State, env::task_id},
    http::{Call, Response, error::ApiError, query::Query, reply},
    model::{AppId, Instance},
};

mod back;
mod follow;
mod line;
mod merge;
mod onward;
mod reader;

use line::{Found, Wanted};
use reader::Source;

/// Lines of an answer, usually and at most.
const LINES: usize = 500;
const LINES_MAX: usize = 5_000;
/// Bytes searched for one answer, and of one stream at least.
const BYTES_MAX: u64 = 32 << 20;
const STREAM_BYTES_MIN: u64 = 128 << 10;
/// Streams of one answer, and those read at a time.
const STREAMS_MAX: usize = 200;
const AT_ONCE: usize = 8;
/// Searches at a time.
const SEARCHES_MAX: usize = 4;
/// Attempts before the present one that are looked at for `previous`.
const PREVIOUS_MAX: u32 = 10;

static SEARCHES: Semaphore = Semaphore::const_new(SEARCHES_MAX);

pub async fn logs(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let query = call.query();
    let asked = Asked::read(&query)?;
    let of = query.get("of").unwrap_or_default();
    if query.flag("follow") {
        return follow::response(&api, of.to_owned(), asked).await;
    }
    let found = searched(&api, sources(&api.state(), of, &asked)?, &asked.wanted).await?;
    let lines_max = asked.wanted.lines_max;
    let logs = match asked.wanted.after {
        Some(_) => merge::onwards(found, lines_max),
        None => merge::backwards(found, lines_max),
    };
    Ok(reply::json(StatusCode::OK, &logs))
}

/// Looks through all streams, each within its part of the budget.
async fn searched(
    api: &Api,
    sources: Vec<Source>,
    wanted: &Wanted,
) -> Result<Vec<(Source, Found)>, ApiError> {
    let share = BYTES_MAX / sources.len().max(1) as u64;
    let wanted = &Wanted { bytes_max: share.max(STREAM_BYTES_MIN), ..wanted.clone() };
    let _slot = SEARCHES.acquire().await.map_err(ApiError::internal)?;
    let found = stream::iter(sources).map(|source| async move {
        let found = match wanted.after {
            Some(after) => onward::search(api, &source, wanted, after).await,
            None => back::search(api, &source, wanted).await,
        };
        (source, found)
    });
    Ok(found.buffered(AT_ONCE).collect().await)
}

/// What the query says.
struct Asked {
    wanted: Wanted,
    streams: &'static [&'static str],
    previous: bool,
}

impl Asked {
    fn read(query: &Query) -> Result<Self, ApiError> {
        let limit = files::number(query, "limit")?.unwrap_or(LINES as i64);
        let lines_max = usize::try_from(limit).unwrap_or(0).clamp(1, LINES_MAX);
        let (since, before) = (moment(query, "since")?, moment(query, "before")?);
        let after = moment(query, "after")?;
        if after.is_some() && (since.is_some() || query.flag("follow")) {
            return Err(ApiError::invalid("after", "goes with neither since nor follow"));
        }
        let grep = query.get("grep").filter(|text| !text.is_empty()).map(pattern).transpose()?;
        let streams: &[&str] = match query.get("stream").unwrap_or_default() {
            "" => &["stdout", "stderr"],
            "stdout" => &["stdout"],
            "stderr" => &["stderr"],
            other => {
                return Err(ApiError::invalid("stream", format!("{other:?} is not a stream"))
                    .hint("stdout or stderr, or both without it"));
            }
        };
        let wanted = Wanted { since, before, after, grep, lines_max, bytes_max: 0 };
        Ok(Self { wanted, streams, previous: query.flag("previous") })
    }
}

/// A moment of the query, in milliseconds.
fn moment(query: &Query, name: &'static str) -> Result<Option<i64>, ApiError> {
    let Some(text) = query.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    Timestamp::parse(text).map(|at| Some(at.as_ms())).ok_or_else(|| {
        ApiError::invalid(name, format!("{text:?} is no time")).hint("as 2026-11-28T23:00:00.000Z")
    })
}

fn pattern(text: &str) -> Result<Pattern, ApiError> {
    Pattern::new(text).map_err(|problem| ApiError::invalid("grep", problem))
}

/// The streams of an app's instances, or of the one that is named.
fn sources(state: &State, of: &str, asked: &Asked) -> Result<Vec<Source>, ApiError> {
    let mut ids: Vec<String> = Vec::new();
    if of.starts_with('/') {
        let app = AppId::parse(of);
        if !state.apps.contains_key(&app) {
            return Err(ApiError::not_found(format!("app {of}")));
        }
        let mut instances: Vec<&Arc<Instance>> = state.instances_of(&app).collect();
        instances.sort_by(|a, b| instance::by_age(a, b));
        for instance in instances {
            ids.extend(attempts(state, instance, asked.previous));
        }
    } else {
        tasks::locate(state, of)?;
        match state.instances.get(of) {
            Some(instance) => ids.extend(attempts(state, instance, asked.previous)),
            None => ids.push(of.to_owned()),
        }
    }
    let located = ids.into_iter().filter_map(|id| {
        let task = instance::locate(state, &id).filter(|task| task.node.is_some())?;
        let host = task.node.as_ref().and_then(|node| state.nodes.get(node));
        let host = host.map(|node| node.info.hostname.clone()).unwrap_or_default();
        Some((id, host, task))
    });
    let streams = located.flat_map(|(id, host, task)| {
        let one = move |stream: &&'static str| Source {
            task: task.clone(),
            id: id.clone(),
            host: host.clone(),
            stream,
        };
        asked.streams.iter().map(one)
    });
    Ok(streams.take(STREAMS_MAX).collect())
}

/// The task ids of an instance's present attempt and, when they are wanted, of those before; of a pod of
/// all its containers.
fn attempts(state: &State, instance: &Instance, previous: bool) -> Vec<String> {
    let last = instance.incarnation;
    let first = if previous { last.saturating_sub(PREVIOUS_MAX).max(1) } else { last.max(1) };
    let spec = state.spec_of(instance);
    let names: Vec<&str> = match spec {
        Some(spec) => spec.run.containers.iter().map(|c| c.name.as_str()).collect(),
        None => vec![""],
    };
    let ids = |number: u32| names.iter().map(move |name| task_id(&instance.id, name, number));
    (first..=last).rev().flat_map(ids).collect()
}
