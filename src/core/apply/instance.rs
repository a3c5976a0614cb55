//! Instances: launched, reported on, killed.
//!
//! The agent's word counts for what a task does; an older word never overrules a newer one because
//! reports carry the incarnation and conditions only move along the table in `accepts`.

use super::{tx::Tx, volume};
use crate::{
    base::{clock::Timestamp, level},
    core::{
        backoff::Delay,
        command::{Accepted, Launch, Rejected},
        deploy,
        state::{App, TaskFailure},
    },
    model::{
        instance::{
            Condition, End, Goal, Instance, InstanceId, KillOrder, KillReason, Life, Phase,
            Placement, Seen,
        },
        link::Report,
        node::NodeId,
        owner::Again,
        resource::Ranges,
        workload::Kind,
    },
};

/// Puts instances on nodes; each that does not fit any more is left waiting.
pub fn launch(tx: &mut Tx<'_>, launches: &[Launch]) -> Accepted {
    let n_done = launches.iter().filter(|l| launch_one(tx, l)).count();
    Accepted { n_done: u32::try_from(n_done).unwrap_or(u32::MAX), ..Accepted::default() }
}

fn launch_one(tx: &mut Tx<'_>, launch: &Launch) -> bool {
    let state = &tx.state;
    let Some(instance) = state.instances.get(&launch.instance).filter(|i| i.waits_for_place())
    else {
        return false;
    };
    let Some(node) = state.nodes.get(&launch.node).filter(|n| n.takes_work()) else {
        return false;
    };
    // The plan may be older than the removal of its workload: then nothing is started any more.
    if instance.app().is_some_and(|app| !state.apps.contains_key(app)) {
        return false;
    }
    let Some(spec) = state.task_of(instance) else { return false };
    let ports = Ranges::of_numbers(launch.host_ports.iter().flatten().map(|p| u64::from(*p)));
    if spec.run.ports().count() != launch.host_ports.len()
        || !launch.allocation.ports().contains(&ports)
        || !state.free(&launch.node).contains(&launch.allocation)
    {
        return false;
    }
    let on = (&launch.node, &launch.allocation);
    let Some(planned) = volume::planned(state, instance, &spec.run, on) else { return false };
    let place = Placement {
        node: launch.node.clone(),
        hostname: node.info.hostname.clone(),
        address: node.info.address,
        allocation: planned.allocation,
        host_ports: launch.host_ports.clone(),
        launched_at: tx.state.at,
    };
    let new = Instance {
        incarnation: instance.incarnation + 1,
        life: Life::placed(Phase::Provisioned, place),
        since: tx.state.at,
        message: String::new(),
        ..(**instance).clone()
    };
    for volume in planned.volumes {
        tx.put_volume(volume);
    }
    tx.put_instance(new);
    true
}

/// Takes over what an agent tells of its tasks.
pub fn report(tx: &mut Tx<'_>, node: &NodeId, reports: &[Report]) -> Accepted {
    let n_done = reports.iter().filter(|r| report_one(tx, node, r)).count();
    Accepted { n_done: u32::try_from(n_done).unwrap_or(u32::MAX), ..Accepted::default() }
}

fn report_one(tx: &mut Tx<'_>, node: &NodeId, report: &Report) -> bool {
    let Some(old) = tx.state.instances.get(&report.instance) else { return false };
    let Life::Placed(phase, task) = &old.life else { return false };
    let is_of_it = task.place.node == *node && old.incarnation == report.incarnation;
    if !is_of_it || !accepts(*phase, report.condition) {
        return false;
    }
    let (phase, mut task) = (*phase, task.clone());
    task.seen = Seen {
        started_at: report.started_at.or(task.seen.started_at),
        addresses: report.addresses.clone(),
        health: report.health.clone(),
        ready: report.ready,
        readiness: report.readiness.clone(),
        check: report.check,
        containers: report.containers.clone(),
    };
    let old = old.clone();
    let mut new = (*old).clone();
    if let Some(how) = report.condition.end() {
        new.life = Life::Placed(phase, task);
        end(tx, new, how, &report.message, report.unhealthy);
        return true;
    }
    let now = report.condition.phase().unwrap_or(phase);
    if now != phase {
        new.since = tx.at();
    }
    new.message.clone_from(&report.message);
    new.life = Life::Placed(now, task);
    if new == *old {
        return false;
    }
    tx.put_instance(new);
    true
}

/// Which condition may follow which phase by an agent's word. A node that returns may find its tasks
/// in any live condition.
fn accepts(from: Phase, to: Condition) -> bool {
    use Condition as C;
    match (from, to) {
        (_, C::Scheduled | C::Provisioned | C::Unreachable | C::UnreachableInactive) => false,
        (
            Phase::Provisioned | Phase::Staging | Phase::Unreachable | Phase::UnreachableInactive,
            _,
        ) => true,
        (Phase::Starting, to) => to != C::Staging,
        (Phase::Running, to) => !matches!(to, C::Staging | C::Starting),
        (Phase::Killing, to) => to == C::Killing || to.is_terminal(),
    }
}

/// Ends the present task: tells the end, then sends the instance back to wait for the next one, or
/// forgets it when nobody wants it any more. One with volumes stays for their sake, and comes back as what
/// is wanted by then.
pub fn end(tx: &mut Tx<'_>, mut instance: Instance, how: End, message: &str, unhealthy: bool) {
    let Life::Placed(phase, task) = instance.life else { return };
    // One that was replaced while its node was away has no next incarnation, and its end says
    // nothing about the workload.
    let is_replaced = phase == Phase::UnreachableInactive;
    let failed = how.is_failure() && task.kill.is_none() && !is_replaced;
    instance.life = Life::Ended(how, task);
    instance.since = tx.at();
    message.clone_into(&mut instance.message);
    if unhealthy || (failed && how != End::Finished) {
        note_failure(tx, &instance);
    }
    let mut next = Instance { life: Life::Scheduled, message: String::new(), ..instance.clone() };
    tx.put_instance(instance);
    let is_over = match next.owner.again() {
        Again::Always => false,
        Again::UntilFinished => how == End::Finished,
        Again::Never => true,
    };
    let is_bound = tx.state.bound_to(&next.id).is_some();
    let goes = match next.goal {
        Goal::Running => false,
        Goal::Stopped => !is_bound,
        Goal::Decommissioned => true,
    };
    if goes || is_replaced || is_over {
        tx.remove_instance(&next.id);
        return;
    }
    if failed && tx.state.is_current(&next) {
        delay_next(tx, &next);
    }
    if is_bound {
        next.version = wanted_version(tx, &next).unwrap_or(next.version);
    }
    tx.put_instance(next);
}

/// The version of the definition that is wanted of an instance's workload.
pub(super) fn wanted_version(tx: &Tx<'_>, instance: &Instance) -> Option<Timestamp> {
    Some(tx.state.spec(instance.app()?)?.version)
}

/// Ends tasks on request. With `wipe` the instance goes too and its replacement has a new id.
pub fn kill(
    tx: &mut Tx<'_>,
    instances: &[InstanceId],
    wipe: bool,
    reason: &KillReason,
) -> Result<Accepted, Rejected> {
    let mut n_done = 0;
    for id in instances {
        let Some(instance) = tx.state.instances.get(id) else { continue };
        if *reason == KillReason::Drain && !deploy::drain::may_end(tx.state, instance) {
            continue;
        }
        // A drain leaves data where they are: what has volumes starts again when the node does.
        let stays = *reason == KillReason::Drain && tx.state.bound_to(id).is_some();
        let goal = if wipe && !stays { Goal::Decommissioned } else { instance.goal };
        order_kill(tx, (**instance).clone(), goal, reason);
        n_done += 1;
    }
    Ok(Accepted { n_done, ..Accepted::default() })
}

/// Marks an instance for the end, or ends it at once when it has no task.
pub(super) fn order_kill(tx: &mut Tx<'_>, mut instance: Instance, goal: Goal, reason: &KillReason) {
    instance.goal = goal;
    let Life::Placed(phase, task) = &mut instance.life else {
        match goal {
            Goal::Running => {}
            Goal::Stopped if tx.state.bound_to(&instance.id).is_some() => tx.put_instance(instance),
            Goal::Stopped | Goal::Decommissioned => tx.remove_instance(&instance.id),
        }
        return;
    };
    if phase.is_lost() && goal == Goal::Decommissioned {
        tx.remove_instance(&instance.id);
        return;
    }
    if task.kill.is_none() {
        task.kill = Some(KillOrder { at: tx.at(), reason: reason.clone() });
    }
    tx.put_instance(instance);
}

fn note_failure(tx: &mut Tx<'_>, instance: &Instance) {
    let Some(app) = instance.app().and_then(|app| tx.state.apps.get(app)) else { return };
    // Of a pod the container that took the others along.
    let failed = instance.containers().iter().filter(|c| c.condition == Condition::Failed);
    let first = failed.min_by_key(|c| c.since).or(instance.containers().first());
    let container = first.map_or("", |c| c.name.as_str());
    let is_pod = tx.state.spec_of(instance).is_some_and(|spec| spec.run.kind == Kind::Pod);
    let failure = TaskFailure {
        task_id: instance.task_id(container),
        instance: instance.id.clone(),
        state: instance.condition().task_state().to_owned(),
        message: instance.message.clone(),
        hostname: instance.placement().map_or_else(String::new, |p| p.hostname.clone()),
        node: instance.placement().map(|p| p.node.clone()),
        at: tx.at(),
        version: instance.version,
        // Older releases have no word for it, and no pods.
        started_at: instance.started_at().filter(|_| is_pod),
    };
    let app = App { last_failure: Some(failure), ..(**app).clone() };
    tx.put_app(app);
}

fn delay_next(tx: &mut Tx<'_>, instance: &Instance) {
    let Some(app) = instance.app() else { return };
    let Some(spec) = tx.state.spec(app).cloned() else { return };
    let before = tx.state.delays.get(app).cloned();
    let mut delay =
        Delay::after(before.as_deref(), &spec.backoff, spec.last_config_change_at, tx.at());
    // Masters of a release before this write no such field: all are to have the same state.
    delay.first_at = delay.first_at.filter(|_| tx.state.level() >= level::FIRST_FAILURE);
    tx.put(app.clone(), delay);
}
