//! Route tables as data: method, pattern, access class, handler.
//!
//! A `Table` finds the handler, tells 404 from 405, has the caller checked by its guard, asks whether
//! the caller's rights reach the route, and turns what the handler returns into the response. A table
//! can be listed, so that tests compare it with the contract. What 403, 404 and 405 look like is the
//! dialect's, given as functions.
//!
//! A panic in a handler is a 500 with a request id and a log line, not the end of the connection.

use std::{net::IpAddr, panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use serde::de::DeserializeOwned;
use smallvec::SmallVec;

pub use super::auth::Access;
use super::{
    Body, Origin, Request, RequestId, Response,
    auth::{Guard, Principal},
    body::{self, BodyError, JsonError},
    crowd::Hold,
    metrics, pack,
    pattern::{Params, Pattern, segments},
    query::Query,
    reply::{self, Reply},
    serve::{self, Handler},
};
use crate::{base::limit, model::by::Way};

/// One line of a route table.
pub struct Route<S> {
    pub method: Method,
    pub pattern: Pattern,
    pub access: Access,
    /// Bytes a body may have.
    pub body_max: usize,
    handler: Boxed<S>,
}

impl<S> Route<S> {
    /// Another bound on bodies than the usual one of its access.
    pub fn body_max(self, bytes: usize) -> Self {
        Self { body_max: bytes, ..self }
    }
}

type Boxed<S> = Box<dyn Fn(Arc<S>, Call) -> BoxFuture<'static, Response> + Send + Sync>;

/// A line for any method.
pub fn route<S, F, Fut>(
    method: Method,
    pattern: &'static str,
    access: Access,
    handler: F,
) -> Route<S>
where
    F: Fn(Arc<S>, Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: Reply> + Send + 'static,
{
    let handler: Boxed<S> = Box::new(move |state, call| {
        let id = call.request_id();
        let answer = handler(state, call);
        Box::pin(async move { answer.await.reply(id) })
    });
    let body_max = match access {
        Access::Open => limit::OPEN_BODY_BYTES_MAX,
        Access::Read | Access::Write | Access::Admin => limit::USUAL_BODY_BYTES_MAX,
    };
    Route { method, pattern: Pattern::new(pattern), access, body_max, handler }
}

macro_rules! by_method {
    ($($(#[$doc:meta])* $name:ident => $method:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name<S, F, Fut>(pattern: &'static str, access: Access, handler: F) -> Route<S>
        where
            F: Fn(Arc<S>, Call) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: Reply> + Send + 'static,
        {
            route(Method::$method, pattern, access, handler)
        }
    )*};
}

by_method! {
    /// A line for GET; HEAD is answered by it too.
    get => GET;
    /// A line for POST.
    post => POST;
    /// A line for PUT.
    put => PUT;
    /// A line for PATCH.
    patch => PATCH;
    /// A line for DELETE.
    delete => DELETE;
}

/// How a table treats slashes that name no segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slashes {
    /// `/a//b/` is `/a/b`.
    Ignore,
    /// `/a//b` and `/a/b/` are other paths than `/a/b`, and unknown.
    Strict,
}

/// Why no handler was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// No pattern matches.
    Path,
    /// Some pattern matches, but not with this method; these would.
    Method(Vec<Method>),
}

impl Miss {
    /// 404 or 405 (with `Allow`) in plain text, the default of a table.
    pub fn plain(&self, _: &Parts) -> Response {
        match self {
            Self::Path => reply::text(StatusCode::NOT_FOUND, "404 Not Found\n"),
            Self::Method(_) => self.with_allow(reply::text(
                StatusCode::METHOD_NOT_ALLOWED,
                "405 Method Not Allowed\n",
            )),
        }
    }

    /// `response` with the `Allow` header where one belongs.
    pub fn with_allow(&self, response: Response) -> Response {
        match self {
            Self::Path => response,
            Self::Method(methods) => {
                let list: Vec<_> = methods.iter().map(Method::as_str).collect();
                reply::with_header(response, header::ALLOW, &list.join(", "))
            }
        }
    }
}

/// 403 in plain text, the default of a table.
fn plainly_denied(_: &Parts) -> Response {
    reply::text(StatusCode::FORBIDDEN, "403 Forbidden\n")
}

/// A route table over a state type.
pub struct Table<S> {
    state: Arc<S>,
    routes: Vec<Route<S>>, // most specific first
    slashes: Slashes,
    miss: fn(&Miss, &Parts) -> Response,
    denied: fn(&Parts) -> Response,
    guard: Option<Arc<dyn Guard>>,
    packs: bool,
}

impl<S: Send + Sync + 'static> Table<S> {
    /// A table that ignores superfluous slashes and answers misses in plain text.
    pub fn new(state: Arc<S>, mut routes: Vec<Route<S>>) -> Self {
        routes.sort_by(|a, b| a.pattern.by_specificity(&b.pattern));
        let (slashes, miss) = (Slashes::Ignore, Miss::plain);
        Self { state, routes, slashes, miss, denied: plainly_denied, guard: None, packs: false }
    }

    /// Other slash rules.
    pub fn slashes(self, slashes: Slashes) -> Self {
        Self { slashes, ..self }
    }

    /// The dialect's own 404 and 405.
    pub fn on_miss(self, miss: fn(&Miss, &Parts) -> Response) -> Self {
        Self { miss, ..self }
    }

    /// The dialect's own 403, for callers who are known and may not do this.
    pub fn on_denied(self, denied: fn(&Parts) -> Response) -> Self {
        Self { denied, ..self }
    }

    /// Who checks callers that nobody checked before. Without a guard such callers reach `Open`
    /// routes only.
    pub fn guard(self, guard: Arc<dyn Guard>) -> Self {
        Self { guard: Some(guard), ..self }
    }

    /// Packs its answers for clients that take that.
    pub fn packed(self) -> Self {
        Self { packs: true, ..self }
    }

    /// Every line: method, pattern, access.
    pub fn list(&self) -> impl Iterator<Item = (&Method, &'static str, Access)> {
        self.routes.iter().map(|r| (&r.method, r.pattern.as_str(), r.access))
    }

    /// The line for a request, with the captured values.
    pub fn find(&self, method: &Method, path: &str) -> Result<(&Route<S>, Params), Miss> {
        let odd = path.contains("//") || (path.len() > 1 && path.ends_with('/'));
        if self.slashes == Slashes::Strict && odd {
            return Err(Miss::Path);
        }
        let path: SmallVec<[&str; 12]> = segments(path).collect();
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let mut allowed = Vec::new();
        let mut of = "";
        for route in &self.routes {
            if !allowed.is_empty() && route.pattern.as_str() != of {
                continue; // a less specific pattern does not lend its methods
            }
            let Some(params) = route.pattern.matches(&path) else { continue };
            if route.method == *wanted || route.method == *method {
                return Ok((route, params));
            }
            of = route.pattern.as_str();
            allowed.push(route.method.clone());
        }
        Err(if allowed.is_empty() { Miss::Path } else { Miss::Method(allowed) })
    }

    /// Answers one request.
    #[allow(clippy::result_large_err)] // a refusal is moved once
    pub async fn answer(&self, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let (route, params) = match self.find(&parts.method, parts.uri.path()) {
            Ok(found) => found,
            Err(miss) => return (self.miss)(&miss, &parts),
        };
        serve::note_route(route.pattern.as_str());
        let principal = match parts.extensions.remove::<Principal>() {
            Some(principal) => principal,
            None if route.access == Access::Open => Principal::anonymous(),
            None => match self.guard.as_ref().map(|guard| guard.admit(&parts, route.access)) {
                Some(Ok(principal)) => principal,
                Some(Err(refusal)) => return refusal,
                None => return reply::text(StatusCode::UNAUTHORIZED, "401 Unauthorized\n"),
            },
        };
        if !principal.rights().reach(route.access) {
            let (uid, path) = (principal.uid(), parts.uri.path());
            tracing::debug!(uid, path, access = ?route.access, "not allowed");
            return (self.denied)(&parts);
        }
        let principal = principal.came(way(&parts, &route.pattern), peer(&parts));
        let (body_max, n_read, hold) = (route.body_max, 0, None);
        let call = Call { parts, body, params, principal, body_max, n_read, hold };
        let id = call.request_id();
        let takes = self.packs.then(|| pack::is_taken(&call.parts.headers));
        let answer = AssertUnwindSafe((route.handler)(self.state.clone(), call));
        let answer = answer.catch_unwind().await.unwrap_or_else(|_| {
            metrics::panicked(id, Some(route.pattern.as_str()));
            let text = format!("500 Internal Server Error (request {id})\n");
            reply::text(StatusCode::INTERNAL_SERVER_ERROR, text)
        });
        match takes {
            Some(is_taken) => pack::packed(answer, is_taken).await,
            None => answer,
        }
    }
}

/// What a request was made with, as far as it tells: browsers name the page that asked, our command
/// line itself.
fn way(request: &Parts, pattern: &Pattern) -> Way {
    const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let headers = &request.headers;
    let is_browser = headers.contains_key(header::ORIGIN) || headers.contains_key(FETCH_SITE);
    let agent = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes);
    match pattern.as_str() {
        _ if is_browser => Way::Page,
        _ if agent.is_some_and(|agent| agent.starts_with(b"tepui/")) => Way::Cli,
        path if path.starts_with("/tepui/") => Way::Api,
        path if path.starts_with("/v2/") => Way::Marathon,
        path if path.starts_with("/acs/") || path.starts_with("/system/") => Way::Dcos,
        _ => Way::Mesos,
    }
}

fn peer(request: &Parts) -> Option<IpAddr> {
    request.extensions.get::<Origin>().map(|origin| origin.peer.ip())
}

impl<S: Send + Sync + 'static> Handler for Table<S> {
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.answer(request))
    }
}

/// One request on its way into a handler.
#[derive(Debug)]
pub struct Call {
    pub parts: Parts,
    pub body: Body,
    pub principal: Principal,
    params: Params,
    body_max: usize,
    n_read: usize,
    hold: Option<Hold>,
}

impl Call {
    /// A captured value; empty when the pattern has no such name.
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
    }

    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The path as sent, still percent-encoded.
    pub fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The decoded query.
    pub fn query(&self) -> Query {
        self.parts.uri.query().map(Query::parse).unwrap_or_default()
    }

    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// A header as text.
    pub fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.parts.headers.get(name.into()).and_then(|value| value.to_str().ok())
    }

    /// Whether `Accept` names this media type literally (not by `*/*`).
    pub fn accepts(&self, media_type: &str) -> bool {
        let values = self.parts.headers.get_all(header::ACCEPT).iter();
        values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')).any(
            |item| {
                item.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case(media_type))
            },
        )
    }

    /// Where the request came from; `None` for one made in memory.
    pub fn origin(&self) -> Option<&Origin> {
        self.parts.extensions.get()
    }

    /// The id for answers and log lines.
    pub fn request_id(&self) -> RequestId {
        self.origin().map(|origin| origin.id).unwrap_or_default()
    }

    /// The whole body, at most what the route takes. A second call gets nothing.
    pub async fn bytes(&mut self) -> Result<Bytes, BodyError> {
        self.hold = self.origin().and_then(|origin| origin.seat.as_ref()).map(|seat| seat.hold());
        let body = std::mem::take(&mut self.body);
        let bytes = body::read_on_account(body, self.body_max, self.hold.as_mut()).await?;
        self.n_read = bytes.len();
        Ok(bytes)
    }

    /// Bytes of the body that was read: how much work the request may be.
    pub fn n_read(&self) -> usize {
        self.n_read
    }

    /// The whole body as JSON.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, JsonError> {
        body::parse_json(&self.bytes().await?)
    }
}

#[cfg(test)]
mod tests;
