//! Names of a small cluster, record by record.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use expect_test::{Expect, expect};

use super::*;
use crate::{
    base::clock::Timestamp,
    core::{State, apply},
    model::{
        container::{self, ContainerSpec},
        instance::{
            End, Goal, Instance, InstanceId, KillOrder, KillReason, Life, Phase, Placement, Seen,
            Task,
        },
        node::{Duty, Node, NodeId, NodeInfo, NodeKind, Reach},
        path::AppId,
        resource::Pools,
        workload::{RunSpec, WorkloadSpec},
    },
};

const AGENT: &str = "10.0.0.5";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn print(listing: Listing) -> String {
    let mut text = String::new();
    for Record { name, data } in listing.into_records() {
        match data {
            Data::Address(ip) => writeln!(text, "{name} {ip}").unwrap(),
            Data::Service { port, target } => writeln!(text, "{name} {target}:{port}").unwrap(),
        }
    }
    text
}

fn task<'a>() -> NamedTask<'a> {
    NamedTask {
        framework: "marathon",
        name: "web.sub.g",
        is_discovered: true,
        id: "web.sub.g.00000001-1111",
        agent_id: "aaaa-S1",
        agent: ip(AGENT),
        own: &[],
        is_mapped: false,
        host_ports: &[31044],
        ports: &[Port { number: 31044, name: Some("api"), transport: Some(Transport::Tcp) }],
    }
}

fn records_of(tasks: &[NamedTask<'_>], rule: AddressRule) -> Listing {
    let mut listing = Listing::default();
    let mut records = TaskRecords::new(rule, &mut listing);
    for task in tasks {
        records.push(task);
    }
    listing
}

fn check(tasks: &[NamedTask<'_>], rule: AddressRule, want: Expect) {
    want.assert_eq(&print(records_of(tasks, rule)));
}

#[test]
fn a_task_on_the_hosts_network_has_all_its_names() {
    check(
        &[task()],
        AddressRule::Reachable,
        expect![[r#"
            _api._web-sub-g._tcp.marathon.mesos web-sub-g-7psui-s1.marathon.mesos:31044
            _api._web.sub.g._tcp.marathon.mesos web.sub.g-7psui-s1.marathon.mesos:31044
            _web-sub-g._tcp.marathon.mesos web-sub-g-7psui-s1.marathon.mesos:31044
            _web-sub-g._tcp.marathon.slave.mesos web-sub-g-7psui-s1.marathon.slave.mesos:31044
            _web-sub-g._udp.marathon.slave.mesos web-sub-g-7psui-s1.marathon.slave.mesos:31044
            _web.sub.g._tcp.marathon.mesos web.sub.g-7psui-s1.marathon.mesos:31044
            _web.sub.g._tcp.marathon.slave.mesos web.sub.g-7psui-s1.marathon.slave.mesos:31044
            _web.sub.g._udp.marathon.slave.mesos web.sub.g-7psui-s1.marathon.slave.mesos:31044
            web-sub-g-7psui-s1.marathon.mesos 10.0.0.5
            web-sub-g-7psui-s1.marathon.slave.mesos 10.0.0.5
            web-sub-g.marathon.agentip.dcos.thisdcos.directory 10.0.0.5
            web-sub-g.marathon.autoip.dcos.thisdcos.directory 10.0.0.5
            web-sub-g.marathon.containerip.dcos.thisdcos.directory 10.0.0.5
            web-sub-g.marathon.mesos 10.0.0.5
            web-sub-g.marathon.slave.mesos 10.0.0.5
            web.sub.g-7psui-s1.marathon.mesos 10.0.0.5
            web.sub.g-7psui-s1.marathon.slave.mesos 10.0.0.5
            web.sub.g.marathon.mesos 10.0.0.5
            web.sub.g.marathon.slave.mesos 10.0.0.5
        "#]],
    );
}

#[test]
fn a_task_without_discovery_points_at_its_agent() {
    let task = NamedTask {
        name: "nodisc",
        is_discovered: false,
        id: "nodisc.00000002-1111",
        host_ports: &[31050, 31051],
        ports: &[],
        ..task()
    };
    check(
        &[task],
        AddressRule::Reachable,
        expect![[r#"
            _nodisc._tcp.marathon.mesos nodisc-mi1t9-s1.marathon.slave.mesos:31050
            _nodisc._tcp.marathon.mesos nodisc-mi1t9-s1.marathon.slave.mesos:31051
            _nodisc._tcp.marathon.slave.mesos nodisc-mi1t9-s1.marathon.slave.mesos:31050
            _nodisc._tcp.marathon.slave.mesos nodisc-mi1t9-s1.marathon.slave.mesos:31051
            _nodisc._udp.marathon.mesos nodisc-mi1t9-s1.marathon.slave.mesos:31050
            _nodisc._udp.marathon.mesos nodisc-mi1t9-s1.marathon.slave.mesos:31051
            _nodisc._udp.marathon.slave.mesos nodisc-mi1t9-s1.marathon.slave.mesos:31050
            _nodisc._udp.marathon.slave.mesos nodisc-mi1t9-s1.marathon.slave.mesos:31051
            nodisc-mi1t9-s1.marathon.mesos 10.0.0.5
            nodisc-mi1t9-s1.marathon.slave.mesos 10.0.0.5
            nodisc.marathon.agentip.dcos.thisdcos.directory 10.0.0.5
            nodisc.marathon.autoip.dcos.thisdcos.directory 10.0.0.5
            nodisc.marathon.containerip.dcos.thisdcos.directory 10.0.0.5
            nodisc.marathon.mesos 10.0.0.5
            nodisc.marathon.slave.mesos 10.0.0.5
        "#]],
    );
}

#[test]
fn ports_without_protocol_or_number_are_announced_both_ways() {
    let ports = [
        Port { number: 0, name: Some("zero"), transport: None },
        Port { number: 99, name: None, transport: None },
    ];
    let task = NamedTask { name: "np", host_ports: &[], ports: &ports, ..task() };
    let records = records_of(&[task], AddressRule::Reachable).into_records();
    let services: Vec<_> = records
        .iter()
        .filter_map(|r| match &r.data {
            Data::Service { port, .. } => Some((r.name.as_str(), *port)),
            Data::Address(_) => None,
        })
        .collect();
    assert_eq!(
        services,
        [
            ("_np._tcp.marathon.mesos", 0),
            ("_np._tcp.marathon.mesos", 99),
            ("_np._udp.marathon.mesos", 0),
            ("_np._udp.marathon.mesos", 99),
            ("_zero._np._tcp.marathon.mesos", 0),
            ("_zero._np._udp.marathon.mesos", 0),
        ]
    );
}

/// (own addresses, mapped, rule) → addresses of agentip, containerip, autoip, `.mesos`.
#[test]
fn addresses_follow_the_network() {
    let own = [ip("9.0.2.130"), ip("fd01:b::5")];
    let one = &own[..1];
    let (agent, container, both) = ("10.0.0.5", "9.0.2.130", "9.0.2.130 fd01:b::5");
    let (reachable, by_agent) = (AddressRule::Reachable, AddressRule::Agent);
    for (own, is_mapped, rule, want) in [
        (&[][..], false, reachable, [agent, agent, agent, agent]),
        (one, true, reachable, [agent, container, agent, agent]),
        (one, false, reachable, [agent, container, container, container]),
        (&own[..], false, reachable, [agent, both, both, both]),
        (one, false, by_agent, [agent, container, container, agent]),
        (&own[..], false, by_agent, [agent, both, both, "10.0.0.5 fd01:b::5"]),
    ] {
        let task = NamedTask { name: "x", own, is_mapped, ..task() };
        let records = records_of(&[task], rule).into_records();
        let found = [
            "x.marathon.agentip.dcos.thisdcos.directory",
            "x.marathon.containerip.dcos.thisdcos.directory",
            "x.marathon.autoip.dcos.thisdcos.directory",
            "x.marathon.mesos",
        ]
        .map(|name| {
            let of_name = records.iter().filter(|r| r.name == name);
            let mut ips: Vec<IpAddr> = of_name
                .filter_map(|r| match &r.data {
                    Data::Address(ip) => Some(*ip),
                    Data::Service { .. } => None,
                })
                .collect();
            ips.sort();
            ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        });
        assert_eq!(found, want, "{own:?} {is_mapped} {rule:?}");
    }
}

#[test]
fn long_names_stay_within_a_label() {
    let name = "n".repeat(70);
    let task = NamedTask { name: &name, ..task() };
    let records = records_of(&[task], AddressRule::Reachable).into_records();
    for record in &records {
        for label in record.name.split('.') {
            assert!(label.len() <= LABEL_MAX, "{}", record.name);
        }
    }
    let canonical = format!("{}-7psui-s1.marathon.mesos", "n".repeat(63 - 9));
    assert!(records.iter().any(|r| r.name == canonical), "{records:?}");
}

#[test]
fn hashes_are_those_of_the_original() {
    for (text, want) in
        [("test", "iffe9"), ("web.sub.g.00000001-1111", "7psui"), ("nodisc.00000002-1111", "mi1t9")]
    {
        assert_eq!(std::str::from_utf8(&hash5(text)).unwrap(), want);
    }
}

#[test]
fn the_cluster_has_its_own_names() {
    let cluster = Realm {
        masters: vec![ip("10.0.0.1"), ip("10.0.0.2"), ip("10.0.0.3")],
        leader: Some(ip("10.0.0.2")),
        agents: vec![ip(AGENT)],
        frameworks: vec![tasks::marathon(ip("10.0.0.2"), 8080)],
        this_node: Some(ip("10.0.0.1")),
        this_node_public: None,
        name_servers: vec![ip("10.0.0.1")],
        master_port: 5050,
        agent_port: 5051,
        ..Realm::default()
    };
    let mut listing = Listing::default();
    cluster_records(&cluster, &mut listing);
    expect![[r#"
        _framework._tcp.marathon.mesos marathon.mesos:8080
        _leader._tcp.mesos leader.mesos:5050
        _leader._udp.mesos leader.mesos:5050
        _marathon._tcp.marathon.mesos marathon.mesos:8080
        _slave._tcp.mesos slave.mesos:5051
        leader.dcos.thisdcos.directory 10.0.0.2
        leader.mesos 10.0.0.2
        localhost 127.0.0.1
        marathon.mesos 10.0.0.2
        master.dcos.thisdcos.directory 10.0.0.1
        master.dcos.thisdcos.directory 10.0.0.2
        master.dcos.thisdcos.directory 10.0.0.3
        master.mesos 10.0.0.1
        master.mesos 10.0.0.2
        master.mesos 10.0.0.3
        master0.mesos 10.0.0.1
        master1.mesos 10.0.0.2
        master2.mesos 10.0.0.3
        ns.spartan 198.51.100.1
        ns1.mesos 10.0.0.1
        ready.spartan 127.0.0.1
        slave.mesos 10.0.0.5
        thisnode.thisdcos.directory 10.0.0.1
        zk-1.zk 10.0.0.1
        zk-2.zk 10.0.0.2
        zk-3.zk 10.0.0.3
        zk-4.zk 10.0.0.1
        zk-5.zk 10.0.0.2
    "#]]
    .assert_eq(&print(listing));
}

fn node(id: &str, address: &str) -> Node {
    let info = NodeInfo {
        id: NodeId::new(id),
        hostname: address.to_owned(),
        address: ip(address),
        kind: NodeKind::Agent,
        attributes: BTreeMap::new(),
        fault_domain: None,
        total: Pools::default(),
        version: String::new(),
        level: crate::base::level::LEVEL,
    };
    let at = Timestamp::EPOCH;
    let (reach, duty) = (Reach::Reachable, Duty::Active);
    Node { info, reach, duty, registered_at: at, reregistered_at: None }
}

fn spec(app: &AppId) -> WorkloadSpec {
    let port = container::Port {
        container_port: Some(80),
        host_port: Some(0),
        name: Some("http".to_owned()),
        ..container::Port::default()
    };
    WorkloadSpec {
        run: Arc::new(RunSpec {
            containers: vec![ContainerSpec { ports: vec![port], ..ContainerSpec::default() }],
            ..RunSpec::default()
        }),
        ..WorkloadSpec::new(app.clone(), Timestamp::EPOCH)
    }
}

/// One app on one node; `change` spoils the running instance or its node.
fn state(change: impl FnOnce(&mut Instance, &mut Node)) -> State {
    let app = AppId::parse("/g/web");
    let mut node = node("c-S7", AGENT);
    let id = InstanceId::new("g_web.instance-1");
    let mut instance =
        Instance::scheduled(id.clone(), app.clone(), Timestamp::EPOCH, Timestamp::EPOCH);
    instance.incarnation = 1;
    let place = Placement {
        node: node.id().clone(),
        hostname: AGENT.to_owned(),
        address: ip(AGENT),
        allocation: Pools::default(),
        host_ports: vec![Some(31007)],
        launched_at: Timestamp::EPOCH,
    };
    let seen = Seen { addresses: vec![ip("172.17.0.2")], ..Seen::default() };
    instance.life = Life::Placed(Phase::Running, Box::new(Task { place, kill: None, seen }));
    change(&mut instance, &mut node);
    let mut state = State::default();
    state.nodes.insert(node.id().clone(), Arc::new(node));
    state.specs.insert((app.clone(), Timestamp::EPOCH), Arc::new(spec(&app)));
    state.instances.insert(id, Arc::new(instance));
    apply::reindex(&mut state);
    state
}

fn names_of(state: &State) -> String {
    let mut listing = Listing::default();
    tasks::records(state, &Realm::default(), &mut listing);
    print(listing)
}

#[test]
fn a_running_instance_is_named_by_its_app() {
    let names = names_of(&state(|_, _| {}));
    for want in [
        "web-g.marathon.mesos 10.0.0.5\n",
        "web.g.marathon.mesos 10.0.0.5\n",
        "web-g.marathon.autoip.dcos.thisdcos.directory 10.0.0.5\n",
        "web-g.marathon.containerip.dcos.thisdcos.directory 172.17.0.2\n",
        "slave.mesos 10.0.0.5\n",
        "-s7.marathon.mesos:31007\n",
    ] {
        assert!(names.contains(want), "{want} is missing in\n{names}");
    }
    assert!(names.contains("_http._web-g._tcp.marathon.mesos "), "{names}");
}

#[test]
fn only_running_instances_that_nobody_wants_gone_are_named() {
    let order = || KillOrder { at: Timestamp::EPOCH, reason: KillReason::Request };
    for (why, state) in [
        ("starting", state(|i, _| i.set_phase(Phase::Starting))),
        ("killing", state(|i, _| i.set_phase(Phase::Killing))),
        ("to be killed", state(|i, _| i.task_mut().unwrap().kill = Some(order()))),
        ("to be forgotten", state(|i, _| i.goal = Goal::Decommissioned)),
        (
            "ended",
            state(|i, _| i.life = Life::Ended(End::Failed, Box::new(i.task().unwrap().clone()))),
        ),
        ("on a lost node", state(|_, n| n.reach = Reach::Unreachable { since: Timestamp::EPOCH })),
    ] {
        assert!(!names_of(&state).contains("web"), "{why}");
    }
}
