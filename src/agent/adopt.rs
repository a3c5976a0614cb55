//! The worker's part about the engine: what it lists, what it tells, when it is away.
//!
//! `watch` keeps one event stream open and lists all containers after each connect and every
//! minute; the worker compares the list with what it knows. A container of ours that nobody knows
//! is adopted when it runs and removed when it does not.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::{
    desired::{Event, Exit, Key},
    launch::{INFRA, LABEL_APP, LABEL_CONTAINER, LABEL_INCARNATION, LABEL_INSTANCE, LABEL_PLAIN},
    record::Member,
    runtime::Runtime,
    worker::{Input, Worker},
};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        error::chain,
        rng::Rng,
    },
    host::docker::{
        EngineError, Found,
        engine::{EngineEvent, FoundState, Inspected},
    },
    model::{InstanceId, instance::Condition, workload::NetworkMode},
};

/// All containers are listed this often, whatever the events said.
const LIST_EVERY: Duration = Duration::from_secs(60);
/// Waits between tries to reach an engine that is away.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Events are asked for from a little before the list, so that none falls between.
const OVERLAP_S: i64 = 2;

/// Watches the engine for ever.
pub async fn watch(
    runtime: Arc<dyn Runtime>,
    clock: Arc<dyn Clock>,
    mut rng: Rng,
    to: mpsc::Sender<Input>,
) {
    let mut wait = RETRY;
    loop {
        let began = tokio::time::Instant::now();
        let error = watch_once(&*runtime, &*clock, &to).await;
        if to.is_closed() {
            return;
        }
        if began.elapsed() > RETRY_MAX {
            wait = RETRY;
        }
        drop(to.send(Input::EngineAway(error)).await);
        tokio::time::sleep(rng.jitter(wait)).await;
        wait = (wait * 2).min(RETRY_MAX);
    }
}

/// Lists and listens until the engine goes away; tells why.
async fn watch_once(runtime: &dyn Runtime, clock: &dyn Clock, to: &mpsc::Sender<Input>) -> String {
    let since = clock.now().as_ms() / 1000 - OVERLAP_S;
    let mut events = match runtime.events(since).await {
        Ok(events) => events,
        Err(error) => return chain(&error),
    };
    if let Err(error) = runtime.warm_up().await {
        if error.is_away() {
            return chain(&error);
        }
        // Image tasks still run; a plain command will say the same.
        tracing::error!(%error, "plain commands cannot be run");
    }
    let mut list = tokio::time::interval(LIST_EVERY);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => drop(to.send(Input::Engine(event)).await),
                None => return "the container engine ended its event stream".to_owned(),
            },
            _ = list.tick() => match runtime.list().await {
                Ok(found) => drop(to.send(Input::Listed(found)).await),
                Err(error) => return chain(&error),
            },
        }
        if to.is_closed() {
            return String::new();
        }
    }
}

impl Worker {
    pub(super) fn engine_event(&mut self, event: EngineEvent) {
        match event {
            EngineEvent::OutOfMemory { id } => self.out_of_memory(&id),
            EngineEvent::Died { id, exit_code: Some(code) } => {
                let exit = Exit { code: Some(code), ..Exit::default() };
                self.container_ended(&id, exit);
            }
            EngineEvent::Died { id, exit_code: None } => self.look_at_end(id),
        }
    }

    pub(super) fn engine_went_away(&mut self, text: String) {
        if self.engine_away.is_none() {
            tracing::error!(error = text, "the container engine is away; what runs goes on");
        }
        for key in self.waiting.clone() {
            let now = self.clock.now();
            self.actual.happened(&key, Event::Progress(format!("waiting: {text}")), now);
        }
        self.engine_away = Some(text);
    }

    /// A start that found the engine away waits for it.
    pub(super) fn no_engine(&mut self, key: Key, text: String, now: Timestamp) {
        if let Some(live) = self.live.get_mut(&key) {
            live.launch = None;
        }
        let killed = self.actual.tasks.get(&key).is_none_or(|k| k.kill.is_some());
        if killed {
            let event = Event::NotStarted { message: text, error: false };
            self.happened(&key, event, now);
            return;
        }
        self.actual.happened(&key, Event::Progress(format!("waiting: {text}")), now);
        self.waiting.insert(key);
        let (runtime, inbox) = (self.runtime.clone(), self.inbox.clone());
        // The event stream may not have noticed, or the engine is back already: look at once.
        self.tasks.connection("relist", async move {
            tokio::time::sleep(RETRY).await;
            match runtime.list().await {
                Ok(found) => drop(inbox.send(Input::Listed(found)).await),
                Err(error) => drop(inbox.send(Input::EngineAway(chain(&error))).await),
            }
        });
    }

    /// Compares the engine's list with what is known.
    pub(super) fn listed(&mut self, list: Vec<Found>, now: Timestamp) {
        if self.engine_away.take().is_some() {
            tracing::info!(n_containers = list.len(), "the container engine answers");
        }
        for found in &list {
            self.meet(found, now);
        }
        let keys: Vec<Key> = self.actual.tasks.keys().cloned().collect();
        for key in keys {
            self.compare(&key, &list);
        }
    }

    /// A container of ours: known, adopted or removed.
    fn meet(&mut self, found: &Found, now: Timestamp) {
        if self.by_container.contains_key(&found.id) {
            return;
        }
        let Some(key) = key_of(found) else { return };
        if self.live.get(&key).is_some_and(|l| l.launch.is_some()) || self.waiting.contains(&key) {
            return; // its start deals with it
        }
        let in_grave = self.graves.contains_key(&key);
        let ended = self.actual.tasks.get(&key).is_some_and(|k| k.is_ended());
        let label = |name: &str| found.labels.get(name).cloned().unwrap_or_default();
        if found.state == FoundState::Running && !in_grave && !ended {
            tracing::info!(instance = %key.0, container = found.id, "container adopted");
            let member = Member {
                name: label(LABEL_CONTAINER),
                id: found.id.clone(),
                is_plain: found.labels.contains_key(LABEL_PLAIN),
            };
            self.adopt_member(&key, &label(LABEL_APP), member, now);
        } else if !in_grave || found.state == FoundState::Running {
            let (runtime, id) = (self.runtime.clone(), found.id.clone());
            self.tasks.connection("remove", async move {
                if let Err(error) = runtime.remove(&id).await {
                    tracing::warn!(container = id, %error, "cannot remove a container");
                }
            });
        }
    }

    /// One incarnation against the list.
    fn compare(&mut self, key: &Key, list: &[Found]) {
        let Some(known) = self.actual.tasks.get(key).filter(|k| !k.is_ended()) else { return };
        let Some(live) = self.live.get(key).filter(|l| l.launch.is_none()) else { return };
        let staging = known.report.condition == Condition::Staging;
        let mut running = true;
        let mut ended = Vec::new();
        for member in &live.members {
            match list.iter().find(|f| f.id == member.id) {
                Some(found) if found.state == FoundState::Running => {}
                Some(_) => {
                    running = false;
                    ended.push((member.clone(), true));
                }
                None => {
                    running = false;
                    ended.push((member.clone(), false));
                }
            }
        }
        if staging {
            // Its start was cut off: by a crash of ours or by the engine going away.
            if running && self.is_complete(key) {
                self.look_at_start(key);
            } else {
                self.waiting.remove(key);
                self.launch(key);
            }
            return;
        }
        if live.members.is_empty() {
            // Killed while it was being launched by a process that died meanwhile.
            let event = Event::Exited { exit: Exit::default(), containers: Vec::new() };
            let now = self.clock.now();
            return self.happened(key, event, now);
        }
        self.tend(key);
        for (member, listed) in ended {
            if listed {
                self.look_at_end(member.id);
            } else {
                self.container_ended(&member.id, Exit::default());
            }
        }
    }

    /// Asks the engine how a container ended.
    fn look_at_end(&self, id: String) {
        let (runtime, inbox) = (self.runtime.clone(), self.inbox.clone());
        self.tasks.connection("inspect", async move {
            let exit = match runtime.inspect(&id).await {
                Ok(Inspected { running: true, .. }) => return,
                Ok(end) => Exit {
                    code: end.exit_code,
                    out_of_memory: end.out_of_memory,
                    message: String::new(),
                },
                Err(EngineError::NoSuch(_)) => Exit::default(),
                Err(error) => {
                    tracing::debug!(container = id, %error, "end not known yet");
                    return; // the next list asks again
                }
            };
            drop(inbox.send(Input::Ended { id, exit }).await);
        });
    }

    /// Asks the engine since when an incarnation runs and at which addresses.
    pub(super) fn look_at_start(&self, key: &Key) {
        let Some(live) = self.live.get(key) else { return };
        let infra = live.members.iter().find(|m| m.name == INFRA);
        let Some(member) = infra.or(live.members.first()) else { return };
        let order = self.actual.tasks.get(key).and_then(|k| k.order.as_ref());
        let on_host = order.is_none_or(|o| o.spec.network_mode() == NetworkMode::Host);
        let ready = order.is_none_or(|o| !o.spec.has_readiness_checks());
        let (runtime, inbox) = (self.runtime.clone(), self.inbox.clone());
        let (id, key, now) = (member.id.clone(), key.clone(), self.clock.now());
        self.tasks.connection("inspect", async move {
            let Ok(found) = runtime.inspect(&id).await else { return };
            let event = Event::Started {
                at: found.started_at.unwrap_or(now),
                addresses: if on_host { Vec::new() } else { found.addresses },
                containers: Vec::new(),
                ready,
            };
            drop(inbox.send(Input::Task(key, event)).await);
        });
    }
}

/// The incarnation a container's labels name.
fn key_of(found: &Found) -> Option<Key> {
    let instance = found.labels.get(LABEL_INSTANCE)?;
    let incarnation = found.labels.get(LABEL_INCARNATION)?.parse().ok()?;
    Some((InstanceId::from(instance.as_str()), incarnation))
}
