//! What all instances of an app wrote, merged by time: newest page first, older ones by `before`, with
//! a search on the way.
//!
//! Each stream is read backwards within its part of the budget. An answer holds everything that was
//! found from some moment on and nothing before it, so that pages fit together without a gap or a line
//! told twice; what could not be looked at is said.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use regex::RegexBuilder;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::{
    context::Api,
    files, tasks,
    view::{Iso, instance},
};
use crate::{
    base::clock::Timestamp,
    core::State,
    http::{Call, Response, error::ApiError, query::Query, reply},
    model::{AppId, Instance},
};

mod source;

use source::{Found, Source, Wanted, search};

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
/// Longest pattern, and memory it may take when it is made.
const PATTERN_BYTES_MAX: usize = 1 << 10;
const PATTERN_MEMORY_MAX: usize = 1 << 20;
/// Parts of the histogram.
const BUCKETS: usize = 60;

static SEARCHES: Semaphore = Semaphore::const_new(SEARCHES_MAX);

/// `Logs` of the contract.
#[derive(Serialize)]
struct Logs {
    lines: Vec<Row>,
    /// Ask with it for what is older; absent when there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Iso>,
    searched_bytes: u64,
    streams: Vec<StreamRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    histogram: Option<Histogram>,
}

#[derive(Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Iso>,
    task: Arc<str>,
    stream: &'static str,
    text: String,
}

#[derive(Serialize)]
struct StreamRow {
    task: Arc<str>,
    host: String,
    stream: &'static str,
    next_offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<&'static str>,
}

/// How many lines of the answer fall into each part of its time.
#[derive(Debug, PartialEq, Serialize)]
struct Histogram {
    from: Iso,
    step_ms: i64,
    stdout: Vec<u32>,
    stderr: Vec<u32>,
}

pub async fn logs(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let query = call.query();
    let asked = Asked::read(&query)?;
    let sources = sources(&api.state(), query.get("of").unwrap_or_default(), &asked)?;
    let share = BYTES_MAX / sources.len().max(1) as u64;
    let wanted = Wanted { bytes_max: share.max(STREAM_BYTES_MIN), ..asked.wanted };
    let _slot = SEARCHES.acquire().await.map_err(ApiError::internal)?;
    let (api, wanted) = (&*api, &wanted);
    let found: Vec<(Source, Found)> = stream::iter(sources)
        .map(|source| async move {
            let found = search(api, &source, wanted).await;
            (source, found)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    Ok(reply::json(StatusCode::OK, &merged(found, wanted.lines_max)))
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
        let wanted = Wanted { since, before, grep, lines_max, bytes_max: 0 };
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

fn pattern(text: &str) -> Result<regex::Regex, ApiError> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(ApiError::invalid("grep", format!("is longer than {PATTERN_BYTES_MAX} bytes")));
    }
    let made = RegexBuilder::new(text).size_limit(PATTERN_MEMORY_MAX).build();
    made.map_err(|error| ApiError::invalid("grep", error.to_string()))
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
            ids.extend(attempts(instance, asked.previous));
        }
    } else {
        tasks::locate(state, of)?;
        match state.instances.get(of) {
            Some(instance) => ids.extend(attempts(instance, asked.previous)),
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

/// The task ids of an instance's present attempt and, when they are wanted, of those before.
fn attempts(instance: &Instance, previous: bool) -> Vec<String> {
    let last = instance.incarnation;
    let first = if previous { last.saturating_sub(PREVIOUS_MAX).max(1) } else { last.max(1) };
    let now = instance.task_id("");
    let Some((stem, _)) = now.rsplit_once('.') else { return Vec::new() };
    (first..=last).rev().map(|number| format!("{stem}.{number}")).collect()
}

/// Everything that was found from some moment on, oldest first.
fn merged(found: Vec<(Source, Found)>, lines_max: usize) -> Logs {
    let searched_bytes = found.iter().map(|(_, found)| found.searched_bytes).sum();
    // Before this moment some stream was not looked at: what others have there comes with it.
    let mut floor = found.iter().filter_map(|(_, found)| found.until).max();
    let mut lines = Vec::new();
    let mut streams = Vec::new();
    for (source, found) in found {
        let task: Arc<str> = source.id.into();
        let rows = found.lines.into_iter().rev().map(|line| {
            let (task, at) = (task.clone(), line.at.map(Timestamp::from_ms));
            Row { at: at.map(Iso), task, stream: source.stream, text: line.text }
        });
        lines.extend(rows);
        let (host, next_offset) = (source.host, found.next_offset);
        streams.push(StreamRow { task, host, stream: source.stream, next_offset, cut: found.cut });
    }
    // Stable: lines of one stream keep their order within a moment.
    lines.sort_by_key(ms);
    if let Some(first) = lines.len().checked_sub(lines_max).filter(|first| *first > 0) {
        floor = floor.max(lines.get(first).and_then(ms));
    }
    // A line without a time has its place in the newest page alone.
    lines.retain(|row| ms(row).is_none() || ms(row) >= floor);
    let before = floor.map(|at| Iso(Timestamp::from_ms(at)));
    let histogram = histogram(&lines);
    Logs { lines, before, searched_bytes, streams, histogram }
}

fn ms(row: &Row) -> Option<i64> {
    row.at.map(|Iso(at)| at.as_ms())
}

fn histogram(lines: &[Row]) -> Option<Histogram> {
    let times: Vec<(i64, &str)> = lines.iter().filter_map(|r| Some((ms(r)?, r.stream))).collect();
    let (from, to) = (times.first()?.0, times.last()?.0);
    let step_ms = (to - from) / BUCKETS as i64 + 1;
    let n_buckets = usize::try_from((to - from) / step_ms).unwrap_or(0) + 1;
    let mut counts: BTreeMap<&str, Vec<u32>> =
        ["stdout", "stderr"].map(|stream| (stream, vec![0; n_buckets])).into();
    for (at, stream) in times {
        let bucket = usize::try_from((at - from) / step_ms).unwrap_or(0);
        if let Some(n) = counts.get_mut(stream).and_then(|counts| counts.get_mut(bucket)) {
            *n += 1;
        }
    }
    let mut take = |stream| counts.remove(stream).unwrap_or_default();
    let (stdout, stderr) = (take("stdout"), take("stderr"));
    Some(Histogram { from: Iso(Timestamp::from_ms(from)), step_ms, stdout, stderr })
}
