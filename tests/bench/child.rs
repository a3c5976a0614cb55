//! Servers under test as child processes: started with a pinned processor, ended when dropped,
//! their processor time and memory read from /proc.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::Context as _;

/// A child that ends with this value.
pub struct Server {
    child: Child,
    name: String,
}

impl Server {
    /// Starts `command`, on the processor `pin` only when one is given. Its output goes to a file
    /// whose end is shown when it dies early.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &[&str], pin: Option<usize>, scratch: &Scratch) -> anyhow::Result<Self> {
        let (program, args) = command.split_first().context("no program")?;
        let name = Path::new(program)
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(scratch.path().join(format!("{name}.log")))?;
        let mut start = match pin {
            Some(processor) => {
                let mut start = Command::new("taskset");
                start.args(["-c", &processor.to_string(), program]);
                start
            }
            None => Command::new(program),
        };
        let child = start
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        Ok(Self { child, name })
    }

    /// This program again, in another role.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn role(args: &[&str], pin: Option<usize>, scratch: &Scratch) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let program = program.to_str().context("the program's path is no text")?;
        Self::start(&[&[program, "--role"], args].concat(), pin, scratch)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time used so far, by it and its children that have ended or run.
    pub fn cpu(&self) -> Duration {
        cpu(self.pid())
    }

    /// As `cpu`, to the microsecond, for those whose threads and processes all live on.
    pub fn cpu_of_living(&self) -> Duration {
        tree(self.pid()).into_iter().map(cpu_of_threads).sum()
    }

    /// Waits until `ready` holds.
    ///
    /// # Errors
    /// When it ends first or `patience` runs out.
    pub fn wait_until(
        &mut self,
        patience: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("{} ended early: {status}", self.name);
            }
            anyhow::ensure!(Instant::now() < deadline, "{} is not ready in time", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Waits until something accepts on a port of loopback.
    ///
    /// # Errors
    /// As `wait_until`.
    pub fn wait_for_port(&mut self, port: u16) -> anyhow::Result<()> {
        self.wait_until(Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", port)).is_ok())
    }

    /// Asks it to end and waits, at most ten seconds.
    pub fn stop(&mut self) {
        use nix::{
            sys::signal::{Signal, kill},
            unistd::Pid,
        };
        let Ok(pid) = i32::try_from(self.pid()) else { return };
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let _sent = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _killed = self.child.kill();
        let _gone = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Processor time a process and everything below it used so far.
pub fn cpu(pid: u32) -> Duration {
    tree(pid).into_iter().map(cpu_of).sum()
}

/// Resident memory of a process and everything below it.
pub fn rss_bytes(pid: u32) -> u64 {
    tree(pid).into_iter().map(rss_of).sum()
}

/// A process and everything below it.
fn tree(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut at = 0;
    while at < all.len() {
        let children = format!("/proc/{0}/task/{0}/children", all[at]);
        let children = fs::read_to_string(children).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        at += 1;
    }
    all
}

/// User and system time of a process, from its `stat` line (fields 14 and 15).
fn cpu_of(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    static PER_SECOND: OnceLock<u64> = OnceLock::new();
    let per_second = *PER_SECOND.get_or_init(|| {
        let asked = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
        asked.ok().flatten().and_then(|n| u64::try_from(n).ok()).unwrap_or(100)
    });
    Duration::from_nanos(ticks * (1_000_000_000 / per_second))
}

/// On a processor so far, all living threads together, as the scheduler counts it.
fn cpu_of_threads(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let on_processor = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    });
    on_processor.sum()
}

fn rss_of(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok()
    });
    kib.unwrap_or(0) * 1024
}

/// Processor time of the calling thread.
pub fn thread_cpu() -> Duration {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
    now.map(Duration::from).unwrap_or_default()
}

/// A directory that goes away with its value.
pub struct Scratch(PathBuf);

impl Scratch {
    /// # Errors
    /// When it cannot be made.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("tepui-bench-{}-{name}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path below it, as text.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// Has the packages installed where they are missing; returns those that cannot be had with the
/// reason.
pub fn install(packages: &[&str]) -> Vec<(String, String)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/peers.sh");
    let output = Command::new("sh").arg(script).args(packages).stdin(Stdio::null()).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    let is_there = |package: &&str| text.lines().any(|line| line == format!("{package} ok"));
    let reason = |package: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(&format!("{package} missing ")));
        line.unwrap_or("apt-get gave no answer").to_owned()
    };
    let missing = packages.iter().filter(|p| !is_there(p));
    missing.map(|p| ((*p).to_owned(), reason(p))).collect()
}

/// The processor for servers and the one for the load, when there are two.
pub fn processors() -> (Option<usize>, Option<usize>) {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        0 | 1 => (None, None),
        n => (Some(n - 1), Some(0)),
    }
}

/// Keeps the calling thread, and those it starts, on one processor.
pub fn pin_self(processor: Option<usize>) {
    use nix::{
        sched::{CpuSet, sched_setaffinity},
        unistd::Pid,
    };
    let mut set = CpuSet::new();
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted: Vec<usize> = processor.map_or_else(|| (0..all).collect(), |p| vec![p]);
    if wanted.into_iter().all(|p| set.set(p).is_ok()) {
        let _pinned = sched_setaffinity(Pid::from_raw(0), &set);
    }
}
