//! Small words: ages, sizes, short ids; and reading fields of answers.

use serde_json::Value;

pub use crate::base::units::count;
use crate::base::{
    clock::Timestamp,
    units::{self, Milli},
};

/// `text` of a field; empty when it is absent.
pub fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A number field as it is written.
pub fn number(value: &Value) -> String {
    match value {
        Value::Number(n) => n.to_string(),
        _ => String::new(),
    }
}

/// The elements of a list field.
pub fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

/// How long ago a time was, short enough for a column: `3s`, `5m`, `2h`, `4d`.
pub fn age(time: &str, now: Timestamp) -> String {
    let Some(at) = Timestamp::parse(time) else { return String::new() };
    units::duration(now.since(at)).replace(" min", "m").replace(' ', "")
}

/// How long ago a time was, in a sentence: `5 min`.
pub fn ago(time: &str, now: Timestamp) -> Option<String> {
    Some(units::duration(now.since(Timestamp::parse(time)?)))
}

/// Megabytes as people say them.
pub fn mem(value: &Value) -> String {
    units::memory(Milli::from_f64(value.as_f64().unwrap_or(0.0)))
}

/// Bytes as `ls -h` says them.
pub fn bytes(n: u64) -> String {
    let mut size = n as f64;
    for unit in ["B", "K", "M", "G", "T"] {
        // What would be rounded up to 1024 is one of the next unit.
        if size < 1023.95 || unit == "T" {
            return if unit == "B" { format!("{n}B") } else { format!("{size:.1}{unit}") };
        }
        size /= 1024.0;
    }
    unreachable!("the last unit always returns")
}

/// `used of total`.
pub fn share(used: &Value, total: &Value) -> String {
    format!("{} of {}", number(used), number(total))
}

/// Text of others on one line: what would move a terminal's cursor or colour it is shown as a sign.
pub fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_are_short() {
        let now = Timestamp::from_ms(100_000_000);
        let at = |s: i64| Timestamp::from_ms(100_000_000 - s * 1000).to_string();
        for (s, text) in [(5, "5s"), (61, "1m"), (7300, "2h"), (90_000, "1d")] {
            assert_eq!(age(&at(s), now), text);
        }
        assert_eq!(
            (bytes(12), bytes(2048), bytes(5 << 30)),
            ("12B".into(), "2.0K".into(), "5.0G".into())
        );
    }
}
