//! How a node is doing, in a file of its data directory: for who upgrades it (`installer/install.sh`), and for
//! scripts.
//!
//! Lines of a word and what it is: the process, the node's id, its release and level, then each of its parts, `works` or
//! `waits:` with what for. A file of a process that is gone says nothing: whoever reads it compares `pid`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use super::{agent::Follow, bootstrap::write_private, config::Config};
use crate::{
    agent::Standing,
    base::{level::LEVEL, task::Tasks},
    core::State,
    log::{Contact, Log},
    model::node::NodeId,
};

/// How often it is looked whether something has changed.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The file below a node's data directory.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("health")
}

/// Keeps the file of a node with these parts.
pub fn start(
    config: &Config,
    node: NodeId,
    (log, mut agent): (Option<Log<State>>, Option<Follow>),
    tasks: &Tasks,
) {
    let path = path(&config.data_dir);
    tasks.connection("health", async move {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut written = String::new();
        loop {
            match &mut agent {
                // Of an agent every change is told; of a master what it hears of others is looked at.
                Some(agent) if log.is_none() && !written.is_empty() => {
                    if agent.changed().await.is_err() {
                        return; // it has ended
                    }
                }
                Some(_) | None => drop(ticks.tick().await),
            }
            let contact = log.as_ref().map(Log::contact);
            let standing = agent.as_mut().map(|agent| agent.borrow_and_update().clone());
            let text = text(std::process::id(), &node, contact.as_ref(), standing.as_ref());
            if text == written {
                continue;
            }
            let (to, bytes) = (path.clone(), text.clone());
            match tokio::task::spawn_blocking(move || write_private(&to, bytes)).await {
                Ok(Ok(())) => written = text,
                Ok(Err(error)) => {
                    tracing::warn!(error = format!("{error:#}"), "the file of its health");
                    written.clear(); // tried again at the next tick
                }
                Err(_) => return, // the runtime ends
            }
        }
    });
}

fn text(pid: u32, node: &NodeId, master: Option<&Contact>, agent: Option<&Standing>) -> String {
    let release = env!("CARGO_PKG_VERSION");
    let mut text = format!("pid {pid}\nnode {node}\nrelease {release}\nlevel {LEVEL}\n");
    if let Some(contact) = master {
        let does = match (contact.is_stale, contact.leader) {
            (false, Some(_)) => "works",
            (true, _) => "waits: it hears no majority of the masters",
            (false, None) => "waits: no master leads",
        };
        text += &format!("master {does}\n");
    }
    match agent {
        Some(Standing::Works) => text += "agent works\n",
        Some(Standing::Waits(why)) => text += &format!("agent waits: {}\n", why.replace('\n', " ")),
        None => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_works_or_says_what_it_waits_for() {
        let contact = |leader, is_stale| Contact { term: 1, leader, ago: None, is_stale };
        let part = |master: Option<Contact>, agent: Option<Standing>| {
            let node = NodeId::from("n-S1");
            let text = text(7, &node, master.as_ref(), agent.as_ref());
            assert!(text.starts_with("pid 7\nnode n-S1\nrelease "), "{text}");
            text.lines().skip(4).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(part(Some(contact(Some(2), false)), None), ["master works"]);
        assert_eq!(part(Some(contact(None, false)), None), ["master waits: no master leads"]);
        let lost = part(Some(contact(Some(1), true)), Some(Standing::Works));
        assert_eq!(lost, ["master waits: it hears no majority of the masters", "agent works"]);
        let waits = part(None, Some(Standing::Waits("no\nsocket".to_owned())));
        assert_eq!(waits, ["agent waits: no socket"]);
    }
}
