//! What is done on one host, over its connection: looking at it, copying, installing, asking its cluster.

use std::{fs, io::Write as _, path::Path, time::Duration};

use base64::Engine as _;
use serde_json::Value;

use super::{
    bundle::{self, Entry},
    checks::{Check, quoted},
    ssh::{Link, Ssh, Trouble},
    wanted::{Host, Wanted},
};
use crate::{
    base::clock::Clock,
    node::{config::NodeRole, detect},
};

/// A host's clock may be so far from that of this machine.
const SKEW_MAX_S: i64 = 5;
/// A token is used at once; the rest is the host's.
const TOKEN_LIFE: &str = "30m";
/// What the installer itself needs of a step beside waiting for the node.
const INSTALLER: Duration = Duration::from_secs(10);

/// What the host says of itself, and of a node that was installed there before.
const FACTS: &str = r#"
list=/etc/tepui/installed
sed -n '/^roles /p; /^version /p' "$list" 2>/dev/null
data=$(sed -n 's/^data_dir //p' "$list" 2>/dev/null)
[ ! -e "${data:-/none}/pki/node.pem" ] || echo 'joined yes'
pid=$(cat /run/tepui.pid 2>/dev/null)
if [ "$(cat "/proc/${pid:-none}/comm" 2>/dev/null)" != tepui ]; then
  pid=$(systemctl show -p MainPID --value tepui 2>/dev/null)
fi
sed -n '/^node /p' "${data:-/none}/health" 2>/dev/null
# What runs, which a run that was broken off may have left behind what lies there.
if [ "${pid:-0}" != 0 ]; then
  echo "runs $(sha256sum <"/proc/$pid/exe" | cut -d' ' -f1)"
fi
echo "room $(df -Pk /usr/local | sed -n '2s/.* \([0-9][0-9]*\)  *[0-9][0-9]*% .*/\1/p')"
echo "clock $(date +%s)"
"#;
/// Where our files are there, which only root may look into.
const DIR: &str = "/var/lib/tepui-installer";
/// Makes it anew, after what an installer that lost its connection does there has ended.
const EMPTIED: &str = r#"
umask 077
n=0
while [ -f "$dir/busy" ] && kill -0 "$(cat "$dir/busy")" 2>/dev/null; do
  [ "$n" -lt 60 ] || { echo "another installer is at work there, process $(cat "$dir/busy")"; exit 1; }
  n=$((n + 1))
  sleep 1
done
rm -rf "$dir"
mkdir "$dir"
"#;
/// How long that one may take.
const BUSY: Duration = Duration::from_secs(60);
/// The command line of the node there, as its own admin.
const CLI: &str = r#"
list=/etc/tepui/installed
data=$(sed -n 's/^data_dir //p' "$list")
tepui=$(sed -n 's/^link \(.*\/bin\/tepui\)$/\1/p; s/^file [0-9a-f]* \(.*\/bin\/tepui\)$/\1/p' "$list")
set -a; . "$data/client.env"; set +a
"#;

/// Containers that run there, by the engine that the node works with.
const CONTAINERS: &str = r#"
command -v docker >/dev/null || exit 0
docker=$(sed -n 's/^docker: *\([^# ]*\).*/\1/p' /etc/tepui/tepui.yaml | tail -n 1 | tr -d "\"'")
DOCKER_HOST=unix://${docker:-/var/run/docker.sock} docker ps --no-trunc --filter label=tepui.instance \
  --format '{{.ID}} {{.Label "tepui.instance"}}'
"#;

/// What is the same for all hosts.
pub struct Terms<'w> {
    pub wanted: &'w Wanted,
    /// Options of install.sh that are passed on.
    pub flags: Vec<String>,
    pub clock: &'w dyn Clock,
}

/// What a host says of itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Facts {
    skew_s: i64,
    /// The roles of the node that was installed there.
    pub roles: Option<String>,
    /// The release that was installed.
    pub version: Option<String>,
    /// The SHA-256 of the program that runs.
    pub program: Option<String>,
    /// It is a member of a cluster.
    pub joined: bool,
    pub runs: bool,
    /// The node's id, where its program tells it.
    pub node: Option<String>,
    /// Free where programs lie.
    pub room_kib: u64,
}

/// An open host.
pub struct Open<'s> {
    pub host: Host,
    pub facts: Facts,
    terms: &'s Terms<'s>,
    link: Link<'s>,
}

impl<'s> Open<'s> {
    /// Reaches the host, asks what is there and leaves the scripts in a directory of its own.
    pub async fn reach(ssh: &'s Ssh, host: Host, terms: &'s Terms<'s>) -> Result<Self, Trouble> {
        let link = ssh.open(&host.address.to_string()).await?;
        let look = format!("dir={DIR}\n{EMPTIED}{FACTS}");
        let told = link.run(&look, terms.wanted.deadline + BUSY).await?;
        // The last thing it said was what time it is.
        let facts = Facts::read(&told, terms.clock.now().as_ms() / 1000);
        let open = Self { host, facts, terms, link };
        let packed = bundle::pack(&open.entries());
        let packed = packed.map_err(|error| Trouble::Failed(vec![error.to_string()]))?;
        let unpack = format!("tar -xzf - -C {DIR}");
        open.link.send(&packed, &unpack, terms.wanted.deadline, &mut |_| {}).await?;
        Ok(open)
    }

    /// Scripts, and what is this host's own.
    fn entries(&self) -> Vec<Entry> {
        let mut entries = bundle::scripts();
        let settings = self.terms.wanted.settings(self.host);
        entries.push(Entry::new("settings.yaml", 0o600, settings));
        let is_master = self.host.role == NodeRole::Master;
        for file in &self.terms.wanted.files {
            if is_master || !file.of_masters {
                let mode = if file.is_program { 0o755 } else { 0o600 };
                let path = format!("files/{}", file.name);
                entries.push(Entry::new(path, mode, file.bytes.clone()));
            }
        }
        for (name, bytes) in &self.terms.wanted.check_bins {
            entries.push(Entry::new(format!("check_bins/{name}"), 0o755, bytes.clone()));
        }
        entries
    }

    /// Whether its node runs and is one of this program.
    pub fn is_as_wanted(&self, program: &str) -> bool {
        let Facts { joined, runs, program: there, .. } = &self.facts;
        *joined && *runs && there.as_deref() == Some(program)
    }

    /// Looks whether the host is fit; what is not, and how to mend it.
    pub async fn preflight(&self) -> Result<(), Trouble> {
        let mut bad = self.role_is_another();
        let skew_s = self.facts.skew_s;
        if skew_s.abs() > SKEW_MAX_S && self.terms.wanted.check_time {
            let side = if skew_s > 0 { "ahead of" } else { "behind" };
            bad.push(format!(
                "clock: it is {} s {side} this machine's; keep both in step (chrony, systemd-timesyncd)",
                skew_s.abs()
            ));
        }
        if let Err(text) = self.detected().await? {
            bad.push(text);
        }
        if !self.facts.runs {
            bad.extend(self.looked_at().await?);
        }
        if bad.is_empty() { Ok(()) } else { Err(Trouble::Failed(bad)) }
    }

    /// Looks at a host whose node is to go on: what of the machine is not as it should be.
    pub async fn preflight_of_a_node(&self) -> Result<(), Trouble> {
        let mut bad = self.role_is_another();
        bad.extend(self.looked_at().await?);
        if bad.is_empty() { Ok(()) } else { Err(Trouble::Failed(bad)) }
    }

    fn role_is_another(&self) -> Vec<String> {
        let before = self.facts.roles.as_deref();
        let before = before.filter(|before| *before != self.host.role.as_str());
        let text = |before| {
            format!(
                "role: a node is there already, as {before}; take it away first: install.sh uninstall --purge"
            )
        };
        before.map(text).into_iter().collect()
    }

    /// What `install.sh --check` finds bad there.
    async fn looked_at(&self) -> Result<Vec<String>, Trouble> {
        let role = self.host.role.as_str();
        let script = format!(
            "cd {DIR}; sh installer/install.sh --check {role} --settings settings.yaml {} </dev/null 2>&1 || :",
            self.flags()
        );
        let said =
            self.said("preflight", self.link.run(&script, self.terms.wanted.deadline).await)?;
        Ok(findings(&said))
    }

    /// Whether the program that tells the address tells one, and a master's the listed one.
    async fn detected(&self) -> Result<Result<(), String>, Trouble> {
        if !self.terms.wanted.files.iter().any(|file| file.name == "ip-detect") {
            return Ok(Ok(()));
        }
        let script =
            format!("cd {DIR}; timeout 30 files/ip-detect 2>&1 || echo \"(it ended with $?)\"");
        let said = self.link.run(&script, self.terms.wanted.deadline).await?;
        Ok(match detect::one_address(&said) {
            Err(problem) => Err(format!(
                "ip-detect: it {problem}, and has to print one address and nothing else"
            )),
            Ok(ip) if self.host.role == NodeRole::Master && ip != self.host.address => {
                Err(format!("ip-detect: it prints {ip}, and master_list has {}", self.host.address))
            }
            Ok(_) => Ok(()),
        })
    }

    fn flags(&self) -> String {
        let mut flags: Vec<String> = self.terms.flags.iter().map(|flag| quoted(flag)).collect();
        if !self.terms.wanted.check_time {
            flags.extend(["--ignore", "clock"].map(str::to_owned));
        }
        flags.join(" ")
    }

    /// Copies the program; `told` hears how many bytes are gone.
    pub async fn copy(
        &self,
        packed: &[u8],
        sum: &str,
        told: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), Trouble> {
        let at = format!("{DIR}/{}", bundle::PROGRAM);
        let unpack = format!("mkdir -p {DIR}/bin && gzip -dc >{at} && chmod 755 {at}");
        self.link.send(packed, &unpack, self.terms.wanted.deadline, told).await?;
        let told = self.link.run(&format!("sha256sum {at}"), self.terms.wanted.deadline).await?;
        match told.split_whitespace().next() == Some(sum) {
            true => Ok(()),
            false => Err(Trouble::Failed(vec!["the program arrived damaged".to_owned()])),
        }
    }

    /// Installs the node and waits until it is ready. `join` is where, and with which token.
    pub async fn install(&self, join: Option<(&[String], &str)>) -> Result<(), Trouble> {
        let deadline = self.terms.wanted.deadline;
        let wait_s = deadline.saturating_sub(INSTALLER).max(INSTALLER).as_secs();
        let files = match self.terms.wanted.files.is_empty() {
            true => "",
            false => "--files files",
        };
        let (token, join) = match join {
            Some((masters, token)) => (token, format!("--join {}", masters.join(","))),
            None => ("", String::new()),
        };
        let script = format!(
            "cd {DIR}; echo $$ >busy; export TEPUI_JOIN_TOKEN={token}\n\
             sh installer/install.sh {role} --checked --binary {program} --settings settings.yaml {files} {join} \
             --wait {wait_s} {flags} </dev/null 2>&1\n",
            token = quoted(token),
            role = self.host.role.as_str(),
            program = bundle::PROGRAM,
            flags = self.flags(),
        );
        // What installs a node may be left to its end: it gives up by itself first.
        let outcome = self.link.run(&script, deadline + INSTALLER).await;
        self.said("install", outcome).map(drop)
    }

    /// Runs the operator's checks that are for this node.
    pub async fn run_checks(&self, checks: &[Check]) -> Result<(), Trouble> {
        let mut bad = Vec::new();
        for check in checks.iter().filter(|check| check.is_for(self.host.role)) {
            let line = check.line(&format!("{DIR}/check_bins"));
            let script = format!("cd /; ({line}) </dev/null 2>&1; echo \"ended with $?\"");
            let said = self.link.run(&script, self.terms.wanted.deadline).await?;
            let code = said.trim().lines().last().unwrap_or_default().to_owned();
            self.said(&check.name, Ok(said.clone()))?;
            // 1 is a warning: it is kept in the log and holds nothing up.
            if !["ended with 0", "ended with 1"].contains(&code.as_str()) {
                let words = said.trim().trim_end_matches(&code).trim().replace('\n', "; ");
                bad.push(format!("check {}: {code}: {words}", check.name));
            }
        }
        if bad.is_empty() { Ok(()) } else { Err(Trouble::Failed(bad)) }
    }

    /// A token for one node of a role, made by this master.
    pub async fn invite(&self, role: NodeRole) -> Result<String, Trouble> {
        let asked = format!("node invite --role {} --ttl {TOKEN_LIFE}", role.as_str());
        let told = self.ask(&asked).await?;
        let token = told["token"].as_str().map(str::to_owned);
        token.ok_or_else(|| Trouble::Failed(vec![format!("the master made no token: {told}")]))
    }

    /// What its command line answers, as JSON.
    pub async fn ask(&self, command: &str) -> Result<Value, Trouble> {
        let script = format!("{CLI}\"$tepui\" {command} --json </dev/null");
        let told = self.link.run(&script, self.terms.wanted.deadline).await?;
        serde_json::from_str(&told).map_err(|error| {
            Trouble::Failed(vec![format!("`tepui {command}` told no JSON: {error}")])
        })
    }

    /// Where its front door is, and whether the first password waits there.
    pub async fn front_door(&self) -> Result<(String, Option<String>), Trouble> {
        let script =
            format!("{CLI}echo \"$TEPUI_URL\"; ls \"$data/initial-password\" 2>/dev/null || :");
        let told = self.link.run(&script, self.terms.wanted.deadline).await?;
        let mut lines = told.lines().map(str::to_owned);
        Ok((lines.next().unwrap_or_default(), lines.next()))
    }

    /// Goes back to the program that ran there before the last upgrade.
    pub async fn back(&self) -> Result<(), Trouble> {
        let flags = self.flags();
        let script = format!(
            "cd {DIR}; echo $$ >busy; sh installer/install.sh back {flags} </dev/null 2>&1"
        );
        let outcome = self.link.run(&script, self.terms.wanted.deadline + INSTALLER).await;
        self.said("back", outcome).map(drop)
    }

    /// What the program that was copied says it is, run there.
    pub async fn version_of_copy(&self) -> Result<String, Trouble> {
        let script = format!("cd {DIR}; timeout 20 {} --version </dev/null 2>&1", bundle::PROGRAM);
        self.link.run(&script, self.terms.wanted.deadline).await
    }

    /// What the installed one says it is.
    pub async fn version_of_program(&self) -> Result<String, Trouble> {
        self.link.run(&format!("{CLI}\"$tepui\" --version"), self.terms.wanted.deadline).await
    }

    /// Containers of tasks that run there, each with its instance; none where no command line of Docker is
    /// there to be asked.
    pub async fn containers(&self) -> Result<Vec<(String, String)>, Trouble> {
        let told = self.link.run(CONTAINERS, self.terms.wanted.deadline).await?;
        let pair = |line: &str| {
            let (id, instance) = line.split_once(' ')?;
            Some((id.to_owned(), instance.to_owned()))
        };
        Ok(told.lines().filter_map(pair).collect())
    }

    /// A backup of its cluster for these public keys.
    pub async fn backup(&self, keys: &[String]) -> Result<Vec<u8>, Trouble> {
        let keys: Vec<String> = keys.iter().map(|key| format!("--for {}", quoted(key))).collect();
        // Of a pipe only the end of its last command is known.
        let script = format!(
            "{CLI}umask 077; \"$tepui\" backup create -o {DIR}/backup {} --quiet </dev/null && base64 {DIR}/backup",
            keys.join(" ")
        );
        let mut told = self.link.run(&script, self.terms.wanted.deadline).await?;
        told.retain(|c| !c.is_whitespace());
        let bytes = base64::engine::general_purpose::STANDARD.decode(told);
        bytes.map_err(|error| Trouble::Failed(vec![format!("the backup came damaged: {error}")]))
    }

    /// Takes the node away.
    pub async fn uninstall(&self, purge: bool) -> Result<(), Trouble> {
        let purge = if purge { "--purge" } else { "" };
        let script = format!("cd {DIR}; sh installer/install.sh uninstall {purge} </dev/null 2>&1");
        let outcome = self.link.run(&script, self.terms.wanted.deadline).await;
        self.said("uninstall", outcome).map(drop)
    }

    /// Removes our files there. What is left in a temporary directory is no failure.
    pub async fn clean(&self) {
        let _ = self.link.run(&format!("rm -rf {DIR}"), self.terms.wanted.deadline).await;
    }

    /// Keeps what was said in the host's log, where there is one.
    fn said(&self, step: &str, outcome: Result<String, Trouble>) -> Result<String, Trouble> {
        if let Some(dir) = &self.terms.wanted.log_dir {
            let text = match &outcome {
                Ok(text) => text.clone(),
                Err(trouble) => trouble.to_string(),
            };
            let at = self.terms.clock.now();
            let kept = log(dir, self.host, &format!("== {step} {at}\n{}\n", text.trim_end()));
            if let Err(error) = kept {
                let text = format!("the log in {} cannot be written: {error}", dir.display());
                return Err(Trouble::Failed(vec![text]));
            }
        }
        outcome
    }
}

fn log(dir: &Path, host: Host, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    let path = dir.join(format!("{}.log", host.address));
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())
}

impl Facts {
    fn read(told: &str, now_s: i64) -> Self {
        let mut facts = Self::default();
        for (name, value) in told.lines().filter_map(|line| line.split_once(' ')) {
            match name {
                "clock" => facts.skew_s = value.parse().map_or(0, |clock: i64| clock - now_s),
                "roles" => facts.roles = Some(value.to_owned()),
                "version" => facts.version = Some(value.to_owned()),
                "joined" => facts.joined = true,
                "runs" => (facts.runs, facts.program) = (true, Some(value.to_owned())),
                "node" => facts.node = Some(value.to_owned()),
                "room" => facts.room_kib = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        facts
    }
}

/// The bad lines of a preflight, each with how to mend it.
fn findings(said: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_bad = false;
    for line in said.lines() {
        if line.starts_with(' ') {
            if let Some(last) = found.last_mut().filter(|_| is_bad) {
                *last += &format!("; {}", line.trim());
            }
            continue;
        }
        let mut words = line.split_whitespace();
        is_bad = words.next() == Some("bad");
        if is_bad && let Some(about) = words.next() {
            found.push(format!("{about}: {}", words.collect::<Vec<_>>().join(" ")));
        }
        // The installer's own words: something it was told is wrong.
        if let Some(text) =
            line.strip_prefix("install.sh: ").filter(|text| !text.contains(" to mend"))
        {
            found.push(text.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bad_is_told_with_how_to_mend_it() {
        let said = "ok    root       this is root\n\
                    note  clock      nobody tells\n                 install chrony\n\
                    bad   ports      port 53 (DNS) is taken by dnsmasq (pid 12)\n                 end it\n\
                    bad   memory     100 MiB\ninstall.sh: 2 to mend\n";
        let wanted =
            ["ports: port 53 (DNS) is taken by dnsmasq (pid 12); end it", "memory: 100 MiB"];
        assert_eq!(findings(said), wanted);
        assert_eq!(findings("install.sh: x is no role\n"), ["x is no role"]);
    }

    #[test]
    fn a_host_says_what_is_there() {
        let said = "clock 1010\nroles master, agent\nversion 0.1.0\nroom 77\njoined yes\n";
        let facts = Facts::read(said, 1000);
        assert_eq!((facts.skew_s, facts.joined, facts.runs), (10, true, false));
        assert_eq!((facts.version.as_deref(), facts.room_kib), (Some("0.1.0"), 77));
        let running = Facts::read("clock 1000\nruns ab\nnode n-S1\n", 1000);
        assert_eq!((running.runs, running.program.as_deref()), (true, Some("ab")));
        assert_eq!(running.node.as_deref(), Some("n-S1"));
        assert_eq!(facts.roles.as_deref(), Some("master, agent"));
        assert_eq!(Facts::read("clock 1000\n", 1000), Facts::default());
    }
}
