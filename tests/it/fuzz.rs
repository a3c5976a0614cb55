//! Parsers that anybody may talk to, with mutated input: none may panic, and none may be slow.
//!
//! Each runs for `FUZZ_SECONDS` (a moment unless set; `make fuzz SECONDS=600`), from seeds that
//! look like the real thing, by a generator with a fixed start: a failure shows the input and comes
//! again.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue, Method, Uri, header};
use tepui::{
    base::rng::Rng,
    dns::wire,
    http::{
        auth::{cookie_token, header_token},
        body::check_values,
        head,
        pattern::{Pattern, segments},
        query::{Query, cookie},
    },
    model::PathId,
};

/// Longest input made.
const BYTES_MAX: usize = 4096;
/// No parser may take longer for one input of that length, however busy the machine.
const SLOW: Duration = Duration::from_secs(1);
/// Texts that parsers trip over.
const WORDS: [&str; 16] = [
    "%",
    "%2f",
    "%00",
    "..",
    "//",
    "*",
    "\r\n",
    "\0",
    "\u{1F600}",
    "=",
    ";",
    ",",
    "\"",
    "\\",
    "{",
    "0",
];

fn time() -> Duration {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    seconds.map_or(Duration::from_millis(300), Duration::from_secs)
}

/// Shows the input of a panic.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("input: {}", self.0.escape_ascii());
        }
    }
}

fn index(rng: &mut Rng, n: usize) -> usize {
    usize::try_from(rng.below(n.max(1) as u64)).unwrap()
}

/// One to eight small changes.
fn mutate(input: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..=rng.below(8) {
        let at = index(rng, input.len());
        match rng.below(6) {
            0 if !input.is_empty() => input[at] ^= 1 << rng.below(8),
            1 if !input.is_empty() => input[at] = u8::try_from(rng.below(256)).unwrap(),
            2 if !input.is_empty() => {
                let end = (at + index(rng, 16)).min(input.len());
                input.drain(at..end);
            }
            3 => {
                let word = WORDS[index(rng, WORDS.len())].as_bytes();
                input.splice(at..at, word.iter().copied());
            }
            4 => {
                let end = (at + index(rng, 64)).min(input.len());
                let part = input[at..end].to_vec();
                input.splice(at..at, part);
            }
            _ => {
                let bytes = u64::to_be_bytes(rng.below(u64::MAX));
                input.splice(at..at, bytes[..=index(rng, 7)].iter().copied());
            }
        }
    }
    input.truncate(BYTES_MAX);
}

/// Feeds `parse` with changed seeds; what makes it answer in a new way becomes a seed too.
fn fuzz(name: &str, seeds: &[&[u8]], parse: impl Fn(&[u8]) -> u64) {
    let mut rng = Rng::from_seed(name.len() as u64);
    let mut pool: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    let (until, mut n, mut seen) = (Instant::now() + time(), 0_u64, HashSet::new());
    while Instant::now() < until {
        let mut input = pool[index(&mut rng, pool.len())].clone();
        mutate(&mut input, &mut rng);
        let _shown = Shown(&input);
        let began = Instant::now();
        let class = parse(&input);
        assert!(began.elapsed() < SLOW, "slow: {:?}", began.elapsed());
        if seen.len() < 1_000 && seen.insert(class) {
            pool.push(input.clone());
        }
        n += 1;
    }
    println!("{name}: {n} inputs, {} classes", seen.len());
    assert!(n > 100);
}

fn class(text: impl std::fmt::Debug) -> u64 {
    let text = format!("{text:?}");
    text.bytes().take(24).fold(text.len() as u64 % 16, |sum, b| sum.wrapping_mul(31) + u64::from(b))
}

#[test]
fn request_targets() {
    let seeds: [&[u8]; 4] = [b"/service/marathon/v2/apps?x=1", b"*", b"http://a:1/b", b"[::1]:80"];
    let patterns = ["/v2/apps/{id...}/tasks/{task}", "/v2/{id...}", "/"].map(Pattern::new);
    fuzz("targets", &seeds, |bytes| {
        let Ok(target) = Uri::try_from(bytes) else { return 0 };
        let verdict = head::check(&Method::GET, &target, &HeaderMap::new()).is_ok();
        assert!(!verdict || target.path().starts_with('/'), "{target}");
        let path: Vec<&str> = segments(target.path()).collect();
        let found = patterns.iter().filter(|p| p.matches(&path).is_some()).count();
        class((verdict, found, path.len()))
    });
}

#[test]
fn queries_and_cookies() {
    let seeds: [&[u8]; 3] = [b"embed=apps.tasks&force=true", b"a=%2f&a=+&&=", b"a=b; c=\"d\"; e"];
    fuzz("queries", &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let query = Query::parse(&text);
        class((query.get("a").map(str::len), cookie(&text, "c").map(str::len)))
    });
}

#[test]
fn tokens_in_headers() {
    let seeds: [&[u8]; 4] =
        [b"token=a.b.c", b"Bearer a.b.c", b"Basic YTpi", b"dcos-acs-auth-cookie=a; b=c"];
    fuzz("tokens", &seeds, |bytes| {
        let Ok(value) = HeaderValue::from_bytes(bytes) else { return 0 };
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, value.clone());
        let cookie = cookie_token(&headers).map(str::len);
        headers.insert(header::AUTHORIZATION, value);
        class((cookie, header_token(&headers).map(str::len)))
    });
}

#[test]
fn ids_and_json() {
    let seeds: [&[u8]; 3] = [b"/shop/../web//a", br#"{"uid":"a","password":"b\""}"#, b"[[[0,1]]]"];
    fuzz("json", &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let id = PathId::parse(&text);
        assert_eq!(PathId::parse(id.as_str()), id);
        let json = serde_json::from_slice::<serde_json::Value>(bytes);
        class((id.check_size().is_ok(), check_values(bytes).is_ok(), json.is_ok()))
    });
}

#[test]
fn dns_messages() {
    let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x03web\x08marathon\x05mesos\
        \x00\x00\x01\x00\x01\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00";
    let pointer = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01";
    fuzz("dns", &[question, pointer], |bytes| u64::from(wire::parse(bytes).is_ok()));
}
