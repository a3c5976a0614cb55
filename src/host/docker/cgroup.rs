//! What the kernel knows of a container: use of CPU and memory, and its processes.
//!
//! Read straight from the control groups: the engine's own statistics call costs it a millisecond
//! of CPU per container. Knows both versions of control groups and both drivers of the engine; a
//! container in a group of its own choosing (`cgroup-parent`) is found by its process instead.

use std::{fs, path::PathBuf};

use nix::{sys::signal, unistd::Pid};

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// Use of one container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupUsage {
    /// CPU time used so far, nanoseconds.
    pub cpu_ns: u64,
    /// Memory in use without reclaimable page cache.
    pub mem_bytes: u64,
}

/// The use of container `id`; `None` when its group is not where the engine's drivers put it.
pub fn usage(id: &str) -> Option<GroupUsage> {
    if let Some(dir) = group_dir("", id) {
        let stat = fs::read_to_string(dir.join("cpu.stat")).ok()?;
        let cpu_ns = keyed(&stat, "usage_usec")? * 1000;
        let total = number(&dir.join("memory.current"))?;
        let memory = fs::read_to_string(dir.join("memory.stat")).unwrap_or_default();
        let cache = keyed(&memory, "inactive_file").unwrap_or(0);
        return Some(GroupUsage { cpu_ns, mem_bytes: total.saturating_sub(cache) });
    }
    let cpu = group_dir("cpuacct", id).or_else(|| group_dir("cpu,cpuacct", id))?;
    let memory = group_dir("memory", id)?;
    let total = number(&memory.join("memory.usage_in_bytes"))?;
    let stat = fs::read_to_string(memory.join("memory.stat")).unwrap_or_default();
    let cache = keyed(&stat, "total_inactive_file").unwrap_or(0);
    Some(GroupUsage {
        cpu_ns: number(&cpu.join("cpuacct.usage"))?,
        mem_bytes: total.saturating_sub(cache),
    })
}

/// What became of a wish to end a container gently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gentle {
    /// The signal is where it belongs.
    Sent,
    /// The first process cannot get it; these others did. Once they are gone, nothing is left that
    /// could end in an orderly way.
    Others(Vec<i32>),
    /// Nobody there can get it: the only process is the first of its namespace and catches none.
    Useless,
    /// The processes are not known here; ask the engine.
    Unknown,
}

/// Sends SIGTERM to every process of container `id`, as a plain process tree expects it.
pub fn terminate_tree(id: &str) -> Gentle {
    let sent = processes(id).into_iter().filter(|p| p.terminate()).count();
    if sent > 0 { Gentle::Sent } else { Gentle::Unknown }
}

/// Sends SIGTERM to the first process of container `id`. The kernel drops a signal that the first
/// process of a namespace does not catch (most shells, `sleep`); then the container's other
/// processes get it instead, as they would without a namespace.
pub fn terminate_first(id: &str) -> Gentle {
    let processes = processes(id);
    let Some(first) = processes.iter().find(|p| p.is_first) else { return Gentle::Unknown };
    if first.catches_term {
        return if first.terminate() { Gentle::Sent } else { Gentle::Unknown };
    }
    let others: Vec<i32> =
        processes.iter().filter(|p| !p.is_first && p.terminate()).map(|p| p.pid.as_raw()).collect();
    if others.is_empty() { Gentle::Useless } else { Gentle::Others(others) }
}

/// Whether one of the processes `pids` is still in container `id`.
pub fn has_any(id: &str, pids: &[i32]) -> bool {
    processes(id).iter().any(|p| pids.contains(&p.pid.as_raw()))
}

struct Process {
    pid: Pid,
    /// Number 1 of its own process namespace.
    is_first: bool,
    catches_term: bool,
}

impl Process {
    fn terminate(&self) -> bool {
        signal::kill(self.pid, signal::Signal::SIGTERM).is_ok()
    }

    fn read(pid: i32) -> Option<Self> {
        if pid <= 1 {
            return None;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let (is_first, catches_term) = signals(&status);
        Some(Self { pid: Pid::from_raw(pid), is_first, catches_term })
    }
}

/// Of a process' status: whether it is the first of an inner namespace, and catches SIGTERM.
fn signals(status: &str) -> (bool, bool) {
    let field = |name| status.lines().find_map(|line: &str| line.strip_prefix(name));
    // One number per namespace, the outermost first.
    let numbers: Vec<&str> = field("NSpid:").unwrap_or_default().split_whitespace().collect();
    let caught = field("SigCgt:").and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    let term = 1 << (signal::Signal::SIGTERM as u64 - 1);
    (numbers.len() > 1 && numbers.last() == Some(&"1"), caught.unwrap_or(0) & term != 0)
}

fn processes(id: &str) -> Vec<Process> {
    let Some(dir) = group_dir("", id).or_else(|| group_dir("memory", id)) else {
        return Vec::new();
    };
    let list = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    list.lines().filter_map(|line| Process::read(line.parse().ok()?)).collect()
}

/// The group of container `id` below `controller` (empty: the unified hierarchy).
fn group_dir(controller: &str, id: &str) -> Option<PathBuf> {
    let root = PathBuf::from(MOUNT).join(controller);
    if controller.is_empty() && !root.join("cgroup.controllers").exists() {
        return None;
    }
    [root.join("docker").join(id), root.join("system.slice").join(format!("docker-{id}.scope"))]
        .into_iter()
        .find(|dir| dir.is_dir())
}

fn number(path: &std::path::Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number after `key` in lines of `key number`.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gets_a_signal() {
        let status = "Name:\tsh\nNSpid:\t4711\t1\nSigCgt:\t0000000000004002\n";
        assert_eq!(signals(status), (true, true));
        let status = "NSpid:\t4711\t7\nSigCgt:\t0000000000000002\n";
        assert_eq!(signals(status), (false, false));
        assert!(!signals("NSpid:\t1\n").0, "the machine's own first process is nobody's");
    }

    #[test]
    fn keys_match_whole_words() {
        let text = "total_inactive_file_x 1\ntotal_inactive_file 42\n";
        assert_eq!(keyed(text, "total_inactive_file"), Some(42));
        assert_eq!(keyed(text, "rss"), None);
    }
}
