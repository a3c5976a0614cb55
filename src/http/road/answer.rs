//! The head of an upstream's answer: what its body is, and what the client is told of it.
//!
//! Read as leniently as the other road reads it, written anew from its parts: names in lower case,
//! one length, nothing that belongs to the upstream's connection.

use std::mem::MaybeUninit;

use http::StatusCode;
use httparse::{Header, Response as Parsed, Status};
use smallvec::SmallVec;

use super::{
    date, field,
    head::{Method, Seen},
};
use crate::http::{
    Response,
    proxy::{EVENT_STREAM, Here, rewritten},
};

/// Header lines of an answer; the other road takes as many.
const HEADERS_MAX: usize = 100;

/// Room for an answer's lines while it is looked at.
pub struct Room<'a> {
    lines: [MaybeUninit<Header<'a>>; HEADERS_MAX],
    kinds: [Kind; HEADERS_MAX],
}

impl Default for Room<'_> {
    fn default() -> Self {
        let lines = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        Self { lines, kinds: [Kind::Other; HEADERS_MAX] }
    }
}

/// The values of a header; there is hardly ever a second one.
type Values<'a> = SmallVec<[&'a [u8]; 2]>;

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Nothing,
    Length(u64),
    Chunked,
    /// It ends with the connection.
    Rest,
}

/// An upstream's final or interim answer.
#[derive(Debug)]
pub struct Answer<'r, 'a> {
    pub status: StatusCode,
    reason: &'a str,
    pub framing: Framing,
    /// Whether the upstream's connection can carry another request after it.
    pub keeps: bool,
    /// Whether it goes on for as long as the caller may look.
    pub goes_on: bool,
    pub n_head: usize,
    has_date: bool,
    /// The values of `Connection` where they name headers that are meant for one connection only.
    named: Values<'a>,
    /// All of it.
    text: &'a [u8],
    lines: &'r [Header<'a>],
    /// Of each line.
    kinds: &'r [Kind],
}

/// Why no sense can be made of an answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nonsense {
    #[error("the head of the answer: {0}")]
    Head(httparse::Error),
    #[error("the status is none")]
    Status,
    #[error("the length of the answer is none")]
    Length,
    #[error("an answer of HTTP/1.0 in chunks")]
    Chunks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Other,
    Length,
    Encoding,
    Connection,
    Date,
    Type,
    Location,
    /// Of one connection only.
    Hop,
}

fn kind(name: &str) -> Kind {
    let is = |usual: &str| field::is(name, usual);
    match name.len() {
        2 if is("TE") => Kind::Hop,
        4 if is("Date") => Kind::Date,
        7 if is("Upgrade") || is("Trailer") => Kind::Hop,
        8 if is("Location") => Kind::Location,
        10 if is("Connection") => Kind::Connection,
        10 if is("Keep-Alive") => Kind::Hop,
        12 if is("Content-Type") => Kind::Type,
        14 if is("Content-Length") => Kind::Length,
        14 if is("HTTP2-Settings") => Kind::Hop,
        16 if is("Proxy-Connection") => Kind::Hop,
        17 if is("Transfer-Encoding") => Kind::Encoding,
        18 if is("Proxy-Authenticate") => Kind::Hop,
        19 if is("Proxy-Authorization") => Kind::Hop,
        _ => Kind::Other,
    }
}

/// The comma-separated elements of a value.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// What the values of `Connection` say.
#[derive(Default)]
struct Options<'a> {
    keeps: bool,
    closes: bool,
    /// Those that name headers.
    named: Values<'a>,
}

impl<'a> Options<'a> {
    fn note(&mut self, value: &'a [u8]) {
        let mut names = false;
        for element in elements(value) {
            let is = |option: &[u8]| element.eq_ignore_ascii_case(option);
            if is(b"keep-alive") {
                self.keeps = true;
            } else if is(b"close") {
                self.closes = true;
            } else {
                names |= !is(b"upgrade");
            }
        }
        if names {
            self.named.push(value);
        }
    }
}

fn names(values: &[&[u8]], name: &[u8]) -> bool {
    values.iter().flat_map(|value| elements(value)).any(|one| one.eq_ignore_ascii_case(name))
}

/// Reads the answer to `method` in front of `bytes`.
pub fn read<'r, 'a>(
    bytes: &'a [u8],
    room: &'r mut Room<'a>,
    method: Method,
) -> Result<Seen<Answer<'r, 'a>>, Nonsense> {
    let Room { lines, kinds } = room;
    let mut parsed = Parsed::new(&mut []);
    let config = httparse::ParserConfig::default();
    let outcome = config.parse_response_with_uninit_headers(&mut parsed, bytes, lines);
    let n_head = match outcome.map_err(Nonsense::Head)? {
        Status::Complete(n) => n,
        Status::Partial => return Ok(Seen::Part),
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Nonsense::Status)?;
    let is_1_1 = parsed.version == Some(1);
    let reason = parsed.reason.unwrap_or_default();
    let lines: &'r [Header<'a>] = parsed.headers;
    let (mut length, mut encoding, mut options) = (None, None, Options::default());
    let (mut has_date, mut goes_on, mut has_type) = (false, false, false);
    let mut is_length_good = true;
    for (Header { name, value }, kind) in lines.iter().zip(kinds.iter_mut()) {
        *kind = self::kind(name);
        match *kind {
            Kind::Length => is_length_good &= note_length(&mut length, value),
            Kind::Encoding => encoding = Some(*value),
            Kind::Connection => options.note(value),
            Kind::Date => has_date = true,
            Kind::Type if !std::mem::replace(&mut has_type, true) => {
                goes_on = value.starts_with(EVENT_STREAM);
            }
            Kind::Type | Kind::Location | Kind::Hop | Kind::Other => {}
        }
    }
    let has_no_body = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let framing = if has_no_body {
        Framing::Nothing
    } else if method == Method::Head {
        if is_length_good { Framing::Nothing } else { return Err(Nonsense::Length) }
    } else if let Some(last) = encoding {
        if !is_1_1 {
            return Err(Nonsense::Chunks);
        }
        let is_chunked = elements(last).last().is_some_and(|e| e.eq_ignore_ascii_case(b"chunked"));
        if is_chunked { Framing::Chunked } else { Framing::Rest }
    } else if !is_length_good {
        return Err(Nonsense::Length);
    } else {
        length.map_or(Framing::Rest, Framing::Length)
    };
    let keeps = framing != Framing::Rest
        // Who tells both a length and chunks may mean either: nothing may follow.
        && (encoding.is_none() || length.is_none())
        && !options.closes
        && (is_1_1 || options.keeps);
    Ok(Seen::Whole(Answer {
        status,
        reason,
        framing,
        keeps,
        goes_on,
        n_head,
        has_date,
        named: options.named,
        text: &bytes[..n_head],
        lines,
        kinds,
    }))
}

/// Takes one more `Content-Length`; false unless all are the same number.
fn note_length(length: &mut Option<u64>, value: &[u8]) -> bool {
    let is_one = |one: &[u8]| {
        let number = one.iter().try_fold(0_u64, |n, digit| {
            let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            n.checked_mul(10)?.checked_add(digit)
        });
        number.filter(|n| *n < u64::MAX - 1).filter(|n| *length.get_or_insert(*n) == *n).is_some()
    };
    let mut is_good = !value.trim_ascii().is_empty();
    let mut is_one = is_one;
    for one in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        is_good &= !one.is_empty() && is_one(one);
    }
    is_good
}

/// What passing an answer on goes by.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    pub status: StatusCode,
    pub framing: Framing,
    pub keeps: bool,
    pub goes_on: bool,
    pub n_head: usize,
    has_date: bool,
}

/// The head of the last answer on an upstream's connection and what was made of it. Many answers
/// differ from the last by their body, or by the second in their `Date`: a head that is byte for byte
/// that of before means what it meant.
#[derive(Debug, Default)]
pub struct Last {
    head: Vec<u8>,
    /// For the client, without the last lines.
    written: Vec<u8>,
    /// None when no head is remembered.
    begun: Option<(Method, Begun)>,
}

/// More than this is not remembered: it is held while the connection is kept.
const LAST_BYTES_MAX: usize = 1 << 10;

impl Last {
    /// Writes the head in front of `bytes` for the client if it is the one remembered.
    pub fn again(
        &self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        method: Method,
        closes: bool,
    ) -> Option<Begun> {
        let (to, begun) = self.begun?;
        if to != method || !bytes.starts_with(&self.head) {
            return None;
        }
        out.clear();
        out.extend_from_slice(&self.written);
        finish(out, begun.has_date, closes);
        Some(begun)
    }

    /// Writes `answer` for the client and remembers what was written, unless it depends on more than
    /// the answer.
    pub(super) fn write(
        &mut self,
        answer: &Answer<'_, '_>,
        out: &mut Vec<u8>,
        method: Method,
        here: &Here<'_>,
        closes: bool,
    ) -> Begun {
        out.clear();
        answer.write(out, method, here);
        self.begun = None;
        let begun = answer.begun();
        let is_short = answer.text.len().max(out.len()) <= LAST_BYTES_MAX;
        if is_short && !answer.kinds[..answer.lines.len()].contains(&Kind::Location) {
            self.head.clear();
            self.head.extend_from_slice(answer.text);
            self.written.clear();
            self.written.extend_from_slice(out);
            self.begun = Some((method, begun));
        }
        finish(out, begun.has_date, closes);
        begun
    }
}

impl Answer<'_, '_> {
    fn begun(&self) -> Begun {
        let Self { status, framing, keeps, goes_on, n_head, has_date, .. } = *self;
        Begun { status, framing, keeps, goes_on, n_head, has_date }
    }

    /// Writes the head as the client gets it, but for its last lines.
    fn write(&self, out: &mut Vec<u8>, method: Method, here: &Here<'_>) {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(self.status.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.reason.as_bytes());
        out.extend_from_slice(b"\r\n");
        let mut is_rewritten = None;
        let mut has_length = false;
        let line = |out: &mut Vec<u8>, name: &str, value: &[u8]| {
            field::rewrite(out, self.text, name, value);
        };
        for (Header { name, value }, kind) in self.lines.iter().zip(self.kinds) {
            match kind {
                Kind::Hop | Kind::Encoding | Kind::Connection => {}
                Kind::Length => {
                    // Of an answer to HEAD it tells what GET would bring.
                    let is_told = matches!(self.framing, Framing::Length(_))
                        || (method == Method::Head && self.may_have_length());
                    if is_told && !std::mem::replace(&mut has_length, true) {
                        let one = value.split(|byte| *byte == b',').next().unwrap_or_default();
                        line(out, name, one.trim_ascii());
                    }
                }
                _ if self.is_of_connection(name) => {}
                Kind::Location => match &is_rewritten {
                    None => {
                        let text = std::str::from_utf8(value).ok().filter(|t| t.is_ascii());
                        let other = text.and_then(|text| rewritten(text, here));
                        line(out, name, other.as_deref().map_or(value, str::as_bytes));
                        is_rewritten = Some(other.is_some());
                    }
                    Some(true) => {}
                    Some(false) => line(out, name, value),
                },
                Kind::Date | Kind::Type | Kind::Other => line(out, name, value),
            }
        }
        if matches!(self.framing, Framing::Chunked | Framing::Rest) {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
    }

    fn may_have_length(&self) -> bool {
        !matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }

    /// Whether `Connection` names this header (RFC 9110 §7.6.1).
    fn is_of_connection(&self, name: &str) -> bool {
        !self.named.is_empty() && names(&self.named, name.as_bytes())
    }
}

/// The last lines of a head. `closes`: no further answer follows on the client's connection.
fn finish(out: &mut Vec<u8>, has_date: bool, closes: bool) {
    if !has_date {
        out.extend_from_slice(b"date: ");
        date::write(out);
        out.extend_from_slice(b"\r\n");
    }
    if closes {
        out.extend_from_slice(b"connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes an answer of our own, whose body lies in memory.
pub fn write_own(out: &mut Vec<u8>, response: &Response, method: Method, closes: bool) {
    let status = response.status();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in response.headers() {
        field::write(out, name.as_str(), value.as_bytes());
    }
    let body = response.body().bytes().unwrap_or_default();
    field::write(out, "content-length", body.len().to_string().as_bytes());
    finish(out, false, closes);
    if method != Method::Head {
        out.extend_from_slice(body);
    }
}

#[cfg(test)]
mod tests;
