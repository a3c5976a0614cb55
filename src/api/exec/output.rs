//! The output of a session that outlives its connection: what was not confirmed yet, and a bounded
//! piece of what was, for a screen that is drawn anew.

use std::collections::VecDeque;

use bytes::Bytes;

/// Output its reader has not confirmed; past that the command waits.
pub const UNCONFIRMED_BYTES_MAX: u64 = 128 << 10;
/// Output kept in all. One piece more may stand behind it.
pub const KEPT_BYTES_MAX: u64 = 256 << 10;

/// Output from a position on, and how the command ended.
#[derive(Debug, Default)]
pub struct Output {
    pieces: VecDeque<Piece>,
    /// The position behind the last byte.
    end: u64,
    /// Everything before it has been received.
    confirmed: u64,
    last: Option<String>,
}

#[derive(Debug)]
struct Piece {
    at: u64,
    channel: u8,
    bytes: Bytes,
}

/// What comes at a position.
#[derive(Debug, PartialEq)]
pub enum Next<'a> {
    Piece(u8, Bytes),
    /// Nothing yet.
    Nothing,
    /// Nothing more; these are the command's last words.
    End(&'a str),
}

impl Output {
    /// Whether more may be taken from the command.
    pub fn has_room(&self) -> bool {
        self.end - self.confirmed < UNCONFIRMED_BYTES_MAX
    }

    pub fn push(&mut self, channel: u8, bytes: Bytes) {
        let at = self.end;
        self.end += bytes.len() as u64;
        self.pieces.push_back(Piece { at, channel, bytes });
        self.forget();
    }

    /// The command has ended; what it said last.
    pub fn finish(&mut self, last: String) {
        self.last = Some(last);
    }

    /// The reader has everything before `position`.
    pub fn confirm(&mut self, position: u64) {
        self.confirmed = self.confirmed.max(position.min(self.end));
        self.forget();
    }

    /// Where a reader goes on who has everything before `from`, or nothing: at the oldest byte that is
    /// kept.
    pub fn resume(&mut self, from: Option<u64>) -> u64 {
        let oldest = self.pieces.front().map_or(self.end, |piece| piece.at);
        let from = from.filter(|from| (oldest..=self.end).contains(from));
        if let Some(from) = from {
            self.confirm(from);
        }
        from.unwrap_or(oldest)
    }

    /// What a reader gets at `position`.
    pub fn next(&self, position: u64) -> Next<'_> {
        let after = self.pieces.partition_point(|piece| piece.at <= position);
        let piece = after.checked_sub(1).and_then(|i| self.pieces.get(i));
        match (piece, &self.last) {
            (Some(piece), _) if position < piece.at + piece.bytes.len() as u64 => {
                let read = usize::try_from(position - piece.at).unwrap_or(0);
                Next::Piece(piece.channel, piece.bytes.slice(read..))
            }
            (_, Some(last)) => Next::End(last),
            (_, None) => Next::Nothing,
        }
    }

    /// Lets go of the oldest that was received.
    fn forget(&mut self) {
        while let Some(oldest) = self.pieces.front() {
            let after = oldest.at + oldest.bytes.len() as u64;
            if self.end - oldest.at <= KEPT_BYTES_MAX || after > self.confirmed {
                return;
            }
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything from `position` on, with the channel of each byte.
    fn read(output: &Output, mut position: u64) -> Vec<(u8, u8)> {
        let mut all = Vec::new();
        while let Next::Piece(channel, bytes) = output.next(position) {
            position += bytes.len() as u64;
            all.extend(bytes.iter().map(|byte| (channel, *byte)));
        }
        all
    }

    proptest! {
        /// Whoever lost a connection anywhere goes on at the very next byte.
        #[test]
        fn nothing_is_lost_or_told_twice(
            pieces in proptest::collection::vec((1u8..3, 1usize..9), 1..30),
            received in 0usize..200,
        ) {
            let mut output = Output::default();
            let mut said = Vec::new();
            for (channel, n) in pieces {
                let bytes: Vec<u8> = (0..n).map(|i| u8::try_from(said.len() + i).unwrap_or(0)).collect();
                said.extend(bytes.iter().map(|byte| (channel, *byte)));
                output.push(channel, bytes.into());
            }
            let received = received.min(said.len());
            let from = output.resume(Some(received as u64));
            prop_assert_eq!(from, received as u64);
            prop_assert_eq!(read(&output, from), &said[received..]);
            output.finish("over".into());
            prop_assert_eq!(output.next(said.len() as u64), Next::End("over"));
        }
    }

    #[test]
    fn it_is_bounded_whether_anybody_listens_or_not() {
        let mut output = Output::default();
        let piece = Bytes::from(vec![7; 10_000]);
        while output.has_room() {
            output.push(1, piece.clone());
        }
        assert!(output.end < UNCONFIRMED_BYTES_MAX + 10_000, "unheard, the command waits");
        for _ in 0..1_000 {
            output.push(1, piece.clone());
            output.confirm(u64::MAX);
        }
        let kept: usize = output.pieces.iter().map(|piece| piece.bytes.len()).sum();
        assert!(kept as u64 <= KEPT_BYTES_MAX, "{kept}");
        // A new screen gets what is kept, and one that was away too long no nonsense.
        let oldest = output.end - kept as u64;
        assert_eq!((output.resume(None), output.resume(Some(3))), (oldest, oldest));
        assert_eq!(output.resume(Some(u64::MAX)), oldest);
    }
}
