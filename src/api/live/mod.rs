//! The live view: one stream of server-sent events with everything a page shows.
//!
//! ```text
//! State ──(difference since last time)──► delta, rendered once ──► ring ──► every client's queue
//!    └──────────── snapshot, rendered when a client joins without a usable cursor ──────▲
//! ```
//! One producer compares the newest state with the one it showed last and writes the changed rows.
//! It does so at most four times a second, so a storm of changes costs what one change of each row
//! costs. A thousand clients share the bytes of each delta. A client whose queue is full is cut; it
//! comes back with `Last-Event-ID` and gets what it missed from the ring, or a snapshot.
//!
//! There are two such feeds: what every page shows (`delta.rs`), and where each instance is, which
//! only a map of the cluster needs (`placed.rs`). A feed without readers rests after a minute and
//! costs nothing until somebody joins. What one node's page shows is told to its readers one by one
//! (`api/one_node.rs`).

mod collection;
mod delta;
mod interval;
mod kinds;
mod placed;
mod shown;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};

use self::{delta::Memory, shown::Shown};
use super::view::{Iso, View};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        limit,
        rng::Rng,
        task::Tasks,
    },
    control::cluster::Cluster,
    core::State,
    http::{Body, error::ApiError, stream},
};
pub use collection::Rows;

/// Pause between two deltas while somebody listens, and while nobody does.
pub const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_UNHEARD: Duration = Duration::from_secs(1);
/// How often reasons and samples, which change without the state, are looked at.
pub const TICK: Duration = Duration::from_secs(1);
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// Deltas kept for clients that come back: a minute of them, and not more bytes than this.
const RING_MAX: usize = 240;
const RING_BYTES_MAX: usize = 16 << 20;
/// Deltas a client may be behind before it is cut.
const BEHIND_MAX: usize = 64;
/// A feed that nobody has listened to for so long rests: it keeps no memory and looks at nothing.
const REST_AFTER: Duration = Duration::from_secs(60);
/// Log followers at a time; each asks an agent up to ten times a second.
const FOLLOWERS_MAX: usize = 256;

/// Handle of the live view. Cheap to clone.
#[derive(Clone)]
pub struct Live {
    all: Feed,
    placed: Feed,
    followers: Arc<Semaphore>,
}

/// One stream of deltas with its readers.
#[derive(Clone)]
struct Feed {
    inner: Arc<Inner>,
}

struct Inner {
    cluster: Arc<dyn Cluster>,
    clock: Arc<dyn Clock>,
    started_at: Timestamp,
    /// Tells cursors of this process and feed from others.
    epoch: String,
    render: fn(&View<'_>, Timestamp) -> String,
    hub: Mutex<Hub>,
    joined: Notify,
}

/// What joining clients and the producer share.
struct Hub {
    /// Number of the latest delta.
    seq: u64,
    /// The state all deltas up to `seq` lead to; none while the feed rests.
    shown: Option<Arc<State>>,
    ring: VecDeque<(u64, Bytes)>,
    ring_bytes: usize,
    clients: Vec<stream::Sender>,
}

impl Live {
    /// Starts the producers in `tasks`.
    pub fn start(
        cluster: &Arc<dyn Cluster>,
        clock: &Arc<dyn Clock>,
        started_at: Timestamp,
        tasks: &Tasks,
    ) -> Self {
        let all = Feed::start::<Memory>("live view", cluster, clock, started_at, tasks);
        let placed = Feed::start::<placed::Memory>("live map", cluster, clock, started_at, tasks);
        Self { all, placed, followers: Arc::new(Semaphore::new(FOLLOWERS_MAX)) }
    }

    /// Room for one more follower of a log or a node.
    pub fn follower_slot(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.followers.clone().try_acquire_owned().map_err(|_| ApiError::crowded("followers"))
    }

    /// A stream of what every page shows that goes on after `cursor` if that can be, else begins with
    /// a snapshot.
    pub async fn join(&self, cursor: Option<&str>) -> Result<Body, ApiError> {
        self.all.join(cursor).await
    }

    /// The same of where each instance is.
    pub async fn join_placed(&self, cursor: Option<&str>) -> Result<Body, ApiError> {
        self.placed.join(cursor).await
    }
}

impl Feed {
    fn start<S: Shown>(
        name: &'static str,
        cluster: &Arc<dyn Cluster>,
        clock: &Arc<dyn Clock>,
        started_at: Timestamp,
        tasks: &Tasks,
    ) -> Self {
        let (cluster, clock) = (cluster.clone(), clock.clone());
        let hub =
            Hub { seq: 0, shown: None, ring: VecDeque::new(), ring_bytes: 0, clients: Vec::new() };
        let epoch = Rng::from_os().hex(8);
        let (render, hub, joined) = (S::snapshot, Mutex::new(hub), Notify::new());
        let inner = Arc::new(Inner { cluster, clock, started_at, epoch, render, hub, joined });
        let producer = inner.clone();
        let cancelled = tasks.cancelled();
        tasks.restart(name, move || {
            let (producer, cancelled) = (producer.clone(), cancelled.clone());
            async move {
                let ended = cancelled.run_until_cancelled(produce::<S>(producer.clone())).await;
                producer.hub.lock().clients.clear(); // their streams end
                ended.unwrap_or(Ok(()))
            }
        });
        Self { inner }
    }

    async fn join(&self, cursor: Option<&str>) -> Result<Body, ApiError> {
        if self.inner.hub.lock().clients.len() >= limit::EVENT_CLIENTS_MAX {
            return Err(ApiError::crowded("readers of the live stream"));
        }
        let (sender, body) = stream::channel(BEHIND_MAX);
        let resume = cursor.and_then(|c| self.inner.parse_cursor(c));
        if let Some(after) = resume
            && self.inner.hub.lock().admit(&sender, after)
        {
            return Ok(body);
        }
        // A snapshot takes a moment; should the ring run over meanwhile, a newer one is made.
        for _ in 0..3 {
            let (seq, state) = self.inner.awake();
            let (sender, body) = stream::channel(BEHIND_MAX);
            let inner = self.inner.clone();
            let made = tokio::task::spawn_blocking(move || inner.snapshot(seq, &state)).await;
            sender.send(made.map_err(ApiError::internal)?).map_err(ApiError::internal)?;
            if self.inner.hub.lock().admit(&sender, seq) {
                self.inner.joined.notify_one();
                return Ok(body);
            }
        }
        Err(ApiError::unavailable("the state changes too fast to be shown right now"))
    }
}

impl Inner {
    /// Number of the latest delta and the state it led to, of a feed that does not rest from now on.
    fn awake(&self) -> (u64, Arc<State>) {
        let mut hub = self.hub.lock();
        let state = hub.shown.get_or_insert_with(|| self.cluster.state()).clone();
        self.joined.notify_one();
        (hub.seq, state)
    }

    /// Waits until somebody has joined; the state that was shown.
    async fn woken(&self) -> Arc<State> {
        loop {
            if let Some(shown) = self.hub.lock().shown.clone() {
                return shown;
            }
            self.joined.notified().await;
        }
    }

    fn parse_cursor(&self, cursor: &str) -> Option<u64> {
        let (epoch, seq) = cursor.split_once('-')?;
        (epoch == self.epoch).then(|| seq.parse().ok()).flatten()
    }

    fn cursor(&self, seq: u64) -> String {
        format!("{}-{seq}", self.epoch)
    }

    fn snapshot(&self, seq: u64, state: &State) -> Bytes {
        let now = self.clock.now();
        let view = View { state, now, cluster: &*self.cluster };
        let data = (self.render)(&view, self.started_at);
        stream::event(Some("snapshot"), Some(&self.cursor(seq)), &data)
    }
}

impl Hub {
    /// Forgets what was shown, unless somebody listens. Nobody goes on from before this: the numbers
    /// of what was not looked at are missing.
    fn rest(&mut self) -> bool {
        if !self.clients.is_empty() {
            return false;
        }
        (self.shown, self.ring_bytes) = (None, 0);
        self.ring.clear();
        self.seq += 1;
        true
    }

    /// Adds a client that has seen everything up to `after`, sending it what it misses. False when
    /// the ring does not reach back that far.
    fn admit(&mut self, sender: &stream::Sender, after: u64) -> bool {
        let oldest = self.ring.front().map_or(self.seq + 1, |(seq, _)| *seq);
        if after > self.seq || after + 1 < oldest {
            return false;
        }
        let missed = self.ring.iter().filter(|(seq, _)| *seq > after);
        for (_, frame) in missed {
            if sender.send(frame.clone()).is_err() {
                return false;
            }
        }
        self.clients.push(sender.clone());
        true
    }

    /// Sends a frame to every client; those that are gone or too slow are dropped.
    fn send(&mut self, frame: &Bytes) {
        self.clients.retain(|client| client.send(frame.clone()).is_ok());
    }

    fn push(&mut self, frame: Bytes) {
        self.send(&frame);
        self.ring_bytes += frame.len();
        self.ring.push_back((self.seq, frame));
        while self.ring.len() > RING_MAX || self.ring_bytes > RING_BYTES_MAX {
            let Some((_, oldest)) = self.ring.pop_front() else { return };
            self.ring_bytes -= oldest.len();
        }
    }
}

/// Shows every change while somebody listens, until the process ends.
async fn produce<S: Shown>(inner: Arc<Inner>) -> anyhow::Result<()> {
    let mut beat_at = Instant::now();
    loop {
        // What clients were shown so far; after a panic, the last one.
        let first = inner.woken().await;
        let work = inner.clone();
        let mut memory = tokio::task::spawn_blocking(move || {
            let view = View { state: &first, now: work.clock.now(), cluster: &*work.cluster };
            S::of(&view, first.clone(), work.started_at)
        })
        .await?;
        let mut heard_at = Instant::now();
        loop {
            let moved = inner.cluster.newer_than(memory.state().revision);
            tokio::select! {
                () = moved => {}
                () = inner.joined.notified() => {}
                () = sleep(TICK) => {}
            }
            let work = inner.clone();
            let (kept, data) = tokio::task::spawn_blocking(move || {
                let state = work.cluster.state();
                let now = work.clock.now();
                let data = memory.advance(state, now, &*work.cluster, work.started_at);
                (memory, data)
            })
            .await?;
            memory = kept;
            let unheard = show(&inner, memory.state(), data, &mut beat_at);
            if !unheard {
                heard_at = Instant::now();
            } else if heard_at.elapsed() >= REST_AFTER && inner.hub.lock().rest() {
                break;
            }
            sleep(if unheard { PAUSE_UNHEARD } else { PAUSE }).await;
        }
    }
}

/// Publishes one delta and, when it is time, a heartbeat. True when nobody listens.
fn show(inner: &Inner, shown: Arc<State>, data: Option<String>, beat_at: &mut Instant) -> bool {
    let revision = shown.revision;
    let mut hub = inner.hub.lock();
    hub.shown = Some(shown);
    if let Some(data) = data {
        hub.seq += 1;
        let cursor = inner.cursor(hub.seq);
        hub.push(stream::event(Some("delta"), Some(&cursor), &data));
    }
    if beat_at.elapsed() >= HEARTBEAT {
        *beat_at = Instant::now();
        let data =
            serde_json::json!({"at": Iso(inner.clock.now()), "revision": revision}).to_string();
        hub.send(&stream::event(Some("heartbeat"), None, &data));
    }
    hub.clients.is_empty()
}
