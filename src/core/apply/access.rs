//! Users with their tokens, roles with their settings.

use super::tx::Tx;
use crate::{
    choice,
    core::{
        Accepted, Rejected, Thing,
        command::Expect,
        state::Cluster,
        told::{Kind, Told},
    },
    model::access::{Role, RoleSettings, User},
};

/// Commands about who may what.
#[derive(Clone, Debug)]
pub enum AccessCommand {
    PutUser {
        user: User,
        expect: Expect,
    },
    DeleteUser(String),
    /// Ends every login token made so far: of one user, or of all.
    RevokeTokens(Option<String>),
    /// Another secret to sign login tokens with; ends every token made so far.
    RotateSecret([u8; 32]),
    PutRole(RoleSettings),
    DeleteRole(Role),
}

choice!(AccessCommand {
    19: PutUser { 1: user, 2: expect },
    20: DeleteUser(it),
    21: RevokeTokens[of],
    22: RotateSecret(it),
    23: PutRole(it),
    24: DeleteRole(it),
});

pub(super) fn run(tx: &mut Tx<'_>, command: &AccessCommand) -> Result<Accepted, Rejected> {
    match command {
        AccessCommand::PutUser { user, expect } => put_user(tx, user, *expect),
        AccessCommand::DeleteUser(uid) => delete_user(tx, uid),
        AccessCommand::RevokeTokens(uid) => revoke_tokens(tx, uid.as_deref()),
        AccessCommand::RotateSecret(secret) => rotate_secret(tx, *secret),
        AccessCommand::PutRole(settings) => Ok(put_role(tx, settings)),
        AccessCommand::DeleteRole(role) => delete_role(tx, role),
    }
}

pub(super) fn told(command: &AccessCommand) -> Told {
    let (of, text) = match command {
        AccessCommand::PutUser { user, .. } => (&*user.uid, "user set"),
        AccessCommand::DeleteUser(uid) => (&**uid, "user deleted"),
        AccessCommand::RevokeTokens(Some(uid)) => (&**uid, "tokens taken back"),
        AccessCommand::RevokeTokens(None) => ("", "tokens of all users taken back"),
        AccessCommand::RotateSecret(_) => {
            ("", "secret of tokens renewed; all have to sign in again")
        }
        AccessCommand::PutRole(settings) => {
            (settings.role.as_str(), "settings of the role changed")
        }
        AccessCommand::DeleteRole(role) => (role.as_str(), "settings of the role ended"),
    };
    Told::new(Kind::Access, of, text)
}

fn put_user(tx: &mut Tx<'_>, user: &User, expect: Expect) -> Result<Accepted, Rejected> {
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

fn delete_user(tx: &mut Tx<'_>, uid: &str) -> Result<Accepted, Rejected> {
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
fn revoke_tokens(tx: &mut Tx<'_>, uid: Option<&str>) -> Result<Accepted, Rejected> {
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

fn rotate_secret(tx: &mut Tx<'_>, secret: [u8; 32]) -> Result<Accepted, Rejected> {
    if let Some(cluster) = tx.state.cluster.clone() {
        tx.put_cluster(Cluster { secret, ..(*cluster).clone() });
    }
    revoke_tokens(tx, None)
}

fn put_role(tx: &mut Tx<'_>, settings: &RoleSettings) -> Accepted {
    tx.put(settings.role.clone(), settings.clone());
    Accepted::default()
}

fn delete_role(tx: &mut Tx<'_>, role: &Role) -> Result<Accepted, Rejected> {
    if !tx.state.roles.contains_key(role) {
        return Err(Rejected::NotFound(Thing::Role.named(role)));
    }
    tx.remove::<RoleSettings>(role);
    Ok(Accepted::default())
}
