//! Searching a file of a sandbox, bit by bit: its agent looks through so much of it at a time.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::{another_answer, ask, number, relative};
use crate::{
    api::{context::Api, tasks},
    base::{level, pattern::Pattern},
    control::cluster,
    core::apply::gate::need_level,
    http::{Call, Response, error::ApiError, reply},
    model::link::{Answer, Hit, Question},
};

/// Hits of one answer, usually and at most.
const HITS: i64 = 200;
const HITS_MAX: i64 = 1_000;
/// Searches at a time; others wait.
const SEARCHES_MAX: usize = 4;

static SEARCHES: Semaphore = Semaphore::const_new(SEARCHES_MAX);

/// `FileSearch` of the contract.
#[derive(Serialize)]
struct Searched {
    hits: Vec<HitRow>,
    offset: u64,
    line: u64,
    size_bytes: u64,
}

/// `FileHit` of the contract.
#[derive(Serialize)]
struct HitRow {
    line: u64,
    offset: u64,
    n_bytes: u32,
    text: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

pub async fn search(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let query = call.query();
    let path = relative(query.get("path").unwrap_or_default())?;
    let pattern = query.get("grep").unwrap_or_default().to_owned();
    if pattern.is_empty() {
        return Err(ApiError::invalid("grep", "is missing"));
    }
    Pattern::new(&pattern).map_err(|problem| ApiError::invalid("grep", problem))?;
    let from = |name, least: i64| {
        let asked = number(&query, name)?.unwrap_or(least);
        let too_low = || ApiError::invalid(name, format!("must be at least {least}"));
        u64::try_from(asked).ok().filter(|_| asked >= least).ok_or_else(too_low)
    };
    let (offset, line) = (from("offset", 0)?, from("line", 1)?);
    let hits_max = number(&query, "limit")?.unwrap_or(HITS).clamp(1, HITS_MAX);
    need_level(&api.state(), level::SEARCH, "files are not searched")
        .map_err(cluster::Error::from)?;
    let found = tasks::find(&api, call.param("id")).await?;
    let question = Question::SearchFile {
        instance: found.instance.clone(),
        incarnation: found.incarnation,
        path,
        pattern,
        offset,
        line,
        hits_max: u32::try_from(hits_max).unwrap_or(1),
    };
    let _slot = SEARCHES.acquire().await.map_err(ApiError::internal)?;
    let Answer::Searched { hits, offset, line, size } = ask(&api, &found, question).await? else {
        return Err(another_answer());
    };
    let hits = hits.into_iter().map(row).collect();
    Ok(reply::json(StatusCode::OK, &Searched { hits, offset, line, size_bytes: size }))
}

fn row(hit: Hit) -> HitRow {
    let Hit { line, offset, n_bytes, text, is_cut } = hit;
    HitRow { line, offset, n_bytes, text, cut: is_cut }
}
