//! A task as its ports, its states and its containers show it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::{
    compat::mesos::tests::{only, parsed, running},
    core::{
        TaskCommand,
        apply::tests::world::{World, app, checked},
        command::Launch,
    },
    model::{
        NodeId, Pools, Scalars,
        container::{Image, Protocol},
        instance::Condition,
    },
};

fn task_of(w: &World) -> Value {
    parsed(|j| Tasks::new(&w.state, "c-0001").write(j, only(w)))
}

fn on(mode: NetworkMode, ports: Vec<Port>) -> WorkloadSpec {
    let mut spec = app("/grp/app", 1);
    let run = spec.run_mut();
    run.networks[0].mode = mode;
    if mode == NetworkMode::Container {
        run.networks[0].name = Some("dcos".to_owned());
    }
    run.containers[0].ports = ports;
    spec
}

#[test]
fn a_task_tells_where_its_ports_are() {
    let port = |inside: Option<u16>, protocol: Protocol| Port {
        container_port: inside,
        host_port: Some(0),
        protocol,
        name: Some("web".to_owned()),
        labels: BTreeMap::from([("VIP_0".to_owned(), "/a:80".to_owned())]),
        ..Port::default()
    };
    let labels = |scope: &str| {
        json!({"labels": [
            {"key": "VIP_0", "value": "/a:80"}, {"key": "network-scope", "value": scope}]})
    };
    let found = |number: u16, protocol: &str, scope: &str| json!({"number": number, "name": "web", "protocol": protocol, "labels": labels(scope)});
    let w = running(on(NetworkMode::Host, vec![port(None, Protocol::Tcp)]));
    let task = task_of(&w);
    assert_eq!(task["name"], "app.grp");
    assert_eq!(task["resources"]["ports"], "[31000-31000]");
    assert_eq!(task["discovery"]["ports"]["ports"], json!([found(31_000, "tcp", "host")]));
    let info = &task["statuses"][0]["container_status"]["network_infos"][0];
    assert_eq!(info.get("port_mappings"), None, "nothing is mapped on the node's own network");
    assert_eq!(info["ip_addresses"], json!([{"protocol": "IPv4", "ip_address": "127.0.0.1"}]));

    let both = vec![port(Some(80), Protocol::Both), port(Some(0), Protocol::Tcp)];
    let task = task_of(&running(on(NetworkMode::Bridge, both)));
    let mapped = |inside: u16, held: u16, protocol: &str| json!({"host_port": held, "container_port": inside, "protocol": protocol});
    let info = &task["statuses"][0]["container_status"]["network_infos"][0];
    assert_eq!(
        info["port_mappings"],
        json!([
            mapped(80, 31_000, "udp"),
            mapped(80, 31_000, "tcp"),
            mapped(31_001, 31_001, "tcp")
        ])
    );
    assert_eq!(
        task["discovery"]["ports"]["ports"],
        json!([
            found(31_000, "udp", "host"),
            found(31_000, "tcp", "host"),
            found(31_001, "tcp", "host")
        ]),
        "a port for both protocols is listed twice"
    );
}

#[test]
fn a_port_that_is_not_on_the_node_is_told_as_the_containers_own() {
    let own = Port { container_port: Some(80), host_port: None, ..Port::default() };
    let mut w = World::new(1);
    w.put(on(NetworkMode::Container, vec![own]));
    while w.state.instances.is_empty() {
        w.reconcile();
    }
    let launch = Launch {
        instance: only(&w).id.clone(),
        node: NodeId::from("n0"),
        allocation: Pools::of(
            Role::star(),
            Resources { scalars: Scalars::of(0.1, 32.0, 0.0, 0.0), ..Resources::default() },
        ),
        host_ports: vec![None],
    };
    w.ok(TaskCommand::Launch(vec![launch]));
    let task = task_of(&w);
    let port = &task["discovery"]["ports"]["ports"][0];
    assert_eq!((&port["number"], port.get("name")), (&json!(80), None));
    assert_eq!(port["labels"]["labels"], json!([{"key": "network-scope", "value": "container"}]));
    assert_eq!(task["resources"].get("ports"), None);
    assert_eq!(task["statuses"][0]["container_status"]["network_infos"][0]["name"], "dcos");
}

#[test]
fn statuses_are_those_it_went_through_oldest_first() {
    let mut w = World::new(1);
    w.put(checked(app("/a", 1)));
    while w.state.instances.is_empty() {
        w.reconcile();
    }
    let words = |w: &World| {
        let task = task_of(w);
        let statuses = task["statuses"].as_array().unwrap().clone();
        let times: Vec<f64> = statuses.iter().map(|s| s["timestamp"].as_f64().unwrap()).collect();
        assert!(times.is_sorted(), "{times:?}");
        let word = |status: &Value| {
            let word = status["state"].as_str().unwrap().trim_start_matches("TASK_").to_owned();
            status.get("healthy").map_or(word.clone(), |healthy| format!("{word}:{healthy}"))
        };
        statuses.iter().map(word).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(text(|j| Tasks::new(&w.state, "f").write(j, only(&w))), b"", "it is no task yet");
    w.launch_all();
    let id = only(&w).id.clone();
    assert_eq!(words(&w), "STAGING");
    w.report(&id, Condition::Starting);
    assert_eq!(words(&w), "STAGING STARTING");
    w.report_with(&id, Condition::Running, None);
    assert_eq!(words(&w), "STARTING RUNNING");
    w.report_with(&id, Condition::Running, Some(false));
    assert_eq!(words(&w), "STARTING RUNNING:false");
    w.report_with(&id, Condition::Killing, Some(true));
    assert!(words(&w).ends_with("KILLING"), "{}", words(&w));
}

#[test]
fn a_container_has_one_id_for_its_life_and_another_in_its_next() {
    let uuid = "11111111-2222-4333-8444-555555555555";
    let id = |incarnation: u32, container: &str| {
        let name = if container.is_empty() { "_app" } else { container };
        let instance = format!("a.instance-{uuid}");
        let task = format!("{instance}.{name}.{incarnation}");
        container_id_of(&instance, incarnation, container, &task)
    };
    assert_eq!(id(1, ""), uuid, "as real ones begin");
    assert_eq!(id(0, ""), uuid);
    let others = [id(2, ""), id(3, ""), id(1, "one"), id(1, "two"), id(2, "one")];
    let apart: BTreeSet<&String> = others.iter().collect();
    assert_eq!(apart.len(), others.len());
    for other in &others {
        assert!(uuid::Uuid::parse_str(other).is_ok() && other != uuid, "{other}");
    }
    assert_eq!(id(2, ""), others[0], "the same in every answer");
}

#[test]
fn task_ids_are_taken_apart() {
    for (text, wanted) in [
        ("a.instance-1._app.1", Some(("a.instance-1", 1))),
        ("a.b.instance-1._app.12", Some(("a.b.instance-1", 12))),
        ("p.instance-1.web.1", None),
        ("a.instance-1._app.x", None),
        ("a.instance-1._app", None),
        ("._app.1", Some(("", 1))),
        ("", None),
    ] {
        assert_eq!(of_app(text), wanted, "{text}");
    }
}

#[test]
fn pods_are_executors_with_a_task_for_each_container() {
    let mut pod = app("/g/pod", 1);
    let run = pod.run_mut();
    run.kind = Kind::Pod;
    run.containers[0].name = "one".to_owned();
    run.containers[0].engine = Some(Engine::Mesos);
    run.containers[0].image = Some(Image {
        name: "nginx".to_owned(),
        force_pull: false,
        privileged: false,
        parameters: Vec::new(),
        pull_secret: None,
        labels: Default::default(),
    });
    let mut two = run.containers[0].clone();
    two.name = "two".to_owned();
    run.containers.push(two);
    let w = running(pod);
    let instance = only(&w).id.to_string();
    let tasks = parsed(|j| j.list(|j| Tasks::new(&w.state, "f").write(j, only(&w))));
    let tasks = tasks.as_array().unwrap();
    let ids: Vec<String> = tasks.iter().map(|t| t["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, [format!("{instance}.one.1"), format!("{instance}.two.1")]);
    for (task, (name, port)) in tasks.iter().zip([("one", 31_000), ("two", 31_001)]) {
        assert_eq!(task["name"], name);
        assert_eq!(task["executor_id"], instance.as_str());
        assert_eq!(task["resources"]["ports"], format!("[{port}-{port}]"), "each its own port");
        assert_eq!(task["container"]["mesos"]["image"]["docker"]["name"], "nginx");
    }
    let parents =
        tasks.iter().map(|t| &t["statuses"][0]["container_status"]["container_id"]["parent"]);
    assert_eq!(parents.collect::<Vec<_>>()[0], &json!({"value": container_id(only(&w), "")}));
    let one =
        parsed(|j| j.list(|j| Tasks::new(&w.state, "f").only(Some(&ids[1])).write(j, only(&w))));
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert_eq!(one[0]["name"], "two");
}
