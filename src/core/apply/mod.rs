//! `apply`: the one way state changes.
//!
//! A command either takes effect as a whole and tells its changes, or is rejected and changes
//! nothing. One file per group of commands; `tx` keeps tables and indexes in step.

mod access;
pub mod admission;
pub mod cluster;
mod instance;
pub mod level;
mod past;
mod tx;
mod workload;

#[cfg(test)]
mod tests;

pub use tx::{is_present, reindex};
pub use workload::too_large;

use super::{
    change::Change,
    command::{Accepted, Command, Outcome, Rejected, Stamped},
    state::State,
};
use crate::base::limit;
use tx::Tx;

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
    let outcome = run(&mut tx, &entry.command);
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

fn run(tx: &mut Tx<'_>, command: &Command) -> Result<Accepted, Rejected> {
    match command {
        Command::Init(init) => access::init(tx, init),
        Command::PutApps(put) => workload::put(tx, put),
        Command::CancelDeployment { id, undo } => workload::cancel(tx, id, undo.as_ref()),
        Command::DeployStep(step) => workload::step(tx, step),
        Command::Scale(scale) => workload::scale_outside(tx, scale),
        Command::Kill { instances, wipe, reason } => instance::kill(tx, instances, *wipe, reason),
        Command::Launch(launches) => Ok(instance::launch(tx, launches)),
        Command::Report { node, reports } => Ok(instance::report(tx, node, reports)),
        Command::RegisterNode(info) => cluster::register(tx, info),
        Command::NodeReach { node, reachable } => cluster::reach(tx, node, *reachable),
        Command::NodeDuty { node, duty } => cluster::duty(tx, node, *duty),
        Command::RemoveNode(node) => cluster::remove(tx, node),
        Command::Invite { digest, until } => admission::invite(tx, *digest, *until),
        Command::Join(join) => admission::join(tx, join),
        Command::Renew { node, by, new, expires_at } => {
            admission::renew(tx, node, by, new, *expires_at)
        }
        Command::UseCertificate { node, serial } => admission::use_certificate(tx, node, serial),
        Command::Expire { inactive, expunge } => Ok(cluster::expire(tx, inactive, expunge)),
        Command::ResetBackoff(app) => workload::reset_backoff(tx, app),
        Command::PutUser { user, expect } => access::put_user(tx, user, *expect),
        Command::DeleteUser(uid) => access::delete_user(tx, uid),
        Command::RevokeTokens(uid) => access::revoke_tokens(tx, uid.as_deref()),
        Command::RotateSecret(secret) => access::rotate_secret(tx, *secret),
        Command::PutRole(settings) => Ok(access::put_role(tx, settings)),
        Command::DeleteRole(role) => access::delete_role(tx, role),
        Command::RegisterMaster(master) => level::register(tx, master),
        Command::RaiseLevel(to) => level::raise(tx, *to),
    }
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
