//! The client's end of the short road.

use std::{
    future::{Future as _, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncWrite as _, AsyncWriteExt as _},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{deadline::Deadline, last::Last, window::Window};
use crate::{
    base::oncall::OnCall,
    http::{auth::Memo, io::Guarded},
};

/// What a connection that waits for a request holds: most heads are smaller.
const WAITING_BYTES: usize = 4 << 10;

/// A client and what it has sent so far.
pub struct Client {
    io: Guarded,
    /// The request being answered, and what came behind it.
    pub input: Window,
    /// Who asked last.
    pub memo: Memo,
    /// What was asked with last.
    pub last: Last,
    /// Of whatever is waited for: a request, an upstream.
    pub wait: Deadline,
    drain: CancellationToken,
    drained: OnCall<WaitForCancellationFutureOwned>,
}

/// The client has left.
#[derive(Debug)]
pub struct Gone;

impl Client {
    pub fn new(io: Guarded, first_by: Instant, drain: CancellationToken) -> Self {
        let (input, memo, last) = (Window::new(WAITING_BYTES), Memo::default(), Last::default());
        let drained = OnCall::new(drain.clone().cancelled_owned());
        Self { io, input, memo, last, wait: Deadline::new(first_by), drain, drained }
    }

    /// Whether no further request is to be answered.
    pub fn is_drained(&self) -> bool {
        // The flag first: the token is locked to be asked, and everybody has the same one.
        self.drained.has_rung() && self.drain.is_cancelled()
    }

    /// The transport with what was read and not answered.
    pub fn into_io(mut self) -> Guarded {
        self.io.put_back(self.input.filled());
        self.io
    }

    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.poll_fill(&mut self.io, cx)
    }

    /// Ready when the client has left. What it sends meanwhile is kept, as far as there is room.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        while !self.input.is_full() {
            match ready!(self.poll_read(cx)) {
                Ok(n) if n > 0 => {}
                Ok(_) | Err(_) => return Poll::Ready(Gone),
            }
        }
        Poll::Pending
    }

    /// Reads more of a request, until it is time to stop waiting for one: then `None`.
    pub fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<usize>>> {
        if let Poll::Ready(read) = self.poll_read(cx) {
            return Poll::Ready(Some(read));
        }
        match self.wait.poll(cx) {
            Poll::Pending => Pin::new(&mut self.drained).poll(cx).map(|()| None),
            Poll::Ready(()) => Poll::Ready(None),
        }
    }

    /// Writes all of `bytes`; how long the client may not take them is the transport's to say.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let mut n_written = 0;
        let write = poll_fn(|cx| {
            while n_written < bytes.len() {
                match ready!(Pin::new(&mut self.io).poll_write(cx, &bytes[n_written..])) {
                    Ok(n) if n > 0 => n_written += n,
                    Ok(_) | Err(_) => return Poll::Ready(Err(Gone)),
                }
            }
            Pin::new(&mut self.io).poll_flush(cx).map_err(|_| Gone)
        });
        write.await
    }

    /// The request of `n_used` bytes is done with; the next has to be there by `next_by`.
    pub fn answered(&mut self, n_used: usize, next_by: Instant) {
        self.input.consume(n_used);
        self.input.shrink(WAITING_BYTES);
        self.wait.set(next_by);
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        let _gone = self.io.shutdown().await;
    }
}
