//! A file of an attempt on its node, and when what stands in it was written.
//!
//! The times stand in the index that the agent keeps beside the file
//! (`agent::sandbox::output::times`). An agent of an older release keeps none: its lines have no time.

use crate::{
    agent::sandbox::output::times::{RECORD_BYTES, index_name},
    api::{
        context::Api,
        files::{self, Piece},
        view::instance::Located,
    },
    http::error::ApiError,
};

/// The last moment that has a name, 9999-12-31T23:59:59Z: what a record holds is not believed.
const TIME_MAX_MS: i64 = 253_402_300_799_000;
/// Bytes asked of an index at once: the times of some five thousand lines.
const INDEX_BYTES: u64 = 64 << 10;

/// A stream of an attempt.
#[derive(Debug, Clone)]
pub struct Source {
    pub task: Located,
    /// The task's id, for readers.
    pub id: String,
    pub host: String,
    pub stream: &'static str,
}

/// The times of a file, from some record on.
#[derive(Debug, Default)]
pub struct Index {
    /// Offset and time, in the file's order.
    records: Vec<(u64, i64)>,
    /// Bytes of the index before the first of them.
    before: u64,
    /// Where the index goes on, once it is followed.
    next: Option<u64>,
}

impl Index {
    /// The time of what stands at `offset`.
    fn at(&self, offset: u64) -> Option<i64> {
        let after = self.records.partition_point(|(from, _)| *from <= offset);
        self.records.get(after.checked_sub(1)?).map(|(_, at)| *at)
    }

    /// Where the first line stands that is not before `moment`.
    fn offset_of(&self, moment: i64) -> Option<u64> {
        self.records.iter().find(|(_, at)| *at >= moment).map(|(offset, _)| *offset)
    }

    /// Takes in the records that stand before those there are.
    fn prepend(&mut self, piece: &Piece) {
        self.records.splice(0..0, records(piece));
        self.before = piece.offset;
    }

    /// Takes in what was written since; forgets what stands before `offset` and is not its time.
    fn append(&mut self, piece: &Piece, offset: u64) {
        let known = self.records.partition_point(|(from, _)| *from <= offset).saturating_sub(1);
        self.records.drain(..known);
        self.records.extend(records(piece));
    }
}

fn records(piece: &Piece) -> impl Iterator<Item = (u64, i64)> {
    piece.bytes.chunks_exact(RECORD_BYTES).map(|record| {
        let (offset, at) = record.split_at(4);
        let offset = offset.try_into().map_or(0, u32::from_le_bytes);
        let at = at.try_into().map_or(0, i64::from_le_bytes);
        (u64::from(offset), at.clamp(0, TIME_MAX_MS))
    })
}

/// A file of a stream with the times of it that are known so far.
pub struct Reader<'a> {
    api: &'a Api,
    source: &'a Source,
    name: String,
    index: Index,
}

impl<'a> Reader<'a> {
    /// Of the file `name`; nothing is asked yet.
    pub fn new(api: &'a Api, source: &'a Source, name: String) -> Self {
        Self { api, source, name, index: Index::default() }
    }

    /// With what another reader of the same file knew.
    pub fn with(mut self, index: Index) -> Self {
        self.index = index;
        self
    }

    /// What is known of the times, for a reader to come.
    pub fn into_index(self) -> Index {
        self.index
    }

    /// Up to `n` bytes of the file from `offset` on.
    pub async fn bytes(&self, offset: u64, n: u64) -> Result<Piece, ApiError> {
        self.read(&self.name, i64::try_from(offset).unwrap_or(i64::MAX), n).await
    }

    fn path(&self, name: &str) -> String {
        match self.source.task.container.as_str() {
            "" => name.to_owned(),
            container => format!("{container}/{name}"),
        }
    }

    async fn read(&self, name: &str, offset: i64, n: u64) -> Result<Piece, ApiError> {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        files::read(self.api, &self.source.task, &self.path(name), offset, n).await
    }

    /// Reads the records before those there are. An index that is not there is an empty one.
    pub async fn more_times(&mut self, is_first: bool) -> Result<(), ApiError> {
        let name = index_name(&self.name);
        let n = if is_first { INDEX_BYTES } else { self.index.before.min(INDEX_BYTES * 4) };
        let n = n - n % RECORD_BYTES as u64;
        let end = if is_first { None } else { Some(self.index.before) };
        let from = match end {
            // Of an index that grows, only whole records.
            None => {
                let size = match self.read(&name, 0, 0).await {
                    Ok(piece) => piece.size,
                    Err(error) if error.status() == http::StatusCode::NOT_FOUND => return Ok(()),
                    Err(error) => return Err(error),
                };
                (size - size % RECORD_BYTES as u64).saturating_sub(n)
            }
            Some(end) => end - n,
        };
        let piece = self.read(&name, i64::try_from(from).unwrap_or(0), n).await?;
        self.index.prepend(&piece);
        Ok(())
    }

    /// The time of a line, with as much of the index as that takes.
    pub async fn time_of(&mut self, offset: u64) -> Result<Option<i64>, ApiError> {
        while self.index.before > 0 && self.index.records.first().is_none_or(|r| r.0 > offset) {
            self.more_times(false).await?;
        }
        Ok(self.index.at(offset))
    }

    /// Where reading begins: at the end, or before the first line that is too new.
    pub async fn end(&mut self, size: u64, before: Option<i64>) -> Result<u64, ApiError> {
        let Some(before) = before else { return Ok(size) };
        while self.index.before > 0 && self.index.records.first().is_none_or(|r| r.1 >= before) {
            self.more_times(false).await?;
        }
        // What has no times at all is told with the newest page, and not again with each older one.
        let end = if self.index.records.is_empty() { 0 } else { size };
        Ok(self.index.offset_of(before).unwrap_or(end))
    }

    /// Where reading begins that goes on from a moment; `None` when nothing is so new. What has no
    /// times at all is from no moment on.
    pub async fn start(&mut self, after: i64) -> Result<Option<u64>, ApiError> {
        while self.index.before > 0 && self.index.records.first().is_none_or(|r| r.1 >= after) {
            self.more_times(false).await?;
        }
        Ok(self.index.offset_of(after))
    }

    /// Reads the times that were noted since; whether there are some. The first call reads the last
    /// ones there are.
    pub async fn fresh_times(&mut self, offset: u64) -> Result<bool, ApiError> {
        let Some(mut next) = self.index.next else {
            self.more_times(true).await?;
            let n = (self.index.records.len() * RECORD_BYTES) as u64;
            self.index.next = Some(self.index.before + n);
            return Ok(n > 0);
        };
        let name = index_name(&self.name);
        let mut is_more = false;
        loop {
            let from = i64::try_from(next).unwrap_or(i64::MAX);
            let mut piece = match self.read(&name, from, INDEX_BYTES).await {
                Ok(piece) => piece,
                Err(error) if error.status() == http::StatusCode::NOT_FOUND => return Ok(is_more),
                Err(error) => return Err(error),
            };
            piece.bytes.truncate(piece.bytes.len() - piece.bytes.len() % RECORD_BYTES);
            if piece.bytes.is_empty() {
                return Ok(is_more);
            }
            is_more = true;
            self.index.append(&piece, offset);
            next += piece.bytes.len() as u64;
            self.index.next = Some(next);
        }
    }

    /// The time of what stands at `offset`, of those that are known.
    pub fn known_time(&self, offset: u64) -> Option<i64> {
        self.index.at(offset)
    }

    /// Whether the file has times at all, as far as is known.
    pub fn has_times(&self) -> bool {
        !self.index.records.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_holds_until_the_next_one() {
        let records = vec![(10, 100), (20, 300)];
        let index = Index { records, ..Index::default() };
        let found: Vec<_> = [0, 10, 19, 20, 99].map(|offset| index.at(offset)).into();
        assert_eq!(found, [None, Some(100), Some(100), Some(300), Some(300)]);
        let places: Vec<_> = [50, 100, 101, 301].map(|at| index.offset_of(at)).into();
        assert_eq!(places, [Some(10), Some(10), Some(20), None]);
    }
}
