//! This machine: room on its disks, ports that are taken, open files, and what a node's settings
//! say of it.

use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
};

use nix::sys::{
    resource::{Resource, getrlimit},
    statvfs::statvfs,
};

use super::{Finding, Level};
use crate::{
    cli::{io::Io, session::Session},
    node::{
        config,
        settings::{Layers, Raw, Source},
    },
};

/// Where packages put a node's settings.
const SETTINGS: &str = "/etc/tepui/tepui.yaml";
/// A node opens one for each connection and log; below this busy ones run out.
const DESCRIPTORS_MIN: u64 = 65_536;
/// Free space below which images no longer unpack and the log soon stops.
const DISK_BYTES_MIN: u64 = 2 << 30;
const DISK_PERCENT_MIN: u64 = 5;

/// What a node here would use.
#[derive(Debug)]
pub struct Settings {
    /// There are settings of a node here.
    pub is_node: bool,
    pub docker: PathBuf,
    pub findings: Vec<Finding>,
    data_dir: PathBuf,
    /// Port, what it is for, and whether it is UDP as well.
    ports: Vec<(u16, &'static str, bool)>,
}

impl Settings {
    /// The settings of this machine's node; without any those of `tepui dev`.
    pub fn of(io: &Io) -> Self {
        let file = Path::new(SETTINGS);
        let is_node = io.system_files && file.exists();
        let defaults = if is_node { config::node_defaults() } else { config::dev_defaults() };
        let mut layers = Layers::default();
        layers.over(&defaults, |_| Source::BuiltIn);
        let mut findings = Vec::new();
        let mut note = |error: String| {
            let lines = error.lines();
            findings.extend(lines.map(|line| Finding::bad("settings", line)));
        };
        if is_node && let Err(error) = layers.over_file(file) {
            note(error.to_string());
        }
        if let Err(error) = layers.over_environment(io.env.clone()) {
            note(error.to_string());
        }
        let strangers: Vec<String> = layers.strangers().to_vec();
        strangers.into_iter().for_each(note);
        let raw = layers.merged();
        Self {
            is_node,
            docker: raw.docker.clone().unwrap_or_default(),
            data_dir: io.cwd.join(raw.data_dir.clone().unwrap_or_default()),
            ports: ports(&raw),
            findings,
        }
    }
}

fn ports(raw: &Raw) -> Vec<(u16, &'static str, bool)> {
    let mut ports = vec![
        (raw.router_port.unwrap_or(0), "the admin router", false),
        (raw.dns_port.unwrap_or(0), "DNS", true),
        (raw.peer_port.unwrap_or(0), "other nodes", false),
    ];
    if raw.compat_ports == Some(true) {
        ports.extend([
            (5050, "the direct Mesos port", false),
            (8080, "the direct Marathon port", false),
        ]);
    }
    ports.retain(|(port, ..)| *port != 0);
    ports
}

/// Whether the cluster's address is this machine.
pub fn is_here(session: &Session) -> bool {
    let uri: Option<http::Uri> = session.url.parse().ok();
    uri.and_then(|uri| uri.host().map(str::to_owned))
        .is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]")
}

/// Looks at the machine. `docker_root` is where Docker keeps images and containers.
pub async fn look(settings: &Settings, docker_root: Option<&Path>, is_node: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, what) in
        [(Some(settings.data_dir.as_path()), "tepui's data"), (docker_root, "Docker's images")]
    {
        if let Some(path) = path.and_then(existing) {
            findings.extend(disk(path, what));
        }
    }
    findings.extend(descriptors(is_node));
    findings.extend(taken(settings, is_node));
    findings
}

/// The path or the nearest directory above it that is there.
fn existing(path: &Path) -> Option<&Path> {
    path.ancestors().find(|p| p.exists())
}

fn disk(path: &Path, what: &str) -> Option<Finding> {
    let stat = statvfs(path).ok()?;
    let free = stat.blocks_available() * stat.fragment_size();
    let all = stat.blocks() * stat.fragment_size();
    let percent = free.saturating_mul(100).checked_div(all).unwrap_or(100);
    let files_left = stat.files() == 0 || stat.files_available() > 0;
    let gib = free as f64 / f64::from(1 << 30);
    let text = format!("{gib:.1} GiB ({percent} %) free for {what} at {}", path.display());
    Some(if !files_left {
        Finding::bad("disk", format!("no file can be made any more at {}", path.display()))
            .hint("the disk has no inodes left; remove small files")
    } else if free < DISK_BYTES_MIN || percent < DISK_PERCENT_MIN {
        Finding::bad("disk", text).hint("make room: docker system prune, or a larger disk")
    } else {
        Finding::good("disk", text)
    })
}

fn descriptors(is_node: bool) -> Option<Finding> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let text = format!("a process may open {hard} files");
    Some(match (hard >= DESCRIPTORS_MIN, is_node) {
        (true, _) => Finding::good("files", text),
        (false, true) => Finding::bad("files", text)
            .hint("raise it: LimitNOFILE=1048576 in the unit, or ulimit -n before the start"),
        (false, false) => Finding::note("files", text),
    })
}

/// Ports that other programs hold.
fn taken(settings: &Settings, is_node: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (port, what, udp) in &settings.ports {
        let refused = bind(*port, *udp);
        let Some(error) = refused else { continue };
        let holder = holder(*port, *udp);
        let is_ours = holder.as_deref() == Some("tepui");
        let by = holder.map(|name| format!(" by {name}")).unwrap_or_default();
        let level = if is_node { Level::Bad } else { Level::Note };
        findings.push(match error {
            _ if is_ours => Finding::good("ports", format!("tepui serves {what} on port {port}")),
            nix::errno::Errno::EACCES => {
                Finding::note("ports", format!("port {port} ({what}) is for root only"))
            }
            _ => Finding::new(level, "ports", format!("port {port} ({what}) is taken{by}"))
                .hint("end that program, or give tepui another port in its settings"),
        });
    }
    if findings.is_empty() {
        let all: Vec<String> = settings.ports.iter().map(|(port, ..)| port.to_string()).collect();
        findings.push(Finding::good("ports", format!("{} are free", all.join(", "))));
    }
    findings
}

/// Why a port cannot be listened on; `None` when it can. It is given back at once.
fn bind(port: u16, udp: bool) -> Option<nix::errno::Errno> {
    let here = (Ipv4Addr::UNSPECIFIED, port);
    let errno =
        |error: std::io::Error| nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0));
    let tcp = TcpListener::bind(here).err().map(errno);
    tcp.or_else(|| if udp { UdpSocket::bind(here).err().map(errno) } else { None })
}

/// The name of a program that holds a port, as far as this user may see.
fn holder(port: u16, udp: bool) -> Option<String> {
    let tables: &[&str] = if udp {
        &["/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"]
    } else {
        &["/proc/net/tcp", "/proc/net/tcp6"]
    };
    let inodes: Vec<String> = tables.iter().flat_map(|table| sockets(table, port)).collect();
    let links: Vec<PathBuf> =
        inodes.iter().map(|inode| PathBuf::from(format!("socket:[{inode}]"))).collect();
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes
        .map(|entry| entry.path())
        .filter(|path| path.join("comm").exists())
        .find(|path| {
            let open = std::fs::read_dir(path.join("fd")).into_iter().flatten().flatten();
            open.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|l| links.contains(&l))
        })
        .and_then(|path| std::fs::read_to_string(path.join("comm")).ok())
        .map(|name| name.trim().to_owned())
}

/// Inodes of the sockets of a kernel table that listen on a port.
fn sockets(table: &str, port: u16) -> Vec<String> {
    // TCP's number for listening; UDP's for a socket that is bound.
    const STATES: [&str; 2] = ["0A", "07"];
    let wanted = format!(":{port:04X}");
    let text = std::fs::read_to_string(table).unwrap_or_default();
    let mut found = Vec::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [_, local, _, state, ..] = fields[..]
            && local.ends_with(&wanted)
            && STATES.contains(&state)
            && let Some(inode) = fields.get(9)
        {
            found.push((*inode).to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_seen_with_its_holder() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        assert_eq!(bind(port, false), Some(nix::errno::Errno::EADDRINUSE));
        let own = std::fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(holder(port, false).as_deref(), Some(own.trim()));
        drop(held);
        assert_eq!(bind(port, false), None);
    }

    #[test]
    fn room_on_a_disk_is_told_of_the_nearest_directory_that_is_there() {
        let path = existing(Path::new("/tmp/not/there/at/all")).unwrap();
        assert_eq!(path, Path::new("/tmp"));
        let text = disk(path, "tests").unwrap().text;
        assert!(text.contains("GiB") && text.ends_with("free for tests at /tmp"), "{text}");
    }
}
