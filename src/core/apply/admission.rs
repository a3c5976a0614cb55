//! Nodes are let in: invitations, and certificates from the day they are given to the day they are
//! taken back.
//!
//! A node holds at most one certificate for use and one that is to follow it. The earlier one stays
//! good until the later one was used, so an answer that got lost locks nobody out.

use std::sync::Arc;

use super::{gate, tx::Tx};
use crate::{
    base::{clock::Timestamp, level, limit},
    choice,
    core::{
        Accepted, Rejected,
        state::{Cluster, State},
        told::{Kind, Told},
    },
    message,
    model::{
        credential::{Certificate, Digest, Invitation, Invited, Joined, Revoked, Serial, Why},
        master::Master,
        node::NodeId,
    },
};

/// Certificates of one node kept in the state: the one in use, the one to follow, and of those
/// taken back the latest, so that their holder is told why. One more is forgotten, and refused
/// all the same.
const CERTIFICATES_PER_NODE_MAX: usize = 4;

/// Commands about letting nodes in.
#[derive(Clone, Debug)]
pub enum AdmissionCommand {
    /// Lets one node join until then, by the hash of a secret.
    Invite { digest: Digest, until: Timestamp },
    /// A node joins: uses an invitation up and gets an id.
    Join(Join),
    /// A node gets a new certificate by one it has.
    Renew { node: NodeId, by: Serial, new: Serial, expires_at: Timestamp },
    /// A node has begun to use this certificate: its earlier ones are not needed any more.
    UseCertificate { node: NodeId, serial: Serial },
    /// As `Invite`, for one role. From level `level::MASTERS` on, as the next two.
    InviteFor { digest: Digest, until: Timestamp, role: Invited },
    /// An invitation is not wanted any more.
    Disinvite { digest: Digest },
    /// A master joins, or the first one says what it is known by.
    SeatMaster(Box<Seat>),
}

/// What a master is known by.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Of the secret of its invitation; `None` of a master that is one already.
    pub invitation: Option<Digest>,
    /// Of its public key.
    pub key: Digest,
    /// Of its certificate.
    pub serial: Serial,
    pub expires_at: Timestamp,
    /// Without a number, and without a node, where it joins.
    pub master: Master,
}

/// A node that joins.
#[derive(Clone, Debug)]
pub struct Join {
    /// Of the secret of its invitation.
    pub invitation: Digest,
    /// Of its public key.
    pub key: Digest,
    /// Of the certificate it is given.
    pub serial: Serial,
    pub expires_at: Timestamp,
}

choice!(AdmissionCommand {
    13: Invite { 1: digest, 2: until },
    14: Join(it),
    15: Renew { 1: node, 2: by, 3: new, 4: expires_at },
    16: UseCertificate { 1: node, 2: serial },
    27: InviteFor { 1: digest, 2: until, 3: role },
    28: Disinvite { 1: digest },
    29: SeatMaster(it),
});
message!(Seat { 1: invitation, 2: key, 3: serial, 4: expires_at, 5: master });
message!(Join { 1: invitation, 2: key, 3: serial, 4: expires_at });

pub(super) fn run(tx: &mut Tx<'_>, command: &AdmissionCommand) -> Result<Accepted, Rejected> {
    match command {
        AdmissionCommand::Invite { digest, until } => invite(tx, *digest, *until, None),
        AdmissionCommand::Join(it) => join(tx, it),
        AdmissionCommand::Renew { node, by, new, expires_at } => {
            renew(tx, node, by, new, *expires_at)
        }
        AdmissionCommand::UseCertificate { node, serial } => use_certificate(tx, node, serial),
        AdmissionCommand::InviteFor { digest, until, role } => {
            gate::need_level(tx.state, level::MASTERS, "invitations are for no role")?;
            invite(tx, *digest, *until, Some(*role))
        }
        AdmissionCommand::Disinvite { digest } => disinvite(tx, digest),
        AdmissionCommand::SeatMaster(seat) => seat_master(tx, seat),
    }
}

pub(super) fn told(_: &AdmissionCommand) -> Told {
    Told::new(Kind::Node, "", "let a node in")
}

/// A new invitation.
fn invite(
    tx: &mut Tx<'_>,
    digest: Digest,
    until: Timestamp,
    role: Option<Invited>,
) -> Result<Accepted, Rejected> {
    drop_expired(tx);
    let n_waiting = tx.state.invitations.values().filter(|i| i.used.is_none()).count();
    if n_waiting >= limit::INVITATIONS_MAX {
        let problem = format!("{n_waiting} wait already, the maximum; they expire by themselves");
        return Err(Rejected::invalid("invitations", problem));
    }
    tx.put_invitation(Invitation { digest, until, role, used: None });
    Ok(Accepted::default())
}

/// Takes an open invitation back; of a used one its node has to be removed.
fn disinvite(tx: &mut Tx<'_>, digest: &Digest) -> Result<Accepted, Rejected> {
    gate::need_level(tx.state, level::MASTERS, "invitations are not taken back")?;
    drop_expired(tx);
    let invitation = tx.state.invitations.get(digest);
    if invitation.is_none_or(|invitation| invitation.used.is_some()) {
        return Err(Rejected::invalid("invitation", "it was used already, or taken back"));
    }
    tx.remove::<Invitation>(digest);
    Ok(Accepted { n_done: 1, ..Accepted::default() })
}

/// A master gets its number and its node, both the next of the cluster, or says what it is known by. A
/// second try with the same key gets the same.
fn seat_master(tx: &mut Tx<'_>, seat: &Seat) -> Result<Accepted, Rejected> {
    gate::need_level(tx.state, level::MASTERS, "masters do not join")?;
    drop_expired(tx);
    let Some(digest) = seat.invitation else { return seat_known(tx, seat) };
    let who = || "a master that joins".to_owned();
    gate::check_level(tx.state, who, seat.master.level)?;
    let invitation = invited(tx.state, &digest, &seat.key, Invited::Master)?;
    let seated = |node: &NodeId| {
        let of_node = |m: &&Arc<Master>| m.node.as_ref() == Some(node);
        tx.state.masters.values().find(of_node).map(|m| m.id)
    };
    let (id, node) = match &invitation.used {
        Some(used) => {
            let id = seated(&used.node).ok_or_else(Rejected::not_invited)?;
            (id, used.node.clone())
        }
        None => {
            if tx.state.masters.is_empty() {
                // Its number would be given to this one.
                let problem = "the first has not said that it is one; try again";
                return Err(Rejected::invalid("masters", problem));
            }
            if tx.state.masters.len() >= limit::MASTERS_MAX {
                let problem = format!("{} are there, the maximum", limit::MASTERS_MAX);
                return Err(Rejected::invalid("masters", problem));
            }
            (draw_number(tx)?, draw_id(tx)?)
        }
    };
    let used = Some(Joined { key: seat.key, node: node.clone() });
    tx.put_invitation(Invitation { used, ..(*invitation).clone() });
    give(tx, &node, &seat.serial, seat.expires_at);
    tx.put(id, Master { id, node: Some(node.clone()), ..seat.master.clone() });
    Ok(Accepted { node: Some(node), master: id, ..Accepted::default() })
}

/// A master that is in the list already: the first one, which made the cluster and has no invitation, or
/// one with a new certificate, which it made itself.
fn seat_known(tx: &mut Tx<'_>, seat: &Seat) -> Result<Accepted, Rejected> {
    let Some(known) = tx.state.masters.get(&seat.master.id).cloned() else {
        return Err(gate::removed(seat.master.id));
    };
    let node = seat.master.node.clone().ok_or_else(Rejected::not_invited)?;
    if known.node.as_ref().is_some_and(|of| *of != node) {
        return Err(Rejected::bad_certificate(format!("master {} is not {node}", known.id)));
    }
    revoke(tx, &node, Why::Renewed, |c| c.serial != seat.serial);
    give(tx, &node, &seat.serial, seat.expires_at);
    let Master { seal, sealed, .. } = seat.master.clone();
    let master = Master { node: Some(node.clone()), seal, sealed, ..(*known).clone() };
    if *known != master {
        tx.put(master.id, master);
    }
    Ok(Accepted { node: Some(node), master: known.id, ..Accepted::default() })
}

/// The invitation of a node that joins with this key, if it may.
fn invited(
    state: &State,
    digest: &Digest,
    key: &Digest,
    role: Invited,
) -> Result<Arc<Invitation>, Rejected> {
    let Some(invitation) = state.invitations.get(digest) else {
        return Err(Rejected::not_invited());
    };
    if invitation.used.as_ref().is_some_and(|used| used.key != *key) {
        return Err(Rejected::not_invited());
    }
    check_role(invitation, role)?;
    Ok(invitation.clone())
}

/// Refuses a node that wants to become what its invitation is not for.
///
/// # Errors
/// The sentence its operator reads.
pub fn check_role(invitation: &Invitation, role: Invited) -> Result<(), Rejected> {
    if invitation.is_for(role) {
        return Ok(());
    }
    let (whom, role) = (invitation.for_whom(), role.as_str());
    let why = format!(
        "the token is for {whom}, and this node has the role {role}; make another with \
         `tepui node invite --role {role}`"
    );
    Err(Rejected::invalid("role", why))
}

/// The next number of a master. None is ever given twice: a log knows its members by it.
fn draw_number(tx: &mut Tx<'_>) -> Result<u64, Rejected> {
    let cluster = tx.state.cluster.as_deref().ok_or_else(Rejected::not_invited)?;
    let highest = tx.state.masters.get_max().map_or(0, |(id, _)| *id);
    let n_masters = cluster.n_masters.max(highest) + 1;
    let cluster = Cluster { n_masters, ..cluster.clone() };
    tx.put_cluster(cluster);
    Ok(n_masters)
}

/// A node joins. Its id is the next number of the cluster; a second try with the same key gets the
/// same id.
fn join(tx: &mut Tx<'_>, join: &Join) -> Result<Accepted, Rejected> {
    drop_expired(tx);
    let found = tx.state.invitations.get(&join.invitation);
    // A master brings more with it. Of the two kinds of agents its own word is taken at the door.
    let role = found.and_then(|i| i.role).filter(|role| *role != Invited::Master);
    let role = role.unwrap_or(Invited::Agent);
    let invitation = invited(tx.state, &join.invitation, &join.key, role)?;
    let node = match &invitation.used {
        Some(used) => {
            check_member(tx.state, &used.node)?;
            used.node.clone()
        }
        None => draw_id(tx)?,
    };
    let used = Some(Joined { key: join.key, node: node.clone() });
    tx.put_invitation(Invitation { used, ..(*invitation).clone() });
    give(tx, &node, &join.serial, join.expires_at);
    Ok(Accepted { node: Some(node), ..Accepted::default() })
}

/// A node with a good certificate gets a new one.
fn renew(
    tx: &mut Tx<'_>,
    node: &NodeId,
    by: &Serial,
    new: &Serial,
    expires_at: Timestamp,
) -> Result<Accepted, Rejected> {
    drop_expired(tx);
    check(tx.state, node, by).map_err(Rejected::bad_certificate)?;
    // Of those given before and never used there is no need any more.
    revoke(tx, node, Why::Renewed, |c| c.serial != *by);
    give(tx, node, new, expires_at);
    Ok(Accepted { node: Some(node.clone()), ..Accepted::default() })
}

/// A certificate is used: those given before it are not good any more.
fn use_certificate(tx: &mut Tx<'_>, node: &NodeId, serial: &Serial) -> Result<Accepted, Rejected> {
    check(tx.state, node, serial).map_err(Rejected::bad_certificate)?;
    let key = (node.clone(), serial.clone());
    let issued_at = tx.state.certificates.get(&key).map(|c| c.issued_at).unwrap_or_default();
    revoke(tx, node, Why::Renewed, |c| c.serial != *serial && c.issued_at <= issued_at);
    Ok(Accepted::default())
}

/// Takes every certificate of a removed node back.
pub(super) fn revoke_all(tx: &mut Tx<'_>, node: &NodeId) {
    revoke(tx, node, Why::Removed, |_| true);
    let mine = |i: &Invitation| i.used.as_ref().is_some_and(|u| u.node == *node);
    let spent: Vec<Digest> =
        tx.state.invitations.values().filter(|i| mine(i)).map(|i| i.digest).collect();
    for digest in spent {
        tx.remove::<Invitation>(&digest);
    }
}

/// Whether a certificate is good now.
///
/// # Errors
/// Why it is not, for its holder to read.
pub fn check(state: &State, node: &NodeId, serial: &Serial) -> Result<(), String> {
    let key = (node.clone(), serial.clone());
    let Some(certificate) = state.certificates.get(&key) else {
        return Err(format!(
            "certificate {serial} of node {node} is not among those this cluster has given; \
             delete the directory pki of that node and join again with a new token"
        ));
    };
    certificate.problem().map_or(Ok(()), Err)
}

/// Whether earlier certificates of its node are still good beside this one.
pub fn is_first_use(state: &State, node: &NodeId, serial: &Serial) -> bool {
    state.certificates_of(node).any(|c| c.serial != *serial && c.revoked.is_none())
}

/// Whether the node was given a certificate that has not expired.
pub fn has_certificate(state: &State, node: &NodeId) -> bool {
    state.certificates_of(node).next().is_some()
}

/// Refuses a node whose certificates were all taken back. The agent inside a master has none.
pub fn check_member(state: &State, node: &NodeId) -> Result<(), Rejected> {
    let problems: Option<Vec<String>> = state.certificates_of(node).map(|c| c.problem()).collect();
    match problems.and_then(|all| all.into_iter().next_back()) {
        Some(text) => Err(Rejected::bad_certificate(text)),
        None => Ok(()),
    }
}

fn draw_id(tx: &mut Tx<'_>) -> Result<NodeId, Rejected> {
    let cluster = tx.state.cluster.as_deref().ok_or_else(Rejected::not_invited)?;
    let mut cluster = cluster.clone();
    cluster.n_nodes += 1;
    let node = NodeId::from(format!("{}-S{}", cluster.id, cluster.n_nodes));
    tx.put_cluster(cluster);
    Ok(node)
}

fn give(tx: &mut Tx<'_>, node: &NodeId, serial: &Serial, expires_at: Timestamp) {
    tx.put_certificate(Certificate {
        node: node.clone(),
        serial: serial.clone(),
        issued_at: tx.at(),
        expires_at,
        revoked: None,
    });
    let mut revoked: Vec<Arc<Certificate>> =
        tx.state.certificates_of(node).filter(|c| c.revoked.is_some()).cloned().collect();
    revoked.sort_by_key(|c| (c.issued_at, c.serial.clone()));
    let n_all = tx.state.certificates_of(node).count();
    let n_over = n_all.saturating_sub(CERTIFICATES_PER_NODE_MAX);
    for certificate in revoked.into_iter().take(n_over) {
        tx.remove::<Certificate>(&(certificate.node.clone(), certificate.serial.clone()));
    }
}

fn revoke(tx: &mut Tx<'_>, node: &NodeId, why: Why, which: impl Fn(&Certificate) -> bool) {
    let revoked = Some(Revoked { at: tx.at(), why });
    let good: Vec<Arc<Certificate>> = tx
        .state
        .certificates_of(node)
        .filter(|c| c.revoked.is_none() || why == Why::Removed)
        .filter(|c| which(c))
        .cloned()
        .collect();
    for certificate in good {
        tx.put_certificate(Certificate { revoked, ..(*certificate).clone() });
    }
}

/// What has expired is refused without being kept.
fn drop_expired(tx: &mut Tx<'_>) {
    let now = tx.at();
    let invitations: Vec<Digest> =
        tx.state.invitations.values().filter(|i| i.until <= now).map(|i| i.digest).collect();
    for digest in invitations {
        tx.remove::<Invitation>(&digest);
    }
    let certificates: Vec<Arc<Certificate>> =
        tx.state.certificates.values().filter(|c| c.expires_at <= now).cloned().collect();
    for certificate in certificates {
        tx.remove::<Certificate>(&(certificate.node.clone(), certificate.serial.clone()));
    }
}
