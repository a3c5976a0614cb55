//! Deployments with the progress of their present step.

use serde::Serialize;

use super::{
    Iso, View,
    app::{self, is_up},
    verdict::{AppCondition, verdict},
};
use crate::model::{
    AppId, Deployment, Instance,
    deployment::{Action, ActionKind},
};

/// `Deployment` of the contract.
#[derive(Serialize)]
pub struct DeploymentRow<'a> {
    id: &'a str,
    version: Iso,
    app_ids: Vec<&'a str>,
    step: u32,
    steps: usize,
    /// Apps that were not there before: taking the deployment back removes them.
    creates: Vec<&'a str>,
    started_at: Iso,
    actions: Vec<ActionRow<'a>>,
}

#[derive(Serialize)]
struct ActionRow<'a> {
    app_id: &'a str,
    action: &'static str,
    done: usize,
    of: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<String>,
}

/// The row of one deployment.
pub fn row<'a>(view: &View<'a>, deployment: &'a Deployment) -> DeploymentRow<'a> {
    let actions = deployment.step().map_or(&[][..], |step| &step.actions);
    DeploymentRow {
        id: deployment.id.as_str(),
        version: Iso(deployment.version),
        app_ids: deployment.changes.keys().map(AppId::as_str).collect(),
        step: deployment.current_step,
        steps: deployment.steps.len(),
        creates: deployment
            .changes
            .iter()
            .filter(|(_, change)| change.before.is_none())
            .map(|(app, _)| app.as_str())
            .collect(),
        started_at: Iso(deployment.started_at),
        actions: actions.iter().map(|a| action_row(view, deployment, a)).collect(),
    }
}

fn action_row<'a>(
    view: &View<'a>,
    deployment: &'a Deployment,
    action: &'a Action,
) -> ActionRow<'a> {
    let state = view.state;
    let present: Vec<&Instance> = state
        .instances_of(&action.app)
        .filter(|i| !i.condition().is_terminal())
        .map(|i| &**i)
        .collect();
    let change = deployment.changes.get(&action.app);
    let wanted = change.and_then(|c| c.after.as_ref()).map_or(0, |s| s.instances as usize);
    let before = change.and_then(|c| c.before.as_ref()).map_or(0, |s| s.instances as usize);
    let up = present.iter().filter(|i| is_up(state, i)).count();
    let (word, done, of) = match action.kind {
        ActionKind::Start => ("start", 0, 0),
        ActionKind::Stop => {
            ("stop", before.saturating_sub(present.len()), before.max(present.len()))
        }
        ActionKind::Scale if present.len() > wanted => {
            let of = before.max(present.len()) - wanted;
            ("scale", of - (present.len() - wanted), of)
        }
        ActionKind::Scale => ("scale", up.min(wanted), wanted),
        ActionKind::Restart => ("restart", up.min(wanted), wanted),
    };
    ActionRow {
        app_id: action.app.as_str(),
        action: word,
        done,
        of,
        blocked: blocked(view, action),
    }
}

/// What an action waits for, when it does not just advance: the verdict about its app.
fn blocked(view: &View<'_>, action: &Action) -> Option<String> {
    let verdict = verdict(view, &action.app, app::spec(view.state, &action.app)?);
    let tells = verdict.state.needs_attention() || verdict.cause.is_some();
    tells.then(|| match (verdict.state, &verdict.cause) {
        // How many are up stands beside it already.
        (AppCondition::Deploying | AppCondition::Deleting, Some(cause)) => cause.clone(),
        _ => verdict.full(),
    })
}
