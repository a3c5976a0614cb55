//! Writing JSON straight into pieces of bytes.
//!
//! No tree is built: the caller opens, names and closes. Pieces go to a sink when they are full;
//! a sink that refuses one (the reader is gone) stops the writing early.

use crate::base::{clock::Timestamp, units::Milli};

/// Size of a piece: large enough that the sink is rarely called, small enough that the first one
/// leaves early.
const PIECE_BYTES: usize = 256 << 10;

/// A writer of one JSON text.
pub struct Json<'s> {
    buffer: Vec<u8>,
    /// Takes a piece; false when nobody wants the rest.
    sink: &'s mut dyn FnMut(Vec<u8>) -> bool,
    /// Whether the next value is the first of its object or list.
    fresh: bool,
    gone: bool,
}

impl<'s> Json<'s> {
    pub fn new(sink: &'s mut dyn FnMut(Vec<u8>) -> bool) -> Self {
        Self { buffer: Vec::with_capacity(PIECE_BYTES + 4096), sink, fresh: true, gone: false }
    }

    /// Whether nobody reads any more; loops may end early.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Hands over what is left.
    pub fn finish(mut self) {
        if !self.gone && !self.buffer.is_empty() {
            (self.sink)(std::mem::take(&mut self.buffer));
        }
    }

    /// An object as a list element or the whole text.
    pub fn object(&mut self, write: impl FnOnce(&mut Self)) {
        self.comma();
        self.enclosed(b'{', b'}', write);
    }

    /// A list as the whole text.
    pub fn list(&mut self, write: impl FnOnce(&mut Self)) {
        self.comma();
        self.enclosed(b'[', b']', write);
    }

    /// A field with an object.
    pub fn object_at(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        self.name(name);
        self.enclosed(b'{', b'}', write);
    }

    /// A field with a list.
    pub fn list_at(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        self.name(name);
        self.enclosed(b'[', b']', write);
    }

    /// A text as a list element.
    pub fn text(&mut self, text: &str) {
        self.comma();
        self.quoted(text);
    }

    pub fn text_at(&mut self, name: &str, text: &str) {
        self.name(name);
        self.quoted(text);
    }

    /// A field with bytes as a text; those that are no UTF-8 pass as they are, as Mesos has it, so that
    /// a reader that counts bytes counts right.
    pub fn bytes_at(&mut self, name: &str, bytes: &[u8]) {
        self.name(name);
        self.quoted_bytes(bytes);
    }

    pub fn bool_at(&mut self, name: &str, value: bool) {
        self.name(name);
        self.raw(if value { "true" } else { "false" });
    }

    pub fn int_at(&mut self, name: &str, value: u64) {
        self.name(name);
        self.int(value);
    }

    /// A quantity, always with a fraction: `1.0`, `0.1`.
    pub fn quantity_at(&mut self, name: &str, value: Milli) {
        self.name(name);
        self.fixed(value.get());
    }

    /// A floating number, always with a fraction.
    pub fn float_at(&mut self, name: &str, value: f64) {
        self.name(name);
        let value = if value.is_finite() { value } else { 0.0 };
        let text = format!("{value:?}");
        self.raw(&text);
    }

    /// Seconds since the epoch, with a fraction.
    pub fn time_at(&mut self, name: &str, at: Timestamp) {
        self.name(name);
        self.fixed(at.as_ms());
    }

    /// Fields written before, as they are; empty text adds nothing.
    pub fn fields(&mut self, fields: &[u8]) {
        if !fields.is_empty() {
            self.comma();
            self.buffer.extend_from_slice(fields);
        }
    }

    fn enclosed(&mut self, open: u8, close: u8, write: impl FnOnce(&mut Self)) {
        self.buffer.push(open);
        self.fresh = true;
        write(self);
        self.buffer.push(close);
        self.fresh = false;
        if self.buffer.len() >= PIECE_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE_BYTES + 4096));
        if !self.gone {
            self.gone = !(self.sink)(piece);
        }
    }

    fn comma(&mut self) {
        if !self.fresh {
            self.buffer.push(b',');
        }
        self.fresh = false;
    }

    fn name(&mut self, name: &str) {
        self.comma();
        self.quoted(name);
        self.buffer.push(b':');
    }

    fn raw(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    fn int(&mut self, mut value: u64) {
        let mut digits = [0; 20];
        let mut from = digits.len();
        loop {
            from -= 1;
            digits[from] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.buffer.extend_from_slice(&digits[from..]);
    }

    /// `thousandths` as a decimal number with at least one digit behind the point.
    fn fixed(&mut self, thousandths: i64) {
        if thousandths < 0 {
            self.buffer.push(b'-');
        }
        let n = thousandths.unsigned_abs();
        self.int(n / 1000);
        let rest = n % 1000;
        let digits = [rest / 100, rest / 10 % 10, rest % 10];
        let keep = digits.iter().rposition(|d| *d != 0).map_or(1, |at| at + 1);
        self.buffer.push(b'.');
        for digit in &digits[..keep] {
            self.buffer.push(b'0' + u8::try_from(*digit).unwrap_or(0));
        }
    }

    fn quoted(&mut self, text: &str) {
        self.quoted_bytes(text.as_bytes());
    }

    fn quoted_bytes(&mut self, bytes: &[u8]) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.buffer.push(b'"');
        // Without an early end, so that many bytes are looked at at once.
        if !bytes.iter().fold(false, |found, byte| found | needs_escape(*byte)) {
            self.buffer.extend_from_slice(bytes);
            self.buffer.push(b'"');
            return;
        }
        let mut from = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let short = match byte {
                b'"' | b'\\' => *byte,
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0..0x20 => b'u',
                _ => continue,
            };
            self.buffer.extend_from_slice(&bytes[from..at]);
            self.buffer.extend_from_slice(&[b'\\', short]);
            if short == b'u' && *byte < 0x20 {
                let low = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                self.buffer.extend_from_slice(b"00");
                self.buffer.extend_from_slice(&low);
            }
            from = at + 1;
        }
        self.buffer.extend_from_slice(&bytes[from..]);
        self.buffer.push(b'"');
    }
}

fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20)
}

/// The text that `write` makes, in memory: for small answers, parts used many times, and tests.
pub fn text(write: impl FnOnce(&mut Json<'_>)) -> Vec<u8> {
    let mut all = Vec::new();
    let mut sink = |piece: Vec<u8>| {
        all.extend_from_slice(&piece);
        true
    };
    let mut json = Json::new(&mut sink);
    write(&mut json);
    json.finish();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_mesos_writes_them() {
        let written = text(|j| {
            j.object(|j| {
                j.quantity_at("cpus", Milli::from_f64(0.1));
                j.quantity_at("mem", Milli::whole(128));
                j.quantity_at("odd", Milli::new(-1050));
                j.time_at("at", Timestamp::from_ms(1_500_000_000_007));
                j.list_at("l", |j| {
                    j.text("a\"\\\n\u{1}ü");
                    j.object(|_| {});
                });
                j.fields(br#""x":1"#);
                j.fields(b"");
                j.bool_at("b", true);
            });
        });
        let text = String::from_utf8(written).unwrap();
        assert_eq!(
            text,
            "{\"cpus\":0.1,\"mem\":128.0,\"odd\":-1.05,\"at\":1500000000.007,\
             \"l\":[\"a\\\"\\\\\\n\\u0001ü\",{}],\"x\":1,\"b\":true}"
        );
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }

    #[test]
    fn a_reader_that_left_ends_the_writing() {
        let mut n_pieces = 0;
        let mut sink = |_: Vec<u8>| {
            n_pieces += 1;
            false
        };
        let mut json = Json::new(&mut sink);
        for _ in 0..100_000 {
            json.object(|j| j.text_at("name", "value"));
        }
        assert!(json.is_gone());
        json.finish();
        assert_eq!(n_pieces, 1);
    }
}
