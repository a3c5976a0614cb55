//! Checked configuration of a node: paths, addresses, ports and roles as types.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::PathBuf,
};

use ipnet::IpNet;

use super::settings::{Layers, Raw, Source};
use crate::{
    base::limit,
    core::place::Policy,
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

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub roles: BTreeSet<NodeRole>,
    pub data_dir: PathBuf,
    pub cluster_name: String,
    pub hostname: String,
    pub address: IpAddr,
    pub listen: IpAddr,
    pub router_port: u16,
    pub dns_port: u16,
    /// `None`: those of /etc/resolv.conf.
    pub dns_upstreams: Option<Vec<SocketAddr>>,
    /// Networks that may ask for names outside our zones, beside this machine and its containers.
    pub dns_allow: Vec<IpNet>,
    pub peer_port: u16,
    pub compat_ports: bool,
    /// Instances one app may ask for.
    pub max_instances_per_app: u32,
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
        router_port: Some(80),
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
        let config = Self {
            data_dir: raw.data_dir.clone().unwrap_or_default(),
            cluster_name: raw.cluster_name.clone().unwrap_or_default(),
            hostname: raw.hostname.clone().unwrap_or_else(|| address.to_string()),
            router_port: raw.router_port.unwrap_or_default(),
            dns_port: raw.dns_port.unwrap_or_default(),
            dns_upstreams: c.upstreams(raw.dns_upstreams.as_deref()),
            dns_allow: c.networks("dns_allow", raw.dns_allow.as_deref().unwrap_or_default()),
            peer_port: raw.peer_port.unwrap_or_default(),
            compat_ports: raw.compat_ports.unwrap_or_default(),
            max_instances_per_app: c.instances_max(raw.max_instances_per_app),
            masters: c.masters(raw.masters.as_deref().unwrap_or_default(), &roles),
            join_token: c.join_token(raw.join_token.as_deref(), &roles),
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

const ALONE: &str = "leave it out, or use the role agent to join";
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
        if !masters.is_empty() && roles.contains(&NodeRole::Master) {
            self.fail("masters", "a master starts a cluster of its own and joins none", ALONE);
        }
        masters.to_vec()
    }

    fn join_token(&mut self, token: Option<&str>, roles: &BTreeSet<NodeRole>) -> Option<String> {
        if token.is_some() && roles.contains(&NodeRole::Master) {
            self.fail("join_token", "a master starts a cluster of its own and joins none", ALONE);
        }
        token.map(str::to_owned)
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
mod tests {
    use super::*;
    use crate::node::settings;

    fn layers(file: &str, environment: &[(&str, &str)]) -> Layers {
        let mut layers = Layers::default();
        layers.over(&node_defaults(), |_| Source::BuiltIn);
        let raw = settings::parse(file, "test.yaml").expect("settings");
        layers.over(&raw, |_| Source::File("test.yaml".into()));
        let variables = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        layers.over_environment(variables).expect("environment");
        layers
    }

    #[test]
    fn later_sources_win_and_are_told() {
        let layers = layers(
            "roles: [master]\naddress: 10.0.0.1\nrouter_port: 8080\n",
            &[("TEPUI_ROUTER_PORT", "9090"), ("TEPUI_ATTRIBUTES", "rack:r1;ssd:yes")],
        );
        let config = Config::check(&layers).expect("config");
        assert_eq!(config.router_port, 9090);
        assert_eq!(config.attributes["rack"], "r1");
        assert_eq!(config.hostname, "10.0.0.1");
        assert_eq!(layers.source("router_port").to_string(), "environment TEPUI_ROUTER_PORT");
        assert_eq!(layers.source("address").to_string(), "test.yaml");
        assert_eq!(layers.source("docker").to_string(), "built in");
    }

    #[test]
    fn all_that_is_wrong_is_told_with_key_and_fix() {
        let layers = layers(
            "roles: [slave]\naddress: here\nplacement: random\nports: 5-1\nregion: eu\n",
            &[],
        );
        let errors = Config::check(&layers).expect_err("errors");
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "roles (test.yaml): \"slave\" is no role; use master, agent or public-agent (--role repeats)",
                "address (test.yaml): \"here\" is no IP address; write an IP address such as 10.0.0.5",
                "zone (not set): is missing beside region; set both or neither",
                "ports (test.yaml): \"5-1\" is no range of ports; write ranges such as 1025-2180,31000-32000",
                "placement (test.yaml): \"random\" is no policy; use spread or pack",
            ]
        );
    }

    #[test]
    fn a_master_that_is_told_to_join_says_that_it_cannot() {
        for (key, text) in
            [("masters", "masters: [10.0.0.1:5070]"), ("join_token", "join_token: x.y")]
        {
            let layers = layers(&format!("roles: [master]\naddress: 10.0.0.2\n{text}\n"), &[]);
            let errors = Config::check(&layers).expect_err("refused");
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert_eq!(errors[0].key, key);
            assert!(errors[0].problem.contains("cluster of its own"), "{}", errors[0]);
        }
    }

    #[test]
    fn all_keys_that_cannot_be_used_are_refused_with_their_lines() {
        let text = "\u{feff}roles: [agent]\nrouterport: 1\n# x\ndns_port: many\nflavour: x\n";
        let error = settings::parse(text, "f").expect_err("error");
        let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "f:2: routerport is no setting; did you mean router_port?");
        assert!(lines[1].starts_with("f:4: dns_port: invalid type"), "{lines:?}");
        assert_eq!(lines[2..], ["f:5: flavour is no setting"]);
    }

    #[test]
    fn misspelt_variables_are_noticed() {
        let told = |name: &str| {
            let mut layers = Layers::default();
            layers.over_environment([(name.to_owned(), "1".to_owned())]).expect("environment");
            layers.strangers().to_vec()
        };
        let meant = "TEPUI_RUOTER_PORT is no setting; did you mean TEPUI_ROUTER_PORT?";
        assert_eq!(told("TEPUI_RUOTER_PORT"), [meant]);
        for other in ["TEPUI_URL", "TEPUI_TOKEN", "TEPUI_SOMETHING_ELSE", "PATH"] {
            assert_eq!(told(other), Vec::<String>::new(), "{other}");
        }
    }

    #[test]
    fn switches_roles_and_levels_are_read_as_people_write_them() {
        for (text, on) in [("on", true), ("off", false), ("1", true), ("False", false)] {
            let layers =
                layers("roles: [master]\naddress: 10.0.0.1\n", &[("TEPUI_COMPAT_PORTS", text)]);
            assert_eq!(Config::check(&layers).expect("config").compat_ports, on, "{text}");
        }
        let file = "roles: [public_agent, master]\naddress: 10.0.0.1\ncompat_ports: off\n";
        let config = Config::check(&layers(file, &[])).expect("config");
        assert!(config.has(NodeRole::PublicAgent) && !config.compat_ports);
        for (level, good) in [
            ("loud", false),
            ("warn,tepui=loud", false),
            ("DEBUG", true),
            ("info,tepui::agent=debug", true),
            ("off", true),
        ] {
            let file = "roles: [master]\naddress: 10.0.0.1\n";
            let layers = layers(file, &[("TEPUI_LOG_LEVEL", level)]);
            assert_eq!(Config::check(&layers).is_ok(), good, "{level}");
        }
    }

    #[test]
    fn the_shipped_file_is_valid() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/tepui.yaml");
        let mut layers = Layers::default();
        layers.over(&node_defaults(), |_| Source::BuiltIn);
        layers.over_file(file.as_ref()).expect("readable settings");
        // Left out, it is that of the default route, which a test machine may not have.
        let address = [("TEPUI_ADDRESS".to_owned(), "10.0.0.5".to_owned())];
        layers.over_environment(address).expect("environment");
        Config::check(&layers).expect("usable settings");
    }
}
