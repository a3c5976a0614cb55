//! The clients of the event stream.
//!
//! A frame is encoded once and shared. A client whose buffer is full is cut, like the original
//! does; nothing waits for a client.

use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::Announcement;
use crate::{
    base::{clock::Timestamp, limit},
    http::{
        Body,
        stream::{self, Sender},
    },
    model::deployment::DeploymentId,
};

/// Announcements that wait for their deployment: more than requests can be under way at a time.
const ANNOUNCED_MAX: usize = limit::PROPOSALS_WAITING_MAX;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub kind: &'static str,
    pub at: Timestamp,
    /// Everything but `eventType` and `timestamp`.
    pub fields: Map<String, Value>,
}

impl Event {
    /// An event whose fields are those of a JSON object.
    pub fn new(kind: &'static str, at: Timestamp, fields: Value) -> Self {
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self { kind, at, fields }
    }

    /// The body: one line of JSON.
    pub fn body(&self) -> String {
        let mut fields = self.fields.clone();
        fields.insert("eventType".to_owned(), self.kind.into());
        fields.insert("timestamp".to_owned(), self.at.to_string().into());
        Value::Object(fields).to_string()
    }

    /// As it goes over the wire: the original ends lines by CR LF.
    pub fn frame(&self) -> Bytes {
        format!("event: {}\r\ndata: {}\r\n\r\n", self.kind, self.body()).into()
    }
}

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

/// Hands events to clients.
#[derive(Default)]
pub struct Hub {
    clients: Mutex<Vec<Client>>,
    announced: Mutex<BTreeMap<DeploymentId, Announcement>>,
}

impl Hub {
    /// A new client at `address` that wants these types (none: all). Everybody is told, also the
    /// new one.
    pub fn attach(&self, address: &str, kinds: Vec<String>, at: Timestamp) -> Result<Body, Full> {
        let (sender, body) = stream::channel(limit::EVENTS_PER_CLIENT_MAX);
        {
            let mut clients = self.clients.lock();
            if clients.len() >= limit::EVENT_CLIENTS_MAX {
                return Err(Full);
            }
            clients.push(Client { sender, kinds, address: address.to_owned() });
        }
        let fields = json!({ "remoteAddress": address });
        self.publish(&Event::new("event_stream_attached", at, fields));
        Ok(body)
    }

    /// Whether nobody listens; then nothing need be translated.
    pub fn is_idle(&self) -> bool {
        self.clients.lock().is_empty()
    }

    /// Sends an event to whoever wants it.
    pub fn publish(&self, event: &Event) {
        let mut gone = self.send(event.frame(), Some(event.kind));
        // Those who left are told to the rest; in that round others may turn out to have left.
        while let Some(address) = gone.pop() {
            let fields = json!({ "remoteAddress": address });
            let event = Event::new("event_stream_detached", event.at, fields);
            gone.extend(self.send(event.frame(), Some(event.kind)));
        }
    }

    /// Sends a line break to all, which keeps connections open and finds those that are not.
    pub fn heartbeat(&self) {
        self.send(Bytes::from_static(b"\r\n"), None);
    }

    /// Ends all streams.
    pub fn cut_all(&self) {
        self.clients.lock().clear();
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
    fn send(&self, frame: Bytes, kind: Option<&str>) -> Vec<String> {
        let mut gone = Vec::new();
        self.clients.lock().retain(|client| {
            let wants = kind.is_none_or(|kind| {
                client.kinds.is_empty() || client.kinds.iter().any(|k| k == kind)
            });
            let stays = !wants || client.sender.send(frame.clone()).is_ok();
            if !stays {
                gone.push(client.address.clone());
            }
            stays
        });
        gone
    }
}
