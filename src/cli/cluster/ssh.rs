//! The way to a host: the system's own `ssh`, one connection for all that is done there
//! (docs/adr/0016-the-installers-ssh.md).
//!
//! Commands go through standard input of a shell on the host: nothing has to be quoted for a second shell,
//! and no token stands in a list of processes.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::wanted::Way;

/// How long a host may take to let somebody in.
const CONNECT: Duration = Duration::from_secs(20);
/// How often it is looked whether the connection is there.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A piece of what is sent, after which the progress is told.
const PIECE_BYTES: usize = 256 << 10;

/// Why something on a host did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It is not there, or lets nobody in.
    Unreachable(String),
    /// A command ended with an error; what it said last, a line each.
    Failed(Vec<String>),
    /// It took longer than it may.
    TooLate(Duration),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "cannot be reached: {why}"),
            Self::Failed(lines) => f.write_str(&lines.join("\n")),
            Self::TooLate(after) => {
                write!(f, "not done within {} s (process_timeout)", after.as_secs())
            }
        }
    }
}

/// How all hosts are reached.
pub struct Ssh {
    way: Way,
    /// Further `-o`.
    options: Vec<String>,
    /// Sockets of the connections.
    dir: PathBuf,
}

impl Ssh {
    pub fn new(way: Way, options: Vec<String>, temporary: &Path) -> std::io::Result<Self> {
        let dir = nix::unistd::mkdtemp(&temporary.join("tepui-ssh-XXXXXX"))?;
        Ok(Self { way, options, dir })
    }

    fn command(&self, address: &str, flags: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command.args(flags);
        let mut control = OsString::from("ControlPath=");
        control.push(self.dir.join(address));
        command.arg("-o").arg(control);
        let fixed = [
            // Nobody is there to be asked.
            "BatchMode=yes",
            "ConnectTimeout=10",
            // A host that is new is taken at its word once, one that has changed is not.
            "StrictHostKeyChecking=accept-new",
            "ServerAliveInterval=5",
            "ServerAliveCountMax=4",
            "ControlPersist=no",
            "LogLevel=ERROR",
        ];
        for option in self.options.iter().map(String::as_str).chain(fixed) {
            command.arg("-o").arg(option);
        }
        if let Some(user) = &self.way.user {
            command.arg("-l").arg(user);
        }
        if let Some(port) = self.way.port {
            command.arg("-p").arg(port.to_string());
        }
        if let Some(key) = &self.way.key {
            command.arg("-i").arg(key).args(["-o", "IdentitiesOnly=yes"]);
        }
        command.arg(address).kill_on_drop(true).stdin(Stdio::null());
        command
    }

    /// Opens the connection to a host.
    pub async fn open(&self, address: &str) -> Result<Link<'_>, Trouble> {
        let mut command = self.command(address, &["-M", "-T"]);
        // Our end of its input closes with us, however we end, and the connection with it.
        command.arg("cat >/dev/null").stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut master = command.spawn().map_err(|error| {
            Trouble::Unreachable(format!("ssh cannot be started: {error}; is it installed?"))
        })?;
        let socket = self.dir.join(address);
        let began = Instant::now();
        while !socket.exists() {
            if let Ok(Some(_)) = master.try_wait() {
                let said = master.wait_with_output().await.map(|output| output.stderr);
                return Err(Trouble::Unreachable(last_line(&said.unwrap_or_default())));
            }
            if began.elapsed() > CONNECT {
                return Err(Trouble::Unreachable(format!("no answer in {} s", CONNECT.as_secs())));
            }
            sleep(LOOK_EVERY).await;
        }
        let mut link =
            Link { ssh: self, address: address.to_owned(), shell: "sh -s", _master: master };
        let who = link.run("id -u", CONNECT).await?;
        if who.trim() != "0" {
            link.shell = "sudo -n sh -s";
            link.run(":", CONNECT).await.map_err(|trouble| match trouble {
                Trouble::Failed(lines) => Trouble::Failed(vec![format!(
                    "{} is not root there and sudo wants a password ({}): allow it without one, or \
                     sign in as root (ssh_user)",
                    self.way.user.as_deref().unwrap_or("the user of ssh"),
                    lines.last().map_or("", String::as_str)
                )]),
                other => other,
            })?;
        }
        Ok(link)
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// An open connection, on which commands run as root.
pub struct Link<'s> {
    ssh: &'s Ssh,
    address: String,
    shell: &'static str,
    /// Ends the connection with it.
    _master: Child,
}

impl Link<'_> {
    /// Runs lines of shell; what they printed to their standard output. What they print to the other one is
    /// told when they fail.
    pub async fn run(&self, script: &str, within: Duration) -> Result<String, Trouble> {
        self.exchange(self.shell, script.as_bytes(), within, &mut |_| {}).await
    }

    /// Sends bytes to a command there, which `told` hears the progress of.
    pub async fn send(
        &self,
        bytes: &[u8],
        command: &str,
        within: Duration,
        told: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), Trouble> {
        let shell = self.shell.trim_end_matches("-s");
        let whole = format!("{shell}-c '{command}'");
        self.exchange(&whole, bytes, within, told).await.map(drop)
    }

    async fn exchange(
        &self,
        remote: &str,
        bytes: &[u8],
        within: Duration,
        told: &mut (dyn FnMut(usize) + Send),
    ) -> Result<String, Trouble> {
        let mut command = self.ssh.command(&self.address, &["-T"]);
        command.arg(remote).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let broken = |error: std::io::Error| Trouble::Unreachable(error.to_string());
        let mut child = command.spawn().map_err(broken)?;
        let mut stdin = child.stdin.take();
        let feed = async {
            let Some(mut stdin) = stdin.take() else { return };
            let mut sent = 0;
            for piece in bytes.chunks(PIECE_BYTES) {
                // A command that ends early says itself why.
                if stdin.write_all(piece).await.is_err() {
                    return;
                }
                sent += piece.len();
                told(sent);
            }
            let _ = stdin.shutdown().await;
        };
        let done = async { tokio::join!(feed, child.wait_with_output()).1 };
        let output = timeout(within, done).await.map_err(|_| Trouble::TooLate(within))?;
        let output = output.map_err(broken)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        // 255 is ssh's own: the connection broke.
        if output.status.code() == Some(255) {
            return Err(Trouble::Unreachable(last_line(&output.stderr)));
        }
        let lines = |bytes: &[u8]| -> Vec<String> {
            String::from_utf8_lossy(bytes).lines().map(|line| line.trim_end().to_owned()).collect()
        };
        let said = [lines(&output.stdout), lines(&output.stderr)].concat();
        Err(Trouble::Failed(said.into_iter().filter(|line| !line.is_empty()).collect()))
    }
}

/// The last thing ssh said.
fn last_line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let last = text.trim().lines().last().unwrap_or_default().trim();
    if last.is_empty() { "ssh ended without a word".to_owned() } else { last.to_owned() }
}
