//! `PUT /v2/apps` and `PATCH /v2/apps`: many apps in one deployment.

use std::sync::Arc;

use http::StatusCode;

use super::{apps, put_apps, started};
use crate::{
    compat::marathon::{
        error::Error,
        json::{At, Read, Violations},
        prepare::World,
        request,
        service::Marathon,
        spec::App,
    },
    http::{Call, Response},
    model::path::PathId,
};

/// An update that names its app.
struct Named(App);

impl Read for Named {
    fn read(at: At<'_>) -> Option<Self> {
        App::read_whole(at).map(Self)
    }
}

/// Updates all apps of the array; PUT also makes those that are missing.
pub async fn update(marathon: Arc<Marathon>, mut call: Call) -> Result<Response, Error> {
    let force = request::flag(&call, "force", false);
    let creates = call.method() == http::Method::PUT;
    let partial = !creates || request::flag(&call, "partialUpdate", true);
    let updates: Vec<Named> = request::body_as(&mut call).await?;
    let done = marathon
        .deploy_of(&call.principal, call.n_read(), |state, deployment| {
            let world = World::new(state, &marathon.settings, force);
            let mut edits = Vec::with_capacity(updates.len());
            let mut violations = Violations::default();
            for (i, Named(update)) in updates.iter().enumerate() {
                let id = PathId::parse(update.id.as_deref().unwrap_or_default());
                if !creates {
                    apps::app(state, &id)?;
                }
                match apps::updated(&world, &id, update.clone(), partial) {
                    Ok(edit) => edits.push(edit),
                    Err(Error::Rules(found)) => violations.add_below(&format!("({i})"), found),
                    Err(error) => return Err(error),
                }
            }
            violations.into_result().map_err(Error::Rules)?;
            Ok(put_apps(deployment, force, edits))
        })
        .await?;
    Ok(started(StatusCode::OK, &done))
}
