//! The series in a file of the data directory, so that they outlive the process.
//!
//! A row for each subject: its length and a checksum, four bytes each, and then a message behind the
//! byte of its version. The file is written anew beside the old one, which it replaces when it is
//! whole. Of a file that breaks off, or is damaged, what stands in front of that is taken.

use std::{
    fs,
    io::{self, BufReader, BufWriter, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{row::Row, store::Recorded};
use crate::base::wire::{self, Message as _};

/// Of the message in a row.
const VERSION: u8 = 1;
/// A subject has a dozen series of 3.6 kB.
const ROW_BYTES_MAX: usize = 1 << 20;
/// What is read at a start at most; the series there may be take half of it.
const FILE_BYTES_MAX: u64 = 160 << 20;

/// The file of a master with this data directory.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("series")
}

/// Writes everything; only its owner may read it.
///
/// # Errors
/// When the directory cannot be written; the file of before is as it was.
pub fn save(path: &Path, recorded: &Recorded) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    let mut out = BufWriter::with_capacity(64 << 10, file);
    recorded.rows(|row| {
        let bytes = wire::encode_versioned(VERSION, &row);
        let n_bytes = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        out.write_all(&n_bytes.to_le_bytes())?;
        out.write_all(&crc32fast::hash(&bytes).to_le_bytes())?;
        out.write_all(&bytes)
    })?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&new, path)
}

/// Takes what the file holds into `recorded`; tells how many rows that were and what kept it from the
/// rest. No file is no trouble.
pub fn load(path: &Path, recorded: &Recorded) -> (usize, Option<String>) {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (0, None),
        Err(error) => return (0, Some(error.to_string())),
    };
    let mut rows = Rows { bytes: BufReader::new(file.take(FILE_BYTES_MAX)) };
    let mut n_rows = 0;
    loop {
        match rows.next() {
            Ok(Some(row)) => {
                n_rows += 1;
                recorded.restore(row);
            }
            Ok(None) => return (n_rows, None),
            Err(problem) => return (n_rows, Some(problem)),
        }
    }
}

struct Rows<R> {
    bytes: R,
}

impl<R: io::BufRead> Rows<R> {
    /// The next row of a version that is known; `None` at the end.
    fn next(&mut self) -> Result<Option<Row>, String> {
        loop {
            if self.bytes.fill_buf().map_err(|error| error.to_string())?.is_empty() {
                return Ok(None);
            }
            let mut head = [0; 8];
            self.bytes.read_exact(&mut head).map_err(|error| error.to_string())?;
            let [n_bytes, checksum] = [0, 4]
                .map(|at| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
            let n_bytes = n_bytes as usize;
            if n_bytes > ROW_BYTES_MAX {
                return Err("a row is too long".to_owned());
            }
            let mut row = vec![0; n_bytes];
            self.bytes.read_exact(&mut row).map_err(|error| error.to_string())?;
            if crc32fast::hash(&row) != checksum {
                return Err("a row is damaged".to_owned());
            }
            let Some((&VERSION, message)) = row.split_first() else { continue };
            match Row::read(message) {
                Ok(row) => return Ok(Some(row)),
                // Of a newer release, as a version that is not ours.
                Err(error) => tracing::debug!(%error, "a row of series is left out"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{clock::Timestamp, series::Grid},
        control::series::{
            names::{Measure, Subject},
            store::{Curve, Sample},
        },
    };

    const AT: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    fn subject(n: u64) -> Subject {
        Subject::Service(crate::model::AppId::parse(&format!("/app-{n}")))
    }

    /// Three subjects, each with two numbers.
    fn measured() -> Recorded {
        let recorded = Recorded::default();
        recorded.begin(AT);
        let sample = |n| Sample {
            subject: subject(n),
            values: vec![(Measure::CpusUsed, n * 100), (Measure::Restarts, n + 1)],
        };
        recorded.add(AT, &[0, 1, 2].map(sample));
        recorded
    }

    /// What is there of each of the three.
    fn found(recorded: &Recorded) -> Vec<Option<Vec<f64>>> {
        let step = Grid::COARSE.step(AT);
        let of = |n| recorded.curves(&subject(n), Grid::COARSE, (step, step));
        let values = |curves: Vec<Curve>| {
            curves.iter().flat_map(|curve| curve.values.iter().flatten().copied()).collect()
        };
        [0, 1, 2].map(|n| of(n).map(values)).to_vec()
    }

    #[test]
    fn what_was_measured_is_there_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path());
        let fresh = Recorded::default();
        assert_eq!(load(&path, &fresh), (0, None), "no file is no trouble");
        save(&path, &measured()).unwrap();
        assert_eq!(load(&path, &fresh), (3, None));
        let all = [[0.0, 1.0], [0.1, 2.0], [0.2, 3.0]].map(|values| Some(values.to_vec()));
        assert_eq!(found(&fresh), all);
        assert_eq!(fresh.size(), measured().size());
        save(&path, &fresh).unwrap();
        let files: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(files.len(), 1, "nothing is left beside it");
    }

    #[test]
    fn of_a_torn_or_damaged_file_the_front_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path());
        save(&path, &measured()).unwrap();
        let whole = fs::read(&path).unwrap();
        for n_bytes in 0..whole.len() {
            fs::write(&path, &whole[..n_bytes]).unwrap();
            let fresh = Recorded::default();
            let (n_rows, problem) = load(&path, &fresh);
            assert_eq!(found(&fresh).iter().flatten().count(), n_rows);
            assert!(n_rows < 3);
            let is_between_rows = n_rows * whole.len() / 3 == n_bytes;
            assert_eq!(problem.is_none(), is_between_rows, "{n_bytes} bytes, {n_rows} rows");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            fs::write(&path, damaged).unwrap();
            let (n_rows, problem) = load(&path, &Recorded::default());
            assert!(n_rows < 3 && problem.is_some(), "byte {at}: {n_rows} rows");
        }
    }

    #[test]
    fn a_row_of_another_version_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path());
        save(&path, &measured()).unwrap();
        let later = [VERSION + 1, 7, 7];
        let mut bytes = u32::to_le_bytes(3).to_vec();
        bytes.extend(crc32fast::hash(&later).to_le_bytes());
        bytes.extend(later);
        bytes.extend(fs::read(&path).unwrap());
        fs::write(&path, bytes).unwrap();
        assert_eq!(load(&path, &Recorded::default()), (3, None));
    }
}
