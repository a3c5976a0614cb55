//! `Tx`: writes to the tables that keep every index true and record every change.

use std::sync::Arc;

use imbl::OrdSet;

use crate::{
    base::clock::Timestamp,
    core::{
        backoff::Delay,
        change::{Change, End},
        deploy,
        past::Past,
        state::{App, Cluster, Group, Index, State},
    },
    model::{
        access::{Role, RoleSettings, User},
        credential::{Certificate, Digest, Invitation},
        deployment::{Deployment, DeploymentId},
        instance::{Condition, Goal, Instance, InstanceId},
        master::Master,
        node::Node,
        path::{AppId, GroupId},
        workload::WorkloadSpec,
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

    pub fn put_group(&mut self, group: Group) {
        let (id, new) = (group.id.clone(), Arc::new(group));
        let old = self.state.groups.insert(id.clone(), new.clone());
        self.changes.push(Change::Group { id, old, new: Some(new) });
    }

    pub fn remove_group(&mut self, id: &GroupId) {
        if let Some(old) = self.state.groups.remove(id) {
            self.changes.push(Change::Group { id: id.clone(), old: Some(old), new: None });
        }
    }

    pub fn put_app(&mut self, app: App) {
        let (id, new) = (app.id.clone(), Arc::new(app));
        let old = self.state.apps.insert(id.clone(), new.clone());
        count_service_ports(&mut self.state.index, old.as_deref(), Some(&new));
        self.touch(&id);
        self.changes.push(Change::App { id, old, new: Some(new) });
    }

    pub fn remove_app(&mut self, id: &AppId) {
        if let Some(old) = self.state.apps.remove(id) {
            count_service_ports(&mut self.state.index, Some(&old), None);
            self.touch(id);
            self.changes.push(Change::App { id: id.clone(), old: Some(old), new: None });
        }
        self.set_delay(id, None);
    }

    pub fn put_spec(&mut self, spec: Arc<WorkloadSpec>) {
        let (id, version) = (spec.id.clone(), spec.version);
        let old = self.state.specs.insert((id.clone(), version), spec.clone());
        self.changes.push(Change::Spec { id, version, old, new: Some(spec) });
    }

    pub fn remove_spec(&mut self, id: &AppId, version: Timestamp) {
        let old = self.state.specs.remove(&(id.clone(), version));
        if old.is_some() {
            self.changes.push(Change::Spec { id: id.clone(), version, old, new: None });
        }
    }

    pub fn put_instance(&mut self, instance: Instance) {
        let (id, new) = (instance.id.clone(), Arc::new(instance));
        let old = self.state.instances.insert(id.clone(), new.clone());
        index_instance(&mut self.state.index, old.as_deref(), Some(&new));
        self.touch(&new.app);
        self.changes.push(Change::Instance { id, old, new: Some(new) });
    }

    pub fn remove_instance(&mut self, id: &InstanceId) {
        let Some(old) = self.state.instances.remove(id) else { return };
        index_instance(&mut self.state.index, Some(&old), None);
        let app = old.app.clone();
        self.touch(&app);
        self.changes.push(Change::Instance { id: id.clone(), old: Some(old), new: None });
        self.drop_specs_of_removed(&app);
    }

    pub fn put_node(&mut self, node: Node) {
        let (id, new) = (node.id().clone(), Arc::new(node));
        let old = self.state.nodes.insert(id.clone(), new.clone());
        self.note_drain(&id, new.is_draining());
        self.changes.push(Change::Node { id, old, new: Some(new) });
    }

    pub fn put_master(&mut self, master: Master) {
        let (id, new) = (master.id, Arc::new(master));
        self.state.masters.insert(id, new.clone());
        self.changes.push(Change::Master { id, new: Some(new) });
    }

    pub fn remove_node(&mut self, id: &crate::model::NodeId) {
        if let Some(old) = self.state.nodes.remove(id) {
            self.note_drain(id, false);
            self.changes.push(Change::Node { id: id.clone(), old: Some(old), new: None });
        }
    }

    /// Whether a node is draining changes how many instances its workloads are taken to have.
    fn note_drain(&mut self, id: &crate::model::NodeId, draining: bool) {
        let index = &mut self.state.index;
        let changed = match draining {
            true => index.draining.insert(id.clone()).is_none(),
            false => index.draining.remove(id).is_some(),
        };
        if changed {
            let apps: OrdSet<AppId> = self.state.instances_on(id).map(|i| i.app.clone()).collect();
            for app in &apps {
                self.touch(app);
            }
        }
    }

    pub fn put_deployment(&mut self, deployment: Deployment) {
        let (id, new) = (deployment.id.clone(), Arc::new(deployment));
        let old = self.state.deployments.insert(id.clone(), new.clone());
        for app in new.changes.keys() {
            self.state.index.locks.insert(app.clone(), id.clone());
            self.touch(app);
        }
        self.changes.push(Change::Deployment { id, old, new: Some(new), end: None });
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

    pub fn set_delay(&mut self, app: &AppId, delay: Option<Delay>) {
        let new = delay.map(Arc::new);
        let had = match &new {
            Some(new) => self.state.delays.insert(app.clone(), new.clone()),
            None => self.state.delays.remove(app),
        };
        if new.is_some() || had.is_some() {
            self.changes.push(Change::Delay { app: app.clone(), new });
        }
    }

    pub fn set_role(&mut self, role: &Role, settings: Option<RoleSettings>) {
        let new = settings.map(Arc::new);
        match &new {
            Some(new) => self.state.roles.insert(role.clone(), new.clone()),
            None => self.state.roles.remove(role),
        };
        self.changes.push(Change::Role { role: role.clone(), new });
    }

    pub fn set_user(&mut self, uid: &str, user: Option<User>) {
        let new = user.map(Arc::new);
        match &new {
            Some(new) => self.state.users.insert(uid.to_owned(), new.clone()),
            None => self.state.users.remove(uid),
        };
        self.changes.push(Change::User { uid: uid.to_owned(), new });
    }

    pub fn put_invitation(&mut self, invitation: Invitation) {
        let (digest, new) = (invitation.digest, Arc::new(invitation));
        self.state.invitations.insert(digest, new.clone());
        self.changes.push(Change::Invitation { digest, new: Some(new) });
    }

    pub fn remove_invitation(&mut self, digest: &Digest) {
        if self.state.invitations.remove(digest).is_some() {
            self.changes.push(Change::Invitation { digest: *digest, new: None });
        }
    }

    pub fn put_past(&mut self, past: Past) {
        let (revision, new) = (past.revision, Arc::new(past));
        self.state.past.insert(revision, new.clone());
        self.changes.push(Change::Past { revision, new: Some(new) });
    }

    pub fn remove_past(&mut self, revision: u64) {
        if self.state.past.remove(&revision).is_some() {
            self.changes.push(Change::Past { revision, new: None });
        }
    }

    pub fn put_certificate(&mut self, certificate: Certificate) {
        let (node, serial) = (certificate.node.clone(), certificate.serial.clone());
        let new = Arc::new(certificate);
        self.state.certificates.insert((node.clone(), serial.clone()), new.clone());
        self.changes.push(Change::Certificate { node, serial, new: Some(new) });
    }

    pub fn remove_certificate(&mut self, certificate: &Certificate) {
        let (node, serial) = (certificate.node.clone(), certificate.serial.clone());
        if self.state.certificates.remove(&(node.clone(), serial.clone())).is_some() {
            self.changes.push(Change::Certificate { node, serial, new: None });
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
            || state.index.by_app.contains_key(app)
            || state.index.locks.contains_key(app)
        {
            return;
        }
        let versions: Vec<Timestamp> = state.versions_of(app).map(|s| s.version).collect();
        self.state.index.touched.remove(app);
        for version in versions {
            self.remove_spec(app, version);
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
    let apps = state.apps.keys().chain(index.by_app.keys()).chain(index.locks.keys());
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
        if new.is_none_or(|n| n.app != old.app) {
            remove_member(&mut index.by_app, &old.app, &old.id);
        }
        if is_present(old) {
            count_present(index, &old.app, false);
        }
        if old.waits_for_place() {
            remove_member(&mut index.waiting, &old.app, &old.id);
        }
        if let Some(placement) = old.placement()
            && new.is_none_or(|n| n.placement() != Some(placement))
        {
            remove_member(&mut index.by_node, &placement.node, &old.id);
            if let Some(used) = index.used.get_mut(&placement.node) {
                used.sub(&placement.allocation);
                if used.is_empty() {
                    index.used.remove(&placement.node);
                }
            }
        }
    }
    if let Some(new) = new {
        if old.is_none_or(|o| o.app != new.app) {
            index.by_app.entry(new.app.clone()).or_default().insert(new.id.clone());
        }
        if is_present(new) {
            count_present(index, &new.app, true);
        }
        if new.waits_for_place() {
            index.waiting.entry(new.app.clone()).or_default().insert(new.id.clone());
        }
        if let Some(placement) = new.placement()
            && old.is_none_or(|o| o.placement() != Some(placement))
        {
            index.by_node.entry(placement.node.clone()).or_default().insert(new.id.clone());
            index.used.entry(placement.node.clone()).or_default().add(&placement.allocation);
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

fn remove_member<K: Ord + Clone>(
    map: &mut imbl::OrdMap<K, OrdSet<InstanceId>>,
    key: &K,
    id: &InstanceId,
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
        app.spec.ports().map(|p| p.service_port).filter(|p| *p != 0).collect()
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
