//! What a leader knows of those who follow it: when a majority last did, and so how fresh its state is.
//!
//! What counts is when a message was sent that a follower took, not when its answer came: the follower
//! may have turned to another leader right after it took it. openraft tells the time since then as well,
//! but as of its last report: after a process stood still that is as if it had not.

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use openraft::{RaftMetrics, ServerState};
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use super::types::{Member, MemberId, Vote};

type Metrics = RaftMetrics<MemberId, Member>;

/// Leadership that was found in the store. openraft takes it up again at once, but knows as
/// committed only what was applied before; the rest of the log may have been acknowledged too.
#[derive(Clone, Copy)]
pub struct Restored {
    pub vote: Vote,
    /// Last entry that was found with it.
    pub upto: u64,
}

/// One master as a leader, while it is one.
pub struct Lead {
    id: MemberId,
    restored: Option<Restored>,
    seen: OnceLock<Seen>,
    followed: Mutex<Followed>,
}

/// How this master stands.
pub struct Seen {
    pub metrics: watch::Receiver<Metrics>,
    /// Index of the last entry whose effect is in the state.
    pub applied: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// When the last message was sent that each of the others took.
#[derive(Default)]
struct Followed {
    vote: Option<Vote>,
    by: BTreeMap<MemberId, Instant>,
}

impl Lead {
    pub fn new(id: MemberId, restored: Option<Restored>) -> Self {
        Self { id, restored, seen: OnceLock::new(), followed: Mutex::default() }
    }

    /// Looks there from now on; without, it leads nobody.
    pub fn look(&self, seen: Seen) {
        // Set once, when the log is opened.
        let _ = self.seen.set(seen);
    }

    /// Another master took what was sent to it at `sent_at` by the leader of `vote`.
    pub fn followed(&self, vote: Vote, by: MemberId, sent_at: Instant) {
        let mut followed = self.followed.lock();
        if followed.vote < Some(vote) {
            *followed = Followed { vote: Some(vote), by: BTreeMap::new() };
        }
        if followed.vote == Some(vote) {
            let last = followed.by.entry(by).or_insert(sent_at);
            *last = sent_at.max(*last);
        }
    }

    /// How long ago a majority last followed this master; `None` while it does not lead, and before
    /// it was followed. Whoever decides alone is a majority.
    pub fn followed_ago(&self) -> Option<Duration> {
        self.followed_by_most(&self.seen.get()?.metrics.borrow())
    }

    /// How long ago nothing was missing in the state of this master, as its lead shows.
    pub fn in_step_ago(&self) -> Option<Duration> {
        let metrics = self.seen.get()?.metrics.borrow();
        self.has_all(&metrics).then(|| self.followed_by_most(&metrics)).flatten()
    }

    /// How long before now everything acknowledged was among the entries up to `committed`, of which a
    /// follower is about to be told.
    pub fn told_ago(&self, committed: u64) -> Option<Duration> {
        let ago = self.in_step_ago()?;
        // What came in between may have been acknowledged, though a majority follows as before.
        ((self.seen.get()?.applied)() <= committed).then_some(ago)
    }

    /// What a new leader has of its predecessors it knows as committed once an entry of its own is.
    pub fn floor(&self, vote: &Vote) -> u64 {
        self.restored.filter(|restored| restored.vote == *vote).map_or(0, |restored| restored.upto)
    }

    fn has_all(&self, metrics: &Metrics) -> bool {
        metrics.last_applied.is_some_and(|last| {
            last.leader_id == metrics.vote.leader_id && last.index >= self.floor(&metrics.vote)
        })
    }

    fn followed_by_most(&self, metrics: &Metrics) -> Option<Duration> {
        if metrics.state != ServerState::Leader {
            return None;
        }
        let membership = metrics.membership_config.membership();
        if membership.voter_ids().eq([self.id]) {
            return Some(Duration::ZERO);
        }
        let (now, followed) = (Instant::now(), self.followed.lock());
        let of = |id: &MemberId| match () {
            () if *id == self.id => Some(now),
            () if followed.vote == Some(metrics.vote) => followed.by.get(id).copied(),
            () => None,
        };
        let by_set = membership.get_joint_config().iter().map(|voters| {
            let mut times: Vec<Option<Instant>> = voters.iter().map(of).collect();
            times.sort();
            // As many as decide have followed no longer ago.
            times.get(times.len().checked_sub(1)? / 2).copied().flatten()
        });
        let oldest = by_set.collect::<Option<Vec<_>>>()?.into_iter().min()?;
        Some(now - oldest)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
    };

    use openraft::{LeaderId, Membership, StoredMembership};

    use super::*;
    use crate::log::types::LogId;

    const STEP: Duration = Duration::from_millis(100);

    struct World {
        lead: Lead,
        metrics: watch::Sender<Metrics>,
        applied: Arc<AtomicU64>,
    }

    fn vote(term: u64) -> Vote {
        Vote::new_committed(term, 1)
    }

    /// Master 1 leads since `term`, with the votes of these sets.
    fn world(sets: &[&[MemberId]], restored: Option<Restored>) -> World {
        let sets: Vec<BTreeSet<_>> = sets.iter().map(|ids| ids.iter().copied().collect()).collect();
        let members: BTreeMap<_, _> =
            sets.iter().flatten().map(|id| (*id, Member::default())).collect();
        let membership = StoredMembership::new(None, Membership::new(sets, members));
        let (metrics, seen) = watch::channel(Metrics {
            state: ServerState::Leader,
            vote: vote(2),
            membership_config: Arc::new(membership),
            ..Metrics::new_initial(1)
        });
        let (lead, applied) = (Lead::new(1, restored), Arc::new(AtomicU64::new(0)));
        let reached = applied.clone();
        let reached = Box::new(move || reached.load(Ordering::Relaxed));
        lead.look(Seen { metrics: seen, applied: reached });
        World { lead, metrics, applied }
    }

    impl World {
        fn applied(&self, term: u64, index: u64) {
            let last = LogId { leader_id: LeaderId { term, node_id: 1 }, index };
            self.metrics.send_modify(|metrics| metrics.last_applied = Some(last));
            self.applied.store(index, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_counts_from_when_what_a_majority_took_was_sent() {
        let World { lead, metrics, .. } = world(&[&[1, 2, 3, 4, 5]], None);
        let sent_at = Instant::now();
        tokio::time::advance(STEP).await;
        lead.followed(vote(2), 2, sent_at);
        assert_eq!(lead.followed_ago(), None, "two of five");
        lead.followed(vote(2), 3, Instant::now());
        assert_eq!(lead.followed_ago(), Some(STEP));
        lead.followed(vote(2), 4, Instant::now());
        assert_eq!(lead.followed_ago(), Some(Duration::ZERO));
        // The process stands still: nobody reports anything, and the time counts.
        tokio::time::advance(STEP * 50).await;
        assert_eq!(lead.followed_ago(), Some(STEP * 50));
        lead.followed(vote(2), 4, sent_at);
        assert_eq!(
            lead.followed_ago(),
            Some(STEP * 50),
            "an answer that is late tells nothing new"
        );
        metrics.send_modify(|metrics| metrics.state = ServerState::Follower);
        assert_eq!(lead.followed_ago(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_followed_an_earlier_lead_does_not_count() {
        let World { lead, metrics, .. } = world(&[&[1, 2, 3]], None);
        lead.followed(vote(2), 2, Instant::now());
        metrics.send_modify(|metrics| metrics.vote = vote(5));
        assert_eq!(lead.followed_ago(), None);
        lead.followed(vote(5), 3, Instant::now());
        lead.followed(vote(2), 2, Instant::now());
        assert_eq!(lead.followed_ago(), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn each_set_of_voters_decides_and_one_alone_always() {
        let World { lead, .. } = world(&[&[1, 2, 3], &[1, 4, 5]], None);
        lead.followed(vote(2), 2, Instant::now());
        assert_eq!(lead.followed_ago(), None);
        tokio::time::advance(STEP).await;
        lead.followed(vote(2), 5, Instant::now());
        assert_eq!(lead.followed_ago(), Some(STEP));
        let World { lead, .. } = world(&[&[1]], None);
        assert_eq!(lead.followed_ago(), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn it_has_everything_once_an_entry_of_its_own_is_applied() {
        let world = world(&[&[1, 2, 3]], None);
        world.lead.followed(vote(2), 2, Instant::now());
        world.applied(1, 7);
        assert_eq!(world.lead.in_step_ago(), None, "more may have been acknowledged before it led");
        world.applied(2, 8);
        assert_eq!(world.lead.in_step_ago(), Some(Duration::ZERO));
        assert_eq!(world.lead.told_ago(8), Some(Duration::ZERO));
        assert_eq!(world.lead.told_ago(7), None, "number 8 may be acknowledged");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lead_that_was_found_at_the_start_covers_what_was_found_with_it() {
        let world = world(&[&[1, 2, 3]], Some(Restored { vote: vote(2), upto: 9 }));
        world.lead.followed(vote(2), 2, Instant::now());
        world.applied(2, 8);
        assert_eq!(world.lead.in_step_ago(), None);
        world.applied(2, 9);
        assert_eq!(world.lead.in_step_ago(), Some(Duration::ZERO));
        assert_eq!(world.lead.floor(&vote(3)), 0, "a lead it won since");
    }
}
