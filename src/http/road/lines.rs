//! Kept connections to upstreams as bare sockets.
//!
//! The bounds are those of the other road's pool. A line is kept only after an answer that was read
//! to its end with nothing behind it; one on which the upstream speaks or leaves while nobody asked
//! is dropped when it is taken out, or by the sweep.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{io::AsyncWrite as _, time::Instant};

use super::{answer, window::Window};
use crate::{
    base::task::Tasks,
    http::{
        pool::{IDLE_LIFE, IDLE_PER_UPSTREAM_MAX, sweeping},
        upstream::{ConnectError, Connector, Spread, Upstream, UpstreamIo},
    },
};

/// A connection to an upstream.
pub struct Line {
    pub to: Upstream,
    io: UpstreamIo,
    /// Whether it has carried a request before; only then a failure may be the keep-alive race.
    pub is_reused: bool,
    /// What it answered last.
    pub last: answer::Last,
    idle_since: Instant,
}

impl Line {
    pub fn poll_read(
        &mut self,
        into: &mut Window,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        into.poll_fill(&mut self.io, cx)
    }

    pub fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
}

/// The idle lines of all upstreams.
pub struct Lines {
    connector: Connector,
    /// How long an upstream may be silent while it is asked something.
    pub silence_max: Duration,
    #[allow(clippy::vec_box)] // a line is large and moves between request and store
    idle: Mutex<HashMap<Upstream, Vec<Box<Line>>, Spread>>,
}

impl Lines {
    /// Sweeps itself as long as `tasks` runs.
    pub fn new(tasks: &Tasks, silence_max: Duration) -> Arc<Self> {
        let (connector, idle) = (Connector::default(), Mutex::default());
        let lines = Arc::new(Self { connector, silence_max, idle });
        sweeping(tasks, &lines, Self::sweep);
        lines
    }

    /// An idle line that still stands, if there is one.
    pub fn take(&self, to: Upstream, cx: &mut Context<'_>) -> Option<Box<Line>> {
        loop {
            // The last one used is the least likely to have been closed.
            let mut line = self.idle.lock().get_mut(&to)?.pop()?;
            if line.io.is_quiet(cx) {
                line.is_reused = true;
                return Some(line);
            }
        }
    }

    /// A new line.
    pub async fn connect(&self, to: Upstream) -> Result<Box<Line>, ConnectError> {
        let io = self.connector.connect(to).await?;
        Ok(Box::new(Line {
            to,
            io,
            is_reused: false,
            last: answer::Last::default(),
            idle_since: Instant::now(),
        }))
    }

    /// Puts a line back after an answer, `now`, if it can carry another request.
    pub fn put(&self, mut line: Box<Line>, now: Instant) {
        if line.io.is_deaf() {
            return;
        }
        line.idle_since = now;
        let mut idle = self.idle.lock();
        let of_upstream = idle.entry(line.to).or_default();
        if of_upstream.len() < IDLE_PER_UPSTREAM_MAX {
            of_upstream.push(line);
        }
    }

    /// Idle lines now.
    pub fn n_idle(&self) -> usize {
        self.idle.lock().values().map(Vec::len).sum()
    }

    fn sweep(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        let now = Instant::now();
        self.idle.lock().retain(|_, lines| {
            lines.retain_mut(|line| {
                now.duration_since(line.idle_since) < IDLE_LIFE && line.io.is_quiet(&mut cx)
            });
            !lines.is_empty()
        });
    }
}
