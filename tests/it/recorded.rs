//! The machines of the fault tests: a counter alone, which is quick, and the real state with that
//! counter and a record of all commands beside it.
//!
//! Every command carries an operation for the counter, so one oracle watches both. What the record
//! holds, applied to an empty state, must give the state that went through all the faults.

use std::sync::Arc;

use imbl::OrdMap;
use parking_lot::Mutex;
use tepui::{
    base::{
        clock::{Clock, Timestamp},
        rng::Rng,
    },
    core::{self, Change, Command, Outcome, State, invariant},
    log::{
        Applied, Log, Machine, Revision, Stamped,
        codec::{self, CodecError},
        machine::RowKey,
        sample::{Op, Tally},
    },
    sim::Cast,
};

/// Nodes and instances of the cluster that is moved.
const NODES: usize = 4;
const INSTANCES_MAX: u32 = 40;

/// A machine with a counter in it, and where its commands come from.
pub trait Counting: Machine {
    /// Who draws commands.
    type Source: Send + 'static;

    fn source(rng: Rng) -> Self::Source;

    /// A command that carries `op`, drawn by looking at this state.
    fn command(&self, source: &mut Self::Source, op: Op, clock: &dyn Clock) -> Self::Command;

    fn tally(&self) -> &Tally;

    /// A number that differs between different states nearly always, made quickly.
    fn mark(&self) -> u64;

    /// Everything that can be wrong with this state by itself.
    fn whole(&self) -> Result<(), String>;
}

/// Draws commands for many proposers.
pub struct Drawn<M: Counting>(Mutex<M::Source>);

impl<M: Counting> Drawn<M> {
    pub fn new(rng: Rng) -> Self {
        Self(Mutex::new(M::source(rng)))
    }

    /// A command for `op` that follows from what a master has.
    pub fn command(&self, log: &Log<M>, op: Op, clock: &dyn Clock) -> M::Command {
        log.state().command(&mut self.0.lock(), op, clock)
    }
}

/// Everything a counter can tell: each acknowledged operation there, each there once.
pub fn check<M: Counting>(state: &M, acked: impl IntoIterator<Item = Op>) -> Result<(), String> {
    let tally = state.tally();
    let lost: Vec<Op> = acked.into_iter().filter(|op| tally.times(*op) == 0).take(5).collect();
    if !lost.is_empty() {
        return Err(format!("acknowledged and lost: {lost:?}"));
    }
    if let Some((op, n)) = tally.ops().find(|(_, n)| *n != 1) {
        return Err(format!("{op:?} was applied {n} times"));
    }
    state.whole()
}

impl Counting for Tally {
    type Source = ();

    fn source(_: Rng) -> Self::Source {}

    fn command(&self, (): &mut (), op: Op, _: &dyn Clock) -> Op {
        op
    }

    fn tally(&self) -> &Tally {
        self
    }

    fn mark(&self) -> u64 {
        self.fingerprint()
    }

    fn whole(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The real state, the counter, and every command in the order it was applied in.
#[derive(Clone, Default)]
pub struct Recorded {
    pub state: State,
    tally: Tally,
    record: OrdMap<Revision, Arc<[u8]>>,
}

/// Tables of rows.
const STATE: u8 = 0;
const TALLY: u8 = 1;
const RECORD: u8 = 2;

fn row_key(table: u8, key: &[u8]) -> RowKey {
    [&[table], key].concat()
}

impl Recorded {
    /// What the record leads to.
    fn replayed(&self) -> Result<State, CodecError> {
        let mut state = State::default();
        for bytes in self.record.values() {
            drop(core::apply(&mut state, &codec::decode_command::<State>(bytes)?));
        }
        Ok(state)
    }
}

impl Machine for Recorded {
    type Command = (Op, Command);
    type Outcome = Outcome;
    type Change = Change;

    const COMMAND_VERSION: u8 = State::COMMAND_VERSION;

    fn apply(&mut self, entry: Stamped<Self::Command>) -> Applied<Self> {
        let Stamped { at, request, by, command: (op, command) } = entry;
        let counted = self.tally.apply(Stamped { at, request, by: None, command: op });
        let entry = Stamped { at, request, by, command };
        let bytes: Arc<[u8]> = codec::encode_command::<State>(&entry)[..].into();
        let Applied { outcome, changes, rows } = Machine::apply(&mut self.state, entry);
        let state = rows.into_iter().map(|(key, value)| (row_key(STATE, &key), value));
        let changed = counted.changes.iter().map(|c| (Tally::key(c), Tally::value(c)));
        let tally =
            counted.rows.into_iter().chain(changed).map(|(key, row)| (row_key(TALLY, &key), row));
        let revision = self.state.revision;
        let recorded = (row_key(RECORD, &revision.to_be_bytes()), Some(bytes.to_vec()));
        let rows = state.chain(tally).chain([recorded]).collect();
        self.record.insert(revision, bytes);
        Applied { outcome, changes, rows }
    }

    fn revision(&self) -> Revision {
        self.state.revision
    }

    fn at(&self) -> Timestamp {
        self.state.at
    }

    fn key(change: &Change) -> RowKey {
        row_key(STATE, &State::key(change))
    }

    fn value(change: &Change) -> Option<Vec<u8>> {
        State::value(change)
    }

    fn rows(&self) -> Box<dyn Iterator<Item = (RowKey, Vec<u8>)> + Send + '_> {
        let state = Machine::rows(&self.state).map(|(key, row)| (row_key(STATE, &key), row));
        let tally = self.tally.rows().map(|(key, row)| (row_key(TALLY, &key), row));
        let record = self.record.iter();
        let record = record.map(|(n, row)| (row_key(RECORD, &n.to_be_bytes()), row.to_vec()));
        Box::new(state.chain(tally).chain(record))
    }

    fn load_row(&mut self, key: &[u8], value: &[u8]) -> Result<(), CodecError> {
        let invalid = || CodecError::Invalid(format!("row key {key:?}"));
        match key.split_first().ok_or_else(invalid)? {
            (&STATE, key) => Machine::load_row(&mut self.state, key, value),
            (&TALLY, key) => self.tally.load_row(key, value),
            (&RECORD, key) => {
                let n = key.try_into().map(u64::from_be_bytes).map_err(|_| invalid())?;
                self.record.insert(n, value.into());
                Ok(())
            }
            _ => Err(invalid()),
        }
    }

    fn finish_load(&mut self) -> Result<(), CodecError> {
        self.tally.finish_load()?;
        Machine::finish_load(&mut self.state)
    }

    fn level(&self) -> u32 {
        Machine::level(&self.state)
    }

    fn fingerprint(&self) -> u64 {
        self.state.fingerprint().rotate_left(1) ^ self.tally.fingerprint()
    }
}

impl Counting for Recorded {
    type Source = Cast;

    fn source(rng: Rng) -> Cast {
        Cast::new(rng, NODES, INSTANCES_MAX)
    }

    fn command(&self, cast: &mut Cast, op: Op, clock: &dyn Clock) -> (Op, Command) {
        (op, cast.next(&self.state, clock.now(), clock.moment()))
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }

    /// One state of many is compared as a whole: that takes as long as hundreds of commands.
    fn mark(&self) -> u64 {
        const WHOLE_EVERY: u64 = 32;
        if self.state.revision.is_multiple_of(WHOLE_EVERY) {
            return self.fingerprint();
        }
        let counts = [self.state.instances.len(), self.state.apps.len(), self.record.len()];
        let counts = counts.into_iter().fold(0, |all, n| all << 16 | n as u64);
        self.tally.fingerprint() ^ counts ^ self.state.at.as_ms().unsigned_abs()
    }

    fn whole(&self) -> Result<(), String> {
        if let Some(finding) = invariant::check(&self.state).first() {
            return Err(format!("{finding:?}"));
        }
        let replayed = self.replayed().map_err(|error| error.to_string())?;
        if replayed.fingerprint() != self.state.fingerprint() {
            return Err("the recorded commands lead to another state".to_owned());
        }
        Ok(())
    }
}
