//! Checked configuration of a node: paths, addresses, ports and roles as types.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::PathBuf,
};

use ipnet::IpNet;

mod backups;

pub use backups::{Backups, Bucket, To};

use super::settings::{Layers, Raw, Source};
use crate::{
    base::limit,
    core::place::Policy,
    dns::follow::TTL_SECS,
    model::{node::FaultDomain, resource::Ranges},
};

/// What a node does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum NodeRole {
    Master,
    Agent,
    PublicAgent,
}

impl NodeRole {
    /// As written in settings and flags.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Agent => "agent",
            Self::PublicAgent => "public-agent",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        // `public_agent` is how the original's installer wrote it.
        let text = text.trim().replace('_', "-").to_ascii_lowercase();
        [Self::Master, Self::Agent, Self::PublicAgent].into_iter().find(|r| r.as_str() == text)
    }
}

/// How the front door proves who it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tls {
    /// It does not: plain HTTP.
    Off,
    /// By a certificate that the cluster's own authority makes.
    Own,
    /// By files of the operator's, in PEM.
    Files { certificate: PathBuf, key: PathBuf },
}

/// Usual ports of HTTP and HTTPS.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub roles: BTreeSet<NodeRole>,
    pub data_dir: PathBuf,
    pub cluster_name: String,
    pub hostname: String,
    pub address: IpAddr,
    /// Where the world reaches it, when that is another address.
    pub public_address: Option<IpAddr>,
    pub listen: IpAddr,
    pub router_port: u16,
    /// How the admin router speaks.
    pub tls: Tls,
    /// Further names its own certificate is for.
    pub tls_names: Vec<String>,
    /// Port that only sends to the one with TLS; `None`: there is none.
    pub redirect_port: Option<u16>,
    pub dns_port: u16,
    /// `None`: those of /etc/resolv.conf.
    pub dns_upstreams: Option<Vec<SocketAddr>>,
    /// Domains that containers look a short name up in.
    pub dns_search: Vec<String>,
    /// Networks that may ask for names outside our zones, beside this machine and its containers.
    pub dns_allow: Vec<IpNet>,
    pub peer_port: u16,
    pub compat_ports: bool,
    /// Networks that may read at the direct ports without signing in.
    pub open_reads: Vec<IpNet>,
    /// Instances one app may ask for.
    pub max_instances_per_app: u32,
    /// Life of the cluster's own DNS records, in seconds.
    pub dns_ttl_s: u32,
    /// What the history may take on the disk.
    pub history_bytes: u64,
    /// Backups that are kept; `None`: only those that somebody takes with him.
    pub backups: Option<Backups>,
    pub masters: Vec<String>,
    pub join_token: Option<String>,
    pub docker: PathBuf,
    pub task_user: String,
    pub attributes: BTreeMap<String, String>,
    pub fault_domain: Option<FaultDomain>,
    pub cpus: Option<f64>,
    pub mem_mb: Option<u64>,
    pub disk_mb: Option<u64>,
    pub ports: Option<Ranges>,
    pub placement: Policy,
    pub log_level: String,
    pub log_json: bool,
    pub destroy_on_exit: bool,
}

/// A setting that cannot be used: its key, where it came from, what is wrong and what would do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{key} ({origin}): {problem}; {fix}")]
pub struct ConfigError {
    pub key: &'static str,
    pub origin: String,
    pub problem: String,
    pub fix: &'static str,
}

/// Built-in values of `tepui dev`: the whole system on loopback, unprivileged ports.
pub fn dev_defaults() -> Raw {
    Raw {
        roles: Some(vec!["master".into(), "agent".into(), "public-agent".into()]),
        data_dir: Some("tepui-dev".into()),
        cluster_name: Some("dev".into()),
        hostname: Some("127.0.0.1".into()),
        address: Some("127.0.0.1".into()),
        listen: Some("127.0.0.1".into()),
        router_port: Some(8000),
        tls: Some("off".into()),
        dns_port: Some(5300),
        peer_port: Some(0),
        compat_ports: Some(false),
        log_level: Some("warn".into()),
        ..common_defaults()
    }
}

/// Built-in values of `tepui node`.
pub fn node_defaults() -> Raw {
    Raw {
        data_dir: Some("/var/lib/tepui".into()),
        cluster_name: Some("tepui".into()),
        listen: Some("0.0.0.0".into()),
        tls: Some("own".into()),
        dns_port: Some(53),
        peer_port: Some(5070),
        compat_ports: Some(true),
        log_level: Some("info".into()),
        ..common_defaults()
    }
}

fn common_defaults() -> Raw {
    Raw {
        docker: Some("/var/run/docker.sock".into()),
        task_user: Some("root".into()),
        placement: Some("spread".into()),
        log_format: Some("text".into()),
        destroy_on_exit: Some(false),
        ..Raw::default()
    }
}

impl Config {
    /// Checks merged settings.
    ///
    /// # Errors
    /// Every setting that cannot be used, not only the first.
    pub fn check(layers: &Layers) -> Result<Self, Vec<ConfigError>> {
        let raw = layers.merged();
        let mut c = Checker { layers, errors: Vec::new() };
        let roles = c.roles(raw.roles.as_deref().unwrap_or_default());
        let address = c.address(raw.address.as_deref());
        let listen = c.parse("listen", raw.listen.as_deref(), "0.0.0.0", IP_FIX);
        let tls = c.tls(&raw);
        let usual = if tls == Tls::Off { HTTP_PORT } else { HTTPS_PORT };
        let router_port = raw.router_port.unwrap_or(usual);
        let config = Self {
            data_dir: raw.data_dir.clone().unwrap_or_default(),
            cluster_name: raw.cluster_name.clone().unwrap_or_default(),
            hostname: raw.hostname.clone().unwrap_or_else(|| address.to_string()),
            redirect_port: c.redirect_port(&raw, &tls, router_port),
            router_port,
            tls,
            tls_names: raw.tls_names.clone().unwrap_or_default(),
            dns_port: raw.dns_port.unwrap_or_default(),
            dns_upstreams: c.upstreams(raw.dns_upstreams.as_deref()),
            dns_search: c.dns_search(raw.dns_search.as_deref().unwrap_or_default()),
            dns_allow: c.networks("dns_allow", raw.dns_allow.as_deref().unwrap_or_default()),
            peer_port: raw.peer_port.unwrap_or_default(),
            compat_ports: raw.compat_ports.unwrap_or_default(),
            open_reads: c.networks("open_reads", raw.open_reads.as_deref().unwrap_or_default()),
            max_instances_per_app: c.instances_max(raw.max_instances_per_app),
            dns_ttl_s: c.dns_ttl(raw.dns_ttl_s),
            history_bytes: c.history_bytes(raw.history_mb),
            backups: c.backups(&raw),
            masters: c.masters(raw.masters.as_deref().unwrap_or_default(), &roles),
            join_token: raw.join_token.clone(),
            docker: raw.docker.clone().unwrap_or_default(),
            task_user: raw.task_user.clone().unwrap_or_default(),
            attributes: raw.attributes.clone().unwrap_or_default(),
            fault_domain: c.fault_domain(&raw),
            cpus: c.positive("cpus", raw.cpus),
            mem_mb: raw.mem_mb,
            disk_mb: raw.disk_mb,
            ports: c.ports(raw.ports.as_deref()),
            placement: c.placement(raw.placement.as_deref()),
            log_level: c.log_level(raw.log_level.as_deref()),
            log_json: c.log_json(raw.log_format.as_deref()),
            destroy_on_exit: raw.destroy_on_exit.unwrap_or_default(),
            public_address: c.public_address(raw.public_address.as_deref()),
            roles,
            address,
            listen,
        };
        if config.data_dir.as_os_str().is_empty() {
            c.fail("data_dir", "is empty", "name a directory");
        }
        if c.errors.is_empty() { Ok(config) } else { Err(c.errors) }
    }

    pub fn has(&self, role: NodeRole) -> bool {
        self.roles.contains(&role)
    }

    /// Whether one of the agent roles is among the node's.
    pub fn runs_containers(&self) -> bool {
        self.has(NodeRole::Agent) || self.has(NodeRole::PublicAgent)
    }
}

const IP_FIX: &str = "write an IP address such as 10.0.0.5";

/// Collects what is wrong.
struct Checker<'a> {
    layers: &'a Layers,
    errors: Vec<ConfigError>,
}

impl Checker<'_> {
    fn fail(&mut self, key: &'static str, problem: impl Into<String>, fix: &'static str) {
        let origin = match self.layers.source(key) {
            Source::BuiltIn => "not set".to_owned(),
            source => source.to_string(),
        };
        self.errors.push(ConfigError { key, origin, problem: problem.into(), fix });
    }

    fn parse(
        &mut self,
        key: &'static str,
        text: Option<&str>,
        default: &str,
        fix: &'static str,
    ) -> IpAddr {
        let text = text.unwrap_or(default);
        text.parse().unwrap_or_else(|_| {
            self.fail(key, format!("{text:?} is no IP address"), fix);
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        })
    }

    /// Files win over the setting, which then must not be off.
    fn tls(&mut self, raw: &Raw) -> Tls {
        const BOTH: &str = "set tls_cert and tls_key, or neither";
        let how = raw.tls.as_deref().unwrap_or("own");
        if !["own", "off"].contains(&how) {
            let fix = "use own (a certificate of the cluster's own authority) or off";
            self.fail("tls", format!("{how:?} is no way"), fix);
        }
        match (&raw.tls_cert, &raw.tls_key) {
            (None, None) if how == "off" => Tls::Off,
            (None, None) => Tls::Own,
            (Some(_), None) => {
                self.fail("tls_key", "is missing beside tls_cert", BOTH);
                Tls::Own
            }
            (None, Some(_)) => {
                self.fail("tls_cert", "is missing beside tls_key", BOTH);
                Tls::Own
            }
            (Some(certificate), Some(key)) => {
                if how == "off" {
                    self.fail("tls", "is off, yet tls_cert is given", "leave one of them out");
                }
                Tls::Files { certificate: certificate.clone(), key: key.clone() }
            }
        }
    }

    /// The usual pair of ports comes together; with others the plain one is there when it is named.
    fn redirect_port(&mut self, raw: &Raw, tls: &Tls, router_port: u16) -> Option<u16> {
        match (raw.redirect_port, tls) {
            (Some(_), Tls::Off) => {
                let fix = "leave it out, or let the admin router speak TLS";
                self.fail("redirect_port", "has no HTTPS to send to", fix);
                None
            }
            (Some(port), _) => Some(port),
            (None, Tls::Off) => None,
            (None, _) => (router_port == HTTPS_PORT).then_some(HTTP_PORT),
        }
    }

    fn roles(&mut self, names: &[String]) -> BTreeSet<NodeRole> {
        const FIX: &str = "use master, agent or public-agent (--role repeats)";
        let mut roles = BTreeSet::new();
        for name in names {
            match NodeRole::parse(name) {
                Some(role) => drop(roles.insert(role)),
                None => self.fail("roles", format!("{name:?} is no role"), FIX),
            }
        }
        if names.is_empty() {
            self.fail("roles", "a node without a role does nothing", FIX);
        }
        roles
    }

    /// The given address, or the one packets to the world would leave from.
    fn address(&mut self, text: Option<&str>) -> IpAddr {
        if let Some(text) = text {
            return self.parse("address", Some(text), "", IP_FIX);
        }
        match default_address() {
            Some(address) => address,
            None => {
                self.fail("address", "this machine has no default route", IP_FIX);
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            }
        }
    }

    fn public_address(&mut self, text: Option<&str>) -> Option<IpAddr> {
        text.map(|text| self.parse("public_address", Some(text), "", IP_FIX))
    }

    fn masters(&mut self, masters: &[String], roles: &BTreeSet<NodeRole>) -> Vec<String> {
        const FIX: &str = "list the masters as host:port of their peer port (5070)";
        for master in masters {
            let port = master.rsplit_once(':').and_then(|(_, p)| p.parse::<u16>().ok());
            if port.is_none() {
                self.fail("masters", format!("{master:?} has no port"), FIX);
            }
        }
        if masters.is_empty() && !roles.is_empty() && !roles.contains(&NodeRole::Master) {
            self.fail("masters", "an agent must know its masters", FIX);
        }
        masters.to_vec()
    }

    fn upstreams(&mut self, servers: Option<&[String]>) -> Option<Vec<SocketAddr>> {
        const FIX: &str = "write addresses such as 9.9.9.9 or 10.0.0.2:5353";
        let mut found = Vec::new();
        for text in servers? {
            let with_port = text.parse::<SocketAddr>();
            match with_port.or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53))) {
                Ok(addr) => found.push(addr),
                Err(_) => self.fail("dns_upstreams", format!("{text:?} is no address"), FIX),
            }
        }
        Some(found)
    }

    /// As many and as long as every resolver takes.
    fn dns_search(&mut self, domains: &[String]) -> Vec<String> {
        const FIX: &str = "name up to 6 domains of up to 256 letters together, as corp.example";
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let bad = domains.iter().find(|name| name.is_empty() || !name.chars().all(is_name));
        if let Some(name) = bad {
            self.fail("dns_search", format!("{name:?} is no domain"), FIX);
        }
        let n_letters: usize = domains.iter().map(|name| name.len() + 1).sum();
        if domains.len() > 6 || n_letters > 257 {
            self.fail("dns_search", "is too long", FIX);
        }
        domains.to_vec()
    }

    fn networks(&mut self, key: &'static str, given: &[String]) -> Vec<IpNet> {
        const FIX: &str = "write networks such as 10.0.0.0/8 or single addresses";
        let mut found = Vec::new();
        for text in given {
            match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
                Ok(network) => found.push(network),
                Err(_) => self.fail(key, format!("{text:?} is no network"), FIX),
            }
        }
        found
    }

    fn fault_domain(&mut self, raw: &Raw) -> Option<FaultDomain> {
        match (&raw.region, &raw.zone) {
            (None, None) => None,
            (Some(region), Some(zone)) => {
                Some(FaultDomain { region: region.clone(), zone: zone.clone() })
            }
            (Some(_), None) => {
                self.fail("zone", "is missing beside region", "set both or neither");
                None
            }
            (None, Some(_)) => {
                self.fail("region", "is missing beside zone", "set both or neither");
                None
            }
        }
    }

    fn instances_max(&mut self, value: Option<u32>) -> u32 {
        const MAX: u32 = limit::INSTANCES_PER_APP_MAX;
        let value = value.unwrap_or(limit::INSTANCES_PER_APP_DEFAULT);
        if !(1..=MAX).contains(&value) {
            let problem = format!("must be 1 to {MAX}");
            self.fail("max_instances_per_app", problem, "leave it out for the built-in value");
        }
        value
    }

    /// Old answers are no use to anybody: an hour is beyond what the original ever had.
    fn dns_ttl(&mut self, value: Option<u32>) -> u32 {
        const MAX: u32 = 3600;
        let value = value.unwrap_or(TTL_SECS);
        if value > MAX {
            let hint = "leave it out for the built-in value; 0 is never kept";
            self.fail("dns_ttl_s", format!("must be 0 to {MAX}"), hint);
        }
        value
    }

    fn history_bytes(&mut self, mib: Option<u64>) -> u64 {
        const MIB_MAX: u64 = 64 << 10;
        let Some(mib) = mib else { return limit::HISTORY_BYTES_DEFAULT };
        if !(1..=MIB_MAX).contains(&mib) {
            let hint = "leave it out for the built-in value";
            self.fail("history_mb", format!("must be 1 to {MIB_MAX}"), hint);
            return limit::HISTORY_BYTES_DEFAULT;
        }
        mib << 20
    }

    fn positive(&mut self, key: &'static str, value: Option<f64>) -> Option<f64> {
        if value.is_some_and(|v| !v.is_finite() || v <= 0.0) {
            self.fail(key, "must be more than 0", "leave it out to use what the machine has");
        }
        value
    }

    fn ports(&mut self, text: Option<&str>) -> Option<Ranges> {
        const FIX: &str = "write ranges such as 1025-2180,31000-32000";
        let mut ranges = Vec::new();
        for part in text?.split(',') {
            let (begin, end) = part.split_once('-').unwrap_or((part, part));
            match (begin.trim().parse::<u16>(), end.trim().parse::<u16>()) {
                (Ok(begin), Ok(end)) if 0 < begin && begin <= end => {
                    ranges.push((u64::from(begin), u64::from(end)));
                }
                _ => self.fail("ports", format!("{part:?} is no range of ports"), FIX),
            }
        }
        Some(Ranges::of(ranges))
    }

    fn placement(&mut self, text: Option<&str>) -> Policy {
        match text {
            None | Some("spread") => Policy::Spread,
            Some("pack") => Policy::BinPack,
            Some(other) => {
                self.fail("placement", format!("{other:?} is no policy"), "use spread or pack");
                Policy::Spread
            }
        }
    }

    fn log_level(&mut self, text: Option<&str>) -> String {
        let text = text.unwrap_or("info");
        let is_filter = text.parse::<tracing_subscriber::EnvFilter>().is_ok();
        if !is_filter || !text.split(',').all(is_directive) {
            self.fail(
                "log_level",
                format!("{text:?} is no level"),
                "use error, warn, info, debug, trace or off, or module=level with commas between",
            );
        }
        text.to_owned()
    }

    fn log_json(&mut self, text: Option<&str>) -> bool {
        match text {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => {
                self.fail("log_format", format!("{other:?} is no format"), "use text or json");
                false
            }
        }
    }
}

/// Whether a part of a log filter is a level, or a module with one. A bare word that is neither
/// would name a module that nobody has, and silence everything.
fn is_directive(part: &str) -> bool {
    let is_level = |level: &str| level.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    match part.trim().rsplit_once('=') {
        Some((module, level)) => !module.is_empty() && is_level(level),
        None => is_level(part.trim()) || part.contains("::"),
    }
}

/// The address of this machine on its default route. No packet is sent.
fn default_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // TEST-NET-1: any address beyond the machine will do, connecting only selects a route.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|a| a.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests;
