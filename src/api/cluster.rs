//! The whole: status, the caller, the contract, and what operators look at when it is odd.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use super::{
    context::Api,
    view::{reconciler, status},
};
use crate::http::{Call, Response, error::ApiError, reply};

/// The contract, as it stands in the repository.
pub const OPENAPI: &str = include_str!("../../docs/api/openapi.yaml");

pub async fn openapi(_: Arc<Api>, _: Call) -> Response {
    reply::content(StatusCode::OK, "application/yaml", OPENAPI)
}

pub async fn status(api: Arc<Api>, _: Call) -> Result<Response, ApiError> {
    api.render(|api, state| {
        let status = status::whole(&api.view(state), api.started_at);
        reply::json(StatusCode::OK, &status)
    })
    .await
}

/// `Me` of the contract.
#[derive(Serialize)]
struct Me<'a> {
    uid: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    superuser: bool,
}

pub async fn me(api: Arc<Api>, call: Call) -> Response {
    let state = api.state();
    let user = state.users.get(call.principal.uid());
    let me = Me {
        uid: call.principal.uid(),
        description: user.map_or("", |u| &u.description),
        superuser: user.is_some_and(|u| u.superuser),
    };
    reply::json(StatusCode::OK, &me)
}

pub async fn debug_tasks(api: Arc<Api>, _: Call) -> Response {
    let mut counts = std::collections::BTreeMap::new();
    for task in api.cluster.tasks() {
        *counts.entry(task).or_insert(0_u32) += 1;
    }
    let rows: Vec<_> = counts
        .into_iter()
        .map(
            |((kind, name), count)| serde_json::json!({"kind": kind, "name": name, "count": count}),
        )
        .collect();
    reply::json(StatusCode::OK, &serde_json::json!({ "tasks": rows }))
}

pub async fn debug_reconcilers(api: Arc<Api>, _: Call) -> Response {
    let notes = api.cluster.notes();
    let rows: Vec<_> = notes.iter().map(reconciler::row).collect();
    reply::json(StatusCode::OK, &serde_json::json!({ "reconcilers": rows }))
}
