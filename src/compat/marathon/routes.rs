//! The routes as data, and what every answer has in common: headers, errors.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};

use super::{
    error::{self, Error},
    handlers::{apps, bulk, deployments, groups, pods, queue, stream, system, tasks, versions},
    request,
    service::Marathon,
};
use crate::{
    base::limit,
    http::{
        Call, Handler, Request, RequestId, Response,
        auth::Guard,
        reply::Reply,
        route::{self, Access, Miss, Route, Table},
    },
};

/// All routes.
pub fn routes() -> Vec<Route<Marathon>> {
    // Bodies with any number of apps in them.
    const MANY: usize = limit::BODY_BYTES_MAX;
    use Access::{Admin, Open, Read, Write};
    vec![
        route::get("/", Open, system::root),
        route::get("/ping", Open, system::ping),
        route::get("/metrics", Read, json(system::metrics)),
        route::get("/v2/info", Read, json(system::info)),
        route::get("/v2/leader", Read, json(system::leader)),
        route::delete("/v2/leader", Admin, json(system::abdicate)),
        route::get("/v2/plugins", Read, json(system::plugins)),
        route::get("/v2/events", Read, stream::events),
        route::get("/v2/apps", Read, json(apps::list)),
        route::post("/v2/apps", Write, json(apps::create)),
        route::put("/v2/apps", Write, json(bulk::update)).body_max(MANY),
        route::patch("/v2/apps", Write, json(bulk::update)).body_max(MANY),
        route::get("/v2/apps/{id...}", Read, json(apps::get)),
        route::put("/v2/apps/{id...}", Write, json(apps::update)),
        route::patch("/v2/apps/{id...}", Write, json(apps::update)),
        route::delete("/v2/apps/{id...}", Write, json(apps::delete)),
        route::post("/v2/apps/{id...}/restart", Write, json(apps::restart)),
        route::get("/v2/apps/{id...}/tasks", Read, json(tasks::of_app)),
        route::delete("/v2/apps/{id...}/tasks", Write, json(tasks::kill_all)),
        route::delete("/v2/apps/{id...}/tasks/{taskId}", Write, json(tasks::kill_one)),
        route::get("/v2/apps/{id...}/versions", Read, json(versions::list)),
        route::get("/v2/apps/{id...}/versions/{version}", Read, json(versions::get)),
        route::get("/v2/pods", Read, json(pods::list)),
        route::post("/v2/pods", Write, json(pods::create)),
        route::get("/v2/pods/::status", Read, json(pods::all_status)),
        route::get("/v2/pods/{id...}", Read, json(pods::get)),
        route::put("/v2/pods/{id...}", Write, json(pods::update)),
        route::delete("/v2/pods/{id...}", Write, json(pods::delete)),
        route::post("/v2/pods/{id...}/restart", Write, json(pods::restart)),
        route::get("/v2/pods/{id...}::status", Read, json(pods::status)),
        route::get("/v2/pods/{id...}::versions", Read, json(pods::list_versions)),
        route::get("/v2/pods/{id...}::versions/{version}", Read, json(pods::get_version)),
        route::delete("/v2/pods/{id...}::instances", Write, json(pods::kill_some)),
        route::delete("/v2/pods/{id...}::instances/{instance}", Write, json(pods::kill_one)),
        route::get("/v2/tasks", Read, json(tasks::list)),
        route::post("/v2/tasks/delete", Write, json(tasks::delete)),
        route::get("/v2/deployments", Read, json(deployments::list)),
        route::delete("/v2/deployments/{id}", Write, json(deployments::delete)),
        route::get("/v2/queue", Read, json(queue::list)),
        route::delete("/v2/queue/{id...}/delay", Write, json(queue::reset_delay)),
        route::get("/v2/groups", Read, json(groups::get)),
        route::get("/v2/groups/{id...}", Read, json(groups::get)),
        route::get("/v2/groups/versions", Read, json(groups::versions)),
        route::get("/v2/groups/versions/{version}", Read, json(groups::in_version)),
        route::get("/v2/groups/{id...}/versions", Read, json(groups::versions)),
        route::get("/v2/groups/{id...}/versions/{version}", Read, json(groups::in_version)),
        route::post("/v2/groups", Write, json(groups::create)).body_max(MANY),
        route::post("/v2/groups/{id...}", Write, json(groups::create)).body_max(MANY),
        route::put("/v2/groups", Write, json(groups::update)).body_max(MANY),
        route::put("/v2/groups/{id...}", Write, json(groups::update)).body_max(MANY),
        route::patch("/v2/groups/{id...}", Write, json(groups::patch)),
        route::delete("/v2/groups", Write, json(groups::delete)),
        route::delete("/v2/groups/{id...}", Write, json(groups::delete)),
        route::get("/v2/groups/apps", Read, json(groups::apps)),
        route::get("/v2/groups/{id...}/apps", Read, json(groups::apps)),
    ]
}

/// A handler that answers JSON: callers that do not take it get 406.
fn json<F, Fut, R>(
    handler: F,
) -> impl Fn(Arc<Marathon>, Call) -> BoxFuture<'static, Response> + Send + Sync + 'static
where
    F: Fn(Arc<Marathon>, Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: Reply,
{
    move |marathon, call| {
        if !request::takes_json(&call) {
            let refusal = Error::Status(StatusCode::NOT_ACCEPTABLE).response();
            return Box::pin(std::future::ready(refusal));
        }
        let id: RequestId = call.request_id();
        let answer = handler(marathon, call);
        Box::pin(async move { answer.await.reply(id) })
    }
}

fn miss(miss: &Miss, _: &Parts) -> Response {
    match miss {
        // The original answers 500 here; 404 is what everybody means.
        Miss::Path => error::plain(StatusCode::NOT_FOUND, "URI not found"),
        Miss::Method(_) => {
            miss.with_allow(error::plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"))
        }
    }
}

fn denied(_: &Parts) -> Response {
    error::plain(StatusCode::FORBIDDEN, "Not Authorized to perform this action!")
}

/// The dialect as one handler.
pub struct Dialect {
    marathon: Arc<Marathon>,
    table: Table<Marathon>,
}

impl Dialect {
    /// Serves the API; `guard` checks callers nobody has checked before.
    pub fn new(marathon: Arc<Marathon>, guard: Option<Arc<dyn Guard>>) -> Self {
        let table = Table::new(marathon.clone(), routes()).on_miss(miss).on_denied(denied).packed();
        let table = match guard {
            Some(guard) => table.guard(guard),
            None => table,
        };
        Self { marathon, table }
    }

    /// The table, for listings.
    pub fn table(&self) -> &Table<Marathon> {
        &self.table
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request) -> Response {
        let mut response = self.table.answer(request).await;
        self.add_headers(&mut response);
        response
    }

    fn add_headers(&self, response: &mut Response) {
        const FIXED: [(HeaderName, &str); 5] = [
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::X_XSS_PROTECTION, "1; mode=block"),
            (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
            (header::PRAGMA, "no-cache"),
            (header::EXPIRES, "0"),
        ];
        for (name, value) in FIXED {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let leader = self.marathon.leader().filter(|_| self.marathon.cluster.leads());
        let scheme = if self.marathon.tls { "https" } else { "http" };
        let value = leader.map(|l| HeaderValue::from_str(&format!("{scheme}://{l}")));
        if let Some(Ok(value)) = value {
            response.headers_mut().insert(HeaderName::from_static("x-marathon-leader"), value);
        }
    }
}

impl Handler for Dialect {
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.answer(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_documented() {
        let page = include_str!("../../../docs/compat/marathon.md");
        for route in routes() {
            let path = route.pattern.as_str().replace("...", "").replace("{taskId}", "{task}");
            let path = path.replace("groups/versions", "groups/{id}/versions");
            let path = path.replace("groups/apps", "groups/{id}/apps");
            assert!(
                page.contains(&format!("`{path}`")),
                "{path} is not in docs/compat/marathon.md"
            );
        }
    }
}
