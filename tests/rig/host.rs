//! Hosts on one machine: a network namespace each on one bridge, with an engine and a tepui of its own.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tepui::node::config::NodeRole as Role;

/// Where `ip netns` keeps the names of namespaces.
const NAMES: &str = "/run/netns";
/// Begins each name that a rig gives to something of the machine; its process number follows.
const MARK: &str = "rig";
/// How long an engine may take until it answers, and a process until it has ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// The bridge, and what of this machine lets its hosts speak to each other.
pub struct Ground {
    name: String,
    dir: PathBuf,
    keep: bool,
}

impl Ground {
    /// Lays a bridge with an address of its own, after what rigs that were killed have left is removed.
    pub fn lay() -> Result<Self> {
        remove_left()?;
        let name = format!("{MARK}{}", std::process::id());
        let dir = std::env::temp_dir().join(format!("tepui-{name}"));
        fs::create_dir_all(&dir)?;
        let ground = Self { name, dir, keep: std::env::var_os("KEEP").is_some() };
        run("ip", &["link", "add", &ground.name, "type", "bridge"])?;
        run("ip", &["addr", "add", &format!("{}/24", ground.address(254)), "dev", &ground.name])?;
        run("ip", &["link", "set", &ground.name, "up"])?;
        // What Docker sets for this machine forbids what is bridged.
        run("iptables", &ground.passage("-I"))?;
        Ok(ground)
    }

    /// Where hosts keep what is theirs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn passage<'a>(&'a self, verb: &'a str) -> [&'a str; 8] {
        [verb, "FORWARD", "-i", &self.name, "-o", &self.name, "-j", "ACCEPT"]
    }

    fn address(&self, n: u8) -> Ipv4Addr {
        let [.., low] = std::process::id().to_be_bytes();
        Ipv4Addr::new(10, 213, low, n)
    }

    /// A host with number `n`, without engine and tepui yet.
    pub fn host(&self, n: u8, role: Role) -> Result<Host> {
        let namespace = format!("{}-{n}", self.name);
        let dir = self.dir.join(n.to_string());
        fs::create_dir_all(&dir)?;
        let host = Host {
            n,
            role,
            ip: self.address(n),
            gate: self.address(254),
            namespace: namespace.clone(),
            dir,
            engine: None,
            in_swarm: false,
            node: None,
        };
        let outer = format!("{}v{n}", self.name);
        run("ip", &["netns", "add", &namespace])?;
        run(
            "ip",
            &["link", "add", &outer, "type", "veth", "peer", "name", "eth0", "netns", &namespace],
        )?;
        run("ip", &["link", "set", &outer, "master", &self.name, "up"])?;
        host.run("ip", &["link", "set", "lo", "up"])?;
        host.run("ip", &["addr", "add", &format!("{}/24", host.ip), "dev", "eth0"])?;
        host.run("ip", &["link", "set", "eth0", "up"])?;
        host.way_out()?;
        Ok(host)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Hosts have removed their own parts before.
        let _ = run("iptables", &self.passage("-D"));
        let _ = run("ip", &["link", "del", &self.name]);
        if self.keep {
            println!("kept: {}", self.dir.display());
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// Namespaces, bridges and rules of rigs whose process is gone.
fn remove_left() -> Result<()> {
    let dead = |name: &str| {
        let n = name.strip_prefix(MARK)?.split(|c: char| !c.is_ascii_digit()).next()?;
        (!n.is_empty() && !Path::new("/proc").join(n).exists()).then(|| format!("{MARK}{n}"))
    };
    for entry in fs::read_dir(NAMES).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if dead(&name).is_some() {
            run("ip", &["netns", "del", &name])?;
        }
    }
    for entry in fs::read_dir("/sys/class/net")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(bridge) = dead(&name).filter(|bridge| *bridge == name) {
            let _ =
                run("iptables", &["-D", "FORWARD", "-i", &bridge, "-o", &bridge, "-j", "ACCEPT"]);
            run("ip", &["link", "del", &bridge])?;
        }
    }
    Ok(())
}

/// One host. What runs in it ends with it.
pub struct Host {
    pub n: u8,
    pub role: Role,
    pub ip: Ipv4Addr,
    gate: Ipv4Addr,
    namespace: String,
    pub dir: PathBuf,
    engine: Option<Child>,
    /// Whether its engine is started so that it can be one of a swarm.
    pub in_swarm: bool,
    node: Option<Child>,
}

impl Host {
    pub fn name(&self) -> String {
        format!("host-{}", self.n)
    }

    pub fn router(&self) -> SocketAddr {
        SocketAddr::new(self.ip.into(), 8000)
    }

    /// Where names are asked for on this host: a master's own server, else the one for containers.
    pub fn name_server(&self) -> Result<SocketAddr> {
        if self.role == Role::Master {
            return Ok(SocketAddr::new(self.ip.into(), 5300));
        }
        let shown = self.run("ip", &["-4", "-o", "addr", "show", "docker0"])?;
        let address = shown.split_whitespace().find_map(|word| word.split_once('/'));
        let (address, _) = address.context("docker0 has no address")?;
        Ok(SocketAddr::new(address.parse()?, 53))
    }

    /// A command in this host's network.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={NAMES}/{}", self.namespace)).arg(program);
        command
    }

    /// Runs a command in this host's network; what it printed.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        done(program, args, self.command(program).args(args).output()?)
    }

    /// What `work` makes in this host's network: a socket stays there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let namespace = fs::File::open(Path::new(NAMES).join(&self.namespace))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                nix::sched::setns(&namespace, nix::sched::CloneFlags::CLONE_NEWNET)?;
                Ok(work())
            });
            thread.join().map_err(|_| anyhow::anyhow!("the work panicked"))?
        })
    }

    /// Gives it its way out.
    pub fn way_out(&self) -> Result<()> {
        self.run("ip", &["route", "add", "default", "via", &self.gate.to_string()]).map(drop)
    }

    /// Docker's command line on this host's engine.
    pub fn docker(&self, args: &[&str]) -> Result<String> {
        done("docker", args, self.docker_command().args(args).output()?)
    }

    /// The same, for the caller to start.
    pub fn docker_command(&self) -> Command {
        self.beside_docker("docker")
    }

    /// A program for which Docker's command line speaks to this host's engine.
    pub fn beside_docker(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("DOCKER_HOST", format!("unix://{}", self.socket().display()));
        command
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }

    fn log_of(&self, program: &str) -> Result<fs::File> {
        let path = self.dir.join(format!("{program}.log"));
        Ok(fs::OpenOptions::new().create(true).append(true).open(path)?)
    }

    /// Starts the engine; `engine_answers` tells when it is there.
    pub fn start_engine(&mut self) -> Result<()> {
        let at = |name: &str| self.dir.join(name).display().to_string();
        let child = self
            .command("dockerd")
            .args(["--data-root", &at("docker"), "--exec-root", &at("exec")])
            .args(["--pidfile", &at("docker.pid")])
            // An engine that keeps its containers over its own end can be none of a swarm.
            .args((!self.in_swarm).then_some("--live-restore"))
            .args(["-H", &format!("unix://{}", self.socket().display())])
            .stdout(Stdio::null())
            .stderr(self.log_of("dockerd")?)
            .spawn()
            .context("dockerd")?;
        self.engine = Some(child);
        Ok(())
    }

    pub fn wait_engine(&self) -> Result<()> {
        within(PATIENCE, || self.docker(&["info"]).map(drop)).with_context(|| self.name())
    }

    /// Ends the engine, if one runs.
    pub fn stop_engine(&mut self) -> Result<()> {
        self.engine.take().map_or(Ok(()), ended)
    }

    /// Writes the settings of its node, with the invitation it joins by.
    pub fn settle(&self, invitation: Option<&Value>) -> Result<()> {
        let mut settings = json!({
            "roles": [self.role.as_str()],
            "hostname": self.name(),
            "address": self.ip,
            "listen": self.ip,
            "data_dir": self.dir.join("data"),
            "docker": self.socket(),
            "tls": "off",
            "router_port": 8000,
            "dns_port": 5300,
            "compat_ports": "off",
        });
        if self.role != Role::Master {
            settings["cpus"] = json!(8);
        }
        if let Some(invitation) = invitation {
            settings["masters"] = json!([invitation["master"]]);
            settings["join_token"] = invitation["token"].clone();
        }
        Ok(fs::write(self.dir.join("node.yaml"), settings.to_string())?)
    }

    /// Starts its node, a program of its own.
    pub fn start_node(&mut self, tepui: &Path) -> Result<()> {
        let tepui = tepui.to_str().context("a path in UTF-8")?;
        let child = self
            .command(tepui)
            .args(["node", "--config"])
            .arg(self.dir.join("node.yaml"))
            .stdout(Stdio::null())
            .stderr(self.log_of("node")?)
            .spawn()
            .context("tepui")?;
        self.node = Some(child);
        Ok(())
    }

    pub fn runs(&self) -> bool {
        self.node.is_some()
    }

    pub fn has_engine(&self) -> bool {
        self.engine.is_some()
    }

    /// The token of its `client.env`.
    pub fn token(&self) -> Result<String> {
        let env = fs::read_to_string(self.dir.join("data/client.env"))?;
        let token = env.lines().find_map(|line| line.strip_prefix("TEPUI_TOKEN="));
        Ok(token.context("no token in client.env")?.to_owned())
    }

    /// Kills its node without a word.
    pub fn kill_node(&mut self) -> Result<()> {
        let mut node = self.node.take().context("no node runs")?;
        node.kill()?;
        node.wait()?;
        Ok(())
    }

    /// Ends its node as a service manager does.
    pub fn stop_node(&mut self) -> Result<()> {
        let node = self.node.take().context("no node runs")?;
        ended(node)
    }

    /// `STOP` or `CONT`.
    pub fn signal_node(&self, signal: &str) -> Result<()> {
        let node = self.node.as_ref().context("no node runs")?;
        run("kill", &[&format!("-{signal}"), &node.id().to_string()])
    }

    /// Nothing of it is heard from now on.
    pub fn unplug(&self) -> Result<()> {
        self.run("ip", &["link", "set", "eth0", "down"]).map(drop)
    }

    pub fn plug(&self) -> Result<()> {
        self.run("ip", &["link", "set", "eth0", "up"])?;
        // The kernel took it away with the link.
        let _ = self.way_out();
        Ok(())
    }

    /// The machine is lost: it is unplugged, and all that ran there ends.
    pub fn lose(&mut self) -> Result<()> {
        self.unplug()?;
        self.clear();
        Ok(())
    }

    /// It is back, with an empty engine and its data.
    pub fn find(&mut self) -> Result<()> {
        self.plug()?;
        self.start_engine()?;
        self.wait_engine()
    }

    /// Instances with a container that runs, with the container's id.
    pub fn containers(&self) -> Result<Vec<(String, String)>> {
        let format = "{{.Label \"tepui.instance\"}} {{.ID}}";
        let filter = ["ps", "--no-trunc", "--filter", "label=tepui.instance", "--format", format];
        let listed = self.docker(&filter)?;
        let pair = |line: &str| {
            let (instance, id) = line.split_once(' ')?;
            Some((instance.to_owned(), id.to_owned()))
        };
        Ok(listed.lines().filter_map(pair).collect())
    }

    /// The end of what its node said.
    pub fn said(&self) -> String {
        let all = fs::read_to_string(self.dir.join("node.log")).unwrap_or_default();
        let from = all.len().saturating_sub(4_000);
        all.get(from..).unwrap_or(&all).to_owned()
    }

    /// Ends all that runs here.
    fn clear(&mut self) {
        if let Some(mut node) = self.node.take() {
            let _ = node.kill();
            let _ = node.wait();
        }
        if let Some(engine) = self.engine.take() {
            self.empty_engine();
            let _ = ended(engine);
        }
    }

    /// Ends and removes every container.
    pub fn empty_engine(&self) {
        let ids = self.docker(&["ps", "-aq"]).unwrap_or_default();
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if !ids.is_empty() {
            let _ = self.docker(&[&["rm", "-f"], &ids[..]].concat());
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.clear();
        let _ = run("ip", &["netns", "del", &self.namespace]);
        // What an engine has mounted outlives it.
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let below = self.dir.display().to_string();
        for mount in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
            if mount.starts_with(&below) {
                let _ = run("umount", &["-l", mount]);
            }
        }
    }
}

/// Ends a process by TERM, and by KILL when it takes too long, which is an error.
fn ended(mut child: Child) -> Result<()> {
    let pid = child.id().to_string();
    // One that was stopped hears nothing else.
    let _ = run("kill", &["-CONT", &pid]);
    run("kill", &["-TERM", &pid])?;
    let gone = within(PATIENCE / 2, || {
        ensure!(child.try_wait()?.is_some(), "it still runs");
        Ok(())
    });
    if gone.is_err() {
        child.kill()?;
        child.wait()?;
    }
    gone.with_context(|| format!("process {pid} does not end"))
}

/// Tries until it works, or so long; then the last error.
pub fn within<T>(limit: Duration, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    loop {
        match attempt() {
            Ok(made) => return Ok(made),
            Err(error) if began.elapsed() > limit => {
                return Err(error.context(format!("after {:.1} s", limit.as_secs_f64())));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Runs a command on this machine.
pub fn run(program: &str, args: &[&str]) -> Result<()> {
    done(program, args, Command::new(program).args(args).output()?).map(drop)
}

/// What a command printed, unless it failed.
pub fn done(program: &str, args: &[&str], output: Output) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", args.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
