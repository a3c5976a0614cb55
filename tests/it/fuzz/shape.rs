//! Bytes as a row of decisions: whatever they are, they make a request or frames that are nearly
//! right.

use http::{HeaderName, HeaderValue, Method, Uri};
use tepui::http::{Body, Request};

/// The decisions left.
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn of<'t, T: ?Sized>(&mut self, all: &[&'t T]) -> &'t T {
        all[usize::from(self.byte()) % all.len()]
    }

    /// Some bytes as they are.
    pub fn raw(&mut self, n_max: usize) -> &'a [u8] {
        let n = (usize::from(self.byte()) % (n_max + 1)).min(self.0.len());
        let (head, rest) = self.0.split_at(n);
        self.0 = rest;
        head
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn text(&mut self, pieces: &[&str], n_max: u8) -> String {
        let n = self.byte() % (n_max + 1);
        (0..n)
            .map(|_| match self.byte() {
                0..200 => self.of(pieces).to_owned(),
                _ => String::from_utf8_lossy(self.raw(8)).into_owned(),
            })
            .collect()
    }
}

const METHODS: [&str; 9] =
    ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "X-ODD"];
const PATHS: [&str; 28] = [
    "/",
    "//",
    "*",
    "/acs",
    "/api",
    "/v1",
    "/auth",
    "/login",
    "/logout",
    "/users",
    "/service",
    "/marathon",
    "/v2",
    "/apps",
    "/mesos",
    "/master",
    "/state",
    "/agent",
    "/files",
    "/tepui",
    "/ui",
    "/ca/dcos-ca.crt",
    "/..",
    "/.",
    "/%2e%2e",
    "/%2fservice",
    ";x",
    "/system",
];
const QUERIES: [&str; 12] = [
    "jsonp=f",
    "jsonp",
    "&",
    "=",
    "force=true",
    "embed=",
    "%",
    "%00",
    "+",
    "jsonp=%28",
    "target=/",
    "#",
];
const NAMES: [&str; 19] = [
    "authorization",
    "cookie",
    "host",
    "origin",
    "referer",
    "sec-fetch-site",
    "accept",
    "content-type",
    "upgrade",
    "connection",
    "range",
    "if-none-match",
    "accept-encoding",
    "x-forwarded-for",
    "forwarded",
    "x-forwarded-proto",
    "last-event-id",
    "expect",
    "x-odd",
];
const VALUES: [&str; 34] = [
    "token=",
    "Bearer ",
    "Basic ",
    "YWRtaW46aHVudGVyMw==",
    "Og==",
    "a.b.c",
    "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJ1aWQiOiJhZG1pbiIsImV4cCI6NDAwMDAwMDAwMCwiZ2VuIjowfQ.",
    "dcos-acs-auth-cookie=",
    "; ",
    "=",
    "\"",
    "http://",
    "https://",
    "door",
    "evil",
    ":443",
    ":",
    "[::1]",
    "null",
    "same-origin",
    "cross-site",
    "none",
    "application/json",
    "*/*",
    ";q=0",
    ",",
    "websocket",
    "h2c",
    "Upgrade",
    "bytes=0-",
    "-1",
    "W/\"x\"",
    "gzip",
    "identity",
];
const JSON: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"uid\"",
    "\"password\"",
    "\"token\"",
    "\"exp\"",
    "\"admin\"",
    "\"hunter3\"",
    "0",
    "-1",
    "1e400",
    "1.5",
    "true",
    "null",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\"a.b.c\"",
    "{\"uid\":\"admin\",\"password\":\"x\"}",
    " ",
    "\u{feff}",
];

/// A request somebody might send, and its path.
pub fn request(choices: &mut Choices<'_>) -> Option<Request> {
    let method = Method::from_bytes(choices.of(&METHODS).as_bytes()).ok()?;
    let mut target = choices.text(&PATHS, 6);
    if choices.byte().is_multiple_of(2) {
        target = format!("{target}?{}", choices.text(&QUERIES, 6));
    }
    let target: Uri = target.parse().ok()?;
    let mut request = http::Request::builder().method(method).uri(target);
    for _ in 0..choices.byte() % 6 {
        let name = HeaderName::from_static(choices.of(&NAMES));
        let value = HeaderValue::from_bytes(choices.text(&VALUES, 5).as_bytes()).ok()?;
        request = request.header(name, value);
    }
    let body = match choices.byte() % 4 {
        0 => Body::empty(),
        1 => Body::full(choices.rest().to_vec()),
        _ => Body::full(choices.text(&JSON, 40)),
    };
    request.body(body).ok()
}

/// The same as a client of HTTP/1.1 writes it, more or less.
pub fn lines(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    while !choices.is_empty() && out.len() < 8192 {
        let version = choices.of(&["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", ""]);
        let (method, target) = (choices.of(&METHODS), choices.text(&PATHS, 6));
        out.extend(format!("{method} {target} {version}\r\nHost: door\r\n").bytes());
        for _ in 0..choices.byte() % 8 {
            let (name, end) =
                (choices.of(&NAMES), choices.of(&["\r\n", "\r\n", "\r\n", "\n", "\r\n "]));
            out.extend(format!("{name}: {}{end}", choices.text(&VALUES, 5)).bytes());
        }
        let body = choices.text(&JSON, 10);
        let framing = match choices.byte() % 8 {
            0 => "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n".to_owned(),
            1 => format!("Transfer-Encoding: chunked\r\n\r\n{}\r\n", choices.text(&JSON, 3)),
            2 => format!("Content-Length: {}\r\nContent-Length: 1\r\n\r\n{body}", body.len()),
            3 => format!("Content-Length: -{}\r\n\r\n{body}", body.len()),
            4 => "\r\n".to_owned(),
            _ => format!("Content-Length: {}\r\n\r\n{body}", body.len()),
        };
        out.extend(framing.bytes());
        out.extend(choices.raw(4));
    }
    out
}

/// Header blocks of HTTP/2: static names, own ones, table sizes, and what is none.
const BLOCKS: [&[u8]; 8] = [
    b"\x82\x84\x87\x41\x04door",
    b"\x83\x84\x87\x41\x04door\x04\x08/v2/apps",
    b"\x82\x84\x87\x41\x04door\x00\x06cookie\x03a=b",
    b"\x3f\xe1\x1f",
    b"\x82\x82\x84",
    b"\x40\x7f\xff\xff\xff\xff\x0f",
    b"\x80",
    b"\xbe\xbf\xc0",
];

/// A connection of HTTP/2, frame by frame.
pub fn frames(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    while !choices.is_empty() && out.len() < 16_384 {
        let (kind, flags) = (choices.byte() % 11, choices.byte());
        let stream = match choices.byte() % 8 {
            0 => 0,
            1 => u32::from_be_bytes([choices.byte(), 0, 0, choices.byte()]),
            odd => u32::from(odd) * 2 + 1,
        };
        let mut payload = match kind {
            1 | 9 => choices.of(&BLOCKS).to_vec(),
            2 => vec![0, 0, 0, choices.byte(), 16],
            3 | 8 => vec![choices.byte(), 0, 0, choices.byte()],
            4 if flags & 1 == 0 => {
                vec![0, choices.byte() % 8, choices.byte(), 0, 0, choices.byte()]
            }
            6 => vec![7; 8],
            7 => vec![0; 8],
            _ => Vec::new(),
        };
        let n_more = if kind == 0 || choices.byte() > 200 { 64 } else { 0 };
        payload.extend(choices.raw(n_more));
        let n = u32::try_from(payload.len()).unwrap();
        let n = if choices.byte() > 250 { n + 1 } else { n };
        out.extend(&n.to_be_bytes()[1..]);
        out.extend([kind, flags & 0x3d]);
        out.extend(stream.to_be_bytes());
        out.extend(payload);
    }
    out
}
