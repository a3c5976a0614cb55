//! Whether this master may stand for election: only while most masters hear no leader.
//!
//! Raft lets whoever hears nothing stand, in a term of its own; one that is cut off counts its terms up,
//! and when it is back its term ends the leader's, who did nothing wrong. So the others are asked first,
//! which changes nothing anywhere (the "pre-vote" of Raft's dissertation, section 9.6, here about the
//! leader alone: that logs are compared is left to the vote).

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use openraft::{Raft, RaftMetrics, ServerState};
use tokio::{sync::watch, time::sleep};

use super::{
    contact::Heard,
    types::{Member, MemberId, Types},
};

/// Whether another master says, within so long, that it hears no leader either.
pub type Ask = Box<dyn Fn(MemberId, &Member, Duration) -> BoxFuture<'static, bool> + Send + Sync>;

/// What is looked at, and how often.
pub struct Ballot {
    pub id: MemberId,
    pub ask: Ask,
    pub metrics: watch::Receiver<RaftMetrics<MemberId, Member>>,
    pub heard: Arc<Heard>,
    /// After so much silence a leader counts as gone.
    pub silence: Duration,
    /// Between two looks; the others have twice as long to answer.
    pub pause: Duration,
}

impl Ballot {
    /// Opens and closes `raft`'s way to elections, for as long as the log is open.
    pub async fn keep(self, raft: Raft<Types>) {
        loop {
            let may = self.may_stand().await;
            raft.runtime_config().elect(may);
            sleep(self.pause).await;
        }
    }

    async fn may_stand(&self) -> bool {
        let (voters, others) = {
            let metrics = self.metrics.borrow();
            if metrics.state == ServerState::Leader {
                return true;
            }
            let membership = metrics.membership_config.membership();
            let voters = membership.voter_ids().count();
            let ids = membership.voter_ids().filter(|id| *id != self.id);
            let others = ids.filter_map(|id| Some((id, membership.get_node(&id)?.clone())));
            (voters, others.collect::<Vec<_>>())
        };
        if others.is_empty() {
            return true;
        }
        if self.heard.is_within(self.silence) {
            return false;
        }
        // This one hears none.
        let wanted = voters / 2;
        let mut asked: FuturesUnordered<_> =
            others.iter().map(|(id, member)| (self.ask)(*id, member, 2 * self.pause)).collect();
        let mut agreeing = 0;
        while agreeing < wanted {
            match asked.next().await {
                Some(true) => agreeing += 1,
                Some(false) => {}
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use openraft::{Membership, StoredMembership};

    use super::*;

    const SILENCE: Duration = Duration::from_millis(300);

    /// Master 1 of so many; `agree` of the others say that they hear nobody, the rest cannot be reached.
    fn ballot(n: u64, agree: u64, state: ServerState) -> Ballot {
        let voters: BTreeSet<MemberId> = (1..=n).collect();
        let members: BTreeMap<MemberId, Member> =
            (1..=n).map(|id| (id, Member { address: id.to_string() })).collect();
        let membership = StoredMembership::new(None, Membership::new(vec![voters], members));
        let metrics = RaftMetrics {
            state,
            membership_config: Arc::new(membership),
            ..RaftMetrics::new_initial(1)
        };
        Ballot {
            id: 1,
            metrics: watch::Sender::new(metrics).subscribe(),
            heard: Arc::new(Heard::default()),
            ask: Box::new(move |id, _, _| Box::pin(async move { id <= 1 + agree })),
            silence: SILENCE,
            pause: SILENCE / 5,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_majority_has_to_hear_nobody() {
        for (n, agree, may) in [
            (1, 0, true),
            (3, 0, false),
            (3, 1, true),
            (3, 2, true),
            (5, 1, false),
            (5, 2, true),
            (5, 4, true),
        ] {
            let stands = ballot(n, agree, ServerState::Follower).may_stand().await;
            assert_eq!(stands, may, "{agree} of {n} agree");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_hears_a_leader_does_not_stand_whatever_the_others_say() {
        let ballot = ballot(3, 2, ServerState::Follower);
        ballot.heard.note(1, 1, None);
        assert!(!ballot.may_stand().await);
        tokio::time::advance(SILENCE).await;
        assert!(ballot.may_stand().await, "it has fallen silent");
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_s_way_stays_open() {
        assert!(ballot(3, 0, ServerState::Leader).may_stand().await);
    }
}
