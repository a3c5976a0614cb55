//! The answering side: takes connections of peers and hands their calls to consensus.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt as _, SinkExt, StreamExt as _, future::BoxFuture, stream::FuturesUnordered,
};
use openraft::{Raft, Snapshot, error::RaftError, raft::AppendEntriesResponse};
use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, oneshot, watch},
    time::{Instant, timeout},
};
use tokio_util::codec::{FramedRead, FramedWrite};

use super::{
    transport::{Accept, Io},
    wire::{self, Call, Hello, Refused, Reply, Request, Response, Since},
};
use crate::{
    base::task::Tasks,
    log::{
        compare::Comparison,
        journal::Installing,
        machine::RowKey,
        store::{Store, Write},
        types::{Image, ImageMeta, MemberId, Payload, Types, Vote},
    },
};

/// Answer to one forwarded command: revision and encoded outcome.
pub type Forwarded = Result<(u64, Payload), Refused>;

/// What only the leader can do for a peer.
pub trait Leader: Send + Sync + 'static {
    /// Proposes encoded commands; one answer each.
    fn forward(&self, commands: Vec<Payload>) -> BoxFuture<'_, Vec<Forwarded>>;
    /// The index up to which a reader must have applied.
    fn barrier(&self) -> BoxFuture<'_, Result<u64, Refused>>;
    /// Answers what is not the log's business.
    fn answer(&self, question: Payload) -> BoxFuture<'_, Result<Payload, Refused>>;
    /// Another master leads and spoke: all that was acknowledged before `as_of`, where that is known,
    /// is among the entries up to `committed`.
    fn heard(&self, committed: u64, as_of: Option<Instant>);
    /// Whether this master leads with a majority behind it, or has just heard who does.
    fn hears(&self) -> bool;
    /// How this master compares with the others.
    fn comparison(&self) -> &Comparison;
}

/// Serves peers. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    cluster: String,
    id: MemberId,
    raft: Raft<Types>,
    leader: Arc<dyn Leader>,
    store: Arc<dyn Store>,
    installing: watch::Sender<Installing>,
    transfers: Mutex<Transfers>,
    tasks: Tasks,
}

/// At most one snapshot is received at a time; a new one replaces an unfinished one.
#[derive(Default)]
struct Transfers {
    n: u64,
    current: Option<Transfer>,
}

/// A snapshot being received.
#[derive(Clone)]
struct Transfer {
    id: u64,
    vote: Vote,
    meta: ImageMeta,
}

/// What the server works with.
pub struct Parts {
    pub cluster: String,
    pub id: MemberId,
    pub raft: Raft<Types>,
    pub leader: Arc<dyn Leader>,
    pub store: Arc<dyn Store>,
    pub installing: watch::Sender<Installing>,
}

impl Server {
    pub fn new(parts: Parts, tasks: Tasks) -> Self {
        let Parts { cluster, id, raft, leader, store, installing } = parts;
        let transfers = Mutex::default();
        let inner = Inner { cluster, id, raft, leader, store, installing, transfers, tasks };
        Self { inner: Arc::new(inner) }
    }

    /// Takes connections until the task group ends.
    pub async fn run(self, mut accept: Box<dyn Accept>) -> anyhow::Result<()> {
        let slots = Arc::new(Semaphore::new(wire::CONNECTIONS_MAX));
        let cancelled = self.inner.tasks.cancelled();
        loop {
            let slot = slots.clone().acquire_owned().await?;
            let accepted = tokio::select! {
                biased;
                () = cancelled.cancelled() => return Ok(()),
                accepted = accept.accept() => accepted,
            };
            match accepted {
                Ok(io) => {
                    let server = self.clone();
                    self.inner.tasks.connection("log peer", async move {
                        if let Err(error) = server.serve(io).await {
                            tracing::debug!(%error, "peer connection ended");
                        }
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a peer");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn serve(&self, io: Io) -> io::Result<()> {
        let (read, write) = tokio::io::split(io);
        let mut frames = FramedRead::new(read, wire::framing());
        let mut sink = FramedWrite::new(write, wire::framing());
        let first = timeout(wire::CONNECT, frames.next()).await.map_err(|_| timed_out())?;
        let hello: Hello = wire::decode(&first.ok_or(io::ErrorKind::UnexpectedEof)??)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        self.check(&hello)?;
        let mut working = FuturesUnordered::new();
        let mut answered = Answered::default();
        loop {
            tokio::select! {
                biased;
                Some::<Response>(response) = working.next() => {
                    answered.note(response.id);
                    sink.feed(wire::encode::<Response>(&response)).await?;
                    while let Some(Some(response)) = working.next().now_or_never() {
                        answered.note(response.id);
                        sink.feed(wire::encode::<Response>(&response)).await?;
                    }
                    timeout(wire::SEND, SinkExt::<Bytes>::flush(&mut sink)).await.map_err(|_| timed_out())??;
                }
                frame = timeout(2 * wire::IDLE_MAX, frames.next()),
                    if working.len() < wire::CALLS_SERVED_MAX =>
                {
                    let Some(frame) = frame.map_err(|_| timed_out())? else { return Ok(()) };
                    let request: Request = wire::decode(&frame?)
                        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
                    let as_of = request.since.and_then(|since| answered.as_of(since));
                    let server = self.clone();
                    working.push(async move {
                        let reply = server.answer(request.call, as_of).await;
                        let reply = reply.unwrap_or_else(Reply::Refused);
                        Response { id: request.id, reply }
                    });
                }
            }
        }
    }

    fn check(&self, hello: &Hello) -> io::Result<()> {
        let understood =
            hello.oldest <= *wire::VERSIONS.end() && *wire::VERSIONS.start() <= hello.newest;
        if understood && hello.cluster == self.inner.cluster && hello.to == self.inner.id {
            return Ok(());
        }
        let why = if understood {
            "it is not meant for this master"
        } else {
            "its release and this one do not understand each other, upgrade the older one"
        };
        tracing::warn!(?hello, ours = ?wire::VERSIONS, why, "refused a peer");
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    async fn answer(&self, call: Call, as_of: Option<Instant>) -> Result<Reply, Refused> {
        let inner = &self.inner;
        match call {
            Call::Ping => Ok(Reply::Pong),
            Call::Append(rpc) => {
                let committed = rpc.leader_commit.map_or(0, |id| id.index);
                let answer = inner.raft.append_entries(rpc).await.map_err(stopped)?;
                if !matches!(answer, AppendEntriesResponse::HigherVote(_)) {
                    inner.leader.heard(committed, as_of);
                }
                Ok(Reply::Append(answer))
            }
            Call::Vote(rpc) => inner.raft.vote(rpc).await.map(Reply::Vote).map_err(stopped),
            Call::ImageBegin { vote, meta } => self.begin(vote, meta).await,
            Call::ImageRows { transfer, rows } => {
                self.stage(transfer, rows).await?;
                Ok(Reply::ImageTaken)
            }
            Call::ImageEnd { transfer } => self.install(transfer).await,
            Call::Forward(commands) => Ok(Reply::Forwarded(inner.leader.forward(commands).await)),
            Call::Barrier => inner.leader.barrier().await.map(Reply::Barrier),
            Call::Fingerprint { index } => {
                inner.leader.comparison().at(index).await.map(Reply::Fingerprint)
            }
            Call::Differs { index, fingerprint } => {
                inner.leader.comparison().differs(index, fingerprint);
                Ok(Reply::Told)
            }
            Call::Ask(question) => inner.leader.answer(question).await.map(Reply::Answered),
            Call::Hears => Ok(Reply::Hears(inner.leader.hears())),
            Call::Elect => {
                let elected = inner.raft.trigger().elect().await;
                elected.map(|()| Reply::Elected).map_err(|e| Refused::Stopped(e.to_string()))
            }
        }
    }

    async fn begin(&self, vote: Vote, meta: ImageMeta) -> Result<Reply, Refused> {
        let ours = self.vote().await?;
        if vote < ours {
            return Ok(Reply::ImageDone(ours));
        }
        if self.inner.installing.borrow().upto.is_some() {
            return Err(Refused::Busy);
        }
        let (id, written) = {
            let mut transfers = self.inner.transfers.lock();
            transfers.n += 1;
            let id = transfers.n;
            transfers.current = Some(Transfer { id, vote, meta });
            (id, self.write(Write::StageBegin))
        };
        written.await?;
        Ok(Reply::ImageBegun(id))
    }

    /// Adds rows to the staging area. The write is queued under the lock, so that rows of an
    /// abandoned transfer never follow the start of a new one.
    async fn stage(&self, transfer: u64, rows: Vec<(RowKey, Vec<u8>)>) -> Result<(), Refused> {
        let written = {
            let transfers = self.inner.transfers.lock();
            transfers.current(transfer)?;
            self.write(Write::StageRows(rows))
        };
        written.await
    }

    /// Puts a received snapshot in force. Runs in its own task: once started it must finish, or
    /// the log would wait for it before the next purge.
    async fn install(&self, transfer: u64) -> Result<Reply, Refused> {
        let Transfer { vote, meta, .. } = {
            let mut transfers = self.inner.transfers.lock();
            let current = transfers.current(transfer)?;
            transfers.current = None;
            let upto = current.meta.last_log_id.map(|id| id.index);
            self.inner.installing.send_replace(Installing { upto });
            current
        };
        let (tx, rx) = oneshot::channel();
        let (raft, installing) = (self.inner.raft.clone(), self.inner.installing.clone());
        self.inner.tasks.connection("log snapshot install", async move {
            let snapshot = Snapshot { meta, snapshot: Box::new(Image::Staged) };
            let installed = raft.install_full_snapshot(vote, snapshot).await;
            installing.send_replace(Installing::default());
            // The peer may be gone; the snapshot is in force all the same.
            let _ = tx.send(installed);
        });
        match rx.await {
            Ok(Ok(response)) => Ok(Reply::ImageDone(response.vote)),
            Ok(Err(fatal)) => Err(Refused::Stopped(fatal.to_string())),
            Err(_) => Err(Refused::Stopped("shutting down".to_owned())),
        }
    }

    async fn vote(&self) -> Result<Vote, Refused> {
        let vote = self.inner.raft.with_raft_state(|state| *state.vote_ref()).await;
        vote.map_err(|fatal| Refused::Stopped(fatal.to_string()))
    }

    /// Queues a write at once; the future waits for it.
    fn write(&self, write: Write) -> impl Future<Output = Result<(), Refused>> + use<> {
        let (tx, rx) = oneshot::channel();
        // The waiter may be gone; the write took effect all the same.
        self.inner.store.write(write, Box::new(move |done| drop(tx.send(done))));
        async move {
            match rx.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(Refused::Stopped(error.to_string())),
                Err(_) => Err(Refused::Stopped("the store was closed".to_owned())),
            }
        }
    }
}

/// When each request of a connection was answered, as far as the caller may still refer to it.
#[derive(Default)]
struct Answered(VecDeque<(u64, Instant)>);

impl Answered {
    /// The answer to a request is about to be sent.
    fn note(&mut self, id: u64) {
        if self.0.len() >= wire::CALLS_WAITING_MAX {
            self.0.pop_front();
        }
        self.0.push_back((id, Instant::now()));
    }

    /// The moment a caller means, or one before it. It refers to no older answer from now on.
    fn as_of(&mut self, since: Since) -> Option<Instant> {
        let at = self.0.iter().position(|(id, _)| *id == since.answered)?;
        self.0.drain(..at);
        let (_, answered_at) = self.0.front()?;
        answered_at.checked_sub(Duration::from_millis(since.ago_ms))
    }
}

impl Transfers {
    fn current(&self, transfer: u64) -> Result<Transfer, Refused> {
        let current = self.current.clone().filter(|t| t.id == transfer);
        current.ok_or_else(|| Refused::Other("a newer snapshot is being received".to_owned()))
    }
}

fn stopped<E: std::error::Error>(error: RaftError<MemberId, E>) -> Refused {
    Refused::Stopped(error.to_string())
}

fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_told_counts_from_an_answer_of_the_one_who_is_told() {
        let step = Duration::from_millis(100);
        let (mut answered, began) = (Answered::default(), Instant::now());
        tokio::time::advance(step).await;
        answered.note(1);
        tokio::time::advance(step).await;
        answered.note(3);
        // However late the message comes.
        tokio::time::advance(50 * step).await;
        assert_eq!(answered.as_of(Since { answered: 1, ago_ms: 40 }), Some(began + step * 6 / 10));
        assert_eq!(answered.as_of(Since { answered: 3, ago_ms: 0 }), Some(began + 2 * step));
        assert_eq!(answered.as_of(Since { answered: 1, ago_ms: 0 }), None, "it has gone on since");
        assert_eq!(answered.as_of(Since { answered: 4, ago_ms: 0 }), None, "not answered yet");
    }
}
