//! Unpacking of fetched archives into a sandbox.
//!
//! An archive comes from anywhere, so no entry may land outside: names with `..` or a root are
//! refused, and nothing is ever written through a link of the archive or the sandbox (directories
//! on the way are checked one by one). Devices and the like are skipped.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    os::unix::fs::{PermissionsExt as _, lchown, symlink},
    path::{Component, Path, PathBuf},
};

use crate::base::limit;

/// What was wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("entry '{0}' would lie outside of the sandbox")]
    Outside(String),
    #[error("it unpacks to more than {} bytes", limit::ARTIFACT_BYTES_MAX)]
    TooLarge,
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

/// Unpacks `archive` into `dir` if its name says that it is one; all entries belong to `owner`.
pub fn unpack(archive: &Path, dir: &Path, owner: Option<(u32, u32)>) -> Result<(), UnpackError> {
    let name = archive.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let Some(kind) = kind(name) else { return Ok(()) };
    let file = BufReader::new(File::open(archive)?);
    let mut into = Into { dir: dir.to_owned(), owner, left: limit::ARTIFACT_BYTES_MAX };
    match kind {
        Kind::Zip => into.zip(file),
        Kind::Gz => {
            let plain = Path::new(name).with_extension("");
            let mut reader = flate2::read::MultiGzDecoder::new(file);
            into.file(&plain, &mut reader, 0o644)
        }
        Kind::Tar(packing) => {
            let reader: Box<dyn Read> = match packing {
                Packing::None => Box::new(file),
                Packing::Gz => Box::new(flate2::read::MultiGzDecoder::new(file)),
                Packing::Bz2 => Box::new(bzip2::read::MultiBzDecoder::new(file)),
                Packing::Xz => Box::new(liblzma::read::XzDecoder::new_multi_decoder(file)),
            };
            into.tar(reader)
        }
    }
}

/// The directory unpacked into.
struct Into {
    dir: PathBuf,
    owner: Option<(u32, u32)>,
    /// Bytes that may still be written.
    left: u64,
}

impl Into {
    fn tar(&mut self, reader: impl Read) -> Result<(), UnpackError> {
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries()? {
            let mut entry = entry?;
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
        }
        Ok(())
    }

    fn zip(&mut self, reader: impl Read + io::Seek) -> Result<(), UnpackError> {
        let mut archive = zip::ZipArchive::new(reader)?;
        for i in 0..archive.len() {
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

    fn directory(&self, path: &Path, mode: u32) -> Result<(), UnpackError> {
        let full = self.place(path)?;
        self.make_dirs(&full)?;
        if full != self.dir {
            fs::set_permissions(&full, fs::Permissions::from_mode(mode & 0o777 | 0o700))?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, reader: &mut dyn Read, mode: u32) -> Result<(), UnpackError> {
        let full = self.clear_place(path)?;
        let mut file = File::options().write(true).create_new(true).open(&full)?;
        let n = io::copy(&mut reader.take(self.left + 1), &mut file)?;
        if n > self.left {
            return Err(UnpackError::TooLarge);
        }
        self.left -= n;
        // Set-user-id bits of strangers are dropped.
        file.set_permissions(fs::Permissions::from_mode(mode & 0o777))?;
        self.own(&full)
    }

    /// A link may point anywhere: nothing is written through it here, and for the task it has no
    /// more power than a link the task makes itself.
    fn link(&self, path: &Path, target: &Path) -> Result<(), UnpackError> {
        let full = self.clear_place(path)?;
        symlink(target, &full)?;
        self.own(&full)
    }

    fn hard_link(&self, path: &Path, target: &Path) -> Result<(), UnpackError> {
        let from = self.place(target)?;
        self.check_parents(&from)?;
        if !from.symlink_metadata()?.is_file() {
            return Err(UnpackError::Outside(target.display().to_string()));
        }
        let full = self.clear_place(path)?;
        fs::hard_link(from, full)?;
        Ok(())
    }

    /// The place of an entry with its directories made and nothing there yet.
    fn clear_place(&self, path: &Path) -> Result<PathBuf, UnpackError> {
        let full = self.place(path)?;
        if let Some(parent) = full.parent() {
            self.make_dirs(parent)?;
        }
        match full.symlink_metadata() {
            Ok(meta) if meta.is_dir() => fs::remove_dir(&full)?,
            Ok(_) => fs::remove_file(&full)?,
            Err(_) => {}
        }
        Ok(full)
    }

    fn place(&self, path: &Path) -> Result<PathBuf, UnpackError> {
        let mut full = self.dir.clone();
        for part in path.components() {
            match part {
                Component::Normal(name) => full.push(name),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(UnpackError::Outside(path.display().to_string()));
                }
            }
        }
        Ok(full)
    }

    /// Makes `full` and the directories above it, none of which may be a link.
    fn make_dirs(&self, full: &Path) -> Result<(), UnpackError> {
        let relative = full.strip_prefix(&self.dir).unwrap_or(Path::new(""));
        let mut at = self.dir.clone();
        for part in relative.components() {
            at.push(part);
            match at.symlink_metadata() {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => return Err(UnpackError::Outside(at.display().to_string())),
                Err(_) => {
                    fs::create_dir(&at)?;
                    self.own(&at)?;
                }
            }
        }
        Ok(())
    }

    fn check_parents(&self, full: &Path) -> Result<(), UnpackError> {
        let relative = full.strip_prefix(&self.dir).unwrap_or(Path::new(""));
        let mut at = self.dir.clone();
        for part in relative.parent().into_iter().flat_map(Path::components) {
            at.push(part);
            if !at.symlink_metadata()?.is_dir() {
                return Err(UnpackError::Outside(full.display().to_string()));
            }
        }
        Ok(())
    }

    fn own(&self, full: &Path) -> Result<(), UnpackError> {
        if let Some((uid, gid)) = self.owner {
            lchown(full, Some(uid), Some(gid))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn tar_of(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            // Written by hand: the library refuses to make what we must refuse to read.
            let bytes = &mut header.as_old_mut().name;
            bytes[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            if *kind == tar::EntryType::Regular {
                header.set_size(content.len() as u64);
                header.set_cksum();
                builder.append(&header, content.as_bytes()).unwrap();
            } else {
                let link = &mut header.as_old_mut().linkname;
                link[..content.len()].copy_from_slice(content.as_bytes());
                header.set_size(0);
                header.set_cksum();
                builder.append(&header, io::empty()).unwrap();
            }
        }
        builder.into_inner().unwrap()
    }

    fn unpacked(name: &str, bytes: &[u8]) -> (tempfile::TempDir, Result<(), UnpackError>) {
        let temp = tempfile::tempdir().unwrap();
        let sandbox = temp.path().join("sandbox");
        fs::create_dir(&sandbox).unwrap();
        fs::write(sandbox.join(name), bytes).unwrap();
        let outcome = unpack(&sandbox.join(name), &sandbox, None);
        (temp, outcome)
    }

    #[test]
    fn every_packing() {
        use tar::EntryType::Regular;
        let tar = tar_of(&[("d/hello.sh", Regular, "hi")]);
        let gz = |bytes: &[u8]| {
            let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            e.write_all(bytes).unwrap();
            e.finish().unwrap()
        };
        let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz.write_all(&tar).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&tar).unwrap();
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        zip.start_file("d/hello.sh", options).unwrap();
        zip.write_all(b"hi").unwrap();
        let bytes = [
            ("a.tar", tar.clone()),
            ("a.tgz", gz(&tar)),
            ("a.tar.bz2", bz.finish().unwrap()),
            ("a.txz", xz.finish().unwrap()),
            ("a.zip", zip.finish().unwrap().into_inner()),
        ];
        for (name, bytes) in bytes {
            let (temp, outcome) = unpacked(name, &bytes);
            outcome.unwrap();
            let file = temp.path().join("sandbox/d/hello.sh");
            assert_eq!(fs::read_to_string(&file).unwrap(), "hi", "{name}");
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o755, "{name}");
        }
        let (temp, outcome) = unpacked("notes.txt.gz", &gz(b"n"));
        outcome.unwrap();
        assert_eq!(fs::read_to_string(temp.path().join("sandbox/notes.txt")).unwrap(), "n");
    }

    #[test]
    fn nothing_lands_outside() {
        use tar::EntryType::{Link, Regular, Symlink};
        for entries in [
            &[("../evil", Regular, "x")][..],
            &[("/evil", Regular, "x")],
            &[("up", Symlink, ".."), ("up/evil", Regular, "x")],
            &[("passwd", Link, "../../etc/passwd")],
            &[("up", Symlink, ".."), ("evil", Link, "up/secret")],
        ] {
            let (temp, outcome) = unpacked("a.tar", &tar_of(entries));
            assert!(outcome.is_err(), "{entries:?}");
            assert!(!temp.path().join("evil").exists(), "{entries:?}");
        }
        // A later entry replaces a link instead of writing through it.
        let entries = [("f", Symlink, "../evil"), ("f", Regular, "x")];
        let (temp, outcome) = unpacked("a.tar", &tar_of(&entries));
        outcome.unwrap();
        assert!(!temp.path().join("evil").exists());
        assert_eq!(fs::read_to_string(temp.path().join("sandbox/f")).unwrap(), "x");
    }

    #[test]
    fn a_damaged_archive_is_an_error() {
        for name in ["a.tgz", "a.zip", "a.tar.xz", "a.tbz2", "a.gz"] {
            assert!(unpacked(name, b"not an archive").1.is_err(), "{name}");
        }
        assert!(unpacked("a.txt", b"no archive at all").1.is_ok());
    }
}
