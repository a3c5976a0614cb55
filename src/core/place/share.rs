//! Fair share and quota: whose turn it is, and what a role may still take.
//!
//! A role's share is the largest fraction it holds of any scalar of the cluster (GPUs left out,
//! they are scarce on purpose), divided by its weight; the role with the smallest share goes
//! first, roles below their guarantee before all others. A limit is never passed; what is
//! guaranteed to others and not used by them stays free. Quota of `a` covers `a/b` too.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::{ledger::Ledger, report::Hold};
use crate::{
    base::{clock::Timestamp, units::Milli},
    core::State,
    model::{
        access::{Quota, Role},
        framework::Lease,
        resource::{Pools, Scalars},
    },
};

/// What roles hold and may hold, kept up to date while a plan is made.
#[derive(Debug, Default)]
pub struct Shares {
    total: Scalars,
    /// Unreserved and free on usable nodes.
    free: Scalars,
    roles: BTreeMap<Role, Share>,
    quotas: Vec<QuotaUse>,
}

#[derive(Debug)]
struct Share {
    weight: Milli,
    used: Scalars,
    /// Quotas that cover this role.
    quotas: SmallVec<[usize; 1]>,
}

#[derive(Debug)]
struct QuotaUse {
    role: Role,
    quota: Quota,
    used: Scalars,
}

/// Order of turns: smallest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Turn {
    has_guarantee: bool,
    /// Weighted dominant share in millionths.
    share: i64,
}

impl Shares {
    /// Shares of the roles in `wanted` and of all with a quota. Instances are only counted when it
    /// matters: with one role and no quota there is nothing to arbitrate.
    pub fn of(
        state: &State,
        leases: &[Lease],
        now: Timestamp,
        ledger: &Ledger,
        wanted: impl Iterator<Item = Role>,
    ) -> Self {
        let mut shares = Self { total: ledger.cluster_total(), ..Self::default() };
        for (role, settings) in &state.roles {
            if let Some(quota) = settings.quota.clone().filter(|_| !role.is_star()) {
                shares.quotas.push(QuotaUse {
                    role: role.clone(),
                    quota,
                    used: Scalars::default(),
                });
            }
        }
        for role in wanted {
            shares.know(state, &role);
        }
        if shares.roles.len() > 1 || !shares.quotas.is_empty() {
            shares.free = ledger.cluster_free(&Role::star());
            for instance in state.instances.values() {
                let Some(placement) = instance.placement() else { continue };
                let Some(spec) = state.spec_of(instance) else { continue };
                shares.know(state, &spec.run.role);
                shares.hold(&spec.run.role, placement.allocation.scalars());
            }
            for lease in leases.iter().filter(|l| l.expires_at > now) {
                shares.know(state, &lease.role);
                shares.hold(&lease.role, lease.resources.scalars());
            }
        }
        shares
    }

    fn know(&mut self, state: &State, role: &Role) {
        if self.roles.contains_key(role) {
            return;
        }
        let covers = |q: &QuotaUse| {
            role == &q.role
                || role.as_str().strip_prefix(q.role.as_str()).is_some_and(|r| r.starts_with('/'))
        };
        let quotas = (0..self.quotas.len()).filter(|&i| covers(&self.quotas[i])).collect();
        let weight = state.roles.get(role).map_or(Milli::whole(1), |r| r.weight);
        self.roles.insert(role.clone(), Share { weight, used: Scalars::default(), quotas });
    }

    fn hold(&mut self, role: &Role, scalars: Scalars) {
        let Some(share) = self.roles.get_mut(role) else { return };
        share.used += scalars;
        for &i in &share.quotas {
            self.quotas[i].used += scalars;
        }
    }

    /// Notes that `role` took `allocation`.
    pub fn take(&mut self, role: &Role, allocation: &Pools) {
        for (pool, resources) in &allocation.0 {
            self.hold(role, resources.scalars);
            if pool.is_star() {
                self.free -= resources.scalars;
            }
        }
    }

    /// When it is a role's turn.
    pub fn turn(&self, role: &Role) -> Turn {
        let Some(share) = self.roles.get(role) else {
            return Turn { has_guarantee: true, share: 0 };
        };
        let is_short = share.quotas.iter().any(|&i| !self.quotas[i].owed().is_zero());
        let part = |used: Milli, total: Milli| match total.get() {
            total if total > 0 => i128::from(used.get().max(0)) * 1_000_000 / i128::from(total),
            _ => 0,
        };
        let dominant = part(share.used.cpus, self.total.cpus)
            .max(part(share.used.mem, self.total.mem))
            .max(part(share.used.disk, self.total.disk));
        let weighted = dominant * 1000 / i128::from(share.weight.get().max(1));
        Turn { has_guarantee: !is_short, share: i64::try_from(weighted).unwrap_or(i64::MAX) }
    }

    /// What keeps `role` from taking `scalars`, if anything does.
    pub fn hold_back(&self, role: &Role, scalars: Scalars, uses_star: bool) -> Option<Hold> {
        let share = self.roles.get(role)?;
        for &i in &share.quotas {
            let quota = &self.quotas[i];
            if let Some((resource, limit, after)) = quota.passed(scalars) {
                let role = quota.role.clone();
                return Some(Hold::Quota { role, resource: resource.to_owned(), limit, after });
            }
        }
        if !uses_star || self.quotas.is_empty() {
            return None;
        }
        let others = self.quotas.iter().enumerate().filter(|(i, _)| !share.quotas.contains(i));
        let owed = others.fold(Scalars::default(), |sum, (_, q)| sum + q.owed());
        let own =
            share.quotas.iter().fold(Scalars::default(), |sum, &i| sum + self.quotas[i].owed());
        // What a role is owed itself it may always take.
        if own.contains(&scalars) {
            return None;
        }
        short_of(self.free - scalars, owed).map(|resource| Hold::Guaranteed {
            resource: resource.to_owned(),
            owed: pick(&owed, resource),
        })
    }
}

impl QuotaUse {
    /// The part of the guarantee that is not used.
    fn owed(&self) -> Scalars {
        let (g, u) = (&self.quota.guarantee, &self.used);
        Scalars {
            cpus: g.cpus.saturating_sub(u.cpus),
            mem: g.mem.saturating_sub(u.mem),
            disk: g.disk.saturating_sub(u.disk),
            gpus: g.gpus.saturating_sub(u.gpus),
        }
    }

    /// The first limit that `more` would pass: its name, the limit, and the use then.
    fn passed(&self, more: Scalars) -> Option<(&'static str, Milli, Milli)> {
        let limit = &self.quota.limit;
        let (used, after) = (self.used, self.used + more);
        [
            ("cpus", limit.cpus, used.cpus, after.cpus),
            ("mem", limit.mem, used.mem, after.mem),
            ("disk", limit.disk, used.disk, after.disk),
            ("gpus", limit.gpus, used.gpus, after.gpus),
        ]
        .into_iter()
        .find_map(|(name, limit, used, after)| {
            let limit = limit?;
            (after > limit && after > used).then_some((name, limit, after))
        })
    }
}

/// The first scalar of which less is left than owed, among those that are owed at all.
fn short_of(left: Scalars, owed: Scalars) -> Option<&'static str> {
    ["cpus", "mem", "disk", "gpus"]
        .into_iter()
        .find(|name| !pick(&owed, name).is_zero() && pick(&left, name) < pick(&owed, name))
}

/// A scalar by its name.
pub(super) fn pick(scalars: &Scalars, name: &str) -> Milli {
    match name {
        "cpus" => scalars.cpus,
        "mem" => scalars.mem,
        "disk" => scalars.disk,
        _ => scalars.gpus,
    }
}
