//! Making a backup: the rows of one copy of the log's state, written as fast as somebody takes them.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

use super::{
    archive::{Head, Piece, Row, Writer},
    error::ArchiveError,
};
use crate::{
    base::clock::Timestamp,
    control::backup::Lock,
    core::{State, history, table::Fingerprint},
    host::pki::Authority,
    log::{Copied, peer::wire::IMAGE_CHUNK_BYTES},
    model::NodeId,
};

/// Bytes handed on at a time.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait to be taken.
const PIECES_WAITING_MAX: usize = 4;
/// Whoever takes nothing for so long is given up.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// What a backup is made of.
pub struct Source {
    pub copied: Copied,
    pub authority: Arc<Authority>,
    /// The master that makes it, and the node that it is.
    pub master: u64,
    pub node: NodeId,
    pub made_at: Timestamp,
}

/// The file name of a backup of a cluster.
pub fn name(cluster: &str, made_at: Timestamp) -> String {
    let at: String = made_at.to_string().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    format!("{}{at}{ENDING}", prefix(cluster))
}

const ENDING: &str = ".backup";

/// What the names of all backups of a cluster begin with.
pub fn prefix(cluster: &str) -> String {
    let short: String = cluster.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("tepui-{short}-")
}

/// When the backup of that name was made, if it is one of the cluster.
pub fn made_at(cluster: &str, name: &str) -> Option<Timestamp> {
    let at = name.strip_prefix(&prefix(cluster))?.strip_suffix(ENDING)?;
    let (day, time) = at.strip_suffix('Z')?.split_once('T')?;
    if day.len() != 8 || time.len() != 9 || !(day.is_ascii() && time.is_ascii()) {
        return None;
    }
    let (y, m, d) = (&day[..4], &day[4..6], &day[6..]);
    let (h, min, s, ms) = (&time[..2], &time[2..4], &time[4..6], &time[6..]);
    Timestamp::parse(&format!("{y}-{m}-{d}T{h}:{min}:{s}.{ms}Z"))
}

/// Writes a backup on a blocking thread; `done` is let go of at its end.
pub fn stream(
    source: Source,
    lock: Lock,
    done: impl Send + 'static,
) -> mpsc::Receiver<Result<Bytes, String>> {
    let (to, pieces) = mpsc::channel(PIECES_WAITING_MAX);
    tokio::task::spawn_blocking(move || {
        let _done = done;
        let pipe = Pipe { to: to.clone(), piece: Vec::with_capacity(PIECE_BYTES) };
        let written = write(&source, &lock, pipe).and_then(|pipe| Ok(pipe.end()?));
        if let Err(error) = written {
            let error = crate::base::error::chain(&error);
            tracing::warn!(error, "a backup was not finished");
            // Nobody may be there any more.
            let _ = Handle::current().block_on(timeout(TAKEN_WITHIN, to.send(Err(error))));
        }
    });
    pieces
}

/// Writes a backup.
pub fn write<W: Write>(source: &Source, lock: &Lock, out: W) -> Result<W, ArchiveError> {
    let mut rows = source.copied.rows();
    // The first two say whose the rest is.
    let first: Vec<Row> = rows.by_ref().take(2).collect();
    let mut known = State::default();
    for (key, value) in &first {
        let read = known.load_row(key, value);
        read.map_err(|error| ArchiveError::Content(crate::base::error::chain(&error)))?;
    }
    let cluster = known.cluster.as_deref();
    let cluster = cluster.ok_or_else(|| ArchiveError::Content("there is no cluster".to_owned()))?;
    let at = source.copied.at;
    let head = Head {
        release: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: cluster.id.clone(),
        name: cluster.name.clone(),
        level: cluster.level,
        made_at: source.made_at,
        at: known.at,
        revision: known.revision,
        term: at.leader_id.term,
        index: at.index,
        master: source.master,
        node: source.node.clone(),
    };
    let mut writer = Writer::begin(out, &head, lock)?;
    let (certificate, key) = source.authority.secrets();
    writer.put(&Piece::Authority { certificate, key })?;
    let mut batch = Batch::default();
    let mut records = Batch::default();
    let mut fingerprint = Fingerprint::default();
    for (key, value) in first.into_iter().chain(rows) {
        if history::is_row(&key) {
            batch.flush(&mut writer, |rows| Piece::State { rows })?;
            records.add((key, value), &mut writer, |rows| Piece::History { rows })?;
        } else {
            fingerprint.add(&key, &value);
            batch.add((key, value), &mut writer, |rows| Piece::State { rows })?;
        }
    }
    batch.flush(&mut writer, |rows| Piece::State { rows })?;
    records.flush(&mut writer, |rows| Piece::History { rows })?;
    writer.put(&Piece::End {
        n_rows: batch.n_rows,
        n_records: records.n_rows,
        fingerprint: fingerprint.number(),
    })?;
    writer.finish()
}

/// Rows that go into one piece.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    n_bytes: usize,
    /// All of them so far.
    n_rows: u64,
}

impl Batch {
    fn add<W: Write>(
        &mut self,
        row: Row,
        writer: &mut Writer<W>,
        piece: impl FnOnce(Vec<Row>) -> Piece,
    ) -> Result<(), ArchiveError> {
        self.n_bytes += row.0.len() + row.1.len();
        self.n_rows += 1;
        self.rows.push(row);
        if self.n_bytes < IMAGE_CHUNK_BYTES { Ok(()) } else { self.flush(writer, piece) }
    }

    fn flush<W: Write>(
        &mut self,
        writer: &mut Writer<W>,
        piece: impl FnOnce(Vec<Row>) -> Piece,
    ) -> Result<(), ArchiveError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.n_bytes = 0;
        writer.put(&piece(std::mem::take(&mut self.rows)))
    }
}

/// Hands bytes on to whoever takes them, and waits for him.
struct Pipe {
    to: mpsc::Sender<Result<Bytes, String>>,
    piece: Vec<u8>,
}

impl Pipe {
    fn send(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        let sending = timeout(TAKEN_WITHIN, self.to.send(Ok(piece.into())));
        match Handle::current().block_on(sending) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => {
                Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes it any more"))
            }
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "nobody takes it")),
        }
    }

    fn end(mut self) -> io::Result<()> {
        if self.piece.is_empty() { Ok(()) } else { self.send() }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    /// What is here goes on with what follows.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
