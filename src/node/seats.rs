//! Keeps the log's members equal to the list of masters in the state: the leader's work. What is due is
//! decided in `plan`.

mod plan;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use tokio::time::{Instant, sleep, timeout};

use super::seat::Seat;
use crate::{
    base::level,
    core::{ClusterCommand, Command, State, apply::gate},
    log::Log,
    model::master::{Addresses, Master},
};
use plan::{Step, Wish};

/// How often it is looked whether a follower has caught up, or something is left to do.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// The same for a master that is alone: what gives it something to do is a change of the state.
const LOOK_ALONE_EVERY: Duration = Duration::from_secs(5);
/// Shortest time between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// How long one change of the members may take: a master may die in it.
const CHANGE: Duration = Duration::from_secs(10);
/// How long a removed master stays: its vote may be needed for its own removal.
const FAREWELL: Duration = Duration::from_secs(5);

/// Keeps the members while this master leads. Ends when this master was removed.
///
/// # Errors
/// That it was removed.
pub async fn keep(log: Log<State>, seat: Arc<Seat>) -> anyhow::Result<()> {
    let mut changed = log.feed().changed();
    let mut removed: Option<Instant> = None;
    let mut leads: Option<Instant> = None;
    loop {
        let state = log.state();
        let gone = gate::is_removed(&state, seat.id);
        let since = gone.then(|| removed.unwrap_or_else(Instant::now));
        removed = since;
        leads = log.is_leader().then(|| leads.unwrap_or_else(Instant::now));
        if let Some(leads) = leads.filter(|_| state.level() >= level::MASTERS) {
            if step(&log, &state, seat.id, leads.elapsed()).await {
                continue;
            }
        } else if since.is_some_and(|at| at.elapsed() >= FAREWELL) {
            bail!("{}", gate::removed(seat.id));
        }
        let is_alone = state.masters.len() == 1 && log.members().len() == 1;
        tokio::select! {
            moved = changed.changed() => moved.context("the log has ended")?,
            () = sleep(if is_alone { LOOK_ALONE_EVERY } else { LOOK_EVERY }) => {}
        }
        sleep(PAUSE).await;
    }
}

/// Takes one step, if there is one to take; whether it worked.
async fn step(log: &Log<State>, state: &State, me: u64, led_for: Duration) -> bool {
    let masters: BTreeMap<u64, Wish> =
        state.masters.values().map(|master| (master.id, Wish::of(master))).collect();
    let step = match log.unsettled() {
        // Begun by this master or by one that led before it.
        Some(goal) => Some(Step::Decide(goal)),
        None => plan::next(&masters, &log.members(), me, led_for),
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
