//! Errors of our own API and their one shape:
//! `{"error":{"code":…,"message":…,"field"?:…,"hint"?:…,"request_id":…}}`.
//!
//! A 4xx says everything to the caller. A 5xx of our own fault says only its request id; the cause
//! goes to the log under the same id. The dialects have their own shapes beside their own types.

use std::borrow::Cow;

use http::{StatusCode, header};
use serde::Serialize;

use super::{
    RequestId, Response,
    body::{BodyError, JsonError},
    reply::{self, Reply},
};

/// Seconds after which what is not there now may be: elections and full queues take about one.
const RETRY_AFTER_S: &str = "1";

/// An error of our own API.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    field: Option<String>,
    hint: Option<Cow<'static, str>>,
    cause: Option<String>,
}

impl ApiError {
    /// Any status with a stable code (snake case) and a sentence for people.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code, message: message.into(), field: None, hint: None, cause: None }
    }

    /// 400: the request itself makes no sense.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// 422: well-formed, but `field` (a path such as `container.image`) breaks a rule.
    pub fn invalid(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        let error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message);
        Self { field: Some(field.into()), ..error }
    }

    /// 401: nobody we know.
    pub fn unauthenticated(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
    }

    /// 403: known, but not allowed.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404: `what` names the thing: `app /web`.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} does not exist"))
    }

    /// 409: the present state forbids it.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 429: as many as are let in are there; `whom` names them: `readers of logs`.
    pub fn crowded(whom: impl std::fmt::Display) -> Self {
        let message = format!("there are too many {whom} at the moment");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message)
            .hint("close some and try again")
    }

    /// 503: not now; trying again later can help.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// 500: our own fault; `cause` goes to the log, never to the caller.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let message = "this is our fault; the log has the details under this request_id";
        let error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message);
        Self { cause: Some(cause.to_string()), ..error }
    }

    /// Adds the next thing to try.
    pub fn hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The same as text, for where there is no answer of HTTP any more. Our own fault goes to the log.
    pub fn to_json(&self, request: RequestId) -> String {
        let text = serde_json::to_string(&self.told(request));
        text.unwrap_or_else(|_| r#"{"error":{}}"#.to_owned()) // texts alone: it cannot fail
    }

    fn told(&self, request: RequestId) -> Envelope<'_> {
        if let Some(cause) = &self.cause {
            tracing::error!(request = %request, error = %cause, "request failed");
        }
        let error = Fields {
            code: self.code,
            message: &self.message,
            field: self.field.as_deref(),
            hint: self.hint.as_deref(),
            request_id: request.to_string(),
        };
        Envelope { error }
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Fields<'a>,
}

#[derive(Serialize)]
struct Fields<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    request_id: String,
}

impl Reply for ApiError {
    fn reply(self, request: RequestId) -> Response {
        let response = reply::json(self.status, &self.told(request));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            return reply::with_header(response, header::RETRY_AFTER, RETRY_AFTER_S);
        }
        response
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::TooLarge { .. } => "body_too_large",
            BodyError::Slow => "body_slow",
            BodyError::Broken(_) => "body_broken",
            BodyError::Full(_) => "too_much",
        };
        Self::new(error.status(), code, error.to_string())
    }
}

impl From<JsonError> for ApiError {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Body(error) => error.into(),
            JsonError::Syntax(_) => {
                Self::new(StatusCode::BAD_REQUEST, "not_json", error.to_string())
            }
            JsonError::Shape { path, message } => Self::invalid(path, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: ApiError) -> String {
        let response = error.reply(RequestId::new(10));
        String::from_utf8(response.body().bytes().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_callers_error_says_everything() {
        let error = ApiError::invalid("cpus", "must not be negative").hint("use 0 or more");
        assert_eq!(error.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(
            body(error),
            r#"{"error":{"code":"invalid","message":"must not be negative","field":"cpus","hint":"use 0 or more","request_id":"000000000000000a"}}"#
        );
    }

    #[test]
    fn our_own_error_keeps_its_cause_to_itself() {
        let text = body(ApiError::internal("password of the store is hunter2"));
        assert!(!text.contains("hunter2") && text.contains("000000000000000a"), "{text}");
    }
}
