//! The world: clock, queue of events, network, leader.
//!
//! The leader runs the real reconcilers, each with one activation under way at a time: what a step
//! proposes is committed a little later, onto a state that may have moved on, as the log does it.
//! Messages on one connection keep their order and are lost with it. A leader can be lost, to another
//! master with its own copy of the state or to its own disk. Every draw of chance comes from a named
//! branch of the seed.

mod faults;
mod leader;
mod masters;
mod queue;
mod time;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use leader::Leader;
use masters::Masters;
use queue::Queue;
use time::Held;
pub use time::Who;

use super::{
    build::START,
    node::{Behaviour, Fate, Present, VirtualNode, Work},
    oracle::{Committed, Oracle},
    witness::{self, Witness},
};
use crate::{
    agent::desired::Key,
    base::{
        clock::{Clock as _, ManualClock, Moment, Timestamp},
        rng::Rng,
    },
    control::{
        board::{Board, Note},
        links::orders,
        reconcilers::Kind,
    },
    core::{
        Accepted, ClusterCommand, Command, NodeCommand, Outcome, Stamped, State, TaskCommand,
        VolumeCommand, apply,
        command::{Init, RequestId},
        place::Limits,
    },
    model::{
        InstanceId,
        link::{Report, ToAgent},
        node::{NodeId, NodeInfo},
    },
};

/// Position of a virtual node in the world.
pub type Ix = usize;

/// Something that is going to happen.
#[derive(Debug)]
enum Event {
    /// Timers of the leader.
    Tick,
    /// A reconciler looks at the state.
    Activate(Kind),
    /// What it proposed, looking at that state, is committed.
    Commit(Kind, Vec<Command>, Box<State>),
    /// Orders arrive at a node, over one of its connections.
    ToNode {
        ix: Ix,
        epoch: u32,
        message: ToAgent,
    },
    /// Reports arrive at the leader.
    FromNode {
        ix: Ix,
        epoch: u32,
        reports: Vec<Report>,
    },
    /// A node has removed volumes.
    Wiped {
        node: NodeId,
        instances: Vec<InstanceId>,
    },
    /// A node looks for the leader.
    Connect {
        ix: Ix,
    },
    /// A node looks at its tasks.
    Look {
        ix: Ix,
    },
    /// A node looks at its tasks although nothing happened.
    Idle {
        ix: Ix,
    },
    Container {
        ix: Ix,
        key: Key,
        fate: Fate,
    },
    Chaos,
}

/// Settings of a world.
#[derive(Clone, Debug)]
pub struct Settings {
    pub behaviour: Behaviour,
    /// Delay of a message, at least and at most.
    pub network_ms: (u64, u64),
    /// Of ten thousand messages: how many are lost.
    pub lost_of_10000: u64,
    /// Of the whole state, invariants are checked after every so many commands; of what a command
    /// touched, after each.
    pub check_every: u64,
    /// Timers of the leader fire this often.
    pub tick: Duration,
    /// How long the leader gathers changes before it acts on them.
    pub gather: Duration,
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            behaviour: Behaviour::GOOD,
            network_ms: (1, 5),
            lost_of_10000: 0,
            check_every: 1,
            tick: Duration::from_millis(200),
            gather: Duration::from_millis(5),
            limits: Limits { home_region: Some("home".to_owned()), ..Limits::default() },
        }
    }
}

/// What a run has counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub events: u64,
    pub commands: u64,
    pub launches: u64,
    pub messages: u64,
    pub faults: u64,
    /// Times a leader began anew, another one or the same from its disk.
    pub terms: u64,
}

/// A cluster in one thread.
pub struct World {
    pub settings: Settings,
    pub state: State,
    pub oracle: Oracle,
    pub counts: Counts,
    pub(super) nodes: Vec<VirtualNode>,
    pub(super) by_id: BTreeMap<NodeId, Ix>,
    pub(super) rng: Rng,
    /// Real time; the wall clocks of leader and nodes may say something else.
    now: Timestamp,
    /// The leader's clocks.
    clock: Arc<ManualClock>,
    queue: Queue,
    held: Held,
    leader: Leader,
    masters: Masters,
    witness: Witness,
    /// No message was ever lost: nothing waits for the repair of each minute.
    keeps_messages: bool,
    network_rng: Rng,
    masters_rng: Rng,
    request_rng: Rng,
    /// The latest request of a client, with its answer.
    asked: Option<(Stamped, Outcome)>,
    pub(super) chaos: Option<Box<super::chaos::Chaos>>,
}

impl World {
    /// An initialised cluster without nodes.
    pub fn new(seed: u64, settings: Settings) -> Self {
        let rng = Rng::from_seed(seed);
        let keeps_messages = settings.lost_of_10000 == 0;
        let clock = ManualClock::new(START);
        let of_kind = |kind: Kind| rng.child(kind.name());
        let leader = Leader::new(clock.clone(), (START, START), &settings.limits, of_kind);
        let mut world = Self {
            settings,
            state: State::default(),
            oracle: Oracle::default(),
            counts: Counts::default(),
            nodes: Vec::new(),
            by_id: BTreeMap::new(),
            now: START,
            clock,
            queue: Queue::default(),
            held: Held::default(),
            leader,
            masters: Masters::default(),
            witness: Witness::default(),
            keeps_messages,
            network_rng: rng.child("network"),
            masters_rng: rng.child("masters"),
            request_rng: rng.child("requests"),
            asked: None,
            rng,
            chaos: None,
        };
        let init = Init {
            cluster: "sim".to_owned(),
            name: "simulation".to_owned(),
            secret: [0; 32],
            users: Vec::new(),
            level: crate::base::level::LEVEL,
        };
        let outcome = world.commit(ClusterCommand::Init(init));
        assert!(outcome.is_ok(), "an empty state can be initialised");
        world.schedule(Duration::ZERO, Event::Tick);
        world
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    fn moment(&self) -> Moment {
        self.clock.moment()
    }

    /// Both clocks of a node.
    fn at_node_now(&self, ix: Ix) -> Present {
        let at = self.now.as_ms() + self.nodes[ix].clock_off_ms;
        Present { at: Timestamp::from_ms(at), moment: self.moment() }
    }

    fn pass_until(&mut self, at: Timestamp) {
        self.clock.advance(at.since(self.now));
        self.now = self.now.max(at);
    }

    /// Adds a machine; its agent looks for the leader at once.
    pub fn add_node(&mut self, info: NodeInfo) -> Ix {
        let ix = self.nodes.len();
        let rng = self.rng.child(&format!("node {}", info.id));
        self.by_id.insert(info.id.clone(), ix);
        self.nodes.push(VirtualNode::new(info, rng, self.now));
        self.schedule(Duration::ZERO, Event::Connect { ix });
        let first = Duration::from_millis(self.network_rng.below(10_000));
        self.schedule(first, Event::Idle { ix });
        ix
    }

    /// Asks something of the state, as a client would who may have to ask again.
    pub fn ask(&mut self, command: impl Into<Command>) -> Outcome {
        let command = command.into();
        let request = Some(RequestId(self.request_rng.uuid().as_u128()));
        let entry = Stamped { at: self.leader.steady.now(), request, by: None, command };
        let outcome = self.commit_entry(&entry);
        self.asked = Some((entry, outcome.clone()));
        outcome
    }

    /// Lets the world go on for `time`; stops early when the oracle objects.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.oracle.problems.is_empty() {
            let Some((at, event)) = self.queue.pop_until(until) else { break };
            self.pass_until(at);
            self.counts.events += 1;
            self.happen(event);
        }
        self.pass_until(until);
    }

    /// Whether nothing is left to do: no deployment, nothing waits, no task on its way.
    pub fn is_settled(&self) -> bool {
        self.state.deployments.is_empty()
            && self.state.index.waiting.is_empty()
            && self.state.index.uneven.is_empty()
            && self.oracle.unsettled(&self.state, &self.nodes).is_none()
    }

    /// Runs until settled; the objection when `time` passes first.
    pub fn settle(&mut self, time: Duration) -> Result<Duration, String> {
        let began = self.now;
        while self.now.since(began) < time && self.oracle.problems.is_empty() {
            if self.is_settled() {
                return Ok(self.now.since(began));
            }
            self.run_for(Duration::from_millis(500));
        }
        if let Some(problem) = self.oracle.problems.first() {
            return Err(problem.clone());
        }
        if self.is_settled() {
            return Ok(self.now.since(began));
        }
        let what = self.oracle.unsettled(&self.state, &self.nodes);
        let deployments: Vec<_> = self.state.deployments.keys().collect();
        let told = self.told(3);
        Err(format!(
            "not settled after {time:?}: {what:?}, deployments {deployments:?}, waiting {told:?}"
        ))
    }

    /// What the leader's reconcilers tell.
    pub fn board(&self) -> &Board {
        &self.leader.board
    }

    /// What each reconciler waits for, at most so many things of each.
    fn told(&self, n_max: usize) -> Vec<String> {
        let notes = self.board().notes();
        let waits = |note: &Note| note.report.waits.iter().take(n_max).cloned().collect::<Vec<_>>();
        let waits = notes.iter().flat_map(|(_, note)| waits(note));
        waits.map(|wait| format!("{}: {}", wait.about, wait.because)).collect()
    }

    // ── events ──────────────────────────────────────────────────────────────────────────────────

    fn schedule(&mut self, after: Duration, event: Event) {
        self.queue.push(self.now + after, event);
    }

    /// Has chaos act again after a while.
    pub(super) fn schedule_chaos(&mut self, after: Duration) {
        self.schedule(after, Event::Chaos);
    }

    fn happen(&mut self, event: Event) {
        let Some(event) = self.hold(event) else { return };
        match event {
            Event::Tick => self.tick(),
            Event::Activate(kind) => self.activate(kind),
            Event::Commit(kind, commands, seen) => self.committed(kind, commands, &seen),
            Event::ToNode { ix, epoch, message } => self.at_node(ix, epoch, message),
            Event::FromNode { ix, epoch, reports } => self.at_leader(ix, epoch, reports),
            Event::Wiped { node, instances } => {
                let told = self.commit(VolumeCommand::Wiped { node, instances });
                debug_assert!(told.is_ok(), "what is gone is gone");
            }
            Event::Connect { ix } => self.connect(ix),
            Event::Look { ix } => {
                if self.nodes[ix].wakes_at.is_some_and(|at| at <= self.now) {
                    self.nodes[ix].wakes_at = None;
                    self.look(ix);
                }
            }
            Event::Idle { ix } => self.idle(ix),
            Event::Container { ix, key, fate } => self.container(ix, &key, fate),
            Event::Chaos => super::chaos::act(self),
        }
    }

    /// A command of the leader's own.
    fn commit(&mut self, command: impl Into<Command>) -> Outcome {
        let command = command.into();
        self.commit_entry(&Stamped {
            at: self.leader.steady.now(),
            request: None,
            by: None,
            command,
        })
    }

    /// One command through the state machine, and what follows from its changes.
    fn commit_entry(&mut self, entry: &Stamped) -> Outcome {
        self.counts.commands += 1;
        self.masters.commit(entry);
        let before = self.oracle.wants_before(&entry.command).then(|| self.state.clone());
        let (outcome, changes) = apply(&mut self.state, entry);
        if let (Command::Task(TaskCommand::Launch(_)), Ok(Accepted { n_done, .. })) =
            (&entry.command, &outcome)
        {
            self.counts.launches += u64::from(*n_done);
        }
        let is_whole = self.counts.commands.is_multiple_of(self.settings.check_every);
        let committed = Committed {
            command: &entry.command,
            outcome: &outcome,
            before: before.as_ref(),
            after: &self.state,
            changes: &changes,
        };
        self.oracle.committed(&committed, is_whole);
        if let Some(before) = &before {
            let problem =
                self.witness.judge(&entry.command, &changes, before, &self.by_id, self.now);
            self.oracle.problems.extend(problem);
        }
        if !changes.is_empty() {
            for (node, message) in orders::changed(&self.state, &changes) {
                if let Some(&ix) = self.by_id.get(&node) {
                    self.send(ix, ToAgent::Desired(message));
                }
            }
            for node in orders::with_volumes(&changes) {
                self.send_volumes(node);
            }
            for node in changes.iter().filter_map(orders::returned) {
                let ix = self.by_id[node];
                self.send(ix, ToAgent::TellAll);
            }
            self.wake();
        }
        outcome
    }

    // ── network ─────────────────────────────────────────────────────────────────────────────────

    fn delay(&mut self) -> Duration {
        let (least, most) = self.settings.network_ms;
        Duration::from_millis(least + self.network_rng.below(most - least + 1))
    }

    fn is_lost(&mut self) -> bool {
        self.counts.messages += 1;
        self.settings.lost_of_10000 > 0
            && self.network_rng.below(10_000) < self.settings.lost_of_10000
    }

    fn send(&mut self, ix: Ix, message: ToAgent) {
        if !self.nodes[ix].is_connected || self.is_lost() {
            return;
        }
        let at = self.nodes[ix].last_to.max(self.now + self.delay());
        self.nodes[ix].last_to = at;
        let epoch = self.nodes[ix].epoch;
        self.schedule(at.since(self.now), Event::ToNode { ix, epoch, message });
    }

    fn send_volumes(&mut self, node: &NodeId) {
        let ix = self.by_id.get(node).copied();
        let has_some = self.state.volumes_on(node).next().is_some();
        let told = orders::volumes(&self.state, node).filter(|_| has_some);
        if let (Some(ix), Some(volumes)) = (ix, told) {
            self.send(ix, volumes);
        }
    }

    fn at_node(&mut self, ix: Ix, epoch: u32, message: ToAgent) {
        let node = &mut self.nodes[ix];
        if node.epoch == epoch && node.is_reachable() {
            node.hear(message);
            self.look(ix);
        }
    }

    fn send_reports(&mut self, ix: Ix, reports: Vec<Report>) {
        if reports.is_empty() || !self.nodes[ix].is_connected || self.is_lost() {
            return;
        }
        let at = self.nodes[ix].last_from.max(self.now + self.delay());
        self.nodes[ix].last_from = at;
        let epoch = self.nodes[ix].epoch;
        self.schedule(at.since(self.now), Event::FromNode { ix, epoch, reports });
    }

    fn send_wiped(&mut self, ix: Ix, instances: Vec<InstanceId>) {
        if self.nodes[ix].is_connected && !self.is_lost() {
            let node = self.nodes[ix].info.id.clone();
            self.schedule(self.settings.gather, Event::Wiped { node, instances });
        }
    }

    fn at_leader(&mut self, ix: Ix, epoch: u32, reports: Vec<Report>) {
        if self.nodes[ix].epoch == epoch && !self.nodes[ix].is_cut {
            let node = self.nodes[ix].info.id.clone();
            self.leader.heard.hear(&node, self.moment(), self.now);
            let told = self.commit(TaskCommand::Report { node, reports });
            debug_assert!(told.is_ok(), "reports are never rejected");
        }
    }

    /// A new connection: the node introduces itself and gets the full set.
    fn connect(&mut self, ix: Ix) {
        if !self.nodes[ix].is_reachable() || self.nodes[ix].is_connected {
            return;
        }
        let node = &mut self.nodes[ix];
        node.epoch += 1;
        node.is_connected = true;
        self.leader.greeting.remove(&ix);
        let (info, reports) = (node.info.clone(), node.all_reports(self.clock.moment()));
        let id = info.id.clone();
        self.leader.heard.greet(&id, self.moment(), self.now);
        let registered = self.commit(NodeCommand::RegisterNode(Box::new(info)));
        debug_assert!(registered.is_ok(), "registrations are never rejected");
        let told = self.commit(TaskCommand::Report { node: id.clone(), reports });
        debug_assert!(told.is_ok(), "reports are never rejected");
        self.leader.heard.open(&id, self.moment(), self.now);
        self.send(ix, ToAgent::Desired(orders::full(&self.state, &id)));
        self.send_volumes(&id);
    }

    // ── nodes ───────────────────────────────────────────────────────────────────────────────────

    /// Every 10 s a node looks at its tasks, every 60 s the leader sends the full set.
    fn idle(&mut self, ix: Ix) {
        self.schedule(Duration::from_secs(10), Event::Idle { ix });
        self.look(ix);
        if self.network_rng.below(6) == 0 {
            let full = orders::full(&self.state, &self.nodes[ix].info.id);
            self.send(ix, ToAgent::Desired(full));
            let id = self.nodes[ix].info.id.clone();
            self.send_volumes(&id);
        }
    }

    fn look(&mut self, ix: Ix) {
        let now = self.at_node_now(ix);
        let node = &mut self.nodes[ix];
        if !node.is_up || !node.is_agent_up || self.held.holds(Who::Node(ix)) {
            return;
        }
        let mut work = Work::default();
        node.look(&self.settings.behaviour, now, &mut work);
        self.done(ix, work);
    }

    fn container(&mut self, ix: Ix, key: &Key, fate: Fate) {
        let mut work = Work::default();
        if !self.nodes[ix].is_up {
            return;
        }
        if !self.nodes[ix].is_agent_up {
            // Nobody looks: the agent finds out when it is back.
            let again = Event::Container { ix, key: key.clone(), fate };
            self.schedule(Duration::from_millis(500), again);
            return;
        }
        let now = self.at_node_now(ix);
        if self.nodes[ix].happens(key, fate, now, &mut work) {
            self.done(ix, work);
            self.look_at(ix, self.now + Duration::from_millis(20));
        }
    }

    fn done(&mut self, ix: Ix, work: Work) {
        for key in &work.started {
            self.oracle.started(key, &self.nodes[ix].info.id);
        }
        for key in &work.ended {
            self.oracle.ended(key);
        }
        for (volume, epoch) in &work.written {
            self.oracle.wrote(volume, *epoch, &self.nodes[ix].info.id);
        }
        if !work.wiped.is_empty() {
            self.send_wiped(ix, work.wiped);
        }
        for (key, why) in &work.killed {
            self.oracle.problems.extend(witness::wrongly_ended(key, why, &self.state));
        }
        for (key, fate, after) in work.fates {
            self.schedule(after, Event::Container { ix, key, fate });
        }
        self.send_reports(ix, work.reports);
        if let Some(at) = self.nodes[ix].next_deadline() {
            self.look_at(ix, self.now + at.since(self.moment()));
        }
    }

    fn look_at(&mut self, ix: Ix, at: Timestamp) {
        if self.nodes[ix].wakes_at.is_none_or(|known| at < known) {
            self.nodes[ix].wakes_at = Some(at.max(self.now));
            self.schedule(at.since(self.now), Event::Look { ix });
        }
    }
}
