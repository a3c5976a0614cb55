//! Birth of the cluster, its masters, and its level (`base::level`): who can do what, and when it rises.

use super::{
    admission,
    gate::{check_level, is_removed, need_level, removed},
    tx::Tx,
    volume,
};
use crate::{
    base::level,
    choice,
    core::{
        Accepted, Rejected, Thing,
        state::{Cluster, Group, State},
        told::{Kind, Told},
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
    /// Forgets a master that will not come back, for good: its certificate and its part of the secrets
    /// go with it. From level `level::MASTERS` on.
    RemoveMaster(u64),
    /// Whether a master is to follow only, and to decide in need alone. From level `level::STAND_BY` on.
    StandBy { master: u64, stands_by: bool },
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

choice!(ClusterCommand {
    1: Init(it),
    25: RegisterMaster(it),
    26: RaiseLevel(it),
    30: RemoveMaster(it),
    31: StandBy { 1: master, 2: stands_by },
});
message!(Init { 1: cluster, 2: name, 3: secret, 4: users, 5: level = level::FIRST });

pub(super) fn run(tx: &mut Tx<'_>, command: &ClusterCommand) -> Result<Accepted, Rejected> {
    match command {
        ClusterCommand::Init(it) => init(tx, it),
        ClusterCommand::RegisterMaster(master) => register(tx, master),
        ClusterCommand::RaiseLevel(to) => raise(tx, *to),
        ClusterCommand::RemoveMaster(id) => remove(tx, *id),
        ClusterCommand::StandBy { master, stands_by } => stand_by(tx, *master, *stands_by),
    }
}

pub(super) fn told(command: &ClusterCommand) -> Told {
    let of = match command {
        ClusterCommand::RemoveMaster(id) | ClusterCommand::StandBy { master: id, .. } => {
            id.to_string()
        }
        ClusterCommand::Init(_)
        | ClusterCommand::RegisterMaster(_)
        | ClusterCommand::RaiseLevel(_) => String::new(),
    };
    let text = match command {
        ClusterCommand::Init(_) => "cluster made".to_owned(),
        ClusterCommand::RegisterMaster(master) => format!("master {} started", master.id),
        ClusterCommand::RaiseLevel(to) => format!("level raised to {to}"),
        ClusterCommand::RemoveMaster(_) => "master removed".to_owned(),
        ClusterCommand::StandBy { stands_by: true, .. } => "master to stand by".to_owned(),
        ClusterCommand::StandBy { .. } => "master to decide again".to_owned(),
    };
    Told::new(Kind::Cluster, of, text)
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
        n_masters: 0,
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

/// A master introduces itself. What it was given when it joined stays as it is; one that was removed
/// does not come back like that.
fn register(tx: &mut Tx<'_>, master: &Master) -> Result<Accepted, Rejected> {
    check_level(tx.state, || format!("master {}", master.id), master.level)?;
    let known = tx.state.masters.get(&master.id).cloned();
    if is_removed(tx.state, master.id) {
        return Err(removed(master.id));
    }
    let master = match &known {
        Some(known) => Master {
            release: master.release.clone(),
            level: master.level,
            addresses: master.addresses.clone(),
            ..(**known).clone()
        },
        None => Master { node: None, seal: Vec::new(), sealed: None, ..master.clone() },
    };
    if known.is_none_or(|known| *known != master) {
        tx.put(master.id, master);
    }
    Ok(Accepted::default())
}

/// Forgets a master. The log's members follow (`node::seats`).
fn remove(tx: &mut Tx<'_>, id: u64) -> Result<Accepted, Rejected> {
    need_level(tx.state, level::MASTERS, "masters are not removed")?;
    let Some(master) = tx.state.masters.get(&id).cloned() else {
        return Err(Rejected::invalid("master", format!("there is no master {id}")));
    };
    if tx.state.masters.len() == 1 {
        return Err(Rejected::invalid("master", format!("{id} is the only one")));
    }
    if let Some(node) = &master.node {
        admission::revoke_all(tx, node);
    }
    tx.remove::<Master>(&id);
    Ok(Accepted { n_done: 1, ..Accepted::default() })
}

/// Says whether a master is to stand by. The log's members follow (`node::seats`), as soon as there are
/// others to decide.
fn stand_by(tx: &mut Tx<'_>, id: u64, stands_by: bool) -> Result<Accepted, Rejected> {
    need_level(tx.state, level::STAND_BY, "masters are not told to stand by")?;
    let Some(master) = tx.state.masters.get(&id).cloned() else {
        return Err(Rejected::invalid("master", format!("there is no master {id}")));
    };
    let is_other = |other: &Master| other.id != id && !other.stands_by;
    if stands_by && !tx.state.masters.values().any(|other| is_other(other)) {
        return Err(Rejected::invalid("master", format!("{id} is the only one that is to decide")));
    }
    if master.stands_by == stands_by {
        return Ok(Accepted::default());
    }
    tx.put(id, Master { stands_by, ..(*master).clone() });
    Ok(Accepted { n_done: 1, ..Accepted::default() })
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
    let before = cluster.level;
    tx.put_cluster(Cluster { level: to, ..(*cluster).clone() });
    if before < level::VOLUMES && to >= level::VOLUMES {
        volume::adopt(tx);
    }
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
