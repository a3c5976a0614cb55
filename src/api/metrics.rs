//! `/tepui/v1/metrics`: every family of the answering process, for Prometheus (docs/metrics.md), or with
//! `of` what was measured over time (`measured`).

use std::sync::Arc;

use http::StatusCode;

use super::{context::Api, measured};
use crate::{
    agent,
    base::metrics::{
        Family, process,
        text::{MEDIA_TYPE, render},
    },
    control, dns,
    http::{self as web, Call, Response, auth, error::ApiError, reply},
    log,
};

/// Every family of this program, by subsystem. One process has them all, whatever its roles are.
pub fn families() -> impl Iterator<Item = &'static dyn Family> {
    [
        process::FAMILIES,
        web::metrics::FAMILIES,
        auth::metrics::FAMILIES,
        log::metrics::FAMILIES,
        control::metrics::FAMILIES,
        control::backup::FAMILIES,
        agent::metrics::FAMILIES,
        dns::metrics::FAMILIES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

pub async fn metrics(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let query = call.query();
    if measured::is_asked(&query) {
        return measured::answer(&api, &query);
    }
    Ok(reply::content(StatusCode::OK, MEDIA_TYPE, render(families())))
}
