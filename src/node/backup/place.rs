//! Where backups are kept: a directory, or an S3-compatible store. A name is there whole or not at all.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{make, s3::S3};
use crate::{
    base::task::Tasks,
    control::backup::{Archive, BackupError, Kept},
    node::config::To,
};

/// The place.
pub enum Place {
    Dir(PathBuf),
    S3(Box<S3>),
}

impl Place {
    /// The place of that name. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When it cannot be asked at all.
    pub fn open(to: &To, tasks: &Tasks) -> Result<Self, BackupError> {
        match to {
            To::Dir(dir) => Ok(Self::Dir(dir.clone())),
            To::S3(bucket) => S3::open(bucket, tasks).map(|store| Self::S3(Box::new(store))),
        }
    }

    /// The backups of a cluster that are there, newest first.
    ///
    /// # Errors
    /// When the place does not tell.
    pub async fn list(&self, cluster: &str) -> Result<Vec<Kept>, BackupError> {
        let found: Vec<(String, u64)> = match self {
            Self::Dir(dir) => {
                let dir = dir.clone();
                blocking(&dir.clone(), move || files(&dir)).await?
            }
            Self::S3(store) => store.list(&make::prefix(cluster)).await?,
        };
        let kept = found.into_iter().filter_map(|(name, n_bytes)| {
            let made_at = make::made_at(cluster, &name)?;
            Some(Kept { name, made_at, n_bytes })
        });
        let mut kept: Vec<Kept> = kept.collect();
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.made_at));
        Ok(kept)
    }

    /// Keeps a backup and tells its size.
    ///
    /// # Errors
    /// When it broke off, or the place does not take it.
    pub async fn put(&self, archive: Archive) -> Result<u64, BackupError> {
        match self {
            Self::Dir(dir) => {
                let dir = dir.clone();
                blocking(&dir.clone(), move || put_file(&dir, archive)).await
            }
            Self::S3(store) => store.put(archive).await,
        }
    }

    /// Drops one.
    ///
    /// # Errors
    /// When the place does not do it.
    pub async fn remove(&self, name: &str) -> Result<(), BackupError> {
        match self {
            Self::Dir(dir) => {
                let path = dir.join(name);
                blocking(&path.clone(), move || fs::remove_file(path)).await
            }
            Self::S3(store) => store.remove(name).await,
        }
    }
}

/// Work on files, with the path in its error.
async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, BackupError> {
    let failed = |error: &dyn std::fmt::Display| {
        let text = crate::base::error::plain(&error.to_string());
        BackupError::Place(format!("{}: {text}", path.display()))
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error))?;
    done.map_err(|error| failed(&error))
}

/// Names and sizes; none where there is no directory yet.
fn files(dir: &Path) -> io::Result<Vec<(String, u64)>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.metadata()?.len()));
        }
    }
    Ok(found)
}

/// Writes a file as a whole; only its owner may read it.
fn put_file(dir: &Path, mut archive: Archive) -> io::Result<u64> {
    fs::create_dir_all(dir)?;
    let part = dir.join(format!(".{}.part", archive.name));
    let mut write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        let mut n_bytes = 0;
        while let Some(piece) = archive.pieces.blocking_recv() {
            let piece = piece.map_err(io::Error::other)?;
            file.write_all(&piece)?;
            n_bytes += piece.len() as u64;
        }
        file.sync_all()?;
        fs::rename(&part, dir.join(&archive.name))?;
        fs::File::open(dir)?.sync_all()?;
        Ok(n_bytes)
    };
    let written = write();
    if written.is_err() {
        // What failed may have been making it.
        let _ = fs::remove_file(&part);
    }
    written
}
