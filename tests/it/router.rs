//! The HTTP layer on real sockets of the loopback: bounds, streaming, upgrades, retries, stop.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, StatusCode};
use tepui::{
    base::task::Tasks,
    http::{
        Body, Handler, Request, Response, body,
        proxy::{Proxy, Target, Upstream},
        reply,
        serve::{Limits, Listener, Server},
        stream,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

pub const DEADLINE: Duration = Duration::from_secs(20);

pub fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub fn serve(tasks: &Tasks, limits: Limits, handler: impl Handler) -> Server {
    let listener = Listener::bind(loopback()).unwrap().with_limits(limits);
    listener.serve(Arc::new(handler), tasks)
}

/// A front door whose every path goes to one upstream.
pub fn front(tasks: &Tasks, upstream: SocketAddr) -> (Server, Arc<Proxy>) {
    front_to(tasks, Target::plain(Upstream { addr: upstream, tls: false }))
}

fn front_to(tasks: &Tasks, target: Target) -> (Server, Arc<Proxy>) {
    let proxy = Proxy::new(tasks);
    let used = proxy.clone();
    let server = serve(tasks, Limits::default(), move |request| {
        let (proxy, target) = (used.clone(), target.clone());
        async move { proxy.forward(request, &target).await }
    });
    (server, proxy)
}

/// A client that sees every byte.
pub struct Client {
    pub tcp: TcpStream,
    pub seen: Vec<u8>,
}

impl Client {
    async fn connect(addr: SocketAddr) -> Self {
        Self { tcp: TcpStream::connect(addr).await.unwrap(), seen: Vec::new() }
    }

    pub async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.tcp.write_all(text.as_ref()).await.unwrap();
    }

    /// Reads up to and with `end`, and returns it.
    pub async fn until(&mut self, end: &str) -> String {
        let read = async {
            loop {
                let found = self.seen.windows(end.len()).position(|w| w == end.as_bytes());
                if let Some(at) = found {
                    let rest = self.seen.split_off(at + end.len());
                    return String::from_utf8(std::mem::replace(&mut self.seen, rest)).unwrap();
                }
                let n = self.tcp.read_buf(&mut self.seen).await.unwrap();
                let seen = String::from_utf8_lossy(&self.seen);
                assert!(n > 0, "closed before {end:?}: {seen}");
            }
        };
        tokio::time::timeout(DEADLINE, read).await.expect("in time")
    }

    /// Reads something more.
    pub async fn read_some(&mut self) {
        let read = tokio::time::timeout(DEADLINE, self.tcp.read_buf(&mut self.seen));
        assert!(read.await.expect("in time").unwrap() > 0, "closed");
    }

    /// Reads all until the peer closes.
    pub async fn rest(mut self) -> String {
        let read = self.tcp.read_to_end(&mut self.seen);
        // A reset after the answer is an end like any other here.
        tokio::time::timeout(DEADLINE, read).await.expect("in time").ok();
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}

pub async fn exchange(addr: SocketAddr, request: &str) -> String {
    let mut client = Client::connect(addr).await;
    client.send(request).await;
    client.rest().await
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\r\n")
}

/// Shows the request back as text.
pub async fn mirror(request: Request) -> Response {
    let (head, content) = request.into_parts();
    let content = body::read(content, 1 << 20).await.unwrap();
    let mut text = format!("{} {}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        text += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    text += std::str::from_utf8(&content).unwrap();
    reply::text(StatusCode::OK, text)
}

#[tokio::test]
async fn an_oversized_head_is_431() {
    let tasks = Tasks::new("t");
    let limits = Limits { head_bytes_max: 16 << 10, ..Limits::default() };
    let server = serve(&tasks, limits, mirror);
    let mut client = Client::connect(server.local_addr()).await;
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Big: {}\r\n\r\n", "x".repeat(40_000));
    client.tcp.write_all(head.as_bytes()).await.ok(); // the server may close while we write
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_slow_head_and_a_silent_client_are_cut() {
    let tasks = Tasks::new("t");
    let limits = Limits { read: Duration::from_millis(200), ..Limits::default() };
    let server = serve(&tasks, limits, mirror);
    for start in ["", "P", "GET / HTTP/1.1\r\nHo"] {
        let mut client = Client::connect(server.local_addr()).await;
        client.send(start).await;
        let answer = client.rest().await;
        assert!(!answer.contains("200 OK"), "{start:?}: {answer}");
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut() {
    let tasks = Tasks::new("t");
    let limits = Limits { write_stall: Duration::from_millis(200), ..Limits::default() };
    let (told, cut) = tokio::sync::oneshot::channel();
    let told = Arc::new(parking_lot::Mutex::new(Some(told)));
    let feeders = tasks.clone();
    let server = serve(&tasks, limits, move |_| {
        let (sender, content) = stream::channel(4);
        let told = told.lock().take();
        feeders.connection("feed", async move {
            let chunk = Bytes::from(vec![0; 1 << 20]);
            while sender.send_waiting(chunk.clone()).await.is_ok() {}
            told.map(|told| told.send(()));
        });
        async move { stream::response(content) }
    });
    let mut client = Client::connect(server.local_addr()).await;
    client.send(get("/")).await;
    tokio::time::timeout(DEADLINE, cut).await.expect("in time").unwrap();
}

#[tokio::test]
async fn connections_past_the_cap_wait() {
    let tasks = Tasks::new("t");
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let server = serve(&tasks, limits, mirror);
    let mut first = Client::connect(server.local_addr()).await;
    first.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    first.until("GET /1").await;
    let mut second = Client::connect(server.local_addr()).await;
    second.send(get("/2")).await;
    assert_eq!(server.n_open(), 1);
    let early = tokio::time::timeout(Duration::from_millis(100), second.tcp.readable()).await;
    assert!(early.is_err(), "the second was served beside the first");
    drop(first);
    assert!(second.rest().await.contains("GET /2"));
}

#[tokio::test]
async fn a_request_passes_with_its_origin_told() {
    let tasks = Tasks::new("t");
    let upstream = serve(&tasks, Limits::default(), mirror);
    let (front, _) = front(&tasks, upstream.local_addr());
    let request = "POST /a%20b?q=%2F HTTP/1.1\r\nHost: cluster.example:80\r\nX-Keep: 1\r\n\
        X-Forwarded-For: 10.9.9.9\r\nConnection: close, X-Hop\r\nX-Hop: secret\r\n\
        Content-Length: 4\r\n\r\nbody";
    let answer = exchange(front.local_addr(), request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for part in [
        "POST /a%20b?q=%2F\n",
        "host: cluster.example:80\n",
        "x-keep: 1\n",
        "x-forwarded-for: 10.9.9.9, 127.0.0.1\n",
        "x-forwarded-host: cluster.example:80\n",
        "x-forwarded-proto: http\n",
        "x-real-ip: 127.0.0.1\n",
        "\nbody",
    ] {
        assert!(answer.contains(part), "{part:?} is missing in {answer}");
    }
    assert!(!answer.contains("secret"), "{answer}");
}

#[tokio::test]
async fn connections_to_the_upstream_are_kept() {
    let tasks = Tasks::new("t");
    let upstream = serve(&tasks, Limits::default(), mirror);
    let (front, proxy) = front(&tasks, upstream.local_addr());
    let mut client = Client::connect(front.local_addr()).await;
    for n in 0..100 {
        client.send(format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        client.until(&format!("GET /{n}\n")).await;
        client.until("x-real-ip: 127.0.0.1\n").await;
    }
    assert_eq!(proxy.counters().connects.load(Relaxed), 1);
    assert_eq!(proxy.counters().long.load(Relaxed), 100);
    assert_eq!(upstream.n_open(), 1);
}

#[tokio::test]
async fn big_bodies_pass_both_ways_unharmed() {
    let tasks = Tasks::new("t");
    let upstream = serve(&tasks, Limits::default(), |request: Request| async move {
        Response::new(request.into_body()) // streams back what still arrives
    });
    let (front, proxy) = front(&tasks, upstream.local_addr());
    let sent: Vec<u8> = (0..9_000_000_u32).map(|n| (n % 251) as u8).collect();
    for framing in ["Content-Length: 9000000", "Transfer-Encoding: chunked"] {
        let (mut read, mut write) =
            TcpStream::connect(front.local_addr()).await.unwrap().into_split();
        let head = format!("PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{framing}\r\n\r\n");
        let content = match framing.contains("chunked") {
            false => sent.clone(),
            true => [format!("{:x}\r\n", sent.len()).as_bytes(), &sent, b"\r\n0\r\n\r\n"].concat(),
        };
        let upload = async move {
            write.write_all(head.as_bytes()).await.unwrap();
            write.write_all(&content).await.unwrap();
            write
        };
        let mut got = Vec::new();
        let (_write, n) = tokio::join!(upload, read.read_to_end(&mut got));
        n.unwrap();
        let at = got.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8_lossy(&got[..at]).into_owned();
        let content = match head.contains("chunked") {
            false => got[at..].to_vec(),
            true => unchunk(&got[at..]),
        };
        assert!(content == sent, "{framing}: {} bytes came back under {head}", content.len());
    }
    assert_eq!(proxy.counters().failures.load(Relaxed), 0);
}

fn unchunk(mut text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let end = text.windows(2).position(|w| w == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&text[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return out;
        }
        out.extend_from_slice(&text[end + 2..end + 2 + size]);
        text = &text[end + 2 + size + 2..];
    }
}

#[tokio::test]
async fn events_pass_one_by_one() {
    let tasks = Tasks::new("t");
    let (sender, content) = stream::channel(4);
    let content = Arc::new(parking_lot::Mutex::new(Some(content)));
    let upstream = serve(&tasks, Limits::default(), move |_| {
        let content = content.lock().take().unwrap();
        async move { stream::response(content) }
    });
    let (front, _) = front(&tasks, upstream.local_addr());
    let mut client = Client::connect(front.local_addr()).await;
    client.send(get("/events")).await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    for n in 0..3 {
        // Each event is seen before the next is made.
        sender.send(stream::event(Some("tick"), None, &n.to_string())).unwrap();
        client.until(&format!("event: tick\ndata: {n}\n\n")).await;
    }
    drop(client);
    tokio::time::timeout(DEADLINE, sender.closed()).await.expect("the reader's end is told");
}

#[tokio::test]
async fn an_upgrade_becomes_a_tunnel() {
    let tasks = Tasks::new("t");
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let (front, proxy) = front(&tasks, listener.local_addr().unwrap());
    tasks.connection("echo", async move {
        let mut peer = Client { tcp: listener.accept().await.unwrap().0, seen: Vec::new() };
        let head = peer.until("\r\n\r\n").await.to_lowercase();
        assert!(head.contains("upgrade: echo\r\n") && head.contains("connection: upgrade\r\n"));
        // The first words of the new protocol come in one piece with the answer.
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\
            Connection: upgrade\r\n\r\nhello ";
        peer.send(answer).await;
        let (mut read, mut write) = peer.tcp.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let mut client = Client::connect(front.local_addr()).await;
    let ask = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";
    client.send(ask).await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("upgrade: echo"), "{head}");
    client.until("hello ").await;
    for word in ["one", "two"] {
        client.send(word).await;
        client.until(word).await;
    }
    client.tcp.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "");
    assert_eq!(proxy.counters().tunnels.load(Relaxed), 1);
}

#[tokio::test]
async fn a_dead_upstream_is_502() {
    let tasks = Tasks::new("t");
    let free = TcpListener::bind(loopback()).await.unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let (front, _) = front(&tasks, addr);
    let answer = exchange(front.local_addr(), &get("/")).await;
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway"), "{answer}");
    assert!(answer.contains("accepts no connection"), "{answer}");
}

#[tokio::test]
async fn an_upstream_that_says_nothing_is_504_and_cut() {
    let tasks = Tasks::new("t");
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let target = Target::plain(Upstream { addr: listener.local_addr().unwrap(), tls: false });
    let proxy = Proxy::with_silence(&tasks, Duration::from_millis(100));
    let front = serve(&tasks, Limits::default(), move |request| {
        let (proxy, target) = (proxy.clone(), target.clone());
        async move { proxy.forward(request, &target).await }
    });
    let request = get("/");
    let (client, peer) = tokio::join!(exchange(front.local_addr(), &request), async {
        let mut peer = Client { tcp: listener.accept().await.unwrap().0, seen: Vec::new() };
        peer.until("\r\n\r\n").await;
        peer.rest().await
    });
    assert!(client.starts_with("HTTP/1.1 504 Gateway Timeout"), "{client}");
    assert_eq!(peer, "", "the upstream sees the end");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request() {
    let tasks = Tasks::new("t");
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let (front, _) = front(&tasks, listener.local_addr().unwrap());
    let mut client = Client::connect(front.local_addr()).await;
    client.send("GET /long HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut peer = Client { tcp: listener.accept().await.unwrap().0, seen: Vec::new() };
    peer.until("\r\n\r\n").await;
    drop(client);
    assert_eq!(peer.rest().await, "");
}

#[tokio::test]
async fn a_spare_takes_what_a_dead_upstream_cannot() {
    let tasks = Tasks::new("t");
    let free = TcpListener::bind(loopback()).await.unwrap();
    let dead = Upstream { addr: free.local_addr().unwrap(), tls: false };
    drop(free);
    let upstream = serve(&tasks, Limits::default(), mirror);
    let spare = Some(Upstream { addr: upstream.local_addr(), tls: false });
    let (front, proxy) = front_to(&tasks, Target { spare, ..Target::plain(dead) });
    let post = "POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody";
    let answer = exchange(front.local_addr(), post).await;
    assert!(answer.contains("POST /x\n") && answer.ends_with("body"), "{answer}");
    assert_eq!(proxy.counters().retries.load(Relaxed), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let tasks = Tasks::new("t");
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let (front, _) = front(&tasks, listener.local_addr().unwrap());
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    tasks.connection("breaks", async move {
        let mut peer = Client { tcp: listener.accept().await.unwrap().0, seen: Vec::new() };
        peer.until("\r\n\r\n").await;
        drop(peer);
        let mut peer = Client { tcp: listener.accept().await.unwrap().0, seen: Vec::new() };
        peer.until("\r\n\r\n").await;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
        gone.await.unwrap();
    });
    let answer = exchange(front.local_addr(), &get("/")).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    let mut client = Client::connect(front.local_addr()).await;
    client.send(get("/")).await;
    let answer = client.until("half").await;
    assert!(answer.contains("content-length: 10"), "{answer}");
    go.send(()).unwrap();
    assert_eq!(client.rest().await, "");
}

/// An upstream that keeps connections alive, but closes each on its second request unanswered.
pub async fn closes_on_second(listener: TcpListener) {
    let served = Tasks::new("upstream");
    while let Ok((tcp, _)) = listener.accept().await {
        served.connection("peer", async move {
            let mut peer = Client { tcp, seen: Vec::new() };
            peer.until("\r\n\r\n").await;
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            peer.until("\r\n\r\n").await;
        });
    }
}

#[tokio::test]
async fn only_safe_requests_are_sent_again() {
    let tasks = Tasks::new("t");
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let (front, proxy) = front(&tasks, listener.local_addr().unwrap());
    tasks.connection("upstream", closes_on_second(listener));
    // The second GET meets the closing connection and is sent again on a new one.
    for _ in 0..2 {
        let answer = exchange(front.local_addr(), &get("/")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    assert_eq!(proxy.counters().retries.load(Relaxed), 1);
    // A POST in the same place might have taken effect: 502.
    let post = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let answer = exchange(front.local_addr(), post).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(proxy.counters().retries.load(Relaxed), 1);
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_not_used() {
    let tasks = Tasks::new("t");
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let (front, proxy) = front(&tasks, listener.local_addr().unwrap());
    let (closed, mut is_closed) = tokio::sync::mpsc::channel(4);
    tasks.connection("upstream", async move {
        loop {
            let mut peer = Client { tcp: listener.accept().await.unwrap().0, seen: Vec::new() };
            peer.until("\r\n\r\n").await;
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            drop(peer);
            closed.send(()).await.unwrap();
        }
    });
    for _ in 0..3 {
        let post = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let answer = exchange(front.local_addr(), post).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        is_closed.recv().await.unwrap();
        tokio::task::yield_now().await; // the driver sees the end
    }
    assert_eq!(proxy.counters().failures.load(Relaxed), 0);
}

#[tokio::test]
async fn redirects_get_the_prefix_of_the_service() {
    let tasks = Tasks::new("t");
    let upstream = serve(&tasks, Limits::default(), |request: Request| async move {
        reply::redirect(StatusCode::FOUND, &format!("{}next", request.uri()))
    });
    let upstream = Upstream { addr: upstream.local_addr(), tls: false };
    let (path, prefix) = (Some("/in/".parse().unwrap()), Some("/service/web".into()));
    let (front, _) = front_to(&tasks, Target { path, prefix, ..Target::plain(upstream) });
    let answer = exchange(front.local_addr(), &get("/service/web/in/")).await;
    assert!(answer.contains("\r\nlocation: /service/web/in/next\r\n"), "{answer}");
}

#[tokio::test]
async fn head_and_empty_answers_keep_the_connection() {
    let tasks = Tasks::new("t");
    let upstream = serve(&tasks, Limits::default(), |request: Request| async move {
        match *request.method() {
            Method::DELETE => reply::empty(StatusCode::NO_CONTENT),
            _ => reply::text(StatusCode::OK, "hello"),
        }
    });
    let (front, proxy) = front(&tasks, upstream.local_addr());
    let mut client = Client::connect(front.local_addr()).await;
    for method in ["HEAD", "DELETE", "HEAD", "GET"] {
        client.send(format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let head = client.until("\r\n\r\n").await;
        assert_eq!(head.contains("content-length: 5"), method != "DELETE", "{method}: {head}");
    }
    client.until("hello").await;
    assert_eq!(proxy.counters().connects.load(Relaxed), 1);
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served_and_proxied() {
    use http_body_util::BodyExt as _;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let tasks = Tasks::new("t");
    let upstream = serve(&tasks, Limits::default(), mirror);
    let (front, _) = front(&tasks, upstream.local_addr());
    let tcp = TcpStream::connect(front.local_addr()).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await;
    let (mut send, connection) = handshake.unwrap();
    tasks.connection("h2 client", async move { connection.await.unwrap() });
    let request = http::Request::post("http://cluster.example/x").body(Body::from("content"));
    let response = send.send_request(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.starts_with("POST /x\n") && text.ends_with("\ncontent"), "{text}");
    assert!(text.contains("host: cluster.example\n"), "{text}");
}

/// TLS with a certificate nobody has signed.
pub fn self_signed() -> Arc<rustls::ServerConfig> {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    Arc::new(config)
}

#[tokio::test]
async fn tls_is_spoken_on_both_sides() {
    let tasks = Tasks::new("t");
    let listener = Listener::bind(loopback()).unwrap().with_tls(self_signed());
    let upstream = listener.serve(Arc::new(mirror), &tasks);
    let target = Target::plain(Upstream { addr: upstream.local_addr(), tls: true });
    let (front, proxy) = front_to(&tasks, target);
    for _ in 0..2 {
        let answer = exchange(front.local_addr(), &get("/secure")).await;
        assert!(answer.contains("GET /secure\n"), "{answer}");
    }
    assert_eq!(proxy.counters().connects.load(Relaxed), 1);
}

#[tokio::test]
async fn a_drain_lets_open_requests_finish() {
    let tasks = Tasks::new("t");
    let (go, gone) = tokio::sync::watch::channel(false);
    let server = serve(&tasks, Limits::default(), move |_| {
        let mut gone = gone.clone();
        async move {
            gone.wait_for(|gone| *gone).await.unwrap();
            reply::text(StatusCode::OK, "finished")
        }
    });
    let server = Arc::new(server);
    let mut client = Client::connect(server.local_addr()).await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let idle = Client::connect(server.local_addr()).await;
    while server.n_open() < 2 {
        tokio::task::yield_now().await;
    }
    let addr = server.local_addr();
    let (drained, ()) = tokio::join!(server.drain(DEADLINE), async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go.send(true).unwrap();
    });
    assert!(drained, "an idle connection must not hold up the stop");
    assert_eq!(idle.rest().await, "");
    assert!(client.rest().await.ends_with("finished"));
}
