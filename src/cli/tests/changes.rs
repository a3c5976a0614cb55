//! Changes that are waited for, and names that must not mean anything by accident.

use super::*;

const APP: &str = "/service/marathon/v2/apps/a";
const VERSION: &str = "2026-01-01T00:00:00.000Z";

/// An app that is well by its own checks, so that nobody has to watch it any longer.
fn well(version: &str, deployments: &[&str]) -> Value {
    json!({
        "id": "/a", "version": version, "condition": "running", "has_health_checks": true,
        "instances": {"wanted": 1, "running": 1, "healthy": 1}, "deployments": deployments,
    })
}

fn under_way(blocked: Option<&str>) -> Value {
    let action = json!({"action": "scale", "app_id": "/a", "done": 1, "of": 3, "blocked": blocked});
    json!({"deployments": [
        {"id": "d1", "step": 1, "steps": 2, "version": VERSION, "app_ids": ["/a"],
         "actions": [action]},
    ]})
}

fn none() -> Value {
    json!({"deployments": []})
}

/// An accepted change of `/a`, and what is seen of its deployment and then of the app.
fn site(deployments: &[Value], app: &[(u16, Value)]) -> Site {
    let site = Site::new();
    site.says("GET /tepui/v1/apps/a", 200, well(VERSION, &[]));
    for (status, app) in app {
        site.says("GET /tepui/v1/apps/a", *status, app);
    }
    site.says(&format!("PUT {APP}"), 200, json!({"deploymentId": "d1", "version": VERSION}));
    for row in deployments {
        site.says("GET /tepui/v1/deployments", 200, row);
    }
    site
}

#[tokio::test]
async fn a_change_is_waited_for_and_its_end_is_the_exit_code() {
    let gone = json!({"error": {"message": "no such app"}});
    let failure = json!({
        "at": "2026-01-01T00:00:01.000Z", "message": "exit code 3", "task_id": "t1",
    });
    let failing = json!({
        "id": "/a", "version": VERSION, "instances": {"wanted": 1, "running": 0},
        "last_failure": failure,
    });
    let sick = json!({
        "id": "/a", "version": "2025-12-31T00:00:00.000Z", "instances": {"wanted": 1, "running": 1},
    });
    let blocked = under_way(Some("no node has 3 cpus free"));
    for (rows, app, code, said) in [
        (vec![none()], (200, well(VERSION, &[])), 0, "/a scales to 3\ndone\n"),
        (
            vec![blocked.clone(), under_way(None), none()],
            (200, well(VERSION, &[])),
            0,
            "/a scales to 3\n  step 1/2  scale  /a  1/3  no node has 3 cpus free\n  \
             step 1/2  scale  /a  1/3\ndone\n",
        ),
        (vec![none()], (404, gone), 0, "/a scales to 3\ndone\n"),
        (
            vec![under_way(None), none()],
            (200, sick),
            8,
            "/a scales to 3\n  step 1/2  scale  /a  1/3\nerror: deployment d1 was taken back \
             before it was done\nhint: tepui app show /a tells what runs and what failed last\n",
        ),
        (
            vec![under_way(None), none()],
            (200, well("2026-01-02T00:00:00.000Z", &["d2"])),
            8,
            "/a scales to 3\n  step 1/2  scale  /a  1/3\nerror: deployment d1 was overtaken by a \
             newer one\nhint: tepui deployment list shows it\n",
        ),
        (
            vec![under_way(None), none()],
            (200, well("2026-01-02T00:00:00.000Z", &[])),
            0,
            "/a scales to 3\n  step 1/2  scale  /a  1/3\ndone\n",
        ),
        (
            vec![none()],
            (200, failing),
            8,
            "/a scales to 3\nerror: /a is deployed but does not stay up: exit code 3\nhint: what \
             it wrote: tepui log t1\n",
        ),
    ] {
        let site = site(&rows, &[app]);
        let done = site.run("app scale /a 3").await;
        assert_eq!(done.said(), (code, said));
        assert_eq!(done.out, "");
    }
}

#[tokio::test]
async fn a_wait_ends_with_its_time_and_the_change_goes_on() {
    let site = site(&[under_way(None)], &[]);
    let done = site.run("app scale /a 3 --timeout 0s --quiet").await;
    assert_eq!(
        done.said(),
        (
            6,
            "error: deployment d1 is not done after 0 s\nhint: it goes on; follow it with: tepui \
             deployment watch d1   or ask: tepui why /a\n"
        )
    );
    assert!(!site.lines().iter().any(|line| line.starts_with("DELETE")), "nothing is taken back");
}

#[tokio::test]
async fn who_does_not_wait_gets_the_deployment_as_data() {
    let lines = site(&[], &[]).run("app scale /a 3 --no-wait").await;
    assert_eq!(
        (lines.code, lines.out.as_str(), lines.err.as_str()),
        (0, "deployment d1\n", "/a scales to 3\n")
    );
    let site = site(&[], &[]);
    let json = site.run("app scale /a 3 --no-wait --json --force").await;
    let told: Value = serde_json::from_str(&json.out).expect("json");
    assert_eq!((told["deploymentId"].as_str(), json.err.as_str()), (Some("d1"), ""));
    let put = site.asked().pop().expect("the change");
    assert_eq!((put.line, put.body), (format!("PUT {APP}?force=true"), json!({"instances": 3})));
}

/// `tepui deployment cancel "$ID"` with nothing in the variable must not take back whatever is
/// under way, nor drain or forget the only node there is.
#[tokio::test]
async fn an_empty_name_names_nothing() {
    let nodes = json!({"nodes": [{"id": "c0ffee-S1", "host": "n1", "instances": 3}]});
    for args in [
        &["deployment", "cancel", ""][..],
        &["deployment", "show", ""],
        &["deployment", "watch", ""],
        &["node", "drain", "", "--no-wait"],
        &["node", "undrain", ""],
        &["node", "remove", "", "--yes"],
        &["node", "show", ""],
        &["task", "list", "--node", ""],
        &["task", "show", ""],
        &["task", "kill", ""],
        &["app", "remove", "", "--yes"],
        &["app", "remove", "/", "--yes"],
        &["app", "scale", "", "0"],
        &["app", "restart", "//"],
        &["log", ""],
        &["exec", "", "--", "ls"],
        &["why", ""],
    ] {
        let site = Site::new();
        site.says("GET /tepui/v1/deployments", 200, under_way(None));
        site.says("GET /tepui/v1/nodes", 200, &nodes).says("GET /tepui/v1/nodes/", 200, &nodes);
        site.says("GET /tepui/v1/tasks", 200, json!({"tasks": [{"id": "a.instance-1"}]}));
        site.says("GET /tepui/v1/apps", 200, json!({"apps": [well(VERSION, &[])]}));
        let done = site.run_in(args, "", site.env()).await;
        assert!([2, 3].contains(&done.code), "{args:?} ends with {}: {}", done.code, done.err);
        let changes: Vec<String> = site.lines();
        assert!(changes.iter().all(|line| line.starts_with("GET")), "{args:?}: {changes:?}");
    }
}

#[tokio::test]
async fn a_short_name_means_one_thing_or_nothing() {
    let site = Site::new();
    let row = |id: &str| json!({"id": id, "step": 1, "steps": 1, "app_ids": ["/a"]});
    site.says("GET /tepui/v1/deployments", 200, json!({"deployments": [row("12ab"), row("12cd")]}));
    let done = site.run("deployment show 12").await;
    assert_eq!(
        done.said(),
        (2, "error: 12 may mean several deployments\nhint: write a few more letters\n")
    );
    assert_eq!(site.run("deployment show 12c").await.out.lines().next(), Some("12cd"));
    assert_eq!(site.run("deployment show 2").await.code, 3, "not from the middle");

    let task = |id: &str, condition: &str| {
        let task_id = format!("{id}._app.1");
        json!({"id": id, "task_id": task_id, "condition": condition})
    };
    let tasks = [task("a.instance-77", "finished"), task("b.instance-78", "running")];
    site.says("GET /tepui/v1/tasks", 200, json!({ "tasks": tasks }));
    let done = site.run("task show 7").await;
    assert!(
        done.out.starts_with("b.instance-78._app.1  running"),
        "what runs is meant: {}",
        done.out
    );
}

#[tokio::test]
async fn only_a_yes_is_a_yes() {
    for (answer, is_yes) in [
        ("y\n", true),
        ("Y\n", true),
        ("yes\n", true),
        (" YES \n", true),
        ("yes", true),
        ("\n", false),
        ("", false),
        ("n\n", false),
        ("yeah\n", false),
        ("no\nyes\n", false),
    ] {
        let mut site = Site::new();
        site.terminal = [true; 3];
        site.says("POST /tepui/v1/tokens/rotate", 200, json!({}));
        let done = site.run_in(&["token", "rotate"], answer, site.env()).await;
        assert_eq!(
            (done.code == 0, site.lines().len()),
            (is_yes, usize::from(is_yes)),
            "{answer:?}"
        );
        assert!(done.err.starts_with("Everybody has to sign in again. [y/N] "), "{}", done.err);
    }
    for (terminal, no_input) in
        [([false, true, true], ""), ([true, true, false], ""), ([true; 3], "1")]
    {
        let mut site = Site::new();
        site.terminal = terminal;
        let mut env = site.env();
        env.insert("TEPUI_NO_INPUT".into(), no_input.into());
        let done = site.run_in(&["token", "rotate"], "y\n", env).await;
        assert_eq!((done.code, site.lines().len()), (2, 0), "nobody is there to ask");
        assert!(done.err.contains("repeat with --yes"), "{}", done.err);
    }
}

#[tokio::test]
async fn a_definition_that_is_refused_is_told_by_its_lines() {
    let site = Site::new();
    let file = site.home.path().join("web.yaml");
    std::fs::write(&file, "- id: /a\n  cpus: 1\n- id: /b\n  cpus: x\n  mem: 5\n").expect("written");
    let details = json!([
        {"path": "(1)/cpus", "errors": ["error.expected.jsnumber"]},
        {"path": "/0/cmd",
         "errors": ["error.path.missing", "Feature gpu_resources is not enabled. x"]},
        {"path": "/", "errors": ["something else"]},
    ]);
    let refusal = json!({"message": "Invalid JSON", "details": details});
    site.says("PUT /service/marathon/v2/apps", 422, refusal);
    assert_eq!(
        site.run("app deploy web.yaml").await.said(),
        (
            2,
            "error: the definition is refused\n  web.yaml:4:9  /cpus: must be a number\n  \
             web.yaml:1:3  /cmd: is missing\n  web.yaml:1:3  /cmd: gpu resources are not part of \
             tepui yet; leave them out of the definition\n  web.yaml  something else\n"
        )
    );
    let sent = site.asked().pop().expect("the change");
    assert_eq!(sent.line, "PUT /service/marathon/v2/apps?force=false&partialUpdate=false");
    assert_eq!(sent.body.as_array().map(Vec::len), Some(2));
    assert_eq!(site.run("app deploy nothing.yaml").await.code, 2);
    assert_eq!(
        site.run_in(&["app", "deploy", "-"], "id: /a\ncpu: 1\n", site.env()).await.said(),
        (
            2,
            "error: standard input has a key that means nothing\n  standard input:2  cpu is no key \
             of an app; did you mean cpus?\nhint: correct the file, or send it as it is with \
             --allow-unknown\n"
        )
    );
    assert_eq!(site.lines().len(), 1, "what is wrong here is not sent");
}
