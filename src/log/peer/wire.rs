//! The frames masters exchange, with their bounds.
//!
//! A frame is a 4-byte big-endian length and a message (`base::wire`, `log::shapes`). The first frame of a connection is `Hello`;
//! a peer of another cluster, another protocol, or meant for another master is refused there.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use tokio_util::codec::LengthDelimitedCodec;

use crate::{
    base::{
        limit,
        wire::{self, Message, WireError},
    },
    log::{
        machine::RowKey,
        types::{ImageMeta, MemberId, Payload, Types, Vote},
    },
};

/// Versions of this protocol that this release speaks. A field or a kind of call more is no new one.
pub const VERSIONS: std::ops::RangeInclusive<u32> = 2..=2;
/// Opening a connection, TLS included.
pub const CONNECT: Duration = Duration::from_secs(2);
/// A connection on which an answer is due and nothing arrives for this long is given up.
pub const SILENT_MAX: Duration = Duration::from_millis(1_500);
/// A connection nobody uses for this long is closed by the caller; the answering side waits twice
/// as long before it takes the caller for dead.
pub const IDLE_MAX: Duration = Duration::from_secs(10);
/// A question is asked after this much silence, to tell a slow answer from a dead peer.
pub const PING_AFTER: Duration = Duration::from_millis(500);
/// One frame: the largest command with its envelope, or one message of entries.
pub const FRAME_BYTES_MAX: usize = 2 * limit::BODY_BYTES_MAX + (1 << 20);
/// Requests on their way to one peer; past that callers get an error at once.
pub const CALLS_WAITING_MAX: usize = 1_024;
/// Requests of one peer worked on at a time.
pub const CALLS_SERVED_MAX: usize = 256;
/// Connections of peers served at a time; a cluster has at most a handful of masters.
pub const CONNECTIONS_MAX: usize = 64;
/// Writing one frame.
pub const SEND: Duration = Duration::from_secs(10);
/// Handling one chunk of a snapshot, and putting a whole one in force.
pub const IMAGE_CHUNK: Duration = Duration::from_secs(10);
pub const IMAGE_INSTALL: Duration = Duration::from_secs(120);
/// Rows of a snapshot are joined into chunks of about this size.
pub const IMAGE_CHUNK_BYTES: usize = 256 << 10;

/// Opens a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Versions of the protocol the caller speaks.
    pub oldest: u32,
    pub newest: u32,
    /// tepui's version, for people.
    pub release: String,
    pub cluster: String,
    pub from: MemberId,
    pub to: MemberId,
}

#[derive(Debug)]
pub struct Request {
    pub id: u64,
    pub call: Call,
    pub since: Option<Since>,
}

/// As of when a leader tells what is committed. Clocks of two masters cannot be compared, and a message
/// may be long on its way, or lie where its receiver stands still; but it was sent after an answer
/// of the receiver had come, and of that the receiver knows the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Since {
    /// The request of this connection whose answer had come last.
    pub answered: u64,
    /// So many milliseconds before the message was made.
    pub ago_ms: u64,
}

#[derive(Debug)]
pub struct Response {
    pub id: u64,
    pub reply: Reply,
}

#[derive(Debug)]
pub enum Call {
    Ping,
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<MemberId>),
    /// Starts a snapshot; rows of an earlier unfinished one are dropped.
    ImageBegin {
        vote: Vote,
        meta: ImageMeta,
    },
    ImageRows {
        transfer: u64,
        rows: Vec<(RowKey, Vec<u8>)>,
    },
    ImageEnd {
        transfer: u64,
    },
    /// Encoded commands for the leader.
    Forward(Vec<Payload>),
    /// Asks the leader how far a reader must be to have seen every acknowledged command.
    Barrier,
    /// Asks a follower to stand for election now, because the leader is about to stop.
    Elect,
    /// Asks for the fingerprint of the state after an entry.
    Fingerprint {
        index: u64,
    },
    /// Says that the state after an entry is not what most masters have.
    Differs {
        index: u64,
        fingerprint: u64,
    },
    /// Asks the leader something that the log does not look into (`log::question`). It needs no level:
    /// no release that does not know it can have more than one master.
    Ask(Payload),
    /// Asks whether a leader is heard, before one stands for election. It needs no level, for the same
    /// reason.
    Hears,
}

#[derive(Debug)]
pub enum Reply {
    Pong,
    Append(AppendEntriesResponse<MemberId>),
    Vote(VoteResponse<MemberId>),
    /// The transfer's number.
    ImageBegun(u64),
    ImageTaken,
    /// The receiver's vote; higher than the sender's if the snapshot was refused.
    ImageDone(Vote),
    /// One answer per command: revision and encoded outcome, or why there is none.
    Forwarded(Vec<Result<(u64, Payload), Refused>>),
    Barrier(u64),
    Elected,
    Refused(Refused),
    Fingerprint(u64),
    Told,
    Answered(Payload),
    Hears(bool),
}

/// Why a peer did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("not the leader")]
    NotLeader,
    #[error("too many commands are waiting")]
    Busy,
    #[error("the disk is full")]
    DiskFull,
    /// The command may or may not take effect.
    #[error("no answer in time")]
    Unknown,
    #[error("consensus stopped: {0}")]
    Stopped(String),
    #[error("{0}")]
    Other(String),
}

/// The framing of both directions.
pub fn framing() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(FRAME_BYTES_MAX).new_codec()
}

/// The frame of a message.
pub fn encode<T: Message>(message: &T) -> Bytes {
    wire::encode(message).into()
}

/// Reads a message from its frame.
pub fn decode<T: Message>(frame: &BytesMut) -> Result<T, WireError> {
    T::read(frame)
}
