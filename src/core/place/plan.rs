//! `plan`: the waiting instances of a snapshot to launches, within bounds, in fair order.
//!
//! Roles take turns by share, workloads of one role by rotation; a workload is scanned for once
//! and then placed in bulk. A workload that fits nowhere does not hold up those behind it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use imbl::OrdMap;

use super::{
    constraint::{Peers, Rules},
    cursor::Cursor,
    explain::{self, Explainer},
    field::Fields,
    fit::Needs,
    ledger::{Ledger, NodeIx},
    limits::{Limits, Policy},
    report::{Hold, Report},
    share::{Shares, Turn},
    waiting::Waiting,
};
use crate::{
    base::clock::Timestamp,
    core::{State, command::Launch},
    model::{
        access::Role,
        framework::Lease,
        node::{Node, NodeId},
        path::AppId,
        resource::Pools,
        workload::WorkloadSpec,
    },
};

/// What a plan wants done, and what it found.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    pub launches: Vec<Launch>,
    /// One per workload with waiting instances.
    pub reports: BTreeMap<AppId, Report>,
}

/// Instances one workload may place before the next of its role comes, when nobody else competes.
const TURN_MAX: usize = 256;

/// The launches for what waits in `state`, and a report per workload that waits.
pub fn plan(state: &State, leases: &[Lease], now: Timestamp, limits: &Limits) -> Plan {
    Planner::default().plan(state, leases, now, limits)
}

/// Plans again and again: what it knows of the nodes is kept and brought up to date by what has
/// changed, which is much less than all. It has no say in the outcome: a new one plans the same, as
/// long as it is the only one whose plans become launches. What another launched could hide from it
/// that something was free in between.
#[derive(Debug, Default)]
pub struct Planner {
    base: Option<Base>,
}

/// The ledger of a state, and that state's tables to tell what has changed since.
#[derive(Debug)]
pub(super) struct Base {
    nodes: OrdMap<NodeId, std::sync::Arc<Node>>,
    used: OrdMap<NodeId, Pools>,
    pub ledger: Ledger,
    fields: Fields,
    /// Nodes on which the last plan or a lease has taken something.
    pub touched: BTreeSet<NodeIx>,
    /// Workloads that fit nowhere, with the version that was tried. They are not tried again
    /// until something is free that was not: nothing else can make place for them.
    blocked: BTreeMap<AppId, (Timestamp, Report)>,
    /// The settings by which they were found blocked.
    limits: Limits,
}

impl Planner {
    /// As `plan`.
    pub fn plan(
        &mut self,
        state: &State,
        leases: &[Lease],
        now: Timestamp,
        limits: &Limits,
    ) -> Plan {
        let mut plan = Plan::default();
        if state.index.waiting.is_empty() {
            return plan;
        }
        let known = self.base.take().and_then(|base| base.follow(state));
        let mut base = known.unwrap_or_else(|| Base::of(state, now));
        for (ix, lease) in base.ledger.leased(leases, now) {
            base.ledger.take(ix, &lease.resources);
            base.touched.insert(ix);
        }
        base.ledger.set_held(&limits.ports_held);
        // Held ports decide which are given and where, not whether something fits.
        let limits_of_fit = Limits { ports_held: BTreeMap::new(), ..limits.clone() };
        if limits_of_fit != base.limits || !leases.is_empty() {
            base.blocked.clear();
            base.limits = limits_of_fit;
        }
        let mut queue = Waiting::gather(state, now);
        // The rest of a workload is looked at again together with those.
        let is_bound = |app: &AppId| {
            let waiting = state.index.waiting.get(app).into_iter().flatten();
            !state.index.bound.is_empty()
                && waiting.clone().any(|id| state.index.bound.contains(id))
        };
        base.blocked.retain(|app, _| !is_bound(app));
        queue.retain(|waiting| match base.blocked.get(&waiting.spec.id) {
            Some((version, report)) if *version == waiting.spec.version => {
                plan.reports.insert(report.app.clone(), report.clone());
                false
            }
            Some(_) | None => true,
        });
        let roles = queue.iter().map(|w| w.spec.run.role.clone());
        let shares = Shares::of(state, leases, now, &base.ledger, roles);
        let local = limits.home_nodes(&base.ledger);
        let launches = Vec::new();
        let placed = BTreeMap::new();
        let mut round =
            Round { state, limits, now, base: &mut base, shares, local, launches, placed };
        let bound = round.place_bound();
        let ended = round.run(queue);
        round.report(ended, &bound, &mut plan);
        plan.launches = round.launches;
        base.remember_blocked(&plan, &bound, leases);
        self.base = Some(base);
        plan
    }
}

impl Base {
    fn of(state: &State, now: Timestamp) -> Self {
        Self {
            nodes: state.nodes.clone(),
            used: state.index.used.clone(),
            ledger: Ledger::of(state, &[], now),
            fields: Fields::default(),
            touched: BTreeSet::new(),
            blocked: BTreeMap::new(),
            limits: Limits::default(),
        }
    }

    fn remember_blocked(&mut self, plan: &Plan, bound: &BTreeMap<AppId, Report>, leases: &[Lease]) {
        self.blocked.retain(|app, _| plan.reports.contains_key(app));
        for report in plan.reports.values().filter(|_| leases.is_empty()) {
            // Without needs nothing is ever freed for it; without a look at the nodes it is owed one.
            let is_certain = report.hold.is_none()
                && !bound.contains_key(&report.app)
                && report.n_waiting > 0
                && !report.funnel.is_empty()
                && !report.needs.is_zero();
            if is_certain && !self.blocked.contains_key(&report.app) {
                let mut report = report.clone();
                report.n_placed = 0;
                self.blocked.insert(report.app.clone(), (report.version, report));
            }
        }
    }

    /// Takes over what has changed; `None` when nodes came, went or describe themselves anew.
    fn follow(mut self, state: &State) -> Option<Self> {
        use imbl::ordmap::DiffItem;
        self.fields.trim();
        let mut stale = std::mem::take(&mut self.touched);
        for change in self.nodes.diff(&state.nodes) {
            match change {
                DiffItem::Update { old: (id, old), new: (_, new) } if old.info == new.info => {
                    stale.extend(self.ledger.find(id));
                    self.blocked.clear();
                }
                DiffItem::Update { .. } | DiffItem::Add(..) | DiffItem::Remove(..) => return None,
            }
        }
        for change in self.used.diff(&state.index.used) {
            let id = match change {
                DiffItem::Add(id, _) | DiffItem::Remove(id, _) => id,
                DiffItem::Update { new: (id, _), .. } => id,
            };
            stale.extend(self.ledger.find(id));
        }
        self.nodes = state.nodes.clone();
        self.used = state.index.used.clone();
        for ix in stale {
            let id = self.ledger.node(ix).id().clone();
            let node = self.nodes.get(&id)?;
            if self.ledger.reset(ix, node, self.used.get(&id)) {
                self.blocked.clear();
            }
        }
        Some(self)
    }
}

/// The launch delay of a workload, while it lasts.
pub(super) fn backoff(state: &State, spec: &WorkloadSpec, now: Timestamp) -> Option<Hold> {
    let delay = state.delays.get(&spec.id)?;
    (delay.config == spec.last_config_change_at && delay.until > now)
        .then_some(Hold::Backoff { until: delay.until, n_failures: delay.n_failures })
}

fn config(spec: &WorkloadSpec) -> (AppId, Timestamp) {
    (spec.id.clone(), spec.last_config_change_at)
}

/// A plan in the making.
pub(super) struct Round<'a, 'b> {
    pub state: &'a State,
    pub limits: &'a Limits,
    pub now: Timestamp,
    pub base: &'b mut Base,
    pub shares: Shares,
    local: Option<Vec<bool>>,
    pub launches: Vec<Launch>,
    /// Where this plan has put instances of each configuration whose nodes are compared.
    placed: BTreeMap<(AppId, Timestamp), Vec<NodeIx>>,
}

impl<'a> Round<'a, '_> {
    /// Gives turns until nothing more can be placed; returns all workloads with what is left.
    fn run(&mut self, queue: Vec<Waiting<'a>>) -> Vec<Waiting<'a>> {
        let mut ended = Vec::with_capacity(queue.len());
        let mut by_role: BTreeMap<Role, VecDeque<Waiting<'a>>> = BTreeMap::new();
        let n = queue.len().max(1);
        // A different workload leads each time, so that a full plan starves none.
        let lead = usize::try_from(self.state.revision % n as u64).unwrap_or(0);
        let mut queue: VecDeque<Waiting<'a>> = queue.into();
        queue.rotate_left(lead.min(queue.len()));
        for waiting in queue {
            by_role.entry(waiting.spec.run.role.clone()).or_default().push_back(waiting);
        }
        let turn_max = if by_role.len() > 1 { 1 } else { TURN_MAX };
        let mut turns: BTreeSet<(Turn, Role)> =
            by_role.keys().map(|r| (self.shares.turn(r), r.clone())).collect();
        while let Some((_, role)) = turns.pop_first() {
            let Some(line) = by_role.get_mut(&role) else { continue };
            let Some(mut waiting) = line.pop_front() else { continue };
            if self.turn(&mut waiting, turn_max) {
                line.push_back(waiting);
            } else {
                waiting.cursor = None;
                // Other configurations of the same workload come after the wanted one.
                if waiting.hold != Some(Hold::NextRound) {
                    line.extend(waiting.other_configuration(self.state, self.limits.launches_max));
                }
                ended.push(waiting);
            }
            if !line.is_empty() {
                turns.insert((self.shares.turn(&role), role));
            }
        }
        ended
    }

    /// Places up to `n_max` instances of one workload; whether more of them may fit.
    fn turn(&mut self, waiting: &mut Waiting<'a>, n_max: usize) -> bool {
        if waiting.next(self.state).is_none() {
            return false;
        }
        if self.launches.len() >= self.limits.launches_max {
            waiting.hold = Some(Hold::NextRound);
            return false;
        }
        waiting.hold = backoff(self.state, waiting.spec, self.now);
        if waiting.hold.is_some() {
            return false;
        }
        let mut cursor = match waiting.cursor.take() {
            Some(cursor) => cursor,
            None => self.cursor(waiting),
        };
        let room = self.limits.launches_max - self.launches.len();
        let uses_star = cursor.needs.accepted.iter().any(Role::is_star);
        for _ in 0..n_max.min(room) {
            let Some((id, n_before)) = waiting.next(self.state) else { return false };
            let demand = cursor.needs.scalars;
            waiting.hold = self.shares.hold_back(&waiting.spec.run.role, demand, uses_star);
            if waiting.hold.is_some() {
                return false;
            }
            let Some((ix, launch)) = cursor.place(&mut self.base.ledger, id, n_before) else {
                return false;
            };
            self.base.touched.insert(ix);
            self.shares.take(&waiting.spec.run.role, &launch.allocation);
            if cursor.rules.counts_instances() {
                self.placed.entry(config(waiting.spec)).or_default().push(ix);
            }
            waiting.placed();
            self.launches.push(launch);
        }
        waiting.cursor = Some(cursor);
        true
    }

    fn cursor(&mut self, waiting: &Waiting<'a>) -> Cursor {
        let spec = waiting.spec;
        let needs = Needs::of(spec, &self.base.ledger, self.limits.gpus_are_scarce);
        let rules = Rules::of(spec, &self.base.ledger, &mut self.base.fields);
        let spreads = self.limits.policy == Policy::Spread;
        let mut here: BTreeMap<NodeIx, u16> = BTreeMap::new();
        let mut rules = rules;
        if spreads || rules.counts_instances() {
            let peers = Peers::of(self.state, spec, &self.base.ledger);
            self.count(spec, &peers, &mut rules);
            for &ix in peers.nodes.iter().filter(|_| spreads) {
                *here.entry(ix).or_default() += 1;
            }
        }
        let n = u32::try_from(waiting.n_left()).unwrap_or(u32::MAX);
        let local = self.local.as_deref();
        Cursor::new(&self.base.ledger, needs, rules, self.limits.policy, local, here, n)
    }

    /// Counts everything of a workload that has a place, in this plan too.
    fn count(&self, spec: &WorkloadSpec, peers: &Peers<'_>, rules: &mut Rules) {
        peers.count(rules);
        for &ix in self.placed.get(&config(spec)).into_iter().flatten() {
            rules.add(ix);
        }
    }

    /// Writes the report of every workload; the nodes are looked at for a bounded number.
    fn report(
        &mut self,
        ended: Vec<Waiting<'a>>,
        bound: &BTreeMap<AppId, Report>,
        plan: &mut Plan,
    ) {
        let mut n_explained = 0;
        for waiting in &ended {
            let known = plan.reports.get(&waiting.spec.id);
            let n_placed = waiting.n_placed + known.map_or(0, |r| r.n_placed);
            let mut report = match known {
                // Of two configurations the newer one is told when it is blocked.
                Some(known) if known.n_waiting > 0 || !waiting.is_blocked() => known.clone(),
                Some(_) | None => self.about(waiting, &mut n_explained),
            };
            report.n_placed = n_placed;
            plan.reports.insert(report.app.clone(), report);
        }
        for (app, report) in bound {
            // What waits for one node says more than what waits for any.
            let known = plan.reports.get(app).map_or(0, |known| known.n_placed);
            let report = Report { n_placed: report.n_placed + known, ..report.clone() };
            if report.n_waiting > 0 || known == 0 {
                plan.reports.insert(app.clone(), report);
            } else if let Some(known) = plan.reports.get_mut(app) {
                known.n_placed = report.n_placed;
            }
        }
        for (app, report) in &mut plan.reports {
            let n_all = self.state.index.waiting.get(app).map_or(0, |ids| ids.len());
            let n_waiting = n_all.saturating_sub(report.n_placed as usize);
            report.n_waiting = u32::try_from(n_waiting).unwrap_or(u32::MAX);
            report.sentence = explain::sentence(report);
        }
    }

    fn about(&mut self, waiting: &Waiting<'a>, n_explained: &mut usize) -> Report {
        let spec = waiting.spec;
        let n_waiting = u32::from(waiting.is_blocked());
        let mut report = explain::blank(spec, waiting.since, self.now, waiting.n_placed, n_waiting);
        report.hold.clone_from(&waiting.hold);
        if report.is_blocked() && *n_explained < self.limits.explained_max {
            *n_explained += 1;
            let mut rules = Rules::of(spec, &self.base.ledger, &mut self.base.fields);
            let peers = Peers::of(self.state, spec, &self.base.ledger);
            self.count(spec, &peers, &mut rules);
            let needs = Needs::of(spec, &self.base.ledger, self.limits.gpus_are_scarce);
            let local = self.local.as_deref();
            let ledger = &mut self.base.ledger;
            let mut explainer = Explainer { ledger, limits: self.limits, local, bound: None };
            explainer.explain(spec, &needs, &rules, &mut report);
        }
        report
    }
}
