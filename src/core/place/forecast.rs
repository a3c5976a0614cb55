//! Where the instances of a workload would go that nobody has deployed yet.
//!
//! The same cursor that plans launches puts them on a ledger of its own: what is told is what a plan of
//! this moment would do.

use std::collections::BTreeMap;

use super::{
    constraint::{self, Peers, Rules},
    cursor::Cursor,
    explain::{self, Explainer},
    field::Fields,
    fit::Needs,
    ledger::{Ledger, NodeIx},
    limits::Limits,
    report::{Hold, Report},
};
use crate::{
    base::clock::Timestamp,
    core::State,
    model::{
        framework::Lease,
        instance::{Instance, InstanceId},
        node::NodeId,
        workload::WorkloadSpec,
    },
};

/// What would become of a workload's instances.
#[derive(Clone, PartialEq, Debug)]
pub struct Forecast {
    /// As an attempt would report it.
    pub report: Report,
    /// Nodes that would get instances, in the order in which they get their first.
    pub places: Vec<Place>,
    /// How many more than are wanted would find a place; `Room::more` bounds the search.
    pub n_more: u32,
    /// Why there is no place for one more than those; `None` when the search ended before.
    pub limit: Option<String>,
}

/// What one node would get.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub node: NodeId,
    pub hostname: String,
    pub n: u32,
}

/// What the forecast may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Room {
    /// Take what instances of an older configuration hold for free: in the end they are gone.
    pub without_old: bool,
    /// How many instances beyond the wanted ones are tried.
    pub more: u32,
}

/// What would happen to a workload that is not deployed yet: how many of its instances would find
/// a place beside what runs now, and what stands in the way of one more.
pub fn explain_spec(
    state: &State,
    leases: &[Lease],
    spec: &WorkloadSpec,
    now: Timestamp,
    limits: &Limits,
) -> Report {
    forecast(state, leases, spec, now, limits, Room::default()).report
}

/// The same, with the places.
pub fn forecast(
    state: &State,
    leases: &[Lease],
    spec: &WorkloadSpec,
    now: Timestamp,
    limits: &Limits,
    room: Room,
) -> Forecast {
    let spec = &dated(state, spec);
    let n_there = constraint::compared(state, spec).count();
    let n_missing = spec.instances.saturating_sub(u32::try_from(n_there).unwrap_or(u32::MAX));
    let mut ledger = Ledger::of(state, leases, now);
    if room.without_old {
        give_back(state, spec, &mut ledger);
    }
    let needs = Needs::of(spec, &ledger, limits.gpus_are_scarce);
    let mut rules = Rules::of(spec, &ledger, &mut Fields::default());
    Peers::of(state, spec, &ledger).count(&mut rules);
    let local = limits.home_nodes(&ledger);
    let here = Default::default();
    let local = local.as_deref();
    let mut cursor = Cursor::new(&ledger, needs, rules, limits.policy, local, here, n_missing);
    let launches_max = u32::try_from(limits.launches_max).unwrap_or(u32::MAX);
    let n_tried = n_missing.min(launches_max);
    let mut places = Places::default();
    let n_placed = places.fill(&mut cursor, &mut ledger, spec, n_tried);
    let mut report = explain::blank(spec, now, now, n_placed, n_missing - n_placed);
    if n_placed == n_tried && n_tried < n_missing {
        report.hold = Some(Hold::NextRound);
    }
    let n_more_max = if n_placed == n_missing { room.more.min(launches_max) } else { 0 };
    let n_more = Places::default().fill(&mut cursor, &mut ledger, spec, n_more_max);
    let (needs, rules) = (cursor.needs, cursor.rules);
    let mut explainer = Explainer { ledger: &mut ledger, limits, local, bound: None };
    explainer.explain(spec, &needs, &rules, &mut report);
    report.sentence = explain::sentence(&report);
    let is_full = n_placed < n_tried || n_more < n_more_max;
    let limit = is_full.then(|| explain::stands_in_the_way(&report));
    Forecast { report, places: places.list(&ledger), n_more, limit }
}

/// The definition with the date by which its instances are told from older ones.
fn dated(state: &State, spec: &WorkloadSpec) -> WorkloadSpec {
    let mut spec = spec.clone();
    spec.last_config_change_at = match state.spec(&spec.id) {
        Some(known) if !known.config_differs(&spec) => known.last_config_change_at,
        // A new configuration is compared with no instance.
        Some(_) | None => Timestamp::from_ms(i64::MAX),
    };
    spec
}

/// What instances of older configurations hold is free.
fn give_back(state: &State, spec: &WorkloadSpec, ledger: &mut Ledger) {
    let is_old = |instance: &Instance| {
        let made_from = state.spec_of(instance).map(|s| s.last_config_change_at);
        made_from != Some(spec.last_config_change_at)
    };
    for instance in state.instances_of(&spec.id).filter(|i| is_old(i)) {
        let Some(place) = instance.placement() else { continue };
        if let Some(ix) = ledger.find(&place.node) {
            ledger.give(ix, &place.allocation);
        }
    }
}

/// How many instances each node got, in the order in which nodes got their first.
#[derive(Default)]
struct Places {
    at: BTreeMap<NodeIx, usize>,
    nodes: Vec<(NodeIx, u32)>,
}

impl Places {
    /// Places up to `n` instances; how many found a place.
    fn fill(
        &mut self,
        cursor: &mut Cursor,
        ledger: &mut Ledger,
        spec: &WorkloadSpec,
        n: u32,
    ) -> u32 {
        for n_placed in 0..n {
            let id = InstanceId::new(format!("{}.instance-{n_placed}", spec.id.safe()));
            let Some((ix, _)) = cursor.place(ledger, &id, 0) else { return n_placed };
            let at = *self.at.entry(ix).or_insert_with(|| {
                self.nodes.push((ix, 0));
                self.nodes.len() - 1
            });
            self.nodes[at].1 += 1;
        }
        n
    }

    fn list(&self, ledger: &Ledger) -> Vec<Place> {
        let place = |&(ix, n): &(NodeIx, u32)| {
            let node = ledger.node(ix);
            Place { node: node.id().clone(), hostname: node.info.hostname.clone(), n }
        };
        self.nodes.iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests;
