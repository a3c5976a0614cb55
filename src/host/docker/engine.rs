//! The engine's API: containers, networks, events. Every call has a deadline.
//!
//! The connection is made on first use and again after the engine was away; nothing here retries,
//! callers know what a retry would mean.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use bollard::{
    API_DEFAULT_VERSION, Docker,
    errors::Error as ApiError,
    models::{ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum, EventMessage},
    query_parameters::{
        CreateContainerOptions, EventsOptions, InspectContainerOptions, KillContainerOptions,
        ListContainersOptions, RemoveContainerOptions,
    },
};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::Mutex;

use super::{
    create,
    networks::Networks,
    options::BadOption,
    plan::{ContainerPlan, NetworkPlan},
};
use crate::base::{clock::Timestamp, error::chain};

/// Longest wait for the engine's answer to one call. Starting a container takes 0.1 s on an idle
/// machine and many seconds on one that swaps.
const CALL: Duration = Duration::from_secs(120);
/// Longest wait for the first answer of the engine.
const CONNECT: Duration = Duration::from_secs(5);

/// Why the engine did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    #[error("the container engine at {socket} does not answer: {cause}")]
    Away { socket: String, cause: String },
    #[error("{0}")]
    NoSuch(String),
    #[error("{0}")]
    Conflict(String),
    /// An image that could not be pulled.
    #[error("{0}")]
    NoImage(String),
    #[error("no space left for containers: {0}")]
    Full(String),
    #[error("{message}")]
    Refused { status: u16, message: String },
    #[error(transparent)]
    BadOption(#[from] BadOption),
}

impl EngineError {
    /// Whether the engine itself cannot be reached, so that nothing is known about the container.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}

/// A container as the engine lists it.
#[derive(Clone, Debug)]
pub struct Found {
    pub id: String,
    pub name: String,
    pub labels: HashMap<String, String>,
    pub state: FoundState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundState {
    /// Created but never started.
    Created,
    Running,
    Ended,
}

/// Details of one container.
#[derive(Clone, Debug, Default)]
pub struct Inspected {
    pub running: bool,
    pub pid: Option<i32>,
    pub exit_code: Option<i32>,
    pub out_of_memory: bool,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub addresses: Vec<IpAddr>,
    pub tty: bool,
    /// What the engine says about a failed start.
    pub error: String,
}

/// Something that happened to a container of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineEvent {
    Died {
        id: String,
        exit_code: Option<i32>,
    },
    /// Some process of it was ended for memory.
    OutOfMemory {
        id: String,
    },
    Started {
        id: String,
    },
}

/// The engine behind one socket.
#[derive(Debug)]
pub struct Engine {
    socket: String,
    client: Mutex<Option<Docker>>,
    pub(super) networks: Networks,
}

impl Engine {
    /// An engine reached at `socket`, a path with or without `unix://`. Does not connect yet.
    pub fn new(socket: &str) -> Self {
        let socket = socket.strip_prefix("unix://").unwrap_or(socket).to_owned();
        Self { socket, client: Mutex::new(None), networks: Networks::default() }
    }

    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// The client. What it negotiates goes into no path: every request is answered in the engine's
    /// newest version, so what is read has to be understood in all of them (`docker/tests.rs`).
    pub(super) async fn client(&self) -> Result<Docker, EngineError> {
        let mut slot = self.client.lock().await;
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let connect = async {
            let client =
                Docker::connect_with_unix(&self.socket, CALL.as_secs(), API_DEFAULT_VERSION)?;
            client.negotiate_version().await
        };
        let client = match tokio::time::timeout(CONNECT, connect).await {
            Ok(outcome) => outcome.map_err(|e| self.error(&e))?,
            Err(_) => return Err(self.away("no answer in time")),
        };
        *slot = Some(client.clone());
        Ok(client)
    }

    /// Where the engine keeps its data.
    pub async fn data_root(&self) -> Result<String, EngineError> {
        let info = self.client().await?.info().await.map_err(|e| self.error(&e))?;
        Ok(info.docker_root_dir.unwrap_or_default())
    }

    /// All containers, dead ones too, whose label `name` is `value`.
    pub async fn list(&self, name: &str, value: &str) -> Result<Vec<Found>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{name}={value}")])]);
        let options =
            ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let client = self.client().await?;
        let list = client.list_containers(Some(options)).await.map_err(|e| self.error(&e))?;
        Ok(list.into_iter().filter_map(found).collect())
    }

    pub async fn inspect(&self, id: &str) -> Result<Inspected, EngineError> {
        let client = self.client().await?;
        let options = None::<InspectContainerOptions>;
        let answer = client.inspect_container(id, options).await.map_err(|e| self.error(&e))?;
        Ok(inspected(answer))
    }

    /// Creates a container and returns its id. `NoSuch` means that the image is missing.
    pub async fn create(&self, plan: &ContainerPlan) -> Result<String, EngineError> {
        let creation = create::creation(plan)?;
        if let NetworkPlan::Named(name) = &plan.network {
            self.ensure_network(name, &plan.network_labels).await?;
        }
        let options =
            CreateContainerOptions { name: Some(creation.name.clone()), ..Default::default() };
        let client = self.client().await?;
        let made = client.create_container(Some(options), creation.body).await;
        Ok(made.map_err(|e| self.error(&e))?.id)
    }

    pub async fn start(&self, id: &str) -> Result<(), EngineError> {
        let client = self.client().await?;
        client.start_container(id, None).await.map_err(|e| self.error(&e))
    }

    /// Sends `signal` (`SIGTERM`) to the container's first process.
    pub async fn kill(&self, id: &str, signal: &str) -> Result<(), EngineError> {
        let options = KillContainerOptions { signal: signal.to_owned() };
        let client = self.client().await?;
        client.kill_container(id, Some(options)).await.map_err(|e| self.error(&e))
    }

    /// Removes a container and its anonymous volumes; a missing one is fine.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptions { v: true, force: true, link: false };
        let client = self.client().await?;
        match client.remove_container(id, Some(options)).await.map_err(|e| self.error(&e)) {
            Ok(()) | Err(EngineError::NoSuch(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Starts and deaths of containers whose label `name` is `value`, from `since` (seconds since the
    /// epoch) on. The stream ends when the engine goes away.
    pub async fn events(
        &self,
        name: &str,
        value: &str,
        since: i64,
    ) -> Result<impl Stream<Item = EngineEvent> + Send + use<>, EngineError> {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("label".to_owned(), vec![format!("{name}={value}")]),
            ("event".to_owned(), ["die", "oom", "start"].map(str::to_owned).to_vec()),
        ]);
        let since = Some(since.to_string());
        let options = EventsOptions { since, filters: Some(filters), ..Default::default() };
        let stream = self.client().await?.events(Some(options));
        Ok(stream
            .take_while(|item| std::future::ready(item.is_ok()))
            .filter_map(|item| std::future::ready(item.ok().and_then(event))))
    }

    fn away(&self, cause: impl Into<String>) -> EngineError {
        EngineError::Away { socket: self.socket.clone(), cause: cause.into() }
    }

    pub(super) fn error(&self, error: &ApiError) -> EngineError {
        match error {
            ApiError::DockerResponseServerError { status_code, message } => {
                refused(*status_code, message)
            }
            ApiError::DockerStreamError { error } => refused(500, error),
            other => self.away(chain(other)),
        }
    }
}

/// The engine's refusal by its status and its words.
pub(super) fn refused(status: u16, message: &str) -> EngineError {
    let message = message.trim().to_owned();
    if message.contains("no space left on device") {
        return EngineError::Full(message);
    }
    match status {
        404 => EngineError::NoSuch(message),
        409 => EngineError::Conflict(message),
        _ => EngineError::Refused { status, message },
    }
}

pub(super) fn found(item: ContainerSummary) -> Option<Found> {
    let state = match item.state? {
        ContainerSummaryStateEnum::CREATED => FoundState::Created,
        ContainerSummaryStateEnum::RUNNING
        | ContainerSummaryStateEnum::PAUSED
        | ContainerSummaryStateEnum::RESTARTING => FoundState::Running,
        ContainerSummaryStateEnum::EMPTY
        | ContainerSummaryStateEnum::EXITED
        | ContainerSummaryStateEnum::STOPPING
        | ContainerSummaryStateEnum::REMOVING
        | ContainerSummaryStateEnum::DEAD => FoundState::Ended,
    };
    let name = item.names.unwrap_or_default().into_iter().next().unwrap_or_default();
    Some(Found {
        id: item.id?,
        name: name.trim_start_matches('/').to_owned(),
        labels: item.labels.unwrap_or_default(),
        state,
    })
}

pub(super) fn inspected(answer: ContainerInspectResponse) -> Inspected {
    let state = answer.state.unwrap_or_default();
    let mut addresses: Vec<IpAddr> = Vec::new();
    let networks = answer.network_settings.and_then(|n| n.networks).unwrap_or_default();
    for endpoint in networks.values() {
        for text in [&endpoint.ip_address, &endpoint.global_ipv6_address].into_iter().flatten() {
            addresses.extend(text.parse::<IpAddr>());
        }
    }
    addresses.sort_unstable();
    // The engine prints the year 1 for times that have not come yet.
    let time =
        |text: Option<String>| text.and_then(|t| Timestamp::parse(&t)).filter(|t| t.as_ms() > 0);
    Inspected {
        running: state.running.unwrap_or(false),
        pid: state.pid.and_then(|p| i32::try_from(p).ok()).filter(|p| *p > 0),
        exit_code: state.exit_code.and_then(|c| i32::try_from(c).ok()),
        out_of_memory: state.oom_killed.unwrap_or(false),
        started_at: time(state.started_at),
        finished_at: time(state.finished_at),
        addresses,
        tty: answer.config.and_then(|c| c.tty).unwrap_or(false),
        error: state.error.unwrap_or_default(),
    }
}

pub(super) fn event(message: EventMessage) -> Option<EngineEvent> {
    let actor = message.actor?;
    let id = actor.id?;
    match message.action?.as_str() {
        "die" => {
            let code = actor.attributes.and_then(|a| a.get("exitCode")?.parse().ok());
            Some(EngineEvent::Died { id, exit_code: code })
        }
        "oom" => Some(EngineEvent::OutOfMemory { id }),
        "start" => Some(EngineEvent::Started { id }),
        _ => None,
    }
}
