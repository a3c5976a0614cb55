//! One event, as it goes over the wire, and where it stands among the others.

use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::base::clock::Timestamp;

/// Where an event stands among all of the cluster; what `id` says of it, and `Last-Event-ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    revision: u64,
    n: u32,
}

impl Place {
    /// The event `n` of those that a revision of the state tells, from 0.
    pub fn new(revision: u64, n: u32) -> Self {
        Self { revision, n }
    }

    /// Revision of the state that it tells of.
    pub fn revision(self) -> u64 {
        self.revision
    }

    /// Behind everything that a revision changed.
    pub fn end_of(revision: u64) -> Self {
        Self { revision, n: u32::MAX }
    }

    /// As `id` has it: `REVISION-N`.
    pub fn parse(text: &str) -> Option<Self> {
        let (revision, n) = text.trim().split_once('-')?;
        Some(Self { revision: revision.parse().ok()?, n: n.parse().ok()? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.revision, self.n)
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub kind: &'static str,
    pub at: Timestamp,
    /// Where it stands among the cluster's events; `None` of those that only one master tells.
    pub place: Option<Place>,
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
        Self { kind, at, place: None, fields }
    }

    /// Whether it tells of a request, which only the master knows that took it.
    pub fn is_of_request(&self) -> bool {
        const OF_REQUESTS: [&str; 4] =
            ["api_post_event", "pod_created_event", "pod_updated_event", "pod_deleted_event"];
        OF_REQUESTS.contains(&self.kind)
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
        let id = self.place.map(|place| format!("id: {place}\r\n")).unwrap_or_default();
        format!("event: {}\r\ndata: {}\r\n{id}\r\n", self.kind, self.body()).into()
    }
}
