//! The root of a plain command: an image without files whose directories are the node's own.
//!
//! The image holds the root's symbolic links (`/bin` → `usr/bin`) and empty directories to mount
//! on; its tag is a hash of that layout, so it is made once per engine and again when the node's
//! root changes. Which directories are mounted, which read-only and which not at all is decided in
//! docs/adr/0005-plain-commands-as-containers.md.
//!
//! Mounts are not recursive: `/var` would otherwise bring the mounts of all other containers along
//! (and keep them busy). File systems mounted further down are added one by one instead.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::plan::MountPlan;
use crate::base::hex::hex;

/// Name of the image without files.
pub const REPO: &str = "tepui/host-root";
/// The engine makes these itself.
const NOT_MOUNTED: [&str; 4] = ["dev", "lost+found", "proc", "sys"];
/// Software and settings of the node: a task reads them.
const READ_ONLY: [&str; 9] =
    ["bin", "boot", "etc", "lib", "lib32", "lib64", "libx32", "opt", "sbin"];
/// File systems of the kernel or of containers; their mounts are nobody's data.
const NOT_DATA: [&str; 20] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "securityfs",
    "sysfs",
    "tracefs",
];
/// Where programs mount things for a while: what is there now may be gone at the next start.
const PASSING: [&str; 3] = ["/run", "/tmp", "/var/tmp"];
/// What stays there: the directory of lock files, which programs of the node share.
const STAYS: &str = "/run/lock";
/// More mounts than this would make every start slow; the deepest are left out.
const SUBMOUNTS_MAX: usize = 64;

/// The layout of a plain command's root.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Root {
    /// Name in `/` to its target.
    links: BTreeMap<String, String>,
    dirs: BTreeSet<String>,
    mounts: Vec<MountPlan>,
}

impl Root {
    /// Reads this node's root; `engine_data` and what is mounted below it are left out.
    pub fn of_node(engine_data: &Path) -> io::Result<Self> {
        let mut root = Self::default();
        for entry in std::fs::read_dir("/")? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                let target = std::fs::read_link(entry.path())?;
                root.links.insert(name, target.to_string_lossy().into_owned());
            } else if kind.is_dir() {
                root.dirs.insert(name);
            }
        }
        let mounted = std::fs::read_to_string("/proc/self/mountinfo")?;
        root.plan_mounts(&submounts(&mounted, engine_data));
        Ok(root)
    }

    /// Mounts of every container made from it.
    pub fn mounts(&self) -> &[MountPlan] {
        &self.mounts
    }

    /// Image name and tag for this layout.
    pub fn image(&self) -> (String, String) {
        let mut hash = Sha256::new();
        for (name, target) in &self.links {
            hash.update(format!("{name} -> {target}\n"));
        }
        for name in &self.dirs {
            hash.update(format!("{name}/\n"));
        }
        (REPO.to_owned(), hex(&hash.finalize()[..8]))
    }

    /// The image's only layer, an archive of links and empty directories.
    pub fn archive(&self) -> io::Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        let header = |kind: tar::EntryType, mode: u32| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_size(0);
            header
        };
        for name in self.dirs.iter().map(String::as_str).chain(["dev", "proc", "sys"]) {
            let mut header = header(tar::EntryType::Directory, 0o755);
            tar.append_data(&mut header, format!("{name}/"), io::empty())?;
        }
        for (name, target) in &self.links {
            let mut header = header(tar::EntryType::Symlink, 0o777);
            tar.append_link(&mut header, name, target)?;
        }
        tar.into_inner()
    }

    fn plan_mounts(&mut self, submounts: &[PathBuf]) {
        let bind = |path: &Path| {
            let top = path.iter().nth(1).and_then(|s| s.to_str()).unwrap_or_default();
            let read_only = READ_ONLY.contains(&top) || top == "usr";
            let target = path.to_string_lossy().into_owned();
            MountPlan::Bind { source: path.to_owned(), target, read_only, recursive: false }
        };
        self.dirs.retain(|name| !NOT_MOUNTED.contains(&name.as_str()));
        let tops = self.dirs.iter().map(|name| Path::new("/").join(name));
        let below = submounts.iter().filter(|path| {
            let top = path.iter().nth(1).and_then(|s| s.to_str()).unwrap_or_default();
            self.dirs.contains(top)
        });
        self.mounts =
            tops.chain(below.take(SUBMOUNTS_MAX).cloned()).map(|path| bind(&path)).collect();
    }
}

/// Directories below a top-level one where another file system with data is mounted, shallow first.
fn submounts(mountinfo: &str, engine_data: &Path) -> Vec<PathBuf> {
    let mut found: BTreeSet<(usize, PathBuf)> = BTreeSet::new();
    for line in mountinfo.lines() {
        // "36 35 98:0 /root-in-fs /mount/point options… - type source options"
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let Some(point) = left.split(' ').nth(4) else { continue };
        let kind = right.split(' ').next().unwrap_or_default();
        let path = PathBuf::from(unescape(point));
        let depth = path.components().count();
        let is_data = !NOT_DATA.contains(&kind) && !path.starts_with(engine_data);
        let passes = PASSING.iter().any(|dir| path.starts_with(dir)) && path != Path::new(STAYS);
        if depth > 2 && is_data && !passes && path.is_dir() {
            found.insert((depth, path));
        }
    }
    found.into_iter().map(|(_, path)| path).collect()
}

/// Mount points write blanks and the like as three octal digits after a backslash.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_data_is_mounted_from_below() {
        let info = "\
            1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
            2 1 0:5 / /usr/share rw - ext4 /dev/sdb rw\n\
            3 1 0:6 / /usr/lib rw - overlay overlay rw\n\
            5 1 0:8 / /run/lock rw - tmpfs tmpfs rw\n\
            6 1 0:9 / /usr/sbin rw - fuse.glusterfs host:/ rw\n\
            7 1 8:2 / /tmp/.. rw - ext4 /dev/sdd rw\n\
            8 1 8:2 / /run/lock/.. rw - ext4 /dev/sde rw\n\
            4 1 0:7 / /var/lib rw - xfs /dev/sdc rw\n";
        let expected = ["/run/lock", "/usr/sbin", "/usr/share"].map(PathBuf::from);
        assert_eq!(submounts(info, Path::new("/var/lib")), expected);
    }

    #[test]
    fn the_tag_follows_the_layout() {
        let mut root = Root::default();
        root.links.insert("bin".into(), "usr/bin".into());
        root.dirs.extend(["usr".to_owned(), "proc".into(), "var".into()]);
        root.plan_mounts(&[PathBuf::from("/usr/local"), PathBuf::from("/proc/x")]);
        let before = root.image();
        let targets: Vec<(String, bool)> = root
            .mounts()
            .iter()
            .filter_map(|m| match m {
                MountPlan::Bind { target, read_only, .. } => Some((target.clone(), *read_only)),
                MountPlan::Volume { .. } => None,
            })
            .collect();
        let expected = [("/usr", true), ("/var", false), ("/usr/local", true)];
        assert_eq!(targets, expected.map(|(p, ro)| (p.to_owned(), ro)));
        root.dirs.insert("data".into());
        assert_ne!(root.image(), before);
        let archive = root.archive().unwrap();
        let names: Vec<String> = tar::Archive::new(&archive[..])
            .entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().to_string_lossy().into_owned())
            .collect();
        assert!(names.contains(&"bin".to_owned()) && names.contains(&"proc/".to_owned()));
    }
}
