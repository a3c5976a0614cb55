//! Questions to agents, asked on any master. Agents keep their connection to the leader, so a master
//! that follows has it ask.

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};

use super::{
    cluster::{Error, Leader},
    links::{Links, Session, WeakLinks},
};
use crate::{
    base::wire::{self, Message as _},
    core::State,
    log::{Log, ProposeError, desk::Answerer, peer::wire::Refused},
    model::{
        NodeId,
        link::{Answer, AskError, Asked, Question},
    },
};

/// Has an agent answer, whichever master is asked.
///
/// # Errors
/// As `Links::ask`; and when nobody leads, or when the leader cannot be asked.
pub async fn ask(
    log: &Log<State>,
    links: &Links,
    node: &NodeId,
    question: Question,
) -> Result<Answer, Error> {
    if log.is_leader() {
        return Ok(links.ask(node, question).await?);
    }
    let asked = Asked { node: node.clone(), question };
    let answer = log.ask_leader(wire::encode(&asked).into()).await.map_err(unanswered)?;
    let answer: Result<Answer, AskError> = wire::decode_one("answer", &answer)
        .map_err(|error| AskError::Failed(format!("the leading master's answer: {error}")))?;
    Ok(answer?)
}

/// Opens a session on an agent. It is no question but a stream, which the leader alone keeps: others
/// say where that is.
///
/// # Errors
/// As `Links::exec`; and on a master that does not lead.
pub async fn exec(
    log: &Log<State>,
    links: &Links,
    leader: Option<Leader>,
    node: &NodeId,
    question: Question,
) -> Result<Session, Error> {
    if log.is_leader() {
        return Ok(links.exec(node, question).await?);
    }
    Err(match leader.filter(|leader| leader.id != log.id()) {
        Some(leader) => Error::Elsewhere(leader.addresses.router),
        None => ProposeError::NoLeader.into(),
    })
}

fn unanswered(refused: Refused) -> Error {
    match refused {
        Refused::Unknown => AskError::TimedOut.into(),
        Refused::Other(why) => AskError::Failed(why).into(),
        refused => ProposeError::from(refused).into(),
    }
}

/// The leader's side: what another master asks is asked of the agent here.
impl Answerer for WeakLinks {
    fn answer(&self, question: Bytes) -> BoxFuture<'_, Bytes> {
        async move {
            let answer = match (Asked::read(&question), self.links()) {
                (Ok(Asked { node, question }), Some(links)) => links.ask(&node, question).await,
                (Ok(Asked { node, .. }), None) => Err(AskError::NotConnected(node)),
                (Err(error), _) => Err(AskError::Invalid(error.to_string())),
            };
            wire::encode_one(&answer).into()
        }
        .boxed()
    }
}
