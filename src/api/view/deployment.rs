//! Deployments with the progress of their present step.

use serde::Serialize;

use super::{
    Iso, View,
    history::{ByRow, by_row},
    lookup::{is_told, is_up, spec},
    verdict::{Standing, Verdict, verdict},
};
use crate::{
    base::units::count,
    model::{
        AppId, Deployment, Instance, WorkloadSpec,
        deployment::{Action, ActionKind, Transition},
    },
};

/// `Deployment` of the contract.
#[derive(Serialize)]
pub struct DeploymentRow<'a> {
    id: &'a str,
    verdict: Verdict,
    version: Iso,
    app_ids: Vec<&'a str>,
    step: u32,
    steps: usize,
    /// Apps that were not there before: taking the deployment back removes them.
    creates: Vec<&'a str>,
    started_at: Iso,
    /// On whose word it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<ByRow>,
    actions: Vec<ActionRow<'a>>,
}

#[derive(Serialize)]
struct ActionRow<'a> {
    app_id: &'a str,
    action: &'static str,
    /// What changes about the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
    done: usize,
    of: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<String>,
}

/// The row of one deployment.
pub fn row<'a>(view: &View<'a>, deployment: &'a Deployment) -> DeploymentRow<'a> {
    let actions = deployment.step().map_or(&[][..], |step| &step.actions);
    let (actions, verdicts): (Vec<_>, Vec<_>) =
        actions.iter().map(|action| action_row(view, deployment, action)).unzip();
    DeploymentRow {
        id: deployment.id.as_str(),
        verdict: verdict_of(deployment, &actions, verdicts),
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
        by: view.cluster.begun_by(deployment).as_ref().map(by_row),
        actions,
    }
}

/// What it does and how far it is; what is wrong with the worst of the apps it works on.
fn verdict_of(
    deployment: &Deployment,
    actions: &[ActionRow<'_>],
    verdicts: Vec<Option<Verdict>>,
) -> Verdict {
    let steps = deployment.steps.len();
    let step = match steps {
        0 | 1 => String::new(),
        _ => format!("step {} of {steps}: ", deployment.current_step),
    };
    let sentence = match actions {
        [] => "begins".to_owned(),
        [only] => format!("{step}{}", only.words()),
        several => {
            let (done, of) = several.iter().fold((0, 0), |(d, o), a| (d + a.done, o + a.of));
            format!("{step}works on {}, {done} of {of} done", count(several.len(), "service"))
        }
    };
    let told = |(action, verdict): (&ActionRow<'_>, Option<Verdict>)| {
        let verdict = verdict.filter(|verdict| verdict.state.needs_attention())?;
        Some((action.app_id.to_owned(), verdict))
    };
    let worst = actions.iter().zip(verdicts).filter_map(told).min_by_key(|(_, v)| v.state);
    let Some((app, worst)) = worst else {
        return Verdict::of(Standing::Deploying, sentence, deployment.started_at);
    };
    let cause = match actions.len() {
        1 => worst.full(),
        _ => format!("{app}: {}", worst.full()),
    };
    let since = worst.since.map(|since| since.0);
    Verdict::of(worst.state, sentence, since).because(cause).next(worst.next.unwrap_or_default())
}

impl ActionRow<'_> {
    /// As `replaces the instances of /web, 1 of 3 done`.
    fn words(&self) -> String {
        let what = match self.action {
            "start" => return format!("begins with {}", self.app_id),
            "stop" => "stops",
            "restart" => "replaces the instances of",
            _ => "scales",
        };
        format!("{what} {}, {} of {} done", self.app_id, self.done, self.of)
    }
}

fn action_row<'a>(
    view: &View<'a>,
    deployment: &'a Deployment,
    action: &'a Action,
) -> (ActionRow<'a>, Option<Verdict>) {
    let state = view.state;
    let present: Vec<&Instance> =
        state.instances_of(&action.app).filter(|i| is_told(i)).map(|i| &**i).collect();
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
    let verdict = spec(state, &action.app).map(|spec| verdict(view, &action.app, spec));
    let row = ActionRow {
        app_id: action.app.as_str(),
        action: word,
        what: change.and_then(what),
        done,
        of,
        blocked: verdict.as_ref().and_then(blocked),
    };
    (row, verdict)
}

/// What an action waits for, when it does not just advance: the verdict about its app.
fn blocked(verdict: &Verdict) -> Option<String> {
    let tells = verdict.state.needs_attention() || verdict.cause.is_some();
    tells.then(|| match (verdict.state, &verdict.cause) {
        // How many are up stands beside it already.
        (Standing::Deploying | Standing::Deleting, Some(cause)) => cause.clone(),
        _ => verdict.full(),
    })
}

/// What changes about an app, as `image web:1 → web:2, 2 → 5 instances`.
fn what(change: &Transition) -> Option<String> {
    let (before, after) = match (&change.before, &change.after) {
        (None, Some(after)) => {
            return Some(format!("new, {}", count(after.instances as usize, "instance")));
        }
        (Some(_), None) => return Some("removed".to_owned()),
        (Some(before), Some(after)) => (before, after),
        (None, None) => return None,
    };
    let image = |spec: &WorkloadSpec| {
        let first = spec.run.containers.first()?;
        Some(first.image.as_ref()?.name.clone())
    };
    let mut parts = Vec::new();
    match (image(before), image(after)) {
        (Some(old), Some(new)) if old != new => parts.push(format!("image {old} → {new}")),
        _ if before.config_differs(after) => parts.push("another configuration".to_owned()),
        _ => {}
    }
    if before.instances != after.instances {
        let n = count(after.instances as usize, "instance");
        parts.push(format!("{} → {n}", before.instances));
    }
    if parts.is_empty() {
        parts.push("new instances of the same configuration".to_owned());
    }
    Some(parts.join(", "))
}
