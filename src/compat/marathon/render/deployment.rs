//! Deployments as JSON.

use serde::Serialize;

use super::app::{ReadinessResult, readiness};
use crate::{
    compat::marathon::spec::app::Stamp,
    core::State,
    model::{
        deployment::{self, ActionKind, DeploymentId},
        path::AppId,
        workload::Kind,
    },
};

/// `{"version":…,"deploymentId":…}`: what a change answers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    pub version: Stamp,
    pub deployment_id: DeploymentId,
}

/// A running deployment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment<'a> {
    id: &'a DeploymentId,
    version: Stamp,
    affected_apps: Vec<&'a AppId>,
    affected_pods: Vec<&'a AppId>,
    steps: Vec<Step<'a>>,
    current_actions: Vec<CurrentAction<'a>>,
    current_step: u32,
    total_steps: usize,
}

#[derive(Clone, Debug, Serialize)]
pub struct Step<'a> {
    actions: Vec<Action<'a>>,
}

/// One action; pods and apps go by different keys.
#[derive(Clone, Debug, Serialize)]
pub struct Action<'a> {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a AppId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a AppId>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CurrentAction<'a> {
    #[serde(flatten)]
    action: Action<'a>,
    readiness_check_results: Vec<ReadinessResult<'a>>,
}

fn kind_of(deployment: &deployment::Deployment, app: &AppId) -> Kind {
    let change = deployment.changes.get(app);
    let spec = change.and_then(|change| change.after.as_ref().or(change.before.as_ref()));
    spec.map_or(Kind::App, |spec| spec.run.kind)
}

/// An action of a deployment.
pub fn action<'a>(
    deployment: &deployment::Deployment,
    action: &'a deployment::Action,
) -> Action<'a> {
    let kind = kind_of(deployment, &action.app);
    let name = match (action.kind, kind) {
        (ActionKind::Start, Kind::App) => "StartApplication",
        (ActionKind::Stop, Kind::App) => "StopApplication",
        (ActionKind::Scale, Kind::App) => "ScaleApplication",
        (ActionKind::Restart, Kind::App) => "RestartApplication",
        (ActionKind::Start, Kind::Pod) => "StartPod",
        (ActionKind::Stop, Kind::Pod) => "StopPod",
        (ActionKind::Scale, Kind::Pod) => "ScalePod",
        (ActionKind::Restart, Kind::Pod) => "RestartPod",
    };
    let is_app = kind == Kind::App;
    Action {
        action: name,
        app: is_app.then_some(&action.app),
        pod: (!is_app).then_some(&action.app),
    }
}

/// The steps of a deployment.
pub fn steps(deployment: &deployment::Deployment) -> Vec<Step<'_>> {
    let steps = deployment
        .steps
        .iter()
        .map(|step| Step { actions: step.actions.iter().map(|a| action(deployment, a)).collect() });
    steps.collect()
}

impl<'a> Deployment<'a> {
    pub fn of(state: &'a State, deployment: &'a deployment::Deployment) -> Self {
        let affected = |kind: Kind| {
            deployment.changes.keys().filter(|id| kind_of(deployment, id) == kind).collect()
        };
        let current = deployment.step().map(|s| s.actions.as_slice()).unwrap_or_default();
        Self {
            id: &deployment.id,
            version: Stamp(deployment.version),
            affected_apps: affected(Kind::App),
            affected_pods: affected(Kind::Pod),
            steps: steps(deployment),
            current_actions: current
                .iter()
                .map(|a| CurrentAction {
                    action: action(deployment, a),
                    readiness_check_results: readiness(state, &a.app),
                })
                .collect(),
            current_step: deployment.current_step,
            total_steps: deployment.steps.len(),
        }
    }
}
