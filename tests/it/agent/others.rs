//! What others do to the engine and to our containers, and what the engine leaves to its clients:
//! networks of one name, commands that never end, containers started again behind our back.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    time::Duration,
};

use tepui::{
    agent::engine::EngineRuntime,
    base::{clock::SystemClock, rng::Rng},
    host::docker::Engine,
    model::{
        AppId, InstanceId, RunSpec, WorkloadSpec,
        container::{Command, HealthCheck, Probe},
        instance::Condition,
        link::{Answer, Order, Question, ToAgent},
        workload::{Network, NetworkMode},
    },
};

use super::rig::{PATIENCE, Rig, image_container, order, plain, plain_container, socket, spec};

/// What the engine answers to a request of another client.
pub fn ask(socket: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("the engine answers");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn on_network(name: &str, id: &str, command: &str) -> Order {
    let networks =
        vec![Network { mode: NetworkMode::Container, name: Some(name.into()), labels: [].into() }];
    let spec = WorkloadSpec {
        run: Arc::new(RunSpec {
            containers: vec![image_container(command)],
            networks,
            ..RunSpec::default()
        }),
        ..WorkloadSpec::new(AppId::parse("/it/net"), Default::default())
    };
    order(id, spec, vec![])
}

/// The name of networks of one test, which go with it.
struct NetworkName(String);

impl NetworkName {
    fn new() -> Self {
        Self(format!("net-{}", Rng::from_os().hex(12)))
    }

    /// Ids of the networks of this name.
    fn ids(&self) -> Vec<String> {
        let filter = format!("/networks?filters=%7B%22name%22%3A%5B%22{}%22%5D%7D", self.0);
        let answer = ask(&socket(), "GET", &filter, "");
        answer.split("\"Id\":\"").skip(1).map(|rest| rest[..64].to_owned()).collect()
    }

    /// Somebody makes a network of this name; `None`: the engine has one of it and takes no second.
    fn make(&self, labels: &str) -> Option<String> {
        let body = format!("{{\"Name\": \"{}\", \"Labels\": {{{labels}}}}}", self.0);
        let answer = ask(&socket(), "POST", "/networks/create", &body);
        if answer.starts_with("HTTP/1.1 409") {
            return None;
        }
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        Some(answer.split("\"Id\":\"").nth(1).unwrap()[..64].to_owned())
    }
}

impl Drop for NetworkName {
    fn drop(&mut self) {
        for id in self.ids() {
            ask(&socket(), "DELETE", &format!("/networks/{id}"), "");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_made_once_and_goes_when_nobody_uses_it() {
    let network = NetworkName::new();
    let (mut rig, mut other) = (Rig::new().await, Rig::new().await);
    for (rig, name) in [(&rig, "n"), (&other, "o")] {
        let ids = (0..6).map(|i| format!("{name}{i}-{}", network.0));
        let orders = ids.map(|id| on_network(&network.0, &id, "sleep 1000")).collect();
        rig.desire(orders).await;
    }
    for i in 0..6 {
        rig.until_condition(&format!("n{i}-{}", network.0), 1, Condition::Running).await;
        other.until_condition(&format!("o{i}-{}", network.0), 1, Condition::Running).await;
    }
    assert_eq!(network.ids().len(), 1);
    let mut gone = Vec::new();
    for rig in [&rig, &other] {
        let runtime = EngineRuntime::new(&socket(), &format!("{}-S0", rig.cluster()));
        let unused = || runtime.remove_unused_networks(Duration::ZERO, SystemClock::shared().now());
        assert_eq!(unused().await.unwrap(), Vec::<String>::new(), "it is used");
    }
    for rig in [&rig, &other] {
        for found in rig.containers().await {
            Engine::new(&socket()).remove(&found.id).await.unwrap();
        }
    }
    for rig in [&rig, &other] {
        let runtime = EngineRuntime::new(&socket(), &format!("{}-S0", rig.cluster()));
        let now = SystemClock::shared().now();
        gone.extend(runtime.remove_unused_networks(Duration::ZERO, now).await.unwrap());
    }
    assert_eq!(gone, std::slice::from_ref(&network.0));
    assert!(network.ids().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_networks_of_one_name_ours_goes_and_others_are_named() {
    let network = NetworkName::new();
    let mut rig = Rig::new().await;
    let (first, second) = (format!("1-{}", network.0), format!("2-{}", network.0));
    network
        .make(&format!("\"tepui.cluster\": \"{0}\", \"tepui.agent\": \"{0}-S0\"", rig.cluster()));
    let theirs = network.make("");
    let first = on_network(&network.0, &first, "sleep 1000");
    rig.desire(vec![first.clone()]).await;
    let report = rig.until_condition(first.instance.as_str(), 1, Condition::Running).await;
    assert_eq!(report.addresses.len(), 1);
    // An engine since version 25 does not let it come so far.
    let Some(theirs) = theirs else { return assert_eq!(network.ids().len(), 1) };
    assert_eq!(network.ids(), std::slice::from_ref(&theirs));
    let also_theirs = network.make("").expect("a second one is taken");
    let second = on_network(&network.0, &second, "sleep 1000");
    rig.desire(vec![first, second.clone()]).await;
    let report = rig.until_condition(second.instance.as_str(), 1, Condition::Failed).await;
    for part in [&theirs[..12], &also_theirs[..12], "docker network rm"] {
        assert!(report.message.contains(part), "{}", report.message);
    }
    for found in rig.containers().await {
        Engine::new(&socket()).remove(&found.id).await.unwrap();
    }
}

/// How many processes of this machine have `text` among their arguments.
fn processes_with(text: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|e| std::fs::read(e.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(text)).count()
}

/// A COMMAND check.
fn command_check(command: String, timeout_ms: u64) -> HealthCheck {
    HealthCheck {
        probe: Probe::Command(Command::Shell(command)),
        agent_semantics: true,
        grace_ms: 600_000,
        interval_ms: 100,
        timeout_ms,
        failures_max: 3,
        delay_ms: 0,
    }
}

/// Waits until `done` of the number of processes that have `text` among their arguments.
async fn until_processes(text: &str, what: &str, done: impl Fn(usize) -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let n = processes_with(text);
        if done(n) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: {n} processes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_runs_into_its_time_out_is_ended() {
    let mut rig = Rig::new().await;
    // A number that no other process here sleeps for.
    let seconds = (100_000 + std::process::id()).to_string();
    // In a group of its own, without its parent, with an empty environment.
    let command =
        format!("(sleep {seconds} & env -i sleep {seconds} & wait) & sleep {seconds}; true");
    let check = command_check(command, 500);
    let ids = ["i", "p"].map(|name| format!("{name}-{}", rig.cluster()));
    let mut in_image = image_container("sleep 1000");
    in_image.health_checks = vec![check.clone()];
    let mut on_node = plain_container("sleep 1000");
    on_node.health_checks = vec![check];
    rig.desire(vec![
        order(&ids[0], spec(in_image, NetworkMode::Host), vec![]),
        order(&ids[1], spec(on_node, NetworkMode::Host), vec![]),
    ])
    .await;
    let (mut most, mut seen) = (0, 0);
    for id in &ids {
        rig.until_condition(id, 1, Condition::Running).await;
    }
    for _ in 0..120 {
        let n = processes_with(&seconds);
        most = most.max(n);
        seen += usize::from(n > 0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(seen > 5, "the checks run");
    // One round of a check is two shells and three sleeps; a shell is there twice for a moment
    // before it is a sleep.
    assert!(most <= 2 * 5, "{most} processes at a time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_in_a_group_of_the_tasks_own_choosing_is_ended_too() {
    let mut rig = Rig::new().await;
    let seconds = (400_000 + std::process::id()).to_string();
    let id = format!("c-{}", rig.cluster());
    let mut container = image_container("sleep 1000");
    let parent = ("cgroup-parent".to_owned(), format!("/{}", rig.cluster()));
    container.image.as_mut().unwrap().parameters.push(parent);
    container.health_checks =
        vec![command_check(format!("env -i sleep {seconds} & sleep {seconds}; true"), 500)];
    rig.desire(vec![order(&id, spec(container, NetworkMode::Host), vec![])]).await;
    rig.until_condition(&id, 1, Condition::Running).await;
    let (mut most, mut none, mut some) = (0, 0, 0);
    for _ in 0..60 {
        let n = processes_with(&seconds);
        most = most.max(n);
        none += usize::from(n == 0);
        some += usize::from(n > 0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(most <= 3 && none > 0 && some > 5, "{most} at a time, none {none}, some {some} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_listener_has_gone_is_ended() {
    let mut rig = Rig::new().await;
    let id = format!("e-{}", rig.cluster());
    rig.desire(vec![plain(&id, "sleep 1000")]).await;
    rig.until_condition(&id, 1, Condition::Running).await;
    let seconds = (200_000 + std::process::id()).to_string();
    let open = |tty| Question::Exec {
        instance: InstanceId::from(id.as_str()),
        container: String::new(),
        command: Command::Shell(format!("trap '' HUP; sleep {seconds}; true")),
        tty,
        stdin: true,
    };
    for (number, tty) in [(7, false), (8, true)] {
        let answer = rig.ask(number, open(tty)).await;
        assert!(matches!(answer, Ok(Answer::Started)), "{answer:?}");
    }
    until_processes(&seconds, "both run", |n| n >= 4).await;
    rig.reconnect().await;
    until_processes(&seconds, "nobody listens", |n| n == 0).await;
    // One that closes its output is waited for as long as somebody listens.
    let quiet = Question::Exec {
        instance: InstanceId::from(id.as_str()),
        container: String::new(),
        command: Command::Shell("exec >/dev/null 2>&1 </dev/null; sleep 4; exit 6".into()),
        tty: false,
        stdin: false,
    };
    let answer = rig.ask(10, quiet).await;
    assert!(matches!(answer, Ok(Answer::Started)), "{answer:?}");
    rig.until("its end", |rig| rig.over.contains_key(&10)).await;
    assert_eq!(rig.over[&10], Some(6));
    // One whose listener goes before the engine has started it.
    let answer = rig.ask(9, open(false)).await;
    assert!(matches!(answer, Ok(Answer::Started)), "{answer:?}");
    rig.ends.to_agent.send(ToAgent::End { id: 9 }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    until_processes(&seconds, "nobody ever listened", |n| n == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_an_agent_that_has_gone_are_ended_by_the_next() {
    let mut rig = Rig::new().await;
    let id = format!("g-{}", rig.cluster());
    let seconds = (300_000 + std::process::id()).to_string();
    let check = command_check(format!("sleep {seconds}; true"), 600_000);
    let mut container = image_container("sleep 1000");
    container.health_checks = vec![check];
    let order = order(&id, spec(container, NetworkMode::Host), vec![]);
    rig.desire(vec![order.clone()]).await;
    rig.until_condition(&id, 1, Condition::Running).await;
    let question = Question::Exec {
        instance: InstanceId::from(id.as_str()),
        container: String::new(),
        command: Command::Shell(format!("sleep {seconds}; true")),
        tty: false,
        stdin: false,
    };
    let answer = rig.ask(7, question).await;
    assert!(matches!(answer, Ok(Answer::Started)), "{answer:?}");
    // Somebody else's command is nobody's business.
    let theirs = format!("1{seconds}");
    let body = format!("{{\"Cmd\": [\"sleep\", \"{theirs}\"]}}");
    let path = format!("/containers/tepui-{id}._app.1/exec");
    let answer = ask(&socket(), "POST", &path, &body);
    let exec = answer.split("\"Id\":\"").nth(1).expect(&answer)[..64].to_owned();
    ask(&socket(), "POST", &format!("/exec/{exec}/start"), "{\"Detach\": true}");
    let word = format!("sleep {seconds}");
    until_processes(&word, "a shell of the check, one of the session", |n| n == 2).await;
    let rig = rig.restarted(async |_| {}).await;
    rig.desire(vec![order]).await;
    until_processes(&word, "both are ended", |n| n == 0 || n == 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    until_processes(&word, "the check runs again, alone", |n| n == 1).await;
    assert_eq!(processes_with(&theirs), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_started_again_by_somebody_is_no_second_copy() {
    let mut rig = Rig::new().await;
    let name_of = |id: &str| format!("tepui-{id}._app.1");
    let ids = ["again", "policy", "later"].map(|name| format!("{name}-{}", rig.cluster()));
    let on_host = |id: &str, command: &str| {
        order(id, spec(image_container(command), NetworkMode::Host), vec![])
    };
    let [again, policy, later] = &ids;
    let orders = vec![on_host(again, "sleep 1000"), on_host(policy, "sleep 1000")];
    let last = on_host(later, "sleep 1");
    rig.desire([orders.clone(), vec![last]].concat()).await;
    for id in [again, policy] {
        rig.until_condition(id, 1, Condition::Running).await;
    }
    let path = format!("/containers/{}/restart?t=0", name_of(again));
    let answer = ask(&socket(), "POST", &path, "");
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    // The engine itself starts it again.
    let always = "{\"RestartPolicy\": {\"Name\": \"always\"}}";
    let path = format!("/containers/{}/update", name_of(policy));
    let answer = ask(&socket(), "POST", &path, always);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let pid = Engine::new(&socket()).inspect(&name_of(policy)).await.unwrap().pid.unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
    for id in [again, policy] {
        let report = rig.until_condition(id, 1, Condition::Failed).await;
        assert_eq!(report.message, "Container exited with status 137");
    }
    rig.until_condition(later, 1, Condition::Finished).await;
    // Also one the leader has long let go of.
    rig.desire(orders).await;
    for _ in 0..4 {
        rig.hear().await;
    }
    ask(&socket(), "POST", &format!("/containers/{}/start", name_of(later)), "");
    let engine = Engine::new(&socket());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    for id in &ids {
        while engine.inspect(&name_of(id)).await.is_ok_and(|c| c.running) {
            assert!(tokio::time::Instant::now() < deadline, "{id} runs");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_container_is_ended_all_the_same() {
    let mut rig = Rig::new().await;
    let id = format!("p-{}", rig.cluster());
    let paused = order(&id, spec(image_container("sleep 1000"), NetworkMode::Host), vec![]);
    rig.desire(vec![paused.clone()]).await;
    rig.until_condition(&id, 1, Condition::Running).await;
    ask(&socket(), "POST", &format!("/containers/tepui-{id}._app.1/pause"), "");
    rig.desire(vec![super::rig::killed(&paused)]).await;
    rig.until_condition(&id, 1, Condition::Killed).await;
    let name = format!("tepui-{id}._app.1");
    assert!(!Engine::new(&socket()).inspect(&name).await.unwrap().running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_reached_the_limit_is_not_the_end() {
    let mut rig = Rig::new().await;
    let [fine, other] = ["fine", "other"].map(|name| format!("{name}-{}", rig.cluster()));
    let on_host = |id: &str, command: &str| {
        order(id, spec(image_container(command), NetworkMode::Host), vec![])
    };
    rig.desire(vec![
        on_host(&fine, "tail /dev/zero & wait; exit 0"),
        on_host(&other, "tail /dev/zero & wait; exit 3"),
    ])
    .await;
    let report = rig.until_condition(&fine, 1, Condition::Finished).await;
    assert_eq!(report.message, "Container exited with status 0");
    let report = rig.until_condition(&other, 1, Condition::Failed).await;
    assert!(report.message.starts_with("Container exited with status 3"), "{}", report.message);
}

/// A directory in the root of this machine, which goes with the test.
struct RootDir(String);

impl Drop for RootDir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir(&self.0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_command_starts_although_a_directory_of_the_node_has_gone() {
    let (mut rig, _root) = Rig::alone().await;
    let dir = RootDir(format!("/tepui-it-{}", std::process::id()));
    std::fs::create_dir(&dir.0).unwrap();
    let [first, second] = ["first", "second"].map(|name| format!("{name}-{}", rig.cluster()));
    let first = plain(&first, &format!("test -d {}", dir.0));
    rig.desire(vec![first.clone()]).await;
    rig.until_condition(first.instance.as_str(), 1, Condition::Finished).await;
    // The next start is made from the same look at the root.
    drop(dir);
    let second = plain(&second, "true");
    rig.desire(vec![first, second.clone()]).await;
    rig.until_condition(second.instance.as_str(), 1, Condition::Finished).await;
}

/// An engine of the test's own, which it may kill.
struct OwnEngine {
    dir: Arc<tempfile::TempDir>,
    process: std::process::Child,
}

impl OwnEngine {
    fn socket(&self) -> String {
        self.dir.path().join("engine.sock").to_string_lossy().into_owned()
    }

    fn launch(dir: &Path) -> std::process::Child {
        let at = |name: &str| dir.join(name).to_string_lossy().into_owned();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(at("log")).unwrap();
        // In a network of its own: an engine without a bridge removes the machine's `docker0`.
        std::process::Command::new("unshare")
            .args([
                "--net",
                "dockerd",
                "--live-restore",
                "--bridge=none",
                "--iptables=false",
                "--ip-masq=false",
            ])
            .args(["--data-root", &at("data"), "--exec-root", &at("exec")])
            .args(["--pidfile", &at("pid"), "-H", &format!("unix://{}", at("engine.sock"))])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("dockerd can be started")
    }

    async fn start(dir: Arc<tempfile::TempDir>) -> Self {
        let own = Self { process: Self::launch(dir.path()), dir };
        own.answers().await;
        own
    }

    async fn answers(&self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while Engine::new(&self.socket()).data_root().await.is_err() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(tokio::time::Instant::now() < deadline, "the engine does not answer: {log}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    async fn start_again(&mut self) {
        drop(std::fs::remove_file(self.dir.path().join("pid")));
        self.process = Self::launch(self.dir.path());
        self.answers().await;
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        // Its containers would go on without it.
        if UnixStream::connect(self.socket()).is_ok() {
            let all = ask(&self.socket(), "GET", "/containers/json?all=true", "");
            for rest in all.split("\"Id\":\"").skip(1) {
                ask(
                    &self.socket(),
                    "DELETE",
                    &format!("/containers/{}?force=true", &rest[..64]),
                    "",
                );
            }
        }
        // Gently: it ends its own containerd and lets go of its mounts.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).ok();
        drop(self.process.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_while_the_engine_is_down_is_known_when_it_is_back() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let mut own = OwnEngine::start(dir.clone()).await;
    let mut rig = Rig::on_engine(dir.clone(), &own.socket()).await;
    let ends = plain("ends", "while [ ! -e go ]; do sleep 0.1; done; exit 7");
    let stays = plain("stays", "sleep 1000");
    rig.desire(vec![ends.clone(), stays.clone()]).await;
    rig.until_condition("ends", 1, Condition::Running).await;
    rig.until_condition("stays", 1, Condition::Running).await;
    own.kill();
    std::fs::write(dir.path().join("agent/sandboxes/it_app/ends/1/go"), "").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    own.start_again().await;
    let report = rig.until_condition("ends", 1, Condition::Failed).await;
    assert_eq!(report.message, "Command exited with status 7");
    // When it ended is the engine's to say: mostly the true time, at times that of its own start.
    let engine = Engine::new(&own.socket());
    let found = engine.list("tepui.instance", "ends").await.unwrap();
    let ended = engine.inspect(&found[0].id).await.unwrap();
    assert!(!ended.running);
    assert_eq!(Some(report.at), ended.finished_at, "not when it was heard of");
    assert_eq!(rig.last("stays", 1).unwrap().condition, Condition::Running);
}
