//! A directory held open, and everything that is done below it.
//!
//! A task may turn any name in its sandbox into a link at any moment, and an archive may bring
//! links along. What the agent, as root, makes, writes, reads, links or gives away there goes
//! through `Dir`: it holds a descriptor, and the kernel resolves each path below that one without
//! following a single link (`openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`). Content is
//! only ever written into a file that was made by the same call (`O_EXCL`), never into one that was
//! found, so neither a link nor a second name of another file is written through. Owners and modes
//! are set on descriptors.
//!
//! The one exception is `Dir::view`, the reading side of the API: there a link is followed, but
//! with the sandbox as the root of everything.

use std::{
    ffi::OsStr,
    fs::{File, Metadata, Permissions},
    io::{self, Read as _},
    os::{
        fd::{AsFd, AsRawFd as _, OwnedFd},
        unix::fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Component, Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2, renameat},
    sys::stat::{Mode, mkdirat},
    unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, linkat, symlinkat, unlinkat},
};

/// What lies in and below `dirs` takes, `of` telling of each file. What tasks have put there is looked at by
/// open directories, and no link is followed; past so many entries, or open directories, the rest is left out.
pub fn bytes_below(
    mut dirs: Vec<Dir>,
    n_max: usize,
    open_max: usize,
    of: fn(&Metadata) -> u64,
) -> u64 {
    let (mut n_seen, mut n_bytes) = (0, 0);
    while let Some(dir) = dirs.pop() {
        for name in dir.names(n_max).unwrap_or_default() {
            n_seen += 1;
            if n_seen > n_max {
                return n_bytes;
            }
            let name = Path::new(&name);
            let Ok(meta) = dir.stat(name) else { continue };
            if meta.is_file() {
                n_bytes += of(&meta);
            } else if meta.is_dir() && dirs.len() < open_max {
                dirs.extend(dir.dir(name));
            }
        }
    }
    n_bytes
}

/// User and group by number; `None`: the agent's own.
pub type Owner = Option<(u32, u32)>;

/// Directories below one another that `own_all` goes down: more than any path name can have.
const DEPTH_MAX: usize = 2_048;
/// Tries of a lookup that was disturbed by renames beside it (`EAGAIN`).
const LOOKUPS_MAX: u32 = 64;

/// A directory held open.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
}

impl Dir {
    /// Opens a directory by a path of our own, on which nobody but root can make names.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(Self { fd: nix::fcntl::open(path, flags, Mode::empty())? })
    }

    /// Opens the directory `path` below this one.
    pub fn dir(&self, path: &Path) -> io::Result<Self> {
        match self.lookup(path, OFlag::O_DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Self { fd }),
            // The kernel says of a link at the end only that it is no directory.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let is_link = self.stat(path).is_ok_and(|m| m.is_symlink());
                Err(if is_link { link_on(path) } else { error })
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the directory `path`, making what is missing of it with `mode` and `owner`. Also says
    /// how many directories were made.
    pub fn make_dirs(&self, path: &Path, mode: u32, owner: Owner) -> io::Result<(Self, u64)> {
        match self.dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return Ok((found?, 0)),
        }
        let mut at = Self { fd: self.fd.try_clone()? };
        let mut n_made = 0;
        for name in names(path)? {
            let name = Path::new(name);
            match mkdirat(&at, name, Mode::from_bits_truncate(mode)) {
                Ok(()) => {
                    at = at.dir(name)?;
                    at.own(owner)?;
                    at.set_mode(mode)?;
                    n_made += 1;
                }
                Err(Errno::EEXIST) => at = at.dir(name)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok((at, n_made))
    }

    /// Makes the file `path`, open for reading and writing, in place of whatever has that name. Its
    /// directory must be there.
    pub fn create(&self, path: &Path, mode: u32, owner: Owner) -> io::Result<File> {
        let (parent, name) = self.parent(path)?;
        parent.clear(name)?;
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
        let file = File::from(parent.lookup(Path::new(name), flags, Mode::S_IRUSR)?);
        give(&file, owner)?;
        // Without the umask, and without set-user-id bits of strangers.
        file.set_permissions(Permissions::from_mode(mode & 0o777))?;
        Ok(file)
    }

    /// Opens the file `path` for appending; makes it where there is none.
    ///
    /// For directories that no task can write to: it takes the file it finds.
    pub fn append(&self, path: &Path, mode: u32, owner: Owner) -> io::Result<File> {
        match self.lookup(path, OFlag::O_WRONLY | OFlag::O_APPEND, Mode::empty()) {
            Ok(fd) => regular(File::from(fd), path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                drop(self.create(path, mode, owner)?);
                Ok(self.lookup(path, OFlag::O_WRONLY | OFlag::O_APPEND, Mode::empty())?.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the file `path` for reading. Anything but a regular file is refused.
    pub fn file(&self, path: &Path) -> io::Result<File> {
        regular(File::from(self.lookup(path, OFlag::O_RDONLY, Mode::empty())?), path)
    }

    /// The content of the file `path`, refused when it is longer than `bytes_max`.
    pub fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bytes_max {
            let why = format!("'{}' is larger than {bytes_max} bytes", path.display());
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        Ok(bytes)
    }

    /// What is at `path`; of a link its own properties.
    pub fn stat(&self, path: &Path) -> io::Result<Metadata> {
        File::from(self.lookup(path, OFlag::O_PATH, Mode::empty())?).metadata()
    }

    /// Renames `from` to `to`, both names in this directory.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(self, from, self, to)?)
    }

    /// Has what was made and renamed here survive the machine's end.
    pub fn sync(&self) -> io::Result<()> {
        File::from(self.fd.try_clone()?).sync_all()
    }

    /// Removes a file, a link or an empty directory; fine when there is none.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        parent.clear(name)
    }

    /// Makes the symbolic link `path` in place of whatever has that name.
    pub fn symlink(&self, target: &Path, path: &Path, owner: Owner) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        parent.clear(name)?;
        symlinkat(target, &parent, name)?;
        parent.give_name(name, owner)
    }

    /// Gives the regular file `from` of `source` a second name `to` here, in place of whatever has
    /// that name.
    pub fn hard_link(&self, source: &Self, from: &Path, to: &Path) -> io::Result<()> {
        let (source, from_name) = source.parent(from)?;
        if !source.stat(Path::new(from_name))?.is_file() {
            return Err(not_a_file(from));
        }
        let (parent, name) = self.parent(to)?;
        if (source.stat(Path::new(from_name)).ok().map(|m| (m.dev(), m.ino())))
            == parent.stat(Path::new(name)).ok().map(|m| (m.dev(), m.ino()))
        {
            return Ok(()); // both names are the file's already
        }
        parent.clear(name)?;
        Ok(linkat(&source, from_name, &parent, name, AtFlags::empty())?)
    }

    /// Gives the directory itself to `owner`.
    pub fn own(&self, owner: Owner) -> io::Result<()> {
        give(&self.fd, owner)
    }

    /// The user and group the directory belongs to.
    pub fn owner(&self) -> io::Result<(u32, u32)> {
        let meta = File::from(self.fd.try_clone()?).metadata()?;
        Ok((meta.uid(), meta.gid()))
    }

    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        File::from(self.fd.try_clone()?).set_permissions(Permissions::from_mode(mode))
    }

    /// Gives everything below to `owner`, the directory included. Links are given, not followed.
    pub fn own_all(&self, owner: (u32, u32)) -> io::Result<()> {
        self.own_below(Some(owner), 0)
    }

    fn own_below(&self, owner: Owner, depth: usize) -> io::Result<()> {
        self.own(owner)?;
        if depth > DEPTH_MAX {
            return Err(io::Error::other("directories are nested too deep"));
        }
        for name in self.names(usize::MAX)? {
            match self.dir(Path::new(&name)) {
                Ok(dir) => dir.own_below(owner, depth + 1)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => self.give_name(&name, owner)?,
            }
        }
        Ok(())
    }

    /// Names in the directory, at most `n_max` of them, in no order.
    pub fn names(&self, n_max: usize) -> io::Result<Vec<std::ffi::OsString>> {
        // The path leads to the descriptor itself, whatever the directory is called by now.
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd()));
        Ok(std::fs::read_dir(path)?.flatten().take(n_max).map(|e| e.file_name()).collect())
    }

    /// Opens the file `path` for reading as if this directory were the root of everything: links
    /// are followed and cannot lead out. Magic links (`/proc/…/fd`) are refused.
    pub fn view(&self, path: &Path) -> io::Result<File> {
        Ok(self.look_in(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?.into())
    }

    /// Opens the directory `path` for listing, as `view` does files.
    pub fn view_dir(&self, path: &Path) -> io::Result<Self> {
        Ok(Self { fd: self.look_in(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)? })
    }

    fn look_in(&self, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        lookup(&self.fd, path, flags, Mode::empty(), resolve)
    }

    /// The directory that holds `path`, and the name in it.
    fn parent<'a>(&self, path: &'a Path) -> io::Result<(Self, &'a OsStr)> {
        let all = names(path)?;
        let Some((name, above)) = all.split_last() else { return Err(outside(path)) };
        let above: PathBuf = above.iter().collect();
        Ok((self.dir(&above)?, name))
    }

    /// Makes sure that nothing has the name.
    fn clear(&self, name: &OsStr) -> io::Result<()> {
        let gone = match unlinkat(self, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::EISDIR | Errno::EPERM) => unlinkat(self, name, UnlinkatFlags::RemoveDir),
            gone => gone,
        };
        match gone {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives what has the name, a link itself, to `owner`.
    fn give_name(&self, name: &OsStr, owner: Owner) -> io::Result<()> {
        let Some((uid, gid)) = owner else { return Ok(()) };
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        Ok(fchownat(self, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    fn lookup(&self, path: &Path, flags: OFlag, mode: Mode) -> io::Result<OwnedFd> {
        let path: PathBuf = names(path)?.iter().collect();
        // A pipe in the place of a file must not hold us up.
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let flags =
            if flags.contains(OFlag::O_PATH) { OFlag::O_PATH | OFlag::O_NOFOLLOW } else { flags };
        let resolve = ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        lookup(&self.fd, &path, flags, mode, resolve)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Gives an open file to `owner`.
pub fn give(file: impl AsFd, owner: Owner) -> io::Result<()> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    Ok(fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?)
}

/// Whether `path` stays below the directory it is relative to.
pub fn stays(path: &Path) -> bool {
    names(path).is_ok()
}

fn lookup(
    dir: &OwnedFd,
    path: &Path,
    flags: OFlag,
    mode: Mode,
    resolve: ResolveFlag,
) -> io::Result<OwnedFd> {
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).mode(mode).resolve(resolve);
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    for _ in 0..LOOKUPS_MAX {
        match openat2(dir, path, how) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(Errno::ELOOP) => return Err(link_on(path)),
            outcome => return Ok(outcome?),
        }
    }
    Err(Errno::EAGAIN.into())
}

/// The names a relative path consists of.
fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(outside(path));
            }
        }
    }
    Ok(names)
}

fn regular(file: File, path: &Path) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_a_file(path)) }
}

fn not_a_file(path: &Path) -> io::Error {
    let why = format!("'{}' is not a regular file", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn link_on(path: &Path) -> io::Error {
    let why = format!("'{}' is or leads through a link", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn outside(path: &Path) -> io::Error {
    let why = format!("'{}' would lie outside of the directory", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests;
