//! `Marathon`: what the handlers share, and the little they need of the rest of the system.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::{
    error::Error,
    events::{Announcement, Event, Hub},
    request::HEAVY_BYTES,
    settings::Settings,
};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        rng::Rng,
        task::heavy,
    },
    core::{
        Accepted, Command, Outcome, Rejected, State, Thing, WorkloadCommand,
        command::{Edit, PutApps},
        place::Report,
    },
    log::ProposeError,
    model::{
        deployment::DeploymentId,
        path::{AppId, PathId},
    },
};

/// Times a change is computed anew because somebody else was faster. Each round means that another
/// writer got through, so this many in a row is a hot spot the caller should hear of.
const ROUNDS_MAX: usize = 8;

/// The replicated log as this dialect sees it.
pub trait Ledger: Send + Sync + 'static {
    /// Has a command decided; `state` shows its effect once this returns.
    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Outcome, ProposeError>>;
    /// The newest state.
    fn state(&self) -> Arc<State>;
    /// `host:port` of the leading master's API.
    fn leader(&self) -> Option<String>;
    /// Whether this master leads.
    fn leads(&self) -> bool;
    /// The report of the last attempt to place an app.
    fn report(&self, app: &AppId) -> Option<Arc<Report>>;
}

/// The dialect's state: handles only.
pub struct Marathon {
    pub ledger: Arc<dyn Ledger>,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
    pub events: Arc<Hub>,
    /// Whether HTTPS is what clients reach this API by.
    pub tls: bool,
    rng: Mutex<Rng>,
}

impl Marathon {
    /// Puts the parts together; `events` is fed by `events::follow`.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        rng: Rng,
        settings: Settings,
        events: Arc<Hub>,
    ) -> Self {
        Self { ledger, clock, settings, events, tls: false, rng: Mutex::new(rng) }
    }

    pub fn state(&self) -> Arc<State> {
        self.ledger.state()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A fresh deployment id.
    pub fn deployment_id(&self) -> DeploymentId {
        DeploymentId::from(self.rng.lock().uuid_at(self.clock.now()).to_string())
    }

    /// Has one command decided.
    pub async fn run(&self, command: impl Into<Command>) -> Result<Accepted, Error> {
        match self.ledger.propose(command.into()).await {
            Ok(outcome) => outcome.map_err(Error::Rejected),
            Err(error) => Err(Error::Undecided(error)),
        }
    }

    /// Starts the deployment that `make` computes from a snapshot. Where somebody changed the same
    /// apps meanwhile it is computed anew; `make` then meets the new state and may refuse.
    pub async fn deploy(
        &self,
        make: impl Fn(&State, DeploymentId) -> Result<PutApps, Error>,
    ) -> Result<Started, Error> {
        self.deploy_of(0, make).await
    }

    /// As `deploy`, for a body of `n_bytes`: what a large one takes to check keeps others waiting
    /// no longer than they must.
    pub async fn deploy_of(
        &self,
        n_bytes: usize,
        make: impl Fn(&State, DeploymentId) -> Result<PutApps, Error>,
    ) -> Result<Started, Error> {
        let mut round = 0;
        loop {
            round += 1;
            let id = self.deployment_id();
            let make = || make(&self.state(), id.clone());
            let put = if n_bytes > HEAVY_BYTES { heavy(make).await } else { make() }?;
            self.check_instances(&put)?;
            let outcome = self.run(WorkloadCommand::PutApps(Box::new(put))).await;
            match outcome {
                Ok(accepted) => {
                    let (id, version) = accepted.deployment.unwrap_or((id, self.now()));
                    return Ok(Started { id, version });
                }
                Err(error) => {
                    let announced = self.events.withdraw(&id);
                    if !is_late(&error) || round >= ROUNDS_MAX {
                        self.tell_refused(announced, &error);
                        return Err(error);
                    }
                }
            }
        }
    }

    /// That no app asks for more instances than this cluster gives one, however the number came
    /// about.
    fn check_instances(&self, put: &PutApps) -> Result<(), Error> {
        let max = self.settings.instances_max;
        let over = |edit: &&Edit| edit.new.as_ref().is_some_and(|spec| spec.instances > max);
        let Some(edit) = put.edits.iter().find(over) else { return Ok(()) };
        let n = edit.new.as_ref().map_or(0, |spec| spec.instances);
        let text = format!(
            "{} asks for {n} instances, the maximum is {max} (setting max_instances_per_app)",
            edit.id
        );
        Err(Error::rule("/instances", text))
    }

    /// Tells the event stream that a change was refused.
    fn tell_refused(&self, announced: Option<Announcement>, error: &Error) {
        let group = announced.map_or_else(PathId::root, |announced| announced.group);
        let now = self.now();
        let fields = serde_json::json!({
            "groupId": group.as_str(),
            "version": now.to_string(),
            "reason": error.to_string(),
        });
        self.events.publish(&Event::new("group_change_failed", now, fields));
    }
}

/// A deployment that was started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Started {
    pub id: DeploymentId,
    pub version: Timestamp,
}

/// Whether somebody else changed the same apps first.
fn is_late(error: &Error) -> bool {
    let Error::Rejected(Rejected::Stale(it) | Rejected::Exists(it) | Rejected::NotFound(it)) =
        error
    else {
        return false;
    };
    it.of == Thing::App
}
