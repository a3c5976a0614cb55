//! A master of its own, and what it uses.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::IpAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::speak;

const START_MAX: Duration = Duration::from_secs(30);

/// What a process uses.
pub struct Usage {
    pub mib: f64,
    /// So far.
    pub processor: Duration,
}

impl Usage {
    /// The share of one processor used from here to `later`, which is `time` later.
    pub fn share_until(&self, later: &Self, time: Duration) -> f64 {
        later.processor.saturating_sub(self.processor).as_secs_f64() / time.as_secs_f64()
    }
}

/// A running master. Stopped when dropped.
pub struct Server {
    pub address: IpAddr,
    pub token: String,
    pub password: String,
    child: Child,
    dir: tempfile::TempDir,
}

impl Server {
    /// Starts a master at `address` with everything at its usual port.
    pub fn start(address: IpAddr) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (data, file) = (dir.path().join("data"), dir.path().join("node.yaml"));
        let settings = format!(
            "roles: [master]\nhostname: master\naddress: {address}\ndata_dir: {}\n\
             dns_upstreams: []\n",
            data.display()
        );
        std::fs::write(&file, settings).expect("settings");
        let log = std::fs::File::create(dir.path().join("log")).expect("a file");
        let program = std::env::var("TEPUI_PROGRAM");
        let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_tepui").to_owned());
        let mut command = Command::new(program);
        command.args(["node", "--config"]).arg(&file).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("the program starts");
        let began = Instant::now();
        let read = |name: &str| std::fs::read_to_string(data.join(name)).unwrap_or_default();
        let token = loop {
            let client = read("client.env");
            let line = client.lines().find_map(|line| line.strip_prefix("TEPUI_TOKEN="));
            if let Some(token) = line
                && std::net::TcpStream::connect((address, speak::FRONT)).is_ok()
            {
                break token.to_owned();
            }
            assert!(began.elapsed() < START_MAX, "no start: {}", dir.path().display());
            std::thread::sleep(Duration::from_millis(50));
        };
        let password = read("initial-password").trim().to_owned();
        std::thread::sleep(Duration::from_secs(2));
        Self { address, token, password, child, dir }
    }

    /// What it uses now.
    pub fn usage(&self) -> Usage {
        const KIB_PER_MIB: f64 = 1024.0;
        const TICK: Duration = Duration::from_millis(10);
        let read = |name: &str| {
            let path = format!("/proc/{}/{name}", self.child.id());
            std::fs::read_to_string(path).expect("the server runs")
        };
        // What it has made itself: pages of its file come and go as the kernel likes.
        let status = read("status");
        let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let own = own.and_then(|text| text.trim().strip_suffix(" kB")).and_then(|n| n.parse().ok());
        let own: f64 = own.expect("a number");
        let stat = read("stat");
        let (_, after) = stat.rsplit_once(')').expect("a name");
        let ticks = after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u32>().ok());
        Usage { mib: own / KIB_PER_MIB, processor: TICK * ticks.sum::<u32>() }
    }

    /// Ends it; tells how many panics its log holds.
    pub fn stop(mut self) -> usize {
        self.end();
        let log = std::fs::File::open(self.dir.path().join("log")).expect("the log");
        BufReader::new(log.take(1 << 30))
            .lines()
            .map_while(Result::ok)
            .filter(|line| line.contains("panicked"))
            .inspect(|line| println!("{line}"))
            .count()
    }

    fn end(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
