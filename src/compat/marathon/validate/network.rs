//! Rules of networks and ports.

use std::collections::BTreeSet;

use crate::compat::marathon::{
    json::Violations,
    spec::{
        App,
        container::Engine,
        network::{Mode, Network, PortMapping},
    },
};

/// Networks named in the text for one that is unknown: nobody reads more.
const NAMES_TOLD_MAX: usize = 20;

/// The rules of the app's networks and ports.
pub fn check(app: &App, v: &mut Violations) {
    let networks = app.networks.as_deref().unwrap_or_default();
    combinations(networks, v);
    let is_host = networks.iter().any(|n| n.mode == Mode::Host);
    let container = app.container.as_ref();
    let mappings = container.and_then(|c| c.port_mappings.as_deref()).unwrap_or_default();
    let definitions = app.port_definitions.as_deref().unwrap_or_default();
    v.check(
        !is_host || mappings.is_empty(),
        "/",
        "portMappings are not allowed with host-networking",
    );
    v.check(
        is_host || definitions.is_empty(),
        "/",
        "portDefinitions are only allowed with host-networking",
    );
    let n_container = networks.iter().filter(|n| n.mode == Mode::Container).count();
    v.check(
        n_container <= 1 || container.and_then(|c| c.engine) != Some(Engine::Docker),
        "/",
        "may only specify a single container network when using the Docker container engine",
    );

    let names = definitions.iter().filter_map(|d| d.name.as_deref());
    v.check(are_unique(names), "/portDefinitions", "Port names must be unique.");
    let numbers = definitions.iter().map(|d| d.port).filter(|port| *port != 0);
    v.check(are_unique(numbers), "/portDefinitions", "Ports must be unique.");
    let names = mappings.iter().filter_map(|m| m.name.as_deref());
    v.check(are_unique(names), "/container/portMappings", "Port names must be unique.");
    let known: BTreeSet<&str> = networks.iter().filter_map(|n| n.name.as_deref()).collect();
    for (i, mapping) in mappings.iter().enumerate() {
        check_mapping(mapping, &known, n_container, &format!("/container/portMappings({i})"), v);
    }
}

/// Which networks go together.
pub fn combinations(networks: &[Network], v: &mut Violations) {
    let n = |mode: Mode| networks.iter().filter(|n| n.mode == mode).count();
    let of = |mode: Mode| networks.iter().filter(move |n| n.mode == mode);
    let is_plain = |n: &Network| n.name.is_none() && n.labels.is_empty();
    v.check(
        of(Mode::Host).all(is_plain),
        "/networks",
        "Host networks may not have names or labels",
    );
    v.check(
        of(Mode::Bridge).all(|n| n.name.is_none()),
        "/networks",
        "Bridge networks may not have names",
    );
    v.check(
        are_unique(networks.iter().filter_map(|n| n.name.as_deref())),
        "/networks",
        "Duplicate networks are not allowed",
    );
    let holds = matches!(
        (n(Mode::Host), n(Mode::Bridge), n(Mode::Container)),
        (1, 0, 0) | (0, 1, 0) | (0, 0, 1..)
    );
    v.check(
        holds,
        "/networks",
        "May specify a single host network, single bridge network, or else 1-to-n container networks",
    );
}

fn check_mapping(
    mapping: &PortMapping,
    known: &BTreeSet<&str>,
    n_container: usize,
    path: &str,
    v: &mut Violations,
) {
    v.check(
        n_container <= 1 || mapping.host_port.is_none() || mapping.network_names.len() == 1,
        path,
        "networkNames must be a single item list when hostPort is specified and more than 1 container network is defined",
    );
    for (i, name) in mapping.network_names.iter().enumerate() {
        if !known.contains(name.as_str()) && !v.is_full() {
            let known: Vec<&str> = known.iter().take(NAMES_TOLD_MAX).copied().collect();
            let text = format!("is not one of ({})", known.join(","));
            v.add(format!("{path}/networkNames({i})"), text);
        }
    }
}

/// Whether none of `items` is there twice.
pub fn are_unique<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.into_iter().all(|item| seen.insert(item))
}
