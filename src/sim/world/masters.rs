//! What the masters keep: the log, and of one that does not lead its state and its disk.
//!
//! Commands get there as bytes and are read again, rows are written through change by change, both as
//! the log does it. What another master has, or one that starts from its disk, must be what the
//! leader had.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::{
    core::{Stamped, State, table::HISTORY_BYTE},
    log::{
        Machine,
        codec::{self, CodecError},
        machine::{Applied, RowKey},
    },
};

/// Commands on which the other masters may be behind.
const BEHIND_MAX: usize = 200;

/// The masters beside the one that leads.
#[derive(Default)]
pub(super) struct Masters {
    /// The state of one of them, and its rows on the disk.
    state: State,
    rows: BTreeMap<RowKey, Vec<u8>>,
    /// What the log holds and that one has not applied yet.
    log: VecDeque<Bytes>,
    broken: Option<CodecError>,
}

impl Masters {
    /// A command was committed.
    pub fn commit(&mut self, entry: &Stamped) {
        self.log.push_back(codec::encode_command::<State>(entry));
        if self.log.len() > BEHIND_MAX {
            self.follow(BEHIND_MAX / 2);
        }
    }

    /// How many commands the disk's rows lack.
    pub fn behind(&self) -> usize {
        self.log.len()
    }

    /// Applies the next `n` commands and writes the rows they touch.
    pub fn follow(&mut self, n: usize) {
        for bytes in self.log.drain(..n.min(self.log.len())) {
            let entry = match codec::decode_command::<State>(&bytes) {
                Ok(entry) => entry,
                Err(error) => {
                    self.broken.get_or_insert(error);
                    return;
                }
            };
            let Applied { changes, rows, .. } = self.state.apply(entry);
            let touched = changes.iter().map(|change| (State::key(change), State::value(change)));
            for (key, value) in rows.into_iter().chain(touched) {
                match value {
                    Some(value) => self.rows.insert(key, value),
                    None => self.rows.remove(&key),
                };
            }
        }
    }

    /// The state of a master that followed all along, once it has applied all of the log.
    pub fn followed(&mut self) -> Result<State, String> {
        self.follow(usize::MAX);
        match &self.broken {
            Some(error) => Err(format!("a master cannot read the log: {error}")),
            None => Ok(self.state.clone()),
        }
    }

    /// The state of a master that starts now: the rows on its disk, then the log.
    pub fn started(&self) -> Result<State, String> {
        let rows: BTreeMap<_, _> = self.state.rows().collect();
        // The history's rows lie beside those of the state and are in no memory.
        let kept = self.rows.keys().filter(|key| key.first() != Some(&HISTORY_BYTE)).count();
        let differs = |(key, value)| self.rows.get(key) != Some(value);
        if self.state.revision > 0 && (rows.len() != kept || rows.iter().any(differs)) {
            return Err("the rows on the disk are not those of the state".to_owned());
        }
        self.opened().map_err(|error| format!("a master cannot start from its disk: {error}"))
    }

    fn opened(&self) -> Result<State, CodecError> {
        let mut state = State::default();
        for (key, value) in &self.rows {
            Machine::load_row(&mut state, key, value)?;
        }
        Machine::finish_load(&mut state)?;
        for bytes in &self.log {
            drop(state.apply(codec::decode_command::<State>(bytes)?));
        }
        Ok(state)
    }
}

/// In what the state of another master differs from the one the leader had.
pub(super) fn difference(had: &State, has: &State) -> Option<String> {
    macro_rules! unequal {
        ($($field:ident),*) => { [$((stringify!($field), had.$field != has.$field)),*] };
    }
    let unequal = unequal!(
        revision,
        at,
        cluster,
        groups,
        apps,
        specs,
        instances,
        nodes,
        masters,
        deployments,
        delays,
        roles,
        users,
        invitations,
        certificates,
        past,
        requests
    );
    let first = unequal.into_iter().find_map(|(name, differs)| differs.then_some(name));
    let prints = (had.fingerprint() != has.fingerprint()).then_some("fingerprint");
    let what = first.or(prints)?;
    Some(format!("{what}: another master has not what the leader had at {}", had.revision))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{core::NodeCommand, sim::build};

    /// The state of a leader that registered a few nodes, and the other masters.
    fn led() -> (State, Masters) {
        let (mut state, mut masters) = (State::default(), Masters::default());
        for n in 0..5 {
            let command =
                NodeCommand::RegisterNode(Box::new(build::node(n, 1.0, 64.0, &[]))).into();
            let entry = Stamped { at: build::START, request: None, by: None, command };
            masters.commit(&entry);
            drop(state.apply(entry));
        }
        (state, masters)
    }

    #[test]
    fn wherever_the_disk_ends_the_log_makes_up_for_it() {
        for n_written in 0..=5 {
            let (state, mut masters) = led();
            masters.follow(n_written);
            assert_eq!(difference(&state, &masters.started().expect("it starts")), None);
            assert_eq!(difference(&state, &masters.followed().expect("it follows")), None);
        }
    }

    #[test]
    fn a_lost_row_and_a_lost_command_are_found() {
        let (state, mut masters) = led();
        masters.log.pop_back();
        let others = masters.followed().expect("it follows");
        assert!(difference(&state, &others).is_some_and(|what| what.starts_with("revision")));
        let node = masters.rows.keys().last().cloned().expect("rows");
        masters.rows.remove(&node);
        assert!(masters.started().is_err());
    }
}
