//! What a definition would do if it were run now: the change is applied to a copy of the state, and the
//! planner looks for places on it.

use serde::Serialize;
use serde_json::Value;

use super::{
    Iso, Resources, View,
    app::{PortRow, dns_names, port_row},
};
use crate::{
    base::units::count,
    control::definitions::{Definitions, Fault},
    core::{
        Rejected, Stamped, State, WorkloadCommand, apply,
        command::{Edit, PutApps},
        deploy::preview::{Preview, preview},
        place::{Forecast, Place, Room, forecast},
    },
    model::{
        WorkloadSpec,
        deployment::{ActionKind, DeploymentId},
        workload::KillSelection,
    },
};

/// Instances beyond the wanted ones that are tried: who asks for more does not ask for one more.
const MORE_MAX: u32 = 1_000;
/// Fields that are told to change.
const CHANGES_MAX: usize = 200;

/// What is answered.
#[derive(Serialize)]
pub struct Answer {
    /// Why the definition is refused; empty when it is not.
    problems: Vec<Fault>,
    /// Fields that mean nothing.
    unknown: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Value>,
}

#[derive(Serialize)]
struct Plan<'a> {
    app_id: &'a str,
    action: &'static str,
    sentence: String,
    /// Of what is there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Iso>,
    changes: Vec<FieldChange>,
    starts: u32,
    stops: u32,
    healthy_min: u32,
    at_most: u32,
    stops_first: Vec<&'a str>,
    requirement: Resources,
    places: Vec<PlaceRow<'a>>,
    waiting: u32,
    room: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a str>,
    dns_names: Vec<String>,
    ports: Vec<PortRow<'a>>,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
struct FieldChange {
    path: String,
    /// As JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

#[derive(Serialize)]
struct PlaceRow<'a> {
    node_id: &'a str,
    host: &'a str,
    instances: u32,
}

#[derive(Serialize)]
struct Warning {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'static str>,
    message: String,
}

/// The change, applied to a copy.
struct Applied {
    state: State,
    is_locked: bool,
}

/// The whole answer. `show` writes a definition the way its authors do.
pub fn plan(
    view: &View<'_>,
    definitions: &dyn Definitions,
    definition: &Value,
    show: fn(&WorkloadSpec) -> Value,
) -> Answer {
    let unknown = definitions.unknown(definition);
    let refused = |problems| Answer { problems, unknown: unknown.clone(), plan: None };
    let edit = match definitions.edit(view.state, definition) {
        Ok(edit) => edit,
        Err(problems) => return refused(problems),
    };
    let applied = match applied(view, &edit) {
        Ok(applied) => applied,
        Err(rejected) => return refused(vec![fault(&rejected)]),
    };
    let before = view.state.spec(&edit.id).map(|spec| &**spec);
    let plan = applied.state.spec(&edit.id).map(|after| {
        let outlook = Outlook::of(view, &applied.state, before, after);
        written(&outlook, &applied, before, after, show)
    });
    Answer { problems: Vec::new(), unknown, plan }
}

/// As the log would apply it. What is locked is tried again by force, and told.
fn applied(view: &View<'_>, edit: &Edit) -> Result<Applied, Rejected> {
    for force in [false, true] {
        let mut state = view.state.clone();
        let put = PutApps {
            deployment: DeploymentId::from("plan"),
            force,
            edits: vec![edit.clone()],
            groups: Vec::new(),
            victims: Default::default(),
        };
        let command = WorkloadCommand::PutApps(Box::new(put)).into();
        let (outcome, _) =
            apply(&mut state, &Stamped { at: view.now, request: None, by: None, command });
        match outcome {
            Ok(_) => return Ok(Applied { state, is_locked: force }),
            Err(Rejected::Locked { .. }) if !force => {}
            Err(rejected) => return Err(rejected),
        }
    }
    Err(Rejected::Stale(crate::core::Thing::App.named(&edit.id)))
}

fn fault(rejected: &Rejected) -> Fault {
    match rejected {
        Rejected::Invalid { field, problem } => {
            let way = field.trim_matches('/');
            let path = if way.is_empty() { String::new() } else { format!("/{way}") };
            Fault { path, message: format!("{way}: {problem}").trim_start_matches(": ").to_owned() }
        }
        other => Fault { path: String::new(), message: other.to_string() },
    }
}

/// What instances start and end, and where they would be.
struct Outlook {
    preview: Preview,
    forecast: Forecast,
    /// New instances that fit while the old ones are still there.
    n_beside: u32,
}

impl Outlook {
    fn of(
        view: &View<'_>,
        state: &State,
        before: Option<&WorkloadSpec>,
        after: &WorkloadSpec,
    ) -> Self {
        let preview = preview(state, before, after);
        let limits = view.cluster.limits();
        let look = |room| forecast(state, &[], after, view.now, &limits, room);
        let beside = look(Room { without_old: false, more: MORE_MAX });
        let n_beside = beside.report.n_placed;
        let is_restart = preview.kind == Some(ActionKind::Restart);
        if !is_restart {
            return Self { preview, forecast: beside, n_beside };
        }
        let mut forecast = look(Room { without_old: true, more: MORE_MAX });
        if n_beside >= preview.n_start {
            forecast.places = beside.places;
        }
        Self { preview, forecast, n_beside }
    }
}

fn written(
    outlook: &Outlook,
    applied: &Applied,
    before: Option<&WorkloadSpec>,
    after: &WorkloadSpec,
    show: fn(&WorkloadSpec) -> Value,
) -> Value {
    let Outlook { preview, forecast, .. } = outlook;
    let changes = before.map_or_else(Vec::new, |before| changes(&show(before), &show(after)));
    let is_same = before.is_some_and(|before| before.version == after.version);
    let action = match preview.kind {
        _ if is_same => "none",
        Some(ActionKind::Start) => "create",
        Some(ActionKind::Restart) => "restart",
        Some(ActionKind::Scale | ActionKind::Stop) => "scale",
        None => "update",
    };
    let plan = Plan {
        app_id: after.id.as_str(),
        action,
        sentence: if is_same { "Nothing changes.".to_owned() } else { sentence(preview, after) },
        version: before.map(|before| Iso(before.version)),
        changes,
        starts: preview.n_start,
        stops: preview.n_stop,
        healthy_min: preview.n_healthy_min,
        at_most: preview.n_at_most,
        stops_first: preview.first.iter().map(|id| id.as_str()).collect(),
        requirement: after.run.demand().into(),
        places: forecast.places.iter().map(place).collect(),
        waiting: forecast.report.n_waiting,
        room: forecast.n_more,
        limit: forecast.limit.as_deref(),
        dns_names: dns_names(&after.id),
        ports: after.run.ports().map(port_row).collect(),
        warnings: warnings(outlook, applied, after),
    };
    serde_json::to_value(&plan).unwrap_or_default()
}

fn place(place: &Place) -> PlaceRow<'_> {
    PlaceRow { node_id: place.node.as_str(), host: &place.hostname, instances: place.n }
}

/// What happens to instances, and in which order.
fn sentence(preview: &Preview, spec: &WorkloadSpec) -> String {
    let Preview { n_start, n_stop, n_healthy_min, n_at_most, .. } = *preview;
    let many = |n: u32| count(n as usize, "instance");
    let order = match spec.kill_selection {
        KillSelection::YoungestFirst => "the youngest first",
        KillSelection::OldestFirst => "the oldest first",
    };
    let ends = if n_stop == 1 { "ends" } else { "end" };
    let starts = if n_start == 1 { "starts" } else { "start" };
    match preview.kind {
        None => "The definition changes; no instance starts or ends.".to_owned(),
        Some(ActionKind::Start) if n_start == 0 => {
            "The service is made; no instance starts.".to_owned()
        }
        Some(ActionKind::Restart) => {
            let n_old = n_stop;
            let who = if n_old == 1 {
                "1 instance is replaced".to_owned()
            } else {
                format!("{} are replaced", many(n_old))
            };
            let beside = n_at_most.saturating_sub(n_old);
            let how = if beside > 0 {
                format!("up to {beside} new beside the old, which end as new ones get healthy")
            } else {
                let gap = n_old.saturating_sub(n_healthy_min).max(1);
                format!("up to {gap} at a time, the old before the new")
            };
            let order = if n_old > 1 { format!(", {order}") } else { String::new() };
            format!("{who}: {how}{order}. At least {n_healthy_min} stay healthy.")
        }
        Some(_) if n_stop > 0 && n_stop == 1 => {
            format!("1 instance {ends}: {}.", order_of_one(order))
        }
        Some(_) if n_stop > 0 => format!("{} {ends}, {order}.", many(n_stop)),
        Some(_) => format!("{} {starts}.", many(n_start)),
    }
}

/// `the youngest first` of one.
fn order_of_one(order: &str) -> &str {
    order.trim_end_matches(" first")
}

fn warnings(outlook: &Outlook, applied: &Applied, spec: &WorkloadSpec) -> Vec<Warning> {
    let Outlook { preview, forecast, n_beside } = outlook;
    let mut list = Vec::new();
    let mut warn = |code, path, message| list.push(Warning { code, path, message });
    if applied.is_locked {
        let message = "A deployment works on this service; running the change ends that one.";
        warn("locked", None, message.to_owned());
    }
    let n_waiting = forecast.report.n_waiting;
    if let Some(limit) = forecast.limit.as_ref().filter(|_| n_waiting > 0) {
        let (n, waits) = (preview.n_start, if n_waiting == 1 { "waits" } else { "wait" });
        warn("no_place", None, format!("{n_waiting} of {n} {waits} for a place: {limit}."));
    }
    let is_restart = preview.kind == Some(ActionKind::Restart);
    if is_restart && *n_beside == 0 && preview.n_healthy_min >= preview.n_stop {
        let message = "No new instance fits beside the old ones, and no old one may end first: lower \
                       minimumHealthCapacity, or the change waits.";
        warn("stuck", Some("/upgradeStrategy/minimumHealthCapacity"), message.to_owned());
    }
    if is_restart && preview.n_healthy_min == 0 {
        let message = "The service is away while its instances are replaced.";
        warn("gap", Some("/upgradeStrategy/minimumHealthCapacity"), message.to_owned());
    }
    if !spec.run.has_health_checks() {
        let message = "There is no health check: an instance counts as well as soon as it runs.";
        warn("no_health_check", Some("/healthChecks"), message.to_owned());
    }
    for image in spec.run.containers.iter().filter_map(|c| c.image.as_ref()) {
        if is_floating(&image.name) {
            let message = format!(
                "The image {} names no version: what runs may be another one after each pull.",
                image.name
            );
            warn("image_latest", Some("/container/docker/image"), message);
        }
    }
    list
}

/// Whether an image's name can be another image tomorrow, and says so.
fn is_floating(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    !name.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// Fields that differ. Lists of equal length are compared element by element.
fn changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare(Some(before), Some(after), String::new(), &mut found);
    found.truncate(CHANGES_MAX);
    found
}

fn compare(
    before: Option<&Value>,
    after: Option<&Value>,
    path: String,
    found: &mut Vec<FieldChange>,
) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let more = new.keys().filter(|key| !old.contains_key(*key));
            let is_stamp = |key: &str| path.is_empty() && matches!(key, "version" | "versionInfo");
            for key in old.keys().chain(more).filter(|key| !is_stamp(key)) {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                compare(old.get(key), new.get(key), format!("{path}/{escaped}"), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() => {
            for (at, (old, new)) in old.iter().zip(new).enumerate() {
                compare(Some(old), Some(new), format!("{path}/{at}"), found);
            }
        }
        (before, after) => {
            let text = |value: Option<&Value>| value.map(Value::to_string);
            found.push(FieldChange { path, before: text(before), after: text(after) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_without_a_version_float() {
        for (image, wanted) in [
            ("nginx", true),
            ("nginx:latest", true),
            ("registry:5000/nginx", true),
            ("registry:5000/nginx:1.27", false),
            ("nginx@sha256:abc", false),
        ] {
            assert_eq!(is_floating(image), wanted, "{image}");
        }
    }

    #[test]
    fn what_differs_is_told_field_by_field() {
        let before =
            serde_json::json!({"a": 1, "l": [{"x": 1}], "m": [1], "version": 1, "gone": true});
        let after =
            serde_json::json!({"a": 2, "l": [{"x": 2}], "m": [1, 2], "version": 2, "n/w": 1});
        let found = serde_json::to_value(changes(&before, &after)).unwrap();
        assert_eq!(
            found,
            serde_json::json!([
                {"path": "/a", "before": "1", "after": "2"},
                {"path": "/l/0/x", "before": "1", "after": "2"},
                {"path": "/m", "before": "[1]", "after": "[1,2]"},
                {"path": "/gone", "before": "true"},
                {"path": "/n~1w", "after": "1"},
            ])
        );
    }
}
