//! A virtual node: the agent's own decisions (`agent::desired`) over made-up containers.
//!
//! Containers outlive the agent process, not the machine. What the agent writes down survives both.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    agent::desired::{self, Action, Actual, Checked, DesiredSet, Event, Exit, Key, Outbox, Why},
    base::{
        clock::{Moment, Timestamp},
        rng::Rng,
    },
    model::{
        InstanceId, VolumeId,
        instance::CheckStatus,
        link::{Report, ToAgent},
        node::NodeInfo,
    },
};

/// How containers of this world behave.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// From the order to running, at least and at most.
    pub start_ms: (u64, u64),
    /// Of a thousand starts: how many take a hundred times as long, and how many fail.
    pub slow_of_1000: u64,
    pub fail_of_1000: u64,
    /// Of a thousand containers: how many ignore SIGTERM.
    pub stubborn_of_1000: u64,
}

impl Behaviour {
    /// Containers that do what they should.
    pub const GOOD: Self =
        Self { start_ms: (100, 600), slow_of_1000: 0, fail_of_1000: 0, stubborn_of_1000: 0 };
}

/// The present on both clocks of a machine.
#[derive(Clone, Copy, Debug)]
pub struct Present {
    pub at: Timestamp,
    pub moment: Moment,
}

/// Something that will happen to a container unless it ends before.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    Started,
    NotStarted,
    /// First results of its checks.
    Checked(bool),
    Exited(i32),
}

/// One made-up container.
#[derive(Clone, Debug)]
struct Container {
    stubborn: bool,
}

/// One machine with its agent.
#[derive(Debug)]
pub struct VirtualNode {
    pub info: NodeInfo,
    /// The machine runs.
    pub is_up: bool,
    /// The agent process runs.
    pub is_agent_up: bool,
    /// Nothing passes between it and the leader.
    pub is_cut: bool,
    /// Number of its connection to the leader; messages of older ones are void.
    pub epoch: u32,
    pub is_connected: bool,
    /// Messages on one connection keep their order.
    pub last_to: Timestamp,
    pub last_from: Timestamp,
    /// By how much its wall clock is wrong.
    pub clock_off_ms: i64,
    /// When it looks at its tasks next.
    pub wakes_at: Option<Timestamp>,
    desired: DesiredSet,
    actual: Actual,
    outbox: Outbox,
    containers: BTreeMap<Key, Container>,
    /// Whose volumes it was told to remove.
    to_wipe: Vec<InstanceId>,
    rng: Rng,
}

/// What came out of one look at the tasks.
#[derive(Debug, Default)]
pub struct Work {
    pub reports: Vec<Report>,
    pub fates: Vec<(Key, Fate, Duration)>,
    pub started: Vec<Key>,
    pub ended: Vec<Key>,
    /// Told to end although they ran.
    pub killed: Vec<(Key, Why)>,
    /// Volumes that a launch begins to write, with its epoch.
    pub written: Vec<(VolumeId, u32)>,
    /// Whose volumes were removed.
    pub wiped: Vec<InstanceId>,
}

impl VirtualNode {
    pub fn new(info: NodeInfo, rng: Rng, now: Timestamp) -> Self {
        Self {
            info,
            is_up: true,
            is_agent_up: true,
            is_cut: false,
            epoch: 0,
            is_connected: false,
            last_to: now,
            last_from: now,
            clock_off_ms: 0,
            wakes_at: None,
            desired: DesiredSet::default(),
            actual: Actual::default(),
            outbox: Outbox::default(),
            containers: BTreeMap::new(),
            to_wipe: Vec::new(),
            rng,
        }
    }

    /// Whether messages can pass at all.
    pub fn is_reachable(&self) -> bool {
        self.is_up && self.is_agent_up && !self.is_cut
    }

    /// Containers that run now.
    pub fn live(&self) -> impl Iterator<Item = &Key> {
        self.containers.keys()
    }

    pub fn has(&self, key: &Key) -> bool {
        self.containers.contains_key(key)
    }

    /// A message of the leader has arrived.
    pub fn hear(&mut self, message: ToAgent) {
        match message {
            ToAgent::Desired(desired) => desired::apply_message(&mut self.desired, desired),
            ToAgent::Volumes(volumes) => self.to_wipe = volumes.wipe,
            ToAgent::TellAll => self.outbox = Outbox::default(),
            _ => {}
        }
    }

    /// All that is known here, for a new connection.
    pub fn all_reports(&mut self, now: Moment) -> Vec<Report> {
        self.outbox.all(&self.actual, now)
    }

    /// The agent process starts again: containers and records are still there.
    pub fn restart_agent(&mut self) {
        self.desired = DesiredSet::default();
        self.outbox = Outbox::default();
        self.is_agent_up = true;
    }

    /// The machine goes down with all its containers.
    pub fn crash(&mut self) -> Vec<Key> {
        self.is_up = false;
        self.is_connected = false;
        std::mem::take(&mut self.containers).into_keys().collect()
    }

    /// The machine comes back: records without containers have ended.
    pub fn boot(&mut self, now: Present) {
        self.is_up = true;
        self.restart_agent();
        let keys: Vec<Key> = self.actual.tasks.keys().cloned().collect();
        for key in keys {
            let exit =
                Exit { code: None, message: "gone after a reboot".to_owned(), ..Exit::default() };
            self.actual.happened(&key, Event::Exited { exit, containers: Vec::new() }, now.at);
        }
    }

    /// Something happens to a container. Whether it was there.
    pub fn happens(&mut self, key: &Key, fate: Fate, now: Present, work: &mut Work) -> bool {
        if !self.containers.contains_key(key) {
            return false;
        }
        let event = match fate {
            Fate::Started => {
                if self.n_checks(key) > 0 {
                    let after = Duration::from_millis(200 + self.rng.below(800));
                    work.fates.push((key.clone(), Fate::Checked(true), after));
                }
                Event::Started {
                    at: now.at,
                    addresses: Vec::new(),
                    containers: Vec::new(),
                    ready: true,
                }
            }
            Fate::NotStarted => {
                self.containers.remove(key);
                work.ended.push(key.clone());
                Event::NotStarted { message: "the image is not there".to_owned(), error: false }
            }
            Fate::Checked(alive) => Event::Checked(self.checked(key, alive, now.at)),
            Fate::Exited(code) => {
                self.containers.remove(key);
                work.ended.push(key.clone());
                let exit = Exit { code: Some(code), ..Exit::default() };
                Event::Exited { exit, containers: Vec::new() }
            }
        };
        if let Some(action) = self.actual.happened(key, event, now.at) {
            self.act(&action, &Behaviour::GOOD, now, work);
        }
        true
    }

    /// One look at what should be and what is: acts, and tells the leader when it can.
    pub fn look(&mut self, behaviour: &Behaviour, now: Present, work: &mut Work) {
        for action in desired::plan(&self.desired, &self.actual, now.moment) {
            self.act(&action, behaviour, now, work);
        }
        if self.is_connected {
            let runs =
                |id: &InstanceId| self.desired.order(id).is_some() || self.actual.has_live(id);
            let (stay, gone) = std::mem::take(&mut self.to_wipe).into_iter().partition(runs);
            self.to_wipe = stay;
            work.wiped = gone;
            work.reports.extend(self.outbox.due(&self.desired, &self.actual, now.moment));
        }
    }

    /// When the next look is due if nothing happens.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.actual.next_deadline()
    }

    fn act(&mut self, action: &Action, behaviour: &Behaviour, now: Present, work: &mut Work) {
        self.actual.begin(action, now.at, now.moment);
        match action {
            Action::Start(order) => {
                let key = (order.instance.clone(), order.incarnation);
                let stubborn = self.rng.below(1_000) < behaviour.stubborn_of_1000;
                self.containers.insert(key.clone(), Container { stubborn });
                work.started.push(key.clone());
                let written = order.volumes.iter().map(|v| (v.id.clone(), v.epoch));
                work.written.extend(written);
                let (least, most) = behaviour.start_ms;
                let mut after = least + self.rng.below(most - least + 1);
                if self.rng.below(1_000) < behaviour.slow_of_1000 {
                    after *= 100;
                }
                let fails = self.rng.below(1_000) < behaviour.fail_of_1000;
                let fate = if fails { Fate::NotStarted } else { Fate::Started };
                work.fates.push((key, fate, Duration::from_millis(after)));
            }
            Action::Kill { key, why, .. } => {
                work.killed.push((key.clone(), why.clone()));
                let obeys = self.containers.get(key).is_some_and(|c| !c.stubborn);
                if obeys {
                    let after = Duration::from_millis(20 + self.rng.below(300));
                    work.fates.push((key.clone(), Fate::Exited(143), after));
                }
            }
            Action::Escalate { key } => {
                work.fates.push((key.clone(), Fate::Exited(137), Duration::from_millis(20)));
            }
            Action::Deny(_) | Action::Forget { .. } => {}
        }
    }

    fn n_checks(&self, key: &Key) -> usize {
        let order = self.actual.tasks.get(key).and_then(|k| k.order.as_ref());
        order.map_or(0, |o| o.spec.run.containers.iter().map(|c| c.health_checks.len()).sum())
    }

    fn checked(&self, key: &Key, alive: bool, now: Timestamp) -> Checked {
        let one = |index: usize| CheckStatus {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            alive,
            consecutive_failures: u32::from(!alive),
            first_success: alive.then_some(now),
            last_success: alive.then_some(now),
            last_failure: (!alive).then_some(now),
            last_failure_cause: None,
        };
        let health = (0..self.n_checks(key)).map(one).collect();
        Checked { health, ready: true, ..Checked::default() }
    }
}
