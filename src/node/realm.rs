//! What the cluster's names are made of besides its tasks: the masters, and which one leads.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, time::sleep};

use crate::{
    base::task::Tasks,
    control::links::Links,
    core::{State, naming::tasks::marathon},
    log::Log,
    model::{master::Addresses, names::Realm},
};

/// Shortest time between two looks: every command is a change, and few are of masters.
const PAUSE: Duration = Duration::from_millis(50);

/// What this master adds to what all say.
pub struct Own {
    /// What stays as it is: ports and the life of records.
    pub base: Realm,
    pub address: IpAddr,
    pub addresses: Addresses,
}

/// Keeps what is sent, and what agents are told, equal to the masters of the state and the one that leads.
pub fn follow(
    log: Log<State>,
    own: Own,
    links: Links,
    tasks: &Tasks,
) -> watch::Receiver<Arc<Realm>> {
    let first = realm(&log, &own, None);
    links.tell_names(first.clone());
    let (tell, told) = watch::channel(Arc::new(first));
    let cancelled = tasks.cancelled();
    tasks.connection("realm", async move {
        let (mut changed, mut leadership) = (log.feed().changed(), log.leadership());
        loop {
            let moved = async {
                tokio::select! {
                    moved = changed.changed() => moved.is_ok(),
                    moved = leadership.changed() => moved.is_ok(),
                }
            };
            // An end of either is the end of the log, and of the process with it.
            if cancelled.run_until_cancelled(moved).await != Some(true) {
                return;
            }
            let last = tell.borrow().clone();
            let now = realm(&log, &own, last.leader);
            if now != *last {
                links.tell_names(now.clone());
                tell.send_replace(Arc::new(now));
            }
            sleep(PAUSE).await;
        }
    });
    told
}

/// As of now. While nobody leads the last leader's name stays: it may lead again, and a name that is
/// gone is remembered as gone by those who asked.
fn realm(log: &Log<State>, own: &Own, last: Option<IpAddr>) -> Realm {
    let state = log.state();
    let mut masters: Vec<IpAddr> =
        state.masters.values().filter_map(|m| host(&m.addresses.peers)).collect();
    if masters.is_empty() {
        masters.push(own.address);
    }
    let me = log.id();
    let addresses = |id: u64| match id == me {
        true => Some(&own.addresses),
        false => state.masters.get(&id).map(|master| &master.addresses),
    };
    let leading = log.leader().and_then(|(id, _)| addresses(id));
    let leader = leading.and_then(|led| host(&led.peers)).or(last);
    // Its scheduler answers on every master: others pass on what is its business.
    let scheduler = leading.unwrap_or(&own.addresses).marathon.parse::<SocketAddr>().ok();
    let port = scheduler.map(|at| at.port());
    Realm {
        name_servers: masters.clone(),
        masters,
        leader,
        frameworks: leader.zip(port).map(|(at, port)| marathon(at, port)).into_iter().collect(),
        this_node: Some(own.address),
        ..own.base.clone()
    }
}

fn host(address: &str) -> Option<IpAddr> {
    address.parse::<SocketAddr>().ok().map(|address| address.ip())
}
