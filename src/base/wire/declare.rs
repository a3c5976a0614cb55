//! The kinds of declaration.

/// Declares the shape of a struct: its fields by number.
///
/// `3: name = value` says what it means that the field is not there, for fields that came later.
#[macro_export]
macro_rules! message {
    ($name:ident $(<$g:ident>)? { $($number:literal : $field:ident $(= $absent:expr)?),* $(,)? }) => {
        impl $(<$g: $crate::base::wire::Element>)? $crate::base::wire::Message for $name $(<$g>)? {
            const NAME: &'static str = stringify!($name);
            const FIELDS: &'static [(u32, &'static str)] =
                &[$(($number, stringify!($field))),*];

            fn put_fields(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($crate::message!(@put $number, $field, out $(, $absent)?);)*
                let _ = out;
            }

            fn read(bytes: &[u8]) -> Result<Self, $crate::base::wire::WireError> {
                $(let mut $field = None;)*
                for field in $crate::base::wire::Fields::new(Self::NAME, bytes) {
                    let field = field?;
                    match field.number {
                        $($number => $crate::base::wire::Value::merge(&mut $field, &field)?,)*
                        _ => {} // of a newer release
                    }
                }
                Ok(Self {
                    $($field: $crate::message!(@take Self::NAME, $field $(, $absent)?),)*
                })
            }
        }

        $crate::message!(@value [$($g: $crate::base::wire::Element)?] $name $(<$g>)?);

        #[cfg(test)]
        impl $(<$g: $crate::base::wire::sample::Sample>)? $crate::base::wire::sample::Sample
            for $name $(<$g>)?
        {
            fn sample(rng: &mut $crate::base::rng::Rng) -> Self {
                let _ = &rng;
                Self { $($field: $crate::base::wire::sample::Sample::sample(rng),)* }
            }
        }
    };

    (@put $number:literal, $field:ident, $out:ident) => {
        if !$crate::base::wire::Value::is_absent($field) {
            $crate::base::wire::Value::put($field, $number, $out);
        }
    };
    // Another absence than the usual one: whatever it is, it is written.
    (@put $number:literal, $field:ident, $out:ident, $absent:expr) => {
        $crate::base::wire::Value::put($field, $number, $out);
    };

    (@take $of:expr, $field:ident) => {
        $crate::base::wire::taken($field, $of, stringify!($field))?
    };
    (@take $of:expr, $field:ident, $absent:expr) => {
        $field.unwrap_or_else(|| $absent)
    };

    // A message is a value: a field that holds the message's own fields.
    (@value [$($generics:tt)*] $type:ty) => {
        $crate::required_value!(
            for [$($generics)*] $type,
            |message, number, out| $crate::base::wire::put_message(number, message, out),
            |field| {
                let bytes = field.bytes(<$type as $crate::base::wire::Message>::NAME)?;
                <$type as $crate::base::wire::Message>::read(bytes)
            }
        );
    };
}

/// Declares the shape of an enum whose variants carry data: a message with exactly one field.
///
/// `1: Plain`, `2: Text(content)` with a value that is one field, `3: Many[content]` with a list or
/// an option, `4: Fields { 1: a, 2: b }`.
#[macro_export]
macro_rules! choice {
    ($name:ident { $(
        $number:literal : $variant:ident
            $(($inner:ident))?
            $([$list:ident])?
            $({ $($n:literal : $field:ident $(= $absent:expr)?),* $(,)? })?
    ),* $(,)? }) => {
        impl $crate::base::wire::Message for $name {
            const NAME: &'static str = stringify!($name);
            const FIELDS: &'static [(u32, &'static str)] = &[$((
                $number,
                concat!(stringify!($variant) $(, "(", stringify!($inner), ")")?
                    $(, "[", stringify!($list), "]")?
                    $(, "{" $(, stringify!($n), ":", stringify!($field), " ")*, "}")?),
            )),*];

            #[allow(unreachable_patterns)]
            fn put_fields(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($inner))? $(($list))? $({ $($field),* })? => {
                        $crate::choice!(@put $number, out $(, ($inner))? $(, [$list])?
                            $(, { $($n : $field $(= $absent)?),* })?);
                    })*
                }
            }

            fn read(bytes: &[u8]) -> Result<Self, $crate::base::wire::WireError> {
                use $crate::base::wire::WireError;
                let (mut found, mut newer) = (None, None);
                for field in $crate::base::wire::Fields::new(Self::NAME, bytes) {
                    let field = field?;
                    match field.number {
                        $($number => {
                            found = Some($crate::choice!(@read $variant, field
                                $(, ($inner))? $(, [$list])?
                                $(, { $($n : $field $(= $absent)?),* })?));
                        })*
                        number => newer = Some(u64::from(number)),
                    }
                }
                found.ok_or(match newer {
                    Some(number) => WireError::Newer { of: Self::NAME, number },
                    None => WireError::Missing { of: Self::NAME, field: "(one of its kinds)" },
                })
            }
        }

        $crate::message!(@value [] $name);

        #[cfg(test)]
        impl $crate::base::wire::sample::Sample for $name {
            fn sample(rng: &mut $crate::base::rng::Rng) -> Self {
                let kinds: &[fn(&mut $crate::base::rng::Rng) -> Self] = &[$(
                    |rng| {
                        let _ = &rng;
                        $crate::choice!(@sample $variant, rng $(, ($inner))? $(, [$list])?
                            $(, { $($field),* })?)
                    }
                ),*];
                $crate::base::wire::sample::one_of(kinds, rng)(rng)
            }
        }
    };

    (@put $number:literal, $out:ident) => {
        $crate::choice!(@put $number, $out, {})
    };
    (@put $number:literal, $out:ident, ($inner:ident)) => {
        $crate::base::wire::put_one($inner, $number, $out)
    };
    (@put $number:literal, $out:ident, [$list:ident]) => {
        $crate::base::wire::put_nested($number, $out, |out| {
            $crate::message!(@put 1, $list, out);
        })
    };
    (@put $number:literal, $out:ident, { $($n:literal : $field:ident $(= $absent:expr)?),* }) => {
        $crate::base::wire::put_nested($number, $out, |out| {
            $($crate::message!(@put $n, $field, out $(, $absent)?);)*
            #[cfg(test)]
            $crate::base::wire::sample::put_extra_field(out);
            let _ = out;
        })
    };

    (@read $variant:ident, $raw:ident) => {{
        $raw.bytes(Self::NAME)?;
        Self::$variant
    }};
    (@read $variant:ident, $raw:ident, ($inner:ident)) => {{
        let mut slot = None;
        $crate::base::wire::Value::merge(&mut slot, &$raw)?;
        Self::$variant($crate::base::wire::taken(slot, Self::NAME, stringify!($inner))?)
    }};
    (@read $variant:ident, $raw:ident, [$list:ident]) => {
        $crate::choice!(@fields $raw, { 1: $list }, Self::$variant($list))
    };
    (@read $variant:ident, $raw:ident,
        { $($n:literal : $field:ident $(= $absent:expr)?),* }) => {
        $crate::choice!(@fields $raw, { $($n : $field $(= $absent)?),* },
            Self::$variant { $($field),* })
    };
    (@fields $raw:ident, { $($n:literal : $field:ident $(= $absent:expr)?),* },
        $made:expr) => {{
        $(let mut $field = None;)*
        for part in $crate::base::wire::Fields::new(Self::NAME, $raw.bytes(Self::NAME)?) {
            let part = part?;
            match part.number {
                $($n => $crate::base::wire::Value::merge(&mut $field, &part)?,)*
                _ => {} // of a newer release
            }
        }
        $(let $field = $crate::message!(@take Self::NAME, $field $(, $absent)?);)*
        $made
    }};

    (@sample $variant:ident, $rng:ident) => { Self::$variant };
    (@sample $variant:ident, $rng:ident, ($inner:ident)) => {
        Self::$variant($crate::base::wire::sample::Sample::sample($rng))
    };
    (@sample $variant:ident, $rng:ident, [$list:ident]) => {
        Self::$variant($crate::base::wire::sample::Sample::sample($rng))
    };
    (@sample $variant:ident, $rng:ident, { $($field:ident),* }) => {
        Self::$variant { $($field: $crate::base::wire::sample::Sample::sample($rng)),* }
    };
}

/// Declares that an enum of enums is written as what it holds: none of its own is seen. Their variants
/// share one row of numbers.
#[macro_export]
macro_rules! choices {
    ($name:ident { $($variant:ident($choice:ty)),* $(,)? }) => {
        impl $crate::base::wire::Message for $name {
            const NAME: &'static str = stringify!($name);
            const FIELDS: &'static [(u32, &'static str)] = {
                use $crate::base::wire::{Message, joined};
                const N: usize = 0 $(+ <$choice as Message>::FIELDS.len())*;
                &joined::<N>(&[$(<$choice as Message>::FIELDS),*])
            };

            fn put_fields(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(held) => $crate::base::wire::Message::put_fields(held, out),)*
                }
            }

            fn read(bytes: &[u8]) -> Result<Self, $crate::base::wire::WireError> {
                use $crate::base::wire::{Fields, Message, WireError};
                let mut newer = None;
                for field in Fields::new(Self::NAME, bytes) {
                    let number = field?.number;
                    $(if <$choice as Message>::FIELDS.iter().any(|(known, _)| *known == number) {
                        return <$choice as Message>::read(bytes).map(Self::$variant);
                    })*
                    newer = Some(u64::from(number));
                }
                Err(match newer {
                    Some(number) => WireError::Newer { of: Self::NAME, number },
                    None => WireError::Missing { of: Self::NAME, field: "(one of its kinds)" },
                })
            }
        }

        $crate::message!(@value [] $name);

        #[cfg(test)]
        impl $crate::base::wire::sample::Sample for $name {
            fn sample(rng: &mut $crate::base::rng::Rng) -> Self {
                use $crate::base::wire::sample::Sample;
                let kinds: &[fn(&mut $crate::base::rng::Rng) -> Self] =
                    &[$(|rng| Self::$variant(<$choice as Sample>::sample(rng))),*];
                $crate::base::wire::sample::one_of(kinds, rng)(rng)
            }
        }
    };
}

/// A value that has to be there and is one field: how it is put into one and taken out again.
#[macro_export]
macro_rules! required_value {
    (for [$($generics:tt)*] $type:ty, $put:expr, $take:expr) => {
        impl<$($generics)*> $crate::base::wire::Value for $type {
            fn put(&self, number: u32, out: &mut Vec<u8>) {
                let put: fn(&$type, u32, &mut Vec<u8>) = $put;
                put(self, number, out);
            }

            fn absent() -> Option<Self> {
                None
            }

            fn merge(
                slot: &mut Option<Self>,
                field: &$crate::base::wire::Field<'_>,
            ) -> Result<(), $crate::base::wire::WireError> {
                let take: fn(
                    &$crate::base::wire::Field<'_>,
                ) -> Result<$type, $crate::base::wire::WireError> = $take;
                *slot = Some(take(field)?);
                Ok(())
            }
        }

        impl<$($generics)*> $crate::base::wire::Element for $type {}
    };
    ($type:ty, $put:expr, $take:expr) => {
        $crate::required_value!(for [] $type, $put, $take);
    };
}

/// Declares the shape of an enum without data: a number for each variant, from 1.
#[macro_export]
macro_rules! numbers {
    ($name:ident { $($number:literal : $variant:ident),* $(,)? }) => {
        $crate::required_value!(
            $name,
            |value, number, out| {
                let of_variant: u32 = match value { $($name::$variant => $number),* };
                $crate::base::wire::Value::put(&of_variant, number, out);
            },
            |field| {
                let of = stringify!($name);
                match field.varint(of)? {
                    $($number => Ok($name::$variant),)*
                    number => Err($crate::base::wire::WireError::Newer { of, number }),
                }
            }
        );

        #[cfg(test)]
        impl $crate::base::wire::sample::Numbered for $name {
            const NAME: &'static str = stringify!($name);
            const NUMBERS: &'static [(u32, &'static str)] =
                &[$(($number, stringify!($variant))),*];
        }

        #[cfg(test)]
        impl $crate::base::wire::sample::Sample for $name {
            fn sample(rng: &mut $crate::base::rng::Rng) -> Self {
                let variants: &[fn() -> Self] = &[$(|| Self::$variant),*];
                $crate::base::wire::sample::one_of(variants, rng)()
            }
        }
    };
}

/// Declares that a type is written as a value of another one: how to get there and back.
#[macro_export]
macro_rules! written_as {
    ($name:ty as $other:ty, $there:expr, $back:expr) => {
        $crate::required_value!(
            $name,
            |value, number, out| {
                let there: fn(&$name) -> $other = $there;
                $crate::base::wire::Value::put(&there(value), number, out);
            },
            |field| {
                let back: fn($other) -> Result<$name, String> = $back;
                let mut other: Option<$other> = None;
                $crate::base::wire::Value::merge(&mut other, field)?;
                let of = stringify!($name);
                let other = $crate::base::wire::taken(other, of, "content")?;
                let invalid = |problem| $crate::base::wire::WireError::Invalid { of, problem };
                back(other).map_err(invalid)
            }
        );

        #[cfg(test)]
        impl $crate::base::wire::sample::Sample for $name {
            fn sample(rng: &mut $crate::base::rng::Rng) -> Self {
                let back: fn($other) -> Result<$name, String> = $back;
                loop {
                    let other: $other = $crate::base::wire::sample::Sample::sample(rng);
                    if let Ok(value) = back(other) {
                        return value;
                    }
                }
            }
        }
    };
}

/// Declares that ids are written as their text.
#[macro_export]
macro_rules! text_ids {
    ($($name:ident: $parse:expr),* $(,)?) => { $(
        $crate::required_value!(
            $name,
            |id, number, out| $crate::base::wire::put_text(id.as_str(), number, out),
            |field| Ok($parse($crate::base::wire::text(field, stringify!($name))?))
        );

        #[cfg(test)]
        impl $crate::base::wire::sample::Sample for $name {
            fn sample(rng: &mut $crate::base::rng::Rng) -> Self {
                let parse = |text: &str| -> $name { $parse(text) };
                let text: String = $crate::base::wire::sample::Sample::sample(rng);
                parse(&text)
            }
        }
    )* };
}

/// Declares that a struct around one public value is written as that value is; `element` where that
/// is always one field.
#[macro_export]
macro_rules! transparent {
    ($name:ident($inner:ty)) => {
        impl $crate::base::wire::Value for $name {
            fn put(&self, number: u32, out: &mut Vec<u8>) {
                $crate::base::wire::Value::put(&self.0, number, out);
            }

            fn absent() -> Option<Self> {
                <$inner as $crate::base::wire::Value>::absent().map(Self)
            }

            fn is_absent(&self) -> bool {
                $crate::base::wire::Value::is_absent(&self.0)
            }

            fn merge(
                slot: &mut Option<Self>,
                field: &$crate::base::wire::Field<'_>,
            ) -> Result<(), $crate::base::wire::WireError> {
                let mut inner = slot.take().map(|value| value.0);
                <$inner as $crate::base::wire::Value>::merge(&mut inner, field)?;
                *slot = inner.map(Self);
                Ok(())
            }
        }

        #[cfg(test)]
        impl $crate::base::wire::sample::Sample for $name {
            fn sample(rng: &mut $crate::base::rng::Rng) -> Self {
                Self($crate::base::wire::sample::Sample::sample(rng))
            }
        }
    };
    ($name:ident($inner:ty) element) => {
        $crate::transparent!($name($inner));
        impl $crate::base::wire::Element for $name {}
    };
}
