//! One output stream of one attempt, read backwards from a moment on, within a budget.
//!
//! When a line was written stands in the index that the agent keeps beside the file
//! (`agent::sandbox::output::times`). An agent of an older release keeps none: its lines have no time.

use std::time::Duration;

use regex::Regex;

use crate::{
    agent::sandbox::output::times::{RECORD_BYTES, index_name},
    api::{
        context::Api,
        files::{self, Piece},
        view::instance::Located,
    },
    http::error::ApiError,
};

/// Bytes asked of a file at once.
const PIECE_BYTES: u64 = 128 << 10;
/// The last moment that has a name, 9999-12-31T23:59:59Z: what a record holds is not believed.
const TIME_MAX_MS: i64 = 253_402_300_799_000;
/// Bytes asked of an index at once: the times of some five thousand lines.
const INDEX_BYTES: u64 = 64 << 10;
/// Longest line that is one; what is longer comes in parts.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Lines that an answer may have more, for all of its first moment.
const MOMENT_LINES_MAX: usize = 10_000;
/// How long all of one stream may take.
const STREAM_MAX: Duration = Duration::from_secs(8);

/// What is looked for.
#[derive(Clone, Default)]
pub struct Wanted {
    /// Milliseconds since the epoch; from this one on, and before that one.
    pub since: Option<i64>,
    pub before: Option<i64>,
    pub grep: Option<Regex>,
    /// Lines of one stream.
    pub lines_max: usize,
    /// Bytes of one stream.
    pub bytes_max: u64,
}

/// A stream of an attempt.
#[derive(Clone)]
pub struct Source {
    pub task: Located,
    /// The task's id, for readers.
    pub id: String,
    pub host: String,
    pub stream: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub at: Option<i64>,
    pub text: String,
}

/// What was found in one stream.
#[derive(Debug, Default)]
pub struct Found {
    /// Newest first.
    pub lines: Vec<Line>,
    /// Where the file goes on after what was looked at.
    pub next_offset: u64,
    pub searched_bytes: u64,
    /// Lines before this moment were not looked at, although there are some.
    pub until: Option<i64>,
    /// Why not all that was asked for was looked at.
    pub cut: Option<&'static str>,
}

/// The times of a file, from some record on.
#[derive(Default)]
struct Index {
    /// Offset and time, in the file's order.
    records: Vec<(u64, i64)>,
    /// Bytes of the index before the first of them.
    before: u64,
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
        let records = piece.bytes.chunks_exact(RECORD_BYTES).map(|record| {
            let (offset, at) = record.split_at(4);
            let offset = offset.try_into().map_or(0, u32::from_le_bytes);
            let at = at.try_into().map_or(0, i64::from_le_bytes);
            (u64::from(offset), at.clamp(0, TIME_MAX_MS))
        });
        self.records.splice(0..0, records);
        self.before = piece.offset;
    }
}

/// A file that is read backwards.
struct Reader<'a> {
    api: &'a Api,
    source: &'a Source,
    name: String,
    index: Index,
}

impl Reader<'_> {
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
    async fn more_times(&mut self, is_first: bool) -> Result<(), ApiError> {
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
    async fn time_of(&mut self, offset: u64) -> Result<Option<i64>, ApiError> {
        while self.index.before > 0 && self.index.records.first().is_none_or(|r| r.0 > offset) {
            self.more_times(false).await?;
        }
        Ok(self.index.at(offset))
    }

    /// Where reading begins: at the end, or before the first line that is too new.
    async fn end(&mut self, size: u64, before: Option<i64>) -> Result<u64, ApiError> {
        let Some(before) = before else { return Ok(size) };
        while self.index.before > 0 && self.index.records.first().is_none_or(|r| r.1 >= before) {
            self.more_times(false).await?;
        }
        // What has no times at all is told with the newest page, and not again with each older one.
        let end = if self.index.records.is_empty() { 0 } else { size };
        Ok(self.index.offset_of(before).unwrap_or(end))
    }
}

/// Whether to read on.
#[derive(PartialEq)]
enum Step {
    On,
    /// All that was asked for is there.
    Enough,
}

/// The newest lines of a stream that are wanted.
pub async fn search(api: &Api, source: &Source, wanted: &Wanted) -> Found {
    let mut found = Found::default();
    let reading = async {
        for (part, name) in
            [source.stream.to_owned(), format!("{}.1", source.stream)].into_iter().enumerate()
        {
            match search_file(api, source, wanted, name, part == 0, &mut found).await {
                Ok(Step::On) => {}
                Ok(Step::Enough) => return Ok(()),
                // A stream without an older part is a whole one.
                Err(error) if part > 0 && error.status() == http::StatusCode::NOT_FOUND => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    let ended = tokio::time::timeout(STREAM_MAX, reading).await;
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.status() == http::StatusCode::NOT_FOUND => {
            found.cut = Some("not_kept");
        }
        Ok(Err(_)) => found.cut = Some("unreachable"),
        Err(_) => {
            found.cut = Some("time");
            found.until = found.lines.last().and_then(|line| line.at).or(wanted.before);
        }
    }
    found
}

async fn search_file(
    api: &Api,
    source: &Source,
    wanted: &Wanted,
    name: String,
    is_newest: bool,
    found: &mut Found,
) -> Result<Step, ApiError> {
    let mut reader = Reader { api, source, name: name.clone(), index: Index::default() };
    let size = reader.read(&name, 0, 0).await?.size;
    if is_newest {
        found.next_offset = size;
    }
    reader.more_times(true).await?;
    let mut high = reader.end(size, wanted.before).await?;
    // The beginning of a line whose rest is in the piece that was read before.
    let mut rest: Vec<u8> = Vec::new();
    while high > 0 {
        if found.searched_bytes >= wanted.bytes_max {
            found.cut = Some("bytes");
            found.until = reader.time_of(high).await?;
            return Ok(Step::Enough);
        }
        let low = high.saturating_sub(PIECE_BYTES);
        let piece = reader.read(&name, i64::try_from(low).unwrap_or(0), high - low).await?;
        found.searched_bytes += piece.bytes.len() as u64;
        let mut bytes = piece.bytes;
        bytes.truncate(usize::try_from(high - low).unwrap_or(usize::MAX));
        bytes.append(&mut rest);
        // The first line of the piece may have begun before it.
        let first = if low == 0 || bytes.len() > LINE_BYTES_MAX + PIECE_BYTES as usize {
            0
        } else {
            bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1)
        };
        for (at, line) in lines_backwards(&bytes, first) {
            if take(&mut reader, wanted, found, low + at as u64, line).await? == Step::Enough {
                return Ok(Step::Enough);
            }
        }
        bytes.truncate(first);
        rest = bytes;
        high = low;
    }
    Ok(Step::On)
}

/// Looks at one line.
async fn take(
    reader: &mut Reader<'_>,
    wanted: &Wanted,
    found: &mut Found,
    offset: u64,
    line: &[u8],
) -> Result<Step, ApiError> {
    let at = reader.time_of(offset).await?;
    if at.zip(wanted.since).is_some_and(|(at, since)| at < since) {
        return Ok(Step::Enough);
    }
    // A page never ends within a moment: what else was said in it would be asked for by nobody.
    let is_over = found.lines.len() >= wanted.lines_max;
    if is_over && found.lines.last().is_none_or(|last| last.at != at)
        || found.lines.len() >= wanted.lines_max + MOMENT_LINES_MAX
    {
        found.until = found.lines.last().and_then(|line| line.at);
        found.cut = Some("lines");
        return Ok(Step::Enough);
    }
    let text = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES_MAX)]);
    if wanted.grep.as_ref().is_none_or(|grep| grep.is_match(&text)) {
        found.lines.push(Line { at, text: text.into_owned() });
    }
    Ok(Step::On)
}

/// The lines of `bytes[from..]` with their places, the last one first. A break at the very end ends a
/// line and begins none.
fn lines_backwards(bytes: &[u8], from: usize) -> Vec<(usize, &[u8])> {
    let mut lines = Vec::new();
    let mut at = from;
    for line in bytes[from..].split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        lines.push((at, text.strip_suffix(b"\r").unwrap_or(text)));
        at += line.len();
    }
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_last_first_with_their_places() {
        let cut = |text: &'static str, from| lines_backwards(text.as_bytes(), from);
        assert_eq!(cut("a\nbc\n", 0), [(2, &b"bc"[..]), (0, b"a")]);
        assert_eq!(cut("a\n\nbc", 0), [(3, &b"bc"[..]), (2, b""), (0, b"a")]);
        assert_eq!(cut("ends\nb\r\n", 5), [(5, &b"b"[..])]);
        assert_eq!(cut("", 0), []);
    }

    #[test]
    fn a_time_holds_until_the_next_one() {
        let records = vec![(10, 100), (20, 300)];
        let index = Index { records, before: 0 };
        let found: Vec<_> = [0, 10, 19, 20, 99].map(|offset| index.at(offset)).into();
        assert_eq!(found, [None, Some(100), Some(100), Some(300), Some(300)]);
        let places: Vec<_> = [50, 100, 101, 301].map(|at| index.offset_of(at)).into();
        assert_eq!(places, [Some(10), Some(10), Some(20), None]);
    }
}
