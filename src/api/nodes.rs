//! Nodes: list, one, and moving all work off one.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{
    context::{Api, listed},
    view::{
        drain,
        node::{self, NodeRow},
    },
};
use crate::{
    control::cluster::Error,
    core::{NodeCommand, Rejected, State},
    http::{Call, Response, error::ApiError, reply},
    model::{Node, node::Duty},
};

pub async fn list(api: Arc<Api>, _: Call) -> Result<Response, ApiError> {
    api.render(|api, state| {
        let view = api.view(state);
        let mut rows: Vec<_> = state.nodes.values().map(|n| node::row(&view, n)).collect();
        rows.sort_by(|a, b| a.host.cmp(b.host));
        listed("nodes", &rows, state.revision)
    })
    .await
}

pub async fn show(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let state = api.state();
    let found = find(&state, call.param("id"))?;
    Ok(reply::json(StatusCode::OK, &node::detail(&api.view(&state), found)))
}

/// Where each instance would go if the node were drained now; changes nothing.
pub async fn preview(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let name = call.param("id").to_owned();
    let made = api.render(move |api, state| {
        let found = find(state, &name)?;
        Ok(reply::json(StatusCode::OK, &drain::preview(&api.view(state), found)))
    });
    made.await?
}

/// What `drain` is asked to do.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Drain {
    cancel: bool,
    dry_run: bool,
    /// Seconds after which the drain ends, done or not.
    deadline_s: Option<u64>,
}

/// How long a drain takes at most unless the caller says otherwise.
const DEADLINE: Duration = Duration::from_secs(3600);
/// The longest drain: whoever plans further ahead deactivates the node.
const DEADLINE_MAX: Duration = Duration::from_secs(7 * 86_400);

#[derive(Serialize)]
struct Drained<'a> {
    node: NodeRow<'a>,
    instances: Vec<&'a str>,
}

pub async fn drain(api: Arc<Api>, mut call: Call) -> Result<Response, ApiError> {
    let body = call.bytes().await?;
    let asked: Drain = match body.is_empty() {
        true => Drain::default(),
        false => crate::http::body::parse_json(&body)?,
    };
    let state = api.state();
    let found = find(&state, call.param("id"))?;
    let deadline = asked.deadline_s.map_or(DEADLINE, Duration::from_secs);
    if deadline.is_zero() || deadline > DEADLINE_MAX {
        let problem = format!("must be between 1 and {} seconds", DEADLINE_MAX.as_secs());
        return Err(ApiError::invalid("deadline_s", problem));
    }
    if let Some(duty) = new_duty(&api, found, &asked, deadline).filter(|_| !asked.dry_run) {
        let node = found.id().clone();
        tracing::info!(target: "audit", uid = call.principal.uid(), %node, ?duty, "node duty");
        api.cluster.propose(&call.principal, NodeCommand::NodeDuty { node, duty }.into()).await?;
    }
    let state = if asked.dry_run { state } else { api.state() };
    let found = find(&state, call.param("id"))?;
    let leaving = state.instances_on(found.id()).filter(|_| !asked.cancel);
    let instances = leaving.map(|i| i.id.as_str()).collect();
    let node = node::row(&api.view(&state), found);
    Ok(reply::json(StatusCode::OK, &Drained { node, instances }))
}

/// The duty to propose; `None` when the node has it already. Asking again with a deadline sets a new
/// one.
fn new_duty(api: &Api, node: &Node, asked: &Drain, deadline: Duration) -> Option<Duty> {
    let now = api.clock.now();
    match (asked.cancel, node.duty) {
        (true, Duty::Active) | (false, Duty::Drained { .. }) => None,
        (true, _) => Some(Duty::Active),
        (false, Duty::Draining { since, .. }) => {
            asked.deadline_s.map(|_| Duty::Draining { since, until: now + deadline })
        }
        (false, Duty::Active | Duty::Deactivated { .. }) => {
            Some(Duty::Draining { since: now, until: now + deadline })
        }
    }
}

/// Forgets a node and takes its certificates back.
pub async fn remove(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let state = api.state();
    let found = find(&state, call.param("id"))?;
    let (node, host) = (found.id().clone(), found.info.hostname.clone());
    let uid = call.principal.uid();
    match api.cluster.propose(&call.principal, NodeCommand::RemoveNode(node.clone()).into()).await {
        Ok(_) => {
            tracing::info!(target: "audit", uid, %node, host, "node removed");
            Ok(reply::empty(StatusCode::NO_CONTENT))
        }
        Err(Error::Rejected(Rejected::Busy(_))) => {
            let n = state.instances_on(&node).count();
            tracing::info!(target: "audit", uid, %node, host, "node not removed");
            let instances = if n == 1 { "instance" } else { "instances" };
            let message = format!("node {host} is connected and holds {n} {instances}");
            Err(ApiError::conflict(message)
                .hint("drain it first, or stop its agent and wait until it is unreachable"))
        }
        Err(error) => Err(error.into()),
    }
}

/// The node a caller means by `name`: its id, or what only it is called or reached by.
pub fn find<'a>(state: &'a State, name: &str) -> Result<&'a Node, ApiError> {
    node::find(state, name).ok_or_else(|| {
        ApiError::not_found(format!("node {name}"))
            .hint("GET /tepui/v1/nodes lists the nodes there are")
    })
}
