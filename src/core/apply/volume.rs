//! Volumes: made at the first launch of their instance, used again by each later one, wiped by their node
//! once the instance is gone.

use super::{gate, tx::Tx};
use crate::{
    base::{level, units::Milli},
    choice,
    core::{
        Accepted, Rejected,
        state::State,
        told::{Kind, Told},
    },
    model::{
        instance::{Goal, Instance, InstanceId, Life, Phase},
        node::NodeId,
        path::AppId,
        resource::{Pools, Resources, Scalars},
        volume::{Volume, VolumeId},
        workload::RunSpec,
    },
};

/// Commands about volumes. From level `level::VOLUMES` on.
#[derive(Clone, Debug)]
pub enum VolumeCommand {
    /// An instance that has stopped is forgotten, and its volumes are wiped.
    Drop(InstanceId),
    /// A node has removed what these instances kept there.
    Wiped { node: NodeId, instances: Vec<InstanceId> },
}

choice!(VolumeCommand { 40: Drop(it), 41: Wiped { 1: node, 2: instances } });

pub(super) fn run(tx: &mut Tx<'_>, command: &VolumeCommand) -> Result<Accepted, Rejected> {
    match command {
        VolumeCommand::Drop(instance) => drop_kept(tx, instance),
        VolumeCommand::Wiped { node, instances } => Ok(wiped(tx, node, instances)),
    }
}

pub(super) fn told(command: &VolumeCommand) -> Told {
    match command {
        VolumeCommand::Drop(id) => Told::new(Kind::Kill, id, "remove its volumes"),
        VolumeCommand::Wiped { node, .. } => Told::new(Kind::Node, node, "wipe volumes"),
    }
}

/// What a launch holds for itself, and the volumes it writes.
pub(super) struct Planned {
    pub allocation: Pools,
    pub volumes: Vec<Volume>,
}

/// The volumes of an instance as a launch leaves them: those there are, and those it makes out of its
/// allocation. `None` where it would go to another node than they are on.
pub(super) fn planned(
    state: &State,
    instance: &Instance,
    run: &RunSpec,
    (node, allocation): (&NodeId, &Pools),
) -> Option<Planned> {
    let mut planned = Planned { allocation: allocation.clone(), volumes: Vec::new() };
    let Some(app) = instance.app().filter(|_| state.level() >= level::VOLUMES) else {
        return Some(planned);
    };
    if state.bound_to(&instance.id).is_some_and(|bound| bound != node) {
        return None;
    }
    let next = |volume: &Volume| Volume { epoch: volume.epoch + 1, ..volume.clone() };
    planned.volumes = state.volumes_of(&instance.id).map(|volume| next(volume)).collect();
    let place = Place { app, instance, node, epoch: instance.incarnation + 1 };
    make(state, &place, run, &mut planned)?;
    Some(planned)
}

/// Whose a volume is to be, and where.
struct Place<'a> {
    app: &'a AppId,
    instance: &'a Instance,
    node: &'a NodeId,
    epoch: u32,
}

/// Makes what is missing of the volumes that `run` asks for. `None` where the allocation is too small.
fn make(state: &State, place: &Place<'_>, run: &RunSpec, planned: &mut Planned) -> Option<()> {
    for (path, of) in run.persistent() {
        let id = VolumeId::of(place.app, path, &place.instance.id);
        if planned.volumes.iter().any(|volume| volume.id == id) {
            continue;
        }
        planned.volumes.push(Volume {
            id,
            app: place.app.clone(),
            instance: place.instance.id.clone(),
            path: path.to_owned(),
            kind: of.kind,
            size_mb: of.size_mb,
            node: place.node.clone(),
            held: take_disk(&mut planned.allocation, of.space())?,
            epoch: place.epoch,
            created_at: state.at,
            doomed_at: None,
        });
    }
    Some(())
}

/// Takes so much disk out of pools, one after another.
fn take_disk(pools: &mut Pools, mut size: Milli) -> Option<Pools> {
    let mut taken = Pools::default();
    for (role, resources) in &pools.0 {
        let disk = resources.scalars.disk.min(size);
        size -= disk;
        let scalars = Scalars { disk, ..Scalars::default() };
        if !disk.is_zero() {
            taken.0.insert(role.clone(), Resources { scalars, ..Resources::default() });
        }
    }
    pools.sub(&taken);
    size.is_zero().then_some(taken)
}

/// Instances that were launched before there were volumes in the state keep what they have where they
/// are: their agents have it in the same directories.
pub(super) fn adopt(tx: &mut Tx<'_>) {
    let placed = |instance: &&std::sync::Arc<Instance>| {
        matches!(&instance.life, Life::Placed(phase, _) if *phase != Phase::UnreachableInactive)
            && instance.goal == Goal::Running
            && tx.state.spec_of(instance).is_some_and(|spec| spec.run.is_resident())
    };
    let all: Vec<Instance> =
        tx.state.instances.values().filter(placed).map(|i| (**i).clone()).collect();
    for mut instance in all {
        let Some(spec) = tx.state.spec_of(&instance).cloned() else { continue };
        let (Some(app), Some(task)) = (instance.app().cloned(), instance.task()) else { continue };
        let node = task.place.node.clone();
        let epoch = instance.incarnation;
        let place = Place { app: &app, instance: &instance, node: &node, epoch };
        let allocation = task.place.allocation.clone();
        let mut planned = Planned { allocation, volumes: Vec::new() };
        if make(tx.state, &place, &spec.run, &mut planned).is_none() {
            continue; // it was launched with less disk: nothing to tell its volumes by
        }
        if let Some(task) = instance.task_mut() {
            task.place.allocation = planned.allocation;
        }
        for volume in planned.volumes {
            tx.put_volume(volume);
        }
        tx.put_instance(instance);
    }
}

/// Forgets a stopped instance; its volumes go with it.
fn drop_kept(tx: &mut Tx<'_>, id: &InstanceId) -> Result<Accepted, Rejected> {
    gate::need_level(tx.state, level::VOLUMES, "volumes are not removed")?;
    let known = tx.state.instances.get(id).filter(|_| tx.state.bound_to(id).is_some());
    let Some(instance) = known else {
        return Err(Rejected::invalid("volume", format!("{id} keeps no volumes")));
    };
    if !instance.is_kept() {
        let problem = format!(
            "{id} uses it; scale its app down first, or end the instance for good \
             (`tepui task kill --wipe`)"
        );
        return Err(Rejected::invalid("volume", problem));
    }
    tx.remove_instance(id);
    Ok(Accepted { n_done: 1, ..Accepted::default() })
}

/// What is gone from a node holds nothing there any more.
fn wiped(tx: &mut Tx<'_>, node: &NodeId, instances: &[InstanceId]) -> Accepted {
    let is_gone = |volume: &&std::sync::Arc<Volume>| {
        !volume.is_wanted() && instances.contains(&volume.instance)
    };
    let gone: Vec<VolumeId> =
        tx.state.volumes_on(node).filter(is_gone).map(|volume| volume.id.clone()).collect();
    for id in &gone {
        tx.remove_volume(id);
    }
    Accepted { n_done: u32::try_from(gone.len()).unwrap_or(u32::MAX), ..Accepted::default() }
}
