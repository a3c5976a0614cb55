//! Every route of a running master asked by nobody, by a user who owns nothing, and by a superuser.

use std::net::SocketAddr;

use tepui::{
    core::{AccessCommand, NodeCommand},
    http::route::Access,
    sim::build,
};

use super::{
    master::{PLAIN, Running, SUPERUSER},
    routes::{self, BOOKS, Line},
};

/// What the front door answers without a token; redirects of its own table stand apart.
const OPEN: [&str; 10] = [
    "GET /acs/api/v1/auth/jwks",
    "GET /acs/api/v1/auth/logout",
    "GET /acs/api/v1/auth/providers",
    "GET /ca/dcos-ca.crt",
    "GET /ca/tepui-ca.crt",
    "GET /dcos-metadata/dcos-version.json",
    "GET /dcos-metadata/ui-config.json",
    "GET /exhibitor/exhibitor/v1/cluster/status",
    "GET /tepui/v1/openapi.yaml",
    "POST /acs/api/v1/auth/login",
];

/// What the direct ports answer without a token: all of it tells nothing of the cluster.
const OPEN_DIRECTLY: [&str; 14] = [
    "marathon GET /",
    "marathon GET /ping",
    "mesos GET /health",
    "mesos GET /health.json",
    "mesos GET /master/health",
    "mesos GET /master/health.json",
    "mesos GET /master/redirect",
    "mesos GET /master/redirect.json",
    "mesos GET /master/version",
    "mesos GET /master/version.json",
    "mesos GET /redirect",
    "mesos GET /redirect.json",
    "mesos GET /version",
    "mesos GET /version.json",
];

/// The node that `build::node(0, …)` is.
const NODE: &str = "sim-S00000";

/// A place where a line is reached.
struct Place {
    line: Line,
    at: SocketAddr,
    path: String,
    is_open: bool,
}

/// Every line at every place where it is reached.
fn places(running: &Running) -> Vec<Place> {
    let mut places = Vec::new();
    for line in BOOKS.into_iter().flat_map(routes::book) {
        for path in line.at_the_front_door(NODE) {
            let is_open = line.is_open_at_the_front_door(&path);
            places.push(Place { line: line.clone(), at: running.front_door(), path, is_open });
        }
        if matches!(line.book, "marathon" | "mesos") {
            let (at, path) = (running.direct_port(line.book), line.path(NODE));
            let is_open = line.access == Access::Open;
            places.push(Place { line, at, path, is_open });
        }
    }
    assert!(places.len() > 200, "only {} places", places.len());
    places
}

/// A node whose agent is not there, so that the lines of agents are reached and answer 502.
async fn add_node(running: &Running) {
    let info = build::node(0, 1.0, 1024.0, &[]);
    assert_eq!(info.id.as_str(), NODE);
    running.propose(NodeCommand::RegisterNode(Box::new(info))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_reach_what_is_open_and_nothing_else() {
    let running = Running::start().await;
    let before = running.told();
    let (mut wrong, mut open, mut open_directly) = (Vec::new(), Vec::new(), Vec::new());
    for Place { line, at, path, is_open } in places(&running) {
        let method = line.method.as_str();
        for token in [None, Some("bad")] {
            let (status, _) = running.ask(at, token, method, &path).await;
            if (status == 401) == is_open && path != "/acs/api/v1/auth/login" {
                wrong.push(format!("{line}: {status} to a stranger at {at}{path}"));
            }
        }
        let list = if at == running.front_door() { &mut open } else { &mut open_directly };
        match (is_open, at == running.front_door()) {
            (true, true) => list.push(format!("{method} {path}")),
            (true, false) => list.push(line.to_string()),
            (false, _) => {}
        }
    }
    for (path, wants_token) in routes::rule_paths() {
        let (status, _) = running.ask(running.front_door(), None, "GET", &path).await;
        if (status == 401) != wants_token {
            wrong.push(format!("{status} to a stranger at {path}"));
        }
    }
    open.sort();
    open_directly.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(open, OPEN);
    assert_eq!(open_directly, OPEN_DIRECTLY);
    assert_eq!(running.told(), before, "something has changed");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_owns_nothing_reads_and_changes_nothing() {
    let running = Running::start().await;
    let token = running.token(PLAIN);
    let before = running.told();
    let mut wrong = Vec::new();
    let all = places(&running);
    for Place { line, at, path, .. } in &all {
        let method = line.method.as_str();
        let may = matches!(line.access, Access::Open | Access::Read);
        if line.book != "agent" {
            let (status, _) = running.ask(*at, Some(&token), method, path).await;
            if matches!(status, 401 | 403 | 500) == may {
                wrong.push(format!("{line}: {status} to a plain user at {at}{path}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(running.told(), before, "something has changed");
    // Services of the cluster see the token and judge for themselves.
    let at = running.front_door();
    let (status, answer) = running.ask(at, Some(&token), "POST", "/service/x/y").await;
    assert_eq!(status, 404, "{answer}");
    add_node(&running).await;
    for Place { line, at, path, .. } in all.iter().filter(|place| place.line.book == "agent") {
        let (status, answer) = running.ask(*at, Some(&token), "GET", path).await;
        // The agent is away; some look at their query before they ask it, one asks nothing.
        assert!(matches!(status, 200 | 400 | 502), "{line}: {answer}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_reaches_everything() {
    let running = Running::start().await;
    let mut wrong = Vec::new();
    for Place { line, at, path, .. } in places(&running) {
        // One of them ends tokens.
        let token = running.token(SUPERUSER);
        let (status, _) = running.ask(at, Some(&token), line.method.as_str(), &path).await;
        if matches!(status, 401 | 403 | 500) && path != "/acs/api/v1/auth/login" {
            wrong.push(format!("{line}: {status} to a superuser at {at}{path}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_and_tokens_end_at_once_with_what_they_stood_on() {
    let running = Running::start().await;
    running.put_user("bob", true).await;
    let token = running.token("bob");
    let at = running.front_door();
    let users = async || running.ask(at, Some(&token), "GET", "/acs/api/v1/users").await.0;
    let look = async || running.ask(at, Some(&token), "GET", "/metadata").await.0;
    let direct = running.direct_port("marathon");
    let apps = async || running.ask(direct, Some(&token), "GET", "/v2/apps").await.0;
    let own = async || running.ask(at, Some(&token), "GET", "/tepui/v1/apps").await.0;
    assert_eq!((users().await, look().await, apps().await, own().await), (200, 200, 200, 200));
    running.put_user("bob", false).await;
    assert_eq!((users().await, look().await, apps().await, own().await), (403, 200, 200, 200));
    running.propose(AccessCommand::DeleteUser("bob".into())).await;
    assert_eq!((users().await, look().await, apps().await, own().await), (401, 401, 401, 401));
    // Nor is the token good for the next one of that name.
    running.put_user("bob", true).await;
    assert_eq!((users().await, look().await, apps().await, own().await), (401, 401, 401, 401));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_dialect_says_no_in_its_own_words() {
    let running = Running::start().await;
    let token = running.token(PLAIN);
    let at = running.front_door();
    for (method, path, kind, words) in [
        ("GET", "/acs/api/v1/users", "text/html", "<html lang"),
        (
            "POST",
            "/service/marathon/v2/apps",
            "application/json",
            r#"{"message":"Not Authorized to perform this action!"}"#,
        ),
        ("POST", "/tepui/v1/nodes/invite", "application/json", r#""code":"forbidden""#),
    ] {
        let (status, answer) = running.ask(at, Some(&token), method, path).await;
        assert_eq!(status, 403, "{answer}");
        let kind = format!("content-type: {kind}");
        assert!(answer.contains(&kind) && answer.contains(words), "{answer}");
    }
    running.stop().await;
}
