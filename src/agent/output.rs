//! A task's output: from the engine's own files into `stdout` and `stderr` of its sandbox.
//!
//! The engine keeps the output while this process is away, so nothing is lost over a restart; the
//! follower picks up where it stopped. Its `Mark` says how many pieces it has had since a whole
//! second shortly before the last one (asked for the same second, the engine sends the same pieces
//! in the same order) and how many bytes were written up to then. After a crash the files are ahead
//! of the last mark by what was written since; exactly that many bytes are skipped when the pieces
//! after the mark come again.
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
    /// The second the engine is asked from: the one before the newest piece's, because pieces of
    /// the two streams may be a little out of order. 0: from the beginning.
    since: i64,
    /// Pieces had with a time stamp in that second, and in the one after it.
    first: Seen,
    later: Seen,
    /// Newest time stamp.
    last: String,
    stdout: Written,
    stderr: Written,
}

/// Pieces of one second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    n: u64,
    /// Time stamp of the first of them.
    at: String,
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
    replay: Replay,
    marked: Instant,
}

/// What of a new stream is known already.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Replay {
    /// Nothing has come yet; so many pieces should be the known ones.
    Expect(u64),
    /// So many known pieces are still to come.
    Known(u64),
    /// The engine has thrown the known pieces away: what is older than the mark is known.
    Until(String),
    Over,
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
        let replay = mark.replay();
        Ok(Self { mark_file, mark, stdout, stderr, skip, replay, marked: Instant::now() })
    }

    /// Where to ask the engine to begin, in seconds since the epoch.
    fn since(&self) -> i32 {
        i32::try_from(self.mark.since).unwrap_or(0)
    }

    /// Takes in pieces in the engine's order.
    fn take(&mut self, pieces: &[LogPiece]) -> io::Result<()> {
        for piece in pieces {
            if !self.is_known(piece) {
                self.append(piece)?;
            }
        }
        if self.marked.elapsed() >= MARK_EVERY {
            self.save_mark()?;
        }
        Ok(())
    }

    fn is_known(&mut self, piece: &LogPiece) -> bool {
        if let Replay::Expect(n) = self.replay {
            self.replay = if n == 0 {
                Replay::Over
            } else if piece.at == self.mark.beginning() {
                Replay::Known(n)
            } else {
                Replay::Until(self.mark.last.clone())
            };
        }
        match &mut self.replay {
            Replay::Known(n) => {
                *n -= 1;
                if *n == 0 {
                    self.replay = Replay::Over;
                }
                true
            }
            Replay::Until(last) if piece.at <= *last => true,
            Replay::Expect(_) | Replay::Until(_) | Replay::Over => {
                self.replay = Replay::Over;
                false
            }
        }
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
        if file.bytes >= limit::LOG_FILE_BYTES_MAX && *skip == 0 {
            file.rotate(written)?;
            self.mark.count(&piece.at);
            return self.save_mark();
        }
        self.mark.count(&piece.at);
        Ok(())
    }

    /// Forgets what is in flight: the next stream begins at the mark.
    fn rewind(&mut self) {
        self.replay = self.mark.replay();
    }

    fn save_mark(&mut self) -> io::Result<()> {
        self.marked = Instant::now();
        let text = serde_json::to_vec(&self.mark)?;
        let fresh = self.mark_file.with_extension("new");
        fs::write(&fresh, text)?;
        fs::rename(&fresh, &self.mark_file)
    }
}

impl Mark {
    fn replay(&self) -> Replay {
        Replay::Expect(self.first.n + self.later.n)
    }

    /// Time stamp of the first counted piece; another one at its place means that the engine has
    /// rotated it away.
    fn beginning(&self) -> &str {
        if self.first.n > 0 { &self.first.at } else { &self.later.at }
    }

    /// Counts a piece that was taken.
    fn count(&mut self, at: &str) {
        let second = Timestamp::parse(at).map_or(self.since, |at| at.as_ms() / 1000);
        if self.last.is_empty() {
            self.since = second;
        }
        if self.last.as_str() < at {
            at.clone_into(&mut self.last);
        }
        if second > self.since + 1 {
            let kept = std::mem::take(&mut self.later);
            self.first = if second == self.since + 2 { kept } else { Seen::default() };
            self.since = second - 1;
        }
        let seen = match second - self.since {
            0 => &mut self.first,
            1 => &mut self.later,
            _ => return, // so late that the engine will not send it again either
        };
        if seen.n == 0 {
            at.clone_into(&mut seen.at);
        }
        seen.n += 1;
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
    let mut ended = false;
    loop {
        let since = output.as_ref().map_or(0, Output::since);
        match follow_once(&*runtime, &id, since, &mut output).await? {
            // Begun after the end, so everything was in it.
            Ok(()) if ended => break,
            // The stream ends with the container, but also when the engine stops.
            Ok(()) => {}
            Err(EngineError::NoSuch(_)) => break,
            Err(error) => tracing::debug!(container = id, %error, "output stream broke"),
        }
        if let Some(output) = &mut output {
            output.rewind();
        }
        ended = has_ended(&*runtime, &id).await;
        if !ended {
            tokio::time::sleep(RETRY).await;
        }
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

    /// Pieces come three to a time stamp, now and then one comes late.
    fn all(n: u64) -> Vec<LogPiece> {
        let mut pieces: Vec<LogPiece> = (0..n).map(|i| piece(i, i / 3 + i / 9)).collect();
        pieces.swap(5, 6);
        pieces
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
                let since = i64::from(second.since());
                let again =
                    |p: &&LogPiece| Timestamp::parse(&p.at).unwrap().as_ms() / 1000 >= since;
                let sent: Vec<LogPiece> = pieces.iter().filter(again).cloned().collect();
                second.take(&sent).unwrap();
                assert_eq!(text(temp.path(), "stdout"), side(false), "{marked} {killed}");
                assert_eq!(text(temp.path(), "stderr"), side(true), "{marked} {killed}");
            }
        }
    }

    #[test]
    fn pieces_the_engine_threw_away_are_not_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let open = || Output::open(temp.path(), temp.path().join("mark"), None).unwrap();
        let pieces: Vec<LogPiece> = (0..20).map(|i| piece(i * 7, i)).collect();
        let mut first = open();
        first.take(&pieces[..10]).unwrap();
        first.save_mark().unwrap();
        open().take(&pieces[12..]).unwrap();
        let lines: Vec<u64> = (0..20).filter(|i| !(10..12).contains(i)).map(|i| i * 7).collect();
        let expected: String = lines.iter().map(|n| format!("line {n}\n")).collect();
        assert_eq!(text(temp.path(), "stdout"), expected);
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
