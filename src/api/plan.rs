//! Definitions before they are run: their schema, and what running one would do.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::{context::Api, view::plan};
use crate::{
    base::limit,
    http::{
        Call, Response,
        body::{check_values, parse_json},
        error::ApiError,
        reply,
    },
};

/// `GET /tepui/v1/schema/app`: what may stand in a definition.
pub async fn schema(api: Arc<Api>, _: Call) -> Result<Response, ApiError> {
    Ok(reply::json_as(StatusCode::OK, "application/schema+json", api.definitions.schema()))
}

/// `POST /tepui/v1/plan`: what a definition would do if it were run now. Changes nothing; a refusal is an
/// answer like any other.
pub async fn plan(api: Arc<Api>, mut call: Call) -> Result<Response, ApiError> {
    let body = call.bytes().await?;
    if let Err(n) = check_values(&body) {
        let max = limit::JSON_VALUES_MAX;
        let message = format!("the body holds {n} values, the maximum is {max}");
        return Err(ApiError::invalid("", message));
    }
    let definition: Value = parse_json(&body)?;
    api.render(move |api, state| {
        let answer = plan::plan(&api.view(state), &*api.definitions, &definition, api.show_spec);
        reply::json(StatusCode::OK, &answer)
    })
    .await
}
