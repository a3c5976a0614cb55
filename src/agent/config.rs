//! What an agent is told at its start.

use std::path::PathBuf;

use tokio::sync::watch;

use super::machine::resolver::Resolver;
use crate::{core::naming::known::Known, model::node::NodeInfo};

/// Settings of one agent.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Sandboxes, records and the fetcher's cache live below.
    pub data_dir: PathBuf,
    /// The cluster's id, also the value of the label on every container.
    pub cluster: String,
    /// Who the node is and what it has.
    pub info: NodeInfo,
    /// Id of the framework apps belong to, as tasks see it.
    pub framework: String,
    /// `host:port` of the agent's HTTP address, as tasks see it.
    pub endpoint: Option<String>,
    /// The name server containers are given.
    pub resolver: Resolver,
    /// Domains that containers look a short name up in.
    pub dns_search: Vec<String>,
    /// Where the cluster's names go that the leader tells; nothing before the first whole set.
    pub names: watch::Sender<Option<Known>>,
    /// User of plain commands that name none; `None`: the agent's own.
    pub default_user: Option<String>,
    /// How long dead containers and their sandboxes are kept while there is room.
    pub keep: std::time::Duration,
}
