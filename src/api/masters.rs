//! Masters: who they are and what part each has, and removing one for good.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::context::Api;
use crate::{
    core::ClusterCommand,
    http::{Call, Response, body, error::ApiError, reply},
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
    /// Milliseconds since it last answered the master that answers here.
    #[serde(skip_serializing_if = "Option::is_none")]
    silent_ms: Option<u64>,
    /// Whether it is to follow only, by somebody's word.
    stands_by: bool,
}

/// What part a master is to have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    part: Part,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    Decides,
    Follows,
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
                silent_ms: member
                    .and_then(|member| member.silent)
                    .map(|silent| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX)),
                stands_by: master.stands_by,
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
    let id = named(&api, &call)?;
    api.cluster.propose(&call.principal, ClusterCommand::RemoveMaster(id).into()).await?;
    tracing::info!(target: "audit", uid = call.principal.uid(), id, "master removed");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// Has a master follow only, or decide again. The leader follows the wish as soon as there are others to
/// decide.
pub async fn part(api: Arc<Api>, mut call: Call) -> Result<Response, ApiError> {
    let master = named(&api, &call)?;
    let Wanted { part } = body::parse_json(&call.bytes().await?)?;
    let stands_by = matches!(part, Part::Follows);
    let command = ClusterCommand::StandBy { master, stands_by };
    api.cluster.propose(&call.principal, command.into()).await?;
    tracing::info!(target: "audit", uid = call.principal.uid(), master, stands_by, "master's part");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// The master that the path names.
fn named(api: &Api, call: &Call) -> Result<u64, ApiError> {
    let name = call.param("id");
    let known = name.parse().ok().filter(|id| api.state().masters.contains_key(id));
    known.ok_or_else(|| {
        ApiError::not_found(format!("master {name}"))
            .hint("GET /tepui/v1/masters lists the masters there are")
    })
}
