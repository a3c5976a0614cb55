//! One output file with its older part, and how the task sees it.
//!
//! The files lie in a directory that no task can write to. In the sandbox they are shown as further
//! names of the same files (hard links), so that a task, a person on the node and old tools find
//! `stdout` where it always was. The task may remove or replace that name: that changes what it
//! sees, not where the agent writes or what the API reads. The next rotation and the next start of
//! the agent put the name right.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use super::{
    Files,
    mark::Written,
    times::{Times, index_name},
};
use crate::agent::sandbox::beneath::{Dir, give};

/// One file with its older part.
pub(super) struct Rotated {
    /// The directories are opened when they are needed: a follower holds its two files only.
    files: Files,
    name: &'static str,
    file: File,
    bytes: u64,
    times: Times,
}

impl Rotated {
    /// Opens the file `name`, made where it is missing, and shows it in the sandbox.
    pub fn open(files: &Files, name: &'static str) -> io::Result<Self> {
        let dir = Dir::open(&files.dir)?;
        let owner = Some(Dir::open(&files.sandbox)?.owner()?);
        let file = dir.append(Path::new(name), 0o644, owner)?;
        give(&file, owner)?; // an image's user was not known when it was made
        let bytes = file.metadata()?.len();
        let times = Times::open(&dir, name, bytes)?;
        let rotated = Self { files: files.clone(), name, file, bytes, times };
        rotated.show(&dir);
        Ok(rotated)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes what was said at `at`.
    pub fn write(&mut self, bytes: &[u8], at: &str) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.times.note(self.bytes, at);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes down when what was written was said.
    pub fn write_times(&mut self) {
        self.times.write();
    }

    /// Bytes in the files beyond the mark; points the mark at the file there is now.
    pub fn catch_up(&self, mark: &mut Written) -> io::Result<u64> {
        let inode = self.file.metadata()?.ino();
        let older = Dir::open(&self.files.dir)?.stat(Path::new(&older(self.name))).ok();
        let total = if mark.inode == inode {
            mark.base + self.bytes
        } else if let Some(older) = older.filter(|o| o.ino() == mark.inode) {
            mark.base += older.len();
            mark.base + self.bytes
        } else {
            // First time: count from here.
            mark.base = mark.total.saturating_sub(self.bytes);
            mark.base + self.bytes
        };
        mark.inode = inode;
        Ok(total.saturating_sub(mark.total))
    }

    /// Makes the file the older one and begins a new one.
    pub fn rotate(&mut self, written: &mut Written) -> io::Result<()> {
        let dir = Dir::open(&self.files.dir)?;
        self.times.write();
        dir.rename(&index_name(self.name), &index_name(&older(self.name)))?;
        dir.rename(self.name, &older(self.name))?;
        let owner = Some(Dir::open(&self.files.sandbox)?.owner()?);
        self.file = dir.append(Path::new(self.name), 0o644, owner)?;
        written.base += self.bytes;
        written.inode = self.file.metadata()?.ino();
        self.bytes = 0;
        self.times = Times::open(&dir, self.name, 0)?;
        self.show(&dir);
        Ok(())
    }

    /// Gives the files their names in the sandbox, in place of whatever has them there. That one
    /// cannot be shown is no failure: it is written and can be read.
    fn show(&self, dir: &Dir) {
        for name in [self.name.to_owned(), older(self.name)] {
            let path = Path::new(&name);
            let shown = Dir::open(&self.files.sandbox)
                .and_then(|sandbox| sandbox.hard_link(dir, path, path));
            if let Err(error) = shown
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::debug!(name, %error, "output file not shown in the sandbox");
            }
        }
    }
}

/// The name of the older part.
pub(super) fn older(name: &str) -> String {
    format!("{name}.1")
}
