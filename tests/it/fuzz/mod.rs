//! Everything that reads what strangers send, with changed input: none may panic, be slow, or let
//! anybody in.
//!
//! Each target runs for `FUZZ_SECONDS` (a moment unless set; `make fuzz SECONDS=600`), from seeds
//! that look like the real thing, by a generator with a fixed start: a failure shows the input and
//! comes again. What makes a target answer in a new way becomes a seed. `parsers` feeds bytes to one
//! parser; `doors` makes requests and frames of them that are nearly right, so that they get past
//! the first check.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tepui::base::rng::Rng;

mod doors;
mod parsers;
mod shape;

/// Longest input made.
const BYTES_MAX: usize = 4096;
/// No target may keep its thread on a processor for longer with one input of that length.
const SLOW: Duration = Duration::from_secs(1);
/// Inputs of a short run on a busy machine.
const INPUTS_MIN: u64 = 200;
/// Inputs kept because they made a target answer in a new way.
const POOL_MAX: usize = 2_000;
/// Texts that parsers trip over.
const WORDS: [&str; 24] = [
    "%",
    "%2f",
    "%00",
    "%c0%af",
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
    "\\u0000",
    "{",
    "[",
    "0",
    "-1",
    "1e999",
    "18446744073709551616",
    "[::1]",
    "@",
];

fn time() -> Duration {
    #[allow(clippy::disallowed_methods)] // set by whoever runs the tests
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    seconds.map_or(Duration::from_millis(300), Duration::from_secs)
}

/// How long this thread has been on a processor; the machine may be busy with other things.
fn on_processor() -> Duration {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    nix::time::clock_gettime(clock).unwrap().into()
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

/// One to eight small changes, or a part of another input.
fn mutate(input: &mut Vec<u8>, pool: &[Vec<u8>], rng: &mut Rng) {
    for _ in 0..=rng.below(8) {
        let at = index(rng, input.len());
        match rng.below(8) {
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
                let n = if rng.below(16) == 0 { 64 } else { 1 };
                input.splice(at..at, part.repeat(n));
            }
            5 => {
                let other = &pool[index(rng, pool.len())];
                let from = index(rng, other.len());
                let end = (at + index(rng, 64)).min(input.len());
                let part = other[from..].iter().take(index(rng, 256)).copied();
                let part: Vec<u8> = part.collect();
                input.splice(at..end, part);
            }
            6 if input.len() >= 4 => {
                // A length or a number at its ends.
                let ends = [0_u32, 1, 0x7f, 0xff, 0x100, 0xffff, 0x0001_0000, u32::MAX];
                let bytes = ends[index(rng, ends.len())].to_be_bytes();
                let at = at.min(input.len() - 4);
                input[at..at + 4].copy_from_slice(&bytes);
            }
            _ => {
                let bytes = u64::to_be_bytes(rng.below(u64::MAX));
                input.splice(at..at, bytes[..=index(rng, 7)].iter().copied());
            }
        }
    }
    input.truncate(BYTES_MAX);
}

/// Feeds `target` with changed seeds; it tells in what way it answered.
fn fuzz(name: &str, seeds: &[&[u8]], mut target: impl FnMut(&[u8]) -> u64) {
    let mut rng = Rng::from_seed(name.bytes().map(u64::from).sum());
    let mut pool: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    let (until, mut n, mut seen) = (Instant::now() + time(), 0_u64, HashSet::new());
    let mut next = 0;
    while Instant::now() < until || n < INPUTS_MIN {
        let mut input = pool.get(next).cloned().unwrap_or_default();
        // The seeds themselves first, then changes of everything in turn.
        if n >= seeds.len() as u64 {
            mutate(&mut input, &pool, &mut rng);
        }
        next = if next + 1 < pool.len() { next + 1 } else { 0 };
        let _shown = Shown(&input);
        let began = on_processor();
        let class = target(&input);
        let used = on_processor().saturating_sub(began);
        assert!(used < SLOW, "slow: {used:?}");
        if pool.len() < POOL_MAX && seen.insert(class) {
            pool.push(input.clone());
        }
        n += 1;
    }
    println!("{name}: {n} inputs, {} ways of answering", seen.len());
    assert!(seen.len() > 1, "every input was answered in the same way");
}

/// The way of answering that `text` stands for.
fn class(text: impl std::fmt::Debug) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    format!("{text:?}").hash(&mut hasher);
    hasher.finish()
}
