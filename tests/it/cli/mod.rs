//! The command line against the real API on a socket: what it prints where, and how it ends.

use std::{
    collections::BTreeMap,
    io::{Cursor, Write},
    sync::Arc,
};

use expect_test::{Expect, expect};
use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use serde_json::Value;
use tepui::{
    api::{Api, routes},
    base::{rng::Rng, task::Tasks},
    cli::{self, Io},
    compat::marathon::{self, Dialect, Hub, Marathon, Settings},
    control::cluster::{Cluster, Error, Leader},
    core::{Accepted, Command, State, place},
    http::{
        Handler, Request,
        auth::{Principal, Rights, Trusted},
        serve::{Listener, Server},
    },
    model::{AppId, WorkloadSpec, instance::Condition},
};

use super::world::World;

mod changes;
mod cluster;
mod definitions;
mod local;
mod looks;
mod names;
mod session;
mod truth;

/// A server and the files of one user.
struct Site {
    world: Arc<World>,
    server: Server,
    home: tempfile::TempDir,
    _tasks: Tasks,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// As the running system shows definitions.
fn show(spec: &WorkloadSpec) -> Value {
    marathon::convert::shown(spec)
}

/// The world of the Marathon dialect: what it decides happens before it answers.
struct Prompt(Arc<World>);

impl Cluster for Prompt {
    fn propose<'a>(
        &'a self,
        by: &'a Principal,
        command: Command,
    ) -> BoxFuture<'a, Result<Accepted, Error>> {
        let outcome = self.0.apply_by(Some(by.by()), command);
        self.0.settle();
        std::future::ready(outcome.map_err(Into::into)).boxed()
    }

    fn state(&self) -> Arc<State> {
        self.0.state()
    }

    fn leader(&self) -> Option<Leader> {
        self.0.leader()
    }

    fn leads(&self) -> bool {
        true
    }

    fn attempt(&self, app: &AppId) -> Option<Arc<place::Report>> {
        self.0.attempt(app)
    }
}

/// What the admin router does with the paths these tests use.
fn front(world: &Arc<World>, tasks: &Tasks) -> impl Handler {
    let guard = || Arc::new(Trusted(Principal::new("admin", Rights::All)));
    let api = Api::new(
        world.clone(),
        world.clock.clone(),
        tasks,
        show,
        Arc::new(tepui::compat::marathon::Apps::default()),
    );
    let api = Arc::new(routes::table(api).guard(guard()));
    let (rng, settings, hub) = (Rng::from_seed(1), Settings::default(), Arc::new(Hub::default()));
    let prompt = Arc::new(Prompt(world.clone()));
    let dialect = Marathon::new(prompt, world.clock.clone(), rng, settings, hub);
    let dialect = Arc::new(Dialect::new(Arc::new(dialect), Some(guard())));
    move |mut request: Request| {
        let (api, dialect) = (api.clone(), dialect.clone());
        async move {
            let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
            match path.strip_prefix("/service/marathon") {
                Some(rest) => {
                    *request.uri_mut() = rest.parse().unwrap();
                    dialect.call(request).await
                }
                None => api.call(request).await,
            }
        }
    }
}

impl Site {
    fn new() -> Self {
        Self::of(World::new())
    }

    fn of(world: Arc<World>) -> Self {
        let tasks = Tasks::new("test");
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let server = listener.serve(Arc::new(front(&world, &tasks)), &tasks);
        Self { world, server, home: tempfile::tempdir().unwrap(), _tasks: tasks }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.local_addr())
    }

    fn env(&self) -> BTreeMap<String, String> {
        let home = self.home.path().display().to_string();
        [("TEPUI_URL".into(), self.url()), ("HOME".into(), home)].into()
    }

    /// Output, errors and exit code of one command line, as one text. Addresses that differ from
    /// run to run are named.
    async fn run_with(
        &self,
        line: &str,
        stdin: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> String {
        let (out, err) = (Shared::default(), Shared::default());
        let mut env = self.env();
        change(&mut env);
        let io = Io {
            stdin: Box::new(Cursor::new(stdin.to_owned().into_bytes())),
            stdout: Box::new(out.clone()),
            stderr: Box::new(err.clone()),
            terminal: [false; 3],
            env,
            cwd: self.home.path().to_owned(),
            system_files: false,
            clock: self.world.clock.clone(),
        };
        let args = std::iter::once("tepui").chain(line.split_whitespace());
        let code = cli::run(args.map(Into::into), io).await;
        let text = |shared: &Shared| String::from_utf8(shared.0.lock().clone()).unwrap();
        let mut all = text(&out);
        for line in text(&err).lines() {
            all.push_str(&format!("! {line}\n"));
        }
        all.push_str(&format!("exit {code}\n"));
        all.replace(&self.url(), "URL").replace(&self.home.path().display().to_string(), "HOME")
    }

    async fn run(&self, line: &str) -> String {
        self.run_with(line, "", |_| {}).await
    }

    async fn check(&self, line: &str, wanted: Expect) {
        wanted.assert_eq(&self.run(line).await);
    }
}

#[tokio::test]
async fn errors_say_what_to_do_next() {
    let site = Site::new();
    site.world.app("/prod/web", 1, |_| {});
    site.check(
        "why /prod/wbe",
        expect![[r#"
        ! error: app /prod/wbe does not exist
        ! hint: did you mean /prod/web?
        exit 3
    "#]],
    )
    .await;
    site.check(
        "task show nope",
        expect![[r#"
        ! error: task nope does not exist
        ! hint: tepui task list shows the tasks there are
        exit 3
    "#]],
    )
    .await;
    site.check(
        "node show a9",
        expect![[r#"
        ! error: node a9 does not exist
        ! hint: tepui node list shows the nodes there are
        exit 3
    "#]],
    )
    .await;
    site.check(
        "deployment watch 77",
        expect![[r#"
        ! error: no deployment 77 is under way
        ! hint: it may be done; tepui deployment list shows those under way
        exit 3
    "#]],
    )
    .await;
    site.check(
        "app remove /prod/web",
        expect![[r#"
        ! error: Remove /prod/web with 1 running instance? Not without a yes.
        ! hint: repeat with --yes
        exit 2
    "#]],
    )
    .await;
    site.check(
        "app frobnicate",
        expect![[r#"
            ! error: unrecognized subcommand 'frobnicate'
            ! 
            ! Usage: tepui app <COMMAND>
            ! 
            ! For more information, try '--help'.
            exit 2
        "#]],
    )
    .await;
    site.check("--json node show a9", expect![[r#"
        ! {"error":{"exit":3,"message":"node a9 does not exist","hint":"tepui node list shows the nodes there are"}}
        exit 3
    "#]]).await;
    let nowhere = |env: &mut BTreeMap<_, _>| drop(env.remove("TEPUI_URL"));
    expect![[r#"
        ! error: no cluster is known
        ! hint: start one with: tepui dev   or sign in to one with: tepui login URL
        exit 7
    "#]]
    .assert_eq(&site.run_with("status", "", nowhere).await);
    let wrong = |env: &mut BTreeMap<_, _>| drop(env.insert("TEPUI_URL".into(), "ftp://x".into()));
    expect![[r#"
        ! error: "ftp://x" is not an address
        ! hint: write it as http://host:8000 or https://host
        exit 2
    "#]]
    .assert_eq(&site.run_with("status", "", wrong).await);
    let dead = |env: &mut BTreeMap<_, _>| {
        env.insert("TEPUI_URL".into(), "http://127.0.0.1:1".into());
    };
    expect![[r#"
        ! error: cannot reach http://127.0.0.1:1: Connection refused
        ! hint: the address comes from TEPUI_URL; tepui doctor looks closer
        exit 7
    "#]]
    .assert_eq(&site.run_with("status", "", dead).await);
}

#[tokio::test]
async fn json_is_the_answer_of_the_api() {
    let site = Site::new();
    site.world.app("/a", 1, |_| {});
    let text = site.run("--json app list").await;
    let (json, code) = text.rsplit_once("exit ").unwrap();
    let apps: Value = serde_json::from_str(json).unwrap();
    assert_eq!((apps[0]["id"].as_str(), code), (Some("/a"), "0\n"));
}

#[tokio::test]
async fn output_is_read_by_lines_and_followed_to_the_end() {
    let site = Site::new();
    site.world.app("/a", 1, |_| {});
    site.world.files.lock().insert("stdout".into(), b"one\ntwo\nthree\n".to_vec());
    let task = site.world.task_id("/a");
    assert_eq!(site.run("log /a -n 2").await, "two\nthree\nexit 0\n");
    assert_eq!(site.run(&format!("log {task} -n 1")).await, "three\nexit 0\n");
    assert_eq!(site.run(&format!("task ls {task}")).await, "stdout\nexit 0\n");
    assert_eq!(
        site.run(&format!("task download {task} stdout")).await,
        "one\ntwo\nthree\nexit 0\n"
    );
    let found = site.run(&format!("task grep {task} T -i")).await;
    assert_eq!(found, "2:two\n3:three\nexit 0\n");
    let found = site.run(&format!("task grep {task} [aeiou] -n 2")).await;
    assert!(found.starts_with("1:one\n2:two\n! 8B of 14B were looked through"), "{found}");
    let found = site.run(&format!("task grep {task} four")).await;
    assert_eq!(found, "! no line of stdout matches\nexit 0\n");
    site.check(
        &format!("log {task} -F nothing"),
        expect![[r#"
            ! error: a.instance-4dbd006c-980d-430e-aaba-f70654729388._app.1 has no file nothing
            ! hint: tepui task ls a.instance-4dbd006c-980d-430e-aaba-f70654729388._app.1 shows its files
            exit 3
        "#]],
    )
    .await;
    let world = site.world.clone();
    let ends = async move {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        world.files.lock().get_mut("stdout").unwrap().extend_from_slice(b"four\n");
        let state = world.state();
        let instance = state.instances.values().next().unwrap();
        world.report(instance.id.as_str(), Condition::Failed, |_| {});
    };
    let line = format!("log {task} -n 1 --follow");
    let (text, ()) = tokio::join!(site.run(&line), ends);
    assert_eq!(text, "three\nfour\nexit 0\n");
}

#[tokio::test]
async fn a_command_runs_in_a_task_and_its_code_is_ours() {
    let site = Site::new();
    site.world.app("/a", 1, |_| {});
    assert_eq!(site.run("exec /a -- echo hi there").await, "echo hi there\nexit 3\n");
    let text = site.run_with("exec -i /a -- cat", "from stdin", |_| {}).await;
    assert_eq!(text, "from stdinexit 0\n");
    site.check(
        "exec -t /a -- sh",
        expect![[r#"
        ! error: -t wants a terminal on both sides
        ! hint: leave -t away when input or output is a file or a pipe
        exit 2
    "#]],
    )
    .await;
    site.check(
        "exec /nope -- sh",
        expect![[r#"
        ! error: /nope is neither a task nor an app
        ! hint: tepui app list and tepui task list show what there is
        exit 3
    "#]],
    )
    .await;
}

#[tokio::test]
async fn nodes_are_drained_until_nothing_is_left() {
    let site = Site::new();
    site.check(
        "node drain a1 --dry-run",
        expect![[r#"
            ! nothing runs here
            exit 0
        "#]],
    )
    .await;
    site.check(
        "node drain a1",
        expect![[r#"
        ! a1 drains: 0 tasks to move
        ! nothing runs on a1 any more
        exit 0
    "#]],
    )
    .await;
    site.check(
        "node undrain a1",
        expect![[r#"
        ! a1 takes work again
        exit 0
    "#]],
    )
    .await;
}

#[tokio::test]
async fn completions_and_versions_need_no_cluster() {
    let site = Site::new();
    let nowhere = |env: &mut BTreeMap<_, _>| drop(env.remove("TEPUI_URL"));
    let text = site.run_with("completions bash", "", nowhere).await;
    assert!(text.contains("complete -F _tepui") && text.ends_with("exit 0\n"));
    let version = format!("tepui {}\nexit 0\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(site.run_with("version", "", nowhere).await, version);
    let release = env!("CARGO_PKG_VERSION");
    let with_level = format!("tepui {release} (level {})\nexit 0\n", tepui::base::level::LEVEL);
    assert_eq!(site.run_with("--version", "", nowhere).await, with_level);
}

#[tokio::test]
async fn a_closed_pipe_is_no_failure() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let site = Site::new();
    let err = Shared::default();
    let io = Io {
        stdin: Box::new(std::io::empty()),
        stdout: Box::new(Closed),
        stderr: Box::new(err.clone()),
        terminal: [false; 3],
        env: site.env(),
        cwd: site.home.path().to_owned(),
        system_files: false,
        clock: site.world.clock.clone(),
    };
    let code = cli::run(["tepui", "status"].map(Into::into), io).await;
    assert_eq!((code, err.0.lock().len()), (0, 0));
}
