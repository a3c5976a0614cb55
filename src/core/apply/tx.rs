//! `Tx`: writes to the tables that keep every index true and record every change.

use std::sync::Arc;

use imbl::OrdSet;

use crate::{
    base::clock::Timestamp,
    core::{
        backoff::Delay,
        change::{Change, End},
        deploy,
        entity::{Entity, Plain},
        state::{App, Cluster, Group, Index, State},
    },
    model::{
        access::User,
        credential::{Certificate, Invitation},
        deployment::{Deployment, DeploymentId},
        instance::{Condition, Goal, Instance, InstanceId},
        node::{Node, NodeId},
        owner::Owner,
        path::AppId,
        resource::Pools,
        volume::{Volume, VolumeId},
        workload::{TaskSpec, WorkloadSpec},
    },
};

/// A command at work on the state.
pub struct Tx<'a> {
    pub state: &'a mut State,
    changes: Vec<Change>,
}

impl<'a> Tx<'a> {
    pub fn new(state: &'a mut State) -> Self {
        Self { state, changes: Vec::new() }
    }

    /// The time of this command.
    pub fn at(&self) -> Timestamp {
        self.state.at
    }

    /// What this command has changed so far, in order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub fn finish(self) -> Vec<Change> {
        self.changes
    }

    pub fn put_cluster(&mut self, cluster: Cluster) {
        let new = Arc::new(cluster);
        self.state.cluster = Some(new.clone());
        self.changes.push(Change::Cluster(new));
    }

    /// Writes an entity that no index knows of.
    pub fn put<E: Plain>(&mut self, id: E::Key, entity: impl Into<Arc<E>>) {
        self.write(id, entity.into());
    }

    /// Removes an entity that no index knows of.
    pub fn remove<E: Plain>(&mut self, id: &E::Key) {
        self.erase::<E>(id);
    }

    /// Writes an entity and answers what was there. The indexes are the caller's.
    fn write<E: Entity>(&mut self, id: E::Key, new: Arc<E>) -> Option<Arc<E>> {
        let old = E::all(self.state).insert(id.clone(), new.clone());
        self.changes.push(E::change(id, old.clone(), Some(new)));
        old
    }

    /// Removes an entity and answers what was there. The indexes are the caller's.
    fn erase<E: Entity>(&mut self, id: &E::Key) -> Option<Arc<E>> {
        let old = E::all(self.state).remove(id)?;
        self.changes.push(E::change(id.clone(), Some(old.clone()), None));
        Some(old)
    }

    pub fn put_app(&mut self, app: App) {
        let (id, new) = (app.id.clone(), Arc::new(app));
        let old = self.write(id.clone(), new.clone());
        count_service_ports(&mut self.state.index, old.as_deref(), Some(&new));
        self.touch(&id);
    }

    pub fn remove_app(&mut self, id: &AppId) {
        if let Some(old) = self.erase::<App>(id) {
            count_service_ports(&mut self.state.index, Some(&old), None);
            self.touch(id);
        }
        self.remove::<Delay>(id);
    }

    pub fn put_instance(&mut self, instance: Instance) {
        let new = Arc::new(instance);
        let old = self.write(new.id.clone(), new.clone());
        index_instance(&mut self.state.index, old.as_deref(), Some(&new));
        self.touch_owner(&new.owner);
    }

    pub fn remove_instance(&mut self, id: &InstanceId) {
        let Some(old) = self.erase::<Instance>(id) else { return };
        index_instance(&mut self.state.index, Some(&old), None);
        let left: Vec<Arc<Volume>> = self.state.volumes_of(id).cloned().collect();
        for volume in left {
            // What is in it goes once its node has been told.
            self.put_volume(Volume { doomed_at: Some(self.at()), ..(*volume).clone() });
        }
        match &old.owner {
            Owner::App(app) => {
                self.touch(app);
                self.drop_specs_of_removed(app);
            }
            Owner::Run { .. } | Owner::Framework { .. } | Owner::System(_) => {
                self.remove::<TaskSpec>(id);
            }
        }
    }

    pub fn put_volume(&mut self, volume: Volume) {
        let new = Arc::new(volume);
        let old = self.write(new.id.clone(), new.clone());
        index_volume(&mut self.state.index, old.as_deref(), Some(&new));
    }

    pub fn remove_volume(&mut self, id: &VolumeId) {
        if let Some(old) = self.erase::<Volume>(id) {
            index_volume(&mut self.state.index, Some(&old), None);
        }
    }

    pub fn put_node(&mut self, node: Node) {
        let new = Arc::new(node);
        self.write(new.id().clone(), new.clone());
        self.note_drain(new.id(), new.is_draining());
    }

    pub fn remove_node(&mut self, id: &NodeId) {
        if self.erase::<Node>(id).is_some() {
            self.note_drain(id, false);
        }
    }

    /// Whether a node is draining changes how many instances its workloads are taken to have.
    fn note_drain(&mut self, id: &NodeId, draining: bool) {
        let index = &mut self.state.index;
        let changed = match draining {
            true => index.draining.insert(id.clone()).is_none(),
            false => index.draining.remove(id).is_some(),
        };
        if changed {
            let apps: OrdSet<AppId> =
                self.state.instances_on(id).filter_map(|i| i.app().cloned()).collect();
            for app in &apps {
                self.touch(app);
            }
        }
    }

    pub fn put_deployment(&mut self, deployment: Deployment) {
        let new = Arc::new(deployment);
        self.write(new.id.clone(), new.clone());
        for app in new.changes.keys() {
            self.state.index.locks.insert(app.clone(), new.id.clone());
            self.touch(app);
        }
    }

    pub fn end_deployment(&mut self, id: &DeploymentId, end: End) {
        let Some(old) = self.state.deployments.remove(id) else { return };
        for app in old.changes.keys() {
            if self.state.index.locks.get(app) == Some(id) {
                self.state.index.locks.remove(app);
            }
            self.touch(app);
        }
        let apps: Vec<AppId> = old.changes.keys().cloned().collect();
        let id = id.clone();
        self.changes.push(Change::Deployment { id, old: Some(old), new: None, end: Some(end) });
        for app in apps {
            self.drop_specs_of_removed(&app);
        }
    }

    pub fn put_group(&mut self, group: Group) {
        self.put(group.id.clone(), group);
    }

    pub fn put_user(&mut self, user: User) {
        self.put(user.uid.clone(), user);
    }

    pub fn put_invitation(&mut self, invitation: Invitation) {
        self.put(invitation.digest, invitation);
    }

    pub fn put_certificate(&mut self, certificate: Certificate) {
        self.put((certificate.node.clone(), certificate.serial.clone()), certificate);
    }

    fn touch_owner(&mut self, owner: &Owner) {
        if let Owner::App(app) = owner {
            self.touch(app);
        }
    }

    /// Notes that something about `app` changed, and whether it is outside deployments and has
    /// not its number of instances.
    fn touch(&mut self, app: &AppId) {
        self.state.index.touched.insert(app.clone(), self.state.revision);
        if is_uneven(self.state, app) {
            self.state.index.uneven.insert(app.clone());
        } else {
            self.state.index.uneven.remove(app);
        }
    }

    /// Versions of a removed workload go when nothing refers to them any more.
    fn drop_specs_of_removed(&mut self, app: &AppId) {
        let state = &self.state;
        if state.apps.contains_key(app)
            || state.index.by_owner.contains_key(&Owner::App(app.clone()))
            || state.index.locks.contains_key(app)
        {
            return;
        }
        let versions: Vec<Timestamp> = state.versions_of(app).map(|s| s.version).collect();
        self.state.index.touched.remove(app);
        for version in versions {
            self.remove::<WorkloadSpec>(&(app.clone(), version));
        }
    }
}

/// Whether an instance counts towards its workload's number.
pub fn is_present(instance: &Instance) -> bool {
    instance.goal == Goal::Running && instance.condition() != Condition::UnreachableInactive
}

/// Rebuilds every index from the tables.
pub fn reindex(state: &mut State) {
    let mut index = Index::default();
    for (revision, (request, _)) in &state.requests {
        index.requests.insert(*request, *revision);
    }
    for volume in state.volumes.values() {
        index_volume(&mut index, None, Some(volume));
    }
    for instance in state.instances.values() {
        index_instance(&mut index, None, Some(instance));
    }
    index.draining =
        state.nodes.values().filter(|n| n.is_draining()).map(|n| n.id().clone()).collect();
    for deployment in state.deployments.values() {
        for app in deployment.changes.keys() {
            index.locks.insert(app.clone(), deployment.id.clone());
        }
    }
    for app in state.apps.values() {
        count_service_ports(&mut index, None, Some(app));
    }
    state.index = index;
    let index = &state.index;
    let owners = index.by_owner.keys().filter_map(Owner::app);
    let apps = state.apps.keys().chain(owners).chain(index.locks.keys());
    for app in apps.cloned().collect::<OrdSet<AppId>>() {
        if is_uneven(state, &app) {
            state.index.uneven.insert(app.clone());
        }
        state.index.touched.insert(app, state.revision);
    }
}

fn is_uneven(state: &State, app: &AppId) -> bool {
    if state.index.locks.contains_key(app) {
        return false;
    }
    let present = state.index.present.get(app).copied().unwrap_or(0);
    let wanted = state.spec(app).map_or(0, |s| s.instances as usize);
    present.saturating_sub(deploy::drain::n_leaving(state, app)) != wanted
}

fn index_instance(index: &mut Index, old: Option<&Instance>, new: Option<&Instance>) {
    if let Some(old) = old {
        if new.is_none_or(|n| n.owner != old.owner) {
            remove_member(&mut index.by_owner, &old.owner, &old.id);
        }
        if let Some(app) = old.app() {
            if is_present(old) {
                count_present(index, app, false);
            }
            if old.waits_for_place() {
                remove_member(&mut index.waiting, app, &old.id);
                index.bound.remove(&old.id);
            }
        }
        if let Some(placement) = old.placement()
            && new.is_none_or(|n| n.placement() != Some(placement))
        {
            remove_member(&mut index.by_node, &placement.node, &old.id);
            give_back(index, &placement.node, &placement.allocation);
        }
    }
    if let Some(new) = new {
        if old.is_none_or(|o| o.owner != new.owner) {
            index.by_owner.entry(new.owner.clone()).or_default().insert(new.id.clone());
        }
        if let Some(app) = new.app() {
            if is_present(new) {
                count_present(index, app, true);
            }
            if new.waits_for_place() {
                index.waiting.entry(app.clone()).or_default().insert(new.id.clone());
                if index.volumes.contains_key(&new.id) {
                    index.bound.insert(new.id.clone());
                }
            }
        }
        if let Some(placement) = new.placement()
            && old.is_none_or(|o| o.placement() != Some(placement))
        {
            index.by_node.entry(placement.node.clone()).or_default().insert(new.id.clone());
            index.used.entry(placement.node.clone()).or_default().add(&placement.allocation);
        }
    }
}

fn index_volume(index: &mut Index, old: Option<&Volume>, new: Option<&Volume>) {
    if let Some(old) = old {
        remove_member(&mut index.volumes_on, &old.node, &old.id);
        give_back(index, &old.node, &old.held);
        if old.is_wanted() {
            remove_member(&mut index.volumes, &old.instance, &old.id);
        }
    }
    if let Some(new) = new {
        index.volumes_on.entry(new.node.clone()).or_default().insert(new.id.clone());
        index.used.entry(new.node.clone()).or_default().add(&new.held);
        if new.is_wanted() {
            index.volumes.entry(new.instance.clone()).or_default().insert(new.id.clone());
        }
    }
}

/// A node has so much more free.
fn give_back(index: &mut Index, node: &NodeId, held: &Pools) {
    if let Some(used) = index.used.get_mut(node) {
        used.sub(held);
        if used.is_empty() {
            index.used.remove(node);
        }
    }
}

fn count_present(index: &mut Index, app: &AppId, one_more: bool) {
    let n = index.present.get(app).copied().unwrap_or(0);
    match if one_more { n + 1 } else { n.saturating_sub(1) } {
        0 => index.present.remove(app),
        n => index.present.insert(app.clone(), n),
    };
}

fn remove_member<K: Ord + Clone, V: Ord + Clone>(
    map: &mut imbl::OrdMap<K, OrdSet<V>>,
    key: &K,
    id: &V,
) {
    if let Some(set) = map.get_mut(key) {
        set.remove(id);
        if set.is_empty() {
            map.remove(key);
        }
    }
}

fn count_service_ports(index: &mut Index, old: Option<&App>, new: Option<&App>) {
    let ports = |app: &App| -> Vec<u16> {
        app.spec.run.ports().map(|p| p.service_port).filter(|p| *p != 0).collect()
    };
    for port in old.map(ports).unwrap_or_default() {
        if let Some(n) = index.service_ports.get_mut(&port) {
            *n -= 1;
            if *n == 0 {
                index.service_ports.remove(&port);
            }
        }
    }
    for port in new.map(ports).unwrap_or_default() {
        *index.service_ports.entry(port).or_default() += 1;
    }
}
