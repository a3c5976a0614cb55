//! Apps as JSON: the definition and what is embedded beside it.

use serde::Serialize;

use super::{
    embed::Embed,
    stats::TaskStats,
    task::{self, Counts, Task},
};
use crate::{
    base::clock::Timestamp,
    compat::marathon::{
        convert,
        spec::{self, app::Stamp},
    },
    core::{State, state},
    model::{deployment::DeploymentId, instance::ReadinessStatus, path::AppId},
};

/// An app with what was asked for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppInfo<'a> {
    #[serde(flatten)]
    pub app: spec::App,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_staged: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_running: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_healthy: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_unhealthy: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployments: Option<Vec<Identified>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readiness_check_results: Option<Vec<ReadinessResult<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<Task<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_task_failure: Option<Failure<'a>>,
    /// The key the web interface reads; the original's own, `tasksStats`, breaks strict clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    task_stats: Option<TaskStats>,
}

/// `{"id":…}`.
#[derive(Clone, Debug, Serialize)]
pub struct Identified {
    pub id: DeploymentId,
}

/// A readiness check's result.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessResult<'a> {
    name: &'a str,
    task_id: String,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_response: Option<LastResponse<'a>>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LastResponse<'a> {
    status: u16,
    content_type: &'a str,
    body: &'a str,
}

/// `lastTaskFailure`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    app_id: &'a AppId,
    host: &'a str,
    message: &'a str,
    state: &'a str,
    task_id: &'a str,
    timestamp: Stamp,
    version: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    slave_id: Option<&'a str>,
}

impl<'a> AppInfo<'a> {
    /// An app as it is wanted now.
    pub fn of(state: &'a State, app: &'a state::App, embed: Embed, now: Timestamp) -> Self {
        let spec = &app.spec;
        let counts = embed.counts.then(|| Counts::of(state, spec));
        let deployments = || state.index.locks.get(&app.id).cloned();
        Self {
            app: convert::app(spec),
            tasks_staged: counts.map(|c| c.staged),
            tasks_running: counts.map(|c| c.running),
            tasks_healthy: counts.map(|c| c.healthy),
            tasks_unhealthy: counts.map(|c| c.unhealthy),
            deployments: embed
                .deployments
                .then(|| deployments().into_iter().map(|id| Identified { id }).collect()),
            readiness_check_results: embed.readiness.then(|| readiness(state, &app.id)),
            tasks: embed.tasks.then(|| task::of_app(state, spec)),
            last_task_failure: embed
                .last_failure
                .then(|| app.last_failure.as_ref().map(|f| failure(&app.id, f)))
                .flatten(),
            task_stats: embed.stats.then(|| TaskStats::of(state, spec, now)),
        }
    }

    /// The answer to the POST that made the app: as it was asked for, before ports were assigned.
    pub fn created(app: spec::App, version: Timestamp, deployment: DeploymentId) -> Self {
        Self {
            app: spec::App { version: Some(Stamp(version)), ..app },
            tasks_staged: Some(0),
            tasks_running: Some(0),
            tasks_healthy: Some(0),
            tasks_unhealthy: Some(0),
            deployments: Some(vec![Identified { id: deployment }]),
            readiness_check_results: None,
            tasks: Some(Vec::new()),
            last_task_failure: None,
            task_stats: None,
        }
    }
}

/// The results of the readiness checks of an app's instances.
pub fn readiness<'a>(state: &'a State, app: &AppId) -> Vec<ReadinessResult<'a>> {
    state
        .instances_of(app)
        .flat_map(|i| i.readiness().iter().map(|r| result(i.task_id(""), r)))
        .collect()
}

fn result(task_id: String, status: &ReadinessStatus) -> ReadinessResult<'_> {
    ReadinessResult {
        name: &status.name,
        task_id,
        ready: status.ready,
        last_response: status.last_response.as_ref().map(|(status, content_type, body)| {
            LastResponse { status: *status, content_type, body }
        }),
    }
}

fn failure<'a>(app_id: &'a AppId, failure: &'a state::TaskFailure) -> Failure<'a> {
    Failure {
        app_id,
        host: &failure.hostname,
        message: &failure.message,
        state: &failure.state,
        task_id: &failure.task_id,
        timestamp: Stamp(failure.at),
        version: Stamp(failure.version),
        slave_id: failure.node.as_ref().map(|n| n.as_str()),
    }
}
