//! Made-up values of every shape, and the field a later release might add.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use super::{Message, Value as _, WireError};
use crate::base::{clock::Timestamp, rng::Rng, units::Milli};

/// A value drawn at random.
pub trait Sample: Sized {
    fn sample(rng: &mut Rng) -> Self;
}

/// One of several.
pub fn one_of<'a, T>(values: &'a [T], rng: &mut Rng) -> &'a T {
    let at = rng.below(values.len() as u64);
    &values[usize::try_from(at).unwrap()]
}

thread_local!(static IS_LATER: Cell<bool> = const { Cell::new(false) });

/// What `work` writes is written as a later release would, with a field more in every message.
pub fn as_a_later_release<T>(work: impl FnOnce() -> T) -> T {
    IS_LATER.set(true);
    let done = work();
    IS_LATER.set(false);
    done
}

/// The field more, while a later release is played.
pub fn put_extra_field(out: &mut Vec<u8>) {
    if IS_LATER.get() {
        "of a later release".to_owned().put(1_000, out);
        7_u64.put(1_001, out);
        0.5.put(1_002, out);
    }
}

macro_rules! samples {
    ($($type:ty: |$rng:ident| $made:expr;)*) => { $(
        impl Sample for $type {
            fn sample($rng: &mut Rng) -> Self {
                $made
            }
        }
    )* };
}

fn number(rng: &mut Rng) -> u64 {
    // Of every length, not only long ones.
    let bits = rng.below(65);
    if bits == 0 { 0 } else { rng.below(u64::MAX) >> (64 - bits) }
}

#[allow(clippy::cast_possible_truncation)]
mod of_std {
    use super::*;

    samples! {
        bool: |rng| rng.below(2) == 1;
        u16: |rng| number(rng) as u16;
        u32: |rng| number(rng) as u32;
        u64: |rng| number(rng);
        i32: |rng| number(rng) as i32;
        i64: |rng| number(rng).cast_signed();
        u128: |rng| u128::from(number(rng)) << 64 | u128::from(number(rng));
        f64: |rng| number(rng) as f64 / 8.0;
        String: |rng| {
            let n = rng.below(12);
            (0..n).map(|_| *one_of(&['a', 'z', '-', '/', ' ', 'é', '語'], rng)).collect()
        };
        Arc<str>: |rng| String::sample(rng).into();
        Vec<u8>: |rng| {
            let mut bytes = vec![0; rng.below(20) as usize];
            rng.fill(&mut bytes);
            bytes
        };
        bytes::Bytes: |rng| Vec::<u8>::sample(rng).into();
        [u8; 32]: |rng| {
            let mut bytes = [0; 32];
            rng.fill(&mut bytes);
            bytes
        };
        Timestamp: |rng| Timestamp::from_ms(rng.below(4_000_000_000_000).cast_signed());
        Milli: |rng| Milli::new(number(rng).cast_signed());
        IpAddr: |rng| {
            let v6: [u8; 16] = rng.below(u64::MAX).to_be_bytes().repeat(2).try_into().unwrap();
            let v4: [u8; 4] = v6[..4].try_into().unwrap();
            if bool::sample(rng) { v4.into() } else { v6.into() }
        };
        Vec<Option<u16>>: |rng| {
            let n = rng.below(4);
            (0..n).map(|_| Some(u16::sample(rng)).filter(|port| *port != 0)).collect()
        };
    }
}

impl<T: Sample> Sample for Arc<T> {
    fn sample(rng: &mut Rng) -> Self {
        Self::new(T::sample(rng))
    }
}

impl<T: Sample> Sample for Box<T> {
    fn sample(rng: &mut Rng) -> Self {
        Self::new(T::sample(rng))
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(rng: &mut Rng) -> Self {
        bool::sample(rng).then(|| T::sample(rng))
    }
}

impl<T: Sample + super::Element> Sample for Vec<T> {
    fn sample(rng: &mut Rng) -> Self {
        let n = rng.below(3);
        (0..n).map(|_| T::sample(rng)).collect()
    }
}

impl<T: Sample + Ord> Sample for BTreeSet<T> {
    fn sample(rng: &mut Rng) -> Self {
        let n = rng.below(3);
        (0..n).map(|_| T::sample(rng)).collect()
    }
}

impl<K: Sample + Ord, V: Sample> Sample for BTreeMap<K, V> {
    fn sample(rng: &mut Rng) -> Self {
        let n = rng.below(3);
        (0..n).map(|_| (K::sample(rng), V::sample(rng))).collect()
    }
}

impl<A: Sample, B: Sample> Sample for (A, B) {
    fn sample(rng: &mut Rng) -> Self {
        (A::sample(rng), B::sample(rng))
    }
}

impl<A: Sample, B: Sample, C: Sample> Sample for (A, B, C) {
    fn sample(rng: &mut Rng) -> Self {
        (A::sample(rng), B::sample(rng), C::sample(rng))
    }
}

impl<T: Sample, E: Sample> Sample for Result<T, E> {
    fn sample(rng: &mut Rng) -> Self {
        if bool::sample(rng) { Ok(T::sample(rng)) } else { Err(E::sample(rng)) }
    }
}

/// One declared shape, with what a test does to it.
pub struct Shape {
    name: &'static str,
    fields: &'static [(u32, &'static str)],
    /// Bytes and words of a made-up value.
    draw: fn(&mut Rng) -> (Vec<u8>, String),
    /// Words of what stands in bytes, and the bytes as they would be written now.
    read: fn(&[u8]) -> Result<(Vec<u8>, String), WireError>,
}

/// The shape of `T`.
pub const fn shape<T: Message + Sample + std::fmt::Debug>() -> Shape {
    Shape {
        name: T::NAME,
        fields: T::FIELDS,
        draw: |rng| {
            let value = T::sample(rng);
            (super::encode(&value), format!("{value:?}"))
        },
        read: |bytes| T::read(bytes).map(|value| (super::encode(&value), format!("{value:?}"))),
    }
}

/// The numbers of an enum without data.
pub trait Numbered {
    const NAME: &'static str;
    const NUMBERS: &'static [(u32, &'static str)];
}

/// The shape of `T`, which is never written alone.
pub const fn numbered<T: Numbered + super::Element + Sample + std::fmt::Debug>() -> Shape {
    Shape {
        name: T::NAME,
        fields: T::NUMBERS,
        draw: |rng| {
            let value = T::sample(rng);
            (super::encode(&(value,)), String::new())
        },
        read: |bytes| <(T,)>::read(bytes).map(|value| (super::encode(&value), String::new())),
    }
}

/// Holds the shapes of a module to the rules: what is written is read, with fields more than are
/// known too; broken bytes are an error at most; numbers are not given twice; and all that an
/// earlier release wrote, as recorded in `tests/golden/formats`, is still read as it was meant.
///
/// `TEPUI_GOLDEN=write` records shapes that are not there yet, and changes nothing of the others.
pub fn hold(module: &str, shapes: &[Shape]) {
    hold_less(module, shapes, &[]);
}

/// As `hold`, where of some messages less is read than was once written.
pub fn hold_less(module: &str, shapes: &[Shape], less: &[ReadsLess]) {
    for shape in shapes {
        shape.is_sound();
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/formats/");
    let file = format!("{file}{module}.txt");
    let mut recorded = std::fs::read_to_string(&file).unwrap_or_default();
    for shape in shapes {
        let is_there = recorded.lines().any(|line| line == shape.name);
        if !is_there && records() {
            recorded.push_str(&shape.record());
        } else {
            assert!(is_there, "{}: record its format with TEPUI_GOLDEN=write", shape.name);
        }
    }
    if records() {
        std::fs::write(&file, &recorded).unwrap();
    }
    let lines: Vec<&str> = recorded.lines().collect();
    for record in lines.chunks(4) {
        let [name, fields, bytes, words] = record else { panic!("{file} is cut") };
        let shape = shapes.iter().find(|shape| shape.name == *name);
        shape.unwrap_or_else(|| panic!("{name} is gone")).opens(fields, bytes, words, less);
    }
}

/// Where a reader takes a message for another one that has some of its fields.
pub struct ReadsLess {
    /// The shapes that hold it.
    pub by: &'static [&'static str],
    pub written: &'static str,
    pub read: &'static str,
    /// The fields that are not looked at any more.
    pub without: &'static [&'static str],
}

impl ReadsLess {
    /// The words of what was written, as its reader has them.
    fn of(&self, words: &str) -> String {
        let head = format!("{} {{ ", self.written);
        let mut pieces = words.split(&head);
        let mut out = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let end = Self::end(piece, '}');
            let (fields, behind) = piece.split_at(end);
            let kept: Vec<&str> = Self::fields(fields)
                .filter(|field| {
                    let name = field.trim_start().split(':').next().unwrap_or_default();
                    !self.without.contains(&name)
                })
                .collect();
            let kept = kept.join(", ");
            out.push_str(&format!("{} {{ {} {behind}", self.read, kept.trim_end()));
        }
        out
    }

    /// Where the first `stop` stands that is in no brackets.
    fn end(text: &str, stop: char) -> usize {
        let mut depth = 0;
        for (at, c) in text.char_indices() {
            if depth == 0 && c == stop {
                return at;
            }
            match c {
                '{' | '[' | '(' => depth += 1,
                '}' | ']' | ')' => depth -= 1,
                _ => {}
            }
        }
        text.len()
    }

    fn fields(mut text: &str) -> impl Iterator<Item = &str> {
        std::iter::from_fn(move || {
            if text.is_empty() {
                return None;
            }
            let (field, behind) = text.split_at(Self::end(text, ','));
            text = behind.strip_prefix(", ").unwrap_or_default();
            Some(field)
        })
    }
}

/// The bytes that `base::hex` wrote.
pub fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Whether what is not recorded yet is recorded now.
#[allow(clippy::disallowed_methods)] // set by whoever runs the tests
pub fn records() -> bool {
    std::env::var("TEPUI_GOLDEN").is_ok_and(|mode| mode == "write")
}

impl Shape {
    fn rng(&self, n: u64) -> Rng {
        Rng::from_seed(n).child(self.name)
    }

    fn is_sound(&self) {
        let mut numbers: Vec<u32> = self.fields.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), self.fields.len(), "{}: a number twice", self.name);
        for n in 0..200 {
            let (bytes, words) = (self.draw)(&mut self.rng(n));
            let read =
                (self.read)(&bytes).unwrap_or_else(|e| panic!("{}: {e}: {words}", self.name));
            assert_eq!(read, (bytes.clone(), words.clone()), "{}", self.name);
            let (later, _) = as_a_later_release(|| (self.draw)(&mut self.rng(n)));
            assert!(later.len() > bytes.len());
            let read =
                (self.read)(&later).unwrap_or_else(|e| panic!("{}: {e}: {words}", self.name));
            assert_eq!(read, (bytes.clone(), words), "{}: with fields more", self.name);
            self.takes_anything(bytes, n);
        }
    }

    fn takes_anything(&self, mut bytes: Vec<u8>, n: u64) {
        let mut rng = Rng::from_seed(n);
        for _ in 0..4 {
            if bytes.is_empty() {
                return;
            }
            let at = usize::try_from(rng.below(bytes.len() as u64)).unwrap();
            bytes[at] ^= 1 << rng.below(8);
            let _ = (self.read)(&bytes);
            let _ = (self.read)(&bytes[..at]);
        }
    }

    /// Four lines: name, fields, bytes, words.
    fn record(&self) -> String {
        const BYTES_ABOUT: usize = 300;
        let draw = |n| (self.draw)(&mut self.rng(n));
        let best = (0..40).map(draw).min_by_key(|(bytes, _)| bytes.len().abs_diff(BYTES_ABOUT));
        let (bytes, words) = best.unwrap();
        let fields: Vec<String> =
            self.fields.iter().map(|(number, name)| format!("{number}={name}")).collect();
        let (name, hex) = (self.name, crate::base::hex::hex(&bytes));
        format!("{name}\n{}\n{hex}\n{words}\n", fields.join("; "))
    }

    /// What was recorded of this shape is read as it was meant. Fields may have come since.
    fn opens(&self, fields: &str, hex: &str, words: &str, less: &[ReadsLess]) {
        for field in fields.split("; ").filter(|field| !field.is_empty()) {
            let (number, name) = field.split_once('=').unwrap();
            let is_kept = self.fields.iter().any(|(n, now)| {
                // Variants may have got fields.
                n.to_string() == number && now.starts_with(name.trim_end_matches('}'))
            });
            assert!(is_kept, "{}: number {number} was {name} in a release", self.name);
        }
        if words.is_empty() {
            return; // numbers alone
        }
        let less = less.iter().filter(|less| less.by.contains(&self.name));
        let words = less.fold(words.to_owned(), |words, less| less.of(&words));
        let (_, now) = (self.read)(&unhex(hex)).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let mut rest = now.split(' ');
        for word in words.split(' ') {
            let word = word.trim_end_matches('}');
            assert!(
                rest.any(|now| {
                    // What was the last of its message may have others behind it by now.
                    let inner = now.trim_end_matches(',');
                    [now, inner].iter().any(|now| now.trim_end_matches('}') == word)
                        || inner == word
                }),
                "{}: recorded as {words}, read as {now}",
                self.name
            );
        }
    }
}
