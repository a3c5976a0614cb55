//! Backups of the small cluster, as far as the edges look at them.

use std::time::Duration;

use tepui::control::backup::{Archive, BackupError, Kept, Lock, Overview, Try};
use tokio::sync::mpsc;

use super::START;

/// Its bytes are no backup: what is in one is looked at elsewhere.
pub fn archive(lock: &Lock) -> Result<Archive, BackupError> {
    if *lock == Lock::Passphrase("short".into()) {
        return Err(BackupError::Lock("a passphrase has 12 characters or more".into()));
    }
    let (to, pieces) = mpsc::channel(1);
    to.try_send(Ok("tepui backup\n".into())).expect("room for one");
    Ok(Archive { name: kept(0).name, pieces })
}

pub fn keep(lock: Option<Lock>) -> Result<Kept, BackupError> {
    match lock {
        None => Ok(kept(0)),
        Some(Lock::Passphrase(_)) => Err(BackupError::Busy),
        Some(Lock::Keys(_)) => Err(BackupError::Place("/backups: no space left".into())),
    }
}

pub fn overview() -> Overview {
    let error = Some("/backups: no space left".into());
    Overview {
        to: Some("/backups".into()),
        every: Some(Duration::from_secs(3_600)),
        keep: 14,
        kept: vec![kept(0), kept(1)],
        last: Some(Try { at: START, took: Duration::from_millis(40), error }),
    }
}

/// One of so many hours before the start.
fn kept(hours: u32) -> Kept {
    let name = format!("tepui-c0ffee00-20270115T0{}0000000Z.backup", 8 - hours);
    Kept { name, made_at: START - Duration::from_secs(3_600) * hours, n_bytes: 20_480 }
}
