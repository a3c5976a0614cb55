//! The cluster's level (`base::level`): who can do what, and when it rises.

use super::tx::Tx;
use crate::{
    core::{
        command::{Accepted, Rejected},
        state::{Cluster, State},
    },
    model::master::Master,
};

/// A master introduces itself.
pub fn register(tx: &mut Tx<'_>, master: &Master) -> Result<Accepted, Rejected> {
    check(tx.state, || format!("master {}", master.id), master.level)?;
    if tx.state.masters.get(&master.id).is_none_or(|known| **known != *master) {
        tx.put(master.id, master.clone());
    }
    Ok(Accepted::default())
}

/// Refuses who cannot do what the cluster does already.
pub fn check(state: &State, who: impl Fn() -> String, level: u32) -> Result<(), Rejected> {
    let wanted = state.level();
    if level < wanted {
        return Err(Rejected::TooOld { who: who(), level, wanted });
    }
    Ok(())
}

/// Raises the level; refused while somebody who belongs to the cluster cannot do it, heard or not.
pub fn raise(tx: &mut Tx<'_>, to: u32) -> Result<Accepted, Rejected> {
    let Some(cluster) = tx.state.cluster.clone().filter(|cluster| cluster.level < to) else {
        return Ok(Accepted::default());
    };
    let by = held_back_by(tx.state, to);
    if !by.is_empty() {
        return Err(Rejected::HeldBack { to, by });
    }
    tx.put_cluster(Cluster { level: to, ..(*cluster).clone() });
    Ok(Accepted { n_done: 1, ..Accepted::default() })
}

/// The masters and nodes that cannot do a level, by name, with their release.
pub fn held_back_by(state: &State, level: u32) -> Vec<String> {
    let masters = state.masters.values().filter(|master| master.level < level);
    let masters = masters.map(|m| format!("master {} (tepui {})", m.id, m.release));
    let nodes = state.nodes.values().filter(|node| node.info.level < level);
    let nodes = nodes.map(|n| format!("node {} (tepui {})", n.info.id, n.info.version));
    masters.chain(nodes).collect()
}
