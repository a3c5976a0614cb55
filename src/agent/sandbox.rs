//! Sandboxes: one directory per incarnation and what may be read of it through the API.
//!
//! ```text
//! <data>/sandboxes/<app as a_b>/<instance>/<incarnation>/       stdout stderr …   the task's own
//! <data>/volumes/<instance>/<container path>/                   persistent, for all incarnations
//! <data>/tasks/<instance>/<incarnation>/                        records of ours, never mounted
//! ```
//! A task may put any link into its sandbox, so files are opened with the sandbox as root and no
//! magic links: nothing outside can be read through it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    sys::stat::Mode,
};

use super::desired::Key;
use crate::{
    base::{clock::Timestamp, limit},
    model::{
        AppId,
        link::{Answer, AskError, FileEntry},
    },
};

/// More entries of one directory are not listed.
const ENTRIES_MAX: usize = 10_000;

/// Where an agent keeps its tasks' files.
#[derive(Clone, Debug)]
pub struct Sandboxes {
    root: PathBuf,
    records: PathBuf,
    volumes: PathBuf,
}

impl Sandboxes {
    /// Below the agent's data directory.
    pub fn new(data_dir: &Path) -> Self {
        let below = |name: &str| data_dir.join(name);
        Self { root: below("sandboxes"), records: below("tasks"), volumes: below("volumes") }
    }

    /// The sandbox of an incarnation.
    pub fn dir(&self, app: &AppId, key: &Key) -> PathBuf {
        self.root.join(app.safe()).join(key.0.as_str()).join(key.1.to_string())
    }

    /// Our own records of an incarnation.
    pub fn records(&self, key: &Key) -> PathBuf {
        self.records.join(key.0.as_str()).join(key.1.to_string())
    }

    /// Persistent volumes of an instance. They are never garbage: only an order destroys them.
    pub fn volumes(&self, key: &Key) -> PathBuf {
        self.volumes.join(key.0.as_str())
    }

    /// Makes a persistent volume, owned by `owner` when it is new.
    pub fn create_volume(
        &self,
        key: &Key,
        name: &str,
        owner: Option<(u32, u32)>,
    ) -> io::Result<()> {
        let dir = self.volumes(key).join(name);
        if dir.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&dir)?;
        match owner {
            Some((uid, gid)) => chown(&dir, Some(uid), Some(gid)),
            // The user of an image is not known here.
            None => fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)),
        }
    }

    /// The directory that holds all records.
    pub fn records_root(&self) -> &Path {
        &self.records
    }

    /// Makes a sandbox with `dirs` in it, owned by `owner` (user and group).
    pub fn create(
        &self,
        app: &AppId,
        key: &Key,
        dirs: &[&str],
        owner: Option<(u32, u32)>,
    ) -> io::Result<PathBuf> {
        let dir = self.dir(app, key);
        fs::create_dir_all(&dir)?;
        fs::create_dir_all(self.records(key))?;
        for name in dirs {
            fs::create_dir_all(dir.join(name))?;
        }
        if let Some((uid, gid)) = owner.filter(|o| *o != (0, 0)) {
            chown(&dir, Some(uid), Some(gid))?;
            for name in dirs {
                chown(dir.join(name), Some(uid), Some(gid))?;
            }
        }
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        Ok(dir)
    }

    /// Incarnations of an instance that still have a sandbox, by the directory of their app.
    pub fn find(&self, instance: &str) -> Option<(PathBuf, Vec<u32>)> {
        // Directory names are instance ids; anything with a separator is not one.
        if instance.is_empty() || instance.contains('/') || instance.starts_with('.') {
            return None;
        }
        let apps = fs::read_dir(&self.root).ok()?;
        let dir = apps.flatten().map(|app| app.path().join(instance)).find(|dir| dir.is_dir())?;
        let mut numbers: Vec<u32> = fs::read_dir(&dir)
            .ok()?
            .flatten()
            .filter_map(|e| e.file_name().to_str()?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Some((dir, numbers))
    }

    /// The sandbox the API means: the named incarnation or the newest.
    fn pick(&self, instance: &str, incarnation: Option<u32>) -> Result<PathBuf, AskError> {
        let missing = || AskError::NotFound(format!("sandbox of {instance}"));
        let (dir, numbers) = self.find(instance).ok_or_else(missing)?;
        let number = incarnation.or_else(|| numbers.last().copied()).ok_or_else(missing)?;
        if !numbers.contains(&number) {
            return Err(missing());
        }
        Ok(dir.join(number.to_string()))
    }

    /// Entries of a directory of a sandbox, by name.
    pub fn list(
        &self,
        instance: &str,
        incarnation: Option<u32>,
        path: &str,
    ) -> Result<Answer, AskError> {
        let sandbox = self.pick(instance, incarnation)?;
        let dir = open_below(&sandbox, path, OFlag::O_DIRECTORY)?;
        let inside =
            PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir)));
        let mut entries = Vec::new();
        for entry in fs::read_dir(&inside).map_err(failed)?.flatten().take(ENTRIES_MAX) {
            // Of a link its own properties: its target may lie outside.
            let Ok(meta) = entry.path().symlink_metadata() else { continue };
            let name = entry.file_name();
            entries.push(FileEntry {
                path: Path::new(path.trim_matches('/')).join(name).to_string_lossy().into_owned(),
                is_dir: meta.is_dir(),
                bytes: meta.len(),
                modified_at: Timestamp::from_ms(
                    meta.mtime() * 1000 + meta.mtime_nsec() / 1_000_000,
                ),
                mode: meta.mode(),
                links: meta.nlink(),
                uid: meta.uid(),
                gid: meta.gid(),
            });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Answer::Files(entries))
    }

    /// Bytes of a file of a sandbox.
    pub fn read(
        &self,
        instance: &str,
        incarnation: Option<u32>,
        path: &str,
        offset: Option<i64>,
        bytes_max: u32,
    ) -> Result<Answer, AskError> {
        let sandbox = self.pick(instance, incarnation)?;
        let mut file = open_below(&sandbox, path, OFlag::O_NONBLOCK)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(AskError::Invalid(format!("{path} is not a file")));
        }
        let size = meta.len();
        let Some(offset) = offset else {
            return Ok(Answer::File { offset: size, size, bytes: Vec::new() });
        };
        let offset = match u64::try_from(offset) {
            Ok(offset) => offset.min(size),
            Err(_) => size.saturating_sub(offset.unsigned_abs()),
        };
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let n = u64::from(bytes_max).min(limit::FILE_READ_BYTES_MAX as u64);
        let mut bytes = Vec::new();
        file.take(n).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Answer::File { offset, size, bytes })
    }
}

/// Opens `path` as if `sandbox` were the root of everything.
fn open_below(sandbox: &Path, path: &str, flags: OFlag) -> Result<File, AskError> {
    let root = File::open(sandbox).map_err(failed)?;
    let relative = path.trim_matches('/');
    let relative = if relative.is_empty() { "." } else { relative };
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | flags)
        .mode(Mode::empty())
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    match openat2(&root, relative, how) {
        Ok(fd) => Ok(File::from(fd)),
        Err(nix::Error::ENOENT | nix::Error::ENOTDIR) => Err(AskError::NotFound(path.to_owned())),
        Err(nix::Error::ELOOP | nix::Error::EXDEV | nix::Error::ENAMETOOLONG) => {
            Err(AskError::Invalid(format!("{path} cannot be opened")))
        }
        Err(error) => Err(AskError::Failed(error.to_string())),
    }
}

fn failed(error: io::Error) -> AskError {
    if error.kind() == io::ErrorKind::NotFound {
        AskError::NotFound(error.to_string())
    } else {
        AskError::Failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InstanceId;

    fn sandbox() -> (tempfile::TempDir, Sandboxes, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let sandboxes = Sandboxes::new(temp.path());
        let key = (InstanceId::from("a.instance-1"), 2);
        let dir = sandboxes.create(&AppId::parse("/a"), &key, &["data"], None).unwrap();
        (temp, sandboxes, dir)
    }

    #[test]
    fn pages_of_a_file() {
        let (_temp, sandboxes, dir) = sandbox();
        fs::write(dir.join("stdout"), "0123456789").unwrap();
        for (offset, n, at, text) in [
            (Some(0), 4, 0, "0123"),
            (Some(8), 4, 8, "89"),
            (Some(-3), 9, 7, "789"),
            (None, 9, 10, ""),
        ] {
            match sandboxes.read("a.instance-1", None, "/stdout", offset, n).unwrap() {
                Answer::File { offset, size: 10, bytes } => {
                    assert_eq!((offset, bytes), (at, text.as_bytes().to_vec()));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn nothing_outside_is_read() {
        let (temp, sandboxes, dir) = sandbox();
        fs::write(temp.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(temp.path().join("secret"), dir.join("link")).unwrap();
        std::os::unix::fs::symlink("/proc/self/cwd", dir.join("magic")).unwrap();
        for path in ["link", "../../../../secret", "magic/Cargo.toml", "nothing"] {
            let answer = sandboxes.read("a.instance-1", Some(2), path, Some(0), 9);
            assert!(matches!(answer, Err(AskError::NotFound(_))), "{path}: {answer:?}");
        }
        for instance in ["..", "", "../a", "b"] {
            assert!(sandboxes.read(instance, None, "stdout", Some(0), 1).is_err());
        }
    }

    #[test]
    fn entries_carry_their_properties() {
        let (_temp, sandboxes, dir) = sandbox();
        fs::write(dir.join("data/x"), "12").unwrap();
        let Answer::Files(files) = sandboxes.list("a.instance-1", None, "").unwrap() else {
            panic!("not a listing");
        };
        assert_eq!((files[0].path.as_str(), files[0].is_dir), ("data", true));
        let Answer::Files(files) = sandboxes.list("a.instance-1", None, "data").unwrap() else {
            panic!("not a listing");
        };
        assert_eq!((files[0].path.as_str(), files[0].bytes), ("data/x", 2));
    }
}
