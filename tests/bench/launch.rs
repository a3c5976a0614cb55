//! From a request to running containers, beside the raw Docker API (the floor: nobody can start a
//! container faster than the engine does) and Docker Swarm (the peer): one app at a time, then 40
//! instances at once, then their removal. All on one engine with the same image.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::{
    Plan,
    child::Scratch,
    engine::{self, Engine},
    report::Section,
    system::{Client, System},
};

const N_SINGLE: u64 = 12;
const N_MANY: u64 = 40;
/// Raw engine and tepui take turns, for an engine gets slower and faster within a minute.
const ROUNDS: u64 = 3;
/// Containers the raw API starts at a time: the engine gains nothing beyond.
const AT_A_TIME: usize = 8;
const PATIENCE: Duration = Duration::from_secs(60);
/// How often clients look: a hundredth of what is waited for, or less.
const LOOK: Duration = Duration::from_millis(2);
const LOOK_MANY: Duration = Duration::from_millis(20);
const SWARM_ADDRESS: &str = "127.0.0.1";
const SWARM_LISTEN: &str = "127.0.0.1:18890";

/// What one contestant took, each time.
#[derive(Default)]
struct Times {
    single: Vec<Duration>,
    many: Vec<Duration>,
    removal: Vec<Duration>,
}

impl Times {
    fn report(&self, label: &str, floor: Option<&Self>, section: &mut Section) {
        let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
        let [single, many, removal] = self.medians();
        let floor = floor.map(Self::medians);
        let ratio = |own: Duration, of: Option<Duration>| {
            of.map_or(String::new(), |of| format!("{:.2} ×", own.as_secs_f64() / of.as_secs_f64()))
        };
        section.row([
            label.to_owned(),
            ms(single),
            ratio(single, floor.map(|f| f[0])),
            ms(many),
            ratio(many, floor.map(|f| f[1])),
            ms(removal),
        ]);
    }

    fn medians(&self) -> [Duration; 3] {
        [&self.single, &self.many, &self.removal].map(|times| {
            let mut sorted = times.clone();
            sorted.sort();
            sorted.get(sorted.len() / 2).copied().unwrap_or_default()
        })
    }
}

pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    let mut section = Section::new(
        "Launch: request to running, image present",
        &["system", "one, median", "of raw", "many", "of raw", "removal of many"],
    );
    let scratch = Scratch::new("launch")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let engine = Engine::find(&scratch).await?;
        engine.clean().await;
        engine.make_image().await?;
        let outcome = contest(plan, &engine, &scratch, &mut section).await;
        engine.clean().await;
        engine.remove_image().await;
        outcome
    })?;
    Ok(section)
}

async fn contest(
    plan: &Plan,
    engine: &Engine,
    scratch: &Scratch,
    section: &mut Section,
) -> anyhow::Result<()> {
    let (n_single, n_many) = (plan.load(N_SINGLE), plan.load(N_MANY));
    // The first containers of an engine are slow; they belong to nobody's time.
    for i in 0..2 {
        engine.run(&format!("warm-{i}")).await?;
        engine.remove(&format!("warm-{i}")).await?;
    }
    let (mut raw, mut ours) = (Times::default(), Times::default());
    let taken = take_turns(engine, scratch, [&mut raw, &mut ours], n_single, n_many).await;
    let swarm = swarm(engine, n_single, n_many).await;
    match taken {
        Ok(()) => ours.report("tepui", Some(&raw), section),
        Err(error) => section.note(format!("tepui was not measured: {error:#}")),
    }
    match swarm {
        Ok(times) => times.report("Docker Swarm", Some(&raw), section),
        Err(error) => section.note(format!("Docker Swarm was not measured: {error:#}")),
    }
    raw.report("raw Docker API", None, section);
    section.note(format!(
        "Docker Engine {}; one busybox a container, host network. One: {n_single} apps, services or \
         containers in sequence. Many: {n_many} instances of one app, of one replicated service, or \
         {n_many} containers {AT_A_TIME} at a time. tepui: from the POST at the front door until the \
         API shows every task running; removal until no task is left, SIGTERM first. Swarm: from the \
         create call until every task runs; removal until no container is left. Raw: create and \
         start; removal is by force. tepui and the raw engine take turns in {ROUNDS} rounds, Swarm \
         follows; medians.",
        engine.version().await
    ));
    Ok(())
}

async fn take_turns(
    engine: &Engine,
    scratch: &Scratch,
    [raw, ours]: [&mut Times; 2],
    n_single: u64,
    n_many: u64,
) -> anyhow::Result<()> {
    let mut system = System::start("system", &engine.socket, scratch)?;
    let mut client = system.client().await?;
    for round in 0..ROUNDS {
        for i in 0..n_single.div_ceil(ROUNDS) {
            let name = format!("one-{round}-{i}");
            let began = Instant::now();
            engine.run(&name).await?;
            raw.single.push(began.elapsed());
            engine.remove(&name).await?;
            let app = format!("bench-one-{round}-{i}");
            ours.single.push(deploy(&mut client, &app, 1, LOOK).await?);
            remove(&mut client, &app).await?;
        }
        raw_many(engine, raw, n_many).await?;
        let app = format!("bench-many-{round}");
        ours.many.push(deploy(&mut client, &app, n_many, LOOK_MANY).await?);
        ours.removal.push(remove(&mut client, &app).await?);
    }
    system.stop()
}

async fn raw_many(engine: &Engine, times: &mut Times, n_many: u64) -> anyhow::Result<()> {
    let names: Vec<String> = (0..n_many).map(|i| format!("many-{i}")).collect();
    let began = Instant::now();
    let all = stream::iter(&names).map(|name| engine.run(name)).buffer_unordered(AT_A_TIME);
    all.collect::<Vec<_>>().await.into_iter().collect::<anyhow::Result<Vec<()>>>()?;
    times.many.push(began.elapsed());
    let began = Instant::now();
    let all = stream::iter(&names).map(|name| engine.remove(name)).buffer_unordered(AT_A_TIME);
    all.collect::<Vec<_>>().await.into_iter().collect::<anyhow::Result<Vec<()>>>()?;
    times.removal.push(began.elapsed());
    Ok(())
}

/// Posts an app and waits until all its tasks run.
async fn deploy(
    client: &mut Client,
    app: &str,
    n: u64,
    look: Duration,
) -> anyhow::Result<Duration> {
    let spec = json!({
        "id": format!("/{app}"),
        "instances": n,
        "cpus": 0.01,
        "mem": 32,
        "args": engine::command(),
        "container": {"type": "DOCKER", "docker": {"image": engine::IMAGE}},
        "networks": [{"mode": "host"}],
    });
    let began = Instant::now();
    client.call("POST", "/v2/apps", Some(&spec)).await?;
    loop {
        let (running, _) = client.running(app).await?;
        if running as u64 == n {
            return Ok(began.elapsed());
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "only {running} of {n} run");
        tokio::time::sleep(look).await;
    }
}

/// Deletes an app and waits until the deployment that does it is over.
async fn remove(client: &mut Client, app: &str) -> anyhow::Result<Duration> {
    let began = Instant::now();
    client.call("DELETE", &format!("/v2/apps/{app}"), None).await?;
    loop {
        let deployments = client.call("GET", "/v2/deployments", None).await?;
        if deployments.as_array().is_some_and(Vec::is_empty) {
            return Ok(began.elapsed());
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "{app} is not gone");
        tokio::time::sleep(LOOK_MANY).await;
    }
}

async fn swarm(engine: &Engine, n_single: u64, n_many: u64) -> anyhow::Result<Times> {
    let info = engine.call("GET", "/info", None).await?;
    anyhow::ensure!(
        info["Swarm"]["LocalNodeState"] == "inactive",
        "the engine is part of a swarm already"
    );
    let init = json!({"ListenAddr": SWARM_LISTEN, "AdvertiseAddr": SWARM_ADDRESS});
    engine.call("POST", "/swarm/init", Some(&init)).await?;
    let outcome = swarm_times(engine, n_single.min(5), n_many).await;
    engine.call("POST", "/swarm/leave?force=true", None).await?;
    outcome
}

async fn swarm_times(engine: &Engine, n_single: u64, n_many: u64) -> anyhow::Result<Times> {
    let mut times = Times::default();
    for i in 0..n_single {
        let name = format!("{}-swarm-{i}", engine::MARK);
        times.single.push(serve(engine, &name, 1, LOOK).await?);
        unserve(engine, &name).await?;
    }
    let name = format!("{}-swarm-many", engine::MARK);
    times.many.push(serve(engine, &name, n_many, LOOK_MANY).await?);
    times.removal.push(unserve(engine, &name).await?);
    Ok(times)
}

async fn serve(engine: &Engine, name: &str, n: u64, look: Duration) -> anyhow::Result<Duration> {
    let spec = json!({
        "Name": name,
        "TaskTemplate": {
            "ContainerSpec": {"Image": engine::IMAGE, "Command": engine::command()},
            "Networks": [{"Target": "host"}],
        },
        "Mode": {"Replicated": {"Replicas": n}},
    });
    let filter = engine::escape(&json!({"service": [name]}).to_string());
    let began = Instant::now();
    engine.call("POST", "/services/create", Some(&spec)).await?;
    loop {
        let tasks = engine.call("GET", &format!("/tasks?filters={filter}"), None).await?;
        let tasks = tasks.as_array().context("no list of tasks")?;
        let running = tasks.iter().filter(|t| t["Status"]["State"] == "running").count() as u64;
        if running == n {
            return Ok(began.elapsed());
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "only {running} of {n} run");
        tokio::time::sleep(look).await;
    }
}

async fn unserve(engine: &Engine, name: &str) -> anyhow::Result<Duration> {
    let filter = json!({"label": [format!("com.docker.swarm.service.name={name}")]});
    let path = format!("/containers/json?all=1&filters={}", engine::escape(&filter.to_string()));
    let began = Instant::now();
    engine.call("DELETE", &format!("/services/{name}"), None).await?;
    loop {
        let left = engine.call("GET", &path, None).await?;
        if left.as_array().is_some_and(Vec::is_empty) {
            return Ok(began.elapsed());
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "{name} is not gone");
        tokio::time::sleep(LOOK_MANY).await;
    }
}
