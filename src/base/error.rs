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

/// `error` and its causes, joined by `: `, each only once, and without the layers of an HTTP client
/// that say no more than that they are one (`client error (Connect)`).
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        let part = plain(&error.to_string());
        let is_empty_layer = next.is_some() && EMPTY_LAYERS.iter().any(|l| part.starts_with(l));
        if !is_empty_layer && !parts.last().is_some_and(|last| last.ends_with(&part)) {
            parts.push(part);
        }
    }
    parts.join(": ")
}

/// What errors of hyper's client and of bollard begin with whose cause says it all.
const EMPTY_LAYERS: [&str; 2] = ["client error (", "Error in the hyper legacy client"];

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

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Self>>);

    #[test]
    fn layers_that_say_nothing_are_left_out() {
        let cause = Layer("Connection refused (os error 111)", None);
        let client = Layer("client error (Connect)", Some(Box::new(cause)));
        let outer = Layer(
            "Error in the hyper legacy client: client error (Connect)",
            Some(Box::new(client)),
        );
        assert_eq!(chain(&outer), "Connection refused");
        assert_eq!(chain(&Layer("client error (Connect)", None)), "client error (Connect)");
    }

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
