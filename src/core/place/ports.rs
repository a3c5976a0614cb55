//! Host ports: what a spec asks for and which numbers an instance gets on a node.
//!
//! Any-ports look random but are a function of the instance id and of how often it was launched, so
//! that a plan can be repeated: counting starts at a hash of the two and goes on upward, which makes
//! them consecutive whenever the node's ports are (docs/compat/containers.md, "Host ports"). Ports that
//! other programs of the node are known to hold come last; a start that failed for one nobody knew of
//! gets another one the next time.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::ledger::{Ledger, NodeIx, RoleIx};
use crate::model::{
    access::Role,
    instance::InstanceId,
    resource::Ranges,
    workload::{Kind, NetworkMode, WorkloadSpec},
};

/// What one port of a spec asks of the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortNeed {
    Any,
    Exactly(u16),
    /// No port of the node.
    Nothing,
}

/// What all ports of a spec ask of the node, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PortNeeds {
    pub each: SmallVec<[PortNeed; 4]>,
    pub n_any: u32,
    /// Sorted, each once: two protocols on one number take that number once.
    pub exact: SmallVec<[u16; 2]>,
}

/// Chosen numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChosenPorts {
    /// One per port of the spec.
    pub host_ports: Vec<Option<u16>>,
    /// The same numbers by the role they are taken from.
    pub taken: BTreeMap<Role, Ranges>,
}

impl PortNeeds {
    pub fn of(spec: &WorkloadSpec) -> Self {
        // Port definitions of an app name service ports unless it requires exactly these numbers.
        let definitions =
            spec.run.kind == Kind::App && spec.run.network_mode() == NetworkMode::Host;
        let mut needs = Self::default();
        for port in spec.run.ports() {
            let need = match port.host_port {
                _ if definitions && !spec.require_ports => PortNeed::Any,
                None if definitions => PortNeed::Any,
                None => PortNeed::Nothing,
                Some(0) => PortNeed::Any,
                Some(n) => PortNeed::Exactly(n),
            };
            match need {
                PortNeed::Any => needs.n_any += 1,
                PortNeed::Exactly(n) => {
                    if let Err(at) = needs.exact.binary_search(&n) {
                        needs.exact.insert(at, n);
                    }
                }
                PortNeed::Nothing => {}
            }
            needs.each.push(need);
        }
        needs
    }

    pub fn is_empty(&self) -> bool {
        self.n_any == 0 && self.exact.is_empty()
    }

    /// How many numbers an instance takes from its node.
    pub fn n_numbers(&self) -> u32 {
        self.n_any + u32::try_from(self.exact.len()).unwrap_or(u32::MAX)
    }

    /// Exact numbers that are not free on a node.
    pub fn missing(&self, ledger: &Ledger, ix: NodeIx, roles: &[RoleIx]) -> Vec<u16> {
        let free = |n: u16| ledger.pools(ix, roles).any(|p| ledger.pool_ports(p).has(u64::from(n)));
        self.exact.iter().copied().filter(|&n| !free(n)).collect()
    }

    /// Whether a node has them.
    #[inline]
    pub fn fit(&self, ledger: &Ledger, ix: NodeIx, roles: &[RoleIx]) -> bool {
        if self.is_empty() {
            return true;
        }
        let n: u32 = ledger.pools(ix, roles).map(|p| ledger.pool_n_ports(p)).sum();
        n >= self.n_numbers()
            && self
                .exact
                .iter()
                .all(|&n| ledger.pools(ix, roles).any(|p| ledger.pool_ports(p).has(u64::from(n))))
    }

    /// Whether other programs of a node hold what it would give: one of the exact numbers, or so many
    /// that too few others are left.
    #[inline]
    pub fn are_held(&self, ledger: &Ledger, ix: NodeIx, roles: &[RoleIx]) -> bool {
        if !ledger.has_held() || self.is_empty() || ledger.held(ix).is_empty() {
            return false;
        }
        let held = ledger.held(ix);
        if self.exact.iter().any(|&n| held.has(u64::from(n))) {
            return true;
        }
        let needed = u64::from(self.n_numbers());
        let n_free: u64 = ledger.pools(ix, roles).map(|p| u64::from(ledger.pool_n_ports(p))).sum();
        // Only then is it worth to look at each range.
        n_free < needed + held.count()
            && ledger
                .pools(ix, roles)
                .map(|p| ledger.pool_ports(p).minus(held).count())
                .sum::<u64>()
                < needed
    }

    /// Chooses numbers on a node, counting from `start`; `None` when they do not fit.
    pub fn choose(
        &self,
        ledger: &Ledger,
        ix: NodeIx,
        roles: &[RoleIx],
        start: u64,
    ) -> Option<ChosenPorts> {
        let mut chosen =
            ChosenPorts { host_ports: Vec::with_capacity(self.each.len()), taken: BTreeMap::new() };
        if self.is_empty() {
            chosen.host_ports.resize(self.each.len(), None);
            return Some(chosen);
        }
        if !self.fit(ledger, ix, roles) {
            return None;
        }
        let mut any: Vec<u64> = Vec::with_capacity(self.n_any as usize);
        let exact = Ranges::of_numbers(self.exact.iter().map(|&n| u64::from(n)));
        for pool in ledger.pools(ix, roles) {
            let ports = ledger.pool_ports(pool);
            let here = self.exact.iter().map(|&n| u64::from(n)).filter(|&n| ports.has(n));
            let mut taken: Vec<u64> = here.collect();
            let left = self.n_any as usize - any.len();
            if left > 0 {
                let numbers = any_of(ports, &exact, ledger.held(ix), start, left);
                any.extend(&numbers);
                taken.extend(numbers);
            }
            if !taken.is_empty() {
                chosen.taken.insert(ledger.pool_role(pool).clone(), Ranges::of_numbers(taken));
            }
        }
        let mut any = any.into_iter();
        for need in &self.each {
            chosen.host_ports.push(match need {
                PortNeed::Any => Some(u16::try_from(any.next()?).ok()?),
                PortNeed::Exactly(n) => Some(*n),
                PortNeed::Nothing => None,
            });
        }
        Some(chosen)
    }
}

/// Up to `n` numbers of `ports` without `exact`; those that others hold come last.
fn any_of(ports: &Ranges, exact: &Ranges, held: &Ranges, start: u64, n: usize) -> Vec<u64> {
    if exact.is_empty() && held.is_empty() {
        return circular(ports, start, n);
    }
    let all = ports.minus(exact);
    let free = all.minus(held);
    let mut numbers = circular(&free, start, n);
    if numbers.len() < n {
        numbers.extend(circular(&all.minus(&free), start, n - numbers.len()));
    }
    numbers
}

/// Up to `n` numbers of the set, upward from a start picked by `hash`, wrapping around.
fn circular(set: &Ranges, hash: u64, n: usize) -> Vec<u64> {
    let count = set.count();
    if count == 0 {
        return Vec::new();
    }
    let mut skip = hash % count;
    let mut chosen = Vec::with_capacity(n);
    for (begin, end) in set.iter().chain(set.iter()) {
        let len = end - begin + 1;
        if skip >= len {
            skip -= len;
            continue;
        }
        for number in begin + skip..=end {
            if chosen.len() == n || chosen.first() == Some(&number) {
                return chosen;
            }
            chosen.push(number);
        }
        skip = 0;
    }
    chosen
}

/// Where counting starts for an instance that was launched `n_before` times. FNV-1a: short, fixed for
/// all time, spreads ids that differ in few characters.
pub fn start(instance: &InstanceId, n_before: u32) -> u64 {
    let again = n_before.to_le_bytes().into_iter().take_while(|_| n_before > 0);
    let bytes = instance.as_str().bytes().chain(again);
    bytes.fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_wraps_around_and_never_repeats() {
        let set = Ranges::of([(10, 12), (20, 21)]);
        assert_eq!(circular(&set, 1, 3), [11, 12, 20]);
        assert_eq!(circular(&set, 4, 3), [21, 10, 11]);
        assert_eq!(circular(&set, 2, 9), [12, 20, 21, 10, 11]);
        assert_eq!(circular(&Ranges::default(), 7, 2), Vec::<u64>::new());
    }

    #[test]
    fn the_next_try_gets_another_port() {
        let set = Ranges::of([(31_000, 31_019)]);
        let id = InstanceId::from("app.instance-1");
        let of = |n_before| circular(&set, start(&id, n_before), 1)[0];
        let given: std::collections::BTreeSet<u64> = (0..40).map(of).collect();
        assert!(given.len() > 10, "{given:?}");
        assert_ne!((of(0), of(1)), (of(1), of(2)));
        assert_eq!(of(3), of(3));
    }

    #[test]
    fn what_others_hold_is_given_last() {
        let set = Ranges::of([(10, 29)]);
        let held = Ranges::of([(10, 15), (17, 20), (22, 27)]);
        let none = Ranges::default();
        for hash in 0..20 {
            let mut given = any_of(&set, &none, &held, hash, 4);
            given.sort_unstable();
            assert_eq!(given, [16, 21, 28, 29], "{hash}");
            assert_eq!(any_of(&set, &none, &held, hash, 20).len(), 20, "nothing else is left");
            assert!(!any_of(&set, &Ranges::of([(16, 16)]), &held, hash, 3).contains(&16));
        }
    }
}
