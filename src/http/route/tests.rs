//! Tables: finding, missing, access, panics.

use super::*;
use crate::http::auth::{Rights, Trusted};

struct State {
    name: &'static str,
}

async fn show(state: Arc<State>, call: Call) -> Response {
    let text = format!("{} {} {}", state.name, call.param("id"), call.principal.uid());
    reply::text(StatusCode::OK, text)
}

async fn echo(_: Arc<State>, mut call: Call) -> Result<Response, BodyError> {
    Ok(reply::text(StatusCode::OK, call.bytes().await?))
}

async fn panics(_: Arc<State>, _: Call) -> Response {
    panic!("on purpose")
}

fn table() -> Table<State> {
    Table::new(
        Arc::new(State { name: "s" }),
        vec![
            get("/open", Access::Open, show),
            get("/v2/apps/{id...}", Access::Read, show),
            delete("/v2/apps/{id...}", Access::Write, show),
            post("/v2/apps", Access::Write, echo),
            get("/v2/apps/{id...}/tasks", Access::Read, show),
            get("/panics", Access::Open, panics),
        ],
    )
}

fn request(method: Method, path: &str, body: &'static str) -> Request {
    http::Request::builder().method(method).uri(path).body(Body::from(body)).unwrap()
}

async fn check(table: &Table<State>, request: Request, status: u16, body: &str) -> Response {
    let response = table.answer(request).await;
    assert_eq!(response.status(), status);
    assert_eq!(std::str::from_utf8(response.body().bytes().unwrap()).unwrap(), body);
    response
}

struct Known;

impl Guard for Known {
    fn admit(&self, _: &Parts, access: Access) -> Result<Principal, Response> {
        if access == Access::Read {
            Ok(Principal::new("ann", Rights::Look))
        } else {
            Err(reply::empty(StatusCode::FORBIDDEN))
        }
    }
}

#[tokio::test]
async fn the_most_specific_route_answers() {
    let table = table().guard(Arc::new(Known));
    check(&table, request(Method::GET, "/v2/apps/a/b", ""), 200, "s a/b ann").await;
    check(&table, request(Method::GET, "/v2/apps//a/tasks/", ""), 200, "s a ann").await;
    check(&table, request(Method::HEAD, "/v2/apps/a", ""), 200, "s a ann").await;
    check(&table, request(Method::DELETE, "/v2/apps/a", ""), 403, "").await;
    check(&table, request(Method::GET, "/open", ""), 200, "s  anonymous").await;
}

#[tokio::test]
async fn a_missing_path_is_404_and_a_wrong_method_405_with_allow() {
    let table = table().guard(Arc::new(Known));
    check(&table, request(Method::GET, "/nope", ""), 404, "404 Not Found\n").await;
    let response = table.answer(request(Method::PATCH, "/v2/apps/a", "")).await;
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET, DELETE");
    let response = table.answer(request(Method::GET, "/v2/apps", "")).await;
    assert_eq!(response.headers()["allow"], "POST");
    let response = table.answer(request(Method::POST, "/v2/apps/a/tasks", "")).await;
    assert_eq!(response.headers()["allow"], "GET");
}

#[tokio::test]
async fn strict_slashes_make_other_paths() {
    let table = table().slashes(Slashes::Strict);
    for path in ["/open/", "//open"] {
        assert_eq!(table.answer(request(Method::GET, path, "")).await.status(), 404, "{path}");
    }
    assert_eq!(table.answer(request(Method::GET, "/open", "")).await.status(), 200);
}

#[tokio::test]
async fn nobody_passes_without_a_guard_unless_checked_before() {
    let table = table();
    check(&table, request(Method::GET, "/v2/apps/a", ""), 401, "401 Unauthorized\n").await;
    let mut checked = request(Method::POST, "/v2/apps/", "body");
    checked.extensions_mut().insert(Principal::new("bob", Rights::All));
    check(&table, checked, 200, "body").await;
}

#[tokio::test]
async fn each_route_is_reached_by_the_rights_it_declares() {
    let route = |path, access| get(path, access, show);
    let routes = vec![
        route("/open", Access::Open),
        route("/read", Access::Read),
        route("/write", Access::Write),
        route("/admin", Access::Admin),
    ];
    let denied = |parts: &Parts| {
        let text = format!("not {}", parts.uri.path());
        reply::text(StatusCode::FORBIDDEN, text)
    };
    let table = Table::new(Arc::new(State { name: "s" }), routes).on_denied(denied);
    for (rights, reached) in [(Rights::None, 1), (Rights::Look, 2), (Rights::All, 4)] {
        for (n, path) in ["/open", "/read", "/write", "/admin"].into_iter().enumerate() {
            let mut checked = request(Method::GET, path, "");
            checked.extensions_mut().insert(Principal::new("ann", rights));
            let (status, body) = match n < reached {
                true => (200, "s  ann".to_owned()),
                false => (403, format!("not {path}")),
            };
            check(&table, checked, status, &body).await;
        }
    }
    // Whom the guard knows is asked as well.
    let guard = Arc::new(Trusted(Principal::new("ann", Rights::Look)));
    let table = table.guard(guard);
    check(&table, request(Method::GET, "/read", ""), 200, "s  ann").await;
    check(&table, request(Method::GET, "/admin", ""), 403, "not /admin").await;
}

#[tokio::test]
async fn a_panic_is_a_500() {
    let response = table().answer(request(Method::GET, "/panics", "")).await;
    assert_eq!(response.status(), 500);
}

#[test]
fn accept_is_matched_by_name() {
    let mut request = request(Method::GET, "/", "");
    let value = "text/html, text/event-stream;q=0.9";
    request.headers_mut().insert(header::ACCEPT, value.parse().unwrap());
    let (parts, body) = request.into_parts();
    let (params, principal) = (Params::new(), Principal::anonymous());
    let call = Call { parts, body, params, principal, body_max: 0, n_read: 0, hold: None };
    assert!(call.accepts("text/event-stream") && !call.accepts("application/json"));
}
