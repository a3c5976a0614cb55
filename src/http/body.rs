//! The one body type of requests and responses, and reading one within bounds.
//!
//! `Body` is bytes in memory, a body arriving on a connection, or any boxed stream of frames. It
//! yields `Bytes` and never buffers: whoever wants it whole calls `read`, with a limit.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::{
    BoxError,
    crowd::{Full, Hold},
};
use crate::base::limit;

/// A body may trickle for this many times `limit::CLIENT_READ` in all, so that a byte now and then
/// does not hold a connection for ever.
const READ_ROUNDS_MAX: u32 = 10;

/// The content of a request or response.
#[derive(Default)]
pub struct Body(Content);

#[derive(Default)]
enum Content {
    #[default]
    Empty,
    Full(Bytes),
    Incoming(Incoming),
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BoxError> + Send>>),
}

impl Body {
    /// No content.
    pub const fn empty() -> Self {
        Self(Content::Empty)
    }

    /// Content in memory.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() { Self::empty() } else { Self(Content::Full(bytes)) }
    }

    /// Content still arriving from a peer.
    pub fn incoming(incoming: Incoming) -> Self {
        Self(if incoming.is_end_stream() { Content::Empty } else { Content::Incoming(incoming) })
    }

    /// Content from any source of frames.
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error = BoxError> + Send + 'static,
    {
        Self(Content::Stream(Box::pin(body)))
    }

    /// As `bytes`, without copying any.
    pub fn shared(&self) -> Option<Bytes> {
        match &self.0 {
            Content::Empty => Some(Bytes::new()),
            Content::Full(bytes) => Some(bytes.clone()),
            Content::Incoming(_) | Content::Stream(_) => None,
        }
    }

    /// The bytes of content that lies in memory; `None` for one that streams.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Content::Empty => Some(&[]),
            Content::Full(bytes) => Some(bytes),
            Content::Incoming(_) | Content::Stream(_) => None,
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Content::Empty => f.write_str("Body(empty)"),
            Content::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Content::Incoming(_) => f.write_str("Body(incoming)"),
            Content::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Content::Empty => Poll::Ready(None),
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Content::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Content::Incoming(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|f| f.map_err(Into::into)))
            }
            Content::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Empty => true,
            Content::Full(_) => false,
            Content::Incoming(body) => body.is_end_stream(),
            Content::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Empty => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Incoming(body) => body.size_hint(),
            Content::Stream(body) => body.size_hint(),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::full(text)
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::full(text)
    }
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("the body did not arrive in time")]
    Slow,
    #[error("the body broke off")]
    Broken(#[source] BoxError),
    #[error(transparent)]
    Full(#[from] Full),
}

impl BodyError {
    /// 413, 408 or 400.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) => StatusCode::BAD_REQUEST,
            Self::Full(Full::Peer) => StatusCode::TOO_MANY_REQUESTS,
            Self::Full(Full::All) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Reads a whole body of at most `bytes_max` bytes, each part within `limit::CLIENT_READ`.
pub async fn read(body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    read_on_account(body, bytes_max, None).await
}

/// As `read`, on the account of whoever sent it: what has arrived is held until `account` is
/// dropped. A body that anybody may send must arrive within `limit::CLIENT_READ` as a whole.
pub async fn read_on_account(
    mut body: Body,
    bytes_max: usize,
    mut account: Option<&mut Hold>,
) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(BodyError::TooLarge { bytes_max });
    }
    let whole = async {
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while !body.is_end_stream() {
            let next = tokio::time::timeout(limit::CLIENT_READ, body.frame());
            let Some(frame) = next.await.map_err(|_| BodyError::Slow)? else { break };
            let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() else { continue };
            if first.len() + all.len() + data.len() > bytes_max {
                return Err(BodyError::TooLarge { bytes_max });
            }
            if let Some(account) = &mut account {
                account.grow(data.len())?;
            }
            if first.is_empty() && all.is_empty() {
                first = data; // the common body is one chunk: no copy
            } else {
                if all.is_empty() {
                    all.extend_from_slice(&std::mem::take(&mut first));
                }
                all.extend_from_slice(&data);
            }
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    };
    let n_rounds = if bytes_max <= limit::OPEN_BODY_BYTES_MAX { 1 } else { READ_ROUNDS_MAX };
    let deadline = limit::CLIENT_READ * n_rounds;
    tokio::time::timeout(deadline, whole).await.map_err(|_| BodyError::Slow)?
}

/// Why a body is not the JSON that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Not JSON at all. The text tells line and column.
    #[error("not valid JSON: {0}")]
    Syntax(#[source] serde_json::Error),
    /// JSON of another shape; `path` says where (`container.docker.image`, or `.` for the whole).
    #[error("at {path}: {message}")]
    Shape { path: String, message: String },
}

impl JsonError {
    /// 400 for content, the body's own status otherwise.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Body(error) => error.status(),
            Self::Syntax(_) | Self::Shape { .. } => StatusCode::BAD_REQUEST,
        }
    }
}

/// That a JSON text has no more values than memory is meant for. Counts what separates or opens
/// them outside of text; whether it is JSON at all is the parser's to say.
pub fn check_values(bytes: &[u8]) -> Result<(), usize> {
    if bytes.len() <= limit::JSON_VALUES_MAX {
        return Ok(());
    }
    let (mut n, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => n += 1,
            _ => {}
        }
    }
    if n > limit::JSON_VALUES_MAX { Err(n) } else { Ok(()) }
}

/// Parses JSON; an error in its shape carries the path to the place.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        if error.inner().is_data() {
            let path = error.path().to_string();
            JsonError::Shape { path, message: error.into_inner().to_string() }
        } else {
            JsonError::Syntax(error.into_inner())
        }
    })?;
    json.end().map_err(JsonError::Syntax)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_body_within_the_limit_is_read_whole() {
        assert_eq!(read(Body::from("hello"), 5).await.unwrap(), "hello");
        assert_eq!(read(Body::empty(), 0).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_body_past_the_limit_is_413() {
        let error = read(Body::from("hello"), 4).await.unwrap_err();
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_body_is_408_and_a_trickling_one_too() {
        struct Trickle(Pin<Box<tokio::time::Sleep>>, Duration);
        impl http_body::Body for Trickle {
            type Data = Bytes;
            type Error = BoxError;
            fn poll_frame(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
                std::task::ready!(self.0.as_mut().poll(cx));
                let next = self.0.deadline() + self.1;
                self.0.as_mut().reset(next);
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b".")))))
            }
        }
        for gap in [Duration::from_secs(3600), limit::CLIENT_READ - Duration::from_secs(1)] {
            let body = Body::stream(Trickle(Box::pin(tokio::time::sleep(gap)), gap));
            let error = read(body, 1 << 20).await.unwrap_err();
            assert_eq!(error.status(), StatusCode::REQUEST_TIMEOUT, "{gap:?}");
        }
    }

    #[test]
    fn values_are_counted_outside_of_text() {
        let many = format!("[{}]", vec!["0"; limit::JSON_VALUES_MAX + 1].join(","));
        assert!(check_values(many.as_bytes()).is_err());
        let text = format!(r#"["\"{}"]"#, ",[{".repeat(limit::JSON_VALUES_MAX));
        assert_eq!(check_values(text.as_bytes()), Ok(()));
    }

    #[test]
    fn json_errors_name_the_place() {
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code)]
        struct Outer {
            inner: Vec<u32>,
        }
        let shape = parse_json::<Outer>(br#"{"inner":[1,"x"]}"#).unwrap_err();
        assert!(matches!(&shape, JsonError::Shape { path, .. } if path == "inner[1]"), "{shape}");
        let syntax = parse_json::<Outer>(br#"{"inner":"#).unwrap_err();
        assert!(matches!(syntax, JsonError::Syntax(_)), "{syntax}");
        let rest = parse_json::<Outer>(br#"{"inner":[]} x"#).unwrap_err();
        assert!(matches!(rest, JsonError::Syntax(_)), "{rest}");
    }
}
