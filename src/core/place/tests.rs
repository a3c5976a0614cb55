//! Placement on small worlds: single rules by table, and random worlds against the reference.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;

use super::*;
use crate::{
    base::{clock::Timestamp, units::Milli},
    core::{
        State, TaskCommand, apply,
        apply::reindex,
        command::{Launch, Stamped},
        invariant,
        state::App,
    },
    model::{
        access::{Quota, QuotaLimit, Role, RoleSettings},
        container::{ContainerSpec, Port},
        framework::{FrameworkId, Lease, LeaseId},
        instance::{Instance, InstanceId, Life},
        node::{Attribute, Duty, FaultDomain, Node, NodeId, NodeInfo, NodeKind, Reach},
        path::{AppId, PathId},
        resource::{Pools, Ranges, Resources, Scalars},
        workload::{
            Constraint, Network, NetworkMode, Operator, RunSpec, UnreachableStrategy, WorkloadSpec,
        },
    },
};

pub(super) const NOW: Timestamp = Timestamp::from_ms(1_000_000);

fn star(cpus: f64, mem: f64) -> Pools {
    pool("*", cpus, mem)
}

fn pool(role: &str, cpus: f64, mem: f64) -> Pools {
    let resources = Resources {
        scalars: Scalars::of(cpus, mem, 10_000.0, 0.0),
        ports: Ranges::of([(31_000, 31_009)]),
        named: BTreeMap::new(),
    };
    Pools::of(Role::from(role), resources)
}

fn node(n: usize, total: Pools, attributes: &[(&str, &str)]) -> Node {
    let text = |(k, v): &(&str, &str)| ((*k).to_owned(), Attribute::Text((*v).to_owned()));
    Node {
        info: NodeInfo {
            id: NodeId::from(format!("c-S{n:03}")),
            hostname: format!("n{n}"),
            address: std::net::Ipv4Addr::new(10, 0, 0, u8::try_from(n).unwrap()).into(),
            kind: NodeKind::Agent,
            attributes: attributes.iter().map(text).collect(),
            fault_domain: None,
            total,
            version: String::new(),
            level: crate::base::level::LEVEL,
        },
        reach: Reach::Reachable,
        duty: Duty::Active,
        registered_at: NOW,
        reregistered_at: None,
    }
}

fn constraint(text: &str) -> Constraint {
    let mut words = text.split(' ');
    Constraint {
        field: words.next().unwrap().to_owned(),
        operator: Operator::parse(words.next().unwrap()).unwrap(),
        value: words.next().map(str::to_owned),
    }
}

pub(super) fn app(id: &str, n: u32, cpus: f64, mem: f64, constraints: &[&str]) -> WorkloadSpec {
    WorkloadSpec {
        run: Arc::new(RunSpec {
            containers: vec![ContainerSpec {
                resources: Scalars::of(cpus, mem, 0.0, 0.0),
                ..ContainerSpec::default()
            }],
            networks: vec![Network {
                mode: NetworkMode::Host,
                name: None,
                labels: BTreeMap::new(),
            }],
            role: Role::from("slave_public"),
            ..RunSpec::default()
        }),
        instances: n,
        constraints: constraints.iter().map(|c| constraint(c)).collect(),
        unreachable: UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 },
        ..WorkloadSpec::new(PathId::parse(id), NOW)
    }
}

/// `n` instances of a processor each that belong to `role`.
fn with_role(id: &str, role: &str, n: u32) -> WorkloadSpec {
    let mut spec = app(id, n, 1.0, 64.0, &[]);
    spec.run_mut().role = Role::from(role);
    spec
}

/// A state with all instances of `apps` waiting.
pub(super) fn state(nodes: Vec<Node>, apps: Vec<WorkloadSpec>) -> State {
    let mut state = State { at: NOW, ..State::default() };
    for node in nodes {
        state.nodes.insert(node.id().clone(), Arc::new(node));
    }
    for spec in apps {
        put(&mut state, spec);
    }
    reindex(&mut state);
    state
}

fn put(state: &mut State, spec: WorkloadSpec) {
    for n in 0..spec.instances {
        let id = InstanceId::from(format!("{}.instance-{n:03}", spec.id.safe()));
        let instance = Instance::scheduled(id.clone(), spec.id.clone(), spec.version, NOW);
        state.instances.insert(id, Arc::new(instance));
    }
    let spec = Arc::new(spec);
    state.specs.insert((spec.id.clone(), spec.version), spec.clone());
    let app = App { id: spec.id.clone(), spec: spec.clone(), last_failure: None };
    state.apps.insert(spec.id.clone(), Arc::new(app));
}

pub(super) fn run(state: &mut State, limits: &Limits) -> Plan {
    let plan = plan(state, &[], NOW, limits);
    launch(state, &plan.launches);
    plan
}

fn launch(state: &mut State, launches: &[Launch]) {
    let command = TaskCommand::Launch(launches.to_vec()).into();
    let (outcome, _) = apply(state, &Stamped { at: NOW, request: None, by: None, command });
    assert_eq!(outcome.unwrap().n_done as usize, launches.len(), "apply refused a launch");
}

/// How many instances of an app each value of a field holds.
fn spread(state: &State, app: &str, field: &str) -> Vec<(String, usize)> {
    let mut counts = BTreeMap::new();
    for i in state.instances_of(&AppId::parse(app)) {
        let Some(p) = i.placement() else { continue };
        *counts.entry(state.nodes[&p.node].field(field).unwrap_or_default()).or_default() += 1;
    }
    counts.into_iter().collect()
}

pub(super) fn racks() -> Vec<Node> {
    (0..6).map(|n| node(n, star(8.0, 8192.0), &[("rack", ["a", "b", "c"][n % 3])])).collect()
}

#[test]
fn operators_spread_and_gather() {
    for (constraints, field, want) in [
        (&["hostname UNIQUE"][..], "hostname", "n0:1 n1:1 n2:1 n3:1 n4:1 n5:1"),
        (&["rack UNIQUE"], "rack", "a:1 b:1 c:1"),
        (&["rack MAX_PER 2"], "rack", "a:2 b:2 c:2"),
        (&["rack GROUP_BY"], "rack", "a:3 b:3 c:2"),
        (&["rack GROUP_BY 2"], "rack", "a:4 b:4"),
        (&["rack CLUSTER b"], "rack", "b:8"),
        (&["rack CLUSTER"], "rack", "a:8"),
        (&["rack LIKE [ac]", "rack GROUP_BY"], "rack", "a:4 c:4"),
        (&["rack UNLIKE a|b"], "rack", "c:8"),
        (&["rack IS b", "hostname MAX_PER 3"], "hostname", "n1:3 n4:3"),
        (&["shelf UNLIKE x"], "shelf", ":8"),
        (&["shelf LIKE .*"], "shelf", ""),
    ] {
        let mut state = state(racks(), vec![app("/a", 8, 1.0, 128.0, constraints)]);
        run(&mut state, &Limits::default());
        let got: Vec<String> =
            spread(&state, "/a", field).iter().map(|(v, n)| format!("{v}:{n}")).collect();
        assert_eq!(got.join(" "), want, "{constraints:?}");
    }
}

#[test]
fn a_node_where_others_hold_the_port_comes_last() {
    let port = |host_port| Port { host_port: Some(host_port), ..Port::default() };
    let all = Ranges::of([(31_000, 31_009)]);
    for (host_port, held) in [(31_005, Ranges::of([(31_005, 31_005)])), (0, all)] {
        let mut spec = app("/a", 2, 1.0, 128.0, &[]);
        spec.require_ports = true;
        spec.run_mut().containers[0].ports = vec![port(host_port)];
        let ports_held = BTreeMap::from([(NodeId::from("c-S000"), held)]);
        let limits = Limits { ports_held, ..Limits::default() };
        let nodes = || vec![node(0, star(8.0, 8192.0), &[]), node(1, star(8.0, 8192.0), &[])];
        let mut one = state(nodes(), vec![WorkloadSpec { instances: 1, ..spec.clone() }]);
        run(&mut one, &limits);
        assert_eq!(spread(&one, "/a", "hostname"), [("n1".to_owned(), 1)], "{host_port}");
        // What was told may be wrong by now: where nothing else is left, it is tried.
        let mut alone = state(nodes()[..1].to_vec(), vec![WorkloadSpec { instances: 1, ..spec }]);
        run(&mut alone, &limits);
        assert_eq!(spread(&alone, "/a", "hostname"), [("n0".to_owned(), 1)], "{host_port}");
    }
}

#[test]
fn an_open_cluster_picks_a_value_that_holds_everything() {
    let mut nodes = racks();
    nodes[2].info.total = star(32.0, 32_768.0);
    let mut state = state(nodes, vec![app("/a", 20, 2.0, 128.0, &["hostname CLUSTER"])]);
    run(&mut state, &Limits::default());
    assert_eq!(spread(&state, "/a", "hostname"), [("n2".to_owned(), 16)]);
}

#[test]
fn instances_of_an_old_configuration_do_not_block_new_ones() {
    let mut state = state(racks(), vec![app("/a", 6, 1.0, 128.0, &["hostname UNIQUE"])]);
    assert_eq!(run(&mut state, &Limits::default()).launches.len(), 6);
    let mut spec = app("/a", 6, 1.0, 256.0, &["hostname UNIQUE"]);
    spec.version = Timestamp::from_ms(2_000_000);
    spec.last_config_change_at = spec.version;
    for n in 0..6 {
        let id = InstanceId::from(format!("a.instance-new{n}"));
        let new = Instance::scheduled(id.clone(), spec.id.clone(), spec.version, NOW);
        state.instances.insert(id, Arc::new(new));
    }
    spec.instances = 0;
    put(&mut state, spec);
    reindex(&mut state);
    assert_eq!(run(&mut state, &Limits::default()).launches.len(), 6);
}

#[test]
fn policies_fill_or_level() {
    for (policy, want) in [(Policy::BinPack, 1), (Policy::Spread, 6)] {
        let mut state = state(racks(), vec![app("/a", 6, 1.0, 128.0, &[])]);
        run(&mut state, &Limits { policy, ..Limits::default() });
        assert_eq!(spread(&state, "/a", "hostname").len(), want);
    }
}

#[test]
fn reserved_resources_are_for_those_who_accept_them_and_go_first() {
    let mut total = star(4.0, 4096.0);
    total.add(&pool("web", 4.0, 4096.0));
    let mut web = app("/web", 1, 6.0, 128.0, &[]);
    web.accepted_roles = Some([Role::star(), Role::from("web")].into());
    let mut state = state(vec![node(0, total, &[])], vec![web, app("/x", 1, 3.0, 64.0, &[])]);
    let plan = run(&mut state, &Limits::default());
    assert_eq!(plan.launches.len(), 1);
    let pools = &plan.launches[0].allocation.0;
    assert_eq!(pools[&Role::from("web")].scalars.cpus, Milli::whole(4));
    assert_eq!(pools[&Role::star()].scalars.cpus, Milli::whole(2));
    let waiting = &plan.reports[&AppId::parse("/x")];
    assert_eq!(waiting.row(Reason::Cpus).declined, 1);
}

#[test]
fn a_node_of_both_kinds_offers_everything_to_everybody() {
    let mut both = node(0, star(4.0, 4096.0), &[]);
    both.info.kind = NodeKind::Both;
    let accepting = |id: &str, roles: Option<&[&str]>| {
        let mut spec = app(id, 1, 1.0, 64.0, &[]);
        spec.accepted_roles = roles.map(|r| r.iter().map(|r| Role::from(*r)).collect());
        spec
    };
    let apps = vec![
        accepting("/any", None),
        accepting("/public", Some(&["slave_public"])),
        accepting("/either", Some(&["slave_public", "*"])),
        accepting("/other", Some(&["web"])),
    ];
    let mut state = state(vec![both], apps);
    let plan = run(&mut state, &Limits::default());
    assert_eq!(plan.launches.len(), 3);
    assert_eq!(state.free(&NodeId::from("c-S000")).scalars().cpus, Milli::whole(1));
    assert_eq!(plan.reports[&AppId::parse("/other")].row(Reason::Role).declined, 1);
}

#[test]
fn leases_count_until_they_expire() {
    let state = state(vec![node(0, star(4.0, 4096.0), &[])], vec![app("/a", 1, 2.0, 64.0, &[])]);
    let lease = Lease {
        id: LeaseId::from("l"),
        framework: FrameworkId::from("f"),
        role: Role::from("other"),
        node: NodeId::from("c-S000"),
        resources: star(3.0, 64.0),
        expires_at: Timestamp::from_ms(NOW.as_ms() + 5),
    };
    let at = |ms| {
        plan(
            &state,
            std::slice::from_ref(&lease),
            Timestamp::from_ms(NOW.as_ms() + ms),
            &Limits::default(),
        )
    };
    assert_eq!(at(0).launches.len(), 0);
    assert_eq!(at(5).launches.len(), 1);
}

#[test]
fn ports_any_exact_and_none() {
    let mut spec = app("/a", 2, 0.1, 16.0, &[]);
    let port = |host_port| Port { host_port, ..Port::default() };
    spec.run_mut().networks[0].mode = NetworkMode::Bridge;
    spec.run_mut().containers[0].ports =
        vec![port(Some(0)), port(None), port(Some(31_003)), port(Some(0))];
    let mut state = state(vec![node(0, star(4.0, 4096.0), &[])], vec![spec.clone()]);
    let plan = run(&mut state, &Limits::default());
    let [only] = plan.launches.as_slice() else { panic!("the exact port is there once") };
    let ports: Vec<u16> = only.host_ports.iter().flatten().copied().collect();
    assert_eq!((ports.len(), only.host_ports[1], ports[1]), (3, None, 31_003));
    assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 3);
    let report = &plan.reports[&spec.id];
    assert_eq!(report.row(Reason::Ports).declined, 1);
    assert_eq!(report.nodes[0].failed[0].message, "host port 31003 is not free");
    assert!(report.advice[0].sentence.starts_with("free host port 31003 on n0"), "{report:#?}");
}

#[test]
fn gpu_nodes_and_far_regions_are_kept() {
    let mut gpu = node(0, star(4.0, 4096.0), &[]);
    gpu.info.total.0.get_mut(&Role::star()).unwrap().scalars.gpus = Milli::whole(2);
    let mut far = node(1, star(4.0, 4096.0), &[]);
    far.info.fault_domain = Some(FaultDomain { region: "far".into(), zone: "z".into() });
    let mut drained = node(2, star(4.0, 4096.0), &[]);
    drained.duty = Duty::Draining { since: NOW, until: NOW };
    let nodes = vec![gpu, far, drained];
    let limits = Limits { home_region: Some("home".into()), ..Limits::default() };
    let mut one = state(nodes.clone(), vec![app("/a", 1, 1.0, 64.0, &[])]);
    let report = run(&mut one, &limits).reports.remove(&AppId::parse("/a")).unwrap();
    for reason in [Reason::Scarce, Reason::Region, Reason::Maintenance] {
        assert_eq!(report.row(reason).declined, 1, "{reason:?}");
    }
    let advice: Vec<&str> = report.advice.iter().map(|a| a.sentence.as_str()).collect();
    assert_eq!(advice[0], "end the draining of n2");
    assert_eq!(advice[1], "add the constraint @region IS far");
    let mut two = state(nodes, vec![app("/a", 1, 1.0, 64.0, &["@region IS far"])]);
    assert_eq!(run(&mut two, &limits).launches.len(), 1);
}

#[test]
fn a_limit_is_never_passed_and_a_guarantee_stays_free() {
    let quota = |role: &str, guarantee: f64, limit: Option<f64>| RoleSettings {
        role: Role::from(role),
        weight: Milli::whole(1),
        quota: Some(Quota {
            guarantee: Scalars::of(guarantee, 0.0, 0.0, 0.0),
            limit: QuotaLimit { cpus: limit.map(Milli::from_f64), ..QuotaLimit::default() },
        }),
    };
    let apps = vec![with_role("/dev/a", "dev", 9), with_role("/prod/a", "prod", 2)];
    let mut state = state(vec![node(0, star(10.0, 8192.0), &[])], apps);
    for settings in [quota("dev", 0.0, Some(3.0)), quota("prod", 6.0, None)] {
        state.roles.insert(settings.role.clone(), Arc::new(settings));
    }
    let plan = run(&mut state, &Limits::default());
    assert_eq!(plan.reports[&AppId::parse("/dev/a")].n_placed, 3);
    assert_eq!(plan.reports[&AppId::parse("/prod/a")].n_placed, 2);
    let report = &plan.reports[&AppId::parse("/dev/a")];
    assert!(matches!(&report.hold, Some(Hold::Quota { resource, .. }) if resource == "cpus"));
    assert_eq!(report.advice[0].sentence, "raise the cpus limit of role dev from 3 to 4");
    put(&mut state, with_role("/other", "other", 5));
    reindex(&mut state);
    let plan = run(&mut state, &Limits::default());
    // 10 cpus, 5 used, 4 still owed to prod.
    assert_eq!(plan.reports[&AppId::parse("/other")].n_placed, 1);
    let hold = &plan.reports[&AppId::parse("/other")].hold;
    assert_eq!(*hold, Some(Hold::Guaranteed { resource: "cpus".into(), owed: Milli::whole(4) }));
}

#[test]
fn scarce_resources_are_shared_by_weight() {
    let apps = vec![with_role("/a", "light", 20), with_role("/b", "heavy", 20)];
    let mut state = state(vec![node(0, star(12.0, 8192.0), &[])], apps);
    let heavy = RoleSettings { role: Role::from("heavy"), weight: Milli::whole(3), quota: None };
    state.roles.insert(heavy.role.clone(), Arc::new(heavy));
    let plan = run(&mut state, &Limits::default());
    assert_eq!(plan.reports[&AppId::parse("/a")].n_placed, 3);
    assert_eq!(plan.reports[&AppId::parse("/b")].n_placed, 9);
}

#[test]
fn the_smallest_change_is_told_and_true() {
    for (spec, sentence) in [
        (app("/a", 1, 4.0, 9000.0, &[]), "lower mem from 9000 to 8192 (8 GiB)"),
        (
            app("/a", 1, 9.0, 9000.0, &[]),
            "lower cpus from 9 to 8 and mem from 9000 to 8192 (8 GiB)",
        ),
        (
            app("/a", 1, 1.0, 64.0, &["rack LIKE d", "hostname UNIQUE"]),
            "remove the constraint rack LIKE d or add a node that meets it",
        ),
        (app("/a", 1, 100.0, 64.0, &[]), "add a node with 100 cpus, 64 MiB of memory free"),
    ] {
        let mut state = state(racks(), vec![spec.clone()]);
        let plan = run(&mut state, &Limits::default());
        let report = &plan.reports[&spec.id];
        assert_eq!(report.advice[0].sentence, sentence, "{}", report.sentence);
        let mut changed = spec;
        match &report.advice[0].change {
            report::Remedy::Lower { steps } => {
                for step in steps {
                    let resources = &mut changed.run_mut().containers[0].resources;
                    match step.resource.as_str() {
                        "cpus" => resources.cpus = step.to,
                        "mem" => resources.mem = step.to,
                        other => panic!("{other}"),
                    }
                }
            }
            report::Remedy::DropConstraint { constraint } => {
                changed.constraints.retain(|c| c != constraint);
            }
            _ => continue,
        }
        let after = explain_spec(&state, &[], &changed, NOW, &Limits::default());
        assert_eq!((after.n_placed, after.n_waiting), (1, 0), "{}", after.sentence);
    }
}

#[test]
fn a_full_plan_goes_on_next_time_and_starves_nobody() {
    let apps = (0..4).map(|n| app(&format!("/a{n}"), 10, 0.1, 16.0, &[])).collect();
    let mut state = state(racks(), apps);
    let limits = Limits { launches_max: 12, ..Limits::default() };
    let mut sizes = Vec::new();
    while !state.index.waiting.is_empty() {
        sizes.push(run(&mut state, &limits).launches.len());
    }
    assert_eq!(sizes, [12, 12, 12, 4]);
}

// ── random worlds ───────────────────────────────────────────────────────────────────────────────

fn any_node() -> impl Strategy<Value = (u32, u32, u8, u8, u8)> {
    // cpus, mem in units, rack (3 = none), pool kind, special kind
    (1u32..8, 1u32..8, 0u8..4, 0u8..4, 0u8..10)
}

fn any_app() -> impl Strategy<Value = (u32, u32, u32, Vec<u8>, u8, u8)> {
    (1u32..7, 1u32..5, 1u32..5, proptest::collection::vec(0u8..14, 0..3), 0u8..5, 0u8..3)
}

const CONSTRAINTS: [&str; 14] = [
    "hostname UNIQUE",
    "rack UNIQUE",
    "rack MAX_PER 2",
    "hostname MAX_PER 2",
    "rack GROUP_BY",
    "rack GROUP_BY 2",
    "rack GROUP_BY 3",
    "hostname GROUP_BY",
    "rack CLUSTER",
    "hostname CLUSTER",
    "rack CLUSTER a",
    "rack LIKE [ab]",
    "rack UNLIKE c",
    "@zone IS z1",
];

fn build(nodes: &[(u32, u32, u8, u8, u8)], apps: &[(u32, u32, u32, Vec<u8>, u8, u8)]) -> State {
    let nodes = nodes.iter().enumerate().map(|(n, &(cpus, mem, rack, pools, special))| {
        let total = match pools {
            0 => pool("web", f64::from(cpus), f64::from(mem) * 64.0),
            1 => {
                let mut both = star(f64::from(cpus), 128.0);
                let mut web = pool("web", 1.0, f64::from(mem) * 64.0);
                web.0.get_mut(&Role::from("web")).unwrap().ports = Ranges::of([(32_000, 32_004)]);
                both.add(&web);
                both
            }
            _ => star(f64::from(cpus), f64::from(mem) * 64.0),
        };
        let attributes: &[(&str, &str)] = match rack {
            0 => &[("rack", "a")],
            1 => &[("rack", "b")],
            2 => &[("rack", "c")],
            _ => &[],
        };
        let mut node = node(n, total, attributes);
        match special {
            0 => node.reach = Reach::Unreachable { since: NOW },
            1 => node.duty = Duty::Draining { since: NOW, until: NOW },
            2 => {
                let domain = FaultDomain { region: "far".into(), zone: "z1".into() };
                node.info.fault_domain = Some(domain);
            }
            3 => {
                for pool in node.info.total.0.values_mut() {
                    pool.scalars.gpus = Milli::whole(1);
                }
            }
            _ => {}
        }
        node
    });
    let apps = apps.iter().enumerate().map(|(n, (instances, cpus, mem, rules, ports, roles))| {
        let rules: Vec<&str> = rules.iter().map(|&c| CONSTRAINTS[usize::from(c)]).collect();
        let cpus = f64::from(*cpus) * 0.5;
        let mut spec = app(&format!("/app{n}"), *instances, cpus, f64::from(*mem) * 32.0, &rules);
        let port = |host_port| Port { host_port, ..Port::default() };
        spec.run_mut().networks[0].mode = NetworkMode::Bridge;
        spec.run_mut().containers[0].ports = match ports {
            0 => vec![port(Some(31_004)), port(Some(0))],
            1 => vec![port(Some(0)), port(Some(0)), port(Some(0))],
            2 => vec![port(None)],
            _ => vec![],
        };
        spec.accepted_roles = match roles {
            0 => Some([Role::from("web")].into()),
            1 => Some([Role::from("web"), Role::star()].into()),
            _ => None,
        };
        spec
    });
    state(nodes.collect(), apps.collect())
}

/// Sends some placed instances back to wait, as failing tasks would be.
fn shake(state: &mut State, every: usize) {
    let placed: Vec<InstanceId> = state
        .instances
        .values()
        .filter(|i| i.placement().is_some())
        .map(|i| i.id.clone())
        .collect();
    for id in placed.into_iter().step_by(every) {
        let mut instance = (*state.instances[&id]).clone();
        instance.life = Life::Scheduled;
        state.instances.insert(id, Arc::new(instance));
    }
    reindex(state);
}

fn check_report(state: &State, report: &Report) {
    let n: u32 = u32::try_from(state.nodes.len()).unwrap();
    let mut processed = n;
    for row in &report.funnel {
        assert_eq!(row.processed, processed, "{report:#?}");
        processed -= row.declined;
    }
    if !report.funnel.is_empty() {
        assert_eq!(processed, report.n_fitting, "{report:#?}");
    }
    for row in &report.constraints {
        assert!(row.n_sole <= row.n_removed && row.n_removed <= n);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Every launch is allowed by the reference at its turn, nothing that the reference would
    /// still allow is left waiting, and reports add up.
    #[test]
    fn agrees_with_the_reference(
        nodes in proptest::collection::vec(any_node(), 1..9),
        apps in proptest::collection::vec(any_app(), 1..5),
        bin_pack in any::<bool>(),
        shakes in proptest::collection::vec(2usize..4, 0..3),
    ) {
        let limits = Limits {
            policy: if bin_pack { Policy::BinPack } else { Policy::Spread },
            home_region: Some("home".into()),
            ..Limits::default()
        };
        let mut state = build(&nodes, &apps);
        let mut planner = Planner::default();
        for every in std::iter::once(0).chain(shakes) {
            if every > 0 {
                shake(&mut state, every);
            }
            let plan = planner.plan(&state, &[], NOW, &limits);
            let afresh = super::plan(&state, &[], NOW, &limits);
            prop_assert_eq!(&plan.launches, &afresh.launches, "a new planner differs");
            for (app, report) in &afresh.reports {
                prop_assert_eq!(plan.reports[app].n_waiting, report.n_waiting);
            }
            for one in &plan.launches {
                let instance = state.instances[&one.instance].clone();
                let spec = state.spec_of(&instance).unwrap().clone();
                let node = state.nodes[&one.node].clone();
                prop_assert!(naive::accepts(&state, &spec, &node, &limits), "{one:?} of {spec:?}");
                launch(&mut state, std::slice::from_ref(one));
            }
            prop_assert_eq!(invariant::check(&state), vec![]);
            for (app, report) in &plan.reports {
                check_report(&state, report);
                if report.n_waiting > 0 {
                    let spec = state.spec(app).unwrap();
                    let left = state.nodes.values().find(|n| naive::accepts(&state, spec, n, &limits));
                    prop_assert!(left.is_none(), "{app} would fit {left:?}: {report:#?}");
                    prop_assert_eq!(report.n_fitting, 0);
                }
            }
        }
    }
}
