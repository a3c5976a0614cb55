//! What is remembered between two runs of the same config.yaml: which hosts are done, with which program.
//!
//! It lies beside the file. A run that failed goes on by it; what a host itself says goes before it, so
//! that nothing breaks when it is lost.

use std::{
    collections::BTreeMap,
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::wanted::Host;

/// How far a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It has the program and its files.
    Copied,
    /// Its node runs and is ready.
    Installed,
}

/// What is remembered of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub role: String,
    pub step: Step,
    /// The program's SHA-256.
    pub program: String,
    /// When it got there.
    pub at: String,
}

/// All of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    #[serde(skip)]
    path: PathBuf,
    pub hosts: BTreeMap<Ipv4Addr, Record>,
}

impl Kept {
    /// Where it lies for a config.yaml, unless somebody says otherwise.
    pub fn path_for(config: &Path) -> PathBuf {
        config.with_extension("state.json")
    }

    /// What is remembered; nothing where there is no file.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn load(path: &Path) -> Result<Self, String> {
        let unreadable = |error: String| format!("{} cannot be read: {error}", path.display());
        let kept = match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        Ok(Self { path: path.to_owned(), ..kept })
    }

    /// Remembers that a host has got there, and keeps it at once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn reached(&mut self, host: Host, step: Step, program: &str, at: String) -> io::Result<()> {
        let (role, program) = (host.role.as_str().to_owned(), program.to_owned());
        self.hosts.insert(host.address, Record { role, step, program, at });
        self.save()
    }

    /// Forgets a host; with the last one the file goes.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget(&mut self, address: Ipv4Addr) -> io::Result<()> {
        self.hosts.remove(&address);
        if !self.hosts.is_empty() {
            return self.save();
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Written beside and renamed: a run that is killed leaves the old one.
    fn save(&self) -> io::Result<()> {
        let beside = self.path.with_extension("json.new");
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        fs::write(&beside, text + "\n")?;
        fs::rename(&beside, &self.path)
    }
}
