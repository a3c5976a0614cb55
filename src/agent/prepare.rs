//! Bringing an incarnation up: sandbox, artifacts, containers, in that order where it matters.
//!
//! The sandbox and the containers are made at the same time as artifacts are fetched; only the
//! start waits for both. An error carries the text people see and whether trying again could help.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    accounts::account,
    config::AgentConfig,
    desired::{Event, Key},
    fetch::Fetcher,
    launch::{self, Account, BadSpec, Site},
    record::Member,
    runtime::{Launch, Runtime},
    sandbox::Sandboxes,
    worker::Input,
};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        error::chain,
    },
    host::docker::{EngineError, images::RegistryLogins},
    model::{
        container::{ContainerSpec, VolumeSource},
        instance::{Condition, ContainerStatus},
        link::Order,
        workload::{Kind, NetworkMode},
    },
};

/// Why an incarnation could not be started.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    #[error(transparent)]
    Spec(#[from] BadSpec),
    #[error("{0}")]
    User(String),
    #[error("Failed to fetch all URIs for container: {0}")]
    Fetch(String),
    #[error("cannot prepare the sandbox: {0}")]
    Sandbox(#[source] std::io::Error),
    #[error("cannot get the container ready: {0}")]
    Create(#[source] EngineError),
    #[error("Container launch failed: {0}")]
    Start(#[source] EngineError),
    #[error("killed while it was being launched")]
    Cancelled,
}

impl NotStarted {
    /// The definition is at fault.
    fn is_error(&self) -> bool {
        matches!(self, Self::Spec(_) | Self::Create(EngineError::BadOption(_)))
    }

    /// The engine went away meanwhile: to be tried again when it is back.
    fn is_away(&self) -> bool {
        matches!(self, Self::Create(e) | Self::Start(e) if e.is_away())
    }
}

/// What starting needs, shared by all starts.
pub struct Starter {
    pub config: Arc<AgentConfig>,
    pub runtime: Arc<dyn Runtime>,
    pub sandboxes: Sandboxes,
    pub fetcher: Arc<Fetcher>,
    pub clock: Arc<dyn Clock>,
    pub seccomp: BTreeMap<String, String>,
}

impl Starter {
    /// Brings `order` up and tells the worker each step; ends with `Started`, `NotStarted` or, when
    /// the engine went away, `NoEngine`. What was created before a failure is removed.
    pub async fn run(
        self: Arc<Self>,
        order: Arc<Order>,
        to: mpsc::Sender<Input>,
        cancel: CancellationToken,
    ) {
        let key = (order.instance.clone(), order.incarnation);
        let made = Mutex::new(Vec::new());
        let outcome = tokio::select! {
            outcome = self.bring_up(&order, &key, &to, &made) => outcome,
            () = cancel.cancelled() => Err(NotStarted::Cancelled),
        };
        let input = match outcome {
            Ok(event) => Input::Task(key, event),
            Err(error) => {
                let made = made.into_inner();
                for id in &made {
                    if let Err(error) = self.runtime.remove(id).await {
                        tracing::warn!(instance = %key.0, %error, "container left behind");
                    }
                }
                if error.is_away() {
                    Input::NoEngine(key, chain(&error))
                } else {
                    let message = chain(&error);
                    Input::Task(key, Event::NotStarted { message, error: error.is_error() })
                }
            }
        };
        // The worker is gone only when everything ends.
        drop(to.send(input).await);
    }

    async fn bring_up(
        &self,
        order: &Order,
        key: &Key,
        to: &mpsc::Sender<Input>,
        made: &Mutex<Vec<String>>,
    ) -> Result<Event, NotStarted> {
        let account = self.account_of(order)?;
        let owner = account.as_ref().map(|a| (a.uid, a.gid));
        let dirs = directories(order);
        let sandbox = self
            .sandboxes
            .create(&order.spec.id, key, &dirs, owner)
            .map_err(NotStarted::Sandbox)?;
        for name in persistent(order) {
            self.sandboxes.create_volume(key, name, owner).map_err(NotStarted::Sandbox)?;
        }
        drop(to.send(Input::Prepared(key.clone(), owner)).await);

        let resolver = self.config.resolver.settled().await;
        let is_pod = order.spec.kind == Kind::Pod;
        let volumes = self.sandboxes.volumes(key);
        let infra = if is_pod && order.spec.network_mode() != NetworkMode::Host {
            let site = Site { resolver, ..self.site(&sandbox, &volumes, None, None) };
            let launch = launch::infra(order, &site);
            let id = self.create(key, &launch, launch::INFRA, to, made).await?;
            self.runtime.start(&id).await.map_err(NotStarted::Start)?;
            Some(id)
        } else {
            None
        };
        let mut ids = Vec::new();
        for container in &order.spec.containers {
            let dir = container_dir(&sandbox, container, is_pod);
            let site = self.site(&dir, &volumes, account.as_ref(), infra.as_deref());
            let site = Site { resolver, ..site };
            let launch = launch::launch(order, container, &site)?;
            let work = Work { key, container, dir: &dir, owner, to, made };
            ids.push(self.prepare(work, launch).await?);
        }
        for id in &ids {
            self.runtime.start(id).await.map_err(NotStarted::Start)?;
        }
        self.started(order, infra.as_ref().or(ids.first())).await
    }

    /// Fetches and creates side by side; credentials among the artifacts make it one by one.
    async fn prepare(&self, work: Work<'_>, mut launch: Launch) -> Result<String, NotStarted> {
        let Work { key, container, dir, owner, to, made } = work;
        let fetch = async {
            if container.fetch.is_empty() {
                return Ok(());
            }
            let text = format!("fetching {} artifacts", container.fetch.len());
            drop(to.send(Input::Task(key.clone(), Event::Progress(text))).await);
            let who = container.user.as_deref().unwrap_or("");
            let fetched = self.fetcher.fetch_all(&container.fetch, dir, owner, who).await;
            fetched.map_err(|e| NotStarted::Fetch(chain(&e)))
        };
        let has_logins = container.fetch.iter().any(|a| a.uri.contains("docker"));
        if launch.is_plain || !has_logins {
            let create = self.create(key, &launch, &container.name, to, made);
            let (fetched, id) = tokio::join!(fetch, create);
            fetched?;
            return id;
        }
        fetch.await?;
        launch.logins = logins(dir);
        self.create(key, &launch, &container.name, to, made).await
    }

    async fn create(
        &self,
        key: &Key,
        launch: &Launch,
        name: &str,
        to: &mpsc::Sender<Input>,
        made: &Mutex<Vec<String>>,
    ) -> Result<String, NotStarted> {
        let progress = |text: String| {
            // Progress is for people; a full queue may lose some.
            drop(to.try_send(Input::Task(key.clone(), Event::Progress(text))));
        };
        let id = self.runtime.create(launch, &progress).await.map_err(NotStarted::Create)?;
        made.lock().push(id.clone());
        let member = Member { name: name.to_owned(), id: id.clone(), is_plain: launch.is_plain };
        // Known to the worker before the start, so that it understands a death right after it.
        drop(to.send(Input::Created(key.clone(), member)).await);
        Ok(id)
    }

    async fn started(&self, order: &Order, network: Option<&String>) -> Result<Event, NotStarted> {
        let at = self.clock.now();
        let mut addresses = Vec::new();
        if let Some(id) = network
            && order.spec.network_mode() != NetworkMode::Host
        {
            addresses = self.runtime.inspect(id).await.map_err(NotStarted::Start)?.addresses;
        }
        let containers = match order.spec.kind {
            Kind::App => Vec::new(),
            Kind::Pod => order.spec.containers.iter().map(|c| running(&c.name, at)).collect(),
        };
        let ready = !order.spec.has_readiness_checks();
        Ok(Event::Started { at, addresses, containers, ready })
    }

    fn site<'a>(
        &'a self,
        sandbox: &'a Path,
        volumes: &'a Path,
        user: Option<&'a Account>,
        infra: Option<&'a str>,
    ) -> Site<'a> {
        static NO_SECRETS: BTreeMap<String, String> = BTreeMap::new();
        Site {
            cluster: &self.config.cluster,
            agent: self.config.info.id.as_str(),
            framework: &self.config.framework,
            endpoint: self.config.endpoint.as_deref(),
            resolver: None,
            sandbox,
            volumes,
            user,
            secrets: &NO_SECRETS,
            infra,
            seccomp: &self.seccomp,
        }
    }

    /// The node's user behind a workload of plain commands; images bring their own.
    fn account_of(&self, order: &Order) -> Result<Option<Account>, NotStarted> {
        let plain = order.spec.containers.iter().find(|c| c.image.is_none());
        let Some(container) = plain else { return Ok(None) };
        let name = container.user.as_deref().or(self.config.default_user.as_deref());
        name.map(account).transpose().map_err(NotStarted::User)
    }
}

/// One container's preparation.
struct Work<'a> {
    key: &'a Key,
    container: &'a ContainerSpec,
    dir: &'a Path,
    owner: Option<(u32, u32)>,
    to: &'a mpsc::Sender<Input>,
    made: &'a Mutex<Vec<String>>,
}

fn running(name: &str, at: Timestamp) -> ContainerStatus {
    ContainerStatus {
        name: name.to_owned(),
        condition: Condition::Running,
        since: at,
        exit_code: None,
        message: String::new(),
    }
}

/// Directories a sandbox begins with: volumes that live in it and, for pods, one per container.
fn directories(order: &Order) -> Vec<&str> {
    let mut dirs = Vec::new();
    for container in &order.spec.containers {
        if order.spec.kind == Kind::Pod {
            dirs.push(container.name.as_str());
        }
        for volume in &container.volumes {
            let relative = |path: &str| !path.starts_with('/') && !path.contains("..");
            match &volume.source {
                VolumeSource::Host(path) if relative(path) => dirs.push(path),
                VolumeSource::Persistent(_) if relative(&volume.container_path) => {
                    dirs.push(&volume.container_path);
                }
                VolumeSource::Host(_)
                | VolumeSource::Persistent(_)
                | VolumeSource::External { .. }
                | VolumeSource::Secret(_) => {}
            }
        }
    }
    dirs
}

/// Names of an order's persistent volumes.
fn persistent(order: &Order) -> impl Iterator<Item = &str> {
    let volumes = order.spec.containers.iter().flat_map(|c| &c.volumes);
    volumes
        .filter(|v| matches!(v.source, VolumeSource::Persistent(_)))
        .map(|v| v.container_path.as_str())
        .filter(|path| !path.starts_with('/') && !path.contains(".."))
}

/// The sandbox of one container: a pod's containers each have their own below the pod's.
pub fn container_dir(sandbox: &Path, container: &ContainerSpec, is_pod: bool) -> PathBuf {
    if is_pod { sandbox.join(&container.name) } else { sandbox.to_owned() }
}

/// Registry credentials as old apps bring them: an archive with `.docker/config.json` in it.
fn logins(sandbox: &Path) -> RegistryLogins {
    [".docker/config.json", ".dockercfg"]
        .iter()
        .filter_map(|name| std::fs::read_to_string(sandbox.join(name)).ok())
        .find_map(|text| RegistryLogins::parse(&text))
        .unwrap_or_default()
}
