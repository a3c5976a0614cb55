//! HTTP for everybody: listeners, routes, bodies, errors, identity checks, proxying, streams.
//!
//! Built on hyper directly, so that odd answers of the dialects, upgrades and streams stay in our
//! hands. What others call:
//!
//! | want | use |
//! |---|---|
//! | listen | `serve::Listener::bind(addr)?.with_tls(…).serve(handler, &tasks)` → `serve::Server` (`local_addr`, `drain`) |
//! | answer anything | the `serve::Handler` trait, or any `Fn(Request) -> impl Future<Output = Response>` |
//! | a route table | `route::Table::new(state, vec![route::get("/v2/apps/{id...}", Access::Read, apps::get), …])` |
//! | one handler | `async fn get(api: Arc<Api>, call: Call) -> Result<Response, MyError>`; errors implement `reply::Reply` |
//! | the request's parts | `call.param("id")`, `call.query().get("embed")`, `call.json::<T>().await?`, `call.principal` |
//! | answers | `reply::{json, text, html, empty, redirect}` |
//! | answers in fewer bytes | `Table::packed()`, see `pack` |
//! | own API errors | `error::ApiError::{not_found, conflict, invalid, …}` |
//! | live streams | `stream::channel(capacity)` with `stream::event(…)` → `stream::response(body)` |
//! | a WebSocket | `websocket::accept(&mut call.parts, protocol)` → the answer, then `websocket::open` |
//! | a file piece by piece | `download::response(&tasks, name, size, first, next)` |
//! | who is calling | `auth::{Tokens, TokenGuard, Passwords, Principal}` |
//! | pass the frequent ones on by the short road | `road::Guide`, told by `Handler::guide` |
//! | ask another server once | `client::send(method, &uri, body, &trust, &tasks)` |
//! | pass a request on | `proxy::Proxy::forward(request, &Target)` |
//!
//! Nothing here knows a dialect, a state or a log: those come in as handlers, guards and closures.

pub mod auth;
pub mod body;
pub mod client;
pub mod crowd;
pub mod download;
pub mod error;
pub mod head;
mod id;
pub mod io;
pub mod meter;
pub mod metrics;
mod origin;
pub mod pack;
pub mod pattern;
pub mod pool;
pub mod proxy;
pub mod query;
pub mod redact;
pub mod relay;
pub mod reply;
pub mod road;
pub mod route;
pub mod serve;
pub mod stream;
mod tcp;
mod tries;
pub mod tunnel;
pub mod upstream;
pub mod websocket;

pub use body::Body;
pub use id::RequestId;
pub use origin::Origin;
pub use route::Call;
pub use serve::Handler;

/// A request whose body may come from a socket or from memory.
pub type Request = ::http::Request<Body>;
/// A response whose body may be bytes, a stream or another server's body.
pub type Response = ::http::Response<Body>;
/// Why a body broke off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[cfg(test)]
mod tests;
