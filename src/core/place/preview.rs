//! What a drain would do, before it is begun: where each instance of a node would go.
//!
//! Placement is asked on a copy of the state in which the node drains and a replacement of each
//! instance waits. It answers for this moment and for all at once; the drain itself makes them as the
//! upgrade strategies allow.

use std::collections::BTreeMap;

use super::{limits::Limits, plan};
use crate::{
    base::clock::Timestamp,
    core::{State, apply::fork},
    model::{
        instance::{Goal, Instance, InstanceId},
        node::{Node, NodeId},
    },
};

/// Apps without a place whose nodes are looked at for the reason.
const EXPLAINED_MAX: usize = 64;

/// What becomes of one instance.
#[derive(Clone, PartialEq, Debug)]
pub enum Fate {
    /// Its replacement would run there.
    Moves { to: NodeId },
    /// Nothing has room for a replacement, in these words: it stays until something has.
    NoPlace { because: String },
    /// Its volumes are here: it stops, and starts again once the node takes work.
    Stops,
    /// It is on its way out, and not replaced.
    Ends,
    /// It is no workload's: nobody moves it, and the drain waits until it has ended.
    WaitedFor,
}

/// The fate of every instance on `node`, in the order of their ids.
pub fn drain<'a>(
    state: &'a State,
    node: &Node,
    now: Timestamp,
    limits: &Limits,
) -> Vec<(&'a Instance, Fate)> {
    let here: Vec<&Instance> = state.instances_on(node.id()).map(|i| &**i).collect();
    let leaving: Vec<&Instance> = here.iter().copied().filter(|i| leaves(state, i)).collect();
    let (copy, ids) = fork::drained(state, node, &leaving);
    let limits = Limits {
        launches_max: limits.launches_max.max(leaving.len()),
        explained_max: EXPLAINED_MAX,
        ..limits.clone()
    };
    let plan = plan::plan(&copy, &[], now, &limits);
    let places: BTreeMap<&InstanceId, &NodeId> =
        plan.launches.iter().map(|launch| (&launch.instance, &launch.node)).collect();
    let replaced: BTreeMap<&InstanceId, Option<InstanceId>> =
        leaving.iter().map(|i| &i.id).zip(ids).collect();
    let fate = |instance: &Instance| {
        let Some(app) = instance.app() else { return Fate::WaitedFor };
        if is_wanted(state, instance) && state.bound_to(&instance.id).is_some() {
            return Fate::Stops;
        }
        let Some(Some(new)) = replaced.get(&instance.id) else { return Fate::Ends };
        match places.get(new) {
            Some(node) => Fate::Moves { to: (*node).clone() },
            None => {
                let report = plan.reports.get(app).map(|report| report.found().to_owned());
                Fate::NoPlace { because: report.unwrap_or_default() }
            }
        }
    };
    here.into_iter().map(|instance| (instance, fate(instance))).collect()
}

/// Whether a drain of its node would have it replaced.
fn leaves(state: &State, instance: &Instance) -> bool {
    is_wanted(state, instance) && state.bound_to(&instance.id).is_none()
}

/// Whether it is not on its way out already.
fn is_wanted(state: &State, instance: &Instance) -> bool {
    instance.goal == Goal::Running
        && instance.kill().is_none()
        && instance.app().is_some_and(|app| state.apps.contains_key(app))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::units::Milli,
        core::{
            NodeCommand, TaskCommand,
            apply::tests::world::{World, app},
        },
        model::{instance::KillReason, node::Duty},
    };

    fn fates(w: &World) -> Vec<Fate> {
        let node = w.state.nodes[&NodeId::from("n0")].clone();
        let now = Timestamp::from_ms(w.now);
        drain(&w.state, &node, now, &Limits::default()).into_iter().map(|(_, fate)| fate).collect()
    }

    #[test]
    fn what_has_a_place_moves_what_has_none_stays_and_what_ends_is_not_replaced() {
        let mut w = World::new(2);
        w.put(app("/a", 2));
        w.settle();
        let before = w.state.clone();
        assert!(
            fates(&w).iter().all(|f| *f == Fate::Moves { to: NodeId::from("n1") }),
            "{:?}",
            fates(&w)
        );
        assert_eq!(w.state.index, before.index, "the question changes nothing");
        // On its way out already.
        let id = w.state.instances.keys().next().unwrap().clone();
        let reason = KillReason::Request;
        w.ok(TaskCommand::Kill { instances: vec![id], wipe: true, reason });
        assert_eq!(fates(&w)[0], Fate::Ends);
        // Nowhere to go.
        let duty = Duty::Deactivated { since: Timestamp::EPOCH };
        w.ok(NodeCommand::NodeDuty { node: NodeId::from("n1"), duty });
        let Fate::NoPlace { because } = &fates(&w)[1] else { panic!("{:?}", fates(&w)) };
        assert!(because.starts_with("1 instance waits: none of 2 nodes fits"), "{because}");
    }

    #[test]
    fn one_place_is_not_promised_twice() {
        let sized = |id: &str, n: u32, cpus: i64| {
            let mut spec = app(id, n);
            spec.run_mut().containers[0].resources.cpus = Milli::whole(cpus);
            spec
        };
        let mut w = World::new(2);
        w.put(sized("/there", 1, 50));
        while w.state.instances.is_empty() {
            w.reconcile();
        }
        w.launch_on("n1");
        w.settle();
        w.put(sized("/a", 2, 40));
        w.settle();
        // The other node has room for one of the two.
        let fates = fates(&w);
        let moves = Fate::Moves { to: NodeId::from("n1") };
        assert_eq!(fates.iter().filter(|fate| **fate == moves).count(), 1, "{fates:?}");
        assert_eq!(fates.len(), 2);
    }
}
