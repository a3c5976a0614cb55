//! The shapes of what the log stores and what masters send each other. openraft's own types have
//! theirs here too, so that another release of it changes nothing that was written.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::{
    EntryPayload,
    raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse},
};

use super::{
    peer::wire::{Call, Hello, Refused, Reply, Request, Response, Since},
    replica::AppliedMark,
    types::{Entry, ImageMeta, LogId, Member, MemberId, Membership, Payload, Types, Vote},
};
use crate::{choice, message, transparent, written_as};

type LeaderId = openraft::LeaderId<MemberId>;
type Content = EntryPayload<Types>;
type Config = openraft::Membership<MemberId, Member>;
type Append = AppendEntriesRequest<Types>;
type Appended = AppendEntriesResponse<MemberId>;
type Ballot = VoteRequest<MemberId>;
type Voted = VoteResponse<MemberId>;

message!(LeaderId { 1: term, 2: node_id });
message!(LogId { 1: leader_id, 2: index });
message!(Vote { 1: leader_id, 2: committed });
message!(Entry { 1: log_id, 2: payload });
choice!(Content { 1: Blank, 2: Normal(batch), 3: Membership(config) });
transparent!(Payload(Bytes) element);
message!(Member { 1: address });

/// Who has a vote, in each of the sets that decide at the moment.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Voters {
    members: BTreeSet<MemberId>,
}

/// Masters with the sets of those who have a vote.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Masters {
    voters: Vec<Voters>,
    members: BTreeMap<MemberId, Member>,
}

message!(Voters { 1: members });
message!(Masters { 1: voters, 2: members });
written_as!(
    Config as Masters,
    |config| {
        let sets = config.get_joint_config().iter();
        Masters {
            voters: sets.map(|members| Voters { members: members.clone() }).collect(),
            members: config.nodes().map(|(id, member)| (*id, member.clone())).collect(),
        }
    },
    |masters| {
        let voters = masters.voters.into_iter().map(|set| set.members).collect();
        Ok(Self::new(voters, masters.members))
    }
);
written_as!(
    Membership as (Option<LogId>, Config),
    |stored| (*stored.log_id(), stored.membership().clone()),
    |(log_id, config)| Ok(Self::new(log_id, config))
);
message!(AppliedMark { 1: log_id, 2: membership });
message!(ImageMeta { 1: last_log_id, 2: last_membership, 3: snapshot_id });

message!(Append { 1: vote, 2: prev_log_id, 3: entries, 4: leader_commit });
choice!(Appended { 1: Success, 2: PartialSuccess[upto], 3: Conflict, 4: HigherVote(vote) });
message!(Ballot { 1: vote, 2: last_log_id });
message!(Voted { 1: vote, 2: vote_granted, 3: last_log_id });

message!(Hello { 1: oldest, 2: newest, 3: release, 4: cluster, 5: from, 6: to });
message!(Request { 1: id, 2: call, 3: since });
message!(Since { 1: answered, 2: ago_ms });
message!(Response { 1: id, 2: reply });
choice!(Call {
    1: Ping,
    2: Append(entries),
    3: Vote(ballot),
    4: ImageBegin { 1: vote, 2: meta },
    5: ImageRows { 1: transfer, 2: rows },
    6: ImageEnd { 1: transfer },
    7: Forward[commands],
    8: Barrier,
    9: Elect,
    10: Fingerprint { 1: index },
    11: Differs { 1: index, 2: fingerprint },
    12: Ask(question),
    13: Hears,
});
choice!(Reply {
    1: Pong,
    2: Append(appended),
    3: Vote(voted),
    4: ImageBegun(transfer),
    5: ImageTaken,
    6: ImageDone(vote),
    7: Forwarded[answers],
    8: Barrier(revision),
    9: Elected,
    10: Refused(why),
    11: Fingerprint(fingerprint),
    12: Told,
    13: Answered(answer),
    14: Hears(yes),
});
choice!(Refused { 1: NotLeader, 2: Busy, 3: DiskFull, 4: Unknown, 5: Stopped(why), 6: Other(why) });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::wire::sample::{hold, shape};

    #[test]
    fn what_is_written_of_the_log_and_between_masters_stays_readable() {
        hold(
            "log",
            &[
                shape::<LeaderId>(),
                shape::<LogId>(),
                shape::<Vote>(),
                shape::<Entry>(),
                shape::<Content>(),
                shape::<Member>(),
                shape::<Voters>(),
                shape::<Masters>(),
                shape::<AppliedMark>(),
                shape::<ImageMeta>(),
                shape::<Append>(),
                shape::<Appended>(),
                shape::<Ballot>(),
                shape::<Voted>(),
                shape::<Hello>(),
                shape::<Request>(),
                shape::<Since>(),
                shape::<Response>(),
                shape::<Call>(),
                shape::<Reply>(),
                shape::<Refused>(),
            ],
        );
    }
}
