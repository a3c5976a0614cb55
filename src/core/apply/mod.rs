//! `apply`: the one way state changes.
//!
//! A command either takes effect as a whole and tells its changes, or is rejected and changes
//! nothing. One file per family of commands, which declares them and does what they ask; `tx` keeps
//! tables and indexes in step.

pub mod access;
pub mod admission;
pub mod cluster;
pub mod gate;
pub mod node;
pub mod task;
pub mod volume;
pub mod workload;
pub mod fork;
mod instance;
mod past;
mod tx;

#[cfg(test)]
pub(crate) mod tests;

pub use tx::{is_present, reindex};
pub use workload::too_large;

use std::fmt;

use super::{
    change::Change,
    command::{Outcome, Stamped},
    state::State,
    told::Told,
};
use crate::{base::limit, choices};
use tx::Tx;

/// Lists the families of commands, each with its module's enum. On the wire there are none: the numbers
/// are one row for all families, and stored: never use one again.
macro_rules! command_families {
    ($($(#[$about:meta])* $name:ident($module:ident::$family:ident);)*) => {
        /// Everything that can be asked of the state.
        #[derive(Clone)]
        pub enum Command {
            $($(#[$about])* $name($module::$family),)*
        }

        impl Command {
            fn run(&self, tx: &mut Tx<'_>) -> Outcome {
                match self {
                    $(Self::$name(command) => $module::run(tx, command),)*
                }
            }

            /// What it is in words.
            pub fn told(&self) -> Told {
                match self {
                    $(Self::$name(command) => $module::told(command),)*
                }
            }
        }

        $(impl From<$module::$family> for Command {
            fn from(command: $module::$family) -> Self {
                Self::$name(command)
            }
        })*

        /// As its family shows it.
        impl fmt::Debug for Command {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name(command) => command.fmt(f),)*
                }
            }
        }

        choices!(Command { $($name($module::$family)),* });
    };
}

command_families! {
    /// The cluster as a whole: birth, masters, level.
    Cluster(cluster::ClusterCommand);
    /// Apps, groups, deployments.
    Workload(workload::WorkloadCommand);
    /// What becomes of single instances.
    Task(task::TaskCommand);
    /// Nodes that belong to the cluster.
    Node(node::NodeCommand);
    /// Nodes are let in.
    Admission(admission::AdmissionCommand);
    /// Users, tokens, roles.
    Access(access::AccessCommand);
    /// What instances keep on nodes.
    Volume(volume::VolumeCommand);
}

/// Applies one command and tells what it changed. The revision counts rejected commands too.
pub fn apply(state: &mut State, entry: &Stamped) -> (Outcome, Vec<Change>) {
    state.index.dropped_request = None;
    if let Some(known) = entry.request.and_then(|r| state.outcome(r)).cloned() {
        state.revision += 1;
        return (known, Vec::new());
    }
    let before = state.clone();
    state.revision += 1;
    state.at = state.at.max(entry.at);
    let mut tx = Tx::new(state);
    let outcome = entry.command.run(&mut tx);
    let mut changes = tx.finish();
    if outcome.is_err() {
        let (revision, at) = (state.revision, state.at);
        *state = before;
        (state.revision, state.at) = (revision, at);
        changes.clear();
    }
    remember(state, entry, &outcome);
    (outcome, changes)
}

/// Keeps the outcome of a command that may be asked again; drops the oldest past the bound.
fn remember(state: &mut State, entry: &Stamped, outcome: &Outcome) {
    let Some(request) = entry.request else { return };
    state.requests.insert(state.revision, (request, outcome.clone()));
    state.index.requests.insert(request, state.revision);
    if state.requests.len() > limit::REQUESTS_REMEMBERED_MAX
        && let Some((oldest, (dropped, _))) = state.requests.get_min().cloned()
    {
        state.requests.remove(&oldest);
        state.index.requests.remove(&dropped);
        state.index.dropped_request = Some(oldest);
    }
}
