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
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let part = cause.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        source = cause.source();
    }
    text
}
