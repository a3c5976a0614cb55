//! What the handlers share: the parts they work with, and the shape of a list.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{live::Live, sessions::Sessions, view::View};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        task::Tasks,
    },
    control::{cluster::Cluster, definitions::Definitions},
    core::State,
    http::{Response, error::ApiError, reply},
    model::WorkloadSpec,
};

/// Renderings of long lists made at a time, on blocking threads: enough for both cores of a small
/// machine, and never so many that they starve the rest of the process.
const RENDERINGS_MAX: usize = 2;

/// What the handlers work with.
pub struct Api {
    pub cluster: Arc<dyn Cluster>,
    pub clock: Arc<dyn Clock>,
    pub tasks: Tasks,
    /// Answers that go on for ever. Ended first when the process stops, so that nobody waits for
    /// them.
    pub streams: Tasks,
    pub live: Live,
    /// Commands in tasks that browsers look at.
    pub sessions: Arc<Sessions>,
    /// Writes a definition the way the Marathon dialect shows it.
    pub show_spec: fn(&WorkloadSpec) -> Value,
    /// How the definitions of apps are read and described.
    pub definitions: Arc<dyn Definitions>,
    pub started_at: Timestamp,
    renderings: Semaphore,
}

impl Api {
    /// The API of one process; the live stream's producer is started in `tasks`.
    pub fn new(
        cluster: Arc<dyn Cluster>,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
        show_spec: fn(&WorkloadSpec) -> Value,
        definitions: Arc<dyn Definitions>,
    ) -> Arc<Self> {
        let started_at = clock.now();
        let (tasks, streams) = (tasks.child("api"), tasks.child("streams"));
        let live = Live::start(&cluster, &clock, started_at, &streams);
        let renderings = Semaphore::new(RENDERINGS_MAX);
        Arc::new(Self {
            cluster,
            clock,
            tasks,
            streams,
            live,
            sessions: Arc::default(),
            show_spec,
            definitions,
            started_at,
            renderings,
        })
    }

    /// The newest state.
    pub fn state(&self) -> Arc<State> {
        self.cluster.state()
    }

    /// What views of `state` are rendered from.
    pub fn view<'a>(&'a self, state: &'a State) -> View<'a> {
        View { state, now: self.clock.now(), cluster: &*self.cluster }
    }

    /// Renders something long on a blocking thread from the present state.
    pub async fn render<F, R>(self: &Arc<Self>, make: F) -> Result<R, ApiError>
    where
        F: FnOnce(&Self, &State) -> R + Send + 'static,
        R: Send + 'static,
    {
        let _slot = self.renderings.acquire().await.map_err(ApiError::internal)?;
        let api = self.clone();
        let made = tokio::task::spawn_blocking(move || make(&api, &api.state())).await;
        made.map_err(ApiError::internal)
    }
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
