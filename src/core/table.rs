//! The tables of the state as rows of bytes: which row a change touches, what stands in it, and
//! how a state is put together again from rows.
//!
//! A row's value is a version byte and then postcard. Keys are unique within a table; their bytes
//! need not sort in any order.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::{apply::reindex, change::Change, state::State};
use crate::model::path::AppId;

/// Version of the row format. A change of any stored type needs a new number and an upgrade
/// function in `State::load_row`.
const ROW_VERSION: u8 = 1;

/// Names one row: a table and a key in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RowKey {
    pub table: Table,
    pub key: Vec<u8>,
}

/// The tables. The numbers are stored; never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Table {
    /// One row: revision and highest time.
    Head = 0,
    Cluster = 1,
    Group = 2,
    App = 3,
    Spec = 4,
    Instance = 5,
    Node = 6,
    Deployment = 7,
    Delay = 8,
    Role = 9,
    User = 10,
    Request = 11,
    Invitation = 12,
    Certificate = 13,
    Past = 14,
}

impl Table {
    const ALL: [Self; 15] = [
        Self::Head,
        Self::Cluster,
        Self::Group,
        Self::App,
        Self::Spec,
        Self::Instance,
        Self::Node,
        Self::Deployment,
        Self::Delay,
        Self::Role,
        Self::User,
        Self::Request,
        Self::Invitation,
        Self::Certificate,
        Self::Past,
    ];

    /// The table with this stored number.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|t| *t as u8 == byte)
    }
}

/// A row that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    #[error("table {0:?} holds a row of version {1}; this program reads up to {ROW_VERSION}")]
    Version(Table, u8),
    #[error("table {0:?} holds a broken row")]
    Broken(Table, #[source] postcard::Error),
    #[error("table {0:?} holds an empty row")]
    Empty(Table),
}

impl RowKey {
    fn of<K: Serialize + ?Sized>(table: Table, key: &K) -> Self {
        Self { table, key: encode(key) }
    }

    /// The row of revision and time; it changes with every command.
    pub fn head() -> Self {
        Self { table: Table::Head, key: Vec::new() }
    }

    /// The row of a remembered request.
    pub fn request(revision: u64) -> Self {
        Self::of(Table::Request, &revision)
    }
}

impl Change {
    /// The row this change touches.
    pub fn row(&self) -> RowKey {
        match self {
            Self::Cluster(_) => RowKey { table: Table::Cluster, key: Vec::new() },
            Self::Group { id, .. } => RowKey::of(Table::Group, id),
            Self::App { id, .. } => RowKey::of(Table::App, id),
            Self::Spec { id, version, .. } => RowKey::of(Table::Spec, &(id, version)),
            Self::Instance { id, .. } => RowKey::of(Table::Instance, id),
            Self::Node { id, .. } => RowKey::of(Table::Node, id),
            Self::Deployment { id, .. } => RowKey::of(Table::Deployment, id),
            Self::Delay { app, .. } => RowKey::of(Table::Delay, app),
            Self::Role { role, .. } => RowKey::of(Table::Role, role),
            Self::User { uid, .. } => RowKey::of(Table::User, uid),
            Self::Invitation { digest, .. } => RowKey::of(Table::Invitation, digest),
            Self::Certificate { node, serial, .. } => {
                RowKey::of(Table::Certificate, &(node, serial))
            }
            Self::Past { revision, .. } => RowKey::of(Table::Past, revision),
        }
    }

    /// The row's new value; `None` deletes it.
    pub fn value(&self) -> Option<Vec<u8>> {
        match self {
            Self::Cluster(new) => Some(versioned(&**new)),
            Self::Group { new, .. } => new.as_deref().map(versioned),
            Self::App { new, .. } => new.as_deref().map(versioned),
            Self::Spec { new, .. } => new.as_deref().map(versioned),
            Self::Instance { new, .. } => new.as_deref().map(versioned),
            Self::Node { new, .. } => new.as_deref().map(versioned),
            Self::Deployment { new, .. } => new.as_deref().map(versioned),
            Self::Delay { new, .. } => new.as_deref().map(versioned),
            Self::Role { new, .. } => new.as_deref().map(versioned),
            Self::User { new, .. } => new.as_deref().map(versioned),
            Self::Invitation { new, .. } => new.as_deref().map(versioned),
            Self::Certificate { new, .. } => new.as_deref().map(versioned),
            Self::Past { new, .. } => new.as_deref().map(versioned),
        }
    }
}

impl State {
    /// The rows that belong to no `Change`: the head, and the latest remembered request with the
    /// one that fell out of the bounded table. Written after every applied command.
    pub fn head_rows(&self) -> Vec<(RowKey, Option<Vec<u8>>)> {
        let mut rows = vec![(RowKey::head(), Some(versioned(&(self.revision, self.at))))];
        if let Some(request) = self.requests.get(&self.revision) {
            rows.push((RowKey::request(self.revision), Some(versioned(request))));
        }
        if let Some(dropped) = self.index.dropped_request {
            rows.push((RowKey::request(dropped), None));
        }
        rows
    }

    /// Every row of the state, for a copy of the whole.
    pub fn rows(&self) -> impl Iterator<Item = (RowKey, Vec<u8>)> + '_ {
        let head = [(RowKey::head(), versioned(&(self.revision, self.at)))];
        let cluster = self
            .cluster
            .iter()
            .map(|c| (RowKey { table: Table::Cluster, key: Vec::new() }, versioned(&**c)));
        head.into_iter()
            .chain(cluster)
            .chain(rows_of(Table::Group, &self.groups))
            .chain(rows_of(Table::App, &self.apps))
            .chain(rows_of(Table::Spec, &self.specs))
            .chain(rows_of(Table::Instance, &self.instances))
            .chain(rows_of(Table::Node, &self.nodes))
            .chain(rows_of(Table::Deployment, &self.deployments))
            .chain(rows_of(Table::Delay, &self.delays))
            .chain(rows_of(Table::Role, &self.roles))
            .chain(rows_of(Table::User, &self.users))
            .chain(rows_of(Table::Invitation, &self.invitations))
            .chain(rows_of(Table::Certificate, &self.certificates))
            .chain(rows_of(Table::Past, &self.past))
            .chain(self.requests.iter().map(|(k, v)| (RowKey::request(*k), versioned(v))))
    }

    /// Takes one row in. Call `finish_load` after the last.
    ///
    /// # Errors
    /// When the row is of a newer format or broken; the state must then not be used.
    pub fn load_row(&mut self, key: &RowKey, value: &[u8]) -> Result<(), RowError> {
        let t = key.table;
        match t {
            Table::Head => (self.revision, self.at) = decode(t, value)?,
            Table::Cluster => self.cluster = Some(Arc::new(decode(t, value)?)),
            Table::Group => {
                let group: super::state::Group = decode(t, value)?;
                self.groups.insert(group.id.clone(), Arc::new(group));
            }
            Table::App => {
                let app: super::state::App = decode(t, value)?;
                self.apps.insert(app.id.clone(), Arc::new(app));
            }
            Table::Spec => {
                let spec: crate::model::WorkloadSpec = decode(t, value)?;
                self.specs.insert((spec.id.clone(), spec.version), Arc::new(spec));
            }
            Table::Instance => {
                let instance: crate::model::Instance = decode(t, value)?;
                self.instances.insert(instance.id.clone(), Arc::new(instance));
            }
            Table::Node => {
                let node: crate::model::Node = decode(t, value)?;
                self.nodes.insert(node.id().clone(), Arc::new(node));
            }
            Table::Deployment => {
                let deployment: crate::model::Deployment = decode(t, value)?;
                self.deployments.insert(deployment.id.clone(), Arc::new(deployment));
            }
            Table::Delay => {
                let app: AppId = key_of(t, key)?;
                self.delays.insert(app, Arc::new(decode(t, value)?));
            }
            Table::Role => {
                let role: crate::model::access::RoleSettings = decode(t, value)?;
                self.roles.insert(role.role.clone(), Arc::new(role));
            }
            Table::User => {
                let user: crate::model::access::User = decode(t, value)?;
                self.users.insert(user.uid.clone(), Arc::new(user));
            }
            Table::Invitation => {
                let invitation: crate::model::credential::Invitation = decode(t, value)?;
                self.invitations.insert(invitation.digest, Arc::new(invitation));
            }
            Table::Certificate => {
                let certificate: crate::model::credential::Certificate = decode(t, value)?;
                let key = (certificate.node.clone(), certificate.serial.clone());
                self.certificates.insert(key, Arc::new(certificate));
            }
            Table::Past => {
                let past: super::past::Past = decode(t, value)?;
                self.past.insert(past.revision, Arc::new(past));
            }
            Table::Request => {
                let revision: u64 = key_of(t, key)?;
                self.requests.insert(revision, decode(t, value)?);
            }
        }
        Ok(())
    }

    /// Shares what rows store twice and rebuilds the indexes.
    pub fn finish_load(&mut self) {
        let apps: Vec<_> = self.apps.values().cloned().collect();
        for app in apps {
            let key = (app.id.clone(), app.spec.version);
            if let Some(spec) = self.specs.get(&key).filter(|s| ***s == *app.spec) {
                let shared = super::state::App { spec: spec.clone(), ..(*app).clone() };
                self.apps.insert(app.id.clone(), Arc::new(shared));
            }
        }
        self.share_past();
        reindex(self);
    }

    /// A number that differs, with near certainty, between different states.
    pub fn fingerprint(&self) -> u64 {
        let mut low = crc32fast::Hasher::new();
        let mut high = crc32fast::Hasher::new_with_initial(0x7e90_1a7a);
        for (key, value) in self.rows() {
            for hash in [&mut low, &mut high] {
                hash.update(&[key.table as u8]);
                hash.update(&key.key);
                hash.update(&value);
            }
        }
        u64::from(high.finalize()) << 32 | u64::from(low.finalize())
    }
}

fn rows_of<'a, K: Serialize + Ord + 'a, V: Serialize + 'a>(
    table: Table,
    map: &'a imbl::OrdMap<K, Arc<V>>,
) -> impl Iterator<Item = (RowKey, Vec<u8>)> + 'a {
    map.iter().map(move |(k, v)| (RowKey::of(table, k), versioned(&**v)))
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("stored types hold nothing that postcard cannot write")
}

fn versioned<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![ROW_VERSION])
        .expect("stored types hold nothing that postcard cannot write")
}

fn decode<T: DeserializeOwned>(table: Table, bytes: &[u8]) -> Result<T, RowError> {
    let (version, rest) = bytes.split_first().ok_or(RowError::Empty(table))?;
    if *version != ROW_VERSION {
        return Err(RowError::Version(table, *version));
    }
    postcard::from_bytes(rest).map_err(|e| RowError::Broken(table, e))
}

fn key_of<T: DeserializeOwned>(table: Table, key: &RowKey) -> Result<T, RowError> {
    postcard::from_bytes(&key.key).map_err(|e| RowError::Broken(table, e))
}
