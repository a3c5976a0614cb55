//! All who move a state, drawn by looking at it: clients, reconcilers, nodes with their agents,
//! operators.
//!
//! For tests of what carries commands to a state. A command may get lost, come late or be looked up
//! in a state that is old: whoever looks again goes on from there, and the cluster keeps moving.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use super::{
    build,
    client::Client,
    node::{Behaviour, Fate, Present, VirtualNode, Work},
};
use crate::{
    agent::desired::Key,
    base::{
        clock::{Moment, Timestamp},
        level::LEVEL,
        rng::Rng,
        units::Milli,
    },
    control::{self, heard::Heard, links::orders},
    core::{
        AccessCommand, AdmissionCommand, ClusterCommand, Command, NodeCommand, State, TaskCommand,
        WorkloadCommand,
        command::{Expect, Init},
        place::{Limits, Planner},
    },
    model::{
        access::{Role, RoleSettings, User},
        link::ToAgent,
        master::{Addresses, Master},
        node::Duty,
    },
};

/// How long a drain may take.
const DRAIN: Duration = Duration::from_secs(600);
/// A silence in which everything that waits for time is due.
const SILENCE_S: u64 = 200;
/// Operators name this many users, roles and masters.
const NAMES: u64 = 12;

/// The cast.
#[derive(Debug)]
pub struct Cast {
    rng: Rng,
    client: Client,
    nodes: Vec<VirtualNode>,
    /// What will become of containers the next time their node is looked at.
    fates: BTreeMap<usize, Vec<(Key, Fate)>>,
    due: VecDeque<Command>,
}

impl Cast {
    /// `n_nodes` nodes, and clients who want at most `instances_max` instances at a time.
    pub fn new(rng: Rng, n_nodes: usize, instances_max: u32) -> Self {
        let node = |n: usize| {
            let info = build::node(n, 16.0, 65_536.0, &[("rack", format!("r{}", n % 3))]);
            VirtualNode::new(info, rng.child(&format!("node {n}")), build::START)
        };
        Self {
            client: Client::new(rng.child("client"), "app", instances_max),
            nodes: (0..n_nodes).map(node).collect(),
            fates: BTreeMap::new(),
            due: VecDeque::new(),
            rng,
        }
    }

    /// What somebody proposes next who sees this state.
    pub fn next(&mut self, state: &State, at: Timestamp, moment: Moment) -> Command {
        loop {
            if let Some(command) = self.due.pop_front() {
                return command;
            }
            let commands = self.draw(state, Present { at, moment });
            self.due.extend(commands);
        }
    }

    fn draw(&mut self, state: &State, now: Present) -> Vec<Command> {
        if state.cluster.is_none() || self.rng.below(500) == 0 {
            return vec![self.init()];
        }
        match self.rng.below(24) {
            0..=4 => self.client.next(state, now.at).into_iter().collect(),
            5..=9 => {
                let mut idle = control::deploy::Idle::default();
                control::deploy::step(state, &mut idle, &mut self.rng, now.at).commands
            }
            10..=12 => {
                let limits = Limits { home_region: Some("home".to_owned()), ..Limits::default() };
                let mut planner = Planner::default();
                control::place::step(&mut planner, state, &limits, now.at).commands
            }
            13 => self.time_passes(state, now.at),
            14..=21 => self.node(state, now),
            _ => vec![self.operator(state, now.at)],
        }
    }

    fn init(&mut self) -> Command {
        let mut secret = [0; 32];
        self.rng.fill(&mut secret);
        let (cluster, name) = ("cast".to_owned(), "cast".to_owned());
        ClusterCommand::Init(Init { cluster, name, secret, users: Vec::new(), level: LEVEL }).into()
    }

    /// A leader that listened and heard of nobody finds all of them lost. One of these is.
    fn time_passes(&mut self, state: &State, at: Timestamp) -> Vec<Command> {
        let mut heard = Heard::from(Moment::START);
        (0..=SILENCE_S).for_each(|s| heard.attend(Moment::START + Duration::from_secs(s)));
        let mut early = control::liveness::Early::default();
        let commands = control::liveness::step(state, &mut early, &heard, at).commands;
        let is_lost = |c: &Command| matches!(c, Command::Node(NodeCommand::NodeReach { .. }));
        let (mut lost, mut others): (Vec<_>, Vec<_>) = commands.into_iter().partition(is_lost);
        if !lost.is_empty() && self.rng.below(2) == 0 {
            others.push(lost.swap_remove(self.pick(lost.len())));
        }
        others
    }

    /// A node introduces itself, or gets its orders, acts on them and tells what became of them.
    fn node(&mut self, state: &State, now: Present) -> Vec<Command> {
        let ix = self.pick(self.nodes.len());
        let (is_new, exits) = (self.rng.below(12) == 0, self.rng.below(8) == 0);
        let (victim, code) = (self.rng.below(64), i32::from(self.rng.below(2) == 0));
        let node = &mut self.nodes[ix];
        let id = node.info.id.clone();
        let mut commands = Vec::new();
        if is_new || state.nodes.get(&id).is_none_or(|known| !known.is_reachable()) {
            commands.push(NodeCommand::RegisterNode(Box::new(node.info.clone())).into());
        }
        let mut work = Work::default();
        let mut fates = self.fates.remove(&ix).unwrap_or_default();
        let live: Vec<Key> = node.live().cloned().collect();
        if exits && !live.is_empty() {
            let victim = usize::try_from(victim).unwrap_or(0) % live.len();
            fates.push((live[victim].clone(), Fate::Exited(code)));
        }
        for (key, fate) in fates {
            node.happens(&key, fate, now, &mut work);
        }
        node.hear(ToAgent::Desired(orders::full(state, &id)));
        node.look(&Behaviour::GOOD, now, &mut work);
        let fates = work.fates.into_iter().map(|(key, fate, _)| (key, fate)).collect();
        self.fates.insert(ix, fates);
        let reports = node.all_reports(now.moment);
        commands.push(TaskCommand::Report { node: id, reports }.into());
        commands
    }

    fn operator(&mut self, state: &State, at: Timestamp) -> Command {
        let n = self.rng.below(NAMES);
        let role = Role::from(format!("role{n}").as_str());
        match self.rng.below(10) {
            0..=2 => {
                let ix = self.pick(self.nodes.len());
                let node = self.nodes[ix].info.id.clone();
                let draining = Duty::Draining { since: at, until: at + DRAIN };
                let duty = if self.rng.below(3) == 0 { draining } else { Duty::Active };
                NodeCommand::NodeDuty { node, duty }.into()
            }
            3 => AccessCommand::PutUser { user: user(n), expect: Expect::Any }.into(),
            4 => AccessCommand::DeleteUser(user(n).uid).into(),
            5 => {
                let weight = Milli::whole(1 + i64::try_from(n).unwrap_or(0));
                AccessCommand::PutRole(RoleSettings { role, weight, quota: None }).into()
            }
            6 => AccessCommand::DeleteRole(role).into(),
            7 => {
                let mut digest = [0; 32];
                self.rng.fill(&mut digest);
                AdmissionCommand::Invite { digest, until: at + DRAIN }.into()
            }
            8 => {
                let release = format!("0.{n}.0");
                let master = Master::new(1 + n % 3, &release, LEVEL, Addresses::default());
                ClusterCommand::RegisterMaster(Box::new(master)).into()
            }
            _ => {
                let delayed: BTreeSet<_> = state.delays.keys().cloned().collect();
                match delayed.into_iter().next() {
                    Some(app) => WorkloadCommand::ResetBackoff(app).into(),
                    None => AccessCommand::RevokeTokens(Some(user(n).uid)).into(),
                }
            }
        }
    }

    fn pick(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.below(n as u64)).unwrap_or(0)
    }
}

fn user(n: u64) -> User {
    User {
        uid: format!("user{n}"),
        description: String::new(),
        password_hash: Some("x".to_owned()),
        public_key: None,
        provider_type: "internal".to_owned(),
        provider_id: String::new(),
        is_remote: false,
        superuser: n == 0,
        generation: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Stamped, apply, invariant};

    /// Commands that take effect, by the name of their kind.
    fn played(seed: u64, n: u32) -> (State, BTreeMap<String, u32>) {
        let mut cast = Cast::new(Rng::from_seed(seed), 4, 40);
        let (mut state, mut counts) = (State::default(), BTreeMap::new());
        for step in 0..n {
            let past = Duration::from_millis(u64::from(step) * 50);
            let at = build::START + past;
            let command = cast.next(&state, at, Moment::START + past);
            let kind = format!("{command:?}");
            let (outcome, changes) =
                apply(&mut state, &Stamped { at, request: None, by: None, command });
            if outcome.is_ok() && !changes.is_empty() {
                let kind = kind.split(['(', ' ']).next().unwrap_or_default();
                *counts.entry(kind.to_owned()).or_default() += 1;
            }
            assert_eq!(invariant::check_touched(&state, &changes), [], "seed {seed}, {kind}");
        }
        assert_eq!(invariant::check(&state), []);
        (state, counts)
    }

    #[test]
    fn a_cluster_that_all_of_them_move_goes_through_every_kind_of_change() {
        let mut all = BTreeMap::<String, u32>::new();
        for seed in 0..3 {
            let (_, counts) = played(seed, 4_000);
            counts.into_iter().for_each(|(kind, n)| *all.entry(kind).or_default() += n);
        }
        for kind in [
            "Init",
            "PutApps",
            "CancelDeployment",
            "DeployStep",
            "Scale",
            "Kill",
            "Launch",
            "Report",
            "RegisterNode",
            "NodeReach",
            "NodeDuty",
            "Invite",
            "Expire",
            "ResetBackoff",
            "PutUser",
            "DeleteUser",
            "PutRole",
            "DeleteRole",
            "RegisterMaster",
        ] {
            assert!(all.get(kind).is_some_and(|n| *n >= 3), "{kind}: {all:?}");
        }
    }

    #[test]
    fn one_seed_draws_the_same() {
        assert_eq!(played(7, 1_000).0.fingerprint(), played(7, 1_000).0.fingerprint());
    }
}
