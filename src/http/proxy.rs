//! Reverse proxy: passes one request on to an upstream and streams the answer back.
//!
//! ```text
//!  client ── hyper server ── forward ── Conn (pooled) ── upstream
//!              └────────── one task per client ──────────┘
//! ```
//! Nothing is buffered: bodies, server-sent events and chunks flow both ways as they come. An
//! upgrade (websocket) turns both connections into a tunnel. A request is sent again, once and on a
//! new connection, only where that is safe: nothing of it was written, or it is idempotent, has no
//! body, and a *reused* connection closed before an answer (the keep-alive race) or another instance
//! can answer instead.
//!
//! What is frequent takes the short road beside this one (`road`), with the same rules.
//!
//! Answers of our own: 502 when the upstream cannot be reached or breaks off, 504 when it is slow.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version, header,
    uri::{PathAndQuery, Scheme},
};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Instant;

pub use super::upstream::{ConnectError, Upstream};
use super::{
    Body, Origin, Request, Response,
    auth::Lease,
    meter::Meter,
    metrics,
    pool::{Conn, Pool},
    relay::Relay,
    reply, road,
    stream::leased,
    tries::Tries,
    tunnel::Tunnel,
    upstream::Failure,
};
use crate::base::{limit, task::Tasks};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Media type of answers that go on for ever.
pub(super) const EVENT_STREAM: &[u8] = b"text/event-stream";

/// Where a request goes and what is changed on the way.
#[derive(Debug, Clone)]
pub struct Target {
    pub upstream: Upstream,
    /// Tried once when `upstream` accepts no connection: nothing was sent yet, so any request may
    /// go there. This is what hides an instance that has just gone.
    pub spare: Option<Upstream>,
    /// Path and query to ask for; `None` leaves the client's.
    pub path: Option<PathAndQuery>,
    /// What the client knows the upstream under (`/service/web`): put in front of the path of a
    /// `Location` that points back to the upstream or to ourselves.
    pub prefix: Option<Arc<str>>,
    /// Counts the answer and the time to it.
    pub meter: Option<Arc<Meter>>,
}

impl Target {
    /// `upstream`, with nothing changed.
    pub fn plain(upstream: Upstream) -> Self {
        Self { upstream, spare: None, path: None, prefix: None, meter: None }
    }
}

/// What a proxy has done so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests that went by the long road.
    pub long: AtomicU64,
    /// Requests that went by the short road.
    pub short: AtomicU64,
    pub connects: AtomicU64,
    pub retries: AtomicU64,
    pub failures: AtomicU64,
    pub tunnels: AtomicU64,
}

/// A reverse proxy with its pool of connections. Share it: the pool is the point.
pub struct Proxy {
    pool: Arc<Pool>,
    /// Connections of the short road: other values, the same bounds.
    pub(super) lines: Arc<road::Lines>,
    tasks: Tasks,
    counters: Counters,
}

/// A failed attempt, with the request where it can be sent again.
struct Attempt {
    failure: Failure,
    again: Option<http::Request<Body>>,
}

impl Proxy {
    /// A proxy whose tunnels and housekeeping run in `tasks`.
    pub fn new(tasks: &Tasks) -> Arc<Self> {
        Self::with_silence(tasks, limit::UPSTREAM_IDLE)
    }

    /// As `new`, with another bound on how long an upstream may stay silent.
    pub fn with_silence(tasks: &Tasks, silence_max: Duration) -> Arc<Self> {
        let pool = Pool::new(tasks, silence_max);
        let lines = road::Lines::new(tasks, silence_max);
        let (tasks, counters) = (tasks.child("proxy"), Counters::default());
        Arc::new(Self { pool, lines, tasks, counters })
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Idle upstream connections kept now.
    pub fn n_idle(&self) -> usize {
        self.pool.n_idle() + self.lines.n_idle()
    }

    /// Passes `request` on and answers with the upstream's head and a streaming body.
    pub async fn forward(&self, mut request: Request, to: &Target) -> Response {
        count(&self.counters.long);
        let tunnel = Tunnel::asked_for(&mut request);
        let host = prepare(&mut request, to, tunnel.is_some());
        let lease = request.extensions_mut().remove::<Lease>();
        let is_https = request.extensions().get().is_some_and(|origin: &Origin| origin.tls);
        let began = Instant::now();
        let exchanged = self.exchange(request, to).await;
        let took = began.elapsed();
        metrics::UPSTREAM.observe((), took);
        let response = match exchanged {
            Ok((response, conn)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                self.switch(response, conn, tunnel, lease).await
            }
            Ok((response, conn)) => {
                let upstream = conn.to;
                let mut response = self.relay(response, conn).await;
                drop_hop_by_hop(response.headers_mut());
                if let Some(prefix) = &to.prefix {
                    let host = host.as_ref().map(HeaderValue::as_bytes);
                    let prefix = prefix.as_bytes();
                    let here = Here { to: upstream, host, is_https, prefix };
                    rewrite_location(response.headers_mut(), &here);
                }
                let goes_on = response.headers().get(header::CONTENT_TYPE);
                let goes_on = goes_on.is_some_and(|t| t.as_bytes().starts_with(EVENT_STREAM));
                if goes_on { leased(response, lease) } else { response }
            }
            Err(failure) => self.fail(&failure, to.upstream),
        };
        if let Some(meter) = &to.meter {
            meter.answered(response.status(), took);
        }
        response
    }

    /// Sends the request until it is answered or must not be sent again.
    async fn exchange(
        &self,
        mut request: http::Request<Body>,
        to: &Target,
    ) -> Result<(http::Response<Incoming>, Box<Conn>), Failure> {
        let mut tries = Tries::new(to.upstream, to.spare);
        loop {
            let upstream = tries.upstream();
            let pooled = std::future::poll_fn(|cx| Poll::Ready(self.pool.take(upstream, cx)));
            let conn = if tries.may_reuse() { pooled.await } else { None };
            let conn = match conn {
                Some(conn) => conn,
                None => {
                    self.count_connect();
                    match self.pool.connect(upstream).await {
                        Ok(conn) => conn,
                        Err(error) if tries.refused() => {
                            self.count_retry(upstream, &error);
                            continue;
                        }
                        Err(error) => return Err(Failure::Connect(error)),
                    }
                }
            };
            let was_reused = conn.is_reused;
            match attempt(conn, request, tries.may_repeat(was_reused)).await {
                Ok(done) => return Ok(done),
                Err(Attempt { failure, again: Some(again) }) if tries.broke(was_reused) => {
                    self.count_retry(upstream, &failure);
                    request = again;
                }
                Err(Attempt { failure, .. }) => return Err(failure),
            }
        }
    }

    pub(super) fn count_connect(&self) {
        count(&self.counters.connects);
        metrics::CONNECTS.inc(());
    }

    pub(super) fn count_retry(&self, from: Upstream, failure: &(dyn std::error::Error + 'static)) {
        count(&self.counters.retries);
        metrics::retried(from, failure);
    }

    /// Counts a request that gets no answer and writes ours.
    pub(super) fn fail(&self, failure: &Failure, to: Upstream) -> Response {
        count(&self.counters.failures);
        failed(failure, to)
    }

    /// The response with its body attached to the connection it comes from.
    async fn relay(&self, response: http::Response<Incoming>, conn: Box<Conn>) -> Response {
        let (head, incoming) = response.into_parts();
        let mut relay = Relay::new(incoming, conn, self.pool.clone());
        // Most answers are complete already: then no box and no second look at the connection.
        let whole = std::future::poll_fn(|cx| Poll::Ready(relay.try_whole(cx))).await;
        Response::from_parts(head, whole.map_or_else(|| Body::stream(relay), Body::full))
    }

    /// Answers 101 and joins both sides.
    async fn switch(
        &self,
        response: http::Response<Incoming>,
        conn: Box<Conn>,
        tunnel: Option<Tunnel>,
        lease: Option<Lease>,
    ) -> Response {
        let Some(tunnel) = tunnel else {
            return switched_unasked();
        };
        count(&self.counters.tunnels);
        metrics::TUNNELS.inc(());
        let upgraded = conn.upgraded().await;
        self.tasks.connection("tunnel", async move {
            let ended = async {
                match lease {
                    Some(lease) => lease.ended().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = tunnel.run(upgraded) => {}
                () = ended => {}
            }
        });
        response.map(|_| Body::empty())
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Sends `request` over `conn` and waits for the head of the answer. `may_repeat`: it could be sent
/// again, so a copy is worth keeping.
async fn attempt(
    mut conn: Box<Conn>,
    request: http::Request<Body>,
    may_repeat: bool,
) -> Result<(http::Response<Incoming>, Box<Conn>), Attempt> {
    let spare = (may_repeat
        && request.body().is_end_stream()
        && request.method().is_idempotent()
        && !request.headers().contains_key(header::UPGRADE))
    .then(|| copy_head(&request));
    let mut answer = std::pin::pin!(conn.send.try_send_request(request));
    let outcome = std::future::poll_fn(|cx| {
        if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        conn.drive(cx);
        match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => conn.poll_silent(cx).map(|()| None),
        }
    });
    match outcome.await {
        Some(Ok(response)) => Ok((response, conn)),
        Some(Err(mut unsent)) => Err(Attempt {
            again: unsent.take_message().or(spare),
            failure: Failure::Broken(unsent.into_error().into()),
        }),
        None => Err(Attempt { failure: Failure::Silent, again: None }),
    }
}

/// The request again, for one that has no body.
fn copy_head(request: &http::Request<Body>) -> http::Request<Body> {
    let mut copy = http::Request::new(Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// Turns the client's request into the upstream's; returns the `Host` the client used.
fn prepare(request: &mut Request, to: &Target, is_upgrade: bool) -> Option<HeaderValue> {
    let origin = request.extensions_mut().remove::<Origin>();
    let authority = request.uri().authority().map(|a| HeaderValue::from_str(a.as_str()));
    let path = to.path.clone().or_else(|| {
        // HTTP/2 and absolute-form requests name scheme and host too; upstreams want the path.
        let uri = request.uri();
        uri.scheme()
            .map(|_| uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")))
    });
    if let Some(path) = path {
        *request.uri_mut() = Uri::from(path);
    }
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    let upgrade = if is_upgrade { headers.remove(header::UPGRADE) } else { None };
    drop_hop_by_hop(headers);
    headers.remove(header::EXPECT); // answered by our own server as soon as the body is read
    if let Some(upgrade) = upgrade {
        headers.insert(header::UPGRADE, upgrade);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    if let Some(Ok(authority)) = authority {
        headers.entry(header::HOST).or_insert(authority);
    }
    let host = headers.get(header::HOST).cloned();
    if let Some(host) = &host {
        headers.insert(&X_FORWARDED_HOST, host.clone());
    } else if let Ok(addr) = HeaderValue::from_str(&to.upstream.addr.to_string()) {
        headers.insert(header::HOST, addr);
    }
    if let Some(origin) = origin {
        let proto = if origin.tls { "https" } else { "http" };
        headers.insert(&X_FORWARDED_PROTO, HeaderValue::from_static(proto));
        headers.insert(&X_REAL_IP, origin.peer_text.clone());
        let chain = match headers.get(&X_FORWARDED_FOR) {
            Some(before) => {
                let list = [before.as_bytes(), b", ", origin.peer_text.as_bytes()].concat();
                HeaderValue::from_bytes(&list).unwrap_or_else(|_| origin.peer_text.clone())
            }
            None => origin.peer_text.clone(),
        };
        headers.insert(&X_FORWARDED_FOR, chain);
        request.extensions_mut().insert(origin);
    }
    host
}

/// Removes what belongs to one connection only (RFC 9110 §7.6.1).
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    if let header::Entry::Occupied(connection) = headers.entry(header::CONNECTION) {
        let (_, values) = connection.remove_entry_mult();
        for named in values.collect::<Vec<_>>() {
            for name in named.to_str().unwrap_or_default().split(',').map(str::trim) {
                let is_usual = ["keep-alive", "close", "upgrade", ""]
                    .iter()
                    .any(|usual| usual.eq_ignore_ascii_case(name));
                if !is_usual {
                    headers.remove(name);
                }
            }
        }
    }
    for name in [
        &header::PROXY_AUTHORIZATION,
        &header::PROXY_AUTHENTICATE,
        &header::TRANSFER_ENCODING,
        &header::TE,
        &header::TRAILER,
        &header::UPGRADE,
        &HTTP2_SETTINGS,
        &KEEP_ALIVE,
        &PROXY_CONNECTION,
    ] {
        headers.remove(name);
    }
}

/// What a `Location` is compared with.
pub(super) struct Here<'a> {
    pub to: Upstream,
    pub host: Option<&'a [u8]>,
    pub is_https: bool,
    /// Of ASCII.
    pub prefix: &'a [u8],
}

fn rewrite_location(headers: &mut HeaderMap, here: &Here<'_>) {
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let rewritten = location.and_then(|location| rewritten(location, here));
    if let Some(Ok(value)) = rewritten.map(HeaderValue::try_from) {
        headers.insert(header::LOCATION, value);
    }
}

/// Puts the prefix in front of a redirect that stays with the upstream: a bare path, or a URL with
/// the scheme we speak to it and the host the client used or the upstream's own address. `None`
/// leaves it as it is.
pub(super) fn rewritten(location: &str, here: &Here<'_>) -> Option<String> {
    let path = own_path(location, here)?;
    let prefix = std::str::from_utf8(here.prefix).ok()?;
    let is_prefixed = path
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
    Some(if is_prefixed { path.to_owned() } else { format!("{prefix}{path}") })
}

/// The path (with query) of a `Location` that points to the upstream as the client sees it.
fn own_path<'a>(location: &'a str, here: &Here<'_>) -> Option<&'a str> {
    if location.starts_with('/') {
        return (!location.starts_with("//")).then_some(location);
    }
    let (scheme, rest) = location.split_once("://")?;
    let ours =
        [here.to.tls, here.is_https].map(|tls| if tls { Scheme::HTTPS } else { Scheme::HTTP });
    if !ours.iter().any(|s| s.as_str().eq_ignore_ascii_case(scheme)) {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_host = here.host.is_some_and(|host| host == authority.as_bytes());
    let is_upstream = authority.parse() == Ok(here.to.addr)
        || (here.to.addr.port() == if here.to.tls { 443 } else { 80 }
            && authority.parse() == Ok(here.to.addr.ip()));
    (is_host || is_upstream).then_some(if path.is_empty() { "/" } else { path })
}

/// The answer to an upgrade nobody asked for.
pub(super) fn switched_unasked() -> Response {
    let text = "502 Bad Gateway: the service switched protocols unasked\n";
    reply::text(StatusCode::BAD_GATEWAY, text)
}

/// 502 or 504, in words for people; the address stays in the log.
fn failed(failure: &Failure, to: Upstream) -> Response {
    metrics::failed(to, failure);
    let (status, text) = match failure {
        Failure::Connect(ConnectError::Slow) => {
            (StatusCode::GATEWAY_TIMEOUT, "504 Gateway Timeout: the service cannot be reached\n")
        }
        Failure::Connect(ConnectError::Refused(_)) => {
            (StatusCode::BAD_GATEWAY, "502 Bad Gateway: the service accepts no connection\n")
        }
        Failure::Broken(_) => {
            (StatusCode::BAD_GATEWAY, "502 Bad Gateway: the service broke off its answer\n")
        }
        Failure::Silent => {
            (StatusCode::GATEWAY_TIMEOUT, "504 Gateway Timeout: the service does not answer\n")
        }
    };
    reply::text(status, text)
}

#[cfg(test)]
mod tests;
