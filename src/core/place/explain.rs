//! Why a workload waits: every node against every reason, counted and put into words.
//!
//! A node's reasons are found independently of each other, so "nothing but this constraint" can be
//! counted; in the funnel a node is charged to its first reason only. Runs after the plan, on the
//! ledger as the plan left it.

use super::{
    advice,
    constraint::{self, Rules},
    fit::Needs,
    ledger::{Ledger, NodeIx},
    limits::Limits,
    report::{ADVICE_HEAD, ConstraintRow, FunnelRow, Hold, NodeRow, Reason, Report, Shortage},
    share::pick,
};
use crate::{
    base::{
        clock::Timestamp,
        units::{self, Milli},
    },
    model::{
        access::Role,
        node::Node,
        resource::Scalars,
        workload::{Constraint, WorkloadSpec},
    },
};

/// What stands in the way on one node.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Failures {
    /// One bit per `Reason`.
    reasons: u16,
    /// One bit per constraint; those past the 64th share the last bit.
    pub constraints: u64,
}

impl Failures {
    fn add(&mut self, reason: Reason) {
        self.reasons |= 1 << reason as u16;
    }

    pub fn has(self, reason: Reason) -> bool {
        self.reasons & 1 << reason as u16 != 0
    }

    pub fn is_empty(self) -> bool {
        self.reasons == 0
    }

    pub fn is_only(self, reason: Reason) -> bool {
        self.reasons == 1 << reason as u16
    }

    /// Whether nothing but scalars is short.
    pub fn is_only_scalars(self) -> bool {
        let scalars = SCALARS.iter().fold(0u16, |bits, (r, _)| bits | 1 << *r as u16);
        self.reasons != 0 && self.reasons & !scalars == 0
    }

    fn first(self) -> Option<Reason> {
        Reason::ALL.into_iter().find(|&r| self.has(r))
    }

    fn each(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |&r| self.has(r))
    }

    fn n(self) -> u32 {
        let others = self.reasons & !(1 << Reason::Constraint as u16);
        others.count_ones() + self.constraints.count_ones()
    }
}

/// The reasons that are about a scalar, with its name.
pub(super) const SCALARS: [(Reason, &str); 4] =
    [(Reason::Cpus, "cpus"), (Reason::Mem, "mem"), (Reason::Disk, "disk"), (Reason::Gpus, "gpus")];

/// What explaining looks at.
pub(super) struct Explainer<'a> {
    pub ledger: &'a mut Ledger,
    pub limits: &'a Limits,
    pub local: Option<&'a [bool]>,
    /// The only node that has what the instance keeps.
    pub bound: Option<NodeIx>,
}

impl Explainer<'_> {
    /// Everything that stands in the way of one more instance on a node.
    pub fn failures(&self, needs: &Needs, rules: &Rules, ix: NodeIx) -> Failures {
        let ledger = &*self.ledger;
        let node = ledger.node(ix);
        let mut failures = Failures::default();
        if self.bound.is_some_and(|bound| bound != ix) {
            // What else it lacks is of no interest.
            failures.add(Reason::Reservation);
            return failures;
        }
        if !node.is_reachable() {
            failures.add(Reason::Unreachable);
        } else if !node.takes_work() {
            failures.add(Reason::Maintenance);
        }
        if !needs.has_role(ledger, ix) {
            failures.add(Reason::Role);
        }
        if needs.stays_home && self.local.is_some_and(|l| !l[ix as usize]) {
            failures.add(Reason::Region);
        }
        for (i, rule) in rules.0.iter().enumerate() {
            if !rule.accepts(ix) {
                failures.add(Reason::Constraint);
                failures.constraints |= 1 << i.min(63);
            }
        }
        let free = ledger.free(ix, &needs.roles);
        for (reason, name) in SCALARS {
            if pick(&free, name) < pick(&needs.scalars, name) {
                failures.add(reason);
            }
        }
        if !needs.ports.fit(ledger, ix, &needs.roles) {
            failures.add(Reason::Ports);
        }
        if needs.is_scarce(ledger, ix) {
            failures.add(Reason::Scarce);
        }
        failures
    }

    /// Fills the part of the report that is about nodes.
    pub fn explain(
        &mut self,
        spec: &WorkloadSpec,
        needs: &Needs,
        rules: &Rules,
        report: &mut Report,
    ) {
        let all: Vec<Failures> =
            self.ledger.all().map(|ix| self.failures(needs, rules, ix)).collect();
        report.n_nodes = count(all.iter(), |_| true);
        report.n_fitting = count(all.iter(), |f| f.is_empty());
        report.funnel = self.funnel(&all, needs, rules);
        report.constraints = constraint_rows(&all, rules);
        report.nodes = self.closest(&all, needs, rules);
        report.advice = match self.bound {
            None => advice::advise(self, spec, needs, rules, &all, report.hold.as_ref()),
            Some(_) => advice::of_one_node(self, &all).into_iter().map(|(_, one)| one).collect(),
        };
    }

    fn funnel(&self, all: &[Failures], needs: &Needs, rules: &Rules) -> Vec<FunnelRow> {
        let mut processed = count(all.iter(), |_| true);
        let mut funnel = Vec::with_capacity(Reason::ALL.len());
        for reason in Reason::ALL {
            let declined = count(all.iter(), |f| f.first() == Some(reason));
            let detail = (declined > 0).then(|| self.detail(reason, all, needs, rules)).flatten();
            funnel.push(FunnelRow { reason, processed, declined, detail });
            processed -= declined;
        }
        funnel
    }

    /// A few words with numbers about one row.
    fn detail(
        &self,
        reason: Reason,
        all: &[Failures],
        needs: &Needs,
        rules: &Rules,
    ) -> Option<String> {
        let charged = || self.ledger.all().filter(|&ix| all[ix as usize].first() == Some(reason));
        if let Some((_, name)) = SCALARS.iter().find(|(r, _)| *r == reason) {
            let free = |ix| pick(&self.ledger.free(ix, &needs.roles), name);
            let best = charged().max_by_key(|&ix| (free(ix), std::cmp::Reverse(ix)))?;
            let (needed, free) = apart(pick(&needs.scalars, name), free(best), name);
            let host = &self.ledger.node(best).info.hostname;
            return Some(format!("needs {needed}; most free {free} on {host}"));
        }
        match reason {
            Reason::Role => {
                let roles: Vec<&str> = needs.accepted.iter().map(|r| r.as_str()).collect();
                Some(format!("accepts resources of {} only", roles.join(", ")))
            }
            Reason::Constraint => {
                let failed = charged().fold(0u64, |bits, ix| bits | all[ix as usize].constraints);
                let named =
                    rules.0.iter().enumerate().filter(|(i, _)| failed & 1 << i.min(&63) != 0);
                Some(named.map(|(_, r)| written(&r.constraint)).collect::<Vec<_>>().join(", "))
            }
            Reason::Ports if needs.ports.n_any == 0 => {
                let ports: Vec<String> = needs.ports.exact.iter().map(u16::to_string).collect();
                Some(format!("needs host port {}", ports.join(", ")))
            }
            Reason::Ports => Some(format!("needs {} host ports", needs.ports.n_numbers())),
            Reason::Unreachable
            | Reason::Region
            | Reason::Reservation
            | Reason::Maintenance
            | Reason::Scarce
            | Reason::Cpus
            | Reason::Mem
            | Reason::Disk
            | Reason::Gpus => None,
        }
    }

    /// The nodes that lack least, first.
    fn closest(&self, all: &[Failures], needs: &Needs, rules: &Rules) -> Vec<NodeRow> {
        let mut order: Vec<(bool, u32, i64, NodeIx)> = self
            .ledger
            .all()
            .map(|ix| {
                let failures = all[ix as usize];
                let short = self.shortness(needs, ix);
                (failures.has(Reason::Unreachable), failures.n(), short, ix)
            })
            .collect();
        order.sort_unstable();
        order.truncate(self.limits.report_nodes_max);
        order.into_iter().map(|(_, _, _, ix)| self.node_row(needs, rules, ix, all)).collect()
    }

    /// How much is short of what is needed, in thousandths, summed over scalars.
    pub fn shortness(&self, needs: &Needs, ix: NodeIx) -> i64 {
        let free = self.ledger.free(ix, &needs.roles);
        SCALARS.iter().map(|(_, name)| relative_lack(&needs.scalars, &free, name)).sum()
    }

    fn node_row(&self, needs: &Needs, rules: &Rules, ix: NodeIx, all: &[Failures]) -> NodeRow {
        let node = self.ledger.node(ix);
        let failures = all[ix as usize];
        let mut failed = Vec::new();
        for reason in failures.each() {
            if reason == Reason::Constraint {
                let broken = rules
                    .0
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| failures.constraints & 1 << i.min(&63) != 0);
                failed.extend(broken.map(|(_, r)| {
                    let field = &r.constraint.field;
                    let value =
                        node.field(field).map_or("nothing".to_owned(), |v| format!("{v:?}"));
                    let message = format!("{} ({field} is {value})", written(&r.constraint));
                    Shortage { reason, needed: None, available: None, message }
                }));
            } else {
                failed.push(self.shortage(reason, needs, node, ix));
            }
        }
        NodeRow {
            node: node.id().clone(),
            hostname: node.info.hostname.clone(),
            free: self.ledger.free(ix, &needs.roles),
            failed,
        }
    }

    fn shortage(&self, reason: Reason, needs: &Needs, node: &Node, ix: NodeIx) -> Shortage {
        if let Some((_, name)) = SCALARS.iter().find(|(r, _)| *r == reason) {
            let needed = pick(&needs.scalars, name);
            let free = pick(&self.ledger.free(ix, &needs.roles), name).max(Milli::ZERO);
            let (wants, has) = apart(needed, free, name);
            let message = format!("needs {wants}, has {has} free");
            return Shortage { reason, needed: Some(needed), available: Some(free), message };
        }
        let message = match reason {
            Reason::Unreachable => "nobody hears from it".to_owned(),
            Reason::Maintenance => "it is drained".to_owned(),
            Reason::Role => {
                let roles: Vec<&str> = needs.accepted.iter().map(|r| r.as_str()).collect();
                let held: Vec<&str> = node.info.total.0.keys().map(Role::as_str).collect();
                let (wanted, held) = (roles.join(" or "), held.join(" and "));
                format!("has nothing for role {wanted}, all of it is reserved for {held}")
            }
            Reason::Region => {
                let region = node.info.fault_domain.as_ref().map_or("", |d| &d.region);
                format!("stands in region {region}, which no constraint names")
            }
            Reason::Scarce => "has GPUs, kept for those who ask for them".to_owned(),
            Reason::Reservation => "its data is on another node".to_owned(),
            Reason::Ports => {
                let missing = needs.ports.missing(self.ledger, ix, &needs.roles);
                if missing.is_empty() {
                    format!("needs {} host ports, has fewer", needs.ports.n_numbers())
                } else {
                    let missing: Vec<String> = missing.iter().map(u16::to_string).collect();
                    format!("host port {} is not free", missing.join(", "))
                }
            }
            Reason::Constraint | Reason::Cpus | Reason::Mem | Reason::Disk | Reason::Gpus => {
                String::new()
            }
        };
        Shortage { reason, needed: None, available: None, message }
    }
}

/// What is missing of one scalar, in thousandths of what is needed.
pub(super) fn relative_lack(needs: &Scalars, free: &Scalars, name: &str) -> i64 {
    let (need, free) = (pick(needs, name).get(), pick(free, name).get().max(0));
    if need <= free { 0 } else { (need - free).saturating_mul(1000) / need }
}

fn constraint_rows(all: &[Failures], rules: &Rules) -> Vec<ConstraintRow> {
    let row = |(i, rule): (usize, &constraint::Rule)| {
        let bit = 1u64 << i.min(63);
        ConstraintRow {
            constraint: rule.constraint.clone(),
            n_removed: count(all.iter(), |f| f.constraints & bit != 0),
            n_sole: count(all.iter(), |f| f.is_only(Reason::Constraint) && f.constraints == bit),
        }
    };
    rules.0.iter().enumerate().map(row).collect()
}

fn count<'a>(all: impl Iterator<Item = &'a Failures>, wanted: impl Fn(&Failures) -> bool) -> u32 {
    u32::try_from(all.filter(|f| wanted(f)).count()).unwrap_or(u32::MAX)
}

/// As `hostname UNIQUE` or `rack LIKE a.*`.
pub(super) fn written(constraint: &Constraint) -> String {
    let value = constraint.value.as_deref().filter(|v| !v.is_empty());
    let value = value.map_or(String::new(), |v| format!(" {v}"));
    format!("{} {}{value}", constraint.field, constraint.operator.as_str())
}

/// As `4 cpus`, `4 GiB of memory` or `512 MiB of disk`.
pub(super) fn amount(value: Milli, name: &str) -> String {
    match name {
        "mem" => format!("{} of memory", units::memory(value)),
        "disk" => format!("{} of disk", units::memory(value)),
        name if value == Milli::whole(1) => format!("1 {}", name.trim_end_matches('s')),
        name => format!("{value} {name}"),
    }
}

/// What is needed, named, and what is free, in the same unit and so that they differ.
fn apart(needed: Milli, free: Milli, name: &str) -> (String, String) {
    match name {
        "mem" | "disk" => {
            let (needed, free) = units::memories(needed, free);
            let of = if name == "mem" { "memory" } else { name };
            (format!("{needed} of {of}"), free)
        }
        name => (amount(needed, name), free.to_string()),
    }
}

/// A report without anything about nodes.
pub(super) fn blank(
    spec: &WorkloadSpec,
    since: Timestamp,
    at: Timestamp,
    n_placed: u32,
    n_waiting: u32,
) -> Report {
    let ports = super::ports::PortNeeds::of(spec);
    Report {
        app: spec.id.clone(),
        version: spec.version,
        role: spec.run.role.clone(),
        at,
        since,
        n_placed,
        n_waiting,
        hold: None,
        needs: spec.run.demand(),
        n_ports: ports.n_numbers(),
        exact_ports: ports.exact.to_vec(),
        n_nodes: 0,
        n_fitting: 0,
        funnel: Vec::new(),
        constraints: Vec::new(),
        nodes: Vec::new(),
        advice: Vec::new(),
        sentence: String::new(),
    }
}

/// The whole answer in one or two sentences.
pub(super) fn sentence(report: &Report) -> String {
    if report.n_waiting == 0 {
        return format!("{} placed, nothing waits", instances(report.n_placed));
    }
    let who = instances(report.n_waiting);
    let why = match &report.hold {
        Some(Hold::Backoff { until, n_failures }) => {
            let times =
                if *n_failures == 1 { "once".to_owned() } else { format!("{n_failures} times") };
            return format!("launches are held back until {until}: it failed {times}");
        }
        Some(Hold::NextRound) => return format!("{who} placed in the next round"),
        Some(Hold::Quota { role, resource, limit, after }) => format!(
            "role {role} may hold {}, one more instance would make it {after}",
            amount(*limit, resource)
        ),
        Some(Hold::Guaranteed { resource, owed }) => {
            format!("what is free is guaranteed to other roles ({})", amount(*owed, resource))
        }
        None => stands_in_the_way(report),
    };
    let waits = if report.n_waiting == 1 { "waits" } else { "wait" };
    match report.advice.first() {
        Some(advice) => format!("{who} {waits}: {why}{ADVICE_HEAD}{}", advice.sentence),
        None => format!("{who} {waits}: {why}"),
    }
}

/// Why no node takes one more.
pub(super) fn stands_in_the_way(report: &Report) -> String {
    match report {
        report if report.funnel.is_empty() => "no node fits".to_owned(),
        report if report.n_nodes == 0 => "the cluster has no nodes".to_owned(),
        report => of_nodes(report),
    }
}

/// As `the one node has too little memory free (needs …)` or `none of 3 nodes fits: 2 have …`.
fn of_nodes(report: &Report) -> String {
    let part = |row: &FunnelRow| {
        let one = row.declined == 1;
        let has = if one { "has" } else { "have" };
        let is = if one { "is" } else { "are" };
        let what = match row.reason {
            Reason::Unreachable => format!("{is} not heard of"),
            Reason::Role => format!("{has} nothing for its role"),
            Reason::Region => format!("{} in another region", if one { "stands" } else { "stand" }),
            Reason::Constraint => {
                format!("{} not meet a constraint", if one { "does" } else { "do" })
            }
            Reason::Reservation => format!("{} not hold its data", if one { "does" } else { "do" }),
            Reason::Maintenance => format!("{is} drained"),
            Reason::Cpus => format!("{has} too few cpus free"),
            Reason::Mem => format!("{has} too little memory free"),
            Reason::Disk => format!("{has} too little disk free"),
            Reason::Gpus => format!("{has} too few gpus free"),
            Reason::Ports => format!("{} a host port", if one { "lacks" } else { "lack" }),
            Reason::Scarce => format!("{is} kept for apps with GPUs"),
        };
        let detail = row.detail.as_ref().map_or(String::new(), |d| format!(" ({d})"));
        (row.declined, format!("{what}{detail}"))
    };
    let parts: Vec<(u32, String)> =
        report.funnel.iter().filter(|r| r.declined > 0).map(part).collect();
    if let ([(1, only)], 1) = (parts.as_slice(), report.n_nodes) {
        return format!("the one node {only}");
    }
    let parts: Vec<String> = parts.into_iter().map(|(n, what)| format!("{n} {what}")).collect();
    format!("none of {} nodes fits: {}", report.n_nodes, parts.join(", "))
}

fn instances(n: u32) -> String {
    units::count(n as usize, "instance")
}
