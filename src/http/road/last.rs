//! What came last on a client's connection, so that what comes again is not read again.

use std::ops::Range;

use super::{
    field,
    head::{First, Head},
};

/// The header lines that came last on a connection and what was made of them. Clients say the same
/// with each request: lines that are byte for byte those of before mean what they meant, and only the
/// first line is read.
#[derive(Debug, Default)]
pub struct Last {
    /// From behind the first line to the end of the head; empty when none are remembered.
    lines: Vec<u8>,
    /// What goes to the upstream behind the first line.
    written: Vec<u8>,
    /// Places in `lines`.
    host: Range<usize>,
    authorization: Option<Range<usize>>,
    n_body: usize,
}

/// More than this is not remembered: it is held while the connection waits.
const LAST_BYTES_MAX: usize = 1 << 10;

impl Last {
    /// The head in front of `bytes`, if its lines are those remembered.
    pub fn again<'a>(&self, bytes: &'a [u8]) -> Option<First<'a>> {
        if self.lines.is_empty() {
            return None;
        }
        let first = First::read(bytes)?;
        bytes[first.n_bytes..].starts_with(&self.lines).then_some(first)
    }

    /// Remembers the lines of `head`, of which `written` was made.
    pub fn remember(&mut self, head: &Head<'_, '_>, n_first: usize, written: &[u8]) {
        let lines = &head.text[n_first..];
        self.lines.clear();
        if lines.len().max(written.len()) > LAST_BYTES_MAX {
            return;
        }
        self.lines.extend_from_slice(lines);
        self.written.clear();
        self.written.extend_from_slice(written);
        self.host = place(lines, head.host);
        self.authorization = head.authorization.map(|text| place(lines, text));
        self.n_body = head.n_body;
    }

    /// The lines remembered.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// What was made of them, for the upstream.
    pub fn written(&self) -> &[u8] {
        &self.written
    }

    /// Where the host stands in the lines.
    pub fn host(&self) -> Range<usize> {
        self.host.clone()
    }

    /// Where the token stands in the lines.
    pub fn authorization(&self) -> Option<Range<usize>> {
        self.authorization.clone()
    }

    /// Bytes of the body that comes behind the lines.
    pub fn n_body(&self) -> usize {
        self.n_body
    }
}

/// Where `part` of `whole` lies in it.
pub fn place(whole: &[u8], part: &[u8]) -> Range<usize> {
    let at = field::offset(whole, part);
    at..at + part.len()
}

#[cfg(test)]
mod tests {
    use super::{super::head, *};

    #[test]
    fn many_lines_are_not_remembered() {
        let text =
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(LAST_BYTES_MAX));
        let mut room = head::Room::default();
        let head::Seen::Whole(head) = head::read(text.as_bytes(), &mut room) else {
            panic!("{text}")
        };
        let mut last = Last::default();
        last.remember(&head, "GET / HTTP/1.1\r\n".len(), b"host: a\r\n\r\n");
        assert!(last.again(text.as_bytes()).is_none());
        assert_eq!(last.lines.capacity(), 0);
    }
}
