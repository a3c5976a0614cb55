//! A task's output: from the engine's own files into `stdout` and `stderr`.
//!
//! The engine keeps the output while this process is away, so nothing is lost over a restart; the
//! follower picks up where it stopped. Its `Mark` says how many pieces it has had since a whole
//! second shortly before the last one (asked for the same second, the engine sends the same pieces
//! in the same order) and how many bytes were written up to then. After a crash the files are ahead
//! of the last mark by what was written since; exactly that many bytes are skipped when the pieces
//! after the mark come again. A disk without room is a crash like any other: the follower begins
//! anew from the mark until there is room.
//!
//! A file that reaches `limit::LOG_FILE_BYTES_MAX` becomes `stdout.1` and a new one is begun. The
//! mark names the file it counts in by inode number, so a crash between the two steps is seen.
//!
//! The files lie where no task can write; `rotated` shows them in the sandbox. `repeat` knows what
//! the engine sends twice, `times` keeps when each part was said.
//!
//! The engine passes bytes on as they are but cuts long lines into parts. Engines before version 23
//! leave out the line break behind the last part; it is put back when the next piece comes, which
//! is no part of that line because its time stamp is another. Behind the very last line nobody can
//! tell whether there was one; there usually is.
//!
//! A terminal's output comes in lines; one longer than 16 KiB carries the engine's time stamps of
//! its later parts.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::{
    agent::runtime::Runtime,
    base::limit,
    host::docker::{
        EngineError,
        logs::{LogPiece, PART_BYTES},
    },
};

mod last;
mod mark;
mod repeat;
mod rotated;
pub mod times;
#[cfg(test)]
mod tests;

pub use last::last;
use mark::{Cut, Mark, Replay, Written};
use repeat::Recent;
use rotated::Rotated;

/// Pieces written in one go.
const BATCH_MAX: usize = 256;
/// The mark is written at least this often while there is output.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// How long the follower waits before it asks again after the stream broke.
const RETRY: Duration = Duration::from_millis(500);
/// How long it waits for room on the disk at most before it tries again.
const RETRY_DISK_MAX: Duration = Duration::from_secs(5);

/// Where the output of one container goes.
#[derive(Clone, Debug)]
pub struct Files {
    /// Holds `stdout` and `stderr`; no task can write here.
    pub dir: PathBuf,
    /// Where the task sees them.
    pub sandbox: PathBuf,
    /// The note of how far it has come.
    pub mark: PathBuf,
}

/// The output files of one container.
struct Output {
    mark_file: PathBuf,
    mark: Mark,
    stdout: Rotated,
    stderr: Rotated,
    /// Bytes of each stream that are in the files already and will come again.
    skip: (u64, u64),
    replay: Replay,
    recent: Recent,
    marked: Instant,
}

impl Output {
    /// Opens the files, with the mark of a former follower if there is one.
    fn open(files: &Files) -> io::Result<Self> {
        let mut mark: Mark = fs::read(&files.mark)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let (stdout, stderr) = (Rotated::open(files, "stdout")?, Rotated::open(files, "stderr")?);
        let skip = (stdout.catch_up(&mut mark.stdout)?, stderr.catch_up(&mut mark.stderr)?);
        let replay = mark.replay();
        Ok(Self {
            mark_file: files.mark.clone(),
            mark,
            stdout,
            stderr,
            skip,
            replay,
            recent: Recent::default(),
            marked: Instant::now(),
        })
    }

    /// Where to ask the engine to begin, in seconds since the epoch.
    fn since(&self) -> i32 {
        i32::try_from(self.mark.since).unwrap_or(0)
    }

    /// Takes in pieces in the engine's order.
    fn take(&mut self, pieces: &[LogPiece]) -> io::Result<()> {
        for piece in pieces {
            // What comes twice was counted once: it is told apart first, also among the known ones.
            if !self.recent.is_repeat(piece) && !self.is_known(piece) {
                self.append(piece)?;
            }
        }
        self.stdout.write_times();
        self.stderr.write_times();
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
        let (_, written, _) = self.stream(piece.is_stderr);
        if piece.loses_breaks {
            let before = written.cut.take();
            let goes_on = before.as_ref().filter(|cut| cut.at == piece.at);
            let n_parts = goes_on.map_or(0, |cut| cut.n_parts) + 1;
            let is_open = !piece.bytes.ends_with(b"\n");
            let is_full = piece.bytes.len() == PART_BYTES;
            let (at, lacks_break) = (piece.at.clone(), before.is_some() && goes_on.is_none());
            written.cut = is_open.then_some(Cut { at, n_parts, is_full });
            if lacks_break {
                self.put(piece.is_stderr, b"\n", &piece.at)?;
            }
        }
        self.put(piece.is_stderr, &piece.bytes, &piece.at)?;
        self.mark.count(&piece.at);
        let (file, written, skip) = self.stream(piece.is_stderr);
        if file.bytes() >= limit::LOG_FILE_BYTES_MAX && *skip == 0 {
            file.rotate(written)?;
            return self.save_mark();
        }
        Ok(())
    }

    /// Writes what is not in the file yet.
    fn put(&mut self, is_stderr: bool, bytes: &[u8], at: &str) -> io::Result<()> {
        let (file, written, skip) = self.stream(is_stderr);
        let n = bytes.len() as u64;
        let known = n.min(*skip);
        *skip -= known;
        written.total += n;
        let fresh = bytes.get(usize::try_from(known).unwrap_or(usize::MAX)..);
        fresh.filter(|f| !f.is_empty()).map_or(Ok(()), |fresh| file.write(fresh, at))
    }

    fn stream(&mut self, is_stderr: bool) -> (&mut Rotated, &mut Written, &mut u64) {
        if is_stderr {
            (&mut self.stderr, &mut self.mark.stderr, &mut self.skip.1)
        } else {
            (&mut self.stdout, &mut self.mark.stdout, &mut self.skip.0)
        }
    }

    /// Forgets what is in flight: the next stream begins at the mark.
    fn rewind(&mut self) {
        self.replay = self.mark.replay();
        self.recent = Recent::default();
    }

    /// Everything has come.
    fn finish(&mut self) -> io::Result<()> {
        for is_stderr in [false, true] {
            let (_, written, _) = self.stream(is_stderr);
            // A full part without its line break would have been followed by an empty one.
            if written.cut.take().is_some_and(|cut| cut.n_parts > 1 && !cut.is_full) {
                let at = self.mark.last.clone();
                self.put(is_stderr, b"\n", &at)?;
            }
        }
        self.stdout.write_times();
        self.stderr.write_times();
        self.save_mark()
    }

    fn save_mark(&mut self) -> io::Result<()> {
        self.marked = Instant::now();
        let text = serde_json::to_vec(&self.mark)?;
        let fresh = self.mark_file.with_extension("new");
        fs::write(&fresh, text)?;
        fs::rename(&fresh, &self.mark_file)
    }
}

/// Follows container `id` until it has ended and all its output is in the files. A disk that takes
/// nothing is waited for; fails only when the files' directories are gone.
pub async fn follow(runtime: Arc<dyn Runtime>, id: String, files: Files) -> io::Result<()> {
    let mut wait = RETRY;
    loop {
        match follow_to_end(&*runtime, &id, &files).await {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error),
            Err(error) if wait == RETRY => {
                tracing::warn!(container = id, %error, "output cannot be written, trying again");
            }
            Err(error) => tracing::debug!(container = id, %error, "output cannot be written"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_DISK_MAX);
    }
}

async fn follow_to_end(runtime: &dyn Runtime, id: &str, files: &Files) -> io::Result<()> {
    let opened = files.clone();
    let opened = tokio::task::spawn_blocking(move || Output::open(&opened)).await;
    let mut output = Some(opened.map_err(io::Error::other)??);
    let mut ended = false;
    loop {
        let since = output.as_ref().map_or(0, Output::since);
        match follow_once(runtime, id, since, &mut output).await? {
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
        ended = has_ended(runtime, id).await;
        if !ended {
            tokio::time::sleep(RETRY).await;
        }
    }
    on_disk(&mut output, Output::finish).await
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
