//! The edge types of app definitions: what a client may send and what it gets back.
//!
//! One set of types serves both ways. Reading takes every field the dialect ever knew, also the
//! deprecated ones (`normalize` turns those into the new form and clears them); writing prints a
//! field when it is `Some`. A field left out, and one that is `null`, is `None`: in a partial
//! update that keeps what is there (docs/compat/marathon.md, "JSON rules").

pub mod app;
pub mod container;
pub mod group;
pub mod health;
pub mod network;
pub mod pod;
pub mod pod_container;
pub mod policy;
pub mod volume;

pub use app::App;
pub use pod::Pod;

/// The largest number of the original's 32-bit fields.
pub const INT_MAX: i64 = i32::MAX as i64;

/// Declares an enum of JSON names: read in any letter case, written as given.
macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $($variant),+
        }

        impl $type {
            /// The canonical name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl $crate::compat::marathon::json::Read for $type {
            fn read(at: $crate::compat::marathon::json::At<'_>) -> Option<Self> {
                at.one_of(&[$(($name, Self::$variant)),+])
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    };
}
use names;

#[cfg(test)]
mod tests;
