//! Why an app is not running as wanted: the verdict about it, and the report of the latest placement
//! attempt in the words of the contract.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Decimal, Iso, Resources, View,
    lookup::{delayed_until, spec},
    verdict::{Standing, Verdict, verdict},
};
use crate::{
    core::place::report::{ConstraintRow, FunnelRow, NodeRow, Remedy, Report, Shortage},
    model::{AppId, Role, WorkloadSpec},
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
    nodes: Vec<NodeAnswer<'a>>,
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
struct NodeAnswer<'a> {
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
            nodes: report.nodes.iter().map(node_answer).collect(),
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

fn node_answer(row: &NodeRow) -> NodeAnswer<'_> {
    NodeAnswer {
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
fn patch(change: &Remedy, spec: &WorkloadSpec) -> Option<Value> {
    match change {
        Remedy::Lower { steps } if steps.iter().all(|s| s.container.is_empty()) => {
            let fields = steps.iter().map(|s| (s.resource.clone(), json!(Decimal(s.to))));
            Some(Value::Object(fields.collect()))
        }
        Remedy::DropConstraint { constraint } => {
            let kept = spec.constraints.iter().filter(|c| *c != constraint).map(|c| {
                let field = [Some(c.field.as_str()), Some(c.operator.as_str()), c.value.as_deref()];
                field.into_iter().flatten().collect::<Vec<_>>()
            });
            Some(json!({"constraints": kept.collect::<Vec<_>>()}))
        }
        Remedy::AcceptRole { role } => {
            let mut roles = spec.accepted_roles.clone().unwrap_or_else(|| [Role::star()].into());
            roles.insert(role.clone());
            let roles: Vec<&str> = roles.iter().map(Role::as_str).collect();
            Some(json!({"acceptedResourceRoles": roles}))
        }
        Remedy::Lower { .. }
        | Remedy::FreePorts { .. }
        | Remedy::Activate { .. }
        | Remedy::NameRegion { .. }
        | Remedy::UseGpuNodes
        | Remedy::RaiseQuota { .. }
        | Remedy::AddNode { .. } => None,
    }
}

/// `Why` of the contract.
#[derive(Serialize)]
struct Why<'a> {
    app_id: &'a str,
    state: &'static str,
    sentence: String,
    verdict: Verdict,
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
    let spec = spec(state, id)?;
    let wanted = state.spec(id).map_or(0, |s| s.instances);
    let waiting = match state.index.waiting.get(id).map_or(0, |w| w.len()) {
        0 => 0,
        made => made + state.n_unmade(id),
    };
    let placed = state.instances_of(id).filter(|i| i.condition().is_active()).count();
    let report = view.cluster.attempt(id).filter(|_| waiting > 0);
    let verdict = verdict(view, id, spec);
    let word = word(&verdict, waiting, report.as_deref());
    let sentence = verdict.full();
    let attempt = match &report {
        Some(report) => Attempt::of(report, spec),
        None => Attempt {
            requirement: spec.run.demand().into(),
            nodes_total: u32::try_from(state.nodes.len()).unwrap_or(u32::MAX),
            ..Attempt::default()
        },
    };
    let delayed_until = delayed_until(view, id).filter(|_| waiting > 0).map(Iso);
    let app_id = id.as_str();
    let why = Why {
        app_id,
        state: word,
        sentence,
        verdict,
        wanted,
        placed,
        waiting,
        delayed_until,
        attempt,
    };
    serde_json::to_value(&why).ok()
}

/// The word of this answer. It is that of the row, but for "all is well" and for the moment before
/// anybody has looked for a place.
fn word(verdict: &Verdict, n_waiting: usize, report: Option<&Report>) -> &'static str {
    use Standing as S;
    match verdict.state {
        S::Deploying | S::Starting | S::Degraded if n_waiting > 0 && report.is_none() => {
            "no_report"
        }
        S::Running => "satisfied",
        S::Deploying => "starting",
        state => state.word(),
    }
}
