//! The front door: checks the token, finds the rule, and hands the request to a part of this
//! process or to a service of the cluster.
//!
//! The token is checked before anything else is looked up, so that a stranger learns from no
//! answer which services or nodes exist. Services see the caller's token (many check it), but not
//! the cookies of our own pages.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{
    HeaderMap, HeaderValue, StatusCode, Uri, header,
    uri::{InvalidUri, PathAndQuery},
};

use super::{
    challenge,
    cluster::Facts,
    iam::{self, INFO_COOKIE},
    names, rules,
    rules::{Part, Pass, Then},
    service::{self, Service, Services, absolute, search},
    system,
};
use crate::{
    base::{clock::Clock, rng::Rng},
    control::cluster::Cluster,
    http::{
        Handler, Origin, Request, Response,
        auth::{
            self, AUTH_COOKIE, Asked, Lease, Memo, Passwords, Principal, Rights, TokenGuard, Tokens,
        },
        error::ApiError,
        meter::{Meter, Meters},
        proxy::{Proxy, Target, Upstream},
        reply::{self, Reply as _},
        road::{self, Guide, Way},
        route::Table,
        serve,
        stream::leased,
    },
    model::NodeId,
};

/// What the paths of services begin with.
const SERVICES: &str = "/service/";
/// Rewrites of one request; the table has no chain longer than one.
const REWRITES_MAX: usize = 4;

/// What log lines say of a request to a service.
const SERVICE_ROUTE: &str = "/service/{name...}";

/// What the front door is made of.
pub struct GatewayParts {
    pub cluster: Arc<dyn Cluster>,
    pub facts: Facts,
    pub tokens: Arc<Tokens>,
    pub passwords: Arc<Passwords>,
    pub clock: Arc<dyn Clock>,
    pub rng: Rng,
    pub proxy: Arc<Proxy>,
    /// Counts what is sent to services.
    pub meters: Arc<Meters>,
    /// Off: everybody may do everything, for closed networks.
    pub checks_tokens: bool,
    pub mounts: Mounts,
}

/// Parts of this process mounted into the front door. What is not there is a 404.
#[derive(Default, Clone)]
pub struct Mounts {
    /// `/`: pages and their files.
    pub ui: Option<Arc<dyn Handler>>,
    /// `/tepui/v1/…`, path unchanged; checks callers itself.
    pub api: Option<Arc<dyn Handler>>,
    /// `/service/marathon/…`: sees `/v2/apps`, `/ping`, …
    pub marathon: Option<Arc<dyn Handler>>,
    /// `/service/metronome/…`: sees `/v1/jobs`, …
    pub metronome: Option<Arc<dyn Handler>>,
    /// `/mesos/…`: sees `/state-summary`, `/master/state`, …
    pub mesos: Option<Arc<dyn Handler>>,
    /// `/agent/<id>/…` and `/slave/<id>/…` of a known node: sees `/agent/<id>/…`.
    pub agent: Option<Arc<dyn Handler>>,
    /// `/package/…`, `/capabilities`, `/service/…` of the catalog.
    pub cosmos: Option<Arc<dyn Handler>>,
}

/// The front door.
pub struct Gateway {
    cluster: Arc<dyn Cluster>,
    guard: TokenGuard,
    checks_tokens: bool,
    proxy: Arc<Proxy>,
    services: Services,
    mounts: Mounts,
    iam: Table<iam::Iam>,
    system: Table<system::System>,
    names: Table<names::Names>,
}

impl Gateway {
    /// Puts the parts together.
    pub fn new(parts: GatewayParts) -> Self {
        let GatewayParts { cluster, facts, tokens, passwords, clock, rng, proxy, meters, .. } =
            parts;
        let (checks_tokens, mounts) = (parts.checks_tokens, parts.mounts);
        let iam = iam::table(iam::Iam {
            cluster: cluster.clone(),
            tokens: tokens.clone(),
            passwords,
            clock: clock.clone(),
            rng: parking_lot::Mutex::new(rng),
        });
        let system = system::table(system::System {
            cluster: cluster.clone(),
            facts,
            clock: clock.clone(),
            checks_tokens,
        });
        let guard = TokenGuard::new(tokens, clock, challenge::refuse);
        let services = Services::new(meters);
        let names = names::table(names::Names { cluster: cluster.clone() });
        Self { cluster, guard, checks_tokens, proxy, services, mounts, iam, system, names }
    }

    async fn answer(&self, mut request: Request) -> Response {
        for _ in 0..REWRITES_MAX {
            let path = one_slash(request.uri().path());
            let Some(rule) = rules::find(path) else { return bad_path() };
            if let Some(redirect) = slash_redirect(path, request.uri().query()) {
                return redirect;
            }
            if let Err(refusal) = self.admit(&mut request, rule.pass) {
                return refusal;
            }
            match rule.then {
                Then::Redirect(status, to) => return moved(status, to, request.uri().query()),
                Then::Service => return self.service(request).await,
                Then::Agent => return self.agent(request).await,
                Then::Part { part, strip } => return self.part(request, part, strip).await,
                Then::Rewrite(from, to) => {
                    let path = one_slash(request.uri().path());
                    let path = path.strip_prefix(from).map(|rest| format!("{to}{rest}"));
                    if path.is_none_or(|path| set_path(&mut request, &path).is_err()) {
                        return bad_path();
                    }
                }
            }
        }
        bad_path()
    }

    /// Checks the caller; a checked one is noted in the request.
    #[allow(clippy::result_large_err)] // a refusal is moved once
    fn admit(&self, request: &mut Request, pass: Pass) -> Result<(), Response> {
        if pass == Pass::Open || request.extensions().get::<Principal>().is_some() {
            return Ok(());
        }
        if !self.checks_tokens {
            if let Some(origin) = request.extensions().get::<Origin>() {
                origin.vouch();
            }
            request.extensions_mut().insert(Principal::anonymous().with(Rights::All));
            return Ok(());
        }
        match self.guard.caller(Asked::from(&*request)) {
            Ok(caller) => {
                caller.note(request);
                Ok(())
            }
            // The part's own guard says no in its own words, where it has to.
            Err(_) if pass == Pass::Own => Ok(()),
            Err(refusal) => Err(self.guard.refuse(refusal, Asked::from(&*request))),
        }
    }

    async fn part(&self, mut request: Request, part: Part, strip: &str) -> Response {
        let mounts = &self.mounts;
        let handler: Option<&dyn Handler> = match part {
            Part::Iam => Some(&self.iam),
            Part::System => Some(&self.system),
            Part::MesosDns => Some(&self.names),
            Part::Ui => mounts.ui.as_deref(),
            Part::Api => mounts.api.as_deref(),
            Part::Mesos => mounts.mesos.as_deref(),
            // Without a catalog the platform says which capabilities there are: none.
            Part::Cosmos => Some(mounts.cosmos.as_deref().unwrap_or(&self.system)),
        };
        let Some(handler) = handler else { return not_found("404 Not Found\n") };
        if !strip.is_empty() {
            let path = one_slash(request.uri().path());
            let rest = absolute(path.strip_prefix(strip).unwrap_or(path));
            if set_path(&mut request, &rest).is_err() {
                return bad_path();
            }
        }
        own(request, |request| handler.call(request)).await
    }

    /// Passes a request on to the service its path names.
    async fn service(&self, mut request: Request) -> Response {
        let state = self.cluster.state();
        let path = one_slash(request.uri().path());
        let after = path.strip_prefix(SERVICES).unwrap_or_default();
        let found = search(after, |name| match name {
            "marathon" => self.mounts.marathon.clone().map(Goal::Part),
            "metronome" => self.mounts.metronome.clone().map(Goal::Part),
            name => self.services.lookup(&state, name, |service| {
                Goal::Service(service.upstreams(), service.strips_prefix, service.meter())
            }),
        });
        let Some((goal, name, rest)) = found else {
            return not_found("404 Not Found: service not found.");
        };
        let rest = absolute(rest);
        match goal {
            Goal::Part(handler) => {
                if set_path(&mut request, &rest).is_err() {
                    return bad_path();
                }
                own(request, |request| handler.call(request)).await
            }
            Goal::Service((upstream, spare), strips_prefix, meter) => {
                let path = if strips_prefix { &rest } else { request.uri().path() };
                let Ok(path) = with_query(path, request.uri().query()) else {
                    return bad_path();
                };
                serve::note_route(SERVICE_ROUTE);
                hand_over_token(request.headers_mut());
                let prefix = Some(format!("/service/{name}").into());
                let (path, meter) = (Some(path), Some(meter));
                let target = Target { upstream, spare, path, prefix, meter };
                self.proxy.forward(request, &target).await
            }
        }
    }

    /// An agent's own API. Agents are not dialled: the mounted part reaches them over their link.
    async fn agent(&self, mut request: Request) -> Response {
        let path = one_slash(request.uri().path());
        let rest = path.strip_prefix("/agent/").or_else(|| path.strip_prefix("/slave/"));
        let rest = rest.unwrap_or_default().trim_start_matches('/');
        let (id, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !self.cluster.state().nodes.contains_key(&NodeId::from(id)) {
            return not_found(format!("404 Not Found: agent `{id}` unknown."));
        }
        let Some(handler) = &self.mounts.agent else { return not_found("404 Not Found\n") };
        let path = format!("/agent/{id}{}", absolute(after));
        if set_path(&mut request, &path).is_err() {
            return bad_path();
        }
        own(request, |request| handler.call(request)).await
    }
}

impl Handler for Gateway {
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.answer(request))
    }

    fn guide(&self) -> Option<&dyn Guide> {
        Some(self)
    }
}

impl Guide for Gateway {
    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// A good token in a header and a service under its plain name; nothing else is in a hurry.
    fn way(&self, asked: &road::Asked<'_>, memo: &mut Memo) -> Option<Way> {
        if self.checks_tokens && !self.guard.knows(asked.authorization?, memo) {
            return None;
        }
        let n_path = asked.target.bytes().position(|byte| byte == b'?');
        let path = n_path.map_or(asked.target, |n| &asked.target[..n]);
        let after = path.strip_prefix(SERVICES)?;
        let state = self.cluster.state();
        let (name, (upstream, spare), strips_prefix, meter) =
            plain_names(after).find_map(|name| {
                let found = |service: &Service| {
                    (name, service.upstreams(), service.strips_prefix, service.meter())
                };
                self.services.lookup(&state, name, found)
            })?;
        let n_prefix = SERVICES.len() + name.len();
        // `//` is made one slash on the way: not here.
        if path[n_prefix..].starts_with("//") {
            return None;
        }
        let n_cut = if strips_prefix { n_prefix } else { 0 };
        Some(Way { upstream, spare, n_cut, n_prefix, meter: Some(meter) })
    }

    fn pattern(&self) -> &'static str {
        SERVICE_ROUTE
    }
}

/// What may be a service's name in front of `path`, from short to long; none past a slash too many
/// or the name of a part of this process.
fn plain_names(path: &str) -> impl Iterator<Item = &str> {
    let slashes = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/');
    let names = slashes.map(|(at, _)| &path[..at]).take(service::SEGMENTS_MAX);
    names.take_while(|name| {
        let is_part = matches!(*name, "marathon" | "metronome");
        !name.is_empty() && !name.ends_with('/') && !is_part
    })
}

/// Where a service name leads.
enum Goal {
    Part(Arc<dyn Handler>),
    Service((Upstream, Option<Upstream>), bool, Arc<Meter>),
}

/// Answers a request by a part of this process: with a record of what may have changed something,
/// and no longer than the caller may look.
async fn own<'a>(
    request: Request,
    answer: impl FnOnce(Request) -> BoxFuture<'a, Response>,
) -> Response {
    if let Some(refusal) = untyped(&request) {
        return refusal;
    }
    let lease = request.extensions().get::<Lease>().cloned();
    leased(audited(request, answer).await, lease)
}

/// Answers a request and leaves a record of it when it may have changed something: who, what, from
/// where, and how it ended. What is sent to services is theirs to record.
pub async fn audited<'a>(
    request: Request,
    answer: impl FnOnce(Request) -> BoxFuture<'a, Response>,
) -> Response {
    if request.method().is_safe() {
        return answer(request).await;
    }
    let extensions = request.extensions();
    let principal = extensions.get::<Principal>().cloned().unwrap_or_else(Principal::anonymous);
    let peer = extensions.get::<Origin>().map(|origin| origin.peer);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = answer(request).await;
    let status = response.status().as_u16();
    let (uid, peer) = (principal.uid(), tracing::field::debug(peer));
    tracing::info!(target: "audit", uid, %method, path, status, peer, "write");
    response
}

/// `path` with one slash in front instead of several.
fn one_slash(path: &str) -> &str {
    let n_slashes = path.len() - path.trim_start_matches('/').len();
    &path[n_slashes.saturating_sub(1)..]
}

/// `/service/a` goes to `/service/a/`, token or not, so that relative links of the page work.
fn slash_redirect(path: &str, query: Option<&str>) -> Option<Response> {
    let name = path.strip_prefix(SERVICES)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    (!name.is_empty() && name.chars().all(is_name)).then(|| moved(301, &format!("{path}/"), query))
}

fn moved(status: u16, to: &str, query: Option<&str>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    reply::redirect(status, &format!("{to}{query}"))
}

fn with_query(path: &str, query: Option<&str>) -> Result<PathAndQuery, InvalidUri> {
    match query {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    }
}

/// Another path for the same request; the query stays.
fn set_path(request: &mut Request, path: &str) -> Result<(), InvalidUri> {
    let path = with_query(path, request.uri().query())?;
    *request.uri_mut() = Uri::from(path);
    Ok(())
}

/// Takes our own cookies out; a token that came in one goes on as a header.
fn hand_over_token(headers: &mut HeaderMap) {
    if !headers.contains_key(header::COOKIE) {
        return;
    }
    let token = auth::cookie_token(headers).map(|token| format!("token={token}"));
    if let Some(token) = token
        && let Ok(token) = HeaderValue::from_str(&token)
    {
        headers.insert(header::AUTHORIZATION, token);
    }
    let is_others = |pair: &&str| {
        let name = pair.trim().split('=').next().unwrap_or_default();
        name != AUTH_COOKIE && name != INFO_COOKIE
    };
    let kept: Vec<_> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';').filter(is_others).map(str::trim))
        .filter(|pair| !pair.is_empty())
        .collect();
    let kept = HeaderValue::from_str(&kept.join("; ")).ok().filter(|value| !value.is_empty());
    headers.remove(header::COOKIE);
    if let Some(kept) = kept {
        headers.insert(header::COOKIE, kept);
    }
}

/// 415 for a body whose type nobody told, where a browser may have been made to send it.
fn untyped(request: &Request) -> Option<Response> {
    let id = request.extensions().get::<Origin>().map(|origin| origin.id).unwrap_or_default();
    let text = "a body needs a Content-Type where a cookie says who is calling";
    (!auth::typed(request)).then(|| {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        ApiError::new(status, "no_content_type", text).reply(id)
    })
}

fn not_found(text: impl Into<bytes::Bytes>) -> Response {
    reply::text(StatusCode::NOT_FOUND, text)
}

fn bad_path() -> Response {
    reply::text(StatusCode::BAD_REQUEST, "400 Bad Request: the path makes no sense\n")
}

#[cfg(test)]
mod tests;
