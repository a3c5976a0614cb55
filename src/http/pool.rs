//! Kept-alive connections to upstreams.
//!
//! A connection has no task of its own: whoever uses it polls it, inside the task of the client it
//! serves. A request therefore crosses no channel between threads and wakes nobody else, which is
//! most of what a proxied request costs beyond its system calls. While it lies in the pool nobody
//! polls it; a closed one is noticed when it is taken out, or by the sweep.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};

use super::{
    Body,
    upstream::{ConnectError, Connector, Moved, Spread, Upstream, UpstreamIo},
};
use crate::base::{limit, task::Tasks};

/// Idle connections kept for one upstream.
pub(super) const IDLE_PER_UPSTREAM_MAX: usize = 64;
/// How long an unused connection is kept. Servers close theirs after 5 s (Node.js) to 75 s (nginx).
pub(super) const IDLE_LIFE: Duration = Duration::from_secs(30);
/// How often stale connections are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// One HTTP/1.1 connection to an upstream.
pub struct Conn {
    /// Where it leads.
    pub to: Upstream,
    pub send: http1::SendRequest<Body>,
    io: http1::Connection<TokioIo<UpstreamIo>, Body>,
    is_done: bool,
    /// Whether it has carried a request before; only then a failure may be the keep-alive race.
    pub is_reused: bool,
    silence: Silence,
    idle_since: Instant,
}

/// What is left of a connection after an upgrade.
pub struct Upgraded {
    pub io: UpstreamIo,
    /// Bytes of the new protocol that came with the answer.
    pub read: Bytes,
}

impl Conn {
    async fn open(
        to: Upstream,
        io: UpstreamIo,
        silence_max: Duration,
    ) -> Result<Self, hyper::Error> {
        let moved = io.moved.clone();
        let (send, io) = http1::Builder::new()
            .max_buf_size(limit::HEAD_BYTES_MAX)
            .handshake(TokioIo::new(io))
            .await?;
        let silence = Silence { moved, max: silence_max, timer: None, seen: None };
        let idle_since = Instant::now();
        Ok(Self { to, send, io, is_done: false, is_reused: false, silence, idle_since })
    }

    /// Moves the connection forward. True once it has ended.
    pub fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.is_done {
            // An error reaches whoever waits for the answer or its body; here it is just the end.
            self.is_done = self.io.poll_without_shutdown(cx).is_ready();
        }
        self.is_done
    }

    /// Ready when no byte has moved either way for the pool's bound (up to twice that: the timer is
    /// not reset by each byte, it looks back when it rings).
    pub fn poll_silent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.silence.poll(cx)
    }

    /// Takes the transport out after the upstream switched protocols.
    pub async fn upgraded(mut self: Box<Self>) -> Upgraded {
        let finish = std::future::poll_fn(|cx| match self.drive(cx) {
            true => Poll::Ready(()),
            false => self.silence.poll(cx),
        });
        finish.await;
        let parts = self.io.into_parts();
        Upgraded { io: parts.io.into_inner(), read: parts.read_buf }
    }

    fn is_usable(&mut self, cx: &mut Context<'_>) -> bool {
        !self.drive(cx) && self.send.is_ready()
    }
}

/// Notices that nothing moves. The timer outlives requests so that a request creates none.
struct Silence {
    moved: Moved,
    max: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes moved when the timer was last looked at; `None` after a rest in the pool.
    seen: Option<u64>,
}

impl Silence {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let max = self.max;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(max)));
        while timer.as_mut().poll(cx).is_ready() {
            let moved = self.moved.get();
            if self.seen == Some(moved) {
                return Poll::Ready(());
            }
            self.seen = Some(moved);
            timer.as_mut().reset(Instant::now() + max);
        }
        Poll::Pending
    }
}

/// Has `sweep` look through `pool` now and then, as long as there is one and `tasks` runs.
pub(super) fn sweeping<P: Send + Sync + 'static>(tasks: &Tasks, pool: &Arc<P>, sweep: fn(&P)) {
    let swept = Arc::downgrade(pool);
    let cancelled = tasks.cancelled();
    tasks.restart("upstream sweep", move || {
        let (swept, cancelled) = (swept.clone(), cancelled.clone());
        async move {
            while let Some(pool) = swept.upgrade() {
                sweep(&pool);
                drop(pool);
                tokio::select! {
                    () = tokio::time::sleep(SWEEP_EVERY) => {}
                    () = cancelled.cancelled() => break,
                }
            }
            Ok(())
        }
    });
}

/// The idle connections of all upstreams.
pub struct Pool {
    connector: Connector,
    silence_max: Duration,
    #[allow(clippy::vec_box)] // a connection is large and moves between request and pool
    idle: Mutex<HashMap<Upstream, Vec<Box<Conn>>, Spread>>,
}

impl Pool {
    /// A pool that sweeps itself as long as `tasks` runs; an upstream may be silent for
    /// `silence_max` while it is asked something.
    pub fn new(tasks: &Tasks, silence_max: Duration) -> Arc<Self> {
        let (connector, idle) = (Connector::default(), Mutex::default());
        let pool = Arc::new(Self { connector, silence_max, idle });
        sweeping(tasks, &pool, Self::sweep);
        pool
    }

    /// An idle connection that still stands, if there is one.
    pub fn take(&self, to: Upstream, cx: &mut Context<'_>) -> Option<Box<Conn>> {
        loop {
            // The last one used is the least likely to have been closed.
            let mut conn = self.idle.lock().get_mut(&to)?.pop()?;
            if conn.is_usable(cx) {
                conn.is_reused = true;
                conn.silence.seen = None;
                return Some(conn);
            }
        }
    }

    /// A new connection.
    pub async fn connect(&self, to: Upstream) -> Result<Box<Conn>, ConnectError> {
        let io = self.connector.connect(to).await?;
        let conn = Conn::open(to, io, self.silence_max).await;
        let broken = |error| ConnectError::Refused(std::io::Error::other(error));
        Ok(Box::new(conn.map_err(broken)?))
    }

    /// Puts a connection back after a request, if it can carry another one.
    pub fn put(&self, mut conn: Box<Conn>, cx: &mut Context<'_>) {
        if !conn.is_usable(cx) {
            return;
        }
        conn.idle_since = Instant::now();
        let mut idle = self.idle.lock();
        let of_upstream = idle.entry(conn.to).or_default();
        if of_upstream.len() < IDLE_PER_UPSTREAM_MAX {
            of_upstream.push(conn);
        }
    }

    /// Idle connections now.
    pub fn n_idle(&self) -> usize {
        self.idle.lock().values().map(Vec::len).sum()
    }

    fn sweep(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        let now = Instant::now();
        let keep = |conn: &mut Box<Conn>, cx: &mut Context<'_>| {
            now.duration_since(conn.idle_since) < IDLE_LIFE && conn.is_usable(cx)
        };
        self.idle.lock().retain(|_, conns| {
            conns.retain_mut(|conn| keep(conn, &mut cx));
            !conns.is_empty()
        });
    }
}
