//! `GET /tepui/v1/volumes`: what instances keep outside their containers, each where it is.

use std::sync::Arc;

use serde::Serialize;

use super::context::{Api, listed};
use crate::{
    base::limit::VOLUMES_KEEP,
    core::State,
    http::{Call, Response, error::ApiError},
    model::{
        AppId, Instance, NodeId,
        container::{Volume, VolumeSource},
    },
};

/// `Volume` of the contract.
#[derive(Serialize)]
struct Row<'a> {
    app_id: &'a str,
    instance_id: &'a str,
    kind: Kind,
    path: &'a str,
    /// The path on the node, or the volume's name for its driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_mb: Option<u64>,
    read_only: bool,
    /// Where it is; missing while its instance waits for a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    node_id: Option<&'a NodeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    /// So long the data stays once its instance is gone; missing when nothing of it is ever removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_s: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Persistent,
    Host,
    External,
}

pub async fn list(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let app = call.query().get("app").map(AppId::parse);
    api.render(move |_, state| {
        let mut rows: Vec<Row<'_>> = state
            .instances
            .values()
            .filter(|instance| !instance.condition().is_terminal())
            .filter(|instance| app.is_none() || instance.app() == app.as_ref())
            .flat_map(|instance| of_instance(state, instance))
            .collect();
        rows.sort_by_key(|row| (row.app_id, row.path, row.host, row.instance_id));
        listed("volumes", &rows, state.revision)
    })
    .await
}

fn of_instance<'a>(state: &'a State, instance: &'a Instance) -> impl Iterator<Item = Row<'a>> {
    let spec = state.spec_of(instance).filter(|_| instance.app().is_some());
    let volumes = spec.into_iter().flat_map(|spec| &spec.run.containers).flat_map(|c| &c.volumes);
    volumes.filter_map(|volume| row(instance, volume))
}

/// A row of what is kept; a secret is none, and neither is a path inside the sandbox, which goes with it.
fn row<'a>(instance: &'a Instance, volume: &'a Volume) -> Option<Row<'a>> {
    let place = instance.placement();
    let mut row = Row {
        app_id: instance.app()?.as_str(),
        instance_id: instance.id.as_str(),
        kind: Kind::Host,
        path: &volume.container_path,
        source: None,
        driver: None,
        size_mb: None,
        read_only: volume.read_only,
        node_id: place.map(|place| &place.node),
        host: place.map(|place| place.hostname.as_str()),
        kept_s: None,
    };
    match &volume.source {
        VolumeSource::Host(path) if path.starts_with('/') => row.source = Some(path),
        VolumeSource::Persistent(kept) => {
            row.kind = Kind::Persistent;
            row.size_mb = Some(kept.size_mb);
            row.kept_s = Some(VOLUMES_KEEP.as_secs());
        }
        VolumeSource::External { name, provider, size_gib, .. } => {
            row.kind = Kind::External;
            row.source = Some(name);
            row.driver = Some(provider);
            row.size_mb = size_gib.map(|gib| gib.saturating_mul(1024));
        }
        VolumeSource::Host(_) | VolumeSource::Secret(_) | VolumeSource::Shared(_) => return None,
    }
    Some(row)
}
