//! Made-up states for benchmarks: nodes, workloads, instances.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use tepui::{
    base::clock::Timestamp,
    core::{State, apply, state::App},
    model::{
        access::Role,
        container::{ContainerSpec, Port},
        instance::{Instance, InstanceId, Life, Phase, Placement, Seen, Task},
        node::{Attribute, Duty, Node, NodeId, NodeInfo, NodeKind, Reach},
        path::PathId,
        resource::{Pools, Ranges, Resources, Scalars},
        workload::{Constraint, Network, NetworkMode, Operator, RunSpec, WorkloadSpec},
    },
};

pub const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

/// Node `n`: 16 processors, 64 GB, in one of 40 racks, half of them with solid-state disks.
pub fn node(n: u32) -> Node {
    let resources = Resources {
        scalars: Scalars::of(16.0, 65_536.0, 100_000.0, 0.0),
        ports: Ranges::of([(31_000, 32_000)]),
        named: BTreeMap::new(),
    };
    let text = |name: &str, value: String| (name.to_owned(), Attribute::Text(value));
    let disk = if n.is_multiple_of(2) { "ssd" } else { "hdd" };
    let address = Ipv4Addr::from(0x0A00_0000 + n);
    Node {
        info: NodeInfo {
            id: NodeId::new(format!("c-S{n}")),
            hostname: address.to_string(),
            address: address.into(),
            kind: NodeKind::Agent,
            attributes: BTreeMap::from([
                text("rack", format!("r{:02}", n % 40)),
                text("disk", disk.to_owned()),
            ]),
            fault_domain: None,
            total: Pools::of(Role::star(), resources),
            version: String::new(),
            level: tepui::base::level::LEVEL,
        },
        reach: Reach::Reachable,
        duty: Duty::Active,
        registered_at: NOW,
        reregistered_at: None,
    }
}

/// An app of `n` instances of a tenth of a processor, 64 MB and one port.
pub fn spec(id: &str, n: u32, constraints: &[(&str, Operator, Option<&str>)]) -> WorkloadSpec {
    let constraint = |(field, operator, value): &(&str, Operator, Option<&str>)| Constraint {
        field: (*field).to_owned(),
        operator: *operator,
        value: value.map(str::to_owned),
    };
    WorkloadSpec {
        run: Arc::new(RunSpec {
            containers: vec![ContainerSpec {
                resources: Scalars::of(0.1, 64.0, 0.0, 0.0),
                ports: vec![Port { host_port: Some(0), ..Port::default() }],
                ..ContainerSpec::default()
            }],
            networks: vec![Network {
                mode: NetworkMode::Host,
                name: None,
                labels: BTreeMap::new(),
            }],
            ..RunSpec::default()
        }),
        instances: n,
        constraints: constraints.iter().map(constraint).collect(),
        ..WorkloadSpec::new(PathId::parse(id), NOW)
    }
}

/// A state with these nodes and all instances of these apps waiting.
pub fn state(n_nodes: u32, specs: impl IntoIterator<Item = WorkloadSpec>) -> State {
    let mut state = State { at: NOW, revision: 1, ..State::default() };
    for n in 0..n_nodes {
        let node = node(n);
        state.nodes.insert(node.id().clone(), Arc::new(node));
    }
    for spec in specs {
        for n in 0..spec.instances {
            let id = InstanceId::new(format!("{}.instance-{n:05}", spec.id.safe()));
            let waiting = Instance::scheduled(id.clone(), spec.id.clone(), spec.version, NOW);
            state.instances.insert(id, Arc::new(waiting));
        }
        let spec = Arc::new(spec);
        state.specs.insert((spec.id.clone(), spec.version), spec.clone());
        let app = App { id: spec.id.clone(), spec: spec.clone(), last_failure: None };
        state.apps.insert(spec.id.clone(), Arc::new(app));
    }
    apply::reindex(&mut state);
    state
}

/// As `state`, with every instance running: one after the other on the nodes in turn, with a port.
pub fn running(n_nodes: u32, specs: impl IntoIterator<Item = WorkloadSpec>) -> State {
    let mut state = state(n_nodes, specs);
    let nodes: Vec<Arc<Node>> = state.nodes.values().cloned().collect();
    let ids: Vec<InstanceId> = state.instances.keys().cloned().collect();
    for (n, id) in ids.into_iter().enumerate() {
        let node = &nodes[n % nodes.len()];
        let Some(instance) = state.instances.get_mut(&id) else { continue };
        let instance = Arc::make_mut(instance);
        let offset = u16::try_from(n / nodes.len() % 1_000).unwrap_or(0);
        let port = 31_000 + offset;
        let resources = Resources {
            scalars: Scalars::of(0.1, 64.0, 0.0, 0.0),
            ports: Ranges::of([(u64::from(port), u64::from(port))]),
            named: BTreeMap::new(),
        };
        let seen = Seen { ready: true, started_at: Some(NOW), ..Seen::default() };
        let place = Placement {
            node: node.id().clone(),
            hostname: node.info.hostname.clone(),
            address: node.info.address,
            allocation: Pools::of(Role::star(), resources),
            host_ports: vec![Some(port)],
            launched_at: NOW,
        };
        let task = Task { place, kill: None, seen };
        instance.life = Life::Placed(Phase::Running, Box::new(task));
    }
    apply::reindex(&mut state);
    state
}
