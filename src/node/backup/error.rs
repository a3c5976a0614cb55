//! Why a backup cannot be made or used, in the words of whoever holds it.

use std::io;

use crate::base::{level::LEVEL, wire::WireError};

/// Why a backup cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("it is no backup of tepui")]
    NoBackup,
    #[error(
        "it is of a newer release: its format is {found}, this one (tepui {v}) reads {known}",
        v = env!("CARGO_PKG_VERSION")
    )]
    NewerFormat { found: u32, known: u32 },
    #[error(
        "it is of a newer release: tepui {release} at level {level}, this one (tepui {v}) can do \
         {LEVEL}; take the release that made it, or a later one",
        v = env!("CARGO_PKG_VERSION")
    )]
    NewerLevel { release: String, level: u32 },
    #[error("the passphrase is not the one it was made with")]
    WrongPassphrase,
    #[error("none of these keys opens it")]
    WrongKey,
    #[error("it was made with a passphrase, and a key was given")]
    WantsPassphrase,
    #[error("it was made for a key, and none was given")]
    WantsKey,
    #[error("it is damaged or cut short: {0}")]
    Damaged(String),
    #[error("what it holds cannot be used: {0}")]
    Content(String),
    #[error("{0}")]
    Lock(String),
    #[error("it cannot be read or written")]
    Io(#[from] io::Error),
}

impl ArchiveError {
    pub(super) fn damaged(problem: impl std::fmt::Display) -> Self {
        Self::Damaged(problem.to_string())
    }

    pub(super) fn wire(error: WireError) -> Self {
        match error {
            WireError::Newer { .. } => Self::Content(error.to_string()),
            WireError::Broken(_) | WireError::Missing { .. } | WireError::Invalid { .. } => {
                Self::damaged(error)
            }
        }
    }
}
