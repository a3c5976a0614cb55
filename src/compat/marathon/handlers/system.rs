//! Who leads, what version, whether alive, how much of everything.

use std::sync::Arc;

use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use super::ok;
use crate::{
    compat::marathon::{
        error::Error,
        render::{self, info::API_VERSION},
        service::Marathon,
    },
    core::State,
    http::{Call, Response, reply},
    model::instance::Condition,
};

/// `GET /v2/info`.
pub async fn info(marathon: Arc<Marathon>, _: Call) -> Result<Response, Error> {
    let leader = marathon.leader();
    let leads = marathon.cluster.leads();
    let state = marathon.state();
    let framework = framework_id(&state);
    Ok(ok(&render::info::info(&marathon.settings, leader.as_deref(), leads, &framework)))
}

/// Id under which the apps' tasks appear among the cluster's frameworks.
fn framework_id(state: &State) -> String {
    let cluster = state.cluster.as_ref().map_or("", |cluster| cluster.id.as_str());
    format!("{cluster}-0001")
}

/// `GET /v2/leader`.
pub async fn leader(marathon: Arc<Marathon>, _: Call) -> Result<Response, Error> {
    let leader = marathon.leader();
    let leader = leader.ok_or_else(|| Error::NotFound("There is no leader".to_owned()))?;
    Ok(ok(&json!({ "leader": leader })))
}

/// `DELETE /v2/leader`: another master leads from then on, where there is one.
///
/// # Errors
/// On a master that does not lead, and for the original's copies of its store, which there are none of.
pub async fn abdicate(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    for asked in ["backup", "restore"] {
        if call.query().get(asked).is_some() {
            return Err(Error::Argument(format!(
                "{asked} is not done here: leave it out, and use `tepui backup`"
            )));
        }
    }
    marathon.cluster.give_way().await.map_err(Error::Undecided)?;
    Ok(ok(&json!({ "message": "Leadership abdicated", "details": [] })))
}

/// `GET /ping`: answered by every master for itself, whoever leads.
pub async fn ping(_: Arc<Marathon>, call: Call) -> Response {
    let takes = |media: &str| call.accepts(media);
    let any = !call.headers().contains_key(header::ACCEPT) || takes("*/*");
    if any || takes("text/plain") || takes("text/*") {
        reply::content(StatusCode::OK, "text/plain", "pong")
    } else if takes("text/html") {
        reply::content(StatusCode::OK, "text/html", "pong")
    } else if takes("application/json") || takes("application/*") {
        ok("pong")
    } else {
        reply::empty(StatusCode::NO_CONTENT)
    }
}

/// `GET /metrics`: the gauges that can be told from the state.
pub async fn metrics(marathon: Arc<Marathon>, _: Call) -> Result<Response, Error> {
    let state = marathon.state();
    let n =
        |wanted: Condition| state.instances.values().filter(|i| i.condition() == wanted).count();
    let n_pods = state.apps.len() - super::apps::apps(&state).count();
    let gauges = [
        ("marathon.apps.active.gauge", state.apps.len() - n_pods),
        ("marathon.deployments.active.gauge", state.deployments.len()),
        ("marathon.groups.active.gauge", state.groups.len()),
        ("marathon.instances.running.gauge", n(Condition::Running)),
        ("marathon.instances.staged.gauge", n(Condition::Staging) + n(Condition::Provisioned)),
        ("marathon.instances.inflight-kills.gauge", n(Condition::Killing)),
        ("marathon.pods.active.gauge", n_pods),
    ];
    let gauges: Map<String, Value> = gauges
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!({ "value": value })))
        .collect();
    Ok(ok(&json!({
        "version": API_VERSION,
        "counters": {},
        "gauges": gauges,
        "histograms": {},
        "meters": {},
        "timers": {},
    })))
}

/// `GET /v2/plugins`: there are none.
pub async fn plugins(_: Arc<Marathon>, _: Call) -> Response {
    ok(&json!({ "plugins": [] }))
}

/// `GET /`: the original's address of its web interface.
pub async fn root(_: Arc<Marathon>, _: Call) -> Response {
    reply::redirect(StatusCode::FOUND, "/ui/")
}
