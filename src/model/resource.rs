//! Resource arithmetic: scalars in thousandths, ranges, sets, and pools of them by role.
//!
//! `Scalars` are the four every workload asks for; `Resources` add ports and whatever else an
//! agent declares; `Pools` split a node's or an allocation's resources by the role they are
//! reserved for (`*` is unreserved). Subtraction asserts nothing: callers check `contains` first.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::{Add, AddAssign, Sub, SubAssign},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::access::Role;
use crate::base::units::Milli;

/// CPUs, memory (MB), disk (MB) and GPUs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Scalars {
    pub cpus: Milli,
    pub mem: Milli,
    pub disk: Milli,
    pub gpus: Milli,
}

impl Scalars {
    /// From whole-unit numbers: CPUs, MB, MB, GPUs.
    pub fn of(cpus: f64, mem_mb: f64, disk_mb: f64, gpus: f64) -> Self {
        let milli = Milli::from_f64;
        Self { cpus: milli(cpus), mem: milli(mem_mb), disk: milli(disk_mb), gpus: milli(gpus) }
    }

    /// Whether every component of `other` fits.
    pub fn contains(&self, other: &Self) -> bool {
        self.cpus >= other.cpus
            && self.mem >= other.mem
            && self.disk >= other.disk
            && self.gpus >= other.gpus
    }

    /// The smaller of each component.
    pub fn min(&self, other: &Self) -> Self {
        Self {
            cpus: self.cpus.min(other.cpus),
            mem: self.mem.min(other.mem),
            disk: self.disk.min(other.disk),
            gpus: self.gpus.min(other.gpus),
        }
    }

    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// `self × n`.
    pub fn times(&self, n: i64) -> Self {
        Self {
            cpus: self.cpus.times(n),
            mem: self.mem.times(n),
            disk: self.disk.times(n),
            gpus: self.gpus.times(n),
        }
    }
}

impl Add for Scalars {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self {
            cpus: self.cpus + o.cpus,
            mem: self.mem + o.mem,
            disk: self.disk + o.disk,
            gpus: self.gpus + o.gpus,
        }
    }
}

impl Sub for Scalars {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self {
            cpus: self.cpus - o.cpus,
            mem: self.mem - o.mem,
            disk: self.disk - o.disk,
            gpus: self.gpus - o.gpus,
        }
    }
}

impl AddAssign for Scalars {
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}

impl SubAssign for Scalars {
    fn sub_assign(&mut self, o: Self) {
        *self = *self - o;
    }
}

/// A set of whole numbers as sorted, disjoint, non-adjacent inclusive ranges.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Ranges(SmallVec<[(u64, u64); 2]>);

impl Ranges {
    /// The union of `ranges` (inclusive; reversed pairs are dropped).
    pub fn of(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut sorted: SmallVec<[(u64, u64); 2]> =
            ranges.into_iter().filter(|(a, b)| a <= b).collect();
        sorted.sort_unstable();
        let mut merged: SmallVec<[(u64, u64); 2]> = SmallVec::new();
        for (begin, end) in sorted {
            match merged.last_mut() {
                Some(last) if begin <= last.1.saturating_add(1) => last.1 = last.1.max(end),
                _ => merged.push((begin, end)),
            }
        }
        Self(merged)
    }

    /// The set of single `numbers`.
    pub fn of_numbers(numbers: impl IntoIterator<Item = u64>) -> Self {
        Self::of(numbers.into_iter().map(|n| (n, n)))
    }

    /// The ranges, ascending, inclusive.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// Each number, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|&(a, b)| a..=b)
    }

    /// How many numbers are in the set.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(a, b)| b - a + 1).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has(&self, n: u64) -> bool {
        let at = self.0.partition_point(|&(_, end)| end < n);
        self.0.get(at).is_some_and(|&(begin, _)| begin <= n)
    }

    pub fn contains(&self, other: &Self) -> bool {
        other.0.iter().all(|&(b, e)| {
            let at = self.0.partition_point(|&(_, end)| end < b);
            self.0.get(at).is_some_and(|&(begin, end)| begin <= b && e <= end)
        })
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        Self::of(self.iter().chain(other.iter()))
    }

    /// The numbers that are here but not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        let mut left = SmallVec::new();
        let mut holes = other.0.iter().peekable();
        for &(mut begin, end) in &self.0 {
            while holes.next_if(|&&(_, e)| e < begin).is_some() {}
            let mut rest = holes.clone();
            let mut open = true;
            while let Some(&&(b, e)) = rest.peek() {
                if b > end {
                    break;
                }
                if b > begin {
                    left.push((begin, b - 1));
                }
                if e >= end {
                    open = false;
                    break;
                }
                begin = begin.max(e + 1);
                rest.next();
            }
            if open && begin <= end {
                left.push((begin, end));
            }
        }
        Self(left)
    }
}

impl fmt::Display for Ranges {
    /// `[1-3,5-5]`, as Mesos prints ranges.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, (a, b)) in self.iter().enumerate() {
            write!(f, "{}{a}-{b}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A resource an agent declares beside the usual ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    Scalar(Milli),
    Ranges(Ranges),
    Set(BTreeSet<Arc<str>>),
}

impl Value {
    fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(a), Self::Scalar(b)) => a >= b,
            (Self::Ranges(a), Self::Ranges(b)) => a.contains(b),
            (Self::Set(a), Self::Set(b)) => a.is_superset(b),
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => false,
        }
    }

    fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(a), Self::Scalar(b)) => *a += *b,
            (Self::Ranges(a), Self::Ranges(b)) => *a = a.union(b),
            (Self::Set(a), Self::Set(b)) => a.extend(b.iter().cloned()),
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => {}
        }
    }

    fn sub(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(a), Self::Scalar(b)) => *a -= *b,
            (Self::Ranges(a), Self::Ranges(b)) => *a = a.minus(b),
            (Self::Set(a), Self::Set(b)) => a.retain(|x| !b.contains(x)),
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => {}
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(a) => a.is_zero(),
            Self::Ranges(a) => a.is_empty(),
            Self::Set(a) => a.is_empty(),
        }
    }
}

/// Resources of one role: the usual scalars, ports, and named ones.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Resources {
    pub scalars: Scalars,
    pub ports: Ranges,
    pub named: BTreeMap<Arc<str>, Value>,
}

impl Resources {
    pub fn contains(&self, other: &Self) -> bool {
        self.scalars.contains(&other.scalars)
            && self.ports.contains(&other.ports)
            && other.named.iter().all(|(k, v)| self.named.get(k).is_some_and(|s| s.contains(v)))
    }

    pub fn add(&mut self, other: &Self) {
        self.scalars += other.scalars;
        self.ports = self.ports.union(&other.ports);
        for (name, value) in &other.named {
            match self.named.get_mut(name) {
                Some(mine) => mine.add(value),
                None => drop(self.named.insert(name.clone(), value.clone())),
            }
        }
    }

    pub fn sub(&mut self, other: &Self) {
        self.scalars -= other.scalars;
        self.ports = self.ports.minus(&other.ports);
        for (name, value) in &other.named {
            if let Some(mine) = self.named.get_mut(name) {
                mine.sub(value);
            }
        }
        self.named.retain(|_, v| !v.is_empty());
    }

    pub fn is_empty(&self) -> bool {
        self.scalars.is_zero() && self.ports.is_empty() && self.named.is_empty()
    }
}

/// Resources by the role they are reserved for.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Pools(pub BTreeMap<Role, Resources>);

impl Pools {
    /// All of `resources` in the pool of `role`.
    pub fn of(role: Role, resources: Resources) -> Self {
        Self(BTreeMap::from([(role, resources)]))
    }

    pub fn contains(&self, other: &Self) -> bool {
        other.0.iter().all(|(role, wanted)| match self.0.get(role) {
            Some(have) => have.contains(wanted),
            None => wanted.is_empty(),
        })
    }

    pub fn add(&mut self, other: &Self) {
        for (role, resources) in &other.0 {
            self.0.entry(role.clone()).or_default().add(resources);
        }
    }

    pub fn sub(&mut self, other: &Self) {
        for (role, resources) in &other.0 {
            if let Some(mine) = self.0.get_mut(role) {
                mine.sub(resources);
            }
        }
        self.0.retain(|_, r| !r.is_empty());
    }

    /// The sum over all roles.
    pub fn scalars(&self) -> Scalars {
        self.0.values().fold(Scalars::default(), |sum, r| sum + r.scalars)
    }

    /// All ports of all roles.
    pub fn ports(&self) -> Ranges {
        self.0.values().fold(Ranges::default(), |all, r| all.union(&r.ports))
    }

    pub fn is_empty(&self) -> bool {
        self.0.values().all(Resources::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_merge_and_print() {
        let r = Ranges::of([(5, 5), (1, 2), (3, 3), (9, 7)]);
        assert_eq!(r.to_string(), "[1-3,5-5]");
        assert!(r.has(2) && !r.has(4));
        assert_eq!(r.count(), 4);
    }

    proptest! {
        #[test]
        fn ranges_agree_with_sets(
            a in proptest::collection::btree_set(0u64..60, 0..40),
            b in proptest::collection::btree_set(0u64..60, 0..40),
        ) {
            let (ra, rb) = (Ranges::of_numbers(a.clone()), Ranges::of_numbers(b.clone()));
            let minus: BTreeSet<u64> = ra.minus(&rb).numbers().collect();
            let union: BTreeSet<u64> = ra.union(&rb).numbers().collect();
            prop_assert_eq!(minus, a.difference(&b).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(union, a.union(&b).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(ra.contains(&rb), a.is_superset(&b));
        }
    }

    #[test]
    fn pools_subtract_what_was_added() {
        let role = Role::star();
        let ports = Ranges::of([(31000, 31010)]);
        let r = Resources {
            scalars: Scalars::of(1.0, 64.0, 0.0, 0.0),
            ports,
            named: BTreeMap::from([("fpga".into(), Value::Set(BTreeSet::from(["a".into()])))]),
        };
        let mut pools = Pools::of(role.clone(), r.clone());
        pools.add(&Pools::of(Role::from("web"), r.clone()));
        assert!(pools.contains(&Pools::of(role.clone(), r.clone())));
        pools.sub(&Pools::of(role, r.clone()));
        assert_eq!(pools, Pools::of(Role::from("web"), r));
    }
}
