//! Lines of a file in which something is found, from a place on, within bounds.
//!
//! A search ends after so many bytes, or with so much found, and says where it goes on; whoever wants the
//! rest asks again from there. So a file may have any length, what is found comes bit by bit, and a search
//! that nobody waits for any more is over soon.

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
};

use crate::{
    base::pattern::Pattern,
    model::link::{Answer, Hit},
};

/// Bytes of one search: the slowest pattern has an answer within a part of a question's time.
const SEARCHED_BYTES_MAX: u64 = 32 << 20;
const PIECE_BYTES: u64 = 256 << 10;
/// Of a longer line each part of this length is looked at by itself.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Of a longer line so much is told, from a little before the match on.
const TEXT_BYTES_MAX: usize = 400;
const BEFORE_BYTES: usize = 80;

/// What is looked for, and from where.
pub struct Wanted {
    pub pattern: Pattern,
    pub offset: u64,
    /// The number of the line that goes on there.
    pub line: u64,
    pub hits_max: usize,
}

/// What was found so far, and where the next line begins.
struct Search<'a> {
    wanted: &'a Wanted,
    hits: Vec<Hit>,
    offset: u64,
    line: u64,
}

impl Wanted {
    /// Looks through a file that is `size` bytes long.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn search(&self, file: &mut (impl Read + Seek), size: u64) -> io::Result<Answer> {
        let mut search =
            Search { wanted: self, hits: Vec::new(), offset: self.offset, line: self.line };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut rest: Vec<u8> = Vec::new();
        while !search.is_enough() {
            let n = file.by_ref().take(PIECE_BYTES).read_to_end(&mut rest)?;
            let used = search.lines(&rest, n as u64 == PIECE_BYTES);
            rest.drain(..used);
            if (n as u64) < PIECE_BYTES {
                break;
            }
        }
        let Search { hits, offset, line, .. } = search;
        Ok(Answer::Searched { hits, offset, line, size: size.max(offset) })
    }
}

impl Search<'_> {
    fn is_enough(&self) -> bool {
        self.hits.len() >= self.wanted.hits_max
            || self.offset - self.wanted.offset >= SEARCHED_BYTES_MAX
    }

    /// Looks at the lines of `bytes`; how many bytes they are. What may go on is left, if there is more.
    fn lines(&mut self, bytes: &[u8], is_more: bool) -> usize {
        let mut used = 0;
        while used < bytes.len() && !self.is_enough() {
            let rest = &bytes[used..];
            let part = &rest[..rest.len().min(LINE_BYTES_MAX)];
            let end = part.iter().position(|byte| *byte == b'\n');
            if end.is_none() && part.len() < LINE_BYTES_MAX && is_more {
                break;
            }
            let line = &part[..end.unwrap_or(part.len())];
            let text = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(found) = self.wanted.pattern.find(text) {
                self.hits.push(hit(text, found, (self.offset, self.line)));
            }
            let n = line.len() + usize::from(end.is_some());
            self.line += u64::from(end.is_some());
            self.offset += n as u64;
            used += n;
        }
        used
    }
}

/// What is told of a line that begins at `offset`.
fn hit(line: &[u8], found: Range<usize>, (offset, number): (u64, u64)) -> Hit {
    let (mut from, mut to) = (0, line.len());
    let is_cut = line.len() > TEXT_BYTES_MAX;
    if is_cut {
        from = beginning(line, found.start.saturating_sub(BEFORE_BYTES));
        to = beginning(line, line.len().min(from + TEXT_BYTES_MAX));
    }
    Hit {
        line: number,
        offset: offset + found.start as u64,
        n_bytes: u32::try_from(found.len()).unwrap_or(u32::MAX),
        text: String::from_utf8_lossy(&line[from..to]).into_owned(),
        is_cut,
    }
}

/// The beginning of the character that `at` is in.
fn beginning(line: &[u8], at: usize) -> usize {
    let goes_on = |at: &usize| line.get(*at).is_some_and(|byte| byte & 0xC0 == 0x80);
    (at.saturating_sub(3)..=at).rev().find(|at| !goes_on(at)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(pattern: &str) -> Wanted {
        Wanted { pattern: Pattern::new(pattern).unwrap(), offset: 0, line: 1, hits_max: 100 }
    }

    /// All hits, and where the search ended.
    fn search(text: &[u8], wanted: &Wanted) -> (Vec<Hit>, (u64, u64)) {
        let answer = wanted.search(&mut io::Cursor::new(text), text.len() as u64).unwrap();
        let Answer::Searched { hits, offset, line, size } = answer else { panic!("{answer:?}") };
        assert_eq!(size, text.len() as u64);
        (hits, (offset, line))
    }

    fn places(hits: &[Hit]) -> Vec<(u64, u64, &str)> {
        hits.iter().map(|hit| (hit.line, hit.offset, hit.text.as_str())).collect()
    }

    #[test]
    fn each_line_is_looked_at_by_itself() {
        let text = b"one\ntwo two\r\n\nand one";
        let (hits, end) = search(text, &wanted("o"));
        assert_eq!(places(&hits), [(1, 0, "one"), (2, 6, "two two"), (4, 18, "and one")]);
        assert_eq!(end, (21, 4));
        for (pattern, lines) in [
            ("^two", vec![2]),
            ("two$", vec![2]),
            (r"\Aone\z", vec![1]),
            (r"one\s+two", vec![]),
            ("^$", vec![3]),
            ("(?i)ONE", vec![1, 4]),
        ] {
            let (hits, _) = search(text, &wanted(pattern));
            assert_eq!(hits.iter().map(|hit| hit.line).collect::<Vec<_>>(), lines, "{pattern}");
        }
        assert_eq!(search(b"", &wanted("a")), (vec![], (0, 1)));
    }

    #[test]
    fn searches_one_after_the_other_find_what_one_would() {
        let text: String =
            (0..20_000).map(|n| format!("line {n} {}\n", "x".repeat(n % 37))).collect();
        let all = search(text.as_bytes(), &Wanted { hits_max: 9_999, ..wanted("7 x*$") });
        assert_eq!(all.0.len(), 2_000);
        assert_eq!(all.0[0].line, 8);
        let mut next = Wanted { hits_max: 7, ..wanted("7 x*$") };
        let mut found = Vec::new();
        while next.offset < text.len() as u64 {
            let (hits, (offset, line)) = search(text.as_bytes(), &next);
            assert!(offset > next.offset && hits.len() <= 7);
            found.extend(hits);
            next = Wanted { offset, line, ..next };
        }
        assert_eq!(found, all.0);
    }

    #[test]
    fn a_search_ends_after_so_many_bytes() {
        let text = vec![b'\n'; usize::try_from(SEARCHED_BYTES_MAX).unwrap() + 9];
        let (hits, end) = search(&text, &wanted("a"));
        assert_eq!((hits, end), (vec![], (SEARCHED_BYTES_MAX, SEARCHED_BYTES_MAX + 1)));
    }

    #[test]
    fn of_a_long_line_the_part_around_the_match_is_told() {
        let line = format!("{}needle{}\nnext", "é".repeat(20_000), "ü".repeat(60_000));
        let (hits, _) = search(line.as_bytes(), &wanted("needle|next"));
        assert_eq!((hits[0].line, hits[0].offset, hits[0].n_bytes), (1, 40_000, 6));
        assert!(hits[0].is_cut && hits[0].text.starts_with('é') && hits[0].text.ends_with('ü'));
        assert!(hits[0].text.contains("éneedleü") && hits[0].text.len() <= TEXT_BYTES_MAX);
        assert_eq!((hits[1].line, hits[1].text.as_str(), hits[1].is_cut), (2, "next", false));
    }

    #[test]
    fn a_file_without_lines_takes_no_more_memory_than_any() {
        let text = [vec![0_u8; 3 << 20], b"needle".to_vec(), vec![0; 1 << 20]].concat();
        let (hits, end) = search(&text, &wanted("needle"));
        assert_eq!((hits[0].line, hits[0].offset), (1, 3 << 20));
        assert_eq!(end, (text.len() as u64, 1));
    }
}
