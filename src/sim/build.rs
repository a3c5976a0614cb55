//! Nodes and workloads in a few words, and the world of the placement bench.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
};

use crate::{
    base::{clock::Timestamp, rng::Rng},
    core::{
        State,
        apply::reindex,
        command::{Edit, Expect, PutApps},
        place::{Limits, plan},
        state::App,
    },
    model::{
        access::Role,
        container::{
            Command, ContainerSpec, DiskKind, HealthCheck, PersistentVolume, Port, Probe,
            ProbePort, Volume, VolumeSource,
        },
        deployment::DeploymentId,
        instance::{Instance, InstanceId},
        node::{Attribute, Duty, FaultDomain, Node, NodeId, NodeInfo, NodeKind, Reach},
        path::PathId,
        resource::{Pools, Ranges, Resources, Scalars},
        workload::{
            Constraint, Network, NetworkMode, Operator, RunSpec, UnreachableStrategy,
            UpgradeStrategy, WorkloadSpec,
        },
    },
};

/// The clock of every simulation starts here, 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_ms(1_767_225_600_000);

/// The role of ordinary workloads, as DC/OS sets it.
pub const ROLE: &str = "slave_public";

/// Node number `n`: ports 31000–31999 and what is given.
pub fn node(n: usize, cpus: f64, mem_mb: f64, attributes: &[(&str, String)]) -> NodeInfo {
    let resources = Resources {
        scalars: Scalars::of(cpus, mem_mb, 100_000.0, 0.0),
        ports: Ranges::of([(31_000, 31_999)]),
        named: BTreeMap::new(),
    };
    let address = Ipv4Addr::from(0x0A00_0001 + u32::try_from(n).unwrap_or(0));
    let text = |(k, v): &(&str, String)| ((*k).to_owned(), Attribute::Text(v.clone()));
    NodeInfo {
        id: NodeId::from(format!("sim-S{n:05}")),
        hostname: format!("n{n}"),
        address: address.into(),
        kind: NodeKind::Agent,
        attributes: attributes.iter().map(text).collect(),
        fault_domain: Some(FaultDomain { region: "home".to_owned(), zone: format!("z{}", n % 3) }),
        total: Pools::of(Role::star(), resources),
        version: String::new(),
        level: crate::base::level::LEVEL,
    }
}

/// A plain app with `n_ports` host ports.
pub fn app(id: &str, instances: u32, cpus: f64, mem_mb: f64, n_ports: usize) -> WorkloadSpec {
    let port = Port { host_port: Some(0), ..Port::default() };
    WorkloadSpec {
        run: Arc::new(RunSpec {
            containers: vec![ContainerSpec {
                command: Command::Shell("run".to_owned()),
                resources: Scalars::of(cpus, mem_mb, 0.0, 0.0),
                ports: vec![port; n_ports],
                ..ContainerSpec::default()
            }],
            networks: vec![Network {
                mode: NetworkMode::Host,
                name: None,
                labels: BTreeMap::new(),
            }],
            role: Role::from(ROLE),
            ..RunSpec::default()
        }),
        instances,
        unreachable: UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 },
        ..WorkloadSpec::new(PathId::parse(id), START)
    }
}

/// The same with a volume, and the rules that go with it.
pub fn resident(mut spec: WorkloadSpec, size_mb: u64) -> WorkloadSpec {
    let of = PersistentVolume {
        kind: DiskKind::Root,
        size_mb,
        size_mb_max: None,
        profile: None,
        constraints: Vec::new(),
    };
    let source = VolumeSource::Persistent(of);
    let volume = Volume { container_path: "data".to_owned(), read_only: false, source };
    spec.run_mut().containers[0].volumes.push(volume);
    spec.upgrade = UpgradeStrategy { minimum_health_capacity: 0.5, maximum_over_capacity: 0.0 };
    spec.unreachable = UnreachableStrategy::Disabled;
    spec
}

/// A TCP check on the first port.
pub fn health_check() -> HealthCheck {
    HealthCheck {
        probe: Probe::Tcp { port: ProbePort::Index(0), ipv6: false },
        agent_semantics: false,
        grace_ms: 30_000,
        interval_ms: 5_000,
        timeout_ms: 1_000,
        failures_max: 3,
        delay_ms: 0,
    }
}

/// The command that makes new apps, in one deployment.
pub fn new_apps(deployment: DeploymentId, specs: impl Iterator<Item = WorkloadSpec>) -> PutApps {
    let edit = |spec: WorkloadSpec| Edit {
        id: spec.id.clone(),
        new: Some(spec),
        expect: Expect::Any,
        base: None,
        restart: false,
    };
    PutApps {
        deployment,
        force: false,
        edits: specs.map(edit).collect(),
        groups: Vec::new(),
        victims: BTreeSet::new(),
    }
}

/// `field OPERATOR [value]`; `None` when that is no constraint.
pub fn constraint(text: &str) -> Option<Constraint> {
    let mut words = text.split_whitespace();
    Some(Constraint {
        field: words.next()?.to_owned(),
        operator: Operator::parse(words.next()?)?,
        value: words.next().map(str::to_owned),
    })
}

/// A cluster with work to place and nothing else, to measure placement alone.
#[derive(Clone, Debug)]
pub struct BenchWorld {
    pub state: State,
    pub now: Timestamp,
    pub limits: Limits,
    pub n_waiting: usize,
}

/// `n_nodes` nodes in 40 racks and 10 zones, `n_apps` apps with 100 waiting instances each. With
/// constraints every app has two of the kinds people use, else none.
pub fn bench_world(n_nodes: usize, n_apps: usize, with_constraints: bool) -> BenchWorld {
    const INSTANCES: u32 = 100;
    let mut rng = Rng::from_seed(7);
    let mut state = State { at: START, ..State::default() };
    for n in 0..n_nodes {
        let attributes =
            [("rack", format!("r{}", n % 40)), ("disk", ["ssd", "hdd"][n % 2].to_owned())];
        let info = node(n, 32.0, 131_072.0, &attributes);
        let node = Node {
            info,
            reach: Reach::Reachable,
            duty: Duty::Active,
            registered_at: START,
            reregistered_at: None,
        };
        state.nodes.insert(node.id().clone(), Arc::new(node));
    }
    for n in 0..n_apps {
        let cpus = [0.1, 0.25, 0.5, 1.0][n % 4];
        let mut spec = app(&format!("/bench/app{n:05}"), INSTANCES, cpus, cpus * 1024.0, n % 3);
        if with_constraints {
            let kinds = [
                ["hostname UNIQUE", "disk LIKE ss.*"],
                ["rack GROUP_BY 40", "hostname MAX_PER 2"],
                ["rack GROUP_BY", "disk UNLIKE ssd"],
                ["rack MAX_PER 4", "disk IS ssd"],
            ];
            spec.constraints = kinds[n / 4 % 4].iter().filter_map(|c| constraint(c)).collect();
        }
        let spec = Arc::new(spec);
        for _ in 0..INSTANCES {
            let id = InstanceId::from(format!("{}.instance-{}", spec.id.safe(), rng.uuid()));
            let instance = Instance::scheduled(id.clone(), spec.id.clone(), spec.version, START);
            state.instances.insert(id, Arc::new(instance));
        }
        state.specs.insert((spec.id.clone(), spec.version), spec.clone());
        let id = spec.id.clone();
        state.apps.insert(id.clone(), Arc::new(App { id, spec, last_failure: None }));
    }
    reindex(&mut state);
    let n_waiting = n_apps * INSTANCES as usize;
    let limits = Limits { launches_max: n_waiting.max(1), ..Limits::default() };
    BenchWorld { state, now: START, limits, n_waiting }
}

impl BenchWorld {
    /// Plans once; how many instances found a node.
    pub fn place(&self) -> usize {
        plan(&self.state, &[], self.now, &self.limits).launches.len()
    }
}
