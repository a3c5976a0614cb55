//! What was done and what became of it: the cluster's history, and the attempts of one app.

use std::{sync::Arc, time::Duration};

use http::{StatusCode, header};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::{
    apps::no_such_app,
    context::Api,
    files::number,
    view::history::{self as view, AttemptRow, Bounds, RecordRow},
};
use crate::{
    base::clock::Timestamp,
    core::history::{Cursor, Kind, Page, Query},
    http::{Call, Response, error::ApiError, query, reply},
    log::history::FOUND_MAX,
    model::{AppId, InstanceId},
};

/// Records of one answer unless the caller says otherwise, and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// How long an answer may wait for something new.
const WAIT_MAX: Duration = Duration::from_secs(25);

#[derive(Serialize)]
struct Listed {
    records: Vec<RecordRow>,
    #[serde(flatten)]
    bounds: Bounds,
    revision: u64,
}

/// Newest first. With `after` and `wait` the answer waits until there is something new.
pub async fn list(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let asked = call.query();
    let mut query = read(&asked, api.clock.now())?;
    query.of = asked.get("of").filter(|of| !of.is_empty()).map(str::to_owned);
    let lines = asked.get("format") == Some("jsonl");
    query.limit = limit(&asked, if lines { FOUND_MAX } else { LIMIT_MAX })?;
    let wait = number(&asked, "wait")?.unwrap_or(0).clamp(0, WAIT_MAX.as_secs().cast_signed());
    let wait = Duration::from_secs(wait.unsigned_abs());
    let (page, revision) = waited(&api, query, wait).await?;
    let records: Vec<RecordRow> = page.found.iter().map(view::row).collect();
    if lines {
        return Ok(as_lines(&records));
    }
    let bounds = Bounds::from(&page);
    Ok(reply::json(StatusCode::OK, &Listed { records, bounds, revision }))
}

/// A JSON object a line, for files and pipes.
fn as_lines(records: &[RecordRow]) -> Response {
    let lines = records.iter().filter_map(|record| serde_json::to_string(record).ok());
    let text: String = lines.flat_map(|line| [line, "\n".to_owned()]).collect();
    let response = reply::text(StatusCode::OK, text);
    reply::with_header(response, header::CONTENT_TYPE, "application/x-ndjson")
}

/// The page, and the revision of a state that is not newer than it.
async fn waited(api: &Api, query: Query, wait: Duration) -> Result<(Page, u64), ApiError> {
    let until = Instant::now() + wait;
    loop {
        let revision = api.state().revision;
        let page = api.cluster.history(query.clone()).await?;
        let is_enough = !page.found.is_empty() || query.after.is_none();
        if is_enough || timeout_at(until, api.cluster.newer_than(revision)).await.is_err() {
            return Ok((page, revision));
        }
        // One look a second is soon enough, however fast the state moves.
        if timeout_at(until, tokio::time::sleep(Duration::from_secs(1))).await.is_err() {
            return Ok((page, revision));
        }
    }
}

#[derive(Serialize)]
struct Attempts {
    attempts: Vec<AttemptRow>,
    #[serde(flatten)]
    bounds: Bounds,
}

/// Ended attempts of an app, or of one of its instances, newest first.
pub async fn attempts(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (id, asked) = (AppId::parse(call.param("id")), call.query());
    let mut query = read(&asked, api.clock.now())?;
    query.kinds = vec![Kind::Attempt];
    query.limit = limit(&asked, LIMIT_MAX)?;
    let instance = asked.get("instance").filter(|id| !id.is_empty()).map(InstanceId::from);
    query.of = Some(instance.map_or_else(|| id.to_string(), |instance| instance.to_string()));
    let mut page = api.cluster.history(query).await?;
    page.found.retain(|found| found.record.of == id.as_str());
    if page.found.is_empty() && api.state().spec(&id).is_none() {
        return Err(no_such_app(&id));
    }
    let attempts = page.found.iter().filter_map(|found| view::attempt_row(&found.record));
    let answer = Attempts { attempts: attempts.collect(), bounds: Bounds::from(&page) };
    Ok(reply::json(StatusCode::OK, &answer))
}

/// What both lists are narrowed down by.
fn read(asked: &query::Query, now: Timestamp) -> Result<Query, ApiError> {
    let text = |name: &str| asked.get(name).filter(|text| !text.is_empty());
    let mut kinds = Vec::new();
    for word in asked.all("kind").flat_map(|list| list.split(',')).filter(|word| !word.is_empty()) {
        let known = || Kind::ALL.map(Kind::as_str).join(", ");
        let kind = Kind::parse(word).ok_or_else(|| {
            ApiError::invalid("kind", format!("{word:?} is not one of {}", known()))
        })?;
        kinds.push(kind);
    }
    Ok(Query {
        of: None,
        since: point(asked, "since", now)?,
        until: point(asked, "until", now)?,
        who: text("who").map(str::to_owned),
        kinds,
        grep: text("grep").map(str::to_owned),
        before: cursor(asked, "before")?,
        after: cursor(asked, "after")?,
        limit: LIMIT,
    })
}

fn limit(asked: &query::Query, max: usize) -> Result<usize, ApiError> {
    let asked = number(asked, "limit")?.map(|n| usize::try_from(n.max(1)).unwrap_or(max));
    Ok(asked.unwrap_or(LIMIT).min(max))
}

fn cursor(asked: &query::Query, name: &'static str) -> Result<Option<Cursor>, ApiError> {
    asked.get(name).filter(|text| !text.is_empty()).map_or(Ok(None), |text| {
        let problem = || ApiError::invalid(name, format!("{text:?} is no cursor of an answer"));
        Cursor::parse(text).ok_or_else(problem).map(Some)
    })
}

/// A point in time: as such, or how long ago (`90s`, `15m`, `24h`, `7d`).
fn point(
    asked: &query::Query,
    name: &'static str,
    now: Timestamp,
) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = asked.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let ago = || {
        let (number, unit) = text.split_at(text.len().checked_sub(1)?);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        let seconds = number.parse::<u32>().ok()?.checked_mul(seconds)?;
        Some(now - Duration::from_secs(u64::from(seconds)))
    };
    let is_ascii = text.is_ascii();
    Timestamp::parse(text).or_else(|| ago().filter(|_| is_ascii)).map(Some).ok_or_else(|| {
        let problem =
            "is neither a time (2026-11-22T13:14:11Z) nor how long ago (90s, 15m, 24h, 7d)";
        ApiError::invalid(name, format!("{text:?} {problem}"))
    })
}
