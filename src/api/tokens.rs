//! Taking login tokens back.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::context::Api;
use crate::{
    base::rng::Rng,
    core::AccessCommand,
    http::{Call, Response, body, error::ApiError, reply},
};

/// Whose tokens end: the caller's own unless said otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Revoke {
    user: Option<String>,
    all: bool,
}

/// Whose tokens ended; nobody's name means everybody's.
#[derive(Debug, Serialize)]
struct Revoked {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
}

/// Ends every token made so far for one user, or for all.
pub async fn revoke(api: Arc<Api>, mut call: Call) -> Result<Response, ApiError> {
    let bytes = call.bytes().await?;
    let asked: Revoke =
        if bytes.is_empty() { Revoke::default() } else { body::parse_json(&bytes)? };
    if asked.all && asked.user.is_some() {
        return Err(ApiError::invalid("user", "cannot be named together with all"));
    }
    let own = || call.principal.uid().to_owned();
    let user = (!asked.all).then(|| asked.user.unwrap_or_else(own));
    tracing::info!(target: "audit", uid = call.principal.uid(), ?user, "tokens revoked");
    api.cluster.propose(&call.principal, AccessCommand::RevokeTokens(user.clone()).into()).await?;
    Ok(reply::json(StatusCode::OK, &Revoked { user }))
}

/// Another secret to sign with; ends every token made so far.
pub async fn rotate(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let mut secret = [0; 32];
    Rng::from_os().fill(&mut secret);
    tracing::info!(target: "audit", uid = call.principal.uid(), "signing secret rotated");
    api.cluster.propose(&call.principal, AccessCommand::RotateSecret(secret).into()).await?;
    Ok(reply::json(StatusCode::OK, &Revoked { user: None }))
}
