//! The processes of a container, as the kernel shows them.

use std::{fs, path::Path};

use nix::{sys::signal, unistd::Pid};

use super::cgroup;

/// Groups a container makes inside its own are looked into this deep.
const DEPTH_MAX: usize = 4;

/// What a process does about SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTerm {
    /// Nothing: the kernel ends it, or drops the signal where it is the first of its namespace.
    Dies,
    Ignores,
    /// It has a handler, or keeps the signal blocked to wait for it.
    Handles,
}

/// One process; zombies are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    /// The process that leads its session.
    pub session: i32,
    /// When it began, in the kernel's ticks (100 a second). With `pid` it names a process for good.
    pub started: u64,
    /// Number 1 of its own process namespace.
    pub is_first: bool,
    pub term: OnTerm,
}

impl Process {
    /// Sends a signal; `false` when the process is gone or not ours to signal.
    pub fn signal(&self, signal: signal::Signal) -> bool {
        signal::kill(Pid::from_raw(self.pid), signal).is_ok()
    }

    /// Whether `other` is this process, and not a later one with its number.
    pub fn is(&self, other: &Self) -> bool {
        self.pid == other.pid && self.started == other.started
    }

    /// The value of `name` in the environment it was started with, where that can be read.
    pub fn env(&self, name: &str) -> Option<String> {
        let environ = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        let value = environ
            .split(|byte| *byte == 0)
            .find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
        String::from_utf8(value.to_vec()).ok()
    }

    /// Process `pid`; `None` when it is gone, a zombie, or the machine's first.
    pub fn read(pid: i32) -> Option<Self> {
        if pid <= 1 {
            return None;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        parse(pid, &status, &stat)
    }
}

/// The processes of container `id`, those of groups inside its own too. Empty when it does not run
/// or its group is not where the engine's drivers put it.
pub fn of_container(id: &str) -> Vec<Process> {
    let mut found = Vec::new();
    if let Some(dir) = cgroup::process_dir(id) {
        collect(&dir, DEPTH_MAX, &mut found);
    }
    found
}

/// All processes of this machine.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Process::read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn collect(dir: &Path, depth: usize, found: &mut Vec<Process>) {
    let list = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    found.extend(list.lines().filter_map(|line| Process::read(line.parse().ok()?)));
    if depth == 0 {
        return;
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), depth - 1, found);
        }
    }
}

/// A process from its `status` and `stat`; `None` for a zombie.
fn parse(pid: i32, status: &str, stat: &str) -> Option<Process> {
    let field = |name| status.lines().find_map(|line: &str| line.strip_prefix(name)).map(str::trim);
    if field("State:").is_some_and(|state| state.starts_with(['Z', 'X'])) {
        return None;
    }
    let mask = 1u64 << (signal::Signal::SIGTERM as u64 - 1);
    let has = |name| {
        let set = field(name).and_then(|hex| u64::from_str_radix(hex, 16).ok());
        set.unwrap_or(0) & mask != 0
    };
    let term = if has("SigIgn:") {
        OnTerm::Ignores
    } else if has("SigCgt:") || has("SigBlk:") {
        OnTerm::Handles
    } else {
        OnTerm::Dies
    };
    // One number per namespace, the outermost first.
    let numbers: Vec<&str> = field("NSpid:").unwrap_or_default().split_whitespace().collect();
    // The name in brackets may hold anything, brackets too; what follows it does not.
    let (_, rest) = stat.rsplit_once(')')?;
    Some(Process {
        pid,
        parent: field("PPid:")?.parse().ok()?,
        session: rest.split_whitespace().nth(3)?.parse().ok()?,
        started: rest.split_whitespace().nth(19)?.parse().ok()?,
        is_first: numbers.len() > 1 && numbers.last() == Some(&"1"),
        term,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4711 (a) b) S 1 4711 4710 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1";

    fn status(signals: &str) -> String {
        format!("Name:\tsh\nState:\tS (sleeping)\nPPid:\t12\nNSpid:\t4711\t1\n{signals}")
    }

    #[test]
    fn what_a_process_does_about_a_signal() {
        for (signals, term) in [
            ("SigCgt:\t0000000000004002\n", OnTerm::Handles),
            // The engine's init waits for it with the signal blocked and catches nothing.
            ("SigBlk:\tfffffffe7ffbfeff\nSigCgt:\t0000000000000000\n", OnTerm::Handles),
            ("SigIgn:\t0000000000004000\nSigBlk:\t0000000000004000\n", OnTerm::Ignores),
            ("SigCgt:\t0000000000010000\n", OnTerm::Dies),
        ] {
            let process = parse(4711, &status(signals), STAT).unwrap();
            assert_eq!((process.term, process.is_first), (term, true), "{signals}");
            assert_eq!((process.parent, process.session, process.started), (12, 4710, 987_654));
        }
    }

    #[test]
    fn zombies_are_gone_and_the_machines_first_process_is_nobodys() {
        let zombie = "State:\tZ (zombie)\nPPid:\t12\nNSpid:\t4711\t1\n";
        assert_eq!(parse(4711, zombie, STAT), None);
        let outer = "State:\tS\nPPid:\t0\nNSpid:\t1\n";
        assert!(!parse(1, outer, STAT).unwrap().is_first);
        assert_eq!(Process::read(1), None);
    }

    #[test]
    fn a_real_process_is_read() {
        let own = i32::try_from(std::process::id()).unwrap();
        let read = Process::read(own).unwrap();
        assert!(read.is(&Process::read(own).unwrap()) && read.started > 0);
        assert_eq!((read.env("NO_SUCH"), read.env("PATH").is_some()), (None, true));
    }
}
