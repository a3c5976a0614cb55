//! The two largest answers of the old dialects, asked of the handlers of the product over made-up
//! states: every group with everything embedded, and the whole state of a very large cluster.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use tepui::{
    base::{clock::SystemClock, rng::Rng, task::Tasks},
    compat::{
        marathon::{Dialect, Hub, Marathon, Settings},
        mesos,
    },
    control::cluster::{Cluster, Error},
    core::{Accepted, Command, State, state::Group},
    http::{
        Body, Request, Response,
        auth::{Guard, Principal, Rights, Trusted},
    },
    model::path::PathId,
};

use crate::{
    Plan,
    report::Section,
    world::{self, NOW},
};

const GROUPS: &str = "/v2/groups?embed=group.groups&embed=group.apps&embed=group.pods\
    &embed=group.apps.tasks&embed=group.apps.counts&embed=group.apps.deployments\
    &embed=group.apps.readiness&embed=group.apps.lastTaskFailure&embed=group.apps.taskStats";
const ROUNDS: usize = 5;

pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    let mut section = Section::new(
        "Large reads",
        &["answer", "size", "whole answer", "another reader waited at most"],
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let tasks = Tasks::new("bench");
        let (n_apps, n_nodes) = (plan.load(1_000), plan.load(100));
        let groups = Arc::new(Still::new(n_nodes, n_apps, 10));
        let label = format!("GET /v2/groups, all embeds, {n_apps} apps, {} tasks", n_apps * 10);
        measure(&groups, &tasks, Asked { label, path: GROUPS }, &mut section).await?;
        drop(groups);
        let n_nodes = plan.load(20_000);
        let whole = Arc::new(Still::new(n_nodes, n_nodes / 5, 100));
        let label = format!("GET /mesos/state, {n_nodes} agents, {} tasks", n_nodes * 20);
        measure(&whole, &tasks, Asked { label, path: "/state" }, &mut section).await
    })?;
    section.note(format!(
        "The handlers over a state in memory, read to the end in this process without a socket, median \
         of {ROUNDS}; meanwhile another task asks for a small answer again and again. Published \
         figures of the originals: Marathon 12 s for such groups, Mesos 3.1 s for such a state, during \
         which it answered nobody."
    ));
    Ok(section)
}

struct Asked {
    label: String,
    path: &'static str,
}

async fn measure(
    cluster: &Arc<Still>,
    tasks: &Tasks,
    asked: Asked,
    section: &mut Section,
) -> anyhow::Result<()> {
    let tables = Arc::new(Tables::over(cluster, tasks));
    let (mut times, mut n_bytes, mut waited) = (Vec::new(), 0, Duration::ZERO);
    for _ in 0..ROUNDS {
        let done = Arc::new(AtomicBool::new(false));
        let other = tokio::spawn(small_reads(tables.clone(), done.clone()));
        let (reader, path) = (tables.clone(), asked.path);
        // In a task, as the front door does it.
        let (took, n) = tokio::spawn(async move {
            let began = Instant::now();
            let response = reader.get(path).await;
            let status = response.status();
            let (mut body, mut n) = (response.into_body(), 0);
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| anyhow::anyhow!("{error}"))?;
                n += frame.data_ref().map_or(0, bytes::Bytes::len);
            }
            anyhow::ensure!(status == 200, "{status}");
            anyhow::Ok((began.elapsed(), n))
        })
        .await??;
        done.store(true, Ordering::Relaxed);
        waited = waited.max(other.await?);
        times.push(took);
        n_bytes = n;
    }
    times.sort();
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let median = *times.get(times.len() / 2).context("no round")?;
    #[allow(clippy::cast_precision_loss)] // a size for people
    let size = format!("{:.1} MB", n_bytes as f64 / 1e6);
    section.row([asked.label, size, ms(median), ms(waited)]);
    Ok(())
}

/// Asks for something small until `done`; the longest wait for an answer.
async fn small_reads(tables: Arc<Tables>, done: Arc<AtomicBool>) -> Duration {
    let mut longest = Duration::ZERO;
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        let _ = tables.get("/v2/info").await;
        longest = longest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    longest
}

/// Both dialects over one state.
struct Tables {
    marathon: Dialect,
    mesos: tepui::http::route::Table<mesos::routes::Mesos>,
}

impl Tables {
    fn over(cluster: &Arc<Still>, tasks: &Tasks) -> Self {
        let clock = SystemClock::shared();
        let guard: Arc<dyn Guard> = Arc::new(Trusted(Principal::new("bench", Rights::All)));
        let marathon = Marathon::new(
            cluster.clone(),
            clock.clone(),
            Rng::from_seed(1),
            Settings::default(),
            Arc::new(Hub::default()),
        );
        let facts = mesos::Facts {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            hostname: "bench".to_owned(),
            port: 5050,
            marathon_port: 8080,
            started_at: NOW,
        };
        Self {
            marathon: Dialect::new(Arc::new(marathon), Some(guard.clone())),
            mesos: mesos::table(cluster.clone(), facts, Arc::default(), clock, tasks).guard(guard),
        }
    }

    async fn get(&self, path: &str) -> Response {
        let request: Request = http::Request::get(path)
            .body(Body::empty())
            .expect("a path of this file is well-formed");
        if path.starts_with("/v2") {
            self.marathon.answer(request).await
        } else {
            self.mesos.answer(request).await
        }
    }
}

/// A cluster in which nothing happens.
struct Still(Arc<State>);

impl Still {
    /// `n_apps` apps of `n_each` running instances on `n_nodes` nodes, in 20 groups.
    fn new(n_nodes: u64, n_apps: u64, n_each: u32) -> Self {
        let specs = (0..n_apps).map(|n| world::spec(&format!("/g{}/a{n}", n % 20), n_each, &[]));
        let n_nodes = u32::try_from(n_nodes).unwrap_or(u32::MAX);
        let mut state = world::running(n_nodes, specs);
        let groups = (0..20).map(|n| format!("/g{n}")).chain(["/".to_owned()]);
        for id in groups.map(|path| PathId::parse(&path)) {
            let group = Group {
                id: id.clone(),
                dependencies: Default::default(),
                enforce_role: false,
                version: NOW,
            };
            state.groups.insert(id, Arc::new(group));
        }
        Self(Arc::new(state))
    }
}

impl Cluster for Still {
    fn propose<'a>(
        &'a self,
        _: &'a Principal,
        _: Command,
    ) -> BoxFuture<'a, Result<Accepted, Error>> {
        Box::pin(async { Err(tepui::log::ProposeError::NoLeader.into()) })
    }

    fn state(&self) -> Arc<State> {
        self.0.clone()
    }

    fn leads(&self) -> bool {
        true
    }
}
