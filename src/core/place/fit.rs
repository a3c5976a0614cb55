//! Whether one instance of a spec fits one node, and what it takes there.
//!
//! Resources come from the pools of the roles a spec accepts: those it names, or only unreserved
//! ones (docs/compat/marathon.md, "Constraints"). Reserved pools are used up before `*`, and one
//! quantity may be put together from several pools. Constraints are looked at elsewhere.

use smallvec::SmallVec;

use super::{
    ledger::{Ledger, NodeIx, RoleIx},
    ports::{PortNeeds, start},
};
use crate::{
    base::units::Milli,
    core::command::Launch,
    model::{
        access::Role,
        instance::InstanceId,
        resource::{Pools, Resources, Scalars},
        workload::WorkloadSpec,
    },
};

/// What one instance of a spec asks of a node.
#[derive(Clone, PartialEq, Debug)]
pub struct Needs {
    pub scalars: Scalars,
    pub ports: PortNeeds,
    /// Accepted roles that some node has a pool of: reserved ones first, `*` last.
    pub roles: SmallVec<[RoleIx; 2]>,
    /// Accepted roles as asked for.
    pub accepted: Vec<Role>,
    /// Nodes with GPUs are kept for those who ask for them.
    pub avoids_gpus: bool,
    /// Nodes outside the home region are not used.
    pub stays_home: bool,
}

impl Needs {
    /// The needs of `spec`. `gpus_are_scarce`: the rule that keeps GPU nodes for GPU apps.
    pub fn of(spec: &WorkloadSpec, ledger: &Ledger, gpus_are_scarce: bool) -> Self {
        let mut accepted: Vec<Role> = match &spec.accepted_roles {
            Some(roles) if !roles.is_empty() => roles.iter().cloned().collect(),
            Some(_) | None => vec![Role::star()],
        };
        accepted.sort_by_key(Role::is_star);
        let mut scalars = spec.run.demand();
        scalars.disk += volume_mb(spec);
        Self {
            scalars,
            ports: PortNeeds::of(spec),
            roles: accepted.iter().filter_map(|r| ledger.role_ix(r)).collect(),
            avoids_gpus: gpus_are_scarce && scalars.gpus.is_zero() && !spec.run.is_resident(),
            stays_home: !spec
                .constraints
                .iter()
                .any(|c| matches!(c.field.as_str(), "@region" | "@zone")),
            accepted,
        }
    }

    /// Whether a node has a pool of an accepted role.
    pub fn has_role(&self, ledger: &Ledger, ix: NodeIx) -> bool {
        ledger.pools(ix, &self.roles).next().is_some()
    }

    /// Whether the node is kept for others because of its GPUs.
    #[inline]
    pub fn is_scarce(&self, ledger: &Ledger, ix: NodeIx) -> bool {
        self.avoids_gpus && ledger.total(ix).gpus > Milli::ZERO
    }

    /// Whether scalars and ports are free there.
    #[inline]
    pub fn fit(&self, ledger: &Ledger, ix: NodeIx) -> bool {
        ledger.free(ix, &self.roles).contains(&self.scalars)
            && self.ports.fit(ledger, ix, &self.roles)
    }

    /// How many instances the free scalars of a node would hold (ports not looked at).
    pub fn capacity(&self, ledger: &Ledger, ix: NodeIx) -> u32 {
        let free = ledger.free(ix, &self.roles);
        let times = |free: Milli, need: Milli| match need.get() {
            0 => i64::MAX,
            need => free.get().max(0) / need,
        };
        let n = times(free.cpus, self.scalars.cpus)
            .min(times(free.mem, self.scalars.mem))
            .min(times(free.disk, self.scalars.disk))
            .min(times(free.gpus, self.scalars.gpus));
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// Whether other programs of a node hold ports that it would give.
    pub fn are_ports_held(&self, ledger: &Ledger, ix: NodeIx) -> bool {
        self.ports.are_held(ledger, ix, &self.roles)
    }

    /// What `instance` would take on a node; `None` when it does not fit.
    /// `n_before`: how often it was launched before.
    pub fn launch(
        &self,
        ledger: &Ledger,
        ix: NodeIx,
        instance: &InstanceId,
        n_before: u32,
    ) -> Option<Launch> {
        if !ledger.free(ix, &self.roles).contains(&self.scalars) {
            return None;
        }
        let mut chosen = self.ports.choose(ledger, ix, &self.roles, start(instance, n_before))?;
        let mut allocation = Pools::default();
        let mut left = self.scalars;
        for pool in ledger.pools(ix, &self.roles) {
            let free = ledger.pool_free(pool);
            let zero = Scalars::default();
            let scalars = left.min(&Scalars {
                cpus: free.cpus.max(zero.cpus),
                mem: free.mem.max(zero.mem),
                disk: free.disk.max(zero.disk),
                gpus: free.gpus.max(zero.gpus),
            });
            left -= scalars;
            let role = ledger.pool_role(pool);
            let ports = chosen.taken.remove(role).unwrap_or_default();
            let resources = Resources { scalars, ports, named: Default::default() };
            if !resources.is_empty() {
                allocation.0.insert(role.clone(), resources);
            }
        }
        // A negative pool beside a full one can leave a rest although the sum looked sufficient.
        left.is_zero().then(|| Launch {
            instance: instance.clone(),
            node: ledger.node(ix).id().clone(),
            allocation,
            host_ports: chosen.host_ports,
        })
    }
}

/// Space for persistent volumes, which comes out of the node's disk.
fn volume_mb(spec: &WorkloadSpec) -> Milli {
    spec.run.persistent().map(|(_, of)| of.space()).sum()
}
