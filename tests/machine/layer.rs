//! A machine's files without a machine: this one's root under a layer that all changes go to, in a mount
//! namespace of its own, with a `/run` and a `/tmp` of its own.
//!
//! What runs there is found by its mount namespace, and ends with the layer.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lays the layer in the namespaces it is run in, and becomes what is to run there.
const BOOT: &str = r#"
set -eu
dir=$1 name=$2
shift 2
root=$dir/root
mount --make-rprivate /
mount -t overlay layer -o "lowerdir=/,upperdir=$dir/layer/upper,workdir=$dir/layer/work" "$root"
for part in proc sys dev; do mount --rbind "/$part" "$root/$part"; done
for part in run tmp; do mount -t tmpfs layer "$root/$part"; done
# An engine's own layers need a file system of this machine.
mkdir -p "$root/var/lib/docker" "$root/run/lock"
mount --bind "$dir/docker" "$root/var/lib/docker"
hostname "$name"
ip link set lo up
printf '127.0.0.1 localhost %s\n' "$name" >"$root/etc/hosts"
touch "$dir/is-up"
exec chroot "$root" "$@"
"#;

/// The layer, and what it was begun with.
pub struct Layer {
    pub dir: PathBuf,
    first: Child,
}

impl Layer {
    /// Lays one below `dir` and starts `first` there, in the namespaces that `command` (an `unshare`, as far
    /// as its options) makes.
    pub fn lay(dir: &Path, mut command: Command, name: &str, first: &[&str]) -> Result<Self> {
        for part in ["root", "layer", "docker"] {
            fs::create_dir_all(dir.join(part))?;
        }
        // It has to lie in another file system than what is below it.
        let layer = dir.join("layer");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "layer"]).arg(&layer).status()?;
        ensure!(mounted.success(), "no file system in memory can be mounted; is this root?");
        for part in ["upper", "work"] {
            fs::create_dir_all(layer.join(part))?;
        }
        let log = fs::File::create(dir.join("first.log"))?;
        let first = command
            .args(["sh", "-c", BOOT, "boot"])
            .arg(dir)
            .arg(name)
            .args(first)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("unshare")?;
        let layer = Self { dir: dir.to_owned(), first };
        let began = Instant::now();
        while !dir.join("is-up").exists() {
            ensure!(began.elapsed() < PATIENCE, "it does not come up: {}", layer.said());
            thread::sleep(Duration::from_millis(10));
        }
        Ok(layer)
    }

    /// What the first program said.
    pub fn said(&self) -> String {
        fs::read_to_string(self.dir.join("first.log")).unwrap_or_default()
    }

    /// A command there.
    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        let first = self.first.id();
        command.arg(format!("--target={first}")).arg(format!("--wd=/proc/{first}/root"));
        command.args(["--mount", "--uts", "--net", "--root", program]).args(args);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        command.env("HOME", "/root").stdin(Stdio::null());
        command
    }

    /// What of its files is not this machine's: made, changed, or removed there. Directories that are here
    /// too do not count.
    pub fn own_files(&self) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let upper = self.dir.join("layer/upper");
        let mut open = vec![upper.clone()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir)?.flatten() {
                let (path, kind) = (entry.path(), entry.file_type()?);
                let name = Path::new("/").join(path.strip_prefix(&upper)?);
                let mode = fs::symlink_metadata(&path)?.permissions().mode() & 0o7777;
                let what = match () {
                    () if kind.is_char_device() => "removed".to_owned(),
                    () if kind.is_dir() && name.is_dir() => String::new(),
                    () if kind.is_dir() => format!("directory {mode:o}"),
                    () => format!("file {mode:o} {:x}", hash(&fs::read(&path).unwrap_or_default())),
                };
                if kind.is_dir() {
                    open.push(path);
                }
                if !what.is_empty() {
                    found.insert(format!("{} {what}", name.display()));
                }
            }
        }
        let run = self.command("find", &["/run", "-type", "f", "-o", "-type", "s"]).output()?;
        let run = String::from_utf8_lossy(&run.stdout).into_owned();
        // An engine keeps there what it likes.
        let ours = run.lines().filter(|path| !path.starts_with("/run/docker"));
        found.extend(ours.map(str::to_owned));
        Ok(found)
    }

    /// The numbers of all processes there but the first.
    pub fn processes(&self) -> Vec<u32> {
        let space = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        let Some(own) = space(self.first.id()) else { return Vec::new() };
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| *pid != self.first.id() && space(*pid).as_ref() == Some(&own))
            .collect()
    }

    fn end(&mut self) {
        for (signal, patience) in [("-TERM", 15), ("-KILL", 5)] {
            let pids: Vec<String> = self.processes().iter().map(u32::to_string).collect();
            if pids.is_empty() {
                break;
            }
            let _ = Command::new("kill").arg(signal).args(&pids).stderr(Stdio::null()).status();
            let began = Instant::now();
            while !self.processes().is_empty() && began.elapsed() < Duration::from_secs(patience) {
                thread::sleep(Duration::from_millis(50));
            }
        }
        let _ = self.first.kill();
        let _ = self.first.wait();
        let _ = Command::new("umount").arg("-l").arg(self.dir.join("layer")).status();
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Enough to tell two contents apart.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
