//! Regular expressions that somebody sent: bounded in length and in the memory they take.

use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};

/// Longest pattern, and memory it may take when it is made.
const BYTES_MAX: usize = 1 << 10;
const MEMORY_MAX: usize = 1 << 20;

/// What is looked for in lines, of whatever bytes those are. A search takes time by their length alone.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() > BYTES_MAX {
            return Err(format!("is longer than {BYTES_MAX} bytes"));
        }
        let made = RegexBuilder::new(text).size_limit(MEMORY_MAX).build();
        made.map(Self).map_err(|error| error.to_string())
    }

    pub fn is_match(&self, line: &[u8]) -> bool {
        self.0.is_match(line)
    }

    /// Where its first match stands.
    pub fn find(&self, line: &[u8]) -> Option<Range<usize>> {
        self.0.find(line).map(|found| found.range())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_or_no_pattern_is_refused_in_words() {
        assert!(Pattern::new(&"a".repeat(BYTES_MAX)).is_ok());
        for (text, problem) in [
            ("a".repeat(BYTES_MAX + 1), "is longer than 1024 bytes"),
            ("(a{500}){500}{500}".to_owned(), "size limit"),
            ("a(".to_owned(), "unclosed group"),
        ] {
            let told = Pattern::new(&text).unwrap_err();
            assert!(told.contains(problem), "{told}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_looked_through() {
        let found = Pattern::new("(?i)é+").unwrap().find(b"\xff\xfe caf\xc3\x89\xc3\xa9!");
        assert_eq!(found, Some(6..10));
    }
}
