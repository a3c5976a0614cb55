//! Answers: small constructors for the usual ones, and `Reply`, what a handler may return.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{
    Body, RequestId, Response,
    body::{BodyError, JsonError},
};

/// Anything a handler returns: a response, or an error that knows its response.
///
/// The id is the request's; an error of our own fault tells it to the caller and logs the rest.
pub trait Reply {
    fn reply(self, request: RequestId) -> Response;
}

impl Reply for Response {
    fn reply(self, _: RequestId) -> Response {
        self
    }
}

impl<T: Reply, E: Reply> Reply for Result<T, E> {
    fn reply(self, request: RequestId) -> Response {
        match self {
            Ok(value) => value.reply(request),
            Err(error) => error.reply(request),
        }
    }
}

impl Reply for BodyError {
    fn reply(self, _: RequestId) -> Response {
        text(self.status(), self.to_string())
    }
}

impl Reply for JsonError {
    fn reply(self, _: RequestId) -> Response {
        text(self.status(), self.to_string())
    }
}

/// `value` as JSON with `Content-Type: application/json`.
pub fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    json_as(status, "application/json", value)
}

/// `value` as JSON under another content type.
pub fn json_as<T: Serialize + ?Sized>(
    status: StatusCode,
    content_type: &'static str,
    value: &T,
) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => content(status, content_type, bytes),
        Err(error) => {
            // Only maps with non-text keys or a failing Serialize get here: our own bug.
            tracing::error!(%error, "an answer could not be written as JSON");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written as JSON")
        }
    }
}

/// Plain text, UTF-8.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Response {
    content(status, "text/plain; charset=utf-8", text)
}

/// An HTML page, UTF-8.
pub fn html(status: StatusCode, page: impl Into<Bytes>) -> Response {
    content(status, "text/html; charset=UTF-8", page)
}

/// Any bytes under a content type.
pub fn content(
    status: StatusCode,
    content_type: &'static str,
    bytes: impl Into<Bytes>,
) -> Response {
    let mut response = Response::new(Body::full(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// No body and no content type.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A redirect to `location`; characters a header cannot carry make it a 500.
pub fn redirect(status: StatusCode, location: &str) -> Response {
    with_header(empty(status), header::LOCATION, location)
}

/// `response` with one more header; a value no header can carry makes the answer a 500.
pub fn with_header(mut response: Response, name: HeaderName, value: &str) -> Response {
    match HeaderValue::from_str(value) {
        Ok(value) => {
            response.headers_mut().insert(name, value);
            response
        }
        Err(error) => {
            tracing::error!(%error, header = %name, "an answer's header cannot be written");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_carry_type_and_status() {
        let response = json(StatusCode::CREATED, &serde_json::json!({"a": 1}));
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(response.body().bytes(), Some(&br#"{"a":1}"#[..]));
        assert!(empty(StatusCode::NO_CONTENT).headers().is_empty());
        let bad = redirect(StatusCode::FOUND, "/a\nb");
        assert_eq!(bad.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
