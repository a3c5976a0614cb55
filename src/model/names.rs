//! What the names of a cluster are made of, and how agents are told of it: each answers its own
//! containers, also while no master does.

use std::{net::IpAddr, sync::Arc};

use super::{instance::InstanceId, node::NodeId};
use crate::base::clock::Timestamp;

/// What names exist besides those of tasks, and how all of them are told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Realm {
    /// Every master, in the order of the cluster's list.
    pub masters: Vec<IpAddr>,
    pub leader: Option<IpAddr>,
    /// Every agent.
    pub agents: Vec<IpAddr>,
    /// Schedulers by name, with the address they listen on.
    pub frameworks: Vec<Scheduler>,
    /// The address of the node that answers, and the one the outside sees. Its own business: it is
    /// not sent.
    pub this_node: Option<IpAddr>,
    pub this_node_public: Option<IpAddr>,
    /// The name servers of the cluster.
    pub name_servers: Vec<IpAddr>,
    /// The API ports of masters and agents, as published for tools that look for Mesos.
    pub master_port: u16,
    pub agent_port: u16,
    pub rule: AddressRule,
    /// Life of every record, in seconds.
    pub ttl_secs: u32,
}

/// A scheduler's own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduler {
    pub name: String,
    pub host: IpAddr,
    pub port: u16,
}

/// Which address a task has in zone `mesos`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressRule {
    /// The one that can be reached: the agent's when a host port leads to the task or it has no
    /// address of its own, else its own. What the original documented.
    #[default]
    Reachable,
    /// Always the agent's, with the task's own IPv6 address beside it. What the original shipped.
    Agent,
}

/// The transport behind a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

/// A running task as names are made of it; `core::naming::NamedTask` says what each field means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskName {
    pub framework: String,
    pub name: String,
    pub is_discovered: bool,
    pub id: String,
    pub agent_id: NodeId,
    pub agent: IpAddr,
    pub own: Vec<IpAddr>,
    pub is_mapped: bool,
    pub host_ports: Vec<u16>,
    pub ports: Vec<NamedPort>,
}

/// A port a task announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPort {
    pub number: u16,
    pub name: Option<String>,
    /// Both when unknown.
    pub transport: Option<Transport>,
}

/// An instance's tasks that have names: one of an app, one for each container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub instance: InstanceId,
    pub tasks: Vec<TaskName>,
}

/// News of names for an agent: a part of the whole set, or a change of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub part: Part,
    /// Everything besides tasks, where it changed; always in the last part of a whole set.
    pub realm: Option<Box<Realm>>,
    pub put: Vec<Arc<Named>>,
    /// Instances whose tasks have no names any more.
    pub gone: Vec<InstanceId>,
    /// The cluster's time.
    pub at: Timestamp,
}

/// What a message about names is a part of. Parts of a whole set follow each other without a change
/// in between, and count once the last has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Not of a whole set: what is known changes.
    Change,
    First,
    Middle,
    Last,
    /// The whole set.
    Whole,
}
