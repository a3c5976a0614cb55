//! Names on the command line: short ids, misspelt ones, and those that name nothing.

use expect_test::expect;
use tepui::model::instance::Condition;

use super::Site;

#[tokio::test]
async fn ids_are_accepted_as_short_as_they_are_shown() {
    let site = Site::new();
    site.world.app("/web", 2, |_| {});
    site.world.files.lock().insert("stdout".into(), b"hello\n".to_vec());
    let task = site.world.task_id("/web");
    let number = task.split_once("instance-").unwrap().1[..8].to_owned();
    for line in [format!("task show {number}"), format!("task show web.instance-{number}")] {
        let shown = site.run(&line).await;
        assert!(shown.starts_with(&task) && shown.ends_with("exit 0\n"), "{line}: {shown}");
    }
    assert_eq!(site.run(&format!("log {number}")).await, "hello\nexit 0\n");
    // An app's name is the app, however its tasks are called.
    let both = site.run("log web").await;
    assert!(both.lines().filter(|l| l.contains("hello")).count() == 2, "{both}");
    for node in ["S1", "a1", "c0ffee00-0000-4000-8000-000000000000-S1"] {
        let shown = site.run(&format!("node show {node}")).await;
        assert!(shown.starts_with("a1  active: takes work\n"), "{node}: {shown}");
        let tasks = site.run(&format!("task list --node {node}")).await;
        assert!(tasks.lines().count() == 3, "{node}: {tasks}");
    }
    site.check(
        "node show c0ffee",
        expect![[r#"
        ! error: c0ffee may mean several nodes
        !   a1  c0ffee00-0000-4000-8000-000000000000-S1
        !   a2  c0ffee00-0000-4000-8000-000000000000-S2
        ! hint: write a few more letters
        exit 2
    "#]],
    )
    .await;
}

#[tokio::test]
async fn misspelt_names_are_recognised_by_every_command() {
    let site = Site::new();
    site.world.app("/prod/web", 1, |_| {});
    for line in [
        "app show /prod/wbe",
        "app scale /prod/wbe 2",
        "app restart /prod/wbe",
        "app remove /prod/wbe --yes",
        "app versions /prod/wbe",
        "app rollback /prod/wbe",
        "why /prod/wbe",
        "log /prod/wbe",
        "exec /prod/wbe -- ls",
        "task list --app /prod/wbe",
    ] {
        let told = site.run(line).await;
        assert!(told.contains("! hint: did you mean /prod/web?\nexit 3\n"), "{line}: {told}");
    }
    site.check(
        "app show /prod",
        expect![[r#"
        ! error: app /prod does not exist
        ! hint: /prod is a group; its apps: /prod/web
        exit 3
    "#]],
    )
    .await;
    site.check(
        "node show a11",
        expect![[r#"
        ! error: node a11 does not exist
        ! hint: did you mean a1?
        exit 3
    "#]],
    )
    .await;
}

#[tokio::test]
async fn what_names_no_app_is_a_usage_error() {
    let site = Site::new();
    site.world.app("/web", 1, |_| {});
    site.check(
        "app show /",
        expect![[r#"
        ! error: "/" names no app: an app has a name below the root, as /web
        ! hint: tepui app list shows the apps there are
        exit 2
    "#]],
    )
    .await;
    for line in
        ["app scale / 1", "app restart /", "app remove / --yes", "app versions /", "why /", "log /"]
    {
        let told = site.run(line).await;
        assert!(told.contains("names no app") && told.ends_with("exit 2\n"), "{line}: {told}");
    }
    assert_eq!(site.world.state().apps.len(), 1);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_an_error() {
    let site = Site::new();
    site.world.app("/web", 2, |_| {});
    let told = site.run("log /web -F nofile").await;
    assert!(told.contains("has no file nofile") && told.ends_with("exit 3\n"), "{told}");
}

#[tokio::test]
async fn an_app_that_cannot_start_is_removed_at_once() {
    let site = Site::new();
    let big = "id: /big\ncmd: ./x\ncpus: 64\nmem: 16\n";
    let begun = site.run_with("app deploy - --no-wait", big, |_| {}).await;
    let id = begun.lines().next().unwrap().strip_prefix("deployment ").unwrap().to_owned();
    let removed = site.run("app remove /big --yes").await.replace(&id, "DEPLOYMENT");
    expect![[r#"
        ! deployment DEPLOYMENT is put aside
        ! /big is removed
        ! done
        exit 0
    "#]]
    .assert_eq(&removed);
    // One that works on other apps too is not put aside without being asked for.
    let two = format!("{big}---\nid: /other\ncmd: ./x\ncpus: 64\nmem: 16\n");
    let begun = site.run_with("app deploy - --no-wait", &two, |_| {}).await;
    let id = begun.lines().next().unwrap().strip_prefix("deployment ").unwrap().to_owned();
    let removed = site.run("app remove /big --yes").await.replace(&id, "DEPLOYMENT");
    expect![[r#"
        ! error: a deployment that is under way holds the app
        !   held by deployment DEPLOYMENT
        ! hint: wait for it, or repeat with --force to put it aside
        exit 5
    "#]]
    .assert_eq(&removed);
}

#[tokio::test]
async fn an_app_that_ends_at_once_is_no_success() {
    let site = Site::new();
    let ends = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let state = site.world.state();
        let instance = state.instances.values().next().unwrap();
        site.world.report(instance.id.as_str(), Condition::Failed, |r| {
            r.message = "Command exited with status 3".into();
        });
    };
    let text = "id: /once\ncmd: exit 3\ncpus: 0.1\nmem: 16\n";
    let (told, ()) = tokio::join!(site.run_with("app deploy -", text, |_| {}), ends);
    let task =
        told.split("tepui log ").nth(1).unwrap_or_default().lines().next().unwrap_or_default();
    expect![[r#"
        ! /once from standard input
        ! error: /once is deployed but does not stay up: Command exited with status 3
        ! hint: what it wrote: tepui log TASK
        exit 8
    "#]]
    .assert_eq(&told.replace(task, "TASK"));
}
