//! Changes by the command line: deploying, scaling, waiting, taking back, and refused files.

use expect_test::expect;

use super::Site;

const WEB: &str = "\
id: /web
cmd: ./serve
cpus: 0.5
mem: 64
instances: 2
";

#[tokio::test]
async fn apps_are_deployed_changed_and_removed() {
    let site = Site::new();
    std::fs::write(site.home.path().join("web.yaml"), WEB).unwrap();
    site.check(
        "app deploy web.yaml",
        expect![[r#"
        ! /web from web.yaml
        ! done
        exit 0
    "#]],
    )
    .await;
    site.check(
        "app list",
        expect![[r#"
        ID    STATUS   RUNNING  HEALTHY  CPUS  MEM     CHANGED  RUNS
        /web  running  2/2      -        0.5   64 MiB  0s       ./serve
        exit 0
    "#]],
    )
    .await;
    site.check(
        "app scale /web 3",
        expect![[r#"
        ! /web scales to 3
        ! done
        exit 0
    "#]],
    )
    .await;
    site.check(
        "app restart /web",
        expect![[r#"
        ! /web restarts
        ! done
        exit 0
    "#]],
    )
    .await;
    let two = format!("{WEB}---\n{}", WEB.replace("/web", "/two"));
    expect![[r#"
        ! 2 apps from standard input
        ! done
        exit 0
    "#]]
    .assert_eq(&site.run_with("app deploy -", &two, |_| {}).await);
    site.check(
        "app remove /two --yes",
        expect![[r#"
        ! /two is removed
        ! done
        exit 0
    "#]],
    )
    .await;
    site.check(
        "app scale /none 3",
        expect![[r#"
        ! error: app /none does not exist
        ! hint: tepui app list shows the apps there are
        exit 3
    "#]],
    )
    .await;
    let kill = site.run(&format!("task kill {}", site.world.task_id("/web"))).await;
    assert!(kill.ends_with("! 1 task killed\nexit 0\n"), "{kill}");
    let shown = site.run("app show /web --definition").await;
    let (definition, _) = shown.rsplit_once("exit").unwrap();
    let again = site.run_with("app deploy -", definition, |_| {}).await;
    assert!(again.ends_with("exit 0\n"), "{shown}{again}");
    let versions = site.run("app versions /web").await;
    assert!(versions.lines().count() > 3, "{versions}");
    let diff = site.run("app diff /web").await;
    assert!(diff.contains(" → ") && diff.ends_with("exit 0\n"), "{diff}");
    let told = site.run("app rollback /web --dry-run").await;
    assert!(told.ends_with("exit 0\n") && site.world.state().deployments.is_empty(), "{told}");
    let back = site.run("app rollback /web --no-wait").await;
    assert!(back.ends_with("exit 0\n"), "{back}");
    site.world.settle();
    let past = site.run("history /web").await;
    assert!(past.contains("/web created with ") && past.contains("(cli)"), "{past}");
    let lines = site.run("history /web --kind change -n 1 -o jsonl").await;
    assert!(lines.starts_with('{') && lines.lines().count() == 2, "{lines}");
    let none = site.run("history --kind nonsense").await;
    assert!(none.contains("is not one of change, deployment, attempt"), "{none}");
}

#[tokio::test]
async fn a_refused_definition_names_the_line() {
    let site = Site::new();
    let bad = "id: /web\ncmd: x\ncpus: lots\n";
    expect![[r#"
        ! error: the definition is refused
        !   standard input:3:7  /cpus: must be a number
        exit 2
    "#]]
    .assert_eq(&site.run_with("app deploy -", bad, |_| {}).await);
    let bad = "{\n  \"id\": \"/web\",\n  \"cmd\": \"x\",\n  \"upgradeStrategy\": {\n    \"minimumHealthCapacity\": 1.5\n  }\n}";
    expect![[r#"
        ! error: the definition is refused
        !   standard input:2:2  must not be an empty string
        !   standard input:5:32  /upgradeStrategy/minimumHealthCapacity: got 1.5, expected between 0.0 and 1.0
        exit 2
    "#]].assert_eq(&site.run_with("app deploy -", bad, |_| {}).await);
    let bad = "id: /a\ncmd: x\n---\nid: /b\ncmd: x\ninstances: -1\n";
    expect![[r#"
        ! error: the definition is refused
        !   standard input:6:12  /instances: is too small
        exit 2
    "#]]
    .assert_eq(&site.run_with("app deploy -", bad, |_| {}).await);
}

#[tokio::test]
async fn a_wait_ends_with_the_deployment_or_in_time() {
    let site = Site::new();
    let big = WEB.replace("cpus: 0.5", "cpus: 64");
    let late = site.run_with("app deploy - --timeout 1s", &big, |_| {}).await;
    let id = site.world.state().deployments.keys().next().unwrap().to_string();
    expect![[r#"
        ! /web from standard input
        !   step 2/2  scale  /web  0/2  2 instances wait: none of 2 nodes fits: 2 have too few cpus free (needs 64 cpus; most free 4 on a1)
        ! error: deployment DEPLOYMENT is not done after 1 s
        ! hint: it goes on; follow it with: tepui deployment watch DEPLOYMENT   or ask: tepui why /web
        exit 6
    "#]].assert_eq(&late.replace(&id, "DEPLOYMENT"));
    let locked = site.run("app scale /web 1").await.replace(&id, "DEPLOYMENT");
    expect![[r#"
        ! error: a deployment that is under way holds the app
        !   held by deployment DEPLOYMENT
        ! hint: wait for it, or repeat with --force to put it aside
        exit 5
    "#]]
    .assert_eq(&locked);
    let watch = format!("deployment watch {id}");
    let cancel = async {
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        site.run(&format!("deployment cancel {}", &id[..8])).await
    };
    let (watched, cancelled) = tokio::join!(site.run(&watch), cancel);
    assert!(cancelled.ends_with("exit 0\n"), "{cancelled}");
    assert!(watched.ends_with("exit 0\n") || watched.ends_with("exit 8\n"), "{watched}");
    let accepted = site.run_with("app deploy - --no-wait", WEB, |_| {}).await;
    assert!(accepted.starts_with("deployment ") && accepted.ends_with("exit 0\n"), "{accepted}");
}

#[tokio::test]
async fn files_are_refused_with_the_place_before_anything_is_sent() {
    let site = Site::new();
    std::fs::write(site.home.path().join("bad.yaml"), "id: /a\ncpus: [1\n").unwrap();
    site.check("app deploy bad.yaml", expect![[r#"
        ! error: bad.yaml:3:1: did not find expected ',' or ']' at line 3 column 1, while parsing a flow sequence at line 2 column 7
        exit 2
    "#]]).await;
    site.check(
        "app deploy none.yaml",
        expect![[r#"
            ! error: none.yaml: No such file or directory
            ! hint: name a file of Marathon JSON or YAML, or - for standard input
            exit 2
        "#]],
    )
    .await;
    expect![[r#"
        ! error: standard input:1:1: an app needs an id, as /web
        exit 2
    "#]]
    .assert_eq(&site.run_with("app deploy -", "cpus: 1", |_| {}).await);
}
