//! Stories of a cluster as the event stream tells them, and who gets to hear them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::{
    base::{clock::Timestamp, limit},
    core::{
        Change, TaskCommand, WorkloadCommand,
        apply::tests::world::{self, World, app, checked},
        command::{DeployStep, PutApps},
    },
    http::{Body, body},
    log,
    model::{
        container::ContainerSpec,
        deployment::DeploymentId,
        instance::{CheckStatus, Condition, ContainerStatus, Instance, InstanceId, KillReason},
        link::Report,
        node::NodeId,
        path::PathId,
        workload::{Kind, WorkloadSpec},
    },
};

/// A hub with a listener, whose body must live as long as somebody is to listen.
fn heard() -> (Hub, Body) {
    let hub = Hub::default();
    let body = hub.attach("10.0.0.1", Vec::new(), None, Timestamp::EPOCH).unwrap();
    (hub, body)
}

fn events(hub: &Hub, w: &World, changes: &[Change]) -> Vec<Event> {
    hub.events(changes, &w.state, Timestamp::from_ms(w.now))
}

/// The kinds of some events, with the condition or state they tell.
fn words(events: &[Event]) -> String {
    let word = |event: &Event| {
        let told =
            ["condition", "taskStatus"].iter().find_map(|key| event.fields.get(*key)?.as_str());
        told.map_or(event.kind.to_owned(), |told| format!("{}:{told}", event.kind))
    };
    events.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn put(w: &mut World, spec: Option<WorkloadSpec>, id: &str) -> Vec<Change> {
    let put = world::put(&w.id(), vec![world::edit(&PathId::parse(id), spec)]);
    w.ok(WorkloadCommand::PutApps(Box::new(PutApps { force: true, ..put })))
}

fn only_instance(w: &World) -> InstanceId {
    let mut ids = w.state.instances.keys();
    let id = ids.next().unwrap().clone();
    assert_eq!(ids.next(), None);
    id
}

#[test]
fn the_life_of_an_app_is_told_in_the_original_order() {
    let (hub, _body) = heard();
    let mut w = World::new(1);
    let changes = put(&mut w, Some(checked(app("/g/a", 1))), "/g/a");
    let told = events(&hub, &w, &changes);
    // The first step needs nobody.
    assert_eq!(
        words(&told),
        "group_change_success deployment_info deployment_step_success deployment_info \
         add_health_check_event"
    );
    assert_eq!(told[0].fields["groupId"], "/g");
    assert_eq!(told[1].fields["currentStep"]["actions"][0]["action"], "StartApplication");
    assert_eq!(told[3].fields["currentStep"]["actions"][0]["action"], "ScaleApplication");
    assert_eq!(told[4].fields["healthCheck"]["protocol"], "TCP");

    let id = w.state.deployments.keys().next().unwrap().clone();
    w.reconcile();
    w.launch_all();
    let instance = only_instance(&w);
    let changes = w.report(&instance, Condition::Staging);
    let told = words(&events(&hub, &w, &changes));
    assert_eq!(told, "instance_changed_event:Staging", "no agent of the original tells of that");
    let changes = w.report_with(&instance, Condition::Running, Some(true));
    assert_eq!(
        words(&events(&hub, &w, &changes)),
        "status_update_event:TASK_STARTING status_update_event:TASK_RUNNING \
         instance_changed_event:Running health_status_changed_event instance_health_changed_event"
    );
    let changes = w.ok(WorkloadCommand::DeployStep(DeployStep {
        step: w.state.deployments[&id].current_step,
        deployment: id,
        scales: Vec::new(),
        advance: true,
    }));
    assert_eq!(words(&events(&hub, &w, &changes)), "deployment_step_success deployment_success");

    let changes = put(&mut w, None, "/g/a");
    let told = words(&events(&hub, &w, &changes));
    assert_eq!(told, "group_change_success deployment_info remove_health_check_event");
    w.reconcile();
    let changes = w.report(&instance, Condition::Killed);
    let told = words(&events(&hub, &w, &changes));
    assert!(
        told.starts_with("status_update_event:TASK_KILLED instance_changed_event:Killed"),
        "{told}"
    );
    assert!(told.ends_with("app_terminated_event"), "{told}");
}

#[test]
fn checks_are_told_when_they_turn_and_when_they_fail_again() {
    let (hub, _body) = heard();
    let mut w = World::new(1);
    put(&mut w, Some(checked(app("/a", 1))), "/a");
    while w.state.instances.is_empty() {
        w.reconcile();
    }
    w.launch_all();
    let id = only_instance(&w);
    let mut next = |alive: Option<bool>, n_failures: u32| {
        let health = alive.map(|alive| CheckStatus {
            alive,
            consecutive_failures: n_failures,
            ..Default::default()
        });
        let instance = w.state.instances[&id].clone();
        let report = Report { health: health.into_iter().collect(), ..report(&w, &instance) };
        let changes = w.ok(TaskCommand::Report { node: NodeId::from("n0"), reports: vec![report] });
        words(&events(&hub, &w, &changes))
    };
    next(None, 0);
    let both = "health_status_changed_event instance_health_changed_event";
    for (alive, n_failures, wanted) in [
        (true, 0, both.to_owned()),
        (true, 0, String::new()),
        (false, 1, format!("failed_health_check_event {both}")),
        (false, 2, "failed_health_check_event".to_owned()),
        (true, 0, both.to_owned()),
    ] {
        assert_eq!(next(Some(alive), n_failures), wanted, "{alive} {n_failures}");
    }
}

/// That an instance runs.
fn report(w: &World, instance: &Instance) -> Report {
    Report {
        started_at: Some(Timestamp::from_ms(w.now)),
        ready: true,
        ..Report::new(
            instance.id.clone(),
            instance.incarnation,
            Condition::Running,
            Timestamp::from_ms(w.now),
        )
    }
}

#[test]
fn an_instance_ended_by_its_check_is_told_apart_from_one_that_was_killed() {
    for unhealthy in [true, false] {
        let (hub, _body) = heard();
        let mut w = World::new(1);
        put(&mut w, Some(checked(app("/a", 1))), "/a");
        w.settle();
        let instance = w.state.instances[&only_instance(&w)].clone();
        if !unhealthy {
            let instances = vec![instance.id.clone()];
            w.ok(TaskCommand::Kill { instances, wipe: false, reason: KillReason::Request });
        }
        let report = Report {
            condition: Condition::Killed,
            unhealthy,
            message: "check failed".to_owned(),
            ..report(&w, &instance)
        };
        let changes = w.ok(TaskCommand::Report { node: NodeId::from("n0"), reports: vec![report] });
        let told = events(&hub, &w, &changes);
        let kills: Vec<&Event> =
            told.iter().filter(|e| e.kind == "unhealthy_instance_kill_event").collect();
        assert_eq!(kills.len(), usize::from(unhealthy));
        if let Some(kill) = kills.first() {
            assert_eq!(kill.fields["reason"], "check failed");
            assert_eq!(kill.fields["slaveId"], "n0");
        }
    }
}

#[test]
fn a_cancelled_deployment_fails_and_says_so() {
    let (hub, _body) = heard();
    let mut w = World::new(0);
    put(&mut w, Some(app("/a", 1)), "/a");
    let changes = put(&mut w, Some(app("/a", 2)), "/a");
    let told = events(&hub, &w, &changes);
    let failed = told.iter().find(|e| e.kind == "deployment_failed").unwrap();
    assert!(!failed.fields["reason"].as_str().unwrap().is_empty());
    assert_eq!(failed.fields["plan"]["original"], json!({}), "strict clients want the key");
    assert!(words(&told).contains("group_change_success"), "{}", words(&told));
}

#[test]
fn pods_tell_of_every_container() {
    let (hub, _body) = heard();
    let mut w = World::new(1);
    let mut pod = app("/p", 1);
    let run = pod.run_mut();
    run.kind = Kind::Pod;
    run.containers[0].name = "one".to_owned();
    let two = ContainerSpec { name: "two".to_owned(), ..run.containers[0].clone() };
    run.containers.push(two);
    put(&mut w, Some(pod), "/p");
    while w.state.instances.is_empty() {
        w.reconcile();
    }
    w.launch_all();
    let id = only_instance(&w);
    let changes = w.report(&id, Condition::Running);
    let told = events(&hub, &w, &changes);
    let tasks: Vec<&str> = told
        .iter()
        .filter(|e| e.fields.get("taskStatus") == Some(&json!("TASK_RUNNING")))
        .map(|e| e.fields["taskId"].as_str().unwrap())
        .collect();
    assert_eq!(tasks, [format!("{id}.one.1"), format!("{id}.two.1")]);
    // One that ends is told once, whatever becomes of the others.
    let end = |w: &mut World, condition: Condition| {
        let node = NodeId::from("n0");
        let at = Timestamp::from_ms(w.now);
        let status = |name: &str, condition: Condition| ContainerStatus {
            name: name.to_owned(),
            condition,
            since: at,
            exit_code: None,
            message: String::new(),
        };
        let containers = vec![status("one", Condition::Finished), status("two", condition)];
        let report = Report { containers, ..Report::new(id.clone(), 1, condition, at) };
        let changes = w.ok(TaskCommand::Report { node, reports: vec![report] });
        let all = events(&hub, w, &changes);
        let of_tasks = all.iter().filter_map(|e| {
            let task = e.fields.get("taskId")?.as_str()?.strip_prefix(id.as_str())?.to_owned();
            Some(format!("{task} {}", e.fields["taskStatus"].as_str()?))
        });
        of_tasks.collect::<Vec<_>>()
    };
    assert_eq!(end(&mut w, Condition::Running), [".one.1 TASK_FINISHED"]);
    assert_eq!(end(&mut w, Condition::Failed), [".two.1 TASK_FAILED"]);
}

#[test]
fn who_sent_a_pod_is_told_without_its_definition() {
    let (hub, _body) = heard();
    let mut w = World::new(0);
    let (client, path) = ("10.0.0.9".to_owned(), "/v2/pods".to_owned());
    let request = Some(Request { client, path, told: Told::Pod("pod_created_event") });
    hub.announce(&DeploymentId::from("d1"), Announcement { group: PathId::root(), request });
    let mut pod = app("/p", 1);
    pod.run_mut().kind = Kind::Pod;
    let changes = put(&mut w, Some(pod), "/p");
    let told = events(&hub, &w, &changes);
    assert_eq!(told[0].kind, "pod_created_event");
    assert_eq!(
        Value::Object(told[0].fields.clone()),
        json!({"clientIp": "10.0.0.9", "uri": "/v2/pods"})
    );
}

#[test]
fn who_asked_is_told_with_the_deployment_that_it_started() {
    let (hub, _body) = heard();
    let mut w = World::new(0);
    let announce = |id: &str, group: &str| {
        let (client, path) = ("10.0.0.9".to_owned(), "/v2/apps".to_owned());
        let told = Told::App(r#"{"id":"/g/a"}"#.to_owned());
        let request = Some(Request { client, path, told });
        let group = PathId::parse(group);
        hub.announce(&DeploymentId::from(id), Announcement { group, request });
    };
    announce("d1", "/elsewhere");
    announce("never", "/");
    let changes = put(&mut w, Some(app("/g/a", 1)), "/g/a");
    let told = events(&hub, &w, &changes);
    assert_eq!(told[0].kind, "api_post_event");
    assert_eq!(
        Value::Object(told[0].fields.clone()),
        json!({"clientIp": "10.0.0.9", "uri": "/v2/apps", "appDefinition": {"id": "/g/a"}})
    );
    assert_eq!(told[1].fields["groupId"], "/elsewhere");
    assert_eq!(hub.withdraw(&DeploymentId::from("d1")), None, "told once");
    assert!(hub.withdraw(&DeploymentId::from("never")).is_some());
    // What nobody listens to is forgotten with its deployment all the same.
    let quiet = Hub::default();
    let (group, request) = (PathId::root(), None);
    quiet.announce(&DeploymentId::from("d1"), Announcement { group, request });
    assert_eq!(events(&quiet, &w, &changes), []);
    assert_eq!(quiet.withdraw(&DeploymentId::from("d1")), None);
}

#[test]
fn a_change_of_several_apps_is_one_of_the_root() {
    let (hub, _body) = heard();
    let mut w = World::new(0);
    let edits = ["/g/a", "/g/b"].map(|id| world::edit(&PathId::parse(id), Some(app(id, 1))));
    let put = world::put(&w.id(), edits.to_vec());
    let changes = w.ok(WorkloadCommand::PutApps(Box::new(put)));
    assert_eq!(events(&hub, &w, &changes)[0].fields["groupId"], "/");
}

/// What a client has got so far; its stream is over.
async fn got(hub: &Hub, body: Body) -> String {
    hub.cut_all();
    String::from_utf8(body::read(body, 1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn frames_are_what_strict_parsers_of_the_original_expect() {
    let hub = Hub::default();
    let body = hub.attach("10.0.0.1", vec!["x".to_owned()], None, Timestamp::EPOCH).unwrap();
    hub.publish(&Event::new("x", Timestamp::from_ms(7), json!({"b": "l\nine", "a": 1})));
    hub.publish(&Event::new("y", Timestamp::from_ms(8), json!({})));
    hub.heartbeat();
    assert_eq!(
        got(&hub, body).await,
        "event: x\r\ndata: {\"b\":\"l\\nine\",\"a\":1,\"eventType\":\"x\",\
         \"timestamp\":\"1970-01-01T00:00:00.007Z\"}\r\n\r\n\r\n"
    );
}

#[tokio::test]
async fn everybody_is_told_who_comes_and_who_left() {
    let hub = Hub::default();
    assert!(hub.is_idle());
    let first = hub.attach("10.0.0.1", Vec::new(), None, Timestamp::EPOCH).unwrap();
    let second = hub.attach("10.0.0.2", Vec::new(), None, Timestamp::EPOCH).unwrap();
    drop(second);
    hub.publish(&Event::new("x", Timestamp::EPOCH, json!({})));
    let told = got(&hub, first).await;
    let kinds: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let coming = "event_stream_attached";
    assert_eq!(kinds, [coming, coming, "x", "event_stream_detached"]);
    assert!(told.contains(r#""remoteAddress":"10.0.0.2""#), "{told}");
    assert!(hub.is_idle());
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_cut_and_waits_for_nobody() {
    let (hub, slow) = heard();
    for _ in 0..limit::EVENTS_PER_CLIENT_MAX + 1 {
        hub.publish(&Event::new("x", Timestamp::EPOCH, json!({})));
    }
    assert!(hub.is_idle());
    drop(slow);
}

#[test]
fn there_is_room_for_so_many_readers() {
    let hub = Hub::default();
    // None of them wants what the others' coming is told by.
    let come = || hub.attach("10.0.0.1", vec!["x".to_owned()], None, Timestamp::EPOCH);
    let bodies: Vec<Body> = (0..limit::EVENT_CLIENTS_MAX).map(|_| come().unwrap()).collect();
    assert_eq!(come().err(), Some(Full));
    drop(bodies);
    hub.heartbeat();
    assert!(come().is_ok(), "those who left make room");
}

/// What a client that had `last` is told; its stream ends.
async fn comes_back(hub: &Hub, kinds: &[&str], last: &str) -> String {
    let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let body = hub.attach("10.0.0.1", kinds, Some(last), Timestamp::EPOCH).unwrap();
    got(hub, body).await
}

/// The ids of a stream's events.
fn ids(told: &str) -> Vec<&str> {
    told.lines().filter_map(|line| line.strip_prefix("id: ")).collect()
}

#[tokio::test]
async fn who_comes_back_is_told_what_it_missed_and_nothing_twice() {
    let mut w = World::new(1);
    let feed = log::Feed::new(Arc::new(w.state.clone()));
    let (here, there) = (Hub::default(), Hub::default());
    here.replay_from(feed.clone(), w.state.revision);
    // Another master, whose client saw all of it.
    there.replay_from(feed.clone(), w.state.revision);
    let all = there.attach("10.0.0.1", Vec::new(), None, Timestamp::EPOCH).unwrap();
    let before = w.state.revision;
    for id in ["/a", "/b", "/c"] {
        let changes = put(&mut w, Some(app(id, 1)), id);
        feed.publish(Arc::new(w.state.clone()), changes.clone());
        for hub in [&here, &there] {
            hub.tell(w.state.revision, &changes, &w.state, Timestamp::from_ms(w.now));
        }
    }
    let all = got(&there, all).await;
    let told = ids(&all);
    assert!(told.len() >= 6 && told.is_sorted_by_key(|id| Place::parse(id)), "{told:?}");

    let (middle, last) = (told[told.len() / 2], told[told.len() - 1]);
    assert_eq!(ids(&comes_back(&here, &[], middle).await), told[told.len() / 2 + 1..]);
    assert_eq!(ids(&comes_back(&here, &[], last).await), [""; 0]);
    let some = comes_back(&here, &["group_change_success"], told[0]).await;
    assert_eq!(ids(&some).len(), 2, "all but the first: {some}");
    let earlier = format!("{before}-0");
    for lost in [&earlier, "7", "x-y", "", "99999999-0"] {
        let told = comes_back(&here, &[], lost).await;
        assert!(told.starts_with("event: events_missed\r\n"), "{lost}: {told}");
        assert!(ids(&told).is_empty(), "{told}");
    }
}
