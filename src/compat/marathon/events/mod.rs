//! The event stream: changes of the state in the original's names and bodies
//! (docs/compat/marathon.md, "Events").
//!
//! `translate` turns changes into events, `hub` hands each frame to the clients that want it, and
//! `follow` is the task that connects the two to the change feed.

use std::{sync::Arc, time::Duration};

use crate::{
    core::State,
    log::{Follower, Step},
};

mod announce;
mod hub;
mod translate;
#[cfg(test)]
mod tests;

pub use announce::{Announcement, Request, Told};
pub use hub::{Event, Full, Hub};
pub use translate::translate;

/// How often a quiet stream gets a line break (the original's servlet does it every 10 s).
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Feeds the hub from the change feed for as long as the process lives.
///
/// A follower that fell behind has missed events; its clients cannot know which, so all of them
/// are cut and connect again.
pub async fn follow(hub: Arc<Hub>, mut follower: Follower<State>) -> anyhow::Result<()> {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            step = follower.next() => match step {
                Step::Batch(batch) => {
                    for event in translate(&hub, &batch.changes, &batch.state, batch.at) {
                        hub.publish(&event);
                    }
                }
                Step::Resync(_) => hub.cut_all(),
            },
            _ = heartbeat.tick() => hub.heartbeat(),
        }
    }
}
