//! Questions to the leading master that are not the log's business: only it hears from agents, and
//! clients ask any master. A follower passes them on over its link to the leader.
//!
//! A question changes nothing, so one that got lost is asked again. The answers of the leader go behind
//! nothing of the consensus: what it has to say to a follower goes over the link of its own making.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    desk::Answerer,
    machine::Machine,
    peer::{
        client::PeerError,
        wire::{Call, Refused, Reply},
    },
    raft::{Core, Log},
    types::Payload,
};
use crate::base::limit;

/// All of a question's way: an agent may take 10 s, the rest is for the search of a leader.
const ASK: Duration = Duration::from_secs(14);
/// Pause before the leader is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// One question. The longest holds a path, which came in the head of a request.
const QUESTION_BYTES_MAX: usize = limit::HEAD_BYTES_MAX + (4 << 10);
/// One answer: four times what is read of a file at once, and all of a large folder. With as many as
/// may be on their way, 256 MiB.
const ANSWER_BYTES_MAX: usize = 4 << 20;

impl<M: Machine> Log<M> {
    /// From now on `answerer` answers what other masters ask this one. The first one stays.
    pub fn answer_with(&self, answerer: Arc<dyn Answerer>) {
        // A process has one side of agents' links.
        let _ = self.core.desk.answerer.set(answerer);
    }

    /// Has whoever leads answer a question, and asks again where it got lost.
    ///
    /// # Errors
    /// `NotLeader` when nobody led for as long as a question may take, `Unknown` when no answer came.
    pub async fn ask_leader(&self, question: Bytes) -> Result<Bytes, Refused> {
        if question.len() > QUESTION_BYTES_MAX {
            let n = question.len();
            return Err(Refused::Other(format!("a question of {n} bytes is not passed on")));
        }
        let Ok(_slot) = self.core.desk.slots.try_acquire() else { return Err(Refused::Busy) };
        let until = Instant::now() + ASK;
        loop {
            let asked = timeout_at(until, self.core.ask_once(question.clone())).await;
            match asked.unwrap_or(Err(Refused::Unknown)) {
                Err(Refused::NotLeader) if Instant::now() + LOOK_AGAIN < until => {
                    self.core.leader_moved(LOOK_AGAIN).await;
                }
                outcome => return outcome,
            }
        }
    }
}

impl<M: Machine> Core<M> {
    async fn ask_once(&self, question: Bytes) -> Result<Bytes, Refused> {
        let (id, member) = self.current_leader().ok_or(Refused::NotLeader)?;
        if id == self.id {
            return self.answered(question).await;
        }
        let called = match self.network.peer(id, &member) {
            Ok(peer) => peer.call(Call::Ask(Payload(question)), ASK).await,
            Err(error) => Err(error),
        };
        match called {
            Ok(Reply::Answered(answer)) => Ok(answer.0),
            Ok(_) | Err(PeerError::Timeout(_)) => Err(Refused::Unknown),
            Err(PeerError::Unreachable(_) | PeerError::Lost(_)) => Err(Refused::NotLeader),
            Err(PeerError::Busy(_)) => Err(Refused::Busy),
            Err(PeerError::Refused(_, why)) => Err(why),
        }
    }

    /// This master's answer, if it leads.
    pub(super) async fn answered(&self, question: Bytes) -> Result<Bytes, Refused> {
        if self.current_leader().is_none_or(|(id, _)| id != self.id) {
            return Err(Refused::NotLeader);
        }
        let answerer = self.desk.answerer.get().ok_or(Refused::NotLeader)?;
        let answer = timeout(ASK, answerer.answer(question)).await;
        let answer = answer.map_err(|_| Refused::Unknown)?;
        if answer.len() > ANSWER_BYTES_MAX {
            let n = answer.len();
            let why = format!("an answer of {n} bytes is not passed on; ask the leading master");
            return Err(Refused::Other(why));
        }
        Ok(answer)
    }
}
