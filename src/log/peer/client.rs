//! The calling side: one connection per peer, opened on demand, calls pipelined over it.
//!
//! A link that is down answers calls with an error at once and tries again with growing delay, so
//! a dead peer costs its callers nothing. A link on which answers are due but nothing arrives asks
//! `Ping`, and is opened anew if even that stays unanswered: networks can swallow a connection
//! without a word.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt as _};
use parking_lot::Mutex;
use tokio::{
    io::{ReadHalf, WriteHalf},
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use super::{
    transport::{Connect, Io},
    wire::{self, Call, Hello, Refused, Reply, Request, Response, Since},
};
use crate::{
    base::{rng::Rng, task::Tasks},
    log::types::MemberId,
};

/// Delay before the second attempt to connect; doubles up to `RETRY_MAX`.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_millis(800);

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Certainly not delivered.
    #[error("peer {0} cannot be reached")]
    Unreachable(MemberId),
    #[error("too many calls are waiting for peer {0}")]
    Busy(MemberId),
    /// Delivered or not, nobody knows.
    #[error("peer {0} did not answer in time")]
    Timeout(MemberId),
    #[error("the connection to peer {0} was lost")]
    Lost(MemberId),
    #[error("peer {0} refused")]
    Refused(MemberId, #[source] Refused),
}

/// A link to one peer. Cheap to clone; lives as long as its task group.
#[derive(Clone)]
pub struct Peer {
    id: MemberId,
    calls: mpsc::Sender<Outgoing>,
    last: Arc<Mutex<Last>>,
}

struct Outgoing {
    call: Call,
    reply: oneshot::Sender<Result<Reply, PeerError>>,
    told: Option<(Last, Duration)>,
}

/// The answer that came last.
#[derive(Clone, Copy, Default)]
struct Last {
    /// The number of the connection, and that of the request there.
    connection: u64,
    answered: Option<u64>,
    /// When it came, over whichever connection.
    at: Option<Instant>,
}

/// Who calls whom.
#[derive(Clone)]
pub struct Route {
    pub cluster: String,
    pub from: MemberId,
    pub to: MemberId,
    pub address: String,
}

impl Peer {
    /// Starts the link's task.
    pub fn start(route: Route, connect: Arc<dyn Connect>, rng: Rng, tasks: &Tasks) -> Self {
        let (calls, waiting) = mpsc::channel(wire::CALLS_WAITING_MAX);
        let id = route.to;
        let last = Arc::new(Mutex::new(Last::default()));
        let link = Link { route, connect, waiting, last: last.clone(), rng };
        tasks.connection("log peer link", link.run());
        Self { id, calls, last }
    }

    /// How long ago it last answered anything; `None` when it never did.
    pub fn silent(&self) -> Option<Duration> {
        self.last.lock().at.map(|at| at.elapsed())
    }

    /// Sends a call and waits for its answer.
    #[tracing::instrument(level = "debug", name = "peer", skip_all, fields(peer = self.id))]
    pub async fn call(&self, call: Call, deadline: Duration) -> Result<Reply, PeerError> {
        let answer = self.send(call)?;
        match timeout(deadline, answer).await {
            Ok(answer) => self.unpack(answer),
            Err(_) => Err(PeerError::Timeout(self.id)),
        }
    }

    /// Sends a call; the answer can be waited for later.
    pub fn send(
        &self,
        call: Call,
    ) -> Result<oneshot::Receiver<Result<Reply, PeerError>>, PeerError> {
        self.tell(call, None)
    }

    /// As [`Self::send`], of what was true so long before now.
    pub fn tell(
        &self,
        call: Call,
        told_ago: Option<Duration>,
    ) -> Result<oneshot::Receiver<Result<Reply, PeerError>>, PeerError> {
        let (reply, answer) = oneshot::channel();
        let told = told_ago.map(|ago| (*self.last.lock(), ago));
        self.calls.try_send(Outgoing { call, reply, told }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PeerError::Busy(self.id),
            mpsc::error::TrySendError::Closed(_) => PeerError::Unreachable(self.id),
        })?;
        Ok(answer)
    }

    /// The reply behind an answer from [`Self::send`].
    pub fn unpack(
        &self,
        answer: Result<Result<Reply, PeerError>, oneshot::error::RecvError>,
    ) -> Result<Reply, PeerError> {
        match answer {
            Ok(Ok(Reply::Refused(why))) => Err(PeerError::Refused(self.id, why)),
            Ok(outcome) => outcome,
            Err(_) => Err(PeerError::Lost(self.id)),
        }
    }
}

/// The link's task.
struct Link {
    route: Route,
    connect: Arc<dyn Connect>,
    waiting: mpsc::Receiver<Outgoing>,
    last: Arc<Mutex<Last>>,
    rng: Rng,
}

type Pending = Arc<Mutex<Calls>>;

#[derive(Default)]
struct Calls {
    by_id: HashMap<u64, oneshot::Sender<Result<Reply, PeerError>>>,
    next: u64,
    connection: u64,
    /// When the last frame arrived, or when the oldest unanswered one was sent after it.
    heard: Option<Instant>,
}

impl Link {
    async fn run(mut self) {
        let mut delay = RETRY_MIN;
        let mut away_since = None;
        // Connect when there is something to say.
        while let Some(first) = self.waiting.recv().await {
            match self.open().await {
                Ok(io) => {
                    delay = RETRY_MIN;
                    if let Some(since) = away_since.take() {
                        let ms = Instant::elapsed(&since).as_millis();
                        tracing::info!(peer = self.route.to, away_ms = ms, "peer is reached again");
                    }
                    let error = self.talk(io, first).await;
                    tracing::debug!(peer = self.route.to, %error, "peer connection ended");
                }
                Err(error) => {
                    if away_since.is_none() {
                        let address = &self.route.address;
                        tracing::warn!(peer = self.route.to, %address, %error, "peer cannot be reached");
                        away_since = Some(Instant::now());
                    }
                    self.refuse(first);
                    if !self.pause(delay).await {
                        return;
                    }
                    delay = (delay * 2).min(RETRY_MAX);
                }
            }
        }
    }

    async fn open(&self) -> io::Result<Io> {
        let connecting = self.connect.connect(&self.route.address);
        timeout(wire::CONNECT, connecting).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
    }

    fn refuse(&self, outgoing: Outgoing) {
        // A caller that gave up needs no answer.
        let _ = outgoing.reply.send(Err(PeerError::Unreachable(self.route.to)));
    }

    /// Answers calls with an error for a while; false once nobody can call any more.
    async fn pause(&mut self, delay: Duration) -> bool {
        let mut rest = std::pin::pin!(sleep(self.rng.jitter(delay)));
        loop {
            tokio::select! {
                biased;
                () = &mut rest => return true,
                outgoing = self.waiting.recv() => match outgoing {
                    Some(outgoing) => self.refuse(outgoing),
                    None => return false,
                },
            }
        }
    }

    /// Sends and receives until the connection fails; returns why.
    async fn talk(&mut self, io: Io, first: Outgoing) -> io::Error {
        let (read, write) = tokio::io::split(io);
        let frames = FramedRead::new(read, wire::framing());
        let sink = FramedWrite::new(write, wire::framing());
        let pending = Pending::default();
        let connection = {
            let mut last = self.last.lock();
            *last = Last { connection: last.connection + 1, answered: None, at: last.at };
            last.connection
        };
        pending.lock().connection = connection;
        let ended = tokio::select! {
            biased;
            ended = receive(frames, &pending, &self.last) => ended,
            ended = watch_silence(&pending) => ended,
            ended = transmit(sink, &pending, &mut self.waiting, &self.route, first) => ended,
        };
        let left: Vec<_> = pending.lock().by_id.drain().collect();
        for (_, reply) in left {
            let _ = reply.send(Err(PeerError::Lost(self.route.to)));
        }
        ended
    }
}

async fn receive(
    mut frames: FramedRead<ReadHalf<Io>, LengthDelimitedCodec>,
    pending: &Pending,
    last: &Mutex<Last>,
) -> io::Error {
    while let Some(frame) = frames.next().await {
        let response: Response = match frame {
            Ok(frame) => match wire::decode(&frame) {
                Ok(response) => response,
                Err(error) => return io::Error::new(io::ErrorKind::InvalidData, error),
            },
            Err(error) => return error,
        };
        let now = Instant::now();
        let mut calls = pending.lock();
        calls.heard = Some(now);
        let mut last = last.lock();
        (last.answered, last.at) = (Some(response.id), Some(now));
        if let Some(reply) = calls.by_id.remove(&response.id) {
            let _ = reply.send(Ok(response.reply));
        }
    }
    io::ErrorKind::UnexpectedEof.into()
}

/// Ends when an answer is due and the peer has been silent for too long.
async fn watch_silence(pending: &Pending) -> io::Error {
    loop {
        sleep(wire::PING_AFTER / 2).await;
        let calls = pending.lock();
        let silent = calls.heard.is_some_and(|at| at.elapsed() > wire::SILENT_MAX);
        if silent && !calls.by_id.is_empty() {
            return io::Error::new(io::ErrorKind::TimedOut, "the peer fell silent");
        }
    }
}

async fn transmit(
    mut sink: FramedWrite<WriteHalf<Io>, LengthDelimitedCodec>,
    pending: &Pending,
    waiting: &mut mpsc::Receiver<Outgoing>,
    route: &Route,
    first: Outgoing,
) -> io::Error {
    let hello = Hello {
        oldest: *wire::VERSIONS.start(),
        newest: *wire::VERSIONS.end(),
        release: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: route.cluster.clone(),
        from: route.from,
        to: route.to,
    };
    if let Err(error) = sink.feed(wire::encode(&hello)).await {
        return error;
    }
    let mut next = Some(first);
    let mut used = Instant::now();
    loop {
        while let Some(outgoing) = next {
            used = Instant::now();
            if let Err(error) = sink.feed(wire::encode(&register(pending, outgoing))).await {
                return error;
            }
            next = waiting.try_recv().ok();
        }
        match timeout(wire::SEND, SinkExt::<Bytes>::flush(&mut sink)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            Err(_) => return io::ErrorKind::TimedOut.into(),
        }
        next = match timeout(wire::PING_AFTER, waiting.recv()).await {
            Ok(Some(outgoing)) => Some(outgoing),
            Ok(None) => return io::Error::other("nobody calls any more"),
            Err(_) if pending.lock().by_id.is_empty() => {
                if used.elapsed() > wire::IDLE_MAX {
                    return io::Error::other("nobody calls at the moment");
                }
                None
            }
            Err(_) => {
                let (reply, _) = oneshot::channel();
                Some(Outgoing { call: Call::Ping, reply, told: None })
            }
        };
    }
}

/// Numbers a call and remembers who waits for it; forgets callers that gave up.
fn register(pending: &Pending, outgoing: Outgoing) -> Request {
    let mut calls = pending.lock();
    if calls.by_id.len() >= wire::CALLS_WAITING_MAX / 2 {
        calls.by_id.retain(|_, reply| !reply.is_closed());
    }
    if calls.by_id.is_empty() {
        calls.heard = Some(Instant::now());
    }
    let id = calls.next;
    calls.next += 1;
    calls.by_id.insert(id, outgoing.reply);
    // Of an answer over an earlier connection the peer does not know any more.
    let told = outgoing.told.filter(|(last, _)| last.connection == calls.connection);
    let since = told.and_then(|(last, ago)| {
        // A part of a millisecond counts as a whole one.
        let ago_ms = u64::try_from(ago.as_millis()).ok()? + 1;
        Some(Since { answered: last.answered?, ago_ms })
    });
    Request { id, call: outgoing.call, since }
}
