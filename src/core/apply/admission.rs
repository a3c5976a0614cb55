//! Nodes are let in: invitations, and certificates from the day they are given to the day they are
//! taken back.
//!
//! A node holds at most one certificate for use and one that is to follow it. The earlier one stays
//! good until the later one was used, so an answer that got lost locks nobody out.

use std::sync::Arc;

use super::tx::Tx;
use crate::{
    base::{clock::Timestamp, limit},
    choice,
    core::{Accepted, Rejected, state::State},
    message,
    model::{
        credential::{Certificate, Digest, Invitation, Joined, Revoked, Serial, Why},
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
});
message!(Join { 1: invitation, 2: key, 3: serial, 4: expires_at });

pub(super) fn run(tx: &mut Tx<'_>, command: &AdmissionCommand) -> Result<Accepted, Rejected> {
    match command {
        AdmissionCommand::Invite { digest, until } => invite(tx, *digest, *until),
        AdmissionCommand::Join(it) => join(tx, it),
        AdmissionCommand::Renew { node, by, new, expires_at } => {
            renew(tx, node, by, new, *expires_at)
        }
        AdmissionCommand::UseCertificate { node, serial } => use_certificate(tx, node, serial),
    }
}

/// A new invitation.
fn invite(tx: &mut Tx<'_>, digest: Digest, until: Timestamp) -> Result<Accepted, Rejected> {
    drop_expired(tx);
    let n_waiting = tx.state.invitations.values().filter(|i| i.used.is_none()).count();
    if n_waiting >= limit::INVITATIONS_MAX {
        let problem = format!("{n_waiting} wait already, the maximum; they expire by themselves");
        return Err(Rejected::invalid("invitations", problem));
    }
    tx.put_invitation(Invitation { digest, until, used: None });
    Ok(Accepted::default())
}

/// A node joins. Its id is the next number of the cluster; a second try with the same key gets the
/// same id.
fn join(tx: &mut Tx<'_>, join: &Join) -> Result<Accepted, Rejected> {
    drop_expired(tx);
    let Some(invitation) = tx.state.invitations.get(&join.invitation).cloned() else {
        return Err(Rejected::not_invited());
    };
    let node = match &invitation.used {
        Some(used) if used.key != join.key => return Err(Rejected::not_invited()),
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
