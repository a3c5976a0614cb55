//! The lock of a data directory: one process at a time works in it, or looks at what it left behind.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};

/// A data directory that no other process uses while this is kept.
pub struct Held(#[expect(dead_code, reason = "held, not looked at")] Flock<fs::File>);

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("lock")
}

/// Keeps other processes off a data directory.
///
/// # Errors
/// When one uses it already, or it cannot be written.
pub fn hold(data_dir: &Path) -> anyhow::Result<Held> {
    let path = path(data_dir);
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    locked(file, data_dir)
}

/// Keeps other processes off a data directory that is only looked at: no file is made. `None` where
/// no process ever was.
///
/// # Errors
/// When a process uses it.
pub fn hold_to_look(data_dir: &Path) -> anyhow::Result<Option<Held>> {
    let path = path(data_dir);
    if !path.exists() {
        return Ok(None);
    }
    let file = fs::File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    locked(file, data_dir).map(Some)
}

fn locked(file: fs::File, data_dir: &Path) -> anyhow::Result<Held> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map(Held).map_err(|_| {
        anyhow::anyhow!(
            "another tepui uses {}; stop it or choose another --data-dir",
            data_dir.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_a_look_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(hold_to_look(dir.path()).unwrap().is_none());
        assert!(!dir.path().join("lock").exists());
        let held = hold(dir.path()).unwrap();
        for second in [hold(dir.path()).err(), hold_to_look(dir.path()).err()] {
            let text = second.unwrap().to_string();
            assert!(text.starts_with("another tepui uses "), "{text}");
        }
        drop(held);
        let looking = hold_to_look(dir.path()).unwrap();
        assert!(hold(dir.path()).is_err());
        drop(looking);
        assert!(hold(dir.path()).is_ok());
    }
}
