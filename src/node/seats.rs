//! Keeps the log's members equal to the list of masters in the state: the leader's work.
//!
//! A master that joined first follows the log until it has everything, then decides with the others.
//! Deciding masters come in odd numbers, 1, 3 and 5: a second one would make the cluster stand still when
//! either is away, so it follows until there is a third. When one is removed the others go on as they
//! are: what was acknowledged is on most of them, and fewer would hold less.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::time::{Instant, sleep, timeout};

use super::seat::Seat;
use crate::{
    base::level,
    core::{ClusterCommand, Command, State, apply::gate},
    log::{Log, Standing},
    model::master::{Addresses, Master},
};

/// How often it is looked whether a follower has caught up, or something is left to do.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Shortest time between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// How long one change of the members may take: a master may die in it.
const CHANGE: Duration = Duration::from_secs(10);
/// Masters that decide at most: more only make each command slower.
const VOTERS_MAX: usize = 5;
/// Entries that one may lack that begins to decide.
const BEHIND_MAX: u64 = 64;
/// How long a removed master stays: its vote may be needed for its own removal.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the leader does next.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    /// Has a master follow, or tells the others where it is reached.
    Put(u64, String),
    /// Has exactly these decide.
    Decide(BTreeSet<u64>),
    /// Has a master leave that only follows.
    Drop(u64),
    /// Lets another lead: this one was removed.
    GiveWay,
}

/// The next step towards the members being the masters of the state.
fn next(masters: &BTreeMap<u64, String>, members: &[Standing], me: u64) -> Option<Step> {
    let known = |id: &u64| members.iter().find(|member| member.id == *id);
    for (id, address) in masters.iter().filter(|(_, address)| !address.is_empty()) {
        if known(id).is_none_or(|member| member.address != *address) {
            return Some(Step::Put(*id, address.clone()));
        }
    }
    let voters: BTreeSet<u64> = members.iter().filter(|m| m.is_voter).map(|m| m.id).collect();
    let stay: BTreeSet<u64> =
        voters.iter().copied().filter(|id| masters.contains_key(id)).collect();
    let ready = || {
        members.iter().filter(|m| {
            let caught_up = m.behind.is_some_and(|behind| behind <= BEHIND_MAX);
            !m.is_voter && masters.contains_key(&m.id) && caught_up
        })
    };
    if !masters.contains_key(&me) {
        if !stay.is_empty() {
            return Some(Step::GiveWay);
        }
        // Somebody has to decide before the last one goes.
        return ready().next().map(|heir| Step::Decide(BTreeSet::from([me, heir.id])));
    }
    if stay.len() < voters.len() {
        return Some(Step::Decide(stay));
    }
    if let Some(gone) = members.iter().find(|m| !m.is_voter && !masters.contains_key(&m.id)) {
        return Some(Step::Drop(gone.id));
    }
    let n_more = if voters.len() % 2 == 1 { 2 } else { 1 };
    let more: Vec<u64> = ready().take(n_more).map(|member| member.id).collect();
    (more.len() == n_more && voters.len() + n_more <= VOTERS_MAX)
        .then(|| Step::Decide(voters.into_iter().chain(more).collect()))
}

/// Keeps the members while this master leads. Ends when this master was removed.
///
/// # Errors
/// That it was removed.
pub async fn keep(log: Log<State>, seat: Arc<Seat>) -> anyhow::Result<()> {
    let mut changed = log.feed().changed();
    let mut removed: Option<Instant> = None;
    loop {
        let state = log.state();
        let gone = gate::is_removed(&state, seat.id);
        let since = gone.then(|| removed.unwrap_or_else(Instant::now));
        removed = since;
        if log.is_leader() && state.level() >= level::MASTERS {
            if step(&log, &state, seat.id).await {
                continue;
            }
        } else if since.is_some_and(|at| at.elapsed() >= FAREWELL) {
            bail!("{}", gate::removed(seat.id));
        }
        tokio::select! {
            moved = changed.changed() => moved.context("the log has ended")?,
            () = sleep(LOOK_EVERY) => {}
        }
        sleep(PAUSE).await;
    }
}

/// Takes one step, if there is one to take; whether it worked.
async fn step(log: &Log<State>, state: &State, me: u64) -> bool {
    let masters: BTreeMap<u64, String> =
        state.masters.values().map(|m| (m.id, m.addresses.peers.clone())).collect();
    let step = match log.unsettled() {
        // Begun by this master or by one that led before it.
        Some(goal) => Some(Step::Decide(goal)),
        None => next(&masters, &log.members(), me),
    };
    let Some(step) = step else { return false };
    tracing::info!(?step, "the masters change");
    let change = async {
        match &step {
            Step::Put(id, address) => log.put_member(*id, address.clone()).await,
            Step::Decide(voters) => log.put_voters(voters.clone()).await,
            Step::Drop(id) => log.drop_member(*id).await,
            Step::GiveWay => {
                log.give_way().await;
                Ok(())
            }
        }
    };
    match timeout(CHANGE, change).await {
        Ok(Ok(())) => step != Step::GiveWay,
        Ok(Err(error)) => {
            tracing::warn!(?step, %error, "the masters did not change; trying again");
            false
        }
        Err(_) => {
            tracing::warn!(?step, "a change of the masters takes long: is one of them away?");
            false
        }
    }
}

/// Tells the cluster what this master can do, where it is reached and what it is known by, as soon as the
/// log takes it and whenever something of it has changed. A master starts with a full disk, or without a
/// leader, as well.
///
/// # Errors
/// When the log takes none of it; to be called again.
pub async fn register(
    log: Log<State>,
    seat: Arc<Seat>,
    addresses: Addresses,
) -> anyhow::Result<()> {
    let release = env!("CARGO_PKG_VERSION");
    let told = Master::new(seat.id, release, level::LEVEL, addresses);
    let mut changed = log.feed().changed();
    loop {
        changed.borrow_and_update();
        let state = log.state();
        if let Some(command) = unsaid(&state, &seat, &told)? {
            log.propose(command).await??;
        } else {
            changed.changed().await.context("the log has ended")?;
            // Every command is a change, and few are of masters.
            sleep(LOOK_EVERY).await;
        }
    }
}

fn unsaid(state: &State, seat: &Seat, told: &Master) -> anyhow::Result<Option<Command>> {
    if gate::is_removed(state, seat.id) {
        return Ok(None);
    }
    let known = state.masters.get(&seat.id);
    if known.is_none_or(|known| !known.says_the_same(told)) {
        return Ok(Some(ClusterCommand::RegisterMaster(Box::new(told.clone())).into()));
    }
    if state.level() < level::MASTERS {
        return Ok(None);
    }
    Ok(seat.unsaid(state)?.map(Command::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masters(ids: &[u64]) -> BTreeMap<u64, String> {
        ids.iter().map(|id| (*id, format!("10.0.0.{id}:5070"))).collect()
    }

    fn member(id: u64, is_voter: bool, behind: Option<u64>) -> Standing {
        Standing { id, address: format!("10.0.0.{id}:5070"), is_voter, behind }
    }

    fn voters(ids: &[u64]) -> Vec<Standing> {
        ids.iter().map(|id| member(*id, true, Some(0))).collect()
    }

    fn decide(ids: &[u64]) -> Option<Step> {
        Some(Step::Decide(ids.iter().copied().collect()))
    }

    #[test]
    fn masters_follow_first_and_decide_in_odd_numbers() {
        let put = |id: u64| Some(Step::Put(id, format!("10.0.0.{id}:5070")));
        let mut members = voters(&[1]);
        assert_eq!(next(&masters(&[1]), &members, 1), None);
        assert_eq!(next(&masters(&[1, 2]), &members, 1), put(2));
        members.push(member(2, false, Some(0)));
        assert_eq!(next(&masters(&[1, 2]), &members, 1), None, "a second one only follows");
        members.push(member(3, false, None));
        assert_eq!(next(&masters(&[1, 2, 3]), &members, 1), None, "not answered yet");
        members[2].behind = Some(BEHIND_MAX + 1);
        assert_eq!(next(&masters(&[1, 2, 3]), &members, 1), None, "not caught up yet");
        members[2].behind = Some(BEHIND_MAX);
        assert_eq!(next(&masters(&[1, 2, 3]), &members, 1), decide(&[1, 2, 3]));
        let mut members = voters(&[1, 2, 3]);
        members.push(member(4, false, Some(0)));
        assert_eq!(next(&masters(&[1, 2, 3, 4]), &members, 1), None, "a fourth stands by");
        members.push(member(5, false, Some(0)));
        assert_eq!(next(&masters(&[1, 2, 3, 4, 5]), &members, 1), decide(&[1, 2, 3, 4, 5]));
        let mut members = voters(&[1, 2, 3, 4, 5]);
        members.extend([member(6, false, Some(0)), member(7, false, Some(0))]);
        assert_eq!(next(&masters(&[1, 2, 3, 4, 5, 6, 7]), &members, 1), None, "five are enough");
    }

    #[test]
    fn an_address_is_followed_and_one_that_is_not_known_changes_nothing() {
        let mut all = masters(&[1]);
        let mut members = voters(&[1]);
        members[0].address.clear();
        assert_eq!(next(&all, &members, 1), Some(Step::Put(1, "10.0.0.1:5070".into())));
        all.insert(1, String::new());
        assert_eq!(next(&all, &members, 1), None);
    }

    #[test]
    fn a_removed_master_leaves_and_a_spare_takes_its_place() {
        let mut members = voters(&[1, 2, 3]);
        assert_eq!(next(&masters(&[1, 3]), &members, 1), decide(&[1, 3]));
        members.push(member(4, false, Some(0)));
        assert_eq!(next(&masters(&[1, 2, 3]), &members, 1), Some(Step::Drop(4)));
        let mut members = voters(&[1, 3]);
        members.push(member(4, false, Some(0)));
        assert_eq!(next(&masters(&[1, 3, 4]), &members, 1), decide(&[1, 3, 4]));
    }

    #[test]
    fn a_leader_that_is_removed_lets_another_lead_first() {
        assert_eq!(next(&masters(&[2, 3]), &voters(&[1, 2, 3]), 1), Some(Step::GiveWay));
        let mut members = voters(&[1]);
        members.push(member(2, false, None));
        assert_eq!(next(&masters(&[2]), &members, 1), None, "the other has nothing yet");
        members[1].behind = Some(0);
        assert_eq!(next(&masters(&[2]), &members, 1), decide(&[1, 2]));
        assert_eq!(next(&masters(&[2]), &voters(&[1, 2]), 1), Some(Step::GiveWay));
        assert_eq!(next(&masters(&[2]), &voters(&[1, 2]), 2), decide(&[2]));
    }
}
