//! Agents, called slaves here as the old endpoints do.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    json::Json,
    marathon_id, resource,
    task::{Counts, names},
    volume,
};
use crate::{
    core::State,
    model::{
        Node, Resources, Role,
        node::{Attribute, Duty, FaultDomain, NodeKind},
    },
};

/// Port in an agent's `pid`. Clients cut the address out between `@` and `:`.
const AGENT_PORT: u16 = 5051;
/// What every agent can do.
pub const CAPABILITIES: [&str; 4] =
    ["MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT", "AGENT_DRAINING"];

/// How much of an agent is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Plain,
    /// With the full lists of resources (`/slaves`).
    Full,
    /// With counts of tasks and the frameworks they belong to (`/state-summary`).
    Summary,
}

/// One agent as a list element.
pub fn agent(j: &mut Json<'_>, state: &State, node: &Node, detail: Detail) {
    let info = &node.info;
    let used = state.index.used.get(&info.id);
    j.object(|j| {
        j.text_at("id", info.id.as_str());
        j.text_at("hostname", &info.hostname);
        j.int_at("port", u64::from(AGENT_PORT));
        attributes(j, node);
        if let Some(domain) = &info.fault_domain {
            self::domain(j, domain);
        }
        j.text_at("pid", &pid(info.address));
        j.time_at("registered_time", node.registered_at);
        if let Some(at) = node.reregistered_at {
            j.time_at("reregistered_time", at);
        }
        let all = resource::sum(&info.total);
        resource::totals(j, "resources", &all);
        resource::totals(j, "used_resources", &used.map(resource::sum).unwrap_or_default());
        resource::totals(j, "offered_resources", &Resources::default());
        reservations(j, state, node);
        j.bool_at("active", node.is_reachable() && matches!(node.duty, Duty::Active));
        j.bool_at("deactivated", !matches!(node.duty, Duty::Active));
        j.text_at("version", super::VERSION);
        j.list_at("capabilities", |j| CAPABILITIES.iter().for_each(|c| j.text(c)));
        drain(j, node);
        match detail {
            Detail::Plain => {}
            Detail::Full => full(j, state, node),
            Detail::Summary => summary(j, state, node),
        }
    });
}

/// `slave(1)@10.0.0.1:5051`.
pub fn pid(address: IpAddr) -> String {
    match address {
        IpAddr::V4(ip) => format!("slave(1)@{ip}:{AGENT_PORT}"),
        IpAddr::V6(ip) => format!("slave(1)@[{ip}]:{AGENT_PORT}"),
    }
}

/// What the operator said of the machine.
pub fn attributes(j: &mut Json<'_>, node: &Node) {
    j.object_at("attributes", |j| {
        for (name, value) in &node.info.attributes {
            match value {
                Attribute::Scalar(n) => j.quantity_at(name, *n),
                Attribute::Ranges(ranges) => j.text_at(name, &resource::ranges(ranges)),
                Attribute::Text(_) | Attribute::Set(_) => j.text_at(name, &value.text()),
            }
        }
        // What clients tell a public agent by (docs/compat/mesos.md, "Agents").
        let named = node.info.attributes.contains_key("public_ip");
        if node.info.kind == NodeKind::PublicAgent && !named {
            j.text_at("public_ip", "true");
        }
    });
}

/// The total by role. Volumes are reserved for the role of their app.
pub fn reservations(j: &mut Json<'_>, state: &State, node: &Node) {
    let mut reserved: BTreeMap<Role, Resources> = BTreeMap::new();
    for role in node.info.total.0.keys().filter(|role| !role.is_star()) {
        reserved.insert(role.clone(), without_volumes(state, node, role));
    }
    for (role, volumes) in volume::by_role(state, node) {
        reserved.entry(role).or_default().add(&volume::disk(&volumes));
    }
    j.object_at("reserved_resources", |j| {
        reserved.iter().for_each(|(role, all)| resource::totals(j, role.as_str(), all));
    });
    let free = without_volumes(state, node, &Role::star());
    resource::totals(j, "unreserved_resources", &free);
}

/// What a node has for a role beside volumes.
fn without_volumes(state: &State, node: &Node, role: &Role) -> Resources {
    let mut all = node.info.total.0.get(role).cloned().unwrap_or_default();
    all.scalars.disk -= volume::out_of(state, node, role);
    all
}

/// How far a drain is, while there is one.
pub fn drain(j: &mut Json<'_>, node: &Node) {
    let (word, since) = match node.duty {
        Duty::Active | Duty::Deactivated { .. } => return,
        Duty::Draining { since, .. } => ("DRAINING", since),
        Duty::Drained { since } => ("DRAINED", since),
    };
    j.object_at("drain_info", |j| {
        j.text_at("state", word);
        j.object_at("config", |j| j.bool_at("mark_gone", false));
    });
    j.time_at("estimated_drain_start_time_seconds", since);
}

/// The total by role, as lists of resources; each volume is one of its own.
pub fn reservations_full(j: &mut Json<'_>, state: &State, node: &Node) {
    let volumes = volume::by_role(state, node);
    let roles: BTreeSet<&Role> = node.info.total.0.keys().chain(volumes.keys()).collect();
    j.object_at("reserved_resources_full", |j| {
        for role in roles.into_iter().filter(|role| !role.is_star()) {
            j.list_at(role.as_str(), |j| {
                resource::elements(j, role, &without_volumes(state, node, role));
                let of_role = volumes.get(role).into_iter().flatten();
                of_role.for_each(|volume| volume::element(j, role, volume));
            });
        }
    });
    j.list_at("unreserved_resources_full", |j| {
        let star = Role::star();
        resource::elements(j, &star, &without_volumes(state, node, &star));
    });
}

fn full(j: &mut Json<'_>, state: &State, node: &Node) {
    reservations_full(j, state, node);
    j.list_at("used_resources_full", |j| {
        for (role, resources) in state.index.used.get(node.id()).into_iter().flat_map(|p| &p.0) {
            resource::elements(j, role, resources);
        }
    });
    j.list_at("offered_resources_full", |_| {});
}

fn summary(j: &mut Json<'_>, state: &State, node: &Node) {
    let mut counts = Counts::default();
    state.instances_on(node.id()).for_each(|i| counts.add(state, i));
    counts.write(j);
    j.list_at("framework_ids", |j| {
        if state.instances_on(node.id()).any(|i| names(state, i).next().is_some()) {
            j.text(&marathon_id(state));
        }
    });
}

/// Where a machine stands.
pub fn domain(j: &mut Json<'_>, domain: &FaultDomain) {
    j.object_at("domain", |j| {
        j.object_at("fault_domain", |j| {
            j.object_at("region", |j| j.text_at("name", &domain.region));
            j.object_at("zone", |j| j.text_at("name", &domain.zone));
        });
    });
}
