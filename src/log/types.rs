//! The types openraft works with. Everything below the state machine is bytes, so that none of it
//! is generic: an entry's payload is an encoded batch, a snapshot is a stream of rows.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use super::{codec::CodecError, machine::RowKey};

/// Number of a master within its cluster.
pub type MemberId = u64;

/// Where a master's log is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// `host:port` of its peer listener.
    pub address: String,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// One batch of commands, as [`super::codec::encode_batch`] wrote it.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(pub Bytes);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

/// Rows of a state, whatever its machine.
pub type Rows<'a> = Box<dyn Iterator<Item = (RowKey, Vec<u8>)> + Send + 'a>;

/// An immutable state that can list its rows.
pub trait View: Send + Sync {
    fn rows(&self) -> Rows<'_>;
}

/// A whole state on its way from one master to another.
#[derive(Clone)]
pub enum Image {
    /// At the sender: a state in memory. Taking one costs nothing, as states are persistent maps.
    View(Arc<dyn View>),
    /// At the receiver: rows in the store's staging area, not in force before they are installed.
    Staged,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::View(_) => "Image::View",
            Self::Staged => "Image::Staged",
        })
    }
}

openraft::declare_raft_types!(
    /// openraft's type configuration.
    pub Types:
        D = Payload,
        R = (),
        NodeId = MemberId,
        Node = Member,
        Entry = openraft::Entry<Types>,
        SnapshotData = Image,
        Responder = openraft::impls::OneshotResponder<Types>,
        AsyncRuntime = openraft::TokioRuntime,
);

pub type Entry = openraft::Entry<Types>;
pub type LogId = openraft::LogId<MemberId>;
pub type Vote = openraft::Vote<MemberId>;
pub type Membership = openraft::StoredMembership<MemberId, Member>;
pub type ImageMeta = openraft::SnapshotMeta<MemberId, Member>;
pub type StorageError = openraft::StorageError<MemberId>;

/// An unreadable stored thing as openraft's error; it stops the node's consensus.
pub fn unreadable(error: &CodecError) -> StorageError {
    openraft::StorageIOError::read(openraft::AnyError::new(error)).into()
}
