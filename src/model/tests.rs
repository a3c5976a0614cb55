//! The words of the domain: what each condition means, what a definition asks for, when it is another.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    access::{Role, User},
    condition::{Condition, End, Phase},
    container::{
        Command, ContainerSpec, HealthCheck, Port, Probe, ProbePort, Protocol, ReadinessCheck,
        SIDECAR,
    },
    credential::{Certificate, Revoked, Why},
    deployment::{Action, ActionKind, Deployment, Step},
    instance::{CheckStatus, Goal, Instance, Life, Placement, Seen},
    link::Greeting,
    node::{Attribute, Duty, FaultDomain, Node, NodeInfo, NodeKind, Reach},
    owner::{Again, Owner},
    path::PathId,
    resource::{Pools, Ranges, Resources, Scalars, Value},
    workload::{
        Constraint, KillSelection, Kind, Network, NetworkMode, Operator, RunSpec,
        UnreachableStrategy, WorkloadSpec,
    },
};
use crate::base::{clock::Timestamp, units::Milli};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

#[test]
fn a_condition_is_a_phase_or_an_end_or_the_wait_for_a_place() {
    for condition in Condition::ALL {
        let (phase, end) = (condition.phase(), condition.end());
        let is_waiting = condition == Condition::Scheduled;
        let n = usize::from(phase.is_some()) + usize::from(end.is_some()) + usize::from(is_waiting);
        assert_eq!(n, 1, "{condition:?}");
        assert_eq!(phase.map_or(condition, Condition::from), condition);
        assert_eq!(end.map_or(condition, Condition::from), condition);
        assert_eq!(condition.is_terminal(), end.is_some());
        assert!(!(condition.is_terminal() && condition.is_active()));
    }
    let all: BTreeSet<Condition> = Condition::ALL.into();
    assert_eq!(all.len(), Condition::ALL.len());
    let names: BTreeSet<&str> = Condition::ALL.iter().map(|c| c.name()).collect();
    assert_eq!(names.len(), Condition::ALL.len());
}

#[test]
fn clients_are_told_of_conditions_in_the_states_they_know() {
    for (condition, state, is_active, is_lost) in [
        (Condition::Scheduled, "TASK_STAGING", false, false),
        (Condition::Provisioned, "TASK_STAGING", true, false),
        (Condition::Running, "TASK_RUNNING", true, false),
        (Condition::Killing, "TASK_KILLING", true, false),
        (Condition::Unreachable, "TASK_UNREACHABLE", true, true),
        (Condition::UnreachableInactive, "TASK_UNREACHABLE", false, true),
        (Condition::Gone, "TASK_GONE", false, false),
    ] {
        let got = (condition.task_state(), condition.is_active(), condition.is_lost());
        assert_eq!(got, (state, is_active, is_lost), "{condition:?}");
    }
}

#[test]
fn ends_nobody_asked_for_delay_the_next_launch() {
    let failures = [End::Finished, End::Failed, End::Error, End::Dropped, End::Gone];
    assert!(failures.into_iter().all(End::is_failure));
    assert!(![End::Killed, End::Unknown].into_iter().any(End::is_failure));
}

#[test]
fn an_owner_decides_what_an_end_means() {
    let app = Owner::from(PathId::parse("/a"));
    let run = Owner::Run { job: PathId::parse("/j"), run: "1".to_owned() };
    let task = Owner::Framework { framework: "f".into(), task: "t".to_owned() };
    let system = Owner::System("dns".to_owned());
    assert_eq!(app.app(), Some(&PathId::parse("/a")));
    for (owner, again) in [
        (&app, Again::Always),
        (&system, Again::Always),
        (&run, Again::UntilFinished),
        (&task, Again::Never),
    ] {
        assert_eq!(owner.again(), again, "{owner:?}");
    }
    assert!([run, task, system].iter().all(|owner| owner.app().is_none()));
}

fn instance() -> Instance {
    Instance::scheduled("a.instance-1".into(), PathId::parse("/a"), at(1), at(1))
}

fn placement() -> Placement {
    Placement {
        node: "n".into(),
        hostname: "h".to_owned(),
        address: "10.0.0.1".parse().unwrap(),
        allocation: Pools::default(),
        host_ports: Vec::new(),
        launched_at: at(2),
    }
}

#[test]
fn an_instance_without_a_place_has_nothing_to_tell() {
    let mut instance = instance();
    assert!(instance.waits_for_place());
    assert_eq!((instance.placement(), instance.seen(), instance.kill()), (None, None, None));
    assert_eq!((instance.healthy(1), instance.ready(), instance.check()), (None, false, None));
    assert!(instance.addresses().is_empty() && instance.health().is_empty());
    instance.set_phase(Phase::Running);
    assert_eq!(instance.condition(), Condition::Scheduled, "a phase is one of a task");
    instance.goal = Goal::Stopped;
    assert!(!instance.waits_for_place());
}

#[test]
fn task_ids_count_lives_from_one() {
    let mut instance = instance();
    assert_eq!(instance.task_id(""), "a.instance-1._app.1", "also before the first launch");
    instance.incarnation = 1;
    assert_eq!(instance.task_id("web"), "a.instance-1.web.1");
    instance.incarnation = 2;
    assert_eq!(instance.task_id(""), "a.instance-1._app.2");
}

#[test]
fn health_is_known_when_every_check_has_spoken_or_one_has_failed() {
    let mut instance = instance();
    instance.life = Life::placed(Phase::Running, placement());
    let mut healthy = |alive: &[bool], n_checks: usize| {
        let status = |(index, alive): (u32, &bool)| CheckStatus {
            index,
            alive: *alive,
            ..CheckStatus::default()
        };
        let health = (0..).zip(alive).map(status).collect();
        instance.task_mut().unwrap().seen = Seen { health, ..Seen::default() };
        instance.healthy(n_checks)
    };
    for (alive, n_checks, wanted) in [
        (&[][..], 0, None),
        (&[], 1, None),
        (&[true], 1, Some(true)),
        (&[true], 2, None),
        (&[false], 2, Some(false)),
        (&[true, false], 2, Some(false)),
        (&[true, true], 2, Some(true)),
        // Checks that the definition has no more say nothing.
        (&[true], 0, None),
    ] {
        assert_eq!(healthy(alive, n_checks), wanted, "{alive:?} of {n_checks}");
    }
}

#[test]
fn an_ended_task_is_still_known_by_its_instance() {
    let mut instance = instance();
    instance.life = Life::placed(Phase::Running, placement());
    let Life::Placed(_, task) = instance.life.clone() else { panic!("placed") };
    instance.life = Life::Ended(End::Failed, task);
    instance.set_phase(Phase::Running);
    assert_eq!(instance.condition(), Condition::Failed, "nothing leads back");
    assert_eq!(instance.placement().map(|p| p.hostname.as_str()), Some("h"));
}

fn spec() -> WorkloadSpec {
    let mut spec = WorkloadSpec::new(PathId::parse("/a"), at(1));
    spec.run_mut().containers.push(ContainerSpec {
        resources: Scalars::of(1.0, 64.0, 0.0, 0.0),
        ..ContainerSpec::default()
    });
    spec
}

#[test]
fn what_replaces_instances_is_everything_but_their_number() {
    type Change = fn(&mut WorkloadSpec);
    let differs = |change: Change| {
        let mut new = spec();
        change(&mut new);
        (spec().config_differs(&new), new.config_differs(&spec()))
    };
    let kept: [Change; 5] = [
        |s| s.instances = 7,
        |s| s.version = at(9),
        |s| s.last_scaling_at = at(9),
        |s| s.last_config_change_at = at(9),
        |s| s.run_mut().executor_resources = Some(Scalars::of(1.0, 1.0, 1.0, 0.0)),
    ];
    for (n, change) in kept.into_iter().enumerate() {
        assert_eq!(differs(change), (false, false), "kept {n}");
    }
    let changed: [Change; 14] = [
        |s| s.require_ports = true,
        |s| s.accepted_roles = Some([Role::star()].into()),
        |s| {
            s.constraints.push(Constraint {
                field: "f".into(),
                operator: Operator::Unique,
                value: None,
            })
        },
        |s| s.dependencies.extend([PathId::parse("/b")]),
        |s| s.backoff.factor = 2.0,
        |s| s.upgrade.maximum_over_capacity = 0.5,
        |s| s.unreachable = UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 },
        |s| s.kill_selection = KillSelection::OldestFirst,
        |s| s.run_mut().role = Role::public(),
        |s| drop(s.run_mut().labels.insert("a".into(), "b".into())),
        |s| s.run_mut().executor = "//cmd".into(),
        |s| s.run_mut().containers[0].resources.cpus = Milli::from_f64(2.0),
        |s| s.run_mut().containers[0].ports.push(Port::default()),
        |s| {
            s.run_mut().networks.push(Network {
                mode: NetworkMode::Host,
                name: None,
                labels: BTreeMap::new(),
            })
        },
    ];
    for (n, change) in changed.into_iter().enumerate() {
        assert_eq!(differs(change), (true, true), "changed {n}");
    }
}

#[test]
fn an_executor_of_its_own_is_paid_for() {
    let own = Scalars::of(0.5, 32.0, 10.0, 0.0);
    let demand = |kind: Kind, executor: &str| {
        let mut spec = spec();
        let run = spec.run_mut();
        run.containers.push(run.containers[0].clone());
        run.kind = kind;
        run.executor = executor.to_owned();
        run.executor_resources = Some(own);
        run.demand()
    };
    let two = Scalars::of(2.0, 128.0, 0.0, 0.0);
    assert_eq!(demand(Kind::App, ""), two);
    assert_eq!(demand(Kind::App, "//cmd"), two);
    assert_eq!(demand(Kind::App, "/opt/run"), two + own);
    assert_eq!(demand(Kind::Pod, ""), two + own);
}

#[test]
fn a_definition_says_what_its_tasks_have() {
    let mut run = RunSpec::default();
    assert_eq!(run.network_mode(), NetworkMode::Host, "without a network");
    assert!(!run.has_health_checks() && !run.has_readiness_checks() && !run.is_resident());
    let probe = Probe::Tcp { port: ProbePort::Index(0), ipv6: false };
    let check = HealthCheck {
        probe,
        agent_semantics: false,
        grace_ms: 0,
        interval_ms: 0,
        timeout_ms: 0,
        failures_max: 0,
        delay_ms: 0,
    };
    let ready = ReadinessCheck {
        name: "r".into(),
        tls: false,
        path: "/".into(),
        port_name: "p".into(),
        interval_ms: 0,
        timeout_ms: 0,
        ready_codes: [200].into(),
        keep_last_response: false,
    };
    let bare = ContainerSpec::default();
    let full = ContainerSpec { health_checks: vec![check], readiness: vec![ready], ..bare.clone() };
    run.containers = vec![bare, full];
    assert!(run.has_health_checks() && run.has_readiness_checks(), "in any container");
}

#[test]
fn a_service_has_a_name_when_its_labels_are_whole() {
    let name = |labels: &[(&str, &str)]| {
        let mut spec = spec();
        let labels = labels.iter().map(|(k, v)| (format!("DCOS_SERVICE_{k}"), (*v).to_owned()));
        spec.run_mut().labels = labels.collect();
        spec.service_name().map(str::to_owned)
    };
    let of = |text: &str| name(&[("NAME", text), ("SCHEME", "http"), ("PORT_INDEX", "0")]);
    assert_eq!(of("web").as_deref(), Some("web"));
    assert_eq!(of(" /n1/web/ ").as_deref(), Some("n1/web"));
    assert_eq!(of("/"), None);
    assert_eq!(of(" "), None);
    assert_eq!(name(&[("NAME", "web"), ("SCHEME", "http")]), None);
    assert_eq!(name(&[("SCHEME", "http"), ("PORT_INDEX", "0")]), None);
}

#[test]
fn constraint_operators_read_as_they_are_written() {
    for (text, wanted) in [
        ("UNIQUE", Some(Operator::Unique)),
        ("group_by", Some(Operator::GroupBy)),
        ("Max_Per", Some(Operator::MaxPer)),
        ("MAXPER", None),
        ("", None),
    ] {
        assert_eq!(Operator::parse(text), wanted, "{text}");
    }
}

#[test]
fn protocols_are_one_or_both() {
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Both] {
        assert_eq!(protocol.each().join(","), protocol.as_str());
    }
}

fn node(kind: NodeKind) -> Node {
    let info = NodeInfo {
        id: "n".into(),
        hostname: "h".to_owned(),
        address: "10.0.0.1".parse().unwrap(),
        kind,
        attributes: BTreeMap::from([
            ("rack".to_owned(), Attribute::Text("r1".to_owned())),
            ("weight".to_owned(), Attribute::Scalar(Milli::from_f64(1.50))),
            ("whole".to_owned(), Attribute::Scalar(Milli::whole(2))),
            ("slots".to_owned(), Attribute::Ranges(Ranges::of([(5, 6), (1, 3)]))),
            ("tags".to_owned(), Attribute::Set(vec!["b".to_owned(), "a".to_owned()])),
        ]),
        fault_domain: None,
        total: Pools::default(),
        version: String::new(),
        level: 1,
    };
    let (reach, duty) = (Reach::Reachable, Duty::Active);
    Node { info, reach, duty, registered_at: at(0), reregistered_at: None }
}

#[test]
fn constraints_compare_attributes_as_text() {
    let mut node = node(NodeKind::Agent);
    let (region, zone) = ("eu".to_owned(), "eu-1".to_owned());
    assert_eq!(node.field("@region"), None);
    node.info.fault_domain = Some(FaultDomain { region, zone });
    for (field, wanted) in [
        ("hostname", Some("h")),
        ("@hostname", Some("h")),
        ("@region", Some("eu")),
        ("@zone", Some("eu-1")),
        ("rack", Some("r1")),
        ("weight", Some("1.5")),
        ("whole", Some("2")),
        ("slots", Some("[1-3,5-6]")),
        ("tags", Some("{a,b}")),
        ("Rack", None),
        ("", None),
    ] {
        assert_eq!(node.field(field).as_deref(), wanted, "{field}");
    }
}

#[test]
fn a_node_takes_work_when_it_is_heard_and_on_duty() {
    let since = at(1);
    for (reach, duty, takes) in [
        (Reach::Reachable, Duty::Active, true),
        (Reach::Unreachable { since }, Duty::Active, false),
        (Reach::Reachable, Duty::Draining { since, until: at(9) }, false),
        (Reach::Reachable, Duty::Drained { since }, false),
        (Reach::Reachable, Duty::Deactivated { since }, false),
    ] {
        let node = Node { reach, duty, ..node(NodeKind::Agent) };
        assert_eq!(node.takes_work(), takes, "{reach:?} {duty:?}");
    }
    let open = |kind: NodeKind, role: &Role| node(kind).info.open_to(role);
    assert_eq!(open(NodeKind::Both, &Role::star()), Some(Role::public()));
    assert_eq!(open(NodeKind::Both, &Role::from("web")), None);
    assert_eq!(open(NodeKind::Agent, &Role::star()), None);
}

#[test]
fn two_releases_that_cannot_talk_say_who_is_to_be_upgraded() {
    let speaks = |oldest: u32, newest: u32, release: &str| Greeting {
        oldest,
        newest,
        release: release.to_owned(),
    };
    let ours = speaks(3, 5, "1.5");
    for theirs in [speaks(3, 5, "x"), speaks(5, 9, "x"), speaks(1, 3, "x")] {
        assert_eq!(ours.problem(&theirs), None, "{theirs:?}");
        assert_eq!(theirs.problem(&ours), None, "{theirs:?}");
    }
    let (old, new) = (speaks(1, 2, "1.0"), speaks(6, 7, "2.0"));
    for (mine, theirs, wanted) in [
        (&ours, &old, "upgrade the other side, tepui 1.0 is too old"),
        (&old, &ours, "upgrade this one, tepui 1.0 is too old"),
        (&ours, &new, "upgrade this one, tepui 1.5 is too old"),
        (&new, &ours, "upgrade the other side, tepui 1.5 is too old"),
    ] {
        let problem = mine.problem(theirs).unwrap();
        assert!(problem.ends_with(wanted), "{problem}");
    }
    assert_eq!(Greeting::ours().problem(&Greeting::ours()), None);
}

#[test]
fn a_certificate_that_was_taken_back_says_what_to_do() {
    let certificate = |revoked: Option<Revoked>| Certificate {
        node: "n1".into(),
        serial: "0a".into(),
        issued_at: at(0),
        expires_at: at(9),
        revoked,
    };
    assert_eq!(certificate(None).problem(), None);
    let taken = |why: Why| certificate(Some(Revoked { at: at(7), why })).problem().unwrap();
    assert!(taken(Why::Removed).contains("join again with a new token"));
    assert!(taken(Why::Renewed).contains("replaced by a newer one at 1970-01-01T00:00:00.007Z"));
}

#[test]
fn who_has_neither_password_nor_key_cannot_sign_in() {
    let user = |password: Option<&str>, key: Option<&str>| User {
        uid: "u".to_owned(),
        description: String::new(),
        password_hash: password.map(str::to_owned),
        public_key: key.map(str::to_owned),
        provider_type: "internal".to_owned(),
        provider_id: String::new(),
        is_remote: false,
        superuser: true,
        generation: 0,
    };
    assert!(user(Some("h"), None).can_sign_in() && user(None, Some("k")).can_sign_in());
    assert!(!user(None, None).can_sign_in());
}

#[test]
fn a_deployment_has_a_step_between_its_first_and_its_last() {
    let step = |app: &str| Step {
        actions: vec![Action { kind: ActionKind::Scale, app: PathId::parse(app) }],
    };
    let mut deployment = Deployment {
        id: "d".into(),
        version: at(1),
        started_at: at(1),
        steps: vec![step("/a"), step("/b")],
        current_step: 0,
        changes: BTreeMap::new(),
        victims: BTreeSet::new(),
    };
    let mut app = |n: u32| {
        deployment.current_step = n;
        deployment.step().map(|step| step.actions[0].app.to_string())
    };
    assert_eq!(
        [app(0), app(1), app(2), app(3)],
        [None, Some("/a".into()), Some("/b".into()), None]
    );
}

proptest! {
    /// Whatever somebody types, what comes out is one path, and a way back to it.
    #[test]
    fn paths_are_canonical_and_stay_so(text in "[a-c./]{0,12}", base in "(/[a-c]{1,2}){0,3}") {
        let base = PathId::parse(&base);
        let path = PathId::parse_below(&text, &base);
        prop_assert_eq!(&PathId::parse(path.as_str()), &path);
        prop_assert!(path.segments().all(|s| !s.is_empty() && s != "." && s != ".."));
        prop_assert!(path.is_root() == (path.segments().count() == 0));
        if !path.is_root() {
            prop_assert_eq!(&PathId::parse_below(path.name(), &path.parent()), &path);
            prop_assert!(path.is_below(&path.parent()));
        }
        prop_assert_eq!(path.ancestors().count(), path.segments().count());
        prop_assert!(path.ancestors().all(|above| path.is_below(&above)));
        prop_assert!(!path.is_below(&path));
    }

    /// What was added can be taken away again, and is contained until then.
    #[test]
    fn pools_are_a_ledger(all in proptest::collection::vec(any_pools(), 1..6)) {
        let mut sum = Pools::default();
        // Ports and names cannot be held twice: each gets its own.
        let all: Vec<Pools> = (0..).zip(all).map(|(n, pools)| apart(pools, n)).collect();
        for pools in &all {
            sum.add(pools);
        }
        let scalars = all.iter().fold(Scalars::default(), |sum, pools| sum + pools.scalars());
        prop_assert_eq!(sum.scalars(), scalars);
        for pools in &all {
            prop_assert!(sum.contains(pools));
            sum.sub(pools);
        }
        prop_assert_eq!(sum, Pools::default());
    }
}

fn any_pools() -> impl Strategy<Value = Pools> {
    let resources = (0i64..5000, 0i64..5000, 0u64..9, 0i64..3).prop_map(|(cpus, mem, n, named)| {
        let scalars =
            Scalars { cpus: Milli::new(cpus), mem: Milli::new(mem), ..Scalars::default() };
        let ports = Ranges::of((n > 0).then_some((0, n)));
        let named = (named > 0).then(|| ("fpga".into(), Value::Scalar(Milli::new(named))));
        Resources { scalars, ports, named: named.into_iter().collect() }
    });
    proptest::collection::btree_map("[ab*]", resources, 0..3)
        .prop_map(|pools| Pools(pools.into_iter().map(|(role, r)| (Role::from(role), r)).collect()))
}

/// The same pools, with ports that no other number has.
fn apart(mut pools: Pools, n: u64) -> Pools {
    for (role, resources) in (0..).zip(pools.0.values_mut()) {
        let from = n * 1_000 + role * 100;
        resources.ports = Ranges::of(resources.ports.iter().map(|(a, b)| (from + a, from + b)));
    }
    pools
}

fn check() -> HealthCheck {
    HealthCheck {
        probe: Probe::Command(Command::Shell("true".to_owned())),
        agent_semantics: true,
        grace_ms: 0,
        interval_ms: 1,
        timeout_ms: 1,
        failures_max: 1,
        delay_ms: 0,
    }
}

#[test]
fn sidecars_start_first_and_checks_are_counted_over_all_containers() {
    let container = |name: &str, sidecar: &str, n_checks: usize| ContainerSpec {
        name: name.to_owned(),
        labels: BTreeMap::from([(SIDECAR.to_owned(), sidecar.to_owned())]),
        health_checks: vec![check(); n_checks],
        ..ContainerSpec::default()
    };
    let containers =
        vec![container("a", "false", 1), container("b", "true", 0), container("c", "", 2)];
    let run = RunSpec { containers, ..RunSpec::default() };
    let names: Vec<&str> = run.starts().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["b", "a", "c"]);
    assert_eq!(run.main(), "a");
    let owners: Vec<_> = (0..4).map(|i| run.checked_by(i).map(|c| c.name.as_str())).collect();
    assert_eq!(owners, [Some("a"), Some("c"), Some("c"), None]);
}
