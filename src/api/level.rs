//! The cluster's level: what it may do while releases are mixed, what holds it back, raising it.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::context::Api;
use crate::{
    base::level::LEVEL,
    core::{ClusterCommand, State, apply::cluster::held_back_by},
    http::{Call, Response, body, error::ApiError, reply},
};

/// `Level` of the contract.
#[derive(Serialize)]
struct Level {
    level: u32,
    /// The highest one that the answering master can do.
    known: u32,
    /// Who cannot do `known` yet.
    held_back_by: Vec<String>,
    masters: Vec<Master>,
}

#[derive(Serialize)]
struct Master {
    id: u64,
    release: String,
    level: u32,
    /// `host:port` of its front door.
    router: String,
    /// `host:port` of its peer port.
    peers: String,
}

impl Level {
    fn of(state: &State) -> Self {
        let masters = state.masters.values().map(|master| Master {
            id: master.id,
            release: master.release.clone(),
            level: master.level,
            router: master.addresses.router.clone(),
            peers: master.addresses.peers.clone(),
        });
        Self {
            level: state.level(),
            known: LEVEL,
            held_back_by: held_back_by(state, LEVEL),
            masters: masters.collect(),
        }
    }
}

pub async fn show(api: Arc<Api>, _: Call) -> Response {
    reply::json(StatusCode::OK, &Level::of(&api.state()))
}

/// To which level; the highest one known unless said otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raise {
    to: Option<u32>,
}

/// Raises the level. It never falls again: older releases do not work with this cluster any more.
pub async fn raise(api: Arc<Api>, mut call: Call) -> Result<Response, ApiError> {
    let bytes = call.bytes().await?;
    let asked: Raise = if bytes.is_empty() { Raise::default() } else { body::parse_json(&bytes)? };
    let to = asked.to.unwrap_or(LEVEL);
    if to > LEVEL {
        let problem = format!("this master knows levels up to {LEVEL}; upgrade tepui there first");
        return Err(ApiError::invalid("to", problem));
    }
    api.cluster.propose(&call.principal, ClusterCommand::RaiseLevel(to).into()).await?;
    tracing::info!(target: "audit", uid = call.principal.uid(), to, "level of the cluster raised");
    Ok(reply::json(StatusCode::OK, &Level::of(&api.state())))
}
