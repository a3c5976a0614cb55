//! The link to the leader: connect, hand the ends to the worker, connect again when it breaks.
//!
//! How a connection is made is a `Connector`'s business: in one process it is a pair of channels,
//! between nodes a stream over mutual TLS.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::AgentHandle;
use crate::{
    base::{rng::Rng, task::Tasks},
    model::link::{FromAgent, ToAgent},
};

/// Messages waiting in one direction of a link.
pub const LINK_MESSAGES_MAX: usize = 1024;
/// Waits between tries to reach a leader.
const RETRY: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Before one of which it is known that it leads.
const AT_ONCE: Duration = Duration::from_millis(20);
/// A connection that lasts this long counts as good.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// The agent's ends of a link. The link is over when either channel is closed.
pub struct LinkEnds {
    pub to_master: mpsc::Sender<FromAgent>,
    pub from_master: mpsc::Receiver<ToAgent>,
}

/// The leader's ends of a link.
pub struct MasterEnds {
    pub to_agent: mpsc::Sender<ToAgent>,
    pub from_agent: mpsc::Receiver<FromAgent>,
}

/// Both ends of a link within one process.
pub fn pair() -> (LinkEnds, MasterEnds) {
    let (to_master, from_agent) = mpsc::channel(LINK_MESSAGES_MAX);
    let (to_agent, from_master) = mpsc::channel(LINK_MESSAGES_MAX);
    (LinkEnds { to_master, from_master }, MasterEnds { to_agent, from_agent })
}

/// Makes connections to whoever leads now.
pub trait Connector: Send + Sync {
    /// One try; bounded in time by the implementation.
    fn connect(&self) -> BoxFuture<'_, Result<LinkEnds, ConnectError>>;

    /// Whether it has just learnt who leads, so that the next try is worth no wait.
    fn knows_better(&self) -> bool {
        false
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConnectError(pub String);

/// The last reason that was logged: the same one again is worth a line a minute.
#[derive(Default)]
struct Told {
    last: Option<(String, tokio::time::Instant)>,
}

impl Told {
    fn tell(&mut self, error: String) {
        const AGAIN: Duration = Duration::from_secs(60);
        let known = self.last.as_ref().is_some_and(|(e, at)| *e == error && at.elapsed() < AGAIN);
        if !known {
            tracing::warn!(error, "no link to a leader");
            self.last = Some((error, tokio::time::Instant::now()));
        }
    }
}

/// Keeps `agent` connected for ever.
pub fn keep_connected(
    agent: AgentHandle,
    connector: Arc<dyn Connector>,
    mut rng: Rng,
    tasks: &Tasks,
) {
    tasks.connection("link", async move {
        let mut wait = RETRY;
        let mut told = Told::default();
        loop {
            match connector.connect().await {
                Ok(ends) => {
                    let began = tokio::time::Instant::now();
                    let to_master = ends.to_master.clone();
                    if !agent.connect(ends).await {
                        return; // the agent has stopped
                    }
                    to_master.closed().await;
                    if began.elapsed() >= GOOD_AFTER {
                        wait = RETRY;
                    }
                }
                Err(error) => told.tell(error.to_string()),
            }
            if connector.knows_better() {
                wait = RETRY;
                tokio::time::sleep(rng.jitter(AT_ONCE)).await;
                continue;
            }
            tokio::time::sleep(rng.jitter(wait)).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    });
}
