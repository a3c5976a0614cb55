//! How errors are told: the cause chain on one line, and whether trying again can help.

use std::error::Error;

/// What a caller may do after a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail again.
    No,
    /// The same request may succeed later.
    Later,
    /// Unknown outcome: the request may have taken effect; repeat it with the same request id.
    SameRequest,
}

/// `error` and its causes, joined by `: `, each only once.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = plain(&error.to_string());
    let mut source = error.source();
    while let Some(cause) = source {
        let part = plain(&cause.to_string());
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        source = cause.source();
    }
    text
}

/// A message for people: without the `(os error 2)` that the language puts behind the system's
/// own words for it.
pub fn plain(message: &str) -> String {
    const MARK: &str = " (os error ";
    let mut text = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find(MARK) {
        let (before, after) = (&rest[..at], &rest[at + MARK.len()..]);
        text.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        match after.get(digits..).and_then(|after| after.strip_prefix(')')) {
            Some(after) => rest = after,
            None => {
                text.push_str(MARK);
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_system_are_left_out() {
        for (message, told) in [
            ("a: No such file or directory (os error 2)", "a: No such file or directory"),
            ("x (os error 111): y (os error 2)", "x: y"),
            ("said (os error later)", "said (os error later)"),
            ("plain", "plain"),
        ] {
            assert_eq!(plain(message), told);
        }
    }
}
