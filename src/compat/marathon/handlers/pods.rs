//! `/v2/pods`: make, look at, change, remove, restart, and their instances (docs/compat/marathon.md, "Pods").

use std::sync::Arc;

use http::StatusCode;

use super::{
    apps::{Caller, is_free},
    located, ok, put_apps, started, tasks, versions, with_deployment,
};
use crate::{
    base::clock::Timestamp,
    compat::marathon::{
        convert,
        error::Error,
        events::Told,
        prepare::World,
        regroup::edit,
        render::pod::{InstanceInfo, PodStatus},
        request,
        service::Marathon,
        spec::Pod,
    },
    core::{
        State,
        command::{Edit, Expect},
        state,
    },
    http::{Body, Call, Response, auth::Principal, reply},
    model::{
        instance::{Instance, InstanceId},
        path::{AppId, PathId},
        workload::{Kind, WorkloadSpec},
    },
};

/// The pods of a state.
pub fn pods(state: &State) -> impl Iterator<Item = &Arc<state::App>> {
    state.apps.values().filter(|app| app.spec.run.kind == Kind::Pod)
}

/// A pod, or the 404 for it.
fn pod<'a>(state: &'a State, id: &AppId) -> Result<&'a Arc<state::App>, Error> {
    let pod = state.apps.get(id).filter(|app| app.spec.run.kind == Kind::Pod);
    pod.ok_or_else(|| Error::NotFound(format!("Pod '{id}' does not exist")))
}

/// `GET /v2/pods`. HEAD, which clients probe for pods with, is answered by it too.
pub async fn list(marathon: Arc<Marathon>, _: Call) -> Response {
    let state = marathon.state();
    let list: Vec<Pod> = pods(&state).map(|pod| convert::pod(&pod.spec)).collect();
    ok(&list)
}

/// `GET /v2/pods/::status`.
pub async fn all_status(marathon: Arc<Marathon>, _: Call) -> Response {
    let (state, now) = (marathon.state(), marathon.now());
    let list: Vec<_> = pods(&state).map(|pod| PodStatus::of(&state, pod, now)).collect();
    ok(&list)
}

/// `GET /v2/pods/{id}`.
pub async fn get(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let state = marathon.state();
    Ok(ok(&convert::pod(&pod(&state, &request::id(&call))?.spec)))
}

/// `GET /v2/pods/{id}::status`.
pub async fn status(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let state = marathon.state();
    let pod = pod(&state, &request::id(&call))?;
    Ok(ok(&PodStatus::of(&state, pod, marathon.now())))
}

/// `POST /v2/pods`.
pub async fn create(marathon: Arc<Marathon>, mut call: Call) -> Result<Response, Error> {
    let force = request::flag(&call, "force", false);
    let sent: Pod = request::body_as(&mut call).await?;
    let id = PathId::parse(&sent.id);
    let caller = Caller::of(&call);
    let started = marathon
        .deploy_of(&call.principal, call.n_read(), |state, deployment| {
            let world = World::new(state, &marathon.settings, force);
            let spec = world.pod(&id, sent.clone())?;
            is_free(state, &id)?;
            caller.announce(&marathon, &deployment, &id, Told::Pod("pod_created_event"));
            let edit = edit(&id, Some(spec), Expect::Absent, None);
            Ok(put_apps(deployment, force, vec![edit]))
        })
        .await?;
    let response = reply::json(StatusCode::CREATED, &made(&marathon, &id, &started.version)?);
    Ok(located(with_deployment(response, &started.id), id.as_str()))
}

/// The definition that a change has stored.
fn made(marathon: &Marathon, id: &AppId, version: &Timestamp) -> Result<Pod, Error> {
    let state = marathon.state();
    let stored = state.specs.get(&(id.clone(), *version));
    // Without a change there is no new version.
    let spec = stored.map_or_else(|| pod(&state, id).map(|pod| &pod.spec), Ok)?;
    Ok(convert::pod(spec))
}

/// `PUT /v2/pods/{id}`: the whole definition, also of a pod that is not there yet.
pub async fn update(marathon: Arc<Marathon>, mut call: Call) -> Result<Response, Error> {
    let force = request::flag(&call, "force", false);
    let made_from = request::made_from(&call)?;
    let sent: Pod = request::body_as(&mut call).await?;
    let id = request::id(&call);
    let named = PathId::parse(&sent.id);
    if named != id {
        let text = format!("'{id}' does not match the id of the definition ('{named}')");
        return Err(Error::BadRequest(text));
    }
    let caller = Caller::of(&call);
    let started = marathon
        .deploy_of(&call.principal, call.n_read(), |state, deployment| {
            super::apps::is_unchanged(state, &id, made_from)?;
            let current = state.spec(&id);
            if current.is_none_or(|spec| spec.run.kind == Kind::App) {
                is_free(state, &id)?;
            }
            let world = World::new(state, &marathon.settings, force);
            let spec = world.pod(&id, sent.clone())?;
            caller.announce(&marathon, &deployment, &id, Told::Pod("pod_updated_event"));
            let expect = if current.is_some() { Expect::Present } else { Expect::Absent };
            let edit = edit(&id, Some(spec), expect, current.map(|spec| spec.version));
            Ok(put_apps(deployment, force, vec![edit]))
        })
        .await?;
    let response = ok(&made(&marathon, &id, &started.version)?);
    Ok(with_deployment(response, &started.id))
}

/// `DELETE /v2/pods/{id}`.
pub async fn delete(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let caller = Caller::of(&call);
    let id = request::id(&call);
    let force = request::flag(&call, "force", false);
    let started = marathon
        .deploy(&call.principal, |state, deployment| {
            let version = pod(state, &id)?.spec.version;
            caller.announce(&marathon, &deployment, &id, Told::Pod("pod_deleted_event"));
            let edit = edit(&id, None, Expect::Present, Some(version));
            Ok(put_apps(deployment, force, vec![edit]))
        })
        .await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    let at = format!("/v2/deployments/{}", started.id);
    Ok(located(with_deployment(response, &started.id), &at))
}

/// `POST /v2/pods/{id}/restart`: all instances anew, nothing else changes. The original has no such
/// route, and the web interface of DC/OS asks for it.
pub async fn restart(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let force = request::flag(&call, "force", false);
    let id = request::id(&call);
    let done = marathon
        .deploy(&call.principal, |state, deployment| {
            let spec: &WorkloadSpec = &pod(state, &id)?.spec;
            let edit = edit(&id, Some(spec.clone()), Expect::Present, Some(spec.version));
            Ok(put_apps(deployment, force, vec![Edit { restart: true, ..edit }]))
        })
        .await?;
    Ok(started(StatusCode::OK, &done))
}

/// `GET /v2/pods/{id}::versions`, newest first.
pub async fn list_versions(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let state = marathon.state();
    let id = request::id(&call);
    pod(&state, &id)?;
    Ok(ok(&versions::newest_first(&state, &id)))
}

/// `GET /v2/pods/{id}::versions/{version}`.
pub async fn get_version(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let state = marathon.state();
    let id = request::id(&call);
    let version = versions::version(call.param("version"))?;
    pod(&state, &id)?;
    let spec = state.specs.get(&(id.clone(), version));
    let spec = spec.filter(|spec| spec.run.kind == Kind::Pod).ok_or_else(|| {
        Error::NotFound(format!("Pod '{id}' does not exist in version {version}"))
    })?;
    Ok(ok(&convert::pod(spec)))
}

/// `DELETE /v2/pods/{id}::instances/{instance}`.
pub async fn kill_one(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let wanted = [call.param("instance").to_owned()];
    let by = call.principal.clone();
    let (id, wipe) = (request::id(&call), request::flag(&call, "wipe", false));
    let killed = kill(&marathon, &by, &id, wipe, &wanted).await?;
    let state = marathon.state();
    let mut shown = killed.iter().map(|instance| InstanceInfo::of(&state, instance));
    Ok(ok(&shown.next()))
}

/// `DELETE /v2/pods/{id}::instances`: the body names them.
pub async fn kill_some(marathon: Arc<Marathon>, mut call: Call) -> Result<Response, Error> {
    let wanted: Vec<String> = request::body_as(&mut call).await?;
    let by = call.principal.clone();
    let (id, wipe) = (request::id(&call), request::flag(&call, "wipe", false));
    let killed = kill(&marathon, &by, &id, wipe, &wanted).await?;
    let state = marathon.state();
    let shown: Vec<_> = killed.iter().map(|it| InstanceInfo::of(&state, it)).collect();
    Ok(ok(&shown))
}

/// Ends instances of the pod; all of them must be its own.
async fn kill(
    marathon: &Marathon,
    by: &Principal,
    id: &AppId,
    wipe: bool,
    wanted: &[String],
) -> Result<Vec<Arc<Instance>>, Error> {
    let state = marathon.state();
    pod(&state, id)?;
    let own = |text: &String| {
        let instance = state.instances.get(&InstanceId::from(text.as_str()));
        let instance = instance.filter(|instance| instance.app() == Some(id)).cloned();
        instance.ok_or_else(|| Error::NotFound(format!("Instance '{text}' does not exist")))
    };
    let chosen: Vec<Arc<Instance>> = wanted.iter().map(own).collect::<Result<_, _>>()?;
    let placed: Vec<Arc<Instance>> =
        chosen.iter().filter(|instance| instance.placement().is_some()).cloned().collect();
    tasks::end(marathon, by, &placed, wipe).await?;
    Ok(chosen)
}
