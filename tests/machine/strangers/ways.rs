//! The ways: each is one try of many, made again and again by some tasks at a time, as fast as they
//! can unless it says otherwise.

use std::{
    io,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use http_body_util::{Empty, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConnection;
use tepui::node::peers::{self, JoinAnswer, JoinRequest};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::sleep,
};

use super::speak::{At, DNS, FRONT, MARATHON, MESOS, PEERS, PLAIN, ask, config, get, name, post};

type Tried = io::Result<()>;
type Once = fn(At, usize, Arc<AtomicU64>) -> BoxFuture<'static, Tried>;

/// One way to be expensive.
pub struct Way {
    pub name: &'static str,
    pub n_tasks: usize,
    pub once: Once,
    /// Whether somebody honest asks the name server meanwhile.
    pub is_dns: bool,
}

/// How long a connection is held that does nothing.
const HOLD: Duration = Duration::from_secs(15);
/// Requests on one connection that is kept.
const KEPT: usize = 10_000;
/// Requests of one connection of HTTP/2 at a time, more than any server is asked to take.
const STREAMS: usize = 256;
const MIB: usize = 1 << 20;

macro_rules! way {
    ($name:literal, $n:literal, $once:ident) => {
        Way { name: $name, n_tasks: $n, once: |at, i, n| $once(at, i, n).boxed(), is_dns: false }
    };
    ($name:literal, $n:literal, $once:ident, dns) => {
        Way { is_dns: true, ..way!($name, $n, $once) }
    };
}

pub fn all() -> Vec<Way> {
    vec![
        way!("1,000 idle connections, half with TLS", 1000, idle),
        way!("200 heads of 60 KiB without an end, a byte now and then", 200, slow_heads),
        way!("bodies of 16 MiB to every route", 40, large_bodies),
        way!("bodies of 64 KiB that never end", 200, held_bodies),
        way!("HTTP/2: all streams with bodies that never end", 50, h2_bodies),
        way!("HTTP/2: all streams, windows of one byte, nothing read", 50, h2_windows),
        way!("HTTP/2: requests as fast as they go", 8, h2_requests),
        way!("TLS handshakes begun and left", 16, hellos),
        way!("TLS handshakes in full", 16, handshakes),
        way!("connections opened and closed, 2,000 a second", 16, connects),
        way!("200 guessers of passwords", 200, guesses),
        way!("50 guessers by Basic at the direct ports", 50, basic),
        way!("forged tokens, cookies, JSONP", 16, tokens),
        way!("first lines of garbage at every port", 16, garbage),
        way!("names of many labels by UDP, 10,000 a second", 1, dns_udp, dns),
        way!("names of many labels by TCP", 16, dns_tcp, dns),
        way!("500 silent TCP connections to the name server", 500, dns_silent, dns),
        way!("joins with made up invitations", 16, joins),
        way!("messages of 64 KiB at the peer port, and silence", 64, peer_junk),
        way!("sign-ins nested 30,000 deep", 16, nested),
        way!("heads of 64 KiB with 90 headers", 16, large_heads),
        way!("files of the page, in parts and without compression", 16, files),
        way!("targets of 60 KiB", 16, long_targets),
        way!("paths of services", 16, services),
        way!("the plain port's redirects", 16, redirects),
    ]
}

/// Sends `request` over and over on one connection that `stream` is.
async fn over_and_over<S>(stream: &mut S, requests: &[Vec<u8>], n: &AtomicU64) -> Tried
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    for request in requests.iter().cycle().take(KEPT) {
        ask(stream, request).await?;
        n.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn at_front(at: At, requests: Vec<Vec<u8>>, n: Arc<AtomicU64>) -> Tried {
    over_and_over(&mut at.front().await?, &requests, &n).await
}

async fn idle(at: At, number: usize, _: Arc<AtomicU64>) -> Tried {
    if number.is_multiple_of(2) {
        let mut tcp = at.tcp(FRONT).await?;
        held(&mut tcp).await
    } else {
        let mut tls = at.front().await?;
        held(&mut tls).await
    }
}

/// Waits for the other side to close, at most for a while.
async fn held<S: tokio::io::AsyncRead + Unpin>(stream: &mut S) -> Tried {
    let _ = tokio::time::timeout(HOLD, stream.read(&mut [0; 64])).await;
    Err(io::ErrorKind::ConnectionReset.into())
}

async fn slow_heads(at: At, _: usize, _: Arc<AtomicU64>) -> Tried {
    let mut stream = at.front().await?;
    let mut head = b"GET / HTTP/1.1\r\nHost: m\r\nX-Slow: ".to_vec();
    head.resize(60 << 10, b'x');
    stream.write_all(&head).await?;
    loop {
        stream.write_all(b"y").await?;
        stream.flush().await?;
        sleep(Duration::from_millis(300)).await;
    }
}

const ROUTES: [(&str, &str, u16); 8] = [
    ("POST", "/acs/api/v1/auth/login", FRONT),
    ("PUT", "/acs/api/v1/users/x", FRONT),
    ("POST", "/service/marathon/v2/apps", FRONT),
    ("POST", "/tepui/v1/apps", FRONT),
    ("POST", "/", FRONT),
    ("POST", "/mesos/api/v1", FRONT),
    ("POST", "/v2/apps", MARATHON),
    ("POST", "/api/v1", MESOS),
];

async fn large_bodies(at: At, number: usize, _: Arc<AtomicU64>) -> Tried {
    let (method, path, port) = ROUTES[number % ROUTES.len()];
    let framing = if number.is_multiple_of(3) {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {}", 16 * MIB)
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    );
    let mut piece = b"4000\r\n".to_vec();
    piece.resize(6 + 0x4000, b'[');
    piece.extend(b"\r\n");
    if port == FRONT {
        upload(&mut at.front().await?, &head, &piece).await
    } else {
        upload(&mut at.tcp(port).await?, &head, &piece).await
    }
}

async fn upload<S>(stream: &mut S, head: &str, piece: &[u8]) -> Tried
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    stream.write_all(head.as_bytes()).await?;
    for _ in 0..16 * MIB / piece.len() {
        stream.write_all(piece).await?;
    }
    held(stream).await
}

async fn held_bodies(at: At, _: usize, _: Arc<AtomicU64>) -> Tried {
    let mut stream = at.front().await?;
    let mut request = b"POST /acs/api/v1/auth/login HTTP/1.1\r\nHost: m\r\n\
        Content-Type: application/json\r\nContent-Length: 65536\r\n\r\n"
        .to_vec();
    request.extend([b' '; 65_000]);
    stream.write_all(&request).await?;
    held(&mut stream).await
}

type Content = BoxBody<Bytes, std::convert::Infallible>;

/// A connection that speaks HTTP/2 with windows of this size.
async fn h2(at: At, window: u32) -> io::Result<hyper::client::conn::http2::SendRequest<Content>> {
    let stream = TokioIo::new(at.tls(FRONT, b"h2").await?);
    let (send, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .initial_connection_window_size(window)
        .initial_max_send_streams(STREAMS)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(send)
}

fn request(method: &str, path: &str, body: Content) -> http::Request<Content> {
    let request =
        http::Request::builder().method(method).uri(format!("https://master.tepui{path}"));
    request.header("content-type", "application/json").body(body).expect("a request")
}

async fn h2_bodies(at: At, _: usize, _: Arc<AtomicU64>) -> Tried {
    let mut send = h2(at, 65_535).await?;
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let first = stream::iter([Ok(Frame::data(Bytes::from_static(&[b' '; 60_000])))]);
        let body = StreamBody::new(first.chain(stream::pending()));
        let request = request("POST", "/acs/api/v1/auth/login", BoxBody::new(body));
        open.push(tokio::spawn(send.send_request(request)));
    }
    sleep(HOLD / 3).await;
    open.iter().for_each(|stream| stream.abort());
    Ok(())
}

async fn h2_windows(at: At, _: usize, _: Arc<AtomicU64>) -> Tried {
    let mut send = h2(at, 1).await?;
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let request = request("GET", page_file(), BoxBody::new(Empty::new()));
        open.push(tokio::spawn(send.send_request(request)));
    }
    sleep(HOLD / 3).await;
    open.iter().for_each(|stream| stream.abort());
    Ok(())
}

async fn h2_requests(at: At, _: usize, n: Arc<AtomicU64>) -> Tried {
    let mut send = h2(at, 65_535).await?;
    for _ in 0..KEPT {
        let request = request("GET", "/service/marathon/v2/apps", BoxBody::new(Empty::new()));
        send.send_request(request).await.map_err(io::Error::other)?;
        n.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn hellos(at: At, _: usize, _: Arc<AtomicU64>) -> Tried {
    let mut stream = at.tcp(FRONT).await?;
    let mut client =
        ClientConnection::new(config(b"http/1.1"), name()).map_err(io::Error::other)?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello)?;
    stream.write_all(&hello).await?;
    // Until the server has signed its part.
    let _some = stream.read(&mut [0; 1024]).await?;
    Ok(())
}

async fn handshakes(at: At, _: usize, _: Arc<AtomicU64>) -> Tried {
    at.front().await.map(drop)
}

async fn connects(at: At, number: usize, _: Arc<AtomicU64>) -> Tried {
    drop(at.tcp([FRONT, PLAIN, MARATHON, PEERS][number % 4]).await?);
    // As one that was closed: tried again after a while.
    Err(io::ErrorKind::ConnectionReset.into())
}

async fn guesses(at: At, number: usize, n: Arc<AtomicU64>) -> Tried {
    let uid = if number.is_multiple_of(2) { "admin".to_owned() } else { format!("user{number}") };
    let body = format!(r#"{{"uid":"{uid}","password":"guess{number}"}}"#);
    at_front(at, vec![post("/acs/api/v1/auth/login", &body)], n).await
}

async fn basic(at: At, number: usize, n: Arc<AtomicU64>) -> Tried {
    let pair = STANDARD.encode(format!("admin:guess{number}"));
    let request = get("/v2/apps", &format!("Authorization: Basic {pair}\r\n"));
    let port = [MARATHON, MESOS][number % 2];
    over_and_over(&mut at.tcp(port).await?, &[request], &n).await
}

async fn tokens(at: At, number: usize, n: Arc<AtomicU64>) -> Tried {
    let forged = |i: usize| {
        let head = STANDARD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = format!(r#"{{"uid":"admin","exp":4000000000,"gen":{number}{i}}}"#);
        format!("{head}.{}.{}", STANDARD.encode(claims), "A".repeat(43)).replace('=', "")
    };
    let requests = (0..8).flat_map(|i| {
        let token = forged(i);
        [
            get("/mesos/master/state", &format!("Authorization: token={token}\r\n")),
            get(
                "/mesos/master/state?jsonp=f",
                &format!("Cookie: dcos-acs-auth-cookie={token}\r\n"),
            ),
            get("/v2/apps", "Authorization: Bearer a.b.c\r\n"),
        ]
    });
    at_front(at, requests.collect(), n).await
}

async fn garbage(at: At, number: usize, _: Arc<AtomicU64>) -> Tried {
    const LINES: [&[u8]; 4] = [
        b"\x16\x03\x01\x40\x00garbage",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage of nine",
        b"\x00\x00\x00\xff\xff\xff\xff\r\n\r\n",
        b"GET  / / HTTP/9.9\r\n\r\n",
    ];
    let ports = [FRONT, PLAIN, MARATHON, MESOS, PEERS, DNS];
    let mut stream = at.tcp(ports[number % ports.len()]).await?;
    stream.write_all(LINES[number % LINES.len()]).await?;
    let mut answer = [0; 256];
    let answer = stream.read(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(1), answer).await;
    Ok(())
}

/// A question for a name of as many labels as fit.
fn question() -> Vec<u8> {
    let mut message = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    for _ in 0..120 {
        message.extend(b"\x01a");
    }
    message.extend(b"\x05mesos\x00\x00\x21\x00\x01");
    message
}

async fn dns_udp(at: At, _: usize, n: Arc<AtomicU64>) -> Tried {
    let socket = UdpSocket::bind((at.from, 0))?;
    socket.connect((at.server, DNS))?;
    let question = question();
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..KEPT {
        tick.tick().await;
        for _ in 0..100 {
            socket.send(&question)?;
        }
        n.fetch_add(100, Ordering::Relaxed);
    }
    Ok(())
}

async fn dns_tcp(at: At, _: usize, n: Arc<AtomicU64>) -> Tried {
    let mut stream = at.tcp(DNS).await?;
    let question = question();
    let mut message = u16::try_from(question.len()).expect("short").to_be_bytes().to_vec();
    message.extend(question);
    for _ in 0..KEPT {
        stream.write_all(&message).await?;
        let n_bytes = stream.read_u16().await?;
        stream.read_exact(&mut vec![0; usize::from(n_bytes)]).await?;
        n.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn dns_silent(at: At, _: usize, _: Arc<AtomicU64>) -> Tried {
    held(&mut at.tcp(DNS).await?).await
}

async fn joins(at: At, number: usize, _: Arc<AtomicU64>) -> Tried {
    let mut stream = at.tls(PEERS, peers::Purpose::Join.alpn()).await?;
    let request = JoinRequest {
        secret: format!("{number:064x}"),
        request: vec![0x30; 512],
        host: "h".into(),
        role: None,
        master: None,
    };
    peers::send(&mut stream, &request).await.map_err(io::Error::other)?;
    let _: JoinAnswer = peers::receive(&mut stream).await.map_err(io::Error::other)?;
    Ok(())
}

async fn peer_junk(at: At, number: usize, _: Arc<AtomicU64>) -> Tried {
    match number % 4 {
        0 => held(&mut at.tcp(PEERS).await?).await,
        1 => at.tls(PEERS, peers::Purpose::Agent.alpn()).await.map(drop),
        _ => {
            let mut stream = at.tls(PEERS, peers::Purpose::Join.alpn()).await?;
            stream.write_u32(64 << 10).await?;
            stream.write_all(&vec![0x7f; 64 << 10]).await?;
            held(&mut stream).await
        }
    }
}

async fn nested(at: At, _: usize, n: Arc<AtomicU64>) -> Tried {
    let deep = 30_000;
    let body = format!(r#"{{"uid":{}{}}}"#, "[".repeat(deep), "]".repeat(deep));
    at_front(at, vec![post("/acs/api/v1/auth/login", &body)], n).await
}

async fn large_heads(at: At, _: usize, n: Arc<AtomicU64>) -> Tried {
    let mut headers = String::new();
    for i in 0..90 {
        headers += &format!("X-Header-{i}: {}\r\n", "v".repeat(660));
    }
    at_front(at, vec![get("/mesos/master/state", &headers)], n).await
}

/// The largest file of the page this build carries, or the page itself.
fn page_file() -> &'static str {
    static FILE: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    FILE.get_or_init(|| {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/ui/dist/assets"));
        let files = files.into_iter().flatten().flatten();
        let largest = files.max_by_key(|file| file.metadata().map_or(0, |m| m.len()));
        largest.map_or_else(
            || "/".to_owned(),
            |file| {
                format!("/assets/{}", file.file_name().to_string_lossy().trim_end_matches(".gz"))
            },
        )
    })
}

async fn files(at: At, _: usize, n: Arc<AtomicU64>) -> Tried {
    let ranges = (0..200).map(|i| format!("{i}-{}", i + 1)).collect::<Vec<_>>().join(",");
    let requests = vec![
        get(page_file(), "Accept-Encoding: identity\r\n"),
        get(page_file(), &format!("Range: bytes={ranges}\r\nAccept-Encoding: gzip;q=0, *;q=0\r\n")),
        get("/ui/x", "Accept-Encoding: gzip\r\n"),
    ];
    at_front(at, requests, n).await
}

async fn long_targets(at: At, _: usize, n: Arc<AtomicU64>) -> Tried {
    let requests = vec![
        get(&"/a".repeat(30_000), ""),
        get(&format!("/service/{}", "%2f".repeat(20_000)), ""),
        get(&format!("/acs/api/v1/auth/providers?{}", "a=b&".repeat(15_000)), ""),
    ];
    at_front(at, requests, n).await
}

async fn services(at: At, number: usize, n: Arc<AtomicU64>) -> Tried {
    let requests = vec![
        get(&format!("/service/x{number}/y"), ""),
        get("/service/x/y", "Upgrade: websocket\r\nConnection: upgrade\r\n"),
        get("/agent/00000000-0000-0000-0000-000000000000-S0/files/read?path=/&offset=-1", ""),
    ];
    at_front(at, requests, n).await
}

async fn redirects(at: At, _: usize, n: Arc<AtomicU64>) -> Tried {
    let request = get("/ui/login?x=1", "");
    over_and_over(&mut at.tcp(PLAIN).await?, &[request], &n).await
}
