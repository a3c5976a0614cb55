//! The route table of `/tepui/v1` and what its handlers share.

use std::sync::Arc;

use http::{StatusCode, request::Parts};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{
    apps, cluster, exec, files,
    handles::{Agents, Cluster},
    level,
    live::{self, Live},
    metrics, nodes, tasks, tokens,
    view::View,
};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        task::Tasks,
    },
    control::cluster::ProposeError,
    core::{Rejected, State},
    http::{
        Response,
        error::ApiError,
        reply::{self, Reply as _},
        route::{Access, Miss, Route, Table, delete, get, post},
        serve::Origin,
    },
    log,
    model::WorkloadSpec,
};

/// Renderings of long lists made at a time, on blocking threads: enough for both cores of a small
/// machine, and never so many that they starve the rest of the process.
const RENDERINGS_MAX: usize = 2;

/// What the handlers work with.
pub struct Api {
    pub cluster: Arc<dyn Cluster>,
    pub agents: Arc<dyn Agents>,
    pub clock: Arc<dyn Clock>,
    pub tasks: Tasks,
    /// Answers that go on for ever. Ended first when the process stops, so that nobody waits for
    /// them.
    pub streams: Tasks,
    pub live: Live,
    /// Writes a definition the way the Marathon dialect shows it.
    pub show_spec: fn(&WorkloadSpec) -> Value,
    pub started_at: Timestamp,
    renderings: Semaphore,
}

impl Api {
    /// The API of one process; the live stream's producer is started in `tasks`.
    pub fn new(
        cluster: Arc<dyn Cluster>,
        agents: Arc<dyn Agents>,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
        show_spec: fn(&WorkloadSpec) -> Value,
    ) -> Arc<Self> {
        let started_at = clock.now();
        let (tasks, streams) = (tasks.child("api"), tasks.child("streams"));
        let live = Live::start(cluster.clone(), clock.clone(), started_at, &streams);
        let renderings = Semaphore::new(RENDERINGS_MAX);
        Arc::new(Self {
            cluster,
            agents,
            clock,
            tasks,
            streams,
            live,
            show_spec,
            started_at,
            renderings,
        })
    }

    /// The newest state.
    pub fn state(&self) -> Arc<State> {
        self.cluster.latest()
    }

    /// What views of `state` are rendered from.
    pub fn view<'a>(&'a self, state: &'a State) -> View<'a> {
        View { state, now: self.clock.now(), cluster: &*self.cluster }
    }

    /// Renders something long on a blocking thread from the present state.
    pub async fn render<F>(self: &Arc<Self>, make: F) -> Result<Response, ApiError>
    where
        F: FnOnce(&Self, &State) -> Response + Send + 'static,
    {
        let _slot = self.renderings.acquire().await.map_err(ApiError::internal)?;
        let api = self.clone();
        let made = tokio::task::spawn_blocking(move || make(&api, &api.state())).await;
        made.map_err(ApiError::internal)
    }
}

/// Every route of this API.
pub fn routes() -> Vec<Route<Api>> {
    use Access::{Admin, Open, Read, Write};
    vec![
        get("/tepui/v1/openapi.yaml", Open, cluster::openapi),
        get("/tepui/v1/status", Read, cluster::status),
        get("/tepui/v1/me", Read, cluster::me),
        get("/tepui/v1/metrics", Read, metrics::metrics),
        get("/tepui/v1/apps", Read, apps::list),
        get("/tepui/v1/apps/{id...}", Read, apps::show),
        get("/tepui/v1/apps/{id...}/why", Read, apps::why),
        get("/tepui/v1/deployments", Read, apps::deployments),
        get("/tepui/v1/tasks", Read, tasks::list),
        get("/tepui/v1/tasks/{id}", Read, tasks::show),
        get("/tepui/v1/tasks/{id}/files", Read, files::files),
        get("/tepui/v1/tasks/{id}/log", Read, files::log),
        post("/tepui/v1/tasks/{id}/exec", Write, exec::exec),
        get("/tepui/v1/nodes", Read, nodes::list),
        get("/tepui/v1/nodes/{id}", Read, nodes::show),
        delete("/tepui/v1/nodes/{id}", Admin, nodes::remove),
        post("/tepui/v1/nodes/invite", Admin, nodes::invite),
        post("/tepui/v1/nodes/{id}/drain", Write, nodes::drain),
        get("/tepui/v1/events", Read, live::events),
        post("/tepui/v1/tokens/revoke", Admin, tokens::revoke),
        post("/tepui/v1/tokens/rotate", Admin, tokens::rotate),
        get("/tepui/v1/level", Read, level::show),
        post("/tepui/v1/level", Admin, level::raise),
        get("/tepui/v1/debug/tasks", Read, cluster::debug_tasks),
        get("/tepui/v1/debug/reconcilers", Read, cluster::debug_reconcilers),
    ]
}

/// The table; whoever mounts it adds the guard.
pub fn table(api: Arc<Api>) -> Table<Api> {
    Table::new(api, routes()).on_miss(miss).on_denied(denied)
}

/// 403 in our own shape.
fn denied(request: &Parts) -> Response {
    let id = request.extensions.get::<Origin>().map(|o| o.id).unwrap_or_default();
    let error = ApiError::forbidden("this needs a superuser");
    error.hint("GET /tepui/v1/me says who you are").reply(id)
}

/// 404 and 405 in our own shape.
fn miss(miss: &Miss, request: &Parts) -> Response {
    let id = request.extensions.get::<Origin>().map(|o| o.id).unwrap_or_default();
    let error = match miss {
        Miss::Path => ApiError::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("{} is not a path of this API", request.uri.path()),
        )
        .hint("GET /tepui/v1/openapi.yaml lists what there is"),
        Miss::Method(_) => ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            format!("{} is not allowed here", request.method),
        ),
    };
    miss.with_allow(error.reply(id))
}

/// A list with the revision it was read at: `{"<name>":[…],"revision":n}`.
pub fn listed<T: serde::Serialize>(name: &str, rows: &T, revision: u64) -> Response {
    struct Listed<'a, T>(&'a str, &'a T, u64);
    impl<T: serde::Serialize> serde::Serialize for Listed<'_, T> {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeMap as _;
            let mut map = to.serialize_map(Some(2))?;
            map.serialize_entry(self.0, self.1)?;
            map.serialize_entry("revision", &self.2)?;
            map.end()
        }
    }
    reply::json(StatusCode::OK, &Listed(name, rows, revision))
}

impl From<ProposeError> for ApiError {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::Rejected(rejected) => rejected_as(&rejected),
            ProposeError::Log(error) => undecided(&error),
        }
    }
}

/// What it means that nobody decided a command: whose fault it is, and what helps.
fn undecided(error: &log::ProposeError) -> ApiError {
    use log::ProposeError as E;
    const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
    let (status, code, hint) = match error {
        E::NoLeader => (UNAVAILABLE, "no_leader", "try again in a second"),
        E::Busy => (UNAVAILABLE, "busy", "try again in a second"),
        E::DiskFull => {
            (UNAVAILABLE, "disk_full", "free space in the data directory of the leading master")
        }
        E::Stopped(_) => (
            UNAVAILABLE,
            "log_stopped",
            "ask another master; restart this one once its log says why",
        ),
        E::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "send it in parts"),
        E::Unknown => {
            let hint = "look whether it took effect before trying again";
            (StatusCode::GATEWAY_TIMEOUT, "timeout", hint)
        }
    };
    ApiError::new(status, code, error.to_string()).hint(hint)
}

/// What a refused command means to a caller of this API.
fn rejected_as(rejected: &Rejected) -> ApiError {
    use Rejected as R;
    let message = rejected.to_string();
    match rejected {
        R::NotFound(_) => ApiError::new(StatusCode::NOT_FOUND, "not_found", message),
        R::Invalid { field, problem } => ApiError::invalid(field.clone(), problem.clone()),
        R::Exists(_)
        | R::Taken(_)
        | R::Stale(_)
        | R::Locked { .. }
        | R::Busy(_)
        | R::Last(_)
        | R::TooMany { .. }
        | R::Exhausted { .. }
        | R::Cycle(_)
        | R::Denied { .. }
        | R::HeldBack { .. }
        | R::TooOld { .. } => ApiError::conflict(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::error::Retry,
        http::{body, serve::RequestId},
    };

    #[tokio::test]
    async fn whose_fault_an_undecided_command_is_reaches_the_caller() {
        use log::ProposeError as E;
        let too_large = E::TooLarge { n_bytes: 9, n_bytes_max: 8 };
        let cases = [
            (E::NoLeader, 503, "no master leads"),
            (E::Busy, 503, "too many commands are waiting"),
            (E::DiskFull, 503, "the disk of the leading master is full"),
            (E::Stopped("torn page".into()), 503, "this master's log has stopped: torn page"),
            (too_large, 413, "the command is 9 bytes large, 8 is the maximum"),
            (E::Unknown, 504, "the command may or may not take effect"),
        ];
        for (error, status, text) in cases {
            let told = ApiError::from(ProposeError::from(error.clone()));
            let response = told.reply(RequestId::default());
            assert_eq!(response.status(), status, "{error}");
            let may_retry = response.headers().contains_key(http::header::RETRY_AFTER);
            assert_eq!(may_retry, status == 503, "{error}");
            assert!(!(may_retry && error.retry() == Retry::No), "{error}");
            let body = body::read(response.into_body(), 4_096).await.expect("a body");
            let body = String::from_utf8_lossy(&body);
            assert!(body.contains(text), "{body}");
        }
    }
}
