//! What is said of an app that is not well: the list, `why`, its deployment and the cluster's
//! warnings agree, name the cause and the next step.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tepui::{
    base::{clock::Clock as _, units::Milli},
    core::{
        WorkloadCommand,
        command::{Edit, Expect, PutApps},
    },
    model::{
        AppId, NodeId,
        container::{Command, HealthCheck, Probe, ProbePort},
        instance::{CheckStatus, Condition, ReadinessStatus},
        link::{EngineAway, Usage},
        node::NodeKind,
        path::PathId,
    },
};

use super::{
    api::get,
    world::{World, health_check, persistent_volume, readiness_check, spec},
};

fn http_check() -> HealthCheck {
    let path = Some("/healthz".to_owned());
    let port = ProbePort::Index(0);
    health_check(Probe::Http { tls: false, path, port, ignore_1xx: false, ipv6: false })
}

fn instance(world: &World, app: &str) -> String {
    world.first(app).id.to_string()
}

/// The row of an app, after looking that `why` says the same.
async fn row(world: &Arc<World>, app: &str) -> Value {
    let list = get(world, "/apps").await;
    let row = list["apps"].as_array().unwrap().iter().find(|a| a["id"] == app).unwrap().clone();
    let why = get(world, &format!("/apps{app}/why")).await;
    assert_eq!(row["condition"], row["verdict"]["state"]);
    assert_eq!(why["verdict"], row["verdict"]);
    row
}

async fn attention(world: &Arc<World>) -> u64 {
    get(world, "/status").await["counts"]["apps_attention"].as_u64().unwrap()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_failing_check_beats_the_deployment_and_tells_what_it_found() {
    let world = World::new();
    let mut web = spec("/web", 1);
    web.run_mut().containers[0].health_checks = vec![http_check()];
    world.put("/web", Some(web));
    world.settle(); // runs, without a result of its check
    let pending = row(&world, "/web").await;
    assert_eq!(pending["condition"], "deploying", "{pending}");
    assert_eq!(
        pending["verdict"]["cause"],
        "HTTP check /healthz on port index 0 has no result yet"
    );
    assert_eq!(pending["instances"]["starting"], 1);
    let shown = get(&world, "/tasks?app=/web").await;
    let told = &shown["tasks"][0]["verdict"];
    assert_eq!((&told["state"], &told["tone"]), (&json!("starting"), &json!("moving")));
    let id = instance(&world, "/web");
    let at = world.clock.now();
    world.report(&id, Condition::Running, |r| {
        r.health = vec![CheckStatus {
            consecutive_failures: 2,
            last_failure: Some(at),
            last_failure_cause: Some("404 Not Found".into()),
            ..CheckStatus::default()
        }];
    });
    let sick = row(&world, "/web").await;
    assert_eq!(sick["condition"], "unhealthy", "{sick}");
    let verdict = &sick["verdict"];
    assert_eq!(verdict["sentence"], "its one instance fails its health check");
    assert_eq!(verdict["cause"], "HTTP check /healthz on port index 0: 404 Not Found");
    assert!(text(verdict, "next").contains("tepui log /web"), "{verdict}");
    assert!(verdict["since"].is_string());
    let deployments = get(&world, "/deployments").await;
    let deployment = &deployments["deployments"][0];
    let blocked = text(&deployment["actions"][0], "blocked").to_owned();
    assert!(blocked.contains("404 Not Found"), "{blocked}");
    assert_eq!(deployment["actions"][0]["what"], "new, 1 instance");
    let told = &deployment["verdict"];
    assert_eq!((&told["state"], &told["tone"]), (&json!("unhealthy"), &json!("bad")));
    assert_eq!(told["sentence"], "step 2 of 2: scales /web, 0 of 1 done");
    assert_eq!(told["cause"], blocked);
    let shown = get(&world, "/tasks?app=/web").await;
    let told = &shown["tasks"][0]["verdict"];
    assert_eq!((&told["state"], &told["tone"]), (&json!("unhealthy"), &json!("bad")));
    assert_eq!(told["sentence"], "fails its health check");
    assert_eq!(deployments["deployments"][0]["creates"], json!(["/web"]));
    assert_eq!(attention(&world).await, 1);
    let why = get(&world, "/apps/web/why").await;
    assert_eq!(why["state"], "unhealthy");
    assert!(text(&why, "sentence").contains("404 Not Found"), "{why}");
}

#[tokio::test]
async fn an_instance_ended_by_its_check_says_so_until_its_successor_is_well() {
    let world = World::new();
    world.app("/web", 1, |s| {
        let shell = Command::Shell("test -f ready".into());
        s.run_mut().containers[0].health_checks = vec![health_check(Probe::Command(shell))];
    });
    let id = instance(&world, "/web");
    let cause = "Task was killed since COMMAND health check failed 4 times in a row. Reason: 1";
    let failing = |r: &mut tepui::model::link::Report| {
        r.message = cause.to_owned();
        r.unhealthy = true;
        r.health = vec![CheckStatus {
            last_failure_cause: Some("exit status 1".into()),
            ..CheckStatus::default()
        }];
    };
    world.report(&id, Condition::Killing, failing);
    let killing = row(&world, "/web").await;
    assert_eq!(killing["condition"], "unhealthy");
    let verdict = &killing["verdict"];
    assert_eq!(verdict["cause"], "COMMAND check `test -f ready`: exit status 1", "{verdict}");
    world.report(&id, Condition::Killed, failing);
    world.place(); // the successor runs and has no result yet
    let again = row(&world, "/web").await;
    assert_eq!(
        (&again["condition"], &again["verdict"]["cause"]),
        (&json!("unhealthy"), &json!(cause))
    );
    world.report(&id, Condition::Running, |r| {
        r.health = vec![CheckStatus { alive: true, ..CheckStatus::default() }];
    });
    world.settle();
    assert_eq!(
        row(&world, "/web").await["verdict"]["sentence"],
        "its one instance runs and is healthy"
    );
}

#[tokio::test]
async fn an_open_readiness_is_named_and_stuck_after_a_while() {
    let world = World::new();
    let mut web = spec("/web", 1);
    web.run_mut().containers[0].readiness = vec![readiness_check(true)];
    world.put("/web", Some(web));
    world.step();
    world.step();
    world.place();
    world.report(&instance(&world, "/web"), Condition::Running, |r| {
        r.ready = false;
        let found = "it answered 503".into();
        let (name, last_response) = ("warm".into(), None);
        r.readiness = vec![ReadinessStatus { name, ready: false, found, last_response }];
    });
    let cause = "readiness check warm (/ready) has not passed: it answered 503";
    let open = row(&world, "/web").await;
    assert_eq!(
        (&open["condition"], &open["verdict"]["cause"]),
        (&json!("deploying"), &json!(cause))
    );
    assert_eq!(open["verdict"]["next"], "read its output: tepui log /web");
    world.clock.advance(Duration::from_secs(660));
    let stuck = row(&world, "/web").await;
    assert_eq!((&stuck["condition"], &stuck["verdict"]["cause"]), (&json!("stuck"), &json!(cause)));
    assert!(text(&stuck["verdict"], "next").contains("tepui deployment cancel"), "{stuck}");
    assert_eq!(attention(&world).await, 1);
    assert_ne!(get(&world, "/apps/web/why").await["state"], "satisfied");
    let shown = get(&world, "/tasks?app=/web").await;
    assert_eq!(shown["tasks"][0]["pending"], cause);
}

#[tokio::test]
async fn an_app_that_ends_at_once_is_told_with_what_it_ended() {
    let world = World::new();
    world.app("/job", 1, |_| {});
    let id = instance(&world, "/job");
    let fail = || {
        world.report(&id, Condition::Failed, |r| r.message = "Command exited with status 3".into());
    };
    fail();
    let once = row(&world, "/job").await;
    assert_eq!(once["condition"], "delayed");
    assert!(text(&once["verdict"], "sentence").starts_with("it ended once; "), "{once}");
    for _ in 0..2 {
        world.clock.advance(Duration::from_secs(30));
        world.place();
        fail();
    }
    let looping = row(&world, "/job").await;
    assert_eq!(looping["verdict"]["next"], "read its output: tepui log /job");
    assert_eq!(looping["condition"], "crash_looping");
    let verdict = &looping["verdict"];
    assert!(text(verdict, "sentence").starts_with("it ended 3 times in a row"), "{verdict}");
    assert_eq!(verdict["cause"], "Command exited with status 3");
    assert!(text(verdict, "next").contains("tepui log /job"), "{verdict}");
    // Between two ends it runs for a moment, which is not well either.
    world.clock.advance(Duration::from_secs(30));
    world.place();
    assert_eq!(row(&world, "/job").await["condition"], "crash_looping");
    world.clock.advance(Duration::from_secs(120));
    assert_eq!(row(&world, "/job").await["condition"], "running");
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_told_everywhere() {
    let world = World::empty();
    let node: NodeId = world.node("n1", 4.0, NodeKind::Agent);
    world.app("/well", 1, |_| {});
    let since = world.clock.now();
    let cause = "cannot reach Docker: no such file".to_owned();
    let usage =
        Usage { engine_away: Some(EngineAway { since, cause: cause.clone() }), ..Usage::default() };
    world.usage.lock().insert(node.clone(), Arc::new(usage));
    world.put("/new", Some(spec("/new", 1)));
    world.step();
    world.step();
    let plan = tepui::core::place::plan(&world.state(), &[], since, &Default::default());
    world.must(tepui::core::TaskCommand::Launch(plan.launches));
    let id = instance(&world, "/new");
    world.report(&id, Condition::Staging, |r| r.message = "waiting: no engine".into());
    let held = row(&world, "/new").await;
    assert_eq!(held["condition"], "engine_down", "{held}");
    let verdict = &held["verdict"];
    assert_eq!(
        verdict["sentence"],
        "its one instance cannot go on: the container engine of n1 does not answer"
    );
    assert_eq!(
        (text(verdict, "cause"), verdict["since"].as_str()),
        (&*cause, Some(&*since.to_string()))
    );
    assert!(text(verdict, "next").contains("systemctl status docker"), "{verdict}");
    assert_eq!(row(&world, "/well").await["condition"], "running", "what runs goes on");
    let shown = get(&world, "/nodes/n1").await;
    assert_eq!(shown["condition"], "engine_down");
    assert_eq!(shown["engine_away"]["cause"], cause);
    assert_eq!(
        (&shown["verdict"]["tone"], &shown["verdict"]["cause"]),
        (&json!("bad"), &json!(cause))
    );
    let told = shown["tasks"].as_array().unwrap().iter();
    let mut told: Vec<_> =
        told.map(|task| (text(task, "app_id"), text(&task["verdict"], "state"))).collect();
    told.sort_unstable();
    assert_eq!(told, [("/new", "engine_down"), ("/well", "running")], "what runs goes on");
    let status = get(&world, "/status").await;
    assert_eq!(status["warnings"][0]["code"], "engine_down");
    assert!(text(&status["warnings"][0], "message").contains(&cause), "{status}");
    assert_eq!(status["counts"]["apps_attention"], 1);
    world.usage.lock().clear();
    assert_eq!(get(&world, "/nodes/n1").await["condition"], "active");
    assert_eq!(get(&world, "/status").await["warnings"], json!([]));
}

#[tokio::test]
async fn a_stopped_app_remembers_how_many_it_had() {
    let world = World::new();
    world.app("/web", 3, |_| {});
    assert_eq!(row(&world, "/web").await["instances"].get("resume_to"), None);
    world.app("/web", 0, |_| {});
    let stopped = row(&world, "/web").await;
    assert_eq!(stopped["condition"], "stopped");
    assert_eq!(stopped["instances"]["resume_to"], 3);
    assert_eq!(stopped["verdict"]["next"], "tepui app scale /web 3 starts as many as there were");
}

#[tokio::test]
async fn amounts_are_told_in_one_unit() {
    let world = World::new();
    world.app("/big", 1, |s| s.run_mut().containers[0].resources.mem = Milli::whole(65_536));
    let waiting = row(&world, "/big").await;
    assert_eq!(waiting["condition"], "waiting");
    let sentence = text(&waiting["verdict"], "sentence").to_owned();
    assert_eq!(
        sentence,
        "1 instance waits: none of 2 nodes fits: 2 have too little memory free \
         (needs 64 GiB of memory; most free 4 GiB on a1)"
    );
    assert_eq!(
        waiting["verdict"]["next"],
        "to place one more, add a node with 0.5 cpus, 64 GiB of memory free; \
         tepui why /big --nodes tells of every node"
    );
}

#[tokio::test]
async fn what_a_public_agent_reserves_is_shown_and_named() {
    let world = World::empty();
    world.reserved("p1", 4.0);
    world.app("/web", 1, |_| {});
    let why = get(&world, "/apps/web/why").await;
    assert_eq!(
        why["closest"]["missing"][0]["message"],
        "has nothing for role *, all of it is reserved for slave_public"
    );
    let nodes = get(&world, "/nodes").await;
    assert_eq!(nodes["nodes"][0]["reserved"]["slave_public"]["cpus"], 4);
}

#[tokio::test]
async fn a_start_may_take_as_long_as_its_checks_allow() {
    let world = World::new();
    let mut web = spec("/slow", 1);
    let mut check = http_check();
    check.grace_ms = 600_000;
    web.run_mut().containers[0].health_checks = vec![check];
    world.put("/slow", Some(web));
    world.settle();
    world.clock.advance(Duration::from_secs(1190));
    assert_eq!(row(&world, "/slow").await["condition"], "deploying", "twice its grace is not over");
    world.clock.advance(Duration::from_secs(20));
    let stuck = row(&world, "/slow").await;
    assert_eq!(stuck["condition"], "stuck");
    let next = text(&stuck["verdict"], "next");
    assert!(next.ends_with(", which removes /slow"), "{next}");
}

#[tokio::test]
async fn what_waits_in_a_deployment_is_stuck_after_a_while_and_says_why() {
    let world = World::new();
    world.app("/big", 1, |s| s.run_mut().containers[0].resources.mem = Milli::whole(65_536));
    assert_eq!(row(&world, "/big").await["condition"], "waiting");
    world.clock.advance(Duration::from_secs(301));
    let stuck = row(&world, "/big").await;
    assert_eq!(stuck["condition"], "stuck");
    let cause = text(&stuck["verdict"], "cause");
    assert!(cause.starts_with("1 instance waits: none of 2 nodes fits"), "{cause}");
    assert!(text(&stuck["verdict"], "next").starts_with("to place one more, add a node"));
}

#[tokio::test]
async fn whose_turn_in_a_deployment_has_not_come_is_not_stuck() {
    let world = World::new();
    world.app("/db", 1, |_| {});
    world.app("/web", 1, |s| s.dependencies = [PathId::parse("/db")].into());
    let edit = |id: &str, mem: i64| {
        let mut new = spec(id, 1);
        new.run_mut().containers[0].resources.mem = Milli::whole(mem);
        if id == "/web" {
            new.dependencies = [PathId::parse("/db")].into();
        }
        Edit {
            id: AppId::parse(id),
            new: Some(new),
            expect: Expect::Any,
            base: None,
            restart: false,
        }
    };
    world.must(WorkloadCommand::PutApps(Box::new(PutApps {
        deployment: "d-both".into(),
        force: false,
        edits: vec![edit("/db", 65_536), edit("/web", 65)],
        groups: Vec::new(),
        victims: std::collections::BTreeSet::new(),
    })));
    world.settle();
    world.clock.advance(Duration::from_secs(301));
    assert_eq!(row(&world, "/db").await["condition"], "stuck");
    let later = row(&world, "/web").await;
    assert_eq!(later["condition"], "deploying", "{later}");
    assert_eq!(later["verdict"]["cause"], "it waits for /db");
    let told = get(&world, "/deployments").await["deployments"][0]["verdict"].clone();
    assert_eq!(told["state"], "stuck", "{told}");
}

#[tokio::test]
async fn what_ends_is_counted_as_stopping_until_it_is_gone() {
    let world = World::new();
    world.app("/web", 2, |_| {});
    let headline = async |world: &Arc<World>| {
        let status = get(world, "/status").await;
        (status["verdict"]["sentence"].clone(), status["counts"]["instances_stopping"].clone())
    };
    assert_eq!(headline(&world).await, (json!("everything runs as wanted"), json!(0)));
    world.put("/web", None);
    world.step();
    for instance in world.state().instances.values() {
        world.report(instance.id.as_str(), Condition::Killing, |_| {});
    }
    let going = row(&world, "/web").await;
    assert_eq!(
        (&going["condition"], &going["instances"]["stopping"]),
        (&json!("deleting"), &json!(2))
    );
    let told = json!("nothing is wrong: 1 deployment under way, 2 instances stopping");
    assert_eq!(headline(&world).await, (told, json!(2)));
    world.clock.advance(Duration::from_secs(301));
    let held = row(&world, "/web").await;
    assert_eq!(held["verdict"]["sentence"], "its removal is stuck, 2 instances left");
    assert_eq!(attention(&world).await, 1);
    let shown = get(&world, "/tasks?app=/web").await;
    assert_eq!(shown["tasks"][0]["verdict"]["state"], "stopping");
    world.settle();
    assert_eq!(headline(&world).await, (json!("the cluster is ready"), json!(0)));
}

#[tokio::test]
async fn a_delete_names_data_and_dependants_beforehand() {
    let world = World::new();
    world.app("/db", 1, |s| {
        s.run_mut().containers[0].volumes = vec![persistent_volume("pgdata", 512)];
    });
    world.app("/web", 1, |s| s.dependencies = [PathId::parse("/db")].into());
    let shown = get(&world, "/apps/db").await;
    assert_eq!(shown["volumes"], json!([{"path": "pgdata", "size_mb": 512, "hosts": ["a1"]}]));
    assert_eq!(shown["dependants"], json!(["/web"]));
    let plain = get(&world, "/apps/web").await;
    assert_eq!((&plain["volumes"], &plain["dependants"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn a_drain_is_told_beforehand_instance_by_instance() {
    let world = World::new();
    world.app("/web", 2, |_| {}); // one on each node
    world.app("/big", 1, |s| s.run_mut().containers[0].resources.cpus = Milli::whole(3)); // a1 alone
    let preview = get(&world, "/nodes/a1/drain").await;
    let told = preview["instances"].as_array().unwrap();
    let of = |app: &str| told.iter().find(|row| row["app_id"] == app).unwrap();
    assert_eq!((&of("/web")["fate"], &of("/web")["to_host"]), (&json!("moves"), &json!("a2")));
    assert_eq!(of("/big")["fate"], "no_place");
    let because = text(of("/big"), "because");
    assert!(because.contains("too few cpus free (needs 3 cpus; most free 1"), "{because}");
    assert_eq!(
        preview["sentence"],
        "1 instance has a place elsewhere; 1 instance has none and stays here until something has \
         room"
    );
    assert_eq!(get(&world, "/nodes/a1").await["condition"], "active", "nothing has changed");
    assert_eq!(get(&world, "/nodes/a2/drain").await["moves"], 1);
}
