//! Instances of all apps, and one by the ids people have at hand.

use std::sync::Arc;

use http::StatusCode;

use super::{
    context::{Api, listed},
    view::{
        instance::{self, Located},
        node,
    },
};
use crate::{
    core::State,
    http::{Call, Response, error::ApiError, reply},
    model::{AppId, Instance, NodeId},
};

pub async fn list(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let query = call.query();
    let all = query.flag("all");
    let app = query.get("app").map(AppId::parse);
    let node = query.get("node").map(str::to_owned);
    api.render(move |api, state| {
        let node = match node.as_deref().map(|name| node::find(state, name)) {
            Some(Some(node)) => Some(node.id().clone()),
            Some(None) => return listed("tasks", &[(); 0], state.revision),
            None => None,
        };
        let mut found: Vec<_> = match &app {
            Some(app) => state.instances_of(app).collect(),
            None => state.instances.values().collect(),
        };
        found.retain(|i| (all || !i.condition().is_terminal()) && is_on(i, node.as_ref()));
        found.sort_by(|a, b| a.owner.cmp(&b.owner).then_with(|| instance::by_age(a, b)));
        let rows = instance::rows(&api.view(state), found.into_iter());
        listed("tasks", &rows, state.revision)
    })
    .await
}

pub async fn show(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let state = api.state();
    let found = locate(&state, call.param("id"))?;
    let instance = state.instances.get(&found.instance).ok_or_else(|| no_such(&call))?;
    let view = api.view(&state);
    let rows = instance::rows(&view, std::iter::once(instance));
    Ok(reply::json(StatusCode::OK, &rows[0]))
}

/// The task named by a path, or 404.
pub fn locate(state: &State, id: &str) -> Result<Located, ApiError> {
    instance::locate(state, id).ok_or_else(|| {
        ApiError::not_found(format!("task {id}")).hint("GET /tepui/v1/tasks?all lists the tasks")
    })
}

fn no_such(call: &Call) -> ApiError {
    ApiError::not_found(format!("task {}", call.param("id")))
}

fn is_on(instance: &Instance, node: Option<&NodeId>) -> bool {
    node.is_none_or(|n| instance.placement().is_some_and(|p| p.node == *n))
}
