//! The smallest change that would place one more instance.
//!
//! Candidates come from what single nodes lack; each is tried by fitting again with the change
//! made, so none is told that would not work; only "add a node" is left to the reader. Smallest first: by how much of a wish is given
//! up, in thousandths, with fixed prices for changes that are not quantities.

use super::{
    constraint::Rules,
    explain::{Explainer, Failures, SCALARS, amount, relative_lack, written},
    fit::Needs,
    ledger::NodeIx,
    report::{Advice, Hold, Lower, Reason, Remedy},
    share::pick,
};
use crate::{
    base::units::{self, Milli},
    model::{
        access::Role,
        resource::{Pools, Ranges, Resources, Scalars},
        workload::WorkloadSpec,
    },
};

/// Changes told in one report.
const ADVICE_MAX: usize = 5;

/// Price of a change beside giving up thousandths of a quantity.
mod price {
    pub const QUOTA: i64 = 0;
    pub const ACTIVATE: i64 = 300;
    pub const PORTS: i64 = 400;
    pub const ROLE: i64 = 500;
    pub const CONSTRAINT: i64 = 600;
    pub const REGION: i64 = 700;
    pub const GPU: i64 = 800;
    pub const NODE: i64 = 10_000;
}

/// The changes that would help, smallest first; never empty when nothing fits.
pub(super) fn advise(
    explainer: &mut Explainer<'_>,
    spec: &WorkloadSpec,
    needs: &Needs,
    rules: &Rules,
    all: &[Failures],
    hold: Option<&Hold>,
) -> Vec<Advice> {
    let n_fitting = n_of(all, |f| f.is_empty());
    let mut found: Vec<(i64, Advice)> = Vec::new();
    if let Some(Hold::Quota { role, resource, limit, after }) = hold
        && n_fitting > 0
    {
        let change = Remedy::RaiseQuota {
            role: role.clone(),
            resource: resource.clone(),
            from: *limit,
            to: *after,
        };
        let sentence = format!("raise the {resource} limit of role {role} from {limit} to {after}");
        found.push((price::QUOTA, Advice { change, n_nodes: n_fitting, sentence }));
    }
    if n_fitting == 0 {
        found.extend(lower(explainer, spec, needs, rules, all));
        found.extend(drop_constraint(explainer, needs, rules, all));
        found.extend(accept_role(explainer, spec, needs, rules));
        found.extend(free_ports(explainer, needs, rules, all));
        found.extend(of_one_node(explainer, all));
        found.push(add_node(needs));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.sentence.cmp(&b.1.sentence)));
    found.truncate(ADVICE_MAX);
    found.into_iter().map(|(_, advice)| advice).collect()
}

fn n_of(all: &[Failures], wanted: impl Fn(&Failures) -> bool) -> u32 {
    u32::try_from(all.iter().filter(|f| wanted(f)).count()).unwrap_or(u32::MAX)
}

/// Ask for less: the node that lacks only scalars and lacks least of them.
fn lower(
    explainer: &Explainer<'_>,
    spec: &WorkloadSpec,
    needs: &Needs,
    rules: &Rules,
    all: &[Failures],
) -> Option<(i64, Advice)> {
    let ledger = &*explainer.ledger;
    let short = ledger.all().filter(|&ix| all[ix as usize].is_only_scalars());
    let mut nodes: Vec<(i64, NodeIx)> =
        short.map(|ix| (explainer.shortness(needs, ix), ix)).collect();
    nodes.sort_unstable();
    let (node, steps, changed) = nodes.iter().take(16).find_map(|&(_, ix)| {
        let (steps, changed) = lower_to(spec, needs, &ledger.free(ix, &needs.roles))?;
        explainer.failures(&changed, rules, ix).is_empty().then_some((ix, steps, changed))
    })?;
    let cost = SCALARS
        .iter()
        .map(|(_, name)| relative_lack(&needs.scalars, &changed.scalars, name))
        .sum::<i64>()
        .max(explainer.shortness(needs, node));
    let fits = |ix: &NodeIx| explainer.failures(&changed, rules, *ix).is_empty();
    let n_nodes = nodes.iter().filter(|(_, ix)| fits(ix)).count();
    let part = |s: &Lower| {
        let of =
            if s.container.is_empty() { String::new() } else { format!(" of {}", s.container) };
        // The numbers are those of the definition; large ones are told in a readable unit too.
        let is_bytes = matches!(s.resource.as_str(), "mem" | "disk");
        let read = Some(units::memory(s.to)).filter(|_| is_bytes && s.to >= Milli::whole(1024));
        let read = read.map_or(String::new(), |text| format!(" ({text})"));
        format!("{}{of} from {} to {}{read}", s.resource, s.from, s.to)
    };
    let sentence = format!("lower {}", steps.iter().map(part).collect::<Vec<_>>().join(" and "));
    let n_nodes = u32::try_from(n_nodes).unwrap_or(u32::MAX);
    Some((cost, Advice { change: Remedy::Lower { steps }, n_nodes, sentence }))
}

/// The steps that make `needs` fit into `free`, and the needs then. The largest container gives.
fn lower_to(spec: &WorkloadSpec, needs: &Needs, free: &Scalars) -> Option<(Vec<Lower>, Needs)> {
    let mut changed = needs.clone();
    let mut steps = Vec::new();
    for (_, name) in SCALARS {
        let (need, free) = (pick(&needs.scalars, name), pick(free, name));
        if need <= free {
            continue;
        }
        let giver = spec.run.containers.iter().max_by_key(|c| pick(&c.resources, name))?;
        let from = pick(&giver.resources, name);
        let to = round_down(from - (need - free), name);
        // A tenth of the wish is no longer the same app.
        if to.get() <= 0 || to.times(10) < from {
            return None;
        }
        let less = from - to;
        match name {
            "cpus" => changed.scalars.cpus -= less,
            "mem" => changed.scalars.mem -= less,
            "disk" => changed.scalars.disk -= less,
            _ => changed.scalars.gpus -= less,
        }
        steps.push(Lower { resource: name.to_owned(), container: giver.name.clone(), from, to });
    }
    Some((steps, changed))
}

/// Numbers people write: cpus in hundredths, everything else whole.
fn round_down(value: Milli, name: &str) -> Milli {
    let unit = if name == "cpus" { 10 } else { 1000 };
    Milli::new(value.get().div_euclid(unit) * unit)
}

/// Drop the constraint that alone keeps most nodes away.
fn drop_constraint(
    explainer: &Explainer<'_>,
    needs: &Needs,
    rules: &Rules,
    all: &[Failures],
) -> Option<(i64, Advice)> {
    let sole = |i: usize| {
        n_of(all, |f| f.is_only(Reason::Constraint) && f.constraints == 1u64 << i.min(63))
    };
    let (i, n_nodes) =
        (0..rules.0.len()).map(|i| (i, sole(i))).max_by_key(|&(i, n)| (n, std::cmp::Reverse(i)))?;
    let mut fewer = rules.clone();
    let rule = fewer.0.remove(i);
    let mut opened =
        explainer.ledger.all().filter(|&ix| all[ix as usize].is_only(Reason::Constraint));
    let works = opened.any(|ix| explainer.failures(needs, &fewer, ix).is_empty());
    works.then(|| {
        let constraint = rule.constraint;
        let sentence =
            format!("remove the constraint {} or add a node that meets it", written(&constraint));
        (
            price::CONSTRAINT,
            Advice { change: Remedy::DropConstraint { constraint }, n_nodes, sentence },
        )
    })
}

/// Accept the workload's own role or unreserved resources beside what is accepted now.
fn accept_role(
    explainer: &Explainer<'_>,
    spec: &WorkloadSpec,
    needs: &Needs,
    rules: &Rules,
) -> Option<(i64, Advice)> {
    [Role::star(), spec.run.role.clone()].into_iter().find_map(|role| {
        let ix = explainer.ledger.role_ix(&role).filter(|ix| !needs.roles.contains(ix))?;
        let mut wider = needs.clone();
        wider.roles.insert(0, ix);
        wider.accepted.insert(0, role.clone());
        let fits = |&ix: &NodeIx| explainer.failures(&wider, rules, ix).is_empty();
        let n = explainer.ledger.all().filter(fits).count();
        (n > 0).then(|| {
            let sentence = format!("accept resources of role {role} too (acceptedResourceRoles)");
            let n_nodes = u32::try_from(n).unwrap_or(u32::MAX);
            (price::ROLE, Advice { change: Remedy::AcceptRole { role }, n_nodes, sentence })
        })
    })
}

/// Free exact ports on a node that lacks nothing else.
fn free_ports(
    explainer: &mut Explainer<'_>,
    needs: &Needs,
    rules: &Rules,
    all: &[Failures],
) -> Option<(i64, Advice)> {
    let nodes: Vec<NodeIx> =
        explainer.ledger.all().filter(|&ix| all[ix as usize].is_only(Reason::Ports)).collect();
    let missing = |e: &Explainer<'_>, ix| needs.ports.missing(e.ledger, ix, &needs.roles);
    let best = nodes.iter().copied().min_by_key(|&ix| (missing(explainer, ix).len(), ix))?;
    let ports = missing(explainer, best);
    let role = needs.accepted.iter().find(|r| {
        explainer
            .ledger
            .role_ix(r)
            .is_some_and(|r| explainer.ledger.pools(best, &[r]).next().is_some())
    })?;
    let freed = Pools::of(
        role.clone(),
        Resources {
            ports: Ranges::of_numbers(ports.iter().map(|&p| u64::from(p))),
            ..Resources::default()
        },
    );
    explainer.ledger.give(best, &freed);
    let works = explainer.failures(needs, rules, best).is_empty();
    explainer.ledger.take(best, &freed);
    if !works || ports.is_empty() {
        return None;
    }
    let n_nodes = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    let listed: Vec<String> = ports.iter().map(u16::to_string).collect();
    let sentence = format!(
        "free host port {} on {} ({})",
        listed.join(", "),
        explainer.ledger.node(best).info.hostname,
        if n_nodes == 1 {
            "the only node it would fit".to_owned()
        } else {
            format!("or one of {} other nodes", n_nodes - 1)
        },
    );
    Some((price::PORTS, Advice { change: Remedy::FreePorts { ports, n_nodes }, n_nodes, sentence }))
}

/// Changes that open nodes which have everything else.
pub(super) fn of_one_node(explainer: &Explainer<'_>, all: &[Failures]) -> Vec<(i64, Advice)> {
    let ledger = &*explainer.ledger;
    let mut found = Vec::new();
    for (reason, price) in [
        (Reason::Maintenance, price::ACTIVATE),
        (Reason::Region, price::REGION),
        (Reason::Scarce, price::GPU),
    ] {
        let Some(ix) = ledger.all().find(|&ix| all[ix as usize].is_only(reason)) else { continue };
        let info = &ledger.node(ix).info;
        let (change, sentence) = match reason {
            Reason::Maintenance => (
                Remedy::Activate { node: info.id.clone(), hostname: info.hostname.clone() },
                format!("end the draining of {}", info.hostname),
            ),
            Reason::Region => {
                let region = info.fault_domain.as_ref().map_or(String::new(), |d| d.region.clone());
                let sentence = format!("add the constraint @region IS {region}");
                (Remedy::NameRegion { region }, sentence)
            }
            _ => (
                Remedy::UseGpuNodes,
                "ask for a GPU, or let apps without GPUs use nodes that have them".to_owned(),
            ),
        };
        let n_nodes = n_of(all, |f| f.is_only(reason));
        found.push((price, Advice { change, n_nodes, sentence }));
    }
    found
}

/// What always helps.
fn add_node(needs: &Needs) -> (i64, Advice) {
    let parts: Vec<String> = SCALARS
        .iter()
        .filter(|(_, name)| !pick(&needs.scalars, name).is_zero())
        .map(|(_, name)| (pick(&needs.scalars, name), *name))
        .map(|(need, name)| match name {
            "mem" => format!("{} of memory", units::memory_needed(need)),
            "disk" => format!("{} of disk", units::memory_needed(need)),
            name => amount(need, name),
        })
        .collect();
    let sentence = if parts.is_empty() {
        "add a node".to_owned()
    } else {
        format!("add a node with {} free", parts.join(", "))
    };
    (price::NODE, Advice { change: Remedy::AddNode { needs: needs.scalars }, n_nodes: 1, sentence })
}
