//! What the process is and uses, read from `/proc` at each scrape, under the names every program
//! with metrics gives them.

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

use super::{families, label};

label! {
    /// The version this program was built as.
    pub enum Version("version") {
        This = env!("CARGO_PKG_VERSION"),
    }
}

families! {
    BUILD: Reading<Version> = gauge(
        "tepui_build_info",
        "1, labelled with the version of the program.",
        || [1.0],
    );
    CPU: Reading<()> = counter(
        "process_cpu_seconds_total",
        "Processor time used, in user and system mode.",
        || [cpu_seconds()],
    );
    MEMORY: Reading<()> = gauge(
        "process_resident_memory_bytes",
        "Memory the process holds.",
        || [resident_bytes()],
    );
    FDS: Reading<()> = gauge("process_open_fds", "File descriptors open.", || [open_fds()]);
    FDS_MAX: Reading<()> = gauge(
        "process_max_fds",
        "File descriptors the process may have open.",
        || [max_fds()],
    );
    STARTED: Reading<()> = gauge(
        "process_start_time_seconds",
        "When the process started, since 1970 in UTC.",
        || [start_seconds()],
    );
}

/// Fields of `/proc/self/stat`, numbered as in proc(5) less three: from what follows the name, which
/// may hold anything.
const UTIME: usize = 14 - 3;
const STIME: usize = 15 - 3;
const STARTTIME: usize = 22 - 3;

fn stat(field: usize) -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().nth(field).and_then(|field| field.parse().ok()).unwrap_or(f64::NAN)
}

/// A number the kernel was built with. NaN, which means "unknown" to a scraper, when it does not tell.
fn system(what: SysconfVar) -> f64 {
    sysconf(what).ok().flatten().map_or(f64::NAN, |n| n as f64)
}

fn cpu_seconds() -> f64 {
    (stat(UTIME) + stat(STIME)) / system(SysconfVar::CLK_TCK)
}

fn start_seconds() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot = text.lines().find_map(|line| line.strip_prefix("btime "));
    let boot: f64 = boot.and_then(|boot| boot.trim().parse().ok()).unwrap_or(f64::NAN);
    boot + stat(STARTTIME) / system(SysconfVar::CLK_TCK)
}

fn resident_bytes() -> f64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(f64::NAN) * system(SysconfVar::PAGE_SIZE)
}

fn open_fds() -> f64 {
    // The directory itself is one of them while it is read.
    fs::read_dir("/proc/self/fd").map_or(f64::NAN, |all| all.count().saturating_sub(1) as f64)
}

fn max_fds() -> f64 {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).map_or(f64::NAN, |(soft, _)| soft as f64)
}
