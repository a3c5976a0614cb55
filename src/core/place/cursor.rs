//! A cursor over the nodes that can take instances of one workload, best first.
//!
//! The cluster is scanned once, when the cursor is made; after that each instance costs a few heap
//! operations. Nodes are kept in cells, one per combination of values of those constraints that
//! look at values (`GROUP_BY`, `CLUSTER`, few-valued `UNIQUE` and `MAX_PER`): a cell is judged once
//! for all its nodes. Inside a cell a heap orders nodes by policy. Keys may be out of date because
//! other workloads took resources meanwhile; they are checked when a node comes up, and a node
//! that does not fit any more is dropped for good, since a plan only ever takes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use smallvec::SmallVec;

use super::{
    constraint::{Rules, Verdict},
    field::ValueIx,
    fit::Needs,
    ledger::{Ledger, NodeIx},
    limits::Policy,
};
use crate::{core::command::Launch, model::instance::InstanceId};

type Values = SmallVec<[ValueIx; 2]>;

/// The nodes of one workload, best first.
#[derive(Debug)]
pub(super) struct Cursor {
    pub needs: Needs,
    pub rules: Rules,
    policy: Policy,
    /// Rules that the cells are made by, and those asked per node.
    by_value: SmallVec<[usize; 2]>,
    by_node: SmallVec<[usize; 2]>,
    cells: Vec<Cell>,
    /// Cells by (instances in their groups, preference, number).
    order: BinaryHeap<Reverse<(u32, u32, u32)>>,
    /// Instances of this workload by node, for spreading.
    here: BTreeMap<NodeIx, u16>,
}

/// The most a key tells apart of its first criterion; its highest bit is another one.
const FIRST_MAX: u64 = 0x7fff;

#[derive(Debug)]
struct Cell {
    values: Values,
    rank: u32,
    nodes: BinaryHeap<Reverse<u64>>,
}

impl Cursor {
    /// The feasible nodes. `local` tells the home region, by node.
    pub fn new(
        ledger: &Ledger,
        needs: Needs,
        rules: Rules,
        policy: Policy,
        local: Option<&[bool]>,
        here: BTreeMap<NodeIx, u16>,
        n_wanted: u32,
    ) -> Self {
        let (by_value, by_node): (SmallVec<[usize; 2]>, SmallVec<[usize; 2]>) =
            (0..rules.0.len()).partition(|&i| rules.0[i].is_by_value(ledger.len()));
        let mut cursor = Self {
            needs,
            rules,
            policy,
            by_value,
            by_node,
            cells: Vec::new(),
            order: BinaryHeap::new(),
            here,
        };
        let candidates = ledger.all().filter(|&ix| cursor.is_candidate(ledger, ix, local));
        let cells = match cursor.by_value.as_slice() {
            [] => {
                let nodes = candidates.map(|ix| Reverse(cursor.key(ledger, ix))).collect();
                vec![(Values::new(), nodes)]
            }
            &[only] => cursor.cells_of_one(ledger, only, candidates),
            _ => {
                let mut cells: BTreeMap<Values, Vec<Reverse<u64>>> = BTreeMap::new();
                for ix in candidates {
                    let key = Reverse(cursor.key(ledger, ix));
                    cells.entry(cursor.values(ix)).or_default().push(key);
                }
                cells.into_iter().collect()
            }
        };
        cursor.fill(ledger, cells, n_wanted);
        cursor
    }

    /// Cells by the values of one rule, told apart without a search. A candidate has a value: such
    /// rules refuse nodes without.
    fn cells_of_one(
        &self,
        ledger: &Ledger,
        rule: usize,
        candidates: impl Iterator<Item = NodeIx>,
    ) -> Vec<(Values, Vec<Reverse<u64>>)> {
        let column = &self.rules.0[rule].column;
        let mut by_value: Vec<Vec<Reverse<u64>>> = vec![Vec::new(); column.n_values()];
        for ix in candidates {
            by_value[column.of_node(ix) as usize].push(Reverse(self.key(ledger, ix)));
        }
        let cells = (0..).zip(by_value).filter(|(_, nodes)| !nodes.is_empty());
        cells.map(|(value, nodes)| (Values::from_elem(value, 1), nodes)).collect()
    }

    /// Launches `instance` on the best node, taking the resources; `None` when no node is left.
    /// `n_before`: how often it was launched before.
    pub fn place(
        &mut self,
        ledger: &mut Ledger,
        instance: &InstanceId,
        n_before: u32,
    ) -> Option<(NodeIx, Launch)> {
        let mut aside: SmallVec<[Reverse<(u32, u32, u32)>; 4]> = SmallVec::new();
        let mut launch = None;
        while let Some(Reverse((count, rank, cell))) = self.order.pop() {
            let count_now = self.count(cell as usize);
            if count_now != count {
                self.order.push(Reverse((count_now, rank, cell)));
                continue;
            }
            match self.judge(cell as usize) {
                Verdict::No => continue,
                Verdict::NotNow => {
                    aside.push(Reverse((count, rank, cell)));
                    continue;
                }
                Verdict::Yes => {}
            }
            if let Some(done) = self.place_in(cell as usize, ledger, instance, n_before) {
                self.order.push(Reverse((self.count(cell as usize), rank, cell)));
                launch = Some(done);
                break;
            }
        }
        self.order.extend(aside);
        launch
    }

    fn place_in(
        &mut self,
        cell: usize,
        ledger: &mut Ledger,
        instance: &InstanceId,
        n_before: u32,
    ) -> Option<(NodeIx, Launch)> {
        while let Some(Reverse(key)) = self.cells[cell].nodes.pop() {
            let ix = node_of(key);
            if !self.needs.fit(ledger, ix)
                || !self.by_node.iter().all(|&i| self.rules.0[i].accepts(ix))
            {
                continue;
            }
            let key_now = self.key(ledger, ix);
            if key_now > key {
                self.cells[cell].nodes.push(Reverse(key_now));
                continue;
            }
            let Some(launch) = self.needs.launch(ledger, ix, instance, n_before) else { continue };
            ledger.take(ix, &launch.allocation);
            self.rules.add(ix);
            *self.here.entry(ix).or_default() += 1;
            let key = self.key(ledger, ix);
            self.cells[cell].nodes.push(Reverse(key));
            return Some((ix, launch));
        }
        None
    }

    #[inline]
    fn is_candidate(&self, ledger: &Ledger, ix: NodeIx, local: Option<&[bool]>) -> bool {
        ledger.is_usable(ix)
            && self.needs.fit(ledger, ix)
            && self.needs.has_role(ledger, ix)
            && !self.needs.is_scarce(ledger, ix)
            && (!self.needs.stays_home || local.is_none_or(|l| l[ix as usize]))
            && self.rules.0.iter().all(|r| r.verdict(r.column.of_node(ix)) != Verdict::No)
    }

    fn values(&self, ix: NodeIx) -> Values {
        self.by_value.iter().map(|&i| self.rules.0[i].column.of_node(ix)).collect()
    }

    /// Makes the cells. With an open `CLUSTER` the values that can hold all instances come first,
    /// the tightest of them leading; then those that hold most.
    fn fill(&mut self, ledger: &Ledger, cells: Vec<(Values, Vec<Reverse<u64>>)>, n_wanted: u32) {
        let rules = &self.rules;
        let open: SmallVec<[usize; 1]> = (0..self.by_value.len())
            .filter(|&at| rules.0[self.by_value[at]].is_open_cluster())
            .collect();
        let mut capacity: BTreeMap<Values, u64> = BTreeMap::new();
        let cluster = |values: &Values| -> Values { open.iter().map(|&at| values[at]).collect() };
        if !open.is_empty() {
            for (values, nodes) in &cells {
                let sum: u64 = nodes
                    .iter()
                    .map(|k| u64::from(self.needs.capacity(ledger, node_of(k.0))))
                    .sum();
                *capacity.entry(cluster(values)).or_default() += sum;
            }
        }
        let mut ranked: Vec<(bool, u64, Values)> = capacity
            .into_iter()
            .map(|(values, c)| {
                let holds_all = c >= u64::from(n_wanted);
                (!holds_all, if holds_all { c } else { u64::MAX - c }, values)
            })
            .collect();
        ranked.sort_unstable();
        let rank: BTreeMap<Values, u32> =
            ranked.into_iter().zip(0..).map(|((_, _, values), i)| (values, i)).collect();
        for (values, nodes) in cells {
            let rank = rank.get(&cluster(&values)).copied().unwrap_or(0);
            self.cells.push(Cell { values, rank, nodes: BinaryHeap::from(nodes) });
        }
        self.order = (0..self.cells.len())
            .map(|i| {
                Reverse((self.count(i), self.cells[i].rank, u32::try_from(i).unwrap_or(u32::MAX)))
            })
            .collect();
    }

    /// How many instances the groups of a cell hold.
    fn count(&self, cell: usize) -> u32 {
        let values = &self.cells[cell].values;
        self.by_value
            .iter()
            .zip(values)
            .filter(|&(&i, _)| self.rules.0[i].is_group_by())
            .map(|(&i, &value)| self.rules.0[i].count(value))
            .sum()
    }

    fn judge(&self, cell: usize) -> Verdict {
        let mut verdict = Verdict::Yes;
        for (&i, &value) in self.by_value.iter().zip(&self.cells[cell].values) {
            match self.rules.0[i].verdict(value) {
                Verdict::Yes => {}
                Verdict::NotNow => verdict = Verdict::NotNow,
                Verdict::No => return Verdict::No,
            }
        }
        verdict
    }

    /// Smaller is better: nodes whose ports others hold come last; then policy, then the node's number.
    #[inline]
    fn key(&self, ledger: &Ledger, ix: NodeIx) -> u64 {
        let tight = u64::from(ledger.tightness(ix));
        let (first, second) = match self.policy {
            Policy::Spread => (self.here.get(&ix).copied().map_or(0, u64::from), tight),
            Policy::BinPack => (0, 1000 - tight),
        };
        let held = u64::from(self.needs.are_ports_held(ledger, ix));
        held << 63 | first.min(FIRST_MAX) << 48 | second << 32 | u64::from(ix)
    }
}

#[allow(clippy::cast_possible_truncation)] // the lower half of the key is the node's number
fn node_of(key: u64) -> NodeIx {
    key as NodeIx
}
