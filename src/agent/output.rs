//! A task's output: from the engine's own files into `stdout` and `stderr` of its sandbox.
//!
//! The engine keeps the output while this process is away, so nothing is lost over a restart; the
//! follower picks up where it stopped. It notes the time stamp of the last piece with the bytes
//! written up to then (`Mark`). After a crash the files are ahead of the last mark by what was
//! written since; exactly that many bytes are skipped when the pieces after the mark come again.
//!
//! A file that reaches `limit::LOG_FILE_BYTES_MAX` becomes `stdout.1` and a new one is begun. The
//! mark names the file it counts in by inode number, so a crash between the two steps is seen.
//!
//! A terminal's output comes in lines; one longer than 16 KiB carries the engine's time stamps of
//! its later parts.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::runtime::Runtime;
use crate::{
    base::{clock::Timestamp, limit},
    host::docker::{EngineError, logs::LogPiece},
};

/// Pieces written in one go.
const BATCH_MAX: usize = 256;
/// The mark is written at least this often while there is output.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// How long the follower waits before it asks again after the stream broke.
const RETRY: Duration = Duration::from_millis(500);

/// How far the engine's output has been taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Time stamp of the last piece taken; empty: none yet.
    at: String,
    /// Pieces taken that carry exactly this time stamp.
    n_at: u64,
    stdout: Written,
    stderr: Written,
}

/// Bytes of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    /// All bytes ever written up to the mark.
    total: u64,
    /// The file written to, and how many bytes had been written before its first.
    inode: u64,
    base: u64,
}

/// The output files of one container.
pub struct Output {
    mark_file: PathBuf,
    mark: Mark,
    stdout: Rotated,
    stderr: Rotated,
    /// Bytes of each stream that are in the files already and will come again.
    skip: (u64, u64),
    /// Pieces with the mark's time stamp still to be passed over.
    skip_at: u64,
    marked: Instant,
}

/// One file with its older part.
struct Rotated {
    path: PathBuf,
    file: File,
    bytes: u64,
    owner: Option<(u32, u32)>,
}

impl Output {
    /// Opens the files `<prefix>stdout` and `<prefix>stderr` in `sandbox`, with the mark of a
    /// former follower if there is one at `mark_file`.
    pub fn open(sandbox: &Path, mark_file: PathBuf, owner: Option<(u32, u32)>) -> io::Result<Self> {
        let mut mark: Mark = fs::read(&mark_file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let open = |name: &str| Rotated::open(sandbox.join(name), owner);
        let (stdout, stderr) = (open("stdout")?, open("stderr")?);
        let skip = (stdout.catch_up(&mut mark.stdout)?, stderr.catch_up(&mut mark.stderr)?);
        let skip_at = mark.n_at;
        Ok(Self { mark_file, mark, stdout, stderr, skip, skip_at, marked: Instant::now() })
    }

    /// Where to ask the engine to begin, in seconds since the epoch.
    fn since(&self) -> i32 {
        let at = Timestamp::parse(&self.mark.at);
        at.and_then(|at| i32::try_from(at.as_ms() / 1000).ok()).unwrap_or(0)
    }

    /// Takes in pieces in the engine's order.
    fn take(&mut self, pieces: &[LogPiece]) -> io::Result<()> {
        for piece in pieces {
            if piece.at < self.mark.at {
                continue;
            }
            if piece.at == self.mark.at && self.skip_at > 0 {
                self.skip_at -= 1;
                continue;
            }
            self.append(piece)?;
        }
        if self.marked.elapsed() >= MARK_EVERY {
            self.save_mark()?;
        }
        Ok(())
    }

    fn append(&mut self, piece: &LogPiece) -> io::Result<()> {
        let (file, written, skip) = if piece.is_stderr {
            (&mut self.stderr, &mut self.mark.stderr, &mut self.skip.1)
        } else {
            (&mut self.stdout, &mut self.mark.stdout, &mut self.skip.0)
        };
        let n = piece.bytes.len() as u64;
        let known = n.min(*skip);
        *skip -= known;
        written.total += n;
        let fresh = piece.bytes.get(usize::try_from(known).unwrap_or(usize::MAX)..);
        if let Some(fresh) = fresh.filter(|f| !f.is_empty()) {
            file.file.write_all(fresh)?;
            file.bytes += fresh.len() as u64;
        }
        self.skip_at = 0;
        if piece.at == self.mark.at {
            self.mark.n_at += 1;
        } else {
            self.mark.at.clone_from(&piece.at);
            self.mark.n_at = 1;
        }
        if file.bytes >= limit::LOG_FILE_BYTES_MAX && *skip == 0 {
            file.rotate(written)?;
            self.save_mark()?;
        }
        Ok(())
    }

    /// Forgets what is in flight: the next stream begins at the mark.
    fn rewind(&mut self) {
        self.skip_at = self.mark.n_at;
    }

    fn save_mark(&mut self) -> io::Result<()> {
        self.marked = Instant::now();
        let text = serde_json::to_vec(&self.mark)?;
        let fresh = self.mark_file.with_extension("new");
        fs::write(&fresh, text)?;
        fs::rename(&fresh, &self.mark_file)
    }
}

impl Rotated {
    fn open(path: PathBuf, owner: Option<(u32, u32)>) -> io::Result<Self> {
        let is_new = !path.exists();
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        if let Some((uid, gid)) = owner.filter(|_| is_new) {
            chown(&path, Some(uid), Some(gid))?;
        }
        let bytes = file.metadata()?.len();
        Ok(Self { path, file, bytes, owner })
    }

    /// Bytes in the files beyond the mark; points the mark at the file there is now.
    fn catch_up(&self, mark: &mut Written) -> io::Result<u64> {
        let inode = self.file.metadata()?.ino();
        let older = fs::metadata(older(&self.path)).ok();
        let total = if mark.inode == inode {
            mark.base + self.bytes
        } else if let Some(older) = older.filter(|o| o.ino() == mark.inode) {
            mark.base += older.len();
            mark.base + self.bytes
        } else {
            // First time (or the task threw the file away): count from here.
            mark.base = mark.total.saturating_sub(self.bytes);
            mark.base + self.bytes
        };
        mark.inode = inode;
        Ok(total.saturating_sub(mark.total))
    }

    fn rotate(&mut self, written: &mut Written) -> io::Result<()> {
        fs::rename(&self.path, older(&self.path))?;
        let fresh = Self::open(self.path.clone(), self.owner)?;
        written.base += self.bytes;
        written.inode = fresh.file.metadata()?.ino();
        *self = fresh;
        Ok(())
    }
}

fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Follows container `id` until it has ended and all its output is in the files.
pub async fn follow(runtime: Arc<dyn Runtime>, id: String, output: Output) -> io::Result<()> {
    let mut output = Some(output);
    loop {
        let since = output.as_ref().map_or(0, Output::since);
        match follow_once(&*runtime, &id, since, &mut output).await? {
            // The stream also ends when the engine stops; only an ended container is done.
            Ok(()) if has_ended(&*runtime, &id).await => break,
            Ok(()) => {}
            Err(EngineError::NoSuch(_)) => break,
            Err(error) => tracing::debug!(container = id, %error, "output stream broke"),
        }
        if let Some(output) = &mut output {
            output.rewind();
        }
        tokio::time::sleep(RETRY).await;
    }
    on_disk(&mut output, Output::save_mark).await
}

async fn follow_once(
    runtime: &dyn Runtime,
    id: &str,
    since: i32,
    output: &mut Option<Output>,
) -> io::Result<Result<(), EngineError>> {
    let stream = match runtime.logs(id, since).await {
        Ok(stream) => stream,
        Err(error) => return Ok(Err(error)),
    };
    let mut batches = stream.ready_chunks(BATCH_MAX);
    while let Some(batch) = batches.next().await {
        let mut pieces = Vec::with_capacity(batch.len());
        let mut broken = None;
        for item in batch {
            match item {
                Ok(piece) => pieces.push(piece),
                Err(error) => broken = Some(error),
            }
        }
        on_disk(output, move |o| o.take(&pieces)).await?;
        if let Some(error) = broken {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// Runs disk work off the event loop.
async fn on_disk<F>(slot: &mut Option<Output>, work: F) -> io::Result<()>
where
    F: FnOnce(&mut Output) -> io::Result<()> + Send + 'static,
{
    let Some(mut output) = slot.take() else { return Ok(()) };
    let (output, outcome) = tokio::task::spawn_blocking(move || {
        let outcome = work(&mut output);
        (output, outcome)
    })
    .await
    .map_err(io::Error::other)?;
    *slot = Some(output);
    outcome
}

async fn has_ended(runtime: &dyn Runtime, id: &str) -> bool {
    match runtime.inspect(id).await {
        Ok(inspected) => !inspected.running,
        Err(EngineError::NoSuch(_)) => true,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn piece(n: u64, at: u64) -> LogPiece {
        let at = format!("2026-01-01T00:00:{at:02}.000000000Z");
        LogPiece { is_stderr: n % 7 == 3, at, bytes: Bytes::from(format!("line {n}\n")) }
    }

    /// Pieces come two to a time stamp.
    fn all(n: u64) -> Vec<LogPiece> {
        (0..n).map(|i| piece(i, i / 2)).collect()
    }

    fn text(dir: &Path, name: &str) -> String {
        fs::read_to_string(dir.join(name)).unwrap_or_default()
    }

    #[test]
    fn a_follower_killed_at_any_point_loses_and_doubles_nothing() {
        let pieces = all(20);
        let side = |stderr| -> String {
            pieces
                .iter()
                .filter(|p| p.is_stderr == stderr)
                .map(|p| String::from_utf8_lossy(&p.bytes).into_owned())
                .collect()
        };
        for marked in 0..20 {
            for killed in marked..20 {
                let temp = tempfile::tempdir().unwrap();
                let open = || Output::open(temp.path(), temp.path().join("mark"), None).unwrap();
                let mut first = open();
                first.take(&pieces[..marked]).unwrap();
                first.save_mark().unwrap();
                first.take(&pieces[marked..killed]).unwrap();
                drop(first);
                let mut second = open();
                second.take(&pieces).unwrap();
                assert_eq!(text(temp.path(), "stdout"), side(false), "{marked} {killed}");
                assert_eq!(text(temp.path(), "stderr"), side(true), "{marked} {killed}");
            }
        }
    }

    #[test]
    fn files_rotate_and_go_on_after_a_crash() {
        let temp = tempfile::tempdir().unwrap();
        let open = || Output::open(temp.path(), temp.path().join("mark"), None).unwrap();
        let big = Bytes::from(vec![b'x'; 1 << 20]);
        let piece = |n: u64| LogPiece {
            is_stderr: false,
            at: format!("2026-01-01T00:{:02}:00.000000000Z", n),
            bytes: big.clone(),
        };
        let n_max = limit::LOG_FILE_BYTES_MAX >> 20;
        let pieces: Vec<LogPiece> = (0..n_max + 3).map(piece).collect();
        let mut output = open();
        output.take(&pieces[..pieces.len() - 1]).unwrap();
        drop(output);
        let len = |name: &str| fs::metadata(temp.path().join(name)).unwrap().len();
        assert_eq!(len("stdout.1"), limit::LOG_FILE_BYTES_MAX);
        open().take(&pieces).unwrap();
        assert_eq!(len("stdout"), 3 << 20);
    }
}
