//! Live streams to a client: a bounded queue in front of a response body, and the SSE format.
//!
//! Frames are encoded once and shared (`Bytes`), so a thousand readers of one feed cost a thousand
//! reference counts. A reader whose queue is full is cut, never buffered without bound: its body
//! ends with an error, the client sees a broken stream and connects again.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::poll_fn};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyStream, StreamBody};
use tokio::{sync::mpsc, time::timeout};

use super::{Body, Response, auth::Lease, reply};
use crate::base::limit;

/// Where a client that comes back says what it saw last.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The writing end. Cheap to clone; the stream ends when all are gone.
#[derive(Debug, Clone)]
pub struct Sender(mpsc::Sender<Bytes>);

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    #[error("the reader is gone")]
    Gone,
    #[error("the reader is too slow")]
    Slow,
}

impl Sender {
    /// Queues one frame without waiting. After an error the stream is over: drop the sender.
    pub fn send(&self, frame: Bytes) -> Result<(), Cut> {
        self.0.try_send(frame).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Cut::Slow,
            mpsc::error::TrySendError::Closed(_) => Cut::Gone,
        })
    }

    /// Queues one frame, waiting for the reader (file downloads, log tails: the source can wait).
    pub async fn send_waiting(&self, frame: Bytes) -> Result<(), Cut> {
        self.0.send(frame).await.map_err(|_| Cut::Gone)
    }

    /// As `send_waiting`, but gives a reader up that takes nothing for as long as a connection may be idle.
    pub async fn send_in_time(&self, frame: Bytes) -> Result<(), Cut> {
        let sent = timeout(limit::UPSTREAM_IDLE, self.send_waiting(frame)).await;
        sent.unwrap_or(Err(Cut::Slow))
    }

    /// Resolves when the reader is gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// A stream whose reader may be `capacity` frames behind.
pub fn channel(capacity: usize) -> (Sender, Body) {
    let (sender, mut receiver) = mpsc::channel(capacity);
    let frames =
        poll_fn(move |cx| receiver.poll_recv(cx).map(|next| next.map(Frame::data).map(Ok)));
    (Sender(sender), Body::stream(StreamBody::new(frames)))
}

/// `body` as `text/event-stream`, not to be cached or buffered on the way.
pub fn response(body: Body) -> Response {
    let mut response = reply::empty(StatusCode::OK);
    *response.body_mut() = body;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// `response`, whose body ends with the caller's credential when it is one that goes on.
pub fn leased(response: Response, lease: Option<Lease>) -> Response {
    let Some(lease) = lease.filter(|_| response.body().bytes().is_none()) else { return response };
    response.map(|body| {
        let frames = BodyStream::new(body).take_until(lease.ended());
        Body::stream(StreamBody::new(frames))
    })
}

/// One SSE event. `name` and `id` must hold no line break; `data` may.
pub fn event(name: Option<&str>, id: Option<&str>, data: &str) -> Bytes {
    let mut text = String::with_capacity(data.len() + 64);
    for (field, value) in [("event: ", name), ("id: ", id)] {
        if let Some(value) = value {
            text.push_str(field);
            text.extend(value.chars().filter(|c| !matches!(c, '\n' | '\r')));
            text.push('\n');
        }
    }
    for line in data.split('\n') {
        text.push_str("data: ");
        text.push_str(line.strip_suffix('\r').unwrap_or(line));
        text.push('\n');
    }
    text.push('\n');
    text.into()
}

/// A heartbeat no client shows: a comment and the blank line that ends it.
pub fn heartbeat() -> Bytes {
    Bytes::from_static(b":\n\n")
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[test]
    fn events_are_framed() {
        assert_eq!(event(None, None, "x"), "data: x\n\n");
        assert_eq!(event(Some("e"), Some("7"), "a\r\nb"), "event: e\nid: 7\ndata: a\ndata: b\n\n");
        assert_eq!(event(Some("e\nf"), None, ""), "event: ef\ndata: \n\n");
    }

    #[tokio::test]
    async fn a_slow_reader_is_cut_and_a_gone_one_noticed() {
        let (sender, mut body) = channel(1);
        sender.send(heartbeat()).unwrap();
        assert_eq!(sender.send(heartbeat()), Err(Cut::Slow));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), ":\n\n");
        drop(body);
        sender.closed().await;
        assert_eq!(sender.send(heartbeat()), Err(Cut::Gone));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_given_up() {
        let (sender, mut body) = channel(1);
        sender.send_in_time(heartbeat()).await.unwrap();
        let late = async {
            tokio::time::sleep(limit::UPSTREAM_IDLE / 2).await;
            body.frame().await.unwrap().unwrap()
        };
        let (sent, _) = tokio::join!(sender.send_in_time(heartbeat()), late);
        assert_eq!(sent, Ok(()));
        assert_eq!(sender.send_in_time(heartbeat()).await, Err(Cut::Slow));
        drop(body);
        assert_eq!(sender.send_in_time(heartbeat()).await, Err(Cut::Gone));
    }
}
