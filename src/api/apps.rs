//! Apps and deployments: lists, one app, and why it does not run.

use std::sync::Arc;

use http::StatusCode;

use super::{
    context::{Api, listed},
    view::{app, deployment, why},
};
use crate::{
    http::{Call, Response, error::ApiError, reply},
    model::AppId,
};

pub async fn list(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let query = call.query();
    let q = query.get("q").unwrap_or_default().to_lowercase();
    let labels: Vec<String> = query.all("label").map(str::to_owned).collect();
    api.render(move |api, state| {
        let view = api.view(state);
        let rows: Vec<_> = app::ids(state)
            .filter(|id| app::matches(state, id, &q, &labels))
            .filter_map(|id| app::row(&view, id))
            .collect();
        listed("apps", &rows, state.revision)
    })
    .await
}

pub async fn show(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (state, id) = (api.state(), AppId::parse(call.param("id")));
    let detail = app::detail(&api.view(&state), &id, api.show_spec);
    let detail = detail.ok_or_else(|| no_such_app(&id))?;
    Ok(reply::json(StatusCode::OK, &detail))
}

pub async fn why(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (state, id) = (api.state(), AppId::parse(call.param("id")));
    let report = why::why(&api.view(&state), &id).ok_or_else(|| no_such_app(&id))?;
    Ok(reply::json(StatusCode::OK, &report))
}

pub async fn deployments(api: Arc<Api>, _: Call) -> Result<Response, ApiError> {
    api.render(|api, state| {
        let view = api.view(state);
        let mut all: Vec<_> = state.deployments.values().collect();
        all.sort_by_key(|d| (d.started_at, d.id.clone()));
        let rows: Vec<_> = all.into_iter().map(|d| deployment::row(&view, d)).collect();
        listed("deployments", &rows, state.revision)
    })
    .await
}

pub fn no_such_app(id: &AppId) -> ApiError {
    ApiError::not_found(format!("app {id}")).hint("GET /tepui/v1/apps lists the apps there are")
}
