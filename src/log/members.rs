//! Who is in the log: masters that decide, and masters that only follow, as their leader changes it.
//!
//! A follower that is to decide gets everything first; one at a time is added or two at once, and openraft
//! goes through both sets, so that at no moment two majorities can decide.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use openraft::ChangeMembers;

use super::{
    machine::Machine,
    raft::Log,
    types::{Member, MemberId},
};

/// A member of the log, as its leader sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    pub id: MemberId,
    pub address: String,
    /// Whether it decides; else it follows.
    pub is_voter: bool,
    /// Entries it lacks; `None` of one that has not answered, and on a master that does not lead.
    pub behind: Option<u64>,
    /// How long ago it last answered this master; `None` of one that never did, and of this master.
    pub silent: Option<Duration>,
}

/// Why the members were not changed.
#[derive(Debug, thiserror::Error)]
#[error("the members of the log were not changed: {0}")]
pub struct MembersError(String);

impl<M: Machine> Log<M> {
    /// All members, by number.
    pub fn members(&self) -> Vec<Standing> {
        let metrics = self.metrics();
        let last = metrics.last_log_index.unwrap_or_default();
        let membership = metrics.membership_config.membership();
        let voters = membership.get_joint_config().last().cloned().unwrap_or_default();
        let behind = |id: &MemberId| {
            if *id == self.id() && metrics.replication.is_some() {
                return Some(0);
            }
            let matched = metrics.replication.as_ref()?.get(id).copied().flatten()?;
            Some(last.saturating_sub(matched.index))
        };
        let standing = |(id, member): (&MemberId, &Member)| Standing {
            id: *id,
            address: member.address.clone(),
            is_voter: voters.contains(id),
            behind: behind(id),
            silent: self.core.network.silent(*id),
        };
        membership.nodes().map(standing).collect()
    }

    /// Who is to decide once a change is over that was begun, by this master or by one that led before.
    pub fn unsettled(&self) -> Option<BTreeSet<MemberId>> {
        let metrics = self.metrics();
        let configs = metrics.membership_config.membership().get_joint_config();
        configs.last().filter(|_| configs.len() > 1).cloned()
    }

    /// Has a master follow, or says where it is reached now.
    ///
    /// # Errors
    /// When this master does not lead, or another change is under way.
    pub async fn put_member(&self, id: MemberId, address: String) -> Result<(), MembersError> {
        let member = BTreeMap::from([(id, Member { address })]);
        self.change(ChangeMembers::SetNodes(member)).await
    }

    /// Has exactly these decide; each has to follow already. One that decided before leaves the log.
    ///
    /// # Errors
    /// As `put_member`.
    pub async fn put_voters(&self, voters: BTreeSet<MemberId>) -> Result<(), MembersError> {
        self.change(ChangeMembers::ReplaceAllVoters(voters)).await
    }

    /// Has a master that only follows leave the log.
    ///
    /// # Errors
    /// As `put_member`.
    pub async fn drop_member(&self, id: MemberId) -> Result<(), MembersError> {
        self.change(ChangeMembers::RemoveNodes(BTreeSet::from([id]))).await
    }

    /// Hands leadership over, if another master decides, and goes on following.
    pub async fn give_way(&self) {
        self.core.hand_over_and_follow().await;
    }

    async fn change(&self, to: ChangeMembers<MemberId, Member>) -> Result<(), MembersError> {
        let changed = self.core.raft.change_membership(to, false).await;
        changed.map(drop).map_err(|error| MembersError(error.to_string()))
    }
}
