//! Masters: what each can do, where its doors are, and its part of the cluster's secrets.

use super::node::NodeId;

/// A master as the cluster knows it. It says so itself when it starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Master {
    /// Its number among the masters.
    pub id: u64,
    /// tepui's version there.
    pub release: String,
    /// The highest level of the cluster it can do (`base::level`).
    pub level: u32,
    pub addresses: Addresses,
    /// Whom its certificate names; its own agent has the same id.
    pub node: Option<NodeId>,
    /// Public key that secrets for it are sealed with.
    pub seal: Vec<u8>,
    /// The key of the cluster's authority, for it alone to open.
    pub sealed: Option<Envelope>,
    /// Whether somebody wants it to follow only, and to decide in need alone.
    pub stands_by: bool,
}

/// A secret that one master can read (HPKE, RFC 9180).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// The sender's half of the key agreement.
    pub share: Vec<u8>,
    pub text: Vec<u8>,
}

impl Master {
    /// A master that has no certificate in the state yet.
    pub fn new(id: u64, release: &str, level: u32, addresses: Addresses) -> Self {
        let release = release.to_owned();
        let (node, seal, sealed, stands_by) = (None, Vec::new(), None, false);
        Self { id, release, level, addresses, node, seal, sealed, stands_by }
    }

    /// Whether it says the same of itself.
    pub fn says_the_same(&self, other: &Self) -> bool {
        (&self.release, self.level, &self.addresses)
            == (&other.release, other.level, &other.addresses)
    }
}

/// Where a master is reached, each `host:port`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Addresses {
    /// Its peer port: agents and other masters.
    pub peers: String,
    /// The front door.
    pub router: String,
    /// Where clients look for Marathon's own API.
    pub marathon: String,
    /// Where clients look for Mesos' own API.
    pub mesos: String,
}
