//! Nodes: what an agent has, where it stands, whether it is heard of and may take work.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    access::Role,
    resource::{Pools, Ranges},
};
use crate::{
    base::{clock::Timestamp, units::Milli},
    typed_id,
};

typed_id! {
    /// An agent for as long as its data directory lives: `<cluster id>-S<n>`.
    NodeId
}

/// What kind of work a node is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeKind {
    Agent,
    /// Reachable from outside; its resources are reserved for the role `slave_public`.
    PublicAgent,
    /// A node for everything: nothing is reserved, and what accepts only `slave_public` fits too.
    Both,
}

/// The region and zone a node stands in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FaultDomain {
    pub region: String,
    pub zone: String,
}

/// A named property of a node that constraints look at.
#[derive(Clone, PartialEq, Debug)]
pub enum Attribute {
    Text(String),
    Scalar(Milli),
    Ranges(Ranges),
    Set(Vec<String>),
}

impl Attribute {
    /// The value as constraints compare it (docs/compat/marathon.md, "Constraints"): text as it is,
    /// scalars without trailing zeros, ranges `[1-3,5-6]`, sets `{a,b}` sorted.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Scalar(value) => value.to_string(),
            Self::Ranges(ranges) => ranges.to_string(),
            Self::Set(items) => {
                let mut items = items.clone();
                items.sort_unstable();
                format!("{{{}}}", items.join(","))
            }
        }
    }
}

/// The attribute that says where the world reaches a node, when that is not its own address.
pub const PUBLIC_ADDRESS: &str = "public_address";

/// Whether the leader hears from a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    Reachable,
    Unreachable { since: Timestamp },
}

/// Whether a node may take work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duty {
    /// Takes work.
    Active,
    /// Takes no new work; what runs is moved away, until then at the latest.
    Draining { since: Timestamp, until: Timestamp },
    /// Nothing runs there any more and nothing will.
    Drained { since: Timestamp },
    /// Takes no new work; what runs stays. A drain that met its deadline leaves a node like this.
    Deactivated { since: Timestamp },
}

/// What an agent tells of itself when it registers.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeInfo {
    pub id: NodeId,
    pub hostname: String,
    /// The address tasks with host networking are reached at.
    pub address: IpAddr,
    pub kind: NodeKind,
    pub attributes: BTreeMap<String, Attribute>,
    pub fault_domain: Option<FaultDomain>,
    pub total: Pools,
    /// tepui's version on that node.
    pub version: String,
    /// The highest level of the cluster it can do (`base::level`).
    pub level: u32,
}

impl NodeInfo {
    /// Where the world reaches it, as far as that was said.
    pub fn public_address(&self) -> Option<IpAddr> {
        self.attributes.get(PUBLIC_ADDRESS)?.text().parse().ok()
    }

    /// Another role that may use the node's pool of `role` as well.
    pub fn open_to(&self, role: &Role) -> Option<Role> {
        (self.kind == NodeKind::Both && role.is_star()).then(Role::public)
    }
}

/// A node as the cluster knows it.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    pub info: NodeInfo,
    pub reach: Reach,
    pub duty: Duty,
    pub registered_at: Timestamp,
    pub reregistered_at: Option<Timestamp>,
}

impl Node {
    pub fn id(&self) -> &NodeId {
        &self.info.id
    }

    pub fn is_reachable(&self) -> bool {
        matches!(self.reach, Reach::Reachable)
    }

    /// Whether its work is to move elsewhere.
    pub fn is_draining(&self) -> bool {
        matches!(self.duty, Duty::Draining { .. })
    }

    /// Whether new work may be placed here.
    pub fn takes_work(&self) -> bool {
        self.is_reachable() && matches!(self.duty, Duty::Active)
    }

    /// The value of a constraint field: `hostname`/`@hostname`, `@region`, `@zone` or an attribute.
    pub fn field(&self, name: &str) -> Option<String> {
        match name {
            "hostname" | "@hostname" => Some(self.info.hostname.clone()),
            "@region" => self.info.fault_domain.as_ref().map(|d| d.region.clone()),
            "@zone" => self.info.fault_domain.as_ref().map(|d| d.zone.clone()),
            name => self.info.attributes.get(name).map(Attribute::text),
        }
    }
}
