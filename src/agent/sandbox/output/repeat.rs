//! What the engine sends twice.
//!
//! When the engine rotates its own file, a follower that has already read the beginning of the new
//! one is sent it again from its start (seen with engine 20.10, up to 17,000 pieces). Time goes
//! back then: the piece is not newer than the one before it of its stream, and it is one of those
//! that have just come. Everything that follows in the same order came before too.
//!
//! Parts of one long line have one time stamp and may be alike; only whole lines are taken for a
//! repetition of the newest piece.

use std::{
    cmp::Ordering,
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use crate::host::docker::logs::LogPiece;

/// Pieces remembered: twice of what was seen to come again at a million lines a second.
const REMEMBERED_MAX: usize = 32_768;

/// The newest pieces, as hashes, in the engine's order.
#[derive(Default)]
pub(super) struct Recent {
    seen: VecDeque<u64>,
    /// Newest time stamps of the two streams.
    newest: [String; 2],
    /// While pieces come again: which one of `seen` is the next.
    next: Option<usize>,
}

impl Recent {
    /// Remembers a piece that has come.
    fn note(&mut self, piece: &LogPiece) {
        if self.seen.len() == REMEMBERED_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(hash(piece));
        piece.at.clone_into(&mut self.newest[usize::from(piece.is_stderr)]);
    }

    /// Whether `piece` has come before; it is remembered if not.
    pub fn is_repeat(&mut self, piece: &LogPiece) -> bool {
        let newest = self.newest[usize::from(piece.is_stderr)].as_str();
        let goes_back = match piece.at.as_str().cmp(newest) {
            Ordering::Less => true,
            Ordering::Equal => piece.bytes.ends_with(b"\n"),
            Ordering::Greater => false,
        };
        // The engine may begin again in the middle of a repetition.
        let goes_on = self.next.filter(|n| self.seen.get(*n) == Some(&hash(piece)));
        let begins = || if goes_back { self.find(piece) } else { None };
        self.next = goes_on.or_else(begins).map(|n| n + 1);
        if self.next.is_none() {
            self.note(piece);
        }
        self.next.is_some()
    }

    /// The first of the remembered pieces that is like `piece`.
    fn find(&self, piece: &LogPiece) -> Option<usize> {
        let wanted = hash(piece);
        let last = self.seen.iter().rposition(|h| *h == wanted)?;
        // Parts of one long line may be alike.
        let n_before = self.seen.range(..last).rev().take_while(|h| **h == wanted).count();
        Some(last - n_before)
    }
}

fn hash(piece: &LogPiece) -> u64 {
    let mut hasher = DefaultHasher::new();
    (piece.is_stderr, &piece.at, &piece.bytes).hash(&mut hasher);
    hasher.finish()
}
