//! `Marathon`: what the handlers share, and the little they need of the rest of the system.

use std::sync::Arc;

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
    control::cluster::{self, Cluster},
    core::{
        Accepted, Command, Rejected, State, Thing, WorkloadCommand,
        command::{Edit, PutApps},
    },
    http::auth::Principal,
    model::{deployment::DeploymentId, path::PathId},
};

/// Times a change is computed anew because somebody else was faster. Each round means that another
/// writer got through, so this many in a row is a hot spot the caller should hear of.
const ROUNDS_MAX: usize = 8;

/// The dialect's state: handles only.
pub struct Marathon {
    pub cluster: Arc<dyn Cluster>,
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
        cluster: Arc<dyn Cluster>,
        clock: Arc<dyn Clock>,
        rng: Rng,
        settings: Settings,
        events: Arc<Hub>,
    ) -> Self {
        Self { cluster, clock, settings, events, tls: false, rng: Mutex::new(rng) }
    }

    pub fn state(&self) -> Arc<State> {
        self.cluster.state()
    }

    /// `host:port` of the leading master's API.
    pub fn leader(&self) -> Option<String> {
        Some(self.cluster.leader()?.addresses.marathon)
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A fresh deployment id.
    pub fn deployment_id(&self) -> DeploymentId {
        DeploymentId::from(self.rng.lock().uuid_at(self.clock.now()).to_string())
    }

    /// Has one command of `by` decided.
    pub async fn run(
        &self,
        by: &Principal,
        command: impl Into<Command>,
    ) -> Result<Accepted, Error> {
        self.cluster.propose(by, command.into()).await.map_err(|error| match error {
            cluster::Error::Rejected(rejected) => Error::Rejected(rejected),
            undecided => Error::Undecided(undecided),
        })
    }

    /// Starts the deployment that `make` computes from a snapshot. Where somebody changed the same
    /// apps meanwhile it is computed anew; `make` then meets the new state and may refuse.
    pub async fn deploy(
        &self,
        by: &Principal,
        make: impl Fn(&State, DeploymentId) -> Result<PutApps, Error>,
    ) -> Result<Started, Error> {
        self.deploy_of(by, 0, make).await
    }

    /// As `deploy`, for a body of `n_bytes`: what a large one takes to check keeps others waiting
    /// no longer than they must.
    pub async fn deploy_of(
        &self,
        by: &Principal,
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
            let outcome = self.run(by, WorkloadCommand::PutApps(Box::new(put))).await;
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
