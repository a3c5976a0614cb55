//! The parts of a request that several handlers read alike.

use http::{StatusCode, header};
use serde_json::Value;

use super::{error::Error, json};
use crate::{
    base::{clock::Timestamp, limit, task::heavy},
    http::{Call, body::check_values},
    model::path::PathId,
};

/// The body as JSON.
pub async fn body(call: &mut Call) -> Result<Value, Error> {
    if !is_json(call) {
        return Err(Error::Status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let bytes = call.bytes().await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::NoBody);
    }
    if let Err(n) = check_values(&bytes) {
        let max = limit::JSON_VALUES_MAX;
        return Err(Error::Argument(format!("the body holds {n} values, the maximum is {max}")));
    }
    let parse = || serde_json::from_slice(&bytes);
    let parsed = if bytes.len() > HEAVY_BYTES { heavy(parse).await } else { parse() };
    parsed.map_err(|error| Error::NotJson(error.to_string()))
}

/// Bodies above this are parsed, checked and applied to a snapshot apart from other requests.
pub const HEAVY_BYTES: usize = 32 << 10;

/// The body as an edge type.
pub async fn body_as<T: json::Read>(call: &mut Call) -> Result<T, Error> {
    let value = body(call).await?;
    let read = || json::read(&value);
    let read = if call.n_read() > HEAVY_BYTES { heavy(read).await } else { read() };
    read.map_err(Error::Types)
}

/// A body without `Content-Type` passes for JSON, as it does in the original.
fn is_json(call: &Call) -> bool {
    let Some(text) = call.header(header::CONTENT_TYPE) else { return true };
    let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media.is_empty() || media == "application/json" || media.ends_with("+json") || media == "*/*"
}

/// Whether the caller takes JSON.
pub fn takes_json(call: &Call) -> bool {
    !call.headers().contains_key(header::ACCEPT)
        || ["application/json", "application/*", "*/*", "text/json"]
            .iter()
            .any(|media| call.accepts(media))
        || call.headers().get_all(header::ACCEPT).iter().all(|value| value.is_empty())
}

/// A switch of the query: `true` in any letter case is on, anything else off.
pub fn flag(call: &Call, key: &str, default: bool) -> bool {
    call.query().get(key).map_or(default, |value| value.eq_ignore_ascii_case("true"))
}

/// The version a change was made from (`If-Match: "2026-11-28T08:00:00.000Z"`), where it says so.
pub fn made_from(call: &Call) -> Result<Option<Timestamp>, Error> {
    let Some(text) = call.header(header::IF_MATCH) else { return Ok(None) };
    let version = Timestamp::parse(text.trim().trim_matches('"'));
    version
        .map(Some)
        .ok_or_else(|| Error::BadRequest(format!("If-Match names no version of an app: {text}")))
}

/// The path id in the URL.
pub fn id(call: &Call) -> PathId {
    PathId::parse(call.param("id"))
}

/// Address of the caller, for events.
pub fn client(call: &Call) -> String {
    call.origin().map_or_else(|| "127.0.0.1".to_owned(), |origin| origin.peer.ip().to_string())
}
