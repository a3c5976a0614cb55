//! Why an app is not running as wanted: launch delays, and the report of the latest placement
//! attempt in the words of the contract.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Decimal, Iso, Resources, View, app};
use crate::{
    base::clock::Timestamp,
    core::{
        State,
        place::report::{Change, ConstraintRow, FunnelRow, NodeRow, Report, Shortage},
    },
    model::{AppId, Role, WorkloadSpec, instance::Condition},
};

/// What one placement attempt found; empty lists when nothing waits.
#[derive(Default, Serialize)]
struct Attempt<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Iso>,
    /// What one instance needs.
    requirement: Resources,
    ports: u32,
    nodes_total: u32,
    nodes_fitting: u32,
    funnel: Vec<FunnelStep<'a>>,
    constraints: Vec<ConstraintStep<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closest: Option<Closest<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<SmallestChange<'a>>,
    nodes: Vec<Verdict<'a>>,
}

#[derive(Serialize)]
struct FunnelStep<'a> {
    reason: &'static str,
    r#in: u32,
    removed: u32,
    out: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct ConstraintStep<'a> {
    field: &'a str,
    operator: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    removed: u32,
    sole: u32,
}

#[derive(Serialize)]
struct Closest<'a> {
    node_id: &'a str,
    host: &'a str,
    missing: Vec<Lack<'a>>,
}

#[derive(Serialize)]
struct Lack<'a> {
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    needed: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<Decimal>,
    message: &'a str,
}

#[derive(Serialize)]
struct SmallestChange<'a> {
    sentence: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<Value>,
}

#[derive(Serialize)]
struct Verdict<'a> {
    node_id: &'a str,
    host: &'a str,
    fits: bool,
    free: Resources,
    failed: Vec<Lack<'a>>,
}

impl<'a> Attempt<'a> {
    fn of(report: &'a Report, spec: &WorkloadSpec) -> Self {
        let advice = report.advice.first();
        Self {
            at: Some(Iso(report.at)),
            requirement: report.needs.into(),
            ports: report.n_ports,
            nodes_total: report.n_nodes,
            nodes_fitting: report.n_fitting,
            funnel: report.funnel.iter().map(funnel_step).collect(),
            constraints: report.constraints.iter().map(constraint_step).collect(),
            closest: report.nodes.first().filter(|n| !n.failed.is_empty()).map(closest),
            change: advice
                .map(|a| SmallestChange { sentence: &a.sentence, patch: patch(&a.change, spec) }),
            nodes: report.nodes.iter().map(verdict).collect(),
        }
    }
}

fn funnel_step(row: &FunnelRow) -> FunnelStep<'_> {
    FunnelStep {
        reason: row.reason.as_str(),
        r#in: row.processed,
        removed: row.declined,
        out: row.processed.saturating_sub(row.declined),
        detail: row.detail.as_deref(),
    }
}

fn constraint_step(row: &ConstraintRow) -> ConstraintStep<'_> {
    ConstraintStep {
        field: &row.constraint.field,
        operator: row.constraint.operator.as_str(),
        value: row.constraint.value.as_deref(),
        removed: row.n_removed,
        sole: row.n_sole,
    }
}

fn closest(row: &NodeRow) -> Closest<'_> {
    let missing = row.failed.iter().map(lack).collect();
    Closest { node_id: row.node.as_str(), host: &row.hostname, missing }
}

fn verdict(row: &NodeRow) -> Verdict<'_> {
    Verdict {
        node_id: row.node.as_str(),
        host: &row.hostname,
        fits: row.failed.is_empty(),
        free: row.free.into(),
        failed: row.failed.iter().map(lack).collect(),
    }
}

fn lack(shortage: &Shortage) -> Lack<'_> {
    Lack {
        reason: shortage.reason.as_str(),
        needed: shortage.needed.map(Decimal),
        available: shortage.available.map(Decimal),
        message: &shortage.message,
    }
}

/// The fields to PATCH an app with, where a change of the app itself would do.
fn patch(change: &Change, spec: &WorkloadSpec) -> Option<Value> {
    match change {
        Change::Lower { steps } if steps.iter().all(|s| s.container.is_empty()) => {
            let fields = steps.iter().map(|s| (s.resource.clone(), json!(Decimal(s.to))));
            Some(Value::Object(fields.collect()))
        }
        Change::DropConstraint { constraint } => {
            let kept = spec.constraints.iter().filter(|c| *c != constraint).map(|c| {
                let field = [Some(c.field.as_str()), Some(c.operator.as_str()), c.value.as_deref()];
                field.into_iter().flatten().collect::<Vec<_>>()
            });
            Some(json!({"constraints": kept.collect::<Vec<_>>()}))
        }
        Change::AcceptRole { role } => {
            let mut roles = spec.accepted_roles.clone().unwrap_or_else(|| [Role::star()].into());
            roles.insert(role.clone());
            let roles: Vec<&str> = roles.iter().map(Role::as_str).collect();
            Some(json!({"acceptedResourceRoles": roles}))
        }
        Change::Lower { .. }
        | Change::FreePorts { .. }
        | Change::Activate { .. }
        | Change::NameRegion { .. }
        | Change::UseGpuNodes
        | Change::RaiseQuota { .. }
        | Change::AddNode { .. } => None,
    }
}

/// `Why` of the contract.
#[derive(Serialize)]
struct Why<'a> {
    app_id: &'a str,
    state: &'static str,
    sentence: String,
    wanted: u32,
    placed: usize,
    waiting: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    delayed_until: Option<Iso>,
    #[serde(flatten)]
    attempt: Attempt<'a>,
}

/// The whole answer for one app as JSON; `None` when there is no such app.
pub fn why(view: &View<'_>, id: &AppId) -> Option<Value> {
    let state = view.state;
    let spec = app::spec(state, id)?;
    let wanted = state.spec(id).map_or(0, |s| s.instances);
    let waiting = state.index.waiting.get(id).map_or(0, |w| w.len());
    let placed = state.instances_of(id).filter(|i| i.condition.is_active()).count();
    let report = view.cluster.explain(id).filter(|_| waiting > 0);
    let (word, sentence) = judge(view, id, wanted, placed, waiting, report.as_deref());
    let attempt = match &report {
        Some(report) => Attempt::of(report, spec),
        None => Attempt {
            requirement: spec.demand().into(),
            nodes_total: u32::try_from(state.nodes.len()).unwrap_or(u32::MAX),
            ..Attempt::default()
        },
    };
    let delayed_until = delayed_until(view, id).filter(|_| waiting > 0).map(Iso);
    let app_id = id.as_str();
    let why =
        Why { app_id, state: word, sentence, wanted, placed, waiting, delayed_until, attempt };
    serde_json::to_value(&why).ok()
}

fn judge(
    view: &View<'_>,
    id: &AppId,
    wanted: u32,
    placed: usize,
    waiting: usize,
    report: Option<&Report>,
) -> (&'static str, String) {
    if waiting > 0 && delayed_until(view, id).is_some() {
        return ("delayed", delay_sentence(view, id));
    }
    if waiting > 0 {
        return match report {
            Some(report) if report.is_blocked() => ("waiting", report.sentence.clone()),
            Some(_) => ("starting", format!("{waiting} of {wanted} instances get a place now")),
            None => ("no_report", "no placement has been tried yet".to_owned()),
        };
    }
    if wanted == 0 && placed == 0 {
        return ("stopped", "no instance is wanted".to_owned());
    }
    let up = view.state.instances_of(id).filter(|i| i.condition == Condition::Running).count();
    if up < wanted as usize {
        let sentence = match coming(view.state, id) {
            Some(what) => format!("{up} of {wanted} instances run; {what}"),
            None => format!("{up} of {wanted} instances run"),
        };
        return ("starting", sentence);
    }
    ("satisfied", format!("all {wanted} wanted instances run"))
}

/// What an instance on its way is doing, in the runtime's words.
fn coming(state: &State, id: &AppId) -> Option<String> {
    let instance = state.instances_of(id).find(|i| i.condition != Condition::Running)?;
    let host = instance.placement.as_ref().map_or("no node yet", |p| p.hostname.as_str());
    let word = super::instance::condition_word(instance.condition);
    let message = if instance.message.is_empty() { "" } else { ": " };
    Some(format!("{} is {word} on {host}{message}{}", instance.id, instance.message))
}

/// The end of the launch delay an app has earned, while it lies ahead.
pub fn delayed_until(view: &View<'_>, id: &AppId) -> Option<Timestamp> {
    let delay = view.state.delays.get(id)?;
    let config = view.state.spec(id)?.last_config_change_at;
    (delay.config == config && delay.until > view.now).then_some(delay.until)
}

/// Says that launches are held back, for how long, and what the last failure was.
pub fn delay_sentence(view: &View<'_>, id: &AppId) -> String {
    let Some(delay) = view.state.delays.get(id) else { return String::new() };
    let failure = view.state.apps.get(id).and_then(|a| a.last_failure.as_ref());
    let last = failure.map(|f| format!("; the last ended with {} ({})", f.state, f.message));
    format!(
        "{} failures in a row: the next launch is held back until {}{}",
        delay.n_failures,
        delay.until,
        last.unwrap_or_default()
    )
}

/// One sentence on why waiting instances have no place; `None` when they get one right away.
pub fn stuck(view: &View<'_>, id: &AppId) -> Option<String> {
    let report = view.cluster.explain(id)?;
    report.is_blocked().then(|| report.sentence.clone())
}
