//! Workloads and groups change; deployments begin, advance, end.

mod command;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

pub use command::{DeployStep, Edit, GroupChange, GroupEdit, PutApps, Scale, WorkloadCommand};

use super::{
    gate::need_level,
    instance::{order_kill, wanted_version},
    past,
    tx::Tx,
};
use crate::{
    base::{clock::Timestamp, level, limit, units::count},
    core::{
        Accepted, Rejected, Thing,
        backoff::Delay,
        change::End,
        command::Expect,
        deploy,
        state::{App, Group, State},
        told::{self, Told},
    },
    model::{
        deployment::{Deployment, DeploymentId, Transition},
        instance::{Goal, Instance, InstanceId, KillReason},
        path::{AppId, GroupId},
        workload::{Kind, WorkloadSpec},
    },
};

/// First and last service port handed out (Marathon's `--local_port_min`, `--local_port_max`).
pub const SERVICE_PORTS: (u16, u16) = (10_000, 20_000);

pub(super) fn run(tx: &mut Tx<'_>, command: &WorkloadCommand) -> Result<Accepted, Rejected> {
    match command {
        WorkloadCommand::PutApps(it) => put(tx, it),
        WorkloadCommand::CancelDeployment { id, undo } => cancel(tx, id, undo.as_ref()),
        WorkloadCommand::DeployStep(it) => step(tx, it),
        WorkloadCommand::Scale(scale) => scale_outside(tx, scale),
        WorkloadCommand::ResetBackoff(app) => reset_backoff(tx, app),
    }
}

pub(super) fn told(command: &WorkloadCommand) -> Told {
    match command {
        WorkloadCommand::PutApps(put) => {
            let (n_apps, n_groups) = (put.edits.len(), put.groups.len());
            let first = put.edits.first().map(|edit| &edit.id);
            let of = first.or_else(|| put.groups.first().map(|edit| &edit.id));
            let is_deletion = n_groups == 0 && put.edits.iter().all(|edit| edit.new.is_none());
            let verb = if is_deletion { "delete" } else { "change" };
            let text = match n_apps + n_groups {
                0 | 1 => verb.to_owned(),
                n => format!("{verb} this and {}", count(n - 1, "other")),
            };
            Told::new(told::Kind::Change, of.map(ToString::to_string).unwrap_or_default(), text)
        }
        WorkloadCommand::CancelDeployment { id, undo } => {
            let verb = if undo.is_some() { "undo" } else { "cancel" };
            Told::new(told::Kind::Deployment, "", format!("{verb} deployment {id}"))
        }
        WorkloadCommand::DeployStep(step) => {
            Told::new(told::Kind::Deployment, "", format!("go on with {}", step.deployment))
        }
        WorkloadCommand::Scale(scale) => {
            Told::new(told::Kind::Change, &scale.app, "repair the number of instances")
        }
        WorkloadCommand::ResetBackoff(app) => {
            Told::new(told::Kind::Change, app, "end the launch delay")
        }
    }
}

/// Takes over new definitions and starts the deployment that leads to them.
fn put(tx: &mut Tx<'_>, put: &PutApps) -> Result<Accepted, Rejected> {
    if tx.state.deployments.contains_key(&put.deployment) {
        return Err(Rejected::Stale(Thing::Step.itself()));
    }
    let version = next_version(tx, put);
    let mut changes = BTreeMap::new();
    for edit in deletions_of_groups(tx, put).iter().chain(&put.edits) {
        if let Some(change) = edit_app(tx, edit, version)? {
            changes.insert(edit.id.clone(), change);
        }
    }
    for group in &put.groups {
        edit_group(tx, group, version)?;
    }
    if let Some(cycle) = deploy::graph::Graph::of(tx.state).cycle() {
        return Err(Rejected::Cycle(cycle));
    }
    check_service_names(tx.state, &changes)?;
    past::close(tx, version);
    begin(tx, &put.deployment, version, changes, put.victims.clone(), put.force)
}

/// No workload takes a name at the front door that another one has: callers send their tokens
/// there. What had a name before keeps it.
fn check_service_names(
    state: &State,
    changes: &BTreeMap<AppId, Transition>,
) -> Result<(), Rejected> {
    fn name(spec: &Option<Arc<WorkloadSpec>>) -> Option<&str> {
        spec.as_deref().and_then(WorkloadSpec::service_name)
    }
    let taken: BTreeMap<&str, &AppId> = changes
        .iter()
        .filter(|(_, change)| name(&change.before) != name(&change.after))
        .filter_map(|(id, change)| Some((name(&change.after)?, id)))
        .collect();
    if taken.is_empty() {
        return Ok(());
    }
    for app in state.apps.values() {
        let Some(name) = app.spec.service_name() else { continue };
        let Some(claims) = taken.get(name).filter(|claims| **claims != &app.id) else { continue };
        let problem = format!(
            "{claims} cannot be the service {name:?} (DCOS_SERVICE_NAME): {} is it already",
            app.id
        );
        return Err(Rejected::invalid("labels", problem));
    }
    Ok(())
}

/// Ends a deployment. Without `undo` everything stays as it is; with it, what the deployment
/// changed goes back on top of all later changes, by a new forced deployment.
fn cancel(
    tx: &mut Tx<'_>,
    id: &DeploymentId,
    undo: Option<&DeploymentId>,
) -> Result<Accepted, Rejected> {
    let deployment = tx.state.deployments.get(id).cloned();
    let deployment = deployment.ok_or_else(|| Rejected::NotFound(Thing::Deployment.named(id)))?;
    let Some(undo) = undo else {
        tx.end_deployment(id, End::Cancelled("cancelled".to_owned()));
        return Ok(Accepted::default());
    };
    let version = unused_version(tx, deployment.changes.keys());
    let mut changes = BTreeMap::new();
    for (app, change) in &deployment.changes {
        let before = tx.state.spec(app).cloned();
        if before == change.before {
            continue;
        }
        // The old configuration comes back with its own date, so that instances of it that still
        // run count as current and are kept.
        let after = change.before.as_ref().map(|old| {
            Arc::new(WorkloadSpec { version, last_scaling_at: version, ..(**old).clone() })
        });
        write_app(tx, app, after.as_ref());
        changes.insert(app.clone(), Transition { before, after });
    }
    past::close(tx, version);
    begin(tx, undo, version, changes, BTreeSet::new(), true)
}

/// What the reconciler found due in the present step.
fn step(tx: &mut Tx<'_>, step: &DeployStep) -> Result<Accepted, Rejected> {
    let deployment = tx.state.deployments.get(&step.deployment).cloned();
    let deployment =
        deployment.ok_or_else(|| Rejected::NotFound(Thing::Deployment.named(&step.deployment)))?;
    if deployment.current_step != step.step {
        return Err(Rejected::Stale(Thing::Step.itself()));
    }
    if let Some(foreign) = step.scales.iter().find(|s| !deployment.changes.contains_key(&s.app)) {
        return Err(Rejected::NotFound(Thing::App.named(&foreign.app)));
    }
    // The state may have moved on since this was computed: only what is still due is done, so that
    // two decisions made side by side never add up to too many ended tasks.
    let due = deploy::due(tx.state, &deployment);
    let by_app: BTreeMap<&AppId, &deploy::Due> = due.iter().map(|d| (&d.app, d)).collect();
    for (scale, due) in step.scales.iter().filter_map(|s| Some((s, *by_app.get(&s.app)?))) {
        scale_app(tx, &still_due(scale, due));
    }
    if step.advance && due.iter().all(|d| d.done) {
        advance(tx, (*deployment).clone());
    }
    Ok(Accepted::default())
}

/// The part of a proposed move that is due now.
fn still_due(scale: &Scale, due: &deploy::Due) -> Scale {
    let retire: BTreeSet<&InstanceId> = due.retire.iter().collect();
    Scale {
        app: scale.app.clone(),
        add: scale.add.iter().take(due.n_add).cloned().collect(),
        retire: scale.retire.iter().filter(|id| retire.contains(id)).cloned().collect(),
    }
}

/// Repairs the number of instances of a workload that no deployment holds.
fn scale_outside(tx: &mut Tx<'_>, scale: &Scale) -> Result<Accepted, Rejected> {
    if tx.state.index.locks.contains_key(&scale.app) {
        return Err(Rejected::Stale(Thing::Step.itself()));
    }
    // As with steps: only what is still due.
    match tx.state.spec(&scale.app).cloned() {
        Some(spec) => {
            let due = deploy::progress::scale(tx.state, &spec, &BTreeSet::new());
            scale_app(tx, &still_due(scale, &due));
        }
        None => scale_app(tx, scale),
    }
    Ok(Accepted::default())
}

fn reset_backoff(tx: &mut Tx<'_>, app: &AppId) -> Result<Accepted, Rejected> {
    if !tx.state.index.waiting.contains_key(app) {
        return Err(Rejected::NotFound(Thing::Queue.named(app)));
    }
    tx.remove::<Delay>(app);
    Ok(Accepted::default())
}

/// The version of this change: its time, moved on where a workload has that version already.
fn next_version(tx: &Tx<'_>, put: &PutApps) -> Timestamp {
    unused_version(tx, put.edits.iter().map(|e| &e.id))
}

fn unused_version<'a>(tx: &Tx<'_>, apps: impl Iterator<Item = &'a AppId>) -> Timestamp {
    let newest = apps.filter_map(|a| tx.state.versions_of(a).last()).map(|s| s.version).max();
    // Versions of the root never run back, so that an earlier tree is found by its version.
    let root = tx.state.groups.get(&GroupId::root()).map_or(tx.at(), |root| root.version);
    let at = tx.at().max(root);
    newest.map_or(at, |newest| at.max(newest + Duration::from_millis(1)))
}

/// A removed group takes its workloads with it, but for those that another edit keeps.
fn deletions_of_groups(tx: &Tx<'_>, put: &PutApps) -> Vec<Edit> {
    let removed = put.groups.iter().filter(|g| matches!(g.change, GroupChange::Delete));
    let kept: BTreeSet<&AppId> = put.edits.iter().map(|e| &e.id).collect();
    removed
        .flat_map(|g| tx.state.apps.range(g.id.range_below()).map(|(id, _)| id))
        .filter(|app| !kept.contains(app))
        .map(|app| Edit {
            id: app.clone(),
            new: None,
            expect: Expect::Any,
            base: None,
            restart: false,
        })
        .collect()
}

/// Writes one workload; tells the transition unless nothing changed at all.
fn edit_app(
    tx: &mut Tx<'_>,
    edit: &Edit,
    version: Timestamp,
) -> Result<Option<Transition>, Rejected> {
    let before = tx.state.spec(&edit.id).cloned();
    match (edit.expect, &before) {
        (Expect::Absent, Some(_)) => return Err(Rejected::Exists(Thing::App.named(&edit.id))),
        (Expect::Present, None) => return Err(Rejected::NotFound(Thing::App.named(&edit.id))),
        (Expect::Absent | Expect::Present | Expect::Any, _) => {}
    }
    if edit.base.is_some() && edit.base != before.as_ref().map(|s| s.version) {
        return Err(Rejected::Stale(Thing::App.named(&edit.id)));
    }
    let Some(new) = &edit.new else {
        if before.is_some() {
            write_app(tx, &edit.id, None);
        }
        return Ok(before.map(|b| Transition { before: Some(b), after: None }));
    };
    check_size(&edit.id)?;
    if new.run.kind == Kind::Pod {
        need_level(tx.state, level::PODS, "pods do not run")?;
    }
    if edit.id.is_root() || before.is_none() && is_group(tx, &edit.id) {
        return Err(Rejected::Taken(Thing::Path.named(&edit.id)));
    }
    if let Some(taken) = edit.id.ancestors().find(|a| tx.state.apps.contains_key(a)) {
        return Err(Rejected::Taken(Thing::Path.named(taken)));
    }
    let mut new = WorkloadSpec { id: edit.id.clone(), ..new.clone() };
    assign_service_ports(tx, before.as_deref(), &mut new)?;
    if let Some(old) = &before {
        if old.run == new.run {
            new.run = old.run.clone();
        }
        let differs = old.config_differs(&new) || edit.restart;
        if !differs && old.instances == new.instances {
            return Ok(None);
        }
        let scaled =
            if differs || old.instances != new.instances { version } else { old.last_scaling_at };
        new.last_scaling_at = scaled;
        new.last_config_change_at = if differs { version } else { old.last_config_change_at };
    } else {
        (new.last_scaling_at, new.last_config_change_at) = (version, version);
    }
    new.version = version;
    if new.instances > limit::INSTANCES_PER_APP_MAX {
        let max = limit::INSTANCES_PER_APP_MAX;
        let problem = format!("got {}, the maximum is {max}", new.instances);
        return Err(Rejected::invalid("/instances", problem));
    }
    let n_bytes = new.stored_bytes();
    if n_bytes > limit::DEFINITION_BYTES_MAX {
        return Err(Rejected::invalid("/", too_large(n_bytes)));
    }
    let after = Arc::new(new);
    write_app(tx, &edit.id, Some(&after));
    Ok(Some(Transition { before, after: Some(after) }))
}

/// What is said of a definition of `n_bytes` bytes.
pub fn too_large(n_bytes: usize) -> String {
    let max = limit::DEFINITION_BYTES_MAX;
    format!("the definition takes {n_bytes} bytes, the maximum is {max}")
}

/// Every walk over the tree of groups counts on this.
fn check_size(id: &GroupId) -> Result<(), Rejected> {
    id.check_size().map_err(|problem| Rejected::invalid("/id", problem.to_string()))
}

fn is_group(tx: &Tx<'_>, id: &GroupId) -> bool {
    tx.state.groups.contains_key(id)
}

/// Stores or removes a workload's wanted definition, with its version and its groups.
fn write_app(tx: &mut Tx<'_>, id: &AppId, spec: Option<&Arc<WorkloadSpec>>) {
    let Some(spec) = spec else {
        tx.remove_app(id);
        return;
    };
    tx.put::<WorkloadSpec>((spec.id.clone(), spec.version), spec.clone());
    let last_failure = tx.state.apps.get(id).and_then(|a| a.last_failure.clone());
    tx.put_app(App { id: id.clone(), spec: spec.clone(), last_failure });
    for group in id.ancestors() {
        let old = tx.state.groups.get(&group);
        let new = match old {
            Some(old) if old.version == spec.version => continue,
            Some(old) => Group { version: spec.version, ..(**old).clone() },
            None => new_group(group, spec.version),
        };
        tx.put_group(new);
    }
    drop_old_versions(tx, id);
}

/// A group that nobody set anything for. New top-level groups enforce their role, as DC/OS sets it.
fn new_group(id: GroupId, version: Timestamp) -> Group {
    let enforce_role = id.segments().count() == 1;
    Group { id, dependencies: BTreeSet::new(), enforce_role, version }
}

/// Keeps the newest versions, as far as their number and their bytes allow, and those that
/// instances were made from.
fn drop_old_versions(tx: &mut Tx<'_>, id: &AppId) {
    let versions: Vec<Timestamp> = tx.state.versions_of(id).map(|s| s.version).collect();
    let n_kept = n_that_fit(tx, id).min(limit::VERSIONS_PER_APP_MAX);
    let surplus = versions.len().saturating_sub(n_kept);
    if surplus == 0 {
        return;
    }
    let used: BTreeSet<Timestamp> = tx.state.instances_of(id).map(|i| i.version).collect();
    for version in versions.into_iter().take(surplus).filter(|v| !used.contains(v)) {
        tx.remove::<WorkloadSpec>(&(id.clone(), version));
    }
}

/// How many of the newest versions stay within the bytes one workload may take. Small definitions
/// are not measured: as many as are kept stay far below it.
fn n_that_fit(tx: &Tx<'_>, id: &AppId) -> usize {
    let newest = tx.state.spec(id).map_or(0, |spec| spec.stored_bytes());
    if newest <= limit::VERSIONS_BYTES_MAX / limit::VERSIONS_PER_APP_MAX {
        return usize::MAX;
    }
    let versions: Vec<_> = tx.state.versions_of(id).collect();
    let mut n_bytes = 0;
    let fits = |spec: &&&Arc<WorkloadSpec>| {
        n_bytes += spec.stored_bytes();
        n_bytes <= limit::VERSIONS_BYTES_MAX
    };
    versions.iter().rev().take_while(fits).count().max(1)
}

/// Gives a number to every port that has none: first the workload's former ones in order, then the
/// lowest that nobody uses.
fn assign_service_ports(
    tx: &Tx<'_>,
    before: Option<&WorkloadSpec>,
    new: &mut WorkloadSpec,
) -> Result<(), Rejected> {
    if new.run.kind == Kind::Pod {
        return Ok(()); // endpoints have no cluster-wide numbers
    }
    let named: BTreeSet<u16> =
        new.run.ports().map(|p| p.service_port).filter(|p| *p != 0).collect();
    let (first, last) = SERVICE_PORTS;
    let mut former = before
        .into_iter()
        .flat_map(|s| s.run.ports().map(|p| p.service_port).collect::<Vec<_>>())
        .filter(|p| (first..=last).contains(p) && !named.contains(p));
    let used = &tx.state.index.service_ports;
    let mut unused = (first..=last).filter(|p| !used.contains_key(p) && !named.contains(p));
    for container in &mut new.run_mut().containers {
        for port in container.ports.iter_mut().filter(|p| p.service_port == 0) {
            let number = former.next().or_else(|| unused.next());
            port.service_port = number.ok_or(Rejected::Exhausted {
                of: Thing::ServicePort,
                from: first,
                to: last,
            })?;
        }
    }
    Ok(())
}

fn edit_group(tx: &mut Tx<'_>, edit: &GroupEdit, version: Timestamp) -> Result<(), Rejected> {
    match &edit.change {
        GroupChange::Put { dependencies, enforce_role } => {
            check_size(&edit.id)?;
            if tx.state.apps.contains_key(&edit.id) {
                return Err(Rejected::Taken(Thing::Path.named(&edit.id)));
            }
            for ancestor in edit.id.ancestors() {
                if !tx.state.groups.contains_key(&ancestor) {
                    tx.put_group(new_group(ancestor, version));
                }
            }
            let old = tx.state.groups.get(&edit.id).map(|g| (**g).clone());
            let mut group = old.unwrap_or_else(|| new_group(edit.id.clone(), version));
            if let Some(dependencies) = dependencies {
                group.dependencies.clone_from(dependencies);
            }
            group.enforce_role = enforce_role.unwrap_or(group.enforce_role);
            group.version = version;
            tx.put_group(group);
        }
        GroupChange::Delete => {
            if !tx.state.groups.contains_key(&edit.id) {
                return Err(Rejected::NotFound(Thing::Group.named(&edit.id)));
            }
            let state = &tx.state;
            let itself = Some(&edit.id).filter(|g| !g.is_root());
            let below: Vec<GroupId> = state
                .groups
                .range(edit.id.range_below())
                .map(|(id, _)| id)
                .chain(itself)
                .filter(|g| state.apps.range(g.range_below()).next().is_none())
                .cloned()
                .collect();
            for group in below {
                tx.remove::<Group>(&group);
            }
        }
    }
    Ok(())
}

/// Stores a deployment for `changes` and enters its first step. One without steps ends at once.
fn begin(
    tx: &mut Tx<'_>,
    id: &DeploymentId,
    version: Timestamp,
    changes: BTreeMap<AppId, Transition>,
    victims: BTreeSet<InstanceId>,
    force: bool,
) -> Result<Accepted, Rejected> {
    let locks: BTreeMap<AppId, DeploymentId> = changes
        .keys()
        .filter_map(|a| Some((a.clone(), tx.state.index.locks.get(a)?.clone())))
        .collect();
    if !locks.is_empty() && !force {
        let deployments: BTreeSet<DeploymentId> = locks.values().cloned().collect();
        return Err(Rejected::Locked {
            apps: locks.into_keys().collect(),
            deployments: deployments.into_iter().collect(),
        });
    }
    for other in locks.values().collect::<BTreeSet<_>>() {
        tx.end_deployment(other, End::Cancelled(format!("superseded by deployment {id}")));
    }
    if tx.state.deployments.len() >= limit::DEPLOYMENTS_MAX {
        let max = u32::try_from(limit::DEPLOYMENTS_MAX).unwrap_or(u32::MAX);
        return Err(Rejected::TooMany { of: Thing::Deployment, max });
    }
    let steps = deploy::steps(tx.state, &changes);
    let deployment = Deployment {
        id: id.clone(),
        version,
        started_at: tx.at(),
        steps,
        current_step: 0,
        changes,
        victims,
    };
    tx.put_deployment(deployment.clone());
    advance(tx, deployment);
    Ok(Accepted { deployment: Some((id.clone(), version)), ..Accepted::default() })
}

/// Enters the next step that has something to do; after the last one the deployment is done.
fn advance(tx: &mut Tx<'_>, mut deployment: Deployment) {
    loop {
        deployment.current_step += 1;
        if deployment.step().is_none() {
            tx.end_deployment(&deployment.id, End::Success);
            return;
        }
        tx.put_deployment(deployment.clone());
        let due = deploy::due(tx.state, &deployment);
        let finished = |d: &deploy::Due| d.done && d.n_add == 0 && d.retire.is_empty();
        if !due.iter().all(finished) {
            return;
        }
    }
}

/// Ends an instance that is one too many or of an older configuration.
fn retire(tx: &mut Tx<'_>, instance: Instance) {
    let goal = goal_of_retired(tx.state, &instance);
    match wanted_version(tx, &instance) {
        Some(version) if goal == Goal::Running && instance.waits_for_place() => {
            tx.put_instance(Instance { version, ..instance });
        }
        Some(_) | None => order_kill(tx, instance, goal, &KillReason::Deployment),
    }
}

/// What becomes of an instance that is one too many or of an older configuration. With volumes it is
/// kept, and goes on with the same data as what is wanted now.
fn goal_of_retired(state: &State, instance: &Instance) -> Goal {
    let wanted = instance.app().and_then(|app| state.spec(app));
    let Some(spec) = wanted.filter(|_| state.bound_to(&instance.id).is_some()) else {
        return Goal::Decommissioned;
    };
    let n_present = state.index.present.get(&spec.id).copied().unwrap_or(0);
    let is_surplus = n_present > spec.instances as usize;
    if is_surplus || state.is_current(instance) { Goal::Stopped } else { instance.goal }
}

fn scale_app(tx: &mut Tx<'_>, scale: &Scale) {
    let at = tx.at();
    for id in &scale.retire {
        let instance = tx.state.instances.get(id).filter(|i| i.app() == Some(&scale.app));
        if let Some(instance) = instance.map(|i| (**i).clone()) {
            retire(tx, instance);
        }
    }
    let Some(version) = tx.state.spec(&scale.app).map(|s| s.version) else { return };
    let mut kept = deploy::kept::by_preference(tx.state, &scale.app).into_iter();
    for id in &scale.add {
        if let Some(kept) = kept.next() {
            tx.put_instance(Instance {
                goal: Goal::Running,
                version,
                since: at,
                ..(*kept).clone()
            });
        } else if !tx.state.instances.contains_key(id) {
            tx.put_instance(Instance::scheduled(id.clone(), scale.app.clone(), version, at));
        }
    }
}
