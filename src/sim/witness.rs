//! The witness: what really became of nodes and leader, however their clocks and counts see it.
//!
//! | promise | checked |
//! |---|---|
//! | a node is called lost only after it was silent while the leader listened | at every such command |
//! | nothing wanted is forgotten because its node was called lost | the same |
//! | nothing is replaced before its node was away for `limit::REPLACE_AFTER` | at every expiry |
//! | a lost instance is forgotten only when the others are as many as wanted, and well | the same |
//! | a node that is heard is reachable, and its tasks with it | with the leader's timers |
//! | what an agent ends is not wanted any more by then | at every kill |

use std::{collections::BTreeMap, time::Duration};

use super::{
    oracle::is_well,
    world::{Ix, Who},
};
use crate::{
    agent::desired::{Key, Why},
    base::{clock::Timestamp, limit},
    core::{Command, NodeCommand, State, TaskCommand, change::Change},
    model::{
        instance::{Goal, Instance},
        node::NodeId,
    },
};

/// Least silence for which a node may be called lost: a broken connection's.
const LOST_AFTER: Duration = Duration::from_secs(2);
/// Messages, timers and commits in between: what was true a moment ago.
const SLACK: Duration = Duration::from_millis(1_500);
/// A node that is heard for this long is reachable, and its tasks are what they were.
const RETURNED: Duration = Duration::from_secs(4);

/// Remembers when things were really well.
#[derive(Debug, Default)]
pub struct Witness {
    nodes: BTreeMap<Ix, Contact>,
    /// The leader was stopped or its disk stood still.
    leader_well_since: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Contact {
    /// Last seen to be well.
    last: Timestamp,
    /// Well without a break since.
    since: Option<Timestamp>,
}

impl Witness {
    /// Somebody begins to stand still.
    pub fn disturbed(&mut self, now: Timestamp, who: Who) {
        match who {
            Who::Node(ix) => self.saw(ix, false, now),
            Who::Leader | Who::Log => {
                self.leader_well_since = now;
                for contact in self.nodes.values_mut() {
                    contact.since = None;
                }
            }
        }
    }

    /// Whether a node talks to a leader that listens, seen with the leader's timers.
    pub fn saw(&mut self, ix: Ix, is_well: bool, now: Timestamp) {
        let contact = self.nodes.entry(ix).or_insert(Contact { last: now, since: None });
        if is_well {
            contact.last = now;
            contact.since.get_or_insert(now);
        } else {
            contact.since = None;
        }
    }

    /// How long a node was really away.
    fn away(&self, ix: Ix, now: Timestamp) -> Duration {
        self.nodes.get(&ix).map_or(Duration::MAX, |c| now.since(c.last))
    }

    /// What is wrong with a command that was committed at `now`.
    pub fn judge(
        &self,
        command: &Command,
        changes: &[Change],
        before: &State,
        by_id: &BTreeMap<NodeId, Ix>,
        now: Timestamp,
    ) -> Option<String> {
        let away = |node: &NodeId| by_id.get(node).map_or(Duration::MAX, |ix| self.away(*ix, now));
        match command {
            Command::Node(NodeCommand::NodeReach { node, reachable: false })
                if !changes.is_empty() =>
            {
                let away = away(node);
                if away + SLACK < LOST_AFTER {
                    return Some(format!("{node} was called lost after {away:?}"));
                }
                let forgotten = |c: &Change| match c {
                    Change::Instance { id, old: Some(old), new: None } => {
                        (old.goal == Goal::Running).then(|| id.clone())
                    }
                    _ => None,
                };
                let id = changes.iter().find_map(forgotten)?;
                Some(format!("{id} was forgotten when {node} was called lost"))
            }
            Command::Task(TaskCommand::Expire { .. }) => changes.iter().find_map(|change| {
                let Change::Instance { id, old: Some(old), new } = change else { return None };
                let away = old.placement().map_or(Duration::ZERO, |p| away(&p.node));
                if away + SLACK < limit::REPLACE_AFTER {
                    return Some(format!("{id} was given up after {away:?}"));
                }
                (new.is_none() && !is_complete(before, old))
                    .then(|| format!("{id} was forgotten before it was replaced"))
            }),
            _ => None,
        }
    }

    /// What is wrong with a node that was well for some time.
    pub fn unreturned(
        &self,
        ix: Ix,
        node: &NodeId,
        state: &State,
        keeps_messages: bool,
        now: Timestamp,
    ) -> Option<String> {
        let since = self.nodes.get(&ix)?.since?;
        if now.since(since) < RETURNED {
            return None;
        }
        if !state.nodes.get(node)?.is_reachable() {
            return Some(format!("{node} is heard since {since} and still unreachable"));
        }
        let lost = state.instances_on(node).find(|i| i.condition().is_lost() && keeps_messages)?;
        Some(format!("{} is {:?} on {node}, heard since {since}", lost.id, lost.condition()))
    }
}

/// Whether an agent had a right to end a task of its own accord.
pub fn wrongly_ended(key: &Key, why: &Why, state: &State) -> Option<String> {
    let instance = state.instances.get(&key.0).filter(|i| i.incarnation == key.1)?;
    let is_wanted = *why == Why::NotWanted && instance.kill().is_none();
    is_wanted.then(|| format!("{}.{} is ended though it is wanted", key.0, key.1))
}

fn is_complete(state: &State, instance: &Instance) -> bool {
    let Some(app) = instance.app() else { return true };
    let wanted = state.spec(app).map_or(0, |s| s.instances as usize);
    state.instances_of(app).filter(|i| is_well(state, i)).count() >= wanted
}
