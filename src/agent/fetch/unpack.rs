//! Unpacking of fetched archives into a sandbox.
//!
//! An archive comes from anywhere, so no entry may land outside: names with `..` or a root are
//! refused, and nothing is ever written through a link of the archive or the sandbox (`beneath`).
//! Devices and the like are skipped. Its headers, its entries, what it unpacks to, the memory for
//! it and the time are bounded.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::{Component, Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    agent::sandbox::beneath::{Dir, Owner},
    base::limit,
};

/// What stands before an entry's content, long names and the like included. A path name has 4 KiB.
const HEADER_BYTES_MAX: u64 = 64 << 10;
/// A zip file's list of entries, which is held in memory whole: some 150,000 of them.
const DIRECTORY_BYTES_MAX: u64 = 16 << 20;
/// Files, links and directories of one archive: what a disk can spare of its inodes.
const ENTRIES_MAX: u64 = 1_000_000;
/// Memory for one xz decoder; the strongest preset takes half of it.
const XZ_BYTES_MAX: u64 = 128 << 20;
/// Longest unpacking, as long as the longest download.
const WHOLE_MAX: Duration = Duration::from_secs(30 * 60);

/// What was wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("entry '{0}' would lie outside of the sandbox")]
    Outside(String),
    #[error("it unpacks to more than {} bytes", limit::ARTIFACT_BYTES_MAX)]
    TooLarge,
    #[error("it has more than {ENTRIES_MAX} entries")]
    TooMany,
    #[error("entry '{path}' cannot be written")]
    Entry { path: String, source: io::Error },
    #[error("the archive is damaged or the disk is full")]
    Io(#[from] io::Error),
    #[error("the archive is damaged")]
    Zip(#[from] zip::result::ZipError),
}

/// Kinds of archives, by the end of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tar(Packing),
    Zip,
    /// One packed file, unpacked beside itself.
    Gz,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    None,
    Gz,
    Bz2,
    Xz,
}

fn kind(name: &str) -> Option<Kind> {
    let lower = name.to_ascii_lowercase();
    let ends = |suffixes: &[&str]| suffixes.iter().any(|s| lower.ends_with(s));
    if ends(&[".tar.gz", ".tgz"]) {
        Some(Kind::Tar(Packing::Gz))
    } else if ends(&[".tar.bz2", ".tbz2"]) {
        Some(Kind::Tar(Packing::Bz2))
    } else if ends(&[".tar.xz", ".txz"]) {
        Some(Kind::Tar(Packing::Xz))
    } else if ends(&[".tar"]) {
        Some(Kind::Tar(Packing::None))
    } else if ends(&[".zip"]) {
        Some(Kind::Zip)
    } else if ends(&[".gz"]) {
        Some(Kind::Gz)
    } else {
        None
    }
}

/// Unpacks `archive`, read from its start, into `dir` if its `name` says that it is one; all entries
/// belong to `owner`.
pub fn unpack(mut archive: &File, name: &str, dir: &Dir, owner: Owner) -> Result<(), UnpackError> {
    let Some(kind) = kind(name) else { return Ok(()) };
    archive.rewind()?;
    let file = BufReader::new(archive);
    let mut into = Into { dir, owner, left: limit::ARTIFACT_BYTES_MAX, entries_left: ENTRIES_MAX };
    match kind {
        Kind::Zip => into.zip(file),
        Kind::Gz => {
            let plain = Path::new(name).with_extension("");
            let mut reader = Meter::new(flate2::read::MultiGzDecoder::new(file));
            into.file(&plain, &mut reader, 0o644)
        }
        Kind::Tar(packing) => {
            let reader: Box<dyn Read> = match packing {
                Packing::None => Box::new(file),
                Packing::Gz => Box::new(flate2::read::MultiGzDecoder::new(file)),
                Packing::Bz2 => Box::new(bzip2::read::MultiBzDecoder::new(file)),
                Packing::Xz => Box::new(liblzma::read::XzDecoder::new_stream(file, xz()?)),
            };
            into.tar(Meter::new(reader))
        }
    }
}

fn xz() -> io::Result<liblzma::stream::Stream> {
    let flags = liblzma::stream::CONCATENATED;
    liblzma::stream::Stream::new_stream_decoder(XZ_BYTES_MAX, flags).map_err(io::Error::other)
}

/// A reader that stops when it has given what it may, or when time is up.
struct Meter<R> {
    inner: R,
    /// Bytes that may still be read; set by whoever knows what they are for.
    allowed: Rc<Cell<u64>>,
    deadline: Instant,
}

impl<R> Meter<R> {
    fn new(inner: R) -> Self {
        let allowed = Rc::new(Cell::new(u64::MAX));
        Self { inner, allowed, deadline: Instant::now() + WHOLE_MAX }
    }
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = self.allowed.get();
        if allowed == 0 {
            return Err(io::Error::other("a header or list in it is too long"));
        }
        if Instant::now() > self.deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "unpacking took too long"));
        }
        let n = buffer.len().min(usize::try_from(allowed).unwrap_or(usize::MAX));
        let n = self.inner.read(&mut buffer[..n])?;
        self.allowed.set(allowed - n as u64);
        Ok(n)
    }
}

impl<R: Seek> Seek for Meter<R> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// The directory unpacked into.
struct Into<'a> {
    dir: &'a Dir,
    owner: Owner,
    /// Bytes that may still be written.
    left: u64,
    /// Files, links and directories that may still be made.
    entries_left: u64,
}

impl Into<'_> {
    fn tar(&mut self, reader: Meter<impl Read>) -> Result<(), UnpackError> {
        let allowed = reader.allowed.clone();
        let mut archive = tar::Archive::new(reader);
        let mut entries = archive.entries()?;
        loop {
            // What is read up to the next entry is held in memory.
            allowed.set(HEADER_BYTES_MAX);
            let Some(entry) = entries.next() else { return Ok(()) };
            let mut entry = entry?;
            allowed.set(u64::MAX);
            self.count(1)?;
            let path = entry.path()?.into_owned();
            let mode = entry.header().mode().unwrap_or(0o644);
            match entry.header().entry_type() {
                tar::EntryType::Directory => self.directory(&path, mode)?,
                tar::EntryType::Regular
                | tar::EntryType::Continuous
                | tar::EntryType::GNUSparse => {
                    self.file(&path, &mut entry, mode)?;
                }
                tar::EntryType::Symlink => {
                    if let Some(target) = entry.link_name()? {
                        self.link(&path, &target)?;
                    }
                }
                tar::EntryType::Link => {
                    if let Some(target) = entry.link_name()? {
                        self.hard_link(&path, &target)?;
                    }
                }
                _ => {}
            }
            let n = io::copy(&mut (&mut entry).take(self.left + 1), &mut io::sink())?;
            self.spend(n)?;
        }
    }

    fn zip(&mut self, reader: impl Read + Seek) -> Result<(), UnpackError> {
        let reader = Meter::new(reader);
        let allowed = reader.allowed.clone();
        allowed.set(DIRECTORY_BYTES_MAX);
        let mut archive = zip::ZipArchive::new(reader)?;
        allowed.set(u64::MAX);
        for i in 0..archive.len() {
            self.count(1)?;
            let mut entry = archive.by_index(i)?;
            let path = PathBuf::from(entry.name()?.as_ref());
            let mode = entry.unix_mode();
            if entry.is_dir() {
                self.directory(&path, mode.unwrap_or(0o755))?;
            } else if entry.is_symlink() {
                let mut target = String::new();
                entry.by_ref().take(4096).read_to_string(&mut target)?;
                self.link(&path, Path::new(&target))?;
            } else {
                self.file(&path, &mut entry, mode.unwrap_or(0o644))?;
            }
        }
        Ok(())
    }

    fn directory(&mut self, path: &Path, mode: u32) -> Result<(), UnpackError> {
        let path = inside(path)?;
        let dir = self.make_dirs(&path)?;
        if !path.as_os_str().is_empty() {
            dir.set_mode(mode & 0o777 | 0o700).map_err(|e| unwritten(&path, e))?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, reader: &mut dyn Read, mode: u32) -> Result<(), UnpackError> {
        let (dir, name) = self.place(path)?;
        let mut file = dir.create(&name, mode, self.owner).map_err(|e| unwritten(path, e))?;
        let n = io::copy(&mut reader.take(self.left + 1), &mut file)?;
        self.spend(n)
    }

    /// A link may point anywhere: nothing is written through it here, and for the task it has no
    /// more power than a link the task makes itself.
    fn link(&mut self, path: &Path, target: &Path) -> Result<(), UnpackError> {
        let (dir, name) = self.place(path)?;
        dir.symlink(target, &name, self.owner).map_err(|e| unwritten(path, e))
    }

    fn hard_link(&mut self, path: &Path, target: &Path) -> Result<(), UnpackError> {
        let from = inside(target)?;
        let (dir, name) = self.place(path)?;
        dir.hard_link(self.dir, &from, &name).map_err(|e| unwritten(path, e))
    }

    /// The directory of an entry, made where it is missing, and the entry's name in it.
    fn place(&mut self, path: &Path) -> Result<(Dir, PathBuf), UnpackError> {
        let inside = inside(path)?;
        let name = inside.file_name().map(PathBuf::from);
        let name = name.ok_or_else(|| UnpackError::Outside(path.display().to_string()))?;
        Ok((self.make_dirs(inside.parent().unwrap_or(Path::new("")))?, name))
    }

    fn make_dirs(&mut self, path: &Path) -> Result<Dir, UnpackError> {
        let made = self.dir.make_dirs(path, 0o755, self.owner);
        let (dir, n_made) = made.map_err(|e| unwritten(path, e))?;
        self.count(n_made)?;
        Ok(dir)
    }

    fn count(&mut self, n: u64) -> Result<(), UnpackError> {
        self.entries_left = self.entries_left.checked_sub(n).ok_or(UnpackError::TooMany)?;
        Ok(())
    }

    fn spend(&mut self, n: u64) -> Result<(), UnpackError> {
        self.left = self.left.checked_sub(n).ok_or(UnpackError::TooLarge)?;
        Ok(())
    }
}

/// `path` without what leads nowhere; an error when it leads out.
fn inside(path: &Path) -> Result<PathBuf, UnpackError> {
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(UnpackError::Outside(path.display().to_string()));
            }
        }
    }
    Ok(inside)
}

fn unwritten(path: &Path, source: io::Error) -> UnpackError {
    UnpackError::Entry { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests;
