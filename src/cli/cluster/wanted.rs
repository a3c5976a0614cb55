//! What a config.yaml asks for, checked whole: hosts with their roles, the way to them, settings and files
//! of each node.
//!
//! Everything that is wrong is told at once, by file, line and key, in the words of the original where it
//! had some.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_yaml::{Mapping, Value};

use super::{
    checks::{self, Checks},
    document::Document,
};
use crate::node::{
    config::{self, Config, NodeRole},
    settings::{self, Layers, Source},
};

/// What a step on a host may take where nothing is said.
const DEADLINE_S: i64 = 120;
/// Addresses of the original's own name servers on each node: asking them would go round in circles.
const SPARTAN: [&str; 3] = ["198.51.100.1", "198.51.100.2", "198.51.100.3"];
/// Where files of a node lie on its host.
const FILES_AT: &str = "/etc/tepui";

/// One host, as it is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    pub address: Ipv4Addr,
    pub role: NodeRole,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.address, self.role.as_str())
    }
}

/// How hosts are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    pub user: Option<String>,
    pub port: Option<u16>,
    pub key: Option<PathBuf>,
}

/// A file that goes to `/etc/tepui` on hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub is_program: bool,
    /// Only for masters.
    pub of_masters: bool,
}

/// All that is asked for.
#[derive(Debug)]
pub struct Wanted {
    /// Masters first, then agents, then public agents, each as listed.
    pub hosts: Vec<Host>,
    pub way: Way,
    pub deadline: Duration,
    pub log_dir: Option<PathBuf>,
    pub files: Vec<File>,
    pub checks: Checks,
    /// Programs of the operator's checks.
    pub check_bins: Vec<(String, Vec<u8>)>,
    pub check_time: bool,
    /// Known keys that do nothing, in words.
    pub without: Vec<String>,
    common: Mapping,
    of_hosts: BTreeMap<Ipv4Addr, Mapping>,
}

impl Wanted {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// Every fault, a line each.
    pub fn load(path: &Path) -> Result<Self, Vec<String>> {
        let text = fs::read_to_string(path)
            .map_err(|error| vec![format!("{} cannot be read: {error}", path.display())])?;
        Self::read(path, &text)
    }

    /// The same of its text; other files are looked for beside `path`.
    ///
    /// # Errors
    /// Every fault, a line each.
    pub fn read(path: &Path, text: &str) -> Result<Self, Vec<String>> {
        let document = Document::read(path, text).map_err(|text| vec![text])?;
        let dir = path.parent().unwrap_or(Path::new(".")).to_owned();
        let mut reader = Reader { document, dir };
        let wanted = reader.wanted();
        let faults = reader.document.faults();
        if faults.is_empty() { Ok(wanted) } else { Err(faults) }
    }

    pub fn masters(&self) -> impl Iterator<Item = Host> {
        self.hosts.iter().copied().filter(|host| host.role == NodeRole::Master)
    }

    /// The settings of a node, as lines of YAML; role and masters are not among them.
    pub fn settings(&self, host: Host) -> String {
        let mut map = self.common.clone();
        if !map.contains_key("ip_detect") {
            map.insert("address".into(), host.address.to_string().into());
        }
        if host.role != NodeRole::Master {
            map.remove("tls_cert");
            map.remove("tls_key");
        }
        map.extend(self.of_hosts.get(&host.address).cloned().unwrap_or_default());
        if map.is_empty() {
            return String::new();
        }
        serde_yaml::to_string(&map).unwrap_or_default()
    }

    /// What a setting of a host is, where it is said here.
    pub fn setting(&self, host: Host, key: &str) -> Option<String> {
        let value = self.of_hosts.get(&host.address).and_then(|map| map.get(key));
        let value = value.or_else(|| self.common.get(key))?;
        Some(serde_yaml::to_string(value).unwrap_or_default().trim().to_owned())
    }

    /// Where nodes join at a master.
    pub fn peer(&self, master: Host) -> String {
        let port = self.setting(master, "peer_port").unwrap_or_else(|| "5070".to_owned());
        format!("{}:{port}", master.address)
    }
}

struct Reader {
    document: Document,
    /// Where the file lies.
    dir: PathBuf,
}

impl Reader {
    fn wanted(&mut self) -> Wanted {
        let hosts = self.hosts();
        let files = self.files();
        let common = self.common(&files);
        let checks = self.checks();
        let of_hosts = self.of_hosts(&hosts);
        let wanted = Wanted {
            hosts,
            way: self.way(),
            deadline: self.deadline(),
            log_dir: self.document.text("log_directory").map(|dir| self.dir.join(dir)),
            files,
            checks,
            check_bins: self.check_bins(),
            check_time: self.document.switch("check_time").unwrap_or(true),
            without: self.document.without(),
            common,
            of_hosts,
        };
        self.check_settings(&wanted);
        wanted
    }

    fn fault(&mut self, key: &str, text: impl AsRef<str>) {
        self.document.fault(key, text);
    }

    // --- hosts

    fn hosts(&mut self) -> Vec<Host> {
        let mut hosts = Vec::new();
        for (key, role) in [
            ("master_list", NodeRole::Master),
            ("agent_list", NodeRole::Agent),
            ("public_agent_list", NodeRole::PublicAgent),
        ] {
            let listed = self.addresses(key);
            hosts.extend(listed.into_iter().map(|address| Host { address, role }));
        }
        match self.document.text("master_discovery").as_deref() {
            None | Some("static") => {}
            Some("master_http_loadbalancer") => self.fault(
                "master_discovery",
                "is not possible: masters are known by their addresses; list them in master_list with \
                 master_discovery: static",
            ),
            Some(other) => {
                let text = format!("Must be one of 'static'. Got '{other}'.");
                self.fault("master_discovery", text);
            }
        }
        if !self.document.has("master_list") {
            self.fault("master_list", "Must set master_list, no way to calculate value.");
        }
        let n_masters = hosts.iter().filter(|host| host.role == NodeRole::Master).count();
        if let Some(n) = self.document.integer("num_masters")
            && usize::try_from(n) != Ok(n_masters)
        {
            let text = format!("is {n}, and master_list has {n_masters}");
            self.fault("num_masters", text);
        }
        if self.document.has("master_list") && ![1, 3, 5, 7, 9].contains(&n_masters) {
            let text = format!("Must have 1, 3, 5, 7, or 9 masters. Found {n_masters}");
            self.fault("master_list", text);
        }
        let mut seen = BTreeSet::new();
        let twice: Vec<Host> =
            hosts.iter().copied().filter(|host| !seen.insert(host.address)).collect();
        for host in twice {
            let first = hosts.iter().find(|other| other.address == host.address);
            if first.is_some_and(|first| first.role != host.role) {
                let text = format!("{} is in another list too: a host has one role", host.address);
                self.fault(list_of(host.role), text);
            }
        }
        hosts
    }

    fn addresses(&mut self, key: &str) -> Vec<Ipv4Addr> {
        let texts = self.unique(key);
        let (good, bad): (Vec<_>, Vec<_>) =
            texts.into_iter().partition(|text| text.parse::<Ipv4Addr>().is_ok());
        if !bad.is_empty() {
            let text = format!("Invalid IPv4 addresses in list: {}", bad.join(", "));
            self.fault(key, text);
        }
        good.iter().filter_map(|text| text.parse().ok()).collect()
    }

    /// The texts of a list that must not have one twice.
    fn unique(&mut self, key: &str) -> Vec<String> {
        let texts = self.document.list(key).unwrap_or_default();
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for text in &texts {
            *times.entry(text).or_default() += 1;
        }
        let twice: Vec<String> = times
            .iter()
            .filter(|(_, n)| **n > 1)
            .map(|(text, n)| format!("{text} appears {n} times"))
            .collect();
        if !twice.is_empty() {
            let text = format!("List cannot contain duplicates: {}", twice.join(", "));
            self.fault(key, text);
        }
        texts
    }

    // --- the way to them

    fn way(&mut self) -> Way {
        let port = self.document.integer("ssh_port");
        let parsed = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        if port.is_some() && parsed.is_none() {
            self.fault("ssh_port", "Must be between 1 and 65535");
        }
        let key = match self.document.text("ssh_key_path") {
            Some(path) => self.existing("ssh_key_path", &path),
            None => self.beside("ssh_key"),
        };
        Way { user: self.document.text("ssh_user"), port: parsed, key }
    }

    fn deadline(&mut self) -> Duration {
        let seconds = self.document.integer("process_timeout").unwrap_or(DEADLINE_S);
        let Ok(seconds @ 1..) = u64::try_from(seconds) else {
            self.fault("process_timeout", "has to be a number of seconds above 0");
            return Duration::ZERO;
        };
        Duration::from_secs(seconds)
    }

    // --- files

    /// A file that is named: beside the config.yaml, or as the original's paths (`genconf/…`) from above.
    fn existing(&mut self, key: &str, path: &str) -> Option<PathBuf> {
        let above = self.dir.parent().map(|above| above.join(path));
        let found = [Some(self.dir.join(path)), above].into_iter().flatten().find(|p| p.is_file());
        if found.is_none() {
            self.fault(key, format!("there is no file {path} beside this one"));
        }
        found
    }

    fn beside(&self, name: &str) -> Option<PathBuf> {
        Some(self.dir.join(name)).filter(|path| path.is_file())
    }

    fn files(&mut self) -> Vec<File> {
        let mut files = Vec::new();
        let default = self.beside("ip-detect");
        files.extend(self.program("ip-detect", "ip_detect", default));
        files.extend(self.program("ip-detect-public", "ip_detect_public", None));
        let is_enabled = self.document.switch("fault_domain_enabled");
        let default = self.beside("fault-domain-detect").filter(|_| is_enabled == Some(true));
        let domain = self.program("fault-domain-detect", "fault_domain_detect", default);
        if is_enabled == Some(true) && domain.is_none() {
            let text =
                "true needs fault_domain_detect_filename, or fault-domain-detect beside the file";
            self.fault("fault_domain_enabled", text);
        }
        files.extend(domain.filter(|_| is_enabled != Some(false)));
        let (cert, key) = ("external_certificate_path", "external_certificate_key_path");
        match (self.document.text(cert), self.document.text(key)) {
            (Some(cert_path), Some(key_path)) => {
                for (key, path, name) in
                    [(cert, cert_path, "cluster.crt"), (key, key_path, "cluster.key")]
                {
                    let bytes = self.existing(key, &path).and_then(|path| fs::read(path).ok());
                    let bytes = bytes.unwrap_or_default();
                    files.push(File { name, bytes, is_program: false, of_masters: true });
                }
            }
            (Some(_), None) => self.fault(cert, format!("needs {key} beside it")),
            (None, Some(_)) => self.fault(key, format!("needs {cert} beside it")),
            (None, None) => {}
        }
        files
    }

    /// A program given by the path of its file or as text.
    fn program(&mut self, name: &'static str, key: &str, default: Option<PathBuf>) -> Option<File> {
        let (by_file, by_text) = (format!("{key}_filename"), format!("{key}_contents"));
        let text = self.document.text(&by_text);
        let path = self.document.text(&by_file).filter(|path| !path.is_empty());
        let (key, bytes) = match (path, text) {
            (Some(_), Some(_)) => {
                self.fault(&by_text, format!("is given beside {by_file}; leave one of them out"));
                return None;
            }
            (_, Some(text)) => (by_text, format!("{text}\n").into_bytes()),
            (Some(path), None) => {
                let path = self.existing(&by_file, &path)?;
                (by_file, fs::read(path).ok()?)
            }
            (None, None) => (by_file, fs::read(default?).ok()?),
        };
        if !bytes.starts_with(b"#!") || std::str::from_utf8(&bytes).is_err() {
            self.fault(&key, format!("{name} has to be a text in UTF-8 that begins with #!"));
            return None;
        }
        Some(File { name, bytes, is_program: true, of_masters: false })
    }

    fn check_bins(&mut self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.dir.join("check_bins")).into_iter().flatten().flatten();
        let files = entries.filter(|entry| entry.path().is_file());
        let named = |entry: fs::DirEntry| {
            Some((entry.file_name().into_string().ok()?, fs::read(entry.path()).ok()?))
        };
        files.filter_map(named).collect()
    }

    fn checks(&mut self) -> Checks {
        let Some(map) = self.document.map("custom_checks") else { return Checks::default() };
        match checks::read(&map) {
            Ok(checks) => checks,
            Err(faults) => {
                for fault in faults {
                    self.fault("custom_checks", fault);
                }
                Checks::default()
            }
        }
    }

    // --- settings

    fn common(&mut self, files: &[File]) -> Mapping {
        let mut map = Mapping::new();
        let mut set = |key: &str, value: Value| drop(map.insert(key.into(), value));
        if let Some(name) = self.document.text("cluster_name") {
            set("cluster_name", name.into());
        }
        for (file, key) in [
            ("ip-detect", "ip_detect"),
            ("ip-detect-public", "public_ip_detect"),
            ("fault-domain-detect", "fault_domain_detect"),
            ("cluster.crt", "tls_cert"),
            ("cluster.key", "tls_key"),
        ] {
            if files.iter().any(|other| other.name == file) {
                set(key, format!("{FILES_AT}/{file}").into());
            }
        }
        let resolvers = self.resolvers();
        if !resolvers.is_empty() {
            set("dns_upstreams", resolvers.into());
        }
        let search = self.dns_search();
        if !search.is_empty() {
            set("dns_search", search.into());
        }
        let balancer = self.document.text("master_external_loadbalancer");
        if let Some(name) = balancer.filter(|name| !name.is_empty()) {
            set("tls_names", vec![name].into());
        }
        let own = self.document.map("node_settings").unwrap_or_default();
        self.check_own("node_settings", &own);
        map.extend(own);
        map
    }

    fn resolvers(&mut self) -> Vec<String> {
        let texts = self.unique("resolvers");
        for text in &texts {
            if SPARTAN.iter().any(|own| text.split(':').next() == Some(own)) {
                self.fault("resolvers", format!("Spartan addresses found in resolvers: {text}"));
            } else if text.parse::<IpAddr>().is_err() && text.parse::<SocketAddr>().is_err() {
                self.fault("resolvers", format!("{text} is neither an address nor ADDRESS:PORT"));
            }
        }
        texts
    }

    fn dns_search(&mut self) -> Vec<String> {
        let text = self.document.text("dns_search").unwrap_or_default();
        if text.contains([',', '\n']) {
            self.fault(
                "dns_search",
                "Search domains are separated by blanks, not by commas or lines",
            );
        } else if text.len() > 255 {
            self.fault("dns_search", "Must be less than 256 characters long");
        } else if text.split_whitespace().count() > 6 {
            self.fault("dns_search", "Must contain no more than 6 domains");
        }
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn of_hosts(&mut self, hosts: &[Host]) -> BTreeMap<Ipv4Addr, Mapping> {
        let mut found = BTreeMap::new();
        for (address, value) in self.document.map("host_settings").unwrap_or_default() {
            let text = address.as_str().unwrap_or_default();
            let address = text.parse().ok();
            let listed = address.filter(|ip| hosts.iter().any(|host| host.address == *ip));
            match (listed, value) {
                (Some(address), Value::Mapping(map)) => {
                    self.check_own("host_settings", &map);
                    found.insert(address, map);
                }
                (None, _) => {
                    self.fault("host_settings", format!("{text:?} is in none of the lists"))
                }
                (Some(_), _) => self.fault("host_settings", format!("{text}: has to be a map")),
            }
        }
        found
    }

    /// Settings of a node that stand here are told by their own names.
    fn check_own(&mut self, key: &str, map: &Mapping) {
        const ELSEWHERE: [&str; 3] = ["roles", "masters", "join_token"];
        for name in ELSEWHERE.iter().filter(|name| map.contains_key(**name)) {
            self.fault(key, format!("{name} follows from the lists"));
        }
        let text = serde_yaml::to_string(map).unwrap_or_default();
        if let Err(error) = settings::parse(&text, key) {
            for line in error.to_string().lines() {
                // Lines of this text are nobody's.
                let said = line.split_once(": ").map_or(line, |(_, said)| said);
                self.fault(key, said);
            }
        }
    }

    /// What single settings do not show: each node's, as the node will check them.
    fn check_settings(&mut self, wanted: &Wanted) {
        if !self.document.faults().is_empty() {
            return;
        }
        let mut told = BTreeSet::new();
        for host in &wanted.hosts {
            let mut layers = Layers::default();
            layers.over(&config::node_defaults(), |_| Source::BuiltIn);
            let text = format!(
                "{}\nroles: [{}]\nmasters: ['10.0.0.1:5070']\n",
                wanted.settings(*host),
                host.role.as_str()
            );
            let Ok(raw) = settings::parse(&text, "settings") else { continue };
            layers.over(&raw, |_| Source::BuiltIn);
            if raw.address.is_none() {
                let known = settings::Raw { address: Some(host.address.to_string()), ..raw };
                layers.over(&known, |_| Source::BuiltIn);
            }
            for error in Config::check(&layers).err().unwrap_or_default() {
                told.insert(format!("{}: {}; {}", error.key, error.problem, error.fix));
            }
        }
        let key =
            if self.document.has("host_settings") { "host_settings" } else { "node_settings" };
        for text in told {
            self.fault(key, text);
        }
    }
}

/// The key that lists hosts of a role.
pub fn list_of(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Master => "master_list",
        NodeRole::Agent => "agent_list",
        NodeRole::PublicAgent => "public_agent_list",
    }
}
