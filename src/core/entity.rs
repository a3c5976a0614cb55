//! The kinds of entities a state holds: one line each gives a kind its field, its table, its rows, its
//! change and the way `apply` writes it.
//!
//! A new kind needs its line here, its type and its shape (ARCHITECTURE.md, "How to add").

use std::sync::Arc;

use imbl::OrdMap;

use super::{
    backoff::Delay,
    change::End,
    command::{Outcome, RequestId},
    past::Past,
    state::{App, Cluster, Group, Index},
    table::{FIRST_VERSION, RowError, RowKey, load, row_key, row_value},
};
use crate::{
    base::clock::Timestamp,
    model::{
        access::{Role, RoleSettings, User},
        credential::{Certificate, Digest, Invitation, Serial},
        deployment::{Deployment, DeploymentId},
        instance::{Instance, InstanceId},
        master::Master,
        node::{Node, NodeId},
        path::{AppId, GroupId, PathId},
        volume::{Volume, VolumeId},
        workload::{TaskSpec, WorkloadSpec},
    },
};

/// Something of which a state holds many, each under a key.
pub trait Entity: Sized {
    type Key: Ord + Clone;

    /// All of the kind.
    fn all(state: &mut State) -> &mut OrdMap<Self::Key, Arc<Self>>;

    /// What tells followers that one became another.
    fn change(id: Self::Key, old: Option<Arc<Self>>, new: Option<Arc<Self>>) -> Change;
}

/// An entity that no index knows of: writing it is all there is to do.
pub trait Plain: Entity {}

macro_rules! plain {
    ($($value:ty),*) => { $(impl Plain for $value {})* };
}

plain!(
    Group,
    WorkloadSpec,
    TaskSpec,
    Delay,
    RoleSettings,
    User,
    Invitation,
    Certificate,
    Past,
    Master
);

/// Lists the kinds: the number of the table, the name of table and change, key and value, the field of
/// the state, the version of the rows' shape, and how a loaded value's key is found. The numbers are
/// stored: never use one again. `with` adds what only one kind tells of a change.
macro_rules! entities {
    ($(
        $(#[$of_field:meta])*
        $number:literal $name:ident($key:ty => $value:ty) in $field:ident v $version:literal
        by $key_of:expr $(, with { $($(#[$about:meta])* $extra:ident: Option<$of:ty>),* })?;
    )*) => {
        /// Everything the cluster has agreed on.
        #[derive(Clone, Debug, Default)]
        pub struct State {
            /// Index of the last applied command, counted from 1; the number the change feed goes by.
            pub revision: u64,
            /// The latest time any command carried.
            pub at: Timestamp,
            pub cluster: Option<Arc<Cluster>>,
            $($(#[$of_field])* pub $field: OrdMap<$key, Arc<$value>>,)*
            /// Outcomes of the latest commands that carried a request id, by revision.
            pub requests: OrdMap<u64, (RequestId, Outcome)>,
            /// Derived from the tables above; rebuilt on load.
            pub index: Index,
        }

        /// The tables.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Table {
            /// One row: revision and highest time.
            Head = 0,
            /// One row.
            Cluster = 1,
            /// Remembered outcomes, by revision.
            Request = 11,
            $($name = $number,)*
        }

        impl Table {
            #[cfg(test)]
            pub const ALL: &'static [Self] =
                &[Self::Head, Self::Cluster, Self::Request, $(Self::$name),*];

            /// The table with this stored number.
            pub(super) fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    0 => Some(Self::Head),
                    1 => Some(Self::Cluster),
                    11 => Some(Self::Request),
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The version its rows are written in.
            pub(super) fn version(self) -> u8 {
                match self {
                    Self::Head | Self::Cluster | Self::Request => FIRST_VERSION,
                    $(Self::$name => $version,)*
                }
            }
        }

        /// One entity before and after a command. It may change several times in one; each is told,
        /// in order.
        #[derive(Clone, Debug)]
        pub enum Change {
            Cluster(Arc<Cluster>),
            $($name {
                id: $key,
                old: Option<Arc<$value>>,
                new: Option<Arc<$value>>,
                $($($(#[$about])* $extra: Option<$of>,)*)?
            },)*
        }

        impl Change {
            /// The row this change touches.
            pub fn row(&self) -> RowKey {
                match self {
                    Self::Cluster(_) => vec![Table::Cluster as u8],
                    $(Self::$name { id, .. } => row_key(Table::$name, id),)*
                }
            }

            /// The row's new value; `None` deletes it.
            pub fn value(&self) -> Option<Vec<u8>> {
                match self {
                    Self::Cluster(new) => Some(row_value(Table::Cluster, &**new)),
                    $(Self::$name { new, .. } => {
                        new.as_ref().map(|value| row_value(Table::$name, &**value))
                    })*
                }
            }
        }

        $(impl Entity for $value {
            type Key = $key;

            fn all(state: &mut State) -> &mut OrdMap<$key, Arc<Self>> {
                &mut state.$field
            }

            fn change(id: $key, old: Option<Arc<Self>>, new: Option<Arc<Self>>) -> Change {
                Change::$name { id, old, new $($(, $extra: None)*)? }
            }
        })*

        impl State {
            /// The rows of all entities.
            pub(super) fn entities(&self) -> impl Iterator<Item = (RowKey, Vec<u8>)> + '_ {
                let rows = std::iter::empty();
                $(let rows = rows.chain(self.$field.iter().map(|(key, value)| {
                    (row_key(Table::$name, key), row_value(Table::$name, &**value))
                }));)*
                rows
            }

            pub(super) fn load_entity(
                &mut self,
                table: Table,
                key: &[u8],
                value: &[u8],
            ) -> Result<(), RowError> {
                match table {
                    Table::Head | Table::Cluster | Table::Request => {}
                    $(Table::$name => load(&mut self.$field, table, key, value, $key_of)?,)*
                }
                Ok(())
            }
        }
    };
}

entities! {
    2 Group(GroupId => Group) in groups v 2 by |group, _| group.id.clone();
    3 App(AppId => App) in apps v 2 by |app, _| app.id.clone();
    /// Every kept version of every workload, also of removed ones that still have instances.
    4 Spec((AppId, Timestamp) => WorkloadSpec) in specs v 2
        by |spec, _| (spec.id.clone(), spec.version);
    5 Instance(InstanceId => Instance) in instances v 2 by |instance, _| instance.id.clone();
    6 Node(NodeId => Node) in nodes v 2 by |node, _| node.id().clone();
    7 Deployment(DeploymentId => Deployment) in deployments v 2
        by |deployment, _| deployment.id.clone(), with {
            /// Set when `new` is `None`.
            end: Option<End>
        };
    8 Delay(AppId => Delay) in delays v 2 by |_, key| PathId::parse(&String::from_utf8_lossy(key));
    9 Role(Role => RoleSettings) in roles v 2 by |role, _| role.role.clone();
    10 User(String => User) in users v 2 by |user, _| user.uid.clone();
    /// Invitations of nodes, by the hash of their secret; the used ones stay until they expire.
    12 Invitation(Digest => Invitation) in invitations v 2 by |invitation, _| invitation.digest;
    /// Certificates of nodes that have not expired. One that is not here is not good.
    13 Certificate((NodeId, Serial) => Certificate) in certificates v 2
        by |certificate, _| (certificate.node.clone(), certificate.serial.clone());
    /// What the latest changes of workloads and groups found, by revision.
    14 Past(u64 => Past) in past v 2 by |past, _| past.revision;
    /// Masters by their number.
    15 Master(u64 => Master) in masters v 2 by |master, _| master.id;
    /// What instances run that belong to no workload; each goes with its instance.
    16 Task(InstanceId => TaskSpec) in tasks v 2
        by |_, key| InstanceId::from(&*String::from_utf8_lossy(key));
    /// What instances keep on nodes, and what is still to be removed there. From level `level::VOLUMES` on.
    17 Volume(VolumeId => Volume) in volumes v 2 by |volume, _| volume.id.clone();
}
