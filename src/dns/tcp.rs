//! DNS over TCP: two bytes of length, then a message; many on one connection, answered in turn.
//!
//! Everything is bounded: connections, the wait for a query, the time a slow reader may take. When
//! there are too many connections the one that has been silent for longest makes room (RFC 7766
//! §6.2.3), so that silent ones shut nobody out. What one address asks in a row is answered at the
//! pace of its share of a processor.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    answer::{self, Transport, Verdict},
    serve::Shared,
};
use crate::base::{
    pace::{Paces, paced},
    task::Tasks,
};

/// Connections served at a time by one listener. The original had a hundred acceptors.
const CONNECTIONS_MAX: usize = 256;
/// How long a connection may be silent, and how long a message may take in either direction; as in
/// the original.
const IDLE: Duration = Duration::from_secs(10);
/// Largest query taken, as over UDP.
const QUERY_BYTES_MAX: u16 = 2048;
/// Pause after a failed accept, so that running out of files does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The open connections by when they last said something, the most silent first.
#[derive(Default)]
struct Connections {
    by_use: Mutex<BTreeMap<u64, CancellationToken>>,
    next: AtomicU64,
}

/// One connection's place among the others.
struct Place {
    all: Arc<Connections>,
    used_at: u64,
    end: CancellationToken,
}

impl Place {
    /// A new connection's; past the bound the most silent one is told to end.
    fn take(all: &Arc<Connections>) -> Self {
        let (used_at, end) = (all.next.fetch_add(1, Relaxed), CancellationToken::new());
        let mut by_use = all.by_use.lock();
        by_use.insert(used_at, end.clone());
        if by_use.len() > CONNECTIONS_MAX
            && let Some((_, silent)) = by_use.pop_first()
        {
            silent.cancel();
        }
        drop(by_use);
        Self { all: Arc::clone(all), used_at, end }
    }

    /// The connection has asked something.
    fn used(&mut self) {
        let mut by_use = self.all.by_use.lock();
        // Gone when it was told to end in the meantime.
        if let Some(end) = by_use.remove(&self.used_at) {
            self.used_at = self.all.next.fetch_add(1, Relaxed);
            by_use.insert(self.used_at, end);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.by_use.lock().remove(&self.used_at);
    }
}

/// Accepts until it is dropped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, tasks: Tasks) {
    let (connections, paces) = (Arc::new(Connections::default()), Paces::of_process());
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                let Some(purse) = paces.admit(client.ip()) else { continue };
                let shared = Arc::clone(&shared);
                let mut place = Place::take(&connections);
                tasks.connection("dns tcp", async move {
                    let end = place.end.clone();
                    // A client that breaks off is no event.
                    let talk = converse(stream, client.ip(), &shared, &mut place);
                    let _ended = end.run_until_cancelled(paced(Some(purse), talk)).await;
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a DNS connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(
    mut stream: TcpStream,
    client: IpAddr,
    shared: &Shared,
    place: &mut Place,
) -> std::io::Result<()> {
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
        place.used();
        if !answer_one(shared, client, &query, &mut reply).await {
            return Ok(());
        }
        let length = u16::try_from(reply.len()).map_err(std::io::Error::other)?;
        // One segment: the length first, then the message.
        reply.splice(..0, length.to_be_bytes());
        timeout(IDLE, stream.write_all(&reply)).await??;
    }
}

/// Makes the reply; false when there is none to make.
async fn answer_one(shared: &Shared, client: IpAddr, query: &[u8], reply: &mut Vec<u8>) -> bool {
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
        Verdict::Elsewhere(whose) => {
            let asked = match shared.way(whose, client) {
                Ok(way) => shared.ask(&way, query, Transport::Tcp).await,
                Err(no) => Err(no),
            };
            match asked {
                Ok(answer) => {
                    *reply = answer;
                    true
                }
                Err(no) => shared.say_no(query, no, reply),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_bound_the_most_silent_connection_makes_room_and_no_other() {
        let all = Arc::new(Connections::default());
        let mut places: Vec<Place> = (0..CONNECTIONS_MAX).map(|_| Place::take(&all)).collect();
        assert!(places.iter().all(|place| !place.end.is_cancelled()), "that many fit");
        places[0].used();
        let newcomer = Place::take(&all);
        let ended = |places: &[Place]| -> Vec<usize> {
            (0..places.len()).filter(|n| places[*n].end.is_cancelled()).collect()
        };
        assert_eq!(ended(&places), [1], "the first has just asked something");
        // One that was told to end is not taken back by a question that was on its way.
        places[1].used();
        assert_eq!(all.by_use.lock().len(), CONNECTIONS_MAX);
        let another = Place::take(&all);
        assert_eq!(ended(&places), [1, 2]);
        assert!(!newcomer.end.is_cancelled() && !another.end.is_cancelled());
        drop(places);
        assert_eq!(all.by_use.lock().len(), 2, "those that have gone take no room");
    }
}
