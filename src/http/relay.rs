//! The body of a proxied answer: frames pass as they come, and the connection they come from is
//! polled along with them; after the last frame it goes back into the pool.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::{
    BoxError,
    pool::{Conn, Pool},
};

/// A streaming answer. Dropping it early closes its connection.
pub struct Relay {
    body: Incoming,
    conn: Option<Box<Conn>>,
    pool: Arc<Pool>,
    /// A frame read ahead by `try_whole`.
    ahead: Option<Frame<Bytes>>,
}

/// The upstream went silent in the middle of its answer.
#[derive(Debug, thiserror::Error)]
#[error("the upstream stopped sending")]
struct Silent;

impl Relay {
    pub fn new(body: Incoming, conn: Box<Conn>, pool: Arc<Pool>) -> Self {
        Self { body, conn: Some(conn), pool, ahead: None }
    }

    /// The whole body when it has arrived already, in one piece. Otherwise nothing is lost.
    pub fn try_whole(&mut self, cx: &mut Context<'_>) -> Option<Bytes> {
        if self.body.is_end_stream() {
            self.release(cx);
            return Some(Bytes::new());
        }
        if let Poll::Ready(Some(Ok(frame))) = self.poll_next(cx) {
            if !self.body.is_end_stream() {
                self.ahead = Some(frame);
                return None;
            }
            match frame.into_data() {
                Ok(data) => return Some(data),
                Err(frame) => self.ahead = Some(frame),
            }
        }
        None
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut has_driven = false;
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if self.body.is_end_stream() {
                        self.release(cx);
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(Some(Err(error))) => {
                    self.conn = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Ready(None) => {
                    self.release(cx);
                    return Poll::Ready(None);
                }
                Poll::Pending => {}
            }
            let Some(conn) = &mut self.conn else { return Poll::Pending };
            if has_driven {
                return match conn.poll_silent(cx) {
                    Poll::Ready(()) => {
                        self.conn = None;
                        Poll::Ready(Some(Err(Silent.into())))
                    }
                    Poll::Pending => Poll::Pending,
                };
            }
            conn.drive(cx);
            has_driven = true;
        }
    }

    fn release(&mut self, cx: &mut Context<'_>) {
        if let Some(conn) = self.conn.take() {
            self.pool.put(conn, cx);
        }
    }
}

impl http_body::Body for Relay {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.ahead.take() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => self.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // The server writes `Content-Length` from this hint where the upstream sent none.
        let ahead = self.ahead.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + ahead);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + ahead);
        }
        hint
    }
}
