//! `/v2/groups`: the tree of groups and what is in it.

use std::{collections::BTreeSet, sync::Arc};

use http::StatusCode;
use serde_json::json;

use super::{apps, located, ok, started};
use crate::{
    base::{clock::Timestamp, task::heavy},
    compat::marathon::{
        error::Error,
        events::Announcement,
        prepare::World,
        regroup::{self, Edits},
        render::{app::AppInfo, deployment::steps, embed::Embed, group::Tree},
        request,
        service::{Marathon, Started},
        spec::group::GroupUpdate,
    },
    core::{
        self, Change, Rejected, Stamped, State, WorkloadCommand,
        command::{GroupChange, GroupEdit, PutApps},
        state::Group,
    },
    http::{Call, Response, auth::Principal, reply},
    model::{
        deployment::DeploymentId,
        path::{GroupId, PathId},
    },
};

/// `GET /v2/groups` and `GET /v2/groups/{id}`.
pub async fn get(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let query = call.query();
    let embed = Embed::of(&query).or_whole_group(&query);
    let state = marathon.state();
    let id = request::id(&call);
    let group = group(&state, &id)?;
    let tree = Tree::below(&state, &id, embed, marathon.now());
    Ok(ok(&tree.group(&group)))
}

/// A group; the root is always there.
fn group(state: &State, id: &GroupId) -> Result<Arc<Group>, Error> {
    if let Some(group) = state.groups.get(id) {
        return Ok(group.clone());
    }
    if id.is_root() {
        return Ok(Arc::new(Group {
            id: id.clone(),
            dependencies: BTreeSet::new(),
            enforce_role: false,
            version: Timestamp::EPOCH,
        }));
    }
    Err(Error::NotFound(format!("Group '{id}' does not exist")))
}

/// `GET /v2/groups/{id}/apps`.
pub async fn apps(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let embed = Embed::of(&call.query());
    let state = marathon.state();
    let now = marathon.now();
    let id = request::id(&call);
    group(&state, &id)?;
    let below = apps::apps(&state).filter(|app| app.id.is_below(&id));
    let list: Vec<_> = below.map(|app| AppInfo::of(&state, app, embed, now)).collect();
    Ok(ok(&list))
}

/// `GET /v2/groups/versions` and `GET /v2/groups/{id}/versions`, newest first; of a group that is
/// gone too.
pub async fn versions(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let state = marathon.state();
    let id = request::id(&call);
    let mut versions = state.group_versions(&id);
    if versions.is_empty() {
        versions.push(group(&state, &id)?.version);
    }
    let versions: Vec<String> = versions.iter().map(Timestamp::to_string).collect();
    Ok(ok(&versions))
}

/// `GET /v2/groups/{id}/versions/{version}`.
pub async fn in_version(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let state = marathon.state();
    let id = request::id(&call);
    let version = super::versions::version(call.param("version"))?;
    let missing = || regroup::missing_version(&id, version);
    let then = state.in_version(&id, version).ok_or_else(missing)?;
    let group = group(&then, &id)?;
    let query = call.query();
    let embed = Embed::default().or_whole_group(&query);
    let tree = Tree::below(&then, &id, embed, marathon.now());
    Ok(ok(&tree.group(&group)))
}

/// `POST /v2/groups` and `POST /v2/groups/{parent}`.
pub async fn create(marathon: Arc<Marathon>, mut call: Call) -> Result<Response, Error> {
    let force = request::flag(&call, "force", false);
    let parent = request::id(&call);
    let update: GroupUpdate = request::body_as(&mut call).await?;
    let id = target(&parent, &update)?;
    let done = change(&marathon, (&call.principal, call.n_read()), &id, force, |world| {
        if world.state.groups.contains_key(&id) {
            let text = format!("Group {id} is already created. Use PUT to change this group.");
            return Err(Error::Exists(text));
        }
        if world.state.apps.contains_key(&id) {
            return Err(Error::Exists(format!("An app with id [{id}] already exists.")));
        }
        regroup::edits(world, &id, &update)
    })
    .await?;
    Ok(located(started(StatusCode::CREATED, &done), id.as_str()))
}

/// `PUT /v2/groups` and `PUT /v2/groups/{id}`.
pub async fn update(marathon: Arc<Marathon>, mut call: Call) -> Result<Response, Error> {
    let force = request::flag(&call, "force", false);
    let dry = request::flag(&call, "dryRun", false);
    let url = request::id(&call);
    let update: GroupUpdate = request::body_as(&mut call).await?;
    let id = target(&url, &update)?;
    if dry {
        let rehearsed = || rehearse(&marathon, &id, force, &update);
        let is_large = call.n_read() > request::HEAVY_BYTES;
        return if is_large { heavy(rehearsed).await } else { rehearsed() };
    }
    let done = change(&marathon, (&call.principal, call.n_read()), &id, force, |world| {
        regroup::edits(world, &id, &update)
    })
    .await?;
    Ok(started(StatusCode::OK, &done))
}

/// `PATCH /v2/groups/{id}`: the role rule of a top-level group, without a deployment.
pub async fn patch(marathon: Arc<Marathon>, mut call: Call) -> Result<Response, Error> {
    let id = request::id(&call);
    let update: GroupUpdate = request::body_as(&mut call).await?;
    group(&marathon.state(), &id)?;
    if id.segments().count() != 1 {
        let text = "enforceRole can only be set on top-level groups";
        return Err(Error::rule("/enforceRole", text));
    }
    change(&marathon, (&call.principal, call.n_read()), &id, false, |_| {
        let change = GroupChange::Put { dependencies: None, enforce_role: update.enforce_role };
        Ok(Edits { apps: Vec::new(), groups: vec![GroupEdit { id: id.clone(), change }] })
    })
    .await?;
    Ok(reply::empty(StatusCode::OK))
}

/// `DELETE /v2/groups` (everything) and `DELETE /v2/groups/{id}`.
pub async fn delete(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let force = request::flag(&call, "force", false);
    let id = request::id(&call);
    let done = change(&marathon, (&call.principal, call.n_read()), &id, force, |world| {
        group(world.state, &id)?;
        Ok(regroup::removal(&world, &id))
    })
    .await?;
    Ok(started(StatusCode::OK, &done))
}

/// The group a body is about: its own id, at or below the one of the URL. The original lets a body
/// climb out of the URL's group, which cost people their clusters.
fn target(url: &GroupId, update: &GroupUpdate) -> Result<GroupId, Error> {
    let Some(text) = &update.id else { return Ok(url.clone()) };
    let id = PathId::parse_below(text, url);
    if id == *url || id.is_below(url) {
        return Ok(id);
    }
    let text = format!("identifier {id} is not child of {url}. Hint: use relative paths.");
    Err(Error::rule("/id", text))
}

fn put(deployment: DeploymentId, force: bool, edits: Edits) -> PutApps {
    let Edits { apps: edits, groups } = edits;
    PutApps { deployment, force, edits, groups, victims: BTreeSet::new() }
}

async fn change(
    marathon: &Marathon,
    (by, n_bytes): (&Principal, usize),
    id: &GroupId,
    force: bool,
    make: impl Fn(World<'_>) -> Result<Edits, Error>,
) -> Result<Started, Error> {
    marathon
        .deploy_of(by, n_bytes, |state, deployment| {
            let edits = make(World::new(state, &marathon.settings, force))?;
            let announcement = Announcement { group: id.clone(), request: None };
            marathon.events.announce(&deployment, announcement);
            Ok(put(deployment, force, edits))
        })
        .await
}

/// The steps a change would take: applied to a copy of the state that nobody keeps.
fn rehearse(
    marathon: &Marathon,
    id: &GroupId,
    force: bool,
    update: &GroupUpdate,
) -> Result<Response, Error> {
    let mut state = (*marathon.state()).clone();
    let edits = regroup::edits(World::new(&state, &marathon.settings, force), id, update)?;
    let command =
        WorkloadCommand::PutApps(Box::new(put(marathon.deployment_id(), force, edits))).into();
    let entry = Stamped { at: marathon.now(), request: None, by: None, command };
    let (outcome, changes) = core::apply(&mut state, &entry);
    outcome.map_err(|rejected: Rejected| Error::Rejected(rejected))?;
    let started = changes.iter().find_map(|change| match change {
        Change::Deployment { old: None, new: Some(new), .. } => Some(new),
        _ => None,
    });
    let steps = started.map(|deployment| json!(steps(deployment))).unwrap_or(json!([]));
    Ok(ok(&json!({ "steps": steps })))
}
