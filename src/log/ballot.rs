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
    pub raft: Raft<Types>,
    pub ask: Ask,
    pub metrics: watch::Receiver<RaftMetrics<MemberId, Member>>,
    pub heard: Arc<Heard>,
    /// After so much silence a leader counts as gone.
    pub silence: Duration,
    /// Between two looks; the others have twice as long to answer.
    pub pause: Duration,
}

impl Ballot {
    /// Opens and closes the way to elections, for as long as the log is open.
    pub async fn keep(self) {
        loop {
            let may = self.may_stand().await;
            self.raft.runtime_config().elect(may);
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
