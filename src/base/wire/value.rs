//! What can stand in a field: numbers, texts, bytes, lists, maps, pairs, and what may be absent.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use prost::encoding::{WireType, encode_key, encode_varint};

use super::{Content, Field, Fields, Message, WireError, put_nested, taken};
use crate::base::{clock::Timestamp, units::Milli};

/// A value that can stand in a field.
pub trait Value: Sized {
    /// Appends the field; a list appends one for each element.
    fn put(&self, number: u32, out: &mut Vec<u8>);

    /// What it means that the field is not there; `None`: it has to be.
    fn absent() -> Option<Self>;

    /// Whether that is what the value is, so that it need not be written.
    fn is_absent(&self) -> bool {
        false
    }

    /// Takes a field in. Of several the last one counts; a list takes them all.
    fn merge(slot: &mut Option<Self>, field: &Field<'_>) -> Result<(), WireError>;
}

/// A value that is always exactly one field, so that a list of it keeps its length.
pub trait Element: Value {}

/// Appends a value that is one field.
pub fn put_one<T: Element>(value: &T, number: u32, out: &mut Vec<u8>) {
    value.put(number, out);
}

/// Appends a text.
pub fn put_text(text: &str, number: u32, out: &mut Vec<u8>) {
    put_bytes(text.as_bytes(), number, out);
}

/// The text a field holds.
pub fn text<'a>(field: &Field<'a>, of: &'static str) -> Result<&'a str, WireError> {
    std::str::from_utf8(field.bytes(of)?).map_err(|_| WireError::Broken(of))
}

fn put_bytes(bytes: &[u8], number: u32, out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_varint(value: u64, number: u32, out: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}

/// Small negative numbers are small too (the format's `sint`).
fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// A value with a natural nothing: its default.
macro_rules! defaulted {
    ($type:ty, $put:expr, $take:expr) => {
        impl Value for $type {
            fn put(&self, number: u32, out: &mut Vec<u8>) {
                let put: fn(&$type, u32, &mut Vec<u8>) = $put;
                put(self, number, out);
            }

            fn absent() -> Option<Self> {
                Some(Self::default())
            }

            fn is_absent(&self) -> bool {
                *self == Self::default()
            }

            fn merge(slot: &mut Option<Self>, field: &Field<'_>) -> Result<(), WireError> {
                let take: fn(&Field<'_>) -> Result<$type, WireError> = $take;
                *slot = Some(take(field)?);
                Ok(())
            }
        }

        impl Element for $type {}
    };
}

macro_rules! unsigned {
    ($($type:ident),*) => { $(
        defaulted!(
            $type,
            |value, number, out| put_varint(u64::from(*value), number, out),
            |field| {
                let of = stringify!($type);
                $type::try_from(field.varint(of)?).map_err(|_| WireError::Broken(of))
            }
        );
    )* };
}

macro_rules! signed {
    ($($type:ident),*) => { $(
        defaulted!(
            $type,
            |value, number, out| put_varint(zigzag(i64::from(*value)), number, out),
            |field| {
                let of = stringify!($type);
                $type::try_from(unzigzag(field.varint(of)?)).map_err(|_| WireError::Broken(of))
            }
        );
    )* };
}

unsigned!(u16, u32, u64);
signed!(i32, i64);

defaulted!(bool, |value, number, out| put_varint(u64::from(*value), number, out), |field| {
    Ok(field.varint("bool")? != 0)
});
defaulted!(String, |value, number, out| put_text(value, number, out), |field| {
    text(field, "text").map(str::to_owned)
});
defaulted!(Timestamp, |value, number, out| value.as_ms().put(number, out), |field| {
    Ok(Timestamp::from_ms(unzigzag(field.varint("time")?)))
});
defaulted!(Milli, |value, number, out| value.get().put(number, out), |field| {
    Ok(Milli::new(unzigzag(field.varint("quantity")?)))
});
defaulted!(Vec<u8>, |value, number, out| put_bytes(value, number, out), |field| {
    field.bytes("bytes").map(<[u8]>::to_vec)
});
defaulted!(bytes::Bytes, |value, number, out| put_bytes(value, number, out), |field| {
    field.bytes("bytes").map(bytes::Bytes::copy_from_slice)
});

impl Value for f64 {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        encode_key(number, WireType::SixtyFourBit, out);
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn absent() -> Option<Self> {
        Some(0.0)
    }

    fn is_absent(&self) -> bool {
        self.to_bits() == 0
    }

    fn merge(slot: &mut Option<Self>, field: &Field<'_>) -> Result<(), WireError> {
        let Content::Fixed64(bits) = field.content else { return Err(WireError::Broken("number")) };
        *slot = Some(Self::from_bits(bits));
        Ok(())
    }
}

impl Element for f64 {}

required_value!(Arc<str>, |value, number, out| put_text(value, number, out), |field| {
    text(field, "text").map(Arc::from)
});
required_value!([u8; 32], |value, number, out| put_bytes(value, number, out), |field| {
    field.bytes("digest")?.try_into().map_err(|_| WireError::Broken("digest"))
});
required_value!(u128, |value, number, out| put_bytes(&value.to_be_bytes(), number, out), |field| {
    let bytes = field.bytes("number")?.try_into();
    bytes.map(u128::from_be_bytes).map_err(|_| WireError::Broken("number"))
});
required_value!(
    IpAddr,
    |value, number, out| match value {
        IpAddr::V4(address) => put_bytes(&address.octets(), number, out),
        IpAddr::V6(address) => put_bytes(&address.octets(), number, out),
    },
    |field| {
        let bytes = field.bytes("address")?;
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
            .map_err(|_| WireError::Broken("address"))
    }
);

/// What points to a value is written as the value.
macro_rules! pointer {
    ($($type:ident),*) => { $(
        impl<T: Element> Value for $type<T> {
            fn put(&self, number: u32, out: &mut Vec<u8>) {
                T::put(self, number, out);
            }

            fn absent() -> Option<Self> {
                T::absent().map(Self::new)
            }

            fn is_absent(&self) -> bool {
                T::is_absent(self)
            }

            fn merge(slot: &mut Option<Self>, field: &Field<'_>) -> Result<(), WireError> {
                let mut inner = None;
                T::merge(&mut inner, field)?;
                *slot = inner.map(Self::new);
                Ok(())
            }
        }

        impl<T: Element> Element for $type<T> {}
    )* };
}

pointer!(Arc, Box);

impl<T: Element> Value for Option<T> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.put(number, out);
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn merge(slot: &mut Option<Self>, field: &Field<'_>) -> Result<(), WireError> {
        let mut inner = None;
        T::merge(&mut inner, field)?;
        *slot = Some(inner);
        Ok(())
    }
}

/// Lists and sets: a field for each element.
macro_rules! list {
    ($type:ident, $add:ident $(, $bound:ident)?) => {
        impl<T: Element $(+ $bound)?> Value for $type<T> {
            fn put(&self, number: u32, out: &mut Vec<u8>) {
                self.iter().for_each(|element| element.put(number, out));
            }

            fn absent() -> Option<Self> {
                Some(Self::new())
            }

            fn is_absent(&self) -> bool {
                self.is_empty()
            }

            fn merge(slot: &mut Option<Self>, field: &Field<'_>) -> Result<(), WireError> {
                let mut element = None;
                T::merge(&mut element, field)?;
                slot.get_or_insert_default().$add(taken(element, "list", "element")?);
                Ok(())
            }
        }

        /// A list that may be absent altogether: a message of its own around it.
        impl<T: Element $(+ $bound)?> Value for Option<$type<T>> {
            fn put(&self, number: u32, out: &mut Vec<u8>) {
                if let Some(list) = self {
                    put_nested(number, out, |out| list.put(1, out));
                }
            }

            fn absent() -> Option<Self> {
                Some(None)
            }

            fn is_absent(&self) -> bool {
                self.is_none()
            }

            fn merge(slot: &mut Option<Self>, field: &Field<'_>) -> Result<(), WireError> {
                let mut list = None;
                for part in Fields::new("list", field.bytes("list")?) {
                    let part = part?;
                    if part.number == 1 {
                        Value::merge(&mut list, &part)?;
                    }
                }
                *slot = Some(Some(list.unwrap_or_default()));
                Ok(())
            }
        }
    };
}

list!(Vec, push);
list!(BTreeSet, insert, Ord);

impl<K: Element + Ord, V: Value> Value for BTreeMap<K, V> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        for (key, value) in self {
            put_nested(number, out, |out| {
                key.put(1, out);
                value.put(2, out);
            });
        }
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn merge(slot: &mut Option<Self>, field: &Field<'_>) -> Result<(), WireError> {
        let mut entry = None;
        <(K, V)>::merge(&mut entry, field)?;
        let (key, value) = taken(entry, "map", "entry")?;
        slot.get_or_insert_default().insert(key, value);
        Ok(())
    }
}

/// Values side by side: a message with a field for each, from 1.
macro_rules! tuple {
    ($($number:literal : $value:ident $type:ident),*) => {
        impl<$($type: Value),*> Message for ($($type,)*) {
            const NAME: &'static str = "group";
            const FIELDS: &'static [(u32, &'static str)] = &[$(($number, stringify!($value))),*];

            fn put_fields(&self, out: &mut Vec<u8>) {
                let ($($value,)*) = self;
                $(if !$value.is_absent() {
                    $value.put($number, out);
                })*
            }

            fn read(bytes: &[u8]) -> Result<Self, WireError> {
                $(let mut $value = None;)*
                for part in Fields::new(Self::NAME, bytes) {
                    let part = part?;
                    match part.number {
                        $($number => Value::merge(&mut $value, &part)?,)*
                        _ => {} // of a newer release
                    }
                }
                Ok(($(taken($value, Self::NAME, stringify!($value))?,)*))
            }
        }

        message!(@value [$($type: Value),*] ($($type,)*));
    };
}

tuple!(1: a A);
tuple!(1: a A, 2: b B);
tuple!(1: a A, 2: b B, 3: c C);

/// An answer or an error: a message with one of two fields.
impl<T: Element, E: Element> Message for Result<T, E> {
    const NAME: &'static str = "answer";
    const FIELDS: &'static [(u32, &'static str)] = &[(1, "value"), (2, "error")];

    fn put_fields(&self, out: &mut Vec<u8>) {
        match self {
            Ok(value) => value.put(1, out),
            Err(error) => error.put(2, out),
        }
    }

    fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let (mut value, mut error) = (None, None);
        for part in Fields::new(Self::NAME, bytes) {
            let part = part?;
            match part.number {
                1 => T::merge(&mut value, &part)?,
                2 => E::merge(&mut error, &part)?,
                _ => {} // of a newer release
            }
        }
        match (value, error) {
            (Some(value), _) => Ok(Ok(value)),
            (None, Some(error)) => Ok(Err(error)),
            (None, None) => Err(WireError::Missing { of: Self::NAME, field: "value" }),
        }
    }
}

message!(@value [T: Element, E: Element] Result<T, E>);

/// The ports of an instance: the number, or nothing where no port of the node is used. 0 is no port.
impl Value for Vec<Option<u16>> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        self.iter().for_each(|port| port.map_or(0, u32::from).put(number, out));
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn merge(slot: &mut Option<Self>, field: &Field<'_>) -> Result<(), WireError> {
        let port = u16::try_from(field.varint("port")?).map_err(|_| WireError::Broken("port"))?;
        slot.get_or_insert_default().push((port != 0).then_some(port));
        Ok(())
    }
}
