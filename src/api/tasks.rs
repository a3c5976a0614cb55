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
    core::{
        State,
        history::{Kind, Query},
    },
    http::{Call, Response, error::ApiError, reply},
    model::{AppId, Instance, InstanceId, NodeId},
};

/// Attempts of one instance that are looked through for one.
const ATTEMPTS_MAX: usize = 10_000;

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
        found.retain(|i| {
            (all || !i.condition().is_terminal()) && !i.is_kept() && is_on(i, node.as_ref())
        });
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
    let row = instance::rows(&view, std::iter::once(instance)).into_iter().next();
    let named = (!found.container.is_empty()).then(|| instance.task_id(&found.container));
    let row = row.map(|row| match named {
        Some(task) => row.of_container(task),
        None => row,
    });
    Ok(reply::json(StatusCode::OK, &row))
}

/// The task named by a path, or 404.
pub fn locate(state: &State, id: &str) -> Result<Located, ApiError> {
    instance::locate(state, id).ok_or_else(|| {
        ApiError::not_found(format!("task {id}")).hint("GET /tepui/v1/tasks?all lists the tasks")
    })
}

/// The task named by a path, or 404. What ended long ago is found in the history.
pub async fn find(api: &Api, id: &str) -> Result<Located, ApiError> {
    let state = api.state();
    let known = instance::locate(&state, id);
    if let Some(found) = known.as_ref().filter(|found| !found.ended || found.incarnation.is_none())
    {
        return Ok(found.clone());
    }
    let parts = instance::split_task_id(id);
    let (instance, container, number) = match parts.filter(|_| state.instances.get(id).is_none()) {
        Some((instance, container, number)) => (instance, container, Some(number)),
        None => (id, "", None),
    };
    let query = Query {
        of: Some(instance.to_owned()),
        kinds: vec![Kind::Attempt],
        limit: ATTEMPTS_MAX,
        ..Query::default()
    };
    let page = api.cluster.history(query).await?;
    let mut attempts = page.found.into_iter().filter_map(|found| found.record.attempt);
    let attempt = attempts.find(|a| number.is_none_or(|number| number == a.incarnation));
    match (attempt, known) {
        (Some(attempt), _) => Ok(Located {
            instance: InstanceId::from(instance),
            incarnation: Some(attempt.incarnation),
            container: if container == "_app" { String::new() } else { container.to_owned() },
            node: Some(attempt.node),
            running: false,
            ended: true,
        }),
        (None, Some(found)) => Ok(found),
        (None, None) => locate(&state, id),
    }
}

fn no_such(call: &Call) -> ApiError {
    ApiError::not_found(format!("task {}", call.param("id")))
}

fn is_on(instance: &Instance, node: Option<&NodeId>) -> bool {
    node.is_none_or(|n| instance.placement().is_some_and(|p| p.node == *n))
}
