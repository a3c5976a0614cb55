//! Instances with volumes: on one node, with one data, from the first launch to the last.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    base::{level, rng::Rng},
    core::{
        ClusterCommand, VolumeCommand, deploy,
        place::{self, Limits},
        state::Cluster,
    },
    model::{
        container::{DiskKind, PersistentVolume, Volume as Mount, VolumeSource},
        node::Duty,
        volume::Volume,
        workload::UnreachableStrategy,
    },
};

const DISK: i64 = 100_000;

fn resident(id: &str, instances: u32) -> WorkloadSpec {
    let mut spec = app(id, instances);
    let of = PersistentVolume {
        kind: DiskKind::Root,
        size_mb: 500,
        size_mb_max: None,
        profile: None,
        constraints: Vec::new(),
    };
    let source = VolumeSource::Persistent(of);
    let volume = Mount { container_path: "data".to_owned(), read_only: false, source };
    spec.run_mut().containers[0].volumes.push(volume);
    spec.upgrade = UpgradeStrategy { minimum_health_capacity: 0.5, maximum_over_capacity: 0.0 };
    spec.unreachable = UnreachableStrategy::Disabled;
    spec
}

fn changed(mut spec: WorkloadSpec, command: &str) -> WorkloadSpec {
    spec.run_mut().containers[0].command = Run::Shell(command.to_owned());
    spec
}

/// What the reconcilers do outside of deployments and in them, once; what placement said.
fn turn(w: &mut World) -> BTreeMap<String, String> {
    w.reconcile();
    for app in w.state.index.uneven.clone() {
        let (add, retire) = match w.state.spec(&app).cloned() {
            Some(spec) => {
                let due = deploy::progress::scale(&w.state, &spec, &BTreeSet::new());
                ((0..due.n_add).map(|_| w.instance_id(&app)).collect(), due.retire)
            }
            None => (Vec::new(), w.state.instances_of(&app).map(|i| i.id.clone()).collect()),
        };
        w.ok(WorkloadCommand::Scale(Scale { app, add, retire }));
    }
    let plan = place::plan(&w.state, &[], Timestamp::from_ms(w.now), &Limits::default());
    w.ok(TaskCommand::Launch(plan.launches));
    plan.reports.into_iter().map(|(app, report)| (app.to_string(), report.sentence)).collect()
}

fn settled(w: &mut World) {
    for _ in 0..60 {
        turn(w);
        w.agents_act();
    }
    assert!(w.state.deployments.is_empty(), "{:?}", w.state.deployments);
}

fn volumes(w: &World) -> Vec<Volume> {
    w.state.volumes.values().map(|volume| (**volume).clone()).collect()
}

fn free_disk(w: &World, node: &str) -> Milli {
    w.state.free(&NodeId::from(node)).scalars().disk
}

fn reach(w: &mut World, node: &str, reachable: bool) {
    w.ok(NodeCommand::NodeReach { node: NodeId::from(node), reachable });
}

fn deployed(instances: u32, n_nodes: usize) -> World {
    let mut w = World::new(n_nodes);
    w.put(resident("/db", instances));
    settled(&mut w);
    assert_eq!(w.running("/db").len(), instances as usize);
    w
}

#[test]
fn data_stays_through_kill_upgrade_restart_and_failure() {
    let mut w = deployed(1, 3);
    let first = volumes(&w).remove(0);
    let instance = w.running("/db")[0].clone();
    let uuid = instance.id.as_str().rsplit_once('-').unwrap().1.to_owned();
    assert_eq!(first.id.as_str(), format!("db#data#{uuid}"));
    assert_eq!((first.epoch, &first.instance), (1, &instance.id));
    assert_eq!(free_disk(&w, first.node.as_str()), Milli::whole(DISK - 500));
    let held = instance.placement().unwrap().allocation.scalars().disk;
    assert_eq!(held, Milli::ZERO, "the volume holds its disk, not the task");

    let same = |w: &World, epoch: u32| {
        let now = volumes(w);
        assert_eq!(now, [Volume { epoch, ..first.clone() }]);
        let running = w.running("/db");
        assert_eq!((running.len(), &running[0].id), (1, &instance.id));
        assert_eq!((running[0].incarnation, w.state.instances.len()), (epoch, 1));
    };
    let reason = KillReason::Request;
    w.ok(TaskCommand::Kill { instances: vec![instance.id.clone()], wipe: false, reason });
    settled(&mut w);
    same(&w, 2);
    w.put(changed(resident("/db", 1), "sleep 2000"));
    settled(&mut w);
    same(&w, 3);
    assert!(w.state.is_current(&w.running("/db")[0]));
    let again = Edit {
        restart: true,
        ..edit(&instance.app().unwrap().clone(), Some(changed(resident("/db", 1), "sleep 2000")))
    };
    w.deploy(vec![again]);
    settled(&mut w);
    same(&w, 4);
    w.report(&instance.id, Condition::Failed);
    w.now += 1_000_000;
    settled(&mut w);
    same(&w, 5);
}

#[test]
fn old_and_new_of_one_instance_never_run_together() {
    let mut w = deployed(3, 3);
    w.put(changed(resident("/db", 3), "sleep 2000"));
    let mut n_turns = 0;
    while !w.state.deployments.is_empty() {
        turn(&mut w);
        let up = w.running("/db").iter().filter(|i| i.kill().is_none()).count();
        assert!(up >= 2, "half of three, rounded up, serve: {up}");
        assert_eq!(w.state.instances.len(), 3);
        w.agents_act();
        n_turns += 1;
        assert!(n_turns < 60);
    }
    assert!(volumes(&w).iter().all(|volume| volume.epoch == 2));
}

#[test]
fn what_is_scaled_down_keeps_its_data_and_is_the_first_to_come_back() {
    let mut w = deployed(3, 3);
    let before: BTreeSet<_> = volumes(&w).into_iter().map(|v| (v.id, v.node)).collect();
    w.put(resident("/db", 1));
    settled(&mut w);
    assert_eq!((w.running("/db").len(), w.state.instances.len()), (1, 3));
    let kept = w.state.instances.values().filter(|i| i.is_kept()).count();
    assert_eq!((kept, volumes(&w).len()), (2, 3));
    assert!(w.state.index.waiting.is_empty());
    w.put(resident("/db", 4));
    settled(&mut w);
    let after: BTreeSet<_> = volumes(&w).into_iter().map(|v| (v.id, v.node)).collect();
    assert!(after.is_superset(&before));
    assert_eq!((w.running("/db").len(), after.len()), (4, 4));
    // With another configuration too.
    w.put(changed(resident("/db", 2), "sleep 2000"));
    settled(&mut w);
    w.put(changed(resident("/db", 4), "sleep 2000"));
    settled(&mut w);
    assert_eq!((w.running("/db").len(), volumes(&w).len()), (4, 4));
    assert!(w.running("/db").iter().all(|i| w.state.is_current(i)));
}

#[test]
fn wiping_and_removal_end_it_and_the_disk_is_free_once_the_node_says_so() {
    let mut w = deployed(2, 1);
    let instances: Vec<InstanceId> = w.running("/db").iter().map(|i| i.id.clone()).collect();
    let reason = KillReason::Request;
    w.ok(TaskCommand::Kill { instances: vec![instances[0].clone()], wipe: true, reason });
    settled(&mut w);
    assert_eq!(w.running("/db").len(), 2);
    assert_eq!((volumes(&w).len(), free_disk(&w, "n0")), (3, Milli::whole(DISK - 1_500)));
    let node = NodeId::from("n0");
    w.ok(VolumeCommand::Wiped { node: node.clone(), instances: instances.clone() });
    assert_eq!((volumes(&w).len(), free_disk(&w, "n0")), (2, Milli::whole(DISK - 1_000)));
    // A stopped one is removed by itself; one that runs is not.
    let refused = w.rejected(VolumeCommand::Drop(instances[1].clone()));
    assert!(refused.to_string().contains("uses it"), "{refused}");
    w.put(resident("/db", 0));
    settled(&mut w);
    w.ok(VolumeCommand::Drop(instances[1].clone()));
    w.deploy(vec![edit(&PathId::parse("/db"), None)]);
    settled(&mut w);
    assert!(w.state.instances.is_empty());
    assert!(volumes(&w).iter().all(|volume| !volume.is_wanted()));
    let all = volumes(&w).into_iter().map(|volume| volume.instance).collect();
    w.ok(VolumeCommand::Wiped { node, instances: all });
    assert_eq!((volumes(&w).len(), free_disk(&w, "n0")), (0, Milli::whole(DISK)));
    assert!(w.state.specs.is_empty());
}

#[test]
fn it_waits_for_its_node_and_nothing_takes_its_place_there() {
    let mut w = deployed(1, 2);
    let node = volumes(&w)[0].node.clone();
    let id = w.running("/db")[0].id.clone();
    reach(&mut w, node.as_str(), false);
    w.ok(TaskCommand::Expire { inactive: vec![id.clone()], expunge: vec![id.clone()] });
    assert_eq!(w.state.instances[&id].condition(), Condition::Unreachable, "never given up");
    reach(&mut w, node.as_str(), true);
    w.report(&id, Condition::Failed);
    reach(&mut w, node.as_str(), false);
    w.now += 1_000_000;
    let told = turn(&mut w);
    assert_eq!(
        told["/db"],
        "1 instance waits: none of 2 nodes fits: 1 is not heard of, 1 does not hold its data"
    );
    assert!(w.running("/db").is_empty());
    reach(&mut w, node.as_str(), true);
    // Its launch delay runs; what it needs there is kept for it.
    w.ok(WorkloadCommand::ResetBackoff(PathId::parse("/db")));
    turn(&mut w);
    w.agents_act();
    w.report(&id, Condition::Failed);
    let mut greedy = app("/greedy", 2);
    greedy.run_mut().containers[0].resources.cpus = Milli::whole(100);
    w.put(greedy);
    for _ in 0..5 {
        turn(&mut w);
    }
    assert!(w.state.instances[&id].waits_for_place());
    let there = w.state.instances_on(&node).count();
    assert_eq!(there, 0, "100 of 100 cpus would leave none for what has its data there");
    w.now += 1_000_000;
    turn(&mut w);
    assert_eq!(w.state.instances[&id].placement().unwrap().node, node);
}

#[test]
fn a_drain_stops_it_where_it_is_and_a_removed_node_ends_it() {
    let mut w = deployed(1, 2);
    let node = volumes(&w)[0].node.clone();
    let since = Timestamp::EPOCH;
    let duty = Duty::Draining { since, until: Timestamp::from_ms(i64::MAX) };
    w.ok(NodeCommand::NodeDuty { node: node.clone(), duty });
    let here: Vec<_> = w.state.instances_on(&node).cloned().collect();
    let spec = w.state.spec(&PathId::parse("/db")).unwrap().clone();
    let instances = deploy::drain::due(&w.state, &spec, &here);
    assert_eq!(instances.len(), 1, "no replacement is waited for");
    w.ok(TaskCommand::Kill { instances, wipe: true, reason: KillReason::Drain });
    w.agents_act();
    let told = turn(&mut w);
    assert!(told["/db"].contains("1 is drained"), "{told:?}");
    assert_eq!((w.state.instances.len(), volumes(&w).len()), (1, 1));
    let refused = w.rejected(NodeCommand::RemoveNode(node.clone()));
    assert!(refused.to_string().contains("keeps the data of 1 instance"), "{refused}");
    reach(&mut w, node.as_str(), false);
    w.ok(NodeCommand::RemoveNode(node.clone()));
    assert!(volumes(&w).is_empty());
    settled(&mut w);
    let new = volumes(&w);
    assert_eq!((new.len(), new[0].epoch, new[0].node == node), (1, 1, false));
}

#[test]
fn with_the_level_the_instances_of_before_get_volumes_where_they_run() {
    let mut w = World::new(2);
    let below =
        Cluster { level: level::VOLUMES - 1, ..(**w.state.cluster.as_ref().unwrap()).clone() };
    w.state.cluster = Some(Arc::new(below));
    w.put(resident("/db", 2));
    settled(&mut w);
    assert!(volumes(&w).is_empty());
    let disk = |w: &World| (free_disk(w, "n0") + free_disk(w, "n1"), w.running("/db").len());
    let before = disk(&w);
    w.ok(ClusterCommand::RaiseLevel(level::VOLUMES));
    assert_eq!((volumes(&w).len(), disk(&w)), (2, before));
    assert_eq!(before, (Milli::whole(2 * DISK - 1_000), 2));
    let ids: Vec<InstanceId> = w.running("/db").iter().map(|i| i.id.clone()).collect();
    let reason = KillReason::Request;
    w.ok(TaskCommand::Kill { instances: ids, wipe: false, reason });
    settled(&mut w);
    assert_eq!((volumes(&w).len(), disk(&w)), (2, before));
}

/// Whatever happens in whatever order: `World` checks the invariants after every command, here it is that
/// data that nobody gave up stay where they are, and that all is well in the end.
#[test]
fn nothing_that_happens_moves_or_shares_data() {
    for seed in 0..60 {
        let mut rng = Rng::from_seed(seed);
        let mut w = deployed(2, 3);
        let mut known: BTreeMap<_, (NodeId, u32)> = BTreeMap::new();
        for _ in 0..80 {
            random_step(&mut w, &mut rng);
            for volume in w.state.volumes.values() {
                let (node, epoch) = known
                    .entry(volume.id.clone())
                    .or_insert_with(|| (volume.node.clone(), volume.epoch));
                assert_eq!(*node, volume.node, "seed {seed}");
                assert!(*epoch <= volume.epoch, "seed {seed}");
                *epoch = volume.epoch;
            }
        }
        for node in ["n0", "n1", "n2"] {
            reach(&mut w, node, true);
        }
        force(&mut w, resident("/db", 2));
        w.now += 10_000_000;
        settled(&mut w);
        assert_eq!(w.running("/db").len(), 2, "seed {seed}");
    }
}

fn force(w: &mut World, spec: WorkloadSpec) {
    let mut put = put(&w.id(), vec![edit(&PathId::parse("/db"), Some(spec))]);
    put.force = true;
    w.ok(WorkloadCommand::PutApps(Box::new(put)));
}

fn random_step(w: &mut World, rng: &mut Rng) {
    let node = format!("n{}", rng.below(3));
    let all: Vec<InstanceId> = w.state.instances.keys().cloned().collect();
    let any = |rng: &mut Rng| Some(all.get(usize::try_from(rng.below(8)).unwrap())?.clone());
    match rng.below(11) {
        0 => reach(w, &node, false),
        1 | 2 => reach(w, &node, true),
        3 => {
            let n = u32::try_from(rng.below(4)).unwrap();
            force(w, resident("/db", n));
        }
        4 => {
            let command = format!("sleep {}", rng.below(9));
            force(w, changed(resident("/db", 2), &command));
        }
        5 => {
            let Some(id) = any(rng) else { return };
            let (wipe, reason) = (rng.below(3) == 0, KillReason::Request);
            w.ok(TaskCommand::Kill { instances: vec![id], wipe, reason });
        }
        6 => {
            let Some(id) = any(rng) else { return };
            if w.state.instances[&id].placement().is_some() {
                w.report(&id, Condition::Failed);
            }
        }
        7 => {
            let (node, doomed) = (NodeId::from(node), w.state.instances.keys().cloned().collect());
            w.ok(VolumeCommand::Wiped { node, instances: doomed });
        }
        8 => {
            let up = |i: &&Arc<Instance>| {
                let place = i.placement().and_then(|p| w.state.nodes.get(&p.node));
                place.is_some_and(|node| node.is_reachable())
            };
            let heard: Vec<_> = w.state.instances.values().filter(up).cloned().collect();
            for i in heard {
                let to = if i.kill().is_some() { Condition::Killed } else { Condition::Running };
                w.report_with(&i.id, to, Some(true));
            }
        }
        _ => drop(turn(w)),
    }
}
