//! `/v2/events`: the event stream.

use std::sync::Arc;

use http::{StatusCode, header};

use crate::{
    compat::marathon::{
        error::{self, Error},
        request,
        service::Marathon,
    },
    http::{Call, Response, reply, stream},
};

/// `GET /v2/events`; with `Last-Event-ID` first what came after that event. The original insists on the exact media type and answers 405 without it; a
/// master that does not lead sends the client to the one that does.
pub async fn events(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    if !call.accepts("text/event-stream") {
        return Ok(error::plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"));
    }
    if !marathon.cluster.leads() {
        let leader = marathon.leader();
        let leader = leader.ok_or_else(|| Error::Unavailable("There is no leader".to_owned()))?;
        let scheme = if marathon.tls { "https" } else { "http" };
        let rest = call.uri().path_and_query().map_or("", |p| p.as_str());
        return Ok(reply::redirect(StatusCode::FOUND, &format!("{scheme}://{leader}{rest}")));
    }
    let kinds = call.query().all("event_type").map(str::to_owned).collect();
    let client = request::client(&call);
    let last = call.headers().get("last-event-id").map(|id| String::from_utf8_lossy(id.as_bytes()));
    match marathon.events.attach(&client, kinds, last.as_deref(), marathon.now()) {
        Ok(body) => {
            let response = stream::response(body);
            Ok(reply::with_header(response, header::CONTENT_TYPE, "text/event-stream"))
        }
        Err(full) => Err(Error::Unavailable(full.to_string())),
    }
}
