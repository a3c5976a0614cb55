//! Whole machines: a host of the rig with files, a name and an sshd of its own, as an installer meets it.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tepui::node::config::NodeRole as Role;

use super::{
    host::{Ground, Host, done, within},
    layer::Layer,
};

/// How long a machine may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Becomes the machine's sshd, which lets a key in.
const SSHD: &str = r#"
set -eu
mkdir -p /run/sshd /etc/rig
# An account without a password lets keys in, one that is locked does not.
sed -i 's/^root:!*:/root:*:/' /etc/shadow
ssh-keygen -q -t ed25519 -N '' -f /etc/rig/host_key
echo "$1" >/etc/rig/authorized
cat >/etc/rig/sshd <<CONFIG
HostKey /etc/rig/host_key
AuthorizedKeysFile /etc/rig/authorized
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
PidFile none
MaxSessions 50
CONFIG
exec /usr/sbin/sshd -D -e -f /etc/rig/sshd
"#;

/// A machine. What runs in it ends with it.
pub struct Machine {
    // Before the host, whose network it is in.
    layer: Layer,
    pub host: Host,
}

impl Machine {
    /// Machine number `n` that lets the key in whose public half is `public`.
    pub fn boot(ground: &Ground, n: u8, role: Role, public: &str) -> Result<Self> {
        let host = ground.host(n, role)?;
        let mut command = host.command("unshare");
        command.args(["--mount", "--uts"]);
        let first = ["sh", "-c", SSHD, "sshd", public.trim()];
        let layer = Layer::lay(&host.dir, command, &host.name(), &first)?;
        let machine = Self { layer, host };
        within(PATIENCE, || {
            let said = machine.layer.said();
            ensure!(said.contains("Server listening"), "{said}");
            Ok(())
        })?;
        Ok(machine)
    }

    /// Runs a command there; what it printed.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let output = self.layer.command(program, args).output()?;
        done(program, args, output).with_context(|| self.host.name())
    }

    /// Lines of shell there.
    pub fn shell(&self, script: &str) -> Result<String> {
        self.run("sh", &["-c", script])
    }

    /// Its engine, where it runs tasks.
    pub fn start_engine(&self) -> Result<()> {
        let log = fs::File::create(self.host.dir.join("dockerd.log"))?;
        let mut engine: Command = self.layer.command("dockerd", &[]);
        // It ends with the layer, as all that runs there.
        drop(engine.stdout(Stdio::null()).stderr(log).spawn()?);
        within(PATIENCE, || self.run("docker", &["info"]).map(drop))
    }

    /// Takes its link away, or gives it back.
    pub fn link(&self, is_up: bool) -> Result<()> {
        if is_up { self.host.plug() } else { self.host.unplug() }
    }

    /// What of its files is not this machine's.
    pub fn own_files(&self) -> Result<BTreeSet<String>> {
        self.layer.own_files()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // While the engine can still be asked.
        let _ = self.shell("docker ps -aq | xargs -r docker rm -f");
    }
}
