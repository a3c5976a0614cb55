//! The routes' handlers: read the request, read a snapshot or propose, render.

pub mod apps;
pub mod bulk;
pub mod deployments;
pub mod groups;
pub mod pods;
pub mod queue;
pub mod stream;
pub mod system;
pub mod tasks;
pub mod versions;

use http::{HeaderName, StatusCode, header};
use serde::Serialize;

use super::{render::deployment, service::Started, spec::app::Stamp};
use crate::{
    core::command::PutApps,
    http::{Response, reply},
    model::deployment::DeploymentId,
};

/// Names the deployment a request has started.
const DEPLOYMENT_ID: HeaderName = HeaderName::from_static("marathon-deployment-id");

/// A change of apps in one deployment, nothing else.
pub fn put_apps(id: DeploymentId, force: bool, edits: Vec<crate::core::command::Edit>) -> PutApps {
    PutApps { deployment: id, force, edits, groups: Vec::new(), victims: Default::default() }
}

/// 200 with any JSON.
pub fn ok<T: Serialize + ?Sized>(value: &T) -> Response {
    reply::json(StatusCode::OK, value)
}

/// The answer to a change: its version and deployment, also in the header.
pub fn started(status: StatusCode, started: &Started) -> Response {
    let body =
        deployment::Started { version: Stamp(started.version), deployment_id: started.id.clone() };
    with_deployment(reply::json(status, &body), &started.id)
}

/// `response` with the header that names a deployment.
pub fn with_deployment(response: Response, id: &DeploymentId) -> Response {
    reply::with_header(response, DEPLOYMENT_ID, id.as_str())
}

/// `response` with `Location`.
pub fn located(response: Response, path: &str) -> Response {
    reply::with_header(response, header::LOCATION, path)
}
