//! The agent's loop: the one writer of what the agent knows.
//!
//! Everything arrives as an `Input` in one queue; a batch is taken in, then `settle` asks `desired`
//! what to do, has it done by tasks of their own and tells the leader the news. Nothing here waits
//! for the engine, the disk of a task or the network.

pub mod adopt;
mod exec;
mod gc;
mod live;
mod volumes;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use self::{
    exec::Sessions,
    gc::{Collected, Grave},
    live::Live,
};
use super::{
    Standing,
    check::Prober,
    config::AgentConfig,
    desired::{self, Action, Actual, DesiredSet, Event, Exit, Key, Outbox},
    health::Finding,
    link::LinkEnds,
    machine::{Sampler, UsageOf, ports::Refused},
    metrics,
    prepare::Starter,
    record::Member,
    runtime::Runtime,
    sandbox::Sandboxes,
};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        limit,
        task::Tasks,
    },
    core::naming::known::Received,
    host::docker::{Found, engine::EngineEvent},
    model::{
        InstanceId, Ranges,
        link::{
            Desired, EngineAway, FromAgent, Hello, Order, Report, ToAgent, Usage, VolumeUsage,
            Volumes,
        },
    },
};

/// Inputs taken in before the worker acts.
const BATCH_MAX: usize = 256;
/// A container engine that does not answer for less than this is not told.
const ENGINE_PATIENCE: Duration = Duration::from_secs(2);
/// How often usage is sampled, in heartbeats (5 s).
const SAMPLE_EVERY: u64 = 10;
/// How often garbage is looked for, in heartbeats (30 s).
const COLLECT_EVERY: u32 = 60;

/// Something for the worker.
pub enum Input {
    /// A new link to the leader; an older one is dropped.
    Link(LinkEnds),
    /// The link with this number has ended.
    LinkLost(u64),
    Master(u64, ToAgent),
    Task(Key, Event),
    Created(Key, Member),
    /// A start failed because the engine was away.
    NoEngine(Key, String),
    Engine(EngineEvent),
    /// The engine's containers, all of them.
    Listed(Vec<Found>),
    /// The same, before the leader was told anything.
    Looked(Vec<Found>),
    /// The engine does not answer.
    EngineAway(String),
    /// A container is known to have ended, with what is known of how.
    Ended {
        id: String,
        exit: Exit,
    },
    Finding(Key, Finding),
    Sampled(Box<Sampler>, Usage),
    /// Garbage that is gone, and what volumes take.
    Collected(Collected),
    /// The volumes of an instance are gone, or could not be removed.
    Wiped(InstanceId, std::io::Result<()>),
    /// An exec session has ended.
    SessionOver(u64),
}

/// Messages of the worker itself waiting for the link.
const NEWS_MAX: usize = 1_024;

/// A link to a leader.
struct Link {
    number: u64,
    /// Whether the leader has said so.
    is_welcome: bool,
    /// News and heartbeats. They stand in the line of the link like each session does, so that
    /// those, however many, cannot keep them out.
    news: mpsc::Sender<FromAgent>,
    to: mpsc::Sender<FromAgent>,
}

/// The agent's state.
pub struct Worker {
    pub(super) config: Arc<AgentConfig>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: Tasks,
    pub(super) sandboxes: Sandboxes,
    pub(super) starter: Arc<Starter>,
    pub(super) prober: Prober,
    pub(super) inbox: mpsc::Sender<Input>,
    /// Whether it does its work, for whoever follows.
    standing: watch::Sender<Standing>,
    pub(super) desired: DesiredSet,
    /// The beginning of a full set whose end has not come yet.
    parts: Vec<Order>,
    pub(super) actual: Actual,
    pub(super) live: BTreeMap<Key, Live>,
    pub(super) by_container: HashMap<String, Key>,
    /// Starts that wait for the engine.
    pub(super) waiting: BTreeSet<Key>,
    /// Why the engine cannot be used; `None` when it can.
    pub(super) engine_away: Option<String>,
    /// Incarnations whose record on disk is older than what is known.
    pub(super) dirty: BTreeSet<Key>,
    pub(super) graves: BTreeMap<Key, Grave>,
    /// What the leader told last of volumes here, and whose are being removed.
    volumes: Volumes,
    wiping: BTreeSet<InstanceId>,
    filled: Vec<VolumeUsage>,
    names: Received,
    pub(super) sessions: Sessions,
    outbox: Outbox,
    link: Option<Link>,
    n_links: u64,
    /// Whether what runs was looked at, where nothing is known of it, before the first link was used.
    has_looked: bool,
    /// Ports the engine refused to publish.
    refused: Refused,
    usage: Usage,
    /// Since when the engine is away; `None` while it answers.
    away_since: Option<Timestamp>,
    sampler: Option<Box<Sampler>>,
    n_beats: u64,
}

/// What a worker is made of.
pub struct Parts {
    pub config: Arc<AgentConfig>,
    pub runtime: Arc<dyn Runtime>,
    pub clock: Arc<dyn Clock>,
    pub tasks: Tasks,
    pub sandboxes: Sandboxes,
    pub starter: Arc<Starter>,
    pub prober: Prober,
    pub inbox: mpsc::Sender<Input>,
    pub standing: watch::Sender<Standing>,
}

impl Worker {
    /// A worker that knows what the records on disk say.
    pub fn new(parts: Parts) -> Self {
        let Parts { config, runtime, clock, tasks, sandboxes, starter, prober, inbox, standing } =
            parts;
        let mut worker = Self {
            config,
            runtime,
            clock,
            tasks,
            sandboxes,
            starter,
            prober,
            inbox,
            standing,
            desired: DesiredSet::default(),
            parts: Vec::new(),
            actual: Actual::default(),
            live: BTreeMap::new(),
            by_container: HashMap::new(),
            waiting: BTreeSet::new(),
            engine_away: Some("the container engine has not answered yet".to_owned()),
            dirty: BTreeSet::new(),
            graves: BTreeMap::new(),
            volumes: Volumes::default(),
            wiping: BTreeSet::new(),
            filled: Vec::new(),
            names: Received::default(),
            sessions: Sessions::default(),
            outbox: Outbox::default(),
            link: None,
            n_links: 0,
            has_looked: false,
            refused: Refused::default(),
            usage: Usage::default(),
            away_since: None,
            sampler: Some(Box::default()),
            n_beats: 0,
        };
        worker.remember();
        worker
    }

    /// Runs until the queue is closed or the group is cancelled.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Input>) {
        let cancelled = self.tasks.cancelled();
        let mut beat = tokio::time::interval(limit::HEARTBEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let wake = self.until_deadline();
            tokio::select! {
                () = cancelled.cancelled() => break,
                n = queue.recv_many(&mut batch, BATCH_MAX) => if n == 0 { break },
                _ = beat.tick() => self.beat(),
                () = tokio::time::sleep(wake.unwrap_or_default()), if wake.is_some() => {}
            }
            let now = self.clock.now();
            for input in batch.drain(..) {
                self.take(input, now);
            }
            self.settle(now);
        }
        self.save_dirty();
    }

    /// How long until something is due before the next beat; that looks as well.
    fn until_deadline(&self) -> Option<Duration> {
        let wake = self.actual.next_deadline()?.since(self.clock.moment());
        (wake < limit::HEARTBEAT).then_some(wake)
    }

    fn take(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Link(ends) => self.open_link(ends),
            Input::LinkLost(number) => {
                if self.link.as_ref().is_some_and(|l| l.number == number) {
                    metrics::link_lost(&self.config.info.id);
                    self.link = None;
                    self.sessions.close_all();
                }
            }
            Input::Master(number, message) => {
                if self.link.as_ref().is_some_and(|l| l.number == number) {
                    self.hear(message);
                }
            }
            Input::Task(key, event) => {
                self.note_ports(&key, &event, now);
                self.happened(&key, event, now);
            }
            Input::Created(key, member) => self.created(&key, member),
            Input::NoEngine(key, text) => self.no_engine(key, text, now),
            Input::Engine(event) => self.engine_event(event),
            Input::Listed(list) => self.listed(list, now),
            Input::Looked(list) => list.iter().for_each(|found| self.meet(found, now)),
            Input::EngineAway(text) => self.engine_went_away(text),
            Input::Ended { id, exit } => self.container_ended(&id, exit),
            Input::Finding(key, finding) => self.found(&key, finding, now),
            Input::Sampled(sampler, usage) => {
                self.sampler = Some(sampler);
                let engine_away = self.usage.engine_away.take();
                self.usage = Usage { engine_away, ..usage };
            }
            Input::Collected(collected) => {
                for key in collected.gone {
                    self.graves.remove(&key);
                }
                self.filled = collected.volumes.unwrap_or(std::mem::take(&mut self.filled));
            }
            Input::Wiped(instance, outcome) => self.wiped(instance, outcome),
            Input::SessionOver(id) => self.sessions.close(id),
        }
    }

    /// Acts on what is known now and tells the leader the news.
    fn settle(&mut self, now: Timestamp) {
        loop {
            let actions = desired::plan(&self.desired, &self.actual, self.clock.moment());
            if actions.is_empty() {
                break;
            }
            for action in actions {
                self.carry_out(action, now);
            }
        }
        self.save_dirty();
        self.wipe();
        let due = match &self.link {
            Some(_) => self.outbox.due(&self.desired, &self.actual, self.clock.moment()),
            None => Vec::new(),
        };
        if !due.is_empty() {
            self.tell_reports(&due);
        }
        self.tell_standing();
    }

    fn tell_standing(&self) {
        let standing = match (&self.link, &self.engine_away) {
            (None | Some(Link { is_welcome: false, .. }), _) => {
                Standing::Waits("no leader has welcomed it".to_owned())
            }
            (Some(_), Some(why)) => Standing::Waits(why.clone()),
            (Some(_), None) => Standing::Works,
        };
        self.standing.send_if_modified(|told| {
            let is_news = *told != standing;
            *told = standing;
            is_news
        });
    }

    /// Begins an action and has it done.
    pub(super) fn carry_out(&mut self, action: Action, now: Timestamp) {
        self.actual.begin(&action, now, self.clock.moment());
        match action {
            Action::Start(order) => self.start(order),
            Action::Kill { key, why, .. } => {
                tracing::info!(instance = %key.0, ?why, "ending instance");
                self.dirty.insert(key.clone());
                self.terminate(&key);
            }
            Action::Escalate { key } => {
                self.dirty.insert(key.clone());
                self.kill_hard(&key);
            }
            Action::Deny(order) => self.deny(order),
            Action::Forget { key } => self.forget(&key, now),
        }
    }

    fn open_link(&mut self, ends: LinkEnds) {
        if !std::mem::replace(&mut self.has_looked, true) && self.actual.tasks.is_empty() {
            return self.look_first(ends);
        }
        self.n_links += 1;
        let number = self.n_links;
        let LinkEnds { to_master, mut from_master } = ends;
        let mut reports = self.outbox.all(&self.actual, self.clock.moment());
        let rest = reports.split_off(reports.len().min(limit::LINK_PART_ITEMS_MAX));
        let info = self.config.info.clone();
        let hello = Hello { info, reports };
        if to_master.try_send(FromAgent::Hello(Box::new(hello))).is_err() {
            tracing::warn!("the new link to the leader takes no message");
            return;
        }
        self.sessions.close_all();
        self.parts.clear();
        let (news, mut outgoing) = mpsc::channel(NEWS_MAX);
        self.link = Some(Link { number, is_welcome: false, news, to: to_master.clone() });
        self.tasks.connection("link-news", async move {
            while let Some(message) = outgoing.recv().await {
                if to_master.send(message).await.is_err() {
                    return;
                }
            }
        });
        self.tell_reports(&rest);
        let inbox = self.inbox.clone();
        self.tasks.connection("link-reader", async move {
            while let Some(message) = from_master.recv().await {
                if inbox.send(Input::Master(number, message)).await.is_err() {
                    return;
                }
            }
            drop(inbox.send(Input::LinkLost(number)).await);
        });
    }

    fn hear(&mut self, message: ToAgent) {
        match message {
            ToAgent::Welcome { cluster } => {
                tracing::info!(node = %self.config.info.id, cluster, "registered with the leader");
                if let Some(link) = &mut self.link {
                    link.is_welcome = true;
                }
            }
            // Whoever keeps the connection has seen it.
            ToAgent::Masters(_) => {}
            ToAgent::Refused(why) => {
                tracing::error!(node = %self.config.info.id, why, "the leader refuses this agent");
                self.link = None;
                self.sessions.close_all();
            }
            ToAgent::Removed(why) => {
                tracing::error!(node = %self.config.info.id, why, "this node's tasks are ended");
                let nothing = Desired { full: true, orders: Vec::new(), forget: Vec::new() };
                desired::apply_message(&mut self.desired, nothing);
                self.link = None;
            }
            ToAgent::DesiredPart { first, orders } => {
                if first {
                    self.parts.clear();
                }
                self.parts.extend(orders.orders);
            }
            ToAgent::Desired(mut desired) => {
                if desired.full {
                    desired.orders.append(&mut self.parts);
                }
                desired::apply_message(&mut self.desired, desired);
                self.complete_found();
            }
            ToAgent::Volumes(volumes) => self.volumes = volumes,
            ToAgent::TellAll => self.outbox = Outbox::default(),
            ToAgent::Ask { id, question } => self.asked(id, question),
            ToAgent::Data { id, channel, bytes } => self.sessions.data(id, channel, bytes),
            ToAgent::End { id } => self.sessions.close(id),
            ToAgent::Credit { id, n } => self.sessions.credit(id, n),
            ToAgent::Names(news) => {
                if let Some(known) = self.names.take(&news) {
                    self.config.names.send_replace(Some(known.clone()));
                }
            }
        }
    }

    /// The end messages to the leader go to, for tasks that answer on their own.
    pub(super) fn to_master(&self) -> Option<mpsc::Sender<FromAgent>> {
        self.link.as_ref().map(|l| l.to.clone())
    }

    fn tell_reports(&mut self, due: &[Report]) {
        for part in due.chunks(limit::LINK_PART_ITEMS_MAX) {
            let Some(link) = &self.link else { return };
            match link.news.try_send(FromAgent::Reports(part.to_vec())) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => self.outbox.untell(part),
                Err(mpsc::error::TrySendError::Closed(_)) => self.link = None,
            }
        }
    }

    fn beat(&mut self) {
        self.n_beats += 1;
        self.note_engine();
        if let Some(link) = &self.link {
            // A link too full for a heartbeat is busy with something better.
            drop(link.news.try_send(FromAgent::Heartbeat(self.usage.clone())));
        }
        if self.n_beats % SAMPLE_EVERY == 1 {
            self.sample();
        }
        if self.n_beats.is_multiple_of(u64::from(COLLECT_EVERY)) {
            self.collect();
        }
    }

    /// Tells with the next heartbeat whether the engine answers. A moment's silence, as at the start
    /// or while the engine is restarted, is not told.
    fn note_engine(&mut self) {
        let Some(cause) = &self.engine_away else {
            (self.away_since, self.usage.engine_away) = (None, None);
            return;
        };
        let now = self.clock.now();
        let since = *self.away_since.get_or_insert(now);
        if now.since(since) >= ENGINE_PATIENCE {
            self.usage.engine_away = Some(EngineAway { since, cause: cause.clone() });
        }
    }

    pub(super) fn last_usage(&self) -> Usage {
        self.usage.clone()
    }

    /// A start that failed because somebody else has a port: the leader is to know it before it
    /// tries again.
    fn note_ports(&mut self, key: &Key, event: &Event, now: Timestamp) {
        let Event::NotStarted { message, .. } = event else { return };
        let order = self.actual.tasks.get(key).and_then(|known| known.order.as_ref());
        if order.is_some_and(|order| self.refused.note(order, message, now)) {
            self.usage.ports_held = self.usage.ports_held.union(&self.refused.ports(now));
            if let Some(link) = &self.link {
                drop(link.news.try_send(FromAgent::Heartbeat(self.usage.clone())));
            }
        }
    }

    /// Ports given to tasks that have not ended.
    fn own_ports(&self) -> Ranges {
        let alive = self.actual.tasks.values().filter(|known| !known.is_ended());
        let ports = alive.filter_map(|known| known.order.as_ref());
        let ports = ports.flat_map(|order| order.placement.host_ports.iter().flatten());
        Ranges::of_numbers(ports.map(|port| u64::from(*port)))
    }

    fn sample(&mut self) {
        let Some(mut sampler) = self.sampler.take() else { return };
        let (own, refused) = (self.own_ports(), self.refused.ports(self.clock.now()));
        let containers = self
            .live
            .iter()
            .map(|(key, live)| UsageOf {
                instance: key.0.clone(),
                containers: live.running_ids().map(str::to_owned).collect(),
            })
            .collect();
        let (runtime, inbox) = (self.runtime.clone(), self.inbox.clone());
        let (data_dir, filled) = (self.config.data_dir.clone(), self.filled.clone());
        self.tasks.connection("usage", async move {
            let work = move || {
                let mut usage = sampler.sample(&*runtime, containers, &data_dir);
                usage.ports_held = sampler.ports_held(&own).union(&refused);
                usage.volumes = filled;
                (sampler, usage)
            };
            if let Ok((sampler, usage)) = tokio::task::spawn_blocking(work).await {
                drop(inbox.send(Input::Sampled(sampler, usage)).await);
            }
        });
    }

    fn collect(&mut self) {
        let graves: Vec<Grave> = self.graves.values().cloned().collect();
        let job = gc::Job {
            runtime: self.runtime.clone(),
            sandboxes: self.sandboxes.clone(),
            data_dir: self.config.data_dir.clone(),
            keep: self.config.keep,
            now: self.clock.now(),
            wanted: self.desired.names().map(|names| {
                let known = self.actual.tasks.keys().map(|key| &key.0);
                names.chain(known).chain(&self.volumes.kept).cloned().collect()
            }),
            round: limit::HEARTBEAT * COLLECT_EVERY,
        };
        let inbox = self.inbox.clone();
        self.tasks.connection("garbage", async move {
            drop(inbox.send(Input::Collected(job.run(graves).await)).await);
        });
    }
}
