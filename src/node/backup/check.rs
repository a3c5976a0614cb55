//! Reading a backup as a whole: every row is decoded, all of it has to fit together.

use std::io::Read;

use super::{
    archive::{self, Head, Piece, Reader, Row},
    error::ArchiveError,
    lock::Key,
};
use crate::{
    base::{error::chain, level},
    core::{State, apply::gate, history, invariant, table::Fingerprint},
    host::pki::Authority,
    log::stopped::check_record,
};

/// What a backup holds.
pub struct Content {
    pub head: Head,
    pub authority: Authority,
    pub state: State,
    pub n_rows: u64,
    /// Records of the history.
    pub n_records: u64,
    /// Of the state's rows, as it was written down with them.
    pub fingerprint: u64,
}

/// Reads the whole of a backup and restores nothing.
///
/// # Errors
/// When it cannot be opened by this key, or does not hold what it should.
pub fn verify(source: impl Read, key: &Key) -> Result<Content, ArchiveError> {
    take(source, key, |_| Ok(()))
}

/// As `verify`; rows are given on in the order they come. They are worth nothing before this returns.
pub fn take(
    mut source: impl Read,
    key: &Key,
    mut put: impl FnMut(Vec<Row>) -> Result<(), ArchiveError>,
) -> Result<Content, ArchiveError> {
    let head = archive::head(&mut source)?;
    let mut reader = Reader::open(source, &head, key)?;
    let authority = match reader.next()? {
        Some(Piece::Authority { certificate, key }) => {
            let read = Authority::of_secrets(&certificate, &key);
            read.map_err(|error| content("the authority", &error))?
        }
        _ => return Err(ArchiveError::damaged("it lacks the cluster's authority")),
    };
    let (mut state, mut n_rows, mut n_records) = (State::default(), 0, 0);
    let mut all = Fingerprint::default();
    let (rows_told, records_told, fingerprint) = loop {
        match reader.next()? {
            Some(Piece::State { rows }) if n_records == 0 => {
                for (key, value) in &rows {
                    if history::is_row(key) {
                        return Err(ArchiveError::damaged("a record among the rows of the state"));
                    }
                    all.add(key, value);
                    state.load_row(key, value).map_err(|error| content("a row", &error))?;
                }
                n_rows += rows.len() as u64;
                put(rows)?;
            }
            Some(Piece::History { rows }) => {
                for (key, row) in &rows {
                    check_record(key, row).map_err(|error| content("a record", &error))?;
                }
                n_records += rows.len() as u64;
                put(rows)?;
            }
            Some(Piece::End { n_rows, n_records, fingerprint }) => {
                break (n_rows, n_records, fingerprint);
            }
            Some(_) => return Err(ArchiveError::damaged("its pieces are not in their order")),
            None => return Err(ArchiveError::damaged("it has no end")),
        }
    };
    if reader.next()?.is_some() {
        return Err(ArchiveError::damaged("pieces follow its end"));
    }
    if (rows_told, records_told) != (n_rows, n_records) {
        return Err(ArchiveError::damaged(format!(
            "of {rows_told} rows and {records_told} records {n_rows} and {n_records} are there"
        )));
    }
    let here = all.number();
    if here != fingerprint {
        let problem = format!("the fingerprint of its rows is {here:016x}, not {fingerprint:016x}");
        return Err(ArchiveError::Damaged(problem));
    }
    state.finish_load();
    fits(&head, &state)?;
    Ok(Content { head, authority, state, n_rows, n_records, fingerprint })
}

/// Whether the state is sound, and the one that the head speaks of.
fn fits(head: &Head, state: &State) -> Result<(), ArchiveError> {
    let damaged = |problem: String| Err(ArchiveError::Damaged(problem));
    if let Some(finding) = invariant::check(state).first() {
        return damaged(format!("{} {}", finding.subject, finding.problem));
    }
    let cluster = state.cluster.as_deref().map(|cluster| (&cluster.id, cluster.level));
    if cluster != Some((&head.cluster, head.level)) || state.revision != head.revision {
        return damaged("its head speaks of another state".to_owned());
    }
    // What a cluster needs to go on with another master.
    let gates = gate::need_level(state, level::MASTERS, "it can be used by no other master");
    gates.map_err(|rejected| ArchiveError::Content(rejected.to_string()))?;
    match state.masters.contains_key(&head.master) {
        true => Ok(()),
        false => damaged(format!("master {} made it and is not in it", head.master)),
    }
}

fn content(what: &str, error: &(dyn std::error::Error + 'static)) -> ArchiveError {
    ArchiveError::Content(format!("{what}: {}", chain(error)))
}
