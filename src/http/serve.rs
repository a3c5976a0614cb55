//! Listeners and the connections they accept: HTTP/1.1 and HTTP/2, plain or TLS, upgrades.
//!
//! Life: `Listener::bind` claims the port early, so that a taken one shows before work starts;
//! `serve` answers with a handler; `Server::drain` stops accepting, lets open requests finish, and
//! closes idle connections. Cancelling the task group drops what is left.
//!
//! Listeners of one `Crowd` share bounds by peer, see there. A listener's own bounds: connections at
//! a time (the permit comes before the accept, so more wait in the kernel), TLS handshakes at a time,
//! size of a request head (431), time for a TLS handshake and a head, time a peer may leave our
//! bytes unread. Bodies are bounded by whoever reads them (`body::read`).

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderValue, StatusCode};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    Body, Origin, Request, RequestId, Response,
    body::BodyError,
    crowd::{Crowd, Seat},
    head,
    io::{Guarded, Transport},
    metrics::{self, Door, Why},
    reply::{self, Reply as _},
    road::{self, Doorway, Guide},
};
use crate::base::{
    limit,
    oncall::OnCall,
    pace::{Purse, paced},
    rng::Rng,
    task::Tasks,
};

/// Requests one HTTP/2 connection may have open: what RFC 9113 §6.5.2 asks for at least.
const STREAMS_PER_CONNECTION_MAX: u32 = 100;
/// What one HTTP/2 connection may send before anybody reads it.
#[allow(clippy::cast_possible_truncation)] // 256 KiB
const WINDOW_BYTES: u32 = limit::CONNECTION_BYTES_MAX as u32;
/// How often a quiet HTTP/2 peer is asked whether it is still there.
const H2_PING_EVERY: Duration = Duration::from_secs(20);
/// TLS handshakes of one listener at a time: each costs a signature before anybody is known.
const HANDSHAKES_MAX: usize = 256;
/// How long a handshake may take once it has begun.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// First byte of every TLS connection (RFC 8446 §5.1: a handshake record).
const TLS_HANDSHAKE: u8 = 0x16;
/// What a client is told that speaks plain HTTP to a port with TLS.
const SPEAKS_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 71\r\nConnection: close\r\n\r\n\
    400 Bad Request: this port speaks HTTPS; ask again with https:// there\n";
/// Connections that may wait to be accepted; the kernel takes no more than it is set to.
const BACKLOG: i32 = 4096;
/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Anything that answers requests. Closures `Fn(Request) -> impl Future<Output = Response>` do.
pub trait Handler: Send + Sync + 'static {
    fn call(&self, request: Request) -> BoxFuture<'_, Response>;

    /// Who knows the way of plain requests, so that they need not come to `call`.
    fn guide(&self) -> Option<&dyn Guide> {
        None
    }
}

impl<F, Fut> Handler for F
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self(request))
    }
}

/// The bounds of one listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub connections_max: usize,
    pub head_bytes_max: usize,
    /// For a handshake, a request head, and the wait for the next request.
    pub read: Duration,
    /// How long the peer may take none of our bytes.
    pub write_stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: limit::CONNECTIONS_MAX,
            head_bytes_max: limit::HEAD_BYTES_MAX,
            read: limit::CLIENT_READ,
            write_stall: limit::CLIENT_READ * 2,
        }
    }
}

/// Why a port could not be claimed.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}")]
pub struct BindError {
    pub addr: SocketAddr,
    #[source]
    pub source: io::Error,
}

/// A claimed port, not yet serving.
pub struct Listener {
    tcp: TcpListener,
    addr: SocketAddr,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    crowd: Option<Arc<Crowd>>,
    door: Door,
}

impl Listener {
    /// Claims `addr`; port 0 takes any free one.
    pub fn bind(addr: SocketAddr) -> Result<Self, BindError> {
        let listen = || {
            let std = listen_on(addr)?;
            std.set_nonblocking(true)?;
            let local = std.local_addr()?;
            Ok((TcpListener::from_std(std)?, local))
        };
        let (tcp, local) = listen().map_err(|source| BindError { addr, source })?;
        let (limits, door) = (Limits::default(), Door::default());
        Ok(Self { tcp, addr: local, tls: None, limits, crowd: None, door })
    }

    /// Counts what it does under another name than "other".
    pub fn named(self, door: Door) -> Self {
        Self { door, ..self }
    }

    /// Speaks TLS; the configuration's ALPN list is used as it is (`h2`, `http/1.1`).
    pub fn with_tls(self, config: Arc<rustls::ServerConfig>) -> Self {
        Self { tls: Some(config.into()), ..self }
    }

    /// Other bounds than the default ones.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Counts its connections in with those of other listeners.
    pub fn in_crowd(self, crowd: Arc<Crowd>) -> Self {
        Self { crowd: Some(crowd), ..self }
    }

    /// The address with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Starts answering. The accept loop is vital to `tasks`.
    pub fn serve(self, handler: Arc<dyn Handler>, tasks: &Tasks) -> Server {
        let shared = Arc::new(Shared {
            handler,
            tasks: tasks.child("connections"),
            tls: self.tls,
            limits: self.limits,
            crowd: self.crowd,
            door: self.door,
            drain: CancellationToken::new(),
            slots: Arc::new(Semaphore::new(self.limits.connections_max)),
            handshakes: Semaphore::new(HANDSHAKES_MAX),
            n_open: AtomicUsize::new(0),
            next_id: AtomicU64::new(Rng::from_os().below(u64::MAX)),
        });
        let loop_shared = shared.clone();
        let cancelled = tasks.cancelled();
        tasks.vital("accept", async move {
            let drain = loop_shared.drain.clone();
            tokio::select! {
                () = accept(self.tcp, loop_shared) => {}
                () = drain.cancelled() => cancelled.cancelled().await, // port given back, task kept
                () = cancelled.cancelled() => {}
            }
            Ok(())
        });
        Server { addr: self.addr, shared }
    }
}

/// As the standard library does it, but with a long queue: while somebody opens thousands of
/// connections, one that finds it full would be tried again by its client only after a second.
fn listen_on(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A serving listener.
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections open now.
    pub fn n_open(&self) -> usize {
        self.shared.n_open.load(Ordering::Relaxed)
    }

    /// Stops accepting and waits until open requests are answered, at most `deadline`. True when
    /// nothing was cut.
    pub async fn drain(&self, deadline: Duration) -> bool {
        self.shared.drain.cancel();
        let all = u32::try_from(self.shared.limits.connections_max).unwrap_or(u32::MAX);
        tokio::time::timeout(deadline, self.shared.slots.acquire_many(all)).await.is_ok()
    }
}

struct Shared {
    handler: Arc<dyn Handler>,
    tasks: Tasks,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    crowd: Option<Arc<Crowd>>,
    door: Door,
    drain: CancellationToken,
    slots: Arc<Semaphore>,
    handshakes: Semaphore,
    n_open: AtomicUsize,
    next_id: AtomicU64,
}

/// A connection's place: counted while it lasts.
struct Slot {
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    fn new(permit: OwnedSemaphorePermit, shared: Arc<Shared>) -> Self {
        shared.n_open.fetch_add(1, Ordering::Relaxed);
        metrics::connected(shared.door);
        Self { shared, _permit: permit }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.n_open.fetch_sub(1, Ordering::Relaxed);
        metrics::disconnected(self.shared.door);
    }
}

async fn accept(tcp: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok(permit) = shared.slots.clone().acquire_owned().await else { return };
        match tcp.accept().await {
            Ok((stream, peer)) => {
                let seat = match shared.crowd.as_ref().map(|crowd| crowd.enter(peer.ip())) {
                    Some(Some(seat)) => Some(seat),
                    Some(None) => {
                        // There is no place, nor will be soon: closed at once and without ceremony.
                        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                        continue;
                    }
                    None => None,
                };
                let slot = Slot::new(permit, shared.clone());
                let connection = seated(stream, peer, slot, seat);
                shared.tasks.connection("http", connection);
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Serves one peer while it has its place.
async fn seated(stream: TcpStream, peer: SocketAddr, slot: Slot, seat: Option<Arc<Seat>>) {
    let Some(seat) = seat else { return connection(stream, peer, slot, None).await };
    tokio::select! {
        biased;
        why = OnCall::new(seat.unwanted()) => metrics::refused(peer.ip(), why),
        () = paced(Some(seat.purse().clone()), connection(stream, peer, slot, Some(seat.clone()))) => {}
    }
}

/// Serves one peer until it leaves, breaks a bound or is drained.
async fn connection(stream: TcpStream, peer: SocketAddr, slot: Slot, seat: Option<Arc<Seat>>) {
    let shared = slot.shared.clone();
    let greeted = tokio::select! {
        greeted = tokio::time::timeout(shared.limits.read, greet(stream, &shared)) => greeted,
        () = shared.drain.cancelled() => return, // it has asked for nothing yet
    };
    let Ok(Some((io, h2))) = greeted else { return };
    let service = Service {
        shared: shared.clone(),
        peer,
        seat,
        peer_text: HeaderValue::from_str(&peer.ip().to_canonical().to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("unknown")),
    };
    let outcome = if h2 {
        serve_h2(io, service, &shared).await
    } else {
        match by_short_road(io, &service).await {
            Some(io) => serve_h1(io, service, &shared).await,
            None => return,
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, error = crate::base::error::chain(&error), "connection ended");
    }
}

/// Does the TLS handshake and finds out the protocol.
async fn greet(stream: TcpStream, shared: &Shared) -> Option<(Guarded, bool)> {
    stream.set_nodelay(true).ok()?;
    let stall = shared.limits.write_stall;
    let Some(acceptor) = &shared.tls else {
        let mut io = Guarded::new(Transport::Plain(stream), stall);
        let h2 = io.starts_with_h2().await.ok()?;
        return Some((io, h2));
    };
    // Who says nothing takes no place among the handshakes.
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 0 {
        return None;
    }
    if first != [TLS_HANDSHAKE] {
        say_that_this_is_tls(stream).await;
        return None;
    }
    let _place = shared.handshakes.acquire().await.ok()?;
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(tls)) => {
            let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
            Some((Guarded::new(Transport::Tls(Box::new(tls)), stall), h2))
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

/// Answers a request in clear without reading it, and waits a moment so that the answer is not lost
/// in a reset.
async fn say_that_this_is_tls(mut stream: TcpStream) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let said = async {
        stream.write_all(SPEAKS_TLS).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), said).await;
}

/// Answers what is plain; the transport comes back for everything else.
async fn by_short_road(io: Guarded, service: &Service) -> Option<Guarded> {
    let shared = &service.shared;
    let Some(guide) = shared.handler.guide() else { return Some(io) };
    let door = Doorway {
        guide,
        peer: service.peer,
        peer_text: &service.peer_text,
        tls: shared.tls.is_some(),
        seat: service.seat.as_ref(),
        door: shared.door,
        read: shared.limits.read,
        head_bytes_max: shared.limits.head_bytes_max,
        drain: &shared.drain,
        next_id: &shared.next_id,
    };
    road::serve(io, &door).await
}

async fn serve_h1(io: Guarded, service: Service, shared: &Shared) -> Result<(), hyper::Error> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.read)
        .max_header_size(shared.limits.head_bytes_max)
        // hyper answers 431 when its buffer is full before the head ends; keep both bounds equal.
        .max_buf_size(shared.limits.head_bytes_max.max(16 << 10))
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        outcome = connection.as_mut() => return outcome,
        () = OnCall::new(shared.drain.cancelled()) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

async fn serve_h2(io: Guarded, service: Service, shared: &Shared) -> Result<(), hyper::Error> {
    let purse = service.seat.as_ref().map(|seat| seat.purse().clone());
    let connection = http2::Builder::new(Streams { tasks: shared.tasks.clone(), purse })
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .initial_connection_window_size(WINDOW_BYTES)
        .initial_stream_window_size(WINDOW_BYTES / 2)
        .max_header_list_size(u32::try_from(shared.limits.head_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(H2_PING_EVERY)
        .keep_alive_timeout(shared.limits.read)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        outcome = connection.as_mut() => return outcome,
        () = OnCall::new(shared.drain.cancelled()) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// Runs HTTP/2 streams as tasks of the listener's group, at the pace of their connection.
#[derive(Clone)]
struct Streams {
    tasks: Tasks,
    purse: Option<Arc<Purse>>,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let stream = paced(self.purse.clone(), stream);
        self.tasks.connection("h2 stream", async move {
            stream.await;
        });
    }
}

/// hyper's view of the handler for one connection.
struct Service {
    shared: Arc<Shared>,
    peer: SocketAddr,
    peer_text: HeaderValue,
    seat: Option<Arc<Seat>>,
}

impl hyper::service::Service<http::Request<Incoming>> for Service {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let mut request = request.map(Body::incoming);
        let shared = self.shared.clone();
        let id = RequestId::new(shared.next_id.fetch_add(1, Ordering::Relaxed));
        request.extensions_mut().insert(Origin {
            peer: self.peer,
            tls: shared.tls.is_some(),
            id,
            peer_text: self.peer_text.clone(),
            seat: self.seat.clone(),
        });
        let began = Instant::now();
        // The table that finds the route fills it in. Disabled, a span is one look at a static.
        let (method, route) = (request.method(), tracing::field::Empty);
        let span = tracing::debug_span!("request", %id, %method, peer = %self.peer, route);
        let answered = async move {
            let response = answer(&shared, request).await;
            metrics::answered(shared.door, response.status(), began.elapsed());
            Ok(response)
        };
        if span.is_disabled() { Box::pin(answered) } else { Box::pin(answered.instrument(span)) }
    }
}

/// Tells the span of the request being answered which pattern it matched.
pub fn note_route(pattern: &'static str) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        tracing::Span::current().record("route", pattern);
    }
}

/// Has the handler answer; its panic is a 500 with the request's id, and the process lives on.
async fn answer(shared: &Shared, request: Request) -> Response {
    let origin = request.extensions().get::<Origin>();
    if let Err(refusal) = head::check(request.method(), request.uri(), request.headers()) {
        if let (Some(origin), true) = (origin, refusal.status().is_client_error()) {
            metrics::refused(origin.peer.ip(), Why::Head);
        }
        return refusal;
    }
    let id = origin.map(|origin| origin.id).unwrap_or_default();
    let seat = origin.and_then(|origin| origin.seat.clone());
    let _serving = seat.as_ref().map(|seat| seat.serve());
    // The heads of many requests at a time are memory too, until it is known whose they are.
    let mut head = seat.as_ref().filter(|seat| !seat.is_known()).map(Seat::hold);
    if let Some(Err(full)) = head.as_mut().map(|head| head.grow(head_bytes(&request))) {
        return BodyError::from(full).reply(id);
    }
    let call = AssertUnwindSafe(async { shared.handler.call(request).await });
    call.catch_unwind().await.unwrap_or_else(|_| {
        metrics::panicked(id, None);
        let text = format!("500 Internal Server Error (request {id})\n");
        reply::text(StatusCode::INTERNAL_SERVER_ERROR, text)
    })
}

/// About what a request takes in memory before its body is read.
fn head_bytes(request: &Request) -> usize {
    const PER_HEADER: usize = 64;
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + PER_HEADER);
    let target = request.uri().path().len() + request.uri().query().map_or(0, str::len);
    limit::REQUEST_BYTES + target + headers.sum::<usize>()
}
