//! The clients of the event stream.
//!
//! A frame is encoded once and shared. A client whose buffer is full is cut, like the original
//! does; nothing waits for a client. One that says what it had last is first told what came since.

use std::{collections::BTreeMap, sync::OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::json;

use super::{
    Announcement,
    event::{Event, Place},
    replay::{Missed, number},
    translate::translate,
};
use crate::{
    base::{clock::Timestamp, limit},
    core::{Change, State},
    http::{
        Body,
        stream::{self, Sender},
    },
    log::Feed,
    model::deployment::DeploymentId,
};

/// Announcements that wait for their deployment: more than requests can be under way at a time.
const ANNOUNCED_MAX: usize = limit::PROPOSALS_WAITING_MAX;

/// There are as many clients as are served at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} event streams are open, the maximum", limit::EVENT_CLIENTS_MAX)]
pub struct Full;

struct Client {
    sender: Sender,
    /// Wanted types; empty is all.
    kinds: Vec<String>,
    address: String,
}

impl Client {
    fn wants(&self, kind: &str) -> bool {
        wants(&self.kinds, kind)
    }
}

fn wants(kinds: &[String], kind: &str) -> bool {
    kinds.is_empty() || kinds.iter().any(|wanted| wanted == kind)
}

/// Who listens, and how far they have been told.
struct Clients {
    all: Vec<Client>,
    told: Place,
}

/// Hands events to clients.
pub struct Hub {
    clients: Mutex<Clients>,
    /// Where events are found again.
    feed: OnceLock<Feed<State>>,
    announced: Mutex<BTreeMap<DeploymentId, Announcement>>,
}

impl Default for Hub {
    fn default() -> Self {
        let clients = Clients { all: Vec::new(), told: Place::end_of(0) };
        Self { clients: Mutex::new(clients), feed: OnceLock::new(), announced: Mutex::default() }
    }
}

impl Hub {
    /// From now on clients that come back are told from this feed what they missed; what it tells up to
    /// `revision` was told before.
    pub fn replay_from(&self, feed: Feed<State>, revision: u64) {
        // Set once, when the hub begins to be fed.
        let _ = self.feed.set(feed);
        self.told_up_to(revision);
    }

    /// All up to a revision is told, or can no longer be.
    pub fn told_up_to(&self, revision: u64) {
        self.clients.lock().told = Place::end_of(revision);
    }

    /// A new client at `address` that wants these types (none: all). Everybody is told, also the
    /// new one. One that names the place of its last event is told what came since; where that is no longer
    /// known it is told `events_missed` instead, and reads the state.
    pub fn attach(
        &self,
        address: &str,
        kinds: Vec<String>,
        last: Option<&str>,
        at: Timestamp,
    ) -> Result<Body, Full> {
        // Most of it without holding anybody up.
        let missed = last.map(|last| self.missed(last));
        let body = {
            let mut clients = self.clients.lock();
            if clients.all.len() >= limit::EVENT_CLIENTS_MAX {
                return Err(Full);
            }
            let frames: Vec<Bytes> = match missed.map(|missed| missed?.read()) {
                None => Vec::new(),
                Some(None) => {
                    let fields = json!({ "lastEventId": last });
                    vec![Event::new("events_missed", at, fields).frame()]
                }
                Some(Some(missed)) => {
                    let since = missed.up_to(clients.told);
                    since
                        .filter(|event| wants(&kinds, event.kind))
                        .map(|event| event.frame())
                        .collect()
                }
            };
            let (sender, body) = stream::channel(limit::EVENTS_PER_CLIENT_MAX + frames.len());
            // There is room for as many.
            let is_told = frames.into_iter().all(|frame| sender.send(frame).is_ok());
            debug_assert!(is_told, "a new stream takes what it was made for");
            clients.all.push(Client { sender, kinds, address: address.to_owned() });
            body
        };
        let fields = json!({ "remoteAddress": address });
        self.publish(&Event::new("event_stream_attached", at, fields));
        Ok(body)
    }

    /// What came after the event of this id; `None` where that cannot be told.
    fn missed(&self, last: &str) -> Option<Missed> {
        Missed::after(Place::parse(last)?, self.feed.get()?).read()
    }

    /// The events of one batch of changes, which led to `state`; none while nobody listens.
    pub(super) fn events(&self, changes: &[Change], state: &State, at: Timestamp) -> Vec<Event> {
        let mut announced = BTreeMap::new();
        for change in changes {
            if let Change::Deployment { id, old: None, new: Some(_), .. } = change
                && let Some(word) = self.withdraw(id)
            {
                announced.insert(id, word);
            }
        }
        if self.is_idle() {
            return Vec::new();
        }
        translate(changes, state, at, |id| announced.remove(id))
    }

    /// Tells the events of one batch of changes, which led to `state`.
    pub fn tell(&self, revision: u64, changes: &[Change], state: &State, at: Timestamp) {
        // Who comes from now on has missed all of this batch, if nobody is here now.
        let is_idle = {
            let mut clients = self.clients.lock();
            if clients.all.is_empty() {
                clients.told = Place::end_of(revision);
            }
            clients.all.is_empty()
        };
        let mut events = self.events(changes, state, at);
        if is_idle {
            return;
        }
        number(revision, &mut events);
        for event in &events {
            self.publish(event);
        }
        self.told_up_to(revision);
    }

    /// Whether nobody listens; then nothing need be translated.
    pub fn is_idle(&self) -> bool {
        self.clients.lock().all.is_empty()
    }

    /// Sends an event to whoever wants it.
    pub fn publish(&self, event: &Event) {
        let mut gone = self.send(event.frame(), Some(event.kind), event.place);
        // Those who left are told to the rest; in that round others may turn out to have left.
        while let Some(address) = gone.pop() {
            let fields = json!({ "remoteAddress": address });
            let event = Event::new("event_stream_detached", event.at, fields);
            gone.extend(self.send(event.frame(), Some(event.kind), None));
        }
    }

    /// Sends a line break to all, which keeps connections open and finds those that are not.
    pub fn heartbeat(&self) {
        self.send(Bytes::from_static(b"\r\n"), None, None);
    }

    /// Ends all streams.
    pub fn cut_all(&self) {
        self.clients.lock().all.clear();
    }

    /// Leaves word for a deployment about to be proposed.
    pub fn announce(&self, id: &DeploymentId, announcement: Announcement) {
        let mut announced = self.announced.lock();
        if announced.len() < ANNOUNCED_MAX {
            announced.insert(id.clone(), announcement);
        }
    }

    /// Takes back the word left for a deployment: it has started, or it will not.
    pub fn withdraw(&self, id: &DeploymentId) -> Option<Announcement> {
        self.announced.lock().remove(id)
    }

    /// Sends one frame; returns the addresses of those who could not take it, who are dropped.
    fn send(&self, frame: Bytes, kind: Option<&str>, place: Option<Place>) -> Vec<String> {
        let mut gone = Vec::new();
        let mut clients = self.clients.lock();
        if let Some(place) = place {
            clients.told = place;
        }
        clients.all.retain(|client| {
            let stays = !kind.is_none_or(|kind| client.wants(kind))
                || client.sender.send(frame.clone()).is_ok();
            if !stays {
                gone.push(client.address.clone());
            }
            stays
        });
        gone
    }
}
