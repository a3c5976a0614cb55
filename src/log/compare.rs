//! Masters compare their states, so that one that went another way does not stay unnoticed.
//!
//! At intervals, when something has changed, the leader writes an entry without commands. Whoever
//! applies it keeps the state of exactly that place and makes its fingerprint beside the work. The
//! leader asks the others for theirs. Who differs from most of them stops with an error that says
//! so: what it holds cannot be trusted, and nobody can tell which command it took otherwise. With
//! two answers that differ the leader's counts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use openraft::ServerState;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    codec::{self, Origin},
    machine::{Machine, Revision},
    peer::wire::{Call, Refused, Reply},
    raft::Core,
    types::{Member, MemberId, Payload},
};

/// How long the fingerprint of one place may take, and asking for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A state as it was right after an entry.
pub struct Place<M> {
    pub index: u64,
    pub machine: M,
}

/// Where states are compared, from the one who applies to the one who makes fingerprints. While one
/// is made no other waits: a state held for long keeps memory that the present one has let go of.
pub type Places<M> = mpsc::Sender<Place<M>>;

/// The fingerprint of a state after an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    pub index: u64,
    pub fingerprint: u64,
}

/// What this master found of itself, and what others say of it.
pub struct Comparison {
    marks: watch::Sender<Mark>,
    verdict: watch::Sender<Option<String>>,
}

impl Default for Comparison {
    fn default() -> Self {
        Self { marks: watch::Sender::new(Mark::default()), verdict: watch::Sender::new(None) }
    }
}

impl Comparison {
    /// The fingerprint after the entry at `index`, as soon as this master has it.
    pub async fn at(&self, index: u64) -> Result<u64, Refused> {
        let mut marks = self.marks.subscribe();
        let reached = timeout(PATIENCE, marks.wait_for(|mark| mark.index >= index)).await;
        let mark = *reached.map_err(|_| Refused::Busy)?.map_err(|_| Refused::Busy)?;
        // Another place was reached meanwhile, or a whole state came that skipped this one.
        if mark.index == index { Ok(mark.fingerprint) } else { Err(Refused::Unknown) }
    }

    /// This master's state is not what the others have: it stops.
    pub fn differs(&self, index: u64, theirs: u64) {
        let Mark { fingerprint, .. } = *self.marks.borrow();
        self.verdict.send_replace(Some(format!(
            "the state of this master after log entry {index} is not that of the other masters \
             (fingerprint {fingerprint:016x} here, {theirs:016x} there): it stops, so that nothing \
             wrong is told or kept. Report it with a copy of its directory log; started with an \
             empty one it takes the state from the others"
        )));
    }
}

/// Starts the tasks: one that makes fingerprints, one that compares while this master leads. The
/// first error of either, or a verdict of the others, ends the process with its words.
pub fn start<M: Machine>(
    core: &Arc<Core<M>>,
    mut places: mpsc::Receiver<Place<M>>,
    every: Duration,
) {
    let tasks = core.tasks().clone();
    let mut verdict = core.comparison.verdict.subscribe();
    let cancelled = tasks.cancelled();
    tasks.vital("log verdict", async move {
        let verdict = cancelled.run_until_cancelled(verdict.wait_for(Option::is_some)).await;
        match verdict {
            Some(Ok(verdict)) => Err(anyhow::anyhow!(verdict.clone().unwrap_or_default())),
            Some(Err(_)) | None => Ok(()),
        }
    });
    let marking = core.clone();
    tasks.connection("log fingerprints", async move {
        while let Some(place) = places.recv().await {
            let index = place.index;
            let work = tokio::task::spawn_blocking(move || place.machine.fingerprint());
            let Ok(fingerprint) = work.await else { return };
            marking.comparison.marks.send_replace(Mark { index, fingerprint });
        }
    });
    tasks.connection("log comparison", compare(core.clone(), every));
}

async fn compare<M: Machine>(core: Arc<Core<M>>, every: Duration) {
    let mut seen: Revision = 0;
    loop {
        tokio::time::sleep(every).await;
        let revision = core.feed.latest().revision();
        if revision == seen {
            continue;
        }
        let others = others(&core);
        if others.is_empty() {
            continue;
        }
        match compare_at_a_new_place(&core, others).await {
            Ok(()) => seen = revision,
            Err(why) => tracing::debug!(why, "states were not compared"),
        }
    }
}

/// The other masters with a vote, while this one leads.
fn others<M: Machine>(core: &Core<M>) -> BTreeMap<MemberId, Member> {
    let metrics = core.metrics.borrow();
    if metrics.state != ServerState::Leader {
        return BTreeMap::new();
    }
    let membership = metrics.membership_config.membership();
    let voters = membership.voter_ids().filter(|id| *id != core.id);
    voters.filter_map(|id| Some((id, membership.get_node(&id)?.clone()))).collect()
}

async fn compare_at_a_new_place<M: Machine>(
    core: &Core<M>,
    others: BTreeMap<MemberId, Member>,
) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let nobody = Origin { member: core.id, epoch: 0, seq: 0 };
    let written = core.raft.client_write(Payload(codec::encode_batch(nobody, &[])));
    let written = timeout(PATIENCE, written).await.map_err(|error| text(&error))?;
    let index = written.map_err(|error| text(&error))?.log_id.index;
    let ours = core.comparison.at(index).await.map_err(|error| text(&error))?;
    let asked = others.iter().map(async |(id, member)| {
        let peer = core.network.peer(*id, member).ok()?;
        match peer.call(Call::Fingerprint { index }, PATIENCE + PATIENCE).await {
            Ok(Reply::Fingerprint(theirs)) => Some((*id, theirs)),
            Ok(_) | Err(_) => None, // away, or behind
        }
    });
    let answers: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
    tracing::debug!(index, n = answers.len(), "states compared");
    let right = most_frequent(ours, answers.iter().map(|(_, theirs)| *theirs));
    if right != ours {
        core.comparison.differs(index, right);
        return Ok(());
    }
    for (id, _) in answers.iter().filter(|(_, theirs)| *theirs != right) {
        tracing::error!(master = id, index, "a master's state differs from that of the others");
        let Some(Ok(peer)) = others.get(id).map(|member| core.network.peer(*id, member)) else {
            continue;
        };
        let told = peer.call(Call::Differs { index, fingerprint: right }, PATIENCE).await;
        if let Err(error) = told {
            tracing::warn!(master = id, %error, "a master whose state differs could not be told");
        }
    }
    Ok(())
}

/// What most have; among equals `ours`.
fn most_frequent(ours: u64, theirs: impl Iterator<Item = u64>) -> u64 {
    let mut counts = BTreeMap::from([(ours, 1_usize)]);
    theirs.for_each(|fingerprint| *counts.entry(fingerprint).or_default() += 1);
    let most = counts.values().copied().max().unwrap_or(0);
    if counts[&ours] == most {
        return ours;
    }
    counts.into_iter().find(|(_, n)| *n == most).map_or(ours, |(fingerprint, _)| fingerprint)
}

#[cfg(test)]
mod tests;
