//! DNS over TCP: two bytes of length, then a message; many on one connection, answered in turn.
//!
//! Everything is bounded: connections, the wait for a query, the time a slow reader may take.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use super::{
    answer::{self, Transport, Verdict},
    serve::Shared,
    upstream::Unanswered,
    wire::Rcode,
};
use crate::base::task::Tasks;

/// Connections served at a time by one listener; more wait in the accept queue. The original had
/// a hundred acceptors.
const CONNECTIONS_MAX: usize = 256;
/// How long a connection may be silent, and how long a message may take in either direction; as in
/// the original.
const IDLE: Duration = Duration::from_secs(10);
/// Largest query taken, as over UDP.
const QUERY_BYTES_MAX: u16 = 2048;
/// Pause after a failed accept, so that running out of files does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until it is dropped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, tasks: Tasks) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = Arc::clone(&room).acquire_owned().await.expect("never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                tasks.connection("dns tcp", async move {
                    let _permit = permit;
                    // A client that breaks off is no event.
                    let _ended = converse(stream, &shared).await;
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a DNS connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut query, mut reply) = (Vec::new(), Vec::new());
    loop {
        let length = timeout(IDLE, stream.read_u16()).await??;
        if length > QUERY_BYTES_MAX {
            return Ok(());
        }
        query.resize(usize::from(length), 0);
        timeout(IDLE, stream.read_exact(&mut query)).await??;
        shared.stats.tcp_query();
        if !answer_one(shared, &query, &mut reply).await {
            return Ok(());
        }
        let length = u16::try_from(reply.len()).map_err(std::io::Error::other)?;
        // One segment: the length first, then the message.
        reply.splice(..0, length.to_be_bytes());
        timeout(IDLE, stream.write_all(&reply)).await??;
    }
}

/// Makes the reply; false when there is none to make.
async fn answer_one(shared: &Shared, query: &[u8], reply: &mut Vec<u8>) -> bool {
    let verdict = answer::answer(&shared.table.load(), query, Transport::Tcp, reply);
    match verdict {
        Verdict::Reply(rcode) => {
            shared.stats.reply(rcode);
            true
        }
        Verdict::Drop => {
            shared.stats.dropped();
            false
        }
        Verdict::Forward => match shared.forwarder.ask(query, Transport::Tcp).await {
            Ok(answer) => {
                *reply = answer;
                true
            }
            Err(Unanswered::Overloaded) => {
                shared.stats.overload();
                false
            }
            Err(why) => refuse(shared, query, why, reply),
        },
    }
}

/// The reply to a question no upstream answered.
pub(super) fn refuse(shared: &Shared, query: &[u8], why: Unanswered, reply: &mut Vec<u8>) -> bool {
    let rcode = match why {
        Unanswered::NoUpstream => Rcode::Refused,
        Unanswered::Overloaded | Unanswered::Failed => Rcode::ServFail,
    };
    shared.stats.reply(rcode);
    answer::refuse(query, rcode, reply)
}
