//! `plan`: the waiting instances of a snapshot to launches, within bounds, in fair order.
//!
//! Roles take turns by share, workloads of one role by rotation; a workload is scanned for once
//! and then placed in bulk. A workload that fits nowhere does not hold up those behind it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    constraint::{self, Rules},
    cursor::Cursor,
    explain::{self, Explainer},
    field::Fields,
    fit::Needs,
    ledger::{Ledger, NodeIx},
    report::{Hold, Report},
    share::{Shares, Turn},
};
use crate::{
    base::clock::Timestamp,
    core::{State, command::Launch},
    model::{
        access::Role, framework::Lease, instance::InstanceId, path::AppId, workload::WorkloadSpec,
    },
};

/// How nodes are preferred among those that fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// Few instances of the same workload on a node, then the emptiest node: losing one hurts least.
    #[default]
    Spread,
    /// The fullest node that still fits: whole nodes stay free for large instances.
    BinPack,
}

/// Bounds and settings of one plan.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Launches in one plan.
    pub launches_max: usize,
    /// Blocked workloads whose nodes are looked at one by one for the report. The others get a
    /// report without them; which ones changes from plan to plan.
    pub explained_max: usize,
    /// Nodes listed in one report.
    pub report_nodes_max: usize,
    pub policy: Policy,
    /// Keeps nodes with GPUs for workloads that ask for GPUs.
    pub gpus_are_scarce: bool,
    /// Region of the masters; workloads leave it only when they name a region or zone. `None`
    /// opens all regions.
    pub home_region: Option<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            launches_max: 2_048,
            explained_max: 16,
            report_nodes_max: 20,
            policy: Policy::default(),
            gpus_are_scarce: true,
            home_region: None,
        }
    }
}

/// What a plan wants done, and what it found.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    pub launches: Vec<Launch>,
    /// One per workload with waiting instances.
    pub reports: BTreeMap<AppId, Report>,
}

/// Instances one workload may place before the next of its role comes, when nobody else competes.
const TURN_MAX: usize = 64;

/// The launches for what waits in `state`, and a report per workload that waits.
pub fn plan(state: &State, leases: &[Lease], now: Timestamp, limits: &Limits) -> Plan {
    let mut plan = Plan::default();
    if state.index.waiting.is_empty() {
        return plan;
    }
    let ledger = Ledger::of(state, leases, now);
    let queue = Waiting::gather(state, now, &mut plan);
    let roles = queue.iter().map(|w| w.spec.role.clone());
    let shares = Shares::of(state, leases, now, &ledger, roles);
    let local = home_nodes(&ledger, limits);
    let mut round = Round {
        state,
        limits,
        ledger,
        fields: Fields::default(),
        shares,
        local,
        launches: Vec::new(),
        placed: BTreeMap::new(),
    };
    let ended = round.run(queue);
    round.report(ended, now, &mut plan);
    plan.launches = round.launches;
    plan
}

/// Which nodes count as standing in the home region; `None` when all do.
pub(super) fn home_nodes(ledger: &Ledger, limits: &Limits) -> Option<Vec<bool>> {
    let home = limits.home_region.as_ref()?;
    let region = |ix| ledger.node(ix).info.fault_domain.as_ref().map(|d| &d.region);
    Some(ledger.all().map(|ix| region(ix).is_none_or(|r| r == home)).collect())
}

/// Instances of one workload and configuration that wait.
struct Waiting<'a> {
    spec: &'a WorkloadSpec,
    ids: VecDeque<&'a InstanceId>,
    since: Timestamp,
    n_placed: u32,
    cursor: Option<Cursor>,
    hold: Option<Hold>,
    /// The next older configuration of the same workload; its turn comes when this one has ended,
    /// so that it sees where these instances went.
    older: Option<Box<Self>>,
}

impl<'a> Waiting<'a> {
    /// What waits, newest configuration of a workload first. Those in backoff are reported at once.
    fn gather(state: &'a State, now: Timestamp, plan: &mut Plan) -> Vec<Self> {
        let mut queue = Vec::with_capacity(state.index.waiting.len());
        for (app, ids) in &state.index.waiting {
            let mut by_config: BTreeMap<Timestamp, Self> = BTreeMap::new();
            let mut last: Option<(Timestamp, Timestamp)> = None;
            for id in ids {
                let Some(instance) = state.instances.get(id) else { continue };
                let config = match last {
                    Some((version, config)) if version == instance.version => config,
                    Some(_) | None => match state.spec_of(instance) {
                        Some(spec) => spec.last_config_change_at,
                        None => continue,
                    },
                };
                last = Some((instance.version, config));
                if let Some(waiting) = by_config.get_mut(&config) {
                    waiting.since = waiting.since.min(instance.since);
                    waiting.ids.push_back(id);
                } else if let Some(spec) = wanted_spec(state, app, config, instance.version) {
                    let waiting = Self {
                        spec,
                        ids: VecDeque::from([id]),
                        since: instance.since,
                        n_placed: 0,
                        cursor: None,
                        hold: None,
                        older: None,
                    };
                    by_config.insert(config, waiting);
                }
            }
            let mut chain: Option<Box<Self>> = None;
            for mut waiting in by_config.into_values() {
                match backoff(state, waiting.spec, now) {
                    Some(hold) => waiting.delayed(hold, now, plan),
                    None => {
                        waiting.older = chain.take();
                        chain = Some(Box::new(waiting));
                    }
                }
            }
            queue.extend(chain.map(|w| *w));
        }
        queue
    }

    fn delayed(self, hold: Hold, now: Timestamp, plan: &mut Plan) {
        let mut report = self.blank(now);
        report.hold = Some(hold);
        report.sentence = explain::sentence(&report);
        plan.reports.entry(report.app.clone()).or_insert(report);
    }

    fn blank(&self, now: Timestamp) -> Report {
        let n_waiting = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        explain::blank(self.spec, self.since, now, self.n_placed, n_waiting)
    }
}

/// The definition that waiting instances of `config` are placed by: the wanted one when it is of
/// that configuration (it has the present number of instances), else the one they were made from.
fn wanted_spec<'a>(
    state: &'a State,
    app: &AppId,
    config: Timestamp,
    version: Timestamp,
) -> Option<&'a WorkloadSpec> {
    let wanted = state.spec(app).filter(|s| s.last_config_change_at == config);
    wanted.or_else(|| state.specs.get(&(app.clone(), version))).map(AsRef::as_ref)
}

/// The launch delay of a workload, while it lasts.
pub(super) fn backoff(state: &State, spec: &WorkloadSpec, now: Timestamp) -> Option<Hold> {
    let delay = state.delays.get(&spec.id)?;
    (delay.config == spec.last_config_change_at && delay.until > now)
        .then_some(Hold::Backoff { until: delay.until, n_failures: delay.n_failures })
}

/// A plan in the making.
struct Round<'a> {
    state: &'a State,
    limits: &'a Limits,
    ledger: Ledger,
    fields: Fields,
    shares: Shares,
    local: Option<Vec<bool>>,
    launches: Vec<Launch>,
    /// Where this plan has put instances of a workload that may come up again.
    placed: BTreeMap<AppId, Vec<NodeIx>>,
}

impl<'a> Round<'a> {
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
            by_role.entry(waiting.spec.role.clone()).or_default().push_back(waiting);
        }
        let turn_max = if by_role.len() > 1 { 1 } else { TURN_MAX };
        let mut turns: BTreeSet<(Turn, Role)> =
            by_role.keys().map(|r| (self.shares.turn(r), r.clone())).collect();
        while let Some((_, role)) = turns.pop_first() {
            let Some(line) = by_role.get_mut(&role) else { continue };
            let Some(mut waiting) = line.pop_front() else { continue };
            let goes_on = self.turn(&mut waiting, turn_max);
            if goes_on {
                line.push_back(waiting);
            } else {
                waiting.cursor = None;
                line.extend(waiting.older.take().map(|w| *w));
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
        if self.launches.len() >= self.limits.launches_max {
            waiting.hold = Some(Hold::NextRound);
            return false;
        }
        let mut cursor = match waiting.cursor.take() {
            Some(cursor) => cursor,
            None => self.cursor(waiting),
        };
        let room = self.limits.launches_max - self.launches.len();
        let uses_star = cursor.needs.accepted.iter().any(Role::is_star);
        for _ in 0..n_max.min(room) {
            let Some(&id) = waiting.ids.front() else { return false };
            let demand = cursor.needs.scalars;
            waiting.hold = self.shares.hold_back(&waiting.spec.role, demand, uses_star);
            if waiting.hold.is_some() {
                return false;
            }
            let Some((ix, launch)) = cursor.place(&mut self.ledger, id) else { return false };
            self.shares.take(&waiting.spec.role, &launch.allocation);
            if cursor.rules.counts_instances() {
                self.placed.entry(waiting.spec.id.clone()).or_default().push(ix);
            }
            waiting.ids.pop_front();
            waiting.n_placed += 1;
            self.launches.push(launch);
        }
        waiting.cursor = Some(cursor);
        !waiting.ids.is_empty()
    }

    fn cursor(&mut self, waiting: &Waiting<'a>) -> Cursor {
        let spec = waiting.spec;
        let needs = Needs::of(spec, &self.ledger, self.limits.gpus_are_scarce);
        let rules = self.rules(spec);
        let mut here: BTreeMap<NodeIx, u16> = BTreeMap::new();
        if self.limits.policy == Policy::Spread {
            let placed =
                constraint::compared(self.state, spec).filter_map(|i| i.placement.as_ref());
            for ix in placed.filter_map(|p| self.ledger.find(&p.node)) {
                *here.entry(ix).or_default() += 1;
            }
        }
        let n = u32::try_from(waiting.ids.len()).unwrap_or(u32::MAX);
        let local = self.local.as_deref();
        Cursor::new(&self.ledger, needs, rules, self.limits.policy, local, here, n)
    }

    /// The rules of a workload with everything counted that has a place, in this plan too.
    fn rules(&mut self, spec: &WorkloadSpec) -> Rules {
        let mut rules = Rules::of(spec, &self.ledger, &mut self.fields);
        constraint::count_compared(&mut rules, self.state, spec, &self.ledger);
        for &ix in self.placed.get(&spec.id).into_iter().flatten() {
            rules.add(ix);
        }
        rules
    }

    /// Writes the report of every workload; the nodes are looked at for a bounded number.
    fn report(&mut self, ended: Vec<Waiting<'a>>, now: Timestamp, plan: &mut Plan) {
        let mut n_explained = 0;
        for waiting in ended {
            let mut report = waiting.blank(now);
            report.hold = waiting.hold.clone();
            if report.is_blocked() && n_explained < self.limits.explained_max {
                n_explained += 1;
                let rules = self.rules(waiting.spec);
                let needs = Needs::of(waiting.spec, &self.ledger, self.limits.gpus_are_scarce);
                let local = self.local.as_deref();
                let mut explainer =
                    Explainer { ledger: &mut self.ledger, limits: self.limits, local };
                explainer.explain(waiting.spec, &needs, &rules, &mut report);
            }
            report.sentence = explain::sentence(&report);
            merge(&mut plan.reports, report);
        }
    }
}

/// One report per workload: of two configurations the blocked one is told.
fn merge(reports: &mut BTreeMap<AppId, Report>, report: Report) {
    match reports.get(&report.app) {
        Some(known) if known.n_waiting > 0 || report.n_waiting == 0 => {}
        Some(_) | None => {
            reports.insert(report.app.clone(), report);
        }
    }
}
