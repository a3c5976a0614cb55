//! The worker's part about the engine: what it lists, what it tells, when it is away.
//!
//! `watch` keeps one event stream open and lists all containers after each connect and every
//! minute; the worker compares the list with what it knows. A container of ours that nobody knows
//! is adopted when it runs and removed when it does not. One that has ended and runs again, started
//! by somebody else, is removed: its end was told, and another may run in its place.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

use super::{Input, Worker};
use crate::{
    agent::{
        desired::{Event, Exit, Key},
        launch::{
            INFRA, LABEL_APP, LABEL_CONTAINER, LABEL_INCARNATION, LABEL_INSTANCE, LABEL_PLAIN,
        },
        link::LinkEnds,
        metrics,
        prepare::all_running,
        record::Member,
        runtime::Runtime,
    },
    base::{
        clock::{Clock, Timestamp},
        error::chain,
        rng::Rng,
        task::Tasks,
    },
    host::docker::{
        EngineError, Found,
        engine::{EngineEvent, FoundState, Inspected},
    },
    model::{
        InstanceId,
        instance::Condition,
        workload::{Kind, NetworkMode},
    },
};

/// What is known of an engine before anybody asked it again.
const STREAM_ENDED: &str = "the container engine ended its event stream";
/// All containers are listed this often, whatever the events said.
const LIST_EVERY: Duration = Duration::from_secs(60);
/// An engine that has just come up may not have looked at all its containers yet, and what ended
/// while it was away is never told by an event.
const LIST_SOON: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];
/// What runs is looked at for so long before a leader hears that nothing does.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// After events were lost, a list follows with this pause.
const LIST_AGAIN: Duration = Duration::from_secs(1);
/// Events that wait for the worker.
const EVENTS_MAX: usize = 4096;
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
    let lost = Notify::new();
    tokio::select! {
        text = hand_on(&mut events, &lost, to) => text,
        text = list_again(runtime, &lost, to) => text,
    }
}

/// Hands events on until there are no more. The reader waits for nobody but the engine, which is
/// slowed down by a reader that has stopped; what the worker is too busy to take is lost, which is
/// told by `lost`.
async fn hand_on(
    events: &mut (impl Stream<Item = EngineEvent> + Unpin),
    lost: &Notify,
    to: &mpsc::Sender<Input>,
) -> String {
    let (queue, mut taken) = mpsc::channel(EVENTS_MAX);
    let read = async {
        while let Some(event) = events.next().await {
            if queue.try_send(event).is_err() {
                lost.notify_one();
            }
        }
        STREAM_ENDED.to_owned()
    };
    let give = async {
        while let Some(event) = taken.recv().await {
            if to.send(Input::Engine(event)).await.is_err() {
                return String::new();
            }
        }
        to.closed().await;
        String::new()
    };
    tokio::select! {
        text = read => text,
        text = give => text,
    }
}

/// Lists all containers at once, soon again and then every minute, and when events were lost.
async fn list_again(runtime: &dyn Runtime, lost: &Notify, to: &mpsc::Sender<Input>) -> String {
    if let Err(error) = runtime.warm_up().await {
        if error.is_away() {
            return chain(&error);
        }
        // Image tasks still run; a plain command will say the same.
        tracing::error!(%error, "plain commands cannot be run");
    }
    let mut soon = LIST_SOON.into_iter();
    loop {
        match runtime.list().await {
            Ok(found) => {
                if to.send(Input::Listed(found)).await.is_err() {
                    return String::new();
                }
            }
            Err(error) => return chain(&error),
        }
        let wait = soon.next().unwrap_or(LIST_EVERY);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = lost.notified() => {
                tracing::warn!("events of the engine were lost; listing");
                // A worker that cannot keep up is not helped by lists without a pause.
                tokio::time::sleep(LIST_AGAIN).await;
            }
        }
    }
}

impl Worker {
    pub(super) fn engine_event(&mut self, event: EngineEvent) {
        match event {
            EngineEvent::OutOfMemory { id } => self.out_of_memory(&id),
            // Only the engine knows whether a kill was for memory, and when it ended: an engine that
            // was away itself tells it when it is back.
            EngineEvent::Died { id, exit_code } => self.look_at_end(id, exit_code),
            EngineEvent::Started { id } => self.started_again(&id),
        }
    }

    /// Removes a container that was started after its end was told.
    fn started_again(&self, id: &str) {
        let over = match self.by_container.get(id) {
            Some(key) => {
                self.live.get(key).is_some_and(|live| live.has_ended(id))
                    || self.actual.tasks.get(key).is_some_and(|known| known.is_ended())
            }
            None => self.graves.values().any(|grave| grave.containers.iter().any(|c| c == id)),
        };
        if over {
            remove_running(self.runtime.clone(), &self.tasks, id.to_owned());
        }
    }

    pub(super) fn engine_went_away(&mut self, text: String) {
        metrics::engine_went_away(&text, self.engine_away.is_none());
        for key in self.waiting.clone() {
            let now = self.clock.now();
            self.actual.happened(&key, Event::Progress(format!("waiting: {text}")), now);
        }
        // Whoever tries again learns more than that the stream ended, and each try begins with one.
        if text != STREAM_ENDED || self.engine_away.is_none() {
            self.engine_away = Some(text);
        }
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

    /// An agent without records may have lost them with its directory: the leader would take what runs for
    /// gone. So that is looked at before the link is used.
    pub(super) fn look_first(&self, ends: LinkEnds) {
        let (runtime, inbox) = (self.runtime.clone(), self.inbox.clone());
        self.tasks.connection("first-look", async move {
            // An engine that does not answer now is as good as one without containers.
            if let Ok(Ok(found)) = timeout(FIRST_LOOK, runtime.list()).await {
                drop(inbox.send(Input::Looked(found)).await);
            }
            drop(inbox.send(Input::Link(ends)).await);
        });
    }

    /// Compares the engine's list with what is known.
    pub(super) fn listed(&mut self, list: Vec<Found>, now: Timestamp) {
        if self.engine_away.take().is_some() {
            metrics::engine_answers(list.len());
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
    pub(super) fn meet(&mut self, found: &Found, now: Timestamp) {
        if self.by_container.contains_key(&found.id) {
            if found.state == FoundState::Running {
                self.started_again(&found.id);
            }
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
        if !live.tended {
            self.end_old_commands(key);
        }
        self.tend(key);
        for (member, listed) in ended {
            if listed {
                self.look_at_end(member.id, None);
            } else {
                self.container_ended(&member.id, Exit::default());
            }
        }
    }

    /// Commands that a former process of ours started in the containers have no listener any more.
    fn end_old_commands(&self, key: &Key) {
        let Some(live) = self.live.get(key) else { return };
        for id in live.running_ids() {
            let (runtime, marks) = (self.runtime.clone(), self.prober.marks.clone());
            let id = id.to_owned();
            self.tasks.connection("old-commands", async move {
                if let Err(error) = runtime.exec_end_others(&id, marks.own()).await {
                    tracing::debug!(container = id, %error, "old commands are not looked for");
                }
            });
        }
    }

    /// Asks the engine how a container ended. `told`: the code the engine told its end with.
    fn look_at_end(&self, id: String, told: Option<i32>) {
        let (runtime, inbox) = (self.runtime.clone(), self.inbox.clone());
        let tasks = self.tasks.clone();
        self.tasks.connection("inspect", async move {
            let exit = match runtime.inspect(&id).await {
                // Started again meanwhile, by somebody else.
                Ok(Inspected { running: true, .. }) if told.is_some() => {
                    remove_running(runtime.clone(), &tasks, id.clone());
                    Exit { code: told, ..Exit::default() }
                }
                Ok(Inspected { running: true, .. }) => return,
                Ok(end) => Exit {
                    code: end.exit_code.or(told),
                    out_of_memory: end.out_of_memory,
                    at: end.finished_at,
                    ..Exit::default()
                },
                Err(EngineError::NoSuch(_)) => Exit { code: told, ..Exit::default() },
                Err(error) => {
                    tracing::debug!(container = id, %error, "end not known yet");
                    return; // the next list asks again
                }
            };
            drop(inbox.send(Input::Ended { id: id.clone(), exit }).await);
            if told.is_some() {
                // Its start may have been told while this was asked, when its end was not known yet.
                tokio::time::sleep(RETRY).await;
                remove_running(runtime, &tasks, id);
            }
        });
    }

    /// Asks the engine since when an incarnation runs and at which addresses.
    pub(super) fn look_at_start(&self, key: &Key) {
        let Some(live) = self.live.get(key) else { return };
        let infra = live.members.iter().find(|m| m.name == INFRA);
        let Some(member) = infra.or(live.members.first()) else { return };
        let order = self.actual.tasks.get(key).and_then(|k| k.order.as_ref());
        let on_host = order.is_none_or(|o| o.spec.run.network_mode() == NetworkMode::Host);
        let ready = order.is_none_or(|o| !o.spec.run.has_readiness_checks());
        let pod = order.map(|o| &o.spec.run).filter(|run| run.kind == Kind::Pod).cloned();
        let (runtime, inbox) = (self.runtime.clone(), self.inbox.clone());
        let (id, key, now) = (member.id.clone(), key.clone(), self.clock.now());
        self.tasks.connection("inspect", async move {
            let Ok(found) = runtime.inspect(&id).await else { return };
            let at = found.started_at.unwrap_or(now);
            let event = Event::Started {
                at,
                addresses: if on_host { Vec::new() } else { found.addresses },
                containers: pod.map_or_else(Vec::new, |run| all_running(&run, at)),
                ready,
            };
            drop(inbox.send(Input::Task(key, event)).await);
        });
    }
}

/// Removes a container if it runs; one that does not is kept for a while for people to look at.
fn remove_running(runtime: Arc<dyn Runtime>, tasks: &Tasks, id: String) {
    tasks.connection("remove", async move {
        let removed = match runtime.inspect(&id).await {
            Ok(Inspected { running: true, .. }) => {
                let container = id.as_str();
                tracing::warn!(container, "an ended task's container was started again: removed");
                runtime.remove(&id).await
            }
            Ok(_) | Err(EngineError::NoSuch(_)) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            tracing::warn!(container = id, %error, "cannot remove a container"); // the next list tries
        }
    });
}

/// The incarnation a container's labels name.
fn key_of(found: &Found) -> Option<Key> {
    let instance = found.labels.get(LABEL_INSTANCE)?;
    let incarnation = found.labels.get(LABEL_INCARNATION)?.parse().ok()?;
    Some((InstanceId::from(instance.as_str()), incarnation))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_reader_of_events_goes_on_when_the_worker_does_not() {
        let (to, mut inbox) = mpsc::channel(1);
        let n_events = EVENTS_MAX * 3;
        let mut n_read = 0;
        let events = (0..n_events).map(|n| EngineEvent::OutOfMemory { id: n.to_string() });
        // After the last the engine is silent.
        let mut events =
            stream::iter(events).inspect(|_| n_read += 1).chain(stream::pending()).boxed_local();
        let lost = Notify::new();
        let reader = hand_on(&mut events, &lost, &to);
        let wait = Duration::from_secs(1);
        assert!(tokio::time::timeout(wait, reader).await.is_err(), "it goes on");
        drop(events);
        assert_eq!(n_read, n_events);
        let told = tokio::time::timeout(wait, lost.notified()).await;
        assert!(told.is_ok(), "a list makes up for it");
        assert!(matches!(inbox.try_recv(), Ok(Input::Engine(_))));
    }
}
