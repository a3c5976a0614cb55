//! One master: a log with the real state, told what to do by lines on its input, answering each by a
//! line.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use tepui::{
    base::{
        clock::{Clock as _, SystemClock},
        level::LEVEL,
        rng::Rng,
        task::Tasks,
    },
    core::{ClusterCommand, Command, NodeCommand, State, invariant},
    host::pki::{Identity, Role},
    log::{
        Disk, Links, Log, LogConfig, Timing,
        peer::transport::{TlsAccept, TlsConnect},
        tend::Retention,
        types::{Member, MemberId},
    },
    model::{master::Master, node::NodeInfo},
    sim::Cast,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
};

/// First argument of a process that is a master.
pub const ROLE: &str = "--member";
/// Nodes and instances of the made-up cluster.
const NODES: usize = 4;
const INSTANCES_MAX: u32 = 40;
const PATIENCE: Duration = Duration::from_secs(30);

struct Told {
    id: MemberId,
    dir: PathBuf,
    addresses: BTreeMap<MemberId, String>,
}

impl Told {
    fn read(args: &[String]) -> anyhow::Result<Self> {
        let [id, dir, addresses @ ..] = args else { anyhow::bail!("{ROLE} ID DIR ADDRESS…") };
        let addresses = (1..).zip(addresses.iter().cloned()).collect();
        Ok(Self { id: id.parse()?, dir: PathBuf::from(dir), addresses })
    }

    async fn open(&self, tasks: &Tasks) -> anyhow::Result<Log<State>> {
        let identity = Identity::load(&self.dir.join("identity"))?;
        let own = self.addresses.get(&self.id).context("an address of its own")?;
        let listener = TcpListener::bind(own).await?;
        let server = identity.server_config(&[Role::Master])?;
        let connect = TlsConnect::new(identity.client_config()?, Role::Master.server_name());
        let links = Links {
            connect: Arc::new(connect),
            accept: Box::new(TlsAccept::new(listener, server)),
        };
        let member = |address: &String| Member { address: address.clone() };
        let config = LogConfig {
            cluster: "mixed".to_owned(),
            id: self.id,
            members: self.addresses.iter().map(|(id, a)| (*id, member(a))).collect(),
            disk: Disk::at(self.dir.join("store")),
            timing: Timing { compare: Duration::from_secs(1), ..Timing::default() },
            retention: Retention { n_entries: 64, n_bytes: 1 << 20, ..Retention::default() },
            rng: Rng::from_os(),
            level: LEVEL,
        };
        Ok(Log::open(config, Some(links), SystemClock::shared(), tasks.clone()).await?)
    }
}

/// A master's life: until its input ends or says `stop`.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let told = Told::read(args)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let tasks = Tasks::new("member");
        let log = told.open(&tasks).await?;
        say("open")?;
        tokio::select! {
            served = serve(&log) => served?,
            failed = tasks.failed() => anyhow::bail!("{failed}"),
        }
        log.stop().await;
        tasks.stop(Duration::from_secs(5)).await;
        Ok(())
    })
}

async fn serve(log: &Log<State>) -> anyhow::Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut cast = Cast::new(Rng::from_os(), NODES, INSTANCES_MAX);
    while let Some(line) = lines.next_line().await?.filter(|line| line != "stop") {
        let answer = answer(log, &mut cast, &line).await;
        say(&answer.unwrap_or_else(|e| format!("error {e:#}")).replace('\n', " "))?;
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

async fn answer(log: &Log<State>, cast: &mut Cast, line: &str) -> anyhow::Result<String> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["ready"] => {
            log.ready(PATIENCE).await?;
            Ok("ready".to_owned())
        }
        ["move", n] => {
            for _ in 0..n.parse()? {
                let state = log.state();
                let command = cast.next(&state, SystemClock.now(), SystemClock.moment());
                let _rejected = propose(log, command).await?;
            }
            Ok("moved".to_owned())
        }
        ["mark"] => {
            let state = log.state();
            let findings = invariant::check(&state);
            anyhow::ensure!(findings.is_empty(), "{findings:?}");
            Ok(format!("mark {} {:016x}", state.revision, state.fingerprint()))
        }
        ["leads"] => Ok(format!("leads {}", log.is_leader())),
        ["register", id] => {
            let id = id.parse()?;
            propose(log, ClusterCommand::RegisterMaster(Box::new(master(id)))).await??;
            Ok("registered".to_owned())
        }
        ["upgrade"] => {
            let state = log.state();
            for master in state.masters.values() {
                let master = Master { level: LEVEL, ..(**master).clone() };
                propose(log, ClusterCommand::RegisterMaster(Box::new(master))).await??;
            }
            for node in state.nodes.values() {
                let info = NodeInfo { level: LEVEL, ..node.info.clone() };
                let _rejected = propose(log, NodeCommand::RegisterNode(Box::new(info))).await?;
            }
            Ok("upgraded".to_owned())
        }
        ["raise", level] => {
            Ok(match propose(log, ClusterCommand::RaiseLevel(level.parse()?)).await? {
                Ok(_) => "raised".to_owned(),
                Err(rejected) => rejected.to_string(),
            })
        }
        _ => anyhow::bail!("what is {line:?}"),
    }
}

fn master(id: MemberId) -> Master {
    Master::new(id, "mixed", LEVEL, Default::default())
}

/// Tries again while the masters look for a leader.
async fn propose(
    log: &Log<State>,
    command: impl Into<Command>,
) -> anyhow::Result<tepui::core::Outcome> {
    let (request, command) = (log.new_request(), command.into());
    let end = SystemClock.moment() + PATIENCE;
    loop {
        match log.propose_as(request, command.clone(), PATIENCE).await {
            Ok(outcome) => return Ok(outcome),
            Err(error) if SystemClock.moment() >= end => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Where a master keeps its identity.
pub fn identity_dir(dir: &Path) -> PathBuf {
    dir.join("identity")
}
