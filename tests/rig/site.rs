//! Machines that an installer works on, and who works on them from a directory of his own.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tepui::node::config::NodeRole::{self, Agent, Master, PublicAgent};

use super::{
    host::{Ground, run},
    machine::Machine,
};

/// The machines, and the directory of who installs.
pub struct Site {
    pub machines: Vec<Machine>,
    pub dir: PathBuf,
    pub tepui: PathBuf,
    // Removed after the machines.
    _ground: Ground,
}

/// How a run of the installer ended.
pub struct Ended {
    pub code: Option<i32>,
    pub said: String,
    pub took: Duration,
}

impl Site {
    /// Machines of these roles, with nothing on them but engines on those that run tasks.
    pub fn new(tepui: &Path, roles: &[NodeRole]) -> Result<Self> {
        let ground = Ground::lay()?;
        let dir = ground.dir().join("installer");
        fs::create_dir_all(&dir)?;
        let key = dir.join("ssh_key");
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key.display().to_string()])?;
        let public = fs::read_to_string(dir.join("ssh_key.pub"))?;
        // As packages have it.
        let stripped = dir.join("tepui");
        let (from, to) = (tepui.display().to_string(), stripped.display().to_string());
        run("strip", &["-o", &to, &from])?;
        let mut machines = Vec::new();
        for (n, role) in (1..).zip(roles) {
            machines.push(Machine::boot(&ground, n, *role, &public)?);
        }
        for machine in machines.iter().filter(|machine| machine.host.role != Master) {
            machine.start_engine()?;
        }
        Ok(Self { machines, dir, tepui: stripped, _ground: ground })
    }

    /// Lists the first so many machines; `more` goes into the file.
    pub fn list(&self, n: usize, more: &Value) -> Result<()> {
        let of = |role: NodeRole| -> Vec<String> {
            let listed = self.machines.iter().take(n).filter(|m| m.host.role == role);
            listed.map(|m| m.host.ip.to_string()).collect()
        };
        let mut config = json!({
            "cluster_name": "rig",
            "master_discovery": "static",
            "exhibitor_storage_backend": "static",
            "master_list": of(Master),
            "agent_list": of(Agent),
            "public_agent_list": of(PublicAgent),
            "resolvers": ["9.9.9.9"],
            "ssh_user": "root",
            "process_timeout": 60,
            "log_directory": "logs",
            "fault_domain_enabled": true,
            "ip_detect_contents": "#!/bin/sh\nset -- $(ip -4 -o addr show eth0)\necho ${4%/*}",
            "fault_domain_detect_contents": "#!/bin/sh\n\
                echo '{\"fault_domain\":{\"region\":{\"name\":\"here\"},\"zone\":{\"name\":\"'$(uname -n)'\"}}}'",
            "custom_checks": {"node_checks": {
                "checks": {"alive": {
                    "description": "the node answers", "cmd": ["pgrep", "-x", "tepui"], "timeout": "5s",
                }},
                "poststart": ["alive"],
            }},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        Ok(fs::write(self.dir.join("config.yaml"), serde_json::to_string_pretty(&config)?)?)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let known = format!("UserKnownHostsFile={}", self.dir.join("known_hosts").display());
        let mut command = Command::new(&self.tepui);
        command.arg("cluster").args(args).args(["-f", "config.yaml", "--ssh-option", &known]);
        command.current_dir(&self.dir).stdin(Stdio::null());
        command
    }

    pub fn call(&self, args: &[&str]) -> Result<Ended> {
        let began = Instant::now();
        let output = self.command(args).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        Ok(Ended { code: output.status.code(), said, took: began.elapsed() })
    }

    pub fn install(&self, more: &[&str]) -> Result<Ended> {
        self.call(&[&["install", "--no-systemd"], more].concat())
    }

    /// What the command line of the first master's node answers.
    pub fn ask(&self, command: &str) -> Result<Value> {
        let script = format!("set -a; . /var/lib/tepui/client.env; tepui {command} --json");
        Ok(serde_json::from_str(&self.machines[0].shell(&script)?)?)
    }

    /// Whether so many masters decide and so many agents are active.
    pub fn is_whole(&self, n_masters: usize, n_agents: usize) -> Result<()> {
        let (masters, nodes) = (self.ask("master list")?, self.ask("node list")?);
        let rows = |told: &Value| told.as_array().cloned().unwrap_or_default();
        let decide = |row: &&Value| row["part"] == "leads" || row["part"] == "decides";
        let n = rows(&masters).iter().filter(decide).count();
        ensure!(n == n_masters, "{n} masters decide: {masters}");
        let active = rows(&nodes).iter().filter(|row| row["condition"] == "active").count();
        ensure!(active == n_agents, "{active} agents are active: {nodes}");
        Ok(())
    }

    /// The processes of all nodes.
    pub fn nodes(&self) -> Vec<String> {
        let pid = |machine: &Machine| machine.shell("cat /run/tepui.pid 2>/dev/null || echo none");
        self.machines.iter().map(|machine| pid(machine).unwrap_or_default()).collect()
    }

    pub fn own_files(&self) -> Result<Vec<BTreeSet<String>>> {
        self.machines.iter().map(Machine::own_files).collect()
    }
}

impl Site {
    /// Containers of tasks, on all machines that have an engine.
    pub fn containers(&self) -> Result<Vec<String>> {
        let with_engine = self.machines.iter().filter(|machine| machine.host.role != Master);
        let list = ["ps", "-q", "--no-trunc", "--filter", "label=tepui.instance"];
        with_engine.map(|machine| machine.run("docker", &list)).collect()
    }

    /// Whether no machine has a file more, less or changed.
    pub fn is_as_before(&self, before: &[BTreeSet<String>]) -> Result<()> {
        for (machine, (before, now)) in
            self.machines.iter().zip(before.iter().zip(self.own_files()?))
        {
            let differ: Vec<_> = before.symmetric_difference(&now).collect();
            ensure!(differ.is_empty(), "{}: {differ:#?}", machine.host.name());
        }
        Ok(())
    }
}

impl Ended {
    pub fn indented(&self) -> String {
        self.said.lines().map(|line| format!("    | {line}\n")).collect()
    }

    pub fn is(self, code: i32) -> Result<Self> {
        ensure!(self.code == Some(code), "ended with {:?}:\n{}", self.code, self.said);
        Ok(self)
    }

    pub fn says(self, part: &str) -> Result<Self> {
        ensure!(self.said.contains(part), "does not say {part:?}:\n{}", self.said);
        Ok(self)
    }
}
