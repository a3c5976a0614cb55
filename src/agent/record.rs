//! What the agent writes down of each incarnation, so that a restarted agent knows it again.
//!
//! One file per incarnation, replaced whole by a rename. Not flushed to the disk: what it describes
//! does not outlive the machine either.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use super::{
    desired::{Key, Kill, Known, Why},
    sandbox::Sandboxes,
};
use crate::{
    base::{
        clock::{Moment, Timestamp},
        wire::{self, Message as _},
    },
    choice, message,
    model::AppId,
    written_as,
};

/// Version of the format, the first byte of a file; files of another one are left alone.
const VERSION: u8 = 2;
const FILE: &str = "record.bin";
const FRESH: &str = "record.new";

/// A container of an incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name within a pod; empty for an app's only one.
    pub name: String,
    /// The runtime's id.
    pub id: String,
    pub is_plain: bool,
}

/// One incarnation.
#[derive(Clone, Debug)]
pub struct Record {
    pub app: AppId,
    pub known: Known,
    pub members: Vec<Member>,
    /// When it ended and the leader let go; garbage from then on.
    pub forgotten_at: Option<Timestamp>,
}

message!(Record { 1: app, 2: known, 3: members, 4: forgotten_at });
message!(Member { 1: name, 2: id, 3: is_plain });
message!(Known { 1: order, 2: report, 3: kill });
choice!(Why { 1: Ordered(reason), 2: NotWanted, 3: Unhealthy(text) });
// Why, its grace, and that SIGKILL was sent; when things were sent means nothing after a restart.
written_as!(
    Kill as (Why, u64, bool),
    |kill| (kill.why.clone(), kill.grace_ms, kill.escalated_at.is_some()),
    |(why, grace_ms, was_escalated)| {
        let escalated_at = was_escalated.then_some(Moment::START);
        Ok(Kill { why, at: Moment::default(), grace_ms, escalated_at })
    }
);

impl Record {
    pub fn new(app: AppId, known: Known) -> Self {
        let members = Vec::new();
        Self { app, known, members, forgotten_at: None }
    }

    pub fn key(&self) -> Key {
        (self.known.report.instance.clone(), self.known.report.incarnation)
    }

    /// Writes the record. It holds the task's environment: nobody else may read it.
    pub fn save(&self, sandboxes: &Sandboxes) -> io::Result<()> {
        let dir = sandboxes.make_records(&self.key())?;
        let mut file = dir.create(Path::new(FRESH), 0o600, None)?;
        file.write_all(&wire::encode_versioned(VERSION, self))?;
        dir.rename(FRESH, FILE)
    }
}

/// All records there are; unreadable ones are named in the log and left.
pub fn load_all(sandboxes: &Sandboxes) -> Vec<Record> {
    let mut records = Vec::new();
    for instance in subdirs(sandboxes.records_root()) {
        for incarnation in subdirs(&instance) {
            let path = incarnation.join(FILE);
            let parsed = fs::read(&path).map_err(|e| e.to_string()).and_then(|bytes| parse(&bytes));
            match parsed {
                Ok(record) => records.push(record),
                Err(error) => tracing::warn!(path = %path.display(), error, "unreadable record"),
            }
        }
    }
    records
}

fn parse(bytes: &[u8]) -> Result<Record, String> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Record::read(rest).map_err(|error| error.to_string()),
        Some((version, _)) => {
            Err(format!("it is of version {version}, this agent reads {VERSION}"))
        }
        None => Err("it is empty".to_owned()),
    }
}

fn subdirs(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|e| e.path()).filter(|p| p.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::wire::sample::{hold, shape};

    #[test]
    fn what_is_written_of_a_task_stays_readable() {
        hold("record", &[shape::<Record>(), shape::<Member>(), shape::<Known>(), shape::<Why>()]);
    }
}
