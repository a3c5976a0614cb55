//! Three masters as processes, each of one of two builds.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Lines, Read as _, Write as _},
    net::TcpListener,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tempfile::TempDir;
use tepui::{
    base::{
        clock::{Clock as _, SystemClock},
        level::LEVEL,
    },
    host::pki::{Authority, Role, Subject},
    log::types::MemberId,
};

use crate::member;

pub const IDS: [MemberId; 3] = [1, 2, 3];
const PATIENCE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(50);

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Build {
    This,
    Next,
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn line(&mut self) -> anyhow::Result<String> {
        if let Some(line) = self.output.next() {
            return Ok(line?);
        }
        let mut said = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            stderr.read_to_string(&mut said)?;
        }
        anyhow::bail!("ended: {said}")
    }

    fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        writeln!(self.input, "{question}")?;
        self.input.flush()?;
        let answer = self.line()?;
        anyhow::ensure!(!answer.starts_with("error "), "{question}: {answer}");
        Ok(answer)
    }
}

pub struct Cluster {
    dir: TempDir,
    programs: [PathBuf; 2],
    addresses: Vec<String>,
    builds: BTreeMap<MemberId, Build>,
    running: BTreeMap<MemberId, Process>,
}

impl Cluster {
    /// Three masters, the first of which has founded the cluster.
    pub fn start(programs: &[PathBuf; 2], mix: [Build; 3]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let authority = Authority::create("mixed", SystemClock.now())?;
        let mut addresses = Vec::new();
        for id in IDS {
            let subject = Subject { node: &format!("m{id}"), roles: &[Role::Master], names: &[] };
            let identity = authority.issue(&subject, SystemClock.now())?;
            let own = member::identity_dir(&dir.path().join(id.to_string()));
            std::fs::create_dir_all(&own)?;
            identity.save(&own)?;
            addresses.push(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string());
        }
        let builds = IDS.into_iter().zip(mix).collect();
        let running = BTreeMap::new();
        let mut cluster = Self { dir, programs: programs.clone(), addresses, builds, running };
        for id in IDS {
            cluster.launch(id)?;
        }
        for id in IDS {
            cluster.ask(id, "ready")?;
        }
        cluster.ask(IDS[0], "move 1")?;
        for id in IDS {
            cluster.ask(id, &format!("register {id}"))?;
        }
        Ok(cluster)
    }

    pub fn build(&self, id: MemberId) -> Build {
        self.builds[&id]
    }

    fn command(&self, id: MemberId, build: Build) -> Command {
        let mut command = Command::new(&self.programs[build as usize]);
        command.arg(member::ROLE).arg(id.to_string()).arg(self.dir.path().join(id.to_string()));
        command.args(&self.addresses);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn launch(&mut self, id: MemberId) -> anyhow::Result<()> {
        let mut child = self.command(id, self.build(id)).spawn()?;
        let input = child.stdin.take().context("its input")?;
        let output = BufReader::new(child.stdout.take().context("its output")?).lines();
        let mut process = Process { child, input, output };
        anyhow::ensure!(process.line()? == "open", "master {id} does not open");
        self.running.insert(id, process);
        Ok(())
    }

    fn ask(&mut self, id: MemberId, question: &str) -> anyhow::Result<String> {
        let process = self.running.get_mut(&id).context("it runs")?;
        process.ask(question).with_context(|| format!("master {id}"))
    }

    /// Starts a stopped master and lets it tell what it can do.
    pub fn start_one(&mut self, id: MemberId) -> anyhow::Result<()> {
        self.launch(id)?;
        self.ask(id, "ready")?;
        self.ask(id, &format!("register {id}")).map(drop)
    }

    pub fn stop(&mut self, id: MemberId) -> anyhow::Result<()> {
        let mut process = self.running.remove(&id).context("it runs")?;
        writeln!(process.input, "stop")?;
        process.input.flush()?;
        let status = process.child.wait()?;
        anyhow::ensure!(status.success(), "master {id} ended with {status}");
        Ok(())
    }

    /// The master goes on as another build, on what it has.
    pub fn change(&mut self, id: MemberId, build: Build) -> anyhow::Result<()> {
        self.stop(id)?;
        self.builds.insert(id, build);
        self.start_one(id)
    }

    /// What a build says that does not start on a master's store.
    pub fn refused(&self, id: MemberId, build: Build) -> anyhow::Result<String> {
        let output = self.command(id, build).stdin(Stdio::null()).output()?;
        anyhow::ensure!(!output.status.success(), "it started");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Commands through each master in turn; then all have the same state, which is sound.
    pub fn move_all(&mut self, n: u32) -> anyhow::Result<()> {
        for id in IDS {
            self.ask(id, &format!("move {n}"))?;
        }
        let end = Instant::now() + PATIENCE;
        loop {
            let mut marks = Vec::new();
            for id in IDS {
                marks.push(self.ask(id, "mark")?);
            }
            if marks.iter().all(|mark| *mark == marks[0]) {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < end, "they differ: {marks:?}");
            std::thread::sleep(POLL);
        }
    }

    /// Commands through the others while `away` is not there.
    pub fn move_by_another(&mut self, away: MemberId, n: u32) -> anyhow::Result<()> {
        let other = IDS.into_iter().find(|id| *id != away).context("another one")?;
        self.ask(other, &format!("move {n}")).map(drop)
    }

    fn leader(&mut self) -> anyhow::Result<MemberId> {
        let end = Instant::now() + PATIENCE;
        loop {
            for id in IDS {
                if self.running.contains_key(&id) && self.ask(id, "leads")? == "leads true" {
                    return Ok(id);
                }
            }
            anyhow::ensure!(Instant::now() < end, "nobody leads");
            std::thread::sleep(POLL);
        }
    }

    /// Stops and starts leaders until one of this build leads.
    pub fn led_by(&mut self, build: Build) -> anyhow::Result<()> {
        for _ in 0..20 {
            let leader = self.leader()?;
            if self.build(leader) == build {
                return Ok(());
            }
            self.stop(leader)?;
            self.start_one(leader)?;
        }
        anyhow::bail!("none of {build:?} comes to lead")
    }

    /// Asks for the next level, with all three told of: the crowd takes their numbers for its own.
    pub fn raise(&mut self) -> anyhow::Result<String> {
        for id in IDS {
            self.ask(id, &format!("register {id}"))?;
        }
        self.ask(IDS[2], &format!("raise {}", LEVEL + 1))
    }

    /// Made-up masters and nodes can do what the last master can.
    pub fn upgrade_the_rest(&mut self) -> anyhow::Result<()> {
        self.ask(IDS[2], "upgrade").map(drop)
    }

    pub fn end(mut self) -> anyhow::Result<()> {
        IDS.into_iter().try_for_each(|id| self.stop(id))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
