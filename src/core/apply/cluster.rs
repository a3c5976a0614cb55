//! Birth of the cluster, its masters, and its level (`base::level`): who can do what, and when it rises.

use super::tx::Tx;
use crate::{
    base::level,
    choice,
    core::{
        Accepted, Rejected, Thing,
        state::{Cluster, Group, State},
    },
    message,
    model::{access::User, master::Master, path::PathId},
};

/// Commands about the cluster as a whole.
#[derive(Clone, Debug)]
pub enum ClusterCommand {
    /// First command of a cluster; later ones are refused.
    Init(Init),
    /// A master has started and says where it is reached and what it can do.
    RegisterMaster(Box<Master>),
    /// Lets the cluster do what only releases of this level and later can.
    RaiseLevel(u32),
}

/// Birth of a cluster.
#[derive(Clone, Debug)]
pub struct Init {
    pub cluster: String,
    pub name: String,
    /// Signs login tokens.
    pub secret: [u8; 32],
    pub users: Vec<User>,
    /// What its first master can do.
    pub level: u32,
}

choice!(ClusterCommand { 1: Init(it), 25: RegisterMaster(it), 26: RaiseLevel(it) });
message!(Init { 1: cluster, 2: name, 3: secret, 4: users, 5: level = level::FIRST });

pub(super) fn run(tx: &mut Tx<'_>, command: &ClusterCommand) -> Result<Accepted, Rejected> {
    match command {
        ClusterCommand::Init(it) => init(tx, it),
        ClusterCommand::RegisterMaster(master) => register(tx, master),
        ClusterCommand::RaiseLevel(to) => raise(tx, *to),
    }
}

fn init(tx: &mut Tx<'_>, init: &Init) -> Result<Accepted, Rejected> {
    if tx.state.cluster.is_some() {
        return Err(Rejected::Exists(Thing::Cluster.itself()));
    }
    let at = tx.at();
    tx.put_cluster(Cluster {
        id: init.cluster.clone(),
        name: init.name.clone(),
        secret: init.secret,
        created_at: at,
        n_nodes: 0,
        level: init.level,
    });
    tx.put_group(Group {
        id: PathId::root(),
        dependencies: Default::default(),
        enforce_role: false,
        version: at,
    });
    let generation = tx.state.revision;
    for user in &init.users {
        tx.put_user(User { generation, ..user.clone() });
    }
    Ok(Accepted::default())
}

/// A master introduces itself.
fn register(tx: &mut Tx<'_>, master: &Master) -> Result<Accepted, Rejected> {
    check_level(tx.state, || format!("master {}", master.id), master.level)?;
    if tx.state.masters.get(&master.id).is_none_or(|known| **known != *master) {
        tx.put(master.id, master.clone());
    }
    Ok(Accepted::default())
}

/// Refuses who cannot do what the cluster does already.
pub(super) fn check_level(
    state: &State,
    who: impl Fn() -> String,
    level: u32,
) -> Result<(), Rejected> {
    let wanted = state.level();
    if level < wanted {
        return Err(Rejected::TooOld { who: who(), level, wanted });
    }
    Ok(())
}

/// Raises the level; refused while somebody who belongs to the cluster cannot do it, heard or not.
fn raise(tx: &mut Tx<'_>, to: u32) -> Result<Accepted, Rejected> {
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
