//! What is looked for in an output stream, and what was found there.

use std::time::Duration;

use crate::base::pattern::Pattern;

/// A line is told as far as this.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// Bytes asked of a file at once.
pub const PIECE_BYTES: u64 = 128 << 10;
/// Lines that an answer may have more, for all of the moment it ends with.
const MOMENT_LINES_MAX: usize = 10_000;
/// How long all of one stream may take.
pub const STREAM_MAX: Duration = Duration::from_secs(8);

/// What is looked for.
#[derive(Clone, Default)]
pub struct Wanted {
    /// Milliseconds since the epoch; from this one on, and before that one.
    pub since: Option<i64>,
    pub before: Option<i64>,
    /// From this one on, the oldest first.
    pub after: Option<i64>,
    pub grep: Option<Pattern>,
    /// Lines of one stream.
    pub lines_max: usize,
    /// Bytes of one stream.
    pub bytes_max: u64,
}

impl Wanted {
    /// Whether the pattern, where there is one, is in the text.
    pub fn matches(&self, text: &str) -> bool {
        self.grep.as_ref().is_none_or(|grep| grep.is_match(text.as_bytes()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub at: Option<i64>,
    /// Where it stands in its file.
    pub offset: u64,
    /// Its end was not written yet.
    pub partial: bool,
    /// It is longer than what is told of it.
    pub cut: bool,
    pub text: String,
}

impl Line {
    /// What stands at `offset`, without its break.
    pub fn new(at: Option<i64>, offset: u64, bytes: &[u8]) -> Self {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LINE_BYTES_MAX)]).into_owned();
        Self { at, offset, partial: false, cut: bytes.len() > LINE_BYTES_MAX, text }
    }
}

/// What was found in one stream.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of the search.
    pub lines: Vec<Line>,
    /// Where the file goes on after what was looked at; before a line that has not ended.
    pub next_offset: u64,
    pub searched_bytes: u64,
    /// The search ended here: backwards, lines before this moment were not looked at, onwards those
    /// from it on.
    pub until: Option<i64>,
    /// Why not all that was asked for was looked at.
    pub cut: Option<&'static str>,
}

impl Found {
    /// Whether a page of `lines_max` lines is full before a line of `at`. A page never ends within a
    /// moment: what else was said in it would be asked for by nobody.
    pub fn is_full(&self, lines_max: usize, at: Option<i64>) -> bool {
        let n = self.lines.len();
        n >= lines_max && self.lines.last().is_none_or(|last| last.at != at)
            || n >= lines_max + MOMENT_LINES_MAX
    }
}

/// Whether to read on.
#[derive(PartialEq)]
pub enum Step {
    On,
    /// All that was asked for is there.
    Enough,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_never_ends_within_a_moment() {
        let line = |at| Line::new(Some(at), 0, b"said\n");
        let mut found = Found::default();
        assert!(found.is_full(0, Some(1)), "a page of nothing");
        assert!(!found.is_full(2, Some(1)));
        found.lines.extend([line(1), line(1)]);
        assert!(!found.is_full(2, Some(1)), "more of the same moment");
        assert!(found.is_full(2, Some(2)) && found.is_full(2, None));
        found.lines.extend((0..MOMENT_LINES_MAX).map(|_| line(1)));
        assert!(found.is_full(2, Some(1)), "no moment goes on for ever");
    }
}
