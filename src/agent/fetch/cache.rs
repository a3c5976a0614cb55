//! The fetcher's cache: one file per user and URI, filled by one download at a time.
//!
//! Least recently used files go when the whole grows past its bound; a file in use by a copy is
//! only unlinked, so the copy still completes. The directory is the agent's alone.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use nix::sys::{stat::futimens, time::TimeSpec};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedMutexGuard;

use crate::base::hex::hex;

/// Bytes of all cached artifacts (Mesos' default).
const CACHE_BYTES_MAX: u64 = 2 << 30;

type Gates = Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>;

/// Cached artifacts of an agent.
pub struct Cache {
    dir: PathBuf,
    gates: Gates,
}

/// The locked place of one artifact.
pub struct Slot {
    path: PathBuf,
    dir: PathBuf,
    name: String,
    gates: Gates,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Cache {
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, gates: Gates::default() }
    }

    /// Waits until nobody else fills the place of `uri` for user `who`.
    pub async fn lock(&self, who: &str, uri: &str) -> Slot {
        let mut hash = Sha256::new();
        hash.update(who.as_bytes());
        hash.update([0]);
        hash.update(uri.as_bytes());
        let name = hex(&hash.finalize());
        let gate = self.gates.lock().entry(name.clone()).or_default().clone();
        let guard = gate.lock_owned().await;
        Slot {
            path: self.dir.join(&name),
            dir: self.dir.clone(),
            name,
            gates: self.gates.clone(),
            guard: Some(guard),
        }
    }
}

impl Slot {
    pub fn is_filled(&self) -> bool {
        self.path.exists()
    }

    /// A new file beside the place to download into.
    pub fn fresh(&self) -> io::Result<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let path = self.path.with_extension("new");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        File::options().read(true).write(true).create_new(true).mode(0o600).open(path)
    }

    /// Puts the download in its place and makes room if there is too much.
    pub fn fill(&self) -> io::Result<()> {
        fs::rename(self.path.with_extension("new"), &self.path)?;
        evict(&self.dir, &self.path, CACHE_BYTES_MAX)
    }

    /// Opens the artifact and counts it as used now.
    pub fn open(&self) -> io::Result<File> {
        let file = File::options().read(true).write(true).open(&self.path)?;
        let now = &TimeSpec::UTIME_NOW;
        if let Err(error) = futimens(&file, now, now) {
            tracing::debug!(%error, "a cached artifact's use is not noted");
        }
        Ok(file)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut gates = self.gates.lock();
        drop(self.guard.take());
        // Nobody waits: the map's is the only other handle.
        if gates.get(&self.name).is_some_and(|gate| Arc::strong_count(gate) == 1) {
            gates.remove(&self.name);
        }
    }
}

/// Removes the least recently used files until at most `bytes_max` are left, never `keep`.
fn evict(dir: &Path, keep: &Path, bytes_max: u64) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)?.flatten() {
        let meta = entry.metadata()?;
        files.push((meta.modified()?, meta.len(), entry.path()));
    }
    files.sort();
    let mut total: u64 = files.iter().map(|(_, n, _)| n).sum();
    for (_, n, path) in files {
        if total <= bytes_max {
            break;
        }
        if path != keep && path.extension().is_none() {
            fs::remove_file(&path)?;
            total -= n;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_fills_others_copy_and_the_oldest_goes() {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::new(temp.path().join("cache"));
        for uri in ["a", "b", "c"] {
            let slot = cache.lock("root", uri).await;
            assert!(!slot.is_filled());
            io::Write::write_all(&mut slot.fresh().unwrap(), &[0; 100]).unwrap();
            slot.fill().unwrap();
            assert_eq!(slot.open().unwrap().metadata().unwrap().len(), 100);
        }
        assert!(cache.gates.lock().is_empty());
        let keep = cache.lock("root", "b").await.path.clone();
        evict(&temp.path().join("cache"), &keep, 250).unwrap();
        assert!(!cache.lock("root", "a").await.is_filled());
        assert!(cache.lock("root", "b").await.is_filled());
        assert!(!cache.lock("other", "b").await.is_filled(), "users do not share");
    }
}
