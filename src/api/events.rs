//! `GET /tepui/v1/events`: the live view.

use std::sync::Arc;

use super::context::Api;
use crate::http::{
    Call, Response,
    error::ApiError,
    stream::{self, LAST_EVENT_ID},
};

pub async fn events(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let body = api.live.join(call.header(LAST_EVENT_ID)).await?;
    Ok(stream::response(body))
}
