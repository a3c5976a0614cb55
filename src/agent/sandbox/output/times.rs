//! When what stands in an output file was written: an index beside it, which the task never sees.
//!
//! A record is an offset in the file (4 bytes) and the time from there on (8 bytes, milliseconds since
//! the epoch), both little-endian, in the file's order. Not every line has one: lines of the same
//! millisecond share theirs, and so do short ones close together. What a crash took of the index is
//! not made good: those lines have the time of the last record before them.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write as _},
    path::Path,
};

use crate::{agent::sandbox::beneath::Dir, base::clock::Timestamp};

/// Bytes of a record.
pub const RECORD_BYTES: usize = 12;
/// A time is noted after so many bytes, or when so much time has passed.
const APART_BYTES: u64 = 64;
const APART_MS: i64 = 20;
/// Records that are noted for the time that has passed alone. With those for the bytes, the index of a
/// file never grows beyond 5 MiB.
const RECORDS_MAX: u64 = 256 << 10;

/// The index of a file that is being written.
pub(super) struct Times {
    file: File,
    /// Records in the file and on their way there.
    n: u64,
    last: Option<(u64, i64)>,
    fresh: Vec<u8>,
}

/// The name of the index of the output file `name`.
pub fn index_name(name: &str) -> String {
    format!(".{name}.times")
}

/// Whether a name in the directory of the output is that of an index.
pub fn is_index(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') && name.ends_with(".times")
}

impl Times {
    /// Opens the index of the file `name`, which is `bytes` long.
    pub fn open(dir: &Dir, name: &str, bytes: u64) -> io::Result<Self> {
        let file = dir.append(Path::new(&index_name(name)), 0o600, None)?;
        // A torn record at the end would shift all later ones; records of what was never written
        // cannot be there, since the file is written first.
        let len = file.metadata()?.len();
        file.set_len(len - len % RECORD_BYTES as u64)?;
        let n = len / RECORD_BYTES as u64;
        // What was in the file before is not told apart from what comes now by anything but its place.
        let last = (n > 0).then_some((bytes, i64::MIN));
        Ok(Self { file, n, last, fresh: Vec::new() })
    }

    /// What is written at `offset` was said at `at`.
    pub fn note(&mut self, offset: u64, at: &str) {
        let Some(at) = Timestamp::parse(at).map(Timestamp::as_ms) else { return };
        let Ok(place) = u32::try_from(offset) else { return };
        if let Some((last_offset, last_at)) = self.last {
            let is_far = offset.saturating_sub(last_offset) >= APART_BYTES;
            let is_later = at.saturating_sub(last_at) >= APART_MS && self.n < RECORDS_MAX;
            if at == last_at || !(is_far || is_later) {
                return;
            }
        }
        self.last = Some((offset, at));
        self.n += 1;
        self.fresh.extend(place.to_le_bytes());
        self.fresh.extend(at.to_le_bytes());
    }

    /// Writes what was noted. Where there is no room for it, the output counts for more: it is
    /// forgotten.
    pub fn write(&mut self) {
        let fresh = std::mem::take(&mut self.fresh);
        if fresh.is_empty() {
            return;
        }
        if let Err(error) = self.file.write_all(&fresh) {
            tracing::debug!(%error, "times of output cannot be written");
            // What was torn would shift all that comes later.
            let len = self.file.metadata().map_or(0, |meta| meta.len());
            let _ = self.file.set_len(len - len % RECORD_BYTES as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(dir: &Path, name: &str) -> Vec<(u32, i64)> {
        let bytes = std::fs::read(dir.join(index_name(name))).unwrap();
        assert_eq!(bytes.len() % RECORD_BYTES, 0);
        let record = |r: &[u8]| {
            let (offset, at) = (r[..4].try_into().unwrap(), r[4..].try_into().unwrap());
            (u32::from_le_bytes(offset), i64::from_le_bytes(at))
        };
        bytes.chunks(RECORD_BYTES).map(record).collect()
    }

    #[test]
    fn what_comes_later_or_further_on_has_a_time_of_its_own() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let mut times = Times::open(&dir, "stdout", 0).unwrap();
        for (offset, at) in [
            (0, "2026-01-01T00:00:00.000000001Z"),
            (10, "2026-01-01T00:00:00.015Z"), // close, and soon after
            (20, "2026-01-01T00:00:01.25Z"),  // close, and late
            (90, "2026-01-01T00:00:01.251Z"), // far
            (200, "2026-01-01T00:00:01.251Z"), // far, of the same moment
            (300, "no time"),
        ] {
            times.note(offset, at);
        }
        times.write();
        let start = Timestamp::parse("2026-01-01T00:00:00Z").unwrap().as_ms();
        let wanted = vec![(0, start), (20, start + 1_250), (90, start + 1_251)];
        assert_eq!(records(temp.path(), "stdout"), wanted);

        // A torn record is cut away; what comes after a start has its own time at once.
        let path = temp.path().join(index_name("stdout"));
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend([1, 2, 3]);
        std::fs::write(&path, torn).unwrap();
        let mut times = Times::open(&dir, "stdout", 95).unwrap();
        times.note(95, "2026-01-01T00:00:02Z");
        times.write();
        assert_eq!(records(temp.path(), "stdout").last(), Some(&(95, start + 2_000)));
    }

    #[test]
    fn an_index_has_a_bound() {
        let temp = tempfile::tempdir().unwrap();
        let mut times = Times::open(&Dir::open(temp.path()).unwrap(), "stdout", 0).unwrap();
        times.n = RECORDS_MAX;
        times.last = Some((0, 0));
        times.note(10, "2026-01-01T00:00:00Z");
        assert!(times.fresh.is_empty(), "for the time alone there is no room");
        times.note(64, "2026-01-01T00:00:00Z");
        assert_eq!(times.fresh.len(), RECORD_BYTES);
    }
}
