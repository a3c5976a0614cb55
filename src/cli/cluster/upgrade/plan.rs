//! Whether a cluster may be upgraded, in which order, and when a node is well again. Pure: from what hosts and
//! the cluster say of themselves.
//!
//! Masters come first, so that what agents are told is of the newer build at once; the leading one last among
//! them, so that it hands over once; public agents at the very end, as strangers see them. What a host runs
//! decides whether it is done, so that a second run goes on.

use super::{
    super::wanted::Host,
    seen::{Master, Node, Part, Seen},
};
use crate::{base::units::count, node::config::NodeRole};

/// A follower that lacks so many entries is in step: changes come all the time.
const BEHIND_MAX: u64 = 64;
/// A master that was not heard for so long is not there.
const SILENT_MAX_MS: u64 = 2_000;
/// Beside two more programs of its size, what has to be free where programs lie.
const ROOM_MIN_KIB: u64 = 128 << 10;

/// The program that nodes get, as far as a decision needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub sum: String,
    pub n_bytes: u64,
}

/// What a program says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub release: String,
    /// Older releases do not say which level they can do.
    pub level: Option<u64>,
}

impl Version {
    /// From what `tepui --version` prints.
    pub fn read(said: &str) -> Option<Self> {
        let rest = said.lines().last()?.strip_prefix("tepui ")?;
        let (release, more) = rest.split_once(' ').unwrap_or((rest, ""));
        let level = more.strip_prefix("(level ").and_then(|text| text.strip_suffix(')'));
        let level = level.and_then(|text| text.parse().ok());
        Some(Self { release: release.to_owned(), level })
    }

    pub fn words(&self) -> String {
        match self.level {
            Some(level) => format!("tepui {}, level {level}", self.release),
            None => format!("tepui {}", self.release),
        }
    }
}

/// What is known of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub host: Host,
    pub joined: bool,
    /// The SHA-256 of the program that runs there.
    pub program: Option<String>,
    pub node: Option<String>,
    pub room_kib: u64,
}

impl Known {
    pub fn is_done(&self, build: &Build) -> bool {
        self.program.as_deref() == Some(&build.sum)
    }
}

/// What stands in the way of an upgrade, and what is only to be known.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub bad: Vec<String>,
    pub notes: Vec<String>,
}

/// Looks at the whole before anything is changed.
pub fn preflight(seen: &Seen, hosts: &[Known], build: &Build) -> Found {
    let mut found = Found::default();
    for known in hosts {
        found.bad.extend(of_host(seen, known, build).map(|text| format!("{}: {text}", known.host)));
    }
    let listed = |is: &dyn Fn(&Known) -> bool| hosts.iter().any(is);
    for master in &seen.masters {
        if let Some(text) = away(master) {
            found.bad.push(format!("{}: {text}", master.name()));
        }
        if !listed(&|known| Some(known.host.address) == master.address) {
            found.notes.push(format!("{} is not listed and stays as it is", master.name()));
        }
    }
    for node in &seen.nodes {
        let is_it = |known: &Known| seen.node(known.host, known.node.as_deref()) == Some(node);
        if !listed(&is_it) {
            found.notes.push(format!("node {} is not listed and stays as it is", node.host));
        }
    }
    let n_voters = seen.n_voters();
    if seen.leader().is_none() {
        found.bad.push("no master leads".to_owned());
    } else if n_voters < 3 {
        let who = if n_voters == 1 { "one master decides" } else { "two masters decide" };
        found.notes.push(format!("{who}: while it is started again nothing can be changed"));
    }
    found
}

/// What of one host stands in the way.
fn of_host(seen: &Seen, known: &Known, build: &Build) -> Option<String> {
    if !known.joined {
        return Some("no node of a cluster is there; tepui cluster install makes one".to_owned());
    }
    if known.program.is_none() {
        return Some("its node does not run".to_owned());
    }
    let wanted_kib = 2 * build.n_bytes / 1024 + ROOM_MIN_KIB;
    if !known.is_done(build) && known.room_kib < wanted_kib {
        let (free, wanted) = (known.room_kib >> 10, wanted_kib >> 10);
        return Some(format!("{free} MiB free below /usr/local, {wanted} are needed"));
    }
    if known.host.role == NodeRole::Master {
        return seen.master(known.host).is_none().then(|| "its cluster has no such master".into());
    }
    match seen.node(known.host, known.node.as_deref()) {
        None => Some("its cluster has no such node".to_owned()),
        Some(node) if is_heard(node) => None,
        Some(node) => Some(format!("it is {}", node.condition)),
    }
}

fn is_heard(node: &Node) -> bool {
    ["active", "draining", "drained", "deactivated"].contains(&node.condition.as_str())
}

/// Why a master cannot be counted on; `None` when it can.
fn away(master: &Master) -> Option<String> {
    if master.part == Part::Outside {
        return Some("it has no part in the log".to_owned());
    }
    if let Some(ms) = master.silent_ms.filter(|ms| *ms > SILENT_MAX_MS) {
        return Some(format!("not heard for {} s", ms / 1000));
    }
    // The one that leads lacks nothing.
    match (master.part, master.behind) {
        (Part::Leads, _) => None,
        (_, Some(behind)) if behind <= BEHIND_MAX => None,
        (_, Some(behind)) => Some(format!("it lacks {behind} entries")),
        (_, None) => Some("it has not answered yet".to_owned()),
    }
}

/// Whether a program can be brought to a cluster at this level.
pub fn check_version(version: &Version, cluster: u64) -> Result<(), String> {
    match version.level {
        Some(level) if level < cluster => Err(format!(
            "{} can do level {level}, and the cluster is at level {cluster}: it would not be let in",
            version.words()
        )),
        _ => Ok(()),
    }
}

/// Nodes that are started anew at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    pub what: What,
    pub hosts: Vec<Host>,
}

/// What they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Follower,
    Leader,
    Agents,
    PublicAgents,
}

impl What {
    pub fn words(self) -> &'static str {
        match self {
            Self::Follower => "a master that follows",
            Self::Leader => "the leading master, which hands over",
            Self::Agents => "agents",
            Self::PublicAgents => "public agents",
        }
    }
}

/// What is next, given which hosts are not done yet and where the leader is.
pub fn next(left: &[Host], leader: Option<Host>, batch: usize) -> Option<Wave> {
    let of = |role: NodeRole| left.iter().copied().filter(move |host| host.role == role);
    if let Some(host) = of(NodeRole::Master).find(|host| Some(*host) != leader) {
        return Some(Wave { what: What::Follower, hosts: vec![host] });
    }
    if let Some(host) = of(NodeRole::Master).next() {
        return Some(Wave { what: What::Leader, hosts: vec![host] });
    }
    for (role, what) in
        [(NodeRole::Agent, What::Agents), (NodeRole::PublicAgent, What::PublicAgents)]
    {
        let hosts: Vec<Host> = of(role).take(batch.max(1)).collect();
        if !hosts.is_empty() {
            return Some(Wave { what, hosts });
        }
    }
    None
}

/// All of it, as it goes while the leader stays the same.
pub fn waves(left: &[Host], leader: Option<Host>, batch: usize) -> Vec<Wave> {
    let mut left = left.to_vec();
    let mut waves = Vec::new();
    while let Some(wave) = next(&left, leader, batch) {
        left.retain(|host| !wave.hosts.contains(host));
        waves.push(wave);
    }
    waves
}

/// What a master that was started anew still lacks; `None` once it does all it did before, and everybody else
/// does too.
pub fn master_lacks(before: &Seen, now: &Seen, host: Host, version: &Version) -> Option<String> {
    let Some(row) = now.master(host) else {
        return Some("the cluster does not know it".to_owned());
    };
    if row.release != version.release || version.level.is_some_and(|level| level != row.level) {
        return Some(format!("it says it is tepui {}, level {}", row.release, row.level));
    }
    if let Some(text) = away(row) {
        return Some(text);
    }
    let decided = before.master(host).is_some_and(Master::decides);
    if decided && !row.decides() {
        return Some("it does not decide any more".to_owned());
    }
    if now.leader().is_none() {
        return Some("no master leads".to_owned());
    }
    // Who was there before is to be there again: the next one is started only then.
    for master in before.masters.iter().filter(|master| away(master).is_none()) {
        // One that was removed meanwhile is missed by nobody.
        let row = now.masters.iter().find(|row| row.id == master.id);
        if let Some((row, text)) = row.and_then(|row| Some((row, away(row)?))) {
            return Some(format!("{}: {text}", row.name()));
        }
    }
    for node in before.nodes.iter().filter(|node| is_heard(node)) {
        let row = now.nodes.iter().find(|row| row.id == node.id);
        if let Some(row) = row.filter(|row| !is_heard(row)) {
            return Some(format!("node {} is {}", row.host, row.condition));
        }
    }
    None
}

/// Tasks of a node: what ran before it was started anew, what its engine and what the cluster say now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tasks {
    /// Containers, with the instance each is of.
    pub before: Vec<(String, String)>,
    pub containers: Vec<(String, String)>,
    /// Instances that the cluster says run there.
    pub running: Vec<String>,
    /// Instances whose end has a cause of its own: somebody's word, or their own exit.
    pub ended: Vec<String>,
}

/// What an agent that was started anew still lacks.
pub fn agent_lacks(before: &Node, now: Option<&Node>, version: &Version) -> Option<String> {
    let Some(row) = now else { return Some("the cluster does not know it".to_owned()) };
    let is_other = |level: u64| version.level.is_some_and(|wanted| wanted != level);
    if row.release != version.release || row.level.is_some_and(is_other) {
        let level = row.level.map(|level| format!(", level {level}")).unwrap_or_default();
        return Some(format!("the masters know it as tepui {}{level}", row.release));
    }
    (row.condition != before.condition && !is_heard(row))
        .then(|| format!("it is {}", row.condition))
}

/// What is wrong with its tasks: what is not told yet, which may come, and what is gone, which does not.
pub fn tasks_lack(tasks: &Tasks) -> Result<Option<String>, String> {
    let is_there = |id: &str| tasks.containers.iter().any(|(there, _)| there == id);
    let gone: Vec<&str> = tasks
        .before
        .iter()
        .filter(|(id, instance)| !is_there(id) && !tasks.ended.contains(instance))
        .map(|(_, instance)| instance.as_str())
        .collect();
    if !gone.is_empty() {
        let n = count(gone.len(), "task");
        return Err(format!("{n} ended while it was started anew: {}", gone.join(", ")));
    }
    let untold: Vec<&str> = tasks
        .before
        .iter()
        .filter(|(id, instance)| is_there(id) && !tasks.running.contains(instance))
        .map(|(_, instance)| instance.as_str())
        .collect();
    Ok((!untold.is_empty()).then(|| format!("it has not told of {}", untold.join(", "))))
}

#[cfg(test)]
mod tests;
