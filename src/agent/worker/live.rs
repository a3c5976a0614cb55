//! The worker's part about single incarnations: starting, tending, ending, forgetting them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{Input, Worker, gc::Grave};
use crate::{
    agent::{
        check::Subject,
        desired::{Checked, Event, Exit, Key, Known},
        ending::{self, Part},
        exit::{self, MemorySeen},
        health::{Finding, Health},
        launch::INFRA,
        metrics,
        prepare::Starter,
        record::{self, Member, Record},
        sandbox::output,
    },
    base::{clock::Timestamp, limit},
    host::docker::EngineError,
    model::{AppId, container::ContainerSpec, instance::ContainerStatus, link::Order},
};

/// How long the report of an end waits for the rest of the output.
const OUTPUT_REST: Duration = Duration::from_secs(2);

/// What the worker holds of an incarnation beside `desired::Known`.
pub struct Live {
    pub app: AppId,
    pub members: Vec<Member>,
    /// Set while it is being brought up.
    pub launch: Option<CancellationToken>,
    /// Checks and followers run.
    pub tended: bool,
    exits: BTreeMap<String, Exit>,
    /// When one of a container's processes was last ended for memory.
    out_of_memory: BTreeMap<String, Timestamp>,
    health: Option<Health>,
    checks: CancellationToken,
    followers: Vec<oneshot::Receiver<()>>,
    /// The end is being reported.
    ending: bool,
    /// The exit that ended a pod.
    first_failure: Option<Exit>,
    /// All its containers are to end.
    stopping: bool,
    /// Containers that were told to.
    told: BTreeSet<String>,
}

impl Live {
    pub fn new(app: AppId) -> Self {
        Self {
            app,
            members: Vec::new(),
            launch: None,
            tended: false,
            exits: BTreeMap::new(),
            out_of_memory: BTreeMap::new(),
            health: None,
            checks: CancellationToken::new(),
            followers: Vec::new(),
            ending: false,
            first_failure: None,
            stopping: false,
            told: BTreeSet::new(),
        }
    }

    /// Whether a container is known to have ended.
    pub fn has_ended(&self, id: &str) -> bool {
        self.exits.contains_key(id)
    }

    /// Containers that are not known to have ended.
    pub fn running_ids(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|m| m.id.as_str()).filter(|id| !self.exits.contains_key(*id))
    }

    fn work(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|m| m.name != INFRA)
    }
}

impl Worker {
    /// Takes the records of a former process in.
    pub(super) fn remember(&mut self) {
        for record in record::load_all(&self.sandboxes) {
            let key = record.key();
            if record.forgotten_at.is_some() {
                self.graves.insert(key, Grave::of(&record));
                continue;
            }
            let mut live = Live::new(record.app);
            live.members = record.members;
            for member in &live.members {
                self.by_container.insert(member.id.clone(), key.clone());
            }
            self.live.insert(key.clone(), live);
            self.actual.tasks.insert(key, record.known);
        }
    }

    pub(super) fn save_dirty(&mut self) {
        for key in std::mem::take(&mut self.dirty) {
            let (Some(known), Some(live)) = (self.actual.tasks.get(&key), self.live.get(&key))
            else {
                continue;
            };
            let mut record = Record::new(live.app.clone(), known.clone());
            record.members.clone_from(&live.members);
            if let Err(error) = record.save(&self.sandboxes) {
                tracing::warn!(instance = %key.0, %error, "cannot write the task's record");
            }
        }
    }

    pub(super) fn start(&mut self, order: Order) {
        let key = (order.instance.clone(), order.incarnation);
        self.live.insert(key.clone(), Live::new(order.spec.id));
        self.dirty.insert(key.clone());
        if self.engine_away.is_some() {
            self.wait_for_engine(key);
        } else {
            self.launch(&key);
        }
    }

    pub(super) fn launch(&mut self, key: &Key) {
        let Some(known) = self.actual.tasks.get(key) else { return };
        let (Some(order), Some(live)) = (known.order.clone(), self.live.get_mut(key)) else {
            return;
        };
        live.members.clear();
        let cancel = self.tasks.cancelled().child_token();
        live.launch = Some(cancel.clone());
        let run = Starter::run(self.starter.clone(), Arc::new(order), self.inbox.clone(), cancel);
        self.tasks.connection("start", run);
    }

    pub(super) fn wait_for_engine(&mut self, key: Key) {
        let text = self.engine_away.clone().unwrap_or_default();
        let now = self.clock.now();
        self.actual.happened(&key, Event::Progress(format!("waiting: {text}")), now);
        self.waiting.insert(key);
    }

    pub(super) fn deny(&mut self, order: Order) {
        let key = (order.instance.clone(), order.incarnation);
        self.live.insert(key.clone(), Live::new(order.spec.id));
        self.dirty.insert(key);
    }

    pub(super) fn created(&mut self, key: &Key, member: Member) {
        let Some(live) = self.live.get_mut(key) else { return };
        self.by_container.insert(member.id.clone(), key.clone());
        live.members.push(member);
        self.dirty.insert(key.clone());
    }

    /// Takes in an event of an incarnation and what follows from it.
    pub(super) fn happened(&mut self, key: &Key, event: Event, now: Timestamp) {
        let started = matches!(event, Event::Started { .. });
        let over = matches!(event, Event::NotStarted { .. } | Event::Exited { .. });
        if !matches!(event, Event::Progress(_)) {
            self.dirty.insert(key.clone());
        }
        if let Some(live) = self.live.get_mut(key)
            && (started || over)
        {
            live.launch = None;
        }
        if let Event::Exited { exit, .. } = &event {
            let told = self.actual.tasks.get(key).is_some_and(|known| known.kill.is_some());
            metrics::ended(key, exit, told);
        }
        let follows = self.actual.happened(key, event, now);
        if started {
            self.tend(key);
            self.start_checks(key);
            if self.actual.tasks.get(key).is_some_and(|k| k.kill.is_some()) {
                self.terminate(key); // the order to die came during the start
            }
        }
        if over && let Some(live) = self.live.get(key) {
            live.checks.cancel();
        }
        if let Some(action) = follows {
            self.carry_out(action, now);
        }
    }

    /// Follows the output and runs the checks of an incarnation whose containers run.
    pub(super) fn tend(&mut self, key: &Key) {
        let Some(live) = self.live.get_mut(key).filter(|l| !l.tended) else { return };
        live.tended = true;
        let is_pod = live.members.iter().any(|m| !m.name.is_empty());
        let sandbox = self.sandboxes.dir(&live.app, key);
        let output = self.sandboxes.output(&live.app, key);
        for member in live.members.iter().filter(|m| m.name != INFRA) {
            let files = output::Files {
                dir: if is_pod { output.join(&member.name) } else { output.clone() },
                sandbox: if is_pod { sandbox.join(&member.name) } else { sandbox.clone() },
                mark: self.sandboxes.records(key).join(format!("output{}.json", member.name)),
            };
            let (done, receiver) = oneshot::channel();
            live.followers.push(receiver);
            let (runtime, id, instance) = (self.runtime.clone(), member.id.clone(), key.0.clone());
            self.tasks.connection("output", async move {
                if let Err(error) = output::follow(runtime, id, files).await {
                    tracing::warn!(%instance, %error, "output of the task is lost");
                }
                drop(done); // whoever waits learns it by the closed channel
            });
        }
        self.start_checks(key);
        // Deaths that were heard of before the start was through.
        self.go_on_without(key, self.clock.now());
        self.end_if_over(key);
    }

    /// Begins the checks of a running incarnation, once.
    fn start_checks(&mut self, key: &Key) {
        let Some(live) = self.live.get_mut(key).filter(|l| l.health.is_none()) else { return };
        let Some(known) = self.actual.tasks.get(key).filter(|k| k.kill.is_none()) else { return };
        if let Some(order) = &known.order {
            let report = &known.report;
            let checked = Checked {
                health: report.health.clone(),
                ready: report.ready,
                readiness: report.readiness.clone(),
                check: report.check,
            };
            live.health = Some(Health::new(&order.spec.run, self.clock.moment(), &checked));
            let subject = Subject {
                key: key.clone(),
                order: Arc::new(order.clone()),
                addresses: report.addresses.clone(),
                members: Arc::new(live.members.clone()),
                stop: live.checks.clone(),
            };
            self.prober.start(&subject, report.ready);
        }
    }

    pub(super) fn found(&mut self, key: &Key, finding: Finding, now: Timestamp) {
        let Some(health) = self.live.get_mut(key).and_then(|l| l.health.as_mut()) else { return };
        let verdict = health.take(finding, now, self.clock.moment());
        let checked = health.checked();
        if verdict.changed {
            self.happened(key, Event::Checked(checked), now);
        }
        if let Some(why) = verdict.kill {
            self.happened(key, Event::Unhealthy(why), now);
        }
    }

    /// SIGTERM, or the end of a launch under way.
    pub(super) fn terminate(&mut self, key: &Key) {
        let Some(live) = self.live.get_mut(key) else { return };
        live.checks.cancel();
        if self.waiting.remove(key) {
            let message = "killed before it was started".to_owned();
            let event = Event::NotStarted { message, error: false };
            let now = self.clock.now();
            self.happened(key, event, now);
            return;
        }
        if let Some(launch) = &live.launch {
            launch.cancel();
            return;
        }
        live.stopping = true;
        self.tell_to_end(key);
    }

    /// SIGTERM to the containers whose turn it is.
    fn tell_to_end(&mut self, key: &Key) {
        let Some(live) = self.live.get_mut(key) else { return };
        let known = self.actual.tasks.get(key);
        let spec = |member: &Member| known.and_then(|known| exit::spec_of(known, &member.name));
        let work: Vec<Member> = live.work().cloned().collect();
        let part = |member: &Member| Part {
            is_sidecar: spec(member).is_some_and(ContainerSpec::is_sidecar),
            is_told: live.told.contains(&member.id),
            is_over: live.exits.contains_key(&member.id),
        };
        let parts: Vec<Part> = work.iter().map(part).collect();
        let order = known.and_then(|known| known.order.as_ref());
        let serves = order.is_some_and(|order| order.spec.run.ports().next().is_some());
        let lead = if serves { limit::LEAVE_LEAD } else { Duration::ZERO };
        for member in ending::to_tell(&parts, live.stopping).into_iter().map(|i| work[i].clone()) {
            live.told.insert(member.id.clone());
            let grace = ending::grace_of(spec(&member));
            let (runtime, inbox) = (self.runtime.clone(), self.inbox.clone());
            self.tasks.connection("terminate", async move {
                tokio::time::sleep(lead).await;
                let told = runtime.terminate(&member.id, member.is_plain);
                // An app's end is escalated with its instance. A pod's containers have a time each, and
                // one that goes down with another has no order that anybody would look after.
                let outcome = if member.name.is_empty() {
                    told.await
                } else {
                    let until = Instant::now() + grace.saturating_sub(lead);
                    match timeout_at(until, told).await {
                        Ok(Err(error)) => Err(error),
                        told => {
                            if told.is_ok() {
                                sleep_until(until).await; // nobody has looked whether it went
                            }
                            runtime.kill(&member.id).await
                        }
                    }
                };
                if let Err(error) = outcome {
                    gone_or_warn(&member.id, &error, &inbox).await;
                }
            });
        }
    }

    pub(super) fn kill_hard(&mut self, key: &Key) {
        let Some(live) = self.live.get(key) else { return };
        for member in live.work().filter(|m| !live.exits.contains_key(&m.id)) {
            let (runtime, inbox, id) =
                (self.runtime.clone(), self.inbox.clone(), member.id.clone());
            self.tasks.connection("kill", async move {
                if let Err(error) = runtime.kill(&id).await {
                    gone_or_warn(&id, &error, &inbox).await;
                }
            });
        }
    }

    pub(super) fn out_of_memory(&mut self, id: &str) {
        let key = self.by_container.get(id);
        if let Some(live) = key.and_then(|key| self.live.get_mut(key)) {
            live.out_of_memory.insert(id.to_owned(), self.clock.now());
        }
    }

    /// One container has ended.
    pub(super) fn container_ended(&mut self, id: &str, mut exit: Exit) {
        let Some(key) = self.by_container.get(id).cloned() else { return };
        let Some(live) = self.live.get_mut(&key) else { return };
        let Some(member) = live.members.iter().find(|m| m.id == id) else { return };
        if live.exits.contains_key(id) {
            return;
        }
        let now = self.clock.now();
        let before = live.out_of_memory.get(id).map(|at| now.since(*at));
        let seen = MemorySeen { flag: exit.out_of_memory, before };
        // Told to end, it was ended by that: the same code comes from our own SIGKILL.
        let told = self.actual.tasks.get(&key).is_some_and(|known| known.kill.is_some());
        exit.out_of_memory = !told && seen.was_the_end(exit.code);
        let spec = self.actual.tasks.get(&key).and_then(|k| exit::spec_of(k, &member.name));
        exit.message = exit::text(&exit, seen, member.is_plain, spec);
        let is_failure = exit.code != Some(0) && !live.told.contains(id);
        if is_failure && live.first_failure.is_none() {
            live.first_failure = Some(exit.clone());
        }
        live.exits.insert(id.to_owned(), exit);
        self.go_on_without(&key, now);
        self.end_if_over(&key);
    }

    /// What follows for the rest of a pod whose start is through when some containers have ended.
    fn go_on_without(&mut self, key: &Key, now: Timestamp) {
        let Some(live) = self.live.get_mut(key).filter(|live| live.launch.is_none()) else {
            return;
        };
        if !live.work().any(|m| !live.exits.contains_key(&m.id)) {
            return;
        }
        // A pod goes down with its first failing container.
        if live.first_failure.is_some() {
            live.stopping = true;
            live.checks.cancel();
        }
        for status in statuses(live, now) {
            let known = self.actual.tasks.get(key).map(|known| &known.report.containers);
            if known.is_some_and(|known| !known.contains(&status)) {
                self.happened(key, Event::ContainerEnded(status), now);
            }
        }
        self.tell_to_end(key);
    }

    /// Reports the end once every container has ended; not before the start was reported.
    fn end_if_over(&mut self, key: &Key) {
        let Some(live) = self.live.get_mut(key) else { return };
        let over = live.work().all(|m| live.exits.contains_key(&m.id));
        if live.ending || live.launch.is_some() || live.members.is_empty() || !over {
            return;
        }
        live.ending = true;
        live.checks.cancel();
        let exit_of = |m: &Member| live.exits.get(&m.id).cloned();
        // Not that of a sidecar which was told to go because the others had ended.
        let own = live.work().filter(|m| !live.told.contains(&m.id)).filter_map(exit_of).last();
        let last = own.or_else(|| live.work().filter_map(exit_of).last());
        let exit = live.first_failure.clone().or(last).unwrap_or_default();
        let now = self.clock.now();
        let is_pod = live.members.iter().any(|m| !m.name.is_empty());
        let containers = if is_pod { statuses(live, now) } else { Vec::new() };
        let infra: Vec<String> =
            live.members.iter().filter(|m| m.name == INFRA).map(|m| m.id.clone()).collect();
        let followers = std::mem::take(&mut live.followers);
        let failed = exit.code != Some(0);
        let of = live.work().find(|m| live.exits.get(&m.id).is_some_and(|e| e.code == exit.code));
        let of = of.map(|member| member.name.clone()).unwrap_or_default();
        let output = self.sandboxes.output(&live.app, key);
        let (runtime, inbox, key) = (self.runtime.clone(), self.inbox.clone(), key.clone());
        self.tasks.connection("end", async move {
            for id in infra {
                if let Err(error) = runtime.remove(&id).await {
                    tracing::warn!(instance = %key.0, %error, "infra container left behind");
                }
            }
            let rest = async {
                for follower in followers {
                    drop(follower.await);
                }
            };
            if tokio::time::timeout(OUTPUT_REST, rest).await.is_err() {
                tracing::debug!(instance = %key.0, "end reported before all output was read");
            }
            let mut exit = exit;
            if failed {
                let last = move || output::last(&output.join(of));
                exit.tail = tokio::task::spawn_blocking(last).await.unwrap_or_default();
            }
            drop(inbox.send(Input::Task(key, Event::Exited { exit, containers })).await);
        });
    }

    /// The leader has let go: what is left is garbage.
    pub(super) fn forget(&mut self, key: &Key, now: Timestamp) {
        self.waiting.remove(key);
        let Some(live) = self.live.remove(key) else { return };
        for member in &live.members {
            self.by_container.remove(&member.id);
        }
        let known = Known::found(key, now);
        let mut record = Record::new(live.app, known);
        record.members = live.members;
        record.forgotten_at = Some(now);
        if let Err(error) = record.save(&self.sandboxes) {
            tracing::warn!(instance = %key.0, %error, "cannot write the task's record");
        }
        self.graves.insert(key.clone(), Grave::of(&record));
    }

    /// A member that is not in the records, found by its labels.
    pub(super) fn adopt_member(&mut self, key: &Key, app: &str, member: Member, now: Timestamp) {
        if !self.actual.tasks.contains_key(key) {
            self.actual.tasks.insert(key.clone(), Known::found(key, now));
        }
        let live = self.live.entry(key.clone()).or_insert_with(|| Live::new(AppId::parse(app)));
        if !live.members.iter().any(|m| m.id == member.id) {
            self.by_container.insert(member.id.clone(), key.clone());
            live.members.push(member);
            self.dirty.insert(key.clone());
        }
    }

    /// Gives containers found by their labels the orders they were started by.
    pub(super) fn complete_found(&mut self) {
        let mut completed = Vec::new();
        for (key, known) in self.actual.tasks.iter_mut().filter(|(_, k)| k.order.is_none()) {
            let order = self.desired.order(&key.0).filter(|o| o.incarnation == key.1);
            if let Some(order) = order {
                known.order = Some(order.clone());
                completed.push(key.clone());
            }
        }
        for key in completed {
            self.dirty.insert(key.clone());
            self.look_at_start(&key); // since when and at which addresses; its checks begin then
        }
    }

    /// Whether all containers of an order are among its members.
    pub(super) fn is_complete(&self, key: &Key) -> bool {
        let Some(live) = self.live.get(key) else { return false };
        let order = self.actual.tasks.get(key).and_then(|k| k.order.as_ref());
        order.is_some_and(|o| {
            o.spec.run.containers.iter().all(|c| live.members.iter().any(|m| m.name == c.name))
        })
    }
}

async fn gone_or_warn(id: &str, error: &EngineError, inbox: &tokio::sync::mpsc::Sender<Input>) {
    match error {
        // Without the container there is no exit code to learn any more.
        EngineError::NoSuch(_) => {
            let exit = Exit::default();
            drop(inbox.send(Input::Ended { id: id.to_owned(), exit }).await);
        }
        // It has just ended by itself; its end is on the way.
        EngineError::Conflict(_) => {}
        EngineError::Refused { message, .. } if message.contains("is not running") => {}
        other => tracing::warn!(container = id, error = %other, "cannot signal the container"),
    }
}

fn statuses(live: &Live, now: Timestamp) -> Vec<ContainerStatus> {
    let status = |m: &Member| {
        let exit = live.exits.get(&m.id)?;
        Some(exit::status(&m.name, exit, live.told.contains(&m.id), now))
    };
    live.work().filter_map(status).collect()
}
