//! Sandboxes: one directory per incarnation and what may be read of it through the API.
//!
//! ```text
//! <data>/sandboxes/<app as a_b>/<instance>/<incarnation>/         the task's own
//! <data>/sandboxes/<app as a_b>/<instance>/<incarnation>.output/  stdout stderr …, shown in the
//!                                                                 sandbox by a further name
//! <data>/volumes/<instance>/<container path>/                     persistent, for all incarnations
//! <data>/tasks/<instance>/<incarnation>/                          records of ours
//! ```
//! Only the sandbox itself and the volumes can be written by a task; everything above them is ours.
//! Other users of the node see none of it: a plain command's sandbox is closed by its own mode, an
//! image's by that of the directory above it, which its container does not see.
//!
//! A task may put any link into its sandbox, so files are opened with the sandbox as root and no
//! magic links: nothing outside can be read through it.

pub mod beneath;
pub mod output;
pub mod search;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, DirBuilder, File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use nix::errno::Errno;

use self::{
    beneath::{Dir, Owner},
    output::times::is_index,
    search::Wanted,
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

/// Ours alone.
const CLOSED: u32 = 0o700;
/// On the way to a sandbox of a user of the node, who cannot look around in it.
const PASSED: u32 = 0o711;
/// A sandbox on the node's own root: its user, and the group as in Mesos.
const MEMBERS: u32 = 0o750;
/// Seen by a container only, whose program may change to any user.
const OPEN: u32 = 0o755;

/// What a new sandbox is to be like.
#[derive(Clone, Debug, Default)]
pub struct Shape<'a> {
    /// A pod's containers, which have a directory each; empty for an app.
    pub containers: Vec<(&'a str, Owner)>,
    /// Some container works on the node's root, so its user must get to the sandbox by its path.
    pub plain: bool,
    /// Of an app's sandbox.
    pub owner: Owner,
}

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
        // An operator may have put one of them on another disk, by a link.
        let below = |name: &str| {
            let path = data_dir.join(name);
            fs::read_link(&path).map_or(path, |target| data_dir.join(target))
        };
        Self { root: below("sandboxes"), records: below("tasks"), volumes: below("volumes") }
    }

    /// The sandbox of an incarnation.
    pub fn dir(&self, app: &AppId, key: &Key) -> PathBuf {
        self.root.join(app.safe()).join(key.0.as_str()).join(key.1.to_string())
    }

    /// The output files of an incarnation; a pod's containers each have a directory there.
    pub fn output(&self, app: &AppId, key: &Key) -> PathBuf {
        self.root.join(app.safe()).join(key.0.as_str()).join(output_name(key.1))
    }

    /// Our own records of an incarnation.
    pub fn records(&self, key: &Key) -> PathBuf {
        self.records.join(key.0.as_str()).join(key.1.to_string())
    }

    /// Makes the directory of our own records where it is missing, and opens it.
    pub fn make_records(&self, key: &Key) -> io::Result<Dir> {
        let dir = self.records(key);
        if let Ok(found) = Dir::open(&dir) {
            return Ok(found);
        }
        make(&self.records, CLOSED)?;
        make(&self.records.join(key.0.as_str()), CLOSED)?;
        make(&dir, CLOSED)
    }

    /// The directory that holds the volumes of all instances.
    pub fn volumes_root(&self) -> &Path {
        &self.volumes
    }

    /// Makes the directory of all volumes where it is missing, and opens it.
    pub fn make_volumes_root(&self) -> io::Result<Dir> {
        make(&self.volumes, CLOSED)
    }

    /// Persistent volumes of an instance.
    pub fn volumes(&self, key: &Key) -> PathBuf {
        self.volumes.join(key.0.as_str())
    }

    /// Makes a persistent volume and gives it to `owner` as long as it is empty.
    pub fn create_volume(&self, key: &Key, path: &str, owner: Owner) -> io::Result<()> {
        self.make_volumes_root()?;
        make(&self.volumes(key), CLOSED)?;
        let dir = self.volumes(key).join(volume_name(path));
        match DirBuilder::new().mode(OPEN).create(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let dir = Dir::open(&dir)?;
        if dir.names(1)?.is_empty() { dir.own(owner) } else { Ok(()) }
    }

    /// The directory that holds all records.
    pub fn records_root(&self) -> &Path {
        &self.records
    }

    /// Makes a sandbox as `shape` says.
    pub fn create(&self, app: &AppId, key: &Key, shape: &Shape<'_>) -> io::Result<PathBuf> {
        let dir = self.dir(app, key);
        make(&self.root, PASSED)?;
        make(&self.root.join(app.safe()), PASSED)?;
        // The directory above is what keeps the node's users out where the sandbox does not.
        let above = if shape.plain { PASSED } else { CLOSED };
        make(&self.root.join(app.safe()).join(key.0.as_str()), above)?;
        let output = make(&self.output(app, key), CLOSED)?;
        self.make_records(key)?;
        let sandbox = make(&dir, PASSED)?;
        let mode = if shape.plain { MEMBERS } else { OPEN };
        let both = match &shape.containers[..] {
            [] => vec![(sandbox, output, shape.owner)],
            names => {
                let mut both = Vec::new();
                for (name, owner) in names.iter().map(|(name, owner)| (Path::new(name), *owner)) {
                    let written = output.make_dirs(name, CLOSED, None)?.0;
                    both.push((sandbox.make_dirs(name, mode, None)?.0, written, owner));
                }
                both
            }
        };
        for (task_dir, written, owner) in both {
            task_dir.own(owner)?;
            task_dir.set_mode(mode)?;
            // Asked for from now on, they are what the agent writes and nothing else.
            for name in ["stdout", "stderr"] {
                written.append(Path::new(name), 0o644, owner)?;
            }
        }
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

    /// The sandbox the API means, with its output: the named incarnation or the newest.
    fn pick(
        &self,
        instance: &str,
        incarnation: Option<u32>,
    ) -> Result<(Dir, Option<Dir>), AskError> {
        let missing = || AskError::NotFound(format!("sandbox of {instance}"));
        let (dir, numbers) = self.find(instance).ok_or_else(missing)?;
        let number = incarnation.or_else(|| numbers.last().copied()).ok_or_else(missing)?;
        if !numbers.contains(&number) {
            return Err(missing());
        }
        let sandbox = Dir::open(&dir.join(number.to_string())).map_err(|e| failed(instance, &e))?;
        Ok((sandbox, Dir::open(&dir.join(output_name(number))).ok()))
    }

    /// Entries of a directory of a sandbox, by name.
    pub fn list(
        &self,
        instance: &str,
        incarnation: Option<u32>,
        path: &str,
    ) -> Result<Answer, AskError> {
        let (sandbox, output) = self.pick(instance, incarnation)?;
        let inside = Path::new(path.trim_matches('/'));
        let dir = sandbox.view_dir(inside).map_err(|e| failed(path, &e))?;
        let mut entries = BTreeMap::new();
        let mut add = |dir: &Dir, is_wanted: fn(&OsStr, &Metadata) -> bool| {
            for name in dir.names(ENTRIES_MAX)? {
                // Of a link its own properties: its target may lie outside.
                let meta = dir.stat(Path::new(&name)).ok();
                if let Some(meta) = meta.filter(|meta| is_wanted(&name, meta)) {
                    let path = inside.join(name).to_string_lossy().into_owned();
                    entries.insert(path.clone(), entry(path, &meta));
                }
            }
            Ok::<_, io::Error>(())
        };
        add(&dir, |_, _| true).map_err(|e| failed(path, &e))?;
        if let Some(output) = output.and_then(|output| output.dir(inside).ok()) {
            add(&output, |name, meta| meta.is_file() && !is_index(name))
                .map_err(|e| failed(path, &e))?;
        }
        Ok(Answer::Files(entries.into_values().collect()))
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
        let (mut file, size) = self.open(instance, incarnation, path)?;
        let failed = |error: io::Error| failed(path, &error);
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

    /// Lines of a file of a sandbox in which something is found.
    pub fn search(
        &self,
        instance: &str,
        incarnation: Option<u32>,
        path: &str,
        wanted: &Wanted,
    ) -> Result<Answer, AskError> {
        let (mut file, size) = self.open(instance, incarnation, path)?;
        wanted.search(&mut file, size).map_err(|e| failed(path, &e))
    }

    /// A file of a sandbox, and how long it is.
    fn open(
        &self,
        instance: &str,
        incarnation: Option<u32>,
        path: &str,
    ) -> Result<(File, u64), AskError> {
        let (sandbox, output) = self.pick(instance, incarnation)?;
        let inside = Path::new(path.trim_matches('/'));
        // What the task has put in the place of its output is not its output.
        let written = output.and_then(|output| output.file(inside).ok());
        let opened = written.map_or_else(|| sandbox.view(inside), Ok);
        let file = opened.map_err(|e| failed(path, &e))?;
        let meta = file.metadata().map_err(|e| failed(path, &e))?;
        if !meta.is_file() {
            return Err(AskError::Invalid(format!("{path} is not a file")));
        }
        Ok((file, meta.len()))
    }
}

/// The directory beside incarnation `number`'s sandbox that holds its output.
fn output_name(number: u32) -> String {
    format!("{number}.output")
}

/// The directory of a persistent volume: its path as one name, so that no volume lies in another
/// one, whose task could put a link in its place.
pub fn volume_name(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|p| !matches!(*p, "" | ".")).collect();
    parts.join("/").replace('%', "%25").replace('/', "%2F")
}

/// The path of a persistent volume whose directory has this name.
pub fn volume_path(name: &str) -> String {
    name.replace("%2F", "/").replace("%25", "%")
}

/// Makes a directory of ours where it is missing, with `mode` in any case.
fn make(path: &Path, mode: u32) -> io::Result<Dir> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let dir = Dir::open(path)?;
    dir.set_mode(mode)?;
    Ok(dir)
}

fn entry(path: String, meta: &Metadata) -> FileEntry {
    FileEntry {
        path,
        is_dir: meta.is_dir(),
        bytes: meta.len(),
        modified_at: Timestamp::from_ms(meta.mtime() * 1000 + meta.mtime_nsec() / 1_000_000),
        mode: meta.mode(),
        links: meta.nlink(),
        uid: meta.uid(),
        gid: meta.gid(),
    }
}

fn failed(path: &str, error: &io::Error) -> AskError {
    match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
        Errno::ENOENT | Errno::ENOTDIR => AskError::NotFound(path.to_owned()),
        Errno::EXDEV | Errno::ENAMETOOLONG => AskError::Invalid(format!("{path} cannot be opened")),
        _ if error.kind() == io::ErrorKind::InvalidInput => AskError::Invalid(error.to_string()),
        _ => AskError::Failed(crate::base::error::chain(error)),
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
        let dir = sandboxes.create(&AppId::parse("/a"), &key, &Shape::default()).unwrap();
        fs::create_dir(dir.join("data")).unwrap();
        (temp, sandboxes, dir)
    }

    #[test]
    fn pages_of_a_file() {
        let (_temp, sandboxes, dir) = sandbox();
        fs::write(dir.join("file"), "0123456789").unwrap();
        for (offset, n, at, text) in [
            (Some(0), 4, 0, "0123"),
            (Some(8), 4, 8, "89"),
            (Some(-3), 9, 7, "789"),
            (None, 9, 10, ""),
        ] {
            match sandboxes.read("a.instance-1", None, "/file", offset, n).unwrap() {
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
        let pattern = crate::base::pattern::Pattern::new("x").unwrap();
        let wanted = Wanted { pattern, offset: 0, line: 1, hits_max: 9 };
        for path in ["link", "../../../../secret", "magic/Cargo.toml", "nothing"] {
            let answer = sandboxes.read("a.instance-1", Some(2), path, Some(0), 9);
            assert!(matches!(answer, Err(AskError::NotFound(_))), "{path}: {answer:?}");
            let answer = sandboxes.search("a.instance-1", Some(2), path, &wanted);
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

    #[test]
    fn output_is_read_where_the_task_cannot_swap_it() {
        let (temp, sandboxes, dir) = sandbox();
        let output = dir.with_file_name("2.output");
        fs::write(output.join("stdout"), "written").unwrap();
        fs::write(temp.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(temp.path().join("secret"), dir.join("stdout")).unwrap();
        let answer = sandboxes.read("a.instance-1", None, "/stdout", Some(0), 9).unwrap();
        assert!(matches!(answer, Answer::File { bytes, .. } if bytes == b"written"));
        let Answer::Files(files) = sandboxes.list("a.instance-1", None, "").unwrap() else {
            panic!("not a listing");
        };
        let files: Vec<_> = files.iter().map(|f| (f.path.as_str(), f.bytes)).collect();
        assert!(matches!(files[..], [("data", _), ("stderr", 0), ("stdout", 7)]), "{files:?}");
    }

    #[test]
    fn other_users_of_the_node_are_kept_out() {
        let temp = tempfile::tempdir().unwrap();
        let sandboxes = Sandboxes::new(temp.path());
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        for (plain, above, own) in [(true, 0o711, 0o750), (false, 0o700, 0o755)] {
            let key = (InstanceId::from(format!("i-{plain}")), 1);
            let shape = Shape { plain, ..Shape::default() };
            let dir = sandboxes.create(&AppId::parse("/a"), &key, &shape).unwrap();
            sandboxes.create_volume(&key, "a/b", None).unwrap();
            assert_eq!((mode(dir.parent().unwrap()), mode(&dir)), (above, own));
            assert_eq!(mode(&dir.with_file_name("1.output")), 0o700);
            assert_eq!(mode(&sandboxes.records(&key)), 0o700);
            assert!(sandboxes.volumes(&key).join("a%2Fb").is_dir());
        }
        assert_eq!((mode(&sandboxes.volumes), mode(&sandboxes.records)), (0o700, 0o700));
        assert_eq!(mode(&sandboxes.root), 0o711);
    }

    #[test]
    fn a_volume_that_holds_something_keeps_its_owner() {
        let temp = tempfile::tempdir().unwrap();
        let sandboxes = Sandboxes::new(temp.path());
        let key = (InstanceId::from("i"), 1);
        let me = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        let other = if me.0 == 0 { (33, 33) } else { me };
        let owner = || {
            let meta = fs::metadata(sandboxes.volumes(&key).join("data")).unwrap();
            (meta.uid(), meta.gid())
        };
        sandboxes.create_volume(&key, "data", None).unwrap();
        assert_eq!(owner(), me);
        sandboxes.create_volume(&key, "./data/", Some(other)).unwrap();
        assert_eq!(owner(), other);
        fs::write(sandboxes.volumes(&key).join("data/x"), "").unwrap();
        sandboxes.create_volume(&key, "data", Some(me)).unwrap();
        assert_eq!(owner(), other);
    }
}
