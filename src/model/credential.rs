//! Who may be a node: invitations to join, and the certificates that were given out.
//!
//! Every certificate of an agent stands in the state; one that does not, or that was taken back, is
//! worth nothing, whatever its signature says.

use super::node::NodeId;
use crate::{base::clock::Timestamp, typed_id};

typed_id! {
    /// Serial number of a certificate, in lower-case hex.
    Serial
}

/// SHA-256 of something that is kept by its hash only.
pub type Digest = [u8; 32];

/// What a node may become that joins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Invited {
    Agent,
    PublicAgent,
    Master,
}

impl Invited {
    pub const ALL: [Self; 3] = [Self::Agent, Self::PublicAgent, Self::Master];

    /// As it is written in settings, flags and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::PublicAgent => "public-agent",
            Self::Master => "master",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// Lets one node join.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invitation {
    /// Of the secret in the token.
    pub digest: Digest,
    pub until: Timestamp,
    /// What it is for; `None`: an agent of either kind.
    pub role: Option<Invited>,
    /// Who joined with it.
    pub used: Option<Joined>,
}

/// The node an invitation was used for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joined {
    /// Of its public key. A node whose answer got lost may ask again with the same key.
    pub key: Digest,
    pub node: NodeId,
}

/// A certificate of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    pub node: NodeId,
    pub serial: Serial,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked: Option<Revoked>,
}

/// That a certificate is not good any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Revoked {
    pub at: Timestamp,
    pub why: Why,
}

/// Why a certificate was taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The node was removed from the cluster.
    Removed,
    /// The node uses a newer one.
    Renewed,
}

impl Invitation {
    /// Whether a node of this role may use it.
    pub fn is_for(&self, role: Invited) -> bool {
        self.role.map_or(role != Invited::Master, |of| of == role)
    }

    /// What it is for, in words.
    pub fn for_whom(&self) -> &'static str {
        match self.role {
            None => "an agent of either kind",
            Some(Invited::Agent) => "an agent",
            Some(Invited::PublicAgent) => "a public agent",
            Some(Invited::Master) => "a master",
        }
    }
}

impl Certificate {
    /// Why the holder is not let in; `None` when it is good.
    pub fn problem(&self) -> Option<String> {
        let revoked = self.revoked?;
        Some(match revoked.why {
            Why::Removed => format!(
                "node {} was removed from the cluster at {}; to bring the machine back, delete \
                 its directory pki and join again with a new token",
                self.node, revoked.at
            ),
            Why::Renewed => format!(
                "this certificate of node {} was replaced by a newer one at {}",
                self.node, revoked.at
            ),
        })
    }
}
