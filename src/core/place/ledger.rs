//! The ledger: what every node has free, by role, in dense tables for planning.
//!
//! Nodes are numbered in order of their ids; the pools of all nodes stand one after another, so
//! that a scan over the cluster reads memory in order. Outstanding leases count like allocations
//! until they expire. `take` and `give` keep every derived number true; nothing here is stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    base::{clock::Timestamp, units::Milli},
    core::State,
    model::{
        access::Role,
        framework::Lease,
        node::{Node, NodeId},
        resource::{Pools, Ranges, Resources, Scalars, Value},
    },
};

/// Position of a node in the ledger.
pub type NodeIx = u32;
/// Position of a role in the ledger.
pub type RoleIx = u16;

/// What every node has free.
#[derive(Clone, Debug)]
pub struct Ledger {
    nodes: Vec<Arc<Node>>,
    roles: Vec<Role>,
    /// Pools of node `i` are `first[i]..first[i + 1]`.
    first: Vec<u32>,
    role: Vec<RoleIx>,
    /// A second role that the pool is open to (a node of both kinds); its own where there is none.
    also: Vec<RoleIx>,
    /// Whether some pool has one.
    has_also: bool,
    free: Vec<Scalars>,
    ports: Vec<Ranges>,
    n_ports: Vec<u32>,
    named: Vec<BTreeMap<Arc<str>, Value>>,
    total: Vec<Scalars>,
    /// Used share of the scarcest scalar, in thousandths.
    tight: Vec<u16>,
    usable: Vec<bool>,
    /// Ports others hold, by node.
    held: Vec<Ranges>,
    has_held: bool,
}

impl Ledger {
    /// The ledger of `state` with leases that have not expired at `now`.
    pub fn of(state: &State, leases: &[Lease], now: Timestamp) -> Self {
        let mut ledger = Self::empty(state.nodes.len());
        ledger.roles = roles_of(state);
        for (id, node) in &state.nodes {
            ledger.push(node, state.index.used.get(id));
        }
        for (ix, lease) in ledger.leased(leases, now) {
            ledger.take(ix, &lease.resources);
        }
        ledger
    }

    /// Says which ports of which nodes are held by others.
    pub(super) fn set_held(&mut self, held: &BTreeMap<NodeId, Ranges>) {
        if self.has_held {
            self.held.fill(Ranges::default());
        }
        self.has_held = !held.is_empty();
        for (id, ports) in held {
            if let Some(ix) = self.find(id) {
                self.held[ix as usize].clone_from(ports);
            }
        }
    }

    /// Whether others hold ports on some node.
    #[inline]
    pub(super) fn has_held(&self) -> bool {
        self.has_held
    }

    /// Ports of a node that others hold.
    pub(super) fn held(&self, ix: NodeIx) -> &Ranges {
        &self.held[ix as usize]
    }

    /// The leases that hold something now, with the nodes they are on.
    pub(super) fn leased<'a>(
        &self,
        leases: &'a [Lease],
        now: Timestamp,
    ) -> Vec<(NodeIx, &'a Lease)> {
        let valid = leases.iter().filter(|l| l.expires_at > now);
        valid.filter_map(|l| Some((self.find(&l.node)?, l))).collect()
    }

    fn empty(n: usize) -> Self {
        Self {
            nodes: Vec::with_capacity(n),
            roles: Vec::new(),
            first: vec![0],
            role: Vec::with_capacity(n),
            also: Vec::with_capacity(n),
            has_also: false,
            free: Vec::with_capacity(n),
            ports: Vec::with_capacity(n),
            n_ports: Vec::with_capacity(n),
            named: Vec::with_capacity(n),
            total: Vec::with_capacity(n),
            tight: Vec::with_capacity(n),
            usable: Vec::with_capacity(n),
            held: Vec::with_capacity(n),
            has_held: false,
        }
    }

    fn push(&mut self, node: &Arc<Node>, used: Option<&Pools>) {
        for role in node.info.total.0.keys() {
            let also = node.info.open_to(role).and_then(|role| self.role_ix(&role));
            let role = self.role_ix(role).expect("roles were gathered from these nodes");
            self.role.push(role);
            self.has_also |= also.is_some();
            self.also.push(also.unwrap_or(role));
            self.free.push(Scalars::default());
            self.ports.push(Ranges::default());
            self.n_ports.push(0);
            self.named.push(BTreeMap::new());
        }
        let ix = clamp_u32(self.nodes.len() as u64);
        self.first.push(clamp_u32(self.free.len() as u64));
        self.total.push(node.info.total.scalars());
        self.tight.push(0);
        self.usable.push(false);
        self.held.push(Ranges::default());
        self.nodes.push(node.clone());
        self.reset(ix, node, used);
    }

    /// Sets a node to what it has less what instances hold. Its pools and roles are as before.
    /// Tells whether anything is free now that was not.
    pub(super) fn reset(&mut self, ix: NodeIx, node: &Arc<Node>, used: Option<&Pools>) -> bool {
        let first = self.first[ix as usize] as usize;
        let mut has_more = false;
        self.usable[ix as usize] = node.takes_work();
        self.nodes[ix as usize] = node.clone();
        for (pool, (role, total)) in (first..).zip(&node.info.total.0) {
            let free = std::mem::replace(&mut self.free[pool], total.scalars);
            let ports = std::mem::replace(&mut self.ports[pool], total.ports.clone());
            self.named[pool].clone_from(&total.named);
            if let Some(used) = used.and_then(|u| u.0.get(role)) {
                self.sub(pool, used);
            }
            self.n_ports[pool] = clamp_u32(self.ports[pool].count());
            has_more |= !free.contains(&self.free[pool]) || !ports.contains(&self.ports[pool]);
        }
        self.retune(ix as usize);
        has_more
    }

    /// How many nodes there are, usable or not.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All positions.
    pub fn all(&self) -> impl Iterator<Item = NodeIx> + use<> {
        0..clamp_u32(self.nodes.len() as u64)
    }

    pub fn node(&self, ix: NodeIx) -> &Arc<Node> {
        &self.nodes[ix as usize]
    }

    /// Where a node stands.
    pub fn find(&self, id: &NodeId) -> Option<NodeIx> {
        let at = self.nodes.binary_search_by(|n| n.id().cmp(id)).ok()?;
        NodeIx::try_from(at).ok()
    }

    /// Whether new work may go there.
    pub fn is_usable(&self, ix: NodeIx) -> bool {
        self.usable[ix as usize]
    }

    /// The position of a role; `None` when no node has a pool of it.
    pub fn role_ix(&self, role: &Role) -> Option<RoleIx> {
        self.roles.binary_search(role).ok().and_then(|i| RoleIx::try_from(i).ok())
    }

    pub fn role(&self, ix: RoleIx) -> &Role {
        &self.roles[usize::from(ix)]
    }

    /// Positions of a node's pools that are open to the given roles, in the order of `roles`, each
    /// once: where a pool's own role is among them, it comes at that one.
    pub fn pools<'a>(
        &'a self,
        ix: NodeIx,
        roles: &'a [RoleIx],
    ) -> impl Iterator<Item = usize> + Clone + 'a {
        let pools = self.first[ix as usize] as usize..self.first[ix as usize + 1] as usize;
        let is_of = move |pool: usize, role: RoleIx| {
            self.role[pool] == role
                || self.has_also && self.also[pool] == role && !roles.contains(&self.role[pool])
        };
        roles.iter().filter_map(move |&r| pools.clone().find(|&p| is_of(p, r)))
    }

    /// Free scalars in a node's pools that are open to the given roles together.
    #[inline]
    pub fn free(&self, ix: NodeIx, roles: &[RoleIx]) -> Scalars {
        let (begin, end) = (self.first[ix as usize] as usize, self.first[ix as usize + 1] as usize);
        let mut sum = Scalars::default();
        for pool in begin..end {
            if roles.contains(&self.role[pool]) || self.has_also && roles.contains(&self.also[pool])
            {
                sum += self.free[pool];
            }
        }
        sum
    }

    pub(super) fn pool_free(&self, pool: usize) -> Scalars {
        self.free[pool]
    }

    pub(super) fn pool_ports(&self, pool: usize) -> &Ranges {
        &self.ports[pool]
    }

    pub(super) fn pool_n_ports(&self, pool: usize) -> u32 {
        self.n_ports[pool]
    }

    pub(super) fn pool_role(&self, pool: usize) -> &Role {
        &self.roles[usize::from(self.role[pool])]
    }

    /// Everything free on a node, by role, as an offer would hold it.
    pub fn free_pools(&self, ix: NodeIx) -> Pools {
        let pools = self.first[ix as usize] as usize..self.first[ix as usize + 1] as usize;
        Pools(
            pools
                .map(|p| {
                    let resources = Resources {
                        scalars: self.free[p],
                        ports: self.ports[p].clone(),
                        named: self.named[p].clone(),
                    };
                    (self.pool_role(p).clone(), resources)
                })
                .filter(|(_, r)| !r.is_empty())
                .collect(),
        )
    }

    /// All a node has, free or not.
    pub fn total(&self, ix: NodeIx) -> Scalars {
        self.total[ix as usize]
    }

    /// Used share of a node's scarcest scalar, in thousandths.
    #[inline]
    pub fn tightness(&self, ix: NodeIx) -> u16 {
        self.tight[ix as usize]
    }

    /// Sum of what all registered nodes have.
    pub fn cluster_total(&self) -> Scalars {
        self.total.iter().fold(Scalars::default(), |sum, s| sum + *s)
    }

    /// Sum of what usable nodes have free in the pools of `role`.
    pub fn cluster_free(&self, role: &Role) -> Scalars {
        let Some(role) = self.role_ix(role) else { return Scalars::default() };
        self.all()
            .filter(|&ix| self.is_usable(ix))
            .fold(Scalars::default(), |sum, ix| sum + self.free(ix, &[role]))
    }

    /// Takes resources from a node. The caller has checked that they are free.
    pub fn take(&mut self, ix: NodeIx, pools: &Pools) {
        for (role, resources) in &pools.0 {
            let Some(pool) = self.pool_of(ix as usize, role) else { continue };
            self.sub(pool, resources);
            if !resources.ports.is_empty() {
                self.n_ports[pool] = clamp_u32(self.ports[pool].count());
            }
        }
        self.retune(ix as usize);
    }

    /// Gives resources back to a node.
    pub fn give(&mut self, ix: NodeIx, pools: &Pools) {
        for (role, resources) in &pools.0 {
            let Some(pool) = self.pool_of(ix as usize, role) else { continue };
            let mut all = Resources {
                scalars: self.free[pool],
                ports: std::mem::take(&mut self.ports[pool]),
                named: std::mem::take(&mut self.named[pool]),
            };
            all.add(resources);
            self.free[pool] = all.scalars;
            self.ports[pool] = all.ports;
            self.named[pool] = all.named;
            self.n_ports[pool] = clamp_u32(self.ports[pool].count());
        }
        self.retune(ix as usize);
    }

    fn pool_of(&self, ix: usize, role: &Role) -> Option<usize> {
        (self.first[ix] as usize..self.first[ix + 1] as usize)
            .find(|&p| self.roles[usize::from(self.role[p])] == *role)
    }

    fn sub(&mut self, pool: usize, resources: &Resources) {
        self.free[pool] -= resources.scalars;
        if !resources.ports.is_empty() {
            self.ports[pool] = self.ports[pool].minus(&resources.ports);
        }
        if !resources.named.is_empty() {
            let mut all =
                Resources { named: std::mem::take(&mut self.named[pool]), ..Resources::default() };
            all.sub(&Resources { named: resources.named.clone(), ..Resources::default() });
            self.named[pool] = all.named;
        }
    }

    fn retune(&mut self, ix: usize) {
        let mut free = Scalars::default();
        for pool in self.first[ix] as usize..self.first[ix + 1] as usize {
            free += self.free[pool];
        }
        let total = &self.total[ix];
        self.tight[ix] = used_share(free.cpus, total.cpus)
            .max(used_share(free.mem, total.mem))
            .max(used_share(free.disk, total.disk));
    }
}

/// Every role that some node has a pool for, sorted.
fn roles_of(state: &State) -> Vec<Role> {
    let mut roles = BTreeSet::new();
    for node in state.nodes.values() {
        for role in node.info.total.0.keys() {
            if !roles.contains(role) {
                roles.insert(role.clone());
            }
            roles.extend(node.info.open_to(role));
        }
    }
    roles.into_iter().collect()
}

fn used_share(free: Milli, total: Milli) -> u16 {
    if total.get() <= 0 {
        return 0;
    }
    let free = free.get().clamp(0, total.get());
    // Both are far below 2^53; the quotient is in 0..=1000.
    u16::try_from(1000 - free * 1000 / total.get()).unwrap_or(1000)
}

fn clamp_u32(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
