//! The bytes of a backup.
//!
//! ```text
//! "tepui backup 1\n" │ length u32, Head │ an age file, in which, packed by gzip:  n × (length u32, Piece)
//! ```
//!
//! Lengths have their high bytes first. The rows in its pieces are those of the store and of what masters send
//! each other, so there is no other format of a state. The pieces come in the order of their kinds. The first
//! is the head once more: what stands in clear is worth what the encrypted one says.

use std::io::{self, Read, Write};

use age::stream::{StreamReader, StreamWriter};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::{
    error::ArchiveError,
    lock::{self, Key},
};
use crate::{
    base::{
        clock::Timestamp,
        level::LEVEL,
        wire::{self, Message as _},
    },
    choice,
    control::backup::Lock,
    log::{machine::RowKey, peer::wire::FRAME_BYTES_MAX},
    message,
    model::NodeId,
};

const MAGIC: &str = "tepui backup ";
/// Of what stands behind the head in clear, and of the kinds of pieces' order.
const FORMAT: u32 = 1;
/// The magic words with a number of any release.
const MAGIC_BYTES_MAX: usize = 32;
const HEAD_BYTES_MAX: usize = 64 << 10;

/// What a backup is of. It stands in it in clear.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// tepui's version that made it.
    pub release: String,
    /// The cluster's id.
    pub cluster: String,
    /// Its name.
    pub name: String,
    pub level: u32,
    pub made_at: Timestamp,
    /// The latest time of what it holds.
    pub at: Timestamp,
    /// Commands that led to it.
    pub revision: u64,
    /// The last entry of the log that it holds.
    pub term: u64,
    pub index: u64,
    /// The master that made it, and the node that it is.
    pub master: u64,
    pub node: NodeId,
}

message!(Head {
    1: release,
    2: cluster,
    3: name,
    4: level,
    5: made_at,
    6: at,
    7: revision,
    8: term,
    9: index,
    10: master,
    11: node,
});

/// A row of a store.
pub type Row = (RowKey, Vec<u8>);

/// One part of what is encrypted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    Head(Head),
    /// The cluster's authority: its certificate, and its key in PKCS #8.
    Authority {
        certificate: Vec<u8>,
        key: Vec<u8>,
    },
    /// Rows of the state, in its own order.
    State {
        rows: Vec<Row>,
    },
    /// Records of the history, oldest first.
    History {
        rows: Vec<Row>,
    },
    /// The end: how many rows of each there were, and the fingerprint of the state.
    End {
        n_rows: u64,
        n_records: u64,
        fingerprint: u64,
    },
}

choice!(Piece {
    1: Head(head),
    2: Authority { 1: certificate, 2: key },
    3: State { 1: rows },
    4: History { 1: rows },
    5: End { 1: n_rows, 2: n_records, 3: fingerprint },
});

/// Writes one.
pub struct Writer<W: Write> {
    packed: GzEncoder<StreamWriter<W>>,
}

impl<W: Write> Writer<W> {
    /// Writes what stands in clear and begins what does not.
    pub fn begin(mut out: W, head: &Head, lock: &Lock) -> Result<Self, ArchiveError> {
        out.write_all(format!("{MAGIC}{FORMAT}\n").as_bytes())?;
        put_frame(&mut out, &wire::encode(head))?;
        let locked = lock::locked(out, lock)?;
        let mut writer = Self { packed: GzEncoder::new(locked, Compression::fast()) };
        writer.put(&Piece::Head(head.clone()))?;
        Ok(writer)
    }

    pub fn put(&mut self, piece: &Piece) -> Result<(), ArchiveError> {
        Ok(put_frame(&mut self.packed, &wire::encode(piece))?)
    }

    /// Writes the end of it and gives back where it was written to.
    pub fn finish(self) -> Result<W, ArchiveError> {
        Ok(self.packed.finish()?.finish()?)
    }
}

/// Reads one.
pub struct Reader<R: Read> {
    unpacked: GzDecoder<StreamReader<R>>,
}

/// Reads what stands in clear.
pub fn head<R: Read>(source: &mut R) -> Result<Head, ArchiveError> {
    let mut magic = Vec::new();
    while !magic.ends_with(b"\n") {
        let mut byte = [0];
        if magic.len() >= MAGIC_BYTES_MAX || source.read(&mut byte)? == 0 {
            return Err(ArchiveError::NoBackup);
        }
        magic.push(byte[0]);
    }
    let text = std::str::from_utf8(&magic).ok().and_then(|text| text.strip_prefix(MAGIC));
    let format = text.and_then(|format| format.trim_end().parse().ok());
    match format {
        Some(FORMAT) => {}
        Some(found) => return Err(ArchiveError::NewerFormat { found, known: FORMAT }),
        None => return Err(ArchiveError::NoBackup),
    }
    let frame = frame(source, HEAD_BYTES_MAX)?;
    let frame = frame.ok_or_else(|| ArchiveError::damaged("it ends within its head"))?;
    let head = Head::read(&frame).map_err(ArchiveError::wire)?;
    if head.level > LEVEL {
        let Head { release, level, .. } = head;
        return Err(ArchiveError::NewerLevel { release, level });
    }
    Ok(head)
}

impl<R: Read> Reader<R> {
    /// Opens what stands behind the head.
    pub fn open(source: R, head: &Head, key: &Key) -> Result<Self, ArchiveError> {
        let mut reader = Self { unpacked: GzDecoder::new(lock::opened(source, key)?) };
        match reader.next()? {
            Some(Piece::Head(inner)) if inner == *head => Ok(reader),
            Some(_) => Err(ArchiveError::damaged("its head is not the one that was encrypted")),
            None => Err(ArchiveError::damaged("it is empty")),
        }
    }

    /// The next piece; `None` at the end of what was written.
    pub fn next(&mut self) -> Result<Option<Piece>, ArchiveError> {
        match frame(&mut self.unpacked, FRAME_BYTES_MAX)? {
            Some(frame) => Piece::read(&frame).map(Some).map_err(ArchiveError::wire),
            None => {
                // The last of it says that nothing was cut off.
                let rest = io::copy(self.unpacked.get_mut(), &mut io::sink());
                match rest.map_err(broken)? {
                    0 => Ok(None),
                    n => Err(ArchiveError::damaged(format!("{n} bytes follow its end"))),
                }
            }
        }
    }
}

fn put_frame(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(bytes)
}

/// The next frame; `None` where there is none any more.
fn frame(source: &mut impl Read, bytes_max: usize) -> Result<Option<Vec<u8>>, ArchiveError> {
    let mut length = [0; 4];
    let mut n_read = 0;
    while n_read < length.len() {
        match source.read(&mut length[n_read..]).map_err(broken)? {
            0 if n_read == 0 => return Ok(None),
            0 => return Err(ArchiveError::damaged("it ends within a piece")),
            n => n_read += n,
        }
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > bytes_max {
        return Err(ArchiveError::damaged(format!("a piece of {length} bytes")));
    }
    // Room is made as it comes: the length may be of anybody's making.
    let mut bytes = Vec::new();
    source.take(length as u64).read_to_end(&mut bytes).map_err(broken)?;
    match bytes.len() == length {
        true => Ok(Some(bytes)),
        false => Err(ArchiveError::damaged("it ends within a piece")),
    }
}

/// What the layers below say of bytes that are not what was written.
fn broken(error: io::Error) -> ArchiveError {
    use io::ErrorKind as E;
    match error.kind() {
        E::InvalidData | E::InvalidInput | E::UnexpectedEof => ArchiveError::damaged(error),
        _ => ArchiveError::Io(error),
    }
}
