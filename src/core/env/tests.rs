//! The environment by examples.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use super::*;
use crate::{
    base::clock::Timestamp,
    model::{
        AppId, NodeId,
        container::{Image, Protocol},
        resource::{Pools, Scalars},
        workload::{Network, WorkloadSpec},
    },
};

fn order(mode: NetworkMode, container: ContainerSpec, host_ports: Vec<Option<u16>>) -> Order {
    let spec = WorkloadSpec {
        run: Arc::new(RunSpec {
            containers: vec![container],
            networks: vec![Network { mode, name: None, labels: BTreeMap::new() }],
            labels: [("a.b-C", "v"), ("x", "y")].map(|(k, v)| (k.into(), v.into())).into(),
            ..RunSpec::default()
        }),
        ..WorkloadSpec::new(AppId::parse("/shop/web"), Timestamp::from_ms(0))
    };
    let placement = Placement {
        node: NodeId::from("c-S0"),
        hostname: "n1".into(),
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        allocation: Pools::default(),
        host_ports,
        launched_at: Timestamp::from_ms(0),
    };
    Order {
        instance: InstanceId::from("shop_web.instance-1"),
        incarnation: 2,
        spec: spec.task(),
        placement,
        kill: None,
        enforce_role: false,
        volumes: Vec::new(),
    }
}

fn port(container_port: Option<u16>, service_port: u16, name: &str) -> Port {
    Port {
        container_port,
        host_port: Some(0),
        service_port,
        protocol: Protocol::Tcp,
        name: (!name.is_empty()).then(|| name.into()),
        ..Port::default()
    }
}

fn env(order: &Order) -> BTreeMap<String, String> {
    let secrets = BTreeMap::new();
    let at = Surroundings {
        framework: "f",
        sandbox: "/sb",
        endpoint: Some("10.0.0.1:5051"),
        container_name: "tepui-x",
        secrets: &secrets,
    };
    of_task(order, &order.spec.run.containers[0], &at).unwrap()
}

#[test]
fn a_plain_command_on_the_host_network() {
    let container = ContainerSpec {
        resources: Scalars::of(0.1, 128.0, 0.0, 0.0),
        ports: vec![port(None, 10_000, "web-ui"), port(None, 10_001, "")],
        ..ContainerSpec::default()
    };
    let env = env(&order(NetworkMode::Host, container, vec![Some(31_000), Some(31_001)]));
    for (name, value) in [
        ("MESOS_TASK_ID", "shop_web.instance-1._app.2"),
        ("MESOS_EXECUTOR_ID", "shop_web.instance-1._app.2"),
        ("MESOS_SANDBOX", "/sb"),
        ("MESOS_AGENT_ENDPOINT", "10.0.0.1:5051"),
        ("MARATHON_APP_ID", "/shop/web"),
        ("MARATHON_APP_VERSION", "1970-01-01T00:00:00.000Z"),
        ("MARATHON_APP_RESOURCE_CPUS", "0.1"),
        ("MARATHON_APP_RESOURCE_MEM", "128.0"),
        ("MARATHON_APP_RESOURCE_GPUS", "0"),
        ("MARATHON_APP_ENFORCE_GROUP_ROLE", "FALSE"),
        ("MARATHON_APP_LABELS", "A_B_C X"),
        ("MARATHON_APP_LABEL_A_B_C", "v"),
        ("HOST", "n1"),
        ("PORT", "31000"),
        ("PORT0", "31000"),
        ("PORT1", "31001"),
        ("PORTS", "31000,31001"),
        ("PORT_10000", "31000"),
        ("PORT_WEB_UI", "31000"),
    ] {
        assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!env.contains_key("MARATHON_APP_DOCKER_IMAGE"));
}

#[test]
fn a_bridged_image_without_a_host_port_gets_its_container_port() {
    let container = ContainerSpec {
        engine: Some(Engine::Docker),
        image: Some(Image {
            name: "redis:7".into(),
            force_pull: false,
            privileged: false,
            parameters: Vec::new(),
            pull_secret: None,
            labels: Default::default(),
        }),
        ports: vec![port(Some(6379), 10_000, ""), port(Some(0), 10_001, "")],
        env: [("PORT0".to_owned(), EnvValue::Text("mine".into()))].into(),
        ..ContainerSpec::default()
    };
    let order = order(NetworkMode::Bridge, container, vec![None, None]);
    let env = env(&order);
    assert_eq!(env["PORT"], "6379");
    assert_eq!(env["PORT0"], "mine", "the user's own variables win");
    assert_eq!(env["MARATHON_APP_DOCKER_IMAGE"], "redis:7");
    assert_eq!(env["MESOS_SANDBOX"], SANDBOX_IN_IMAGE);
    assert!(env["PORT1"].parse::<u16>().unwrap() >= 1025);
    assert!(!env.contains_key("MESOS_DIRECTORY"), "docker tasks get no executor variables");
    assert_eq!(port_of(&order, &order.spec.run.containers[0], 0), Some((None, 6379)));
}

#[test]
fn an_unknown_secret_is_an_error() {
    let container = ContainerSpec {
        env: [("PASS".to_owned(), EnvValue::Secret("db".into()))].into(),
        ..ContainerSpec::default()
    };
    let order = order(NetworkMode::Host, container, vec![]);
    let secrets = BTreeMap::new();
    let at = Surroundings {
        framework: "f",
        sandbox: "/sb",
        endpoint: None,
        container_name: "c",
        secrets: &secrets,
    };
    let error = of_task(&order, &order.spec.run.containers[0], &at).unwrap_err();
    assert_eq!(error.variable, "PASS");
}

#[test]
fn label_keys_at_the_bound_are_skipped() {
    let mut order = order(NetworkMode::Host, ContainerSpec::default(), vec![]);
    let spec = Arc::make_mut(&mut order.spec.run);
    spec.labels = [
        ("k".repeat(492), "v".into()),
        ("k".repeat(493), "v".into()),
        ("long".into(), "v".repeat(512)),
    ]
    .into();
    assert_eq!(env(&order)["MARATHON_APP_LABELS"], "K".repeat(492));
}
