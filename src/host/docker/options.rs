//! Options of `docker run` as an app's `docker.parameters` name them, onto the engine's API.
//!
//! Which options there are, and which are taken but without effect, is told in
//! docs/compat/containers.md, "Docker parameters". Anything else is an error that names the option,
//! so that nobody wonders why a setting does nothing.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointIpamConfig, EndpointSettings, HealthConfig,
    HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount, MountBindOptions,
    MountTmpfsOptions, MountType, NetworkingConfig, PortBinding, ResourcesBlkioWeightDevice,
    ResourcesUlimits, ThrottleDevice,
};

/// What is sent to create a container: its name on the engine and the request.
#[derive(Debug)]
pub struct Creation {
    pub name: String,
    pub body: ContainerCreateBody,
}

/// An option that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOption {
    #[error("docker parameter '{0}' is not supported")]
    Unknown(String),
    #[error("docker parameter '{name}': '{value}' is not {wanted}")]
    Malformed { name: String, value: String, wanted: &'static str },
}

/// Applies one option.
pub fn apply(to: &mut Creation, name: &str, value: &str) -> Result<(), BadOption> {
    let name = name.trim_start_matches('-');
    let o = Opt { name, value };
    let host = to.body.host_config.get_or_insert_default();
    if resources(host, &o)? || security(host, &o)? || storage(host, &o)? {
        return Ok(());
    }
    if networking(to, &o)? || process(to, &o)? || health(to, &o)? {
        return Ok(());
    }
    match name {
        // The agent attaches, restarts and removes; these would change what it relies on.
        "attach"
        | "a"
        | "detach"
        | "d"
        | "restart"
        | "rm"
        | "sig-proxy"
        | "detach-keys"
        | "pull"
        | "quiet"
        | "q"
        | "disable-content-trust" => Ok(()),
        _ => Err(BadOption::Unknown(name.to_owned())),
    }
}

/// One option and its value.
struct Opt<'a> {
    name: &'a str,
    value: &'a str,
}

impl Opt<'_> {
    fn bad(&self, wanted: &'static str) -> BadOption {
        BadOption::Malformed { name: self.name.to_owned(), value: self.value.to_owned(), wanted }
    }

    fn text(&self) -> Option<String> {
        Some(self.value.to_owned())
    }

    fn number(&self) -> Result<i64, BadOption> {
        self.value.parse().map_err(|_| self.bad("a whole number"))
    }

    fn flag(&self) -> Result<bool, BadOption> {
        match self.value {
            "" | "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(self.bad("true or false")),
        }
    }

    /// `512m`, `1g`, plain bytes; -1 stays -1.
    fn bytes(&self) -> Result<i64, BadOption> {
        parse_bytes(self.value).ok_or_else(|| self.bad("a size like 512m"))
    }

    fn pair(&self, by: char, wanted: &'static str) -> Result<(String, String), BadOption> {
        let (a, b) = self.value.split_once(by).ok_or_else(|| self.bad(wanted))?;
        Ok((a.to_owned(), b.to_owned()))
    }

    /// A Go duration, in nanoseconds.
    fn duration(&self) -> Result<i64, BadOption> {
        parse_duration_ns(self.value).ok_or_else(|| self.bad("a duration like 30s"))
    }

    fn push(&self, list: &mut Option<Vec<String>>) {
        list.get_or_insert_default().push(self.value.to_owned());
    }
}

fn resources(host: &mut HostConfig, o: &Opt<'_>) -> Result<bool, BadOption> {
    match o.name {
        "cpu-shares" | "c" => host.cpu_shares = Some(o.number()?),
        "cpu-period" => host.cpu_period = Some(o.number()?),
        "cpu-quota" => host.cpu_quota = Some(o.number()?),
        "cpu-rt-period" => host.cpu_realtime_period = Some(o.number()?),
        "cpu-rt-runtime" => host.cpu_realtime_runtime = Some(o.number()?),
        "cpus" => {
            let cpus: f64 = o.value.parse().map_err(|_| o.bad("a number of CPUs"))?;
            host.cpu_period = None;
            host.cpu_quota = None;
            #[allow(clippy::cast_possible_truncation)] // saturates
            let nano = (cpus * 1e9) as i64;
            host.nano_cpus = Some(nano);
        }
        "cpuset-cpus" => host.cpuset_cpus = o.text(),
        "cpuset-mems" => host.cpuset_mems = o.text(),
        "memory" | "m" => {
            host.memory = Some(o.bytes()?);
            host.memory_swap = None;
        }
        "memory-reservation" => host.memory_reservation = Some(o.bytes()?),
        "memory-swap" => host.memory_swap = Some(o.bytes()?),
        "memory-swappiness" => host.memory_swappiness = Some(o.number()?),
        "kernel-memory" => drop(o.bytes()?), // gone from the engine and the kernel
        "oom-kill-disable" => host.oom_kill_disable = Some(o.flag()?),
        "oom-score-adj" => host.oom_score_adj = Some(o.number()?),
        "pids-limit" => host.pids_limit = Some(o.number()?),
        "blkio-weight" => {
            host.blkio_weight = Some(o.value.parse().map_err(|_| o.bad("a weight of 10 to 1000"))?);
        }
        "blkio-weight-device" => {
            let (path, weight) = o.pair(':', "path:weight")?;
            let weight = Some(weight.parse().map_err(|_| o.bad("path:weight"))?);
            let device = ResourcesBlkioWeightDevice { path: Some(path), weight };
            host.blkio_weight_device.get_or_insert_default().push(device);
        }
        "device-read-bps" => throttle(&mut host.blkio_device_read_bps, o)?,
        "device-write-bps" => throttle(&mut host.blkio_device_write_bps, o)?,
        "device-read-iops" => throttle(&mut host.blkio_device_read_iops, o)?,
        "device-write-iops" => throttle(&mut host.blkio_device_write_iops, o)?,
        "shm-size" => host.shm_size = Some(o.bytes()?),
        "ulimit" => host.ulimits.get_or_insert_default().push(ulimit(o)?),
        "cgroup-parent" => host.cgroup_parent = o.text(),
        _ => return Ok(false),
    }
    Ok(true)
}

fn security(host: &mut HostConfig, o: &Opt<'_>) -> Result<bool, BadOption> {
    match o.name {
        "privileged" => host.privileged = Some(o.flag()?),
        "cap-add" => o.push(&mut host.cap_add),
        "cap-drop" => o.push(&mut host.cap_drop),
        "security-opt" => {
            // `name:value` is the form before 1.11; the engine takes only `name=value` now.
            let value = match o.value.split_once(':') {
                Some((kind, rest)) if !o.value.contains('=') => format!("{kind}={rest}"),
                _ => o.value.to_owned(),
            };
            host.security_opt.get_or_insert_default().push(value);
        }
        "device" => {
            let mut parts = o.value.split(':');
            let on_host = parts.next().unwrap_or_default();
            let (inside, rights) = match (parts.next(), parts.next()) {
                (Some(p), Some(r)) => (p, r),
                (Some(r), None) if !r.starts_with('/') => (on_host, r),
                (Some(p), None) => (p, "rwm"),
                (None, _) => (on_host, "rwm"),
            };
            host.devices.get_or_insert_default().push(DeviceMapping {
                path_on_host: Some(on_host.to_owned()),
                path_in_container: Some(inside.to_owned()),
                cgroup_permissions: Some(rights.to_owned()),
            });
        }
        "device-cgroup-rule" => o.push(&mut host.device_cgroup_rules),
        "group-add" => o.push(&mut host.group_add),
        "ipc" => host.ipc_mode = o.text(),
        "pid" => host.pid_mode = o.text(),
        "uts" => host.uts_mode = o.text(),
        "userns" => host.userns_mode = o.text(),
        "cgroupns" => {
            host.cgroupns_mode = Some(match o.value {
                "host" => HostConfigCgroupnsModeEnum::HOST,
                "private" => HostConfigCgroupnsModeEnum::PRIVATE,
                _ => return Err(o.bad("host or private")),
            });
        }
        "read-only" => host.readonly_rootfs = Some(o.flag()?),
        "runtime" => host.runtime = o.text(),
        "init" => host.init = Some(o.flag()?),
        "sysctl" => {
            let (name, value) = o.pair('=', "name=value")?;
            host.sysctls.get_or_insert_default().insert(name, value);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn storage(host: &mut HostConfig, o: &Opt<'_>) -> Result<bool, BadOption> {
    match o.name {
        "volume" | "v" => o.push(&mut host.binds),
        "volumes-from" => o.push(&mut host.volumes_from),
        "volume-driver" => host.volume_driver = o.text(),
        "mount" => host.mounts.get_or_insert_default().push(mount(o)?),
        "tmpfs" => {
            let (path, options) = o.value.split_once(':').unwrap_or((o.value, ""));
            host.tmpfs.get_or_insert_default().insert(path.to_owned(), options.to_owned());
        }
        "storage-opt" => {
            let (name, value) = o.pair('=', "name=value")?;
            host.storage_opt.get_or_insert_default().insert(name, value);
        }
        "log-driver" => {
            host.log_config = Some(HostConfigLogConfig { typ: o.text(), config: None });
        }
        "log-opt" => {
            let (name, value) = o.pair('=', "name=value")?;
            let log = host.log_config.get_or_insert_default();
            log.config.get_or_insert_default().insert(name, value);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn networking(to: &mut Creation, o: &Opt<'_>) -> Result<bool, BadOption> {
    let body = &mut to.body;
    let host = body.host_config.get_or_insert_default();
    match o.name {
        "add-host" => o.push(&mut host.extra_hosts),
        "dns" => o.push(&mut host.dns),
        "dns-opt" | "dns-option" => o.push(&mut host.dns_options),
        "dns-search" => o.push(&mut host.dns_search),
        "link" => o.push(&mut host.links),
        "net" | "network" => host.network_mode = o.text(),
        "expose" => {
            let port = with_protocol(o.value);
            body.exposed_ports.get_or_insert_default().push(port);
        }
        "publish" | "p" => {
            let (binding, port) = publication(o)?;
            body.exposed_ports.get_or_insert_default().push(port.clone());
            let ports = host.port_bindings.get_or_insert_default();
            ports.entry(port).or_default().get_or_insert_default().push(binding);
        }
        "publish-all" | "P" => host.publish_all_ports = Some(o.flag()?),
        "hostname" | "h" => body.hostname = o.text(),
        "domainname" => body.domainname = o.text(),
        "mac-address" | "network-alias" | "net-alias" | "ip" | "ip6" | "link-local-ip" => {
            let network = host.network_mode.clone().unwrap_or_else(|| "default".to_owned());
            endpoint(endpoint_of(&mut body.networking_config, network), o);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn endpoint_of(config: &mut Option<NetworkingConfig>, network: String) -> &mut EndpointSettings {
    let endpoints = config.get_or_insert_default().endpoints_config.get_or_insert_default();
    endpoints.entry(network).or_default()
}

fn endpoint(settings: &mut EndpointSettings, o: &Opt<'_>) {
    let mut ipam = settings.ipam_config.take().unwrap_or_default();
    match o.name {
        "mac-address" => settings.mac_address = o.text(),
        "ip" => ipam.ipv4_address = o.text(),
        "ip6" => ipam.ipv6_address = o.text(),
        "link-local-ip" => o.push(&mut ipam.link_local_ips),
        _ => o.push(&mut settings.aliases),
    }
    settings.ipam_config = (ipam != EndpointIpamConfig::default()).then_some(ipam);
}

fn process(to: &mut Creation, o: &Opt<'_>) -> Result<bool, BadOption> {
    let body = &mut to.body;
    match o.name {
        "entrypoint" => {
            body.entrypoint = Some(vec![o.value.to_owned()]);
        }
        "env" | "e" => o.push(&mut body.env),
        "label" | "l" => {
            let (name, value) = o.value.split_once('=').unwrap_or((o.value, ""));
            let labels = body.labels.get_or_insert_default();
            // Our own labels say what belongs to whom; nobody may forge them.
            if !name.starts_with("tepui.") {
                labels.insert(name.to_owned(), value.to_owned());
            }
        }
        "name" => to.name = o.value.to_owned(),
        "user" | "u" => body.user = o.text(),
        "workdir" | "w" => body.working_dir = o.text(),
        "tty" | "t" => body.tty = Some(o.flag()?),
        "interactive" | "i" => body.open_stdin = Some(o.flag()?),
        "stop-signal" => body.stop_signal = o.text(),
        "stop-timeout" => body.stop_timeout = Some(o.number()?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn health(to: &mut Creation, o: &Opt<'_>) -> Result<bool, BadOption> {
    let check = &mut to.body.healthcheck;
    let set = |change: fn(&mut HealthConfig, i64), value: i64, check: &mut Option<HealthConfig>| {
        change(check.get_or_insert_default(), value);
    };
    match o.name {
        "health-cmd" => {
            let test = vec!["CMD-SHELL".to_owned(), o.value.to_owned()];
            check.get_or_insert_default().test = Some(test);
        }
        "no-healthcheck" => {
            check.get_or_insert_default().test = Some(vec!["NONE".to_owned()]);
        }
        "health-interval" => set(|c, v| c.interval = Some(v), o.duration()?, check),
        "health-timeout" => set(|c, v| c.timeout = Some(v), o.duration()?, check),
        "health-start-period" => set(|c, v| c.start_period = Some(v), o.duration()?, check),
        "health-retries" => set(|c, v| c.retries = Some(v), o.number()?, check),
        _ => return Ok(false),
    }
    Ok(true)
}

fn throttle(list: &mut Option<Vec<ThrottleDevice>>, o: &Opt<'_>) -> Result<(), BadOption> {
    let (path, rate) = o.pair(':', "device:rate")?;
    let rate = parse_bytes(&rate).ok_or_else(|| o.bad("device:rate"))?;
    list.get_or_insert_default().push(ThrottleDevice { path: Some(path), rate: Some(rate) });
    Ok(())
}

/// `name=soft` or `name=soft:hard`.
fn ulimit(o: &Opt<'_>) -> Result<ResourcesUlimits, BadOption> {
    let wanted = "name=soft[:hard]";
    let (name, limits) = o.pair('=', wanted)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((&limits, &limits));
    let number = |text: &str| text.parse::<i64>().map_err(|_| o.bad(wanted));
    Ok(ResourcesUlimits { name: Some(name), soft: Some(number(soft)?), hard: Some(number(hard)?) })
}

/// `[[ip:]host:]container[/protocol]`, single ports.
fn publication(o: &Opt<'_>) -> Result<(PortBinding, String), BadOption> {
    let wanted = "[[ip:]port:]port[/protocol]";
    let (rest, inside) = match o.value.rsplit_once(':') {
        Some((rest, inside)) => (Some(rest), inside),
        None => (None, o.value),
    };
    let number = inside.split('/').next().unwrap_or_default();
    number.parse::<u16>().map_err(|_| o.bad(wanted))?;
    let (ip, port) = match rest {
        None => (None, None),
        Some(rest) => match rest.rsplit_once(':') {
            Some((ip, port)) => (Some(ip.trim_matches(['[', ']'])), Some(port)),
            None => (None, Some(rest)),
        },
    };
    if let Some(port) = port.filter(|p| !p.is_empty()) {
        port.parse::<u16>().map_err(|_| o.bad(wanted))?;
    }
    let binding =
        PortBinding { host_ip: ip.map(str::to_owned), host_port: port.map(str::to_owned) };
    Ok((binding, with_protocol(inside)))
}

fn with_protocol(port: &str) -> String {
    if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") }
}

/// `type=…,source=…,target=…[,readonly]`.
fn mount(o: &Opt<'_>) -> Result<Mount, BadOption> {
    let mut mount = Mount { typ: Some(MountType::VOLUME), ..Mount::default() };
    for part in o.value.split(',') {
        let (key, value) = part.split_once('=').unwrap_or((part, "true"));
        match key {
            "type" => {
                mount.typ = Some(match value {
                    "bind" => MountType::BIND,
                    "volume" => MountType::VOLUME,
                    "tmpfs" => MountType::TMPFS,
                    _ => return Err(o.bad("a mount of type bind, volume or tmpfs")),
                });
            }
            "source" | "src" => mount.source = Some(value.to_owned()),
            "target" | "dst" | "destination" => mount.target = Some(value.to_owned()),
            "readonly" | "ro" => mount.read_only = Some(value != "false" && value != "0"),
            "bind-nonrecursive" => {
                mount.bind_options = Some(MountBindOptions {
                    non_recursive: Some(value != "false" && value != "0"),
                    ..MountBindOptions::default()
                });
            }
            "tmpfs-size" => {
                let size_bytes = parse_bytes(value).ok_or_else(|| o.bad("a mount"))?;
                mount.tmpfs_options = Some(MountTmpfsOptions {
                    size_bytes: Some(size_bytes),
                    ..MountTmpfsOptions::default()
                });
            }
            _ => return Err(o.bad("a mount with type, source, target and readonly only")),
        }
    }
    Ok(mount)
}

/// A size with an optional binary suffix (`b k m g t`, in either case, `kb`, `kib` too).
fn parse_bytes(text: &str) -> Option<i64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = lower[digits.len()..].trim_end_matches('b').trim_end_matches('i');
    let scale: i64 = match suffix {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(scale)
}

/// A Go duration such as `1m30s` or `500ms`, in nanoseconds.
fn parse_duration_ns(text: &str) -> Option<i64> {
    let units: HashMap<&str, f64> =
        [("h", 3.6e12), ("m", 6e10), ("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1.0)].into();
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let n = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at(n);
        let u = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(u);
        total += number.parse::<f64>().ok()? * units.get(unit)?;
        rest = tail;
    }
    #[allow(clippy::cast_possible_truncation)] // saturates
    (!text.is_empty()).then_some(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Result<Creation, BadOption> {
        let mut creation = Creation { name: "n".into(), body: Default::default() };
        apply(&mut creation, name, value).map(|()| creation)
    }

    #[test]
    fn sizes_and_durations() {
        for (text, bytes) in
            [("512m", Some(512 << 20)), ("1GB", Some(1 << 30)), ("-1", Some(-1)), ("1x", None)]
        {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
        assert_eq!(parse_duration_ns("1m30s"), Some(90_000_000_000));
        assert_eq!(parse_duration_ns("500ms"), Some(500_000_000));
        assert_eq!(parse_duration_ns("soon"), None);
        assert_eq!(parse_duration_ns(""), None);
    }

    #[test]
    fn options_land_where_the_engine_looks() {
        let host = |name: &str, value: &str| with(name, value).unwrap().body.host_config.unwrap();
        assert_eq!(host("cap-add", "SYS_PTRACE").cap_add.unwrap(), ["SYS_PTRACE"]);
        assert_eq!(host("--volume", "/a:/b:ro").binds.unwrap(), ["/a:/b:ro"]);
        assert_eq!(
            host("security-opt", "seccomp:unconfined").security_opt.unwrap(),
            ["seccomp=unconfined"]
        );
        let device = &host("device", "/dev/fuse").devices.unwrap()[0];
        assert_eq!(device.path_in_container.as_deref(), Some("/dev/fuse"));
        let (binding, port) =
            publication(&Opt { name: "p", value: "127.0.0.1:80:8080/udp" }).unwrap();
        assert_eq!((binding.host_ip.as_deref(), port.as_str()), (Some("127.0.0.1"), "8080/udp"));
    }

    #[test]
    fn our_labels_cannot_be_forged() {
        let made = with("label", "tepui.cluster=other").unwrap();
        assert!(made.body.labels.unwrap().is_empty());
    }

    #[test]
    fn an_unknown_or_malformed_option_is_named() {
        assert_eq!(with("colour", "red").unwrap_err(), BadOption::Unknown("colour".into()));
        let text = with("memory", "much").unwrap_err().to_string();
        assert_eq!(text, "docker parameter 'memory': 'much' is not a size like 512m");
    }
}
