//! What a request has to say about the deployment it is about to start.
//!
//! The state does not know who asked for a change or by which address; the events of a request
//! do. A handler leaves the announcement under the deployment's id before it proposes, and the
//! translation takes it up when that deployment appears. One that is refused is withdrawn.

use crate::model::path::GroupId;

/// Told when the deployment starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Group whose content changes.
    pub group: GroupId,
    /// Who asked for a change of one app or pod, and what is told of it.
    pub request: Option<Request>,
}

/// A request that changes one app or pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Address of the client.
    pub client: String,
    pub path: String,
    pub told: Told,
}

/// What is told of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The app as JSON.
    App(String),
    /// The event's name: pods are told without their definition.
    Pod(&'static str),
}
