//! The `Date` of answers that came without one, written once a second by each thread.

use std::cell::RefCell;

use crate::base::clock::{Clock as _, SystemClock, Timestamp};

/// As RFC 9110 §5.6.7 has it.
const FORMAT: &str = "%a, %d %b %Y %H:%M:%S GMT";

struct Written {
    second: i64,
    text: String,
}

thread_local! {
    static LAST: RefCell<Written> = const { RefCell::new(Written { second: -1, text: String::new() }) };
}

/// Appends the present date.
pub fn write(out: &mut Vec<u8>) {
    let now = SystemClock.roughly();
    let second = now.as_ms().div_euclid(1000);
    LAST.with_borrow_mut(|last| {
        if last.second != second || last.text.is_empty() {
            *last = Written { second, text: text(now) };
        }
        out.extend_from_slice(last.text.as_bytes());
    });
}

fn text(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_ms()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime(FORMAT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_standard() {
        assert_eq!(text(Timestamp::from_ms(784_111_777_999)), "Sun, 06 Nov 1994 08:49:37 GMT");
        let mut out = Vec::new();
        write(&mut out);
        write(&mut out);
        assert_eq!(out.len(), 2 * 29);
    }
}
