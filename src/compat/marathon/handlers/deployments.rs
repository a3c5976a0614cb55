//! `/v2/deployments`: what runs, and stopping it with or without a way back.

use std::sync::Arc;

use http::StatusCode;

use super::{ok, started};
use crate::{
    compat::marathon::{
        error::Error,
        render::deployment::Deployment,
        request,
        service::{Marathon, Started},
    },
    core::{Rejected, Thing, WorkloadCommand},
    http::{Call, Response, reply},
    model::deployment::DeploymentId,
};

/// `GET /v2/deployments`.
pub async fn list(marathon: Arc<Marathon>, _: Call) -> Result<Response, Error> {
    let state = marathon.state();
    let list: Vec<_> = state.deployments.values().map(|d| Deployment::of(&state, d)).collect();
    Ok(ok(&list))
}

/// `DELETE /v2/deployments/{id}`: undone by a new deployment, or just stopped with `force=true`.
pub async fn delete(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let force = request::flag(&call, "force", false);
    let id = DeploymentId::from(call.param("id"));
    if !marathon.state().deployments.contains_key(&id) {
        return Err(Error::Rejected(Rejected::NotFound(Thing::Deployment.named(id))));
    }
    let undo = (!force).then(|| marathon.deployment_id());
    let accepted =
        marathon.run(&call.principal, WorkloadCommand::CancelDeployment { id, undo }).await?;
    match accepted.deployment {
        Some((id, version)) => Ok(started(StatusCode::OK, &Started { id, version })),
        None => Ok(reply::empty(StatusCode::ACCEPTED)),
    }
}
