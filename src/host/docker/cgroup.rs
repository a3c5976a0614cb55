//! What the kernel knows of a container: use of CPU and memory, and where its processes are listed.
//!
//! Read straight from the control groups: the engine's own statistics call costs it a millisecond
//! of CPU per container. Knows both versions of control groups and both drivers of the engine, not
//! a container in a group of its own choosing (`cgroup-parent`).

use std::{fs, path::PathBuf};

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

/// The group that lists the processes of container `id`.
pub(super) fn process_dir(id: &str) -> Option<PathBuf> {
    group_dir("", id).or_else(|| group_dir("memory", id))
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
    fn keys_match_whole_words() {
        let text = "total_inactive_file_x 1\ntotal_inactive_file 42\n";
        assert_eq!(keyed(text, "total_inactive_file"), Some(42));
        assert_eq!(keyed(text, "rss"), None);
    }
}
