//! `install.sh` on a machine of its own: this machine's files under a layer, in namespaces that end with the
//! test. Nothing of the machine itself is touched.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::{
    e2e::system::{PATIENCE, TEPUI, wait},
    layer::Layer,
};

/// The machine, with the directory that both sides see: the archive is in it.
struct Machine {
    layer: Layer,
    // Removed after the layer.
    dir: tempfile::TempDir,
    archive: String,
}

struct Ended {
    code: i32,
    said: String,
}

impl Machine {
    /// With an archive of that program.
    fn boot(program: &str) -> Self {
        // Outside /tmp, of which a machine has its own.
        let dir = tempfile::tempdir_in("/var/tmp").expect("a directory");
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--uts", "--net"]);
        let first = ["sleep", "infinity"];
        let layer = Layer::lay(dir.path(), unshare, "bare", &first).expect("a layer");
        let archive = dir.path().join("archive.tar.gz").display().to_string();
        let made = Command::new(TEPUI)
            .args(["cluster", "archive", "--output", &archive, "--binary", program])
            .output()
            .expect("the program runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { layer, dir, archive }
    }

    fn run(&self, program: &str, args: &[&str]) -> Ended {
        let output: Output = self.layer.command(program, args).output().expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        Ended { code: output.status.code().unwrap_or(-1), said }
    }

    fn shell(&self, script: &str) -> String {
        self.run("sh", &["-c", script]).is(0).said
    }

    /// The installer of this source tree, by the archive unless something else is said.
    fn install(&self, args: &str) -> Ended {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/installer/install.sh");
        let args: Vec<&str> = args.split_whitespace().collect();
        self.run("sh", &[&[script], &args[..]].concat())
    }

    /// A master on loopback: there is no other network here.
    fn master(&self, more: &str) -> Ended {
        let settings = "--set address=127.0.0.1 --set listen=127.0.0.1 --set cluster_name=bare";
        self.install(&format!("master --no-systemd --archive {} {settings} {more}", self.archive))
    }

    /// Which cluster it is: its authority, as long as it answers.
    fn cluster(&self) -> String {
        self.shell("set -a; . /var/lib/tepui/client.env; tepui status");
        self.shell("sha256sum /var/lib/tepui/pki/ca.crt")
    }

    fn node(&self) -> String {
        self.shell("cat /run/tepui.pid")
    }

    fn own_files(&self) -> BTreeSet<String> {
        self.layer.own_files().expect("files")
    }
}

impl Ended {
    #[track_caller]
    fn is(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.said);
        self
    }

    #[track_caller]
    fn says(self, part: &str) -> Self {
        assert!(self.said.contains(part), "{part:?} is not said: {}", self.said);
        self
    }
}

#[test]
fn a_machine_gets_a_node_keeps_it_and_is_left_as_it_was() {
    let machine = Machine::boot(TEPUI);
    let before = machine.own_files();
    machine
        .master("")
        .is(0)
        .says("first login  admin, password in /var/lib/tepui/initial-password");
    let (cluster, node) = (machine.cluster(), machine.node());
    assert_eq!(machine.shell("stat -c %a /etc/default/tepui").trim(), "600");

    machine.master("").is(0).says("nothing has changed");
    assert_eq!(machine.node(), node, "it was not started again");

    // Bytes behind a program change nothing but its sum.
    let newer = machine.dir.path().join("newer");
    fs::write(&newer, fs::read(TEPUI).expect("the program")).expect("written");
    let mut file = fs::OpenOptions::new().append(true).open(&newer).expect("open");
    file.write_all(b"newer").expect("written");
    drop(file);
    let own = Command::new("chmod").arg("+x").arg(&newer).status().expect("chmod");
    assert!(own.success());
    let tree = unpacked(&machine);
    let upgrade = format!("{tree}/installer/install.sh master --binary {}", newer.display());
    machine.run("sh", &upgrade.split(' ').collect::<Vec<_>>()).is(0);
    assert_ne!(machine.node(), node, "it runs the newer one");
    assert_eq!(machine.cluster(), cluster);

    machine.install("agent --no-systemd --binary /bin/true").is(1).says("this node is master");

    machine.shell("echo '# mine' >>/etc/tepui/tepui.yaml");
    machine.install("uninstall").is(0).says("kept: /etc/tepui/tepui.yaml, which was changed");
    assert!(machine.layer.processes().is_empty(), "the node has ended");
    machine.run("test", &["-e", "/usr/local/bin/tepui"]).is(1);

    machine.master("").is(0);
    assert_eq!(machine.cluster(), cluster, "its data was there");
    machine.shell("grep -q mine /etc/tepui/tepui.yaml");

    machine.install("uninstall --purge").is(0);
    let after = machine.own_files();
    assert_eq!(before, after, "{:#?}", before.symmetric_difference(&after).collect::<Vec<_>>());
    machine.install("uninstall --purge").is(0).says("was not installed here");
}

/// Where the archive is unpacked.
fn unpacked(machine: &Machine) -> String {
    let to = machine.dir.path().join("unpacked");
    fs::create_dir_all(&to).expect("made");
    let done = Command::new("tar").args(["-xzf", &machine.archive, "-C"]).arg(&to).status();
    assert!(done.expect("tar").success());
    let version = env!("CARGO_PKG_VERSION");
    to.join(format!("tepui-{version}")).display().to_string()
}

#[test]
fn what_is_not_fit_is_told_before_anything_is_changed() {
    // Nothing of the program is needed where nothing is installed, but that it runs.
    let machine = Machine::boot("/bin/true");
    let before = machine.own_files();
    let mut held = machine
        .layer
        .command("busybox", &["nc", "-l", "-p", "5070"])
        .stdout(Stdio::null())
        .spawn()
        .expect("busybox");
    let is_held = "grep -q ':13CE [0-9A:]* 0A' /proc/net/tcp /proc/net/tcp6";
    wait("the port is held", PATIENCE, || machine.run("sh", &["-c", is_held]).code == 0);
    let taken =
        format!("bad   ports      port 5070 (other nodes) is taken by busybox (pid {})", held.id());
    machine
        .install("--check master --no-systemd")
        .is(1)
        .says(&taken)
        .says("--set peer_port=ANOTHER");
    machine.master("").is(1).says(&taken).says("nothing was changed");
    machine
        .install("--check agent --no-systemd --join 127.0.0.1:1 --ignore docker")
        .is(1)
        .says("bad   masters    nothing answers within 5 s at 127.0.0.1:1");
    machine.install("--check master --no-systemd --set peer_port=5071 --quiet").is(0);
    machine.install("--check master").is(1).says("bad   systemd");
    held.kill().expect("killed");
    held.wait().expect("reaped");

    let theirs = "mkdir -p /etc/tepui && echo 'roles: [agent]' >/etc/tepui/tepui.yaml";
    machine.shell(theirs);
    machine.master("").is(1).says("/etc/tepui/tepui.yaml would be without what is given now");
    machine.shell("rm -r /etc/tepui");

    let other = machine.dir.path().join("damaged.tar.gz");
    repack_damaged(&machine, &other);
    let damaged = other.display().to_string();
    machine.install(&format!("master --no-systemd --archive {damaged}")).is(1).says("is damaged");
    let settings = "--set address=127.0.0.1 --set dns_port=many";
    machine
        .install(&format!("master --no-systemd --binary {TEPUI} {settings}"))
        .is(1)
        .says("dns_port")
        .says("tepui was not started");
    machine.install("uninstall").is(0);
    for (args, said) in [
        ("agent", "an agent needs --join ADDR and --token T"),
        ("slave", "is called agent here"),
        ("--frob", "is no role and no option"),
        ("master --set x", "--set wants KEY=VALUE"),
        ("master --token", "--token wants a value"),
    ] {
        machine.install(&format!("--binary {TEPUI} {args}")).says(said);
    }
    assert_eq!(before, machine.own_files());
}

/// The same archive with a word more in one of its files.
fn repack_damaged(machine: &Machine, to: &Path) {
    let tree = unpacked(machine);
    let unit = format!("{tree}/packaging/tepui.service");
    let text = fs::read_to_string(&unit).expect("the unit");
    fs::write(&unit, text + "# more\n").expect("written");
    let parent = Path::new(&tree).parent().expect("a directory");
    let name = Path::new(&tree).file_name().expect("a name");
    let done = Command::new("tar").arg("-czf").arg(to).arg("-C").arg(parent).arg(name).status();
    assert!(done.expect("tar").success());
}

#[test]
fn its_scripts_have_nothing_that_shellcheck_finds() {
    let checked = Command::new("shellcheck")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--external-sources", "installer/install.sh", "installer/preflight.sh"])
        .args(["packaging/install.sh", "packaging/offline.sh"])
        .output()
        .expect("shellcheck: installer/prepare.sh test installs it");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
