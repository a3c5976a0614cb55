//! Passing a plain request on: sending it, and sending it again where that is safe. The way back is
//! `back`.

use std::{
    future::poll_fn,
    task::{Poll, ready},
};

use futures_util::future::BoxFuture;
use http::StatusCode;
use tokio::time::Instant;

use super::{
    Doorway,
    answer::{self, Begun},
    ask::Plan,
    client::{Client, Gone},
    head::Seen,
    lines::Line,
    window::{Buffers, Lent},
};
use crate::{
    base::limit,
    http::{
        BoxError, metrics,
        proxy::{Here, count, switched_unasked},
        tries::Tries,
        upstream::Failure,
        upstream::{ConnectError, Upstream},
    },
};

/// What happens to the client's connection after an answer.
pub enum Next {
    /// It waits for another request since this moment.
    Keep(Instant),
    Close,
    /// There is nobody to close it for.
    Gone,
}

/// Why there is no more of an answer.
pub enum Stop {
    /// The client left.
    Gone,
    /// The caller may not look any longer.
    Ended,
    Failed(Failure),
}

impl Stop {
    pub fn broken(error: impl Into<BoxError>) -> Self {
        Self::Failed(Failure::Broken(error.into()))
    }
}

/// The upstream closed the connection in the middle of its answer.
#[derive(Debug, thiserror::Error)]
#[error("the upstream closed the connection")]
struct Closed;

/// The head of an answer is larger than anybody needs.
#[derive(Debug, thiserror::Error)]
#[error("the head of the answer is too large")]
struct TooLarge;

/// What one request is passed on with.
pub struct Pass<'p> {
    pub client: &'p mut Client,
    pub door: &'p Doorway<'p>,
    pub lent: Lent,
    /// Resolves when the caller may not look any longer, for an answer that goes on.
    pub ended: Option<BoxFuture<'static, ()>>,
    /// Whether the client's connection ends with this answer.
    pub closes: bool,
}

/// Passes the request in `lent` on and answers it.
pub async fn pass(client: &mut Client, door: &Doorway<'_>, plan: Plan, lent: Lent) -> Next {
    let began = Instant::now();
    let span = tracing::debug_span!(
        "request", id = %door.request_id(), method = plan.method.as_str(), peer = %door.peer,
        route = door.guide.pattern()
    );
    if let Some(seat) = door.seat {
        seat.vouch();
    }
    let _serving = door.seat.map(|seat| seat.serve());
    let proxy = door.guide.proxy();
    count(&proxy.counters().short);
    let mut pass = Pass { client, door, lent, ended: None, closes: false };
    let exchanged = pass.exchange(&plan, began).await;
    let now = Instant::now();
    let took = now - began;
    metrics::UPSTREAM.observe((), took);
    let tell = |status| {
        if let Some(meter) = &plan.way.meter {
            meter.answered(status, took);
        }
        span.in_scope(|| metrics::answered(door.door, status, took));
    };
    match exchanged {
        Ok((line, Some(begun))) => {
            tell(begun.status);
            if begun.goes_on {
                let lease = pass.client.memo.lease().cloned();
                pass.ended = lease.map(|lease| Box::pin(lease.ended()) as BoxFuture<'_, _>);
            }
            pass.relay(line, begun, now).await
        }
        Ok((_, None)) => {
            let own = switched_unasked();
            tell(own.status());
            pass.own(own, plan.method, now).await
        }
        Err(Stop::Failed(failure)) => {
            let own = span.in_scope(|| proxy.fail(&failure, plan.way.upstream));
            tell(own.status());
            pass.own(own, plan.method, now).await
        }
        Err(Stop::Gone | Stop::Ended) => Next::Gone,
    }
}

impl Pass<'_> {
    /// Sends the request until it is answered or must not be sent again. An answer that switches
    /// protocols has not begun: nobody asked for it.
    async fn exchange(
        &mut self,
        plan: &Plan,
        began: Instant,
    ) -> Result<(Box<Line>, Option<Begun>), Stop> {
        let proxy = self.door.guide.proxy();
        let may_repeat = plan.method.is_idempotent() && !plan.has_body;
        let mut tries = Tries::new(plan.way.upstream, plan.way.spare);
        self.client.wait.set(began + proxy.lines.silence_max);
        loop {
            let upstream = tries.upstream();
            let kept = poll_fn(|cx| Poll::Ready(proxy.lines.take(upstream, cx)));
            let kept = if tries.may_reuse() { kept.await } else { None };
            let line = match kept {
                Some(line) => line,
                None => {
                    proxy.count_connect();
                    match self.connect(upstream).await? {
                        Ok(line) => line,
                        Err(error) if tries.refused() => {
                            proxy.count_retry(upstream, &error);
                            continue;
                        }
                        Err(error) => return Err(Stop::Failed(Failure::Connect(error))),
                    }
                }
            };
            let was_reused = line.is_reused;
            let again = may_repeat && tries.may_repeat(was_reused);
            match self.attempt(line, plan).await {
                Err(Stop::Failed(failure @ Failure::Broken(_)))
                    if again && tries.broke(was_reused) =>
                {
                    proxy.count_retry(upstream, &failure);
                    self.lent.get().input.consume(usize::MAX);
                }
                outcome => return outcome,
            }
        }
    }

    /// A new line, unless the client leaves first.
    async fn connect(&mut self, to: Upstream) -> Result<Result<Box<Line>, ConnectError>, Stop> {
        let mut connect = std::pin::pin!(self.door.guide.proxy().lines.connect(to));
        let client = &mut *self.client;
        poll_fn(|cx| match connect.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Ok(outcome)),
            Poll::Pending => client.poll_gone(cx).map(|Gone| Err(Stop::Gone)),
        })
        .await
    }

    /// Sends the request over `line` and writes the head of its answer for the client.
    async fn attempt(
        &mut self,
        mut line: Box<Line>,
        plan: &Plan,
    ) -> Result<(Box<Line>, Option<Begun>), Stop> {
        if !line.is_reused {
            self.progressed(); // connecting has a bound of its own
        }
        self.send(&mut line).await?;
        loop {
            self.more(&mut line).await?;
            if let Seen::Whole(begun) = self.begin(&mut line, plan)? {
                return Ok((line, begun));
            }
            self.make_room()?;
            self.progressed();
        }
    }

    /// Looks for the head of the final answer in what came over `line` and writes it for the client.
    /// `Whole(None)` is one that switches protocols, which nobody asked for.
    fn begin(&mut self, line: &mut Line, plan: &Plan) -> Result<Seen<Option<Begun>>, Stop> {
        let Buffers { input, out } = self.lent.get();
        let closes = self.client.is_drained();
        if let Some(begun) = line.last.again(input.filled(), out, plan.method, closes) {
            self.closes = closes;
            input.consume(begun.n_head);
            return Ok(Seen::Whole(Some(begun)));
        }
        loop {
            let n_head = {
                let mut room = answer::Room::default();
                let seen = answer::read(input.filled(), &mut room, plan.method);
                let answer = match seen.map_err(Stop::broken)? {
                    Seen::Whole(answer) => answer,
                    Seen::Part | Seen::Odd => return Ok(Seen::Part),
                };
                if answer.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Ok(Seen::Whole(None));
                }
                if !answer.status.is_informational() {
                    self.closes = closes;
                    let sent = self.client.input.filled();
                    let text = |at: &std::ops::Range<usize>| sent.get(at.clone());
                    let here = Here {
                        to: line.to,
                        host: text(&plan.host),
                        is_https: self.door.tls,
                        prefix: text(&plan.prefix).unwrap_or_default(),
                    };
                    let begun = line.last.write(&answer, out, plan.method, &here, closes);
                    drop(answer);
                    input.consume(begun.n_head);
                    return Ok(Seen::Whole(Some(begun)));
                }
                answer.n_head
            };
            input.consume(n_head); // 100 and the like: the final one follows
        }
    }

    /// Room for the rest of a head.
    fn make_room(&mut self) -> Result<(), Stop> {
        let input = &mut self.lent.get().input;
        if input.is_full() {
            if input.capacity() >= limit::HEAD_BYTES_MAX {
                return Err(Stop::broken(TooLarge));
            }
            input.grow(limit::HEAD_BYTES_MAX);
        }
        Ok(())
    }

    /// Writes the request.
    async fn send(&mut self, line: &mut Line) -> Result<(), Stop> {
        let request = &self.lent.get().out[..];
        let client = &mut *self.client;
        let mut n_sent = 0;
        poll_fn(|cx| {
            let mut write = |cx: &mut std::task::Context<'_>| {
                while n_sent < request.len() {
                    match ready!(line.poll_write(&request[n_sent..], cx)) {
                        Ok(0) => return Poll::Ready(Err(Stop::broken(Closed))),
                        Ok(n) => n_sent += n,
                        Err(error) => return Poll::Ready(Err(Stop::broken(error))),
                    }
                }
                line.poll_flush(cx).map_err(Stop::broken)
            };
            match write(cx) {
                Poll::Ready(outcome) => Poll::Ready(outcome),
                Poll::Pending => client.poll_stop(cx).map(Err),
            }
        })
        .await
    }

    /// Reads more from the upstream, at least a byte.
    pub async fn more(&mut self, line: &mut Line) -> Result<(), Stop> {
        if self.rest(line).await? { Ok(()) } else { Err(Stop::broken(Closed)) }
    }

    /// Reads more from the upstream; false at its end.
    pub async fn rest(&mut self, line: &mut Line) -> Result<bool, Stop> {
        let input = &mut self.lent.get().input;
        let (client, ended) = (&mut *self.client, &mut self.ended);
        poll_fn(|cx| {
            // First, so that an upstream that never pauses ends as well.
            if let Some(ended) = ended
                && ended.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Err(Stop::Ended));
            }
            if let Poll::Ready(read) = line.poll_read(input, cx) {
                return Poll::Ready(read.map(|n| n > 0).map_err(Stop::broken));
            }
            client.poll_stop(cx).map(Err)
        })
        .await
    }

    /// Something moved: the upstream may be silent for its whole time again.
    pub fn progressed(&mut self) {
        let silence_max = self.door.guide.proxy().lines.silence_max;
        self.client.wait.set(Instant::now() + silence_max);
    }
}

impl Client {
    /// Ready when it makes no sense to wait for the upstream any longer.
    fn poll_stop(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Stop> {
        if let Poll::Ready(Gone) = self.poll_gone(cx) {
            return Poll::Ready(Stop::Gone);
        }
        self.wait.poll(cx).map(|()| Stop::Failed(Failure::Silent))
    }
}

impl From<Gone> for Stop {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}
