//! An agent's own read endpoints, as `/agent/<id>/…` of the front door (docs/compat/mesos.md, "An
//! agent's own endpoints").
//!
//! Agents do not listen: what the cluster has agreed on is told from the state, everything else is a
//! question over the link the agent keeps open. Each endpoint asks its agent something, so that an
//! agent that is away is an error here as it was there.

mod files;
mod view;

use std::sync::Arc;

use http::{StatusCode, header};

use super::{History, json, json::Json, marathon_id, routes::callback};
use crate::{
    base::{clock::Clock, task::Tasks},
    control::cluster::{Cluster, Error},
    core::State,
    http::{
        Call, Response, reply,
        route::{Access, Route, Table, get},
    },
    model::{
        Node,
        link::{Answer, AskError, Question, Usage},
    },
};

/// What the handlers work with.
pub struct Slaves {
    cluster: Arc<dyn Cluster>,
    history: Arc<History>,
    /// Of the answering master.
    hostname: String,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
}

/// The table; whoever mounts it adds the guard.
pub fn table(
    cluster: Arc<dyn Cluster>,
    history: Arc<History>,
    hostname: String,
    clock: Arc<dyn Clock>,
    tasks: &Tasks,
) -> Table<Slaves> {
    let tasks = tasks.child("mesos-agents");
    Table::new(Arc::new(Slaves { cluster, history, hostname, clock, tasks }), routes()).packed()
}

/// Each plain, below `slave(1)` (parentheses may be encoded), and with `.json` behind it.
macro_rules! twins {
    ($routes:ident, $($path:literal $handler:path;)*) => {$(
        for path in [
            concat!("/agent/{id}", $path),
            concat!("/agent/{id}", $path, ".json"),
            concat!("/agent/{id}/slave(1)", $path),
            concat!("/agent/{id}/slave(1)", $path, ".json"),
        ] {
            $routes.push(get(path, Access::Read, $handler));
        }
    )*};
}

/// Every route of an agent.
pub fn routes() -> Vec<Route<Slaves>> {
    let mut routes = Vec::new();
    twins! { routes,
        "/state" state;
        "/containers" containers;
        "/monitor/statistics" statistics;
        "/metrics/snapshot" snapshot;
        "/flags" flags;
        "/version" version;
        "/health" health;
        "/files/browse" files::browse;
        "/files/read" files::read;
        "/files/download" files::download;
        "/files/debug" files::debug;
    }
    routes
}

/// Why an agent gives no answer.
enum Refusal {
    Unknown(String),
    /// The request makes no sense; says why.
    Bad(String),
    Missing,
    Away(Error),
}

impl reply::Reply for Refusal {
    fn reply(self, _: crate::http::RequestId) -> Response {
        match self {
            Self::Unknown(id) => {
                let text = format!("404 Not Found: agent `{id}` unknown.");
                reply::text(StatusCode::NOT_FOUND, text)
            }
            Self::Bad(text) => reply::text(StatusCode::BAD_REQUEST, format!("{text}\n")),
            Self::Missing => reply::empty(StatusCode::NOT_FOUND),
            Self::Away(error) => {
                let status = match error {
                    Error::Unanswered(AskError::TimedOut) => StatusCode::GATEWAY_TIMEOUT,
                    Error::Unanswered(AskError::NotConnected(_)) => StatusCode::BAD_GATEWAY,
                    Error::Log(_) => StatusCode::SERVICE_UNAVAILABLE,
                    Error::Unanswered(
                        AskError::NotFound(_) | AskError::Invalid(_) | AskError::Failed(_),
                    )
                    | Error::Rejected(_)
                    | Error::Elsewhere(_) => StatusCode::INTERNAL_SERVER_ERROR,
                };
                reply::text(status, format!("{error}\n"))
            }
        }
    }
}

/// For an answer that belongs to another question.
fn other_answer() -> Refusal {
    Refusal::Away(AskError::Failed("it answered another question".into()).into())
}

/// One agent that has just answered.
struct Alive {
    state: Arc<State>,
    node: Arc<Node>,
    usage: Usage,
}

impl Slaves {
    fn node(&self, id: &str) -> Result<(Arc<State>, Arc<Node>), Refusal> {
        let state = self.cluster.state();
        match state.nodes.get(id).cloned() {
            Some(node) => Ok((state, node)),
            None => Err(Refusal::Unknown(id.to_owned())),
        }
    }

    /// The agent with this id, if it is there.
    async fn alive(&self, id: String) -> Result<Alive, Refusal> {
        let (state, node) = self.node(&id)?;
        match self.cluster.ask(node.id(), Question::Usage).await {
            Ok(Answer::Usage(usage)) => Ok(Alive { state, node, usage }),
            Ok(_) => Err(other_answer()),
            Err(error) => Err(Refusal::Away(error)),
        }
    }
}

fn id_of(call: &Call) -> String {
    call.param("id").to_owned()
}

/// A small answer, or a call of the function that `jsonp` names.
fn written(call: &Call, write: impl FnOnce(&mut Json<'_>)) -> Response {
    let text = json::text(write);
    let Some(name) = callback(call) else {
        return reply::content(StatusCode::OK, "application/json", text);
    };
    let script = [name.as_bytes(), b"(", &text, b");"].concat();
    let response = reply::content(StatusCode::OK, "text/javascript", script);
    reply::with_header(response, header::X_CONTENT_TYPE_OPTIONS, "nosniff")
}

async fn state(slaves: Arc<Slaves>, call: Call) -> Result<Response, Refusal> {
    let alive = slaves.alive(id_of(&call)).await?;
    let (past, hostname) = (slaves.history.past(), slaves.hostname.clone());
    // As large as what the node runs, so not on the thread that serves others.
    let made = tokio::task::spawn_blocking(move || {
        let write = |j: &mut Json<'_>| view::state(j, &alive.state, &alive.node, &hostname, &past);
        written(&call, write)
    });
    made.await.map_err(|error| Refusal::Away(AskError::Failed(error.to_string()).into()))
}

async fn containers(slaves: Arc<Slaves>, call: Call) -> Result<Response, Refusal> {
    let alive = slaves.alive(id_of(&call)).await?;
    Ok(written(&call, |j| view::containers(j, &slaves.list(&alive, &call), true)))
}

async fn statistics(slaves: Arc<Slaves>, call: Call) -> Result<Response, Refusal> {
    let alive = slaves.alive(id_of(&call)).await?;
    Ok(written(&call, |j| view::containers(j, &slaves.list(&alive, &call), false)))
}

async fn snapshot(slaves: Arc<Slaves>, call: Call) -> Result<Response, Refusal> {
    let Alive { state, node, usage } = slaves.alive(id_of(&call)).await?;
    let now = slaves.clock.now();
    Ok(written(&call, |j| view::metrics(j, &state, &node, &usage, now)))
}

async fn flags(slaves: Arc<Slaves>, call: Call) -> Result<Response, Refusal> {
    let Alive { node, .. } = slaves.alive(id_of(&call)).await?;
    Ok(written(&call, |j| j.object(|j| view::flags(j, &node))))
}

async fn version(slaves: Arc<Slaves>, call: Call) -> Result<Response, Refusal> {
    slaves.alive(id_of(&call)).await?;
    let write = |j: &mut Json<'_>| {
        j.object(|j| {
            j.text_at("version", super::VERSION);
            j.text_at("build_user", "tepui");
        });
    };
    Ok(written(&call, write))
}

async fn health(slaves: Arc<Slaves>, call: Call) -> Result<Response, Refusal> {
    slaves.alive(id_of(&call)).await?;
    Ok(reply::empty(StatusCode::OK))
}

impl Slaves {
    /// The containers a query asks for.
    fn list<'a>(&self, alive: &'a Alive, call: &Call) -> view::Listed<'a> {
        let query = call.query();
        let is_ours = query.get("framework_id").is_none_or(|id| id == marathon_id(&alive.state));
        let (executor, container) = (query.get("executor_id"), query.get("container_id"));
        view::Listed {
            state: &alive.state,
            node: &alive.node,
            usage: &alive.usage,
            now: self.clock.now(),
            executor: executor.map(str::to_owned),
            container: container.map(str::to_owned),
            is_ours,
        }
    }
}
