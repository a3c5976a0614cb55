//! `/v2/apps` and `/v2/apps/{id}`: make, look at, change, remove, restart.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::{located, ok, put_apps, started, with_deployment};
use crate::{
    base::clock::Timestamp,
    compat::marathon::{
        error::Error,
        events::{Announcement, Request, Told},
        json as read,
        prepare::World,
        regroup::edit,
        render::{app::AppInfo, embed::Embed},
        request,
        select::Filter,
        service::{Marathon, Started},
        spec::App,
    },
    core::{
        State,
        command::{Edit, Expect},
        state,
    },
    http::{Call, Response, auth::Principal, reply},
    model::{
        deployment::DeploymentId,
        path::{AppId, PathId},
        workload::{Kind, WorkloadSpec},
    },
};

/// `GET /v2/apps`.
pub async fn list(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    #[derive(Serialize)]
    struct Apps<'a> {
        apps: Vec<AppInfo<'a>>,
    }
    let query = call.query();
    let filter = Filter::of(&query)?;
    let embed = Embed::of(&query).in_lists();
    let state = marathon.state();
    let now = marathon.now();
    let wanted = apps(&state).filter(|app| filter.takes(&app.spec));
    let apps = wanted.map(|app| AppInfo::of(&state, app, embed, now)).collect();
    Ok(ok(&Apps { apps }))
}

/// The apps of a state: workloads of other kinds are not for this API.
pub fn apps(state: &State) -> impl Iterator<Item = &Arc<state::App>> {
    state.apps.values().filter(|app| app.spec.run.kind == Kind::App)
}

/// An app, or the 404 for it.
pub fn app<'a>(state: &'a State, id: &AppId) -> Result<&'a Arc<state::App>, Error> {
    let app = state.apps.get(id).filter(|app| app.spec.run.kind == Kind::App);
    app.ok_or_else(|| missing(id))
}

/// There is no such app.
pub fn missing(id: &AppId) -> Error {
    Error::NotFound(format!("App '{id}' does not exist"))
}

/// The group of `{group}/*`, when the id ends so.
pub fn group_of(id: &str) -> Option<PathId> {
    let group = id.strip_suffix('*')?;
    (group.is_empty() || group.ends_with('/')).then(|| PathId::parse(group))
}

/// `GET /v2/apps/{id}` and `GET /v2/apps/{group}/*`.
pub async fn get(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let embed = Embed::of(&call.query()).in_single();
    let state = marathon.state();
    let now = marathon.now();
    if let Some(group) = group_of(call.param("id")) {
        let below = apps(&state).filter(|app| app.id.is_below(&group));
        let list: Vec<_> = below.map(|app| AppInfo::of(&state, app, embed, now)).collect();
        return Ok(ok(&json_of("*", &list)));
    }
    let app = app(&state, &request::id(&call))?;
    Ok(ok(&json_of("app", &AppInfo::of(&state, app, embed, now))))
}

/// `{key: value}`.
pub fn json_of<'a, T: Serialize>(key: &'static str, value: &'a T) -> impl Serialize + use<'a, T> {
    struct One<'a, T>(&'static str, &'a T);
    impl<T: Serialize> Serialize for One<'_, T> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeMap as _;
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry(self.0, self.1)?;
            map.end()
        }
    }
    One(key, value)
}

/// `POST /v2/apps`.
pub async fn create(marathon: Arc<Marathon>, mut call: Call) -> Result<Response, Error> {
    struct Whole(App);
    impl read::Read for Whole {
        fn read(at: read::At<'_>) -> Option<Self> {
            App::read_whole(at).map(Self)
        }
    }
    let force = request::flag(&call, "force", false);
    let Whole(app) = request::body_as(&mut call).await?;
    let id = PathId::parse(app.id.as_deref().unwrap_or_default());
    let caller = Caller::of(&call);
    let shown = parking_lot::Mutex::new(None);
    let started = marathon
        .deploy_of(&call.principal, call.n_read(), |state, deployment| {
            let world = World::new(state, &marathon.settings, force);
            let prepared = world.whole(&id, app.clone())?;
            is_free(state, &id)?;
            announce(&marathon, &caller, &deployment, &prepared.app, &id);
            *shown.lock() = Some(prepared.app);
            let edit = edit(&id, Some(prepared.spec), Expect::Absent, None);
            Ok(put_apps(deployment, force, vec![edit]))
        })
        .await?;
    let app = shown.into_inner().unwrap_or_default();
    let body = AppInfo::created(app, started.version, started.id.clone());
    let response = reply::json(StatusCode::CREATED, &body);
    Ok(located(with_deployment(response, &started.id), id.as_str()))
}

/// That nothing has this id yet.
pub fn is_free(state: &State, id: &AppId) -> Result<(), Error> {
    let what = match (state.apps.get(id), state.groups.contains_key(id)) {
        (Some(app), _) if app.spec.run.kind == Kind::Pod => "A pod",
        (Some(_), _) => "An app",
        (None, true) => "A group",
        (None, false) => return Ok(()),
    };
    Err(Error::Exists(format!("{what} with id [{id}] already exists.")))
}

/// Who asks, for the event that tells it.
pub struct Caller {
    address: String,
    path: String,
}

impl Caller {
    pub fn of(call: &Call) -> Self {
        Self { address: request::client(call), path: call.path().to_owned() }
    }

    /// Leaves word of what is about to be deployed.
    pub fn announce(&self, marathon: &Marathon, deployment: &DeploymentId, id: &AppId, told: Told) {
        let (client, path) = (self.address.clone(), self.path.clone());
        let request = Some(Request { client, path, told });
        let announcement = Announcement { group: id.parent(), request };
        marathon.events.announce(deployment, announcement);
    }
}

/// The definition that is about to be deployed, for the event that tells who asked for it.
fn announce(
    marathon: &Marathon,
    caller: &Caller,
    deployment: &DeploymentId,
    app: &App,
    id: &AppId,
) {
    let body = serde_json::to_string(app).unwrap_or_default();
    caller.announce(marathon, deployment, id, Told::App(body));
}

/// What one element of an update asks for, laid over what is there.
pub fn updated(world: &World<'_>, id: &AppId, update: App, partial: bool) -> Result<Edit, Error> {
    let current = world.state.spec(id);
    if current.is_some_and(|spec| spec.run.kind == Kind::Pod) {
        return Err(Error::Exists(format!("A pod with id [{id}] already exists.")));
    }
    let spec = match update.version.as_ref().filter(|_| partial) {
        Some(version) => rolled_back(world.state, id, &update, version.0)?,
        None if partial => world.update(id, update)?.spec,
        None => world.whole(id, update)?.spec,
    };
    let expect = if current.is_some() { Expect::Present } else { Expect::Absent };
    Ok(edit(id, Some(spec), expect, current.map(|spec| spec.version)))
}

/// The stored definition that `{"version":…}` names.
fn rolled_back(
    state: &State,
    id: &AppId,
    update: &App,
    version: Timestamp,
) -> Result<WorkloadSpec, Error> {
    let rest = App { id: None, version: None, ..update.clone() };
    if rest != App::default() {
        let text = "The 'version' field may only be combined with the 'id' field.";
        return Err(Error::rule("/", text));
    }
    let stored = state.specs.get(&(id.clone(), version)).filter(|_| state.apps.contains_key(id));
    stored
        .map(|spec| (**spec).clone())
        .ok_or_else(|| Error::NotFound(format!("App '{id}' does not exist in version {version}")))
}

/// `PUT /v2/apps/{id}` and `PATCH /v2/apps/{id}`.
pub async fn update(marathon: Arc<Marathon>, mut call: Call) -> Result<Response, Error> {
    let force = request::flag(&call, "force", false);
    let is_patch = call.method() == http::Method::PATCH;
    let partial = is_patch || request::flag(&call, "partialUpdate", true);
    let made_from = request::made_from(&call)?;
    let app: App = request::body_as(&mut call).await?;
    let id = request::id(&call);
    let caller = Caller::of(&call);
    let creates = std::sync::atomic::AtomicBool::new(false);
    let started_as = marathon
        .deploy_of(&call.principal, call.n_read(), |state, deployment| {
            is_unchanged(state, &id, made_from)?;
            let is_new = !state.apps.contains_key(&id);
            if is_patch && is_new {
                return Err(missing(&id));
            }
            creates.store(is_new, std::sync::atomic::Ordering::Relaxed);
            let world = World::new(state, &marathon.settings, force);
            let edit = updated(&world, &id, app.clone(), partial)?;
            if let Some(spec) = &edit.new {
                let shown = crate::compat::marathon::convert::app(spec);
                announce(&marathon, &caller, &deployment, &shown, &id);
            }
            Ok(put_apps(deployment, force, vec![edit]))
        })
        .await?;
    if creates.into_inner() {
        return Ok(located(started(StatusCode::CREATED, &started_as), id.as_str()));
    }
    Ok(started(StatusCode::OK, &started_as))
}

/// That nobody has changed an app since the version somebody looked at.
pub fn is_unchanged(state: &State, id: &AppId, made_from: Option<Timestamp>) -> Result<(), Error> {
    let Some(base) = made_from else { return Ok(()) };
    let now = state.spec(id).ok_or_else(|| missing(id))?.version;
    if now == base { Ok(()) } else { Err(Error::Changed { app: id.clone(), base, now }) }
}

/// `DELETE /v2/apps/{id}`: the one change that forces unless told otherwise.
pub async fn delete(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let force = request::flag(&call, "force", true);
    let id = request::id(&call);
    let done = change(&marathon, &call.principal, &id, force, |_| Ok(None)).await?;
    Ok(started(StatusCode::OK, &done))
}

/// `POST /v2/apps/{id}/restart`: all instances anew, nothing else changes.
pub async fn restart(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let force = request::flag(&call, "force", false);
    let id = request::id(&call);
    let done = marathon
        .deploy(&call.principal, |state, deployment| {
            let spec = &app(state, &id)?.spec;
            let version = Some(spec.version);
            let edit = edit(&id, Some((**spec).clone()), Expect::Present, version);
            Ok(put_apps(deployment, force, vec![Edit { restart: true, ..edit }]))
        })
        .await?;
    Ok(started(StatusCode::OK, &done))
}

/// Changes or removes an app that must be there.
pub async fn change(
    marathon: &Marathon,
    by: &Principal,
    id: &AppId,
    force: bool,
    new: impl Fn(&WorkloadSpec) -> Result<Option<WorkloadSpec>, Error>,
) -> Result<Started, Error> {
    marathon
        .deploy(by, |state, deployment| {
            let spec = &app(state, id)?.spec;
            let edit = edit(id, new(spec)?, Expect::Present, Some(spec.version));
            Ok(put_apps(deployment, force, vec![edit]))
        })
        .await
}

/// The answer of a route whose app comes with nothing but its definition.
pub fn bare(spec: &WorkloadSpec) -> Response {
    ok(&json!(crate::compat::marathon::convert::app(spec)))
}
