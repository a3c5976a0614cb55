//! The seam to what runs containers: one trait, the engine and a memory-only stand-in behind it.
//!
//! Calls are single steps without retry; the worker decides what a failure means. Everything is by
//! the container id the runtime gave out.

pub mod engine;
pub mod memory;

use futures_util::{future::BoxFuture, stream::BoxStream};

use crate::base::clock::Timestamp;
use crate::host::docker::{
    ContainerPlan, EngineError, Found,
    cgroup::GroupUsage,
    engine::{EngineEvent, Inspected},
    images::RegistryLogins,
    logs::LogPiece,
    session::{EndPlan, ExecPlan, Session},
};

/// Told with each step of a preparation that takes long.
pub type Progress<'a> = &'a (dyn Fn(String) + Send + Sync);

/// A container to create.
#[derive(Debug, Default)]
pub struct Launch {
    pub plan: ContainerPlan,
    /// No image of its own: the node's root.
    pub is_plain: bool,
    pub force_pull: bool,
    pub logins: RegistryLogins,
}

/// What runs containers.
pub trait Runtime: Send + Sync {
    /// Makes ready what every start needs, so that the first one does not wait for it.
    fn warm_up(&self) -> BoxFuture<'_, Result<(), EngineError>>;

    /// All containers of this cluster's agent, dead ones too.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Found>, EngineError>>;

    fn inspect<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Inspected, EngineError>>;

    /// Starts and deaths from `since` (seconds since the epoch) on; the stream ends when the engine
    /// goes away.
    fn events(
        &self,
        since: i64,
    ) -> BoxFuture<'_, Result<BoxStream<'static, EngineEvent>, EngineError>>;

    /// Gets the image where it must and creates the container; returns its id.
    fn create<'a>(
        &'a self,
        launch: &'a Launch,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<String, EngineError>>;

    /// User and group by number of a created container's first process; `None`: not known.
    fn user_of<'a>(&'a self, id: &'a str)
    -> BoxFuture<'a, Result<Option<(u32, u32)>, EngineError>>;

    fn start<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), EngineError>>;

    /// SIGTERM to the processes that can do something about it, then to what is left
    /// (`host::docker::stop`); SIGKILL once nobody could get it. Returns when they are gone.
    fn terminate<'a>(
        &'a self,
        id: &'a str,
        is_plain: bool,
    ) -> BoxFuture<'a, Result<(), EngineError>>;

    /// SIGKILL.
    fn kill<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), EngineError>>;

    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), EngineError>>;

    /// Output from `since` (seconds since the epoch) until the container has ended.
    fn logs<'a>(
        &'a self,
        id: &'a str,
        since: i32,
    ) -> BoxFuture<'a, Result<BoxStream<'a, Result<LogPiece, EngineError>>, EngineError>>;

    fn exec<'a>(
        &'a self,
        id: &'a str,
        plan: ExecPlan,
    ) -> BoxFuture<'a, Result<Session, EngineError>>;

    /// Ends every process of a command in container `id`; `true` once none is left and none will
    /// come.
    fn exec_end<'a>(&'a self, id: &'a str, plan: EndPlan) -> BoxFuture<'a, bool>;

    /// Ends the commands of container `id` that still run and whose marks do not begin with `keep`.
    fn exec_end_others<'a>(
        &'a self,
        id: &'a str,
        keep: &'a str,
    ) -> BoxFuture<'a, Result<(), EngineError>>;

    fn exec_resize<'a>(
        &'a self,
        session: &'a str,
        rows: u16,
        columns: u16,
    ) -> BoxFuture<'a, Result<(), EngineError>>;

    fn exec_exit_code<'a>(
        &'a self,
        session: &'a str,
    ) -> BoxFuture<'a, Result<Option<i32>, EngineError>>;

    /// Removes what containers left on the engine and nobody uses any more.
    fn tidy(&self, now: Timestamp) -> BoxFuture<'_, Result<(), EngineError>>;

    /// CPU time and memory of a running container, where known.
    fn usage(&self, id: &str) -> Option<GroupUsage>;
}
