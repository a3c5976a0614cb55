//! Bringing an incarnation up: sandbox, artifacts, containers, in that order where it matters.
//!
//! The sandbox and the containers are made at the same time as artifacts are fetched; only the
//! start waits for both. An error carries the text people see and whether trying again could help.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    config::AgentConfig,
    desired::{Event, Key},
    fetch::{Client, Fetcher},
    launch::{self, BadSpec, SHARED_VOLUMES, Site},
    machine::accounts::{Account, account},
    metrics::{self, NoStart},
    record::Member,
    runtime::{Launch, Runtime},
    sandbox::{
        Sandboxes, Shape,
        beneath::{self, Dir, Owner},
    },
    volumes::{self, Refused},
    worker::Input,
};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        error::chain,
    },
    host::docker::{EngineError, images::RegistryLogins},
    model::{
        container::{ContainerSpec, SharedSource, VolumeSource},
        instance::{Condition, ContainerStatus},
        link::Order,
        workload::{Kind, NetworkMode, RunSpec},
    },
};

/// User and group without rights of their own.
const NOBODY: u32 = 65_534;
/// Largest file of registry credentials: a real one has some hundred bytes per registry.
const LOGINS_BYTES_MAX: u64 = 1 << 20;

/// Why an incarnation could not be started.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    #[error(transparent)]
    Spec(#[from] BadSpec),
    #[error("{0}")]
    User(String),
    #[error("Failed to fetch all URIs for container: {0}")]
    Fetch(String),
    #[error("cannot have its volumes: {0}")]
    Volumes(#[from] Refused),
    #[error("cannot prepare the sandbox: {0}")]
    Sandbox(#[source] io::Error),
    #[error("cannot fetch the image: {0}")]
    Image(#[source] EngineError),
    #[error("cannot get the container ready: {0}")]
    Create(#[source] EngineError),
    #[error("Container launch failed: {0}")]
    Start(#[source] EngineError),
    #[error("killed while it was being launched")]
    Cancelled,
}

impl From<&NotStarted> for NoStart {
    fn from(error: &NotStarted) -> Self {
        match error {
            error if error.is_away() => Self::EngineAway,
            NotStarted::Spec(_) => Self::Spec,
            NotStarted::User(_) => Self::User,
            NotStarted::Fetch(_) => Self::Fetch,
            NotStarted::Sandbox(_) | NotStarted::Volumes(_) => Self::Sandbox,
            NotStarted::Image(_) | NotStarted::Create(_) => Self::Create,
            NotStarted::Start(_) => Self::Start,
            NotStarted::Cancelled => Self::Cancelled,
        }
    }
}

impl NotStarted {
    /// The definition is at fault.
    fn is_error(&self) -> bool {
        matches!(self, Self::Spec(_) | Self::Create(EngineError::BadOption(_)))
    }

    /// The engine went away meanwhile: to be tried again when it is back.
    fn is_away(&self) -> bool {
        matches!(self, Self::Image(e) | Self::Create(e) | Self::Start(e) if e.is_away())
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
        let (made, began) = (Mutex::new(Vec::new()), Instant::now());
        let outcome = tokio::select! {
            outcome = self.bring_up(&order, &key, &to, &made) => outcome,
            () = cancel.cancelled() => Err(NotStarted::Cancelled),
        };
        let input = match outcome {
            Ok(event) => {
                metrics::started(&key, began.elapsed());
                Input::Task(key, event)
            }
            Err(error) => {
                metrics::not_started(&key, NoStart::from(&error), &error);
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
        let run = &order.spec.run;
        let is_pod = run.kind == Kind::Pod;
        let containers = &run.containers;
        let accounts = containers.iter().map(|c| self.account_of(run, c));
        let accounts: Vec<Option<Account>> = accounts.collect::<Result<_, _>>()?;
        let owners: Vec<Owner> =
            accounts.iter().map(|a| Some((a.as_ref()?.uid, a.as_ref()?.gid))).collect();
        let names = containers.iter().map(|c| c.name.as_str()).zip(owners.iter().copied());
        let shape = Shape {
            containers: names.filter(|_| is_pod).collect(),
            plain: containers.iter().any(|c| c.image.is_none()),
            owner: owners.first().copied().flatten(),
        };
        let sandbox =
            self.sandboxes.create(&order.spec.id, key, &shape).map_err(NotStarted::Sandbox)?;
        shared_dirs(&sandbox, run).map_err(NotStarted::Sandbox)?;
        volumes::claim(&self.sandboxes, order)?;
        for (container, owner) in containers.iter().zip(&owners) {
            for name in persistent(container) {
                self.sandboxes.create_volume(key, name, *owner).map_err(NotStarted::Sandbox)?;
            }
        }

        let resolver = self.config.resolver.settled().await;
        let volumes = self.sandboxes.volumes(key);
        let infra = if launch::needs_infra(run) {
            let site = Site { resolver, ..self.site(&sandbox, &sandbox, &volumes) };
            let launch = launch::infra(order, &site);
            let id = self.create(key, &launch, launch::INFRA, to, made).await?;
            self.runtime.start(&id).await.map_err(NotStarted::Start)?;
            Some(id)
        } else {
            None
        };
        let mut ids = BTreeMap::new();
        for (container, account) in containers.iter().zip(&accounts) {
            // Files are fetched for the user that the program will be.
            let user = run.user_of(container).map(str::to_owned);
            let container = &ContainerSpec { user, ..container.clone() };
            let dir = container_dir(&sandbox, container, is_pod);
            let site = Site {
                resolver,
                user: account.as_ref(),
                infra: infra.as_deref(),
                ..self.site(&dir, &sandbox, &volumes)
            };
            let launch = launch::launch(order, container, &site)?;
            let work = Work { key, container, dir: &dir, account: account.as_ref(), to, made };
            ids.insert(container.name.clone(), self.prepare(work, launch).await?);
        }
        for id in run.starts().filter_map(|container| ids.get(container.name.as_str())) {
            self.runtime.start(id).await.map_err(NotStarted::Start)?;
        }
        self.started(order, infra.as_ref().or(ids.values().next())).await
    }

    /// Fetches and creates side by side; what is created from fetched files waits for them.
    async fn prepare(&self, work: Work<'_>, mut launch: Launch) -> Result<String, NotStarted> {
        let Work { key, container, dir, account, to, made } = work;
        let owner = account.map(|a| (a.uid, a.gid));
        let fetch = async {
            if container.fetch.is_empty() {
                return Ok(());
            }
            let text = format!("fetching {} artifacts", container.fetch.len());
            drop(to.send(Input::Task(key.clone(), Event::Progress(text))).await);
            let client = Client { owner, reader: reader(container, account), who: who(container) };
            let fetched = self.fetcher.fetch_all(&container.fetch, dir, &client).await;
            fetched.map_err(|e| NotStarted::Fetch(chain(&e)))
        };
        let is_image = !launch.is_plain;
        let has_logins = is_image && container.fetch.iter().any(|a| a.uri.contains("docker"));
        let has_relative = relative_volumes(container).next().is_some();
        let id = if container.fetch.is_empty() || !(has_logins || has_relative) {
            volume_dirs(dir, container, owner).map_err(NotStarted::Sandbox)?;
            let create = self.create(key, &launch, &container.name, to, made);
            let (fetched, id) = tokio::join!(fetch, create);
            fetched?;
            id?
        } else {
            fetch.await?;
            volume_dirs(dir, container, owner).map_err(NotStarted::Sandbox)?;
            if has_logins {
                let dir = dir.to_owned();
                let read = tokio::task::spawn_blocking(move || logins(&dir)).await;
                launch.logins = read.unwrap_or_default();
            }
            self.create(key, &launch, &container.name, to, made).await?
        };
        if is_image {
            self.hand_over(&id, key, container, dir).await?;
        }
        Ok(id)
    }

    /// Gives the sandbox of an image's container, and its volumes that are still empty, to the user
    /// that its program will be, who is known once the container is made.
    async fn hand_over(
        &self,
        id: &str,
        key: &Key,
        container: &ContainerSpec,
        dir: &Path,
    ) -> Result<(), NotStarted> {
        let user = self.runtime.user_of(id).await.map_err(NotStarted::Create)?;
        let Some(owner) = user.filter(|user| *user != (0, 0)) else { return Ok(()) };
        let (sandboxes, key, dir) = (self.sandboxes.clone(), key.clone(), dir.to_owned());
        let volumes: Vec<String> = persistent(container).map(str::to_owned).collect();
        let work = move || {
            Dir::open(&dir)?.own_all(owner)?;
            volumes.iter().try_for_each(|v| sandboxes.create_volume(&key, v, Some(owner)))
        };
        let given = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
        given.and_then(|given| given).map_err(NotStarted::Sandbox)
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
        let id = self.runtime.create(launch, &progress).await.map_err(|error| match error {
            EngineError::NoImage(_) => NotStarted::Image(error),
            error => NotStarted::Create(error),
        })?;
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
            && order.spec.run.network_mode() != NetworkMode::Host
        {
            addresses = self.runtime.inspect(id).await.map_err(NotStarted::Start)?.addresses;
        }
        let containers = match order.spec.run.kind {
            Kind::App => Vec::new(),
            Kind::Pod => all_running(&order.spec.run, at),
        };
        let ready = !order.spec.run.has_readiness_checks();
        Ok(Event::Started { at, addresses, containers, ready })
    }

    fn site<'a>(&'a self, sandbox: &'a Path, pod: &'a Path, volumes: &'a Path) -> Site<'a> {
        static NO_SECRETS: BTreeMap<String, String> = BTreeMap::new();
        Site {
            cluster: &self.config.cluster,
            agent: self.config.info.id.as_str(),
            framework: &self.config.framework,
            endpoint: self.config.endpoint.as_deref(),
            resolver: None,
            dns_search: &self.config.dns_search,
            sandbox,
            pod,
            volumes,
            user: None,
            secrets: &NO_SECRETS,
            infra: None,
            seccomp: &self.seccomp,
        }
    }

    /// The node's user behind a plain command; images bring their own.
    fn account_of(
        &self,
        run: &RunSpec,
        container: &ContainerSpec,
    ) -> Result<Option<Account>, NotStarted> {
        if container.image.is_some() {
            return Ok(None);
        }
        let name = run.user_of(container).or(self.config.default_user.as_deref());
        name.map(account).transpose().map_err(NotStarted::User)
    }
}

/// One container's preparation.
struct Work<'a> {
    key: &'a Key,
    container: &'a ContainerSpec,
    dir: &'a Path,
    account: Option<&'a Account>,
    to: &'a mpsc::Sender<Input>,
    made: &'a Mutex<Vec<String>>,
}

/// The user who reads files of the node for `container`: of a plain command its own. An image's user
/// is looked up on the node too; one that only the image knows may read what everybody may.
fn reader(container: &ContainerSpec, plain: Option<&Account>) -> Option<Account> {
    if container.image.is_none() {
        return plain.cloned();
    }
    let name = container.user.as_deref()?;
    let known = account(name.split(':').next().unwrap_or(name));
    let nobody = Account { name: name.to_owned(), uid: NOBODY, gid: NOBODY, groups: Vec::new() };
    Some(known.unwrap_or(nobody))
}

/// Whose part of the fetcher's cache `container` uses.
fn who(container: &ContainerSpec) -> String {
    let kind = if container.image.is_none() { "plain" } else { "image" };
    format!("{kind} {}", container.user.as_deref().unwrap_or(""))
}

/// The containers of a pod that has just been started.
pub fn all_running(run: &RunSpec, at: Timestamp) -> Vec<ContainerStatus> {
    let running = |c: &ContainerSpec| ContainerStatus {
        name: c.name.clone(),
        condition: Condition::Running,
        since: at,
        exit_code: None,
        message: String::new(),
    };
    run.containers.iter().map(running).collect()
}

/// Makes the directories of the volumes that a pod's containers share. Each container may write there,
/// whoever its program is; nobody else gets below the directory around them.
fn shared_dirs(sandbox: &Path, run: &RunSpec) -> io::Result<()> {
    let sandbox = Dir::open(sandbox)?;
    for volume in &run.shared.volumes {
        match &volume.source {
            SharedSource::Ephemeral => {
                let (around, _) = sandbox.make_dirs(Path::new(SHARED_VOLUMES), 0o700, None)?;
                around.make_dirs(Path::new(&volume.name), 0o777, None)?;
            }
            SharedSource::Host(path) if beneath::stays(Path::new(path)) => {
                sandbox.make_dirs(Path::new(path), 0o777, None)?;
            }
            SharedSource::Host(_) | SharedSource::Secret(_) => {}
        }
    }
    Ok(())
}

/// Volumes that live in the sandbox, by their paths there, and whether they may be files.
fn relative_volumes(container: &ContainerSpec) -> impl Iterator<Item = (&Path, bool)> {
    let relative = container.volumes.iter().filter_map(|volume| match &volume.source {
        VolumeSource::Host(path) => Some((Path::new(path), true)),
        VolumeSource::Persistent(_) | VolumeSource::Shared(_) => {
            Some((Path::new(&volume.container_path), false))
        }
        VolumeSource::External { .. } | VolumeSource::Secret(_) => None,
    });
    relative.filter(|(path, _)| beneath::stays(path))
}

/// Makes the directories of such volumes where they are missing. The engine will bind them by
/// their path: a link on it (out of an archive) is refused.
fn volume_dirs(sandbox: &Path, container: &ContainerSpec, owner: Owner) -> io::Result<()> {
    let sandbox = Dir::open(sandbox)?;
    for (path, may_be_file) in relative_volumes(container) {
        if !(may_be_file && sandbox.stat(path).is_ok_and(|m| m.is_file())) {
            sandbox.make_dirs(path, 0o755, owner)?;
        }
    }
    Ok(())
}

/// Paths of a container's persistent volumes.
fn persistent(container: &ContainerSpec) -> impl Iterator<Item = &str> {
    let volumes = container.volumes.iter();
    volumes
        .filter(|v| matches!(v.source, VolumeSource::Persistent(_)))
        .map(|v| v.container_path.as_str())
        .filter(|path| beneath::stays(Path::new(path)))
}

/// The sandbox of one container: a pod's containers each have their own below the pod's.
pub fn container_dir(sandbox: &Path, container: &ContainerSpec, is_pod: bool) -> PathBuf {
    if is_pod { sandbox.join(&container.name) } else { sandbox.to_owned() }
}

/// Registry credentials as old apps bring them: an archive with `.docker/config.json` in it. Only a
/// file of the sandbox itself counts, not what a link leads to (the node's own credentials).
fn logins(sandbox: &Path) -> RegistryLogins {
    let Ok(sandbox) = Dir::open(sandbox) else { return RegistryLogins::default() };
    let read = |name: &&str| match sandbox.read(Path::new(name), LOGINS_BYTES_MAX) {
        Ok(bytes) => String::from_utf8(bytes).ok(),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(name, %error, "registry credentials not taken from the sandbox");
            }
            None
        }
    };
    let texts = [".docker/config.json", ".dockercfg"];
    texts.iter().filter_map(read).find_map(|text| RegistryLogins::parse(&text)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
