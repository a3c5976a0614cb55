//! What agents are told of names: the whole set once a connection stands, then what each command
//! changed. The same for all of them, so it is worked out once.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{Connected, Links, Peer};
use crate::{
    base::level,
    core::{State, naming::told},
    log::feed::Batch,
    model::{
        link::ToAgent,
        names::{Names, Realm},
        node::NodeId,
    },
};

/// Latest batches whose news are kept, to bring a whole set up to date that was worked out while
/// they were sent to the others.
const RECENT_MAX: usize = 256;

/// How far one agent has been told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The agent of this process: its node answers from the state itself.
    NotTold,
    /// It has to be told the whole set.
    Owed,
    /// It was told everything up to this revision.
    Told(u64),
}

impl Standing {
    /// Of a new connection.
    pub fn of(peer: &Peer) -> Self {
        if peer.certificate.is_some() { Self::Owed } else { Self::NotTold }
    }

    pub fn is_owed(self) -> bool {
        self == Self::Owed
    }
}

/// What the connections share.
#[derive(Default)]
pub struct Told {
    realm: Mutex<Option<Arc<Realm>>>,
    /// Whole set by revision: many agents that come at once get the same one.
    whole: Mutex<Option<(u64, Arc<[Arc<Names>]>)>>,
    recent: Mutex<Recent>,
}

/// News of the latest batches, in order.
#[derive(Default)]
struct Recent {
    batches: VecDeque<(u64, Vec<Arc<Names>>)>,
    /// News up to this revision are not kept.
    forgotten: u64,
}

impl Told {
    /// Masters have come or gone, or another leads: everybody is owed the whole set.
    pub fn begin(&self, realm: Realm, revision: u64, agents: &mut BTreeMap<NodeId, Connected>) {
        *self.realm.lock() = Some(Arc::new(realm));
        *self.whole.lock() = None;
        self.forget(revision, agents);
    }

    fn realm(&self, state: &State) -> Option<Arc<Realm>> {
        self.realm.lock().clone().filter(|_| state.level() >= level::NAMES)
    }

    /// Tells the agents what a batch of commands changed. Called with all of them locked, so that a
    /// whole set never comes between.
    pub fn dispatch(&self, batch: &Batch, agents: &mut BTreeMap<NodeId, Connected>) {
        let Some(realm) = self.realm(&batch.state) else { return };
        if agents.values().all(|agent| agent.names == Standing::NotTold) {
            // Whoever comes next is told a whole set that has this batch in it.
            *self.recent.lock() = Recent::after(batch.revision);
            return;
        }
        let news = told::changed(&batch.state, &batch.changes, &realm);
        if news.is_empty() {
            return;
        }
        for agent in agents.values_mut() {
            if let Standing::Told(revision) = agent.names
                && revision < batch.revision
            {
                agent.tell(&news, batch.revision);
            }
        }
        self.recent.lock().keep(batch.revision, news);
    }

    /// Changes up to `revision` were missed: every agent is owed the whole set.
    pub fn forget(&self, revision: u64, agents: &mut BTreeMap<NodeId, Connected>) {
        *self.recent.lock() = Recent::after(revision);
        for agent in agents.values_mut().filter(|agent| agent.names != Standing::NotTold) {
            agent.names = Standing::Owed;
        }
    }

    /// Tells one agent the whole set. Where that takes long, others are not held up.
    pub fn send_whole(&self, links: &Links, node: &NodeId, epoch: u64) {
        let state = links.inner.log.feed().latest();
        let Some(realm) = self.realm(&state) else { return };
        let whole = self.whole(&state, &realm);
        let mut agents = links.inner.agents.lock();
        let Some(agent) = agents.get_mut(node).filter(|agent| agent.epoch == epoch) else { return };
        if self.realm(&state).is_none_or(|now| !Arc::ptr_eq(&now, &realm)) {
            return; // it became another meanwhile: the whole set is owed still
        }
        if let Some(later) = self.recent.lock().since(state.revision) {
            let all: Vec<Arc<Names>> = whole.iter().cloned().chain(later).collect();
            agent.tell(&all, state.revision);
        }
    }

    fn whole(&self, state: &State, realm: &Realm) -> Arc<[Arc<Names>]> {
        let mut known = self.whole.lock();
        match &*known {
            Some((revision, whole)) if *revision == state.revision => whole.clone(),
            _ => {
                let whole: Arc<[_]> = told::whole(state, realm).into();
                *known = Some((state.revision, whole.clone()));
                whole
            }
        }
    }
}

impl Recent {
    /// Nothing of the time up to `revision`.
    fn after(revision: u64) -> Self {
        Self { batches: VecDeque::new(), forgotten: revision }
    }

    fn keep(&mut self, revision: u64, news: Vec<Arc<Names>>) {
        self.batches.push_back((revision, news));
        if self.batches.len() > RECENT_MAX
            && let Some((revision, _)) = self.batches.pop_front()
        {
            self.forgotten = revision;
        }
    }

    /// What changed after `revision`; `None` when that is not known any more.
    fn since(&self, revision: u64) -> Option<Vec<Arc<Names>>> {
        let later = self.batches.iter().filter(|(of, _)| *of > revision);
        (revision >= self.forgotten).then(|| later.flat_map(|(_, news)| news.clone()).collect())
    }
}

impl Connected {
    /// Sends news; what does not fit is made good by the whole set.
    fn tell(&mut self, news: &[Arc<Names>], revision: u64) {
        let fits = self.to_agent.capacity() >= news.len();
        let sent =
            fits && news.iter().all(|n| self.to_agent.try_send(ToAgent::Names(n.clone())).is_ok());
        self.names = if sent { Standing::Told(revision) } else { Standing::Owed };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::clock::Timestamp, model::names::Part};

    fn news() -> Vec<Arc<Names>> {
        let (put, gone, at) = (Vec::new(), Vec::new(), Timestamp::EPOCH);
        vec![Arc::new(Names { part: Part::Change, realm: None, put, gone, at })]
    }

    #[test]
    fn a_whole_set_is_brought_up_to_date_or_made_anew() {
        let mut recent = Recent::default();
        assert_eq!(recent.since(5), Some(Vec::new()), "nothing has changed");
        for revision in [6, 9] {
            recent.keep(revision, news());
        }
        assert_eq!(recent.since(5).map(|later| later.len()), Some(2));
        assert_eq!(recent.since(6).map(|later| later.len()), Some(1));
        assert_eq!(recent.since(9).map(|later| later.len()), Some(0));
        for revision in 10..10 + RECENT_MAX as u64 {
            recent.keep(revision, news());
        }
        assert_eq!(recent.since(8), None, "the news of 9 are gone");
        assert_eq!(recent.since(9).map(|later| later.len()), Some(RECENT_MAX));
        let missed = Recent::after(400);
        assert_eq!(missed.since(399), None);
        assert_eq!(missed.since(400), Some(Vec::new()));
    }
}
