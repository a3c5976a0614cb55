//! The head of a request as the short road takes it: a strict list of what may stand there.
//!
//! Everything that is not on the list is `Odd` and goes by the other road with every byte of it, be
//! it rare (another connection option, a cookie, a chunked body), wrong (two hosts, two lengths) or
//! only unusual (a bare line feed, a folded line, a byte outside of ASCII). So two readers of what
//! is passed on cannot understand it differently: all that reaches an upstream is written anew from
//! the parts, never copied as it came.

use std::mem::MaybeUninit;

use httparse::{Header, Request, Status};

use super::field::{self, offset};

/// Header lines of a request that is not odd.
const HEADERS_MAX: usize = 64;
/// Longest body that is passed on together with its head.
const LENGTH_DIGITS_MAX: usize = 5;
const METHOD_BYTES_MAX: usize = 7;

/// A method of a plain request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    fn of(text: &[u8]) -> Option<Self> {
        Some(match text {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"PATCH" => Self::Patch,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// Whether asking twice is as good as asking once (RFC 9110 §9.2.2).
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }
}

/// What some bytes are.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<T> {
    Whole(T),
    /// The beginning of something that may be plain.
    Part,
    /// For the other road.
    Odd,
}

/// Room for a head's lines while it is looked at.
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

/// A plain request's head.
#[derive(Debug, PartialEq, Eq)]
pub struct Head<'r, 'a> {
    pub method: Method,
    /// Path and query.
    pub target: &'a str,
    pub host: &'a [u8],
    /// Of ASCII, as all values.
    pub authorization: Option<&'a [u8]>,
    /// Addresses of those who passed the request on before.
    pub forwarded_for: Option<&'a [u8]>,
    /// Bytes of the body.
    pub n_body: usize,
    /// Bytes of the head itself.
    pub n_head: usize,
    /// All of it.
    pub text: &'a [u8],
    lines: &'r [Header<'a>],
    /// Of each line.
    kinds: &'r [Kind],
}

impl<'a> Head<'_, 'a> {
    /// The lines that are passed on as they are, in order; not `Host` and what we write ourselves.
    pub fn passed(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let is_passed = |(_, kind): &(&Header<'_>, &Kind)| {
            matches!(kind, Kind::Other | Kind::Length | Kind::Authorization)
        };
        let passed = self.lines.iter().zip(self.kinds).filter(is_passed);
        passed.map(|(line, _)| (line.name, line.value))
    }
}

/// The end of a plain request's first line.
pub const VERSION: &[u8] = b" HTTP/1.1\r\n";

/// The first line of a plain request, read by itself.
#[derive(Debug, PartialEq, Eq)]
pub struct First<'a> {
    pub method: Method,
    pub target: &'a str,
    pub n_bytes: usize,
}

impl<'a> First<'a> {
    /// Reads the line in front of `bytes`; nothing where it is not whole or not plain.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let n_method = bytes.iter().take(METHOD_BYTES_MAX + 1).position(|byte| *byte == b' ')?;
        let method = Method::of(&bytes[..n_method])?;
        let rest = &bytes[n_method + 1..];
        let n_target = rest.iter().position(|byte| !TARGET[usize::from(*byte)])?;
        if !rest.starts_with(b"/") || !rest[n_target..].starts_with(VERSION) {
            return None;
        }
        let target = std::str::from_utf8(&rest[..n_target]).ok()?;
        Some(Self { method, target, n_bytes: n_method + 1 + n_target + VERSION.len() })
    }
}

/// What is done with a header line of a plain request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Passed on as it is.
    Other,
    Host,
    Authorization,
    Length,
    Connection,
    ForwardedFor,
    /// Written anew by us, whatever the client says.
    Ours,
    /// Not for this road.
    Odd,
}

/// By length first: most names are told apart by it.
fn kind(name: &str) -> Kind {
    let is = |usual: &str| field::is(name, usual);
    match name.len() {
        2 if is("TE") => Kind::Odd,
        4 if is("Host") => Kind::Host,
        6 if is("Cookie") || is("Expect") => Kind::Odd,
        7 if is("Upgrade") || is("Trailer") => Kind::Odd,
        9 if is("X-Real-IP") => Kind::Ours,
        10 if is("Connection") => Kind::Connection,
        10 if is("Keep-Alive") => Kind::Odd,
        13 if is("Authorization") => Kind::Authorization,
        14 if is("Content-Length") => Kind::Length,
        14 if is("HTTP2-Settings") => Kind::Odd,
        15 if is("X-Forwarded-For") => Kind::ForwardedFor,
        16 if is("X-Forwarded-Host") => Kind::Ours,
        16 if is("Proxy-Connection") => Kind::Odd,
        17 if is("X-Forwarded-Proto") => Kind::Ours,
        17 if is("Transfer-Encoding") => Kind::Odd,
        18 if is("Proxy-Authenticate") => Kind::Odd,
        19 if is("Proxy-Authorization") => Kind::Odd,
        _ => Kind::Other,
    }
}

/// Reads the head in front of `bytes`.
pub fn read<'r, 'a>(bytes: &'a [u8], room: &'r mut Room<'a>) -> Seen<Head<'r, 'a>> {
    let Room { lines, kinds } = room;
    let mut request = Request::new(&mut []);
    let n_head = match request.parse_with_uninit_headers(bytes, lines) {
        Ok(Status::Complete(n)) => n,
        Ok(Status::Partial) => return Seen::Part,
        Err(_) => return Seen::Odd,
    };
    let (Some(method), Some(target), Some(1)) = (request.method, request.path, request.version)
    else {
        return Seen::Odd;
    };
    let line = [method, target].map(str::len);
    if !is_laid_out(&bytes[..n_head], line, request.headers) || !is_plain_target(target) {
        return Seen::Odd;
    }
    let Some(method) = Method::of(method.as_bytes()) else { return Seen::Odd };
    let (mut host, mut authorization, mut forwarded_for, mut length) = (None, None, None, None);
    let mut says_keep_alive = false;
    let lines: &'r [Header<'a>] = request.headers;
    for (Header { name, value }, kind) in lines.iter().zip(kinds.iter_mut()) {
        // Controls but the tab are refused by the parser already.
        if !value.is_ascii() {
            return Seen::Odd;
        }
        // Where one is told twice, the other road says what counts.
        *kind = self::kind(name);
        let is_second = match *kind {
            Kind::Other | Kind::Ours => false,
            Kind::Host => host.replace(*value).is_some(),
            Kind::Authorization => authorization.replace(*value).is_some(),
            Kind::ForwardedFor => forwarded_for.replace(*value).is_some(),
            Kind::Length => length.replace(*value).is_some(),
            Kind::Connection => {
                let is_usual = value.eq_ignore_ascii_case(b"keep-alive");
                !is_usual || std::mem::replace(&mut says_keep_alive, true)
            }
            Kind::Odd => true,
        };
        if is_second {
            return Seen::Odd;
        }
    }
    let Some(host) = host.filter(|host| !host.is_empty()) else { return Seen::Odd };
    let Some(n_body) = length.map_or(Some(0), plain_length) else { return Seen::Odd };
    Seen::Whole(Head {
        method,
        target,
        host,
        authorization,
        forwarded_for,
        n_body,
        n_head,
        text: &bytes[..n_head],
        lines,
        kinds,
    })
}

/// Whether the lines follow each other as the grammar has it, each ended by CRLF, with nothing in
/// front, between or behind: parsers are lenient there.
fn is_laid_out(head: &[u8], [n_method, n_target]: [usize; 2], headers: &[Header<'_>]) -> bool {
    let ends_line = |at: usize| head.get(at..at + 2) == Some(b"\r\n");
    let mut at = n_method + 1 + n_target;
    if head.get(at..at + VERSION.len()) != Some(VERSION) {
        return false;
    }
    at += VERSION.len();
    for header in headers {
        let n_name = header.name.len();
        if offset(head, header.name.as_bytes()) != at || head.get(at + n_name) != Some(&b':') {
            return false;
        }
        let mut end = offset(head, header.value).wrapping_add(header.value.len());
        while matches!(head.get(end), Some(b' ' | b'\t')) {
            end += 1;
        }
        if end <= at + n_name || !ends_line(end) {
            return false;
        }
        at = end + 2;
    }
    ends_line(at) && at + 2 == head.len()
}

/// A path with perhaps a query, of the characters RFC 3986 lets stand there.
fn is_plain_target(target: &str) -> bool {
    target.starts_with('/') && target.bytes().all(|byte| TARGET[usize::from(byte)])
}

/// A length as everybody writes it, of a body that is small.
fn plain_length(value: &[u8]) -> Option<usize> {
    let is_plain = !value.is_empty()
        && value.len() <= LENGTH_DIGITS_MAX
        && value.iter().all(u8::is_ascii_digit)
        && (value[0] != b'0' || value.len() == 1);
    is_plain.then(|| value.iter().fold(0, |n, digit| n * 10 + usize::from(digit - b'0')))
}

const TARGET: [bool; 256] = {
    let mut table = [false; 256];
    let plain = b"-._~!$&'()*+,;=:@/%?";
    let mut at = 0;
    while at < 128 {
        let mut is_plain = (at as u8).is_ascii_alphanumeric();
        let mut n = 0;
        while n < plain.len() {
            is_plain |= plain[n] as usize == at;
            n += 1;
        }
        table[at] = is_plain;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Seen<()> {
        match read(text.as_bytes(), &mut Room::default()) {
            Seen::Whole(_) => Seen::Whole(()),
            Seen::Part => Seen::Part,
            Seen::Odd => Seen::Odd,
        }
    }

    fn with(lines: &str) -> Seen<()> {
        seen(&format!("GET /service/web/ HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
    }

    #[test]
    fn a_plain_head_is_read() {
        let text = "POST /service/web/a%20b?x=1 HTTP/1.1\r\nHost: a:80\r\nX-Own:  1 \t\r\nAccept: */*\r\n\
            Authorization: token=x\r\nConnection: Keep-Alive\r\nX-Forwarded-For: 10.0.0.1\r\n\
            X-Real-IP: 1.2.3.4\r\nX-Empty:\r\nContent-Length: 4\r\n\r\nbody";
        let mut room = Room::default();
        let seen = read(text.as_bytes(), &mut room);
        let Seen::Whole(head) = seen else { panic!("{seen:?}") };
        assert_eq!(head.method, Method::Post);
        assert_eq!(head.target, "/service/web/a%20b?x=1");
        assert_eq!((head.host, head.authorization), (&b"a:80"[..], Some(&b"token=x"[..])));
        assert_eq!(head.forwarded_for, Some(&b"10.0.0.1"[..]));
        assert_eq!(&text.as_bytes()[head.n_head..], b"body");
        assert_eq!(head.n_body, 4);
        let passed = head.passed().map(|(name, value)| {
            let value = String::from_utf8_lossy(value);
            format!("{name}={value}")
        });
        let expected =
            ["X-Own=1", "Accept=*/*", "Authorization=token=x", "X-Empty=", "Content-Length=4"];
        assert_eq!(passed.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_beginning_is_a_part() {
        let whole = "GET /service/web/ HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
        for n in 0..whole.len() {
            assert_eq!(seen(&whole[..n]), Seen::Part, "{:?}", &whole[..n]);
        }
        assert_eq!(seen(whole), Seen::Whole(()));
        assert_eq!(seen(&format!("{whole}GET ")), Seen::Whole(()), "the next one may follow");
    }

    #[test]
    fn odd_lines_are_odd() {
        for lines in [
            "Host: a\r\n",
            "host: b\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 01\r\n",
            "Content-Length: 0x1\r\n",
            "Content-Length: \r\n",
            "Content-Length: 100000\r\n",
            "Content-Length: 18446744073709551617\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "TE: trailers\r\n",
            "Trailer: x\r\n",
            "Connection: close\r\n",
            "Connection: keep-alive, X-Hop\r\n",
            "Connection: keep-alive\r\nConnection: keep-alive\r\n",
            "Connection:\r\n",
            "Keep-Alive: timeout=5\r\n",
            "Upgrade: websocket\r\n",
            "HTTP2-Settings: AAMAAABk\r\n",
            "Proxy-Connection: keep-alive\r\n",
            "Proxy-Authorization: Basic YTpi\r\n",
            "Expect: 100-continue\r\n",
            "Cookie: a=b\r\n",
            "Authorization: a\r\nAuthorization: b\r\n",
            "X-Forwarded-For: a\r\nX-Forwarded-For: b\r\n",
            "X-Bare: a\nX-Second: b\r\n",
            "X-Fold: a\r\n b\r\n",
            "X-Byte: \u{e9}\r\n",
            "X-Null: \0\r\n",
            "X-Escape: \u{1b}\r\n",
            "X-Delete: \u{7f}\r\n",
            "X-Return: a\rb\r\n",
            "X Space: a\r\n",
            "X-Space : a\r\n",
            " X-Space: a\r\n",
            "X-None\r\n",
            ": a\r\n",
        ] {
            assert_eq!(with(lines), Seen::Odd, "{lines:?}");
        }
        let many: String = (0..HEADERS_MAX).map(|n| format!("X-{n}: a\r\n")).collect();
        assert_eq!(with(&many), Seen::Odd);
    }

    #[test]
    fn odd_first_lines_are_odd() {
        for line in [
            "GET /service/web/ HTTP/1.0\r\n",
            "GET  /service/web/ HTTP/1.1\r\n",
            "GET /service/web/  HTTP/1.1\r\n",
            "GET /service/web/ HTTP/1.1\n",
            "\r\nGET /service/web/ HTTP/1.1\r\n",
            "\nGET /service/web/ HTTP/1.1\r\n",
            "get /service/web/ HTTP/1.1\r\n",
            "TRACE /service/web/ HTTP/1.1\r\n",
            "CONNECT a:1 HTTP/1.1\r\n",
            "OPTIONS * HTTP/1.1\r\n",
            "GET http://a/service/web/ HTTP/1.1\r\n",
            "GET /service/web/#part HTTP/1.1\r\n",
            "GET /service/web/\" HTTP/1.1\r\n",
            "GET /service/web/{x} HTTP/1.1\r\n",
            "GET /service/web/\\ HTTP/1.1\r\n",
            "GET /service/web/\u{e9} HTTP/1.1\r\n",
        ] {
            let text = format!("{line}Host: a\r\n\r\n");
            assert_eq!(seen(&text), Seen::Odd, "{line:?}");
        }
        let none = "GET /service/web/ HTTP/1.1\r\n\r\n";
        assert_eq!(seen(none), Seen::Odd, "no host");
        let empty = "GET /service/web/ HTTP/1.1\r\nHost: \r\n\r\n";
        assert_eq!(seen(empty), Seen::Odd, "an empty host");
        let bare = "GET /service/web/ HTTP/1.1\r\nHost: a\n\n";
        assert_eq!(seen(bare), Seen::Odd, "bare line feeds only");
        let last = "GET /service/web/ HTTP/1.1\r\nHost: a\r\n\n";
        assert_eq!(seen(last), Seen::Odd, "a bare line feed at the end");
    }

    #[test]
    fn methods_are_repeated_as_the_standard_has_it() {
        for text in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let method = Method::of(text.as_bytes()).unwrap();
            assert_eq!(method.as_str(), text);
            let standard = http::Method::from_bytes(text.as_bytes()).unwrap();
            assert_eq!(method.is_idempotent(), standard.is_idempotent(), "{text}");
        }
    }
}
