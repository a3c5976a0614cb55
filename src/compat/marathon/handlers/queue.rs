//! `/v2/queue`: what waits to be launched.

use std::sync::Arc;

use http::StatusCode;

use super::ok;
use crate::{
    compat::marathon::{error::Error, render, request, service::Marathon},
    core::WorkloadCommand,
    http::{Call, Response, reply},
};

/// `GET /v2/queue`.
pub async fn list(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let with_offers = call.query().all("embed").any(|value| value == "lastUnusedOffers");
    let state = marathon.state();
    let report = |app: &_| marathon.cluster.attempt(app);
    Ok(ok(&render::queue::queue(&state, report, with_offers, marathon.now())))
}

/// `DELETE /v2/queue/{id}/delay`: launches at once whatever the backoff says.
pub async fn reset_delay(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    marathon.run(&call.principal, WorkloadCommand::ResetBackoff(request::id(&call))).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
