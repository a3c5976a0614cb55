//! The event stream: changes of the state in the original's names and bodies
//! (docs/compat/marathon.md, "Events").
//!
//! `translate` turns changes into events, `hub` hands each frame to the clients that want it, `replay` finds
//! what a client that comes back has missed, and `follow` is the task that connects them to the change feed.

use std::{sync::Arc, time::Duration};

use crate::{
    core::State,
    log::{Feed, Step},
};

mod announce;
mod event;
mod hub;
mod replay;
mod translate;
#[cfg(test)]
mod tests;

pub use announce::{Announcement, Request, Told};
pub use event::{Event, Place};
pub use hub::{Full, Hub};

/// How often a quiet stream gets a line break (the original's servlet does it every 10 s).
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Feeds the hub from the change feed for as long as the process lives.
///
/// A follower that fell behind has missed events; its clients cannot know which, so all of them
/// are cut and connect again.
pub async fn follow(hub: Arc<Hub>, feed: Feed<State>) -> anyhow::Result<()> {
    let mut follower = feed.subscribe(None);
    hub.replay_from(feed, follower.revision());
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            step = follower.next() => match step {
                Step::Batch(batch) => hub.tell(batch.revision, &batch.changes, &batch.state, batch.at),
                Step::Resync(state) => {
                    hub.cut_all();
                    hub.told_up_to(state.revision);
                }
            },
            _ = heartbeat.tick() => hub.heartbeat(),
        }
    }
}
