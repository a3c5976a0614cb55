//! Constraints of one workload: all of Marathon's operators over dense columns
//! (docs/compat/marathon.md, "Constraints").
//!
//! Instances are compared with those of the same workload and configuration that have a place and
//! are not lost. Counts only rise while a plan is made, so a refused node stays refused, with one
//! exception: `GROUP_BY` without a value follows the emptiest group and may come back to a node.

use std::sync::Arc;

use super::{
    field::{Column, Fields, MISSING, ValueIx, Verdicts},
    ledger::{Ledger, NodeIx},
};
use crate::{
    base::clock::Timestamp,
    core::State,
    model::{
        instance::{Condition, Instance},
        workload::{Constraint, Operator, WorkloadSpec},
    },
};

/// What a rule says about a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Yes,
    /// Refused now; may be accepted after further placements of this plan.
    NotNow,
    /// Refused for the rest of this plan.
    No,
}

/// One constraint with what it has counted so far.
#[derive(Clone, Debug)]
pub struct Rule {
    pub constraint: Constraint,
    pub column: Arc<Column>,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Fixed(Arc<Verdicts>),
    /// All on the value of the first.
    Cluster {
        chosen: Option<ValueIx>,
    },
    AtMost {
        n: u32,
        counts: Vec<u32>,
    },
    GroupBy(Groups),
    /// A value is needed and missing or no number.
    Unreadable,
}

/// Counts of `GROUP_BY`.
#[derive(Clone, Debug)]
struct Groups {
    /// Number of groups to use; `None` spreads over all there are.
    n: Option<u32>,
    /// Instances wanted.
    target: u32,
    counts: Vec<u32>,
    in_use: u32,
    /// Sum over groups of what they hold beyond `target / n`.
    over: u32,
    /// Number of groups by count, and the smallest count of a group in use.
    histogram: Vec<u32>,
    least: u32,
}

impl Groups {
    fn new(n: Option<u32>, target: u32, n_values: usize) -> Self {
        let counts = vec![0; n_values];
        Self { n, target, counts, in_use: 0, over: 0, histogram: vec![0; 2], least: 0 }
    }

    fn add(&mut self, value: ValueIx) {
        let before = self.counts[value as usize];
        self.counts[value as usize] = before + 1;
        if let Some(n) = self.n
            && before >= self.target / n
        {
            self.over += 1;
        }
        let at = before as usize;
        if self.histogram.len() <= at + 1 {
            self.histogram.resize(at + 2, 0);
        }
        self.histogram[at + 1] += 1;
        if before == 0 {
            self.in_use += 1;
            self.least = 1;
        } else {
            self.histogram[at] -= 1;
            if self.least == before && self.histogram[at] == 0 {
                self.least = before + 1;
            }
        }
    }

    fn verdict(&self, value: ValueIx) -> Verdict {
        let count = self.counts[value as usize];
        let Some(n) = self.n else {
            return if count == 0 || count == self.least { Verdict::Yes } else { Verdict::NotNow };
        };
        if count == 0 {
            return if self.in_use < n { Verdict::Yes } else { Verdict::No };
        }
        let (per, rest) = (self.target / n, self.target % n);
        if count < per || count == per && rest > self.over { Verdict::Yes } else { Verdict::No }
    }
}

impl Rule {
    fn of(constraint: &Constraint, target: u32, ledger: &Ledger, fields: &mut Fields) -> Self {
        let column = fields.column(ledger, &constraint.field);
        let number = || constraint.value.as_deref().unwrap_or("").trim().parse::<u32>();
        let counts = || vec![0; column.n_values()];
        let test = match (fields.verdicts(constraint, &column), constraint.operator) {
            (Some(verdicts), _) => Test::Fixed(verdicts),
            (None, Operator::Cluster) => Test::Cluster { chosen: None },
            (None, Operator::Unique) => Test::AtMost { n: 1, counts: counts() },
            (None, Operator::MaxPer) => match number() {
                Ok(n) => Test::AtMost { n, counts: counts() },
                Err(_) => Test::Unreadable,
            },
            (None, Operator::GroupBy) => {
                let n = number().ok().filter(|&n| n > 0);
                Test::GroupBy(Groups::new(n, target, column.n_values()))
            }
            (None, Operator::Like | Operator::Unlike | Operator::Is) => Test::Unreadable,
        };
        Self { constraint: constraint.clone(), column, test }
    }

    /// What it says about a value.
    #[inline]
    pub fn verdict(&self, value: ValueIx) -> Verdict {
        let yes = match &self.test {
            Test::Fixed(verdicts) => verdicts.of(value),
            _ if value == MISSING => false,
            Test::Cluster { chosen } => chosen.is_none_or(|c| c == value),
            Test::AtMost { n, counts } => counts[value as usize] < *n,
            Test::GroupBy(groups) => return groups.verdict(value),
            Test::Unreadable => false,
        };
        if yes { Verdict::Yes } else { Verdict::No }
    }

    /// What it says about a node.
    #[inline]
    pub fn accepts(&self, ix: NodeIx) -> bool {
        self.verdict(self.column.of_node(ix)) == Verdict::Yes
    }

    fn add(&mut self, value: ValueIx) {
        if value == MISSING {
            return;
        }
        match &mut self.test {
            Test::Fixed(_) | Test::Unreadable => {}
            Test::Cluster { chosen } => *chosen = chosen.or(Some(value)),
            Test::AtMost { counts, .. } => counts[value as usize] += 1,
            Test::GroupBy(groups) => groups.add(value),
        }
    }

    /// How many compared instances stand on a value, where the rule counts them.
    pub fn count(&self, value: ValueIx) -> u32 {
        match &self.test {
            Test::AtMost { counts, .. } if value != MISSING => counts[value as usize],
            Test::GroupBy(groups) if value != MISSING => groups.counts[value as usize],
            Test::Fixed(_)
            | Test::Cluster { .. }
            | Test::AtMost { .. }
            | Test::GroupBy(_)
            | Test::Unreadable => 0,
        }
    }

    /// The answer depends on the value alone and never changes.
    pub fn is_fixed(&self) -> bool {
        matches!(self.test, Test::Fixed(_) | Test::Unreadable)
    }

    pub fn is_group_by(&self) -> bool {
        matches!(self.test, Test::GroupBy(_))
    }

    /// A `CLUSTER` without a value that has not met an instance yet.
    pub fn is_open_cluster(&self) -> bool {
        matches!(self.test, Test::Cluster { chosen: None })
    }

    /// Whether nodes are best looked at by value together: the rule prefers some values over
    /// others, or has so few values that refusing one at once pays.
    pub fn is_by_value(&self, n_nodes: usize) -> bool {
        match self.test {
            Test::Cluster { .. } | Test::GroupBy(_) => true,
            Test::AtMost { .. } => self.column.n_values() * 2 <= n_nodes,
            Test::Fixed(_) | Test::Unreadable => false,
        }
    }
}

/// All constraints of one workload.
#[derive(Clone, Debug, Default)]
pub struct Rules(pub Vec<Rule>);

impl Rules {
    /// The rules of `spec`, with nothing counted yet.
    pub fn of(spec: &WorkloadSpec, ledger: &Ledger, fields: &mut Fields) -> Self {
        let rule = |c| Rule::of(c, spec.instances, ledger, fields);
        Self(spec.constraints.iter().map(rule).collect())
    }

    /// Whether counting instances matters at all.
    pub fn counts_instances(&self) -> bool {
        self.0.iter().any(|r| !r.is_fixed())
    }

    /// Counts an instance on a node.
    pub fn add(&mut self, ix: NodeIx) {
        for rule in &mut self.0 {
            let value = rule.column.of_node(ix);
            rule.add(value);
        }
    }

    /// Counts an instance on a node that is gone; only its host name is still known.
    fn add_gone(&mut self, hostname: &str) {
        for rule in &mut self.0 {
            if matches!(rule.constraint.field.as_str(), "hostname" | "@hostname")
                && let Some(value) = rule.column.find(hostname)
            {
                rule.add(value);
            }
        }
    }

    #[inline]
    pub fn accept(&self, ix: NodeIx) -> bool {
        self.0.iter().all(|r| r.accepts(ix))
    }
}

/// The instances a new one is compared with: same workload and configuration, with a place and not
/// lost. Not "or a later one": taking an upgrade back makes an earlier configuration the wanted one.
/// Those on draining nodes are to be replaced and stand in the way of nothing, as those of an older
/// configuration do not: else whatever is spread as far as it may be could never leave a node.
pub fn compared<'a>(
    state: &'a State,
    spec: &'a WorkloadSpec,
) -> impl Iterator<Item = &'a Instance> + 'a {
    let config = spec.last_config_change_at;
    // Few versions, many instances: the last answer is nearly always the next one.
    let mut last: Option<(Timestamp, bool)> = None;
    state.instances_of(&spec.id).map(AsRef::as_ref).filter(move |instance| {
        let is_placed = matches!(
            instance.condition(),
            Condition::Provisioned
                | Condition::Staging
                | Condition::Starting
                | Condition::Running
                | Condition::Killing
        );
        let stays = |i: &Instance| {
            i.placement().is_none_or(|place| !state.index.draining.contains(&place.node))
        };
        is_placed
            && stays(instance)
            && match last {
                Some((version, is_current)) if version == instance.version => is_current,
                Some(_) | None => {
                    let made_from = state.spec_of(instance);
                    let is_current = made_from.is_some_and(|s| s.last_config_change_at == config);
                    last = Some((instance.version, is_current));
                    is_current
                }
            }
    })
}

/// Where the compared instances of a spec stand; those on nodes that are gone by host name.
pub struct Peers<'a> {
    pub nodes: Vec<NodeIx>,
    gone: Vec<&'a str>,
}

impl<'a> Peers<'a> {
    pub fn of(state: &'a State, spec: &'a WorkloadSpec, ledger: &Ledger) -> Self {
        let mut peers = Self { nodes: Vec::new(), gone: Vec::new() };
        let is_resident = spec.run.is_resident();
        if is_resident {
            // What has volumes comes back to where they are, as what is wanted then.
            let bound = state.instances_of(&spec.id).filter_map(|i| state.bound_to(&i.id));
            peers.nodes.extend(bound.filter_map(|node| ledger.find(node)));
        }
        let is_free = |i: &&Instance| !is_resident || state.bound_to(&i.id).is_none();
        for placement in compared(state, spec).filter(is_free).filter_map(|i| i.placement()) {
            match ledger.find(&placement.node) {
                Some(ix) => peers.nodes.push(ix),
                None => peers.gone.push(&placement.hostname),
            }
        }
        peers
    }

    /// Counts each of them.
    pub fn count(&self, rules: &mut Rules) {
        if rules.counts_instances() {
            self.nodes.iter().for_each(|&ix| rules.add(ix));
            self.gone.iter().for_each(|hostname| rules.add_gone(hostname));
        }
    }
}
