//! Four clusters in which one thing is broken: the headline, the counts behind badge and title, the
//! list, `why` and the command line name it, in the same words and none of them twice.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;
use tepui::{
    base::clock::Clock as _,
    model::{
        container::{Probe, ProbePort},
        instance::{CheckStatus, Condition},
        link::{EngineAway, Usage},
        node::NodeKind,
    },
};

use super::Site;
use crate::{
    api::get,
    world::{World, cpus, health_check, spec},
};

/// What is broken and how it is named.
struct Broken {
    app: &'static str,
    state: &'static str,
    headline: &'static str,
    /// A part of the cause, told wherever there is room for it.
    cause: &'static str,
}

async fn is_named_everywhere(world: Arc<World>, broken: Broken) {
    let Broken { app, state, headline, cause } = broken;
    let status = get(&world, "/status").await;
    assert_eq!(status["verdict"]["sentence"], headline);
    assert_eq!(status["counts"]["apps_attention"], 1, "badge and title");
    assert!(["bad", "attention"].contains(&status["verdict"]["tone"].as_str().unwrap()));

    let list = get(&world, "/apps").await;
    let rows = list["apps"].as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == app).unwrap();
    assert_eq!((&row["condition"], &row["verdict"]["state"]), (&state.into(), &state.into()));
    let well = rows.iter().find(|row| row["id"] == "/well").unwrap();
    assert_eq!(well["condition"], "running", "what is well is not blamed");
    let why = get(&world, &format!("/apps{app}/why")).await;
    assert_eq!(why["verdict"], row["verdict"]);
    assert_eq!(why["state"], state);
    let verdict = &row["verdict"];
    let all = format!("{} {}", verdict["sentence"], verdict["cause"]);
    assert!(all.contains(cause), "{verdict}");
    assert!(verdict["since"].is_string() && verdict["next"].is_string(), "{verdict}");
    let troubles = status["troubles"].as_array().unwrap();
    let is_told = |t: &Value| t["id"] == app && t["verdict"] == *verdict;
    let by_node = |t: &Value| t["kind"] == "node" && t["verdict"]["cause"] == verdict["cause"];
    assert!(troubles.iter().any(|t| is_told(t) || by_node(t)), "{status}");
    for trouble in troubles {
        assert!(trouble["verdict"]["next"].is_string(), "{trouble}");
    }

    let site = Site::of(world);
    let sentence = verdict["sentence"].as_str().unwrap();
    for line in ["app list".to_owned(), format!("why {app}"), format!("app show {app}")] {
        let said = site.run(&line).await;
        assert!(said.contains(sentence), "tepui {line}: {said}");
        assert!(line == "app list" || said.contains(cause), "tepui {line}: {said}");
        assert_eq!(twice(&said), None, "tepui {line}: {said}");
    }
    let said = site.run("status").await;
    assert!(said.contains(headline) && said.contains(cause), "{said}");
    assert_eq!(twice(&said), None, "{said}");
}

/// A sentence that stands there twice.
fn twice(text: &str) -> Option<String> {
    let mut seen = BTreeMap::new();
    for line in text.lines() {
        for part in line.split(": ").map(str::trim).filter(|part| part.len() > 24) {
            *seen.entry(part.to_owned()).or_insert(0) += 1;
        }
    }
    seen.into_iter().find(|(_, n)| *n > 1).map(|(part, _)| part)
}

fn with_one_that_is_well() -> Arc<World> {
    let world = World::new();
    world.app("/well", 1, |_| {});
    world
}

#[tokio::test]
async fn a_dead_engine() {
    let world = World::empty();
    let node = world.node("n1", 4.0, NodeKind::Agent);
    world.app("/well", 1, |_| {});
    let since = world.clock.now();
    let away = EngineAway { since, cause: "cannot reach Docker: no such file".into() };
    let usage = Usage { engine_away: Some(away), ..Usage::default() };
    world.usage.lock().insert(node, Arc::new(usage));
    world.put("/new", Some(spec("/new", 1)));
    world.step();
    world.step();
    let plan = tepui::core::place::plan(&world.state(), &[], since, &Default::default());
    world.must(tepui::core::TaskCommand::Launch(plan.launches));
    world.report(world.first("/new").id.as_str(), Condition::Staging, |_| {});
    is_named_everywhere(
        world,
        Broken {
            app: "/new",
            state: "engine_down",
            headline: "node n1 cannot run containers",
            cause: "cannot reach Docker",
        },
    )
    .await;
}

#[tokio::test]
async fn a_check_that_fails() {
    let world = with_one_that_is_well();
    let probe = Probe::Http {
        tls: false,
        path: Some("/healthz".into()),
        port: ProbePort::Index(0),
        ignore_1xx: false,
        ipv6: false,
    };
    let mut web = spec("/web", 1);
    web.run_mut().containers[0].health_checks = vec![health_check(probe)];
    world.put("/web", Some(web));
    world.settle();
    world.report(world.first("/web").id.as_str(), Condition::Running, |r| {
        r.health = vec![CheckStatus {
            consecutive_failures: 2,
            last_failure_cause: Some("404 Not Found".into()),
            ..CheckStatus::default()
        }];
    });
    is_named_everywhere(
        world,
        Broken {
            app: "/web",
            state: "unhealthy",
            headline: "/web fails its health check",
            cause: "404 Not Found",
        },
    )
    .await;
}

#[tokio::test]
async fn a_program_that_ends_again_and_again() {
    let world = with_one_that_is_well();
    world.app("/job", 1, |_| {});
    let id = world.first("/job").id.to_string();
    for _ in 0..3 {
        world.report(&id, Condition::Failed, |r| r.message = "exited with status 3".into());
        world.clock.advance(Duration::from_secs(30));
        world.place();
    }
    is_named_everywhere(
        world,
        Broken {
            app: "/job",
            state: "crash_looping",
            headline: "/job ends again and again",
            cause: "exited with status 3",
        },
    )
    .await;
}

#[tokio::test]
async fn a_full_cluster() {
    let world = with_one_that_is_well();
    world.app("/big", 1, |s| s.run_mut().containers[0].resources.cpus = cpus(64));
    is_named_everywhere(
        world,
        Broken {
            app: "/big",
            state: "waiting",
            headline: "/big has no place to run",
            cause: "too few cpus free (needs 64 cpus",
        },
    )
    .await;
}

#[tokio::test]
async fn everything_that_is_wrong_is_counted_and_the_worst_is_told() {
    let world = with_one_that_is_well();
    for app in ["/big", "/huge"] {
        world.app(app, 1, |s| s.run_mut().containers[0].resources.cpus = cpus(64));
    }
    world.app("/job", 1, |_| {});
    world.report(world.first("/job").id.as_str(), Condition::Failed, |_| {});
    let status: Value = get(&world, "/status").await;
    assert_eq!(
        status["verdict"]["sentence"],
        "/job ended and is held back, 2 services have no place to run"
    );
    assert_eq!(status["verdict"]["state"], "delayed");
    assert_eq!(status["counts"]["apps_attention"], 3);
}
