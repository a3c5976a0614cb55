//! Bytes of everything that is kept: a version byte, then a message (`base::wire`).
//!
//! An unknown version is an error, never a guess. No checksum is added: RocksDB checks its blocks
//! and its write-ahead log, TLS checks its records.
//!
//! A log entry's payload is one batch of commands, each encoded by its proposer:
//!
//! ```text
//! version │ origin u64 │ epoch u64 │ seq u64 │ n u32 │ n × (length u32, bytes)     little-endian
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::machine::{Machine, Stamped};
use crate::base::wire::{self, Message, WireError};

/// Bytes that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error(
        "{what} has version {found}, this release reads {known}: {}",
        if found > known {
            "it is of a newer release, start that one"
        } else {
            "it was made by a program before the first release, begin with an empty directory"
        }
    )]
    Version { what: &'static str, found: u8, known: u8 },
    #[error("{what} cannot be read")]
    Malformed {
        what: &'static str,
        #[source]
        source: WireError,
    },
    #[error("{what} is cut short")]
    Short { what: &'static str },
    #[error("stored state is inconsistent: {0}")]
    Invalid(String),
    #[error(
        "the cluster is at level {level}, this release (tepui {}) can do {ours}: \
         start the release that raised it, or a later one",
        env!("CARGO_PKG_VERSION")
    )]
    Level { level: u32, ours: u32 },
}

/// Writes `value` behind `version`.
pub fn encode<T: Message>(version: u8, value: &T) -> Vec<u8> {
    wire::encode_versioned(version, value)
}

/// Reads what [`encode`] wrote, if its version is `version`.
pub fn decode<T: Message>(what: &'static str, version: u8, bytes: &[u8]) -> Result<T, CodecError> {
    let (found, rest) = split(what, bytes)?;
    if found != version {
        return Err(CodecError::Version { what, found, known: version });
    }
    T::read(rest).map_err(|source| CodecError::Malformed { what, source })
}

/// The version byte and what follows it.
pub fn split<'a>(what: &'static str, bytes: &'a [u8]) -> Result<(u8, &'a [u8]), CodecError> {
    bytes.split_first().map(|(v, rest)| (*v, rest)).ok_or(CodecError::Short { what })
}

/// The bytes of one command.
pub fn encode_command<M: Machine>(command: &Stamped<M::Command>) -> Bytes {
    encode(M::COMMAND_VERSION, command).into()
}

/// Reads one command, of this release or an older one.
pub fn decode_command<M: Machine>(bytes: &[u8]) -> Result<Stamped<M::Command>, CodecError> {
    let (version, rest) = split("command", bytes)?;
    if version == M::COMMAND_VERSION {
        Stamped::read(rest).map_err(|source| CodecError::Malformed { what: "command", source })
    } else {
        M::upgrade_command(version, rest)
    }
}

const BATCH_VERSION: u8 = 1;
const BATCH_HEAD_BYTES: usize = 1 + 8 + 8 + 8 + 4;

/// Who submitted a batch: its master, that master's run, and a number within the run. The
/// submitter finds the waiting proposers of a batch by it when the batch is applied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Origin {
    pub member: u64,
    pub epoch: u64,
    pub seq: u64,
}

/// Joins encoded commands into one payload.
pub fn encode_batch(origin: Origin, commands: &[Bytes]) -> Bytes {
    let body: usize = commands.iter().map(|c| 4 + c.len()).sum();
    let mut out = BytesMut::with_capacity(BATCH_HEAD_BYTES + body);
    out.put_u8(BATCH_VERSION);
    out.put_u64_le(origin.member);
    out.put_u64_le(origin.epoch);
    out.put_u64_le(origin.seq);
    out.put_u32_le(u32::try_from(commands.len()).expect("a batch is bounded far below 2^32"));
    for command in commands {
        out.put_u32_le(u32::try_from(command.len()).expect("a command is bounded below 4 GiB"));
        out.put_slice(command);
    }
    out.freeze()
}

/// Splits a payload into its origin and its encoded commands, which share the payload's memory.
pub fn decode_batch(mut bytes: Bytes) -> Result<(Origin, Vec<Bytes>), CodecError> {
    const WHAT: &str = "batch";
    if bytes.len() < BATCH_HEAD_BYTES {
        return Err(CodecError::Short { what: WHAT });
    }
    let found = bytes.get_u8();
    if found != BATCH_VERSION {
        return Err(CodecError::Version { what: WHAT, found, known: BATCH_VERSION });
    }
    let origin =
        Origin { member: bytes.get_u64_le(), epoch: bytes.get_u64_le(), seq: bytes.get_u64_le() };
    let n = bytes.get_u32_le() as usize;
    let mut commands = Vec::with_capacity(n.min(bytes.len() / 4));
    for _ in 0..n {
        if bytes.len() < 4 {
            return Err(CodecError::Short { what: WHAT });
        }
        let length = bytes.get_u32_le() as usize;
        if bytes.len() < length {
            return Err(CodecError::Short { what: WHAT });
        }
        commands.push(bytes.split_to(length));
    }
    Ok((origin, commands))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_batch_reads_back_as_written(
            member: u64, epoch: u64, seq: u64,
            commands in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        ) {
            let origin = Origin { member, epoch, seq };
            let commands: Vec<Bytes> = commands.into_iter().map(Bytes::from).collect();
            let (o, c) = decode_batch(encode_batch(origin, &commands)).unwrap();
            prop_assert_eq!(o, origin);
            prop_assert_eq!(c, commands);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_batch(Bytes::from(bytes.clone()));
            let _ = decode::<(u64, String)>("pair", 1, &bytes);
        }
    }

    #[test]
    fn an_unknown_version_is_refused() {
        let bytes = encode(3, &(7_u32, true));
        assert_eq!(decode::<(u32, bool)>("pair", 3, &bytes).unwrap(), (7, true));
        let refused = |known| decode::<(u32, bool)>("pair", known, &bytes).unwrap_err().to_string();
        assert_eq!(
            refused(2),
            "pair has version 3, this release reads 2: it is of a newer release, start that one"
        );
        assert!(refused(4).contains("before the first release"), "{}", refused(4));
    }
}
