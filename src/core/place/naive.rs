//! The rules of placement once more, as slow and plain as they read: the reference for tests.

use std::collections::{BTreeMap, BTreeSet};

use super::{field::full_match, limits::Limits};
use crate::{
    core::State,
    model::{
        access::Role,
        instance::Instance,
        node::Node,
        resource::Scalars,
        workload::{Constraint, Operator, WorkloadSpec},
    },
};

/// Whether one more instance of `spec` may go on `node` in `state`.
pub fn accepts(state: &State, spec: &WorkloadSpec, node: &Node, limits: &Limits) -> bool {
    let roles: Vec<Role> = match &spec.accepted_roles {
        None => vec![Role::star()],
        Some(roles) => roles.iter().cloned().collect(),
    };
    let free = state.free(node.id());
    let pools: Vec<_> = free.0.iter().filter(|(r, _)| roles.contains(r)).map(|(_, p)| p).collect();
    let scalars = pools.iter().fold(Scalars::default(), |sum, p| sum + p.scalars);
    let ports: BTreeSet<u64> = pools.iter().flat_map(|p| p.ports.numbers()).collect();
    let has_role = node.info.total.0.keys().any(|r| roles.contains(r));
    let is_scarce = limits.gpus_are_scarce
        && node.info.total.scalars().gpus.get() > 0
        && spec.run.demand().gpus.get() == 0;
    node.takes_work()
        && has_role
        && !is_scarce
        && scalars.contains(&spec.run.demand())
        && ports_fit(spec, &ports)
        && region_fits(spec, node, limits)
        && spec.constraints.iter().all(|c| constraint_accepts(state, spec, c, node))
}

fn ports_fit(spec: &WorkloadSpec, free: &BTreeSet<u64>) -> bool {
    let needs = super::ports::PortNeeds::of(spec);
    let exact: BTreeSet<u64> = needs.exact.iter().map(|&p| u64::from(p)).collect();
    exact.is_subset(free) && free.len() >= exact.len() + needs.n_any as usize
}

fn region_fits(spec: &WorkloadSpec, node: &Node, limits: &Limits) -> bool {
    let names = |c: &Constraint| c.field == "@region" || c.field == "@zone";
    let (Some(home), Some(domain)) = (&limits.home_region, &node.info.fault_domain) else {
        return true;
    };
    domain.region == *home || spec.constraints.iter().any(names)
}

fn peers<'a>(state: &'a State, spec: &'a WorkloadSpec) -> impl Iterator<Item = &'a Instance> {
    state.instances_of(&spec.id).map(AsRef::as_ref).filter(|i| {
        let made_from = state.spec_of(i).map(|s| s.last_config_change_at);
        i.placement().is_some()
            && !i.condition().is_lost()
            && made_from == Some(spec.last_config_change_at)
    })
}

fn constraint_accepts(state: &State, spec: &WorkloadSpec, c: &Constraint, node: &Node) -> bool {
    let Some(value) = node.field(&c.field) else { return c.operator == Operator::Unlike };
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut first = None;
    for peer in peers(state, spec) {
        let on = peer.placement().and_then(|p| state.nodes.get(&p.node));
        if let Some(value) = on.and_then(|n| n.field(&c.field)) {
            first.get_or_insert(value.clone());
            *counts.entry(value).or_default() += 1;
        }
    }
    let here = counts.get(&value).copied().unwrap_or(0);
    let wanted = c.value.clone().unwrap_or_default();
    match c.operator {
        Operator::Unique => here == 0,
        Operator::Cluster if !wanted.is_empty() => value == wanted,
        Operator::Cluster => first.is_none_or(|f| f == value),
        Operator::MaxPer => wanted.parse::<u32>().is_ok_and(|n| here < n),
        Operator::Like => full_match(&wanted).is_some_and(|r| r.is_match(&value)),
        Operator::Unlike => full_match(&wanted).is_some_and(|r| !r.is_match(&value)),
        Operator::Is => value == wanted,
        Operator::GroupBy => match wanted.parse::<u32>().ok().filter(|&n| n > 0) {
            None => here == 0 || Some(here) == counts.values().min().copied(),
            Some(n) if here == 0 => counts.len() < n as usize,
            Some(n) => {
                let (per, rest) = (spec.instances / n, spec.instances % n);
                let over: u32 = counts.values().map(|c| c.saturating_sub(per)).sum();
                here < per || here == per && rest > over
            }
        },
    }
}
