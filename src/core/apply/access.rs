//! Birth of the cluster, users, roles.

use super::tx::Tx;
use crate::{
    core::{
        Accepted, Rejected, Thing,
        command::{Expect, Init},
        state::{Cluster, Group},
    },
    model::{
        access::{Role, RoleSettings, User},
        path::PathId,
    },
};

pub fn init(tx: &mut Tx<'_>, init: &Init) -> Result<Accepted, Rejected> {
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

pub fn put_user(tx: &mut Tx<'_>, user: &User, expect: Expect) -> Result<Accepted, Rejected> {
    let known = tx.state.users.contains_key(&user.uid);
    match expect {
        Expect::Absent if known => return Err(Rejected::Exists(Thing::User.named(&user.uid))),
        Expect::Present if !known => return Err(Rejected::NotFound(Thing::User.named(&user.uid))),
        Expect::Absent | Expect::Present | Expect::Any => {}
    }
    let known = tx.state.users.get(&user.uid);
    let proves = |user: &User| (user.password_hash.clone(), user.public_key.clone());
    let same = known.filter(|known| proves(known) == proves(user));
    let generation = same.map_or(tx.state.revision, |known| known.generation);
    tx.put_user(User { generation, ..user.clone() });
    Ok(Accepted::default())
}

pub fn delete_user(tx: &mut Tx<'_>, uid: &str) -> Result<Accepted, Rejected> {
    if !tx.state.users.contains_key(uid) {
        return Err(Rejected::NotFound(Thing::User.named(uid)));
    }
    let mut others = tx.state.users.values().filter(|user| user.uid != uid);
    if !others.any(|user| user.superuser && user.can_sign_in()) {
        return Err(Rejected::Last(Thing::User.named(uid)));
    }
    tx.remove::<User>(&uid.to_owned());
    Ok(Accepted::default())
}

/// Ends the tokens of one user, or of all.
pub fn revoke_tokens(tx: &mut Tx<'_>, uid: Option<&str>) -> Result<Accepted, Rejected> {
    let generation = tx.state.revision;
    let users: Vec<_> = match uid {
        Some(uid) => tx.state.users.get(uid).into_iter().cloned().collect(),
        None => tx.state.users.values().cloned().collect(),
    };
    if let (Some(uid), true) = (uid, users.is_empty()) {
        return Err(Rejected::NotFound(Thing::User.named(uid)));
    }
    for user in users {
        tx.put_user(User { generation, ..(*user).clone() });
    }
    Ok(Accepted::default())
}

pub fn rotate_secret(tx: &mut Tx<'_>, secret: [u8; 32]) -> Result<Accepted, Rejected> {
    if let Some(cluster) = tx.state.cluster.clone() {
        tx.put_cluster(Cluster { secret, ..(*cluster).clone() });
    }
    revoke_tokens(tx, None)
}

pub fn put_role(tx: &mut Tx<'_>, settings: &RoleSettings) -> Accepted {
    tx.put(settings.role.clone(), settings.clone());
    Accepted::default()
}

pub fn delete_role(tx: &mut Tx<'_>, role: &Role) -> Result<Accepted, Rejected> {
    if !tx.state.roles.contains_key(role) {
        return Err(Rejected::NotFound(Thing::Role.named(role)));
    }
    tx.remove::<RoleSettings>(role);
    Ok(Accepted::default())
}
