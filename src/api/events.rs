//! `GET /tepui/v1/events`: the live view, of everything in rows or of one part of the cluster.

use std::sync::Arc;

use super::{context::Api, nodes, one_node};
use crate::http::{
    Call, Response,
    error::ApiError,
    stream::{self, LAST_EVENT_ID},
};

pub async fn events(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let cursor = call.header(LAST_EVENT_ID);
    let query = call.query();
    let of = query.get("of").unwrap_or_default();
    let body = match of.split_once(':') {
        None if of.is_empty() => api.live.join(cursor).await?,
        None if of == "placed" => api.live.join_placed(cursor).await?,
        Some(("node", name)) => {
            let state = api.state();
            let found = nodes::find(&state, name)?;
            one_node::follow(&api, found.id().clone())?
        }
        _ => {
            return Err(ApiError::invalid("of", "must be placed or node:ID")
                .hint("leave it out for the rows of everything"));
        }
    };
    Ok(stream::response(body))
}
