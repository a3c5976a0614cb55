//! Volumes that nobody wants any more are removed, once nothing runs that could write there.

use super::{Input, Worker};
use crate::{
    agent::volumes,
    model::{InstanceId, link::FromAgent},
};

impl Worker {
    /// Begins to remove what the leader has told to and what can be removed now. Told again with the next
    /// full set, it is done again: nothing is left then, and that is told.
    pub(super) fn wipe(&mut self) {
        if self.volumes.wipe.is_empty() || !self.desired.is_heard() {
            return;
        }
        let (may_go, stays): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.volumes.wipe).into_iter().partition(|instance| {
                self.desired.order(instance).is_none() && !self.actual.has_live(instance)
            });
        self.volumes.wipe = stays;
        for instance in may_go {
            if !self.wiping.insert(instance.clone()) {
                continue;
            }
            tracing::info!(target: "audit", %instance, "removing its volumes");
            let (sandboxes, inbox) = (self.sandboxes.clone(), self.inbox.clone());
            self.tasks.connection("wipe", async move {
                let of = instance.clone();
                let work = tokio::task::spawn_blocking(move || volumes::wipe(&sandboxes, &of));
                let outcome = work.await.map_err(std::io::Error::other).flatten();
                drop(inbox.send(Input::Wiped(instance, outcome)).await);
            });
        }
    }

    /// Volumes are gone: the leader is told. What could not be removed is tried again when it is told to.
    pub(super) fn wiped(&mut self, instance: InstanceId, outcome: std::io::Result<()>) {
        self.wiping.remove(&instance);
        if let Err(error) = outcome {
            tracing::warn!(%instance, %error, "volumes not removed");
        } else if let Some(link) = &self.link {
            drop(link.news.try_send(FromAgent::Wiped(vec![instance])));
        }
    }
}
