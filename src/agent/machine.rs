//! This machine: what it has to give and how busy it is.

pub mod accounts;
pub mod ports;
pub mod resolver;

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::Path,
    time::Duration,
};

use nix::sys::statvfs::statvfs;
use tokio::time::Instant;

use super::runtime::Runtime;
use crate::{
    base::units::Milli,
    model::{
        InstanceId, Pools, Ranges, Resources, Role, Scalars,
        link::{TaskUsage, Usage},
        node::NodeKind,
    },
};

/// Host ports of an agent (the original's, which leave out what its own services listen on).
const AGENT_PORTS: [(u64, u64); 6] =
    [(1025, 2180), (2182, 3887), (3889, 5049), (5052, 8079), (8082, 8180), (8182, 32_000)];
/// Host ports of a public agent, among them 80 and 443.
const PUBLIC_PORTS: [(u64, u64); 3] = [(1, 21), (23, 5050), (5052, 32_000)];
/// Memory left to the machine itself: this much, or half of it on a small machine.
const MEMORY_RESERVE_MB: u64 = 1024;
/// Disk left to the machine itself: this much, or half of it on a small disk.
const DISK_RESERVE_MB: u64 = 5 * 1024;

/// Numbers that replace what was detected.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub cpus: Option<f64>,
    pub mem_mb: Option<f64>,
    pub disk_mb: Option<f64>,
    pub gpus: Option<f64>,
    pub ports: Option<Ranges>,
}

/// What a node of `kind` with its data in `data_dir` has to give.
pub fn resources(kind: NodeKind, data_dir: &Path, over: &Overrides) -> io::Result<Pools> {
    let reserve =
        |total: u64, reserve: u64| if total > 2 * reserve { total - reserve } else { total / 2 };
    let cpus = std::thread::available_parallelism()?.get();
    let mem = reserve(memory_kb("MemTotal")? / 1024, MEMORY_RESERVE_MB);
    let (_, disk_bytes) = disk(data_dir)?;
    let disk = reserve(disk_bytes >> 20, DISK_RESERVE_MB);
    let milli = |given: Option<f64>, found: u64| match given {
        Some(given) => Milli::from_f64(given),
        None => Milli::whole(i64::try_from(found).unwrap_or(i64::MAX)),
    };
    let (role, ports) = match kind {
        NodeKind::Agent | NodeKind::Both => (Role::star(), &AGENT_PORTS[..]),
        NodeKind::PublicAgent => (Role::public(), &PUBLIC_PORTS[..]),
    };
    let resources = Resources {
        scalars: Scalars {
            cpus: milli(over.cpus, cpus as u64),
            mem: milli(over.mem_mb, mem),
            disk: milli(over.disk_mb, disk),
            gpus: milli(over.gpus, n_gpus()),
        },
        ports: over.ports.clone().unwrap_or_else(|| Ranges::of(ports.iter().copied())),
        named: BTreeMap::new(),
    };
    Ok(Pools::of(role, resources))
}

/// NVIDIA's devices; others are not handed out by the engine.
fn n_gpus() -> u64 {
    let entries = fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten();
    entries.flatten().count() as u64
}

/// A line of `/proc/meminfo`.
fn memory_kb(name: &str) -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok()
        })
        .ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("no {name} in /proc/meminfo"))
        })
}

/// Used and total bytes of the file system that holds `path`.
fn disk(path: &Path) -> io::Result<(u64, u64)> {
    let stat = statvfs(path)?;
    let block = stat.fragment_size();
    let total = stat.blocks() * block;
    Ok((total.saturating_sub(stat.blocks_free() * block), total))
}

/// Containers of one incarnation to be measured.
pub struct UsageOf {
    pub instance: InstanceId,
    pub containers: Vec<String>,
}

/// Measures use over the time between two calls.
#[derive(Default)]
pub struct Sampler {
    machine: Option<(Instant, Duration)>,
    containers: HashMap<String, (Instant, u64)>,
    ports_held: Option<(Instant, Ranges)>,
}

/// How often it is looked at what is listened on: the kernel walks through all it has room for.
const LISTENING_EVERY: Duration = Duration::from_secs(30);

impl Sampler {
    /// Use of the node and of `tasks` since the last call; of CPUs none at the first.
    pub fn sample(&mut self, runtime: &dyn Runtime, tasks: Vec<UsageOf>, data_dir: &Path) -> Usage {
        let now = Instant::now();
        let mut seen = HashMap::new();
        let mut usages = Vec::with_capacity(tasks.len());
        for task in tasks {
            let mut usage = TaskUsage { instance: task.instance, cpus: 0.0, mem_bytes: 0 };
            for id in task.containers {
                let Some(used) = runtime.usage(&id) else { continue };
                usage.mem_bytes += used.mem_bytes;
                if let Some((at, before)) = self.containers.get(&id) {
                    let wall = now.duration_since(*at).as_nanos() as f64;
                    usage.cpus += used.cpu_ns.saturating_sub(*before) as f64 / wall.max(1.0);
                }
                seen.insert(id, (now, used.cpu_ns));
            }
            usages.push(usage);
        }
        self.containers = seen;
        Usage {
            cpus: self.machine_cpus(now),
            mem_bytes: memory_used().unwrap_or(0),
            disk_bytes: disk(data_dir).map_or(0, |(used, _)| used),
            load_1m: load().unwrap_or(0.0),
            tasks: usages,
            engine_away: None,
            volumes: Vec::new(),
            ports_held: Ranges::default(),
        }
    }

    /// Ports that are listened on and are none of `own`, as of some seconds ago.
    pub fn ports_held(&mut self, own: &Ranges) -> Ranges {
        let now = Instant::now();
        match &self.ports_held {
            Some((at, held)) if now.duration_since(*at) < LISTENING_EVERY => held.minus(own),
            Some(_) | None => {
                let held = ports::listening().minus(own);
                self.ports_held = Some((now, held.clone()));
                held
            }
        }
    }

    fn machine_cpus(&mut self, now: Instant) -> f64 {
        let Some(busy) = busy_time() else { return 0.0 };
        let before = self.machine.replace((now, busy));
        before.map_or(0.0, |(at, before)| {
            let wall = now.duration_since(at).as_secs_f64();
            busy.saturating_sub(before).as_secs_f64() / wall.max(0.001)
        })
    }
}

/// Time all CPUs together were not idle.
fn busy_time() -> Option<Duration> {
    const TICKS_PER_SECOND: u64 = 100; // USER_HZ, fixed by the kernel's ABI
    let text = fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<u64> =
        text.lines().next()?.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is part of user.
    let busy: u64 =
        fields.iter().take(8).enumerate().filter(|(i, _)| *i != 3 && *i != 4).map(|(_, n)| n).sum();
    Some(Duration::from_millis(busy * 1000 / TICKS_PER_SECOND))
}

fn memory_used() -> Option<u64> {
    let used = memory_kb("MemTotal").ok()?.saturating_sub(memory_kb("MemAvailable").ok()?);
    Some(used * 1024)
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_agent_holds_everything_for_its_role() {
        let over = Overrides { cpus: Some(1.5), ..Overrides::default() };
        let pools = resources(NodeKind::PublicAgent, Path::new("/"), &over).unwrap();
        assert_eq!(pools.scalars().cpus, Milli::new(1500));
        assert!(pools.0[&Role::public()].ports.has(80));
        assert!(pools.scalars().mem > Milli::whole(32));
        let private = resources(NodeKind::Agent, Path::new("/"), &over).unwrap();
        assert!(!private.ports().has(5050) && private.ports().has(31_000));
    }

    #[test]
    fn a_node_of_both_kinds_reserves_nothing() {
        let pools = resources(NodeKind::Both, Path::new("/"), &Overrides::default()).unwrap();
        let private = resources(NodeKind::Agent, Path::new("/"), &Overrides::default()).unwrap();
        assert_eq!(pools.0.keys().collect::<Vec<_>>(), [&Role::star()]);
        assert_eq!(pools.ports(), private.ports());
        assert_eq!(pools.scalars().cpus, private.scalars().cpus);
    }

    #[test]
    fn the_machine_is_measured() {
        assert!(busy_time().unwrap() > Duration::ZERO);
        assert!(memory_used().unwrap() > 0);
        assert!(load().is_some());
    }
}
