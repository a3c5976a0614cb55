//! What the cluster does not let in: what its level has no room for, who can do too little, and masters
//! that were removed.

use crate::core::{Rejected, state::State};

/// Refuses what the cluster's level does not let in yet.
///
/// # Errors
/// The sentence that says so.
pub fn need_level(state: &State, wanted: u32, what: &str) -> Result<(), Rejected> {
    let level = state.level();
    if level < wanted {
        let problem = format!(
            "{what} before the cluster is at level {wanted}; it is at {level}: `tepui cluster raise`"
        );
        return Err(Rejected::invalid("level", problem));
    }
    Ok(())
}

/// Refuses who cannot do what the cluster does already.
pub(super) fn check_level(
    state: &State,
    who: impl Fn() -> String,
    level: u32,
) -> Result<(), Rejected> {
    let wanted = state.level();
    if level < wanted {
        return Err(Rejected::TooOld { who: who(), level, wanted });
    }
    Ok(())
}

/// Whether a master with this number was there and is not any more: numbers are given in order.
pub fn is_removed(state: &State, id: u64) -> bool {
    let given = state.cluster.as_ref().map_or(0, |cluster| cluster.n_masters);
    id <= given && !state.masters.contains_key(&id)
}

/// What a master is told that was removed.
pub fn removed(id: u64) -> Rejected {
    let problem = format!(
        "number {id} was removed from the cluster; to bring the machine back, delete its data \
         directory and join again with a new token"
    );
    Rejected::invalid("master", problem)
}
