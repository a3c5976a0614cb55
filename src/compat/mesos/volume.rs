//! Persistent volumes as the old endpoints show them: disk that is reserved for a role and has an id.

use std::collections::BTreeMap;

use super::{json::Json, resource};
use crate::{
    base::units::Milli,
    core::State,
    model::{Node, Resources, Role, volume::Volume},
};

/// The volumes of a node by the role of the app whose they are.
pub fn by_role<'a>(state: &'a State, node: &Node) -> BTreeMap<Role, Vec<&'a Volume>> {
    let mut all: BTreeMap<Role, Vec<&Volume>> = BTreeMap::new();
    for volume in state.volumes_on(node.id()) {
        let spec = state.spec(&volume.app);
        let role = spec.map_or_else(Role::public, |spec| spec.run.role.clone());
        all.entry(role).or_default().push(volume);
    }
    all
}

/// The disk of volumes that comes out of the node's pool of `role`.
pub fn out_of(state: &State, node: &Node, role: &Role) -> Milli {
    let of = |volume: &Volume| volume.held.0.get(role).map_or(Milli::ZERO, |r| r.scalars.disk);
    state.volumes_on(node.id()).map(|volume| of(volume)).sum()
}

/// The disk that volumes take.
pub fn disk(volumes: &[&Volume]) -> Resources {
    let mut all = Resources::default();
    for volume in volumes {
        all.scalars.disk += volume.held.scalars().disk;
    }
    all
}

/// An element of a list of `Resource` objects.
pub fn element(j: &mut Json<'_>, role: &Role, volume: &Volume) {
    j.object(|j| {
        j.text_at("name", "disk");
        j.text_at("type", "SCALAR");
        resource::scalar(j, volume.held.scalars().disk);
        j.text_at("role", role.as_str());
        j.list_at("reservations", |j| {
            j.object(|j| {
                j.text_at("type", "DYNAMIC");
                j.text_at("role", role.as_str());
                j.object_at("labels", |j| {
                    j.list_at("labels", |j| {
                        j.object(|j| {
                            j.text_at("key", "marathon_task_id");
                            j.text_at("value", volume.instance.as_str());
                        });
                    });
                });
            });
        });
        j.object_at("disk", |j| {
            j.object_at("persistence", |j| j.text_at("id", volume.id.as_str()));
            j.object_at("volume", |j| {
                j.text_at("mode", "RW");
                j.text_at("container_path", &volume.path);
            });
        });
    });
}
