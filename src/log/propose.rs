//! Proposals: from a caller's command to its outcome.
//!
//! ```text
//! propose ─ encode ─► queue ─► batcher ─► one log entry ─► openraft … applied ─► outcome
//!    └── not the leader ──► peer link ──► the leader's queue
//! ```
//!
//! Group commit without waiting: the batcher takes whatever is queued, up to
//! `COMMANDS_PER_ENTRY_MAX` commands, and submits it as one entry. With `ENTRIES_IN_FLIGHT_MAX`
//! entries on their way it lets the queue grow, so under load entries fill up by themselves.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use openraft::{Raft, error::ClientWriteError};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    codec,
    compare::Comparison,
    machine::{Machine, RequestId, Revision, Stamped},
    metrics,
    peer::{
        client::PeerError,
        server::{Forwarded, Leader},
        wire::{Call, Refused, Reply},
    },
    raft::{Core, Log},
    replica::{Answer, Waiting},
    store::Store,
    types::{Payload, Types},
};
use crate::{
    base::{error::Retry, limit, wire},
    model::by::By,
};

/// Entries submitted and not yet applied. More would only make each smaller; fewer would leave the
/// disk idle while a follower writes.
const ENTRIES_IN_FLIGHT_MAX: usize = 4;
/// Bytes of commands in one entry, unless one command alone is larger.
const ENTRY_BYTES_MAX: usize = 2 << 20;
/// One command. The largest legitimate one is a group definition as large as a request body.
const COMMAND_BYTES_MAX: usize = limit::BODY_BYTES_MAX;
/// Of many proposals at once so many are on their way together: enough to fill every entry in
/// flight twice, and far below what the queue and a frame hold.
const AT_ONCE_MAX: usize = 2 * ENTRIES_IN_FLIGHT_MAX * limit::COMMANDS_PER_ENTRY_MAX;
const AT_ONCE_BYTES_MAX: usize = 8 << 20;
/// Pause before a proposal looks for the leader again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// An election is over by then where a majority of the masters hear each other.
const LEADERLESS: Duration = Duration::from_secs(3);
/// How long a forwarded proposal waits for this master to catch up with its outcome.
const CATCH_UP: Duration = Duration::from_secs(1);

/// Why a proposal has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    #[error("too many commands are waiting")]
    Busy,
    #[error("the command is {n_bytes} bytes large, {n_bytes_max} is the maximum")]
    TooLarge { n_bytes: usize, n_bytes_max: usize },
    #[error("no master leads at the moment")]
    NoLeader,
    #[error("no outcome in time; the command may or may not take effect")]
    Unknown,
    #[error("the disk of the leading master is full")]
    DiskFull,
    #[error("this master's log has stopped: {0}")]
    Stopped(String),
}

impl ProposeError {
    /// What the caller may do.
    pub fn retry(&self) -> Retry {
        match self {
            Self::TooLarge { .. } => Retry::No,
            Self::Busy | Self::NoLeader | Self::DiskFull => Retry::Later,
            Self::Unknown | Self::Stopped(_) => Retry::SameRequest,
        }
    }
}

/// One queued command.
pub struct Proposal<O> {
    pub bytes: Bytes,
    pub answer: oneshot::Sender<Answer<O>>,
}

impl<M: Machine> Log<M> {
    /// Proposes a command and waits for its outcome, at most [`limit::PROPOSE`]. Works on every
    /// master: a follower passes it on, and has applied it itself when this returns. Asked again
    /// inside until there is an outcome, which is safe as the command carries a request id.
    pub async fn propose(&self, command: M::Command) -> Result<M::Outcome, ProposeError> {
        self.propose_by(None, command).await
    }

    /// As [`Self::propose`], on somebody's word.
    pub async fn propose_by(
        &self,
        by: Option<By>,
        command: M::Command,
    ) -> Result<M::Outcome, ProposeError> {
        let request = Some(self.new_request());
        let encoded = self.encode(request, by, command)?;
        metrics::timed(self.decided(encoded, limit::PROPOSE)).await
    }

    /// As [`Self::propose`], for callers who may have to repeat a request themselves.
    pub async fn propose_as(
        &self,
        request: RequestId,
        command: M::Command,
        deadline: Duration,
    ) -> Result<M::Outcome, ProposeError> {
        let encoded = self.encode(Some(request), None, command)?;
        self.decided(encoded, deadline).await
    }

    async fn decided(
        &self,
        encoded: Bytes,
        deadline: Duration,
    ) -> Result<M::Outcome, ProposeError> {
        let until = Instant::now() + deadline;
        let commands = [encoded];
        let mut unknown = false;
        let mut led_at = Instant::now();
        loop {
            if self.core.current_leader().is_some() {
                led_at = Instant::now();
            }
            let attempt = timeout_at(until, self.core.attempt(&commands)).await;
            let Ok(mut answers) = attempt else { return Err(ProposeError::Unknown) };
            match answers.pop().unwrap_or(Err(Refused::Unknown)) {
                Ok((_, outcome)) => return Ok(outcome),
                Err(Refused::NotLeader) => {}
                Err(Refused::Unknown) => unknown = true,
                Err(refused) => return Err(refused.into()),
            }
            if Instant::now() + LOOK_AGAIN >= until || led_at.elapsed() > LEADERLESS {
                return Err(if unknown { ProposeError::Unknown } else { ProposeError::NoLeader });
            }
            self.core.leader_moved(LOOK_AGAIN).await;
        }
    }

    /// Proposes many commands at once, for reconcilers: each stands alone, none is repeated. The
    /// answers come in the order of the commands. Any number may be given; the wait for each few
    /// thousand of them is bounded by [`limit::PROPOSE`].
    pub async fn propose_all(
        &self,
        commands: Vec<M::Command>,
    ) -> Vec<Result<M::Outcome, ProposeError>> {
        let encoded: Vec<_> = commands.into_iter().map(|c| self.encode(None, None, c)).collect();
        let sound: Vec<Bytes> = encoded.iter().filter_map(|e| e.clone().ok()).collect();
        let mut answers = Vec::with_capacity(sound.len());
        let mut rest = &sound[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(at_once(rest));
            let attempt = timeout(limit::PROPOSE, self.core.attempt(now)).await;
            let unknown = |_| now.iter().map(|_| Err(Refused::Unknown)).collect();
            answers.extend(attempt.unwrap_or_else(unknown));
            rest = later;
        }
        let mut answers = answers.into_iter();
        let answer = |encoded: Result<Bytes, ProposeError>| {
            encoded?;
            match answers.next().unwrap_or(Err(Refused::Unknown)) {
                Ok((_, outcome)) => Ok(outcome),
                Err(refused) => Err(refused.into()),
            }
        };
        encoded.into_iter().map(answer).inspect(metrics::proposed).collect()
    }

    fn encode(
        &self,
        request: Option<RequestId>,
        by: Option<By>,
        command: M::Command,
    ) -> Result<Bytes, ProposeError> {
        let at = self.core.clock.now();
        let bytes = codec::encode_command::<M>(&Stamped { at, request, by, command });
        if bytes.len() > COMMAND_BYTES_MAX {
            let (n_bytes, n_bytes_max) = (bytes.len(), COMMAND_BYTES_MAX);
            return Err(ProposeError::TooLarge { n_bytes, n_bytes_max });
        }
        Ok(bytes)
    }
}

/// How many of the first commands are sent together; at least one.
fn at_once(commands: &[Bytes]) -> usize {
    let mut size = 0;
    let light = commands.iter().take(AT_ONCE_MAX).take_while(|command| {
        size += command.len();
        size <= AT_ONCE_BYTES_MAX
    });
    light.count().max(1)
}

impl<M: Machine> Core<M> {
    /// One try to get outcomes from whoever leads now.
    async fn attempt(&self, commands: &[Bytes]) -> Vec<Answer<M::Outcome>> {
        let refuse = |why: Refused| commands.iter().map(|_| Err(why.clone())).collect();
        let Some((id, member)) = self.current_leader() else { return refuse(Refused::NotLeader) };
        if id == self.id {
            return self.queue(commands).await;
        }
        let payloads = commands.iter().cloned().map(Payload).collect();
        let called = match self.network.peer(id, &member) {
            Ok(peer) => peer.call(Call::Forward(payloads), limit::PROPOSE).await,
            Err(error) => Err(error),
        };
        match called {
            Ok(Reply::Forwarded(answers)) => self.catch_up(answers).await,
            Ok(_) | Err(PeerError::Timeout(_) | PeerError::Lost(_)) => refuse(Refused::Unknown),
            Err(PeerError::Unreachable(_)) => refuse(Refused::NotLeader),
            Err(PeerError::Busy(_)) => refuse(Refused::Busy),
            Err(PeerError::Refused(_, why)) => refuse(why),
        }
    }

    /// Queues commands for the batcher and waits for all of them.
    async fn queue(&self, commands: &[Bytes]) -> Vec<Answer<M::Outcome>> {
        let mut answers = Vec::with_capacity(commands.len());
        for bytes in commands {
            let (answer, waiter) = oneshot::channel();
            let queued = self.queue.try_send(Proposal { bytes: bytes.clone(), answer });
            answers.push(match queued {
                Ok(()) => Ok(waiter),
                Err(mpsc::error::TrySendError::Full(_)) => Err(Refused::Busy),
                Err(mpsc::error::TrySendError::Closed(_)) => Err(self.stopped()),
            });
        }
        let mut outcomes = Vec::with_capacity(commands.len());
        for answer in answers {
            outcomes.push(match answer {
                Ok(waiter) => waiter.await.unwrap_or(Err(Refused::Unknown)),
                Err(refused) => Err(refused),
            });
        }
        outcomes
    }

    /// Reads forwarded outcomes and waits a little until this master has applied them too, so that
    /// whoever proposed here also sees the result here.
    async fn catch_up(&self, answers: Vec<Forwarded>) -> Vec<Answer<M::Outcome>> {
        let read = |answer: Forwarded| -> Answer<M::Outcome> {
            let (revision, payload) = answer?;
            let outcome = wire::decode_one("outcome", &payload.0);
            outcome.map(|o| (revision, o)).map_err(|e| Refused::Other(e.to_string()))
        };
        let answers: Vec<_> = answers.into_iter().map(read).collect();
        let wanted: Option<Revision> = answers.iter().flatten().map(|(r, _)| *r).max();
        if let Some(wanted) = wanted {
            let mut here = self.feed.changed();
            if timeout(CATCH_UP, here.wait_for(|r| *r >= wanted)).await.is_err() {
                tracing::debug!(wanted, "outcome returned before this master applied it");
            }
        }
        answers
    }
}

impl<M: Machine> Leader for Core<M> {
    fn forward(&self, commands: Vec<Payload>) -> BoxFuture<'_, Vec<Forwarded>> {
        async move {
            let n = commands.len();
            if self.current_leader().is_none_or(|(id, _)| id != self.id) {
                return vec![Err(Refused::NotLeader); n];
            }
            let commands: Vec<Bytes> = commands.into_iter().map(|payload| payload.0).collect();
            let answers = timeout(limit::PROPOSE, self.queue(&commands)).await;
            let Ok(answers) = answers else { return vec![Err(Refused::Unknown); n] };
            let pack = |answer: Answer<M::Outcome>| {
                let (revision, outcome) = answer?;
                Ok((revision, Payload(wire::encode_one(&outcome).into())))
            };
            answers.into_iter().map(pack).collect()
        }
        .boxed()
    }

    fn barrier(&self) -> BoxFuture<'_, Result<u64, Refused>> {
        self.read_index().boxed()
    }

    fn answer(&self, question: Payload) -> BoxFuture<'_, Result<Payload, Refused>> {
        self.answered(question.0).map(|answer| answer.map(Payload)).boxed()
    }

    fn heard(&self, committed: u64, as_of: Option<Instant>) {
        self.heard.note(committed, self.applied(), as_of);
    }

    fn hears(&self) -> bool {
        self.leads() || self.heard.is_within(self.timing.election_min)
    }

    fn comparison(&self) -> &Comparison {
        &self.comparison
    }
}

/// Turns queued commands into log entries until cancelled.
pub async fn batch<O: Send + 'static>(
    raft: Raft<Types>,
    waiting: Arc<Waiting<O>>,
    store: Arc<dyn Store>,
    mut queue: mpsc::Receiver<Proposal<O>>,
    cancelled: CancellationToken,
) -> anyhow::Result<()> {
    let mut in_flight = FuturesUnordered::new();
    let mut taken = Vec::with_capacity(limit::COMMANDS_PER_ENTRY_MAX);
    loop {
        tokio::select! {
            biased;
            () = cancelled.cancelled() => return Ok(()),
            Some(()) = in_flight.next() => {}
            n = queue.recv_many(&mut taken, limit::COMMANDS_PER_ENTRY_MAX),
                if in_flight.len() < ENTRIES_IN_FLIGHT_MAX =>
            {
                if n == 0 {
                    return Ok(());
                }
                // Whoever gave up waiting in the queue has been told that nothing is known.
                taken.retain(|proposal| !proposal.answer.is_closed());
                if store.is_low() {
                    refuse(&mut taken);
                }
                while !taken.is_empty() {
                    let n = fitting(&taken);
                    let rest = taken.split_off(n);
                    let entry = std::mem::replace(&mut taken, rest);
                    in_flight.push(submit(&raft, &waiting, entry).await);
                }
            }
        }
    }
}

/// Tells all that there is no space for their commands.
fn refuse<O>(taken: &mut Vec<Proposal<O>>) {
    for proposal in taken.drain(..) {
        // A proposer that gave up does not care.
        let _ = proposal.answer.send(Err(Refused::DiskFull));
    }
}

/// How many of the first commands fit into one entry; at least one.
fn fitting<O>(taken: &[Proposal<O>]) -> usize {
    let mut size = 0;
    let over = taken.iter().position(|proposal| {
        size += proposal.bytes.len();
        size > ENTRY_BYTES_MAX
    });
    over.unwrap_or(taken.len()).max(1)
}

/// Hands one entry to openraft; the future ends when the entry was applied or refused.
async fn submit<O: Send + 'static>(
    raft: &Raft<Types>,
    waiting: &Arc<Waiting<O>>,
    entry: Vec<Proposal<O>>,
) -> impl Future<Output = ()> + use<O> {
    let (commands, proposers): (Vec<_>, Vec<_>) =
        entry.into_iter().map(|p| (p.bytes, p.answer)).unzip();
    let origin = waiting.register(proposers);
    let submitted = raft.client_write_ff(Payload(codec::encode_batch(origin, &commands))).await;
    let waiting = waiting.clone();
    async move {
        let why = match submitted {
            Err(fatal) => Refused::Stopped(fatal.to_string()),
            // openraft forgets to answer for entries that a snapshot skipped, hence the deadline.
            Ok(written) => match timeout(limit::PROPOSE, written).await {
                Ok(Ok(Ok(_))) => return, // applied: the state machine has answered
                Ok(Ok(Err(ClientWriteError::ForwardToLeader(_)))) => Refused::NotLeader,
                Ok(Ok(Err(error))) => Refused::Other(error.to_string()),
                Ok(Err(_)) | Err(_) => Refused::Unknown,
            },
        };
        for proposer in waiting.take(origin).unwrap_or_default() {
            // A proposer that gave up asks again, or does not care.
            let _ = proposer.send(Err(why.clone()));
        }
    }
}

impl From<Refused> for ProposeError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotLeader => Self::NoLeader,
            Refused::Busy => Self::Busy,
            Refused::DiskFull => Self::DiskFull,
            Refused::Unknown => Self::Unknown,
            Refused::Stopped(why) | Refused::Other(why) => Self::Stopped(why),
        }
    }
}
