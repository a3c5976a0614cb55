//! The versions of an app: who made them and what came of it, what differs, and the way back.

use std::{collections::BTreeMap, sync::Arc};

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{
    apps::no_such_app,
    context::Api,
    view::{
        Iso,
        differ::{self, FieldRow},
        effect,
        history::{ByRow, by_row},
    },
};
use crate::{
    base::{clock::Timestamp, rng::Rng},
    core::{
        State, WorkloadCommand,
        command::{Edit, Expect, PutApps},
        history::{Kind, Query, Record, differ::differences, took},
    },
    http::{Call, Response, error::ApiError, reply},
    model::{AppId, DeploymentId, WorkloadSpec},
};

/// Records looked through for what became of versions.
const RECORDS_MAX: usize = 2_000;

#[derive(Serialize)]
struct Versions {
    versions: Vec<VersionRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<Diff>,
}

/// `Version` of the contract.
#[derive(Serialize)]
struct VersionRow {
    version: Iso,
    active: bool,
    instances: u32,
    /// How many instances of it there are.
    running: usize,
    /// What differs from the version before it.
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<ByRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment_id: Option<String>,
    /// `live`, `deploying`, `ended_early`, `unknown`.
    outcome: &'static str,
    outcome_text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<u64>,
}

/// `VersionDiff` of the contract.
#[derive(Serialize)]
struct Diff {
    from: Iso,
    to: Iso,
    summary: String,
    fields: Vec<FieldRow>,
}

/// Newest first; with `from` and `to` what differs between those two.
pub async fn list(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let (state, id, query) = (api.state(), AppId::parse(call.param("id")), call.query());
    let active = state.spec(&id).ok_or_else(|| no_such_app(&id))?.version;
    if query.has("from") || query.has("to") {
        let named = |name: &'static str| match query.get(name) {
            None | Some("") => Ok(active),
            Some(text) => point(name, text),
        };
        let old = stored(&state, &id, named("from")?)?;
        let new = stored(&state, &id, named("to")?)?;
        let diff = Some(diff(&api, old, new));
        return Ok(reply::json(StatusCode::OK, &Versions { versions: Vec::new(), diff }));
    }
    let query = Query {
        of: Some(id.to_string()),
        kinds: vec![Kind::Change, Kind::Deployment],
        limit: RECORDS_MAX,
        ..Query::default()
    };
    let page = api.cluster.history(query).await?;
    let records = page.found.into_iter().map(|found| found.record);
    let records: Vec<Record> = records.filter(|record| record.of == id.as_str()).collect();
    let versions = rows(&state, &id, &records);
    Ok(reply::json(StatusCode::OK, &Versions { versions, diff: None }))
}

fn rows(state: &State, id: &AppId, records: &[Record]) -> Vec<VersionRow> {
    let active = state.spec(id).map(|spec| spec.version);
    let versions: Vec<&Arc<WorkloadSpec>> = state.versions_of(id).collect();
    // What runs stays as it is when only the number changes: it counts for the newest version that
    // it could be of.
    let newest: BTreeMap<Timestamp, Timestamp> =
        versions.iter().map(|spec| (spec.last_config_change_at, spec.version)).collect();
    let mut n_running: BTreeMap<Timestamp, usize> = BTreeMap::new();
    for instance in state.instances_of(id).filter(|i| !i.is_kept()) {
        let of = state.spec_of(instance).and_then(|spec| newest.get(&spec.last_config_change_at));
        *n_running.entry(of.copied().unwrap_or(instance.version)).or_default() += 1;
    }
    let before = std::iter::once(None).chain(versions.iter().map(Some));
    let row = |(spec, before): (&&Arc<WorkloadSpec>, Option<&&Arc<WorkloadSpec>>)| {
        let of =
            |kind: Kind| records.iter().find(|r| r.kind == kind && r.version == Some(spec.version));
        let (made, ended) = (of(Kind::Change), of(Kind::Deployment));
        let deployment = made.and_then(|record| record.deployment.as_ref());
        let is_under_way = deployment.is_some_and(|id| state.deployments.contains_key(id));
        let (outcome, outcome_text) = outcome(ended, is_under_way);
        VersionRow {
            version: Iso(spec.version),
            active: active == Some(spec.version),
            instances: spec.instances,
            running: n_running.get(&spec.version).copied().unwrap_or(0),
            summary: match before {
                Some(before) => summary(before, spec),
                None => "the first version that is kept".to_owned(),
            },
            text: made.map(|record| record.text.clone()),
            by: made.and_then(|record| record.by.as_ref()).map(by_row),
            deployment_id: deployment.map(ToString::to_string),
            outcome,
            outcome_text,
            took_ms: ended.and_then(|record| record.took_ms),
        }
    };
    let mut rows: Vec<VersionRow> = versions.iter().zip(before).map(row).collect();
    rows.reverse();
    rows
}

fn outcome(ended: Option<&Record>, is_under_way: bool) -> (&'static str, String) {
    match ended {
        _ if is_under_way => ("deploying", "is being deployed".to_owned()),
        Some(record) if record.bad => ("ended_early", record.text.clone()),
        Some(record) => {
            let after = record.took_ms.map(|ms| format!(" in {}", took(ms))).unwrap_or_default();
            ("live", format!("went live{after}"))
        }
        None => ("unknown", "the history does not tell".to_owned()),
    }
}

fn summary(old: &WorkloadSpec, new: &WorkloadSpec) -> String {
    match differences(old, new) {
        parts if parts.is_empty() => "restarted, nothing differs".to_owned(),
        parts => parts.join(", "),
    }
}

fn diff(api: &Api, old: &WorkloadSpec, new: &WorkloadSpec) -> Diff {
    let parts = differences(old, new);
    let summary = if parts.is_empty() { "nothing differs".to_owned() } else { parts.join(", ") };
    let fields = differ::fields(&(api.show_spec)(old), &(api.show_spec)(new));
    Diff { from: Iso(old.version), to: Iso(new.version), summary, fields }
}

fn point(name: &'static str, text: &str) -> Result<Timestamp, ApiError> {
    let problem = || ApiError::invalid(name, format!("{text:?} is not a version"));
    Timestamp::parse(text).ok_or_else(problem)
}

fn stored<'a>(
    state: &'a State,
    id: &AppId,
    version: Timestamp,
) -> Result<&'a Arc<WorkloadSpec>, ApiError> {
    state.specs.get(&(id.clone(), version)).ok_or_else(|| {
        ApiError::not_found(format!("version {version} of {id}"))
            .hint("GET /tepui/v1/apps/{id}/versions lists the versions that are kept")
    })
}

/// What a way back is asked to do.
#[derive(Debug, Deserialize)]
struct Rollback {
    to: String,
    /// Only tell what would happen.
    #[serde(default)]
    dry_run: bool,
    /// End a deployment that works on the app.
    #[serde(default)]
    force: bool,
    /// As many instances as now, not as many as then.
    #[serde(default)]
    keep_instances: bool,
}

#[derive(Serialize)]
struct RolledBack {
    #[serde(flatten)]
    diff: Diff,
    effect: Vec<String>,
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Iso>,
}

/// Makes an earlier definition the wanted one again, or says what that would do.
pub async fn rollback(api: Arc<Api>, mut call: Call) -> Result<Response, ApiError> {
    let asked: Rollback = call.json().await?;
    let (state, id) = (api.state(), AppId::parse(call.param("id")));
    let now = state.spec(&id).ok_or_else(|| no_such_app(&id))?;
    let mut target = (**stored(&state, &id, point("to", &asked.to)?)?).clone();
    if asked.keep_instances {
        target.instances = now.instances;
    }
    let effect = effect::sentences(&state, now, &target);
    let diff = diff(&api, now, &target);
    let dry_run = asked.dry_run || differences(now, &target).is_empty();
    if dry_run {
        let (deployment_id, version) = (None, None);
        let told = RolledBack { diff, effect, dry_run, deployment_id, version };
        return Ok(reply::json(StatusCode::OK, &told));
    }
    let edit = Edit {
        id,
        new: Some(target),
        expect: Expect::Present,
        base: Some(now.version),
        restart: false,
    };
    let command = put(&api, edit, asked.force);
    let done = api.cluster.propose(&call.principal, command.into()).await?;
    let (deployment, version) = done.deployment.unzip();
    let told = RolledBack {
        diff,
        effect,
        dry_run,
        deployment_id: deployment.map(|id| id.to_string()),
        version: version.map(Iso),
    };
    Ok(reply::json(StatusCode::OK, &told))
}

fn put(api: &Api, edit: Edit, force: bool) -> WorkloadCommand {
    let deployment = DeploymentId::from(Rng::from_os().uuid_at(api.clock.now()).to_string());
    WorkloadCommand::PutApps(Box::new(PutApps {
        deployment,
        force,
        edits: vec![edit],
        groups: Vec::new(),
        victims: Default::default(),
    }))
}
