//! The route table of `/tepui/v1`, and what a refusal looks like here.

use std::sync::Arc;

use http::{StatusCode, request::Parts};

use super::{
    apps, backups, cluster, context::Api, efficiency, events, exec, files, follow, history,
    invitations, level, logs, masters, metrics, nodes, plan, tasks, tokens, versions, volumes,
};
use crate::{
    control::cluster as control,
    core::Rejected,
    http::{
        Origin, Response,
        error::ApiError,
        reply::Reply as _,
        route::{Access, Miss, Route, Table, delete, get, post},
    },
    log,
    model::link::AskError,
};

/// Every route of this API.
pub fn routes() -> Vec<Route<Api>> {
    use Access::{Admin, Open, Read, Write};
    vec![
        get("/tepui/v1/openapi.yaml", Open, cluster::openapi),
        get("/tepui/v1/status", Read, cluster::status),
        get("/tepui/v1/me", Read, cluster::me),
        get("/tepui/v1/metrics", Read, metrics::metrics),
        get("/tepui/v1/apps", Read, apps::list),
        get("/tepui/v1/apps/{id...}", Read, apps::show),
        get("/tepui/v1/apps/{id...}/why", Read, apps::why),
        get("/tepui/v1/schema/app", Read, plan::schema),
        post("/tepui/v1/plan", Read, plan::plan),
        get("/tepui/v1/apps/{id...}/attempts", Read, history::attempts),
        get("/tepui/v1/apps/{id...}/versions", Read, versions::list),
        post("/tepui/v1/apps/{id...}/rollback", Write, versions::rollback),
        get("/tepui/v1/history", Read, history::list),
        get("/tepui/v1/deployments", Read, apps::deployments),
        get("/tepui/v1/tasks", Read, tasks::list),
        get("/tepui/v1/tasks/{id}", Read, tasks::show),
        get("/tepui/v1/tasks/{id}/files", Read, files::files),
        get("/tepui/v1/tasks/{id}/files/search", Read, files::search),
        get("/tepui/v1/tasks/{id}/log", Read, follow::log),
        get("/tepui/v1/logs", Read, logs::logs),
        post("/tepui/v1/tasks/{id}/exec", Write, exec::exec),
        get("/tepui/v1/tasks/{id}/exec/ws", Write, exec::exec_socket),
        get("/tepui/v1/volumes", Read, volumes::list),
        delete("/tepui/v1/volumes/{id}", Write, volumes::remove),
        get("/tepui/v1/efficiency", Read, efficiency::list),
        get("/tepui/v1/nodes", Read, nodes::list),
        get("/tepui/v1/nodes/{id}", Read, nodes::show),
        delete("/tepui/v1/nodes/{id}", Admin, nodes::remove),
        post("/tepui/v1/nodes/invite", Admin, invitations::invite),
        get("/tepui/v1/invitations", Admin, invitations::list),
        delete("/tepui/v1/invitations/{id}", Admin, invitations::revoke),
        get("/tepui/v1/masters", Read, masters::list),
        delete("/tepui/v1/masters/{id}", Admin, masters::remove),
        post("/tepui/v1/masters/{id}/part", Admin, masters::part),
        get("/tepui/v1/backups", Admin, backups::list),
        post("/tepui/v1/backups", Admin, backups::create),
        get("/tepui/v1/nodes/{id}/drain", Read, nodes::preview),
        post("/tepui/v1/nodes/{id}/drain", Write, nodes::drain),
        get("/tepui/v1/events", Read, events::events),
        post("/tepui/v1/tokens/revoke", Admin, tokens::revoke),
        post("/tepui/v1/tokens/rotate", Admin, tokens::rotate),
        get("/tepui/v1/level", Read, level::show),
        post("/tepui/v1/level", Admin, level::raise),
        get("/tepui/v1/debug/tasks", Read, cluster::debug_tasks),
        get("/tepui/v1/debug/reconcilers", Read, cluster::debug_reconcilers),
    ]
}

/// The table; whoever mounts it adds the guard.
pub fn table(api: Arc<Api>) -> Table<Api> {
    Table::new(api, routes()).on_miss(miss).on_denied(denied).packed()
}

/// 403 in our own shape.
fn denied(request: &Parts) -> Response {
    let id = request.extensions.get::<Origin>().map(|o| o.id).unwrap_or_default();
    let error = ApiError::forbidden("this needs a superuser");
    error.hint("GET /tepui/v1/me says who you are").reply(id)
}

/// 404 and 405 in our own shape.
fn miss(miss: &Miss, request: &Parts) -> Response {
    let id = request.extensions.get::<Origin>().map(|o| o.id).unwrap_or_default();
    let error = match miss {
        Miss::Path => ApiError::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("{} is not a path of this API", request.uri.path()),
        )
        .hint("GET /tepui/v1/openapi.yaml lists what there is"),
        Miss::Method(_) => ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            format!("{} is not allowed here", request.method),
        ),
    };
    miss.with_allow(error.reply(id))
}

impl From<control::Error> for ApiError {
    fn from(error: control::Error) -> Self {
        match error {
            control::Error::Rejected(rejected) => rejected_as(&rejected),
            control::Error::Log(error) => undecided(&error),
            control::Error::Unanswered(error) => unanswered(&error),
            control::Error::Elsewhere(_) => {
                Self::new(StatusCode::MISDIRECTED_REQUEST, "not_leader", error.to_string())
                    .hint("send it there: tepui --url URL, or TEPUI_URL")
            }
        }
    }
}

/// An agent's refusal or silence in our own shape.
fn unanswered(error: &AskError) -> ApiError {
    let message = error.to_string();
    match error {
        AskError::NotFound(_) => ApiError::new(StatusCode::NOT_FOUND, "not_found", message),
        AskError::Invalid(_) => ApiError::bad_request(message),
        AskError::Failed(_) => ApiError::new(StatusCode::BAD_GATEWAY, "agent_failed", message),
        AskError::NotConnected(_) | AskError::TimedOut => {
            ApiError::new(StatusCode::BAD_GATEWAY, "agent_unreachable", message)
                .hint("GET /tepui/v1/nodes shows which nodes are heard of")
        }
    }
}

/// What it means that nobody decided a command: whose fault it is, and what helps.
fn undecided(error: &log::ProposeError) -> ApiError {
    use log::ProposeError as E;
    const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
    let (status, code, hint) = match error {
        E::NoLeader => (UNAVAILABLE, "no_leader", "try again in a second"),
        E::Busy => (UNAVAILABLE, "busy", "try again in a second"),
        E::DiskFull => {
            (UNAVAILABLE, "disk_full", "free space in the data directory of the leading master")
        }
        E::Stopped(_) => (
            UNAVAILABLE,
            "log_stopped",
            "ask another master; restart this one once its log says why",
        ),
        E::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "send it in parts"),
        E::Unknown => {
            let hint = "look whether it took effect before trying again";
            (StatusCode::GATEWAY_TIMEOUT, "timeout", hint)
        }
    };
    ApiError::new(status, code, error.to_string()).hint(hint)
}

/// What a refused command means to a caller of this API.
fn rejected_as(rejected: &Rejected) -> ApiError {
    use Rejected as R;
    let message = rejected.to_string();
    match rejected {
        R::NotFound(_) => ApiError::new(StatusCode::NOT_FOUND, "not_found", message),
        R::Invalid { field, problem } => ApiError::invalid(field.clone(), problem.clone()),
        R::Locked { .. } => ApiError::new(StatusCode::CONFLICT, "locked", message)
            .hint("wait for it, or send `force`: true, which ends it where it stands"),
        R::Exists(_)
        | R::Taken(_)
        | R::Stale(_)
        | R::Busy(_)
        | R::Last(_)
        | R::TooMany { .. }
        | R::Exhausted { .. }
        | R::Cycle(_)
        | R::Denied { .. }
        | R::HeldBack { .. }
        | R::TooOld { .. } => ApiError::conflict(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::error::Retry,
        http::{RequestId, body},
    };

    #[tokio::test]
    async fn whose_fault_an_undecided_command_is_reaches_the_caller() {
        use log::ProposeError as E;
        let too_large = E::TooLarge { n_bytes: 9, n_bytes_max: 8 };
        let cases = [
            (E::NoLeader, 503, "no master leads"),
            (E::Busy, 503, "too many commands are waiting"),
            (E::DiskFull, 503, "the disk of the leading master is full"),
            (E::Stopped("torn page".into()), 503, "this master's log has stopped: torn page"),
            (too_large, 413, "the command is 9 bytes large, 8 is the maximum"),
            (E::Unknown, 504, "the command may or may not take effect"),
        ];
        for (error, status, text) in cases {
            let told = ApiError::from(control::Error::from(error.clone()));
            let response = told.reply(RequestId::default());
            assert_eq!(response.status(), status, "{error}");
            let may_retry = response.headers().contains_key(http::header::RETRY_AFTER);
            assert_eq!(may_retry, status == 503, "{error}");
            assert!(!(may_retry && error.retry() == Retry::No), "{error}");
            let body = body::read(response.into_body(), 4_096).await.expect("a body");
            let body = String::from_utf8_lossy(&body);
            assert!(body.contains(text), "{body}");
        }
    }

    #[tokio::test]
    async fn what_a_deployment_holds_can_be_told_from_other_conflicts() {
        let locked = Rejected::Locked {
            apps: vec![crate::model::AppId::parse("/a")],
            deployments: vec!["d1".to_owned().into()],
        };
        let response = rejected_as(&locked).reply(RequestId::default());
        assert_eq!(response.status(), StatusCode::CONFLICT);
        let body = body::read(response.into_body(), 4_096).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["error"]["code"], "locked");
        assert!(body["error"]["hint"].as_str().is_some_and(|hint| hint.contains("`force`")));
    }

    #[test]
    fn an_agents_silence_is_no_missing_file() {
        for (error, status) in [
            (AskError::NotFound("x".into()), 404),
            (AskError::Invalid("x".into()), 400),
            (AskError::Failed("x".into()), 502),
            (AskError::TimedOut, 502),
            (AskError::NotConnected("n".into()), 502),
        ] {
            let answer = unanswered(&error).reply(RequestId::default());
            assert_eq!(answer.status().as_u16(), status, "{error}");
        }
    }
}
