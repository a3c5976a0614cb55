//! `install.sh` on a machine of its own: this machine's files under a layer, in namespaces that end with the
//! test. Nothing of the machine itself is touched.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
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
    /// The program of the archive; a tepui as packages have it.
    tepui: String,
    archive: String,
}

struct Ended {
    code: i32,
    said: String,
}

impl Machine {
    /// With an archive of the program.
    fn boot() -> Self {
        Self::boot_with(|tepui| {
            let done = Command::new("strip").args(["-o", tepui, TEPUI]).status().expect("strip");
            assert!(done.success());
        })
    }

    /// With an archive of a program that `make` makes.
    fn boot_with(make: impl FnOnce(&str)) -> Self {
        // Outside /tmp, of which a machine has its own.
        let dir = tempfile::tempdir_in("/var/tmp").expect("a directory");
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--uts", "--net"]);
        let first = ["sleep", "infinity"];
        let layer = Layer::lay(dir.path(), unshare, "bare", &first).expect("a layer");
        let tepui = dir.path().join("tepui").display().to_string();
        make(&tepui);
        let archive = dir.path().join("archive.tar.gz").display().to_string();
        let made = Command::new(TEPUI)
            .args(["cluster", "archive", "--output", &archive, "--binary", &tepui])
            .output()
            .expect("the program runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { layer, dir, tepui, archive }
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

    /// The program with bytes behind it, which change nothing but its sum.
    fn newer(&self) -> String {
        let newer = self.dir.path().join("newer");
        fs::copy(&self.tepui, &newer).expect("copied");
        let mut file = fs::OpenOptions::new().append(true).open(&newer).expect("open");
        file.write_all(b"newer").expect("written");
        newer.display().to_string()
    }

    /// One that is a tepui but for `lines` where it is started as a node.
    fn broken(&self, lines: &str) -> String {
        let path = self.dir.path().join("broken");
        let text =
            format!("#!/bin/sh\nif [ \"$1\" = node ]; then\n{lines}\nfi\nexec {TEPUI} \"$@\"\n");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
        path.display().to_string()
    }

    /// By hand, on a machine that has a node.
    fn upgrade(&self, program: &str) -> Ended {
        self.install(&format!("master --binary {program} --wait 30"))
    }

    /// The program that runs there.
    fn program(&self) -> String {
        self.shell("sha256sum </proc/$(cat /run/tepui.pid)/exe")
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
    let machine = Machine::boot();
    let before = machine.own_files();
    machine
        .master("")
        .is(0)
        .says("first login  admin, password in /var/lib/tepui/initial-password");
    let (cluster, node) = (machine.cluster(), machine.node());
    assert_eq!(machine.shell("stat -c %a /etc/default/tepui").trim(), "600");

    machine.master("").is(0).says("nothing has changed");
    assert_eq!(machine.node(), node, "it was not started again");

    machine.upgrade(&machine.newer()).is(0);
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

/// A node that does not come up with another program has the one before again, whatever went wrong, and the
/// files it had.
#[test]
fn a_node_goes_back_to_the_program_it_ran_when_another_does_not_come_up() {
    let machine = Machine::boot();
    let before = machine.own_files();
    machine.master("").is(0);
    let (cluster, program) = (machine.cluster(), machine.program());
    machine.shell("grep -qx 'master works' /var/lib/tepui/health");
    let installed = || machine.shell("cat /etc/tepui/installed; readlink /usr/local/bin/tepui");
    let list = installed();
    // It says it is ready, and its part of the masters is not.
    let sick = "echo 'tepui is ready'; printf 'pid %s\\nmaster waits: nobody\\n' $$ >/var/lib/tepui/health\n\
                while :; do sleep 1; done";
    for (lines, wait, said) in [
        ("echo 'no such thing' >&2; exit 1", 30, "tepui does not start"),
        ("while :; do sleep 1; done", 3, "tepui is not ready after 3 s"),
        (sick, 3, "its health does not return within 3 s: master waits: nobody"),
    ] {
        let broken = machine.broken(lines);
        machine
            .install(&format!("master --binary {broken} --wait {wait}"))
            .is(1)
            .says(said)
            .says("this node runs the program before it again (tepui ");
        assert_eq!((machine.program(), machine.cluster()), (program.clone(), cluster.clone()));
        assert_eq!(installed(), list, "{said}");
    }
    let useless = machine.broken("exit 1\nfi\nif [ \"$1\" = config ]; then\nexit 1");
    machine.upgrade(&useless).is(1).says("nothing was changed");
    machine.install("back").is(1).says("nothing is kept of a program that ran here before");

    machine.upgrade(&machine.newer()).is(0);
    let newer = machine.program();
    assert_ne!(newer, program);
    let kept = "ls /usr/local/lib/tepui/tepui-* | wc -l";
    assert_eq!(machine.shell(kept).trim(), "2", "the one that runs and the one before");
    // One that was put in place by a run that was broken off before it was started.
    machine
        .shell("cp -P /usr/local/lib/tepui/before/files/usr/local/bin/tepui /usr/local/bin/tepui");
    machine.upgrade(&machine.tepui).is(0);
    assert_eq!(machine.program(), program, "what runs is compared, not what lies there");
    machine.upgrade(&machine.newer()).is(0);
    machine.install("back").is(0).says("runs here again");
    assert_eq!((machine.program(), machine.cluster()), (program, cluster));
    assert_eq!(installed(), list);

    machine.install("uninstall --purge").is(0);
    let after = machine.own_files();
    assert_eq!(before, after, "{:#?}", before.symmetric_difference(&after).collect::<Vec<_>>());
}

/// Stands in for systemd: does what `install.sh` asks `systemctl` for, and starts a node again that ends.
const SYSTEMCTL: &str = r#"#!/bin/sh
pid=$(cat /run/unit.pid 2>/dev/null)
keeper=$(cat /run/unit.keeper 2>/dev/null)
lives() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }
case "$*" in
  --version) echo 'systemd 252' ;;
  *is-active*) lives "$pid" && grep -q '^tepui is ready' /run/unit.log ;;
  *is-failed*) exit 1 ;;
  *MainPID*) if lives "$pid"; then echo "$pid"; else echo 0; fi ;;
  *NRestarts*) cat /run/unit.restarts ;;
  stop*)
    if lives "$keeper"; then kill -KILL "$keeper"; fi
    if lives "$pid"; then kill -TERM "$pid"; fi
    while lives "$pid"; do sleep 0.1; done
    ;;
  start*)
    echo 0 >/run/unit.restarts
    setsid sh -c '
      echo $$ >/run/unit.keeper
      set -a; . /etc/default/tepui; set +a
      line=$(sed -n "s/^ExecStart=//p" /usr/local/lib/systemd/system/tepui.service)
      while :; do
        : >/run/unit.log
        eval "exec $line" >>/run/unit.log 2>&1 &
        echo $! >/run/unit.pid
        wait $!
        echo $(($(cat /run/unit.restarts) + 1)) >/run/unit.restarts
        sleep 0.2
      done' </dev/null >/dev/null 2>&1 &
    ;;
esac
"#;

/// As `a_node_goes_back_…`, where a service manager starts a node again that ends.
#[test]
fn a_node_under_systemd_goes_back_too() {
    let machine = Machine::boot();
    let systemctl = machine.dir.path().join("systemctl");
    fs::write(&systemctl, SYSTEMCTL).expect("written");
    let place = format!(
        "install -D -m 755 {} /usr/local/bin/systemctl; mkdir -p /run/systemd/system",
        systemctl.display()
    );
    machine.shell(&place);
    let settings = "--set address=127.0.0.1 --set listen=127.0.0.1 --set cluster_name=bare";
    machine
        .install(&format!("master --archive {} {settings} --ignore clock", machine.archive))
        .is(0)
        .says("tepui ");
    let program = || machine.shell("sha256sum </proc/$(cat /run/unit.pid)/exe");
    let (first, cluster) = (program(), machine.cluster());
    machine.install(&format!("master --archive {}", machine.archive)).says("nothing has changed");
    let ends_late = "echo 'tepui is ready'; sleep 1; exit 1";
    for (lines, said) in
        [("exit 1", "tepui does not start"), (ends_late, "tepui ends after it was ready")]
    {
        machine
            .upgrade(&machine.broken(lines))
            .is(1)
            .says(said)
            .says("this node runs the program before it again (tepui ");
        assert_eq!((program(), machine.cluster()), (first.clone(), cluster.clone()));
    }
    machine.upgrade(&machine.newer()).is(0);
    assert_ne!(program(), first);
    machine.install("back").is(0);
    assert_eq!((program(), machine.cluster()), (first, cluster));
    machine.install("uninstall --purge").is(0);
}

/// Earlier releases put the program itself where the link is now.
#[test]
fn a_node_of_the_earlier_layout_is_upgraded_and_goes_back_to_it() {
    let machine = Machine::boot();
    machine.master("").is(0);
    machine.shell(
        "set -e; cd /usr/local/bin; p=$(readlink -f tepui); sum=$(sha256sum <$p | cut -d' ' -f1)\n\
         mv -f $p tepui; rmdir ../lib/tepui; l=/etc/tepui/installed\n\
         sed -i \"/^program /d; /^prefix /d; /lib.tepui/d; s|^link .*|file $sum /usr/local/bin/tepui|\" $l",
    );
    let (list, cluster) = (machine.shell("cat /etc/tepui/installed"), machine.cluster());
    let broken = machine.broken("exit 1");
    machine.upgrade(&broken).is(1).says("this node runs the program before it again");
    machine.shell("test -f /usr/local/bin/tepui && test ! -L /usr/local/bin/tepui");
    assert_eq!(machine.shell("cat /etc/tepui/installed"), list);
    machine.upgrade(&machine.newer()).is(0);
    machine.shell("test -L /usr/local/bin/tepui");
    assert_eq!(machine.cluster(), cluster);
    machine.install("uninstall --purge").is(0);
    machine.run("test", &["-e", "/usr/local/lib/tepui"]).is(1);
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
    let machine = Machine::boot_with(|tepui| {
        fs::copy("/bin/true", tepui).expect("copied");
    });
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
