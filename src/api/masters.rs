//! Masters: who they are and what part each has, and removing one for good.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use super::context::Api;
use crate::{
    core::ClusterCommand,
    http::{Call, Response, error::ApiError, reply},
};

/// All of them, as the one that answers knows.
#[derive(Serialize)]
struct Masters {
    masters: Vec<Row>,
    /// Grows with each election.
    term: u64,
    /// Whether it has no touch with a majority, so that parts may be others by now.
    #[serde(rename = "stale")]
    is_stale: bool,
    revision: u64,
}

/// `Master` of the contract.
#[derive(Serialize)]
struct Row {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    release: String,
    level: u32,
    router: String,
    peers: String,
    part: &'static str,
    /// Entries of the log it lacks, as the leading master knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<u64>,
}

pub async fn list(api: Arc<Api>, _: Call) -> Response {
    let (state, members) = (api.state(), api.cluster.standings());
    let leader = api.cluster.leader().map(|leader| leader.id);
    let rows: Vec<Row> = state
        .masters
        .values()
        .map(|master| {
            let member = members.iter().find(|member| member.id == master.id);
            let part = match member {
                _ if leader == Some(master.id) => "leads",
                Some(member) if member.is_voter => "decides",
                Some(_) => "follows",
                None => "outside",
            };
            Row {
                id: master.id,
                node: master.node.as_ref().map(ToString::to_string),
                release: master.release.clone(),
                level: master.level,
                router: master.addresses.router.clone(),
                peers: master.addresses.peers.clone(),
                part,
                behind: member.and_then(|member| member.behind),
            }
        })
        .collect();
    let contact = api.cluster.contact();
    let masters = Masters {
        masters: rows,
        term: contact.as_ref().map_or(0, |contact| contact.term),
        is_stale: contact.is_none_or(|contact| contact.is_stale),
        revision: state.revision,
    };
    reply::json(StatusCode::OK, &masters)
}

/// Forgets a master and takes its certificate back.
pub async fn remove(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let name = call.param("id").to_owned();
    let known = name.parse().ok().filter(|id| api.state().masters.contains_key(id));
    let Some(id) = known else {
        return Err(ApiError::not_found(format!("master {name}"))
            .hint("GET /tepui/v1/masters lists the masters there are"));
    };
    api.cluster.propose(&call.principal, ClusterCommand::RemoveMaster(id).into()).await?;
    tracing::info!(target: "audit", uid = call.principal.uid(), id, "master removed");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
