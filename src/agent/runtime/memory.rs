//! A runtime in memory: for fast tests, without any engine. Deterministic: what a container does is
//! scripted by its command, and time is tokio's (which tests may pause).
//!
//! | command holds | the container |
//! |---|---|
//! | `exit N` | ends with status N at once |
//! | `sleep S; exit N` | ends with status N after S seconds |
//! | `ignore-term` | goes on after SIGTERM |
//! | anything else | runs until it is killed |

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::BoxStream};
use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::{Launch, Progress, Runtime};
use crate::{
    base::{clock::Timestamp, task::Tasks},
    host::docker::{
        EngineError, Found,
        cgroup::GroupUsage,
        engine::{EngineEvent, FoundState, Inspected},
        logs::LogPiece,
        session::{EndPlan, ExecPlan, Session},
    },
};

/// Events a listener may lag behind.
const EVENTS_MAX: usize = 4096;

/// Containers that exist only here.
#[derive(Clone)]
pub struct MemoryRuntime {
    inner: Arc<Inner>,
}

struct Inner {
    tasks: Tasks,
    state: Mutex<State>,
    events: broadcast::Sender<EngineEvent>,
}

#[derive(Default)]
struct State {
    containers: BTreeMap<String, Container>,
    n_made: u32,
    is_away: bool,
}

#[derive(Clone, Debug)]
struct Container {
    name: String,
    labels: BTreeMap<String, String>,
    command: String,
    has_address: bool,
    number: u32,
    state: FoundState,
    exit_code: Option<i32>,
}

impl MemoryRuntime {
    /// No containers; timers run in `tasks`.
    pub fn new(tasks: &Tasks) -> Self {
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let inner = Inner { tasks: tasks.clone(), state: Mutex::default(), events };
        Self { inner: Arc::new(inner) }
    }

    /// Makes every call fail as if the engine were gone, or work again.
    pub fn set_away(&self, is_away: bool) {
        self.inner.state.lock().is_away = is_away;
    }

    /// Ends a running container as if by itself.
    pub fn finish(&self, id: &str, exit_code: i32) {
        self.inner.finish(id, exit_code);
    }

    /// Ids of the containers that run.
    pub fn running(&self) -> Vec<String> {
        let state = self.inner.state.lock();
        let running = state.containers.iter().filter(|(_, c)| c.state == FoundState::Running);
        running.map(|(id, _)| id.clone()).collect()
    }

    fn with<T>(
        &self,
        id: &str,
        call: impl FnOnce(&mut Container) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut state = self.inner.up()?;
        match state.containers.get_mut(id) {
            Some(container) => call(container),
            None => Err(EngineError::NoSuch(format!("no such container: {id}"))),
        }
    }
}

impl Inner {
    fn up(&self) -> Result<parking_lot::MutexGuard<'_, State>, EngineError> {
        let state = self.state.lock();
        if state.is_away {
            let cause = "switched off".to_owned();
            return Err(EngineError::Away { socket: "memory".to_owned(), cause });
        }
        Ok(state)
    }

    fn finish(&self, id: &str, exit_code: i32) {
        let mut state = self.state.lock();
        let Some(container) = state.containers.get_mut(id) else { return };
        if container.state != FoundState::Running {
            return;
        }
        container.state = FoundState::Ended;
        container.exit_code = Some(exit_code);
        // Nobody listening is fine: the list tells the same.
        drop(self.events.send(EngineEvent::Died { id: id.to_owned(), exit_code: Some(exit_code) }));
    }
}

impl Runtime for MemoryRuntime {
    fn warm_up(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        async { self.inner.up().map(drop) }.boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Found>, EngineError>> {
        async {
            let state = self.inner.up()?;
            let found = |(id, c): (&String, &Container)| Found {
                id: id.clone(),
                name: c.name.clone(),
                labels: c.labels.clone().into_iter().collect(),
                state: c.state,
            };
            Ok(state.containers.iter().map(found).collect())
        }
        .boxed()
    }

    fn inspect<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Inspected, EngineError>> {
        async move {
            self.with(id, |c| {
                let own = IpAddr::V4(Ipv4Addr::from(0xac11_0000 + c.number));
                Ok(Inspected {
                    running: c.state == FoundState::Running,
                    exit_code: c.exit_code,
                    addresses: if c.has_address { vec![own] } else { Vec::new() },
                    ..Inspected::default()
                })
            })
        }
        .boxed()
    }

    fn events(
        &self,
        _: i64,
    ) -> BoxFuture<'_, Result<BoxStream<'static, EngineEvent>, EngineError>> {
        async {
            drop(self.inner.up()?);
            let receiver = self.inner.events.subscribe();
            let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
                // A listener that lagged reconnects and lists, as with a real engine.
                receiver.recv().await.ok().map(|event| (event, receiver))
            });
            Ok(stream.boxed())
        }
        .boxed()
    }

    fn create<'a>(
        &'a self,
        launch: &'a Launch,
        _: Progress<'a>,
    ) -> BoxFuture<'a, Result<String, EngineError>> {
        async move {
            let mut state = self.inner.up()?;
            state.n_made += 1;
            let number = state.n_made;
            let id = format!("container-{number:06}");
            let container = Container {
                name: launch.plan.name.clone(),
                labels: launch.plan.labels.clone(),
                command: launch.plan.command.clone().unwrap_or_default().join(" "),
                has_address: launch.plan.network.has_address(),
                number,
                state: FoundState::Created,
                exit_code: None,
            };
            state.containers.insert(id.clone(), container);
            Ok(id)
        }
        .boxed()
    }

    fn user_of<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<(u32, u32)>, EngineError>> {
        async { Ok(None) }.boxed()
    }

    fn start<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            let events = &self.inner.events; // nobody listening is fine
            let (after, code) = self.with(id, |c| {
                c.state = FoundState::Running;
                drop(events.send(EngineEvent::Started { id: id.to_owned() }));
                Ok((number_after(&c.command, "sleep "), number_after(&c.command, "exit ")))
            })?;
            if let Some(code) = code {
                let (inner, id) = (self.inner.clone(), id.to_owned());
                let after = Duration::from_secs(after.unwrap_or(0).unsigned_abs().into());
                self.inner.tasks.connection("memory-container", async move {
                    tokio::time::sleep(after).await;
                    inner.finish(&id, code);
                });
            }
            Ok(())
        }
        .boxed()
    }

    fn terminate<'a>(&'a self, id: &'a str, _: bool) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            if self.with(id, |c| Ok(!c.command.contains("ignore-term")))? {
                self.inner.finish(id, 143);
            }
            Ok(())
        }
        .boxed()
    }

    fn kill<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            self.with(id, |_| Ok(()))?;
            self.inner.finish(id, 137);
            Ok(())
        }
        .boxed()
    }

    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            self.inner.finish(id, 137);
            self.inner.up()?.containers.remove(id);
            Ok(())
        }
        .boxed()
    }

    fn logs<'a>(
        &'a self,
        _: &'a str,
        _: i32,
    ) -> BoxFuture<'a, Result<BoxStream<'a, Result<LogPiece, EngineError>>, EngineError>> {
        async { Ok(futures_util::stream::pending().boxed()) }.boxed()
    }

    fn exec<'a>(&'a self, _: &'a str, _: ExecPlan) -> BoxFuture<'a, Result<Session, EngineError>> {
        let message = "containers in memory run no commands".to_owned();
        async { Err(EngineError::Refused { status: 501, message }) }.boxed()
    }

    fn exec_end<'a>(&'a self, _: &'a str, _: EndPlan) -> BoxFuture<'a, bool> {
        async { true }.boxed()
    }

    fn exec_end_others<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        async { Ok(()) }.boxed()
    }

    fn exec_resize<'a>(
        &'a self,
        session: &'a str,
        _: u16,
        _: u16,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        async move { Err(EngineError::NoSuch(session.to_owned())) }.boxed()
    }

    fn exec_exit_code<'a>(
        &'a self,
        session: &'a str,
    ) -> BoxFuture<'a, Result<Option<i32>, EngineError>> {
        async move { Err(EngineError::NoSuch(session.to_owned())) }.boxed()
    }

    fn tidy(&self, _: Timestamp) -> BoxFuture<'_, Result<(), EngineError>> {
        async { self.inner.up().map(drop) }.boxed()
    }

    fn usage(&self, _: &str) -> Option<GroupUsage> {
        None
    }
}

/// The number that follows `word` in a script.
fn number_after(script: &str, word: &str) -> Option<i32> {
    let (_, rest) = script.split_once(word)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests;
