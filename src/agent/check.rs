//! Probes: how an incarnation's checks are made, each in a task of its own.
//!
//! A task with addresses of its own is probed there at its container port, one on the host network
//! at the node's address (scheduler-run checks) or the loopback (agent-run ones) at its host port.
//! Commands run in the task's container.

pub mod command;

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::Uri;
use http_body_util::{BodyExt as _, Limited};
use tokio::{net::TcpStream, sync::mpsc, time::Instant};

use self::command::{Commands, Marks};
use super::{
    desired::Key,
    health::{Finding, Outcome},
    metrics,
    record::Member,
    runtime::Runtime,
    worker::Input,
};
use crate::{
    base::{error::chain, task::Tasks},
    core::env,
    http::client::{self as web, Trust},
    model::{
        container::{
            Command, ContainerSpec, HealthCheck, InfoCheck, Probe, ProbePort, ReadinessCheck,
        },
        instance::{CheckOutcome, ReadinessStatus},
        link::Order,
    },
};

/// The first probe of a scheduler-run check comes after at most this long.
const FIRST_PROBE_MAX: Duration = Duration::from_secs(5);
/// A probe without a time-out of its own.
const PROBE_MAX: Duration = Duration::from_secs(60);
/// Bodies of readiness answers are kept up to this size.
const READINESS_BODY_BYTES_MAX: usize = 64 << 10;
/// No check runs more often than this.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// A probe that is over so much later than its time-out was held up on this side.
const ABSENT: Duration = Duration::from_secs(1);

/// What all probes share.
#[derive(Clone)]
pub struct Prober {
    pub runtime: Arc<dyn Runtime>,
    pub trust: Trust,
    pub tasks: Tasks,
    pub marks: Arc<Marks>,
    pub to: mpsc::Sender<Input>,
}

/// One incarnation to be probed.
#[derive(Clone)]
pub struct Subject {
    pub key: Key,
    pub order: Arc<Order>,
    pub addresses: Vec<IpAddr>,
    pub members: Arc<Vec<Member>>,
    /// Ends all its checks.
    pub stop: tokio_util::sync::CancellationToken,
}

/// A way to tell a container whose checks these are.
#[derive(Clone)]
struct Target {
    prober: Prober,
    subject: Subject,
    container: ContainerSpec,
}

impl Prober {
    /// Starts all checks of `subject`; `ready` leaves the readiness checks out.
    pub fn start(&self, subject: &Subject, ready: bool) {
        let (mut n_health, mut n_ready) = (0, 0);
        for container in &subject.order.spec.run.containers {
            let target = Target {
                prober: self.clone(),
                subject: subject.clone(),
                container: container.clone(),
            };
            for check in &container.health_checks {
                self.spawn(&target, health_loop(target.clone(), check.clone(), n_health));
                n_health += 1;
            }
            for check in &container.readiness {
                if !ready {
                    self.spawn(&target, readiness_loop(target.clone(), check.clone(), n_ready));
                }
                n_ready += 1;
            }
            if let Some(check) = &container.check {
                self.spawn(&target, info_loop(target.clone(), check.clone()));
            }
        }
    }

    fn spawn(&self, target: &Target, work: impl Future<Output = ()> + Send + 'static) {
        let stop = target.subject.stop.clone();
        self.tasks.connection("check", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }
}

async fn health_loop(target: Target, check: HealthCheck, index: u32) {
    let interval = Duration::from_millis(check.interval_ms).max(INTERVAL_MIN);
    let first = if check.agent_semantics {
        Duration::from_millis(check.delay_ms)
    } else {
        interval.min(FIRST_PROBE_MAX)
    };
    let commands = target.commands();
    tokio::time::sleep(first).await;
    loop {
        let outcome = target.health(&check, &commands).await;
        target.tell(Finding::Health { index, outcome }).await;
        tokio::time::sleep(interval).await;
    }
}

async fn info_loop(target: Target, check: InfoCheck) {
    let commands = target.commands();
    tokio::time::sleep(Duration::from_millis(check.delay_ms)).await;
    let timeout = deadline(check.timeout_ms);
    loop {
        let outcome = match &check.probe {
            Probe::Http { tls, path, port, ipv6, .. } => {
                let uri = target.uri(*tls, path.as_deref(), *port, true, *ipv6);
                let status = target.http(uri, timeout).await.unwrap_or(0);
                CheckOutcome::Http(status)
            }
            Probe::Tcp { port, ipv6 } => {
                CheckOutcome::Tcp(target.tcp(*port, true, *ipv6, timeout).await.is_ok())
            }
            Probe::Command(command) => match target.command(command, timeout, &commands).await {
                Ok(code) => CheckOutcome::Command(code),
                Err(_) => CheckOutcome::Command(-1),
            },
        };
        target.tell(Finding::Info(outcome)).await;
        tokio::time::sleep(Duration::from_millis(check.interval_ms).max(INTERVAL_MIN)).await;
    }
}

/// At once, then `interval` after each answer, until it is ready; then done for good.
async fn readiness_loop(target: Target, check: ReadinessCheck, index: usize) {
    loop {
        let status = target.readiness(&check).await;
        let ready = status.ready;
        target.tell(Finding::Readiness { index, status }).await;
        if ready {
            return;
        }
        tokio::time::sleep(Duration::from_millis(check.interval_ms).max(INTERVAL_MIN)).await;
    }
}

impl Target {
    async fn tell(&self, finding: Finding) {
        metrics::checked(&self.subject.key, &finding);
        let message = Input::Finding(self.subject.key.clone(), finding);
        // The worker is gone only when everything ends.
        drop(self.prober.to.send(message).await);
    }

    async fn health(&self, check: &HealthCheck, commands: &Commands) -> Outcome {
        let (timeout, began) = (deadline(check.timeout_ms), Instant::now());
        let agent = check.agent_semantics;
        let outcome = match &check.probe {
            Probe::Http { tls, path, port, ignore_1xx, ipv6 } => {
                let uri = self.uri(*tls, path.as_deref(), *port, agent, *ipv6);
                match self.http(uri, timeout).await {
                    Ok(100..=199) if *ignore_1xx => return Outcome::Ignored,
                    Ok(200..=399) => Ok(()),
                    Ok(status) => Err(format!("HTTP status {status}")),
                    Err(text) => Err(text),
                }
            }
            Probe::Tcp { port, ipv6 } => self.tcp(*port, agent, *ipv6, timeout).await,
            Probe::Command(command) => match self.command(command, timeout, commands).await {
                Ok(0) => Ok(()),
                Ok(code) => Err(format!("Command exited with status {code}")),
                Err(text) => Err(text),
            },
        };
        match outcome {
            Ok(()) => Outcome::Healthy,
            // The agent stood still itself: what it missed says nothing about the task.
            Err(_) if began.elapsed() > timeout + ABSENT => Outcome::Ignored,
            Err(cause) => Outcome::Unhealthy(cause),
        }
    }

    async fn readiness(&self, check: &ReadinessCheck) -> ReadinessStatus {
        let port = env::port_named(&self.container.ports, &check.port_name).unwrap_or(0);
        let uri = self.uri(check.tls, Some(&check.path), ProbePort::Index(port), false, false);
        let get = async {
            let uri = uri?;
            let answer = web::get(&uri, &self.prober.trust, &self.prober.tasks)
                .await
                .map_err(|e| chain(&e))?;
            let status = answer.status().as_u16();
            let kind = answer.headers().get(http::header::CONTENT_TYPE);
            let kind = kind.and_then(|v| v.to_str().ok()).unwrap_or("text/plain").to_owned();
            let body = Limited::new(answer.into_body(), READINESS_BODY_BYTES_MAX).collect().await;
            let body = body.map(|b| b.to_bytes()).unwrap_or_default();
            Ok::<_, String>((status, kind, String::from_utf8_lossy(&body).into_owned()))
        };
        // Connection problems count as a gateway's time-out (docs/compat/containers.md).
        let unreachable = |text: String| (504, "text/plain".to_owned(), text);
        let (found, answer) = match tokio::time::timeout(deadline(check.timeout_ms), get).await {
            Ok(Ok(answer)) => (format!("it answered {}", answer.0), answer),
            Ok(Err(text)) => (text.clone(), unreachable(text)),
            Err(_) => {
                let text = format!("no answer within {} ms", check.timeout_ms);
                (text, unreachable("timed out".to_owned()))
            }
        };
        ReadinessStatus {
            name: check.name.clone(),
            found,
            ready: check.ready_codes.contains(&answer.0),
            last_response: check.keep_last_response.then_some(answer),
        }
    }

    async fn http(&self, uri: Result<Uri, String>, timeout: Duration) -> Result<u16, String> {
        let uri = uri?;
        let get = web::get(&uri, &self.prober.trust, &self.prober.tasks);
        match tokio::time::timeout(timeout, get).await {
            Ok(Ok(answer)) => Ok(answer.status().as_u16()),
            Ok(Err(error)) => Err(format!("{uri}: {}", chain(&error))),
            Err(_) => Err(format!("{uri}: no answer within {timeout:?}")),
        }
    }

    async fn tcp(
        &self,
        port: ProbePort,
        agent: bool,
        ipv6: bool,
        timeout: Duration,
    ) -> Result<(), String> {
        let (ip, port) = self.address(port, agent, ipv6)?;
        match tokio::time::timeout(timeout, TcpStream::connect((ip, port))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("{ip}:{port}: {}", chain(&error))),
            Err(_) => Err(format!("{ip}:{port}: no connection within {timeout:?}")),
        }
    }

    fn commands(&self) -> Commands {
        let Prober { runtime, tasks, marks, .. } = self.prober.clone();
        Commands { runtime, tasks, marks, turn: Arc::default() }
    }

    async fn command(
        &self,
        command: &Command,
        timeout: Duration,
        commands: &Commands,
    ) -> Result<i32, String> {
        let argv = match command {
            Command::Shell(text) => ["/bin/sh", "-c", text].map(str::to_owned).to_vec(),
            Command::Args(args) | Command::Exec(args) => args.clone(),
            Command::Image => return Err("the check names no command".to_owned()),
        };
        let id = self.container_id().ok_or_else(|| "the container is gone".to_owned())?;
        commands.run(id, argv, timeout).await
    }

    fn container_id(&self) -> Option<&str> {
        let name = &self.container.name;
        self.subject.members.iter().find(|m| m.name == *name).map(|m| m.id.as_str())
    }

    fn uri(
        &self,
        tls: bool,
        path: Option<&str>,
        port: ProbePort,
        agent: bool,
        ipv6: bool,
    ) -> Result<Uri, String> {
        let (ip, port) = self.address(port, agent, ipv6)?;
        let path = path.unwrap_or("/");
        let slash = if path.starts_with('/') { "" } else { "/" };
        let scheme = if tls { "https" } else { "http" };
        let host = std::net::SocketAddr::new(ip, port);
        let text = format!("{scheme}://{host}{slash}{path}");
        text.parse().map_err(|_| format!("'{text}' is not an address"))
    }

    /// Where a port of the task is reached.
    fn address(&self, port: ProbePort, agent: bool, ipv6: bool) -> Result<(IpAddr, u16), String> {
        let own = self.subject.addresses.iter().find(|a| a.is_ipv6() == ipv6);
        let loopback: IpAddr = match ipv6 {
            true => std::net::Ipv6Addr::LOCALHOST.into(),
            false => std::net::Ipv4Addr::LOCALHOST.into(),
        };
        let node = if agent { loopback } else { self.subject.order.placement.address };
        let ip = own.copied().unwrap_or(node);
        let number = match port {
            ProbePort::Number(number) => number,
            ProbePort::Index(index) => {
                let ports = env::port_of(&self.subject.order, &self.container, index);
                let (host, inside) =
                    ports.ok_or_else(|| format!("the task has no port with index {index}"))?;
                if own.is_some() { inside } else { host.unwrap_or(inside) }
            }
        };
        Ok((ip, number))
    }
}

fn deadline(timeout_ms: u64) -> Duration {
    match timeout_ms {
        0 => PROBE_MAX,
        ms => Duration::from_millis(ms),
    }
}
