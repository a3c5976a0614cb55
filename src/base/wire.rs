//! Bytes of what is stored or sent: messages whose fields have numbers, in the wire format of
//! Protocol Buffers (protobuf.dev/programming-guides/encoding).
//!
//! A shape is declared apart from the type it is the shape of (`message!`, `choice!`, `numbers!`):
//! a line for each field with its number. What is written by a newer release with fields more is
//! read by an older one, which skips them; what an older one wrote lacks fields, and the declaration
//! says what that means. Rules, held by tests (docs/formats.md):
//!
//! - a number is never given to another field, nor a field another kind of value;
//! - a new field says what its absence means: `9: name = value`, or it is an `Option` or a list;
//! - new variants are written only when every reader knows them (the cluster's level).
//!
//! Two equal values have equal bytes: fields are written in the order of their declaration, maps and
//! sets in their own.

use prost::encoding::{
    WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint,
};

#[macro_use]
mod declare;
mod value;
#[cfg(feature = "next")]
pub mod next;

#[cfg(test)]
pub mod sample;
#[cfg(test)]
mod tests;

pub use value::{Element, Value, put_one, put_text, text};

/// Bytes that could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    #[error("{0} is not readable: it ends too early or is of another format")]
    Broken(&'static str),
    #[error("{of} lacks its field {field}")]
    Missing { of: &'static str, field: &'static str },
    #[error("{of} is of a kind (number {number}) that only a newer release knows")]
    Newer { of: &'static str, number: u64 },
    #[error("{of} holds a value that does not exist: {problem}")]
    Invalid { of: &'static str, problem: String },
}

/// Something that is written as fields with numbers.
pub trait Message: Sized {
    /// As it is called in errors and in the list of formats.
    const NAME: &'static str;
    /// Numbers and what stands behind each.
    const FIELDS: &'static [(u32, &'static str)];

    /// Appends all fields.
    fn put_fields(&self, out: &mut Vec<u8>);

    /// Reads what `put_fields` wrote, here or in another release.
    fn read(bytes: &[u8]) -> Result<Self, WireError>;
}

/// Most messages are shorter: rows of instances, single commands.
const BYTES_ABOUT: usize = 256;

/// The bytes of a message.
pub fn encode<M: Message>(message: &M) -> Vec<u8> {
    let mut out = Vec::with_capacity(BYTES_ABOUT);
    put_content(message, &mut out);
    out
}

/// What is written into the state: every master of a cluster has to write the same.
pub fn stored<T>(write: impl FnOnce() -> T) -> T {
    #[cfg(feature = "next")]
    return next::as_before(write);
    #[cfg(not(feature = "next"))]
    write()
}

/// The bytes of a single value: a message with it as field 1.
pub fn encode_one<T: Element>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.put(1, &mut out);
    out
}

/// Reads what `encode_one` wrote.
pub fn decode_one<T: Element>(of: &'static str, bytes: &[u8]) -> Result<T, WireError> {
    let mut slot = None;
    for field in Fields::new(of, bytes) {
        let field = field?;
        if field.number == 1 {
            T::merge(&mut slot, &field)?;
        }
    }
    taken(slot, of, "value")
}

/// The bytes of a message behind a byte that tells the version of its shape.
pub fn encode_versioned<M: Message>(version: u8, message: &M) -> Vec<u8> {
    let mut out = Vec::with_capacity(BYTES_ABOUT);
    out.push(version);
    put_content(message, &mut out);
    out
}

fn put_content<M: Message>(message: &M, out: &mut Vec<u8>) {
    message.put_fields(out);
    #[cfg(feature = "next")]
    next::put_field_more(M::NAME, out);
    #[cfg(test)]
    sample::put_extra_field(out);
}

/// Appends a field that holds what `content` appends.
pub fn put_nested(number: u32, out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    encode_key(number, WireType::LengthDelimited, out);
    let at = out.len();
    out.push(0);
    content(out);
    let n_bytes = (out.len() - at - 1) as u64;
    match u8::try_from(n_bytes) {
        Ok(short) if short < 0x80 => out[at] = short,
        Ok(_) | Err(_) => {
            let mut length = Vec::with_capacity(encoded_len_varint(n_bytes));
            encode_varint(n_bytes, &mut length);
            out.splice(at..=at, length);
        }
    }
}

/// Appends a field, unless its absence says the same.
pub fn put_field<V: Value>(number: u32, value: &V, out: &mut Vec<u8>) {
    if !value.is_absent() {
        value.put(number, out);
    }
}

/// Appends a message as a field.
pub fn put_message<M: Message>(number: u32, message: &M, out: &mut Vec<u8>) {
    put_nested(number, out, |out| put_content(message, out));
}

/// One field as it was read.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Field<'a> {
    pub number: u32,
    pub content: Content<'a>,
}

/// What a field holds, as far as that can be told without its declaration.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Content<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// The fields in `bytes`, in order. Ends after the first error.
pub struct Fields<'a> {
    of: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(of: &'static str, bytes: &'a [u8]) -> Self {
        Self { of, rest: bytes }
    }

    fn next_field(&mut self) -> Option<Field<'a>> {
        let (number, kind) = decode_key(&mut self.rest).ok()?;
        let content = match kind {
            WireType::Varint => Content::Varint(decode_varint(&mut self.rest).ok()?),
            WireType::SixtyFourBit => {
                let (bytes, rest) = self.rest.split_first_chunk()?;
                self.rest = rest;
                Content::Fixed64(u64::from_le_bytes(*bytes))
            }
            WireType::ThirtyTwoBit => {
                let (bytes, rest) = self.rest.split_first_chunk()?;
                self.rest = rest;
                Content::Fixed32(u32::from_le_bytes(*bytes))
            }
            WireType::LengthDelimited => {
                let n_bytes = usize::try_from(decode_varint(&mut self.rest).ok()?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(n_bytes)?;
                self.rest = rest;
                Content::Bytes(bytes)
            }
            WireType::StartGroup | WireType::EndGroup => return None,
        };
        Some(Field { number, content })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.next_field().ok_or(WireError::Broken(self.of));
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    /// The bytes of a text, a list of bytes or a message.
    pub fn bytes(&self, of: &'static str) -> Result<&'a [u8], WireError> {
        match self.content {
            Content::Bytes(bytes) => Ok(bytes),
            Content::Varint(_) | Content::Fixed64(_) | Content::Fixed32(_) => {
                Err(WireError::Broken(of))
            }
        }
    }

    /// A whole number.
    pub fn varint(&self, of: &'static str) -> Result<u64, WireError> {
        match self.content {
            Content::Varint(number) => Ok(number),
            Content::Bytes(_) | Content::Fixed64(_) | Content::Fixed32(_) => {
                Err(WireError::Broken(of))
            }
        }
    }
}

/// Several lists of numbers as one, for `choices!`.
pub const fn joined<const N: usize>(
    lists: &[&'static [(u32, &'static str)]],
) -> [(u32, &'static str); N] {
    let mut all = [(0, ""); N];
    let (mut list, mut n) = (0, 0);
    while list < lists.len() {
        let mut at = 0;
        while at < lists[list].len() {
            all[n] = lists[list][at];
            (at, n) = (at + 1, n + 1);
        }
        list += 1;
    }
    all
}

/// What a field holds after all of a message was read: what came, or what its absence means.
pub fn taken<T: Value>(
    slot: Option<T>,
    of: &'static str,
    field: &'static str,
) -> Result<T, WireError> {
    slot.or_else(T::absent).ok_or(WireError::Missing { of, field })
}
