//! Backups as the edges ask for them. How one is made and what it holds is the node's (`node::backup`).

use std::{fmt, time::Duration};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::base::{
    clock::Timestamp,
    metrics::{SLOW, families, label},
};

label! {
    /// How making one for the place where they are kept went.
    pub enum Outcome("outcome") {
        Good = "good",
        Failed = "failed",
    }
}

families! {
    TRIES: Counter<Outcome> = new(
        "tepui_backup_tries_total",
        "Backups made for the place where they are kept.",
    );
    DURATION: Histogram<()> = new(
        "tepui_backup_duration_seconds",
        "What making and keeping one takes, those that failed included.",
        &SLOW,
    );
    NEWEST: Gauge<()> = new(
        "tepui_backup_newest_timestamp_seconds",
        "When the newest one that is kept was made, since 1970 in UTC; 0 while none is known.",
    );
    NEWEST_BYTES: Gauge<()> = new(
        "tepui_backup_newest_bytes",
        "Its size; 0 while none is known.",
    );
}

/// One was made for the place where they are kept, or was not.
pub fn tried(name: &str, took: Duration, outcome: &Result<Kept, BackupError>) {
    DURATION.observe((), took);
    match outcome {
        Ok(kept) => {
            TRIES.inc(Outcome::Good);
            newest(Some(kept));
            tracing::info!(backup = name, bytes = kept.n_bytes, ?took, "backup made");
        }
        Err(error) => {
            TRIES.inc(Outcome::Failed);
            tracing::warn!(backup = name, %error, "no backup was made");
        }
    }
}

/// What the newest one is.
pub fn newest(kept: Option<&Kept>) {
    let at = kept.map_or(0, |kept| kept.made_at.as_ms() / 1_000);
    NEWEST.set((), u64::try_from(at).unwrap_or_default());
    NEWEST_BYTES.set((), kept.map_or(0, |kept| kept.n_bytes));
}

/// Who can open a backup.
#[derive(Clone, PartialEq, Eq)]
pub enum Lock {
    Passphrase(String),
    /// Whoever has the secret key to one of these public ones.
    Keys(Vec<String>),
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passphrase(_) => f.write_str("Passphrase"),
            Self::Keys(keys) => f.debug_tuple("Keys").field(keys).finish(),
        }
    }
}

/// A backup on its way.
#[derive(Debug)]
pub struct Archive {
    /// What its file is called.
    pub name: String,
    /// Its bytes, in order; one that broke off ends with what happened.
    pub pieces: mpsc::Receiver<Result<Bytes, String>>,
}

/// A backup that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub name: String,
    pub made_at: Timestamp,
    pub n_bytes: u64,
}

/// What is made by itself and kept, as the answering master knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// Where backups are kept; nowhere unless it is set.
    pub to: Option<String>,
    /// How often one is made; never by itself unless it is set.
    pub every: Option<Duration>,
    /// How many are kept.
    pub keep: u32,
    /// Newest first.
    pub kept: Vec<Kept>,
    /// The last try of this master since it leads.
    pub last: Option<Try>,
}

/// How making a backup for the place where they are kept went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    pub at: Timestamp,
    pub took: Duration,
    /// Why there is none.
    pub error: Option<String>,
}

/// Why there is no backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// It cannot be made for such a passphrase or key.
    #[error("{0}")]
    Lock(String),
    /// One is being made.
    #[error("a backup is being made already")]
    Busy,
    /// None is to be kept anywhere.
    #[error("no place for backups is set on this master")]
    NoPlace,
    /// The cluster cannot be backed up as it is.
    #[error("{0}")]
    NotYet(String),
    /// The place where they are kept does not do what it should.
    #[error("{0}")]
    Place(String),
}
