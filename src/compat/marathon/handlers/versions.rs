//! `/v2/apps/{id}/versions`: what an app was before.

use std::sync::Arc;

use serde_json::json;

use super::{apps, ok};
use crate::{
    base::clock::Timestamp,
    compat::marathon::{error::Error, request, service::Marathon},
    core::State,
    http::{Call, Response},
    model::path::AppId,
};

/// `GET /v2/apps/{id}/versions`, newest first.
pub async fn list(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let state = marathon.state();
    let id = request::id(&call);
    apps::app(&state, &id)?;
    Ok(ok(&json!({ "versions": newest_first(&state, &id) })))
}

/// The stored versions of an app or pod, the newest first.
pub fn newest_first(state: &State, id: &AppId) -> Vec<String> {
    let mut versions: Vec<String> =
        state.versions_of(id).map(|spec| spec.version.to_string()).collect();
    versions.reverse();
    versions
}

/// `GET /v2/apps/{id}/versions/{version}`.
pub async fn get(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let state = marathon.state();
    let id = request::id(&call);
    let text = call.param("version");
    let version = version(text)?;
    let spec = state.specs.get(&(id.clone(), version)).filter(|_| state.apps.contains_key(&id));
    match spec {
        Some(spec) => Ok(apps::bare(spec)),
        None => Err(Error::NotFound(format!("App '{id}' does not exist in version {version}"))),
    }
}

/// A point in time in a URL.
pub fn version(text: &str) -> Result<Timestamp, Error> {
    let parsed = Timestamp::parse(text);
    parsed.ok_or_else(|| Error::Argument(format!("Invalid format: \"{text}\"")))
}
