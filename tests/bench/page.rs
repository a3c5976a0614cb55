//! The page in a real browser: when it is painted and can be used, what a letter in its filter takes,
//! what it costs while nothing happens, beside the page of an older build (`--old`) where one is given.
//! The browser is driven by `tests/bench/page.mjs`; here are the systems that it looks at.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::{
    Plan,
    child::Scratch,
    engine::Engine,
    report::Section,
    system::{PROGRAM, System},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/page.mjs");
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ui/node_modules/playwright-core");
const N_SERVICES: usize = 15;
const N_LISTED: usize = 3000;
/// Apps in one request.
const AT_ONCE: usize = 500;
const VISITS: u64 = 11;
const ROUNDS: u64 = 5;
const POSTS: u64 = 21;
const IDLE_SECONDS: u64 = 60;
/// A service that does nothing, and one that writes 400 lines a second.
const QUIET: &str = "/shop/s-0";
const WRITER: &str = "/writer";
const LINES: &str = "n=0; while true; do i=0; while [ $i -lt 40 ]; do n=$((n+1)); i=$((i+1)); \
                     echo \"GET /api/orders/$n 200 in 12 ms\"; done; sleep 0.1; done";

/// Two systems of one build: one that runs what it has, one with a long list.
struct Contestant {
    name: &'static str,
    running: System,
    listing: System,
}

impl Contestant {
    fn start(
        name: &'static str,
        program: &str,
        engine: &Engine,
        scratch: &Scratch,
    ) -> anyhow::Result<Self> {
        let start = |part: &str| {
            let name = format!("{name}-{part}");
            System::start_of(program, &["--destroy-on-exit"], &name, &engine.socket, scratch)
        };
        Ok(Self { name, running: start("running")?, listing: start("listing")? })
    }

    /// Gives both what they are to show; returns the id of the node.
    async fn fill(&self) -> anyhow::Result<String> {
        let mut client = self.running.client().await?;
        let mut apps: Vec<Value> = (1..N_SERVICES)
            .map(|i| app(&format!("/shop/s-{}", i - 1), "sleep 100000", 1))
            .collect();
        apps.push(app(WRITER, LINES, 1));
        for app in &apps {
            client.call("POST", "/v2/apps", Some(app)).await?;
        }
        loop {
            let answer = client.call("GET", "/v2/tasks", None).await?;
            let tasks = answer["tasks"].as_array().context("no list of tasks")?;
            if tasks.iter().filter(|task| task["state"] == "TASK_RUNNING").count() == apps.len() {
                let node = tasks[0]["slaveId"].as_str().context("a task without a node")?;
                self.list().await?;
                return Ok(node.to_owned());
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }

    /// Three thousand services of which none is launched.
    async fn list(&self) -> anyhow::Result<()> {
        let mut client = self.listing.client().await?;
        let apps: Vec<Value> = (0..N_LISTED)
            .map(|i| app(&format!("/load/g{}/app-{i}", i % 20), "sleep 1", 0))
            .collect();
        for some in apps.chunks(AT_ONCE) {
            client.call("PUT", "/v2/apps", Some(&json!(some))).await?;
        }
        Ok(())
    }
}

fn app(id: &str, cmd: &str, instances: u64) -> Value {
    json!({"id": id, "cmd": cmd, "cpus": 0.01, "mem": 16, "instances": instances})
}

pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    anyhow::ensure!(
        Path::new(DRIVER).exists(),
        "the browser driver is not installed; run `make ui` with Node 20 or newer first"
    );
    let scratch = Scratch::new("page")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let engine = runtime.block_on(Engine::find(&scratch))?;
    let mut contestants = vec![Contestant::start("tepui", PROGRAM, &engine, &scratch)?];
    if let Some(old) = &plan.old {
        contestants.push(Contestant::start("before", old, &engine, &scratch)?);
    }
    let mut systems = Vec::new();
    for contestant in &contestants {
        let node = runtime.block_on(contestant.fill())?;
        systems.push(json!({
            "name": contestant.name,
            "url": contestant.running.url(),
            "lists": contestant.listing.url(),
            "password": {
                "own": contestant.running.password(),
                "lists": contestant.listing.password(),
            },
            "node": node,
        }));
    }
    let asked = json!({
        "systems": systems,
        "visits": plan.load(VISITS),
        "rounds": plan.load(ROUNDS),
        "posts": plan.load(POSTS),
        "idle_s": plan.load(IDLE_SECONDS),
        "service": QUIET,
        "writer": WRITER,
    });
    let columns: Vec<&str> =
        std::iter::once("what").chain(contestants.iter().map(|c| c.name)).collect();
    let mut section = Section::new("The page in a browser", &columns);
    for found in measure(&asked)?.lines() {
        let found: Value = serde_json::from_str(found).context("the script prints JSON")?;
        section.row(cells(&found));
    }
    section.note(format!(
        "Debian's chromium without a graphics card, driven from the same machine; one processor is the \
         browser's and the systems' alike. A visit is that of a browser that was never here and is signed \
         in already; {VISITS} in turn. Usable: the rows are painted and the page is free to answer. A \
         letter: from the key until the last of its effect is painted, in {ROUNDS} visits. At rest: all \
         screens at once for {IDLE_SECONDS} s, each in a process and on a connection of its own; processor \
         time is that of the page's process, bytes are both ways with everything HTTP adds. {N_SERVICES} \
         services run one instance each; {N_LISTED} services wait in another system of the same build."
    ));
    Ok(section)
}

/// What the script prints, a line for each row.
fn measure(asked: &Value) -> anyhow::Result<String> {
    let mut node = Command::new("node")
        .arg(SCRIPT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start node")?;
    let mut stdin = node.stdin.take().context("piped")?;
    stdin.write_all(asked.to_string().as_bytes())?;
    drop(stdin);
    let out = node.wait_with_output()?;
    let told = String::from_utf8_lossy(&out.stderr);
    anyhow::ensure!(
        out.status.success(),
        "{}",
        told.lines().take(8).collect::<Vec<_>>().join(" / ")
    );
    Ok(String::from_utf8(out.stdout)?)
}

/// A row: what it is, then a value with its unit for each system that has one.
fn cells(found: &Value) -> Vec<String> {
    let unit = found["unit"].as_str().unwrap_or_default();
    let what = found["what"].as_str().unwrap_or_default().to_owned();
    let values = found["values"].as_array().into_iter().flatten().map(|value| {
        let digits = if unit == "s" { 2 } else { 0 };
        value
            .as_f64()
            .map_or_else(|| "–".to_owned(), |n| format!("{n:.digits$} {unit}").trim().to_owned())
    });
    std::iter::once(what).chain(values).collect()
}
