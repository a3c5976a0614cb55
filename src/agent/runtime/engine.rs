//! The runtime on the container engine: images on demand, the node's root for plain commands.
//!
//! Creating tries first and asks for the image only when the engine says it has none, so that a
//! start costs two calls. At most `limit::CONTAINER_STARTS_MAX` containers are created and started
//! at a time; pulls wait outside that bound.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::BoxStream};
use nix::sys::signal::Signal;
use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::Instant};

use super::{Launch, Progress, Runtime};
use crate::{
    agent::metrics,
    base::{clock::Timestamp, error::chain, limit},
    host::docker::{
        ContainerPlan, Engine, EngineError, Found,
        cgroup::{self, GroupUsage},
        engine::{EngineEvent, FoundState, Inspected},
        logs::LogPiece,
        plan::Rights,
        processes,
        rooted::Root,
        session::{EndPlan, ExecPlan, Session},
        stop::{Step, Stop},
    },
};

/// Label that says which cluster a container belongs to.
pub const LABEL_CLUSTER: &str = "tepui.cluster";
/// Label that says which agent made it.
pub const LABEL_AGENT: &str = "tepui.agent";
/// What says of a network that an agent made it.
const NETWORK_LABELS: [&str; 2] = [LABEL_CLUSTER, LABEL_AGENT];
/// How long the layout of the node's root is taken as unchanged.
const ROOT_FRESH: Duration = Duration::from_secs(60);
/// The engine's words for a network's name that several have. Another agent of this engine may have
/// made its own at the same moment, and removes it when it sees ours.
const DOUBLE: &str = "is ambiguous";
const DOUBLE_TRIES: u32 = 3;
const DOUBLE_WAIT: Duration = Duration::from_millis(500);
/// The engine's words for a directory to mount that is not there.
const NO_SOURCE: &str = "bind source path does not exist";

/// How often a container is looked at whose processes are ending.
const POLL: Duration = Duration::from_millis(50);
const POLL_MAX: Duration = Duration::from_millis(500);
/// Networks of ours that nobody has used for this long are removed; the next start makes them again.
const NETWORK_IDLE: Duration = Duration::from_secs(600);

/// Containers of one agent on one engine.
pub struct EngineRuntime {
    engine: Engine,
    agent: String,
    starts: Semaphore,
    root: tokio::sync::Mutex<Option<(Instant, Arc<Root>)>>,
    /// Whether the engine lacks the small init process; found out at the first start that wants it.
    without_init: Mutex<bool>,
}

impl EngineRuntime {
    /// Containers of agent `agent` on the engine at `socket`.
    pub fn new(socket: &str, agent: &str) -> Self {
        Self {
            engine: Engine::new(socket),
            agent: agent.to_owned(),
            starts: Semaphore::new(limit::CONTAINER_STARTS_MAX),
            root: tokio::sync::Mutex::default(),
            without_init: Mutex::new(false),
        }
    }

    /// Removes networks made by this agent that no container has and nobody asked for within `idle`;
    /// returns their names.
    pub async fn remove_unused_networks(
        &self,
        idle: Duration,
        now: Timestamp,
    ) -> Result<Vec<String>, EngineError> {
        let gone = self.engine.remove_unused_networks(LABEL_AGENT, &self.agent, idle, now).await?;
        for name in &gone {
            tracing::info!(network = name, "unused network removed");
        }
        Ok(gone)
    }

    async fn create_container(
        &self,
        launch: &Launch,
        progress: Progress<'_>,
    ) -> Result<String, EngineError> {
        let mut plan = launch.plan.clone();
        if launch.is_plain {
            self.root_plan(&mut plan).await?;
        } else if launch.force_pull {
            self.pull(&plan.image, launch, progress).await?;
        }
        plan.init &= !*self.without_init.lock();
        let ours = plan.labels.iter().filter(|(name, _)| NETWORK_LABELS.contains(&name.as_str()));
        plan.network_labels = ours.map(|(name, value)| (name.clone(), value.clone())).collect();
        let (mut has_looked, mut has_image) = (false, launch.force_pull);
        loop {
            match self.create_replacing(&plan).await {
                // A directory of the node that has gone since its root was looked at.
                Err(EngineError::Refused { message, .. })
                    if launch.is_plain && !has_looked && message.contains(NO_SOURCE) =>
                {
                    has_looked = true;
                    *self.root.lock().await = None;
                    plan.mounts.clone_from(&launch.plan.mounts);
                    self.root_plan(&mut plan).await?;
                }
                Err(EngineError::NoSuch(_)) if !has_image => {
                    has_image = true;
                    if launch.is_plain {
                        self.make_root_image().await?;
                    } else {
                        self.pull(&plan.image, launch, progress).await?;
                    }
                }
                outcome => return outcome,
            }
        }
    }

    async fn pull(
        &self,
        image: &str,
        launch: &Launch,
        progress: Progress<'_>,
    ) -> Result<(), EngineError> {
        progress(format!("pulling image {image}"));
        let began = Instant::now();
        let outcome = self.engine.pull(image, &launch.logins, progress).await;
        metrics::pulled(image, began.elapsed(), &outcome);
        outcome.map_err(|error| match error {
            EngineError::NoSuch(text) => EngineError::NoImage(text),
            EngineError::Refused { message, .. } => EngineError::NoImage(message),
            error => error,
        })
    }

    /// Creates; a dead container of ours that still holds the name makes way.
    async fn create_replacing(&self, plan: &ContainerPlan) -> Result<String, EngineError> {
        let permit = self.starts.acquire().await;
        let outcome = match self.engine.create(plan).await {
            Err(EngineError::Conflict(text)) if self.make_way(&plan.name).await => {
                tracing::info!(name = plan.name, error = text, "dead container made way");
                self.engine.create(plan).await
            }
            outcome => outcome,
        };
        drop(permit);
        outcome
    }

    async fn make_way(&self, name: &str) -> bool {
        let Ok(list) = self.list_own().await else { return false };
        let Some(old) = list.iter().find(|c| c.name == name) else { return false };
        old.state != FoundState::Running && self.engine.remove(&old.id).await.is_ok()
    }

    async fn list_own(&self) -> Result<Vec<Found>, EngineError> {
        self.engine.list(LABEL_AGENT, &self.agent).await
    }

    async fn root_plan(&self, plan: &mut ContainerPlan) -> Result<(), EngineError> {
        let root = self.root().await?;
        let (repo, tag) = root.image();
        plan.image = format!("{repo}:{tag}");
        let mut mounts = root.mounts().to_vec();
        mounts.append(&mut plan.mounts);
        plan.mounts = mounts;
        plan.rights = Rights::Node { capabilities: own_capabilities() };
        Ok(())
    }

    async fn root(&self) -> Result<Arc<Root>, EngineError> {
        let mut slot = self.root.lock().await;
        if let Some((at, root)) = &*slot
            && at.elapsed() < ROOT_FRESH
        {
            return Ok(root.clone());
        }
        let data = PathBuf::from(self.engine.data_root().await?);
        let read = tokio::task::spawn_blocking(move || Root::of_node(&data)).await;
        let refused = |message: String| EngineError::Refused { status: 500, message };
        let root = read.map_err(|e| refused(chain(&e)))?.map_err(|e| {
            refused(format!("cannot read this node's root directory: {}", chain(&e)))
        })?;
        let root = Arc::new(root);
        *slot = Some((Instant::now(), root.clone()));
        Ok(root)
    }

    async fn make_root_image(&self) -> Result<(), EngineError> {
        let root = self.root().await?;
        let (repo, tag) = root.image();
        let archive = root.archive().map_err(|e| EngineError::Refused {
            status: 500,
            message: format!("cannot make the image of plain commands: {}", chain(&e)),
        })?;
        self.engine.import(&repo, &tag, archive).await
    }

    async fn start_container(&self, id: &str) -> Result<(), EngineError> {
        let permit = self.starts.acquire().await;
        let mut outcome = self.engine.start(id).await;
        for _ in 0..DOUBLE_TRIES {
            let Err(EngineError::Refused { message, .. }) = &outcome else { break };
            if !message.contains(DOUBLE) {
                break;
            }
            tokio::time::sleep(DOUBLE_WAIT).await;
            outcome = self.engine.start(id).await;
        }
        drop(permit);
        if let Err(EngineError::Refused { message, .. }) = &outcome
            && message.contains("docker-init")
        {
            *self.without_init.lock() = true;
        }
        outcome
    }

    /// SIGTERM in the order of `stop`, until nobody is left or nobody could get it. SIGKILL at the
    /// end of the grace is the worker's.
    async fn stop_container(&self, id: &str, is_plain: bool) -> Result<(), EngineError> {
        let mut processes = processes::of_container(id);
        if processes.is_empty() {
            return self.engine.kill(id, "SIGTERM").await; // the engine may know where they are
        }
        let (began, mut stop) = (Instant::now(), Stop::new(is_plain));
        loop {
            match stop.next(&processes, began.elapsed()) {
                Step::Tell(wave) => {
                    for process in wave {
                        process.signal(Signal::SIGTERM);
                    }
                }
                Step::Wait => {}
                Step::Kill => return self.engine.kill(id, "SIGKILL").await,
                Step::Gone => return Ok(()),
            }
            // A long grace is looked at less often.
            tokio::time::sleep((began.elapsed() / 20).clamp(POLL, POLL_MAX)).await;
            processes = processes::of_container(id);
        }
    }
}

impl Runtime for EngineRuntime {
    fn warm_up(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        async {
            let (repo, tag) = self.root().await?.image();
            if self.engine.has_image(&format!("{repo}:{tag}")).await? {
                return Ok(());
            }
            self.make_root_image().await
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Found>, EngineError>> {
        self.list_own().boxed()
    }

    fn inspect<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Inspected, EngineError>> {
        self.engine.inspect(id).boxed()
    }

    fn events(
        &self,
        since: i64,
    ) -> BoxFuture<'_, Result<BoxStream<'static, EngineEvent>, EngineError>> {
        async move { Ok(self.engine.events(LABEL_AGENT, &self.agent, since).await?.boxed()) }
            .boxed()
    }

    fn create<'a>(
        &'a self,
        launch: &'a Launch,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<String, EngineError>> {
        self.create_container(launch, progress).boxed()
    }

    fn user_of<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<(u32, u32)>, EngineError>> {
        self.engine.user_of(id).boxed()
    }

    fn start<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), EngineError>> {
        self.start_container(id).boxed()
    }

    fn terminate<'a>(
        &'a self,
        id: &'a str,
        is_plain: bool,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        self.stop_container(id, is_plain).boxed()
    }

    fn kill<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), EngineError>> {
        self.engine.kill(id, "SIGKILL").boxed()
    }

    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), EngineError>> {
        self.engine.remove(id).boxed()
    }

    fn logs<'a>(
        &'a self,
        id: &'a str,
        since: i32,
    ) -> BoxFuture<'a, Result<BoxStream<'a, Result<LogPiece, EngineError>>, EngineError>> {
        async move { Ok(self.engine.follow_logs(id, since).await?.boxed()) }.boxed()
    }

    fn exec<'a>(
        &'a self,
        id: &'a str,
        plan: ExecPlan,
    ) -> BoxFuture<'a, Result<Session, EngineError>> {
        self.engine.exec(id, plan).boxed()
    }

    fn exec_end<'a>(&'a self, id: &'a str, plan: EndPlan) -> BoxFuture<'a, bool> {
        async move { self.engine.end_exec(id, &plan).await }.boxed()
    }

    fn exec_end_others<'a>(
        &'a self,
        id: &'a str,
        keep: &'a str,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        self.engine.end_other_execs(id, keep).boxed()
    }

    fn exec_resize<'a>(
        &'a self,
        session: &'a str,
        rows: u16,
        columns: u16,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        self.engine.exec_resize(session, rows, columns).boxed()
    }

    fn exec_exit_code<'a>(
        &'a self,
        session: &'a str,
    ) -> BoxFuture<'a, Result<Option<i32>, EngineError>> {
        self.engine.exec_exit_code(session).boxed()
    }

    fn tidy(&self, now: Timestamp) -> BoxFuture<'_, Result<(), EngineError>> {
        async move { self.remove_unused_networks(NETWORK_IDLE, now).await.map(drop) }.boxed()
    }

    fn usage(&self, id: &str) -> Option<GroupUsage> {
        cgroup::usage(id)
    }
}

/// The capabilities this process may hand on, by the engine's names (a node may lack some; asking
/// for one that is not there fails the start).
fn own_capabilities() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bounding = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    CAPABILITIES
        .iter()
        .enumerate()
        .filter(|(bit, _)| bounding & (1 << bit) != 0)
        .map(|(_, name)| (*name).to_owned())
        .collect()
}

/// By bit, from the kernel's `capability.h`. The last three are younger than engine 20.10.
const CAPABILITIES: [&str; 38] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
];
