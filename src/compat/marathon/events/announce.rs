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
    /// A change of one app by the API: the address of the client, the request's path, the app as
    /// JSON.
    pub api_post: Option<(String, String, String)>,
}
