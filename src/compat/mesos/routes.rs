//! The table: every endpoint plain, below `/master`, and with `.json` behind its name.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use tokio::{runtime::Handle, sync::Semaphore};

use super::{
    facts::Facts,
    history::{History, Past},
    json::Json,
    metrics,
    state::{self, Wanted},
};
use crate::{
    base::{clock::Clock, task::Tasks},
    control::cluster::Cluster,
    core::State,
    http::{
        Call, Response,
        pack::{self, Packer},
        reply,
        route::{Access, Route, Table, get},
        stream,
    },
};

/// Answers written at a time. Each has a thread while it writes, and a slow reader keeps its own
/// until the listener cuts it.
const WRITERS_MAX: usize = 8;
/// Pieces of 256 KiB that may lie ready for one reader: 16 MiB, so that the answers of all but the
/// largest clusters are written without waiting for their reader.
const PIECES_MAX: usize = 64;
/// Tasks on a page of `/tasks` unless asked otherwise.
const TASKS_PER_PAGE: usize = 100;

/// What the handlers work with.
pub struct Mesos {
    cluster: Arc<dyn Cluster>,
    facts: Arc<Facts>,
    history: Arc<History>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    writers: Arc<Semaphore>,
}

/// The table; whoever mounts it adds the guard.
pub fn table(
    cluster: Arc<dyn Cluster>,
    facts: Facts,
    history: Arc<History>,
    clock: Arc<dyn Clock>,
    tasks: &Tasks,
) -> Table<Mesos> {
    let (facts, tasks) = (Arc::new(facts), tasks.child("mesos"));
    let writers = Arc::new(Semaphore::new(WRITERS_MAX));
    Table::new(Arc::new(Mesos { cluster, facts, history, clock, tasks, writers }), routes())
        .packed()
}

macro_rules! twins {
    ($routes:ident, $($path:literal $access:ident $handler:ident;)*) => {$(
        for path in [
            $path,
            concat!($path, ".json"),
            concat!("/master", $path),
            concat!("/master", $path, ".json"),
        ] {
            $routes.push(get(path, Access::$access, $handler));
        }
    )*};
}

/// What stands where the original has its pages: clients ask for it to see whether a master is there.
const FRONT: &str = "<!doctype html><title>Mesos</title>\
    <p>Mesos' read endpoints answer here, for example <a href=\"master/state\">master/state</a>. \
    The pages of the cluster are at <a href=\"/\">/</a>.</p>\n";

/// Every route of this dialect.
pub fn routes() -> Vec<Route<Mesos>> {
    let mut routes = vec![get("/", Access::Read, front), get("/master", Access::Read, front)];
    twins! { routes,
        "/state" Read whole;
        "/state-summary" Read summary;
        "/slaves" Read slaves;
        "/frameworks" Read frameworks;
        "/tasks" Read task_list;
        "/metrics/snapshot" Read snapshot;
        "/version" Open version;
        "/health" Open health;
        "/redirect" Open redirect;
    }
    routes
}

async fn whole(mesos: Arc<Mesos>, call: Call) -> Response {
    mesos.write(Form::of(&call), state::state).await
}

async fn summary(mesos: Arc<Mesos>, call: Call) -> Response {
    mesos.write(Form::of(&call), |j, state, facts, _| state::summary(j, state, facts)).await
}

async fn slaves(mesos: Arc<Mesos>, call: Call) -> Response {
    let only = call.query().get("slave_id").map(str::to_owned);
    mesos
        .write(Form::of(&call), move |j, state, _, _| state::slaves(j, state, only.as_deref()))
        .await
}

async fn frameworks(mesos: Arc<Mesos>, call: Call) -> Response {
    let only = call.query().get("framework_id").map(str::to_owned);
    let write = move |j: &mut Json<'_>, state: &State, facts: &Facts, past: &Past| {
        state::framework_list(j, state, facts, past, only.as_deref());
    };
    mesos.write(Form::of(&call), write).await
}

async fn task_list(mesos: Arc<Mesos>, call: Call) -> Response {
    match wanted(&call) {
        Ok(wanted) => {
            let write = move |j: &mut Json<'_>, state: &State, _: &Facts, past: &Past| {
                state::tasks(j, state, past, &wanted);
            };
            mesos.write(Form::of(&call), write).await
        }
        Err(text) => reply::text(StatusCode::BAD_REQUEST, text),
    }
}

/// How an answer is written.
struct Form {
    /// The JSON is wrapped into a call of this function.
    callback: Option<String>,
    is_packed: bool,
}

impl Form {
    fn of(call: &Call) -> Self {
        Self { callback: callback(call), is_packed: pack::is_taken(call.headers()) }
    }
}

/// The function a `jsonp` answer calls; only names, so that nothing else gets into the script.
pub fn callback(call: &Call) -> Option<String> {
    let query = call.query();
    let name = query.get("jsonp")?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.');
    (!name.is_empty() && name.chars().all(is_name)).then(|| name.to_owned())
}

/// What `/tasks` is asked for; negative limits mean all.
fn wanted(call: &Call) -> Result<Wanted, String> {
    let query = call.query();
    let number = |name: &str| {
        query.get(name).filter(|t| !t.is_empty()).map_or(Ok(None), |text| {
            let number: Result<i64, _> = text.parse();
            number.map(Some).map_err(|_| format!("Failed to parse {name}: '{text}'"))
        })
    };
    let limit = match number("limit")? {
        None => Some(TASKS_PER_PAGE),
        Some(n) => usize::try_from(n).ok(),
    };
    Ok(Wanted {
        framework: query.get("framework_id").map(str::to_owned),
        task: query.get("task_id").map(str::to_owned),
        limit,
        offset: number("offset")?.and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
        ascending: query.get("order") == Some("asc"),
    })
}

async fn snapshot(mesos: Arc<Mesos>, call: Call) -> Response {
    let own = metrics::Own {
        started_at: mesos.facts.started_at,
        now: mesos.clock.now(),
        leads: mesos.cluster.leads(),
    };
    let write = move |j: &mut Json<'_>, state: &State, _: &Facts, past: &Past| {
        metrics::snapshot(j, state, &past.counters, &own);
    };
    mesos.write(Form::of(&call), write).await
}

async fn version(mesos: Arc<Mesos>, call: Call) -> Response {
    let write = |j: &mut Json<'_>, _: &State, facts: &Facts, _: &Past| {
        j.object(|j| {
            j.text_at("version", super::VERSION);
            j.text_at("build_date", &facts.started_at.to_string());
            j.time_at("build_time", facts.started_at);
            j.text_at("build_user", "tepui");
        });
    };
    mesos.write(Form::of(&call), write).await
}

async fn front(_: Arc<Mesos>, _: Call) -> Response {
    reply::content(StatusCode::OK, "text/html; charset=utf-8", FRONT)
}

async fn health(_: Arc<Mesos>, _: Call) -> Response {
    reply::empty(StatusCode::OK)
}

async fn redirect(mesos: Arc<Mesos>, _: Call) -> Response {
    // Clients keep their own path and change host and port only, so this is never the router.
    match mesos.cluster.leader().and_then(|l| l.addresses.mesos.parse::<SocketAddr>().ok()) {
        Some(leader) => reply::redirect(StatusCode::TEMPORARY_REDIRECT, &format!("//{leader}")),
        None => reply::text(StatusCode::SERVICE_UNAVAILABLE, "No leader elected"),
    }
}

impl Mesos {
    /// Writes an answer on a thread of its own from the present state, piece by piece.
    async fn write<F>(&self, form: Form, write: F) -> Response
    where
        F: FnOnce(&mut Json<'_>, &State, &Facts, &Past) + Send + 'static,
    {
        let Ok(slot) = self.writers.clone().acquire_owned().await else {
            return reply::empty(StatusCode::SERVICE_UNAVAILABLE);
        };
        let Form { callback, is_packed } = form;
        let content_type = if callback.is_some() { "text/javascript" } else { "application/json" };
        let (sender, body) = stream::channel(PIECES_MAX);
        let (state, facts, runtime) = (self.cluster.state(), self.facts.clone(), Handle::current());
        let past = self.history.past();
        let writing = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            let send =
                |piece: Vec<u8>| runtime.block_on(sender.send_waiting(Bytes::from(piece))).is_ok();
            let mut packer = is_packed.then(Packer::default);
            let mut sink = |piece: Vec<u8>| match &mut packer {
                None => send(piece),
                Some(packer) => {
                    let packed = packer.take(&piece);
                    packed.is_empty() || send(packed)
                }
            };
            if let Some(name) = &callback
                && !sink(format!("{name}(").into_bytes())
            {
                return;
            }
            let mut json = Json::new(&mut sink);
            write(&mut json, &state, &facts, &past);
            json.finish();
            if callback.is_some() {
                sink(b");".to_vec());
            }
            if let Some(packer) = packer {
                send(packer.finish());
            }
        });
        self.tasks.connection("mesos answer", async move {
            if let Err(error) = writing.await {
                tracing::error!(%error, "an answer broke off");
            }
        });
        let mut response = reply::empty(StatusCode::OK);
        *response.body_mut() = body;
        let value = HeaderValue::from_static(content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, value);
        pack::mark(response.headers_mut(), is_packed);
        response
    }
}
