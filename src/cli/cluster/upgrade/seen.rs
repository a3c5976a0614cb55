//! What the cluster says of itself, as the one that rolls an upgrade out needs it.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::super::wanted::Host;
use crate::cli::text::{field, list};

/// A master as the leading one sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    pub id: u64,
    pub address: Option<Ipv4Addr>,
    pub part: Part,
    /// Entries it lacks; nothing where nobody knows.
    pub behind: Option<u64>,
    /// Since it was last heard; nothing of the one that answers.
    pub silent_ms: Option<u64>,
    pub release: String,
    pub level: u64,
}

/// What part of the log it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Leads,
    Decides,
    Follows,
    Outside,
}

/// A node that runs tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub id: String,
    pub host: String,
    pub address: String,
    pub condition: String,
    pub release: String,
    /// Nothing where the masters are of a release that does not tell it.
    pub level: Option<u64>,
}

/// The cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    pub masters: Vec<Master>,
    pub nodes: Vec<Node>,
    /// What all of it can do, by its own word.
    pub level: u64,
}

impl Seen {
    /// From the answers of `tepui master list`, `tepui node list` and `tepui cluster show`.
    pub fn read(masters: &Value, nodes: &Value, level: &Value) -> Self {
        let rows = |told: &Value| told.as_array().cloned().unwrap_or_default();
        Self {
            masters: rows(masters).iter().map(Master::read).collect(),
            nodes: rows(nodes).iter().map(Node::read).collect(),
            level: level["level"].as_u64().unwrap_or(0),
        }
    }

    pub fn master(&self, host: Host) -> Option<&Master> {
        self.masters.iter().find(|master| master.address == Some(host.address))
    }

    /// The node of a host, by the id that its program tells or else by where it is.
    pub fn node(&self, host: Host, id: Option<&str>) -> Option<&Node> {
        let by_id = self.nodes.iter().find(|node| Some(node.id.as_str()) == id);
        let address = host.address.to_string();
        by_id.or_else(|| self.nodes.iter().find(|node| node.address == address))
    }

    pub fn leader(&self) -> Option<&Master> {
        self.masters.iter().find(|master| master.part == Part::Leads)
    }

    /// How many masters decide.
    pub fn n_voters(&self) -> usize {
        self.masters.iter().filter(|master| master.decides()).count()
    }
}

impl Master {
    fn read(row: &Value) -> Self {
        let address = field(row, "peers").rsplit_once(':').map(|(host, _)| host);
        Self {
            id: row["id"].as_u64().unwrap_or(0),
            address: address.and_then(|address| address.parse().ok()),
            part: match field(row, "part") {
                "leads" => Part::Leads,
                "decides" => Part::Decides,
                "follows" => Part::Follows,
                _ => Part::Outside,
            },
            behind: row["behind"].as_u64(),
            silent_ms: row["silent_ms"].as_u64(),
            release: field(row, "release").to_owned(),
            level: row["level"].as_u64().unwrap_or(0),
        }
    }

    pub fn decides(&self) -> bool {
        matches!(self.part, Part::Leads | Part::Decides)
    }

    pub fn name(&self) -> String {
        let at = self.address.map_or_else(|| "?".to_owned(), |address| address.to_string());
        format!("master {} ({at})", self.id)
    }
}

impl Node {
    fn read(row: &Value) -> Self {
        Self {
            id: field(row, "id").to_owned(),
            host: field(row, "host").to_owned(),
            address: field(row, "address").to_owned(),
            condition: field(row, "condition").to_owned(),
            release: field(row, "version").to_owned(),
            level: row["level"].as_u64(),
        }
    }
}

/// The tasks that run on a node, as `tepui node show` lists them.
pub fn running(node: &Value) -> Vec<String> {
    let runs = |task: &&Value| field(task, "condition") == "running";
    list(node, "tasks").filter(runs).map(|task| field(task, "id").to_owned()).collect()
}
