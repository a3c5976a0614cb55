//! The oracle: what must hold at every moment, and what clients were promised.
//!
//! | promise | checked |
//! |---|---|
//! | the invariants of the state | after commands |
//! | a volume stays on its node and has one writer at a time, each later launch than the last | at every start |
//! | an instance runs once, an incarnation is started once | at every start of a container |
//! | no decision to end tasks, with those before it, takes a workload below its minimum health | at every order of an upgrade or a drain |
//! | constraints hold between instances of one configuration | at every launch |
//! | what an accepted change wants is what the state wants | at every change |
//! | accepted changes come true, what was killed is gone | when the world has settled |
//!
//! It derives everything anew from the state and the containers, never from the code it watches.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::node::VirtualNode;
use crate::{
    agent::desired::Key,
    core::{
        Command, NodeCommand, Outcome, State, TaskCommand, WorkloadCommand,
        change::Change,
        command::{Launch, PutApps},
        invariant,
        place::field::full_match,
    },
    model::{
        deployment::ActionKind,
        instance::{Condition, Goal, Instance, InstanceId, KillOrder, KillReason},
        node::NodeId,
        path::AppId,
        volume::VolumeId,
        workload::{Operator, WorkloadSpec},
    },
};

/// Watches a world.
#[derive(Debug, Default)]
pub struct Oracle {
    /// Broken promises; the first one ends a run.
    pub problems: Vec<String>,
    /// How often anything was checked.
    pub n_checks: u64,
    live: BTreeMap<InstanceId, (u32, NodeId)>,
    /// Where each volume was first written, and the latest launch that did.
    written: BTreeMap<VolumeId, (NodeId, u32)>,
    begun: BTreeSet<Key>,
    promised: BTreeMap<AppId, Option<Promise>>,
    /// Left half-way on request: only their number of instances is promised.
    left: BTreeSet<AppId>,
}

/// A command and what it did.
#[derive(Clone, Copy)]
pub struct Committed<'a> {
    pub command: &'a Command,
    pub outcome: &'a Outcome,
    /// Given for commands that are judged by what was before them.
    pub before: Option<&'a State>,
    pub after: &'a State,
    pub changes: &'a [Change],
}

/// What an accepted change wanted of a workload.
#[derive(Clone, PartialEq, Debug)]
struct Promise {
    instances: u32,
    labels: BTreeMap<String, String>,
}

impl Promise {
    fn of(spec: &WorkloadSpec) -> Self {
        Self { instances: spec.instances, labels: spec.run.labels.clone() }
    }
}

impl Oracle {
    fn object(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// A container was started.
    pub fn started(&mut self, key: &Key, node: &NodeId) {
        self.n_checks += 1;
        if let Some((incarnation, other)) = self.live.get(&key.0) {
            let text =
                format!("{}.{} started on {node}, but {incarnation} runs on {other}", key.0, key.1);
            self.object(text);
        }
        if !self.begun.insert(key.clone()) {
            self.object(format!("{}.{} was started a second time, on {node}", key.0, key.1));
        }
        self.live.insert(key.0.clone(), (key.1, node.clone()));
    }

    /// A launch on a node begins to write a volume.
    pub fn wrote(&mut self, volume: &VolumeId, epoch: u32, node: &NodeId) {
        self.n_checks += 1;
        if let Some((place, last)) = self.written.insert(volume.clone(), (node.clone(), epoch))
            && (place != *node || last >= epoch)
        {
            self.object(format!(
                "{volume} is written on {node} by launch {epoch}, after launch {last} on {place}"
            ));
        }
    }

    /// A container ended.
    pub fn ended(&mut self, key: &Key) {
        if self.live.get(&key.0).is_some_and(|(incarnation, _)| *incarnation == key.1) {
            self.live.remove(&key.0);
        }
    }

    /// Whether a command is judged by what was before it.
    pub fn wants_before(&self, command: &Command) -> bool {
        matches!(
            command,
            Command::Workload(WorkloadCommand::PutApps(_))
                | Command::Workload(WorkloadCommand::CancelDeployment { .. })
                | Command::Node(NodeCommand::NodeReach { .. })
                | Command::Task(TaskCommand::Expire { .. })
                | Command::Workload(WorkloadCommand::Scale(_))
        )
    }

    /// A command was committed. What it touched is looked through, and all of the state if `whole`.
    pub fn committed(&mut self, committed: &Committed<'_>, whole: bool) {
        let Committed { command, outcome, before, after, changes } = *committed;
        self.n_checks += 1;
        let mut findings = invariant::check_touched(after, changes);
        if whole {
            findings.extend(invariant::check(after));
        }
        for finding in findings {
            self.object(format!("{}: {} (after {command:?})", finding.subject, finding.problem));
        }
        if outcome.is_err() {
            return;
        }
        match (command, before) {
            (Command::Workload(WorkloadCommand::PutApps(put)), Some(before)) => {
                self.promise(put, before, after)
            }
            (Command::Workload(WorkloadCommand::CancelDeployment { id, undo }), Some(before)) => {
                let Some(deployment) = before.deployments.get(id) else { return };
                for app in deployment.changes.keys() {
                    self.promised.insert(app.clone(), after.spec(app).map(|s| Promise::of(s)));
                    if undo.is_none() {
                        self.left.insert(app.clone());
                    }
                }
            }
            (Command::Task(TaskCommand::Launch(launches)), _) => self.launched(launches, after),
            (Command::Workload(WorkloadCommand::Scale(scale)), Some(before)) => {
                self.ended_surplus(&scale.app, before, after)
            }
            _ => {}
        }
    }

    /// A reconciler that looked at `seen` decided on a command; it was committed on `before` and
    /// led to `after`.
    pub fn decided(&mut self, command: &Command, seen: &State, before: &State, after: &State) {
        match command {
            Command::Workload(WorkloadCommand::DeployStep(step)) => {
                let Some(deployment) = before.deployments.get(&step.deployment) else { return };
                for action in deployment.step().into_iter().flat_map(|s| &s.actions) {
                    let target = deployment.changes.get(&action.app).and_then(|t| t.after.as_ref());
                    if let (ActionKind::Restart, Some(spec)) = (action.kind, target) {
                        self.kept_alive(spec, false, seen, before, after);
                    }
                }
            }
            Command::Task(TaskCommand::Kill { instances, reason: KillReason::Drain, .. }) => {
                let killed = instances.iter().filter_map(|id| before.instances.get(id));
                for app in killed.filter_map(|i| i.app()).collect::<BTreeSet<_>>() {
                    if let Some(spec) = before.spec(app) {
                        self.kept_alive(spec, true, seen, before, after);
                    }
                }
            }
            _ => {}
        }
    }

    /// What a command ended leaves the minimum health.
    fn kept_alive(
        &mut self,
        spec: &WorkloadSpec,
        is_drain: bool,
        seen: &State,
        before: &State,
        after: &State,
    ) {
        self.n_checks += 1;
        let well = seen.instances_of(&spec.id).filter(|i| counts_as_well(i, seen, before));
        let (gone, stay): (Vec<_>, Vec<_>) = well.partition(|i| !counts_as_well(i, seen, after));
        if !gone.is_empty() && stay.len() < healthy_min(spec) {
            self.object(format!(
                "{} of {} ends {} healthy instances and leaves {}, below its minimum {}",
                if is_drain { "a drain" } else { "the upgrade" },
                spec.id,
                gone.len(),
                stay.len(),
                healthy_min(spec),
            ));
        }
    }

    /// Outside deployments only what is too much is ended.
    fn ended_surplus(&mut self, app: &AppId, before: &State, after: &State) {
        let Some(spec) = after.spec(app) else { return };
        let present = |s: &State| {
            let counts = |i: &&Arc<Instance>| {
                i.goal == Goal::Running && i.condition() != Condition::UnreachableInactive
            };
            s.instances_of(app).filter(counts).count()
        };
        let (had, left) = (present(before), present(after));
        if left < had && left < spec.instances as usize {
            let wanted = spec.instances;
            self.object(format!("{app}: of {had} instances {left} are left, wanted {wanted}"));
        }
    }

    fn promise(&mut self, put: &PutApps, before: &State, after: &State) {
        for edit in &put.edits {
            let promise = edit.new.as_ref().map(Promise::of);
            let wanted = after.spec(&edit.id).map(|s| Promise::of(s));
            if promise != wanted {
                self.object(format!("{}: {promise:?} was accepted, wanted is {wanted:?}", edit.id));
            }
            self.promised.insert(edit.id.clone(), promise);
        }
        // A forced change ends the deployments in its way and leaves their workloads as they are,
        // unless it replaces their instances itself.
        for (id, deployment) in &before.deployments {
            if !after.deployments.contains_key(id) {
                self.left.extend(deployment.changes.keys().cloned());
            }
        }
        for edit in &put.edits {
            let config = |s: &State| s.spec(&edit.id).map(|s| s.last_config_change_at);
            if config(before) != config(after) {
                self.left.remove(&edit.id);
            }
        }
    }

    /// Constraints that can be judged from where instances stand, of the values that the launched
    /// ones have: two that are on one node since a lost one came back were not put there.
    fn launched(&mut self, launches: &[Launch], state: &State) {
        let mut by_app: BTreeMap<&AppId, Vec<&Arc<Instance>>> = BTreeMap::new();
        for instance in launches.iter().filter_map(|l| state.instances.get(&l.instance)) {
            if let Some(app) = instance.app() {
                by_app.entry(app).or_default().push(instance);
            }
        }
        for (app, new) in by_app {
            let Some(spec) = state.spec(app) else { continue };
            for constraint in &spec.constraints {
                self.n_checks += 1;
                let value = |i: &Instance| {
                    let node = state.nodes.get(&i.placement()?.node)?;
                    node.field(&constraint.field)
                };
                let mut counts: BTreeMap<String, u32> = BTreeMap::new();
                let here = state.instances_of(app).filter(|i| {
                    state.is_current(i)
                        && i.condition().is_active()
                        && i.condition() != Condition::Unreachable
                });
                for value in here.filter_map(|i| value(i)) {
                    *counts.entry(value).or_default() += 1;
                }
                let values: BTreeSet<String> = new.iter().filter_map(|i| value(i)).collect();
                let most = values.iter().filter_map(|v| counts.get(v)).copied().max().unwrap_or(0);
                let text = constraint.value.as_deref().unwrap_or("");
                let holds = match constraint.operator {
                    Operator::Unique => most <= 1,
                    Operator::MaxPer => text.parse().is_ok_and(|max| most <= max),
                    Operator::Like => {
                        full_match(text).is_some_and(|r| values.iter().all(|v| r.is_match(v)))
                    }
                    Operator::Cluster => counts.len() <= 1,
                    Operator::Unlike | Operator::Is | Operator::GroupBy => true,
                };
                if !holds {
                    let constraint = format!("{constraint:?}");
                    self.object(format!("{app}: {constraint} is broken: {counts:?}"));
                }
            }
        }
    }

    /// What keeps the world from being as promised; `None` when it is.
    pub fn unsettled(&self, state: &State, nodes: &[VirtualNode]) -> Option<String> {
        for (app, promise) in &self.promised {
            let wanted = state.spec(app).map(|s| Promise::of(s));
            if wanted != *promise {
                return Some(format!("{app}: {promise:?} was promised, wanted is {wanted:?}"));
            }
        }
        for app in state.apps.values() {
            let (mut n_good, mut n_all) = (0, 0);
            for i in state.instances_of(&app.id).filter(|i| !i.is_kept()) {
                n_all += 1;
                let is_current = state.is_current(i) || self.left.contains(&app.id);
                n_good += u32::from(is_current && is_well(state, i));
            }
            if n_good != app.spec.instances || n_all != app.spec.instances {
                let wanted = app.spec.instances;
                let each: Vec<String> =
                    state.instances_of(&app.id).map(|i| brief(state, i)).collect();
                return Some(format!(
                    "{}: {n_good} good of {n_all}, wanted {wanted}: {}",
                    app.id,
                    each.join(", ")
                ));
            }
        }
        let is_left = |i: &&Arc<Instance>| i.app().is_some_and(|app| !state.apps.contains_key(app));
        if let Some(i) = state.instances.values().find(is_left) {
            return Some(format!("{} is left of a removed app", i.id));
        }
        let mut n_live = 0;
        for node in nodes {
            for (id, incarnation) in node.live() {
                n_live += 1;
                let known = state.instances.get(id).filter(|i| i.incarnation == *incarnation);
                let place = known.and_then(|i| i.placement());
                if place.is_none_or(|p| p.node != node.info.id) {
                    return Some(format!(
                        "{id}.{incarnation} still runs on {}",
                        node.info.hostname
                    ));
                }
            }
        }
        if let Some(volume) = state.volumes.values().find(|volume| !volume.is_wanted()) {
            return Some(format!("{} is not wiped", volume.id));
        }
        let n = state.instances.values().filter(|i| !i.is_kept()).count();
        (n_live != n).then(|| format!("{n_live} containers for {n} instances"))
    }
}

/// An instance in a few words.
fn brief(state: &State, instance: &Instance) -> String {
    let age = if state.is_current(instance) { "new" } else { "old" };
    let host = instance.placement().map_or("nowhere", |p| p.hostname.as_str());
    let kill = instance.kill().map_or(String::new(), |k| format!(" to end ({:?})", k.reason));
    let well = if is_well(state, instance) { "well" } else { "not well" };
    format!("{age} {:?} on {host} {well}{kill}", instance.condition())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a fraction of a u32
fn healthy_min(spec: &WorkloadSpec) -> usize {
    let least = (f64::from(spec.instances) * spec.upgrade.minimum_health_capacity).ceil() as usize;
    // What is bound to its nodes can be replaced in its place only: one is down at a time.
    let most = if spec.run.is_resident() { spec.instances.saturating_sub(1) } else { u32::MAX };
    least.min(most as usize)
}

/// Well when the decision was made, and not ordered to end by another decision since. What ended
/// by itself meanwhile is not held against the one who could not know.
fn counts_as_well(instance: &Instance, seen: &State, now: &State) -> bool {
    let ours = |k: &KillOrder| matches!(k.reason, KillReason::Deployment | KillReason::Drain);
    let ordered = now.instances.get(&instance.id).and_then(|i| i.kill()).is_some_and(ours);
    is_well(seen, instance) && !ordered
}

/// Running, not about to end, and passing its checks.
pub fn is_well(state: &State, instance: &Instance) -> bool {
    let n_checks: usize = state
        .spec_of(instance)
        .map_or(0, |s| s.run.containers.iter().map(|c| c.health_checks.len()).sum());
    instance.condition() == Condition::Running
        && instance.kill().is_none()
        && instance.health().len() >= n_checks
        && instance.health().iter().all(|c| c.alive)
}
