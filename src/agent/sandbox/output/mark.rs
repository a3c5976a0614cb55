//! The note of how far a container's output has been taken over.

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;

/// How far the engine's output has been taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The second the engine is asked from: the one before the newest piece's, because pieces of
    /// the two streams may be a little out of order. 0: from the beginning.
    pub since: i64,
    /// Pieces had with a time stamp in that second, and in the one after it.
    first: Seen,
    later: Seen,
    /// Newest time stamp.
    pub last: String,
    pub stdout: Written,
    pub stderr: Written,
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
pub(super) struct Written {
    /// All bytes ever written up to the mark.
    pub total: u64,
    /// The file written to, and how many bytes had been written before its first.
    pub inode: u64,
    pub base: u64,
    /// The newest piece, where it did not end with a line break.
    pub cut: Option<Cut>,
}

/// The newest piece of a line whose end has not come yet, or came without its line break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cut {
    /// Time stamp, the same for all parts of a line.
    pub at: String,
    /// Parts so far.
    pub n_parts: u32,
    /// The newest part is as long as a part can be.
    pub is_full: bool,
}

/// What of a new stream is known already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Replay {
    /// Nothing has come yet; so many pieces should be the known ones.
    Expect(u64),
    /// So many known pieces are still to come.
    Known(u64),
    /// The engine has thrown the known pieces away: what is older than the mark is known.
    Until(String),
    Over,
}

impl Mark {
    pub fn replay(&self) -> Replay {
        Replay::Expect(self.first.n + self.later.n)
    }

    /// Time stamp of the first counted piece; another one at its place means that the engine has
    /// rotated it away.
    pub fn beginning(&self) -> &str {
        if self.first.n > 0 { &self.first.at } else { &self.later.at }
    }

    /// Counts a piece that was taken.
    pub fn count(&mut self, at: &str) {
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
