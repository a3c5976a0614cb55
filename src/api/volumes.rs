//! `/tepui/v1/volumes`: what instances keep outside their containers, each where it is.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use super::{
    context::{Api, listed},
    view::View,
};
use crate::{
    core::{State, VolumeCommand},
    http::{Call, Response, error::ApiError, reply},
    model::{
        AppId, Instance, NodeId, VolumeId,
        container::{Volume as Mount, VolumeSource},
        volume::Volume,
    },
};

/// `Volume` of the contract.
#[derive(Serialize)]
struct Row<'a> {
    /// Of one that is kept in the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a VolumeId>,
    app_id: &'a str,
    instance_id: &'a str,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Stage>,
    path: &'a str,
    /// The path on the node, or the volume's name for its driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_mb: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_bytes: Option<u64>,
    read_only: bool,
    /// Where it is; missing while its instance waits for a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    node_id: Option<&'a NodeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    /// How often its instance was launched with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    launches: Option<u32>,
    /// Whether what is in it goes with its app.
    goes_with_app: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Persistent,
    Host,
    External,
}

/// Where a volume of the state is in its life.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Its instance runs, or is about to.
    InUse,
    /// Its instance waits for the node.
    Waiting,
    /// Its instance was scaled away, and comes back with the next one that is wanted.
    Kept,
    /// Nobody wants it; its node has not said yet that it is gone.
    Wiping,
}

/// `GET /tepui/v1/volumes`.
pub async fn list(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let app = call.query().get("app").map(AppId::parse);
    api.render(move |api, state| {
        let view = api.view(state);
        let is_meant = |of: &AppId| app.as_ref().is_none_or(|app| app == of);
        let kept = state.volumes.values().filter(|volume| is_meant(&volume.app));
        let mounted = state
            .instances
            .values()
            .filter(|i| !i.condition().is_terminal() && i.app().is_some_and(is_meant))
            .flat_map(|instance| of_instance(state, instance));
        let mut rows: Vec<Row<'_>> =
            kept.map(|volume| kept_row(&view, volume)).chain(mounted).collect();
        rows.sort_by_key(|row| (row.app_id, row.path, row.host, row.instance_id));
        listed("volumes", &rows, state.revision)
    })
    .await
}

/// `DELETE /tepui/v1/volumes/{id}`: what a stopped instance keeps goes, and the instance with it.
pub async fn remove(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let state = api.state();
    let id = call.param("id");
    let volume = state.volumes.get(&VolumeId::from(id)).filter(|volume| volume.is_wanted());
    let volume = volume.ok_or_else(|| {
        ApiError::not_found(format!("volume {id}")).hint("GET /tepui/v1/volumes lists the volumes")
    })?;
    if !state.instances.get(&volume.instance).is_some_and(|instance| instance.is_kept()) {
        let message = format!("{} uses it", volume.instance);
        return Err(ApiError::conflict(message).hint(
            "scale its app down first, or end the instance for good: tepui task kill --wipe",
        ));
    }
    let (uid, instance) = (call.principal.uid(), volume.instance.clone());
    api.cluster.propose(&call.principal, VolumeCommand::Drop(instance).into()).await?;
    tracing::info!(target: "audit", uid, volume = id, "volume removed");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

fn kept_row<'a>(view: &View<'a>, volume: &'a Volume) -> Row<'a> {
    let state = view.state;
    let stage = match state.instances.get(&volume.instance).filter(|_| volume.is_wanted()) {
        None => Stage::Wiping,
        Some(instance) if instance.is_kept() => Stage::Kept,
        Some(instance) if instance.waits_for_place() => Stage::Waiting,
        Some(_) => Stage::InUse,
    };
    let usage = view.cluster.usage(&volume.node);
    let used = usage.as_ref().and_then(|usage| {
        let is_it = |of: &&crate::model::link::VolumeUsage| {
            of.instance == volume.instance && of.path == volume.path
        };
        usage.volumes.iter().find(is_it)
    });
    Row {
        id: Some(&volume.id),
        app_id: volume.app.as_str(),
        instance_id: volume.instance.as_str(),
        kind: Kind::Persistent,
        state: Some(stage),
        path: &volume.path,
        source: None,
        driver: None,
        size_mb: Some(volume.size_mb),
        used_bytes: used.map(|usage| usage.bytes),
        read_only: false,
        node_id: Some(&volume.node),
        host: state.nodes.get(&volume.node).map(|node| node.info.hostname.as_str()),
        launches: Some(volume.epoch),
        goes_with_app: true,
    }
}

fn of_instance<'a>(state: &'a State, instance: &'a Instance) -> impl Iterator<Item = Row<'a>> {
    let spec = state.spec_of(instance).filter(|_| instance.app().is_some());
    let volumes = spec.into_iter().flat_map(|spec| &spec.run.containers).flat_map(|c| &c.volumes);
    let is_bound = state.bound_to(&instance.id).is_some();
    volumes.filter_map(move |volume| row(instance, volume, is_bound))
}

/// A row of what is mounted; a secret is none, and neither is a path inside the sandbox, which goes with
/// it, or what the state has a volume for.
fn row<'a>(instance: &'a Instance, volume: &'a Mount, is_bound: bool) -> Option<Row<'a>> {
    let place = instance.placement();
    let mut row = Row {
        id: None,
        app_id: instance.app()?.as_str(),
        instance_id: instance.id.as_str(),
        kind: Kind::Host,
        state: None,
        path: &volume.container_path,
        source: None,
        driver: None,
        size_mb: None,
        used_bytes: None,
        read_only: volume.read_only,
        node_id: place.map(|place| &place.node),
        host: place.map(|place| place.hostname.as_str()),
        launches: None,
        goes_with_app: false,
    };
    match &volume.source {
        VolumeSource::Host(path) if path.starts_with('/') => row.source = Some(path),
        VolumeSource::Persistent(kept) if !is_bound => {
            row.kind = Kind::Persistent;
            row.size_mb = Some(kept.size_mb);
            row.goes_with_app = true;
        }
        VolumeSource::External { name, provider, options, size_gib, .. } => {
            row.kind = Kind::External;
            row.source = Some(name);
            row.driver = Some(options.get("dvdi/driver").unwrap_or(provider));
            row.size_mb = size_gib.map(|gib| gib.saturating_mul(1024));
        }
        VolumeSource::Host(_)
        | VolumeSource::Persistent(_)
        | VolumeSource::Secret(_)
        | VolumeSource::Shared(_) => return None,
    }
    Some(row)
}
