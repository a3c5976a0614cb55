//! DNS messages as bytes: reading a query, names in wire form, the fixed numbers of RFC 1035.
//!
//! Reading never allocates and never panics, whatever the bytes. Only what a server needs of a
//! query is read: the question and the EDNS record; everything else in it is skipped with its
//! bounds checked. Building answers is `answer`'s business.

/// Bytes of a message before its question.
pub const HEADER_BYTES: usize = 12;
/// Longest name in wire form, root label included (RFC 1035 §2.3.4).
pub const NAME_BYTES_MAX: usize = 255;
/// Longest label (RFC 1035 §2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

pub const TYPE_A: u16 = 1;
pub const TYPE_NS: u16 = 2;
pub const TYPE_SOA: u16 = 6;
pub const TYPE_AAAA: u16 = 28;
pub const TYPE_SRV: u16 = 33;
pub const TYPE_OPT: u16 = 41;
pub const TYPE_RRSIG: u16 = 46;
pub const TYPE_IXFR: u16 = 251;
pub const TYPE_AXFR: u16 = 252;
pub const TYPE_ANY: u16 = 255;
pub const CLASS_IN: u16 = 1;
pub const CLASS_ANY: u16 = 255;

pub const FLAG_RESPONSE: u16 = 0x8000;
pub const FLAG_AUTHORITATIVE: u16 = 0x0400;
pub const FLAG_TRUNCATED: u16 = 0x0200;
pub const FLAG_RECURSION_DESIRED: u16 = 0x0100;
pub const FLAG_RECURSION_AVAILABLE: u16 = 0x0080;
pub const FLAG_CHECKING_DISABLED: u16 = 0x0010;
pub const OPCODE_MASK: u16 = 0x7800;

/// Response codes; those above 15 need an EDNS record to carry their upper bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rcode {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
    BadVers = 16,
}

impl Rcode {
    /// The four bits that stand in the header.
    pub fn low(self) -> u16 {
        self as u16 & 0xF
    }

    /// The bits that stand in the EDNS record.
    pub fn high(self) -> u8 {
        u8::try_from(self as u16 >> 4).expect("response codes end at 16")
    }
}

/// What a client said in its EDNS record (RFC 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// The largest datagram it takes.
    pub payload_bytes: u16,
    pub version: u8,
    pub dnssec_ok: bool,
}

/// A query that can be answered: one question, operation QUERY.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    pub id: u16,
    pub flags: u16,
    /// The question as it was sent: name, type, class.
    pub question: &'a [u8],
    pub qtype: u16,
    pub qclass: u16,
    pub edns: Option<Edns>,
}

impl<'a> Query<'a> {
    /// The name asked, in wire form and in the case asked.
    pub fn name(&self) -> &'a [u8] {
        &self.question[..self.question.len() - 4]
    }
}

/// Why a message is no query we can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// No reply at all: too short for a header, or itself a response (replying could loop).
    Unanswerable,
    /// The reply is a bare header with this code.
    Reply(Rcode),
}

/// Reads a query.
///
/// # Errors
/// `Malformed` says whether and with which code to reply.
pub fn parse(message: &[u8]) -> Result<Query<'_>, Malformed> {
    let format_error = Malformed::Reply(Rcode::FormErr);
    if message.len() < HEADER_BYTES || u16_at(message, 2) & FLAG_RESPONSE != 0 {
        return Err(Malformed::Unanswerable);
    }
    let flags = u16_at(message, 2);
    if flags & OPCODE_MASK != 0 {
        return Err(Malformed::Reply(Rcode::NotImp));
    }
    if u16_at(message, 4) != 1 {
        return Err(format_error);
    }
    let name_end = question_name_end(message).ok_or(format_error)?;
    let end = name_end + 4;
    if message.len() < end {
        return Err(format_error);
    }
    let n_skipped = usize::from(u16_at(message, 6)) + usize::from(u16_at(message, 8));
    let n_additional = usize::from(u16_at(message, 10));
    let edns = if n_skipped + n_additional == 0 {
        None
    } else {
        read_edns(message, end, n_skipped, n_additional).ok_or(format_error)?
    };
    Ok(Query {
        id: u16_at(message, 0),
        flags,
        question: &message[HEADER_BYTES..end],
        qtype: u16_at(message, name_end),
        qclass: u16_at(message, name_end + 2),
        edns,
    })
}

/// The big-endian number at `at`; the caller has checked the bounds.
pub fn u16_at(message: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([message[at], message[at + 1]])
}

/// The offset behind the question's name; `None` when it is cut, too long or compressed.
fn question_name_end(message: &[u8]) -> Option<usize> {
    let mut at = HEADER_BYTES;
    loop {
        let length = usize::from(*message.get(at)?);
        if length > LABEL_BYTES_MAX {
            return None;
        }
        at += 1 + length;
        if at - HEADER_BYTES > NAME_BYTES_MAX {
            return None;
        }
        if length == 0 {
            return Some(at);
        }
    }
}

/// The offset behind a record's name, which may end in a compression pointer.
fn record_name_end(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return Some(at + 1),
            1..=LABEL_BYTES_MAX => at += 1 + length,
            0xC0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

/// The EDNS record among the additional ones. The outer `None` is a malformed message.
#[allow(clippy::option_option)] // "no message" and "no record" are two things
fn read_edns(
    message: &[u8],
    mut at: usize,
    n_skipped: usize,
    n_additional: usize,
) -> Option<Option<Edns>> {
    let mut found = None;
    for i in 0..n_skipped + n_additional {
        let name_at = at;
        let fixed = record_name_end(message, at)?;
        if message.len() < fixed + 10 {
            return None;
        }
        at = fixed + 10 + usize::from(u16_at(message, fixed + 8));
        if message.len() < at {
            return None;
        }
        if i < n_skipped || u16_at(message, fixed) != TYPE_OPT {
            continue;
        }
        // One only, and owned by the root (RFC 6891 §6.1.1).
        if found.is_some() || fixed != name_at + 1 {
            return None;
        }
        found = Some(Edns {
            payload_bytes: u16_at(message, fixed + 2),
            version: message[fixed + 5],
            dnssec_ok: message[fixed + 6] & 0x80 != 0,
        });
    }
    Some(found)
}

/// A lower-cased name in wire form, held in place.
#[derive(Clone, Copy)]
pub struct LowerName {
    bytes: [u8; NAME_BYTES_MAX],
    len: u8,
}

impl LowerName {
    /// Copies a wire name of at most 255 bytes, folding ASCII case. Length bytes are below `A`, so
    /// folding the whole run is the same as folding each label.
    pub fn fold(wire: &[u8]) -> Self {
        let mut name = Self { bytes: [0; NAME_BYTES_MAX], len: 0 };
        let n = wire.len().min(NAME_BYTES_MAX);
        for (to, from) in name.bytes.iter_mut().zip(&wire[..n]) {
            *to = from.to_ascii_lowercase();
        }
        name.len = u8::try_from(n).expect("cut to 255 above");
        name
    }

    pub fn as_wire(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Appends `text` (dotted, with or without the final dot) in wire form, lower-cased.
///
/// Returns false and leaves `out` as it was when a label is empty or too long, or the name is.
pub fn push_name(text: &str, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let text = text.strip_suffix('.').unwrap_or(text).as_bytes();
    if text.len() + 2 > NAME_BYTES_MAX {
        return false;
    }
    // A dotted name is its wire form but for the length bytes, which stand where the dots were.
    out.push(0);
    out.extend_from_slice(text);
    let mut length_at = start;
    for at in start + 1..out.len() {
        let byte = out[at];
        if byte != b'.' {
            out[at] = byte.to_ascii_lowercase();
        } else if close_label(out, length_at, at) {
            length_at = at;
        } else {
            out.truncate(start);
            return false;
        }
    }
    let end = out.len();
    if text.is_empty() {
        return true; // the root
    }
    if !close_label(out, length_at, end) {
        out.truncate(start);
        return false;
    }
    out.push(0);
    true
}

/// Writes the length of the label that ends before `end`; false when no label has it.
fn close_label(out: &mut [u8], length_at: usize, end: usize) -> bool {
    let length = end - length_at - 1;
    let is_good = (1..=LABEL_BYTES_MAX).contains(&length);
    out[length_at] = u8::try_from(length).unwrap_or(0);
    is_good
}

/// The offsets of each label of a wire name, the root label included.
pub fn label_offsets(wire: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let here = at;
        let length = usize::from(*wire.get(here)?);
        at = if length == 0 { wire.len() } else { here + 1 + length };
        Some(here)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_a_wire_name_or_nothing() {
        let long = "a".repeat(63);
        let longest = format!("{long}.{long}.{long}.{}", "a".repeat(61));
        for (text, want) in [
            ("", Some(&b"\0"[..])),
            (".", Some(b"\0")),
            ("mesos", Some(b"\x05mesos\0")),
            ("A.b.", Some(b"\x01a\x01b\0")),
            ("a..b", None),
            (".a", None),
            ("a..", None),
            (&"a".repeat(64), None),
            (&format!("{longest}a"), None),
        ] {
            let mut out = vec![7];
            assert_eq!(push_name(text, &mut out), want.is_some(), "{text}");
            assert_eq!(out[1..], *want.unwrap_or_default(), "{text}");
        }
        let mut out = Vec::new();
        assert!(push_name(&longest, &mut out));
        assert_eq!(out.len(), NAME_BYTES_MAX);
    }
}
