//! What the agent writes down of each incarnation, so that a restarted agent knows it again.
//!
//! One file per incarnation, replaced whole by a rename. Not flushed to the disk: what it describes
//! does not outlive the machine either.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{
    desired::{Key, Known},
    sandbox::Sandboxes,
};
use crate::{base::clock::Timestamp, model::AppId};

/// Version of the format; files of another one are left alone.
const VERSION: u32 = 1;
const FILE: &str = "record.json";
const FRESH: &str = "record.new";

/// A container of an incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Name within a pod; empty for an app's only one.
    pub name: String,
    /// The runtime's id.
    pub id: String,
    pub is_plain: bool,
}

/// One incarnation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    pub app: AppId,
    pub known: Known,
    pub members: Vec<Member>,
    /// When it ended and the leader let go; garbage from then on.
    pub forgotten_at: Option<Timestamp>,
}

impl Record {
    pub fn new(app: AppId, known: Known) -> Self {
        let members = Vec::new();
        Self { version: VERSION, app, known, members, forgotten_at: None }
    }

    pub fn key(&self) -> Key {
        (self.known.report.instance.clone(), self.known.report.incarnation)
    }

    /// Writes the record. It holds the task's environment: nobody else may read it.
    pub fn save(&self, sandboxes: &Sandboxes) -> io::Result<()> {
        let dir = sandboxes.make_records(&self.key())?;
        let mut file = dir.create(Path::new(FRESH), 0o600, None)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        dir.rename(FRESH, FILE)
    }
}

/// All records there are; unreadable ones are named in the log and left.
pub fn load_all(sandboxes: &Sandboxes) -> Vec<Record> {
    let mut records = Vec::new();
    for instance in subdirs(sandboxes.records_root()) {
        for incarnation in subdirs(&instance) {
            let path = incarnation.join(FILE);
            let parsed = fs::read(&path)
                .map_err(|e| e.to_string())
                .and_then(|bytes| parse(&bytes).map_err(|e| e.to_string()));
            match parsed {
                Ok(record) if record.version == VERSION => records.push(record),
                Ok(record) => {
                    tracing::warn!(path = %path.display(), version = record.version, "record of another version");
                }
                Err(error) => tracing::warn!(path = %path.display(), error, "unreadable record"),
            }
        }
    }
    records
}

fn parse(bytes: &[u8]) -> serde_json::Result<Record> {
    serde_json::from_slice(bytes)
}

fn subdirs(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|e| e.path()).filter(|p| p.is_dir()).collect()
}
